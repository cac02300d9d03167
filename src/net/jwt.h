/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Web Tokens (RFC 7519) signed with HS256 (RFC 7515, RFC 7518 section 3.2). Pure. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

/* Adds `header.claims.signature` to `out`: {"alg":"HS256","typ":"JWT"} and the claims (a JSON text, as it is), signed
 * with the bytes of `secret`. */
void jwt_sign_hs256(const char *claims, const char *secret, struct buf *out);
