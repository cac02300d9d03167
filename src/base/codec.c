/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as text and back. Pure functions over the caller's memory: no allocation, no state. All
 * text may come from outside, so each decoder looks at a byte before it believes it. */
#include "base/codec.h"

#include <string.h>

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char BASE64URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char HEX[] = "0123456789abcdef";

size_t codec_base64_length(size_t length)
{
    return length / 3 * 4 + (length % 3 > 0 ? 4 : 0);
}

static void encode_base64(const uint8_t *data, size_t length, const char *alphabet, bool is_padded,
                          char *text)
{
    size_t at = 0;
    for (; at + 3 <= length; at += 3) {
        unsigned bits = (unsigned)data[at] << 16 | (unsigned)data[at + 1] << 8 | data[at + 2];
        *text++ = alphabet[bits >> 18];
        *text++ = alphabet[bits >> 12 & 63];
        *text++ = alphabet[bits >> 6 & 63];
        *text++ = alphabet[bits & 63];
    }
    size_t left = length - at;
    if (left > 0) {
        unsigned bits = (unsigned)data[at] << 16 | (left > 1 ? (unsigned)data[at + 1] << 8 : 0);
        *text++ = alphabet[bits >> 18];
        *text++ = alphabet[bits >> 12 & 63];
        if (left > 1)
            *text++ = alphabet[bits >> 6 & 63];
        for (size_t pad = left; is_padded && pad < 3; pad++)
            *text++ = '=';
    }
    *text = '\0';
}

void codec_base64_encode(const void *data, size_t length, char *ret_text)
{
    encode_base64(data, length, BASE64, true, ret_text);
}

void codec_base64url_encode(const void *data, size_t length, char *ret_text)
{
    encode_base64(data, length, BASE64URL, false, ret_text);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The six bits of a character in either alphabet, or -1. */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

bool codec_base64_decode(const char *text, size_t length, uint8_t *ret_data, size_t *ret_length)
{
    size_t sextets = 0;
    size_t pads = 0;
    size_t written = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < length; i++) {
        if (is_space(text[i]))
            continue;
        if (text[i] == '=') {
            pads++;
            continue;
        }
        int value = base64_value(text[i]);
        if (value < 0 || pads > 0)
            return false;
        bits = (bits << 6 | (unsigned)value) & 0xffffff;
        sextets++;
        if (sextets % 4 != 1) /* each sextet but the first of four completes a byte */
            ret_data[written++] = (uint8_t)(bits >> (4 - sextets % 4) % 4 * 2);
    }
    if (sextets % 4 == 1 || (pads > 0 && (pads > 2 || (sextets + pads) % 4 != 0)))
        return false;
    *ret_length = written;
    return true;
}

void codec_hex_encode(const void *data, size_t length, char *ret_text)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        *ret_text++ = HEX[bytes[i] >> 4];
        *ret_text++ = HEX[bytes[i] & 15];
    }
    *ret_text = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool codec_hex_decode(const char *text, uint8_t *ret_data, size_t length)
{
    if (strnlen(text, 2 * length + 1) != 2 * length)
        return false;
    for (size_t i = 0; i < 2 * length; i++) {
        if (hex_value(text[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < length; i++)
        ret_data[i] = (uint8_t)(hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]));
    return true;
}

/* The byte that `%XX` at `text` stands for, or -1 when it is broken or NUL. */
static int percent_value(const char *text)
{
    int high = hex_value(text[1]);
    int low = high < 0 ? -1 : hex_value(text[2]);
    if (low < 0 || (high == 0 && low == 0))
        return -1;
    return high << 4 | low;
}

bool codec_percent_decode(char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '%' && percent_value(c) < 0)
            return false;
    }
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '%') {
            *to++ = (char)percent_value(from);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return true;
}

/* How many bytes a character takes that begins with `first`, and the least code point of that
 * length (a smaller one is overlong). 0 when no character begins so. */
static size_t utf8_width(uint8_t first, uint32_t *ret_least)
{
    size_t width = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    *ret_least = least[width];
    return first > 0xf4 ? 0 : width;
}

size_t codec_utf8_step(const char *text, size_t length, uint32_t *ret_code)
{
    const uint8_t *bytes = (const uint8_t *)text;
    uint32_t least;
    size_t width = utf8_width(bytes[0], &least);
    *ret_code = 0xfffd;
    if (width == 0 || width > length)
        return 1;
    uint32_t code = width == 1 ? bytes[0] : bytes[0] & (0x7fu >> width);
    for (size_t i = 1; i < width; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 1;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 1;
    *ret_code = code;
    return width;
}

bool codec_is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            return false;
    }
    return true;
}

bool codec_has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    if (length == 0 || strchr(word, ' ') != NULL)
        return false;
    for (const char *at = words; (at = strstr(at, word)) != NULL; at++) {
        bool begins = at == words || at[-1] == ' ';
        if (begins && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

bool codec_is_utf8(const char *text, size_t length)
{
    while (length > 0) {
        uint32_t code;
        size_t width = codec_utf8_step(text, length, &code);
        if (code == 0 || (code == 0xfffd && width == 1))
            return false;
        text += width;
        length -= width;
    }
    return true;
}

size_t codec_utf8_count(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((uint8_t)*text & 0xc0) != 0x80;
    return count;
}

size_t codec_utf8_fit(const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);
    if (length <= most)
        return length;
    length = most;
    while (length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80)
        length--;
    return length;
}

/* The letter of JSON's two-character escapes, or 0. */
static char short_escape(uint32_t code)
{
    switch (code) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

size_t codec_json_step(const char *text, size_t length, char ret_piece[CODEC_PIECE_SIZE])
{
    uint32_t code;
    size_t width = codec_utf8_step(text, length, &code);
    char letter = short_escape(code);
    if (letter != 0) {
        memcpy(ret_piece, (char[3]){'\\', letter, '\0'}, 3);
    } else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
        memcpy(ret_piece, "\\u00", 4);
        codec_hex_encode(&(uint8_t){(uint8_t)code}, 1, ret_piece + 4);
    } else if (code == 0xfffd) {
        memcpy(ret_piece, "\xef\xbf\xbd", 4);
    } else {
        memcpy(ret_piece, text, width);
        ret_piece[width] = '\0';
    }
    return width;
}
