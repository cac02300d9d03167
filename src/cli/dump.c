/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate dump`. The manual is held against what it prints. One thread. */
#include "cli/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"
#include "base/settings.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "task/attempt.h"
#include "task/dialect.h"
#include "task/state.h"

static const char HELP[] =
    "Usage: filmgate dump states|routes|config|channels|errors|metrics [--config FILE] [--json]\n"
    "\n"
    "Prints one of the tables that filmgate is made of, as Markdown:\n"
    "\n"
    "  states     the states of a task, the moves between them, why a task can fail, and the\n"
    "             states of an attempt at an upstream\n"
    "  routes     what the HTTP API answers\n"
    "  config     every setting with its default, the value in force, bounds and meaning;\n"
    "             what came from the environment is not shown\n"
    "  channels   every key of an entry of `channels:`\n"
    "  errors     every error of the API\n"
    "  metrics    what GET /metrics shows\n"
    "\n"
    "Options:\n"
    "  -c, --config FILE        the configuration file whose values are shown\n"
    "      --json               a list of tables instead, each a list of rows\n"
    "  -h, --help               show this help\n"
    "\n"
    "Example:\n"
    "  filmgate dump config --config filmgate.yaml\n"
    "\n" CLI_EXIT_HELP;

static const struct option LONG_OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, LOCAL_OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void dump_moves(FILE *out)
{
    fputs("\n| from | to | when |\n| --- | --- | --- |\n", out);
    for (int from = 0; from < TASK_STATE_COUNT; from++) {
        for (int to = 0; to < TASK_STATE_COUNT; to++) {
            const char *reason = task_state_move_reason((enum task_state)from, (enum task_state)to);
            if (reason != NULL)
                fprintf(out, "| `%s` | `%s` | %s |\n", task_state_name((enum task_state)from),
                        task_state_name((enum task_state)to), reason);
        }
    }
}

static void dump_failures(FILE *out)
{
    fputs("\n| code | can a retry help | message | what follows it when an upstream may have taken "
          "the task |\n"
          "| --- | --- | --- | --- |\n",
          out);
    for (int i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++) {
        enum task_failure failure = (enum task_failure)i;
        const char *unspent = task_failure_charge(failure, false);
        fprintf(out, "| `%s` | %s | %s%s%s | %s |\n", task_failure_code(failure),
                task_failure_can_retry(failure) ? "yes" : "no", task_failure_message(failure),
                unspent[0] != '\0' ? " " : "", unspent, task_failure_charge(failure, true));
    }
}

static void dump_attempts(FILE *out)
{
    fputs("\n| attempt | open | may have been taken | meaning |\n| --- | --- | --- | --- |\n", out);
    for (int i = 0; i < ATTEMPT_STATE_COUNT; i++) {
        enum attempt_state state = (enum attempt_state)i;
        fprintf(out, "| `%s` | %s | %s | %s |\n", attempt_state_name(state),
                attempt_is_open(state) ? "yes" : "no", attempt_may_be_taken(state) ? "yes" : "no",
                attempt_state_meaning(state));
    }
}

static void dump_states(FILE *out)
{
    fputs("| state | unified | `/v1/videos` | `/v1/video/generations` | `/v2/videos/generations` | "
          "end | meaning |\n"
          "| --- | --- | --- | --- | --- | --- | --- |\n",
          out);
    for (int i = 0; i < TASK_STATE_COUNT; i++) {
        enum task_state state = (enum task_state)i;
        fprintf(out, "| `%s` |", task_state_name(state));
        for (int j = DIALECT_UNIFIED; j < DIALECT_COUNT; j++)
            fprintf(out, " `%s` |", dialect_word((enum dialect)j, state));
        fprintf(out, " %s | %s |\n", task_state_is_end(state) ? "yes" : "no",
                task_state_meaning(state));
    }
    dump_moves(out);
    dump_failures(out);
    dump_attempts(out);
}

static int dump_config(const struct local_order *order, FILE *out)
{
    struct settings *settings = local_load_settings(order);
    if (settings == NULL)
        return CLI_USAGE;
    settings_dump(settings, out);
    settings_free(settings);
    return CLI_OK;
}

/* ---- the same as JSON ---- */

/* Cuts the next cell out of a row, and strips blanks and the marks of code. NULL after the last. */
static char *next_cell(char **at)
{
    char *cell = strsep(at, "|");
    if (cell == NULL || *at == NULL) /* what follows the last bar is none */
        return NULL;
    cell += strspn(cell, " ");
    size_t length = strlen(cell);
    while (length > 0 && cell[length - 1] == ' ')
        cell[--length] = '\0';
    if (length >= 2 && cell[0] == '`' && strchr(cell + 1, '`') == cell + length - 1) {
        cell[length - 1] = '\0';
        cell++;
    }
    return cell;
}

static json_t *read_row(char *line)
{
    json_t *row = json_array();
    must(row != NULL);
    line++; /* the first bar */
    for (char *cell = next_cell(&line); cell != NULL; cell = next_cell(&line))
        json_add(row, json_string(cell));
    return row;
}

/* A row as an object by the names in the head. */
static json_t *name_cells(const json_t *head, const json_t *row)
{
    json_t *named = json_object();
    must(named != NULL);
    for (size_t i = 0; i < json_array_size(row) && i < json_array_size(head); i++)
        json_set(named, json_string_value(json_array_get(head, i)),
                 json_incref(json_array_get(row, i)));
    return named;
}

/* Our own Markdown as a list of tables, each a list of rows. */
static json_t *read_tables(char *text)
{
    json_t *tables = json_array();
    json_t *table = NULL; /* within `tables` */
    CLEANUP(json_unref_pointer) json_t *head = NULL;
    must(tables != NULL);
    for (char *line = strsep(&text, "\n"); line != NULL; line = strsep(&text, "\n")) {
        if (line[0] != '|') {
            table = NULL;
        } else if (strncmp(line, "| ---", 5) != 0 && table == NULL) {
            json_decref(head);
            head = read_row(line);
            table = json_array();
            must(table != NULL && json_array_append_new(tables, table) == 0);
        } else if (strncmp(line, "| ---", 5) != 0) {
            CLEANUP(json_unref_pointer) json_t *row = read_row(line);
            json_add(table, name_cells(head, row));
        }
    }
    return tables;
}

/* CLI_OK when there is such a table. */
static int write_table(const char *name, const struct local_order *order,
                       const struct dump_table *tables, size_t n_tables, FILE *out)
{
    if (strcmp(name, "config") == 0)
        return dump_config(order, out);
    if (strcmp(name, "states") == 0) {
        dump_states(out);
        return CLI_OK;
    }
    if (strcmp(name, "channels") == 0) {
        settings_dump_channel_keys(out);
        return CLI_OK;
    }
    for (size_t i = 0; i < n_tables; i++) {
        if (strcmp(tables[i].name, name) == 0) {
            tables[i].write(out);
            return CLI_OK;
        }
    }
    return cli_complain_usage(
        "dump", "there is no table \"%s\": states, routes, config, channels, errors or metrics",
        name);
}

static int write_json(const char *name, const struct local_order *order,
                      const struct dump_table *tables, size_t n_tables)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    must(out != NULL);
    int status = write_table(name, order, tables, n_tables, out);
    must(fclose(out) == 0);
    if (status == CLI_OK) {
        CLEANUP(json_unref_pointer) json_t *read = read_tables(text);
        cli_print_json(read);
    }
    free(text);
    return status;
}

static int take_option(void *order, int option)
{
    return local_take_option(order, option);
}

int dump_main(int argc, char **argv, const struct dump_table *tables, size_t n_tables)
{
    static const struct cli_options options = {"dump", ":c:h", LONG_OPTIONS, HELP, take_option};
    struct local_order order = {0};
    int status;
    if (!cli_read_options(&options, argc, argv, &order, &status))
        return status;
    if (argc - optind != 1)
        return cli_complain_usage(
            "dump", "say which table: states, routes, config, channels, errors or metrics");
    const char *name = argv[optind];
    return order.json ? write_json(name, &order, tables, n_tables)
                      : write_table(name, &order, tables, n_tables, stdout);
}
