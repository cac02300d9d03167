/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate channels` and `filmgate reload`. One thread. */
#include "cli/channels.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/row.h"
#include "cli/verbs.h"
#include "engine/channels.h"

static const char CHANNELS_HELP[] =
    "Usage: filmgate channels [list] [OPTION]...\n"
    "       filmgate channels pause|resume|drain NAME [OPTION]...\n"
    "\n"
    "Shows the channels of a running gateway and how each of their credentials fares, or gives\n"
    "an order to one. It takes an operator's key.\n"
    "\n"
    "`pause` lets a channel begin nothing new until `resume`; tasks that no other channel takes\n"
    "wait for it. `drain` is for a channel that is to go: it begins nothing new either, and\n"
    "what is under way finishes. An order holds until the next one or the gateway's end; what\n"
    "is to last longer stands in the configuration.\n"
    "\n"
    "Options:\n"
    "      --json               print a JSON array of the channels\n" CLI_SERVER_OPTIONS_HELP
    "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Examples:\n"
    "  filmgate channels\n"
    "  filmgate channels pause kling-main\n"
    "\n" CLI_EXIT_HELP;

static const char RELOAD_HELP[] =
    "Usage: filmgate reload [OPTION]...\n"
    "\n"
    "Has a running gateway read its configuration file anew. It takes an operator's key. A\n"
    "configuration that is not valid is refused with what is wrong, and the one before stays\n"
    "in force.\n"
    "\n"
    "Options:\n"
    "      --json               print the whole answer\n" CLI_SERVER_OPTIONS_HELP
    "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Example:\n"
    "  filmgate doctor --config /etc/filmgate.yaml && filmgate reload\n"
    "\n" CLI_EXIT_HELP;

enum {
    PATH_BYTES = 4096,
    PLACE_COLUMNS = 24, /* channel/credential */
    ADAPTER_COLUMNS = 16,
    STATE_COLUMNS = 9,
};

static const struct option LONG_OPTIONS[] = {CLIENT_OPTIONS};

struct order {
    struct client_order server;
};

/* ---- options ---- */

static int take_option(void *context, int option)
{
    struct order *order = context;
    return client_take_option(&order->server, option);
}

/* ---- calls ---- */

/* CLI_OK with the answer, or an exit status after complaining. `body` NULL: a GET. */
static int ask(const struct order *order, const char *command, const char *path, const json_t *body,
               struct client_answer *ret_answer)
{
    struct client *client = client_open(command, &order->server);
    if (client == NULL)
        return CLI_USAGE;
    const struct client_call call = {.path = path, .json = body};
    enum client_outcome outcome = client_call(client, &call, ret_answer);
    client_free(client);
    return outcome == CLIENT_OK ? CLI_OK : client_complain(outcome, ret_answer);
}

static void print_row(const json_t *row)
{
    char place[2 * ENGINE_VIEW_NAME_SIZE];
    const char *credential = json_text(row, "credential");
    snprintf(place, sizeof(place), "%s%s%s", row_text(row, "name"), credential != NULL ? "/" : "",
             credential != NULL ? credential : "");
    cli_print_column(place, PLACE_COLUMNS);
    cli_print_column(row_text(row, "adapter"), ADAPTER_COLUMNS);
    cli_print_column(row_text(row, "state"), STATE_COLUMNS);
    printf("%4lld/%-4lld  %8lld  %8lld  %8lld  %8lld  ", json_int(row, "in_flight", 0),
           json_int(row, "concurrency", 0), json_int(row, "submits", 0),
           json_int(row, "accepted", 0), json_int(row, "refused", 0), json_int(row, "unknown", 0));
    cli_print_text(stdout, row_text(row, "last_error"), 0);
    putchar('\n');
}

static void print_channels(const json_t *list, bool as_json)
{
    const json_t *data = json_object_get(list, "data");
    size_t index;
    const json_t *row;
    if (as_json) {
        cli_print_json(data);
        return;
    }
    cli_print_column("CHANNEL/CREDENTIAL", PLACE_COLUMNS);
    cli_print_column("ADAPTER", ADAPTER_COLUMNS);
    cli_print_column("STATE", STATE_COLUMNS);
    printf("%9s  %8s  %8s  %8s  %8s  %s\n", "BUSY/MOST", "SUBMITS", "ACCEPTED", "REFUSED",
           "UNKNOWN", "LAST ERROR");
    json_array_foreach(data, index, row)
    {
        print_row(row);
    }
}

/* ---- channels ---- */

static int give_order(const struct order *order, const char *verb, const char *name)
{
    CLEANUP(buf_fini) struct buf path;
    CLEANUP(client_answer_fini) struct client_answer answer = {0};
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    buf_init(&path, PATH_BYTES);
    buf_puts(&path, "/v1/channels/");
    buf_percent_encode(&path, name, "");
    buf_printf(&path, "/%s", verb);
    if (path.overflowed)
        return cli_complain_usage("channels", "that is too long for the name of a channel");
    int status = ask(order, "channels", buf_text(&path), body, &answer);
    if (status == CLI_OK)
        print_channels(answer.json, order->server.json);
    return status;
}

static int list_channels(const struct order *order)
{
    CLEANUP(client_answer_fini) struct client_answer answer = {0};
    int status = ask(order, "channels", "/v1/channels", NULL, &answer);
    if (status == CLI_OK)
        print_channels(answer.json, order->server.json);
    return status;
}

int channels_main(int argc, char **argv)
{
    enum { LIST };
    static const char *const names[] = {[LIST] = "list", "pause", "resume", "drain", NULL};
    static const struct verbs verbs = {
        .options = {"channels", ":h", LONG_OPTIONS, CHANNELS_HELP, take_option},
        .names = names,
        .n_arguments = 1,
    };
    struct order order = {0};
    size_t verb;
    const char *name;
    int status;
    if (!verbs_read(&verbs, argc, argv, &order, &verb, &name, &status))
        return status;
    if (verb == LIST && name != NULL)
        return cli_complain_usage("channels", "what is \"%s\" for?", name);
    if (verb == LIST)
        return list_channels(&order);
    if (name == NULL || name[0] == '\0')
        return cli_complain_usage("channels", "`channels %s` needs the channel's name",
                                  names[verb]);
    return give_order(&order, names[verb], name);
}

/* ---- reload ---- */

int reload_main(int argc, char **argv)
{
    static const struct cli_options options = {"reload", ":h", LONG_OPTIONS, RELOAD_HELP,
                                               take_option};
    struct order order = {0};
    int status;
    if (!cli_read_options_alone(&options, argc, argv, &order, &status))
        return status;
    CLEANUP(client_answer_fini) struct client_answer answer = {0};
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    status = ask(&order, "reload", "/v1/reload", body, &answer);
    if (status != CLI_OK)
        return status;
    if (order.server.json)
        cli_print_json(answer.json);
    else
        cli_note("the gateway has read its configuration anew");
    return CLI_OK;
}
