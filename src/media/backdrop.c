/* SPDX-License-Identifier: Apache-2.0
 *
 * Folds of light, computed on a coarse grid and drawn smooth:
 *
 *     point -> warped twice by slow waves -> where along and across the folds -> mix of four
 *     colours in OKLab -> YCbCr in 8.8 fixed point on the grid -> cubic B-spline -> ordered dither
 *
 * The grid has one knot per CELL pixels of luma (per CELL / 2 of chroma) and a margin for the
 * spline's taps. Colours are mixed in OKLab so that no blend turns grey, and kept deep enough for a
 * white title. The same text, seed and time give the same bytes. Single-threaded, in the helper. */
#include "media/backdrop.h"

#include <math.h>
#include <stdlib.h>

#include "base/must.h"
#include "media/dice.h"

enum {
    CELL = 8,   /* pixels of luma between two knots */
    MARGIN = 1, /* knots before the picture's edge */
    TAPS = 4,
    N_COLOURS = 4, /* deep, middle, second, light */
    N_WAVES = 6,
};

struct colour {
    float l, a, b; /* OKLab */
};

/* sin(x * kx + y * ky + phase + seconds * speed) */
struct wave {
    float kx, ky, phase, speed;
};

struct backdrop {
    int width, height;
    int knots_x, knots_y;
    uint16_t *knots[3]; /* Y, Cb, Cr in 8.8 */
    uint16_t *row;      /* one row of knots, mixed down its column */
    struct colour colours[N_COLOURS];
    struct wave waves[N_WAVES];
    float bend;  /* how far the waves carry a point */
    float sheen; /* how much light lies on the folds */
    float glow_x, glow_y, glow_phase;
};

static const float TURN = 6.2831853F;

/* ---- what it looks like ---- */

static float draw_real(struct dice *dice, double least, double most)
{
    return (float)dice_real(dice, least, most);
}

/* Lightness, chroma and hue in degrees (OKLCh), from the deepest to the lightest. */
struct shade {
    float lightness, chroma, hue;
};

static const struct shade PALETTES[][N_COLOURS] = {
    /* dusk */ {{.30F, .11F, 285}, {.45F, .17F, 305}, {.66F, .17F, 15}, {.84F, .09F, 65}},
    /* shore */ {{.30F, .08F, 250}, {.48F, .11F, 232}, {.68F, .12F, 195}, {.88F, .06F, 170}},
    /* aurora */ {{.28F, .08F, 265}, {.62F, .17F, 305}, {.56F, .12F, 175}, {.80F, .15F, 160}},
    /* ember */ {{.30F, .09F, 20}, {.50F, .17F, 32}, {.68F, .17F, 55}, {.86F, .13F, 88}},
    /* rose */ {{.32F, .11F, 340}, {.49F, .18F, 352}, {.70F, .14F, 8}, {.87F, .06F, 45}},
    /* forest */ {{.31F, .06F, 170}, {.47F, .10F, 157}, {.65F, .12F, 132}, {.88F, .10F, 108}},
    /* lavender */ {{.31F, .11F, 275}, {.47F, .16F, 282}, {.67F, .13F, 275}, {.87F, .07F, 350}},
    /* desert */ {{.33F, .06F, 35}, {.53F, .12F, 42}, {.74F, .10F, 68}, {.80F, .07F, 225}},
    /* neon */ {{.27F, .10F, 290}, {.48F, .20F, 266}, {.60F, .22F, 345}, {.84F, .12F, 200}},
    /* morning */ {{.33F, .08F, 255}, {.51F, .10F, 262}, {.73F, .13F, 30}, {.89F, .09F, 88}},
    /* jade */ {{.30F, .06F, 205}, {.48F, .09F, 192}, {.66F, .10F, 170}, {.84F, .12F, 85}},
    /* berry */ {{.30F, .11F, 315}, {.45F, .17F, 358}, {.61F, .18F, 25}, {.82F, .12F, 65}},
};

static struct colour colour_of(struct shade shade, float turn)
{
    const float angle = (shade.hue + turn) * TURN / 360;

    return (struct colour){shade.lightness, shade.chroma * cosf(angle), shade.chroma * sinf(angle)};
}

/* A palette, turned a little. */
static void choose_colours(struct backdrop *backdrop, struct dice *dice)
{
    const struct shade *palette = PALETTES[dice_below(dice, (int)ARRAY_LENGTH(PALETTES))];
    const float turn = draw_real(dice, -12, 12);

    for (int i = 0; i < N_COLOURS; i++)
        backdrop->colours[i] = colour_of(palette[i], turn);
}

/* Waves 0..3 bend space, 4 and 5 run along and across the folds. */
static void choose_waves(struct backdrop *backdrop, struct dice *dice)
{
    static const struct {
        double k, slow, fast;
    } kinds[N_WAVES] = {
        {1.0, 0.18, 0.30}, {1.2, 0.18, 0.30}, {1.9, 0.22, 0.36},
        {2.1, 0.22, 0.36}, {1.3, 0.16, 0.26}, {1.8, 0.20, 0.32},
    };
    const float lean = draw_real(dice, 0, TURN);

    for (int i = 0; i < N_WAVES; i++) {
        const float angle = lean + (float)i * TURN / 4 + draw_real(dice, -0.4, 0.4);
        const float k = (float)kinds[i].k * draw_real(dice, 0.8, 1.25);
        const float way = dice_below(dice, 2) == 0 ? 1.0F : -1.0F;

        backdrop->waves[i] = (struct wave){
            .kx = k * cosf(angle),
            .ky = k * sinf(angle),
            .phase = draw_real(dice, 0, TURN),
            .speed = way * draw_real(dice, kinds[i].slow, kinds[i].fast),
        };
    }
    backdrop->bend = draw_real(dice, 0.40, 0.75);
    backdrop->sheen = draw_real(dice, 0.35, 0.75);
    backdrop->glow_x = draw_real(dice, 0.3, 0.8);
    backdrop->glow_y = draw_real(dice, 0.3, 0.8);
    backdrop->glow_phase = draw_real(dice, 0, TURN);
}

struct backdrop *backdrop_new(const char *text, int64_t seed, int width, int height)
{
    struct backdrop *backdrop = must_calloc(1, sizeof *backdrop);
    struct dice dice;

    must(width > 0 && height > 0 && width % 2 == 0 && height % 2 == 0);
    backdrop->width = width;
    backdrop->height = height;
    backdrop->knots_x = (width + CELL - 1) / CELL + TAPS;
    backdrop->knots_y = (height + CELL - 1) / CELL + TAPS;
    for (int p = 0; p < 3; p++)
        backdrop->knots[p] = must_calloc((size_t)backdrop->knots_x * (size_t)backdrop->knots_y,
                                         sizeof *backdrop->knots[p]);
    backdrop->row = must_calloc((size_t)backdrop->knots_x, sizeof *backdrop->row);
    dice_init(&dice, text, seed);
    choose_colours(backdrop, &dice);
    choose_waves(backdrop, &dice);
    return backdrop;
}

struct backdrop *backdrop_free(struct backdrop *backdrop)
{
    if (backdrop == NULL)
        return NULL;
    for (int p = 0; p < 3; p++)
        free(backdrop->knots[p]);
    free(backdrop->row);
    free(backdrop);
    return NULL;
}

/* ---- the grid ---- */

static float wave_at(const struct wave *wave, float x, float y, float seconds)
{
    return sinf(x * wave->kx + y * wave->ky + wave->phase + seconds * wave->speed);
}

static struct colour blend(struct colour from, struct colour to, float share)
{
    return (struct colour){from.l + (to.l - from.l) * share, from.a + (to.a - from.a) * share,
                           from.b + (to.b - from.b) * share};
}

/* -1..1 to 0..1, with soft ends. */
static float rise(float wave)
{
    const float t = 0.5F + 0.5F * wave;

    return t * t * (3 - 2 * t);
}

/* `x` and `y` are -1..1 along the shorter side, 0 in the middle of the picture. */
static struct colour colour_at(const struct backdrop *backdrop, float x, float y, float seconds)
{
    const struct wave *waves = backdrop->waves;
    const float bend = backdrop->bend;
    const float glow_x = backdrop->glow_x * sinf(0.21F * seconds + backdrop->glow_phase) - x;
    const float glow_y = backdrop->glow_y * cosf(0.17F * seconds + backdrop->glow_phase) - y;
    const float glow = expf(-1.6F * (glow_x * glow_x + glow_y * glow_y));
    const float edge = x * x + y * y;
    struct colour colour;

    x += bend * wave_at(&waves[0], x, y, seconds);
    y += bend * wave_at(&waves[1], x, y, seconds);
    x += 0.6F * bend * wave_at(&waves[2], x, y, seconds);
    y += 0.6F * bend * wave_at(&waves[3], x, y, seconds);
    const float along = wave_at(&waves[4], x, y, seconds);
    const float across = wave_at(&waves[5], x, y, seconds);
    const float fold = 0.5F + 0.5F * sinf(1.8F * (along + across) + waves[4].phase);
    const float light = backdrop->sheen * fold * fold * fold * (0.6F + 0.4F * across);

    colour = blend(backdrop->colours[0], backdrop->colours[1], rise(along));
    colour = blend(colour, backdrop->colours[2], rise(across));
    colour = blend(colour, backdrop->colours[3], fminf(light + 0.16F * glow, 0.85F));
    colour.l *= 1.0F - 0.05F * fminf(edge, 3.0F);
    return colour;
}

static float gamma_of(float linear)
{
    if (linear <= 0)
        return 0;
    if (linear >= 1)
        return 1;
    return linear <= 0.0031308F ? 12.92F * linear : 1.055F * powf(linear, 1 / 2.4F) - 0.055F;
}

/* OKLab to Y'CbCr, BT.709 limited range, 8.8 fixed point. */
static void colour_to_ycc(struct colour colour, uint16_t ret_ycc[3])
{
    const float l = colour.l + 0.3963377774F * colour.a + 0.2158037573F * colour.b;
    const float m = colour.l - 0.1055613458F * colour.a - 0.0638541728F * colour.b;
    const float s = colour.l - 0.0894841775F * colour.a - 1.2914855480F * colour.b;
    const float l3 = l * l * l, m3 = m * m * m, s3 = s * s * s;
    const float r = gamma_of(4.0767416621F * l3 - 3.3077115913F * m3 + 0.2309699292F * s3);
    const float g = gamma_of(-1.2684380046F * l3 + 2.6097574011F * m3 - 0.3413193965F * s3);
    const float b = gamma_of(-0.0041960863F * l3 - 0.7034186147F * m3 + 1.7076147010F * s3);
    const float luma = 0.2126F * r + 0.7152F * g + 0.0722F * b;

    ret_ycc[0] = (uint16_t)lrintf((16 + 219 * luma) * 256);
    ret_ycc[1] = (uint16_t)lrintf((128 + 224 * (b - luma) / 1.8556F) * 256);
    ret_ycc[2] = (uint16_t)lrintf((128 + 224 * (r - luma) / 1.5748F) * 256);
}

static void compute_knots(struct backdrop *backdrop, float seconds)
{
    const int shorter = backdrop->width < backdrop->height ? backdrop->width : backdrop->height;
    const float unit = 2.0F / (float)shorter;

    for (int j = 0; j < backdrop->knots_y; j++) {
        const float y = ((float)((j - MARGIN) * CELL) - 0.5F * (float)backdrop->height) * unit;

        for (int i = 0; i < backdrop->knots_x; i++) {
            const float x = ((float)((i - MARGIN) * CELL) - 0.5F * (float)backdrop->width) * unit;
            const size_t at = (size_t)j * (size_t)backdrop->knots_x + (size_t)i;
            uint16_t ycc[3];

            colour_to_ycc(colour_at(backdrop, x, y, seconds), ycc);
            for (int p = 0; p < 3; p++)
                backdrop->knots[p][at] = ycc[p];
        }
    }
}

/* ---- the picture ---- */

/* The cubic B-spline's weights of four knots around a place `part` (0..1) after the second; they
 * sum to 256. */
static void spline_weights(float part, uint32_t ret_weights[TAPS])
{
    const float rest = 1 - part;
    const float first = rest * rest * rest / 6;
    const float last = part * part * part / 6;
    const float second = (4 - 6 * part * part + 3 * part * part * part) / 6;

    ret_weights[0] = (uint32_t)lrintf(256 * first);
    ret_weights[1] = (uint32_t)lrintf(256 * second);
    ret_weights[3] = (uint32_t)lrintf(256 * last);
    ret_weights[2] = 256 - ret_weights[0] - ret_weights[1] - ret_weights[3];
}

static void mix_knot_rows(struct backdrop *backdrop, int plane, int y, int cell)
{
    const size_t knots_x = (size_t)backdrop->knots_x;
    const uint16_t *from = backdrop->knots[plane] + (size_t)(y / cell) * knots_x;
    uint32_t weights[TAPS];

    spline_weights(((float)(y % cell) + 0.5F) / (float)cell, weights);
    for (size_t i = 0; i < knots_x; i++)
        backdrop->row[i] =
            (uint16_t)((from[i] * weights[0] + from[i + knots_x] * weights[1] +
                        from[i + 2 * knots_x] * weights[2] + from[i + 3 * knots_x] * weights[3]) >>
                       8);
}

/* Thresholds 2..254 of an 8×8 ordered dither: neighbours differ most, so that no step of the
 * gradient shows as a line. */
static uint32_t dither_at(int x, int y)
{
    uint32_t rank = 0;

    for (int bit = 0; bit < 3; bit++) {
        const uint32_t a = (uint32_t)(x >> bit) & 1U, b = (uint32_t)(y >> bit) & 1U;

        rank |= ((a ^ b) << 1 | b) << (4 - 2 * bit);
    }
    return rank * 4 + 2;
}

static void draw_row(const uint16_t *row, int y, int width, int cell, uint8_t *to)
{
    uint32_t weights[CELL][TAPS], dither[8];

    for (int phase = 0; phase < cell; phase++)
        spline_weights(((float)phase + 0.5F) / (float)cell, weights[phase]);
    for (int x = 0; x < 8; x++)
        dither[x] = dither_at(x, y);
    for (int start = 0; start < width; start += cell, row++) {
        const int end = start + cell < width ? start + cell : width;

        for (int x = start; x < end; x++) {
            const uint32_t *weight = weights[x - start];
            const uint32_t value = (row[0] * weight[0] + row[1] * weight[1] + row[2] * weight[2] +
                                    row[3] * weight[3]) >>
                                   8;

            to[x] = (uint8_t)((value + dither[x % 8]) >> 8);
        }
    }
}

void backdrop_draw(struct backdrop *backdrop, double seconds, uint8_t *const planes[3],
                   const int strides[3])
{
    compute_knots(backdrop, (float)seconds);
    for (int p = 0; p < 3; p++) {
        const int cell = p == 0 ? CELL : CELL / 2;
        const int width = p == 0 ? backdrop->width : backdrop->width / 2;
        const int height = p == 0 ? backdrop->height : backdrop->height / 2;

        for (int y = 0; y < height; y++) {
            mix_knot_rows(backdrop, p, y, cell);
            draw_row(backdrop->row, y, width, cell, planes[p] + (ptrdiff_t)y * strides[p]);
        }
    }
}
