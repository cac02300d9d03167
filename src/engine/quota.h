/* SPDX-License-Identifier: Apache-2.0
 *
 * What one tenant may have: tasks unfinished at once, and tasks created within a UTC day. Counts in
 * memory only: the engine's start fills them from the store. A create takes a place before it is
 * written and gives it back when it made no task, so that however many come at once, no more are
 * accepted than the limits allow. A task's day is the day of its creation, so that what is counted
 * here and what the store counts later are the same. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum { QUOTA_DAY_MS = 24 * 60 * 60 * 1000 };

struct quota;

struct quota_limits {
    int64_t in_flight; /* of one tenant, unfinished at once; 0: no limit */
    int64_t per_day;   /* of one tenant, created within a UTC day; 0: no limit, nor is it counted */
};

enum quota_verdict {
    QUOTA_TAKEN,
    QUOTA_IN_FLIGHT, /* too many are unfinished: nothing was taken */
    QUOTA_DAY,       /* the day's are used up: nothing was taken, whatever is unfinished */
};

/* The UTC day that a time lies in, counted from 1970. Pure. */
int64_t quota_day(int64_t now_ms);
/* Until the next UTC midnight, rounded up: 1 to 86400. Pure. */
int64_t quota_day_left_s(int64_t now_ms);

/* Never NULL. */
struct quota *quota_new(const struct quota_limits *limits);
/* Takes NULL, returns NULL. */
struct quota *quota_free(struct quota *quota);

/* A place for a task of `tenant` created at `created_ms`: until quota_undo() or quota_release(). */
CHECKED enum quota_verdict quota_take(struct quota *quota, const char *tenant, int64_t created_ms);
/* What was taken for a create that made no task: its place, and its count of that day. */
void quota_undo(struct quota *quota, const char *tenant, int64_t created_ms);
/* A task has ended: its place is free. It stays counted for its day. */
void quota_release(struct quota *quota, const char *tenant);

/* For the start: an unfinished task of `tenant`, whatever the limit, and what it created on `day`. */
void quota_restore(struct quota *quota, const char *tenant);
void quota_restore_day(struct quota *quota, const char *tenant, int64_t day, int64_t count);
/* For tests: tenants that are remembered, those with an unfinished task, or with one created on the newest day
 * seen, the day before or the day after it. */
size_t quota_tenants(struct quota *quota);
