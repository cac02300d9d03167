/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate list`. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/moment.h"
#include "base/settings.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/row.h"
#include "cli/tasks.h"

static const char HELP[] =
    "Usage: filmgate list [OPTION]...\n"
    "\n"
    "Lists tasks, newest first: those of the key's tenant, or of all tenants for an operator's\n"
    "key.\n"
    "\n"
    "Options:\n"
    "  -n, --limit NUMBER       at most so many (default: 20)\n"
    "      --all                every one there is\n"
    "      --status STATE       only tasks in this state: queued, submitting, rendering,\n"
    "                           fetching, completed, failed, cancelled, pending,\n"
    "                           processing, ended; several with commas between\n"
    "      --model MODEL        only tasks for this model; `grok*`: whose name begins so\n"
    "      --since TIME         only tasks created then or later: 2025-10-06, a time as\n"
    "                           2025-10-06T15:10:26Z, or how long ago: 90s, 30m, 2h, 7d\n"
    "      --until TIME         only tasks created before\n"
    "      --search TEXT        only tasks in whose prompt this stands\n"
    "      --json               one JSON array, a task a line: the answers to their "
    "queries\n" CLI_SERVER_OPTIONS_HELP "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Example:\n"
    "  filmgate list --status failed --since 1d --all --json | jq -r '.[].error.message'\n"
    "\n" CLI_EXIT_HELP;

enum {
    LIST_DEFAULT = 20,
    LIST_PAGE = 100,
    LIST_MOST = 1000000000,
    PATH_BYTES = 8192,
    PROMPT_CHARACTERS = 48,
    PROMPT_LEAST = 8, /* characters: a narrow terminal breaks the line then */
    WORD_COLUMNS = 10,
    NUMBER_COLUMNS = 13, /* `100%    12h`, and two blanks */
};

enum option_letter {
    OPTION_ALL = CLIENT_OPTION_NEXT,
    OPTION_STATUS,
    OPTION_MODEL,
    OPTION_SINCE,
    OPTION_UNTIL,
    OPTION_SEARCH,
};

static const struct option OPTIONS[] = {{"limit", required_argument, NULL, 'n'},
                                        {"all", no_argument, NULL, OPTION_ALL},
                                        {"status", required_argument, NULL, OPTION_STATUS},
                                        {"model", required_argument, NULL, OPTION_MODEL},
                                        {"since", required_argument, NULL, OPTION_SINCE},
                                        {"until", required_argument, NULL, OPTION_UNTIL},
                                        {"search", required_argument, NULL, OPTION_SEARCH},
                                        CLIENT_OPTIONS};

struct order {
    struct client_order server;
    struct buf filter; /* of the query: `&name=value` … */
    bool all;
    long long limit;
    long long shown;   /* tasks, so far */
    size_t id_columns; /* as wide as the longest id of this page and those before */
};

/* ---- options ---- */

static void add_argument(struct order *order, const char *name, const char *value)
{
    buf_printf(&order->filter, "&%s=", name);
    buf_percent_encode(&order->filter, value, "");
}

static int take_time(struct order *order, const char *option, const char *name)
{
    char text[24];
    int64_t ago_ms = 0, micros = 0;
    if (settings_parse_span(optarg, &ago_ms))
        micros = ago_ms < clock_wall_ms() ? (clock_wall_ms() - ago_ms) * 1000 : 0;
    else if (!moment_parse(optarg, &micros))
        return cli_complain_usage("list",
                                  "%s must be a time like 2025-10-06T15:10:26Z, or how long ago "
                                  "like 2h, not \"%s\"",
                                  option, optarg);
    snprintf(text, sizeof(text), "%lld", (long long)(micros > 0 ? micros / 1000 : 0));
    add_argument(order, name, text);
    return CLI_OK;
}

static int take_option(void *context, int option)
{
    struct order *order = context;
    switch (option) {
    case OPTION_ALL:
        order->all = true;
        return CLI_OK;
    case OPTION_STATUS:
        add_argument(order, "status", optarg);
        return CLI_OK;
    case OPTION_MODEL:
        add_argument(order, "model", optarg);
        return CLI_OK;
    case OPTION_SEARCH:
        add_argument(order, "q", optarg);
        return CLI_OK;
    case OPTION_SINCE:
        return take_time(order, "--since", "created_after");
    case OPTION_UNTIL:
        return take_time(order, "--until", "created_before");
    case 'n':
        if (cli_parse_number(optarg, 1, LIST_MOST, &order->limit))
            return CLI_OK;
        return cli_complain_usage("list", "the limit must be a number from 1, not \"%s\"", optarg);
    default:
        return client_take_option(&order->server, option);
    }
}

/* ---- showing ---- */

/* When a task was made stands in its id. Negative when it is no id of ours. */
static int64_t created_ms(const char *id)
{
    char prefix[ID_PREFIX_MAX + 1];
    struct uuid uuid;
    const char *colon = strrchr(id, ':');
    if (!id_typeid_read(colon != NULL ? colon + 1 : id, prefix, &uuid))
        return -1;
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | uuid.bytes[i];
    return ms;
}

static void write_age(const char *id, int64_t now_ms, char *ret_age, size_t size)
{
    int64_t made_ms = created_ms(id);
    long long seconds = made_ms < 0 || made_ms > now_ms ? 0 : (now_ms - made_ms) / 1000;
    if (seconds < 60)
        snprintf(ret_age, size, "%llds", seconds);
    else if (seconds < 3600)
        snprintf(ret_age, size, "%lldm", seconds / 60);
    else if (seconds < 86400)
        snprintf(ret_age, size, "%lldh", seconds / 3600);
    else
        snprintf(ret_age, size, "%lldd", seconds / 86400);
}

/* Ids say the model, which may be long, and are there to be copied: they are never cut, the prompt is. */
static void fit_ids(struct order *order, const json_t *data)
{
    size_t index;
    const json_t *view;
    json_array_foreach(data, index, view)
    {
        const char *id = json_text(view, "id");
        size_t length = id != NULL ? strlen(id) : 1;
        order->id_columns = length > order->id_columns ? length : order->id_columns;
    }
}

/* So many that the line, with a mark where it is cut, fits on the terminal, if this is one. */
static size_t prompt_characters(const struct order *order)
{
    size_t before = order->id_columns + 2 + WORD_COLUMNS + 2 + NUMBER_COLUMNS + 1;
    size_t columns = isatty(STDOUT_FILENO) == 1 ? cli_columns(stdout) : SIZE_MAX;
    size_t room = columns > before + PROMPT_LEAST ? columns - before : PROMPT_LEAST;
    return room < PROMPT_CHARACTERS ? room : PROMPT_CHARACTERS;
}

static void print_row(const struct order *order, const json_t *view, int64_t now_ms)
{
    char age[24];
    const char *id = json_text(view, "id");
    const char *prompt =
        json_text(json_object_get(json_object_get(view, "detail"), "input"), "prompt");
    write_age(id != NULL ? id : "", now_ms, age, sizeof(age));
    char word[16];
    snprintf(word, sizeof(word), "%s", row_status(view));
    cli_print_column(id != NULL ? id : "?", (int)order->id_columns);
    cli_print_column(word, WORD_COLUMNS);
    printf("%3lld%%  %5s  ", json_int(view, "progress", 0), age);
    cli_print_text(stdout, prompt != NULL ? prompt : "", prompt_characters(order));
    putchar('\n');
}

static void print_page(const json_t *data, struct order *order)
{
    int64_t now_ms = clock_wall_ms();
    size_t index;
    const json_t *view;
    fit_ids(order, data);
    json_array_foreach(data, index, view)
    {
        if (order->server.json) {
            puts(order->shown == 0 ? "[" : ",");
            json_dumpf(view, stdout, JSON_WRITE_FLAGS);
        } else {
            if (order->shown == 0)
                printf("%-*s  %-*s  %4s  %5s  %s\n", (int)order->id_columns, "ID", WORD_COLUMNS,
                       "STATUS", "DONE", "AGE", "PROMPT");
            print_row(order, view, now_ms);
        }
        order->shown++;
    }
}

static void print_end(const struct order *order)
{
    if (order->server.json)
        puts(order->shown == 0 ? "[]" : "\n]");
    else if (order->shown == 0 && isatty(STDOUT_FILENO) == 1)
        puts(order->filter.length > 0 ? "no such tasks" : "no tasks yet");
}

/* ---- pages ---- */

/* A page may be empty though there are more: a text is looked for piece by piece. */
static int list(struct client *client, struct order *order)
{
    CLEANUP(buf_fini) struct buf path;
    CLEANUP(buf_fini) struct buf next;
    buf_init(&path, (size_t)2 * PATH_BYTES);
    buf_init(&next, PATH_BYTES);
    do {
        long long left = (order->all ? LIST_MOST : order->limit) - order->shown;
        buf_clear(&path);
        buf_printf(&path, "/v1/video/tasks?limit=%lld%s", left < LIST_PAGE ? left : LIST_PAGE,
                   buf_text(&order->filter));
        if (next.length > 0) {
            buf_puts(&path, "&before=");
            buf_percent_encode(&path, buf_text(&next), "");
        }
        const struct client_call call = {.path = buf_text(&path)};
        CLEANUP(client_answer_fini) struct client_answer answer;
        enum client_outcome outcome = client_call(client, &call, &answer);
        if (outcome != CLIENT_OK)
            return client_complain(outcome, &answer);
        print_page(json_object_get(answer.json, "data"), order);
        const char *cursor = json_text(answer.json, "next");
        buf_clear(&next);
        buf_puts(&next, cursor != NULL ? cursor : "");
    } while (next.length > 0 && (order->all || order->shown < order->limit));
    print_end(order);
    return CLI_OK;
}

static int read_and_list(struct order *order, int argc, char **argv)
{
    static const struct cli_options options = {"list", ":n:h", OPTIONS, HELP, take_option};
    int status;
    if (!cli_read_options_alone(&options, argc, argv, order, &status))
        return status;
    if (order->filter.overflowed)
        return cli_complain_usage("list", "that is too much to ask for at once");
    struct client *client = client_open("list", &order->server);
    if (client == NULL)
        return CLI_USAGE;
    status = list(client, order);
    client_free(client);
    return status;
}

int list_main(int argc, char **argv)
{
    struct order order = {.limit = LIST_DEFAULT};
    buf_init(&order.filter, PATH_BYTES);
    int status = read_and_list(&order, argc, argv);
    buf_fini(&order.filter);
    return status;
}
