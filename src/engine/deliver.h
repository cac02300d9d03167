/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks on their way: what waits in the store's outbox is sent, tried again, and noted. Of one receiver
 * one is under way at a time, the oldest event that is due first; a receiver that keeps failing rests. What
 * is under way when the process ends is sent again by the next one: every event reaches its receiver at
 * least once, under the same id. On the loop's thread but where it says otherwise. */
#pragma once

#include "asset/link_keys.h"
#include "base/compiler.h"
#include "base/loop.h"
#include "base/settings.h"
#include "engine/engine.h"
#include "net/exchange.h"
#include "net/guard.h"
#include "store/store.h"

struct deliver;

/* All must outlive it. */
struct deliver_parts {
    const struct settings *settings;
    struct store *store;
    struct loop *loop;
    struct exchange_pool *exchanges;
    const struct guard *guard; /* which addresses may be dialled */
    const struct link_keys *link_keys;
    struct engine_counts *counts;
};

/* 0 or negative errno. Nothing is sent until the first news. */
CHECKED int deliver_new(const struct deliver_parts *parts, struct deliver **ret_deliver);
/* Rows of this tenant were put into the outbox, or taken from it; NULL: of any. */
void deliver_news(struct deliver *deliver, const char *tenant);
/* Nothing new is begun from now on. */
void deliver_close(struct deliver *deliver);
/* Breaks off what is under way; the outbox still has it. The loop does not run any more, its thread is
 * gone; it is turned here. Takes NULL, returns NULL. */
struct deliver *deliver_free(struct deliver *deliver);
