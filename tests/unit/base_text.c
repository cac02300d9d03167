/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte strings, codecs and the written forms of times. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/compiler.h"
#include "base/must.h"
#include "base/nearest.h"
#include "base/redact.h"

static void buf_stops_at_its_ceiling(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 5);
    assert_string_equal(buf_text(&buf), "");
    buf_puts(&buf, "abc");
    assert_false(buf.overflowed);
    buf_puts(&buf, "def"); /* nothing of it is added */
    assert_true(buf.overflowed);
    assert_string_equal(buf_text(&buf), "abc");
    buf_puts(&buf, "de");
    assert_string_equal(buf_text(&buf), "abcde");
    assert_true(buf.overflowed);
    buf_clear(&buf);
    assert_false(buf.overflowed);
    assert_int_equal(buf.length, 0);
    buf_printf(&buf, "%d-%s", 12, "ab");
    assert_string_equal(buf_text(&buf), "12-ab");
    assert_false(buf.overflowed);
    buf_printf(&buf, "%d", 1);
    assert_true(buf.overflowed);
    buf_fini(&buf);
    buf_fini(&buf);
    assert_string_equal(buf_text(&buf), "");
}

static void buf_grows_and_is_taken(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100000);
    for (int i = 0; i < 100000; i++)
        buf_putc(&buf, (char)('a' + i % 26));
    assert_false(buf.overflowed);
    buf_putc(&buf, '!');
    assert_true(buf.overflowed);
    char *taken = buf_take(&buf);
    assert_int_equal(strlen(taken), 100000);
    assert_int_equal(taken[99999], 'a' + 99999 % 26);
    free(taken);
    assert_false(buf.overflowed);
    taken = buf_take(&buf);
    assert_string_equal(taken, "");
    free(taken);
    buf_fini(&buf);
}

static void buf_writes_json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\n\r\t\b\f\x01\x1f\x7f", "\"\\n\\r\\t\\b\\f\\u0001\\u001f\\u007f\""},
        {"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xac", "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xac\""},
        {"\xc2\x9b", "\"\\u009b\""},
        {"a\xff z", "\"a\xef\xbf\xbd z\""},
        {"cut \xe2\x82", "\"cut \xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_fini) struct buf buf;
        buf_init(&buf, 100);
        buf_json_string(&buf, cases[i].text);
        assert_string_equal(buf_text(&buf), cases[i].json);
    }
}

static void buf_percent_encodes(void **state)
{
    (void)state;
    CLEANUP(buf_fini) struct buf buf;
    buf_init(&buf, 200);
    buf_percent_encode(&buf, "AZaz09-._~", "");
    assert_string_equal(buf_text(&buf), "AZaz09-._~");
    buf_clear(&buf);
    buf_percent_encode(&buf, "a/b c+\xc3\xa9%", "/");
    assert_string_equal(buf_text(&buf), "a/b%20c%2B%C3%A9%25");
}

/* The vectors of RFC 4648, section 10. */
static void base64_follows_the_rfc(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        const char *text;
    } cases[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[16];
        uint8_t data[16];
        size_t length = 99;
        size_t data_length = strlen(cases[i].data);
        codec_base64_encode(cases[i].data, data_length, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(codec_base64_length(data_length), strlen(text));
        assert_true(codec_base64_decode(text, strlen(text), data, &length));
        assert_int_equal(length, data_length);
        assert_memory_equal(data, cases[i].data, length);
        size_t bare = strcspn(text, "=");
        assert_true(codec_base64_decode(text, bare, data, &length));
        assert_int_equal(length, data_length);
        codec_base64url_encode(cases[i].data, data_length, text);
        assert_int_equal(strlen(text), bare);
    }
}

static void base64_takes_both_alphabets_and_white_space(void **state)
{
    (void)state;
    static const uint8_t high[] = {0xfb, 0xff, 0xfe};
    char text[8];
    uint8_t data[32];
    size_t length;
    codec_base64_encode(high, 3, text);
    assert_string_equal(text, "+//+");
    codec_base64url_encode(high, 3, text);
    assert_string_equal(text, "-__-");
    assert_true(codec_base64_decode("-__-", 4, data, &length));
    assert_memory_equal(data, high, 3);
    assert_true(codec_base64_decode(" Zm9v\r\nYg =\t=\n", 14, data, &length));
    assert_int_equal(length, 4);
    assert_memory_equal(data, "foob", 4);
}

static void base64_refuses_what_cannot_be(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "Z",        "Zg=",  "Zg===", "=",     "==",    "====",
        "Zg==Zg==", "Zm=9", "Zm9v=", "Zm9v*", "Zm9vY", "Zm\303\251v",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t data[16];
        size_t length = 77;
        assert_false(codec_base64_decode(cases[i], strlen(cases[i]), data, &length));
        assert_int_equal(length, 77);
    }
    uint8_t data[8];
    size_t length;
    assert_false(codec_base64_decode("Zm9\0", 4, data, &length));
}

static void base64_round_trips_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    for (size_t from = 0; from < 3; from++) {
        char text[400];
        uint8_t back[400];
        size_t length;
        codec_base64_encode(bytes + from, sizeof(bytes) - from, text);
        assert_true(codec_base64_decode(text, strlen(text), back, &length));
        assert_int_equal(length, sizeof(bytes) - from);
        assert_memory_equal(back, bytes + from, length);
    }
}

static void hex_both_ways(void **state)
{
    (void)state;
    char text[7];
    uint8_t data[3] = {0, 0, 0};
    codec_hex_encode("\x00\xaf\x5b", 3, text);
    assert_string_equal(text, "00af5b");
    assert_true(codec_hex_decode("00AF5b", data, 3));
    assert_memory_equal(data, "\x00\xaf\x5b", 3);
    assert_false(codec_hex_decode("00af5", data, 3));
    assert_false(codec_hex_decode("00af5b0", data, 3));
    assert_false(codec_hex_decode("00ag5b", data, 3));
    assert_false(codec_hex_decode("", data, 3));
    assert_memory_equal(data, "\x00\xaf\x5b", 3);
}

static void percent_decodes_in_place(void **state)
{
    (void)state;
    char good[] = "a%20b+%C3%a9%25%2f";
    assert_true(codec_percent_decode(good));
    assert_string_equal(good, "a b+\xc3\xa9%/");
    static const char *const broken[] = {"x%", "x%4", "x%4g", "x%g4", "x%00y", "%41%"};
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        char text[16];
        strcpy(text, broken[i]);
        assert_false(codec_percent_decode(text));
        assert_string_equal(text, broken[i]);
    }
}

static void utf8_by_the_rfc(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbd",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\xaf",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xc3",
                                      "\xc3(",
                                      "\xf0\x9f\x8e"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_true(codec_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(codec_is_utf8(bad[i], strlen(bad[i])));
    assert_false(codec_is_utf8("a\0b", 3));
    assert_int_equal(codec_utf8_count("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac"), 4);
    assert_int_equal(codec_utf8_count(""), 0);
    static const size_t fits[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10, 10};
    for (size_t most = 0; most < ARRAY_LENGTH(fits); most++)
        assert_int_equal(codec_utf8_fit("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac", most), fits[most]);
}

static void printable_is_ascii_from_blank_to_tilde(void **state)
{
    (void)state;
    static const char *const bad[] = {"a\tb", "a\n", "\x1f", "\x7f", "\xc3\xa9"};
    assert_true(codec_is_printable("") && codec_is_printable(" a Z~"));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(codec_is_printable(bad[i]));
}

static void a_word_among_words_is_a_whole_one(void **state)
{
    (void)state;
    static const char words[] = "first_s every_s every aa-aa s";
    static const char *const good[] = {"first_s", "every_s", "every", "aa-aa", "s"};
    static const char *const bad[] = {"", " ", "first", "_s", "aa", "every aa-aa", "every_", "ss"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_true(codec_has_word(words, good[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(codec_has_word(words, bad[i]));
    assert_false(codec_has_word("", "s"));
}

static void clock_writes_and_reads(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {951782399, "2000-02-28T23:59:59Z"},
        {951782400, "2000-02-29T00:00:00Z"},
        {951868800, "2000-03-01T00:00:00Z"},
        {1759763426, "2025-10-06T15:10:26Z"},
        {4107542400, "2100-03-01T00:00:00Z"},
        {253402300799, "9999-12-31T23:59:59Z"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[CLOCK_ISO_SECONDS_SIZE];
        int64_t seconds = -1;
        clock_iso_seconds(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
        assert_true(clock_parse_iso_seconds(text, &seconds));
        assert_int_equal(seconds, cases[i].seconds);
    }
    for (int64_t day = 0; day < 366 * 500; day++) {
        char text[CLOCK_ISO_SECONDS_SIZE];
        int64_t seconds = -1;
        clock_iso_seconds(day * 86400 + 86399, text);
        assert_true(clock_parse_iso_seconds(text, &seconds));
        assert_int_equal(seconds, day * 86400 + 86399);
    }
    char micros[CLOCK_ISO_MICROS_SIZE];
    clock_iso_micros(INT64_C(1759763426875729), micros);
    assert_string_equal(micros, "2025-10-06T15:10:26.875729Z");
    clock_iso_micros(1000, micros);
    assert_string_equal(micros, "1970-01-01T00:00:00.001000Z");
    clock_iso_micros(-5, micros);
    assert_string_equal(micros, "1970-01-01T00:00:00.000000Z");
    clock_iso_micros(INT64_MAX, micros);
    assert_string_equal(micros, "9999-12-31T23:59:59.999999Z");
}

static void clock_refuses_other_forms(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "2025-10-06",
        "2025-10-06T15:10:26",
        "2025-10-06T15:10:26z",
        "2025-10-06 15:10:26Z",
        "2025-10-06T15:10:26.1Z",
        "2025-10-06T15:10:26Z ",
        "2025-10-06T15:10:26+00:00",
        "1969-12-31T23:59:59Z",
        "2025-00-06T15:10:26Z",
        "2025-13-06T15:10:26Z",
        "2025-02-29T15:10:26Z",
        "2100-02-29T15:10:26Z",
        "2025-04-31T15:10:26Z",
        "2025-10-00T15:10:26Z",
        "2025-10-06T24:00:00Z",
        "2025-10-06T15:60:26Z",
        "2025-10-06T15:10:60Z",
        "2025-10-06T15:10:-1Z",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t seconds = 77;
        assert_false(clock_parse_iso_seconds(cases[i], &seconds));
        assert_int_equal(seconds, 77);
    }
}

static void clocks_move_forward(void **state)
{
    (void)state;
    int64_t before = clock_mono_ms();
    assert_true(clock_mono_ms() >= before);
    assert_true(clock_wall_ms() > INT64_C(1600000000000));
    assert_true(clock_wall_micros() / 1000 >= clock_wall_ms() - 1000);
}

static void allocation_copies_and_zeroes(void **state)
{
    (void)state;
    CLEANUP(free_pointer) char *cut = must_strndup("abcdef", 3);
    assert_string_equal(cut, "abc");
    CLEANUP(free_pointer) int *zeroes = must_calloc(4, sizeof(int));
    assert_int_equal(zeroes[3], 0);
    char *first = must_strdup("moved");
    char *second = TAKE(first);
    assert_null(first);
    second = must_realloc(second, 100);
    assert_string_equal(second, "moved");
    free_pointer(&second);
    assert_null(second);
}

/* ---- redact ---- */

static void test_redact(void **state)
{
    (void)state;
    char text[] = "key-12345678 and key-12345678, \"/callbacks/a.b\" and /callbacks/";
    redact(text, "key-12345678");
    redact(text, "and"); /* too short to be a secret */
    redact(text, NULL);
    assert_string_equal(text, "************ and ************, \"/callbacks/a.b\" and /callbacks/");
    redact_behind(text, "/callbacks/");
    assert_string_equal(text, "************ and ************, \"/callbacks/***\" and /callbacks/");
    char spelt[] =
        "a%2Fb%2bc12=345, a\\/b+c12%3D345, a/b+c12=34, %2fcallbacks%2Fx.y \\/callbacks\\/x.y%";
    redact(spelt, "a/b+c12=345");
    assert_string_equal(
        spelt,
        "***************, **************, a/b+c12=34, %2fcallbacks%2Fx.y \\/callbacks\\/x.y%");
    redact_behind(spelt, "/callbacks/");
    assert_string_equal(
        spelt,
        "***************, **************, a/b+c12=34, %2fcallbacks%2F*** \\/callbacks\\/****");
}

static void nearest_counts_edits(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        size_t distance;
    } pairs[] = {
        {"", "", 0},       {"", "abc", 3},    {"abc", "", 3},      {"abc", "abc", 0},
        {"abc", "abd", 1}, {"abc", "ac", 1},  {"ac", "abc", 1},    {"abc", "acb", 1},
        {"ab", "ba", 1},   {"abc", "cab", 2}, {"ca", "abc", 3},    {"kling", "klng", 1},
        {"abcd", "", 4},   {"veo", "fal", 3}, {"xabc", "abcx", 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
        assert_int_equal(nearest_distance(pairs[i].one, strlen(pairs[i].one), pairs[i].other,
                                          strlen(pairs[i].other)),
                         pairs[i].distance);
    assert_int_equal(nearest_distance("limits.images", 6, "limts", 5), 1); /* of its beginning */
}

static void nearest_name_is_near(void **state)
{
    (void)state;
    static const char *const names[] = {"create", "query", "list", "keys"};
    static const char *const pairs[][2] = {
        {"creat", "create"}, {"crate", "create"}, {"qurey", "query"}, {"lst", "list"},
        {"key", "keys"},     {"list", "list"},    {"xyzzy", NULL},    {"", NULL},
        {"q", NULL},         {"listing", "list"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        const char *nearest = nearest_name(pairs[i][0], names, ARRAY_LENGTH(names));
        if (pairs[i][1] == NULL)
            assert_null(nearest);
        else
            assert_string_equal(nearest, pairs[i][1]);
    }
    char word[NEAREST_WORD_MAX + 2];
    const char *const long_name[] = {word};
    memset(word, 'x', sizeof(word) - 1);
    word[NEAREST_WORD_MAX + 1] = '\0';
    assert_null(nearest_name(word, long_name, 1)); /* as it is, but longer than what is compared */
    assert_int_equal(nearest_distance(word, NEAREST_WORD_MAX + 1, "x", 1), SIZE_MAX);
    assert_int_equal(nearest_distance("x", 1, word, NEAREST_WORD_MAX + 1), SIZE_MAX);
    word[NEAREST_WORD_MAX] = '\0';
    assert_ptr_equal(nearest_name(word, long_name, 1), word);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redact),
        cmocka_unit_test(buf_stops_at_its_ceiling),
        cmocka_unit_test(buf_grows_and_is_taken),
        cmocka_unit_test(buf_writes_json_strings),
        cmocka_unit_test(buf_percent_encodes),
        cmocka_unit_test(base64_follows_the_rfc),
        cmocka_unit_test(base64_takes_both_alphabets_and_white_space),
        cmocka_unit_test(base64_refuses_what_cannot_be),
        cmocka_unit_test(base64_round_trips_every_byte),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(percent_decodes_in_place),
        cmocka_unit_test(utf8_by_the_rfc),
        cmocka_unit_test(printable_is_ascii_from_blank_to_tilde),
        cmocka_unit_test(a_word_among_words_is_a_whole_one),
        cmocka_unit_test(clock_writes_and_reads),
        cmocka_unit_test(clock_refuses_other_forms),
        cmocka_unit_test(clocks_move_forward),
        cmocka_unit_test(allocation_copies_and_zeroes),
        cmocka_unit_test(nearest_counts_edits),
        cmocka_unit_test(nearest_name_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
