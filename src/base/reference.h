/* SPDX-License-Identifier: Apache-2.0
 *
 * The counting of references to what never changes but for its count. Any thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "base/must.h"

/* One more; whoever asks for it holds one. */
static inline void reference_take(_Atomic unsigned *count)
{
    must(atomic_fetch_add_explicit(count, 1, memory_order_relaxed) > 0);
}

/* One less. True for who let go of the last: it alone may free. */
CHECKED static inline bool reference_drop(_Atomic unsigned *count)
{
    unsigned before = atomic_fetch_sub_explicit(count, 1, memory_order_acq_rel);
    must(before > 0);
    return before == 1;
}
