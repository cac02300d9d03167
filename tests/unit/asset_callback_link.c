/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed callbacks: what they look like, that no part of one can be changed, and that no other signature of ours does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "asset/callback_link.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/must.h"

#define ATTEMPT "att_01k6x15vhrff09dkkqjrzwhm60"
#define BASE "https://gate.example/films"
#define BEFORE BASE "/v1/callbacks/"

enum { NAME_SIZE = 200, UNTIL_S = 1767225600 };

static const struct link_keys keys = {.current = {{1, 2, 3}}};

static bool is_good(const struct link_keys *by, const char *name, int64_t now_s)
{
    char id[ID_SHORT_SIZE] = "untouched";
    bool is = callback_link_check(by, name, now_s * 1000, id);
    assert_string_equal(id, is ? ATTEMPT : "untouched");
    return is;
}

/* What stands behind /v1/callbacks/. */
static void sign(const struct link_key *key, char ret_name[NAME_SIZE])
{
    CLEANUP(free_pointer) char *url = callback_link_sign(key, BASE, ATTEMPT);
    assert_memory_equal(url, BEFORE, strlen(BEFORE));
    snprintf(ret_name, NAME_SIZE, "%s", url + strlen(BEFORE));
}

static void what_was_signed_is_good(void **state)
{
    (void)state;
    char name[NAME_SIZE];
    sign(&keys.current, name);
    assert_int_equal(strlen(name), strlen(ATTEMPT) + 1 + 43);
    assert_memory_equal(name, ATTEMPT ".", strlen(ATTEMPT "."));
    assert_int_equal(strspn(name + strlen(ATTEMPT "."),
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                     43);
    assert_true(is_good(&keys, name, 1));
}

static void no_part_can_be_changed(void **state)
{
    (void)state;
    char name[NAME_SIZE], changed[NAME_SIZE + 2];
    sign(&keys.current, name);
    for (size_t i = 0; i < strlen(name); i++) {
        for (const char *other = "0a-_."; *other != '\0'; other++) {
            snprintf(changed, sizeof(changed), "%s", name);
            changed[i] = *other;
            if (strcmp(changed, name) != 0)
                assert_false(is_good(&keys, changed, 1));
        }
        snprintf(changed, sizeof(changed), "%.*s", (int)i, name);
        assert_false(is_good(&keys, changed, 1));
        assert_false(is_good(&keys, name + i + 1, 1));
    }
    snprintf(changed, sizeof(changed), "%s=", name);
    assert_false(is_good(&keys, changed, 1));
    snprintf(changed, sizeof(changed), "%s/x", name);
    assert_false(is_good(&keys, changed, 1));
}

/* A name that is well formed, with the signature of `text`. */
static void forge(const struct link_key *key, const char *id, const char *text,
                  char ret_name[NAME_SIZE])
{
    uint8_t mac[CRYPT_SHA256_SIZE];
    char signature[64];
    crypt_hmac_sha256(key->bytes, sizeof(key->bytes), text, strlen(text), mac);
    codec_base64url_encode(mac, sizeof(mac), signature);
    snprintf(ret_name, NAME_SIZE, "%s.%s", id, signature);
}

static void no_other_signature_does(void **state)
{
    (void)state;
    char name[NAME_SIZE];
    forge(&keys.current, ATTEMPT, "filmgate-callback-v1\n" ATTEMPT, name);
    assert_true(is_good(&keys, name, 1)); /* so forge() would do */
    forge(&keys.current, ATTEMPT, ATTEMPT, name);
    assert_false(is_good(&keys, name, 1));
    forge(&keys.current, ATTEMPT, "filmgate-link-v1\n" ATTEMPT, name);
    assert_false(is_good(&keys, name, 1));
    static const char *const ids[] = {"task_01k6x15vhrff09dkkqjrzwhm60", "att_", "", "att_01",
                                      "../../../../../../../../../../etc/passwd"};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        char text[NAME_SIZE];
        snprintf(text, sizeof(text), "filmgate-callback-v1\n%s", ids[i]);
        forge(&keys.current, ids[i], text, name);
        assert_false(is_good(&keys, name, 1));
    }
}

static void a_rotation_is_survived_for_as_long_as_links_are(void **state)
{
    (void)state;
    const struct link_keys rotated = {
        .current = {{7}}, .previous = {{1, 2, 3}}, .previous_until_s = UNTIL_S};
    const struct link_keys fresh = {.current = {{7}}};
    const struct link_key zero = {{0}};
    char name[NAME_SIZE];
    sign(&keys.current, name);
    assert_true(is_good(&rotated, name, UNTIL_S - 1));
    assert_false(is_good(&rotated, name, UNTIL_S));
    sign(&rotated.current, name);
    assert_true(is_good(&rotated, name, UNTIL_S));
    sign(&zero, name); /* where there is no key of before, nobody knows it */
    assert_false(is_good(&fresh, name, 0));
    assert_false(is_good(&fresh, name, UNTIL_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_good),
        cmocka_unit_test(no_part_can_be_changed),
        cmocka_unit_test(no_other_signature_does),
        cmocka_unit_test(a_rotation_is_survived_for_as_long_as_links_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
