/* SPDX-License-Identifier: Apache-2.0
 *
 * The hub from within: what hub.c (changes, and the thread that spreads them), index.c (tasks and tenants) and watcher.c
 * (those who wait) share. Nobody outside includes it. */
#pragma once

#include <pthread.h>

#include "notify/hub.h"

enum {
    HUB_TASK_BUCKETS = 4096,
    HUB_TENANT_BUCKETS = 256,
    HUB_WHEEL = 1024, /* slots: more than the longest wait */
};

/* One watcher's interest in one task. */
struct hub_sub {
    struct hub_watcher *watcher;
    struct hub_task *task;
    struct hub_sub *next, *previous; /* of the task */
};

/* A task that has not ended, or that somebody watches by name. */
struct hub_task {
    struct hub_task *chain;
    char id[ID_SHORT_SIZE];
    struct hub_event *latest; /* its newest; NULL: not known to be unfinished */
    struct hub_sub *subs;
    struct hub_tenant *tenant;        /* with `latest`: whose list it is on */
    struct hub_task *next, *previous; /* of the tenant's unfinished */
};

/* A tenant that has unfinished tasks or watchers. */
struct hub_tenant {
    struct hub_tenant *chain;
    struct hub_task *tasks;       /* unfinished */
    struct hub_watcher *watchers; /* of all his tasks */
    int64_t n_watchers;           /* his, of whatever */
    char name[TASK_TENANT_SIZE];
};

/* A change on its way to the hub's thread. */
struct hub_news {
    struct hub_event *event;
    struct hub_news *next;
};

struct hub {
    struct hub_limits limits;
    struct hub_counts counts;
    pthread_t thread;

    pthread_mutex_t inbox_lock; /* owns the next four; taken last */
    pthread_cond_t inbox_changed;
    struct hub_news *first_news, **last_news;
    bool is_stopping;
    int64_t published; /* the number of the last change; the publisher's own */
    _Atomic int64_t n_asleep;

    pthread_mutex_t lock; /* owns the rest */
    bool is_closed;
    int64_t head;  /* the last change spread */
    int64_t floor; /* the ring has all changes beyond it */
    struct hub_event *ring[HUB_RING_MAX];
    size_t ring_first, ring_count, ring_bytes;
    struct hub_task *tasks[HUB_TASK_BUCKETS];
    struct hub_tenant *tenants[HUB_TENANT_BUCKETS];
    struct hub_watcher *of_all; /* watchers of all tasks */
    int64_t n_watchers;
    struct hub_watcher *wheel[HUB_WHEEL]; /* who sleeps, by when he is due */
    int64_t swept_tick;                   /* the wheel was turned up to there */
};

/* ---- index.c; all with the lock held ---- */

struct hub_task *hub_find_task(const struct hub *hub, const char *id);
/* Finds it or makes it. */
struct hub_task *hub_need_task(struct hub *hub, const char *id);
struct hub_tenant *hub_find_tenant(const struct hub *hub, const char *name);
struct hub_tenant *hub_need_tenant(struct hub *hub, const char *name);
/* Goes if nothing needs it any more. */
void hub_release_task(struct hub *hub, struct hub_task *task);
void hub_release_tenant(struct hub *hub, struct hub_tenant *tenant);
/* `event` (a reference is taken) is the newest of its unfinished task. */
void hub_set_latest(struct hub *hub, struct hub_event *event);
/* It has ended. */
void hub_drop_latest(struct hub *hub, const char *id);

/* ---- watcher.c; with the lock held ---- */

/* An event reaches a watcher. */
void hub_reach(struct hub_watcher *watcher, struct hub_event *event);
void hub_rouse(struct hub_watcher *watcher);
/* Wakes who is due by now. */
void hub_turn_wheel(struct hub *hub, int64_t now_ms);
int64_t hub_tick(int64_t now_ms);
