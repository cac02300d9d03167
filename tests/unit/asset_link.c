/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed links: their window, their bytes, and that no part of one can be changed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asset/link.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/must.h"

#define KEY "task_01h455vb4pex5vsknk084sn02q/source.mp4"
#define OTHER_KEY "task_01h455vb4pex5vsknk084sn03q/source.mp4"
#define BASE "https://gate.example"

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, PARAMETERS_MAX = 8, PARAMETER_SIZE = 2000 };

enum { START_S = 1767225600 }; /* 2026-01-01T00:00:00Z */

static const int64_t start_s = START_S;
#define SECRET                                                                                     \
    {                                                                                              \
        {                                                                                          \
            1, 2, 3, 4, 5                                                                          \
        }                                                                                          \
    }

static const struct link_key secret = SECRET;
static const struct link_keys secrets = {.current = SECRET};

/* A link's query taken apart and decoded, as a server would. */
struct query {
    char storage[PARAMETERS_MAX][PARAMETER_SIZE];
    struct link_parameters parameters;
};

static const char **slot(struct query *query, const char *name)
{
    struct link_parameters *p = &query->parameters;
    const struct {
        const char *name;
        const char **slot;
    } slots[] = {{"st", &p->st}, {"se", &p->se},     {"sr", &p->sr},
                 {"sp", &p->sp}, {"rscd", &p->rscd}, {"sig", &p->sig}};
    for (size_t i = 0; i < ARRAY_LENGTH(slots); i++) {
        if (strcmp(slots[i].name, name) == 0)
            return slots[i].slot;
    }
    return NULL;
}

static void take_apart(const char *link, struct query *query)
{
    size_t n = 0;
    *query = (struct query){.parameters = {.st = NULL}};
    for (const char *at = strchr(link, '?'); at != NULL; at = strchr(at, '&')) {
        at++;
        size_t name_length = strcspn(at, "=");
        size_t length = strcspn(at, "&");
        char name[20];
        must(name_length < length && length < PARAMETER_SIZE && name_length < sizeof(name));
        must(n < PARAMETERS_MAX);
        memcpy(name, at, name_length);
        name[name_length] = '\0';
        char *value = query->storage[n++];
        memcpy(value, at + name_length + 1, length - name_length - 1);
        must(codec_percent_decode(value));
        const char **place = slot(query, name);
        must(place != NULL && *place == NULL);
        *place = value;
    }
}

static void sign_and_take_apart(int64_t st_s, int64_t se_s, const char *attachment,
                                struct query *query)
{
    CLEANUP(free_pointer) char *link = link_sign(&secret, BASE, KEY, st_s, se_s, attachment);
    take_apart(link, query);
}

static enum link_verdict check(const struct query *query, int64_t now_s)
{
    return link_check(&secrets, KEY, &query->parameters, now_s * 1000);
}

/* The text of a link, put together here by the words of the header. */
static void links_have_their_form(void **state)
{
    (void)state;
    static const char text[] = "filmgate-link-v1\n" KEY "\n2026-01-01T00:00:00Z\n"
                               "2026-01-02T00:00:00Z\nb\nr\n";
    uint8_t mac[CRYPT_SHA256_SIZE];
    char signature[50];
    char expected[400];
    crypt_hmac_sha256(secret.bytes, sizeof(secret.bytes), text, strlen(text), mac);
    codec_base64_encode(mac, sizeof(mac), signature);
    CLEANUP(free_pointer)
    char *link = link_sign(&secret, BASE, KEY, start_s, start_s + DAY_S, NULL);
    const char *plain = BASE "/assets/" KEY "?st=2026-01-01T00%3A00%3A00Z"
                             "&se=2026-01-02T00%3A00%3A00Z&sr=b&sp=r&sig=";
    snprintf(expected, sizeof(expected), "%s", plain);
    assert_memory_equal(link, expected, strlen(plain));
    struct query query;
    take_apart(link, &query);
    assert_string_equal(query.parameters.sig, signature);
    assert_null(query.parameters.rscd);
    assert_null(strpbrk(strchr(link, '?') + 1, "+/ \"'<>:"));
}

static void windows_hold(void **state)
{
    (void)state;
    struct query query;
    sign_and_take_apart(start_s, start_s + DAY_S, NULL, &query);
    assert_int_equal(check(&query, start_s - 1), LINK_NOT_YET);
    assert_int_equal(check(&query, start_s), LINK_OK);
    assert_int_equal(check(&query, start_s + DAY_S / 2), LINK_OK);
    assert_int_equal(check(&query, start_s + DAY_S - 1), LINK_OK);
    assert_int_equal(check(&query, start_s + DAY_S), LINK_EXPIRED);
    assert_int_equal(check(&query, start_s + 400 * DAY_S), LINK_EXPIRED);
    assert_int_equal(check(&query, 0), LINK_NOT_YET);
    int64_t last_ms = (start_s + DAY_S) * 1000 - 1;
    assert_int_equal(link_check(&secrets, KEY, &query.parameters, last_ms), LINK_OK);
    assert_int_equal(link_check(&secrets, KEY, &query.parameters, last_ms + 1), LINK_EXPIRED);
}

/* Whenever a link is made within a month, at least a day is left, if it lives two days or more. */
static void a_day_is_always_left(void **state)
{
    (void)state;
    static const int64_t lives_s[] = {2 * DAY_S, 3 * DAY_S, 7 * DAY_S, 30 * DAY_S, 365 * DAY_S};
    for (size_t i = 0; i < ARRAY_LENGTH(lives_s); i++) {
        for (int64_t hour = 0; hour < 31 * 24; hour++) {
            int64_t now_s = start_s + hour * HOUR_S + hour * 5 % HOUR_S;
            int64_t st_s;
            int64_t se_s;
            link_window(now_s * 1000 + hour % 1000, lives_s[i] * 1000, &st_s, &se_s);
            assert_true(st_s <= now_s - HOUR_S);
            assert_true(se_s - now_s >= DAY_S);
            assert_true(se_s - now_s <= lives_s[i]);
        }
    }
}

static void links_of_a_step_are_equal_byte_for_byte(void **state)
{
    (void)state;
    static const struct {
        int64_t life_s, step_s;
    } cases[] = {
        {2 * DAY_S, 12 * HOUR_S}, {4 * DAY_S, DAY_S}, {30 * DAY_S, DAY_S}, {80, 20}, {1, 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t begin_ms = start_s / cases[i].step_s * cases[i].step_s * 1000;
        int64_t step_ms = cases[i].step_s * 1000;
        const int64_t moments_ms[] = {begin_ms, begin_ms + step_ms / 3, begin_ms + step_ms - 1,
                                      begin_ms + step_ms, begin_ms - 1};
        char *links[ARRAY_LENGTH(moments_ms)];
        for (size_t j = 0; j < ARRAY_LENGTH(moments_ms); j++) {
            int64_t st_s;
            int64_t se_s;
            link_window(moments_ms[j], cases[i].life_s * 1000, &st_s, &se_s);
            links[j] = link_sign(&secret, BASE, KEY, st_s, se_s, NULL);
        }
        assert_string_equal(links[0], links[1]);
        assert_string_equal(links[0], links[2]);
        assert_string_not_equal(links[0], links[3]);
        assert_string_not_equal(links[0], links[4]);
        for (size_t j = 0; j < ARRAY_LENGTH(moments_ms); j++)
            free(links[j]);
    }
    int64_t st_s = -1;
    int64_t se_s = -1;
    link_window(0, 1000, &st_s, &se_s); /* no time before 1970 */
    assert_int_equal(st_s, 0);
    assert_int_equal(se_s, 1);
}

static void changed_links_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value; /* NULL: taken away */
        enum link_verdict verdict;
    } cases[] = {
        {"st", NULL, LINK_MALFORMED},
        {"se", NULL, LINK_MALFORMED},
        {"sr", NULL, LINK_MALFORMED},
        {"sp", NULL, LINK_MALFORMED},
        {"sig", NULL, LINK_MALFORMED},
        {"rscd", NULL, LINK_TAMPERED},
        {"st", "2026-01-01T00:00:01Z", LINK_TAMPERED},
        {"st", "2025-01-01T00:00:00Z", LINK_TAMPERED},
        {"st", "2026-01-01T00:00:00z", LINK_MALFORMED},
        {"st", "2026-01-01 00:00:00Z", LINK_MALFORMED},
        {"st", "2026-01-01T00:00:00.0Z", LINK_MALFORMED},
        {"st", "2026-01-01T00:00:00+00:00", LINK_MALFORMED},
        {"st", "2026-01-01", LINK_MALFORMED},
        {"st", "", LINK_MALFORMED},
        {"se", "2027-01-02T00:00:00Z", LINK_TAMPERED},
        {"se", "2026-01-02T00:00:00Z\n", LINK_MALFORMED},
        {"se", "2026-02-30T00:00:00Z", LINK_MALFORMED},
        {"se", "9999", LINK_MALFORMED},
        {"sr", "c", LINK_MALFORMED},
        {"sr", "", LINK_MALFORMED},
        {"sr", "b\n", LINK_MALFORMED},
        {"sp", "rw", LINK_MALFORMED},
        {"sp", "w", LINK_MALFORMED},
        {"rscd", "", LINK_MALFORMED},
        {"rscd", "inline", LINK_TAMPERED},
        {"rscd", "attachment; filename=\"b.mp4\"", LINK_TAMPERED},
        {"rscd", "attachment; filename=\"a.mp4\"\r\nX: y", LINK_MALFORMED},
        {"rscd", "attachment; filename=\"a.mp4\"\x7f", LINK_MALFORMED},
        {"sig", "", LINK_TAMPERED},
        {"sig", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", LINK_TAMPERED},
        {"sig", "A", LINK_TAMPERED},
    };
    struct query good;
    sign_and_take_apart(start_s, start_s + DAY_S, "a.mp4", &good);
    assert_string_equal(good.parameters.rscd, "attachment; filename=\"a.mp4\"");
    assert_int_equal(check(&good, start_s), LINK_OK);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct query query;
        sign_and_take_apart(start_s, start_s + DAY_S, "a.mp4", &query);
        *slot(&query, cases[i].name) = cases[i].value;
        if (check(&query, start_s) != cases[i].verdict)
            fail_msg("wrong about %s=%s", cases[i].name, cases[i].value);
        /* The times of a link that is not ours are nobody's business. */
        if (cases[i].verdict == LINK_TAMPERED)
            assert_int_equal(check(&query, start_s + 9999 * (int64_t)DAY_S), LINK_TAMPERED);
    }
}

static void signatures_have_one_spelling(void **state)
{
    (void)state;
    struct query query;
    sign_and_take_apart(start_s, start_s + DAY_S, NULL, &query);
    char good[60];
    snprintf(good, sizeof(good), "%s", query.parameters.sig);
    size_t length = strlen(good);
    assert_int_equal(length, 44);
    for (size_t i = 0; i < length; i++) {
        char bad[60];
        snprintf(bad, sizeof(bad), "%s", good);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        query.parameters.sig = bad;
        assert_int_equal(check(&query, start_s), LINK_TAMPERED);
    }
    char other[70];
    snprintf(other, sizeof(other), "%.43s", good); /* without padding */
    query.parameters.sig = other;
    assert_int_equal(check(&query, start_s), LINK_TAMPERED);
    snprintf(other, sizeof(other), "%s ", good);
    assert_int_equal(check(&query, start_s), LINK_TAMPERED);
    query.parameters.sig = good;
    assert_int_equal(check(&query, start_s), LINK_OK);
}

static void links_are_for_one_asset_and_one_key(void **state)
{
    (void)state;
    static const char *const bad_keys[] = {"", "../x", KEY "\n", "source.mp4"};
    struct query query;
    struct link_keys other = secrets;
    int64_t now_ms = start_s * 1000;
    sign_and_take_apart(start_s, start_s + DAY_S, NULL, &query);
    assert_int_equal(link_check(&secrets, OTHER_KEY, &query.parameters, now_ms), LINK_TAMPERED);
    other.current.bytes[LINK_KEY_SIZE - 1] ^= 1;
    assert_int_equal(link_check(&other, KEY, &query.parameters, now_ms), LINK_TAMPERED);
    for (size_t i = 0; i < ARRAY_LENGTH(bad_keys); i++)
        assert_int_equal(link_check(&secrets, bad_keys[i], &query.parameters, now_ms),
                         LINK_MALFORMED);
}

static void names_of_downloads_are_signed(void **state)
{
    (void)state;
    struct query query;
    sign_and_take_apart(start_s, start_s + DAY_S, "\xc3\xb6\"\r\n.mp4", &query);
    assert_string_equal(query.parameters.rscd,
                        "attachment; filename=\"____.mp4\"; filename*=UTF-8''%C3%B6___.mp4");
    assert_int_equal(check(&query, start_s), LINK_OK);
    query.parameters.rscd = "attachment; filename=\"____.exe\"";
    assert_int_equal(check(&query, start_s), LINK_TAMPERED);
}

/* A key that was rotated away verifies what was signed with it, and nothing that could not be. */
static void links_of_the_previous_key_keep_working(void **state)
{
    (void)state;
    static const struct link_key fresh = {{9, 9, 9}};
    int64_t end_s = start_s + DAY_S;
    struct link_keys keys = {.current = fresh, .previous = secret, .previous_until_s = end_s};
    struct query query;
    sign_and_take_apart(start_s, end_s, NULL, &query);
    assert_int_equal(link_check(&keys, KEY, &query.parameters, start_s * 1000), LINK_OK);
    assert_int_equal(link_check(&keys, KEY, &query.parameters, (start_s - 1) * 1000), LINK_NOT_YET);
    assert_int_equal(link_check(&keys, KEY, &query.parameters, end_s * 1000), LINK_EXPIRED);
    assert_int_equal(link_check(&keys, OTHER_KEY, &query.parameters, start_s * 1000),
                     LINK_TAMPERED);

    sign_and_take_apart(start_s, end_s + 1, NULL, &query); /* made with a stolen key */
    assert_int_equal(link_check(&keys, KEY, &query.parameters, start_s * 1000), LINK_TAMPERED);
    assert_int_equal(link_check(&keys, KEY, &query.parameters, (end_s + 9) * 1000), LINK_TAMPERED);

    CLEANUP(free_pointer) char *link = link_sign(&fresh, BASE, KEY, start_s, end_s + 1, NULL);
    take_apart(link, &query);
    assert_int_equal(link_check(&keys, KEY, &query.parameters, start_s * 1000), LINK_OK);
    assert_int_equal(link_check(&keys, KEY, &query.parameters, (end_s + 9) * 1000), LINK_EXPIRED);
}

/* Everybody knows the key that is all zeros. */
static void no_previous_key_is_no_key(void **state)
{
    (void)state;
    static const struct link_key zeros = {{0}};
    static const int64_t ends_s[] = {0, START_S + DAY_S};
    for (size_t i = 0; i < ARRAY_LENGTH(ends_s); i++) {
        struct query query;
        CLEANUP(free_pointer) char *link = link_sign(&zeros, BASE, KEY, 0, ends_s[i], NULL);
        take_apart(link, &query);
        assert_int_equal(check(&query, start_s), LINK_TAMPERED);
    }
}

/* The links of one answer are what each would be alone; whether there is one can be asked. */
static void test_signer(void **state)
{
    (void)state;
    struct link_signer signer;
    int64_t st_s, se_s, now_ms = start_s * 1000 + 1, valid_for_ms = DAY_S * 1000LL;
    link_window(now_ms, valid_for_ms, &st_s, &se_s);
    link_signer_init(&signer, &secret, BASE, now_ms, valid_for_ms);
    assert_false(signer.is_used);
    CLEANUP(free_pointer) char *ours = link_signer_sign(&signer, KEY, "v.mp4");
    CLEANUP(free_pointer) char *alone = link_sign(&secret, BASE, KEY, st_s, se_s, "v.mp4");
    assert_string_equal(ours, alone);
    assert_int_equal(signer.se_s, se_s);
    assert_true(signer.is_used);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_have_their_form),
        cmocka_unit_test(windows_hold),
        cmocka_unit_test(a_day_is_always_left),
        cmocka_unit_test(links_of_a_step_are_equal_byte_for_byte),
        cmocka_unit_test(changed_links_are_refused),
        cmocka_unit_test(signatures_have_one_spelling),
        cmocka_unit_test(links_are_for_one_asset_and_one_key),
        cmocka_unit_test(names_of_downloads_are_signed),
        cmocka_unit_test(links_of_the_previous_key_keep_working),
        cmocka_unit_test(no_previous_key_is_no_key),
        cmocka_unit_test(test_signer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
