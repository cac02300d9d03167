/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration is made in three steps: defaults from the table, the file over them
 * (base/settings_yaml.c), the command line over both. Nothing is changed after settings_load(). Any
 * thread. */
#include "base/settings.h"

#include <string.h>

#include "base/must.h"
#include "base/settings_row.h"

enum {
    MEMORY_BYTES = 64 * 1024 * 1024, /* for the whole configuration, environment included */
};

static bool read_overrides(struct settings_reader *reader, const char *const *overrides)
{
    struct settings_reader unplaced = {reader->whole, NULL, reader->error};
    for (; overrides != NULL && overrides[0] != NULL; overrides += 2) {
        const struct settings_row *row = settings_find_row(&settings_rows, overrides[0]);
        must(row != NULL);
        if (!settings_set_from_text(&unplaced, &reader->whole->settings, row, overrides[1]))
            return false;
        reader->whole->secret[row - settings_rows.items] = false;
    }
    return true;
}

/* Links are made as `<base>/assets/…`. */
static void trim_public_url(struct settings_whole *whole)
{
    const char *url = whole->settings.public_url;
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    whole->settings.public_url = arena_strndup(whole->arena, url, length);
    must(whole->settings.public_url != NULL);
}

static bool load(struct settings_reader *reader, const char *const *overrides)
{
    for (size_t i = 0; i < settings_rows.count; i++)
        must(settings_set_from_text(reader, &reader->whole->settings, &settings_rows.items[i],
                                    settings_rows.items[i].fallback));
    if (reader->file != NULL) {
        char *file = arena_strdup(reader->whole->arena, reader->file);
        must(file != NULL);
        reader->whole->settings.file = file;
        if (!settings_read_file(reader))
            return false;
    }
    if (!read_overrides(reader, overrides))
        return false;
    trim_public_url(reader->whole);
    return true;
}

struct settings *settings_load(const char *file, const char *const *overrides,
                               char ret_error[SETTINGS_ERROR_SIZE])
{
    struct settings_whole *whole = must_calloc(1, sizeof(*whole));
    whole->arena = arena_new(MEMORY_BYTES);
    struct settings_reader reader = {whole, file, ret_error};
    if (!load(&reader, overrides))
        return settings_free(&whole->settings);
    return &whole->settings;
}

struct settings *settings_free(struct settings *settings)
{
    if (settings == NULL)
        return NULL;
    struct settings_whole *whole = CONTAINER_OF(settings, struct settings_whole, settings);
    arena_free(whole->arena);
    free_pointer(&whole);
    return NULL;
}

/* ---- the dump ---- */

/* A value as a Markdown cell: quoted, and unable to end the cell. */
static void write_cell(FILE *out, const char *text)
{
    if (*text == '\0')
        return;
    fputc('`', out);
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text == '`' ? '\'' : *text, out);
    }
    fputc('`', out);
}

static void write_list(FILE *out, const struct settings_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        write_cell(out, list->items[i]);
    }
}

static void write_value(FILE *out, const struct settings *settings, const struct settings_row *row)
{
    const char *field = (const char *)settings + row->offset;
    struct settings_list list;
    const char *text;
    int64_t number;
    bool flag;
    char written[SETTINGS_NUMBER_SIZE];
    switch (row->type) {
    case SETTINGS_LIST:
        memcpy(&list, field, sizeof(list));
        write_list(out, &list);
        return;
    case SETTINGS_TEXT:
        memcpy(&text, field, sizeof(text));
        write_cell(out, text);
        return;
    case SETTINGS_FLAG:
        memcpy(&flag, field, sizeof(flag));
        write_cell(out, flag ? "true" : "false");
        return;
    case SETTINGS_COUNT:
    case SETTINGS_BYTES:
    case SETTINGS_SPAN:
        memcpy(&number, field, sizeof(number));
        settings_write_number(row->type, number, written);
        write_cell(out, written);
        return;
    }
}

static void write_bounds(FILE *out, const struct settings_row *row)
{
    char least[SETTINGS_NUMBER_SIZE];
    char most[SETTINGS_NUMBER_SIZE];
    if (row->most == 0)
        return;
    settings_write_number(row->type, row->least, least);
    settings_write_number(row->type, row->most, most);
    fprintf(out, "%s to %s", least, most);
}

static void dump_channels(const struct settings *settings, FILE *out)
{
    fputs("\n| channel | adapter | models | priority |\n| --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < settings->n_channels; i++) {
        const struct settings_channel *channel = &settings->channels[i];
        fputs("| ", out);
        write_cell(out, channel->name);
        fputs(" | ", out);
        write_cell(out, channel->adapter);
        fputs(" | ", out);
        write_list(out, &channel->models);
        fprintf(out, " | %lld |\n", (long long)channel->priority);
    }
}

void settings_dump(const struct settings *settings, FILE *out)
{
    const struct settings_whole *whole = (const void *)settings; /* its first member */
    fputs("| setting | unit | default | value | bounds | what it does |\n"
          "| --- | --- | --- | --- | --- | --- |\n",
          out);
    for (size_t i = 0; i < settings_rows.count; i++) {
        const struct settings_row *row = &settings_rows.items[i];
        fprintf(out, "| `%s` | %s | ", row->path, row->unit);
        write_cell(out, row->fallback);
        fputs(" | ", out);
        if (whole->secret[i])
            fputs("(from the environment)", out);
        else
            write_value(out, settings, row);
        fputs(" | ", out);
        write_bounds(out, row);
        fprintf(out, " | %s |\n", row->what);
    }
    if (settings->n_channels > 0)
        dump_channels(settings, out);
}
