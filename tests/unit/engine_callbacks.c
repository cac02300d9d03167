/* SPDX-License-Identifier: Apache-2.0
 *
 * Upstreams that call back: how callbacks come to who listens, and what an attempt that polls makes of them. */
#include "asset/callback_link.h"
#include "engine/callbacks.h"
#include "engine/remote_own.h"
#include "engine_remote_stage.h"

static const char OTHER[] = "att_01k6x15wq5fe3t1k0n8x1z8h3n";

/* ---- how they come ---- */

struct counter {
    struct callback_listener listener;
    int n_calls;
};

static void count(struct callback_listener *listener)
{
    CONTAINER_OF(listener, struct counter, listener)->n_calls++;
}

/* What HTTP threads left for the loop. */
static void deliver(void)
{
    struct loop_job *job = TAKE(stage.posted);
    if (job) {
        job->run(job);
    }
}

static void who_listens_is_called_once_for_many(void **state)
{
    (void)state;
    struct callbacks *callbacks = callbacks_new(NULL);
    struct counter one = {{.attempt_id = SAMPLE_ATTEMPT, .called = count}, 0};
    struct counter other = {{.attempt_id = OTHER, .called = count}, 0};
    callbacks_add_listener(callbacks, &one.listener);
    callbacks_add_listener(callbacks, &one.listener);
    callbacks_add_listener(callbacks, &other.listener);
    for (int i = 0; i < 1000; i++) {
        callbacks_hear(callbacks, SAMPLE_ATTEMPT); /* one job is posted: the stage sees to it */
    }
    deliver();
    assert_int_equal(one.n_calls, 1);
    assert_int_equal(other.n_calls, 0);
    callbacks_hear(callbacks, SAMPLE_ATTEMPT);
    callbacks_hear(callbacks, OTHER);
    deliver();
    assert_int_equal(one.n_calls, 2);
    assert_int_equal(other.n_calls, 1);
    callbacks_remove_listener(&one.listener);
    callbacks_remove_listener(&one.listener);
    callbacks_hear(callbacks, SAMPLE_ATTEMPT);
    deliver();
    assert_int_equal(one.n_calls, 2);
    callbacks_remove_listener(&other.listener);
    callbacks_free(callbacks);
}

static void one_is_found_among_many(void **state)
{
    (void)state;
    enum { MANY = 4000 };
    struct callbacks *callbacks = callbacks_new(NULL);
    struct counter *all = must_calloc(MANY, sizeof *all);
    char(*ids)[ID_SHORT_SIZE] = must_calloc(MANY, sizeof *ids);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "att_01k6x15vhrff09dkkqjrzw%04u",
                       (unsigned)i % 10000);
        all[i].listener = (struct callback_listener){.attempt_id = ids[i], .called = count};
        callbacks_add_listener(callbacks, &all[i].listener);
    }
    for (int i = 0; i < MANY; i += 7) {
        callbacks_hear(callbacks, ids[i]);
        deliver();
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(all[i].n_calls, i % 7 == 0);
        callbacks_remove_listener(&all[i].listener);
    }
    callbacks_free(callbacks);
    free(ids);
    free(all);
}

static void beyond_the_bound_they_are_forgotten(void **state)
{
    (void)state;
    struct callbacks *callbacks = callbacks_new(NULL);
    struct counter late = {{.attempt_id = SAMPLE_ATTEMPT, .called = count}, 0};
    char id[ID_SHORT_SIZE];
    callbacks_add_listener(callbacks, &late.listener);
    for (int i = 0; i < CALLBACKS_MAX; i++) {
        (void)snprintf(id, sizeof id, "att_01k6x15vhrff09dkkqjrzw%04u", (unsigned)i % 10000);
        callbacks_hear(callbacks, id);
    }
    callbacks_hear(callbacks, SAMPLE_ATTEMPT);
    deliver();
    assert_int_equal(late.n_calls, 0);
    callbacks_hear(callbacks, SAMPLE_ATTEMPT);
    deliver();
    assert_int_equal(late.n_calls, 1);
    callbacks_remove_listener(&late.listener);
    callbacks_free(callbacks);
}

/* ---- what an attempt makes of them ---- */

/* At least, of the adapter "calling": the first poll, and from one to the next. */
enum { PLANNED_MS = 2700 * 1000, NEXT_MS = 900 * 1000 };

static void begin_calling(struct place *place, enum attempt_state state, const struct turn *turns)
{
    ROOM.callbacks = callbacks_new(NULL);
    begin(place, "calling", sample_upstream_task(TASK_RENDERING, state), turns);
    call(place, remote_poll);
    assert_int_equal(stage.n_timers, 1);
    assert_true(stage.timers[0]->due_ms >= START_MS + PLANNED_MS);
}

static void end_calling(struct place *place)
{
    end(place);
    ROOM.callbacks = callbacks_free(ROOM.callbacks);
}

static void hear(const char *attempt_id)
{
    callbacks_hear(ROOM.callbacks, attempt_id);
    deliver();
}

static int64_t due_in_ms(void)
{
    assert_int_equal(stage.n_timers, 1);
    return stage.timers[0]->due_ms - stage.now_ms;
}

static void play_polls(struct place *place, uint64_t n)
{
    while (place->credential->n_polls < n) {
        assert_true(go_on());
    }
}

/* And where the job goes on, the poll that was planned stays planned. */
static void the_next_poll_comes_at_once(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED, STATE("rendering"), AGAIN, STATE("rendering"), {0}};
    struct place place;
    begin_calling(&place, ATTEMPT_ACCEPTED, turns);
    const int64_t planned_ms = stage.timers[0]->due_ms;
    hear(OTHER);
    assert_int_equal(stage.timers[0]->due_ms, planned_ms);
    hear(SAMPLE_ATTEMPT);
    assert_int_equal(due_in_ms(), 0);
    play_polls(&place, 1);
    assert_int_equal(stage.now_ms, START_MS);
    assert_int_equal(stage.timers[0]->due_ms, planned_ms);
    play_polls(&place, 2);
    assert_int_equal(stage.now_ms, planned_ms);
    assert_true(due_in_ms() >= NEXT_MS); /* planned anew */
    end_calling(&place);
}

static void one_that_was_lost_is_confirmed_sooner(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED, STATE("pending"), {0}};
    struct place place;
    begin_calling(&place, ATTEMPT_CONFIRMING, turns);
    hear(SAMPLE_ATTEMPT);
    play_polls(&place, 1);
    assert_int_equal(stage.now_ms, START_MS);
    check_told(&place, "confirmed", "called", 0);
    end_calling(&place);
}

static void a_storm_brings_one_in_five_seconds(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED, STATE("rendering"), AGAIN, STATE("rendering"),
                                        AGAIN, STATE("rendering"), AGAIN, STATE("rendering"),
                                        AGAIN, STATE("rendering"), {0}};
    struct place place;
    begin_calling(&place, ATTEMPT_ACCEPTED, turns);
    for (uint64_t n = 1; n <= 5; n++) {
        for (int i = 0; i < 100; i++) {
            hear(SAMPLE_ATTEMPT);
        }
        play_polls(&place, n);
        assert_int_equal(stage.now_ms, START_MS + ((int64_t)n - 1) * POLICY_CALLBACK_EVERY_MS);
    }
    assert_true(due_in_ms() >= PLANNED_MS - 5 * POLICY_CALLBACK_EVERY_MS); /* it is over */
    end_calling(&place);
}

/* Nobody waits for what it could tell, and there are only so many looks. */
static void one_before_a_cancel_hastens_no_look(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK), ANSWERS(503), {0}};
    struct place place;
    begin_calling(&place, ATTEMPT_ACCEPTED, turns);
    task_unref(place.task);
    place.task = sample_upstream_task(TASK_FAILED, ATTEMPT_CANCELLING);
    place.task->attempt.job = sample_job("job-1");
    call(&place, remote_cancel);
    play_polls(&place, 1);
    const int64_t wait_ms = due_in_ms();
    assert_true(wait_ms > 0);
    hear(SAMPLE_ATTEMPT);
    assert_int_equal(due_in_ms(), wait_ms);
    end_calling(&place);
}

/* The answer under way may be older than the callback. */
static void one_that_comes_while_a_poll_is_under_way_counts_for_the_next(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED, STATE("rendering"), AGAIN, STATE("rendering"), {0}};
    struct place place;
    begin_calling(&place, ATTEMPT_ACCEPTED, turns);
    hear(SAMPLE_ATTEMPT);
    while (!stage.exchange) {
        assert_true(go_on());
    }
    hear(SAMPLE_ATTEMPT);
    assert_int_equal(stage.n_timers, 0);
    play_polls(&place, 1);
    assert_int_equal(due_in_ms(), POLICY_CALLBACK_EVERY_MS);
    play_polls(&place, 2);
    assert_true(due_in_ms() > POLICY_CALLBACK_EVERY_MS);
    end_calling(&place);
}

static void the_upstreams_wish_for_a_pause_is_kept(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK), ANSWERS_LATER(429, 600000), {0}};
    struct place place;
    begin_calling(&place, ATTEMPT_ACCEPTED, turns);
    hear(SAMPLE_ATTEMPT);
    play_polls(&place, 1);
    hear(SAMPLE_ATTEMPT);
    assert_int_equal(due_in_ms(), 600000);
    end_calling(&place);
}

static void it_waits_for_its_place_among_many(void **state)
{
    (void)state;
    static const struct turn turns[] = {{0}};
    struct place place;
    begin_calling(&place, ATTEMPT_ACCEPTED, turns);
    place.credential->n_polling = CREDENTIAL_POLLS_MAX;
    for (int i = 0; i < 3; i++) {
        hear(SAMPLE_ATTEMPT);
        while (go_on()) {
        }
    }
    assert_true(place.remote->is_due);
    assert_int_equal(stage.n_exchanges, 0);
    place.credential->n_polling = 0;
    place.remote->is_called = false;
    stage.is_within = true;
    remote_halt(place.remote, false);
    stage.is_within = false;
    end_calling(&place);
}

/* The job is done; what is asked for is a new link, at a pace of its own. */
static void after_the_end_it_changes_nothing(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED,      DONE(HOME),        BRINGS(403, "no"),
                                        ANEW(HOME), BRINGS(403, "no"), {0}};
    struct place place;
    begin_calling(&place, ATTEMPT_ACCEPTED, turns);
    hear(SAMPLE_ATTEMPT);
    play_polls(&place, 1);
    hear(SAMPLE_ATTEMPT);
    assert_int_equal(stage.n_timers, 0); /* its result is not committed yet */
    struct task *fetching = task_copy(place.task);
    fetching->state = TASK_FETCHING;
    task_unref(place.task);
    place.task = fetching;
    call(&place, remote_store);
    while (!strstr(place.told, "renewed")) {
        assert_true(go_on());
    }
    call(&place, remote_store);
    while (stage.at < stage.n_turns || stage.exchange) {
        assert_true(go_on());
    }
    const int64_t pause_ms = due_in_ms();
    assert_true(pause_ms > 0);
    hear(SAMPLE_ATTEMPT);
    assert_int_equal(due_in_ms(), pause_ms);
    end_calling(&place);
}

static void where_none_was_promised_nobody_listens(void **state)
{
    (void)state;
    static const struct turn turns[] = {{0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    ROOM.callbacks = callbacks_new(NULL);
    call(&place, remote_poll);
    assert_false(place.remote->listener.is_listening);
    assert_null(remote_callback(place.remote));
    end_calling(&place);
}

static void the_address_is_that_of_the_attempt(void **state)
{
    (void)state;
    static const char before[] = "https://gate.example/v1/callbacks/";
    static const struct turn turns[] = {{0}};
    char id[ID_SHORT_SIZE];
    struct place place;
    begin_calling(&place, ATTEMPT_ACCEPTED, turns);
    CLEANUP(free_pointer) char *url = remote_callback(place.remote);
    assert_memory_equal(url, before, strlen(before));
    assert_true(callback_link_check(&KEYS, url + strlen(before), START_MS, id));
    assert_string_equal(id, SAMPLE_ATTEMPT);
    end_calling(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_listens_is_called_once_for_many),
        cmocka_unit_test(one_is_found_among_many),
        cmocka_unit_test(beyond_the_bound_they_are_forgotten),
        cmocka_unit_test(the_next_poll_comes_at_once),
        cmocka_unit_test(one_that_was_lost_is_confirmed_sooner),
        cmocka_unit_test(a_storm_brings_one_in_five_seconds),
        cmocka_unit_test(one_before_a_cancel_hastens_no_look),
        cmocka_unit_test(one_that_comes_while_a_poll_is_under_way_counts_for_the_next),
        cmocka_unit_test(the_upstreams_wish_for_a_pause_is_kept),
        cmocka_unit_test(it_waits_for_its_place_among_many),
        cmocka_unit_test(after_the_end_it_changes_nothing),
        cmocka_unit_test(where_none_was_promised_nobody_listens),
        cmocka_unit_test(the_address_is_that_of_the_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
