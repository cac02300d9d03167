/* SPDX-License-Identifier: Apache-2.0
 *
 * A cover over libswscale that gets colours right: a video's frames name their matrix and range,
 * and where they do not, size tells. Sources may change size and format from frame to frame. Runs
 * in the helper, single-threaded. */
#include "media/scale.h"

#include <libavutil/error.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

/* From this height on an unnamed matrix is that of high definition: players hold it so. */
enum { SCALE_HD_HEIGHT = 720 };

struct scaler {
    int method; /* one of libswscale's */
    struct SwsContext *sws;
    AVFrame *out;
};

static struct scaler *new_scaler(int width, int height, enum AVPixelFormat format, int method)
{
    struct scaler *scaler = must_calloc(1, sizeof *scaler);
    scaler->method = method;
    scaler->out = av_frame_alloc();
    must(scaler->out);
    scaler->out->width = width;
    scaler->out->height = height;
    scaler->out->format = format;
    return scaler;
}

struct scaler *scaler_new(int width, int height, enum AVPixelFormat format)
{
    return new_scaler(width, height, format, SWS_BICUBIC);
}

struct scaler *scaler_new_shrinking(int width, int height, enum AVPixelFormat format)
{
    return new_scaler(width, height, format, SWS_AREA);
}

bool scaler_is_rgb(int format)
{
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get((enum AVPixelFormat)format);
    return descriptor && (descriptor->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

/* The matrix of a YUV frame, as one of libswscale's SWS_CS_*. */
static int matrix(const AVFrame *frame)
{
    if (scaler_is_rgb(frame->format))
        return SWS_CS_ITU709;
    if (frame->colorspace == AVCOL_SPC_BT709)
        return SWS_CS_ITU709;
    if (frame->colorspace == AVCOL_SPC_BT2020_NCL || frame->colorspace == AVCOL_SPC_BT2020_CL)
        return SWS_CS_BT2020;
    if (frame->colorspace == AVCOL_SPC_UNSPECIFIED && frame->height >= SCALE_HD_HEIGHT)
        return SWS_CS_ITU709;
    return SWS_CS_ITU601;
}

static bool is_full_range(const AVFrame *frame)
{
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get((enum AVPixelFormat)frame->format);
    /* yuvj420p and its like: formats that say it in their names. */
    bool is_named_so = descriptor && strncmp(descriptor->name, "yuvj", 4) == 0;
    return is_named_so || frame->color_range == AVCOL_RANGE_JPEG || scaler_is_rgb(frame->format);
}

static int set_colours(struct SwsContext *sws, const AVFrame *frame, const AVFrame *out)
{
    bool is_jpeg = out->format == AV_PIX_FMT_YUVJ420P;
    const int *from = sws_getCoefficients(matrix(frame));
    const int *to = is_jpeg ? sws_getCoefficients(SWS_CS_ITU601) : from;
    /* Neutral brightness, contrast and saturation, in 16.16 fixed point. */
    return sws_setColorspaceDetails(sws, from, is_full_range(frame), to, is_jpeg, 0, 1 << 16,
                                    1 << 16);
}

int scaler_run(struct scaler *scaler, const AVFrame *frame, AVFrame **ret_frame)
{
    AVFrame *out = scaler->out;
    if (frame->width <= 0 || frame->height <= 0 || !sws_isSupportedInput(frame->format))
        return AVERROR(EINVAL);
    scaler->sws = sws_getCachedContext(
        scaler->sws, frame->width, frame->height, frame->format, out->width, out->height,
        out->format, scaler->method | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!scaler->sws)
        return AVERROR(EINVAL);
    /* Refused where neither side is YUV: then there is no matrix to choose. */
    (void)set_colours(scaler->sws, frame, out);
    int error = out->buf[0] ? av_frame_make_writable(out) : av_frame_get_buffer(out, 0);
    if (error < 0)
        return error;
    int rows = sws_scale(scaler->sws, (const uint8_t *const *)frame->data, frame->linesize, 0,
                         frame->height, out->data, out->linesize);
    if (rows < 0)
        return rows;
    *ret_frame = out;
    return 0;
}

struct scaler *scaler_free(struct scaler *scaler)
{
    if (!scaler)
        return NULL;
    sws_freeContext(scaler->sws);
    av_frame_free(&scaler->out);
    free(scaler);
    return NULL;
}
