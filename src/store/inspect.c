/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a store's file without leaving a trace. A file with a log beside it (a server runs, or was
 * killed) is opened for reading only, so that the log is not put into the file at the end, which the last
 * to close it would otherwise do. One without is opened as if nothing could change it, because
 * SQLite would make a log for it; a server that starts in that moment is noticed and the look
 * repeated. One thread. */
#include "store/inspect.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/migrate.h"
#include "store/sqlite.h"

enum { LOCK_PATIENCE_MS = 1000, STEPS_PER_LOOK = 2000, TRIES = 3 };

static int is_time_up(void *context)
{
    return clock_mono_ms() > *(const int64_t *)context;
}

/* The single value of a PRAGMA, as a number or a text (NULL: not wanted). A code of SQLite. */
static int read_value(sqlite3 *db, const char *sql, int64_t *ret_number, char ret_text[100])
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW && ret_number != NULL)
        *ret_number = sqlite3_column_int64(statement, 0);
    if (code == SQLITE_ROW && ret_text != NULL)
        (void)snprintf(ret_text, 100, "%s", sqlite_text(statement, 0));
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_ERROR : code;
}

static int check_schema(sqlite3 *db, const char *path, struct store_inspection *inspection,
                        char ret_error[STORE_ERROR_SIZE])
{
    int64_t owner = 0;
    int64_t tables = 0;
    inspection->latest = migrate_latest();
    int code = read_value(db, "SELECT count(*) FROM sqlite_schema", &tables, NULL);
    if (code == SQLITE_OK)
        code = read_value(db, "PRAGMA application_id", &owner, NULL);
    if (code == SQLITE_OK)
        code = read_value(db, "PRAGMA user_version", &inspection->schema, NULL);
    if (code != SQLITE_OK) {
        int fault = sqlite_fault(db, code);
        sqlite_explain(db, fault, path, ret_error);
        return fault;
    }
    if (tables > 0 && owner != MIGRATE_APPLICATION_ID) {
        (void)snprintf(ret_error, STORE_ERROR_SIZE, "\"%.180s\" is the database of another program",
                       path);
        return -EINVAL;
    }
    if (inspection->schema <= inspection->latest)
        return 0;
    (void)snprintf(
        ret_error, STORE_ERROR_SIZE,
        "\"%.150s\" was written by a newer filmgate (schema %lld, this one knows up to %lld)", path,
        (long long)inspection->schema, (long long)inspection->latest);
    return -ENOTSUP;
}

static int check_damage(sqlite3 *db, const char *path, int64_t until_ms,
                        struct store_inspection *inspection, char ret_error[STORE_ERROR_SIZE])
{
    char verdict[100] = "";
    sqlite3_progress_handler(db, STEPS_PER_LOOK, is_time_up, &until_ms);
    int code = read_value(db, "PRAGMA quick_check(1)", NULL, verdict);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    inspection->is_checked = code != SQLITE_INTERRUPT;
    if (code == SQLITE_INTERRUPT)
        return 0;
    int fault = sqlite_fault(db, code);
    if (fault == 0 && strcmp(verdict, "ok") != 0)
        fault = -EBADMSG;
    if (fault < 0)
        sqlite_explain(db, fault, path, ret_error);
    return fault;
}

static int open_quietly(const char *path, bool has_log, sqlite3 **ret_db,
                        char ret_error[STORE_ERROR_SIZE])
{
    sqlite3 *db = NULL;
    CLEANUP(buf_fini) struct buf name;
    buf_init(&name, (size_t)4 * PATH_MAX);
    buf_puts(&name, "file:");
    buf_percent_encode(&name, path, "/");
    buf_puts(&name, has_log ? "" : "?immutable=1");
    int code = sqlite3_open_v2(buf_text(&name), &db,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(db, LOCK_PATIENCE_MS);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", NULL, NULL,
                            NULL);
    *ret_db = db;
    if (code == SQLITE_OK)
        return 0;
    int fault = db == NULL ? -ENOMEM : sqlite_fault(db, code);
    sqlite_explain(db, fault, path, ret_error);
    return fault;
}

static int inspect(const char *path, bool has_log, int64_t until_ms,
                   struct store_inspection *inspection, char ret_error[STORE_ERROR_SIZE])
{
    sqlite3 *db = NULL;
    int fault = open_quietly(path, has_log, &db, ret_error);
    if (fault == 0)
        fault = check_schema(db, path, inspection, ret_error);
    if (fault == 0)
        fault = check_damage(db, path, until_ms, inspection, ret_error);
    (void)sqlite3_close(db);
    return fault;
}

int store_inspect(const char *directory, int64_t budget_ms, struct store_inspection *ret_inspection,
                  char ret_error[STORE_ERROR_SIZE])
{
    char path[PATH_MAX];
    char log[PATH_MAX];
    int64_t until_ms = clock_mono_ms() + budget_ms;
    struct store_inspection inspection = {0};
    int length = snprintf(path, sizeof path, "%s/filmgate.db", directory);
    int log_length = snprintf(log, sizeof log, "%s/filmgate.db-wal", directory);
    if (length < 0 || log_length < 0 || (size_t)log_length >= sizeof log) {
        (void)snprintf(ret_error, STORE_ERROR_SIZE, "the data directory's name is too long");
        return -ENAMETOOLONG;
    }
    struct stat status;
    if (stat(path, &status) != 0) {
        int fault = -errno;
        (void)snprintf(ret_error, STORE_ERROR_SIZE, "\"%.160s\" cannot be looked at: %s", path,
                       strerror(-fault));
        return fault;
    }
    if (!S_ISREG(status.st_mode)) { /* a pipe would keep SQLite waiting */
        (void)snprintf(ret_error, STORE_ERROR_SIZE, "\"%.160s\" is not a regular file", path);
        return -EINVAL;
    }
    int fault = 0;
    for (int tries = 0; tries < TRIES; tries++) {
        bool has_log = access(log, F_OK) == 0;
        fault = inspect(path, has_log, until_ms, &inspection, ret_error);
        if (has_log == (access(log, F_OK) == 0))
            break;
    }
    if (fault == 0)
        *ret_inspection = inspection;
    return fault;
}
