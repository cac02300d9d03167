/* SPDX-License-Identifier: Apache-2.0
 *
 * Work that waits for a disk, kept off the loop: a few threads run it and hand it back. */
#pragma once

#include <stddef.h>

#include "base/compiler.h"
#include "base/loop.h"
#include "base/queue.h"

enum { BLOCKING_THREADS = 2, BLOCKING_QUEUE_MAX = 4096 };

struct blocking;

/* Embedded by its owner; the pool's from blocking_submit() until `finish`. */
struct blocking_job {
    void (*work)(struct blocking_job *job);   /* on a thread of the pool */
    void (*finish)(struct blocking_job *job); /* then on the loop's thread */
    struct blocking *pool;
    struct queue_item item;      /* on the pool's queue */
    struct loop_job handed_back; /* on the loop's inbox */
};

CHECKED int blocking_new(struct loop *loop, struct blocking **ret_pool);
/* Finishes all work; the last `finish` calls are then in the loop's inbox. Takes NULL, returns
 * NULL. */
struct blocking *blocking_free(struct blocking *pool);
/* The queue is bounded by what submits: one job per attempt and one sweep. */
void blocking_submit(struct blocking *pool, struct blocking_job *job);
