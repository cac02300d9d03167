/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate timeline`. One thread. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/tasks.h"

static const char HELP[] =
    "Usage: filmgate timeline [OPTION]... ID\n"
    "\n"
    "Shows what happened to a task, in order: its states, its attempts, what upstreams told of it\n"
    "when they were asked, and the webhooks that told of its end. The first line says when it was\n"
    "created, the others how long after that. An operator's key is told which channel it was, its\n"
    "words, why an attempt ended, and what was used.\n"
    "\n"
    "Options:\n"
    "      --json               print a JSON array of the entries\n" CLI_SERVER_OPTIONS_HELP
    "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "Example:\n"
    "  filmgate timeline \"$id\"\n"
    "\n" CLI_EXIT_HELP;

enum { PATH_BYTES = 4096, TIME_COLUMNS = 20 };

/* `+0.250s`, `+2m03s`, `+1h02m03s` */
static void write_after(long long ms, char *ret_text, size_t size)
{
    long long seconds = ms / 1000;
    if (ms < 0)
        snprintf(ret_text, size, "-");
    else if (seconds < 60)
        snprintf(ret_text, size, "+%lld.%03llds", seconds, ms % 1000);
    else if (seconds < 3600)
        snprintf(ret_text, size, "+%lldm%02llds", seconds / 60, seconds % 60);
    else
        snprintf(ret_text, size, "+%lldh%02lldm%02llds", seconds / 3600, seconds / 60 % 60,
                 seconds % 60);
}

static void print_more(const json_t *entry, const char *key, const char *before)
{
    const char *text = json_text(entry, key);
    if (text == NULL)
        return;
    fputs(before, stdout);
    cli_print_text(stdout, text, 0);
}

static void print_usage(const json_t *usage)
{
    CLEANUP(free_pointer)
    char *text = json_is_object(usage) ? json_dumps(usage, JSON_WRITE_FLAGS) : NULL;
    if (text == NULL)
        return;
    fputs(", used ", stdout);
    cli_print_text(stdout, text, 0);
}

static void print_attempt(const json_t *entry)
{
    long long number = json_int(entry, "attempt", 0);
    if (number > 0) {
        printf("attempt %lld ", number);
        const char *what = json_text(entry, "what");
        print_more(entry, "what", what != NULL && strcmp(what, "lost") == 0 ? "answer " : "");
    } else { /* before there was one */
        printf("not submitted");
    }
    const char *word = json_text(entry, "what");
    bool is_resolved = word != NULL && strcmp(word, "resolved") == 0;
    print_more(entry, "state", is_resolved ? " by an operator: " : ": ");
    print_more(entry, "channel", ", channel ");
    print_more(entry, "credential", "/");
    print_more(entry, "job", ", job ");
    print_usage(json_object_get(entry, "usage"));
    if (json_object_get(entry, "channel") == NULL)
        print_more(entry, "engine", ", ");
    print_more(entry, "message", ", ");
}

static void print_webhook(const json_t *entry)
{
    long long number = json_int(entry, "try", 0), status = json_int(entry, "status", 0);
    printf("webhook ");
    if (number > 0)
        printf("try %lld, ", number);
    if (status > 0)
        printf("%lld ", status);
    print_more(entry, "state", "");
    print_more(entry, "note", ": ");
    print_more(entry, "url", ", ");
}

static void print_fetch(const json_t *entry)
{
    long long tries = json_int(entry, "tries", 0);
    printf("result of attempt %lld out of reach", json_int(entry, "attempt", 0));
    if (tries > 1)
        printf(", %lld times", tries);
    print_more(entry, "message", ": ");
}

static void print_entry(const json_t *entry)
{
    const char *kind = json_text(entry, "kind");
    if (kind != NULL && strcmp(kind, "attempt") == 0) {
        print_attempt(entry);
    } else if (kind != NULL && strcmp(kind, "poll") == 0) {
        printf("poll of attempt %lld", json_int(entry, "attempt", 0));
        print_more(entry, "verdict", ": ");
        print_more(entry, "message", ", ");
    } else if (kind != NULL && strcmp(kind, "fetch") == 0) {
        print_fetch(entry);
    } else if (kind != NULL && strcmp(kind, "state") == 0) {
        print_more(entry, "state", "");
        print_more(entry, "failure", ": ");
        print_more(entry, "note", ", ");
    } else if (kind != NULL && strcmp(kind, "webhook") == 0) {
        print_webhook(entry);
    } else {
        cli_print_text(stdout, kind != NULL ? kind : "?", 0);
        print_more(entry, "state", ", ");
    }
    putchar('\n');
}

static void print_timeline(const json_t *data)
{
    char at[CLOCK_ISO_SECONDS_SIZE], after[40];
    long long began_ms = 0;
    size_t index;
    const json_t *entry;
    json_array_foreach(data, index, entry)
    {
        long long at_ms = json_int(entry, "at_ms", 0);
        began_ms = index == 0 ? at_ms : began_ms;
        clock_iso_seconds(at_ms / 1000, at);
        write_after(at_ms - began_ms, after, sizeof(after));
        printf("%*s  ", TIME_COLUMNS, index == 0 ? at : after);
        print_entry(entry);
    }
}

static int show(struct client *client, const struct tasks_order *order)
{
    CLEANUP(buf_fini) struct buf path;
    buf_init(&path, PATH_BYTES);
    buf_puts(&path, "/v1/video/tasks/");
    buf_percent_encode(&path, order->id, "");
    buf_puts(&path, "/timeline");
    CLEANUP(client_answer_fini) struct client_answer answer;
    enum client_outcome outcome =
        client_call(client, &(struct client_call){.path = buf_text(&path)}, &answer);
    if (outcome != CLIENT_OK)
        return client_complain(outcome, &answer);
    const json_t *data = json_object_get(answer.json, "data");
    if (order->server.json)
        cli_print_json(data);
    else
        print_timeline(data);
    return CLI_OK;
}

int timeline_main(int argc, char **argv)
{
    return tasks_run_on_one("timeline", HELP, show, argc, argv);
}
