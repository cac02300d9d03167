/* SPDX-License-Identifier: Apache-2.0
 *
 * The front of the store: what is asked of it is checked here, and handed to the backend on the caller's thread. Writes go
 * another way (store_writer.c). */
#include "store/store_own.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

enum { STORE_NUMBER_NAME_MAX = 64 }; /* bytes */

static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

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
    must(query->n_task_ids <= TASK_IDS_MAX);
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
