/* SPDX-License-Identifier: Apache-2.0
 *
 * Access tokens: fetched once however many wait, kept until shortly before their end, and no endpoint is asked in a hurry. */
#include "engine_upstream.h"

#include "engine/token.h"
#include "service_key.h"
#include "task/policy.h"

#define URI "https://oauth2.example.com/token"
#define TOKEN(json)                                                                                \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = 200, .text = (json)                                        \
    }
#define HOUR TOKEN("{\"access_token\":\"t-1\",\"expires_in\":3600}")
#define SECOND TOKEN("{\"access_token\":\"t-2\",\"expires_in\":3600}")
#define REFUSAL                                                                                    \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = 400, .text = "{\"error\":\"invalid_grant\"}"               \
    }

enum { HEARD_MAX = 8 };

struct scene {
    struct service_account *accounts[2];
    struct channel_credential keys[2];
    struct channel channel;
    struct tokens *tokens;
};

struct heard {
    struct scene *scene;
    struct token_wait *wait;
    struct token_wait **stops; /* another's, when this one is told; NULL: none */
    struct heard *asks;        /* waits anew when this one is told; NULL: nobody */
    bool crowds;               /* when told, there are more channels at once than tokens are kept */
    int n_told;
    struct token_outcome outcome;
    char note[TOKEN_NOTE_SIZE];
};

static void begin(struct scene *scene, const struct turn *turns)
{
    static const char *const json[] = {ACCOUNT_JSON(RFC_RSA_PEM, URI),
                                       " " ACCOUNT_JSON(RFC_RSA_PEM, URI)};
    char error[SERVICE_ACCOUNT_ERROR_SIZE];
    play(turns);
    *scene = (struct scene){
        .channel = {.name = "main",
                    .auth = AUTH_WAY_GOOGLE,
                    .auth_scope = "films",
                    .road = {.proxy = "http://proxy.example:3128", .ca_file = "/ca.pem"},
                    .connect_ms = 7000}};
    for (size_t i = 0; i < ARRAY_LENGTH(json); i++) {
        scene->accounts[i] = service_account_new(json[i], error);
        scene->keys[i] = (struct channel_credential){
            .name = "default", .key = "", .account = scene->accounts[i]};
    }
    scene->tokens = tokens_new(NULL, NULL);
}

static void end(struct scene *scene)
{
    scene->tokens = tokens_free(scene->tokens);
    for (size_t i = 0; i < ARRAY_LENGTH(scene->accounts); i++) {
        service_account_free(scene->accounts[i]);
    }
    assert_int_equal(stage.at, stage.n_turns);
    assert_stage_is_empty();
}

static void ask_of(struct scene *scene, const struct channel_credential *identity,
                   struct heard *heard);
static void crowd(struct scene *scene);

static void on_told(void *context, const struct token_outcome *outcome)
{
    struct heard *heard = context;
    assert_false(stage.is_within);
    heard->n_told++;
    heard->wait = NULL;
    heard->outcome = *outcome;
    (void)snprintf(heard->note, sizeof heard->note, "%s", outcome->note);
    if (heard->stops) {
        *heard->stops = token_wait_stop(*heard->stops);
    }
    if (heard->crowds) {
        crowd(heard->scene);
    }
    if (heard->asks) {
        ask_of(heard->scene, &heard->scene->keys[0], heard->asks);
    }
}

static void ask_of(struct scene *scene, const struct channel_credential *identity,
                   struct heard *heard)
{
    const struct token_query query = {&scene->channel, identity, on_told, heard};
    bool was_within = stage.is_within;
    heard->scene = scene;
    heard->n_told = 0;
    stage.is_within = true;
    assert_int_equal(tokens_wait(scene->tokens, &query, &heard->wait), 0);
    stage.is_within = was_within;
}

static void ask(struct scene *scene, struct heard *heard)
{
    ask_of(scene, &scene->keys[0], heard);
}

/* Channels come and go with the configuration; each waits a moment for its token. */
static void crowd(struct scene *scene)
{
    struct heard heard = {0};
    char name[24];
    size_t n_timers = stage.n_timers;
    scene->channel.name = name;
    for (int i = 0; i < 2 * TOKENS_MAX; i++) {
        (void)snprintf(name, sizeof name, "channel-%d", i);
        ask_of(scene, &scene->keys[0], &heard);
        heard.wait = token_wait_stop(heard.wait);
        loop_disarm(NULL, stage.timers[n_timers]);
    }
    scene->channel.name = "main";
}

static const char *at_hand(struct scene *scene)
{
    return tokens_at_hand(scene->tokens, &scene->channel, &scene->keys[0]);
}

static void assert_told(const struct heard *heard, bool is_granted, bool is_refused,
                        int64_t retry_after_ms)
{
    assert_int_equal(heard->n_told, 1);
    assert_int_equal(heard->outcome.is_granted, is_granted);
    assert_int_equal(heard->outcome.is_refused, is_refused);
    assert_int_equal(heard->outcome.retry_after_ms, retry_after_ms);
}

/* ---- tests ---- */

static void many_wait_for_one(void **state)
{
    (void)state;
    struct scene scene;
    struct heard heard[HEARD_MAX] = {0};
    begin(&scene, (const struct turn[TURNS_MAX]){HOUR});
    assert_null(at_hand(&scene));
    for (size_t i = 0; i < HEARD_MAX; i++) {
        ask(&scene, &heard[i]);
        if (i == 3) { /* the form is on its way when the others come */
            assert_true(go_on());
            assert_int_equal(stage.n_exchanges, 1);
        }
    }
    assert_int_equal(stage.n_timers, 1);
    struct loop_timer *timer = stage.timers[0];
    loop_disarm(NULL, timer);
    timer->fire(timer); /* the loop turns before the answer comes */
    assert_int_equal(stage.n_exchanges, 1);
    play_out();
    for (size_t i = 0; i < HEARD_MAX; i++) {
        assert_told(&heard[i], true, false, 0);
    }
    assert_string_equal(at_hand(&scene), "t-1");
    assert_int_equal(stage.n_exchanges, 1);
    static const char sent[] = "POST " URI " Content-Type=application/x-www-form-urlencoded "
                               "Accept=application/json grant_type=urn%3Aietf";
    assert_memory_equal(stage.sent, sent, strlen(sent));
    ask(&scene, &heard[0]); /* it is there, and that is told, too */
    play_out();
    assert_told(&heard[0], true, false, 0);
    end(&scene);
}

static void it_is_kept_until_shortly_before_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int64_t good_ms;
    } rows[] = {
        {"{\"access_token\":\"t-1\",\"expires_in\":3600}", 3300 * 1000},
        {"{\"access_token\":\"t-1\",\"expires_in\":500}", 250 * 1000},
        {"{\"access_token\":\"t-1\",\"expires_in\":1}", 500},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct scene scene;
        struct heard heard = {0};
        begin(&scene, (const struct turn[TURNS_MAX]){TOKEN(rows[i].answer), SECOND});
        ask(&scene, &heard);
        while (heard.n_told == 0) {
            assert_true(go_on());
        }
        int64_t got_ms = stage.now_ms;
        stage.now_ms = got_ms + rows[i].good_ms - 1;
        assert_string_equal(at_hand(&scene), "t-1");
        stage.now_ms++;
        assert_null(at_hand(&scene));
        ask(&scene, &heard);
        play_out();
        assert_string_equal(at_hand(&scene), "t-2");
        end(&scene);
    }
}

static void a_refusal_is_told_and_not_asked_again_at_once(void **state)
{
    (void)state;
    struct scene scene;
    struct heard first = {0}, second = {0}, third = {0};
    begin(&scene, (const struct turn[TURNS_MAX]){REFUSAL, HOUR});
    ask(&scene, &first);
    ask(&scene, &second);
    while (first.n_told == 0) {
        assert_true(go_on());
    }
    assert_told(&first, false, true, TOKEN_REST_MOST_MS);
    assert_told(&second, false, true, TOKEN_REST_MOST_MS);
    assert_string_equal(first.note,
                        "no access token from " URI ": it answered with status 400: invalid_grant");
    stage.now_ms += TOKEN_REST_MOST_MS - 1;
    ask(&scene, &third);
    assert_true(go_on());
    assert_told(&third, false, true, 1);
    assert_int_equal(stage.n_exchanges, 1);
    stage.now_ms++;
    ask(&scene, &third);
    play_out();
    assert_told(&third, true, false, 0);
    end(&scene);
}

static void pauses_grow_and_an_endpoint_may_ask_for_one(void **state)
{
    (void)state;
    static const struct {
        struct turn turn;
        int64_t rest_ms;
    } rows[] = {
        {ANSWERS(503), 2000},
        {BREAKS(UNREACHABLE), 4000},
        {BREAKS(TIMED_OUT), 8000},
        {ANSWERS_LATER(429, 20000), 20000},
        {ANSWERS_LATER(429, 1000), 32000},
        {ANSWERS(200), TOKEN_REST_MOST_MS}, /* without a token */
        {ANSWERS_LONG(200, 2 * 1024), TOKEN_REST_MOST_MS},
        {UNSENT, TOKEN_REST_MOST_MS},
        {ANSWERS_LATER(429, INT64_MAX), POLICY_RETRY_AFTER_MOST_MS},
    };
    struct turn turns[TURNS_MAX] = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        turns[i] = rows[i].turn;
    }
    turns[ARRAY_LENGTH(rows)] = (struct turn)HOUR;
    struct scene scene;
    struct heard heard = {0};
    begin(&scene, turns);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        ask(&scene, &heard);
        while (heard.n_told == 0) {
            assert_true(go_on());
        }
        assert_told(&heard, false, false, rows[i].rest_ms);
        stage.now_ms += rows[i].rest_ms;
    }
    ask(&scene, &heard);
    play_out();
    assert_told(&heard, true, false, 0);
    end(&scene);
}

static void too_many_exchanges_are_waited_out(void **state)
{
    (void)state;
    struct scene scene;
    struct heard heard = {0};
    begin(&scene, (const struct turn[TURNS_MAX]){CROWDED, CROWDED, HOUR});
    ask(&scene, &heard);
    play_out();
    assert_told(&heard, true, false, 0);
    end(&scene);
}

static void one_that_the_upstream_refuses_is_dropped_once(void **state)
{
    (void)state;
    struct scene scene;
    struct heard heard = {0};
    begin(&scene, (const struct turn[TURNS_MAX]){HOUR, SECOND});
    tokens_note_refusal(scene.tokens, &scene.channel, &scene.keys[0]); /* of none */
    ask(&scene, &heard);
    while (heard.n_told == 0) {
        assert_true(go_on());
    }
    tokens_note_refusal(scene.tokens, &scene.channel, &scene.keys[0]);
    assert_null(at_hand(&scene));
    ask(&scene, &heard);
    play_out();
    assert_string_equal(at_hand(&scene), "t-2");
    tokens_note_refusal(scene.tokens, &scene.channel, &scene.keys[0]); /* it is not the token */
    assert_string_equal(at_hand(&scene), "t-2");
    stage.now_ms += TOKEN_KEPT_MS;
    tokens_note_refusal(scene.tokens, &scene.channel, &scene.keys[0]);
    assert_null(at_hand(&scene));
    end(&scene);
}

static void each_account_channel_and_scope_has_its_own(void **state)
{
    (void)state;
    struct scene scene;
    struct heard heard = {0};
    begin(&scene, (const struct turn[TURNS_MAX]){HOUR, SECOND});
    ask(&scene, &heard);
    while (heard.n_told == 0) {
        assert_true(go_on());
    }
    assert_null(tokens_at_hand(scene.tokens, &scene.channel, &scene.keys[1]));
    ask_of(&scene, &scene.keys[1], &heard);
    play_out();
    assert_string_equal(tokens_at_hand(scene.tokens, &scene.channel, &scene.keys[1]), "t-2");
    assert_string_equal(at_hand(&scene), "t-1");
    scene.channel.auth_scope = "more";
    assert_null(at_hand(&scene));
    scene.channel.auth_scope = "films";
    scene.channel.name = "other";
    assert_null(at_hand(&scene));
    end(&scene);
}

static void whoever_is_told_may_stop_others_and_ask_anew(void **state)
{
    (void)state;
    struct scene scene;
    struct heard first = {0}, second = {0}, third = {0}, again = {0};
    begin(&scene, (const struct turn[TURNS_MAX]){ANSWERS(503)});
    ask(&scene, &first);
    ask(&scene, &second);
    ask(&scene, &third);
    first.stops = &second.wait;
    first.asks = &again;
    while (third.n_told == 0) {
        assert_true(go_on());
    }
    assert_int_equal(second.n_told, 0);
    assert_int_equal(again.n_told, 0); /* not of this round */
    play_out();
    assert_told(&again, false, false, 2000);
    assert_int_equal(stage.n_exchanges, 1);
    end(&scene);
}

static void nobody_is_told_who_has_stopped(void **state)
{
    (void)state;
    struct scene scene;
    struct heard heard = {0};
    begin(&scene, (const struct turn[TURNS_MAX]){HOUR});
    ask(&scene, &heard);
    heard.wait = token_wait_stop(heard.wait);
    assert_true(go_on());
    assert_int_equal(stage.n_exchanges, 0);
    ask(&scene, &heard);
    assert_true(go_on());
    heard.wait = token_wait_stop(heard.wait); /* what is under way goes on, for the next */
    play_out();
    assert_int_equal(heard.n_told, 0);
    assert_string_equal(at_hand(&scene), "t-1");
    ask(&scene, &heard); /* and at the end of all things */
    heard.wait = token_wait_stop(heard.wait);
    end(&scene);
    assert_null(token_wait_stop(NULL));
}

static void there_is_an_end_to_who_may_wait(void **state)
{
    (void)state;
    struct scene scene;
    static struct heard heard[TOKEN_WAITS_MAX];
    begin(&scene, (const struct turn[TURNS_MAX]){HOUR});
    for (size_t i = 0; i < TOKEN_WAITS_MAX; i++) {
        ask(&scene, &heard[i]);
    }
    const struct token_query query = {&scene.channel, &scene.keys[0], on_told, &heard[0]};
    struct token_wait *wait = NULL;
    assert_int_equal(tokens_wait(scene.tokens, &query, &wait), -EAGAIN);
    play_out();
    for (size_t i = 0; i < TOKEN_WAITS_MAX; i++) {
        assert_told(&heard[i], true, false, 0);
    }
    end(&scene);
}

static void what_nobody_waits_for_makes_room(void **state)
{
    (void)state;
    struct scene scene;
    struct heard first = {0}, second = {0};
    begin(&scene, (const struct turn[TURNS_MAX]){ANSWERS(503)});
    ask(&scene, &first);
    ask(&scene, &second);
    assert_true(go_on());
    crowd(&scene);        /* who waits is not forgotten */
    second.crowds = true; /* the last one to be told */
    play_out();
    assert_told(&first, false, false, 2000);
    assert_told(&second, false, false, 2000);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_wait_for_one),
        cmocka_unit_test(it_is_kept_until_shortly_before_its_end),
        cmocka_unit_test(a_refusal_is_told_and_not_asked_again_at_once),
        cmocka_unit_test(pauses_grow_and_an_endpoint_may_ask_for_one),
        cmocka_unit_test(too_many_exchanges_are_waited_out),
        cmocka_unit_test(one_that_the_upstream_refuses_is_dropped_once),
        cmocka_unit_test(each_account_channel_and_scope_has_its_own),
        cmocka_unit_test(whoever_is_told_may_stop_others_and_ask_anew),
        cmocka_unit_test(nobody_is_told_who_has_stopped),
        cmocka_unit_test(there_is_an_end_to_who_may_wait),
        cmocka_unit_test(what_nobody_waits_for_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
