/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of all connections and a thread that walks it. The list's lock is taken when a connection comes and goes and for
 * the walk; a socket is shut down under it, and forgotten under it before it is closed, so no other's socket is ever hit. */
#include "api/reaper.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

enum { WALK_MS = 1000 };

struct reaper {
    pthread_mutex_t lock; /* owns the rest */
    pthread_cond_t changed;
    struct reaper_entry *entries;
    bool is_stopping;
    pthread_t thread;
};

/* With the lock held; it is free while we wait. */
static void pause_walk(struct reaper *reaper)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WALK_MS / 1000;
    pthread_cond_timedwait(&reaper->changed, &reaper->lock, &until);
}

/* Has the client closed his half, with no request under way? The library does not notice when that came together with
 * his last request. Seen twice with the same deadline, it is not a request that is being read just now. */
static bool is_half_closed_idle(struct reaper_entry *entry, int64_t deadline_ms)
{
    char byte;
    if (deadline_ms == REAPER_NEVER || recv(entry->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
        return false;
    bool was_closed = entry->eof_deadline_ms == deadline_ms;
    entry->eof_deadline_ms = deadline_ms;
    return was_closed;
}

/* With the lock held. */
static int cut_overdue(struct reaper *reaper)
{
    int64_t now_ms = clock_mono_ms();
    int n_cut = 0;
    for (struct reaper_entry *entry = reaper->entries; entry != NULL; entry = entry->next) {
        int64_t deadline_ms = reaper_deadline(entry);
        if (entry->is_cut || (deadline_ms > now_ms && !is_half_closed_idle(entry, deadline_ms)))
            continue;
        shutdown(entry->fd, SHUT_RDWR);
        entry->is_cut = true;
        n_cut++;
    }
    return n_cut;
}

static void *walk(void *context)
{
    struct reaper *reaper = context;
    pthread_mutex_lock(&reaper->lock);
    while (!reaper->is_stopping) {
        pause_walk(reaper);
        int n_cut = cut_overdue(reaper);
        if (n_cut > 0)
            log_debug("http: closed %d connections that were overdue or left", n_cut);
    }
    pthread_mutex_unlock(&reaper->lock);
    return NULL;
}

int reaper_new(struct reaper **ret_reaper)
{
    struct reaper *reaper = must_calloc(1, sizeof(*reaper));
    pthread_mutex_init(&reaper->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&reaper->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int r = -pthread_create(&reaper->thread, NULL, walk, reaper);
    if (r != 0) {
        free(reaper);
        return r;
    }
    *ret_reaper = reaper;
    return 0;
}

struct reaper *reaper_free(struct reaper *reaper)
{
    if (reaper == NULL)
        return NULL;
    pthread_mutex_lock(&reaper->lock);
    must(reaper->entries == NULL);
    reaper->is_stopping = true;
    pthread_cond_broadcast(&reaper->changed);
    pthread_mutex_unlock(&reaper->lock);
    pthread_join(reaper->thread, NULL);
    pthread_mutex_destroy(&reaper->lock);
    pthread_cond_destroy(&reaper->changed);
    free(reaper);
    return NULL;
}

void reaper_watch(struct reaper *reaper, struct reaper_entry *entry, int fd, int64_t deadline_ms)
{
    entry->fd = fd;
    entry->is_cut = false;
    entry->eof_deadline_ms = REAPER_NEVER;
    atomic_init(&entry->deadline_ms, deadline_ms);
    pthread_mutex_lock(&reaper->lock);
    entry->previous = NULL;
    entry->next = reaper->entries;
    if (entry->next != NULL)
        entry->next->previous = entry;
    reaper->entries = entry;
    pthread_mutex_unlock(&reaper->lock);
}

void reaper_forget(struct reaper *reaper, struct reaper_entry *entry)
{
    pthread_mutex_lock(&reaper->lock);
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        reaper->entries = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    pthread_mutex_unlock(&reaper->lock);
}

void reaper_set(struct reaper_entry *entry, int64_t deadline_ms)
{
    atomic_store_explicit(&entry->deadline_ms, deadline_ms, memory_order_relaxed);
}

int64_t reaper_deadline(const struct reaper_entry *entry)
{
    return atomic_load_explicit(&entry->deadline_ms, memory_order_relaxed);
}
