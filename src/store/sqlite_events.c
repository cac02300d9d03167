/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes and events in the SQLite store. Each create and each update that is written gets the next
 * number of one counter. The counter is read within the transaction and goes back to the file with
 * it: what is rolled back takes its numbers along, and nobody heard of them. A transition leaves a
 * row of its own, in the same transaction. Writing is the writer's, reading any thread's. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/id.h"
#include "base/json.h"
#include "base/must.h"

static const char change_name[] = "change"; /* in meta */

/* ---- the counter ---- */

void sqlite_forget_change(struct sqlite *sqlite)
{
    sqlite->change_is_known = sqlite->change_has_moved = false;
}

static int sqlite_find_change(struct sqlite_connection *connection, sqlite3_stmt *statement,
                              int64_t *ret_change)
{
    sqlite_bind_text(statement, 1, change_name);
    int result = sqlite_step(connection, statement);
    if (result < 0)
        return result;
    *ret_change = 0;
    if (result > 0) {
        *ret_change = sqlite3_column_int64(statement, 0);
        sqlite_rest(statement);
    }
    return 0;
}

int sqlite_next_change(struct sqlite *sqlite, int64_t *ret_change)
{
    if (!sqlite->change_is_known) {
        sqlite3_stmt *statement;
        int fault = sqlite_use(&sqlite->writer, STATEMENT_META_READ, &statement);
        if (fault == 0)
            fault = sqlite_find_change(&sqlite->writer, statement, &sqlite->change);
        if (fault < 0)
            return fault;
        sqlite->change_is_known = true;
    }
    *ret_change = sqlite->change + 1;
    return 0;
}

int sqlite_keep_change(struct sqlite *sqlite)
{
    sqlite3_stmt *statement;

    if (!sqlite->change_has_moved)
        return 0;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_META_PUT, &statement);
    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, change_name);
    sqlite_bind_int(statement, 2, sqlite->change);
    return sqlite_run(&sqlite->writer, statement);
}

int sqlite_read_change(void *self, int64_t *ret_change)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int fault = sqlite_begin_read(sqlite, STATEMENT_META_READ, &reader, &statement);

    if (fault < 0)
        return fault;
    fault = sqlite_find_change(&reader->connection, statement, ret_change);
    sqlite_give_back(sqlite, reader);
    return fault;
}

/* ---- events, written ---- */

/* malloc'ed; NULL when the record holds what JSON cannot say. */
static char *sqlite_event_body(const struct task *task)
{
    CLEANUP(json_unref_pointer) json_t *body = json_object();

    must(body != NULL);
    json_set_text(body, "state", task_state_name(task->state));
    json_set(body, "progress", json_real(task->progress));
    json_set(body, "attempt", json_integer(task->attempts));
    json_set_text(body, "channel", task->channel != NULL ? shared_text_of(task->channel) : NULL);
    json_set_text(body, "failure",
                  task->failure != TASK_FAILURE_NONE ? task_failure_code(task->failure) : NULL);
    json_set_text(body, "note",
                  task->failure_note != NULL ? shared_text_of(task->failure_note) : NULL);
    return json_dumps(body, JSON_WRITE_FLAGS);
}

static int sqlite_forget_event(struct sqlite *sqlite, const struct task *task)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_EVENT_FORGET, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, task->request->id);
    sqlite_bind_int(statement, 2, task->revision);
    sqlite_bind_text(statement, 3, STORE_EVENT_STATE);
    return sqlite_run(&sqlite->writer, statement);
}

static int sqlite_put_event(struct sqlite *sqlite, const struct task *task, int64_t number)
{
    const struct task_request *request = task->request;
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_EVENT_PUT, &statement);

    if (fault < 0)
        return fault;
    char *body = sqlite_event_body(task);
    if (body == NULL)
        return -EINVAL;
    sqlite_bind_int(statement, 1, number);
    sqlite_bind_text(statement, 2, request->id);
    sqlite_bind_text(statement, 3, request->tenant != NULL ? request->tenant : "");
    sqlite_bind_text(statement, 4, STORE_EVENT_STATE);
    sqlite_bind_int(statement, 5, task->status_update_ms);
    sqlite_bind_int(statement, 6, task->revision);
    sqlite_bind_text(statement, 7, body);
    fault = sqlite_run(&sqlite->writer, statement);
    free(body);
    return fault;
}

int sqlite_put_change(struct sqlite *sqlite, struct store_write *write)
{
    bool is_create = write->kind == STORE_CREATE;
    int fault = 0;

    must(sqlite->change_is_known);
    write->change = ++sqlite->change;
    sqlite->change_has_moved = true;
    if (!is_create && !write->is_transition)
        return 0;
    if (!is_create)
        fault = sqlite_forget_event(sqlite, write->task);
    return fault < 0 ? fault : sqlite_put_event(sqlite, write->task, write->change);
}

/* A note has a number of its own, as a change has. */
int sqlite_note(struct sqlite *sqlite, struct store_write *write)
{
    const struct store_event *note = write->note;
    sqlite3_stmt *statement;
    int64_t number;
    int fault = sqlite_next_change(sqlite, &number);

    if (fault == 0)
        fault = sqlite_use(&sqlite->writer, STATEMENT_EVENT_NOTE, &statement);
    if (fault < 0)
        return fault;
    sqlite_bind_int(statement, 1, number);
    sqlite_bind_text(statement, 2, write->task->request->id);
    sqlite_bind_text(statement, 3, note->kind);
    sqlite_bind_int(statement, 4, note->at_ms);
    sqlite_bind_int(statement, 5, write->task->revision);
    sqlite_bind_text(statement, 6, note->body);
    fault = sqlite_run(&sqlite->writer, statement);
    if (fault < 0)
        return fault;
    if (sqlite3_changes(sqlite->writer.db) == 0)
        return STORE_NOT_FOUND;
    write->change = ++sqlite->change;
    sqlite->change_has_moved = true;
    return STORE_WRITTEN;
}

/* ---- events, read ---- */

/* The ids as a JSON array, malloc'ed; they are ours, and hold nothing that needs an escape. */
static char *sqlite_ids_json(const char *const *ids, size_t count)
{
    json_t *array = json_array();
    must(array != NULL);
    for (size_t i = 0; i < count; i++)
        json_add(array, json_string(ids[i]));
    char *text = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    must(text != NULL);
    return text;
}

static void sqlite_row_event(sqlite3_stmt *statement, struct store_event *ret_event)
{
    ret_event->number = sqlite3_column_int64(statement, 0);
    (void)snprintf(ret_event->task_id, sizeof ret_event->task_id, "%s", sqlite_text(statement, 1));
    (void)snprintf(ret_event->tenant, sizeof ret_event->tenant, "%s", sqlite_text(statement, 2));
    (void)snprintf(ret_event->kind, sizeof ret_event->kind, "%s", sqlite_text(statement, 3));
    ret_event->at_ms = sqlite3_column_int64(statement, 4);
    ret_event->revision = sqlite3_column_int64(statement, 5);
    ret_event->body = must_strdup(sqlite_text(statement, 6));
}

static int sqlite_collect_events(struct sqlite_connection *connection, sqlite3_stmt *statement,
                                 struct store_event *ret_events, size_t *ret_count)
{
    size_t count = 0;
    int result;

    while ((result = sqlite_step(connection, statement)) > 0)
        sqlite_row_event(statement, &ret_events[count++]);
    if (result < 0) {
        while (count > 0)
            store_event_fini(&ret_events[--count]);
        return result;
    }
    *ret_count = count;
    return 0;
}

int sqlite_read_events(void *self, const struct store_events_query *query,
                       struct store_event *ret_events, size_t *ret_count)
{
    struct sqlite *sqlite = self;
    bool has_tasks = query->task_id != NULL || query->task_ids != NULL;
    char *ids = query->task_ids != NULL ? sqlite_ids_json(query->task_ids, query->n_task_ids)
                : has_tasks             ? sqlite_ids_json(&query->task_id, 1)
                                        : NULL;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    int fault = sqlite_begin_read(sqlite,
                                  has_tasks               ? STATEMENT_EVENTS_OF_TASKS
                                  : query->tenant != NULL ? STATEMENT_EVENTS_OF_TENANT
                                                          : STATEMENT_EVENTS_ALL,
                                  &reader, &statement);
    if (fault < 0) {
        free(ids);
        return fault;
    }
    sqlite_bind_int(statement, 1, query->after);
    sqlite_bind_text(statement, 2, query->kind);
    sqlite_bind_int(statement, 3, (int64_t)query->limit);
    if (has_tasks || query->tenant != NULL)
        sqlite_bind_text(statement, 4, query->tenant);
    if (has_tasks)
        sqlite_bind_text(statement, 5, ids);
    fault = sqlite_collect_events(&reader->connection, statement, ret_events, ret_count);
    sqlite_give_back(sqlite, reader);
    free(ids);
    return fault;
}
