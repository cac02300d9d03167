/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt at an upstream: the submit prepared and sent, the job polled, its result brought home, or cancelled. It
 * knows nothing of states: it tells what happened as events, and does what the task's effects say. What is told of the
 * upstream's health goes to its credential. On the loop's thread. */
#pragma once

#include "base/compiler.h"
#include "engine/credential.h"
#include "engine/room.h"
#include "task/step.h"

enum {
    /* Downloads that break off half-way, before the result is given up or asked for anew. */
    REMOTE_DOWNLOAD_TRIES = 12,
    /* Downloads from a link that nothing renews: storage may lag behind the word that it is done. */
    REMOTE_REFUSED_TRIES = 4,
    REMOTE_RENEWALS = 3, /* polls that name the result anew */
    /* Making variants and storing; a full disk is waited for until the deadline. */
    REMOTE_STORE_TRIES = 5,
    REMOTE_CANCEL_TRIES = 5,
    /* Looks at a late job, so far apart, before one that is under way is not waited for: it may be about to be done. */
    REMOTE_LATE_LOOKS = 3,
    REMOTE_LATE_PAUSE_MS = 2000,
    REMOTE_RETRY_MS = 1000,           /* first pause between those; doubled, … */
    REMOTE_RETRY_MOST_MS = 60 * 1000, /* … up to this */
};

enum {
    REMOTE_VERDICTS_MAX = 64
}; /* told on of one attempt, with what is told of a result out of reach */

enum remote_verdict {
    REMOTE_VERDICT_NONE,
#define VERDICT(name, word, meaning) REMOTE_VERDICT_##name,
#include "engine/verdict.def"
    REMOTE_VERDICT_COUNT
};
const char *remote_verdict_word(enum remote_verdict verdict);

struct remote;

struct remote_handler {
    /* The submit is ready to leave, as `granted` (SLOT_GRANTED) says: remote_send() once that is durable. */
    void (*ready)(void *context, const struct task_event *granted);
    /* Anything else; never from within a call of this header. */
    void (*event)(void *context, const struct task_event *event);
    /* What the upstream says of its own queue: 0: nothing. */
    void (*queue_position)(void *context, int64_t position);
    /* A poll told something else than the one before; `message` (NULL: none) in the upstream's words. For the timeline. */
    void (*verdict)(void *context, enum remote_verdict verdict, const char *message);
    /* The result was out of reach `n_tries` times in a row, the last time because of `why`. For the timeline of operators. */
    void (*unreached)(void *context, int n_tries, const char *why);
    /* Why the attempt is about to end, or its submit to be put off, in the upstream's words where it has some. For the timeline of
     * operators; before the event. */
    void (*reason)(void *context, const char *reason);
    void *context;
};

/* For a task that has a slot of `route`, or (from its record) had one before a restart: then `route` names the channel
 * and credential of its attempt. Holds `table`. `room` and `credentials` must outlive it. */
struct remote *remote_new(const struct engine_room *room, struct credentials *credentials,
                          struct channel_table *table, const struct route *route,
                          const struct remote_handler *handler);
/* Prepares the submit: ready(), or TURNED_AWAY. It counts for the budget of its credential from now on. */
void remote_prepare(struct remote *remote, const struct task *task);
/* Sends what was prepared: ACCEPTED, TURNED_AWAY or ANSWER_LOST follows. `task` is the one just written. */
void remote_send(struct remote *remote, const struct task *task);
/* Is the answer to a submit awaited? */
bool remote_is_sending(const struct remote *remote);
/* Is its result on the way to us, or being stored? One that waits for its next try, or for a new link, stands in the record. */
bool remote_is_bringing(const struct remote *remote);
/* Polls until something but progress is told. */
void remote_poll(struct remote *remote, const struct task *task);
/* While it polls: its task's deadline has passed, so the next poll is hastened, and the last of a few that find the job still under way
 * tells DEADLINE, `is_final`. */
void remote_look(struct remote *remote);
/* When the first poll after that was sent, clock_mono_ms(); 0: none was, or the upstream's answer was a wish to wait. */
int64_t remote_looked_ms(const struct remote *remote);
/* A newer version of the task that it works for, as committed: what its polls go by. Another attempt's is not heeded. */
void remote_know(struct remote *remote, const struct task *task);
/* Brings the result of the task's attempt home, and stores it: STORED, RENEWED, GONE or FAILED. */
void remote_store(struct remote *remote, const struct task *task);
/* Asks the upstream to stop: CANCEL_CLOSED. */
void remote_cancel(struct remote *remote, const struct task *task);
/* Ends whatever is under way, without events. Its result, once stored, is erased unless the task has it. */
void remote_halt(struct remote *remote, bool is_kept);
/* As remote_halt(), and for good. Takes NULL, returns NULL. */
struct remote *remote_free(struct remote *remote, bool is_kept);
