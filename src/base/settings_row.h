/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the configuration share among themselves: the table as rows, the result while
 * it is made, and the one way to say what is wrong. Nobody else includes this. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/settings.h"
#include "base/settings_value.h"

enum {
    SETTINGS_SHOWN_BYTES = 80, /* of a value, in messages */
    SETTINGS_KEY_BYTES = 64,   /* of a key, in messages */
};

struct settings_row {
    const char *path;
    enum settings_type type;
    const char *fallback;
    int64_t least, most;
    const char *unit, *what;
    size_t offset;  /* of the field in what the row describes */
    bool is_hidden; /* its value is never shown, wherever it came from */
};

struct settings_rows {
    const struct settings_row *items;
    size_t count;
};

enum {
    SETTINGS_ROW_COUNT = 0
#define SETTING(...) +1 /* NOLINT(bugprone-macro-parentheses): a sum */
#include "base/settings.def"
};

extern const struct settings_rows settings_rows;         /* of struct settings */
extern const struct settings_rows settings_channel_rows; /* of struct settings_draft */

struct settings_place {
    int line, column; /* from 1; line 0: not in the file */
};

/* A channel while it is read: what its keys say that does not stay. */
struct settings_draft {
    struct settings_channel channel;
    const char *key, *key_file, *secret, *options_file;
    struct settings_place key_file_place, options_file_place; /* of these values */
    bool is_secret; /* of the key at hand, something came from the environment */
};

/* What settings_load() makes; callers see its first member. */
struct settings_whole {
    struct settings settings;
    struct arena *arena;
    int lines[SETTINGS_ROW_COUNT];   /* where the file sets it; 0: it does not */
    bool secret[SETTINGS_ROW_COUNT]; /* made from the environment */
};

struct settings_reader {
    struct settings_whole *whole;
    const char *file; /* NULL: the command line */
    char *error;      /* SETTINGS_ERROR_SIZE */
    bool is_hidden;   /* the value at hand came from the environment: no error shows it */
};

/* Writes the error with its place; false, for the caller to return. */
bool settings_fail(const struct settings_reader *reader, struct settings_place place,
                   const char *format, ...) PRINTF_LIKE(3, 4);
bool settings_fail_memory(const struct settings_reader *reader, struct settings_place place);
/* Refuses a value: "key" must be `right`, not "text"; the end only where the value may be shown. */
bool settings_fail_value(const struct settings_reader *reader, struct settings_place place,
                         const struct settings_row *row, const char *right, const char *text);
/* There is no such row: says so, and which one may have been meant. */
bool settings_fail_unknown(const struct settings_reader *reader, const struct settings_rows *rows,
                           const char *path, struct settings_place place);
const struct settings_row *settings_find_row(const struct settings_rows *rows, const char *path);

/* Sets the field of a row in the struct at `base`. Any row but a list, from text in which nothing
 * is left to replace. */
CHECKED bool settings_set_scalar(const struct settings_reader *reader, void *base,
                                 const struct settings_row *row, const char *text,
                                 struct settings_place place);
/* Any row; the items of a list stand between commas. For defaults and the command line. */
CHECKED bool settings_set_from_text(const struct settings_reader *reader, void *base,
                                    const struct settings_row *row, const char *text);

/* Reads `reader->file` over what is set. */
CHECKED bool settings_read_file(struct settings_reader *reader);
