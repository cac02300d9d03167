/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration and the data directory, for commands. One thread. */
#include "cli/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

enum {
    PATH_BYTES = 4096,
    DESCRIPTORS_OWN = 1024, /* of a server: database, helpers, files, the rest */
};

int local_take_option(struct local_order *order, int option)
{
    switch (option) {
    case 'l':
        order->listen = optarg;
        return CLI_OK;
    case 'd':
        order->data = optarg;
        return CLI_OK;
    case 'c':
        order->config = optarg;
        return CLI_OK;
    case LOCAL_OPTION_JSON:
        order->json = true;
        return CLI_OK;
    default:
        return CLI_USAGE;
    }
}

struct settings *local_read_settings(const struct local_order *order,
                                     char ret_error[SETTINGS_ERROR_SIZE])
{
    const char *overrides[5] = {NULL};
    size_t count = 0;
    if (order->listen != NULL) {
        overrides[count++] = "listen";
        overrides[count++] = order->listen;
    }
    if (order->data != NULL) {
        overrides[count++] = "data";
        overrides[count++] = order->data;
    }
    return settings_load(order->config, overrides, ret_error);
}

struct settings *local_load_settings(const struct local_order *order)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    struct settings *settings = local_read_settings(order, error);
    if (settings == NULL)
        cli_complain(CLI_USAGE, "%s", error);
    return settings;
}

void local_absolute(const char *path, char ret_path[PATH_MAX])
{
    char here[PATH_MAX] = "";
    if (realpath(path, ret_path) != NULL)
        return;
    if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL)
        here[0] = '\0';
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    CLEANUP(buf_fini) struct buf whole;
    buf_init(&whole, PATH_MAX - 1);
    buf_printf(&whole, "%s%s%s", here, here[0] != '\0' ? "/" : "", path);
    memcpy(ret_path, buf_text(&whole), strlen(buf_text(&whole)) + 1);
}

int local_make_directory(const char *directory)
{
    if (mkdir(directory, 0700) == 0)
        return CLI_OK;
    if (errno != EEXIST)
        return cli_complain(CLI_LOCAL, "the data directory \"%s\" cannot be made: %s", directory,
                            strerror(errno));
    struct stat status;
    if (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode))
        return cli_complain(
            CLI_LOCAL, "\"%s\" is in the way: the data directory must be a directory", directory);
    return CLI_OK;
}

int local_lock_directory(const char *directory, int *ret_lock)
{
    CLEANUP(buf_fini) struct buf path;
    buf_init(&path, PATH_BYTES);
    buf_printf(&path, "%s/lock", directory);
    int lock = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return cli_complain(CLI_LOCAL, "\"%s\" cannot be opened: %s", buf_text(&path),
                            strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        *ret_lock = lock;
        return CLI_OK;
    }
    int error = errno;
    close(lock);
    if (error == EWOULDBLOCK)
        return cli_complain(CLI_LOCAL,
                            "another filmgate serves the data directory \"%s\"; stop it "
                            "or give this one --data of its own",
                            directory);
    return cli_complain(CLI_LOCAL, "\"%s\" cannot be locked: %s", buf_text(&path), strerror(error));
}

int local_open_store(const struct local_order *order, bool may_make, struct store **ret_store)
{
    struct settings *settings = local_load_settings(order);
    if (settings == NULL)
        return CLI_USAGE;
    CLEANUP(buf_fini) struct buf database;
    buf_init(&database, PATH_BYTES);
    buf_printf(&database, "%s/filmgate.db", settings->data);
    char error[STORE_ERROR_SIZE] = "";
    int status = CLI_OK;
    bool is_there = access(buf_text(&database), F_OK) == 0;
    if (may_make)
        status = local_make_directory(settings->data);
    else if (!is_there)
        status = cli_complain(CLI_LOCAL,
                              "there is no database in \"%s\": %s (`keys create` and "
                              "`serve` make one)",
                              settings->data, strerror(errno));
    if (status == CLI_OK && store_open(settings->data, ret_store, error) != 0)
        status = cli_complain(CLI_LOCAL, "%s", error);
    else if (status == CLI_OK && !is_there)
        cli_note("there was no database in \"%s\": it is made. If a gateway runs already, this is "
                 "not its data directory; --data or --config names it",
                 settings->data);
    settings_free(settings);
    return status;
}

int local_complain_store(int result)
{
    return cli_complain(CLI_LOCAL, "the database cannot be used: %s",
                        result < 0 ? strerror(-result) : "it is busy");
}

long long local_descriptors_wanted(const struct settings *settings)
{
    return (long long)settings->http_connections * 2 + DESCRIPTORS_OWN;
}
