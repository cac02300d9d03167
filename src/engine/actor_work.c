/* SPDX-License-Identifier: Apache-2.0
 *
 * What is done for a task: its attempt by the built-in engine or at an upstream, begun, gone on with after a restart, and
 * ended; what attempts tell of it; and what its deadline means for them. On the loop's thread. */
#include "engine/actor_own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/dialogue.h"

/* How much of the learned duration stays when another one is known. */
static const double RENDER_MEAN_DECAY = 0.8;

/* ---- ends ---- */

void actor_halt_attempt(struct actor *actor)
{
    bool is_kept = actor->task->state == TASK_COMPLETED;
    loop_disarm(actor->engine->loop, &actor->progress);
    actor->local = local_work_stop(actor->local, is_kept);
    if (actor->remote) {
        remote_halt(actor->remote, is_kept);
    }
}

void actor_end_attempt(struct actor *actor)
{
    actor_halt_attempt(actor);
    actor->remote = remote_free(actor->remote, actor->task->state == TASK_COMPLETED);
}

/* ---- what attempts tell ---- */

/* A job that was taken up at the start began in another process: nobody knows here when. What waits for local work is
 * told by what that takes. */
static void learn_duration(struct actor *actor)
{
    struct engine *engine = actor->engine;
    if (actor->slot_granted_ms == 0) {
        return;
    }
    double took_s = (double)(clock_mono_ms() - actor->slot_granted_ms) / 1000.0;
    histogram_add(&engine->counts.attempt_seconds, took_s);
    if (!actor->task->is_local || actor->task->is_command) {
        return;
    }
    engine->mean_render_s = engine->mean_render_s < 0 ? took_s
                                                      : RENDER_MEAN_DECAY * engine->mean_render_s +
                                                            (1 - RENDER_MEAN_DECAY) * took_s;
}

/* Progress comes often and each one is a commit: one that follows too soon waits, a newer one takes its place. */
static void hold_progress(struct actor *actor, double progress)
{
    int64_t due_ms = actor->persisted_ms + ACTOR_PROGRESS_PERSIST_MS - clock_mono_ms();
    actor->held_progress = progress;
    if (!loop_is_armed(&actor->progress)) {
        loop_arm(actor->engine->loop, &actor->progress, due_ms > 0 ? due_ms : 0);
    }
}

static void on_held_progress(struct loop_timer *timer)
{
    struct actor *actor = CONTAINER_OF(timer, struct actor, progress);
    actor_feed(actor,
               &(struct task_event){.kind = TASK_EVENT_PROGRESS, .progress = actor->held_progress});
}

/* Where work that is done here is counted, for operators. */
static struct credential *local_credential(const struct actor *actor)
{
    const struct channel *channel = actor->channel;
    return credential_of(actor->engine->credentials, channel->name,
                         channel->n_credentials > 0 ? channel->credentials[0].name : "");
}

/* A program may refuse a task as long as it runs: what it has worked on to an end, good or bad, it has accepted. */
static void count_local(const struct actor *actor, const struct task_event *event)
{
    struct credential *credential = local_credential(actor);
    bool has_run = actor->task->state == TASK_RENDERING;
    if (event->kind == TASK_EVENT_TURNED_AWAY) {
        credential->n_refused++;
    } else if (event->kind == TASK_EVENT_RENDERED) {
        credential->n_accepted++;
        policy_learn(&credential->durations, clock_mono_ms() - actor->slot_granted_ms, 0);
    } else if (event->kind == TASK_EVENT_FAILED && has_run) {
        credential->n_accepted++;
    }
}

static void on_attempt_event(void *context, const struct task_event *event)
{
    struct actor *actor = context;
    if (event->kind == TASK_EVENT_PROGRESS) {
        hold_progress(actor, event->progress);
        return;
    }
    if (event->kind == TASK_EVENT_RENDERED && actor->remote && actor->engine->is_draining) {
        return; /* a download would hold up the stop: the next start asks for it again */
    }
    if (event->kind == TASK_EVENT_TURNED_AWAY) {
        actor->avoided = actor->credential;
    }
    if (actor->local) {
        count_local(actor, event);
    }
    if (actor->credential && credential_take_wanted(actor->credential)) {
        engine_grant_soon(actor->engine);
    }
    if (event->kind == TASK_EVENT_STORED) {
        learn_duration(actor);
    } else if (event->kind == TASK_EVENT_FAILED) {
        atomic_fetch_add(&actor->engine->counts.failures[event->failure], 1);
    }
    actor_feed(actor, event);
}

/* ---- the timeline ---- */

/* A text that may have been cut anywhere, or null. */
static json_t *short_text(const char *text)
{
    char cut[DIALOGUE_NOTE_SIZE] = "";
    snprintf(cut, sizeof cut, "%s", text ? text : "");
    size_t length = strlen(cut);
    json_t *string = NULL;
    while (length > 0 && !(string = json_stringn(cut, length))) {
        length--;
    }
    return string ? string : json_null();
}

/* What is noted here may be lost; nothing goes by it. */
static void put_note(const struct actor *actor, const char *kind, const json_t *body)
{
    CLEANUP(free_pointer) char *text = json_dumps(body, JSON_WRITE_FLAGS);
    must(text != NULL);
    store_note(actor->engine->parts.store, actor->task, kind, text, clock_wall_ms());
}

/* Of an attempt that is under way, or of a submit that was put off before there was one. */
static void on_reason(void *context, const char *reason)
{
    struct actor *actor = context;
    const struct task *task = actor->task;
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    json_set(body, "message", short_text(reason));
    json_set(body, "is_local", json_boolean(actor->local != NULL));
    if (actor->local) {
        json_set(body, "attempt", json_integer(task->attempts));
        credential_note_error(local_credential(actor), reason);
    } else if (task->state != TASK_QUEUED) {
        json_set(body, "attempt", json_integer(task->attempt.number));
        json_set(body, "is_submit", json_boolean(task->state == TASK_SUBMITTING));
    } else if (actor->credential && actor->n_put_off++ < ACTOR_PUT_OFF_MAX) {
        json_set_text(body, "channel", actor->credential->channel);
        json_set_text(body, "credential", actor->credential->name);
    } else {
        return;
    }
    put_note(actor, STORE_EVENT_ATTEMPT, body);
}

static void on_verdict(void *context, enum remote_verdict verdict, const char *message)
{
    const struct actor *actor = context;
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    json_set(body, "attempt", json_integer(actor->task->attempt.number));
    json_set_text(body, "verdict", remote_verdict_word(verdict));
    json_set(body, "message", short_text(message));
    put_note(actor, STORE_EVENT_POLL, body);
}

static void on_unreached(void *context, int n_tries, const char *why)
{
    const struct actor *actor = context;
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    json_set(body, "attempt", json_integer(actor->task->attempt.number));
    json_set(body, "tries", json_integer(n_tries));
    json_set(body, "message", short_text(why));
    put_note(actor, STORE_EVENT_FETCH, body);
}

/* ---- at an upstream ---- */

static void on_ready(void *context, const struct task_event *granted)
{
    struct actor *actor = context;
    if (!actor->engine->is_draining) {
        actor_feed(actor, granted);
    } else { /* nothing has left: it waits, as in the store, for the next start */
        actor_end_attempt(actor);
        actor_release_slot(actor);
    }
}

static void on_queue_position(void *context, int64_t position)
{
    const struct actor *actor = context;
    table_set_figures(actor->engine->table, actor->task->request->id,
                      &(struct engine_figures){.queue_position = position, .wait_s = -1.0});
}

static void new_remote(struct actor *actor, const struct route *route)
{
    struct engine *engine = actor->engine;
    const struct remote_handler handler = {
        on_ready, on_attempt_event, on_queue_position, on_verdict, on_unreached, on_reason, actor};
    actor->remote =
        remote_new(&engine->room, engine->credentials, engine->channels, route, &handler);
}

/* Takes up an attempt from before a restart: it counts for its tenant and, while the upstream works, for its credential.
 * False when its channel or credential is not configured. */
static bool take_up(struct actor *actor)
{
    struct engine *engine = actor->engine;
    const struct attempt_record *record = &actor->task->attempt;
    const struct channel *channel =
        channel_named(engine->channels, shared_text_of(record->channel));
    const struct channel_credential *identity =
        channel && !channel_is_local(channel)
            ? channel_credential_named(channel, shared_text_of(record->credential))
            : NULL;
    if (!identity) {
        return false;
    }
    const struct route route = {
        .kind = ROUTE_FOUND,
        .channel = channel,
        .identity = identity,
        .credential = credential_of(engine->credentials, channel->name, identity->name),
        .retry_ms = -1,
    };
    new_remote(actor, &route);
    actor_adopt_slot(actor);
    if (actor->task->state != TASK_FETCHING) {
        actor_occupy(actor, route.credential);
    }
    return true;
}

static void orphan(struct actor *actor, unsigned effects)
{
    const struct attempt_record *record = &actor->task->attempt;
    if (actor->orphaned == 0) {
        log_task(LOG_ERROR, actor->task->request->id,
                 "its job is at channel \"%s\" with credential \"%s\", which is not configured: it "
                 "waits until it is, or for its deadline",
                 shared_text_of(record->channel), shared_text_of(record->credential));
    }
    actor->orphaned = effects; /* who is to be cancelled is not asked for any more */
}

static void act_remotely(struct actor *actor, unsigned effects)
{
    if (!actor->remote && !take_up(actor)) {
        orphan(actor, effects);
        return;
    }
    if (effects & TASK_EFFECT_START) {
        remote_send(actor->remote, actor->task);
    }
    if (effects & TASK_EFFECT_POLL) {
        remote_poll(actor->remote, actor->task);
        if (actor->is_late) { /* the deadline passed before there was anything to poll */
            remote_look(actor->remote);
        }
    }
    if (effects & TASK_EFFECT_STORE_RESULT) {
        remote_store(actor->remote, actor->task);
    }
    if (effects & TASK_EFFECT_CANCEL_UPSTREAM) {
        remote_cancel(actor->remote, actor->task);
    }
}

void actor_look_again(struct actor *actor)
{
    unsigned effects = actor->orphaned;
    actor->orphaned = 0;
    if (effects) {
        act_remotely(actor, effects);
    }
}

/* ---- the deadline ---- */

/* What was heard of a job while the engine stops is not acted on any more: the next start judges it, with a fresh grace. */
static bool is_left_to_next_start(const struct actor *actor)
{
    enum task_state state = actor->task->state;
    return actor->engine->is_draining && !actor->task->is_local &&
           (state == TASK_RENDERING || state == TASK_FETCHING);
}

/* Until when is granted: a look that waits for its turn, or as the upstream wishes, has not begun to use up the grace. */
static int64_t grace_ends_ms(const struct actor *actor)
{
    int64_t grace_ms = actor->engine->parts.settings->grace;
    int64_t looked_ms = actor->remote ? remote_looked_ms(actor->remote) : 0;
    bool waits_for_turn = actor->remote && actor->task->state == TASK_RENDERING && looked_ms == 0;
    if (waits_for_turn) {
        return actor->late_since_ms +
               (grace_ms > ACTOR_TURN_MOST_MS ? grace_ms : ACTOR_TURN_MOST_MS);
    }
    return (looked_ms != 0 ? looked_ms : actor->late_since_ms) + grace_ms;
}

/* Looks again whether it has had its turn. */
static bool goes_on_in_grace(struct actor *actor)
{
    int64_t left_ms = actor->is_late ? grace_ends_ms(actor) - clock_mono_ms() : 0;
    int64_t grace_ms = actor->engine->parts.settings->grace;
    if (left_ms > 0) {
        loop_arm(actor->engine->loop, &actor->deadline, left_ms < grace_ms ? left_ms : grace_ms);
    }
    return left_ms > 0;
}

static void on_deadline(struct loop_timer *timer)
{
    struct actor *actor = CONTAINER_OF(timer, struct actor, deadline);
    if (goes_on_in_grace(actor)) {
        return;
    }
    if (is_left_to_next_start(actor)) {
        return;
    }
    bool has_grace = actor->engine->parts.settings->grace > 0;
    actor_feed(actor, &(struct task_event){.kind = TASK_EVENT_DEADLINE,
                                           .is_final = actor->is_late || !has_grace});
}

void actor_arm_deadline(struct actor *actor)
{
    int64_t left_ms = actor->task->deadline_ms - clock_wall_ms();
    loop_arm(actor->engine->loop, &actor->deadline, left_ms > 0 ? left_ms : 0);
}

void actor_wait_in_grace(struct actor *actor)
{
    actor->is_late = true;
    actor->late_since_ms = clock_mono_ms();
    loop_arm(actor->engine->loop, &actor->deadline, actor->engine->parts.settings->grace);
    if (actor->remote && actor->task->state == TASK_RENDERING) {
        remote_look(actor->remote);
    }
}

/* ---- what it does ---- */

bool actor_works_locally(const struct actor *actor)
{
    enum task_state state = actor->task->state;
    bool is_under_way =
        state == TASK_SUBMITTING || state == TASK_RENDERING || state == TASK_FETCHING;
    return actor->is_running && actor->task->is_local && is_under_way;
}

bool actor_is_busy(const struct actor *actor)
{
    enum task_state state = actor->task->state;
    bool is_remote_busy =
        actor->remote && (remote_is_sending(actor->remote) || state == TASK_SUBMITTING ||
                          (state == TASK_FETCHING && remote_is_bringing(actor->remote)));
    return actor->commit || actor_works_locally(actor) || is_remote_busy;
}

/* ---- local ---- */

static void act_locally(struct actor *actor, unsigned effects)
{
    if (effects & TASK_EFFECT_START) {
        const struct local_work_handler handler = {on_attempt_event, on_reason, actor};
        actor->local =
            local_work_start(&actor->engine->room, actor->channel, actor->task, &handler);
    }
    if (effects & TASK_EFFECT_STORE_RESULT) {
        local_work_store(actor->local);
    }
}

/* ---- either ---- */

void actor_work(struct actor *actor, unsigned effects)
{
    if (actor->task->is_local)
        act_locally(actor, effects);
    else
        act_remotely(actor, effects);
}

void actor_begin(struct actor *actor, const struct route *route)
{
    struct engine *engine = actor->engine;
    actor->slot_granted_ms = clock_mono_ms();
    actor_take_slot(actor, route->channel->is_animatic);
    actor->channel = route->channel;
    if (channel_is_local(route->channel)) {
        struct credential *credential = route->credential;
        if (credential) {
            actor_occupy(actor, credential);
        } else {
            credential = credential_of(engine->credentials, route->channel->name, "");
        }
        credential->n_submits++;
        actor_feed(actor, &(struct task_event){.kind = TASK_EVENT_SLOT_GRANTED,
                                               .channel = route->channel->name,
                                               .is_local = true,
                                               .is_command = !route->channel->is_animatic});
    } else {
        actor_occupy(actor, route->credential);
        new_remote(actor, route);
        remote_prepare(actor->remote, actor->task);
    }
}

void actor_init_work(struct actor *actor)
{
    actor->progress.fire = on_held_progress;
    actor->deadline.fire = on_deadline;
}
