/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon and the life of a request. The library calls first when the headers are there, then with pieces of the body, then once
 * when all of it is there. It takes an answer only at the first call or at the last, and closes the connection after one at the first. So:
 *
 *     first call -- broken on the wire, or refused and much is coming --> answered, closed
 *         `------- pieces of the body (kept, or read past) --> last call --> answered, or suspended
 *                                                                               `--> resumed --> answered
 *
 * Routing, the key, and the body's limit are judged at the first call. A connection carries one request at a time,
 * so its request lives in it and a query allocates nothing. All of it runs on the library's threads; the server's own
 * state is immutable but for the atomics in struct api. */
#include "api/server.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/connection.h"
#include "api/exposition.h"
#include "api/handler.h"
#include "api/judge.h"
#include "api/poll.h"
#include "api/task.h"
#include "api/ticket.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "net/address.h"

enum {
    /* Of one connection: its headers, and the window through which bodies come. */
    POOL_BYTES = 20 * 1024,
    BACKLOG = 1024,
    THREADS_MAX = 8,           /* when the configuration leaves it to us */
    CLOSE_PATIENCE_MS = 10000, /* for suspended requests to be answered at the stop */
    LAST_WORDS_MS = 1000,      /* for those answers to reach their clients */
};

struct server {
    struct api api;
    struct MHD_Daemon *daemon;
    int listener;
    bool is_quiet; /* quiesced: the listener is ours to close */
};

/* ---- one request ---- */

static bool is_method(const struct api_request *request, const char *method)
{
    return strcmp(request->method, method) == 0;
}

static enum MHD_Result reply_preflight(struct api_request *request)
{
    char allow[ROUTE_ALLOW_SIZE];
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    route_allow(request->path, allow);
    bool is_whole = MHD_add_response_header(response, "Allow", allow) == MHD_YES;
    if (request->api->parts.settings->cors)
        is_whole = is_whole &&
                   MHD_add_response_header(response, "Access-Control-Allow-Methods",
                                           "GET, HEAD, POST, DELETE, OPTIONS") == MHD_YES &&
                   MHD_add_response_header(response, "Access-Control-Allow-Headers",
                                           "Authorization, Content-Type, Accept, "
                                           "Idempotency-Key, X-Request-Id, X-Forwarded-Host, "
                                           "If-None-Match, Last-Event-ID, Range") == MHD_YES &&
                   MHD_add_response_header(response, "Access-Control-Max-Age", "86400") == MHD_YES;
    must(is_whole);
    return api_reply_response(request, MHD_HTTP_NO_CONTENT, response, 0);
}

static enum MHD_Result answer(struct api_request *request)
{
    if (request->is_refused)
        return judge_reply(request);
    if (is_method(request, "OPTIONS"))
        return reply_preflight(request);
    bool touches_task = request->route->touches == ROUTE_TOUCHES_TASK ||
                        request->route->touches == ROUTE_TOUCHES_TASK_ASKED;
    enum MHD_Result result;
    if (touches_task && !api_take_task(request, &result))
        return result;
    if (touches_task && poll_takes(request, &result))
        return result;
    return request->route->handler(request);
}

/* The answer to a message that wire_check() refuses. The connection ends: where the next message begins is anybody's guess. */
static enum MHD_Result reply_unfit(struct api_request *request, enum wire_verdict verdict)
{
    request->must_close = true;
    if (verdict == WIRE_URI_TOO_LONG)
        return api_reply_error(request, API_ERROR_URI_TOO_LONG, NULL);
    if (verdict == WIRE_EXPECTATION)
        return api_reply_error(request, API_ERROR_EXPECTATION, NULL);
    return api_reply_invalid(request, NULL, request->facts.problem);
}

static enum MHD_Result first_call(struct connection *own, const char *version)
{
    struct api_request *request = &own->request;
    enum wire_verdict verdict =
        wire_check(request->connection, &own->line, request->method, version, &request->facts);
    connection_head_is_there(own, verdict == WIRE_FINE && wire_has_body(&request->facts));
    if (verdict != WIRE_FINE)
        return reply_unfit(request, verdict);
    request->path = wire_path(&own->line, request->path);
    /* The library reads line ends of chunks loosely, and we do not see them. */
    request->must_close =
        request->facts.is_chunked || own->n_requests >= request->api->parts.settings->http_requests;
    judge_request(request);
    if (!judge_gives_up(request))
        return MHD_YES;
    request->must_close = true;
    return answer(request);
}

/* A connection that is suspended while the library still means to read from it is read when it is resumed; if the client has closed
 * his half by then, it is closed, and he never hears of his task. Asked again without an answer, the
 * library no longer means to read: so whoever may be suspended is asked twice. */
static bool needs_breath(struct api_request *request)
{
    if (request->has_breathed || request->is_refused || request->route == NULL ||
        (request->route->body == ROUTE_BODY_NONE && !poll_may_wait(request)))
        return false;
    request->has_breathed = true;
    return true;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request_context)
{
    struct api *api = context;
    struct api_request *request = *request_context;
    if (request == NULL) {
        struct connection *own = connection_of(connection);
        request = &own->request;
        *request = (struct api_request){
            .api = api,
            .connection = connection,
            .method = method,
            .path = url,
            .started_micros = clock_mono_micros(),
        };
        *request_context = request;
        own->n_requests++;
        atomic_fetch_add(&api->n_under_way, 1);
        return first_call(own, version);
    }
    if (*upload_size > 0) {
        bool goes_on = api_request_add(request, upload, *upload_size);
        *upload_size = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    connection_body_is_there(CONTAINER_OF(request, struct connection, request));
    if (needs_breath(request))
        return MHD_YES;
    return request->resumed != NULL ? request->resumed(request) : answer(request);
}

static void completed(void *context, struct MHD_Connection *connection UNUSED,
                      void **request_context, enum MHD_RequestTerminationCode code UNUSED)
{
    struct api *api = context;
    struct api_request *request = TAKE(*request_context);
    if (request == NULL)
        return; /* broken off before the first call */
    api_request_fini(request);
    connection_is_answered(CONTAINER_OF(request, struct connection, request));
    atomic_fetch_sub(&api->n_under_way, 1);
}

__attribute__((format(printf, 2, 0))) static void
library_says(void *context UNUSED, const char *format, va_list arguments)
{
    char text[300];
    vsnprintf(text, sizeof(text), format, arguments);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("http: %s", text);
}

/* ---- start ---- */

static int open_listener(const char *address, int *ret_fd, char ret_error[SERVER_ERROR_SIZE])
{
    int fd = -1;
    int r = address_bind(address, &fd, ret_error);
    if (r < 0)
        return r;
    if (listen(fd, BACKLOG) < 0) {
        r = -errno;
        close(fd);
        snprintf(ret_error, SERVER_ERROR_SIZE, "listening on %.100s failed: %s", address,
                 strerror(-r));
        return r;
    }
    *ret_fd = fd;
    return 0;
}

/* Where we can be reached, in a client's words: the wildcard address is no address to call. */
static void write_url(int fd, char ret_url[ORIGIN_BASE_SIZE])
{
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof(bound);
    char host[NI_MAXHOST] = "127.0.0.1";
    char port[NI_MAXSERV] = "0";
    if (getsockname(fd, (struct sockaddr *)&bound, &length) == 0)
        (void)getnameinfo((struct sockaddr *)&bound, length, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
        snprintf(host, sizeof(host), "%s", bound.ss_family == AF_INET6 ? "::1" : "127.0.0.1");
    bool is_ipv6 = strchr(host, ':') != NULL;
    snprintf(ret_url, ORIGIN_BASE_SIZE, "http://%s%.200s%s:%.8s", is_ipv6 ? "[" : "", host,
             is_ipv6 ? "]" : "", port);
}

static unsigned count_threads(const struct settings *settings)
{
    if (settings->http_threads > 0)
        return (unsigned)settings->http_threads;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 1)
        return 1;
    return cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

static struct MHD_Daemon *start_daemon(struct server *server)
{
    const struct settings *settings = server->api.parts.settings;
    unsigned threads = count_threads(settings);
    unsigned connections = (unsigned)settings->http_connections;
    server->api.lists_most = threads > 1 ? (int)threads / 2 : 1;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem *options = threads > 1 ? pool : pool + 1;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(
        flags, 0, connection_is_welcome, &server->api, handle, &server->api,
        MHD_OPTION_EXTERNAL_LOGGER, library_says, NULL, MHD_OPTION_LISTEN_SOCKET, server->listener,
        MHD_OPTION_CONNECTION_LIMIT, connections > threads ? connections : threads,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(settings->http_idle / 1000),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_NOTIFY_COMPLETED,
        completed, &server->api, MHD_OPTION_NOTIFY_CONNECTION, connection_notice, &server->api,
        MHD_OPTION_URI_LOG_CALLBACK, connection_line, &server->api, MHD_OPTION_ARRAY, options,
        MHD_OPTION_END);
}

/* Everything but the daemon. What was made before a failure is for release(). */
static int prepare(struct server *server, char ret_error[SERVER_ERROR_SIZE])
{
    struct api *api = &server->api;
    const struct settings *settings = api->parts.settings;
    char error[ORIGIN_ERROR_SIZE];
    api->proxies = origin_proxies_new(&settings->trusted_proxies, error);
    if (api->proxies == NULL) {
        snprintf(ret_error, SERVER_ERROR_SIZE, "%s", error);
        return -EINVAL;
    }
    if (strlen(settings->public_url) >= ORIGIN_BASE_SIZE) {
        snprintf(ret_error, SERVER_ERROR_SIZE, "public_url: longer than %d bytes",
                 ORIGIN_BASE_SIZE - 1);
        return -EINVAL;
    }
    store_secret(api->parts.store, api->secret);
    metrics_init(&api->metrics);
    api->tickets = ticket_office_new(api->secret);
    api->views = view_cache_new((size_t)settings->view_bytes);
    int r = auth_new(api->parts.store, &api->auth);
    if (r != 0) {
        snprintf(ret_error, SERVER_ERROR_SIZE, "reading the API keys failed: %s",
                 strerror(r < 0 ? -r : EIO));
        return r < 0 ? r : -EIO;
    }
    api->peers = peer_table_new(settings->http_per_address, api->proxies);
    r = wait_room_new(&api->waits);
    if (r == 0)
        r = reaper_new(&api->reaper);
    if (r < 0) {
        snprintf(ret_error, SERVER_ERROR_SIZE, "starting a thread failed: %s", strerror(-r));
        return r;
    }
    r = open_listener(settings->listen, &server->listener, ret_error);
    if (r == 0)
        write_url(server->listener, api->url);
    return r;
}

static void release(struct server *server)
{
    struct api *api = &server->api;
    if (server->listener >= 0)
        close(server->listener);
    reaper_free(api->reaper);
    wait_room_free(api->waits);
    peer_table_free(api->peers);
    auth_free(api->auth);
    view_cache_free(api->views);
    ticket_office_free(api->tickets);
    origin_proxies_free(api->proxies);
    free(server);
}

int server_start(const struct server_parts *parts, struct server **ret_server,
                 char ret_error[SERVER_ERROR_SIZE])
{
    struct server *server = must_calloc(1, sizeof(*server));
    server->api.parts = *parts;
    server->listener = -1;
    int r = prepare(server, ret_error);
    if (r == 0) {
        errno = 0;
        server->daemon = start_daemon(server);
        if (server->daemon == NULL) {
            server->listener = -1; /* the library closes it on most ways out */
            r = errno != 0 ? -errno : -ENOMEM;
            snprintf(ret_error, SERVER_ERROR_SIZE, "starting the HTTP server failed: %s",
                     strerror(-r));
        }
    }
    if (r != 0) {
        release(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

const char *server_url(const struct server *server)
{
    return server->api.url;
}

/* ---- stop ---- */

static void await_idle(struct server *server, int64_t patience_ms)
{
    int64_t until_ms = clock_mono_ms() + patience_ms;
    while (atomic_load(&server->api.n_under_way) > 0 && clock_mono_ms() < until_ms) {
        struct timespec pause = {.tv_nsec = 5000000};
        nanosleep(&pause, NULL);
    }
}

void server_quiesce(struct server *server, int64_t drain_ms)
{
    atomic_store(&server->api.is_draining, true);
    if (server->api.parts.hub != NULL)
        hub_close(server->api.parts.hub); /* who comes again finds the next start */
    if (!server->is_quiet) {
        MHD_socket listener = MHD_quiesce_daemon(server->daemon);
        server->is_quiet = true;
        if (listener != MHD_INVALID_SOCKET)
            shutdown(listener, SHUT_RDWR); /* nobody queues up behind a closed door */
    }
    await_idle(server, drain_ms);
}

struct server *server_stop(struct server *server)
{
    if (server == NULL)
        return NULL;
    server_quiesce(server, 0);
    /* The library aborts when it is stopped over a suspended connection. */
    if (!wait_room_close(server->api.waits, CLOSE_PATIENCE_MS))
        log_error("stopping: a suspended request did not leave");
    await_idle(server, LAST_WORDS_MS);
    MHD_stop_daemon(TAKE(server->daemon));
    release(server);
    return NULL;
}

void server_dump_routes(FILE *out)
{
    route_dump(out);
}

void server_dump_errors(FILE *out)
{
    api_error_dump(out);
}

void server_dump_metrics(FILE *out)
{
    exposition_dump(out);
}
