/* SPDX-License-Identifier: Apache-2.0
 *
 * Those who ask for videos: tenants of unequal greed. Some send a request again, under the same Idempotency-Key, when they
 * have heard nothing; some cancel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/must.h"

enum { LOOK_MS = 2000 }; /* how often it is seen whether all has come to its end */

static const char *const models[] = {"alpha", "alpha", "beta", "gamma", "delta"};

/* ---- asking ---- */

struct wish {
    struct life *life;
    struct loop_timer again;
    struct engine_create create;
    char key[24];
};

static struct task_request *request_of(const struct life *life)
{
    char text[40];
    struct task_request *request = task_request_new();
    id_new("task", request->id, sizeof request->id);
    snprintf(text, sizeof text, "tenant-%d", life->tenant);
    request->tenant = must_strdup(text);
    request->model = must_strdup(life->model);
    snprintf(text, sizeof text, "life %d", life->number);
    request->prompt = must_strdup(text);
    request->request_id = must_strdup("r");
    request->orientation = must_strdup("landscape");
    request->size = must_strdup("small");
    request->operation = must_strdup("simple_compose");
    request->created_micros = clock_wall_micros();
    request->duration_s = 4;
    request->width = 640;
    request->height = 352;
    request->n_frames = 120;
    request->priority = 2;
    request->n_variants = 1;
    return request;
}

static void end_wish(struct wish *wish)
{
    the_world->n_wishes--;
    free(wish);
}

static void on_created(struct engine_create *create)
{
    struct wish *wish = CONTAINER_OF(create, struct wish, create);
    struct life *life = wish->life;
    const struct node *node = &the_world->nodes[life->node];
    bool is_answered = !node->is_dead;
    bool is_made = create->outcome == ENGINE_OK || create->outcome == ENGINE_REPEATED;
    if (is_answered && is_made) {
        if (strcmp(create->task->request->id, life->id) != 0) {
            world_fail("life %d: the answer names another task", life->number);
        }
        life->is_acknowledged = true;
    }
    task_unref(create->task);
    create->task = NULL;
    if (life->is_acknowledged || (!is_answered && life->key[0] == '\0')) {
        end_wish(wish); /* or it never hears what became of it */
    } else {
        world_arm(&wish->again, world_between(500, 10000));
    }
}

static void ask(struct loop_timer *timer)
{
    struct wish *wish = CONTAINER_OF(timer, struct wish, again);
    struct life *life = wish->life;
    struct node *node = &the_world->nodes[life->node];
    if (!node_is_up(node)) {
        world_arm(timer, world_between(500, 5000));
        return;
    }
    wish->create = (struct engine_create){
        .request = request_of(life),
        .idempotency_key = life->key[0] != '\0' ? wish->key : NULL,
        .done = on_created,
    };
    engine_create(node->engine, &wish->create);
}

static void on_arrival(struct loop_timer *timer)
{
    struct world *world = the_world;
    int number = world->n_lives++;
    struct life *life = &world->lives[number];
    struct wish *wish = must_calloc(1, sizeof *wish);
    *life = (struct life){
        .number = number,
        .node = (int)world_between(0, world->n_nodes - 1),
        .tenant = world_chance(600) ? 0 : (int)world_between(1, TENANTS - 1),
        .asked_ms = world_now_ms(),
    };
    snprintf(life->model, sizeof life->model, "%s",
             models[world_between(0, ARRAY_LENGTH(models) - 1)]);
    if (world_chance(500)) {
        snprintf(life->key, sizeof life->key, "key-%d", number);
    }
    wish->life = life;
    wish->again.fire = ask;
    memcpy(wish->key, life->key, sizeof wish->key);
    world->n_wishes++;
    ask(&wish->again);
    if (world->n_lives < world->n_wanted) {
        world_arm(timer, world_chance(700) ? world_between(0, 50) : world_between(1000, 60000));
    }
}

/* ---- cancelling ---- */

struct change_of_mind {
    struct life *life;
    struct engine_cancel cancel;
};

static void on_cancelled(struct engine_cancel *cancel)
{
    struct change_of_mind *mind = CONTAINER_OF(cancel, struct change_of_mind, cancel);
    struct life *life = mind->life;
    bool is_answered = !the_world->nodes[life->node].is_dead;
    if (is_answered && cancel->outcome == ENGINE_OK) {
        life->cancel_was_confirmed = true;
        if (life->state != TASK_CANCELLED) {
            world_fail("life %d: a cancel is confirmed, and the task is seen as %s", life->number,
                       task_state_name(life->state));
        }
    }
    task_unref(cancel->task);
    free(mind);
}

static void on_cancel(struct loop_timer *timer)
{
    struct world *world = the_world;
    world_arm(timer, world_between(100, 8000));
    if (world->n_lives == 0) {
        return;
    }
    bool is_young = world_chance(600) && world->n_lives > 10;
    struct life *life =
        &world->lives[world_between(is_young ? world->n_lives - 10 : 0, world->n_lives - 1)];
    struct node *node = &world->nodes[life->node];
    if (!life->is_acknowledged || !node_is_up(node) || life->was_cancelled) {
        return;
    }
    struct change_of_mind *mind = must_calloc(1, sizeof *mind);
    mind->life = life;
    mind->cancel.done = on_cancelled;
    memcpy(mind->cancel.id, life->id, sizeof mind->cancel.id);
    life->was_cancelled = true;
    world_trace("life %d is cancelled by its owner", life->number);
    engine_cancel(node->engine, &mind->cancel);
}

/* ---- the end ---- */

static bool has_ended(const struct world *world, const struct life *life)
{
    const struct record *record = &world->nodes[life->node].records[life->number];
    return !record->request ||
           (task_state_is_end(record->state) &&
            (record->attempt[0] == '\0' || !attempt_is_open(record->attempt_state)));
}

static bool are_content(const struct world *world)
{
    if (world->n_lives < world->n_wanted || world->n_wishes > 0) {
        return false;
    }
    for (int i = world->n_lives - 1; i >= 0; i--) {
        if (!has_ended(world, &world->lives[i])) {
            return false;
        }
    }
    for (int i = 0; i < world->n_nodes; i++) {
        if (!node_is_up(&world->nodes[i])) {
            return false;
        }
    }
    return true;
}

static void on_look(struct loop_timer *timer)
{
    the_world->is_over = are_content(the_world);
    world_arm(timer, LOOK_MS);
}

void people_begin(struct world *world)
{
    world->arrival.fire = on_arrival;
    world->cancels.fire = on_cancel;
    world->look.fire = on_look;
    world_arm(&world->look, LOOK_MS);
    world_arm(&world->arrival, 10);
    if (world_chance(700)) {
        world_arm(&world->cancels, 5000);
    }
}
