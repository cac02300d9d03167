/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left of a task that its owner had erased. What stays is named here, so that a new field goes unless somebody says
 * that it stays: what was asked in numbers, how it went, and which upstream was paid for it. Pure: any thread. */
#include <string.h>

#include "base/must.h"
#include "task/task.h"

static char *keep_text(const char *text)
{
    return text != NULL ? must_strdup(text) : NULL;
}

struct task_request *task_request_skeleton(const struct task_request *request)
{
    struct task_request *kept = task_request_new();
    memcpy(kept->id, request->id, sizeof kept->id);
    kept->tenant = keep_text(request->tenant);
    kept->model = keep_text(request->model);
    kept->prompt = must_strdup("");
    kept->orientation = keep_text(request->orientation);
    kept->size = keep_text(request->size);
    kept->operation = keep_text(request->operation);
    kept->created_micros = request->created_micros;
    kept->duration_s = request->duration_s;
    kept->width = request->width;
    kept->height = request->height;
    kept->n_frames = request->n_frames;
    kept->priority = request->priority;
    kept->n_variants = request->n_variants;
    task_request_pack(kept);
    return kept;
}

/* Replaces the job by one with these texts of it. */
static void keep_of_job(struct attempt_record *attempt, const char *keep)
{
    struct attempt_job *job = attempt->job;
    if (job == NULL)
        return;
    attempt->job = attempt_job_new(job->id, keep, NULL, NULL, job->usage);
    attempt_job_unref(job);
}

void task_erase_attempt(struct task *task)
{
    keep_of_job(&task->attempt, NULL);
}

void task_erase(struct task *task)
{
    struct task_request *request = task->request;
    task->request = task_request_skeleton(request);
    task_request_unref(request);
    shared_text_set(&task->failure_note, NULL);
    if (task->attempt.id[0] == '\0' || !attempt_is_open(task->attempt.state))
        task_erase_attempt(task);
    else if (task->attempt.job != NULL)
        keep_of_job(&task->attempt, task->attempt.job->keep);
}
