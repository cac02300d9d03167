/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a task: what each event does in each state, and nothing else decides that. Invariants: a
 * task is sound before and after; progress and status_update_ms never fall; an end is never left. The
 * door is task/step_scene.c, what is only about upstreams task/step_upstream.c. Pure: the clock is an
 * argument; any thread, though only the engine publishes what comes out. */
#include "task/step.h"

#include <string.h>

#include "base/must.h"
#include "task/step_scene.h"

static const char *const event_names[TASK_EVENT_COUNT] = {
    [TASK_EVENT_SLOT_GRANTED] = "slot_granted",
    [TASK_EVENT_STARTED] = "started",
    [TASK_EVENT_PROGRESS] = "progress",
    [TASK_EVENT_RENDERED] = "rendered",
    [TASK_EVENT_STORED] = "stored",
    [TASK_EVENT_FAILED] = "failed",
    [TASK_EVENT_CANCEL] = "cancel",
    [TASK_EVENT_DEADLINE] = "deadline",
    [TASK_EVENT_RECOVERED] = "recovered",
    [TASK_EVENT_PARKED] = "parked",
    [TASK_EVENT_EXPIRED] = "expired",
    [TASK_EVENT_ERASED] = "erased",
    [TASK_EVENT_UNSERVED] = "unserved",
    [TASK_EVENT_ACCEPTED] = "accepted",
    [TASK_EVENT_TURNED_AWAY] = "turned_away",
    [TASK_EVENT_ANSWER_LOST] = "answer_lost",
    [TASK_EVENT_CONFIRMED] = "confirmed",
    [TASK_EVENT_KEPT] = "kept",
    [TASK_EVENT_GONE] = "gone",
    [TASK_EVENT_RENEWED] = "renewed",
    [TASK_EVENT_CANCEL_CLOSED] = "cancel_closed",
};

const char *task_event_name(enum task_event_kind kind)
{
    must((unsigned)kind < TASK_EVENT_COUNT);
    return event_names[kind];
}

/* The record of the last attempt makes room; that it may have cost something is not forgotten. */
static void clear_attempt(struct task *task)
{
    if (task->attempt.id[0] != '\0' && attempt_may_be_taken(task->attempt.state))
        task->may_have_cost = true;
    const int number = task->attempt.number;
    attempt_record_fini(&task->attempt);
    task->attempt.number = number;
}

static void on_slot_granted(const struct scene *scene)
{
    const struct task_event *event = scene->event;
    const char *channel = event->channel;
    if (scene->task->state != TASK_QUEUED)
        return;
    must(channel != NULL && channel[0] != '\0' && strlen(channel) < ATTEMPT_NAME_SIZE);
    must(event->is_local == (event->credential == NULL));
    must(event->is_local || !event->is_command);
    struct task *task = scene_move(scene, TASK_SUBMITTING, TASK_EFFECT_PERSIST | TASK_EFFECT_START);
    task->attempts++;
    if (strcmp(shared_text_of(task->channel), channel) != 0)
        shared_text_set(&task->channel, channel);
    task->is_local = event->is_local;
    task->is_command = event->is_command;
    clear_attempt(task);
    if (!event->is_local)
        upstream_begin(scene, task);
}

static void on_started(const struct scene *scene)
{
    if (scene->task->state == TASK_SUBMITTING && scene->task->is_local)
        (void)scene_move_to_rendering(scene, TASK_EFFECT_PERSIST);
}

static void on_failed(const struct scene *scene)
{
    const struct task_event *event = scene->event;
    if (!scene_is_under_way(scene->task->state))
        return;
    must(event->failure != TASK_FAILURE_NONE && event->failure != TASK_FAILURE_CANCELLED);
    if (scene_is_upstream(scene->task))
        upstream_failed(scene);
    else
        scene_retry_or_fail(scene, event->failure, event->may_retry, ATTEMPT_FAILED);
}

/* No effect follows from progress alone; the shell commits it before anyone sees it, as every change. */
static void on_progress(const struct scene *scene)
{
    const struct task *old = scene->task;
    double progress = scene->event->progress;
    if (progress > 1.0)
        progress = 1.0;
    /* NaN is not greater than anything. */
    const bool has_grown = old->state == TASK_RENDERING && progress > old->progress;
    const bool is_confirmed = upstream_is_confirmed_by_this(old);
    if (!has_grown && !is_confirmed)
        return;
    struct task *task = has_grown ? scene_change(scene) : scene_change_quietly(scene);
    if (has_grown)
        task->progress = progress;
    if (is_confirmed) {
        upstream_accept(scene, task);
        scene->step->effects = TASK_EFFECT_PERSIST;
    }
}

static void on_rendered(const struct scene *scene)
{
    if (scene->task->state != TASK_RENDERING)
        return;
    if (scene_is_upstream(scene->task))
        upstream_rendered(scene);
    else /* a program's place is free for the next one, while thumbnails are made */
        (void)scene_move(scene, TASK_FETCHING,
                         TASK_EFFECT_PERSIST | TASK_EFFECT_STORE_RESULT |
                             (scene->task->is_command ? (unsigned)TASK_EFFECT_VACATE : 0U));
}

static void on_stored(const struct scene *scene)
{
    if (scene->task->state != TASK_FETCHING)
        return;
    struct task *task = scene_move(scene, TASK_COMPLETED, SCENE_END | TASK_EFFECT_RELEASE);
    task->progress = 1.0;
    task->result = scene->event->result;
    if (scene_is_upstream(scene->task))
        scene_close_attempt(scene, task, ATTEMPT_FINISHED);
}

/* ---- ends from outside ---- */

/* A task in the queue may hold a slot: its request is being prepared. */
static void end_now(const struct scene *scene, enum task_failure failure)
{
    if (task_state_is_end(scene->task->state))
        return;
    if (scene_is_upstream(scene->task))
        upstream_end(scene, failure, true);
    else
        scene_end(scene, failure, NULL, SCENE_END | SCENE_LET_GO);
}

static void on_cancel(const struct scene *scene)
{
    end_now(scene, TASK_FAILURE_CANCELLED);
}

/* The last look may be minutes old, a process before us may have been away for hours, and the answer to a submit may say
 * that it is done. */
static void on_deadline(const struct scene *scene)
{
    if (!scene->event->is_final && scene_is_upstream(scene->task))
        scene->step->effects = TASK_EFFECT_LOOK;
    else
        end_now(scene, TASK_FAILURE_DEADLINE);
}

/* ---- the process's own coming and going ---- */

/* Back to the queue at no cost: the interruption was ours, so the attempt is not charged. What
 * clients saw of it (started_ms, progress) stays. */
static void requeue_free(const struct scene *scene, unsigned effects)
{
    struct task *task = scene_move(scene, TASK_QUEUED, effects);
    task->attempts--;
}

/* What may have been made meanwhile is taken up, late or not: DEADLINE follows. */
static void on_recovered(const struct scene *scene)
{
    const struct task *task = scene->task;
    const bool is_late = scene->wall_ms >= task->deadline_ms;
    if (task_state_is_end(task->state)) {
        upstream_take_up_end(scene);
    } else if (scene_is_upstream(task)) {
        if (is_late && !upstream_may_have_video(task) && !upstream_can_confirm(scene))
            upstream_end(scene, TASK_FAILURE_DEADLINE, false);
        else
            upstream_take_up(scene);
    } else if (is_late) {
        scene_end(scene, TASK_FAILURE_DEADLINE, NULL, SCENE_END);
    } else if (task->state == TASK_QUEUED) {
        scene->step->effects = TASK_EFFECT_ENQUEUE;
    } else {
        requeue_free(scene, TASK_EFFECT_PERSIST | TASK_EFFECT_ENQUEUE);
    }
}

/* The upstream's work goes on while we are away, and its state is durable. */
static void on_parked(const struct scene *scene)
{
    if (scene_is_under_way(scene->task->state) && scene->task->is_local)
        requeue_free(scene, TASK_EFFECT_PERSIST | SCENE_LET_GO);
}

static void on_expired(const struct scene *scene)
{
    if (!task_state_is_end(scene->task->state) || scene->task->expired_ms != 0)
        return;
    struct task *task = scene_change(scene);
    task->expired_ms = scene->now_ms;
    scene->step->effects = TASK_EFFECT_PERSIST;
}

/* What is erased has expired, too: retention has nothing more to do with it. */
static void on_erased(const struct scene *scene)
{
    if (!task_state_is_end(scene->task->state) || scene->task->deleted_ms != 0)
        return;
    struct task *task = scene_change(scene);
    task->deleted_ms = scene->now_ms;
    if (task->expired_ms == 0)
        task->expired_ms = scene->now_ms;
    task_erase(task);
    scene->step->effects = TASK_EFFECT_PERSIST;
}

static void on_unserved(const struct scene *scene)
{
    const bool was_refused = scene->task->n_refused > 0;
    if (scene->task->state == TASK_QUEUED)
        scene_end(scene, was_refused ? TASK_FAILURE_UPSTREAM_REFUSED : TASK_FAILURE_CHANNEL_GONE,
                  NULL, SCENE_END);
}

/* What a wall clock set back may not go behind. */
static int64_t last_told_ms(const struct task *task)
{
    const int64_t times_ms[] = {task->attempt.begun_ms, task->attempt.accepted_ms,
                                task->attempt.closed_ms};
    int64_t last_ms = task->status_update_ms;
    for (size_t i = 0; i < ARRAY_LENGTH(times_ms); i++)
        last_ms = times_ms[i] > last_ms ? times_ms[i] : last_ms;
    return last_ms;
}

typedef void handler_fn(const struct scene *scene);

static handler_fn *const handlers[TASK_EVENT_COUNT] = {
    [TASK_EVENT_SLOT_GRANTED] = on_slot_granted,
    [TASK_EVENT_STARTED] = on_started,
    [TASK_EVENT_PROGRESS] = on_progress,
    [TASK_EVENT_RENDERED] = on_rendered,
    [TASK_EVENT_STORED] = on_stored,
    [TASK_EVENT_FAILED] = on_failed,
    [TASK_EVENT_CANCEL] = on_cancel,
    [TASK_EVENT_DEADLINE] = on_deadline,
    [TASK_EVENT_RECOVERED] = on_recovered,
    [TASK_EVENT_PARKED] = on_parked,
    [TASK_EVENT_EXPIRED] = on_expired,
    [TASK_EVENT_ERASED] = on_erased,
    [TASK_EVENT_UNSERVED] = on_unserved,
    [TASK_EVENT_ACCEPTED] = upstream_accepted,
    [TASK_EVENT_TURNED_AWAY] = upstream_turned_away,
    [TASK_EVENT_ANSWER_LOST] = upstream_answer_lost,
    [TASK_EVENT_CONFIRMED] = upstream_confirmed,
    [TASK_EVENT_KEPT] = upstream_kept,
    [TASK_EVENT_GONE] = upstream_gone,
    [TASK_EVENT_RENEWED] = upstream_renewed,
    [TASK_EVENT_CANCEL_CLOSED] = upstream_cancel_closed,
};

void task_step(const struct task *task, const struct task_event *event,
               const struct task_policy *policy, int64_t now_ms, struct task_step *ret)
{
    must(task_is_sound(task));
    must((unsigned)event->kind < TASK_EVENT_COUNT);
    struct task_step step = {.task = NULL, .effects = 0};
    struct scene scene = {
        .task = task,
        .event = event,
        .policy = policy,
        .now_ms = now_ms > last_told_ms(task) ? now_ms : last_told_ms(task),
        .wall_ms = now_ms,
        .step = &step,
    };
    handlers[event->kind](&scene);
    must(step.task == NULL || task_is_sound(step.task));
    *ret = step;
}
