/* SPDX-License-Identifier: Apache-2.0
 *
 * What deliver.c (who is sent to, and when) and deliver_send.c (one delivery) share. Nobody else includes this. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/blocking.h"
#include "engine/deliver.h"
#include "notify/webhook.h"
#include "store/webhooks.h"

enum { DELIVER_BUCKETS = 1024 };

struct sending;

/* One receiver of one tenant, for as long as anything waits for it. */
struct lane {
    struct deliver *deliver;
    char *tenant, *url;
    int64_t due_ms; /* wall clock: the first of its deliveries; INT64_MAX: none that we know of */
    int64_t not_before_ms; /* after a fault of ours */
    struct webhook_breaker breaker;
    struct sending *sending; /* NULL: idle */
    bool has_news;           /* its rows changed while one was under way */
    struct lane *next;       /* in its bucket */
};

/* Whose lanes are to be read anew. */
struct news {
    struct blocking_job job;
    struct deliver *deliver;
    char *tenant; /* NULL: all */
    int result;
    struct found *found; /* what the store said */
    struct news *next;   /* on the list of those that wait */
};

struct deliver {
    struct deliver_parts parts;
    struct blocking *blocking; /* its own: renderings must not wait for it, nor it for them */
    struct webhook_schedule schedule;
    struct lane *buckets[DELIVER_BUCKETS];
    size_t at; /* the bucket to begin with, so that each has its turn */
    struct sending *sendings;
    size_t n_sendings;
    struct loop_timer turn;
    struct news *news;            /* that wait, oldest first */
    struct news *reading;         /* one at a time */
    struct loop_timer read_again; /* after a fault of the store */
    bool is_closed;
};

/* ---- deliver.c ---- */

/* The lane's sending has ended; its next delivery is due at `due_ms`. */
void deliver_lane_is_free(struct lane *lane, int64_t due_ms);

/* ---- deliver_send.c ---- */

/* Begins with the oldest event that is due in an idle lane. */
void sending_begin(struct lane *lane);
/* How many of the tenant's are under way? */
size_t sending_count(const struct deliver *deliver, const char *tenant);
/* Breaks off those that wait for a receiver; those that are with the store end by themselves. */
void sending_stop_all(struct deliver *deliver);
