/* SPDX-License-Identifier: Apache-2.0
 *
 * The network: a request leaves, arrives or does not, is answered or not, and its answer comes back or does not. Once it has
 * left, nothing that happens to the gateway stops it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

#include "base/must.h"
#include "net/exchange.h"

enum { UNDER_WAY_MAX = 1024 };

struct exchange_pool {
    struct node *node;
    struct exchange *first;
};

/* The gateway's end. */
struct exchange {
    struct exchange_pool *pool;
    struct exchange *next, *previous;
    struct loop_timer timer; /* brings the end */
    struct flight *flight;   /* NULL once the answer is here, or will never be */
    void (*done)(void *context, const struct exchange_answer *answer);
    void *context;
    int sink;
    bool may_keep;
    int64_t sink_offset, memory_bytes, total_ms;
    enum exchange_end end;
    bool was_never_sent, is_in_done;
    struct wire wire; /* the answer */
};

/* A request on its way, and back. */
struct flight {
    struct loop_timer timer;
    struct exchange *exchange; /* NULL: nobody waits any more */
    struct wire wire;
};

/* ---- the gateway's end ---- */

static struct exchange *drop(struct exchange *exchange)
{
    struct exchange_pool *pool = exchange->pool;
    *(exchange->previous ? &exchange->previous->next : &pool->first) = exchange->next;
    if (exchange->next) {
        exchange->next->previous = exchange->previous;
    }
    if (exchange->flight) {
        exchange->flight->exchange = NULL;
    }
    loop_disarm(NULL, &exchange->timer);
    free(exchange->wire.answer);
    free(exchange);
    return NULL;
}

struct exchange *exchange_stop(struct exchange *exchange)
{
    return exchange && !exchange->is_in_done ? drop(exchange) : NULL;
}

static int64_t write_body(const struct exchange *exchange)
{
    const struct wire *wire = &exchange->wire;
    size_t bytes = wire->is_cut ? wire->answer_bytes / 2 : wire->answer_bytes;
    if (exchange->sink >= 0 && bytes > 0) {
        must(pwrite(exchange->sink, wire->answer, bytes, exchange->sink_offset) == (ssize_t)bytes);
    }
    return (int64_t)bytes;
}

static void on_end(struct loop_timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, timer);
    const struct wire *wire = &exchange->wire;
    char range[60];
    if (node_dies(exchange->pool->node, "before an answer is read")) {
        return;
    }
    snprintf(range, sizeof range, "bytes %zu-%zu/*", wire->answer_from,
             wire->answer_from + wire->answer_bytes);
    const struct exchange_header headers[] = {{"etag", "\"one\""}, {"content-range", range}};
    const bool is_answer = exchange->end == EXCHANGE_DONE && wire->status > 0;
    struct exchange_answer answer = {
        .end = is_answer && wire->is_cut ? EXCHANGE_UNREACHABLE : exchange->end,
        .status = is_answer ? wire->status : 0,
        .has_headers = is_answer,
        .was_never_sent = exchange->was_never_sent,
        .headers = headers,
        .n_headers = is_answer ? ARRAY_LENGTH(headers) : 0,
        .retry_after_ms = is_answer ? wire->retry_after_ms : 0,
        .note = "as the world had it",
    };
    answer.body_bytes = is_answer ? write_body(exchange) : 0;
    must(!exchange->may_keep || answer.body_bytes <= exchange->memory_bytes);
    answer.body = !exchange->may_keep ? NULL : is_answer && wire->answer ? wire->answer : "";
    world_trace("node %d: %s %s: %s%ld", exchange->pool->node->number, wire->method, wire->path,
                is_answer ? "" : "no answer, ", answer.status);
    if (is_answer || answer.was_never_sent) {
        watch_answer(exchange->pool->node, wire, answer.was_never_sent);
    }
    exchange->is_in_done = true;
    exchange->done(exchange->context, &answer);
    drop(exchange);
}

static void end_in(struct exchange *exchange, enum exchange_end end, int64_t delay_ms)
{
    exchange->end = end;
    exchange->timer.fire = on_end;
    world_arm(&exchange->timer, delay_ms);
}

/* ---- the way ---- */

static int64_t latency_ms(void)
{
    return world_chance(20) ? world_between(200, 8000) : world_between(5, 150);
}

static void end_flight(struct flight *flight)
{
    free(flight->wire.body);
    free(flight->wire.answer);
    free(flight);
}

static void on_arrival(struct loop_timer *timer)
{
    struct flight *flight = CONTAINER_OF(timer, struct flight, timer);
    struct exchange *exchange = flight->exchange;
    vendor_answer(&flight->wire);
    if (exchange) {
        bool is_lost = world_fault(exchange->pool->node->world->faults.lost_answer);
        exchange->flight = NULL;
        exchange->wire = flight->wire;
        exchange->wire.body = NULL;
        flight->wire.answer = NULL;
        if (exchange->wire.status == 0 || (is_lost && world_chance(500))) {
            exchange->wire.status = 0;
            end_in(exchange, EXCHANGE_UNREACHABLE, latency_ms());
        } else if (is_lost) {
            exchange->wire.status = 0;
            end_in(exchange, EXCHANGE_TIMED_OUT, exchange->total_ms);
        } else {
            end_in(exchange, EXCHANGE_DONE, latency_ms());
        }
    }
    end_flight(flight);
}

static const char *header_of(const struct exchange_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) {
            return request->headers[i].value;
        }
    }
    return "";
}

static char *body_of(const struct exchange_request *request)
{
    char *body = must_calloc(1, (size_t)request->body_bytes + 1);
    must(request->body_bytes == 0 ||
         pread(request->body, body, (size_t)request->body_bytes, 0) == request->body_bytes);
    return body;
}

static void read_request(const struct exchange_request *request, struct node *node,
                         struct wire *ret_wire)
{
    const char *path = strchr(strstr(request->url, "://") + 3, '/');
    *ret_wire = (struct wire){.node = node, .body = body_of(request)};
    snprintf(ret_wire->method, sizeof ret_wire->method, "%s", request->method);
    snprintf(ret_wire->path, sizeof ret_wire->path, "%s", path);
    snprintf(ret_wire->range, sizeof ret_wire->range, "%s", header_of(request, "range"));
    ret_wire->credential = vendor_credential(header_of(request, "authorization"));
}

int exchange_send(struct exchange_pool *pool, const struct exchange_request *request,
                  struct exchange **ret_exchange)
{
    struct exchange *exchange = must_calloc(1, sizeof *exchange);
    *exchange = (struct exchange){.pool = pool,
                                  .next = pool->first,
                                  .done = request->done,
                                  .context = request->context,
                                  .sink = request->sink,
                                  .may_keep = request->open_sink != NULL,
                                  .sink_offset = request->sink_offset,
                                  .memory_bytes = request->memory_bytes,
                                  .total_ms = request->total_ms};
    if (pool->first) {
        pool->first->previous = exchange;
    }
    pool->first = exchange;
    *ret_exchange = exchange;
    if (node_dies(pool->node, "before a request leaves")) {
        return 0;
    }
    struct flight *flight = must_calloc(1, sizeof *flight);
    read_request(request, pool->node, &flight->wire);
    exchange->wire = flight->wire;
    exchange->wire.body = NULL;
    bool buys = strcmp(flight->wire.method, "POST") == 0 && strcmp(flight->wire.path, "/jobs") == 0;
    must(!buys || request->is_fresh);
    watch_send(pool->node, &flight->wire);
    memcpy(exchange->wire.attempt, flight->wire.attempt, sizeof exchange->wire.attempt);
    if (vendor_is_down(flight->wire.credential)) {
        exchange->was_never_sent = true;
        end_in(exchange, EXCHANGE_UNREACHABLE, latency_ms());
        end_flight(flight);
        return 0;
    }
    flight->exchange = exchange;
    exchange->flight = flight;
    flight->timer.fire = on_arrival;
    world_arm(&flight->timer, latency_ms());
    (void)node_dies(pool->node, "after a request left");
    return 0;
}

int exchange_fetch(struct exchange_pool *pool, const struct exchange_fetch *fetch,
                   struct exchange **ret_exchange)
{
    (void)pool, (void)fetch, (void)ret_exchange;
    return -EAGAIN; /* no task here has an image */
}

bool exchange_takes_header(const struct exchange_header *header)
{
    (void)header;
    return true;
}

/* ---- the pool ---- */

int exchange_pool_new(struct loop *loop, struct exchange_pool **ret_pool)
{
    struct exchange_pool *pool = must_calloc(1, sizeof *pool);
    pool->node = loop_node(loop);
    *ret_pool = pool;
    return 0;
}

struct exchange_pool *exchange_pool_free(struct exchange_pool *pool)
{
    while (pool && pool->first) {
        drop(pool->first);
    }
    free(pool);
    return NULL;
}
