/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that hold several: `filmgate COMMAND [VERB [ARGUMENT]] [OPTION]...`. Without a verb it is `list`, where there
 * is one. Options stand anywhere, `-h` among them. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "cli/cli.h"

/* Carries out a verb with what the options said; `argument` stands behind it (NULL: nothing). Returns an exit status. */
typedef int verbs_run_fn(void *order, const char *argument);

struct verbs {
    struct cli_options options;
    const char *const *names;  /* of the verbs, NULL-terminated */
    verbs_run_fn *const *runs; /* in the same order; NULL: the command calls verbs_read() itself */
    int n_arguments;           /* behind the verb, at most: 0 or 1 */
};

/* cli_read_options(), then the verb, by its place among the names, and what stands behind it (NULL: nothing). */
CHECKED bool verbs_read(const struct verbs *verbs, int argc, char **argv, void *order,
                        size_t *ret_verb, const char **ret_argument, int *ret_status);
/* Reads the verb, and runs it. Returns its exit status. */
int verbs_run(const struct verbs *verbs, int argc, char **argv, void *order);
