/* SPDX-License-Identifier: Apache-2.0
 *
 * An event stream under way: from the hub and the store to the bytes of text/event-stream. */
#pragma once

#include "api/request.h"
#include "notify/hub.h"

enum { STREAM_RETRY_MS = 2000 }; /* what browsers are told to wait before they come again */

struct stream_wish {
    const char *const *ids; /* tasks that the caller may see; NULL: all that he may see */
    size_t n_ids;
    bool goes_on;  /* after a stream that was broken off */
    int64_t after; /* with goes_on: the last number that came */
};

/* Answers the request with a stream, or with an error when there are too many. */
enum MHD_Result stream_open(struct api_request *request, const struct stream_wish *wish);
