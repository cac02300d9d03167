/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program may say: every forbidden word in every place where it would be a call, and in those where the same
 * letters are harmless. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "upstream/scan.h"

static const char *const WORDS[] = {
    "env",
    "import",
    "include",
    "input",
    "inputs",
    "debug",
    "input_filename",
    "input_line_number",
    "stderr",
    "halt",
    "halt_error",
    "now",
    "localtime",
    "strflocaltime",
    "modulemeta",
    "get_search_list",
    "get_jq_origin",
    "get_prog_origin",
};

/* %s is the word; the line where it is refused. */
static const struct {
    const char *program;
    int line;
} REFUSED[] = {
    {"def about: %s;", 1},
    {"%s", 1},
    {"def about:\n  %s\n;", 2},
    {"# a comment\n%s", 2},
    {"\"# no comment\" | %s", 1},
    {"\"a\\(%s)b\"", 1},
    {"\"a\\(\"b\\(%s)\")c\"", 1},
    {"\"a\\({k: \")\"} | %s)b\"", 1},
    {"\"\\\\\\(%s)\"", 1},
    {"@base64 \"\\(%s)\"", 1},
    {"\"multi\nline\" | \n%s", 3},
    {".[%s:2]", 1},
    {".[%s :]", 1},
    {"{a: .[%s:2]}", 1},
    {"{(%s): 1}", 1},
    {"{%s}", 1},
    {"{a: %s}", 1},
    {"{a: 1, %s}", 1},
    {".. %s", 1},
    {"..%s", 1},
    {". %s", 1},
    {"1.%s", 1},
    {"1e3%s", 1},
    {"lib::%s", 1},
    {"def %s: 1;", 1},
    {".a|%s", 1},
    {".a//%s", 1},
    {"?//%s", 1},
    {".a?%s", 1},
    {"$x|%s", 1},
    {"@text %s", 1},
    {"\"a\"%s", 1},
    {"[]%s", 1},
    {"if .a then %s else 1 end", 1},
    {"reduce .[] as $i (%s; .)", 1},
    {"path(%s)", 1},
    {"{a: (if . then %s else 1 end)}", 1},
};

static const char *const ALLOWED[] = {
    ".%s",         ".a.%s",         ".\"%s\"",
    "\"%s\"",      "\"\\\\(%s)\"",  "\"\\\"%s\"",
    "# %s",        "{%s: 1}",       "{a: 1, %s : 1}",
    "{\"%s\": 1}", ".[\"%s\"]",     "{%s # why\n : 1}",
    "x_%s",        "%s_x",          "$%s",
    "@%s",         ".a.%s.b",       "{a: .%s, b: {%s: .%s}}",
    ".%s[1:2]",    "\"a\\(.%s)b\"", "1 # \" %s\n| \"\"",
    ".a?.%s",      "..|.%s?",       "{$%s}",
};

static int scan(const char *format, const char *word, char error[SCAN_ERROR_SIZE])
{
    char program[300] = "";
    const char *at = format;
    for (const char *mark; (mark = strstr(at, "%s")) != NULL; at = mark + 2) {
        size_t length = strlen(program);
        (void)snprintf(program + length, sizeof program - length, "%.*s%s", (int)(mark - at), at,
                       word);
    }
    size_t length = strlen(program);
    (void)snprintf(program + length, sizeof program - length, "%s", at);
    error[0] = '\0';
    return scan_program(program, strlen(program), error);
}

static void test_words_are_refused(void **state)
{
    char error[SCAN_ERROR_SIZE], expected[SCAN_ERROR_SIZE];
    (void)state;
    for (size_t w = 0; w < ARRAY_LENGTH(WORDS); w++) {
        (void)snprintf(expected, sizeof expected, "an adapter may not use \"%s\"", WORDS[w]);
        for (size_t i = 0; i < ARRAY_LENGTH(REFUSED); i++) {
            int line = scan(REFUSED[i].program, WORDS[w], error);
            if (line != REFUSED[i].line || strcmp(error, expected) != 0)
                fail_msg("%s in %s: line %d, %s", WORDS[w], REFUSED[i].program, line, error);
        }
    }
}

static void test_fields_keys_and_texts_are_allowed(void **state)
{
    char error[SCAN_ERROR_SIZE];
    (void)state;
    for (size_t w = 0; w < ARRAY_LENGTH(WORDS); w++)
        for (size_t i = 0; i < ARRAY_LENGTH(ALLOWED); i++)
            if (scan(ALLOWED[i], WORDS[w], error) != 0)
                fail_msg("%s in %s: %s", WORDS[w], ALLOWED[i], error);
}

static void test_variables(void **state)
{
    static const char *const BAD[] = {"$%s",     "$ %s",        "$\n%s",    "{$%s}",
                                      "$#c\n%s", "\"\\($%s)\"", ".[$%s:1]", "{a: $%s}"};
    static const char *const GOOD[] = {"%s", ".%s", "$x%s", "{%s: 1}", "\"$%s\"", "# $%s"};
    static const char *const NAMES[] = {"ENV", "__prog_args"};
    char error[SCAN_ERROR_SIZE];
    (void)state;
    for (size_t n = 0; n < ARRAY_LENGTH(NAMES); n++) {
        for (size_t i = 0; i < ARRAY_LENGTH(BAD); i++)
            if (scan(BAD[i], NAMES[n], error) == 0 || !strstr(error, "\"$"))
                fail_msg("%s with %s is taken", BAD[i], NAMES[n]);
        for (size_t i = 0; i < ARRAY_LENGTH(GOOD); i++)
            if (scan(GOOD[i], NAMES[n], error) != 0)
                fail_msg("%s with %s: %s", GOOD[i], NAMES[n], error);
    }
}

static void test_broken_programs(void **state)
{
    static const struct {
        const char *program;
        int line;
        const char *error;
    } CASES[] = {
        {"1)", 1, "\")\" closes nothing"},
        {"\n(1]", 2, "\"]\" does not close the bracket that was opened last"},
        {"[1\n", 2, "a bracket is not closed"},
        {"\"a\n", 2, "a string does not end"},
        {"\"a\\", 1, "a string does not end"},
        {"\"\\(1", 1, "a bracket is not closed"},
        {"\"\\(1]\"", 1, "\"]\" does not close the bracket that was opened last"},
        {"1\n\xff", 2, "this is not UTF-8 text"},
    };
    char error[SCAN_ERROR_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        assert_int_equal(scan_program(CASES[i].program, strlen(CASES[i].program), error),
                         CASES[i].line);
        assert_string_equal(error, CASES[i].error);
    }
    assert_int_equal(scan_program("1\n\0", 3, error), 2);
    assert_int_equal(scan_program("", 0, error), 0);
}

static void test_depth(void **state)
{
    char program[2 * SCAN_DEPTH_MAX + 2], error[SCAN_ERROR_SIZE];
    (void)state;
    for (size_t depth = SCAN_DEPTH_MAX; depth <= SCAN_DEPTH_MAX + 1; depth++) {
        memset(program, '(', depth);
        memset(program + depth, ')', depth);
        int line = scan_program(program, 2 * depth, error);
        assert_int_equal(line, depth > SCAN_DEPTH_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_refused),
        cmocka_unit_test(test_fields_keys_and_texts_are_allowed),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_broken_programs),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests_name("upstream_scan", tests, NULL, NULL);
}
