/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending a stored file. On HTTP threads. */
#pragma once

#include "api/request.h"

/* The asset with its type, tag and time, as far as the request's conditions and its Range want it. `disposition` becomes
 * Content-Disposition (NULL or empty: none); `absent` is the answer when there is no such file. Whoever calls has seen to it
 * that the caller may have it. */
enum MHD_Result files_reply(struct api_request *request, const char *key, const char *disposition,
                            enum api_error absent);
