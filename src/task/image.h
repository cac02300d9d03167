/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image file says of itself in its first bytes. Pure, bounded, for bytes from anywhere:
 * it reads headers only, so the gateway can judge type and size without a decoder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum image_type { IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP, IMAGE_GIF };

struct image_info {
    enum image_type type;
    int64_t width, height; /* pixels, at least 1 */
};

/* Recognises PNG (ISO 15948), JPEG (ITU T.81; walks markers to the SOF), WebP (RFC 9649; VP8, VP8L,
 * VP8X) and GIF (89a) by content. False when the bytes are none of them or end too early. */
CHECKED bool image_sniff(const uint8_t *bytes, size_t length, struct image_info *ret_info);
const char *image_type_mime(enum image_type type);      /* image/png … */
const char *image_type_extension(enum image_type type); /* png, jpg, webp, gif */
