/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads `POST /v1/video/create`. Clients of a dozen relays spell one wish in many ways; here each
 * wish is a row of synonyms, each kind of value (text, whole number, flag, image) one reader.
 * Invariants: nothing is trusted, every size is bounded, and a fault's text is ours alone: it
 * never repeats what the client wrote. Readers return false once the fault is filled. Pure. */
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
    SIDE_READ_MAX = 9999, /* of width and height; plan_make() knows what is possible */
};

static bool read_model(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    const char *usual = reader->limits->defaults.model;
    if (!unified_read_text(reader, WISH_MODEL, TASK_MODEL_SIZE - 1, &request->model))
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
    if (!unified_read_text(reader, WISH_PROMPT, reader->limits->prompt_bytes, &request->prompt))
        return false;
    if (request->prompt == NULL)
        return unified_fail(reader, "prompt", "\"prompt\" is required and must not be empty");
    if (request->prompt[strspn(request->prompt, " \t\r\n")] == '\0')
        return unified_fail(reader, "prompt", "\"prompt\" must hold more than white space");
    return true;
}

static bool read_texts(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    if (!unified_read_text(reader, WISH_TITLE, SHORT_TEXT_BYTES, &request->title) ||
        !unified_read_text(reader, WISH_STYLE, SHORT_TEXT_BYTES, &request->style) ||
        !unified_read_text(reader, WISH_NEGATIVE_PROMPT, reader->limits->prompt_bytes,
                           &request->negative_prompt) ||
        !unified_read_text(reader, WISH_CHARACTER_URL, UNIFIED_URL_BYTES,
                           &request->character_url) ||
        !unified_read_text(reader, WISH_CHARACTER_TIMESTAMPS, SHORT_TEXT_BYTES,
                           &request->character_timestamps) ||
        !unified_read_text(reader, WISH_WEBHOOK_URL, UNIFIED_URL_BYTES, &request->webhook_url))
        return false;
    if (request->webhook_url != NULL && !unified_is_http(request->webhook_url))
        return unified_fail(reader, "webhook_url", "\"webhook_url\" must be an http or https URL");
    if (request->character_url != NULL && !unified_is_http(request->character_url))
        return unified_fail(reader, "character_url",
                            "\"character_url\" must be an http or https URL");
    return true;
}

/* Whole numbers and flags */

static bool read_numbers(const struct unified_reader *reader)
{
    struct task_request *request = reader->decoded->request;
    int64_t longest_s = reader->limits->duration_s;
    int64_t usual_s = reader->limits->defaults.duration_s;
    int64_t duration_s = usual_s > 0 ? usual_s : DURATION_DEFAULT_S;
    if (duration_s > longest_s)
        duration_s = longest_s;
    int64_t priority = PRIORITY_DEFAULT, seed = -1;
    if (!unified_read_whole(reader, WISH_DURATION, 1, longest_s, &duration_s) ||
        !unified_read_whole(reader, WISH_PRIORITY, 0, PRIORITY_MAX, &priority) ||
        !unified_read_whole(reader, WISH_SEED, -1, UNIFIED_WHOLE_MAX, &seed))
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
    else if (!unified_read_flag(reader, WISH_STORYBOARD, NULL, &request->storyboard))
        return false;
    return unified_read_flag(reader, WISH_WATERMARK, &request->has_watermark_wish,
                             &request->watermark) &&
           unified_read_flag(reader, WISH_PRIVATE, NULL, &request->private_result) &&
           unified_read_flag(reader, WISH_ENHANCE_PROMPT, NULL, &request->enhance_prompt);
}

static bool read_tags(const struct unified_reader *reader)
{
    const char *name;
    const json_t *value = unified_find(reader, WISH_TAGS, &name);
    if (value == NULL)
        return true;
    if (json_is_string(value)) {
        if (!unified_check_text(reader, name, value, SHORT_TEXT_BYTES))
            return false;
        reader->decoded->request->tags = json_pack("[s]", json_string_value(value));
        return true;
    }
    if (!json_is_array(value) || json_array_size(value) > TAGS_MAX)
        return unified_fail(reader, name, "\"tags\" must be a list of at most %d strings",
                            TAGS_MAX);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!unified_check_text(reader, name, json_array_get(value, i), SHORT_TEXT_BYTES))
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
    const char *name;
    if (!unified_read_text(reader, WISH_ASPECT_RATIO, SHORT_TEXT_BYTES, &ratio))
        return false;
    if (ratio == NULL || is_open_ratio(ratio))
        return true;
    size_t n_digits = strspn(ratio, "0123456789");
    if (n_digits == 0) {
        (void)unified_find(reader, WISH_ASPECT_RATIO, &name);
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
    const char *name;
    (void)unified_find(reader, wrong, &name);
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
    if (!unified_read_whole(reader, WISH_WIDTH, 0, SIDE_READ_MAX, &width) ||
        !unified_read_whole(reader, WISH_HEIGHT, 0, SIDE_READ_MAX, &height) ||
        !unified_read_flag(reader, WISH_HD, NULL, &is_hd))
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
    if (!unified_read_text(reader, WISH_SIZE, SHORT_TEXT_BYTES, &request->size) ||
        !unified_read_text(reader, WISH_ORIENTATION, SHORT_TEXT_BYTES, &request->orientation) ||
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
