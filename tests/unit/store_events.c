/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes and events: each commit of a task has the next number, in their order and never twice;
 * transitions leave a row that comes and goes with its commit; lists begin after a number. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include <jansson.h>

#include "store_attempted.h"

enum { GROUP = 40, LISTED = 20 };

static int64_t change_of(struct scene *scene)
{
    int64_t change = -1;
    assert_int_equal(store_change(scene->store, &change), 0);
    return change;
}

/* Writes `task` and yields its number; 0: it was not written. */
static int64_t put_numbered(struct scene *scene, enum store_write_kind kind,
                            const struct task *task, bool is_transition)
{
    struct fixture_write write;
    fixture_write_init(&write, kind, task);
    write.write.is_transition = is_transition;
    assert_int_equal(store_submit(scene->store, &write.write), 0);
    int result = fixture_wait(&write);
    if (result != STORE_WRITTEN)
        assert_int_equal(write.write.change, 0);
    return result == STORE_WRITTEN ? write.write.change : 0;
}

/* The next revision in `state`. */
static struct task *moved(const struct task *task, enum task_state state, double progress)
{
    struct task *copy = task_copy(task);
    copy->revision++;
    copy->state = state;
    copy->status_update_ms++;
    copy->progress = progress;
    copy->attempts = 1;
    copy->is_local = true;
    copy->started_ms = copy->status_update_ms;
    shared_text_set(&copy->channel, "local");
    return copy;
}

static size_t list(struct scene *scene, struct store_events_query query,
                   struct store_event ret_events[STORE_EVENTS_MAX])
{
    size_t count = 0;
    if (query.limit == 0)
        query.limit = STORE_EVENTS_MAX;
    assert_int_equal(store_events(scene->store, &query, ret_events, &count), 0);
    assert_true(count <= query.limit);
    for (size_t i = 0; i < count; i++) {
        assert_true(ret_events[i].number > (i > 0 ? ret_events[i - 1].number : query.after));
    }
    return count;
}

static void forget(struct store_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        store_event_fini(&events[i]);
}

static size_t count_events(struct scene *scene, struct store_events_query query)
{
    struct store_event events[STORE_EVENTS_MAX];
    size_t count = list(scene, query, events);
    forget(events, count);
    return count;
}

/* ---- numbers ---- */

static void numbers_grow_with_every_commit_and_over_a_start(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *begun = moved(task, TASK_RENDERING, 0.0);
    struct task *further = moved(begun, TASK_RENDERING, 0.5);
    const struct task *loaded = NULL;
    assert_int_equal(change_of(scene), 0);
    assert_int_equal(put_numbered(scene, STORE_CREATE, task, false), 1);
    assert_int_equal(put_numbered(scene, STORE_UPDATE, begun, true), 2);
    scene_reopen(scene);
    assert_int_equal(change_of(scene), 2);
    assert_int_equal(put_numbered(scene, STORE_UPDATE, further, false), 3);
    assert_int_equal(change_of(scene), 3);
    assert_int_equal(store_task(scene->store, task->request->id, &loaded), 0);
    assert_int_equal(loaded->change, 3);
    task_unref(loaded);
    task_unref(further);
    task_unref(begun);
    task_unref(task);
}

/* Sent at once, so that they are committed in groups. */
static void a_group_is_numbered_in_its_order(void **state)
{
    struct scene *scene = *state;
    struct fixture_write writes[GROUP];
    struct task *tasks[GROUP];
    for (size_t i = 0; i < GROUP; i++) {
        tasks[i] = fixture_task("tenant-1", FIXTURE_MICROS + (int64_t)i);
        fixture_write_init(&writes[i], STORE_CREATE, tasks[i]);
        assert_int_equal(store_submit(scene->store, &writes[i].write), 0);
    }
    for (size_t i = 0; i < GROUP; i++) {
        assert_int_equal(fixture_wait(&writes[i]), STORE_WRITTEN);
        assert_int_equal(writes[i].write.change, i + 1);
        task_unref(tasks[i]);
    }
    assert_int_equal(change_of(scene), GROUP);
    assert_int_equal(count_events(scene, (struct store_events_query){.tenant = "tenant-1"}), GROUP);
}

static void what_is_not_written_has_no_number(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *ended_task = fixture_completed(task, FIXTURE_MS + 10, 0);
    struct task *other = fixture_task("tenant-1", FIXTURE_MICROS);
    char existing[ID_SHORT_SIZE];
    assert_int_equal(fixture_create_keyed(scene->store, task, "key", 1, existing), STORE_WRITTEN);
    assert_int_equal(fixture_create_keyed(scene->store, other, "key", 1, existing), STORE_REPEATED);
    assert_int_equal(put_numbered(scene, STORE_UPDATE, other, true), 0); /* not found */
    assert_int_equal(put_numbered(scene, STORE_CREATE, task, false), 0); /* there is one */
    assert_int_equal(put_numbered(scene, STORE_UPDATE, ended_task, true), 2);
    assert_int_equal(put_numbered(scene, STORE_UPDATE, task, true), 0); /* older than the record */
    assert_int_equal(change_of(scene), 2);
    assert_int_equal(count_events(scene, (struct store_events_query){0}), 2);
    task_unref(other);
    task_unref(ended_task);
    task_unref(task);
}

/* One bad row rolls its group back; the others are written alone, and no number is given twice. */
static void a_group_that_fails_gives_no_number_twice(void **state)
{
    struct scene *scene = *state;
    struct fixture_write writes[GROUP];
    struct task *tasks[GROUP];
    int64_t last = 0;
    size_t n_written = 0;
    for (size_t i = 0; i < GROUP; i++) {
        tasks[i] = i % 8 == 7 ? task_copy(tasks[i - 1])
                              : fixture_task("tenant-1", FIXTURE_MICROS + (int64_t)i);
        fixture_write_init(&writes[i], STORE_CREATE, tasks[i]);
        assert_int_equal(store_submit(scene->store, &writes[i].write), 0);
    }
    for (size_t i = 0; i < GROUP; i++) {
        int result = fixture_wait(&writes[i]);
        assert_int_equal(result, i % 8 == 7 ? -EEXIST : STORE_WRITTEN);
        if (result == STORE_WRITTEN) {
            assert_true(writes[i].write.change > last);
            last = writes[i].write.change;
            n_written++;
        }
        task_unref(tasks[i]);
    }
    assert_int_equal(change_of(scene), last);
    assert_int_equal(count_events(scene, (struct store_events_query){0}), n_written);
}

/* ---- events ---- */

static void only_transitions_leave_events(void **state)
{
    struct scene *scene = *state;
    struct store_event events[STORE_EVENTS_MAX];
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *begun = moved(task, TASK_RENDERING, 0.25);
    struct task *further = moved(begun, TASK_RENDERING, 0.5);
    struct task *failed = ended(further, NULL, ATTEMPT_GONE);
    put_numbered(scene, STORE_CREATE, task, false);
    put_numbered(scene, STORE_UPDATE, begun, true);
    put_numbered(scene, STORE_UPDATE, further, false);
    put_numbered(scene, STORE_UPDATE, failed, true);
    assert_int_equal(list(scene, (struct store_events_query){.task_id = task->request->id}, events),
                     3);
    const struct task *versions[] = {task, begun, failed};
    static const int64_t numbers[] = {1, 2, 4};
    for (size_t i = 0; i < 3; i++) {
        json_t *body = json_loads(events[i].body, 0, NULL);
        assert_int_equal(events[i].number, numbers[i]);
        assert_string_equal(events[i].task_id, task->request->id);
        assert_string_equal(events[i].tenant, "tenant-1");
        assert_string_equal(events[i].kind, STORE_EVENT_STATE);
        assert_int_equal(events[i].at_ms, versions[i]->status_update_ms);
        assert_int_equal(events[i].revision, versions[i]->revision);
        assert_string_equal(json_string_value(json_object_get(body, "state")),
                            task_state_name(versions[i]->state));
        assert_true(json_number_value(json_object_get(body, "progress")) == versions[i]->progress);
        assert_int_equal(json_integer_value(json_object_get(body, "attempt")),
                         versions[i]->attempts);
        assert_true(json_is_null(json_object_get(body, "failure")) == (i < 2));
        assert_true(json_is_null(json_object_get(body, "channel")) == (i == 0));
        json_decref(body);
    }
    forget(events, 3);
    task_unref(failed);
    task_unref(further);
    task_unref(begun);
    task_unref(task);
}

/* A commit that worked though its answer was a fault is tried again. */
static void a_transition_that_is_written_again_is_one_event(void **state)
{
    struct scene *scene = *state;
    struct store_event events[STORE_EVENTS_MAX];
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *begun = moved(task, TASK_RENDERING, 0.0);
    put_numbered(scene, STORE_CREATE, task, false);
    assert_int_equal(put_numbered(scene, STORE_UPDATE, begun, true), 2);
    assert_int_equal(put_numbered(scene, STORE_UPDATE, begun, true), 3);
    assert_int_equal(list(scene, (struct store_events_query){0}, events), 2);
    assert_int_equal(events[1].number, 3); /* as the one who wrote it was told */
    forget(events, 2);
    task_unref(begun);
    task_unref(task);
}

static void lists_are_of_tenants_and_tasks(void **state)
{
    struct scene *scene = *state;
    struct store_event events[STORE_EVENTS_MAX];
    struct task *tasks[LISTED];
    for (size_t i = 0; i < LISTED; i++) { /* the numbers are 1, 2, … */
        tasks[i] = fixture_task(i % 2 == 0 ? "even" : "odd", FIXTURE_MICROS);
        put_numbered(scene, STORE_CREATE, tasks[i], false);
    }
    const char *two[] = {tasks[3]->request->id, tasks[8]->request->id};
    assert_int_equal(count_events(scene, (struct store_events_query){.tenant = "even"}), 10);
    assert_int_equal(count_events(scene, (struct store_events_query){.tenant = "none"}), 0);
    assert_int_equal(count_events(scene, (struct store_events_query){.kind = "state"}), LISTED);
    assert_int_equal(count_events(scene, (struct store_events_query){.kind = "poll"}), 0);
    assert_int_equal(list(scene, (struct store_events_query){.after = 15, .limit = 3}, events), 3);
    assert_int_equal(events[0].number, 16);
    forget(events, 3);
    assert_int_equal(
        list(scene, (struct store_events_query){.tenant = "odd", .after = 15, .limit = 2}, events),
        2);
    assert_int_equal(events[0].number, 16);
    assert_int_equal(events[1].number, 18);
    forget(events, 2);
    assert_int_equal(
        list(scene, (struct store_events_query){.task_ids = two, .n_task_ids = 2}, events), 2);
    assert_int_equal(events[0].number, 4);
    assert_int_equal(events[1].number, 9);
    forget(events, 2);
    assert_int_equal(count_events(scene, (struct store_events_query){.task_ids = two,
                                                                     .n_task_ids = 2,
                                                                     .tenant = "odd",
                                                                     .after = 3}),
                     1);
    assert_int_equal(
        count_events(scene, (struct store_events_query){.task_id = two[0], .after = 4}), 0);
    assert_int_equal(
        count_events(scene, (struct store_events_query){.task_ids = two, .n_task_ids = 0}), 0);
    for (size_t i = 0; i < LISTED; i++)
        task_unref(tasks[i]);
}

static void events_go_with_what_is_erased(void **state)
{
    struct scene *scene = *state;
    struct task *kept = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *done = fixture_completed(task, FIXTURE_MS + 100, 0);
    struct task *expired = fixture_completed(done, FIXTURE_MS + 100, FIXTURE_MS + 900);
    put_numbered(scene, STORE_CREATE, kept, false);
    put_numbered(scene, STORE_CREATE, task, false);
    put_numbered(scene, STORE_UPDATE, done, true);
    assert_int_equal(store_mark_erased(scene->store, task->request->id), STORE_NOT_FOUND);
    assert_int_equal(count_events(scene, (struct store_events_query){0}), 3);
    put_numbered(scene, STORE_UPDATE, expired, false);
    assert_int_equal(store_mark_erased(scene->store, task->request->id), 0);
    assert_int_equal(count_events(scene, (struct store_events_query){0}), 1);
    assert_int_equal(count_events(scene, (struct store_events_query){.task_id = kept->request->id}),
                     1);
    task_unref(expired);
    task_unref(done);
    task_unref(task);
    task_unref(kept);
}

/* ---- a file from before ---- */

static void a_file_from_before_gets_numbers(void **state)
{
    struct scene *scene = *state;
    struct task *old = fixture_task("tenant-1", FIXTURE_MICROS);
    const struct task *loaded = NULL;
    put_numbered(scene, STORE_CREATE, old, false);
    scene->store = store_close(scene->store);
    make_older(scene, 2);
    scene_open(scene);
    assert_int_equal(change_of(scene), 0);
    assert_int_equal(store_task(scene->store, old->request->id, &loaded), 0);
    assert_int_equal(loaded->change, 0);
    assert_int_equal(count_events(scene, (struct store_events_query){0}), 0);
    struct task *begun = moved(old, TASK_RENDERING, 0.0);
    assert_int_equal(put_numbered(scene, STORE_UPDATE, begun, true), 1);
    assert_int_equal(count_events(scene, (struct store_events_query){0}), 1);
    task_unref(begun);
    task_unref(loaded);
    task_unref(old);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCENE_CASE(numbers_grow_with_every_commit_and_over_a_start),
        SCENE_CASE(a_group_is_numbered_in_its_order),
        SCENE_CASE(what_is_not_written_has_no_number),
        SCENE_CASE(a_group_that_fails_gives_no_number_twice),
        SCENE_CASE(only_transitions_leave_events),
        SCENE_CASE(a_transition_that_is_written_again_is_one_event),
        SCENE_CASE(lists_are_of_tenants_and_tasks),
        SCENE_CASE(events_go_with_what_is_erased),
        SCENE_CASE(a_file_from_before_gets_numbers),
    };
    return scene_run(cases, ARRAY_LENGTH(cases));
}
