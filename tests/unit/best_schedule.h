/* SPDX-License-Identifier: Apache-2.0
 *
 * The best that any schedule of polls can do for jobs whose durations are lognormal and that tell nothing before they end:
 * a yardstick for tests and measurements, to be included by one file of a program. */
#pragma once

#include <math.h>
#include <stdlib.h>

#include "base/must.h"

/* On a grid of GRID_MS: the fewest polls for which at most 1 % of
 * tasks are seen later than `late_ms`. Each late one is given a price; for a price, the best next poll after one at i is
 * found backwards from the end; the price is found by halving. */
enum { GRID_MS = 100, GRID_N = 3000, GRID_LEAP = 700 };

struct best {
    double left[GRID_N + 1]; /* the share that is not done at i */
    double polls[GRID_N + 1], late[GRID_N + 1];
};

static void find_best_for_price(struct best *best, double price, int late_n)
{
    best->polls[GRID_N] = best->late[GRID_N] = 0.0;
    for (int i = GRID_N - 1; i >= 0; i--) {
        double least = INFINITY;
        for (int next = i + 1; next <= GRID_N && next <= i + GRID_LEAP; next++) {
            const int seen_from = next - late_n > i ? next - late_n : i;
            const double polls = best->left[i] + best->polls[next];
            const double late = best->left[i] - best->left[seen_from] + best->late[next];
            if (polls + price * late < least) {
                least = polls + price * late;
                best->polls[i] = polls;
                best->late[i] = late;
            }
        }
    }
}

static double best_polls(double median_ms, double sigma, double late_ms)
{
    struct best *best = must_calloc(1, sizeof *best);
    for (int i = 0; i <= GRID_N; i++)
        best->left[i] =
            i == 0 ? 1.0 : 0.5 * erfc(log(i * (double)GRID_MS / median_ms) / sigma / sqrt(2.0));
    double low = 1.0, high = 1e6;
    for (int i = 0; i < 20; i++) {
        const double price = sqrt(low * high);
        find_best_for_price(best, price, (int)(late_ms / GRID_MS));
        if (best->late[0] > 0.01)
            low = price;
        else
            high = price;
    }
    find_best_for_price(best, high, (int)(late_ms / GRID_MS));
    const double polls = best->polls[0];
    free(best);
    return polls;
}
