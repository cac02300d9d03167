/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of a task and the moves between them, from task/state.def and task/move.def. Pure. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"

enum task_state {
#define STATE(name, ...) TASK_##name,
#include "task/state.def"
    TASK_STATE_COUNT
};

enum task_failure {
    TASK_FAILURE_NONE,
#define FAILURE(name, ...) TASK_FAILURE_##name,
#include "task/failure.def"
    TASK_FAILURE_COUNT
};

const char *task_state_name(enum task_state state); /* as stored */
const char *task_state_unified(enum task_state state);
const char *task_state_openai(enum task_state state);
const char *task_state_meaning(enum task_state state);
bool task_state_is_end(enum task_state state);
/* What the event is called that tells receivers of webhooks of this state; NULL: there is none. */
const char *task_state_event(enum task_state state);
CHECKED bool task_state_parse(const char *name, enum task_state *ret_state);
bool task_state_can_move(enum task_state from, enum task_state to);
/* When the move happens, for the manual; NULL when it is not legal. */
const char *task_state_move_reason(enum task_state from, enum task_state to);

const char *task_failure_code(enum task_failure failure); /* NULL for NONE */
const char *task_failure_message(enum task_failure failure);
/* The sentence after the message that says whether money was spent; empty where the message says so itself. */
const char *task_failure_charge(enum task_failure failure, bool may_have_cost);
bool task_failure_can_retry(enum task_failure failure); /* could the owner's retry help? */
CHECKED bool task_failure_parse(const char *code, enum task_failure *ret_failure);
