/* SPDX-License-Identifier: Apache-2.0
 *
 * What a dialogue holds: which bytes lie in memory and which in the spool, what is remembered for the next one, how it
 * waits while there are too many others, and that nothing is left when it is broken off. */
#include "engine_dialogue_stage.h"

/* ---- where bytes lie ---- */

static void only_what_is_long_lies_in_the_spool(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        size_t n_spools; /* for blobs, then for the answer too */
    } rows[] = {
        {2, 0},
        {ADAPTER_BLOB_LEAST - 1, 0},
        {ADAPTER_BLOB_LEAST, 1},
        {ADAPTER_BLOB_LEAST + 1, 2},
        {BODY_MAX - 1, 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct turn turns[] = {SAYS(LOOK),
                                     ANSWERS_LONG(200, rows[i].length),
                                     {.kind = TURN_SAYS, .text = STATE, .blob = "bytes"},
                                     {0}};
        char body[BODY_MAX];
        struct heard heard = run(DIALOGUE_POLL, NULL, turns);
        body_of(&turns[1], body);
        assert_string_equal(stage.last_body, body);
        assert_int_equal(stage.n_spools, rows[i].n_spools);
        assert_string_equal(heard.blob, rows[i].n_spools > 0 ? "bytes" : "");
        assert_int_equal(heard.outcome.blob_file >= 0, rows[i].n_spools > 0);
        free(heard.result);
    }
}

static void what_is_read_again_is_the_same(void **state)
{
    (void)state;
    static const size_t LENGTHS[] = {0, 2, ADAPTER_BLOB_LEAST, ADAPTER_BLOB_LEAST + 1};
    for (size_t i = 0; i < ARRAY_LENGTH(LENGTHS); i++) {
        const struct turn turns[] = {
            SAYS(BUY), ANSWERS_LONG(200, LENGTHS[i]), KILLED, KILLED, SAYS(JOB), {0}};
        char body[BODY_MAX];
        struct heard heard = run(DIALOGUE_SUBMIT, NULL, turns);
        body_of(&turns[1], body);
        assert_int_equal(heard.outcome.end, DIALOGUE_ANSWERED);
        assert_string_equal(stage.last_body, body);
        free(heard.result);
    }
}

static void a_body_lies_in_the_spool_when_it_has_images(void **state)
{
    (void)state;
    static const struct {
        struct turn turns[4];
        bool has_body;
        size_t n_spools;
    } rows[] = {
        {{SAYS(IMAGE), {.kind = TURN_IMAGES}, ANSWERS(200)}, true, 1},
        {{SAYS(BUY), ANSWERS(200)}, true, 0},
        {{SAYS(LOOK), ANSWERS(200)}, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct heard heard = {.goes = true};
        play(rows[i].turns);
        start(&heard, DIALOGUE_SUBMIT, NULL);
        while (!stage.exchange) {
            assert_true(go_on());
        }
        assert_int_equal(stage.exchange->request.body >= 0, rows[i].has_body);
        assert_int_equal(stage.n_spools, rows[i].n_spools);
        if (rows[i].n_spools > 0) {
            assert_int_equal(stage.exchange->request.body, stage.spools[0]);
        }
        dialogue_stop(heard.dialogue);
        assert_stage_is_empty();
    }
}

static void an_answer_takes_the_place_of_the_one_before(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK),
                                        ANSWERS_LONG(200, ADAPTER_BLOB_LEAST + 5000),
                                        SAYS(NEXT),
                                        SAYS(LOOK),
                                        ANSWERS_LONG(200, ADAPTER_BLOB_LEAST),
                                        {.kind = TURN_SAYS, .text = STATE, .blob = "bytes"},
                                        {0}};
    char body[BODY_MAX];
    struct heard heard = run(DIALOGUE_POLL, NULL, turns);
    body_of(&turns[4], body);
    assert_string_equal(stage.last_body, body);
    assert_string_equal(heard.blob, "bytes");
    free(heard.result);
}

static void a_short_answer_after_a_long_one_has_nothing_cut_out(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK),
                                        ANSWERS_LONG(200, ADAPTER_BLOB_LEAST),
                                        SAYS(NEXT),
                                        SAYS(LOOK),
                                        {.kind = TURN_ANSWERS, .status = 200, .text = "short"},
                                        {.kind = TURN_SAYS, .text = STATE, .blob = "bytes"},
                                        {0}};
    struct heard heard = run(DIALOGUE_POLL, NULL, turns);
    assert_string_equal(stage.last_body, "short");
    assert_string_equal(heard.blob, "");
    assert_int_equal(heard.outcome.blob_file, -1);
    free(heard.result);
}

static void without_a_spool_it_is_trouble(void **state)
{
    (void)state;
    static const struct {
        struct turn turns[4];
        bool was_bought;
        const char *note;
    } rows[] = {
        {{SAYS(IMAGE), {.kind = TURN_IMAGES}}, false, "the request cannot be written"},
        {{SAYS(BUY), ANSWERS_LONG(200, ADAPTER_BLOB_LEAST)}, true, "the answer cannot be read"},
        {{SAYS(BUY), ANSWERS_LONG(200, ADAPTER_BLOB_LEAST + 1)}, true, "it broke off"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct heard heard = {.goes = true};
        play(rows[i].turns);
        stage.has_no_spool = true;
        start(&heard, DIALOGUE_SUBMIT, NULL);
        while (heard.n_done == 0 && go_on()) {
        }
        assert_int_equal(heard.n_done, 1);
        assert_int_equal(heard.outcome.end, DIALOGUE_TROUBLE);
        assert_int_equal(heard.outcome.was_bought, rows[i].was_bought);
        assert_non_null(strstr(heard.note, rows[i].note));
        assert_stage_is_empty();
    }
}

/* ---- what the program asked for before ---- */

static void a_request_that_is_remembered_is_not_asked_for(void **state)
{
    (void)state;
    static const struct turn first[] = {SAYS(LOOK),   ANSWERS(200), SAYS(NEXT), SAYS(UPLOAD),
                                        ANSWERS(200), SAYS(STATE),  {0}};
    /* Only the first step's: what the next asks for goes by the answer. */
    static const struct turn then[] = {ANSWERS(200), SAYS(NEXT),   FULL,        SAYS(UPLOAD),
                                       CROWDED,      ANSWERS(200), SAYS(STATE), {0}};
    char sent[ASKED_MAX];
    char *asked = NULL;
    struct heard heard = run_again(DIALOGUE_POLL, NULL, &asked, first);
    free(heard.result);
    assert_non_null(strstr(asked, "/v1/videos/j"));
    (void)snprintf(sent, sizeof sent, "%s", stage.sent);
    heard = run_again(DIALOGUE_POLL, NULL, &asked, then);
    free(heard.result);
    assert_string_equal(stage.asked, "polled(0, null, 200) poll(1, {\"n\": 1}) poll(1, {\"n\": 1}) "
                                     "polled(1, {\"n\": 1}, 200) ");
    assert_int_equal(strncmp(stage.sent, sent, strcspn(sent, "|")), 0);
    free(asked);
}

static void only_a_short_request_is_remembered(void **state)
{
    (void)state;
    static const char frame[] = "{\"method\":\"GET\",\"path\":\"/\"}";
    for (int length = 512; length <= 513; length++) {
        char said[600];
        (void)snprintf(said, sizeof said, "{\"method\":\"GET\",\"path\":\"/%0*d\"}",
                       length - (int)strlen(frame), 7);
        const struct turn turns[] = {SAYS(said), ANSWERS(200), SAYS(STATE), {0}};
        char *asked = NULL;
        struct heard heard = run_again(DIALOGUE_POLL, NULL, &asked, turns);
        assert_int_equal(asked != NULL, length == 512);
        free(asked);
        free(heard.result);
    }
}

static void what_it_will_not_ask_is_not_remembered(void **state)
{
    (void)state;
    static const struct turn rows[][2] = {{SAYS("null")}, {SAYS(REFUSES)}, {FAULTY}, {DEAF}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char *asked = NULL;
        struct heard heard = run_again(DIALOGUE_POLL, NULL, &asked, rows[i]);
        assert_null(asked);
        free(heard.result);
    }
}

static void a_remembered_request_that_cannot_be_made_is_told_later(void **state)
{
    (void)state;
    static const struct turn first[] = {SAYS("{\"method\":\"POST\"}"), {0}};
    static const struct turn then[] = {{0}};
    char *asked = NULL;
    (void)run_again(DIALOGUE_POLL, NULL, &asked, first);
    struct heard heard = run_again(DIALOGUE_POLL, NULL, &asked, then);
    assert_int_equal(heard.outcome.end, DIALOGUE_FAULT);
    assert_string_equal(stage.asked, "");
    free(asked);
}

/* ---- what is signed ---- */

static const struct channel_credential PAIR = {
    .name = "default", .key = "access", .secret = "top-secret"};

static struct channel signing_channel(void)
{
    struct channel channel = CHANNEL;
    channel.auth = AUTH_WAY_VOLCENGINE;
    channel.auth_service = "cv";
    channel.auth_region = "cn-north-1";
    channel.credentials = &PAIR;
    return channel;
}

/* Neither the wait before it may go nor the one for room makes a signature old. */
static void a_request_is_signed_as_it_leaves(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(BUY), CROWDED,      CROWDED,   CROWDED,
                                        CROWDED,   ANSWERS(200), SAYS(JOB), {0}};
    const struct channel channel = signing_channel();
    struct heard heard = {.channel = &channel};
    play(turns);
    start(&heard, DIALOGUE_SUBMIT, NULL);
    while (heard.n_ready == 0) {
        assert_true(go_on());
    }
    stage.now_ms += 3600 * 1000;
    dialogue_go(heard.dialogue);
    while (heard.n_done == 0 && go_on()) {
    }
    assert_int_equal(heard.outcome.end, DIALOGUE_ANSWERED);
    assert_non_null(strstr(stage.sent, "X-Date=19700120T173000Z"));
    assert_non_null(strstr(stage.sent, "X-Date=19700120T173001Z")); /* 4 times 300 ms later */
    assert_null(strstr(stage.sent, "X-Date=19700120T1630"));
    assert_non_null(strstr(stage.sent, "Credential=access/19700120/cn-north-1/cv/request, "
                                       "SignedHeaders=content-type;host;x-content-sha256;x-date"));
    assert_null(strstr(stage.sent, "top-secret"));
    assert_stage_is_empty();
    free(heard.result);
}

static void what_cannot_be_signed_does_not_leave(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(BUY), {0}};
    struct exchange_header headers[EXCHANGE_HEADERS_MAX - 2];
    char names[ARRAY_LENGTH(headers)][8];
    struct channel channel = signing_channel();
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        (void)snprintf(names[i], sizeof names[i], "X-%zu", i);
        headers[i] = (struct exchange_header){names[i], "1"};
    }
    channel.headers = headers;
    channel.n_headers = ARRAY_LENGTH(headers);
    struct heard heard = {.goes = true, .channel = &channel};
    play(turns);
    start(&heard, DIALOGUE_SUBMIT, NULL);
    while (heard.n_done == 0 && go_on()) {
    }
    assert_int_equal(heard.outcome.end, DIALOGUE_TROUBLE);
    assert_false(heard.outcome.was_bought);
    assert_non_null(strstr(heard.note, "cannot be signed"));
    assert_string_equal(stage.sent, "");
    assert_stage_is_empty();
}

/* ---- too many others ---- */

static void a_full_queue_is_waited_for_not_spun_on(void **state)
{
    (void)state;
    static const struct turn rows[][4] = {{FULL, SAYS("null")}, {SAYS(LOOK), CROWDED, UNSENT}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct heard heard = {.goes = true};
        play(rows[i]);
        start(&heard, DIALOGUE_POLL, NULL);
        while (stage.at < stage.n_turns - 1) {
            assert_true(go_on());
        }
        assert_int_equal(heard.n_done, 0);
        assert_int_equal(stage.n_timers, 1);
        assert_true(stage.timers[0]->due_ms > stage.now_ms);
        assert_null(dialogue_stop(heard.dialogue)); /* stopped meanwhile */
        assert_stage_is_empty();
        assert_false(go_on());
    }
}

/* ---- broken off ---- */

static void broken_off_anywhere_it_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        struct turn turns[14];
        int n_steps_least;
    } rows[] = {
        {{SAYS(IMAGE),
          {.kind = TURN_IMAGES},
          ANSWERS(200),
          SAYS(NEXT),
          SAYS(IMAGE),
          ANSWERS(200),
          SAYS(JOB)},
         7},
        {{FULL, SAYS(BUY), CROWDED, CROWDED, ANSWERS_LONG(200, ADAPTER_BLOB_LEAST), SAYS(NEXT),
          FULL, SAYS(LOOK), CROWDED, ANSWERS_LONG(200, BODY_MAX - 1), SAYS(JOB)},
         11},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int n_steps = 0;
        for (bool is_done = false; !is_done; n_steps++) {
            char *asked = NULL;
            struct heard heard = {.goes = true, .asked = &asked};
            play(rows[i].turns);
            start(&heard, DIALOGUE_SUBMIT, "{\"k\": 1}");
            for (int n = 0; n < n_steps && heard.n_done == 0; n++) {
                assert_true(go_on());
            }
            is_done = heard.n_done == 1;
            assert_null(dialogue_stop(heard.dialogue));
            assert_stage_is_empty();
            free(heard.result);
            free(asked);
        }
        assert_true(n_steps > rows[i].n_steps_least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_long_lies_in_the_spool),
        cmocka_unit_test(what_is_read_again_is_the_same),
        cmocka_unit_test(a_body_lies_in_the_spool_when_it_has_images),
        cmocka_unit_test(an_answer_takes_the_place_of_the_one_before),
        cmocka_unit_test(a_short_answer_after_a_long_one_has_nothing_cut_out),
        cmocka_unit_test(without_a_spool_it_is_trouble),
        cmocka_unit_test(a_request_that_is_remembered_is_not_asked_for),
        cmocka_unit_test(only_a_short_request_is_remembered),
        cmocka_unit_test(what_it_will_not_ask_is_not_remembered),
        cmocka_unit_test(a_remembered_request_that_cannot_be_made_is_told_later),
        cmocka_unit_test(a_request_is_signed_as_it_leaves),
        cmocka_unit_test(what_cannot_be_signed_does_not_leave),
        cmocka_unit_test(a_full_queue_is_waited_for_not_spun_on),
        cmocka_unit_test(broken_off_anywhere_it_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
