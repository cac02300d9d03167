/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of tasks in the engine: creating, waiting, attempts and their ends, cancelling,
 * deadlines, and a database that fails for a while. */
#include "engine_stage.h"

#include "base/codec.h"

/* ---- creating ---- */

static void a_create_is_durable_before_its_answer(void **state)
{
    struct stage *stage = *state;
    stage_start(stage);
    struct creating creating = {.store = stage->store};
    creating_begin(&creating, stage->engine, stage_request("t1", "d"), NULL);
    char id[ID_SHORT_SIZE];
    assert_int_equal(creating_end(&creating, id), ENGINE_OK);
    assert_true(creating.was_durable);
    AWAIT(stage_state(stage, id) == TASK_COMPLETED);
}

static void a_create_that_cannot_be_stored_is_refused(void **state)
{
    struct stage *stage = *state;
    stage_start(stage);
    atomic_store(&ailment.failing, WRITES_CREATE);
    char id[ID_SHORT_SIZE];
    assert_int_equal(stage_create(stage, stage_request("t1", "d"), NULL, id), ENGINE_STORE_FAILED);
    AWAIT(stage_unfinished(stage) == 0);
    atomic_store(&ailment.failing, 0);
    stage_add(stage, "t1", "d", id);
    AWAIT(stage_state(stage, id) == TASK_COMPLETED);
}

static void the_queue_has_a_bound_and_places_come_back(void **state)
{
    struct stage *stage = *state;
    stage->settings->queue = 2;
    stage_start(stage);
    char ids[2][ID_SHORT_SIZE], id[ID_SHORT_SIZE];
    stage_add(stage, "t1", "w", ids[0]);
    stage_add(stage, "t2", "w", ids[1]);
    assert_int_equal(stage_create(stage, stage_request("t3", "d"), NULL, id), ENGINE_FULL);
    assert_int_equal(stage_unfinished(stage), 2);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_has_ended(stage, ids[0]) && stage_has_ended(stage, ids[1]));
    AWAIT(stage_unfinished(stage) == 0);
    stage_add(stage, "t3", "d", id);
    AWAIT(stage_unfinished(stage) == 0);
}

enum { REPEATERS = 64 };

struct repeater {
    struct stage *stage;
    pthread_t thread;
    char id[ID_SHORT_SIZE];
    enum engine_outcome outcome;
};

static void *repeat(void *argument)
{
    struct repeater *repeater = argument;
    char key[] = "the same key";
    repeater->outcome = stage_create(repeater->stage, stage_request("t1", "d"), key, repeater->id);
    return NULL;
}

static void one_idempotency_key_makes_one_task(void **state)
{
    struct stage *stage = *state;
    struct repeater repeaters[REPEATERS];
    int n_ok = 0;
    stage_start(stage);
    for (int i = 0; i < REPEATERS; i++) {
        repeaters[i].stage = stage;
        must(pthread_create(&repeaters[i].thread, NULL, repeat, &repeaters[i]) == 0);
    }
    for (int i = 0; i < REPEATERS; i++) {
        must(pthread_join(repeaters[i].thread, NULL) == 0);
        n_ok += repeaters[i].outcome == ENGINE_OK;
        assert_true(repeaters[i].outcome == ENGINE_OK || repeaters[i].outcome == ENGINE_REPEATED);
        assert_string_equal(repeaters[i].id, repeaters[0].id);
    }
    assert_int_equal(n_ok, 1);
    char key[] = "the same key", id[ID_SHORT_SIZE];
    assert_int_equal(stage_create(stage, stage_request("t1", "d:other"), key, id), ENGINE_CONFLICT);
    AWAIT(stage_unfinished(stage) == 0);
    assert_int_equal(fake_starts("d"), 1);
}

/* ---- the queue ---- */

static bool is_at(struct stage *stage, const char *id, int64_t position)
{
    return stage_figures(stage, id).queue_position == position;
}

static void who_waits_sees_its_place(void **state)
{
    struct stage *stage = *state;
    stage->settings->render_slots = 1;
    stage_start(stage);
    char ids[4][ID_SHORT_SIZE];
    stage_add(stage, "t1", "w", ids[0]);
    AWAIT(stage_state(stage, ids[0]) == TASK_RENDERING);
    stage_add(stage, "t1", "d:1", ids[1]);
    stage_add(stage, "t1", "d:2", ids[2]);
    struct task_request *urgent = stage_request("t1", "d:3");
    urgent->priority = 9;
    assert_int_equal(stage_create(stage, urgent, NULL, ids[3]), ENGINE_OK);
    AWAIT(is_at(stage, ids[3], 1) && is_at(stage, ids[1], 2) && is_at(stage, ids[2], 3));
    assert_int_equal(stage_figures(stage, ids[0]).queue_position, 0);
    assert_true(stage_figures(stage, ids[1]).wait_s < 0);
    struct engine_stats stats;
    engine_stats(stage->engine, &stats);
    assert_int_equal(stats.queued, 3);
    assert_int_equal(stats.running, 1);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_unfinished(stage) == 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(stage_state(stage, ids[i]), TASK_COMPLETED);
        assert_int_equal(stage_figures(stage, ids[i]).queue_position, 0);
    }
}

static void a_wait_is_guessed_from_what_renderings_took(void **state)
{
    struct stage *stage = *state;
    stage->settings->render_slots = 1;
    stage_start(stage);
    char ids[3][ID_SHORT_SIZE];
    stage_add(stage, "t1", "d", ids[0]);
    AWAIT(stage_unfinished(stage) == 0);
    stage_add(stage, "t1", "h", ids[1]);
    stage_add(stage, "t1", "d:2", ids[2]);
    AWAIT(is_at(stage, ids[2], 1) && stage_figures(stage, ids[2]).wait_s > 0);
}

/* ---- attempts ---- */

static void a_result_is_stored_with_its_variants(void **state)
{
    struct stage *stage = *state;
    stage_start(stage);
    char ids[2][ID_SHORT_SIZE];
    struct task_request *marked = stage_request("t1", "d:marked");
    marked->has_watermark_wish = marked->watermark = true;
    stage_add(stage, "t1", "d", ids[0]);
    assert_int_equal(stage_create(stage, marked, NULL, ids[1]), ENGINE_OK);
    AWAIT(stage_unfinished(stage) == 0);
    for (int i = 0; i < 2; i++) {
        const struct task *task = stage_stored(stage, ids[i]);
        assert_int_equal(task->state, TASK_COMPLETED);
        assert_int_equal(task->result.width, FAKE_WIDTH);
        assert_int_equal(task->result.n_frames, FAKE_FRAMES);
        assert_int_equal(task->attempts, 1);
        assert_int_equal(task->result.has_watermark, i == 1);
        assert_true(stage_has_file(stage, task, UNIFIED_SOURCE));
        assert_true(stage_has_file(stage, task, UNIFIED_THUMBNAIL));
        assert_true(stage_has_file(stage, task, UNIFIED_PREVIEW));
        assert_true(stage_has_file(stage, task, UNIFIED_SPRITESHEET));
        assert_true(stage_has_file(stage, task, UNIFIED_MEDIUM));
        assert_int_equal(stage_has_file(stage, task, UNIFIED_MARKED), i == 1);
        task_unref(task);
    }
}

static void attempts_end_as_they_must(void **state)
{
    static const struct {
        const char *script;
        enum task_state state;
        enum task_failure failure;
        int n_starts;
    } rows[] = {
        {"ccd", TASK_COMPLETED, TASK_FAILURE_NONE, 3},
        {"snd", TASK_COMPLETED, TASK_FAILURE_NONE, 3},
        {"rd", TASK_COMPLETED, TASK_FAILURE_NONE, 2},
        {"xd", TASK_COMPLETED, TASK_FAILURE_NONE, 2},
        {"vd", TASK_COMPLETED, TASK_FAILURE_NONE, 2},
        {"c", TASK_FAILED, TASK_FAILURE_RENDER_CRASHED, 3},
        {"r", TASK_FAILED, TASK_FAILURE_RENDER_CRASHED, 3},
        {"s", TASK_FAILED, TASK_FAILURE_RENDER_STALLED, 3},
        {"n", TASK_FAILED, TASK_FAILURE_STORAGE, 3},
        {"v", TASK_FAILED, TASK_FAILURE_STORAGE, 3},
        {"b", TASK_FAILED, TASK_FAILURE_IMAGE_INVALID, 1},
        {"f", TASK_FAILED, TASK_FAILURE_RENDER_FAILED, 1},
        {"t", TASK_FAILED, TASK_FAILURE_OUTPUT_TOO_LARGE, 1},
        {"m", TASK_FAILED, TASK_FAILURE_RENDER_MEMORY, 1},
        {"i", TASK_FAILED, TASK_FAILURE_OUTPUT_INVALID, 1},
        {"z", TASK_FAILED, TASK_FAILURE_OUTPUT_INVALID, 1},
    };
    struct stage *stage = *state;
    char ids[ARRAY_LENGTH(rows)][ID_SHORT_SIZE];
    stage_start(stage);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        stage_add(stage, "t1", rows[i].script, ids[i]);
    }
    AWAIT(stage_unfinished(stage) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct task *task = stage_stored(stage, ids[i]);
        assert_int_equal(task->state, rows[i].state);
        assert_int_equal(task->failure, rows[i].failure);
        assert_int_equal(task->attempts, rows[i].n_starts);
        assert_int_equal(fake_starts(rows[i].script), rows[i].n_starts);
        task_unref(task);
    }
}

static void attempts_keep_their_distance(void **state)
{
    struct stage *stage = *state;
    stage->settings->backoff = 60;
    stage_start(stage);
    char id[ID_SHORT_SIZE];
    stage_add(stage, "t1", "c", id);
    AWAIT(stage_unfinished(stage) == 0);
    assert_int_equal(fake_starts("c"), 3);
    assert_true(fake_pause_ms("c", 1) >= 60);
    assert_true(fake_pause_ms("c", 2) >= 120);
}

static void a_bad_image_is_told_with_its_note(void **state)
{
    struct stage *stage = *state;
    char ids[2][ID_SHORT_SIZE];
    stage_start(stage);
    stage_add(stage, "t1", "b", ids[0]);
    stage_add(stage, "t1", "u", ids[1]); /* cut inside a character, as a fixed field may be */
    AWAIT(stage_unfinished(stage) == 0);
    const struct task *whole = stage_stored(stage, ids[0]);
    const struct task *cut = stage_stored(stage, ids[1]);
    assert_string_equal(shared_text_of(whole->failure_note), "Image 1: it is torn.");
    assert_int_equal(cut->failure, TASK_FAILURE_IMAGE_INVALID);
    assert_true(codec_is_utf8(shared_text_of(cut->failure_note),
                              strlen(shared_text_of(cut->failure_note))));
    task_unref(whole);
    task_unref(cut);
}

static void progress_never_falls(void **state)
{
    struct stage *stage = *state;
    stage_start(stage);
    char id[ID_SHORT_SIZE];
    stage_add(stage, "t1", "w", id);
    AWAIT(stage_progress(stage, id) > 0.69);
    atomic_store(&fake.percent, 20);
    int before = atomic_load(&fake.n_reports);
    AWAIT(atomic_load(&fake.n_reports) > before + 2);
    assert_true(stage_progress(stage, id) > 0.69 && stage_progress(stage, id) < 0.71);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_state(stage, id) == TASK_COMPLETED);
}

/* ---- input images ---- */

static struct task_request *with_image(const char *prompt, const char *url, const char *key)
{
    struct task_request *request = stage_request("t1", prompt);
    request->n_images = 1;
    request->images = must_calloc(1, sizeof *request->images);
    id_new("media", request->images[0].media_id, sizeof request->images[0].media_id);
    if (url) {
        request->images[0].url = must_strdup(url);
        return request;
    }
    char whole[ASSET_KEY_MAX];
    (void)snprintf(whole, sizeof whole, "%s/%s", request->id, key);
    request->images[0].key = must_strdup(whole);
    request->images[0].sha256 = must_strdup("00");
    return request;
}

static void inputs_are_brought_or_told_missing(void **state)
{
    struct stage *stage = *state;
    char ids[3][ID_SHORT_SIZE];
    struct asset_info info;
    stage_start(stage);
    struct task_request *stored = with_image("d:stored", NULL, "one.png");
    assert_int_equal(
        asset_put_bytes(stage->assets, stored->images[0].key, "image/png", "PNG", 3, &info),
        ASSET_OK);
    struct task_request *missing = with_image("d:missing", NULL, "none.png");
    struct task_request *forbidden = with_image("d:private", "http://127.0.0.1:9/x.png", NULL);
    assert_int_equal(stage_create(stage, stored, NULL, ids[0]), ENGINE_OK);
    assert_int_equal(stage_create(stage, missing, NULL, ids[1]), ENGINE_OK);
    assert_int_equal(stage_create(stage, forbidden, NULL, ids[2]), ENGINE_OK);
    AWAIT(stage_unfinished(stage) == 0);
    assert_int_equal(stage_state(stage, ids[0]), TASK_COMPLETED);
    assert_int_equal(atomic_load(&fake.n_images), 1);
    const struct task *lost = stage_stored(stage, ids[1]);
    assert_int_equal(lost->failure, TASK_FAILURE_STORAGE);
    assert_int_equal(lost->attempts, 3);
    task_unref(lost);
    const struct task *refused = stage_stored(stage, ids[2]);
    assert_int_equal(refused->failure, TASK_FAILURE_IMAGE_FORBIDDEN);
    assert_string_equal(shared_text_of(refused->failure_note),
                        "Image 1: its address is not a public one.");
    assert_int_equal(refused->attempts, 1);
    task_unref(refused);
}

/* ---- cancelling ---- */

static void cancels_reach_whatever_has_not_ended(void **state)
{
    struct stage *stage = *state;
    stage->settings->render_slots = 1;
    stage_start(stage);
    char running[ID_SHORT_SIZE], queued[ID_SHORT_SIZE], next[ID_SHORT_SIZE];
    stage_add(stage, "t1", "h", running);
    stage_add(stage, "t1", "d", queued);
    AWAIT(stage_state(stage, running) == TASK_RENDERING);
    assert_int_equal(stage_cancel(stage, "t2", running), ENGINE_NOT_FOUND);
    assert_int_equal(stage_cancel(stage, "t1", "task_01k6x15vhrff09dkkqjrzwhm60"),
                     ENGINE_NOT_FOUND);
    assert_int_equal(stage_cancel(stage, "t1", queued), ENGINE_OK);
    assert_int_equal(stage_stored_state(stage, queued), TASK_CANCELLED);
    assert_int_equal(stage_state(stage, running), TASK_RENDERING);
    assert_int_equal(stage_cancel(stage, "", running), ENGINE_OK); /* an operator's */
    assert_int_equal(stage_stored_state(stage, running), TASK_CANCELLED);
    AWAIT(atomic_load(&fake.n_live) == 0);
    assert_int_equal(fake_starts("d"), 0);
    stage_add(stage, "t1", "d:next", next);
    AWAIT(stage_state(stage, next) == TASK_COMPLETED); /* the slot is free again */
    assert_int_equal(stage_cancel(stage, "t1", next), ENGINE_CONFLICT);
    assert_int_equal(stage_cancel(stage, "t2", next), ENGINE_NOT_FOUND);
    assert_int_equal(stage_cancel(stage, "t1", queued), ENGINE_OK); /* once more */
    AWAIT(stage_unfinished(stage) == 0);
}

enum { IMPATIENCE = 20 };

/* More happens while a commit hangs than an actor has room for, were each kept. */
static void cancels_wait_for_a_commit_however_many(void **state)
{
    struct stage *stage = *state;
    struct cancelling cancels[IMPATIENCE];
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    atomic_store(&ailment.held, WRITES_TO(TASK_RENDERING));
    stage_add(stage, "t1", "h", id);
    AWAIT(atomic_load(&ailment.n_held) == 1);
    for (int i = 0; i < IMPATIENCE; i++) {
        cancelling_begin(&cancels[i], stage->engine, "t1", id);
        int before = atomic_load(&fake.n_reports);
        AWAIT(atomic_load(&fake.n_reports) > before + 1);
    }
    assert_int_not_equal(stage_state(stage, id), TASK_CANCELLED);
    atomic_store(&ailment.held, 0);
    for (int i = 0; i < IMPATIENCE; i++) {
        assert_int_equal(cancelling_end(&cancels[i]), ENGINE_OK);
    }
    AWAIT(stage_unfinished(stage) == 0);
    AWAIT(atomic_load(&fake.n_live) == 0); /* the place is free before its renderer is stopped */
}

static void a_cancel_that_comes_too_late_learns_the_end(void **state)
{
    struct stage *stage = *state;
    struct cancelling cancelling;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    atomic_store(&ailment.held, WRITES_TO(TASK_COMPLETED));
    stage_add(stage, "t1", "d", id);
    AWAIT(atomic_load(&ailment.n_held) == 1);
    cancelling_begin(&cancelling, stage->engine, "t1", id);
    atomic_store(&ailment.held, 0);
    assert_int_equal(cancelling_end(&cancelling), ENGINE_CONFLICT);
    assert_int_equal(stage_stored_state(stage, id), TASK_COMPLETED);
}

static void the_cancelled_takes_no_slot_when_its_pause_is_over(void **state)
{
    struct stage *stage = *state;
    struct cancelling cancelling;
    char ids[2][ID_SHORT_SIZE];
    stage->settings->render_slots = 1;
    stage->settings->backoff = 300;
    stage_start(stage);
    atomic_store(&ailment.failing, WRITES_TO(TASK_CANCELLED));
    stage_add(stage, "t1", "c", ids[0]);
    AWAIT(fake_starts("c") == 1 && stage_state(stage, ids[0]) == TASK_QUEUED);
    cancelling_begin(&cancelling, stage->engine, "t1", ids[0]);
    AWAIT(atomic_load(&ailment.n_failed) > 0);
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL); /* at least the pause */
    stage_add(stage, "t1", "d", ids[1]);
    AWAIT(stage_state(stage, ids[1]) == TASK_COMPLETED);
    assert_int_equal(stage_state(stage, ids[0]), TASK_QUEUED); /* not durable yet */
    atomic_store(&ailment.failing, 0);
    assert_int_equal(cancelling_end(&cancelling), ENGINE_OK);
}

/* ---- deadlines ---- */

static void deadlines_pass_in_the_queue_and_in_work(void **state)
{
    struct stage *stage = *state;
    char working[ID_SHORT_SIZE], waiting[ID_SHORT_SIZE];
    stage->settings->render_slots = 1;
    stage->settings->deadline = 700;
    stage_start(stage);
    stage_add(stage, "t1", "h", working);
    AWAIT(stage_state(stage, working) == TASK_RENDERING);
    struct task_request *later = stage_request("t1", "h:waiting");
    later->created_micros -= 600000; /* so that it is over first */
    assert_int_equal(stage_create(stage, later, NULL, waiting), ENGINE_OK);
    AWAIT(stage_unfinished(stage) == 0);
    const struct task *worked = stage_stored(stage, working);
    const struct task *waited = stage_stored(stage, waiting);
    assert_int_equal(worked->failure, TASK_FAILURE_DEADLINE);
    assert_int_equal(worked->attempts, 1);
    assert_int_equal(waited->failure, TASK_FAILURE_DEADLINE);
    assert_int_equal(waited->attempts, 0);
    AWAIT(atomic_load(&fake.n_live) == 0);
    task_unref(worked);
    task_unref(waited);
}

/* ---- a failing database ---- */

static void an_outcome_outlives_a_full_disk(void **state)
{
    struct stage *stage = *state;
    char ids[2][ID_SHORT_SIZE];
    stage_start(stage);
    atomic_store(&ailment.failing, WRITES_TO(TASK_COMPLETED) | WRITES_TO(TASK_FAILED));
    stage_add(stage, "t1", "d", ids[0]);
    stage_add(stage, "t1", "f", ids[1]);
    AWAIT(atomic_load(&ailment.n_failed) >= 4); /* each was tried again */
    assert_int_equal(stage_state(stage, ids[0]), TASK_FETCHING);
    assert_int_equal(stage_stored_state(stage, ids[0]), TASK_FETCHING);
    assert_int_equal(stage_state(stage, ids[1]), TASK_RENDERING);
    assert_int_equal(stage_unfinished(stage), 2);
    atomic_store(&ailment.failing, 0);
    AWAIT(stage_unfinished(stage) == 0);
    assert_int_equal(stage_stored_state(stage, ids[0]), TASK_COMPLETED);
    assert_int_equal(stage_stored_state(stage, ids[1]), TASK_FAILED);
    assert_int_equal(fake_starts("d"), 1);
}

static void nothing_happens_before_its_commit(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    atomic_store(&ailment.failing, WRITES_TO(TASK_SUBMITTING));
    stage_add(stage, "t1", "d", id);
    AWAIT(atomic_load(&ailment.n_failed) >= 2);
    assert_int_equal(fake_starts("d"), 0);
    assert_int_equal(stage_state(stage, id), TASK_QUEUED);
    atomic_store(&ailment.failing, 0);
    AWAIT(stage_state(stage, id) == TASK_COMPLETED);
}

/* The files come home while the cancel that overtook them is being committed. */
/* Answered on the loop's thread, which also counts: what is seen here is what a client's next create meets. */
static void look_at_places(struct engine_cancel *cancel)
{
    struct engine_stats stats;
    engine_stats(cancel->engine, &stats);
    must(stats.unfinished == 0);
    cancelling_done(cancel);
}

static void a_cancelled_place_is_free_when_the_answer_comes(void **state)
{
    struct stage *stage = *state;
    struct cancelling cancelling;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    stage_add(stage, "t1", "h", id);
    cancelling_begin_with(&cancelling, stage->engine, "t1", id, look_at_places);
    assert_int_equal(cancelling_end(&cancelling), ENGINE_OK);
}

static void a_result_that_a_cancel_overtook_leaves_nothing(void **state)
{
    struct stage *stage = *state;
    struct cancelling cancelling;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    stage_add(stage, "t1", "y", id);
    AWAIT(stage_state(stage, id) == TASK_FETCHING);
    atomic_store(&ailment.held, WRITES_TO(TASK_CANCELLED));
    cancelling_begin(&cancelling, stage->engine, "t1", id);
    AWAIT(atomic_load(&ailment.n_held) > 0);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_count_assets(stage) >= 8); /* four files, and what is known of each */
    /* The loop is to hear of it before the commit: too short a pause would only test less. */
    nanosleep(&(struct timespec){.tv_nsec = 300 * 1000 * 1000}, NULL);
    atomic_store(&ailment.held, 0);
    assert_int_equal(cancelling_end(&cancelling), ENGINE_OK);
    AWAIT(stage_unfinished(stage) == 0);
    stage_stop(stage, 0);
    assert_int_equal(stage_count_assets(stage), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_CASE(a_create_is_durable_before_its_answer),
        STAGE_CASE(a_create_that_cannot_be_stored_is_refused),
        STAGE_CASE(the_queue_has_a_bound_and_places_come_back),
        STAGE_CASE(one_idempotency_key_makes_one_task),
        STAGE_CASE(who_waits_sees_its_place),
        STAGE_CASE(a_wait_is_guessed_from_what_renderings_took),
        STAGE_CASE(a_result_is_stored_with_its_variants),
        STAGE_CASE(attempts_end_as_they_must),
        STAGE_CASE(attempts_keep_their_distance),
        STAGE_CASE(a_bad_image_is_told_with_its_note),
        STAGE_CASE(progress_never_falls),
        STAGE_CASE(inputs_are_brought_or_told_missing),
        STAGE_CASE(cancels_reach_whatever_has_not_ended),
        STAGE_CASE(cancels_wait_for_a_commit_however_many),
        STAGE_CASE(a_cancel_that_comes_too_late_learns_the_end),
        STAGE_CASE(the_cancelled_takes_no_slot_when_its_pause_is_over),
        STAGE_CASE(deadlines_pass_in_the_queue_and_in_work),
        STAGE_CASE(an_outcome_outlives_a_full_disk),
        STAGE_CASE(nothing_happens_before_its_commit),
        STAGE_CASE(a_cancelled_place_is_free_when_the_answer_comes),
        STAGE_CASE(a_result_that_a_cancel_overtook_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
