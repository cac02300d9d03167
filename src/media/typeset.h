/* SPDX-License-Identifier: Apache-2.0
 *
 * Text laid out for a frame: cleaned, in the largest type that fits its style, in lines of even
 * length. Or, where the frame's size is known only when no font can be read any more, an outline of
 * the text taken before and scaled. Single-threaded, in the helper. */
#pragma once

#include <pango/pangocairo.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "media/caption.h"

/* A text's shape in CAPTION_MARK's look, for any frame. */
struct typeset_outline;

struct typeset {
    PangoLayout *layout; /* NULL: set from an outline */
    PangoFontDescription *font;
    const struct typeset_outline *outline; /* borrowed; NULL: laid out */
    const struct look *look;               /* the style's measures */
    int width, height;                     /* of the frame */
    double type_px;                        /* the size chosen */
};

/* How a style is drawn: opacities. */
struct typeset_ink {
    double text, shadow, plate;
};

/* Where the lines lie, relative to the point that typeset_show() draws at; in pixels. */
struct typeset_box {
    double x, y, width, height;
};

/* The share of the frame that is kept free on every side. */
#define TYPESET_SAFE_MARGIN 0.06

/* False when the text shows nothing. */
CHECKED bool typeset_init(struct typeset *typeset, const char *text, enum caption_style style,
                          int width, int height);
void typeset_fini(struct typeset *typeset);
struct typeset_box typeset_box(const struct typeset *typeset);
/* Draws in the current colour at the current point. */
void typeset_show(const struct typeset *typeset, cairo_t *cairo);
struct typeset_ink typeset_ink(const struct typeset *typeset);

/* The last that reads fonts. NULL when the text shows nothing. */
struct typeset_outline *typeset_outline_new(const char *text);
struct typeset_outline *typeset_outline_free(struct typeset_outline *outline);
/* Like typeset_init(), of an outline that must stay; opens no file. */
void typeset_init_outlined(struct typeset *typeset, const struct typeset_outline *outline,
                           int width, int height);
