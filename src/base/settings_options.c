/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of a channel as JSON: a group of the configuration, and a file beside it; and the file of a key. Both are bounded as
 * other JSON from outside is (base/json.h). A plain scalar that JSON knows as a number, true, false or
 * null is one, all else is a text; so `01`, `yes` and `0x10` are texts. Any thread. */
#include "base/settings_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/must.h"

enum { KEY_FILE_MAX = 64 * 1024 };

/* ---- a group ---- */

struct options {
    struct settings_reader *reader;
    const struct settings_row *row;
    long members_left;
};

static json_t *convert(struct options *options, struct fy_node *node, struct settings_place place,
                       int depth);

/* NULL: it is a text. */
static json_t *plain_value(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (value == NULL || json_is_number(value) || json_is_boolean(value) || json_is_null(value))
        return value;
    json_decref(value); /* quotes or brackets that the environment brought in */
    return NULL;
}

static json_t *convert_scalar(struct options *options, struct fy_node *node,
                              struct settings_place place)
{
    bool is_secret = false;
    if (settings_is_null(node))
        return json_null();
    const char *text = settings_value_text(options->reader, node, options->row, place, &is_secret);
    if (text == NULL)
        return NULL;
    json_t *value = fy_node_get_style(node) == FYNS_PLAIN ? plain_value(text) : NULL;
    if (value == NULL)
        value = json_string(text);
    if (value == NULL) /* the environment need not be UTF-8 */
        settings_fail(options->reader, place, "\"%s\" is not a text in UTF-8", options->row->path);
    return value;
}

static bool convert_pair(struct options *options, json_t *object, struct fy_node_pair *pair,
                         struct settings_place outer, int depth)
{
    struct fy_node *key = fy_node_pair_key(pair);
    struct settings_place place = settings_place_of(key, outer);
    const char *name = settings_key_path(options->reader, key, "", place);
    if (name == NULL)
        return false;
    json_t *value = convert(options, fy_node_pair_value(pair), place, depth + 1);
    if (value == NULL)
        return false;
    json_set(object, name, value);
    return true;
}

static json_t *convert_group(struct options *options, struct fy_node *node,
                             struct settings_place place, int depth)
{
    json_t *object = json_object();
    must(object != NULL);
    void *at = NULL;
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(node, &at)) != NULL;) {
        if (!convert_pair(options, object, pair, place, depth)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *convert_list(struct options *options, struct fy_node *node,
                            struct settings_place place, int depth)
{
    json_t *array = json_array();
    must(array != NULL);
    void *at = NULL;
    for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at)) != NULL;) {
        json_t *value = convert(options, item, place, depth + 1);
        if (value == NULL) {
            json_decref(array);
            return NULL;
        }
        json_add(array, value);
    }
    return array;
}

/* Recurses to JSON_DEPTH_LIMIT. NULL after settings_fail(). */
static json_t *convert(struct options *options, struct fy_node *node, struct settings_place outer,
                       int depth)
{
    struct settings_place place = settings_place_of(node, outer);
    const char *path = options->row->path;
    if (node != NULL && fy_node_is_alias(node)) {
        settings_fail(options->reader, place, "\"%s\" holds an alias; write the value itself",
                      path);
        return NULL;
    }
    if (depth > JSON_DEPTH_LIMIT || options->members_left-- <= 0) {
        settings_fail(options->reader, place,
                      "\"%s\" is too rich (at most %d levels, %d members and elements)", path,
                      JSON_DEPTH_LIMIT, JSON_MEMBERS_LIMIT);
        return NULL;
    }
    if (node != NULL && fy_node_is_mapping(node))
        return convert_group(options, node, place, depth);
    if (node != NULL && fy_node_is_sequence(node))
        return convert_list(options, node, place, depth);
    return convert_scalar(options, node, place);
}

json_t *settings_read_options(struct settings_reader *reader, struct fy_node *node,
                              const struct settings_row *row, struct settings_place place)
{
    struct options options = {reader, row, JSON_MEMBERS_LIMIT};
    if (node != NULL && !fy_node_is_alias(node) && !fy_node_is_mapping(node)) {
        settings_fail(reader, settings_place_of(node, place),
                      "\"%s\" must be a group (like {style: cinematic})", row->path);
        return NULL;
    }
    return convert(&options, node, place, 1);
}

/* ---- a file ---- */

const char *settings_path(struct settings_reader *reader, const char *path,
                          struct settings_place place)
{
    const char *slash = reader->file != NULL ? strrchr(reader->file, '/') : NULL;
    if (path[0] == '/' || slash == NULL)
        return path;
    const char *seen = arena_printf(reader->whole->arena, "%.*s/%s", (int)(slash - reader->file),
                                    reader->file, path);
    if (seen == NULL)
        settings_fail_memory(reader, place);
    return seen;
}

/* Opens nothing that could block or do something: a pipe, a device. Negative after settings_fail(). */
static int open_file(struct settings_reader *reader, const char *setting, const char *file,
                     struct settings_place place)
{
    struct stat status;
    const char *path = settings_path(reader, file, place);
    if (path == NULL)
        return -1;
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        settings_fail(reader, place, "\"%s\": \"%.*s\" cannot be opened: %s", setting,
                      SETTINGS_SHOWN_BYTES, file, strerror(errno));
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        settings_fail(reader, place, "\"%s\": \"%.*s\" is not a file", setting,
                      SETTINGS_SHOWN_BYTES, file);
        return -1;
    }
    int opened = fd;
    fd = -1;
    return opened;
}

/* All of it, as far as `text` takes it. */
static bool read_file(struct settings_reader *reader, const char *setting, const char *file,
                      struct settings_place place, struct buf *text)
{
    char fault[SETTINGS_FAULT_SIZE];
    CLEANUP(close_fd) int fd = open_file(reader, setting, file, place);
    if (fd < 0)
        return false;
    return settings_read_all(fd, text, fault) ||
           settings_fail(reader, place, "\"%s\": \"%.*s\" %s", setting, SETTINGS_SHOWN_BYTES, file,
                         fault);
}

json_t *settings_read_options_file(struct settings_reader *reader, const char *file,
                                   struct settings_place place)
{
    static const char setting[] = "channels.options_file";
    char error[JSON_ERROR_SIZE];
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, SETTINGS_FILE_MAX);
    if (!read_file(reader, setting, file, place, &text))
        return NULL;
    json_t *options = json_parse(buf_text(&text), text.length, error);
    if (options == NULL)
        settings_fail(reader, place, "\"%s\": \"%.*s\", %s", setting, SETTINGS_SHOWN_BYTES, file,
                      error);
    else if (!json_is_object(options))
        settings_fail(reader, place, "\"%s\": \"%.*s\" holds no JSON object", setting,
                      SETTINGS_SHOWN_BYTES, file);
    if (json_is_object(options))
        return options;
    json_decref(options);
    return NULL;
}

const char *settings_read_key_file(struct settings_reader *reader, const char *file,
                                   struct settings_place place)
{
    static const char setting[] = "channels.key_file";
    static const char blanks[] = " \t\r\n";
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, KEY_FILE_MAX);
    if (!read_file(reader, setting, file, place, &text))
        return NULL;
    const char *begin = buf_text(&text) + strspn(buf_text(&text), blanks);
    size_t length = strlen(begin);
    while (length > 0 && strchr(blanks, begin[length - 1]) != NULL)
        length--;
    const char *key = arena_strndup(reader->whole->arena, begin, length);
    if (key == NULL)
        settings_fail_memory(reader, place);
    const char *right = key != NULL ? settings_text_fault("channels.key", key) : NULL;
    if (right == NULL)
        return key;
    settings_fail(reader, place, "\"%s\": \"%.*s\" must hold one key: %s", setting,
                  SETTINGS_SHOWN_BYTES, file, right);
    return NULL;
}
