/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys that links are signed with, as files of the data directory, 0600 and 32 bytes each:
 * `link.key` signs; `link.key.old`, which a rotation leaves behind, only verifies, and only links
 * that end no later than one could that was signed before that rotation. When it was stands in
 * the file's modification time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

enum { LINK_KEY_SIZE = 32, LINK_KEYS_ERROR_SIZE = 300 };

struct link_key {
    uint8_t bytes[LINK_KEY_SIZE];
};

struct link_keys {
    struct link_key current;
    struct link_key previous;
    int64_t previous_until_s; /* no link of the previous key ends later; 0: there is no such key */
};

/* Would link_keys_open() do? Reads both keys, makes nothing. 0, -ENOENT (without a word) when there is no
 * `link.key` yet, or negative errno with a sentence. */
CHECKED int link_keys_check(const char *directory, char ret_error[LINK_KEYS_ERROR_SIZE]);
/* Reads the keys; `link.key` is made when it is not there. `longest_ms` is the longest life that a
 * link of this directory ever had. 0, or negative errno with a sentence (wrong size, readable by
 * others …). */
CHECKED int link_keys_open(const char *directory, int64_t longest_ms, struct link_keys *ret_keys,
                           char ret_error[LINK_KEYS_ERROR_SIZE]);

enum link_rotation {
    LINK_ROTATED = 0,
    LINK_ROTATED_EARLY = 1, /* forced: links of the key before last are dead before their end */
    LINK_TOO_EARLY = 2,     /* nothing was done */
};

/* Makes a new `link.key` and keeps the present one as `link.key.old`. Nobody may sign meanwhile:
 * the caller holds the directory's lock. While links of the present `link.key.old` may live it
 * does nothing, unless `is_forced`. `ret_until_s` is when the last link of the key that verifies
 * only (or did, with LINK_ROTATED_EARLY) ends. Whenever it is cut off, the key that signed until
 * then is still in one of the two files. Negative errno with a sentence. */
CHECKED int link_keys_rotate(const char *directory, int64_t longest_ms, int64_t now_ms,
                             bool is_forced, int64_t *ret_until_s,
                             char ret_error[LINK_KEYS_ERROR_SIZE]);
