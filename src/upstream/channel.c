/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels, sorted once by priority, then by their order in the file; a look-up walks them. Their
 * number is the operator's, a handful. Nothing changes after channel_table_new(). Any thread. */
#include "upstream/channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/must.h"
#include "base/reference.h"
#include "upstream/channel_parts.h"

enum { MEMORY_BYTES = 64 * 1024 * 1024 }; /* for what adapters say of themselves */

static const char BUILTIN[] = "animatic";
static const char COMMAND[] = "command";

/* What the catch-all offers by name; it takes every other name too. */
static const char *const FAMILY[] = {
    "sora-2", "sora-2-all", "sora-2-pro", "sora-2-pro-all", "sora-2-vip-all",
};

static const struct channel_model EVERYTHING = {"*", NULL};

/* What an adapter in use said. */
struct said {
    const struct adapter *adapter;
    json_t *about;
};

struct channel_table {
    _Atomic unsigned references;
    struct arena *arena;
    struct channel *channels;
    size_t n_channels;
    struct said *said;
    size_t n_said;
    const char **names; /* without wildcards and repetitions */
    size_t n_names;
    struct channel_accounts accounts;
};

/* A table while it is made. */
struct maker {
    struct channel_table *table;
    const struct settings *settings;
    const struct adapter_set *adapters;
    char *error;
};

static bool fail(const struct maker *maker, const struct settings_channel *source,
                 const char *format, ...) PRINTF_LIKE(3, 4);

static bool fail(const struct maker *maker, const struct settings_channel *source,
                 const char *format, ...)
{
    char sentence[SETTINGS_ERROR_SIZE];
    const char *file = maker->settings->file;
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof(sentence), format, values);
    va_end(values);
    snprintf(maker->error, SETTINGS_ERROR_SIZE, "%.150s:%d: channel \"%.64s\" %.260s",
             file != NULL ? file : "settings", source->line, source->name, sentence);
    return false;
}

/* ---- adapters ---- */

static bool fail_adapter(const struct maker *maker, const struct settings_channel *source)
{
    CLEANUP(buf_fini) struct buf meant;
    buf_init(&meant, SETTINGS_ERROR_SIZE);
    adapter_suggest(maker->adapters, source->adapter, &meant);
    return fail(maker, source, "has the adapter \"%.64s\", which is not known%s", source->adapter,
                buf_text(&meant));
}

/* What the adapter says, asked for once. NULL after fail(). */
static const json_t *about_of(const struct maker *maker, const struct settings_channel *source,
                              const struct adapter *adapter)
{
    struct channel_table *table = maker->table;
    char error[ADAPTER_ERROR_SIZE] = "";
    for (size_t i = 0; i < table->n_said; i++) {
        if (table->said[i].adapter == adapter)
            return table->said[i].about;
    }
    json_t *about = adapter_about(adapter, error);
    if (about == NULL)
        fail(maker, source, "cannot be used: %s", error);
    else
        table->said[table->n_said++] = (struct said){adapter, about};
    return about;
}

/* ---- one channel ---- */

static bool take_models(const struct maker *maker, const struct settings_channel *source,
                        struct channel *channel)
{
    struct channel_model *models =
        arena_alloc(maker->table->arena, source->n_models * sizeof(*models));
    if (models == NULL)
        return fail(maker, source, "is too large");
    for (size_t i = 0; i < source->n_models; i++)
        models[i] = (struct channel_model){source->models[i].name, source->models[i].upstream};
    channel->models = models;
    channel->n_models = source->n_models;
    return true;
}

bool channel_refuse(char ret_error[SETTINGS_ERROR_SIZE], const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(ret_error, SETTINGS_ERROR_SIZE, format, values);
    va_end(values);
    return false;
}

bool channel_has_upstream_settings(const struct settings_channel *source)
{
    return source->base_url != NULL || source->n_credentials > 0 || source->n_headers > 0 ||
           source->proxy != NULL || source->ca != NULL || source->callback ||
           source->submits_per_minute > 0 || source->polls_per_minute > 0 ||
           source->poll_first > 0 || source->poll_every > 0;
}

static bool take_builtin(const struct maker *maker, const struct settings_channel *source,
                         struct channel *channel)
{
    channel->is_animatic = true;
    for (size_t i = 0; i < source->n_models; i++) {
        if (source->models[i].upstream != NULL)
            return fail(maker, source,
                        "names the model \"%.100s\" otherwise for the upstream; the built-in "
                        "engine has no models of its own",
                        source->models[i].name);
    }
    if (channel_has_upstream_settings(source) || json_object_size(source->options) > 0)
        return fail(maker, source,
                    "is the built-in engine, which needs no base_url, credentials, headers, proxy, "
                    "ca, callback, polls, limits a minute or options; leave them out");
    return true;
}

static bool take_command(const struct maker *maker, const struct settings_channel *source,
                         struct channel *channel)
{
    char error[SETTINGS_ERROR_SIZE];
    if (!channel_read_command(source, maker->table->arena, channel, error))
        return fail(maker, source, "%s", error);
    channel->credentials = &channel_no_credential;
    channel->n_credentials = 1;
    channel->concurrency = source->concurrency;
    channel->is_strict = strcmp(source->fit, "strict") == 0;
    channel->options = source->options;
    return true;
}

/* Without slashes at its end. */
static bool take_base_url(const struct maker *maker, const struct settings_channel *source,
                          struct channel *channel)
{
    const char *url = source->base_url != NULL ? source->base_url : channel->base_url;
    if (url == NULL)
        return fail(maker, source,
                    "needs a \"base_url\": the adapter \"%s\" has no address of its own",
                    source->adapter);
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    channel->base_url = arena_strndup(maker->table->arena, url, length);
    return channel->base_url != NULL || fail(maker, source, "is too large");
}

static bool take_credentials(const struct maker *maker, const struct settings_channel *source,
                             struct channel *channel)
{
    char error[SETTINGS_ERROR_SIZE];
    struct channel_table *table = maker->table;
    return channel_read_credentials(source, table->arena, &table->accounts, channel, error) ||
           fail(maker, source, "%s", error);
}

static bool take_road(const struct maker *maker, const struct settings_channel *source,
                      struct channel *channel)
{
    channel->road = (struct exchange_road){.ca_file = source->ca, .proxy = source->proxy};
    if (source->ca != NULL && access(source->ca, R_OK) != 0)
        return fail(maker, source, "has the \"ca\" \"%.120s\", which cannot be read: %s",
                    source->ca, strerror(errno));
    struct exchange_header *headers =
        arena_alloc(maker->table->arena, source->n_headers * sizeof(*headers) + 1);
    if (headers == NULL)
        return fail(maker, source, "is too large");
    for (size_t i = 0; i < source->n_headers; i++)
        headers[i] = (struct exchange_header){source->headers[i].name, source->headers[i].value};
    channel->headers = headers;
    channel->n_headers = source->n_headers;
    return true;
}

/* Where it may call back; what nobody can reach, or no adapter passes on, is not left to be found out later. */
static bool take_callback(const struct maker *maker, const struct settings_channel *source,
                          struct channel *channel)
{
    if (!source->callback)
        return true;
    if (!channel->can_call_back)
        return fail(maker, source,
                    "has \"callback: true\", but the adapter \"%s\" passes no address on; leave it "
                    "out",
                    source->adapter);
    const char *base = maker->settings->public_url;
    if (base == NULL || *base == '\0')
        return fail(maker, source,
                    "has \"callback: true\", which needs \"public_url\": the address under which "
                    "the upstream reaches filmgate");
    channel->callback_base = base;
    return true;
}

/* The operator knows his contract better than the adapter does. */
static void set_pace(const struct settings_channel *source, struct channel *channel)
{
    if (source->poll_first > 0)
        channel->poll_first_ms = source->poll_first;
    if (source->poll_every > 0)
        channel->poll_every_ms = source->poll_every;
    if (channel->poll_longest_ms < channel->poll_every_ms)
        channel->poll_longest_ms = channel->poll_every_ms;
}

static bool take_upstream(const struct maker *maker, const struct settings_channel *source,
                          struct channel *channel)
{
    const struct settings *settings = maker->settings;
    char error[SETTINGS_ERROR_SIZE];
    channel->adapter =
        maker->adapters != NULL ? adapter_find(maker->adapters, source->adapter) : NULL;
    if (channel->adapter == NULL)
        return fail_adapter(maker, source);
    const json_t *about = about_of(maker, source, channel->adapter);
    if (about == NULL)
        return false;
    if (!channel_read_about(about, maker->table->arena, channel, error))
        return fail(maker, source, "cannot use the adapter \"%s\": %s", source->adapter, error);
    channel->connect_ms = settings->upstream_connect;
    channel->exchange_total_ms = settings->upstream_exchange;
    channel->concurrency = source->concurrency;
    channel->submits_per_minute = source->submits_per_minute;
    channel->polls_per_minute = source->polls_per_minute;
    set_pace(source, channel);
    channel->on_unknown =
        strcmp(source->on_unknown, "resubmit") == 0 ? TASK_UNKNOWN_RESUBMIT : TASK_UNKNOWN_HOLD;
    channel->is_strict = strcmp(source->fit, "strict") == 0;
    channel->options = source->options;
    return take_base_url(maker, source, channel) && take_credentials(maker, source, channel) &&
           take_road(maker, source, channel) && take_callback(maker, source, channel);
}

/* Keeps channels of equal priority in their order. */
static void insert_by_priority(struct channel_table *table, const struct channel *channel)
{
    size_t at = table->n_channels++;
    for (; at > 0 && table->channels[at - 1].priority < channel->priority; at--)
        table->channels[at] = table->channels[at - 1];
    table->channels[at] = *channel;
}

static bool add_channel(const struct maker *maker, const struct settings_channel *source)
{
    struct channel channel = {
        .name = source->name,
        .priority = source->priority,
        .weight = source->weight,
        .is_drained = source->drain,
    };
    if (!take_models(maker, source, &channel))
        return false;
    bool is_command = strcmp(source->adapter, COMMAND) == 0;
    if (!is_command && (source->command.count > 0 || source->n_command_env > 0))
        return fail(maker, source,
                    "has a \"command\" or \"command_env\", which only the adapter \"%s\" runs",
                    COMMAND);
    bool is_taken = is_command ? take_command(maker, source, &channel)
                    : strcmp(source->adapter, BUILTIN) == 0
                        ? take_builtin(maker, source, &channel)
                        : take_upstream(maker, source, &channel);
    if (is_taken)
        insert_by_priority(maker->table, &channel);
    return is_taken;
}

/* ---- the table ---- */

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
        room += table->channels[i].n_models;
    table->names = must_calloc(room, sizeof(*table->names));
    for (size_t i = 0; i < table->n_channels; i++) {
        const struct channel *channel = &table->channels[i];
        for (size_t k = 0; k < channel->n_models && !channel->is_drained; k++) {
            const char *name = channel->models[k].pattern;
            if (strchr(name, '*') == NULL && !has_name(table, name))
                table->names[table->n_names++] = name;
        }
    }
}

static void make_catch_all(struct channel_table *table)
{
    const struct channel all = {
        .name = BUILTIN,
        .is_animatic = true,
        .weight = 1,
        .models = &EVERYTHING,
        .n_models = 1,
    };
    insert_by_priority(table, &all);
    table->names = must_calloc(ARRAY_LENGTH(FAMILY), sizeof(*table->names));
    for (; table->n_names < ARRAY_LENGTH(FAMILY); table->n_names++)
        table->names[table->n_names] = FAMILY[table->n_names];
}

struct channel_table *channel_table_new(const struct settings *settings,
                                        const struct adapter_set *adapters,
                                        char ret_error[SETTINGS_ERROR_SIZE])
{
    struct channel_table *table = must_calloc(1, sizeof(*table));
    const struct maker maker = {table, settings, adapters, ret_error};
    table->references = 1;
    table->arena = arena_new(MEMORY_BYTES);
    table->channels = must_calloc(settings->n_channels + 1, sizeof(*table->channels));
    table->said = must_calloc(settings->n_channels + 1, sizeof(*table->said));
    for (size_t i = 0; i < settings->n_channels; i++) {
        if (!add_channel(&maker, &settings->channels[i]))
            return channel_table_free(table);
    }
    if (table->n_channels == 0)
        make_catch_all(table);
    else
        collect_names(table);
    return table;
}

struct channel_table *channel_table_ref(struct channel_table *table)
{
    reference_take(&table->references);
    return table;
}

struct channel_table *channel_table_free(struct channel_table *table)
{
    if (table == NULL || !reference_drop(&table->references))
        return NULL;
    for (size_t i = 0; i < table->n_said; i++)
        json_decref(table->said[i].about);
    channel_accounts_fini(&table->accounts);
    free(table->said);
    free(table->channels);
    free_pointer(&table->names);
    arena_free(table->arena);
    free(table);
    return NULL;
}

/* ---- look-ups ---- */

/* After a mismatch only the last star needs to take more, so the work is bounded by the product of both lengths. */
bool channel_matches(const char *pattern, const char *text)
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

size_t channel_count(const struct channel_table *table)
{
    return table->n_channels;
}

const struct channel *channel_at(const struct channel_table *table, size_t index)
{
    must(index < table->n_channels);
    return &table->channels[index];
}

const struct channel *channel_named(const struct channel_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_channels; i++) {
        if (strcmp(table->channels[i].name, name) == 0)
            return &table->channels[i];
    }
    return NULL;
}

const struct channel_credential *channel_credential_named(const struct channel *channel,
                                                          const char *name)
{
    for (size_t i = 0; i < channel->n_credentials; i++) {
        if (strcmp(channel->credentials[i].name, name) == 0)
            return &channel->credentials[i];
    }
    return NULL;
}

bool channel_is_local(const struct channel *channel)
{
    return channel->is_animatic || channel->program.n_argv > 0;
}

const char *channel_engine(const struct channel *channel)
{
    if (channel->is_animatic)
        return BUILTIN;
    return channel->program.n_argv > 0 ? COMMAND : adapter_name(channel->adapter);
}

bool channel_serves(const struct channel *channel, const char *model, const char **ret_upstream)
{
    for (size_t i = 0; i < channel->n_models; i++) {
        const struct channel_model *candidate = &channel->models[i];
        if (!channel_matches(candidate->pattern, model))
            continue;
        *ret_upstream = candidate->upstream != NULL ? candidate->upstream : model;
        return true;
    }
    return false;
}

bool channel_is_served(const struct channel_table *table, const char *model)
{
    const char *upstream;
    for (size_t i = 0; i < table->n_channels; i++) {
        if (!table->channels[i].is_drained && channel_serves(&table->channels[i], model, &upstream))
            return true;
    }
    return false;
}

size_t channel_model_names(const struct channel_table *table, const char *const **ret_names)
{
    *ret_names = table->names;
    return table->n_names;
}
