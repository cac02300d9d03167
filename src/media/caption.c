/* SPDX-License-Identifier: Apache-2.0
 *
 * Text as a picture, drawn once and blended into many frames:
 *
 *     layout (typeset.c) -> plate, shadow and glyphs in ARGB -> premultiplied YCbCr and alpha, each
 *     at its plane's size
 *
 * The box lies inside the frame on even coordinates, so chroma needs no special edge.
 * Single-threaded, in the helper. */
#include "media/caption.h"

#include <math.h>
#include <pango/pangocairo.h>
#include <stdlib.h>

#include "base/must.h"
#include "media/typeset.h"

struct caption {
    int left, top, width, height; /* the box in the frame; all even */
    uint16_t *ink[3];             /* Y, Cb, Cr times alpha (0..256) */
    uint16_t *alpha[2];           /* 0..256, for luma and for chroma */
};

struct caption_mark {
    struct typeset_outline *outline;
};

/* ---- drawing ---- */

/* Three passes of a running mean along one line of `n` bytes, `step` apart: nearly a Gaussian. */
static void blur_line(uint8_t *line, int n, ptrdiff_t step, int radius, uint8_t *scratch)
{
    const int span = 2 * radius + 1;

    for (int pass = 0; pass < 3; pass++) {
        int sum = 0;

        for (int i = 0; i < n; i++)
            scratch[i] = line[i * step];
        for (int i = 0; i < radius && i < n; i++)
            sum += scratch[i];
        for (int i = 0; i < n; i++) {
            sum += i + radius < n ? scratch[i + radius] : 0;
            sum -= i - radius - 1 >= 0 ? scratch[i - radius - 1] : 0;
            line[i * step] = (uint8_t)((sum + radius) / span);
        }
    }
}

static void blur(cairo_surface_t *mask, int radius)
{
    const int width = cairo_image_surface_get_width(mask);
    const int height = cairo_image_surface_get_height(mask);
    const ptrdiff_t stride = cairo_image_surface_get_stride(mask);
    uint8_t *scratch = must_calloc((size_t)(width > height ? width : height), 1);
    uint8_t *data;

    cairo_surface_flush(mask);
    data = cairo_image_surface_get_data(mask);
    for (int y = 0; data != NULL && radius > 0 && y < height; y++)
        blur_line(data + y * stride, width, 1, radius, scratch);
    for (int x = 0; data != NULL && radius > 0 && x < width; x++)
        blur_line(data + x, height, stride, radius, scratch);
    cairo_surface_mark_dirty(mask);
    free(scratch);
}

static void round_rectangle(cairo_t *cairo, double x, double y, double width, double height,
                            double radius)
{
    cairo_new_sub_path(cairo);
    cairo_arc(cairo, x + width - radius, y + radius, radius, -M_PI / 2, 0);
    cairo_arc(cairo, x + width - radius, y + height - radius, radius, 0, M_PI / 2);
    cairo_arc(cairo, x + radius, y + height - radius, radius, M_PI / 2, M_PI);
    cairo_arc(cairo, x + radius, y + radius, radius, M_PI, 3 * M_PI / 2);
    cairo_close_path(cairo);
}

/* Where the parts lie, relative to the frame. */
struct place {
    double text_x, text_y; /* the layout's origin */
    double plate_x, plate_y, plate_width, plate_height;
};

static struct place place_text(const struct typeset *typeset, enum caption_style style)
{
    const double type_px = typeset->type_px;
    const struct typeset_box box = typeset_box(typeset);
    struct place place = {0};
    double x = (typeset->width - box.width) / 2;
    double y = (typeset->height - box.height) / 2;

    if (style == CAPTION_MARK)
        x = typeset->width * (1 - TYPESET_SAFE_MARGIN / 2) - box.width;
    if (style == CAPTION_MARK)
        y = typeset->height * (1 - TYPESET_SAFE_MARGIN / 2) - box.height;
    if (style == CAPTION_SUBTITLE)
        y = typeset->height * (1 - TYPESET_SAFE_MARGIN) - box.height - 0.38 * type_px;
    place.text_x = x - box.x;
    place.text_y = y - box.y;
    place.plate_x = x - 0.7 * type_px;
    place.plate_y = y - 0.38 * type_px;
    place.plate_width = box.width + 1.4 * type_px;
    place.plate_height = box.height + 0.76 * type_px;
    return place;
}

/* The caption's box: all that is drawn and the reach of the shadow, inside the frame. */
static void place_box(struct caption *caption, const struct typeset *typeset,
                      const struct place *place)
{
    const double reach = 1.2 * typeset->type_px;
    const double left = fmax(place->plate_x - reach, 0);
    const double top = fmax(place->plate_y - reach, 0);
    const double right = fmin(place->plate_x + place->plate_width + reach, typeset->width);
    const double bottom = fmin(place->plate_y + place->plate_height + reach, typeset->height);

    caption->left = (int)left & ~1;
    caption->top = (int)top & ~1;
    caption->width = ((int)ceil(right) - caption->left + 1) & ~1;
    caption->height = ((int)ceil(bottom) - caption->top + 1) & ~1;
}

static void draw_shadow(cairo_t *cairo, const struct typeset *typeset, const struct place *place,
                        double opacity)
{
    cairo_surface_t *target = cairo_get_target(cairo);
    cairo_surface_t *mask =
        cairo_image_surface_create(CAIRO_FORMAT_A8, cairo_image_surface_get_width(target),
                                   cairo_image_surface_get_height(target));
    cairo_t *shadow = cairo_create(mask);

    cairo_move_to(shadow, place->text_x, place->text_y + 0.06 * typeset->type_px);
    typeset_show(typeset, shadow);
    cairo_destroy(shadow);
    blur(mask, (int)lround(fmax(0.07 * typeset->type_px, 1)));
    cairo_set_source_rgba(cairo, 0, 0, 0, opacity);
    cairo_mask_surface(cairo, mask, 0, 0);
    blur(mask, (int)lround(fmax(0.20 * typeset->type_px, 1)));
    cairo_mask_surface(cairo, mask, 0, 0);
    cairo_surface_destroy(mask);
}

static cairo_surface_t *draw(const struct caption *caption, const struct typeset *typeset,
                             const struct place *on_frame)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_ARGB32, caption->width, caption->height);
    cairo_t *cairo = cairo_create(surface);
    const struct typeset_ink ink = typeset_ink(typeset);
    struct place place = *on_frame;

    place.text_x -= caption->left;
    place.text_y -= caption->top;
    place.plate_x -= caption->left;
    place.plate_y -= caption->top;
    if (ink.plate > 0) {
        round_rectangle(cairo, place.plate_x, place.plate_y, place.plate_width, place.plate_height,
                        0.55 * typeset->type_px);
        cairo_set_source_rgba(cairo, 0.03, 0.03, 0.05, ink.plate);
        cairo_fill(cairo);
    }
    draw_shadow(cairo, typeset, &place, ink.shadow);
    cairo_push_group(cairo);
    cairo_move_to(cairo, place.text_x, place.text_y);
    cairo_set_source_rgb(cairo, 1, 1, 1);
    typeset_show(typeset, cairo);
    cairo_pop_group_to_source(cairo);
    cairo_paint_with_alpha(cairo, ink.text);
    cairo_destroy(cairo);
    cairo_surface_flush(surface);
    return surface;
}

/* ---- to planes ---- */

/* Premultiplied sums over 1 (luma) or 4 (chroma) pixels. */
struct sum {
    double r, g, b, alpha; /* 0..1 each */
};

static void sum_pixel(struct sum *sum, uint32_t argb, double share)
{
    sum->alpha += share * (double)(argb >> 24) / 255;
    sum->r += share * (double)(argb >> 16 & 255) / 255;
    sum->g += share * (double)(argb >> 8 & 255) / 255;
    sum->b += share * (double)(argb & 255) / 255;
}

/* BT.709 limited range is linear, so it may be applied to premultiplied colour; the offsets count
 * by alpha. */
static uint16_t premultiplied(const struct sum *sum, int plane)
{
    const double luma = 0.2126 * sum->r + 0.7152 * sum->g + 0.0722 * sum->b;
    const double value[3] = {
        16 * sum->alpha + 219 * luma,
        128 * sum->alpha + 224 * (sum->b - luma) / 1.8556,
        128 * sum->alpha + 224 * (sum->r - luma) / 1.5748,
    };

    return (uint16_t)lround(fmin(fmax(value[plane], 0), 255) * 256);
}

static void to_luma(struct caption *caption, const uint32_t *argb, size_t stride)
{
    const size_t width = (size_t)caption->width, height = (size_t)caption->height;

    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            struct sum sum = {0};

            sum_pixel(&sum, argb[y * stride + x], 1);
            caption->ink[0][y * width + x] = premultiplied(&sum, 0);
            caption->alpha[0][y * width + x] = (uint16_t)lround(sum.alpha * 256);
        }
    }
}

static void to_chroma(struct caption *caption, const uint32_t *argb, size_t stride)
{
    const size_t width = (size_t)caption->width / 2, height = (size_t)caption->height / 2;

    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            const uint32_t *corner = argb + 2 * y * stride + 2 * x;
            struct sum sum = {0};

            sum_pixel(&sum, corner[0], 0.25);
            sum_pixel(&sum, corner[1], 0.25);
            sum_pixel(&sum, corner[stride], 0.25);
            sum_pixel(&sum, corner[stride + 1], 0.25);
            for (int p = 1; p < 3; p++)
                caption->ink[p][y * width + x] = premultiplied(&sum, p);
            caption->alpha[1][y * width + x] = (uint16_t)lround(sum.alpha * 256);
        }
    }
}

static void to_planes(struct caption *caption, cairo_surface_t *surface)
{
    const size_t pixels = (size_t)caption->width * (size_t)caption->height;
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface) / sizeof(uint32_t);
    const uint8_t *bytes = cairo_image_surface_get_data(surface);
    /* Cairo aligns its rows for this. */
    const uint32_t *argb = (const uint32_t *)(const void *)bytes;

    caption->ink[0] = must_calloc(pixels, sizeof(uint16_t));
    caption->ink[1] = must_calloc(pixels / 4, sizeof(uint16_t));
    caption->ink[2] = must_calloc(pixels / 4, sizeof(uint16_t));
    caption->alpha[0] = must_calloc(pixels, sizeof(uint16_t));
    caption->alpha[1] = must_calloc(pixels / 4, sizeof(uint16_t));
    to_luma(caption, argb, stride);
    to_chroma(caption, argb, stride);
}

/* Takes the typeset. */
static struct caption *render(struct typeset *typeset, enum caption_style style)
{
    struct caption *caption = must_calloc(1, sizeof *caption);
    const struct place place = place_text(typeset, style);
    cairo_surface_t *surface;

    place_box(caption, typeset, &place);
    surface = draw(caption, typeset, &place);
    must(cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS);
    to_planes(caption, surface);
    cairo_surface_destroy(surface);
    typeset_fini(typeset);
    return caption;
}

struct caption *caption_new(const char *text, enum caption_style style, int width, int height)
{
    struct typeset typeset;

    must(width > 0 && height > 0 && width % 2 == 0 && height % 2 == 0);
    if (!typeset_init(&typeset, text, style, width, height))
        return NULL;
    return render(&typeset, style);
}

struct caption_mark *caption_mark_new(const char *text)
{
    struct typeset_outline *outline = typeset_outline_new(text);
    struct caption_mark *mark;

    if (outline == NULL)
        return NULL;
    mark = must_calloc(1, sizeof *mark);
    mark->outline = outline;
    return mark;
}

struct caption_mark *caption_mark_free(struct caption_mark *mark)
{
    if (mark == NULL)
        return NULL;
    typeset_outline_free(mark->outline);
    free(mark);
    return NULL;
}

struct caption *caption_of_mark(const struct caption_mark *mark, int width, int height)
{
    struct typeset typeset;

    must(width > 0 && height > 0 && width % 2 == 0 && height % 2 == 0);
    typeset_init_outlined(&typeset, mark->outline, width, height);
    return render(&typeset, CAPTION_MARK);
}

struct caption *caption_free(struct caption *caption)
{
    if (caption == NULL)
        return NULL;
    for (int p = 0; p < 3; p++)
        free(caption->ink[p]);
    free(caption->alpha[0]);
    free(caption->alpha[1]);
    free(caption);
    return NULL;
}

static void blend_row(uint8_t *restrict to, const uint16_t *restrict ink,
                      const uint16_t *restrict alpha, size_t width, uint32_t opacity)
{
    for (size_t x = 0; x < width; x++) {
        const uint32_t rest = 65536 - alpha[x] * opacity;

        to[x] = (uint8_t)((to[x] * rest + ink[x] * opacity + 32768) >> 16);
    }
}

void caption_blend(const struct caption *caption, uint8_t *const planes[3], const int strides[3],
                   double opacity)
{
    const uint32_t share = (uint32_t)lround(fmin(fmax(opacity, 0), 1) * 256);

    if (share == 0)
        return;
    for (int p = 0; p < 3; p++) {
        const int half = p == 0 ? 1 : 2;
        const size_t width = (size_t)(caption->width / half);
        uint8_t *to =
            planes[p] + (ptrdiff_t)(caption->top / half) * strides[p] + caption->left / half;

        for (int y = 0; y < caption->height / half; y++, to += strides[p])
            blend_row(to, caption->ink[p] + (size_t)y * width,
                      caption->alpha[p == 0 ? 0 : 1] + (size_t)y * width, width, share);
    }
}
