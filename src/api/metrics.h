/* SPDX-License-Identifier: Apache-2.0
 *
 * What the HTTP face counts of itself. GET /metrics (api/exposition.c) shows it beside what the store and the engine count. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "api/router.h"
#include "base/histogram.h"

enum {
    METRICS_STATUS_FIRST = 100, /* of HTTP */
    METRICS_STATUSES = 500,
    METRICS_ROUTES = ROUTE_COUNT + 1, /* the last: none */
};

/* Any thread counts, any thread looks. */
struct metrics {
    _Atomic uint64_t answers[METRICS_ROUTES][METRICS_STATUSES];
    struct histogram seconds[METRICS_ROUTES];
    _Atomic uint64_t answer_bytes;
    _Atomic uint64_t events; /* sent on streams */
    _Atomic int64_t connections;
    int64_t started_ms; /* wall clock */
};

void metrics_init(struct metrics *metrics);
/* Counts one answer; `route` is NULL when the request was refused before it had one. */
void metrics_count(struct metrics *metrics, const struct route *route, unsigned status,
                   int64_t took_micros, int64_t bytes);
