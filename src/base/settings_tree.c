/* SPDX-License-Identifier: Apache-2.0
 *
 * From nodes of the YAML tree to values: places, texts with what the environment adds, lists. What is kept
 * lies in the arena of the result. Any thread. */
#include "base/settings_tree.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"

enum { VALUE_BYTES = 64 * 1024 }; /* one value, after replacing ${NAME} */

struct settings_place settings_place_of(struct fy_node *node, struct settings_place fallback)
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

bool settings_is_null(struct fy_node *node)
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
                         bool may_have_lines, struct settings_place place)
{
    size_t length;
    const char *text = fy_node_get_scalar(node, &length);
    if (text == NULL || !codec_is_utf8(text, length)) {
        settings_fail(reader, place, "%s is not a text", subject);
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        bool is_line = may_have_lines && (text[i] == '\n' || text[i] == '\t');
        if (((unsigned char)text[i] < 0x20 && !is_line) || text[i] == 0x7f) {
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

const char *settings_value_text(struct settings_reader *reader, struct fy_node *node,
                                const struct settings_row *row, struct settings_place place,
                                bool *ret_secret)
{
    char subject[SETTINGS_KEY_BYTES + 3];
    snprintf(subject, sizeof(subject), "\"%.*s\"", SETTINGS_KEY_BYTES, row->path);
    const char *text = scalar_text(reader, node, subject, row->type == SETTINGS_TREE, place);
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
        return settings_fail(reader, settings_place_of(node, place),
                             "\"%s\" must be a list of texts", row->path);
    int count = fy_node_sequence_item_count(node);
    if (count > SETTINGS_ITEMS_MAX)
        return settings_fail(reader, place, "\"%s\" holds more than %d items", row->path,
                             SETTINGS_ITEMS_MAX);
    const char **items = arena_alloc(reader->whole->arena, (size_t)count * sizeof(*items) + 1);
    if (items == NULL)
        return settings_fail_memory(reader, place);
    struct settings_list list = {items, 0};
    void *at = NULL;
    for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at)) != NULL;) {
        struct settings_place here = settings_place_of(item, place);
        if (!fy_node_is_scalar(item) || fy_node_is_alias(item) || settings_is_null(item))
            return settings_fail(reader, here, "\"%s\" must be a list of texts", row->path);
        const char *text = settings_value_text(reader, item, row, here, ret_secret);
        if (text == NULL)
            return false;
        if (*text == '\0')
            return settings_fail(reader, here, "\"%s\" holds an empty text", row->path);
        items[list.count++] = text;
    }
    memcpy((char *)base + row->offset, &list, sizeof(list));
    return true;
}

bool settings_read_value(struct settings_reader *reader, void *base, const struct settings_row *row,
                         struct fy_node *node, struct settings_place key, bool *ret_secret)
{
    struct settings_place place = settings_place_of(node, key);
    if (settings_is_null(node))
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
    bool is_secret = false;
    const char *text = settings_value_text(reader, node, row, place, &is_secret);
    if (text == NULL)
        return false;
    reader->is_hidden = is_secret;
    bool is_set = settings_set_scalar(reader, base, row, text, place);
    reader->is_hidden = false;
    *ret_secret = *ret_secret || is_secret;
    return is_set;
}

const char *settings_key_path(struct settings_reader *reader, struct fy_node *key,
                              const char *prefix, struct settings_place place)
{
    if (key == NULL || !fy_node_is_scalar(key) || fy_node_is_alias(key)) {
        settings_fail(reader, place, "the name of a setting must be a text");
        return NULL;
    }
    const char *text = scalar_text(reader, key, "the name of a setting", false, place);
    if (text == NULL || *prefix == '\0')
        return text;
    const char *path = arena_printf(reader->whole->arena, "%s.%s", prefix, text);
    if (path == NULL)
        settings_fail_memory(reader, place);
    return path;
}
