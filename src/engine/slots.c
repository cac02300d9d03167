/* SPDX-License-Identifier: Apache-2.0
 *
 * Who works now and who waits: slots are granted by the schedule's order, and what queries show of the queue is counted now and then.
 * On the loop's thread. */
#include "engine/engine_own.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"

/* ---- granting slots ---- */

/* It may be armed for later, for something that rests. */
void engine_grant_soon(struct engine *engine)
{
    loop_arm(engine->loop, &engine->grant, 0);
}

enum { BLOCKED_MAX = 32 };

/* One pass of granting. A model for which nothing is free now need not be looked up again for each of its tasks. */
struct pass {
    struct engine *engine;
    const char *blocked[BLOCKED_MAX];
    size_t n_blocked;
    int64_t retry_ms; /* until something rests no more; negative: nothing does */
};

static bool is_blocked(const struct pass *pass, const struct task *task)
{
    for (size_t i = 0; i < pass->n_blocked; i++) {
        if (strcmp(pass->blocked[i], task->request->model) == 0) {
            return true;
        }
    }
    return false;
}

static void note_blocked(struct pass *pass, const struct task *task, int64_t retry_ms)
{
    if (retry_ms >= 0 && (pass->retry_ms < 0 || retry_ms < pass->retry_ms)) {
        pass->retry_ms = retry_ms;
    }
    if (task->n_refused == 0 && pass->n_blocked < BLOCKED_MAX) {
        pass->blocked[pass->n_blocked++] = task->request->model;
    }
}

/* With the same dice each time: who may start is asked for it twice. */
static struct route route_of(const struct engine *engine, const struct actor *actor)
{
    const struct route_query query = {
        .task = actor->task,
        .animatic_is_free = engine->n_running < engine->n_slots,
        .now_ms = clock_mono_ms(),
        .dice = (uint64_t)actor->entry.created_micros,
        .avoided = actor->avoided,
    };
    return credentials_route(engine->credentials, engine->channels, &query);
}

static bool may_start(void *context, struct schedule_entry *entry)
{
    struct pass *pass = context;
    const struct actor *actor = CONTAINER_OF(entry, struct actor, entry);
    if (is_blocked(pass, actor->task)) {
        return false;
    }
    struct route route = route_of(pass->engine, actor);
    if (route.kind == ROUTE_WAIT) {
        note_blocked(pass, actor->task, route.retry_ms);
    }
    return route.kind != ROUTE_WAIT;
}

/* The configuration may have changed since the task was taken, and other channels may have refused it. */
static void begin(struct actor *actor, const struct route *route)
{
    struct engine *engine = actor->engine;
    if (route->kind == ROUTE_FOUND) {
        actor_begin(actor, route);
        return;
    }
    schedule_release(engine->schedule, &actor->entry);
    if (route->kind == ROUTE_WAIT) {
        schedule_put(engine->schedule, &actor->entry, actor->task->request->tenant);
    } else {
        actor->is_scheduled = false;
        actor_feed(actor, &(struct task_event){.kind = TASK_EVENT_UNSERVED});
    }
}

static void on_grant(struct loop_timer *timer)
{
    struct engine *engine = CONTAINER_OF(timer, struct engine, grant);
    struct pass pass = {.engine = engine, .retry_ms = -1};
    bool may_grant = !engine->is_draining && engine->n_recovering == 0;
    struct route route = {.kind = ROUTE_NONE};
    while (may_grant && route.kind != ROUTE_WAIT) {
        struct schedule_entry *entry = schedule_next(engine->schedule, may_start, &pass);
        if (!entry) {
            break;
        }
        struct actor *actor = CONTAINER_OF(entry, struct actor, entry);
        route = route_of(engine, actor);
        begin(actor, &route);
    }
    if (may_grant && pass.retry_ms >= 0 && schedule_count(engine->schedule) > 0) {
        loop_arm(engine->loop, &engine->grant, pass.retry_ms + 1);
    }
    atomic_store(&engine->n_queued_now, (int64_t)schedule_count(engine->schedule));
}

/* ---- queue figures ---- */

/* One walk. What a model waits for need not be looked up again for each of its tasks. */
struct showing {
    struct engine *engine;
    struct {
        const char *name;
        bool waits_upstream;
    } models[BLOCKED_MAX];
    size_t n_models;
};

static bool waits_upstream(struct showing *showing, const struct actor *actor)
{
    const char *model = actor->task->request->model;
    bool is_like_others = actor->task->n_refused == 0;
    for (size_t i = 0; is_like_others && i < showing->n_models; i++) {
        if (strcmp(showing->models[i].name, model) == 0) {
            return showing->models[i].waits_upstream;
        }
    }
    struct route route = route_of(showing->engine, actor);
    bool waits = route.kind == ROUTE_WAIT && !route.waits_local;
    if (is_like_others && showing->n_models < BLOCKED_MAX) {
        showing->models[showing->n_models].name = model;
        showing->models[showing->n_models++].waits_upstream = waits;
    }
    return waits;
}

static void show_figures(void *context, struct schedule_entry *entry, size_t position)
{
    struct showing *showing = context;
    const struct engine *engine = showing->engine;
    const struct actor *actor = CONTAINER_OF(entry, struct actor, entry);
    struct engine_figures figures = {.queue_position = (int64_t)position,
                                     .wait_s = -1.0,
                                     .waits_upstream = waits_upstream(showing, actor)};
    if (engine->mean_render_s >= 0) {
        figures.wait_s = engine->mean_render_s * (double)position / (double)engine->n_slots;
    }
    table_set_figures(engine->table, actor->task->request->id, &figures);
}

static void on_figures(struct loop_timer *timer)
{
    struct engine *engine = CONTAINER_OF(timer, struct engine, figures);
    struct showing showing = {.engine = engine};
    schedule_walk(engine->schedule, show_figures, &showing);
    if (schedule_count(engine->schedule) > 0) {
        loop_arm(engine->loop, &engine->figures, ENGINE_FIGURES_MS);
    }
}

void engine_init_slots(struct engine *engine)
{
    engine->grant.fire = on_grant;
    engine->figures.fire = on_figures;
}
