/* SPDX-License-Identifier: Apache-2.0
 *
 * Median cut over a histogram of 6 bits a channel: the box of colours that spreads most, weighted
 * by its pixels, is cut at the median of its longest side until the palette is full. Ties break by
 * order, so equal pictures give equal palettes. Pure. */
#include "media/palette.h"

#include <stdlib.h>

#include "base/must.h"

enum {
    CHANNEL_BITS = 6,
    CHANNEL_DROP = 8 - CHANNEL_BITS,
    CHANNEL_MASK = (1 << CHANNEL_BITS) - 1,
    BINS = 1 << (3 * CHANNEL_BITS),
    UNKNOWN = 0xffff, /* in `nearest`: not looked for yet */
    DITHER_SIDE = 4,
    DITHER_SPREAD = 12, /* between the darkest and brightest offset, of 255 */
};

static const int8_t BAYER[DITHER_SIDE][DITHER_SIDE] = {
    {0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};

struct box {
    uint32_t *bins; /* into palette.used */
    size_t n_bins;
    uint64_t n_pixels;
    int axis;        /* bit offset of its longest side within a bin's number */
    uint64_t spread; /* length of that side times pixels; 0: cannot be cut */
};

struct palette {
    uint32_t count[BINS];
    uint16_t nearest[BINS];
    uint32_t used[BINS];
    uint8_t rgb[PALETTE_MAX][3];
    int n_colours;
};

static uint32_t bin_of(int red, int green, int blue)
{
    return (uint32_t)(red >> CHANNEL_DROP) << (2 * CHANNEL_BITS) |
           (uint32_t)(green >> CHANNEL_DROP) << CHANNEL_BITS | (uint32_t)(blue >> CHANNEL_DROP);
}

static uint32_t side(uint32_t bin, int axis)
{
    return bin >> axis & CHANNEL_MASK;
}

struct palette *palette_new(void)
{
    struct palette *palette = must_calloc(1, sizeof *palette);
    for (size_t i = 0; i < BINS; i++)
        palette->nearest[i] = UNKNOWN;
    return palette;
}

struct palette *palette_free(struct palette *palette)
{
    free(palette);
    return NULL;
}

void palette_count(struct palette *palette, const uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++, rgb += 3)
        palette->count[bin_of(rgb[0], rgb[1], rgb[2])]++;
}

static void measure(const struct palette *palette, struct box *box)
{
    uint32_t longest = 0;
    box->n_pixels = 0;
    for (size_t i = 0; i < box->n_bins; i++)
        box->n_pixels += palette->count[box->bins[i]];
    for (int axis = 0; axis <= 2 * CHANNEL_BITS; axis += CHANNEL_BITS) {
        uint32_t low = CHANNEL_MASK, high = 0;
        for (size_t i = 0; i < box->n_bins; i++) {
            uint32_t value = side(box->bins[i], axis);
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
        if (high > low && high - low > longest) {
            longest = high - low;
            box->axis = axis;
        }
    }
    box->spread = longest * box->n_pixels;
}

/* Puts the box's bins in order along its axis, by counting. */
static void sort_bins(const struct box *box)
{
    size_t start[CHANNEL_MASK + 2] = {0};
    uint32_t *sorted = must_calloc(box->n_bins, sizeof *sorted);
    for (size_t i = 0; i < box->n_bins; i++)
        start[side(box->bins[i], box->axis) + 1]++;
    for (size_t value = 0; value <= CHANNEL_MASK; value++)
        start[value + 1] += start[value];
    for (size_t i = 0; i < box->n_bins; i++)
        sorted[start[side(box->bins[i], box->axis)]++] = box->bins[i];
    for (size_t i = 0; i < box->n_bins; i++)
        box->bins[i] = sorted[i];
    free(sorted);
}

/* Cuts `box` in two at the median pixel; both parts keep at least one bin. */
static struct box cut(const struct palette *palette, struct box *box)
{
    sort_bins(box);
    uint64_t below = palette->count[box->bins[0]];
    size_t at = 1;
    while (at < box->n_bins - 1 && below < box->n_pixels / 2)
        below += palette->count[box->bins[at++]];
    struct box upper = {.bins = box->bins + at, .n_bins = box->n_bins - at};
    box->n_bins = at;
    measure(palette, box);
    measure(palette, &upper);
    return upper;
}

static void average(const struct palette *palette, const struct box *box, uint8_t ret_rgb[3])
{
    for (int channel = 0; channel < 3; channel++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < box->n_bins; i++)
            sum += (uint64_t)side(box->bins[i], (2 - channel) * CHANNEL_BITS) *
                   palette->count[box->bins[i]];
        ret_rgb[channel] = (uint8_t)((sum * 255 + box->n_pixels * CHANNEL_MASK / 2) /
                                     (box->n_pixels * CHANNEL_MASK));
    }
}

int palette_make(struct palette *palette)
{
    struct box boxes[PALETTE_MAX] = {{.bins = palette->used}};
    for (uint32_t bin = 0; bin < BINS; bin++)
        if (palette->count[bin] > 0)
            palette->used[boxes[0].n_bins++] = bin;
    if (boxes[0].n_bins == 0)
        return 0;
    measure(palette, &boxes[0]);
    int n = 1;
    while (n < PALETTE_MAX) {
        struct box *widest = boxes;
        for (int i = 1; i < n; i++)
            if (boxes[i].spread > widest->spread)
                widest = &boxes[i];
        if (widest->spread == 0)
            break;
        boxes[n++] = cut(palette, widest);
    }
    for (int i = 0; i < n; i++)
        average(palette, &boxes[i], palette->rgb[i]);
    palette->n_colours = n;
    return n;
}

uint32_t palette_colour(const struct palette *palette, int index)
{
    must(index >= 0 && index < palette->n_colours);
    const uint8_t *rgb = palette->rgb[index];
    return 0xff000000u | (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
}

static int square(int x)
{
    return x * x;
}

static uint8_t find_nearest(const struct palette *palette, int red, int green, int blue)
{
    int best = 0, best_distance = INT32_MAX;
    for (int i = 0; i < palette->n_colours; i++) {
        const uint8_t *rgb = palette->rgb[i];
        /* Green weighs most for the eye, blue least. */
        int distance =
            3 * square(rgb[0] - red) + 6 * square(rgb[1] - green) + square(rgb[2] - blue);
        if (distance < best_distance) {
            best_distance = distance;
            best = i;
        }
    }
    return (uint8_t)best;
}

static int clamp_byte(int value)
{
    return value < 0 ? 0 : value > 255 ? 255 : value;
}

void palette_map_row(struct palette *palette, const uint8_t *rgb, int width, int y,
                     uint8_t *ret_indexes)
{
    must(palette->n_colours > 0);
    for (int x = 0; x < width; x++, rgb += 3) {
        int steps = 2 * BAYER[y % DITHER_SIDE][x % DITHER_SIDE] - (DITHER_SIDE * DITHER_SIDE - 1);
        int offset = steps * DITHER_SPREAD / (2 * DITHER_SIDE * DITHER_SIDE);
        int red = clamp_byte(rgb[0] + offset);
        int green = clamp_byte(rgb[1] + offset);
        int blue = clamp_byte(rgb[2] + offset);
        uint32_t bin = bin_of(red, green, blue);
        if (palette->nearest[bin] == UNKNOWN)
            palette->nearest[bin] = find_nearest(palette, red, green, blue);
        ret_indexes[x] = (uint8_t)palette->nearest[bin];
    }
}
