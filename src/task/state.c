/* SPDX-License-Identifier: Apache-2.0
 *
 * The facts of task/state.def, task/move.def and task/failure.def as tables, and the questions one
 * can ask of them. Pure: constant data only, any thread. */
#include "task/state.h"

#include <string.h>

#include "base/must.h"

static const struct state_row {
    const char *name, *unified, *openai, *meaning;
    bool is_end;
} state_rows[TASK_STATE_COUNT] = {
#define STATE(name, stored, unified, openai, is_end, meaning)                                      \
    [TASK_##name] = {stored, unified, openai, meaning, is_end},
#include "task/state.def"
};

static const char *const move_reasons[TASK_STATE_COUNT][TASK_STATE_COUNT] = {
#define MOVE(from, to, when) [TASK_##from][TASK_##to] = (when),
#include "task/move.def"
};

/* The row of TASK_FAILURE_NONE stays empty. */
static const struct failure_row {
    const char *code, *message;
    bool can_retry;
    enum { SAID, ASK } charge;
} failure_rows[TASK_FAILURE_COUNT] = {
#define FAILURE(name, code, can_retry, charge, message)                                            \
    [TASK_FAILURE_##name] = {code, message, can_retry, charge},
#include "task/failure.def"
};

static const struct state_row *state_row(enum task_state state)
{
    must((unsigned)state < TASK_STATE_COUNT);
    return &state_rows[state];
}

static const struct failure_row *failure_row(enum task_failure failure)
{
    must((unsigned)failure < TASK_FAILURE_COUNT);
    return &failure_rows[failure];
}

const char *task_state_name(enum task_state state)
{
    return state_row(state)->name;
}

const char *task_state_unified(enum task_state state)
{
    return state_row(state)->unified;
}

const char *task_state_openai(enum task_state state)
{
    return state_row(state)->openai;
}

const char *task_state_meaning(enum task_state state)
{
    return state_row(state)->meaning;
}

bool task_state_is_end(enum task_state state)
{
    return state_row(state)->is_end;
}

const char *task_state_event(enum task_state state)
{
    if (!task_state_is_end(state))
        return NULL;
    return state == TASK_COMPLETED ? "video.completed" : "video.failed";
}

bool task_state_parse(const char *name, enum task_state *ret_state)
{
    for (size_t i = 0; i < TASK_STATE_COUNT; i++)
        if (strcmp(state_rows[i].name, name) == 0) {
            *ret_state = (enum task_state)i;
            return true;
        }
    return false;
}

const char *task_state_move_reason(enum task_state from, enum task_state to)
{
    must((unsigned)from < TASK_STATE_COUNT && (unsigned)to < TASK_STATE_COUNT);
    return move_reasons[from][to];
}

bool task_state_can_move(enum task_state from, enum task_state to)
{
    return task_state_move_reason(from, to) != NULL;
}

const char *task_failure_code(enum task_failure failure)
{
    return failure_row(failure)->code;
}

const char *task_failure_message(enum task_failure failure)
{
    return failure_row(failure)->message;
}

const char *task_failure_charge(enum task_failure failure, bool may_have_cost)
{
    if (failure_row(failure)->charge == SAID)
        return "";
    return may_have_cost ? "An upstream may have charged for it."
                         : "Nothing was charged by an upstream.";
}

bool task_failure_can_retry(enum task_failure failure)
{
    return failure_row(failure)->can_retry;
}

bool task_failure_parse(const char *code, enum task_failure *ret_failure)
{
    for (size_t i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++)
        if (strcmp(failure_rows[i].code, code) == 0) {
            *ret_failure = (enum task_failure)i;
            return true;
        }
    return false;
}
