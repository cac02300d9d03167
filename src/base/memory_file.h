/* SPDX-License-Identifier: Apache-2.0
 *
 * Files without a name: bytes that a helper or an exchange reads from a descriptor. Any thread. */
#pragma once

#include <stddef.h>

#include "base/compiler.h"

/* A file in memory that holds these bytes, with its position at the beginning; `label` is seen in /proc alone. `bytes` may be
 * NULL when there are none. A descriptor that is closed at exec and the caller's, or a negative errno. */
CHECKED int memory_file_new(const char *label, const void *bytes, size_t length);
