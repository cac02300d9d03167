/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing byte strings. Invariants: data is NULL exactly when capacity is 0; otherwise
 * length < capacity <= max + 1 and data[length] is NUL. A size that memory cannot hold counts
 * as an overflow, for the outside may have chosen it. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/must.h"

enum { LEAST_CAPACITY = 64 };

void buf_init(struct buf *buf, size_t max)
{
    must(max < SIZE_MAX / 4);
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.max = buf->max};
}

void buf_clear(struct buf *buf)
{
    buf->length = 0;
    buf->overflowed = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

/* Makes room for `more` bytes and a NUL; false (and overflowed) when that passes the ceiling. */
static bool reserve(struct buf *buf, size_t more)
{
    if (more > buf->max - buf->length) {
        buf->overflowed = true;
        return false;
    }
    size_t need = buf->length + more + 1;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity > 0 ? buf->capacity : LEAST_CAPACITY;
    while (capacity < need)
        capacity *= 2;
    if (capacity > buf->max + 1)
        capacity = buf->max + 1;
    char *data = realloc(buf->data, capacity);
    if (data == NULL) {
        buf->overflowed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void buf_add(struct buf *buf, const void *data, size_t length)
{
    if (length == 0 || !reserve(buf, length))
        return;
    memcpy(buf->data + buf->length, data, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        buf->overflowed = true;
        return;
    }
    if (!reserve(buf, (size_t)length))
        return;
    va_start(args, format);
    vsnprintf(buf->data + buf->length, (size_t)length + 1, format, args);
    va_end(args);
    buf->length += (size_t)length;
}

/* How many characters at `text` stand in a JSON string as they are and need no decoding. */
static size_t plain_run(const char *text)
{
    size_t run = 0;
    while (text[run] >= ' ' && text[run] < 0x7f && text[run] != '"' && text[run] != '\\')
        run++;
    return run;
}

void buf_json_string(struct buf *buf, const char *text)
{
    const char *end = text + strlen(text);
    buf_putc(buf, '"');
    while (text < end) {
        size_t run = plain_run(text);
        buf_add(buf, text, run);
        text += run;
        if (text == end)
            break;
        char piece[CODEC_PIECE_SIZE];
        text += codec_json_step(text, (size_t)(end - text), piece);
        buf_puts(buf, piece);
    }
    buf_putc(buf, '"');
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void buf_percent_encode(struct buf *buf, const char *text, const char *keep)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (is_unreserved(*text) || strchr(keep, *text) != NULL) {
            buf_putc(buf, *text);
            continue;
        }
        char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
        buf_add(buf, escape, sizeof(escape));
    }
}

const char *buf_text(const struct buf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

char *buf_take(struct buf *buf)
{
    char *data = buf->data != NULL ? buf->data : must_strdup("");
    *buf = (struct buf){.max = buf->max};
    return data;
}
