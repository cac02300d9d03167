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

/* What to do when nobody knows whether an upstream took a submit. */
enum task_on_unknown {
    TASK_UNKNOWN_HOLD,     /* the task fails with submission_unknown, the attempt stays on record */
    TASK_UNKNOWN_RESUBMIT, /* the operator accepts that it may be bought twice */
};

enum task_event_kind {
    TASK_EVENT_SLOT_GRANTED, /* queued: a slot on `channel` is ours */
    TASK_EVENT_STARTED,      /* submitting: it is worked on here */
    TASK_EVENT_PROGRESS,     /* rendering: `progress` 0..1 */
    TASK_EVENT_RENDERED,     /* rendering: a result lies in the spool */
    TASK_EVENT_STORED,       /* fetching: `result` is stored as assets */
    TASK_EVENT_FAILED, /* any attempt step: `failure`, `note`; `may_retry`: another attempt could mend it */
    TASK_EVENT_CANCEL, /* its owner asks */
    TASK_EVENT_DEADLINE, /* its deadline passed; `is_final`: and nothing is worth waiting for any more */
    TASK_EVENT_RECOVERED, /* found unfinished at start of the process */
    TASK_EVENT_PARKED,    /* the process stops while local work is under way */
    TASK_EVENT_EXPIRED,   /* an end: retention takes result and inputs out of the answers */
    TASK_EVENT_ERASED,    /* an end: its owner has everything erased but what accounts need */
    TASK_EVENT_UNSERVED, /* queued: no channel serves its model any more, or each that does has refused it */
    /* Of an attempt at an upstream: */
    TASK_EVENT_ACCEPTED, /* submitting: the upstream has it, as `job` */
    TASK_EVENT_TURNED_AWAY, /* submitting, or queued with a slot, or under way here with `is_final`: certainly not taken,
                               `failure`, `note`; `is_final`: this channel will never take it, else not before
                               `retry_after_ms` */
    TASK_EVENT_ANSWER_LOST, /* submitting: the request left and nobody knows what became of it */
    TASK_EVENT_CONFIRMED,   /* rendering, confirming: the upstream knows the job */
    TASK_EVENT_KEPT,        /* rendering: `job` holds newer texts of the adapter */
    TASK_EVENT_GONE, /* rendering or fetching: the upstream does not know the job (policy_note_gone()) */
    TASK_EVENT_RENEWED, /* fetching: `job` names the outputs anew */
    TASK_EVENT_CANCEL_CLOSED, /* an end with an attempt cancelling: over; `was_stopped` by the upstream or not */
    TASK_EVENT_COUNT
};

struct task_event {
    enum task_event_kind kind;
    const char *channel; /* SLOT_GRANTED; TURNED_AWAY while queued: whose slot it was */
    bool is_local;       /* SLOT_GRANTED: the work is done here, … */
    bool is_command;     /* … by an operator's program */
    /* SLOT_GRANTED, of an upstream: its name; NULL for what is done here. */
    const char *credential;
    const char *attempt_id; /* SLOT_GRANTED, of an upstream: att_<26> */
    /* SLOT_GRANTED (NULL, or the id that we chose), ACCEPTED, KEPT, RENEWED, RENDERED of an upstream; CONFIRMED, FAILED and
     * CANCEL_CLOSED (or NULL): borrowed. It always has an id; with RENDERED and RENEWED outputs, too. */
    struct attempt_job *job;
    enum task_on_unknown on_unknown; /* ANSWER_LOST, GONE, RECOVERED: what the channel says */
    bool can_confirm; /* ANSWER_LOST, RECOVERED: the job can be looked up by the id that we chose */
    bool is_certain;  /* GONE: what is not found by the id that we chose was not taken */
    bool is_final;    /* TURNED_AWAY, DEADLINE */
    int64_t retry_after_ms;    /* TURNED_AWAY: the upstream's wish; 0: none */
    bool was_stopped;          /* CANCEL_CLOSED */
    double progress;           /* PROGRESS */
    struct task_result result; /* STORED */
    enum task_failure failure; /* FAILED, TURNED_AWAY with is_final */
    bool may_retry;            /* FAILED */
    /* FAILED, TURNED_AWAY, ANSWER_LOST, GONE; NULL or one sentence, cut to TASK_NOTE_SIZE. */
    const char *note;
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
    TASK_EFFECT_POLL = 128,       /* begin or go on to ask the upstream */
    /* The upstream is done: the slot is free, though the attempt goes on. */
    TASK_EFFECT_VACATE = 256,
    TASK_EFFECT_CANCEL_UPSTREAM = 512, /* tell the upstream; CANCEL_CLOSED follows */
    /* Its deadline has passed, and there may be a video that is paid for: look at once whether there is. DEADLINE comes
     * again, `is_final`, when there is none yet, or when the grace for all this is over. */
    TASK_EFFECT_LOOK = 1024,
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
