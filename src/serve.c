/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate serve`. The main thread opens the gateway and then only waits for
 * signals, which are blocked before the first thread starts, so no other thread ever sees them. */
#include "serve.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/must.h"
#include "base/settings.h"
#include "base/settings_value.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/local.h"
#include "gateway.h"

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

enum { OPTION_FIRST_KEY = LOCAL_OPTION_NEXT, ERROR_SIZE = 600 };

static const struct option LONG_OPTIONS[] = {
    {"listen", required_argument, NULL, 'l'},
    {"first-key", required_argument, NULL, OPTION_FIRST_KEY},
    LOCAL_OPTIONS};

struct order {
    struct local_order local;
    const char *first_key;
};

/* ---- running ---- */

/* SIGHUP reads the channels anew; any other of `signals` ends the waiting. */
static int wait_for_signal(struct gateway *gateway, const sigset_t *signals)
{
    char error[SERVER_ERROR_SIZE] = "";
    for (int signal_number = 0;;) {
        must(sigwait(signals, &signal_number) == 0);
        if (signal_number != SIGHUP)
            return signal_number;
        if (gateway_reload(gateway, error) == 0)
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
    char data[PATH_MAX];
    local_absolute(gateway->settings->data, data);
    log_info("listening on %s, data in \"%s\"", server_url(gateway->server), data);
    signal_number = wait_for_signal(gateway, signals);
    say_stopping(gateway, signal_number);
    return CLI_OK;
}

static int serve(const struct order *order)
{
    struct gateway gateway;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int status = gateway_open(&gateway, &order->local);
    if (status == CLI_OK)
        status = run(&gateway, order, &signals);
    bool was_running = gateway.server != NULL;
    gateway_close(&gateway);
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
