/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that hold several: `filmgate COMMAND VERB [ARGUMENT] [OPTION]...`. Options stand anywhere, `-h` among them. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "cli/cli.h"

struct cli_verbs {
    struct cli_options options;
    const char *const *names; /* of the verbs, NULL-terminated */
    int n_arguments;          /* behind the verb, at most: 0 or 1 */
};

/* cli_read_options(), then the verb, by its place among the names, and what stands behind it (NULL: nothing). */
CHECKED bool cli_read_verb(const struct cli_verbs *verbs, int argc, char **argv, void *order,
                           size_t *ret_verb, const char **ret_argument, int *ret_status);
