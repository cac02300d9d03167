/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP face: GNU libmicrohttpd with a pool of worker threads. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "asset/asset.h"
#include "asset/link.h"
#include "base/compiler.h"
#include "base/settings.h"
#include "engine/engine.h"
#include "notify/hub.h"
#include "store/store.h"
#include "upstream/channel.h"

struct server;

enum { SERVER_ERROR_SIZE = 300 };

/* All must outlive the server. */
struct server_parts {
    const struct settings *settings;
    struct store *store;
    struct asset_store *assets;
    const struct link_keys *link_keys;
    struct engine *engine;
    struct hub *hub; /* NULL: nobody can wait */
    /* Reads the configuration anew; never two at once, on an HTTP thread. 0, or negative errno with a sentence, and the
     * configuration before stays in force. NULL: cannot be done. */
    int (*reload)(void *context, char ret_error[SERVER_ERROR_SIZE]);
    void *reload_context;
};

/* Listens (0 in the port of `settings.listen`: a free one) and answers. 0, or negative errno with a sentence («127.0.0.1:8080 is in use»). */
CHECKED int server_start(const struct server_parts *parts, struct server **ret_server,
                         char ret_error[SERVER_ERROR_SIZE]);
/* The address it listens on: `http://127.0.0.1:8080`. Owned by the server. */
const char *server_url(const struct server *server);
/* Stops accepting connections, lets requests under way be answered for up to `drain_ms`. */
void server_quiesce(struct server *server, int64_t drain_ms);
/* Resumes what is suspended (answered with 503), stops, frees. Takes NULL, returns NULL. */
struct server *server_stop(struct server *server);

/* For `filmgate dump`: Markdown. */
void server_dump_routes(FILE *out);
void server_dump_errors(FILE *out);
void server_dump_metrics(FILE *out);
/* The OpenAPI 3.1 document as JSON text, from the route table. malloc'ed. */
char *server_openapi(const char *base_url);
