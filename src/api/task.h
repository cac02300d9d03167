/* SPDX-License-Identifier: Apache-2.0
 *
 * From what a client calls a task to the task, and from the task to an answer. A task that is unknown, malformed, another
 * tenant's, or asked for under another model's name is the same 404 always, so that nobody learns which it was. */
#pragma once

#include "api/request.h"

/* Finds a task that the caller may see by what he calls it. ENGINE_OK (the reference is the caller's), ENGINE_NOT_FOUND,
 * ENGINE_STORE_FAILED or ENGINE_DAMAGED (whose it is cannot be known then). Allocates nothing and asks no database while the task is in memory. */
CHECKED enum engine_outcome api_find_task(const struct api_request *request, const char *given,
                                          const struct task **ret_task,
                                          struct engine_figures *ret_figures);
/* For routes that touch a task: puts the one that the path, ?id= or ?task_id= names into request->task. False: `ret_result` is
 * what the reply of an error returned. */
CHECKED bool api_take_task(struct api_request *request, enum MHD_Result *ret_result);
/* The one 404, or 503 when the store failed, or 500 when the record is damaged. `given` is echoed. */
enum MHD_Result api_reply_no_task(struct api_request *request, const char *given,
                                  enum engine_outcome outcome);
enum MHD_Result api_reply_bad_host(struct api_request *request);
/* How the task stands, in the route's dialect: a ready-made view where there is one. */
enum MHD_Result api_reply_task(struct api_request *request, const struct task *task,
                               const struct engine_figures *figures);
/* Has the client, by what he says in If-None-Match, the answer that he would get now? Without that header: yes. */
bool api_has_view(struct api_request *request);
/* What views of answers to this request are made from, now. `base` is borrowed. */
struct view_source api_view_source(const struct api_request *request, const char *base);
