/* SPDX-License-Identifier: Apache-2.0
 *
 * Recognises image files by content and reads their size from their headers. Invariant: no byte
 * past `length` is read, and the work is linear in it. Pure: any thread. */
#include "task/image.h"

#include <string.h>

#include "base/must.h"

enum { JPEG_SOI = 0xD8, JPEG_EOI = 0xD9, JPEG_SOS = 0xDA, JPEG_TEM = 0x01 };

static const struct type_row {
    const char *mime, *extension;
} type_rows[] = {
    [IMAGE_PNG] = {"image/png", "png"},
    [IMAGE_JPEG] = {"image/jpeg", "jpg"},
    [IMAGE_WEBP] = {"image/webp", "webp"},
    [IMAGE_GIF] = {"image/gif", "gif"},
};

static uint32_t little(const uint8_t *bytes, size_t n)
{
    uint32_t value = 0;
    for (size_t i = n; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static uint32_t big(const uint8_t *bytes, size_t n)
{
    uint32_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | bytes[i];
    return value;
}

static bool begins(const uint8_t *bytes, size_t length, const char *magic, size_t n)
{
    return length >= n && memcmp(bytes, magic, n) == 0;
}

static bool finish(enum image_type type, int64_t width, int64_t height, struct image_info *ret_info)
{
    if (width < 1 || height < 1)
        return false;
    *ret_info = (struct image_info){.type = type, .width = width, .height = height};
    return true;
}

/* The IHDR chunk comes first, 13 bytes long, width and height at its front. */
static bool sniff_png(const uint8_t *bytes, size_t length, struct image_info *ret_info)
{
    if (!begins(bytes, length, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16) || length < 24)
        return false;
    uint32_t width = big(bytes + 16, 4), height = big(bytes + 20, 4);
    if (width > INT32_MAX || height > INT32_MAX)
        return false;
    return finish(IMAGE_PNG, width, height, ret_info);
}

static bool jpeg_is_frame(uint8_t marker)
{
    /* C4, C8 and CC in the row of the SOFs are tables and an extension. */
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

static bool jpeg_is_bare(uint8_t marker) /* has no length behind it */
{
    return marker == JPEG_TEM || (marker >= 0xD0 && marker <= JPEG_SOI);
}

static bool sniff_jpeg(const uint8_t *bytes, size_t length, struct image_info *ret_info)
{
    if (!begins(bytes, length, "\xff\xd8\xff", 3))
        return false;
    size_t at = 2;
    while (length - at >= 2 && bytes[at] == 0xFF) {
        uint8_t marker = bytes[at + 1];
        if (marker == 0xFF) { /* a fill byte */
            at++;
            continue;
        }
        at += 2;
        if (jpeg_is_bare(marker))
            continue;
        if (marker == JPEG_EOI || marker == JPEG_SOS || length - at < 2)
            return false;
        size_t segment = big(bytes + at, 2);
        if (segment < 2 || segment > length - at)
            return false;
        if (jpeg_is_frame(marker))
            return segment >= 8 &&
                   finish(IMAGE_JPEG, big(bytes + at + 5, 2), big(bytes + at + 3, 2), ret_info);
        at += segment;
    }
    return false;
}

/* `bytes` is the payload of the first chunk. */
static bool sniff_webp_chunk(const char *kind, const uint8_t *bytes, size_t length,
                             struct image_info *ret_info)
{
    if (memcmp(kind, "VP8 ", 4) == 0 && length >= 10) {
        bool is_key_frame = (bytes[0] & 1) == 0 && memcmp(bytes + 3, "\x9d\x01\x2a", 3) == 0;
        return is_key_frame && finish(IMAGE_WEBP, little(bytes + 6, 2) & 0x3FFF,
                                      little(bytes + 8, 2) & 0x3FFF, ret_info);
    }
    if (memcmp(kind, "VP8L", 4) == 0 && length >= 5 && bytes[0] == 0x2F) {
        uint32_t bits = little(bytes + 1, 4);
        return finish(IMAGE_WEBP, (int64_t)(bits & 0x3FFF) + 1, (int64_t)(bits >> 14 & 0x3FFF) + 1,
                      ret_info);
    }
    if (memcmp(kind, "VP8X", 4) == 0 && length >= 10)
        return finish(IMAGE_WEBP, (int64_t)little(bytes + 4, 3) + 1,
                      (int64_t)little(bytes + 7, 3) + 1, ret_info);
    return false;
}

static bool sniff_webp(const uint8_t *bytes, size_t length, struct image_info *ret_info)
{
    if (length < 20 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WEBP", 4) != 0)
        return false;
    char kind[4];
    memcpy(kind, bytes + 12, sizeof kind);
    return sniff_webp_chunk(kind, bytes + 20, length - 20, ret_info);
}

static bool sniff_gif(const uint8_t *bytes, size_t length, struct image_info *ret_info)
{
    if (!begins(bytes, length, "GIF87a", 6) && !begins(bytes, length, "GIF89a", 6))
        return false;
    return length >= 10 && finish(IMAGE_GIF, little(bytes + 6, 2), little(bytes + 8, 2), ret_info);
}

bool image_sniff(const uint8_t *bytes, size_t length, struct image_info *ret_info)
{
    return sniff_png(bytes, length, ret_info) || sniff_jpeg(bytes, length, ret_info) ||
           sniff_webp(bytes, length, ret_info) || sniff_gif(bytes, length, ret_info);
}

const char *image_type_mime(enum image_type type)
{
    must((size_t)type < ARRAY_LENGTH(type_rows));
    return type_rows[type].mime;
}

const char *image_type_extension(enum image_type type)
{
    must((size_t)type < ARRAY_LENGTH(type_rows));
    return type_rows[type].extension;
}
