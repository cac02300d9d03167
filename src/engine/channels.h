/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels as an operator sees them while the engine runs: how each of their credentials fares, and
 * orders to pause, resume and drain. An order holds until the next one, or until the process ends; what
 * is to last longer stands in the configuration. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

enum { ENGINE_VIEW_NAME_SIZE = 65, ENGINE_VIEW_ERROR_SIZE = 300 };

/* One credential of one channel. The counts are since engine_start(). */
struct engine_channel_view {
    char channel[ENGINE_VIEW_NAME_SIZE];
    char credential[ENGINE_VIEW_NAME_SIZE]; /* its name; empty: it needs none */
    char adapter[ENGINE_VIEW_NAME_SIZE];
    int64_t in_flight, concurrency; /* attempts now, and at most */
    const char *state;              /* ready | paused | draining | open | half_open | gone: not
                                     configured any more */
    bool is_paused, is_draining;    /* by an order, or (the latter) by the configuration */
    bool is_open;                   /* the breaker keeps submits away, but for one on trial */
    int64_t rest_ms;                /* open: until it is asked again; half_open: until its trial
                                     is given up; else 0 */
    uint64_t submits, accepted, refused, unknown, polls, troubles;
    char last_error[ENGINE_VIEW_ERROR_SIZE]; /* empty: none yet */
    int64_t last_error_ms;                   /* wall clock; 0: none yet */
    int64_t median_ms;                       /* from accepted to done; 0: not known */
};

enum engine_channel_order { ENGINE_CHANNEL_PAUSE, ENGINE_CHANNEL_RESUME, ENGINE_CHANNEL_DRAIN };

/* By the word that it has in paths and commands: pause, resume, drain. */
CHECKED bool engine_channel_order_parse(const char *word, enum engine_channel_order *ret_order);

/* By channel, in the order in which they are asked. Writes at most `room` of them; how many there are.
 * Waits for the loop, a turn of it. */
size_t engine_channels(struct engine *engine, struct engine_channel_view *ret_views, size_t room);
/* All of them, as malloc() gives them; never NULL. Empty while the engine closes. */
struct engine_channel_view *engine_channels_all(struct engine *engine, size_t *ret_count);
/* ENGINE_OK, ENGINE_NOT_FOUND, ENGINE_CLOSING. PAUSE and DRAIN: nothing new is begun there, and what is
 * under way goes on; what only a paused channel takes waits for it, a draining one is to go. */
CHECKED enum engine_outcome engine_channel_order(struct engine *engine, const char *channel,
                                                 enum engine_channel_order order);
