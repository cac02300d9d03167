/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures against the example in Volcengine's documentation of its signature method, and against those that Python's hmac
 * module made by that documentation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "net/volcengine.h"

enum { NOW_S = 1759763426 };

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define NAMES "host;x-content-sha256;x-date"

static void the_signature_is_that_of_the_documentation(void **state)
{
    (void)state;
    static const struct volcengine_request request = {
        .method = "GET",
        .url = "https://iam.volcengineapi.com/?Version=2018-01-01&Offset=0&Limit=10&Action="
               "ListUsers",
        .content_type = "application/x-www-form-urlencoded; charset=utf-8",
        .body_sha256 = EMPTY,
        .service = "iam",
        .region = "cn-north-1",
        .key = "AKLTMjI2ODVlYzI3ZGY1NGU4ZjhjYWRjMTlmNTM5OTZkYzE",
        .secret = "TnpCak5XWXpZV1U0WkRaaE5ERmxaR0ZpTmpjeVkyUXlZek0wTWpJMU1qWQ==",
    };
    char date[VOLCENGINE_DATE_SIZE];
    CLEANUP(buf_fini) struct buf authorization;
    buf_init(&authorization, 1000);
    assert_true(volcengine_sign(&request, 1609316285, date, &authorization));
    assert_string_equal(date, "20201230T081805Z");
    assert_string_equal(
        buf_text(&authorization),
        "HMAC-SHA256 Credential=AKLTMjI2ODVlYzI3ZGY1NGU4ZjhjYWRjMTlmNTM5OTZkYzE/20201230/"
        "cn-north-1/iam/request, SignedHeaders=content-type;host;x-content-sha256;x-date, "
        "Signature=28eeabbbd726b87002e0fe58ad8c1c768e619b06e2646f35b6ad7ed029a6d8a7");
}

static void signatures_are_those_of_others(void **state)
{
    (void)state;
    static const struct {
        const char *method, *url, *type, *body, *signature;
    } vectors[] = {
        {"POST",
         "https://visual.volcengineapi.com?Action=CVSync2AsyncSubmitTask&Version=2022-08-31",
         "application/json", "35a80ef09335c09ecd16b019c98178a01bebbb03a4716ee0e4d7ed31e328b3f4",
         "2889c9ecf361bb885df6aaef70c94765d4254314c0534cd1db45b12be3945a59"},
        /* a port; one name before another that it begins, one name twice */
        {"POST", "http://127.0.0.1:9222/?Version=2&Action=B&Action=A&a-b=1&a=2", NULL, EMPTY,
         "24720dc5dbc16d950d674ee63eaafaa10f812de3ba582033ef703fbee9d1e7da"},
        /* the scheme's own port; spellings, a `+`, no value, no name */
        {"GET", "https://a.example:443/x%2fy/%7Ez/b%20c/%c3%a9?q=a+b&&p=%2f%2B&empty&=v", NULL,
         EMPTY, "f078f4227aeadaebfe2a97cf1ac8b51ecc21f7af1089792283dc7fb04e4118fe"},
        {"PUT", "http://[::1]:80/a/./b/../c*(1)", NULL, EMPTY,
         "48e4edfaa071fc1b7a68f5d5246fb1ae73cbee8ac58f5e267bfcf2f8b71c15a4"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        const struct volcengine_request request = {
            .method = vectors[i].method,
            .url = vectors[i].url,
            .content_type = vectors[i].type,
            .body_sha256 = vectors[i].body,
            .service = "cv",
            .region = "cn-north-1",
            .key = "access-key",
            .secret = "top-secret",
        };
        char date[VOLCENGINE_DATE_SIZE];
        char expected[300];
        CLEANUP(buf_fini) struct buf authorization;
        buf_init(&authorization, 1000);
        assert_true(volcengine_sign(&request, NOW_S, date, &authorization));
        assert_string_equal(date, "20251006T151026Z");
        snprintf(expected, sizeof expected,
                 "HMAC-SHA256 Credential=access-key/20251006/cn-north-1/cv/request, "
                 "SignedHeaders=%s" NAMES ", Signature=%s",
                 vectors[i].type != NULL ? "content-type;" : "", vectors[i].signature);
        assert_string_equal(buf_text(&authorization), expected);
    }
}

static void what_is_no_url_is_not_signed(void **state)
{
    (void)state;
    static const char *const urls[] = {"", "https://", "nonsense://a b"};
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        const struct volcengine_request request = {"GET", urls[i], NULL, EMPTY,
                                                   "cv",  "r",     "k",  "s"};
        char date[VOLCENGINE_DATE_SIZE];
        CLEANUP(buf_fini) struct buf authorization;
        buf_init(&authorization, 1000);
        assert_false(volcengine_sign(&request, NOW_S, date, &authorization));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signature_is_that_of_the_documentation),
        cmocka_unit_test(signatures_are_those_of_others),
        cmocka_unit_test(what_is_no_url_is_not_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
