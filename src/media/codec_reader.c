/* SPDX-License-Identifier: Apache-2.0
 *
 * The reading half of codec.h: a stranger's file in an open descriptor, frames out. The file may be
 * anything: containers and decoders are those of finished videos and no others (playlists, which
 * name other files, are not among them), no protocol exists, and pictures have a largest size. Runs
 * in the helper. */
#include "media/codec.h"

#include <libavutil/opt.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/must.h"
#include "media/port.h"

enum {
    READER_PIXELS_MAX = 4096 * 4096,
    READER_STREAMS_MAX = 32,
    READER_BAD_PACKETS_MAX = 100, /* refused by the decoder, before we give up on the file */
};

/* Containers by libav's names, decoders likewise. */
static const char CONTAINERS[] = "mov,matroska,webm,mpegts,mpeg,avi,flv,ogg,gif";
static const char DECODERS[] =
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,libdav1d,libaom-av1,mpeg4,mpeg1video,mpeg2video,"
    "mjpeg,prores,theora,gif,png,ffv1,rawvideo,flv,h263,"
    "aac,mp3,mp3float,mp2,mp2float,ac3,eac3,opus,libopus,vorbis,flac,pcm_s16le";

struct codec_reader {
    struct port *port;
    AVFormatContext *format;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    AVStream *video;
    AVStream *audio; /* NULL when silent */
    int n_bad_packets;
    bool is_draining;
};

/* Some files name others as the place of their media. Not here. */
static int refuse_open(AVFormatContext *format, AVIOContext **ret_avio, const char *url, int flags,
                       AVDictionary **options)
{
    (void)format;
    (void)ret_avio;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

static int open_container(struct codec_reader *reader)
{
    AVFormatContext *format = avformat_alloc_context();
    must(format);
    format->pb = port_avio(reader->port);
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->io_open = refuse_open;
    format->max_streams = READER_STREAMS_MAX;
    format->format_whitelist = av_strdup(CONTAINERS);
    format->codec_whitelist = av_strdup(DECODERS);
    format->protocol_whitelist = av_strdup("");
    must(format->format_whitelist && format->codec_whitelist && format->protocol_whitelist);
    reader->format = format;
    return avformat_open_input(&reader->format, "", NULL, NULL); /* frees it when it fails */
}

static int set_limits(AVDictionary **options)
{
    int error = av_dict_set_int(options, "max_pixels", READER_PIXELS_MAX, 0);
    if (error >= 0)
        error = av_dict_set(options, "threads", "1", 0);
    return error;
}

/* Looks into the streams; the decoders that libav tries for that have our limits. */
static int find_streams(struct codec_reader *reader)
{
    AVDictionary *options[READER_STREAMS_MAX] = {NULL};
    unsigned n = reader->format->nb_streams;
    int error = n <= READER_STREAMS_MAX ? 0 : AVERROR_INVALIDDATA;
    for (unsigned i = 0; i < n && error >= 0; i++)
        error = set_limits(&options[i]);
    if (error >= 0)
        error = avformat_find_stream_info(reader->format, options);
    for (unsigned i = 0; i < READER_STREAMS_MAX; i++)
        av_dict_free(&options[i]);
    return error;
}

static int choose_streams(struct codec_reader *reader)
{
    AVFormatContext *format = reader->format;
    int video = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (video < 0)
        return AVERROR_STREAM_NOT_FOUND;
    reader->video = format->streams[video];
    if (reader->video->disposition & AV_DISPOSITION_ATTACHED_PIC)
        return AVERROR_STREAM_NOT_FOUND; /* the cover of a piece of music */
    int audio = av_find_best_stream(format, AVMEDIA_TYPE_AUDIO, -1, video, NULL, 0);
    if (audio >= 0)
        reader->audio = format->streams[audio];
    for (unsigned i = 0; i < format->nb_streams; i++)
        if (format->streams[i] != reader->video && format->streams[i] != reader->audio)
            format->streams[i]->discard = AVDISCARD_ALL;
    return 0;
}

/* A file that ends before the media that its index promises was cut off on its way. */
static bool is_truncated(const struct codec_reader *reader, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return true;
    int n = avformat_index_get_entries_count(reader->video);
    for (int i = 0; i < n; i++) {
        const AVIndexEntry *entry = avformat_index_get_entry(reader->video, i);
        if (entry->pos > status.st_size || entry->size > status.st_size - entry->pos)
            return true;
    }
    return false;
}

static int open_decoder(struct codec_reader *reader)
{
    const AVCodecParameters *parameters = reader->video->codecpar;
    if ((int64_t)parameters->width * parameters->height > READER_PIXELS_MAX)
        return AVERROR(ERANGE);
    const AVCodec *codec = avcodec_find_decoder(parameters->codec_id);
    if (!codec)
        return AVERROR_DECODER_NOT_FOUND;
    reader->decoder = avcodec_alloc_context3(codec);
    must(reader->decoder);
    int error = avcodec_parameters_to_context(reader->decoder, parameters);
    if (error < 0)
        return error;
    reader->decoder->pkt_timebase = reader->video->time_base;
    AVDictionary *options = NULL;
    error = set_limits(&options);
    if (error >= 0)
        error = av_dict_set(&options, "codec_whitelist", DECODERS, 0);
    if (error >= 0)
        error = avcodec_open2(reader->decoder, codec, &options);
    av_dict_free(&options);
    return error;
}

int codec_reader_open(int fd, struct codec_reader **ret_reader)
{
    struct codec_reader *reader = must_calloc(1, sizeof *reader);
    reader->port = port_new(fd, false);
    reader->packet = av_packet_alloc();
    reader->frame = av_frame_alloc();
    must(reader->packet && reader->frame);
    int error = open_container(reader);
    if (error >= 0)
        error = find_streams(reader);
    if (error >= 0)
        error = choose_streams(reader);
    if (error >= 0 && is_truncated(reader, fd))
        error = AVERROR_INVALIDDATA;
    if (error >= 0)
        error = open_decoder(reader);
    if (error < 0) {
        codec_reader_free(reader);
        return error;
    }
    *ret_reader = reader;
    return 0;
}

/* Gives the decoder one packet of video, or its end. */
static int feed(struct codec_reader *reader, const AVPacket *packet)
{
    int error = avcodec_send_packet(reader->decoder, packet);
    if (error == AVERROR_INVALIDDATA && reader->n_bad_packets++ < READER_BAD_PACKETS_MAX)
        return 0;
    return error == AVERROR_EOF ? 0 : error;
}

/* Reads one packet and passes it where it belongs. */
static int read_packet(struct codec_reader *reader,
                       int (*audio)(void *context, const AVPacket *packet), void *context)
{
    int error = av_read_frame(reader->format, reader->packet);
    if (error == AVERROR_EOF && port_error(reader->port) == 0) {
        reader->is_draining = true;
        return feed(reader, NULL);
    }
    if (error < 0)
        return port_error(reader->port) < 0 ? port_error(reader->port) : error;
    int index = reader->packet->stream_index;
    if (index == reader->video->index)
        error = feed(reader, reader->packet);
    else if (audio && reader->audio && index == reader->audio->index)
        error = audio(context, reader->packet);
    av_packet_unref(reader->packet);
    return error < 0 ? error : 0;
}

int codec_reader_next(struct codec_reader *reader,
                      int (*audio)(void *context, const AVPacket *packet), void *context,
                      AVFrame **ret_frame)
{
    for (;;) {
        int error = avcodec_receive_frame(reader->decoder, reader->frame);
        if (error == AVERROR_EOF)
            return 0;
        if (error >= 0) {
            *ret_frame = reader->frame;
            return 1;
        }
        if (error == AVERROR(EAGAIN) && !reader->is_draining)
            error = read_packet(reader, audio, context);
        else if (error == AVERROR_INVALIDDATA && reader->n_bad_packets++ < READER_BAD_PACKETS_MAX)
            error = 0;
        if (error < 0)
            return error;
    }
}

const AVStream *codec_reader_video(const struct codec_reader *reader)
{
    return reader->video;
}

const AVStream *codec_reader_audio(const struct codec_reader *reader)
{
    return reader->audio;
}

struct codec_reader *codec_reader_free(struct codec_reader *reader)
{
    if (!reader)
        return NULL;
    avcodec_free_context(&reader->decoder);
    av_packet_free(&reader->packet);
    av_frame_free(&reader->frame);
    avformat_close_input(&reader->format);
    port_free(reader->port);
    free(reader);
    return NULL;
}
