/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of service accounts, the assertion that is made with one, and what endpoints answer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "service_key.h"
#include "upstream/service_account.h"

enum { NOW_S = 1700000000 };

#define URI "https://oauth2.example.com/token"
#define GOOD ACCOUNT_JSON(RFC_RSA_PEM, URI)

static void a_key_is_read(void **state)
{
    (void)state;
    char error[SERVICE_ACCOUNT_ERROR_SIZE] = "";
    struct service_account *account = service_account_new(GOOD, error);
    assert_non_null(account);
    assert_string_equal(account->email, "films@example.iam.gserviceaccount.com");
    assert_string_equal(account->key_id, "k1");
    assert_string_equal(account->token_uri, URI);
    struct service_account *other = service_account_new(" " GOOD, error);
    assert_memory_not_equal(account->digest, other->digest, sizeof account->digest);
    service_account_free(other);
    service_account_free(account);
    assert_null(service_account_free(NULL));
    assert_false(service_account_is_plain(" \n{"));
    assert_false(service_account_is_plain("[1]"));
    assert_false(service_account_is_plain("\"AIza\""));
    assert_false(service_account_is_plain("keys/sa.json"));
    assert_true(service_account_is_plain("AIza{"));
    assert_true(service_account_is_plain("json"));
    assert_true(service_account_is_plain(""));
}

#define ADDRESS(uri) ACCOUNT_JSON(RFC_RSA_PEM, uri)
#define NO_ADDRESS "has a \"token_uri\" that is no https:// address"
#define NO_KEY                                                                                     \
    "has a \"private_key\" that is none of RSA, in PEM and not encrypted, of 2048 bits or more"
#define NO_JSON "is no JSON object: copy the whole file that the console wrote"

static void a_key_that_will_not_do_is_told_plainly(void **state)
{
    (void)state;
    static const struct {
        const char *json, *error;
    } rows[] = {
        {"{\"type\": \"service_account\", \"private_key\": \"whisper", NO_JSON},
        {"{} whisper", NO_JSON},
        {"{}", "is the key of no service account: its \"type\" is not \"service_account\""},
        {"{\"type\": \"authorized_user\", \"refresh_token\": \"whisper\"}",
         "is the key of no service account: its \"type\" is not \"service_account\""},
        {"{\"type\": \"service_account\"}", "has no \"client_email\""},
        {"{\"type\": \"service_account\", \"client_email\": \"\"}", "has no \"client_email\""},
        {"{\"type\": \"service_account\", \"client_email\": \"a b\"}",
         "has a \"client_email\" with blanks or other characters that none has"},
        {"{\"type\": \"service_account\", \"client_email\": \"a@b\"}", "has no \"token_uri\""},
        {"{\"type\": \"service_account\", \"client_email\": \"a@b\", \"token_uri\": \"" URI "\"}",
         "has no \"private_key\""},
        {ACCOUNT_JSON("whisper", URI), NO_KEY},
        {ACCOUNT_JSON(SMALL_RSA_PEM, URI), NO_KEY},
        {ACCOUNT_JSON(EC_PEM, URI), NO_KEY},
        {ACCOUNT_JSON(ENCRYPTED_PEM, URI), NO_KEY},
        {ADDRESS("http://oauth2.example.com/token"), NO_ADDRESS},
        {ADDRESS("http://127.0.0.1.example.com/token"), NO_ADDRESS},
        {ADDRESS("http://localhost@example.com/token"), NO_ADDRESS},
        {ADDRESS("https://user@example.com/token"), NO_ADDRESS},
        {ADDRESS("https://example.com/token?a=b"), NO_ADDRESS},
        {ADDRESS("https://example.com/token#a"), NO_ADDRESS},
        {ADDRESS("https:///token"), NO_ADDRESS},
        {ADDRESS("file:///etc/passwd"), NO_ADDRESS},
        {ADDRESS("oauth2.example.com"), NO_ADDRESS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char error[SERVICE_ACCOUNT_ERROR_SIZE] = "";
        assert_null(service_account_new(rows[i].json, error));
        assert_string_equal(error, rows[i].error);
        assert_null(strstr(error, "whisper"));
    }
    static const char *const near[] = {ADDRESS("http://127.0.0.1:9000/token"),
                                       ADDRESS("http://localhost/token"),
                                       ADDRESS("http://[::1]:9000/token")};
    for (size_t i = 0; i < ARRAY_LENGTH(near); i++) {
        char error[SERVICE_ACCOUNT_ERROR_SIZE] = "";
        struct service_account *account = service_account_new(near[i], error);
        assert_non_null(account);
        service_account_free(account);
    }
}

/* One of the parts of a token, as JSON. */
static json_t *part_of(const char *token, size_t length)
{
    uint8_t text[1000];
    size_t size;
    assert_true(length < sizeof text);
    assert_true(codec_base64_decode(token, length, text, &size));
    json_t *json = json_loadb((const char *)text, size, 0, NULL);
    assert_non_null(json);
    return json;
}

static void the_assertion_says_who_asks_for_what(void **state)
{
    (void)state;
    static const char before[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    char error[SERVICE_ACCOUNT_ERROR_SIZE] = "";
    struct service_account *account = service_account_new(GOOD, error);
    CLEANUP(buf_fini) struct buf form;
    buf_init(&form, SERVICE_ACCOUNT_BODY_MAX);
    assert_true(service_account_ask(account, "https://scope.example.com/a b", NOW_S, &form));
    assert_false(form.overflowed);
    assert_memory_equal(form.data, before, strlen(before));
    const char *token = buf_text(&form) + strlen(before);
    size_t header_length = strcspn(token, ".");
    const char *claims_text = token + header_length + 1;
    json_t *header = part_of(token, header_length);
    json_t *claims = part_of(claims_text, strcspn(claims_text, "."));
    CLEANUP(free_pointer) char *header_json = json_dumps(header, JSON_COMPACT);
    CLEANUP(free_pointer) char *claims_json = json_dumps(claims, JSON_COMPACT);
    assert_string_equal(header_json, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
    assert_string_equal(claims_json, "{\"iss\":\"films@example.iam.gserviceaccount.com\","
                                     "\"scope\":\"https://scope.example.com/a b\",\"aud\":\"" URI
                                     "\",\"iat\":1700000000,\"exp\":1700003600}");
    assert_null(strpbrk(token, "+/= &%")); /* it stands in a form as it is */
    json_decref(header);
    json_decref(claims);
    service_account_free(account);
}

#define LONG_WORD "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.whisper"

static void answers_are_one_of_three(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body;
        enum service_account_verdict verdict;
        int64_t life_s;
        const char *note;
    } rows[] = {
        {200, "{\"access_token\":\"t\",\"expires_in\":3599,\"token_type\":\"Bearer\"}",
         SERVICE_ACCOUNT_GRANTED, 3599, ""},
        {200, "{\"access_token\":\"t\"}", SERVICE_ACCOUNT_GRANTED, 300, ""},
        {200, "{\"access_token\":\"t\",\"expires_in\":1e12,\"token_type\":\"bearer\"}",
         SERVICE_ACCOUNT_GRANTED, 86400, ""},
#define NO_TOKEN SERVICE_ACCOUNT_TROUBLE, 0, "its answer names no token that can be used"
        {200, "{\"access_token\":\"t\",\"expires_in\":0}", NO_TOKEN},
        {200, "{\"access_token\":\"t\",\"expires_in\":-5}", NO_TOKEN},
        {200, "{\"access_token\":\"t\",\"token_type\":\"mac\"}", NO_TOKEN},
        {200, "{\"access_token\":\"a\\nb\"}", NO_TOKEN},
        {200, "{\"access_token\":\"\"}", NO_TOKEN},
        {200, "{\"access_token\":7}", NO_TOKEN},
        {200, "{}", NO_TOKEN},
        {200, "[]", NO_TOKEN},
        {200, "<html>", NO_TOKEN},
        {200, NULL, NO_TOKEN},
        {400,
         "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT " LONG_WORD
         " Signature.\"}",
         SERVICE_ACCOUNT_REFUSED, 0,
         "it answered with status 400: invalid_grant: Invalid JWT ... Signature."},
        {401, "{\"error\":\"a\\u001b\\u00e9\"}", SERVICE_ACCOUNT_REFUSED, 0,
         "it answered with status 401: a\?\?\?"},
        {403, "{}", SERVICE_ACCOUNT_REFUSED, 0, "it answered with status 403"},
        {404, "<html>", SERVICE_ACCOUNT_REFUSED, 0, "it answered with status 404"},
        {408, NULL, SERVICE_ACCOUNT_TROUBLE, 0, "it answered with status 408"},
        {429, "{}", SERVICE_ACCOUNT_TROUBLE, 0, "it answered with status 429"},
        {500, "{}", SERVICE_ACCOUNT_TROUBLE, 0, "it answered with status 500"},
        {302, NULL, SERVICE_ACCOUNT_TROUBLE, 0, "it answered with status 302"},
        {204, "{\"access_token\":\"t\"}", SERVICE_ACCOUNT_TROUBLE, 0,
         "it answered with status 204"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *body = rows[i].body;
        struct service_account_grant grant =
            service_account_read(rows[i].status, body, body ? strlen(body) : 0);
        assert_int_equal(grant.verdict, rows[i].verdict);
        assert_int_equal(grant.life_s, rows[i].life_s);
        assert_string_equal(grant.note, rows[i].note);
        assert_int_equal(grant.token != NULL, rows[i].verdict == SERVICE_ACCOUNT_GRANTED);
        free(grant.token);
    }
}

static void a_token_that_no_header_takes_is_none(void **state)
{
    (void)state;
    static char body[SERVICE_ACCOUNT_TOKEN_MAX + 100];
    for (int extra = 0; extra < 2; extra++) {
        int length = snprintf(body, sizeof body, "{\"access_token\":\"%0*d\"}",
                              SERVICE_ACCOUNT_TOKEN_MAX + extra, 7);
        struct service_account_grant grant = service_account_read(200, body, (size_t)length);
        assert_int_equal(grant.token != NULL, extra == 0);
        free(grant.token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_read),
        cmocka_unit_test(a_key_that_will_not_do_is_told_plainly),
        cmocka_unit_test(the_assertion_says_who_asks_for_what),
        cmocka_unit_test(answers_are_one_of_three),
        cmocka_unit_test(a_token_that_no_header_takes_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
