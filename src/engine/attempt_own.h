/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rooms of an attempt share: attempt.c (inputs, animatic, result) and attempt_command.c (an operator's program).
 * Nobody else includes this. */
#pragma once

#include "engine/attempt.h"
#include "engine/inputs.h"
#include "engine/result.h"
#include "upstream/command.h"

struct attempt {
    const struct engine_room *room;
    const struct task *task;
    const struct channel *channel;
    struct attempt_handler handler;
    struct inputs *inputs;
    int video;               /* what is made */
    struct media_job *media; /* animatic works */
    struct command *command; /* a program works */
    struct loop_timer early; /* tells that there is no place for the video */
    struct result *result;
};

void attempt_tell(struct attempt *attempt, const struct task_event *event);
/* `note` is the client's, `reason` the operators'; NULL: what the failure is called says it. */
void attempt_tell_failure(struct attempt *attempt, enum task_failure failure, bool may_retry,
                          const char *note, const char *reason);

/* attempt_command.c: the inputs are there; runs the channel's program. */
void attempt_run_command(struct attempt *attempt);
