/* SPDX-License-Identifier: Apache-2.0
 *
 * All rooms as one running gateway: opened from the ground up, closed from the top down. */
#pragma once

#include <pthread.h>

#include "api/server.h"
#include "asset/link_keys.h"
#include "base/compiler.h"
#include "cli/local.h"

struct reload;

struct gateway {
    struct settings *settings;
    int lock; /* descriptor of <data>/lock; -1: not held */
    struct store *store;
    struct link_keys link_keys;
    struct asset_store *assets;
    struct guard *guard, *webhook_guard;
    const struct local_order *order;
    pthread_mutex_t reload_lock; /* guards what follows: SIGHUP and operators' requests reload */
    struct reload *reloads;      /* what was read since the start, the newest first */
    struct adapter_set *adapters;
    struct channel_table *channels;
    struct hub *hub;
    struct engine *engine;
    struct server *server;
};

/* Opens it as the configuration and `order` say, which must outlive it. SIGTERM and SIGINT must be blocked by then. CLI_OK, or an exit
 * status after complaining: what is up then is for gateway_close(), too. */
CHECKED int gateway_open(struct gateway *gateway, const struct local_order *order);
/* Reads the configuration anew: its channels count from now on. 0; or negative with a sentence, and all stays as it was. Any
 * thread. */
CHECKED int gateway_reload(struct gateway *gateway, char ret_error[SERVER_ERROR_SIZE]);
/* Takes down what is up, whatever that is. SIGTERM or SIGINT meanwhile cuts the waiting for work under way short. */
void gateway_close(struct gateway *gateway);
