/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a task stands: in the pause before the queue, in the queue, or in a slot until its result is home; and whether it
 * counts as a job in flight of its credential, which it does only until the upstream is done. On the loop's thread. */
#include "engine/actor_own.h"

#include "base/clock.h"

static void count_queue(struct engine *engine)
{
    atomic_store(&engine->n_queued_now, (int64_t)schedule_count(engine->schedule));
    atomic_store(&engine->n_running_now, engine->n_running + engine->n_remote);
}

/* What queries were told of its place. */
static void clear_figures(struct actor *actor)
{
    table_set_figures(actor->engine->table, actor->task->request->id,
                      &(struct engine_figures){.wait_s = -1.0});
}

/* ---- the queue ---- */

static void enter_schedule(struct actor *actor)
{
    struct engine *engine = actor->engine;
    actor->is_scheduled = true;
    schedule_put(engine->schedule, &actor->entry, actor->task->request->tenant);
    count_queue(engine);
    if (!loop_is_armed(&engine->figures)) {
        loop_arm(engine->loop, &engine->figures, 0);
    }
    engine_grant_soon(engine);
}

static void on_wake(struct loop_timer *timer)
{
    enter_schedule(CONTAINER_OF(timer, struct actor, wake));
}

void actor_enqueue(struct actor *actor)
{
    int64_t pause_ms = actor->task->not_before_ms - clock_wall_ms();
    if (pause_ms > 0) {
        loop_arm(actor->engine->loop, &actor->wake, pause_ms);
    } else {
        enter_schedule(actor);
    }
}

void actor_leave_schedule(struct actor *actor)
{
    if (actor->is_scheduled) {
        actor->is_scheduled = false;
        schedule_remove(actor->engine->schedule, &actor->entry);
        count_queue(actor->engine);
    }
    clear_figures(actor);
}

void actor_leave_queue(struct actor *actor)
{
    loop_disarm(actor->engine->loop, &actor->wake);
    if (actor->is_scheduled) {
        actor_leave_schedule(actor);
    }
}

/* ---- jobs in flight ---- */

void actor_vacate(struct actor *actor)
{
    if (actor->credential) {
        actor->credential->n_in_flight--;
        actor->credential = NULL;
        engine_grant_soon(actor->engine);
    }
}

void actor_occupy(struct actor *actor, struct credential *credential)
{
    actor->credential = credential;
    credential->n_in_flight++;
}

/* ---- slots ---- */

void actor_take_slot(struct actor *actor, bool is_animatic)
{
    struct engine *engine = actor->engine;
    actor->is_scheduled = false;
    actor->is_running = true;
    actor->has_animatic_slot = is_animatic;
    *(is_animatic ? &engine->n_running : &engine->n_remote) += 1;
    count_queue(engine);
    clear_figures(actor);
}

void actor_adopt_slot(struct actor *actor)
{
    struct engine *engine = actor->engine;
    if (!actor->is_running) {
        actor->is_running = true;
        engine->n_remote++;
        schedule_adopt(engine->schedule, &actor->entry, actor->task->request->tenant);
        count_queue(engine);
    }
}

void actor_release_slot(struct actor *actor)
{
    struct engine *engine = actor->engine;
    actor_vacate(actor);
    if (!actor->is_running) {
        return;
    }
    actor->is_running = false;
    *(actor->has_animatic_slot ? &engine->n_running : &engine->n_remote) -= 1;
    actor->has_animatic_slot = false;
    schedule_release(engine->schedule, &actor->entry);
    count_queue(engine);
    engine_grant_soon(engine);
}

void actor_init_queue(struct actor *actor)
{
    const struct task_request *request = actor->task->request;
    actor->wake.fire = on_wake;
    actor->entry.created_micros = request->created_micros;
    actor->entry.priority = request->priority;
}
