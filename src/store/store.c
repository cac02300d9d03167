/* SPDX-License-Identifier: Apache-2.0
 *
 * The front of the store. Writes wait in a bounded queue for the one writer thread, which takes as
 * many as there are and commits them together: while one group is on its way to the disk the next
 * one gathers. A group that fails is tried again row by row, so that one bad row never harms the
 * others. Everything a write holds is the store's from store_submit() until its done() is called,
 * on the writer's thread, never under a lock. Reads go to the backend on the caller's thread. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "store/backend.h"

enum {
    STORE_PROBE_MS = 1000,      /* an ailing store that nobody writes to is tried so often */
    STORE_NUMBER_NAME_MAX = 64, /* bytes */
};

static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

struct store {
    const struct store_backend *backend;
    void *self; /* the backend's */
    struct queue *queue;
    pthread_t writer;
    _Atomic bool is_ailing;  /* the writer sets it, anyone reads it */
    _Atomic int64_t n_notes; /* waiting for the writer */
    struct store_counts counts;
};

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

static void *store_writer_main(void *argument)
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

/* ---- opening ---- */

int store_open_with(const struct store_backend *backend, const char *directory,
                    struct store **ret_store, char ret_error[STORE_ERROR_SIZE])
{
    void *self;
    int fault = backend->open(directory, &self, ret_error);

    if (fault < 0)
        return fault;
    struct store *store = must_calloc(1, sizeof *store);
    store->backend = backend;
    store->self = self;
    store->queue = queue_new(STORE_QUEUE_MAX);
    histogram_init(&store->counts.batch, batch_bounds, ARRAY_LENGTH(batch_bounds));
    histogram_init(&store->counts.seconds, histogram_seconds, histogram_n_seconds);
    fault = -pthread_create(&store->writer, NULL, store_writer_main, store);
    if (fault < 0) {
        snprintf(ret_error, STORE_ERROR_SIZE, "the store's writer cannot start: %s",
                 strerror(-fault));
        store->queue = queue_free(store->queue);
        backend->close(self);
        free(store);
        return fault;
    }
    *ret_store = store;
    return 0;
}

int store_open(const char *directory, struct store **ret_store, char ret_error[STORE_ERROR_SIZE])
{
    return store_open_with(&store_sqlite, directory, ret_store, ret_error);
}

struct store *store_close(struct store *store)
{
    if (store == NULL)
        return NULL;
    queue_close(store->queue);
    must(pthread_join(store->writer, NULL) == 0);
    store->queue = queue_free(store->queue);
    store->backend->close(store->self);
    free(store);
    return NULL;
}

const struct store_backend *store_inside(const struct store *store, void **ret_self)
{
    *ret_self = store->self;
    return store->backend;
}

void store_secret(const struct store *store, uint8_t ret_secret[32])
{
    store->backend->secret(store->self, ret_secret);
}

static bool store_is_number_name(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length <= STORE_NUMBER_NAME_MAX;
}

int store_number(struct store *store, const char *name, int64_t *ret_value)
{
    must(store_is_number_name(name));
    return store->backend->number(store->self, name, ret_value);
}

int store_set_number(struct store *store, const char *name, int64_t value)
{
    must(store_is_number_name(name));
    return store->backend->set_number(store->self, name, value);
}

bool store_is_ailing(const struct store *store)
{
    return atomic_load(&store->is_ailing);
}

const struct store_counts *store_counts(const struct store *store)
{
    return &store->counts;
}

/* ---- writes ---- */

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

/* ---- reads ---- */

int store_task(struct store *store, const char *id, const struct task **ret_task)
{
    return store->backend->task(store->self, id, ret_task);
}

int store_list_look(struct store *store, const struct store_list_query *query,
                    const struct task **ret_tasks, size_t *ret_count,
                    struct store_list_end *ret_end)
{
    must(query->limit >= 1 && query->limit <= STORE_LIST_MAX);
    must(query->text == NULL || query->text[0] != '\0');
    return store->backend->list(store->self, query, ret_tasks, ret_count, ret_end);
}

int store_list(struct store *store, const struct store_list_query *query,
               const struct task **ret_tasks, size_t *ret_count)
{
    struct store_list_query rest = *query;
    struct store_list_end end = {0};
    size_t count = 0;
    int fault = 0;

    do {
        size_t found = 0;
        rest.limit = query->limit - count;
        fault = store_list_look(store, &rest, ret_tasks + count, &found, &end);
        count += fault == 0 ? found : 0;
        rest.before_micros = end.micros;
        rest.before_id = end.id;
    } while (fault == 0 && end.has_more && count < query->limit);
    for (size_t i = 0; fault < 0 && i < count; i++)
        ret_tasks[i] = task_unref(ret_tasks[i]);
    if (fault == 0)
        *ret_count = count;
    return fault;
}

int store_walk_unfinished(struct store *store, void (*each)(void *context, const struct task *task),
                          void *context, size_t *ret_damaged)
{
    return store->backend->walk_unfinished(store->self, each, context, ret_damaged);
}

int store_list_old(struct store *store, bool expired, int64_t before_ms, size_t limit,
                   const struct task **ret_tasks, size_t *ret_count)
{
    return store->backend->list_old(store->self, expired, before_ms, limit, ret_tasks, ret_count);
}

int store_list_deleted(struct store *store, size_t limit, const struct task **ret_tasks,
                       size_t *ret_count)
{
    return store->backend->list_deleted(store->self, limit, ret_tasks, ret_count);
}

int store_scrub(struct store *store)
{
    return store->backend->scrub(store->self);
}

int store_mark_erased(struct store *store, const char *id)
{
    return store->backend->mark_erased(store->self, id);
}

int store_sweep_idempotency(struct store *store, int64_t before_ms)
{
    return store->backend->sweep_idempotency(store->self, before_ms);
}

int store_count_created(struct store *store, int64_t from_micros, int64_t before_micros,
                        void (*each)(void *context, const char *tenant, int64_t count),
                        void *context)
{
    return store->backend->count_created(store->self, from_micros, before_micros, each, context);
}

int store_count_states(struct store *store, int64_t ret_counts[TASK_STATE_COUNT])
{
    return store->backend->count_states(store->self, ret_counts);
}

/* ---- changes and events ---- */

int store_change(struct store *store, int64_t *ret_change)
{
    return store->backend->change(store->self, ret_change);
}

void store_event_fini(struct store_event *event)
{
    free(TAKE(event->body));
}

int store_events(struct store *store, const struct store_events_query *query,
                 struct store_event *ret_events, size_t *ret_count)
{
    must(query->limit >= 1 && query->limit <= STORE_EVENTS_MAX);
    must(query->task_ids == NULL || query->task_id == NULL);
    must(query->n_task_ids <= STORE_EVENT_TASKS_MAX);
    return store->backend->events(store->self, query, ret_events, ret_count);
}

/* ---- attempts ---- */

void store_attempt_fini(struct store_attempt *attempt)
{
    free(TAKE(attempt->model));
    attempt_record_fini(&attempt->record);
}

int store_attempts(struct store *store, const struct store_attempts_query *query,
                   struct store_attempt *ret_attempts, size_t *ret_count)
{
    must(query->limit >= 1 && query->limit <= STORE_LIST_MAX);
    must(!query->only_unknown || !query->only_open);
    return store->backend->attempts(store->self, query, ret_attempts, ret_count);
}

int store_attempt_resolve(struct store *store, const char *id, const char *job, int64_t now_ms)
{
    must(now_ms > 0);
    must(job == NULL || (job[0] != '\0' && strlen(job) <= ATTEMPT_JOB_MAX));
    return store->backend->attempt_resolve(store->self, id, job, now_ms);
}

/* ---- uploaded files ---- */

int store_file_add(struct store *store, const struct store_file *file,
                   const struct store_file_limits *limits)
{
    must(id_is_typeid(file->id, "file") && store_is_name(file->tenant) && file->bytes > 0);
    must(file->created_ms > 0 && file->expires_ms > file->created_ms);
    return store->backend->file_add(store->self, file, limits);
}

int store_file_show(struct store *store, const char *id)
{
    return store->backend->file_show(store->self, id);
}

int store_file_hide(struct store *store, const char *tenant, const char *id, int64_t now_ms)
{
    return store->backend->file_hide(store->self, tenant, id, now_ms);
}

int store_file_forget(struct store *store, const char *id)
{
    return store->backend->file_forget(store->self, id);
}

int store_file(struct store *store, const char *tenant, const char *id, int64_t now_ms,
               struct store_file *ret_file)
{
    return store->backend->file(store->self, tenant, id, now_ms, ret_file);
}

int store_file_list(struct store *store, const struct store_files_query *query,
                    struct store_file *ret_files, size_t *ret_count)
{
    must(query->limit >= 1 && query->limit <= STORE_LIST_MAX);
    return store->backend->files(store->self, query, ret_files, ret_count);
}

int store_file_due(struct store *store, int64_t now_ms, int64_t hidden_before_ms, size_t limit,
                   char (*ret_ids)[ID_SHORT_SIZE], size_t *ret_count)
{
    must(limit >= 1 && limit <= STORE_LIST_MAX);
    return store->backend->files_due(store->self, now_ms, hidden_before_ms, limit, ret_ids,
                                     ret_count);
}

/* ---- keys ---- */

bool store_is_name(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._@-";
    size_t length = strnlen(text, STORE_NAME_SIZE);

    return length > 0 && length < STORE_NAME_SIZE && strspn(text, allowed) == length;
}

int store_key_add(struct store *store, const struct store_key *key)
{
    must(store_is_name(key->name) && store_is_name(key->tenant) && key->id[0] != '\0');
    return store->backend->key_add(store->self, key);
}

int store_key_revoke(struct store *store, const char *name_or_id, int64_t now_ms)
{
    must(now_ms > 0);
    return store->backend->key_revoke(store->self, name_or_id, now_ms);
}

int store_keys(struct store *store, struct store_key **ret_keys, size_t *ret_count)
{
    return store->backend->keys(store->self, ret_keys, ret_count);
}

int store_version(struct store *store, int64_t *ret_version)
{
    return store->backend->version(store->self, ret_version);
}
