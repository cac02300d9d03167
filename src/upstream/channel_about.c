/* SPDX-License-Identifier: Apache-2.0
 *
 * From what an adapter says of itself (`about`, docs/ADAPTERS.md) to the fields of a channel. Every member is looked
 * at, and one that is not known is refused: a misspelt limit would be no limit. Any thread. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"
#include "base/settings_value.h"
#include "upstream/channel_parts.h"

enum {
    DURATION_MAX_S = 3600,
    IMAGES_MAX = 1000,
    SPAN_MAX_S = 86400,
    LIST_MAX = 100,
    MODELS_MAX = 1000,
};

struct reader {
    struct arena *arena;
    char *error;
};

static bool fail(const struct reader *reader, const char *format, ...) PRINTF_LIKE(2, 3);

static bool fail(const struct reader *reader, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(reader->error, SETTINGS_ERROR_SIZE, format, values);
    va_end(values);
    return false;
}

/* ---- single members ---- */

/* A path for messages: `poll`, `first_s` → `poll.first_s`; without a group just the key. */
struct place {
    char text[100];
};

static struct place place_of(const char *group, const char *key)
{
    struct place place;
    snprintf(place.text, sizeof(place.text), "%s%s%s", group, *group != '\0' ? "." : "", key);
    return place;
}

/* Is each member of `object` one of `names` (blanks between)? */
static bool check_names(const struct reader *reader, const json_t *object, const char *group,
                        const char *names)
{
    json_t *tree = (json_t *)(uintptr_t)object; /* iterating does not change it */
    for (void *at = json_object_iter(tree); at != NULL; at = json_object_iter_next(tree, at)) {
        const char *key = json_object_iter_key(at);
        if (!codec_has_word(names, key))
            return fail(reader, "\"about\" has the member \"%.60s\", which is none of: %s",
                        place_of(group, key).text, names);
    }
    return true;
}

/* The object `key` of `about`; an empty one where it is absent. False when it is something else. */
static bool read_group(const struct reader *reader, const json_t *about, const char *key,
                       const char *names, const json_t **ret_group)
{
    const json_t *group = json_object_get(about, key);
    if (group != NULL && !json_is_object(group))
        return fail(reader, "\"%s\" of \"about\" must be an object of: %s", key, names);
    *ret_group = group; /* NULL is empty for all look-ups */
    return check_names(reader, group, key, names);
}

static bool read_flag(const struct reader *reader, const json_t *group, const char *name,
                      const char *key, bool *ret_flag)
{
    const json_t *value = json_object_get(group, key);
    if (value != NULL && !json_is_boolean(value))
        return fail(reader, "\"%s\" of \"about\" must be true or false", place_of(name, key).text);
    *ret_flag = json_is_true(value);
    return true;
}

/* Seconds become milliseconds. `*ret_ms` holds the default; null counts as absent. */
static bool read_seconds(const struct reader *reader, const json_t *group, const char *name,
                         const char *key, int most_s, int64_t *ret_ms)
{
    const json_t *value = json_object_get(group, key);
    if (value == NULL || json_is_null(value))
        return true;
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds >= 0.1 && seconds <= most_s))
        return fail(reader, "\"%s\" of \"about\" must be a number of seconds from 0.1 to %d",
                    place_of(name, key).text, most_s);
    *ret_ms = (int64_t)(seconds * 1000);
    return true;
}

/* A whole number; `*ret_number` holds the default. */
static bool read_count(const struct reader *reader, const json_t *group, const char *name,
                       const char *key, int least, int most, int *ret_number)
{
    const json_t *value = json_object_get(group, key);
    if (value == NULL)
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most)
        return fail(reader, "\"%s\" of \"about\" must be a whole number from %d to %d",
                    place_of(name, key).text, least, most);
    *ret_number = (int)json_integer_value(value);
    return true;
}

/* NULL where it is absent or null. */
static bool read_text(const struct reader *reader, const json_t *group, const char *name,
                      const char *key, const char **ret_text)
{
    const json_t *value = json_object_get(group, key);
    *ret_text = json_string_value(value);
    if (value == NULL || json_is_null(value) ||
        (*ret_text != NULL && **ret_text != '\0' && codec_is_printable(*ret_text)))
        return true;
    return fail(reader, "\"%s\" of \"about\" must be a text of printable ASCII",
                place_of(name, key).text);
}

/* ---- lists of texts ---- */

static bool is_pattern(const char *text)
{
    return *text != '\0' && strlen(text) <= SETTINGS_MODEL_MAX;
}

static bool is_size(const char *text)
{
    int width, height;
    return strlen(text) < CHANNEL_WORD_SIZE && channel_read_pair(text, 'x', &width, &height);
}

static bool is_ratio(const char *text)
{
    int width, height;
    return strlen(text) < CHANNEL_WORD_SIZE && channel_read_pair(text, ':', &width, &height);
}

static bool is_resolution(const char *text)
{
    return strlen(text) < CHANNEL_WORD_SIZE && channel_read_lines(text) > 0;
}

static bool is_phase(const char *text)
{
    return strcmp(text, "pending") == 0 || strcmp(text, "rendering") == 0;
}

struct form {
    bool (*fits)(const char *text);
    const char *right; /* a list of … */
};

static const struct form HOSTS = {settings_is_host, "hosts (like \"rest.example.com:8443\")"};
static const struct form SIZES = {is_size, "sizes (like \"1280x720\")"};
static const struct form RATIOS = {is_ratio, "aspect ratios (like \"16:9\")"};
static const struct form RESOLUTIONS = {is_resolution, "resolutions (like \"720p\")"};
static const struct form PHASES = {is_phase, "\"pending\" and \"rendering\""};

/* A NULL-terminated list in the arena; an empty one where the member is absent. */
static bool read_list(const struct reader *reader, const json_t *group, const char *name,
                      const char *key, const struct form *form, const char *const **ret_items,
                      size_t *ret_count)
{
    const json_t *list = json_object_get(group, key);
    size_t count = json_array_size(list);
    if ((list != NULL && !json_is_array(list)) || count > LIST_MAX)
        return fail(reader, "\"%s\" of \"about\" must be a list of %s, at most %d",
                    place_of(name, key).text, form->right, LIST_MAX);
    const char **items = arena_alloc(reader->arena, (count + 1) * sizeof(*items));
    if (items == NULL)
        return fail(reader, "\"about\" is too large");
    for (size_t i = 0; i < count; i++) {
        items[i] = json_string_value(json_array_get(list, i));
        if (items[i] == NULL || !form->fits(items[i]))
            return fail(reader, "\"%s\" of \"about\" must be a list of %s",
                        place_of(name, key).text, form->right);
    }
    *ret_items = items;
    *ret_count = count;
    return true;
}

/* ---- groups ---- */

static bool read_auth(const struct reader *reader, const json_t *about, struct channel *channel)
{
    const json_t *group = NULL;
    struct auth auth;
    char error[AUTH_ERROR_SIZE];
    if (!read_group(reader, about, "auth", "kind name prefix service region scope", &group))
        return false;
    if (!auth_read(group, &auth, error))
        return fail(reader, "\"about\" is wrong: %s", error);
    channel->auth = auth.kind;
    channel->auth_name = auth.name;
    channel->auth_prefix = auth.prefix;
    channel->auth_service = auth.service;
    channel->auth_region = auth.region;
    channel->auth_scope = auth.scope;
    return true;
}

static bool read_times(const struct reader *reader, const json_t *about, struct channel *channel)
{
    const json_t *submit = NULL;
    const json_t *poll = NULL;
    channel->submit_total_ms = 60000;
    channel->poll_first_ms = 10000;
    channel->poll_every_ms = 5000;
    channel->poll_longest_ms = 60000;
    if (!read_group(reader, about, "submit", "total_s", &submit) ||
        !read_group(reader, about, "poll", "first_s every_s longest_s", &poll) ||
        !read_seconds(reader, submit, "submit", "total_s", SPAN_MAX_S, &channel->submit_total_ms) ||
        !read_seconds(reader, poll, "poll", "first_s", SPAN_MAX_S, &channel->poll_first_ms) ||
        !read_seconds(reader, poll, "poll", "every_s", SPAN_MAX_S, &channel->poll_every_ms) ||
        !read_seconds(reader, poll, "poll", "longest_s", SPAN_MAX_S, &channel->poll_longest_ms))
        return false;
    if (channel->poll_longest_ms < channel->poll_every_ms)
        return fail(reader, "\"poll.longest_s\" of \"about\" must be no less than "
                            "\"poll.every_s\"");
    return true;
}

static bool read_powers(const struct reader *reader, const json_t *about, struct channel *channel)
{
    const json_t *job = NULL;
    const json_t *result = NULL;
    const json_t *cancel = NULL;
    const char *const *phases = NULL;
    size_t n_phases = 0;
    if (!read_flag(reader, about, "", "callback", &channel->can_call_back) ||
        !read_group(reader, about, "job", "chosen certain", &job) ||
        !read_group(reader, about, "result", "life_s renews auth", &result) ||
        !read_group(reader, about, "cancel", "while", &cancel) ||
        !read_flag(reader, job, "job", "chosen", &channel->can_choose_job) ||
        !read_flag(reader, job, "job", "certain", &channel->looks_up_surely) ||
        !read_flag(reader, result, "result", "renews", &channel->renews_result) ||
        !read_flag(reader, result, "result", "auth", &channel->result_needs_auth) ||
        !read_list(reader, cancel, "cancel", "while", &PHASES, &phases, &n_phases))
        return false;
    for (size_t i = 0; i < n_phases; i++) {
        bool is_pending = strcmp(phases[i], "pending") == 0;
        channel->can_cancel_pending |= is_pending;
        channel->can_cancel_rendering |= !is_pending;
    }
    return true;
}

/* ---- models ---- */

static int compare_ints(const void *a, const void *b)
{
    int first, second;
    memcpy(&first, a, sizeof(first));
    memcpy(&second, b, sizeof(second));
    return (first > second) - (first < second);
}

static int compare_resolutions(const void *a, const void *b)
{
    const char *first, *second;
    memcpy(&first, a, sizeof(first));
    memcpy(&second, b, sizeof(second));
    return channel_read_lines(first) - channel_read_lines(second);
}

static bool read_durations(const struct reader *reader, const json_t *model, const char *name,
                           const char *key, struct channel_durations *durations)
{
    const json_t *value = json_object_get(model, key);
    struct place place = place_of(name, key);
    if (json_is_object(value))
        return check_names(reader, value, place.text, "least most") &&
               read_count(reader, value, place.text, "least", 1, DURATION_MAX_S,
                          &durations->least) &&
               read_count(reader, value, place.text, "most", 1, DURATION_MAX_S, &durations->most) &&
               (durations->most == 0 || durations->most >= durations->least ||
                fail(reader, "\"%s\" of \"about\" has a \"most\" below its \"least\"", place.text));
    if (value == NULL)
        return true;
    size_t count = json_array_size(value);
    int *list =
        count > 0 && count <= LIST_MAX ? arena_alloc(reader->arena, count * sizeof(int)) : NULL;
    bool is_good = list != NULL;
    for (size_t i = 0; is_good && i < count; i++) {
        const json_t *item = json_array_get(value, i);
        long long seconds = json_is_integer(item) ? json_integer_value(item) : 0;
        is_good = seconds >= 1 && seconds <= DURATION_MAX_S;
        list[i] = is_good ? (int)seconds : 0;
    }
    if (!is_good)
        return fail(reader,
                    "\"%s\" of \"about\" must be a list of whole seconds from 1 to %d, or "
                    "{\"least\", \"most\"}",
                    place.text, DURATION_MAX_S);
    qsort(list, count, sizeof(int), compare_ints);
    durations->list = list;
    durations->n = count;
    return true;
}

static bool read_images(const struct reader *reader, const json_t *model, const char *name,
                        struct channel_capability *capability)
{
    const json_t *value = json_object_get(model, "images");
    struct place place = place_of(name, "images");
    capability->images_most = -1;
    if (value == NULL)
        return true;
    if (!json_is_object(value))
        return fail(reader, "\"%s\" of \"about\" must be an object of: least most", place.text);
    if (!check_names(reader, value, place.text, "least most") ||
        !read_count(reader, value, place.text, "least", 0, IMAGES_MAX, &capability->images_least) ||
        !read_count(reader, value, place.text, "most", 0, IMAGES_MAX, &capability->images_most))
        return false;
    if (capability->images_most >= 0 && capability->images_most < capability->images_least)
        return fail(reader, "\"%s\" of \"about\" has a \"most\" below its \"least\"", place.text);
    return true;
}

static bool read_model(const struct reader *reader, const json_t *model, size_t index,
                       struct channel_capability *capability)
{
    static const char NAMES[] = "name durations durations_with_images sizes aspect_ratios "
                                "resolutions images";
    char name[32];
    const char *const *resolutions = NULL;
    snprintf(name, sizeof(name), "models[%zu]", index);
    if (!json_is_object(model))
        return fail(reader, "\"%s\" of \"about\" must be an object of: %s", name, NAMES);
    capability->pattern = json_text(model, "name");
    if (capability->pattern == NULL || !is_pattern(capability->pattern))
        return fail(reader, "\"%s.name\" of \"about\" must be a text of 1 to %d bytes", name,
                    SETTINGS_MODEL_MAX);
    if (!check_names(reader, model, name, NAMES) ||
        !read_durations(reader, model, name, "durations", &capability->durations) ||
        !read_durations(reader, model, name, "durations_with_images",
                        &capability->durations_with_images) ||
        !read_list(reader, model, name, "sizes", &SIZES, &capability->sizes,
                   &capability->n_sizes) ||
        !read_list(reader, model, name, "aspect_ratios", &RATIOS, &capability->ratios,
                   &capability->n_ratios) ||
        !read_list(reader, model, name, "resolutions", &RESOLUTIONS, &resolutions,
                   &capability->n_resolutions) ||
        !read_images(reader, model, name, capability))
        return false;
    must(resolutions != NULL);
    qsort((void *)(uintptr_t)resolutions, capability->n_resolutions, sizeof(*resolutions),
          compare_resolutions); /* the list is ours, made above */
    capability->resolutions = resolutions;
    return true;
}

static bool read_models(const struct reader *reader, const json_t *about, struct channel *channel)
{
    const json_t *models = json_object_get(about, "models");
    size_t count = json_array_size(models);
    if ((models != NULL && !json_is_array(models)) || count > MODELS_MAX)
        return fail(reader, "\"models\" of \"about\" must be a list of objects, at most %d",
                    MODELS_MAX);
    struct channel_capability *capabilities =
        arena_alloc(reader->arena, (count + 1) * sizeof(*capabilities));
    if (capabilities == NULL)
        return fail(reader, "\"about\" is too large");
    for (size_t i = 0; i < count; i++) {
        if (!read_model(reader, json_array_get(models, i), i, &capabilities[i]))
            return false;
    }
    channel->capabilities = capabilities;
    channel->n_capabilities = count;
    return true;
}

/* ---- all ---- */

static bool read_head(const struct reader *reader, const json_t *about, struct channel *channel)
{
    static const char *const evidences[] = {"wire", "sdk", "documented", "third-party"};
    const char *evidence = json_text(about, "evidence");
    bool is_evidence = evidence == NULL;
    size_t n_hosts;
    for (size_t i = 0; !is_evidence && i < ARRAY_LENGTH(evidences); i++)
        is_evidence = strcmp(evidences[i], evidence) == 0;
    if (!is_evidence)
        return fail(reader, "\"evidence\" of \"about\" must be wire, sdk, documented or "
                            "third-party");
    if (!read_text(reader, about, "", "base_url", &channel->base_url) ||
        !read_list(reader, about, "", "hosts", &HOSTS, &channel->hosts, &n_hosts))
        return false;
    if (channel->base_url != NULL &&
        settings_text_fault("channels.base_url", channel->base_url) != NULL)
        return fail(reader, "\"base_url\" of \"about\" must be null or %s",
                    settings_text_fault("channels.base_url", channel->base_url));
    return true;
}

bool channel_read_about(const json_t *about, struct arena *arena, struct channel *channel,
                        char ret_error[SETTINGS_ERROR_SIZE])
{
    const struct reader reader = {arena, ret_error};
    if (!json_is_object(about))
        return fail(&reader, "\"about\" must be an object");
    channel->about = about;
    return check_names(&reader, about, "",
                       "summary evidence base_url hosts auth job submit poll result cancel "
                       "callback models") &&
           read_head(&reader, about, channel) && read_auth(&reader, about, channel) &&
           read_times(&reader, about, channel) && read_powers(&reader, about, channel) &&
           read_models(&reader, about, channel);
}
