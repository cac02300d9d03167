/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of attempts at upstreams in the SQLite store. A row is put in the transaction that
 * writes its task, so the two never tell different stories; the one writer of its own is an operator's
 * word on an attempt that is unknown, after which the row stays as it is. Lists pass over damaged
 * rows. Any thread, but for the put, which is the writer's. */
#include "store/sqlite.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/must.h"

enum column {
    COLUMN_ID,
    COLUMN_TASK,
    COLUMN_TENANT,
    COLUMN_MODEL,
    COLUMN_NUMBER,
    COLUMN_CHANNEL,
    COLUMN_CREDENTIAL,
    COLUMN_STATE,
    COLUMN_BEGUN,
    COLUMN_ACCEPTED,
    COLUMN_CLOSED,
    COLUMN_RESOLVED,
    COLUMN_JOB,
    COLUMN_KEEP,
    COLUMN_OUTPUTS,
    COLUMN_ENHANCED_PROMPT,
    COLUMN_USAGE,
};

/* ---- writing ---- */

int sqlite_put_attempt(struct sqlite *sqlite, const struct task *task)
{
    static const struct attempt_job nothing = {0};
    const struct attempt_record *record = &task->attempt;
    const struct attempt_job *job = record->job != NULL ? record->job : &nothing;
    sqlite3_stmt *statement;

    if (record->id[0] == '\0') /* the built-in engine's tasks pay nothing for this table */
        return 0;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_ATTEMPT_PUT, &statement);
    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, record->id);
    sqlite_bind_text(statement, 2, task->request->id);
    sqlite_bind_text(statement, 3, task->request->tenant != NULL ? task->request->tenant : "");
    sqlite_bind_text(statement, 4, task->request->model != NULL ? task->request->model : "");
    sqlite_bind_int(statement, 5, record->number);
    sqlite_bind_text(statement, 6, shared_text_of(record->channel));
    sqlite_bind_text(statement, 7, shared_text_of(record->credential));
    sqlite_bind_text(statement, 8, attempt_state_name(record->state));
    sqlite_bind_int(statement, 9, attempt_is_open(record->state));
    sqlite_bind_int(statement, 10, record->begun_ms);
    sqlite_bind_int(statement, 11, record->accepted_ms);
    sqlite_bind_int(statement, 12, record->closed_ms);
    sqlite_bind_text(statement, 13, job->id); /* NULL stays NULL, here and below */
    sqlite_bind_text(statement, 14, job->keep);
    sqlite_bind_text(statement, 15, job->outputs);
    sqlite_bind_text(statement, 16, job->enhanced_prompt);
    sqlite_bind_text(statement, 17, job->usage);
    return sqlite_run(&sqlite->writer, statement);
}

int sqlite_attempt_resolve(void *self, const char *id, const char *job, int64_t now_ms)
{
    struct sqlite *sqlite = self;
    enum attempt_state state = job != NULL ? ATTEMPT_TAKEN : ATTEMPT_NOT_TAKEN;
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_use(&sqlite->writer, STATEMENT_ATTEMPT_RESOLVE, &statement);
    if (result == 0) {
        sqlite_bind_text(statement, 1, id);
        sqlite_bind_text(statement, 2, attempt_state_name(state));
        sqlite_bind_text(statement, 3, job);
        sqlite_bind_int(statement, 4, now_ms);
        result = sqlite_run(&sqlite->writer, statement);
    }
    if (result == 0 && sqlite3_changes(sqlite->writer.db) == 0)
        result = sqlite_why_unchanged(sqlite, STATEMENT_ATTEMPT_EXISTS, id);
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result;
}

/* ---- reading ---- */

/* Is it shorter than `size`? A name cut short would be another's. */
static bool sqlite_row_fits(sqlite3_stmt *statement, enum column column, size_t size)
{
    return strlen(sqlite_text(statement, (int)column)) < size;
}

static const char *sqlite_row_text(sqlite3_stmt *statement, enum column column)
{
    return (const char *)sqlite3_column_text(statement, (int)column);
}

static struct attempt_job *sqlite_row_job(sqlite3_stmt *statement)
{
    bool has_any = false;

    for (int column = COLUMN_JOB; column <= COLUMN_USAGE; column++)
        has_any = has_any || sqlite3_column_type(statement, column) != SQLITE_NULL;
    if (!has_any)
        return NULL;
    return attempt_job_new(sqlite_row_text(statement, COLUMN_JOB),
                           sqlite_row_text(statement, COLUMN_KEEP),
                           sqlite_row_text(statement, COLUMN_OUTPUTS),
                           sqlite_row_text(statement, COLUMN_ENHANCED_PROMPT),
                           sqlite_row_text(statement, COLUMN_USAGE));
}

/* False when the row is damaged; then nothing is kept. */
static bool sqlite_row_attempt(sqlite3_stmt *statement, struct store_attempt *ret_attempt)
{
    struct store_attempt attempt = {0};
    struct attempt_record *record = &attempt.record;
    int64_t number = sqlite3_column_int64(statement, COLUMN_NUMBER);

    if (!id_is_typeid(sqlite_text(statement, COLUMN_ID), "att") ||
        !id_is_typeid(sqlite_text(statement, COLUMN_TASK), "task") ||
        !attempt_state_parse(sqlite_text(statement, COLUMN_STATE), &record->state) || number < 1 ||
        number > INT_MAX || !sqlite_row_fits(statement, COLUMN_TENANT, sizeof attempt.tenant) ||
        !sqlite_row_fits(statement, COLUMN_CHANNEL, ATTEMPT_NAME_SIZE) ||
        !sqlite_row_fits(statement, COLUMN_CREDENTIAL, ATTEMPT_NAME_SIZE))
        return false;
    (void)snprintf(attempt.id, sizeof attempt.id, "%s", sqlite_text(statement, COLUMN_ID));
    (void)snprintf(record->id, sizeof record->id, "%s", attempt.id);
    (void)snprintf(attempt.task_id, sizeof attempt.task_id, "%s",
                   sqlite_text(statement, COLUMN_TASK));
    (void)snprintf(attempt.tenant, sizeof attempt.tenant, "%s",
                   sqlite_text(statement, COLUMN_TENANT));
    record->number = (int)number;
    record->begun_ms = sqlite3_column_int64(statement, COLUMN_BEGUN);
    record->accepted_ms = sqlite3_column_int64(statement, COLUMN_ACCEPTED);
    record->closed_ms = sqlite3_column_int64(statement, COLUMN_CLOSED);
    attempt.resolved_ms = sqlite3_column_int64(statement, COLUMN_RESOLVED);
    attempt.model = must_strdup(sqlite_text(statement, COLUMN_MODEL));
    record->channel = shared_text_new(sqlite_text(statement, COLUMN_CHANNEL));
    record->credential = shared_text_new(sqlite_text(statement, COLUMN_CREDENTIAL));
    record->job = sqlite_row_job(statement);
    *ret_attempt = attempt;
    return true;
}

/* Steps to the end or to `limit` sound rows; on a fault nothing is kept. */
static int sqlite_collect_attempts(struct sqlite_connection *connection, sqlite3_stmt *statement,
                                   size_t limit, struct store_attempt *ret_attempts,
                                   size_t *ret_count)
{
    size_t count = 0;
    int result = 1;

    while (count < limit) {
        result = sqlite_step(connection, statement);
        if (result <= 0)
            break;
        count += sqlite_row_attempt(statement, &ret_attempts[count]);
    }
    if (result > 0)
        sqlite_rest(statement);
    if (result < 0) {
        for (size_t i = 0; i < count; i++)
            store_attempt_fini(&ret_attempts[i]);
        return result;
    }
    *ret_count = count;
    return 0;
}

static enum sqlite_statement sqlite_choose(const struct store_attempts_query *query)
{
    if (query->task_id != NULL)
        return STATEMENT_ATTEMPTS_OF_TASK;
    if (query->only_unknown)
        return STATEMENT_ATTEMPTS_UNKNOWN;
    return query->only_open ? STATEMENT_ATTEMPTS_OPEN : STATEMENT_ATTEMPTS_ALL;
}

int sqlite_attempts(void *self, const struct store_attempts_query *query,
                    struct store_attempt *ret_attempts, size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int fault = sqlite_begin_read(sqlite, sqlite_choose(query), &reader, &statement);

    if (fault < 0)
        return fault;
    /* no id is as large as the text "~" */
    sqlite_bind_text(statement, 1, query->before_id != NULL ? query->before_id : "~");
    if (query->task_id != NULL) {
        sqlite_bind_text(statement, 2, query->task_id);
        sqlite_bind_int(statement, 3, query->only_unknown);
        sqlite_bind_int(statement, 4, query->only_open);
    }
    fault = sqlite_collect_attempts(&reader->connection, statement, query->limit, ret_attempts,
                                    ret_count);
    sqlite_give_back(sqlite, reader);
    return fault;
}
