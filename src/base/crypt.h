/* SPDX-License-Identifier: Apache-2.0
 *
 * Thin covers over OpenSSL's libcrypto: SHA-256, HMAC-SHA256, randomness, comparison in constant
 * time. A failure inside libcrypto is a bug or a broken machine: it aborts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum { CRYPT_SHA256_SIZE = 32, CRYPT_SHA256_HEX_SIZE = 65 };

struct crypt_sha256; /* a running digest */

/* From the kernel's generator; `length` at most 256 (getentropy), else it aborts. */
void crypt_random(void *ret_bytes, size_t length);
void crypt_sha256(const void *data, size_t length, uint8_t ret_digest[CRYPT_SHA256_SIZE]);
struct crypt_sha256 *crypt_sha256_new(void);
void crypt_sha256_add(struct crypt_sha256 *sha, const void *data, size_t length);
/* Writes the digest and frees the object; returns NULL. `ret_digest` may be NULL (then: free). */
struct crypt_sha256 *crypt_sha256_end(struct crypt_sha256 *sha, uint8_t *ret_digest);
void crypt_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                       uint8_t ret_mac[CRYPT_SHA256_SIZE]);
/* True when both are equal; takes the same time wherever they differ. */
bool crypt_is_equal(const void *a, const void *b, size_t length);
