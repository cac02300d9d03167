/* SPDX-License-Identifier: Apache-2.0
 *
 * The door: finds the command and steps aside. Helpers go first, before anything is set up: they
 * are other processes of this binary that must own nothing. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "api/server.h"
#include "base/compiler.h"
#include "base/nearest.h"
#include "cli/adapters.h"
#include "cli/attempts.h"
#include "cli/channels.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/dump.h"
#include "cli/keys.h"
#include "cli/links.h"
#include "cli/tasks.h"
#include "cli/webhooks.h"
#include "media/media.h"
#include "serve.h"
#include "upstream/adapter.h"
#include "upstream/command.h"

static const char HELP[] =
    "Usage: filmgate COMMAND [OPTION]...\n"
    "\n"
    "filmgate is a gateway for video-generation tasks: applications speak one API to it, and it\n"
    "runs each task on the engine that its operator chose. The built-in engine, animatic,\n"
    "needs nothing but the CPU.\n"
    "\n"
    "Commands of the operator:\n"
    "  serve      run the gateway\n"
    "  doctor     look whether a gateway can run here, and what to do where it cannot\n"
    "  keys       make, list and revoke API keys\n"
    "  adapters   list, test and begin the programs that speak to upstream APIs\n"
    "  attempts   list attempts at upstreams, and resolve the unknown ones\n"
    "  links      rotate the key that links are signed with\n"
    "  dump       print the tables of states, routes, settings, channels' keys, errors, metrics\n"
    "\n"
    "Commands that speak to a running gateway:\n"
    "  create     create a task; with --wait or --output, wait for its video\n"
    "  query      show how a task stands\n"
    "  watch      wait until tasks end, and show what happens to them\n"
    "  list       list tasks\n"
    "  cancel     cancel a task\n"
    "  rm         delete tasks that have ended, and their files\n"
    "  timeline   show what happened to a task\n"
    "  webhooks   who is told of tasks' ends, and how that went\n"
    "  channels   show the channels and how they fare; pause, resume and drain them\n"
    "  reload     have the gateway read its configuration anew\n"
    "\n"
    "  version    print the version\n"
    "  help       show this help, or that of a command: filmgate help create\n"
    "\n"
    "Each command has a --help of its own.\n"
    "\n" CLI_SERVER_ENVIRONMENT_HELP "\n"
    "A first video:\n"
    "  filmgate serve --first-key me          # in one terminal; prints a key\n"
    "  export FILMGATE_KEY=fg_...             # in another\n"
    "  filmgate create \"a paper boat on a rainy street\" --output boat\n"
    "\n" CLI_EXIT_HELP;

static int dump(int argc, char **argv)
{
    static const struct dump_table tables[] = {
        {"routes", server_dump_routes},
        {"errors", server_dump_errors},
        {"metrics", server_dump_metrics},
    };
    return dump_main(argc, argv, tables, ARRAY_LENGTH(tables));
}

static bool is_one_of(const char *text, const char *first, const char *second, const char *third)
{
    return strcmp(text, first) == 0 || strcmp(text, second) == 0 || strcmp(text, third) == 0;
}

static int version(int argc, char **argv)
{
    static const char text[] = "Usage: filmgate version [--json]\n\nPrints the version.\n";
    if (argc == 1) {
        puts("filmgate " FILMGATE_VERSION);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cli_show(text);
    if (argc > 2 || strcmp(argv[1], "--json") != 0)
        return cli_complain_usage("version", "what is \"%s\" for?", argv[argc - 1]);
    puts("{\"version\":\"" FILMGATE_VERSION "\"}");
    return CLI_OK;
}

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
};

static const struct command COMMANDS[] = {
    {"serve", serve_main},
    {"keys", keys_main},
    {"links", links_main},
    {"adapters", adapters_main},
    {"attempts", attempts_main},
    {"doctor", doctor_main},
    {"dump", dump},
    {"create", create_main},
    {"query", query_main},
    {"watch", watch_main},
    {"list", list_main},
    {"cancel", cancel_main},
    {"rm", remove_main},
    {"timeline", timeline_main},
    {"webhooks", webhooks_main},
    {"channels", channels_main},
    {"reload", reload_main},
    {"version", version},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(COMMANDS); i++) {
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    }
    return NULL;
}

static int complain_unknown(const char *name)
{
    const char *names[ARRAY_LENGTH(COMMANDS) + 1] = {"help"};
    for (size_t i = 0; i < ARRAY_LENGTH(COMMANDS); i++)
        names[i + 1] = COMMANDS[i].name;
    const char *nearest = nearest_name(name, names, ARRAY_LENGTH(names));
    if (nearest == NULL)
        return cli_complain_usage("", "there is no command \"%s\"", name);
    return cli_complain_usage("", "there is no command \"%s\"; is it `filmgate %s` you mean?", name,
                              nearest);
}

static int help(int argc, char **argv)
{
    char option[] = "--help";
    if (argc < 2 || (argc == 2 && is_one_of(argv[1], "help", "--help", "-h")))
        return cli_show(HELP);
    const struct command *command = find_command(argv[1]);
    if (command == NULL)
        return complain_unknown(argv[1]);
    if (argc > 2)
        return cli_complain_usage("", "`filmgate help` takes one command, what is \"%s\" for?",
                                  argv[2]);
    char *asked[] = {argv[1], option, NULL};
    return command->run(2, asked);
}

/* Known before the options are read: those may be what is wrong. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            return true;
    }
    return false;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        fputs(HELP, stderr);
        return CLI_USAGE;
    }
    if (is_one_of(argv[1], "help", "--help", "-h"))
        return help(argc - 1, argv + 1);
    if (is_one_of(argv[1], "--version", "-V", "-v"))
        return version(1, argv + 1);
    const struct command *command = find_command(argv[1]);
    if (command == NULL)
        return complain_unknown(argv[1]);
    return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    bool is_helper = argc == 3 && strcmp(argv[1], "helper") == 0;
    if (is_helper && strcmp(argv[2], "media") == 0)
        return media_helper_main();
    if (is_helper && strcmp(argv[2], "adapter") == 0)
        return adapter_helper_main();
    if (is_helper && strcmp(argv[2], "command") == 0)
        return command_helper_main();
    signal(SIGPIPE, SIG_IGN); /* a reader that left is an error of write() */
    signal(SIGXFSZ, SIG_IGN); /* so is a file at its size limit */
    if (wants_json(argc, argv))
        cli_tell_json();
    int status = run(argc, argv);
    if (fflush(stdout) != 0 && errno != EPIPE && status == CLI_OK)
        return cli_complain(CLI_LOCAL, "standard output cannot be written: %s", strerror(errno));
    return status;
}
