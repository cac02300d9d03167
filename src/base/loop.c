/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop. One turn: wait for descriptors or the next timer, run the posted jobs and the
 * ready watches, then the timers that are due. All runs on the loop's thread; other threads reach
 * only the inbox, the stop flag and the eventfd that wakes the loop, all under the inbox's mutex.
 *
 * A callback may remove any watch, also one whose event waits in the current batch; that entry is
 * then emptied, so nothing fires after its removal. Timers are a binary min-heap, 1-based so that
 * a timer's index 0 can mean «inactive», ordered by due time and then by order of arming; a timer
 * armed while timers fire is younger than that turn's limit and waits for the next one. */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"

enum {
    BATCH_MAX = 64,
    FIRST_HEAP_CAPACITY = 16,
    LONGEST_WAIT_MS = 60000, /* no wait is endless, even with nothing to wait for */
};

struct loop {
    int epoll_fd;
    int wake_fd;
    struct loop_watch wake;
    atomic_bool must_stop;

    pthread_mutex_t inbox_lock; /* owns the two below, and guards stopping and waking */
    struct loop_job *inbox_head;
    struct loop_job *inbox_tail;

    struct epoll_event batch[BATCH_MAX]; /* data.ptr NULL: removed since */
    int batch_length;                    /* 0 outside the dispatch */
    long watch_count;

    struct loop_timer **heap; /* from 1 */
    long heap_length;
    long heap_capacity;
    int64_t next_order;
};

static void wake_up(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(loop->wake_fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
    must(written == sizeof(one) || errno == EAGAIN); /* EAGAIN: it is awake a thousandfold */
}

static struct loop_job *take_inbox(struct loop *loop)
{
    pthread_mutex_lock(&loop->inbox_lock);
    struct loop_job *jobs = TAKE(loop->inbox_head);
    loop->inbox_tail = NULL;
    pthread_mutex_unlock(&loop->inbox_lock);
    return jobs;
}

static void run_jobs(struct loop_job *jobs)
{
    while (jobs != NULL) {
        struct loop_job *job = jobs;
        jobs = job->next; /* before it runs: it may free itself or be posted anew */
        job->next = NULL;
        job->run(job);
    }
}

static void on_wake(struct loop_watch *watch, int events)
{
    struct loop *loop = CONTAINER_OF(watch, struct loop, wake);
    (void)events;
    uint64_t count;
    while (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
    run_jobs(take_inbox(loop));
}

int loop_new(struct loop **ret_loop)
{
    struct loop *loop = must_calloc(1, sizeof(*loop));
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int error = loop->epoll_fd < 0 ? -errno : 0;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0 && error == 0)
        error = -errno;
    loop->wake = (struct loop_watch){.fd = loop->wake_fd, .ready = on_wake};
    must(pthread_mutex_init(&loop->inbox_lock, NULL) == 0);
    if (error == 0)
        error = loop_watch(loop, &loop->wake, LOOP_READ);
    if (error < 0) {
        close_fd(&loop->epoll_fd);
        close_fd(&loop->wake_fd);
        pthread_mutex_destroy(&loop->inbox_lock);
        free(loop);
        return error;
    }
    *ret_loop = loop;
    return 0;
}

struct loop *loop_free(struct loop *loop)
{
    if (loop == NULL)
        return NULL;
    for (struct loop_job *jobs = take_inbox(loop); jobs != NULL; jobs = take_inbox(loop))
        run_jobs(jobs);
    loop_unwatch(loop, &loop->wake);
    must(loop->watch_count == 0);
    must(loop->heap_length == 0);
    close_fd(&loop->epoll_fd);
    close_fd(&loop->wake_fd);
    pthread_mutex_destroy(&loop->inbox_lock);
    free(loop->heap);
    free(loop);
    return NULL;
}

static uint32_t to_epoll(int events)
{
    return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u) |
           (events & LOOP_HANGUP ? EPOLLRDHUP : 0u);
}

static int from_epoll(uint32_t events)
{
    return (events & EPOLLIN ? LOOP_READ : 0) | (events & EPOLLOUT ? LOOP_WRITE : 0) |
           (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP) ? LOOP_HANGUP : 0);
}

/* Takes from the current batch what the watch no longer asks for: all when `wanted` is 0. */
static void trim_batch(struct loop *loop, const struct loop_watch *watch, uint32_t wanted)
{
    for (int i = 0; i < loop->batch_length; i++) {
        struct epoll_event *entry = &loop->batch[i];
        if (entry->data.ptr != watch)
            continue;
        entry->events &= wanted;
        if (entry->events == 0)
            entry->data.ptr = NULL;
    }
}

int loop_watch(struct loop *loop, struct loop_watch *watch, int events)
{
    struct epoll_event wanted = {.events = to_epoll(events), .data.ptr = watch};
    int operation = watch->active ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(loop->epoll_fd, operation, watch->fd, &wanted) < 0)
        return -errno;
    if (watch->active) {
        trim_batch(loop, watch, wanted.events | EPOLLHUP | EPOLLERR);
    } else {
        watch->active = true;
        loop->watch_count++;
    }
    return 0;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->active)
        return;
    /* Fails only when the descriptor was closed first, which took it out as well. */
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    trim_batch(loop, watch, 0);
    watch->active = false;
    loop->watch_count--;
}

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void place(struct loop *loop, struct loop_timer *timer, long index)
{
    loop->heap[index] = timer;
    timer->heap_index = index;
}

/* Puts `timer` where it belongs, starting from the free place `index`. */
static void settle(struct loop *loop, struct loop_timer *timer, long index)
{
    while (index > 1 && is_before(timer, loop->heap[index / 2])) {
        place(loop, loop->heap[index / 2], index);
        index /= 2;
    }
    for (;;) {
        long child = 2 * index;
        if (child < loop->heap_length && is_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (child > loop->heap_length || !is_before(loop->heap[child], timer))
            break;
        place(loop, loop->heap[child], index);
        index = child;
    }
    place(loop, timer, index);
}

static void grow_heap(struct loop *loop)
{
    if (loop->heap_length + 1 < loop->heap_capacity)
        return;
    long capacity = loop->heap_capacity > 0 ? 2 * loop->heap_capacity : FIRST_HEAP_CAPACITY;
    loop->heap = must_realloc(loop->heap, (size_t)capacity * sizeof(struct loop_timer *));
    loop->heap_capacity = capacity;
}

void loop_arm(struct loop *loop, struct loop_timer *timer, int64_t delay_ms)
{
    int64_t now_ms = clock_mono_ms();
    if (delay_ms < 0)
        delay_ms = 0;
    loop_disarm(loop, timer);
    timer->due_ms = delay_ms < INT64_MAX - now_ms ? now_ms + delay_ms : INT64_MAX;
    timer->order = loop->next_order++;
    grow_heap(loop);
    loop->heap_length++;
    settle(loop, timer, loop->heap_length);
}

void loop_disarm(struct loop *loop, struct loop_timer *timer)
{
    long index = timer->heap_index;
    if (index == 0)
        return;
    must(index <= loop->heap_length && loop->heap[index] == timer);
    struct loop_timer *last = loop->heap[loop->heap_length--];
    if (last != timer)
        settle(loop, last, index);
    timer->heap_index = 0;
}

bool loop_is_armed(const struct loop_timer *timer)
{
    return timer->heap_index != 0;
}

void loop_post(struct loop *loop, struct loop_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&loop->inbox_lock);
    bool was_empty = loop->inbox_head == NULL;
    if (was_empty)
        loop->inbox_head = job;
    else
        loop->inbox_tail->next = job;
    loop->inbox_tail = job;
    if (was_empty)
        wake_up(loop); /* under the lock: once the job has run, the loop may be freed */
    pthread_mutex_unlock(&loop->inbox_lock);
}

static int next_wait_ms(const struct loop *loop)
{
    if (loop->heap_length == 0)
        return LONGEST_WAIT_MS;
    int64_t wait_ms = loop->heap[1]->due_ms - clock_mono_ms();
    if (wait_ms < 0)
        return 0;
    return wait_ms < LONGEST_WAIT_MS ? (int)wait_ms : LONGEST_WAIT_MS;
}

static void fire_timers(struct loop *loop)
{
    int64_t now_ms = clock_mono_ms();
    int64_t limit = loop->next_order;
    while (loop->heap_length > 0) {
        struct loop_timer *timer = loop->heap[1];
        if (timer->due_ms > now_ms || timer->order >= limit)
            return;
        loop_disarm(loop, timer);
        timer->fire(timer);
    }
}

static void dispatch(struct loop *loop, int length)
{
    loop->batch_length = length;
    for (int i = 0; i < length; i++) {
        struct loop_watch *watch = loop->batch[i].data.ptr;
        if (watch == NULL)
            continue;
        loop->batch[i].data.ptr = NULL; /* it may be freed by its own callback */
        watch->ready(watch, from_epoll(loop->batch[i].events));
    }
    loop->batch_length = 0;
}

static void turn(struct loop *loop, int wait_ms)
{
    int length = epoll_wait(loop->epoll_fd, loop->batch, BATCH_MAX, wait_ms);
    must(length >= 0 || errno == EINTR);
    dispatch(loop, length > 0 ? length : 0);
    fire_timers(loop);
}

long loop_watches(const struct loop *loop)
{
    return loop->watch_count - loop->wake.active; /* without our own */
}

void loop_turn(struct loop *loop, int most_wait_ms)
{
    int wait_ms = next_wait_ms(loop);
    turn(loop, wait_ms < 0 || wait_ms > most_wait_ms ? most_wait_ms : wait_ms);
}

void loop_run(struct loop *loop)
{
    while (!atomic_load(&loop->must_stop)) {
        turn(loop, next_wait_ms(loop));
    }
    pthread_mutex_lock(&loop->inbox_lock); /* lets loop_stop() finish before we may be freed */
    atomic_store(&loop->must_stop, false);
    pthread_mutex_unlock(&loop->inbox_lock);
}

void loop_stop(struct loop *loop)
{
    pthread_mutex_lock(&loop->inbox_lock);
    atomic_store(&loop->must_stop, true);
    wake_up(loop);
    pthread_mutex_unlock(&loop->inbox_lock);
}
