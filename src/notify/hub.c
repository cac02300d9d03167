/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes come in on the publisher's thread, into an inbox with a lock of its own, so that the engine never waits for
 * watchers. The hub's thread takes them out and spreads them one by one, each under the lock: into the ring, into the newest events, to
 * those who watch. Waves are some milliseconds apart, since waking a suspended connection costs its HTTP thread a walk over all of
 * them: what comes meanwhile is one waking. The same thread turns the wheel of deadlines. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "notify/hub_own.h"

#include "base/clock.h"
#include "base/must.h"

/* ---- events ---- */

struct hub_event *hub_event_new(const struct task *task, int64_t change, bool is_transition)
{
    struct hub_event *event = must_calloc(1, sizeof *event);
    atomic_init(&event->references, 1);
    event->task = task_ref(task);
    event->change = change;
    event->is_transition = is_transition;
    return event;
}

struct hub_event *hub_event_ref(struct hub_event *event)
{
    atomic_fetch_add(&event->references, 1);
    return event;
}

struct hub_event *hub_event_unref(struct hub_event *event)
{
    if (event && atomic_fetch_sub(&event->references, 1) == 1) {
        task_unref(event->task);
        free(atomic_load(&event->shown));
        free(event);
    }
    return NULL;
}

int hub_event_compare(const void *left, const void *right)
{
    const struct hub_event *const *one = left, *const *other = right;
    return ((*one)->change > (*other)->change) - ((*one)->change < (*other)->change);
}

/* ---- spreading ---- */

static size_t bytes_of(const struct hub_event *event)
{
    return sizeof *event + sizeof *event->task + task_request_bytes(event->task->request);
}

static void forget_oldest(struct hub *hub)
{
    struct hub_event *oldest = hub->ring[hub->ring_first];
    hub->ring_first = (hub->ring_first + 1) % HUB_RING_MAX;
    hub->ring_count--;
    hub->ring_bytes -= bytes_of(oldest);
    hub->floor = oldest->change;
    hub_event_unref(oldest);
}

static void remember(struct hub *hub, struct hub_event *event)
{
    size_t bytes = bytes_of(event);
    while (hub->ring_count > 0 &&
           (hub->ring_count == HUB_RING_MAX || hub->ring_bytes + bytes > HUB_RING_BYTES)) {
        forget_oldest(hub);
    }
    hub->ring[(hub->ring_first + hub->ring_count) % HUB_RING_MAX] = hub_event_ref(event);
    hub->ring_count++;
    hub->ring_bytes += bytes;
}

/* A task that was deleted: whoever comes back is told nothing of it any more. */
static void forget_task(struct hub *hub, const char *id)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < hub->ring_count; i++) {
        struct hub_event *event = hub->ring[(hub->ring_first + i) % HUB_RING_MAX];
        if (strcmp(event->task->request->id, id) == 0) {
            hub->ring_bytes -= bytes_of(event);
            hub_event_unref(event);
        } else {
            hub->ring[(hub->ring_first + n_kept++) % HUB_RING_MAX] = event;
        }
    }
    hub->ring_count = n_kept;
}

static void reach_watchers(struct hub *hub, struct hub_event *event)
{
    const struct hub_task *task = hub_find_task(hub, event->task->request->id);
    const struct hub_tenant *tenant = hub_find_tenant(hub, event->task->request->tenant);
    for (struct hub_sub *sub = task ? task->subs : NULL; sub; sub = sub->next) {
        hub_reach(sub->watcher, event);
    }
    for (struct hub_watcher *watcher = tenant ? tenant->watchers : NULL; watcher;
         watcher = watcher->next) {
        hub_reach(watcher, event);
    }
    for (struct hub_watcher *watcher = hub->of_all; watcher; watcher = watcher->next) {
        hub_reach(watcher, event);
    }
}

/* What still happens to a task after its end (its files go, its upstream answers a cancel) is nothing to tell. */
static void spread(struct hub *hub, struct hub_event *event)
{
    bool has_ended = task_state_is_end(event->task->state);
    pthread_mutex_lock(&hub->lock);
    hub->head = event->change;
    if (event->task->deleted_ms != 0) {
        forget_task(hub, event->task->request->id);
    }
    if (!has_ended || event->is_transition) {
        remember(hub, event);
        if (has_ended) {
            hub_drop_latest(hub, event->task->request->id);
        } else {
            hub_set_latest(hub, event);
        }
        reach_watchers(hub, event);
    }
    pthread_mutex_unlock(&hub->lock);
}

static void wave(struct hub *hub, struct hub_news *news)
{
    while (news) {
        struct hub_news *next = news->next;
        spread(hub, news->event);
        hub_event_unref(news->event);
        free(news);
        news = next;
    }
}

/* ---- the thread ---- */

/* With the inbox's lock held. */
static struct hub_news *take_news(struct hub *hub)
{
    struct hub_news *news = hub->first_news;
    hub->first_news = NULL;
    hub->last_news = &hub->first_news;
    return news;
}

static void wait_until(struct hub *hub, int64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    pthread_cond_timedwait(&hub->inbox_changed, &hub->inbox_lock, &until);
}

/* With the inbox's lock held: until there may be something to do. */
static void pause_thread(struct hub *hub, int64_t next_wave_ms)
{
    int64_t now_ms = clock_mono_ms();
    if (hub->first_news && now_ms < next_wave_ms) {
        wait_until(hub, next_wave_ms);
    } else if (!hub->first_news && atomic_load(&hub->n_asleep) > 0) {
        wait_until(hub, (hub_tick(now_ms) + 1) * HUB_SLOT_MS);
    } else if (!hub->first_news) {
        pthread_cond_wait(&hub->inbox_changed, &hub->inbox_lock);
    }
}

/* Waking one costs as much as there are asleep beside him, so the more there are, the more are woken together. */
static int64_t pause_ms(const struct hub *hub)
{
    int64_t pause = atomic_load(&hub->n_asleep) / HUB_WAVE_SLEEPERS;
    return pause > HUB_WAVE_MS ? pause : HUB_WAVE_MS;
}

static void *hub_main(void *context)
{
    struct hub *hub = context;
    int64_t next_wave_ms = 0;
    pthread_mutex_lock(&hub->inbox_lock);
    while (!hub->is_stopping) {
        pause_thread(hub, next_wave_ms);
        bool is_time = clock_mono_ms() >= next_wave_ms;
        struct hub_news *news = is_time ? take_news(hub) : NULL;
        pthread_mutex_unlock(&hub->inbox_lock);
        wave(hub, news);
        int64_t now_ms = clock_mono_ms();
        next_wave_ms = news ? now_ms + pause_ms(hub) : next_wave_ms;
        pthread_mutex_lock(&hub->lock);
        hub_turn_wheel(hub, now_ms);
        pthread_mutex_unlock(&hub->lock);
        pthread_mutex_lock(&hub->inbox_lock);
    }
    struct hub_news *rest = take_news(hub);
    pthread_mutex_unlock(&hub->inbox_lock);
    wave(hub, rest);
    return NULL;
}

/* ---- from outside ---- */

static void fini(struct hub *hub)
{
    pthread_cond_destroy(&hub->inbox_changed);
    pthread_mutex_destroy(&hub->inbox_lock);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

int hub_new(const struct hub_limits *limits, int64_t change, struct hub **ret_hub)
{
    struct hub *hub = must_calloc(1, sizeof *hub);
    pthread_condattr_t attributes;
    hub->limits = *limits;
    hub->head = hub->floor = hub->published = change;
    hub->last_news = &hub->first_news;
    hub->swept_tick = hub_tick(clock_mono_ms());
    pthread_mutex_init(&hub->lock, NULL);
    pthread_mutex_init(&hub->inbox_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->inbox_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int fault = -pthread_create(&hub->thread, NULL, hub_main, hub);
    if (fault < 0) {
        fini(hub);
        return fault;
    }
    *ret_hub = hub;
    return 0;
}

void hub_know(struct hub *hub, const struct task *task)
{
    struct hub_event *event = hub_event_new(task, task->change, true);
    must(!task_state_is_end(task->state));
    pthread_mutex_lock(&hub->lock);
    hub_set_latest(hub, event);
    pthread_mutex_unlock(&hub->lock);
    hub_event_unref(event);
}

void hub_publish(struct hub *hub, const struct task *task, int64_t change, bool is_transition)
{
    struct hub_news *news = must_calloc(1, sizeof *news);
    news->event = hub_event_new(task, change, is_transition);
    must(change > hub->published);
    hub->published = change;
    atomic_fetch_add(&hub->counts.changes, 1);
    pthread_mutex_lock(&hub->inbox_lock);
    bool was_empty = hub->first_news == NULL;
    *hub->last_news = news;
    hub->last_news = &news->next;
    if (was_empty) {
        pthread_cond_signal(&hub->inbox_changed);
    }
    pthread_mutex_unlock(&hub->inbox_lock);
}

static void drop_everything(struct hub *hub)
{
    while (hub->ring_count > 0) {
        forget_oldest(hub);
    }
    for (size_t i = 0; i < HUB_TASK_BUCKETS; i++) {
        while (hub->tasks[i]) {
            must(hub->tasks[i]->latest != NULL); /* else somebody still watches it */
            hub_drop_latest(hub, hub->tasks[i]->id);
        }
    }
}

struct hub *hub_free(struct hub *hub)
{
    if (!hub) {
        return NULL;
    }
    must(hub->n_watchers == 0);
    pthread_mutex_lock(&hub->inbox_lock);
    hub->is_stopping = true;
    pthread_cond_signal(&hub->inbox_changed);
    pthread_mutex_unlock(&hub->inbox_lock);
    pthread_join(hub->thread, NULL);
    drop_everything(hub);
    fini(hub);
    return NULL;
}

const struct hub_counts *hub_counts(const struct hub *hub)
{
    return &hub->counts;
}

bool hub_is_closed(struct hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    bool is_closed = hub->is_closed;
    pthread_mutex_unlock(&hub->lock);
    return is_closed;
}

bool hub_is_unfinished(struct hub *hub, const char *id, int64_t *ret_change)
{
    pthread_mutex_lock(&hub->lock);
    const struct hub_task *task = hub_find_task(hub, id);
    bool is_unfinished = task && task->latest;
    *ret_change = hub->head;
    pthread_mutex_unlock(&hub->lock);
    return is_unfinished;
}
