/* SPDX-License-Identifier: Apache-2.0
 *
 * What one tenant may have: the counts by themselves, around midnight and under many threads; then in
 * the engine, where places are taken by creates and given back by ends. */
#include "engine_stage.h"

#include "engine/engine_own.h"
#include "engine/quota.h"

#define DAY_MS ((int64_t)QUOTA_DAY_MS)
#define TODAY INT64_C(20367)
#define NOON_MS (TODAY * DAY_MS + DAY_MS / 2)

/* ---- days ---- */

static void days_change_at_midnight(void **state)
{
    (void)state;
    static const struct {
        int64_t now_ms, day, left_s;
    } rows[] = {
        {0, 0, 86400},
        {1, 0, 86400},
        {1000, 0, 86399},
        {DAY_MS - 1001, 0, 2},
        {DAY_MS - 1000, 0, 1},
        {DAY_MS - 1, 0, 1},
        {DAY_MS, 1, 86400},
        {INT64_C(1759763426875), 20367, 31774}, /* 2025-10-06T15:10:26.875Z */
        {-1, -1, 1},
        {-DAY_MS, -1, 86400},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_int_equal(quota_day(rows[i].now_ms), rows[i].day);
        assert_int_equal(quota_day_left_s(rows[i].now_ms), rows[i].left_s);
    }
}

/* ---- counts ---- */

static struct quota *new_quota(int64_t in_flight, int64_t per_day)
{
    return quota_new(&(struct quota_limits){.in_flight = in_flight, .per_day = per_day});
}

static void places_are_limited_and_come_back(void **state)
{
    (void)state;
    struct quota *quota = new_quota(2, 0);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_IN_FLIGHT);
    assert_int_equal(quota_take(quota, "b", NOON_MS), QUOTA_TAKEN);
    quota_release(quota, "a");
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_IN_FLIGHT);
    quota_undo(quota, "a", NOON_MS);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    quota_free(quota);
}

static void a_day_is_limited_whatever_has_ended(void **state)
{
    (void)state;
    struct quota *quota = new_quota(3, 2);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    quota_release(quota, "a");
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    quota_undo(quota, "a", NOON_MS); /* made no task: not counted */
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_DAY);
    assert_int_equal(quota_take(quota, "b", NOON_MS), QUOTA_TAKEN);
    /* the next day, and the one after */
    assert_int_equal(quota_take(quota, "a", NOON_MS + DAY_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", NOON_MS + DAY_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", NOON_MS + DAY_MS), QUOTA_DAY);
    quota_release(quota, "a");
    quota_release(quota, "a");
    assert_int_equal(quota_take(quota, "a", NOON_MS + 2 * DAY_MS), QUOTA_TAKEN);
    quota_free(quota);
}

/* Who has used up the day is told so, even if something could be cancelled. */
static void the_day_is_said_first(void **state)
{
    (void)state;
    struct quota *quota = new_quota(1, 1);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_DAY);
    assert_int_equal(quota_take(quota, "a", NOON_MS + DAY_MS), QUOTA_IN_FLIGHT);
    quota_free(quota);
}

static void zero_is_no_limit(void **state)
{
    (void)state;
    struct quota *quota = new_quota(0, 0);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    quota_free(quota);
}

/* Threads meet midnight in any order; each counts on the day that its task was created. */
static void midnight_may_be_met_in_any_order(void **state)
{
    (void)state;
    struct quota *quota = new_quota(0, 2);
    const int64_t midnight_ms = (TODAY + 1) * DAY_MS;
    assert_int_equal(quota_take(quota, "a", midnight_ms - 1), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", midnight_ms), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", midnight_ms - 1), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", midnight_ms), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", midnight_ms - 1), QUOTA_DAY);
    assert_int_equal(quota_take(quota, "a", midnight_ms), QUOTA_DAY);
    quota_undo(quota, "a", midnight_ms - 1); /* gives nothing to the new day */
    assert_int_equal(quota_take(quota, "a", midnight_ms), QUOTA_DAY);
    assert_int_equal(quota_take(quota, "a", midnight_ms - 1), QUOTA_TAKEN);
    quota_free(quota);
}

static void a_clock_that_jumps_holds_nobody_up(void **state)
{
    (void)state;
    struct quota *quota = new_quota(0, 1);
    const int64_t far_ms = NOON_MS + 3000 * DAY_MS;
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", far_ms), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "a", far_ms), QUOTA_DAY);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    quota_undo(quota, "a", far_ms); /* whose count is another day's now */
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_DAY);
    quota_free(quota);
}

static void a_start_fills_in_what_was_before(void **state)
{
    (void)state;
    struct quota *quota = new_quota(2, 10);
    for (int i = 0; i < 3; i++) /* as many as an earlier, higher limit allowed */
        quota_restore(quota, "a");
    quota_restore_day(quota, "b", TODAY, 9);
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_IN_FLIGHT);
    quota_release(quota, "a");
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_IN_FLIGHT);
    quota_release(quota, "a");
    assert_int_equal(quota_take(quota, "a", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "b", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_take(quota, "b", NOON_MS), QUOTA_DAY);
    quota_free(quota);
}

/* ---- what is remembered ---- */

static void live_one(struct quota *quota, int number, int64_t now_ms)
{
    char name[16];
    (void)snprintf(name, sizeof name, "t%d", number);
    assert_int_equal(quota_take(quota, name, now_ms), QUOTA_TAKEN);
    quota_release(quota, name);
}

static void who_has_nothing_is_forgotten(void **state)
{
    (void)state;
    struct quota *uncounted = new_quota(1, 0);
    for (int i = 0; i < 5000; i++)
        live_one(uncounted, i, NOON_MS);
    assert_int_equal(quota_tenants(uncounted), 0);
    assert_int_equal(quota_take(uncounted, "a", NOON_MS), QUOTA_TAKEN);
    assert_int_equal(quota_tenants(uncounted), 1);
    quota_undo(uncounted, "a", NOON_MS);
    assert_int_equal(quota_tenants(uncounted), 0);
    quota_free(uncounted);

    struct quota *counted = new_quota(1, 1);
    for (int i = 0; i < 5000; i++)
        live_one(counted, i, NOON_MS);
    assert_int_equal(quota_tenants(counted), 5000);
    assert_int_equal(quota_take(counted, "long", NOON_MS), QUOTA_TAKEN);
    live_one(counted, 0, NOON_MS + 2 * DAY_MS);
    assert_int_equal(quota_tenants(counted), 2);
    quota_release(counted, "long"); /* the last that was known of it */
    assert_int_equal(quota_tenants(counted), 1);
    quota_free(counted);
}

/* ---- many threads ---- */

enum { TAKERS = 64, TAKES = 2000, LIMIT = TAKERS * TAKES / 2 };

struct taker {
    struct quota *quota;
    pthread_barrier_t *start;
    pthread_t thread;
    int n_taken;
};

static void *take_many(void *argument)
{
    struct taker *taker = argument;
    (void)pthread_barrier_wait(taker->start);
    for (int i = 0; i < TAKES; i++)
        taker->n_taken += quota_take(taker->quota, "a", NOON_MS) == QUOTA_TAKEN;
    return NULL;
}

static int take_from_many_threads(struct quota *quota)
{
    struct taker takers[TAKERS];
    pthread_barrier_t start;
    int n_taken = 0;
    must(pthread_barrier_init(&start, NULL, TAKERS) == 0);
    for (int i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.quota = quota, .start = &start};
        must(pthread_create(&takers[i].thread, NULL, take_many, &takers[i]) == 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        must(pthread_join(takers[i].thread, NULL) == 0);
        n_taken += takers[i].n_taken;
    }
    pthread_barrier_destroy(&start);
    return n_taken;
}

static void limits_are_exact_among_threads(void **state)
{
    (void)state;
    struct quota *places = new_quota(LIMIT, 0), *day = new_quota(0, LIMIT);
    assert_int_equal(take_from_many_threads(places), LIMIT);
    assert_int_equal(take_from_many_threads(day), LIMIT);
    quota_free(places);
    quota_free(day);
}

/* ---- in the engine ---- */

/* The noon of the day that this program began on: a midnight that passes meanwhile changes nothing. */
static int64_t noon_micros;

static enum engine_outcome try_create(struct stage *stage, const char *tenant, const char *prompt,
                                      char *key, char ret_id[ID_SHORT_SIZE])
{
    struct task_request *request = stage_request(tenant, prompt);
    request->created_micros = noon_micros;
    return stage_create(stage, request, key, ret_id);
}

static void a_tenant_at_its_limit_leaves_others_alone(void **state)
{
    struct stage *stage = *state;
    char ids[3][ID_SHORT_SIZE], id[ID_SHORT_SIZE];
    stage->settings->tenant_in_flight = 2;
    stage_start(stage);
    stage_add(stage, "t1", "w", ids[0]);
    stage_add(stage, "t1", "w:2", ids[1]);
    assert_int_equal(try_create(stage, "t1", "d", NULL, id), ENGINE_TENANT_FULL);
    stage_add(stage, "t2", "w", ids[2]);
    assert_int_equal(stage_unfinished(stage), 3);
    assert_int_equal(stage_cancel(stage, "t1", ids[0]), ENGINE_OK);
    stage_add(stage, "t1", "w:3", id);
    assert_int_equal(try_create(stage, "t1", "d", NULL, id), ENGINE_TENANT_FULL);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_has_ended(stage, ids[1]));
    stage_add(stage, "t1", "d", id); /* who sees the end finds the place */
    AWAIT(stage_unfinished(stage) == 0);
}

/* Whoever sees an end creates at once, again and again: there is always room. */
static void an_end_is_seen_after_its_place_is_free(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage->settings->tenant_in_flight = 1;
    stage->settings->queue = 1;
    stage_start(stage);
    for (int i = 0; i < 50; i++) {
        char prompt[FAKE_PROMPT_SIZE];
        (void)snprintf(prompt, sizeof prompt, "%c:%d", i % 2 ? 'd' : 'f', i);
        stage_add(stage, "t1", prompt, id);
        int64_t since_ms = clock_mono_ms();
        while (!stage_has_ended(stage, id)) /* without a pause, to see it as soon as it can be */
            must(clock_mono_ms() - since_ms < FAKE_PATIENCE_MS);
    }
}

static void a_cancelled_place_is_free_in_the_answer(struct engine_cancel *cancel)
{
    struct quota *quota = cancel->engine->quota;
    must(quota_take(quota, "t1", clock_wall_ms()) == QUOTA_TAKEN);
    quota_undo(quota, "t1", clock_wall_ms());
    cancelling_done(cancel);
}

static void a_cancel_frees_the_place_before_its_answer(void **state)
{
    struct stage *stage = *state;
    struct cancelling cancelling;
    char id[ID_SHORT_SIZE];
    stage->settings->tenant_in_flight = 1;
    stage_start(stage);
    stage_add(stage, "t1", "h", id);
    cancelling_begin_with(&cancelling, stage->engine, "t1", id,
                          a_cancelled_place_is_free_in_the_answer);
    assert_int_equal(cancelling_end(&cancelling), ENGINE_OK);
}

static void a_known_key_is_answered_at_the_limit(void **state)
{
    struct stage *stage = *state;
    char key[] = "known", fresh[] = "fresh", first[ID_SHORT_SIZE], id[ID_SHORT_SIZE];
    stage->settings->tenant_in_flight = 1;
    stage->settings->tenant_per_day = 2;
    stage_start(stage);
    assert_int_equal(try_create(stage, "t1", "h", key, first), ENGINE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(try_create(stage, "t1", "h", key, id), ENGINE_REPEATED);
        assert_string_equal(id, first);
    }
    assert_int_equal(try_create(stage, "t1", "d", key, id), ENGINE_CONFLICT);
    assert_int_equal(try_create(stage, "t1", "d", fresh, id), ENGINE_TENANT_FULL);
    assert_int_equal(stage_cancel(stage, "t1", first), ENGINE_OK);
    /* the day has one left, for none of those was counted; then it is over, but for the known */
    assert_int_equal(try_create(stage, "t1", "h", key, id), ENGINE_REPEATED);
    assert_int_equal(try_create(stage, "t1", "h:2", fresh, id), ENGINE_OK);
    assert_int_equal(try_create(stage, "t1", "h", NULL, id), ENGINE_TENANT_DAY);
    assert_int_equal(try_create(stage, "t1", "h", key, id), ENGINE_REPEATED);
    assert_string_equal(id, first);
    assert_int_equal(stage_unfinished(stage), 1);
}

static void what_made_no_task_is_not_counted(void **state)
{
    struct stage *stage = *state;
    char key[] = "key", first[ID_SHORT_SIZE], id[ID_SHORT_SIZE];
    stage->settings->tenant_in_flight = 2;
    stage->settings->tenant_per_day = 2;
    stage_start(stage);
    atomic_store(&ailment.failing, WRITES_CREATE);
    for (int i = 0; i < 5; i++)
        assert_int_equal(try_create(stage, "t1", "h", NULL, id), ENGINE_STORE_FAILED);
    atomic_store(&ailment.failing, 0);
    assert_int_equal(try_create(stage, "t1", "h", key, first), ENGINE_OK);
    for (int i = 0; i < 5; i++) { /* below the limit, where they take a place for a while */
        assert_int_equal(try_create(stage, "t1", "h", key, id), ENGINE_REPEATED);
        assert_int_equal(try_create(stage, "t1", "d", key, id), ENGINE_CONFLICT);
    }
    stage->settings->queue = 1;
    for (int i = 0; i < 5; i++)
        assert_int_equal(try_create(stage, "t1", "h", NULL, id), ENGINE_FULL);
    stage->settings->queue = 100;
    assert_int_equal(try_create(stage, "t1", "h:2", NULL, id), ENGINE_OK);
    assert_int_equal(try_create(stage, "t1", "h", NULL, id), ENGINE_TENANT_DAY);
    assert_int_equal(stage_unfinished(stage), 2);
}

/* The day of a refused create is the day it was made on, to the second. */
static void the_day_says_when_it_is_over(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    stage->settings->tenant_per_day = 1;
    stage_start(stage);
    const int64_t last_micros = (quota_day(clock_wall_ms()) + 1) * DAY_MS * 1000 - 1500000;
    for (int i = 0; i < 2; i++) {
        struct task_request *request = stage_request("t1", "h");
        struct creating creating = {.store = NULL};
        request->created_micros = last_micros;
        creating_begin(&creating, stage->engine, request, NULL);
        assert_int_equal(creating_end(&creating, id), i == 0 ? ENGINE_OK : ENGINE_TENANT_DAY);
        assert_int_equal(creating.create.retry_after_s, i == 0 ? 0 : 2);
    }
    struct task_request *tomorrow = stage_request("t1", "h:2");
    tomorrow->created_micros = last_micros + 1500000;
    assert_int_equal(stage_create(stage, tomorrow, NULL, id), ENGINE_OK);
}

/* By the clock of this machine, for the start reads it; false when the day ended meanwhile. */
static bool is_refused_for_the_day(struct stage *stage, int64_t day)
{
    char id[ID_SHORT_SIZE];
    enum engine_outcome outcome = stage_create(stage, stage_request("t1", "d"), NULL, id);
    if (quota_day(clock_wall_ms()) != day)
        return false;
    assert_int_equal(outcome, ENGINE_TENANT_DAY);
    return true;
}

/* The stop and the start between two looks; a killed process leaves the same store. */
static void counts_survive_a_restart(void **state)
{
    struct stage *stage = *state;
    char id[ID_SHORT_SIZE];
    const int64_t day = quota_day(clock_wall_ms());
    stage->settings->tenant_in_flight = 2;
    stage->settings->tenant_per_day = 3;
    stage->settings->deadline = 3 * DAY_MS;
    stage_start(stage);
    struct task_request *yesterdays = stage_request("t1", "w:0");
    yesterdays->created_micros = day * DAY_MS * 1000 - 1;
    assert_int_equal(stage_create(stage, yesterdays, NULL, id), ENGINE_OK);
    stage_add(stage, "t1", "w:1", id);
    stage_stop(stage, 0);
    stage_start(stage);
    assert_int_equal(stage_create(stage, stage_request("t1", "d"), NULL, id), ENGINE_TENANT_FULL);
    stage_add(stage, "t2", "w:3", id);
    atomic_store(&fake.gate_is_open, true);
    AWAIT(stage_unfinished(stage) == 0);
    for (int i = 0; i < 2; i++) { /* the second and the third of today */
        stage_stop(stage, 0);
        stage_start(stage);
        stage_add(stage, "t1", "d", id);
        AWAIT(stage_has_ended(stage, id));
    }
    stage_stop(stage, 0);
    stage_start(stage);
    if (is_refused_for_the_day(stage, day))
        stage_add(stage, "t2", "d", id);
}

/* ---- many at once ---- */

enum { CROWD = 64, CROWD_LIMIT = 20 };

struct crowd {
    struct stage *stage;
    pthread_t thread;
    int number;
    enum engine_outcome outcome;
};

static void *crowd_in(void *argument)
{
    struct crowd *crowd = argument;
    char key[16], id[ID_SHORT_SIZE];
    (void)snprintf(key, sizeof key, "key-%d", crowd->number);
    /* Every other one has a key: it asks the store also when there is no place. */
    crowd->outcome = try_create(crowd->stage, "t1", "h", crowd->number % 2 ? key : NULL, id);
    return NULL;
}

static int crowd_in_all(struct stage *stage, enum engine_outcome refusal)
{
    struct crowd crowd[CROWD];
    int n_accepted = 0;
    stage_start(stage);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct crowd){.stage = stage, .number = i};
        must(pthread_create(&crowd[i].thread, NULL, crowd_in, &crowd[i]) == 0);
    }
    for (int i = 0; i < CROWD; i++) {
        must(pthread_join(crowd[i].thread, NULL) == 0);
        assert_true(crowd[i].outcome == ENGINE_OK || crowd[i].outcome == refusal);
        n_accepted += crowd[i].outcome == ENGINE_OK;
    }
    assert_int_equal(stage_unfinished(stage), n_accepted);
    return n_accepted;
}

static void no_more_are_accepted_however_many_come(void **state)
{
    struct stage *stage = *state;
    stage->settings->tenant_in_flight = CROWD_LIMIT;
    assert_int_equal(crowd_in_all(stage, ENGINE_TENANT_FULL), CROWD_LIMIT);
}

static void no_more_in_a_day_however_many_come(void **state)
{
    struct stage *stage = *state;
    stage->settings->tenant_per_day = CROWD_LIMIT;
    assert_int_equal(crowd_in_all(stage, ENGINE_TENANT_DAY), CROWD_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_change_at_midnight),
        cmocka_unit_test(places_are_limited_and_come_back),
        cmocka_unit_test(a_day_is_limited_whatever_has_ended),
        cmocka_unit_test(the_day_is_said_first),
        cmocka_unit_test(zero_is_no_limit),
        cmocka_unit_test(midnight_may_be_met_in_any_order),
        cmocka_unit_test(a_clock_that_jumps_holds_nobody_up),
        cmocka_unit_test(a_start_fills_in_what_was_before),
        cmocka_unit_test(who_has_nothing_is_forgotten),
        cmocka_unit_test(limits_are_exact_among_threads),
        STAGE_CASE(a_tenant_at_its_limit_leaves_others_alone),
        STAGE_CASE(an_end_is_seen_after_its_place_is_free),
        STAGE_CASE(a_cancel_frees_the_place_before_its_answer),
        STAGE_CASE(a_known_key_is_answered_at_the_limit),
        STAGE_CASE(what_made_no_task_is_not_counted),
        STAGE_CASE(the_day_says_when_it_is_over),
        STAGE_CASE(counts_survive_a_restart),
        STAGE_CASE(no_more_are_accepted_however_many_come),
        STAGE_CASE(no_more_in_a_day_however_many_come),
    };
    noon_micros = (quota_day(clock_wall_ms()) * DAY_MS + DAY_MS / 2) * 1000;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
