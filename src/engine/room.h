/* SPDX-License-Identifier: Apache-2.0
 *
 * What every attempt works with, whichever engine it is at. Private to engine/; on the loop's thread. */
#pragma once

#include "asset/asset.h"
#include "asset/link_keys.h"
#include "base/loop.h"
#include "base/settings.h"
#include "engine/blocking.h"
#include "engine/callbacks.h"
#include "engine/engine.h"
#include "net/exchange.h"
#include "net/guard.h"
#include "upstream/adapter.h"

struct engine_room {
    const struct settings *settings;
    const struct guard *guard;
    struct asset_store *assets;
    struct loop *loop;
    struct exchange_pool *exchanges;
    struct adapter_host *adapters;
    struct blocking *blocking;
    struct results *results;
    struct tokens *tokens;
    struct callbacks *callbacks;
    const struct link_keys *link_keys; /* NULL: upstreams are given no address to call back */
    struct engine_counts *counts;
    bool is_closing; /* the process ends: what can be done by the next one is not begun */
};
