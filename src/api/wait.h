/* SPDX-License-Identifier: Apache-2.0
 *
 * Suspended requests. The library neither times them out nor notices that the client left, so each has a deadline
 * here, and a thread that resumes the overdue ones once a second. */
#pragma once

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct wait_room;

/* Embedded in what a request waits for. Two own it: the request and the engine, whoever lets go last frees. */
struct wait {
    struct wait_room *room; /* a reference */
    atomic_uint references;
    struct MHD_Connection *connection; /* under the room's lock; NULL once resumed */
    struct wait *next, *previous;      /* in the room, while suspended; under its lock */
    int64_t deadline_ms;               /* clock_mono_ms() */
    bool is_done;                      /* under the room's lock: what was waited for has come */
    bool is_abandoned; /* under the room's lock: the request was answered without it */
    /* Called in wait_done() when nobody waits any more: put right what the answer denied. May be NULL. */
    void (*abandoned)(struct wait *wait);
    void (*free)(struct wait *wait); /* by the last owner */
};

CHECKED int wait_room_new(struct wait_room **ret_room);
/* Resumes all, and whoever comes after is refused. Returns once every request has left, at most after `wait_ms`: false then. */
CHECKED bool wait_room_close(struct wait_room *room, int64_t wait_ms);
/* Ends the thread, lets go. The room lives on while something outside still holds a wait. Takes NULL, returns NULL. */
struct wait_room *wait_room_free(struct wait_room *room);

/* Suspends the connection; both owners' references are taken. False (nothing done) when the room is closed. */
CHECKED bool wait_begin(struct wait *wait, struct wait_room *room,
                        struct MHD_Connection *connection, int64_t patience_ms);
/* What was waited for has come: resumes the connection if it still waits; gives up the engine's reference. Any thread. */
void wait_done(struct wait *wait);
/* In the resumed request: true when it has come, false when time was up or the server stops. The caller keeps its
 * reference and lets go with wait_unref(). */
CHECKED bool wait_end(struct wait *wait);
/* Instead of wait_end(): the client went away, nobody is answered. */
void wait_desert(struct wait *wait);
struct wait *wait_unref(struct wait *wait); /* takes and returns NULL */
