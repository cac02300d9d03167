/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON from outside: what is taken, what is refused and how it is said; and the small readers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"

static json_t *parse(const char *text)
{
    char error[JSON_ERROR_SIZE] = "";
    return json_parse(text, strlen(text), error);
}

static void refusals_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"", "no object or array"},
        {" \n\t", "no object or array"},
        {"5", "not an object or array"},
        {" \"text\"", "not an object or array"},
        {"null", "not an object or array"},
        {"{\"a\": 1,}", "line 1, column 9"},
        {"{\n\n\"a\" 1}", "line 3, column 5"},
        {"{\"a\": 1} x", "end of file expected"},
        {"[1, 2", "line 1"},
        {"nonsense", "line 1"},
        {"{\"a\": NaN}", "line 1"},
        {"{\"a\": 1e999}", "line 1"},
        {"{\"a\": 99999999999999999999}", "line 1"},
        {"{\"a\": \"x\\u0000y\"}", "line 1"},
        {"{\"a\\u0000b\": 1}", "line 1"},
        {"{\"a\": \"\xff\"}", "line 1"},
        {"{\"a\": \"\\ud800\"}", "line 1"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char error[JSON_ERROR_SIZE] = "";
        assert_null(json_parse(cases[i].text, strlen(cases[i].text), error));
        assert_non_null(strstr(error, cases[i].says));
    }
    char error[JSON_ERROR_SIZE] = "";
    assert_null(json_parse("{\"a\":\0 1}", 9, error));
    assert_string_not_equal(error, "");
    assert_null(json_parse("\0", 1, error));
}

static void only_the_given_length_is_read(void **state)
{
    (void)state;
    char error[JSON_ERROR_SIZE];
    CLEANUP(json_unref_pointer) json_t *json = json_parse("[1]garbage", 3, error);
    assert_true(json_is_array(json));
}

static void the_last_duplicate_counts(void **state)
{
    (void)state;
    CLEANUP(json_unref_pointer) json_t *json = parse("{\"a\": 1, \"a\": 2}");
    assert_int_equal(json_int(json, "a", 0), 2);
    assert_int_equal(json_object_size(json), 1);
}

/* `depth` arrays within each other, or objects. */
static char *nested(size_t depth, const char *open, char close)
{
    struct buf buf;
    buf_init(&buf, 100000);
    for (size_t i = 0; i < depth; i++)
        buf_puts(&buf, open);
    buf_putc(&buf, '0');
    for (size_t i = 0; i < depth; i++)
        buf_putc(&buf, close);
    assert_false(buf.overflowed);
    return buf_take(&buf);
}

static void depth_is_limited(void **state)
{
    (void)state;
    static const struct {
        const char *open;
        char close;
    } kinds[] = {{"[", ']'}, {"{\"k\":", '}'}};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        CLEANUP(free_pointer)
        char *good = nested(JSON_DEPTH_LIMIT, kinds[i].open, kinds[i].close);
        CLEANUP(free_pointer)
        char *bad = nested(JSON_DEPTH_LIMIT + 1, kinds[i].open, kinds[i].close);
        CLEANUP(free_pointer) char *bomb = nested(15000, kinds[i].open, kinds[i].close);
        char error[JSON_ERROR_SIZE] = "";
        CLEANUP(json_unref_pointer) json_t *json = json_parse(good, strlen(good), error);
        assert_non_null(json);
        assert_null(json_parse(bad, strlen(bad), error));
        assert_non_null(strstr(error, "nested too deeply"));
        assert_null(json_parse(bomb, strlen(bomb), error));
    }
}

/* An array of `count` elements in all, half of them one level down. */
static char *crowd(int count)
{
    struct buf buf;
    buf_init(&buf, 100000);
    buf_putc(&buf, '[');
    for (int i = 0; i < count / 2 - 1; i++)
        buf_puts(&buf, "0,");
    buf_puts(&buf, "{\"of\":[0");
    for (int i = 0; i < count - count / 2 - 2; i++)
        buf_puts(&buf, ",0");
    buf_puts(&buf, "]}]");
    assert_false(buf.overflowed);
    return buf_take(&buf);
}

static void members_are_limited(void **state)
{
    (void)state;
    CLEANUP(free_pointer) char *good = crowd(JSON_MEMBERS_LIMIT);
    CLEANUP(free_pointer) char *bad = crowd(JSON_MEMBERS_LIMIT + 1);
    char error[JSON_ERROR_SIZE] = "";
    CLEANUP(json_unref_pointer) json_t *json = json_parse(good, strlen(good), error);
    assert_non_null(json);
    assert_null(json_parse(bad, strlen(bad), error));
    assert_non_null(strstr(error, "too many members"));
}

static void texts_may_share_a_limit(void **state)
{
    (void)state;
    char error[JSON_ERROR_SIZE] = "";
    long left = 4;
    json_t *first = json_parse_within("[1,[2]]", 7, &left, error);
    assert_non_null(first);
    assert_int_equal(left, 1);
    assert_null(json_parse_within("[1,2]", 5, &left, error));
    assert_non_null(strstr(error, "too many members"));
    assert_null(json_parse_within("[1", 2, &left, error));
    assert_int_equal(left, 1); /* a refusal takes nothing */
    json_t *second = json_parse_within("{\"a\":1}", 7, &left, error);
    assert_non_null(second);
    assert_int_equal(left, 0);
    assert_null(json_parse_within("[1]", 3, &left, error));
    json_decref(first);
    json_decref(second);
}

static void readers_fall_back(void **state)
{
    (void)state;
    CLEANUP(json_unref_pointer)
    json_t *json = parse("{\"t\":\"text\",\"i\":7,\"r\":2.5,\"y\":true,\"n\":null,\"a\":[]}");
    assert_string_equal(json_text(json, "t"), "text");
    assert_null(json_text(json, "i"));
    assert_null(json_text(json, "n"));
    assert_null(json_text(json, "absent"));
    assert_int_equal(json_int(json, "i", 1), 7);
    assert_int_equal(json_int(json, "r", 1), 1);
    assert_int_equal(json_int(json, "absent", -3), -3);
    assert_true(json_number(json, "r", 0) == 2.5);
    assert_true(json_number(json, "i", 0) == 7.0);
    assert_true(json_number(json, "t", 0.5) == 0.5);
    assert_true(json_flag(json, "y", false));
    assert_true(json_flag(json, "i", true));
    assert_false(json_flag(json, "absent", false));
    assert_null(json_text(NULL, "t"));
    assert_int_equal(json_int(json_object_get(json, "a"), "t", 4), 4);
}

static void setters_take_any_text(void **state)
{
    (void)state;
    CLEANUP(json_unref_pointer) json_t *json = json_object();
    json_set_text(json, "good", "h\xc3\xa9");
    json_set_text(json, "none", NULL);
    json_set_text(json, "broken", "a\xff\xe2\x82");
    json_set(json, "number", json_integer(3));
    assert_string_equal(json_text(json, "good"), "h\xc3\xa9");
    assert_true(json_is_null(json_object_get(json, "none")));
    assert_string_equal(json_text(json, "broken"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_int_equal(json_int(json, "number", 0), 3);
    CLEANUP(free_pointer) char *written = json_dumps(json, JSON_WRITE_FLAGS);
    assert_string_equal(written, "{\"good\":\"h\xc3\xa9\",\"none\":null,"
                                 "\"broken\":\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
                                 "\"number\":3}");
}

static void canonical_text_ignores_order(void **state)
{
    (void)state;
    CLEANUP(json_unref_pointer) json_t *a = parse("{\"b\":[1, {\"y\":0.1,\"x\":2}],\"a\":null}");
    CLEANUP(json_unref_pointer) json_t *b = parse("{\"a\":null,\"b\":[1,{\"x\":2,\"y\":0.1}]}");
    CLEANUP(free_pointer) char *text_a = json_canonical(a);
    CLEANUP(free_pointer) char *text_b = json_canonical(b);
    assert_string_equal(text_a, "{\"a\":null,\"b\":[1,{\"x\":2,\"y\":0.1}]}");
    assert_string_equal(text_a, text_b);
    CLEANUP(json_unref_pointer) json_t *scalar = json_string("s");
    CLEANUP(free_pointer) char *text = json_canonical(scalar);
    assert_string_equal(text, "\"s\"");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(only_the_given_length_is_read),
        cmocka_unit_test(the_last_duplicate_counts),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(members_are_limited),
        cmocka_unit_test(texts_may_share_a_limit),
        cmocka_unit_test(readers_fall_back),
        cmocka_unit_test(setters_take_any_text),
        cmocka_unit_test(canonical_text_ignores_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
