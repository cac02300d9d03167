/* SPDX-License-Identifier: Apache-2.0
 *
 * Covers over libcrypto; random bytes come from the kernel (getentropy), at less cost. What fails here is out of memory or
 * misbuilt, never the input, so every failure aborts. Stateless but for the running digest, which one thread owns. */
#include "base/crypt.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"

struct crypt_sha256 {
    EVP_MD_CTX *context;
};

void crypt_random(void *ret_bytes, size_t length)
{
    must(getentropy(ret_bytes, length) == 0);
}

void crypt_sha256(const void *data, size_t length, uint8_t ret_digest[CRYPT_SHA256_SIZE])
{
    must(EVP_Digest(data, length, ret_digest, NULL, EVP_sha256(), NULL) == 1);
}

struct crypt_sha256 *crypt_sha256_new(void)
{
    struct crypt_sha256 *sha = must_calloc(1, sizeof(*sha));
    sha->context = EVP_MD_CTX_new();
    must(sha->context != NULL);
    must(EVP_DigestInit_ex(sha->context, EVP_sha256(), NULL) == 1);
    return sha;
}

void crypt_sha256_add(struct crypt_sha256 *sha, const void *data, size_t length)
{
    must(EVP_DigestUpdate(sha->context, data, length) == 1);
}

struct crypt_sha256 *crypt_sha256_end(struct crypt_sha256 *sha, uint8_t *ret_digest)
{
    if (sha == NULL)
        return NULL;
    if (ret_digest != NULL)
        must(EVP_DigestFinal_ex(sha->context, ret_digest, NULL) == 1);
    EVP_MD_CTX_free(sha->context);
    free(sha);
    return NULL;
}

void crypt_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                       uint8_t ret_mac[CRYPT_SHA256_SIZE])
{
    unsigned mac_length = 0;
    must(key_length <= INT_MAX);
    if (key_length == 0)
        key = ""; /* libcrypto takes a NULL key for «the one before» */
    must(HMAC(EVP_sha256(), key, (int)key_length, data, length, ret_mac, &mac_length) != NULL);
    must(mac_length == CRYPT_SHA256_SIZE);
}

bool crypt_is_equal(const void *a, const void *b, size_t length)
{
    return CRYPTO_memcmp(a, b, length) == 0;
}
