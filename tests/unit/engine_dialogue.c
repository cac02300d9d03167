/* SPDX-License-Identifier: Apache-2.0
 *
 * One question to an upstream and its answer: when the job may have been bought, which answers count, and how the steps
 * of one dialogue hang together. */
#include "engine_dialogue_stage.h"

/* ---- what was bought, and what is said ---- */

struct row {
    struct turn turns[14];
    enum dialogue_end end;
    bool was_bought;
    long status;
    int64_t retry_after_ms;
    const char *result; /* NULL: none */
    int n_ready, n_exchanges;
};

#define NO_ANSWER(kind, bought, status) DIALOGUE_##kind, bought, status, 0, NULL

#define NO_MEMORY                                                                                  \
    {                                                                                              \
        .kind = TURN_DEAF, .fault = -ENOMEM                                                        \
    }

static const struct row SUBMITS[] = {
    /* whatever an upstream says to a submit is the adapter's to judge */
    {{SAYS(BUY), ANSWERS(200), SAYS(JOB)}, DIALOGUE_ANSWERED, true, 200, 0, JOB, 1, 1},
    {{SAYS(BUY), ANSWERS(404), SAYS(REFUSES)}, DIALOGUE_ANSWERED, true, 404, 0, REFUSES, 1, 1},
    {{SAYS(BUY), ANSWERS_LATER(429, 7000), SAYS(REFUSES)},
     DIALOGUE_ANSWERED,
     true,
     429,
     7000,
     REFUSES,
     1,
     1},
    {{SAYS(BUY), ANSWERS(503), SAYS(REFUSES)}, DIALOGUE_ANSWERED, true, 503, 0, REFUSES, 1, 1},
    {{SAYS(BUY), ANSWERS(99)}, NO_ANSWER(TROUBLE, true, 99), 1, 1},
    {{SAYS(BUY), ANSWERS(600)}, NO_ANSWER(TROUBLE, true, 600), 1, 1},
    /* it never left, or nobody knows */
    {{SAYS(BUY), NEVER_LEAVES}, NO_ANSWER(TROUBLE, false, 0), 1, 1},
    {{SAYS(BUY), BREAKS(UNREACHABLE)}, NO_ANSWER(TROUBLE, true, 0), 1, 1},
    {{SAYS(BUY), BREAKS(TIMED_OUT)}, NO_ANSWER(TROUBLE, true, 0), 1, 1},
    {{SAYS(BUY), BREAKS(TOO_LARGE)}, NO_ANSWER(TROUBLE, true, 0), 1, 1},
    {{SAYS(BUY), UNSENT}, NO_ANSWER(TROUBLE, false, 0), 1, 0},
    /* too many others: it waits as often as it takes, and buys when it leaves */
    {{FULL, FULL, SAYS(BUY), ANSWERS(200), SAYS(JOB)}, DIALOGUE_ANSWERED, true, 200, 0, JOB, 1, 1},
    {{SAYS(BUY), CROWDED, CROWDED, ANSWERS(200), SAYS(JOB)},
     DIALOGUE_ANSWERED,
     true,
     200,
     0,
     JOB,
     1,
     1},
    {{SAYS(BUY), CROWDED, UNSENT}, NO_ANSWER(TROUBLE, false, 0), 1, 0},
    {{SAYS(BUY), CROWDED, NEVER_LEAVES}, NO_ANSWER(TROUBLE, false, 0), 1, 1},
    {{FULL, FAULTY}, NO_ANSWER(FAULT, false, 0), 0, 0},
    {{FULL, DEAF}, NO_ANSWER(TROUBLE, false, 0), 0, 0},
    {{SAYS(UPLOAD), CROWDED, ANSWERS(200), SAYS(NEXT), FULL, SAYS(BUY), CROWDED, ANSWERS(200),
      SAYS(JOB)},
     DIALOGUE_ANSWERED,
     true,
     200,
     0,
     JOB,
     1,
     2},
    {{SAYS(IMAGE), {.kind = TURN_IMAGES}, CROWDED, ANSWERS(200), SAYS(JOB)},
     DIALOGUE_ANSWERED,
     true,
     200,
     0,
     JOB,
     1,
     1},
    /* the adapter's own faults, before and after */
    {{FAULTY}, NO_ANSWER(FAULT, false, 0), 0, 0},
    {{DEAF}, NO_ANSWER(TROUBLE, false, 0), 0, 0},
    {{SAYS("{\"method\":\"POST\"}")}, NO_ANSWER(FAULT, false, 0), 0, 0},
    {{SAYS("[1]")}, NO_ANSWER(FAULT, false, 0), 0, 0},
    {{SAYS(BUY), ANSWERS(200), FAULTY}, NO_ANSWER(FAULT, true, 200), 1, 1},
    {{SAYS(BUY), ANSWERS(200), DEAF}, NO_ANSWER(TROUBLE, true, 200), 1, 1},
    /* … but no helper that was killed costs what is paid for */
    {{SAYS(BUY), ANSWERS(200), KILLED, NO_MEMORY, KILLED, SAYS(JOB)},
     DIALOGUE_ANSWERED,
     true,
     200,
     0,
     JOB,
     1,
     1},
    {{SAYS(BUY), ANSWERS(200), KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED},
     NO_ANSWER(FAULT, true, 200),
     1,
     1},
    {{SAYS(UPLOAD), ANSWERS(200), KILLED}, NO_ANSWER(FAULT, false, 200), 0, 1},
    {{KILLED}, NO_ANSWER(FAULT, false, 0), 0, 0},
    /* it will not even ask */
    {{SAYS(REFUSES)}, DIALOGUE_ANSWERED, false, 0, 0, REFUSES, 0, 0},
    {{SAYS("null")}, DIALOGUE_ANSWERED, false, 0, 0, "null", 0, 0},
    /* an upload buys nothing, and asks nobody before it leaves */
    {{SAYS(UPLOAD), ANSWERS(200), SAYS(REFUSES)}, DIALOGUE_ANSWERED, false, 200, 0, REFUSES, 0, 1},
    {{SAYS(UPLOAD), BREAKS(TIMED_OUT)}, NO_ANSWER(TROUBLE, false, 0), 0, 1},
    {{SAYS(UPLOAD), ANSWERS(200), FAULTY}, NO_ANSWER(FAULT, false, 200), 0, 1},
    {{SAYS(UPLOAD), ANSWERS(200), SAYS(NEXT), SAYS(BUY), ANSWERS(200), SAYS(JOB)},
     DIALOGUE_ANSWERED,
     true,
     200,
     0,
     JOB,
     1,
     2},
    {{SAYS(UPLOAD), ANSWERS(200), SAYS(NEXT), SAYS(BUY), NEVER_LEAVES},
     NO_ANSWER(TROUBLE, false, 0),
     1,
     2},
    {{SAYS(UPLOAD), ANSWERS(200), SAYS(NEXT), FAULTY}, NO_ANSWER(FAULT, false, 200), 0, 1},
    /* what was bought stays bought, whatever follows */
    {{SAYS(BUY), ANSWERS(200), SAYS(NEXT), SAYS(UPLOAD), NEVER_LEAVES},
     NO_ANSWER(TROUBLE, true, 0),
     1,
     2},
    {{SAYS(BUY), ANSWERS(200), SAYS(NEXT), SAYS(BUY), NEVER_LEAVES},
     NO_ANSWER(TROUBLE, true, 0),
     1,
     2},
    {{SAYS(BUY), ANSWERS(200), SAYS(NEXT), SAYS(REFUSES)},
     DIALOGUE_ANSWERED,
     true,
     200,
     0,
     REFUSES,
     1,
     1},
    {{SAYS(BUY), ANSWERS(200), SAYS(NEXT), DEAF}, NO_ANSWER(TROUBLE, true, 200), 1, 1},
    /* four exchanges, and no more */
    {{SAYS(UPLOAD), ANSWERS(200), SAYS(NEXT), SAYS(UPLOAD), ANSWERS(200), SAYS(NEXT), SAYS(UPLOAD),
      ANSWERS(200), SAYS(NEXT), SAYS(BUY), ANSWERS(201), SAYS(JOB)},
     DIALOGUE_ANSWERED,
     true,
     201,
     0,
     JOB,
     1,
     4},
    {{SAYS(UPLOAD), ANSWERS(200), SAYS(NEXT), SAYS(UPLOAD), ANSWERS(200), SAYS(NEXT), SAYS(UPLOAD),
      ANSWERS(200), SAYS(NEXT), SAYS(BUY), ANSWERS(201), SAYS(NEXT)},
     NO_ANSWER(FAULT, true, 201),
     1,
     4},
    /* input images */
    {{SAYS(IMAGE), {.kind = TURN_IMAGES}, ANSWERS(200), SAYS(JOB)},
     DIALOGUE_ANSWERED,
     true,
     200,
     0,
     JOB,
     1,
     1},
    {{SAYS(IMAGE), {.kind = TURN_IMAGES, .failure = TASK_FAILURE_IMAGE_INVALID}},
     NO_ANSWER(INPUTS, false, 0),
     0,
     0},
    {{SAYS("{\"method\":\"POST\",\"path\":\"/\",\"json\":{\"$image\":7,\"as\":[\"base64\"]}}")},
     NO_ANSWER(FAULT, false, 0),
     0,
     0},
};

#define TROUBLED(status)                                                                           \
    {                                                                                              \
        {SAYS(LOOK), ANSWERS(status)}, NO_ANSWER(TROUBLE, false, status), 0, 1                     \
    }
#define JUDGED(status)                                                                             \
    {                                                                                              \
        {SAYS(LOOK), ANSWERS(status), SAYS(STATE)}, DIALOGUE_ANSWERED, false, status, 0, STATE, 0, \
            1                                                                                      \
    }

static const struct row POLLS[] = {
    JUDGED(200),
    JUDGED(302),
    JUDGED(400),
    JUDGED(404),
    JUDGED(410),
    JUDGED(428),
    JUDGED(499),
    TROUBLED(99),
    TROUBLED(408),
    TROUBLED(425),
    TROUBLED(429),
    TROUBLED(500),
    TROUBLED(503),
    TROUBLED(599),
    TROUBLED(600),
    {{SAYS(LOOK), ANSWERS_LATER(503, 9000)}, DIALOGUE_TROUBLE, false, 503, 9000, NULL, 0, 1},
    /* what the adapter wants to judge itself; and a poll buys nothing, whatever it says */
    {{SAYS(HEEDS), ANSWERS(429), SAYS(STATE)}, DIALOGUE_ANSWERED, false, 429, 0, STATE, 0, 1},
    {{SAYS(HEEDS), ANSWERS(503), SAYS(STATE)}, DIALOGUE_ANSWERED, false, 503, 0, STATE, 0, 1},
    {{SAYS(HEEDS), ANSWERS(500)}, NO_ANSWER(TROUBLE, false, 500), 0, 1},
    {{SAYS(HEEDS), BREAKS(TIMED_OUT)}, NO_ANSWER(TROUBLE, false, 0), 0, 1},
    {{SAYS(LOOK), NEVER_LEAVES}, NO_ANSWER(TROUBLE, false, 0), 0, 1},
    {{SAYS(LOOK), UNSENT}, NO_ANSWER(TROUBLE, false, 0), 0, 0},
    {{FULL, SAYS(LOOK), CROWDED, ANSWERS(200), SAYS(STATE)},
     DIALOGUE_ANSWERED,
     false,
     200,
     0,
     STATE,
     0,
     1},
    {{FAULTY}, NO_ANSWER(FAULT, false, 0), 0, 0},
    {{SAYS("null")}, DIALOGUE_ANSWERED, false, 0, 0, "null", 0, 0},
    {{SAYS(LOOK), ANSWERS(200), SAYS(NEXT), SAYS(LOOK), ANSWERS(200), SAYS(STATE)},
     DIALOGUE_ANSWERED,
     false,
     200,
     0,
     STATE,
     0,
     2},
};

static void check(const struct row *row, struct heard *heard, const char *table, size_t number)
{
    const struct dialogue_outcome *outcome = &heard->outcome;
    bool is_same_result = (row->result == NULL) == (heard->result == NULL) &&
                          (!row->result || strcmp(row->result, heard->result) == 0);
    bool has_note = outcome->end == DIALOGUE_ANSWERED || heard->note[0] != '\0';
    if (outcome->end != row->end || outcome->was_bought != row->was_bought ||
        outcome->status != row->status || outcome->retry_after_ms != row->retry_after_ms ||
        !is_same_result || !has_note || heard->n_ready != row->n_ready ||
        stage.n_exchanges != row->n_exchanges) {
        fail_msg("%s %zu: end %d, bought %d, status %ld, retry %lld, result %s, ready %d, "
                 "exchanges %d, note %s",
                 table, number, (int)outcome->end, outcome->was_bought, outcome->status,
                 (long long)outcome->retry_after_ms, heard->result ? heard->result : "none",
                 heard->n_ready, stage.n_exchanges, heard->note);
    }
    free(heard->result);
}

static void a_submit_knows_what_may_have_been_bought(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SUBMITS); i++) {
        struct heard heard = run(DIALOGUE_SUBMIT, NULL, SUBMITS[i].turns);
        check(&SUBMITS[i], &heard, "submit", i);
        assert_int_equal(stage.n_fresh, stage.n_exchanges);
    }
}

static void a_poll_or_cancel_knows_which_answers_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(POLLS); i++) {
        struct heard heard = run(DIALOGUE_POLL, NULL, POLLS[i].turns);
        check(&POLLS[i], &heard, "poll", i);
        assert_int_equal(stage.n_fresh, 0);
        heard = run(DIALOGUE_CANCEL, NULL, POLLS[i].turns);
        check(&POLLS[i], &heard, "cancel", i);
    }
}

/* ---- how the steps hang together ---- */

static void the_program_is_asked_step_by_step(void **state)
{
    (void)state;
    static const struct {
        enum dialogue_kind kind;
        const char *keep, *asked;
    } rows[] = {
        {DIALOGUE_SUBMIT, NULL,
         "submit(0, null) submitted(0, null, 201) submit(1, {\"n\": 1}) "
         "submitted(1, {\"n\": 1}, 202) "},
        {DIALOGUE_POLL, "\"was\"",
         "poll(0, \"was\") polled(0, \"was\", 201) poll(1, {\"n\": 1}) "
         "polled(1, {\"n\": 1}, 202) "},
        {DIALOGUE_CANCEL, "{\"k\": 2}",
         "cancel(0, {\"k\": 2}) cancelled(0, {\"k\": 2}, 201) cancel(1, {\"n\": 1}) "
         "cancelled(1, {\"n\": 1}, 202) "},
    };
    static const struct turn turns[] = {SAYS(LOOK),   ANSWERS(201), SAYS(NEXT), SAYS(LOOK),
                                        ANSWERS(202), SAYS(STATE),  {0}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct heard heard = run(rows[i].kind, rows[i].keep, turns);
        assert_string_equal(stage.asked, rows[i].asked);
        free(heard.result);
    }
}

static void what_is_sent_is_what_was_asked_for(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        SAYS(IMAGE), {.kind = TURN_IMAGES}, ANSWERS(200), SAYS(NEXT),
        SAYS(IMAGE), ANSWERS(200),          SAYS(JOB),    {0}};
    /* The image of the first step serves the second. */
    struct heard heard = run(DIALOGUE_SUBMIT, NULL, turns);
    const char *once = "POST https://up.example/v1/videos Content-Type=application/json "
                       "Authorization=Bearer secret {\"i\":\"cG5n\"}|";
    char twice[ASKED_MAX];
    (void)snprintf(twice, sizeof twice, "%s%s", once, once);
    assert_string_equal(stage.sent, twice);
    free(heard.result);
}

static void the_limits_are_the_channels(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK), ANSWERS(200), {0}};
    static const enum dialogue_kind kinds[] = {DIALOGUE_SUBMIT, DIALOGUE_POLL};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct heard heard = {.goes = true};
        play(turns);
        start(&heard, kinds[i], NULL);
        while (!stage.exchange) {
            assert_true(go_on());
        }
        const struct exchange_request *request = &stage.exchange->request;
        assert_int_equal(request->total_ms, kinds[i] == DIALOGUE_SUBMIT ? 60000 : 20000);
        assert_int_equal(request->connect_ms, 7000);
        assert_int_equal(request->max_bytes, 50000);
        assert_string_equal(request->secrets[0], "Authorization");
        assert_null(request->guard);
        assert_ptr_equal(request->guard_away, ROOM.guard);
        assert_ptr_equal(request->road, &CHANNEL.road);
        dialogue_stop(heard.dialogue);
        assert_stage_is_empty();
    }
}

static void images_that_cannot_be_had_say_why(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(IMAGE),
                                        {.kind = TURN_IMAGES,
                                         .text = "Image 1: gone.",
                                         .failure = TASK_FAILURE_IMAGE_UNREACHABLE,
                                         .may_retry = true},
                                        {0}};
    struct heard heard = run(DIALOGUE_SUBMIT, NULL, turns);
    assert_int_equal(heard.outcome.failure, TASK_FAILURE_IMAGE_UNREACHABLE);
    assert_true(heard.outcome.may_retry);
    assert_string_equal(heard.note, "Image 1: gone.");
}

static void nothing_that_buys_leaves_before_it_is_told_to(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(BUY), ANSWERS(200), {0}};
    struct heard heard = {.goes = false};
    play(turns);
    start(&heard, DIALOGUE_SUBMIT, NULL);
    while (go_on()) {
    }
    assert_int_equal(heard.n_ready, 1);
    assert_int_equal(stage.n_exchanges, 0);
    dialogue_go(heard.dialogue);
    assert_int_equal(stage.n_exchanges, 1);
    assert_null(dialogue_stop(heard.dialogue));
    assert_stage_is_empty();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submit_knows_what_may_have_been_bought),
        cmocka_unit_test(a_poll_or_cancel_knows_which_answers_count),
        cmocka_unit_test(the_program_is_asked_step_by_step),
        cmocka_unit_test(what_is_sent_is_what_was_asked_for),
        cmocka_unit_test(the_limits_are_the_channels),
        cmocka_unit_test(images_that_cannot_be_had_say_why),
        cmocka_unit_test(nothing_that_buys_leaves_before_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
