/* SPDX-License-Identifier: Apache-2.0
 *
 * Golden exchanges: recorded answers of an upstream, and what an adapter must make of them (docs/ADAPTERS.md). */
#pragma once

#include <jansson.h>

#include "base/compiler.h"
#include "upstream/adapter.h"

enum { GOLDEN_ERROR_SIZE = 300 };

/* The cases of a golden file that was made for this adapter; NULL with a sentence. A new reference. */
json_t *golden_read(const char *path, const char *adapter, char ret_error[GOLDEN_ERROR_SIZE]);
/* Runs all cases: a list of {"name", "function", "ok", "expected", "got" | "fault"}. NULL with a sentence when there can
 * be no helper. A new reference. */
json_t *golden_run(const json_t *golden, const struct adapter *adapter,
                   char ret_error[GOLDEN_ERROR_SIZE]);
