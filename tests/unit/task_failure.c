/* SPDX-License-Identifier: Apache-2.0
 *
 * What a failed task says. Some clients search failures for words and then send the whole job
 * again: none of these words may stand in a message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/compiler.h"
#include "task/state.h"

static const char *const traps[] = {
    "rate",       "quota", "429",          "500",     "502",        "503",       "529",
    "overloaded", "busy",  "server error", "timeout", "timed out",  "too many",  "temporar",
    "capacity",   "limit", "unavailable",  "network", "connection", "try again",
};

static void messages_hold_no_trap(void **context)
{
    (void)context;
    for (unsigned i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++)
        for (size_t j = 0; j < ARRAY_LENGTH(traps); j++) {
            const char *message = task_failure_message((enum task_failure)i);
            if (strcasestr(message, traps[j]) != NULL)
                fail_msg("«%s» holds «%s»", message, traps[j]);
        }
}

static void messages_are_sentences_that_speak_of_money(void **context)
{
    (void)context;
    for (unsigned i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++) {
        const char *message = task_failure_message((enum task_failure)i);
        assert_true(message[0] >= 'A' && message[0] <= 'Z');
        assert_int_equal(message[strlen(message) - 1], '.');
        assert_non_null(strstr(message, "charged"));
        /* the answer joins message and note in a text of 512 bytes and the note */
        assert_true(strlen(message) < 400);
    }
}

static void policy_refusals_say_so(void **context)
{
    (void)context;
    const char *message = task_failure_message(TASK_FAILURE_IMAGE_FORBIDDEN);
    assert_non_null(strstr(message, "blocked"));
    assert_non_null(strstr(message, "policy"));
}

static void codes_are_found_again_and_differ(void **context)
{
    (void)context;
    assert_null(task_failure_code(TASK_FAILURE_NONE));
    assert_null(task_failure_message(TASK_FAILURE_NONE));
    for (unsigned i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++) {
        const char *code = task_failure_code((enum task_failure)i);
        enum task_failure failure = TASK_FAILURE_NONE;
        assert_true(task_failure_parse(code, &failure));
        assert_int_equal(failure, i);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz_"), strlen(code));
    }
    enum task_failure untouched = TASK_FAILURE_STORAGE;
    assert_false(task_failure_parse("", &untouched));
    assert_false(task_failure_parse("no_such_code", &untouched));
    assert_int_equal(untouched, TASK_FAILURE_STORAGE);
    assert_false(task_failure_can_retry(TASK_FAILURE_CANCELLED));
    assert_true(task_failure_can_retry(TASK_FAILURE_DEADLINE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_hold_no_trap),
        cmocka_unit_test(messages_are_sentences_that_speak_of_money),
        cmocka_unit_test(policy_refusals_say_so),
        cmocka_unit_test(codes_are_found_again_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
