/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a task's record in memory: making, copying, counting references, and its ids and
 * digest. Invariant: what has been published never changes but for its count. Any thread. */
#include "task/task.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/must.h"
#include "base/pack.h"
#include "base/reference.h"

enum { ID_TEXT_MAX = 255, FIRST_REVISION = 1 };

struct task_request *task_request_new(void)
{
    struct task_request *request = must_calloc(1, sizeof *request);
    atomic_init(&request->references, 1);
    return request;
}

static const size_t request_texts[] = {
    offsetof(struct task_request, tenant),
    offsetof(struct task_request, model),
    offsetof(struct task_request, request_id),
    offsetof(struct task_request, prompt),
    offsetof(struct task_request, orientation),
    offsetof(struct task_request, size),
    offsetof(struct task_request, aspect_ratio),
    offsetof(struct task_request, title),
    offsetof(struct task_request, style),
    offsetof(struct task_request, negative_prompt),
    offsetof(struct task_request, character_url),
    offsetof(struct task_request, character_timestamps),
    offsetof(struct task_request, operation),
    offsetof(struct task_request, webhook_url),
    offsetof(struct task_request, base_url),
};

static char **text_at(const struct task_request *request, size_t i)
{
    return (char **)((uintptr_t)request + request_texts[i]);
}

static size_t all_text_bytes(const struct task_request *request)
{
    size_t bytes = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(request_texts); i++)
        bytes += pack_bytes(*text_at(request, i));
    return bytes;
}

void task_request_pack(struct task_request *request)
{
    must(request->packed == NULL);
    char *end = request->packed = must_calloc(1, all_text_bytes(request) + 1);
    for (size_t i = 0; i < ARRAY_LENGTH(request_texts); i++) {
        char **text = text_at(request, i);
        char *moved = pack_text(&end, *text);
        free(*text);
        *text = moved;
    }
}

struct task_request *task_request_ref(const struct task_request *request)
{
    /* The count is the one thing that changes in a published request. */
    struct task_request *counted = (struct task_request *)(uintptr_t)request;
    reference_take(&counted->references);
    return counted;
}

static void request_free(struct task_request *request)
{
    for (size_t i = 0; i < ARRAY_LENGTH(request_texts) && request->packed == NULL; i++)
        free(*text_at(request, i));
    free(request->packed);
    json_decref(request->remix_config);
    json_decref(request->tags);
    json_decref(request->extra);
    for (size_t i = 0; i < request->n_images; i++) {
        free(request->images[i].url);
        free(request->images[i].key);
        free(request->images[i].sha256);
    }
    free(request->images);
    free(request);
}

size_t task_request_bytes(const struct task_request *request)
{
    size_t bytes =
        sizeof *request + request->n_images * sizeof *request->images + all_text_bytes(request);
    for (size_t i = 0; i < request->n_images; i++)
        bytes += pack_bytes(request->images[i].url) + pack_bytes(request->images[i].key);
    /* A tree takes several times what its text does. */
    return bytes +
           (request->extra != NULL ? 4 * json_dumpb(request->extra, NULL, 0, JSON_COMPACT) : 0);
}

struct task_request *task_request_unref(struct task_request *request)
{
    if (request != NULL && reference_drop(&request->references))
        request_free(request);
    return NULL;
}

struct task *task_new(struct task_request *request, int64_t deadline_ms)
{
    struct task *task = must_calloc(1, sizeof *task);
    atomic_init(&task->references, 1);
    task->request = request;
    task->state = TASK_QUEUED;
    task->revision = FIRST_REVISION;
    task->status_update_ms = request->created_micros / 1000;
    task->deadline_ms = deadline_ms;
    return task;
}

struct task *task_copy(const struct task *task)
{
    /* Others may be counting references of `task` meanwhile: copy all but the count. */
    const size_t skip = offsetof(struct task, request);
    struct task *copy = must_calloc(1, sizeof *copy);
    memcpy((char *)copy + skip, (const char *)task + skip, sizeof *copy - skip);
    atomic_init(&copy->references, 1);
    copy->request = task_request_ref(task->request);
    shared_text_ref(copy->channel);
    shared_text_ref(copy->failure_note);
    copy->attempt = attempt_record_ref(&task->attempt);
    return copy;
}

const struct task *task_ref(const struct task *task)
{
    reference_take(&((struct task *)(uintptr_t)task)->references);
    return task;
}

const struct task *task_unref(const struct task *task)
{
    struct task *counted = (struct task *)(uintptr_t)task;
    if (counted != NULL && reference_drop(&counted->references)) {
        task_request_unref(counted->request);
        shared_text_unref(counted->channel);
        shared_text_unref(counted->failure_note);
        attempt_record_fini(&counted->attempt);
        free(counted);
    }
    return NULL;
}

static bool may_have_cost(const struct task *task)
{
    return task->may_have_cost ||
           (task->attempt.id[0] != '\0' && attempt_may_be_taken(task->attempt.state));
}

void task_failure_sentence(const struct task *task, char ret_text[TASK_SENTENCE_SIZE])
{
    const bool is_costly = may_have_cost(task);
    /* What an operator's program spends, nobody here knows. */
    const char *charge =
        task->is_command && !is_costly ? "" : task_failure_charge(task->failure, is_costly);
    const char *note = shared_text_of(task->failure_note);
    (void)snprintf(ret_text, TASK_SENTENCE_SIZE, "%s%s%s%s%s", task_failure_message(task->failure),
                   charge[0] != '\0' ? " " : "", charge, note[0] != '\0' ? " " : "", note);
}

/* Two names that meet would keep a task from a channel, not send it twice. */
uint32_t task_channel_mark(const char *channel)
{
    return hash_text32(channel);
}

bool task_was_refused_by(const struct task *task, const char *channel)
{
    uint32_t mark = task_channel_mark(channel);
    for (int i = 0; i < task->n_refused; i++)
        if (task->refused_by[i] == mark)
            return true;
    return false;
}

void task_public_id(const struct task_request *request, char ret_id[TASK_PUBLIC_ID_SIZE])
{
    int length = snprintf(ret_id, TASK_PUBLIC_ID_SIZE, "%s:%s", request->model, request->id);
    must(length > 0 && length < TASK_PUBLIC_ID_SIZE);
}

bool task_parse_id(const char *text, char ret_model[TASK_MODEL_SIZE], char ret_id[ID_SHORT_SIZE])
{
    if (strnlen(text, ID_TEXT_MAX + 1) > ID_TEXT_MAX)
        return false;
    const char *colon = strrchr(text, ':');
    const char *id = colon == NULL ? text : colon + 1;
    size_t model_length = colon == NULL ? 0 : (size_t)(colon - text);
    if (colon == text || model_length >= TASK_MODEL_SIZE || !id_is_typeid(id, "task"))
        return false;
    memcpy(ret_model, text, model_length);
    ret_model[model_length] = '\0';
    (void)snprintf(ret_id, ID_SHORT_SIZE, "%s", id);
    return true;
}

static json_t *digest_images(const struct task_request *request)
{
    json_t *images = json_array();
    for (size_t i = 0; i < request->n_images; i++) {
        const struct task_image *image = &request->images[i];
        json_t *item = json_object();
        json_set(item, "role", json_integer(image->role));
        json_set_text(item, "url", image->url);
        json_set_text(item, "sha256", image->sha256);
        json_add(images, item);
    }
    return images;
}

static void digest_texts(json_t *document, const struct task_request *request)
{
    const struct {
        const char *key, *text;
    } texts[] = {
        {"model", request->model},
        {"prompt", request->prompt},
        {"orientation", request->orientation},
        {"size", request->size},
        {"aspect_ratio", request->aspect_ratio},
        {"title", request->title},
        {"style", request->style},
        {"negative_prompt", request->negative_prompt},
        {"character_url", request->character_url},
        {"character_timestamps", request->character_timestamps},
        {"operation", request->operation},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        json_set_text(document, texts[i].key, texts[i].text);
}

static json_t *shared_or_null(json_t *value)
{
    return value == NULL ? json_null() : json_incref(value);
}

void task_request_digest(const struct task_request *request, uint8_t ret_digest[32])
{
    CLEANUP(json_unref_pointer) json_t *document = json_object();
    digest_texts(document, request);
    if (request->webhook_url !=
        NULL) /* else as before there were any: keys of then keep their meaning */
        json_set_text(document, "webhook_url", request->webhook_url);
    json_set(document, "remix_config", shared_or_null(request->remix_config));
    json_set(document, "tags", shared_or_null(request->tags));
    json_set(document, "extra",
             request->extra != NULL ? json_incref(request->extra) : json_object());
    json_set(document, "images", digest_images(request));
    json_set(document, "seed", request->has_seed ? json_integer(request->seed) : json_null());
    json_set(document, "duration", json_integer(request->duration_s));
    json_set(document, "priority", json_integer(request->priority));
    json_set(document, "n_variants", json_integer(request->n_variants));
    json_set(document, "watermark",
             request->has_watermark_wish ? json_boolean(request->watermark) : json_null());
    json_set(document, "private", json_boolean(request->private_result));
    json_set(document, "storyboard", json_boolean(request->storyboard));
    json_set(document, "enhance_prompt", json_boolean(request->enhance_prompt));
    CLEANUP(free_pointer) char *text = json_canonical(document);
    crypt_sha256(text, strlen(text), ret_digest);
}
