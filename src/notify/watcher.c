/* SPDX-License-Identifier: Apache-2.0
 *
 * Those who wait. A stream that keeps up has its next events in a short queue; one that comes late or falls behind holds
 * nothing but a position, and is given what follows it from the ring until it has caught up. So a slow reader costs nothing but
 * looking, and misses nothing. Progress is only shown while it is the newest word of its task. */
#include <stdlib.h>
#include <string.h>

#include "notify/hub_own.h"

#include "base/clock.h"
#include "base/must.h"

/* ---- sleeping ---- */

int64_t hub_tick(int64_t now_ms)
{
    return now_ms / HUB_SLOT_MS;
}

static void fall_asleep(struct hub_watcher *watcher, int64_t wait_ms)
{
    struct hub *hub = watcher->hub;
    /* One tick later than the time falls into: never too early. */
    int64_t tick = hub_tick(clock_mono_ms() + wait_ms) + 1;
    watcher->due_tick = tick > hub->swept_tick ? tick : hub->swept_tick + 1;
    struct hub_watcher **slot = &hub->wheel[watcher->due_tick % HUB_WHEEL];
    watcher->previous_asleep = NULL;
    watcher->next_asleep = *slot;
    if (*slot) {
        (*slot)->previous_asleep = watcher;
    }
    *slot = watcher;
    watcher->is_asleep = true;
    watcher->sleep(watcher);
}

static void leave_wheel(struct hub_watcher *watcher)
{
    struct hub *hub = watcher->hub;
    *(watcher->previous_asleep ? &watcher->previous_asleep->next_asleep
                               : &hub->wheel[watcher->due_tick % HUB_WHEEL]) = watcher->next_asleep;
    if (watcher->next_asleep) {
        watcher->next_asleep->previous_asleep = watcher->previous_asleep;
    }
    watcher->is_asleep = false;
    atomic_fetch_sub(&hub->n_asleep, 1);
}

void hub_rouse(struct hub_watcher *watcher)
{
    if (watcher->is_asleep) {
        leave_wheel(watcher);
        watcher->wake(watcher);
    }
}

void hub_turn_wheel(struct hub *hub, int64_t now_ms)
{
    int64_t now_tick = hub_tick(now_ms);
    if (now_tick - hub->swept_tick > HUB_WHEEL) { /* nobody slept for long */
        hub->swept_tick = now_tick - HUB_WHEEL;
    }
    while (hub->swept_tick < now_tick) {
        struct hub_watcher *watcher = hub->wheel[++hub->swept_tick % HUB_WHEEL];
        while (watcher) {
            struct hub_watcher *next = watcher->next_asleep;
            if (watcher->due_tick <= now_tick) {
                hub_rouse(watcher);
            }
            watcher = next;
        }
    }
}

/* The first one who sleeps sets the thread going. */
static void note_sleeper(struct hub *hub)
{
    if (atomic_fetch_add(&hub->n_asleep, 1) == 0) {
        pthread_mutex_lock(&hub->inbox_lock);
        pthread_cond_signal(&hub->inbox_changed);
        pthread_mutex_unlock(&hub->inbox_lock);
    }
}

bool hub_wait(struct hub_watcher *watcher, int64_t wait_ms)
{
    struct hub *hub = watcher->hub;
    must(wait_ms >= 0 && wait_ms <= HUB_WAIT_MAX_MS);
    pthread_mutex_lock(&hub->lock);
    bool must_wait =
        !hub->is_closed && watcher->n_queued == 0 && !watcher->is_behind && !watcher->has_come;
    if (must_wait) {
        note_sleeper(hub);
        fall_asleep(watcher, wait_ms);
    }
    pthread_mutex_unlock(&hub->lock);
    return must_wait;
}

/* ---- what reaches one ---- */

static void drop_queue(struct hub_watcher *watcher)
{
    for (size_t i = 0; i < watcher->n_queued; i++) {
        hub_event_unref(watcher->queue[i]);
    }
    watcher->n_queued = 0;
}

static void fall_behind(struct hub_watcher *watcher)
{
    drop_queue(watcher);
    free(TAKE(watcher->queue));
    watcher->capacity = 0;
    watcher->is_behind = true;
}

/* Progress of the same task that still waits is not news any more. */
static void supersede(struct hub_watcher *watcher, const struct hub_event *event)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < watcher->n_queued; i++) {
        struct hub_event *queued = watcher->queue[i];
        if (!queued->is_transition && queued->task->request == event->task->request) {
            hub_event_unref(queued);
        } else {
            watcher->queue[n_kept++] = queued;
        }
    }
    watcher->n_queued = n_kept;
}

static void enqueue(struct hub_watcher *watcher, struct hub_event *event)
{
    supersede(watcher, event);
    if (watcher->n_queued == HUB_QUEUE_MAX) {
        fall_behind(watcher);
        return;
    }
    if (watcher->n_queued == watcher->capacity) {
        watcher->capacity = watcher->capacity > 0 ? 2 * watcher->capacity : 4;
        watcher->queue =
            must_realloc(watcher->queue, watcher->capacity * sizeof(struct hub_event *));
    }
    watcher->queue[watcher->n_queued++] = hub_event_ref(event);
}

void hub_reach(struct hub_watcher *watcher, struct hub_event *event)
{
    if (event->change <= watcher->position || watcher->has_come) {
        return;
    }
    switch (watcher->wish) {
    case HUB_WISH_EVENTS:
        if (!watcher->is_behind) {
            enqueue(watcher, event);
        }
        break;
    case HUB_WISH_CHANGE:
        watcher->has_come = true;
        break;
    case HUB_WISH_END:
        watcher->has_come = task_state_is_end(event->task->state);
        if (!watcher->has_come) {
            return;
        }
        break;
    }
    atomic_fetch_add(&watcher->hub->counts.wakes, watcher->is_asleep);
    hub_rouse(watcher);
}

/* ---- coming and going ---- */

static void subscribe(struct hub_watcher *watcher, const struct hub_interest *interest)
{
    must(interest->n_ids >= 1 && interest->n_ids <= TASK_IDS_MAX);
    watcher->n_subs = interest->n_ids;
    watcher->subs = must_calloc(watcher->n_subs, sizeof *watcher->subs);
    for (size_t i = 0; i < watcher->n_subs; i++) {
        struct hub_task *task = hub_need_task(watcher->hub, interest->ids[i]);
        struct hub_sub *sub = &watcher->subs[i];
        *sub = (struct hub_sub){.watcher = watcher, .task = task, .next = task->subs};
        if (sub->next) {
            sub->next->previous = sub;
        }
        task->subs = sub;
    }
}

static void unsubscribe(struct hub_watcher *watcher)
{
    for (size_t i = 0; i < watcher->n_subs; i++) {
        struct hub_sub *sub = &watcher->subs[i];
        *(sub->previous ? &sub->previous->next : &sub->task->subs) = sub->next;
        if (sub->next) {
            sub->next->previous = sub->previous;
        }
        hub_release_task(watcher->hub, sub->task);
    }
    free(TAKE(watcher->subs));
}

static struct hub_watcher **list_of(const struct hub_watcher *watcher)
{
    return watcher->is_of_all ? &watcher->hub->of_all : &watcher->tenant->watchers;
}

static void link_watcher(struct hub_watcher *watcher)
{
    struct hub_watcher **list = list_of(watcher);
    watcher->previous = NULL;
    watcher->next = *list;
    if (*list) {
        (*list)->previous = watcher;
    }
    *list = watcher;
}

static void unlink_watcher(struct hub_watcher *watcher)
{
    *(watcher->previous ? &watcher->previous->next : list_of(watcher)) = watcher->next;
    if (watcher->next) {
        watcher->next->previous = watcher->previous;
    }
}

/* What came before we did: the task moved on after its watcher looked at it, up to `position`. A task that the hub does not know has
 * ended, unless it is so new that the hub has not heard of it. */
static bool has_come_already(const struct hub_watcher *watcher)
{
    const struct hub_task *task = watcher->subs[0].task;
    if (!task->latest) {
        return watcher->hub->head >= watcher->position;
    }
    return watcher->wish == HUB_WISH_CHANGE && task->latest->change > watcher->position;
}

static void settle_in(struct hub_watcher *watcher, const struct hub_interest *interest)
{
    struct hub *hub = watcher->hub;
    hub->n_watchers++;
    watcher->tenant->n_watchers++;
    if (interest->ids) {
        subscribe(watcher, interest);
    } else {
        link_watcher(watcher);
    }
    if (watcher->wish == HUB_WISH_EVENTS) {
        watcher->is_behind = watcher->position < hub->head;
        atomic_fetch_add(&hub->counts.streams, 1);
    } else {
        watcher->has_come = has_come_already(watcher);
        atomic_fetch_add(&hub->counts.polls, 1);
    }
}

enum hub_outcome hub_enter(struct hub *hub, struct hub_watcher *watcher,
                           const struct hub_interest *interest)
{
    enum hub_outcome outcome = HUB_ENTERED;
    must(interest->wish == HUB_WISH_EVENTS || interest->n_ids == 1);
    pthread_mutex_lock(&hub->lock);
    struct hub_tenant *tenant = hub_need_tenant(hub, interest->tenant);
    if (hub->is_closed) {
        outcome = HUB_CLOSED;
    } else if (tenant->n_watchers >= hub->limits.of_tenant) {
        outcome = HUB_TENANT_FULL;
    } else if (hub->n_watchers >= hub->limits.watchers) {
        outcome = HUB_FULL;
    }
    if (outcome == HUB_ENTERED) {
        watcher->hub = hub;
        watcher->tenant = tenant;
        watcher->wish = interest->wish;
        watcher->position = interest->after;
        watcher->is_of_all = interest->is_of_all && !interest->ids;
        settle_in(watcher, interest);
    }
    hub_release_tenant(hub, tenant);
    pthread_mutex_unlock(&hub->lock);
    return outcome;
}

void hub_leave(struct hub_watcher *watcher)
{
    struct hub *hub = watcher->hub;
    pthread_mutex_lock(&hub->lock);
    if (watcher->is_asleep) {
        leave_wheel(watcher);
    }
    if (watcher->subs) {
        unsubscribe(watcher);
    } else {
        unlink_watcher(watcher);
    }
    drop_queue(watcher);
    free(TAKE(watcher->queue));
    hub->n_watchers--;
    watcher->tenant->n_watchers--;
    hub_release_tenant(hub, TAKE(watcher->tenant));
    atomic_fetch_sub(watcher->wish == HUB_WISH_EVENTS ? &hub->counts.streams : &hub->counts.polls,
                     1);
    pthread_mutex_unlock(&hub->lock);
}

void hub_close(struct hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->is_closed = true;
    for (size_t i = 0; i < HUB_WHEEL; i++) {
        while (hub->wheel[i]) {
            hub_rouse(hub->wheel[i]);
        }
    }
    pthread_mutex_unlock(&hub->lock);
}

/* ---- what a stream takes ---- */

static bool is_wanted(const struct hub_watcher *watcher, const struct hub_event *event)
{
    const struct task_request *request = event->task->request;
    if (!watcher->subs) {
        return watcher->is_of_all || strcmp(watcher->tenant->name, request->tenant) == 0;
    }
    for (size_t i = 0; i < watcher->n_subs; i++) {
        if (strcmp(watcher->subs[i].task->id, request->id) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_news(const struct hub *hub, const struct hub_event *event)
{
    const struct hub_task *task = hub_find_task(hub, event->task->request->id);
    return event->is_transition || (task && task->latest == event);
}

/* Where in the ring the first change beyond `after` stands. */
static size_t find_in_ring(const struct hub *hub, int64_t after)
{
    size_t low = 0, high = hub->ring_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hub->ring[(hub->ring_first + middle) % HUB_RING_MAX]->change > after) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static size_t take_from_ring(struct hub_watcher *watcher, struct hub_event **ret_events,
                             size_t most)
{
    struct hub *hub = watcher->hub;
    size_t count = 0, place = find_in_ring(hub, watcher->position);
    while (place < hub->ring_count && count < most) {
        struct hub_event *event = hub->ring[(hub->ring_first + place++) % HUB_RING_MAX];
        if (is_wanted(watcher, event) && is_news(hub, event)) {
            ret_events[count++] = hub_event_ref(event);
        }
        watcher->position = event->change;
    }
    if (place == hub->ring_count) {
        watcher->is_behind = false;
        watcher->position = watcher->position > hub->head ? watcher->position : hub->head;
    }
    return count;
}

static size_t take_from_queue(struct hub_watcher *watcher, struct hub_event **ret_events,
                              size_t most)
{
    size_t count = watcher->n_queued < most ? watcher->n_queued : most;
    if (count == 0) {
        return 0;
    }
    memcpy(ret_events, watcher->queue, count * sizeof(struct hub_event *));
    watcher->n_queued -= count;
    memmove(watcher->queue, watcher->queue + count, watcher->n_queued * sizeof(struct hub_event *));
    watcher->position = ret_events[count - 1]->change;
    return count;
}

enum hub_taken hub_take(struct hub_watcher *watcher, struct hub_event **ret_events, size_t most,
                        size_t *ret_count, int64_t *ret_floor)
{
    struct hub *hub = watcher->hub;
    enum hub_taken taken = HUB_BEHIND;
    pthread_mutex_lock(&hub->lock);
    *ret_floor = hub->floor;
    *ret_count = 0;
    if (!watcher->is_behind || watcher->position >= hub->floor) {
        *ret_count = watcher->is_behind ? take_from_ring(watcher, ret_events, most)
                                        : take_from_queue(watcher, ret_events, most);
        taken = *ret_count > 0 ? HUB_TOOK : HUB_NOTHING;
    }
    pthread_mutex_unlock(&hub->lock);
    return taken;
}

void hub_move(struct hub_watcher *watcher, int64_t position)
{
    pthread_mutex_lock(&watcher->hub->lock);
    must(watcher->is_behind && position >= watcher->position);
    watcher->position = position;
    pthread_mutex_unlock(&watcher->hub->lock);
}

int64_t hub_position(struct hub_watcher *watcher)
{
    pthread_mutex_lock(&watcher->hub->lock);
    int64_t position = watcher->position;
    pthread_mutex_unlock(&watcher->hub->lock);
    return position;
}

/* ---- the newest ---- */

struct hub_heap {
    struct hub_event **events;
    size_t count, capacity;
};

static void gather(struct hub_heap *heap, const struct hub_task *task, int64_t after, int64_t until,
                   bool is_of_transitions)
{
    struct hub_event *event = task->latest;
    if (!event || event->change <= after || event->change > until ||
        (event->is_transition && !is_of_transitions)) {
        return;
    }
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity > 0 ? 2 * heap->capacity : 16;
        heap->events = must_realloc(heap->events, heap->capacity * sizeof(struct hub_event *));
    }
    heap->events[heap->count++] = hub_event_ref(event);
}

/* With the lock held: of all tasks that the watcher wants. */
static size_t gather_latest(const struct hub_watcher *watcher, int64_t after, int64_t until,
                            bool is_of_transitions, struct hub_event ***ret_events)
{
    const struct hub *hub = watcher->hub;
    struct hub_heap heap = {0};
    for (size_t i = 0; i < watcher->n_subs; i++) {
        gather(&heap, watcher->subs[i].task, after, until, is_of_transitions);
    }
    for (size_t i = 0; watcher->is_of_all && i < HUB_TASK_BUCKETS; i++) {
        for (const struct hub_task *task = hub->tasks[i]; task; task = task->chain) {
            gather(&heap, task, after, until, is_of_transitions);
        }
    }
    if (watcher->n_subs == 0 && !watcher->is_of_all) {
        for (const struct hub_task *task = watcher->tenant->tasks; task; task = task->next) {
            gather(&heap, task, after, until, is_of_transitions);
        }
    }
    if (heap.count > 0) {
        qsort(heap.events, heap.count, sizeof(struct hub_event *), hub_event_compare);
    }
    *ret_events = heap.events;
    return heap.count;
}

size_t hub_begin(struct hub_watcher *watcher, struct hub_event ***ret_events)
{
    struct hub *hub = watcher->hub;
    pthread_mutex_lock(&hub->lock);
    drop_queue(watcher);
    watcher->is_behind = false;
    watcher->position = hub->head;
    size_t count = gather_latest(watcher, -1, INT64_MAX, true, ret_events);
    pthread_mutex_unlock(&hub->lock);
    return count;
}

size_t hub_progress(struct hub_watcher *watcher, int64_t after, int64_t until,
                    struct hub_event ***ret_events)
{
    pthread_mutex_lock(&watcher->hub->lock);
    size_t count = gather_latest(watcher, after, until, false, ret_events);
    pthread_mutex_unlock(&watcher->hub->lock);
    return count;
}
