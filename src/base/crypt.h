/* SPDX-License-Identifier: Apache-2.0
 *
 * Thin covers over OpenSSL's libcrypto: SHA-256, HMAC-SHA256, signatures with RSA, randomness, comparison in constant
 * time. A failure inside libcrypto is a bug or a broken machine: it aborts; but a private key is somebody's input. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum { CRYPT_SHA256_SIZE = 32, CRYPT_SHA256_HEX_SIZE = 65, CRYPT_RSA_SIGNATURE_MAX = 1024 };

struct crypt_sha256; /* a running digest */
struct crypt_rsa;    /* a private key */

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

/* The key in a PEM text (PKCS #8 or PKCS #1, not encrypted). NULL: there is none of RSA with 2048 to 8192 bits in it. */
struct crypt_rsa *crypt_rsa_new(const char *pem);
/* Takes NULL, returns NULL. */
struct crypt_rsa *crypt_rsa_free(struct crypt_rsa *rsa);
/* RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2). False: the numbers of the key do not belong together. */
CHECKED bool crypt_rsa_sign(const struct crypt_rsa *rsa, const void *data, size_t length,
                            uint8_t ret_signature[CRYPT_RSA_SIGNATURE_MAX], size_t *ret_length);
