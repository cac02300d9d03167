/* SPDX-License-Identifier: Apache-2.0
 *
 * Which frames belong on the sheet is known only when the last one has come. So small pictures are
 * kept at an even beat, and the cells are chosen from them at the end. The container's word on the
 * number of frames makes the beat, two to a cell; a film that goes on longer than it said, or does
 * not say, fills the KEPT_MAX places: then every second picture goes and the beat is half as fast.
 * Each cell shows a frame of its own part of the film where the word is right (then the one in the
 * middle), too low or missing; parts are less even where it is too high, and the first frame is
 * kept whatever it says. Runs in the helper, single-threaded. */
#include "media/spritesheet.h"

#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "media/port.h"
#include "media/scale.h"

enum {
    BEATS = 2 * SPRITESHEET_CELLS_MAX,
    KEPT_MAX = 2 * BEATS,
    QUALITY = 4, /* libav's scale: 1 the best, 31 the worst */
    RGB_BYTES = 3,
};

struct spritesheet {
    int width, height;         /* of a cell */
    int64_t n_frames, n_beats; /* a beat is n_frames / n_beats frames long */
    int64_t step;              /* in beats, from one that is kept to the next: 1, 2, 4 … */
    int64_t n_offered;
    int n_kept;
    uint8_t *rgb[KEPT_MAX];
    struct scaler *scaler;
};

static int even(int64_t side, int64_t long_side)
{
    int64_t fitted =
        long_side > SPRITESHEET_SIDE_MAX ? side * SPRITESHEET_SIDE_MAX / long_side : side;
    return fitted < 2 ? 2 : (int)(fitted / 2 * 2);
}

struct spritesheet *spritesheet_new(int width, int height, int64_t n_frames)
{
    must(width > 0 && height > 0);
    struct spritesheet *sheet = must_calloc(1, sizeof *sheet);
    int long_side = width > height ? width : height;
    sheet->width = even(width, long_side);
    sheet->height = even(height, long_side);
    bool is_long = n_frames > BEATS && n_frames <= INT32_MAX;
    sheet->n_frames = is_long ? n_frames : 1; /* else each frame is a beat */
    sheet->n_beats = is_long ? BEATS : 1;
    sheet->step = 1;
    sheet->scaler = scaler_new_shrinking(sheet->width, sheet->height, AV_PIX_FMT_RGB24);
    return sheet;
}

struct spritesheet *spritesheet_free(struct spritesheet *sheet)
{
    if (!sheet)
        return NULL;
    for (int i = 0; i < sheet->n_kept; i++)
        free(sheet->rgb[i]);
    scaler_free(sheet->scaler);
    free(sheet);
    return NULL;
}

/* The frame to keep next: the first of its beat. */
static int64_t next_due(const struct spritesheet *sheet)
{
    int64_t beat = sheet->n_kept * sheet->step;
    return beat * sheet->n_frames / sheet->n_beats;
}

static void thin(struct spritesheet *sheet)
{
    for (size_t i = 0; i < KEPT_MAX / 2; i++) {
        free(sheet->rgb[2 * i + 1]);
        sheet->rgb[i] = sheet->rgb[2 * i];
    }
    sheet->n_kept = KEPT_MAX / 2;
    sheet->step *= 2;
}

static void copy_rows(uint8_t *to, ptrdiff_t to_stride, const uint8_t *from, ptrdiff_t from_stride,
                      const struct spritesheet *sheet)
{
    for (int y = 0; y < sheet->height; y++)
        memcpy(to + y * to_stride, from + y * from_stride, (size_t)sheet->width * RGB_BYTES);
}

int spritesheet_offer(struct spritesheet *sheet, const AVFrame *frame)
{
    AVFrame *small;
    if (sheet->n_offered++ < next_due(sheet))
        return 0;
    int error = scaler_run(sheet->scaler, frame, &small);
    if (error < 0)
        return error;
    ptrdiff_t stride = (ptrdiff_t)sheet->width * RGB_BYTES;
    uint8_t *rgb = must_calloc((size_t)sheet->height, (size_t)stride);
    copy_rows(rgb, stride, small->data[0], small->linesize[0], sheet);
    sheet->rgb[sheet->n_kept++] = rgb;
    if (sheet->n_kept == KEPT_MAX)
        thin(sheet);
    return 0;
}

/* All that were kept, or of each cell's share of them the one in the middle. */
static int draw(const struct spritesheet *sheet, AVFrame *frame)
{
    int n_cells = sheet->n_kept < SPRITESHEET_CELLS_MAX ? sheet->n_kept : SPRITESHEET_CELLS_MAX;
    int n_columns = n_cells < SPRITESHEET_COLUMNS ? n_cells : SPRITESHEET_COLUMNS;
    int n_rows = (n_cells + n_columns - 1) / n_columns;
    frame->format = AV_PIX_FMT_RGB24;
    frame->width = n_columns * sheet->width;
    frame->height = n_rows * sheet->height;
    int error = av_frame_get_buffer(frame, 0);
    if (error < 0)
        return error;
    memset(frame->data[0], 0, (size_t)frame->linesize[0] * (size_t)frame->height);
    for (int i = 0; i < n_cells; i++) {
        const uint8_t *rgb = sheet->rgb[(2 * i + 1) * sheet->n_kept / (2 * n_cells)];
        ptrdiff_t x = (ptrdiff_t)(i % n_columns) * sheet->width * RGB_BYTES;
        ptrdiff_t y = (ptrdiff_t)(i / n_columns) * sheet->height;
        copy_rows(frame->data[0] + y * frame->linesize[0] + x, frame->linesize[0], rgb,
                  (ptrdiff_t)sheet->width * RGB_BYTES, sheet);
    }
    return 0;
}

static int open_encoder(const AVFrame *frame, AVCodecContext **ret_encoder)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    if (!codec)
        return AVERROR_ENCODER_NOT_FOUND;
    AVCodecContext *encoder = avcodec_alloc_context3(codec);
    must(encoder);
    *ret_encoder = encoder;
    encoder->width = frame->width;
    encoder->height = frame->height;
    encoder->pix_fmt = (enum AVPixelFormat)frame->format;
    encoder->sample_aspect_ratio = (AVRational){1, 1}; /* else it is no JFIF */
    encoder->time_base = (AVRational){1, 1};
    encoder->thread_count = 1;
    encoder->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = QUALITY * FF_QP2LAMBDA;
    return avcodec_open2(encoder, codec, NULL);
}

static int encode(AVFrame *frame, AVPacket *packet)
{
    AVCodecContext *encoder = NULL;
    frame->quality = QUALITY * FF_QP2LAMBDA;
    frame->pts = 0;
    int error = open_encoder(frame, &encoder);
    if (error >= 0)
        error = avcodec_send_frame(encoder, frame);
    if (error >= 0)
        error = avcodec_receive_packet(encoder, packet);
    avcodec_free_context(&encoder);
    return error;
}

int spritesheet_write(const struct spritesheet *sheet, int fd)
{
    must(sheet->n_kept > 0);
    AVFrame *rgb = av_frame_alloc(), *yuv;
    AVPacket *packet = av_packet_alloc();
    struct scaler *scaler = NULL;
    must(rgb && packet);
    int error = draw(sheet, rgb);
    if (error >= 0) {
        scaler = scaler_new(rgb->width, rgb->height, AV_PIX_FMT_YUVJ420P);
        error = scaler_run(scaler, rgb, &yuv);
    }
    if (error >= 0)
        error = encode(yuv, packet);
    if (error >= 0)
        error = port_write_all(fd, packet->data, (size_t)packet->size);
    scaler_free(scaler);
    av_packet_free(&packet);
    av_frame_free(&rgb);
    return error < 0 ? error : 0;
}
