/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialects in which clients ask and are answered: one row each, of how it shows a task. Reading is the same for all:
 * unified_decode() knows every spelling of a wish. Pure. */
#pragma once

#include <jansson.h>

#include "base/compiler.h"
#include "task/task.h"
#include "task/unified.h"

enum dialect {
    DIALECT_NONE, /* of what shows no task */
    DIALECT_UNIFIED,
    DIALECT_COUNT
};

/* The answer to a query in the task's state: a new reference, never NULL. It holds only what a tenant may see. Not for
 * DIALECT_NONE. */
json_t *dialect_render(enum dialect dialect, const struct task *task,
                       const struct unified_view *view);
/* The answer to a create: made from the request alone, so that it is the same whenever it is asked for. */
json_t *dialect_render_created(enum dialect dialect, const struct task_request *request);
