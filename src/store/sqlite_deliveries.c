/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox of webhooks in the SQLite store, the reading half: what is to be sent next, and the log of
 * what was. A damaged row is passed over in lists. Any thread. */
#include "store/sqlite.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"

enum column {
    COLUMN_ID,
    COLUMN_EVENT,
    COLUMN_TENANT,
    COLUMN_ENDPOINT,
    COLUMN_TASK,
    COLUMN_TYPE,
    COLUMN_URL,
    COLUMN_BASE,
    COLUMN_STATE,
    COLUMN_TRIES,
    COLUMN_NEXT,
    COLUMN_CREATED,
    COLUMN_ENDED,
    COLUMN_NOTE,
    COLUMN_BODY, /* not in lists */
};

/* ---- rows ---- */

/* Copies a text of the row; false when it does not fit, for what is cut is another's. */
static bool sqlite_copy(sqlite3_stmt *statement, enum column column, char *ret_text, size_t size)
{
    int length = snprintf(ret_text, size, "%s", sqlite_text(statement, (int)column));

    return length >= 0 && (size_t)length < size;
}

static char *sqlite_dup(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    return text != NULL ? must_strdup(text) : NULL;
}

/* False when the row is damaged; then nothing is kept. */
static bool sqlite_row_delivery(sqlite3_stmt *statement, struct store_delivery *ret_delivery)
{
    struct store_delivery delivery = {0};
    int64_t tries = sqlite3_column_int64(statement, COLUMN_TRIES);

    if (!sqlite_copy(statement, COLUMN_ID, delivery.id, sizeof delivery.id) ||
        !sqlite_copy(statement, COLUMN_EVENT, delivery.event_id, sizeof delivery.event_id) ||
        !sqlite_copy(statement, COLUMN_TENANT, delivery.tenant, sizeof delivery.tenant) ||
        !sqlite_copy(statement, COLUMN_ENDPOINT, delivery.endpoint, sizeof delivery.endpoint) ||
        !sqlite_copy(statement, COLUMN_TASK, delivery.task_id, sizeof delivery.task_id) ||
        !sqlite_copy(statement, COLUMN_TYPE, delivery.type, sizeof delivery.type) ||
        !store_delivery_state_parse(sqlite_text(statement, COLUMN_STATE), &delivery.state) ||
        !id_is_typeid(delivery.id, "dlv") || tries < 0 || tries > INT_MAX)
        return false;
    delivery.tries = (int)tries;
    delivery.next_ms = sqlite3_column_int64(statement, COLUMN_NEXT);
    delivery.created_ms = sqlite3_column_int64(statement, COLUMN_CREATED);
    delivery.ended_ms = sqlite3_column_int64(statement, COLUMN_ENDED);
    delivery.url = must_strdup(sqlite_text(statement, COLUMN_URL));
    delivery.base = must_strdup(sqlite_text(statement, COLUMN_BASE));
    delivery.note = sqlite_dup(statement, COLUMN_NOTE);
    if (sqlite3_column_count(statement) > COLUMN_BODY)
        delivery.body = sqlite_dup(statement, COLUMN_BODY);
    *ret_delivery = delivery;
    return true;
}

/* The one row of a statement that is bound; ends the reading. */
static int sqlite_one_delivery(struct sqlite *sqlite, struct sqlite_reader *reader,
                               sqlite3_stmt *statement, struct store_delivery *ret_delivery)
{
    int result = sqlite_step(&reader->connection, statement);
    bool is_sound = result > 0 && sqlite_row_delivery(statement, ret_delivery);

    if (result > 0)
        sqlite_rest(statement);
    sqlite_give_back(sqlite, reader);
    if (result < 0)
        return result;
    return is_sound ? 0 : (int)STORE_NOT_FOUND;
}

/* ---- what is to be sent ---- */

int sqlite_lanes(void *self, const char *tenant,
                 void (*each)(void *, const char *tenant, const char *url, int64_t next_ms),
                 void *context)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int result =
        sqlite_begin_read(sqlite, tenant != NULL ? STATEMENT_LANES_OF_TENANT : STATEMENT_LANES_ALL,
                          &reader, &statement);

    if (result < 0)
        return result;
    if (tenant != NULL)
        sqlite_bind_text(statement, 1, tenant);
    while ((result = sqlite_step(&reader->connection, statement)) > 0)
        each(context, sqlite_text(statement, 0), sqlite_text(statement, 1),
             sqlite3_column_int64(statement, 2));
    sqlite_give_back(sqlite, reader);
    return result;
}

int sqlite_delivery_next(void *self, const char *tenant, const char *url, int64_t now_ms,
                         struct store_delivery *ret_delivery)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int fault = sqlite_begin_read(sqlite, STATEMENT_DELIVERY_NEXT, &reader, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_text(statement, 2, url);
    sqlite_bind_int(statement, 3, now_ms);
    return sqlite_one_delivery(sqlite, reader, statement, ret_delivery);
}

/* ---- the log ---- */

int sqlite_delivery(void *self, const char *tenant, const char *id,
                    struct store_delivery *ret_delivery)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int fault = sqlite_begin_read(sqlite, STATEMENT_DELIVERY_READ, &reader, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_text(statement, 2, id);
    return sqlite_one_delivery(sqlite, reader, statement, ret_delivery);
}

int sqlite_deliveries(void *self, const struct store_deliveries_query *query,
                      struct store_delivery *ret_deliveries, size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    size_t count = 0;
    enum sqlite_statement which =
        query->task_id != NULL ? STATEMENT_DELIVERIES_OF_TASK : STATEMENT_DELIVERIES_OF_TENANT;
    int result = sqlite_begin_read(sqlite, which, &reader, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, query->tenant);
    /* no id is as large as the text "~" */
    sqlite_bind_text(statement, 2, query->before_id != NULL ? query->before_id : "~");
    sqlite_bind_text(statement, 3, query->endpoint); /* NULL stays NULL, here and below */
    sqlite_bind_text(statement, 4, query->state);
    if (query->task_id != NULL)
        sqlite_bind_text(statement, 5, query->task_id);
    while (count < query->limit && (result = sqlite_step(&reader->connection, statement)) > 0)
        count += sqlite_row_delivery(statement, &ret_deliveries[count]);
    if (result > 0)
        sqlite_rest(statement);
    sqlite_give_back(sqlite, reader);
    if (result < 0) {
        for (size_t i = 0; i < count; i++)
            store_delivery_fini(&ret_deliveries[i]);
        return result;
    }
    *ret_count = count;
    return 0;
}

static struct store_try sqlite_row_try(sqlite3_stmt *statement)
{
    return (struct store_try){
        .number = sqlite3_column_int(statement, 0),
        .at_ms = sqlite3_column_int64(statement, 1),
        .took_ms = sqlite3_column_int64(statement, 2),
        .status = sqlite3_column_int(statement, 3),
        .error = sqlite_dup(statement, 4),
        .answer = sqlite_dup(statement, 5),
    };
}

int sqlite_tries(void *self, const char *delivery_id, struct store_try *ret_tries,
                 size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    size_t count = 0;
    int result = sqlite_begin_read(sqlite, STATEMENT_TRIES, &reader, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, delivery_id);
    sqlite_bind_int(statement, 2, STORE_TRIES_MAX);
    while ((result = sqlite_step(&reader->connection, statement)) > 0)
        ret_tries[count++] = sqlite_row_try(statement);
    sqlite_give_back(sqlite, reader);
    if (result < 0) {
        for (size_t i = 0; i < count; i++)
            store_try_fini(&ret_tries[i]);
        return result;
    }
    *ret_count = count;
    return 0;
}
