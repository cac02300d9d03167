/* SPDX-License-Identifier: Apache-2.0
 *
 * Choices that look free but are fixed by a text and a seed: the same inputs always give the same
 * sequence, on every machine. Pure. */
#pragma once

#include <stdint.h>

struct dice {
    uint64_t state;
};

void dice_init(struct dice *dice, const char *text, int64_t seed);
double dice_real(struct dice *dice, double least, double most); /* least <= it < most */
int dice_below(struct dice *dice, int n);                       /* 0..n-1; `n` at least 1 */
