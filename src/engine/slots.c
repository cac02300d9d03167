/* SPDX-License-Identifier: Apache-2.0
 *
 * Who works now and who waits: slots are granted by the schedule's order, and what queries show of the queue is counted now and then.
 * On the loop's thread. */
#include <stdatomic.h>

#include "engine/actor.h"

#include "base/clock.h"

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
    bool may_grant = !engine->is_draining && engine->n_recovering == 0;
    while (may_grant && engine->n_running < engine->n_slots) {
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

void engine_init_slots(struct engine *engine)
{
    engine->grant.fire = on_grant;
    engine->figures.fire = on_figures;
}
