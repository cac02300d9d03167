/* SPDX-License-Identifier: Apache-2.0
 *
 * The store port: what a database must do for store/store.h. One implementation a file
 * (store/sqlite.c). begin, apply, commit and rollback come from one thread, the writer; everything else, small
 * writes included (numbers, keys, marks), from any thread: an implementation keeps its own connections and locks. Return
 * codes as in store/store.h. */
#pragma once

#include "store/store.h"
#include "store/webhooks.h"

struct store_backend {
    const char *name;
    int (*open)(const char *directory, void **ret_self, char ret_error[STORE_ERROR_SIZE]);
    void (*close)(void *self);
    /* One transaction: begin, any number of apply, then commit or rollback. A create whose
     * idempotency key is taken leaves the transaction usable and returns STORE_REPEATED or
     * STORE_CONFLICT. After a fault of apply or commit the caller rolls back; after a fault of
     * begin there is nothing to end. */
    int (*begin)(void *self);
    int (*apply)(void *self, struct store_write *write);
    int (*commit)(void *self);
    void (*rollback)(void *self);
    void (*secret)(void *self, uint8_t ret_secret[32]);
    int (*number)(void *self, const char *name, int64_t *ret_value);
    int (*set_number)(void *self, const char *name, int64_t value);
    int (*task)(void *self, const char *id, const struct task **ret_task);
    int (*list)(void *self, const struct store_list_query *query, const struct task **ret_tasks,
                size_t *ret_count, struct store_list_end *ret_end); /* one look */
    int (*walk_unfinished)(void *self, void (*each)(void *, const struct task *), void *context,
                           size_t *ret_damaged);
    int (*list_old)(void *self, bool expired, int64_t before_ms, size_t limit,
                    const struct task **ret_tasks, size_t *ret_count);
    int (*list_deleted)(void *self, size_t limit, const struct task **ret_tasks, size_t *ret_count);
    int (*scrub)(void *self);
    int (*mark_erased)(void *self, const char *id);
    int (*sweep_idempotency)(void *self, int64_t before_ms);
    int (*count_created)(void *self, int64_t from_micros, int64_t before_micros,
                         void (*each)(void *, const char *tenant, int64_t count), void *context);
    int (*count_states)(void *self, int64_t ret_counts[TASK_STATE_COUNT]);
    int (*attempts)(void *self, const struct store_attempts_query *query,
                    struct store_attempt *ret_attempts, size_t *ret_count);
    int (*attempt_resolve)(void *self, const char *id, const char *job, int64_t now_ms);
    /* apply() gives each create and update that it writes the next number, and a transition its event. */
    int (*change)(void *self, int64_t *ret_change);
    int (*events)(void *self, const struct store_events_query *query,
                  struct store_event *ret_events, size_t *ret_count);
    int (*file_add)(void *self, const struct store_file *file,
                    const struct store_file_limits *limits);
    int (*file_show)(void *self, const char *id);
    int (*file_hide)(void *self, const char *tenant, const char *id, int64_t now_ms);
    int (*file_forget)(void *self, const char *id);
    int (*file)(void *self, const char *tenant, const char *id, int64_t now_ms,
                struct store_file *ret_file);
    int (*files)(void *self, const struct store_files_query *query, struct store_file *ret_files,
                 size_t *ret_count);
    int (*files_due)(void *self, int64_t now_ms, int64_t hidden_before_ms, size_t limit,
                     char (*ret_ids)[ID_SHORT_SIZE], size_t *ret_count);
    int (*key_add)(void *self, const struct store_key *key);
    int (*key_revoke)(void *self, const char *name_or_id, int64_t now_ms);
    int (*keys)(void *self, struct store_key **ret_keys, size_t *ret_count);
    int (*version)(void *self, int64_t *ret_version);
    int (*endpoint_add)(void *self, const struct store_endpoint *endpoint, size_t most);
    int (*endpoint_remove)(void *self, const char *tenant, const char *id, int64_t now_ms);
    int (*endpoint_enable)(void *self, const char *tenant, const char *id);
    int (*endpoints)(void *self, const char *tenant, struct store_endpoint *ret_endpoints,
                     size_t *ret_count);
    int (*secrets)(void *self, const char *tenant, int64_t now_ms, struct store_secret *ret_secrets,
                   size_t *ret_count);
    int (*secret_rotate)(void *self, const char *tenant, int64_t now_ms, int64_t overlap_ms);
    int (*delivery_add)(void *self, const struct store_delivery *delivery);
    int (*lanes)(void *self, const char *tenant,
                 void (*each)(void *, const char *tenant, const char *url, int64_t next_ms),
                 void *context);
    int (*delivery_next)(void *self, const char *tenant, const char *url, int64_t now_ms,
                         struct store_delivery *ret_delivery);
    int (*delivery_tried)(void *self, const struct store_tried *tried, int64_t *ret_next_ms);
    int (*deliveries)(void *self, const struct store_deliveries_query *query,
                      struct store_delivery *ret_deliveries, size_t *ret_count);
    int (*delivery)(void *self, const char *tenant, const char *id,
                    struct store_delivery *ret_delivery);
    int (*tries)(void *self, const char *delivery_id, struct store_try *ret_tries,
                 size_t *ret_count);
    int (*sweep_deliveries)(void *self, int64_t before_ms, int64_t now_ms);
};

extern const struct store_backend store_sqlite;

/* For the other files of the front. */
const struct store_backend *store_inside(const struct store *store, void **ret_self);

/* store_open() with a backend of the caller's choice. */
CHECKED int store_open_with(const struct store_backend *backend, const char *directory,
                            struct store **ret_store, char ret_error[STORE_ERROR_SIZE]);
