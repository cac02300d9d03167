/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes `GET /v1/video/query` and the answer to a create. Each key of the documented answers is
 * bound here to a field of the task, or to a constant named in `constant`. Invariants: the five
 * required keys stand in every answer; a key has one type in all states (or null); no link but our
 * own and those that the client gave. Pure: any thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "task/answer.h"

static const double wait_max_s = 1e9;

/* Words of the documented answers that no field of a task decides. */
static const struct {
    const char *object, *kind_of_task, *kind_of_draft, *title, *generation_type, *passed, *blocked;
    const char *waiting, *waiting_again, *waiting_upstream, *item_type;
} constant = {
    .object = "video",
    .kind_of_task = "video_gen",
    .kind_of_draft = "sora_draft",
    .title = "New Video",
    .generation_type = "",
    .passed = "passed",
    .blocked = "blocked",
    .waiting = "Waiting for a free slot.",
    .waiting_upstream = "Waiting until the upstream takes more work.",
    .waiting_again = "Waiting before the next attempt.",
    .item_type = "image",
};

/* Keys that are null unless the request carried them. */
static const char *const carried_by_pending[] = {
    "sdedit",     "actions",         "guidance",      "preset_id",
    "project_id", "organization_id", "interpolation", "tracking_id",
};
static const char *const carried_by_creation[] = {
    "task_id", "n_frames", "style_id", "inpaint_image", "cameo_profiles", "remix_target_post",
};
static const char *const unplaced[] = {
    "preset_id", "crop_bounds", "cameo_file_id", "generation_id", "uploaded_file_id",
};

static void append(json_t *array, json_t *value)
{
    must(value != NULL && json_array_append_new(array, value) == 0);
}

/* A copy, for the request's own values are shared with other threads; `fallback` (stolen) when
 * there is none. */
static json_t *copy_or(const json_t *value, json_t *fallback)
{
    if (value == NULL)
        return fallback;
    json_decref(fallback);
    return json_deep_copy(value);
}

static void set_carried(json_t *object, const struct task_request *request, const char *const *keys,
                        size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_set(object, keys[i], copy_or(json_object_get(request->extra, keys[i]), json_null()));
}

static bool has_started(const struct task *task)
{
    return task->started_ms != 0;
}

static const char *engine(const struct task *task)
{
    return task->is_command ? "command" : task->is_local ? "animatic" : "upstream";
}

/* What stands in every answer to a query. */
static json_t *new_answer(const struct task *task)
{
    char id[TASK_PUBLIC_ID_SIZE];
    task_public_id(task->request, id);
    json_t *answer = json_object();
    json_set_text(answer, "id", id);
    json_set_text(answer, "status",
                  task->state == TASK_COMPLETED ? unified_completed_word(task->request->model)
                                                : task_state_unified(task->state));
    json_set_text(answer, "video_url", NULL);
    json_set_text(answer, "enhanced_prompt", answer_enhanced_prompt(task));
    answer_set_int(answer, "status_update_time", task->status_update_ms);
    answer_set_int(answer, "progress", answer_percent(task));
    return answer;
}

/* Once expired, what the client sent as bytes is on its way out: no link to it is signed any more. */
json_t *unified_render_images(const struct task *task, const struct unified_view *view)
{
    const struct task_request *request = task->request;
    json_t *images = json_array();
    for (size_t i = 0; i < request->n_images; i++) {
        const struct task_image *image = &request->images[i];
        if (image->url == NULL && task->expired_ms != 0)
            continue;
        CLEANUP(free_pointer)
        char *link = image->url == NULL ? view->link(view->link_context, image->key, NULL) : NULL;
        append(images, json_string(image->url != NULL ? image->url : link));
    }
    return images;
}

static json_t *render_input(const struct task *task, const struct unified_view *view)
{
    const struct task_request *request = task->request;
    json_t *input = json_object();
    json_set_text(input, "size", request->size);
    json_set_text(input, "model", request->model);
    json_set(input, "images", unified_render_images(task, view));
    json_set_text(input, "prompt", request->prompt);
    json_set_text(input, "orientation", request->orientation);
    return input;
}

static json_t *new_detail(const struct task *task, const struct unified_view *view)
{
    json_t *detail = json_object();
    json_set_text(detail, "id", task->request->id);
    json_set(detail, "input", render_input(task, view));
    json_set_text(detail, "status", task_state_unified(task->state));
    if (task->channel != NULL)
        json_set_text(detail, "engine", engine(task));
    return detail;
}

/* No engine of ours places an image at a frame of its own, so the frames are 0. */
static json_t *render_inpaint_items(const struct task_request *request)
{
    json_t *items = json_array();
    for (size_t i = 0; i < request->n_images; i++) {
        json_t *item = json_object();
        json_set_text(item, "type", constant.item_type);
        json_set_text(item, "upload_media_id", request->images[i].media_id);
        answer_set_int(item, "frame_index", 0);
        answer_set_int(item, "source_start_frame", 0);
        answer_set_int(item, "source_end_frame", 0);
        for (size_t j = 0; j < ARRAY_LENGTH(unplaced); j++)
            json_set_text(item, unplaced[j], NULL);
        append(items, item);
    }
    return items;
}

/* Whether it was the video that an upstream refused is not told by all: what was refused only after it had been taken
 * counts as that. */
static json_t *render_moderation(const struct task *task)
{
    const bool is_blocked = task->failure == TASK_FAILURE_MODERATED;
    const bool was_taken = is_blocked && task->attempt.accepted_ms != 0;
    json_t *result = json_object();
    json_set_text(result, "code", is_blocked ? task_failure_code(task->failure) : NULL);
    json_set_text(result, "type", is_blocked ? constant.blocked : constant.passed);
    json_set_text(result, "task_id", task->request->id);
    json_set(result, "is_output_rejection", json_boolean(was_taken));
    json_set(result, "results_by_frame_index", json_object());
    return result;
}

static void set_request(json_t *info, const struct task_request *request)
{
    char created_at[CLOCK_ISO_MICROS_SIZE];
    clock_iso_micros(request->created_micros, created_at);
    json_set_text(info, "id", request->id);
    json_set(info, "seed", request->has_seed ? json_integer(request->seed) : json_null());
    json_set_text(info, "type", constant.kind_of_task);
    json_set_text(info, "model", request->model);
    json_set_text(info, "title", request->title != NULL ? request->title : constant.title);
    answer_set_int(info, "width", request->width);
    answer_set_int(info, "height", request->height);
    json_set_text(info, "prompt", request->prompt);
    answer_set_int(info, "n_frames", request->n_frames);
    answer_set_int(info, "priority", request->priority);
    json_set_text(info, "operation", request->operation);
    json_set_text(info, "created_at", created_at);
    answer_set_int(info, "n_variants", request->n_variants);
    json_set_text(info, "request_id", request->request_id);
    json_set(info, "remix_config", copy_or(request->remix_config, json_null()));
    json_set(info, "inpaint_items", render_inpaint_items(request));
    json_set(info, "is_storyboard", request->storyboard ? json_true() : json_null());
    set_carried(info, request, carried_by_pending, ARRAY_LENGTH(carried_by_pending));
}

static const char *pending_word(const struct task *task)
{
    if (task_state_is_end(task->state))
        return task_state_unified(task->state);
    return has_started(task) ? "processing" : "queued";
}

/* The keys about the queue are null once an engine has begun, also when the task waits again. */
static void set_queue(json_t *info, const struct task *task, const struct unified_view *view)
{
    const bool is_waiting = task->state == TASK_QUEUED && !has_started(task);
    const bool has_position = is_waiting && view->queue_position > 0;
    const bool has_wait = is_waiting && view->wait_s >= 0 && view->wait_s < wait_max_s;
    const bool is_upstreams = task->n_put_off > 0 || view->waits_upstream;
    const char *message = is_upstreams         ? constant.waiting_upstream
                          : task->attempts > 0 ? constant.waiting_again
                                               : constant.waiting;
    json_set_text(info, "queue_status_message", is_waiting ? message : NULL);
    json_set(info, "progress_pos_in_queue",
             has_position ? json_integer(view->queue_position) : json_null());
    json_set(info, "estimated_queue_wait_time",
             has_wait ? json_integer((json_int_t)(view->wait_s + 0.5)) : json_null());
}

static json_t *render_pending_info(const struct task *task, const struct unified_view *view,
                                   const char *failure_reason)
{
    json_t *info = json_object();
    set_request(info, task->request);
    json_set(info, "moderation_result", render_moderation(task));
    set_queue(info, task, view);
    json_set_text(info, "user", view->user);
    json_set_text(info, "status", pending_word(task));
    json_set(info, "generations", json_array());
    json_set(info, "progress_pct", json_real(task->progress));
    json_set_text(info, "failure_reason", failure_reason);
    json_set(info, "needs_user_review", json_false());
    answer_set_int(info, "num_unsafe_generations", 0);
    return info;
}

static json_t *render_pending(const struct task *task, const struct unified_view *view)
{
    json_t *answer = new_answer(task), *detail = new_detail(task, view);
    json_set(detail, "pending_info", render_pending_info(task, view, NULL));
    json_set(answer, "detail", detail);
    return answer;
}

static json_t *render_failed(const struct task *task, const struct unified_view *view)
{
    static const char *const text_keys[] = {
        "fail_reason",
        "error_message",
        "failure_reason",
        "message",
    };
    char text[TASK_SENTENCE_SIZE];
    task_failure_sentence(task, text);

    json_t *answer = new_answer(task), *detail = new_detail(task, view);
    json_set(answer, "error", answer_failure(task));
    for (size_t i = 0; i < ARRAY_LENGTH(text_keys); i++)
        json_set_text(answer, text_keys[i], text);
    json_set_text(detail, "error_message", text);
    json_set(detail, "pending_info", render_pending_info(task, view, text));
    json_set(answer, "detail", detail);
    return answer;
}

static void set_file(json_t *object, const char *key, const struct task *task,
                     const struct unified_view *view, const char *file)
{
    json_set(object, key, answer_link(task, view, file, NULL));
}

static json_t *render_encodings(const struct task *task, const struct unified_view *view)
{
    const struct {
        const char *key, *file;
    } rows[] = {
        {"md", UNIFIED_MEDIUM},           {"gif", UNIFIED_PREVIEW},
        {"source", UNIFIED_SOURCE},       {"source_wm", unified_video_file(task)},
        {"thumbnail", UNIFIED_THUMBNAIL},
    };
    json_t *encodings = json_object();
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        json_t *encoding = json_object();
        set_file(encoding, "path", task, view, rows[i].file);
        json_set(encodings, rows[i].key, encoding);
    }
    json_set_text(encodings, "unfurl", NULL);
    return encodings;
}

static json_t *render_creation_config(const struct task_request *request)
{
    json_t *config = json_object();
    set_carried(config, request, carried_by_creation, ARRAY_LENGTH(carried_by_creation));
    if (request->style != NULL && json_is_null(json_object_get(config, "style_id")))
        json_set_text(config, "style_id", request->style);
    json_set_text(config, "prompt", request->prompt);
    json_set_text(config, "orientation", request->orientation);
    return config;
}

/* What a download is called: the title, when one was asked for. As the client wrote it: whoever
 * makes a header of it cleans it. */
static char *new_file_name(const struct task_request *request)
{
    static const char extension[] = ".mp4";
    const char *stem = request->title != NULL ? request->title : request->id;
    size_t length = strlen(stem), n = sizeof extension - 1;
    bool has_extension = length > n && strcasecmp(stem + length - n, extension) == 0;
    size_t size = length + sizeof extension;
    char *name = must_calloc(1, size);
    (void)snprintf(name, size, "%s%s", stem, has_extension ? "" : extension);
    return name;
}

static json_t *render_draft(const struct task *task, const struct unified_view *view)
{
    const struct task_request *request = task->request;
    const struct task_result *result = &task->result;
    CLEANUP(free_pointer) char *attachment = new_file_name(request);
    json_t *draft = json_object();
    json_set_text(draft, "id", result->generation_id);
    set_file(draft, "url", task, view, unified_video_file(task));
    json_set_text(draft, "kind", constant.kind_of_draft);
    json_set(draft, "tags", copy_or(request->tags, json_array()));
    json_set_text(draft, "title", request->title);
    answer_set_int(draft, "width", result->width);
    answer_set_int(draft, "height", result->height);
    json_set_text(draft, "prompt", request->prompt);
    json_set_text(draft, "task_id", request->id);
    json_set(draft, "encodings", render_encodings(task, view));
    json_set(draft, "created_at", json_real((double)result->stored_micros / 1e6));
    json_set_text(draft, "generation_id", result->generation_id);
    json_set(draft, "draft_reviewed", json_false());
    json_set(draft, "creation_config", render_creation_config(request));
    json_set_text(draft, "generation_type", constant.generation_type);
    json_set(draft, "downloadable_url",
             answer_link(task, view, unified_video_file(task), attachment));
    return draft;
}

static json_t *render_completed(const struct task *task, const struct unified_view *view)
{
    json_t *answer = new_answer(task), *detail = new_detail(task, view);
    set_file(detail, "url", task, view, unified_video_file(task));
    set_file(detail, "video_url", task, view, unified_video_file(task));
    set_file(detail, "gif_url", task, view, UNIFIED_PREVIEW);
    set_file(detail, "thumbnail_url", task, view, UNIFIED_THUMBNAIL);
    json_set(detail, "draft_info", render_draft(task, view));
    json_set(answer, "detail", detail);
    answer_set_int(answer, "width", task->result.width);
    answer_set_int(answer, "height", task->result.height);
    set_file(answer, "video_url", task, view, unified_video_file(task));
    set_file(answer, "thumbnail_url", task, view, UNIFIED_THUMBNAIL);
    if (task->expired_ms != 0)
        answer_set_int(answer, "expired_at", task->expired_ms / 1000);
    return answer;
}

json_t *unified_render(const struct task *task, const struct unified_view *view)
{
    json_t *answer;
    if (task->state == TASK_COMPLETED)
        answer = render_completed(task, view);
    else if (task_state_is_end(task->state))
        answer = render_failed(task, view);
    else
        answer = render_pending(task, view);
    unified_add_customs(answer, task, view);
    return answer;
}

json_t *unified_render_event(const struct task *task, const struct unified_view *view)
{
    json_t *answer = new_answer(task);
    json_set_text(answer, "state", task_state_name(task->state));
    if (task->state == TASK_COMPLETED) {
        answer_set_int(answer, "width", task->result.width);
        answer_set_int(answer, "height", task->result.height);
        set_file(answer, "video_url", task, view, unified_video_file(task));
        set_file(answer, "thumbnail_url", task, view, UNIFIED_THUMBNAIL);
    } else if (task_state_is_end(task->state)) {
        json_set(answer, "error", answer_failure(task));
    }
    return answer;
}

json_t *unified_render_created(const struct task_request *request)
{
    char id[TASK_PUBLIC_ID_SIZE];
    task_public_id(request, id);
    json_t *answer = json_object();
    json_set_text(answer, "id", id);
    json_set_text(answer, "object", constant.object);
    json_set_text(answer, "model", request->model);
    json_set_text(answer, "status", task_state_unified(TASK_QUEUED));
    answer_set_int(answer, "status_update_time", request->created_micros / 1000);
    answer_set_int(answer, "created_at", request->created_micros / 1000000);
    answer_set_int(answer, "progress", 0);
    json_set_text(answer, "video_url", NULL);
    json_set_text(answer, "enhanced_prompt", "");
    return answer;
}
