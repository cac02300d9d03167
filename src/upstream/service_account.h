/* SPDX-License-Identifier: Apache-2.0
 *
 * Service accounts of Google: the JSON key that their console writes, the assertion that is signed with it (RFC 7523,
 * RS256), and what the token endpoint answers. No I/O. Nothing that this says holds a part of the key, of an assertion or
 * of a token. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/crypt.h"

enum {
    SERVICE_ACCOUNT_ERROR_SIZE = 200,
    SERVICE_ACCOUNT_BODY_MAX = 16 * 1024, /* of what is asked */
    SERVICE_ACCOUNT_TOKEN_MAX = 7 * 1024, /* as a header takes it */
};

struct service_account {
    char *email, *key_id; /* key_id NULL: it has none */
    char *token_uri;      /* https; http on this machine alone */
    struct crypt_rsa *key;
    uint8_t digest[CRYPT_SHA256_SIZE]; /* of the JSON: two keys that differ in anything are two */
};

/* Is a credential an API key? What begins as JSON does (an object, a list, a text in quotes), or is called as its file is, should be
 * an account's. */
bool service_account_is_plain(const char *key);
/* NULL with a sentence that begins with a verb («is no JSON object», «has no "client_email"»). */
struct service_account *service_account_new(const char *json,
                                            char ret_error[SERVICE_ACCOUNT_ERROR_SIZE]);
/* Takes NULL, returns NULL. */
struct service_account *service_account_free(struct service_account *account);

/* Adds the form that is posted to `token_uri`. False: the private key cannot sign. */
CHECKED bool service_account_ask(const struct service_account *account, const char *scope,
                                 int64_t now_s, struct buf *out);

enum service_account_verdict {
    SERVICE_ACCOUNT_GRANTED, /* `token`, good for `life_s` */
    SERVICE_ACCOUNT_REFUSED, /* it will not have this account, key or scope */
    SERVICE_ACCOUNT_TROUBLE, /* no answer that counts: another try may do */
};

struct service_account_grant {
    enum service_account_verdict verdict;
    char *token; /* malloc'ed, the caller's; NULL: none */
    int64_t life_s;
    char note[SERVICE_ACCOUNT_ERROR_SIZE]; /* why there is none */
};

/* What the endpoint answered. `body` NULL: nothing. */
struct service_account_grant service_account_read(long status, const char *body, size_t length);
