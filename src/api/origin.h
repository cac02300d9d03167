/* SPDX-License-Identifier: Apache-2.0
 *
 * Under which name a client reaches us: the base of every link in an answer. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/compiler.h"
#include "base/settings.h"

enum {
    ORIGIN_HOST_MAX = 255,
    ORIGIN_BASE_SIZE = 8 + ORIGIN_HOST_MAX + 1, /* `https://`, the host, NUL */
    ORIGIN_ERROR_SIZE = 200,
};

struct origin_proxies;

/* Reads `trusted_proxies`: addresses and CIDR blocks. NULL with a sentence when an entry is not understood. */
struct origin_proxies *origin_proxies_new(const struct settings_list *list,
                                          char ret_error[ORIGIN_ERROR_SIZE]);
struct origin_proxies *origin_proxies_free(struct origin_proxies *proxies);
/* Is this peer one of them? An IPv4 address inside IPv6 counts as that IPv4 address. */
bool origin_is_trusted(const struct origin_proxies *proxies, const struct sockaddr *peer);
/* Any address as IPv6: IPv4 as ::ffff:a.b.c.d. False for other families. */
CHECKED bool origin_address(const struct sockaddr *peer, uint8_t ret_address[16]);
/* A plain `host[:port]`: letters, digits and . - _ [ ] : only, 1 to 255 bytes. */
bool origin_is_host(const char *text, size_t length);

struct origin_facts {
    const char *host, *forwarded_host, *forwarded_proto; /* headers, NULL when absent */
    bool peer_is_trusted;
};

/* `http://host[:port]`. False when Host is not one; a forwarded value that is not plain is passed over. */
CHECKED bool origin_base(const struct origin_facts *facts, char ret_base[ORIGIN_BASE_SIZE]);
