/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt at an upstream: its result comes home whatever breaks, and what breaks for good is told. */
#include "engine_remote_stage.h"

#include "engine/remote_own.h"

/* As many bytes as a result may have, and then it breaks off. */
#define FILLS                                                                                      \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = 200, .text = "", .length = 1000,                           \
        .end = EXCHANGE_UNREACHABLE, .header = "etag", .value = "\"e\""                            \
    }

struct download {
    const char *adapter, *outputs;
    struct turn turns[30];
    const char *told;
    const char *sent;   /* NULL: whatever */
    const char *stored; /* what was given to the store last; NULL: nothing */
};

static const struct download DOWNLOADS[] = {
    /* whom the credential goes to, and what is guarded */
    {"plain", HOME, {BRINGS(200, "all"), STORES}, "stored(gen_1)", GET_HOME, "all"},
    {"plain",
     "[{\"url\":\"https://up.example/v.mp4\",\"auth\":true}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://up.example/v.mp4 Authorization=Bearer secret|",
     "all"},
    {"plain",
     "[{\"url\":\"https://cdn.example/v.mp4\",\"auth\":true}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://cdn.example/v.mp4 guarded|",
     "all"},
    {"plain",
     "[{\"request\":{\"method\":\"GET\",\"path\":\"/v1/content\"}}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://up.example/v1/content Authorization=Bearer secret|",
     "all"},
    {"plain",
     "[{\"request\":{\"method\":\"GET\",\"url\":\"https://cdn.example/v\"}}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://cdn.example/v guarded|",
     "all"},
    {"plain",
     "[{\"request\":{\"method\":\"GET\",\"path\":\"/v1/content\"},\"auth\":false}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://up.example/v1/content|",
     "all"},
    /* where the adapter says so of all its results */
    {"keyed",
     HOME,
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://up.example/v.mp4 Authorization=Bearer secret|",
     "all"},
    {"keyed",
     "[{\"url\":\"https://up.example/v.mp4\",\"auth\":false}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME,
     "all"},
    {"keyed",
     "[{\"url\":\"https://cdn.example/v.mp4\"}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://cdn.example/v.mp4 guarded|",
     "all"},
    /* the same of a credential that signs */
    {"signs",
     "[{\"url\":\"https://up.example/v.mp4\",\"auth\":true}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://up.example/v.mp4 X-Date=19700120T163000Z "
     "X-Content-Sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 "
     "Authorization=HMAC-SHA256 Credential=secret/19700120/cn-north-1/cv/request, "
     "SignedHeaders=host;x-content-sha256;x-date, "
     "Signature=8bdce772f8f0d7f556a7a39607ed23a6cedf15ff62985ded195d5a461b604926|",
     "all"},
    {"signs",
     "[{\"url\":\"https://cdn.example/v.mp4\",\"auth\":true}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://cdn.example/v.mp4 guarded|",
     "all"},
    /* gone on with, when it can be shown to be the same file */
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "\"e\""), BRINGS_PART("4-7/8", "rest"), STORES},
     "stored(gen_1)",
     GET_HOME GET_REST,
     "halfrest"},
    {"plain",
     HOME,
     {STOPS_AT(200, "ha", "\"e\""), STOPS_AT(206, "lf", "\"other\""), BRINGS_PART("4-7/8", "rest"),
      STORES},
     "stored(gen_1)",
     "GET https://up.example/v.mp4|GET https://up.example/v.mp4 Range=bytes=2- "
     "If-Range=\"e\"|" GET_REST,
     "halfrest"},
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "W/\"e\""), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_HOME,
     "all"},
    {"plain",
     HOME,
     {BREAKS(UNREACHABLE), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_HOME,
     "all"},
    {"plain",
     HOME,
     {STOPS_AT(200, "", "\"e\""), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_HOME,
     "all"},
    /* … but for one that breaks off where our bound is: nothing is left to ask for */
    {"plain", HOME, {FILLS, BRINGS(200, "all"), STORES}, "stored(gen_1)", GET_HOME GET_HOME, "all"},
    {"plain",
     HOME,
     {FILLS, FILLS, FILLS, FILLS, FILLS, FILLS, FILLS, FILLS, FILLS, FILLS, FILLS, FILLS},
     LOST,
     NULL,
     NULL},
    /* it is another file by now, or its server knows no parts: from the beginning */
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "\"e\""), BRINGS(200, "another"), BRINGS(200, "another"), STORES},
     "stored(gen_1)",
     GET_HOME GET_REST GET_HOME,
     "another"},
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "\"e\""), BRINGS(503, "no"), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_REST GET_HOME,
     "all"},
    /* another part than was asked for */
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "\"e\""), BRINGS_PART("3-7/8", "frest")},
     LOST,
     GET_HOME GET_REST,
     NULL},
    {"plain", HOME, {BRINGS(206, "part")}, LOST, GET_HOME, NULL},
    {"able",
     HOME,
     {BRINGS(206, "part"), ANEW(HOME), BRINGS(200, "all"), STORES},
     RENEWED "stored(gen_1)",
     NULL,
     "all"},
    /* the link has died */
    {"plain",
     HOME,
     {BRINGS(404, "no"), BRINGS(403, "no"), BRINGS(404, "no"), BRINGS(410, "no")},
     LOST,
     GET_HOME GET_HOME GET_HOME GET_HOME,
     NULL},
    {"plain",
     HOME,
     {BRINGS(404, "no"), BRINGS(404, "no"), BRINGS(404, "no"), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_HOME GET_HOME GET_HOME,
     "all"},
    {"able",
     HOME,
     {BRINGS(410, "no"), ANEW("[{\"url\":\"https://up.example/w.mp4\"}]"), BRINGS(200, "all"),
      STORES},
     "renewed([{\"url\":\"https://up.example/w.mp4\"}]) stored(gen_1)",
     NULL,
     "all"},
    {"able",
     HOME,
     {BRINGS(404, "no"), ANEW(HOME), BRINGS(404, "no"), ANEW(HOME), BRINGS(404, "no"), ANEW(HOME),
      BRINGS(404, "no")},
     RENEWED RENEWED RENEWED LOST,
     NULL,
     NULL},
    {"able",
     HOME,
     {BRINGS(404, "no"), GONE_POLL, AGAIN, DONE(HOME), BRINGS(200, "all"), STORES},
     RENEWED "stored(gen_1)",
     NULL,
     "all"},
    /* out of reach: waited for as long as it takes, and the link counts for nothing less */
    {"plain",
     HOME,
     {BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BRINGS(200, "all"),
      STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    {"plain", HOME, {AWAY_12, AWAY_12, BRINGS(200, "all"), STORES}, "stored(gen_1)", NULL, "all"},
    {"plain",
     HOME,
     {BRINGS(408, "no"), BRINGS(425, "no"), BRINGS(429, "no"), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    /* twelve that break off half-way */
    {"plain",
     HOME,
     {HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    {"plain", HOME, {HALVES_12}, LOST, NULL, NULL},
    {"able",
     HOME,
     {HALVES_12, ANEW(HOME), HALF, HALF, BRINGS(200, "all"), STORES},
     RENEWED "stored(gen_1)",
     NULL,
     "all"},
    /* … those out of reach between them do not count, nor do they begin the count anew */
    {"plain",
     HOME,
     {HALF, HALF, HALF, HALF, HALF, HALF, BAD, BREAKS(TIMED_OUT), BAD, BAD, BAD, BAD, HALF, HALF,
      HALF, HALF, HALF, BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    {"plain",
     HOME,
     {HALF, HALF, HALF, HALF, HALF, HALF, BAD, BREAKS(TIMED_OUT), HALF, HALF, HALF, HALF, HALF,
      HALF},
     LOST,
     NULL,
     NULL},
    /* … nor is it counted when there is no room of ours */
    {"plain",
     HOME,
     {CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED,
      CROWDED, CROWDED, HALF, BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    /* what no other try mends, and what is ours */
    {"able", HOME, {BREAKS(TOO_LARGE)}, "failed(output_too_large)", NULL, NULL},
    {"able", HOME, {BREAKS(FORBIDDEN)}, LOST, NULL, NULL},
    {"plain", HOME, {UNSENT, BRINGS(200, "all"), STORES}, "stored(gen_1)", NULL, "all"},
    {"plain", "[{\"url\":\"ftp://up.example/v\"}]", {{0}}, LOST, "", NULL},
    {"plain", "[{}]", {{0}}, LOST, "", NULL},
    {"plain", "[7]", {{0}}, LOST, "", NULL},
    /* what was cut out of an answer that is not at hand any more is asked for anew, renewing or not */
    {"plain",
     "[{\"blob\":{\"$blob\":0}}]",
     {SAYS(LOOK),
      ANSWERS_LONG(200, ADAPTER_BLOB_LEAST + 1),
      {.kind = TURN_SAYS,
       .text = "{\"state\":\"done\",\"outputs\":[{\"blob\":{\"$blob\":0}}]}",
       .blob = "bytes"},
      STORES},
     "renewed([{\"blob\":{\"$blob\":0}}]) stored(gen_1)",
     NULL,
     "bytes"},
    {"plain",
     "[{\"blob\":{\"$blob\":0}}]",
     {ANEW("[{\"blob\":{\"$blob\":1}}]"), ANEW("[{\"blob\":{\"$blob\":-1}}]"),
      ANEW("[{\"blob\":{\"$blob\":4}}]")},
     "renewed([{\"blob\":{\"$blob\":1}}]) renewed([{\"blob\":{\"$blob\":-1}}]) "
     "renewed([{\"blob\":{\"$blob\":4}}]) " LOST,
     NULL,
     NULL},
    /* storing */
    {"plain",
     HOME,
     {BRINGS(200, "all"), STORES_NOT(RENDER_CRASHED, true), STORES},
     "stored(gen_1)",
     GET_HOME,
     "all"},
    {"plain",
     HOME,
     {BRINGS(200, "all"), STORES_NOT(RENDER_CRASHED, true), STORES_NOT(RENDER_CRASHED, true),
      STORES_NOT(RENDER_CRASHED, true), STORES_NOT(RENDER_CRASHED, true),
      STORES_NOT(RENDER_CRASHED, true), STORES_NOT(RENDER_CRASHED, true)},
     "failed(render_crashed)",
     GET_HOME,
     "all"},
    {"plain",
     HOME,
     {BRINGS(200, "all"), STORES_NOT(STORAGE, true), STORES_NOT(STORAGE, true),
      STORES_NOT(STORAGE, true), STORES_NOT(STORAGE, true), STORES_NOT(STORAGE, true),
      STORES_NOT(STORAGE, true), STORES_NOT(STORAGE, true), STORES},
     "stored(gen_1)",
     GET_HOME,
     "all"},
    {"plain",
     HOME,
     {BRINGS(200, "all"), STORES_NOT(OUTPUT_INVALID, false)},
     "failed(output_invalid)",
     GET_HOME,
     "all"},
};

static bool has_ended(const struct place *place)
{
    return strstr(place->told, "stored(") || strstr(place->told, "failed(");
}

static void a_result_comes_home_whatever_breaks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(DOWNLOADS); i++) {
        const struct download *row = &DOWNLOADS[i];
        struct place place;
        begin(&place, row->adapter, fetching_task(row->outputs), row->turns);
        do {
            place.is_renewed = false;
            call(&place, remote_store);
            while (!place.is_renewed && !has_ended(&place) && go_on()) {
            }
        } while (place.is_renewed);
        check_told(&place, row->told, "download", i);
        if (row->sent && strcmp(stage.sent, row->sent) != 0) {
            fail_msg("download %zu: sent \"%s\"", i, stage.sent);
        }
        if (row->stored && strcmp(stage.last_body, row->stored) != 0) {
            fail_msg("download %zu: stored \"%s\"", i, stage.last_body);
        }
        assert_int_equal(place.credential->n_submits, 0); /* nothing here buys */
        end(&place);
    }
}

/* ---- what its timeline is told meanwhile ---- */

#define AWAY_503 "its link answered with status 503|"

static void a_result_out_of_reach_is_told_of_ever_more_seldom(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, HALF, BAD, BRINGS(200, "all"), STORES, {0}};
    struct place place;
    begin(&place, "plain", fetching_task(HOME), turns);
    call(&place, remote_store);
    play_out();
    check_told(&place, "stored(gen_1)", "out of reach", 0);
    assert_string_equal(place.unreached,
                        "1:" AWAY_503 "2:" AWAY_503 "4:" AWAY_503 "8:" AWAY_503 "1:" AWAY_503);
    end(&place);
}

static void nor_without_end_nor_with_a_secret(void **state)
{
    (void)state;
    static const struct turn turns[] = {{0}};
    struct place place;
    size_t n = 0;
    begin(&place, "plain", fetching_task(HOME), turns);
    remote_judge_unreached(place.remote, 1, "not at /callbacks/abc");
    assert_string_equal(place.unreached, "1:not at /callbacks/***|");
    for (int i = 0; i < 3 * REMOTE_VERDICTS_MAX; i++) {
        remote_judge_unreached(place.remote, 1, "");
    }
    for (const char *at = place.unreached; *at != '\0'; at++) {
        n += *at == '|';
    }
    assert_int_equal(n, REMOTE_VERDICTS_MAX);
    end(&place);
}

/* ---- access tokens ---- */

#define GRANT(token) BRINGS(200, "{\"access_token\":\"" token "\",\"expires_in\":3600}")
#define BEHIND_THE_TOKEN "[{\"url\":\"https://up.example/v.mp4\",\"auth\":true}]"

static void a_download_waits_for_its_token(void **state)
{
    (void)state;
    static const struct {
        const char *outputs;
        struct turn turns[12];
        const char *last; /* what was sent last; */
    } rows[] = {
        {BEHIND_THE_TOKEN,
         {GRANT("t-1"), BRINGS(200, "all"), STORES},
         "|GET https://up.example/v.mp4 Authorization=Bearer t-1|"},
        /* the job is paid: an endpoint that is away or will not have the account is waited for */
        {BEHIND_THE_TOKEN,
         {BAD, BRINGS(400, "{}"), BREAKS(UNREACHABLE), GRANT("t-1"), BRINGS(200, "all"), STORES},
         "|GET https://up.example/v.mp4 Authorization=Bearer t-1|"},
        {BEHIND_THE_TOKEN,
         {GRANT("t-1"), BRINGS(401, "no"), GRANT("t-2"), BRINGS(200, "all"), STORES},
         "|GET https://up.example/v.mp4 Authorization=Bearer t-2|"},
        {HOME, {BRINGS(200, "all"), STORES}, GET_HOME},
        {"[{\"url\":\"https://cdn.example/v.mp4\",\"auth\":true}]",
         {BRINGS(200, "all"), STORES},
         "GET https://cdn.example/v.mp4 guarded|"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place;
        begin(&place, "google", fetching_task(rows[i].outputs), rows[i].turns);
        call(&place, remote_store);
        play_out();
        check_told(&place, "stored(gen_1)", "row", i);
        const char *last = strstr(stage.sent, rows[i].last);
        assert_non_null(last);
        assert_string_equal(last, rows[i].last);
        end(&place);
    }
}

static void a_download_that_is_stopped_waits_for_no_token(void **state)
{
    (void)state;
    static const struct turn turns[TURNS_MAX] = {GRANT("t-1")};
    struct place place;
    begin(&place, "google", fetching_task(BEHIND_THE_TOKEN), turns);
    call(&place, remote_store);
    while (!stage.exchange) {
        assert_true(go_on());
    }
    place.remote = remote_free(place.remote, true);
    assert_true(go_on());
    check_told(&place, "", "stopped", 0);
    end(&place);
}

static void a_full_spool_counts_for_nothing(void **state)
{
    (void)state;
    static const struct turn turns[] = {HALF, BRINGS(200, "all"), STORES, {0}};
    struct place place;
    begin(&place, "plain", fetching_task(HOME), turns);
    stage.has_no_spool = true;
    call(&place, remote_store);
    for (int i = 0; i < REMOTE_DOWNLOAD_TRIES; i++) {
        assert_true(go_on());
    }
    stage.has_no_spool = false;
    play_out();
    check_told(&place, "stored(gen_1)", "spool", 0);
    end(&place);
}

static void what_is_left_of_the_bound_shrinks(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        STOPS_AT(200, "half", "\"e\""), BRINGS_PART("4-7/8", "rest"), {0}};
    struct place place;
    begin(&place, "plain", fetching_task(HOME), turns);
    call(&place, remote_store);
    for (int64_t most = 1000; most >= 996; most -= 4) {
        while (!stage.exchange) {
            assert_true(go_on());
        }
        assert_int_equal(stage.exchange->request.max_bytes, most);
        assert_int_equal(stage.exchange->request.sink_offset, 1000 - most);
        assert_int_equal(stage.exchange->request.total_ms, SETTINGS.upstream_download);
        if (most == 1000) {
            assert_true(go_on());
        }
    }
    end(&place);
}

/* What a stop goes by: a download is waited for, a pause between two is not, and the next one is not begun. */
static void a_process_that_ends_begins_no_download(void **state)
{
    (void)state;
    static const struct turn turns[] = {HALF, {0}};
    struct place place;
    begin(&place, "plain", fetching_task(HOME), turns);
    assert_false(remote_is_bringing(place.remote));
    call(&place, remote_store);
    assert_false(remote_is_bringing(place.remote));
    while (!stage.exchange) {
        assert_true(go_on());
    }
    assert_true(remote_is_bringing(place.remote));
    assert_true(go_on());
    assert_false(remote_is_bringing(place.remote));
    place.room.is_closing = true;
    assert_true(go_on());
    assert_false(go_on());
    assert_false(remote_is_bringing(place.remote));
    check_told(&place, "", "ends", 0);
    end(&place);
}

static void a_result_that_is_being_stored_is_waited_for(void **state)
{
    (void)state;
    static const struct turn turns[] = {BRINGS(200, "all"), STORES, {0}};
    struct place place;
    begin(&place, "plain", fetching_task(HOME), turns);
    call(&place, remote_store);
    while (!stage.result) {
        assert_true(go_on());
    }
    place.room.is_closing = true;
    assert_true(remote_is_bringing(place.remote));
    play_out();
    check_told(&place, "stored(gen_1)", "stores", 0);
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_comes_home_whatever_breaks),
        cmocka_unit_test(a_result_out_of_reach_is_told_of_ever_more_seldom),
        cmocka_unit_test(nor_without_end_nor_with_a_secret),
        cmocka_unit_test(a_download_waits_for_its_token),
        cmocka_unit_test(a_download_that_is_stopped_waits_for_no_token),
        cmocka_unit_test(a_full_spool_counts_for_nothing),
        cmocka_unit_test(what_is_left_of_the_bound_shrinks),
        cmocka_unit_test(a_process_that_ends_begins_no_download),
        cmocka_unit_test(a_result_that_is_being_stored_is_waited_for),
    };
    log_init(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
