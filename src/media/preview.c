/* SPDX-License-Identifier: Apache-2.0
 *
 * Collects small RGB frames of a video's first seconds, makes one palette for all of them and lets
 * libav pack them. The palette's last entry is transparent: the encoder says "as before" with it.
 * Runs in the helper, single-threaded. */
#include "media/preview.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "media/palette.h"
#include "media/port.h"
#include "media/scale.h"

enum {
    TICKS_S = 100, /* of a GIF's clock */
    TICKS_FRAME = TICKS_S / PREVIEW_FPS,
    TICKS_MAX = PREVIEW_MS * TICKS_S / 1000,
    FRAMES_MAX = PREVIEW_FPS * PREVIEW_MS / 1000,
};

struct preview {
    int width, height;
    AVRational frame_rate;
    int64_t n_offered;
    int n_frames;
    uint8_t *rgb[FRAMES_MAX];
    int64_t ticks[FRAMES_MAX]; /* when each is shown */
    struct scaler *scaler;
    struct palette *palette;
};

/* libav's side of writing. */
struct gif {
    struct port *port;
    AVFormatContext *format;
    AVCodecContext *encoder;
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
};

static int even(double length)
{
    int half = (int)(length / 2 + 0.5);
    return half < 1 ? 2 : 2 * half;
}

struct preview *preview_new(int width, int height, AVRational frame_rate)
{
    must(width > 0 && height > 0 && frame_rate.num > 0 && frame_rate.den > 0);
    struct preview *preview = must_calloc(1, sizeof *preview);
    double scale = (double)PREVIEW_WIDTH_MAX / width;
    if (scale * height > PREVIEW_HEIGHT_MAX)
        scale = (double)PREVIEW_HEIGHT_MAX / height;
    if (scale > 1)
        scale = 1;
    preview->width = even(scale * width);
    preview->height = even(scale * height);
    preview->frame_rate = frame_rate;
    preview->scaler = scaler_new(preview->width, preview->height, AV_PIX_FMT_RGB24);
    preview->palette = palette_new();
    return preview;
}

struct preview *preview_free(struct preview *preview)
{
    if (!preview)
        return NULL;
    for (int i = 0; i < preview->n_frames; i++)
        free(preview->rgb[i]);
    scaler_free(preview->scaler);
    palette_free(preview->palette);
    free(preview);
    return NULL;
}

static int keep(struct preview *preview, const AVFrame *frame, int64_t ticks)
{
    AVFrame *small;
    int error = scaler_run(preview->scaler, frame, &small);
    if (error < 0)
        return error;
    size_t row_bytes = (size_t)preview->width * 3;
    uint8_t *rgb = must_calloc((size_t)preview->height, row_bytes);
    for (int y = 0; y < preview->height; y++)
        memcpy(rgb + (size_t)y * row_bytes, small->data[0] + (ptrdiff_t)y * small->linesize[0],
               row_bytes);
    palette_count(preview->palette, rgb, (size_t)preview->width * (size_t)preview->height);
    preview->rgb[preview->n_frames] = rgb;
    preview->ticks[preview->n_frames++] = ticks;
    return 0;
}

int preview_offer(struct preview *preview, const AVFrame *frame)
{
    if (preview->n_frames == FRAMES_MAX)
        return 0;
    int64_t ticks = av_rescale(preview->n_offered++, (int64_t)TICKS_S * preview->frame_rate.den,
                               preview->frame_rate.num);
    int64_t due = (int64_t)preview->n_frames * TICKS_FRAME;
    if (ticks < due || ticks >= TICKS_MAX)
        return 0;
    /* Faster videos are thinned to our even beat, slower ones keep theirs. */
    bool is_slow = av_cmp_q(preview->frame_rate, (AVRational){PREVIEW_FPS, 1}) < 0;
    return keep(preview, frame, is_slow ? ticks : due);
}

static int open_encoder(struct gif *gif, const struct preview *preview)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_GIF);
    if (!codec)
        return AVERROR_ENCODER_NOT_FOUND;
    gif->encoder = avcodec_alloc_context3(codec);
    must(gif->encoder);
    gif->encoder->width = preview->width;
    gif->encoder->height = preview->height;
    gif->encoder->pix_fmt = AV_PIX_FMT_PAL8;
    gif->encoder->time_base = (AVRational){1, TICKS_S};
    gif->encoder->thread_count = 1;
    gif->encoder->flags |= AV_CODEC_FLAG_BITEXACT;
    return avcodec_open2(gif->encoder, codec, NULL);
}

/* How long the last frame stays: as long as its predecessor, but not past the end. */
static int64_t last_delay(const struct preview *preview)
{
    int last = preview->n_frames - 1;
    int64_t delay = last > 0 ? preview->ticks[last] - preview->ticks[last - 1] : TICKS_FRAME;
    int64_t left = TICKS_MAX - preview->ticks[last];
    return delay < left ? delay : left;
}

static int open_file(struct gif *gif, const struct preview *preview)
{
    int error = avformat_alloc_output_context2(&gif->format, NULL, "gif", NULL);
    if (error < 0)
        return error;
    gif->format->pb = port_avio(gif->port);
    gif->format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    gif->stream = avformat_new_stream(gif->format, NULL);
    must(gif->stream);
    gif->stream->time_base = gif->encoder->time_base;
    error = avcodec_parameters_from_context(gif->stream->codecpar, gif->encoder);
    if (error >= 0)
        error = av_opt_set_int(gif->format->priv_data, "loop", 0, 0); /* for ever */
    if (error >= 0)
        error = av_opt_set_int(gif->format->priv_data, "final_delay", last_delay(preview), 0);
    return error < 0 ? error : avformat_write_header(gif->format, NULL);
}

/* A frame for the encoder: it may still hold the one before. */
static int draw(struct gif *gif, struct preview *preview, int index)
{
    AVFrame *frame = gif->frame;
    av_frame_unref(frame);
    frame->format = AV_PIX_FMT_PAL8;
    frame->width = preview->width;
    frame->height = preview->height;
    int error = av_frame_get_buffer(frame, 0);
    if (error < 0)
        return error;
    for (int y = 0; y < preview->height; y++)
        palette_map_row(preview->palette,
                        preview->rgb[index] + (size_t)y * (size_t)preview->width * 3,
                        preview->width, y, frame->data[0] + (ptrdiff_t)y * frame->linesize[0]);
    frame->pts = preview->ticks[index];
    return 0;
}

static void set_colours(const AVFrame *frame, const struct palette *palette, int n_colours)
{
    uint32_t colours[PALETTE_MAX + 1] = {0};
    for (int i = 0; i < PALETTE_MAX; i++)
        colours[i] = i < n_colours ? palette_colour(palette, i) : 0xff000000u;
    memcpy(frame->data[1], colours, sizeof colours);
}

static int pack(struct gif *gif, const AVFrame *frame)
{
    int error = avcodec_send_frame(gif->encoder, frame);
    while (error >= 0) {
        error = avcodec_receive_packet(gif->encoder, gif->packet);
        if (error == AVERROR(EAGAIN) || error == AVERROR_EOF)
            return 0;
        if (error < 0)
            break;
        gif->packet->stream_index = gif->stream->index;
        av_packet_rescale_ts(gif->packet, gif->encoder->time_base, gif->stream->time_base);
        error = av_write_frame(gif->format, gif->packet);
        av_packet_unref(gif->packet);
    }
    return error;
}

static int write_frames(struct gif *gif, struct preview *preview, int n_colours)
{
    int error = 0;
    for (int i = 0; i < preview->n_frames && error >= 0; i++) {
        error = draw(gif, preview, i);
        if (error < 0)
            break;
        set_colours(gif->frame, preview->palette, n_colours);
        error = pack(gif, gif->frame);
    }
    if (error >= 0)
        error = pack(gif, NULL);
    /* Also where all is lost: the muxer lets go of the last picture nowhere else. */
    int last = av_write_trailer(gif->format);
    return error < 0 ? error : last;
}

int preview_write(struct preview *preview, int fd)
{
    must(preview->n_frames > 0);
    int n_colours = palette_make(preview->palette);
    struct gif gif = {
        .port = port_new(fd, true), .frame = av_frame_alloc(), .packet = av_packet_alloc()};
    must(gif.frame && gif.packet);
    int error = open_encoder(&gif, preview);
    if (error >= 0)
        error = open_file(&gif, preview);
    if (error >= 0)
        error = write_frames(&gif, preview, n_colours);
    avio_flush(port_avio(gif.port));
    if (port_error(gif.port) < 0)
        error = port_error(gif.port);
    avcodec_free_context(&gif.encoder);
    avformat_free_context(gif.format);
    av_frame_free(&gif.frame);
    av_packet_free(&gif.packet);
    port_free(gif.port);
    return error < 0 ? error : 0;
}
