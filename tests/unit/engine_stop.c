/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine as a whole: its end with work under way, its next start, retention, and many tasks of
 * all kinds at once. */
#include "engine_stage.h"

#include <dirent.h>

#include "engine/engine_own.h"
#include "task_sample.h"

/* ---- stopping ---- */

static void what_is_under_way_is_parked_and_taken_up_again(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    stage_add(stage, "t1", "w", id);
    AWAIT(stage_progress(stage, id) > 0.69);
    stage_stop(stage, 0);
    atomic_store(&fake.percent, 20);
    const struct task *parked = stage_stored(stage, id);
    assert_int_equal(parked->state, TASK_QUEUED);
    assert_int_equal(parked->attempts, 0);
    assert_true(parked->progress > 0.69 && parked->started_ms > 0);
    task_unref(parked);
    stage_start(stage);
    AWAIT(fake_starts("w") == 2);
    int before = atomic_load(&fake.n_reports);
    AWAIT(atomic_load(&fake.n_reports) > before + 2);
    const struct task *again = stage_see(stage, id);
    assert_true(again->progress > 0.69 && again->attempts == 1);
    task_unref(again);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_state(stage, id) == TASK_COMPLETED);
    AWAIT(stage_unfinished(stage) == 0);
}

struct stopping {
    struct engine *engine;
    int64_t drain_ms;
    pthread_t thread;
    atomic_bool is_over;
};

static void *stop(void *argument)
{
    struct stopping *stopping = argument;
    engine_stop(stopping->engine, stopping->drain_ms);
    atomic_store(&stopping->is_over, true);
    return NULL;
}

static void stopping_begin(struct stopping *stopping, struct engine *engine, int64_t drain_ms)
{
    *stopping = (struct stopping){.engine = engine, .drain_ms = drain_ms};
    must(pthread_create(&stopping->thread, NULL, stop, stopping) == 0);
}

static void stopping_end(struct stopping *stopping, struct stage *stage)
{
    AWAIT(atomic_load(&stopping->is_over));
    must(pthread_join(stopping->thread, NULL) == 0);
    stage->engine = engine_free(stage->engine);
    stage->hub = hub_free(stage->hub);
}

static bool is_closing(struct stage *stage)
{
    struct engine_stats stats;
    engine_stats(stage->engine, &stats);
    return stats.is_closing;
}

static void a_drain_lets_work_finish_and_begins_no_other(void **state)
{
    struct stage *stage = *state;
    struct stopping stopping;
    char ids[2][ID_SHORT_SIZE];
    stage->settings->render_slots = 1;
    stage_start(stage);
    stage_add(stage, "t1", "w", ids[0]);
    AWAIT(stage_state(stage, ids[0]) == TASK_RENDERING);
    stage_add(stage, "t1", "d", ids[1]);
    stopping_begin(&stopping, stage->engine, 10 * FAKE_PATIENCE_MS);
    AWAIT(is_closing(stage));
    int before = atomic_load(&fake.n_reports);
    AWAIT(atomic_load(&fake.n_reports) > before + 20);
    assert_false(atomic_load(&stopping.is_over));
    atomic_store(&fake.gate_is_open, true);
    stopping_end(&stopping, stage);
    assert_int_equal(stage_stored_state(stage, ids[0]), TASK_COMPLETED);
    assert_int_equal(stage_stored_state(stage, ids[1]), TASK_QUEUED);
    assert_int_equal(fake_starts("d"), 0);
}

static void a_drain_can_be_hurried(void **state)
{
    struct stage *stage = *state;
    struct stopping stopping;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    stage_add(stage, "t1", "h", id);
    AWAIT(stage_state(stage, id) == TASK_RENDERING);
    stopping_begin(&stopping, stage->engine, 10 * FAKE_PATIENCE_MS);
    AWAIT(is_closing(stage));
    engine_hurry(stage->engine);
    stopping_end(&stopping, stage);
    assert_int_equal(stage_stored_state(stage, id), TASK_QUEUED);
    assert_int_equal(atomic_load(&fake.n_live), 0);
}

static void a_closed_engine_takes_nothing_and_works_on(void **state)
{
    struct stage *stage = *state;
    char ids[2][ID_SHORT_SIZE];
    stage_start(stage);
    stage_add(stage, "t1", "w", ids[0]);
    engine_close(stage->engine);
    assert_int_equal(stage_create(stage, stage_request("t1", "d"), NULL, ids[1]), ENGINE_CLOSING);
    assert_int_equal(stage_cancel(stage, "t1", ids[0]), ENGINE_CLOSING);
    assert_int_equal(stage_unfinished(stage), 1);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_state(stage, ids[0]) == TASK_COMPLETED);
}

static void cancels_are_answered_by_the_end(void **state)
{
    struct stage *stage = *state;
    struct cancelling cancelling;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    stage_add(stage, "t1", "h", id);
    AWAIT(stage_state(stage, id) == TASK_RENDERING);
    atomic_store(&ailment.failing, WRITES_TO(TASK_CANCELLED));
    cancelling_begin(&cancelling, stage->engine, "t1", id);
    AWAIT(atomic_load(&ailment.n_failed) > 0);
    stage_stop(stage, 0);
    assert_int_equal(cancelling_end(&cancelling), ENGINE_CLOSING);
    assert_int_equal(stage_stored_state(stage, id), TASK_RENDERING);
}

/* What was heard may be heard only once. */
static void a_drain_waits_for_what_is_not_durable_yet(void **state)
{
    struct stage *stage = *state;
    struct stopping stopping;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    atomic_store(&ailment.failing, WRITES_TO(TASK_COMPLETED));
    stage_add(stage, "t1", "d", id);
    AWAIT(atomic_load(&ailment.n_failed) > 0);
    stopping_begin(&stopping, stage->engine, 10 * FAKE_PATIENCE_MS);
    AWAIT(is_closing(stage));
    int before = atomic_load(&ailment.n_failed);
    AWAIT(atomic_load(&ailment.n_failed) > before + 1);
    assert_false(atomic_load(&stopping.is_over));
    atomic_store(&ailment.failing, 0);
    stopping_end(&stopping, stage);
    assert_int_equal(stage_stored_state(stage, id), TASK_COMPLETED);
    assert_int_equal(fake_starts("d"), 1);
}

static void a_full_disk_does_not_hold_the_end_up(void **state)
{
    struct stage *stage = *state;
    char ids[2][ID_SHORT_SIZE];
    stage_start(stage);
    stage_add(stage, "t1", "w", ids[0]);
    AWAIT(stage_state(stage, ids[0]) == TASK_RENDERING);
    atomic_store(&ailment.failing, WRITES_ALL & ~WRITES_CREATE);
    stage_add(stage, "t1", "w:2", ids[1]);
    AWAIT(atomic_load(&ailment.n_failed) > 0);
    stage_stop(stage, 0);
    assert_int_equal(stage_stored_state(stage, ids[0]), TASK_RENDERING);
    assert_int_equal(stage_stored_state(stage, ids[1]), TASK_QUEUED);
    atomic_store(&ailment.failing, 0);
    atomic_store(&fake.gate_is_open, true);
    stage_start(stage);
    AWAIT(stage_unfinished(stage) == 0);
    assert_int_equal(stage_stored_state(stage, ids[0]), TASK_COMPLETED);
    assert_int_equal(stage_stored_state(stage, ids[1]), TASK_COMPLETED);
}

/* ---- stopping while creates come ---- */

enum { CREATORS = 16, CREATES_MAX = 200, ROUNDS = 8 };

struct creator {
    struct stage *stage;
    pthread_t thread;
    atomic_int *n_created;
    struct creating creates[CREATES_MAX];
    char ids[CREATES_MAX][ID_SHORT_SIZE];
    int n_ok, n_creates;
};

static void *create_until_closed(void *argument)
{
    struct creator *creator = argument;
    enum engine_outcome outcome = ENGINE_OK;
    while (creator->n_creates < CREATES_MAX && outcome != ENGINE_CLOSING) {
        struct creating *creating = &creator->creates[creator->n_creates++];
        creating_begin(creating, creator->stage->engine, stage_request("t1", "h"), NULL);
        outcome = creating_end(creating, creator->ids[creator->n_ok]);
        must(outcome == ENGINE_OK || outcome == ENGINE_CLOSING);
        creator->n_ok += outcome == ENGINE_OK;
        atomic_fetch_add(creator->n_created, 1);
    }
    return NULL;
}

static void check_creator(struct creator *creator)
{
    for (int i = 0; i < creator->n_creates; i++) {
        assert_int_equal(atomic_load(&creator->creates[i].n_answers), 1);
    }
    for (int i = 0; i < creator->n_ok; i++) {
        assert_int_equal(stage_stored_state(creator->stage, creator->ids[i]), TASK_QUEUED);
    }
}

static void stop_among_creates(struct stage *stage, int n_before)
{
    atomic_int n_created = 0;
    struct creator *creators = must_calloc(CREATORS, sizeof *creators);
    stage_start(stage);
    for (int i = 0; i < CREATORS; i++) {
        creators[i].stage = stage;
        creators[i].n_created = &n_created;
        must(pthread_create(&creators[i].thread, NULL, create_until_closed, &creators[i]) == 0);
    }
    AWAIT(atomic_load(&n_created) >= n_before);
    engine_stop(stage->engine, 0);
    for (int i = 0; i < CREATORS; i++) {
        must(pthread_join(creators[i].thread, NULL) == 0);
        check_creator(&creators[i]);
    }
    stage->engine = engine_free(stage->engine);
    stage->hub = hub_free(stage->hub);
    free(creators);
}

static void each_create_is_answered_once_and_kept(void **state)
{
    struct stage *stage = *state;
    for (int round = 0; round < ROUNDS; round++) {
        stop_among_creates(stage, 5 + round * 5);
    }
}

/* A create that the database has until the engine is otherwise at its end. */
static void a_create_that_comes_last_is_kept(void **state)
{
    struct stage *stage = *state;
    struct creating creating = {.store = NULL};
    struct stopping stopping;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    atomic_store(&ailment.held, WRITES_CREATE);
    creating_begin(&creating, stage->engine, stage_request("t1", "d"), NULL);
    AWAIT(atomic_load(&ailment.n_held) == 1);
    stopping_begin(&stopping, stage->engine, 0);
    AWAIT(is_closing(stage));
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* most likely its loop is over */
    assert_false(atomic_load(&stopping.is_over));
    atomic_store(&ailment.held, 0);
    assert_int_equal(creating_end(&creating, id), ENGINE_OK);
    stopping_end(&stopping, stage);
    assert_int_equal(stage_stored_state(stage, id), TASK_QUEUED);
    stage_start(stage);
    AWAIT(stage_state(stage, id) == TASK_COMPLETED);
}

/* ---- starting ---- */

static void on_put(struct store_write *write)
{
    struct creating *creating = CONTAINER_OF(write, struct creating, create.write);
    must(sem_post(&creating->done) == 0);
}

static void put(struct stage *stage, enum store_write_kind kind, const struct task *task)
{
    struct creating creating = {.store = NULL};
    struct store_write *write = &creating.create.write;
    *write = (struct store_write){.kind = kind, .task = task, .done = on_put};
    must(sem_init(&creating.done, 0, 0) == 0);
    must(store_submit(stage->store, write) == 0);
    stage_wait_answer(&creating.done);
    must(write->result == STORE_WRITTEN);
    (void)sem_destroy(&creating.done);
}

/* A task as a process before this one left it. */
static struct task *left_task(const char *prompt, enum task_state state)
{
    struct task *task = task_new(stage_request("t1", prompt), clock_wall_ms() + 3600000);
    if (state == TASK_QUEUED) {
        return task;
    }
    task->state = state;
    task->revision = 5;
    task->attempts = 1;
    task->is_local = true;
    shared_text_set(&task->channel, "local");
    if (state != TASK_SUBMITTING) {
        task->started_ms = task->status_update_ms;
        task->progress = 0.5;
    }
    return task;
}

static void leave(struct stage *stage, struct task *task, char ret_id[ID_SHORT_SIZE])
{
    put(stage, STORE_CREATE, task);
    put(stage, STORE_UPDATE, task);
    (void)snprintf(ret_id, ID_SHORT_SIZE, "%s", task->request->id);
    task_unref(task);
}

static void left_work_is_taken_up_at_no_cost(void **state)
{
    static const enum task_state states[] = {TASK_QUEUED, TASK_SUBMITTING, TASK_RENDERING,
                                             TASK_FETCHING};
    struct stage *stage = *state;
    char ids[ARRAY_LENGTH(states)][ID_SHORT_SIZE], late[ID_SHORT_SIZE];
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        leave(stage, left_task("w", states[i]), ids[i]);
    }
    struct task *overdue = left_task("d", TASK_RENDERING);
    overdue->deadline_ms = overdue->status_update_ms;
    leave(stage, overdue, late);
    stage->settings->render_slots = 4;
    atomic_store(&fake.percent, 20);
    stage_start(stage);
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        AWAIT(stage_state(stage, ids[i]) == TASK_RENDERING);
        AWAIT(stage_progress(stage, ids[i]) > 0.19);
    }
    int before = atomic_load(&fake.n_reports);
    AWAIT(atomic_load(&fake.n_reports) > before + 8);
    assert_true(stage_progress(stage, ids[0]) < 0.21);
    assert_true(stage_progress(stage, ids[2]) > 0.49 && stage_progress(stage, ids[3]) > 0.49);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_unfinished(stage) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        const struct task *task = stage_stored(stage, ids[i]);
        assert_int_equal(task->state, TASK_COMPLETED);
        assert_int_equal(task->attempts, 1);
        task_unref(task);
    }
    const struct task *overtaken = stage_stored(stage, late);
    assert_int_equal(overtaken->failure, TASK_FAILURE_DEADLINE);
    assert_int_equal(fake_starts("d"), 0);
    task_unref(overtaken);
}

/* Nobody acts on what is heard of its job any more. Its channel is not configured, so nobody asks either. */
static void a_deadline_that_passes_during_a_stop_is_left_to_the_next_start(void **state)
{
    enum { SOON_MS = 2000, MARGIN_MS = 500 };
    struct stage *stage = *state;
    struct stopping stopping;
    char late[ID_SHORT_SIZE], held[ID_SHORT_SIZE];
    struct task *task = sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED);
    int64_t deadline_ms = clock_wall_ms() + SOON_MS;
    task->deadline_ms = deadline_ms;
    leave(stage, task, late);
    stage->settings->grace = 0;
    atomic_store(&ailment.held, WRITES_TO(TASK_SUBMITTING));
    stage_start(stage);
    stage_add(stage, "t1", "d", held);
    AWAIT(atomic_load(&ailment.n_held) == 1);
    stopping_begin(&stopping, stage->engine, 0);
    AWAIT(is_closing(stage));
    bool is_in_time = clock_wall_ms() + MARGIN_MS < deadline_ms; /* or the machine is slow */
    AWAIT(clock_wall_ms() > deadline_ms + MARGIN_MS);
    atomic_store(&ailment.held, 0);
    stopping_end(&stopping, stage);
    assert_true(!is_in_time || stage_stored_state(stage, late) == TASK_RENDERING);
    stage_start(stage);
    AWAIT(stage_has_ended(stage, late));
}

/* The interrupted one must be committed before it can queue again; those behind it need not. */
static void left_work_keeps_its_order(void **state)
{
    struct stage *stage = *state;
    char interrupted[ID_SHORT_SIZE], waiting[ID_SHORT_SIZE];
    stage_start(stage); /* the first start writes to the store itself */
    stage_stop(stage, 0);
    leave(stage, left_task("w", TASK_RENDERING), interrupted);
    leave(stage, left_task("d", TASK_QUEUED), waiting);
    stage->settings->render_slots = 1;
    atomic_store(&ailment.held, WRITES_TO(TASK_QUEUED));
    stage_start(stage);
    AWAIT(atomic_load(&ailment.n_held) == 1);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* many turns of its loop */
    atomic_store(&ailment.held, 0);
    AWAIT(fake_starts("w") == 1);
    assert_int_equal(fake_starts("d"), 0);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_unfinished(stage) == 0);
    assert_int_equal(stage_stored_state(stage, waiting), TASK_COMPLETED);
}

static void a_model_that_nobody_serves_any_more_fails(void **state)
{
    struct stage *stage = *state;
    char ids[2][ID_SHORT_SIZE];
    stage_load(stage, "channels:\n  - name: ours\n    adapter: animatic\n    models: [other-*]\n");
    leave(stage, left_task("d", TASK_QUEUED), ids[0]);
    stage_start(stage);
    struct task_request *served = stage_request("t1", "d:2");
    free(served->model);
    served->model = must_strdup("other-1");
    assert_int_equal(stage_create(stage, served, NULL, ids[1]), ENGINE_OK);
    AWAIT(stage_unfinished(stage) == 0);
    const struct task *gone = stage_stored(stage, ids[0]);
    const struct task *done = stage_stored(stage, ids[1]);
    assert_int_equal(gone->failure, TASK_FAILURE_CHANNEL_GONE);
    assert_int_equal(gone->attempts, 0);
    assert_int_equal(done->state, TASK_COMPLETED);
    assert_string_equal(shared_text_of(done->channel), "ours");
    task_unref(gone);
    task_unref(done);
}

/* ---- files of what was given up ---- */

/* Keeps both threads for blocking work busy, so that storing cannot begin. */
struct plug {
    struct blocking_job jobs[BLOCKING_THREADS];
    atomic_bool is_pulled;
    atomic_int n_working, n_finished;
};

static struct plug plug;

static void plug_work(struct blocking_job *job)
{
    (void)job;
    atomic_fetch_add(&plug.n_working, 1);
    while (!atomic_load(&plug.is_pulled)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void plug_finish(struct blocking_job *job)
{
    (void)job;
    atomic_fetch_add(&plug.n_finished, 1);
}

static void plug_in(struct stage *stage)
{
    memset(&plug, 0, sizeof plug);
    for (size_t i = 0; i < BLOCKING_THREADS; i++) {
        plug.jobs[i].work = plug_work;
        plug.jobs[i].finish = plug_finish;
        blocking_submit(stage->engine->blocking, &plug.jobs[i]);
    }
    AWAIT(atomic_load(&plug.n_working) == BLOCKING_THREADS);
}

static void pull_plug(void)
{
    atomic_store(&plug.is_pulled, true);
}

static void a_cancel_while_storing_leaves_no_files(void **state)
{
    struct stage *stage = *state;
    char ids[2][ID_SHORT_SIZE];
    stage->settings->render_slots = 1;
    stage_start(stage);
    plug_in(stage);
    stage_add(stage, "t1", "d", ids[0]);
    AWAIT(atomic_load(&fake.n_variants_ended) == 1);
    assert_int_equal(stage_cancel(stage, "t1", ids[0]), ENGINE_OK); /* does not wait for the disk */
    stage_add(stage, "t1", "d:2", ids[1]);
    AWAIT(atomic_load(&fake.n_variants_ended) == 2); /* the slot is free already */
    pull_plug();
    AWAIT(stage_state(stage, ids[1]) == TASK_COMPLETED);
    const struct task *task = stage_stored(stage, ids[1]);
    assert_true(stage_has_file(stage, task, UNIFIED_SOURCE));
    assert_int_equal(asset_erase_task(stage->assets, ids[1]), ASSET_OK);
    task_unref(task);
    stage_stop(stage, 0);
    assert_int_equal(atomic_load(&plug.n_finished), BLOCKING_THREADS);
    assert_int_equal(stage_count_assets(stage), 0);
}

static void an_end_while_storing_leaves_no_files(void **state)
{
    struct stage *stage = *state;
    struct stopping stopping;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    plug_in(stage);
    stage_add(stage, "t1", "d", id);
    AWAIT(atomic_load(&fake.n_variants_ended) == 1);
    stopping_begin(&stopping, stage->engine, 0);
    AWAIT(stage_stored_state(stage, id) == TASK_QUEUED);
    pull_plug();
    stopping_end(&stopping, stage);
    assert_int_equal(stage_count_assets(stage), 0);
    stage_start(stage);
    AWAIT(stage_state(stage, id) == TASK_COMPLETED);
    assert_int_equal(fake_starts("d"), 2);
}

/* ---- retention ---- */

#define HOUR_MS INT64_C(3600000)

/* A completed task that ended so long ago, and its file. */
static void leave_completed(struct stage *stage, int64_t age_ms, char ret_id[ID_SHORT_SIZE])
{
    struct asset_info info;
    char key[ASSET_KEY_MAX];
    struct task *task = left_task("d", TASK_FETCHING);
    int64_t then_ms = clock_wall_ms() - age_ms;
    task->request->created_micros = (then_ms - 1000) * 1000;
    task->state = TASK_COMPLETED;
    task->started_ms = task->ended_ms = task->status_update_ms = then_ms;
    task->progress = 1.0;
    task->result = (struct task_result){.width = FAKE_WIDTH,
                                        .height = FAKE_HEIGHT,
                                        .n_frames = FAKE_FRAMES,
                                        .duration_ms = FAKE_DURATION_MS,
                                        .stored_micros = then_ms * 1000};
    id_new("gen", task->result.generation_id, sizeof task->result.generation_id);
    (void)snprintf(key, sizeof key, "%s/%s/%s", task->request->id, task->result.generation_id,
                   UNIFIED_SOURCE);
    assert_int_equal(asset_put_bytes(stage->assets, key, "video/mp4", "v", 1, &info), ASSET_OK);
    leave(stage, task, ret_id);
}

static bool is_expired(struct stage *stage, const char *id)
{
    const struct task *task = stage_see(stage, id);
    bool is_expired = task->expired_ms != 0;
    task_unref(task);
    return is_expired;
}

/* The sweep that a start brings has been through when it has swept this: expiring
 * comes after erasing. */
static void sweep_once(struct stage *stage)
{
    char id[ID_SHORT_SIZE];
    leave_completed(stage, 2 * HOUR_MS, id);
    stage_start(stage);
    AWAIT(is_expired(stage, id));
    stage_stop(stage, 0);
}

static void results_expire_and_their_files_outlive_every_link(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage->settings->retention = 1000;
    stage->settings->links_valid_for = HOUR_MS;
    leave_completed(stage, HOUR_MS, id);
    sweep_once(stage);
    const struct task *task = stage_stored(stage, id);
    assert_true(task->expired_ms > 0);
    assert_int_equal(task->state, TASK_COMPLETED);
    stage->settings->links_valid_for = 1; /* links signed before live on */
    sweep_once(stage);
    assert_true(stage_has_file(stage, task, UNIFIED_SOURCE));
    assert_int_equal(store_set_number(stage->store, "links.valid_for.longest", 0), 0);
    sweep_once(stage);
    assert_false(stage_has_file(stage, task, UNIFIED_SOURCE));
    task_unref(task);
}

static void results_stay_until_their_age(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage->settings->retention = HOUR_MS + HOUR_MS / 2;
    leave_completed(stage, HOUR_MS, id);
    sweep_once(stage);
    const struct task *task = stage_stored(stage, id);
    assert_int_equal(task->expired_ms, 0);
    task_unref(task);
}

/* An uploaded file with bytes, created and ended so long ago; shown, or left over. */
static void leave_file(struct stage *stage, int64_t age_ms, int64_t ended_ms, bool is_shown,
                       char ret_id[ID_SHORT_SIZE])
{
    static const struct store_file_limits limits = {10, 1000};
    int64_t now_ms = clock_wall_ms();
    struct asset_info info;
    char key[ASSET_KEY_MAX];
    struct store_file file = {.tenant = "a", .type = "image/png", .bytes = 1};
    id_new("file", file.id, sizeof file.id);
    file.created_ms = now_ms - age_ms;
    file.expires_ms = now_ms - ended_ms;
    assert_int_equal(store_file_add(stage->store, &file, &limits), 0);
    assert_true(!is_shown || store_file_show(stage->store, file.id) == 0);
    (void)snprintf(key, sizeof key, "%s/original.png", file.id);
    assert_int_equal(asset_put_bytes(stage->assets, key, "image/png", "v", 1, &info), ASSET_OK);
    memcpy(ret_id, file.id, sizeof file.id);
}

static bool has_bytes(struct stage *stage, const char *file_id)
{
    struct asset_info info;
    char key[ASSET_KEY_MAX];
    int fd = -1;
    (void)snprintf(key, sizeof key, "%s/original.png", file_id);
    int outcome = asset_get(stage->assets, key, &fd, &info);
    close_fd(&fd);
    return outcome == ASSET_OK;
}

static void uploaded_files_go_when_their_time_is_over(void **state)
{
    struct stage *stage = *state;
    char kept[ID_SHORT_SIZE], ended[ID_SHORT_SIZE], fresh[ID_SHORT_SIZE], cut_off[ID_SHORT_SIZE];
    stage->settings->retention = 1000;
    leave_file(stage, 3 * HOUR_MS, -HOUR_MS, true, kept);
    leave_file(stage, 3 * HOUR_MS, 1000, true, ended);
    leave_file(stage, HOUR_MS / 2, -HOUR_MS, false, fresh); /* its upload may go on */
    leave_file(stage, 2 * HOUR_MS, -HOUR_MS, false, cut_off);
    sweep_once(stage);
    assert_true(has_bytes(stage, kept) && has_bytes(stage, fresh));
    assert_false(has_bytes(stage, ended) || has_bytes(stage, cut_off));
    assert_int_equal(store_file_forget(stage->store, ended), STORE_NOT_FOUND);
    assert_int_equal(store_file_forget(stage->store, cut_off), STORE_NOT_FOUND);
    assert_int_equal(store_file_forget(stage->store, kept), 0);
}

static void the_longest_life_of_a_link_is_on_record(void **state)
{
    struct stage *stage = *state;
    int64_t longest_ms = 0;
    stage->settings->links_valid_for = 2 * HOUR_MS;
    stage->settings->files_keep = 5 * HOUR_MS;
    assert_int_equal(engine_longest_valid_for(stage->store, stage->settings, &longest_ms), 0);
    assert_int_equal(longest_ms, 5 * HOUR_MS);
    stage_start(stage);
    stage_stop(stage, 0);
    stage->settings->files_keep = HOUR_MS; /* those that were signed live on */
    assert_int_equal(engine_longest_valid_for(stage->store, stage->settings, &longest_ms), 0);
    assert_int_equal(longest_ms, 5 * HOUR_MS);
    stage->settings->links_valid_for = 9 * HOUR_MS;
    assert_int_equal(engine_longest_valid_for(stage->store, stage->settings, &longest_ms), 0);
    assert_int_equal(longest_ms, 9 * HOUR_MS);
}

/* ---- a storm ---- */

enum { STORM_TENANTS = 5, STORM_TASKS = 40 /* of each */ };

struct tenant {
    struct stage *stage;
    pthread_t thread;
    char name[8];
    uint32_t dice;
    char ids[STORM_TASKS][ID_SHORT_SIZE];
};

static uint32_t throw(struct tenant * tenant, uint32_t sides)
{
    tenant->dice = tenant->dice * 1664525U + 1013904223U;
    return (tenant->dice >> 16) % sides;
}

static void *live(void *argument)
{
    static const char letters[] = "dddddddcsnbfrxizvhh";
    struct tenant *tenant = argument;
    for (int i = 0; i < STORM_TASKS; i++) {
        char prompt[FAKE_PROMPT_SIZE];
        char a = letters[throw(tenant, sizeof letters - 1)];
        char b = letters[throw(tenant, sizeof letters - 1)];
        (void)snprintf(prompt, sizeof prompt, "%c%c:%s-%d", a, b, tenant->name, i);
        must(stage_create(tenant->stage, stage_request(tenant->name, prompt), NULL,
                          tenant->ids[i]) == ENGINE_OK);
        /* All that would never end, and some others. */
        if (a == 'h' || b == 'h' || throw(tenant, 8) == 0) {
            enum engine_outcome outcome = stage_cancel(tenant->stage, tenant->name, tenant->ids[i]);
            must(outcome == ENGINE_OK || outcome == ENGINE_CONFLICT);
        }
    }
    return NULL;
}

static int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    must(directory != NULL);
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static void all_end_in_a_storm(void **state)
{
    struct stage *stage = *state;
    struct tenant *tenants = must_calloc(STORM_TENANTS, sizeof *tenants);
    int n_descriptors = count_descriptors();
    stage->settings->render_slots = 8;
    stage_start(stage);
    for (uint32_t i = 0; i < STORM_TENANTS; i++) {
        tenants[i].stage = stage;
        tenants[i].dice = i + 1;
        (void)snprintf(tenants[i].name, sizeof tenants[i].name, "t%u", i);
        must(pthread_create(&tenants[i].thread, NULL, live, &tenants[i]) == 0);
    }
    for (int i = 0; i < STORM_TENANTS; i++) {
        must(pthread_join(tenants[i].thread, NULL) == 0);
    }
    AWAIT(stage_unfinished(stage) == 0);
    for (int i = 0; i < STORM_TENANTS * STORM_TASKS; i++) {
        const char *id = tenants[i / STORM_TASKS].ids[i % STORM_TASKS];
        assert_true(task_state_is_end(stage_stored_state(stage, id)));
        assert_int_equal(stage_state(stage, id), stage_stored_state(stage, id));
    }
    struct engine_stats stats;
    engine_stats(stage->engine, &stats);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.running, 0);
    stage_stop(stage, 0);
    /* What the database keeps open for reading may grow. */
    assert_true(count_descriptors() <= n_descriptors + 2 * STORE_READERS_MAX);
    free(tenants);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_CASE(what_is_under_way_is_parked_and_taken_up_again),
        STAGE_CASE(a_drain_lets_work_finish_and_begins_no_other),
        STAGE_CASE(a_drain_can_be_hurried),
        STAGE_CASE(a_closed_engine_takes_nothing_and_works_on),
        STAGE_CASE(cancels_are_answered_by_the_end),
        STAGE_CASE(a_drain_waits_for_what_is_not_durable_yet),
        STAGE_CASE(a_full_disk_does_not_hold_the_end_up),
        STAGE_CASE(each_create_is_answered_once_and_kept),
        STAGE_CASE(a_create_that_comes_last_is_kept),
        STAGE_CASE(left_work_is_taken_up_at_no_cost),
        STAGE_CASE(a_deadline_that_passes_during_a_stop_is_left_to_the_next_start),
        STAGE_CASE(left_work_keeps_its_order),
        STAGE_CASE(a_model_that_nobody_serves_any_more_fails),
        STAGE_CASE(a_cancel_while_storing_leaves_no_files),
        STAGE_CASE(an_end_while_storing_leaves_no_files),
        STAGE_CASE(results_expire_and_their_files_outlive_every_link),
        STAGE_CASE(results_stay_until_their_age),
        STAGE_CASE(uploaded_files_go_when_their_time_is_over),
        STAGE_CASE(the_longest_life_of_a_link_is_on_record),
        STAGE_CASE(all_end_in_a_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
