/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to the database file: its settings, its statements, and what SQLite's result codes
 * mean to us. Every SQL statement of normal work stands in the table below and is prepared once a
 * connection. No locks here: a connection is used by one thread at a time, which its holder sees
 * to. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"

static const char *const sqlite_sql[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    /* What is written of a task has the same numbers in these three: sqlite_bind_task(). */
    [STATEMENT_TASK_INSERT] =
        "INSERT INTO tasks(id, state, is_end, revision, updated_ms, ended_ms, expired_ms, status,"
        " change, request, tenant, model, created_micros)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?9,?10,?11,?12,?13,?14)",
    /* The fence: a record never goes back to an older revision, an end is never left, and what was deleted stays so. */
    [STATEMENT_TASK_UPDATE] =
        "UPDATE tasks SET state = ?2, is_end = ?3, revision = ?4, updated_ms = ?5, ended_ms = ?6,"
        " expired_ms = ?7, status = ?9, change = ?10"
        " WHERE id = ?1 AND revision <= ?4 AND (is_end = 0 OR state = ?2)"
        "  AND (deleted_ms = 0 OR ?8 > 0)",
    [STATEMENT_TASK_ERASE] =
        "UPDATE tasks SET revision = ?4, updated_ms = ?5, expired_ms = ?7, deleted_ms = ?8,"
        " status = ?9, change = ?10, request = ?11"
        " WHERE id = ?1 AND is_end = 1 AND state = ?2 AND revision <= ?4 AND deleted_ms = 0",
    [STATEMENT_TASK_EXISTS] = "SELECT 1 FROM tasks WHERE id = ?1",
    [STATEMENT_TASK_ERASED] = "UPDATE tasks SET erased = 1 WHERE id = ?1 AND expired_ms > 0",
    [STATEMENT_TASK_READ] = "SELECT id, request, status, change FROM tasks WHERE id = ?1",
    /* Two walks along indexes, merged: with OR the planner reads the whole table. */
    [STATEMENT_TASKS_UNFINISHED] =
        "SELECT id, request, status, change, created_micros FROM tasks WHERE is_end = 0"
        " UNION ALL"
        " SELECT id, request, status, change, created_micros FROM tasks WHERE is_end <> 0"
        "  AND id IN (SELECT task_id FROM attempts WHERE is_open = 1)"
        " ORDER BY 5, 1",
    [STATEMENT_TASKS_TO_EXPIRE] =
        "SELECT id, request, status, change FROM tasks"
        " WHERE ended_ms > 0 AND expired_ms = 0 AND ended_ms < ?1 ORDER BY ended_ms, id",
    [STATEMENT_TASKS_TO_ERASE] =
        "SELECT id, request, status, change FROM tasks"
        " WHERE expired_ms > 0 AND erased = 0 AND expired_ms < ?1 ORDER BY expired_ms, id",
    [STATEMENT_TASKS_DELETED] = "SELECT id, request, status, change FROM tasks"
                                " WHERE deleted_ms > 0 AND erased = 0 ORDER BY deleted_ms, id",
    /* From tenant to tenant along the index tasks_of_tenant, and of each only the days asked for:
     * grouping would read the whole index. */
    [STATEMENT_TASKS_CREATED] =
        "WITH RECURSIVE tenants(tenant) AS ("
        " SELECT min(tenant) FROM tasks"
        " UNION ALL"
        " SELECT (SELECT min(tenant) FROM tasks WHERE tenant > tenants.tenant) FROM tenants"
        "  WHERE tenants.tenant IS NOT NULL)"
        " SELECT tenant, (SELECT count(*) FROM tasks WHERE tasks.tenant = tenants.tenant"
        "  AND created_micros >= ?1 AND created_micros < ?2)"
        " FROM tenants WHERE tenant IS NOT NULL",
    [STATEMENT_STATES] = "SELECT state, count FROM states",
    [STATEMENT_IDEMPOTENCY_FIND] =
        "SELECT digest, task_id, created_ms FROM idempotency WHERE tenant = ?1 AND key = ?2",
    [STATEMENT_IDEMPOTENCY_PUT] =
        "INSERT INTO idempotency(tenant, key, digest, task_id, created_ms) VALUES(?1,?2,?3,?4,?5)"
        " ON CONFLICT(tenant, key) DO UPDATE"
        " SET digest = excluded.digest, task_id = excluded.task_id, created_ms = "
        "excluded.created_ms",
    [STATEMENT_IDEMPOTENCY_SWEEP] =
        "DELETE FROM idempotency WHERE number IN"
        " (SELECT number FROM idempotency WHERE created_ms < ?1 ORDER BY created_ms LIMIT ?2)",
    /* What an operator said stays. A row that is the same already costs a look, not a write: an
     * upstream's task is updated with every step of its progress. */
    [STATEMENT_ATTEMPT_PUT] =
        "INSERT INTO attempts(id, task_id, tenant, model, attempt, channel, credential, state,"
        " is_open, begun_ms, accepted_ms, closed_ms, job, keep, outputs, enhanced_prompt, usage)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)"
        " ON CONFLICT(id) DO UPDATE"
        " SET state = ?8, is_open = ?9, begun_ms = ?10, accepted_ms = ?11, closed_ms = ?12,"
        "  job = ?13, keep = ?14, outputs = ?15, enhanced_prompt = ?16, usage = ?17"
        " WHERE resolved_ms = 0 AND task_id = ?2"
        "  AND (state, begun_ms, accepted_ms, closed_ms, job, keep, outputs, enhanced_prompt,"
        "   usage) IS NOT (?8,?10,?11,?12,?13,?14,?15,?16,?17)",
    /* Also of attempts before the one that the task's record holds, and of those that an operator resolved. */
    [STATEMENT_ATTEMPTS_ERASE] = "UPDATE attempts SET outputs = NULL, enhanced_prompt = NULL,"
                                 " keep = CASE WHEN is_open = 1 THEN keep END WHERE task_id = ?1",
    [STATEMENT_ATTEMPT_RESOLVE] =
        "UPDATE attempts SET state = ?2, job = ifnull(?3, job),"
        " accepted_ms = CASE WHEN ?3 IS NULL THEN accepted_ms ELSE ?4 END, resolved_ms = ?4"
        " WHERE id = ?1 AND state = 'unknown'",
    [STATEMENT_ATTEMPT_EXISTS] = "SELECT 1 FROM attempts WHERE id = ?1",
#define ATTEMPTS_SELECT                                                                            \
    "SELECT id, task_id, tenant, model, attempt, channel, credential, state, begun_ms,"            \
    " accepted_ms, closed_ms, resolved_ms, job, keep, outputs, enhanced_prompt, usage"             \
    " FROM attempts WHERE id < ?1"
#define ATTEMPTS_ORDER " ORDER BY id DESC"
    [STATEMENT_ATTEMPTS_ALL] = ATTEMPTS_SELECT ATTEMPTS_ORDER,
    [STATEMENT_ATTEMPTS_UNKNOWN] = ATTEMPTS_SELECT " AND state = 'unknown'" ATTEMPTS_ORDER,
    [STATEMENT_ATTEMPTS_OPEN] = ATTEMPTS_SELECT " AND is_open = 1" ATTEMPTS_ORDER,
    [STATEMENT_ATTEMPTS_OF_TASK] =
        ATTEMPTS_SELECT " AND task_id = ?2 AND (?3 = 0 OR state = 'unknown')"
                        " AND (?4 = 0 OR is_open = 1)" ATTEMPTS_ORDER,
#undef ATTEMPTS_SELECT
#undef ATTEMPTS_ORDER
    /* A write whose answer was lost comes again: then the event has the number of the commit that was answered. */
    [STATEMENT_EVENT_FORGET] =
        "DELETE FROM events WHERE task_id = ?1 AND revision = ?2 AND kind = ?3",
    [STATEMENT_EVENT_PUT] =
        "INSERT INTO events(number, task_id, tenant, kind, at_ms, revision, body)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7)",
    /* Nothing more of a task that is gone. */
    [STATEMENT_EVENT_NOTE] =
        "INSERT INTO events(number, task_id, tenant, kind, at_ms, revision, body)"
        " SELECT ?1, id, tenant, ?3, ?4, ?5, ?6 FROM tasks WHERE id = ?2 AND deleted_ms = 0",
    [STATEMENT_EVENTS_ERASE] = "DELETE FROM events WHERE task_id ="
                               " (SELECT id FROM tasks WHERE id = ?1 AND expired_ms > 0)",
#define EVENTS_SELECT                                                                              \
    "SELECT number, task_id, tenant, kind, at_ms, revision, body FROM events"                      \
    " WHERE number > ?1 AND (?2 IS NULL OR kind = ?2)"
#define EVENTS_ORDER " ORDER BY number LIMIT ?3"
    [STATEMENT_EVENTS_ALL] = EVENTS_SELECT EVENTS_ORDER,
    [STATEMENT_EVENTS_OF_TENANT] = EVENTS_SELECT " AND tenant = ?4" EVENTS_ORDER,
    [STATEMENT_EVENTS_OF_TASKS] =
        EVENTS_SELECT " AND (?4 IS NULL OR tenant = ?4)"
                      " AND task_id IN (SELECT value FROM json_each(?5))" EVENTS_ORDER,
#undef EVENTS_SELECT
#undef EVENTS_ORDER
    /* One statement looks and writes: two uploads at once do not share one room. */
    [STATEMENT_FILE_ADD] =
        "INSERT INTO files(id, tenant, name, purpose, type, sha256, bytes, width, height,"
        " created_ms, expires_ms, is_shown)"
        " SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,0"
        " WHERE (SELECT count(*) < ?12 AND ifnull(sum(bytes), 0) <= ?13 - ?7"
        "  FROM files WHERE tenant = ?2 AND expires_ms > ?10)",
    [STATEMENT_FILE_SHOW] = "UPDATE files SET is_shown = 1 WHERE id = ?1 AND is_shown = 0",
#define FILES_SEEN " is_shown = 1 AND expires_ms > ?1"
    [STATEMENT_FILE_HIDE] = "UPDATE files SET is_shown = 0, created_ms = 1"
                            " WHERE" FILES_SEEN " AND id = ?2 AND (?3 IS NULL OR tenant = ?3)",
    [STATEMENT_FILE_FORGET] = "DELETE FROM files WHERE id = ?1",
#define FILES_SELECT                                                                               \
    "SELECT id, tenant, name, purpose, type, sha256, bytes, width, height, created_ms,"            \
    " expires_ms FROM files WHERE" FILES_SEEN
#define FILES_NEWEST " AND id < ?2 AND (?4 IS NULL OR purpose = ?4) ORDER BY id DESC"
#define FILES_OLDEST " AND id > ?2 AND (?4 IS NULL OR purpose = ?4) ORDER BY id"
    [STATEMENT_FILE_READ] = FILES_SELECT " AND id = ?2 AND (?3 IS NULL OR tenant = ?3)",
    [STATEMENT_FILES_NEWEST] = FILES_SELECT FILES_NEWEST,
    [STATEMENT_FILES_OLDEST] = FILES_SELECT FILES_OLDEST,
    [STATEMENT_FILES_NEWEST_OF_TENANT] = FILES_SELECT " AND tenant = ?3" FILES_NEWEST,
    [STATEMENT_FILES_OLDEST_OF_TENANT] = FILES_SELECT " AND tenant = ?3" FILES_OLDEST,
#undef FILES_SELECT
#undef FILES_SEEN
#undef FILES_NEWEST
#undef FILES_OLDEST
    /* Two walks along indexes: with OR the planner reads the whole table. */
    [STATEMENT_FILES_DUE] =
        "SELECT id FROM files WHERE expires_ms <= ?1"
        " UNION SELECT id FROM files WHERE is_shown = 0 AND created_ms < ?2 LIMIT ?3",
    [STATEMENT_META_READ] = "SELECT value FROM meta WHERE name = ?1",
    [STATEMENT_META_PUT] = "INSERT INTO meta(name, value) VALUES(?1, ?2)"
                           " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
    [STATEMENT_META_ADD] = "INSERT INTO meta(name, value) VALUES(?1, ?2) ON CONFLICT DO NOTHING",
    [STATEMENT_KEY_INSERT] =
        "INSERT INTO keys(id, name, tenant, hash, operator, created_ms, revoked_ms)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7)",
    /* A name may look like another key's id: the id goes first, and only one key is revoked. */
    [STATEMENT_KEY_REVOKE] =
        "UPDATE keys SET revoked_ms = ?2 WHERE number ="
        " (SELECT number FROM keys WHERE (id = ?1 OR name = ?1) AND revoked_ms = 0"
        "  ORDER BY id = ?1 DESC LIMIT 1)",
    [STATEMENT_KEYS] = "SELECT id, name, tenant, hash, operator, created_ms, revoked_ms FROM keys"
                       " ORDER BY created_ms, number",
    [STATEMENT_VERSION_READ] = "PRAGMA data_version",
    [STATEMENT_TASK_HAS_ENDED] = "SELECT is_end FROM tasks WHERE id = ?1",
    [STATEMENT_ENDPOINT_INSERT] =
        "INSERT INTO webhook_endpoints(id, tenant, url, base, created_ms) SELECT ?1,?2,?3,?4,?5"
        " WHERE (SELECT count(*) FROM webhook_endpoints WHERE tenant = ?2) < ?6",
    [STATEMENT_ENDPOINT_DELETE] = "DELETE FROM webhook_endpoints WHERE tenant = ?1 AND id = ?2",
    [STATEMENT_ENDPOINT_ENABLE] =
        "UPDATE webhook_endpoints SET disabled_ms = 0, disabled_why = NULL"
        " WHERE tenant = ?1 AND id = ?2",
    [STATEMENT_ENDPOINT_DISABLE] =
        "UPDATE webhook_endpoints SET disabled_ms = ?3, disabled_why = ?4"
        " WHERE tenant = ?1 AND url = ?2 AND disabled_ms = 0",
    [STATEMENT_ENDPOINTS] = "SELECT id, url, base, created_ms, disabled_ms, disabled_why"
                            " FROM webhook_endpoints WHERE tenant = ?1 ORDER BY number",
    [STATEMENT_SECRETS] = "SELECT secret, created_ms, expires_ms FROM webhook_secrets"
                          " WHERE tenant = ?1 AND (expires_ms = 0 OR expires_ms > ?2)"
                          " ORDER BY number DESC",
    [STATEMENT_SECRET_FIRST] = "INSERT INTO webhook_secrets(tenant, secret, created_ms)"
                               " VALUES(?1,?2,?3) ON CONFLICT DO NOTHING",
    [STATEMENT_SECRET_RETIRE] =
        "UPDATE webhook_secrets SET expires_ms = ?2 WHERE tenant = ?1 AND expires_ms = 0",
    [STATEMENT_SECRET_INSERT] =
        "INSERT INTO webhook_secrets(tenant, secret, created_ms) VALUES(?1,?2,?3)",
    [STATEMENT_SECRETS_TRIM] =
        "DELETE FROM webhook_secrets WHERE tenant = ?1 AND number NOT IN"
        " (SELECT number FROM webhook_secrets WHERE tenant = ?1 ORDER BY number DESC LIMIT ?2)",
    [STATEMENT_SECRETS_SWEEP] =
        "DELETE FROM webhook_secrets WHERE expires_ms > 0 AND expires_ms <= ?1",
    [STATEMENT_DELIVERY_INSERT] =
        "INSERT INTO deliveries(id, event, tenant, endpoint, task_id, type, url, base, state,"
        " next_ms, created_ms, ended_ms, note) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
    /* Counts no further than the bound. */
    [STATEMENT_DELIVERIES_COUNT] =
        "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE tenant = ?1 LIMIT ?2)",
    [STATEMENT_DELIVERIES_WAITING] =
        "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE state = 'waiting' AND tenant = ?1"
        " LIMIT ?2)",
#define DELIVERIES_SELECT                                                                          \
    "SELECT id, event, tenant, endpoint, task_id, type, url, base, state, tries, next_ms,"         \
    " created_ms, ended_ms, note"
    [STATEMENT_DELIVERY_NEXT] =
        DELIVERIES_SELECT ", body FROM deliveries WHERE state = 'waiting' AND tenant = ?1"
                          " AND url = ?2 AND next_ms <= ?3 ORDER BY number LIMIT 1",
    [STATEMENT_DELIVERY_READ] =
        DELIVERIES_SELECT ", body FROM deliveries WHERE tenant = ?1 AND id = ?2",
    [STATEMENT_DELIVERIES_OF_TENANT] =
        DELIVERIES_SELECT " FROM deliveries WHERE tenant = ?1 AND id < ?2"
                          " AND (?3 IS NULL OR endpoint = ?3) AND (?4 IS NULL OR state = ?4)"
                          " ORDER BY id DESC",
    [STATEMENT_DELIVERIES_OF_TASK] =
        DELIVERIES_SELECT " FROM deliveries WHERE tenant = ?1 AND id < ?2"
                          " AND (?3 IS NULL OR endpoint = ?3) AND (?4 IS NULL OR state = ?4)"
                          " AND task_id = ?5 ORDER BY id DESC",
#undef DELIVERIES_SELECT
    [STATEMENT_DELIVERY_TRIED] =
        "UPDATE deliveries SET tries = max(tries, ?2),"
        " body = CASE WHEN state = 'waiting' THEN ifnull(body, ?3) ELSE body END,"
        " next_ms = CASE WHEN state = 'waiting' THEN ?5 ELSE next_ms END,"
        " ended_ms = CASE WHEN state = 'waiting' THEN ?6 ELSE ended_ms END,"
        " note = CASE WHEN state = 'waiting' THEN ?7 ELSE note END,"
        " state = CASE WHEN state = 'waiting' THEN ?4 ELSE state END WHERE id = ?1",
    [STATEMENT_DELIVERIES_DISABLE_LANE] =
        "UPDATE deliveries SET state = 'disabled', ended_ms = ?3, note = ?4"
        " WHERE state = 'waiting' AND tenant = ?1 AND url = ?2",
    [STATEMENT_DELIVERIES_DISABLE_ENDPOINT] =
        "UPDATE deliveries SET state = 'disabled', ended_ms = ?3, note = ?4"
        " WHERE state = 'waiting' AND tenant = ?1 AND endpoint = ?2",
    [STATEMENT_TRIES_ERASE] =
        "UPDATE delivery_tries SET answer = NULL, error = NULL WHERE delivery IN"
        " (SELECT id FROM deliveries WHERE task_id = ?1)",
    [STATEMENT_DELIVERIES_ERASE] =
        "UPDATE deliveries SET body = NULL,"
        " url = CASE WHEN endpoint = '' THEN '' ELSE url END,"
        " base = CASE WHEN endpoint = '' THEN '' ELSE base END,"
        " ended_ms = CASE WHEN state = 'waiting' THEN ?2 ELSE ended_ms END,"
        " note = CASE WHEN state = 'waiting' THEN ?3 ELSE note END,"
        " state = CASE WHEN state = 'waiting' THEN 'given_up' ELSE state END WHERE task_id = ?1",
#define DELIVERIES_OLD                                                                             \
    " FROM deliveries WHERE ended_ms > 0 AND ended_ms < ?1 ORDER BY ended_ms LIMIT ?2)"
    [STATEMENT_TRIES_SWEEP] =
        "DELETE FROM delivery_tries WHERE delivery IN (SELECT id" DELIVERIES_OLD,
    [STATEMENT_DELIVERIES_SWEEP] =
        "DELETE FROM deliveries WHERE number IN (SELECT number" DELIVERIES_OLD,
#undef DELIVERIES_OLD
    [STATEMENT_LANES_ALL] = "SELECT tenant, url, min(next_ms) FROM deliveries"
                            " WHERE state = 'waiting' GROUP BY tenant, url",
    [STATEMENT_LANES_OF_TENANT] = "SELECT tenant, url, min(next_ms) FROM deliveries"
                                  " WHERE state = 'waiting' AND tenant = ?1 GROUP BY tenant, url",
    [STATEMENT_LANE] = "SELECT min(next_ms) FROM deliveries"
                       " WHERE state = 'waiting' AND tenant = ?1 AND url = ?2",
    [STATEMENT_TRY_INSERT] =
        /* Of a task that was erased meanwhile nothing that was said is kept. */
    "INSERT INTO delivery_tries(delivery, try, at_ms, took_ms, status, error, answer)"
    " SELECT ?1, ?2, ?3, ?4, ?5, iif(waits, ?6, NULL), iif(waits, ?7, NULL)"
    " FROM (SELECT exists(SELECT 1 FROM deliveries WHERE id = ?1 AND state = 'waiting') AS waits)",
    [STATEMENT_TRIES] = "SELECT try, at_ms, took_ms, status, error, answer FROM ("
                        "SELECT * FROM delivery_tries WHERE delivery = ?1 ORDER BY try DESC"
                        " LIMIT ?2) ORDER BY try",
};

/* ---- what codes mean ---- */

/* SQLite says "full" for ENOSPC alone. A quota or a limit on file sizes is the same to us, and the
 * errno of a failed commit is found only at the handle of the log that it was written to. */
static bool sqlite_is_out_of_room(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int last_errno = 0;

    if (db == NULL || sqlite3_extended_errcode(db) != SQLITE_IOERR_WRITE)
        return false;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK ||
        log == NULL || log->pMethods == NULL ||
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &last_errno) != SQLITE_OK)
        return false;
    return last_errno == EFBIG || last_errno == EDQUOT || last_errno == ENOSPC;
}

int sqlite_fault(sqlite3 *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_IOERR:
        return sqlite_is_out_of_room(db) ? -ENOSPC : -EIO;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return -EBUSY;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return -EBADMSG;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return -EACCES;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        return -EINVAL;
    default:
        return -EIO;
    }
}

static const char *sqlite_advice(int fault)
{
    switch (-fault) {
    case EBADMSG:
        return "is damaged: restore it from a backup, or move it away to begin with an empty one";
    case EBUSY:
        return "is locked by another process and stayed so: end that process, then start again";
    case EROFS:
    case EACCES:
        return "cannot be written: this user needs the right to write the file and its directory";
    case ENOSPC:
        return "cannot grow: free some space on its disk or raise the quota";
    default:
        return "cannot be used: see to the disk it lies on";
    }
}

void sqlite_explain(sqlite3 *db, int fault, const char *path, char ret_error[STORE_ERROR_SIZE])
{
    const char *reason = db != NULL ? sqlite3_errmsg(db) : "out of memory";

    (void)snprintf(ret_error, STORE_ERROR_SIZE, "\"%s\" %s (%s)", path, sqlite_advice(fault),
                   fault == -EBADMSG ? "file is not a sound database" : reason);
}

/* ---- opening ---- */

/* synchronous=FULL: a commit is on the disk when it returns. In WAL mode one fsync a commit. The
 * schema comes from a file that others may have had in hands, hence trusted_schema=OFF and
 * DEFENSIVE. */
static int sqlite_configure(sqlite3 *db, bool is_writer)
{
    static const char settings[] = "PRAGMA trusted_schema=OFF;"
                                   "PRAGMA foreign_keys=ON;"
                                   "PRAGMA cell_size_check=ON;"
                                   "PRAGMA temp_store=MEMORY;"
                                   "PRAGMA synchronous=FULL;";
    /* What is erased or replaced is overwritten, also on pages that are free afterwards. */
    static const char writing[] = "PRAGMA journal_mode=WAL;"
                                  "PRAGMA secure_delete=ON;"
                                  "PRAGMA journal_size_limit=67108864;";
    int code = sqlite3_busy_timeout(db, STORE_BUSY_TIMEOUT_MS);

    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, settings, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, is_writer ? writing : "PRAGMA query_only=ON", NULL, NULL, NULL);
    return sqlite_fault(db, code);
}

int sqlite_connect(const char *path, bool is_writer, struct sqlite_connection *ret, char *ret_error)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    int fault = db == NULL ? -ENOMEM : sqlite_fault(db, code);

    if (fault == 0 && sqlite3_db_readonly(db, "main") == 1)
        fault = -EROFS;
    if (fault == 0)
        fault = sqlite_configure(db, is_writer);
    if (fault < 0) {
        if (ret_error != NULL)
            sqlite_explain(db, fault, path, ret_error);
        (void)sqlite3_close(db);
        return fault;
    }
    memset(ret, 0, sizeof *ret);
    ret->db = db;
    return 0;
}

void sqlite_disconnect(struct sqlite_connection *connection)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(connection->statements[i]);
        connection->statements[i] = NULL;
    }
    /* Anything but OK: a statement was left behind, a bug. */
    must(sqlite3_close(connection->db) == SQLITE_OK);
    connection->db = NULL;
}

/* ---- statements ---- */

int sqlite_use(struct sqlite_connection *connection, enum sqlite_statement which,
               sqlite3_stmt **ret_statement)
{
    sqlite3_stmt **slot = &connection->statements[which];

    if (*slot == NULL) {
        int code = sqlite3_prepare_v3(connection->db, sqlite_sql[which], -1,
                                      SQLITE_PREPARE_PERSISTENT, slot, NULL);
        int fault = sqlite_fault(connection->db, code);
        if (fault < 0)
            return fault;
    }
    *ret_statement = *slot;
    return 0;
}

void sqlite_rest(sqlite3_stmt *statement)
{
    /* It repeats the code of the last step, which was looked at. */
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

int sqlite_step(struct sqlite_connection *connection, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW)
        return 1;
    int fault = sqlite_fault(connection->db, code);
    sqlite_rest(statement);
    return fault;
}

int sqlite_run(struct sqlite_connection *connection, sqlite3_stmt *statement)
{
    int result = sqlite_step(connection, statement);

    if (result > 0)
        sqlite_rest(statement);
    return result < 0 ? result : 0;
}

int sqlite_command(struct sqlite_connection *connection, enum sqlite_statement which)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(connection, which, &statement);

    return fault < 0 ? fault : sqlite_run(connection, statement);
}

/* Binding borrowed memory cannot fail but for a wrong index or a gigabyte of text: bugs. */
void sqlite_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    must(sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC) == SQLITE_OK);
}

void sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, size_t length)
{
    must(sqlite3_bind_blob64(statement, index, bytes, length, SQLITE_STATIC) == SQLITE_OK);
}

void sqlite_bind_int(sqlite3_stmt *statement, int index, int64_t value)
{
    must(sqlite3_bind_int64(statement, index, value) == SQLITE_OK);
}

const char *sqlite_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return text != NULL ? (const char *)text : "";
}
