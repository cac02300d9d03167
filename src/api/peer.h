/* SPDX-License-Identifier: Apache-2.0
 *
 * How many connections each address has open. IPv4 addresses count one by one, IPv6 addresses by their /64, which is
 * what one subscriber gets; trusted proxies, behind which are many, do not count. An address is known
 * only while it has a connection: the table is never larger than the number of connections. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "api/origin.h"
#include "base/compiler.h"

struct peer_table;
struct peer; /* one address */

/* `proxies` is borrowed. */
struct peer_table *peer_table_new(int64_t most, const struct origin_proxies *proxies);
/* All must have left. Takes NULL, returns NULL. */
struct peer_table *peer_table_free(struct peer_table *table);

/* May one more connection come from there? */
CHECKED bool peer_has_room(struct peer_table *table, const struct sockaddr *address);
/* Counts a connection; `ret_peer` is NULL for those who do not count. False: it is one too many, for two
 * came at the same moment. It is counted all the same, until it leaves. */
CHECKED bool peer_enter(struct peer_table *table, const struct sockaddr *address,
                        struct peer **ret_peer);
/* Takes NULL. */
void peer_leave(struct peer_table *table, struct peer *peer);
