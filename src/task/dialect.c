/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of dialects. Pure: any thread. */
#include "task/dialect.h"

#include "base/must.h"

static const struct {
    json_t *(*render)(const struct task *task, const struct unified_view *view);
    json_t *(*render_created)(const struct task_request *request);
} dialects[DIALECT_COUNT] = {
    [DIALECT_UNIFIED] = {unified_render, unified_render_created},
};

json_t *dialect_render(enum dialect dialect, const struct task *task,
                       const struct unified_view *view)
{
    must(dialect > DIALECT_NONE && dialect < DIALECT_COUNT);
    return dialects[dialect].render(task, view);
}

json_t *dialect_render_created(enum dialect dialect, const struct task_request *request)
{
    must(dialect > DIALECT_NONE && dialect < DIALECT_COUNT);
    return dialects[dialect].render_created(request);
}
