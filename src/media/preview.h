/* SPDX-License-Identifier: Apache-2.0
 *
 * The preview of a video: its first seconds as a small looping GIF. Single-threaded, in the helper.
 */
#pragma once

#include <libavutil/frame.h>
#include <libavutil/rational.h>
#include <stdbool.h>

#include "base/compiler.h"

enum {
    PREVIEW_WIDTH_MAX = 240,
    PREVIEW_HEIGHT_MAX = 640,
    PREVIEW_FPS = 10,
    PREVIEW_MS = 3000,
};

struct preview;

/* A preview of a video of width×height with `frame_rate`. Never NULL. */
struct preview *preview_new(int width, int height, AVRational frame_rate);
struct preview *preview_free(struct preview *preview);
/* Offers the video's next frame (each one, from the first); it takes those that it needs. 0 or
 * negative AVERROR. */
CHECKED int preview_offer(struct preview *preview, const AVFrame *frame);
/* Writes the GIF of what was offered (at least one frame) to an empty file. 0 or negative AVERROR.
 */
CHECKED int preview_write(struct preview *preview, int fd);
