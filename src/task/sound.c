/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds of every task, one question per group of fields. The step asks before and after each change, the record
 * before it believes what it read. Pure: any thread. */
#include <string.h>

#include "task/step.h"

static bool is_under_way(enum task_state state)
{
    return state == TASK_SUBMITTING || state == TASK_RENDERING || state == TASK_FETCHING;
}

static bool are_times_sound(const struct task *task)
{
    const int64_t created_ms = task->request->created_micros / 1000;
    const bool is_end = task_state_is_end(task->state);
    return task->revision >= 1 && task->status_update_ms >= created_ms && task->deadline_ms >= 0 &&
           (task->started_ms == 0 || task->started_ms >= created_ms) &&
           (task->not_before_ms == 0 || (task->not_before_ms > 0 && task->state == TASK_QUEUED)) &&
           (is_end ? task->ended_ms >= created_ms && task->ended_ms > 0 : task->ended_ms == 0) &&
           (task->expired_ms == 0 || (task->expired_ms >= task->ended_ms && is_end)) &&
           (task->deleted_ms == 0 ||
            (task->deleted_ms >= task->expired_ms && task->expired_ms > 0));
}

/* What its owner had erased is gone. */
static bool is_erasure_sound(const struct task *task)
{
    const struct task_request *request = task->request;
    return task->deleted_ms == 0 || (request->prompt[0] == '\0' && request->n_images == 0 &&
                                     request->extra == NULL && task->failure_note == NULL);
}

static bool is_attempt_sound(const struct task *task)
{
    const bool was_attempted = is_under_way(task->state) || task->state == TASK_COMPLETED;
    const bool was_started = task->state == TASK_RENDERING || task->state == TASK_FETCHING ||
                             task->state == TASK_COMPLETED;
    return task->attempts >= 0 &&
           (!was_attempted || (task->attempts >= 1 && task->channel != NULL)) &&
           (!was_started || task->started_ms != 0);
}

/* No attempt at an upstream; the number of the last one stays, so that numbers never repeat. */
static bool is_blank(const struct attempt_record *attempt)
{
    return attempt->state == 0 && attempt->number >= 0 && attempt->channel == NULL &&
           attempt->credential == NULL && attempt->job == NULL && attempt->begun_ms == 0 &&
           attempt->accepted_ms == 0 && attempt->closed_ms == 0;
}

/* May an attempt that stands so belong to a task that stands so? */
static bool do_states_fit(enum task_state task, enum attempt_state attempt)
{
    switch (task) {
    case TASK_SUBMITTING:
        return attempt == ATTEMPT_SUBMITTING;
    case TASK_RENDERING:
        return attempt == ATTEMPT_CONFIRMING || attempt == ATTEMPT_ACCEPTED;
    case TASK_FETCHING:
        return attempt == ATTEMPT_ACCEPTED;
    case TASK_COMPLETED:
        return attempt == ATTEMPT_FINISHED;
    case TASK_FAILED:
    case TASK_CANCELLED:
        return attempt == ATTEMPT_CANCELLING || !attempt_is_open(attempt);
    case TASK_QUEUED:
    case TASK_STATE_COUNT:
        break;
    }
    return !attempt_is_open(attempt);
}

/* Was it accepted, as far as its state says? 1: yes, 0: no, negative: either. */
static int was_accepted(enum attempt_state attempt)
{
    switch (attempt) {
    case ATTEMPT_ACCEPTED:
    case ATTEMPT_FINISHED:
    case ATTEMPT_FAILED:
    case ATTEMPT_GONE:
        return 1;
    case ATTEMPT_SUBMITTING:
    case ATTEMPT_CONFIRMING:
    case ATTEMPT_REFUSED:
    case ATTEMPT_UNKNOWN:
    case ATTEMPT_NOT_TAKEN:
        return 0;
    case ATTEMPT_CANCELLING:
    case ATTEMPT_CANCELLED:
    case ATTEMPT_ABANDONED:
    case ATTEMPT_TAKEN:
    case ATTEMPT_STATE_COUNT:
        break;
    }
    return -1;
}

static bool are_attempt_times_sound(const struct attempt_record *attempt)
{
    const int accepted = was_accepted(attempt->state);
    const int64_t last_ms = attempt->accepted_ms != 0 ? attempt->accepted_ms : attempt->begun_ms;
    return attempt->begun_ms > 0 &&
           (attempt->accepted_ms == 0
                ? accepted <= 0
                : accepted != 0 && attempt->accepted_ms >= attempt->begun_ms) &&
           (attempt_is_open(attempt->state) ? attempt->closed_ms == 0
                                            : attempt->closed_ms >= last_ms);
}

static bool is_upstream_sound(const struct task *task)
{
    const struct attempt_record *attempt = &task->attempt;
    const bool was_attempted = is_under_way(task->state) || task->state == TASK_COMPLETED;
    if (attempt->id[0] == '\0')
        return is_blank(attempt) && (task->is_local || (!was_attempted && !task->is_command));
    if (!id_is_typeid(attempt->id, "att") || (unsigned)attempt->state >= ATTEMPT_STATE_COUNT)
        return false;
    const bool has_job_id = attempt_has_job_id(attempt);
    const bool needs_job_id = attempt->accepted_ms != 0 || attempt->state == ATTEMPT_CONFIRMING;
    return !task->is_local && !task->is_command && attempt->number >= 1 &&
           attempt->channel != NULL && attempt->credential != NULL &&
           strcmp(shared_text_of(attempt->channel), shared_text_of(task->channel)) == 0 &&
           do_states_fit(task->state, attempt->state) && are_attempt_times_sound(attempt) &&
           (has_job_id || !needs_job_id) &&
           (task->state != TASK_FETCHING || attempt->job->outputs != NULL);
}

static bool are_refusals_sound(const struct task *task)
{
    return task->n_refused >= 0 && task->n_refused <= TASK_REFUSALS_MAX && task->n_put_off >= 0;
}

static bool is_failure_sound(const struct task *task)
{
    if ((task->state == TASK_CANCELLED) != (task->failure == TASK_FAILURE_CANCELLED))
        return false;
    const bool has_failed = task->state == TASK_FAILED || task->state == TASK_CANCELLED;
    return (task->failure != TASK_FAILURE_NONE) == has_failed &&
           (has_failed || task->failure_note == NULL);
}

static bool is_result_sound(const struct task *task)
{
    const struct task_result *result = &task->result;
    if (task->state != TASK_COMPLETED)
        return result->generation_id[0] == '\0';
    return id_is_typeid(result->generation_id, "gen") && result->width >= 1 &&
           result->height >= 1 && result->n_frames >= 1 && result->duration_ms >= 1 &&
           result->stored_micros >= 1;
}

static bool is_progress_sound(const struct task *task)
{
    /* Written so that NaN is not sound. */
    return task->progress >= 0.0 && task->progress <= 1.0 &&
           (task->state != TASK_COMPLETED || task->progress >= 1.0);
}

bool task_is_sound(const struct task *task)
{
    return task->request != NULL && (unsigned)task->state < TASK_STATE_COUNT &&
           (unsigned)task->failure < TASK_FAILURE_COUNT && are_times_sound(task) &&
           is_attempt_sound(task) && is_upstream_sound(task) && are_refusals_sound(task) &&
           is_failure_sound(task) && is_erasure_sound(task) && is_result_sound(task) &&
           is_progress_sound(task);
}
