/* SPDX-License-Identifier: Apache-2.0
 *
 * Identifiers: UUIDv7 (RFC 9562) written as TypeIDs (the TypeID specification 0.3:
 * `prefix_` and 26 characters of lower-case Crockford base32). They sort by time of making. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct uuid {
    uint8_t bytes[16];
};

enum {
    ID_SUFFIX_LENGTH = 26,
    ID_PREFIX_MAX = 63,
    ID_TYPEID_SIZE = ID_PREFIX_MAX + 1 + ID_SUFFIX_LENGTH + 1, /* longest text, with NUL */
    ID_UUID_SIZE = 37,  /* the usual text of a UUID, with NUL */
    ID_SHORT_SIZE = 36, /* enough for task_, media_, gen_ and key_ ids, with NUL */
};

/* The UUIDv7 for a time and 10 random bytes (version and variant bits are set). Pure. */
struct uuid id_uuid7(int64_t unix_ms, const uint8_t random[10]);
/* Writes `prefix_suffix` (only the suffix when `prefix` is empty). `size` must suffice. Pure. */
void id_typeid_write(const char *prefix, const struct uuid *uuid, char *ret_text, size_t size);
/* Reads a TypeID by the letter of the specification; false when it is not one. Pure.
 * `ret_prefix` takes ID_PREFIX_MAX + 1 bytes. */
CHECKED bool id_typeid_read(const char *text, char *ret_prefix, struct uuid *ret_uuid);
/* Is `text` a TypeID of just this prefix? */
bool id_is_typeid(const char *text, const char *prefix);
/* 8-4-4-4-12 digits in hex, lower case. Pure. */
void id_uuid_write(const struct uuid *uuid, char ret_text[ID_UUID_SIZE]);
/* A fresh TypeID from the wall clock and the system's randomness; within one process later ids
 * of the same millisecond sort after earlier ones. Thread-safe. */
void id_new(const char *prefix, char *ret_text, size_t size);
/* `length` random characters of [A-Za-z0-9] and a NUL, derived from 32 secret bytes and a label
 * (HMAC-SHA256): the same inputs give the same text, and the text tells nothing of the label. */
void id_opaque(const uint8_t secret[32], const char *label, char *ret_text, size_t length);
