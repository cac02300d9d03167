/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens against those that Python's hmac module made of the same claims, and our signature
 * against those in RFC 7515, appendix A.1 and A.2. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "net/jwt.h"
#include "service_key.h"

/* The key of the appendix. */
static const char rfc_key[] =
    "\x03\x23\x35\x4b\x2b\x0f\xa5\xbc\x83\x7e\x06\x65\x77\x7b\xa6\x8f\x5a\xb3\x28\xe6\xf0\x54\xc9"
    "\x28\xa9\x0f\x84\xb2\xd2\x50\x2e\xbf\xd3\xfb\x5a\x92\xd2\x06\x47\xef\x96\x8a\xb4\xc3\x77\x62"
    "\x3d\x22\x3d\x2e\x21\x72\x05\x2e\x4f\x08\xc0\xcd\x9a\xf5\x67\xd0\x80\xa3";

static const struct {
    const char *claims, *secret, *token;
} vectors[] = {
    {"{\"iss\":\"access-key\",\"exp\":1759765226,\"nbf\":1759763421}", "top-secret",
     "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
     "eyJpc3MiOiJhY2Nlc3Mta2V5IiwiZXhwIjoxNzU5NzY1MjI2LCJuYmYiOjE3NTk3NjM0MjF9."
     "EopVrFELIetCMs3Sz0Hg7D9lb9i95r098UQ30NY9-LI"},
    {"{}", "k",
     "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.sdq8hlcnGupCQofW8T3WXS8lMHPKjY78f7plDHoTsoI"},
};

static void tokens_are_those_of_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        CLEANUP(buf_fini) struct buf out;
        buf_init(&out, 1000);
        buf_puts(&out, "Bearer "); /* what stands there is not signed */
        jwt_sign_hs256(vectors[i].claims, vectors[i].secret, &out);
        assert_false(out.overflowed);
        assert_string_equal(buf_text(&out) + 7, vectors[i].token);
    }
}

/* The header of the appendix is not ours: its signature is compared, over its own text. */
static void the_signature_is_that_of_the_rfc(void **state)
{
    (void)state;
    static const char signed_text[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                                      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l"
                                      "eGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
                                      "fQ";
    uint8_t mac[CRYPT_SHA256_SIZE];
    char text[50];
    crypt_hmac_sha256(rfc_key, strlen(rfc_key), signed_text, strlen(signed_text), mac);
    codec_base64url_encode(mac, sizeof(mac), text);
    assert_string_equal(text, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

/* All of appendix A.2: its header, its claims, its key. */
static void a_token_of_rs256_is_that_of_the_rfc(void **state)
{
    (void)state;
    CLEANUP(free_pointer) char *pem = pem_of(RFC_RSA_PEM);
    struct crypt_rsa *key = crypt_rsa_new(pem);
    assert_non_null(key);
    CLEANUP(buf_fini) struct buf out;
    buf_init(&out, 2000);
    buf_puts(&out, "assertion=");
    assert_true(jwt_sign_rs256("{\"alg\":\"RS256\"}",
                               "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                               "\"http://example.com/is_root\":true}",
                               key, &out));
    assert_string_equal(
        buf_text(&out) + 10,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O"
        "8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARN"
        "PvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ"
        "1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw");
    buf_fini(&out);
    buf_init(&out, 60);
    assert_true(jwt_sign_rs256("{}", "{}", key, &out));
    assert_true(out.overflowed);
    crypt_rsa_free(key);
}

static void what_does_not_fit_overflows(void **state)
{
    (void)state;
    static const size_t limits[] = {0, 10, 37, 40, 60};
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        CLEANUP(buf_fini) struct buf out;
        buf_init(&out, limits[i]);
        jwt_sign_hs256("{}", "k", &out);
        assert_true(out.overflowed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_others),
        cmocka_unit_test(the_signature_is_that_of_the_rfc),
        cmocka_unit_test(a_token_of_rs256_is_that_of_the_rfc),
        cmocka_unit_test(what_does_not_fit_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
