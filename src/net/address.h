/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses to listen on, as settings spell them: `127.0.0.1:8080`, `[::]:8080`. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"

enum { ADDRESS_HOST_SIZE = 256, ADDRESS_PORT_SIZE = 8, ADDRESS_ERROR_SIZE = 300 };

/* Takes `host:port` or `[host]:port` apart; the brackets are left out. */
CHECKED bool address_split(const char *text, char ret_host[ADDRESS_HOST_SIZE],
                           char ret_port[ADDRESS_PORT_SIZE]);
/* A stream socket bound to it, for listen(). 0, or negative errno with a sentence; -EADDRINUSE when
 * somebody listens there, -EINVAL when it is no address. */
CHECKED int address_bind(const char *text, int *ret_fd, char ret_error[ADDRESS_ERROR_SIZE]);
