/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys: made, listed and revoked straight in the store, so it works before the server runs and
 * beside it. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "store/store.h"

enum { KEYS_TEXT_SIZE = 64 }; /* a key, with NUL */

/* The command `keys create | list | revoke`; returns an exit status. */
int keys_main(int argc, char **argv);
/* Makes a key (`fg_` and 43 characters, of 32 random bytes) and stores its hash. As
 * store_key_add(). */
CHECKED int keys_make(struct store *store, const char *name, const char *tenant, bool is_operator,
                      char ret_key[KEYS_TEXT_SIZE]);
