/* SPDX-License-Identifier: Apache-2.0
 *
 * What all commands share. One thread: the process is one command. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"

enum { SENTENCE_BYTES = 2048, PATH_BYTES = 4096 };

/* Sentences may quote a server, a file name or an argument, so they are printed as foreign text. */
PRINTF_LIKE(1, 0)
static void print_sentence(const char *format, va_list values)
{
    char sentence[SENTENCE_BYTES];
    vsnprintf(sentence, sizeof(sentence), format, values);
    cli_print_text(stderr, sentence, 0);
    fputc('\n', stderr);
}

int cli_complain(int exit_status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("filmgate: ", stderr);
    print_sentence(format, values);
    va_end(values);
    return exit_status;
}

int cli_complain_usage(const char *command, const char *format, ...)
{
    const char *space = *command != '\0' ? " " : "";
    va_list values;
    va_start(values, format);
    fprintf(stderr, "filmgate%s%s: ", space, command);
    print_sentence(format, values);
    fprintf(stderr, "Try `filmgate%s%s --help`.\n", space, command);
    va_end(values);
    return CLI_USAGE;
}

int cli_show(const char *help)
{
    fputs(help, stdout);
    return CLI_OK;
}

int cli_next_option(const struct cli_options *options, int argc, char **argv)
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
    return CLI_BAD_OPTION;
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

int cli_make_data_directory(const char *directory)
{
    if (mkdir(directory, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return cli_complain(CLI_LOCAL, "the data directory \"%s\" cannot be made: %s", directory,
                            strerror(errno));
    struct stat status;
    if (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode))
        return cli_complain(
            CLI_LOCAL, "\"%s\" is in the way: the data directory must be a directory", directory);
    return 0;
}

int cli_lock_data_directory(const char *directory, int *ret_lock)
{
    CLEANUP(buf_fini) struct buf path;
    buf_init(&path, PATH_BYTES);
    buf_printf(&path, "%s/lock", directory);
    int lock = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return cli_complain(CLI_LOCAL, "\"%s\" cannot be opened: %s", buf_text(&path),
                            strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        *ret_lock = lock;
        return CLI_OK;
    }
    int error = errno;
    close(lock);
    if (error == EWOULDBLOCK)
        return cli_complain(CLI_LOCAL,
                            "another filmgate serves the data directory \"%s\"; stop it "
                            "or give this one --data of its own",
                            directory);
    return cli_complain(CLI_LOCAL, "\"%s\" cannot be locked: %s", buf_text(&path), strerror(error));
}

struct settings *cli_load_settings(const char *file, const char *data)
{
    const char *overrides[] = {data != NULL ? "data" : NULL, data, NULL};
    char error[SETTINGS_ERROR_SIZE] = "";
    struct settings *settings = settings_load(file, overrides, error);
    if (settings == NULL)
        cli_complain(CLI_USAGE, "%s", error);
    return settings;
}
