/* SPDX-License-Identifier: Apache-2.0
 *
 * A tenant's webhooks: endpoints, the signing secret, and the log of deliveries with tests and replays. All
 * of it is looked up by the caller's tenant, so that what is another's is as if it were not there. The
 * store is asked on this thread: people do this, not programs by the thousand. On HTTP threads. */
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "api/task.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "net/guard.h"
#include "notify/webhook.h"
#include "store/webhooks.h"

enum { LIST_DEFAULT = 20, LIST_MAX = 100 };

static struct store *store_of(const struct api_request *request)
{
    return request->api->parts.store;
}

/* A fault of the store; told here, as nobody above sees it. */
static enum MHD_Result reply_fault(struct api_request *request, int fault)
{
    log_write(LOG_ERROR, &(struct log_about){.request_id = api_request_id(request)},
              "webhooks of tenant \"%s\": %s", request->who.tenant, strerror(abs(fault)));
    return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
}

static json_t *object_new(const char *kind)
{
    json_t *object = json_object();
    json_set_text(object, "object", kind);
    return object;
}

static void set_time(json_t *object, const char *key, int64_t at_ms)
{
    json_set(object, key, at_ms > 0 ? json_integer(at_ms / 1000) : json_null());
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_set_text(object, key, text != NULL && *text != '\0' ? text : NULL);
}

/* ---- endpoints ---- */

static json_t *describe_endpoint(const struct store_endpoint *endpoint)
{
    json_t *row = object_new("webhook");
    json_set_text(row, "id", endpoint->id);
    json_set_text(row, "url", endpoint->url);
    json_set_text(row, "status", endpoint->disabled_ms == 0 ? "enabled" : "disabled");
    set_time(row, "created_at", endpoint->created_ms);
    set_time(row, "disabled_at", endpoint->disabled_ms);
    set_text(row, "disabled_reason", endpoint->why);
    return row;
}

/* The caller's endpoint of that id. 0 (the caller finis it), STORE_NOT_FOUND, or negative errno. */
static int find_endpoint(const struct api_request *request, const char *id,
                         struct store_endpoint *ret_endpoint)
{
    struct store_endpoint endpoints[STORE_ENDPOINTS_MAX];
    size_t count = 0;
    int result = store_endpoints(store_of(request), request->who.tenant, endpoints, &count);
    if (result != 0)
        return result;
    result = STORE_NOT_FOUND;
    for (size_t i = 0; i < count; i++) {
        if (result != 0 && strcmp(endpoints[i].id, id) == 0) {
            *ret_endpoint = endpoints[i];
            result = 0;
        } else {
            store_endpoint_fini(&endpoints[i]);
        }
    }
    return result;
}

enum MHD_Result webhooks_list(struct api_request *request)
{
    struct store_endpoint endpoints[STORE_ENDPOINTS_MAX];
    size_t count = 0;
    int fault = store_endpoints(store_of(request), request->who.tenant, endpoints, &count);
    if (fault != 0)
        return reply_fault(request, fault);
    json_t *data = json_array();
    for (size_t i = 0; i < count; i++) {
        json_add(data, describe_endpoint(&endpoints[i]));
        store_endpoint_fini(&endpoints[i]);
    }
    return api_reply_tree(request, MHD_HTTP_OK, api_list(data));
}

static enum MHD_Result add_endpoint(struct api_request *request, const char *url)
{
    char base[ORIGIN_BASE_SIZE];
    if (!api_base(request, base))
        return api_reply_bad_host(request);
    CLEANUP(store_endpoint_fini)
    struct store_endpoint endpoint = {
        .url = must_strdup(url), .base = must_strdup(base), .created_ms = clock_wall_ms()};
    id_new("whk", endpoint.id, sizeof(endpoint.id));
    snprintf(endpoint.tenant, sizeof(endpoint.tenant), "%s", request->who.tenant);
    size_t most = (size_t)request->api->parts.settings->webhooks_per_tenant;
    int result = store_endpoint_add(store_of(request), &endpoint, most);
    if (result == STORE_CONFLICT)
        return api_reply_error(request, API_ERROR_WEBHOOK_EXISTS, NULL);
    if (result == STORE_NOT_ADMITTED)
        return api_reply_error(request, API_ERROR_TOO_MANY_WEBHOOKS, NULL);
    if (result != 0)
        return reply_fault(request, result);
    return api_reply_tree(request, MHD_HTTP_OK, describe_endpoint(&endpoint));
}

enum MHD_Result webhooks_add(struct api_request *request)
{
    char error[JSON_ERROR_SIZE], reason[200], message[JSON_ERROR_SIZE + 60];
    CLEANUP(json_unref_pointer)
    json_t *body =
        json_parse(request->body != NULL ? request->body : "", request->body_length, error);
    if (body == NULL)
        return api_reply_unreadable(request, error);
    const char *url = json_text(body, "url");
    if (url == NULL)
        return api_reply_invalid(request, "url", "\"url\" is required: whom to tell.");
    if (!guard_check_url(url, reason)) {
        snprintf(message, sizeof(message), "\"url\" cannot be called: %s.", reason);
        return api_reply_invalid(request, "url", message);
    }
    return add_endpoint(request, url);
}

enum MHD_Result webhooks_remove(struct api_request *request)
{
    const char *tenant = request->who.tenant;
    int result = store_endpoint_remove(store_of(request), tenant, request->part, clock_wall_ms());
    if (result == STORE_NOT_FOUND)
        return api_reply_error(request, API_ERROR_WEBHOOK_NOT_FOUND, NULL);
    if (result != 0)
        return reply_fault(request, result);
    engine_webhook_news(request->api->parts.engine, tenant);
    json_t *answer = object_new("webhook.deleted");
    json_set_text(answer, "id", request->part);
    json_set(answer, "deleted", json_true());
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}

enum MHD_Result webhooks_enable(struct api_request *request)
{
    CLEANUP(store_endpoint_fini) struct store_endpoint endpoint = {0};
    int result = store_endpoint_enable(store_of(request), request->who.tenant, request->part);
    if (result == 0)
        result = find_endpoint(request, request->part, &endpoint);
    if (result == STORE_NOT_FOUND)
        return api_reply_error(request, API_ERROR_WEBHOOK_NOT_FOUND, NULL);
    if (result != 0)
        return reply_fault(request, result);
    return api_reply_tree(request, MHD_HTTP_OK, describe_endpoint(&endpoint));
}

/* ---- the secret ---- */

static enum MHD_Result reply_secret(struct api_request *request)
{
    struct store_secret secrets[STORE_SECRETS_MAX];
    char text[WEBHOOK_SECRET_SIZE];
    size_t count = 0;
    int fault =
        store_secrets(store_of(request), request->who.tenant, clock_wall_ms(), secrets, &count);
    if (fault != 0)
        return reply_fault(request, fault);
    json_t *answer = object_new("webhook.secret");
    json_t *previous = json_array();
    webhook_secret_text(secrets[0].bytes, text);
    json_set_text(answer, "secret", text);
    set_time(answer, "created_at", secrets[0].created_ms);
    for (size_t i = 1; i < count; i++) {
        json_t *row = json_object();
        must(row != NULL && json_array_append_new(previous, row) == 0);
        set_time(row, "created_at", secrets[i].created_ms);
        set_time(row, "expires_at", secrets[i].expires_ms);
    }
    json_set(answer, "previous", previous);
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}

enum MHD_Result webhooks_secret(struct api_request *request)
{
    return reply_secret(request);
}

enum MHD_Result webhooks_rotate(struct api_request *request)
{
    int64_t overlap_ms = request->api->parts.settings->webhooks_overlap;
    int fault =
        store_secret_rotate(store_of(request), request->who.tenant, clock_wall_ms(), overlap_ms);
    if (fault != 0)
        return reply_fault(request, fault);
    log_info("webhooks of tenant \"%s\": the signing secret was rotated, by key \"%s\"",
             request->who.tenant, request->who.name);
    return reply_secret(request);
}

/* ---- the log ---- */

static json_t *describe_delivery(const struct store_delivery *delivery)
{
    json_t *row = object_new("webhook.delivery");
    bool waits = delivery->state == STORE_DELIVERY_WAITING;
    json_set_text(row, "id", delivery->id);
    json_set_text(row, "event_id", delivery->event_id);
    json_set_text(row, "type", delivery->type);
    json_set_text(row, "url", delivery->url);
    set_text(row, "webhook_id", delivery->endpoint);
    set_text(row, "task_id", delivery->task_id);
    json_set_text(row, "status", store_delivery_state_name(delivery->state));
    json_set(row, "tries", json_integer(delivery->tries));
    set_time(row, "created_at", delivery->created_ms);
    set_time(row, "next_try_at", waits ? delivery->next_ms : 0);
    set_time(row, "ended_at", delivery->ended_ms);
    set_text(row, "note", delivery->note);
    return row;
}

static json_t *describe_try(const struct store_try *try)
{
    json_t *row = json_object();
    must(row != NULL);
    json_set(row, "number", json_integer(try->number));
    json_set(row, "at_ms", json_integer(try->at_ms));
    json_set(row, "took_ms", json_integer(try->took_ms));
    json_set(row, "status", try->status > 0 ? json_integer(try->status) : json_null());
    set_text(row, "error", try->error);
    set_text(row, "answer", try->answer);
    return row;
}

static enum MHD_Result reply_deliveries(struct api_request *request,
                                        struct store_deliveries_query *query)
{
    struct store_delivery found[LIST_MAX + 1];
    size_t count = 0, most = query->limit++;
    int fault = store_deliveries(store_of(request), query, found, &count);
    if (fault != 0)
        return reply_fault(request, fault);
    json_t *data = json_array();
    for (size_t i = 0; i < count && i < most; i++)
        json_add(data, describe_delivery(&found[i]));
    json_t *list = api_list(data);
    json_set(list, "has_more", json_boolean(count > most));
    json_set_text(list, "next", count > most ? found[most - 1].id : NULL);
    for (size_t i = 0; i < count; i++)
        store_delivery_fini(&found[i]);
    return api_reply_tree(request, MHD_HTTP_OK, list);
}

enum MHD_Result webhooks_deliveries(struct api_request *request)
{
    struct store_deliveries_query query = {
        .tenant = request->who.tenant,
        .endpoint = api_argument(request, "webhook_id"),
        .state = api_argument(request, "status"),
        .before_id = api_argument(request, "before"),
    };
    const char *task = api_argument(request, "task_id");
    char model[TASK_MODEL_SIZE], task_id[ID_SHORT_SIZE];
    enum store_delivery_state state;
    enum MHD_Result result;
    if (!api_read_limit(request, LIST_DEFAULT, LIST_MAX, &query.limit, &result))
        return result;
    if (query.state != NULL && !store_delivery_state_parse(query.state, &state))
        return api_reply_invalid(request, "status",
                                 "status must be waiting, delivered, given_up or disabled.");
    if (query.before_id != NULL && !id_is_typeid(query.before_id, "dlv"))
        return api_reply_invalid(request, "before",
                                 "before must be the `next` of an earlier answer.");
    if (task != NULL && !task_parse_id(task, model, task_id))
        return api_reply_invalid(request, "task_id", "task_id must be the id of a task.");
    query.task_id = task != NULL ? task_id : NULL;
    return reply_deliveries(request, &query);
}

/* The caller's delivery that the path names. False after the reply of an error. */
static bool find_delivery(struct api_request *request, struct store_delivery *ret_delivery,
                          enum MHD_Result *ret_result)
{
    int result =
        store_delivery(store_of(request), request->who.tenant, request->part, ret_delivery);
    if (result == STORE_NOT_FOUND)
        *ret_result = api_reply_error(request, API_ERROR_WEBHOOK_NOT_FOUND, NULL);
    else if (result != 0)
        *ret_result = reply_fault(request, result);
    return result == 0;
}

enum MHD_Result webhooks_delivery(struct api_request *request)
{
    CLEANUP(store_delivery_fini) struct store_delivery delivery = {0};
    struct store_try tries[STORE_TRIES_MAX];
    size_t count = 0;
    enum MHD_Result result;
    if (!find_delivery(request, &delivery, &result))
        return result;
    int fault = store_tries(store_of(request), delivery.id, tries, &count);
    if (fault != 0)
        return reply_fault(request, fault);
    json_t *answer = describe_delivery(&delivery);
    json_t *log = json_array();
    for (size_t i = 0; i < count; i++) {
        json_add(log, describe_try(&tries[i]));
        store_try_fini(&tries[i]);
    }
    set_text(answer, "body", delivery.body);
    json_set(answer, "log", log);
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}

/* ---- tests and replays ---- */

/* What they share: it waits from now on. */
static enum MHD_Result put(struct api_request *request, struct store_delivery *delivery)
{
    id_new("dlv", delivery->id, sizeof(delivery->id));
    snprintf(delivery->tenant, sizeof(delivery->tenant), "%s", request->who.tenant);
    delivery->created_ms = delivery->next_ms = clock_wall_ms();
    int result = store_delivery_add(store_of(request), delivery);
    if (result == STORE_NOT_ADMITTED) {
        static const struct api_error_details full = {
            .message =
                "Too many of your webhooks wait, or are on record, already: try again later."};
        return api_reply_error(request, API_ERROR_UNAVAILABLE, &full);
    }
    if (result != 0)
        return reply_fault(request, result);
    engine_webhook_news(request->api->parts.engine, request->who.tenant);
    return api_reply_tree(request, MHD_HTTP_OK, describe_delivery(delivery));
}

enum MHD_Result webhooks_test(struct api_request *request)
{
    CLEANUP(store_endpoint_fini) struct store_endpoint endpoint = {0};
    int result = find_endpoint(request, request->part, &endpoint);
    if (result == STORE_NOT_FOUND)
        return api_reply_error(request, API_ERROR_WEBHOOK_NOT_FOUND, NULL);
    if (result != 0)
        return reply_fault(request, result);
    if (endpoint.disabled_ms != 0)
        return api_reply_error(request, API_ERROR_WEBHOOK_DISABLED, NULL);
    struct store_delivery test = {
        .type = "webhook.test", .url = endpoint.url, .base = endpoint.base};
    id_new("evt", test.event_id, sizeof(test.event_id));
    memcpy(test.endpoint, endpoint.id, sizeof(test.endpoint));
    return put(request, &test);
}

/* The same event to the same receiver once more, with links as fresh as a query's. */
enum MHD_Result webhooks_replay(struct api_request *request)
{
    CLEANUP(store_delivery_fini) struct store_delivery old = {0};
    CLEANUP(store_endpoint_fini) struct store_endpoint endpoint = {0};
    enum MHD_Result result;
    if (!find_delivery(request, &old, &result))
        return result;
    if (old.url[0] == '\0')
        return api_reply_error(request, API_ERROR_WEBHOOK_DISABLED,
                               &(struct api_error_details){
                                   .message = "The task was deleted, and with it who was told."});
    if (old.endpoint[0] != '\0') {
        int found = find_endpoint(request, old.endpoint, &endpoint);
        if (found < 0)
            return reply_fault(request, found);
        if (found == STORE_NOT_FOUND || endpoint.disabled_ms != 0)
            return api_reply_error(request, API_ERROR_WEBHOOK_DISABLED, NULL);
    }
    struct store_delivery again = {.url = old.url, .base = old.base};
    memcpy(again.event_id, old.event_id, sizeof(again.event_id));
    memcpy(again.endpoint, old.endpoint, sizeof(again.endpoint));
    memcpy(again.task_id, old.task_id, sizeof(again.task_id));
    memcpy(again.type, old.type, sizeof(again.type));
    return put(request, &again);
}
