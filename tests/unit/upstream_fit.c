/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client asks for becomes what a model makes: lengths, shapes, resolutions, numbers of images, and the sentences
 * of those who may not bend. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "task/plan.h"
#include "upstream/channel.h"

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define LIST(member, n_member, count, ...) .member = WORDS(__VA_ARGS__), .n_member = (count)

static const int FEW[] = {4, 6, 8};
static const int TIED[] = {4, 8};
static const int FIVE[] = {5};

/* First match counts. */
static const struct channel_capability CAPABILITIES[] = {
    {.pattern = "few", .durations = {.list = FEW, .n = 3}, .images_most = -1},
    {.pattern = "tied", .durations = {.list = TIED, .n = 2}, .images_most = -1},
    {.pattern = "range", .durations = {.least = 3, .most = 12}, .images_most = -1},
    {.pattern = "least", .durations = {.least = 12}, .images_most = -1},
    {.pattern = "apart",
     .durations = {.list = FEW, .n = 3},
     .durations_with_images = {.list = FIVE, .n = 1},
     .images_most = -1},
    {.pattern = "shorter",
     .durations = {.list = FEW, .n = 3},
     .durations_with_images = {.most = 5},
     .images_most = -1},
    {.pattern = "longer",
     .durations = {.most = 5},
     .durations_with_images = {.least = 6},
     .images_most = -1},
    {.pattern = "sora",
     LIST(sizes, n_sizes, 4, "720x1280", "1280x720", "1024x1792", "1792x1024"),
     .images_most = -1},
    {.pattern = "wan", LIST(sizes, n_sizes, 3, "832x480", "480x832", "624x624"), .images_most = -1},
    {.pattern = "veo",
     LIST(ratios, n_ratios, 2, "16:9", "9:16"),
     LIST(resolutions, n_resolutions, 3, "720p", "1080p", "4k"),
     .images_most = -1},
    {.pattern = "low", LIST(resolutions, n_resolutions, 2, "360P", "480P"), .images_most = -1},
    {.pattern = "one", .images_least = 1, .images_most = 1},
    {.pattern = "text", .images_most = 0},
    {.pattern = "up-to-3", .images_most = 3},
    {.pattern = "frames", .images_least = 1, .images_most = 2},
    {.pattern = "some", .images_least = 2, .images_most = -1},
    {.pattern = "all*",
     .durations = {.list = FEW, .n = 3},
     LIST(sizes, n_sizes, 2, "1280x720", "720x1280"),
     .images_most = 0},
};

struct asked {
    const char *size, *orientation, *aspect_ratio; /* NULL: not asked */
};

/* As the decoder leaves it. `size` NULL is small. */
static struct task_request *request_of(struct asked asked, int duration_s, size_t n_images)
{
    struct task_request *request = task_request_new();
    struct plan plan;
    char error[200];
    assert_true(plan_make(asked.size, asked.orientation, asked.aspect_ratio, &plan, error));
    request->model = must_strdup("sora-2");
    request->prompt = must_strdup("x");
    request->operation = must_strdup("simple_compose");
    request->size = must_strdup(asked.size != NULL ? asked.size : "small");
    request->orientation =
        must_strdup(asked.orientation != NULL ? asked.orientation : plan.orientation);
    request->aspect_ratio = asked.aspect_ratio != NULL ? must_strdup(asked.aspect_ratio) : NULL;
    request->width = plan.width;
    request->height = plan.height;
    request->duration_s = duration_s;
    request->images = must_calloc(n_images + 1, sizeof(*request->images));
    request->n_images = n_images;
    return request;
}

static struct channel channel_of(bool is_strict)
{
    return (struct channel){.name = "mine",
                            .is_strict = is_strict,
                            .capabilities = CAPABILITIES,
                            .n_capabilities = ARRAY_LENGTH(CAPABILITIES)};
}

/* ---- what comes of it ---- */

struct sample {
    const char *model;
    struct asked asked;
    int duration_s, width, height;
    const char *ratio, *resolution;
    const char *error; /* NULL: exact; else what `strict` says */
    int asked_duration_s;
};

static const struct sample SHAPES[] = {
    /* nothing is known of the model: our words become usual ones, our pixels stay */
    {"free", {NULL, NULL, NULL}, 10, 352, 640, "9:16", "720p", NULL, 10},
    {"free", {"small", "landscape", NULL}, 10, 640, 352, "16:9", "720p", NULL, 10},
    {"free", {"large", "portrait", NULL}, 10, 704, 1280, "9:16", "1080p", NULL, 10},
    {"free", {"1080P", "square", NULL}, 10, 960, 960, "1:1", "1080p", NULL, 10},
    {"free", {NULL, NULL, "4:3"}, 10, 0, 0, "4:3", "720p", NULL, 10},
    {"free", {NULL, NULL, "32:18"}, 10, 0, 0, "16:9", "720p", NULL, 10},
    {"free", {NULL, NULL, "5:4"}, 10, 0, 0, "5:4", "720p", NULL, 10},
    {"free", {NULL, "portrait", "16:9"}, 10, 640, 352, "16:9", "720p", NULL, 10},
    {"free", {"16x9", NULL, NULL}, 10, 640, 352, "16:9", "720p", NULL, 10},
    {"free", {"1280x720", NULL, NULL}, 10, 1280, 720, "16:9", "720p", NULL, 10},
    {"free", {"832x480", NULL, NULL}, 10, 832, 480, "16:9", "480p", NULL, 10},
    {"free", {"1000x700", NULL, NULL}, 10, 1000, 700, "3:2", "720p", NULL, 10},
    {"free", {"600x600", NULL, NULL}, 10, 600, 600, "1:1", "720p", NULL, 10},
    {"free", {"1680x720", NULL, NULL}, 10, 1680, 720, "21:9", "720p", NULL, 10},
    /* sizes: the shape first, then how large */
    {"sora", {NULL, NULL, NULL}, 10, 720, 1280, "9:16", "720p", NULL, 10},
    {"sora", {"small", "landscape", NULL}, 10, 1280, 720, "16:9", "720p", NULL, 10},
    {"sora", {"large", "portrait", NULL}, 10, 1024, 1792, "9:16", "1080p", NULL, 10},
    {"sora", {"1080P", "landscape", NULL}, 10, 1792, 1024, "16:9", "1080p", NULL, 10},
    {"sora", {"1024x1792", NULL, NULL}, 10, 1024, 1792, "9:16", "1080p", NULL, 10},
    {"sora", {NULL, NULL, "16:9"}, 10, 1280, 720, "16:9", "720p", NULL, 10},
    {"sora",
     {"704x1280", NULL, NULL},
     10,
     720,
     1280,
     "9:16",
     "720p",
     "\"size\" must be 720x1280, 1280x720, 1024x1792 or 1792x1024 with the model sora-2",
     10},
    {"sora",
     {NULL, "square", NULL},
     10,
     720,
     1280,
     "9:16",
     "720p",
     "\"orientation\" must be 720x1280, 1280x720, 1024x1792 or 1792x1024 in its shape with the "
     "model sora-2",
     10},
    {"wan", {"small", "landscape", NULL}, 10, 832, 480, "16:9", "480p", NULL, 10},
    {"wan", {NULL, "square", NULL}, 10, 624, 624, "1:1", "720p", NULL, 10},
    {"wan",
     {"1080P", "landscape", NULL},
     10,
     832,
     480,
     "16:9",
     "480p",
     "\"size\" must be 832x480, 480x832 or 624x624 with the model sora-2",
     10},
    /* names of ratios and resolutions */
    {"veo", {NULL, NULL, NULL}, 10, 352, 640, "9:16", "720p", NULL, 10},
    {"veo", {"large", "landscape", NULL}, 10, 1280, 704, "16:9", "1080p", NULL, 10},
    {"veo", {"704x1280", NULL, NULL}, 10, 704, 1280, "9:16", "720p", NULL, 10},
    {"veo", {"1920x1080", NULL, NULL}, 10, 1920, 1080, "16:9", "1080p", NULL, 10},
    {"veo",
     {NULL, NULL, "4:3"},
     10,
     740,
     416,
     "16:9",
     "720p",
     "\"aspect_ratio\" must be 16:9 or 9:16 in its shape with the model sora-2",
     10},
    {"veo",
     {"640x360", NULL, NULL},
     10,
     640,
     360,
     "16:9",
     "720p",
     "\"size\" must be 720p, 1080p or 4k on its shorter side with the model sora-2",
     10},
    {"low", {"small", NULL, NULL}, 10, 352, 640, "9:16", "480P", NULL, 10},
    {"low", {"large", NULL, NULL}, 10, 704, 1280, "9:16", "480P", NULL, 10},
    {"low",
     {"720p", NULL, NULL},
     10,
     352,
     640,
     "9:16",
     "480P",
     "\"size\" must be 360P or 480P on its shorter side with the model sora-2",
     10},
    /* the first that gives way is told */
    {"all-of-it",
     {NULL, "square", NULL},
     8,
     1280,
     720,
     "16:9",
     "720p",
     "\"duration\" must be 4, 6 or 8 seconds with the model sora-2",
     10},
    /* lengths */
    {"few", {NULL, NULL, NULL}, 4, 352, 640, "9:16", "720p", NULL, 4},
    {"few",
     {NULL, NULL, NULL},
     8,
     352,
     640,
     "9:16",
     "720p",
     "\"duration\" must be 4, 6 or 8 seconds with the model sora-2",
     15},
    {"few",
     {NULL, NULL, NULL},
     4,
     352,
     640,
     "9:16",
     "720p",
     "\"duration\" must be 4, 6 or 8 seconds with the model sora-2",
     1},
    {"few", /* equally near: the longer */
     {NULL, NULL, NULL},
     6,
     352,
     640,
     "9:16",
     "720p",
     "\"duration\" must be 4, 6 or 8 seconds with the model sora-2",
     5},
    {"tied",
     {NULL, NULL, NULL},
     8,
     352,
     640,
     "9:16",
     "720p",
     "\"duration\" must be 4 or 8 seconds with the model sora-2",
     6},
    {"range", {NULL, NULL, NULL}, 12, 352, 640, "9:16", "720p", NULL, 12},
    {"range",
     {NULL, NULL, NULL},
     12,
     352,
     640,
     "9:16",
     "720p",
     "\"duration\" must be from 3 to 12 seconds with the model sora-2",
     13},
    {"range",
     {NULL, NULL, NULL},
     3,
     352,
     640,
     "9:16",
     "720p",
     "\"duration\" must be from 3 to 12 seconds with the model sora-2",
     2},
    {"least", {NULL, NULL, NULL}, 60, 352, 640, "9:16", "720p", NULL, 60},
    {"least",
     {NULL, NULL, NULL},
     12,
     352,
     640,
     "9:16",
     "720p",
     "\"duration\" must be at least 12 seconds with the model sora-2",
     3},
};

static void describe(const char *model, const struct channel_fit *fit, char ret_text[100])
{
    snprintf(ret_text, 100, "%s: %d s, %dx%d, %s, %s, %s", model, fit->duration_s, fit->width,
             fit->height, fit->ratio, fit->resolution, fit->is_exact ? "exact" : "bent");
}

static void check_sample(const struct sample *sample)
{
    char error[CHANNEL_ERROR_SIZE] = "";
    struct channel_fit fit = {0};
    const struct channel nearest = channel_of(false);
    const struct channel strict = channel_of(true);
    struct task_request *request = request_of(sample->asked, sample->asked_duration_s, 0);
    assert_true(channel_fits(&nearest, sample->model, request, &fit, error));
    assert_string_equal(error, "");
    char found[100], expected[100];
    describe(sample->model, &fit, found);
    struct channel_fit right = {
        .duration_s = sample->duration_s,
        .width = sample->width > 0 ? sample->width : request->width,
        .height = sample->height > 0 ? sample->height : request->height,
        .is_exact = sample->error == NULL,
    };
    snprintf(right.ratio, sizeof(right.ratio), "%s", sample->ratio);
    snprintf(right.resolution, sizeof(right.resolution), "%s", sample->resolution);
    describe(sample->model, &right, expected);
    assert_string_equal(found, expected);
    assert_int_equal(channel_fits(&strict, sample->model, request, &fit, error),
                     sample->error == NULL);
    assert_string_equal(error, sample->error != NULL ? sample->error : "");
    task_request_unref(request);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SHAPES); i++)
        check_sample(&SHAPES[i]);
}

/* The number of images bends for nobody. */
static void test_images(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        size_t n_images;
        const char *error;
    } samples[] = {
        {"free", 32, NULL},
        {"one", 1, NULL},
        {"one", 0, "the model sora-2 takes exactly 1 image, not 0"},
        {"one", 2, "the model sora-2 takes exactly 1 image, not 2"},
        {"text", 0, NULL},
        {"text", 1, "the model sora-2 takes no images, not 1"},
        {"up-to-3", 3, NULL},
        {"up-to-3", 4, "the model sora-2 takes at most 3 images, not 4"},
        {"frames", 2, NULL},
        {"frames", 0, "the model sora-2 takes 1 to 2 images, not 0"},
        {"some", 30, NULL},
        {"some", 1, "the model sora-2 takes at least 2 images, not 1"},
    };
    const struct channel nearest = channel_of(false);
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        char error[CHANNEL_ERROR_SIZE] = "";
        struct channel_fit fit;
        struct task_request *request =
            request_of((struct asked){NULL, NULL, NULL}, 10, samples[i].n_images);
        assert_int_equal(channel_fits(&nearest, samples[i].model, request, &fit, error),
                         samples[i].error == NULL);
        assert_string_equal(error, samples[i].error != NULL ? samples[i].error : "");
        task_request_unref(request);
    }
}

/* Of images a model may make other lengths. */
static void test_durations_with_images(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        int asked_s;
        size_t n_images;
        int fitted_s;
        const char *error; /* of strict; NULL: it fits */
    } samples[] = {
        {"apart", 8, 0, 8, NULL},
        {"apart", 8, 1, 5, "\"duration\" must be 5 seconds from images with the model sora-2"},
        {"apart", 5, 2, 5, NULL},
        {"apart", 5, 0, 6, "\"duration\" must be 4, 6 or 8 seconds with the model sora-2"},
        {"shorter", 8, 0, 8, NULL},
        {"shorter", 8, 1, 5,
         "\"duration\" must be from 1 to 5 seconds from images with the model sora-2"},
        {"shorter", 3, 1, 3, NULL},
        {"longer", 6, 1, 6, NULL},
        {"longer", 2, 1, 6,
         "\"duration\" must be at least 6 seconds from images with the model sora-2"},
        {"few", 5, 1, 6, "\"duration\" must be 4, 6 or 8 seconds with the model sora-2"},
        {"free", 60, 1, 60, NULL},
    };
    const struct channel nearest = channel_of(false), strict = channel_of(true);
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        char error[CHANNEL_ERROR_SIZE] = "";
        struct channel_fit fit = {0};
        struct task_request *request =
            request_of((struct asked){NULL, NULL, NULL}, samples[i].asked_s, samples[i].n_images);
        assert_true(channel_fits(&nearest, samples[i].model, request, &fit, error));
        assert_int_equal(fit.duration_s, samples[i].fitted_s);
        assert_int_equal(fit.is_exact, samples[i].error == NULL);
        assert_int_equal(channel_fits(&strict, samples[i].model, request, &fit, error),
                         samples[i].error == NULL);
        assert_string_equal(error, samples[i].error != NULL ? samples[i].error : "");
        task_request_unref(request);
    }
}

/* A long list is cut, and the sentence still ends well. */
static void test_long_list(void **state)
{
    (void)state;
    static const char *const sizes[] = {
        "1001x1001", "1002x1002", "1003x1003", "1004x1004", "1005x1005", "1006x1006", "1007x1007",
        "1008x1008", "1009x1009", "1010x1010", "1011x1011", "1012x1012", "1013x1013", "1014x1014",
        "1015x1015", "1016x1016", "1017x1017", "1018x1018", "1019x1019", "1020x1020", "1021x1021",
    };
    static const struct channel_capability many = {
        .pattern = "*", .sizes = sizes, .n_sizes = ARRAY_LENGTH(sizes), .images_most = -1};
    const struct channel channel = {.is_strict = true, .capabilities = &many, .n_capabilities = 1};
    char error[CHANNEL_ERROR_SIZE] = "";
    struct channel_fit fit;
    struct task_request *request = request_of((struct asked){"800x800", NULL, NULL}, 10, 0);
    assert_false(channel_fits(&channel, "x", request, &fit, error));
    assert_non_null(strstr(error, "\"size\" must be 1001x1001, 1002x1002, "));
    assert_non_null(strstr(error, " … with the model sora-2"));
    task_request_unref(request);
}

/* ---- at create ---- */

struct adapter {
    int unused;
};

const struct adapter *adapter_find(const struct adapter_set *set, const char *name)
{
    static const struct adapter only = {0};
    (void)set;
    return strcmp(name, "veo") == 0 ? &only : NULL;
}

size_t adapter_count(const struct adapter_set *set)
{
    (void)set;
    return 0;
}

const struct adapter *adapter_at(const struct adapter_set *set, size_t index)
{
    (void)set;
    (void)index;
    return NULL;
}

const char *adapter_name(const struct adapter *adapter)
{
    (void)adapter;
    return "veo";
}

const char *adapter_text(const struct adapter *adapter)
{
    (void)adapter;
    return "";
}

json_t *adapter_about(const struct adapter *adapter, char ret_error[ADAPTER_ERROR_SIZE])
{
    (void)adapter;
    (void)ret_error;
    return json_pack("{s:n,s:{s:s},s:[{s:s,s:[i,i],s:{s:i}},{s:s,s:[s]},{s:s,s:[s]}]}", "base_url",
                     "auth", "kind", "none", "models", "name", "short", "durations", 4, 6, "images",
                     "most", 1, "name", "wide", "aspect_ratios", "16:9", "name", "720p",
                     "resolutions", "720p");
}

static void test_can_take(void **state)
{
    (void)state;
    static const struct settings_model models[] = {
        {"sora-2", "short"}, {"sora-2-pro", "short"}, {"w", "wide"}, {"r", "720p"}};
    static const struct settings_model other[] = {{"sora-2-pro", NULL}};
#define UPSTREAM                                                                                   \
    .adapter = "veo", .base_url = "http://127.0.0.1:1", .on_unknown = "hold", .fit = "strict",     \
    .models = models, .n_models = 4
    struct settings_channel channels[] = {
        {.name = "strict", UPSTREAM},
        {.name = "own", .adapter = "animatic", .models = other, .n_models = 1},
    };
    static const struct {
        const char *model;
        struct asked asked;
        int duration_s;
        size_t n_images;
        const char *param, *error; /* NULL: taken */
    } samples[] = {
        {"sora-2", {NULL, NULL, NULL}, 4, 0, NULL, NULL},
        {"sora-2",
         {NULL, NULL, NULL},
         5,
         0,
         "duration",
         "\"duration\" must be 4 or 6 seconds with the model sora-2"},
        {"sora-2",
         {NULL, NULL, NULL},
         4,
         2,
         "images",
         "the model sora-2 takes at most 1 image, not 2"},
        {"sora-2-pro", {NULL, NULL, NULL}, 5, 9, NULL, NULL}, /* the other channel takes it */
        {"w", {NULL, "landscape", NULL}, 5, 0, NULL, NULL},
        {"w",
         {NULL, NULL, NULL},
         5,
         0,
         "orientation",
         "\"orientation\" must be 16:9 in its shape with the model w"},
        {"w",
         {NULL, NULL, "1:1"},
         5,
         0,
         "aspect_ratio",
         "\"aspect_ratio\" must be 16:9 in its shape with the model w"},
        {"w",
         {"64x64", NULL, NULL},
         5,
         0,
         "size",
         "\"size\" must be 16:9 in its shape with the model w"},
        {"r",
         {"1080P", NULL, NULL},
         5,
         0,
         "size",
         "\"size\" must be 720p on its shorter side with the model r"},
        {"unknown", {NULL, NULL, NULL}, 5, 0, "model", "no channel serves the model unknown"},
    };
    char error[CHANNEL_ERROR_SIZE] = "";
    const char *param = NULL;
    const struct settings settings = {.channels = channels, .n_channels = 2};
    char why[SETTINGS_ERROR_SIZE] = "";
    const struct adapter_set *set = (const void *)""; /* the double looks at none */
    struct channel_table *table = channel_table_new(&settings, set, why);
    assert_string_equal(why, "");
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        struct task_request *request =
            request_of(samples[i].asked, samples[i].duration_s, samples[i].n_images);
        free_pointer(&request->model);
        request->model = must_strdup(samples[i].model);
        bool is_taken = channel_can_take(table, request, &param, error);
        assert_int_equal(is_taken, samples[i].error == NULL);
        if (!is_taken) {
            assert_string_equal(param, samples[i].param);
            assert_string_equal(error, samples[i].error);
        }
        task_request_unref(request);
    }
    channel_table_free(table);
    /* the one that would take it gets nothing new */
    channels[1].drain = true;
    table = channel_table_new(&settings, set, why);
    struct task_request *request = request_of((struct asked){NULL, NULL, NULL}, 5, 0);
    free_pointer(&request->model);
    request->model = must_strdup("sora-2-pro");
    assert_false(channel_can_take(table, request, &param, error));
    task_request_unref(request);
    channel_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_durations_with_images),
        cmocka_unit_test(test_long_list),
        cmocka_unit_test(test_can_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
