/* SPDX-License-Identifier: Apache-2.0
 *
 * A storyboard set in motion. Each of k images has the same share of the time:
 *
 *     |      image 1      |      image 2      |      image 3      |
 *     |               [fade]              [fade]                  |
 *       u = 0 … 1, the image's own time, fades included
 *
 * An image is brought once to a stage, a picture of just the size that the closest view needs, and
 * sampled through a window that glides from one side to the other: close, wide in the middle of its
 * share (the plain centre crop), and close again. Without images there is a backdrop, and the
 * prompt is a title instead of a subtitle. No clock, no randomness, one thread: the same
 * request gives the same bytes. Runs in the helper. */
#include "media/animatic.h"

#include <errno.h>
#include <libavutil/error.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "media/backdrop.h"
#include "media/caption.h"
#include "media/codec.h"
#include "media/dice.h"
#include "media/picture.h"
#include "media/port.h"

enum {
    FRAMES_A_SECOND = 30,
    FADE_FRAMES = 18,
    IMAGES_MAX = 32,
    QUALITY_CRF = 20,
    SOURCE_SIDE_MAX = 4096, /* larger images are scaled down when loaded */
    STAGE_SIDE_MAX = 4096,
    NOTE_SIZE = 200,
};

static const double ZOOM_NEAR = 0.10, ZOOM_FAR = 0.03; /* how much closer at the two ends */
static const double STAGE_SCALE = 1.25; /* stage pixels per output pixel at the widest view */
static const double EXCESS_MAX = 0.14;  /* what is panned over beyond the crop, as a share of it */
static const double CAPTION_IN_S = 0.4, CAPTION_FADE_S = 0.4, CAPTION_OUT_S = 0.3;

struct stage {
    struct picture picture;
    double view_width, view_height; /* of the widest view, in the stage's pixels */
    double zoom_before, zoom_after; /* how much closer the view is at the start and at the end */
    double pan_x, pan_y; /* -1..1 of the room there is, at the end; opposite at the start */
};

struct film {
    const struct media_animatic *animatic;
    struct stage stages[IMAGES_MAX];
    struct backdrop *backdrop;     /* when there is no image */
    const struct caption *caption; /* borrowed; NULL: nothing to show */
    struct codec_writer *writer;
    AVFrame *frame;
};

/* ---- timeline ---- */

static double smooth(double t)
{
    t = fmin(fmax(t, 0), 1);
    return t * t * (3 - 2 * t);
}

/* What a frame shows: an image, and over it the next one with `weight` (0: alone). */
struct moment {
    size_t image;
    double time, next_time; /* of each image's own */
    int weight;             /* 0..256 */
};

static struct moment moment_of(int frame, int n_frames, size_t n_images)
{
    const double share = (double)n_frames / (double)n_images;
    const double fade = n_images > 1 ? fmin(FADE_FRAMES, share / 2) : 0;
    const double at = frame + 0.5;
    const double border = fmin(fmax(round(at / share), 1), (double)n_images - 1);
    const double past = at - border * share;
    struct moment moment = {.image = (size_t)fmin(at / share, (double)n_images - 1)};

    if (n_images > 1 && fabs(past) < fade / 2) {
        moment.image = (size_t)border - 1;
        moment.weight = (int)lround(256 * smooth(past / fade + 0.5));
    }
    moment.time = (at - (double)moment.image * share + fade / 2) / (share + fade);
    moment.next_time = (at - (double)(moment.image + 1) * share + fade / 2) / (share + fade);
    return moment;
}

/* The caption fades in after a moment and is gone before the end; a very short clip is divided in
 * the same way as one of two seconds. */
static double caption_opacity(int frame, int n_frames)
{
    const double length = (double)n_frames / FRAMES_A_SECOND;
    const double pace = fmin(length / 2, 1);
    const double at = (frame + 0.5) / FRAMES_A_SECOND;

    return smooth((at - pace * CAPTION_IN_S) / (pace * CAPTION_FADE_S)) *
           smooth((length - pace * CAPTION_OUT_S - at) / (pace * CAPTION_FADE_S));
}

/* ---- stages ---- */

static struct picture_window stage_window(const struct stage *stage, double time)
{
    const double way = fmin(fmax(2 * time - 1, -1), 1);
    const double zoom =
        1 + (way < 0 ? stage->zoom_before : stage->zoom_after) * pow(fabs(way), 1.5);
    const double drift = way * (0.4 + 0.6 * way * way);
    struct picture_window window = {
        .width = stage->view_width / zoom,
        .height = stage->view_height / zoom,
    };
    const double room_x = (stage->picture.width - window.width) / 2;
    const double room_y = (stage->picture.height - window.height) / 2;

    window.x = room_x * (1 + stage->pan_x * drift);
    window.y = room_y * (1 + stage->pan_y * drift);
    return window;
}

/* The stage's part of the picture: the centre crop of the output's shape, and some of what it
 * hides on the longer axis, to pan over. */
static int stage_build(const struct media_animatic *animatic, const struct picture *picture,
                       struct stage *stage)
{
    const double fit_x = (double)picture->width / animatic->width;
    const double fit_y = (double)picture->height / animatic->height;
    const double fit = fmin(fit_x, fit_y);
    const double scale =
        fmin(STAGE_SCALE, STAGE_SIDE_MAX / (1.2 * fmax(animatic->width, animatic->height)));
    const double excess_x = fmin(fit_x / fit, 1 + EXCESS_MAX);
    const double excess_y = fmin(fit_y / fit, 1 + EXCESS_MAX);
    struct picture_window crop = {
        .width = fit * animatic->width * excess_x,
        .height = fit * animatic->height * excess_y,
    };

    crop.x = (picture->width - crop.width) / 2;
    crop.y = (picture->height - crop.height) / 2;
    stage->view_width = animatic->width * scale;
    stage->view_height = animatic->height * scale;
    return picture_resize(picture, &crop, (int)lround(stage->view_width * excess_x),
                          (int)lround(stage->view_height * excess_y), &stage->picture);
}

/* Neighbours move differently: one comes closer in all, the next goes away, each its own way. */
static void choose_motions(struct film *film)
{
    struct dice dice;
    double angle;
    bool inward;

    dice_init(&dice, film->animatic->prompt, film->animatic->seed);
    angle = dice_real(&dice, 0, 2 * M_PI);
    inward = dice_below(&dice, 2) == 0;
    for (size_t i = 0; i < film->animatic->n_images; i++) {
        film->stages[i].zoom_before = inward ? ZOOM_FAR : ZOOM_NEAR;
        film->stages[i].zoom_after = inward ? ZOOM_NEAR : ZOOM_FAR;
        film->stages[i].pan_x = cos(angle);
        film->stages[i].pan_y = sin(angle);
        inward = !inward;
        angle += dice_real(&dice, 0.5 * M_PI, 1.5 * M_PI);
    }
}

static enum media_end load_images(struct film *film, void (*report)(int frames_encoded),
                                  char *ret_note)
{
    const struct media_animatic *animatic = film->animatic;

    for (size_t i = 0; i < animatic->n_images; i++) {
        struct picture picture = {0};
        int r = picture_load(animatic->images[i], SOURCE_SIDE_MAX, &picture);

        if (r == 0)
            r = stage_build(animatic, &picture, &film->stages[i]);
        picture_fini(&picture);
        if (r == AVERROR(ENOMEM)) {
            (void)snprintf(ret_note, NOTE_SIZE, "not enough memory for image %zu", i + 1);
            return MEDIA_NO_MEMORY;
        }
        if (r < 0) {
            (void)snprintf(ret_note, NOTE_SIZE,
                           r == -EFBIG ? "image %zu is too large" : "image %zu cannot be decoded",
                           i + 1);
            return MEDIA_BAD_IMAGE;
        }
        if (report != NULL)
            report(0);
    }
    return MEDIA_DONE;
}

/* ---- frames ---- */

static void draw_images(struct film *film, int frame)
{
    const struct media_animatic *animatic = film->animatic;
    const struct moment moment = moment_of(frame, animatic->n_frames, animatic->n_images);
    const struct stage *stage = &film->stages[moment.image];
    struct picture_window window = stage_window(stage, moment.time);

    picture_sample(&stage->picture, &window, animatic->width, animatic->height, film->frame->data,
                   film->frame->linesize, 256);
    if (moment.weight == 0)
        return;
    stage++;
    window = stage_window(stage, moment.next_time);
    picture_sample(&stage->picture, &window, animatic->width, animatic->height, film->frame->data,
                   film->frame->linesize, moment.weight);
}

static void draw_frame(struct film *film, int frame)
{
    if (film->backdrop != NULL)
        backdrop_draw(film->backdrop, (double)frame / FRAMES_A_SECOND, film->frame->data,
                      film->frame->linesize);
    else
        draw_images(film, frame);
    if (film->caption != NULL)
        caption_blend(film->caption, film->frame->data, film->frame->linesize,
                      caption_opacity(frame, film->animatic->n_frames));
}

static int open_frame(struct film *film)
{
    AVFrame *frame = av_frame_alloc();

    if (frame == NULL)
        return AVERROR(ENOMEM);
    film->frame = frame;
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = film->animatic->width;
    frame->height = film->animatic->height;
    frame->color_range = AVCOL_RANGE_MPEG;
    frame->colorspace = AVCOL_SPC_BT709;
    frame->color_primaries = AVCOL_PRI_BT709;
    frame->color_trc = AVCOL_TRC_BT709;
    return av_frame_get_buffer(frame, 0);
}

/* All frames through the writer. 0 or negative AVERROR. */
static int encode(struct film *film, void (*report)(int frames_encoded))
{
    const struct codec_writer_spec spec = {
        .fd = film->animatic->output,
        .width = film->animatic->width,
        .height = film->animatic->height,
        .frame_rate = {.num = FRAMES_A_SECOND, .den = 1},
        .crf = QUALITY_CRF,
    };
    int r = open_frame(film);

    if (r == 0)
        r = codec_writer_open(&spec, &film->writer);
    for (int i = 0; r == 0 && i < film->animatic->n_frames; i++) {
        /* The encoder may still hold the last one. */
        r = av_frame_make_writable(film->frame);
        if (r < 0)
            break;
        draw_frame(film, i);
        film->frame->pts = i;
        r = codec_writer_frame(film->writer, film->frame);
        if (r == 0 && report != NULL)
            report(i + 1);
    }
    return r == 0 ? codec_writer_finish(film->writer) : r;
}

static enum media_end end_of(int error, char *ret_note)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";

    if (error == 0)
        return MEDIA_DONE;
    (void)av_strerror(error, text, sizeof text);
    (void)snprintf(ret_note, NOTE_SIZE, "writing the video failed: %s", text);
    return port_end_of(error);
}

struct caption *animatic_caption(const struct media_animatic *animatic)
{
    return caption_new(animatic->prompt, animatic->n_images == 0 ? CAPTION_TITLE : CAPTION_SUBTITLE,
                       animatic->width, animatic->height);
}

enum media_end animatic_render(const struct media_animatic *animatic, const struct caption *caption,
                               void (*report)(int frames_encoded), char ret_note[200])
{
    struct film *film = must_calloc(1, sizeof *film);
    enum media_end end;

    must(animatic->n_images <= IMAGES_MAX && animatic->n_frames > 0);
    must(animatic->width > 0 && animatic->width % 2 == 0);
    must(animatic->height > 0 && animatic->height % 2 == 0);
    ret_note[0] = '\0';
    film->animatic = animatic;
    film->caption = caption;
    choose_motions(film);
    end = load_images(film, report, ret_note);
    if (end == MEDIA_DONE) {
        if (animatic->n_images == 0)
            film->backdrop =
                backdrop_new(animatic->prompt, animatic->seed, animatic->width, animatic->height);
        end = end_of(encode(film, report), ret_note);
    }
    film->writer = codec_writer_free(film->writer);
    av_frame_free(&film->frame);
    film->backdrop = backdrop_free(film->backdrop);
    for (size_t i = 0; i < animatic->n_images; i++)
        picture_fini(&film->stages[i].picture);
    free(film);
    return end;
}
