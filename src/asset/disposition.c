/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of downloads. A name is a stem and an extension: up to 8 letters and digits after the last
 * dot. The extension stays as it is; the stem is cleaned character by character, so whatever is in
 * it, a file manager shows the extension last. */
#include "asset/disposition.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/must.h"

enum {
    STEM_MAX_BYTES = 180,
    EXTENSION_MAX = 8,
    NAME_MAX_BYTES = STEM_MAX_BYTES + 1 + EXTENSION_MAX,
    DISPOSITION_MAX_BYTES = 1024,
    REPLACEMENT = 0xfffd, /* what codec_utf8_step() says of a byte that is no text */
};

struct span {
    uint32_t first, last;
};

static bool is_in(uint32_t code, const struct span *spans, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (code >= spans[i].first && code <= spans[i].last)
            return true;
    }
    return false;
}

/* Whole lines of these would push the extension out of sight. */
static bool is_blank(uint32_t code)
{
    static const struct span blanks[] = {
        {' ', ' '},       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
        {0x202f, 0x202f}, {0x205f, 0x205f}, {0x2800, 0x2800}, {0x3000, 0x3000},
    };
    return is_in(code, blanks, ARRAY_LENGTH(blanks));
}

static bool is_bad(uint32_t code)
{
    static const struct span bad[] = {
        /* Controls, and what ends a line. */
        {0, 0x1f},
        {0x7f, 0x9f},
        {0x2028, 0x2029},
        /* Invisible; joiners stay, for emoji and Persian. */
        {0xad, 0xad},
        {0x115f, 0x1160},
        {0x180e, 0x180e},
        {0x200b, 0x200b},
        {0x2060, 0x2064},
        {0x3164, 0x3164},
        {0xfeff, 0xfeff},
        {0xffa0, 0xffa0},
        {0xfff9, 0xfffb},
        {0xe0000, 0xe0fff},
        /* They turn the direction of writing. */
        {0x061c, 0x061c},
        {0x200e, 0x200f},
        {0x202a, 0x202e},
        {0x2066, 0x206f},
        /* Taken for slashes. */
        {0x2044, 0x2044},
        {0x2215, 0x2216},
        {0x29f8, 0x29f9},
        {0xff0f, 0xff0f},
        {0xff3c, 0xff3c},
        /* No characters. */
        {REPLACEMENT, 0xffff},
    };
    if (code < 0x80 && code != 0 && strchr("\"\\/:*?<>|%;", (char)code) != NULL)
        return true;
    return is_in(code, bad, ARRAY_LENGTH(bad));
}

/* Where the extension begins, with its dot; the end when there is none. */
static const char *find_extension(const char *name)
{
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *dot = strrchr(name, '.');
    if (dot == NULL)
        return name + strlen(name);
    size_t length = strlen(dot + 1);
    bool is_one = length > 0 && length <= EXTENSION_MAX && strspn(dot + 1, alphabet) == length;
    return is_one ? dot : name + strlen(name);
}

static bool ends_with(const struct buf *text, const char *any)
{
    return text->length == 0 || strchr(any, text->data[text->length - 1]) != NULL;
}

static void add_clean_stem(struct buf *clean, const char *stem, size_t left)
{
    while (left > 0) {
        uint32_t code;
        size_t step = codec_utf8_step(stem, left, &code);
        bool is_leading_dot = code == '.' && clean->length == 0;
        if (clean->length + step > STEM_MAX_BYTES)
            break;
        if (is_blank(code)) {
            if (!ends_with(clean, " "))
                buf_putc(clean, ' ');
        } else if (is_bad(code)) {
            buf_putc(clean, '_');
        } else if (!is_leading_dot) {
            buf_add(clean, stem, step);
        }
        stem += step;
        left -= step;
    }
    while (clean->length > 0 && ends_with(clean, " ."))
        clean->data[--clean->length] = '\0';
    if (clean->length == 0)
        buf_puts(clean, "download");
}

/* One '_' for a character beyond ASCII. True when there was none. */
static bool add_ascii(struct buf *text, const char *clean)
{
    bool is_ascii = true;
    for (const unsigned char *c = (const unsigned char *)clean; *c != '\0'; c++) {
        bool is_start = (*c & 0xc0u) != 0x80;
        if (is_start)
            buf_putc(text, *c < 0x80 ? (char)*c : '_');
        is_ascii = is_ascii && *c < 0x80;
    }
    return is_ascii;
}

char *disposition_attachment(const char *name)
{
    struct buf clean;
    struct buf text;
    buf_init(&clean, NAME_MAX_BYTES);
    buf_init(&text, DISPOSITION_MAX_BYTES);
    const char *extension = find_extension(name);
    add_clean_stem(&clean, name, (size_t)(extension - name));
    buf_puts(&clean, extension);
    buf_puts(&text, "attachment; filename=\"");
    bool is_ascii = add_ascii(&text, buf_text(&clean));
    buf_putc(&text, '"');
    if (!is_ascii) {
        buf_puts(&text, "; filename*=UTF-8''");
        buf_percent_encode(&text, buf_text(&clean), "");
    }
    must(!clean.overflowed && !text.overflowed);
    buf_fini(&clean);
    return buf_take(&text);
}
