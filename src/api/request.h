/* SPDX-License-Identifier: Apache-2.0
 *
 * One request on its way through: who asks, what was read of it, and the few ways of answering. It lives in its connection, from the
 * library's first call to its completion. */
#pragma once

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/auth.h"
#include "api/error.h"
#include "api/metrics.h"
#include "api/origin.h"
#include "api/router.h"
#include "api/server.h"
#include "api/view.h"
#include "api/wait.h"
#include "api/wire.h"
#include "base/compiler.h"

enum {
    API_REQUEST_ID_SIZE = 129,
    API_PART_SIZE = 256,    /* of what stands within a path, with NUL; what is longer is cut */
    API_TENANT_SLOTS = 256, /* two tenants of one slot share its half of the memory for bodies */
};

struct peer_table;
struct poll;
struct reaper;
struct ticket;
struct ticket_office;

/* What every handler works with; made by server_start(), immutable afterwards but for the atomics. */
struct api {
    struct server_parts parts;
    struct auth *auth;
    struct view_cache *views;
    struct wait_room *waits;
    struct origin_proxies *proxies;
    struct peer_table *peers;
    struct reaper *reaper;
    struct ticket_office *tickets;
    uint8_t secret[32];         /* the store's */
    char url[ORIGIN_BASE_SIZE]; /* where we listen */
    _Atomic int64_t body_bytes; /* memory of all bodies now; at most settings.body_memory */
    /* The same by tenant's hash; at most half of it. */
    _Atomic int64_t tenant_bytes[API_TENANT_SLOTS];
    /* Lists being read, by tenant's hash; at most `lists_most`, so that one tenant cannot hold all threads. */
    _Atomic int tenant_lists[API_TENANT_SLOTS];
    int lists_most;
    _Atomic int64_t n_under_way; /* requests begun and not completed */
    atomic_bool is_reloading;    /* a call of parts.reload is under way */
    atomic_bool is_draining;     /* answers close their connection */
    struct metrics metrics;
};

struct api_request {
    struct api *api;
    struct MHD_Connection *connection;
    const char *method, *path; /* decoded; the library's */
    const struct route *route; /* NULL only while refused */
    const char *part; /* what the path has for the part in braces of the route's; NULL: none */
    char part_text[API_PART_SIZE];        /* the same, where something follows it */
    const struct task *task;              /* of a route that touches one: our reference */
    struct engine_figures figures;        /* with `task` */
    struct auth_identity who;             /* empty for routes that ask for no key */
    struct ticket *ticket;                /* by which he came in, in the place of a key; ours */
    struct poll *poll;                    /* while it waits for its task */
    char request_id[API_REQUEST_ID_SIZE]; /* empty until api_request_id() */
    bool has_client_id;                   /* the client chose it */
    bool must_close;                      /* the answer ends the connection */
    bool has_breathed;                    /* the library was told to ask once more */
    bool is_refused;
    enum api_error refusal; /* with is_refused */
    struct wire_facts facts;
    int64_t started_micros; /* clock_mono_micros() */

    char *body; /* NULL while empty; with a NUL behind it */
    size_t body_length, body_capacity;
    size_t body_limit;    /* of what is kept */
    size_t seen_bytes;    /* of the body, kept or not */
    size_t charged_bytes; /* our share of api.body_bytes */

    struct wait *wait;                                       /* while suspended: our reference */
    enum MHD_Result (*resumed)(struct api_request *request); /* answers after the wait */
};

/* Lets go of the body, its charge and the wait. */
void api_request_fini(struct api_request *request);
/* Lets go of the body and of all that was charged: it has become something else. */
void api_request_drop_body(struct api_request *request);
/* Takes in a piece of the body. False when the connection must be cut: more is coming than we are willing to read past. */
CHECKED bool api_request_add(struct api_request *request, const char *data, size_t length);
/* Charges memory beside the body (a parsed or decoded copy) until the request ends. False: too much in all. */
CHECKED bool api_request_charge(struct api_request *request, size_t bytes);
/* Takes one of the places that the caller's tenant has for reading lists, which may take a thread for many milliseconds. False:
 * all are taken. */
CHECKED bool api_begin_list(struct api_request *request);
void api_end_list(struct api_request *request);
/* The client's X-Request-Id when it is fit (1..128 of [A-Za-z0-9._:-]), else a fresh `req_<26>`. */
const char *api_request_id(struct api_request *request);
const char *api_header(const struct api_request *request, const char *name); /* NULL when absent */
const char *api_argument(const struct api_request *request,
                         const char *name); /* NULL when absent */
/* ?limit=: 1 to `most`, `fallback` when absent. False: `ret_result` is what the reply of an error returned. */
CHECKED bool api_read_limit(struct api_request *request, size_t fallback, size_t most,
                            size_t *ret_limit, enum MHD_Result *ret_result);
/* ?order=: asc, or desc, which is also what is absent. As api_read_limit(). */
CHECKED bool api_read_order(struct api_request *request, bool *ret_is_ascending,
                            enum MHD_Result *ret_result);
/* The base of links in this request's answer. False when its Host is not fit. */
CHECKED bool api_base(const struct api_request *request, char ret_base[ORIGIN_BASE_SIZE]);
/* The name under which the client reached us, whatever `public_url` says. As api_base(). */
CHECKED bool api_host_base(const struct api_request *request, char ret_base[ORIGIN_BASE_SIZE]);

/* ---- answers: each replies once ---- */

/* JSON; takes over `text` (malloc'ed). */
enum MHD_Result api_reply_json(struct api_request *request, unsigned status, char *text,
                               size_t length);
/* The same from a tree; takes over the reference. */
enum MHD_Result api_reply_tree(struct api_request *request, unsigned status, json_t *tree);
/* A list as all of ours are: `{"object": "list", "data": data}`. Takes over `data`. */
json_t *api_list(json_t *data);
/* The body is not what it says it is, as `error` tells. */
enum MHD_Result api_reply_unreadable(struct api_request *request, const char *error);
enum MHD_Result api_reply_error(struct api_request *request, enum api_error error,
                                const struct api_error_details *details);
/* The response for an error before it is sent, to add a header to; NULL when memory is out. */
struct MHD_Response *api_error_response(const struct api_request *request, enum api_error error,
                                        const struct api_error_details *details,
                                        size_t *ret_length);
/* The usual case: one parameter is wrong. */
enum MHD_Result api_reply_invalid(struct api_request *request, const char *param,
                                  const char *message);
/* Any response object; takes it over, adds what every answer carries, and logs the request. */
enum MHD_Result api_reply_response(struct api_request *request, unsigned status,
                                   struct MHD_Response *response, int64_t bytes);
/* A shared view, or 304 when the client has it. */
enum MHD_Result api_reply_view(struct api_request *request, struct view *view);
