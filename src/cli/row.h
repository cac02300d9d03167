/* SPDX-License-Identifier: Apache-2.0
 *
 * What commands read from answers. Pure. */
#pragma once

#include <jansson.h>

/* A text of a list's row; `-` when there is none. */
const char *row_text(const json_t *row, const char *key);
/* Of a task: completed, failed, cancelled; or what happens meanwhile: queued, processing. */
const char *row_status(const json_t *view);
