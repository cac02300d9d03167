/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file. libfyaml parses it into a tree that lives only while it is read; all that
 * stays is copied into the arena of the result. Aliases are refused, depth, lists and values are
 * bounded, so a small file is a small configuration. Any thread. */
#include "base/settings_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/must.h"

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
    return settings_read_value(reader, &whole->settings, row, value, place, &whole->secret[index]);
}

/* Recurses as deep as the table's paths go, no deeper. */
static bool read_group(struct settings_reader *reader, struct fy_node *node, const char *prefix)
{
    void *at = NULL;
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(node, &at)) != NULL;) {
        struct fy_node *value = fy_node_pair_value(pair);
        struct settings_place place =
            settings_place_of(fy_node_pair_key(pair), (struct settings_place){0, 0});
        const char *path = settings_key_path(reader, fy_node_pair_key(pair), prefix, place);
        if (path == NULL)
            return false;
        const struct settings_row *row = settings_find_row(&settings_rows, path);
        bool is_read;
        if (row != NULL)
            is_read = read_row(reader, row, value, place);
        else if (strcmp(path, "channels") == 0)
            is_read = settings_read_channels(reader, value, place);
        else if (!is_group(path))
            is_read = settings_fail_unknown(reader, &settings_rows, path, place);
        else if (settings_is_null(value))
            is_read = true;
        else if (fy_node_is_mapping(value))
            is_read = read_group(reader, value, path);
        else
            is_read = settings_fail(reader, settings_place_of(value, place),
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
    bool is_read = settings_is_null(root);
    if (root != NULL && fy_node_is_mapping(root))
        is_read = read_group(reader, root, "");
    else if (!is_read)
        settings_fail(
            reader, settings_place_of(root, (struct settings_place){1, 1}),
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

static bool say(char *ret_fault, const char *format, ...) PRINTF_LIKE(2, 3);

static bool say(char *ret_fault, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(ret_fault, SETTINGS_FAULT_SIZE, format, values);
    va_end(values);
    return false;
}

bool settings_read_all(int fd, struct buf *text, char ret_fault[SETTINGS_FAULT_SIZE])
{
    char piece[4096];
    for (ssize_t n; (n = read(fd, piece, sizeof(piece))) != 0;) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return say(ret_fault, "cannot be read: %s", strerror(errno));
        buf_add(text, piece, (size_t)n);
        if (text->overflowed)
            return say(ret_fault, "is larger than %zu bytes", text->max);
    }
    if (!codec_is_utf8(buf_text(text), text->length))
        return say(ret_fault, "is not a text in UTF-8");
    return true;
}

bool settings_read_file(struct settings_reader *reader)
{
    const struct settings_place nowhere = {0, 0};
    char fault[SETTINGS_FAULT_SIZE];
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, SETTINGS_FILE_MAX);
    CLEANUP(close_fd) int fd = open(reader->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return settings_fail(reader, nowhere, "cannot be opened: %s", strerror(errno));
    if (!settings_read_all(fd, &text, fault))
        return settings_fail(reader, nowhere, "%s", fault);
    return read_yaml(reader, &text);
}
