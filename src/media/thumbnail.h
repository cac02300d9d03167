/* SPDX-License-Identifier: Apache-2.0
 *
 * A frame as a WebP still. Single-threaded, in the helper. */
#pragma once

#include <libavutil/frame.h>

#include "base/compiler.h"

enum { THUMBNAIL_SIDE_MAX = 1280 };

/* Writes `frame` (any pixel format), scaled down where its long side passes THUMBNAIL_SIDE_MAX, to
 * an empty file. 0 or negative AVERROR. */
CHECKED int thumbnail_write(const AVFrame *frame, int fd);
