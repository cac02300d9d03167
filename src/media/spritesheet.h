/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole film at a glance: evenly spaced frames as one JPEG, in reading order. Single-threaded, in
 * the helper. */
#pragma once

#include <libavutil/frame.h>
#include <stdint.h>

#include "base/compiler.h"

enum {
    SPRITESHEET_COLUMNS = 5,
    SPRITESHEET_CELLS_MAX = 25,
    SPRITESHEET_SIDE_MAX = 160, /* of a cell's longer side */
};

struct spritesheet;

/* A sheet of a film of width×height. `n_frames` is how many frames the film says it has, 0 when it
 * does not say. It may lie: too few cost time, more than twice too many cost cells. Never NULL. */
struct spritesheet *spritesheet_new(int width, int height, int64_t n_frames);
struct spritesheet *spritesheet_free(struct spritesheet *sheet);
/* Offers the film's next frame (each one, from the first); it takes those that it needs. 0 or
 * negative AVERROR. */
CHECKED int spritesheet_offer(struct spritesheet *sheet, const AVFrame *frame);
/* Writes the JPEG of what was offered (at least one frame) to an empty file: as many cells as there
 * were frames, at most SPRITESHEET_CELLS_MAX; of a last row that is not full the rest is black. 0 or
 * negative AVERROR. */
CHECKED int spritesheet_write(const struct spritesheet *sheet, int fd);
