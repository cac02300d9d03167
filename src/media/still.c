/* SPDX-License-Identifier: Apache-2.0
 *
 * Image files to frames: PNG, JPEG and GIF by libavcodec, fed the whole file as one packet (these
 * decoders read headers themselves, no demuxer has to guess), WebP by libwebp, which alone knows
 * animations. The type is told by content, never by name. A damaged file is an error: half
 * a picture would be shown to somebody as his. Single-threaded, in the helper. */
#include "media/still.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/dict.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "task/image.h"

static int still_orientation(const AVFrame *frame)
{
    const AVDictionaryEntry *entry = av_dict_get(frame->metadata, "Orientation", NULL, 0);
    long value = entry != NULL ? strtol(entry->value, NULL, 10) : 1;

    return value >= 1 && value <= 8 ? (int)value : 1;
}

static bool is_damaged(const AVFrame *frame)
{
    return frame->decode_error_flags != 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0;
}

/* Some decoders call every failure to get a frame's memory a failure of the file. */
static int still_get_buffer(AVCodecContext *codec, AVFrame *frame, int flags)
{
    bool *is_short = codec->opaque;
    int r = avcodec_default_get_buffer2(codec, frame, flags);

    if (r == AVERROR(ENOMEM))
        *is_short = true;
    return r;
}

/* One packet in, one frame out; the flush makes decoders with delay give theirs up. */
static int still_drive(AVCodecContext *codec, const AVPacket *packet, AVFrame *frame)
{
    int r = avcodec_send_packet(codec, packet);

    if (r < 0)
        return r;
    r = avcodec_receive_frame(codec, frame);
    if (r != AVERROR(EAGAIN))
        return r;
    r = avcodec_send_packet(codec, NULL);
    return r < 0 ? r : avcodec_receive_frame(codec, frame);
}

static int still_open(enum AVCodecID id, int64_t pixels_max, AVCodecContext **ret_codec)
{
    const AVCodec *decoder = avcodec_find_decoder(id);
    AVCodecContext *codec = decoder != NULL ? avcodec_alloc_context3(decoder) : NULL;
    int r;

    if (decoder == NULL)
        return AVERROR_DECODER_NOT_FOUND;
    if (codec == NULL)
        return AVERROR(ENOMEM);
    codec->thread_count = 1;
    codec->max_pixels = pixels_max;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    codec->err_recognition = AV_EF_CRCCHECK;
    r = avcodec_open2(codec, decoder, NULL);
    if (r < 0) {
        avcodec_free_context(&codec);
        return r;
    }
    *ret_codec = codec;
    return 0;
}

static int still_decode_libav(enum AVCodecID id, const uint8_t *bytes, size_t length,
                              int64_t pixels_max, struct still *ret_still)
{
    AVCodecContext *codec = NULL;
    AVPacket *packet = NULL;
    AVFrame *frame = NULL;
    bool is_short = false;
    int r = still_open(id, pixels_max, &codec);

    if (r < 0)
        return r;
    codec->opaque = &is_short;
    codec->get_buffer2 = still_get_buffer;
    packet = av_packet_alloc();
    frame = av_frame_alloc();
    r = AVERROR(ENOMEM);
    if (packet != NULL && frame != NULL) {
        /* Not reference-counted: libavcodec copies what it keeps, and writes to none of it. */
        packet->data = (uint8_t *)(uintptr_t)bytes;
        packet->size = (int)length;
        packet->flags = AV_PKT_FLAG_KEY;
        r = still_drive(codec, packet, frame);
        if (r < 0 && is_short)
            r = AVERROR(ENOMEM);
        if (r == 0 && is_damaged(frame))
            r = AVERROR_INVALIDDATA;
        if (r == 0) {
            const int orientation = still_orientation(frame);

            *ret_still = (struct still){.frame = TAKE(frame), .orientation = orientation};
        }
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    return r;
}

static int still_rgba(int width, int height, AVFrame **ret_frame)
{
    AVFrame *frame = av_frame_alloc();
    int r;

    if (frame == NULL)
        return AVERROR(ENOMEM);
    frame->format = AV_PIX_FMT_RGBA;
    frame->width = width;
    frame->height = height;
    frame->color_range = AVCOL_RANGE_JPEG;
    frame->colorspace = AVCOL_SPC_RGB;
    r = av_frame_get_buffer(frame, 0);
    if (r < 0)
        av_frame_free(&frame);
    else
        *ret_frame = frame;
    return r;
}

/* Decodes into `room` bytes at `to`, whose rows begin `stride` bytes apart. */
static int still_webp_into(const uint8_t *bytes, size_t length, uint8_t *to, size_t room,
                           int stride)
{
    WebPDecoderConfig config;
    VP8StatusCode status;

    if (WebPInitDecoderConfig(&config) == 0)
        return AVERROR_EXTERNAL;
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){.rgba = to, .stride = stride, .size = room};
    status = WebPDecode(bytes, length, &config);
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return AVERROR(ENOMEM);
    return status == VP8_STATUS_OK ? 0 : AVERROR_INVALIDDATA;
}

static int still_decode_webp_plain(const uint8_t *bytes, size_t length, int64_t pixels_max,
                                   AVFrame **ret_frame)
{
    WebPBitstreamFeatures features;
    AVFrame *frame = NULL;
    int r;

    if (WebPGetFeatures(bytes, length, &features) != VP8_STATUS_OK)
        return AVERROR_INVALIDDATA;
    if ((int64_t)features.width * features.height > pixels_max)
        return -EFBIG;
    r = still_rgba(features.width, features.height, &frame);
    if (r < 0)
        return r;
    r = still_webp_into(bytes, length, frame->data[0],
                        (size_t)frame->linesize[0] * (size_t)frame->height, frame->linesize[0]);
    if (r < 0)
        av_frame_free(&frame);
    else
        *ret_frame = frame;
    return r;
}

/* The first picture of an animation, on its canvas. */
static int still_decode_webp_moving(const uint8_t *bytes, size_t length, int64_t pixels_max,
                                    AVFrame **ret_frame)
{
    WebPData data = {.bytes = bytes, .size = length};
    WebPDemuxer *demuxer = WebPDemux(&data);
    WebPIterator shown = {0};
    AVFrame *frame = NULL;
    int64_t width, height;
    int r = AVERROR_INVALIDDATA;

    if (demuxer == NULL)
        return r;
    width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
    height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    if (WebPDemuxGetFrame(demuxer, 1, &shown) == 0)
        goto out;
    r = width * height > pixels_max ? -EFBIG : still_rgba((int)width, (int)height, &frame);
    if (r < 0)
        goto out;
    for (int y = 0; y < frame->height; y++)
        memset(frame->data[0] + (ptrdiff_t)y * frame->linesize[0], 0, (size_t)frame->width * 4);
    /* The demuxer has checked that the frame lies inside the canvas. */
    const ptrdiff_t start =
        (ptrdiff_t)shown.y_offset * frame->linesize[0] + (ptrdiff_t)shown.x_offset * 4;
    const size_t room = (size_t)((ptrdiff_t)frame->linesize[0] * frame->height - start);
    r = still_webp_into(shown.fragment.bytes, shown.fragment.size, frame->data[0] + start, room,
                        frame->linesize[0]);
    if (r == 0)
        *ret_frame = TAKE(frame);
out:
    av_frame_free(&frame);
    WebPDemuxReleaseIterator(&shown);
    WebPDemuxDelete(demuxer);
    return r;
}

static int still_decode_webp(const uint8_t *bytes, size_t length, int64_t pixels_max,
                             struct still *ret_still)
{
    WebPBitstreamFeatures features;
    AVFrame *frame = NULL;
    int r;

    if (WebPGetFeatures(bytes, length, &features) != VP8_STATUS_OK)
        return AVERROR_INVALIDDATA;
    r = features.has_animation != 0 ? still_decode_webp_moving(bytes, length, pixels_max, &frame)
                                    : still_decode_webp_plain(bytes, length, pixels_max, &frame);
    if (r == 0)
        *ret_still = (struct still){.frame = frame, .orientation = 1};
    return r;
}

/* Does the file go on to its end-of-image marker? libavcodec paints what is missing grey and calls
 * it a success. Entropy-coded data never contains the marker; headers (where thumbnails have
 * theirs) are walked over. */
static bool jpeg_is_whole(const uint8_t *bytes, size_t length)
{
    size_t at = 2;

    while (at + 4 <= length && bytes[at] == 0xff && bytes[at + 1] != 0xda) {
        if (bytes[at + 1] == 0xff)
            at++; /* fill byte */
        else
            at += 2 + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);
    }
    return at < length && memmem(bytes + at, length - at, "\xff\xd9", 2) != NULL;
}

/* Past a chain of sub-blocks, each led by its length, the last one empty; SIZE_MAX when it is cut
 * off. */
static size_t gif_skip_blocks(const uint8_t *bytes, size_t length, size_t at)
{
    while (at < length && bytes[at] != 0)
        at += 1 + (size_t)bytes[at];
    return at < length ? at + 1 : SIZE_MAX;
}

static size_t gif_palette_bytes(uint8_t flags)
{
    return (flags & 0x80) != 0 ? (size_t)6 << (flags & 7) : 0;
}

/* Is the data of the first picture there to its end? libavcodec leaves the rest blank. */
static bool gif_is_whole(const uint8_t *bytes, size_t length)
{
    size_t at = length > 13 ? 13 + gif_palette_bytes(bytes[10]) : SIZE_MAX;

    while (at < length && bytes[at] == 0x21 && at + 2 < length)
        at = gif_skip_blocks(bytes, length, at + 2);
    if (at >= length || length - at < 11 || bytes[at] != 0x2c)
        return false;
    at += 11 + gif_palette_bytes(bytes[at + 9]);
    return gif_skip_blocks(bytes, length, at) != SIZE_MAX;
}

int still_decode(const uint8_t *bytes, size_t length, int64_t pixels_max, struct still *ret_still)
{
    struct image_info info;

    if (length > INT_MAX || !image_sniff(bytes, length, &info))
        return AVERROR_INVALIDDATA;
    if (info.width > pixels_max / info.height)
        return -EFBIG;
    switch (info.type) {
    case IMAGE_PNG:
        return still_decode_libav(AV_CODEC_ID_PNG, bytes, length, pixels_max, ret_still);
    case IMAGE_JPEG:
        if (!jpeg_is_whole(bytes, length))
            return AVERROR_INVALIDDATA;
        return still_decode_libav(AV_CODEC_ID_MJPEG, bytes, length, pixels_max, ret_still);
    case IMAGE_GIF:
        if (!gif_is_whole(bytes, length))
            return AVERROR_INVALIDDATA;
        return still_decode_libav(AV_CODEC_ID_GIF, bytes, length, pixels_max, ret_still);
    case IMAGE_WEBP:
        return still_decode_webp(bytes, length, pixels_max, ret_still);
    }
    return AVERROR_INVALIDDATA;
}

void still_fini(struct still *still)
{
    av_frame_free(&still->frame);
}
