/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store keeps of webhooks: tenants' endpoints and signing secrets, and the outbox: one row for
 * each delivery, put in the transaction that ends the task, so that neither is there without the other.
 * Outcomes as in store/store.h; synchronous, any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/id.h"
#include "store/store.h"

enum {
    STORE_ENDPOINTS_MAX = 64, /* of one tenant; the operator's bound lies below */
    STORE_SECRETS_MAX = 4,    /* of one tenant that sign at a time */
    STORE_SECRET_BYTES = 32,
    /* Of one tenant. What comes beyond is on record as given up, and can be asked for again. */
    STORE_DELIVERIES_WAITING_MAX = 10000,
    /* Of one tenant on record, beyond which no test and no replay adds another. */
    STORE_DELIVERIES_ASKED_MAX = 100000,
    STORE_EVENT_TYPE_SIZE = 24,
    STORE_TRIES_MAX = 32, /* of one delivery that are listed */
};

/* ---- endpoints: they hear of all of their tenant's tasks ---- */

struct store_endpoint {
    char id[ID_SHORT_SIZE]; /* whk_<26> */
    char tenant[STORE_NAME_SIZE];
    char *url;
    char *base; /* of links in what it is told, where `public_url` does not say; never NULL */
    int64_t created_ms;
    int64_t disabled_ms; /* 0: enabled */
    char *why;           /* it is disabled; NULL: it is not */
};
void store_endpoint_fini(struct store_endpoint *endpoint);

/* STORE_CONFLICT: the tenant has one of that URL; STORE_NOT_ADMITTED: it has `most` already. */
CHECKED int store_endpoint_add(struct store *store, const struct store_endpoint *endpoint,
                               size_t most);
/* What waits for it will not be sent. STORE_NOT_FOUND: the tenant has none of that id. */
CHECKED int store_endpoint_remove(struct store *store, const char *tenant, const char *id,
                                  int64_t now_ms);
/* STORE_NOT_FOUND as above; 0 also when it was enabled. */
CHECKED int store_endpoint_enable(struct store *store, const char *tenant, const char *id);
/* The tenant's, oldest first; room for STORE_ENDPOINTS_MAX, each the caller's to fini. */
CHECKED int store_endpoints(struct store *store, const char *tenant,
                            struct store_endpoint *ret_endpoints, size_t *ret_count);

/* ---- secrets ---- */

struct store_secret {
    uint8_t bytes[STORE_SECRET_BYTES];
    int64_t created_ms;
    int64_t expires_ms; /* 0: the present one */
};

/* Those of the tenant that sign at `now_ms`, the present one first; it is made when there is none. Room
 * for STORE_SECRETS_MAX. */
CHECKED int store_secrets(struct store *store, const char *tenant, int64_t now_ms,
                          struct store_secret *ret_secrets, size_t *ret_count);
/* Makes a new present one; the one before signs for `overlap_ms` more. More than STORE_SECRETS_MAX - 1 old
 * ones do not: the oldest ends early. */
CHECKED int store_secret_rotate(struct store *store, const char *tenant, int64_t now_ms,
                                int64_t overlap_ms);

/* ---- deliveries ---- */

enum store_delivery_state {
    STORE_DELIVERY_WAITING, /* for its first or next try */
    STORE_DELIVERY_DELIVERED,
    STORE_DELIVERY_GIVEN_UP, /* no further try */
    STORE_DELIVERY_DISABLED, /* the endpoint went away, or wants no more */
    STORE_DELIVERY_STATES,
};
const char *store_delivery_state_name(enum store_delivery_state state);
CHECKED bool store_delivery_state_parse(const char *name, enum store_delivery_state *ret_state);

struct store_delivery {
    char id[ID_SHORT_SIZE]; /* dlv_<26> */
    char event_id
        [ID_SHORT_SIZE]; /* evt_<26>: one for each end of a task, whoever is told, however often */
    char tenant[STORE_NAME_SIZE];
    char endpoint[ID_SHORT_SIZE]; /* whk_<26>; empty: the task's own URL */
    char task_id[ID_SHORT_SIZE];  /* empty: a test */
    char type[STORE_EVENT_TYPE_SIZE];
    char *url, *base;
    enum store_delivery_state state;
    int tries;
    int64_t next_ms;    /* when the next try is due; while it waits */
    int64_t created_ms; /* of the event */
    int64_t ended_ms;   /* 0: it waits */
    char *note;         /* why it ended so; NULL: nothing to say */
    char *body;         /* as sent; NULL: not sent yet, or not asked for */
};
void store_delivery_fini(struct store_delivery *delivery);

/* One more delivery, beside those that ends of tasks make: a test, or a replay. It waits. STORE_NOT_ADMITTED:
 * STORE_DELIVERIES_WAITING_MAX wait, or STORE_DELIVERIES_ASKED_MAX are on record. */
CHECKED int store_delivery_add(struct store *store, const struct store_delivery *delivery);

/* The lanes: receivers that deliveries wait for, with the time of the first that is due; of one tenant, or
 * (NULL) of all. `each` borrows. */
CHECKED int store_lanes(struct store *store, const char *tenant,
                        void (*each)(void *context, const char *tenant, const char *url,
                                     int64_t next_ms),
                        void *context);
/* The oldest event that is due in a lane, body included; STORE_NOT_FOUND: none is. */
CHECKED int store_delivery_next(struct store *store, const char *tenant, const char *url,
                                int64_t now_ms, struct store_delivery *ret_delivery);

struct store_try {
    int number; /* from 1 */
    int64_t at_ms, took_ms;
    int status;   /* HTTP; 0: there was none */
    char *error;  /* NULL: none */
    char *answer; /* the beginning of the body; NULL: none */
};
void store_try_fini(struct store_try *try);

/* What a try came to. */
struct store_tried {
    const char *id, *tenant, *url; /* of the delivery */
    struct store_try try;          /* number 0: nothing was sent, only the end is noted */
    enum store_delivery_state state;
    int64_t next_ms;  /* while it waits on */
    const char *note; /* else; may be NULL */
    const char *body; /* as sent; kept from the first try on */
    /* The receiver wants no more: its endpoint is disabled, and so is all that waits in the lane. */
    bool is_gone;
};

/* In one transaction. `ret_next_ms` is when the lane's next one is due, INT64_MAX when none waits. A delivery
 * that waits no more (its endpoint was removed meanwhile) keeps its end. */
CHECKED int store_delivery_tried(struct store *store, const struct store_tried *tried,
                                 int64_t *ret_next_ms);

struct store_deliveries_query {
    const char *tenant;
    const char *endpoint, *task_id; /* NULL: of any */
    const char *state;              /* a state's name; NULL: any */
    const char *before_id;          /* NULL: from the newest */
    size_t limit;                   /* 1..101 */
};

/* Newest first, without bodies; each the caller's to fini. */
CHECKED int store_deliveries(struct store *store, const struct store_deliveries_query *query,
                             struct store_delivery *ret_deliveries, size_t *ret_count);
/* One of the tenant's with its body, and its tries, the newest STORE_TRIES_MAX, oldest first. STORE_NOT_FOUND. */
CHECKED int store_delivery(struct store *store, const char *tenant, const char *id,
                           struct store_delivery *ret_delivery);
CHECKED int store_tries(struct store *store, const char *delivery_id, struct store_try *ret_tries,
                        size_t *ret_count);
/* Deliveries that ended before `before_ms`, and secrets that expired by `now_ms`, go. For the engine's sweep. */
CHECKED int store_sweep_deliveries(struct store *store, int64_t before_ms, int64_t now_ms);
