/* SPDX-License-Identifier: Apache-2.0
 *
 * The source is decoded once; each frame goes to all companions in turn. What is wrong with the
 * source is MEDIA_BAD_VIDEO, what is wrong with our files is not: the two kinds of error never mix,
 * `source` and `output` below. Runs in the helper, single-threaded. */
#include "media/variants.h"

#include <libavutil/error.h>
#include <stdio.h>

#include "base/must.h"
#include "media/caption.h"
#include "media/codec.h"
#include "media/port.h"
#include "media/preview.h"
#include "media/scale.h"
#include "media/spritesheet.h"
#include "media/thumbnail.h"

enum {
    MEDIUM_SHORT_SIDE_MAX = 480,
    MEDIUM_CRF = 28,
    MARKED_CRF = 20,
    FRAME_RATE_MAX = 240,
    FRAME_RATE_PARTS_MAX = 100000, /* largest numerator or denominator */
    FRAME_RATE_GUESS = 25,
    THUMBNAIL_AT = 10, /* the frame after 1/10 of the video */
    DURATION_MS_MAX = 24 * 3600 * 1000,
};

static const char MARK[] = "filmgate";

/* A copy of the video in another size. */
struct copy {
    struct codec_writer *writer; /* NULL: not wanted */
    struct scaler *scaler;
    struct caption *mark; /* NULL: none */
};

struct variants {
    const struct media_variants *files;
    const struct caption_mark *mark;
    struct codec_reader *reader;
    AVRational frame_rate;
    int64_t n_expected; /* frames, by the container's word; 0: unknown */
    int64_t n_frames;
    int width, height;
    AVFrame *still; /* the thumbnail's */
    struct preview *preview;
    struct spritesheet *sheet;
    struct copy medium, marked;
    int source_error, output_error; /* AVERROR */
    const char *output;             /* which of our files failed */
};

/* ---- what the container says ---- */

static AVRational choose_frame_rate(const AVStream *video)
{
    AVRational rate = video->avg_frame_rate;
    if (rate.num <= 0 || rate.den <= 0)
        rate = video->r_frame_rate;
    if (rate.num <= 0 || rate.den <= 0 || av_q2d(rate) > FRAME_RATE_MAX)
        return (AVRational){FRAME_RATE_GUESS, 1};
    (void)av_reduce(&rate.num, &rate.den, rate.num, rate.den, FRAME_RATE_PARTS_MAX);
    return rate.num > 0 && rate.den > 0 ? rate : (AVRational){FRAME_RATE_GUESS, 1};
}

/* In milliseconds by the stream's word, 0 when it says none or nonsense. */
static int64_t told_duration_ms(const AVStream *video)
{
    if (video->duration <= 0)
        return 0;
    int64_t ms = av_rescale_q(video->duration, video->time_base, (AVRational){1, 1000});
    return ms > 0 && ms <= DURATION_MS_MAX ? ms : 0;
}

static int64_t expect_frames(const AVStream *video, AVRational frame_rate)
{
    if (video->nb_frames > 0)
        return video->nb_frames;
    return av_rescale(told_duration_ms(video), frame_rate.num, (int64_t)frame_rate.den * 1000);
}

/* ---- the copies ---- */

static int even(int64_t length)
{
    return length < 2 ? 2 : (int)(length / 2 * 2);
}

/* The smaller copy: short side 480, or three quarters of it where the source is that small already.
 */
static void medium_size(int width, int height, int *ret_width, int *ret_height)
{
    int64_t short_side = width < height ? width : height;
    int64_t target = short_side * 3 / 4;
    if (target > MEDIUM_SHORT_SIDE_MAX || short_side > MEDIUM_SHORT_SIDE_MAX)
        target = MEDIUM_SHORT_SIDE_MAX;
    *ret_width = even(width * target / short_side);
    *ret_height = even(height * target / short_side);
}

/* The sound, where an mp4 can take it as it is. */
static const AVStream *usable_audio(const struct variants *variants)
{
    const AVStream *audio = codec_reader_audio(variants->reader);
    bool is_usable = audio && audio->codecpar->codec_id == AV_CODEC_ID_AAC &&
                     audio->codecpar->sample_rate > 0 && audio->time_base.num > 0 &&
                     audio->time_base.den > 0;
    return is_usable ? audio : NULL;
}

static int64_t audio_start(const AVStream *video, const AVStream *audio)
{
    if (!audio || video->start_time == AV_NOPTS_VALUE)
        return 0;
    int64_t start = av_rescale_q(video->start_time, video->time_base, audio->time_base);
    return start > INT64_MIN / 4 && start < INT64_MAX / 4 ? start : 0;
}

static int copy_open(struct variants *variants, struct copy *copy, int fd, int width, int height,
                     int crf)
{
    const AVStream *video = codec_reader_video(variants->reader);
    const AVStream *audio = usable_audio(variants);
    struct codec_writer_spec spec = {
        .fd = fd,
        .width = width,
        .height = height,
        .frame_rate = variants->frame_rate,
        .crf = crf,
        .audio = audio,
        .audio_start = audio_start(video, audio),
        .colours = scaler_is_rgb(video->codecpar->format) ? NULL : video->codecpar,
    };
    copy->scaler = scaler_new(width, height, AV_PIX_FMT_YUV420P);
    int error = codec_writer_open(&spec, &copy->writer);
    if (error == 0 || !audio || port_end_of(error) != MEDIA_FAILED)
        return error;
    spec.audio = NULL; /* it was not fit for an mp4 after all */
    return codec_writer_open(&spec, &copy->writer);
}

static int copy_frame(struct copy *copy, const AVFrame *frame, int64_t index, int *ret_source_error)
{
    AVFrame *scaled;
    if (!copy->writer)
        return 0;
    *ret_source_error = scaler_run(copy->scaler, frame, &scaled);
    if (*ret_source_error < 0)
        return 0;
    if (copy->mark)
        caption_blend(copy->mark, scaled->data, scaled->linesize, 1.0);
    scaled->pts = index;
    return codec_writer_frame(copy->writer, scaled);
}

static int copy_audio(struct copy *copy, const AVPacket *packet)
{
    return copy->writer && codec_writer_has_audio(copy->writer)
               ? codec_writer_audio(copy->writer, packet)
               : 0;
}

static void copy_fini(struct copy *copy)
{
    copy->writer = codec_writer_free(copy->writer);
    copy->scaler = scaler_free(copy->scaler);
    copy->mark = caption_free(copy->mark);
}

/* ---- the pass over the source ---- */

static int note_output(struct variants *variants, const char *output, int error)
{
    if (error < 0 && variants->output_error == 0) {
        variants->output_error = error;
        variants->output = output;
    }
    return error;
}

static int open_outputs(struct variants *variants)
{
    int width, height;
    medium_size(variants->width, variants->height, &width, &height);
    int error =
        copy_open(variants, &variants->medium, variants->files->medium, width, height, MEDIUM_CRF);
    if (note_output(variants, "medium copy", error) < 0)
        return error;
    variants->preview = preview_new(variants->width, variants->height, variants->frame_rate);
    /* What a rate and a duration come to is too rough a guess. */
    int64_t n_told = codec_reader_video(variants->reader)->nb_frames;
    variants->sheet = spritesheet_new(variants->width, variants->height, n_told);
    if (variants->files->marked < 0)
        return 0;
    width = even(variants->width);
    height = even(variants->height);
    if (variants->mark)
        variants->marked.mark = caption_of_mark(variants->mark, width, height);
    /* A copy that should bear the mark and does not is worse than none. */
    error = variants->marked.mark ? copy_open(variants, &variants->marked, variants->files->marked,
                                              width, height, MARKED_CRF)
                                  : AVERROR_EXTERNAL;
    return note_output(variants, "marked copy", error);
}

static int open_source(struct variants *variants)
{
    int error = codec_reader_open(variants->files->source, &variants->reader);
    if (error < 0)
        return error;
    const AVStream *video = codec_reader_video(variants->reader);
    variants->width = video->codecpar->width;
    variants->height = video->codecpar->height;
    if (variants->width <= 0 || variants->height <= 0)
        return AVERROR_INVALIDDATA;
    variants->frame_rate = choose_frame_rate(video);
    variants->n_expected = expect_frames(video, variants->frame_rate);
    return 0;
}

static int on_audio(void *context, const AVPacket *packet)
{
    struct variants *variants = context;
    int error = copy_audio(&variants->medium, packet);
    if (note_output(variants, "medium copy", error) < 0)
        return error;
    return note_output(variants, "marked copy", copy_audio(&variants->marked, packet));
}

static int keep_still(struct variants *variants, const AVFrame *frame)
{
    int64_t index = variants->n_frames;
    if (index > 0 && index != variants->n_expected / THUMBNAIL_AT)
        return 0;
    av_frame_unref(variants->still);
    return av_frame_ref(variants->still, frame);
}

/* Gives one frame to all; false when one of them failed. */
static bool spread_frame(struct variants *variants, const AVFrame *frame)
{
    int source = keep_still(variants, frame);
    if (source >= 0)
        source = preview_offer(variants->preview, frame);
    if (source >= 0)
        source = spritesheet_offer(variants->sheet, frame);
    int output = 0;
    if (source >= 0)
        output = copy_frame(&variants->medium, frame, variants->n_frames, &source);
    (void)note_output(variants, "medium copy", output);
    if (source >= 0 && output >= 0)
        output = copy_frame(&variants->marked, frame, variants->n_frames, &source);
    (void)note_output(variants, "marked copy", output);
    variants->n_frames++;
    variants->source_error = source < 0 ? source : 0;
    return source >= 0 && output >= 0;
}

static double progress(const struct variants *variants)
{
    if (variants->n_expected <= 0)
        return 0; /* still a sign of life */
    double done = (double)variants->n_frames / (double)variants->n_expected;
    return done < 0.99 ? done : 0.99; /* the rest is the writers' */
}

static bool decode_all(struct variants *variants, void (*report)(double progress))
{
    AVFrame *frame;
    int result;
    while ((result = codec_reader_next(variants->reader, on_audio, variants, &frame)) > 0) {
        if (variants->n_frames == INT32_MAX) {
            variants->source_error = AVERROR(ERANGE);
            return false;
        }
        if (!spread_frame(variants, frame))
            return false;
        report(progress(variants));
    }
    if (variants->output_error < 0)
        return false; /* on_audio's, on its way through the reader */
    if (result == 0 && variants->n_frames == 0)
        result = AVERROR_INVALIDDATA;
    variants->source_error = result;
    return result == 0;
}

static void finish_outputs(struct variants *variants)
{
    int error = codec_writer_finish(variants->medium.writer);
    if (note_output(variants, "medium copy", error) < 0)
        return;
    if (variants->marked.writer)
        error = codec_writer_finish(variants->marked.writer);
    if (note_output(variants, "marked copy", error) < 0)
        return;
    error = preview_write(variants->preview, variants->files->preview);
    if (note_output(variants, "preview", error) < 0)
        return;
    error = spritesheet_write(variants->sheet, variants->files->spritesheet);
    if (note_output(variants, "sprite sheet", error) < 0)
        return;
    error = thumbnail_write(variants->still, variants->files->thumbnail);
    (void)note_output(variants, "thumbnail", error);
}

/* ---- the outcome ---- */

static enum media_end conclude(const struct variants *variants, char ret_note[200])
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    int error = variants->output_error < 0 ? variants->output_error : variants->source_error;
    if (error == 0)
        return MEDIA_DONE;
    (void)av_strerror(error, text, sizeof text);
    (void)snprintf(ret_note, 200, "%s: %s",
                   variants->output_error < 0 ? variants->output : "source", text);
    bool is_ours = variants->output_error < 0 || error == AVERROR(ENOMEM);
    return is_ours ? port_end_of(error) : MEDIA_BAD_VIDEO;
}

static void tell_facts(const struct variants *variants, struct media_facts *ret_facts)
{
    int64_t duration_ms = told_duration_ms(codec_reader_video(variants->reader));
    if (duration_ms == 0)
        duration_ms = av_rescale(variants->n_frames, (int64_t)variants->frame_rate.den * 1000,
                                 variants->frame_rate.num);
    *ret_facts = (struct media_facts){
        .width = variants->width,
        .height = variants->height,
        .n_frames = (int)variants->n_frames,
        .duration_ms = duration_ms,
    };
}

struct caption_mark *variants_mark(void)
{
    return caption_mark_new(MARK);
}

enum media_end variants_make(const struct media_variants *files, const struct caption_mark *mark,
                             void (*report)(double progress), struct media_facts *ret_facts,
                             char ret_note[200])
{
    struct variants variants = {.files = files, .mark = mark, .still = av_frame_alloc()};
    must(variants.still && report);
    variants.source_error = open_source(&variants);
    if (variants.source_error == 0 && open_outputs(&variants) == 0 && decode_all(&variants, report))
        finish_outputs(&variants);
    enum media_end end = conclude(&variants, ret_note);
    if (end == MEDIA_DONE) {
        tell_facts(&variants, ret_facts);
        ret_note[0] = '\0';
        report(1.0);
    }
    copy_fini(&variants.medium);
    copy_fini(&variants.marked);
    preview_free(variants.preview);
    spritesheet_free(variants.sheet);
    av_frame_free(&variants.still);
    codec_reader_free(variants.reader);
    return end;
}
