/* SPDX-License-Identifier: Apache-2.0
 *
 * The store under many hands: races for one key, groups of writes in one commit, a full queue,
 * readers beside the writer, and a process killed in the middle. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "store_scene.h"

enum { RACERS = 64, PAGE = 10, PILE = 500 };

struct racer {
    pthread_t thread;
    struct store *store;
    pthread_barrier_t *start;
    struct task *task;
    char existing[ID_SHORT_SIZE];
    int result;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    pthread_barrier_wait(racer->start);
    racer->result = fixture_create_keyed(racer->store, racer->task, "race", 7, racer->existing);
    return NULL;
}

static void of_many_at_once_one_is_written(void **state)
{
    struct scene *scene = *state;
    struct racer racers[RACERS];
    pthread_barrier_t start;
    const char *winner = NULL;
    size_t written = 0;
    size_t repeated = 0;
    must(pthread_barrier_init(&start, NULL, RACERS) == 0);
    for (size_t i = 0; i < RACERS; i++) {
        racers[i].store = scene->store;
        racers[i].start = &start;
        racers[i].task = fixture_task("tenant-1", FIXTURE_MICROS);
        must(pthread_create(&racers[i].thread, NULL, race, &racers[i]) == 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        must(pthread_join(racers[i].thread, NULL) == 0);
        if (racers[i].result == STORE_WRITTEN) {
            winner = racers[i].task->request->id;
            written++;
        }
    }
    assert_int_equal(written, 1);
    for (size_t i = 0; i < RACERS; i++)
        repeated += racers[i].result == STORE_REPEATED && strcmp(racers[i].existing, winner) == 0;
    assert_int_equal(repeated, RACERS - 1);
    for (size_t i = 0; i < RACERS; i++)
        task_unref(racers[i].task);
    pthread_barrier_destroy(&start);
}

/* ---- groups ---- */

/* Holds the writer inside done() until told, so that others gather behind it. */
struct gate {
    struct store_write write;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_entered, is_open;
};

static void gate_done(struct store_write *write)
{
    struct gate *gate = CONTAINER_OF(write, struct gate, write);
    pthread_mutex_lock(&gate->lock);
    gate->is_entered = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_shut(struct gate *gate, struct store *store, const struct task *task)
{
    memset(gate, 0, sizeof *gate);
    must(pthread_mutex_init(&gate->lock, NULL) == 0);
    must(pthread_cond_init(&gate->changed, NULL) == 0);
    gate->write = (struct store_write){.kind = STORE_CREATE, .task = task, .done = gate_done};
    assert_int_equal(store_submit(store, &gate->write), 0);
    pthread_mutex_lock(&gate->lock);
    while (!gate->is_entered)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void waiting_writes_share_commits(void **state)
{
    struct scene *scene = *state;
    static struct fixture_write writes[PILE];
    struct task *tasks[PILE];
    struct gate gate;
    struct task *first = fixture_task("tenant-1", FIXTURE_MICROS);
    gate_shut(&gate, scene->store, first);
    uint64_t before = atomic_load(&store_counts(scene->store)->commits);
    for (size_t i = 0; i < PILE; i++) {
        tasks[i] = fixture_task("tenant-1", FIXTURE_MICROS);
        fixture_write_init(&writes[i], STORE_CREATE, tasks[i]);
        assert_int_equal(store_submit(scene->store, &writes[i].write), 0);
    }
    gate_open(&gate);
    for (size_t i = 0; i < PILE; i++) {
        assert_int_equal(fixture_wait(&writes[i]), STORE_WRITTEN);
        task_unref(tasks[i]);
    }
    uint64_t groups = (PILE + STORE_BATCH_MAX - 1) / STORE_BATCH_MAX;
    assert_int_equal(atomic_load(&store_counts(scene->store)->commits) - before, groups);
    task_unref(first);
}

static void a_bad_row_harms_no_other(void **state)
{
    struct scene *scene = *state;
    struct fixture_write writes[5];
    struct task *tasks[5];
    struct gate gate;
    char existing[ID_SHORT_SIZE];
    struct task *first = fixture_task("tenant-1", FIXTURE_MICROS);
    gate_shut(&gate, scene->store, first);
    for (size_t i = 0; i < 5; i++) {
        tasks[i] = i == 2 ? task_copy(first) : fixture_task("tenant-1", FIXTURE_MICROS);
        fixture_write_init(&writes[i], STORE_CREATE, tasks[i]);
        writes[i].write.idempotency_key = i == 2 ? "bad" : NULL;
        assert_int_equal(store_submit(scene->store, &writes[i].write), 0);
    }
    gate_open(&gate);
    for (size_t i = 0; i < 5; i++) {
        const struct task *loaded = NULL;
        assert_int_equal(fixture_wait(&writes[i]), i == 2 ? -EEXIST : STORE_WRITTEN);
        assert_int_equal(store_task(scene->store, tasks[i]->request->id, &loaded), 0);
        task_unref(loaded);
        task_unref(tasks[i]);
    }
    /* nothing of the bad one stayed behind */
    struct task *fresh = fixture_task("tenant-1", FIXTURE_MICROS);
    assert_int_equal(fixture_create_keyed(scene->store, fresh, "bad", 3, existing), STORE_WRITTEN);
    task_unref(fresh);
    task_unref(first);
}

static void a_full_queue_refuses_creates_only(void **state)
{
    struct scene *scene = *state;
    struct fixture_write *writes = must_calloc(STORE_QUEUE_MAX, sizeof *writes);
    struct fixture_write extra;
    struct gate gate;
    struct task *first = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *other = fixture_task("tenant-1", FIXTURE_MICROS);
    gate_shut(&gate, scene->store, first);
    for (size_t i = 0; i < STORE_QUEUE_MAX; i++) {
        fixture_write_init(&writes[i], STORE_CREATE, first);
        writes[i].write.idempotency_key = "same";
        assert_int_equal(store_submit(scene->store, &writes[i].write), 0);
    }
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, other), STORE_BUSY);
    fixture_write_init(&extra, STORE_UPDATE, first);
    assert_int_equal(store_submit(scene->store, &extra.write), 0);
    gate_open(&gate);
    for (size_t i = 0; i < STORE_QUEUE_MAX; i++)
        assert_int_equal(fixture_wait(&writes[i]), -EEXIST);
    assert_int_equal(fixture_wait(&extra), STORE_WRITTEN);
    free(writes);
    task_unref(other);
    task_unref(first);
}

static void closing_commits_what_waits(void **state)
{
    struct scene *scene = *state;
    struct fixture_write writes[20];
    struct task *tasks[20];
    for (size_t i = 0; i < 20; i++) {
        tasks[i] = fixture_task("tenant-1", FIXTURE_MICROS);
        fixture_write_init(&writes[i], STORE_CREATE, tasks[i]);
        assert_int_equal(store_submit(scene->store, &writes[i].write), 0);
    }
    scene_reopen(scene);
    for (size_t i = 0; i < 20; i++) {
        const struct task *loaded = NULL;
        assert_true(writes[i].is_done);
        assert_int_equal(fixture_wait(&writes[i]), STORE_WRITTEN);
        assert_int_equal(store_task(scene->store, tasks[i]->request->id, &loaded), 0);
        task_unref(loaded);
        task_unref(tasks[i]);
    }
}

/* ---- readers beside the writer ---- */

static void *read_on(void *argument)
{
    struct racer *racer = argument;
    struct store_list_query query = {.tenant = "tenant-1", .limit = PAGE};
    const struct task *page[PAGE];
    pthread_barrier_wait(racer->start);
    racer->result = 0;
    for (int i = 0; racer->result == 0 && i < 30; i++) {
        size_t count = 0;
        int64_t counts[TASK_STATE_COUNT];
        int64_t version;
        racer->result = store_list(racer->store, &query, page, &count);
        for (size_t j = 0; j < count; j++)
            task_unref(page[j]);
        if (racer->result == 0)
            racer->result = store_count_states(racer->store, counts);
        if (racer->result == 0)
            racer->result = store_version(racer->store, &version);
        if (racer->result == 0)
            racer->result = store_set_number(racer->store, "turn", i);
    }
    return NULL;
}

static void readers_and_writers_get_along(void **state)
{
    struct scene *scene = *state;
    struct racer readers[2 * STORE_READERS_MAX]; /* more than connections */
    pthread_barrier_t start;
    must(pthread_barrier_init(&start, NULL, 2 * STORE_READERS_MAX) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++) {
        readers[i].store = scene->store;
        readers[i].start = &start;
        must(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]) == 0);
    }
    for (int i = 0; i < 100; i++)
        scene_create(scene, "tenant-1", FIXTURE_MICROS + i);
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++) {
        must(pthread_join(readers[i].thread, NULL) == 0);
        assert_int_equal(readers[i].result, 0);
    }
    pthread_barrier_destroy(&start);
}

/* ---- death ---- */

/* In the child: creates without end, telling of each only when it is true. */
static _Noreturn void create_until_killed(struct scene *scene, int out)
{
    char error[STORE_ERROR_SIZE];
    if (store_open_with(scene->backend, scene->directory, &scene->store, error) != 0)
        _exit(1);
    for (;;) {
        struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
        if (fixture_write_now(scene->store, STORE_CREATE, task) != STORE_WRITTEN)
            _exit(1);
        if (write(out, task->request->id, ID_SHORT_SIZE) != ID_SHORT_SIZE)
            _exit(1);
        task_unref(task);
    }
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct scene *scene = *state;
    char ids[200][ID_SHORT_SIZE];
    int ends[2];
    int status;
    ssize_t got;
    scene->store = store_close(scene->store);
    must(pipe(ends) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        create_until_killed(scene, ends[1]);
    close(ends[1]);
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        got = read(ends[0], ids[i], ID_SHORT_SIZE);
        assert_int_equal(got, ID_SHORT_SIZE);
    }
    must(kill(child, SIGKILL) == 0);
    must(waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status));
    close(ends[0]);
    scene_open(scene);
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        const struct task *loaded = NULL;
        assert_int_equal(store_task(scene->store, ids[i], &loaded), 0);
        task_unref(loaded);
    }
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        SCENE_CASE(of_many_at_once_one_is_written),
        SCENE_CASE(waiting_writes_share_commits),
        SCENE_CASE(a_bad_row_harms_no_other),
        SCENE_CASE(a_full_queue_refuses_creates_only),
        SCENE_CASE(closing_commits_what_waits),
        SCENE_CASE(readers_and_writers_get_along),
        SCENE_CASE(what_was_acknowledged_survives_a_kill),
    };

    return scene_run(cases, ARRAY_LENGTH(cases));
}
