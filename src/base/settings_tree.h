/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of the configuration's tree share among themselves (settings_yaml.c, settings_channels.c,
 * settings_command.c, settings_options.c). Nobody else includes this. */
#pragma once

#include <libfyaml.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "base/settings_row.h"

enum { SETTINGS_ITEMS_MAX = 1000 }; /* of a list or group */

/* Where a node begins. Only scalars know; lists and groups count as standing at their key. */
struct settings_place settings_place_of(struct fy_node *node, struct settings_place fallback);
/* An empty value, or the word for it. */
bool settings_is_null(struct fy_node *node);
/* A value's text with ${NAME} replaced; `ret_secret` becomes true when something was. Only those of a TREE row
 * may have lines. NULL after settings_fail(). */
const char *settings_value_text(struct settings_reader *reader, struct fy_node *node,
                                const struct settings_row *row, struct settings_place place,
                                bool *ret_secret);
/* Sets the row's field in the struct at `base`; any row but a TREE. `key` is where its key stands. */
CHECKED bool settings_read_value(struct settings_reader *reader, void *base,
                                 const struct settings_row *row, struct fy_node *node,
                                 struct settings_place key, bool *ret_secret);
/* `prefix.key`, or just the key; NULL after settings_fail(). */
const char *settings_key_path(struct settings_reader *reader, struct fy_node *key,
                              const char *prefix, struct settings_place place);

enum { SETTINGS_FAULT_SIZE = 120 };
/* All of a file in UTF-8, as far as `text` takes it. False with what is wrong with it («is not …»). */
CHECKED bool settings_read_all(int fd, struct buf *text, char ret_fault[SETTINGS_FAULT_SIZE]);

/* settings_channels.c: the list `channels:`. */
CHECKED bool settings_read_channels(struct settings_reader *reader, struct fy_node *node,
                                    struct settings_place place);
/* Room for what a list or group holds; NULL after settings_fail(). */
void *settings_room(struct settings_reader *reader, int count, int most, size_t size,
                    const char *path, struct settings_place place);
/* A group of texts, none of which is ever shown. */
struct settings_pairs {
    const char *path, *example;
    int most;
    /* May `name` follow the pairs before it? False after settings_fail(). */
    bool (*check_name)(const struct settings_reader *reader, const struct settings_header *before,
                       size_t n_before, const char *name, struct settings_place place);
};
CHECKED bool settings_read_pairs(struct settings_reader *reader, struct fy_node *node,
                                 struct settings_place place, const struct settings_pairs *pairs,
                                 const struct settings_header **ret_items, size_t *ret_count);
/* settings_command.c: `command`, `command_env`, and both together. */
CHECKED bool settings_read_command(struct settings_reader *reader, struct fy_node *node,
                                   struct settings_place place, struct settings_draft *draft);
CHECKED bool settings_read_command_env(struct settings_reader *reader, struct fy_node *node,
                                       struct settings_place place, struct settings_draft *draft);
CHECKED bool settings_check_command(struct settings_reader *reader,
                                    const struct settings_channel *channel,
                                    struct settings_place place);
/* settings_options.c: a group as JSON. NULL after settings_fail(); a new reference. */
json_t *settings_read_options(struct settings_reader *reader, struct fy_node *node,
                              const struct settings_row *row, struct settings_place place);
/* A JSON object from `file`, seen from the configuration's folder. As above. */
json_t *settings_read_options_file(struct settings_reader *reader, const char *file,
                                   struct settings_place place);
/* The key that stands in `file`, without the blanks and line ends around it. As above, in the arena. No error shows it. */
const char *settings_read_key_file(struct settings_reader *reader, const char *file,
                                   struct settings_place place);
/* A path in the configuration, seen from its folder, in the arena; NULL after settings_fail(). */
const char *settings_path(struct settings_reader *reader, const char *path,
                          struct settings_place place);
