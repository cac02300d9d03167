/* SPDX-License-Identifier: Apache-2.0
 *
 * A short list that HTTP threads write and the loop empties, and an index of who listens, which is the loop's alone. One job
 * at most is in the loop's inbox, however many call. */
#include "engine/callbacks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/id.h"
#include "base/must.h"

enum { BUCKETS = 1024 };

LIST_HEAD(listeners, callback_listener);

struct callbacks {
    struct loop *loop;
    struct listeners buckets[BUCKETS]; /* by attempt */
    char taken[CALLBACKS_MAX][ID_SHORT_SIZE];
    pthread_mutex_t lock; /* of what follows */
    struct loop_job job;
    bool is_posted;
    size_t n_heard;
    char heard[CALLBACKS_MAX][ID_SHORT_SIZE];
};

static struct listeners *bucket_of(struct callbacks *callbacks, const char *attempt_id)
{
    return &callbacks->buckets[hash_text32(attempt_id) % BUCKETS];
}

static void tell(struct callbacks *callbacks, const char *attempt_id)
{
    struct callback_listener *listener = LIST_FIRST(bucket_of(callbacks, attempt_id));
    for (; listener; listener = LIST_NEXT(listener, others)) {
        if (strcmp(listener->attempt_id, attempt_id) == 0) {
            listener->called(listener);
            return;
        }
    }
}

static void on_heard(struct loop_job *job)
{
    struct callbacks *callbacks = CONTAINER_OF(job, struct callbacks, job);
    pthread_mutex_lock(&callbacks->lock);
    const size_t n = callbacks->n_heard;
    memcpy(callbacks->taken, callbacks->heard, n * sizeof callbacks->heard[0]);
    callbacks->n_heard = 0;
    callbacks->is_posted = false;
    pthread_mutex_unlock(&callbacks->lock);
    for (size_t i = 0; i < n; i++) {
        tell(callbacks, callbacks->taken[i]);
    }
}

static bool is_heard(const struct callbacks *callbacks, const char *attempt_id)
{
    for (size_t i = 0; i < callbacks->n_heard; i++) {
        if (strcmp(callbacks->heard[i], attempt_id) == 0) {
            return true;
        }
    }
    return false;
}

void callbacks_hear(struct callbacks *callbacks, const char *attempt_id)
{
    pthread_mutex_lock(&callbacks->lock);
    if (callbacks->n_heard < CALLBACKS_MAX && !is_heard(callbacks, attempt_id)) {
        snprintf(callbacks->heard[callbacks->n_heard++], ID_SHORT_SIZE, "%s", attempt_id);
    }
    const bool must_post = !callbacks->is_posted;
    callbacks->is_posted = true;
    pthread_mutex_unlock(&callbacks->lock);
    if (must_post) {
        loop_post(callbacks->loop, &callbacks->job);
    }
}

void callbacks_add_listener(struct callbacks *callbacks, struct callback_listener *listener)
{
    callbacks_remove_listener(listener);
    LIST_INSERT_HEAD(bucket_of(callbacks, listener->attempt_id), listener, others);
    listener->is_listening = true;
}

void callbacks_remove_listener(struct callback_listener *listener)
{
    if (listener->is_listening) {
        LIST_REMOVE(listener, others);
        listener->is_listening = false;
    }
}

struct callbacks *callbacks_new(struct loop *loop)
{
    struct callbacks *callbacks = must_calloc(1, sizeof *callbacks);
    callbacks->loop = loop;
    callbacks->job.run = on_heard;
    must(pthread_mutex_init(&callbacks->lock, NULL) == 0);
    return callbacks;
}

struct callbacks *callbacks_free(struct callbacks *callbacks)
{
    if (!callbacks) {
        return NULL;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        must(LIST_EMPTY(&callbacks->buckets[i]));
    }
    pthread_mutex_destroy(&callbacks->lock);
    free(callbacks);
    return NULL;
}
