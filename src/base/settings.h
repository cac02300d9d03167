/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: one YAML file (libfyaml), one table (base/settings.def), one immutable struct.
 * Precedence: command line, file, default.
 * `${NAME}` inside a value is replaced by the environment variable (`$${` is a literal `${`); an
 * unset one is an error. Unknown settings, wrong types and values out of bounds are errors that
 * name file, line and column. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"

struct settings_list {
    const char *const *items;
    size_t count;
};

typedef const char *settings_TEXT;
typedef bool settings_FLAG;
typedef int64_t settings_COUNT;
typedef int64_t settings_BYTES;
typedef int64_t settings_SPAN; /* ms */
typedef struct settings_list settings_LIST;

/* One entry of the free list `channels:`; see docs. `models` may hold wildcards (`sora-*`). */
struct settings_channel {
    const char *name;            /* unique; [a-z0-9-], at most 64 bytes */
    const char *adapter;         /* `animatic` is the one that this version has */
    struct settings_list models; /* never empty */
    int64_t priority;            /* 0..100, default 0; higher is asked first */
    int line;                    /* where it stands, for later errors */
};

struct settings {
#define SETTING(field, path, type, ...) settings_##type field;
#include "base/settings.def"
    const struct settings_channel *channels;
    size_t n_channels;
    const char *file; /* the file's name, NULL when there was none */
};

enum { SETTINGS_ERROR_SIZE = 500, SETTINGS_FILE_MAX = 1024 * 1024 };

/* `file` NULL: defaults only. `overrides`: {path, value, path, value, …, NULL} from the command
 * line. NULL and a sentence on error. */
struct settings *settings_load(const char *file, const char *const *overrides,
                               char ret_error[SETTINGS_ERROR_SIZE]);
struct settings *settings_free(struct settings *settings);
/* Writes the table with defaults, effective values and units as Markdown; secrets masked. */
void settings_dump(const struct settings *settings, FILE *out);
/* Parses `7d`, `64MiB` … as settings do. */
CHECKED bool settings_parse_span(const char *text, int64_t *ret_ms);
CHECKED bool settings_parse_bytes(const char *text, int64_t *ret_bytes);
