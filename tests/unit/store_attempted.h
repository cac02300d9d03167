/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the table of attempts share: tasks with attempts, and a look at their rows. */
#pragma once

#include <sqlite3.h>

#include "store/migrate.h"
#include "store_scene.h"

enum { ATTEMPTED_MAX = 10 }; /* rows that count_of() looks at */

/* ---- tasks with attempts ---- */

/* The next revision of `task`, with attempt `id` (NULL: a new one) at an upstream in `state`. */
static inline struct task *attempted(const struct task *task, const char *id,
                                     enum attempt_state state)
{
    struct task *copy = task_copy(task);
    struct attempt_record *record = &copy->attempt;
    copy->state = state == ATTEMPT_SUBMITTING ? TASK_SUBMITTING : TASK_RENDERING;
    copy->revision++;
    copy->started_ms = state == ATTEMPT_SUBMITTING ? 0 : FIXTURE_MS;
    shared_text_set(&copy->channel, "kling-main");
    record->job = attempt_job_unref(record->job);
    if (id == NULL)
        id_new("att", record->id, sizeof record->id);
    else
        (void)snprintf(record->id, sizeof record->id, "%s", id);
    if (id == NULL || record->number == 0)
        copy->attempts = ++record->number;
    record->state = state;
    shared_text_set(&record->channel, "kling-main");
    shared_text_set(&record->credential, "key-a");
    record->begun_ms = FIXTURE_MS + 10;
    if (state == ATTEMPT_SUBMITTING)
        return copy;
    record->accepted_ms = FIXTURE_MS + 20;
    record->job = attempt_job_new("job-1", "{\"k\":1}", NULL, NULL, NULL);
    if (!attempt_is_open(state))
        record->closed_ms = FIXTURE_MS + 30;
    return copy;
}

/* The same, ended as failed. */
static inline struct task *ended(const struct task *task, const char *id, enum attempt_state state)
{
    struct task *copy = attempted(task, id, state);
    copy->state = TASK_FAILED;
    copy->failure = TASK_FAILURE_DEADLINE;
    copy->ended_ms = copy->status_update_ms;
    return copy;
}

static inline void put(struct scene *scene, enum store_write_kind kind, const struct task *task)
{
    assert_int_equal(fixture_write_now(scene->store, kind, task), STORE_WRITTEN);
}

/* A task with an attempt in `state`; writes the attempt's id. */
static inline void create_attempted(struct scene *scene, enum attempt_state state,
                                    char ret_id[ID_SHORT_SIZE])
{
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *next =
        state == ATTEMPT_UNKNOWN ? ended(task, NULL, state) : attempted(task, NULL, state);
    put(scene, STORE_CREATE, task);
    put(scene, STORE_UPDATE, next);
    (void)snprintf(ret_id, ID_SHORT_SIZE, "%s", next->attempt.id);
    task_unref(next);
    task_unref(task);
}

/* The attempts of a task (NULL: of any); the first one is the caller's. */
static inline size_t count_of(struct scene *scene, const char *task_id,
                              struct store_attempt *ret_first)
{
    struct store_attempt found[ATTEMPTED_MAX];
    size_t count = 0;
    struct store_attempts_query query = {.task_id = task_id, .limit = ATTEMPTED_MAX};
    assert_int_equal(store_attempts(scene->store, &query, found, &count), 0);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 && ret_first != NULL)
            *ret_first = found[0];
        else
            store_attempt_fini(&found[i]);
    }
    return count;
}

static inline void assert_state(struct scene *scene, const char *task_id, enum attempt_state state,
                                const char *job)
{
    struct store_attempt row;
    assert_true(count_of(scene, task_id, &row) >= 1);
    assert_string_equal(attempt_state_name(row.record.state), attempt_state_name(state));
    if (job == NULL)
        assert_true(row.record.job == NULL || row.record.job->id == NULL);
    else
        assert_string_equal(row.record.job->id, job);
    store_attempt_fini(&row);
}

/* Runs SQL on the file as a stranger would. */
static inline void run_sql(struct scene *scene, const char *sql)
{
    char path[FIXTURE_PATH_SIZE + 16];
    sqlite3 *db = NULL;
    char *error = NULL;
    fixture_database(scene->directory, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, STORE_BUSY_TIMEOUT_MS), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s", error);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What undoes each step of the schema, by the version that it begins at: one line for every step after the first. */
static const char *const schema_undo[] = {
    NULL,
    "DROP TABLE attempts;",
    "DROP TABLE events; ALTER TABLE tasks DROP COLUMN change; DELETE FROM meta WHERE name = "
    "'change';",
    "DROP INDEX tasks_ended; DROP INDEX tasks_ended_of_tenant; DROP INDEX tasks_deleted;"
    "ALTER TABLE tasks DROP COLUMN deleted_ms;",
};

/* Makes the file of a closed store one of an older `version`. */
static inline void make_older(struct scene *scene, size_t version)
{
    char mark[64];
    assert_int_equal(ARRAY_LENGTH(schema_undo), migrate_latest());
    for (size_t from = ARRAY_LENGTH(schema_undo); from-- > version;)
        run_sql(scene, schema_undo[from]);
    (void)snprintf(mark, sizeof mark, "PRAGMA user_version = %zu", version);
    run_sql(scene, mark);
}
