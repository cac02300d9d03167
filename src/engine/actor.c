/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one unfinished task. Order is everything here: step, commit, publish, answer, act.
 * While a commit is under way further events wait; progress replaces progress. A commit that fails
 * is tried again until it works: the outcome of paid work is never dropped because a disk was full
 * for a while. On the loop's thread. */
#include "engine/actor_own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/must.h"

/* ---- the engine's index of actors ---- */

static struct actor **bucket_of(struct engine *engine, const char *id)
{
    return &engine->buckets[hash_text32(id) % ENGINE_ACTOR_BUCKETS];
}

struct actor *actor_find(struct engine *engine, const char *id)
{
    struct actor *actor = *bucket_of(engine, id);
    while (actor && strcmp(actor->task->request->id, id) != 0) {
        actor = actor->chain;
    }
    return actor;
}

static void link_actor(struct actor *actor)
{
    struct engine *engine = actor->engine;
    struct actor **bucket = bucket_of(engine, actor->task->request->id);
    actor->chain = *bucket;
    *bucket = actor;
    actor->next = engine->actors;
    if (engine->actors) {
        engine->actors->previous = actor;
    }
    engine->actors = actor;
}

static void unlink_actor(struct actor *actor)
{
    struct actor **link = bucket_of(actor->engine, actor->task->request->id);
    while (*link != actor) {
        link = &(*link)->chain;
    }
    *link = actor->chain;
    *(actor->previous ? &actor->previous->next : &actor->engine->actors) = actor->next;
    if (actor->next) {
        actor->next->previous = actor->previous;
    }
}

/* ---- counts ---- */

static void count_states(struct actor *actor)
{
    struct engine_counts *counts = &actor->engine->counts;
    atomic_fetch_sub(&counts->in_state[actor->counted], 1);
    actor->counted = actor->task->state;
    atomic_fetch_add(&counts->in_state[actor->counted], 1);
}

static void count_end(struct actor *actor)
{
    const struct task *task = actor->task;
    struct engine_counts *counts = &actor->engine->counts;
    atomic_fetch_add(&counts->ended[task->state], 1);
    if (task->state == TASK_COMPLETED) {
        int64_t took_ms = task->ended_ms - task->request->created_micros / 1000;
        histogram_add(&counts->task_seconds, (double)took_ms / 1000.0);
    }
}

/* ---- the end ---- */

static void drop_events(struct actor *actor)
{
    struct actor_waiting *waiting = TAKE(actor->waiting);
    for (size_t i = 0; waiting && i < waiting->n_events; i++) {
        attempt_job_unref(waiting->events[i].job);
    }
    free(waiting);
}

/* Not while the store holds `write`. */
static void drop_commit(struct actor *actor)
{
    if (actor->commit) {
        loop_disarm(actor->engine->loop, &actor->commit->retry);
        free(TAKE(actor->commit));
    }
}

static void free_actor(struct actor *actor)
{
    struct loop *loop = actor->engine->loop;
    drop_commit(actor);
    loop_disarm(loop, &actor->wake);
    loop_disarm(loop, &actor->deadline);
    loop_disarm(loop, &actor->progress);
    actor_end_attempt(actor);
    drop_events(actor);
    actor_release_slot(actor);
    actor_leave_schedule(actor);
    unlink_actor(actor);
    actor_pass_on_erases(actor);
    atomic_fetch_sub(&actor->engine->counts.in_state[actor->counted], 1);
    task_unref(actor->task);
    free(actor);
}

void actor_discard(struct actor *actor)
{
    must(!actor->commit || loop_is_armed(&actor->commit->retry));
    actor_answer_cancels(actor, ENGINE_CLOSING, NULL);
    actor_refuse_erases(actor, ENGINE_CLOSING);
    free_actor(actor);
}

static void forget(struct actor *actor)
{
    const struct task *task = actor->task;
    log_task(LOG_INFO, task->request->id, "%s%s%s", task_state_name(task->state),
             task->state == TASK_FAILED ? ": " : "",
             task->state == TASK_FAILED ? task_failure_code(task->failure) : "");
    free_actor(actor);
}

/* ---- effects ---- */

static void count_start(struct actor *actor)
{
    atomic_fetch_add(&actor->engine->counts.attempts, 1);
    if (actor->task->attempts > 1) {
        atomic_fetch_add(&actor->engine->counts.retries, 1);
    }
}

static void carry_out(struct actor *actor, unsigned effects)
{
    const unsigned work = effects & (TASK_EFFECT_START | TASK_EFFECT_POLL |
                                     TASK_EFFECT_STORE_RESULT | TASK_EFFECT_CANCEL_UPSTREAM);
    if (effects & TASK_EFFECT_STOP) {
        actor_halt_attempt(actor);
    }
    if (effects & TASK_EFFECT_RELEASE) {
        actor_end_attempt(actor);
        actor_release_slot(actor);
    }
    if (effects & TASK_EFFECT_VACATE) {
        actor_vacate(actor);
    }
    if (effects & TASK_EFFECT_START) {
        count_start(actor);
    }
    if (work) {
        actor_work(actor, work);
    }
    if (effects & TASK_EFFECT_LOOK) {
        actor_wait_in_grace(actor);
    }
    if (effects & TASK_EFFECT_ENQUEUE) {
        actor_enqueue(actor);
    }
    if (effects & TASK_EFFECT_FORGET) {
        forget(actor);
    }
}

/* ---- commit ---- */

static void write_task(struct actor_commit *commit)
{
    struct engine *engine = commit->actor->engine;
    engine->n_writes++;
    if (engine->is_over || store_submit(engine->parts.store, &commit->write) != 0) {
        engine->n_writes--;
        loop_arm(engine->loop, &commit->retry, ACTOR_STORE_RETRY_MS);
    }
}

static void on_retry(struct loop_timer *timer)
{
    write_task(CONTAINER_OF(timer, struct actor_commit, retry));
}

static void on_written(struct store_write *write)
{
    struct actor_commit *commit = CONTAINER_OF(write, struct actor_commit, write);
    loop_post(commit->actor->engine->loop, &commit->committed);
}

static void on_committed(struct loop_job *job);

static void commit(struct actor *actor, struct task *version, unsigned effects)
{
    struct actor_commit *fresh = must_calloc(1, sizeof *fresh);
    fresh->actor = actor;
    fresh->effects = effects & ~(unsigned)TASK_EFFECT_PERSIST;
    fresh->version = version;
    fresh->write = (struct store_write){
        /* who wants it erased waits for just this version */
        .kind = version->deleted_ms != 0 && actor->erases ? STORE_ERASE : STORE_UPDATE,
        .task = version,
        .is_transition = version->state != actor->counted,
        .done = on_written,
    };
    fresh->committed.run = on_committed;
    fresh->retry.fire = on_retry;
    actor->commit = fresh;
    actor->persisted_ms = clock_mono_ms();
    write_task(fresh);
}

/* An end whose attempt is open still waits for the upstream. */
static bool is_over(const struct task *task)
{
    return task_state_is_end(task->state) &&
           (task->attempt.id[0] == '\0' || !attempt_is_open(task->attempt.state));
}

/* Events that waited, in order, until one of them needs a commit of its own. */
static void feed_waiting(struct actor *actor)
{
    while (actor->waiting && !actor->commit) {
        struct actor_waiting *waiting = actor->waiting;
        struct task_event event = waiting->events[0];
        waiting->n_events--;
        memmove(waiting->events, waiting->events + 1, waiting->n_events * sizeof event);
        actor_apply(actor, &event);
        attempt_job_unref(event.job);
        if (waiting->n_events == 0 || is_over(actor->task)) {
            drop_events(actor); /* nothing changes an end */
        }
    }
}

/* What a start takes up keeps its order: one that was interrupted is older than those that waited behind it, but
 * must be committed before it can queue again. */
static void settle_recovery(struct actor *actor)
{
    if (actor->is_recovering) {
        actor->is_recovering = false;
        actor->engine->n_recovering--;
        engine_grant_soon(actor->engine);
    }
}

/* Whoever hears or sees that the task has ended finds its place free: before the answer, and before the task is
 * published. */
static void return_place(const struct actor *actor)
{
    atomic_fetch_sub(&actor->engine->n_unfinished, 1);
    quota_release(actor->engine->quota, actor->task->request->tenant);
}

/* The store has no such task, or a newer one: somebody else writes it. Nothing more may happen here in its name. */
static void lose(struct actor *actor)
{
    log_task(LOG_ERROR, actor->task->request->id,
             "state %s was refused by the store: the task is another writer's",
             task_state_name(actor->task->state));
    settle_recovery(actor);
    if (!actor->has_ended) {
        return_place(actor);
    }
    actor_answer_cancels(actor, ENGINE_STORE_FAILED, NULL);
    actor->local = local_work_stop(actor->local, false);
    actor->remote = remote_free(actor->remote, false);
    free_actor(actor);
}

/* The new version is durable: now it is shown, whoever waits for it is answered, and its effects are carried out. */
static void publish_and_act(struct actor *actor, unsigned effects)
{
    bool is_end = task_state_is_end(actor->task->state) && !actor->has_ended;
    bool is_transition = actor->task->state != actor->counted;
    count_states(actor);
    if (is_end) {
        actor->has_ended = true;
        return_place(actor);
        count_end(actor);
    }
    table_publish(actor->engine->table, actor->task);
    engine_tell(actor->engine, actor->task, is_transition);
    if (actor->remote) {
        remote_know(actor->remote, actor->task);
    }
    settle_recovery(actor);
    if (is_end) {
        actor_answer_cancels(
            actor, actor->task->state == TASK_CANCELLED ? ENGINE_OK : ENGINE_CONFLICT, actor->task);
    }
    actor_answer_erases(actor);
    carry_out(actor, effects);
    if (effects & TASK_EFFECT_FORGET) {
        return;
    }
    actor_apply_erasure(actor);
    feed_waiting(actor);
}

static void on_committed(struct loop_job *job)
{
    struct actor_commit *commit = CONTAINER_OF(job, struct actor_commit, committed);
    struct actor *actor = commit->actor;
    const int result = commit->write.result;
    const unsigned effects = commit->effects;
    const bool has_webhooks = result == STORE_WRITTEN && commit->write.n_deliveries > 0;
    actor->engine->n_writes--;
    if (result < 0) {
        log_task(LOG_ERROR, actor->task->request->id, "cannot commit state %s, trying again: %s",
                 task_state_name(actor->task->state), strerror(-result));
        loop_arm(actor->engine->loop, &commit->retry, ACTOR_STORE_RETRY_MS);
        return;
    }
    commit->version->change = commit->write.change;
    drop_commit(actor);
    if (has_webhooks && actor->engine->deliver) {
        deliver_news(actor->engine->deliver, actor->task->request->tenant);
    }
    if (result == STORE_WRITTEN) {
        publish_and_act(actor, effects);
    } else {
        lose(actor);
    }
}

/* ---- events ---- */

/* One whose answer was lost is not, while it is looked up: what is counted, an operator has to look up himself. */
static void count_unknown(const struct actor *actor, const struct task *old)
{
    const struct attempt_record *attempt = &actor->task->attempt;
    if (attempt->state == ATTEMPT_UNKNOWN && old->attempt.state != ATTEMPT_UNKNOWN) {
        credential_of(actor->engine->credentials, shared_text_of(attempt->channel),
                      shared_text_of(attempt->credential))
            ->n_unknown++;
    }
}

void actor_apply(struct actor *actor, const struct task_event *event)
{
    struct engine *engine = actor->engine;
    struct task_step step;
    task_step(actor->task, event, &engine->policy, clock_wall_ms(), &step);
    if (!step.task) {
        settle_recovery(actor);
        carry_out(actor, step.effects);
        return;
    }
    const struct task *old = actor->task;
    actor->task = step.task;
    count_unknown(actor, old);
    task_unref(old);
    if (step.task->state != TASK_QUEUED) {
        actor_leave_queue(actor);
    }
    commit(actor, step.task, step.effects); /* what a crash could take back is not shown */
}

/* The note of a failure lives in its sender, which may be gone when the event's turn comes; an
 * attempt fails only once. So may a job. */
static struct task_event keep_event(struct actor_waiting *waiting, const struct task_event *event)
{
    struct task_event kept = *event;
    if (kept.note) {
        snprintf(waiting->failure_note, sizeof waiting->failure_note, "%s", kept.note);
        kept.note = waiting->failure_note;
    }
    kept.job = attempt_job_ref(kept.job);
    return kept;
}

/* At most one of each kind waits, however long the commit takes: a newer progress or another cancel
 * takes the place of the one before, everything else happens once in an attempt. */
static void wait_for_commit(struct actor *actor, const struct task_event *event)
{
    if (!actor->waiting) {
        actor->waiting = must_calloc(1, sizeof *actor->waiting);
    }
    struct actor_waiting *waiting = actor->waiting;
    size_t place = 0;
    while (place < waiting->n_events && waiting->events[place].kind != event->kind) {
        place++;
    }
    must(place < ACTOR_EVENTS_MAX);
    if (place < waiting->n_events) {
        attempt_job_unref(waiting->events[place].job);
    }
    waiting->events[place] = keep_event(waiting, event);
    waiting->n_events += place == waiting->n_events;
}

void actor_feed(struct actor *actor, const struct task_event *event)
{
    if (!actor->commit) {
        actor_apply(actor, event);
    } else if (!is_over(actor->task)) {
        wait_for_commit(actor, event);
    } /* else an end is being committed: nothing changes it any more */
}

void actor_new(struct engine *engine, const struct task *task, const struct task_event *event)
{
    struct actor *actor = must_calloc(1, sizeof *actor);
    actor->engine = engine;
    actor->task = task_ref(task);
    actor_init_queue(actor);
    actor_init_work(actor);
    actor->persisted_ms = clock_mono_ms();
    actor->has_ended = task_state_is_end(task->state);
    actor->counted = task->state;
    atomic_fetch_add(&engine->counts.in_state[task->state], 1);
    link_actor(actor);
    table_publish(engine->table, task);
    actor_arm_deadline(actor);
    if (event) {
        actor->is_recovering = true;
        engine->n_recovering++;
        actor_feed(actor, event);
    } else {
        actor_enqueue(actor);
    }
}
