/* SPDX-License-Identifier: Apache-2.0
 *
 * Guarded downloads: libcurl's multi interface driven by the loop. curl asks for descriptors and
 * one timer to be watched; each of their events goes to curl_multi_socket_action(), and then all
 * transfers that have ended are reaped. Only reaping calls `done`, so never within
 * exchange_fetch(), and `done` may start and stop transfers.
 *
 * The address is judged when a socket is asked for, after resolution. curl does not ask for
 * pooled connections, so no transfer uses one or leaves one behind. What curl says of a refusal
 * is only that it could not connect; the exchange itself remembers what the guard said. Nothing
 * of a URL but its host enters a note. All on the loop's thread. */
#include "net/exchange.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"

enum {
    ACTIVE_MAX = 1024,              /* transfers at a time in one pool */
    HEADERS_MAX_BYTES = 256 * 1024, /* of all answers of one transfer; not every curl has a bound */
    LOW_SPEED_BYTES = 100,          /* fewer per second … */
    LOW_SPEED_S = 30,               /* … for so long end a transfer */
    NOTE_SIZE = 300,
    HOST_SHOWN_MAX = 100,
};

struct exchange {
    struct exchange_pool *pool;
    struct exchange *next, *previous; /* on the pool's list */
    CURL *easy;
    struct exchange_fetch fetch; /* without its url */
    struct loop_timer refusal;   /* delivers what was clear at the start */
    int64_t body_bytes;
    int64_t header_bytes;
    bool is_ended; /* a callback below broke the transfer off, with `end` */
    enum exchange_end end;
    int sink_errno;
    bool was_refused, was_dialled; /* addresses of the present host */
    bool is_delivering;            /* within `done` */
    char note[NOTE_SIZE];
};

struct exchange_pool {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer;
    struct exchange *exchanges;
    size_t n_exchanges;
    struct pool_socket *sockets;
};

struct pool_socket {
    struct loop_watch watch;
    struct exchange_pool *pool;
    struct pool_socket *next, *previous; /* on the pool's list */
};

static void drop_socket(struct pool_socket *socket)
{
    struct exchange_pool *pool = socket->pool;
    loop_unwatch(pool->loop, &socket->watch);
    if (socket->previous != NULL)
        socket->previous->next = socket->next;
    else
        pool->sockets = socket->next;
    if (socket->next != NULL)
        socket->next->previous = socket->previous;
    free(socket);
}

static void link_exchange(struct exchange_pool *pool, struct exchange *exchange)
{
    exchange->next = pool->exchanges;
    if (exchange->next != NULL)
        exchange->next->previous = exchange;
    pool->exchanges = exchange;
    pool->n_exchanges++;
}

static void unlink_exchange(struct exchange *exchange)
{
    struct exchange_pool *pool = exchange->pool;
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        pool->exchanges = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
    pool->n_exchanges--;
}

static void free_exchange(struct exchange *exchange)
{
    struct exchange_pool *pool = exchange->pool;
    loop_disarm(pool->loop, &exchange->refusal);
    if (exchange->easy != NULL) {
        (void)curl_multi_remove_handle(pool->multi, exchange->easy);
        curl_easy_cleanup(exchange->easy);
    }
    unlink_exchange(exchange);
    free(exchange);
}

/* The exchange is gone afterwards. */
static void deliver(struct exchange *exchange, const struct exchange_result *result)
{
    exchange->is_delivering = true;
    exchange->fetch.done(exchange->fetch.context, result);
    free_exchange(exchange);
}

static enum exchange_end end_of_code(const struct exchange *exchange, CURLcode code, long status)
{
    if (exchange->is_ended)
        return exchange->end;
    int number = (int)code; /* far more codes than matter here: no exhaustive switch */
    switch (number) {
    case CURLE_OK:
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

/* The host of the last URL asked for, or "the host" when it is not fit to be shown. */
static void find_host(const struct exchange *exchange, char ret_host[HOST_SHOWN_MAX + 3])
{
    snprintf(ret_host, HOST_SHOWN_MAX + 3, "the host");
    const char *url = NULL;
    char *host = NULL;
    CURLU *parts = curl_url();
    if (parts != NULL &&
        curl_easy_getinfo(exchange->easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK &&
        url != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        size_t fit = 0;
        while (host[fit] > ' ' && host[fit] < 0x7f && host[fit] != '"')
            fit++;
        if (host[fit] == '\0' && fit > 0 && fit <= HOST_SHOWN_MAX)
            snprintf(ret_host, HOST_SHOWN_MAX + 3, "\"%s\"", host);
    }
    curl_free(host);
    curl_url_cleanup(parts);
}

static void write_note(struct exchange *exchange, enum exchange_end end, CURLcode code, long status)
{
    char host[HOST_SHOWN_MAX + 3];
    char *note = exchange->note;
    find_host(exchange, host);
    switch (end) {
    case EXCHANGE_DONE:
        snprintf(note, NOTE_SIZE, "fetched %lld bytes", (long long)exchange->body_bytes);
        return;
    case EXCHANGE_STATUS:
        snprintf(note, NOTE_SIZE, "%s answered with status %ld", host, status);
        return;
    case EXCHANGE_FORBIDDEN:
        snprintf(note, NOTE_SIZE, "%s may not be reached from here: its %s is not allowed", host,
                 code == CURLE_COULDNT_CONNECT ? "address" : "URL");
        return;
    case EXCHANGE_TOO_LARGE:
        snprintf(note, NOTE_SIZE, "the answer of %s is larger than %lld bytes", host,
                 (long long)exchange->fetch.max_bytes);
        return;
    case EXCHANGE_TIMED_OUT:
        snprintf(note, NOTE_SIZE, "%s did not answer in time", host);
        return;
    case EXCHANGE_REDIRECTS:
        snprintf(note, NOTE_SIZE, "more than %d redirects, the last from %s",
                 exchange->fetch.max_redirects, host);
        return;
    case EXCHANGE_SINK_FAILED:
        snprintf(note, NOTE_SIZE, "writing what %s sent failed with errno %d", host,
                 exchange->sink_errno);
        return;
    case EXCHANGE_UNREACHABLE:
        snprintf(note, NOTE_SIZE, "%s cannot be fetched from: %s", host,
                 exchange->is_ended ? "its headers are too large" : curl_easy_strerror(code));
        return;
    }
    must(false);
}

static void finish(struct exchange *exchange, CURLcode code)
{
    struct exchange_result result = {.body_bytes = exchange->body_bytes, .note = exchange->note};
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &result.status);
    result.end = end_of_code(exchange, code, result.status);
    write_note(exchange, result.end, code, result.status);
    deliver(exchange, &result);
}

static void reap(struct exchange_pool *pool)
{
    int left;
    for (CURLMsg *message = curl_multi_info_read(pool->multi, &left); message != NULL;
         message = curl_multi_info_read(pool->multi, &left)) {
        void *exchange = NULL;
        must(message->msg == CURLMSG_DONE);
        must(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange) == CURLE_OK);
        finish(exchange, message->data.result);
    }
}

static void act(struct exchange_pool *pool, curl_socket_t fd, int events)
{
    int running;
    /* What a failure here ends, curl reports transfer by transfer. */
    (void)curl_multi_socket_action(pool->multi, fd, events, &running);
    reap(pool);
}

static void on_timer(struct loop_timer *timer)
{
    act(CONTAINER_OF(timer, struct exchange_pool, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_ready(struct loop_watch *watch, int events)
{
    struct pool_socket *socket = CONTAINER_OF(watch, struct pool_socket, watch);
    int bits = 0;
    if ((events & LOOP_READ) != 0)
        bits |= CURL_CSELECT_IN;
    if ((events & LOOP_WRITE) != 0)
        bits |= CURL_CSELECT_OUT;
    if ((events & LOOP_HANGUP) != 0)
        bits |= CURL_CSELECT_ERR;
    act(socket->pool, watch->fd, bits);
}

static int on_timer_wanted(CURLM *multi, long delay_ms, void *context)
{
    struct exchange_pool *pool = context;
    (void)multi;
    if (delay_ms < 0)
        loop_disarm(pool->loop, &pool->timer);
    else
        loop_arm(pool->loop, &pool->timer, delay_ms);
    return 0;
}

static struct pool_socket *add_socket(struct exchange_pool *pool, curl_socket_t fd)
{
    struct pool_socket *socket = must_calloc(1, sizeof(*socket));
    socket->pool = pool;
    socket->watch.fd = fd;
    socket->watch.ready = on_ready;
    socket->next = pool->sockets;
    if (socket->next != NULL)
        socket->next->previous = socket;
    pool->sockets = socket;
    must(curl_multi_assign(pool->multi, fd, socket) == CURLM_OK);
    return socket;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
    struct exchange_pool *pool = context;
    struct pool_socket *socket = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            drop_socket(socket);
        return 0;
    }
    if (socket == NULL)
        socket = add_socket(pool, fd);
    int events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= LOOP_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= LOOP_WRITE;
    /* -1 makes curl end all transfers, which beats one that nobody wakes. */
    return loop_watch(pool->loop, &socket->watch, events) < 0 ? -1 : 0;
}

static curl_socket_t on_open_socket(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct exchange *exchange = context;
    if (purpose != CURLSOCKTYPE_IPCXN || address->socktype != SOCK_STREAM ||
        !guard_allows(exchange->fetch.guard, &address->addr, (socklen_t)address->addrlen)) {
        exchange->was_refused = true;
        return CURL_SOCKET_BAD;
    }
    exchange->was_dialled = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t break_off(struct exchange *exchange, enum exchange_end end)
{
    exchange->is_ended = true;
    exchange->end = end;
    return 0; /* not what curl passed: it gives up */
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    (void)data;
    /* Somebody answered: whatever is dialled from here on belongs to a redirect. */
    exchange->was_refused = false;
    exchange->was_dialled = false;
    exchange->header_bytes += (int64_t)(size * count);
    if (exchange->header_bytes > HEADERS_MAX_BYTES)
        return break_off(exchange, EXCHANGE_UNREACHABLE);
    return size * count;
}

/* Bodies of redirects, which curl reads past without on_body(), have the same ceiling. */
static int on_progress(void *context, curl_off_t expected, curl_off_t received, curl_off_t to_send,
                       curl_off_t sent)
{
    struct exchange *exchange = context;
    (void)expected;
    (void)to_send;
    (void)sent;
    if (exchange->is_ended || received <= exchange->fetch.max_bytes)
        return 0;
    (void)break_off(exchange, EXCHANGE_TOO_LARGE);
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
    struct exchange *exchange = context;
    size_t length = size * count;
    long status = 0;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status >= 300)
        return break_off(exchange, EXCHANGE_STATUS);
    if ((int64_t)length > exchange->fetch.max_bytes - exchange->body_bytes)
        return break_off(exchange, EXCHANGE_TOO_LARGE);
    exchange->sink_errno = write_all(exchange->fetch.sink, data, length);
    if (exchange->sink_errno != 0)
        return break_off(exchange, EXCHANGE_SINK_FAILED);
    exchange->body_bytes += (int64_t)length;
    return length;
}

int exchange_pool_new(struct loop *loop, struct exchange_pool **ret_pool)
{
    /* Counted by curl, and never undone: a resolver thread may outlive its transfer. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -EIO;
    CURLM *multi = curl_multi_init();
    if (multi == NULL)
        return -ENOMEM;
    struct exchange_pool *pool = must_calloc(1, sizeof(*pool));
    pool->loop = loop;
    pool->multi = multi;
    pool->timer.fire = on_timer;
    must(curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, pool) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_TIMERDATA, pool) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK);
    *ret_pool = pool;
    return 0;
}

struct exchange_pool *exchange_pool_free(struct exchange_pool *pool)
{
    if (pool == NULL)
        return NULL;
    while (pool->exchanges != NULL) {
        must(!pool->exchanges->is_delivering);
        free_exchange(pool->exchanges);
    }
    (void)curl_multi_cleanup(pool->multi);
    while (pool->sockets != NULL)
        drop_socket(pool->sockets);
    loop_disarm(pool->loop, &pool->timer);
    free(pool);
    return NULL;
}

/* Sets one option; the first failure stays in `ret`. A macro, as curl_easy_setopt() checks its
 * argument's type by the option's name. */
#define SET(ret, easy, option, value)                                                              \
    do {                                                                                           \
        CURLcode code_ = curl_easy_setopt(easy, option, value);                                    \
        if ((ret) == CURLE_OK)                                                                     \
            (ret) = code_;                                                                         \
    } while (0)

static CURLcode set_fences(CURL *easy)
{
    CURLcode code = CURLE_OK;
    SET(code, easy, CURLOPT_NOSIGNAL, 1L);
    SET(code, easy, CURLOPT_QUICK_EXIT, 1L); /* a mute name server must not block the loop */
    SET(code, easy, CURLOPT_PROXY, "");      /* nor the one of the environment */
    SET(code, easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(code, easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(code, easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(code, easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(code, easy, CURLOPT_FRESH_CONNECT, 1L);
    SET(code, easy, CURLOPT_FORBID_REUSE, 1L);
    SET(code, easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(code, easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(code, easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(code, easy, CURLOPT_LOW_SPEED_LIMIT, (long)LOW_SPEED_BYTES);
    SET(code, easy, CURLOPT_LOW_SPEED_TIME, (long)LOW_SPEED_S);
    SET(code, easy, CURLOPT_USERAGENT, "filmgate");
    return code;
}

static CURLcode set_fetch(struct exchange *exchange, const struct exchange_fetch *fetch)
{
    CURL *easy = exchange->easy;
    CURLcode code = set_fences(easy);
    SET(code, easy, CURLOPT_URL, fetch->url);
    SET(code, easy, CURLOPT_PRIVATE, exchange);
    SET(code, easy, CURLOPT_FOLLOWLOCATION, 1L);
    SET(code, easy, CURLOPT_MAXREDIRS, (long)fetch->max_redirects);
    SET(code, easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->max_bytes);
    SET(code, easy, CURLOPT_CONNECTTIMEOUT_MS, (long)fetch->connect_ms);
    SET(code, easy, CURLOPT_TIMEOUT_MS, (long)fetch->total_ms);
    SET(code, easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(code, easy, CURLOPT_OPENSOCKETDATA, exchange);
    SET(code, easy, CURLOPT_HEADERFUNCTION, on_header);
    SET(code, easy, CURLOPT_HEADERDATA, exchange);
    SET(code, easy, CURLOPT_WRITEFUNCTION, on_body);
    SET(code, easy, CURLOPT_WRITEDATA, exchange);
    SET(code, easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(code, easy, CURLOPT_XFERINFODATA, exchange);
    SET(code, easy, CURLOPT_NOPROGRESS, 0L);
    return code;
}

static void on_refusal(struct loop_timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, refusal);
    struct exchange_result result = {.end = EXCHANGE_FORBIDDEN, .note = exchange->note};
    deliver(exchange, &result);
}

/* 0, or negative errno with what was made so far left to the caller. */
static int start(struct exchange *exchange, const struct exchange_fetch *fetch)
{
    char wrong[200];
    if (!guard_check_url(fetch->url, wrong)) {
        snprintf(exchange->note, NOTE_SIZE, "%s", wrong);
        loop_arm(exchange->pool->loop, &exchange->refusal, 0);
        return 0;
    }
    exchange->easy = curl_easy_init();
    if (exchange->easy == NULL || set_fetch(exchange, fetch) != CURLE_OK)
        return -ENOMEM;
    return curl_multi_add_handle(exchange->pool->multi, exchange->easy) == CURLM_OK ? 0 : -EIO;
}

int exchange_fetch(struct exchange_pool *pool, const struct exchange_fetch *fetch,
                   struct exchange **ret_exchange)
{
    must(fetch->url != NULL && fetch->guard != NULL && fetch->done != NULL);
    must(fetch->max_bytes > 0 && fetch->connect_ms > 0 && fetch->total_ms > 0);
    must(fetch->max_redirects >= 0);
    if (pool->n_exchanges >= ACTIVE_MAX)
        return -EAGAIN;
    struct exchange *exchange = must_calloc(1, sizeof(*exchange));
    exchange->pool = pool;
    exchange->fetch = *fetch;
    exchange->fetch.url = NULL; /* borrowed until we return */
    exchange->refusal.fire = on_refusal;
    link_exchange(pool, exchange);
    int error = start(exchange, fetch);
    if (error < 0) {
        free_exchange(exchange);
        return error;
    }
    *ret_exchange = exchange;
    return 0;
}

struct exchange *exchange_stop(struct exchange *exchange)
{
    if (exchange != NULL && !exchange->is_delivering)
        free_exchange(exchange);
    return NULL;
}
