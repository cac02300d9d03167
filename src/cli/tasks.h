/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that speak to a running gateway about tasks. Each takes its own name and arguments, as a
 * main() does, and returns an exit status. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "cli/client.h"

int create_main(int argc, char **argv); /* cli/create.c */
int query_main(int argc, char **argv);
int watch_main(int argc, char **argv);    /* cli/watch.c */
int list_main(int argc, char **argv);     /* cli/list.c */
int remove_main(int argc, char **argv);   /* cli/remove.c */
int timeline_main(int argc, char **argv); /* cli/timeline.c */
int cancel_main(int argc, char **argv);

/* What a command about one task was told. */
struct tasks_order {
    const char *id;
    struct client_order server;
};
typedef int tasks_run_fn(struct client *client, const struct tasks_order *order);
/* Such a command: reads its options and the id, then runs it with a client. Returns its exit status. */
int tasks_run_on_one(const char *command, const char *help, tasks_run_fn *run, int argc,
                     char **argv);
/* Shows an answer to a query, for people or whole. */
void tasks_show(const json_t *view, bool as_json);
