/* SPDX-License-Identifier: Apache-2.0
 *
 * From a video in the spool to a result in the store: its variants are made in a helper, then all of its files are
 * stored. Whatever breaks it off before that leaves nothing behind. On the loop's thread. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "engine/room.h"
#include "media/media.h"
#include "task/step.h"

struct result;
struct results; /* all of one engine, in a line: each helper takes a core and memory */

/* At most so many helpers at once. */
struct results *results_new(int most);
/* No other begins: for the end of the engine. */
void results_close(struct results *results);
/* None may be under way. Takes NULL, returns NULL. */
struct results *results_free(struct results *results);

enum { RESULT_REASON_SIZE = 300 };

/* Borrowed. */
struct result_outcome {
    const struct task_result *result; /* what stands in the store; NULL: something went wrong: */
    enum task_failure failure;
    bool may_retry;     /* the same video may do another time */
    const char *note;   /* for clients; NULL: the failure says it */
    const char *reason; /* for operators */
};

struct result_handler {
    /* Once, never from within result_start(). */
    void (*done)(void *context, const struct result_outcome *outcome);
    void *context;
};

/* Begins when its turn has come. `source` (a file of the caller's, open as long as this lives) holds the video. `room` must outlive it. */
struct result *result_start(const struct engine_room *room, const struct task *task, int source,
                            const struct result_handler *handler);
/* Ends it without its callback; files that it stored, wholly or half, are erased, unless `is_kept`: the task has them as its
 * result. Storing cannot be broken off: it ends by itself, later. Takes NULL, returns NULL. */
struct result *result_stop(struct result *result, bool is_kept);

/* The limits of a media helper. */
struct media_limits result_limits(const struct settings *settings);
/* What the end of a helper means for the task: NONE when it did its work. */
enum task_failure result_failure_of(enum media_end end, bool *ret_may_retry, bool *ret_has_note);
/* Logs that `work` (`rendering`) has failed, and says so for operators. Not of a helper that did its work. */
void result_explain(const struct task *task, enum media_end end, const char *work, const char *note,
                    char ret_reason[RESULT_REASON_SIZE]);
