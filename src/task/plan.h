/* SPDX-License-Identifier: Apache-2.0
 *
 * From the words of a request to pixels and frames. Pure. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"

struct plan {
    char orientation[12]; /* portrait | landscape | square */
    int width, height;    /* even, 16-aligned where computed */
};

/* small portrait 352×640, small landscape 640×352, small square 480×480; large 704×1280, 1280×704,
 * 960×960. `size` may also be 720P (small), 1080P (large; words in any case), or WIDTHxHEIGHT (also
 * with `*` or `×`; rounded to even, each side 64..1920), which decides alone; a shape in its place
 * (16x9, 9:16) counts as an aspect ratio. An aspect ratio "W:H" (1..100 each, at most 4 to 1)
 * outweighs the orientation and, unless it is just 9:16, 16:9 or 1:1, is computed in the area of the
 * class. The plan's orientation is that of its pixels. NULL = not asked; defaults: small, portrait.
 * An unknown word: false, with what would be right in `ret_error`. */
CHECKED bool plan_make(const char *size, const char *orientation, const char *aspect_ratio,
                       struct plan *ret_plan, char ret_error[200]);

/* What the words name, before any of it becomes our own pixels; for engines that have sizes of their own. */
struct plan_wish {
    int width, height;             /* pixels that were named; 0: none were */
    int ratio_width, ratio_height; /* in lowest terms, never 0 */
    int lines; /* of the shorter side: the named pixels', else 720 of the small class, 1080 of the large one */
    bool has_lines; /* they were named: by pixels, 720P or 1080P */
};

/* False where plan_make() is. */
CHECKED bool plan_read_wish(const char *size, const char *orientation, const char *aspect_ratio,
                            struct plan_wish *ret_wish);
