/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of a task's state. Invariants: every move stands in the table of moves; a change never happens in place; the
 * revision grows with each. Pure: any thread. */
#include "task/step_scene.h"

#include <string.h>

#include "base/codec.h"
#include "base/must.h"
#include "task/policy.h"

bool scene_is_under_way(enum task_state state)
{
    return state == TASK_SUBMITTING || state == TASK_RENDERING || state == TASK_FETCHING;
}

bool scene_is_upstream(const struct task *task)
{
    return scene_is_under_way(task->state) && !task->is_local;
}

struct task *scene_change_quietly(const struct scene *scene)
{
    must(scene->step->task == NULL);
    struct task *task = task_copy(scene->task);
    task->revision++;
    scene->step->task = task;
    return task;
}

struct task *scene_change(const struct scene *scene)
{
    struct task *task = scene_change_quietly(scene);
    task->status_update_ms = scene->now_ms;
    return task;
}

struct task *scene_move(const struct scene *scene, enum task_state to, unsigned effects)
{
    must(task_state_can_move(scene->task->state, to));
    struct task *task = scene_change(scene);
    task->state = to;
    task->not_before_ms = 0;
    if (task_state_is_end(to))
        task->ended_ms = scene->now_ms;
    scene->step->effects = effects;
    return task;
}

struct task *scene_move_to_rendering(const struct scene *scene, unsigned effects)
{
    struct task *task = scene_move(scene, TASK_RENDERING, effects);
    if (task->started_ms == 0)
        task->started_ms = scene->now_ms;
    return task;
}

static void set_note(struct task *task, const char *note)
{
    if (note == NULL)
        return;
    char cut[TASK_NOTE_SIZE];
    size_t length = codec_utf8_fit(note, TASK_NOTE_SIZE - 1);
    memcpy(cut, note, length);
    cut[length] = '\0';
    shared_text_set(&task->failure_note, cut);
}

struct task *scene_end(const struct scene *scene, enum task_failure failure, const char *note,
                       unsigned effects)
{
    must(failure != TASK_FAILURE_NONE);
    struct task *task = scene_move(
        scene, failure == TASK_FAILURE_CANCELLED ? TASK_CANCELLED : TASK_FAILED, effects);
    task->failure = failure;
    set_note(task, note);
    return task;
}

void scene_close_attempt(const struct scene *scene, struct task *task, enum attempt_state state)
{
    must(!attempt_is_open(state));
    task->attempt.state = state;
    task->attempt.closed_ms = scene->now_ms;
}

void scene_retry_or_fail(const struct scene *scene, enum task_failure failure, bool may_retry,
                         enum attempt_state closed)
{
    const struct task *old = scene->task;
    const struct task_policy *policy = scene->policy;
    const int64_t not_before_ms =
        scene->now_ms +
        policy_backoff(policy->backoff_base_ms, policy->backoff_max_ms, old->attempts, 0);
    may_retry =
        may_retry && old->attempts < policy->max_attempts && not_before_ms < old->deadline_ms;
    struct task *task =
        may_retry ? scene_move(scene, TASK_QUEUED, SCENE_REQUEUE)
                  : scene_end(scene, failure, scene->event->note, SCENE_END | SCENE_LET_GO);
    if (may_retry)
        task->not_before_ms = not_before_ms;
    if (scene_is_upstream(old))
        scene_close_attempt(scene, task, closed);
}
