/* SPDX-License-Identifier: Apache-2.0
 *
 * The hot table: newest version wins, unfinished tasks stay, ended ones leave by a second chance,
 * readers meet a writer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "engine/table.h"

static struct task *make_task(int number, enum task_state state, int64_t revision)
{
    struct task_request *request = task_request_new();
    snprintf(request->id, sizeof request->id, "task_%026d", number);
    struct task *task = task_new(request, 1);
    task->state = state;
    task->revision = revision;
    return task;
}

static void publish(struct table *table, int number, enum task_state state, int64_t revision)
{
    const struct task *task = make_task(number, state, revision);
    table_publish(table, task);
    task_unref(task);
}

/* The revision that queries see, -1 when none. */
static int64_t look(struct table *table, int number)
{
    char id[ID_SHORT_SIZE];
    snprintf(id, sizeof id, "task_%026d", number);
    const struct task *task;
    struct engine_figures figures;
    if (!table_find(table, id, &task, &figures)) {
        return -1;
    }
    int64_t revision = task->revision;
    task_unref(task);
    return revision;
}

static void newest_version_wins(void **state)
{
    (void)state;
    struct table *table = table_new(100, 1 << 20);
    assert_int_equal(look(table, 1), -1);
    publish(table, 1, TASK_QUEUED, 3);
    publish(table, 1, TASK_QUEUED, 2);
    assert_int_equal(look(table, 1), 3);
    publish(table, 1, TASK_COMPLETED, 4);
    assert_int_equal(look(table, 1), 4);
    assert_int_equal(table_count(table), 1);
    table_free(table);
}

static void publish_deleted(struct table *table, int number, int64_t revision)
{
    struct task *task = make_task(number, TASK_COMPLETED, revision);
    task->deleted_ms = 1;
    table_publish(table, task);
    task_unref(task);
}

/* Whoever read an older version from the store may come late with it. */
static void what_is_deleted_stays_so(void **state)
{
    (void)state;
    struct table *table = table_new(100, 1 << 20);
    publish(table, 1, TASK_COMPLETED, 4);
    publish_deleted(table, 1, 4);
    publish(table, 1, TASK_COMPLETED, 5);
    assert_int_equal(look(table, 1), 4);
    publish_deleted(table, 1, 6);
    assert_int_equal(look(table, 1), 6);
    table_free(table);
}

static void figures_are_shown(void **state)
{
    (void)state;
    struct table *table = table_new(100, 1 << 20);
    publish(table, 7, TASK_QUEUED, 1);
    const struct task *task;
    struct engine_figures figures;
    assert_true(table_find(table, "task_00000000000000000000000007", &task, &figures));
    assert_int_equal(figures.queue_position, 0);
    assert_true(figures.wait_s < 0);
    assert_false(figures.waits_upstream);
    task_unref(task);
    table_set_figures(table, "task_00000000000000000000000007",
                      &(struct engine_figures){5, 2.5, true});
    assert_true(table_find(table, "task_00000000000000000000000007", &task, &figures));
    assert_int_equal(figures.queue_position, 5);
    assert_true(figures.wait_s > 2.4 && figures.wait_s < 2.6);
    assert_true(figures.waits_upstream);
    task_unref(task);
    table_free(table);
}

static void ended_ones_are_bounded_unfinished_ones_stay(void **state)
{
    (void)state;
    struct table *table = table_new(160, 1 << 30);
    for (int i = 0; i < 500; i++) {
        publish(table, i, TASK_RENDERING, 1);
    }
    for (int i = 500; i < 5000; i++) {
        publish(table, i, TASK_COMPLETED, 1);
        assert_int_not_equal(look(table, 500), -1); /* asked all the time: stays */
    }
    for (int i = 0; i < 500; i++) {
        assert_int_equal(look(table, i), 1);
    }
    assert_in_range(table_count(table), 500 + 16, 500 + 160 + 16);
    assert_int_equal(look(table, 501), -1);
    table_free(table);
}

static void publish_long(struct table *table, int number)
{
    struct task *task = make_task(number, TASK_COMPLETED, 1);
    task->request->prompt = must_calloc(1, 10001);
    memset(task->request->prompt, 'x', 10000);
    table_publish(table, task);
    task_unref(task);
}

static void ended_ones_are_bounded_in_bytes(void **state)
{
    (void)state;
    struct table *table = table_new(1000000, 16 * 100000);
    for (int i = 0; i < 2000; i++) {
        publish_long(table, i);
    }
    assert_in_range(table_count(table), 16, 160);
    table_free(table);
}

struct race {
    struct table *table;
    atomic_bool is_over;
    _Atomic int64_t seen;
};

static void *read_all_the_time(void *argument)
{
    struct race *race = argument;
    int64_t last = 0;
    while (!atomic_load(&race->is_over)) {
        int64_t revision = look(race->table, 1);
        must(revision >= last);
        last = revision;
        atomic_store(&race->seen, revision);
    }
    return NULL;
}

static void readers_meet_a_writer(void **state)
{
    (void)state;
    struct race race = {.table = table_new(16, 1 << 20)};
    publish(race.table, 1, TASK_RENDERING, 1);
    pthread_t readers[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, &race), 0);
    }
    for (int64_t revision = 2; revision < 5000; revision++) {
        publish(race.table, 1, TASK_RENDERING, revision);
        publish(race.table, 100 + (int)(revision % 50), TASK_COMPLETED, revision);
    }
    atomic_store(&race.is_over, true);
    for (int i = 0; i < 4; i++) {
        pthread_join(readers[i], NULL);
    }
    assert_int_equal(look(race.table, 1), 4999);
    table_free(race.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_version_wins),
        cmocka_unit_test(what_is_deleted_stays_so),
        cmocka_unit_test(figures_are_shown),
        cmocka_unit_test(ended_ones_are_bounded_unfinished_ones_stay),
        cmocka_unit_test(ended_ones_are_bounded_in_bytes),
        cmocka_unit_test(readers_meet_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
