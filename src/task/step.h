/* SPDX-License-Identifier: Apache-2.0
 *
 * The one function that moves a task: step(task, event, now) -> task', effects. It reads no clock
 * and does no I/O; all policy of a task's life lives here. The shell commits the new task when
 * told to, and only then carries out the effects (commit, then act). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "task/task.h"

enum task_event_kind {
    TASK_EVENT_SLOT_GRANTED, /* queued: a slot on `channel` is ours */
    TASK_EVENT_STARTED,      /* submitting: the engine accepted and works on it */
    TASK_EVENT_PROGRESS,     /* rendering: `progress` 0..1 */
    TASK_EVENT_RENDERED,     /* rendering: a result lies in the spool */
    TASK_EVENT_STORED,       /* fetching: `result` is stored as assets */
    TASK_EVENT_FAILED, /* any attempt step: `failure`, `note`; `may_retry`: another attempt could mend it */
    TASK_EVENT_CANCEL,    /* its owner asks */
    TASK_EVENT_DEADLINE,  /* its deadline passed */
    TASK_EVENT_RECOVERED, /* found unfinished at start of the process */
    TASK_EVENT_PARKED,  /* the process stops while an attempt of the built-in engine is under way */
    TASK_EVENT_EXPIRED, /* an end: retention takes result and inputs out of the answers */
    TASK_EVENT_UNSERVED, /* queued: no channel serves its model any more */
    TASK_EVENT_COUNT
};

struct task_event {
    enum task_event_kind kind;
    const char *channel;       /* SLOT_GRANTED */
    bool is_builtin;           /* SLOT_GRANTED */
    double progress;           /* PROGRESS */
    struct task_result result; /* STORED */
    enum task_failure failure; /* FAILED */
    bool may_retry;            /* FAILED */
    const char *note;          /* FAILED; NULL or one sentence, cut to TASK_NOTE_SIZE */
};

/* What the shell must do, as bits. A new task is committed first, with or without PERSIST, and that
 * commit is awaited before the others. */
enum task_effect {
    TASK_EFFECT_PERSIST = 1,      /* commit the new record */
    TASK_EFFECT_START = 2,        /* fetch inputs and start the engine */
    TASK_EFFECT_STORE_RESULT = 4, /* make variants and store the files */
    TASK_EFFECT_STOP = 8,         /* stop whatever works for this task (helper, downloads) */
    TASK_EFFECT_ENQUEUE = 16,     /* back to the schedule, not before task.not_before_ms */
    TASK_EFFECT_RELEASE = 32,     /* the attempt's slot is free again; its spool may go */
    TASK_EFFECT_FORGET = 64,      /* ended: nothing more to do for it */
};

struct task_policy {
    int max_attempts;                        /* of one task */
    int64_t backoff_base_ms, backoff_max_ms; /* between attempts: base * 2^(n-1), capped */
};

struct task_step {
    struct task *task; /* a new, unpublished copy; NULL when the event changes nothing */
    unsigned effects;  /* enum task_effect bits */
};

/* Never fails: an event that has no place in the task's state (late, repeated) changes nothing and
 * yields no task and no effects. STOP in the effects only when something may be working.
 * The caller owns ret->task. `now_ms` is the wall clock. */
void task_step(const struct task *task, const struct task_event *event,
               const struct task_policy *policy, int64_t now_ms, struct task_step *ret);
/* Does the record keep the promises of its state (times in order, progress in 0..1, failure set
 * just in failed and cancelled, result just in completed …)? must() in step and decode. */
bool task_is_sound(const struct task *task);
const char *task_event_name(enum task_event_kind kind);
