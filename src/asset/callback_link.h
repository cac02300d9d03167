/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an upstream may call back for one attempt: `<base>/v1/callbacks/<attempt id>.<signature>`. The signature is that
 * of links under another name, so that neither passes for the other; it has no end of its own, for nothing is believed of
 * who calls. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "asset/link_keys.h"
#include "base/compiler.h"
#include "base/id.h"

/* The whole URL. `base` has no trailing slash. malloc'ed, never NULL. */
char *callback_link_sign(const struct link_key *key, const char *base, const char *attempt_id);
/* Is `name`, what stands behind `/v1/callbacks/`, one that we made? One of the key before a rotation is for as long as
 * links of that key are. `ret_attempt_id` is written only when it is. */
CHECKED bool callback_link_check(const struct link_keys *keys, const char *name, int64_t now_ms,
                                 char ret_attempt_id[ID_SHORT_SIZE]);
