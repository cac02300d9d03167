/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate query` and `cancel`. One thread. */
#include "cli/tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/row.h"
#include "cli/await.h"

static const char QUERY_HELP[] =
    "Usage: filmgate query [OPTION]... ID\n"
    "\n"
    "Shows how a task stands: its status and progress, and once it is completed the links to\n"
    "its files. The exit status says whether the question was answered, not how the task\n"
    "fared; `filmgate watch` says that.\n"
    "\n"
    "Options:\n"
    "      --json               print the whole answer\n" CLI_SERVER_OPTIONS_HELP
    "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Example:\n"
    "  filmgate query --json \"$id\" | jq -r .video_url\n"
    "\n" CLI_EXIT_HELP;

static const char CANCEL_HELP[] =
    "Usage: filmgate cancel [OPTION]... ID\n"
    "\n"
    "Cancels a task that has not ended. Cancelling it again is no error; cancelling one that\n"
    "has ended otherwise is refused.\n"
    "\n"
    "Options:\n"
    "      --json               print the whole answer\n" CLI_SERVER_OPTIONS_HELP
    "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Example:\n"
    "  filmgate cancel \"$id\"\n"
    "\n" CLI_EXIT_HELP;

static const struct option LONG_OPTIONS[] = {CLIENT_OPTIONS};

/* ---- options ---- */

static int take_option(void *context, int option)
{
    struct tasks_order *order = context;
    switch (option) {
    default:
        return client_take_option(&order->server, option);
    }
}

int tasks_run_on_one(const char *command, const char *help, tasks_run_fn *run, int argc,
                     char **argv)
{
    const struct cli_options options = {command, ":h", LONG_OPTIONS, help, take_option};
    struct tasks_order order = {0};
    int status;
    if (!cli_read_options(&options, argc, argv, &order, &status))
        return status;
    if (optind == argc)
        return cli_complain_usage(command, "the task's id is missing");
    if (argc - optind > 1)
        return cli_complain_usage(command, "what is \"%s\" for?", argv[optind + 1]);
    if (cli_check_ids(command, argv + optind) != CLI_OK)
        return CLI_USAGE;
    order.id = argv[optind];
    struct client *client = client_open(command, &order.server);
    if (client == NULL)
        return CLI_USAGE;
    status = run(client, &order);
    client_free(client);
    return status;
}

/* ---- showing ---- */

static const json_t *member(const json_t *view, const char *first, const char *second)
{
    return json_object_get(json_object_get(view, first), second);
}

static void show_text(const char *label, const json_t *text)
{
    if (!json_is_string(text) || *json_string_value(text) == '\0')
        return;
    printf("%-10s", label);
    cli_print_text(stdout, json_string_value(text), 0);
    putchar('\n');
}

void tasks_show(const json_t *view, bool as_json)
{
    if (as_json) {
        cli_print_json(view);
        return;
    }
    show_text("id", json_object_get(view, "id"));
    fputs("status    ", stdout);
    cli_print_text(stdout, row_status(view), 0);
    printf(", %lld %%\n", json_int(view, "progress", 0));
    show_text("prompt",
              json_object_get(json_object_get(json_object_get(view, "detail"), "input"), "prompt"));
    show_text("queue",
              json_object_get(member(view, "detail", "pending_info"), "queue_status_message"));
    show_text("error", member(view, "error", "message"));
    show_text("video", json_object_get(view, "video_url"));
    show_text("preview", member(view, "detail", "gif_url"));
    show_text("thumbnail", json_object_get(view, "thumbnail_url"));
}

/* ---- query, cancel ---- */

static int query(struct client *client, const struct tasks_order *order)
{
    CLEANUP(client_answer_fini) struct client_answer answer;
    enum client_outcome outcome = await_query(client, order->id, &answer);
    if (outcome != CLIENT_OK)
        return client_complain(outcome, &answer);
    tasks_show(answer.json, order->server.json);
    return CLI_OK;
}

static int cancel(struct client *client, const struct tasks_order *order)
{
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    json_set_text(body, "id", order->id);
    const struct client_call call = {.path = "/v1/video/cancel", .json = body};
    CLEANUP(client_answer_fini) struct client_answer answer;
    enum client_outcome outcome = client_call(client, &call, &answer);
    if (outcome != CLIENT_OK)
        return client_complain(outcome, &answer);
    tasks_show(answer.json, order->server.json);
    return CLI_OK;
}

/* ---- commands ---- */

int query_main(int argc, char **argv)
{
    return tasks_run_on_one("query", QUERY_HELP, query, argc, argv);
}

int cancel_main(int argc, char **argv)
{
    return tasks_run_on_one("cancel", CANCEL_HELP, cancel, argc, argv);
}
