/* SPDX-License-Identifier: Apache-2.0
 *
 * One question to an upstream and its answer: when the job may have been bought, which answers count, how the steps of
 * one dialogue hang together, and that nothing is left when it ends or is broken off. */
#include "engine_upstream.h"

/* ---- the stage ---- */

static const struct channel_credential KEY = {"default", "secret", NULL};
static const struct adapter VENDOR;

static const struct channel CHANNEL = {
    .name = "main",
    .adapter = &VENDOR,
    .base_url = "https://up.example",
    .hosts = (const char *const[]){NULL},
    .auth = CHANNEL_AUTH_BEARER,
    .credentials = &KEY,
    .n_credentials = 1,
    .submit_total_ms = 60000,
    .exchange_total_ms = 20000,
    .connect_ms = 7000,
};

static const struct settings SETTINGS = {.upstream_answer = 50000};
static const struct engine_room ROOM = {.settings = &SETTINGS};

struct heard {
    struct dialogue *dialogue;
    bool goes; /* when ready */
    char **asked;
    int n_ready, n_done;
    struct dialogue_outcome outcome;
    char *result; /* JSON; NULL: none */
    char note[DIALOGUE_NOTE_SIZE];
    char blob[ASKED_MAX]; /* empty: none */
};

static void on_ready(void *context)
{
    struct heard *heard = context;
    assert_false(stage.is_within);
    heard->n_ready++;
    if (heard->goes) {
        stage.is_within = true;
        dialogue_go(heard->dialogue);
        stage.is_within = false;
    }
}

static void on_done(void *context, const struct dialogue_outcome *outcome)
{
    struct heard *heard = context;
    assert_false(stage.is_within);
    heard->n_done++;
    heard->outcome = *outcome;
    heard->result =
        outcome->result ? json_dumps(outcome->result, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    (void)snprintf(heard->note, sizeof heard->note, "%s", outcome->note);
    if (outcome->n_blobs > 0) {
        read_all(outcome->blob_file, outcome->blobs[0].bytes, heard->blob, ASKED_MAX);
    }
    heard->dialogue = dialogue_stop(heard->dialogue); /* as it may */
}

static struct task *task_with_image(void)
{
    struct task_request *request = task_request_new();
    request->n_images = 1;
    request->images = must_calloc(1, sizeof *request->images);
    request->images[0].key = must_strdup("task_1/media_1.png");
    return task_new(request, START_MS);
}

static void start(struct heard *heard, enum dialogue_kind kind, const char *keep)
{
    struct task *task = task_with_image();
    const struct dialogue_spec spec = {
        .kind = kind,
        .channel = &CHANNEL,
        .credential = &KEY,
        .task = task,
        .input = json_object(),
        .keep = keep,
        .asked = heard->asked,
        .ready = on_ready,
        .done = on_done,
        .context = heard,
    };
    stage.is_within = true;
    heard->dialogue = dialogue_start(&ROOM, &spec);
    stage.is_within = false;
    task_unref(task);
}

/* `asked`: where the program's request is kept; NULL: nowhere. */
static struct heard run_again(enum dialogue_kind kind, const char *keep, char **asked,
                              const struct turn *turns)
{
    struct heard heard = {.goes = true, .asked = asked};
    play(turns);
    start(&heard, kind, keep);
    while (heard.n_done == 0 && go_on()) {
    }
    assert_int_equal(heard.n_done, 1);
    assert_stage_is_empty();
    assert_int_equal(stage.at, stage.n_turns);
    return heard;
}

static struct heard run(enum dialogue_kind kind, const char *keep, const struct turn *turns)
{
    return run_again(kind, keep, NULL, turns);
}

/* ---- what was bought, and what is said ---- */

#define BUY "{\"method\":\"POST\",\"path\":\"/v1/videos\",\"json\":{\"a\":1}}"
#define UPLOAD "{\"method\":\"PUT\",\"path\":\"/v1/files\",\"buys\":false}"
#define LOOK "{\"method\":\"GET\",\"path\":\"/v1/videos/j\"}"
#define HEEDS                                                                                      \
    "{\"method\":\"GET\",\"path\":\"/v1/videos/j\",\"heed\":[\"429\",\"503\"],\"buys\":true}"
#define NEXT "{\"next\":true,\"keep\":{\"n\":1}}"
#define JOB "{\"job\":\"j\"}"
#define REFUSES "{\"error\":{\"kind\":\"refused\"}}"
#define STATE "{\"state\":\"pending\"}"
#define IMAGE                                                                                      \
    "{\"method\":\"POST\",\"path\":\"/v1/videos\","                                                \
    "\"json\":{\"i\":{\"$image\":0,\"as\":[\"base64\"]}}}"

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
        cmocka_unit_test(a_submit_knows_what_may_have_been_bought),
        cmocka_unit_test(a_poll_or_cancel_knows_which_answers_count),
        cmocka_unit_test(the_program_is_asked_step_by_step),
        cmocka_unit_test(what_is_sent_is_what_was_asked_for),
        cmocka_unit_test(an_answer_takes_the_place_of_the_one_before),
        cmocka_unit_test(a_short_answer_after_a_long_one_has_nothing_cut_out),
        cmocka_unit_test(the_limits_are_the_channels),
        cmocka_unit_test(images_that_cannot_be_had_say_why),
        cmocka_unit_test(without_a_spool_it_is_trouble),
        cmocka_unit_test(only_what_is_long_lies_in_the_spool),
        cmocka_unit_test(a_body_lies_in_the_spool_when_it_has_images),
        cmocka_unit_test(a_request_that_is_remembered_is_not_asked_for),
        cmocka_unit_test(only_a_short_request_is_remembered),
        cmocka_unit_test(what_it_will_not_ask_is_not_remembered),
        cmocka_unit_test(a_remembered_request_that_cannot_be_made_is_told_later),
        cmocka_unit_test(a_full_queue_is_waited_for_not_spun_on),
        cmocka_unit_test(nothing_that_buys_leaves_before_it_is_told_to),
        cmocka_unit_test(broken_off_anywhere_it_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
