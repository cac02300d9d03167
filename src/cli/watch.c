/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate watch`: an event stream, read for as long as it takes. When it breaks off, because the gateway starts anew or the
 * network is away, it goes on behind the last number that came, so that nothing is missed and nothing is told twice. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "cli/await.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/tasks.h"
#include "task/task.h"

static const char HELP[] =
    "Usage: filmgate watch [OPTION]... [ID]...\n"
    "\n"
    "Waits until the tasks have ended, and prints a line for each change: id, state, progress.\n"
    "One task on a terminal has a progress line instead, and is shown when it has ended.\n"
    "Without an ID all tasks of the key's tenant are watched (an operator's key: all there\n"
    "are), until Ctrl-C, which leaves tasks running. A gateway that restarts meanwhile is\n"
    "waited for, up to a minute, and nothing is missed.\n"
    "\n"
    "Options:\n"
    "  -o, --output DIR         save video.mp4, md.mp4, preview.gif, thumbnail.webp and\n"
    "                           answer.json in DIR; of one task\n"
    "      --json               one JSON object a line: each change; of one task the last\n"
    "                           one is its whole answer\n" CLI_SERVER_OPTIONS_HELP
    "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Example:\n"
    "  filmgate watch \"$id\" --output boat\n"
    "\n" CLI_EXIT_HELP;

enum {
    PATH_BYTES = 32768,
    LINE_BYTES = 256 * 1024,
    NUMBER_SIZE = 24,
    LINE_SIZE = 400, /* of one that is printed */
    FIRST_PAUSE_MS = 250,
    PAUSE_MAX_MS = 2000,
};

static const struct option LONG_OPTIONS[] = {{"output", required_argument, NULL, 'o'},
                                             CLIENT_OPTIONS};

struct order {
    struct client_order server;
    const char *output;
    char *const *ids;
    size_t n_ids; /* 0: all */
};

struct watching {
    struct client *client;
    const struct order *order;
    struct progress progress;
    struct buf line, data; /* of the stream: the line that comes, the data of its event */
    char name[NUMBER_SIZE], number[NUMBER_SIZE];
    char last[NUMBER_SIZE]; /* number of the last event; empty: none */
    char shown[LINE_SIZE];  /* the last line printed */
    int64_t good_ms;        /* clock_mono_ms(): when something came */
    bool has_ended;         /* all that are watched */
    bool has_failed;        /* one of them */
};

/* ---- events ---- */

static bool is_sole(const struct watching *watching)
{
    return watching->order->n_ids == 1;
}

/* A line that reads as the one before tells nothing. */
static void show_line(struct watching *watching, const json_t *data)
{
    const char *error = json_text(json_object_get(data, "error"), "code");
    const char *id = json_text(data, "id"), *state = json_text(data, "state");
    const char *was = error != NULL && state != NULL && strcmp(error, state) == 0 ? NULL : error;
    char line[LINE_SIZE];
    snprintf(line, sizeof(line), "%.255s  %.20s, %lld %%%s%.60s", id != NULL ? id : "",
             state != NULL ? state : "unknown", json_int(data, "progress", 0),
             was != NULL ? ": " : "", was != NULL ? was : "");
    if (strcmp(line, watching->shown) == 0)
        return;
    cli_print_text(stdout, line, 0);
    putchar('\n');
    memcpy(watching->shown, line, sizeof(line));
}

static void tell(struct watching *watching, const char *text, const json_t *data)
{
    const char *status = json_text(data, "status");
    const char *state = json_text(data, "state");
    bool is_end = status != NULL && strcmp(status, "pending") != 0;
    watching->has_failed = watching->has_failed || (is_end && strcmp(status, "completed") != 0);
    if (is_sole(watching) && is_end)
        return; /* it is shown whole */
    if (watching->order->server.json) {
        puts(text);
    } else if (is_sole(watching) && watching->progress.is_live) {
        progress_show(&watching->progress, json_number(data, "progress", 0) / 100,
                      state != NULL ? state : "waiting", clock_mono_ms());
        return;
    } else {
        show_line(watching, data);
    }
    fflush(stdout);
}

static void on_event(struct watching *watching)
{
    if (watching->number[0] != '\0')
        memcpy(watching->last, watching->number, NUMBER_SIZE);
    if (strcmp(watching->name, "end") == 0)
        watching->has_ended = true;
    CLEANUP(json_unref_pointer)
    json_t *data = json_loadb(buf_text(&watching->data), watching->data.length, 0, NULL);
    if (!watching->has_ended && json_is_object(data) && !watching->data.overflowed)
        tell(watching, buf_text(&watching->data), data);
    watching->name[0] = watching->number[0] = '\0';
    buf_clear(&watching->data);
}

/* A value of the stream that is a word; what is longer is none of ours. */
static void take_word(char ret_word[NUMBER_SIZE], const char *value)
{
    snprintf(ret_word, NUMBER_SIZE, "%s", strlen(value) < NUMBER_SIZE ? value : "");
}

static void on_line(struct watching *watching, const char *line)
{
    const char *colon = strchr(line, ':');
    if (*line == '\0') {
        on_event(watching);
        return;
    }
    if (colon == NULL || colon == line)
        return;
    const char *value = colon + 1 + (colon[1] == ' ');
    if (strncmp(line, "id:", 3) == 0)
        take_word(watching->number, value);
    else if (strncmp(line, "event:", 6) == 0)
        take_word(watching->name, value);
    else if (strncmp(line, "data:", 5) == 0)
        buf_puts(&watching->data, value);
}

static void on_piece(void *context, const char *data, size_t length)
{
    struct watching *watching = context;
    watching->good_ms = clock_mono_ms();
    for (size_t i = 0; i < length; i++) {
        if (data[i] != '\n') {
            buf_putc(&watching->line, data[i]);
            continue;
        }
        on_line(watching, buf_text(&watching->line));
        buf_clear(&watching->line);
    }
}

/* ---- the stream ---- */

static enum client_outcome listen_once(struct watching *watching, struct client_answer *ret_answer)
{
    CLEANUP(buf_fini) struct buf path;
    buf_init(&path, PATH_BYTES);
    buf_puts(&path, "/v1/video/events");
    for (size_t i = 0; i < watching->order->n_ids; i++) {
        buf_puts(&path, i == 0 ? "?id=" : "&id=");
        buf_percent_encode(&path, watching->order->ids[i], "");
    }
    const struct client_call call = {
        .path = buf_text(&path),
        .last_event_id = watching->last[0] != '\0' ? watching->last : NULL,
    };
    buf_clear(&watching->line);
    buf_clear(&watching->data);
    watching->name[0] = watching->number[0] = '\0';
    enum client_outcome outcome =
        client_stream(watching->client, &call, on_piece, watching, ret_answer);
    if (outcome == CLIENT_OK && ret_answer->status == 204)
        watching->has_ended = true;
    return outcome;
}

/* For the hint on how to go on. */
static int give_up(struct watching *watching, enum client_outcome outcome,
                   const struct client_answer *answer)
{
    CLEANUP(buf_fini) struct buf ids;
    buf_init(&ids, PATH_BYTES);
    for (size_t i = 0; i < watching->order->n_ids; i++)
        buf_printf(&ids, "%s%s", i == 0 ? "" : " ", watching->order->ids[i]);
    if (outcome == CLIENT_INTERRUPTED && watching->order->n_ids == 0) {
        progress_clear(&watching->progress);
        return CLI_INTERRUPTED; /* there is no other end */
    }
    return await_give_up(&watching->progress, watching->client, outcome, answer, buf_text(&ids));
}

/* Until all have ended. CLI_OK, or an exit status after complaining. */
static int listen_on(struct watching *watching)
{
    int64_t pause_ms = FIRST_PAUSE_MS;
    bool has_said = false;
    for (;;) {
        CLEANUP(client_answer_fini) struct client_answer answer;
        int64_t began_ms = clock_mono_ms();
        enum client_outcome outcome = listen_once(watching, &answer);
        if (watching->has_ended)
            return CLI_OK;
        bool has_heard = watching->good_ms >= began_ms;
        if (outcome != CLIENT_OK &&
            !await_can_go_on(outcome, &answer, clock_mono_ms() - watching->good_ms))
            return give_up(watching, outcome, &answer);
        if (outcome != CLIENT_OK && !has_heard)
            await_say_away(&watching->progress, &answer, &has_said);
        has_said = has_said && !has_heard;
        pause_ms = has_heard ? FIRST_PAUSE_MS : 2 * pause_ms;
        if (pause_ms > PAUSE_MAX_MS)
            pause_ms = PAUSE_MAX_MS;
        if (answer.retry_after_s > 0)
            pause_ms = answer.retry_after_s * 1000;
        if (!client_pause(watching->client, pause_ms))
            return give_up(watching, CLIENT_INTERRUPTED, &answer);
    }
}

/* One task has ended: its answer, and its files. */
static int show_end(struct watching *watching)
{
    const struct order *order = watching->order;
    CLEANUP(json_unref_pointer) json_t *view = NULL;
    int status = await_end(watching->client, order->ids[0], NULL, &view);
    if (status != CLI_OK)
        return status;
    if (order->server.json) {
        CLEANUP(free_pointer) char *line = json_dumps(view, JSON_WRITE_FLAGS);
        must(line != NULL);
        puts(line);
        await_explain(view);
    } else {
        tasks_show(view, false);
    }
    status = await_verdict(view);
    return status == CLI_OK && order->output != NULL
               ? output_save(watching->client, view, order->output)
               : status;
}

static int watch(struct client *client, const struct order *order)
{
    struct watching watching = {.client = client, .order = order, .good_ms = clock_mono_ms()};
    int status = order->output != NULL ? output_prepare(order->output) : CLI_OK;
    if (status != CLI_OK)
        return status;
    progress_init(&watching.progress, stderr, watching.good_ms);
    buf_init(&watching.line, LINE_BYTES);
    buf_init(&watching.data, LINE_BYTES);
    status = listen_on(&watching);
    progress_clear(&watching.progress);
    buf_fini(&watching.line);
    buf_fini(&watching.data);
    if (status != CLI_OK)
        return status;
    if (is_sole(&watching))
        return show_end(&watching);
    return watching.has_failed ? CLI_TASK_FAILED : CLI_OK;
}

/* ---- the command ---- */

static int take_option(void *context, int option)
{
    struct order *order = context;
    switch (option) {
    case 'o':
        order->output = optarg;
        return CLI_OK;
    default:
        return client_take_option(&order->server, option);
    }
}

int watch_main(int argc, char **argv)
{
    static const struct cli_options options = {"watch", ":o:h", LONG_OPTIONS, HELP, take_option};
    struct order order = {0};
    int status;
    if (!cli_read_options(&options, argc, argv, &order, &status))
        return status;
    order.ids = argv + optind;
    order.n_ids = (size_t)(argc - optind);
    if (order.n_ids > TASK_IDS_MAX)
        return cli_complain_usage("watch", "at most %d tasks can be named", TASK_IDS_MAX);
    if (cli_check_ids("watch", argv + optind) != CLI_OK)
        return CLI_USAGE;
    if (order.output != NULL && order.n_ids != 1)
        return cli_complain_usage("watch", "--output is for one task");
    struct client *client = client_open("watch", &order.server);
    if (client == NULL)
        return CLI_USAGE;
    status = watch(client, &order);
    client_free(client);
    return status;
}
