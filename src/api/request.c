/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a request and the ways to answer. The memory of all bodies together is bounded: what a
 * request holds is charged and returns itself when the request ends. A body beyond its limit, or
 * beyond that bound, is read past and then refused, for the library lets us answer only before a body or
 * after it. On HTTP threads; a request belongs to one of them at a time. */
#include "api/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/entity.h"
#include "api/poll.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"

enum { UNREADABLE_SIZE = 300 }; /* of the sentence on a body that cannot be read */

static const char JSON_TYPE[] = "application/json; charset=utf-8";

/* ---- what was sent ---- */

static size_t tenant_slot(const struct api_request *request)
{
    return hash_text32(request->who.tenant) % API_TENANT_SLOTS;
}

static _Atomic int64_t *tenant_bytes(struct api_request *request)
{
    return &request->api->tenant_bytes[tenant_slot(request)];
}

static void give_back(struct api_request *request, size_t bytes)
{
    atomic_fetch_sub(tenant_bytes(request), (int64_t)bytes);
    atomic_fetch_sub(&request->api->body_bytes, (int64_t)bytes);
}

void api_request_drop_body(struct api_request *request)
{
    free(TAKE(request->body));
    request->body_length = request->body_capacity = 0;
    if (request->charged_bytes > 0)
        give_back(request, request->charged_bytes);
    request->charged_bytes = 0;
}

void api_request_fini(struct api_request *request)
{
    api_request_drop_body(request);
    if (request->wait != NULL)
        wait_desert(request->wait);
    request->wait = wait_unref(request->wait);
    request->poll = poll_free(request->poll);
    free(TAKE(request->ticket));
    request->task = task_unref(request->task);
}

bool api_begin_list(struct api_request *request)
{
    _Atomic int *n_lists = &request->api->tenant_lists[tenant_slot(request)];
    if (atomic_fetch_add(n_lists, 1) < request->api->lists_most)
        return true;
    atomic_fetch_sub(n_lists, 1);
    return false;
}

void api_end_list(struct api_request *request)
{
    atomic_fetch_sub(&request->api->tenant_lists[tenant_slot(request)], 1);
}

/* One tenant has half of the memory at most: what he holds by bodies that never end is not all. */
bool api_request_charge(struct api_request *request, size_t bytes)
{
    int64_t most = request->api->parts.settings->body_memory;
    int64_t more = (int64_t)bytes;
    int64_t all = atomic_fetch_add(&request->api->body_bytes, more) + more;
    int64_t own = atomic_fetch_add(tenant_bytes(request), more) + more;
    if (all > most || own > most / 2) {
        give_back(request, bytes);
        return false;
    }
    request->charged_bytes += bytes;
    return true;
}

static void refuse_body(struct api_request *request, enum api_error error)
{
    request->is_refused = true;
    request->refusal = error;
    api_request_drop_body(request);
}

/* Room for `more` bytes and a NUL. A declared length bounds the growth, so that the last doubling is not wasted. */
static bool reserve(struct api_request *request, size_t more)
{
    enum { LEAST = 4096 };
    size_t need = request->body_length + more + 1;
    if (need <= request->body_capacity)
        return true;
    size_t capacity = request->body_capacity > 0 ? 2 * request->body_capacity : LEAST;
    int64_t declared = request->facts.content_length;
    if (declared >= 0 && (size_t)declared + 1 < capacity)
        capacity = (size_t)declared + 1;
    if (capacity < need)
        capacity = need;
    if (!api_request_charge(request, capacity - request->body_capacity))
        return false;
    char *body = realloc(request->body, capacity);
    if (body == NULL)
        return false;
    request->body = body;
    request->body_capacity = capacity;
    return true;
}

bool api_request_add(struct api_request *request, const char *data, size_t length)
{
    request->seen_bytes += length;
    bool is_kept =
        !request->is_refused && request->route != NULL && request->route->body != ROUTE_BODY_NONE;
    if (!request->is_refused && request->seen_bytes > request->body_limit)
        refuse_body(request, API_ERROR_TOO_LARGE);
    else if (is_kept && !reserve(request, length))
        refuse_body(request, API_ERROR_UNAVAILABLE);
    if (request->is_refused)
        return request->seen_bytes <= 2 * request->body_limit;
    if (is_kept) {
        memcpy(request->body + request->body_length, data, length);
        request->body_length += length;
        request->body[request->body_length] = '\0';
    }
    return true;
}

const char *api_header(const struct api_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *api_argument(const struct api_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static bool is_request_id(const char *text)
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._:-";
    size_t length = strnlen(text, API_REQUEST_ID_SIZE);
    return length >= 1 && length < API_REQUEST_ID_SIZE && strspn(text, PLAIN) == length;
}

/* Takes the client's id if there is a fit one. */
static bool take_client_id(struct api_request *request)
{
    if (request->request_id[0] == '\0') {
        const char *given = api_header(request, "X-Request-Id");
        if (given != NULL && is_request_id(given)) {
            memcpy(request->request_id, given, strlen(given) + 1);
            request->has_client_id = true;
        }
    }
    return request->has_client_id;
}

const char *api_request_id(struct api_request *request)
{
    if (!take_client_id(request) && request->request_id[0] == '\0')
        id_new("req", request->request_id, sizeof(request->request_id));
    return request->request_id;
}

bool api_host_base(const struct api_request *request, char ret_base[ORIGIN_BASE_SIZE])
{
    const struct api *api = request->api;
    struct origin_facts facts = {.host = api_header(request, "Host")};
    if (facts.host == NULL) { /* HTTP/1.0 */
        memcpy(ret_base, api->url, sizeof(api->url));
        return true;
    }
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    facts.peer_is_trusted = peer != NULL && peer->client_addr != NULL &&
                            origin_is_trusted(api->proxies, peer->client_addr);
    if (facts.peer_is_trusted) {
        facts.forwarded_host = api_header(request, "X-Forwarded-Host");
        facts.forwarded_proto = api_header(request, "X-Forwarded-Proto");
    }
    return origin_base(&facts, ret_base);
}

bool api_base(const struct api_request *request, char ret_base[ORIGIN_BASE_SIZE])
{
    const char *public_url = request->api->parts.settings->public_url;
    size_t length = strlen(public_url);
    if (length == 0)
        return api_host_base(request, ret_base);
    if (length >= ORIGIN_BASE_SIZE)
        return false;
    memcpy(ret_base, public_url, length + 1);
    return true;
}

/* ---- answers ---- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    must(MHD_add_response_header(response, name, value) == MHD_YES);
}

/* So much of a path is logged: of a callback it holds the signature, too. */
static int shown_length(const char *path)
{
    enum { MOST = 200 };
    bool is_callback = strcasestr(path, "callbacks/") !=
                       NULL; /* also misspelt: the signature is good all the same */
    size_t length = is_callback ? strcspn(path, ".") : strlen(path);
    return length < MOST ? (int)length : MOST;
}

/* Counts an answer and logs it: the key's name, never the key; the path without its query, where ids and signatures stand. */
static void note_answer(struct api_request *request, enum log_level level, unsigned status,
                        int64_t bytes)
{
    int64_t took_micros = clock_mono_micros() - request->started_micros;
    metrics_count(&request->api->metrics, request->route, status, took_micros, bytes);
    if (level == LOG_DEBUG && !log_is_wanted(LOG_DEBUG))
        return; /* a shared view costs less than a line about it */
    struct log_about about = {0};
    if (request->request_id[0] != '\0')
        about.request_id = request->request_id;
    const char *key = request->who.name[0] != '\0' ? request->who.name : "-";
    log_write(level, &about, "%.20s %.*s %u, %lld ms, %lld bytes, key %s", request->method,
              shown_length(request->path), request->path, status, (long long)(took_micros / 1000),
              (long long)bytes, key);
}

static bool closes(const struct api_request *request)
{
    return request->must_close || atomic_load(&request->api->is_draining);
}

enum MHD_Result api_reply_response(struct api_request *request, unsigned status,
                                   struct MHD_Response *response, int64_t bytes)
{
    if (response == NULL)
        return MHD_NO;
    const char *id = api_request_id(request);
    add_header(response, "X-Request-Id", id);
    add_header(response, "X-Oneapi-Request-Id", id);
    if (request->api->parts.settings->cors) {
        add_header(response, "Access-Control-Allow-Origin", "*");
        add_header(response, "Access-Control-Expose-Headers",
                   "ETag, Retry-After, X-Request-Id, X-Oneapi-Request-Id, Content-Range, "
                   "openai-poll-after-ms");
    }
    if (closes(request))
        add_header(response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    note_answer(request, LOG_INFO, status, bytes);
    return result;
}

static struct MHD_Response *json_response(char *text, size_t length)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return NULL;
    }
    add_header(response, "Content-Type", JSON_TYPE);
    add_header(response, "X-Content-Type-Options", "nosniff");
    return response;
}

enum MHD_Result api_reply_json(struct api_request *request, unsigned status, char *text,
                               size_t length)
{
    struct MHD_Response *response = json_response(text, length);
    if (response != NULL)
        add_header(response, "Cache-Control", "no-store");
    return api_reply_response(request, status, response, (int64_t)length);
}

enum MHD_Result api_reply_tree(struct api_request *request, unsigned status, json_t *tree)
{
    char *text = json_dumps(tree, JSON_WRITE_FLAGS);
    json_decref(tree);
    must(text != NULL);
    return api_reply_json(request, status, text, strlen(text));
}

struct MHD_Response *api_error_response(const struct api_request *request, enum api_error error,
                                        const struct api_error_details *details, size_t *ret_length)
{
    const struct api_error_info *info = api_error_info(error);
    char *text = api_error_body(error, details, ret_length);
    struct MHD_Response *response = json_response(text, *ret_length);
    if (response == NULL)
        return NULL;
    add_header(response, "Cache-Control", "no-store");
    if (info->status == 503 || info->status == 429) {
        char seconds[24];
        int64_t wait_s = details != NULL ? details->retry_after_s : 0;
        snprintf(seconds, sizeof(seconds), "%lld",
                 (long long)(wait_s > 0 ? wait_s : API_ERROR_RETRY_AFTER_S));
        add_header(response, "Retry-After", seconds);
    }
    if (error == API_ERROR_BAD_KEY)
        add_header(response, "WWW-Authenticate", "Bearer");
    if (error == API_ERROR_METHOD_NOT_ALLOWED) {
        char allow[ROUTE_ALLOW_SIZE];
        route_allow(request->path, allow);
        add_header(response, "Allow", allow);
    }
    return response;
}

enum MHD_Result api_reply_error(struct api_request *request, enum api_error error,
                                const struct api_error_details *details)
{
    size_t length;
    struct MHD_Response *response = api_error_response(request, error, details, &length);
    unsigned status = (unsigned)api_error_info(error)->status;
    return api_reply_response(request, status, response, (int64_t)length);
}

enum MHD_Result api_reply_invalid(struct api_request *request, const char *param,
                                  const char *message)
{
    struct api_error_details details = {.param = param, .message = message};
    return api_reply_error(request, API_ERROR_INVALID_REQUEST, &details);
}

enum MHD_Result api_reply_unreadable(struct api_request *request, const char *error)
{
    char message[UNREADABLE_SIZE];
    snprintf(message, sizeof(message), "The request body cannot be read: %s.", error);
    return api_reply_error(request, API_ERROR_BAD_BODY,
                           &(struct api_error_details){.message = message});
}

json_t *api_list(json_t *data)
{
    json_t *list = json_object();
    json_set_text(list, "object", "list");
    json_set(list, "data", data);
    return list;
}

/* A view's response holds no header that is per request, so that all can share it. Who names a
 * request id, or must be told that the connection ends, gets a response of his own over the same bytes. */
enum MHD_Result api_reply_view(struct api_request *request, struct view *view)
{
    const char *known = api_header(request, "If-None-Match");
    bool is_known = known != NULL && entity_list_has_tag(known, view_etag(view), ENTITY_WEAK);
    unsigned status = is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK;
    int64_t bytes = is_known ? 0 : (int64_t)view_length(view);
    if (take_client_id(request) || closes(request))
        return api_reply_response(request, status, view_own_response(view, is_known), bytes);
    note_answer(request, LOG_DEBUG, status, bytes);
    return MHD_queue_response(request->connection, status, view_response(view, is_known));
}

/* ---- arguments that many take ---- */

bool api_read_limit(struct api_request *request, size_t fallback, size_t most, size_t *ret_limit,
                    enum MHD_Result *ret_result)
{
    enum { DIGITS_MAX = 9 };
    char message[80];
    const char *text = api_argument(request, "limit");
    *ret_limit = fallback;
    if (text == NULL)
        return true;
    size_t length = strlen(text);
    bool is_number = length >= 1 && length <= DIGITS_MAX && strspn(text, "0123456789") == length;
    size_t limit = is_number ? (size_t)strtoul(text, NULL, 10) : 0;
    if (limit >= 1 && limit <= most) {
        *ret_limit = limit;
        return true;
    }
    snprintf(message, sizeof(message), "limit must be a whole number from 1 to %zu.", most);
    *ret_result = api_reply_invalid(request, "limit", message);
    return false;
}

bool api_read_order(struct api_request *request, bool *ret_is_ascending,
                    enum MHD_Result *ret_result)
{
    const char *text = api_argument(request, "order");
    *ret_is_ascending = text != NULL && strcmp(text, "asc") == 0;
    if (text == NULL || *ret_is_ascending || strcmp(text, "desc") == 0)
        return true;
    *ret_result = api_reply_invalid(request, "order", "order must be asc or desc.");
    return false;
}
