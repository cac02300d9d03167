/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialects in which a task is shown. All tell of the same task, and an id made in one is known in all; what differs
 * (words, keys, what a create that says little gets) stands in one table of rows. A route names its dialect. Pure. */
#pragma once

#include <jansson.h>

#include "task/task.h"
#include "task/unified.h"

enum dialect {
    DIALECT_NONE,        /* of what shows no task: not for the functions below */
    DIALECT_UNIFIED,     /* /v1/video/create, /v1/video/query */
    DIALECT_OPENAI,      /* /v1/videos */
    DIALECT_GENERATIONS, /* /v1/video/generations: the wrapped form and the flat one at once */
    DIALECT_UPPER,       /* /v2/videos/generations: words in capitals */
    DIALECT_COUNT
};

/* What stands in `status` of a task in that state. */
const char *dialect_word(enum dialect dialect, enum task_state state);
/* What a create that does not say gets. */
const struct unified_defaults *dialect_defaults(enum dialect dialect);
/* The answer to a query in the task's state; it holds only what a tenant may see. A new reference, never NULL. */
json_t *dialect_render(enum dialect dialect, const struct task *task,
                       const struct unified_view *view);
/* The answer to a create: made from the request alone, so that it is the same whenever it is asked for. */
json_t *dialect_render_created(enum dialect dialect, const struct task_request *request);
