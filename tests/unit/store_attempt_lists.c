/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of attempts as an operator sees it: lists page and pass over what is damaged, and his
 * word on an unknown one stays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_attempted.h"

enum { LISTED = 57, PAGE = 10 };

/* ---- lists ---- */

/* Pages through all that `query` asks for, putting a newer one in before each page. */
static size_t page_through(struct scene *scene, struct store_attempts_query query)
{
    struct store_attempt page[PAGE];
    char last[ID_SHORT_SIZE] = "~";
    char ignored[ID_SHORT_SIZE];
    size_t seen = 0;
    size_t count = 0;
    query.limit = PAGE;
    do {
        assert_int_equal(store_attempts(scene->store, &query, page, &count), 0);
        for (size_t i = 0; i < count; i++) {
            assert_true(strcmp(page[i].id, last) < 0);
            assert_true(!query.only_unknown || page[i].record.state == ATTEMPT_UNKNOWN);
            assert_true(!query.only_open || attempt_is_open(page[i].record.state));
            memcpy(last, page[i].id, sizeof last);
            store_attempt_fini(&page[i]);
            seen++;
        }
        query.before_id = last;
        create_attempted(scene, ATTEMPT_UNKNOWN, ignored);
        create_attempted(scene, ATTEMPT_ACCEPTED, ignored);
    } while (count == PAGE);
    return seen;
}

static void pages_neither_skip_nor_repeat(void **state)
{
    struct scene *scene = *state;
    static const enum attempt_state states[] = {ATTEMPT_ACCEPTED, ATTEMPT_UNKNOWN,
                                                ATTEMPT_FINISHED};
    char id[ID_SHORT_SIZE];
    for (int i = 0; i < LISTED; i++)
        create_attempted(scene, states[i % 3], id);
    /* six pages of ten: twelve more for the others; two pages and three: ten more for the last */
    assert_int_equal(page_through(scene, (struct store_attempts_query){0}), LISTED);
    assert_int_equal(page_through(scene, (struct store_attempts_query){.only_unknown = true}),
                     LISTED / 3 + 6);
    assert_int_equal(page_through(scene, (struct store_attempts_query){.only_open = true}),
                     LISTED / 3 + 6 + 3);
}

static void the_filters_go_together_with_a_task(void **state)
{
    struct scene *scene = *state;
    char other[ID_SHORT_SIZE];
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *first = attempted(task, NULL, ATTEMPT_UNKNOWN);
    struct task *second = attempted(first, NULL, ATTEMPT_ACCEPTED);
    struct store_attempt row;
    size_t count = 0;
    put(scene, STORE_CREATE, task);
    put(scene, STORE_UPDATE, first);
    put(scene, STORE_UPDATE, second);
    create_attempted(scene, ATTEMPT_UNKNOWN, other);
    struct store_attempts_query query = {.task_id = task->request->id, .limit = 1};
    query.only_unknown = true;
    assert_int_equal(store_attempts(scene->store, &query, &row, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(row.id, first->attempt.id);
    store_attempt_fini(&row);
    query.only_unknown = false;
    query.only_open = true;
    assert_int_equal(store_attempts(scene->store, &query, &row, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(row.id, second->attempt.id);
    query.before_id = second->attempt.id;
    store_attempt_fini(&row);
    assert_int_equal(store_attempts(scene->store, &query, &row, &count), 0);
    assert_int_equal(count, 0);
    task_unref(second);
    task_unref(first);
    task_unref(task);
}

static void damaged_rows_hide_no_others(void **state)
{
    struct scene *scene = *state;
    static const char *const damage[] = {"state = 'elated'",
                                         "attempt = 0",
                                         "attempt = 1 << 40",
                                         "channel = printf('%.*c', 65, 'c')",
                                         "credential = printf('%.*c', 65, 'c')",
                                         "tenant = printf('%.*c', 65, 't')",
                                         "task_id = 'task_1'",
                                         "id = 'att_00000000000000000000000000x'"};
    char ids[ARRAY_LENGTH(damage) + 1][ID_SHORT_SIZE];
    struct store_attempt row;
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        create_attempted(scene, ATTEMPT_ACCEPTED, ids[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(damage); i++) {
        char sql[200];
        (void)snprintf(sql, sizeof sql, "UPDATE attempts SET %s WHERE id = '%s'", damage[i],
                       ids[i + 1]);
        run_sql(scene, sql);
    }
    assert_int_equal(count_of(scene, NULL, &row), 1);
    assert_string_equal(row.id, ids[0]);
    store_attempt_fini(&row);
}

/* ---- an operator's word ---- */

static void an_operators_word_stays(void **state)
{
    struct scene *scene = *state;
    struct store *other = NULL;
    char error[STORE_ERROR_SIZE];
    struct store_attempt row;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *unknown = ended(task, NULL, ATTEMPT_UNKNOWN);
    struct task *late = ended(unknown, unknown->attempt.id, ATTEMPT_ABANDONED);
    const char *id = unknown->attempt.id;
    put(scene, STORE_CREATE, task);
    put(scene, STORE_UPDATE, unknown);
    /* by another process */
    assert_int_equal(store_open_with(scene->backend, scene->directory, &other, error), 0);
    assert_int_equal(store_attempt_resolve(other, id, "job-7", FIXTURE_MS + 500), 0);
    assert_int_equal(store_attempt_resolve(other, id, NULL, FIXTURE_MS + 600), STORE_CONFLICT);
    other = store_close(other);
    put(scene, STORE_UPDATE, late);
    assert_int_equal(count_of(scene, NULL, &row), 1);
    assert_int_equal(row.record.state, ATTEMPT_TAKEN);
    assert_string_equal(row.record.job->id, "job-7");
    assert_string_equal(row.record.job->keep, "{\"k\":1}");
    assert_int_equal(row.record.accepted_ms, FIXTURE_MS + 500);
    assert_int_equal(row.record.closed_ms, FIXTURE_MS + 30);
    assert_int_equal(row.resolved_ms, FIXTURE_MS + 500);
    store_attempt_fini(&row);
    task_unref(late);
    task_unref(unknown);
    task_unref(task);
}

static void not_taken_stays_too(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *unknown = ended(task, NULL, ATTEMPT_UNKNOWN);
    struct task *again = task_copy(unknown);
    struct store_attempt row;
    unknown->attempt.job = attempt_job_unref(unknown->attempt.job);
    unknown->attempt.accepted_ms = 0;
    again->revision++;
    put(scene, STORE_CREATE, task);
    put(scene, STORE_UPDATE, unknown);
    assert_int_equal(
        store_attempt_resolve(scene->store, unknown->attempt.id, NULL, FIXTURE_MS + 500), 0);
    put(scene, STORE_UPDATE, again);
    assert_int_equal(count_of(scene, NULL, &row), 1);
    assert_int_equal(row.record.state, ATTEMPT_NOT_TAKEN);
    assert_int_equal(row.record.accepted_ms, 0);
    assert_int_equal(row.resolved_ms, FIXTURE_MS + 500);
    assert_null(row.record.job);
    store_attempt_fini(&row);
    task_unref(again);
    task_unref(unknown);
    task_unref(task);
}

static void only_the_unknown_is_resolved(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < ATTEMPT_STATE_COUNT; i++) {
        char id[ID_SHORT_SIZE];
        int expected = i == ATTEMPT_UNKNOWN ? STORE_WRITTEN : STORE_CONFLICT;
        create_attempted(scene, (enum attempt_state)i, id);
        assert_int_equal(store_attempt_resolve(scene->store, id, "job-9", FIXTURE_MS), expected);
    }
    assert_int_equal(
        store_attempt_resolve(scene->store, "att_01k6x15vhrff09dkkqjrzwhm60", NULL, FIXTURE_MS),
        STORE_NOT_FOUND);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        SCENE_CASE(pages_neither_skip_nor_repeat), SCENE_CASE(the_filters_go_together_with_a_task),
        SCENE_CASE(damaged_rows_hide_no_others),   SCENE_CASE(an_operators_word_stays),
        SCENE_CASE(not_taken_stays_too),           SCENE_CASE(only_the_unknown_is_resolved),
    };

    return scene_run(cases, ARRAY_LENGTH(cases));
}
