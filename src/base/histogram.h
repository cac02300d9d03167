/* SPDX-License-Identifier: Apache-2.0
 *
 * How often values fell where: counters between fixed bounds, in the manner of Prometheus
 * (exposition formats, text-based format 0.0.4). Any thread may add and look, without a lock; a look
 * beside additions may miss the newest of them, never more. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS_MAX = 16 };

struct histogram {
    const double *bounds; /* ascending; borrowed */
    size_t n_bounds;
    _Atomic uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; /* the last: above all bounds */
    _Atomic uint64_t sum_micros; /* of all values, in millionths: atomics add whole numbers */
};

/* Seconds from half a millisecond to half a minute: answers and commits. */
extern const double histogram_seconds[];
extern const size_t histogram_n_seconds;

void histogram_init(struct histogram *histogram, const double *bounds, size_t n_bounds);
/* Counts a value (not negative) in the first bucket whose bound is not below it. */
void histogram_add(struct histogram *histogram, double value);
/* Of all values so far; negative while there are none. */
double histogram_mean(const struct histogram *histogram);
