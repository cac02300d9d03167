/* SPDX-License-Identifier: Apache-2.0
 *
 * How an uploaded file is shown. */
#pragma once

#include "api/request.h"
#include "store/store.h"

/* A File object as the OpenAI SDKs know it, with a link and what the image is. A new reference, never NULL. */
json_t *uploaded_render(const struct api_request *request, const struct store_file *file,
                        const char *base);
