/* SPDX-License-Identifier: Apache-2.0
 *
 * The fewest polls a task for which 99 of 100 jobs are seen done in time, by a schedule that knows the distribution of
 * durations ahead. `schedule MEDIAN_MS SIGMA LATE_MS…` prints one number for each LATE_MS. */
#include <stdio.h>

#include "../tests/unit/best_schedule.h"

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fprintf(stderr, "usage: schedule MEDIAN_MS SIGMA LATE_MS...\n");
        return 2;
    }
    const double median_ms = strtod(argv[1], NULL), sigma = strtod(argv[2], NULL);
    for (int i = 3; i < argc; i++)
        (void)printf("%.1f\n", best_polls(median_ms, sigma, strtod(argv[i], NULL)));
    return 0;
}
