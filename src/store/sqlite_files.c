/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of uploaded files in the SQLite store. Each change is a transaction of its own. Nobody sees a row that is
 * hidden: its bytes are on their way, in or out. Lists pass over damaged rows. Any thread. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>

#include "base/id.h"

enum column {
    COLUMN_ID,
    COLUMN_TENANT,
    COLUMN_NAME,
    COLUMN_PURPOSE,
    COLUMN_TYPE,
    COLUMN_SHA256,
    COLUMN_BYTES,
    COLUMN_WIDTH,
    COLUMN_HEIGHT,
    COLUMN_CREATED,
    COLUMN_EXPIRES,
};

/* ---- writing ---- */

/* Runs a bound statement that changes one row, or none: then `otherwise`. Under write_lock. */
static int sqlite_change_one(struct sqlite *sqlite, sqlite3_stmt *statement, int otherwise)
{
    int result = sqlite_run(&sqlite->writer, statement);

    if (result == 0 && sqlite3_changes(sqlite->writer.db) == 0)
        result = otherwise;
    return result;
}

int sqlite_file_add(void *self, const struct store_file *file,
                    const struct store_file_limits *limits)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_use(&sqlite->writer, STATEMENT_FILE_ADD, &statement);
    if (result == 0) {
        sqlite_bind_text(statement, 1, file->id);
        sqlite_bind_text(statement, 2, file->tenant);
        sqlite_bind_text(statement, 3, file->name);
        sqlite_bind_text(statement, 4, file->purpose);
        sqlite_bind_text(statement, 5, file->type);
        sqlite_bind_text(statement, 6, file->sha256);
        sqlite_bind_int(statement, 7, file->bytes);
        sqlite_bind_int(statement, 8, file->width);
        sqlite_bind_int(statement, 9, file->height);
        sqlite_bind_int(statement, 10, file->created_ms);
        sqlite_bind_int(statement, 11, file->expires_ms);
        sqlite_bind_int(statement, 12, limits->count);
        sqlite_bind_int(statement, 13, limits->bytes);
        result = sqlite_change_one(sqlite, statement, STORE_NOT_ADMITTED);
    }
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result;
}

/* A change of the row of that id. */
static int sqlite_change_file(struct sqlite *sqlite, enum sqlite_statement which, const char *id)
{
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_use(&sqlite->writer, which, &statement);
    if (result == 0) {
        sqlite_bind_text(statement, 1, id);
        result = sqlite_change_one(sqlite, statement, STORE_NOT_FOUND);
    }
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result;
}

int sqlite_file_show(void *self, const char *id)
{
    return sqlite_change_file(self, STATEMENT_FILE_SHOW, id);
}

int sqlite_file_forget(void *self, const char *id)
{
    return sqlite_change_file(self, STATEMENT_FILE_FORGET, id);
}

/* Which shown, unexpired file, as the statements have it. */
static void sqlite_bind_file(sqlite3_stmt *statement, const char *tenant, const char *id,
                             int64_t now_ms)
{
    sqlite_bind_int(statement, 1, now_ms);
    sqlite_bind_text(statement, 2, id);
    if (tenant != NULL) /* else NULL */
        sqlite_bind_text(statement, 3, tenant);
}

int sqlite_file_hide(void *self, const char *tenant, const char *id, int64_t now_ms)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_use(&sqlite->writer, STATEMENT_FILE_HIDE, &statement);
    if (result == 0) {
        sqlite_bind_file(statement, tenant, id, now_ms);
        result = sqlite_change_one(sqlite, statement, STORE_NOT_FOUND);
    }
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result;
}

/* ---- reading ---- */

/* False when it would be cut short, and so become another's. */
static bool sqlite_row_copy(sqlite3_stmt *statement, enum column column, char *ret_text,
                            size_t size)
{
    int length = snprintf(ret_text, size, "%s", sqlite_text(statement, (int)column));

    return length >= 0 && (size_t)length < size;
}

/* False when the row is damaged. */
static bool sqlite_row_file(sqlite3_stmt *statement, struct store_file *ret_file)
{
    struct store_file file = {
        .bytes = sqlite3_column_int64(statement, COLUMN_BYTES),
        .width = sqlite3_column_int64(statement, COLUMN_WIDTH),
        .height = sqlite3_column_int64(statement, COLUMN_HEIGHT),
        .created_ms = sqlite3_column_int64(statement, COLUMN_CREATED),
        .expires_ms = sqlite3_column_int64(statement, COLUMN_EXPIRES),
    };

    if (!sqlite_row_copy(statement, COLUMN_ID, file.id, sizeof file.id) ||
        !sqlite_row_copy(statement, COLUMN_TENANT, file.tenant, sizeof file.tenant) ||
        !sqlite_row_copy(statement, COLUMN_NAME, file.name, sizeof file.name) ||
        !sqlite_row_copy(statement, COLUMN_PURPOSE, file.purpose, sizeof file.purpose) ||
        !sqlite_row_copy(statement, COLUMN_TYPE, file.type, sizeof file.type) ||
        !sqlite_row_copy(statement, COLUMN_SHA256, file.sha256, sizeof file.sha256) ||
        !id_is_typeid(file.id, "file") || file.bytes < 1)
        return false;
    *ret_file = file;
    return true;
}

int sqlite_file(void *self, const char *tenant, const char *id, int64_t now_ms,
                struct store_file *ret_file)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    bool is_sound = false;
    int result = sqlite_begin_read(sqlite, STATEMENT_FILE_READ, &reader, &statement);

    if (result < 0)
        return result;
    sqlite_bind_file(statement, tenant, id, now_ms);
    result = sqlite_step(&reader->connection, statement);
    if (result > 0) {
        is_sound = sqlite_row_file(statement, ret_file);
        sqlite_rest(statement);
    }
    sqlite_give_back(sqlite, reader);
    if (result <= 0)
        return result < 0 ? result : (int)STORE_NOT_FOUND;
    return is_sound ? 0 : -EIO;
}

/* Takes one row that stands ready; false: it is damaged, and does not count. */
typedef bool sqlite_take_fn(sqlite3_stmt *statement, void *rows, size_t at);

/* Steps to the end or to `limit` sound rows. */
static int sqlite_collect_rows(struct sqlite_connection *connection, sqlite3_stmt *statement,
                               size_t limit, sqlite_take_fn *take, void *rows, size_t *ret_count)
{
    size_t count = 0;
    int result = 1;

    while (count < limit && (result = sqlite_step(connection, statement)) > 0)
        count += take(statement, rows, count);
    if (result > 0)
        sqlite_rest(statement);
    if (result >= 0)
        *ret_count = count;
    return result < 0 ? result : 0;
}

static bool sqlite_take_file(sqlite3_stmt *statement, void *rows, size_t at)
{
    return sqlite_row_file(statement, (struct store_file *)rows + at);
}

static bool sqlite_take_id(sqlite3_stmt *statement, void *rows, size_t at)
{
    char(*ids)[ID_SHORT_SIZE] = rows;

    return sqlite_row_copy(statement, COLUMN_ID, ids[at], ID_SHORT_SIZE);
}

static enum sqlite_statement sqlite_files_statement(const struct store_files_query *query)
{
    if (query->tenant != NULL)
        return query->oldest_first ? STATEMENT_FILES_OLDEST_OF_TENANT
                                   : STATEMENT_FILES_NEWEST_OF_TENANT;
    return query->oldest_first ? STATEMENT_FILES_OLDEST : STATEMENT_FILES_NEWEST;
}

int sqlite_files(void *self, const struct store_files_query *query, struct store_file *ret_files,
                 size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    const char *from = query->oldest_first ? "" : "~"; /* no id is as large */
    int fault = sqlite_begin_read(sqlite, sqlite_files_statement(query), &reader, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_file(statement, query->tenant, query->after_id != NULL ? query->after_id : from,
                     query->now_ms);
    if (query->purpose != NULL)
        sqlite_bind_text(statement, 4, query->purpose);
    fault = sqlite_collect_rows(&reader->connection, statement, query->limit, sqlite_take_file,
                                ret_files, ret_count);
    sqlite_give_back(sqlite, reader);
    return fault;
}

int sqlite_files_due(void *self, int64_t now_ms, int64_t hidden_before_ms, size_t limit,
                     char (*ret_ids)[ID_SHORT_SIZE], size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int fault = sqlite_begin_read(sqlite, STATEMENT_FILES_DUE, &reader, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_int(statement, 1, now_ms);
    sqlite_bind_int(statement, 2, hidden_before_ms);
    sqlite_bind_int(statement, 3, (int64_t)limit);
    fault = sqlite_collect_rows(&reader->connection, statement, limit, sqlite_take_id, ret_ids,
                                ret_count);
    sqlite_give_back(sqlite, reader);
    return fault;
}
