/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of attempts at upstreams: rows follow their task in one transaction, the walk at the start
 * meets what is still open, and a file from before the table gets it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "store_attempted.h"

enum { WALKED = 10, KILLED_AFTER = 150 };

/* ---- rows and their tasks ---- */

static void rows_follow_their_task(void **state)
{
    struct scene *scene = *state;
    struct store_attempt row;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *begun = attempted(task, NULL, ATTEMPT_SUBMITTING);
    struct task *accepted = attempted(begun, begun->attempt.id, ATTEMPT_ACCEPTED);
    struct task *finished = attempted(accepted, begun->attempt.id, ATTEMPT_FINISHED);
    finished->attempt.job = attempt_job_unref(finished->attempt.job);
    finished->attempt.job =
        attempt_job_new("job-2", "[1]", "[{\"url\":\"u\"}]", "a boat", "{\"s\":8}");
    put(scene, STORE_CREATE, task);
    assert_int_equal(count_of(scene, NULL, NULL), 0);
    put(scene, STORE_UPDATE, begun);
    assert_int_equal(count_of(scene, task->request->id, &row), 1);
    assert_string_equal(row.id, begun->attempt.id);
    assert_string_equal(row.record.id, begun->attempt.id);
    assert_string_equal(row.task_id, task->request->id);
    assert_string_equal(row.tenant, "tenant-1");
    assert_string_equal(row.model, task->request->model);
    assert_string_equal(shared_text_of(row.record.channel), "kling-main");
    assert_string_equal(shared_text_of(row.record.credential), "key-a");
    assert_int_equal(row.record.number, 1);
    assert_int_equal(row.record.state, ATTEMPT_SUBMITTING);
    assert_int_equal(row.record.begun_ms, FIXTURE_MS + 10);
    assert_int_equal(row.record.accepted_ms, 0);
    assert_null(row.record.job);
    store_attempt_fini(&row);
    put(scene, STORE_UPDATE, accepted);
    assert_state(scene, task->request->id, ATTEMPT_ACCEPTED, "job-1");
    put(scene, STORE_UPDATE, finished);
    put(scene, STORE_UPDATE, finished); /* as after an answer that was lost */
    scene_reopen(scene);
    assert_int_equal(count_of(scene, task->request->id, &row), 1);
    assert_int_equal(row.record.state, ATTEMPT_FINISHED);
    assert_int_equal(row.record.accepted_ms, FIXTURE_MS + 20);
    assert_int_equal(row.record.closed_ms, FIXTURE_MS + 30);
    assert_int_equal(row.resolved_ms, 0);
    assert_string_equal(row.record.job->id, "job-2");
    assert_string_equal(row.record.job->keep, "[1]");
    assert_string_equal(row.record.job->outputs, "[{\"url\":\"u\"}]");
    assert_string_equal(row.record.job->enhanced_prompt, "a boat");
    assert_string_equal(row.record.job->usage, "{\"s\":8}");
    store_attempt_fini(&row);
    task_unref(finished);
    task_unref(accepted);
    task_unref(begun);
    task_unref(task);
}

static void each_text_alone_is_a_change(void **state)
{
    struct scene *scene = *state;
    struct store_attempt row;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *last = attempted(task, NULL, ATTEMPT_ACCEPTED);
    attempt_job_unref(last->attempt.job);
    last->attempt.job = attempt_job_new("job-1", NULL, NULL, NULL, NULL);
    put(scene, STORE_CREATE, task);
    put(scene, STORE_UPDATE, last);
    for (int i = 0; i < 5; i++) { /* one more each time */
        struct task *next = task_copy(last);
        next->revision++;
        next->attempt.job = attempt_job_unref(next->attempt.job);
        next->attempt.job = attempt_job_new("job-2", i >= 1 ? "k" : NULL, i >= 2 ? "o" : NULL,
                                            i >= 3 ? "e" : NULL, i >= 4 ? "u" : NULL);
        put(scene, STORE_UPDATE, next);
        assert_int_equal(count_of(scene, NULL, &row), 1);
        const struct attempt_job *job = row.record.job;
        assert_string_equal(job->id, "job-2");
        assert_true((job->keep != NULL) == (i >= 1));
        assert_true((job->outputs != NULL) == (i >= 2));
        assert_true((job->enhanced_prompt != NULL) == (i >= 3));
        assert_true((job->usage != NULL) == (i >= 4));
        store_attempt_fini(&row);
        task_unref(last);
        last = next;
    }
    task_unref(last);
    task_unref(task);
}

static void assert_same_text(const char *one, const char *other)
{
    assert_true((one == NULL) == (other == NULL));
    if (one != NULL)
        assert_string_equal(one, other);
}

static void assert_same_job(const struct attempt_job *one, const struct attempt_job *other)
{
    assert_true((one == NULL) == (other == NULL));
    if (one == NULL)
        return;
    assert_same_text(one->id, other->id);
    assert_same_text(one->keep, other->keep);
    assert_same_text(one->outputs, other->outputs);
    assert_same_text(one->enhanced_prompt, other->enhanced_prompt);
    assert_same_text(one->usage, other->usage);
}

/* The task's record and the table are two writings of one thing. */
static void assert_same_attempt(struct scene *scene, const char *task_id, enum attempt_state state)
{
    const struct task *task = NULL;
    struct store_attempt row;
    assert_int_equal(store_task(scene->store, task_id, &task), 0);
    assert_int_equal(count_of(scene, task_id, &row), 1);
    const struct attempt_record *one = &task->attempt, *other = &row.record;
    assert_int_equal(one->state, state);
    assert_int_equal(other->state, state);
    assert_string_equal(one->id, other->id);
    assert_int_equal(one->number, other->number);
    assert_string_equal(shared_text_of(one->channel), shared_text_of(other->channel));
    assert_string_equal(shared_text_of(one->credential), shared_text_of(other->credential));
    assert_int_equal(one->begun_ms, other->begun_ms);
    assert_int_equal(one->accepted_ms, other->accepted_ms);
    assert_int_equal(one->closed_ms, other->closed_ms);
    assert_same_job(one->job, other->job);
    store_attempt_fini(&row);
    task_unref(task);
}

static void a_loaded_task_tells_the_same_as_its_row(void **state)
{
    struct scene *scene = *state;
    static const struct {
        enum attempt_state state;
        bool has_ended, was_accepted;
    } rows[] = {
        {ATTEMPT_SUBMITTING, false, false}, {ATTEMPT_CONFIRMING, false, false},
        {ATTEMPT_ACCEPTED, false, true},    {ATTEMPT_FINISHED, true, true},
        {ATTEMPT_REFUSED, true, false},     {ATTEMPT_FAILED, true, true},
        {ATTEMPT_GONE, true, true},         {ATTEMPT_UNKNOWN, true, false},
        {ATTEMPT_CANCELLING, true, true},   {ATTEMPT_CANCELLED, true, true},
        {ATTEMPT_ABANDONED, true, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
        struct task *next = rows[i].has_ended ? ended(task, NULL, rows[i].state)
                                              : attempted(task, NULL, rows[i].state);
        next->attempt.accepted_ms = rows[i].was_accepted ? FIXTURE_MS + 20 : 0;
        if (i % 2 == 0 && next->attempt.job != NULL) {
            next->attempt.job = attempt_job_unref(next->attempt.job);
            next->attempt.job =
                attempt_job_new("job-2", "[1]", "[{\"url\":\"u\"}]", "a boat", "{\"s\":8}");
        }
        put(scene, STORE_CREATE, task);
        put(scene, STORE_UPDATE, next);
        assert_same_attempt(scene, task->request->id, rows[i].state);
        scene_reopen(scene);
        assert_same_attempt(scene, task->request->id, rows[i].state);
        task_unref(next);
        task_unref(task);
    }
}

static void tasks_of_the_builtin_engine_have_no_rows(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *done = fixture_completed(task, FIXTURE_MS + 100, 0);
    put(scene, STORE_CREATE, task);
    put(scene, STORE_UPDATE, done);
    assert_int_equal(count_of(scene, NULL, NULL), 0);
    task_unref(done);
    task_unref(task);
}

static void another_attempt_is_another_row(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *first = attempted(task, NULL, ATTEMPT_REFUSED);
    struct task *second = attempted(first, NULL, ATTEMPT_ACCEPTED);
    put(scene, STORE_CREATE, task);
    put(scene, STORE_UPDATE, first);
    put(scene, STORE_UPDATE, second);
    struct store_attempt rows[2];
    size_t count = 0;
    struct store_attempts_query query = {.task_id = task->request->id, .limit = 2};
    assert_int_equal(store_attempts(scene->store, &query, rows, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].record.number, 2);
    assert_int_equal(rows[0].record.state, ATTEMPT_ACCEPTED);
    assert_int_equal(rows[1].record.number, 1);
    assert_int_equal(rows[1].record.state, ATTEMPT_REFUSED);
    store_attempt_fini(&rows[0]);
    store_attempt_fini(&rows[1]);
    task_unref(second);
    task_unref(first);
    task_unref(task);
}

/* ---- one transaction ---- */

static void what_is_not_written_leaves_no_row(void **state)
{
    struct scene *scene = *state;
    char existing[ID_SHORT_SIZE];
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *newer = attempted(task, NULL, ATTEMPT_ACCEPTED);
    struct task *older = attempted(task, NULL, ATTEMPT_ACCEPTED);
    struct task *repeated = fixture_task("tenant-1", FIXTURE_MICROS);
    newer->revision += 5;
    (void)snprintf(repeated->attempt.id, sizeof repeated->attempt.id, "%s", older->attempt.id);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, newer), STORE_NOT_FOUND);
    assert_int_equal(count_of(scene, NULL, NULL), 0);
    assert_int_equal(fixture_create_keyed(scene->store, task, "key", 1, existing), STORE_WRITTEN);
    assert_int_equal(fixture_create_keyed(scene->store, repeated, "key", 1, existing),
                     STORE_REPEATED);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, older), -EEXIST);
    assert_int_equal(count_of(scene, NULL, NULL), 0);
    put(scene, STORE_UPDATE, newer);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, older), STORE_CONFLICT);
    assert_int_equal(count_of(scene, NULL, NULL), 1);
    assert_state(scene, task->request->id, ATTEMPT_ACCEPTED, "job-1");
    task_unref(repeated);
    task_unref(older);
    task_unref(newer);
    task_unref(task);
}

static void a_row_that_cannot_be_written_keeps_its_task_back(void **state)
{
    struct scene *scene = *state;
    const struct task *loaded = NULL;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *begun = attempted(task, NULL, ATTEMPT_SUBMITTING);
    put(scene, STORE_CREATE, task);
    run_sql(scene, "CREATE TRIGGER shut BEFORE INSERT ON attempts"
                   " BEGIN SELECT RAISE(ABORT, 'shut'); END");
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, begun), -EEXIST);
    assert_int_equal(store_task(scene->store, task->request->id, &loaded), 0);
    assert_int_equal(loaded->state, TASK_QUEUED);
    assert_int_equal(loaded->revision, task->revision);
    task_unref(loaded);
    run_sql(scene, "DROP TRIGGER shut");
    put(scene, STORE_UPDATE, begun);
    assert_int_equal(count_of(scene, NULL, NULL), 1);
    task_unref(begun);
    task_unref(task);
}

/* In the child: attempts without end, telling of each step only when it is true. */
static _Noreturn void attempt_until_killed(struct scene *scene, int out)
{
    char error[STORE_ERROR_SIZE];
    if (store_open_with(scene->backend, scene->directory, &scene->store, error) != 0)
        _exit(1);
    for (;;) {
        struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
        struct task *begun = attempted(task, NULL, ATTEMPT_SUBMITTING);
        if (fixture_write_now(scene->store, STORE_CREATE, task) != STORE_WRITTEN ||
            fixture_write_now(scene->store, STORE_UPDATE, begun) != STORE_WRITTEN ||
            write(out, task->request->id, ID_SHORT_SIZE) != ID_SHORT_SIZE)
            _exit(1);
        task_unref(begun);
        task_unref(task);
    }
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct scene *scene = *state;
    static char ids[KILLED_AFTER][ID_SHORT_SIZE];
    int ends[2];
    int status;
    scene->store = store_close(scene->store);
    must(pipe(ends) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        attempt_until_killed(scene, ends[1]);
    close(ends[1]);
    for (size_t i = 0; i < KILLED_AFTER; i++)
        assert_int_equal(read(ends[0], ids[i], ID_SHORT_SIZE), ID_SHORT_SIZE);
    must(kill(child, SIGKILL) == 0);
    must(waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status));
    close(ends[0]);
    scene_open(scene);
    for (size_t i = 0; i < KILLED_AFTER; i++)
        assert_state(scene, ids[i], ATTEMPT_SUBMITTING, NULL);
}

/* ---- the walk ---- */

struct walk {
    size_t count;
    char ids[WALKED][ID_SHORT_SIZE];
    enum attempt_state states[WALKED];
    bool have_jobs; /* all of them */
};

static void walk_each(void *context, const struct task *task)
{
    struct walk *walk = context;
    must(walk->count < WALKED);
    walk->states[walk->count] = task->attempt.state;
    walk->have_jobs = walk->have_jobs && attempt_has_job_id(&task->attempt);
    (void)snprintf(walk->ids[walk->count++], ID_SHORT_SIZE, "%s", task->request->id);
}

static void the_walk_meets_ended_tasks_with_open_attempts(void **state)
{
    struct scene *scene = *state;
    static const enum attempt_state states[] = {ATTEMPT_CANCELLING, ATTEMPT_UNKNOWN,
                                                ATTEMPT_CANCELLING, ATTEMPT_ABANDONED};
    struct task *tasks[ARRAY_LENGTH(states)];
    struct walk walk = {.have_jobs = true};
    size_t damaged = 99;
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        tasks[i] = fixture_task("tenant-1", FIXTURE_MICROS + 10 * (int64_t)i);
        struct task *next = ended(tasks[i], NULL, states[i]);
        put(scene, STORE_CREATE, tasks[i]);
        put(scene, STORE_UPDATE, next);
        task_unref(next);
    }
    struct task *unfinished = fixture_task("tenant-1", FIXTURE_MICROS + 5);
    struct task *running = attempted(unfinished, NULL, ATTEMPT_ACCEPTED);
    put(scene, STORE_CREATE, unfinished);
    put(scene, STORE_UPDATE, running); /* met once, though both reasons hold */
    assert_int_equal(store_walk_unfinished(scene->store, walk_each, &walk, &damaged), 0);
    assert_int_equal(walk.count, 3);
    assert_int_equal(damaged, 0);
    assert_string_equal(walk.ids[0], tasks[0]->request->id);
    assert_string_equal(walk.ids[1], unfinished->request->id);
    assert_string_equal(walk.ids[2], tasks[2]->request->id);
    /* with what a cancel needs */
    assert_int_equal(walk.states[0], ATTEMPT_CANCELLING);
    assert_int_equal(walk.states[2], ATTEMPT_CANCELLING);
    assert_true(walk.have_jobs);
    task_unref(running);
    task_unref(unfinished);
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
        task_unref(tasks[i]);
}

/* ---- an older file ---- */

/* The second step only added, so a file without what it added is one of the first step. */
static void a_file_of_the_first_schema_is_migrated(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *begun = attempted(task, NULL, ATTEMPT_SUBMITTING);
    const struct task *loaded = NULL;
    put(scene, STORE_CREATE, task);
    scene->store = store_close(scene->store);
    make_older(scene, 1);
    scene_open(scene);
    assert_int_equal(store_task(scene->store, task->request->id, &loaded), 0);
    task_unref(loaded);
    assert_int_equal(count_of(scene, NULL, NULL), 0);
    put(scene, STORE_UPDATE, begun);
    assert_int_equal(count_of(scene, NULL, NULL), 1);
    scene_reopen(scene); /* once is enough */
    assert_int_equal(count_of(scene, NULL, NULL), 1);
    task_unref(begun);
    task_unref(task);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        SCENE_CASE(rows_follow_their_task),
        SCENE_CASE(each_text_alone_is_a_change),
        SCENE_CASE(a_loaded_task_tells_the_same_as_its_row),
        SCENE_CASE(tasks_of_the_builtin_engine_have_no_rows),
        SCENE_CASE(another_attempt_is_another_row),
        SCENE_CASE(what_is_not_written_leaves_no_row),
        SCENE_CASE(a_row_that_cannot_be_written_keeps_its_task_back),
        SCENE_CASE(what_was_acknowledged_survives_a_kill),
        SCENE_CASE(the_walk_meets_ended_tasks_with_open_attempts),
        SCENE_CASE(a_file_of_the_first_schema_is_migrated),
    };

    return scene_run(cases, ARRAY_LENGTH(cases));
}
