/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a task: what each event does in each state, and nothing else decides that. The state
 * is assigned in one place, move(), which holds the move against the table. Invariants: a task is
 * sound before and after; progress and status_update_ms never fall; an end is never left. Pure:
 * the clock is an argument; any thread, though only the engine publishes what comes out. */
#include "task/step.h"

#include <string.h>

#include "base/must.h"

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
    [TASK_EVENT_UNSERVED] = "unserved",
};

/* What one step knows. `now_ms` has been lifted to the task's last change, so that a wall clock
 * set back cannot turn the task's times around; `wall_ms` is the clock as it is. */
struct scene {
    const struct task *task;
    const struct task_event *event;
    const struct task_policy *policy;
    int64_t now_ms, wall_ms;
    struct task_step *step;
};

const char *task_event_name(enum task_event_kind kind)
{
    must((unsigned)kind < TASK_EVENT_COUNT);
    return event_names[kind];
}

static bool is_under_way(enum task_state state)
{
    return state == TASK_SUBMITTING || state == TASK_RENDERING || state == TASK_FETCHING;
}

/* Soundness, one question per group of fields. */

static bool are_times_sound(const struct task *task)
{
    const int64_t created_ms = task->request->created_micros / 1000;
    const bool is_end = task_state_is_end(task->state);
    return task->revision >= 1 && task->status_update_ms >= created_ms && task->deadline_ms >= 0 &&
           (task->started_ms == 0 || task->started_ms >= created_ms) &&
           (task->not_before_ms == 0 || (task->not_before_ms > 0 && task->state == TASK_QUEUED)) &&
           (is_end ? task->ended_ms >= created_ms && task->ended_ms > 0 : task->ended_ms == 0) &&
           (task->expired_ms == 0 || (task->expired_ms >= task->ended_ms && is_end));
}

static bool is_attempt_sound(const struct task *task)
{
    const bool was_attempted = is_under_way(task->state) || task->state == TASK_COMPLETED;
    const bool was_started = task->state == TASK_RENDERING || task->state == TASK_FETCHING ||
                             task->state == TASK_COMPLETED;
    return task->attempts >= 0 &&
           (!was_attempted || (task->attempts >= 1 && task->channel[0] != '\0')) &&
           (!was_started || task->started_ms != 0);
}

static bool is_failure_sound(const struct task *task)
{
    if ((task->state == TASK_CANCELLED) != (task->failure == TASK_FAILURE_CANCELLED))
        return false;
    const bool has_failed = task->state == TASK_FAILED || task->state == TASK_CANCELLED;
    return (task->failure != TASK_FAILURE_NONE) == has_failed &&
           (has_failed || task->failure_note[0] == '\0');
}

static bool is_result_sound(const struct task *task)
{
    const struct task_result *result = &task->result;
    if (task->state != TASK_COMPLETED)
        return result->generation_id[0] == '\0';
    return id_is_typeid(result->generation_id, "gen") && result->width >= 1 &&
           result->height >= 1 && result->n_frames >= 1 && result->duration_ms >= 1 &&
           result->stored_micros >= 1;
}

static bool is_progress_sound(const struct task *task)
{
    /* Written so that NaN is not sound. */
    return task->progress >= 0.0 && task->progress <= 1.0 &&
           (task->state != TASK_COMPLETED || task->progress >= 1.0);
}

bool task_is_sound(const struct task *task)
{
    return task->request != NULL && (unsigned)task->state < TASK_STATE_COUNT &&
           (unsigned)task->failure < TASK_FAILURE_COUNT && are_times_sound(task) &&
           is_attempt_sound(task) && is_failure_sound(task) && is_result_sound(task) &&
           is_progress_sound(task);
}

/* A copy that carries a change which clients can see. */
static struct task *change(const struct scene *scene)
{
    must(scene->step->task == NULL);
    struct task *task = task_copy(scene->task);
    task->revision++;
    task->status_update_ms = scene->now_ms;
    scene->step->task = task;
    return task;
}

/* The door: nothing else assigns a task's state. */
static struct task *move(const struct scene *scene, enum task_state to, unsigned effects)
{
    must(task_state_can_move(scene->task->state, to));
    struct task *task = change(scene);
    task->state = to;
    task->not_before_ms = 0;
    if (task_state_is_end(to))
        task->ended_ms = scene->now_ms;
    scene->step->effects = effects;
    return task;
}

/* Copies what fits and never ends inside a UTF-8 sequence. */
static void set_note(struct task *task, const char *note)
{
    if (note == NULL)
        return;
    size_t length = strnlen(note, TASK_NOTE_SIZE);
    if (length == TASK_NOTE_SIZE) {
        length = TASK_NOTE_SIZE - 1;
        while (length > 0 && ((unsigned char)note[length] & 0xC0) == 0x80)
            length--;
    }
    memcpy(task->failure_note, note, length);
    task->failure_note[length] = '\0';
}

/* Ends the task. While an attempt is under way in this process it is stopped and gives back its
 * slot; an attempt that a process before us left behind is not. */
static void end(const struct scene *scene, enum task_failure failure, const char *note,
                bool may_work)
{
    unsigned effects = TASK_EFFECT_PERSIST | TASK_EFFECT_FORGET;
    if (may_work && is_under_way(scene->task->state))
        effects |= TASK_EFFECT_STOP | TASK_EFFECT_RELEASE;
    struct task *task =
        move(scene, failure == TASK_FAILURE_CANCELLED ? TASK_CANCELLED : TASK_FAILED, effects);
    task->failure = failure;
    set_note(task, note);
}

static int64_t backoff_ms(const struct task_policy *policy, int attempts)
{
    int64_t wait_ms = policy->backoff_base_ms > 0 ? policy->backoff_base_ms : 0;
    for (int i = 1; i < attempts && wait_ms > 0 && wait_ms < policy->backoff_max_ms; i++)
        wait_ms = wait_ms > policy->backoff_max_ms / 2 ? policy->backoff_max_ms : wait_ms * 2;
    return wait_ms < policy->backoff_max_ms ? wait_ms : policy->backoff_max_ms;
}

static void on_slot_granted(const struct scene *scene)
{
    const char *channel = scene->event->channel;
    if (scene->task->state != TASK_QUEUED)
        return;
    must(channel != NULL && channel[0] != '\0' && strlen(channel) < TASK_CHANNEL_SIZE);
    struct task *task = move(scene, TASK_SUBMITTING, TASK_EFFECT_PERSIST | TASK_EFFECT_START);
    task->attempts++;
    memcpy(task->channel, channel, strlen(channel) + 1);
    task->is_builtin = scene->event->is_builtin;
}

static void on_started(const struct scene *scene)
{
    if (scene->task->state != TASK_SUBMITTING)
        return;
    struct task *task = move(scene, TASK_RENDERING, TASK_EFFECT_PERSIST);
    if (task->started_ms == 0)
        task->started_ms = scene->now_ms;
}

/* No effect follows from progress alone; the shell commits it before anyone sees it, as every change. */
static void on_progress(const struct scene *scene)
{
    double progress = scene->event->progress;
    if (progress > 1.0)
        progress = 1.0;
    /* NaN is not greater than anything. */
    if (scene->task->state == TASK_RENDERING && progress > scene->task->progress)
        change(scene)->progress = progress;
}

static void on_rendered(const struct scene *scene)
{
    if (scene->task->state == TASK_RENDERING)
        (void)move(scene, TASK_FETCHING, TASK_EFFECT_PERSIST | TASK_EFFECT_STORE_RESULT);
}

static void on_stored(const struct scene *scene)
{
    if (scene->task->state != TASK_FETCHING)
        return;
    struct task *task =
        move(scene, TASK_COMPLETED, TASK_EFFECT_PERSIST | TASK_EFFECT_RELEASE | TASK_EFFECT_FORGET);
    task->progress = 1.0;
    task->result = scene->event->result;
}

/* Another attempt is worth its wait only if it can begin before the deadline; otherwise the owner
 * learns the cause now instead of a deadline later. */
static void on_failed(const struct scene *scene)
{
    const struct task *task = scene->task;
    const struct task_event *event = scene->event;
    if (!is_under_way(task->state))
        return;
    must(event->failure != TASK_FAILURE_NONE && event->failure != TASK_FAILURE_CANCELLED);
    int64_t not_before_ms = scene->now_ms + backoff_ms(scene->policy, task->attempts);
    if (!event->may_retry || task->attempts >= scene->policy->max_attempts ||
        not_before_ms >= task->deadline_ms) {
        end(scene, event->failure, event->note, true);
        return;
    }
    move(scene, TASK_QUEUED,
         TASK_EFFECT_PERSIST | TASK_EFFECT_STOP | TASK_EFFECT_RELEASE | TASK_EFFECT_ENQUEUE)
        ->not_before_ms = not_before_ms;
}

static void on_cancel(const struct scene *scene)
{
    if (!task_state_is_end(scene->task->state))
        end(scene, TASK_FAILURE_CANCELLED, NULL, true);
}

static void on_deadline(const struct scene *scene)
{
    if (!task_state_is_end(scene->task->state))
        end(scene, TASK_FAILURE_DEADLINE, NULL, true);
}

/* Back to the queue at no cost: the interruption was ours, so the attempt is not charged. What
 * clients saw of it (started_ms, progress) stays. */
static void requeue_free(const struct scene *scene, unsigned effects)
{
    struct task *task = move(scene, TASK_QUEUED, effects);
    task->attempts--;
}

static void on_recovered(const struct scene *scene)
{
    const struct task *task = scene->task;
    if (task_state_is_end(task->state))
        return;
    if (scene->wall_ms >= task->deadline_ms)
        end(scene, TASK_FAILURE_DEADLINE, NULL, false);
    else if (task->state == TASK_QUEUED)
        scene->step->effects = TASK_EFFECT_ENQUEUE;
    else if (task->is_builtin)
        requeue_free(scene, TASK_EFFECT_PERSIST | TASK_EFFECT_ENQUEUE);
    else
        end(scene, TASK_FAILURE_CHANNEL_GONE, NULL, false); /* it may have cost: never again */
}

static void on_parked(const struct scene *scene)
{
    if (is_under_way(scene->task->state) && scene->task->is_builtin)
        requeue_free(scene, TASK_EFFECT_PERSIST | TASK_EFFECT_STOP | TASK_EFFECT_RELEASE);
}

static void on_expired(const struct scene *scene)
{
    if (!task_state_is_end(scene->task->state) || scene->task->expired_ms != 0)
        return;
    struct task *task = change(scene);
    task->expired_ms = scene->now_ms;
    scene->step->effects = TASK_EFFECT_PERSIST;
}

static void on_unserved(const struct scene *scene)
{
    if (scene->task->state == TASK_QUEUED)
        end(scene, TASK_FAILURE_CHANNEL_GONE, NULL, false);
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
    [TASK_EVENT_UNSERVED] = on_unserved,
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
        .now_ms = now_ms > task->status_update_ms ? now_ms : task->status_update_ms,
        .wall_ms = now_ms,
        .step = &step,
    };
    handlers[event->kind](&scene);
    must(step.task == NULL || task_is_sound(step.task));
    *ret = step;
}
