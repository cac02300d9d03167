/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine from within: what its rooms (engine.c, life.c, reload.c, slots.c, sweep.c, channels.c, actor*.c) share.
 * Nobody outside includes it. What is not said to be any thread's is the loop's, or that of the thread which starts and
 * stops the engine while the loop does not run. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "engine/actor.h"
#include "engine/blocking.h"
#include "engine/callbacks.h"
#include "engine/credential.h"
#include "engine/deliver.h"
#include "engine/engine.h"
#include "engine/quota.h"
#include "engine/room.h"
#include "engine/schedule.h"
#include "engine/table.h"
#include "task/step.h"

enum {
    ENGINE_ACTOR_BUCKETS = 4096,
    ENGINE_BACKOFF_MAX_MS = 5 * 60 * 1000, /* between attempts */
    ENGINE_ERASING_MAX = 256,              /* at a time */
    ENGINE_DRAIN_TICK_MS = 20,             /* how often a stop looks whether all is done */
    ENGINE_FIGURES_MS = 1000,              /* how often queue positions are counted */
};

/* Channels that count, or once did: readers of any thread may hold them. */
struct engine_table {
    struct channel_table *channels; /* a reference */
    struct engine_table *older;     /* the one that counted before; NULL: the first */
    struct loop_job job;            /* brings it to the loop */
    struct engine *engine;
};

struct engine {
    struct engine_parts parts;
    struct loop *loop;
    struct exchange_pool *exchanges;
    struct adapter_host *adapters;
    struct blocking *blocking;
    struct results *results;
    struct tokens *tokens; /* of service accounts */
    struct callbacks *callbacks;
    struct engine_room room;
    struct channel_table *channels; /* the newest of `tables`, as the loop sees it */
    struct credentials *credentials;
    struct table *table;
    struct schedule *schedule;
    struct task_policy policy;
    struct actor *actors;                        /* all of them */
    struct actor *buckets[ENGINE_ACTOR_BUCKETS]; /* the same, by id */
    struct loop_timer grant;                     /* slots are granted at the next turn */
    struct loop_timer figures;                   /* queue positions are counted */
    struct loop_timer drain_tick;                /* while stopping */
    struct loop_timer sweep;                     /* retention */
    struct sweep *sweeping;                      /* a sweep under way */
    struct deliver *deliver;                     /* webhooks; NULL: none are sent */
    struct loop_job drain_job;
    int64_t drain_until_ms;     /* clock_mono_ms(); then what is under way is parked */
    int64_t n_running, n_slots; /* of the built-in engine */
    int64_t n_remote;           /* tasks that count as running at upstreams */
    int64_t n_writes;           /* with the store, of actors and the sweep */
    int64_t n_recovering;       /* actors; while there are any, no slot is granted */
    double mean_render_s;       /* learned, decaying; negative: nothing known */
    int64_t n_erasing;          /* tasks whose files are being erased for their owners */
    bool needs_scrub;           /* what was erased may still stand in the store's log */
    bool is_draining, is_parked;
    bool is_over; /* nothing more goes to the store */
    bool has_thread;
    pthread_t thread;
    struct engine_counts counts; /* its header says who counts */
    /* Any thread: */
    _Atomic(struct engine_table *) tables; /* every one that ever counted, the newest first */
    atomic_bool is_closing;
    atomic_bool is_hurried;
    struct quota *quota;          /* of tenants */
    _Atomic int64_t n_unfinished; /* reserved at create, returned when the task's end is durable */
    _Atomic int64_t n_queued_now, n_running_now; /* for engine_stats() */
    _Atomic int64_t n_callers; /* creates, cancels and erasures within calls or with the store */
};

/* ---- reload.c ---- */

void engine_free_tables(struct engine *engine);

/* ---- slots.c ---- */

void engine_init_slots(struct engine *engine);
/* Slots are granted at the loop's next turn. */
void engine_grant_soon(struct engine *engine);

/* ---- engine.c ---- */

/* Any thread. */
void engine_answer_cancel(struct engine_cancel *cancel, enum engine_outcome outcome,
                          const struct task *task);

/* ---- erase.c ---- */

/* The task's erasure, under way with its actor, is durable: `left` is left of it. */
void engine_erased(struct engine_erase *erase, const struct task *left);
/* The actor that it waited on is gone: looks for the task anew. */
void engine_erase_again(struct engine_erase *erase);
/* Tells whoever asked. `task` is NULL, or why it cannot be. */
void engine_answer_erase(struct engine_erase *erase, enum engine_outcome outcome,
                         const struct task *task);

/* What is committed and published is told to the hub: on the loop, in the order of commits. */
void engine_tell(struct engine *engine, const struct task *task, bool is_transition);

/* ---- sweep.c ---- */

/* A sweep comes soon. */
void sweep_soon(struct engine *engine);

/* Notes how long links live, and sweeps from then on. 0 or negative errno. */
int sweep_arm(struct engine *engine);
