/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of states and moves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/compiler.h"
#include "task/state.h"

static void states_are_found_by_their_names(void **context)
{
    (void)context;
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        enum task_state state = TASK_STATE_COUNT;
        assert_true(task_state_parse(task_state_name((enum task_state)i), &state));
        assert_int_equal(state, i);
        assert_true(strlen(task_state_meaning(state)) > 0);
    }
    enum task_state untouched = TASK_FETCHING;
    assert_false(task_state_parse("", &untouched));
    assert_false(task_state_parse("Queued", &untouched));
    assert_int_equal(untouched, TASK_FETCHING);
}

static void dialects_say_what_clients_wait_for(void **context)
{
    (void)context;
    static const struct {
        enum task_state state;
        const char *unified, *openai;
        bool is_end;
    } rows[] = {
        {TASK_QUEUED, "pending", "queued", false},
        {TASK_SUBMITTING, "pending", "queued", false},
        {TASK_RENDERING, "pending", "in_progress", false},
        {TASK_FETCHING, "pending", "in_progress", false},
        {TASK_COMPLETED, "completed", "completed", true},
        {TASK_FAILED, "failed", "failed", true},
        {TASK_CANCELLED, "failed", "failed", true},
    };
    assert_int_equal(ARRAY_LENGTH(rows), TASK_STATE_COUNT);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_string_equal(task_state_unified(rows[i].state), rows[i].unified);
        assert_string_equal(task_state_openai(rows[i].state), rows[i].openai);
        assert_int_equal(task_state_is_end(rows[i].state), rows[i].is_end);
    }
}

/* A row per state from, a column per state to, in the order of task/state.def. */
static void just_these_moves_are_legal(void **context)
{
    (void)context;
    static const char *const legal[TASK_STATE_COUNT] = {
        ".x...xx", /* queued */
        "x.x..xx", /* submitting */
        "x..x.xx", /* rendering */
        "x...xxx", /* fetching */
        ".......", /* completed */
        ".......", /* failed */
        ".......", /* cancelled */
    };
    for (unsigned from = 0; from < TASK_STATE_COUNT; from++)
        for (unsigned to = 0; to < TASK_STATE_COUNT; to++) {
            bool can = task_state_can_move((enum task_state)from, (enum task_state)to);
            assert_int_equal(can, legal[from][to] == 'x');
            const char *reason = task_state_move_reason((enum task_state)from, (enum task_state)to);
            assert_int_equal(reason != NULL, can);
        }
}

static void each_end_has_an_event(void **context)
{
    (void)context;
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++)
        assert_int_equal(task_state_event((enum task_state)i) != NULL,
                         task_state_is_end((enum task_state)i));
    assert_string_equal(task_state_event(TASK_COMPLETED), "video.completed");
    assert_string_equal(task_state_event(TASK_FAILED), "video.failed");
    assert_string_equal(task_state_event(TASK_CANCELLED), "video.failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_found_by_their_names),
        cmocka_unit_test(dialects_say_what_clients_wait_for),
        cmocka_unit_test(just_these_moves_are_legal),
        cmocka_unit_test(each_end_has_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
