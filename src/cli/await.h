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

/* Is this a failure to wait out, after the gateway was away for so long? Anything but a plain refusal or a stranger's answer. */
bool await_can_go_on(enum client_outcome outcome, const struct client_answer *answer,
                     int64_t away_ms);
struct progress;
/* Complains, and says how to go on with what is waited for (`id`: one or more, with blanks between). An exit status. */
int await_give_up(struct progress *progress, const struct client *client,
                  enum client_outcome outcome, const struct client_answer *answer, const char *id);
/* Somebody may be looking: once, the first time that no answer comes. */
void await_say_away(struct progress *progress, const struct client_answer *answer, bool *has_said);
/* Returns CLI_OK once the task has ended, however it did, with its last view (the caller's). Else
 * an exit status, after complaining: refused, interrupted (the task goes on), or the gateway was
 * away for over a minute. `watcher` may be NULL. */
CHECKED int await_end(struct client *client, const char *id, const struct await_watcher *watcher,
                      json_t **ret_view);
/* Of an ended task: CLI_OK or CLI_TASK_FAILED. */
int await_verdict(const json_t *view);
/* Says why a task failed; nothing of one that did not. */
void await_explain(const json_t *view);
