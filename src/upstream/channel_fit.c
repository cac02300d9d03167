/* SPDX-License-Identifier: Apache-2.0
 *
 * From what a client asked for to what a model makes. A length goes to the nearest one, of two equally near the
 * longer: nobody gets less than what would have been as good. A shape goes by its ratio first, then by how large it is.
 * Sizes that we chose ourselves (small is 352x640 here) bind nobody: what counts is what the client named. Pure. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/must.h"
#include "task/plan.h"
#include "upstream/channel_parts.h"

enum {
    RATIO_SLACK = 25,  /* ratios are the same within a 25th: 704x1280 is 9:16 */
    LINES_SLACK = 10,  /* and heights within a tenth: 1024 lines are 1080p */
    LIST_BYTES = 160,  /* of what is allowed, in a sentence */
    NUMBER_DIGITS = 5, /* of a side or a ratio's side */
};

/* What is usual, for models of which nothing is known. */
static const char *const COMMON_RATIOS[] = {"16:9", "9:16", "1:1", "4:3",
                                            "3:4",  "21:9", "3:2", "2:3"};
static const char *const COMMON_RESOLUTIONS[] = {"480p", "720p", "1080p", "1440p", "2160p"};

/* ---- words ---- */

static const char *read_number(const char *text, int *ret_number)
{
    int number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && at - text < NUMBER_DIGITS; at++)
        number = number * 10 + (*at - '0');
    *ret_number = number;
    return number > 0 ? at : NULL;
}

bool channel_read_pair(const char *text, char between, int *ret_first, int *ret_second)
{
    int first, second;
    const char *at = read_number(text, &first);
    if (at == NULL || *at != between || (at = read_number(at + 1, &second)) == NULL || *at != '\0')
        return false;
    *ret_first = first;
    *ret_second = second;
    return true;
}

int channel_read_lines(const char *text)
{
    int number;
    const char *unit = read_number(text, &number);
    if (unit == NULL || unit[0] == '\0' || unit[1] != '\0')
        return 0;
    if (*unit == 'p' || *unit == 'P')
        return number;
    if (*unit != 'k' && *unit != 'K')
        return 0;
    return number == 2 ? 1440 : number <= 16 ? number * 540 : 0; /* 4k: 2160 */
}

/* ---- what is asked, what was found ---- */

struct asking {
    const struct task_request *request;
    const struct channel_capability *capability; /* NULL: anything goes */
    struct plan_wish wish;
    const char *param; /* of the last inexact thing */
    char *error;       /* CHANNEL_ERROR_SIZE */
};

/* `720p or 1080p`, `4, 6 or 8`; cut where it gets long. */
static void add_words(struct buf *list, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list->length + strlen(words[i]) > LIST_BYTES) {
            buf_puts(list, " …");
            return;
        }
        buf_puts(list, i == 0 ? "" : i + 1 < count ? ", " : " or ");
        buf_puts(list, words[i]);
    }
}

/* Notes that something gives way, and the sentence for those who may not bend. */
static void bend(struct asking *asking, struct channel_fit *fit, const char *param,
                 const char *const *words, size_t count, const char *unit)
{
    if (!fit->is_exact) /* the first one is told */
        return;
    CLEANUP(buf_fini) struct buf list;
    buf_init(&list, LIST_BYTES + 80);
    add_words(&list, words, count);
    fit->is_exact = false;
    asking->param = param;
    snprintf(asking->error, CHANNEL_ERROR_SIZE, "\"%s\" must be %s%s with the model %.64s", param,
             buf_text(&list), unit, asking->request->model);
}

/* ---- length ---- */

static bool is_nearer(int candidate, int best, int wish)
{
    int a = abs(candidate - wish);
    int b = abs(best - wish);
    return a < b || (a == b && candidate > best);
}

static void bend_duration(struct asking *asking, struct channel_fit *fit,
                          const struct channel_durations *durations, const char *unit)
{
    char texts[20][8];
    const char *words[20];
    char bounds[60];
    size_t count = 0;
    for (; count < durations->n && count < ARRAY_LENGTH(texts); count++) {
        snprintf(texts[count], sizeof(texts[count]), "%d", durations->list[count]);
        words[count] = texts[count];
    }
    if (count == 0) {
        snprintf(bounds, sizeof(bounds), durations->most == 0 ? "at least %d" : "from %d to %d",
                 durations->least > 0 ? durations->least : 1, durations->most);
        words[count++] = bounds;
    }
    bend(asking, fit, "duration", words, count, unit);
}

static bool says_something(const struct channel_durations *durations)
{
    return durations->n > 0 || durations->least > 0 || durations->most > 0;
}

static void fit_duration(struct asking *asking, struct channel_fit *fit)
{
    const struct channel_capability *capability = asking->capability;
    int wish = asking->request->duration_s;
    fit->duration_s = wish;
    if (capability == NULL)
        return;
    bool with_images =
        asking->request->n_images > 0 && says_something(&capability->durations_with_images);
    const struct channel_durations *durations =
        with_images ? &capability->durations_with_images : &capability->durations;
    if (durations->n > 0)
        fit->duration_s = durations->list[0];
    for (size_t i = 1; i < durations->n; i++) {
        if (is_nearer(durations->list[i], fit->duration_s, wish))
            fit->duration_s = durations->list[i];
    }
    if (durations->n == 0 && wish < durations->least)
        fit->duration_s = durations->least;
    if (durations->n == 0 && durations->most > 0 && wish > durations->most)
        fit->duration_s = durations->most;
    if (fit->duration_s != wish)
        bend_duration(asking, fit, durations, with_images ? " seconds from images" : " seconds");
}

/* ---- shape ---- */

/* How far two ratios are apart, 0 within the slack. */
static double ratio_distance(int width, int height, int other_width, int other_height)
{
    int64_t a = (int64_t)width * other_height;
    int64_t b = (int64_t)other_width * height;
    return llabs(a - b) * RATIO_SLACK <= b ? 0 : fabs(log((double)a / (double)b));
}

static bool are_lines_near(int lines, int wish)
{
    return abs(lines - wish) * LINES_SLACK <= wish;
}

static int shorter_of(int width, int height)
{
    return width < height ? width : height;
}

/* Which parameter a wish for a shape came from. */
static const char *shape_param(const struct asking *asking)
{
    if (asking->wish.width > 0)
        return "size";
    return asking->request->aspect_ratio != NULL ? "aspect_ratio" : "orientation";
}

/* How much larger or smaller, as a factor's logarithm. */
static double area_distance(const struct plan_wish *wish, int width, int height)
{
    double area = (double)wish->width * wish->height;
    if (wish->width == 0) {
        int least = shorter_of(wish->ratio_width, wish->ratio_height);
        area = (double)wish->lines * wish->lines * wish->ratio_width * wish->ratio_height /
               ((double)least * least);
    }
    return fabs(log((double)width * height / area));
}

/* Of the sizes whose shape is about as near as the nearest, the one nearest in area. */
static void choose_size(const struct asking *asking, struct channel_fit *fit)
{
    const struct channel_capability *capability = asking->capability;
    const struct plan_wish *wish = &asking->wish;
    double nearest = INFINITY;
    double best = INFINITY;
    for (size_t i = 0; i < capability->n_sizes; i++) {
        int width, height;
        must(channel_read_pair(capability->sizes[i], 'x', &width, &height));
        double distance = ratio_distance(width, height, wish->ratio_width, wish->ratio_height);
        nearest = distance < nearest ? distance : nearest;
    }
    for (size_t i = 0; i < capability->n_sizes; i++) {
        int width, height;
        must(channel_read_pair(capability->sizes[i], 'x', &width, &height));
        double distance = ratio_distance(width, height, wish->ratio_width, wish->ratio_height);
        double area = area_distance(wish, width, height);
        if (distance > nearest + 1.0 / RATIO_SLACK || area >= best)
            continue;
        best = area;
        fit->width = width;
        fit->height = height;
    }
}

static void fit_size(struct asking *asking, struct channel_fit *fit)
{
    const struct channel_capability *capability = asking->capability;
    const struct plan_wish *wish = &asking->wish;
    fit->width = asking->request->width;
    fit->height = asking->request->height;
    if (capability == NULL || capability->n_sizes == 0)
        return;
    choose_size(asking, fit);
    if (wish->width > 0) {
        if (fit->width != wish->width || fit->height != wish->height)
            bend(asking, fit, "size", capability->sizes, capability->n_sizes, "");
        return;
    }
    if (ratio_distance(fit->width, fit->height, wish->ratio_width, wish->ratio_height) > 0)
        bend(asking, fit, shape_param(asking), capability->sizes, capability->n_sizes,
             " in its shape");
    else if (wish->has_lines && !are_lines_near(shorter_of(fit->width, fit->height), wish->lines))
        bend(asking, fit, "size", capability->sizes, capability->n_sizes, "");
}

static const char *nearest_ratio(const char *const *ratios, size_t count, int width, int height,
                                 double *ret_distance)
{
    const char *best = NULL;
    *ret_distance = INFINITY;
    for (size_t i = 0; i < count; i++) {
        int ratio_width, ratio_height;
        must(channel_read_pair(ratios[i], ':', &ratio_width, &ratio_height));
        double distance = ratio_distance(width, height, ratio_width, ratio_height);
        if (distance < *ret_distance) {
            *ret_distance = distance;
            best = ratios[i];
        }
    }
    return best;
}

/* Our own pixels follow a ratio that gave way, in the size of their shorter side. */
static void reshape(struct channel_fit *fit, int ratio_width, int ratio_height)
{
    int64_t shorter = shorter_of(fit->width, fit->height);
    int64_t least = shorter_of(ratio_width, ratio_height);
    fit->width = (int)((shorter * ratio_width / least + 1) & ~INT64_C(1));
    fit->height = (int)((shorter * ratio_height / least + 1) & ~INT64_C(1));
}

static void fit_ratio(struct asking *asking, struct channel_fit *fit)
{
    const struct channel_capability *capability = asking->capability;
    const struct plan_wish *wish = &asking->wish;
    bool has_ratios = capability != NULL && capability->n_ratios > 0;
    bool has_sizes = capability != NULL && capability->n_sizes > 0;
    int width = wish->ratio_width;
    int height = wish->ratio_height;
    double distance;
    if (!has_ratios && has_sizes && ratio_distance(fit->width, fit->height, width, height) > 0) {
        width = fit->width;
        height = fit->height;
    }
    const char *ratio =
        has_ratios
            ? nearest_ratio(capability->ratios, capability->n_ratios, width, height, &distance)
            : nearest_ratio(COMMON_RATIOS, ARRAY_LENGTH(COMMON_RATIOS), width, height, &distance);
    bool is_named = asking->request->aspect_ratio != NULL && wish->width == 0;
    if (!has_ratios && is_named && distance > 0 && width == wish->ratio_width)
        snprintf(fit->ratio, sizeof(fit->ratio), "%d:%d", width, height);
    else
        snprintf(fit->ratio, sizeof(fit->ratio), "%s", ratio);
    if (!has_ratios || distance == 0)
        return;
    bend(asking, fit, shape_param(asking), capability->ratios, capability->n_ratios,
         " in its shape");
    if (!has_sizes && channel_read_pair(ratio, ':', &width, &height))
        reshape(fit, width, height);
}

/* ---- resolution ---- */

static const char *nearest_resolution(const char *const *resolutions, size_t count, int lines)
{
    const char *best = resolutions[0];
    for (size_t i = 1; i < count; i++) {
        if (is_nearer(channel_read_lines(resolutions[i]), channel_read_lines(best), lines))
            best = resolutions[i];
    }
    return best;
}

static void fit_resolution(struct asking *asking, struct channel_fit *fit)
{
    const struct channel_capability *capability = asking->capability;
    const struct plan_wish *wish = &asking->wish;
    bool has_resolutions = capability != NULL && capability->n_resolutions > 0;
    bool has_sizes = capability != NULL && capability->n_sizes > 0;
    int lines = wish->lines;
    if (!has_resolutions && has_sizes)
        lines = shorter_of(fit->width, fit->height);
    const char *resolution =
        has_resolutions
            ? nearest_resolution(capability->resolutions, capability->n_resolutions, lines)
            : nearest_resolution(COMMON_RESOLUTIONS, ARRAY_LENGTH(COMMON_RESOLUTIONS), lines);
    snprintf(fit->resolution, sizeof(fit->resolution), "%s", resolution);
    if (has_resolutions && wish->has_lines &&
        !are_lines_near(channel_read_lines(resolution), lines))
        bend(asking, fit, "size", capability->resolutions, capability->n_resolutions,
             " on its shorter side");
}

/* ---- images ---- */

/* No number of images becomes another. */
static bool fits_images(struct asking *asking)
{
    const struct channel_capability *capability = asking->capability;
    size_t count = asking->request->n_images;
    if (capability == NULL ||
        (count >= (size_t)capability->images_least &&
         (capability->images_most < 0 || count <= (size_t)capability->images_most)))
        return true;
    char takes[60];
    int least = capability->images_least;
    int most = capability->images_most;
    if (most < 0)
        snprintf(takes, sizeof(takes), "at least %d image%s", least, least == 1 ? "" : "s");
    else if (most == 0)
        snprintf(takes, sizeof(takes), "no images");
    else if (least == most)
        snprintf(takes, sizeof(takes), "exactly %d image%s", most, most == 1 ? "" : "s");
    else if (least == 0)
        snprintf(takes, sizeof(takes), "at most %d image%s", most, most == 1 ? "" : "s");
    else
        snprintf(takes, sizeof(takes), "%d to %d images", least, most);
    asking->param = "images";
    snprintf(asking->error, CHANNEL_ERROR_SIZE, "the model %.64s takes %s, not %zu",
             asking->request->model, takes, count);
    return false;
}

/* ---- all ---- */

static const struct channel_capability *capability_of(const struct channel *channel,
                                                      const char *upstream_model)
{
    for (size_t i = 0; i < channel->n_capabilities; i++) {
        if (channel_matches(channel->capabilities[i].pattern, upstream_model))
            return &channel->capabilities[i];
    }
    return NULL;
}

/* A record of before our time may hold words that are none of today's: then its pixels count. */
static void read_wish(struct asking *asking)
{
    const struct task_request *request = asking->request;
    if (plan_read_wish(request->size, request->orientation, request->aspect_ratio, &asking->wish))
        return;
    asking->wish = (struct plan_wish){
        .ratio_width = request->width,
        .ratio_height = request->height,
        .lines = shorter_of(request->width, request->height),
    };
}

static bool fits(const struct channel *channel, const char *upstream_model,
                 const struct task_request *request, struct channel_fit *ret_fit,
                 const char **ret_param, char *ret_error)
{
    struct asking asking = {
        .request = request,
        .capability = capability_of(channel, upstream_model),
        .error = ret_error,
    };
    struct channel_fit fit = {.is_exact = true};
    read_wish(&asking);
    bool does_fit = fits_images(&asking);
    if (does_fit) {
        fit_duration(&asking, &fit);
        fit_size(&asking, &fit);
        fit_ratio(&asking, &fit);
        fit_resolution(&asking, &fit);
        does_fit = fit.is_exact || !channel->is_strict;
    }
    if (does_fit)
        *ret_fit = fit;
    else
        *ret_param = asking.param;
    return does_fit;
}

bool channel_fits(const struct channel *channel, const char *upstream_model,
                  const struct task_request *request, struct channel_fit *ret_fit,
                  char ret_error[CHANNEL_ERROR_SIZE])
{
    const char *param;
    char error[CHANNEL_ERROR_SIZE];
    bool does_fit = fits(channel, upstream_model, request, ret_fit, &param, error);
    if (!does_fit)
        memcpy(ret_error, error, CHANNEL_ERROR_SIZE);
    return does_fit;
}

bool channel_can_take(const struct channel_table *table, const struct task_request *request,
                      const char **ret_param, char ret_error[CHANNEL_ERROR_SIZE])
{
    char first[CHANNEL_ERROR_SIZE];
    const char *first_param = "model";
    snprintf(first, sizeof(first), "no channel serves the model %.64s", request->model);
    bool is_first = true;
    for (size_t i = 0; i < channel_count(table); i++) {
        const struct channel *channel = channel_at(table, i);
        struct channel_fit fit;
        const char *upstream, *param;
        char error[CHANNEL_ERROR_SIZE];
        if (channel->is_drained || !channel_serves(channel, request->model, &upstream))
            continue;
        if (fits(channel, upstream, request, &fit, &param, error))
            return true;
        if (is_first) {
            memcpy(first, error, sizeof(first));
            first_param = param;
        }
        is_first = false;
    }
    memcpy(ret_error, first, sizeof(first));
    *ret_param = first_param;
    return false;
}
