/* SPDX-License-Identifier: Apache-2.0
 *
 * Of a channel, what an operator's program is called with: `command` and `command_env`. Whether it is there is for
 * upstream/channel.h to see. Any thread. */
#include "base/settings_tree.h"

#include <string.h>

bool settings_read_command(struct settings_reader *reader, struct fy_node *node,
                           struct settings_place place, struct settings_draft *draft)
{
    static const struct settings_row row = {
        "channels.command", SETTINGS_TEXT, NULL, 0, 0, "", "", 0, false};
    if (!fy_node_is_sequence(node))
        return settings_fail(reader, settings_place_of(node, place),
                             "\"channels.command\" must be a list: a program and its arguments "
                             "(like [/opt/sd/run.sh, --steps, \"20\"])");
    const char **words =
        settings_room(reader, fy_node_sequence_item_count(node), SETTINGS_COMMAND_MAX,
                      sizeof(*words), "channels.command", place);
    if (words == NULL)
        return false;
    size_t count = 0;
    void *at = NULL;
    for (struct fy_node *item; (item = fy_node_sequence_iterate(node, &at)) != NULL; count++) {
        if (!settings_read_value(reader, &words[count], &row, item, place, &draft->is_secret))
            return false;
    }
    draft->channel.command = (struct settings_list){words, count};
    return true;
}

/* A name of [A-Za-z0-9_] that does not begin with a digit. */
static bool check_variable(const struct settings_reader *reader,
                           UNUSED const struct settings_header *before, UNUSED size_t n_before,
                           const char *name, struct settings_place place)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t length = strspn(name, letters);
    bool is_variable =
        length > 0 && length <= 128 && name[length] == '\0' && (*name < '0' || *name > '9');
    return is_variable || settings_fail(reader, place, "\"%.*s\" cannot be the name of a variable",
                                        SETTINGS_SHOWN_BYTES, name);
}

bool settings_read_command_env(struct settings_reader *reader, struct fy_node *node,
                               struct settings_place place, struct settings_draft *draft)
{
    static const struct settings_pairs variables = {
        "channels.command_env", "{HF_HOME: /var/cache/hf}", SETTINGS_COMMAND_MAX, check_variable};
    return settings_read_pairs(reader, node, place, &variables, &draft->channel.command_env,
                               &draft->channel.n_command_env);
}

/* Both go to the helper in one message. */
bool settings_check_command(struct settings_reader *reader, const struct settings_channel *channel,
                            struct settings_place place)
{
    size_t bytes = 0;
    for (size_t i = 0; i < channel->command.count; i++)
        bytes += strlen(channel->command.items[i]) + 1;
    for (size_t i = 0; i < channel->n_command_env; i++)
        bytes += strlen(channel->command_env[i].name) + strlen(channel->command_env[i].value) + 2;
    return bytes <= SETTINGS_COMMAND_BYTES ||
           settings_fail(reader, place,
                         "\"command\" and \"command_env\" of the channel \"%s\" hold more than %d "
                         "bytes",
                         channel->name, SETTINGS_COMMAND_BYTES);
}
