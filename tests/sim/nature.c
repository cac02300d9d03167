/* SPDX-License-Identifier: Apache-2.0
 *
 * A world from its beginning to its end, and what befalls it as a whole: outages, jumps of the clock, full disks, operators
 * who reload, restart and kill. */
#include <stdlib.h>

#include "sim.h"

#include "base/must.h"

/* Each kind of fault is there in some worlds and not in others, so that each is also seen alone. */
static int drawn(int most)
{
    return world_chance(400) ? (int)world_between(1, most) : 0;
}

static void draw_faults(struct faults *faults)
{
    *faults = (struct faults){
        .crash = world_chance(700) ? (int)world_between(1, 4) : 0,
        .lost_answer = drawn(60),
        .refusal = drawn(60),
        .busy = drawn(200),
        .bad_key = drawn(20),
        .late_error = drawn(60),
        .early_error = drawn(150),
        .not_json = drawn(40),
        .poll_trouble = drawn(150),
        .gone = drawn(60),
        .real_loss = drawn(20),
        .stuck = drawn(20),
        .failure = drawn(150),
        .moderation = drawn(60),
        .empty = drawn(40),
        .broken_download = drawn(300),
        .expired_link = drawn(100),
        .store_failure = drawn(20),
        .adapter_fault = drawn(10),
        .media_failure = drawn(60),
        .has_outages = world_chance(400),
        .has_jumps = world_chance(400),
        .has_reloads = world_chance(400),
        .has_restarts = world_chance(400),
        .has_slow_store = world_chance(200),
    };
}

/* In one world of five less time than many a job takes; not drawn, so that the others stay as they are. */
static int64_t deadline_of(uint64_t seed)
{
    return seed % 5 == 2 ? (int64_t)(1 + seed / 5 % 8) * 60 * 1000 : DEADLINE_MS;
}

static void outage(struct world *world)
{
    int credential = (int)world_between(0, CREDENTIALS - 1);
    world->down_until_ms[credential] = world_now_ms() + world_between(1000, 5 * 60 * 1000);
    world_trace("upstream of credential %d is out of reach until %lld ms", credential,
                (long long)world->down_until_ms[credential]);
}

static void jump(struct world *world)
{
    world->wall_micros = world_between(-WALL_JUMP_MS, WALL_JUMP_MS) * 1000;
    world_trace("the wall clock jumps to %+.1f s", (double)world->wall_micros / 1e6);
}

/* What befalls the world as a whole. */
static void on_nature(struct loop_timer *timer)
{
    struct world *world = the_world;
    struct node *node = &world->nodes[world_between(0, world->n_nodes - 1)];
    if (world_now_ms() >= FAULTS_END_MS) {
        world->wall_micros = 0;
        for (int i = 0; i < world->n_nodes; i++) {
            if (!world->nodes[i].has_all_channels) {
                node_reload(&world->nodes[i]);
            }
        }
        return;
    }
    world_arm(timer, world_between(2000, 40000));
    if (world->faults.has_outages && world_chance(150)) {
        outage(world);
    }
    if (world->faults.has_jumps && world_chance(200)) {
        jump(world);
    }
    if (world->faults.store_failure > 0 && world_chance(30)) {
        world->store_down_until_ms = world_now_ms() + world_between(500, 60000);
        world_trace("no store can write until %lld ms", (long long)world->store_down_until_ms);
    }
    if (world->faults.has_reloads && world_chance(300)) {
        node_reload(node);
    }
    if (world->faults.has_restarts && world_chance(80)) {
        node_restart(node);
    }
    if (world->faults.crash > 0 && world_chance(80)) {
        (void)node_dies(node, "anywhere");
    }
}

static void on_calls(struct loop_timer *timer)
{
    if (world_now_ms() < FAULTS_END_MS) {
        world_arm(timer, world_between(50, 3000));
        vendor_call_back();
    }
}

struct world *world_new(uint64_t seed, const struct settings *defaults, struct channel_table *all,
                        struct channel_table *fewer, bool is_traced)
{
    struct world *world = must_calloc(1, sizeof *world);
    the_world = world;
    world->seed = seed;
    world->dice = seed * 0xd1342543de82ef95U + 1;
    world->is_traced = is_traced;
    world->settings = *defaults;
    world->settings.deadline = deadline_of(seed);
    world->settings.render_slots = 2;
    world->settings.backoff = 1000;
    world->all = all;
    world->fewer = fewer;
    draw_faults(&world->faults);
    world->faults.has_callbacks = seed % 2 == 0;
    world->n_nodes = (int)world_between(1, NODES_MAX);
    world->n_wanted = (int)world_between(20, LIVES_MAX / 2);
    must(loop_new(&world->loop) == 0);
    for (int i = 0; i < world->n_nodes; i++) {
        node_begin(&world->nodes[i], i);
    }
    world->nature.fire = on_nature;
    world_arm(&world->nature, 1000);
    world->calls.fire = on_calls;
    if (world->faults.has_callbacks) {
        world_arm(&world->calls, 1000);
    }
    people_begin(world);
    return world;
}

void world_run(struct world *world)
{
    while (!world->is_over) {
        if (!world_step(world)) {
            world_fail("nothing will ever happen again, and not all tasks have ended");
        }
        if (world_now_ms() > WORLD_END_MS) {
            watch_end(world);
            world_fail("the world does not come to an end");
        }
    }
    for (int i = 0; i < world->n_nodes; i++) {
        node_end(&world->nodes[i]);
    }
    watch_end(world);
}

struct world *world_free(struct world *world)
{
    loop_disarm(NULL, &world->arrival);
    loop_disarm(NULL, &world->nature);
    loop_disarm(NULL, &world->cancels);
    loop_disarm(NULL, &world->calls);
    loop_disarm(NULL, &world->look);
    while (world_step(world)) { /* what is still on the wire */
    }
    world->loop = loop_free(world->loop);
    world_forget_time();
    the_world = NULL;
    free(world);
    return NULL;
}
