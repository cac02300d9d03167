/* SPDX-License-Identifier: Apache-2.0
 *
 * Outbound HTTP: libcurl's multi interface on the loop. All calls and callbacks on the loop's
 * thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/loop.h"
#include "net/guard.h"

struct exchange_pool; /* the multi handle and its timers */
struct exchange;      /* one transfer */

CHECKED int exchange_pool_new(struct loop *loop, struct exchange_pool **ret_pool);
/* Ends all transfers without their callbacks. Takes NULL, returns NULL. */
struct exchange_pool *exchange_pool_free(struct exchange_pool *pool);

enum exchange_end {
    EXCHANGE_DONE,        /* `status` is 2xx and the body was written */
    EXCHANGE_STATUS,      /* an answer, but not 2xx */
    EXCHANGE_UNREACHABLE, /* no name, no connection, broken off, TLS failure */
    EXCHANGE_FORBIDDEN,   /* the guard refused the address, a redirect's address, or the scheme */
    EXCHANGE_TOO_LARGE,
    EXCHANGE_TIMED_OUT,
    EXCHANGE_REDIRECTS,   /* more redirects than allowed */
    EXCHANGE_SINK_FAILED, /* writing the body failed (disk full) */
};

struct exchange_result {
    enum exchange_end end;
    long status; /* last HTTP status; 0 without one */
    int64_t body_bytes;
    const char *note; /* one sentence without the URL's query; borrowed, never NULL */
};

struct exchange_fetch {
    const char *url;
    int sink; /* descriptor that takes the body; stays the caller's */
    int64_t max_bytes, connect_ms, total_ms;
    int max_redirects;
    const struct guard *guard; /* which addresses may be dialled; must outlive the transfer */
    /* Once, never within exchange_fetch(). */
    void (*done)(void *context, const struct exchange_result *result);
    void *context;
};

/* A guarded GET of a stranger's URL (http and https only, no proxy, no credentials, own
 * connections). 0 or negative errno (-EAGAIN: 1024 are under way). */
CHECKED int exchange_fetch(struct exchange_pool *pool, const struct exchange_fetch *fetch,
                           struct exchange **ret_exchange);
/* Breaks it off without its callback; within its own `done` it does nothing, and after that the
 * exchange is gone. Takes NULL, returns NULL. */
struct exchange *exchange_stop(struct exchange *exchange);
