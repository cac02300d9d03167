/* SPDX-License-Identifier: Apache-2.0
 *
 * The submit of an attempt: prepared, with its share of the credential's budget set aside, then sent, and its answer
 * judged. An answer is one of three: accepted, certainly not taken, or lost; what may have been bought is never called not
 * taken. Everything that is told goes out as the last thing that a function does: whoever hears it may free us. */
#include "engine/remote_own.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "upstream/describe.h"

enum { RETRY_ASKED_MAX_S = 24 * 60 * 60 }; /* what an adapter asks for beyond it is no wish */

/* Certainly not taken, and so nothing was spent. `retry_after_ms` keeps the task from every channel: the rest that a
 * credential is given is not the task's, which may go elsewhere. */
static void turn_away(struct remote *remote, enum task_failure failure, bool is_final,
                      int64_t retry_after_ms, const char *note)
{
    remote->credential->n_refused++;
    remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_TURNED_AWAY,
                                             .channel = remote->channel->name,
                                             .failure = failure,
                                             .is_final = is_final,
                                             .retry_after_ms = retry_after_ms,
                                             .note = note});
}

static void lose_answer(struct remote *remote, const char *note)
{
    remote_explain(remote, LOG_ERROR, "the answer to a submit was lost", note);
    policy_breaker_fail(&remote->credential->breaker, clock_mono_ms());
    remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_ANSWER_LOST,
                                             .on_unknown = remote->channel->on_unknown,
                                             .can_confirm = remote->channel->can_choose_job});
}

/* What an adapter may call a refusal, and what follows from it. */
static const struct refusal {
    const char *kind;
    enum task_failure failure;
    bool is_final; /* of the task with this channel */
    bool is_rest;  /* of the credential */
} refusals[] = {
    {"refused", TASK_FAILURE_UPSTREAM_REFUSED, true, false},
    {"moderated", TASK_FAILURE_MODERATED, true, false},
    {"busy", TASK_FAILURE_UPSTREAM_REFUSED, false, true},
    {"auth", TASK_FAILURE_UPSTREAM_REFUSED, false, true},
    {"quota", TASK_FAILURE_UPSTREAM_REFUSED, false, true},
};

static const struct refusal *refusal_of(const char *kind)
{
    for (size_t i = 0; kind && i < ARRAY_LENGTH(refusals); i++) {
        if (strcmp(kind, refusals[i].kind) == 0) {
            return &refusals[i];
        }
    }
    return NULL;
}

/* The answer's own Retry-After goes before what the adapter read out of it. */
static int64_t retry_of(const json_t *error, const struct dialogue_outcome *outcome)
{
    double asked_s = json_number(error, "retry_after_s", 0);
    bool is_asked = asked_s > 0 && asked_s < RETRY_ASKED_MAX_S;
    return outcome->retry_after_ms == 0 && is_asked ? (int64_t)(asked_s * 1000)
                                                    : outcome->retry_after_ms;
}

/* Behind such an answer the job may have been taken, whatever the body tells: an adapter that knows better says so. */
static bool is_doubtful(const json_t *error, const struct dialogue_outcome *outcome)
{
    bool is_broken = outcome->status >= 500 || outcome->status == 408 || outcome->status == 499;
    return outcome->was_bought && is_broken && !json_flag(error, "not_taken", false);
}

static const char UNCLEAR[] = "the adapter does not know what the answer means";

static void on_refusal(struct remote *remote, const json_t *error,
                       const struct dialogue_outcome *outcome)
{
    const char *message = json_text(error, "message");
    const struct refusal *refusal =
        is_doubtful(error, outcome) ? NULL : refusal_of(json_text(error, "kind"));
    int64_t retry_ms = retry_of(error, outcome);
    if (refusal) {
        remote_explain(remote, LOG_WARN, refusal->kind, message ? message : "no reason was given");
        if (refusal->is_rest) {
            policy_breaker_rest(&remote->credential->breaker, retry_ms, clock_mono_ms());
        } else {
            policy_breaker_succeed(&remote->credential->breaker); /* it is well enough to say no */
        }
        turn_away(remote, refusal->failure, refusal->is_final, refusal->is_rest ? 0 : retry_ms,
                  NULL);
    } else if (outcome->was_bought) {
        lose_answer(remote, message ? message : UNCLEAR);
    } else {
        remote_explain(remote, LOG_WARN, "a submit was not sent", message ? message : UNCLEAR);
        turn_away(remote, TASK_FAILURE_UPSTREAM_REFUSED, false, retry_ms, NULL);
    }
}

static void on_accepted(struct remote *remote, const char *id, const json_t *said,
                        const struct dialogue_outcome *outcome)
{
    struct attempt_job *job = remote_job(remote->task->attempt.job, id, said);
    policy_breaker_succeed(&remote->credential->breaker);
    remote->credential->n_accepted++;
    log_task(LOG_INFO, remote->task->request->id,
             "channel \"%s\", credential \"%s\": accepted as job %.300s", remote->channel->name,
             remote->identity->name, id);
    remote_hold(remote, json_object_get(said, "polled"), outcome);
    remote->dialogue = dialogue_stop(remote->dialogue);
    remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_ACCEPTED, .job = job});
    attempt_job_unref(job);
}

static bool is_job(const json_t *job, char ret_id[ATTEMPT_JOB_MAX + 1])
{
    if (json_is_integer(job)) {
        snprintf(ret_id, ATTEMPT_JOB_MAX + 1, "%lld", (long long)json_integer_value(job));
        return true;
    }
    size_t length = json_string_length(job);
    if (length == 0 || length > ATTEMPT_JOB_MAX) {
        return false;
    }
    memcpy(ret_id, json_string_value(job), length + 1);
    return true;
}

/* Before anything that buys has left, nothing can be lost. */
static void on_unsubmitted(struct remote *remote, const struct dialogue_outcome *outcome)
{
    if (outcome->end == DIALOGUE_INPUTS) {
        remote->handler.reason(remote->handler.context, outcome->note);
        turn_away(remote, outcome->failure, !outcome->may_retry, 0, outcome->note);
        return;
    }
    bool is_busy = outcome->status == 429;
    remote_explain(remote, LOG_WARN, "a submit did not reach the upstream", outcome->note);
    if (is_busy) {
        policy_breaker_rest(&remote->credential->breaker, outcome->retry_after_ms, clock_mono_ms());
    } else {
        policy_breaker_fail(&remote->credential->breaker, clock_mono_ms());
    }
    turn_away(remote, TASK_FAILURE_UPSTREAM_REFUSED, false, is_busy ? 0 : outcome->retry_after_ms,
              NULL);
}

static void enter_submits(struct remote *remote)
{
    remote->credential->n_submitting += !remote->is_submitting;
    remote->is_submitting = true;
}

void remote_leave_submits(struct remote *remote)
{
    remote->credential->n_submitting -= remote->is_submitting;
    remote->is_submitting = false;
}

/* What a client's host takes its time for keeps nobody's place. Afterwards it has one again, though there may be one too
 * many then. */
void remote_on_fetching(void *context, bool is_fetching)
{
    (is_fetching ? remote_leave_submits : enter_submits)(context);
}

static void on_submitted(void *context, const struct dialogue_outcome *outcome)
{
    struct remote *remote = context;
    char id[ATTEMPT_JOB_MAX + 1];
    const json_t *error = json_object_get(outcome->result, "error");
    remote->is_sending = false;
    remote_leave_submits(remote);
    if (outcome->end == DIALOGUE_ANSWERED && error) {
        on_refusal(remote, error, outcome);
    } else if (outcome->end == DIALOGUE_ANSWERED &&
               is_job(json_object_get(outcome->result, "job"), id)) {
        on_accepted(remote, id, outcome->result, outcome);
    } else if (outcome->was_bought) {
        lose_answer(remote, outcome->end == DIALOGUE_ANSWERED ? "it names no job" : outcome->note);
    } else {
        on_unsubmitted(remote, outcome);
    }
}

void remote_on_ready(void *context)
{
    struct remote *remote = context;
    char uuid[37];
    struct attempt_job *job = NULL;
    if (remote->channel->can_choose_job) {
        describe_uuid(remote->attempt_id, uuid);
        job = attempt_job_new(uuid, NULL, NULL, NULL, NULL);
    }
    remote->handler.ready(remote->handler.context,
                          &(struct task_event){.kind = TASK_EVENT_SLOT_GRANTED,
                                               .channel = remote->channel->name,
                                               .credential = remote->identity->name,
                                               .attempt_id = remote->attempt_id,
                                               .job = job});
    attempt_job_unref(job);
}

/* At once, not when it leaves: of the others that are granted a slot in the same turn, each must find what is left. */
static void reserve(struct remote *remote)
{
    struct credential *credential = remote->credential;
    int64_t now_ms = clock_mono_ms();
    (void)!policy_take(&credential->submits, remote->channel->submits_per_minute, now_ms);
    remote->is_trial = policy_breaker_try(&credential->breaker, now_ms);
    remote->is_reserved = true;
    enter_submits(remote);
}

void remote_give_back(struct remote *remote)
{
    if (remote->is_trial) {
        policy_breaker_withdraw(&remote->credential->breaker, clock_mono_ms());
    }
    if (remote->is_reserved) {
        policy_give_back(&remote->credential->submits);
    }
    remote->is_reserved = remote->is_trial = false;
}

void remote_prepare(struct remote *remote, const struct task *task)
{
    remote_take(remote, task);
    reserve(remote);
    id_new("att", remote->attempt_id, sizeof remote->attempt_id);
    CLEANUP(free_pointer) char *callback = remote_callback(remote);
    json_t *input = json_object();
    json_t *told = remote_describe(remote);
    json_set_text(told, "callback", callback);
    json_set(input, "task", told);
    remote_ask(remote, DIALOGUE_SUBMIT, input, on_submitted);
}

void remote_send(struct remote *remote, const struct task *task)
{
    remote_take(remote, task);
    remote->is_sending = remote->has_sent = true;
    remote->n_beside = remote->credential->n_in_flight - 1;
    remote->credential->n_submits++;
    remote->is_reserved = remote->is_trial = false;
    dialogue_go(remote->dialogue);
}
