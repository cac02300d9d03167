/* SPDX-License-Identifier: Apache-2.0
 *
 * What was probably meant by a misspelt word. Pure. */
#pragma once

#include <stddef.h>

enum { NEAREST_WORD_MAX = 64 }; /* bytes; what is longer is no misspelt name */

/* How many characters must be put in, taken out, changed or swapped with their neighbour to make one of the other. SIZE_MAX where
 * one is longer than NEAREST_WORD_MAX. */
size_t nearest_distance(const char *one, size_t one_length, const char *other, size_t other_length);
/* The one of `names` that comes nearest to `word`, the first of several; NULL when none comes near: half of it may be
 * wrong, no more. */
const char *nearest_name(const char *word, const char *const *names, size_t n_names);
