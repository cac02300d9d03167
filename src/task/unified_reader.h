/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two halves of reading a create request share: unified_decode.c and unified_images.c.
 * Nobody else includes it. */
#pragma once

#include "task/unified.h"

enum { UNIFIED_URL_BYTES = 8192 }; /* longest URL that a request may hold */

struct unified_reader {
    const json_t *body;
    const json_t *metadata; /* an object or NULL; of the body, or parsed out of its text */
    long *members_left; /* of JSON that came as text, in all: what is parsed out of it is kept */
    size_t n_parts;
    const struct unified_limits *limits;
    struct unified_decoded *decoded;
    struct unified_fault *fault;
};

/* Fills the fault; returns false, so that a reader can end with it. */
bool unified_fail(const struct unified_reader *reader, const char *param, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Neither absent, null nor the empty string. */
bool unified_is_asked(const json_t *value);
bool unified_is_http(const char *text); /* begins with http:// or https:// */
/* Holds control characters, white space or invisible marks? `text` is good UTF-8. */
bool unified_has_blank(const char *text);
/* A list or an object that came as text, as form fields do; kept alive by what is decoded. NULL
 * when `text` is neither, or there is more of it in the request than the limits of JSON allow. */
const json_t *unified_parse_kept(const struct unified_reader *reader, const char *text);

/* Collects the images of the request, in order, into reader->decoded. False with the fault filled.
 */
CHECKED bool unified_read_images(const struct unified_reader *reader);
bool unified_is_image_field(const char *key);
