/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the step share: the scene of one step, the door through which a task's state changes, and the events
 * of an attempt at an upstream. For task/step*.c alone. */
#pragma once

#include "task/step.h"

/* What one step knows. `now_ms` has been lifted to the last time that the task tells, so that a wall clock
 * set back cannot turn the task's times around; `wall_ms` is the clock as it is. */
struct scene {
    const struct task *task;
    const struct task_event *event;
    const struct task_policy *policy;
    int64_t now_ms, wall_ms;
    struct task_step *step;
};

/* What most steps are about: committed, and the task is done with, or goes back to the queue. */
enum {
    SCENE_LET_GO = TASK_EFFECT_STOP | TASK_EFFECT_RELEASE,
    SCENE_END = TASK_EFFECT_PERSIST | TASK_EFFECT_FORGET,
    SCENE_REQUEUE = TASK_EFFECT_PERSIST | SCENE_LET_GO | TASK_EFFECT_ENQUEUE,
};

/* Between submitting and an end: an attempt is at work. */
bool scene_is_under_way(enum task_state state);
/* So, and at an upstream. */
bool scene_is_upstream(const struct task *task);

/* A copy that carries a change which clients can see; at most one copy is made in a step. */
struct task *scene_change(const struct scene *scene);
/* A copy that carries a change of which clients see nothing. */
struct task *scene_change_quietly(const struct scene *scene);
/* The door: nothing else assigns a task's state. */
struct task *scene_move(const struct scene *scene, enum task_state to, unsigned effects);
struct task *scene_move_to_rendering(const struct scene *scene, unsigned effects);
/* Ends the task as failed, or cancelled. */
struct task *scene_end(const struct scene *scene, enum task_failure failure, const char *note,
                       unsigned effects);
/* Another attempt is worth its wait only if it can begin before the deadline; otherwise the owner learns the cause now
 * instead of a deadline later. An attempt at an upstream ends as `closed`. */
void scene_retry_or_fail(const struct scene *scene, enum task_failure failure, bool may_retry,
                         enum attempt_state closed);
void scene_close_attempt(const struct scene *scene, struct task *task, enum attempt_state state);

/* What happens to an attempt at an upstream (task/step_upstream.c): events, and what other events mean for it. */
void upstream_begin(const struct scene *scene, struct task *task); /* written ahead */
void upstream_accepted(const struct scene *scene);
void upstream_turned_away(const struct scene *scene);
void upstream_answer_lost(const struct scene *scene);
void upstream_gone(const struct scene *scene);
void upstream_confirmed(const struct scene *scene);
void upstream_kept(const struct scene *scene);
void upstream_renewed(const struct scene *scene);
void upstream_cancel_closed(const struct scene *scene);
void upstream_rendered(const struct scene *scene);
void upstream_failed(const struct scene *scene);
/* Its task ends for a reason from outside. `may_work`: a process before us has not left it behind. */
void upstream_end(const struct scene *scene, enum task_failure failure, bool may_work);
/* Found at the start of the process: its task unfinished, or ended. */
void upstream_take_up(const struct scene *scene);
void upstream_take_up_end(const struct scene *scene);
/* It has a job there that it can ask for, done or not. */
bool upstream_may_have_video(const struct task *task);
/* Whether a submit, whose answer is lost, was taken can be asked by the id that we chose. */
bool upstream_can_confirm(const struct scene *scene);
/* An answer about the job itself, whatever it says, confirms it. */
bool upstream_is_confirmed_by_this(const struct task *task);
void upstream_accept(const struct scene *scene, struct task *task);
