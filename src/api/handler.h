/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers that api/route.def names. Each is called once, with the whole body read and the caller known, and replies
 * once (api/request.h) or suspends the connection (api/wait.h). On an HTTP thread. */
#pragma once

#include "api/request.h"

#define ROUTE(name, method, path, who, touches, body, dialect, handler, summary)                   \
    enum MHD_Result handler(struct api_request *request);
#include "api/route.def"
