/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel whose work an operator's program does: is what the configuration says of it right? The program is looked at once, when
 * the configuration is read. Any thread. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "upstream/channel_parts.h"

static bool check_program(const char *path, char error[SETTINGS_ERROR_SIZE])
{
    struct stat status;
    if (path[0] != '/')
        return channel_refuse(
            error,
            "has the program \"%.120s\", which must be an absolute path: nothing is "
            "searched for",
            path);
    if (stat(path, &status) != 0)
        return channel_refuse(error, "has the program \"%.120s\", which cannot be found: %s", path,
                              strerror(errno));
    if (!S_ISREG(status.st_mode) || access(path, X_OK) != 0)
        return channel_refuse(error, "has the program \"%.120s\", which is not an executable file",
                              path);
    return true;
}

bool channel_read_command(const struct settings_channel *source, struct arena *arena,
                          struct channel *channel, char ret_error[SETTINGS_ERROR_SIZE])
{
    const size_t n_words = source->command.count, n_variables = source->n_command_env;
    if (channel_has_upstream_settings(source))
        return channel_refuse(ret_error,
                              "runs a program, which needs no base_url, credentials, headers, "
                              "proxy, ca, callback, polls or limits a minute; leave them out");
    if (n_words == 0)
        return channel_refuse(ret_error,
                              "needs a \"command\": a program and its arguments, as a list");
    if (!check_program(source->command.items[0], ret_error))
        return false;
    const char **argv = arena_alloc(arena, (n_words + 1) * sizeof(*argv));
    const char **environment = arena_alloc(arena, (n_variables + 1) * sizeof(*environment));
    if (argv == NULL || environment == NULL)
        return channel_refuse(ret_error, "is too large");
    for (size_t i = 0; i < n_words; i++)
        argv[i] = source->command.items[i];
    for (size_t i = 0; i < n_variables; i++) {
        const struct settings_header *variable = &source->command_env[i];
        environment[i] = arena_printf(arena, "%s=%s", variable->name, variable->value);
        if (environment[i] == NULL)
            return channel_refuse(ret_error, "is too large");
    }
    channel->program =
        (struct command_program){argv, n_words, environment, n_variables, source->command_timeout};
    return true;
}
