/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's start and end. It is opened from the ground up and closed from the top down; what
 * could not be opened ends the program with one sentence. The main thread then only waits for
 * signals, which are blocked before the first thread starts, so no other thread ever sees them.
 *
 * The end: creates are refused, requests under way are answered, work under way may finish for
 * `drain`, the rest is parked for the next start. A second signal cuts the waiting short: while the
 * engine drains, a small thread listens for it. */
#include "serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/server.h"
#include "asset/asset.h"
#include "asset/link.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/must.h"
#include "base/settings.h"
#include "base/settings_value.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/local.h"
#include "engine/engine.h"
#include "net/guard.h"
#include "notify/hub.h"
#include "notify/webhook.h"
#include "store/store.h"
#include "upstream/adapter.h"
#include "upstream/channel.h"
#include "upstream/command.h"

static const char HELP[] =
    "Usage: filmgate serve [OPTION]...\n"
    "\n"
    "Runs the gateway in the foreground until SIGTERM or SIGINT. Everything durable lives in\n"
    "one data directory, which one server at a time may use. When it is ready it prints one\n"
    "line, `filmgate VERSION listening on URL`, on standard output; its log goes to standard\n"
    "error.\n"
    "\n"
    "At the end it takes no more tasks, lets renderings finish for the time of the setting\n"
    "`drain`, and keeps the rest for its next start; a second signal cuts that short. No task\n"
    "is lost, however the end comes.\n"
    "\n"
    "Options:\n"
    "  -l, --listen ADDRESS     where the API listens (default: 127.0.0.1:8080); port 0 takes\n"
    "                           a free one\n"
    "  -d, --data DIR           the data directory (default: ./var); made if it is not there\n"
    "  -c, --config FILE        the configuration file; `filmgate dump config` explains it.\n"
    "                           What is given on the command line goes before it\n"
    "      --first-key NAME     if there is no key at all yet, make one of this name and print\n"
    "                           it with a request that works\n"
    "  -h, --help               show this help\n"
    "\n"
    "Environment:\n"
    "  Values of the configuration file may name variables: ${NAME}.\n"
    "\n"
    "Examples:\n"
    "  filmgate serve --first-key me\n"
    "  filmgate serve --config /etc/filmgate.yaml --data /var/lib/filmgate\n"
    "\n" CLI_EXIT_HELP;

enum { OPTION_FIRST_KEY = LOCAL_OPTION_NEXT, ERROR_SIZE = 600, PATH_BYTES = 4096 };

enum { ANSWER_MS = 5000 }; /* for requests under way, once nothing new is taken */

static const struct option LONG_OPTIONS[] = {
    {"listen", required_argument, NULL, 'l'},
    {"first-key", required_argument, NULL, OPTION_FIRST_KEY},
    LOCAL_OPTIONS};

struct order {
    struct local_order local;
    const char *first_key;
};

/* A configuration read while we ran: jobs under way may use it as long as we run. */
struct reload {
    struct settings *settings;
    struct adapter_set *adapters;
    struct reload *older;
};

/* The house, from the ground up. */
struct gateway {
    struct settings *settings;
    int lock; /* descriptor of <data>/lock; -1: not held */
    struct store *store;
    struct link_keys link_keys;
    struct asset_store *assets;
    struct guard *guard, *webhook_guard;
    const struct order *order;
    pthread_mutex_t reload_lock; /* guards what follows: SIGHUP and operators' requests reload */
    struct reload *reloads;      /* what was read since the start, the newest first */
    struct adapter_set *adapters;
    struct channel_table *channels;
    struct hub *hub;
    struct engine *engine;
    struct server *server;
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

static int load_settings(const struct order *order, struct gateway *gateway)
{
    gateway->settings = local_load_settings(&order->local);
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

/* What the configuration says beyond the form of its values. */
static int check_settings(struct gateway *gateway)
{
    const struct settings *settings = gateway->settings;
    char error[SETTINGS_ERROR_SIZE] = "";
    char adapter_error[ADAPTER_ERROR_SIZE] = "";
    const char *folder = settings->adapters[0] != '\0' ? settings->adapters : NULL;
    gateway->adapters = adapter_set_new(folder, adapter_error);
    if (gateway->adapters == NULL)
        return cli_complain(CLI_USAGE, "%s", adapter_error);
    gateway->channels = channel_table_new(settings, gateway->adapters, error);
    if (gateway->channels == NULL)
        return cli_complain(CLI_USAGE, "%s", error);
    int status = make_guard(settings, "fetch.allow", &settings->fetch_allow, &gateway->guard);
    if (status == CLI_OK)
        status = make_guard(settings, "webhooks.allow", &settings->webhooks_allow,
                            &gateway->webhook_guard);
    return status == CLI_OK ? check_retries(settings) : status;
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
    fresh->settings = local_read_settings(&gateway->order->local, ret_error);
    if (fresh->settings != NULL) {
        const char *folder =
            fresh->settings->adapters[0] != '\0' ? fresh->settings->adapters : NULL;
        fresh->adapters = adapter_set_new(folder, adapter_error);
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

/* As server_parts.reload. */
static int reload(void *context, char ret_error[SERVER_ERROR_SIZE])
{
    struct gateway *gateway = context;
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

static void stop_engine(struct gateway *gateway, const sigset_t *signals)
{
    struct impatience impatience = {.engine = gateway->engine, .signals = *signals};
    sigdelset(&impatience.signals, SIGHUP);
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

/* Takes down what is up, whatever that is. */
static void close_all(struct gateway *gateway, const sigset_t *signals)
{
    if (gateway->engine != NULL)
        engine_close(gateway->engine);
    if (gateway->server != NULL)
        server_quiesce(gateway->server, ANSWER_MS);
    if (gateway->engine != NULL)
        stop_engine(gateway, signals);
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

/* ---- running ---- */

/* SIGHUP reads the channels anew; any other of `signals` ends the waiting. */
static int wait_for_signal(struct gateway *gateway, const sigset_t *signals)
{
    char error[SERVER_ERROR_SIZE] = "";
    for (int signal_number = 0;;) {
        must(sigwait(signals, &signal_number) == 0);
        if (signal_number != SIGHUP)
            return signal_number;
        if (reload(gateway, error) == 0)
            log_info("channels reloaded; other settings count from the next start");
        else
            log_error("the configuration cannot be reloaded, the channels stay as they are: %s",
                      error);
    }
}

/* How many keys there are, and how many of them are valid. As store_keys(). */
static int count_keys(const struct gateway *gateway, size_t *ret_count, size_t *ret_valid)
{
    CLEANUP(free_pointer) struct store_key *keys = NULL;
    size_t count = 0, valid = 0;
    int result = store_keys(gateway->store, &keys, &count);
    for (size_t i = 0; result == 0 && i < count; i++)
        valid += keys[i].revoked_ms == 0;
    *ret_count = count;
    *ret_valid = valid;
    return result;
}

/* Nobody can use a server without a key; who starts it should hear that now, not from a 401. */
static void warn_without_key(const struct gateway *gateway)
{
    size_t count, valid;
    if (count_keys(gateway, &count, &valid) == 0 && valid == 0)
        log_warn("there is no valid key; `filmgate keys create --data %s --name NAME` makes one",
                 gateway->settings->data);
}

/* Through a connection of its own, as `filmgate keys create` does it: the server takes notice of
 * what other connections commit. As keys_make(). */
static int make_key(const struct gateway *gateway, const char *name, char ret_key[KEYS_TEXT_SIZE])
{
    struct store *store = NULL;
    char error[ERROR_SIZE] = "";
    int result = store_open(gateway->settings->data, &store, error);
    if (result == 0)
        result = keys_make(store, name, name, false, ret_key);
    store_close(store);
    return result;
}

/* For a request that works: the first model that is listed. Where there are wildcards only, it is the
 * reader's to fill in. */
static const char *first_model(const struct gateway *gateway)
{
    const char *const *names = NULL;
    size_t count = channel_model_names(gateway->channels, &names);
    return count > 0 && strpbrk(names[0], "'\"\\") == NULL ? names[0] : "MODEL";
}

static int make_first_key(const struct gateway *gateway, const char *name)
{
    size_t count = 0, valid;
    char key[KEYS_TEXT_SIZE];
    int result = count_keys(gateway, &count, &valid);
    if (result == 0 && count > 0) {
        printf("%s; another: filmgate keys create --data %s --name NAME\n",
               valid > 0 ? "keys exist" : "all keys are revoked", gateway->settings->data);
        return CLI_OK;
    }
    if (result == 0)
        result = make_key(gateway, name, key);
    if (result != STORE_WRITTEN)
        return cli_complain(CLI_LOCAL, "the first key cannot be made: %s",
                            result < 0 ? strerror(-result) : "the database is busy");
    printf("first key (shown only now): %s\n\n"
           "  curl -sS %s/v1/video/create \\\n"
           "    -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \\\n"
           "    -d '{\"model\": \"%s\", \"prompt\": \"a paper boat on a rainy street\"}'\n\n",
           key, server_url(gateway->server), key, first_model(gateway));
    return CLI_OK;
}

/* Whoever pressed Ctrl-C should know what the waiting is for. */
static void say_stopping(const struct gateway *gateway, int signal_number)
{
    char drain[SETTINGS_NUMBER_SIZE];
    settings_write_number(SETTINGS_SPAN, gateway->settings->drain, drain);
    if (gateway->settings->drain == 0)
        log_info("signal %d: stopping; work under way is parked now", signal_number);
    else
        log_info("signal %d: stopping; work under way may finish for %s, a second signal parks "
                 "it now",
                 signal_number, drain);
}

static int run(struct gateway *gateway, const struct order *order, const sigset_t *signals)
{
    int signal_number = 0;
    printf("filmgate %s listening on %s\n", FILMGATE_VERSION, server_url(gateway->server));
    int status = CLI_OK;
    if (order->first_key != NULL) {
        status = make_first_key(gateway, order->first_key);
        if (status == CLI_OK)
            printf("open %s/ in a browser, and paste the key\n", server_url(gateway->server));
    } else {
        warn_without_key(gateway);
    }
    fflush(stdout);
    if (status != CLI_OK)
        return status;
    log_info("listening on %s, data in \"%s\"", server_url(gateway->server),
             gateway->settings->data);
    signal_number = wait_for_signal(gateway, signals);
    say_stopping(gateway, signal_number);
    return CLI_OK;
}

static int serve(const struct order *order)
{
    struct gateway gateway = {.lock = -1, .order = order, .reload_lock = PTHREAD_MUTEX_INITIALIZER};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int status = load_settings(order, &gateway);
    if (status == CLI_OK)
        status = check_settings(&gateway);
    if (status == CLI_OK) {
        open_log(gateway.settings);
        raise_descriptors(gateway.settings);
        status = open_data(&gateway);
    }
    if (status == CLI_OK)
        status = start(&gateway);
    if (status == CLI_OK)
        status = run(&gateway, order, &signals);
    bool was_running = gateway.server != NULL;
    close_all(&gateway, &signals);
    if (was_running)
        log_info("stopped");
    return status;
}

static int take_option(void *context, int option)
{
    struct order *order = context;
    if (option != OPTION_FIRST_KEY)
        return local_take_option(&order->local, option);
    order->first_key = optarg;
    return CLI_OK;
}

int serve_main(int argc, char **argv)
{
    static const struct cli_options options = {"serve", ":l:d:c:h", LONG_OPTIONS, HELP,
                                               take_option};
    struct order order = {0};
    int status;
    if (!cli_read_options_alone(&options, argc, argv, &order, &status))
        return status;
    if (order.first_key != NULL && !store_is_name(order.first_key))
        return cli_complain_usage("serve",
                                  "the name of a key must be 1 to 64 of A-Z a-z 0-9 . _ @ "
                                  "-, not \"%s\"",
                                  order.first_key);
    return serve(&order);
}
