/* SPDX-License-Identifier: Apache-2.0
 *
 * Guarded downloads of strangers' URLs.
 *
 * The address is judged when a socket is asked for, after resolution. curl does not ask for
 * pooled connections, so no transfer uses one or leaves one behind. What curl says of a refusal
 * is only that it could not connect; the exchange itself remembers what the guard said. Nothing
 * of a URL but its host enters a note. All on the loop's thread. */
#include "net/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "net/exchange_pool.h"

struct fetch {
    struct exchange exchange;
    struct exchange_fetch wish; /* without its url */
    bool has_headers;           /* all those of the last answer came */
};

static struct fetch *fetch_of(struct exchange *exchange)
{
    return CONTAINER_OF(exchange, struct fetch, exchange);
}

/* The exchange is gone afterwards. */
static void deliver(struct fetch *fetch, const struct exchange_result *result)
{
    fetch->exchange.is_delivering = true;
    fetch->wish.done(fetch->wish.context, result);
    exchange_free(&fetch->exchange);
}

static enum exchange_end end_of_code(const struct fetch *fetch, CURLcode code, long status)
{
    const struct exchange *exchange = &fetch->exchange;
    if (exchange->is_ended)
        return exchange->end;
    int number = (int)code; /* far more codes than matter here: no exhaustive switch */
    switch (number) {
    case CURLE_OK:
        if (!fetch->has_headers) /* broken off within them: fine with curl */
            return EXCHANGE_UNREACHABLE;
        return status >= 200 && status < 300 ? EXCHANGE_DONE : EXCHANGE_STATUS;
    case CURLE_COULDNT_CONNECT:
        return exchange->was_refused && !exchange->was_dialled ? EXCHANGE_FORBIDDEN
                                                               : EXCHANGE_UNREACHABLE;
    case CURLE_UNSUPPORTED_PROTOCOL: /* a redirect's scheme, or an answer that is not HTTP */
        return exchange->was_dialled ? EXCHANGE_UNREACHABLE : EXCHANGE_FORBIDDEN;
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: /* a redirect with a user name */
        return EXCHANGE_FORBIDDEN;
    case CURLE_FILESIZE_EXCEEDED:
        return status >= 200 && status < 300 ? EXCHANGE_TOO_LARGE : EXCHANGE_STATUS;
    case CURLE_OPERATION_TIMEDOUT:
        return EXCHANGE_TIMED_OUT;
    case CURLE_TOO_MANY_REDIRECTS:
        return EXCHANGE_REDIRECTS;
    default:
        return EXCHANGE_UNREACHABLE;
    }
}

static void write_note(struct fetch *fetch, enum exchange_end end, CURLcode code, long status)
{
    struct exchange *exchange = &fetch->exchange;
    char host[EXCHANGE_HOST_SIZE];
    char *note = exchange->note;
    exchange_find_host(exchange, host);
    switch (end) {
    case EXCHANGE_DONE:
        snprintf(note, EXCHANGE_NOTE_SIZE, "fetched %lld bytes", (long long)exchange->body_bytes);
        return;
    case EXCHANGE_STATUS:
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s answered with status %ld", host, status);
        return;
    case EXCHANGE_FORBIDDEN:
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s may not be reached from here: its %s is not allowed",
                 host, code == CURLE_COULDNT_CONNECT ? "address" : "URL");
        return;
    case EXCHANGE_TOO_LARGE:
        snprintf(note, EXCHANGE_NOTE_SIZE, "the answer of %s is larger than %lld bytes", host,
                 (long long)fetch->wish.max_bytes);
        return;
    case EXCHANGE_TIMED_OUT:
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s did not answer in time", host);
        return;
    case EXCHANGE_REDIRECTS:
        snprintf(note, EXCHANGE_NOTE_SIZE, "more than %d redirects, the last from %s",
                 fetch->wish.max_redirects, host);
        return;
    case EXCHANGE_SINK_FAILED:
        snprintf(note, EXCHANGE_NOTE_SIZE, "writing what %s sent failed with errno %d", host,
                 exchange->sink_errno);
        return;
    case EXCHANGE_UNREACHABLE:
        snprintf(note, EXCHANGE_NOTE_SIZE, "%s cannot be fetched from: %s", host,
                 exchange->is_ended ? "its headers are too large"
                 : code == CURLE_OK ? "its answer ended within the headers"
                                    : curl_easy_strerror(code));
        return;
    }
    must(false);
}

static void finish(struct exchange *exchange, CURLcode code)
{
    struct fetch *fetch = fetch_of(exchange);
    struct exchange_result result = {.body_bytes = exchange->body_bytes, .note = exchange->note};
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &result.status);
    result.end = end_of_code(fetch, code, result.status);
    write_note(fetch, result.end, code, result.status);
    result.blocked = exchange_blocked(exchange, result.end);
    deliver(fetch, &result);
}

static void refuse(struct exchange *exchange)
{
    struct exchange_result result = {.end = EXCHANGE_FORBIDDEN, .note = exchange->note};
    deliver(fetch_of(exchange), &result);
}

static const struct exchange_kind kind = {
    .finish = finish,
    .refuse = refuse,
    .index = EXCHANGE_KIND_FETCH,
    .most = EXCHANGE_FETCHES_MAX,
};

/* An empty line ends the headers, a status line begins those of another answer. What comes after the body is neither. */
static void note_line(struct fetch *fetch, const char *line, size_t length)
{
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
        fetch->has_headers = false;
    else if (length > 0 && (line[0] == '\r' || line[0] == '\n'))
        fetch->has_headers = true;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    struct exchange *exchange = &fetch->exchange;
    note_line(fetch, data, size * count);
    /* Somebody answered: whatever is dialled from here on belongs to a redirect. */
    exchange->was_refused = false;
    exchange->was_dialled = false;
    exchange->blocked[0] = '\0';
    if (!exchange_count_header(exchange, size * count))
        return exchange_break_off(exchange, EXCHANGE_UNREACHABLE);
    return size * count;
}

/* Bodies of redirects, which curl reads past without on_body(), have the same ceiling. */
static int on_progress(void *context, curl_off_t expected, curl_off_t received, curl_off_t to_send,
                       curl_off_t sent)
{
    struct fetch *fetch = context;
    (void)expected;
    (void)to_send;
    (void)sent;
    if (fetch->exchange.is_ended || received <= fetch->wish.max_bytes)
        return 0;
    (void)exchange_break_off(&fetch->exchange, EXCHANGE_TOO_LARGE);
    return 1;
}

/* 0 or the errno. */
static int write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : EIO;
        data += written;
        length -= (size_t)written;
    }
    return 0;
}

/* Takes the body of a 2xx answer alone: curl keeps the bodies of redirects from us, and of any
 * other answer the status is enough. */
static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    struct exchange *exchange = &fetch->exchange;
    size_t length = size * count;
    long status = 0;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status >= 300)
        return exchange_break_off(exchange, EXCHANGE_STATUS);
    if ((int64_t)length > fetch->wish.max_bytes - exchange->body_bytes)
        return exchange_break_off(exchange, EXCHANGE_TOO_LARGE);
    exchange->sink_errno = write_all(fetch->wish.sink, data, length);
    if (exchange->sink_errno != 0)
        return exchange_break_off(exchange, EXCHANGE_SINK_FAILED);
    exchange->body_bytes += (int64_t)length;
    return length;
}

static CURLcode set_options(struct fetch *fetch, const char *url)
{
    CURL *easy = fetch->exchange.easy;
    CURLcode code = exchange_watch_speed(&fetch->exchange);
    EXCHANGE_SET(code, easy, CURLOPT_URL, url);
    EXCHANGE_SET(code, easy, CURLOPT_FOLLOWLOCATION, 1L);
    EXCHANGE_SET(code, easy, CURLOPT_MAXREDIRS, (long)fetch->wish.max_redirects);
    EXCHANGE_SET(code, easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->wish.max_bytes);
    EXCHANGE_SET(code, easy, CURLOPT_CONNECTTIMEOUT_MS, (long)fetch->wish.connect_ms);
    EXCHANGE_SET(code, easy, CURLOPT_TIMEOUT_MS, (long)fetch->wish.total_ms);
    EXCHANGE_SET(code, easy, CURLOPT_HEADERFUNCTION, on_header);
    EXCHANGE_SET(code, easy, CURLOPT_HEADERDATA, fetch);
    EXCHANGE_SET(code, easy, CURLOPT_WRITEFUNCTION, on_body);
    EXCHANGE_SET(code, easy, CURLOPT_WRITEDATA, fetch);
    EXCHANGE_SET(code, easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    EXCHANGE_SET(code, easy, CURLOPT_XFERINFODATA, fetch);
    EXCHANGE_SET(code, easy, CURLOPT_NOPROGRESS, 0L);
    return code;
}

/* 0, or negative errno with what was made so far left to the caller. */
static int start(struct fetch *fetch, const char *url)
{
    struct exchange *exchange = &fetch->exchange;
    char wrong[200];
    if (!guard_check_url(url, wrong)) {
        snprintf(exchange->note, EXCHANGE_NOTE_SIZE, "%s", wrong);
        exchange_refuse(exchange);
        return 0;
    }
    exchange->easy = exchange_easy_new(exchange);
    if (exchange->easy == NULL || set_options(fetch, url) != CURLE_OK)
        return -ENOMEM;
    return exchange_join(exchange);
}

int exchange_fetch(struct exchange_pool *pool, const struct exchange_fetch *wish,
                   struct exchange **ret_exchange)
{
    must(wish->url != NULL && wish->guard != NULL && wish->done != NULL);
    must(wish->max_bytes > 0 && wish->connect_ms > 0 && wish->total_ms > 0);
    must(wish->max_redirects >= 0);
    struct fetch *fetch = must_calloc(1, sizeof(*fetch));
    int r = exchange_link(pool, EXCHANGE_LINE_ALONE, &kind, &fetch->exchange);
    if (r < 0) {
        free(fetch);
        return r;
    }
    fetch->exchange.guard = wish->guard;
    fetch->wish = *wish;
    fetch->wish.url = NULL; /* borrowed until we return */
    r = start(fetch, wish->url);
    if (r < 0) {
        exchange_free(&fetch->exchange);
        return r;
    }
    *ret_exchange = &fetch->exchange;
    return 0;
}
