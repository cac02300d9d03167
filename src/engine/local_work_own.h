/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rooms of work done here share: local_work.c (inputs, animatic, result) and local_work_command.c (an operator's program).
 * Nobody else includes this. */
#pragma once

#include "engine/local_work.h"
#include "engine/inputs.h"
#include "engine/result.h"
#include "upstream/command.h"

struct local_work {
    const struct engine_room *room;
    const struct task *task;
    const struct channel *channel;
    struct local_work_handler handler;
    struct inputs *inputs;
    int video;               /* what is made */
    struct media_job *media; /* animatic works */
    struct command *command; /* a program works */
    struct loop_timer early; /* tells that there is no place for the video */
    struct result *result;
};

void local_work_tell(struct local_work *work, const struct task_event *event);
/* `note` is the client's, `reason` the operators'; NULL: what the failure is called says it. */
void local_work_tell_failure(struct local_work *work, enum task_failure failure, bool may_retry,
                             const char *note, const char *reason);

/* local_work_command.c: the inputs are there; runs the channel's program. */
void local_work_run_command(struct local_work *work);
