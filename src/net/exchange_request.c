/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to upstreams.
 *
 * Money hangs on two questions. Was it sent twice? libcurl sends a request again, a POST too, when
 * a connection that it had kept closes before the first byte of an answer. A submit therefore runs
 * where no connection is kept, and on_send() refuses to let it go out a second time. Was it sent
 * at all? on_send() is called when the connection stands, its TLS included, before the first byte:
 * while it was not called, the upstream cannot know of the request.
 *
 * Redirects are followed here, not by curl, as a new transfer: so no header that is secret reaches
 * another origin, by whatever name. Only a GET is redirected. Nothing of a URL but its host enters a
 * note. All on the loop's thread. */
#include "net/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"
#include "net/exchange_check.h"
#include "net/exchange_head.h"
#include "net/exchange_pool.h"
#include "net/exchange_road.h"

enum { KEEPALIVE_S = 30 }; /* an answer may take minutes, and a NAT forgets */

struct request {
    struct exchange exchange;
    struct exchange_request wish; /* without url, method, headers and secrets */
    char *url;                    /* of the present hop */
    char *method;
    struct exchange_header *headers; /* owned, with their texts */
    bool *are_secret;                /* of the headers */
    struct curl_slist *lines;        /* the headers as curl takes them */
    struct exchange_head head;
    int64_t deadline_ms;
    int64_t body_at; /* read of the request's body */
    int n_redirects;
    bool is_away;      /* a redirect led to another origin: secrets stay behind for good */
    bool was_sent;     /* on_send() let it go */
    bool was_hop_sent; /* the same, of the present hop */
    bool is_redirect;  /* the present answer is one that we follow */
    bool is_speed_watched;
    const char *fault; /* what broke it off, for the note; NULL: curl's word, or `end` says all */
};

static struct request *request_of(struct exchange *exchange)
{
    return CONTAINER_OF(exchange, struct request, exchange);
}

static bool is_fit(const struct request *request, const char *url)
{
    const struct exchange_road *road = request->wish.road;
    return exchange_check_url(url, request->wish.guard, road != NULL && road->proxy != NULL);
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
        .headers = request->head.headers,
        .n_headers = request->head.n_headers,
        .note = exchange->note,
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
    exchange_head_fini(&request->head);
}

/* ---- redirects ---- */

static bool is_redirect_status(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static CURLcode set_hop(struct request *request);

/* The next hop is under way; or what stands in the way. */
static enum exchange_end follow(struct request *request)
{
    struct exchange *exchange = &request->exchange;
    const char *found = NULL;
    if (request->n_redirects == request->wish.max_redirects)
        return EXCHANGE_REDIRECTS;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_REDIRECT_URL, &found);
    if (found == NULL || !is_fit(request, found))
        return EXCHANGE_FORBIDDEN;
    char *url = must_strdup(found); /* at most EXCHANGE_URL_MAX */
    request->is_away = request->is_away || !exchange_check_same_origin(request->url, url);
    free(request->url);
    request->url = url;
    request->n_redirects++;
    exchange_leave(exchange);
    exchange_head_fini(&request->head);
    exchange->body_bytes = 0;
    request->body_at = 0;
    request->was_hop_sent = false;
    exchange->was_refused = exchange->was_dialled = false;
    if (set_hop(request) != CURLE_OK || exchange_join(exchange) < 0) {
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

/* ---- curl's callbacks ---- */

static int on_send(void *context, char *address, char *own_address, int port, int own_port)
{
    struct request *request = context;
    (void)address;
    (void)own_address;
    (void)port;
    (void)own_port;
    if (request->wish.is_fresh && request->was_hop_sent) {
        request->fault = "a second sending was prevented";
        (void)exchange_break_off(&request->exchange, EXCHANGE_UNREACHABLE);
        return CURL_PREREQFUNC_ABORT;
    }
    request->was_sent = request->was_hop_sent = true;
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct request *request = context;
    if (!exchange_count_header(&request->exchange, size * count)) {
        request->fault = "its headers are too large";
        return exchange_break_off(&request->exchange, EXCHANGE_UNREACHABLE);
    }
    exchange_head_line(&request->head, data, size * count);
    request->is_redirect = request->head.is_whole && request->wish.max_redirects > 0 &&
                           is_redirect_status(request->head.status) &&
                           strcmp(request->method, "GET") == 0 &&
                           exchange_head_value(&request->head, "location") != NULL;
    return size * count;
}

/* 0 or the errno. */
static int write_at(int fd, const char *data, size_t length, int64_t offset)
{
    while (length > 0) {
        ssize_t written = pwrite(fd, data, length, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : EIO;
        data += written;
        length -= (size_t)written;
        offset += written;
    }
    return 0;
}

/* Slowness counts from the body's first byte on: until then an upstream may be rendering. A submit
 * has its deadline alone, as what is broken off there may have been paid. */
static void watch_speed(struct request *request)
{
    if (!request->is_speed_watched && !request->wish.is_fresh)
        (void)exchange_watch_speed(&request->exchange);
    request->is_speed_watched = true;
}

static bool is_announced_too_large(const struct request *request)
{
    curl_off_t announced = -1;
    (void)curl_easy_getinfo(request->exchange.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    return announced > request->wish.max_bytes;
}

/* 0 or the errno. */
static int write_body(struct request *request, const char *data, size_t length)
{
    struct exchange_request *wish = &request->wish;
    const int64_t at = request->exchange.body_bytes;
    if (wish->outgrow != NULL && at + (int64_t)length > wish->sink_most) {
        wish->sink = wish->outgrow(wish->context, at);
        wish->outgrow = NULL;
        if (wish->sink < 0)
            return -wish->sink;
    }
    return write_at(wish->sink, data, length, wish->sink_offset + at);
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct request *request = context;
    struct exchange *exchange = &request->exchange;
    size_t length = size * count;
    watch_speed(request);
    if ((int64_t)length > request->wish.max_bytes - exchange->body_bytes ||
        is_announced_too_large(request))
        return exchange_break_off(exchange, EXCHANGE_TOO_LARGE);
    if (request->wish.sink >= 0 && !request->is_redirect)
        exchange->sink_errno = write_body(request, data, length);
    if (exchange->sink_errno != 0)
        return exchange_break_off(exchange, EXCHANGE_SINK_FAILED);
    exchange->body_bytes += (int64_t)length;
    return length;
}

static size_t on_read(char *data, size_t size, size_t count, void *context)
{
    struct request *request = context;
    int64_t left = request->wish.body_bytes - request->body_at;
    size_t length = size * count;
    ssize_t got;
    if ((int64_t)length > left)
        length = (size_t)left;
    if (length == 0)
        return 0;
    do
        got = pread(request->wish.body, data, length, (off_t)request->body_at);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        request->fault = "the body of the request cannot be read";
        (void)exchange_break_off(&request->exchange, EXCHANGE_UNREACHABLE);
        return CURL_READFUNC_ABORT;
    }
    request->body_at += got;
    return (size_t)got;
}

/* curl rewinds when it sends again what a kept connection did not take. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct request *request = context;
    if (origin != SEEK_SET || offset < 0 || offset > request->wish.body_bytes)
        return CURL_SEEKFUNC_CANTSEEK;
    request->body_at = offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- options ---- */

static bool add_line(struct request *request, const char *line)
{
    struct curl_slist *lines = curl_slist_append(request->lines, line);
    if (lines == NULL)
        return false;
    request->lines = lines;
    return true;
}

static bool add_header(struct request *request, const struct exchange_header *header)
{
    size_t length = strlen(header->name) + strlen(header->value) + 3;
    CLEANUP(free_pointer) char *line = must_calloc(1, length);
    /* `Name:` would take a header of curl's away; `Name;` is how curl spells an empty one. */
    bool is_empty = header->value[strspn(header->value, " \t")] == '\0';
    snprintf(line, length, is_empty ? "%s;%s" : "%s: %s", header->name,
             is_empty ? "" : header->value);
    return add_line(request, line);
}

static bool set_lines(struct request *request)
{
    curl_slist_free_all(request->lines);
    request->lines = NULL;
    for (size_t i = 0; i < request->wish.n_headers; i++) {
        if (request->is_away && request->are_secret[i])
            continue;
        if (!add_header(request, &request->headers[i]))
            return false;
    }
    return add_line(request, "Expect:");
}

/* What differs from hop to hop. */
static CURLcode set_hop(struct request *request)
{
    CURL *easy = request->exchange.easy;
    CURLcode code = CURLE_OK;
    int64_t left_ms = request->deadline_ms - clock_mono_ms();
    if (!set_lines(request))
        return CURLE_OUT_OF_MEMORY;
    EXCHANGE_SET(code, easy, CURLOPT_URL, request->url);
    EXCHANGE_SET(code, easy, CURLOPT_HTTPHEADER, request->lines);
    EXCHANGE_SET(code, easy, CURLOPT_TIMEOUT_MS, (long)(left_ms > 0 ? left_ms : 1));
    return code;
}

static bool has_body(const struct request *request)
{
    bool is_expected =
        strcmp(request->method, "GET") != 0 && strcmp(request->method, "DELETE") != 0;
    return request->wish.body >= 0 || is_expected;
}

static CURLcode set_body(struct request *request)
{
    CURL *easy = request->exchange.easy;
    CURLcode code = CURLE_OK;
    EXCHANGE_SET(code, easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (!has_body(request))
        return code;
    EXCHANGE_SET(code, easy, CURLOPT_UPLOAD, 1L);
    EXCHANGE_SET(code, easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->wish.body_bytes);
    EXCHANGE_SET(code, easy, CURLOPT_READFUNCTION, on_read);
    EXCHANGE_SET(code, easy, CURLOPT_READDATA, request);
    EXCHANGE_SET(code, easy, CURLOPT_SEEKFUNCTION, on_seek);
    EXCHANGE_SET(code, easy, CURLOPT_SEEKDATA, request);
    return code;
}

static CURLcode set_options(struct request *request)
{
    CURL *easy = request->exchange.easy;
    CURLcode code = set_body(request);
    EXCHANGE_SET(code, easy, CURLOPT_FOLLOWLOCATION, 0L);
    EXCHANGE_SET(code, easy, CURLOPT_PATH_AS_IS, 1L); /* it may be signed */
    EXCHANGE_SET(code, easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->wish.connect_ms);
    EXCHANGE_SET(code, easy, CURLOPT_TCP_KEEPALIVE, 1L);
    EXCHANGE_SET(code, easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    EXCHANGE_SET(code, easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    EXCHANGE_SET(code, easy, CURLOPT_PREREQFUNCTION, on_send);
    EXCHANGE_SET(code, easy, CURLOPT_PREREQDATA, request);
    EXCHANGE_SET(code, easy, CURLOPT_HEADERFUNCTION, on_header);
    EXCHANGE_SET(code, easy, CURLOPT_HEADERDATA, request);
    EXCHANGE_SET(code, easy, CURLOPT_WRITEFUNCTION, on_body);
    EXCHANGE_SET(code, easy, CURLOPT_WRITEDATA, request);
    /* A proxy learns nothing of the headers, and what it says is no answer. */
    EXCHANGE_SET(code, easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    EXCHANGE_SET(code, easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    return code;
}

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
    if (exchange->easy == NULL || set_options(request) != CURLE_OK || set_hop(request) != CURLE_OK)
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
    must(wish->max_redirects >= 0 && wish->sink_offset >= 0);
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
    bool has_proxy = wish->road != NULL && wish->road->proxy != NULL;
    request->exchange.guard = has_proxy ? NULL : wish->guard; /* the proxy is the operator's */
    request->deadline_ms = clock_mono_ms() + wish->total_ms;
    r = start(request);
    if (r < 0) {
        exchange_free(&request->exchange);
        return r;
    }
    *ret_exchange = &request->exchange;
    return 0;
}
