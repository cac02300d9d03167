/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of dialects: a row each. Pure: any thread. */
#include "task/dialect.h"

#include "base/must.h"
#include "task/answer.h"

static const struct row {
    json_t *(*render)(const struct task *task, const struct unified_view *view);
    json_t *(*render_created)(const struct task_request *request);
    struct unified_defaults defaults;
    const char *words[TASK_STATE_COUNT];
} rows[DIALECT_COUNT] = {
    /* Words of these two are task/state.def's. */
    [DIALECT_UNIFIED] = {unified_render, unified_render_created, {0}, {0}},
    /* What a client of the official SDK leaves out is what its documentation says it gets. */
    [DIALECT_OPENAI] = {openai_render,
                        openai_render_created,
                        {.model = "sora-2", .duration_s = 4, .size = "720x1280"},
                        {0}},
    [DIALECT_GENERATIONS] = {generations_render,
                             generations_render_created,
                             {0},
                             {
                                 [TASK_QUEUED] = "queued",
                                 [TASK_SUBMITTING] = "queued",
                                 [TASK_RENDERING] = "processing",
                                 [TASK_FETCHING] = "processing",
                                 [TASK_COMPLETED] = "succeeded",
                                 [TASK_FAILED] = "failed",
                                 [TASK_CANCELLED] = "failed",
                             }},
    [DIALECT_UPPER] = {upper_render,
                       upper_render_created,
                       {0},
                       {
                           [TASK_QUEUED] = "NOT_START",
                           [TASK_SUBMITTING] = "NOT_START",
                           [TASK_RENDERING] = "IN_PROGRESS",
                           [TASK_FETCHING] = "IN_PROGRESS",
                           [TASK_COMPLETED] = "SUCCESS",
                           [TASK_FAILED] = "FAILURE",
                           [TASK_CANCELLED] = "FAILURE",
                       }},
};

static const struct row *row_of(enum dialect dialect)
{
    must(dialect > DIALECT_NONE && dialect < DIALECT_COUNT);
    return &rows[dialect];
}

const char *dialect_word(enum dialect dialect, enum task_state state)
{
    must((size_t)state < TASK_STATE_COUNT);
    if (dialect == DIALECT_UNIFIED)
        return task_state_unified(state);
    if (dialect == DIALECT_OPENAI)
        return task_state_openai(state);
    return row_of(dialect)->words[state];
}

const struct unified_defaults *dialect_defaults(enum dialect dialect)
{
    return &row_of(dialect)->defaults;
}

json_t *dialect_render(enum dialect dialect, const struct task *task,
                       const struct unified_view *view)
{
    return row_of(dialect)->render(task, view);
}

json_t *dialect_render_created(enum dialect dialect, const struct task_request *request)
{
    return row_of(dialect)->render_created(request);
}
