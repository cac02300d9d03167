/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request's head alone decides: where it goes, who calls and whether he may, how much body is taken. So of what is
 * refused no body is kept. On HTTP threads; nothing here waits. */
#pragma once

#include "api/request.h"

/* Finds the route and who calls, and sets them and `body_limit`. What is wrong ends in `is_refused` and `refusal`, the first of
 * several. Of a preflight (OPTIONS) nothing but the length is judged. */
void judge_request(struct api_request *request);
/* Of a judged request: is it refused while so much body is to come that the connection is not worth keeping? It is then to
 * be answered at once, and closed. */
CHECKED bool judge_gives_up(const struct api_request *request);
/* The answer to a refused request. */
CHECKED enum MHD_Result judge_reply(struct api_request *request);
