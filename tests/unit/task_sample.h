/* SPDX-License-Identifier: Apache-2.0
 *
 * Sample tasks for the tests of task/: one request with every field set, and a sound task of it
 * in any state. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "task/step.h"
#include "task/task.h"

#define SAMPLE_ID "task_01k6x15vhrff09dkkqjrzwhm60"
#define SAMPLE_GENERATION "gen_01k6x1bffaf3dr786harh8maqt"
#define SAMPLE_ATTEMPT "att_01k6x15wq5fe3t1k0n8x1z8h3m"
#define SAMPLE_CREATED_MICROS INT64_C(1759763426875729)
#define SAMPLE_CREATED_MS INT64_C(1759763426875)

static inline void sample_images(struct task_request *request)
{
    static const struct task_image images[] = {
        {TASK_IMAGE_INPUT, "media_01k6x15tnzezbst05sth2qgd8r", NULL, NULL, NULL},
        {TASK_IMAGE_LAST, "media_01k6x15tzafwztz74t018v3enw", NULL, NULL, NULL},
    };
    request->n_images = 2;
    request->images = must_calloc(2, sizeof *request->images);
    memcpy(request->images, images, sizeof images);
    request->images[0].url = must_strdup("https://example.com/a.png");
    request->images[1].key = must_strdup(SAMPLE_ID "/media_01k6x15tzafwztz74t018v3enw.png");
    request->images[1].sha256 =
        must_strdup("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static inline struct task_request *sample_request(void)
{
    struct task_request *request = task_request_new();
    (void)snprintf(request->id, sizeof request->id, "%s", SAMPLE_ID);
    request->tenant = must_strdup("tenant-1");
    request->model = must_strdup("sora-2");
    request->request_id = must_strdup("req-1");
    request->prompt = must_strdup("make animate");
    request->orientation = must_strdup("portrait");
    request->size = must_strdup("small");
    request->aspect_ratio = must_strdup("9:16");
    request->title = must_strdup("A title");
    request->style = must_strdup("anime");
    request->negative_prompt = must_strdup("fog");
    request->character_url = must_strdup("https://example.com/c.mp4");
    request->character_timestamps = must_strdup("1,3");
    request->operation = must_strdup("simple_compose");
    request->webhook_url = must_strdup("https://example.com/hook");
    request->base_url = must_strdup("https://videos.example.com");
    request->remix_config = json_pack("{s:s,s:s}", "source_task_id", "task_x", "prompt", "p");
    request->tags = json_pack("[s,s]", "one", "two");
    request->extra = json_pack("{s:f,s:{s:[i,n]}}", "guidance", 0.1, "vendor", "deep", 1);
    sample_images(request);
    request->created_micros = SAMPLE_CREATED_MICROS;
    request->has_seed = true;
    request->seed = INT64_C(9007199254740991);
    request->duration_s = 15;
    request->width = 352;
    request->height = 640;
    request->n_frames = 450;
    request->priority = 2;
    request->n_variants = 1;
    request->has_watermark_wish = request->watermark = true;
    request->private_result = request->storyboard = request->enhance_prompt = true;
    return request;
}

static inline void sample_result(struct task_result *result)
{
    memset(result, 0, sizeof *result);
    (void)snprintf(result->generation_id, sizeof result->generation_id, "%s", SAMPLE_GENERATION);
    result->width = 352;
    result->height = 640;
    result->n_frames = 450;
    result->duration_ms = 15000;
    result->stored_micros = INT64_C(1759763631222531);
}

/* A sound task in `state`, as the built-in engine leaves it; deadline ten minutes after create. */
static inline struct task *sample_task(enum task_state state)
{
    struct task *task = task_new(sample_request(), SAMPLE_CREATED_MS + 600000);
    task->state = state;
    task->revision = 7;
    task->status_update_ms = SAMPLE_CREATED_MS + 5000;
    if (state == TASK_QUEUED)
        return task;
    task->attempts = 1;
    task->is_local = true;
    shared_text_set(&task->channel, "local");
    if (state == TASK_SUBMITTING)
        return task;
    task->started_ms = SAMPLE_CREATED_MS + 2000;
    task->progress = 0.9302178175176704;
    if (!task_state_is_end(state))
        return task;
    task->ended_ms = task->status_update_ms;
    if (state == TASK_COMPLETED) {
        task->progress = 1.0;
        sample_result(&task->result);
    }
    if (state == TASK_CANCELLED)
        task->failure = TASK_FAILURE_CANCELLED;
    if (state == TASK_FAILED)
        task->failure = TASK_FAILURE_RENDER_FAILED;
    return task;
}

static inline struct attempt_job *sample_job(const char *id)
{
    return attempt_job_new(id, "{\"step\":1}", "[{\"url\":\"https://up.example/v.mp4\"}]",
                           "make it animate", "{\"credits\":3}");
}

/* A sound task in `state` whose attempt at an upstream is in `attempt`; a sound pair is the caller's concern. */
static inline struct task *sample_upstream_task(enum task_state state, enum attempt_state attempt)
{
    struct task *task = sample_task(state);
    struct attempt_record *record = &task->attempt;
    task->is_local = false;
    task->attempts = state == TASK_QUEUED ? 0 : 1;
    shared_text_set(&task->channel, "main");
    (void)snprintf(record->id, sizeof record->id, "%s", SAMPLE_ATTEMPT);
    shared_text_set(&record->channel, "main");
    shared_text_set(&record->credential, "default");
    record->state = attempt;
    record->number = 1;
    record->begun_ms = SAMPLE_CREATED_MS + 1000;
    if (attempt == ATTEMPT_ACCEPTED || attempt == ATTEMPT_FINISHED || attempt == ATTEMPT_FAILED ||
        attempt == ATTEMPT_GONE)
        record->accepted_ms = SAMPLE_CREATED_MS + 2000;
    if (record->accepted_ms != 0 || attempt == ATTEMPT_CONFIRMING)
        record->job = sample_job("job-1");
    if (!attempt_is_open(attempt))
        record->closed_ms = SAMPLE_CREATED_MS + 4000;
    return task;
}
