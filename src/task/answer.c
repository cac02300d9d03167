/* SPDX-License-Identifier: Apache-2.0
 *
 * What every form of an answer says in the same way: percents, links, failures. Pure: any thread. */
#include "task/answer.h"

#include <stdio.h>

#include "base/json.h"
#include "base/must.h"

enum { PERCENT_UNFINISHED = 99 };

void answer_set_int(json_t *object, const char *key, int64_t value)
{
    json_set(object, key, json_integer(value));
}

int64_t answer_percent(const struct task *task)
{
    if (task->state == TASK_COMPLETED)
        return 100;
    /* Just above the product's own rounding: 0.29 is 29 percent. */
    int64_t whole = (int64_t)(task->progress * 100.0 + 1e-9);
    return whole > PERCENT_UNFINISHED ? PERCENT_UNFINISHED : whole;
}

const char *answer_enhanced_prompt(const struct task *task)
{
    const struct attempt_job *job = task->attempt.job;
    return job != NULL && job->enhanced_prompt != NULL ? job->enhanced_prompt : "";
}

const char *unified_video_file(const struct task *task)
{
    return task->result.has_watermark ? UNIFIED_MARKED : UNIFIED_SOURCE;
}

void unified_asset_key(const struct task *task, const char *file,
                       char ret_key[UNIFIED_ASSET_KEY_SIZE])
{
    int length = snprintf(ret_key, UNIFIED_ASSET_KEY_SIZE, "%s/%s/%s", task->request->id,
                          task->result.generation_id, file);
    must(length > 0 && length < UNIFIED_ASSET_KEY_SIZE);
}

json_t *answer_link(const struct task *task, const struct unified_view *view, const char *file,
                    const char *attachment)
{
    char key[UNIFIED_ASSET_KEY_SIZE];
    if (task->expired_ms != 0)
        return json_null();
    unified_asset_key(task, file, key);
    CLEANUP(free_pointer) char *link = view->link(view->link_context, key, attachment);
    return json_string(link);
}

void answer_set_link(json_t *object, const char *key, const struct task *task,
                     const struct unified_view *view, const char *file)
{
    json_t *link = answer_link(task, view, file, NULL);
    if (json_is_string(link))
        json_set(object, key, link);
    else
        json_decref(link);
}

json_t *answer_failure(const struct task *task)
{
    char text[TASK_SENTENCE_SIZE];
    task_failure_sentence(task, text);
    json_t *error = json_object();
    json_set_text(error, "code", task_failure_code(task->failure));
    json_set_text(error, "message", text);
    return error;
}

json_t *answer_created(enum dialect dialect, const struct task_request *request)
{
    char id[TASK_PUBLIC_ID_SIZE];
    task_public_id(request, id);
    json_t *answer = json_object();
    json_set_text(answer, "id", id);
    json_set_text(answer, "task_id", id);
    json_set_text(answer, "object", "video");
    json_set_text(answer, "model", request->model);
    json_set_text(answer, "status", dialect_word(dialect, TASK_QUEUED));
    answer_set_int(answer, "progress", 0);
    answer_set_int(answer, "created_at", request->created_micros / 1000000);
    return answer;
}
