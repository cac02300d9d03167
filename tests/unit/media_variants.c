/* SPDX-License-Identifier: Apache-2.0
 *
 * The companions of a video, made by a helper (this program, started as `… helper media`) from
 * sources that the cases write themselves; and what comes of sources that are none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libavutil/channel_layout.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <webp/decode.h>

#include "base/compiler.h"
#include "base/loop.h"
#include "base/must.h"
#include "media/codec.h"
#include "media/media.h"
#include "media/palette.h"
#include "media/picture.h"
#include "media/preview.h"
#include "media/spritesheet.h"
#include "media/variants.h"
#include "media_sample.h"

enum {
    FPS = 30,
    PATIENCE_MS = 120000,
    SHORT_MS = 300,
    TURN_MS = 5,
    N_OUTPUTS = 5,
    GIF_TICK_MS = 10,
    SHEET_SIDE_MAX = SPRITESHEET_COLUMNS * SPRITESHEET_SIDE_MAX,
};

/* ---- files ---- */

static int new_file(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static size_t file_size(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return (size_t)status.st_size;
}

static uint8_t *read_file(int fd, size_t *ret_size)
{
    size_t size = file_size(fd);
    uint8_t *data = must_calloc(1, size + 1);
    assert_int_equal(pread(fd, data, size, 0), size);
    *ret_size = size;
    return data;
}

static int file_of(const void *data, size_t size)
{
    int fd = new_file();
    assert_int_equal(pwrite(fd, data, size, 0), size);
    return fd;
}

/* ---- sources ---- */

/* A gradient that moves: every frame differs from the one before. */
static void draw(AVFrame *frame, int index)
{
    for (int plane = 0; plane < 3; plane++) {
        int shift = plane > 0;
        for (int y = 0; y < frame->height >> shift; y++) {
            uint8_t *row = frame->data[plane] + (ptrdiff_t)y * frame->linesize[plane];
            for (int x = 0; x < frame->width >> shift; x++)
                row[x] = (uint8_t)(plane == 0 ? 40 + (x + y + 4 * index) % 128
                                              : 96 + (x * (plane == 1) + y * (plane == 2)) % 64);
        }
    }
}

static int write_film(int width, int height, int n_frames, void (*paint)(AVFrame *frame, int index))
{
    int fd = new_file();
    struct codec_writer *writer = NULL;
    struct codec_writer_spec spec = {
        .fd = fd, .width = width, .height = height, .frame_rate = {FPS, 1}, .crf = 23};
    assert_int_equal(codec_writer_open(&spec, &writer), 0);
    AVFrame *frame = sample_frame(AV_PIX_FMT_YUV420P, width, height);
    for (int i = 0; i < n_frames; i++) {
        assert_true(av_frame_make_writable(frame) >= 0);
        paint(frame, i);
        frame->pts = i;
        assert_int_equal(codec_writer_frame(writer, frame), 0);
    }
    assert_int_equal(codec_writer_finish(writer), 0);
    av_frame_free(&frame);
    assert_null(codec_writer_free(writer));
    return fd;
}

static int write_source(int width, int height, int n_frames)
{
    return write_film(width, height, n_frames, draw);
}

/* Silence as AAC, for the sound of a source. */
struct silence {
    AVCodecContext *encoder;
    AVStream stream; /* of no container: only what a writer looks at */
    AVFrame *frame;
    AVPacket *packet;
};

static void silence_init(struct silence *silence)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    must(codec);
    *silence = (struct silence){.encoder = avcodec_alloc_context3(codec),
                                .frame = av_frame_alloc(),
                                .packet = av_packet_alloc()};
    AVCodecContext *encoder = silence->encoder;
    encoder->sample_rate = 48000;
    encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    av_channel_layout_default(&encoder->ch_layout, 1);
    encoder->time_base = (AVRational){1, 48000};
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    must(avcodec_open2(encoder, codec, NULL) == 0);
    silence->stream.time_base = encoder->time_base;
    silence->stream.codecpar = avcodec_parameters_alloc();
    must(avcodec_parameters_from_context(silence->stream.codecpar, encoder) >= 0);
    silence->frame->nb_samples = encoder->frame_size;
    silence->frame->format = encoder->sample_fmt;
    must(av_channel_layout_copy(&silence->frame->ch_layout, &encoder->ch_layout) == 0);
    must(av_frame_get_buffer(silence->frame, 0) >= 0);
    memset(silence->frame->data[0], 0, (size_t)silence->frame->linesize[0]);
}

static void silence_write(struct silence *silence, int n_packets, struct codec_writer *writer)
{
    for (int i = 0; i < n_packets; i++) {
        silence->frame->pts = (int64_t)i * silence->frame->nb_samples;
        must(avcodec_send_frame(silence->encoder, silence->frame) == 0);
        while (avcodec_receive_packet(silence->encoder, silence->packet) == 0) {
            assert_int_equal(codec_writer_audio(writer, silence->packet), 0);
            av_packet_unref(silence->packet);
        }
    }
}

static void silence_fini(struct silence *silence)
{
    avcodec_parameters_free(&silence->stream.codecpar);
    avcodec_free_context(&silence->encoder);
    av_frame_free(&silence->frame);
    av_packet_free(&silence->packet);
}

static int write_source_with_sound(int width, int height, int n_frames)
{
    int fd = new_file();
    struct codec_writer *writer = NULL;
    struct silence silence;
    silence_init(&silence);
    struct codec_writer_spec spec = {.fd = fd,
                                     .width = width,
                                     .height = height,
                                     .frame_rate = {FPS, 1},
                                     .crf = 23,
                                     .audio = &silence.stream};
    assert_int_equal(codec_writer_open(&spec, &writer), 0);
    assert_true(codec_writer_has_audio(writer));
    silence_write(&silence, n_frames * 48000 / FPS / 1024, writer);
    AVFrame *frame = sample_frame(AV_PIX_FMT_YUV420P, width, height);
    for (int i = 0; i < n_frames; i++) {
        assert_true(av_frame_make_writable(frame) >= 0);
        draw(frame, i);
        frame->pts = i;
        assert_int_equal(codec_writer_frame(writer, frame), 0);
    }
    assert_int_equal(codec_writer_finish(writer), 0);
    av_frame_free(&frame);
    codec_writer_free(writer);
    silence_fini(&silence);
    return fd;
}

/* ---- looking at videos ---- */

struct seen {
    int width, height, n_frames, n_audio;
    double mark_difference; /* from draw(), mean over the lower right quarter of the first frame */
};

static int count_audio(void *context, const AVPacket *packet)
{
    struct seen *seen = context;
    assert_true(packet->size > 0);
    seen->n_audio++;
    return 0;
}

static double corner_difference(const AVFrame *frame)
{
    AVFrame *expected = sample_frame(AV_PIX_FMT_YUV420P, frame->width, frame->height);
    draw(expected, 0);
    double sum = 0;
    for (int y = frame->height * 3 / 4; y < frame->height; y++)
        for (int x = frame->width / 2; x < frame->width; x++)
            sum += abs(frame->data[0][y * frame->linesize[0] + x] -
                       expected->data[0][y * expected->linesize[0] + x]);
    av_frame_free(&expected);
    return sum / (frame->width / 2.0 * frame->height / 4.0);
}

static struct seen look_at(int fd)
{
    struct seen seen = {0};
    struct codec_reader *reader = NULL;
    AVFrame *frame;
    int result;
    assert_int_equal(codec_reader_open(fd, &reader), 0);
    while ((result = codec_reader_next(reader, count_audio, &seen, &frame)) > 0) {
        seen.width = frame->width;
        seen.height = frame->height;
        if (seen.n_frames++ == 0 && frame->format == AV_PIX_FMT_YUV420P)
            seen.mark_difference = corner_difference(frame);
    }
    assert_int_equal(result, 0);
    assert_null(codec_reader_free(reader));
    return seen;
}

static void check_faststart(int fd)
{
    size_t size;
    CLEANUP(free_pointer) uint8_t *data = read_file(fd, &size);
    const uint8_t *index = memmem(data, size, "moov", 4);
    const uint8_t *media = memmem(data, size, "mdat", 4);
    assert_non_null(index);
    assert_non_null(media);
    assert_true(index < media);
}

/* ---- running a helper ---- */

struct run {
    struct loop *loop;
    struct loop_timer turn;
    struct media_job *job;
    int signal_when_heard;
    double progress; /* last told */
    bool is_rising;
    int n_progress, n_ended;
    enum media_end end;
    struct media_facts facts;
    char note[200];
    int output[N_OUTPUTS]; /* thumbnail, preview, medium, marked, sprite sheet */
};

static void on_progress(void *context, double progress)
{
    struct run *run = context;
    run->is_rising = run->is_rising && progress >= run->progress;
    run->progress = progress;
    run->n_progress++;
    if (run->signal_when_heard)
        assert_int_equal(kill(media_pid(run->job), run->signal_when_heard), 0);
    run->signal_when_heard = 0;
}

static void on_ended(void *context, enum media_end end, const struct media_facts *facts,
                     const char *note)
{
    struct run *run = context;
    run->n_ended++;
    run->end = end;
    assert_int_equal(facts != NULL, end == MEDIA_DONE);
    if (facts)
        run->facts = *facts;
    (void)snprintf(run->note, sizeof run->note, "%s", note);
    loop_stop(run->loop);
}

static const struct media_limits PATIENT = {PATIENCE_MS, PATIENCE_MS, INT64_C(2) << 30,
                                            INT64_C(1) << 30};

static void run_start(struct run *run, int source, bool is_marked,
                      const struct media_limits *limits)
{
    struct media_handler handler = {on_progress, on_ended, run};
    assert_int_equal(loop_new(&run->loop), 0);
    run->is_rising = true;
    for (size_t i = 0; i < N_OUTPUTS; i++)
        run->output[i] = new_file();
    struct media_variants variants = {
        .source = source,
        .thumbnail = run->output[0],
        .preview = run->output[1],
        .spritesheet = run->output[4],
        .medium = run->output[2],
        .marked = is_marked ? run->output[3] : -1,
    };
    assert_int_equal(media_variants_start(run->loop, &variants, limits, &handler, &run->job), 0);
}

static void on_turn(struct loop_timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, turn);
    siginfo_t info;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD)
        loop_arm(run->loop, &run->turn, TURN_MS);
    else
        loop_stop(run->loop);
}

static void run_fini(struct run *run)
{
    run->turn.fire = on_turn;
    loop_arm(run->loop, &run->turn, 0);
    loop_run(run->loop);
    loop_free(run->loop);
    for (size_t i = 0; i < N_OUTPUTS; i++)
        close_fd(&run->output[i]);
}

static void check_thumbnail(int fd, int width, int height)
{
    size_t size;
    int seen_width = 0, seen_height = 0;
    CLEANUP(free_pointer) uint8_t *data = read_file(fd, &size);
    uint8_t *rgb = WebPDecodeRGB(data, size, &seen_width, &seen_height);
    assert_non_null(rgb);
    WebPFree(rgb);
    assert_int_equal(seen_width, width);
    assert_int_equal(seen_height, height);
}

/* Sums the delays of a GIF's graphic control extensions. */
static int gif_duration_ms(const uint8_t *data, size_t size)
{
    static const uint8_t head[] = {0x21, 0xf9, 0x04};
    int ticks = 0;
    const uint8_t *at = data;
    while ((at = memmem(at, size - (size_t)(at - data), head, sizeof head))) {
        if (at[7] == 0) /* its terminator: not picture data that looks alike */
            ticks += at[4] | at[5] << 8;
        at += sizeof head;
    }
    return ticks * GIF_TICK_MS;
}

static void check_preview(int fd, int width, int height, int n_frames, int duration_ms)
{
    size_t size;
    CLEANUP(free_pointer) uint8_t *data = read_file(fd, &size);
    static const uint8_t for_ever[] = "NETSCAPE2.0\x03\x01\0";
    struct seen seen = look_at(fd);
    assert_int_equal(seen.width, width);
    assert_int_equal(seen.height, height);
    assert_int_equal(seen.n_frames, n_frames);
    assert_int_equal(gif_duration_ms(data, size), duration_ms);
    /* A loop count of 0: the last byte and the array's own NUL. */
    if (n_frames > 1)
        assert_non_null(memmem(data, size, for_ever, sizeof for_ever));
}

static struct picture check_spritesheet(int fd, int width, int height)
{
    struct picture sheet;
    assert_int_equal(picture_load(fd, SHEET_SIDE_MAX, &sheet), 0);
    assert_int_equal(sheet.width, width);
    assert_int_equal(sheet.height, height);
    return sheet;
}

/* ---- cases ---- */

static void test_writer_and_reader(void **state)
{
    (void)state;
    int one = write_source(176, 144, 45);
    int other = write_source(176, 144, 45);
    check_faststart(one);
    struct seen seen = look_at(one);
    assert_int_equal(seen.width, 176);
    assert_int_equal(seen.height, 144);
    assert_int_equal(seen.n_frames, 45);
    assert_int_equal(seen.n_audio, 0);
    assert_true(seen.mark_difference < 4);
    size_t size, other_size;
    CLEANUP(free_pointer) uint8_t *data = read_file(one, &size);
    CLEANUP(free_pointer) uint8_t *other_data = read_file(other, &other_size);
    assert_int_equal(size, other_size);
    assert_memory_equal(data, other_data, size);
    assert_int_equal(lseek(one, 0, SEEK_CUR), 0); /* the caller's offset stays */
    close_fd(&one);
    close_fd(&other);
}

static void test_all_companions(void **state)
{
    struct run run = {0};
    (void)state;
    int source = write_source_with_sound(352, 640, 120);
    run_start(&run, source, true, &PATIENT);
    loop_run(run.loop);
    assert_string_equal(run.note, "");
    assert_int_equal(run.end, MEDIA_DONE);
    assert_int_equal(run.facts.width, 352);
    assert_int_equal(run.facts.height, 640);
    assert_int_equal(run.facts.n_frames, 120);
    assert_int_equal(run.facts.duration_ms, 4000);
    assert_true(run.n_progress > 0 && run.is_rising);
    assert_true(run.progress >= 1);
    check_thumbnail(run.output[0], 352, 640);
    check_preview(run.output[1], 240, 436, 30, 3000);
    struct picture sheet = check_spritesheet(run.output[4], 440, 800);
    picture_fini(&sheet);
    struct seen medium = look_at(run.output[2]);
    assert_int_equal(medium.width, 264);
    assert_int_equal(medium.height, 480);
    assert_int_equal(medium.n_frames, 120);
    struct seen marked = look_at(run.output[3]);
    assert_int_equal(marked.width, 352);
    assert_int_equal(marked.height, 640);
    assert_int_equal(marked.n_frames, 120);
    struct seen original = look_at(source);
    assert_true(original.n_audio > 100);
    assert_int_equal(medium.n_audio, original.n_audio);
    assert_int_equal(marked.n_audio, original.n_audio);
    assert_true(marked.mark_difference > original.mark_difference + 0.2);
    check_faststart(run.output[2]);
    check_faststart(run.output[3]);
    close_fd(&source);
    run_fini(&run);
}

static void test_sizes(void **state)
{
    static const struct {
        int width, height, n_frames;
        int thumbnail_width, thumbnail_height;
        int preview_width, preview_height, preview_frames, preview_ms;
        int medium_width, medium_height;
        int sheet_width, sheet_height;
    } CASES[] = {
        {1920, 1080, 3, 1280, 720, 240, 136, 1, 100, 852, 480, 480, 90},
        {704, 1280, 7, 704, 1280, 240, 436, 3, 300, 480, 872, 440, 320},
        {16, 16, 1, 16, 16, 16, 16, 1, 100, 12, 12, 16, 16},
        {64, 1024, 2, 64, 1024, 40, 640, 1, 100, 48, 768, 20, 160},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct run run = {0};
        int source = write_source(CASES[i].width, CASES[i].height, CASES[i].n_frames);
        run_start(&run, source, false, &PATIENT);
        loop_run(run.loop);
        assert_int_equal(run.end, MEDIA_DONE);
        assert_int_equal(run.facts.n_frames, CASES[i].n_frames);
        check_thumbnail(run.output[0], CASES[i].thumbnail_width, CASES[i].thumbnail_height);
        check_preview(run.output[1], CASES[i].preview_width, CASES[i].preview_height,
                      CASES[i].preview_frames, CASES[i].preview_ms);
        struct picture sheet =
            check_spritesheet(run.output[4], CASES[i].sheet_width, CASES[i].sheet_height);
        picture_fini(&sheet);
        struct seen medium = look_at(run.output[2]);
        assert_int_equal(medium.width, CASES[i].medium_width);
        assert_int_equal(medium.height, CASES[i].medium_height);
        assert_int_equal(medium.n_frames, CASES[i].n_frames);
        assert_int_equal(medium.n_audio, 0);
        assert_int_equal(file_size(run.output[3]), 0); /* no marked one wanted */
        close_fd(&source);
        run_fini(&run);
    }
}

static int grey_of_second(int second)
{
    return 30 + 8 * (second * 7 % SPRITESHEET_CELLS_MAX);
}

static void paint_second(AVFrame *frame, int index)
{
    for (int plane = 0; plane < 3; plane++)
        memset(frame->data[plane], plane == 0 ? grey_of_second(index / FPS) : 128,
               (size_t)frame->linesize[plane] * (size_t)(frame->height >> (plane > 0)));
}

/* A cell for each second, in reading order. */
static void test_spritesheet_of_a_film(void **state)
{
    struct run run = {0};
    (void)state;
    int source = write_film(64, 48, SPRITESHEET_CELLS_MAX * FPS, paint_second);
    run_start(&run, source, false, &PATIENT);
    loop_run(run.loop);
    assert_int_equal(run.end, MEDIA_DONE);
    struct picture sheet =
        check_spritesheet(run.output[4], SPRITESHEET_COLUMNS * 64, SPRITESHEET_COLUMNS * 48);
    for (int i = 0; i < SPRITESHEET_CELLS_MAX; i++) {
        int x = i % SPRITESHEET_COLUMNS * 64 + 32;
        int y = i / SPRITESHEET_COLUMNS * 48 + 24;
        int grey = sheet.plane[0][y * sheet.width + x];
        assert_in_range(grey, grey_of_second(i) - 3, grey_of_second(i) + 3);
    }
    picture_fini(&sheet);
    close_fd(&source);
    run_fini(&run);
}

static void expect_bad_video(int source)
{
    struct run run = {0};
    run_start(&run, source, true, &PATIENT);
    loop_run(run.loop);
    assert_int_equal(run.n_ended, 1);
    assert_int_equal(run.end, MEDIA_BAD_VIDEO);
    assert_true(strlen(run.note) > 0);
    run_fini(&run);
}

static void test_no_videos(void **state)
{
    static const char *const TEXTS[] = {
        "",
        "this is no video at all, but a text\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile /etc/hostname\n",
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"></MPD>",
        "{\"error\": \"not found\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(TEXTS); i++) {
        int source = file_of(TEXTS[i], strlen(TEXTS[i]));
        expect_bad_video(source);
        close_fd(&source);
    }
    uint8_t music[417 * 64]; /* frame headers of an MP3: 128 kbit/s, 44.1 kHz */
    memset(music, 0, sizeof music);
    for (size_t i = 0; i < sizeof music; i += 417)
        memcpy(music + i, "\xff\xfb\x90\x64", 4);
    int source = file_of(music, sizeof music);
    expect_bad_video(source);
    close_fd(&source);
}

static void test_truncated(void **state)
{
    static const unsigned TENTHS[] = {1, 5, 9};
    size_t size;
    (void)state;
    int whole = write_source(176, 144, 60);
    CLEANUP(free_pointer) uint8_t *data = read_file(whole, &size);
    for (size_t i = 0; i < ARRAY_LENGTH(TENTHS); i++) {
        int source = file_of(data, size * TENTHS[i] / 10);
        expect_bad_video(source);
        close_fd(&source);
    }
    close_fd(&whole);
}

static void test_file_limit(void **state)
{
    struct run run = {0};
    struct media_limits limits = PATIENT;
    (void)state;
    limits.file_bytes = 3000;
    int source = write_source(176, 144, 60);
    run_start(&run, source, true, &limits);
    loop_run(run.loop);
    assert_int_equal(run.end, MEDIA_TOO_LARGE);
    close_fd(&source);
    run_fini(&run);
}

static void test_crash_stall_and_stop(void **state)
{
    struct media_limits limits = PATIENT;
    (void)state;
    int source = write_source(352, 640, 90);
    struct run run = {.signal_when_heard = SIGABRT};
    run_start(&run, source, true, &limits);
    loop_run(run.loop);
    assert_int_equal(run.end, MEDIA_CRASHED);
    run_fini(&run);
    run = (struct run){.signal_when_heard = SIGSTOP};
    limits.stall_ms = 10 * SHORT_MS;
    run_start(&run, source, true, &limits);
    loop_run(run.loop);
    assert_int_equal(run.end, MEDIA_STALLED);
    run_fini(&run);
    run = (struct run){0};
    run_start(&run, source, true, &limits);
    assert_null(media_stop(run.job));
    assert_null(media_stop(NULL));
    run_fini(&run);
    assert_int_equal(run.n_ended, 0);
    close_fd(&source);
}

static void be_silent(double progress)
{
    assert_true(progress >= 0 && progress <= 1);
}

/* Damaged files, in this process so that sanitizers see all: any end will do but a crash. */
static void test_damaged(void **state)
{
    size_t size;
    (void)state;
    int whole = write_source_with_sound(64, 48, 12);
    CLEANUP(free_pointer) uint8_t *data = read_file(whole, &size);
    uint32_t dice = 1;
    for (int i = 0; i < 60; i++) {
        int file[N_OUTPUTS]; /* no marked one: the fonts' library leaks on purpose */
        struct media_facts facts;
        char note[200];
        file[0] = file_of(data, size);
        for (int change = 0; change < 1 + i / 6; change++) {
            dice = dice * 1664525u + 1013904223u; /* a plain generator: the same damage each time */
            uint8_t byte = (uint8_t)(dice >> 24);
            assert_int_equal(pwrite(file[0], &byte, 1, (off_t)((dice >> 4) % size)), 1);
        }
        for (size_t k = 1; k < ARRAY_LENGTH(file); k++)
            file[k] = new_file();
        struct media_variants variants = {.source = file[0],
                                          .thumbnail = file[1],
                                          .preview = file[2],
                                          .spritesheet = file[3],
                                          .medium = file[4],
                                          .marked = -1};
        enum media_end end = variants_make(&variants, NULL, be_silent, &facts, note);
        /* A length that cannot be is, for libav, memory that cannot be had. */
        assert_true(end == MEDIA_DONE || end == MEDIA_BAD_VIDEO || end == MEDIA_NO_MEMORY);
        for (size_t k = 0; k < ARRAY_LENGTH(file); k++)
            close_fd(&file[k]);
    }
    close_fd(&whole);
}

static void test_a_companion_that_cannot_be_written(void **state)
{
    static const char *const NOTES[] = {
        "thumbnail: ", "preview: ", "sprite sheet: ", "medium copy: "};
    (void)state;
    int source = write_source(64, 48, 12);
    for (size_t i = 0; i < ARRAY_LENGTH(NOTES); i++) {
        int file[ARRAY_LENGTH(NOTES)];
        struct media_facts facts;
        char note[200];
        for (size_t k = 0; k < ARRAY_LENGTH(file); k++) {
            file[k] = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
            assert_int_equal(fcntl(file[k], F_ADD_SEALS, k == i ? F_SEAL_GROW : 0), 0);
        }
        struct media_variants variants = {.source = source,
                                          .thumbnail = file[0],
                                          .preview = file[1],
                                          .spritesheet = file[2],
                                          .medium = file[3],
                                          .marked = -1};
        assert_int_equal(variants_make(&variants, NULL, be_silent, &facts, note), MEDIA_FAILED);
        assert_memory_equal(note, NOTES[i], strlen(NOTES[i]));
        for (size_t k = 0; k < ARRAY_LENGTH(file); k++)
            close_fd(&file[k]);
    }
    close_fd(&source);
}

/* A slower video than the preview's own beat keeps its frames, and the preview its length. */
static void test_preview_of_a_slow_video(void **state)
{
    (void)state;
    struct preview *preview = preview_new(64, 48, (AVRational){2, 1});
    AVFrame *frame = sample_frame(AV_PIX_FMT_YUV420P, 64, 48);
    for (int i = 0; i < 20; i++) {
        draw(frame, i);
        assert_int_equal(preview_offer(preview, frame), 0);
    }
    int fd = new_file();
    assert_int_equal(preview_write(preview, fd), 0);
    check_preview(fd, 64, 48, 6, 3000);
    close_fd(&fd);
    av_frame_free(&frame);
    assert_null(preview_free(preview));
}

static void test_palette(void **state)
{
    static const uint8_t pixels[] = {0, 0, 0, 255, 255, 255, 255, 0, 0, 255, 0, 0};
    uint8_t indexes[4];
    (void)state;
    struct palette *palette = palette_new();
    assert_int_equal(palette_make(palette), 0);
    palette_count(palette, pixels, 4);
    assert_int_equal(palette_make(palette), 3);
    palette_map_row(palette, pixels, 4, 0, indexes);
    assert_int_equal(palette_colour(palette, indexes[0]), 0xff000000u);
    assert_int_equal(palette_colour(palette, indexes[1]), 0xffffffffu);
    assert_int_equal(palette_colour(palette, indexes[2]), 0xffff0000u);
    assert_int_equal(indexes[2], indexes[3]);
    assert_null(palette_free(palette));
    /* More colours than places: all places are used, and no colour is far from its own. */
    palette = palette_new();
    for (int i = 0; i < 4096; i++) {
        uint8_t rgb[] = {(uint8_t)(i % 16 * 17), (uint8_t)(i / 16 % 16 * 17),
                         (uint8_t)(i / 256 * 17)};
        palette_count(palette, rgb, 1);
    }
    assert_int_equal(palette_make(palette), PALETTE_MAX);
    for (int i = 0; i < 4096; i++) {
        uint8_t rgb[] = {(uint8_t)(i % 16 * 17), (uint8_t)(i / 16 % 16 * 17),
                         (uint8_t)(i / 256 * 17)};
        uint8_t index;
        palette_map_row(palette, rgb, 1, 0, &index);
        uint32_t colour = palette_colour(palette, index);
        for (int channel = 0; channel < 3; channel++)
            assert_true(abs(rgb[channel] - (int)(colour >> (16 - 8 * channel) & 255)) <= 64);
    }
    palette_free(palette);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return media_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_palette),
        cmocka_unit_test(test_preview_of_a_slow_video),
        cmocka_unit_test(test_writer_and_reader),
        cmocka_unit_test(test_all_companions),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_spritesheet_of_a_film),
        cmocka_unit_test(test_no_videos),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_file_limit),
        cmocka_unit_test(test_crash_stall_and_stop),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_a_companion_that_cannot_be_written),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("media_variants", tests, NULL, NULL);
}
