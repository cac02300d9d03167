/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of a gateway: whose it is, and how it waits. Signals come through a signalfd. One thread. */
#include "cli/client_own.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/must.h"
#include "cli/cli.h"

enum { CALL_MS = 15 * 60 * 1000 }; /* a call in all: uploads may be large */

static const char DEFAULT_URL[] = "http://127.0.0.1:8080";

/* ---- opening ---- */

static const char *or_environment(const char *value, const char *name, const char *fallback)
{
    if (value == NULL)
        value = getenv(name);
    return value == NULL || *value == '\0' ? fallback : value;
}

/* Cuts slashes at the end, and the /v1 that other clients want behind their base URL. */
static void cut_tail(char *url)
{
    size_t length = strlen(url);
    for (bool has_cut = false;; has_cut = true) {
        while (length > 0 && url[length - 1] == '/')
            length--;
        if (has_cut || length < 3 || strncmp(url + length - 3, "/v1", 3) != 0)
            break;
        length -= 3;
    }
    url[length] = '\0';
}

static bool is_header_safe(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
            return false;
    }
    return length <= CLIENT_KEY_BYTES;
}

static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct client *client_new(const char *url, const char *key, char ret_error[CLIENT_SENTENCE_SIZE])
{
    url = or_environment(url, "FILMGATE_URL", DEFAULT_URL);
    key = or_environment(key, "FILMGATE_KEY", NULL);
    if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        !is_header_safe(url)) {
        snprintf(ret_error, CLIENT_SENTENCE_SIZE,
                 "the gateway's URL must be like %s, not \"%.200s\"", DEFAULT_URL, url);
        return NULL;
    }
    if (key != NULL && !is_header_safe(key)) {
        snprintf(ret_error, CLIENT_SENTENCE_SIZE,
                 "the API key holds white space, control characters or more than %d bytes",
                 CLIENT_KEY_BYTES);
        return NULL;
    }
    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    struct client *client = must_calloc(1, sizeof(*client));
    client->url = must_strdup(url);
    cut_tail(client->url);
    if (key != NULL) {
        CLEANUP(buf_fini) struct buf header;
        buf_init(&header, CLIENT_KEY_BYTES + 100);
        buf_printf(&header, "Authorization: Bearer %s", key);
        client->authorization = buf_take(&header);
    }
    client->curl = curl_easy_init();
    must(client->curl != NULL);
    client->call_ms = CALL_MS;
    client->signal_fd = open_signals();
    must(client->signal_fd >= 0);
    return client;
}

int client_take_option(struct client_order *order, int option)
{
    switch (option) {
    case CLIENT_OPTION_JSON:
        order->json = true;
        return CLI_OK;
    case CLIENT_OPTION_URL:
        order->url = optarg;
        return CLI_OK;
    case CLIENT_OPTION_KEY:
        order->key = optarg;
        return CLI_OK;
    default:
        return CLI_USAGE;
    }
}

struct client *client_open(const char *command, const struct client_order *order)
{
    char error[CLIENT_SENTENCE_SIZE];
    struct client *client = client_new(order->url, order->key, error);
    if (client == NULL)
        cli_complain_usage(command, "%s", error);
    return client;
}

struct client *client_free(struct client *client)
{
    if (client == NULL)
        return NULL;
    curl_easy_cleanup(client->curl);
    close_fd(&client->signal_fd);
    free(client->authorization);
    free(client->url);
    free(client);
    curl_global_cleanup();
    return NULL;
}

void client_hurry(struct client *client, int64_t most_ms)
{
    client->call_ms = most_ms;
}

const char *client_url(const struct client *client)
{
    return client->url;
}

/* ---- waiting ---- */

bool client_is_interrupted(const struct client *client, int wait_ms)
{
    struct pollfd poller = {.fd = client->signal_fd, .events = POLLIN};
    return poll(&poller, 1, wait_ms) > 0;
}

bool client_pause(struct client *client, int64_t wait_ms)
{
    int64_t until = clock_mono_ms() + wait_ms;
    for (int64_t left; (left = until - clock_mono_ms()) > 0;) {
        if (client_is_interrupted(client, left > 1000 ? 1000 : (int)left))
            return false;
    }
    return true;
}

/* ---- the end ---- */

int client_complain(enum client_outcome outcome, const struct client_answer *answer)
{
    const struct cli_error error = {
        .exit_status = client_exit(outcome),
        .code = answer->code[0] != '\0' ? answer->code : NULL,
        .hint = answer->hint,
    };
    return cli_complain_error(&error, "%s", answer->sentence);
}

int client_exit(enum client_outcome outcome)
{
    switch (outcome) {
    case CLIENT_OK:
        return CLI_OK;
    case CLIENT_REFUSED:
        return CLI_REFUSED;
    case CLIENT_TROUBLE:
    case CLIENT_AWAY:
        return CLI_AWAY;
    case CLIENT_LOCAL:
        return CLI_LOCAL;
    case CLIENT_INTERRUPTED:
        return CLI_INTERRUPTED;
    }
    return CLI_LOCAL;
}
