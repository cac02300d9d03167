/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt at an upstream: which answers of a submit mean accepted, turned away or lost, what it takes of its
 * credential, what a cancel ends with, and that nothing is left when it is halted. */
#include "engine/remote_own.h"
#include "engine_remote_stage.h"

/* ---- submit ---- */

struct submit {
    const char *adapter;
    struct turn turns[10];
    const char *told;
    enum health health;
    int64_t rest_ms; /* RESTS */
};

static const struct submit SUBMITS[] = {
    /* accepted: a job is named, whatever the status */
    {"plain", {SENT, SAYS("{\"job\":\"j\"}")}, "ready accepted(j, -)", WELL_AGAIN, 0},
    {"plain", {SENT, SAYS("{\"job\":42}")}, "ready accepted(42, -)", WELL_AGAIN, 0},
    {"plain",
     {SENT, SAYS("{\"job\":\"j\",\"keep\":{\"a\":1}}")},
     "ready accepted(j, {\"a\":1})",
     WELL_AGAIN,
     0},
    {"plain",
     {SAYS(BUY), ANSWERS(503), SAYS("{\"job\":\"j\"}")},
     "ready accepted(j, -)",
     WELL_AGAIN,
     0},
    {"able", {SENT, SAYS("{\"job\":\"j\"}")}, "ready(chosen) accepted(j, -)", WELL_AGAIN, 0},
    /* turned away by the upstream: by kind */
    {"plain", {SENT, ERROR("refused")}, "ready " AWAY("final, 0"), WELL_AGAIN, 0},
    {"plain",
     {SENT, ERROR("moderated")},
     "ready turned_away(moderation_blocked, final, 0)",
     WELL_AGAIN,
     0},
    {"plain", {SENT, ERROR("busy")}, "ready " AWAY("later, 0"), RESTS, POLICY_BREAKER_FIRST_MS},
    {"plain", {SENT, ERROR("auth")}, "ready " AWAY("later, 0"), RESTS, POLICY_BREAKER_FIRST_MS},
    {"plain", {SENT, ERROR("quota")}, "ready " AWAY("later, 0"), RESTS, POLICY_BREAKER_FIRST_MS},
    /* … which nobody knows behind such a status, unless the adapter does */
    {"plain", {SAYS(BUY), ANSWERS(503), ERROR("busy")}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), ANSWERS(500), ERROR("refused")}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), ANSWERS(499), ERROR("moderated")}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), ANSWERS(408), ERROR("auth")}, "ready lost(-)", WORSE, 0},
    {"plain",
     {SAYS(BUY), ANSWERS(503),
      SAYS("{\"error\":{\"kind\":\"busy\",\"message\":\"m\",\"not_taken\":true}}")},
     "ready " AWAY("later, 0"),
     RESTS,
     POLICY_BREAKER_FIRST_MS},
    /* … for as long as its header says, else its body */
    {"plain",
     {SAYS(BUY), ANSWERS_LATER(429, 9000), ERROR("busy")},
     "ready " AWAY("later, 0"),
     RESTS,
     9000},
    {"plain",
     {SENT, SAYS("{\"error\":{\"kind\":\"busy\",\"retry_after_s\":7.5}}")},
     "ready " AWAY("later, 0"),
     RESTS,
     7500},
    {"plain",
     {SAYS(BUY), ANSWERS_LATER(429, 9000),
      SAYS("{\"error\":{\"kind\":\"busy\",\"retry_after_s\":7}}")},
     "ready " AWAY("later, 0"),
     RESTS,
     9000},
    {"plain",
     {SENT, SAYS("{\"error\":{\"kind\":\"busy\",\"retry_after_s\":-1}}")},
     "ready " AWAY("later, 0"),
     RESTS,
     POLICY_BREAKER_FIRST_MS},
    /* before it leaves */
    {"plain", {ERROR("refused")}, AWAY("final, 0"), WELL_AGAIN, 0},
    {"plain", {ERROR("unknown")}, AWAY("later, 0"), AS_BEFORE, 0},
    {"plain", {FAULTY}, AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS("{}")}, AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(BUY), UNSENT}, "ready " AWAY("later, 0"), WORSE, 0},
    {"plain", {DEAF}, AWAY("later, 0"), WORSE, 0},
    /* too many others are no trouble of the upstream's */
    {"plain", {FULL, SENT, SAYS("{\"job\":\"j\"}")}, "ready accepted(j, -)", WELL_AGAIN, 0},
    {"plain",
     {SAYS(BUY), CROWDED, CROWDED, ANSWERS(200), SAYS("{\"job\":\"j\"}")},
     "ready accepted(j, -)",
     WELL_AGAIN,
     0},
    {"plain", {FULL, ERROR("unknown")}, AWAY("later, 0"), AS_BEFORE, 0},
    {"plain", {SAYS(BUY), CROWDED, NEVER_LEAVES}, "ready " AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(BUY), CROWDED, BREAKS(TIMED_OUT)}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), NEVER_LEAVES}, "ready " AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(UPLOAD), BREAKS(TIMED_OUT)}, AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(UPLOAD), ANSWERS(200), FAULTY}, AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(UPLOAD), ANSWERS(429), FAULTY}, AWAY("later, 0"), RESTS, 5000},
    {"plain", {SAYS(UPLOAD), ANSWERS_LATER(429, 8000), FAULTY}, AWAY("later, 0"), RESTS, 8000},
    {"plain", {SAYS(UPLOAD), ANSWERS(200), SAYS("{\"job\":\"\"}")}, AWAY("later, 0"), WORSE, 0},
    /* the answer was lost: nobody knows */
    {"plain", {SENT, ERROR("unknown")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, ERROR("whatever")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, SAYS("{\"error\":{}}")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, SAYS("{}")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, SAYS("{\"job\":\"\"}")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, SAYS("{\"job\":[1]}")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, FAULTY}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, DEAF}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), BREAKS(UNREACHABLE)}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), BREAKS(TIMED_OUT)}, "ready lost(-)", WORSE, 0},
    {"able", {SAYS(BUY), BREAKS(TIMED_OUT)}, "ready(chosen) lost(confirm)", WORSE, 0},
    {"plain",
     {SENT, SAYS("{\"next\":true}"), SAYS(UPLOAD), NEVER_LEAVES},
     "ready lost(-)",
     WORSE,
     0},
};

static void check_submit(const struct submit *row, const struct place *place, size_t number)
{
    const struct credential *credential = place->credential;
    const char *told = place->told;
    check_told(place, row->told, "submit", number);
    if (health_of(credential) != row->health ||
        (row->health == RESTS && credential->breaker.until_ms != stage.now_ms + row->rest_ms)) {
        fail_msg("submit %zu: health %d, until %lld", number, (int)health_of(credential),
                 (long long)(credential->breaker.until_ms - stage.now_ms));
    }
    assert_int_equal(credential->n_submits, strncmp(told, "ready", 5) == 0);
    assert_int_equal(credential->n_accepted, strstr(told, "accepted(") != NULL);
    assert_int_equal(credential->n_refused, strstr(told, "turned_away(") != NULL);
    assert_int_equal(credential->n_unknown, 0); /* it may be found yet */
    assert_false(remote_is_sending(place->remote));
}

static void a_submit_is_accepted_turned_away_or_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SUBMITS); i++) {
        struct place place;
        begin(&place, SUBMITS[i].adapter, sample_task(TASK_QUEUED), SUBMITS[i].turns);
        call(&place, remote_prepare);
        play_out();
        check_submit(&SUBMITS[i], &place, i);
        end(&place);
    }
}

static void a_job_id_has_a_bound(void **state)
{
    (void)state;
    for (int length = ATTEMPT_JOB_MAX; length <= ATTEMPT_JOB_MAX + 1; length++) {
        char said[ATTEMPT_JOB_MAX + 20];
        (void)snprintf(said, sizeof said, "{\"job\":\"%0*d\"}", length, 7);
        const struct turn turns[] = {SENT, SAYS(said), {0}};
        struct place place;
        begin(&place, "plain", sample_task(TASK_QUEUED), turns);
        call(&place, remote_prepare);
        play_out();
        assert_int_equal(strstr(place.told, "lost(") != NULL, length > ATTEMPT_JOB_MAX);
        end(&place);
    }
}

static void images_that_cannot_be_had_turn_it_away(void **state)
{
    (void)state;
    static const char with_image[] =
        "{\"method\":\"POST\",\"path\":\"/\",\"json\":{\"$image\":0,\"as\":[\"base64\"]}}";
    for (int may_retry = 0; may_retry < 2; may_retry++) {
        const struct turn turns[] = {SAYS(with_image),
                                     {.kind = TURN_IMAGES,
                                      .failure = TASK_FAILURE_IMAGE_INVALID,
                                      .may_retry = may_retry == 1},
                                     {0}};
        struct place place;
        begin(&place, "plain", sample_task(TASK_QUEUED), turns);
        call(&place, remote_prepare);
        play_out();
        check_told(&place,
                   may_retry ? "turned_away(image_invalid, later, 0)"
                             : "turned_away(image_invalid, final, 0)",
                   "images", 0);
        assert_int_equal(health_of(place.credential), AS_BEFORE); /* it is not the upstream's */
        end(&place);
    }
}

static void images_are_waited_for_without_the_place_of_a_submit(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        SAYS("{\"method\":\"POST\",\"path\":\"/\",\"json\":{\"$image\":0,\"as\":[\"base64\"]}}"),
        {.kind = TURN_IMAGES},
        ANSWERS(200),
        SAYS("{\"job\":\"j\"}"),
        {0}};
    for (int is_halted = 0; is_halted < 2; is_halted++) {
        struct place place;
        begin(&place, "plain", sample_task(TASK_QUEUED), turns);
        call(&place, remote_prepare);
        assert_int_equal(place.credential->n_submitting, 1);
        while (!stage.inputs) {
            assert_true(go_on());
        }
        assert_int_equal(place.credential->n_submitting, 0);
        if (is_halted) {
            remote_halt(place.remote, false);
            stage.at = stage.n_turns;
        } else {
            play_out();
            check_told(&place, "ready accepted(j, -)", "images", 1);
        }
        end(&place);
    }
}

/* ---- what a submit takes of its credential ---- */

static bool may_submit(const struct place *place)
{
    struct policy_bucket copy = place->credential->submits;
    return policy_take(&copy, PER_MINUTE, stage.now_ms) == 0;
}

/* One of two has been taken, and the breaker's time is over. */
static void begin_submit(struct place *place, const struct turn *turns)
{
    begin(place, "plain", sample_task(TASK_QUEUED), turns);
    struct credential *credential = place->credential;
    credential->breaker = (struct policy_breaker){.state = POLICY_OPEN, .until_ms = START_MS};
    assert_int_equal(policy_take(&credential->submits, PER_MINUTE, START_MS), 0);
    assert_true(may_submit(place));
    call(place, remote_prepare);
    assert_false(may_submit(place));
    assert_int_equal(credential->breaker.state, POLICY_HALF_OPEN);
    assert_false(policy_breaker_allows(&credential->breaker, START_MS));
}

static void what_never_left_is_given_back(void **state)
{
    (void)state;
    static const struct {
        struct turn turns[4];
        int n_steps;
    } rows[] = {
        /* halted */
        {{SAYS(BUY)}, 0},
        {{SAYS(BUY)}, 1},
        {{FULL}, 0},
        {{SAYS(UPLOAD), ANSWERS(200)}, 1},
        /* turned away */
        {{ERROR("unknown")}, 9},
        {{SAYS("{\"method\":\"POST\",\"path\":\"/\",\"json\":{\"$image\":0,\"as\":[\"base64\"]}}"),
          {.kind = TURN_IMAGES, .failure = TASK_FAILURE_IMAGE_INVALID}},
         9},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place;
        begin_submit(&place, rows[i].turns);
        for (int n = 0; n < rows[i].n_steps && place.told[0] == '\0'; n++) {
            assert_true(go_on());
        }
        assert_null(strstr(place.told, "ready"));
        remote_halt(place.remote, false);
        assert_true(may_submit(&place));
        assert_true(policy_breaker_try(&place.credential->breaker, stage.now_ms));
        remote_halt(place.remote, false); /* once: the trial is another's now */
        assert_false(policy_breaker_allows(&place.credential->breaker, stage.now_ms));
        assert_int_equal((int)place.credential->submits.spent, 1);
        stage.at = stage.n_turns;
        end(&place);
    }
}

static void what_was_sent_stays_taken(void **state)
{
    (void)state;
    static const struct turn rows[][4] = {
        {SAYS(BUY), ANSWERS(200)}, {SAYS(BUY), CROWDED}, {SAYS(BUY), NEVER_LEAVES}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place;
        begin_submit(&place, rows[i]);
        while (!remote_is_sending(place.remote)) {
            assert_true(go_on());
        }
        remote_halt(place.remote, false);
        assert_false(may_submit(&place));
        assert_int_equal(place.credential->breaker.state, POLICY_HALF_OPEN);
        assert_false(policy_breaker_allows(&place.credential->breaker, stage.now_ms));
        assert_stage_is_empty();
        stage.at = stage.n_turns;
        end(&place);
    }
}

/* A trial that another made is not this one's to withdraw. */
static void only_its_own_trial_is_withdrawn(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(BUY), {0}};
    struct place place;
    begin(&place, "plain", sample_task(TASK_QUEUED), turns);
    call(&place, remote_prepare);
    place.credential->breaker =
        (struct policy_breaker){.state = POLICY_HALF_OPEN, .until_ms = START_MS + 1000};
    remote_halt(place.remote, false);
    assert_false(policy_breaker_allows(&place.credential->breaker, START_MS));
    stage.at = stage.n_turns;
    end(&place);
}

/* ---- cancel ---- */

#define STOP "{\"method\":\"DELETE\",\"path\":\"/v1/videos/j\"}"
#define STOPS SAYS(STOP), ANSWERS(200)
#define NO_CLUE STOPS, STATE("unclear")

static const struct {
    const char *adapter;
    const char *polled; /* what was said of the job before; NULL: nothing */
    struct turn turns[20];
    const char *told;
    int n_exchanges;
} CANCELS[] = {
    {"able", NULL, {STOPS, STATE("cancelled")}, "closed(stopped)", 1},
    {"able",
     NULL,
     {STOPS, SAYS("{\"state\":\"cancelled\",\"usage\":{\"s\":2}}")},
     "closed(stopped) used({\"s\":2})",
     1},
    {"able",
     NULL,
     {STOPS, SAYS("{\"state\":\"finished\",\"usage\":{\"s\":3}}")},
     "closed(-) used({\"s\":3})",
     1},
    {"able", "pending", {STOPS, STATE("cancelled")}, "closed(stopped)", 2},
    {"able", NULL, {STOPS, STATE("rendering")}, "closed(-)", 1},
    {"able", NULL, {STOPS, SAYS("{}")}, "closed(-)", 1},
    {"able", NULL, {STOPS, SAYS("null")}, "closed(-)", 1},
    {"able", NULL, {SAYS("null")}, "closed(-)", 0}, /* it cannot, says the program */
    /* it cannot, says the adapter: nobody is asked */
    {"plain", NULL, {{0}}, "closed(-)", 0},
    {"able", "rendering", {{0}}, "closed(-)", 1},
    /* trouble: five tries */
    {"able", NULL, {SAYS(STOP), ANSWERS(503), STOPS, STATE("cancelled")}, "closed(stopped)", 2},
    {"able", NULL, {FAULTY, NO_CLUE, STOPS, STATE("cancelled")}, "closed(stopped)", 2},
    {"able",
     NULL,
     {NO_CLUE, NO_CLUE, NO_CLUE, NO_CLUE, STOPS, STATE("cancelled")},
     "closed(stopped)",
     5},
    {"able", NULL, {NO_CLUE, NO_CLUE, NO_CLUE, NO_CLUE, NO_CLUE}, "closed(-)", 5},
    {"able", NULL, {FAULTY, FAULTY, FAULTY, FAULTY, FAULTY}, "closed(-)", 0},
};

/* Whoever repeats what he was sent does not get it into our log, nor to where operators look. */
static void what_was_sent_in_confidence_is_not_quoted(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        SENT,
        SAYS("{\"error\":{\"kind\":\"auth\",\"message\":\"top-secret is not "
             "https://f.example/v1/callbacks/att_1.SIGNATURE\"}}"),
        {0}};
    struct place place;
    begin(&place, "signs", sample_upstream_task(TASK_SUBMITTING, ATTEMPT_SUBMITTING), turns);
    call(&place, remote_prepare);
    play_out();
    assert_string_equal(place.credential->last_error,
                        "********** is not https://f.example/v1/callbacks/***************");
    assert_string_equal(place.reasons,
                        "auth: ********** is not https://f.example/v1/callbacks/***************|");
    end(&place);
}

/* What the timeline says of a submit that came to nothing. */
static void why_a_submit_came_to_nothing_is_told(void **state)
{
    (void)state;
    static const struct {
        struct turn turns[4];
        const char *told, *reasons;
    } rows[] = {
        {{SENT, ERROR("refused")}, AWAY("final, 0"), "refused: m|"},
        {{SENT, ERROR("quota")}, AWAY("later, 0"), "quota: m|"},
        {{SENT, SAYS("{\"error\":{\"kind\":\"busy\"}}")},
         AWAY("later, 0"),
         "busy: no reason was given|"},
        {{SENT, ERROR("unknown")}, "lost(-)", "the answer to a submit was lost: m|"},
        {{ERROR("new")}, AWAY("later, 0"), "a submit was not sent: m|"},
        {{SAYS("{\"error\":{}}")},
         AWAY("later, 0"),
         "a submit was not sent: the adapter does not know what the answer means|"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct turn turns[TURNS_MAX] = {{0}};
        memcpy(turns, rows[i].turns, sizeof rows[i].turns);
        struct place place;
        begin(&place, "plain", sample_upstream_task(TASK_SUBMITTING, ATTEMPT_SUBMITTING), turns);
        call(&place, remote_prepare);
        play_out();
        const char *told = strncmp(place.told, "ready ", 6) == 0 ? place.told + 6 : place.told;
        char expected[ASKED_MAX];
        (void)snprintf(expected, sizeof expected, "%s ", rows[i].told);
        assert_string_equal(told, expected);
        assert_string_equal(place.reasons, rows[i].reasons);
        end(&place);
    }
}

static void a_cancel_ends_one_way_or_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CANCELS); i++) {
        struct turn turns[TURNS_MAX] = {ASKED, STATE("pending")};
        size_t n_before = CANCELS[i].polled ? 3 : 0;
        char said[60];
        (void)snprintf(said, sizeof said, "{\"state\":\"%s\"}",
                       CANCELS[i].polled ? CANCELS[i].polled : "");
        turns[2].text = said;
        memcpy(turns + n_before, CANCELS[i].turns, sizeof CANCELS[i].turns);
        struct place place;
        begin(&place, CANCELS[i].adapter, sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED),
              turns);
        if (CANCELS[i].polled) {
            call(&place, remote_poll);
            while (stage.at < n_before || stage.call) {
                assert_true(go_on());
            }
            remote_halt(place.remote, false);
        }
        place.remote->is_seen = true;
        call(&place, remote_cancel);
        while (place.told[0] == '\0' && go_on()) {
        }
        check_told(&place, CANCELS[i].told, "cancel", i);
        if (stage.n_exchanges != CANCELS[i].n_exchanges) {
            fail_msg("cancel %zu: %d exchanges", i, stage.n_exchanges);
        }
        end(&place);
    }
}

static void the_program_sees_in_which_state_it_cancels(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS("null"), {0}};
    struct place place;
    begin(&place, "able", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    place.remote->is_seen = true;
    call(&place, remote_cancel);
    play_out();
    assert_string_equal(stage.asked, "cancel(0, {\"step\": 1}, job-1, pending) ");
    end(&place);
}

/* After a restart nothing is known of the job, and one call may stop or erase it: it is looked at first. */
static void a_job_of_before_is_looked_at_before_it_is_cancelled(void **state)
{
    (void)state;
    static const struct cancel_row {
        struct turn turns[TURNS_MAX];
        const char *told;
        int n_exchanges;
    } rows[] = {
        {{ASKED, STATE("pending"), STOPS, STATE("cancelled")}, "closed(stopped)", 2},
        {{ASKED, STATE("rendering")}, "closed(-)", 1},
        {{ASKED, DONE("[{\"url\":\"u\"}]")}, "closed(-)", 1},
        {{ASKED, STATE("failed")}, "closed(-)", 1},
        {{ASKED, STATE("gone")}, "closed(-)", 1},
        {{ASKED, STATE("unclear"), AGAIN, STATE("pending"), STOPS, STATE("cancelled")},
         "closed(stopped)",
         3},
        {{FAULTY, FAULTY, FAULTY, FAULTY, FAULTY}, "closed(-)", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place;
        begin(&place, "able", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED),
              rows[i].turns);
        call(&place, remote_cancel);
        while (place.told[0] == '\0' && go_on()) {
        }
        check_told(&place, rows[i].told, "look", i);
        assert_int_equal(stage.n_exchanges, rows[i].n_exchanges);
        end(&place);
    }
}

/* ---- halted ---- */

static void halted_anywhere_it_tells_nothing_more(void **state)
{
    (void)state;
    static const struct {
        void (*what)(struct remote *, const struct task *);
        struct turn turns[10];
    } rows[] = {
        {remote_prepare, {SENT, SAYS("{\"job\":\"j\"}")}},
        {remote_prepare,
         {FULL, SAYS(BUY), CROWDED, CROWDED, ANSWERS(200), SAYS("{\"job\":\"j\"}")}},
        {remote_store, {STOPS_AT(200, "half", "\"e\""), BRINGS_PART("4-7/8", "rest"), STORES}},
        {remote_store, {CROWDED, BAD, BRINGS(200, "all"), STORES}},
        {remote_poll, {FULL, SAYS(LOOK), CROWDED, ANSWERS(200), STATE("pending"), CROWDED, AGAIN}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (int n_steps = 0; n_steps < 9; n_steps++) {
            struct place place;
            begin(&place, "plain",
                  rows[i].what == remote_prepare ? sample_task(TASK_QUEUED) : fetching_task(HOME),
                  rows[i].turns);
            call(&place, rows[i].what);
            for (int n = 0; n < n_steps && stage.at < stage.n_turns; n++) {
                assert_true(go_on());
            }
            remote_halt(place.remote, false);
            assert_false(remote_is_sending(place.remote));
            assert_stage_is_empty();
            assert_false(go_on());
            stage.at = stage.n_turns;
            end(&place);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submit_is_accepted_turned_away_or_lost),
        cmocka_unit_test(a_job_id_has_a_bound),
        cmocka_unit_test(images_that_cannot_be_had_turn_it_away),
        cmocka_unit_test(images_are_waited_for_without_the_place_of_a_submit),
        cmocka_unit_test(what_never_left_is_given_back),
        cmocka_unit_test(what_was_sent_stays_taken),
        cmocka_unit_test(only_its_own_trial_is_withdrawn),
        cmocka_unit_test(a_cancel_ends_one_way_or_the_other),
        cmocka_unit_test(what_was_sent_in_confidence_is_not_quoted),
        cmocka_unit_test(why_a_submit_came_to_nothing_is_told),
        cmocka_unit_test(the_program_sees_in_which_state_it_cancels),
        cmocka_unit_test(a_job_of_before_is_looked_at_before_it_is_cancelled),
        cmocka_unit_test(halted_anywhere_it_tells_nothing_more),
    };
    log_init(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
