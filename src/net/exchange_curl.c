/* SPDX-License-Identifier: Apache-2.0
 *
 * A request as curl sees it: its options, and what curl asks and tells while it works.
 *
 * Money hangs on two questions. Was it sent twice? libcurl sends a request again, a POST too, when
 * a connection that it had kept closes before the first byte of an answer. A submit therefore runs
 * where no connection is kept, and on_send() refuses to let it go out a second time. Was it sent
 * at all? on_send() is called when the connection stands, its TLS included, before the first byte:
 * while it was not called, the upstream cannot know of the request. All on the loop's thread. */
#include "net/exchange_curl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/must.h"

enum { KEEPALIVE_S = 30 }; /* an answer may take minutes, and a NAT forgets */

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

static bool is_redirect_status(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
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
    struct buf *small = &request->small;
    const int64_t at = wish->sink_offset + request->exchange.body_bytes;
    if (wish->open_sink == NULL)
        return write_at(wish->sink, data, length, at);
    buf_add(small, data, length);
    if (!small->overflowed)
        return 0;
    wish->sink = wish->open_sink(wish->context);
    wish->open_sink = NULL;
    if (wish->sink < 0)
        return -wish->sink;
    int error = write_at(wish->sink, buf_text(small), small->length, wish->sink_offset);
    buf_fini(small);
    return error != 0 ? error : write_at(wish->sink, data, length, at);
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
    if ((request->wish.sink >= 0 || request->wish.open_sink != NULL) && !request->is_redirect)
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
CURLcode exchange_curl_set_hop(struct request *request)
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

CURLcode exchange_curl_set(struct request *request)
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
