/* SPDX-License-Identifier: Apache-2.0
 *
 * An adapter's program looked over before it is compiled: cut into tokens as libjq 1.6 does it, it may not name what
 * reaches out of a pure function (docs/ADAPTERS.md). The helper's sandbox holds even if this fails; what is refused here
 * is refused with a line. Pure. */
#pragma once

#include <stddef.h>

#include "base/compiler.h"

enum { SCAN_DEPTH_MAX = 256, SCAN_ERROR_SIZE = 200 };

/* 0; or the line (from 1) where it stops being acceptable, and why. */
CHECKED int scan_program(const char *text, size_t length, char ret_error[SCAN_ERROR_SIZE]);
