/* SPDX-License-Identifier: Apache-2.0
 *
 * Distances between words (Damerau and Levenshtein, each place edited once). Any thread. */
#include "base/nearest.h"

#include <stdint.h>
#include <string.h>

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nearest_distance(const char *one, size_t one_length, const char *other, size_t other_length)
{
    size_t rows[3][NEAREST_WORD_MAX + 1];
    size_t *last_but_one = rows[0], *last = rows[1], *row = rows[2];
    if (one_length > NEAREST_WORD_MAX || other_length > NEAREST_WORD_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= other_length; k++)
        last[k] = k;
    for (size_t i = 1; i <= one_length; i++) {
        row[0] = i;
        for (size_t k = 1; k <= other_length; k++) {
            size_t changed = last[k - 1] + (one[i - 1] != other[k - 1]);
            row[k] = least_of(changed, least_of(last[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && one[i - 1] == other[k - 2] && one[i - 2] == other[k - 1])
                row[k] = least_of(row[k], last_but_one[k - 2] + 1);
        }
        size_t *oldest = last_but_one;
        last_but_one = last;
        last = row;
        row = oldest;
    }
    return last[other_length];
}

const char *nearest_name(const char *word, const char *const *names, size_t n_names)
{
    const char *nearest = NULL;
    size_t length = strlen(word), least = length / 2 + 1;
    for (size_t i = 0; i < n_names; i++) {
        size_t distance = nearest_distance(word, length, names[i], strlen(names[i]));
        if (distance < least) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
