/* SPDX-License-Identifier: Apache-2.0
 *
 * The page of GET /metrics; its handler is in api/route.def. */
#pragma once

#include <stdio.h>

/* The table of metrics as Markdown. */
void exposition_dump(FILE *out);
