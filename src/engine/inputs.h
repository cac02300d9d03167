/* SPDX-License-Identifier: Apache-2.0
 *
 * The input images of a task, brought together as open files: those that clients sent are opened, those that they named
 * are downloaded through the guard. On the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "engine/room.h"
#include "task/step.h"

struct inputs;

struct inputs_handler {
    /* Once, never from within inputs_start(): all are there (`failure` NONE), or what went wrong; `may_retry`: another
     * time it may work. */
    void (*done)(void *context, enum task_failure failure, bool may_retry, const char *note);
    void *context;
};

/* Begins to bring those of the task's images whose bits are set in `wanted`. `room` must outlive it. */
struct inputs *inputs_start(const struct engine_room *room, const struct task *task,
                            uint64_t wanted, const struct inputs_handler *handler);
/* The file of an image, read from offset 0; -1 when it was not wanted. After `done` without a failure. */
int inputs_file(const struct inputs *inputs, size_t index);
/* What lies in it: its size, and its type by content (image/png …; NULL when it is none). */
const char *inputs_type(const struct inputs *inputs, size_t index, int64_t *ret_bytes);
/* Closes all; may be called from within `done`. Takes NULL, returns NULL. */
struct inputs *inputs_stop(struct inputs *inputs);
