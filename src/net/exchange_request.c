/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to upstreams, from their beginning to what is told of their end.
 *
 * Redirects are followed here, not by curl, as a new transfer: so no header that is secret reaches
 * another origin, by whatever name. Only a GET is redirected. Nothing of a URL but its host enters a
 * note. What curl is told, and what it tells while it works, is exchange_curl.c's. All on the loop's thread. */
#include "net/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/must.h"
#include "net/exchange_check.h"
#include "net/exchange_curl.h"
#include "net/exchange_road.h"

static struct request *request_of(struct exchange *exchange)
{
    return CONTAINER_OF(exchange, struct request, exchange);
}

static bool has_proxy(const struct request *request)
{
    const struct exchange_road *road = request->wish.road;
    return road != NULL && road->proxy != NULL;
}

/* Who judges where it goes now; NULL: nobody. */
static const struct guard *guard_of(const struct request *request)
{
    const struct exchange_request *wish = &request->wish;
    return wish->guard == NULL && request->is_away ? wish->guard_away : wish->guard;
}

static bool is_fit(const struct request *request, const char *url)
{
    return exchange_check_url(url, guard_of(request), has_proxy(request));
}

/* ---- the end ---- */

static void write_unreachable(struct request *request, const char *host, CURLcode code)
{
    char *note = request->exchange.note;
    long proxy_status = 0;
    (void)curl_easy_getinfo(request->exchange.easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (request->fault != NULL)
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s: %s", host, request->fault);
    else if (!request->was_sent && proxy_status >= 300)
        snprintf(note, EXCHANGE_NOTE_SIZE, "the proxy on the way to %s answered with status %ld",
                 host, proxy_status);
    else if (!request->was_sent)
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s cannot be reached: %s", host,
                 curl_easy_strerror(code));
    else
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s broke off %s: %s", host,
                 request->head.is_whole ? "its answer" : "before an answer",
                 curl_easy_strerror(code));
}

static void write_note(struct request *request, enum exchange_end end, CURLcode code)
{
    char host[EXCHANGE_HOST_SIZE];
    char *note = request->exchange.note;
    exchange_find_host(&request->exchange, host);
    switch (end) {
    case EXCHANGE_DONE:
    case EXCHANGE_STATUS:
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s answered with status %d", host,
                 request->head.status);
        return;
    case EXCHANGE_FORBIDDEN:
        snprintf(note, EXCHANGE_NOTE_SIZE,
                 code == CURLE_COULDNT_CONNECT
                     ? "%s may not be reached from here: its address is not allowed"
                     : "%s redirects to a URL that is not allowed",
                 host);
        return;
    case EXCHANGE_TOO_LARGE:
        snprintf(note, EXCHANGE_NOTE_SIZE, "the answer of %s is larger than %lld bytes", host,
                 (long long)request->wish.max_bytes);
        return;
    case EXCHANGE_TIMED_OUT:
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s %s in time", host,
                 request->was_sent ? "did not answer" : "could not be reached");
        return;
    case EXCHANGE_REDIRECTS:
        snprintf(note, EXCHANGE_NOTE_SIZE, "more than %d redirects, the last from %s",
                 request->wish.max_redirects, host);
        return;
    case EXCHANGE_SINK_FAILED:
        snprintf(note, EXCHANGE_NOTE_SIZE, "writing what %s sent failed with errno %d", host,
                 request->exchange.sink_errno);
        return;
    case EXCHANGE_UNREACHABLE:
        write_unreachable(request, host, code);
        return;
    }
    must(false);
}

static enum exchange_end end_of_code(struct request *request, CURLcode code)
{
    const struct exchange *exchange = &request->exchange;
    if (exchange->is_ended)
        return exchange->end;
    int number = (int)code; /* far more codes than matter here: no exhaustive switch */
    switch (number) {
    case CURLE_OK:
        if (request->head.is_whole)
            return EXCHANGE_DONE;
        request->fault = "its answer ended within the headers"; /* fine with curl */
        return EXCHANGE_UNREACHABLE;
    case CURLE_COULDNT_CONNECT:
        return exchange->was_refused && !exchange->was_dialled ? EXCHANGE_FORBIDDEN
                                                               : EXCHANGE_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return EXCHANGE_TIMED_OUT;
    default:
        return EXCHANGE_UNREACHABLE;
    }
}

/* The request is gone afterwards. `note` is written. */
static void deliver(struct request *request, enum exchange_end end)
{
    struct exchange *exchange = &request->exchange;
    struct exchange_answer answer = {
        .end = end,
        .status = request->head.status,
        .was_never_sent = !request->was_sent,
        .has_headers = request->head.is_whole,
        .body_bytes = exchange->body_bytes,
        .body = request->wish.open_sink != NULL ? buf_text(&request->small) : NULL,
        .headers = request->head.headers,
        .n_headers = request->head.n_headers,
        .note = exchange->note,
        .blocked = exchange_blocked(exchange, end),
    };
    if (answer.has_headers)
        answer.retry_after_ms =
            exchange_head_retry_after_ms(&request->head, clock_wall_ms() / 1000);
    exchange->is_delivering = true;
    request->wish.done(request->wish.context, &answer);
    exchange_free(exchange);
}

static void end_with(struct request *request, enum exchange_end end, CURLcode code)
{
    write_note(request, end, code);
    deliver(request, end);
}

static void refuse(struct exchange *exchange)
{
    deliver(request_of(exchange), exchange->end);
}

static void fini(struct exchange *exchange)
{
    struct request *request = request_of(exchange);
    curl_slist_free_all(request->lines);
    for (size_t i = 0; i < request->wish.n_headers && request->headers != NULL; i++) {
        free((void *)(uintptr_t)request->headers[i].name);
        free((void *)(uintptr_t)request->headers[i].value);
    }
    free(request->headers);
    free(request->are_secret);
    free(request->url);
    free(request->method);
    buf_fini(&request->small);
    exchange_head_fini(&request->head);
}

/* ---- redirects ---- */

/* The proxy is the operator's. A connection that was kept is dialled no more, and so not judged. */
static CURLcode set_guard(struct request *request)
{
    struct exchange *exchange = &request->exchange;
    const struct guard *guard = guard_of(request);
    exchange->guard = has_proxy(request) ? NULL : guard;
    return guard != NULL ? exchange_go_alone(exchange) : CURLE_OK;
}

/* The next hop is under way; or what stands in the way. */
static enum exchange_end follow(struct request *request)
{
    struct exchange *exchange = &request->exchange;
    const char *found = NULL;
    if (request->n_redirects == request->wish.max_redirects)
        return EXCHANGE_REDIRECTS;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_REDIRECT_URL, &found);
    if (found == NULL)
        return EXCHANGE_FORBIDDEN;
    request->is_away = request->is_away || !exchange_check_same_origin(request->url, found);
    if (!is_fit(request, found))
        return EXCHANGE_FORBIDDEN;
    char *url = must_strdup(found); /* at most EXCHANGE_URL_MAX */
    free(request->url);
    request->url = url;
    request->n_redirects++;
    exchange_leave(exchange);
    exchange_head_fini(&request->head);
    exchange->body_bytes = 0;
    request->body_at = 0;
    request->was_hop_sent = false;
    exchange->was_refused = exchange->was_dialled = false;
    exchange->blocked[0] = '\0';
    if (set_guard(request) != CURLE_OK || exchange_curl_set_hop(request) != CURLE_OK ||
        exchange_join(exchange) < 0) {
        request->fault = "its redirect cannot be followed";
        return EXCHANGE_UNREACHABLE;
    }
    return EXCHANGE_DONE;
}

static void finish(struct exchange *exchange, CURLcode code)
{
    struct request *request = request_of(exchange);
    enum exchange_end end = end_of_code(request, code);
    if (end == EXCHANGE_DONE && request->is_redirect) {
        request->is_redirect = false;
        end = follow(request);
        if (end == EXCHANGE_DONE)
            return;
    }
    end_with(request, end, code);
}

static const struct exchange_kind kind = {
    .finish = finish,
    .refuse = refuse,
    .fini = fini,
    .index = EXCHANGE_KIND_REQUEST,
    .most = EXCHANGE_REQUESTS_MAX,
};

/* ---- the beginning ---- */

/* Authorization and cookies are secret whether they are named or not. */
static bool is_secret(const struct exchange_request *wish, const char *name)
{
    if (strcasecmp(name, "Authorization") == 0 || strcasecmp(name, "Cookie") == 0)
        return true;
    for (const char *const *secret = wish->secrets; secret != NULL && *secret != NULL; secret++) {
        if (strcasecmp(*secret, name) == 0)
            return true;
    }
    return false;
}

static void keep(struct request *request, const struct exchange_request *wish)
{
    request->wish = *wish;
    request->url = must_strdup(wish->url);
    request->method = must_strdup(wish->method);
    buf_init(&request->small, (size_t)wish->memory_bytes);
    request->headers = must_calloc(wish->n_headers + 1, sizeof(*request->headers));
    request->are_secret = must_calloc(wish->n_headers + 1, sizeof(*request->are_secret));
    for (size_t i = 0; i < wish->n_headers; i++) {
        request->headers[i].name = must_strdup(wish->headers[i].name);
        request->headers[i].value = must_strdup(wish->headers[i].value);
        request->are_secret[i] = is_secret(wish, wish->headers[i].name);
    }
    /* borrowed until we return */
    request->wish.url = request->wish.method = NULL;
    request->wish.headers = NULL;
    request->wish.secrets = NULL;
}

static void refuse_with(struct request *request, enum exchange_end end, const char *note)
{
    request->exchange.end = end;
    snprintf(request->exchange.note, EXCHANGE_NOTE_SIZE, "%s", note);
    exchange_refuse(&request->exchange);
}

/* 0, or negative errno with what was made so far left to the caller. */
static int start(struct request *request)
{
    struct exchange *exchange = &request->exchange;
    if (!is_fit(request, request->url)) {
        refuse_with(request, EXCHANGE_FORBIDDEN,
                    "the URL is not fit to be asked for: http or https, a host that may be "
                    "reached from here, no user name");
        return 0;
    }
    exchange->easy = exchange_easy_new(exchange);
    if (exchange->easy == NULL || exchange_curl_set(request) != CURLE_OK ||
        exchange_curl_set_hop(request) != CURLE_OK)
        return -ENOMEM;
    if (!exchange_road_set(exchange->easy, request->wish.road)) {
        refuse_with(request, EXCHANGE_UNREACHABLE,
                    "the channel's file of authorities cannot be read");
        return 0;
    }
    return exchange_join(exchange);
}

int exchange_send(struct exchange_pool *pool, const struct exchange_request *wish,
                  struct exchange **ret_exchange)
{
    must(wish->url != NULL && wish->method != NULL && wish->done != NULL);
    must(wish->max_bytes > 0 && wish->connect_ms > 0 && wish->total_ms > 0);
    must(wish->max_redirects >= 0 && wish->sink_offset >= 0 && wish->memory_bytes >= 0);
    must(wish->open_sink == NULL || (wish->sink < 0 && wish->sink_offset == 0));
    if (!exchange_check_request(wish))
        return -EINVAL;
    bool is_alone = wish->is_fresh || wish->guard != NULL;
    struct request *request = must_calloc(1, sizeof(*request));
    int r = exchange_link(pool, is_alone ? EXCHANGE_LINE_ALONE : EXCHANGE_LINE_POOLED, &kind,
                          &request->exchange);
    if (r < 0) {
        free(request);
        return r;
    }
    keep(request, wish);
    request->exchange.guard = has_proxy(request) ? NULL : wish->guard;
    request->deadline_ms = clock_mono_ms() + wish->total_ms;
    r = start(request);
    if (r < 0) {
        exchange_free(&request->exchange);
        return r;
    }
    *ret_exchange = &request->exchange;
    return 0;
}
