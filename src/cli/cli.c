/* SPDX-License-Identifier: Apache-2.0
 *
 * What all commands share. One thread: the process is one command. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"

enum {
    SENTENCE_BYTES = 2048,
    WORD_MOST = 32,
    COLUMNS_USUAL = 80,
};

/* One command, one way to complain: set once, before anything can go wrong. */
static bool tells_json;

void cli_tell_json(void)
{
    tells_json = true;
}

static const char *usual_code(int exit_status)
{
    switch (exit_status) {
    case CLI_TASK_FAILED:
        return "task_failed";
    case CLI_USAGE:
        return "usage";
    case CLI_REFUSED:
        return "refused";
    case CLI_AWAY:
        return "unreachable";
    case CLI_INTERRUPTED:
        return "interrupted";
    default:
        return "local";
    }
}

static void tell_json(const struct cli_error *error, const char *sentence)
{
    CLEANUP(buf_fini) struct buf line;
    buf_init(&line, (size_t)8 * SENTENCE_BYTES);
    buf_puts(&line, "{\"error\":{\"code\":");
    buf_json_string(&line, error->code != NULL ? error->code : usual_code(error->exit_status));
    buf_puts(&line, ",\"message\":");
    buf_json_string(&line, sentence);
    if (error->hint != NULL && *error->hint != '\0') {
        buf_puts(&line, ",\"hint\":");
        buf_json_string(&line, error->hint);
    }
    fprintf(stderr, "%s}}\n", buf_text(&line));
}

/* Sentences may quote a server, a file name or an argument, so they are printed as foreign text. */
static void tell_text(const char *prefix, const char *sentence)
{
    fputs(prefix, stderr);
    cli_print_text(stderr, sentence, 0);
    fputc('\n', stderr);
}

PRINTF_LIKE(3, 0)
static void tell(const struct cli_error *error, const char *prefix, const char *format,
                 va_list values)
{
    char sentence[SENTENCE_BYTES];
    vsnprintf(sentence, sizeof(sentence), format, values);
    if (tells_json) {
        tell_json(error, sentence);
        return;
    }
    tell_text(prefix, sentence);
    if (error->hint != NULL && *error->hint != '\0')
        tell_text("", error->hint);
}

int cli_complain_error(const struct cli_error *error, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    tell(error, "filmgate: ", format, values);
    va_end(values);
    return error->exit_status;
}

int cli_complain(int exit_status, const char *format, ...)
{
    const struct cli_error error = {.exit_status = exit_status};
    va_list values;
    va_start(values, format);
    tell(&error, "filmgate: ", format, values);
    va_end(values);
    return exit_status;
}

int cli_complain_usage(const char *command, const char *format, ...)
{
    const char *space = *command != '\0' ? " " : "";
    char prefix[100];
    char hint[100];
    snprintf(prefix, sizeof(prefix), "filmgate%s%s: ", space, command);
    snprintf(hint, sizeof(hint), "Try `filmgate%s%s --help`.", space, command);
    const struct cli_error error = {.exit_status = CLI_USAGE, .hint = hint};
    va_list values;
    va_start(values, format);
    tell(&error, prefix, format, values);
    va_end(values);
    return CLI_USAGE;
}

int cli_check_ids(const char *command, char *const *ids)
{
    for (; *ids != NULL; ids++) {
        if (**ids == '\0')
            return cli_complain_usage(command, "a task's id is empty");
    }
    return CLI_OK;
}

void cli_note(const char *format, ...)
{
    char sentence[SENTENCE_BYTES];
    if (tells_json)
        return;
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof(sentence), format, values);
    va_end(values);
    tell_text("filmgate: ", sentence);
}

int cli_show(const char *help)
{
    fputs(help, stdout);
    return CLI_OK;
}

/* getopt_long() whose complaints are ours: '?' after one. */
static int next_option(const struct cli_options *options, int argc, char **argv)
{
    opterr = 0;
    int option = getopt_long(argc, argv, options->short_options, options->long_options, NULL);
    if (option != '?' && option != ':')
        return option;
    char letter[] = {'-', (char)optopt, '\0'};
    bool is_long = optind > 0 && strncmp(argv[optind - 1], "--", 2) == 0;
    const char *given = is_long ? argv[optind - 1] : letter;
    if (option == ':')
        cli_complain_usage(options->command, "the option %s needs a value", given);
    else if (is_long && optopt != 0)
        cli_complain_usage(options->command, "the option %s takes no value", given);
    else
        cli_complain_usage(options->command, "there is no option %s, or it is not clear which one",
                           given);
    return '?';
}

bool cli_read_options(const struct cli_options *options, int argc, char **argv, void *order,
                      int *ret_status)
{
    for (int option; (option = next_option(options, argc, argv)) != -1;) {
        if (option == 'h')
            *ret_status = cli_show(options->help);
        else if (option == '?')
            *ret_status = CLI_USAGE;
        else
            *ret_status = options->take_option(order, option);
        if (option == 'h' || *ret_status != CLI_OK)
            return false;
    }
    return true;
}

bool cli_read_options_alone(const struct cli_options *options, int argc, char **argv, void *order,
                            int *ret_status)
{
    if (!cli_read_options(options, argc, argv, order, ret_status))
        return false;
    if (optind == argc)
        return true;
    *ret_status =
        cli_complain_usage(options->command, "what is \"%s\" for? `%s` takes options only",
                           argv[optind], options->command);
    return false;
}

bool cli_parse_number(const char *text, long long least, long long most, long long *ret_number)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < least || number > most)
        return false;
    *ret_number = number;
    return true;
}

size_t cli_columns(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_USUAL;
    return size.ws_col;
}

bool cli_is_lively(FILE *out)
{
    const char *terminal = getenv("TERM");
    return isatty(fileno(out)) == 1 && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

void cli_print_json(const json_t *json)
{
    size_t flags = isatty(STDOUT_FILENO) == 1 ? JSON_INDENT(2) : JSON_COMPACT;
    json_dumpf(json, stdout, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(16));
    putchar('\n');
}

/* Control characters (C0, DEL, C1) and those that turn the direction of writing. */
static bool is_obeyed(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

void cli_print_text(FILE *out, const char *text, size_t most)
{
    size_t left = strlen(text);
    for (size_t count = 0; left > 0; count++) {
        if (most > 0 && count == most) {
            fputs("…", out);
            return;
        }
        uint32_t code;
        size_t step = codec_utf8_step(text, left, &code);
        if (is_obeyed(code))
            fputc(' ', out);
        else if (code == 0xfffd)
            fputs("\xef\xbf\xbd", out);
        else
            fwrite(text, 1, step, out);
        text += step;
        left -= step;
    }
}

void cli_print_column(const char *text, int columns)
{
    int room = columns - (int)strlen(text);
    cli_print_text(stdout, text, 0);
    printf("%*s  ", room > 0 ? room : 0, "");
}

void cli_write_time(int64_t ms, char ret_text[CLOCK_ISO_SECONDS_SIZE])
{
    if (ms > 0)
        clock_iso_seconds(ms / 1000, ret_text);
    else
        snprintf(ret_text, CLOCK_ISO_SECONDS_SIZE, "-");
}
