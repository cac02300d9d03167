/* SPDX-License-Identifier: Apache-2.0
 *
 * Erasing in the store: what stays of a task and its attempts, what is nowhere in the files any more, and notes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "store_attempted.h"
#include "store_scene.h"
#include "task/step.h"

enum { PROMPT_BYTES = 30000 }; /* over several pages */

static const char secret[] = "what nobody is to know";

/* A completed task whose prompt is long and full of the secret, in the store. */
static struct task *make_secret(struct scene *scene)
{
    struct task *task = fixture_large_task("tenant-1", FIXTURE_MICROS, PROMPT_BYTES);
    for (size_t i = 0; i + sizeof secret < PROMPT_BYTES; i += 100)
        memcpy(task->request->prompt + i, secret, sizeof secret - 1);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    struct task *done = fixture_completed(task, FIXTURE_MS + 100, 0);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    task_unref(task);
    return done;
}

static struct task *erased(const struct task *task)
{
    const struct task_policy policy = {.max_attempts = 1};
    struct task_step step;
    task_step(task, &(struct task_event){.kind = TASK_EVENT_ERASED}, &policy, FIXTURE_MS + 200,
              &step);
    assert_non_null(step.task);
    return step.task;
}

/* ---- the record ---- */

static void what_is_erased_stays_so(void **state)
{
    struct scene *scene = *state;
    struct task *done = make_secret(scene), *gone = erased(done);
    struct task *expired = fixture_completed(done, FIXTURE_MS + 100, FIXTURE_MS + 900);
    const struct task *loaded = NULL;

    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_WRITTEN);
    /* another erasure, and an update that knows nothing of it, come too late */
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_CONFLICT);
    expired->revision = gone->revision + 5;
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, expired), STORE_CONFLICT);
    assert_int_equal(store_task(scene->store, done->request->id, &loaded), 0);
    assert_int_equal(loaded->deleted_ms, FIXTURE_MS + 200);
    assert_int_equal(loaded->revision, gone->revision);
    assert_string_equal(loaded->request->prompt, "");
    assert_string_equal(loaded->request->tenant, "tenant-1");
    assert_int_equal(loaded->state, TASK_COMPLETED);
    task_unref(loaded);
    /* the same task goes on being written by who knows */
    struct task *closed = task_copy(gone);
    closed->revision++;
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, closed), STORE_WRITTEN);
    task_unref(closed);
    task_unref(expired);
    task_unref(gone);
    task_unref(done);
}

static void only_an_end_is_erased(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *done = fixture_completed(task, FIXTURE_MS + 100, 0), *gone = erased(done);

    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_NOT_FOUND);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_CONFLICT);
    task_unref(gone);
    task_unref(done);
    task_unref(task);
}

static size_t listed(struct scene *scene, const struct store_list_query *query)
{
    const struct task *found[STORE_LIST_MAX];
    size_t count = 0;
    assert_int_equal(store_list(scene->store, query, found, &count), 0);
    for (size_t i = 0; i < count; i++)
        task_unref(found[i]);
    return count;
}

static void lists_do_not_show_it(void **state)
{
    struct scene *scene = *state;
    const struct store_list_query queries[] = {{.limit = 9},
                                               {.limit = 9, .states = 1u << TASK_COMPLETED},
                                               {.limit = 9, .tenant = "tenant-1"}};
    struct task *done = make_secret(scene), *gone = erased(done);
    scene_create(scene, "tenant-1", FIXTURE_MICROS - 5);

    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++)
        assert_int_equal(listed(scene, &queries[i]), i == 1 ? 1 : 2);
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_WRITTEN);
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++)
        assert_int_equal(listed(scene, &queries[i]), i == 1 ? 0 : 1);
    task_unref(gone);
    task_unref(done);
}

static void its_files_are_named_until_they_are_gone(void **state)
{
    struct scene *scene = *state;
    const struct task *found[4];
    size_t count = 99;
    struct task *done = make_secret(scene), *gone = erased(done);

    assert_int_equal(store_list_deleted(scene->store, 4, found, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_WRITTEN);
    assert_int_equal(store_list_deleted(scene->store, 4, found, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(found[0]->request->id, gone->request->id);
    task_unref(found[0]);
    /* retention has nothing to do with it */
    assert_int_equal(store_list_old(scene->store, false, INT64_MAX, 4, found, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(store_mark_erased(scene->store, gone->request->id), 0);
    assert_int_equal(store_list_deleted(scene->store, 4, found, &count), 0);
    assert_int_equal(count, 0);
    task_unref(gone);
    task_unref(done);
}

static void a_key_goes_on_naming_it(void **state)
{
    struct scene *scene = *state;
    char existing[ID_SHORT_SIZE];
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *again = fixture_task("tenant-1", FIXTURE_MICROS + 1);
    struct task *done = fixture_completed(task, FIXTURE_MS + 100, 0), *gone = erased(done);

    assert_int_equal(fixture_create_keyed(scene->store, task, "key", 7, existing), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_WRITTEN);
    assert_int_equal(fixture_create_keyed(scene->store, again, "key", 7, existing), STORE_REPEATED);
    assert_string_equal(existing, task->request->id);
    task_unref(gone);
    task_unref(done);
    task_unref(again);
    task_unref(task);
}

/* ---- attempts ---- */

/* The attempts before the last one are in no record of the task. */
static void attempts_keep_what_accounts_need(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *first = attempted(task, NULL, ATTEMPT_FAILED);
    struct store_attempt rows[3];
    size_t count = 0;

    attempt_job_unref(first->attempt.job);
    first->attempt.job =
        attempt_job_new("job-1", "{\"k\":1}", "[{\"url\":\"u\"}]", "better", "{\"c\":3}");
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, first), STORE_WRITTEN);
    struct task *done = fixture_completed(first, FIXTURE_MS + 100000, 0);
    attempt_record_fini(&done->attempt);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    struct task *gone = erased(done);
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_WRITTEN);
    assert_int_equal(
        store_attempts(scene->store,
                       &(struct store_attempts_query){.task_id = task->request->id, .limit = 3},
                       rows, &count),
        0);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].tenant, "tenant-1");
    assert_string_equal(rows[0].record.job->id, "job-1");
    assert_string_equal(rows[0].record.job->usage, "{\"c\":3}");
    assert_null(rows[0].record.job->keep);
    assert_null(rows[0].record.job->outputs);
    assert_null(rows[0].record.job->enhanced_prompt);
    store_attempt_fini(&rows[0]);
    task_unref(gone);
    task_unref(done);
    task_unref(first);
    task_unref(task);
}

/* ---- the files ---- */

static bool file_holds(const char *path, const char *text)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    must(fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    char *bytes = must_calloc(1, size + 1);
    rewind(file);
    must(fread(bytes, 1, size, file) == size);
    (void)fclose(file);
    bool holds = memmem(bytes, size, text, strlen(text)) != NULL;
    free(bytes);
    return holds;
}

static bool files_hold(struct scene *scene, const char *text)
{
    char path[FIXTURE_PATH_SIZE + 16], log[FIXTURE_PATH_SIZE + 20];
    fixture_database(scene->directory, path);
    (void)snprintf(log, sizeof log, "%s-wal", path);
    return file_holds(path, text) || file_holds(log, text);
}

static void nothing_of_it_is_in_the_files(void **state)
{
    struct scene *scene = *state;
    struct task *done = make_secret(scene), *gone = erased(done);
    struct task *shorter = task_copy(done);

    /* a log that was carried over, and a record that was written in several places */
    assert_int_equal(store_scrub(scene->store), 0);
    for (int i = 0; i < 30; i++) {
        shorter->revision++;
        shorter->status_update_ms += 1 << i % 20;
        assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, shorter), STORE_WRITTEN);
        scene_create(scene, "tenant-2", FIXTURE_MICROS + i);
    }
    assert_true(files_hold(scene, secret));
    gone->revision = shorter->revision + 1;
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_WRITTEN);
    assert_int_equal(store_scrub(scene->store), 0);
    assert_false(files_hold(scene, secret));
    task_unref(shorter);
    task_unref(gone);
    task_unref(done);
}

static void scrubbing_waits_for_nobody(void **state)
{
    struct scene *scene = *state;
    char path[FIXTURE_PATH_SIZE + 16];
    sqlite3 *db = NULL;

    fixture_database(scene->directory, path);
    scene_create(scene, "tenant-1", FIXTURE_MICROS);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM tasks", NULL, NULL, NULL), SQLITE_OK);
    scene_create(scene, "tenant-1", FIXTURE_MICROS);
    assert_int_equal(store_scrub(scene->store), -EBUSY);
    scene_create(scene, "tenant-1", FIXTURE_MICROS); /* writing goes on */
    sqlite3_close(db);
    assert_int_equal(store_scrub(scene->store), 0);
}

/* ---- notes ---- */

static size_t events_of(struct scene *scene, const struct task *task, struct store_event *ret_last)
{
    struct store_event events[20];
    size_t count = 0;
    assert_int_equal(
        store_events(scene->store,
                     &(struct store_events_query){.task_id = task->request->id, .limit = 20},
                     events, &count),
        0);
    for (size_t i = 0; i + 1 < count; i++)
        store_event_fini(&events[i]);
    if (count > 0)
        *ret_last = events[count - 1];
    return count;
}

/* Notes are written in the order of all writes: who waits for a later one has them. */
static void a_note_stands_among_the_events(void **state)
{
    struct scene *scene = *state;
    struct store_event last;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);

    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    store_note(scene->store, task, STORE_EVENT_POLL, "{\"verdict\":\"busy\"}", FIXTURE_MS + 50);
    scene_create(scene, "tenant-1", FIXTURE_MICROS);
    assert_int_equal(events_of(scene, task, &last), 2);
    assert_string_equal(last.kind, "poll");
    assert_string_equal(last.body, "{\"verdict\":\"busy\"}");
    assert_string_equal(last.tenant, "tenant-1");
    assert_int_equal(last.at_ms, FIXTURE_MS + 50);
    store_event_fini(&last);
    task_unref(task);
}

static void of_what_is_gone_nothing_is_noted(void **state)
{
    struct scene *scene = *state;
    struct store_event last;
    struct task *done = make_secret(scene), *gone = erased(done);
    struct task *nobodys = fixture_task("tenant-1", FIXTURE_MICROS);

    store_note(scene->store, done, STORE_EVENT_POLL, "{}", FIXTURE_MS);
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, gone), STORE_WRITTEN);
    store_note(scene->store, done, STORE_EVENT_POLL, "{}", FIXTURE_MS);
    store_note(scene->store, nobodys, STORE_EVENT_POLL, "{}", FIXTURE_MS);
    scene_create(scene, "tenant-1", FIXTURE_MICROS);
    assert_int_equal(events_of(scene, done, &last), 0);
    assert_int_equal(events_of(scene, nobodys, &last), 0);
    task_unref(nobodys);
    task_unref(gone);
    task_unref(done);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        SCENE_CASE(what_is_erased_stays_so),
        SCENE_CASE(only_an_end_is_erased),
        SCENE_CASE(lists_do_not_show_it),
        SCENE_CASE(its_files_are_named_until_they_are_gone),
        SCENE_CASE(a_key_goes_on_naming_it),
        SCENE_CASE(attempts_keep_what_accounts_need),
        SCENE_CASE(nothing_of_it_is_in_the_files),
        SCENE_CASE(scrubbing_waits_for_nobody),
        SCENE_CASE(a_note_stands_among_the_events),
        SCENE_CASE(of_what_is_gone_nothing_is_noted),
    };
    return scene_run(cases, ARRAY_LENGTH(cases));
}
