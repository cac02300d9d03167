/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate dump`: the tables that the program is made of, as Markdown. */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* A table that a neighbour of this floor knows; main passes them. */
struct dump_table {
    const char *name;
    void (*write)(FILE *out);
};

int dump_main(int argc, char **argv, const struct dump_table *tables, size_t n_tables);
