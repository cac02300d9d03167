/* SPDX-License-Identifier: Apache-2.0
 *
 * The attempt's conversation: one dialogue at a time (submit, poll or cancel). Its result is remote_result.c's. Everything
 * that is told goes out as the last thing that a function does: whoever hears it may free us. */
#include "engine/remote_own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "upstream/describe.h"

uint64_t remote_dice(void)
{
    uint64_t dice;
    crypt_random(&dice, sizeof dice);
    return dice;
}

void remote_tell(struct remote *remote, const struct task_event *event)
{
    remote->handler.event(remote->handler.context, event);
}

void remote_retry(struct remote *remote, void (*what)(struct remote *remote), int n_tries)
{
    remote->at_retry = what;
    loop_arm(remote->room->loop, &remote->retry,
             policy_backoff(REMOTE_RETRY_MS, REMOTE_RETRY_MOST_MS, n_tries, remote_dice()));
}

static void on_retry(struct loop_timer *timer)
{
    struct remote *remote = CONTAINER_OF(timer, struct remote, retry);
    remote->at_retry(remote);
}

void remote_note(struct remote *remote, enum log_level level, const char *what, const char *note)
{
    log_task(level, remote->task->request->id, "channel \"%s\": %s: %s", remote->channel->name,
             what, note);
    credential_note_error(remote->credential, note);
}

/* ---- the task at hand ---- */

void remote_take(struct remote *remote, const struct task *task)
{
    task_ref(task);
    task_unref(remote->task);
    remote->task = task;
    if (task->attempt.id[0] != '\0') {
        snprintf(remote->attempt_id, sizeof remote->attempt_id, "%s", task->attempt.id);
    }
}

/* The model may have left the configuration since: then it is called there as it was asked for. */
static json_t *portrait(struct remote *remote)
{
    const struct task_request *request = remote->task->request;
    struct channel_fit fit;
    char wrong[CHANNEL_ERROR_SIZE];
    if (!channel_serves(remote->channel, request->model, &remote->model)) {
        remote->model = request->model;
    }
    if (!channel_fits(remote->channel, remote->model, request, &fit, wrong)) {
        fit = (struct channel_fit){
            .duration_s = request->duration_s, .width = request->width, .height = request->height};
    }
    remote->duration_s = fit.duration_s;
    return describe_task(request, remote->channel, remote->model, &fit, remote->attempt_id);
}

static json_t *input_of(struct remote *remote)
{
    const struct attempt_job *job = remote->task->attempt.job;
    json_t *input = json_object();
    json_set(input, "task", portrait(remote));
    json_set_text(input, "job", job ? job->id : NULL);
    return input;
}

/* Looked at when a poll begins: the job may change while the program is asked for the one before. */
static char **asked_for(struct remote *remote, struct attempt_job *job)
{
    if (remote->asked_for != job) {
        free(TAKE(remote->asked));
        attempt_job_unref(remote->asked_for);
        remote->asked_for = attempt_job_ref(job);
    }
    return &remote->asked;
}

static void start_dialogue(struct remote *remote, enum dialogue_kind kind, json_t *input,
                           void (*done)(void *, const struct dialogue_outcome *))
{
    struct attempt_job *job = remote->task->attempt.job;
    const struct dialogue_spec spec = {
        .kind = kind,
        .channel = remote->channel,
        .credential = remote->key,
        .task = remote->task,
        .input = input,
        .keep = kind != DIALOGUE_SUBMIT && job ? job->keep : NULL,
        .asked = kind == DIALOGUE_POLL ? asked_for(remote, job) : NULL,
        .ready = remote_on_ready,
        .done = done,
        .context = remote,
    };
    dialogue_stop(remote->dialogue); /* a submit's, whose answer was lost */
    remote->dialogue = dialogue_start(remote->room, &spec);
}

/* What belongs to the job after an answer: what it does not name stays. Texts that are too long are an adapter's fault
 * that must not cost the job: they are left out, but for its id. */
static char *bounded(const json_t *value, size_t most)
{
    char *text = value && !json_is_null(value)
                     ? json_dumps(value, JSON_WRITE_FLAGS | JSON_ENCODE_ANY)
                     : NULL;
    if (text && strlen(text) > most) {
        free(text);
        return NULL;
    }
    return text;
}

/* The first is the video: it is not lost because there are thousands of others. */
static char *outputs_of(const json_t *said)
{
    const json_t *outputs = json_object_get(said, "outputs");
    char *text = bounded(outputs, ATTEMPT_OUTPUTS_MAX);
    if (text || json_array_size(outputs) < 2) {
        return text;
    }
    CLEANUP(json_unref_pointer) json_t *first = json_array();
    must(json_array_append(first, json_array_get(outputs, 0)) == 0);
    return bounded(first, ATTEMPT_OUTPUTS_MAX);
}

static const char *enhanced_of(const json_t *said)
{
    const json_t *text = json_object_get(said, "enhanced_prompt");
    return json_string_length(text) <= ATTEMPT_PROMPT_MAX ? json_string_value(text) : NULL;
}

static struct attempt_job *job_of(const struct attempt_job *old, const char *id, const json_t *said)
{
    CLEANUP(free_pointer) char *keep = bounded(json_object_get(said, "keep"), ATTEMPT_KEEP_MAX);
    CLEANUP(free_pointer) char *outputs = outputs_of(said);
    CLEANUP(free_pointer) char *usage = bounded(json_object_get(said, "usage"), ATTEMPT_KEEP_MAX);
    const char *enhanced = enhanced_of(said);
    return attempt_job_new(id    ? id
                           : old ? old->id
                                 : NULL,
                           keep  ? keep
                           : old ? old->keep
                                 : NULL,
                           outputs ? outputs
                           : old   ? old->outputs
                                   : NULL,
                           enhanced ? enhanced
                           : old    ? old->enhanced_prompt
                                    : NULL,
                           usage ? usage
                           : old ? old->usage
                                 : NULL);
}

/* ---- submit ---- */

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
    remote->credential->n_unknown++;
    remote_note(remote, LOG_ERROR, "the answer to a submit was lost", note);
    policy_breaker_fail(&remote->credential->breaker, clock_mono_ms());
    remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_ANSWER_LOST,
                                             .on_unknown = remote->channel->on_unknown,
                                             .can_confirm = remote->channel->can_choose_job});
}

static const struct {
    const char *kind;
    enum task_failure failure;
    bool is_final, is_rest; /* of the task with this channel; of the credential */
} refusals[] = {
    {"refused", TASK_FAILURE_UPSTREAM_REFUSED, true, false},
    {"moderated", TASK_FAILURE_MODERATED, true, false},
    {"busy", TASK_FAILURE_UPSTREAM_REFUSED, false, true},
    {"auth", TASK_FAILURE_UPSTREAM_REFUSED, false, true},
    {"quota", TASK_FAILURE_UPSTREAM_REFUSED, false, true},
};

static void on_refusal(struct remote *remote, const json_t *error,
                       const struct dialogue_outcome *outcome)
{
    const char *kind = json_text(error, "kind"), *message = json_text(error, "message");
    int64_t retry_ms = outcome->retry_after_ms;
    double asked_s = json_number(error, "retry_after_s", 0);
    if (asked_s > 0 && asked_s < 86400.0 && retry_ms == 0) {
        retry_ms = (int64_t)(asked_s * 1000);
    }
    for (size_t i = 0; kind && i < ARRAY_LENGTH(refusals); i++) {
        if (strcmp(kind, refusals[i].kind) != 0) {
            continue;
        }
        remote_note(remote, LOG_WARN, kind, message ? message : "no reason was given");
        if (refusals[i].is_rest) {
            policy_breaker_rest(&remote->credential->breaker, retry_ms, clock_mono_ms());
        } else {
            policy_breaker_succeed(&remote->credential->breaker); /* it is well enough to say no */
        }
        turn_away(remote, refusals[i].failure, refusals[i].is_final,
                  refusals[i].is_rest ? 0 : retry_ms, NULL);
        return;
    }
    if (outcome->was_bought) {
        lose_answer(remote, message ? message : "the adapter does not know what the answer means");
    } else {
        turn_away(remote, TASK_FAILURE_UPSTREAM_REFUSED, false, retry_ms, NULL);
    }
}

static void on_accepted(struct remote *remote, const char *id, const json_t *said,
                        const struct dialogue_outcome *outcome)
{
    struct attempt_job *job = job_of(remote->task->attempt.job, id, said);
    policy_breaker_succeed(&remote->credential->breaker);
    remote->credential->n_accepted++;
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
        turn_away(remote, outcome->failure, !outcome->may_retry, 0, outcome->note);
        return;
    }
    remote_note(remote, LOG_WARN, "a submit did not reach the upstream", outcome->note);
    if (outcome->status == 429) {
        policy_breaker_rest(&remote->credential->breaker, outcome->retry_after_ms, clock_mono_ms());
    } else {
        policy_breaker_fail(&remote->credential->breaker, clock_mono_ms());
    }
    turn_away(remote, TASK_FAILURE_UPSTREAM_REFUSED, false,
              outcome->status == 429 ? 0 : outcome->retry_after_ms, NULL);
}

static void on_submitted(void *context, const struct dialogue_outcome *outcome)
{
    struct remote *remote = context;
    char id[ATTEMPT_JOB_MAX + 1];
    const json_t *error = json_object_get(outcome->result, "error");
    remote->is_sending = false;
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
                                               .credential = remote->key->name,
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
}

static void give_back(struct remote *remote)
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
    json_t *input = json_object();
    json_set(input, "task", portrait(remote));
    start_dialogue(remote, DIALOGUE_SUBMIT, input, on_submitted);
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

bool remote_is_sending(const struct remote *remote)
{
    return remote->is_sending;
}

/* ---- poll ---- */

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
    int64_t at_ms =
        policy_next_poll(&poll, &remote->watch, durations, now_ms, retry_after_ms, remote_dice());
    loop_arm(remote->room->loop, &remote->poll, at_ms > now_ms ? at_ms - now_ms : 0);
}

static void on_trouble(struct remote *remote, const char *note,
                       const struct dialogue_outcome *outcome)
{
    int64_t now_ms = clock_mono_ms();
    remote->credential->n_troubles++;
    policy_note_trouble(&remote->watch, now_ms);
    remote_note(remote, LOG_WARN, "a poll told nothing", note);
    if (outcome->end == DIALOGUE_TROUBLE && outcome->status != 429) {
        policy_breaker_fail(&remote->credential->breaker, now_ms);
    }
    plan_poll(remote, outcome->retry_after_ms);
}

static void on_done(struct remote *remote, const json_t *said,
                    const struct dialogue_outcome *outcome)
{
    const json_t *outputs = json_object_get(said, "outputs");
    if (json_array_size(outputs) == 0) {
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_FAILED,
                                                 .failure = TASK_FAILURE_NO_VIDEO});
        return;
    }
    struct attempt_job *job = job_of(remote->task->attempt.job, NULL, said);
    if (!job->outputs) {
        attempt_job_unref(job);
        remote_note(remote, LOG_ERROR, "the result cannot be had",
                    "what the adapter says of the outputs is too long");
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_FAILED,
                                                 .failure = TASK_FAILURE_RESULT_LOST});
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
    remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_FAILED,
                                             .failure = is_moderated ? TASK_FAILURE_MODERATED
                                                                     : TASK_FAILURE_UPSTREAM_FAILED,
                                             .may_retry = kind && !is_moderated && !is_refused});
}

static void on_gone(struct remote *remote)
{
    if (policy_note_gone(&remote->watch, clock_mono_ms())) {
        remote_note(remote, LOG_ERROR, "the job is gone", "the upstream does not know it");
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_GONE});
    } else {
        plan_poll(remote, 0);
    }
}

static bool has_new_keep(const struct remote *remote, const json_t *said)
{
    const struct attempt_job *job = remote->task->attempt.job;
    CLEANUP(free_pointer) char *keep = bounded(json_object_get(said, "keep"), ATTEMPT_KEEP_MAX);
    const char *enhanced = enhanced_of(said);
    return (keep && (!job || !job->keep || strcmp(keep, job->keep) != 0)) ||
           (enhanced &&
            (!job || !job->enhanced_prompt || strcmp(enhanced, job->enhanced_prompt) != 0));
}

/* Tells at most two things, neither of which ends anything: the handler queues what it cannot take at once. */
static void on_under_way(struct remote *remote, const json_t *said, bool is_pending)
{
    double progress = json_number(said, "progress", -1.0);
    remote->is_pending = is_pending;
    policy_note_progress(&remote->watch, progress, clock_mono_ms());
    plan_poll(remote, 0);
    remote->handler.queue_position(remote->handler.context, json_int(said, "queue_position", 0));
    if (remote->task->attempt.state == ATTEMPT_CONFIRMING) {
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_CONFIRMED});
    } else if (has_new_keep(remote, said)) {
        struct attempt_job *job = job_of(remote->task->attempt.job, NULL, said);
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
    const char *state = json_text(said, "state");
    if (!state || strcmp(state, "unclear") == 0) {
        const char *message = json_text(said, "message");
        on_trouble(remote, message ? message : "the adapter does not know what the answer means",
                   outcome);
    } else if (strcmp(state, "pending") == 0 || strcmp(state, "rendering") == 0) {
        on_under_way(remote, said, state[0] == 'p');
    } else if (strcmp(state, "done") == 0) {
        on_done(remote, said, outcome);
    } else if (strcmp(state, "failed") == 0) {
        on_upstream_failed(remote, said);
    } else if (strcmp(state, "cancelled") == 0) {
        remote_note(remote, LOG_WARN, "the job was cancelled there", "not by us");
        remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_FAILED,
                                                 .failure = TASK_FAILURE_UPSTREAM_FAILED});
    } else if (strcmp(state, "gone") == 0) {
        on_gone(remote);
    } else {
        on_trouble(remote, "the adapter says a state that there is not", outcome);
    }
}

static void on_polled(void *context, const struct dialogue_outcome *outcome)
{
    struct remote *remote = context;
    struct dialogue *ended = remote->dialogue;
    remote->dialogue = NULL;
    remote->credential->n_polls++;
    if (outcome->end == DIALOGUE_ANSWERED) {
        heed(remote, outcome->result, outcome);
    } else {
        on_trouble(remote, outcome->note, outcome);
    }
    dialogue_stop(ended);
}

static void ask(struct remote *remote)
{
    json_t *input = input_of(remote);
    int64_t wait_ms =
        policy_take(&remote->credential->polls, remote->channel->polls_per_minute, clock_mono_ms());
    if (wait_ms > 0) {
        json_decref(input);
        loop_arm(remote->room->loop, &remote->poll, wait_ms);
    } else {
        start_dialogue(remote, DIALOGUE_POLL, input, on_polled);
    }
}

/* What came with the answer to the submit is the first poll's. */
static void on_poll(struct loop_timer *timer)
{
    struct remote *remote = CONTAINER_OF(timer, struct remote, poll);
    json_t *held = TAKE(remote->held);
    if (held) {
        const struct dialogue_outcome outcome = {
            .end = DIALOGUE_ANSWERED,
            .blobs = remote->blobs,
            .n_blobs = remote->n_blobs,
            .blob_file = remote->blob_file,
        };
        heed(remote, held, &outcome);
        json_decref(held);
    } else {
        ask(remote);
    }
}

void remote_poll(struct remote *remote, const struct task *task)
{
    int64_t since_ms = clock_wall_ms() - task->attempt.accepted_ms;
    remote_take(remote, task);
    json_decref(portrait(remote)); /* names the model */
    remote->is_resumed = !remote->has_sent;
    remote->watch = (struct policy_watch){.accepted_ms = clock_mono_ms()};
    if (task->attempt.accepted_ms > 0 && since_ms > 0) {
        remote->watch.accepted_ms -= since_ms;
    }
    if (remote->held) {
        loop_arm(remote->room->loop, &remote->poll, 0);
    } else {
        plan_poll(remote, 0);
    }
}

void remote_know(struct remote *remote, const struct task *task)
{
    if (remote->task && strcmp(task->attempt.id, remote->attempt_id) == 0) {
        remote_take(remote, task);
    }
}

void remote_poll_soon(struct remote *remote, int n)
{
    int64_t pause_ms =
        n > 1 ? policy_backoff(REMOTE_RETRY_MS, REMOTE_RETRY_MOST_MS, n, remote_dice()) : 0;
    loop_arm(remote->room->loop, &remote->poll, pause_ms);
}

/* ---- cancel ---- */

static void close_cancel(struct remote *remote, bool was_stopped)
{
    remote_tell(remote,
                &(struct task_event){.kind = TASK_EVENT_CANCEL_CLOSED, .was_stopped = was_stopped});
}

static void ask_cancel(struct remote *remote);

static void on_cancelled(void *context, const struct dialogue_outcome *outcome)
{
    struct remote *remote = context;
    const char *state = json_text(outcome->result, "state");
    bool is_clear = outcome->end == DIALOGUE_ANSWERED && (!state || strcmp(state, "unclear") != 0);
    if (is_clear) {
        close_cancel(remote, state && strcmp(state, "cancelled") == 0);
        return;
    }
    remote_note(remote, LOG_WARN, "a cancel was not answered", outcome->note);
    remote->dialogue = dialogue_stop(remote->dialogue);
    if (++remote->n_tries >= REMOTE_CANCEL_TRIES) {
        close_cancel(remote, false);
    } else {
        remote_retry(remote, ask_cancel, remote->n_tries);
    }
}

static void ask_cancel(struct remote *remote)
{
    json_t *input = input_of(remote);
    json_set_text(input, "state", remote->is_pending ? "pending" : "rendering");
    start_dialogue(remote, DIALOGUE_CANCEL, input, on_cancelled);
}

static void cannot_cancel(struct remote *remote)
{
    close_cancel(remote, false);
}

void remote_cancel(struct remote *remote, const struct task *task)
{
    const struct channel *channel = remote->channel;
    bool can = remote->is_pending ? channel->can_cancel_pending : channel->can_cancel_rendering;
    remote_take(remote, task);
    remote->n_tries = 0;
    remote->dialogue = dialogue_stop(remote->dialogue);
    remote->at_retry = can ? ask_cancel : cannot_cancel;
    loop_arm(remote->room->loop, &remote->retry, 0);
}

/* ---- beginning and end ---- */

struct remote *remote_new(const struct engine_room *room, struct credentials *credentials,
                          struct channel_table *table, const struct route *route,
                          const struct remote_handler *handler)
{
    struct remote *remote = must_calloc(1, sizeof *remote);
    remote->room = room;
    remote->credentials = credentials;
    remote->table = channel_table_ref(table);
    remote->channel = route->channel;
    remote->key = route->key;
    remote->credential = route->credential;
    remote->handler = *handler;
    remote->retry.fire = on_retry;
    remote->poll.fire = on_poll;
    remote->video = remote->blob_file = -1;
    remote->is_pending = true;
    remote->model = "";
    return remote;
}

void remote_halt(struct remote *remote, bool is_kept)
{
    loop_disarm(remote->room->loop, &remote->retry);
    loop_disarm(remote->room->loop, &remote->poll);
    remote->dialogue = dialogue_stop(remote->dialogue);
    remote->is_sending = false;
    give_back(remote);
    remote_halt_result(remote, is_kept);
}

struct remote *remote_free(struct remote *remote, bool is_kept)
{
    if (!remote) {
        return NULL;
    }
    remote_halt(remote, is_kept);
    remote_drop_blobs(remote);
    free(remote->asked);
    attempt_job_unref(remote->asked_for);
    task_unref(remote->task);
    channel_table_free(remote->table);
    free(remote);
    return NULL;
}
