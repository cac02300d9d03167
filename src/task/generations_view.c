/* SPDX-License-Identifier: Apache-2.0
 *
 * Two forms of answers that relays grew beside the unified one. `/v1/video/generations` exists in an older form, wrapped in
 * {code, message, data} with words in capitals, and in a newer, flat one; no key means two things in them, so one answer
 * is both. `/v2/videos/generations` is flat, with words in capitals. What is not there yet is left out, never null: clients
 * read `data.output` without looking at `data`. Pure: any thread. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/must.h"
#include "task/answer.h"

/* Of the wrapped form. */
static const char *const wrapped_words[TASK_STATE_COUNT] = {
    [TASK_QUEUED] = "SUBMITTED",      [TASK_SUBMITTING] = "SUBMITTED",
    [TASK_RENDERING] = "IN_PROGRESS", [TASK_FETCHING] = "IN_PROGRESS",
    [TASK_COMPLETED] = "SUCCESS",     [TASK_FAILED] = "FAILURE",
    [TASK_CANCELLED] = "FAILURE",
};

static void set_id(json_t *answer, const struct task_request *request)
{
    char id[TASK_PUBLIC_ID_SIZE];
    task_public_id(request, id);
    json_set_text(answer, "task_id", id);
}

static void set_percent(json_t *answer, const struct task *task)
{
    char text[8];
    (void)snprintf(text, sizeof text, "%" PRId64 "%%", answer_percent(task));
    json_set_text(answer, "progress", text);
}

/* Keys of the older record: times are seconds, 0 where it is not so far, and texts empty. */
static json_t *new_record(const struct task *task, const char *word)
{
    char reason[TASK_SENTENCE_SIZE] = "";
    if (task_state_is_end(task->state) && task->state != TASK_COMPLETED)
        task_failure_sentence(task, reason);
    json_t *record = json_object();
    set_id(record, task->request);
    json_set_text(record, "status", word);
    json_set_text(record, "action", task->request->n_images > 0 ? "generate" : "textGenerate");
    json_set_text(record, "fail_reason", reason);
    set_percent(record, task);
    answer_set_int(record, "submit_time", task->request->created_micros / 1000000);
    answer_set_int(record, "start_time", task->started_ms / 1000);
    answer_set_int(record, "finish_time", task->ended_ms / 1000);
    return record;
}

static void set_outputs(json_t *answer, const struct task *task, const struct unified_view *view)
{
    json_t *outputs = json_object();
    answer_set_link(outputs, "output", task, view, unified_video_file(task));
    answer_set_link(outputs, "url", task, view, unified_video_file(task));
    answer_set_link(outputs, "video_url", task, view, unified_video_file(task));
    answer_set_link(outputs, "thumbnail_url", task, view, UNIFIED_THUMBNAIL);
    if (json_object_size(outputs) > 0)
        json_set(answer, "data", outputs);
    else
        json_decref(outputs);
}

static json_t *new_wrapped(const struct task *task, const struct unified_view *view)
{
    json_t *record = new_record(task, wrapped_words[task->state]);
    if (task->state == TASK_COMPLETED) {
        answer_set_link(record, "result_url", task, view, unified_video_file(task));
        answer_set_link(record, "url", task, view, unified_video_file(task));
        set_outputs(record, task, view);
    }
    return record;
}

static json_t *new_metadata(const struct task *task)
{
    const struct task_result *result = &task->result;
    json_t *metadata = json_object();
    json_set(metadata, "duration", json_real((double)result->duration_ms / 1000.0));
    if (result->duration_ms > 0)
        answer_set_int(metadata, "fps",
                       ((int64_t)result->n_frames * 1000 + result->duration_ms / 2) /
                           result->duration_ms);
    answer_set_int(metadata, "width", result->width);
    answer_set_int(metadata, "height", result->height);
    if (task->request->has_seed)
        answer_set_int(metadata, "seed", task->request->seed);
    return metadata;
}

json_t *generations_render(const struct task *task, const struct unified_view *view)
{
    json_t *answer = json_object();
    json_set_text(answer, "code", "success");
    json_set_text(answer, "message", "");
    set_id(answer, task->request);
    json_set_text(answer, "status", dialect_word(DIALECT_GENERATIONS, task->state));
    json_set_text(answer, "model", task->request->model);
    answer_set_int(answer, "progress", answer_percent(task));
    answer_set_int(answer, "created_at", task->request->created_micros / 1000000);
    if (task->state == TASK_COMPLETED) {
        answer_set_link(answer, "url", task, view, unified_video_file(task));
        json_set_text(answer, "format", "mp4");
        json_set(answer, "metadata", new_metadata(task));
    } else if (task_state_is_end(task->state)) {
        json_set(answer, "error", answer_failure(task));
    }
    json_set(answer, "data", new_wrapped(task, view));
    return answer;
}

/* What would be taken for a finished video or an error (`data`, `url`, `code`) does not stand here. */
json_t *generations_render_created(const struct task_request *request)
{
    return answer_created(DIALECT_GENERATIONS, request);
}

json_t *upper_render(const struct task *task, const struct unified_view *view)
{
    json_t *answer = new_record(task, dialect_word(DIALECT_UPPER, task->state));
    json_set_text(answer, "model", task->request->model);
    if (task->state == TASK_COMPLETED) {
        answer_set_link(answer, "video_url", task, view, unified_video_file(task));
        set_outputs(answer, task, view);
    } else if (task_state_is_end(task->state)) {
        json_set(answer, "error", answer_failure(task));
    }
    return answer;
}

json_t *upper_render_created(const struct task_request *request)
{
    json_t *answer = json_object();
    set_id(answer, request);
    json_set_text(answer, "status", dialect_word(DIALECT_UPPER, TASK_QUEUED));
    return answer;
}
