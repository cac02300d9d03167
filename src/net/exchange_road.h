/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of a transfer that a road asks for. Private to net/exchange*.c. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "net/exchange.h"

/* `road` may be NULL. False when the file of authorities cannot be read or is too large, or memory is out. */
CHECKED bool exchange_road_set(CURL *easy, const struct exchange_road *road);
