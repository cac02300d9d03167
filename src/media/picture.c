/* SPDX-License-Identifier: Apache-2.0
 *
 * An image file becomes planar YCbCr once, and is then sampled through a moving window for every
 * frame. All conversion of pixel formats, colour and size is swscale's, in bit-exact mode; the
 * sampler is our own: integer arithmetic with 1/256 pixel steps, so that slow motion glides and
 * equal inputs give equal frames. Single-threaded, in the helper. */
#include "media/picture.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "media/still.h"

enum {
    EXACT = SWS_BITEXACT | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP,
    /* Allocation beyond the last row: swscale's wide loads may look past the end of a row. */
    SLACK_BYTES = 64,
};

static int picture_alloc(int width, int height, struct picture *ret_picture)
{
    size_t plane_bytes = (size_t)width * (size_t)height;
    uint8_t *bytes = calloc(3 * plane_bytes + SLACK_BYTES, 1);

    if (bytes == NULL)
        return AVERROR(ENOMEM);
    *ret_picture = (struct picture){
        .width = width,
        .height = height,
        .plane = {bytes, bytes + plane_bytes, bytes + 2 * plane_bytes},
    };
    return 0; // cppcheck-suppress memleak ; the planes hold it
}

void picture_fini(struct picture *picture)
{
    free(picture->plane[0]);
    *picture = (struct picture){0};
}

/* ---- loading ---- */

/* The whole file with padding behind it, as decoders want it. */
static int read_file(int fd, uint8_t **ret_bytes, size_t *ret_length)
{
    struct stat about;
    uint8_t *bytes;
    size_t length = 0, size;

    if (fstat(fd, &about) < 0)
        return -errno;
    if (about.st_size > PICTURE_FILE_BYTES_MAX)
        return -EFBIG;
    size = (size_t)about.st_size;
    bytes = calloc(size + AV_INPUT_BUFFER_PADDING_SIZE, 1);
    if (bytes == NULL)
        return -ENOMEM;
    while (length < size) {
        ssize_t n = pread(fd, bytes + length, size - length, (off_t)length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int r = -errno;

            free(bytes);
            return r;
        }
        if (n == 0)
            break;
        length += (size_t)n;
    }
    *ret_bytes = bytes;
    *ret_length = length;
    return 0;
}

/* swscale names full-range YUV by range, not by format, and warns about the old formats. */
static enum AVPixelFormat modern_format(enum AVPixelFormat format)
{
    static const struct {
        enum AVPixelFormat old, modern;
    } formats[] = {
        {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P}, {AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV422P},
        {AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P}, {AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_YUV440P},
        {AV_PIX_FMT_YUVJ411P, AV_PIX_FMT_YUV411P},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        if (formats[i].old == format)
            return formats[i].modern;
    }
    return format;
}

/* Ranges are given before the scaler is made: it chooses short cuts by them. RGB to RGB goes
 * through YCbCr inside; the same matrix must lead there and back. */
static struct SwsContext *new_scaler(const AVFrame *from, const AVFrame *to, int algorithm)
{
    struct SwsContext *scaler = sws_alloc_context();
    const enum AVPixelFormat format = modern_format((enum AVPixelFormat)from->format);
    const bool to_full = to->color_range == AVCOL_RANGE_JPEG;

    if (scaler == NULL)
        return NULL;
    if (av_opt_set_int(scaler, "srcw", from->width, 0) < 0 ||
        av_opt_set_int(scaler, "srch", from->height, 0) < 0 ||
        av_opt_set_int(scaler, "src_format", format, 0) < 0 ||
        av_opt_set_int(scaler, "src_range", 1, 0) < 0 ||
        av_opt_set_int(scaler, "dstw", to->width, 0) < 0 ||
        av_opt_set_int(scaler, "dsth", to->height, 0) < 0 ||
        av_opt_set_int(scaler, "dst_format", to->format, 0) < 0 ||
        av_opt_set_int(scaler, "dst_range", to_full, 0) < 0 ||
        av_opt_set_int(scaler, "sws_flags", EXACT | algorithm, 0) < 0 ||
        sws_init_context(scaler, NULL, NULL) < 0) {
        sws_freeContext(scaler);
        return NULL;
    }
    (void)sws_setColorspaceDetails(scaler, sws_getCoefficients(SWS_CS_ITU601), 1,
                                   sws_getCoefficients(to_full ? SWS_CS_ITU601 : SWS_CS_ITU709),
                                   to_full, 0, 1 << 16, 1 << 16);
    return scaler;
}

/* Everything that our decoders give is full range; YUV among it is JPEG's, which is BT.601. */
static int convert(const AVFrame *from, int width, int height, enum AVPixelFormat format,
                   AVFrame **ret_frame)
{
    const bool shrinks = width < from->width || height < from->height;
    struct SwsContext *scaler = NULL;
    AVFrame *to = av_frame_alloc();
    int r = AVERROR(ENOMEM);

    if (to == NULL)
        return r;
    to->format = format;
    to->width = width;
    to->height = height;
    to->color_range = format == AV_PIX_FMT_YUV444P ? AVCOL_RANGE_MPEG : AVCOL_RANGE_JPEG;
    scaler = new_scaler(from, to, shrinks ? SWS_AREA : SWS_BICUBIC);
    if (scaler != NULL)
        r = av_frame_get_buffer(to, 0);
    if (r == 0)
        r = sws_scale(scaler, (const uint8_t *const *)from->data, from->linesize, 0, from->height,
                      to->data, to->linesize);
    if (r >= 0) {
        *ret_frame = TAKE(to);
        r = 0;
    }
    av_frame_free(&to);
    sws_freeContext(scaler);
    return r;
}

/* Formats that go to YCbCr as they are. The others take the way over RGBA: those with transparency,
 * and the rare ones, whose ranges swscale gets wrong in a single step. */
static bool is_plain(const AVFrame *frame)
{
    const AVPixFmtDescriptor *format = av_pix_fmt_desc_get((enum AVPixelFormat)frame->format);
    const unsigned odd = AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM;

    return format != NULL && (format->flags & odd) == 0 && format->nb_components == 3 &&
           format->comp[0].depth == 8;
}

/* Lays a frame over black, before scaling: colours of what cannot be seen must not bleed into what
 * can. */
static int flatten(AVFrame **frame)
{
    int r = 0;

    if ((*frame)->format != AV_PIX_FMT_RGBA) {
        AVFrame *rgba = NULL;

        r = convert(*frame, (*frame)->width, (*frame)->height, AV_PIX_FMT_RGBA, &rgba);
        if (r < 0)
            return r;
        av_frame_free(frame);
        *frame = rgba;
    }
    r = av_frame_make_writable(*frame);
    for (int y = 0; r == 0 && y < (*frame)->height; y++) {
        uint8_t *row = (*frame)->data[0] + (ptrdiff_t)y * (*frame)->linesize[0];

        for (int x = 0; x < (*frame)->width; x++, row += 4) {
            if (row[3] == 255)
                continue;
            for (int c = 0; c < 3; c++)
                row[c] = (uint8_t)((row[c] * row[3] + 127) / 255);
            row[3] = 255;
        }
    }
    return r;
}

/* Copies a frame into a picture turned by its EXIF orientation. From 5 on rows become columns;
 * which orientations begin at the right or at the bottom is in the two masks. */
static int upright(const AVFrame *frame, int orientation, struct picture *ret_picture)
{
    const bool turned = orientation >= 5;
    const bool mirrored_x = (1 << orientation & (1 << 2 | 1 << 3 | 1 << 7 | 1 << 8)) != 0;
    const bool mirrored_y = (1 << orientation & (1 << 3 | 1 << 4 | 1 << 6 | 1 << 7)) != 0;
    const int width = turned ? frame->height : frame->width;
    const int height = turned ? frame->width : frame->height;
    int r = picture_alloc(width, height, ret_picture);

    if (r < 0)
        return r;
    for (int p = 0; p < 3; p++) {
        const ptrdiff_t stride = frame->linesize[p];
        const ptrdiff_t step_x = (mirrored_x ? -1 : 1) * (ptrdiff_t)1;
        const ptrdiff_t step_y = (mirrored_y ? -1 : 1) * stride;
        const uint8_t *start = frame->data[p] + (mirrored_x ? frame->width - 1 : 0) +
                               (mirrored_y ? (frame->height - 1) * stride : 0);
        uint8_t *to = ret_picture->plane[p];

        for (int y = 0; y < height; y++) {
            const uint8_t *from = start + (turned ? y * step_x : y * step_y);

            for (int x = 0; x < width; x++)
                *to++ = from[turned ? x * step_y : x * step_x];
        }
    }
    return 0;
}

static int scaled_side(int side, int long_side, int max_side)
{
    if (long_side <= max_side)
        return side;
    side = (int)(((int64_t)side * max_side + long_side / 2) / long_side);
    return side > 0 ? side : 1;
}

int picture_load(int fd, int max_side, struct picture *ret_picture)
{
    struct still still = {0};
    AVFrame *planar = NULL;
    uint8_t *bytes = NULL;
    size_t length = 0;
    int r = read_file(fd, &bytes, &length);

    if (r < 0)
        return r;
    r = still_decode(bytes, length, PICTURE_PIXELS_MAX, &still);
    free(bytes);
    if (r == 0 && !is_plain(still.frame))
        r = flatten(&still.frame);
    if (r == 0) {
        const int width = still.frame->width, height = still.frame->height;
        const int long_side = width > height ? width : height;

        r = convert(still.frame, scaled_side(width, long_side, max_side),
                    scaled_side(height, long_side, max_side), AV_PIX_FMT_YUV444P, &planar);
    }
    if (r == 0)
        r = upright(planar, still.orientation, ret_picture);
    av_frame_free(&planar);
    still_fini(&still);
    return r;
}

int picture_resize(const struct picture *picture, const struct picture_window *window, int width,
                   int height, struct picture *ret_picture)
{
    const int left = (int)fmin(fmax(round(window->x), 0), picture->width - 1);
    const int top = (int)fmin(fmax(round(window->y), 0), picture->height - 1);
    const int wide = (int)fmin(fmax(round(window->width), 1), picture->width - left);
    const int high = (int)fmin(fmax(round(window->height), 1), picture->height - top);
    const ptrdiff_t start = (ptrdiff_t)top * picture->width + left;
    const uint8_t *const from[4] = {picture->plane[0] + start, picture->plane[1] + start,
                                    picture->plane[2] + start, NULL};
    const int strides[4] = {picture->width, picture->width, picture->width, 0};
    const bool shrinks = width < wide || height < high;
    struct SwsContext *scaler =
        sws_getContext(wide, high, AV_PIX_FMT_YUV444P, width, height, AV_PIX_FMT_YUV444P,
                       EXACT | (shrinks ? SWS_AREA : SWS_BICUBIC), NULL, NULL, NULL);
    AVFrame *to = av_frame_alloc();
    int r = AVERROR(ENOMEM);

    if (scaler == NULL || to == NULL)
        goto out;
    to->format = AV_PIX_FMT_YUV444P;
    to->width = width;
    to->height = height;
    r = av_frame_get_buffer(to, 0);
    if (r == 0)
        r = sws_scale(scaler, from, strides, 0, high, to->data, to->linesize);
    if (r >= 0)
        r = upright(to, 1, ret_picture);
out:
    av_frame_free(&to);
    sws_freeContext(scaler);
    return r;
}

/* ---- sampling ---- */

/* Between which two source pixels an output column lies: index and index + 1, in 1/256. */
struct tap {
    uint32_t index;
    uint32_t part;
};

static struct tap tap_at(double start, double length, int outputs, int i, int sources)
{
    const double at = start + (i + 0.5) * length / outputs - 0.5;
    const double inside = fmin(fmax(at, 0), sources - 1);
    const uint32_t fixed = (uint32_t)lround(inside * 256);

    return (struct tap){.index = fixed >> 8, .part = fixed & 255};
}

/* One output row: mixes two source rows into `mixed` (8.8 fixed point), then its columns. */
static void mix_rows(const uint8_t *restrict above, const uint8_t *restrict below, uint32_t part,
                     uint16_t *restrict mixed, size_t length)
{
    const uint32_t rest = 256 - part;

    for (size_t i = 0; i < length; i++)
        mixed[i] = (uint16_t)(above[i] * rest + below[i] * part);
}

static inline uint32_t mix_columns(const uint16_t *mixed, struct tap tap)
{
    return (mixed[tap.index] * (256 - tap.part) + mixed[tap.index + 1] * tap.part + 32768) >> 16;
}

static void write_row(const uint16_t *restrict mixed, const struct tap *restrict taps,
                      uint8_t *restrict to, int width, uint32_t weight)
{
    if (weight == 256) {
        for (int x = 0; x < width; x++)
            to[x] = (uint8_t)mix_columns(mixed, taps[x]);
        return;
    }
    for (int x = 0; x < width; x++) {
        const uint32_t value = mix_columns(mixed, taps[x]);

        to[x] = (uint8_t)((to[x] * (256 - weight) + value * weight + 128) >> 8);
    }
}

struct plane_view {
    uint8_t *to;
    int stride, width, height;
};

static void sample_plane(const struct picture *picture, int plane,
                         const struct picture_window *window, const struct plane_view *view,
                         uint32_t weight)
{
    const size_t source_width = (size_t)picture->width;
    struct tap *taps = must_calloc((size_t)view->width, sizeof *taps);
    /* One more than the source is wide: the last pixel's neighbour is itself. */
    uint16_t *mixed = must_calloc(source_width + 1, sizeof *mixed);

    for (int x = 0; x < view->width; x++)
        taps[x] = tap_at(window->x, window->width, view->width, x, picture->width);
    const size_t first = taps[0].index;
    const size_t last = taps[view->width - 1].index + 1;
    const size_t length = (last < source_width ? last + 1 : source_width) - first;

    for (int y = 0; y < view->height; y++) {
        const struct tap row = tap_at(window->y, window->height, view->height, y, picture->height);
        const uint8_t *above = picture->plane[plane] + row.index * source_width;
        const uint8_t *below = (int)row.index + 1 < picture->height ? above + source_width : above;

        mix_rows(above + first, below + first, row.part, mixed + first, length);
        mixed[source_width] = mixed[source_width - 1];
        write_row(mixed, taps, view->to + (ptrdiff_t)y * view->stride, view->width, weight);
    }
    free(mixed);
    free(taps);
}

void picture_sample(const struct picture *picture, const struct picture_window *window, int width,
                    int height, uint8_t *const planes[3], const int strides[3], int weight)
{
    must(width % 2 == 0 && height % 2 == 0 && weight >= 0 && weight <= 256);
    for (int p = 0; p < 3; p++) {
        const struct plane_view view = {
            .to = planes[p],
            .stride = strides[p],
            .width = p == 0 ? width : width / 2,
            .height = p == 0 ? height : height / 2,
        };

        sample_plane(picture, p, window, &view, (uint32_t)weight);
    }
}
