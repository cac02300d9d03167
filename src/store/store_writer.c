/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of a write, from store_submit() to its done(). Writes wait in a bounded queue for the one writer thread, which takes as
 * many as there are and commits them together: while one group is on its way to the disk the next
 * one gathers. A group that fails is tried again row by row, so that one bad row never harms the
 * others. Everything a write holds is the store's from store_submit() until its done() is called,
 * on the writer's thread, never under a lock. */
#include "store/store_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"

enum { STORE_PROBE_MS = 1000 }; /* an ailing store that nobody writes to is tried so often */

/* ---- the senders' threads ---- */

/* The documents are made here, on the sender's thread, because there are many of those and one
 * writer. */
int store_submit(struct store *store, struct store_write *write)
{
    bool is_create = write->kind == STORE_CREATE;
    bool has_request = is_create || write->kind == STORE_ERASE;

    must(write->done != NULL && write->task != NULL && write->kind != STORE_NOTE);
    must(write->idempotency_key == NULL ||
         strlen(write->idempotency_key) <= STORE_IDEMPOTENCY_KEY_MAX);
    write->existing_id[0] = '\0';
    write->change = 0;
    write->n_deliveries = 0;
    write->request_json = has_request ? task_encode_request(write->task->request) : NULL;
    write->status_json = task_encode_status(write->task);
    if (is_create ? queue_put(store->queue, &write->item)
                  : queue_put_reserved(store->queue, &write->item))
        return 0;
    free(TAKE(write->request_json));
    free(TAKE(write->status_json));
    return STORE_BUSY;
}

/* A note on its way; its own. */
struct note {
    struct store *store;
    struct store_write write;
    struct store_event event;
};

static void store_drop_note(struct note *note)
{
    atomic_fetch_sub(&note->store->n_notes, 1);
    task_unref(note->write.task);
    store_event_fini(&note->event);
    free(note);
}

static void store_noted(struct store_write *write)
{
    store_drop_note(CONTAINER_OF(write, struct note, write));
}

void store_note(struct store *store, const struct task *task, const char *kind, const char *body,
                int64_t at_ms)
{
    struct note *note = must_calloc(1, sizeof *note);

    must(strlen(kind) < sizeof note->event.kind && strcmp(kind, STORE_EVENT_STATE) != 0);
    note->store = store;
    note->event.at_ms = at_ms;
    note->event.body = must_strdup(body);
    memcpy(note->event.kind, kind, strlen(kind) + 1);
    note->write = (struct store_write){
        .kind = STORE_NOTE, .task = task_ref(task), .note = &note->event, .done = store_noted};
    if (atomic_fetch_add(&store->n_notes, 1) >= STORE_NOTES_MAX ||
        !queue_put(store->queue, &note->write.item))
        store_drop_note(note);
}

/* ---- the writer's thread ---- */

/* Is this the fault of one row, not of the store? */
static bool store_is_row_fault(int fault)
{
    return fault == -EEXIST || fault == -EINVAL;
}

static void store_judge(struct store *store, struct store_write *const *writes, size_t count,
                        int fault)
{
    if (fault < 0) {
        atomic_fetch_add(&store->counts.failures, 1);
        if (!store_is_row_fault(fault))
            atomic_store(&store->is_ailing, true);
        return;
    }
    atomic_fetch_add(&store->counts.commits, 1);
    histogram_add(&store->counts.batch, (double)count);
    for (size_t i = 0; i < count; i++) { /* a commit that changed nothing proves nothing */
        if (writes[i]->result == STORE_WRITTEN)
            atomic_store(&store->is_ailing, false);
    }
}

static int store_apply(struct store *store, struct store_write *write)
{
    /* The documents are NULL when the record holds what JSON cannot say. */
    bool has_request = write->kind == STORE_CREATE || write->kind == STORE_ERASE;
    if (write->kind != STORE_NOTE &&
        (write->status_json == NULL || (has_request && write->request_json == NULL)))
        return -EINVAL;
    return store->backend->apply(store->self, write);
}

/* One transaction for all. `ret_has_begun` tells whether the fault may lie with a row. */
static int store_transact(struct store *store, struct store_write *const *writes, size_t count,
                          bool *ret_has_begun)
{
    int64_t began_micros = clock_mono_micros();
    int fault = store->backend->begin(store->self);

    *ret_has_begun = fault == 0;
    for (size_t i = 0; fault == 0 && i < count; i++) {
        int result = store_apply(store, writes[i]);
        if (result < 0)
            fault = result;
        else
            writes[i]->result = result;
    }
    if (*ret_has_begun && fault == 0)
        fault = store->backend->commit(store->self);
    if (*ret_has_begun && fault < 0)
        store->backend->rollback(store->self);
    store_judge(store, writes, count, fault);
    histogram_add(&store->counts.seconds, (double)(clock_mono_micros() - began_micros) / 1e6);
    return fault;
}

static void store_fail(struct store_write *const *writes, size_t count, int fault)
{
    for (size_t i = 0; i < count; i++)
        writes[i]->result = fault;
}

static void store_write_alone(struct store *store, struct store_write *const *writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool has_begun;
        int fault = store_transact(store, &writes[i], 1, &has_begun);
        if (fault == 0)
            continue;
        if (!has_begun) { /* the rest would each wait as long for the same lock */
            store_fail(&writes[i], count - i, fault);
            return;
        }
        writes[i]->result = fault;
    }
}

static void store_write_group(struct store *store, struct queue_item *items)
{
    struct store_write *writes[STORE_BATCH_MAX] = {0};
    size_t count = 0;
    bool has_begun;

    for (struct queue_item *item = items; item != NULL; item = item->next) {
        must(count < STORE_BATCH_MAX);
        writes[count++] = CONTAINER_OF(item, struct store_write, item);
    }
    int fault = store_transact(store, writes, count, &has_begun);
    if (fault < 0 && has_begun && count > 1)
        store_write_alone(store, writes, count);
    else if (fault < 0)
        store_fail(writes, count, fault);
    for (size_t i = 0; i < count; i++) {
        free(TAKE(writes[i]->request_json));
        free(TAKE(writes[i]->status_json));
        writes[i]->done(writes[i]); /* it may be gone now */
    }
}

/* While we are ailing and nobody writes, nobody would find out that it is over. */
static void store_probe(struct store *store)
{
    int64_t probes = 0;

    if (store->backend->number(store->self, "probes", &probes) == 0 &&
        store->backend->set_number(store->self, "probes", (probes + 1) & INT32_MAX) == 0)
        atomic_store(&store->is_ailing, false);
}

void *store_writer_main(void *argument)
{
    struct store *store = argument;

    while (!queue_is_drained(store->queue)) {
        bool is_ailing = atomic_load(&store->is_ailing);
        struct queue_item *items =
            queue_take(store->queue, STORE_BATCH_MAX, is_ailing ? STORE_PROBE_MS : -1);
        if (items != NULL)
            store_write_group(store, items);
        else if (is_ailing)
            store_probe(store);
    }
    return NULL;
}
