/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded first-in, first-out list under one mutex, with one condition that the receiver waits
 * on. Invariants: tail is NULL exactly when head is; length counts the list; after close nothing
 * is added. The deadline of a wait is on the monotonic clock. */
#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/must.h"

struct queue {
    pthread_mutex_t lock;    /* owns all below but max */
    pthread_cond_t has_news; /* an item came, or the queue was closed */
    struct queue_item *head;
    struct queue_item *tail;
    size_t length;
    size_t max;
    bool is_closed;
};

struct queue *queue_new(size_t max_items)
{
    struct queue *queue = must_calloc(1, sizeof(*queue));
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&queue->has_news, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    must(pthread_mutex_init(&queue->lock, NULL) == 0);
    queue->max = max_items;
    return queue;
}

struct queue *queue_free(struct queue *queue)
{
    if (queue == NULL)
        return NULL;
    must(queue->head == NULL);
    pthread_cond_destroy(&queue->has_news);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
    return NULL;
}

static bool put(struct queue *queue, struct queue_item *item, size_t max)
{
    pthread_mutex_lock(&queue->lock);
    bool is_taken = !queue->is_closed && queue->length < max;
    if (is_taken) {
        item->next = NULL;
        if (queue->tail != NULL)
            queue->tail->next = item;
        else
            queue->head = item;
        queue->tail = item;
        queue->length++;
        pthread_cond_signal(&queue->has_news);
    }
    pthread_mutex_unlock(&queue->lock);
    return is_taken;
}

bool queue_put(struct queue *queue, struct queue_item *item)
{
    return put(queue, item, queue->max);
}

bool queue_put_reserved(struct queue *queue, struct queue_item *item)
{
    return put(queue, item, SIZE_MAX);
}

static struct timespec deadline_after(int64_t wait_ms)
{
    static const int64_t second_ns = 1000000000;
    struct timespec at;
    must(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
    int64_t ns = at.tv_nsec + wait_ms % 1000 * 1000000;
    at.tv_sec += (time_t)(wait_ms / 1000 + ns / second_ns);
    at.tv_nsec = (long)(ns % second_ns);
    return at;
}

/* Called with the lock held; returns with it held, with or without news. */
static void wait_for_news(struct queue *queue, int64_t wait_ms)
{
    struct timespec deadline = {0};
    if (wait_ms > 0)
        deadline = deadline_after(wait_ms);
    int error = 0;
    while (queue->head == NULL && !queue->is_closed && error == 0 && wait_ms != 0) {
        if (wait_ms < 0)
            error = pthread_cond_wait(&queue->has_news, &queue->lock);
        else
            error = pthread_cond_timedwait(&queue->has_news, &queue->lock, &deadline);
    }
}

/* Cuts up to `most` items off the front. Called with the lock held. */
static struct queue_item *cut(struct queue *queue, size_t most)
{
    struct queue_item *first = queue->head;
    struct queue_item *last = NULL;
    for (size_t i = 0; i < most && queue->head != NULL; i++) {
        last = queue->head;
        queue->head = last->next;
        queue->length--;
    }
    if (last == NULL)
        return NULL;
    last->next = NULL;
    if (queue->head == NULL)
        queue->tail = NULL;
    return first;
}

struct queue_item *queue_take(struct queue *queue, size_t most, int64_t wait_ms)
{
    pthread_mutex_lock(&queue->lock);
    wait_for_news(queue, wait_ms);
    struct queue_item *items = cut(queue, most);
    pthread_mutex_unlock(&queue->lock);
    return items;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = true;
    pthread_cond_broadcast(&queue->has_news);
    pthread_mutex_unlock(&queue->lock);
}

bool queue_is_drained(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    bool is_drained = queue->is_closed && queue->head == NULL;
    pthread_mutex_unlock(&queue->lock);
    return is_drained;
}

size_t queue_length(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t length = queue->length;
    pthread_mutex_unlock(&queue->lock);
    return length;
}
