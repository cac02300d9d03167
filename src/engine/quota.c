/* SPDX-License-Identifier: Apache-2.0
 *
 * Tenants in a hash table under one mutex, which is held for a look-up and an addition. Creates take
 * places on HTTP threads, the store's writer and the loop give them back.
 *
 * A tenant has two counts of created tasks, for even and for odd days: around a midnight the threads
 * may come in any order, and each still counts on its own day. A day never seen before takes the count
 * of the same parity over, so a wall clock that jumps begins anew and holds nobody up for long. */
#include "engine/quota.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/must.h"

enum { QUOTA_BUCKETS = 1024 };

struct quota_count {
    int64_t day, n_created;
};

struct quota_tenant {
    char *name;
    int64_t n_in_flight;
    struct quota_count days[2];
    struct quota_tenant *next; /* on its bucket */
};

struct quota {
    struct quota_limits limits;
    pthread_mutex_t lock; /* guards what follows */
    int64_t day;          /* of the last create: with another one, the idle are dropped */
    size_t n_tenants;
    struct quota_tenant *buckets[QUOTA_BUCKETS];
};

/* ---- days ---- */

int64_t quota_day(int64_t now_ms)
{
    return now_ms / QUOTA_DAY_MS - (now_ms % QUOTA_DAY_MS < 0);
}

int64_t quota_day_left_s(int64_t now_ms)
{
    return ((quota_day(now_ms) + 1) * QUOTA_DAY_MS - now_ms + 999) / 1000;
}

static struct quota_count *count_of(struct quota_tenant *tenant, int64_t day)
{
    struct quota_count *count = &tenant->days[(size_t)(day & 1)];
    if (count->day != day)
        *count = (struct quota_count){.day = day};
    return count;
}

/* Nothing when days have passed since, by the clock: its count is another day's now. */
static void uncount(struct quota_tenant *tenant, int64_t day)
{
    struct quota_count *count = &tenant->days[(size_t)(day & 1)];
    if (count->day == day && count->n_created > 0)
        count->n_created--;
}

/* ---- the table of tenants; call with the lock held ---- */

static struct quota_tenant **bucket_of(struct quota *quota, const char *name)
{
    return &quota->buckets[hash_text32(name) % QUOTA_BUCKETS];
}

/* The link that leads to a tenant, or to where it would stand. */
static struct quota_tenant **link_to(struct quota *quota, const char *name)
{
    struct quota_tenant **link = bucket_of(quota, name);
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

static struct quota_tenant *tenant_named(struct quota *quota, const char *name)
{
    struct quota_tenant **link = link_to(quota, name);
    if (*link == NULL) {
        *link = must_calloc(1, sizeof **link);
        (*link)->name = must_strdup(name);
        quota->n_tenants++;
    }
    return *link;
}

static bool is_idle(const struct quota_tenant *tenant, int64_t day)
{
    bool is_idle = tenant->n_in_flight == 0;
    for (size_t i = 0; i < ARRAY_LENGTH(tenant->days); i++) {
        const struct quota_count *count = &tenant->days[i];
        is_idle =
            is_idle && (count->n_created == 0 || count->day < day - 1 || count->day > day + 1);
    }
    return is_idle;
}

static void drop_if_idle(struct quota *quota, struct quota_tenant **link)
{
    struct quota_tenant *tenant = *link;
    if (!is_idle(tenant, quota->day))
        return;
    *link = tenant->next;
    quota->n_tenants--;
    free(tenant->name);
    free(tenant);
}

/* A create of another day than the last: who was only remembered for days gone by is forgotten. */
static void enter_day(struct quota *quota, int64_t day)
{
    if (quota->day == day)
        return;
    quota->day = day;
    for (size_t i = 0; i < QUOTA_BUCKETS; i++) {
        struct quota_tenant **link = &quota->buckets[i];
        while (*link != NULL) {
            const struct quota_tenant *tenant = *link;
            drop_if_idle(quota, link);
            if (*link == tenant)
                link = &(*link)->next;
        }
    }
}

/* ---- the way in and out ---- */

struct quota *quota_new(const struct quota_limits *limits)
{
    struct quota *quota = must_calloc(1, sizeof *quota);
    quota->limits = *limits;
    must(pthread_mutex_init(&quota->lock, NULL) == 0);
    return quota;
}

struct quota *quota_free(struct quota *quota)
{
    if (quota == NULL)
        return NULL;
    for (size_t i = 0; i < QUOTA_BUCKETS; i++) {
        struct quota_tenant *tenant = quota->buckets[i];
        while (tenant != NULL) {
            struct quota_tenant *next = tenant->next;
            free(tenant->name);
            free(tenant);
            tenant = next;
        }
    }
    pthread_mutex_destroy(&quota->lock);
    free(quota);
    return NULL;
}

static enum quota_verdict judge(const struct quota *quota, const struct quota_tenant *tenant,
                                const struct quota_count *count)
{
    const struct quota_limits *limits = &quota->limits;
    if (limits->per_day > 0 && count->n_created >= limits->per_day)
        return QUOTA_DAY;
    if (limits->in_flight > 0 && tenant->n_in_flight >= limits->in_flight)
        return QUOTA_IN_FLIGHT;
    return QUOTA_TAKEN;
}

enum quota_verdict quota_take(struct quota *quota, const char *name, int64_t created_ms)
{
    int64_t day = quota_day(created_ms);
    (void)pthread_mutex_lock(&quota->lock);
    enter_day(quota, day);
    struct quota_tenant *tenant = tenant_named(quota, name);
    struct quota_count *count = count_of(tenant, day);
    enum quota_verdict verdict = judge(quota, tenant, count);
    if (verdict == QUOTA_TAKEN) {
        tenant->n_in_flight++;
        count->n_created += quota->limits.per_day > 0;
    }
    (void)pthread_mutex_unlock(&quota->lock);
    return verdict;
}

/* `undone_day` NULL: the task was made. */
static void leave(struct quota *quota, const char *name, const int64_t *undone_day)
{
    (void)pthread_mutex_lock(&quota->lock);
    struct quota_tenant **link = link_to(quota, name);
    must(*link != NULL && (*link)->n_in_flight > 0);
    (*link)->n_in_flight--;
    if (undone_day != NULL)
        uncount(*link, *undone_day);
    drop_if_idle(quota, link);
    (void)pthread_mutex_unlock(&quota->lock);
}

void quota_undo(struct quota *quota, const char *tenant, int64_t created_ms)
{
    int64_t day = quota_day(created_ms);
    leave(quota, tenant, &day);
}

void quota_release(struct quota *quota, const char *tenant)
{
    leave(quota, tenant, NULL);
}

void quota_restore(struct quota *quota, const char *tenant)
{
    (void)pthread_mutex_lock(&quota->lock);
    tenant_named(quota, tenant)->n_in_flight++;
    (void)pthread_mutex_unlock(&quota->lock);
}

void quota_restore_day(struct quota *quota, const char *tenant, int64_t day, int64_t count)
{
    (void)pthread_mutex_lock(&quota->lock);
    enter_day(quota, day);
    count_of(tenant_named(quota, tenant), day)->n_created = count;
    (void)pthread_mutex_unlock(&quota->lock);
}

size_t quota_tenants(struct quota *quota)
{
    (void)pthread_mutex_lock(&quota->lock);
    size_t n_tenants = quota->n_tenants;
    (void)pthread_mutex_unlock(&quota->lock);
    return n_tenants;
}
