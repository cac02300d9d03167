/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate links`. It holds the data directory's lock while it works, so no server signs with a
 * key that is on its way out, and a key's last link is no younger than the rotation. One thread. */
#include "cli/links.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "asset/link_keys.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "cli/verbs.h"
#include "engine/engine.h"
#include "store/store.h"

static const char HELP[] =
    "Usage: filmgate links rotate [--force]\n"
    "\n"
    "Makes a new key for signing links. Links that were signed with the key before keep working\n"
    "until they expire; from the next start on, new links are signed with the new one.\n"
    "\n"
    "The server must not run meanwhile: stop it, rotate, start it again.\n"
    "\n"
    "Only two keys are kept, so another rotation must wait until the last link of the key before\n"
    "has expired (`links.valid_for` after the last rotation); until then it is refused.\n"
    "\n"
    "To get rid of a key that others may know, rotate twice, the second time with --force: then\n"
    "all links that were given out until now are dead, and a query gives new ones.\n"
    "\n"
    "Options:\n"
    "      --force              rotate although links of the key before last may still live;\n"
    "                           they die now\n"
    "  -d, --data DIR           the data directory (default: the configuration's, else ./var)\n"
    "  -c, --config FILE        the configuration file\n"
    "  -h, --help               show this help\n"
    "\n"
    "Examples:\n"
    "  filmgate links rotate --data /var/lib/filmgate\n"
    "\n"
    "Exit status:\n"
    "  0    done\n"
    "  2    wrong usage or configuration\n"
    "  3    refused: too early, without --force\n"
    "  5    trouble on this machine: the data directory, its keys, or a server that runs on it\n";

enum { OPTION_FORCE = LOCAL_OPTION_NEXT, PATH_BYTES = 4096 };

static const struct option LONG_OPTIONS[] = {{"force", no_argument, NULL, OPTION_FORCE},
                                             LOCAL_OPTIONS};

struct order {
    struct local_order local;
    bool is_forced;
};

/* A wrong directory should not get a lock and a database from us. */
static int find_key(const char *data)
{
    CLEANUP(buf_fini) struct buf file;
    buf_init(&file, PATH_BYTES);
    buf_printf(&file, "%s/link.key", data);
    if (access(buf_text(&file), F_OK) == 0)
        return CLI_OK;
    return cli_complain(CLI_LOCAL,
                        "there is no link.key in \"%s\": %s (the first `serve` makes it)", data,
                        strerror(errno));
}

/* CLI_OK with the longest life that a link may have, or an exit status after complaining. */
static int read_longest_life(const struct settings *settings, int64_t *ret_longest_ms)
{
    const char *data = settings->data;
    struct store *store = NULL;
    char error[STORE_ERROR_SIZE] = "";
    if (store_open(data, &store, error) != 0)
        return cli_complain(CLI_LOCAL, "%s", error);
    int fault = engine_longest_valid_for(store, settings, ret_longest_ms);
    store_close(store);
    if (fault < 0)
        return local_complain_store(fault);
    return CLI_OK;
}

static int rotate_keys(const char *data, bool is_forced, int64_t longest_ms)
{
    int64_t until_s = 0;
    char error[LINK_KEYS_ERROR_SIZE] = "";
    char until[CLOCK_ISO_SECONDS_SIZE];
    int outcome = link_keys_rotate(data, longest_ms, clock_wall_ms(), is_forced, &until_s, error);
    if (outcome < 0)
        return cli_complain(CLI_LOCAL, "%s", error);
    clock_iso_seconds(until_s, until);
    if (outcome == LINK_TOO_EARLY)
        return cli_complain(CLI_REFUSED,
                            "links of the key before this one may live until %s: rotate after "
                            "that, or with --force, and they die now",
                            until);
    if (outcome == LINK_ROTATED_EARLY)
        fprintf(stderr,
                "rotated; links of the key before last, which could live until %s, are dead\n",
                until);
    else
        fprintf(stderr, "rotated; links given out until now work until they expire, by %s\n",
                until);
    return CLI_OK;
}

static int rotate(void *context, const char *argument)
{
    const struct order *order = context;
    struct settings *settings = local_load_settings(&order->local);
    (void)argument; /* there is none */
    if (settings == NULL)
        return CLI_USAGE;
    int lock = -1;
    int64_t longest_ms = 0;
    int status = find_key(settings->data);
    if (status == CLI_OK)
        status = local_lock_directory(settings->data, &lock);
    if (status == CLI_OK)
        status = read_longest_life(settings, &longest_ms);
    if (status == CLI_OK)
        status = rotate_keys(settings->data, order->is_forced, longest_ms);
    close_fd(&lock);
    settings_free(settings);
    return status;
}

static int take_option(void *context, int option)
{
    struct order *order = context;
    if (option != OPTION_FORCE)
        return local_take_option(&order->local, option);
    order->is_forced = true;
    return CLI_OK;
}

static const char *const NAMES[] = {"rotate", NULL};
static verbs_run_fn *const RUNS[] = {rotate};

static const struct verbs VERBS = {
    .options = {"links", ":d:c:h", LONG_OPTIONS, HELP, take_option},
    .names = NAMES,
    .runs = RUNS,
    .n_arguments = 0,
};

int links_main(int argc, char **argv)
{
    struct order order = {0};
    return verbs_run(&VERBS, argc, argv, &order);
}
