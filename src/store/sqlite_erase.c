/* SPDX-License-Identifier: Apache-2.0
 *
 * Erasing in the SQLite store. The row of a task that was erased stays, with documents that hold nothing its owner wrote; so
 * do the rows of its attempts. What was there before is overwritten: secure_delete zeroes it in the pages, and scrubbing
 * carries the log into the file and empties it. Erasing is the writer's, scrubbing any thread's. */
#include "store/sqlite.h"

#include <errno.h>

#include "base/must.h"

enum { SCRUB_PATIENCE_MS = 100 };

static int sqlite_replace(struct sqlite *sqlite, const struct store_write *write, int64_t change)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_TASK_ERASE, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_task(statement, write, change);
    sqlite_bind_text(statement, 11, write->request_json);
    return sqlite_run(&sqlite->writer, statement);
}

int sqlite_erase(struct sqlite *sqlite, struct store_write *write)
{
    const char *id = write->task->request->id;
    int64_t change;
    int fault = sqlite_next_change(sqlite, &change);

    must(write->task->deleted_ms > 0 && !write->is_transition);
    if (fault == 0)
        fault = sqlite_replace(sqlite, write, change);
    if (fault < 0)
        return fault;
    if (sqlite3_changes(sqlite->writer.db) == 0)
        return sqlite_why_unchanged(sqlite, STATEMENT_TASK_EXISTS, id);
    fault = sqlite_put_attempt(sqlite, write->task);
    if (fault == 0)
        fault = sqlite_run_for(sqlite, STATEMENT_ATTEMPTS_ERASE, id);
    if (fault == 0)
        fault = sqlite_run_for(sqlite, STATEMENT_EVENTS_ERASE, id);
    if (fault == 0)
        fault = sqlite_drop_deliveries(sqlite, id, write->task->deleted_ms);
    return fault < 0 ? fault : sqlite_put_change(sqlite, write);
}

/* On a connection of its own, whose patience is short: while it waits for readers, nobody writes. */
int sqlite_scrub(void *self)
{
    struct sqlite *sqlite = self;
    struct sqlite_connection connection;
    int log_frames = 0, carried = 0;
    int fault = sqlite_connect(sqlite->path, true, &connection, NULL);

    if (fault < 0)
        return fault;
    (void)sqlite3_busy_timeout(connection.db, SCRUB_PATIENCE_MS);
    fault = sqlite_fault(connection.db, sqlite3_wal_checkpoint_v2(connection.db, "main",
                                                                  SQLITE_CHECKPOINT_TRUNCATE,
                                                                  &log_frames, &carried));
    sqlite_disconnect(&connection);
    return fault;
}
