/* SPDX-License-Identifier: Apache-2.0
 *
 * An actor carries one unfinished task through its life: it feeds events to task_step(), has the
 * store commit what came out, publishes it and only then carries out the effects. Private to engine/. On the loop's
 * thread, or on the one that starts and stops the engine while that is not running. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "engine/local_work.h"
#include "engine/credential.h"
#include "engine/engine.h"
#include "engine/remote.h"
#include "engine/schedule.h"
#include "store/store.h"
#include "task/step.h"

enum {
    ACTOR_EVENTS_MAX = 16,       /* that wait for a commit: one of each kind that can meet in one */
    ACTOR_STORE_RETRY_MS = 1000, /* pause before a failed commit is tried again */
    ACTOR_PROGRESS_PERSIST_MS = 250,     /* progress is committed, and shown, no more often */
    ACTOR_TURN_MOST_MS = 60 * 60 * 1000, /* a look past a deadline waits for its turn no longer */
    ACTOR_PUT_OFF_MAX =
        64, /* of its submits that were put off before an attempt began stand in the timeline */
};

/* What happened during a commit. Few tasks have any at a time, and there may be many thousand tasks. */
struct actor_waiting {
    struct task_event events[ACTOR_EVENTS_MAX];
    size_t n_events;                   /* at least one */
    char failure_note[TASK_NOTE_SIZE]; /* of a failure that waits */
};

/* A version of the task on its way into the store, or waiting to be tried again. Apart for the same reason. */
struct actor_commit {
    struct actor *actor;
    unsigned effects; /* to carry out once it is through */
    struct task
        *version; /* what is committed; nobody else sees it yet, so that its number can be put in */
    struct store_write write;
    struct loop_job committed; /* brings the store's answer to the loop */
    struct loop_timer retry;   /* armed after a failure; while it is not, `write` is the store's */
};

struct actor {
    struct engine *engine;
    const struct task *task;       /* the newest version, possibly not committed yet; a reference */
    struct actor_waiting *waiting; /* for the commit under way; NULL: nothing */
    struct actor_commit *commit;   /* under way; NULL: all is durable */
    bool is_scheduled;             /* `entry` is on the schedule */
    bool is_running;               /* counts as running for its tenant */
    bool has_animatic_slot;        /* of the built-in engine */
    const struct channel *channel; /* of its slot, where the work is done here */
    struct credential *credential; /* in whose jobs in flight it counts; NULL: none */
    const struct credential *avoided; /* turned it away last, but not for good; NULL: none did */
    /* Its end is durable: it is here only until the upstream has answered a cancel. */
    bool has_ended;
    enum task_state counted;    /* in the engine's counts, as published */
    int n_put_off;              /* submits, before an attempt began */
    bool is_recovering;         /* taken up from the store, and not yet settled anew */
    struct loop_timer wake;     /* the pause before the next attempt */
    struct loop_timer deadline; /* or, `is_late`, the end of the grace after it */
    bool is_late; /* its deadline has passed, and what its upstream may have made is looked for */
    int64_t late_since_ms;      /* then: clock_mono_ms() */
    struct loop_timer progress; /* brings `held_progress` when its time has come */
    double held_progress;
    struct schedule_entry entry;
    struct local_work *local; /* NULL unless running */
    struct remote *remote;    /* at an upstream; NULL unless there is one */
    unsigned orphaned; /* effects that wait for a channel or credential to be configured again */
    struct engine_cancel *cancels; /* waiting for the commit, by `next` */
    struct engine_erase *erases;   /* the same */
    int64_t persisted_ms;          /* of the last commit, clock_mono_ms() */
    int64_t slot_granted_ms;       /* clock_mono_ms() */
    struct actor *chain;           /* on the engine's bucket */
    struct actor *next, *previous; /* on the engine's list of all actors */
};

/* ---- actor.c ---- */

/* Begins to carry `task` (takes a reference). `event` is how one from the store is taken up again; NULL
 * for a new one. */
void actor_new(struct engine *engine, const struct task *task, const struct task_event *event);
struct actor *actor_find(struct engine *engine, const char *id);
/* Something happened. May end (and free) the actor. */
void actor_feed(struct actor *actor, const struct task_event *event);
/* Its owner's cancel, answered once the outcome is durable. */
void actor_cancel(struct actor *actor, struct engine_cancel *cancel);
/* Its owner's erasure; it has ended, and nothing but the answer of its upstream to a cancel is waited for. */
void actor_erase(struct actor *actor, struct engine_erase *erase);
/* Ends the process's part in a task without changing it: for the end of the engine. Answers its
 * cancels. */
void actor_discard(struct actor *actor);

/* ---- actor_work.c ---- */

/* The task has a slot of `route`. */
void actor_begin(struct actor *actor, const struct route *route);
/* Its channel or credential was not configured; it may be now. */
void actor_look_again(struct actor *actor);
/* Is its work under way, and done here? Then a stop parks it. */
bool actor_works_locally(const struct actor *actor);
/* Would a stop lose something: local work, the answer to a submit, a download, an upstream's word that is not durable yet?
 * What only waits for its time is durable. */
bool actor_is_busy(const struct actor *actor);
