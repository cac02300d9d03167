/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics: a walk over api/metric.def. A series that never happened is left out where there are many (routes by status),
 * and is 0 where there are few. On HTTP threads. */
#include "api/exposition.h"

#include <inttypes.h>

#include "api/handler.h"
#include "base/buf.h"
#include "base/must.h"
#include "engine/channels.h"

enum {
    PAGE_MAX_BYTES = 16 * 1024 * 1024, /* a bound for what CHANNELS_MAX allows; usually some KiB */
    LABELS_SIZE = 120,
    CHANNELS_MAX = 4096, /* credentials of all channels that are told of */
    /* Two names, each byte of which is escaped. */
    CHANNEL_LABELS_SIZE = 2 * 2 * ENGINE_VIEW_NAME_SIZE + 32,
};

/* One answer while it is written. */
struct exposition {
    struct buf text;
    const char *name; /* of the metric whose samples are being written */
    struct api *api;
    struct engine_stats now; /* looked at once for the whole answer */
    const struct engine_counts *engine;
    const struct store_counts *store;
    const struct engine_channel_view *channels; /* as `now` */
    size_t n_channels;
};

/* ---- samples ---- */

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void sample(struct exposition *out, const char *labels, uint64_t value)
{
    buf_printf(&out->text, "%s%s %" PRIu64 "\n", out->name, labels, value);
}

static void number(struct exposition *out, const char *labels, int64_t value)
{
    buf_printf(&out->text, "%s%s %" PRId64 "\n", out->name, labels, value);
}

/* `labels` without braces, empty for none. */
static void write_histogram(struct exposition *out, const char *labels,
                            const struct histogram *histogram)
{
    const char *comma = labels[0] != '\0' ? "," : "";
    uint64_t below = 0;
    for (size_t i = 0; i < histogram->n_bounds; i++) {
        below += load(&histogram->counts[i]);
        buf_printf(&out->text, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", out->name, labels, comma,
                   histogram->bounds[i], below);
    }
    below += load(&histogram->counts[histogram->n_bounds]);
    buf_printf(&out->text, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", out->name, labels, comma,
               below);
    const char *open = labels[0] != '\0' ? "{" : "";
    const char *close = labels[0] != '\0' ? "}" : "";
    buf_printf(&out->text, "%s_sum%s%s%s %.6f\n", out->name, open, labels, close,
               (double)load(&histogram->sum_micros) / 1e6);
    buf_printf(&out->text, "%s_count%s%s%s %" PRIu64 "\n", out->name, open, labels, close, below);
}

/* ---- families ---- */

/* `GET /v1/video/query`; what a route is called here. */
static void write_route(size_t index, char ret_labels[LABELS_SIZE])
{
    if (index == ROUTE_COUNT) {
        snprintf(ret_labels, LABELS_SIZE, "route=\"none\"");
        return;
    }
    const struct route *route = route_at((enum route_id)index);
    snprintf(ret_labels, LABELS_SIZE, "route=\"%s %s\"", route->method, route->path);
}

static void write_answers(struct exposition *out)
{
    char route[LABELS_SIZE];
    char labels[LABELS_SIZE + 24];
    for (size_t i = 0; i < METRICS_ROUTES; i++) {
        write_route(i, route);
        for (size_t status = 0; status < METRICS_STATUSES; status++) {
            uint64_t count = load(&out->api->metrics.answers[i][status]);
            if (count == 0)
                continue;
            snprintf(labels, sizeof(labels), "{%s,status=\"%zu\"}", route,
                     status + METRICS_STATUS_FIRST);
            sample(out, labels, count);
        }
    }
}

static bool is_used(const struct histogram *histogram)
{
    for (size_t i = 0; i <= histogram->n_bounds; i++) {
        if (load(&histogram->counts[i]) > 0)
            return true;
    }
    return false;
}

static void write_latencies(struct exposition *out)
{
    char route[LABELS_SIZE];
    for (size_t i = 0; i < METRICS_ROUTES; i++) {
        const struct histogram *seconds = &out->api->metrics.seconds[i];
        if (!is_used(seconds))
            continue;
        write_route(i, route);
        write_histogram(out, route, seconds);
    }
}

static void write_watchers(struct exposition *out)
{
    const struct hub *hub = out->api->parts.hub;
    if (hub == NULL)
        return;
    number(out, "{kind=\"stream\"}", atomic_load(&hub_counts(hub)->streams));
    number(out, "{kind=\"poll\"}", atomic_load(&hub_counts(hub)->polls));
}

static void write_states(struct exposition *out)
{
    char labels[LABELS_SIZE];
    for (int i = 0; i < TASK_STATE_COUNT; i++) {
        enum task_state state = (enum task_state)i;
        if (task_state_is_end(state))
            continue;
        snprintf(labels, sizeof(labels), "{state=\"%s\"}", task_state_name(state));
        number(out, labels, atomic_load(&out->engine->in_state[i]));
    }
}

static void write_ends(struct exposition *out)
{
    char labels[LABELS_SIZE];
    for (int i = 0; i < TASK_STATE_COUNT; i++) {
        enum task_state state = (enum task_state)i;
        if (!task_state_is_end(state))
            continue;
        snprintf(labels, sizeof(labels), "{state=\"%s\"}", task_state_name(state));
        sample(out, labels, load(&out->engine->ended[i]));
    }
}

static void write_failures(struct exposition *out)
{
    char labels[LABELS_SIZE];
    for (int i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++) {
        snprintf(labels, sizeof(labels), "{code=\"%s\"}", task_failure_code((enum task_failure)i));
        sample(out, labels, load(&out->engine->failures[i]));
    }
}

static void write_helpers(struct exposition *out)
{
    char labels[LABELS_SIZE];
    for (int i = 0; i < MEDIA_END_COUNT; i++) {
        const char *end = media_end_name((enum media_end)i);
        snprintf(labels, sizeof(labels), "{job=\"animatic\",end=\"%s\"}", end);
        sample(out, labels, load(&out->engine->renders[i]));
        snprintf(labels, sizeof(labels), "{job=\"variants\",end=\"%s\"}", end);
        sample(out, labels, load(&out->engine->variants[i]));
    }
}

static void write_commands(struct exposition *out)
{
    char labels[LABELS_SIZE];
    for (int i = 0; i < COMMAND_END_COUNT; i++) {
        snprintf(labels, sizeof(labels), "{end=\"%s\"}", command_end_name((enum command_end)i));
        sample(out, labels, load(&out->engine->commands[i]));
    }
}

static void write_webhooks(struct exposition *out)
{
    sample(out, "{end=\"delivered\"}", load(&out->engine->webhooks_delivered));
    sample(out, "{end=\"failed\"}", load(&out->engine->webhooks_failed));
}

/* The configuration takes no name that needs it; the format is not held to that. */
void exposition_add_value(struct buf *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            buf_puts(out, "\\n");
        else
            buf_printf(out, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    }
}

static void channel_sample(struct exposition *out, const struct engine_channel_view *channel,
                           int64_t value)
{
    CLEANUP(buf_fini) struct buf labels;
    buf_init(&labels, CHANNEL_LABELS_SIZE);
    buf_puts(&labels, "{channel=\"");
    exposition_add_value(&labels, channel->channel);
    buf_puts(&labels, "\",credential=\"");
    exposition_add_value(&labels, channel->credential);
    buf_puts(&labels, "\"}");
    number(out, buf_text(&labels), value);
}

/* One sample for each credential: `field` of its view. */
#define CHANNELS(out, field)                                                                       \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < (out)->n_channels; i_++)                                          \
            channel_sample(out, &(out)->channels[i_], (int64_t)(out)->channels[i_].field);         \
    } while (0)

/* ---- the whole ---- */

static void begin(struct exposition *out, const char *name, const char *kind, const char *help)
{
    out->name = name;
    buf_printf(&out->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void write_all(struct exposition *out)
{
    engine_stats(out->api->parts.engine, &out->now);
#define METRIC(name, kind, labels, help, statement)                                                \
    begin(out, name, #kind, help);                                                                 \
    statement;
#include "api/metric.def"
}

enum MHD_Result exposition_show(struct api_request *request)
{
    struct exposition out = {
        .api = request->api,
        .engine = engine_counts(request->api->parts.engine),
        .store = store_counts(request->api->parts.store),
    };
    CLEANUP(free_pointer)
    struct engine_channel_view *channels =
        engine_channels_all(request->api->parts.engine, &out.n_channels);
    out.channels = channels;
    out.n_channels = out.n_channels < CHANNELS_MAX ? out.n_channels : CHANNELS_MAX;
    buf_init(&out.text, PAGE_MAX_BYTES);
    write_all(&out);
    must(!out.text.overflowed); /* the series are as many as the tables have rows */
    size_t length = out.text.length;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, buf_take(&out.text), MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        return MHD_NO;
    if (MHD_add_response_header(response, "Content-Type",
                                "text/plain; version=0.0.4; charset=utf-8") != MHD_YES ||
        MHD_add_response_header(response, "Cache-Control", "no-store") != MHD_YES) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return api_reply_response(request, MHD_HTTP_OK, response, (int64_t)length);
}

void exposition_dump(FILE *out)
{
    fprintf(out, "| metric | kind | labels | what it tells |\n| --- | --- | --- | --- |\n");
#define METRIC(name, kind, labels, help, statement)                                                \
    fprintf(out, "| `%s` | %s | %s | %s |\n", name, #kind, labels, help);
#include "api/metric.def"
}
