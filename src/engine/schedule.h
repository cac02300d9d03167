/* SPDX-License-Identifier: Apache-2.0
 *
 * Who goes next: the index in memory of queued tasks. Tenants are served by turns: first the one with the fewest
 * attempts under way, of several the one whose last turn is the longest ago. A tenant's own tasks go by
 * priority (higher first), then age. An index only: the store is the truth. On the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum { SCHEDULE_PRIORITIES = 10 };

struct schedule;
struct schedule_tenant; /* opaque: a tenant with queued or running tasks */

/* Embedded by who is scheduled. Zero it before first use. */
struct schedule_entry {
    int64_t created_micros;
    int priority;                           /* 0..SCHEDULE_PRIORITIES-1 */
    struct schedule_tenant *tenant;         /* set while queued or running */
    struct schedule_entry *older, *younger; /* on the tenant's queue of this priority */
};

struct schedule *schedule_new(void);
/* Nobody may be queued or running. Takes NULL, returns NULL. */
struct schedule *schedule_free(struct schedule *schedule);
/* Queues `entry` (priority and created_micros set) for a tenant. */
void schedule_put(struct schedule *schedule, struct schedule_entry *entry, const char *tenant);
/* Takes a queued entry out. */
void schedule_remove(struct schedule *schedule, struct schedule_entry *entry);
/* Takes the next one that `may_start` (of a tenant's tasks: the first that may): it counts as running for its tenant
 * until schedule_release(). NULL when none waits, or none may. */
struct schedule_entry *schedule_next(struct schedule *schedule,
                                     bool (*may_start)(void *context, struct schedule_entry *entry),
                                     void *context);
/* Counts an entry that was never queued as running for a tenant: work that a process before us began. */
void schedule_adopt(struct schedule *schedule, struct schedule_entry *entry, const char *tenant);
void schedule_release(struct schedule *schedule, struct schedule_entry *entry);
size_t schedule_count(const struct schedule *schedule);
/* Visits the queued ones in order of priority and age; `position` counts from 1. */
void schedule_walk(const struct schedule *schedule,
                   void (*visit)(void *context, struct schedule_entry *entry, size_t position),
                   void *context);
