/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading from the SQLite store. Up to STORE_READERS_MAX connections are opened as they are needed
 * and lent to one thread at a time; in WAL mode they neither wait for the writer nor hold it up. A
 * row whose documents are damaged is passed over in lists and walks, so that it cannot hide its
 * neighbours; asked for by name it is -EBADMSG. Any thread. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/must.h"

/* ---- the pool ---- */

static struct sqlite_reader *sqlite_idle_reader(struct sqlite *sqlite)
{
    struct sqlite_reader *found = NULL;

    for (size_t i = 0; i < STORE_READERS_MAX; i++) {
        struct sqlite_reader *reader = &sqlite->readers[i];
        if (reader->is_lent)
            continue;
        if (reader->connection.db != NULL) /* open and with its statements ready: the best choice */
            return reader;
        if (found == NULL)
            found = reader;
    }
    return found;
}

static int sqlite_take_reader(struct sqlite *sqlite, struct sqlite_reader **ret_reader)
{
    struct timespec until;
    int waited = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STORE_BUSY_TIMEOUT_MS / 1000;
    (void)pthread_mutex_lock(&sqlite->readers_lock);
    struct sqlite_reader *reader = sqlite_idle_reader(sqlite);
    while (reader == NULL && waited == 0) {
        waited = pthread_cond_timedwait(&sqlite->readers_freed, &sqlite->readers_lock, &until);
        reader = sqlite_idle_reader(sqlite);
    }
    if (reader != NULL)
        reader->is_lent = true;
    (void)pthread_mutex_unlock(&sqlite->readers_lock);
    if (reader == NULL)
        return -EBUSY;
    *ret_reader = reader;
    return 0;
}

void sqlite_give_back(struct sqlite *sqlite, struct sqlite_reader *reader)
{
    (void)pthread_mutex_lock(&sqlite->readers_lock);
    reader->is_lent = false;
    (void)pthread_cond_signal(&sqlite->readers_freed);
    (void)pthread_mutex_unlock(&sqlite->readers_lock);
}

int sqlite_borrow(struct sqlite *sqlite, struct sqlite_reader **ret_reader)
{
    struct sqlite_reader *reader;
    int fault = sqlite_take_reader(sqlite, &reader);

    if (fault < 0)
        return fault;
    if (reader->connection.db == NULL)
        fault = sqlite_connect(sqlite->path, false, &reader->connection, NULL);
    if (fault < 0) {
        sqlite_give_back(sqlite, reader);
        return fault;
    }
    *ret_reader = reader;
    return 0;
}

int sqlite_begin_read(struct sqlite *sqlite, enum sqlite_statement which,
                      struct sqlite_reader **ret_reader, sqlite3_stmt **ret_statement)
{
    struct sqlite_reader *reader;
    int fault = sqlite_borrow(sqlite, &reader);

    if (fault < 0)
        return fault;
    fault = sqlite_use(&reader->connection, which, ret_statement);
    if (fault < 0) {
        sqlite_give_back(sqlite, reader);
        return fault;
    }
    *ret_reader = reader;
    return 0;
}

/* ---- rows ---- */

const struct task *sqlite_row_task(sqlite3_stmt *statement)
{
    struct task *task = task_decode(sqlite_text(statement, 1), sqlite_text(statement, 2));

    if (task == NULL)
        return NULL;
    if (strcmp(task->request->id, sqlite_text(statement, 0)) != 0)
        return task_unref(task);
    task->change = sqlite3_column_int64(statement, 3);
    return task;
}

/* Steps to the end or to `limit` sound rows; on a fault nothing is kept. */
static int sqlite_collect(struct sqlite_connection *connection, sqlite3_stmt *statement,
                          size_t limit, const struct task **ret_tasks, size_t *ret_count)
{
    size_t count = 0;
    int result = 1;

    while (count < limit) {
        result = sqlite_step(connection, statement);
        if (result <= 0)
            break;
        const struct task *task = sqlite_row_task(statement);
        if (task != NULL)
            ret_tasks[count++] = task;
    }
    if (result > 0)
        sqlite_rest(statement);
    if (result < 0) {
        for (size_t i = 0; i < count; i++)
            ret_tasks[i] = task_unref(ret_tasks[i]);
        return result;
    }
    *ret_count = count;
    return 0;
}

int sqlite_read_task(void *self, const char *id, const struct task **ret_task)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    const struct task *task = NULL;
    int fault = sqlite_begin_read(sqlite, STATEMENT_TASK_READ, &reader, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, id);
    int result = sqlite_step(&reader->connection, statement);
    if (result > 0) {
        task = sqlite_row_task(statement);
        sqlite_rest(statement);
    }
    sqlite_give_back(sqlite, reader);
    if (result < 0)
        return result;
    if (result == 0)
        return STORE_NOT_FOUND;
    if (task == NULL)
        return -EBADMSG;
    *ret_task = task;
    return 0;
}

int sqlite_read_old(void *self, bool expired, int64_t before_ms, size_t limit,
                    const struct task **ret_tasks, size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int fault =
        sqlite_begin_read(sqlite, expired ? STATEMENT_TASKS_TO_ERASE : STATEMENT_TASKS_TO_EXPIRE,
                          &reader, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_int(statement, 1, before_ms);
    fault = sqlite_collect(&reader->connection, statement, limit, ret_tasks, ret_count);
    sqlite_give_back(sqlite, reader);
    return fault;
}

int sqlite_read_deleted(void *self, size_t limit, const struct task **ret_tasks, size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int fault = sqlite_begin_read(sqlite, STATEMENT_TASKS_DELETED, &reader, &statement);

    if (fault < 0)
        return fault;
    fault = sqlite_collect(&reader->connection, statement, limit, ret_tasks, ret_count);
    sqlite_give_back(sqlite, reader);
    return fault;
}

int sqlite_read_unfinished(void *self, void (*each)(void *, const struct task *), void *context,
                           size_t *ret_damaged)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    size_t damaged = 0;
    int result = sqlite_begin_read(sqlite, STATEMENT_TASKS_UNFINISHED, &reader, &statement);

    if (result < 0)
        return result;
    while ((result = sqlite_step(&reader->connection, statement)) > 0) {
        const struct task *task = sqlite_row_task(statement);
        if (task != NULL)
            each(context, task);
        else
            damaged++;
        task_unref(task);
    }
    sqlite_give_back(sqlite, reader);
    if (result == 0)
        *ret_damaged = damaged;
    return result;
}

int sqlite_read_created(void *self, int64_t from_micros, int64_t before_micros,
                        void (*each)(void *, const char *tenant, int64_t count), void *context)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int result = sqlite_begin_read(sqlite, STATEMENT_TASKS_CREATED, &reader, &statement);

    if (result < 0)
        return result;
    sqlite_bind_int(statement, 1, from_micros);
    sqlite_bind_int(statement, 2, before_micros);
    while ((result = sqlite_step(&reader->connection, statement)) > 0) {
        int64_t count = sqlite3_column_int64(statement, 1);
        if (count > 0)
            each(context, sqlite_text(statement, 0), count);
    }
    sqlite_give_back(sqlite, reader);
    return result;
}

int sqlite_read_states(void *self, int64_t ret_counts[TASK_STATE_COUNT])
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int64_t counts[TASK_STATE_COUNT] = {0};
    int result = sqlite_begin_read(sqlite, STATEMENT_STATES, &reader, &statement);

    if (result < 0)
        return result;
    while ((result = sqlite_step(&reader->connection, statement)) > 0) {
        enum task_state state;
        if (task_state_parse(sqlite_text(statement, 0), &state))
            counts[state] = sqlite3_column_int64(statement, 1);
    }
    sqlite_give_back(sqlite, reader);
    if (result == 0)
        memcpy(ret_counts, counts, sizeof counts);
    return result;
}

int sqlite_read_number(void *self, const char *name, int64_t *ret_value)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    char key[META_NAME_SIZE];
    int64_t value = 0;
    int fault = sqlite_begin_read(sqlite, STATEMENT_META_READ, &reader, &statement);

    if (fault < 0)
        return fault;
    (void)snprintf(key, sizeof key, "number.%s", name);
    sqlite_bind_text(statement, 1, key);
    int result = sqlite_step(&reader->connection, statement);
    if (result > 0) {
        value = sqlite3_column_int64(statement, 0);
        sqlite_rest(statement);
    }
    sqlite_give_back(sqlite, reader);
    if (result < 0)
        return result;
    *ret_value = value;
    return 0;
}
