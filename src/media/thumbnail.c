/* SPDX-License-Identifier: Apache-2.0
 *
 * One still per video, packed by libwebp itself: what libav's encoder would do with more words.
 * Runs in the helper, single-threaded. */
#include "media/thumbnail.h"

#include <libavutil/error.h>
#include <stdbool.h>
#include <webp/encode.h>

#include "media/port.h"
#include "media/scale.h"

enum { QUALITY = 80, EFFORT = 4 };

static int encode(const AVFrame *rgb, WebPMemoryWriter *writer)
{
    WebPConfig config;
    WebPPicture picture;
    if (!WebPConfigPreset(&config, WEBP_PRESET_PHOTO, QUALITY) || !WebPPictureInit(&picture))
        return AVERROR_EXTERNAL;
    config.method = EFFORT;
    picture.width = rgb->width;
    picture.height = rgb->height;
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = writer;
    bool is_ok = WebPPictureImportRGB(&picture, rgb->data[0], rgb->linesize[0]) &&
                 WebPEncode(&config, &picture);
    bool is_memory = picture.error_code == VP8_ENC_ERROR_OUT_OF_MEMORY ||
                     picture.error_code == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY;
    WebPPictureFree(&picture);
    return is_ok ? 0 : is_memory ? AVERROR(ENOMEM) : AVERROR_EXTERNAL;
}

static int fit(int side, int long_side)
{
    if (long_side <= THUMBNAIL_SIDE_MAX)
        return side;
    int fitted = (int)((int64_t)side * THUMBNAIL_SIDE_MAX / long_side);
    return fitted < 1 ? 1 : fitted;
}

int thumbnail_write(const AVFrame *frame, int fd)
{
    int long_side = frame->width > frame->height ? frame->width : frame->height;
    struct scaler *scaler =
        scaler_new(fit(frame->width, long_side), fit(frame->height, long_side), AV_PIX_FMT_RGB24);
    WebPMemoryWriter writer;
    WebPMemoryWriterInit(&writer);
    AVFrame *rgb;
    int error = scaler_run(scaler, frame, &rgb);
    if (error >= 0)
        error = encode(rgb, &writer);
    if (error >= 0)
        error = port_write_all(fd, writer.mem, writer.size);
    WebPMemoryWriterClear(&writer);
    scaler_free(scaler);
    return error;
}
