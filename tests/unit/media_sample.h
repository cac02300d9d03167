/* SPDX-License-Identifier: Apache-2.0
 *
 * Image files for tests, made on the spot: four quadrants (red, green / blue, white) in any size,
 * format and pixel format that libavcodec and libwebp write. All live in memory. */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <webp/encode.h>

#include "base/compiler.h"
#include "base/must.h"

static inline int sample_memory(const void *bytes, size_t length)
{
    int fd = memfd_create("sample", MFD_CLOEXEC);

    must(fd >= 0);
    must(length == 0 || write(fd, bytes, length) == (ssize_t)length);
    return fd;
}

static inline AVFrame *sample_frame(enum AVPixelFormat format, int width, int height)
{
    AVFrame *frame = av_frame_alloc();

    must(frame != NULL);
    frame->format = format;
    frame->width = width;
    frame->height = height;
    must(av_frame_get_buffer(frame, 0) == 0);
    return frame;
}

/* The colour of a quadrant: 0 red, 1 green, 2 blue, 3 white. */
static const uint8_t SAMPLE_COLOURS[4][3] = {
    {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};

static inline AVFrame *sample_quadrants(int width, int height, uint8_t alpha)
{
    AVFrame *frame = sample_frame(AV_PIX_FMT_RGBA, width, height);

    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint8_t *pixel = frame->data[0] + (ptrdiff_t)y * frame->linesize[0] + 4 * (ptrdiff_t)x;

            memcpy(pixel, SAMPLE_COLOURS[(y >= height / 2 ? 2 : 0) + (x >= width / 2 ? 1 : 0)], 3);
            pixel[3] = alpha;
        }
    }
    return frame;
}

/* One colour all over. */
static inline AVFrame *sample_plain(int width, int height, uint8_t r, uint8_t g, uint8_t b)
{
    AVFrame *frame = sample_frame(AV_PIX_FMT_RGBA, width, height);

    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const uint8_t pixel[4] = {r, g, b, 255};

            memcpy(frame->data[0] + (ptrdiff_t)y * frame->linesize[0] + 4 * (ptrdiff_t)x, pixel, 4);
        }
    }
    return frame;
}

/* Takes the RGBA frame, gives one of another format. YUV is full range, as in JPEG. */
static inline AVFrame *sample_convert(AVFrame *rgba, enum AVPixelFormat format)
{
    AVFrame *to = sample_frame(format, rgba->width, rgba->height);
    struct SwsContext *scaler =
        sws_getContext(rgba->width, rgba->height, AV_PIX_FMT_RGBA, rgba->width, rgba->height,
                       format, SWS_POINT | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);

    must(scaler != NULL);
    must(sws_scale(scaler, (const uint8_t *const *)rgba->data, rgba->linesize, 0, rgba->height,
                   to->data, to->linesize) == rgba->height);
    sws_freeContext(scaler);
    av_frame_free(&rgba);
    return to;
}

/* swscale writes no palettes. */
static inline AVFrame *sample_palette(int width, int height)
{
    AVFrame *frame = sample_frame(AV_PIX_FMT_PAL8, width, height);
    uint32_t palette[256] = {0xffff0000, 0xff00ff00, 0xff0000ff, 0xffffffff};

    memcpy(frame->data[1], palette, sizeof palette);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++)
            frame->data[0][(ptrdiff_t)y * frame->linesize[0] + x] =
                (uint8_t)((y >= height / 2 ? 2 : 0) + (x >= width / 2 ? 1 : 0));
    }
    return frame;
}

/* Takes the frame; the encoder's packet, which for PNG and JPEG is the whole file. */
static inline AVPacket *sample_packet(enum AVCodecID id, AVFrame *frame, int flags,
                                      AVCodecContext **ret_codec)
{
    AVCodecContext *codec = avcodec_alloc_context3(avcodec_find_encoder(id));
    AVPacket *packet = av_packet_alloc();

    must(codec != NULL && packet != NULL);
    codec->width = frame->width;
    codec->height = frame->height;
    codec->pix_fmt = (enum AVPixelFormat)frame->format;
    codec->time_base = (AVRational){1, 25};
    codec->flags |= flags | AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_QSCALE;
    codec->global_quality = 2 * FF_QP2LAMBDA;
    codec->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;
    frame->quality = codec->global_quality;
    frame->pts = 0;
    must(avcodec_open2(codec, NULL, NULL) == 0);
    must(avcodec_send_frame(codec, frame) == 0);
    must(avcodec_send_frame(codec, NULL) == 0);
    must(avcodec_receive_packet(codec, packet) == 0);
    av_frame_free(&frame);
    *ret_codec = codec;
    return packet;
}

/* Takes the frame; a PNG or JPEG file as malloc'ed bytes. */
static inline uint8_t *sample_bytes(enum AVCodecID id, AVFrame *frame, int flags,
                                    size_t *ret_length)
{
    AVCodecContext *codec = NULL;
    AVPacket *packet = sample_packet(id, frame, flags, &codec);
    uint8_t *bytes = must_calloc((size_t)packet->size, 1);

    memcpy(bytes, packet->data, (size_t)packet->size);
    *ret_length = (size_t)packet->size;
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    return bytes;
}

static inline int sample_file(enum AVCodecID id, AVFrame *frame, int flags)
{
    size_t length = 0;
    uint8_t *bytes = sample_bytes(id, frame, flags, &length);
    int fd = sample_memory(bytes, length);

    free(bytes);
    return fd;
}

/* GIF's headers are the muxer's. */
static inline int sample_gif(int width, int height)
{
    AVCodecContext *codec = NULL;
    AVPacket *packet = sample_packet(AV_CODEC_ID_GIF, sample_palette(width, height), 0, &codec);
    AVFormatContext *format = NULL;
    AVStream *stream;
    uint8_t *bytes = NULL;
    int fd, length;

    must(avformat_alloc_output_context2(&format, NULL, "gif", NULL) == 0);
    stream = avformat_new_stream(format, NULL);
    must(stream != NULL && avcodec_parameters_from_context(stream->codecpar, codec) == 0);
    stream->time_base = codec->time_base;
    must(avio_open_dyn_buf(&format->pb) == 0);
    must(avformat_write_header(format, NULL) >= 0);
    av_packet_rescale_ts(packet, codec->time_base, stream->time_base);
    must(av_write_frame(format, packet) >= 0);
    must(av_write_trailer(format) == 0);
    length = avio_close_dyn_buf(format->pb, &bytes);
    fd = sample_memory(bytes, (size_t)length);
    av_free(bytes);
    avformat_free_context(format);
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    return fd;
}

/* Takes the RGBA frame; a WebP file, lossless when `quality` is negative. */
static inline size_t sample_webp_bytes(AVFrame *rgba, float quality, uint8_t **ret_bytes)
{
    size_t length = quality < 0 ? WebPEncodeLosslessRGBA(rgba->data[0], rgba->width, rgba->height,
                                                         rgba->linesize[0], ret_bytes)
                                : WebPEncodeRGBA(rgba->data[0], rgba->width, rgba->height,
                                                 rgba->linesize[0], quality, ret_bytes);

    must(length > 0);
    av_frame_free(&rgba);
    return length;
}

static inline int sample_webp(AVFrame *rgba, float quality)
{
    uint8_t *bytes = NULL;
    size_t length = sample_webp_bytes(rgba, quality, &bytes);
    int fd = sample_memory(bytes, length);

    WebPFree(bytes);
    return fd;
}

static inline void sample_little(uint8_t *to, size_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

/* An animation of two frames: the quadrants, then a plain black picture. RFC 9649. */
static inline int sample_webp_moving(int width, int height)
{
    int fd = sample_memory(NULL, 0);
    uint8_t head[] = "RIFF????WEBPVP8X\x0a\0\0\0\x02\0\0\0wwwhhhANIM\x06\0\0\0\0\0\0\0\0";
    size_t total = sizeof head; /* the text's NUL is the last byte of ANIM's loop count */

    sample_little(head + 24, (size_t)width - 1, 3);
    sample_little(head + 27, (size_t)height - 1, 3);
    must(write(fd, head, sizeof head) == (ssize_t)sizeof head);
    for (int i = 0; i < 2; i++) {
        AVFrame *rgba =
            i == 0 ? sample_quadrants(width, height, 255) : sample_plain(width, height, 0, 0, 0);
        uint8_t *bytes = NULL;
        size_t length = sample_webp_bytes(rgba, -1, &bytes) - 12;
        uint8_t frame[24] = "ANMF";

        sample_little(frame + 4, 16 + length, 4);
        sample_little(frame + 14, (size_t)width - 1, 3);
        sample_little(frame + 17, (size_t)height - 1, 3);
        sample_little(frame + 20, 100, 3);
        must(write(fd, frame, sizeof frame) == (ssize_t)sizeof frame);
        must(write(fd, bytes + 12, length) == (ssize_t)length);
        total += sizeof frame + length;
        WebPFree(bytes);
    }
    sample_little(head, total - 8, 4);
    must(pwrite(fd, head, 4, 4) == 4);
    return fd;
}
