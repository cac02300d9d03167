/* SPDX-License-Identifier: Apache-2.0
 *
 * What the hub knows of tasks and tenants: the newest event of every task that has not ended, and who watches what. Both
 * tables hold only what somebody needs. All of it under the hub's lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify/hub_own.h"

#include "base/hash.h"
#include "base/must.h"

struct hub_task *hub_find_task(const struct hub *hub, const char *id)
{
    struct hub_task *task = hub->tasks[hash_text32(id) % HUB_TASK_BUCKETS];
    while (task && strcmp(task->id, id) != 0) {
        task = task->chain;
    }
    return task;
}

struct hub_task *hub_need_task(struct hub *hub, const char *id)
{
    struct hub_task *task = hub_find_task(hub, id);
    if (task) {
        return task;
    }
    struct hub_task **bucket = &hub->tasks[hash_text32(id) % HUB_TASK_BUCKETS];
    task = must_calloc(1, sizeof *task);
    snprintf(task->id, sizeof task->id, "%s", id);
    task->chain = *bucket;
    *bucket = task;
    return task;
}

void hub_release_task(struct hub *hub, struct hub_task *task)
{
    if (task->latest || task->subs) {
        return;
    }
    struct hub_task **link = &hub->tasks[hash_text32(task->id) % HUB_TASK_BUCKETS];
    while (*link != task) {
        link = &(*link)->chain;
    }
    *link = task->chain;
    free(task);
}

struct hub_tenant *hub_find_tenant(const struct hub *hub, const char *name)
{
    struct hub_tenant *tenant = hub->tenants[hash_text32(name) % HUB_TENANT_BUCKETS];
    while (tenant && strcmp(tenant->name, name) != 0) {
        tenant = tenant->chain;
    }
    return tenant;
}

struct hub_tenant *hub_need_tenant(struct hub *hub, const char *name)
{
    struct hub_tenant *tenant = hub_find_tenant(hub, name);
    if (!tenant) {
        struct hub_tenant **bucket = &hub->tenants[hash_text32(name) % HUB_TENANT_BUCKETS];
        tenant = must_calloc(1, sizeof *tenant);
        snprintf(tenant->name, sizeof tenant->name, "%s", name);
        tenant->chain = *bucket;
        *bucket = tenant;
    }
    return tenant;
}

void hub_release_tenant(struct hub *hub, struct hub_tenant *tenant)
{
    if (tenant->tasks || tenant->n_watchers > 0) {
        return;
    }
    struct hub_tenant **link = &hub->tenants[hash_text32(tenant->name) % HUB_TENANT_BUCKETS];
    while (*link != tenant) {
        link = &(*link)->chain;
    }
    *link = tenant->chain;
    free(tenant);
}

static void link_unfinished(struct hub *hub, struct hub_task *task, const char *tenant)
{
    task->tenant = hub_need_tenant(hub, tenant);
    task->previous = NULL;
    task->next = task->tenant->tasks;
    if (task->next) {
        task->next->previous = task;
    }
    task->tenant->tasks = task;
}

static void unlink_unfinished(struct hub *hub, struct hub_task *task)
{
    struct hub_tenant *tenant = task->tenant;
    *(task->previous ? &task->previous->next : &tenant->tasks) = task->next;
    if (task->next) {
        task->next->previous = task->previous;
    }
    task->tenant = NULL;
    hub_release_tenant(hub, tenant);
}

void hub_set_latest(struct hub *hub, struct hub_event *event)
{
    const struct task_request *request = event->task->request;
    struct hub_task *task = hub_need_task(hub, request->id);
    if (!task->latest) {
        link_unfinished(hub, task, request->tenant);
    }
    hub_event_unref(task->latest);
    task->latest = hub_event_ref(event);
}

void hub_drop_latest(struct hub *hub, const char *id)
{
    struct hub_task *task = hub_find_task(hub, id);
    if (!task || !task->latest) {
        return;
    }
    unlink_unfinished(hub, task);
    task->latest = hub_event_unref(task->latest);
    hub_release_task(hub, task);
}
