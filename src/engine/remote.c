/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of an attempt at an upstream have in common: the task they work for, how they ask an adapter (one
 * dialogue at a time), what belongs to the job after an answer; and the cancel, the shortest of them. The submit is
 * remote_submit.c's, the polls are remote_poll.c's, the result is remote_result.c's. Everything that is told goes out as
 * the last thing that a function does: whoever hears it may free us. */
#include "engine/remote_own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "base/redact.h"
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

void remote_later(struct remote *remote, void (*what)(struct remote *remote), int64_t delay_ms)
{
    remote->at_time = what;
    loop_arm(remote->room->loop, &remote->timer, delay_ms);
}

void remote_retry(struct remote *remote, void (*what)(struct remote *remote), int n_tries)
{
    remote_later(remote, what,
                 policy_backoff(REMOTE_RETRY_MS, REMOTE_RETRY_MOST_MS, n_tries, remote_dice()));
}

static void on_time(struct loop_timer *timer)
{
    struct remote *remote = CONTAINER_OF(timer, struct remote, timer);
    remote->at_time(remote);
}

char *remote_quote(const struct remote *remote, const char *text)
{
    char *quoted = must_strdup(text ? text : "");
    redact(quoted, remote->identity->key);
    redact(quoted, remote->identity->secret);
    if (remote->identity->account) {
        redact(quoted, tokens_at_hand(remote->room->tokens, remote->channel, remote->identity));
    }
    redact_behind(quoted, "/callbacks/");
    redact_behind(quoted,
                  "eyJ"); /* a token of ours, made for one request: JSON in base64 begins so */
    return quoted;
}

void remote_note(struct remote *remote, enum log_level level, const char *what, const char *note)
{
    CLEANUP(free_pointer) char *quoted = remote_quote(remote, note);
    log_task(level, remote->task->request->id, "channel \"%s\": %s: %s", remote->channel->name,
             what, quoted);
    credential_note_error(remote->credential, quoted);
}

void remote_explain(struct remote *remote, enum log_level level, const char *what, const char *note)
{
    char reason[DIALOGUE_NOTE_SIZE];
    CLEANUP(free_pointer) char *quoted = remote_quote(remote, note);
    remote_note(remote, level, what, note);
    snprintf(reason, sizeof reason, "%s: %s", what, quoted);
    remote->handler.reason(remote->handler.context, reason);
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

void remote_know(struct remote *remote, const struct task *task)
{
    if (remote->task && strcmp(task->attempt.id, remote->attempt_id) == 0) {
        remote_take(remote, task);
    }
}

/* The model may have left the configuration since: then it is called there as it was asked for. */
json_t *remote_describe(struct remote *remote)
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

json_t *remote_input(struct remote *remote)
{
    const struct attempt_job *job = remote->task->attempt.job;
    json_t *input = json_object();
    json_set(input, "task", remote_describe(remote));
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

void remote_ask(struct remote *remote, enum dialogue_kind kind, json_t *input,
                void (*done)(void *, const struct dialogue_outcome *))
{
    struct attempt_job *job = remote->task->attempt.job;
    const struct dialogue_spec spec = {
        .kind = kind,
        .channel = remote->channel,
        .identity = remote->identity,
        .task = remote->task,
        .input = input,
        .keep = kind != DIALOGUE_SUBMIT && job ? job->keep : NULL,
        .asked = kind == DIALOGUE_POLL ? asked_for(remote, job) : NULL,
        .ready = remote_on_ready,
        .fetching = remote_on_fetching,
        .done = done,
        .context = remote,
    };
    dialogue_stop(remote->dialogue); /* a submit's, whose answer was lost */
    remote->dialogue = dialogue_start(remote->room, &spec);
}

/* ---- what an answer says ---- */

enum remote_state remote_state_of(const json_t *said)
{
    static const char *const words[] = {
        [REMOTE_STATE_PENDING] = "pending",     [REMOTE_STATE_RENDERING] = "rendering",
        [REMOTE_STATE_DONE] = "done",           [REMOTE_STATE_FAILED] = "failed",
        [REMOTE_STATE_CANCELLED] = "cancelled", [REMOTE_STATE_GONE] = "gone",
        [REMOTE_STATE_UNCLEAR] = "unclear",
    };
    const char *word = json_text(said, "state");
    if (!word) {
        return REMOTE_STATE_NONE;
    }
    for (size_t i = REMOTE_STATE_NONE + 1; i < ARRAY_LENGTH(words); i++) {
        if (strcmp(words[i], word) == 0) {
            return (enum remote_state)i;
        }
    }
    return REMOTE_STATE_FOREIGN;
}

/* ---- the job after an answer ---- */

/* NULL: none, or too long to be kept. */
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

/* A ledger may stand on it: an object, whole or not at all. */
static char *usage_of(const json_t *said)
{
    const json_t *usage = json_object_get(said, "usage");
    return json_object_size(usage) > 0 ? bounded(usage, ATTEMPT_USAGE_MAX) : NULL;
}

static const char *enhanced_of(const json_t *said)
{
    const json_t *text = json_object_get(said, "enhanced_prompt");
    return json_string_length(text) <= ATTEMPT_PROMPT_MAX ? json_string_value(text) : NULL;
}

struct attempt_job *remote_job(const struct attempt_job *old, const char *id, const json_t *said)
{
    static const struct attempt_job nothing = {0};
    const struct attempt_job *known = old ? old : &nothing;
    const char *enhanced = enhanced_of(said);
    CLEANUP(free_pointer) char *keep = bounded(json_object_get(said, "keep"), ATTEMPT_KEEP_MAX);
    CLEANUP(free_pointer) char *outputs = outputs_of(said);
    CLEANUP(free_pointer) char *usage = usage_of(said);
    return attempt_job_new(
        id ? id : known->id, keep ? keep : known->keep, outputs ? outputs : known->outputs,
        enhanced ? enhanced : known->enhanced_prompt, usage ? usage : known->usage);
}

static bool differs(const char *text, const char *known)
{
    return text && (!known || strcmp(text, known) != 0);
}

struct attempt_job *remote_used(const struct remote *remote, const json_t *said)
{
    CLEANUP(free_pointer) char *usage = usage_of(said);
    const struct attempt_job *job = remote->task->attempt.job;
    return usage && job && job->id
               ? attempt_job_new(job->id, job->keep, job->outputs, job->enhanced_prompt, usage)
               : NULL;
}

bool remote_has_news(const struct remote *remote, const json_t *said)
{
    const struct attempt_job *job = remote->task->attempt.job;
    CLEANUP(free_pointer) char *keep = bounded(json_object_get(said, "keep"), ATTEMPT_KEEP_MAX);
    return differs(keep, job ? job->keep : NULL) ||
           differs(enhanced_of(said), job ? job->enhanced_prompt : NULL);
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
    remote->identity = route->identity;
    remote->credential = route->credential;
    remote->handler = *handler;
    remote->timer.fire = on_time;
    remote->is_pending = true;
    remote->model = "";
    return remote;
}

bool remote_is_sending(const struct remote *remote)
{
    return remote->is_sending;
}

void remote_halt(struct remote *remote, bool is_kept)
{
    loop_disarm(remote->room->loop, &remote->timer);
    remote->dialogue = dialogue_stop(remote->dialogue);
    remote->is_sending = false;
    remote_give_back(remote);
    remote_leave_submits(remote);
    remote_leave_polls(remote);
    callbacks_remove_listener(&remote->listener);
    remote_halt_result(remote, is_kept);
}

struct remote *remote_free(struct remote *remote, bool is_kept)
{
    if (!remote) {
        return NULL;
    }
    remote_halt(remote, is_kept);
    remote_drop_blobs(remote);
    json_decref(remote->held);
    free(remote->asked);
    attempt_job_unref(remote->asked_for);
    task_unref(remote->task);
    channel_table_free(remote->table);
    free(remote);
    return NULL;
}
