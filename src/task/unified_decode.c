/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads `POST /v1/video/create`. Clients of a dozen relays spell one wish in many ways; here each
 * wish is a row of synonyms, each kind of value (text, whole number, flag, image) one reader.
 * Invariants: nothing is trusted, every size is bounded, and a fault's text is ours alone: it
 * never repeats what the client wrote. Readers return false once the fault is filled. Pure. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"
#include "task/plan.h"
#include "task/unified.h"
#include "task/unified_reader.h"

enum {
    SHORT_TEXT_BYTES = 512, /* title, style, aspect ratio, size, … */
    TAGS_MAX = 64,
    EXTRA_BYTES = 65536, /* kept of unknown fields, in all; what does not fit is not kept */
    DURATION_DEFAULT_S = 10,
    PRIORITY_DEFAULT = 2,
    PRIORITY_MAX = 9,
    SYNONYMS_MAX = 8,
    SIDE_READ_MAX = 9999, /* of width and height; plan_make() knows what is possible */
};

static const int64_t seed_max = 9007199254740991; /* 2^53 - 1: whole in every JSON reader */

enum wish {
    WISH_MODEL,
    WISH_PROMPT,
    WISH_ORIENTATION,
    WISH_SIZE,
    WISH_ASPECT_RATIO,
    WISH_HD,
    WISH_WIDTH,
    WISH_HEIGHT,
    WISH_DURATION,
    WISH_SEED,
    WISH_PRIORITY,
    WISH_WATERMARK,
    WISH_PRIVATE,
    WISH_STORYBOARD,
    WISH_ENHANCE_PROMPT,
    WISH_TITLE,
    WISH_STYLE,
    WISH_NEGATIVE_PROMPT,
    WISH_CHARACTER_URL,
    WISH_CHARACTER_TIMESTAMPS,
    WISH_TAGS,
    WISH_WEBHOOK_URL,
    WISH_COUNT
};

/* The first name that carries a value counts. A dot reaches into an object. */
static const char *const synonyms[WISH_COUNT][SYNONYMS_MAX] = {
    [WISH_MODEL] = {"model"},
    [WISH_PROMPT] = {"prompt"},
    [WISH_ORIENTATION] = {"orientation", "metadata.orientation"},
    [WISH_SIZE] = {"size", "resolution", "resolution_name", "metadata.size", "metadata.resolution"},
    [WISH_ASPECT_RATIO] = {"aspect_ratio", "aspectRatio", "ratio", "metadata.aspect_ratio",
                           "metadata.aspectRatio", "metadata.ratio", "video_config.aspect_ratio"},
    [WISH_HD] = {"hd"},
    [WISH_WIDTH] = {"width"},
    [WISH_HEIGHT] = {"height"},
    [WISH_DURATION] = {"duration", "seconds", "video_length", "metadata.duration",
                       "metadata.seconds"},
    [WISH_SEED] = {"seed", "metadata.seed"},
    [WISH_PRIORITY] = {"priority"},
    [WISH_WATERMARK] = {"watermark", "metadata.watermark"},
    [WISH_PRIVATE] = {"private"},
    [WISH_STORYBOARD] = {"storyboard"},
    [WISH_ENHANCE_PROMPT] = {"enhance_prompt"},
    [WISH_TITLE] = {"title"},
    [WISH_STYLE] = {"style"},
    [WISH_NEGATIVE_PROMPT] = {"negative_prompt", "metadata.negative_prompt"},
    [WISH_CHARACTER_URL] = {"character_url"},
    [WISH_CHARACTER_TIMESTAMPS] = {"character_timestamps"},
    [WISH_TAGS] = {"tags"},
    [WISH_WEBHOOK_URL] = {"webhook_url", "callback_url", "notify_hook", "metadata.webhook_url",
                          "metadata.callback_url", "metadata.notify_hook"},
};

const char *unified_field(const char *key)
{
    for (size_t i = 0; i < WISH_COUNT; i++)
        for (size_t j = 0; j < SYNONYMS_MAX && synonyms[i][j] != NULL; j++)
            if (strcmp(key, synonyms[i][j]) == 0)
                return synonyms[i][0];
    return NULL;
}

bool unified_fail(const struct unified_reader *reader, const char *param, const char *format, ...)
{
    struct unified_fault *fault = reader->fault;
    fault->code = "invalid_request";
    (void)snprintf(fault->param, sizeof fault->param, "%s", param);
    va_list values;
    va_start(values, format);
    (void)vsnprintf(fault->message, sizeof fault->message, format, values);
    va_end(values);
    return false;
}

const json_t *unified_parse_kept(const struct unified_reader *reader, const char *text)
{
    char error[JSON_ERROR_SIZE];
    if (*text != '[' && *text != '{')
        return NULL;
    json_t *value = json_parse_within(text, strlen(text), reader->members_left, error);
    if (value != NULL)
        must(json_array_append_new(reader->decoded->parsed, value) == 0);
    return value;
}

bool unified_is_asked(const json_t *value)
{
    return value != NULL && !json_is_null(value) &&
           !(json_is_string(value) && json_string_length(value) == 0);
}

static const json_t *member(const struct unified_reader *reader, const char *name)
{
    const char *dot = strchr(name, '.');
    if (dot == NULL)
        return json_object_get(reader->body, name);
    if (strncmp(name, "metadata.", 9) == 0)
        return json_object_get(reader->metadata, dot + 1);
    return json_object_getn(json_object_getn(reader->body, name, (size_t)(dot - name)), dot + 1,
                            strlen(dot + 1));
}

/* The value of a wish and the name it came by; NULL when not asked. */
static const json_t *find(const struct unified_reader *reader, enum wish wish,
                          const char **ret_name)
{
    for (size_t i = 0; i < SYNONYMS_MAX && synonyms[wish][i] != NULL; i++) {
        const json_t *value = member(reader, synonyms[wish][i]);
        if (unified_is_asked(value)) {
            *ret_name = synonyms[wish][i];
            return value;
        }
    }
    return NULL;
}

/* Texts */

static bool check_text(const struct unified_reader *reader, const char *name, const json_t *value,
                       size_t max_bytes)
{
    if (!json_is_string(value))
        return unified_fail(reader, name, "\"%s\" must be a string", name);
    size_t length = json_string_length(value);
    if (length > max_bytes)
        return unified_fail(reader, name, "\"%s\" must have at most %zu bytes", name, max_bytes);
    if (!codec_is_utf8(json_string_value(value), length))
        return unified_fail(reader, name, "\"%s\" must be UTF-8 without NUL", name);
    return true;
}

static bool read_text(const struct unified_reader *reader, enum wish wish, size_t max_bytes,
                      char **ret_text)
{
    const char *name;
    const json_t *value = find(reader, wish, &name);
    if (value == NULL)
        return true;
    if (!check_text(reader, name, value, max_bytes))
        return false;
    *ret_text = must_strdup(json_string_value(value));
    return true;
}

/* Control characters, white space and the invisible marks of Unicode's general punctuation. */
bool unified_has_blank(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p <= 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] <= 0xA0))
            return true;
        if (*p == 0xE2 && p[1] == 0x80 && (p[2] <= 0x8F || (p[2] >= 0xA8 && p[2] <= 0xAF)))
            return true;
        if ((*p == 0xE2 && p[1] == 0x81 && p[2] >= 0x9F) ||
            (*p == 0xE3 && p[1] == 0x80 && p[2] == 0x80) ||
            (*p == 0xEF && p[1] == 0xBB && p[2] == 0xBF))
            return true;
    }
    return false;
}

static bool read_model(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    const char *usual = reader->limits->defaults.model;
    if (!read_text(reader, WISH_MODEL, TASK_MODEL_SIZE - 1, &request->model))
        return false;
    if (request->model == NULL && usual != NULL)
        request->model = must_strdup(usual);
    if (request->model == NULL)
        return unified_fail(reader, "model", "\"model\" is required");
    if (unified_has_blank(request->model))
        return unified_fail(reader, "model",
                            "\"model\" must not hold spaces or control characters");
    return true;
}

static bool read_prompt(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    if (!read_text(reader, WISH_PROMPT, reader->limits->prompt_bytes, &request->prompt))
        return false;
    if (request->prompt == NULL)
        return unified_fail(reader, "prompt", "\"prompt\" is required and must not be empty");
    if (request->prompt[strspn(request->prompt, " \t\r\n")] == '\0')
        return unified_fail(reader, "prompt", "\"prompt\" must hold more than white space");
    return true;
}

bool unified_is_http(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

static bool read_texts(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    if (!read_text(reader, WISH_TITLE, SHORT_TEXT_BYTES, &request->title) ||
        !read_text(reader, WISH_STYLE, SHORT_TEXT_BYTES, &request->style) ||
        !read_text(reader, WISH_NEGATIVE_PROMPT, reader->limits->prompt_bytes,
                   &request->negative_prompt) ||
        !read_text(reader, WISH_CHARACTER_URL, UNIFIED_URL_BYTES, &request->character_url) ||
        !read_text(reader, WISH_CHARACTER_TIMESTAMPS, SHORT_TEXT_BYTES,
                   &request->character_timestamps) ||
        !read_text(reader, WISH_WEBHOOK_URL, UNIFIED_URL_BYTES, &request->webhook_url))
        return false;
    if (request->webhook_url != NULL && !unified_is_http(request->webhook_url))
        return unified_fail(reader, "webhook_url", "\"webhook_url\" must be an http or https URL");
    if (request->character_url != NULL && !unified_is_http(request->character_url))
        return unified_fail(reader, "character_url",
                            "\"character_url\" must be an http or https URL");
    return true;
}

/* Whole numbers and flags */

/* "10", "-1", "10.0", and with `unit` "10s"; blanks around it are tolerated. */
static bool parse_whole(const char *text, bool has_unit, int64_t *ret_number)
{
    text += strspn(text, " \t");
    bool is_negative = *text == '-';
    text += is_negative;
    size_t n_digits = strspn(text, "0123456789");
    if (n_digits == 0 || n_digits > 16)
        return false;
    int64_t number = 0;
    for (size_t i = 0; i < n_digits; i++)
        number = number * 10 + (text[i] - '0');
    text += n_digits;
    if (*text == '.')
        text += 1 + strspn(text + 1, "0");
    if (has_unit && (*text == 's' || *text == 'S'))
        text++;
    if (text[strspn(text, " \t")] != '\0')
        return false;
    *ret_number = is_negative ? -number : number;
    return true;
}

static bool whole_of(const json_t *value, bool has_unit, int64_t *ret_number)
{
    if (json_is_string(value))
        return parse_whole(json_string_value(value), has_unit, ret_number);
    if (json_is_integer(value)) {
        *ret_number = json_integer_value(value);
        return true;
    }
    double number = json_number_value(value);
    if (!json_is_real(value) || !(fabs(number) <= (double)seed_max) ||
        (double)(int64_t)number < number || (double)(int64_t)number > number)
        return false;
    *ret_number = (int64_t)number;
    return true;
}

static bool read_whole(const struct unified_reader *reader, enum wish wish, int64_t min,
                       int64_t max, int64_t *number)
{
    const char *name;
    const json_t *value = find(reader, wish, &name);
    if (value == NULL)
        return true;
    int64_t found;
    if (!whole_of(value, wish == WISH_DURATION, &found) || found < min || found > max)
        return unified_fail(reader, name, "\"%s\" must be a whole number from %lld to %lld", name,
                            (long long)min, (long long)max);
    *number = found;
    return true;
}

static bool flag_of(const json_t *value, bool *ret_flag)
{
    static const struct {
        const char *text;
        bool flag;
    } words[] = {{"true", true}, {"1", true}, {"false", false}, {"0", false}};
    int64_t number;
    if (json_is_boolean(value)) {
        *ret_flag = json_is_true(value);
        return true;
    }
    for (size_t i = 0; json_is_string(value) && i < ARRAY_LENGTH(words); i++)
        if (strcasecmp(json_string_value(value), words[i].text) == 0) {
            *ret_flag = words[i].flag;
            return true;
        }
    if (json_is_string(value) || !whole_of(value, false, &number) || number < 0 || number > 1)
        return false;
    *ret_flag = number == 1;
    return true;
}

/* `ret_has` may be NULL. */
static bool read_flag(const struct unified_reader *reader, enum wish wish, bool *ret_has,
                      bool *flag)
{
    const char *name;
    const json_t *value = find(reader, wish, &name);
    if (value == NULL)
        return true;
    if (!flag_of(value, flag))
        return unified_fail(reader, name, "\"%s\" must be true or false", name);
    if (ret_has != NULL)
        *ret_has = true;
    return true;
}

static bool read_numbers(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    int64_t longest_s = reader->limits->duration_s;
    int64_t usual_s = reader->limits->defaults.duration_s;
    int64_t duration_s = usual_s > 0 ? usual_s : DURATION_DEFAULT_S;
    if (duration_s > longest_s)
        duration_s = longest_s;
    int64_t priority = PRIORITY_DEFAULT, seed = -1;
    if (!read_whole(reader, WISH_DURATION, 1, longest_s, &duration_s) ||
        !read_whole(reader, WISH_PRIORITY, 0, PRIORITY_MAX, &priority) ||
        !read_whole(reader, WISH_SEED, -1, seed_max, &seed))
        return false;
    request->duration_s = (int)duration_s;
    request->n_frames = request->duration_s * TASK_FPS;
    request->priority = (int)priority;
    request->has_seed = seed >= 0;
    request->seed = request->has_seed ? seed : 0;
    return true;
}

/* A storyboard may also be its list of shots; that list then stays in `extra`. */
static bool is_shot_list(const json_t *value)
{
    return json_is_array(value) && json_array_size(value) > 0;
}

static bool read_flags(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    if (is_shot_list(json_object_get(reader->body, "storyboard")))
        request->storyboard = true;
    else if (!read_flag(reader, WISH_STORYBOARD, NULL, &request->storyboard))
        return false;
    return read_flag(reader, WISH_WATERMARK, &request->has_watermark_wish, &request->watermark) &&
           read_flag(reader, WISH_PRIVATE, NULL, &request->private_result) &&
           read_flag(reader, WISH_ENHANCE_PROMPT, NULL, &request->enhance_prompt);
}

static bool read_tags(const struct unified_reader *reader)
{
    const char *name;
    const json_t *value = find(reader, WISH_TAGS, &name);
    if (value == NULL)
        return true;
    if (json_is_string(value)) {
        if (!check_text(reader, name, value, SHORT_TEXT_BYTES))
            return false;
        reader->decoded->request->tags = json_pack("[s]", json_string_value(value));
        return true;
    }
    if (!json_is_array(value) || json_array_size(value) > TAGS_MAX)
        return unified_fail(reader, name, "\"tags\" must be a list of at most %d strings",
                            TAGS_MAX);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!check_text(reader, name, json_array_get(value, i), SHORT_TEXT_BYTES))
            return false;
    reader->decoded->request->tags = json_deep_copy(value);
    return true;
}

/* Shape */

/* Words that leave the ratio to us. */
static bool is_open_ratio(const char *ratio)
{
    static const char *const words[] = {"auto", "adaptive", "default", "original"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strcasecmp(ratio, words[i]) == 0)
            return true;
    return false;
}

/* 16x9 is 16:9. What is no ratio at all is a fault here, a ratio out of bounds in check_shape(). */
static bool read_ratio(const struct unified_reader *reader, char **ret_ratio)
{
    CLEANUP(free_pointer) char *ratio = NULL;
    const char *name = synonyms[WISH_ASPECT_RATIO][0];
    if (!read_text(reader, WISH_ASPECT_RATIO, SHORT_TEXT_BYTES, &ratio))
        return false;
    if (ratio == NULL || is_open_ratio(ratio))
        return true;
    size_t n_digits = strspn(ratio, "0123456789");
    if (n_digits == 0) {
        (void)find(reader, WISH_ASPECT_RATIO, &name);
        return unified_fail(reader, name,
                            "\"%s\" must be W:H, for example 16:9, or one of auto, adaptive, "
                            "default, original",
                            name);
    }
    if (ratio[n_digits] == 'x' || ratio[n_digits] == 'X')
        ratio[n_digits] = ':';
    *ret_ratio = TAKE(ratio);
    return true;
}

/* Each word alone first, so that a fault names the field it came by. */
static bool check_shape(const struct unified_reader *reader)
{
    const struct task_request *request = reader->decoded->request;
    struct plan plan;
    char error[200];
    enum wish wrong = WISH_COUNT;
    if (!plan_make(request->size, NULL, NULL, &plan, error))
        wrong = WISH_SIZE;
    else if (!plan_make(NULL, request->orientation, NULL, &plan, error))
        wrong = WISH_ORIENTATION;
    else if (!plan_make(NULL, NULL, request->aspect_ratio, &plan, error))
        wrong = WISH_ASPECT_RATIO;
    if (wrong == WISH_COUNT)
        return true;
    const char *name = synonyms[wrong][0];
    (void)find(reader, wrong, &name);
    return unified_fail(reader, name, "%s", error);
}

/* What says nothing of `size` may say it otherwise: `width` and `height` (0: not said), `hd`, or nothing at all. */
static bool read_size_otherwise(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    int64_t width = 0, height = 0;
    bool is_hd = false;
    char pixels[32];
    if (request->size != NULL)
        return true;
    if (!read_whole(reader, WISH_WIDTH, 0, SIDE_READ_MAX, &width) ||
        !read_whole(reader, WISH_HEIGHT, 0, SIDE_READ_MAX, &height) ||
        !read_flag(reader, WISH_HD, NULL, &is_hd))
        return false;
    const char *usual = reader->limits->defaults.size;
    (void)snprintf(pixels, sizeof pixels, "%dx%d", (int)width, (int)height);
    if (width > 0 && height > 0)
        request->size = must_strdup(pixels);
    else if (is_hd)
        request->size = must_strdup("large");
    else if (usual != NULL && request->orientation == NULL && request->aspect_ratio == NULL)
        request->size = must_strdup(usual);
    return true;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static bool read_shape(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    if (!read_text(reader, WISH_SIZE, SHORT_TEXT_BYTES, &request->size) ||
        !read_text(reader, WISH_ORIENTATION, SHORT_TEXT_BYTES, &request->orientation) ||
        !read_ratio(reader, &request->aspect_ratio) || !read_size_otherwise(reader) ||
        !check_shape(reader))
        return false;
    struct plan plan;
    char error[200];
    if (!plan_make(request->size, request->orientation, request->aspect_ratio, &plan, error))
        return unified_fail(reader, "size", "%s", error);
    request->width = plan.width;
    request->height = plan.height;
    if (request->size == NULL)
        request->size = must_strdup("small");
    if (request->orientation == NULL)
        request->orientation = must_strdup(plan.orientation);
    lower(request->orientation);
    return true;
}

/* What we do not know */

static bool is_known(const char *key)
{
    return unified_field(key) != NULL || strcmp(key, "metadata") == 0 ||
           unified_is_image_field(key);
}

/* Who is told of the end is between the client and us: no upstream hears of it. */
static bool is_hook_field(const char *key)
{
    return strcmp(key, "webhook_url") == 0 || strcmp(key, "callback_url") == 0 ||
           strcmp(key, "notify_hook") == 0;
}

/* Through text and back: a copy of our own, and no string in it that a record could not hold. */
static void keep(const struct unified_reader *reader, const char *key, const json_t *value,
                 size_t *left)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    size_t cost = strlen(key) + json_dumpb(value, NULL, 0, flags);
    if (cost > *left)
        return;
    CLEANUP(free_pointer) char *text = json_dumps(value, flags);
    json_t *copy = text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);
    if (copy == NULL)
        return;
    *left -= cost;
    struct task_request *request = reader->decoded->request;
    if (request->extra == NULL)
        request->extra = json_object();
    json_set(request->extra, key, copy);
}

/* `metadata` as it came but for images and hooks; when it came as text, as what it says. */
static void keep_metadata(const struct unified_reader *reader, size_t *left)
{
    const json_t *raw = json_object_get(reader->body, "metadata");
    if (reader->metadata == NULL && unified_is_asked(raw))
        keep(reader, "metadata", raw, left);
    if (reader->metadata == NULL)
        return;
    CLEANUP(json_unref_pointer) json_t *kept = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)reader->metadata, key, value)
    {
        if (!unified_is_image_field(key) && !is_hook_field(key))
            json_set(kept, key, json_incref(value));
    }
    if (json_object_size(kept) > 0)
        keep(reader, "metadata", kept, left);
}

static bool read_extra(const struct unified_reader *reader)
{
    size_t left = EXTRA_BYTES;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)reader->body, key, value)
    {
        bool is_part = json_object_get(value, "$part") != NULL;
        if (is_part && reader->n_parts == 0)
            return unified_fail(reader, "$part", "\"$part\" is not a field of a request");
        bool is_list = strcmp(key, "storyboard") == 0 && is_shot_list(value);
        if (!is_part && (is_list || !is_known(key)))
            keep(reader, key, value, &left);
    }
    keep_metadata(reader, &left);
    return true;
}

/* Form fields carry `metadata` as text. */
static void find_metadata(struct unified_reader *reader)
{
    const json_t *metadata = json_object_get(reader->body, "metadata");
    if (json_is_string(metadata))
        metadata = unified_parse_kept(reader, json_string_value(metadata));
    reader->metadata = json_is_object(metadata) ? metadata : NULL;
}

static bool read_all(struct unified_reader *reader)
{
    if (!json_is_object(reader->body))
        return unified_fail(reader, "", "the body must be a JSON object");
    find_metadata(reader);
    return read_model(reader) && read_prompt(reader) && read_texts(reader) &&
           read_numbers(reader) && read_flags(reader) && read_tags(reader) && read_shape(reader) &&
           unified_read_images(reader) && read_extra(reader);
}

int unified_decode(const json_t *body, size_t n_parts, const struct unified_limits *limits,
                   struct unified_decoded *ret_decoded, struct unified_fault *ret_fault)
{
    struct unified_decoded decoded = {.request = task_request_new(), .parsed = json_array()};
    long members_left = JSON_MEMBERS_LIMIT;
    struct unified_reader reader = {
        .body = body,
        .members_left = &members_left,
        .n_parts = n_parts,
        .limits = limits,
        .decoded = &decoded,
        .fault = ret_fault,
    };
    decoded.request->operation = must_strdup("simple_compose");
    decoded.request->n_variants = 1;
    if (!read_all(&reader)) {
        unified_decoded_fini(&decoded);
        return 1;
    }
    *ret_decoded = decoded;
    return 0;
}

void unified_decoded_fini(struct unified_decoded *decoded)
{
    decoded->request = task_request_unref(decoded->request);
    free(decoded->images);
    json_decref(decoded->parsed);
    *decoded = (struct unified_decoded){0};
}
