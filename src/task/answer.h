/* SPDX-License-Identifier: Apache-2.0
 *
 * What the forms of the dialects share in writing an answer: unified_view.c, unified_models.c, openai_view.c,
 * generations_view.c. Beside dialect.c nobody else includes it. */
#pragma once

#include "task/dialect.h"

void answer_set_int(json_t *object, const char *key, int64_t value);
/* 0..100; 100 is for what is completed. */
int64_t answer_percent(const struct task *task);
/* As the upstream told it, else the empty text. */
const char *answer_enhanced_prompt(const struct task *task);
/* A link to a file of the result, for a download where `attachment` names it; a new reference: null once retention
 * took it. */
json_t *answer_link(const struct task *task, const struct unified_view *view, const char *file,
                    const char *attachment);
/* Sets it unless retention took the file: these dialects leave out what they have not. */
void answer_set_link(json_t *object, const char *key, const struct task *task,
                     const struct unified_view *view, const char *file);
/* {code, message} of a task that failed or was cancelled; a new reference. */
json_t *answer_failure(const struct task *task);
/* How the dialects of the OpenAI family begin to tell of a video that has just been created; a new reference. */
json_t *answer_created(enum dialect dialect, const struct task_request *request);

/* ---- unified, by model ---- */

/* Links to the request's images, as `detail.input.images` has them: a new reference. */
json_t *unified_render_images(const struct task *task, const struct unified_view *view);
/* `status` of a completed task. */
const char *unified_completed_word(const char *model);
/* Adds the keys that relays give for such models; changes none that the page shows but `detail.status` of an unfinished task. */
void unified_add_customs(json_t *answer, const struct task *task, const struct unified_view *view);

/* ---- the other forms ---- */

json_t *openai_render(const struct task *task, const struct unified_view *view);
json_t *openai_render_created(const struct task_request *request);
json_t *generations_render(const struct task *task, const struct unified_view *view);
json_t *generations_render_created(const struct task_request *request);
json_t *upper_render(const struct task *task, const struct unified_view *view);
json_t *upper_render_created(const struct task_request *request);
