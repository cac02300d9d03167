/* SPDX-License-Identifier: Apache-2.0
 *
 * The writing half of codec.h: frames in, an H.264 mp4 in a descriptor out. One thread and no wall
 * clock, so that with the same libraries equal frames give equal bytes. Runs in the helper. */
#include "media/codec.h"

#include <libavutil/opt.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/must.h"
#include "media/port.h"

enum { WRITER_KEYFRAME_S = 2 /* longest way back when a player seeks */ };

struct codec_writer {
    int fd;
    struct port *port;
    struct port *rereader; /* while faststart moves the media behind the index */
    AVFormatContext *format;
    AVCodecContext *encoder;
    AVPacket *packet;
    AVPacket *audio_packet;
    AVStream *video;
    AVStream *audio;            /* NULL: none */
    AVRational audio_time_base; /* of the packets that come in */
    int64_t audio_start;        /* in it: time 0 of our file */
    int64_t last_audio_dts;
};

/* libav's own errors hide why a write failed; the port knows. */
static int outcome(const struct codec_writer *writer, int error)
{
    if (port_error(writer->port) < 0)
        return port_error(writer->port);
    if (writer->format->pb->error < 0)
        return writer->format->pb->error;
    return error < 0 ? error : 0;
}

/* faststart asks for the file by its name to read it back: there is none, the same descriptor
 * serves. */
static int open_again(AVFormatContext *format, AVIOContext **ret_avio, const char *url, int flags,
                      AVDictionary **options)
{
    struct codec_writer *writer = format->opaque;
    (void)url;
    (void)options;
    if (flags != AVIO_FLAG_READ || writer->rereader)
        return AVERROR(EPERM);
    writer->rereader = port_new(writer->fd, false);
    *ret_avio = port_avio(writer->rereader);
    return 0;
}

static int close_again(AVFormatContext *format, AVIOContext *avio)
{
    struct codec_writer *writer = format->opaque;
    (void)avio;
    writer->rereader = port_free(writer->rereader);
    return 0;
}

static void set_colours(AVCodecContext *encoder, const AVCodecParameters *colours)
{
    encoder->color_range = AVCOL_RANGE_MPEG;
    encoder->colorspace = colours ? colours->color_space : AVCOL_SPC_BT709;
    encoder->color_primaries = colours ? colours->color_primaries : AVCOL_PRI_BT709;
    encoder->color_trc = colours ? colours->color_trc : AVCOL_TRC_BT709;
    if (encoder->colorspace == AVCOL_SPC_RGB)
        encoder->colorspace = AVCOL_SPC_UNSPECIFIED;
}

/* x264 looks at memory that it has not written: what lay there before would decide about the file. With this the C
 * library gives out all memory of the process cleared (a sanitizer's takes no such orders, and fills it its own way).
 * Only helpers and tests come here. */
static void clear_memory(void)
{
    enum { CLEARED = 255 }; /* the byte is its complement */
    (void)mallopt(M_PERTURB, CLEARED);
}

static int open_encoder(struct codec_writer *writer, const struct codec_writer_spec *spec)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    if (!codec)
        return AVERROR_ENCODER_NOT_FOUND;
    AVCodecContext *encoder = avcodec_alloc_context3(codec);
    must(encoder);
    writer->encoder = encoder;
    encoder->width = spec->width;
    encoder->height = spec->height;
    encoder->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder->framerate = spec->frame_rate;
    encoder->time_base = av_inv_q(spec->frame_rate);
    encoder->gop_size = (int)(WRITER_KEYFRAME_S * av_q2d(spec->frame_rate) + 0.5);
    if (encoder->gop_size < 1)
        encoder->gop_size = 1;
    encoder->thread_count = 1;
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    set_colours(encoder, spec->colours);
    int error = av_opt_set(encoder->priv_data, "preset", "veryfast", 0);
    if (error >= 0)
        error = av_opt_set_double(encoder->priv_data, "crf", spec->crf, 0);
    return error < 0 ? error : avcodec_open2(encoder, codec, NULL);
}

static int add_streams(struct codec_writer *writer, const AVStream *audio)
{
    writer->video = avformat_new_stream(writer->format, NULL);
    must(writer->video);
    writer->video->time_base = writer->encoder->time_base;
    writer->video->avg_frame_rate = writer->encoder->framerate;
    int error = avcodec_parameters_from_context(writer->video->codecpar, writer->encoder);
    if (error < 0 || !audio)
        return error;
    writer->audio = avformat_new_stream(writer->format, NULL);
    must(writer->audio);
    writer->audio->time_base = audio->time_base;
    writer->audio_time_base = audio->time_base;
    error = avcodec_parameters_copy(writer->audio->codecpar, audio->codecpar);
    writer->audio->codecpar->codec_tag = 0; /* the tag of another container */
    return error;
}

static int open_format(struct codec_writer *writer, const struct codec_writer_spec *spec)
{
    int error = avformat_alloc_output_context2(&writer->format, NULL, "mp4", NULL);
    if (error < 0)
        return error;
    AVFormatContext *format = writer->format;
    format->pb = port_avio(writer->port);
    format->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
    format->opaque = writer;
    format->io_open = open_again;
    format->io_close2 = close_again;
    return add_streams(writer, spec->audio);
}

static int write_header(struct codec_writer *writer)
{
    AVDictionary *options = NULL;
    int error = av_dict_set(&options, "movflags", "+faststart", 0);
    if (error >= 0)
        error = avformat_write_header(writer->format, &options);
    av_dict_free(&options);
    return outcome(writer, error);
}

int codec_writer_open(const struct codec_writer_spec *spec, struct codec_writer **ret_writer)
{
    must(spec->width > 0 && spec->height > 0 && spec->width % 2 == 0 && spec->height % 2 == 0);
    clear_memory();
    must(spec->frame_rate.num > 0 && spec->frame_rate.den > 0);
    must(spec->audio_start > INT64_MIN / 4 && spec->audio_start < INT64_MAX / 4);
    struct codec_writer *writer = must_calloc(1, sizeof *writer);
    writer->fd = spec->fd;
    writer->port = port_new(spec->fd, true);
    writer->packet = av_packet_alloc();
    writer->audio_packet = av_packet_alloc();
    must(writer->packet && writer->audio_packet);
    writer->last_audio_dts = INT64_MIN;
    writer->audio_start = spec->audio_start;
    int error = open_encoder(writer, spec);
    if (error >= 0)
        error = open_format(writer, spec);
    if (error >= 0)
        error = write_header(writer);
    if (error < 0) {
        codec_writer_free(writer);
        return error;
    }
    *ret_writer = writer;
    return 0;
}

/* Takes from the encoder what it has ready; with `frame` NULL that is all the rest. */
static int encode(struct codec_writer *writer, const AVFrame *frame)
{
    int error = avcodec_send_frame(writer->encoder, frame);
    while (error >= 0) {
        error = avcodec_receive_packet(writer->encoder, writer->packet);
        if (error == AVERROR(EAGAIN) || error == AVERROR_EOF)
            return 0;
        if (error < 0)
            break;
        writer->packet->stream_index = writer->video->index;
        writer->packet->duration = 1;
        av_packet_rescale_ts(writer->packet, writer->encoder->time_base, writer->video->time_base);
        error = outcome(writer, av_interleaved_write_frame(writer->format, writer->packet));
    }
    return error;
}

int codec_writer_frame(struct codec_writer *writer, AVFrame *frame)
{
    /* A decoder's frame carries its own type, which would be taken as an order. */
    frame->pict_type = AV_PICTURE_TYPE_NONE;
    return encode(writer, frame);
}

/* Times of strangers' packets, kept far from where arithmetic overflows. */
static bool has_place(const AVPacket *packet)
{
    const int64_t far = INT64_MAX / 4;
    return packet->size > 0 && packet->dts > -far && packet->pts >= packet->dts &&
           packet->pts < far;
}

int codec_writer_audio(struct codec_writer *writer, const AVPacket *packet)
{
    must(writer->audio);
    if (!has_place(packet) || packet->dts <= writer->last_audio_dts)
        return 0;
    int error = av_packet_ref(writer->audio_packet, packet);
    if (error < 0)
        return error;
    writer->last_audio_dts = packet->dts;
    writer->audio_packet->stream_index = writer->audio->index;
    writer->audio_packet->pos = -1;
    writer->audio_packet->pts -= writer->audio_start;
    writer->audio_packet->dts -= writer->audio_start;
    av_packet_rescale_ts(writer->audio_packet, writer->audio_time_base, writer->audio->time_base);
    error = av_interleaved_write_frame(writer->format, writer->audio_packet);
    av_packet_unref(writer->audio_packet);
    /* What the container refuses is left out: a gap in the sound is better than no video. */
    return outcome(writer, error == AVERROR(ENOMEM) ? error : 0);
}

bool codec_writer_has_audio(const struct codec_writer *writer)
{
    return writer->audio;
}

int codec_writer_finish(struct codec_writer *writer)
{
    int error = encode(writer, NULL);
    if (error < 0)
        return error;
    error = av_write_trailer(writer->format);
    avio_flush(writer->format->pb);
    return outcome(writer, error);
}

struct codec_writer *codec_writer_free(struct codec_writer *writer)
{
    if (!writer)
        return NULL;
    avcodec_free_context(&writer->encoder);
    av_packet_free(&writer->packet);
    av_packet_free(&writer->audio_packet);
    avformat_free_context(writer->format);
    writer->rereader = port_free(writer->rereader);
    port_free(writer->port);
    free(writer);
    return NULL;
}
