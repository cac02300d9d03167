/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's door: start, stop, create, cancel, look. The loop's thread owns the actors, the
 * schedule and all that works; other threads reach it by its inbox, and see published tasks through
 * the hot table.
 *
 *      create: HTTP thread -> store's writer -> (committed) hot table, caller's done(), loop's
 * inbox -> actor -> schedule cancel: HTTP thread -> loop's inbox -> actor -> store's writer -> loop
 * -> caller's done()
 */
#include "engine/engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/actor.h"

/* ---- granting slots ---- */

void engine_grant_soon(struct engine *engine)
{
    if (!loop_is_armed(&engine->grant)) {
        loop_arm(engine->loop, &engine->grant, 0);
    }
}

static void grant_slot(struct actor *actor, const struct channel *channel)
{
    struct engine *engine = actor->engine;
    actor->is_running = true;
    actor->slot_granted_ms = clock_mono_ms();
    engine->n_running++;
    atomic_store(&engine->n_running_now, engine->n_running);
    table_set_figures(engine->table, actor->task->request->id,
                      &(struct engine_figures){.wait_s = -1.0});
    actor_feed(actor, &(struct task_event){.kind = TASK_EVENT_SLOT_GRANTED,
                                           .channel = channel->name,
                                           .is_builtin = channel->is_builtin});
}

/* The configuration may have changed since the task was taken. */
static void begin(struct actor *actor)
{
    struct engine *engine = actor->engine;
    const struct channel *channel =
        channel_for_model(engine->parts.channels, actor->task->request->model);
    actor->is_scheduled = false;
    if (channel) {
        grant_slot(actor, channel);
    } else {
        schedule_release(engine->schedule, &actor->entry);
        actor_feed(actor, &(struct task_event){.kind = TASK_EVENT_UNSERVED});
    }
}

static void on_grant(struct loop_timer *timer)
{
    struct engine *engine = CONTAINER_OF(timer, struct engine, grant);
    while (!engine->is_draining && engine->n_running < engine->n_slots) {
        struct schedule_entry *entry = schedule_next(engine->schedule);
        if (!entry) {
            break;
        }
        begin(CONTAINER_OF(entry, struct actor, entry));
    }
    atomic_store(&engine->n_queued_now, (int64_t)schedule_count(engine->schedule));
}

/* ---- queue figures ---- */

static void show_figures(void *context, struct schedule_entry *entry, size_t position)
{
    struct engine *engine = context;
    const struct actor *actor = CONTAINER_OF(entry, struct actor, entry);
    struct engine_figures figures = {.queue_position = (int64_t)position, .wait_s = -1.0};
    if (engine->mean_render_s >= 0) {
        figures.wait_s = engine->mean_render_s * (double)position / (double)engine->n_slots;
    }
    table_set_figures(engine->table, actor->task->request->id, &figures);
}

static void on_figures(struct loop_timer *timer)
{
    struct engine *engine = CONTAINER_OF(timer, struct engine, figures);
    schedule_walk(engine->schedule, show_figures, engine);
    if (schedule_count(engine->schedule) > 0) {
        loop_arm(engine->loop, &engine->figures, ENGINE_FIGURES_MS);
    }
}

/* ---- create ---- */

/* A created task on its way to the loop. */
struct admission {
    struct loop_job job;
    struct engine *engine;
    const struct task *task;
};

static void on_admission(struct loop_job *job)
{
    struct admission *admission = CONTAINER_OF(job, struct admission, job);
    actor_new(admission->engine, admission->task, NULL);
    task_unref(admission->task);
    free(admission);
}

static void admit(struct engine *engine, const struct task *task)
{
    struct admission *admission = must_calloc(1, sizeof *admission);
    *admission = (struct admission){{on_admission, NULL}, engine, task_ref(task)};
    loop_post(engine->loop, &admission->job);
}

/* Ends a create: whatever was not accepted gives its place back. */
static void answer_create(struct engine_create *create, enum engine_outcome outcome,
                          const struct task *task)
{
    struct engine *engine = create->engine;
    if (outcome != ENGINE_OK) {
        atomic_fetch_sub(&engine->n_unfinished, 1);
    }
    create->outcome = outcome;
    create->task = task;
    create->fresh = task_unref(create->fresh);
    create->done(create);
    atomic_fetch_sub(&engine->n_callers, 1);
}

static void answer_repeated(struct engine_create *create)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome =
        engine_task(create->engine, create->write.existing_id, &task, &figures);
    answer_create(create, outcome == ENGINE_OK ? ENGINE_REPEATED : ENGINE_STORE_FAILED, task);
}

/* On the store's writer thread. */
static void on_created(struct store_write *write)
{
    struct engine_create *create = CONTAINER_OF(write, struct engine_create, write);
    struct engine *engine = create->engine;
    if (write->result == STORE_WRITTEN) {
        table_publish(engine->table, create->fresh);
        admit(engine, create->fresh);
        log_write(
            LOG_INFO,
            &(struct log_about){create->fresh->request->request_id, create->fresh->request->id},
            "created for tenant \"%s\", model \"%s\"", create->fresh->request->tenant,
            create->fresh->request->model);
        answer_create(create, ENGINE_OK, task_ref(create->fresh));
    } else if (write->result == STORE_REPEATED) {
        answer_repeated(create);
    } else if (write->result == STORE_BUSY) {
        answer_create(create, ENGINE_FULL, NULL);
    } else if (write->result == STORE_CONFLICT) {
        answer_create(create, ENGINE_CONFLICT, NULL);
    } else {
        log_error("cannot store a new task: %s", strerror(abs(write->result)));
        answer_create(create, ENGINE_STORE_FAILED, NULL);
    }
}

static enum engine_outcome reserve_place(struct engine *engine)
{
    int64_t before = atomic_fetch_add(&engine->n_unfinished, 1);
    if (atomic_load(&engine->is_closing)) {
        return ENGINE_CLOSING;
    }
    return before >= engine->parts.settings->queue ? ENGINE_FULL : ENGINE_OK;
}

void engine_create(struct engine *engine, struct engine_create *create)
{
    create->engine = engine;
    atomic_fetch_add(&engine->n_callers, 1);
    struct task_request *request = TAKE(create->request);
    int64_t deadline_ms = request->created_micros / 1000 + engine->parts.settings->deadline;
    create->write = (struct store_write){
        .kind = STORE_CREATE,
        .idempotency_key = create->idempotency_key,
        .idempotency_keep_ms = engine->parts.settings->idempotency,
        .done = on_created,
    };
    task_request_digest(request, create->write.digest);
    create->fresh = create->write.task = task_new(request, deadline_ms);
    enum engine_outcome outcome = reserve_place(engine);
    if (outcome == ENGINE_FULL && create->idempotency_key != NULL) {
        create->write.only_existing = true; /* it may have been accepted before */
        outcome = ENGINE_OK;
    }
    if (outcome != ENGINE_OK) {
        answer_create(create, outcome, NULL);
    } else if (store_submit(engine->parts.store, &create->write) != 0) {
        answer_create(create, ENGINE_FULL, NULL);
    }
}

/* ---- cancel ---- */

void engine_answer_cancel(struct engine_cancel *cancel, enum engine_outcome outcome,
                          const struct task *task)
{
    struct engine *engine = cancel->engine;
    cancel->outcome = outcome;
    cancel->task = task ? task_ref(task) : NULL;
    cancel->done(cancel);
    atomic_fetch_sub(&engine->n_callers, 1);
}

static bool may_touch(const struct engine_cancel *cancel, const struct task *task)
{
    return cancel->tenant[0] == '\0' || strcmp(cancel->tenant, task->request->tenant) == 0;
}

/* Durable, but its admission is still on its way: behind it in the inbox the cancel finds the actor. Once only: a task that
 * another writer has is not ours to cancel. */
static void cancel_unadmitted(struct engine_cancel *cancel)
{
    if (cancel->was_posted_again) {
        engine_answer_cancel(cancel, ENGINE_STORE_FAILED, NULL);
        return;
    }
    cancel->was_posted_again = true;
    loop_post(cancel->engine->loop, &cancel->job);
}

/* No actor: the task has ended, never was, or is not admitted yet. */
static void cancel_ended(struct engine_cancel *cancel)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome = engine_task(cancel->engine, cancel->id, &task, &figures);
    if (outcome == ENGINE_OK && !may_touch(cancel, task)) {
        outcome = ENGINE_NOT_FOUND;
    }
    if (outcome != ENGINE_OK) {
        engine_answer_cancel(cancel, outcome, NULL);
    } else if (!task_state_is_end(task->state)) {
        cancel_unadmitted(cancel);
    } else if (task->state == TASK_CANCELLED) {
        engine_answer_cancel(cancel, ENGINE_OK, task);
    } else {
        engine_answer_cancel(cancel, ENGINE_CONFLICT, task);
    }
    task_unref(task);
}

static void on_cancel(struct loop_job *job)
{
    struct engine_cancel *cancel = CONTAINER_OF(job, struct engine_cancel, job);
    struct actor *actor = actor_find(cancel->engine, cancel->id);
    if (!actor) {
        cancel_ended(cancel);
    } else if (!may_touch(cancel, actor->task)) {
        engine_answer_cancel(cancel, ENGINE_NOT_FOUND, NULL);
    } else {
        actor_cancel(actor, cancel);
    }
}

void engine_cancel(struct engine *engine, struct engine_cancel *cancel)
{
    cancel->engine = engine;
    cancel->job.run = on_cancel;
    cancel->was_posted_again = false;
    atomic_fetch_add(&engine->n_callers, 1);
    if (atomic_load(&engine->is_closing)) {
        engine_answer_cancel(cancel, ENGINE_CLOSING, NULL);
    } else {
        loop_post(engine->loop, &cancel->job);
    }
}

/* ---- look ---- */

enum engine_outcome engine_task(struct engine *engine, const char *id, const struct task **ret_task,
                                struct engine_figures *ret_figures)
{
    if (table_find(engine->table, id, ret_task, ret_figures)) {
        return ENGINE_OK;
    }
    const struct task *task;
    int outcome = store_task(engine->parts.store, id, &task);
    if (outcome == STORE_NOT_FOUND) {
        return ENGINE_NOT_FOUND;
    }
    if (outcome != 0) {
        log_task(LOG_ERROR, id, "cannot read the task: %s", strerror(abs(outcome)));
        return ENGINE_STORE_FAILED;
    }
    if (task_state_is_end(task->state)) {
        table_publish(engine->table, task);
    }
    *ret_task = task;
    *ret_figures = (struct engine_figures){.wait_s = -1.0};
    return ENGINE_OK;
}

void engine_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    *ret_stats = (struct engine_stats){
        .unfinished = atomic_load(&engine->n_unfinished),
        .queued = atomic_load(&engine->n_queued_now),
        .running = atomic_load(&engine->n_running_now),
        .hot = (int64_t)table_count(engine->table),
        .is_closing = atomic_load(&engine->is_closing),
        .store_is_ailing = store_is_ailing(engine->parts.store),
    };
}

/* ---- stop ---- */

static void park_all(struct engine *engine)
{
    engine->is_parked = true;
    for (struct actor *actor = engine->actors, *next; actor; actor = next) {
        next = actor->next;
        if (actor->is_running) {
            actor_feed(actor, &(struct task_event){.kind = TASK_EVENT_PARKED});
        }
    }
}

/* Nothing works, nothing is with the store, and no create or cancel waits for what could still
 * come. A commit that keeps failing (disk full) does not hold the end up once all is parked: the
 * store still has the state before it. */
static bool is_drained(const struct engine *engine)
{
    if (engine->n_writes > 0 || engine->sweeping) {
        return false;
    }
    return engine->is_parked || engine->n_running == 0;
}

static void on_drain_tick(struct loop_timer *timer)
{
    struct engine *engine = CONTAINER_OF(timer, struct engine, drain_tick);
    bool is_over = clock_mono_ms() >= engine->drain_until_ms || atomic_load(&engine->is_hurried);
    if (!engine->is_parked && is_over) {
        park_all(engine);
    }
    if (is_drained(engine)) {
        engine->is_over = true;
        loop_stop(engine->loop);
    } else {
        loop_arm(engine->loop, &engine->drain_tick, ENGINE_DRAIN_TICK_MS);
    }
}

static void on_drain(struct loop_job *job)
{
    struct engine *engine = CONTAINER_OF(job, struct engine, drain_job);
    engine->is_draining = true;
    loop_disarm(engine->loop, &engine->sweep);
    loop_disarm(engine->loop, &engine->figures);
    loop_arm(engine->loop, &engine->drain_tick, 0);
}

void engine_close(struct engine *engine)
{
    atomic_store(&engine->is_closing, true);
}

void engine_hurry(struct engine *engine)
{
    atomic_store(&engine->is_hurried, true);
}

static void discard_all(struct engine *engine)
{
    while (engine->actors) {
        actor_discard(engine->actors);
    }
}

/* The loop's thread is gone or never was: this one owns its things now. Lets the store answer what
 * it has (it does within its own time limits), answers whoever still waits, closes. */
static void settle(struct engine *engine)
{
    engine->is_over = true;
    if (!engine->loop) { /* a start that failed at once */
        return;
    }
    while (engine->n_writes > 0 || atomic_load(&engine->n_callers) > 0) {
        loop_turn(engine->loop, ENGINE_DRAIN_TICK_MS);
        if (engine->n_writes == 0) {
            discard_all(engine);
        }
    }
    loop_turn(engine->loop, 0); /* a create answered just now has left its task in the inbox */
    discard_all(engine);
    loop_disarm(engine->loop, &engine->grant);
    loop_disarm(engine->loop, &engine->figures);
    loop_disarm(engine->loop, &engine->sweep);
    loop_disarm(engine->loop, &engine->drain_tick);
    engine->exchanges = exchange_pool_free(engine->exchanges);
    engine->blocking = blocking_free(engine->blocking);
    while (loop_watches(engine->loop) > 0) { /* killed helpers that are still to be reaped */
        loop_turn(engine->loop, ENGINE_DRAIN_TICK_MS);
    }
}

void engine_stop(struct engine *engine, int64_t drain_ms)
{
    engine_close(engine);
    engine->drain_until_ms = clock_mono_ms() + drain_ms;
    loop_post(engine->loop, &engine->drain_job);
    pthread_join(engine->thread, NULL);
    engine->has_thread = false;
    settle(engine);
}

struct engine *engine_free(struct engine *engine)
{
    if (!engine) {
        return NULL;
    }
    must(!engine->has_thread);
    engine->loop = loop_free(engine->loop);
    engine->schedule = schedule_free(engine->schedule);
    engine->table = table_free(engine->table);
    free(engine);
    return NULL;
}

/* ---- start ---- */

static void recover(void *context, const struct task *task)
{
    struct engine *engine = context;
    atomic_fetch_add(&engine->n_unfinished, 1);
    actor_new(engine, task, &(struct task_event){.kind = TASK_EVENT_RECOVERED});
}

static int recover_all(struct engine *engine)
{
    size_t n_damaged = 0;
    int fault = store_walk_unfinished(engine->parts.store, recover, engine, &n_damaged);
    if (n_damaged > 0) {
        log_error("%zu unfinished tasks cannot be read and were passed over", n_damaged);
    }
    int64_t n_found = atomic_load(&engine->n_unfinished);
    if (n_found > 0) {
        log_info("took up %lld unfinished tasks", (long long)n_found);
    }
    return fault;
}

static void *run_thread(void *argument)
{
    struct engine *engine = argument;
    loop_run(engine->loop);
    return NULL;
}

/* Signals are main's: it has blocked what it waits for before any thread starts. */
static int start_thread(struct engine *engine)
{
    int fault = pthread_create(&engine->thread, NULL, run_thread, engine);
    engine->has_thread = fault == 0;
    return -fault;
}

static int64_t slots_of(const struct settings *settings)
{
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    return settings->render_slots > 0 ? settings->render_slots : (n_cores > 0 ? n_cores : 1);
}

static int open_parts(struct engine *engine)
{
    int fault = loop_new(&engine->loop);
    fault = fault < 0 ? fault : exchange_pool_new(engine->loop, &engine->exchanges);
    fault = fault < 0 ? fault : blocking_new(engine->loop, &engine->blocking);
    engine->attempt_parts = (struct attempt_parts){
        .settings = engine->parts.settings,
        .guard = engine->parts.guard,
        .assets = engine->parts.assets,
        .loop = engine->loop,
        .exchanges = engine->exchanges,
        .blocking = engine->blocking,
    };
    return fault;
}

static struct engine *new_engine(const struct engine_parts *parts)
{
    const struct settings *settings = parts->settings;
    struct engine *engine = must_calloc(1, sizeof *engine);
    engine->parts = *parts;
    engine->table = table_new((size_t)settings->hot_tasks, (size_t)settings->hot_bytes);
    engine->schedule = schedule_new();
    engine->n_slots = slots_of(settings);
    engine->mean_render_s = -1.0;
    engine->policy = (struct task_policy){
        .max_attempts = (int)settings->attempts,
        .backoff_base_ms = settings->backoff,
        .backoff_max_ms = ENGINE_BACKOFF_MAX_MS,
    };
    engine->grant.fire = on_grant;
    engine->figures.fire = on_figures;
    engine->drain_tick.fire = on_drain_tick;
    engine->drain_job.run = on_drain;
    return engine;
}

int engine_start(const struct engine_parts *parts, struct engine **ret_engine)
{
    struct engine *engine = new_engine(parts);
    int fault = open_parts(engine);
    fault = fault < 0 ? fault : recover_all(engine);
    if (fault == 0) {
        fault = sweep_arm(engine);
    }
    if (fault == 0) {
        fault = start_thread(engine);
    }
    if (fault < 0) {
        settle(engine);
        engine_free(engine);
        return fault;
    }
    *ret_engine = engine;
    return 0;
}
