/* SPDX-License-Identifier: Apache-2.0
 *
 * The schedule: per tenant one queue for each priority, ordered by age. Tenants come with their
 * first task and go with their last, so a choice costs as many steps as tenants are waiting,
 * however long their queues are. Who comes anew gets behind those that have waited since before. */
#include "engine/schedule.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

struct lane {
    struct schedule_entry *oldest, *youngest;
};

struct schedule_tenant {
    char *name;
    uint64_t turn; /* its last one; before it had any: the last of all when it came */
    struct lane lanes[SCHEDULE_PRIORITIES];
    size_t n_queued, n_running;
    struct schedule_tenant *next; /* on the schedule's list */
};

struct schedule {
    struct schedule_tenant *tenants;
    uint64_t turn; /* counts what was taken */
    size_t n_queued;
};

struct schedule *schedule_new(void)
{
    return must_calloc(1, sizeof(struct schedule));
}

struct schedule *schedule_free(struct schedule *schedule)
{
    must(!schedule || !schedule->tenants);
    free(schedule);
    return NULL;
}

static struct schedule_tenant *tenant_named(struct schedule *schedule, const char *name)
{
    for (struct schedule_tenant *tenant = schedule->tenants; tenant; tenant = tenant->next) {
        if (strcmp(tenant->name, name) == 0) {
            return tenant;
        }
    }
    struct schedule_tenant *tenant = must_calloc(1, sizeof *tenant);
    tenant->name = must_strdup(name);
    tenant->turn = schedule->turn;
    tenant->next = schedule->tenants;
    schedule->tenants = tenant;
    return tenant;
}

static void drop_idle_tenant(struct schedule *schedule, struct schedule_tenant *tenant)
{
    if (tenant->n_queued > 0 || tenant->n_running > 0) {
        return;
    }
    struct schedule_tenant **link = &schedule->tenants;
    while (*link != tenant) {
        link = &(*link)->next;
    }
    *link = tenant->next;
    free(tenant->name);
    free(tenant);
}

/* From the young end: a new task lands at once, one that comes back for another attempt walks to
 * its place. */
static void insert_by_age(struct lane *lane, struct schedule_entry *entry)
{
    struct schedule_entry *before = lane->youngest;
    while (before && before->created_micros > entry->created_micros) {
        before = before->older;
    }
    entry->older = before;
    entry->younger = before ? before->younger : lane->oldest;
    *(before ? &before->younger : &lane->oldest) = entry;
    *(entry->younger ? &entry->younger->older : &lane->youngest) = entry;
}

void schedule_put(struct schedule *schedule, struct schedule_entry *entry, const char *tenant)
{
    must(!entry->tenant && entry->priority >= 0 && entry->priority < SCHEDULE_PRIORITIES);
    entry->tenant = tenant_named(schedule, tenant);
    insert_by_age(&entry->tenant->lanes[entry->priority], entry);
    entry->tenant->n_queued++;
    schedule->n_queued++;
}

static void unlink_entry(struct schedule *schedule, struct schedule_entry *entry)
{
    struct lane *lane = &entry->tenant->lanes[entry->priority];
    *(entry->older ? &entry->older->younger : &lane->oldest) = entry->younger;
    *(entry->younger ? &entry->younger->older : &lane->youngest) = entry->older;
    entry->older = entry->younger = NULL;
    entry->tenant->n_queued--;
    schedule->n_queued--;
}

void schedule_remove(struct schedule *schedule, struct schedule_entry *entry)
{
    struct schedule_tenant *tenant = entry->tenant;
    unlink_entry(schedule, entry);
    entry->tenant = NULL;
    drop_idle_tenant(schedule, tenant);
}

struct choice {
    bool (*may_start)(void *context, struct schedule_entry *entry);
    void *context;
};

static struct schedule_entry *first_of(const struct schedule_tenant *tenant,
                                       const struct choice *choice)
{
    for (int priority = SCHEDULE_PRIORITIES - 1; priority >= 0; priority--) {
        for (struct schedule_entry *entry = tenant->lanes[priority].oldest; entry;
             entry = entry->younger) {
            if (choice->may_start(choice->context, entry)) {
                return entry;
            }
        }
    }
    return NULL;
}

/* Of two tenants' first tasks: is `a` to go before `b`? What a tenant says of its own tasks, priority
 * and number, counts between tenants only when all else is equal. */
static bool goes_before(const struct schedule_entry *a, const struct schedule_entry *b)
{
    if (a->tenant->n_running != b->tenant->n_running) {
        return a->tenant->n_running < b->tenant->n_running;
    }
    if (a->tenant->turn != b->tenant->turn) {
        return a->tenant->turn < b->tenant->turn;
    }
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    return a->created_micros < b->created_micros;
}

struct schedule_entry *schedule_next(struct schedule *schedule,
                                     bool (*may_start)(void *context, struct schedule_entry *entry),
                                     void *context)
{
    const struct choice choice = {may_start, context};
    struct schedule_entry *best = NULL;
    for (struct schedule_tenant *tenant = schedule->tenants; tenant; tenant = tenant->next) {
        struct schedule_entry *entry = first_of(tenant, &choice);
        if (entry && (!best || goes_before(entry, best))) {
            best = entry;
        }
    }
    if (best) {
        unlink_entry(schedule, best);
        best->tenant->n_running++;
        best->tenant->turn = ++schedule->turn;
    }
    return best;
}

void schedule_adopt(struct schedule *schedule, struct schedule_entry *entry, const char *tenant)
{
    must(!entry->tenant);
    entry->tenant = tenant_named(schedule, tenant);
    entry->tenant->n_running++;
}

void schedule_release(struct schedule *schedule, struct schedule_entry *entry)
{
    struct schedule_tenant *tenant = entry->tenant;
    must(tenant && tenant->n_running > 0);
    tenant->n_running--;
    entry->tenant = NULL;
    drop_idle_tenant(schedule, tenant);
}

size_t schedule_count(const struct schedule *schedule)
{
    return schedule->n_queued;
}

static int compare_entries(const void *a, const void *b)
{
    const struct schedule_entry *x = *(struct schedule_entry *const *)a;
    const struct schedule_entry *y = *(struct schedule_entry *const *)b;
    if (x->priority != y->priority) {
        return x->priority > y->priority ? -1 : 1;
    }
    return (x->created_micros > y->created_micros) - (x->created_micros < y->created_micros);
}

static size_t gather(const struct schedule *schedule, struct schedule_entry **entries)
{
    size_t count = 0;
    for (struct schedule_tenant *tenant = schedule->tenants; tenant; tenant = tenant->next) {
        for (int priority = 0; priority < SCHEDULE_PRIORITIES; priority++) {
            for (struct schedule_entry *entry = tenant->lanes[priority].oldest; entry;
                 entry = entry->younger) {
                entries[count++] = entry;
            }
        }
    }
    return count;
}

void schedule_walk(const struct schedule *schedule,
                   void (*visit)(void *context, struct schedule_entry *entry, size_t position),
                   void *context)
{
    if (schedule->n_queued == 0) {
        return;
    }
    struct schedule_entry **entries =
        must_calloc(schedule->n_queued, sizeof(struct schedule_entry *));
    size_t count = gather(schedule, entries);
    qsort(entries, count, sizeof(struct schedule_entry *), compare_entries);
    for (size_t i = 0; i < count; i++) {
        visit(context, entries[i], i + 1);
    }
    free(entries);
}
