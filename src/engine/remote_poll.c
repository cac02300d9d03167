/* SPDX-License-Identifier: Apache-2.0
 *
 * The polls of an attempt's job: when the next one is due, and what an answer means. A poll that tells nothing changes
 * nothing but the time of the next one. A callback brings a poll forward and is not believed otherwise: what that poll tells
 * counts, and where it tells that the job goes on, the one that was planned stays planned. A look before a cancel
 * (remote_cancel.c) waits for its turn here as every poll does, and hears the answer itself. Everything that is told goes out
 * as the last thing that a function does, but for what ends nothing: whoever hears it may free us. */
#include "engine/remote_own.h"

#include <string.h>

#include "asset/callback_link.h"
#include "base/clock.h"
#include "base/json.h"

static void poll_now(struct remote *remote);

/* What was planned, or what a callback brought forward. */
static void await_poll(struct remote *remote)
{
    int64_t now_ms = clock_mono_ms();
    int64_t at_ms = remote->is_called
                        ? policy_hasten_poll(&remote->watch, remote->planned_ms, now_ms)
                        : remote->planned_ms;
    remote_later(remote, poll_now, at_ms > now_ms ? at_ms - now_ms : 0);
}

static void plan_poll(struct remote *remote, int64_t retry_after_ms)
{
    const struct policy_poll poll = {
        .first_ms = remote->channel->poll_first_ms,
        .every_ms = remote->channel->poll_every_ms,
        .longest_ms = remote->channel->poll_longest_ms,
    };
    const struct policy_durations *durations = credentials_durations(
        remote->credentials, remote->channel->name, remote->model, remote->duration_s);
    int64_t now_ms = clock_mono_ms();
    remote->planned_ms =
        policy_next_poll(&poll, &remote->watch, durations, now_ms, retry_after_ms, remote_dice());
    remote->watch.rest_until_ms = retry_after_ms > 0 ? now_ms + retry_after_ms : 0;
    await_poll(remote);
}

/* The job goes on. One look more, because somebody called, neither puts off the one that was planned nor begins a row of
 * early ones. */
static void go_on(struct remote *remote)
{
    if (remote->planned_ms > clock_mono_ms()) {
        await_poll(remote);
    } else {
        plan_poll(remote, 0);
    }
}

static void on_trouble(struct remote *remote, const char *note,
                       const struct dialogue_outcome *outcome)
{
    int64_t now_ms = clock_mono_ms();
    remote->credential->n_troubles++;
    policy_note_trouble(&remote->watch, now_ms);
    remote_note(remote, LOG_WARN, "a poll told nothing", note);
    remote_judge_trouble(remote, note, outcome);
    if (outcome->end == DIALOGUE_TROUBLE && outcome->status != 429) {
        policy_breaker_fail(&remote->credential->breaker, now_ms);
    }
    if (outcome->status == 429 && remote->task->state == TASK_RENDERING) {
        remote->looked_ms = 0; /* it has not had its turn */
    }
    plan_poll(remote, outcome->retry_after_ms);
}

/* Ends the attempt; what was used is told with it, for a failure may be charged for, too. */
static void fail(struct remote *remote, const json_t *said, enum task_failure failure,
                 bool may_retry)
{
    struct attempt_job *job = remote_used(remote, said);
    remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_FAILED,
                                             .failure = failure,
                                             .may_retry = may_retry,
                                             .job = job});
    attempt_job_unref(job);
}

static void on_done(struct remote *remote, const json_t *said,
                    const struct dialogue_outcome *outcome)
{
    const json_t *outputs = json_object_get(said, "outputs");
    remote_judge(remote, REMOTE_VERDICT_DONE, NULL);
    if (json_array_size(outputs) == 0 && !policy_note_empty(&remote->watch, clock_mono_ms())) {
        plan_poll(remote, 0);
        return;
    }
    if (json_array_size(outputs) == 0) {
        fail(remote, said, TASK_FAILURE_NO_VIDEO, false);
        return;
    }
    struct attempt_job *job = remote_job(remote->task->attempt.job, NULL, said);
    if (!job->outputs) {
        attempt_job_unref(job);
        remote_explain(remote, LOG_ERROR, "the result cannot be had",
                       "what the adapter says of the outputs is too long");
        fail(remote, said, TASK_FAILURE_RESULT_LOST, false);
        return;
    }
    int64_t took_ms = clock_mono_ms() - remote->watch.accepted_ms;
    bool is_renewal = remote->task->state == TASK_FETCHING;
    if (!is_renewal && !remote->is_resumed) {
        policy_learn(credentials_durations(remote->credentials, remote->channel->name,
                                           remote->model, remote->duration_s),
                     took_ms, remote->n_beside);
        policy_learn(&remote->credential->durations, took_ms, remote->n_beside);
    }
    remote_keep_blobs(remote, outcome);
    remote_tell(remote,
                &(struct task_event){.kind = is_renewal ? TASK_EVENT_RENEWED : TASK_EVENT_RENDERED,
                                     .job = job});
    attempt_job_unref(job);
}

static void on_upstream_failed(struct remote *remote, const json_t *said)
{
    const json_t *error = json_object_get(said, "error");
    const char *kind = json_text(error, "kind"), *message = json_text(error, "message");
    bool is_moderated = kind && strcmp(kind, "moderated") == 0;
    bool is_refused = kind && strcmp(kind, "refused") == 0;
    remote_note(remote, LOG_WARN, "the job failed there",
                message ? message : "no reason was given");
    remote_judge(remote, REMOTE_VERDICT_FAILED, message);
    fail(remote, said, is_moderated ? TASK_FAILURE_MODERATED : TASK_FAILURE_UPSTREAM_FAILED,
         kind && !is_moderated && !is_refused);
}

static void on_gone(struct remote *remote)
{
    remote_judge(remote, REMOTE_VERDICT_GONE, NULL);
    if (policy_note_gone(&remote->watch, clock_mono_ms())) {
        remote_explain(remote, LOG_ERROR, "the job is gone", "the upstream does not know it");
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_GONE,
                                                 .is_certain = remote->channel->looks_up_surely,
                                                 .on_unknown = remote->channel->on_unknown});
    } else {
        plan_poll(remote, 0);
    }
}

/* Tells at most two things, neither of which ends anything, but past its deadline: the handler queues what it cannot take at
 * once. */
static void on_under_way(struct remote *remote, const json_t *said, bool is_pending)
{
    double progress = json_number(said, "progress", -1.0);
    remote->is_pending = is_pending;
    remote->is_seen = true;
    policy_note_progress(&remote->watch, progress, clock_mono_ms());
    bool is_late = remote->is_late && remote->task->state == TASK_RENDERING;
    if (is_late && ++remote->n_late_looks >= REMOTE_LATE_LOOKS) {
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_DEADLINE, .is_final = true});
        return;
    }
    if (is_late) {
        remote->planned_ms = clock_mono_ms() + REMOTE_LATE_PAUSE_MS;
        await_poll(remote);
    } else {
        go_on(remote);
    }
    remote_judge(remote,
                 progress > 0 ? REMOTE_VERDICT_PROGRESS
                 : is_pending ? REMOTE_VERDICT_PENDING
                              : REMOTE_VERDICT_RENDERING,
                 NULL);
    remote->handler.queue_position(remote->handler.context, json_int(said, "queue_position", 0));
    if (remote->task->attempt.state == ATTEMPT_CONFIRMING) {
        log_task(LOG_INFO, remote->task->request->id,
                 "channel \"%s\": its submit was taken: the job is known there",
                 remote->channel->name);
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_CONFIRMED});
    } else if (remote_has_news(remote, said)) {
        struct attempt_job *job = remote_job(remote->task->attempt.job, NULL, said);
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_KEPT, .job = job});
        attempt_job_unref(job);
    }
    if (progress > 0) {
        remote_tell(remote,
                    &(struct task_event){.kind = TASK_EVENT_PROGRESS, .progress = progress});
    }
}

static void heed(struct remote *remote, const json_t *said, const struct dialogue_outcome *outcome)
{
    const char *message = json_text(said, "message");
    enum remote_state state = remote_state_of(said);
    switch (state) {
    case REMOTE_STATE_NONE:
        on_trouble(remote, "what the adapter says of the job has no state", outcome);
        break;
    case REMOTE_STATE_UNCLEAR:
        on_trouble(remote, message ? message : "the adapter does not know what the answer means",
                   outcome);
        break;
    case REMOTE_STATE_PENDING:
    case REMOTE_STATE_RENDERING:
        on_under_way(remote, said, state == REMOTE_STATE_PENDING);
        break;
    case REMOTE_STATE_DONE:
        on_done(remote, said, outcome);
        break;
    case REMOTE_STATE_FAILED:
        on_upstream_failed(remote, said);
        break;
    case REMOTE_STATE_CANCELLED:
        remote_note(remote, LOG_WARN, "the job was cancelled there", "not by us");
        remote_judge(remote, REMOTE_VERDICT_CANCELLED, NULL);
        fail(remote, said, TASK_FAILURE_UPSTREAM_FAILED, false);
        break;
    case REMOTE_STATE_GONE:
        on_gone(remote);
        break;
    case REMOTE_STATE_FOREIGN:
        on_trouble(remote, "the adapter says a state that there is not", outcome);
        break;
    }
}

static void on_polled(void *context, const struct dialogue_outcome *outcome)
{
    struct remote *remote = context;
    struct dialogue *ended = remote->dialogue;
    remote->dialogue = NULL;
    remote_leave_polls(remote);
    remote->credential->n_polls++;
    if (outcome->end == DIALOGUE_ANSWERED) {
        heed(remote, outcome->result, outcome);
    } else {
        on_trouble(remote, outcome->note, outcome);
    }
    dialogue_stop(ended);
}

static void note_look(struct remote *remote)
{
    if (remote->is_late && remote->looked_ms == 0) {
        remote->looked_ms = clock_mono_ms();
    }
}

static void ask(struct remote *remote)
{
    int64_t wait_ms =
        policy_take(&remote->credential->polls, remote->channel->polls_per_minute, clock_mono_ms());
    if (wait_ms > 0) {
        remote_later(remote, poll_now, wait_ms);
    } else {
        remote->credential->n_polling += !remote->is_polling;
        remote->is_polling = true;
        note_look(remote);
        if (remote->is_called) {
            remote->is_called = false;
            remote->watch.hastened_ms = clock_mono_ms();
        }
        remote_ask(remote, DIALOGUE_POLL, remote_input(remote),
                   remote->looked ? remote->looked : on_polled);
    }
}

/* ---- the line before the polls of a credential ---- */

static void stand_in_line(struct remote *remote)
{
    if (!remote->is_due) {
        if (remote->is_late) { /* its time is short */
            TAILQ_INSERT_HEAD(&remote->credential->due, remote, due);
        } else {
            TAILQ_INSERT_TAIL(&remote->credential->due, remote, due);
        }
        remote->is_due = true;
    }
}

static void leave_line(struct remote *remote)
{
    if (remote->is_due) {
        TAILQ_REMOVE(&remote->credential->due, remote, due);
        remote->is_due = false;
    }
}

static bool is_crowded(const struct credential *credential)
{
    return credential->n_polling >= CREDENTIAL_POLLS_MAX;
}

/* One that finds the budget spent goes on waiting elsewhere, and makes room for the next. */
static void let_next_ask(struct credential *credential)
{
    while (!is_crowded(credential) && !TAILQ_EMPTY(&credential->due)) {
        struct remote *next = TAILQ_FIRST(&credential->due);
        leave_line(next);
        ask(next);
    }
}

void remote_leave_polls(struct remote *remote)
{
    remote->credential->n_polling -= remote->is_polling;
    remote->is_polling = false;
    leave_line(remote);
    let_next_ask(remote->credential);
}

/* What came with the answer to the submit is the first poll's. */
static void poll_now(struct remote *remote)
{
    json_t *held = TAKE(remote->held);
    if (held) {
        note_look(remote);
        const struct remote_blobs *blobs = remote->blobs;
        const struct dialogue_outcome outcome = {
            .end = DIALOGUE_ANSWERED,
            .blobs = blobs ? blobs->list : NULL,
            .n_blobs = blobs ? blobs->n : 0,
            .blob_file = blobs ? blobs->file : -1,
        };
        heed(remote, held, &outcome);
        json_decref(held);
    } else if (is_crowded(remote->credential)) {
        stand_in_line(remote);
    } else {
        ask(remote);
    }
}

/* ---- callbacks ---- */

/* Noted also while a poll is under way, whose answer may be older than the callback, or stands in line. Once the job is done
 * nobody asks how it stands, but for a new link, at the pace of that; once the task has ended, but before a cancel. */
static void on_called(struct callback_listener *listener)
{
    struct remote *remote = CONTAINER_OF(listener, struct remote, listener);
    if (remote->fetch || task_state_is_end(remote->task->state)) {
        return;
    }
    remote->is_called = true;
    if (loop_is_armed(&remote->timer) && remote->at_time == poll_now) {
        await_poll(remote);
    }
}

/* As if the upstream had called: a wish for rest is heeded, and what is asked already is not asked twice. */
void remote_look(struct remote *remote)
{
    remote->is_late = true;
    on_called(&remote->listener);
}

int64_t remote_looked_ms(const struct remote *remote)
{
    return remote->looked_ms;
}

static void await_callbacks(struct remote *remote)
{
    if (remote->channel->callback_base && remote->room->callbacks) {
        remote->listener.attempt_id = remote->attempt_id;
        remote->listener.called = on_called;
        callbacks_add_listener(remote->room->callbacks, &remote->listener);
    }
}

char *remote_callback(const struct remote *remote)
{
    const char *base = remote->channel->callback_base;
    return base && remote->room->link_keys
               ? callback_link_sign(&remote->room->link_keys->current, base, remote->attempt_id)
               : NULL;
}

void remote_poll(struct remote *remote, const struct task *task)
{
    int64_t since_ms = clock_wall_ms() - task->attempt.accepted_ms;
    remote_take(remote, task);
    json_decref(remote_describe(remote)); /* names the model */
    remote->is_resumed = !remote->has_sent;
    remote->watch = (struct policy_watch){.accepted_ms = clock_mono_ms()};
    if (task->attempt.accepted_ms > 0 && since_ms > 0) {
        remote->watch.accepted_ms -= since_ms;
    }
    remote->is_called = false;
    await_callbacks(remote);
    if (remote->held) {
        remote_later(remote, poll_now, 0);
    } else {
        plan_poll(remote, 0);
    }
}

void remote_poll_soon(struct remote *remote, int n)
{
    int64_t pause_ms =
        n > 1 ? policy_backoff(REMOTE_RETRY_MS, REMOTE_RETRY_MOST_MS, n, remote_dice()) : 0;
    remote->planned_ms = 0; /* that was for a job which is not done */
    remote_later(remote, poll_now, pause_ms);
}
