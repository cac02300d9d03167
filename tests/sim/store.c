/* SPDX-License-Identifier: Apache-2.0
 *
 * A store that keeps what the real one keeps, as texts that are read anew after a start. Writes wait for a while, alone or
 * together, may fail, and are true in the order in which they came. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#include "base/must.h"
#include "store/store.h"

enum { QUEUE_MAX = 4 * LIVES_MAX };

struct store {
    struct node *node;
    struct store_write *queue[QUEUE_MAX];
    size_t n_queued;
    struct loop_timer commit;
    bool is_ailing;
};

static struct record *record_of(const struct store *store, const struct task *task)
{
    return &store->node->records[life_of(task)->number];
}

/* ---- writing ---- */

static void put(struct record *record, const struct task *task)
{
    const struct attempt_record *attempt = &task->attempt;
    free(record->status);
    record->status = task_encode_status(task);
    record->revision = task->revision;
    record->state = task->state;
    record->attempt_state = attempt->state;
    snprintf(record->attempt, sizeof record->attempt, "%s", attempt->id);
    snprintf(record->channel, sizeof record->channel, "%s", shared_text_of(attempt->channel));
    snprintf(record->credential, sizeof record->credential, "%s",
             shared_text_of(attempt->credential));
    snprintf(record->job, sizeof record->job, "%s",
             attempt->job && attempt->job->id ? attempt->job->id : "");
}

static int create(struct store *store, struct store_write *write)
{
    struct life *life = life_of(write->task);
    struct record *record = record_of(store, write->task);
    if (record->request && write->idempotency_key) {
        snprintf(write->existing_id, sizeof write->existing_id, "%s", life->id);
        return STORE_REPEATED;
    }
    if (write->admit && !write->admit(write)) {
        return STORE_NOT_ADMITTED;
    }
    if (record->request) {
        world_fail("one wish of a client became two tasks: life %d", life->number);
    }
    record->request = task_encode_request(write->task->request);
    write->change = ++store->node->n_changes;
    put(record, write->task);
    snprintf(life->id, sizeof life->id, "%s", write->task->request->id);
    life->admitted_ms = world_now_ms();
    return STORE_WRITTEN;
}

static int update(struct store *store, struct store_write *write)
{
    const struct task *task = write->task;
    struct record *record = record_of(store, task);
    if (!record->request) {
        return STORE_NOT_FOUND;
    }
    if (record->revision > task->revision ||
        (task_state_is_end(record->state) && record->state != task->state)) {
        return STORE_CONFLICT;
    }
    watch_committed(store->node, life_of(task), record, task);
    if (write->is_transition != (record->state != task->state)) {
        world_fail("from %s to %s is %sa transition", task_state_name(record->state),
                   task_state_name(task->state),
                   write->is_transition ? "said to be " : "not said to be ");
    }
    write->change = ++store->node->n_changes;
    put(record, task);
    return STORE_WRITTEN;
}

static int apply(struct store *store, struct store_write *write)
{
    bool is_down = world_now_ms() < store->node->world->store_down_until_ms ||
                   world_fault(store->node->world->faults.store_failure);
    if (store->node->is_dead) {
        return -EIO;
    }
    store->is_ailing = is_down;
    if (is_down) {
        return -ENOSPC;
    }
    return write->kind == STORE_CREATE ? create(store, write) : update(store, write);
}

/* What one transaction takes: some of those that wait, the first ones. */
static void commit(struct store *store, size_t count)
{
    struct store_write *writes[QUEUE_MAX];
    memcpy(writes, store->queue, count * sizeof *writes);
    store->n_queued -= count;
    memmove(store->queue, store->queue + count, store->n_queued * sizeof *writes);
    if (!node_dies(store->node, "before a commit")) {
        for (size_t i = 0; i < count; i++) {
            writes[i]->result = apply(store, writes[i]);
        }
        (void)node_dies(store->node, "after a commit");
    } else {
        for (size_t i = 0; i < count; i++) {
            writes[i]->result = -EIO;
        }
    }
    for (size_t i = 0; i < count; i++) {
        writes[i]->done(writes[i]);
    }
}

static void arm(struct store *store)
{
    if (store->n_queued > 0 && !loop_is_armed(&store->commit)) {
        bool is_slow = store->node->world->faults.has_slow_store && world_fault(50);
        world_arm(&store->commit, is_slow ? world_between(100, 20000) : world_between(0, 3));
    }
}

static void on_commit(struct loop_timer *timer)
{
    struct store *store = CONTAINER_OF(timer, struct store, commit);
    commit(store, (size_t)world_between(1, (int64_t)store->n_queued));
    arm(store);
}

int store_submit(struct store *store, struct store_write *write)
{
    (void)node_dies(store->node, "before a write is handed over");
    if (store->n_queued == QUEUE_MAX) {
        return STORE_BUSY;
    }
    store->queue[store->n_queued++] = write;
    arm(store);
    return 0;
}

void simulated_store_flush(struct store *store)
{
    loop_disarm(NULL, &store->commit);
    while (store->n_queued > 0) {
        commit(store, store->n_queued);
    }
}

/* ---- reading ---- */

static struct task *read_record(const struct record *record)
{
    struct task *task = task_decode(record->request, record->status);
    if (!task) {
        world_fail("what the store has cannot be read: %s", record->status);
    }
    return task;
}

int store_walk_unfinished(struct store *store, void (*each)(void *context, const struct task *task),
                          void *context, size_t *ret_damaged)
{
    for (size_t i = 0; i < LIVES_MAX; i++) {
        const struct record *record = &store->node->records[i];
        if (record->request &&
            (!task_state_is_end(record->state) ||
             (record->attempt[0] != '\0' && attempt_is_open(record->attempt_state)))) {
            const struct task *task = read_record(record);
            each(context, task);
            task_unref(task);
        }
    }
    *ret_damaged = 0;
    return 0;
}

int store_task(struct store *store, const char *id, const struct task **ret_task)
{
    for (size_t i = 0; i < LIVES_MAX; i++) {
        const struct record *record = &store->node->records[i];
        if (record->request && strcmp(store->node->world->lives[i].id, id) == 0) {
            *ret_task = read_record(record);
            return 0;
        }
    }
    return STORE_NOT_FOUND;
}

bool store_is_ailing(const struct store *store)
{
    return store->is_ailing;
}

/* ---- the rest of it, which nothing here depends on ---- */

int store_number(struct store *store, const char *name, int64_t *ret_value)
{
    (void)name;
    *ret_value = store->node->number_kept;
    return 0;
}

int store_set_number(struct store *store, const char *name, int64_t value)
{
    (void)name;
    store->node->number_kept = value;
    return 0;
}

int store_list_deleted(struct store *store, size_t limit, const struct task **ret_tasks,
                       size_t *ret_count)
{
    (void)store, (void)limit, (void)ret_tasks;
    *ret_count = 0;
    return 0;
}

int store_scrub(struct store *store)
{
    (void)store;
    return 0;
}

void store_note(struct store *store, const struct task *task, const char *kind, const char *body,
                int64_t at_ms)
{
    (void)store, (void)task, (void)kind, (void)body, (void)at_ms;
}

int store_list_old(struct store *store, bool expired, int64_t before_ms, size_t limit,
                   const struct task **ret_tasks, size_t *ret_count)
{
    (void)store, (void)expired, (void)before_ms, (void)limit, (void)ret_tasks;
    *ret_count = 0;
    return 0;
}

int store_mark_erased(struct store *store, const char *id)
{
    (void)store, (void)id;
    return STORE_NOT_FOUND;
}

int store_sweep_idempotency(struct store *store, int64_t before_ms)
{
    (void)store, (void)before_ms;
    return 0;
}

int store_file_due(struct store *store, int64_t now_ms, int64_t hidden_before_ms, size_t limit,
                   char (*ret_ids)[ID_SHORT_SIZE], size_t *ret_count)
{
    (void)store, (void)now_ms, (void)hidden_before_ms, (void)limit, (void)ret_ids;
    *ret_count = 0;
    return 0;
}

int store_file_forget(struct store *store, const char *id)
{
    (void)store, (void)id;
    return STORE_NOT_FOUND;
}

int store_count_created(struct store *store, int64_t from_micros, int64_t before_micros,
                        void (*each)(void *context, const char *tenant, int64_t count),
                        void *context)
{
    (void)store, (void)from_micros, (void)before_micros, (void)each, (void)context;
    return 0;
}

struct store *simulated_store_new(struct node *node)
{
    struct store *store = must_calloc(1, sizeof *store);
    store->node = node;
    store->commit.fire = on_commit;
    return store;
}

struct store *simulated_store_free(struct store *store)
{
    must(store->n_queued == 0);
    loop_disarm(NULL, &store->commit);
    free(store);
    return NULL;
}
