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

struct exchange_answer;
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
    /* FORBIDDEN by the guard: the address that was not dialled, as a rule of the guard names it (`10.1.2.3:9000`). Else NULL. Borrowed.
     * Where names lead to is for operators alone: whoever sent the URL must not learn it. */
    const char *blocked;
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
 * connections). 0 or negative errno (-EAGAIN: too many are under way). */
CHECKED int exchange_fetch(struct exchange_pool *pool, const struct exchange_fetch *fetch,
                           struct exchange **ret_exchange);

/* Does a status say that the same request may do later? 408, 425, 429, 5xx. */
bool exchange_is_passing(long status);

/* ---- requests to upstreams ---- */

enum { EXCHANGE_HEADERS_MAX = 64, EXCHANGE_ANSWER_HEADERS_MAX = 128 };

struct exchange_header {
    const char *name, *value;
};

/* Would exchange_send() take it? Its name is a token, its value holds no control characters (but tabs), and it is not one
 * that says where the message ends or how it travels. */
bool exchange_takes_header(const struct exchange_header *header);

/* How a channel reaches its upstream. Must outlive the transfers. */
struct exchange_road {
    /* PEM of further authorities; NULL: the system's alone. TLS is always verified. */
    const char *ca_file;
    const char *proxy; /* http://host:port …; NULL: none (that of the environment is never used) */
};

struct exchange_request {
    const char *method; /* GET, POST, PUT, PATCH, DELETE */
    /* http or https; may hold a key in its query: it never enters a note or the log. */
    const char *url;
    const struct exchange_header *headers;
    size_t n_headers; /* values may be secret, as above */
    int body; /* descriptor, read from offset 0 with pread; -1: none. Stays the caller's until done. */
    int64_t body_bytes;
    int sink; /* takes the body of the answer, whatever its status; -1: dropped, unless there is open_sink() */
    /* Without a sink: a body of up to `memory_bytes` is kept in memory; a longer one asks once for the descriptor that takes
     * all of it (the caller's own), or a negative errno: SINK_FAILED. NULL: nothing is kept. */
    int (*open_sink)(void *context);
    int64_t memory_bytes;
    /* Where the answer's body begins in the sink; for a download that is resumed. */
    int64_t sink_offset;
    int64_t max_bytes, connect_ms, total_ms;
    int max_redirects; /* of a GET; 0: a redirect is an answer like any other */
    /* Names of headers that go to no other origin, NULL-terminated, beside Authorization and Cookie. NULL: none. */
    const char *const *secrets;
    /* A submit: a connection of its own, never reused, HTTP/1.1: libcurl must not send it twice. */
    bool is_fresh;
    const struct exchange_road *road;
    /* NULL: any address, as the operator named it. Behind a proxy only addresses in the URL itself can be judged. */
    const struct guard *guard;
    /* The same from the first redirect to another origin on, for what begins without a guard: it is not the operator who
     * has named that. */
    const struct guard *guard_away;
    void (*done)(void *context, const struct exchange_answer *answer);
    void *context;
};

struct exchange_answer {
    /* DONE for every whole answer, whatever its status; STATUS is not used. */
    enum exchange_end end;
    long status; /* 0 without one */
    /* No byte of the request can have left: the upstream certainly knows nothing of it (no name, no connection, TLS
     * failed before the request, refused by the guard). False when in doubt. */
    bool was_never_sent;
    bool has_headers;   /* the status line and all headers came */
    int64_t body_bytes; /* received: kept, written or dropped */
    const char *
        body; /* kept in memory, with a NUL behind it; borrowed; NULL: written to the sink, or dropped */
    const struct exchange_header *headers; /* of the last answer, names in lower case; borrowed */
    size_t n_headers;
    int64_t retry_after_ms; /* from Retry-After (seconds or a date) or retry-after-ms; 0: none */
    const char *note;       /* as exchange_result */
    const char *blocked;    /* as exchange_result */
};

enum { EXCHANGE_TOLD_SIZE = 500 };

/* What operators are told: `note`, and of an address that was `blocked` (NULL: none) which one, and the setting that can permit it. */
void exchange_tell_operator(const char *note, const char *blocked, const char *setting,
                            char ret_text[EXCHANGE_TOLD_SIZE]);

/* The value of an answer's first header of that name (in lower case), or NULL. Borrowed. */
const char *exchange_answer_value(const struct exchange_answer *answer, const char *name);

/* 0 or negative errno (-EAGAIN: too many are under way; -EINVAL: a method or header that cannot be sent). A URL that is not
 * fit to be asked for is an answer: FORBIDDEN. exchange_stop() ends it as well. */
CHECKED int exchange_send(struct exchange_pool *pool, const struct exchange_request *request,
                          struct exchange **ret_exchange);

/* Breaks it off without its callback; within its own `done` it does nothing, and after that the
 * exchange is gone. Takes NULL, returns NULL. */
struct exchange *exchange_stop(struct exchange *exchange);
