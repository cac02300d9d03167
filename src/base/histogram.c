/* SPDX-License-Identifier: Apache-2.0
 *
 * Relaxed atomics only: the numbers are for people, nothing is decided by them. Any thread. */
#include "base/histogram.h"

#include "base/compiler.h"
#include "base/must.h"

const double histogram_seconds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                    0.25,   0.5,   1,      2.5,   5,    10,    30};
const size_t histogram_n_seconds = ARRAY_LENGTH(histogram_seconds);

void histogram_init(struct histogram *histogram, const double *bounds, size_t n_bounds)
{
    must(n_bounds >= 1 && n_bounds <= HISTOGRAM_BOUNDS_MAX);
    histogram->bounds = bounds;
    histogram->n_bounds = n_bounds;
    for (size_t i = 0; i < ARRAY_LENGTH(histogram->counts); i++)
        atomic_init(&histogram->counts[i], 0);
    atomic_init(&histogram->sum_micros, 0);
}

void histogram_add(struct histogram *histogram, double value)
{
    size_t i = 0;
    while (i < histogram->n_bounds && value > histogram->bounds[i])
        i++;
    atomic_fetch_add_explicit(&histogram->counts[i], 1, memory_order_relaxed);
    if (value > 0)
        atomic_fetch_add_explicit(&histogram->sum_micros, (uint64_t)(value * 1e6),
                                  memory_order_relaxed);
}

double histogram_mean(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= histogram->n_bounds; i++)
        count += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    uint64_t sum = atomic_load_explicit(&histogram->sum_micros, memory_order_relaxed);
    return count > 0 ? (double)sum / 1e6 / (double)count : -1;
}
