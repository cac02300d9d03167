/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration is made in three steps: defaults from the table, the file over them
 * (base/settings_yaml.c), the command line over both. Nothing is changed after settings_load(). Any
 * thread. */
#include "base/settings.h"

#include <string.h>

#include "base/must.h"
#include "base/settings_tree.h"

enum {
    MEMORY_BYTES = 64 * 1024 * 1024, /* for the whole configuration, environment included */
};

static bool read_overrides(struct settings_reader *reader, const char *const *overrides)
{
    struct settings_reader unplaced = {reader->whole, NULL, reader->error, false};
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

/* A path that the file sets is seen from its folder; a default and the command line's, from where we run. */
static bool place_path(struct settings_reader *reader, const char *name, const char **path)
{
    const struct settings_row *row = settings_find_row(&settings_rows, name);
    must(row != NULL);
    int line = reader->whole->lines[row - settings_rows.items];
    if (line == 0 || (*path)[0] == '\0')
        return true;
    *path = settings_path(reader, *path, (struct settings_place){line, 0});
    return *path != NULL;
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
        if (!settings_read_file(reader) ||
            !place_path(reader, "data", &reader->whole->settings.data) ||
            !place_path(reader, "adapters", &reader->whole->settings.adapters))
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
    struct settings_reader reader = {whole, file, ret_error, false};
    if (!load(&reader, overrides))
        return settings_free(&whole->settings);
    return &whole->settings;
}

struct settings *settings_free(struct settings *settings)
{
    if (settings == NULL)
        return NULL;
    struct settings_whole *whole = CONTAINER_OF(settings, struct settings_whole, settings);
    for (size_t i = 0; i < settings->n_channels; i++)
        json_decref(settings->channels[i].options);
    arena_free(whole->arena);
    free_pointer(&whole);
    return NULL;
}
