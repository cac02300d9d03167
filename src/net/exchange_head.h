/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of an answer, gathered line by line as it comes in. Pure. Private to net/exchange*.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/exchange.h"

enum { EXCHANGE_RETRY_MAX_S = 7 * 24 * 3600 }; /* longer wishes count as this */

struct exchange_head {
    struct exchange_header headers[EXCHANGE_ANSWER_HEADERS_MAX]; /* names in lower case; owned */
    size_t n_headers; /* of the last answer; those beyond the array were dropped */
    int status;       /* of its first line */
    bool is_whole;    /* the empty line came, and it is a final answer (not 1xx) */
};

/* One line as it came, its end included. The first line of an answer after an interim one begins anew; what follows a
 * whole head (trailers) is left out. */
void exchange_head_line(struct exchange_head *head, const char *line, size_t length);
void exchange_head_fini(struct exchange_head *head);
/* The value of its first header of that name, or NULL. */
const char *exchange_head_value(const struct exchange_head *head, const char *name);
/* How long to wait, from retry-after-ms or Retry-After (seconds or a date, which is measured against the answer's own
 * Date if it has one); 0: it does not say, or says now. */
int64_t exchange_head_retry_after_ms(const struct exchange_head *head, int64_t now_s);
