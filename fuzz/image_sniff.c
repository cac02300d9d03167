/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image file says of itself. Sizes are positive, and a beginning that suffices says the
 * same as the whole file. */
#include "harness.h"

#include "task/image.h"

/* A copy of just so many bytes: reading past them is seen. */
static void check_beginning(const uint8_t *data, size_t length, const struct image_info *whole)
{
    CLEANUP(free_pointer) uint8_t *copy = must_calloc(length > 0 ? length : 1, 1);
    memcpy(copy, data, length);
    struct image_info info = {0};
    if (!image_sniff(copy, length, &info))
        return;
    must(whole != NULL && info.type == whole->type);
    must(info.width == whole->width && info.height == whole->height);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_info info = {0};
    bool is_image = image_sniff(data, size, &info);
    if (is_image) {
        must(info.width >= 1 && info.width <= INT32_MAX);
        must(info.height >= 1 && info.height <= INT32_MAX);
        must(strncmp(image_type_mime(info.type), "image/", 6) == 0);
        must(image_type_extension(info.type)[0] != '\0');
    }
    if (size > 0) {
        check_beginning(data, size - 1, is_image ? &info : NULL);
        check_beginning(data, data[size - 1] % size, is_image ? &info : NULL);
    }
    return 0;
}
