/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate adapters`. Programs run in helpers only, here as in the server. One thread. */
#include "cli/adapters_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/settings.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "template.inc.h"        /* upstream_template */
#include "template_golden.inc.h" /* upstream_template_golden */
#include "upstream/adapter.h"

static const char HELP[] =
    "Usage: filmgate adapters [list] [OPTION]...\n"
    "       filmgate adapters show NAME [--source] [OPTION]...\n"
    "       filmgate adapters new NAME [OPTION]...\n"
    "       filmgate adapters test [NAME|FILE.jq] [--golden FILE] [OPTION]...\n"
    "\n"
    "An adapter is a jq program that knows one upstream API; docs/ADAPTERS.md teaches to write\n"
    "one. Some are built in; a file NAME.jq in the operator's folder adds one or takes the place\n"
    "of the built-in one of that name.\n"
    "\n"
    "  list       what adapters there are\n"
    "  show       what an adapter says about itself\n"
    "  new        write NAME.jq and NAME.golden.json to begin with\n"
    "  test       compile an adapter, check what it says about itself and what it makes of the\n"
    "             answers of bad days, and run its golden exchanges: those of --golden, else of\n"
    "             NAME.golden.json beside its file; without a name: a table of all adapters and\n"
    "             all bad answers\n"
    "\n"
    "Options:\n"
    "  -a, --adapters DIR       the operator's folder (default: the configuration's, else none);\n"
    "                           for `new`, where to write (default: the same, else .)\n"
    "  -c, --config FILE        the configuration file; of it, the setting `adapters`\n"
    "  -g, --golden FILE        the golden exchanges\n"
    "      --source             print the program instead\n"
    "      --json               print JSON\n"
    "  -h, --help               show this help\n"
    "\n"
    "Examples:\n"
    "  filmgate adapters new acme --adapters adapters\n"
    "  filmgate adapters test adapters/acme.jq\n"
    "  filmgate adapters show fal\n"
    "\n"
    "Exit status:\n"
    "  0    done\n"
    "  1    an adapter cannot be read, does not compile or is not valid, makes of an answer what\n"
    "       it may not, or a golden exchange differs\n"
    "  2    wrong usage or configuration, no such adapter, or a golden file that cannot be used\n"
    "  5    trouble on this machine: a file that cannot be written\n";

enum { OPTION_SOURCE = LOCAL_OPTION_NEXT, PATH_BYTES = 4096, TEXT_BYTES = 1024 * 1024 };

static const struct option LONG_OPTIONS[] = {
    {"adapters", required_argument, NULL, 'a'},
    {"golden", required_argument, NULL, 'g'},
    {"source", no_argument, NULL, OPTION_SOURCE},
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, LOCAL_OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* ---- finding ---- */

int adapters_complain_invalid(const char *sentence)
{
    const struct cli_error error = {CLI_PROBLEM_FOUND, "adapter_invalid", NULL};
    return cli_complain_error(&error, "%s", sentence);
}

struct adapter_set *adapters_open(const struct adapters_order *order, int *ret_status)
{
    char error[ADAPTER_ERROR_SIZE] = "";
    struct adapter_set *set = adapter_set_new(order->folder, error);
    *ret_status = set ? CLI_OK : adapters_complain_invalid(error);
    return set;
}

/* Always CLI_USAGE. */
static int complain_reserved(const char *name)
{
    bool is_command = strcmp(name, "command") == 0;
    return cli_complain(CLI_USAGE, "\"%s\" is no adapter: a channel with it %s", name,
                        is_command ? "runs a program of yours (docs/upstreams/command.md)"
                                   : "is served by the built-in engine");
}

int adapters_complain_unknown(const struct adapter_set *set, const char *name)
{
    if (adapter_is_reserved(name))
        return complain_reserved(name);
    CLEANUP(buf_fini) struct buf meant;
    buf_init(&meant, TEXT_BYTES);
    adapter_suggest(set, name, &meant);
    return cli_complain(CLI_USAGE, "there is no adapter \"%s\"%s", name, buf_text(&meant));
}

/* ---- list ---- */

static json_t *describe(const struct adapter *adapter, const json_t *about)
{
    const char *file = adapter_file(adapter);
    const json_t *states = json_object_get(json_object_get(about, "cancel"), "while");
    json_t *row = json_object();
    json_set_text(row, "name", adapter_name(adapter));
    json_set_text(row, "evidence", json_text(about, "evidence"));
    json_set_text(row, "auth", json_text(json_object_get(about, "auth"), "kind"));
    json_set(row, "cancel", json_deep_copy(states));
    json_set(row, "callback", json_boolean(json_is_true(json_object_get(about, "callback"))));
    json_set_text(row, "file", file);
    json_set_text(row, "summary", json_text(about, "summary"));
    return row;
}

/* No adapter, though a channel names it like one. Its evidence is its own contract, which our tests keep. */
static json_t *describe_command(void)
{
    json_t *row = json_object();
    json_set_text(row, "name", "command");
    json_set_text(row, "evidence", "own");
    json_set_text(row, "auth", "none");
    json_set(row, "cancel", json_pack("[s, s]", "pending", "rendering"));
    json_set(row, "callback", json_false());
    json_set_text(row, "file", NULL);
    json_set_text(row, "summary",
                  "A program of yours, run for each task; no adapter (docs/upstreams/command.md)");
    return row;
}

static void print_row(const json_t *row)
{
    char cancel[32] = "no";
    const json_t *states = json_object_get(row, "cancel");
    for (size_t i = 0; i < json_array_size(states); i++)
        (void)snprintf(cancel + (i == 0 ? 0 : strlen(cancel)),
                       sizeof cancel - (i == 0 ? 0 : strlen(cancel)), "%s%s", i > 0 ? "," : "",
                       json_string_value(json_array_get(states, i)));
    const char *file = json_text(row, "file");
    const char *callback = json_is_true(json_object_get(row, "callback")) ? "yes" : "no";
    printf("%-20s  %-11s  %-22s  %-17s  %-9s  ", json_text(row, "name"), json_text(row, "evidence"),
           json_text(row, "auth"), cancel, callback);
    cli_print_text(stdout, file ? file : "built in", 0);
    fputs("  ", stdout);
    cli_print_text(stdout, json_text(row, "summary"), 0);
    putchar('\n');
}

static int print_rows(const struct adapters_order *order, const json_t *rows)
{
    if (order->local.json) {
        cli_print_json(rows);
        return CLI_OK;
    }
    printf("%-20s  %-11s  %-22s  %-17s  %-9s  %-8s  %s\n", "NAME", "EVIDENCE", "AUTH",
           "CANCEL WHILE", "CALLBACKS", "FROM", "SUMMARY");
    for (size_t i = 0; i < json_array_size(rows); i++)
        print_row(json_array_get(rows, i));
    return CLI_OK;
}

/* Those that are broken are told one by one; the others are listed all the same. */
static int list_adapters(void *context, const char *argument)
{
    const struct adapters_order *order = context;
    char error[ADAPTER_ERROR_SIZE];
    int status;
    if (argument)
        return cli_complain_usage("adapters", "what is \"%s\" for?", argument);
    struct adapter_set *set = adapters_open(order, &status);
    if (!set)
        return status;
    CLEANUP(json_unref_pointer) json_t *rows = json_array();
    for (size_t i = 0; i < adapter_count(set); i++) {
        const struct adapter *adapter = adapter_at(set, i);
        CLEANUP(json_unref_pointer) json_t *about = adapter_about(adapter, error);
        if (about)
            json_add(rows, describe(adapter, about));
        else
            status = adapters_complain_invalid(error);
    }
    (void)json_array_append_new(rows, describe_command());
    (void)print_rows(order, rows);
    adapter_set_free(set);
    return status;
}

/* ---- show ---- */

/* Lines «path  value», a group after the other. */
static void print_member(const char *path, const json_t *value)
{
    const char *name;
    json_t *member;
    if (json_is_object(value) && json_object_size(value) > 0) {
        json_object_foreach((json_t *)(uintptr_t)value, name, member)
        {
            char longer[200];
            (void)snprintf(longer, sizeof longer, "%s%s%s", path, path[0] != '\0' ? "." : "", name);
            print_member(longer, member);
        }
        return;
    }
    bool is_list_of_objects = json_is_object(json_array_get(value, 0));
    for (size_t i = 0; is_list_of_objects && i < json_array_size(value); i++) {
        char longer[200];
        (void)snprintf(longer, sizeof longer, "%s[%zu]", path, i);
        print_member(longer, json_array_get(value, i));
    }
    if (is_list_of_objects)
        return;
    CLEANUP(free_pointer)
    char *text = json_is_string(value) ? strdup(json_string_value(value))
                                       : json_dumps(value, JSON_ENCODE_ANY | JSON_WRITE_FLAGS);
    printf("%-28s  ", path);
    cli_print_text(stdout, text ? text : "", 0);
    putchar('\n');
}

static void show_about(const struct adapters_order *order, const struct adapter *adapter,
                       json_t *about)
{
    const char *file = adapter_file(adapter);
    if (order->local.json) {
        CLEANUP(json_unref_pointer) json_t *whole = json_object();
        json_set_text(whole, "name", adapter_name(adapter));
        json_set_text(whole, "file", file);
        json_set(whole, "about", json_incref(about));
        cli_print_json(whole);
        return;
    }
    printf("%-28s  %s\n%-28s  ", "name", adapter_name(adapter), "from");
    cli_print_text(stdout, file ? file : "built in", 0);
    putchar('\n');
    print_member("", about);
}

static int show_adapter(void *context, const char *name)
{
    const struct adapters_order *order = context;
    char error[ADAPTER_ERROR_SIZE];
    int status;
    if (!name)
        return cli_complain_usage("adapters", "`adapters show` needs the adapter's name");
    struct adapter_set *set = adapters_open(order, &status);
    if (!set)
        return status;
    const struct adapter *adapter = adapter_find(set, name);
    if (!adapter) {
        status = adapters_complain_unknown(set, name);
    } else if (order->source) {
        fputs(adapter_text(adapter), stdout);
    } else {
        CLEANUP(json_unref_pointer) json_t *about = adapter_about(adapter, error);
        if (about)
            show_about(order, adapter, about);
        else
            status = adapters_complain_invalid(error);
    }
    adapter_set_free(set);
    return status;
}

/* ---- new ---- */

static int write_new(const char *path, const char *text)
{
    CLEANUP(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return cli_complain(CLI_USAGE, "\"%s\" is there already; it stays as it is", path);
    size_t length = strlen(text);
    if (fd < 0 || write(fd, text, length) != (ssize_t)length)
        return cli_complain(CLI_LOCAL, "\"%s\" cannot be written: %s", path, strerror(errno));
    return CLI_OK;
}

static void add_path(struct buf *path, const char *folder, const char *name, const char *ending)
{
    size_t length = strlen(folder);
    buf_init(path, PATH_BYTES);
    buf_printf(path, "%s%s%s%s", folder, length > 0 && folder[length - 1] == '/' ? "" : "/", name,
               ending);
}

/* The template's golden exchanges, for an adapter of this name. */
static void name_golden(struct buf *text, const char *name)
{
    static const char MARK[] = "\"adapter\": \"template\"";
    const char *mark = strstr(upstream_template_golden, MARK);
    buf_init(text, TEXT_BYTES);
    if (!mark)
        return;
    buf_add(text, upstream_template_golden, (size_t)(mark - upstream_template_golden));
    buf_printf(text, "\"adapter\": \"%s\"", name);
    buf_puts(text, mark + strlen(MARK));
}

/* Whoever takes the name of a built-in adapter should know that it is one. */
static void note_built_in(const char *name)
{
    char error[ADAPTER_ERROR_SIZE] = "";
    struct adapter_set *set = adapter_set_new(NULL, error);
    if (set && adapter_find(set, name))
        cli_note("\"%s\" is built in: in a folder `adapters` this file takes its place", name);
    adapter_set_free(set);
}

static int new_adapter(void *context, const char *name)
{
    const struct adapters_order *order = context;
    const char *folder = order->folder ? order->folder : ".";
    if (!name)
        return cli_complain_usage("adapters", "`adapters new` needs a name");
    if (!adapter_is_name(name))
        return cli_complain_usage("adapters", "the name \"%s\" must be 1 to 40 of a-z 0-9 -", name);
    if (adapter_is_reserved(name))
        return complain_reserved(name);
    CLEANUP(buf_fini) struct buf program, golden, text;
    add_path(&program, folder, name, ".jq");
    add_path(&golden, folder, name, ".golden.json");
    name_golden(&text, name);
    if (access(buf_text(&golden), F_OK) == 0)
        return cli_complain(CLI_USAGE, "\"%s\" is there already; it stays as it is",
                            buf_text(&golden));
    int status = write_new(buf_text(&program), upstream_template);
    if (status == CLI_OK)
        status = write_new(buf_text(&golden), buf_text(&text));
    if (status == CLI_OK)
        fprintf(stderr, "written: %s and %s\ntry it: filmgate adapters test %s\n",
                buf_text(&program), buf_text(&golden), buf_text(&program));
    if (status == CLI_OK)
        note_built_in(name);
    return status;
}

/* ---- the command ---- */

static int take_option(void *context, int option)
{
    struct adapters_order *order = context;
    switch (option) {
    case 'a':
        order->folder = optarg;
        return CLI_OK;
    case 'g':
        order->golden = optarg;
        return CLI_OK;
    case OPTION_SOURCE:
        order->source = true;
        return CLI_OK;
    default:
        return local_take_option(&order->local, option);
    }
}

static const char *const NAMES[] = {"list", "show", "new", "test", NULL};
/* In the order of their names. */
static verbs_run_fn *const RUNS[] = {list_adapters, show_adapter, new_adapter, adapters_test};

static const struct verbs VERBS = {
    .options = {"adapters", ":a:g:c:h", LONG_OPTIONS, HELP, take_option},
    .names = NAMES,
    .n_arguments = 1,
};

int adapters_main(int argc, char **argv)
{
    struct adapters_order order = {0};
    size_t verb;
    const char *argument;
    int status;
    if (!verbs_read(&VERBS, argc, argv, &order, &verb, &argument, &status))
        return status;
    struct settings *settings = local_load_settings(&order.local);
    if (!settings)
        return CLI_USAGE;
    if (!order.folder && settings->adapters[0] != '\0')
        order.folder = settings->adapters;
    status = RUNS[verb](&order, argument);
    settings_free(settings);
    return status;
}
