/* SPDX-License-Identifier: Apache-2.0
 *
 * Covers over libcrypto; random bytes come from the kernel (getentropy), at less cost. What fails here is out of memory or
 * misbuilt, so it aborts; only a private key may be no good, and leaves no errors behind in libcrypto's own queue, where
 * TLS would find them. Stateless but for the running digest, which one thread owns. */
#include "base/crypt.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"

enum { RSA_BITS_LEAST = 2048, RSA_BITS_MOST = 8 * CRYPT_RSA_SIGNATURE_MAX };

struct crypt_sha256 {
    EVP_MD_CTX *context;
};

struct crypt_rsa {
    EVP_PKEY *key;
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

/* ---- RSA ---- */

/* Nobody is asked for the password of a key that has one. */
static int no_password(char *ret_password, int size, int is_to_write, void *context)
{
    (void)ret_password, (void)size, (void)is_to_write, (void)context;
    return -1;
}

static bool is_fit(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits >= RSA_BITS_LEAST &&
           bits <= RSA_BITS_MOST;
}

struct crypt_rsa *crypt_rsa_new(const char *pem)
{
    BIO *text = BIO_new_mem_buf(pem, -1);
    must(text != NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, no_password, NULL);
    BIO_free(text);
    ERR_clear_error();
    if (key == NULL || !is_fit(key)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    struct crypt_rsa *rsa = must_calloc(1, sizeof(*rsa));
    rsa->key = key;
    return rsa;
}

struct crypt_rsa *crypt_rsa_free(struct crypt_rsa *rsa)
{
    if (rsa != NULL)
        EVP_PKEY_free(rsa->key);
    free(rsa);
    return NULL;
}

bool crypt_rsa_sign(const struct crypt_rsa *rsa, const void *data, size_t length,
                    uint8_t ret_signature[CRYPT_RSA_SIGNATURE_MAX], size_t *ret_length)
{
    size_t room = CRYPT_RSA_SIGNATURE_MAX;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL);
    bool is_signed = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, rsa->key) == 1 &&
                     EVP_DigestSign(context, ret_signature, &room, data, length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (is_signed)
        *ret_length = room;
    return is_signed;
}
