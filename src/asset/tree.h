/* SPDX-License-Identifier: Apache-2.0
 *
 * Small durable steps below an open folder, for asset/directory.c. None follows a symbolic link.
 * All return negative errno on failure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

CHECKED int tree_sync(int fd);
/* A descriptor of the folder `name`; made first, and synced, when `must_make` and it is not
 * there. */
CHECKED int tree_open(int parent, const char *name, bool must_make);
CHECKED int tree_write(int fd, const void *data, size_t length);
/* Reads `source` from its beginning to its end: SHA-256 in hex and size, and a copy into `target`
 * unless that is negative. */
CHECKED int tree_digest(int source, int target, char ret_sha256[65], int64_t *ret_bytes);

typedef int tree_visit_fn(void *context, int folder, const char *name);

/* Visits every entry of a folder but `.` and `..`, until one visit returns other than 0. */
CHECKED int tree_walk(int parent, const char *name, tree_visit_fn *visit, void *context);
/* Removes an entry; a folder with what is in it, `depth` folders deep. A link goes, not its
 * target. */
CHECKED int tree_remove(int parent, const char *name, int depth);
