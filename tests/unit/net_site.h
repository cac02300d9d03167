/* SPDX-License-Identifier: Apache-2.0
 *
 * A hostile site for the guarded fetcher: it answers on 127.0.0.2, which the guard lets through;
 * on the same port of 127.0.0.1 a trap listens that must never see a connection. */
#pragma once

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
#include <stdatomic.h>
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

#define SITE_HOST "127.0.0.2"
#define DEAF_HOST "127.0.0.3" /* let through; nobody listens */
#define TRAP_HOST "127.0.0.1"

enum {
    SITE_REQUEST_SIZE = 16384,
    SITE_PORT_TRIES = 50,
    SITE_MAX_BYTES = 100000, /* of a fetch, unless a test says otherwise */
    SITE_TOTAL_MS = 60000,
    SITE_REDIRECTS = 5,
    SITE_WATCHDOG_S = 110, /* what hangs is a failure */
};

struct site {
    pthread_t thread;
    int listener;
    unsigned port;
    void (*answer)(const struct site *site, int fd, const char *path);
    atomic_int n_requests;
    pthread_mutex_t lock;            /* owns the rest */
    char request[SITE_REQUEST_SIZE]; /* the last one */
};

struct fixture {
    struct site site;
    int trap;
    struct loop *loop;
    struct exchange_pool *pool;
    struct guard *guard;
};

struct outcome {
    struct loop *loop;
    int calls, sink;
    struct exchange_result result; /* `note` and `blocked` below */
    char note[400], blocked[100];
};

static int site_listen(const char *host, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    must(inet_pton(AF_INET, host, &address.sin_addr) == 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 64) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The same port on both addresses. */
static void site_find_port(struct fixture *fixture)
{
    for (int i = 0; i < SITE_PORT_TRIES; i++) {
        struct sockaddr_in address;
        socklen_t length = sizeof(address);
        fixture->trap = site_listen(TRAP_HOST, 0);
        must(fixture->trap >= 0);
        must(getsockname(fixture->trap, (struct sockaddr *)&address, &length) == 0);
        fixture->site.port = ntohs(address.sin_port);
        fixture->site.listener = site_listen(SITE_HOST, fixture->site.port);
        if (fixture->site.listener >= 0) {
            must(fcntl(fixture->trap, F_SETFL, O_NONBLOCK) == 0);
            return;
        }
        close(fixture->trap);
    }
    must(false);
}

/* False once the client is gone. */
static bool site_send(int fd, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

static bool site_say(int fd, const char *text)
{
    return site_send(fd, text, strlen(text));
}

/* Reads a request's head; its target, or an empty one when the client leaves. */
static void site_read(struct site *site, int fd, char ret_target[200])
{
    char text[SITE_REQUEST_SIZE] = "";
    size_t length = 0;
    ret_target[0] = '\0';
    while (strstr(text, "\r\n\r\n") == NULL && length < sizeof(text) - 1) {
        ssize_t got = recv(fd, text + length, sizeof(text) - 1 - length, 0);
        if (got <= 0)
            return;
        length += (size_t)got;
        text[length] = '\0';
    }
    pthread_mutex_lock(&site->lock);
    memcpy(site->request, text, length + 1);
    pthread_mutex_unlock(&site->lock);
    if (sscanf(text, "GET %199s ", ret_target) != 1)
        ret_target[0] = '\0';
}

static void *site_serve(void *context)
{
    struct site *site = context;
    for (;;) {
        char target[200];
        int fd = accept4(site->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* shut down */
        site_read(site, fd, target);
        atomic_fetch_add(&site->n_requests, 1);
        site->answer(site, fd, target);
        close(fd);
    }
}

static struct fixture *site_open(void (*answer)(const struct site *site, int fd, const char *path))
{
    static const char *const allow[] = {SITE_HOST, DEAF_HOST};
    struct fixture *fixture = must_calloc(1, sizeof(*fixture));
    struct site *site = &fixture->site;
    char error[200];
    alarm(SITE_WATCHDOG_S);
    site_find_port(fixture);
    site->answer = answer;
    must(pthread_mutex_init(&site->lock, NULL) == 0);
    must(pthread_create(&site->thread, NULL, site_serve, site) == 0);
    must(guard_new(allow, ARRAY_LENGTH(allow), &fixture->guard, error));
    must(loop_new(&fixture->loop) == 0);
    must(exchange_pool_new(fixture->loop, &fixture->pool) == 0);
    return fixture;
}

static int site_close(void **state)
{
    struct fixture *fixture = *state;
    struct site *site = &fixture->site;
    fixture->pool = exchange_pool_free(fixture->pool);
    fixture->loop = loop_free(fixture->loop);
    fixture->guard = guard_free(fixture->guard);
    shutdown(site->listener, SHUT_RDWR);
    pthread_join(site->thread, NULL);
    close(site->listener);
    close(fixture->trap);
    pthread_mutex_destroy(&site->lock);
    free(fixture);
    return 0;
}

static void site_on_done(void *context, const struct exchange_result *result)
{
    struct outcome *outcome = context;
    outcome->calls++;
    outcome->result = *result;
    snprintf(outcome->note, sizeof(outcome->note), "%s", result->note);
    outcome->result.note = outcome->note;
    if (result->blocked != NULL)
        snprintf(outcome->blocked, sizeof(outcome->blocked), "%s", result->blocked);
    outcome->result.blocked = result->blocked != NULL ? outcome->blocked : NULL;
    loop_stop(outcome->loop);
}

static struct exchange_fetch site_usual(const struct fixture *fixture, const char *url)
{
    return (struct exchange_fetch){
        .url = url,
        .max_bytes = SITE_MAX_BYTES,
        .connect_ms = 20000,
        .total_ms = SITE_TOTAL_MS,
        .max_redirects = SITE_REDIRECTS,
        .guard = fixture->guard,
    };
}

/* Fetches into a sink of the outcome's. */
static void site_fetch(struct fixture *fixture, struct exchange_fetch fetch,
                       struct outcome *ret_outcome)
{
    struct exchange *exchange;
    *ret_outcome =
        (struct outcome){.loop = fixture->loop, .sink = memfd_create("sink", MFD_CLOEXEC)};
    must(ret_outcome->sink >= 0);
    fetch.sink = ret_outcome->sink;
    fetch.done = site_on_done;
    fetch.context = ret_outcome;
    assert_int_equal(exchange_fetch(fixture->pool, &fetch, &exchange), 0);
    loop_run(fixture->loop);
    assert_int_equal(ret_outcome->calls, 1);
    assert_true(ret_outcome->note[0] != '\0');
}

static void outcome_fini(struct outcome *outcome)
{
    close_fd(&outcome->sink);
}

static void site_expect(struct fixture *fixture, const char *name, const char *url,
                        enum exchange_end end)
{
    CLEANUP(outcome_fini) struct outcome outcome;
    site_fetch(fixture, site_usual(fixture, url), &outcome);
    if (outcome.result.end != end)
        fail_msg("%s: %s ended as %d: %s", name, url, (int)outcome.result.end, outcome.note);
    int visitor = accept(fixture->trap, NULL, NULL);
    if (visitor >= 0 || errno != EAGAIN)
        fail_msg("%s: %s came to the trap", name, url);
}
