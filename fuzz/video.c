/* SPDX-License-Identifier: Apache-2.0
 *
 * A stranger's video. Every frame has a size within bounds and bytes; audio packets come from the
 * stream that the reader names. Reading stops after a budget of pixels, so that a few bytes cannot
 * ask for hours. */
#include "harness.h"

#include <libavutil/log.h>

#include "media/codec.h"

enum { FRAME_PIXELS_MAX = 4096 * 4096, BUDGET_PIXELS = 8 << 20, FRAMES_MAX = 60 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    av_log_set_level(AV_LOG_QUIET);
    return 0;
}

static int on_audio(void *context, const AVPacket *packet)
{
    const struct codec_reader *reader = context;
    const AVStream *audio = codec_reader_audio(reader);
    must(audio != NULL && packet->stream_index == audio->index);
    must(packet->size >= 0 && (packet->size == 0 || packet->data != NULL));
    return 0;
}

static void read_frames(struct codec_reader *reader)
{
    int64_t left = BUDGET_PIXELS;
    for (int i = 0; i < FRAMES_MAX && left > 0; i++) {
        AVFrame *frame = NULL;
        int more = codec_reader_next(reader, on_audio, reader, &frame);
        if (more <= 0)
            return;
        must(more == 1 && frame != NULL && frame->data[0] != NULL);
        must(frame->width >= 1 && frame->height >= 1);
        int64_t pixels = (int64_t)frame->width * frame->height;
        must(pixels <= FRAME_PIXELS_MAX);
        left -= pixels;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(close_fd) int fd = harness_file(data, size);
    struct codec_reader *reader = NULL;
    if (codec_reader_open(fd, &reader) < 0)
        return 0;
    const AVStream *video = codec_reader_video(reader);
    must(video != NULL && video->codecpar->codec_type == AVMEDIA_TYPE_VIDEO);
    read_frames(reader);
    codec_reader_free(reader);
    return 0;
}
