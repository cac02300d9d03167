/* SPDX-License-Identifier: Apache-2.0
 *
 * What every attempt works with, whichever engine it is at. Private to engine/; on the loop's thread. */
#pragma once

#include "asset/asset.h"
#include "base/loop.h"
#include "base/settings.h"
#include "engine/blocking.h"
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
    struct engine_counts *counts;
};
