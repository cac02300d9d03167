/* SPDX-License-Identifier: Apache-2.0
 *
 * The pure half of webhooks: signatures as the Standard Webhooks package makes them, waits, verdicts,
 * rests, and what events say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "notify/webhook.h"
#include "task_sample.h"

#define EVENT "evt_01k6x15vhrff09dkkqjrzwhm60"

/* ---- signatures: made by the npm package standardwebhooks 1.1.1 ---- */

static const char body[] = "{\"id\":\"" EVENT "\",\"type\":\"video.completed\"}";
static const char signature_up[] = "v1,2E7cIxTbgaYYkbGdmQyNHGphjDBbR5/zVR2hNle3G30=";
static const char signature_down[] = "v1,B4cYXqUbjf0UucsXloS95NjXsGMMrV0qqa5VwUy9OcU=";

/* Two secrets: the bytes 0, 1, 2 … and 255, 254, 253 … */
static void make_secrets(struct webhook_secrets *ret_secrets)
{
    memset(ret_secrets, 0, sizeof *ret_secrets);
    for (int i = 0; i < WEBHOOK_SECRET_BYTES; i++) {
        ret_secrets->bytes[0][i] = (uint8_t)i;
        ret_secrets->bytes[1][i] = (uint8_t)(255 - i);
    }
    ret_secrets->count = 2;
}

static void secrets_are_written_as_clients_configure_them(void **state)
{
    (void)state;
    struct webhook_secrets secrets;
    char text[WEBHOOK_SECRET_SIZE];
    make_secrets(&secrets);
    webhook_secret_text(secrets.bytes[0], text);
    assert_string_equal(text, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    webhook_secret_text(secrets.bytes[1], text);
    assert_string_equal(text, "whsec_//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=");
}

static void each_secret_signs(void **state)
{
    (void)state;
    struct webhook_secrets secrets;
    char text[WEBHOOK_SIGNATURES_SIZE], wanted[WEBHOOK_SIGNATURES_SIZE];
    make_secrets(&secrets);
    secrets.count = 1;
    webhook_sign(&secrets, EVENT, 1759763426, body, text);
    assert_string_equal(text, signature_up);
    secrets.count = 2;
    webhook_sign(&secrets, EVENT, 1759763426, body, text);
    snprintf(wanted, sizeof wanted, "%s %s", signature_up, signature_down);
    assert_string_equal(text, wanted);
    secrets.count = WEBHOOK_SECRETS_MAX;
    webhook_sign(&secrets, EVENT, 1759763426, body, text);
    assert_int_equal(strlen(text), WEBHOOK_SIGNATURES_SIZE - 1);
}

static void what_is_signed_is_id_time_and_body(void **state)
{
    (void)state;
    struct webhook_secrets secrets;
    char text[WEBHOOK_SIGNATURES_SIZE];
    make_secrets(&secrets);
    secrets.count = 1;
    webhook_sign(&secrets, "evt_other", 1759763426, body, text);
    assert_string_not_equal(text, signature_up);
    webhook_sign(&secrets, EVENT, 1759763427, body, text);
    assert_string_not_equal(text, signature_up);
    webhook_sign(&secrets, EVENT, 1759763426, "{}", text);
    assert_string_not_equal(text, signature_up);
}

/* ---- waits ---- */

static const char *const usual[] = {"5s", "1m", "5m", "30m", "2h", "6h", "15h"};

static struct webhook_schedule usual_schedule(void)
{
    struct webhook_schedule schedule;
    char error[WEBHOOK_ERROR_SIZE] = "";
    if (!webhook_schedule_read(usual, 7, &schedule, error))
        fail_msg("%s", error);
    return schedule;
}

static void eight_tries_fill_a_day(void **state)
{
    (void)state;
    const struct webhook_schedule schedule = usual_schedule();
    int64_t sum_ms = 0;
    for (int n_tries = 1; n_tries <= 7; n_tries++)
        sum_ms += webhook_wait_ms(&schedule, n_tries, 0.5, 0);
    assert_int_equal(webhook_wait_ms(&schedule, 1, 0.5, 0), 5000);
    assert_int_equal(webhook_wait_ms(&schedule, 7, 0.5, 0), 15 * 3600 * 1000);
    assert_in_range(sum_ms, 23 * 3600 * 1000, 25 * 3600 * 1000);
    assert_true(webhook_wait_ms(&schedule, 8, 0.5, 0) < 0);
    assert_true(webhook_wait_ms(&schedule, 8, 0.5, 1000) < 0); /* whatever the receiver asks for */
}

static void waits_are_spread_by_a_fifth(void **state)
{
    (void)state;
    const struct webhook_schedule schedule = usual_schedule();
    assert_int_equal(webhook_wait_ms(&schedule, 2, 0.0, 0), 48000);
    assert_int_equal(webhook_wait_ms(&schedule, 2, 0.5, 0), 60000);
    assert_int_equal(webhook_wait_ms(&schedule, 2, 1.0, 0), 72000);
}

static void retry_after_counts_within_bounds(void **state)
{
    (void)state;
    const struct webhook_schedule schedule = usual_schedule();
    assert_int_equal(webhook_wait_ms(&schedule, 1, 0.5, 90000), 90000);
    assert_int_equal(webhook_wait_ms(&schedule, 3, 0.5, 90000), 5 * 60 * 1000); /* never sooner */
    assert_int_equal(webhook_wait_ms(&schedule, 1, 0.5, INT64_MAX), WEBHOOK_RETRY_AFTER_MAX_MS);
    assert_true(webhook_heeds_retry_after(429) && webhook_heeds_retry_after(503));
    assert_false(webhook_heeds_retry_after(500) || webhook_heeds_retry_after(200) ||
                 webhook_heeds_retry_after(301));
}

static void schedules_are_read(void **state)
{
    (void)state;
    struct webhook_schedule schedule;
    char error[WEBHOOK_ERROR_SIZE] = "";
    static const char *const bad[] = {"5s", "soon"}, *const negative[] = {"-5s"};
    static const char *const long_one[] = {"8d"}, *const at_once[] = {"0s", "7d"};
    const char *many[WEBHOOK_WAITS_MAX + 1];
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
        many[i] = "1s";
    assert_true(webhook_schedule_read(NULL, 0, &schedule, error)); /* one try, no more */
    assert_true(webhook_wait_ms(&schedule, 1, 0.5, 0) < 0);
    assert_true(webhook_schedule_read(at_once, 2, &schedule, error));
    assert_true(webhook_schedule_read(many, WEBHOOK_WAITS_MAX, &schedule, error));
    assert_false(webhook_schedule_read(many, WEBHOOK_WAITS_MAX + 1, &schedule, error));
    assert_false(webhook_schedule_read(bad, 2, &schedule, error));
    assert_non_null(strstr(error, "\"soon\""));
    assert_false(webhook_schedule_read(negative, 1, &schedule, error));
    assert_false(webhook_schedule_read(long_one, 1, &schedule, error));
}

/* ---- verdicts ---- */

static void answers_are_judged_by_their_head(void **state)
{
    (void)state;
    static const struct {
        bool has_headers;
        long status;
        enum webhook_verdict verdict;
    } rows[] = {
        {true, 200, WEBHOOK_DELIVERED}, {true, 204, WEBHOOK_DELIVERED},
        {true, 299, WEBHOOK_DELIVERED}, {true, 301, WEBHOOK_FAILED},
        {true, 307, WEBHOOK_FAILED},    {true, 304, WEBHOOK_FAILED},
        {true, 400, WEBHOOK_FAILED},    {true, 401, WEBHOOK_FAILED},
        {true, 404, WEBHOOK_FAILED},    {true, 410, WEBHOOK_GONE},
        {true, 429, WEBHOOK_FAILED},    {true, 500, WEBHOOK_FAILED},
        {true, 503, WEBHOOK_FAILED},    {true, 101, WEBHOOK_FAILED},
        {false, 0, WEBHOOK_FAILED},     {false, 200, WEBHOOK_FAILED}, /* cut within the head */
        {false, 410, WEBHOOK_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        if (webhook_judge(rows[i].has_headers, rows[i].status) != rows[i].verdict)
            fail_msg("row %zu", i);
}

/* ---- rests ---- */

static void a_receiver_that_keeps_failing_rests(void **state)
{
    (void)state;
    struct webhook_breaker breaker = {0};
    const int64_t first_ms = 30000;
    int64_t now_ms = 1000;
    for (int i = 1; i < WEBHOOK_BREAK_AFTER; i++) {
        webhook_breaker_note(&breaker, false, now_ms, first_ms, 0);
        assert_int_equal(breaker.rests_until_ms, now_ms); /* not yet */
    }
    for (int64_t rest_ms = first_ms; rest_ms < WEBHOOK_REST_MAX_MS; rest_ms *= 2) {
        webhook_breaker_note(&breaker, false, now_ms, first_ms, 0);
        assert_int_equal(breaker.rests_until_ms, now_ms + rest_ms);
        now_ms = breaker.rests_until_ms;
    }
    for (int i = 0; i < 100; i++) {
        webhook_breaker_note(&breaker, false, now_ms, first_ms, 0);
        assert_int_equal(breaker.rests_until_ms, now_ms + WEBHOOK_REST_MAX_MS);
    }
    webhook_breaker_note(&breaker, true, now_ms, first_ms, 0);
    assert_int_equal(breaker.rests_until_ms, 0);
    webhook_breaker_note(&breaker, false, now_ms, first_ms, 0);
    assert_int_equal(breaker.rests_until_ms, now_ms); /* it counts anew */
}

static void a_receiver_rests_when_it_asks_to(void **state)
{
    (void)state;
    struct webhook_breaker breaker = {0};
    webhook_breaker_note(&breaker, false, 1000, 30000, 7000);
    assert_int_equal(breaker.rests_until_ms, 8000);
    webhook_breaker_note(&breaker, false, 9000, 30000, INT64_MAX);
    assert_int_equal(breaker.rests_until_ms, 9000 + WEBHOOK_REST_MAX_MS);
}

/* ---- what events say ---- */

static char *link_to(void *context, const char *key, const char *attachment)
{
    (void)context;
    (void)attachment;
    size_t room = strlen(key) + 32;
    char *text = must_calloc(1, room);
    snprintf(text, room, "https://v.example/%s", key);
    return text;
}

static json_t *tell(enum task_state state)
{
    const struct unified_view view = {.link = link_to, .user = "user-x", .wait_s = -1};
    struct task *task = sample_task(state);
    char error[JSON_ERROR_SIZE];
    CLEANUP(free_pointer)
    char *text = webhook_task_body(EVENT, task_state_event(state), 1759763426875, task, &view);
    json_t *event = json_parse(text, strlen(text), error);
    assert_non_null(event);
    task_unref(task);
    return event;
}

static void an_end_is_told_as_queries_show_it(void **state)
{
    (void)state;
    json_t *event = tell(TASK_COMPLETED);
    json_t *data = json_object_get(event, "data");
    assert_string_equal(json_text(event, "id"), EVENT);
    assert_string_equal(json_text(event, "object"), "event");
    assert_string_equal(json_text(event, "type"), "video.completed");
    assert_int_equal(json_int(event, "created_at", 0), 1759763426);
    assert_string_equal(json_text(data, "id"), "sora-2:" SAMPLE_ID);
    assert_string_equal(json_text(data, "object"), "video");
    assert_string_equal(json_text(data, "status"), "completed");
    assert_non_null(strstr(json_text(data, "video_url"), "https://v.example/" SAMPLE_ID));
    assert_null(json_object_get(data, "detail"));
    json_decref(event);
}

static void a_cancelled_task_is_told_as_failed(void **state)
{
    (void)state;
    json_t *event = tell(TASK_CANCELLED);
    json_t *data = json_object_get(event, "data");
    assert_string_equal(json_text(event, "type"), "video.failed");
    assert_string_equal(json_text(data, "status"), "failed");
    assert_string_equal(json_text(json_object_get(data, "error"), "code"), "cancelled");
    json_decref(event);
}

static void a_test_names_its_endpoint(void **state)
{
    (void)state;
    char error[JSON_ERROR_SIZE];
    char *text = webhook_test_body(EVENT, "webhook.test", 1759763426875, "whk_x");
    json_t *event = json_parse(text, strlen(text), error);
    assert_string_equal(json_text(event, "type"), "webhook.test");
    assert_string_equal(json_text(json_object_get(event, "data"), "id"), "whk_x");
    json_decref(event);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_written_as_clients_configure_them),
        cmocka_unit_test(each_secret_signs),
        cmocka_unit_test(what_is_signed_is_id_time_and_body),
        cmocka_unit_test(eight_tries_fill_a_day),
        cmocka_unit_test(waits_are_spread_by_a_fifth),
        cmocka_unit_test(retry_after_counts_within_bounds),
        cmocka_unit_test(schedules_are_read),
        cmocka_unit_test(answers_are_judged_by_their_head),
        cmocka_unit_test(a_receiver_that_keeps_failing_rests),
        cmocka_unit_test(a_receiver_rests_when_it_asks_to),
        cmocka_unit_test(an_end_is_told_as_queries_show_it),
        cmocka_unit_test(a_cancelled_task_is_told_as_failed),
        cmocka_unit_test(a_test_names_its_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
