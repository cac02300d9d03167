/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames brought to one size and pixel format, whatever comes in. Single-threaded, in the helper.
 */
#pragma once

#include <libavutil/frame.h>
#include <libavutil/pixfmt.h>
#include <stdbool.h>

#include "base/compiler.h"

struct scaler;

/* A scaler to width×height; `format` is AV_PIX_FMT_YUV420P (limited range; colours of a YUV source
 * stay in its matrix, others become BT.709), AV_PIX_FMT_YUVJ420P (as JPEG files have it: full range,
 * BT.601, whatever the source has) or AV_PIX_FMT_RGB24. Never NULL. */
struct scaler *scaler_new(int width, int height, enum AVPixelFormat format);
/* As scaler_new(), for much smaller pictures: each pixel is the mean of those that it covers, which
 * looks no worse then and takes a third of the time. */
struct scaler *scaler_new_shrinking(int width, int height, enum AVPixelFormat format);
/* Scales `frame` into a frame of the scaler's own, writable, valid until the next call. 0 or
 * negative AVERROR: a format that cannot be converted. */
CHECKED int scaler_run(struct scaler *scaler, const AVFrame *frame, AVFrame **ret_frame);
struct scaler *scaler_free(struct scaler *scaler);
/* Does this pixel format hold red, green and blue, so that its frames have no matrix of their own?
 */
bool scaler_is_rgb(int format);
