/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator's program says on its standard output: one JSON object a line (docs/upstreams/command.md). Takes the
 * bytes as they come, in pieces of any size; whatever is none of its words, or longer than a line may be, is counted and passed over.
 * Pure; runs in the helper. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COMMAND_LINE_MAX = 16 * 1024, /* bytes of a line; what is longer is passed over */
    COMMAND_PATH_SIZE = 512,      /* of `output`, with NUL */
    COMMAND_TEXT_SIZE = 300,      /* of an error's message, with NUL */
    COMMAND_CODE_SIZE = 64,       /* of its code */
    COMMAND_SHOWN_SIZE = 120,     /* of the first line that was passed over */
};

enum command_error {
    COMMAND_NO_ERROR,
    COMMAND_REFUSED,   /* this task, for good: another channel may take it */
    COMMAND_MODERATED, /* by its content */
    COMMAND_FAULTY,    /* the program's own fault: another attempt may mend it */
};

struct command_reader {
    double progress;                /* the last that was told, 0..1; negative: none */
    char output[COMMAND_PATH_SIZE]; /* empty: none was named */
    enum command_error error;       /* the first that was told */
    char code[COMMAND_CODE_SIZE], message[COMMAND_TEXT_SIZE];
    int64_t n_passed_over;                /* lines */
    char passed_over[COMMAND_SHOWN_SIZE]; /* the beginning of the first of them, printable */
    /* Private: the line at hand. */
    char line[COMMAND_LINE_MAX];
    size_t length;
    bool is_too_long;
};

void command_reader_init(struct command_reader *reader);
void command_reader_take(struct command_reader *reader, const char *bytes, size_t length);
/* There is no more: a last line needs no newline. */
void command_reader_end(struct command_reader *reader);
/* Bytes as a line of UTF-8 for the log: what cannot be shown becomes `?`, tabs a space. Cut to `size`. */
void command_print(const char *bytes, size_t length, char *ret_text, size_t size);
