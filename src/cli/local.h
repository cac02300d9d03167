/* SPDX-License-Identifier: Apache-2.0
 *
 * What commands share that work on this machine: with the configuration file and the data directory, beside a running
 * server or without one. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include <limits.h>

#include "base/settings.h"
#include "cli/cli.h"
#include "store/store.h"

/* What such a command is told; NULL: nothing. What the command line says goes before the configuration. */
struct local_order {
    const char *config, *data, *listen;
    bool json; /* print JSON */
};
/* Their letters, and rows for getopt_long(): the last ones of a command's table. `listen` ('l') and `json` have rows of
 * their own where a command takes them. Letters of its own begin at LOCAL_OPTION_NEXT. */
enum { LOCAL_OPTION_JSON = 256, LOCAL_OPTION_NEXT };
#define LOCAL_OPTIONS                                                                              \
    {"data", required_argument, NULL, 'd'}, {"config", required_argument, NULL, 'c'},              \
        {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0},
/* CLI_OK, or CLI_USAGE for an option that is none of them. */
CHECKED int local_take_option(struct local_order *order, int option);

/* NULL with a sentence when the configuration does not load. */
struct settings *local_read_settings(const struct local_order *order,
                                     char ret_error[SETTINGS_ERROR_SIZE]);
/* The same; NULL after complaining: the exit status is CLI_USAGE. */
struct settings *local_load_settings(const struct local_order *order);

/* `path` from the root, for eyes: what it leads to, or for what is not there yet, where it would lie. */
void local_absolute(const char *path, char ret_path[PATH_MAX]);

/* Makes the data directory (mode 0700) unless it is there. CLI_OK, or CLI_LOCAL after complaining. */
CHECKED int local_make_directory(const char *directory);
/* Takes the lock that a server holds over its data directory: a descriptor, which holds it until it
 * is closed. CLI_OK, or CLI_LOCAL after complaining. */
CHECKED int local_lock_directory(const char *directory, int *ret_lock);

/* Opens the store of the data directory; `may_make`: directory and database are made when there are none. CLI_OK, or an
 * exit status after complaining. */
CHECKED int local_open_store(const struct local_order *order, bool may_make,
                             struct store **ret_store);
/* Tells what a store's function came to that neither worked nor has an outcome for people. Returns CLI_LOCAL. */
int local_complain_store(int result);

/* Descriptors that a server with these settings may need: every connection may hold a file besides
 * itself. */
long long local_descriptors_wanted(const struct settings *settings);
