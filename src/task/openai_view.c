/* SPDX-License-Identifier: Apache-2.0
 *
 * The Video object of the OpenAI API, as its official SDKs type it: every key in every answer, null where it says nothing
 * yet. Relays add links to the finished one, and so do we; an SDK passes over them. Pure: any thread.
 * Source: openai (npm) 6.49.0 and 7.57.0, resources/videos. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "base/must.h"
#include "task/answer.h"

static void set_seconds(json_t *video, int64_t seconds)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, seconds);
    json_set_text(video, "seconds", text);
}

static void set_size(json_t *video, int width, int height)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%dx%d", width, height);
    json_set_text(video, "size", text);
}

/* As it is at the create. What is known later is set over it. */
json_t *openai_render_created(const struct task_request *request)
{
    json_t *video = answer_created(DIALECT_OPENAI, request);
    json_set_text(video, "completed_at", NULL);
    json_set_text(video, "expires_at", NULL);
    json_set_text(video, "error", NULL);
    json_set_text(video, "prompt", request->prompt);
    json_set_text(video, "remixed_from_video_id",
                  json_text(request->remix_config, "source_task_id"));
    set_seconds(video, request->duration_s);
    set_size(video, request->width, request->height);
    return video;
}

/* When the files leave the answers, or left them. Never where they are kept for good. */
static void set_expiry(json_t *video, const struct task *task, const struct unified_view *view)
{
    if (task->expired_ms != 0)
        answer_set_int(video, "expires_at", task->expired_ms / 1000);
    else if (view->keep_ms > 0)
        answer_set_int(video, "expires_at", (task->ended_ms + view->keep_ms) / 1000);
}

static void set_result(json_t *video, const struct task *task, const struct unified_view *view)
{
    const struct task_result *result = &task->result;
    answer_set_int(video, "completed_at", task->ended_ms / 1000);
    set_expiry(video, task, view);
    set_size(video, result->width, result->height);
    int64_t seconds = (result->duration_ms + 500) / 1000;
    if (seconds > 0)
        set_seconds(video, seconds);
    answer_set_link(video, "video_url", task, view, unified_video_file(task));
    answer_set_link(video, "url", task, view, unified_video_file(task));
    answer_set_link(video, "thumbnail_url", task, view, UNIFIED_THUMBNAIL);
}

json_t *openai_render(const struct task *task, const struct unified_view *view)
{
    json_t *video = openai_render_created(task->request);
    json_set_text(video, "status", dialect_word(DIALECT_OPENAI, task->state));
    answer_set_int(video, "progress", answer_percent(task));
    if (task->state == TASK_COMPLETED)
        set_result(video, task, view);
    else if (task_state_is_end(task->state))
        json_set(video, "error", answer_failure(task));
    return video;
}
