/* SPDX-License-Identifier: Apache-2.0
 *
 * FNV-1a folds text and seed into a state, splitmix64 draws from it. Not for secrets. Owned by
 * whoever holds the struct; no thread of its own. */
#include "media/dice.h"

#include "base/must.h"

static const uint64_t FNV_BASIS = 0xcbf29ce484222325;
static const uint64_t FNV_PRIME = 0x100000001b3;

static uint64_t dice_roll(struct dice *dice)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void dice_init(struct dice *dice, const char *text, int64_t seed)
{
    uint64_t hash = FNV_BASIS;

    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * FNV_PRIME;
    dice->state = hash;
    dice->state = dice_roll(dice) ^ (uint64_t)seed;
    (void)dice_roll(dice);
}

double dice_real(struct dice *dice, double least, double most)
{
    double unit = (double)(dice_roll(dice) >> 11) * 0x1p-53;

    return least + unit * (most - least);
}

int dice_below(struct dice *dice, int n)
{
    must(n >= 1);
    return (int)(dice_roll(dice) % (uint64_t)n);
}
