/* SPDX-License-Identifier: Apache-2.0
 *
 * A client from within: client.c (opening, waiting) and client_call.c (calls). Nobody else includes this. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/client.h"

enum { CLIENT_KEY_BYTES = 1000 }; /* of a key or URL, at most */

struct client {
    CURL *curl;
    char *url;           /* without a slash or /v1 at its end */
    char *authorization; /* header line, or NULL */
    int signal_fd;
    int64_t call_ms;   /* the longest call */
    int64_t silent_ms; /* of a stream: when it counts as gone, clock_mono_ms(); 0: no stream */
    char curl_error[CURL_ERROR_SIZE];
};

/* Has a signal come, now or within `wait_ms`? It stays in the descriptor, so whatever comes next is interrupted too. */
bool client_is_interrupted(const struct client *client, int wait_ms);
