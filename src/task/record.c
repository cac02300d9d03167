/* SPDX-License-Identifier: Apache-2.0
 *
 * A task as two JSON documents and back: the request, written once, and the status, written with
 * every change. Fields stand in tables, so that writing and reading cannot drift apart. What is
 * read is trusted in nothing: types, bounds and the promises of the state are checked, and
 * anything else is damage (NULL), never a crash. Pure: any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"
#include "task/record_field.h"
#include "task/step.h"
#include "task/task.h"

/* Grows when a document cannot be read by older code any more; new fields alone do not need it. */
enum { RECORD_VERSION = 1 };

/* 17 digits: what is read back is the very number that was written. */
static const size_t record_flags = JSON_COMPACT | JSON_REAL_PRECISION(17);

static const struct record_field request_texts[] = {
    RECORD_FIELD(struct task_request, tenant, true),
    RECORD_FIELD(struct task_request, model, true),
    RECORD_FIELD(struct task_request, request_id, false),
    RECORD_FIELD(struct task_request, prompt, true),
    RECORD_FIELD(struct task_request, orientation, true),
    RECORD_FIELD(struct task_request, size, true),
    RECORD_FIELD(struct task_request, aspect_ratio, false),
    RECORD_FIELD(struct task_request, title, false),
    RECORD_FIELD(struct task_request, style, false),
    RECORD_FIELD(struct task_request, negative_prompt, false),
    RECORD_FIELD(struct task_request, character_url, false),
    RECORD_FIELD(struct task_request, character_timestamps, false),
    RECORD_FIELD(struct task_request, operation, true),
    RECORD_FIELD(struct task_request, webhook_url, false),
    RECORD_FIELD(struct task_request, base_url, false),
};

static const struct record_field request_ints[] = {
    RECORD_FIELD(struct task_request, duration_s, true),
    RECORD_FIELD(struct task_request, width, true),
    RECORD_FIELD(struct task_request, height, true),
    RECORD_FIELD(struct task_request, n_frames, true),
    RECORD_FIELD(struct task_request, priority, true),
    RECORD_FIELD(struct task_request, n_variants, true),
};

static const struct record_field request_int64s[] = {
    RECORD_FIELD(struct task_request, created_micros, true),
    RECORD_FIELD(struct task_request, seed, false),
};

static const struct record_field request_flags[] = {
    RECORD_FIELD(struct task_request, has_seed, false),
    RECORD_FIELD(struct task_request, has_watermark_wish, false),
    RECORD_FIELD(struct task_request, watermark, false),
    RECORD_FIELD(struct task_request, private_result, false),
    RECORD_FIELD(struct task_request, storyboard, false),
    RECORD_FIELD(struct task_request, enhance_prompt, false),
};

static const struct record_field status_int64s[] = {
    RECORD_FIELD(struct task, revision, true),
    RECORD_FIELD(struct task, status_update_ms, true),
    RECORD_FIELD(struct task, deadline_ms, true),
    RECORD_FIELD(struct task, started_ms, false),
    RECORD_FIELD(struct task, not_before_ms, false),
    RECORD_FIELD(struct task, ended_ms, false),
    RECORD_FIELD(struct task, expired_ms, false),
    RECORD_FIELD(struct task, deleted_ms, false),
};

static const struct record_field status_ints[] = {
    RECORD_FIELD(struct task, attempts, true),
    {"n_deferred", offsetof(struct task, n_put_off), false}, /* as every store has it */
};

/* With the job's texts, all of struct attempt_record but its state. Only the number is there when no attempt is. */
static const struct record_field attempt_ints[] = {
    RECORD_FIELD(struct attempt_record, number, true)};
static const struct record_field attempt_int64s[] = {
    RECORD_FIELD(struct attempt_record, begun_ms, false),
    RECORD_FIELD(struct attempt_record, accepted_ms, false),
    RECORD_FIELD(struct attempt_record, closed_ms, false),
};

static const struct record_field job_texts[] = {
    RECORD_FIELD(struct attempt_job, id, false),
    RECORD_FIELD(struct attempt_job, keep, false),
    RECORD_FIELD(struct attempt_job, outputs, false),
    RECORD_FIELD(struct attempt_job, enhanced_prompt, false),
    RECORD_FIELD(struct attempt_job, usage, false),
};

static const struct record_field result_ints[] = {
    RECORD_FIELD(struct task_result, width, true),
    RECORD_FIELD(struct task_result, height, true),
    RECORD_FIELD(struct task_result, n_frames, true),
};

static const struct record_field result_int64s[] = {
    RECORD_FIELD(struct task_result, duration_ms, true),
    RECORD_FIELD(struct task_result, stored_micros, true),
};

static const char *const role_names[] = {
    [TASK_IMAGE_INPUT] = "input",
    [TASK_IMAGE_FIRST] = "first",
    [TASK_IMAGE_LAST] = "last",
    [TASK_IMAGE_REFERENCE] = "reference",
};

/* ---- writing ---- */

static json_t *encode_images(const struct task_request *request)
{
    json_t *images = json_array();
    for (size_t i = 0; i < request->n_images; i++) {
        const struct task_image *image = &request->images[i];
        json_t *item = json_object();
        json_set_text(item, "role", role_names[image->role]);
        json_set_text(item, "media_id", image->media_id);
        if (image->url != NULL)
            json_set_text(item, "url", image->url);
        if (image->key != NULL)
            json_set_text(item, "key", image->key);
        if (image->sha256 != NULL)
            json_set_text(item, "sha256", image->sha256);
        json_add(images, item);
    }
    return images;
}

static char *dump(const json_t *document)
{
    char *text = json_dumps(document, record_flags);
    must(text != NULL);
    return text;
}

char *task_encode_request(const struct task_request *request)
{
    CLEANUP(json_unref_pointer) json_t *document = json_object();
    json_set(document, "v", json_integer(RECORD_VERSION));
    json_set_text(document, "id", request->id);
    record_put_texts(document, request, request_texts, ARRAY_LENGTH(request_texts));
    record_put_ints(document, request, request_ints, ARRAY_LENGTH(request_ints));
    record_put_int64s(document, request, request_int64s, ARRAY_LENGTH(request_int64s));
    record_put_flags(document, request, request_flags, ARRAY_LENGTH(request_flags));
    if (request->remix_config != NULL)
        json_set(document, "remix_config", json_incref(request->remix_config));
    if (request->tags != NULL)
        json_set(document, "tags", json_incref(request->tags));
    if (request->extra != NULL)
        json_set(document, "extra", json_incref(request->extra));
    json_set(document, "images", encode_images(request));
    return dump(document);
}

static json_t *encode_result(const struct task_result *result)
{
    json_t *document = json_object();
    json_set_text(document, "generation_id", result->generation_id);
    record_put_ints(document, result, result_ints, ARRAY_LENGTH(result_ints));
    record_put_int64s(document, result, result_int64s, ARRAY_LENGTH(result_int64s));
    json_set(document, "has_watermark", json_boolean(result->has_watermark));
    return document;
}

static json_t *encode_attempt(const struct attempt_record *attempt)
{
    json_t *document = json_object();
    record_put_ints(document, attempt, attempt_ints, ARRAY_LENGTH(attempt_ints));
    if (attempt->id[0] == '\0')
        return document;
    json_set_text(document, "id", attempt->id);
    json_set_text(document, "state", attempt_state_name(attempt->state));
    json_set_text(document, "channel", shared_text_of(attempt->channel));
    json_set_text(document, "credential", shared_text_of(attempt->credential));
    record_put_int64s(document, attempt, attempt_int64s, ARRAY_LENGTH(attempt_int64s));
    if (attempt->job != NULL) {
        json_t *job = json_object();
        record_put_texts(job, attempt->job, job_texts, ARRAY_LENGTH(job_texts));
        json_set(document, "job", job);
    }
    return document;
}

static json_t *encode_refusals(const struct task *task)
{
    json_t *marks = json_array();
    for (int i = 0; i < task->n_refused; i++)
        json_add(marks, json_integer(task->refused_by[i]));
    return marks;
}

/* What is about upstreams stands only where there was one. */
static void put_upstream(json_t *document, const struct task *task)
{
    if (task->attempt.number > 0)
        json_set(document, "attempt", encode_attempt(&task->attempt));
    if (task->n_refused > 0)
        json_set(document, "refused_by", encode_refusals(task));
    if (task->may_have_cost)
        json_set(document, "may_have_cost", json_true());
}

char *task_encode_status(const struct task *task)
{
    CLEANUP(json_unref_pointer) json_t *document = json_object();
    json_set(document, "v", json_integer(RECORD_VERSION));
    json_set_text(document, "state", task_state_name(task->state));
    record_put_int64s(document, task, status_int64s, ARRAY_LENGTH(status_int64s));
    json_set(document, "progress", json_real(task->progress));
    record_put_ints(document, task, status_ints, ARRAY_LENGTH(status_ints));
    put_upstream(document, task);
    json_set_text(document, "channel", shared_text_of(task->channel));
    /* The key is older than channels whose programs work here as well, and stands in every store. */
    json_set(document, "is_builtin", json_boolean(task->is_local));
    if (task->is_command)
        json_set(document, "is_command", json_true());
    if (task->failure != TASK_FAILURE_NONE)
        json_set_text(document, "failure", task_failure_code(task->failure));
    if (task->failure_note != NULL)
        json_set_text(document, "failure_note", shared_text_of(task->failure_note));
    if (task->state == TASK_COMPLETED)
        json_set(document, "result", encode_result(&task->result));
    return dump(document);
}

/* ---- reading ---- */

static bool has_version(const json_t *document)
{
    long long version = json_int(document, "v", 0);
    return version >= 1 && version <= RECORD_VERSION;
}

static bool parse_role(const char *name, enum task_image_role *ret_role)
{
    for (size_t i = 0; name != NULL && i < ARRAY_LENGTH(role_names); i++)
        if (strcmp(name, role_names[i]) == 0) {
            *ret_role = (enum task_image_role)i;
            return true;
        }
    return false;
}

static bool decode_image(const json_t *item, struct task_image *image)
{
    static const struct record_field texts[] = {
        RECORD_FIELD(struct task_image, url, false),
        RECORD_FIELD(struct task_image, key, false),
        RECORD_FIELD(struct task_image, sha256, false),
    };
    return json_is_object(item) && parse_role(json_text(item, "role"), &image->role) &&
           record_get_texts(item, image, texts, ARRAY_LENGTH(texts)) &&
           record_get_fixed(item, "media_id", image->media_id, sizeof image->media_id) &&
           id_is_typeid(image->media_id, "media") && (image->url == NULL) != (image->key == NULL);
}

static bool decode_images(const json_t *document, struct task_request *request)
{
    const json_t *images = json_object_get(document, "images");
    size_t n = json_array_size(images);
    if (!json_is_array(images) || n > TASK_IMAGES_MAX)
        return false;
    request->images = n == 0 ? NULL : must_calloc(n, sizeof *request->images);
    request->n_images = n;
    for (size_t i = 0; i < n; i++)
        if (!decode_image(json_array_get(images, i), &request->images[i]))
            return false;
    return true;
}

static bool is_request_sound(const struct task_request *request)
{
    size_t model_length = strlen(request->model), tenant_length = strlen(request->tenant);
    return id_is_typeid(request->id, "task") && model_length > 0 &&
           model_length < TASK_MODEL_SIZE && tenant_length < TASK_TENANT_SIZE &&
           request->created_micros >= 0 && request->duration_s >= 1 && request->width >= 1 &&
           request->height >= 1 && request->n_frames >= 1 && request->n_variants >= 1 &&
           request->priority >= 0 && request->priority <= 9;
}

static bool decode_request(const json_t *document, struct task_request *request)
{
    if (!has_version(document) || !record_get_json(document, "extra", JSON_OBJECT, &request->extra))
        return false;
    if (json_object_size(request->extra) == 0)
        json_decref(TAKE(request->extra));
    return record_get_fixed(document, "id", request->id, sizeof request->id) &&
           record_get_texts(document, request, request_texts, ARRAY_LENGTH(request_texts)) &&
           record_get_ints(document, request, request_ints, ARRAY_LENGTH(request_ints)) &&
           record_get_int64s(document, request, request_int64s, ARRAY_LENGTH(request_int64s)) &&
           record_get_flags(document, request, request_flags, ARRAY_LENGTH(request_flags)) &&
           record_get_json(document, "remix_config", JSON_OBJECT, &request->remix_config) &&
           record_get_json(document, "tags", JSON_ARRAY, &request->tags) &&
           decode_images(document, request) && is_request_sound(request);
}

static bool decode_result(const json_t *document, struct task_result *result)
{
    if (document == NULL)
        return true;
    return json_is_object(document) &&
           record_get_fixed(document, "generation_id", result->generation_id,
                            sizeof result->generation_id) &&
           record_get_ints(document, result, result_ints, ARRAY_LENGTH(result_ints)) &&
           record_get_int64s(document, result, result_int64s, ARRAY_LENGTH(result_int64s)) &&
           record_get_flag(document, "has_watermark", &result->has_watermark);
}

/* The job's texts are as long as they are: what is paid for is not given up for a long text. */
static bool decode_job(const json_t *document, struct attempt_record *attempt)
{
    if (document == NULL)
        return true;
    if (!json_is_object(document))
        return false;
    const char *texts[ARRAY_LENGTH(job_texts)]; /* in the order of attempt_job_new() */
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        const json_t *text = json_object_get(document, job_texts[i].key);
        if (text != NULL && !json_is_string(text))
            return false;
        texts[i] = json_string_value(text);
    }
    attempt->job = attempt_job_new(texts[0], texts[1], texts[2], texts[3], texts[4]);
    return true;
}

static bool decode_attempt(const json_t *document, struct attempt_record *attempt)
{
    if (document == NULL)
        return true;
    if (!json_is_object(document) ||
        !record_get_ints(document, attempt, attempt_ints, ARRAY_LENGTH(attempt_ints)))
        return false;
    const char *state = json_text(document, "state");
    if (json_object_get(document, "id") == NULL)
        return true;
    return state != NULL && attempt_state_parse(state, &attempt->state) &&
           record_get_fixed(document, "id", attempt->id, sizeof attempt->id) &&
           record_get_shared(document, "channel", ATTEMPT_NAME_SIZE, &attempt->channel) &&
           record_get_shared(document, "credential", ATTEMPT_NAME_SIZE, &attempt->credential) &&
           record_get_int64s(document, attempt, attempt_int64s, ARRAY_LENGTH(attempt_int64s)) &&
           decode_job(json_object_get(document, "job"), attempt);
}

static bool decode_refusals(const json_t *marks, struct task *task)
{
    if (marks == NULL)
        return true;
    const size_t n = json_array_size(marks);
    if (!json_is_array(marks) || n > TASK_REFUSALS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *mark = json_array_get(marks, i);
        if (!json_is_integer(mark) || json_integer_value(mark) < 0 ||
            json_integer_value(mark) > UINT32_MAX)
            return false;
        task->refused_by[i] = (uint32_t)json_integer_value(mark);
    }
    task->n_refused = (int)n;
    return true;
}

static bool decode_words(const json_t *document, struct task *task)
{
    const char *state = json_text(document, "state"), *failure = json_text(document, "failure");
    return state != NULL && task_state_parse(state, &task->state) &&
           (failure == NULL || task_failure_parse(failure, &task->failure));
}

static bool decode_status(const json_t *document, struct task *task)
{
    const json_t *progress = json_object_get(document, "progress");
    if (!has_version(document) || !json_is_number(progress))
        return false;
    task->progress = json_number_value(progress);
    return decode_words(document, task) &&
           record_get_int64s(document, task, status_int64s, ARRAY_LENGTH(status_int64s)) &&
           record_get_ints(document, task, status_ints, ARRAY_LENGTH(status_ints)) &&
           decode_attempt(json_object_get(document, "attempt"), &task->attempt) &&
           decode_refusals(json_object_get(document, "refused_by"), task) &&
           record_get_flag(document, "may_have_cost", &task->may_have_cost) &&
           record_get_shared(document, "channel", ATTEMPT_NAME_SIZE, &task->channel) &&
           record_get_flag(document, "is_builtin", &task->is_local) &&
           record_get_flag(document, "is_command", &task->is_command) &&
           record_get_shared(document, "failure_note", TASK_NOTE_SIZE, &task->failure_note) &&
           decode_result(json_object_get(document, "result"), &task->result);
}

struct task *task_decode(const char *request_json, const char *status_json)
{
    /* Not json_parse(): what passed its limits once may lie one level deeper in here. */
    CLEANUP(json_unref_pointer) json_t *request_document = json_loads(request_json, 0, NULL);
    CLEANUP(json_unref_pointer) json_t *status_document = json_loads(status_json, 0, NULL);
    if (!json_is_object(request_document) || !json_is_object(status_document))
        return NULL;
    struct task_request *request = task_request_new();
    struct task *task = task_new(request, 0);
    if (!decode_request(request_document, request) || !decode_status(status_document, task) ||
        !task_is_sound(task)) {
        task_unref(task);
        return NULL;
    }
    task_request_pack(request);
    return task;
}
