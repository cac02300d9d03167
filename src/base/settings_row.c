/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of settings as rows, setting one field from its text, and what is said when that does
 * not go. Pure. */
#include "base/settings_row.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

static const struct settings_row ROWS[] = {
#define SETTING(field, path, type, fallback, least, most, unit, what)                              \
    {path, SETTINGS_##type, fallback, least, most, unit, what, offsetof(struct settings, field),   \
     false},
#include "base/settings.def"
};

static const struct settings_row CHANNEL_ROWS[] = {
#define CHANNEL_SETTING(field, path, type, fallback, least, most, is_hidden, what)                 \
    {path,     SETTINGS_##type,                                                                    \
     fallback, least,                                                                              \
     most,     "",                                                                                 \
     what,     offsetof(struct settings_draft, field),                                             \
     is_hidden},
#include "base/settings_channel.def"
};

_Static_assert(ARRAY_LENGTH(CHANNEL_ROWS) <= 32, "from_environment has a bit for each");

const struct settings_rows settings_rows = {ROWS, ARRAY_LENGTH(ROWS)};
const struct settings_rows settings_channel_rows = {CHANNEL_ROWS, ARRAY_LENGTH(CHANNEL_ROWS)};

bool settings_fail(const struct settings_reader *reader, struct settings_place place,
                   const char *format, ...)
{
    char sentence[SETTINGS_ERROR_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof(sentence), format, values);
    va_end(values);
    if (place.line > 0)
        snprintf(reader->error, SETTINGS_ERROR_SIZE, "%.200s:%d:%d: %.270s", reader->file,
                 place.line, place.column, sentence);
    else if (reader->file != NULL)
        snprintf(reader->error, SETTINGS_ERROR_SIZE, "%.200s: %.290s", reader->file, sentence);
    else
        snprintf(reader->error, SETTINGS_ERROR_SIZE, "%.490s", sentence);
    return false;
}

bool settings_fail_memory(const struct settings_reader *reader, struct settings_place place)
{
    return settings_fail(reader, place, "the configuration is too large");
}

const struct settings_row *settings_find_row(const struct settings_rows *rows, const char *path)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->items[i].path, path) == 0)
            return &rows->items[i];
    }
    return NULL;
}

/* ---- one value ---- */

/* `https://user:password@host`, in whatever setting somebody put it. */
static bool has_user(const char *text)
{
    return strstr(text, "://") != NULL && strchr(text, '@') != NULL;
}

bool settings_fail_value(const struct settings_reader *reader, struct settings_place place,
                         const struct settings_row *row, const char *right, const char *text)
{
    if (row->is_hidden || reader->is_hidden || has_user(text))
        return settings_fail(reader, place, "\"%s\" must be %s; its value is not shown", row->path,
                             right);
    return settings_fail(reader, place, "\"%s\" must be %s, not \"%.*s\"", row->path, right,
                         SETTINGS_SHOWN_BYTES, text);
}

static bool set_number(const struct settings_reader *reader, void *base,
                       const struct settings_row *row, const char *text,
                       struct settings_place place)
{
    int64_t number;
    char right[2 * SETTINGS_NUMBER_SIZE + 100];
    char least[SETTINGS_NUMBER_SIZE];
    char most[SETTINGS_NUMBER_SIZE];
    settings_write_number(row->type, row->least, least);
    settings_write_number(row->type, row->most, most);
    bool is_number = settings_parse_number(row->type, text, &number);
    bool is_shown = !row->is_hidden && !reader->is_hidden;
    if (is_number && number >= row->least && number <= row->most) {
        memcpy((char *)base + row->offset, &number, sizeof(number));
        return true;
    }
    if (is_number && is_shown)
        return settings_fail(reader, place, "\"%s\" must be between %s and %s, not %.*s", row->path,
                             least, most, SETTINGS_SHOWN_BYTES, text);
    snprintf(right, sizeof(right), "%s between %s and %s", settings_describe(row->type), least,
             most);
    return settings_fail_value(reader, place, row, right, text);
}

static bool set_text(const struct settings_reader *reader, void *base,
                     const struct settings_row *row, const char *text, struct settings_place place)
{
    const char *right = settings_text_fault(row->path, text);
    if (right != NULL)
        return settings_fail_value(reader, place, row, right, text);
    char *kept = arena_strdup(reader->whole->arena, text);
    if (kept == NULL)
        return settings_fail_memory(reader, place);
    memcpy((char *)base + row->offset, &kept, sizeof(kept));
    return true;
}

bool settings_set_scalar(const struct settings_reader *reader, void *base,
                         const struct settings_row *row, const char *text,
                         struct settings_place place)
{
    if (row->type == SETTINGS_TEXT)
        return set_text(reader, base, row, text, place);
    if (row->type != SETTINGS_FLAG)
        return set_number(reader, base, row, text, place);
    bool flag;
    if (!settings_parse_flag(text, &flag))
        return settings_fail_value(reader, place, row, settings_describe(row->type), text);
    memcpy((char *)base + row->offset, &flag, sizeof(flag));
    return true;
}

/* A list from text: items between commas, for defaults and the command line. */
static bool set_listed(const struct settings_reader *reader, void *base,
                       const struct settings_row *row, const char *text)
{
    const struct settings_place nowhere = {0, 0};
    size_t room = 1;
    for (const char *at = text; *at != '\0'; at++)
        room += *at == ',';
    const char **items = arena_alloc(reader->whole->arena, room * sizeof(*items));
    if (items == NULL)
        return settings_fail_memory(reader, nowhere);
    struct settings_list list = {items, 0};
    while (*(text += strspn(text, ", ")) != '\0') {
        size_t length = strcspn(text, ", ");
        items[list.count] = arena_strndup(reader->whole->arena, text, length);
        if (items[list.count++] == NULL)
            return settings_fail_memory(reader, nowhere);
        text += length;
    }
    memcpy((char *)base + row->offset, &list, sizeof(list));
    return true;
}

bool settings_set_from_text(const struct settings_reader *reader, void *base,
                            const struct settings_row *row, const char *text)
{
    if (row->type == SETTINGS_LIST)
        return set_listed(reader, base, row, text);
    return settings_set_scalar(reader, base, row, text, (struct settings_place){0, 0});
}

/* ---- unknown names ---- */

/* The nearest name so far, and how far it is. */
struct guess {
    const char *name; /* its first `length` bytes */
    size_t length, distance;
};

static void consider(struct guess *guess, const char *name, size_t length, const char *path)
{
    size_t distance = nearest_distance(name, length, path, strlen(path));
    if (distance < guess->distance)
        *guess = (struct guess){name, length, distance};
}

/* At the top a group may be meant, too; `channels` is one that has a table of its own. */
static struct guess guess_name(const struct settings_rows *rows, const char *path)
{
    struct guess guess = {NULL, 0, strlen(path) / 3 + 2};
    bool is_at_top = strchr(path, '.') == NULL;
    for (size_t i = 0; i < rows->count; i++) {
        const char *name = rows->items[i].path;
        consider(&guess, name, strlen(name), path);
        if (is_at_top)
            consider(&guess, name, strcspn(name, "."), path);
    }
    if (is_at_top)
        consider(&guess, "channels", strlen("channels"), path);
    return guess;
}

bool settings_fail_unknown(const struct settings_reader *reader, const struct settings_rows *rows,
                           const char *path, struct settings_place place)
{
    struct guess nearest = guess_name(rows, path);
    if (nearest.name == NULL)
        return settings_fail(reader, place, "there is no setting \"%.*s\"", SETTINGS_SHOWN_BYTES,
                             path);
    return settings_fail(reader, place, "there is no setting \"%.*s\"; did you mean \"%.*s\"?",
                         SETTINGS_SHOWN_BYTES, path, (int)nearest.length, nearest.name);
}
