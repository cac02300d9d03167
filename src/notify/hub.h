/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is waiting for what. The engine publishes each change once, in the order of commits; watchers hear of it within
 * milliseconds: long polls (one task, once) and streams (some tasks, a tenant's, or all). Nobody here reads the store: a ring
 * of the last changes is shared by all, and whoever comes with a number older than the ring is told to read the store himself up to
 * where the ring begins. A thread of the hub's own wakes them, in waves a few milliseconds apart. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "task/task.h"

struct hub;

enum {
    HUB_WAVE_MS = 5,                   /* between two waves, at least */
    HUB_WAVE_SLEEPERS = 1000,          /* and a millisecond for each so many who sleep */
    HUB_SLOT_MS = 100,                 /* how exactly deadlines are kept */
    HUB_RING_MAX = 8192,               /* changes remembered */
    HUB_RING_BYTES = 32 * 1024 * 1024, /* and what their tasks take */
    HUB_QUEUE_MAX = 64, /* events waiting for one stream; behind that it reads the ring anew */
    HUB_WAIT_MAX_MS = 60 * 1000, /* longest wait */
};

/* ---- events ---- */

/* One change of one task: immutable, shared by all who hear of it. */
struct hub_event {
    atomic_uint references;
    bool is_transition;
    int64_t change;
    const struct task *task; /* as it was then */
    /* What was made of it for showing, set once by whoever comes first; given to free(). */
    _Atomic(void *) shown;
};

/* With one reference; takes one of the task. */
struct hub_event *hub_event_new(const struct task *task, int64_t change, bool is_transition);
struct hub_event *hub_event_ref(struct hub_event *event);
struct hub_event *hub_event_unref(struct hub_event *event); /* takes and returns NULL */
/* For qsort() over pointers to events: by their numbers. */
int hub_event_compare(const void *left, const void *right);

/* ---- the hub ---- */

struct hub_limits {
    int64_t watchers, of_tenant;
};

struct hub_counts {
    _Atomic int64_t streams, polls; /* watchers now */
    _Atomic uint64_t changes;       /* published */
    _Atomic uint64_t wakes;         /* of watchers, by a change */
};

/* `change` is the store's number now: what comes is larger. 0 or negative errno. */
CHECKED int hub_new(const struct hub_limits *limits, int64_t change, struct hub **ret_hub);
/* Before anything is published: a task that has not ended. */
void hub_know(struct hub *hub, const struct task *task);
/* A change that is committed and that queries show. On one thread, numbers grow. */
void hub_publish(struct hub *hub, const struct task *task, int64_t change, bool is_transition);
/* Wakes all watchers; none waits from then on, and none enters. */
void hub_close(struct hub *hub);
/* All watchers must have left, nobody publishes any more. Takes NULL, returns NULL. */
struct hub *hub_free(struct hub *hub);
const struct hub_counts *hub_counts(const struct hub *hub);

/* ---- watchers ---- */

enum hub_outcome {
    HUB_ENTERED = 0,
    HUB_FULL = 1,        /* too many watchers in all */
    HUB_TENANT_FULL = 2, /* of this tenant */
    HUB_CLOSED = 3,
};

enum hub_wish {
    HUB_WISH_EVENTS, /* all of them */
    HUB_WISH_CHANGE, /* to be woken at the first change */
    HUB_WISH_END,    /* to be woken when it has ended */
};

struct hub_interest {
    const char *tenant;     /* whose watcher it is; without ids his tasks are watched */
    bool is_of_all;         /* without ids: all tasks, whosever */
    const char *const *ids; /* NULL: no ids */
    size_t n_ids;           /* 1..TASK_IDS_MAX; for the wishes CHANGE and END just one */
    enum hub_wish wish;
    int64_t after; /* only changes of larger numbers */
};

/* Embedded by its owner. The first part is set by him before hub_enter(), the second is the hub's. */
struct hub_watcher {
    /* Within hub_wait(): from now on it may be woken. Under the hub's lock. */
    void (*sleep)(struct hub_watcher *watcher);
    /* Once for each sleep, on the hub's thread or whichever closes it. Under the hub's lock, so it calls nothing of the hub. */
    void (*wake)(struct hub_watcher *watcher);

    struct hub *hub;
    struct hub_tenant *tenant;
    struct hub_sub *subs; /* one for each id */
    size_t n_subs;
    struct hub_event **queue;
    size_t n_queued, capacity;
    int64_t position; /* all up to here was taken */
    int64_t due_tick;
    struct hub_watcher *next, *previous; /* of its tenant, or of those who watch all */
    struct hub_watcher *next_asleep, *previous_asleep; /* in the wheel, while asleep */
    enum hub_wish wish;
    bool is_of_all, is_behind, is_asleep, has_come;
};

CHECKED enum hub_outcome hub_enter(struct hub *hub, struct hub_watcher *watcher,
                                   const struct hub_interest *interest);
/* It is not woken any more, and its owner may go. */
void hub_leave(struct hub_watcher *watcher);
/* Goes to sleep for up to `wait_ms` unless something is there. False: something is, or the hub is closed. */
CHECKED bool hub_wait(struct hub_watcher *watcher, int64_t wait_ms);
bool hub_is_closed(struct hub *hub);

/* A stream begins with the present: its position is the hub's last change, and `ret_events` are the newest ones of its unfinished
 * tasks, sorted. malloc'ed, each with a reference. Returns how many. */
size_t hub_begin(struct hub_watcher *watcher, struct hub_event ***ret_events);

enum hub_taken {
    HUB_TOOK, /* some events */
    HUB_NOTHING,
    /* What follows its position is no longer remembered: read transitions up to `ret_floor` from the store, add
     * hub_progress(), then hub_move(). */
    HUB_BEHIND,
};

/* The next events of a stream, at most `most`, in order, each with a reference. */
CHECKED enum hub_taken hub_take(struct hub_watcher *watcher, struct hub_event **ret_events,
                                size_t most, size_t *ret_count, int64_t *ret_floor);
/* The newest events of its unfinished tasks that are progress, with numbers beyond `after` up to `until`. As hub_begin(). */
size_t hub_progress(struct hub_watcher *watcher, int64_t after, int64_t until,
                    struct hub_event ***ret_events);
/* All up to there was taken, from wherever. */
void hub_move(struct hub_watcher *watcher, int64_t position);
int64_t hub_position(struct hub_watcher *watcher);
/* Is the task, as far as the hub has heard, one that has not ended? `ret_change`: up to where it has heard. */
bool hub_is_unfinished(struct hub *hub, const char *id, int64_t *ret_change);
