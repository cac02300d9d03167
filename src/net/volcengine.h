/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests signed as Volcengine's OpenAPI wants it (its documentation, «signature method»): HMAC-SHA256 over the method, the
 * URL, a few headers and the body's digest, with a key that is good for one day, region and service. Pure. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

enum { VOLCENGINE_DATE_SIZE = 17 }; /* 20201230T081805Z and NUL */

struct volcengine_request {
    const char *method, *url;
    const char *content_type; /* NULL: there is no such header */
    const char *body_sha256;  /* 64 digits, as it goes into X-Content-Sha256 */
    const char *service, *region;
    const char *key, *secret; /* access key id, secret access key */
};

/* Gives what goes into X-Date and adds what goes into Authorization, for a request that is sent now. The Host header must
 * be the URL's, its port left out where it is the scheme's own. False: the URL is none. */
CHECKED bool volcengine_sign(const struct volcengine_request *request, int64_t now_s,
                             char ret_date[VOLCENGINE_DATE_SIZE], struct buf *authorization);
