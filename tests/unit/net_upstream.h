/* SPDX-License-Identifier: Apache-2.0
 *
 * An upstream for tests of requests: a server of this program on a loopback port, a thread for each
 * connection, which it keeps open from request to request, with a ledger of all that came. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/must.h"
#include "net/exchange.h"

enum {
    UPSTREAM_HEAD_SIZE = 16384,
    UPSTREAM_CONNECTIONS_MAX = 1000,
    UPSTREAM_WATCHDOG_S = 110, /* what hangs is a failure */
    PIECE_SIZE = 64 * 1024,
};

struct visit;

struct upstream {
    pthread_t thread;
    int listener;
    unsigned port, other_port; /* `other`: for redirects to another origin */
    SSL_CTX *tls;              /* NULL: plain */
    /* Answers one request; false: close the connection. */
    bool (*answer)(struct upstream *upstream, struct visit *visit);
    atomic_int n_connections, n_requests, n_bodies_good;
    atomic_bool is_closing;
    atomic_int n_running;
    pthread_mutex_t lock;                /* owns the rest */
    int fds[UPSTREAM_CONNECTIONS_MAX];   /* -1: closed */
    char head[UPSTREAM_HEAD_SIZE];       /* of the last request */
    char first_head[UPSTREAM_HEAD_SIZE]; /* of the first one */
};

/* One connection, and its present request. */
struct visit {
    struct upstream *upstream;
    int index, fd;
    SSL *ssl;
    char method[16], target[400], head[UPSTREAM_HEAD_SIZE];
    long long body_bytes; /* -1: no Content-Length */
};

/* What a large body holds at an offset. */
static inline char pattern_at(int64_t offset)
{
    return (char)((offset * 31 + (offset >> 12)) & 0x7f);
}

static inline void pattern_fill(char *piece, size_t length, int64_t offset)
{
    for (size_t i = 0; i < length; i++)
        piece[i] = pattern_at(offset + (int64_t)i);
}

/* False once the client is gone. */
static inline bool visit_send(struct visit *visit, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t sent = visit->ssl != NULL ? SSL_write(visit->ssl, at, (int)length)
                                          : send(visit->fd, at, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

static inline bool visit_say(struct visit *visit, const char *text)
{
    return visit_send(visit, text, strlen(text));
}

static bool visit_answer(struct visit *visit, const char *format, ...) PRINTF_LIKE(2, 3);
static inline bool visit_answer(struct visit *visit, const char *format, ...)
{
    char text[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return visit_say(visit, text);
}

static inline ssize_t visit_receive(struct visit *visit, void *data, size_t length)
{
    return visit->ssl != NULL ? SSL_read(visit->ssl, data, (int)length)
                              : recv(visit->fd, data, length, 0);
}

/* Waits until the client or the test ends it. */
static inline bool visit_hold(struct visit *visit)
{
    char byte;
    (void)visit_receive(visit, &byte, 1);
    return false;
}

/* One byte at a time: nothing of the body is taken. */
static inline bool visit_read_head(struct visit *visit)
{
    size_t length = 0;
    visit->head[0] = '\0';
    while (length < 4 || strcmp(visit->head + length - 4, "\r\n\r\n") != 0) {
        if (length == sizeof(visit->head) - 1 || visit_receive(visit, visit->head + length, 1) != 1)
            return false;
        visit->head[++length] = '\0';
    }
    if (sscanf(visit->head, "%15s %399s ", visit->method, visit->target) != 2)
        return false;
    const char *found = strcasestr(visit->head, "\r\nContent-Length:");
    visit->body_bytes = found != NULL ? atoll(found + 17) : -1;
    return true;
}

/* Whether the body follows the pattern. */
static inline bool visit_read_body(struct visit *visit)
{
    static __thread char piece[PIECE_SIZE];
    int64_t at = 0;
    bool is_good = true;
    while (at < visit->body_bytes) {
        size_t most =
            visit->body_bytes - at < PIECE_SIZE ? (size_t)(visit->body_bytes - at) : PIECE_SIZE;
        ssize_t got = visit_receive(visit, piece, most);
        if (got <= 0)
            return false;
        for (ssize_t i = 0; i < got; i++)
            is_good = is_good && piece[i] == pattern_at(at + i);
        at += got;
    }
    return is_good;
}

static inline void visit_note(struct visit *visit)
{
    struct upstream *upstream = visit->upstream;
    pthread_mutex_lock(&upstream->lock);
    memcpy(upstream->head, visit->head, sizeof(upstream->head));
    if (atomic_fetch_add(&upstream->n_requests, 1) == 0)
        memcpy(upstream->first_head, visit->head, sizeof(upstream->head));
    pthread_mutex_unlock(&upstream->lock);
}

static inline void visit_close(struct visit *visit)
{
    struct upstream *upstream = visit->upstream;
    SSL_free(visit->ssl);
    pthread_mutex_lock(&upstream->lock);
    close(visit->fd);
    upstream->fds[visit->index] = -1;
    pthread_mutex_unlock(&upstream->lock);
    free(visit);
    atomic_fetch_sub(&upstream->n_running, 1);
}

static inline void *visit_serve(void *context)
{
    struct visit *visit = context;
    struct upstream *upstream = visit->upstream;
    bool is_open = true;
    if (upstream->tls != NULL) {
        visit->ssl = SSL_new(upstream->tls);
        must(visit->ssl != NULL && SSL_set_fd(visit->ssl, visit->fd) == 1);
        is_open = SSL_accept(visit->ssl) == 1;
    }
    while (is_open && visit_read_head(visit)) {
        visit_note(visit);
        is_open = upstream->answer(upstream, visit);
    }
    visit_close(visit);
    return NULL;
}

static inline void *upstream_serve(void *context)
{
    struct upstream *upstream = context;
    for (;;) {
        int fd = accept4(upstream->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* shut down */
        struct visit *visit = must_calloc(1, sizeof(*visit));
        pthread_t thread;
        visit->upstream = upstream;
        visit->fd = fd;
        visit->index = atomic_fetch_add(&upstream->n_connections, 1);
        must(visit->index < UPSTREAM_CONNECTIONS_MAX);
        pthread_mutex_lock(&upstream->lock);
        upstream->fds[visit->index] = fd;
        pthread_mutex_unlock(&upstream->lock);
        atomic_fetch_add(&upstream->n_running, 1);
        must(pthread_create(&thread, NULL, visit_serve, visit) == 0);
        pthread_detach(thread);
    }
}

/* A socket on a free port of 127.0.0.1; unless it listens, connections to it are refused. */
static inline int upstream_bind(bool must_listen, unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    must(bind(fd, (const struct sockaddr *)&address, length) == 0);
    must(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    must(!must_listen || listen(fd, 512) == 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static inline struct upstream *
upstream_open(bool (*answer)(struct upstream *upstream, struct visit *visit), SSL_CTX *tls)
{
    struct upstream *upstream = must_calloc(1, sizeof(*upstream));
    alarm(UPSTREAM_WATCHDOG_S);
    signal(SIGPIPE,
           SIG_IGN); /* OpenSSL writes to whom has left, on either side; as the server does */
    upstream->answer = answer;
    upstream->tls = tls;
    upstream->listener = upstream_bind(true, &upstream->port);
    memset(upstream->fds, -1, sizeof(upstream->fds));
    must(pthread_mutex_init(&upstream->lock, NULL) == 0);
    must(pthread_create(&upstream->thread, NULL, upstream_serve, upstream) == 0);
    return upstream;
}

static inline struct upstream *upstream_close(struct upstream *upstream)
{
    atomic_store(&upstream->is_closing, true);
    shutdown(upstream->listener, SHUT_RDWR);
    pthread_join(upstream->thread, NULL);
    close(upstream->listener);
    pthread_mutex_lock(&upstream->lock);
    for (int i = 0; i < UPSTREAM_CONNECTIONS_MAX; i++) {
        if (upstream->fds[i] >= 0)
            shutdown(upstream->fds[i], SHUT_RDWR);
    }
    pthread_mutex_unlock(&upstream->lock);
    while (atomic_load(&upstream->n_running) > 0)
        usleep(1000);
    pthread_mutex_destroy(&upstream->lock);
    free(upstream);
    return NULL;
}

static inline void upstream_forget(struct upstream *upstream)
{
    pthread_mutex_lock(&upstream->lock);
    atomic_store(&upstream->n_requests, 0);
    upstream->head[0] = upstream->first_head[0] = '\0';
    pthread_mutex_unlock(&upstream->lock);
}

/* Whether the last request's head holds the text. */
static inline bool upstream_saw(struct upstream *upstream, const char *text)
{
    pthread_mutex_lock(&upstream->lock);
    bool is_there = strcasestr(upstream->head, text) != NULL;
    pthread_mutex_unlock(&upstream->lock);
    return is_there;
}

/* ---- the client's side ---- */

struct stage {
    struct upstream *upstream;
    struct loop *loop;
    struct exchange_pool *pool;
};

struct outcome {
    struct loop *loop;
    int calls, sink;
    struct exchange_answer answer; /* without headers and body; `note` below */
    char note[400];
    bool has_body; /* in memory: */
    char body[200];
    char headers[4096]; /* `name: value` lines */
};

static inline void outcome_on_done(void *context, const struct exchange_answer *answer)
{
    struct outcome *outcome = context;
    size_t length = 0;
    outcome->calls++;
    outcome->answer = *answer;
    snprintf(outcome->note, sizeof(outcome->note), "%s", answer->note);
    for (size_t i = 0; i < answer->n_headers && length < sizeof(outcome->headers) - 1; i++)
        length += (size_t)snprintf(outcome->headers + length, sizeof(outcome->headers) - length,
                                   "%s: %s\n", answer->headers[i].name, answer->headers[i].value);
    outcome->has_body = answer->body != NULL;
    snprintf(outcome->body, sizeof(outcome->body), "%s", answer->body ? answer->body : "");
    outcome->answer.headers = NULL;
    outcome->answer.body = NULL;
    outcome->answer.note = outcome->note;
    if (outcome->loop != NULL)
        loop_stop(outcome->loop);
}

static inline void outcome_fini(struct outcome *outcome)
{
    close_fd(&outcome->sink);
}

static inline const char *stage_url(const struct stage *stage, const char *path, char ret_url[500])
{
    snprintf(ret_url, 500, "http%s://127.0.0.1:%u%s", stage->upstream->tls != NULL ? "s" : "",
             stage->upstream->port, path);
    return ret_url;
}

static inline struct exchange_request stage_usual(const char *method, const char *url)
{
    return (struct exchange_request){
        .method = method,
        .url = url,
        .body = -1,
        .max_bytes = 1000000,
        .connect_ms = 20000,
        .total_ms = 60000,
    };
}

/* Sends and waits. Nothing that is borrowed lives on, and no note tells a secret. */
static inline void stage_send(struct stage *stage, struct exchange_request request,
                              struct outcome *ret_outcome)
{
    struct exchange *exchange = NULL;
    char url[20000];
    *ret_outcome = (struct outcome){.loop = stage->loop, .sink = memfd_create("sink", MFD_CLOEXEC)};
    must(ret_outcome->sink >= 0);
    snprintf(url, sizeof(url), "%s", request.url);
    request.url = url;
    request.sink = ret_outcome->sink;
    request.done = outcome_on_done;
    request.context = ret_outcome;
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), 0);
    assert_non_null(exchange);
    assert_int_equal(ret_outcome->calls, 0);
    memset(url, 'x', sizeof(url));
    loop_run(stage->loop);
    assert_int_equal(ret_outcome->calls, 1);
    assert_true(ret_outcome->note[0] != '\0');
    assert_null(strstr(ret_outcome->note, "secret"));
}

static inline void outcome_expect(const struct outcome *outcome, enum exchange_end end, long status,
                                  bool was_never_sent)
{
    const struct exchange_answer *answer = &outcome->answer;
    if (answer->end != end || answer->status != status || answer->was_never_sent != was_never_sent)
        fail_msg("ended as %d with %ld, %s: %s", (int)answer->end, answer->status,
                 answer->was_never_sent ? "never sent" : "sent", outcome->note);
}

static inline void outcome_expect_body(const struct outcome *outcome, int64_t offset,
                                       const char *body)
{
    char got[200] = "";
    struct stat sink;
    assert_int_equal(outcome->answer.body_bytes, strlen(body));
    assert_int_equal(fstat(outcome->sink, &sink), 0);
    assert_int_equal(sink.st_size, *body != '\0' ? offset + (int64_t)strlen(body) : 0);
    assert_true(pread(outcome->sink, got, sizeof(got) - 1, offset) >= 0);
    assert_string_equal(got, body);
}

static inline void stage_open(struct stage *stage)
{
    must(loop_new(&stage->loop) == 0);
    must(exchange_pool_new(stage->loop, &stage->pool) == 0);
}

static inline void stage_close(struct stage *stage)
{
    stage->pool = exchange_pool_free(stage->pool);
    stage->loop = loop_free(stage->loop);
}
