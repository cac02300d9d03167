/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels, sorted once by priority, then by their order in the file; a look-up walks them. Their
 * number is the operator's, a handful. Nothing changes after channel_table_new(). Any thread. */
#include "upstream/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

struct adapter {
    const char *name;
    bool is_builtin;
};

static const struct adapter ADAPTERS[] = {
    {"animatic", true},
};

/* What the catch-all offers by name; it takes every other name too. */
static const char *const FAMILY[] = {
    "sora-2", "sora-2-all", "sora-2-pro", "sora-2-pro-all", "sora-2-vip-all",
};

static const char *const EVERYTHING[] = {"*"};

struct channel_table {
    struct channel *channels;
    size_t n_channels;
    const char **names; /* without wildcards and repetitions */
    size_t n_names;
    bool is_catch_all;
};

static const struct adapter *find_adapter(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(ADAPTERS); i++) {
        if (strcmp(ADAPTERS[i].name, name) == 0)
            return &ADAPTERS[i];
    }
    return NULL;
}

static void explain_adapter(const struct settings *settings, const struct settings_channel *channel,
                            char *ret_error)
{
    int length =
        snprintf(ret_error, SETTINGS_ERROR_SIZE,
                 "%.200s:%d: channel \"%.64s\" has the adapter \"%.64s\", which is not known; "
                 "known:",
                 settings->file != NULL ? settings->file : "settings", channel->line, channel->name,
                 channel->adapter);
    size_t at = length < 0 ? 0 : (size_t)length;
    for (size_t i = 0; i < ARRAY_LENGTH(ADAPTERS) && at < SETTINGS_ERROR_SIZE; i++) {
        length = snprintf(ret_error + at, SETTINGS_ERROR_SIZE - at, "%s %s", i > 0 ? "," : "",
                          ADAPTERS[i].name);
        at += length < 0 ? 0 : (size_t)length;
    }
}

/* Keeps channels of equal priority in their order. */
static void insert_by_priority(struct channel_table *table, const struct channel *channel)
{
    size_t at = table->n_channels++;
    for (; at > 0 && table->channels[at - 1].priority < channel->priority; at--)
        table->channels[at] = table->channels[at - 1];
    table->channels[at] = *channel;
}

static bool has_name(const struct channel_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_names; i++) {
        if (strcmp(table->names[i], name) == 0)
            return true;
    }
    return false;
}

static void collect_names(struct channel_table *table)
{
    size_t room = 1;
    for (size_t i = 0; i < table->n_channels; i++)
        room += table->channels[i].models.count;
    table->names = must_calloc(room, sizeof(*table->names));
    for (size_t i = 0; i < table->n_channels; i++) {
        const struct settings_list *models = &table->channels[i].models;
        for (size_t k = 0; k < models->count; k++) {
            if (strchr(models->items[k], '*') == NULL && !has_name(table, models->items[k]))
                table->names[table->n_names++] = models->items[k];
        }
    }
}

static void make_catch_all(struct channel_table *table)
{
    const struct channel all = {
        .name = "animatic",
        .is_builtin = true,
        .models = {EVERYTHING, ARRAY_LENGTH(EVERYTHING)},
    };
    table->is_catch_all = true;
    insert_by_priority(table, &all);
    table->names = must_calloc(ARRAY_LENGTH(FAMILY), sizeof(*table->names));
    for (; table->n_names < ARRAY_LENGTH(FAMILY); table->n_names++)
        table->names[table->n_names] = FAMILY[table->n_names];
}

struct channel_table *channel_table_new(const struct settings *settings,
                                        char ret_error[SETTINGS_ERROR_SIZE])
{
    struct channel_table *table = must_calloc(1, sizeof(*table));
    table->channels = must_calloc(settings->n_channels + 1, sizeof(*table->channels));
    for (size_t i = 0; i < settings->n_channels; i++) {
        const struct settings_channel *source = &settings->channels[i];
        const struct adapter *adapter = find_adapter(source->adapter);
        if (adapter == NULL) {
            explain_adapter(settings, source, ret_error);
            return channel_table_free(table);
        }
        const struct channel channel = {
            .name = source->name,
            .is_builtin = adapter->is_builtin,
            .models = source->models,
            .priority = source->priority,
        };
        insert_by_priority(table, &channel);
    }
    if (table->n_channels == 0)
        make_catch_all(table);
    else
        collect_names(table);
    return table;
}

struct channel_table *channel_table_free(struct channel_table *table)
{
    if (table == NULL)
        return NULL;
    free(table->channels);
    free_pointer(&table->names);
    free(table);
    return NULL;
}

/* Does `text` fit `pattern`, in which `*` is any run of characters? After a mismatch only the last
 * star needs to take more, so the work is bounded by the product of both lengths. */
static bool fits(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *resume = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

const struct channel *channel_for_model(const struct channel_table *table, const char *model)
{
    for (size_t i = 0; i < table->n_channels; i++) {
        const struct settings_list *models = &table->channels[i].models;
        for (size_t k = 0; k < models->count; k++) {
            if (fits(models->items[k], model))
                return &table->channels[i];
        }
    }
    return NULL;
}

bool channel_is_catch_all(const struct channel_table *table)
{
    return table->is_catch_all;
}

size_t channel_model_names(const struct channel_table *table, const char *const **ret_names)
{
    *ret_names = table->names;
    return table->n_names;
}
