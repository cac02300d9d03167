/* SPDX-License-Identifier: Apache-2.0
 *
 * Identifiers, held against the vectors that the TypeID specification 0.3 publishes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/id.h"

struct valid_case {
    const char *typeid;
    const char *prefix;
    const char *uuid_hex;
};

static const struct valid_case VALID[] = {
    {"00000000000000000000000000", "", "00000000000000000000000000000000"},
    {"00000000000000000000000001", "", "00000000000000000000000000000001"},
    {"0000000000000000000000000a", "", "0000000000000000000000000000000a"},
    {"0000000000000000000000000g", "", "00000000000000000000000000000010"},
    {"00000000000000000000000010", "", "00000000000000000000000000000020"},
    {"7zzzzzzzzzzzzzzzzzzzzzzzzz", "", "ffffffffffffffffffffffffffffffff"},
    {"prefix_0123456789abcdefghjkmnpqrs", "prefix", "0110c8531d0952d8d73e1194e95b5f19"},
    {"prefix_01h455vb4pex5vsknk084sn02q", "prefix", "01890a5dac96774bbcceb302099a8057"},
    {"pre_fix_00000000000000000000000000", "pre_fix", "00000000000000000000000000000000"},
};

static const char *const INVALID[] = {
    "PREFIX_00000000000000000000000000",
    "12345_00000000000000000000000000",
    "pre.fix_00000000000000000000000000",
    "pr\303\251fix_00000000000000000000000000", /* octal, for «f» would count as a hex digit */
    "  prefix_00000000000000000000000000",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl_00000000000000000000000000",
    "_00000000000000000000000000",
    "_",
    "prefix_1234567890123456789012345",
    "prefix_123456789012345678901234567",
    "prefix_1234567890123456789012345 ",
    "prefix_0123456789ABCDEFGHJKMNPQRS",
    "prefix_123456789-123456789-123456",
    "prefix_ooooooiiiiiiuuuuuuulllllll",
    "prefix_i23456789ol23456789oi23456",
    "prefix_123456789-0123456789-0123456",
    "prefix_8zzzzzzzzzzzzzzzzzzzzzzzzz",
    "_prefix_00000000000000000000000000",
    "prefix__00000000000000000000000000",
    /* ours: nothing, only a prefix, no separator, something behind */
    "",
    "prefix",
    "prefix_",
    "prefix00000000000000000000000000",
    "prefix_00000000000000000000000000\n",
};

static void valid_vectors_read_and_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(VALID); i++) {
        char prefix[ID_PREFIX_MAX + 1];
        char hex[33];
        char text[ID_TYPEID_SIZE];
        struct uuid uuid;
        assert_true(id_typeid_read(VALID[i].typeid, prefix, &uuid));
        assert_string_equal(prefix, VALID[i].prefix);
        codec_hex_encode(uuid.bytes, sizeof(uuid.bytes), hex);
        assert_string_equal(hex, VALID[i].uuid_hex);
        id_typeid_write(prefix, &uuid, text, sizeof(text));
        assert_string_equal(text, VALID[i].typeid);
        assert_true(id_is_typeid(text, VALID[i].prefix));
        assert_false(id_is_typeid(text, "other"));
    }
}

static void invalid_vectors_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(INVALID); i++) {
        char prefix[ID_PREFIX_MAX + 1] = "untouched";
        struct uuid uuid;
        assert_false(id_typeid_read(INVALID[i], prefix, &uuid));
        assert_string_equal(prefix, "untouched");
    }
}

static void longest_prefix_is_taken(void **state)
{
    (void)state;
    char text[ID_TYPEID_SIZE];
    char written[ID_TYPEID_SIZE];
    char prefix[ID_PREFIX_MAX + 1];
    struct uuid uuid;
    memset(text, 'a', ID_PREFIX_MAX);
    strcpy(text + ID_PREFIX_MAX, "_01h455vb4pex5vsknk084sn02q");
    assert_true(id_typeid_read(text, prefix, &uuid));
    assert_int_equal(strlen(prefix), ID_PREFIX_MAX);
    id_typeid_write(prefix, &uuid, written, sizeof(written));
    assert_string_equal(written, text);
}

static void random_ids_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct uuid uuid;
        struct uuid back;
        char text[ID_SHORT_SIZE];
        char prefix[ID_PREFIX_MAX + 1];
        crypt_random(uuid.bytes, sizeof(uuid.bytes));
        id_typeid_write("task", &uuid, text, sizeof(text));
        assert_true(id_typeid_read(text, prefix, &back));
        assert_memory_equal(uuid.bytes, back.bytes, sizeof(uuid.bytes));
    }
}

/* The example of RFC 9562, appendix A.6. */
static void uuid7_has_time_version_and_variant(void **state)
{
    (void)state;
    static const uint8_t random[10] = {0xfc, 0xc3, 0xd8, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
    struct uuid uuid = id_uuid7(INT64_C(0x017f22e279b0), random);
    char hex[33];
    codec_hex_encode(uuid.bytes, sizeof(uuid.bytes), hex);
    assert_string_equal(hex, "017f22e279b07cc398c4dc0c0c07398f");
}

static int64_t time_of(const char *typeid)
{
    char prefix[ID_PREFIX_MAX + 1];
    struct uuid uuid;
    assert_true(id_typeid_read(typeid, prefix, &uuid));
    assert_int_equal(uuid.bytes[6] >> 4, 7);
    assert_int_equal(uuid.bytes[8] >> 6, 2);
    int64_t unix_ms = 0;
    for (int i = 0; i < 6; i++)
        unix_ms = unix_ms << 8 | uuid.bytes[i];
    return unix_ms;
}

static void fresh_ids_rise(void **state)
{
    (void)state;
    char last[ID_SHORT_SIZE] = "";
    int64_t before = clock_wall_ms();
    for (int i = 0; i < 20000; i++) {
        char fresh[ID_SHORT_SIZE];
        id_new("media", fresh, sizeof(fresh));
        assert_true(id_is_typeid(fresh, "media"));
        assert_true(strcmp(last, fresh) < 0);
        assert_true(time_of(fresh) >= before);
        strcpy(last, fresh);
    }
    assert_true(time_of(last) <= clock_wall_ms() + 1000);
}

enum { THREADS = 4, IDS_EACH = 2000 };

struct maker {
    pthread_t thread;
    bool is_rising;
    char ids[IDS_EACH][ID_SHORT_SIZE];
};

static void *make_ids(void *argument)
{
    struct maker *maker = argument;
    maker->is_rising = true;
    for (int i = 0; i < IDS_EACH; i++) {
        id_new("task", maker->ids[i], ID_SHORT_SIZE);
        if (i > 0 && strcmp(maker->ids[i - 1], maker->ids[i]) >= 0)
            maker->is_rising = false;
    }
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void threads_never_share_an_id(void **state)
{
    (void)state;
    struct maker *makers = calloc(THREADS, sizeof(*makers));
    char(*all)[ID_SHORT_SIZE] = calloc((size_t)THREADS * IDS_EACH, ID_SHORT_SIZE);
    assert_non_null(makers);
    assert_non_null(all);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&makers[i].thread, NULL, make_ids, &makers[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(makers[i].thread, NULL), 0);
        assert_true(makers[i].is_rising);
        memcpy(all[i * IDS_EACH], makers[i].ids, sizeof(makers[i].ids));
    }
    qsort(all, (size_t)THREADS * IDS_EACH, ID_SHORT_SIZE, compare_ids);
    for (int i = 1; i < THREADS * IDS_EACH; i++)
        assert_string_not_equal(all[i - 1], all[i]);
    free(all);
    free(makers);
}

static void opaque_text_depends_on_all_inputs(void **state)
{
    (void)state;
    uint8_t secret[32] = {1};
    char first[41];
    char again[41];
    char other[41];
    id_opaque(secret, "label", first, 40);
    id_opaque(secret, "label", again, 40);
    assert_string_equal(first, again);
    assert_int_equal(strlen(first), 40);
    for (int i = 0; i < 40; i++)
        assert_true(isalnum((unsigned char)first[i]));
    id_opaque(secret, "label2", other, 40);
    assert_string_not_equal(first, other);
    secret[31] = 1;
    id_opaque(secret, "label", other, 40);
    assert_string_not_equal(first, other);
    char longer[201];
    secret[31] = 0;
    id_opaque(secret, "label", longer, 200);
    assert_int_equal(strlen(longer), 200);
    assert_memory_equal(longer, first, 40);
    id_opaque(secret, "label", other, 0);
    assert_string_equal(other, "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_vectors_read_and_write),
        cmocka_unit_test(invalid_vectors_are_refused),
        cmocka_unit_test(longest_prefix_is_taken),
        cmocka_unit_test(random_ids_round_trip),
        cmocka_unit_test(uuid7_has_time_version_and_variant),
        cmocka_unit_test(fresh_ids_rise),
        cmocka_unit_test(threads_never_share_an_id),
        cmocka_unit_test(opaque_text_depends_on_all_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
