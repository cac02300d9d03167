/* SPDX-License-Identifier: Apache-2.0
 *
 * What all commands share: how they end, how they complain, how they read options and print. */
#pragma once

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/compiler.h"

/* Exit statuses of `filmgate`; CLI_EXIT_HELP says them to people. */
enum cli_exit {
    CLI_OK = 0,
    CLI_TASK_FAILED = 1,
    CLI_PROBLEM_FOUND = 1, /* by `doctor` or `adapters` */
    CLI_USAGE = 2,
    CLI_REFUSED = 3,
    CLI_AWAY = 4,
    CLI_LOCAL = 5,
    CLI_INTERRUPTED = 130,
};

#define CLI_EXIT_HELP                                                                              \
    "Exit status:\n"                                                                               \
    "  0    done\n"                                                                                \
    "  1    a task that was waited for failed or was cancelled; doctor: there is a problem;\n"     \
    "       adapters: one is not valid\n"                                                          \
    "  2    wrong usage or configuration; keys, attempts, adapters: there is none of that name\n"  \
    "  3    refused: by the server (4xx), or an attempt or a link key that has to stay\n"          \
    "  4    the server is away or in trouble (5xx)\n"                                              \
    "  5    trouble on this machine: a file, the disk, a port\n"                                   \
    "  130  interrupted\n"

#define CLI_SERVER_OPTIONS_HELP                                                                    \
    "      --url URL            the gateway (default: $FILMGATE_URL, else\n"                       \
    "                           http://127.0.0.1:8080)\n"                                          \
    "      --key KEY            the API key (default: $FILMGATE_KEY, which keeps it out of\n"      \
    "                           the process list)\n"                                               \
    "  -h, --help               show this help\n"

#define CLI_SERVER_ENVIRONMENT_HELP                                                                \
    "Environment:\n"                                                                               \
    "  FILMGATE_URL    the gateway's base URL\n"                                                   \
    "  FILMGATE_KEY    the API key; `filmgate keys create` makes one\n"

/* From now on errors are told as JSON, one object an error, and notes are not told at all. main
 * calls it before anything else when `--json` is among the arguments. */
void cli_tell_json(void);

/* What an error is besides its sentence. */
struct cli_error {
    int exit_status;
    const char *code; /* for programs; NULL: the one that goes with the exit status */
    const char *hint; /* what to do about it, a line of its own; NULL or empty: none */
};

/* Tells an error on stderr: «filmgate: sentence», or {"error": {"code", "message", "hint"}}.
 * Returns its exit status, for the caller to return. */
int cli_complain_error(const struct cli_error *error, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same of an error that is no more than its sentence. */
int cli_complain(int exit_status, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same for wrong usage, with a pointer to the command's help. Returns CLI_USAGE. */
int cli_complain_usage(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);
/* Are these, up to a NULL, ids at all? An empty one is a slip of a script, not a wish. CLI_OK, or the complaint's CLI_USAGE. */
CHECKED int cli_check_ids(const char *command, char *const *ids);
/* Says on stderr what is no error: «filmgate: sentence». */
void cli_note(const char *format, ...) PRINTF_LIKE(1, 2);
/* Prints a help text on stdout; returns CLI_OK. */
int cli_show(const char *help);

/* What a command may be told. */
struct cli_options {
    const char *command;       /* as complaints name it */
    const char *short_options; /* as getopt_long() has them, behind a ':'; `h` among them */
    const struct option *long_options;
    const char *help;
    /* One option but `-h`, its value in optarg. CLI_OK, or an exit status after complaining. */
    int (*take_option)(void *order, int option);
};
/* Reads the options into `order`; what is no option stands from argv[optind] on. False: the command ends here, with
 * `*ret_status`. */
CHECKED bool cli_read_options(const struct cli_options *options, int argc, char **argv, void *order,
                              int *ret_status);
/* The same for a command that takes options only. */
CHECKED bool cli_read_options_alone(const struct cli_options *options, int argc, char **argv,
                                    void *order, int *ret_status);

/* Reads a whole number between two bounds. */
CHECKED bool cli_parse_number(const char *text, long long least, long long most,
                              long long *ret_number);
/* How wide a terminal is; 80 where nobody knows. */
size_t cli_columns(FILE *out);
/* Is this a terminal where something may move and shine? Not one that calls itself dumb. */
bool cli_is_lively(FILE *out);
/* Compact in a pipe or file, indented on a terminal. */
void cli_print_json(const json_t *json);
/* At most `most` characters (0: all) of foreign text, nothing in it that a terminal obeys. */
void cli_print_text(FILE *out, const char *text, size_t most);
/* All of it on stdout, as a column of a list: blanks up to `columns` bytes, and two more. */
void cli_print_column(const char *text, int columns);
/* A moment in UTC, or `-` for none (0). */
void cli_write_time(int64_t ms, char ret_text[CLOCK_ISO_SECONDS_SIZE]);
