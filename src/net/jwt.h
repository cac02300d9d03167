/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Web Tokens (RFC 7519) signed with HS256 or RS256 (RFC 7515, RFC 7518 sections 3.2 and 3.3). Pure. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/crypt.h"

/* Adds `header.claims.signature` to `out`: {"alg":"HS256","typ":"JWT"} and the claims (a JSON text, as it is), signed
 * with the bytes of `secret`. */
void jwt_sign_hs256(const char *claims, const char *secret, struct buf *out);
/* The same with a header of the caller's, signed with a private key. False: the key cannot sign; `out` is of no use then. */
CHECKED bool jwt_sign_rs256(const char *header, const char *claims, const struct crypt_rsa *key,
                            struct buf *out);
