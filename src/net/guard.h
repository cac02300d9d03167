/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses strangers may make us dial. Pure: judged on the socket address that is about
 * to be connected, after resolution, so names, redirects, decimal or octal spellings and
 * rebinding all end here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/compiler.h"

struct guard;

/* A guard with the operator's exceptions (`fetch.allow`): entries `10.1.2.3`, `10.0.0.0/8`,
 * `fd00::/8`, `127.0.0.1:9000`, `[::1]:9000`, `10.0.0.0/8:9000` (a port narrows the entry to
 * it). Names are not accepted: addresses are judged, not names. False with a sentence when an
 * entry is not understood. */
CHECKED bool guard_new(const char *const *allow, size_t n_allow, struct guard **ret_guard,
                       char ret_error[200]);
struct guard *guard_free(struct guard *guard);
/* May this address be dialled? Refuses all that is not global unicast: private, loopback,
 * link-local, metadata, CGNAT, multicast, documentation, benchmarking, reserved ranges of IPv4 (RFC
 * 6890) and IPv6; IPv4 inside IPv6 (mapped, compatible, 6to4, NAT64, Teredo) is judged as that
 * IPv4 too; other families: no. Port 0: any. */
bool guard_allows(const struct guard *guard, const struct sockaddr *address, socklen_t length);
/* Is a URL's text fit to be fetched at all: http or https, a host, no user info, no control
 * characters, at most 8 KiB? (Cheap check at create.) False with a sentence. */
CHECKED bool guard_check_url(const char *url, char ret_error[200]);
