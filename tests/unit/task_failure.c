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
#include "task_sample.h"

static const char *const traps[] = {
    "rate",       "quota", "429",          "500",     "502",        "503",       "529",
    "overloaded", "busy",  "server error", "timeout", "timed out",  "too many",  "temporar",
    "capacity",   "limit", "unavailable",  "network", "connection", "try again",
};

static void messages_hold_no_trap(void **context)
{
    (void)context;
    for (unsigned i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++)
        for (size_t j = 0; j < 3 * ARRAY_LENGTH(traps); j++) {
            const enum task_failure failure = (enum task_failure)i;
            const char *const texts[] = {task_failure_message(failure),
                                         task_failure_charge(failure, false),
                                         task_failure_charge(failure, true)};
            if (strcasestr(texts[j % 3], traps[j / 3]) != NULL)
                fail_msg("«%s» holds «%s»", texts[j % 3], traps[j / 3]);
        }
}

static void messages_are_sentences_that_speak_of_money(void **context)
{
    (void)context;
    for (unsigned i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++) {
        const char *message = task_failure_message((enum task_failure)i);
        assert_true(message[0] >= 'A' && message[0] <= 'Z');
        assert_int_equal(message[strlen(message) - 1], '.');
        const char *unspent = task_failure_charge((enum task_failure)i, false);
        const char *spent = task_failure_charge((enum task_failure)i, true);
        const bool says_it_itself = unspent[0] == '\0';
        assert_int_equal(says_it_itself, spent[0] == '\0');
        assert_int_equal(says_it_itself, strstr(message, "charged") != NULL);
        assert_true(says_it_itself || (strstr(unspent, "Nothing was charged") != NULL &&
                                       strstr(spent, "may have charged") != NULL));
        /* the answer joins message and note in a text of 512 bytes and the note */
        assert_true(strlen(message) < 400);
    }
}

static void policy_refusals_say_so(void **context)
{
    (void)context;
    static const enum task_failure refusals[] = {TASK_FAILURE_IMAGE_FORBIDDEN,
                                                 TASK_FAILURE_MODERATED};
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        const char *message = task_failure_message(refusals[i]);
        assert_non_null(strstr(message, "blocked"));
        assert_non_null(strstr(message, "policy"));
    }
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
    /* who would buy again what may have been bought decides that with open eyes */
    assert_false(task_failure_can_retry(TASK_FAILURE_SUBMISSION_UNKNOWN));
}

static void sentence(enum task_state state, enum task_failure failure, enum attempt_state attempt,
                     const char *note, const char *wanted)
{
    struct task *task =
        attempt == ATTEMPT_STATE_COUNT ? sample_task(state) : sample_upstream_task(state, attempt);
    char text[TASK_SENTENCE_SIZE];
    task->failure = failure;
    shared_text_set(&task->failure_note, note);
    task_failure_sentence(task, text);
    assert_string_equal(text, wanted);
    task_unref(task);
}

static void a_sentence_knows_what_may_have_been_charged(void **context)
{
    (void)context;
#define CANCELLED "The task was cancelled by its owner."
#define NOTHING " Nothing was charged by an upstream."
#define PERHAPS " An upstream may have charged for it."
    const enum task_state end = TASK_CANCELLED;
    const enum task_failure failure = TASK_FAILURE_CANCELLED;
    sentence(end, failure, ATTEMPT_STATE_COUNT, "", CANCELLED NOTHING);
    sentence(end, failure, ATTEMPT_REFUSED, "", CANCELLED NOTHING);
    sentence(end, failure, ATTEMPT_NOT_TAKEN, "", CANCELLED NOTHING);
    sentence(end, failure, ATTEMPT_CANCELLING, "", CANCELLED PERHAPS);
    sentence(end, failure, ATTEMPT_FINISHED, "Note.", CANCELLED PERHAPS " Note.");
    sentence(TASK_FAILED, TASK_FAILURE_JOB_LOST, ATTEMPT_GONE, "Note.",
             "The upstream took the task and does not know it any more. It may have been charged."
             " Note.");
    /* what an earlier attempt may have cost is not forgotten */
    struct task *task = sample_task(TASK_CANCELLED);
    char text[TASK_SENTENCE_SIZE];
    task->may_have_cost = true;
    task_failure_sentence(task, text);
    assert_string_equal(text, CANCELLED PERHAPS);
    /* what a program of an operator's spends is not known */
    task->is_local = task->is_command = true;
    task_failure_sentence(task, text);
    assert_string_equal(text, CANCELLED PERHAPS);
    task->may_have_cost = false;
    task_failure_sentence(task, text);
    assert_string_equal(text, CANCELLED);
    task_unref(task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_hold_no_trap),
        cmocka_unit_test(messages_are_sentences_that_speak_of_money),
        cmocka_unit_test(policy_refusals_say_so),
        cmocka_unit_test(codes_are_found_again_and_differ),
        cmocka_unit_test(a_sentence_knows_what_may_have_been_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
