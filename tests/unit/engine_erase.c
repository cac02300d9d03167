/* SPDX-License-Identifier: Apache-2.0
 *
 * Erasing ended tasks through the engine: what is left, who may, what a failing store and a second erasure make of it, and
 * what an expiry that was on its way does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>

#include "engine_stage.h"

struct erasing {
    struct engine_erase erase;
    sem_t done;
};

static void erasing_done(struct engine_erase *erase)
{
    must(sem_post(&CONTAINER_OF(erase, struct erasing, erase)->done) == 0);
}

static void erasing_begin(struct erasing *erasing, struct stage *stage, const char *tenant,
                          const char *id)
{
    *erasing = (struct erasing){.erase = {.done = erasing_done}};
    (void)snprintf(erasing->erase.id, sizeof erasing->erase.id, "%s", id);
    (void)snprintf(erasing->erase.tenant, sizeof erasing->erase.tenant, "%s", tenant);
    must(sem_init(&erasing->done, 0, 0) == 0);
    engine_erase(stage->engine, &erasing->erase);
}

static enum engine_outcome erasing_end(struct erasing *erasing)
{
    stage_wait_answer(&erasing->done);
    enum engine_outcome outcome = erasing->erase.outcome;
    must((erasing->erase.task != NULL) == (outcome == ENGINE_CONFLICT));
    task_unref(erasing->erase.task);
    (void)sem_destroy(&erasing->done);
    return outcome;
}

static enum engine_outcome stage_erase(struct stage *stage, const char *tenant, const char *id)
{
    struct erasing erasing;
    erasing_begin(&erasing, stage, tenant, id);
    return erasing_end(&erasing);
}

static bool is_found(struct stage *stage, const char *id)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome = engine_task(stage->engine, id, &task, &figures);
    task_unref(task);
    return outcome == ENGINE_OK;
}

static void complete(struct stage *stage, char ret_id[ID_SHORT_SIZE])
{
    stage_add(stage, "t1", "d", ret_id);
    AWAIT(stage_state(stage, ret_id) == TASK_COMPLETED);
}

/* ---- the usual ---- */

static void an_ended_task_goes_with_its_files(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    complete(stage, id);
    assert_true(stage_count_assets(stage) > 0);
    assert_int_equal(stage_erase(stage, "t2", id), ENGINE_NOT_FOUND);
    assert_true(is_found(stage, id));
    assert_int_equal(stage_erase(stage, "t1", id), ENGINE_OK);
    assert_int_equal(stage_count_assets(stage), 0);
    assert_false(is_found(stage, id));
    assert_int_equal(stage_erase(stage, "t1", id), ENGINE_NOT_FOUND);
    assert_int_equal(stage_cancel(stage, "t1", id), ENGINE_NOT_FOUND);
    const struct task *left = stage_stored(stage, id);
    assert_int_equal(left->state, TASK_COMPLETED);
    assert_true(left->deleted_ms > 0);
    assert_string_equal(left->request->prompt, "");
    assert_string_equal(left->request->tenant, "t1");
    task_unref(left);
    stage_stop(stage, 0);
    stage_start(stage); /* from the store alone it is not found either */
    assert_false(is_found(stage, id));
    assert_int_equal(stage_erase(stage, "", id), ENGINE_NOT_FOUND);
}

static void an_unfinished_task_is_kept(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage->settings->render_slots = 1;
    stage_start(stage);
    stage_add(stage, "t1", "w", id);
    AWAIT(stage_state(stage, id) == TASK_RENDERING);
    assert_int_equal(stage_erase(stage, "t1", id), ENGINE_CONFLICT);
    assert_int_equal(stage_erase(stage, "t1", "task_01k6x15vhrff09dkkqjrzwhm60"), ENGINE_NOT_FOUND);
    assert_int_equal(stage_state(stage, id), TASK_RENDERING);
    assert_int_equal(stage_cancel(stage, "t1", id), ENGINE_OK);
    assert_int_equal(stage_erase(stage, "", id), ENGINE_OK); /* an operator's */
    assert_false(is_found(stage, id));
}

static void a_key_makes_no_other_task(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE], again[ID_SHORT_SIZE], key[] = "key";
    stage_start(stage);
    assert_int_equal(stage_create(stage, stage_request("t1", "d"), key, id), ENGINE_OK);
    AWAIT(stage_state(stage, id) == TASK_COMPLETED);
    assert_int_equal(stage_create(stage, stage_request("t1", "d"), key, again), ENGINE_REPEATED);
    assert_int_equal(stage_erase(stage, "t1", id), ENGINE_OK);
    assert_int_equal(stage_create(stage, stage_request("t1", "d"), key, again), ENGINE_DELETED);
    assert_int_equal(fake_starts("d"), 1);
}

/* ---- trouble ---- */

static void a_store_that_fails_keeps_all(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    complete(stage, id);
    int n_files = stage_count_assets(stage);
    atomic_store(&ailment.failing, WRITES_ALL);
    assert_int_equal(stage_erase(stage, "t1", id), ENGINE_STORE_FAILED);
    assert_true(is_found(stage, id));
    assert_int_equal(stage_count_assets(stage), n_files);
    atomic_store(&ailment.failing, 0);
    assert_int_equal(stage_erase(stage, "t1", id), ENGINE_OK);
}

static void of_two_at_once_one_is_told(void **state)
{
    struct stage *stage = *state;
    struct erasing first, second;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    complete(stage, id);
    atomic_store(&ailment.held, WRITES_TO(TASK_COMPLETED));
    erasing_begin(&first, stage, "t1", id);
    erasing_begin(&second, stage, "t1", id);
    AWAIT(atomic_load(&ailment.n_held) > 0);
    atomic_store(&ailment.held, 0);
    enum engine_outcome outcomes[] = {erasing_end(&first), erasing_end(&second)};
    assert_int_equal(outcomes[0] + outcomes[1], ENGINE_OK + ENGINE_NOT_FOUND);
    assert_false(is_found(stage, id));
}

/* Its expiry is before it with the store, and of the same revision. */
static void an_expiry_on_its_way_changes_nothing(void **state)
{
    struct stage *stage = *state;
    struct erasing erasing;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    complete(stage, id);
    stage_stop(stage, 0);
    stage->settings->retention = 1;
    atomic_store(&ailment.held, WRITES_TO(TASK_COMPLETED));
    stage_start(stage);
    AWAIT(atomic_load(&ailment.n_held) > 0);
    assert_true(is_found(stage, id)); /* in memory, as it was before */
    erasing_begin(&erasing, stage, "t1", id);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* many turns of its loop */
    atomic_store(&ailment.held, 0);
    assert_int_equal(erasing_end(&erasing), ENGINE_OK);
    assert_false(is_found(stage, id));
    const struct task *left = stage_stored(stage, id);
    assert_true(left->deleted_ms > 0);
    task_unref(left);
}

static void the_end_answers_whoever_waits(void **state)
{
    struct stage *stage = *state;
    struct erasing erasing;
    char id[ID_SHORT_SIZE];
    stage_start(stage);
    complete(stage, id);
    erasing_begin(&erasing, stage, "t1", id);
    engine_close(stage->engine);
    assert_int_equal(stage_erase(stage, "t1", id), ENGINE_CLOSING);
    stage_stop(stage, 0);
    enum engine_outcome outcome = erasing_end(&erasing);
    assert_true(outcome == ENGINE_OK || outcome == ENGINE_CLOSING);
}

/* A crash came between the record and the files. */
static void a_start_erases_what_was_left(void **state)
{
    struct stage *stage = *state;
    struct asset_info info;
    char id[ID_SHORT_SIZE], key[ASSET_KEY_MAX];
    stage_start(stage);
    complete(stage, id);
    assert_int_equal(stage_erase(stage, "t1", id), ENGINE_OK);
    stage_stop(stage, 0);
    (void)snprintf(key, sizeof key, "%s/gen_01k6x1bffaf3dr786harh8maqt/source.mp4", id);
    assert_int_equal(asset_put_bytes(stage->assets, key, "video/mp4", "v", 1, &info), ASSET_OK);
    char path[STAGE_PATH_SIZE + 16];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/filmgate.db", stage->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE tasks SET erased = 0", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    stage_start(stage);
    AWAIT(stage_count_assets(stage) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_CASE(an_ended_task_goes_with_its_files),
        STAGE_CASE(an_unfinished_task_is_kept),
        STAGE_CASE(a_key_makes_no_other_task),
        STAGE_CASE(a_store_that_fails_keeps_all),
        STAGE_CASE(of_two_at_once_one_is_told),
        STAGE_CASE(an_expiry_on_its_way_changes_nothing),
        STAGE_CASE(the_end_answers_whoever_waits),
        STAGE_CASE(a_start_erases_what_was_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
