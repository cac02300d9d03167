/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded queue between threads: many senders, one receiver. Items are intrusive; who sends an
 * item no longer owns it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Embedded in what is sent; on the queue's list from queue_put() until taken. */
struct queue_item {
    struct queue_item *next;
};

struct queue;

struct queue *queue_new(size_t max_items);
/* The queue must be empty; takes NULL, returns NULL. */
struct queue *queue_free(struct queue *queue);
/* False, and the item still the caller's, when the queue is full or closed. */
CHECKED bool queue_put(struct queue *queue, struct queue_item *item);
/* As queue_put() but beyond the bound: for senders that reserved their place otherwise. False
 * only when closed. */
CHECKED bool queue_put_reserved(struct queue *queue, struct queue_item *item);
/* Waits until there are items, the queue is closed, or `wait_ms` passed (-1: no limit); takes up
 * to `most`, oldest first, as a list linked by `next`, NULL when none. */
struct queue_item *queue_take(struct queue *queue, size_t most, int64_t wait_ms);
/* No more puts; what is in it can still be taken. */
void queue_close(struct queue *queue);
bool queue_is_drained(struct queue *queue); /* closed and empty */
size_t queue_length(struct queue *queue);   /* for tests */
