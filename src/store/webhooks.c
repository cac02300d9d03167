/* SPDX-License-Identifier: Apache-2.0
 *
 * The front of what the store keeps of webhooks: checks what callers promise and passes on to the
 * backend. Any thread. */
#include "store/webhooks.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "store/backend.h"

enum { DELIVERIES_LIST_MAX = 101 }; /* a page, and whether there is more */

static const char *const state_names[STORE_DELIVERY_STATES] = {
    [STORE_DELIVERY_WAITING] = "waiting",
    [STORE_DELIVERY_DELIVERED] = "delivered",
    [STORE_DELIVERY_GIVEN_UP] = "given_up",
    [STORE_DELIVERY_DISABLED] = "disabled",
};

const char *store_delivery_state_name(enum store_delivery_state state)
{
    must((unsigned)state < STORE_DELIVERY_STATES);
    return state_names[state];
}

bool store_delivery_state_parse(const char *name, enum store_delivery_state *ret_state)
{
    for (size_t i = 0; i < STORE_DELIVERY_STATES; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *ret_state = (enum store_delivery_state)i;
            return true;
        }
    }
    return false;
}

void store_endpoint_fini(struct store_endpoint *endpoint)
{
    free(TAKE(endpoint->url));
    free(TAKE(endpoint->base));
    free(TAKE(endpoint->why));
}

void store_delivery_fini(struct store_delivery *delivery)
{
    free(TAKE(delivery->url));
    free(TAKE(delivery->base));
    free(TAKE(delivery->note));
    free(TAKE(delivery->body));
}

void store_try_fini(struct store_try *try)
{
    free(TAKE(try->error));
    free(TAKE(try->answer));
}

/* ---- endpoints and secrets ---- */

int store_endpoint_add(struct store *store, const struct store_endpoint *endpoint, size_t most)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    must(id_is_typeid(endpoint->id, "whk") && store_is_name(endpoint->tenant));
    must(endpoint->url != NULL && endpoint->base != NULL && most <= STORE_ENDPOINTS_MAX);
    return backend->endpoint_add(self, endpoint, most);
}

int store_endpoint_remove(struct store *store, const char *tenant, const char *id, int64_t now_ms)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    must(now_ms > 0);
    return backend->endpoint_remove(self, tenant, id, now_ms);
}

int store_endpoint_enable(struct store *store, const char *tenant, const char *id)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    return backend->endpoint_enable(self, tenant, id);
}

int store_endpoints(struct store *store, const char *tenant, struct store_endpoint *ret_endpoints,
                    size_t *ret_count)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    return backend->endpoints(self, tenant, ret_endpoints, ret_count);
}

int store_secrets(struct store *store, const char *tenant, int64_t now_ms,
                  struct store_secret *ret_secrets, size_t *ret_count)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    must(now_ms > 0);
    return backend->secrets(self, tenant, now_ms, ret_secrets, ret_count);
}

int store_secret_rotate(struct store *store, const char *tenant, int64_t now_ms, int64_t overlap_ms)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    must(now_ms > 0 && overlap_ms >= 0);
    return backend->secret_rotate(self, tenant, now_ms, overlap_ms);
}

/* ---- deliveries ---- */

int store_delivery_add(struct store *store, const struct store_delivery *delivery)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    must(id_is_typeid(delivery->id, "dlv") && id_is_typeid(delivery->event_id, "evt"));
    must(delivery->url != NULL && delivery->base != NULL && delivery->type[0] != '\0');
    must(delivery->state == STORE_DELIVERY_WAITING);
    return backend->delivery_add(self, delivery);
}

int store_lanes(struct store *store, const char *tenant,
                void (*each)(void *context, const char *tenant, const char *url, int64_t next_ms),
                void *context)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    return backend->lanes(self, tenant, each, context);
}

int store_delivery_next(struct store *store, const char *tenant, const char *url, int64_t now_ms,
                        struct store_delivery *ret_delivery)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    return backend->delivery_next(self, tenant, url, now_ms, ret_delivery);
}

int store_delivery_tried(struct store *store, const struct store_tried *tried, int64_t *ret_next_ms)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    must(tried->try.number >= 0 && tried->try.at_ms > 0);
    return backend->delivery_tried(self, tried, ret_next_ms);
}

int store_deliveries(struct store *store, const struct store_deliveries_query *query,
                     struct store_delivery *ret_deliveries, size_t *ret_count)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    must(query->tenant != NULL && query->limit >= 1 && query->limit <= DELIVERIES_LIST_MAX);
    return backend->deliveries(self, query, ret_deliveries, ret_count);
}

int store_delivery(struct store *store, const char *tenant, const char *id,
                   struct store_delivery *ret_delivery)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    return backend->delivery(self, tenant, id, ret_delivery);
}

int store_tries(struct store *store, const char *delivery_id, struct store_try *ret_tries,
                size_t *ret_count)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    return backend->tries(self, delivery_id, ret_tries, ret_count);
}

int store_sweep_deliveries(struct store *store, int64_t before_ms, int64_t now_ms)
{
    void *self;
    const struct store_backend *backend = store_inside(store, &self);

    return backend->sweep_deliveries(self, before_ms, now_ms);
}
