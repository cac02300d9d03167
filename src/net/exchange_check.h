/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a request fit to be sent? Pure. Private to net/exchange*.c. */
#pragma once

#include <stdbool.h>

#include "net/exchange.h"
#include "net/guard.h"

enum { EXCHANGE_URL_MAX = 16 * 1024 };

/* A known method, headers that cannot end early and do not say where the message ends, a body of a size. */
bool exchange_check_request(const struct exchange_request *wish);
/* http or https, a host, no user name, no control characters or spaces. Behind a proxy (`has_proxy`) the guard, unless
 * NULL, judges an address that stands in the URL itself. */
bool exchange_check_url(const char *url, const struct guard *guard, bool has_proxy);
/* Scheme, host and port are the same. */
bool exchange_check_same_origin(const char *url, const char *other_url);
