/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread's event loop: descriptors by epoll, timers in a heap, jobs posted from other
 * threads. All but loop_post() and loop_stop() are called on the loop's own thread (or before it
 * runs). Callbacks may add and remove any watch or timer, their own included. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct loop;

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

/* Embedded by the owner. Zero it before first use; must stay put while active. */
struct loop_watch {
    int fd;
    void (*ready)(struct loop_watch *watch, int events); /* LOOP_* bits; HANGUP always reported */
    bool active;                                         /* owned by the loop */
};

struct loop_timer {
    void (*fire)(struct loop_timer *timer);
    int64_t due_ms;  /* clock_mono_ms(); owned by the loop while active */
    int64_t order;   /* owned by the loop: timers due together fire in the order of arming */
    long heap_index; /* owned by the loop; 0 when inactive */
};

/* Posted from any thread; runs once on the loop. Embedded by its owner, never dropped. */
struct loop_job {
    void (*run)(struct loop_job *job);
    struct loop_job *next; /* on the loop's inbox */
};

/* 0, or negative errno when descriptors are out. */
CHECKED int loop_new(struct loop **ret_loop);
/* All watches and timers must be gone; jobs not yet run are run. Takes NULL, returns NULL. */
struct loop *loop_free(struct loop *loop);
/* Watches `watch->fd` for `events`; calling it again changes the events. LOOP_HANGUP among them
 * asks to hear already of a peer that closed its sending half. A negative errno changes nothing. */
CHECKED int loop_watch(struct loop *loop, struct loop_watch *watch, int events);
void loop_unwatch(struct loop *loop, struct loop_watch *watch);
/* (Re)arms a timer to fire once in `delay_ms` (0: at the next turn). */
void loop_arm(struct loop *loop, struct loop_timer *timer, int64_t delay_ms);
void loop_disarm(struct loop *loop, struct loop_timer *timer);
bool loop_is_armed(const struct loop_timer *timer);
void loop_post(struct loop *loop, struct loop_job *job);
/* Descriptors watched. */
long loop_watches(const struct loop *loop);
/* One turn: waits at most `most_wait_ms` for something to do, and does what is due. For the last work after loop_run(). */
void loop_turn(struct loop *loop, int most_wait_ms);
/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
/* From any thread, but not from a signal handler. Before loop_run(): that one returns at once. */
void loop_stop(struct loop *loop);
