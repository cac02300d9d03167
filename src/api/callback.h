/* SPDX-License-Identifier: Apache-2.0
 *
 * Who calls back: judged by the address alone, as soon as a request's head is there. Any thread. */
#pragma once

#include <stdbool.h>

#include "api/request.h"
#include "base/compiler.h"

/* Is the address of a request to the callbacks' route one that we gave an upstream, and still good? */
CHECKED bool callback_is_ours(const struct api_request *request);
