/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of image files, whole, cut short and damaged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "task/image.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static const struct sample {
    const char *name;
    const uint8_t *bytes;
    size_t length, needed; /* the header ends here: shorter is no image */
    struct image_info info;
} samples[] = {
    {"png",
     BYTES("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x60\0\0\x02\x80\x08\x06"),
     24,
     {IMAGE_PNG, 352, 640}},
    {"jpeg",
     BYTES("\xff\xd8\xff\xe0\0\x06JFIF\xff\xc0\0\x0b\x08\x02\x80\x01\x60\x01\0\0\0"),
     23,
     {IMAGE_JPEG, 352, 640}},
    {"jpeg, progressive, fill bytes, table first",
     BYTES("\xff\xd8\xff\xff\xff\xc4\0\x03\0\xff\xc2\0\x08\x08\0\x10\0\x20\0"),
     19,
     {IMAGE_JPEG, 32, 16}},
    {"webp lossy",
     BYTES("RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0\0\0\0\x9d\x01\x2a\x60\x41\x80\x82\0"),
     30,
     {IMAGE_WEBP, 352, 640}},
    {"webp lossless",
     BYTES("RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f\x5f\xc1\x9f\0\0"),
     25,
     {IMAGE_WEBP, 352, 640}},
    {"webp extended",
     BYTES("RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\x5f\x01\0\x7f\x02\0\0"),
     30,
     {IMAGE_WEBP, 352, 640}},
    {"gif", BYTES("GIF89a\x60\x01\x80\x02\0"), 10, {IMAGE_GIF, 352, 640}},
    {"old gif", BYTES("GIF87a\x01\0\x01\0\0"), 10, {IMAGE_GIF, 1, 1}},
};

static void samples_are_recognised(void **context)
{
    (void)context;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        struct image_info info = {.width = -1};
        if (!image_sniff(samples[i].bytes, samples[i].length, &info))
            fail_msg("%s was not recognised", samples[i].name);
        assert_int_equal(info.type, samples[i].info.type);
        assert_int_equal(info.width, samples[i].info.width);
        assert_int_equal(info.height, samples[i].info.height);
    }
}

/* Copies of the exact length on the heap, so that a sanitizer sees every byte read too far. */
static bool sniff_copy(const uint8_t *bytes, size_t length, struct image_info *ret_info)
{
    uint8_t *copy = must_calloc(1, length + 1);
    uint8_t *exact = must_realloc(copy, length > 0 ? length : 1);
    memcpy(exact, bytes, length);
    bool is_image = image_sniff(exact, length, ret_info);
    free(exact);
    return is_image;
}

static void cut_headers_are_no_images(void **context)
{
    (void)context;
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++)
        for (size_t length = 0; length <= samples[i].length; length++) {
            struct image_info info = {.width = -1};
            bool is_image = sniff_copy(samples[i].bytes, length, &info);
            if (is_image != (length >= samples[i].needed))
                fail_msg("%s of %zu bytes: %d", samples[i].name, length, is_image);
            assert_true(is_image || info.width == -1);
        }
}

/* Every byte set to several values: whatever comes out has sane sides. */
static void damaged_headers_do_no_harm(void **context)
{
    (void)context;
    static const uint8_t values[] = {0x00, 0x01, 0x7F, 0x80, 0xC0, 0xD8, 0xFE, 0xFF};
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++)
        for (size_t at = 0; at < samples[i].length; at++)
            for (size_t v = 0; v < ARRAY_LENGTH(values); v++) {
                uint8_t bytes[64];
                struct image_info info;
                assert_true(samples[i].length <= sizeof bytes);
                memcpy(bytes, samples[i].bytes, samples[i].length);
                bytes[at] = values[v];
                if (sniff_copy(bytes, samples[i].length, &info)) {
                    assert_true(info.width >= 1 && info.width <= INT32_MAX);
                    assert_true(info.height >= 1 && info.height <= INT32_MAX);
                }
            }
}

static void what_is_no_image_is_refused(void **context)
{
    (void)context;
    static const struct {
        const uint8_t *bytes;
        size_t length;
    } rows[] = {
        {BYTES("")},
        {BYTES("<svg xmlns='http://www.w3.org/2000/svg'/>")},
        {BYTES("\0\0\0\x20"
               "ftypisom")},
        {BYTES("BM\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {BYTES("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\x02\x80\x08\x06")}, /* no width */
        {BYTES("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\xff\0\0\0\0\0\x02\x80\x08\x06")},
        {BYTES("GIF89a\0\0\x80\x02\0")},
        {BYTES("GIF88a\x01\0\x80\x02\0")},
        {BYTES("\xff\xd8\xff\xd9\0\0\0\0\0\0\0\0\0\0\0\0")}, /* ends before its frame */
        {BYTES("\xff\xd8\xff\xda\0\x08\0\0\0\0\0\0\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\0\0\0")},
        {BYTES(
            "\xff\xd8\xff\xe0\0\x01\0\0\0\0\0\0\0\0\0\0")}, /* a segment shorter than its length */
        {BYTES("\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\x10\x01\0\0\0\0")}, /* height comes later (DNL) */
        {BYTES("RIFF\x20\0\0\0WAVEVP8X\x0a\0\0\0\x10\0\0\0\x5f\x01\0\x7f\x02\0\0")},
        {BYTES("RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0\x01\0\0\x9d\x01\x2a\x60\x01\x80\x02\0")},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct image_info info;
        if (image_sniff(rows[i].bytes, rows[i].length, &info))
            fail_msg("row %zu passed", i);
    }
}

static void types_have_names(void **context)
{
    (void)context;
    assert_string_equal(image_type_mime(IMAGE_PNG), "image/png");
    assert_string_equal(image_type_mime(IMAGE_JPEG), "image/jpeg");
    assert_string_equal(image_type_mime(IMAGE_WEBP), "image/webp");
    assert_string_equal(image_type_mime(IMAGE_GIF), "image/gif");
    assert_string_equal(image_type_extension(IMAGE_PNG), "png");
    assert_string_equal(image_type_extension(IMAGE_JPEG), "jpg");
    assert_string_equal(image_type_extension(IMAGE_WEBP), "webp");
    assert_string_equal(image_type_extension(IMAGE_GIF), "gif");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_recognised),     cmocka_unit_test(cut_headers_are_no_images),
        cmocka_unit_test(damaged_headers_do_no_harm), cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
