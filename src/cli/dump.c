/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate dump`. The manual is held against what it prints. One thread. */
#include "cli/dump.h"

#include <string.h>

#include "base/settings.h"
#include "cli/cli.h"
#include "task/state.h"

static const char HELP[] =
    "Usage: filmgate dump states|routes|config|errors|metrics [--config FILE]\n"
    "\n"
    "Prints one of the tables that filmgate is made of, as Markdown:\n"
    "\n"
    "  states     the states of a task, the moves between them, and why a task can fail\n"
    "  routes     what the HTTP API answers\n"
    "  config     every setting with its default, the value in force, bounds and meaning;\n"
    "             what came from the environment is not shown\n"
    "  errors     every error of the API\n"
    "  metrics    what GET /metrics shows\n"
    "\n"
    "Options:\n"
    "  -c, --config FILE        the configuration file whose values are shown\n"
    "  -h, --help               show this help\n"
    "\n"
    "Example:\n"
    "  filmgate dump config --config filmgate.yaml\n"
    "\n" CLI_EXIT_HELP;

static const struct option LONG_OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct cli_options OPTIONS = {"dump", ":c:h", LONG_OPTIONS};

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
    fputs("\n| code | can a retry help | message |\n| --- | --- | --- |\n", out);
    for (int i = TASK_FAILURE_NONE + 1; i < TASK_FAILURE_COUNT; i++) {
        enum task_failure failure = (enum task_failure)i;
        fprintf(out, "| `%s` | %s | %s |\n", task_failure_code(failure),
                task_failure_can_retry(failure) ? "yes" : "no", task_failure_message(failure));
    }
}

static void dump_states(FILE *out)
{
    fputs("| state | unified word | OpenAI word | end | meaning |\n"
          "| --- | --- | --- | --- | --- |\n",
          out);
    for (int i = 0; i < TASK_STATE_COUNT; i++) {
        enum task_state state = (enum task_state)i;
        fprintf(out, "| `%s` | `%s` | `%s` | %s | %s |\n", task_state_name(state),
                task_state_unified(state), task_state_openai(state),
                task_state_is_end(state) ? "yes" : "no", task_state_meaning(state));
    }
    dump_moves(out);
    dump_failures(out);
}

static int dump_config(const char *config)
{
    struct settings *settings = cli_load_settings(config, NULL, NULL);
    if (settings == NULL)
        return CLI_USAGE;
    settings_dump(settings, stdout);
    settings_free(settings);
    return CLI_OK;
}

int dump_main(int argc, char **argv, const struct dump_table *tables, size_t n_tables)
{
    const char *config = NULL;
    for (int option; (option = cli_next_option(&OPTIONS, argc, argv)) != -1;) {
        if (option == 'h')
            return cli_show(HELP);
        if (option != 'c')
            return CLI_USAGE;
        config = optarg;
    }
    if (argc - optind != 1)
        return cli_complain_usage("dump",
                                  "say which table: states, routes, config, errors or metrics");
    const char *name = argv[optind];
    if (strcmp(name, "config") == 0)
        return dump_config(config);
    if (strcmp(name, "states") == 0) {
        dump_states(stdout);
        return CLI_OK;
    }
    for (size_t i = 0; i < n_tables; i++) {
        if (strcmp(tables[i].name, name) == 0) {
            tables[i].write(stdout);
            return CLI_OK;
        }
    }
    return cli_complain_usage(
        "dump", "there is no table \"%s\": states, routes, config, errors or metrics", name);
}
