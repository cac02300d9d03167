/* SPDX-License-Identifier: Apache-2.0
 *
 * What a step wants done, as a short text, for the tests of task/step.h. */
#pragma once

#include <stddef.h>

/* One letter per effect, in the order of their bits. */
static inline void effects_text(unsigned effects, char ret_text[12])
{
    size_t n = 0;
    for (unsigned bit = 0; bit < 11; bit++)
        if ((effects & 1u << bit) != 0)
            ret_text[n++] = "PSRXEFGOVUL"[bit];
    ret_text[n] = '\0';
}
