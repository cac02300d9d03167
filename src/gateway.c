/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's start and end. What could not be opened ends the start with one sentence.
 *
 * The end: creates are refused, requests under way are answered, work under way may finish for
 * `drain`, the rest is parked for the next start. A second signal cuts the waiting short: while the
 * engine drains, a small thread listens for it. */
#include "gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "asset/asset.h"
#include "base/log.h"
#include "base/must.h"
#include "base/settings.h"
#include "cli/cli.h"
#include "engine/engine.h"
#include "net/guard.h"
#include "notify/hub.h"
#include "notify/webhook.h"
#include "store/store.h"
#include "upstream/adapter.h"
#include "upstream/channel.h"
#include "upstream/command.h"

enum {
    ERROR_SIZE = 600,
    ANSWER_MS = 5000, /* for requests under way, once nothing new is taken */
};

/* A configuration read while we ran: jobs under way may use it as long as we run. */
struct reload {
    struct settings *settings;
    struct adapter_set *adapters;
    struct reload *older;
};

/* ---- opening ---- */

/* The soft limit is often 1024. */
static void raise_descriptors(const struct settings *settings)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)local_descriptors_wanted(settings);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        log_warn("for %lld connections %llu open files should be allowed, not %llu",
                 (long long)settings->http_connections, (unsigned long long)wanted,
                 (unsigned long long)limit.rlim_cur);
}

static void open_log(const struct settings *settings)
{
    enum log_level level = LOG_INFO;
    enum log_format format = LOG_AUTO;
    must(log_level_parse(settings->log_level, &level)); /* the settings checked it */
    if (strcmp(settings->log_format, "json") == 0)
        format = LOG_JSON;
    else if (strcmp(settings->log_format, "text") == 0)
        format = LOG_TEXT;
    log_init(level, format);
}

static int load_settings(struct gateway *gateway)
{
    gateway->settings = local_load_settings(gateway->order);
    return gateway->settings != NULL ? CLI_OK : CLI_USAGE;
}

static const char *file_of(const struct settings *settings)
{
    return settings->file != NULL ? settings->file : "settings";
}

static int make_guard(const struct settings *settings, const char *path,
                      const struct settings_list *allow, struct guard **ret_guard)
{
    char reason[200] = "";
    if (!guard_new(allow->items, allow->count, ret_guard, reason))
        return cli_complain(CLI_USAGE, "%s: \"%s\": %s", file_of(settings), path, reason);
    return CLI_OK;
}

static int check_retries(const struct settings *settings)
{
    struct webhook_schedule schedule;
    char reason[WEBHOOK_ERROR_SIZE] = "";
    const struct settings_list *waits = &settings->webhooks_retries;
    if (!webhook_schedule_read(waits->items, waits->count, &schedule, reason))
        return cli_complain(CLI_USAGE, "%s: \"webhooks.retries\": %s", file_of(settings), reason);
    return CLI_OK;
}

static int open_channels(struct gateway *gateway)
{
    const struct settings *settings = gateway->settings;
    char error[SETTINGS_ERROR_SIZE] = "";
    char adapter_error[ADAPTER_ERROR_SIZE] = "";
    gateway->adapters = adapter_set_new(settings->adapters, adapter_error);
    if (gateway->adapters == NULL)
        return cli_complain(CLI_USAGE, "%s", adapter_error);
    gateway->channels = channel_table_new(settings, gateway->adapters, error);
    if (gateway->channels == NULL)
        return cli_complain(CLI_USAGE, "%s", error);
    return CLI_OK;
}

static int open_guards(struct gateway *gateway)
{
    const struct settings *settings = gateway->settings;
    int status = make_guard(settings, "fetch.allow", &settings->fetch_allow, &gateway->guard);
    if (status == CLI_OK)
        status = make_guard(settings, "webhooks.allow", &settings->webhooks_allow,
                            &gateway->webhook_guard);
    return status;
}

static int lock_data(struct gateway *gateway)
{
    const char *data = gateway->settings->data;
    int status = local_make_directory(data);
    return status != CLI_OK ? status : local_lock_directory(data, &gateway->lock);
}

static int open_link_keys(struct gateway *gateway, char ret_error[ERROR_SIZE])
{
    int64_t longest_ms = 0;
    int fault = engine_longest_valid_for(gateway->store, gateway->settings, &longest_ms);
    if (fault < 0) {
        snprintf(ret_error, ERROR_SIZE, "the database cannot be read: %s", strerror(-fault));
        return fault;
    }
    return link_keys_open(gateway->settings->data, longest_ms, &gateway->link_keys, ret_error);
}

static int open_data(struct gateway *gateway)
{
    const char *data = gateway->settings->data;
    char error[ERROR_SIZE] = "";
    int status = lock_data(gateway);
    if (status != CLI_OK)
        return status;
    if (store_open(data, &gateway->store, error) != 0 || open_link_keys(gateway, error) != 0 ||
        asset_open_directory(data, &gateway->assets, error) != 0)
        return cli_complain(CLI_LOCAL, "%s", error);
    int fault = command_directories_clear(data); /* of programs that a crash has ended */
    if (fault < 0)
        log_warn("cannot remove what programs have left behind: %s", strerror(-fault));
    return CLI_OK;
}

/* Reads the configuration anew: its channels count from now on. Whatever is wrong with it, what was loaded before goes on
 * to count. */
static int read_anew(struct gateway *gateway, char ret_error[SETTINGS_ERROR_SIZE])
{
    struct reload *fresh = must_calloc(1, sizeof *fresh);
    struct channel_table *channels = NULL;
    char adapter_error[ADAPTER_ERROR_SIZE] = "";
    fresh->settings = local_read_settings(gateway->order, ret_error);
    if (fresh->settings != NULL) {
        fresh->adapters = adapter_set_new(fresh->settings->adapters, adapter_error);
        if (fresh->adapters == NULL)
            snprintf(ret_error, SETTINGS_ERROR_SIZE, "%s", adapter_error);
        else
            channels = channel_table_new(fresh->settings, fresh->adapters, ret_error);
    }
    if (channels == NULL) {
        adapter_set_free(fresh->adapters);
        settings_free(fresh->settings);
        free(fresh);
        return -EINVAL;
    }
    fresh->older = gateway->reloads;
    gateway->reloads = fresh;
    engine_reload(gateway->engine, channels);
    return 0;
}

int gateway_reload(struct gateway *gateway, char ret_error[SERVER_ERROR_SIZE])
{
    char error[SETTINGS_ERROR_SIZE] = "";
    pthread_mutex_lock(&gateway->reload_lock);
    int result = read_anew(gateway, error);
    pthread_mutex_unlock(&gateway->reload_lock);
    if (result != 0)
        snprintf(ret_error, SERVER_ERROR_SIZE, "%.*s", SERVER_ERROR_SIZE - 1, error);
    return result;
}

/* Streams and polls leave a quarter of the connections to others. */
static int open_hub(struct gateway *gateway)
{
    const struct settings *settings = gateway->settings;
    struct hub_limits limits = {settings->notify_watchers, settings->notify_per_tenant};
    int64_t change = 0;
    if (limits.watchers > settings->http_connections * 3 / 4)
        limits.watchers = settings->http_connections * 3 / 4;
    int fault = store_change(gateway->store, &change);
    if (fault == 0)
        fault = hub_new(&limits, change, &gateway->hub);
    if (fault != 0)
        return cli_complain(CLI_LOCAL, "event streams cannot start: %s", strerror(-fault));
    return CLI_OK;
}

/* As server_parts.reload. */
static int reload(void *gateway, char ret_error[SERVER_ERROR_SIZE])
{
    return gateway_reload(gateway, ret_error);
}

static int start(struct gateway *gateway)
{
    if (open_hub(gateway) != CLI_OK)
        return CLI_LOCAL;
    const struct engine_parts engine_parts = {
        .settings = gateway->settings,
        .channels = gateway->channels,
        .guard = gateway->guard,
        .store = gateway->store,
        .assets = gateway->assets,
        .hub = gateway->hub,
        .webhook_guard = gateway->webhook_guard,
        .link_keys = &gateway->link_keys,
    };
    int result = engine_start(&engine_parts, &gateway->engine);
    if (result != 0)
        return cli_complain(CLI_LOCAL, "the engine cannot start: %s", strerror(-result));
    const struct server_parts server_parts = {
        .settings = gateway->settings,
        .store = gateway->store,
        .assets = gateway->assets,
        .link_keys = &gateway->link_keys,
        .engine = gateway->engine,
        .hub = gateway->hub,
        .reload = reload,
        .reload_context = gateway,
    };
    char error[SERVER_ERROR_SIZE] = "";
    result = server_start(&server_parts, &gateway->server, error);
    if (result != 0) /* -EINVAL: a setting that only the server understands */
        return cli_complain(result == -EINVAL ? CLI_USAGE : CLI_LOCAL, "%s", error);
    return CLI_OK;
}

int gateway_open(struct gateway *gateway, const struct local_order *order)
{
    *gateway =
        (struct gateway){.lock = -1, .order = order, .reload_lock = PTHREAD_MUTEX_INITIALIZER};
    int status = load_settings(gateway);
    if (status == CLI_OK)
        status = open_channels(gateway);
    if (status == CLI_OK)
        status = open_guards(gateway);
    if (status == CLI_OK)
        status = check_retries(gateway->settings);
    if (status == CLI_OK) {
        open_log(gateway->settings);
        raise_descriptors(gateway->settings);
        status = open_data(gateway);
    }
    return status == CLI_OK ? start(gateway) : status;
}

/* ---- closing ---- */

struct impatience {
    struct engine *engine;
    sigset_t signals;
    atomic_bool is_over; /* the engine has stopped */
};

/* Waits for a second signal, until the engine has stopped. */
static void *wait_for_impatience(void *context)
{
    static const struct timespec turn = {.tv_nsec = 50000000};
    struct impatience *impatience = context;
    int signal_number = 0;
    while (signal_number <= 0 && !atomic_load(&impatience->is_over))
        signal_number = sigtimedwait(&impatience->signals, NULL, &turn);
    if (signal_number > 0) {
        log_info("second signal: work under way is parked now");
        engine_hurry(impatience->engine);
    }
    return NULL;
}

static void stop_engine(struct gateway *gateway)
{
    struct impatience impatience = {.engine = gateway->engine};
    sigemptyset(&impatience.signals);
    sigaddset(&impatience.signals, SIGTERM);
    sigaddset(&impatience.signals, SIGINT);
    pthread_t thread;
    bool has_thread = pthread_create(&thread, NULL, wait_for_impatience, &impatience) == 0;
    bool has_served = gateway->server != NULL; /* else this is a start that failed: no waiting */
    engine_stop(gateway->engine, has_thread && has_served ? gateway->settings->drain : 0);
    if (!has_thread)
        return;
    atomic_store(&impatience.is_over, true);
    pthread_join(thread, NULL);
}

static void free_reloads(struct gateway *gateway)
{
    for (struct reload *item = gateway->reloads, *older; item != NULL; item = older) {
        older = item->older;
        adapter_set_free(item->adapters);
        settings_free(item->settings);
        free(item);
    }
}

void gateway_close(struct gateway *gateway)
{
    if (gateway->engine != NULL)
        engine_close(gateway->engine);
    if (gateway->server != NULL)
        server_quiesce(gateway->server, ANSWER_MS);
    if (gateway->engine != NULL)
        stop_engine(gateway);
    gateway->server = server_stop(gateway->server);
    gateway->engine = engine_free(gateway->engine);
    gateway->hub = hub_free(gateway->hub);
    gateway->assets = asset_close(gateway->assets);
    gateway->store = store_close(gateway->store);
    gateway->guard = guard_free(gateway->guard);
    gateway->webhook_guard = guard_free(gateway->webhook_guard);
    gateway->channels = channel_table_free(gateway->channels);
    gateway->adapters = adapter_set_free(gateway->adapters);
    close_fd(&gateway->lock);
    free_reloads(gateway);
    gateway->settings = settings_free(gateway->settings);
}
