/* SPDX-License-Identifier: Apache-2.0
 *
 * Few colours for many: a palette made for given pictures by median cut, and pixels mapped to it
 * with an ordered dither (which, unlike error diffusion, leaves still parts of moving pictures
 * still). Pure; single-threaded. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { PALETTE_MAX = 255 }; /* one of a GIF's 256 stays free: transparent */

struct palette;

struct palette *palette_new(void); /* never NULL */
struct palette *palette_free(struct palette *palette);
/* Counts the colours of `n` RGB pixels (3 bytes each). Before palette_make(). */
void palette_count(struct palette *palette, const uint8_t *rgb, size_t n);
/* Chooses the colours; returns how many, 1..PALETTE_MAX (0 when nothing was counted). */
int palette_make(struct palette *palette);
/* Colour `index` as 0xffRRGGBB. */
uint32_t palette_colour(const struct palette *palette, int index);
/* Maps a row of `width` RGB pixels at height `y` to indexes. After palette_make(). */
void palette_map_row(struct palette *palette, const uint8_t *rgb, int width, int y,
                     uint8_t *ret_indexes);
