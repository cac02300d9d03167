/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks as far as they are pure: the signature of Standard Webhooks 1.0.0 (symmetric, `v1`), what a
 * receiver's answer means, when to try again, when to leave a receiver alone, and what an event says.
 * No I/O, no clock, no dice. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "task/task.h"
#include "task/unified.h"

enum {
    WEBHOOK_SECRET_BYTES = 32,
    WEBHOOK_SECRET_SIZE = 6 + 44 + 1, /* `whsec_`, base64, NUL */
    WEBHOOK_SECRETS_MAX = 4,          /* of one tenant that sign at a time */
    WEBHOOK_SIGNATURES_SIZE = WEBHOOK_SECRETS_MAX * (3 + 44 + 1),
    WEBHOOK_WAITS_MAX = 16,
    WEBHOOK_ERROR_SIZE = 200,
    WEBHOOK_BREAK_AFTER = 5, /* failures in a row, of any deliveries to one receiver */
};

/* Longest Retry-After that counts for the delivery at hand; longer ones count as this. */
#define WEBHOOK_RETRY_AFTER_MAX_MS (INT64_C(6) * 3600 * 1000)
/* Longest rest of a receiver that fails. */
#define WEBHOOK_REST_MAX_MS (INT64_C(15) * 60 * 1000)

/* ---- the signature ---- */

/* A secret as clients configure it: `whsec_…`. */
void webhook_secret_text(const uint8_t secret[WEBHOOK_SECRET_BYTES],
                         char ret_text[WEBHOOK_SECRET_SIZE]);

struct webhook_secrets {
    uint8_t bytes[WEBHOOK_SECRETS_MAX][WEBHOOK_SECRET_BYTES];
    size_t count; /* at least one */
};

/* The value of `webhook-signature`: `v1,…` by each secret, with a blank between them. `id` and
 * `timestamp_s` are those of the headers `webhook-id` and `webhook-timestamp`. */
void webhook_sign(const struct webhook_secrets *secrets, const char *id, int64_t timestamp_s,
                  const char *body, char ret_text[WEBHOOK_SIGNATURES_SIZE]);

/* ---- when to try again ---- */

/* How long to wait after the first, the second … try that failed; after that many waits and one more
 * failure a delivery is given up. */
struct webhook_schedule {
    int64_t waits_ms[WEBHOOK_WAITS_MAX];
    size_t n_waits;
};

/* Reads `5s`, `1m` …; false with a sentence. */
CHECKED bool webhook_schedule_read(const char *const *items, size_t n_items,
                                   struct webhook_schedule *ret_schedule,
                                   char ret_error[WEBHOOK_ERROR_SIZE]);
/* The wait after `n_tries` tries, all of them failed: what the schedule says, a fifth more or less
 * as `dice` (0..1) has it, and at least `retry_after_ms` (within bounds). Negative: no further try. */
int64_t webhook_wait_ms(const struct webhook_schedule *schedule, int n_tries, double dice,
                        int64_t retry_after_ms);

/* ---- what an answer means ---- */

enum webhook_verdict {
    WEBHOOK_DELIVERED, /* 2xx */
    WEBHOOK_FAILED,    /* anything else, no answer included: another try may do */
    WEBHOOK_GONE,      /* 410: the receiver wants no more */
};

/* By the head alone (`has_headers`: all of it came), whatever becomes of the body: a receiver that
 * has said 200 has the event. */
enum webhook_verdict webhook_judge(bool has_headers, long status);
/* May this status say how long to wait? 429 and 503. */
bool webhook_heeds_retry_after(long status);

/* ---- when to leave a receiver alone ---- */

/* Zero it: closed. */
struct webhook_breaker {
    int n_failures;         /* in a row */
    int64_t rest_ms;        /* the last rest; 0: none since a success */
    int64_t rests_until_ms; /* wall clock; then one delivery may try */
};

/* After a try. The first rest, once WEBHOOK_BREAK_AFTER failed in a row, is `first_rest_ms`; each further
 * failure doubles it. What the receiver asked for (`retry_after_ms`) is a rest too. */
void webhook_breaker_note(struct webhook_breaker *breaker, bool is_good, int64_t now_ms,
                          int64_t first_rest_ms, int64_t retry_after_ms);

/* ---- what an event says ---- */

/* The body for the end of a task: {id, object, created_at, type, data}, where `data` is what
 * unified_render_event() says, and `object`. malloc'ed. */
char *webhook_task_body(const char *event_id, const char *type, int64_t created_ms,
                        const struct task *task, const struct unified_view *view);
/* The body of a test: `data` names the tenant's endpoint. malloc'ed. */
char *webhook_test_body(const char *event_id, const char *type, int64_t created_ms,
                        const char *endpoint_id);
