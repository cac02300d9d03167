/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema of the SQLite store and how older files become it. A step that was released never
 * changes; a new need is a new step at the end. Each runs inside BEGIN IMMEDIATE and looks at the
 * version again once it holds the lock, so that two processes that open one file do not both run
 * it. Called while a store is opened, by the thread that opens it. */
#include "store/migrate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "store/sqlite.h"

/* Rowid tables with time-ordered keys: inserts go to the end of every index, so a commit touches
 * few pages. Counting by state is kept up by triggers, because counting rows reads a whole index
 * once there are millions. */
static const char *const migrate_steps[] = {
    "CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value ANY NOT NULL) STRICT;"

    "CREATE TABLE tasks("
    " number INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " tenant TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " is_end INTEGER NOT NULL,"
    " revision INTEGER NOT NULL,"
    " created_micros INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL,"
    " expired_ms INTEGER NOT NULL,"
    " erased INTEGER NOT NULL DEFAULT 0,"
    " status TEXT NOT NULL,"
    " request TEXT NOT NULL) STRICT;"
    "CREATE INDEX tasks_by_age ON tasks(created_micros, id);"
    "CREATE INDEX tasks_of_tenant ON tasks(tenant, created_micros, id);"
    "CREATE INDEX tasks_unfinished ON tasks(created_micros, id) WHERE is_end = 0;"
    "CREATE INDEX tasks_to_expire ON tasks(ended_ms, id)"
    " WHERE ended_ms > 0 AND expired_ms = 0;"
    "CREATE INDEX tasks_to_erase ON tasks(expired_ms, id) WHERE expired_ms > 0 AND erased = 0;"

    "CREATE TABLE states(state TEXT PRIMARY KEY NOT NULL, count INTEGER NOT NULL) STRICT;"
    "CREATE TRIGGER tasks_count_insert AFTER INSERT ON tasks BEGIN"
    " INSERT INTO states(state, count) VALUES(new.state, 1)"
    "  ON CONFLICT(state) DO UPDATE SET count = count + 1;"
    " END;"
    "CREATE TRIGGER tasks_count_update AFTER UPDATE OF state ON tasks"
    " WHEN old.state <> new.state BEGIN"
    " UPDATE states SET count = count - 1 WHERE state = old.state;"
    " INSERT INTO states(state, count) VALUES(new.state, 1)"
    "  ON CONFLICT(state) DO UPDATE SET count = count + 1;"
    " END;"
    "CREATE TRIGGER tasks_count_delete AFTER DELETE ON tasks BEGIN"
    " UPDATE states SET count = count - 1 WHERE state = old.state;"
    " END;"

    "CREATE TABLE idempotency("
    " number INTEGER PRIMARY KEY,"
    " tenant TEXT NOT NULL,"
    " key TEXT NOT NULL,"
    " digest BLOB NOT NULL,"
    " task_id TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " UNIQUE(tenant, key)) STRICT;"
    "CREATE INDEX idempotency_by_age ON idempotency(created_ms);"

    "CREATE TABLE keys("
    " number INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL,"
    " tenant TEXT NOT NULL,"
    " hash BLOB NOT NULL UNIQUE,"
    " operator INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " revoked_ms INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX keys_valid ON keys(name) WHERE revoked_ms = 0;",

    /* What may be large stands last: a scan of the facts before it reads no overflow pages. */
    "CREATE TABLE attempts("
    " number INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " task_id TEXT NOT NULL,"
    " tenant TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " channel TEXT NOT NULL,"
    " credential TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " is_open INTEGER NOT NULL,"
    " begun_ms INTEGER NOT NULL,"
    " accepted_ms INTEGER NOT NULL,"
    " closed_ms INTEGER NOT NULL,"
    " resolved_ms INTEGER NOT NULL DEFAULT 0,"
    " job TEXT,"
    " keep TEXT,"
    " outputs TEXT,"
    " enhanced_prompt TEXT,"
    " usage TEXT) STRICT;"
    "CREATE INDEX attempts_of_task ON attempts(task_id, id);"
    "CREATE INDEX attempts_unknown ON attempts(id) WHERE state = 'unknown';"
    "CREATE INDEX attempts_open ON attempts(id) WHERE is_open = 1;",

    /* Events and change numbers. An index on one column is in the order of the numbers, too, which are the rowid. */
    "ALTER TABLE tasks ADD COLUMN change INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE events("
    " number INTEGER PRIMARY KEY,"
    " task_id TEXT NOT NULL,"
    " tenant TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " at_ms INTEGER NOT NULL,"
    " revision INTEGER NOT NULL,"
    " body TEXT NOT NULL) STRICT;"
    "CREATE INDEX events_of_task ON events(task_id);"
    "CREATE INDEX events_of_tenant ON events(tenant);",

    /* uploaded files */
    "CREATE TABLE files("
    " number INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " tenant TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " purpose TEXT NOT NULL,"
    " type TEXT NOT NULL,"
    " sha256 TEXT NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " width INTEGER NOT NULL,"
    " height INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL,"
    " is_shown INTEGER NOT NULL) STRICT;"
    "CREATE INDEX files_of_tenant ON files(tenant, id, expires_ms, bytes);"
    "CREATE INDEX files_by_end ON files(expires_ms);"
    "CREATE INDEX files_hidden ON files(created_ms) WHERE is_shown = 0;",

    /* Lists by state, and tasks whose owner had them deleted. What has ended is written into these indexes once. */
    "ALTER TABLE tasks ADD COLUMN deleted_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX tasks_ended ON tasks(state, created_micros, id)"
    " WHERE is_end = 1 AND deleted_ms = 0;"
    "CREATE INDEX tasks_ended_of_tenant ON tasks(tenant, state, created_micros, id)"
    " WHERE is_end = 1 AND deleted_ms = 0;"
    "CREATE INDEX tasks_deleted ON tasks(deleted_ms, id) WHERE deleted_ms > 0 AND erased = 0;",
    /* Webhooks. The index of what waits holds all that the choice of the next delivery looks at. */
    "CREATE TABLE webhook_endpoints("
    " number INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " tenant TEXT NOT NULL,"
    " url TEXT NOT NULL,"
    " base TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " disabled_ms INTEGER NOT NULL DEFAULT 0,"
    " disabled_why TEXT,"
    " UNIQUE(tenant, url)) STRICT;"
    "CREATE TABLE webhook_secrets("
    " number INTEGER PRIMARY KEY,"
    " tenant TEXT NOT NULL,"
    " secret BLOB NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX webhook_secrets_of_tenant ON webhook_secrets(tenant, number);"
    "CREATE UNIQUE INDEX webhook_secrets_present ON webhook_secrets(tenant) WHERE expires_ms = 0;"
    "CREATE TABLE deliveries("
    " number INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " event TEXT NOT NULL,"
    " tenant TEXT NOT NULL,"
    " endpoint TEXT NOT NULL,"
    " task_id TEXT NOT NULL,"
    " type TEXT NOT NULL,"
    " url TEXT NOT NULL,"
    " base TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " tries INTEGER NOT NULL DEFAULT 0,"
    " next_ms INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL DEFAULT 0,"
    " note TEXT,"
    " body TEXT) STRICT;"
    "CREATE INDEX deliveries_waiting ON deliveries(tenant, url, number, next_ms)"
    " WHERE state = 'waiting';"
    "CREATE INDEX deliveries_of_tenant ON deliveries(tenant, id);"
    "CREATE INDEX deliveries_of_task ON deliveries(task_id);"
    "CREATE INDEX deliveries_ended ON deliveries(ended_ms) WHERE ended_ms > 0;"
    "CREATE TABLE delivery_tries("
    " number INTEGER PRIMARY KEY,"
    " delivery TEXT NOT NULL,"
    " try INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL,"
    " took_ms INTEGER NOT NULL,"
    " status INTEGER NOT NULL,"
    " error TEXT,"
    " answer TEXT) STRICT;"
    "CREATE INDEX tries_of_delivery ON delivery_tries(delivery, try);",
};

int64_t migrate_latest(void)
{
    return (int64_t)ARRAY_LENGTH(migrate_steps);
}

/* The single number that `sql` yields. */
static int migrate_number(sqlite3 *db, const char *sql, int64_t *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            *ret_value = sqlite3_column_int64(statement, 0);
    }
    int fault = code == SQLITE_ROW ? 0 : sqlite_fault(db, code);
    sqlite3_finalize(statement);
    return fault;
}

static int migrate_exec(sqlite3 *db, const char *sql)
{
    return sqlite_fault(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* Within the transaction: runs step `from`, unless another process just did. */
static int migrate_step(sqlite3 *db, int64_t from)
{
    char marks[100];
    int64_t version = 0;
    int fault = migrate_number(db, "PRAGMA user_version", &version);

    if (fault < 0 || version != from)
        return fault;
    fault = migrate_exec(db, migrate_steps[from]);
    if (fault < 0)
        return fault;
    (void)snprintf(marks, sizeof marks,
                   "PRAGMA user_version = %" PRId64 "; PRAGMA application_id = %d", from + 1,
                   (int)MIGRATE_APPLICATION_ID);
    return migrate_exec(db, marks);
}

static int migrate_transact(sqlite3 *db, int64_t from)
{
    int fault = migrate_exec(db, "BEGIN IMMEDIATE");

    if (fault < 0)
        return fault;
    fault = migrate_step(db, from);
    if (fault == 0)
        fault = migrate_exec(db, "COMMIT");
    if (fault < 0 && sqlite3_get_autocommit(db) == 0)
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return fault;
}

/* Tables in a file that does not bear our mark: another program's, or ours from before it had one
 * (there is none). */
static int migrate_check_owner(sqlite3 *db, const char *path, char ret_error[STORE_ERROR_SIZE])
{
    int64_t tables = 0;
    int64_t owner = 0;
    int fault = migrate_number(db, "SELECT count(*) FROM sqlite_schema", &tables);

    if (fault == 0)
        fault = migrate_number(db, "PRAGMA application_id", &owner);
    if (fault < 0) {
        sqlite_explain(db, fault, path, ret_error);
        return fault;
    }
    if (tables == 0 || owner == MIGRATE_APPLICATION_ID)
        return 0;
    (void)snprintf(ret_error, STORE_ERROR_SIZE,
                   "\"%s\" is the database of another program: move it away, or choose another "
                   "data directory",
                   path);
    return -EINVAL;
}

int migrate_run(sqlite3 *db, const char *path, char ret_error[STORE_ERROR_SIZE])
{
    int64_t version = 0;
    int fault = migrate_check_owner(db, path, ret_error);

    if (fault < 0)
        return fault;
    for (;;) {
        int64_t before = version;
        fault = migrate_number(db, "PRAGMA user_version", &version);
        if (fault < 0 || version < before || version >= migrate_latest())
            break;
        fault = version < 0 ? -EBADMSG : migrate_transact(db, version);
        if (fault < 0)
            break;
    }
    if (fault < 0) {
        sqlite_explain(db, fault, path, ret_error);
        return fault;
    }
    if (version == migrate_latest())
        return 0;
    (void)snprintf(ret_error, STORE_ERROR_SIZE,
                   "\"%s\" was written by a newer filmgate (schema %" PRId64
                   ", this one knows up to %" PRId64 "): start that version or a later one",
                   path, version, migrate_latest());
    return -ENOTSUP;
}
