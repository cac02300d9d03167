/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting is a few relaxed atomics, so that it may stand on the query path. Any thread. */
#include "api/metrics.h"

#include "base/clock.h"
#include "base/must.h"

void metrics_init(struct metrics *metrics)
{
    for (size_t i = 0; i < METRICS_ROUTES; i++)
        histogram_init(&metrics->seconds[i], histogram_seconds, histogram_n_seconds);
    metrics->started_ms = clock_wall_ms();
}

void metrics_count(struct metrics *metrics, const struct route *route, unsigned status,
                   int64_t took_micros, int64_t bytes)
{
    size_t index = route != NULL ? (size_t)(route - route_at((enum route_id)0)) : ROUTE_COUNT;
    must(index < METRICS_ROUTES && status >= METRICS_STATUS_FIRST &&
         status < METRICS_STATUS_FIRST + METRICS_STATUSES);
    atomic_fetch_add_explicit(&metrics->answers[index][status - METRICS_STATUS_FIRST], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&metrics->answer_bytes, (uint64_t)bytes, memory_order_relaxed);
    histogram_add(&metrics->seconds[index], (double)took_micros / 1e6);
}
