/* SPDX-License-Identifier: Apache-2.0
 *
 * The shell around the core: one loop thread that feeds events to task_step(), commits what it says
 * and carries out its effects. It is the only writer of a task's state. Other threads create,
 * cancel and look; what they see are published, immutable tasks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asset/asset.h"
#include "asset/link_keys.h"
#include "base/compiler.h"
#include "base/histogram.h"
#include "base/loop.h"
#include "base/settings.h"
#include "media/media.h"
#include "net/guard.h"
#include "notify/hub.h"
#include "store/store.h"
#include "task/task.h"
#include "upstream/channel.h"

struct engine;

/* Everything the engine works with; all must outlive it. */
struct engine_parts {
    const struct settings *settings;
    struct channel_table *channels; /* takes a reference */
    const struct guard *guard;
    struct store *store;
    struct asset_store *assets;
    struct hub *hub; /* hears of every change; NULL: nobody does */
    /* For webhooks: which addresses may be dialled, and what signs the links in them, and the addresses that upstreams may
     * call back. NULL: none are sent. */
    const struct guard *webhook_guard;
    const struct link_keys *link_keys;
};

/* Walks the store's unfinished tasks, starts the loop thread. 0 or negative errno. */
CHECKED int engine_start(const struct engine_parts *parts, struct engine **ret_engine);
/* From now on these channels count: jobs at credentials that are gone finish all the same. Takes the reference; tables
 * before it live until engine_free(). Any thread. */
void engine_reload(struct engine *engine, struct channel_table *channels);
/* The channels that count now; they live until engine_free(). Any thread. */
const struct channel_table *engine_channel_table(struct engine *engine);
/* From now on creates and cancels get ENGINE_CLOSING. First step of a stop, so that the API can
 * drain. Any thread. */
void engine_close(struct engine *engine);
/* Closes, lets work under way finish for up to `drain_ms`, parks the rest for the next start,
 * commits, ends the thread. Creates and cancels that wait are answered before it returns; queries
 * go on working until engine_free(). */
void engine_stop(struct engine *engine, int64_t drain_ms);
/* Cuts the drain of a running engine_stop() short: what is under way is parked now. Any thread. */
void engine_hurry(struct engine *engine);
/* After engine_stop(), when nobody calls any more. Takes NULL, returns NULL. */
struct engine *engine_free(struct engine *engine);

enum engine_outcome {
    ENGINE_OK = 0,
    ENGINE_NOT_FOUND = 1, /* no such task, or another tenant's */
    ENGINE_REPEATED = 2,  /* create: the same request came before; `task` is the one it made */
    ENGINE_CONFLICT = 3, /* create: the Idempotency-Key belongs to another request; cancel: the task
                            has ended otherwise */
    ENGINE_FULL = 4,     /* too many unfinished tasks, or the store's queue is full */
    ENGINE_CLOSING = 5,
    ENGINE_STORE_FAILED = 6, /* disk full, locked, damaged: not accepted */
    ENGINE_TENANT_FULL = 7,  /* create: too many of the tenant's tasks are unfinished */
    ENGINE_TENANT_DAY = 8,   /* create: the tenant has created as many as one day allows */
    ENGINE_DELETED = 9, /* create: the same request came before; the task that it made was erased */
    ENGINE_DAMAGED = 10, /* look: its record cannot be read, and will not be later */
};

/* A create under way; embedded by the caller, the engine's until done(). */
struct engine_create {
    struct task_request *request; /* taken over by engine_create(); complete */
    char *idempotency_key;        /* NULL: none; stays the caller's */
    /* Any thread, once, possibly before engine_create() returns. */
    void (*done)(struct engine_create *create);
    enum engine_outcome outcome;
    const struct task *task; /* with OK and REPEATED: a reference of the caller's */
    int64_t retry_after_s;   /* with TENANT_DAY: until the day is over; else 0 */
    /* private to the engine */
    struct engine *engine;
    bool has_place;              /* which goes back unless a task is made */
    enum engine_outcome refusal; /* why there was none */
    struct store_write write;
    struct task *fresh; /* what the write makes durable; the engine's alone until then */
};
void engine_create(struct engine *engine, struct engine_create *create);

/* A cancel under way; as engine_create. */
struct engine_cancel {
    char id[ID_SHORT_SIZE];
    char tenant[TASK_TENANT_SIZE]; /* empty: an operator's, any tenant */
    void (*done)(struct engine_cancel *cancel);
    enum engine_outcome outcome;
    const struct task *task; /* with OK and CONFLICT */
    struct engine *engine;
    struct loop_job job;
    bool was_posted_again;      /* it overtook the task's admission */
    struct engine_cancel *next; /* waits on its actor for the commit */
};
void engine_cancel(struct engine *engine, struct engine_cancel *cancel);

/* The erasure of a task that has ended, as its owner wants it: of its record what accounts need stays, its files go. As
 * engine_cancel. */
struct engine_erase {
    char id[ID_SHORT_SIZE];
    char tenant[TASK_TENANT_SIZE]; /* empty: an operator's, any tenant */
    /* Once it is durable and the files are gone. A file that cannot be erased now is by the sweep. */
    void (*done)(struct engine_erase *erase);
    enum engine_outcome
        outcome; /* OK, NOT_FOUND, CONFLICT (it has not ended), CLOSING, FULL, STORE_FAILED */
    const struct task *task; /* with CONFLICT */
    /* private to the engine */
    struct engine *engine;
    struct loop_job job;
    struct engine_erase *next; /* waits on its actor for a commit */
};
void engine_erase(struct engine *engine, struct engine_erase *erase);

/* What the engine knows of a task that is not in its record. */
struct engine_figures {
    int64_t queue_position; /* 1-based; 0: not waiting */
    double wait_s;          /* negative: unknown */
    bool waits_upstream;    /* no local slot is missing: upstreams are busy, unwell, or paused */
};

/* Finds a task by id for a query: from memory, else from the store (then kept in memory).
 * ENGINE_OK, ENGINE_NOT_FOUND, ENGINE_STORE_FAILED, ENGINE_DAMAGED. The reference is the caller's. No allocation
 * and no store access when the task is in memory. Any thread. */
CHECKED enum engine_outcome engine_task(struct engine *engine, const char *id,
                                        const struct task **ret_task,
                                        struct engine_figures *ret_figures);

/* What queries show of a task that is in memory (nothing, when it has `deleted_ms`), else false; as all unfinished ones
 * are. The store may be ahead of it for a moment. As engine_task() otherwise. */
CHECKED bool engine_published(struct engine *engine, const char *id, const struct task **ret_task,
                              struct engine_figures *ret_figures);

/* What happened since engine_start(). */
struct engine_counts {
    _Atomic int64_t in_state[TASK_STATE_COUNT];    /* unfinished tasks now, as published */
    _Atomic uint64_t ended[TASK_STATE_COUNT];      /* tasks */
    _Atomic uint64_t failures[TASK_FAILURE_COUNT]; /* attempts that failed, by cause */
    _Atomic uint64_t created;                      /* tasks */
    _Atomic uint64_t attempts, retries;            /* begun; of them after a failed one */
    _Atomic uint64_t renders[MEDIA_END_COUNT];     /* rendering helpers, by their end */
    _Atomic uint64_t commands[COMMAND_END_COUNT];  /* operators' programs, by their end */
    _Atomic uint64_t variants[MEDIA_END_COUNT];    /* helpers that made variants, by their end */
    _Atomic uint64_t webhooks_delivered, webhooks_failed; /* tries, by their end */
    _Atomic uint64_t webhooks_given_up;                   /* deliveries */
    struct histogram task_seconds, attempt_seconds;       /* created to completed; slot to stored */
};
/* The loop counts, and `created` the store's writer; any thread looks. Owned by the engine. */
const struct engine_counts *engine_counts(const struct engine *engine);

/* The longest life that a link to this store's files may have: the longest on record (it is there before the first link
 * of such a life), and at least what is configured for results and for uploaded files, for a record may be younger than
 * the links. 0 or negative errno. */
CHECKED int engine_longest_valid_for(struct store *store, const struct settings *settings,
                                     int64_t *ret_longest_ms);

/* Rows of this tenant were put into the store's outbox of webhooks, or taken from it, otherwise than by the end of a
 * task. Any thread. */
void engine_webhook_news(struct engine *engine, const char *tenant);

/* An upstream called back for this attempt: if that is polling, its next poll comes forward. Any thread; never waits. */
void engine_called_back(struct engine *engine, const char *attempt_id);

struct engine_stats {
    int64_t unfinished, queued, running; /* tasks now */
    int64_t hot;                         /* tasks in memory */
    bool is_closing, store_is_ailing;
};
void engine_stats(struct engine *engine, struct engine_stats *ret_stats);
