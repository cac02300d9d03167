/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt of ours at one task: inputs brought together, the animatic rendered in a helper or the channel's program
 * run, variants made, all of it stored. It knows nothing of states: it tells what happened as events. On the loop's
 * thread. */
#pragma once

#include "base/compiler.h"
#include "engine/room.h"
#include "task/step.h"
#include "upstream/channel.h"

struct attempt;

struct attempt_handler {
    /* STARTED, PROGRESS, RENDERED, STORED, FAILED or TURNED_AWAY (then the attempt does nothing more); never
     * from within a call of attempt_start() or attempt_store(). The handler may call
     * attempt_stop(). */
    void (*event)(void *context, const struct task_event *event);
    /* Why, for operators; just before FAILED and TURNED_AWAY. */
    void (*reason)(void *context, const char *reason);
    void *context;
};

/* Begins; what goes wrong comes as an event. `room` and `channel` must outlive it. */
struct attempt *attempt_start(const struct engine_room *room, const struct channel *channel,
                              const struct task *task, const struct attempt_handler *handler);
/* After RENDERED: makes the variants and stores the files; STORED or FAILED follows. */
void attempt_store(struct attempt *attempt);
/* Ends it without further events; files that it stored, wholly or half, are erased. Takes NULL, returns NULL. */
struct attempt *attempt_stop(struct attempt *attempt);
/* As attempt_stop(), but what it stored is wanted: the task has it as its result. */
struct attempt *attempt_keep(struct attempt *attempt);
