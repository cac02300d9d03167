/* SPDX-License-Identifier: Apache-2.0
 *
 * The list `channels:` of the configuration. Each entry is read into a draft, key by key, and looked at as a
 * whole at its end. What is kept lies in the arena of the result, but for the options, which are JSON and
 * belong to the settings. Any thread. */
#include "base/settings_tree.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/must.h"

/* A credential while it is read. */
struct credential_draft {
    struct settings_credential credential;
    const char *key_file;
    struct settings_place key_file_place;
};

static const struct settings_row MODEL_ROWS[] = {
    {"channels.models.name", SETTINGS_TEXT, NULL, 0, 0, "", "",
     offsetof(struct settings_model, name), false},
    {"channels.models.upstream", SETTINGS_TEXT, NULL, 0, 0, "", "",
     offsetof(struct settings_model, upstream), false},
};
static const struct settings_row CREDENTIAL_ROWS[] = {
    {"channels.credentials.name", SETTINGS_TEXT, NULL, 0, 0, "", "",
     offsetof(struct settings_credential, name), false},
    {"channels.credentials.key", SETTINGS_TEXT, NULL, 0, 0, "", "",
     offsetof(struct settings_credential, key), true},
    {"channels.credentials.key_file", SETTINGS_TEXT, NULL, 0, 0, "", "",
     offsetof(struct credential_draft, key_file), false},
    {"channels.credentials.secret", SETTINGS_TEXT, NULL, 0, 0, "", "",
     offsetof(struct settings_credential, secret), true},
};
static const struct settings_rows model_rows = {MODEL_ROWS, ARRAY_LENGTH(MODEL_ROWS)};
static const struct settings_rows credential_rows = {CREDENTIAL_ROWS,
                                                     ARRAY_LENGTH(CREDENTIAL_ROWS)};

/* ---- groups ---- */

/* Reads a group whose keys are all of `rows` into the struct at `base`; `ret_place` is where it begins. */
static bool read_group(struct settings_reader *reader, struct fy_node *node,
                       const struct settings_rows *rows, void *base,
                       struct settings_place *ret_place, bool *ret_secret)
{
    void *at = NULL;
    bool is_first = true;
    const char *prefix = rows == &model_rows ? "channels.models" : "channels.credentials";
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(node, &at)) != NULL;) {
        struct settings_place place = settings_place_of(fy_node_pair_key(pair), *ret_place);
        if (is_first)
            *ret_place = place;
        is_first = false;
        const char *path = settings_key_path(reader, fy_node_pair_key(pair), prefix, place);
        if (path == NULL)
            return false;
        const struct settings_row *row = settings_find_row(rows, path);
        if (row == NULL)
            return settings_fail_unknown(reader, rows, path, place);
        if (rows == &credential_rows && row->offset == offsetof(struct credential_draft, key_file))
            ((struct credential_draft *)base)->key_file_place =
                settings_place_of(fy_node_pair_value(pair), place);
        if (!settings_read_value(reader, base, row, fy_node_pair_value(pair), place, ret_secret))
            return false;
    }
    return true;
}

void *settings_room(struct settings_reader *reader, int count, int most, size_t size,
                    const char *path, struct settings_place place)
{
    if (count > most) {
        settings_fail(reader, place, "\"%s\" holds more than %d items", path, most);
        return NULL;
    }
    void *room = arena_alloc(reader->whole->arena, (size_t)count * size + 1);
    if (room == NULL)
        settings_fail_memory(reader, place);
    return room;
}

/* ---- models ---- */

static bool read_model(struct settings_reader *reader, struct fy_node *node,
                       struct settings_place outer, struct settings_model *model, bool *ret_secret)
{
    struct settings_place place = settings_place_of(node, outer);
    if (fy_node_is_mapping(node)) {
        if (!read_group(reader, node, &model_rows, model, &place, ret_secret))
            return false;
        if (model->name == NULL)
            return settings_fail(reader, place,
                                 "a model must be a text, or a group of \"name\" and \"upstream\"");
        return true;
    }
    if (!fy_node_is_scalar(node) || fy_node_is_alias(node) || settings_is_null(node))
        return settings_fail(reader, place,
                             "a model must be a text, or a group of \"name\" and \"upstream\"");
    return settings_read_value(reader, model, &MODEL_ROWS[0], node, outer, ret_secret);
}

static bool read_models(struct settings_reader *reader, struct fy_node *node,
                        struct settings_place place, struct settings_draft *draft)
{
    struct settings_channel *channel = &draft->channel;
    if (!fy_node_is_sequence(node))
        return settings_fail(reader, settings_place_of(node, place),
                             "\"channels.models\" must be a list of models");
    struct settings_model *models =
        settings_room(reader, fy_node_sequence_item_count(node), SETTINGS_ITEMS_MAX,
                      sizeof(*models), "channels.models", place);
    if (models == NULL)
        return false;
    channel->models = models;
    void *at = NULL;
    for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at)) != NULL;) {
        struct settings_model *model = &models[channel->n_models];
        if (!read_model(reader, item, place, model, &draft->is_secret))
            return false;
        for (size_t i = 0; i < channel->n_models; i++) {
            if (strcmp(models[i].name, model->name) == 0)
                return settings_fail(reader, settings_place_of(item, place),
                                     "the model \"%.*s\" stands twice in this channel",
                                     SETTINGS_SHOWN_BYTES, model->name);
        }
        channel->n_models++;
    }
    return true;
}

/* ---- credentials ---- */

/* A key from its file stands in the place of one in the configuration. `place` is the credential's, `file_place` where the
 * file is named. */
static bool read_key_file(struct settings_reader *reader, const char *file,
                          struct settings_credential *credential, struct settings_place place,
                          struct settings_place file_place)
{
    if (file == NULL)
        return true;
    if (credential->key != NULL)
        return settings_fail(reader, place,
                             "the credential \"%s\" has \"key\" and \"key_file\"; keep one of them",
                             credential->name);
    credential->key = settings_read_key_file(reader, file, file_place);
    credential->file = settings_path(reader, file, file_place);
    return credential->key != NULL && credential->file != NULL;
}

static bool read_credential(struct settings_reader *reader, struct fy_node *node,
                            struct settings_place outer, struct settings_draft *draft,
                            struct settings_credential *credential)
{
    const struct settings_channel *channel = &draft->channel;
    struct settings_place place = settings_place_of(node, outer);
    struct credential_draft read = {0};
    if (!fy_node_is_mapping(node))
        return settings_fail(reader, place,
                             "a credential must be a group of \"name\", \"key\" and, where the "
                             "upstream wants one, \"secret\"");
    if (!read_group(reader, node, &credential_rows, &read, &place, &draft->is_secret))
        return false;
    *credential = read.credential;
    if (credential->name == NULL || (credential->key == NULL && read.key_file == NULL))
        return settings_fail(reader, place, "a credential must have \"name\" and \"key\"");
    if (!read_key_file(reader, read.key_file, credential, place, read.key_file_place))
        return false;
    for (size_t i = 0; i < channel->n_credentials; i++) {
        if (strcmp(channel->credentials[i].name, credential->name) == 0)
            return settings_fail(reader, place,
                                 "the credential \"%s\" stands twice in this channel",
                                 credential->name);
    }
    return true;
}

static bool read_credentials(struct settings_reader *reader, struct fy_node *node,
                             struct settings_place place, struct settings_draft *draft)
{
    struct settings_channel *channel = &draft->channel;
    if (!fy_node_is_sequence(node) || fy_node_sequence_item_count(node) == 0)
        return settings_fail(reader, settings_place_of(node, place),
                             "\"channels.credentials\" must be a list of credentials, at least "
                             "one");
    struct settings_credential *credentials =
        settings_room(reader, fy_node_sequence_item_count(node), SETTINGS_CREDENTIALS_MAX,
                      sizeof(*credentials), "channels.credentials", place);
    if (credentials == NULL)
        return false;
    channel->credentials = credentials;
    void *at = NULL;
    for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at)) != NULL;) {
        if (!read_credential(reader, item, place, draft, &credentials[channel->n_credentials]))
            return false;
        channel->n_credentials++;
    }
    return true;
}

/* `key` (or `key_file`) and `secret` of the channel itself are a credential, too. */
static bool take_key(struct settings_reader *reader, struct settings_draft *draft,
                     struct settings_place place)
{
    struct settings_channel *channel = &draft->channel;
    bool has_key = draft->key != NULL || draft->key_file != NULL;
    if (!has_key && draft->secret == NULL)
        return true;
    if (channel->credentials != NULL)
        return settings_fail(reader, place,
                             "the channel \"%s\" has \"%s\" and \"credentials\"; keep one of them",
                             channel->name,
                             draft->key != NULL ? "key"
                             : has_key          ? "key_file"
                                                : "secret");
    if (!has_key)
        return settings_fail(reader, place, "the channel \"%s\" has a \"secret\" without \"key\"",
                             channel->name);
    struct settings_credential *credential = arena_alloc(reader->whole->arena, sizeof(*credential));
    if (credential == NULL)
        return settings_fail_memory(reader, place);
    *credential = (struct settings_credential){"default", draft->key, draft->secret, NULL};
    channel->credentials = credential;
    channel->n_credentials = 1;
    return read_key_file(reader, draft->key_file, credential, place, draft->key_file_place);
}

/* ---- groups of texts ---- */

bool settings_read_pairs(struct settings_reader *reader, struct fy_node *node,
                         struct settings_place place, const struct settings_pairs *pairs,
                         const struct settings_header **ret_items, size_t *ret_count)
{
    const struct settings_row row = {
        pairs->path, SETTINGS_TEXT, NULL, 0, 0, "", "", offsetof(struct settings_header, value),
        true};
    if (!fy_node_is_mapping(node))
        return settings_fail(reader, settings_place_of(node, place),
                             "\"%s\" must be a group (like %s)", pairs->path, pairs->example);
    struct settings_header *items = settings_room(reader, fy_node_mapping_item_count(node),
                                                  pairs->most, sizeof(*items), pairs->path, place);
    if (items == NULL)
        return false;
    size_t count = 0;
    void *at = NULL;
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(node, &at)) != NULL; count++) {
        struct settings_place here = settings_place_of(fy_node_pair_key(pair), place);
        const char *name = settings_key_path(reader, fy_node_pair_key(pair), "", here);
        bool is_secret = false;
        if (name == NULL || !pairs->check_name(reader, items, count, name, here) ||
            !settings_read_value(reader, &items[count], &row, fy_node_pair_value(pair), here,
                                 &is_secret))
            return false;
        items[count].name = name;
    }
    *ret_items = items;
    *ret_count = count;
    return true;
}

/* ---- headers ---- */

/* Those that hold the message together, which are made for each request. */
static bool is_framing(const char *name)
{
    static const char *const framing[] = {
        "Connection", "Content-Length",    "Expect", "Host", "Keep-Alive",
        "TE",         "Transfer-Encoding", "Upgrade"};
    for (size_t i = 0; i < ARRAY_LENGTH(framing); i++) {
        if (strcasecmp(framing[i], name) == 0)
            return true;
    }
    return false;
}

static bool check_header_name(const struct settings_reader *reader,
                              const struct settings_header *before, size_t n_before,
                              const char *name, struct settings_place place)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~";
    size_t length = strspn(name, token);
    if (length == 0 || length > 128 || name[length] != '\0')
        return settings_fail(reader, place,
                             "\"%.*s\" cannot be the name of a header; use letters, digits and -",
                             SETTINGS_SHOWN_BYTES, name);
    if (is_framing(name))
        return settings_fail(reader, place,
                             "the header \"%s\" is made for each request and cannot be set", name);
    for (size_t i = 0; i < n_before; i++) {
        if (strcasecmp(before[i].name, name) == 0)
            return settings_fail(reader, place, "the header \"%s\" stands twice in this channel",
                                 name);
    }
    return true;
}

static bool read_headers(struct settings_reader *reader, struct fy_node *node,
                         struct settings_place place, struct settings_draft *draft)
{
    static const struct settings_pairs headers = {"channels.headers", "{X-Team: video}",
                                                  SETTINGS_CHANNEL_HEADERS_MAX, check_header_name};
    return settings_read_pairs(reader, node, place, &headers, &draft->channel.headers,
                               &draft->channel.n_headers);
}

/* ---- options ---- */

static bool read_options(struct settings_reader *reader, struct fy_node *node,
                         struct settings_place place, struct settings_draft *draft)
{
    static const struct settings_row row = {
        "channels.options", SETTINGS_TREE, NULL, 0, 0, "", "", 0, false};
    draft->channel.options = settings_read_options(reader, node, &row, place);
    return draft->channel.options != NULL;
}

/* What the file says goes under what the configuration says, group by group. */
static bool merge_options_file(struct settings_reader *reader, struct settings_draft *draft)
{
    struct settings_channel *channel = &draft->channel;
    if (draft->options_file != NULL) {
        json_t *options =
            settings_read_options_file(reader, draft->options_file, draft->options_file_place);
        if (options == NULL)
            return false;
        must(channel->options == NULL ||
             json_object_update_recursive(options, channel->options) == 0);
        json_decref(channel->options);
        channel->options = options;
    }
    if (channel->options == NULL)
        channel->options = json_object();
    must(channel->options != NULL);
    return true;
}

/* ---- a channel ---- */

typedef bool read_tree_fn(struct settings_reader *reader, struct fy_node *node,
                          struct settings_place place, struct settings_draft *draft);

static const struct {
    const char *path;
    read_tree_fn *read;
} TREES[] = {
    {"channels.models", read_models},
    {"channels.credentials", read_credentials},
    {"channels.headers", read_headers},
    {"channels.options", read_options},
    {"channels.command", settings_read_command},
    {"channels.command_env", settings_read_command_env},
};

static bool read_tree(struct settings_reader *reader, struct fy_node *node,
                      const struct settings_row *row, struct settings_place place,
                      struct settings_draft *draft)
{
    if (settings_is_null(node))
        return settings_fail(reader, settings_place_of(node, place), "\"%s\" has no value",
                             row->path);
    if (fy_node_is_alias(node))
        return settings_fail(reader, place, "\"%s\" is an alias; write the value itself",
                             row->path);
    for (size_t i = 0; i < ARRAY_LENGTH(TREES); i++) {
        if (strcmp(TREES[i].path, row->path) == 0)
            return TREES[i].read(reader, node, place, draft);
    }
    must(false); /* each TREE has its reader */
    return false;
}

static bool read_key(struct settings_reader *reader, struct fy_node_pair *pair,
                     struct settings_place place, struct settings_draft *draft)
{
    struct fy_node *value = fy_node_pair_value(pair);
    const char *path = settings_key_path(reader, fy_node_pair_key(pair), "channels", place);
    if (path == NULL)
        return false;
    const struct settings_row *row = settings_find_row(&settings_channel_rows, path);
    if (row == NULL)
        return settings_fail_unknown(reader, &settings_channel_rows, path, place);
    struct settings_place value_place = settings_place_of(value, place);
    if (row->offset == offsetof(struct settings_draft, key_file))
        draft->key_file_place = value_place;
    else if (row->offset == offsetof(struct settings_draft, options_file))
        draft->options_file_place = value_place;
    draft->is_secret = false;
    bool is_read = row->type == SETTINGS_TREE
                       ? read_tree(reader, value, row, place, draft)
                       : settings_read_value(reader, draft, row, value, place, &draft->is_secret);
    if (draft->is_secret)
        draft->channel.from_environment |= UINT32_C(1) << (row - settings_channel_rows.items);
    return is_read;
}

static bool set_defaults(struct settings_reader *reader, struct settings_draft *draft)
{
    for (size_t i = 0; i < settings_channel_rows.count; i++) {
        const struct settings_row *row = &settings_channel_rows.items[i];
        if (row->fallback != NULL && !settings_set_from_text(reader, draft, row, row->fallback))
            return false;
    }
    return true;
}

/* Where nothing is said: a program may fill the one graphics card that there is. */
enum { JOBS_AT_ONCE = 4, PROGRAMS_AT_ONCE = 1 };

/* What only the whole of a channel tells. `place` is where it begins. */
static bool finish(struct settings_reader *reader, struct settings_draft *draft,
                   struct settings_place place)
{
    struct settings_channel *channel = &draft->channel;
    const struct settings *settings = &reader->whole->settings;
    channel->line = place.line;
    if (channel->name == NULL || channel->adapter == NULL || channel->n_models == 0)
        return settings_fail(reader, place,
                             "a channel must have \"name\", \"adapter\" and \"models\", at "
                             "least one model");
    for (size_t i = 0; i + 1 < settings->n_channels; i++) {
        if (strcmp(settings->channels[i].name, channel->name) == 0)
            return settings_fail(reader, place, "the channel \"%s\" stands already in line %d",
                                 channel->name, settings->channels[i].line);
    }
    if (channel->concurrency == 0)
        channel->concurrency =
            strcmp(channel->adapter, "command") == 0 ? PROGRAMS_AT_ONCE : JOBS_AT_ONCE;
    if (channel->ca != NULL && (channel->ca = settings_path(reader, channel->ca, place)) == NULL)
        return false;
    return settings_check_command(reader, channel, place) && take_key(reader, draft, place) &&
           merge_options_file(reader, draft);
}

static bool read_draft(struct settings_reader *reader, struct fy_node *node,
                       struct settings_place outer, struct settings_draft *draft)
{
    if (!fy_node_is_mapping(node))
        return settings_fail(reader, settings_place_of(node, outer),
                             "a channel must be a group of \"name\", \"adapter\", \"models\" and "
                             "what else is to be said of it");
    struct settings_place first = {0, 0};
    void *at = NULL;
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(node, &at)) != NULL;) {
        struct settings_place place = settings_place_of(fy_node_pair_key(pair), outer);
        if (first.line == 0)
            first = place;
        if (!read_key(reader, pair, place, draft))
            return false;
    }
    return finish(reader, draft, first.line > 0 ? first : outer);
}

bool settings_read_channels(struct settings_reader *reader, struct fy_node *node,
                            struct settings_place place)
{
    struct settings *settings = &reader->whole->settings;
    if (settings_is_null(node))
        return true;
    if (!fy_node_is_sequence(node))
        return settings_fail(reader, settings_place_of(node, place),
                             "\"channels\" must be a list of channels");
    struct settings_channel *channels =
        settings_room(reader, fy_node_sequence_item_count(node), SETTINGS_ITEMS_MAX,
                      sizeof(*channels), "channels", place);
    if (channels == NULL)
        return false;
    settings->channels = channels;
    void *at = NULL;
    for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at)) != NULL;) {
        struct settings_draft draft = {0};
        settings->n_channels++; /* from here on its options are freed with the settings */
        bool is_read = set_defaults(reader, &draft) && read_draft(reader, item, place, &draft);
        channels[settings->n_channels - 1] = draft.channel;
        if (!is_read)
            return false;
    }
    return true;
}
