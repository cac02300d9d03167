/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate webhooks`. Each verb is one call, and a way to show its answer. One thread. */
#include "cli/webhooks.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/row.h"
#include "cli/verbs.h"

static const char HELP[] =
    "Usage: filmgate webhooks [list|secret|rotate] [OPTION]...\n"
    "       filmgate webhooks add URL [OPTION]...\n"
    "       filmgate webhooks rm|test|enable ID [OPTION]...\n"
    "       filmgate webhooks deliveries [OPTION]...\n"
    "       filmgate webhooks show|replay DELIVERY [OPTION]...\n"
    "\n"
    "Who is told when the key's tasks end, and how that went. Endpoints hear of all of them;\n"
    "a task may name a URL of its own besides.\n"
    "\n"
    "  list        the endpoints\n"
    "  add         one more endpoint\n"
    "  rm          remove an endpoint; what waits for it is not sent\n"
    "  test        send an endpoint the event webhook.test\n"
    "  enable      an endpoint that was disabled: it had answered 410\n"
    "  secret      the secret that webhooks are signed with, as libraries take it\n"
    "  rotate      a new secret; the one before signs on for a while\n"
    "  deliveries  the log, newest first\n"
    "  show        one delivery with its body and all tries\n"
    "  replay      deliver the same event once more\n"
    "\n"
    "Options of `deliveries`:\n"
    "      --endpoint ID        only to this endpoint\n"
    "      --task ID            only of this task\n"
    "      --status STATUS      only those: waiting, delivered, given_up, disabled\n"
    "  -n, --limit NUMBER       at most so many, up to 100 (default: 20)\n"
    "\n"
    "Options of all:\n"
    "      --json               print the whole answer; of lists a JSON "
    "array\n" CLI_SERVER_OPTIONS_HELP "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Examples:\n"
    "  filmgate webhooks add https://example.com/hooks/video\n"
    "  filmgate webhooks deliveries --status given_up\n"
    "\n" CLI_EXIT_HELP;

enum { PATH_BYTES = 4096, ID_COLUMNS = 30, STATE_COLUMNS = 9, TYPE_COLUMNS = 15, LIMIT_MOST = 100 };

enum option_letter {
    OPTION_ENDPOINT = CLIENT_OPTION_NEXT,
    OPTION_TASK,
    OPTION_STATUS,
};

static const struct option LONG_OPTIONS[] = {{"endpoint", required_argument, NULL, OPTION_ENDPOINT},
                                             {"task", required_argument, NULL, OPTION_TASK},
                                             {"status", required_argument, NULL, OPTION_STATUS},
                                             {"limit", required_argument, NULL, 'n'},
                                             CLIENT_OPTIONS};

struct order {
    struct client_order server;
    const char *endpoint, *task, *status;
    long long limit; /* 0: not said */
};

typedef void show_fn(const json_t *answer);

static show_fn show_endpoints, show_endpoint, show_secret, show_deliveries, show_delivery,
    show_whole, show_nothing;

static const struct verb {
    const char *name, *method;
    const char *before, *after; /* of the argument, in the path */
    const char *needs;          /* what the argument is; NULL: there is none */
    show_fn *show;
} VERBS[] = {
    {"list", "GET", "/v1/webhooks", "", NULL, show_endpoints},
    {"add", "POST", "/v1/webhooks", "", "a URL", show_endpoint},
    {"rm", "DELETE", "/v1/webhooks/", "", "the endpoint's id", show_nothing},
    {"test", "POST", "/v1/webhooks/", "/test", "the endpoint's id", show_delivery},
    {"enable", "POST", "/v1/webhooks/", "/enable", "the endpoint's id", show_endpoint},
    {"secret", "GET", "/v1/webhooks/secret", "", NULL, show_secret},
    {"rotate", "POST", "/v1/webhooks/secret/rotate", "", NULL, show_secret},
    {"deliveries", "GET", "/v1/webhooks/deliveries", "", NULL, show_deliveries},
    {"show", "GET", "/v1/webhooks/deliveries/", "", "the delivery's id", show_whole},
    {"replay", "POST", "/v1/webhooks/deliveries/", "/replay", "the delivery's id", show_delivery},
};

/* ---- options ---- */

static int take_option(void *context, int option)
{
    struct order *order = context;
    switch (option) {
    case OPTION_ENDPOINT:
        order->endpoint = optarg;
        return CLI_OK;
    case OPTION_TASK:
        order->task = optarg;
        return CLI_OK;
    case OPTION_STATUS:
        order->status = optarg;
        return CLI_OK;
    case 'n':
        if (cli_parse_number(optarg, 1, LIMIT_MOST, &order->limit))
            return CLI_OK;
        return cli_complain_usage("webhooks",
                                  "the limit must be a number from 1 to 100, not \"%s\"", optarg);
    default:
        return client_take_option(&order->server, option);
    }
}

static bool is_filtered(const struct order *order)
{
    return order->endpoint != NULL || order->task != NULL || order->status != NULL ||
           order->limit != 0;
}

/* ---- showing ---- */

static void print_time(const json_t *row, const char *key)
{
    char text[CLOCK_ISO_SECONDS_SIZE] = "-";
    long long at_s = json_int(row, key, 0);
    if (at_s > 0)
        clock_iso_seconds(at_s, text);
    cli_print_column(text, CLOCK_ISO_SECONDS_SIZE - 1);
}

static void print_last(const char *text)
{
    cli_print_text(stdout, text, 0);
    putchar('\n');
}

static void show_nothing(const json_t *answer)
{
    (void)answer;
}

static void print_endpoint(const json_t *row)
{
    cli_print_column(row_text(row, "id"), ID_COLUMNS);
    cli_print_column(row_text(row, "status"), STATE_COLUMNS);
    print_time(row, "created_at");
    print_last(row_text(row, "url"));
}

static void show_endpoint(const json_t *answer)
{
    print_endpoint(answer);
}

static void show_endpoints(const json_t *answer)
{
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(answer, "data"), index, row)
    {
        print_endpoint(row);
    }
}

static void show_secret(const json_t *answer)
{
    print_last(row_text(answer, "secret"));
}

static void show_delivery(const json_t *row)
{
    cli_print_column(row_text(row, "id"), ID_COLUMNS);
    cli_print_column(row_text(row, "status"), STATE_COLUMNS);
    cli_print_column(row_text(row, "type"), TYPE_COLUMNS);
    printf("%3lld  ", json_int(row, "tries", 0));
    print_time(row, "created_at");
    cli_print_column(row_text(row, "task_id"), ID_COLUMNS + 1);
    print_last(row_text(row, "url"));
}

static void show_deliveries(const json_t *answer)
{
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(answer, "data"), index, row)
    {
        show_delivery(row);
    }
}

static void show_whole(const json_t *answer)
{
    size_t index;
    const json_t *row;
    show_delivery(answer);
    if (json_text(answer, "note") != NULL)
        print_last(row_text(answer, "note"));
    json_array_foreach(json_object_get(answer, "log"), index, row)
    {
        char at[CLOCK_ISO_MICROS_SIZE];
        clock_iso_micros(json_int(row, "at_ms", 0) * 1000, at);
        printf("%3lld  %s  %6lld ms  %3lld  ", json_int(row, "number", 0), at,
               json_int(row, "took_ms", 0), json_int(row, "status", 0));
        print_last(row_text(row, "error"));
        if (json_text(row, "answer") != NULL) {
            printf("     ");
            print_last(row_text(row, "answer"));
        }
    }
    if (json_text(answer, "body") != NULL)
        print_last(row_text(answer, "body"));
}

/* ---- the call ---- */

static void add_argument(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(path, "%s%s=", strchr(buf_text(path), '?') != NULL ? "&" : "?", name);
    buf_percent_encode(path, value, "");
}

static void write_path(const struct verb *verb, const struct order *order, const char *argument,
                       struct buf *path)
{
    char limit[24];
    snprintf(limit, sizeof(limit), "%lld", order->limit);
    buf_puts(path, verb->before);
    if (verb->before[strlen(verb->before) - 1] == '/')
        buf_percent_encode(path, argument, "");
    buf_puts(path, verb->after);
    add_argument(path, "webhook_id", order->endpoint);
    add_argument(path, "task_id", order->task);
    add_argument(path, "status", order->status);
    add_argument(path, "limit", order->limit != 0 ? limit : NULL);
}

static int call(const struct verb *verb, const struct order *order, const char *argument)
{
    CLEANUP(buf_fini) struct buf path;
    CLEANUP(client_answer_fini) struct client_answer answer = {0};
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    buf_init(&path, PATH_BYTES);
    write_path(verb, order, argument, &path);
    if (path.overflowed)
        return cli_complain_usage("webhooks", "that is too long");
    if (strcmp(verb->name, "add") == 0)
        json_set_text(body, "url", argument);
    struct client *client = client_open("webhooks", &order->server);
    if (client == NULL)
        return CLI_USAGE;
    const struct client_call call = {
        .path = buf_text(&path),
        .method = strcmp(verb->method, "DELETE") == 0 ? verb->method : NULL,
        .json = strcmp(verb->method, "POST") == 0 ? body : NULL,
    };
    enum client_outcome outcome = client_call(client, &call, &answer);
    client_free(client);
    if (outcome != CLIENT_OK)
        return client_complain(outcome, &answer);
    bool is_list = verb->show == show_endpoints || verb->show == show_deliveries;
    if (order->server.json)
        cli_print_json(is_list ? json_object_get(answer.json, "data") : answer.json);
    else
        verb->show(answer.json);
    return CLI_OK;
}

int webhooks_main(int argc, char **argv)
{
    static const char *const names[] = {"list",   "add",    "rm",     "test",
                                        "enable", "secret", "rotate", "deliveries",
                                        "show",   "replay", NULL};
    static const struct verbs verbs = {
        .options = {"webhooks", ":n:h", LONG_OPTIONS, HELP, take_option},
        .names = names,
        .n_arguments = 1,
    };
    _Static_assert(ARRAY_LENGTH(names) == ARRAY_LENGTH(VERBS) + 1, "in the same order");
    struct order order = {0};
    size_t number;
    const char *argument;
    int status;
    if (!verbs_read(&verbs, argc, argv, &order, &number, &argument, &status))
        return status;
    const struct verb *verb = &VERBS[number];
    if (verb->needs != NULL && (argument == NULL || *argument == '\0'))
        return cli_complain_usage("webhooks", "`webhooks %s` needs %s", verb->name, verb->needs);
    if (verb->needs == NULL && argument != NULL)
        return cli_complain_usage("webhooks", "what is \"%s\" for?", argument);
    if (is_filtered(&order) && verb->show != show_deliveries)
        return cli_complain_usage("webhooks", "these options are those of `webhooks deliveries`");
    return call(verb, &order, argument);
}
