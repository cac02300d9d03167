/* SPDX-License-Identifier: Apache-2.0
 *
 * api/error.h: the table is whole, and every body is the JSON that clients read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "api/error.h"

static json_t *body_of(enum api_error error, const struct api_error_details *details)
{
    size_t length = 0;
    char *text = api_error_body(error, details, &length);
    assert_int_equal(strlen(text), length);
    json_t *body = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(body);
    free(text);
    return body;
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void every_row_is_whole(void **state)
{
    (void)state;
    for (int i = 0; i < API_ERROR_COUNT; i++) {
        const struct api_error_info *info = api_error_info((enum api_error)i);
        assert_in_range(info->status, 400, 599);
        assert_true(strlen(info->code) > 0 && strlen(info->type) > 0);
        assert_true(strlen(info->message) > 0 && strlen(info->message_zh) > 0);
        assert_true(!info->can_retry || info->status >= 429);
    }
}

static void codes_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < API_ERROR_COUNT; i++) {
        for (int j = 0; j < i; j++)
            assert_string_not_equal(api_error_info((enum api_error)i)->code,
                                    api_error_info((enum api_error)j)->code);
    }
}

static void body_holds_both_envelopes(void **state)
{
    (void)state;
    for (int i = 0; i < API_ERROR_COUNT; i++) {
        const struct api_error_info *info = api_error_info((enum api_error)i);
        json_t *body = body_of((enum api_error)i, NULL);
        const json_t *inner = json_object_get(body, "error");
        assert_int_equal(json_object_size(body), 3);
        assert_int_equal(json_object_size(inner), 5);
        assert_string_equal(text_at(body, "code"), info->code);
        assert_string_equal(text_at(body, "message"), info->message);
        assert_string_equal(text_at(inner, "code"), info->code);
        assert_string_equal(text_at(inner, "message"), info->message);
        assert_string_equal(text_at(inner, "message_zh"), info->message_zh);
        assert_string_equal(text_at(inner, "type"), info->type);
        assert_true(json_is_null(json_object_get(inner, "param")));
        json_decref(body);
    }
}

static void details_take_their_places(void **state)
{
    (void)state;
    struct api_error_details details = {.code = "finer",
                                        .message = "it \"is\" so",
                                        .param = "size",
                                        .id = "a:b",
                                        .status = "failed"};
    json_t *body = body_of(API_ERROR_INVALID_REQUEST, &details);
    const json_t *inner = json_object_get(body, "error");
    assert_string_equal(text_at(body, "code"), "finer");
    assert_string_equal(text_at(inner, "code"), "finer");
    assert_string_equal(text_at(inner, "message"), "it \"is\" so");
    assert_string_equal(text_at(inner, "param"), "size");
    assert_string_equal(text_at(body, "id"), "a:b");
    assert_string_equal(text_at(body, "status"), "failed");
    json_decref(body);
}

static void outside_text_is_cut_and_mended(void **state)
{
    (void)state;
    char id[1001];
    memset(id, 'x', sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    struct api_error_details details = {.id = id};
    json_t *body = body_of(API_ERROR_TASK_NOT_EXIST, &details);
    assert_int_equal(strlen(text_at(body, "id")), API_ERROR_ID_MAX);
    json_decref(body);

    details.id = "a\xff"
                 "b\x01\n";
    body = body_of(API_ERROR_TASK_NOT_EXIST, &details);
    assert_string_equal(text_at(body, "id"), "a\xef\xbf\xbd"
                                             "b\x01\n");
    json_decref(body);
}

static void the_longest_body_fits(void **state)
{
    (void)state;
    char *text = malloc(100001);
    assert_non_null(text);
    memset(text, 1, 100000); /* six characters each in JSON */
    text[100000] = '\0';
    struct api_error_details details = {text, text, text, text, text, INT64_MAX};
    json_t *body = body_of(API_ERROR_BAD_KEY, &details);
    assert_int_equal(strlen(text_at(body, "message")), API_ERROR_MESSAGE_MAX);
    json_decref(body);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(codes_are_unique),
        cmocka_unit_test(body_holds_both_envelopes),
        cmocka_unit_test(details_take_their_places),
        cmocka_unit_test(outside_text_is_cut_and_mended),
        cmocka_unit_test(the_longest_body_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
