/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed links to assets, shaped like Azure's service SAS:
 * `<base>/assets/<key>?st=…&se=…&sr=b&sp=r&sig=…`, and `rscd` (the Content-Disposition of the
 * answer) when it is a download. `sig` is base64 of HMAC-SHA256 over all of them. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asset/link_keys.h"
#include "base/compiler.h"

enum { LINK_LEAD_S = 3600 }; /* links begin an hour early, for clocks that are behind */

/* The window of a link signed at `now_ms`: st = a step's beginning less LINK_LEAD_S, se = that
 * beginning plus valid_for. Steps (a quarter of valid_for, at most 24 h) make links of the same
 * step equal, byte for byte. At least valid_for - step is left at `now_ms`. Seconds since 1970. */
void link_window(int64_t now_ms, int64_t valid_for_ms, int64_t *ret_st_s, int64_t *ret_se_s);

/* The absolute link. `base` has no trailing slash; `attachment` is a file name for
 * disposition_attachment(), or NULL.
 * malloc'ed, never NULL. */
char *link_sign(const struct link_key *key, const char *base, const char *asset_key, int64_t st_s,
                int64_t se_s, const char *attachment);

/* What signs all links of one answer: they share base and window. */
struct link_signer {
    const struct link_key *key;
    const char *base; /* as link_sign() has it */
    int64_t st_s, se_s;
    bool is_used; /* there is a link */
};
/* With the window of `now_ms`. Borrows `key` and `base`. */
void link_signer_init(struct link_signer *signer, const struct link_key *key, const char *base,
                      int64_t now_ms, int64_t valid_for_ms);
/* As link_sign(), for views: `signer` is a struct link_signer. */
char *link_signer_sign(void *signer, const char *asset_key, const char *attachment);

enum link_verdict { LINK_OK, LINK_MALFORMED, LINK_TAMPERED, LINK_EXPIRED, LINK_NOT_YET };

/* The query parameters as they came, percent-decoded; NULL when absent. */
struct link_parameters {
    const char *st, *se, *sr, *sp, *rscd, *sig;
};

/* Judges a link; the signature first (by both keys, each in constant time), so that nobody learns
 * about times of links that are not ours. One of the previous key that ends later than any link
 * which was signed with it is LINK_TAMPERED: whoever got hold of that key made it. */
enum link_verdict link_check(const struct link_keys *keys, const char *asset_key,
                             const struct link_parameters *parameters, int64_t now_ms);
