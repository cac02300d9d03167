/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's beginning and end. It starts by one walk over the store's unfinished tasks. It stops in this order: nothing new, work under way
 * finishes or is parked, all of it is committed, whoever waits is answered. The thread that starts and stops owns
 * the loop's things before the loop's thread runs and after it is gone. */
#include "engine/engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/engine_own.h"
#include "engine/result.h"
#include "engine/token.h"

static const double task_seconds[] = {0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600};

/* ---- stop ---- */

static void park_all(struct engine *engine)
{
    engine->is_parked = true;
    for (struct actor *actor = engine->actors, *next; actor; actor = next) {
        next = actor->next;
        if (actor_works_locally(actor)) {
            actor_feed(actor, &(struct task_event){.kind = TASK_EVENT_PARKED});
        }
    }
}

static size_t count_busy(const struct engine *engine)
{
    size_t n_busy = 0;
    for (const struct actor *actor = engine->actors; actor; actor = actor->next) {
        n_busy += actor_is_busy(actor);
    }
    return n_busy;
}

/* Nothing works and nothing is with the store (jobs that upstreams work on are taken up by the next start); whoever still
 * waits is answered by settle(). A commit that fails (disk full) is waited for as work is: it may hold what an upstream said
 * once, a job's id or a refusal. It does not hold the end up once all is parked: the store still has the state before it. */
static bool is_drained(const struct engine *engine)
{
    if (engine->n_writes > 0 || engine->sweeping) {
        return false;
    }
    return engine->is_parked || count_busy(engine) == 0;
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
    engine->is_draining = engine->room.is_closing = true;
    size_t n_busy = count_busy(engine);
    if (n_busy > 0)
        log_info("stopping: work under way for %zu task%s is waited for", n_busy,
                 n_busy == 1 ? "" : "s");
    loop_disarm(engine->loop, &engine->sweep);
    loop_disarm(engine->loop, &engine->figures);
    if (engine->deliver) {
        deliver_close(engine->deliver);
    }
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
    results_close(engine->results);
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
    engine->deliver = deliver_free(engine->deliver);
    engine->tokens = tokens_free(engine->tokens);
    engine->exchanges = exchange_pool_free(engine->exchanges);
    engine->adapters = adapter_host_free(engine->adapters);
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
    engine->callbacks = callbacks_free(engine->callbacks);
    engine->schedule = schedule_free(engine->schedule);
    engine->quota = quota_free(engine->quota);
    engine->table = table_free(engine->table);
    engine->credentials = credentials_free(engine->credentials);
    engine->results = results_free(engine->results);
    engine_free_tables(engine);
    free(engine);
    return NULL;
}

/* ---- start ---- */

static void recover(void *context, const struct task *task)
{
    struct engine *engine = context;
    const struct channel *channel =
        channel_named(engine->channels, shared_text_of(task->attempt.channel));
    if (!task_state_is_end(task->state)) { /* else only its upstream is still to be told */
        atomic_fetch_add(&engine->n_unfinished, 1);
        quota_restore(engine->quota, task->request->tenant);
        if (engine->parts.hub) {
            hub_know(engine->parts.hub, task);
        }
    }
    actor_new(engine, task,
              &(struct task_event){
                  .kind = TASK_EVENT_RECOVERED,
                  .on_unknown = channel ? channel->on_unknown : TASK_UNKNOWN_HOLD,
                  .can_confirm = channel && channel->can_choose_job,
              });
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

struct day {
    struct quota *quota;
    int64_t number;
};

static void count_created(void *context, const char *tenant, int64_t count)
{
    const struct day *day = context;
    quota_restore_day(day->quota, tenant, day->number, count);
}

/* What tenants have created today before this start. */
static int recover_day(struct engine *engine)
{
    struct day day = {engine->quota, quota_day(clock_wall_ms())};
    int64_t from_micros = day.number * QUOTA_DAY_MS * 1000;
    if (engine->parts.settings->tenant_per_day == 0) {
        return 0;
    }
    return store_count_created(engine->parts.store, from_micros,
                               from_micros + INT64_C(1000) * QUOTA_DAY_MS, count_created, &day);
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
    if (fault == 0) {
        engine->callbacks = callbacks_new(engine->loop);
    }
    fault = fault < 0 ? fault : exchange_pool_new(engine->loop, &engine->exchanges);
    fault = fault < 0 ? fault : adapter_host_new(engine->loop, &engine->adapters);
    fault = fault < 0 ? fault : blocking_new(engine->loop, &engine->blocking);
    engine->tokens = tokens_new(engine->loop, engine->exchanges);
    engine->room = (struct engine_room){
        .settings = engine->parts.settings,
        .guard = engine->parts.guard,
        .assets = engine->parts.assets,
        .loop = engine->loop,
        .exchanges = engine->exchanges,
        .adapters = engine->adapters,
        .blocking = engine->blocking,
        .results = engine->results,
        .tokens = engine->tokens,
        .callbacks = engine->callbacks,
        .link_keys = engine->parts.link_keys,
        .counts = &engine->counts,
    };
    return fault;
}

/* Webhooks that an earlier process left behind are on their way at once. */
static int open_deliver(struct engine *engine)
{
    const struct deliver_parts parts = {
        .settings = engine->parts.settings,
        .store = engine->parts.store,
        .loop = engine->loop,
        .exchanges = engine->exchanges,
        .guard = engine->parts.webhook_guard,
        .link_keys = engine->parts.link_keys,
        .counts = &engine->counts,
    };
    if (!parts.guard || !parts.link_keys) {
        return 0;
    }
    int fault = deliver_new(&parts, &engine->deliver);
    if (fault == 0) {
        deliver_news(engine->deliver, NULL);
    }
    return fault;
}

static struct engine *new_engine(const struct engine_parts *parts)
{
    const struct settings *settings = parts->settings;
    struct engine *engine = must_calloc(1, sizeof *engine);
    engine->parts = *parts;
    engine->table = table_new((size_t)settings->hot_tasks, (size_t)settings->hot_bytes);
    engine->schedule = schedule_new();
    engine->quota = quota_new(&(struct quota_limits){
        .in_flight = settings->tenant_in_flight,
        .per_day = settings->tenant_per_day,
    });
    engine->credentials = credentials_new();
    engine_reload(engine, channel_table_ref(parts->channels));
    engine->n_slots = slots_of(settings);
    engine->results = results_new((int)engine->n_slots);
    engine->mean_render_s = -1.0;
    engine->policy = (struct task_policy){
        .max_attempts = (int)settings->attempts,
        .backoff_base_ms = settings->backoff,
        .backoff_max_ms = ENGINE_BACKOFF_MAX_MS,
    };
    histogram_init(&engine->counts.task_seconds, task_seconds, ARRAY_LENGTH(task_seconds));
    histogram_init(&engine->counts.attempt_seconds, task_seconds, ARRAY_LENGTH(task_seconds));
    engine_init_slots(engine);
    engine->drain_tick.fire = on_drain_tick;
    engine->drain_job.run = on_drain;
    return engine;
}

int engine_start(const struct engine_parts *parts, struct engine **ret_engine)
{
    struct engine *engine = new_engine(parts);
    int fault = open_parts(engine);
    fault = fault < 0 ? fault : recover_all(engine);
    fault = fault < 0 ? fault : recover_day(engine);
    fault = fault < 0 ? fault : open_deliver(engine);
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
