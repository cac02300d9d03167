/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate query`, `list` and `cancel`. One thread. */
#include "cli/tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/must.h"
#include "cli/cli.h"
#include "cli/client.h"
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

static const char LIST_HELP[] =
    "Usage: filmgate list [OPTION]...\n"
    "\n"
    "Lists tasks, newest first: those of the key's tenant, or of all tenants for an operator's\n"
    "key.\n"
    "\n"
    "Options:\n"
    "  -n, --limit NUMBER       at most so many (default: 20)\n"
    "      --all                every one there is\n"
    "      --json               one JSON array, a task a line: the answers to their "
    "queries\n" CLI_SERVER_OPTIONS_HELP "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Example:\n"
    "  filmgate list --all --json | jq -r '.[] | select(.status == \"failed\").id'\n"
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

enum {
    LIST_DEFAULT = 20,
    LIST_PAGE = 100,
    LIST_MOST = 1000000000,
    PATH_BYTES = 4096,
    PROMPT_CHARACTERS = 48, /* of a prompt, in the list */
    ID_COLUMNS = 38,
    WORD_COLUMNS = 10,
};

enum option_letter { OPTION_JSON = 256, OPTION_URL, OPTION_KEY, OPTION_ALL };

static const struct option LONG_OPTIONS[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"url", required_argument, NULL, OPTION_URL},
    {"key", required_argument, NULL, OPTION_KEY},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct option LIST_OPTIONS[] = {
    {"limit", required_argument, NULL, 'n'},
    {"all", no_argument, NULL, OPTION_ALL},
    {"json", no_argument, NULL, OPTION_JSON},
    {"url", required_argument, NULL, OPTION_URL},
    {"key", required_argument, NULL, OPTION_KEY},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* What one of these commands was told. */
struct order {
    const struct cli_options *options;
    const char *help;
    bool has_id; /* takes one */
    const char *id, *url, *key;
    bool json, all;
    long long limit;
};

typedef int run_fn(struct client *client, const struct order *order);

/* ---- options ---- */

static int take_option(struct order *order, int option)
{
    switch (option) {
    case OPTION_JSON:
        order->json = true;
        return CLI_OK;
    case OPTION_ALL:
        order->all = true;
        return CLI_OK;
    case OPTION_URL:
        order->url = optarg;
        return CLI_OK;
    case OPTION_KEY:
        order->key = optarg;
        return CLI_OK;
    case 'n':
        if (cli_parse_number(optarg, 1, LIST_MOST, &order->limit))
            return CLI_OK;
        return cli_complain_usage(order->options->command,
                                  "the limit must be a number from 1, not \"%s\"", optarg);
    default:
        return CLI_USAGE;
    }
}

/* Reads the options, then runs the command with a client. */
static int carry_out(struct order *order, run_fn *run, int argc, char **argv)
{
    const char *command = order->options->command;
    for (int option; (option = cli_next_option(order->options, argc, argv)) != -1;) {
        if (option == 'h')
            return cli_show(order->help);
        int status = take_option(order, option);
        if (status != CLI_OK)
            return status;
    }
    int wanted = order->has_id ? 1 : 0;
    if (argc - optind < wanted)
        return cli_complain_usage(command, "the task's id is missing");
    if (argc - optind > wanted)
        return cli_complain_usage(command, "what is \"%s\" for?", argv[optind + wanted]);
    order->id = order->has_id ? argv[optind] : NULL;
    char error[CLIENT_SENTENCE_SIZE];
    struct client *client = client_new(order->url, order->key, error);
    if (client == NULL)
        return cli_complain_usage(command, "%s", error);
    int status = run(client, order);
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

/* pending, or what happens meanwhile: queued, processing. */
static const char *status_word(const json_t *view)
{
    const char *status = json_text(view, "status");
    const char *inner =
        json_string_value(json_object_get(member(view, "detail", "pending_info"), "status"));
    if (status == NULL)
        return "unknown";
    if (strcmp(status, "pending") == 0 && inner != NULL)
        return inner;
    const char *code = json_string_value(member(view, "error", "code"));
    return code != NULL && strcmp(code, "cancelled") == 0 ? "cancelled" : status;
}

void tasks_show(const json_t *view, bool as_json)
{
    if (as_json) {
        cli_print_json(view);
        return;
    }
    show_text("id", json_object_get(view, "id"));
    fputs("status    ", stdout);
    cli_print_text(stdout, status_word(view), 0);
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

static int query(struct client *client, const struct order *order)
{
    CLEANUP(client_answer_fini) struct client_answer answer;
    enum client_outcome outcome = await_query(client, order->id, &answer);
    if (outcome != CLIENT_OK)
        return client_complain(outcome, &answer);
    tasks_show(answer.json, order->json);
    return CLI_OK;
}

static int cancel(struct client *client, const struct order *order)
{
    CLEANUP(json_unref_pointer) json_t *body = json_object();
    json_set_text(body, "id", order->id);
    const struct client_call call = {.path = "/v1/video/cancel", .json = body};
    CLEANUP(client_answer_fini) struct client_answer answer;
    enum client_outcome outcome = client_call(client, &call, &answer);
    if (outcome != CLIENT_OK)
        return client_complain(outcome, &answer);
    tasks_show(answer.json, order->json);
    return CLI_OK;
}

/* ---- list ---- */

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

static void print_row(const json_t *view, int64_t now_ms)
{
    char age[24];
    const char *id = json_text(view, "id");
    const char *prompt = json_string_value(
        json_object_get(json_object_get(json_object_get(view, "detail"), "input"), "prompt"));
    write_age(id != NULL ? id : "", now_ms, age, sizeof(age));
    char word[16];
    snprintf(word, sizeof(word), "%s", status_word(view));
    cli_print_column(id != NULL ? id : "?", ID_COLUMNS);
    cli_print_column(word, WORD_COLUMNS);
    printf("%3lld%%  %5s  ", json_int(view, "progress", 0), age);
    cli_print_text(stdout, prompt != NULL ? prompt : "", PROMPT_CHARACTERS);
    putchar('\n');
}

static void print_page(const json_t *data, const struct order *order, bool is_first)
{
    int64_t now_ms = clock_wall_ms();
    size_t index;
    const json_t *view;
    if (is_first && !order->json && json_array_size(data) > 0)
        printf("%-*s  %-*s  %4s  %5s  %s\n", ID_COLUMNS, "ID", WORD_COLUMNS, "STATUS", "DONE",
               "AGE", "PROMPT");
    json_array_foreach(data, index, view)
    {
        if (order->json) {
            puts(is_first && index == 0 ? "[" : ",");
            json_dumpf(view, stdout, JSON_WRITE_FLAGS);
        } else {
            print_row(view, now_ms);
        }
    }
}

static int list(struct client *client, const struct order *order)
{
    CLEANUP(buf_fini) struct buf path;
    CLEANUP(buf_fini) struct buf next;
    buf_init(&path, PATH_BYTES);
    buf_init(&next, PATH_BYTES);
    bool is_empty = true;
    for (long long left = order->all ? LIST_MOST : order->limit; left > 0;) {
        long long asked = left < LIST_PAGE ? left : LIST_PAGE;
        buf_clear(&path);
        buf_printf(&path, "/v1/video/tasks?limit=%lld", asked);
        if (next.length > 0) {
            buf_puts(&path, "&before=");
            buf_percent_encode(&path, buf_text(&next), "");
        }
        const struct client_call call = {.path = buf_text(&path)};
        CLEANUP(client_answer_fini) struct client_answer answer;
        enum client_outcome outcome = client_call(client, &call, &answer);
        if (outcome != CLIENT_OK)
            return client_complain(outcome, &answer);
        const json_t *data = json_object_get(answer.json, "data");
        is_empty &= json_array_size(data) == 0;
        print_page(data, order, next.length == 0);
        left -= (long long)json_array_size(data);
        const char *cursor = json_text(answer.json, "next");
        if (cursor == NULL || *cursor == '\0' || json_array_size(data) == 0)
            break;
        buf_clear(&next);
        buf_puts(&next, cursor);
    }
    if (order->json)
        puts(is_empty ? "[]" : "\n]");
    else if (is_empty && isatty(STDOUT_FILENO) == 1)
        puts("no tasks yet");
    return CLI_OK;
}

/* ---- commands ---- */

int tasks_query(int argc, char **argv)
{
    static const struct cli_options options = {"query", ":h", LONG_OPTIONS};
    struct order order = {.options = &options, .help = QUERY_HELP, .has_id = true};
    return carry_out(&order, query, argc, argv);
}

int tasks_list(int argc, char **argv)
{
    static const struct cli_options options = {"list", ":n:h", LIST_OPTIONS};
    struct order order = {.options = &options, .help = LIST_HELP, .limit = LIST_DEFAULT};
    return carry_out(&order, list, argc, argv);
}

int tasks_cancel(int argc, char **argv)
{
    static const struct cli_options options = {"cancel", ":h", LONG_OPTIONS};
    struct order order = {.options = &options, .help = CANCEL_HELP, .has_id = true};
    return carry_out(&order, cancel, argc, argv);
}
