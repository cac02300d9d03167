/* SPDX-License-Identifier: Apache-2.0
 *
 * Entity tags, byte ranges and dates of HTTP (RFC 9110). Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

enum { ENTITY_DATE_SIZE = 30 };

enum entity_comparison { ENTITY_WEAK, ENTITY_STRONG }; /* a weak tag is never strongly equal */

/* Does an If-None-Match or If-Match list (or `*`) hold this strong tag, quotes included? NULL: no. */
bool entity_list_has_tag(const char *list, const char *tag, enum entity_comparison comparison);
/* `Mon, 06 Oct 2025 15:10:26 GMT` */
void entity_date(int64_t seconds, char ret_date[ENTITY_DATE_SIZE]);
/* Reads any of the three forms of RFC 9110; false for anything else. */
CHECKED bool entity_read_date(const char *text, int64_t *ret_seconds);

enum entity_range { ENTITY_WHOLE, ENTITY_PART, ENTITY_OUTSIDE };

/* Reads a Range header against a size: one range of bytes (`a-b`, `a-`, `-n`). What is not one (NULL,
 * several ranges, other units, broken) asks for the whole. `ret_first` and `ret_length` are written with ENTITY_PART. */
CHECKED enum entity_range entity_read_range(const char *header, int64_t size, int64_t *ret_first,
                                            int64_t *ret_length);
