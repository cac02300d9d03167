/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing byte string with a ceiling. Text in it always ends in NUL (not counted in `length`).
 * What would pass the ceiling is not added, and `overflowed` stays true: builders check once, at
 * their end. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct buf {
    char *data; /* NULL while empty; use buf_text() for a C string */
    size_t length;
    size_t capacity;
    size_t max; /* ceiling of `length` */
    bool overflowed;
};

void buf_init(struct buf *buf, size_t max);
void buf_fini(struct buf *buf);  /* may be called twice; usable with CLEANUP(buf_fini) */
void buf_clear(struct buf *buf); /* empty again, memory kept */
void buf_add(struct buf *buf, const void *data, size_t length);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Adds `text` as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void buf_json_string(struct buf *buf, const char *text);
/* Adds `text` percent-encoded (RFC 3986): unreserved characters stay, and those in `keep`. */
void buf_percent_encode(struct buf *buf, const char *text, const char *keep);
const char *buf_text(const struct buf *buf); /* never NULL */
/* Gives the memory away (malloc'ed, NUL-terminated, never NULL); the buf is empty afterwards. */
char *buf_take(struct buf *buf);
