/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: one YAML file (libfyaml), one table (base/settings.def), one immutable struct.
 * Precedence: command line, file, default.
 * `${NAME}` inside a value is replaced by the environment variable (`$${` is a literal `${`); an
 * unset one is an error. Unknown settings, wrong types and values out of bounds are errors that
 * name file, line and column. */
#pragma once

#include <jansson.h>
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

struct settings_model {
    const char *name;     /* public; may hold wildcards (`sora-*`) */
    const char *upstream; /* its name there; NULL: as asked */
};

struct settings_credential {
    const char *name; /* unique in its channel; `default` for the one of `key` */
    const char *key;
    const char *secret; /* NULL: none */
    const char *file; /* that the key was read from, seen from the file's folder; NULL: from none */
};

struct settings_header {
    const char *name, *value;
};

/* One entry of the free list `channels:`; base/settings_channel.def says what each key means. Whether
 * the adapter exists and what it needs is for upstream/channel.h to know. */
struct settings_channel {
    const char *name; /* unique; [a-z0-9-], at most 64 bytes */
    const char *adapter;
    const struct settings_model *models; /* never empty; names are unique */
    size_t n_models;
    const char *base_url; /* NULL: the adapter's */
    const struct settings_credential *credentials;
    size_t n_credentials;
    int64_t priority, weight, concurrency, submits_per_minute, polls_per_minute;
    int64_t poll_first, poll_every; /* ms; 0: the adapter's */
    const char *on_unknown;         /* hold | resubmit */
    const char *fit;                /* nearest | strict */
    bool drain;
    bool callback;
    const struct settings_header *headers;
    size_t n_headers;
    struct settings_list command; /* a program and its arguments; empty: none */
    const struct settings_header *command_env;
    size_t n_command_env;
    int64_t command_timeout; /* ms */
    const char *proxy;       /* NULL: none */
    const char *ca;          /* NULL: none; else a path, already seen from the file's folder */
    json_t *options; /* an object, never NULL; `options_file` is in it. The settings' reference */
    int line;        /* where it stands, for later errors */
    uint32_t from_environment; /* bits by row of base/settings_channel.def: not shown in a dump */
};

struct settings {
#define SETTING(field, path, type, ...) settings_##type field;
#include "base/settings.def"
    const struct settings_channel *channels;
    size_t n_channels;
    const char *file; /* the file's name, NULL when there was none */
};

enum {
    SETTINGS_ERROR_SIZE = 500,
    SETTINGS_FILE_MAX = 1024 * 1024,   /* bytes of the file, and of each options_file */
    SETTINGS_CREDENTIALS_MAX = 64,     /* of one channel */
    SETTINGS_CHANNEL_HEADERS_MAX = 32, /* of one channel */
    SETTINGS_MODEL_MAX = 128,          /* bytes of a model's name, here and there */
    SETTINGS_COMMAND_MAX = 64,         /* words of a command, and variables of its environment */
    SETTINGS_COMMAND_BYTES = 16384,    /* of both together */
};

/* `file` NULL: defaults only. `overrides`: {path, value, path, value, …, NULL} from the command
 * line. NULL and a sentence on error. */
struct settings *settings_load(const char *file, const char *const *overrides,
                               char ret_error[SETTINGS_ERROR_SIZE]);
struct settings *settings_free(struct settings *settings);
/* Writes the table with defaults, effective values and units as Markdown, and one of the channels. What came
 * from the environment is not shown, nor are keys, secrets, values of headers and users of proxies, whatever
 * they came from. */
void settings_dump(const struct settings *settings, FILE *out);
/* The keys of a channel with defaults, bounds and meaning. */
void settings_dump_channel_keys(FILE *out);
/* Parses `7d`, `64MiB` … as settings do. */
CHECKED bool settings_parse_span(const char *text, int64_t *ret_ms);
CHECKED bool settings_parse_bytes(const char *text, int64_t *ret_bytes);
