/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt at a task whose work is done here (remote.h: at an upstream): inputs brought together, the animatic rendered
 * in a helper or the channel's program run, variants made, all of it stored. It knows nothing of states: it tells what
 * happened as events. On the loop's thread. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "engine/room.h"
#include "task/step.h"
#include "upstream/channel.h"

struct local_work;

struct local_work_handler {
    /* STARTED, PROGRESS, RENDERED, STORED, FAILED or TURNED_AWAY (then it does nothing more); never
     * from within a call of local_work_start() or local_work_store(). The handler may call
     * local_work_stop(). */
    void (*event)(void *context, const struct task_event *event);
    /* Why, for operators; just before FAILED and TURNED_AWAY. */
    void (*reason)(void *context, const char *reason);
    void *context;
};

/* Begins; what goes wrong comes as an event. `room` and `channel` must outlive it. */
struct local_work *local_work_start(const struct engine_room *room, const struct channel *channel,
                                    const struct task *task,
                                    const struct local_work_handler *handler);
/* After RENDERED: makes the variants and stores the files; STORED or FAILED follows. */
void local_work_store(struct local_work *work);
/* Ends it without further events; files that it stored, wholly or half, are erased, unless `is_kept`: the task has them as
 * its result. Takes NULL, returns NULL. */
struct local_work *local_work_stop(struct local_work *work, bool is_kept);
