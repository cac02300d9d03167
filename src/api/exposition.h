/* SPDX-License-Identifier: Apache-2.0
 *
 * The page of GET /metrics; its handler is in api/route.def. */
#pragma once

#include <stdio.h>

#include "base/buf.h"

/* The table of metrics as Markdown. */
void exposition_dump(FILE *out);
/* The value of a label, as the format wants it between quotes. */
void exposition_add_value(struct buf *out, const char *value);
