/* SPDX-License-Identifier: Apache-2.0
 *
 * A token is two texts of JSON and a signature over both, each in base64url without padding. The
 * claims are the caller's to write. */
#include "net/jwt.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/must.h"

static void add_base64url(struct buf *out, const void *data, size_t length)
{
    CLEANUP(free_pointer) char *text = must_calloc(1, codec_base64_length(length) + 1);
    codec_base64url_encode(data, length, text);
    buf_puts(out, text);
}

static void add_signed_text(struct buf *out, const char *header, const char *claims)
{
    add_base64url(out, header, strlen(header));
    buf_putc(out, '.');
    add_base64url(out, claims, strlen(claims));
}

void jwt_sign_hs256(const char *claims, const char *secret, struct buf *out)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    uint8_t mac[CRYPT_SHA256_SIZE];
    size_t begin = out->length;
    add_signed_text(out, header, claims);
    if (out->overflowed)
        return;
    crypt_hmac_sha256(secret, strlen(secret), out->data + begin, out->length - begin, mac);
    buf_putc(out, '.');
    add_base64url(out, mac, sizeof(mac));
}

bool jwt_sign_rs256(const char *header, const char *claims, const struct crypt_rsa *key,
                    struct buf *out)
{
    uint8_t signature[CRYPT_RSA_SIGNATURE_MAX];
    size_t length;
    size_t begin = out->length;
    add_signed_text(out, header, claims);
    if (out->overflowed)
        return true;
    if (!crypt_rsa_sign(key, out->data + begin, out->length - begin, signature, &length))
        return false;
    buf_putc(out, '.');
    add_base64url(out, signature, length);
    return true;
}
