/* SPDX-License-Identifier: Apache-2.0
 *
 * A sprite sheet: frames from all over a video, small, side by side in one picture. Single-threaded, in the helper. */
#pragma once

#include <libavutil/frame.h>

#include "base/compiler.h"

enum {
    SHEET_COLUMNS = 4,
    SHEET_TILES = 16,          /* at most; fewer where the video has fewer frames */
    SHEET_TILE_SIDE_MAX = 240, /* the long one */
};

struct sheet;

/* A sheet of a video of width×height. Never NULL. */
struct sheet *sheet_new(int width, int height);
struct sheet *sheet_free(struct sheet *sheet); /* takes and returns NULL */
/* Offers the video's next frame (each one, from the first); it takes those that it needs. 0 or negative AVERROR. */
CHECKED int sheet_offer(struct sheet *sheet, const AVFrame *frame);
/* Writes what was offered (at least one frame), evenly spaced, row by row from the top left, as WebP to an empty file. 0 or
 * negative AVERROR. */
CHECKED int sheet_write(const struct sheet *sheet, int fd);
