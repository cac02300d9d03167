/* SPDX-License-Identifier: Apache-2.0
 *
 * Text as a picture: laid out by Pango (shaping, wrapping, ellipsis, CJK, right-to-left, Thai,
 * emoji), drawn by Cairo, blended into frames. Text is data, never markup. Single-threaded, in the
 * helper. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"

enum caption_style {
    CAPTION_SUBTITLE, /* at the foot: at most 3 lines, ellipsised, a soft dark plate behind */
    CAPTION_TITLE,    /* in the middle, large, at most 8 lines, ellipsised */
    CAPTION_MARK,     /* a small translucent word in the lower right corner */
};

struct caption;

/* Lays out and draws `text` (UTF-8; control characters become spaces, newlines stay in TITLE and
 * become spaces in SUBTITLE) for frames of width×height. NULL when the text shows nothing. */
struct caption *caption_new(const char *text, enum caption_style style, int width, int height);
struct caption *caption_free(struct caption *caption);

/* A CAPTION_MARK for frames whose size is not known yet: its fonts are read when it is made, and
 * caption_of_mark() opens no file. NULL when the text shows nothing. */
struct caption_mark;
struct caption_mark *caption_mark_new(const char *text);
struct caption_mark *
caption_mark_free(struct caption_mark *mark); /* for tests: a helper keeps it to its end */
struct caption *caption_of_mark(const struct caption_mark *mark, int width, int height);

/* Blends it into a yuv420p frame; `opacity` 0..1. */
void caption_blend(const struct caption *caption, uint8_t *const planes[3], const int strides[3],
                   double opacity);
