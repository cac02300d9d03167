/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators see and say while the gateway runs: channels and how they fare, orders to them, and a
 * new reading of the configuration. On HTTP threads. */
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/channels.h"

enum { VIEWS_MAX = 4096 }; /* credentials of all channels that are shown */

/* ---- showing ---- */

static void set_count(json_t *object, const char *key, uint64_t count)
{
    json_set(object, key, json_integer((json_int_t)count));
}

/* Words of an upstream, which may have been cut anywhere. */
static void set_error(json_t *row, const struct engine_channel_view *view)
{
    char at[CLOCK_ISO_SECONDS_SIZE];
    json_t *text = view->last_error[0] != '\0' ? json_string(view->last_error) : json_null();
    json_set(row, "last_error", text != NULL ? text : json_string("(not readable)"));
    clock_iso_seconds(view->last_error_ms / 1000, at);
    json_set_text(row, "last_error_at", view->last_error_ms > 0 ? at : NULL);
}

static json_t *describe(const struct engine_channel_view *view)
{
    json_t *row = json_object();
    json_set_text(row, "object", "channel");
    json_set_text(row, "name", view->channel);
    json_set_text(row, "credential", view->credential[0] != '\0' ? view->credential : NULL);
    json_set_text(row, "adapter", view->adapter);
    json_set_text(row, "state", view->state);
    json_set(row, "in_flight", json_integer(view->in_flight));
    json_set(row, "concurrency", json_integer(view->concurrency));
    json_set(row, "rest_ms", json_integer(view->rest_ms));
    json_set(row, "median_ms", view->median_ms > 0 ? json_integer(view->median_ms) : json_null());
    set_count(row, "submits", view->submits);
    set_count(row, "accepted", view->accepted);
    set_count(row, "refused", view->refused);
    set_count(row, "unknown", view->unknown);
    set_count(row, "polls", view->polls);
    set_count(row, "troubles", view->troubles);
    set_error(row, view);
    return row;
}

/* Of all channels, or of the one called `name`. */
static enum MHD_Result reply_channels(struct api_request *request, const char *name)
{
    size_t count;
    CLEANUP(free_pointer)
    struct engine_channel_view *views = engine_channels_all(request->api->parts.engine, &count);
    json_t *data = json_array();
    must(data != NULL);
    for (size_t i = 0; i < count && i < VIEWS_MAX; i++) {
        if (name == NULL || strcmp(views[i].channel, name) == 0)
            json_add(data, describe(&views[i]));
    }
    return api_reply_tree(request, MHD_HTTP_OK, api_list(data));
}

enum MHD_Result channels_list(struct api_request *request)
{
    return reply_channels(request, NULL);
}

/* ---- orders ---- */

static enum MHD_Result carry_out(struct api_request *request, const char *name, const char *word,
                                 enum engine_channel_order order)
{
    switch (engine_channel_order(request->api->parts.engine, name, order)) {
    case ENGINE_OK:
        log_info("channel \"%s\": %s, by key \"%s\"", name, word, request->who.name);
        return reply_channels(request, name);
    case ENGINE_CLOSING:
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    case ENGINE_NOT_FOUND:
    case ENGINE_REPEATED:
    case ENGINE_CONFLICT:
    case ENGINE_FULL:
    case ENGINE_STORE_FAILED:
    case ENGINE_DAMAGED:
    case ENGINE_TENANT_FULL:
    case ENGINE_TENANT_DAY:
    case ENGINE_DELETED:
        break;
    }
    return api_reply_error(request, API_ERROR_CHANNEL_NOT_FOUND, NULL);
}

/* `NAME/VERB` is what stands behind the route's path. */
enum MHD_Result channels_order(struct api_request *request)
{
    const char *rest = request->part;
    const char *slash = strrchr(rest, '/'); /* a name may hold one, and is then unknown */
    enum engine_channel_order order;
    if (slash == NULL || slash == rest || !engine_channel_order_parse(slash + 1, &order))
        return api_reply_error(request, API_ERROR_NOT_FOUND, NULL);
    if ((size_t)(slash - rest) >= ENGINE_VIEW_NAME_SIZE)
        return api_reply_error(request, API_ERROR_CHANNEL_NOT_FOUND, NULL);
    char name[ENGINE_VIEW_NAME_SIZE] = "";
    memcpy(name, rest, (size_t)(slash - rest));
    return carry_out(request, name, slash + 1, order);
}

/* ---- reload ---- */

/* One at a time: the second would read the same files. */
enum MHD_Result channels_reload(struct api_request *request)
{
    struct api *api = request->api;
    char error[SERVER_ERROR_SIZE] = "";
    if (api->parts.reload == NULL)
        return api_reply_error(request, API_ERROR_NOT_YET, NULL);
    if (atomic_exchange(&api->is_reloading, true))
        return api_reply_error(
            request, API_ERROR_UNAVAILABLE,
            &(struct api_error_details){.message = "A reload is under way: try again later."});
    int result = api->parts.reload(api->parts.reload_context, error);
    atomic_store(&api->is_reloading, false);
    if (result != 0) {
        log_warn("the configuration was read anew for key \"%s\" and not taken: %s",
                 request->who.name, error);
        return api_reply_error(request, API_ERROR_CONFIGURATION_INVALID,
                               &(struct api_error_details){.message = error});
    }
    log_info("the configuration was read anew, by key \"%s\"", request->who.name);
    json_t *answer = json_object();
    json_set_text(answer, "status", "ok");
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}
