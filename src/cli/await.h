/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for a task's end, asking again and again, with a progress line on a terminal. */
#pragma once

#include <jansson.h>

#include "base/compiler.h"
#include "cli/client.h"

/* Asks once. As client_call(). */
CHECKED enum client_outcome await_query(struct client *client, const char *id,
                                        struct client_answer *ret_answer);
/* Who wants to see the answers before the last one; each is borrowed. */
struct await_watcher {
    void (*see)(void *context, const json_t *view);
    void *context;
};

/* Returns CLI_OK once the task has ended, however it did, with its last view (the caller's). Else
 * an exit status, after complaining: refused, interrupted (the task goes on), or the gateway was
 * away for over a minute. `watcher` may be NULL. */
CHECKED int await_end(struct client *client, const char *id, const struct await_watcher *watcher,
                      json_t **ret_view);
/* Of an ended task: CLI_OK or CLI_TASK_FAILED. */
int await_verdict(const json_t *view);
/* Says why a task failed; nothing of one that did not. */
void await_explain(const json_t *view);
