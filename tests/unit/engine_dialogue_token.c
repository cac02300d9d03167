/* SPDX-License-Identifier: Apache-2.0
 *
 * Dialogues with an upstream that takes access tokens: nothing leaves without one, and that there is none never looks like
 * something bought. */
#include "engine_dialogue_stage.h"

#include "service_key.h"

#define URI "https://oauth2.example.com/token"
#define GRANT                                                                                      \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = 200,                                                       \
        .text = "{\"access_token\":\"t-1\",\"expires_in\":3600}"                                   \
    }
#define REFUSAL                                                                                    \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = 400, .text = "{\"error\":\"invalid_grant\"}"               \
    }
#define NO_TOKEN "no access token from " URI ": it answered with status "

struct scene {
    struct service_account *account;
    struct channel_credential key;
    struct channel channel;
    struct engine_room room;
};

static void begin(struct scene *scene)
{
    char error[SERVICE_ACCOUNT_ERROR_SIZE];
    scene->account = service_account_new(ACCOUNT_JSON(RFC_RSA_PEM, URI), error);
    scene->key =
        (struct channel_credential){.name = "default", .key = "", .account = scene->account};
    scene->channel = CHANNEL;
    scene->channel.auth = AUTH_WAY_GOOGLE;
    scene->channel.auth_scope = "films";
    scene->channel.credentials = &scene->key;
    scene->room = ROOM;
    scene->room.tokens = tokens_new(NULL, NULL);
}

static void end(struct scene *scene)
{
    scene->room.tokens = tokens_free(scene->room.tokens);
    service_account_free(scene->account);
    assert_stage_is_empty();
}

/* One dialogue, to its end. What is under way on the loop belongs to the tokens. */
static struct heard talk(struct scene *scene, enum dialogue_kind kind, const struct turn *turns)
{
    struct heard heard = {.goes = true, .room = &scene->room, .channel = &scene->channel};
    int64_t now_ms = stage.now_ms;
    play(turns);
    stage.now_ms = now_ms > START_MS ? now_ms : START_MS;
    start(&heard, kind, NULL);
    while (heard.n_done == 0 && go_on()) {
    }
    assert_int_equal(heard.n_done, 1);
    assert_int_equal(stage.at, stage.n_turns);
    return heard;
}

static void a_token_comes_first_and_is_kept(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    struct heard heard =
        talk(&scene, DIALOGUE_SUBMIT,
             (const struct turn[TURNS_MAX]){SAYS(BUY), GRANT, ANSWERS(200), SAYS(JOB)});
    assert_int_equal(heard.outcome.end, DIALOGUE_ANSWERED);
    assert_true(heard.outcome.was_bought);
    assert_int_equal(heard.n_ready, 1);
    assert_non_null(strstr(stage.sent, "POST " URI " "));
    assert_non_null(strstr(stage.sent,
                           "|POST https://up.example/v1/videos Content-Type=application/json "
                           "Authorization=Bearer t-1 {\"a\":1}|"));
    free(heard.result);
    heard = talk(&scene, DIALOGUE_POLL,
                 (const struct turn[TURNS_MAX]){SAYS(LOOK), ANSWERS(200), SAYS(STATE)});
    assert_string_equal(stage.sent, "GET https://up.example/v1/videos/j Authorization=Bearer t-1|");
    free(heard.result);
    end(&scene);
}

static void without_a_token_nothing_was_bought(void **state)
{
    (void)state;
    static const struct {
        enum dialogue_kind kind;
        struct turn turn;
        enum dialogue_end end;
        const char *result, *note;
        int64_t retry_after_ms;
    } rows[] = {
        {DIALOGUE_SUBMIT, REFUSAL, DIALOGUE_ANSWERED,
         "{\"error\":{\"code\":\"no_token\",\"message\":\"" NO_TOKEN
         "400: invalid_grant\",\"kind\":\"auth\"}}",
         "", TOKEN_REST_MOST_MS},
        {DIALOGUE_SUBMIT, ANSWERS(503), DIALOGUE_TROUBLE, NULL, NO_TOKEN "503", TOKEN_REST_MS},
        {DIALOGUE_SUBMIT, BREAKS(TIMED_OUT), DIALOGUE_TROUBLE, NULL,
         "no access token from " URI ": it broke off", TOKEN_REST_MS},
        {DIALOGUE_POLL, REFUSAL, DIALOGUE_TROUBLE, NULL, NO_TOKEN "400: invalid_grant",
         TOKEN_REST_MOST_MS},
        {DIALOGUE_CANCEL, ANSWERS_LATER(429, 9000), DIALOGUE_TROUBLE, NULL, NO_TOKEN "429", 9000},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct scene scene;
        begin(&scene);
        struct heard heard =
            talk(&scene, rows[i].kind, (const struct turn[TURNS_MAX]){SAYS(BUY), rows[i].turn});
        assert_int_equal(heard.outcome.end, rows[i].end);
        assert_false(heard.outcome.was_bought);
        assert_int_equal(heard.outcome.status, 0);
        assert_int_equal(heard.outcome.retry_after_ms, rows[i].retry_after_ms);
        assert_int_equal(heard.n_ready, 0);
        assert_string_equal(heard.note, rows[i].note);
        assert_int_equal(heard.result != NULL, rows[i].result != NULL);
        if (heard.result) {
            assert_string_equal(heard.result, rows[i].result);
        }
        free(heard.result);
        end(&scene);
    }
}

/* What an earlier step bought stays bought: no `auth` may turn the task away then. */
static void what_was_bought_before_stays_bought(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    struct heard heard = talk(&scene, DIALOGUE_SUBMIT,
                              (const struct turn[TURNS_MAX]){SAYS(BUY), GRANT, ANSWERS(401),
                                                             SAYS(NEXT), SAYS(BUY), REFUSAL});
    assert_int_equal(heard.outcome.end, DIALOGUE_TROUBLE);
    assert_true(heard.outcome.was_bought);
    end(&scene);
}

static void a_401_has_another_token_fetched(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    struct heard heard =
        talk(&scene, DIALOGUE_POLL,
             (const struct turn[TURNS_MAX]){SAYS(LOOK), GRANT, ANSWERS(401), SAYS(STATE)});
    free(heard.result);
    heard = talk(&scene, DIALOGUE_POLL,
                 (const struct turn[TURNS_MAX]){SAYS(LOOK), GRANT, ANSWERS(401), SAYS(STATE)});
    free(heard.result);
    /* the fresh one is refused as well: it is not the token's fault */
    heard = talk(&scene, DIALOGUE_POLL,
                 (const struct turn[TURNS_MAX]){SAYS(LOOK), ANSWERS(403), SAYS(STATE)});
    free(heard.result);
    end(&scene);
}

static void one_that_is_stopped_waits_no_more(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene);
    struct heard heard = {.goes = true, .room = &scene.room, .channel = &scene.channel};
    play((const struct turn[TURNS_MAX]){SAYS(BUY), GRANT});
    start(&heard, DIALOGUE_SUBMIT, NULL);
    while (!stage.exchange) {
        assert_true(go_on());
    }
    heard.dialogue = dialogue_stop(heard.dialogue);
    while (go_on()) {
    }
    assert_int_equal(heard.n_done, 0);
    assert_string_equal(tokens_at_hand(scene.room.tokens, &scene.channel, &scene.key), "t-1");
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_comes_first_and_is_kept),
        cmocka_unit_test(without_a_token_nothing_was_bought),
        cmocka_unit_test(what_was_bought_before_stays_bought),
        cmocka_unit_test(a_401_has_another_token_fetched),
        cmocka_unit_test(one_that_is_stopped_waits_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
