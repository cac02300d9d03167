/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at a store's file by somebody who only wants to know how it is: safe beside a running
 * server, and changing nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "store/store.h"

struct store_inspection {
    int64_t schema;  /* of the file */
    int64_t latest;  /* that this program knows and would bring the file to */
    bool is_checked; /* PRAGMA quick_check came to its end; else the time was up */
};

/* Looks at `<directory>/filmgate.db`, checking it for damage for at most `budget_ms`. 0; -ENOENT: there
 * is none; or negative errno with a sentence: damaged, of another program, unreadable, or (-ENOTSUP)
 * of a newer filmgate. */
CHECKED int store_inspect(const char *directory, int64_t budget_ms,
                          struct store_inspection *ret_inspection,
                          char ret_error[STORE_ERROR_SIZE]);
