/* SPDX-License-Identifier: Apache-2.0
 *
 * One way to read a command that holds several, and to complain of it. One thread. */
#include "cli/verbs.h"

#include <string.h>

#include "base/buf.h"

enum { NAMES_BYTES = 200 };

/* `create, list or revoke` */
static void list_names(const struct verbs *verbs, struct buf *names)
{
    for (const char *const *name = verbs->names; *name != NULL; name++) {
        bool is_last = name[1] == NULL;
        const char *before = name == verbs->names ? "" : is_last ? " or " : ", ";
        buf_printf(names, "%s%s", before, *name);
    }
}

bool verbs_read(const struct verbs *verbs, int argc, char **argv, void *order, size_t *ret_verb,
                const char **ret_argument, int *ret_status)
{
    const char *command = verbs->options.command;
    CLEANUP(buf_fini) struct buf names;
    buf_init(&names, NAMES_BYTES);
    list_names(verbs, &names);
    if (!cli_read_options(&verbs->options, argc, argv, order, ret_status))
        return false;
    const char *word = optind < argc ? argv[optind] : "list";
    int next = optind + 1 + verbs->n_arguments;
    if (next < argc) {
        *ret_status = cli_complain_usage(command, "what is \"%s\" for?", argv[next]);
        return false;
    }
    for (size_t i = 0; verbs->names[i] != NULL; i++) {
        if (strcmp(verbs->names[i], word) == 0) {
            *ret_verb = i;
            *ret_argument = optind < argc ? argv[optind + 1] : NULL; /* NULL at the end of argv */
            return true;
        }
    }
    *ret_status = optind < argc
                      ? cli_complain_usage(command, "there is no `%s %s`: %s", command, word,
                                           buf_text(&names))
                      : cli_complain_usage(command, "say what to do: %s", buf_text(&names));
    return false;
}

int verbs_run(const struct verbs *verbs, int argc, char **argv, void *order)
{
    size_t verb;
    const char *argument;
    int status;
    if (!verbs_read(verbs, argc, argv, order, &verb, &argument, &status))
        return status;
    return verbs->runs[verb](order, argument);
}
