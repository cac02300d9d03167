/* SPDX-License-Identifier: Apache-2.0
 *
 * A gateway: started on its store, stopped in good order, killed, started again. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#include "base/must.h"
#include "net/guard.h"

enum { DRAIN_MS = 5 * 60 * 1000 }; /* longer than any submit takes */

int __wrap_pthread_join(pthread_t thread, void **ret_value);

bool node_is_up(const struct node *node)
{
    return node->engine && !node->is_dead && !node->is_stopping;
}

/* ---- start ---- */

static void give_birth(struct node *node)
{
    struct world *world = node->world;
    const struct engine_parts parts = {
        .settings = &world->settings,
        .channels = node->has_all_channels ? world->all : world->fewer,
        .store = node->store,
        .assets = (struct asset_store *)node,
    };
    world_trace("node %d starts", node->number);
    node->is_dead = node->is_stopping = false;
    node->born_ms = world_now_ms();
    memset(node->meters, 0, sizeof node->meters); /* budgets begin anew */
    world->newborn = node;
    must(engine_start(&parts, &node->engine) == 0);
}

static void on_birth(struct loop_timer *timer)
{
    give_birth(CONTAINER_OF(timer, struct node, birth));
}

/* ---- end ---- */

static void take_apart(struct node *node)
{
    engine_stop(node->engine, DRAIN_MS);
    node->engine = engine_free(node->engine);
}

static void on_funeral(struct loop_timer *timer)
{
    struct node *node = CONTAINER_OF(timer, struct node, funeral);
    take_apart(node);
    world_arm(&node->birth, world_between(50, world_chance(100) ? 10 * 60 * 1000 : 20000));
}

/* The engine's thread has ended: here it is the rest of the world that goes on until it would have. A node that dies
 * meanwhile is taken apart at once. */
int __wrap_pthread_join(pthread_t thread, void **ret_value)
{
    (void)thread, (void)ret_value;
    struct world *world = the_world;
    struct node *node = NULL;
    for (int i = 0; i < world->n_nodes; i++) {
        if (world->nodes[i].is_stopping) {
            node = &world->nodes[i];
        }
    }
    int64_t since_ms = world_now_ms();
    while (node && !node->is_dead && !loop_has_stopped(node->loop)) {
        if (!world_step(world) || world_now_ms() > since_ms + 2 * DRAIN_MS) {
            world_fail("node %d does not stop", node->number);
        }
    }
    return 0;
}

bool node_dies(struct node *node, const char *where)
{
    struct world *world = node->world;
    if (node->is_dead) {
        return true;
    }
    if (!node->engine || world_now_ms() >= FAULTS_END_MS) {
        return false;
    }
    bool is_here = strcmp(where, "anywhere") == 0 || world_chance(world->faults.crash);
    if (is_here) {
        world_trace("node %d dies %s", node->number, where);
        world->n_crashes++;
        node->is_dead = true;
        if (!node->is_stopping) {
            world_arm(&node->funeral, 0);
        }
    }
    return is_here;
}

static bool is_any_stopping(const struct world *world)
{
    for (int i = 0; i < world->n_nodes; i++) {
        if (world->nodes[i].is_stopping) {
            return true;
        }
    }
    return false;
}

/* SIGTERM, and a start. */
void node_restart(struct node *node)
{
    if (!node_is_up(node) || is_any_stopping(node->world)) {
        return;
    }
    world_trace("node %d stops", node->number);
    node->is_stopping = true;
    take_apart(node);
    if (!node->is_dead) {
        watch_stopped(node);
    }
    node->is_dead = node->is_stopping = false;
    world_arm(&node->birth, world_between(50, 20000));
}

void node_reload(struct node *node)
{
    struct world *world = node->world;
    node->has_all_channels = !node->has_all_channels;
    if (node_is_up(node)) {
        world_trace("node %d has %s channels now", node->number,
                    node->has_all_channels ? "all" : "fewer");
        engine_reload(node->engine,
                      channel_table_ref(node->has_all_channels ? world->all : world->fewer));
    }
}

void node_begin(struct node *node, int number)
{
    node->world = the_world;
    node->number = number;
    node->has_all_channels = true;
    node->store = simulated_store_new(node);
    node->funeral.fire = on_funeral;
    node->birth.fire = on_birth;
    give_birth(node);
}

void node_end(struct node *node)
{
    if (loop_is_armed(&node->birth)) {
        loop_disarm(NULL, &node->birth);
    }
    must(!node->is_dead);
    if (node->engine) {
        node->is_stopping = true;
        take_apart(node);
        watch_stopped(node);
    }
    node->store = simulated_store_free(node->store);
    for (size_t i = 0; i < LIVES_MAX; i++) {
        free(node->records[i].request);
        free(node->records[i].status);
    }
}
