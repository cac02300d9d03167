/* SPDX-License-Identifier: Apache-2.0
 *
 * Long polls: a query with `?wait=SECONDS` is answered at the next change of its task, with `until=end` at its end, and when the time is up with
 * what there is. Meanwhile its connection is suspended. */
#pragma once

#include "api/request.h"

/* Before the handler of a route that shows request->task. True: the request was answered (`ret_result`) or is suspended, and
 * the handler is called later, with the task as it is then. */
CHECKED bool poll_takes(struct api_request *request, enum MHD_Result *ret_result);
/* Nobody waits any more. Takes NULL, returns NULL. */
struct poll *poll_free(struct poll *poll);
/* A request that may be suspended. */
bool poll_may_wait(const struct api_request *request);
