/* SPDX-License-Identifier: Apache-2.0
 *
 * A moment, in the ways that people and programs write one. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/* Reads microseconds since 1970 from a number (seconds, with or without decimals; from 10^11 on milliseconds) or from ISO
 * 8601: `2025-10-06`, `2025-10-06T15:10`, `2025-10-06T15:10:26.875Z`, `2025-10-06T17:10:26+02:00`. Without a zone it is UTC; a
 * blank may stand for the T, and for the plus that a query string made one of. Years 1970 to 9999. */
CHECKED bool moment_parse(const char *text, int64_t *ret_micros);
