/* SPDX-License-Identifier: Apache-2.0
 *
 * Text laid out for a frame: cleaned, in the largest type that fits its style, in lines of even
 * length. Single-threaded, in the helper. */
#pragma once

#include <pango/pangocairo.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "media/caption.h"

struct typeset {
    PangoLayout *layout;
    PangoFontDescription *font;
    const struct look *look; /* the style's measures */
    int width, height;       /* of the frame */
    double type_px;          /* the size chosen */
};

/* How a style is drawn: opacities. */
struct typeset_ink {
    double text, shadow, plate;
};

/* The share of the frame that is kept free on every side. */
#define TYPESET_SAFE_MARGIN 0.06

/* False when the text shows nothing. */
CHECKED bool typeset_init(struct typeset *typeset, const char *text, enum caption_style style,
                          int width, int height);
void typeset_fini(struct typeset *typeset);
struct typeset_ink typeset_ink(const struct typeset *typeset);
