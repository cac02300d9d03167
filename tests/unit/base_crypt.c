/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 against the examples of FIPS 180, HMAC-SHA256 against the vectors of RFC 4231. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>

#include <string.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "service_key.h"

static void assert_digest(const uint8_t digest[CRYPT_SHA256_SIZE], const char *hex)
{
    char text[CRYPT_SHA256_HEX_SIZE];
    codec_hex_encode(digest, CRYPT_SHA256_SIZE, text);
    assert_string_equal(text, hex);
}

static void sha256_in_one_piece(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t digest[CRYPT_SHA256_SIZE];
        crypt_sha256(cases[i].text, strlen(cases[i].text), digest);
        assert_digest(digest, cases[i].hex);
    }
}

/* A million letters «a», in uneven pieces. */
static void sha256_in_many_pieces(void **state)
{
    (void)state;
    static const size_t total = 1000000;
    char piece[997];
    uint8_t digest[CRYPT_SHA256_SIZE];
    memset(piece, 'a', sizeof(piece));
    struct crypt_sha256 *sha = crypt_sha256_new();
    for (size_t done = 0; done < total;) {
        size_t length = total - done < sizeof(piece) ? total - done : sizeof(piece);
        crypt_sha256_add(sha, piece, length);
        done += length;
    }
    sha = crypt_sha256_end(sha, digest);
    assert_null(sha);
    assert_digest(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_null(crypt_sha256_end(crypt_sha256_new(), NULL));
    assert_null(crypt_sha256_end(NULL, NULL));
}

/* A string of bytes: `text`, or `count` times the byte `fill`. */
struct bytes {
    const char *text;
    size_t count;
    uint8_t fill;
};

static size_t spell(const struct bytes *bytes, uint8_t *ret_data)
{
    if (bytes->text != NULL) {
        memcpy(ret_data, bytes->text, strlen(bytes->text));
        return strlen(bytes->text);
    }
    memset(ret_data, bytes->fill, bytes->count);
    return bytes->count;
}

static void hmac_by_rfc_4231(void **state)
{
    (void)state;
    static const struct {
        struct bytes key;
        struct bytes data;
        const char *hex;
    } cases[] = {
        {{NULL, 20, 0x0b},
         {"Hi There", 0, 0},
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {{"Jefe", 0, 0},
         {"what do ya want for nothing?", 0, 0},
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {{NULL, 20, 0xaa},
         {NULL, 50, 0xdd},
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {{"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16"
          "\x17\x18\x19",
          0, 0},
         {NULL, 50, 0xcd},
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {{NULL, 131, 0xaa},
         {"Test Using Larger Than Block-Size Key - Hash Key First", 0, 0},
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {{NULL, 131, 0xaa},
         {"This is a test using a larger than block-size key and a larger than block-size data. "
          "The key needs to be hashed before being used by the HMAC algorithm.",
          0, 0},
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t key[200];
        uint8_t data[200];
        uint8_t mac[CRYPT_SHA256_SIZE];
        size_t key_length = spell(&cases[i].key, key);
        size_t length = spell(&cases[i].data, data);
        crypt_hmac_sha256(key, key_length, data, length, mac);
        assert_digest(mac, cases[i].hex);
    }
}

static void hmac_takes_an_empty_key(void **state)
{
    (void)state;
    uint8_t mac[CRYPT_SHA256_SIZE];
    crypt_hmac_sha256(NULL, 0, "", 0, mac);
    assert_digest(mac, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void comparison_sees_any_byte(void **state)
{
    (void)state;
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    assert_true(crypt_is_equal(a, b, sizeof(a)));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] = 1;
        assert_false(crypt_is_equal(a, b, sizeof(a)));
        b[i] = 0;
    }
    assert_true(crypt_is_equal(a, b, 0));
}

static void random_bytes_differ(void **state)
{
    (void)state;
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    crypt_random(a, sizeof(a));
    crypt_random(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

static void keys_that_will_not_do(void **state)
{
    (void)state;
    static const char *const texts[] = {
        SMALL_RSA_PEM,
        PSS_PEM,
        EC_PEM,
        ENCRYPTED_PEM,
        "",
        "not PEM",
        "-----BEGIN PRIVATE KEY-----\\nAAAA\\n",
        "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        CLEANUP(free_pointer) char *pem = pem_of(texts[i]);
        assert_null(crypt_rsa_new(pem));
        assert_int_equal(ERR_peek_error(), 0); /* nothing for TLS to stumble over */
    }
    assert_null(crypt_rsa_free(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_in_one_piece),     cmocka_unit_test(sha256_in_many_pieces),
        cmocka_unit_test(keys_that_will_not_do),   cmocka_unit_test(hmac_by_rfc_4231),
        cmocka_unit_test(hmac_takes_an_empty_key), cmocka_unit_test(comparison_sees_any_byte),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
