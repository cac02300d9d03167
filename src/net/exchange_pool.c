/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl's multi interface driven by the loop. curl asks for descriptors and one timer to be
 * watched; each of their events goes to curl_multi_socket_action(), and then all transfers that
 * have ended are reaped. Only reaping and the timer of refusals end a transfer, so an owner is
 * never called from within the call that starts it, and he may start and stop transfers.
 *
 * There are two lines, each a multi handle: connections are only ever kept in one of them, where
 * nothing guarded and no submit runs. All on the loop's thread. */
#include "net/exchange_pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"

enum {
    LOW_SPEED_BYTES = 100, /* fewer per second … */
    LOW_SPEED_S = 30,      /* … for so long end a transfer */
};

struct exchange_line {
    struct exchange_pool *pool;
    CURLM *multi;
    struct loop_timer timer;
    struct line_socket *sockets;
};

struct exchange_pool {
    struct loop *loop;
    struct exchange_line lines[EXCHANGE_LINES];
    struct exchange *exchanges;
    size_t n_exchanges[EXCHANGE_KINDS];
};

struct line_socket {
    struct loop_watch watch;
    struct exchange_line *line;
    struct line_socket *next, *previous; /* on the line's list */
};

static void drop_socket(struct line_socket *socket)
{
    struct exchange_line *line = socket->line;
    loop_unwatch(line->pool->loop, &socket->watch);
    if (socket->previous != NULL)
        socket->previous->next = socket->next;
    else
        line->sockets = socket->next;
    if (socket->next != NULL)
        socket->next->previous = socket->previous;
    free(socket);
}

/* ---- what curl wants watched ---- */

static void reap(struct exchange_line *line)
{
    int left;
    for (CURLMsg *message = curl_multi_info_read(line->multi, &left); message != NULL;
         message = curl_multi_info_read(line->multi, &left)) {
        void *private = NULL;
        must(message->msg == CURLMSG_DONE);
        must(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) == CURLE_OK);
        struct exchange *exchange = private;
        exchange->kind->finish(exchange, message->data.result);
    }
}

static void act(struct exchange_line *line, curl_socket_t fd, int events)
{
    int running;
    /* What a failure here ends, curl reports transfer by transfer. */
    (void)curl_multi_socket_action(line->multi, fd, events, &running);
    reap(line);
}

static void on_timer(struct loop_timer *timer)
{
    act(CONTAINER_OF(timer, struct exchange_line, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_ready(struct loop_watch *watch, int events)
{
    struct line_socket *socket = CONTAINER_OF(watch, struct line_socket, watch);
    int bits = 0;
    if ((events & LOOP_READ) != 0)
        bits |= CURL_CSELECT_IN;
    if ((events & LOOP_WRITE) != 0)
        bits |= CURL_CSELECT_OUT;
    if ((events & LOOP_HANGUP) != 0)
        bits |= CURL_CSELECT_ERR;
    act(socket->line, watch->fd, bits);
}

static int on_timer_wanted(CURLM *multi, long delay_ms, void *context)
{
    struct exchange_line *line = context;
    (void)multi;
    if (delay_ms < 0)
        loop_disarm(line->pool->loop, &line->timer);
    else
        loop_arm(line->pool->loop, &line->timer, delay_ms);
    return 0;
}

static struct line_socket *add_socket(struct exchange_line *line, curl_socket_t fd)
{
    struct line_socket *socket = must_calloc(1, sizeof(*socket));
    socket->line = line;
    socket->watch.fd = fd;
    socket->watch.ready = on_ready;
    socket->next = line->sockets;
    if (socket->next != NULL)
        socket->next->previous = socket;
    line->sockets = socket;
    must(curl_multi_assign(line->multi, fd, socket) == CURLM_OK);
    return socket;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
    struct exchange_line *line = context;
    struct line_socket *socket = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            drop_socket(socket);
        return 0;
    }
    if (socket == NULL)
        socket = add_socket(line, fd);
    int events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= LOOP_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= LOOP_WRITE;
    /* -1 makes curl end all transfers, which beats one that nobody wakes. */
    return loop_watch(line->pool->loop, &socket->watch, events) < 0 ? -1 : 0;
}

/* ---- one transfer ---- */

static void on_refusal(struct loop_timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, refusal);
    exchange->kind->refuse(exchange);
}

int exchange_link(struct exchange_pool *pool, enum exchange_line_kind line,
                  const struct exchange_kind *kind, struct exchange *exchange)
{
    if (pool->n_exchanges[kind->index] >= kind->most)
        return -EAGAIN;
    pool->n_exchanges[kind->index]++;
    exchange->kind = kind;
    exchange->pool = pool;
    exchange->line = &pool->lines[line];
    exchange->refusal.fire = on_refusal;
    exchange->next = pool->exchanges;
    if (exchange->next != NULL)
        exchange->next->previous = exchange;
    pool->exchanges = exchange;
    return 0;
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
    pool->n_exchanges[exchange->kind->index]--;
}

int exchange_join(struct exchange *exchange)
{
    must(!exchange->is_joined);
    if (curl_multi_add_handle(exchange->line->multi, exchange->easy) != CURLM_OK)
        return -EIO;
    exchange->is_joined = true;
    return 0;
}

void exchange_leave(struct exchange *exchange)
{
    must(exchange->is_joined);
    (void)curl_multi_remove_handle(exchange->line->multi, exchange->easy);
    exchange->is_joined = false;
}

static CURLcode keep_no_connection(CURL *easy)
{
    CURLcode code = CURLE_OK;
    EXCHANGE_SET(code, easy, CURLOPT_FRESH_CONNECT, 1L);
    EXCHANGE_SET(code, easy, CURLOPT_FORBID_REUSE, 1L);
    return code;
}

CURLcode exchange_go_alone(struct exchange *exchange)
{
    must(!exchange->is_joined);
    exchange->line = &exchange->pool->lines[EXCHANGE_LINE_ALONE];
    return keep_no_connection(exchange->easy);
}

void exchange_refuse(struct exchange *exchange)
{
    loop_arm(exchange->pool->loop, &exchange->refusal, 0);
}

void exchange_free(struct exchange *exchange)
{
    loop_disarm(exchange->pool->loop, &exchange->refusal);
    if (exchange->is_joined)
        exchange_leave(exchange);
    if (exchange->easy != NULL)
        curl_easy_cleanup(exchange->easy);
    if (exchange->kind->fini != NULL)
        exchange->kind->fini(exchange);
    unlink_exchange(exchange);
    free(exchange);
}

struct exchange *exchange_stop(struct exchange *exchange)
{
    if (exchange != NULL && !exchange->is_delivering)
        exchange_free(exchange);
    return NULL;
}

size_t exchange_break_off(struct exchange *exchange, enum exchange_end end)
{
    exchange->is_ended = true;
    exchange->end = end;
    return 0; /* not what curl passed: it gives up */
}

bool exchange_count_header(struct exchange *exchange, size_t length)
{
    exchange->header_bytes += (int64_t)length;
    return exchange->header_bytes <= EXCHANGE_HEADERS_MAX_BYTES;
}

void exchange_find_host(const struct exchange *exchange, char ret_host[EXCHANGE_HOST_SIZE])
{
    snprintf(ret_host, EXCHANGE_HOST_SIZE, "the host");
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
        if (host[fit] == '\0' && fit > 0 && fit <= EXCHANGE_HOST_SHOWN_MAX)
            snprintf(ret_host, EXCHANGE_HOST_SIZE, "\"%s\"", host);
    }
    curl_free(host);
    curl_url_cleanup(parts);
}

/* ---- fences ---- */

static curl_socket_t on_open_socket(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct exchange *exchange = context;
    bool is_allowed = purpose == CURLSOCKTYPE_IPCXN && address->socktype == SOCK_STREAM &&
                      (exchange->guard == NULL ||
                       guard_allows(exchange->guard, &address->addr, (socklen_t)address->addrlen));
    if (!is_allowed) {
        exchange->was_refused = true;
        exchange_note_blocked(exchange, address);
        return CURL_SOCKET_BAD;
    }
    exchange->was_dialled = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Without a folder of authorities beside it, curl reads the system's file once for all transfers
 * of a line, not for each connection (18 ms of the loop's time on a usual machine). */
static void share_authorities(CURL *easy)
{
    const char *file = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CAINFO, &file) == CURLE_OK && file != NULL &&
        access(file, R_OK) == 0)
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
}

CURL *exchange_easy_new(struct exchange *exchange)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return NULL;
    CURLcode code = CURLE_OK;
    EXCHANGE_SET(code, easy, CURLOPT_PRIVATE, exchange);
    EXCHANGE_SET(code, easy, CURLOPT_NOSIGNAL, 1L);
    /* a mute name server must not block the loop */
    EXCHANGE_SET(code, easy, CURLOPT_QUICK_EXIT, 1L);
    EXCHANGE_SET(code, easy, CURLOPT_PROXY, ""); /* not even the one of the environment */
    EXCHANGE_SET(code, easy, CURLOPT_PROTOCOLS_STR, "http,https");
    EXCHANGE_SET(code, easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    EXCHANGE_SET(code, easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    EXCHANGE_SET(code, easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (code == CURLE_OK && exchange->line == &exchange->pool->lines[EXCHANGE_LINE_ALONE])
        code = keep_no_connection(easy);
    EXCHANGE_SET(code, easy, CURLOPT_SSL_VERIFYPEER, 1L);
    EXCHANGE_SET(code, easy, CURLOPT_SSL_VERIFYHOST, 2L);
    EXCHANGE_SET(code, easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    EXCHANGE_SET(code, easy, CURLOPT_USERAGENT, "filmgate");
    EXCHANGE_SET(code, easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    EXCHANGE_SET(code, easy, CURLOPT_OPENSOCKETDATA, exchange);
    share_authorities(easy);
    if (code == CURLE_OK)
        return easy;
    curl_easy_cleanup(easy);
    return NULL;
}

CURLcode exchange_watch_speed(struct exchange *exchange)
{
    CURLcode code = CURLE_OK;
    EXCHANGE_SET(code, exchange->easy, CURLOPT_LOW_SPEED_LIMIT, (long)LOW_SPEED_BYTES);
    EXCHANGE_SET(code, exchange->easy, CURLOPT_LOW_SPEED_TIME, (long)LOW_SPEED_S);
    return code;
}

/* ---- the pool ---- */

static bool open_line(struct exchange_pool *pool, enum exchange_line_kind kind)
{
    struct exchange_line *line = &pool->lines[kind];
    line->pool = pool;
    line->timer.fire = on_timer;
    line->multi = curl_multi_init();
    if (line->multi == NULL)
        return false;
    CURLM *multi = line->multi;
    must(curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, line) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_TIMERDATA, line) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK);
    must(curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)EXCHANGE_IDLE_MAX) == CURLM_OK);
    return true;
}

int exchange_pool_new(struct loop *loop, struct exchange_pool **ret_pool)
{
    /* Counted by curl, and never undone: a resolver thread may outlive its transfer. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -EIO;
    struct exchange_pool *pool = must_calloc(1, sizeof(*pool));
    pool->loop = loop;
    for (int kind = 0; kind < EXCHANGE_LINES; kind++) {
        if (!open_line(pool, (enum exchange_line_kind)kind)) {
            (void)exchange_pool_free(pool);
            return -ENOMEM;
        }
    }
    *ret_pool = pool;
    return 0;
}

struct exchange_pool *exchange_pool_free(struct exchange_pool *pool)
{
    if (pool == NULL)
        return NULL;
    while (pool->exchanges != NULL) {
        must(!pool->exchanges->is_delivering);
        exchange_free(pool->exchanges);
    }
    for (int kind = 0; kind < EXCHANGE_LINES; kind++) {
        struct exchange_line *line = &pool->lines[kind];
        (void)curl_multi_cleanup(line->multi);
        while (line->sockets != NULL)
            drop_socket(line->sockets);
        loop_disarm(pool->loop, &line->timer);
    }
    free(pool);
    return NULL;
}
