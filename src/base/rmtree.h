/* SPDX-License-Identifier: Apache-2.0
 *
 * Removes a directory that a stranger may have filled: as deep, as wide and as locked as he likes. Any thread. */
#pragma once

#include <stdint.h>

#include "base/compiler.h"

/* Removes the directory (or whatever else lies there) with all that is in it. A link goes, not its target; folders without
 * permissions are opened first, where they are ours. Holds four descriptors at most, and no memory that grows. 0, also when
 * there is nothing; -ETIME when `until_ms` (clock_mono_ms()) came first; or the first other negative errno, all else being
 * gone. What is left may have been moved about within the directory. */
CHECKED int rmtree(const char *path, int64_t until_ms);
