/* SPDX-License-Identifier: Apache-2.0
 *
 * Guarded downloads against a small HTTP server of this program on a loopback port that the guard
 * lets through; a second port, which it does not, must never see a connection. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/must.h"
#include "net/exchange.h"

enum { HELD_MAX = 32, REQUEST_SIZE = 16384, LARGE_BYTES = 5000, HEADER_FLOOD_BYTES = 280 * 1024 };

struct server {
    pthread_t thread;
    int listener;
    unsigned port, forbidden_port;
    int held[HELD_MAX]; /* the thread's until it is joined: connections never answered to the end */
    size_t n_held;
    pthread_mutex_t lock;       /* owns the rest */
    char request[REQUEST_SIZE]; /* the last one */
};

struct fixture {
    struct server server;
    int forbidden; /* listens; the guard does not allow its port */
    int deaf;      /* bound, does not listen; the guard allows its port */
    unsigned deaf_port;
    struct loop *loop;
    struct exchange_pool *pool;
    struct guard *guard;
};

struct outcome {
    struct loop *loop;
    int calls;
    struct exchange_result result; /* `note` below */
    char note[400];
    int sink;
};

static int bind_port(bool must_listen, unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    must(bind(fd, (const struct sockaddr *)&address, length) == 0);
    must(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    must(!must_listen || listen(fd, 16) == 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the client gave up, as some tests want */
        data += sent;
        length -= (size_t)sent;
    }
}

static void send_text(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
}

static void send_redirect(int fd, const char *format, ...) PRINTF_LIKE(2, 3);
static void send_redirect(int fd, const char *format, ...)
{
    char location[300];
    char answer[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(location, sizeof(location), format, arguments);
    va_end(arguments);
    snprintf(answer, sizeof(answer),
             "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 5\r\n\r\nmoved", location);
    send_text(fd, answer);
}

static void send_large(int fd, bool is_chunked)
{
    char body[LARGE_BYTES];
    memset(body, 'x', sizeof(body));
    send_text(fd, is_chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n"
                             : "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    send_all(fd, body, sizeof(body));
    if (is_chunked)
        send_text(fd, "\r\n0\r\n\r\n");
}

static void send_header_flood(int fd)
{
    static const char line[] = "X-Flood: 0123456789012345678901234567890123456789\r\n";
    send_text(fd, "HTTP/1.1 200 OK\r\n");
    for (size_t sent = 0; sent < HEADER_FLOOD_BYTES; sent += sizeof(line) - 1)
        send_text(fd, line);
    send_text(fd, "Content-Length: 2\r\n\r\nok");
}

static const struct {
    const char *path;
    const char *answer;
} fixed_answers[] = {
    {"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"},
    {"/ok?secret=1", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"},
    {"/until-close", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end"},
    {"/gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bzz"},
    {"/empty", "HTTP/1.1 204 No Content\r\n\r\n"},
    {"/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nnothing"},
    {"/broken", "HTTP/1.1 500 Oh\r\nContent-Length: 900000000\r\n\r\nsome"},
    {"/not-modified", "HTTP/1.1 304 Not Modified\r\n\r\n"},
    {"/nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nmoved"},
    {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes."},
    {"/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nten bytes."},
    {"/cut-status", "HTTP/1.1 200 OK"},
    {"/cut-headers", "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n"},
    {"/cut-header", "HTTP/1.1 200 OK\r\nConnection: cl"},
    {"/cut-headers-later", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n"},
    {"/trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n"
                  "a\r\nto the end\r\n0\r\nA: b\r\n\r\n"},
    {"/to-cut-status", "HTTP/1.1 302 Found\r\nLocation: /cut-status\r\nContent-Length: 0\r\n\r\n"},
    {"/to-cut-headers",
     "HTTP/1.1 302 Found\r\nLocation: /cut-headers\r\nContent-Length: 0\r\n\r\n"},
    {"/bare-lines", "HTTP/1.1 200 OK\nConnection: close\n\nto the end"},
    {"/silent", ""},
    {"/no-http", "220 welcome\r\n"},
    {"/cookie", "HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\nLocation: /ok\r\n"
                "Content-Length: 0\r\n\r\n"},
};

static const struct {
    const char *path;
    const char *beginning; /* of an answer that never ends */
} held_answers[] = {
    {"/mute", ""},
    {"/slow", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes."},
    {"/slow-header", "HTTP/1.1 200 OK\r\nContent-Le"},
};

/* True when the connection shall stay open. */
static bool answer(const struct server *server, int fd, const char *path)
{
    for (size_t i = 0; i < ARRAY_LENGTH(fixed_answers); i++) {
        if (strcmp(path, fixed_answers[i].path) == 0)
            send_text(fd, fixed_answers[i].answer);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(held_answers); i++) {
        if (strcmp(path, held_answers[i].path) == 0) {
            send_text(fd, held_answers[i].beginning);
            return true;
        }
    }
    if (strncmp(path, "/redirect/", 10) == 0 && strcmp(path, "/redirect/0") != 0)
        send_redirect(fd, "/redirect/%d", atoi(path + 10) - 1);
    else if (strcmp(path, "/redirect/0") == 0)
        send_redirect(fd, "/ok");
    else if (strcmp(path, "/to-forbidden") == 0)
        send_redirect(fd, "http://127.0.0.1:%u/?secret", server->forbidden_port);
    else if (strcmp(path, "/to-file") == 0)
        send_redirect(fd, "file:///ok");
    else if (strcmp(path, "/to-gopher") == 0)
        send_redirect(fd, "gopher://127.0.0.1:%u/", server->port);
    else if (strcmp(path, "/to-user") == 0)
        send_redirect(fd, "http://name:secret@127.0.0.1:%u/ok", server->port);
    else if (strcmp(path, "/large") == 0 || strcmp(path, "/large-chunked") == 0)
        send_large(fd, strcmp(path, "/large-chunked") == 0);
    else if (strcmp(path, "/flood") == 0)
        send_header_flood(fd);
    return false;
}

/* Reads a request's head; its path, or an empty one when the client leaves. */
static void read_request(struct server *server, int fd, char ret_path[200])
{
    char text[REQUEST_SIZE];
    size_t length = 0;
    ret_path[0] = '\0';
    text[0] = '\0';
    while (strstr(text, "\r\n\r\n") == NULL && length < sizeof(text) - 1) {
        ssize_t got = recv(fd, text + length, sizeof(text) - 1 - length, 0);
        if (got <= 0 || text[0] != 'G') /* gone, or a TLS greeting */
            return;
        length += (size_t)got;
        text[length] = '\0';
    }
    pthread_mutex_lock(&server->lock);
    memcpy(server->request, text, length + 1);
    pthread_mutex_unlock(&server->lock);
    if (sscanf(text, "GET %199s ", ret_path) != 1)
        ret_path[0] = '\0';
}

static void *serve(void *context)
{
    struct server *server = context;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* shut down */
        char path[200];
        read_request(server, fd, path);
        if (answer(server, fd, path) && server->n_held < HELD_MAX)
            server->held[server->n_held++] = fd;
        else
            close(fd);
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = must_calloc(1, sizeof(*fixture));
    struct server *server = &fixture->server;
    fixture->forbidden = bind_port(true, &server->forbidden_port);
    must(fcntl(fixture->forbidden, F_SETFL, O_NONBLOCK) == 0);
    fixture->deaf = bind_port(false, &fixture->deaf_port);
    server->listener = bind_port(true, &server->port);
    must(pthread_mutex_init(&server->lock, NULL) == 0);
    must(pthread_create(&server->thread, NULL, serve, server) == 0);

    char entries[2][40];
    const char *allow[] = {entries[0], entries[1]};
    char error[200];
    snprintf(entries[0], sizeof(entries[0]), "127.0.0.1:%u", server->port);
    snprintf(entries[1], sizeof(entries[1]), "127.0.0.1:%u", fixture->deaf_port);
    must(guard_new(allow, ARRAY_LENGTH(allow), &fixture->guard, error));
    must(loop_new(&fixture->loop) == 0);
    must(exchange_pool_new(fixture->loop, &fixture->pool) == 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    struct server *server = &fixture->server;
    fixture->pool = exchange_pool_free(fixture->pool);
    fixture->loop = loop_free(fixture->loop);
    fixture->guard = guard_free(fixture->guard);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (size_t i = 0; i < server->n_held; i++)
        close(server->held[i]);
    close(server->listener);
    close(fixture->forbidden);
    close(fixture->deaf);
    pthread_mutex_destroy(&server->lock);
    free(fixture);
    return 0;
}

static void on_done(void *context, const struct exchange_result *result)
{
    struct outcome *outcome = context;
    outcome->calls++;
    outcome->result = *result;
    snprintf(outcome->note, sizeof(outcome->note), "%s", result->note);
    outcome->result.note = outcome->note;
    if (outcome->loop != NULL)
        loop_stop(outcome->loop);
}

static struct exchange_fetch usual(const struct fixture *fixture, const char *url,
                                   struct outcome *outcome)
{
    return (struct exchange_fetch){
        .url = url,
        .sink = outcome->sink,
        .max_bytes = 1000,
        .connect_ms = 20000,
        .total_ms = 60000,
        .max_redirects = 3,
        .guard = fixture->guard,
        .done = on_done,
        .context = outcome,
    };
}

static void outcome_init(struct outcome *outcome, struct loop *loop)
{
    *outcome = (struct outcome){.loop = loop, .sink = memfd_create("sink", MFD_CLOEXEC)};
    must(outcome->sink >= 0);
}

static void outcome_fini(struct outcome *outcome)
{
    close_fd(&outcome->sink);
}

static void run(struct fixture *fixture, const struct exchange_fetch *fetch,
                struct outcome *outcome)
{
    char url[10000];
    struct exchange *exchange = NULL;
    snprintf(url, sizeof(url), "%s", fetch->url);
    struct exchange_fetch copy = *fetch;
    copy.url = url;
    assert_int_equal(exchange_fetch(fixture->pool, &copy, &exchange), 0);
    assert_non_null(exchange);
    assert_int_equal(outcome->calls, 0);
    memset(url, 'x', sizeof(url)); /* it is not kept */
    loop_run(fixture->loop);
    assert_int_equal(outcome->calls, 1);
}

/* The URL of a path on the server, in a buffer of the caller's. */
static const char *url_of(const struct fixture *fixture, const char *path, char ret_url[300])
{
    snprintf(ret_url, 300, "http://127.0.0.1:%u%s", fixture->server.port, path);
    return ret_url;
}

static void expect(struct fixture *fixture, const char *url, enum exchange_end end, long status)
{
    CLEANUP(outcome_fini) struct outcome outcome;
    outcome_init(&outcome, fixture->loop);
    struct exchange_fetch fetch = usual(fixture, url, &outcome);
    run(fixture, &fetch, &outcome);
    if (outcome.result.end != end || outcome.result.status != status)
        fail_msg("%s ended as %d with %ld: %s", url, (int)outcome.result.end, outcome.result.status,
                 outcome.note);
    assert_true(outcome.note[0] != '\0');
    assert_null(strstr(outcome.note, "secret"));
}

static void expect_body(struct fixture *fixture, const char *path, const char *body)
{
    char url[300];
    char got[100] = "";
    CLEANUP(outcome_fini) struct outcome outcome;
    outcome_init(&outcome, fixture->loop);
    struct exchange_fetch fetch = usual(fixture, url_of(fixture, path, url), &outcome);
    run(fixture, &fetch, &outcome);
    assert_int_equal(outcome.result.end, EXCHANGE_DONE);
    assert_int_equal(outcome.result.body_bytes, strlen(body));
    assert_int_equal(pread(outcome.sink, got, sizeof(got) - 1, 0), strlen(body));
    assert_string_equal(got, body);
}

static void assert_nobody_came(const struct fixture *fixture)
{
    assert_int_equal(accept(fixture->forbidden, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
}

static void bodies_arrive_whole(void **state)
{
    struct fixture *fixture = *state;
    expect_body(fixture, "/ok", "hello world");
    expect_body(fixture, "/until-close", "to the end");
    expect_body(fixture, "/bare-lines", "to the end");
    expect_body(fixture, "/trailers", "to the end");
    expect_body(fixture, "/gzip", "\x1f\x8bzz"); /* bytes as they are */
    expect_body(fixture, "/empty", "");
}

static void requests_carry_nothing_of_ours(void **state)
{
    struct fixture *fixture = *state;
    static const char *const unwanted[] = {
        "Authorization:", "Cookie:", "Referer:", "Proxy", "Accept-Encoding:", "Range:"};
    expect_body(fixture, "/cookie", "hello world"); /* sets one, then redirects */
    struct server *server = &fixture->server;
    pthread_mutex_lock(&server->lock);
    assert_non_null(strstr(server->request, "GET /ok HTTP/1.1\r\n"));
    assert_non_null(strstr(server->request, "\r\nUser-Agent: filmgate\r\n"));
    for (size_t i = 0; i < ARRAY_LENGTH(unwanted); i++)
        assert_null(strcasestr(server->request, unwanted[i]));
    pthread_mutex_unlock(&server->lock);
}

static void other_answers_leave_the_sink_alone(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *path;
        long status;
    } cases[] = {{"/missing", 404}, {"/broken", 500}, {"/not-modified", 304}, {"/nowhere", 302}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char url[300];
        CLEANUP(outcome_fini) struct outcome outcome;
        outcome_init(&outcome, fixture->loop);
        struct exchange_fetch fetch = usual(fixture, url_of(fixture, cases[i].path, url), &outcome);
        run(fixture, &fetch, &outcome);
        assert_int_equal(outcome.result.end, EXCHANGE_STATUS);
        assert_int_equal(outcome.result.status, cases[i].status);
        assert_int_equal(outcome.result.body_bytes, 0);
        struct stat sink;
        assert_int_equal(fstat(outcome.sink, &sink), 0);
        assert_int_equal(sink.st_size, 0);
    }
}

static void redirects_are_followed_as_far_as_allowed(void **state)
{
    struct fixture *fixture = *state;
    char url[300];
    expect_body(fixture, "/redirect/0", "hello world");
    expect_body(fixture, "/redirect/2", "hello world"); /* the third leads to /ok */
    expect(fixture, url_of(fixture, "/redirect/3", url), EXCHANGE_REDIRECTS, 302);

    CLEANUP(outcome_fini) struct outcome outcome;
    outcome_init(&outcome, fixture->loop);
    struct exchange_fetch fetch = usual(fixture, url_of(fixture, "/redirect/0", url), &outcome);
    fetch.max_redirects = 0;
    run(fixture, &fetch, &outcome);
    assert_int_equal(outcome.result.end, EXCHANGE_REDIRECTS);
}

static void redirects_do_not_lead_past_the_guard(void **state)
{
    struct fixture *fixture = *state;
    static const char *const paths[] = {"/to-forbidden", "/to-file", "/to-gopher", "/to-user"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        char url[300];
        expect(fixture, url_of(fixture, paths[i], url), EXCHANGE_FORBIDDEN, 302);
    }
    assert_nobody_came(fixture);
}

static void spellings_of_loopback_are_forbidden(void **state)
{
    struct fixture *fixture = *state;
    static const char *const hosts[] = {
        "127.0.0.1",  "localhost", "LocalHost", "2130706433",         "0x7f000001",
        "0177.0.0.1", "127.1",     "[::1]",     "[::ffff:127.0.0.1]", "0.0.0.0",
        "[::]",       "0",         "0x7f.1",    "[::ffff:7f00:1]",    "[64:ff9b::7f00:1]",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        char url[300];
        snprintf(url, sizeof(url), "http://%s:%u/", hosts[i], fixture->server.forbidden_port);
        expect(fixture, url, EXCHANGE_FORBIDDEN, 0);
    }
    assert_nobody_came(fixture);
}

static void unfit_urls_are_forbidden(void **state)
{
    struct fixture *fixture = *state;
    char url[300];
    expect(fixture, "file:///etc/secret", EXCHANGE_FORBIDDEN, 0);
    expect(fixture, "ftp://127.0.0.1/", EXCHANGE_FORBIDDEN, 0);
    expect(fixture, "http://", EXCHANGE_FORBIDDEN, 0);
    expect(fixture, "http://[:::]/secret", EXCHANGE_FORBIDDEN, 0);
    snprintf(url, sizeof(url), "http://name:secret@127.0.0.1:%u/ok", fixture->server.port);
    expect(fixture, url, EXCHANGE_FORBIDDEN, 0);
}

static void sizes_have_a_ceiling(void **state)
{
    struct fixture *fixture = *state;
    static const char *const paths[] = {"/large", "/large-chunked"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        static const int64_t limits[] = {1, 4999, 5000};
        for (size_t j = 0; j < ARRAY_LENGTH(limits); j++) {
            char url[300];
            struct stat sink;
            CLEANUP(outcome_fini) struct outcome outcome;
            outcome_init(&outcome, fixture->loop);
            struct exchange_fetch fetch = usual(fixture, url_of(fixture, paths[i], url), &outcome);
            fetch.max_bytes = limits[j];
            run(fixture, &fetch, &outcome);
            assert_int_equal(outcome.result.end,
                             limits[j] < LARGE_BYTES ? EXCHANGE_TOO_LARGE : EXCHANGE_DONE);
            assert_int_equal(fstat(outcome.sink, &sink), 0);
            assert_true(sink.st_size <= limits[j]);
        }
    }
    char url[300];
    expect(fixture, url_of(fixture, "/flood", url), EXCHANGE_UNREACHABLE, 200);
}

/* curl takes a connection that closes within the headers for a whole answer without a body. */
static void an_answer_that_ends_within_its_headers_is_none(void **state)
{
    struct fixture *fixture = *state;
    static const char *const paths[] = {"/cut-status",        "/cut-headers",   "/cut-header",
                                        "/cut-headers-later", "/to-cut-status", "/to-cut-headers"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        char url[300];
        CLEANUP(outcome_fini) struct outcome outcome;
        outcome_init(&outcome, fixture->loop);
        struct exchange_fetch fetch = usual(fixture, url_of(fixture, paths[i], url), &outcome);
        run(fixture, &fetch, &outcome);
        if (outcome.result.end != EXCHANGE_UNREACHABLE || outcome.result.body_bytes != 0)
            fail_msg("%s ended as %d: %s", paths[i], (int)outcome.result.end, outcome.note);
    }
}

static void hanging_servers_are_given_up(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(held_answers); i++) {
        char url[300];
        CLEANUP(outcome_fini) struct outcome outcome;
        outcome_init(&outcome, fixture->loop);
        struct exchange_fetch fetch =
            usual(fixture, url_of(fixture, held_answers[i].path, url), &outcome);
        fetch.total_ms = 100;
        run(fixture, &fetch, &outcome);
        assert_int_equal(outcome.result.end, EXCHANGE_TIMED_OUT);
    }
}

static void broken_answers_are_unreachable(void **state)
{
    struct fixture *fixture = *state;
    char url[300];
    expect(fixture, url_of(fixture, "/cut", url), EXCHANGE_UNREACHABLE, 200);
    expect(fixture, url_of(fixture, "/cut-chunk", url), EXCHANGE_UNREACHABLE, 200);
    expect(fixture, url_of(fixture, "/silent", url), EXCHANGE_UNREACHABLE, 0);
    expect(fixture, url_of(fixture, "/no-http", url), EXCHANGE_UNREACHABLE, 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/ok?secret", fixture->deaf_port);
    expect(fixture, url, EXCHANGE_UNREACHABLE, 0);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/ok?secret", fixture->server.port);
    expect(fixture, url, EXCHANGE_UNREACHABLE, 0); /* it does not speak TLS */
}

static void a_failing_sink_ends_the_transfer(void **state)
{
    struct fixture *fixture = *state;
    char url[300];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    CLEANUP(outcome_fini) struct outcome outcome;
    outcome_init(&outcome, fixture->loop);
    struct exchange_fetch fetch = usual(fixture, url_of(fixture, "/ok", url), &outcome);
    fetch.sink = ends[0]; /* for reading only */
    run(fixture, &fetch, &outcome);
    assert_int_equal(outcome.result.end, EXCHANGE_SINK_FAILED);
    assert_int_equal(outcome.result.body_bytes, 0);
    close(ends[0]);
    close(ends[1]);
}

static void proxies_of_the_environment_are_ignored(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    char proxy[100];
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", fixture->deaf_port);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_int_equal(setenv(names[i], proxy, 1), 0);
    expect_body(fixture, "/ok", "hello world");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        unsetenv(names[i]);
}

struct stopper {
    struct loop_timer timer;
    struct loop *loop;
    struct exchange *exchange;
    int sink;
};

/* Stops the transfer once a part of its body is there. */
static void stop_in_the_middle(struct loop_timer *timer)
{
    struct stopper *stopper = CONTAINER_OF(timer, struct stopper, timer);
    struct stat sink;
    assert_int_equal(fstat(stopper->sink, &sink), 0);
    if (sink.st_size == 0) {
        loop_arm(stopper->loop, timer, 2);
        return;
    }
    stopper->exchange = exchange_stop(stopper->exchange);
    loop_stop(stopper->loop);
}

static void a_stopped_transfer_says_nothing(void **state)
{
    struct fixture *fixture = *state;
    char url[300];
    CLEANUP(outcome_fini) struct outcome outcome;
    outcome_init(&outcome, fixture->loop);
    struct exchange_fetch fetch = usual(fixture, url_of(fixture, "/slow", url), &outcome);
    struct stopper stopper = {
        .timer.fire = stop_in_the_middle, .loop = fixture->loop, .sink = outcome.sink};
    assert_int_equal(exchange_fetch(fixture->pool, &fetch, &stopper.exchange), 0);
    loop_arm(fixture->loop, &stopper.timer, 0);
    loop_run(fixture->loop);
    assert_null(stopper.exchange);
    expect_body(fixture, "/ok", "hello world"); /* the pool is as good as before */
    assert_int_equal(outcome.calls, 0);
}

static void transfers_stop_before_their_first_turn(void **state)
{
    struct fixture *fixture = *state;
    static const char *const urls[] = {"file:///refused", "http://127.0.0.1:9/"};
    CLEANUP(outcome_fini) struct outcome outcome;
    outcome_init(&outcome, fixture->loop);
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        struct exchange *exchange = NULL;
        struct exchange_fetch fetch = usual(fixture, urls[i], &outcome);
        assert_int_equal(exchange_fetch(fixture->pool, &fetch, &exchange), 0);
        assert_null(exchange_stop(exchange));
    }
    expect_body(fixture, "/ok", "hello world");
    assert_int_equal(outcome.calls, 0);
    assert_null(exchange_stop(NULL));
}

struct chain {
    struct fixture *fixture;
    struct exchange *own, *other;
    struct outcome *second;
    int calls;
};

/* Stops another transfer, its own (which does nothing) and starts a third. */
static void on_first_of_chain(void *context, const struct exchange_result *result)
{
    struct chain *chain = context;
    char url[300];
    struct exchange *third;
    assert_int_equal(result->end, EXCHANGE_DONE);
    chain->calls++;
    chain->other = exchange_stop(chain->other);
    chain->own = exchange_stop(chain->own);
    struct exchange_fetch fetch =
        usual(chain->fixture, url_of(chain->fixture, "/ok", url), chain->second);
    assert_int_equal(exchange_fetch(chain->fixture->pool, &fetch, &third), 0);
    assert_int_equal(chain->second->calls, 0);
}

static void callbacks_may_start_and_stop_transfers(void **state)
{
    struct fixture *fixture = *state;
    char url[300];
    CLEANUP(outcome_fini) struct outcome held;
    CLEANUP(outcome_fini) struct outcome second;
    CLEANUP(outcome_fini) struct outcome first;
    outcome_init(&held, NULL);
    outcome_init(&second, fixture->loop);
    outcome_init(&first, NULL);
    struct chain chain = {.fixture = fixture, .second = &second};
    struct exchange_fetch fetch = usual(fixture, url_of(fixture, "/mute", url), &held);
    assert_int_equal(exchange_fetch(fixture->pool, &fetch, &chain.other), 0);
    fetch = usual(fixture, url_of(fixture, "/ok", url), &first);
    fetch.done = on_first_of_chain;
    fetch.context = &chain;
    assert_int_equal(exchange_fetch(fixture->pool, &fetch, &chain.own), 0);
    loop_run(fixture->loop);
    assert_int_equal(chain.calls, 1);
    assert_int_equal(second.result.end, EXCHANGE_DONE);
    assert_int_equal(held.calls, 0);
}

static void a_pool_ends_with_transfers_under_way(void **state)
{
    struct fixture *fixture = *state;
    char url[300];
    CLEANUP(outcome_fini) struct outcome outcome;
    outcome_init(&outcome, NULL);
    struct exchange_fetch fetch = usual(fixture, url_of(fixture, "/slow", url), &outcome);
    struct exchange *exchange;
    for (int i = 0; i < 3; i++)
        assert_int_equal(exchange_fetch(fixture->pool, &fetch, &exchange), 0);
    expect_body(fixture, "/ok", "hello world");
    fetch.url = "file:///refused";
    assert_int_equal(exchange_fetch(fixture->pool, &fetch, &exchange), 0);
    fixture->pool = exchange_pool_free(fixture->pool);
    assert_int_equal(outcome.calls, 0);
    assert_null(exchange_pool_free(NULL));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(bodies_arrive_whole),
        CASE(requests_carry_nothing_of_ours),
        CASE(other_answers_leave_the_sink_alone),
        CASE(redirects_are_followed_as_far_as_allowed),
        CASE(redirects_do_not_lead_past_the_guard),
        CASE(spellings_of_loopback_are_forbidden),
        CASE(unfit_urls_are_forbidden),
        CASE(sizes_have_a_ceiling),
        CASE(hanging_servers_are_given_up),
        CASE(broken_answers_are_unreachable),
        CASE(an_answer_that_ends_within_its_headers_is_none),
        CASE(a_failing_sink_ends_the_transfer),
        CASE(proxies_of_the_environment_are_ignored),
        CASE(a_stopped_transfer_says_nothing),
        CASE(transfers_stop_before_their_first_turn),
        CASE(callbacks_may_start_and_stop_transfers),
        CASE(a_pool_ends_with_transfers_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
