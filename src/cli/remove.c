/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate rm`: as its namesake it asks nothing, and goes on to the next when one cannot be deleted. One thread. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/tasks.h"

static const char HELP[] =
    "Usage: filmgate rm [OPTION]... ID...\n"
    "\n"
    "Deletes tasks that have ended: their films and input images, the prompt and whatever else\n"
    "was written for them. What they cost stays on record. There is no way back, and nothing is\n"
    "asked.\n"
    "\n"
    "Options:\n"
    "      --cancel             cancel a task first that has not ended\n"
    "      --json               one JSON object a line, for each task that was "
    "deleted\n" CLI_SERVER_OPTIONS_HELP "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Example:\n"
    "  filmgate list --status failed --all --json | jq -r '.[].id' | xargs -r filmgate rm\n"
    "\n" CLI_EXIT_HELP;

enum option_letter { OPTION_CANCEL = CLIENT_OPTION_NEXT };

static const struct option OPTIONS[] = {{"cancel", no_argument, NULL, OPTION_CANCEL},
                                        CLIENT_OPTIONS};

enum { PATH_BYTES = 4096 };

struct order {
    struct client_order server;
    bool cancels;
};

static enum client_outcome ask_delete(struct client *client, const char *id,
                                      struct client_answer *ret_answer)
{
    CLEANUP(buf_fini) struct buf path;
    buf_init(&path, PATH_BYTES);
    buf_puts(&path, "/v1/video/tasks/");
    buf_percent_encode(&path, id, "");
    return client_call(client, &(struct client_call){.path = buf_text(&path), .method = "DELETE"},
                       ret_answer);
}

static enum client_outcome ask_cancel(struct client *client, const char *id,
                                      struct client_answer *ret_answer)
{
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    json_set_text(body, "id", id);
    return client_call(client, &(struct client_call){.path = "/v1/video/cancel", .json = body},
                       ret_answer);
}

/* One that ends by itself just when it is to be cancelled is as good. */
static enum client_outcome cancel_and_delete(struct client *client, const char *id,
                                             struct client_answer *answer)
{
    client_answer_fini(answer);
    enum client_outcome outcome = ask_cancel(client, id, answer);
    if (outcome != CLIENT_OK && strcmp(answer->code, "task_already_ended") != 0)
        return outcome;
    client_answer_fini(answer);
    return ask_delete(client, id, answer);
}

static int remove_one(struct client *client, const struct order *order, const char *id)
{
    CLEANUP(client_answer_fini) struct client_answer answer;
    enum client_outcome outcome = ask_delete(client, id, &answer);
    if (order->cancels && outcome == CLIENT_REFUSED && strcmp(answer.code, "task_not_ended") == 0)
        outcome = cancel_and_delete(client, id, &answer);
    if (outcome != CLIENT_OK)
        return client_complain(outcome, &answer);
    if (order->server.json) {
        json_dumpf(answer.json, stdout, JSON_WRITE_FLAGS);
        putchar('\n');
    } else {
        fputs("deleted ", stdout);
        cli_print_text(stdout, id, 0);
        putchar('\n');
    }
    return CLI_OK;
}

/* The status is that of the first that could not be deleted. */
static int remove_all(struct client *client, const struct order *order, char *const *ids)
{
    int status = CLI_OK;
    for (; *ids != NULL; ids++) {
        int one = remove_one(client, order, *ids);
        status = status == CLI_OK ? one : status;
        if (one == CLI_INTERRUPTED || one == CLI_AWAY)
            break; /* the next would fare no better */
    }
    return status;
}

static int take_option(void *context, int option)
{
    struct order *order = context;
    switch (option) {
    case OPTION_CANCEL:
        order->cancels = true;
        return CLI_OK;
    default:
        return client_take_option(&order->server, option);
    }
}

int remove_main(int argc, char **argv)
{
    static const struct cli_options options = {"rm", ":h", OPTIONS, HELP, take_option};
    struct order order = {0};
    int status;
    if (!cli_read_options(&options, argc, argv, &order, &status))
        return status;
    if (optind == argc)
        return cli_complain_usage("rm", "say which tasks: their ids are missing");
    if (cli_check_ids("rm", argv + optind) != CLI_OK)
        return CLI_USAGE;
    struct client *client = client_open("rm", &order.server);
    if (client == NULL)
        return CLI_USAGE;
    status = remove_all(client, &order, argv + optind);
    client_free(client);
    return status;
}
