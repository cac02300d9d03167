/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema's history: numbered steps, each carried out once, in a transaction of its own. The
 * number of the last step that a file has seen stands in its PRAGMA user_version. */
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "base/compiler.h"
#include "store/store.h"

enum { MIGRATE_APPLICATION_ID = 0x66676174 }; /* "fgat": PRAGMA application_id of our files */

/* The version that this program knows. */
int64_t migrate_latest(void);
/* Brings an open database to migrate_latest(); several processes may do so at once. 0, or negative
 * errno with a sentence that calls the file `path`: -ENOTSUP for a newer schema, -EINVAL for the
 * database of another program. */
CHECKED int migrate_run(sqlite3 *db, const char *path, char ret_error[STORE_ERROR_SIZE]);
