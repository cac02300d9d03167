/* SPDX-License-Identifier: Apache-2.0
 *
 * Still pictures in the helper: decoding an input image and sampling it in motion. Single-threaded.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum { PICTURE_PIXELS_MAX = 100 * 1000 * 1000, PICTURE_FILE_BYTES_MAX = 64 << 20 };

/* Planar YCbCr 4:4:4, BT.709, limited range: three planes of width * height bytes. */
struct picture {
    int width, height;
    uint8_t *plane[3];
};

/* Decodes the first frame of a PNG, JPEG (EXIF orientation honoured), WebP (also animated) or GIF
 * from a descriptor; transparency is laid over black; large ones are scaled down so that no side
 * passes `max_side` (area-averaged). 0, or negative AVERROR/errno (-EFBIG: passes a limit above).
 */
CHECKED int picture_load(int fd, int max_side, struct picture *ret_picture);
void picture_fini(struct picture *picture);

/* A view of a picture: the rectangle (in picture pixels, real numbers, inside the picture) that
 * fills the whole output. */
struct picture_window {
    double x, y, width, height;
};

/* A new picture of width×height that shows `window` of `picture`, rounded to whole pixels:
 * area-averaged when it shrinks, bicubic when it grows. 0, or negative AVERROR. */
CHECKED int picture_resize(const struct picture *picture, const struct picture_window *window,
                           int width, int height, struct picture *ret_picture);

/* Samples `window` bilinearly into yuv420p planes of width×height (chroma half size, even sides).
 * `weight` 0..256 blends it over what is in the planes (256: replaces). */
void picture_sample(const struct picture *picture, const struct picture_window *window, int width,
                    int height, uint8_t *const planes[3], const int strides[3], int weight);
