/* SPDX-License-Identifier: Apache-2.0
 *
 * A moving backdrop for a video without images: soft fields of colour that flow. Palette, shape and
 * motion follow from a text and a seed. Single-threaded, in the helper. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"

struct backdrop;

struct backdrop *backdrop_new(const char *text, int64_t seed, int width, int height);
struct backdrop *backdrop_free(struct backdrop *backdrop);
/* Fills a yuv420p frame (BT.709, limited range) with the backdrop at `seconds`. */
void backdrop_draw(struct backdrop *backdrop, double seconds, uint8_t *const planes[3],
                   const int strides[3]);
