/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the SQLite store: what its files share. A connection is SQLite's handle with the
 * statements prepared on it; one thread at a time uses it, by lock (the writing one) or by being
 * lent from the pool (the reading ones). */
#pragma once

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "store/store.h"
#include "store/webhooks.h"

enum { META_NAME_SIZE = 128 }; /* "number." and a number's name, with NUL */

enum sqlite_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_TASK_INSERT,
    STATEMENT_TASK_UPDATE,
    STATEMENT_TASK_ERASE,
    STATEMENT_TASK_EXISTS,
    STATEMENT_TASK_ERASED,
    STATEMENT_TASK_READ,
    STATEMENT_TASKS_UNFINISHED,
    STATEMENT_TASKS_TO_EXPIRE,
    STATEMENT_TASKS_TO_ERASE,
    STATEMENT_TASKS_DELETED,
    STATEMENT_TASKS_CREATED,
    STATEMENT_STATES,
    STATEMENT_IDEMPOTENCY_FIND,
    STATEMENT_IDEMPOTENCY_PUT,
    STATEMENT_IDEMPOTENCY_SWEEP,
    STATEMENT_ATTEMPT_PUT,
    STATEMENT_ATTEMPTS_ERASE,
    STATEMENT_ATTEMPT_RESOLVE,
    STATEMENT_ATTEMPT_EXISTS,
    STATEMENT_ATTEMPTS_ALL,
    STATEMENT_ATTEMPTS_UNKNOWN,
    STATEMENT_ATTEMPTS_OPEN,
    STATEMENT_ATTEMPTS_OF_TASK,
    STATEMENT_EVENT_FORGET,
    STATEMENT_EVENT_PUT,
    STATEMENT_EVENT_NOTE,
    STATEMENT_EVENTS_ERASE,
    STATEMENT_EVENTS_ALL,
    STATEMENT_EVENTS_OF_TENANT,
    STATEMENT_EVENTS_OF_TASKS,
    STATEMENT_FILE_ADD,
    STATEMENT_FILE_SHOW,
    STATEMENT_FILE_HIDE,
    STATEMENT_FILE_FORGET,
    STATEMENT_FILE_READ,
    STATEMENT_FILES_NEWEST,
    STATEMENT_FILES_OLDEST,
    STATEMENT_FILES_NEWEST_OF_TENANT,
    STATEMENT_FILES_OLDEST_OF_TENANT,
    STATEMENT_FILES_DUE,
    STATEMENT_META_READ,
    STATEMENT_META_PUT,
    STATEMENT_META_ADD,
    STATEMENT_KEY_INSERT,
    STATEMENT_KEY_REVOKE,
    STATEMENT_KEYS,
    STATEMENT_VERSION_READ,
    STATEMENT_TASK_HAS_ENDED,
    STATEMENT_ENDPOINT_INSERT,
    STATEMENT_ENDPOINT_DELETE,
    STATEMENT_ENDPOINT_ENABLE,
    STATEMENT_ENDPOINT_DISABLE,
    STATEMENT_ENDPOINTS,
    STATEMENT_SECRETS,
    STATEMENT_SECRET_FIRST,
    STATEMENT_SECRET_RETIRE,
    STATEMENT_SECRET_INSERT,
    STATEMENT_SECRETS_TRIM,
    STATEMENT_SECRETS_SWEEP,
    STATEMENT_DELIVERY_INSERT,
    STATEMENT_DELIVERIES_COUNT,
    STATEMENT_DELIVERIES_WAITING,
    STATEMENT_DELIVERY_NEXT,
    STATEMENT_DELIVERY_TRIED,
    STATEMENT_DELIVERY_READ,
    STATEMENT_DELIVERIES_DISABLE_LANE,
    STATEMENT_DELIVERIES_DISABLE_ENDPOINT,
    STATEMENT_DELIVERIES_OF_TENANT,
    STATEMENT_DELIVERIES_OF_TASK,
    STATEMENT_DELIVERIES_ERASE,
    STATEMENT_DELIVERIES_SWEEP,
    STATEMENT_LANES_ALL,
    STATEMENT_LANES_OF_TENANT,
    STATEMENT_LANE,
    STATEMENT_TRY_INSERT,
    STATEMENT_TRIES,
    STATEMENT_TRIES_ERASE,
    STATEMENT_TRIES_SWEEP,
    STATEMENT_COUNT
};

struct sqlite_connection {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT]; /* prepared at first use */
};

struct sqlite_reader {
    struct sqlite_connection connection; /* db NULL until first lent */
    bool is_lent;                        /* under readers_lock */
};

struct sqlite {
    char *path;
    uint8_t secret[32];
    pthread_mutex_t write_lock; /* guards `writer`; held from begin to commit or rollback */
    struct sqlite_connection writer;
    _Atomic int64_t version; /* as last seen by `writer` */
    int64_t change; /* the last number given; under write_lock, meaningful when change_is_known */
    bool change_is_known, change_has_moved; /* within this transaction */
    pthread_mutex_t readers_lock;
    pthread_cond_t readers_freed;
    struct sqlite_reader readers[STORE_READERS_MAX];
};

/* ---- sqlite_connection.c ---- */

/* A result code of SQLite as 0 or negative errno. */
int sqlite_fault(sqlite3 *db, int code);
/* One sentence on why the file could not be opened. */
void sqlite_explain(sqlite3 *db, int fault, const char *path, char ret_error[STORE_ERROR_SIZE]);
/* Opens an existing file. Unsuccessful, `ret_error` (unless NULL) says why. */
CHECKED int sqlite_connect(const char *path, bool is_writer, struct sqlite_connection *ret,
                           char *ret_error);
void sqlite_disconnect(struct sqlite_connection *connection);
/* A statement ready for binding. */
CHECKED int sqlite_use(struct sqlite_connection *connection, enum sqlite_statement which,
                       sqlite3_stmt **ret_statement);
/* 1: a row stands ready, end with sqlite_rest(). 0: no more rows; negative errno: failed; in both
 * cases it rests. */
CHECKED int sqlite_step(struct sqlite_connection *connection, sqlite3_stmt *statement);
/* Ends a statement's run and lets go of what was bound. */
void sqlite_rest(sqlite3_stmt *statement);
/* Runs a statement that is bound and yields no rows. */
CHECKED int sqlite_run(struct sqlite_connection *connection, sqlite3_stmt *statement);
/* Runs a statement without parameters and rows. */
CHECKED int sqlite_command(struct sqlite_connection *connection, enum sqlite_statement which);
/* Texts and blobs are borrowed until sqlite_rest(). */
void sqlite_bind_text(sqlite3_stmt *statement, int index, const char *text);
void sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, size_t length);
void sqlite_bind_int(sqlite3_stmt *statement, int index, int64_t value);
/* A column's text, never NULL. */
const char *sqlite_text(sqlite3_stmt *statement, int column);

/* ---- sqlite_open.c ---- */

int sqlite_open(const char *directory, void **ret_self, char ret_error[STORE_ERROR_SIZE]);
void sqlite_close(void *self);

/* ---- sqlite.c ---- */

/* Notes in `version` what the writing connection knows of others' commits by now; under write_lock.
 */
CHECKED int sqlite_refresh_version(struct sqlite *sqlite);
/* Runs a statement about one task; under write_lock. */
CHECKED int sqlite_run_for(struct sqlite *sqlite, enum sqlite_statement which, const char *id);
/* No row was changed: is there none by the statement `exists`, or does it hold more than the write knows of? STORE_NOT_FOUND,
 * STORE_CONFLICT, or negative errno. Under write_lock. */
CHECKED int sqlite_why_unchanged(struct sqlite *sqlite, enum sqlite_statement exists,
                                 const char *id);
/* Binds what all that write a task have in common, as ?1 to ?10. */
void sqlite_bind_task(sqlite3_stmt *statement, const struct store_write *write, int64_t change);

/* As in store/backend.h: from begin to commit or rollback the caller holds write_lock. */
int sqlite_begin(void *self);
int sqlite_commit(void *self);
void sqlite_rollback(void *self);
/* Ends a transaction that was begun: commits when `fault` is 0, else rolls back. 0 or the fault. */
CHECKED int sqlite_end(struct sqlite *sqlite, int fault);

/* ---- sqlite_read.c ---- */

/* Lends a reading connection, waiting up to STORE_BUSY_TIMEOUT_MS for one: 0, -EBUSY or another
 * negative errno. */
CHECKED int sqlite_borrow(struct sqlite *sqlite, struct sqlite_reader **ret_reader);
void sqlite_give_back(struct sqlite *sqlite, struct sqlite_reader *reader);

/* A reader and a statement on it; on failure neither is held. */
CHECKED int sqlite_begin_read(struct sqlite *sqlite, enum sqlite_statement which,
                              struct sqlite_reader **ret_reader, sqlite3_stmt **ret_statement);

/* The task in a row that begins with (id, request, status, change); NULL when it is damaged. */
const struct task *sqlite_row_task(sqlite3_stmt *statement);
int sqlite_read_task(void *self, const char *id, const struct task **ret_task);
int sqlite_read_unfinished(void *self, void (*each)(void *, const struct task *), void *context,
                           size_t *ret_damaged);
int sqlite_read_old(void *self, bool expired, int64_t before_ms, size_t limit,
                    const struct task **ret_tasks, size_t *ret_count);
int sqlite_read_deleted(void *self, size_t limit, const struct task **ret_tasks, size_t *ret_count);
int sqlite_read_created(void *self, int64_t from_micros, int64_t before_micros,
                        void (*each)(void *, const char *tenant, int64_t count), void *context);
int sqlite_read_states(void *self, int64_t ret_counts[TASK_STATE_COUNT]);
int sqlite_read_number(void *self, const char *name, int64_t *ret_value);

/* ---- sqlite_list.c ---- */

/* The statement for a list; for a test that looks at its plan, too. */
void sqlite_list_sql(const struct store_list_query *query, struct buf *sql);
int sqlite_list(void *self, const struct store_list_query *query, const struct task **ret_tasks,
                size_t *ret_count, struct store_list_end *ret_end);

/* ---- sqlite_erase.c ---- */

/* Within a transaction: STORE_ERASE. */
CHECKED int sqlite_erase(struct sqlite *sqlite, struct store_write *write);
int sqlite_scrub(void *self);

/* ---- sqlite_attempts.c ---- */

/* Within a transaction: the row of `task->attempt`, if the task has one. */
CHECKED int sqlite_put_attempt(struct sqlite *sqlite, const struct task *task);
int sqlite_attempts(void *self, const struct store_attempts_query *query,
                    struct store_attempt *ret_attempts, size_t *ret_count);
int sqlite_attempt_resolve(void *self, const char *id, const char *job, int64_t now_ms);

/* ---- sqlite_events.c ---- */

/* A transaction begins: whatever the counter was, its file knows better. */
void sqlite_forget_change(struct sqlite *sqlite);
/* Within a transaction: the number of the change that is about to be written. */
CHECKED int sqlite_next_change(struct sqlite *sqlite, int64_t *ret_change);
/* That change was written: `write` gets its number, and the transition its event. */
CHECKED int sqlite_put_change(struct sqlite *sqlite, struct store_write *write);
/* Within a transaction: STORE_NOTE. */
CHECKED int sqlite_note(struct sqlite *sqlite, struct store_write *write);
/* Before the commit: the counter goes to the file. */
CHECKED int sqlite_keep_change(struct sqlite *sqlite);
int sqlite_read_change(void *self, int64_t *ret_change);
int sqlite_read_events(void *self, const struct store_events_query *query,
                       struct store_event *ret_events, size_t *ret_count);

/* ---- sqlite_webhooks.c ---- */

int sqlite_endpoint_add(void *self, const struct store_endpoint *endpoint, size_t most);
int sqlite_endpoint_remove(void *self, const char *tenant, const char *id, int64_t now_ms);
int sqlite_endpoint_enable(void *self, const char *tenant, const char *id);
int sqlite_endpoints(void *self, const char *tenant, struct store_endpoint *ret_endpoints,
                     size_t *ret_count);
int sqlite_secrets(void *self, const char *tenant, int64_t now_ms, struct store_secret *ret_secrets,
                   size_t *ret_count);
int sqlite_secret_rotate(void *self, const char *tenant, int64_t now_ms, int64_t overlap_ms);

/* ---- sqlite_outbox.c ---- */

/* Within a transaction: a row for each receiver of the news that the write's task has ended; counts in the write those that wait. */
CHECKED int sqlite_put_deliveries(struct sqlite *sqlite, struct store_write *write);
/* Has the task ended already, before this transaction's write? 0 or negative errno. */
CHECKED int sqlite_has_ended(struct sqlite *sqlite, const char *task_id, bool *ret_has_ended);
int sqlite_delivery_add(void *self, const struct store_delivery *delivery);
int sqlite_delivery_tried(void *self, const struct store_tried *tried, int64_t *ret_next_ms);
/* Within a transaction: a task's bodies go, what receivers answered to them, and whom the task alone named; what still waits
 * of it is not sent. */
CHECKED int sqlite_drop_deliveries(struct sqlite *sqlite, const char *task_id, int64_t now_ms);
int sqlite_sweep_deliveries(void *self, int64_t before_ms, int64_t now_ms);

/* ---- sqlite_deliveries.c ---- */

int sqlite_lanes(void *self, const char *tenant,
                 void (*each)(void *, const char *tenant, const char *url, int64_t next_ms),
                 void *context);
int sqlite_delivery_next(void *self, const char *tenant, const char *url, int64_t now_ms,
                         struct store_delivery *ret_delivery);
int sqlite_deliveries(void *self, const struct store_deliveries_query *query,
                      struct store_delivery *ret_deliveries, size_t *ret_count);
int sqlite_delivery(void *self, const char *tenant, const char *id,
                    struct store_delivery *ret_delivery);
int sqlite_tries(void *self, const char *delivery_id, struct store_try *ret_tries,
                 size_t *ret_count);

/* ---- sqlite_files.c ---- */

int sqlite_file_add(void *self, const struct store_file *file,
                    const struct store_file_limits *limits);
int sqlite_file_show(void *self, const char *id);
int sqlite_file_hide(void *self, const char *tenant, const char *id, int64_t now_ms);
int sqlite_file_forget(void *self, const char *id);
int sqlite_file(void *self, const char *tenant, const char *id, int64_t now_ms,
                struct store_file *ret_file);
int sqlite_files(void *self, const struct store_files_query *query, struct store_file *ret_files,
                 size_t *ret_count);
int sqlite_files_due(void *self, int64_t now_ms, int64_t hidden_before_ms, size_t limit,
                     char (*ret_ids)[ID_SHORT_SIZE], size_t *ret_count);

/* ---- sqlite_keys.c ---- */

int sqlite_key_add(void *self, const struct store_key *key);
int sqlite_key_revoke(void *self, const char *name_or_id, int64_t now_ms);
int sqlite_keys(void *self, struct store_key **ret_keys, size_t *ret_count);
