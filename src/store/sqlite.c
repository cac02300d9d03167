/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQLite store: everything that writes to it. One connection writes, under write_lock, for the
 * store's writer thread as for small writes at once from other threads; so the threads of this
 * process never meet SQLITE_BUSY among themselves, and PRAGMA data_version of that connection tells
 * only of other processes' commits. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "store/backend.h"

enum { SWEEP_MAX = 1000 }; /* idempotency entries erased in one transaction */

int sqlite_refresh_version(struct sqlite *sqlite)
{
    sqlite3_stmt *statement;
    int result = sqlite_use(&sqlite->writer, STATEMENT_VERSION_READ, &statement);

    if (result < 0)
        return result;
    result = sqlite_step(&sqlite->writer, statement);
    if (result < 0)
        return result;
    if (result > 0) {
        atomic_store(&sqlite->version, sqlite3_column_int64(statement, 0));
        sqlite_rest(statement);
    }
    return 0;
}

/* ---- transactions ---- */

int sqlite_begin(void *self)
{
    struct sqlite *sqlite = self;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    sqlite_forget_change(sqlite);
    int fault = sqlite_command(&sqlite->writer, STATEMENT_BEGIN);
    if (fault < 0)
        (void)pthread_mutex_unlock(&sqlite->write_lock);
    return fault;
}

void sqlite_rollback(void *self)
{
    struct sqlite *sqlite = self;

    /* SQLite may have rolled back by itself already, as it does on a full disk. */
    if (sqlite3_get_autocommit(sqlite->writer.db) == 0)
        (void)!sqlite_command(&sqlite->writer, STATEMENT_ROLLBACK);
    (void)pthread_mutex_unlock(&sqlite->write_lock);
}

int sqlite_commit(void *self)
{
    struct sqlite *sqlite = self;
    int fault = sqlite_keep_change(sqlite);

    if (fault == 0)
        fault = sqlite_command(&sqlite->writer, STATEMENT_COMMIT);
    if (fault < 0)
        return fault;
    /* Here too, so that a busy writer does not keep sqlite_version() from the news. */
    (void)!sqlite_refresh_version(sqlite);
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return 0;
}

int sqlite_end(struct sqlite *sqlite, int fault)
{
    if (fault == 0)
        fault = sqlite_commit(sqlite);
    if (fault < 0)
        sqlite_rollback(sqlite);
    return fault;
}

void sqlite_bind_task(sqlite3_stmt *statement, const struct store_write *write, int64_t change)
{
    const struct task *task = write->task;

    sqlite_bind_text(statement, 1, task->request->id);
    sqlite_bind_text(statement, 2, task_state_name(task->state));
    sqlite_bind_int(statement, 3, task_state_is_end(task->state));
    sqlite_bind_int(statement, 4, task->revision);
    sqlite_bind_int(statement, 5, task->status_update_ms);
    sqlite_bind_int(statement, 6, task->ended_ms);
    sqlite_bind_int(statement, 7, task->expired_ms);
    sqlite_bind_int(statement, 8, task->deleted_ms);
    sqlite_bind_text(statement, 9, write->status_json);
    sqlite_bind_int(statement, 10, change);
}

static int sqlite_insert_task(struct sqlite *sqlite, const struct store_write *write)
{
    const struct task_request *request = write->task->request;
    sqlite3_stmt *statement;
    int64_t change;
    int fault = sqlite_next_change(sqlite, &change);

    if (fault == 0)
        fault = sqlite_use(&sqlite->writer, STATEMENT_TASK_INSERT, &statement);
    if (fault != 0)
        return fault;
    sqlite_bind_task(statement, write, change);
    sqlite_bind_text(statement, 11, write->request_json);
    sqlite_bind_text(statement, 12, request->tenant != NULL ? request->tenant : "");
    sqlite_bind_text(statement, 13, request->model != NULL ? request->model : "");
    sqlite_bind_int(statement, 14, request->created_micros);
    return sqlite_run(&sqlite->writer, statement);
}

/* STORE_WRITTEN: the key is free (or its entry too old). */
static int sqlite_find_key(struct sqlite *sqlite, struct store_write *write)
{
    const struct task_request *request = write->task->request;
    int64_t oldest_ms = request->created_micros / 1000 - write->idempotency_keep_ms;
    sqlite3_stmt *statement;
    int result = sqlite_use(&sqlite->writer, STATEMENT_IDEMPOTENCY_FIND, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, request->tenant != NULL ? request->tenant : "");
    sqlite_bind_text(statement, 2, write->idempotency_key);
    result = sqlite_step(&sqlite->writer, statement);
    if (result <= 0)
        return result;
    bool is_equal =
        sqlite3_column_bytes(statement, 0) == (int)sizeof write->digest &&
        memcmp(sqlite3_column_blob(statement, 0), write->digest, sizeof write->digest) == 0;
    if (sqlite3_column_int64(statement, 2) < oldest_ms) {
        result = STORE_WRITTEN;
    } else if (is_equal) {
        (void)snprintf(write->existing_id, sizeof write->existing_id, "%s",
                       sqlite_text(statement, 1));
        result = STORE_REPEATED;
    } else {
        result = STORE_CONFLICT;
    }
    sqlite_rest(statement);
    return result;
}

static int sqlite_put_key(struct sqlite *sqlite, const struct store_write *write)
{
    const struct task_request *request = write->task->request;
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_IDEMPOTENCY_PUT, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, request->tenant != NULL ? request->tenant : "");
    sqlite_bind_text(statement, 2, write->idempotency_key);
    sqlite_bind_blob(statement, 3, write->digest, sizeof write->digest);
    sqlite_bind_text(statement, 4, request->id);
    sqlite_bind_int(statement, 5, request->created_micros / 1000);
    return sqlite_run(&sqlite->writer, statement);
}

static int sqlite_create(struct sqlite *sqlite, struct store_write *write)
{
    if (write->idempotency_key != NULL) {
        int result = sqlite_find_key(sqlite, write);
        if (result != STORE_WRITTEN)
            return result;
    }
    if (write->admit != NULL && !write->admit(write))
        return STORE_NOT_ADMITTED;
    int fault = sqlite_insert_task(sqlite, write);
    if (fault == 0 && write->idempotency_key != NULL)
        fault = sqlite_put_key(sqlite, write);
    if (fault == 0)
        fault = sqlite_put_attempt(sqlite, write->task);
    return fault < 0 ? fault : sqlite_put_change(sqlite, write);
}

int sqlite_why_unchanged(struct sqlite *sqlite, enum sqlite_statement exists, const char *id)
{
    sqlite3_stmt *statement;
    int result = sqlite_use(&sqlite->writer, exists, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, id);
    result = sqlite_step(&sqlite->writer, statement);
    if (result > 0)
        sqlite_rest(statement);
    return result < 0 ? result : result > 0 ? STORE_CONFLICT : STORE_NOT_FOUND;
}

static int sqlite_update(struct sqlite *sqlite, struct store_write *write)
{
    const struct task *task = write->task;
    bool was_told = true; /* or there is nothing to tell */
    sqlite3_stmt *statement;
    int64_t change;
    int fault = sqlite_next_change(sqlite, &change);

    write->n_deliveries = 0; /* a group that failed is tried anew */
    if (fault == 0 && task_state_is_end(task->state))
        fault = sqlite_has_ended(sqlite, task->request->id, &was_told);
    if (fault == 0)
        fault = sqlite_use(&sqlite->writer, STATEMENT_TASK_UPDATE, &statement);
    if (fault != 0)
        return fault;
    sqlite_bind_task(statement, write, change);
    fault = sqlite_run(&sqlite->writer, statement);
    if (fault < 0)
        return fault;
    if (sqlite3_changes(sqlite->writer.db) == 0)
        return sqlite_why_unchanged(sqlite, STATEMENT_TASK_EXISTS, task->request->id);
    fault = sqlite_put_attempt(sqlite, task);
    if (fault == 0)
        fault = sqlite_put_change(sqlite, write);
    return fault < 0 || was_told ? fault : sqlite_put_deliveries(sqlite, write);
}

static int sqlite_apply(void *self, struct store_write *write)
{
    switch (write->kind) {
    case STORE_CREATE:
        return sqlite_create(self, write);
    case STORE_UPDATE:
        return sqlite_update(self, write);
    case STORE_ERASE:
        return sqlite_erase(self, write);
    case STORE_NOTE:
        return sqlite_note(self, write);
    }
    must(false);
    return -EINVAL;
}

/* ---- small writes at once ---- */

static void sqlite_secret(void *self, uint8_t ret_secret[32])
{
    const struct sqlite *sqlite = self;

    memcpy(ret_secret, sqlite->secret, sizeof sqlite->secret);
}

static int sqlite_set_number(void *self, const char *name, int64_t value)
{
    struct sqlite *sqlite = self;
    char key[META_NAME_SIZE];
    sqlite3_stmt *statement;

    (void)snprintf(key, sizeof key, "number.%s", name);
    (void)pthread_mutex_lock(&sqlite->write_lock);
    int fault = sqlite_use(&sqlite->writer, STATEMENT_META_PUT, &statement);
    if (fault == 0) {
        sqlite_bind_text(statement, 1, key);
        sqlite_bind_int(statement, 2, value);
        fault = sqlite_run(&sqlite->writer, statement);
    }
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return fault;
}

int sqlite_run_for(struct sqlite *sqlite, enum sqlite_statement which, const char *id)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, which, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, id);
    return sqlite_run(&sqlite->writer, statement);
}

/* The mark comes last: a crash between the two leaves a task that is named again. */
static int sqlite_mark_erased(void *self, const char *id)
{
    struct sqlite *sqlite = self;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_run_for(sqlite, STATEMENT_EVENTS_ERASE, id);
    if (result == 0)
        result = sqlite_run_for(sqlite, STATEMENT_TASK_ERASED, id);
    if (result == 0 && sqlite3_changes(sqlite->writer.db) == 0)
        result = STORE_NOT_FOUND;
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result;
}

/* Erases up to SWEEP_MAX entries and tells how many. */
static int sqlite_sweep_some(struct sqlite *sqlite, int64_t before_ms, int *ret_erased)
{
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int fault = sqlite_use(&sqlite->writer, STATEMENT_IDEMPOTENCY_SWEEP, &statement);
    if (fault == 0) {
        sqlite_bind_int(statement, 1, before_ms);
        sqlite_bind_int(statement, 2, SWEEP_MAX);
        fault = sqlite_run(&sqlite->writer, statement);
    }
    if (fault == 0)
        *ret_erased = sqlite3_changes(sqlite->writer.db);
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return fault;
}

/* In pieces, so that creates get their turns between. */
static int sqlite_sweep_idempotency(void *self, int64_t before_ms)
{
    int erased = 0;
    int fault;

    do {
        fault = sqlite_sweep_some(self, before_ms, &erased);
    } while (fault == 0 && erased == SWEEP_MAX);
    return fault;
}

/* Never waits: while someone writes, what the last commit saw is news enough. */
static int sqlite_version(void *self, int64_t *ret_version)
{
    struct sqlite *sqlite = self;
    int fault = 0;

    if (pthread_mutex_trylock(&sqlite->write_lock) == 0) {
        fault = sqlite_refresh_version(sqlite);
        (void)pthread_mutex_unlock(&sqlite->write_lock);
    }
    if (fault == 0)
        *ret_version = atomic_load(&sqlite->version);
    return fault;
}

const struct store_backend store_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .secret = sqlite_secret,
    .number = sqlite_read_number,
    .set_number = sqlite_set_number,
    .task = sqlite_read_task,
    .list = sqlite_list,
    .walk_unfinished = sqlite_read_unfinished,
    .list_old = sqlite_read_old,
    .list_deleted = sqlite_read_deleted,
    .scrub = sqlite_scrub,
    .mark_erased = sqlite_mark_erased,
    .sweep_idempotency = sqlite_sweep_idempotency,
    .count_created = sqlite_read_created,
    .count_states = sqlite_read_states,
    .attempts = sqlite_attempts,
    .attempt_resolve = sqlite_attempt_resolve,
    .change = sqlite_read_change,
    .events = sqlite_read_events,
    .file_add = sqlite_file_add,
    .file_show = sqlite_file_show,
    .file_hide = sqlite_file_hide,
    .file_forget = sqlite_file_forget,
    .file = sqlite_file,
    .files = sqlite_files,
    .files_due = sqlite_files_due,
    .key_add = sqlite_key_add,
    .key_revoke = sqlite_key_revoke,
    .keys = sqlite_keys,
    .version = sqlite_version,
    .endpoint_add = sqlite_endpoint_add,
    .endpoint_remove = sqlite_endpoint_remove,
    .endpoint_enable = sqlite_endpoint_enable,
    .endpoints = sqlite_endpoints,
    .secrets = sqlite_secrets,
    .secret_rotate = sqlite_secret_rotate,
    .delivery_add = sqlite_delivery_add,
    .lanes = sqlite_lanes,
    .delivery_next = sqlite_delivery_next,
    .delivery_tried = sqlite_delivery_tried,
    .deliveries = sqlite_deliveries,
    .delivery = sqlite_delivery,
    .tries = sqlite_tries,
    .sweep_deliveries = sqlite_sweep_deliveries,
};
