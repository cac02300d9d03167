/* SPDX-License-Identifier: Apache-2.0
 *
 * The ways in which a request proves whose it is: `auth` of an adapter's `about` (docs/ADAPTERS.md). One table says of each what
 * carries it, what `about` must say beside it, and what the channel's credential must be. Pure: any thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/compiler.h"

enum auth_way {
    AUTH_WAY_NONE,
    AUTH_WAY_BEARER,
    AUTH_WAY_HEADER,     /* `name: prefix key` */
    AUTH_WAY_QUERY,      /* ?name=key */
    AUTH_WAY_VOLCENGINE, /* each request is signed with key and secret: request_sign() */
    AUTH_WAY_GOOGLE, /* an access token for a service account, as a bearer; a plain key in a header of its own */
    AUTH_WAY_JWT, /* HS256 of key and secret, as a bearer; a credential without a secret: the key as a bearer */
};

enum auth_secret { AUTH_SECRET_NONE, AUTH_SECRET_OPTIONAL, AUTH_SECRET_NEEDED };
enum auth_key {
    AUTH_KEY_NONE,
    AUTH_KEY_LINE, /* it is sent, or named, as it stands: one line */
    AUTH_KEY_ACCOUNT, /* a service account's JSON, which is sent to nobody; or a plain key of one line */
};

struct auth_kind {
    const char *word;   /* `auth.kind` */
    const char *header; /* carries it; NULL: none, or the one that `auth.name` names */
    const char *scheme; /* before it, in that header */
    const char *
        plain_header; /* carries, without a scheme, a key where an account could be; NULL: there is no such choice */
    const char *needs; /* members of `auth` that must be there, blanks between */
    const char *takes; /* members that may be there */
    enum auth_key key;
    enum auth_secret secret;
};

/* Never NULL. */
const struct auth_kind *auth_kind(enum auth_way auth);

/* What `auth` says; NULL where it says nothing. The texts are the tree's. */
struct auth {
    enum auth_way kind;
    const char *name, *prefix, *service, *region, *scope;
};

enum { AUTH_ERROR_SIZE = 200 };

/* False with a sentence that begins with the member: `auth.name is missing: …`. `auth`: an object. */
CHECKED bool auth_read(const json_t *auth, struct auth *ret_auth, char ret_error[AUTH_ERROR_SIZE]);
