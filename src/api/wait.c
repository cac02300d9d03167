/* SPDX-License-Identifier: Apache-2.0
 *
 * The room of suspended requests. Its lock is taken by HTTP threads (begin, end), by whoever
 * finishes the work (done), and by the room's own thread (overdue). A connection is resumed under the lock
 * and forgotten there, so nobody resumes one that the library has already freed. A wait outlives its
 * server when the engine answers late; so does the room, by the wait's reference. */
#include "api/wait.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/must.h"

struct wait_room {
    atomic_uint references;
    pthread_mutex_t lock;   /* owns the rest */
    pthread_cond_t changed; /* a request left, or the room closes */
    struct wait *suspended;
    size_t n_present; /* requests between begin and end */
    bool is_closed;
    bool is_stopping; /* ends the thread */
    pthread_t thread;
};

enum { SWEEP_MS = 1000 };

static void wait_until(struct wait_room *room, int64_t delay_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(delay_ms / 1000);
    until.tv_nsec += (long)(delay_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&room->changed, &room->lock, &until);
}

/* With the lock held. */
static void resume(struct wait *wait)
{
    struct wait_room *room = wait->room;
    if (wait->connection == NULL)
        return;
    if (wait->previous != NULL)
        wait->previous->next = wait->next;
    else
        room->suspended = wait->next;
    if (wait->next != NULL)
        wait->next->previous = wait->previous;
    wait->next = wait->previous = NULL;
    MHD_resume_connection(TAKE(wait->connection));
}

static void *sweep(void *context)
{
    struct wait_room *room = context;
    pthread_mutex_lock(&room->lock);
    while (!room->is_stopping) {
        wait_until(room, SWEEP_MS);
        int64_t now_ms = clock_mono_ms();
        struct wait *next = NULL;
        for (struct wait *wait = room->suspended; wait != NULL; wait = next) {
            next = wait->next;
            if (wait->deadline_ms <= now_ms)
                resume(wait);
        }
    }
    pthread_mutex_unlock(&room->lock);
    return NULL;
}

static void room_unref(struct wait_room *room)
{
    if (atomic_fetch_sub(&room->references, 1) != 1)
        return;
    pthread_mutex_destroy(&room->lock);
    pthread_cond_destroy(&room->changed);
    free(room);
}

int wait_room_new(struct wait_room **ret_room)
{
    struct wait_room *room = must_calloc(1, sizeof(*room));
    atomic_init(&room->references, 1);
    pthread_mutex_init(&room->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&room->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int r = -pthread_create(&room->thread, NULL, sweep, room);
    if (r != 0) {
        room_unref(room);
        return r;
    }
    *ret_room = room;
    return 0;
}

bool wait_room_close(struct wait_room *room, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    pthread_mutex_lock(&room->lock);
    room->is_closed = true;
    while (room->suspended != NULL)
        resume(room->suspended);
    while (room->n_present > 0 && clock_mono_ms() < until_ms)
        wait_until(room, until_ms - clock_mono_ms());
    bool is_empty = room->n_present == 0;
    pthread_mutex_unlock(&room->lock);
    return is_empty;
}

struct wait_room *wait_room_free(struct wait_room *room)
{
    if (room == NULL)
        return NULL;
    pthread_mutex_lock(&room->lock);
    must(room->suspended == NULL);
    room->is_stopping = true;
    pthread_cond_broadcast(&room->changed);
    pthread_mutex_unlock(&room->lock);
    pthread_join(room->thread, NULL);
    room_unref(room);
    return NULL;
}

bool wait_begin(struct wait *wait, struct wait_room *room, struct MHD_Connection *connection,
                int64_t patience_ms)
{
    pthread_mutex_lock(&room->lock);
    bool is_open = !room->is_closed;
    if (is_open) {
        atomic_fetch_add(&room->references, 1);
        atomic_init(&wait->references, 2);
        wait->room = room;
        wait->connection = connection;
        wait->deadline_ms = clock_mono_ms() + patience_ms;
        wait->previous = NULL;
        wait->next = room->suspended;
        if (wait->next != NULL)
            wait->next->previous = wait;
        room->suspended = wait;
        room->n_present++;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&room->lock);
    return is_open;
}

void wait_done(struct wait *wait)
{
    pthread_mutex_lock(&wait->room->lock);
    wait->is_done = true;
    bool is_abandoned = wait->is_abandoned;
    resume(wait);
    pthread_mutex_unlock(&wait->room->lock);
    if (is_abandoned && wait->abandoned != NULL)
        wait->abandoned(wait);
    wait_unref(wait);
}

bool wait_end(struct wait *wait)
{
    struct wait_room *room = wait->room;
    pthread_mutex_lock(&room->lock);
    must(wait->connection == NULL);
    bool is_done = wait->is_done;
    wait->is_abandoned = !is_done;
    room->n_present--;
    pthread_cond_broadcast(&room->changed);
    pthread_mutex_unlock(&room->lock);
    return is_done;
}

void wait_desert(struct wait *wait)
{
    if (wait_end(wait) && wait->abandoned != NULL)
        wait->abandoned(wait);
}

struct wait *wait_unref(struct wait *wait)
{
    if (wait == NULL || atomic_fetch_sub(&wait->references, 1) != 1)
        return NULL;
    struct wait_room *room = wait->room;
    wait->free(wait);
    room_unref(room);
    return NULL;
}
