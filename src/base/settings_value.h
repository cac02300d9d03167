/* SPDX-License-Identifier: Apache-2.0
 *
 * The values of settings as text and back; the half of base/settings.h that knows no file. Pure but
 * for settings_expand(), which reads the environment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

enum settings_type {
    SETTINGS_TEXT,
    SETTINGS_FLAG,
    SETTINGS_COUNT,
    SETTINGS_BYTES,
    SETTINGS_SPAN,
    SETTINGS_LIST,
    SETTINGS_TREE, /* a list or group that has a reader of its own */
};

enum { SETTINGS_NUMBER_SIZE = 32, SETTINGS_NAME_SIZE = 65 };

CHECKED bool settings_parse_flag(const char *text, bool *ret_flag);
/* A whole number, with a sign if need be; what passes 64 bits saturates. */
CHECKED bool settings_parse_count(const char *text, int64_t *ret_count);
/* Any of COUNT, BYTES and SPAN. */
CHECKED bool settings_parse_number(enum settings_type type, const char *text, int64_t *ret_number);
/* `10`, `64MiB`, `24h`: in the largest unit that divides the number. */
void settings_write_number(enum settings_type type, int64_t number,
                           char ret_text[SETTINGS_NUMBER_SIZE]);
/* What a value of this type looks like, for messages: «a size (like 64MiB)». */
const char *settings_describe(enum settings_type type);

enum settings_expansion {
    SETTINGS_EXPANDED,
    SETTINGS_PLAIN,  /* there was nothing to replace */
    SETTINGS_UNSET,  /* `ret_name` is not in the environment */
    SETTINGS_BROKEN, /* a `${` that no name and `}` follow */
    SETTINGS_TOO_LONG,
};

/* Adds `text` to `out` with each `${NAME}` replaced and each `$${` made `${`. */
CHECKED enum settings_expansion settings_expand(const char *text, struct buf *out,
                                                char ret_name[SETTINGS_NAME_SIZE]);

/* What a text setting of this path must be, when `text` is not; else NULL. */
const char *settings_text_fault(const char *path, const char *text);
/* Is it `host`, `host:port`, `[address]` or `[address]:port`? */
bool settings_is_host(const char *text);
