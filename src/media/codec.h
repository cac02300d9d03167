/* SPDX-License-Identifier: Apache-2.0
 *
 * libav in and out of open descriptors, for the rooms of media/ that run in the helper.
 * Single-threaded. */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "media/media.h"

/* ---- out: an H.264 mp4 ---- */

struct codec_writer;

struct codec_writer_spec {
    int fd;            /* read-write, seekable, empty; stays the caller's */
    int width, height; /* even */
    AVRational frame_rate;
    int crf;               /* x264's quality: 18 good .. 28 small */
    const AVStream *audio; /* copied along when not NULL (codecpar must be fit for mp4) */
    int64_t audio_start;   /* when the video's first frame is shown, in the audio's time base */
    const AVCodecParameters *colours; /* colour tags that the frames carry; NULL: BT.709 */
};

/* libx264 veryfast, one thread, bitexact, yuv420p, faststart. 0 or negative AVERROR. */
CHECKED int codec_writer_open(const struct codec_writer_spec *spec,
                              struct codec_writer **ret_writer);
/* A yuv420p frame of the writer's size; pts counts frames from 0. Borrowed. */
CHECKED int codec_writer_frame(struct codec_writer *writer, AVFrame *frame);
/* An audio packet of spec.audio's stream, in its time base. Borrowed.
 * Packets without a place (no time, or back in time) are left out. */
CHECKED int codec_writer_audio(struct codec_writer *writer, const AVPacket *packet);
bool codec_writer_has_audio(const struct codec_writer *writer);
/* Writes the rest and the index. After an error still call codec_writer_free(). */
CHECKED int codec_writer_finish(struct codec_writer *writer);
struct codec_writer *codec_writer_free(struct codec_writer *writer);

/* ---- in: any video ---- */

struct codec_reader;

/* Opens a video by descriptor (from offset 0; the descriptor stays the caller's) with one decoder
 * thread; protocols and playlists are shut out: only the bytes of the descriptor are read. 0, or
 * negative AVERROR: not a video that we can decode. */
CHECKED int codec_reader_open(int fd, struct codec_reader **ret_reader);
/* 1 and the next frame (owned by the reader until the next call), 0 at the end, negative AVERROR.
 * Audio packets are passed to `audio` (may be NULL) as they come by; a negative return of it ends
 * the reading with that error. */
CHECKED int codec_reader_next(struct codec_reader *reader,
                              int (*audio)(void *context, const AVPacket *packet), void *context,
                              AVFrame **ret_frame);
const AVStream *codec_reader_video(const struct codec_reader *reader);
const AVStream *codec_reader_audio(const struct codec_reader *reader); /* NULL when silent */
struct codec_reader *codec_reader_free(struct codec_reader *reader);
