/* SPDX-License-Identifier: Apache-2.0
 *
 * Size, orientation and aspect ratio become pixels. The words choose a class (small, large), the
 * class an area, the ratio its shape; WIDTHxHEIGHT decides alone. Invariant: both sides of a plan
 * are even. Errors never repeat what the client wrote, so they are always good UTF-8. Pure. */
#include "task/plan.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    SIDE_MIN = 64,
    SIDE_MAX = 1920,
    RATIO_MAX = 100, /* of either number */
    RATIO_SPAN = 4,  /* the longer side is at most this many times the shorter */
    SHAPE_MAX = 32,  /* 16x9 is a shape, 1280x720 a size: both numbers up to this */
    ALIGNMENT = 16,
};

enum size_class { CLASS_SMALL, CLASS_LARGE, CLASS_COUNT };
enum shape { SHAPE_PORTRAIT, SHAPE_LANDSCAPE, SHAPE_SQUARE, SHAPE_COUNT };

static const struct {
    const char *word;
    enum size_class class;
} class_words[] = {
    {"small", CLASS_SMALL},
    {"720p", CLASS_SMALL},
    {"large", CLASS_LARGE},
    {"1080p", CLASS_LARGE},
};

static const struct {
    const char *word;
    int width, height; /* the ratio that the shape itself satisfies */
} shapes[SHAPE_COUNT] = {
    [SHAPE_PORTRAIT] = {"portrait", 9, 16},
    [SHAPE_LANDSCAPE] = {"landscape", 16, 9},
    [SHAPE_SQUARE] = {"square", 1, 1},
};

static const struct pixels {
    int width, height;
} class_pixels[CLASS_COUNT][SHAPE_COUNT] = {
    [CLASS_SMALL] = {{352, 640}, {640, 352}, {480, 480}},
    [CLASS_LARGE] = {{704, 1280}, {1280, 704}, {960, 960}},
};

static enum shape shape_of(int width, int height)
{
    if (width == height)
        return SHAPE_SQUARE;
    return width > height ? SHAPE_LANDSCAPE : SHAPE_PORTRAIT;
}

/* One to four digits; larger numbers are none of ours. */
static bool read_number(const char **text, int *ret_number)
{
    int number = 0, n_digits = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        if (++n_digits > 4)
            return false;
        number = number * 10 + (**text - '0');
    }
    *ret_number = number;
    return n_digits > 0;
}

/* Two numbers with one of `separators` between them. */
static bool read_pair(const char *text, const char *const *separators, struct pixels *ret_pair)
{
    struct pixels pair;
    if (!read_number(&text, &pair.width))
        return false;
    size_t length = 0;
    for (; *separators != NULL && length == 0; separators++)
        if (strncmp(text, *separators, strlen(*separators)) == 0)
            length = strlen(*separators);
    if (length == 0)
        return false;
    text += length;
    if (!read_number(&text, &pair.height) || *text != '\0')
        return false;
    *ret_pair = pair;
    return true;
}

static bool read_size(const char *text, struct pixels *ret_pair)
{
    static const char *const by[] = {"x", "X", "*", "\xc3\x97", NULL};
    return read_pair(text, by, ret_pair);
}

static bool read_ratio(const char *text, struct pixels *ret_pair)
{
    static const char *const colon[] = {":", NULL};
    return read_pair(text, colon, ret_pair);
}

static bool is_ratio_sane(struct pixels ratio)
{
    return ratio.width >= 1 && ratio.height >= 1 && ratio.width <= RATIO_MAX &&
           ratio.height <= RATIO_MAX && ratio.width <= RATIO_SPAN * ratio.height &&
           ratio.height <= RATIO_SPAN * ratio.width;
}

static bool is_side_sane(int side)
{
    return side >= SIDE_MIN && side <= SIDE_MAX;
}

/* The multiple of 16 nearest to sqrt(area * along / across). */
static int side_of(int64_t area, int along, int across)
{
    int64_t side = ALIGNMENT;
    while ((side + ALIGNMENT / 2) * (side + ALIGNMENT / 2) * across <= area * along)
        side += ALIGNMENT;
    return (int)side;
}

static struct pixels shaped(enum size_class class, struct pixels ratio)
{
    enum shape shape = shape_of(ratio.width, ratio.height);
    if (ratio.width * shapes[shape].height == ratio.height * shapes[shape].width)
        return class_pixels[class][shape];
    struct pixels usual = class_pixels[class][SHAPE_PORTRAIT];
    int64_t area = (int64_t)usual.width * usual.height;
    return (struct pixels){side_of(area, ratio.width, ratio.height),
                           side_of(area, ratio.height, ratio.width)};
}

static bool find_class(const char *word, enum size_class *ret_class)
{
    for (size_t i = 0; i < ARRAY_LENGTH(class_words); i++)
        if (strcasecmp(word, class_words[i].word) == 0) {
            *ret_class = class_words[i].class;
            return true;
        }
    return false;
}

static bool find_shape(const char *word, enum shape *ret_shape)
{
    for (size_t i = 0; i < SHAPE_COUNT; i++)
        if (strcasecmp(word, shapes[i].word) == 0) {
            *ret_shape = (enum shape)i;
            return true;
        }
    return false;
}

static bool fail(char *ret_error, const char *sentence)
{
    (void)snprintf(ret_error, 200, "%s", sentence);
    return false;
}

static void finish(struct pixels pixels, struct plan *ret_plan)
{
    struct plan plan = {.width = pixels.width, .height = pixels.height};
    (void)snprintf(plan.orientation, sizeof plan.orientation, "%s",
                   shapes[shape_of(pixels.width, pixels.height)].word);
    *ret_plan = plan;
}

/* The words of `size`: a class, a shape written as a size (16x9, 16:9), or pixels. */
static bool read_size_word(const char *size, enum size_class *class, struct pixels *ret_ratio,
                           struct pixels *ret_exact)
{
    struct pixels pair;
    if (find_class(size, class))
        return true;
    bool is_pair = read_size(size, &pair);
    if (read_ratio(size, &pair) ||
        (is_pair && pair.width <= SHAPE_MAX && pair.height <= SHAPE_MAX)) {
        if (!is_ratio_sane(pair))
            return false;
        *ret_ratio = pair;
        return true;
    }
    if (!is_pair || !is_side_sane(pair.width) || !is_side_sane(pair.height))
        return false;
    *ret_exact = (struct pixels){(pair.width + 1) & ~1, (pair.height + 1) & ~1};
    return true;
}

/* The words, each understood; zeros where nothing was said. */
struct words {
    enum size_class class;
    enum shape shape;
    struct pixels ratio, exact;
};

static bool read_words(const char *size, const char *orientation, const char *aspect_ratio,
                       struct words *ret_words, char ret_error[200])
{
    struct words words = {CLASS_SMALL, SHAPE_PORTRAIT, {0, 0}, {0, 0}};
    struct pixels size_ratio = {0, 0};
    if (size != NULL && !read_size_word(size, &words.class, &size_ratio, &words.exact))
        return fail(ret_error, "\"size\" must be small, large, 720P, 1080P or WIDTHxHEIGHT "
                               "with 64 to 1920 pixels each");
    if (orientation != NULL && !find_shape(orientation, &words.shape))
        return fail(ret_error, "\"orientation\" must be portrait, landscape or square");
    if (aspect_ratio != NULL &&
        (!read_ratio(aspect_ratio, &words.ratio) || !is_ratio_sane(words.ratio)))
        return fail(ret_error, "\"aspect_ratio\" must be W:H with numbers from 1 to 100, "
                               "at most 4 to 1, for example 16:9");
    if (aspect_ratio == NULL)
        words.ratio = size_ratio;
    *ret_words = words;
    return true;
}

bool plan_make(const char *size, const char *orientation, const char *aspect_ratio,
               struct plan *ret_plan, char ret_error[200])
{
    struct words words;
    if (!read_words(size, orientation, aspect_ratio, &words, ret_error))
        return false;
    if (words.exact.width > 0)
        finish(words.exact, ret_plan);
    else if (words.ratio.width > 0)
        finish(shaped(words.class, words.ratio), ret_plan);
    else
        finish(class_pixels[words.class][words.shape], ret_plan);
    return true;
}

static int common_divisor(int a, int b)
{
    while (b != 0) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

bool plan_read_wish(const char *size, const char *orientation, const char *aspect_ratio,
                    struct plan_wish *ret_wish)
{
    static const int class_lines[CLASS_COUNT] = {[CLASS_SMALL] = 720, [CLASS_LARGE] = 1080};
    struct words words;
    char error[200];
    if (!read_words(size, orientation, aspect_ratio, &words, error))
        return false;
    struct pixels ratio = {shapes[words.shape].width, shapes[words.shape].height};
    if (words.ratio.width > 0)
        ratio = words.ratio;
    if (words.exact.width > 0)
        ratio = words.exact;
    int divisor = common_divisor(ratio.width, ratio.height);
    struct plan_wish wish = {
        .width = words.exact.width,
        .height = words.exact.height,
        .ratio_width = ratio.width / divisor,
        .ratio_height = ratio.height / divisor,
        .lines = class_lines[words.class],
        .has_lines =
            size != NULL && (strcasecmp(size, "720p") == 0 || strcasecmp(size, "1080p") == 0),
    };
    if (wish.width > 0) {
        wish.lines = wish.width < wish.height ? wish.width : wish.height;
        wish.has_lines = true;
    }
    *ret_wish = wish;
    return true;
}
