/* SPDX-License-Identifier: Apache-2.0
 *
 * The store from within: store.c (opening, reads) and store_writer.c (the way of a write). Nobody else includes this. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "store/backend.h"
#include "store/store.h"

struct store {
    const struct store_backend *backend;
    void *self; /* the backend's */
    struct queue *queue;
    pthread_t writer;
    _Atomic bool is_ailing;  /* the writer sets it, anyone reads it */
    _Atomic int64_t n_notes; /* waiting for the writer */
    struct store_counts counts;
};

/* The writer's thread: ends when the queue is closed and empty. `argument` is the store. */
void *store_writer_main(void *argument);
