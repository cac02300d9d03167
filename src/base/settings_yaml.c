/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file. libfyaml parses it into a tree that lives only while it is read; all that
 * stays is copied into the arena of the result. Aliases are refused, depth, lists and values are
 * bounded, so a small file is a small configuration. Any thread. */
#include "base/settings_row.h"

#include <errno.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/must.h"

enum {
    VALUE_BYTES = 64 * 1024, /* one value, after replacing ${NAME} */
    LIST_ITEMS = 1000,
};

/* ---- the tree ---- */

/* Where a node begins. Only scalars know; lists and groups count as standing at their key. */
static struct settings_place place_of(struct fy_node *node, struct settings_place fallback)
{
    struct fy_token *token =
        node != NULL && fy_node_is_scalar(node) ? fy_node_get_scalar_token(node) : NULL;
    const struct fy_mark *mark = token != NULL ? fy_token_start_mark(token) : NULL;
    if (mark == NULL)
        return fallback;
    enum fy_node_style style = fy_node_get_style(node);
    bool is_quoted = style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED;
    return (struct settings_place){mark->line + 1, mark->column + (is_quoted ? 0 : 1)};
}

/* An empty value, or the word for it. */
static bool is_null(struct fy_node *node)
{
    if (node == NULL || fy_node_is_null(node))
        return true;
    if (!fy_node_is_scalar(node) || fy_node_get_style(node) != FYNS_PLAIN)
        return false;
    size_t length;
    const char *text = fy_node_get_scalar(node, &length);
    return (length == 1 && text[0] == '~') || (length == 4 && strncasecmp(text, "null", 4) == 0);
}

/* The scalar's text in the arena; `subject` names it in errors. NULL after settings_fail(). */
static char *scalar_text(struct settings_reader *reader, struct fy_node *node, const char *subject,
                         struct settings_place place)
{
    size_t length;
    const char *text = fy_node_get_scalar(node, &length);
    if (text == NULL || !codec_is_utf8(text, length)) {
        settings_fail(reader, place, "%s is not a text", subject);
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            settings_fail(reader, place, "%s holds a line break or another control character",
                          subject);
            return NULL;
        }
    }
    char *kept = arena_strndup(reader->whole->arena, text, length);
    if (kept == NULL)
        settings_fail_memory(reader, place);
    return kept;
}

/* A value's text with ${NAME} replaced; NULL after settings_fail(). */
static const char *value_text(struct settings_reader *reader, struct fy_node *node,
                              const struct settings_row *row, struct settings_place place,
                              bool *ret_secret)
{
    char subject[SETTINGS_KEY_BYTES + 3];
    snprintf(subject, sizeof(subject), "\"%.*s\"", SETTINGS_KEY_BYTES, row->path);
    const char *text = scalar_text(reader, node, subject, place);
    if (text == NULL)
        return NULL;
    CLEANUP(buf_fini) struct buf expanded;
    buf_init(&expanded, VALUE_BYTES);
    char name[SETTINGS_NAME_SIZE];
    switch (settings_expand(text, &expanded, name)) {
    case SETTINGS_EXPANDED:
        *ret_secret = true;
        break;
    case SETTINGS_PLAIN:
        break;
    case SETTINGS_UNSET:
        settings_fail(reader, place, "%s names the environment variable \"%s\", which is not set",
                      subject, name);
        return NULL;
    case SETTINGS_BROKEN:
        settings_fail(reader, place,
                      "%s holds \"${\" without a name and \"}\"; write \"$${\" for the "
                      "characters themselves",
                      subject);
        return NULL;
    case SETTINGS_TOO_LONG:
        settings_fail(reader, place, "%s is longer than %d bytes", subject, VALUE_BYTES);
        return NULL;
    }
    const char *kept = arena_strndup(reader->whole->arena, buf_text(&expanded), expanded.length);
    if (kept == NULL)
        settings_fail_memory(reader, place);
    return kept;
}

static bool read_list(struct settings_reader *reader, void *base, const struct settings_row *row,
                      struct fy_node *node, struct settings_place place, bool *ret_secret)
{
    if (!fy_node_is_sequence(node))
        return settings_fail(reader, place_of(node, place), "\"%s\" must be a list of texts",
                             row->path);
    int count = fy_node_sequence_item_count(node);
    if (count > LIST_ITEMS)
        return settings_fail(reader, place, "\"%s\" holds more than %d items", row->path,
                             LIST_ITEMS);
    const char **items = arena_alloc(reader->whole->arena, (size_t)count * sizeof(*items) + 1);
    if (items == NULL)
        return settings_fail_memory(reader, place);
    struct settings_list list = {items, 0};
    void *at = NULL;
    for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at)) != NULL;) {
        struct settings_place here = place_of(item, place);
        if (!fy_node_is_scalar(item) || fy_node_is_alias(item) || is_null(item))
            return settings_fail(reader, here, "\"%s\" must be a list of texts", row->path);
        const char *text = value_text(reader, item, row, here, ret_secret);
        if (text == NULL)
            return false;
        if (*text == '\0')
            return settings_fail(reader, here, "\"%s\" holds an empty text", row->path);
        items[list.count++] = text;
    }
    memcpy((char *)base + row->offset, &list, sizeof(list));
    return true;
}

static bool read_value(struct settings_reader *reader, void *base, const struct settings_row *row,
                       struct fy_node *node, struct settings_place key, bool *ret_secret)
{
    struct settings_place place = place_of(node, key);
    if (is_null(node))
        return settings_fail(reader, place, "\"%s\" has no value; it must be %s", row->path,
                             settings_describe(row->type));
    if (fy_node_is_alias(node))
        return settings_fail(reader, place, "\"%s\" is an alias; write the value itself",
                             row->path);
    if (row->type == SETTINGS_LIST)
        return read_list(reader, base, row, node, key, ret_secret);
    if (!fy_node_is_scalar(node))
        return settings_fail(reader, place, "\"%s\" must be %s, not a %s", row->path,
                             settings_describe(row->type),
                             fy_node_is_sequence(node) ? "list" : "group");
    const char *text = value_text(reader, node, row, place, ret_secret);
    return text != NULL && settings_set_scalar(reader, base, row, text, place);
}

/* `prefix.key`, or just the key; NULL after settings_fail(). */
static const char *key_path(struct settings_reader *reader, struct fy_node *key, const char *prefix,
                            struct settings_place place)
{
    if (key == NULL || !fy_node_is_scalar(key) || fy_node_is_alias(key)) {
        settings_fail(reader, place, "the name of a setting must be a text");
        return NULL;
    }
    const char *text = scalar_text(reader, key, "the name of a setting", place);
    if (text == NULL || *prefix == '\0')
        return text;
    const char *path = arena_printf(reader->whole->arena, "%s.%s", prefix, text);
    if (path == NULL)
        settings_fail_memory(reader, place);
    return path;
}

/* ---- channels ---- */

static bool check_channel(struct settings_reader *reader, const struct settings_channel *channels,
                          size_t index, struct settings_place place)
{
    const struct settings_channel *channel = &channels[index];
    if (channel->name == NULL || channel->adapter == NULL || channel->models.count == 0)
        return settings_fail(reader, place,
                             "a channel must have \"name\", \"adapter\" and \"models\", at "
                             "least one model");
    for (size_t i = 0; i < index; i++) {
        if (strcmp(channels[i].name, channel->name) == 0)
            return settings_fail(reader, place, "the channel \"%s\" stands already in line %d",
                                 channel->name, channels[i].line);
    }
    return true;
}

static bool read_channel(struct settings_reader *reader, struct fy_node *node,
                         struct settings_place outer, struct settings_channel *channels,
                         size_t index)
{
    if (!fy_node_is_mapping(node))
        return settings_fail(reader, place_of(node, outer),
                             "a channel must be a group of \"name\", "
                             "\"adapter\", \"models\" and \"priority\"");
    struct settings_place first = {0, 0};
    void *at = NULL;
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(node, &at)) != NULL;) {
        struct settings_place place = place_of(fy_node_pair_key(pair), outer);
        if (first.line == 0)
            first = place;
        const char *path = key_path(reader, fy_node_pair_key(pair), "channels", place);
        if (path == NULL)
            return false;
        const struct settings_row *row = settings_find_row(&settings_channel_rows, path);
        bool is_secret = false;
        if (row == NULL)
            return settings_fail_unknown(reader, &settings_channel_rows, path, place);
        if (!read_value(reader, &channels[index], row, fy_node_pair_value(pair), place, &is_secret))
            return false;
    }
    channels[index].line = first.line > 0 ? first.line : outer.line;
    return check_channel(reader, channels, index, first.line > 0 ? first : outer);
}

static bool read_channels(struct settings_reader *reader, struct fy_node *node,
                          struct settings_place place)
{
    if (is_null(node))
        return true;
    if (!fy_node_is_sequence(node))
        return settings_fail(reader, place_of(node, place),
                             "\"channels\" must be a list of channels");
    int count = fy_node_sequence_item_count(node);
    if (count > LIST_ITEMS)
        return settings_fail(reader, place, "\"channels\" holds more than %d items", LIST_ITEMS);
    struct settings_channel *channels =
        arena_alloc(reader->whole->arena, (size_t)count * sizeof(*channels) + 1);
    if (channels == NULL)
        return settings_fail_memory(reader, place);
    void *at = NULL;
    size_t index = 0;
    for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at)) != NULL; index++) {
        if (!read_channel(reader, item, place, channels, index))
            return false;
    }
    reader->whole->settings.channels = channels;
    reader->whole->settings.n_channels = index;
    return true;
}

/* ---- the file ---- */

static bool is_group(const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < settings_rows.count; i++) {
        if (strncmp(settings_rows.items[i].path, path, length) == 0 &&
            settings_rows.items[i].path[length] == '.')
            return true;
    }
    return false;
}

static bool read_row(struct settings_reader *reader, const struct settings_row *row,
                     struct fy_node *value, struct settings_place place)
{
    struct settings_whole *whole = reader->whole;
    size_t index = (size_t)(row - settings_rows.items);
    if (whole->lines[index] != 0)
        return settings_fail(reader, place, "\"%s\" is already set in line %d", row->path,
                             whole->lines[index]);
    whole->lines[index] = place.line;
    return read_value(reader, &whole->settings, row, value, place, &whole->secret[index]);
}

/* Recurses as deep as the table's paths go, no deeper. */
static bool read_group(struct settings_reader *reader, struct fy_node *node, const char *prefix)
{
    void *at = NULL;
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(node, &at)) != NULL;) {
        struct fy_node *value = fy_node_pair_value(pair);
        struct settings_place place =
            place_of(fy_node_pair_key(pair), (struct settings_place){0, 0});
        const char *path = key_path(reader, fy_node_pair_key(pair), prefix, place);
        if (path == NULL)
            return false;
        const struct settings_row *row = settings_find_row(&settings_rows, path);
        bool is_read;
        if (row != NULL)
            is_read = read_row(reader, row, value, place);
        else if (strcmp(path, "channels") == 0)
            is_read = read_channels(reader, value, place);
        else if (!is_group(path))
            is_read = settings_fail_unknown(reader, &settings_rows, path, place);
        else if (is_null(value))
            is_read = true;
        else if (fy_node_is_mapping(value))
            is_read = read_group(reader, value, path);
        else
            is_read = settings_fail(reader, place_of(value, place),
                                    "\"%s\" must be a group of settings", path);
        if (!is_read)
            return false;
    }
    return true;
}

/* libfyaml says one error in several pieces; the first holds place and sentence. */
static void keep_first_line(struct fy_diag *diag, void *user, const char *text, size_t length)
{
    (void)diag;
    struct buf *first = user;
    if (first->length == 0)
        buf_add(first, text, strcspn(text, "\n") < length ? strcspn(text, "\n") : length);
}

/* Turns `<memory…>:3:7: error: what` into our form. */
static bool fail_yaml(const struct settings_reader *reader, const char *said)
{
    static const char MARK[] = ": error: ";
    struct settings_place place = {0, 0};
    const char *colon = strstr(said, ">:");
    if (colon != NULL) {
        char *end;
        long line = strtol(colon + 2, &end, 10);
        long column = *end == ':' ? strtol(end + 1, &end, 10) : 0;
        if (strncmp(end, MARK, sizeof(MARK) - 1) == 0) {
            place = (struct settings_place){(int)line, (int)column};
            said = end + sizeof(MARK) - 1;
        }
    }
    return settings_fail(reader, place, "not good YAML: %s", said);
}

/* The parser holds one document after the other; the first is the configuration. */
static bool read_document(struct settings_reader *reader, struct fy_parser *parser,
                          const struct buf *said)
{
    struct fy_document *document = fy_parse_load_document(parser);
    if (document == NULL)
        return said->length == 0 || fail_yaml(reader, buf_text(said));
    struct fy_node *root = fy_document_root(document);
    bool is_read = is_null(root);
    if (root != NULL && fy_node_is_mapping(root))
        is_read = read_group(reader, root, "");
    else if (!is_read)
        settings_fail(
            reader, place_of(root, (struct settings_place){1, 1}),
            "a configuration must be a group of settings (like \"listen: 127.0.0.1:8080\")");
    fy_parse_document_destroy(parser, document);
    struct fy_document *more = is_read ? fy_parse_load_document(parser) : NULL;
    if (more != NULL || (is_read && said->length > 0)) {
        is_read = more == NULL ? fail_yaml(reader, buf_text(said))
                               : settings_fail(reader, (struct settings_place){0, 0},
                                               "holds more than one document");
    }
    fy_parse_document_destroy(parser, more);
    return is_read;
}

static bool read_yaml(struct settings_reader *reader, const struct buf *text)
{
    CLEANUP(buf_fini) struct buf said;
    buf_init(&said, SETTINGS_ERROR_SIZE);
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.output_fn = keep_first_line;
    diag_config.user = &said;
    diag_config.level = FYET_ERROR;
    diag_config.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    must(diag != NULL);
    struct fy_parse_cfg config = {
        .flags = FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
        .diag = diag,
    };
    struct fy_parser *parser = fy_parser_create(&config);
    must(parser != NULL);
    bool is_read = fy_parser_set_string(parser, buf_text(text), text->length) == 0
                       ? read_document(reader, parser, &said)
                       : fail_yaml(reader, buf_text(&said));
    fy_parser_destroy(parser);
    fy_diag_unref(diag);
    return is_read;
}

static bool read_bytes(const struct settings_reader *reader, struct buf *text)
{
    const struct settings_place nowhere = {0, 0};
    CLEANUP(close_fd) int fd = open(reader->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return settings_fail(reader, nowhere, "cannot be opened: %s", strerror(errno));
    char piece[4096];
    for (ssize_t n; (n = read(fd, piece, sizeof(piece))) != 0;) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return settings_fail(reader, nowhere, "cannot be read: %s", strerror(errno));
        buf_add(text, piece, (size_t)n);
        if (text->overflowed)
            return settings_fail(reader, nowhere, "is larger than %d bytes", SETTINGS_FILE_MAX);
    }
    if (!codec_is_utf8(buf_text(text), text->length))
        return settings_fail(reader, nowhere, "is not a text in UTF-8");
    return true;
}

bool settings_read_file(struct settings_reader *reader)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, SETTINGS_FILE_MAX);
    return read_bytes(reader, &text) && read_yaml(reader, &text);
}
