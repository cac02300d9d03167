/* SPDX-License-Identifier: Apache-2.0
 *
 * What every adapter must make of the answers that any upstream may give on a bad day (fault.def): a new adapter is tested by
 * being there. Nothing is asked of an upstream. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/compiler.h"
#include "cli/golden.h"
#include "upstream/adapter.h"

enum conformance_function {
    CONFORMANCE_SUBMITTED,
    CONFORMANCE_POLLED,
    CONFORMANCE_CANCELLED,
    CONFORMANCE_FUNCTIONS
};

size_t conformance_count(void);
/* A fault's name, and the function that is asked about it. */
const char *conformance_fault(size_t index, enum conformance_function *ret_function);
const char *conformance_function_name(enum conformance_function function);
/* Runs all faults that this adapter can meet (one that cannot cancel has no answers to that): a list, in the order of the table,
 * of {"function", "fault", "verdict", "ok", "expected", "got" | "message"}, or null in the place of what it cannot meet. NULL with a
 * sentence when there can be no helper. A new reference. */
json_t *conformance_run(const struct adapter *adapter, const json_t *about,
                        char ret_error[GOLDEN_ERROR_SIZE]);
