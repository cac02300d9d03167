/* SPDX-License-Identifier: Apache-2.0
 *
 * Who calls: API keys, looked up by their SHA-256 in a table in memory that follows the store. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "store/store.h"

enum {
    AUTH_KEY_MAX = 512,     /* bytes of a key */
    AUTH_REFRESH_MS = 1000, /* how often the store is asked whether something changed */
};

struct auth_identity {
    char name[STORE_NAME_SIZE]; /* of the key */
    char tenant[STORE_NAME_SIZE];
    bool is_operator;
    uint8_t hash[32]; /* of the key */
};

struct auth;

/* Reads the keys and starts the thread that follows them. 0 or negative errno. */
CHECKED int auth_new(struct store *store, struct auth **ret_auth);
/* Ends the thread. Takes NULL, returns NULL. */
struct auth *auth_free(struct auth *auth);
/* Judges the value of an Authorization header (NULL: none). Any thread; allocates nothing and asks the store only after a miss. */
CHECKED bool auth_check(struct auth *auth, const char *authorization,
                        struct auth_identity *ret_identity);
/* Whose things this one sees: a tenant's, or NULL, everybody's. Borrows. Pure. */
const char *auth_scope(const struct auth_identity *identity);
/* Is the key by which this one came in still valid? */
bool auth_holds(struct auth *auth, const struct auth_identity *identity);
/* The valid key of that hash. */
CHECKED bool auth_find(struct auth *auth, const uint8_t hash[32],
                       struct auth_identity *ret_identity);
/* The key inside `Bearer KEY`: NULL when it is not of that form. Borrows. Pure. */
const char *auth_bearer(const char *authorization, size_t *ret_length);
