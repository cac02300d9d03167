/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of `filmgate adapters` share. Nobody else includes this. */
#pragma once

#include "cli/adapters.h"
#include "cli/local.h"
#include "upstream/adapter.h"

struct adapters_order {
    struct local_order local; /* `config` and `json` of it */
    const char *folder;       /* of the operator; else the configuration's. NULL: none */
    const char *golden;
    bool source;
};

/* An adapter, or the folder of them, that cannot be used. Returns the exit status. */
int adapters_complain_invalid(const char *sentence);
int adapters_complain_unknown(const struct adapter_set *set, const char *name);
/* NULL after complaining; `*ret_status` is why. */
struct adapter_set *adapters_open(const struct adapters_order *order, int *ret_status);
/* `adapters test`, in cli/adapters_test.c, as a verbs_run_fn. */
int adapters_test(void *order, const char *word);
