/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed callbacks. What is signed is a name of this scheme, a newline, and the attempt's id; the scheme of links has
 * another first line. Each check costs two signatures, whatever came. Pure; any thread. */
#include "asset/callback_link.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/must.h"

enum {
    AFTER_BASE_MAX = 160,
    SIGNATURE_LENGTH = 43, /* base64url of 32 bytes */
    SIGNATURE_ROOM = 45,   /* codec_base64_length() of them, and NUL */
};

static const char scheme_name[] = "filmgate-callback-v1";

static void sign(const struct link_key *key, const char *attempt_id,
                 char ret_signature[SIGNATURE_ROOM])
{
    char text[sizeof(scheme_name) + ID_SHORT_SIZE];
    uint8_t mac[CRYPT_SHA256_SIZE];
    int length = snprintf(text, sizeof(text), "%s\n%s", scheme_name, attempt_id);
    must(length > 0 && (size_t)length < sizeof(text));
    crypt_hmac_sha256(key->bytes, sizeof(key->bytes), text, (size_t)length, mac);
    codec_base64url_encode(mac, sizeof(mac), ret_signature);
}

char *callback_link_sign(const struct link_key *key, const char *base, const char *attempt_id)
{
    char signature[SIGNATURE_ROOM];
    struct buf url;
    sign(key, attempt_id, signature);
    buf_init(&url, strlen(base) + AFTER_BASE_MAX);
    buf_printf(&url, "%s/v1/callbacks/%s.%s", base, attempt_id, signature);
    must(!url.overflowed);
    return buf_take(&url);
}

static bool has_signature_of(const struct link_key *key, const char *attempt_id,
                             const char *signature)
{
    char expected[SIGNATURE_ROOM];
    sign(key, attempt_id, expected);
    return crypt_is_equal(expected, signature, SIGNATURE_LENGTH);
}

bool callback_link_check(const struct link_keys *keys, const char *name, int64_t now_ms,
                         char ret_attempt_id[ID_SHORT_SIZE])
{
    char id[ID_SHORT_SIZE];
    const size_t length = strcspn(name, ".");
    if (length >= sizeof(id) || strlen(name) != length + 1 + SIGNATURE_LENGTH)
        return false;
    memcpy(id, name, length);
    id[length] = '\0';
    if (!id_is_typeid(id, "att"))
        return false;
    const char *signature = name + length + 1;
    const bool is_of_current = has_signature_of(&keys->current, id, signature);
    const bool is_of_previous = has_signature_of(&keys->previous, id, signature);
    if (!is_of_current && !(is_of_previous && now_ms / 1000 < keys->previous_until_s))
        return false;
    memcpy(ret_attempt_id, id, length + 1);
    return true;
}
