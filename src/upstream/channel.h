/* SPDX-License-Identifier: Apache-2.0
 *
 * Which engine serves a model. Channels come from the configuration; while none is configured, one catch-all channel
 * gives every model name to the built-in animatic engine. Animatic is never an implicit fallback: with channels
 * configured, a model that none of them names is unknown. Immutable after channel_table_new(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/settings.h"

struct channel {
    const char *name;
    bool is_builtin; /* the animatic engine */
    struct settings_list models;
    int64_t priority;
};

struct channel_table;

/* NULL with a sentence naming file and line when a channel's adapter is unknown. `settings` must outlive the table. */
struct channel_table *channel_table_new(const struct settings *settings,
                                        char ret_error[SETTINGS_ERROR_SIZE]);
struct channel_table *channel_table_free(struct channel_table *table);
/* The channel for a model, by priority, then order in the file; NULL when none serves it. `*` in a pattern matches any run of characters. */
const struct channel *channel_for_model(const struct channel_table *table, const char *model);
bool channel_is_catch_all(const struct channel_table *table); /* no channel is configured */
/* The names for GET /v1/models: what the configuration lists (wildcards left out), or, with the catch-all, the well-known names of the family. */
size_t channel_model_names(const struct channel_table *table, const char *const **ret_names);
