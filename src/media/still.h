/* SPDX-License-Identifier: Apache-2.0
 *
 * One still picture out of an image file's bytes. Runs in the helper: the bytes are a stranger's.
 */
#pragma once

#include <libavutil/frame.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct still {
    AVFrame *frame;  /* as decoded: any pixel format; colour details set */
    int orientation; /* EXIF: 1 (upright) .. 8 */
};

/* Decodes the first picture of a PNG, JPEG, WebP (still or animated) or GIF of at most `pixels_max`
 * pixels; `bytes` must be followed by AV_INPUT_BUFFER_PADDING_SIZE zero bytes. 0; -EFBIG: more
 * pixels; or negative AVERROR: not decodable. */
CHECKED int still_decode(const uint8_t *bytes, size_t length, int64_t pixels_max,
                         struct still *ret_still);
void still_fini(struct still *still);
