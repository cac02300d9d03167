/* SPDX-License-Identifier: Apache-2.0
 *
 * Nobody in this world has webhooks: what the engine asks of the outbox finds it empty. */
#include "sim.h"

#include "base/must.h"
#include "store/webhooks.h"

int store_lanes(struct store *store, const char *tenant,
                void (*each)(void *context, const char *tenant, const char *url, int64_t next_ms),
                void *context)
{
    (void)store, (void)tenant, (void)each, (void)context;
    return 0;
}

int store_delivery_next(struct store *store, const char *tenant, const char *url, int64_t now_ms,
                        struct store_delivery *ret_delivery)
{
    (void)store, (void)tenant, (void)url, (void)now_ms, (void)ret_delivery;
    return STORE_NOT_FOUND;
}

int store_secrets(struct store *store, const char *tenant, int64_t now_ms,
                  struct store_secret *ret_secrets, size_t *ret_count)
{
    (void)store, (void)tenant, (void)now_ms, (void)ret_secrets, (void)ret_count;
    must(false);
    return 0;
}

int store_delivery_tried(struct store *store, const struct store_tried *tried, int64_t *ret_next_ms)
{
    (void)store, (void)tried, (void)ret_next_ms;
    must(false);
    return 0;
}

void store_delivery_fini(struct store_delivery *delivery)
{
    (void)delivery;
}

void store_try_fini(struct store_try *try)
{
    (void)try;
}

int store_sweep_deliveries(struct store *store, int64_t before_ms, int64_t now_ms)
{
    (void)store, (void)before_ms, (void)now_ms;
    return 0;
}
