/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of reading a create request share: unified_decode.c, unified_wish.c and unified_images.c.
 * Nobody else includes it. */
#pragma once

#include "task/unified.h"

enum { UNIFIED_URL_BYTES = 8192 }; /* longest URL that a request may hold */

#define UNIFIED_WHOLE_MAX INT64_C(9007199254740991) /* 2^53 - 1: whole in every JSON reader */

enum wish {
    WISH_MODEL,
    WISH_PROMPT,
    WISH_ORIENTATION,
    WISH_SIZE,
    WISH_ASPECT_RATIO,
    WISH_HD,
    WISH_WIDTH,
    WISH_HEIGHT,
    WISH_DURATION,
    WISH_SEED,
    WISH_PRIORITY,
    WISH_WATERMARK,
    WISH_PRIVATE,
    WISH_STORYBOARD,
    WISH_ENHANCE_PROMPT,
    WISH_TITLE,
    WISH_STYLE,
    WISH_NEGATIVE_PROMPT,
    WISH_CHARACTER_URL,
    WISH_CHARACTER_TIMESTAMPS,
    WISH_TAGS,
    WISH_WEBHOOK_URL,
    WISH_COUNT
};

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
bool unified_is_http(const char *text); /* begins with http:// or https:// */
/* Holds control characters, white space or invisible marks? `text` is good UTF-8. */
bool unified_has_blank(const char *text);
/* A list or an object that came as text, as form fields do; kept alive by what is decoded. NULL
 * when `text` is neither, or there is more of it in the request than the limits of JSON allow. */
const json_t *unified_parse_kept(const struct unified_reader *reader, const char *text);

/* The value of a wish, borrowed, and the name it came by; NULL and its usual name when not asked. */
const json_t *unified_find(const struct unified_reader *reader, enum wish wish,
                           const char **ret_name);
/* Is the value of a field called `name` a text of at most so many bytes, UTF-8 without NUL? */
CHECKED bool unified_check_text(const struct unified_reader *reader, const char *name,
                                const json_t *value, size_t max_bytes);
/* Each writes only where the wish is asked. False with the fault filled. `ret_text` is malloc'ed. */
CHECKED bool unified_read_text(const struct unified_reader *reader, enum wish wish,
                               size_t max_bytes, char **ret_text);
CHECKED bool unified_read_whole(const struct unified_reader *reader, enum wish wish, int64_t min,
                                int64_t max, int64_t *number);
/* `ret_has` may be NULL. */
CHECKED bool unified_read_flag(const struct unified_reader *reader, enum wish wish, bool *ret_has,
                               bool *flag);

/* Collects the images of the request, in order, into reader->decoded. False with the fault filled.
 */
CHECKED bool unified_read_images(const struct unified_reader *reader);
bool unified_is_image_field(const char *key);
