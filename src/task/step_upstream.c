/* SPDX-License-Identifier: Apache-2.0
 *
 * What each event does to an attempt at an upstream. Invariants: what an upstream may have taken is sent again only where
 * the operator said so, or where the upstream said that it was not taken; what it may have taken is on record until an
 * answer, or an operator, has closed it. Pure: any thread. */
#include <limits.h>
#include <string.h>

#include "base/must.h"
#include "task/policy.h"
#include "task/step_scene.h"

enum { PUT_OFF_MOST_MS = 5 * 60 * 1000 };

/* The task has ended, and its attempt has not: the answer to its submit or to a cancel is awaited. */
static bool is_cancelling(const struct task *task)
{
    return task_state_is_end(task->state) && task->attempt.id[0] != '\0' &&
           task->attempt.state == ATTEMPT_CANCELLING;
}

static void take_job(struct task *task, const struct attempt_job *job)
{
    must(job != NULL && job->id != NULL && job->id[0] != '\0');
    /* The new one first: it may be the same. */
    struct attempt_job *taken = attempt_job_ref(job);
    attempt_job_unref(task->attempt.job);
    task->attempt.job = taken;
}

void upstream_accept(const struct scene *scene, struct task *task)
{
    task->attempt.state = ATTEMPT_ACCEPTED;
    task->attempt.accepted_ms = scene->now_ms;
    task->n_put_off = 0;
}

/* The attempt goes on after the end of its task. */
static void cancel_attempt(struct task *task)
{
    task->attempt.state = ATTEMPT_CANCELLING;
}

/* Closes what was left open by an end. Clients see nothing of it. */
static void close_after_end(const struct scene *scene, enum attempt_state state, unsigned effects)
{
    struct task *task = scene_change_quietly(scene);
    if (scene->event->job != NULL)
        take_job(task, scene->event->job);
    scene_close_attempt(scene, task, state);
    if (task->deleted_ms != 0)
        task_erase_attempt(task);
    scene->step->effects = effects;
}

/* The number grows with every attempt at an upstream, also with those that `attempts` does not count. */
void upstream_begin(const struct scene *scene, struct task *task)
{
    const struct task_event *event = scene->event;
    struct attempt_record *attempt = &task->attempt;
    must(event->credential[0] != '\0' && strlen(event->credential) < ATTEMPT_NAME_SIZE);
    must(event->attempt_id != NULL && id_is_typeid(event->attempt_id, "att"));
    memcpy(attempt->id, event->attempt_id, strlen(event->attempt_id) + 1);
    attempt->channel = shared_text_ref(task->channel);
    attempt->credential = shared_text_new(event->credential);
    attempt->number++;
    attempt->state = ATTEMPT_SUBMITTING;
    attempt->begun_ms = scene->now_ms;
    if (event->job != NULL)
        take_job(task, event->job);
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A copy with newer texts of the job. Clients see none of them but the prompt that the upstream made better. */
static struct task *change_job(const struct scene *scene, const struct attempt_job *job)
{
    const struct attempt_job *old = scene->task->attempt.job;
    const bool is_seen = job != NULL && !is_same_text(old != NULL ? old->enhanced_prompt : NULL,
                                                      job->enhanced_prompt);
    struct task *task = is_seen ? scene_change(scene) : scene_change_quietly(scene);
    if (job != NULL)
        take_job(task, job);
    return task;
}

/* ---- submitting ---- */

void upstream_accepted(const struct scene *scene)
{
    const struct task *old = scene->task;
    const unsigned persist = TASK_EFFECT_PERSIST;
    if (old->state == TASK_SUBMITTING && !old->is_local) {
        struct task *task = scene_move_to_rendering(scene, persist | TASK_EFFECT_POLL);
        take_job(task, scene->event->job);
        upstream_accept(scene, task);
    } else if (is_cancelling(old) && old->attempt.accepted_ms == 0) {
        struct task *task = scene_change_quietly(scene);
        take_job(task, scene->event->job);
        task->attempt.accepted_ms = scene->now_ms;
        scene->step->effects = persist | TASK_EFFECT_CANCEL_UPSTREAM;
    }
}

/* No other channel could see it otherwise. */
static bool is_final_word(enum task_failure failure)
{
    return failure == TASK_FAILURE_MODERATED || failure == TASK_FAILURE_IMAGE_UNREACHABLE ||
           failure == TASK_FAILURE_IMAGE_FORBIDDEN || failure == TASK_FAILURE_IMAGE_INVALID;
}

/* Certainly not taken: it goes back at no cost. What clients saw of it (started_ms, progress) stays. A task that had not
 * left the queue only lets its slot go. */
static struct task *give_back(const struct scene *scene, enum attempt_state closed,
                              unsigned effects)
{
    if (scene->task->state == TASK_QUEUED) {
        scene->step->effects = effects;
        struct task *task = scene_change_quietly(scene);
        task->not_before_ms = 0;
        return task;
    }
    struct task *task = scene_move(scene, TASK_QUEUED, effects);
    task->attempts--;
    if (scene_is_upstream(scene->task))
        scene_close_attempt(scene, task, closed);
    return task;
}

/* An outage of an hour costs an hour: being put off fails no task before its deadline does. */
static void put_off(const struct scene *scene, enum attempt_state closed, int64_t wish_ms)
{
    struct task *task = give_back(scene, closed, SCENE_REQUEUE);
    if (task->n_put_off < INT_MAX)
        task->n_put_off++;
    int64_t wait_ms =
        policy_backoff(scene->policy->backoff_base_ms, PUT_OFF_MOST_MS, task->n_put_off, 0);
    if (wish_ms > POLICY_RETRY_AFTER_MOST_MS)
        wish_ms = POLICY_RETRY_AFTER_MOST_MS;
    task->not_before_ms = scene->now_ms + (wish_ms > wait_ms ? wish_ms : wait_ms);
}

/* It was not taken, and there is no time to try again. */
static void end_late(const struct scene *scene, enum attempt_state closed)
{
    struct task *task = scene_end(scene, TASK_FAILURE_DEADLINE, NULL, SCENE_END | SCENE_LET_GO);
    task->attempts--;
    scene_close_attempt(scene, task, closed);
}

/* Its deadline passed while the answer to its submit was awaited. */
static bool is_late(const struct scene *scene)
{
    return scene_is_upstream(scene->task) && scene->now_ms >= scene->task->deadline_ms;
}

static const char *refusing_channel(const struct scene *scene)
{
    if (scene_is_under_way(scene->task->state))
        return shared_text_of(scene->task->channel);
    must(scene->event->channel != NULL);
    return scene->event->channel;
}

static void refuse(const struct scene *scene)
{
    const struct task *old = scene->task;
    const struct task_event *event = scene->event;
    const char *channel = refusing_channel(scene);
    const bool is_new = !task_was_refused_by(old, channel);
    if (is_final_word(event->failure) || (is_new && old->n_refused == TASK_REFUSALS_MAX)) {
        struct task *task = scene_end(scene, event->failure, event->note, SCENE_END | SCENE_LET_GO);
        if (scene_is_upstream(old)) {
            task->attempts--;
            scene_close_attempt(scene, task, ATTEMPT_REFUSED);
        }
        return;
    }
    if (is_late(scene)) {
        end_late(scene, ATTEMPT_REFUSED);
        return;
    }
    struct task *task = give_back(scene, ATTEMPT_REFUSED, SCENE_REQUEUE);
    task->n_put_off = 0;
    if (is_new)
        task->refused_by[task->n_refused++] = task_channel_mark(channel);
}

void upstream_turned_away(const struct scene *scene)
{
    const struct task *task = scene->task;
    const bool is_command = scene_is_under_way(task->state) && task->is_command;
    const bool may_be =
        task->state == TASK_QUEUED || (task->state == TASK_SUBMITTING && !task->is_local);
    if (is_cancelling(task) && task->attempt.accepted_ms == 0)
        close_after_end(scene, ATTEMPT_REFUSED, SCENE_END | TASK_EFFECT_RELEASE);
    else if ((may_be || is_command) && scene->event->is_final)
        refuse(scene);
    else if (may_be && is_late(scene))
        end_late(scene, ATTEMPT_REFUSED);
    else if (may_be)
        put_off(scene, ATTEMPT_REFUSED, scene->event->retry_after_ms);
}

bool upstream_can_confirm(const struct scene *scene)
{
    return scene->event->can_confirm && attempt_has_job_id(&scene->task->attempt);
}

/* Nobody knows what became of the submit. Where the upstream can be asked by an id of ours, it is. */
void upstream_answer_lost(const struct scene *scene)
{
    const struct task *old = scene->task;
    const struct task_event *event = scene->event;
    if (is_cancelling(old) && old->attempt.accepted_ms == 0) {
        if (attempt_has_job_id(&old->attempt))
            scene->step->effects = TASK_EFFECT_CANCEL_UPSTREAM;
        else
            close_after_end(scene, ATTEMPT_UNKNOWN, SCENE_END | TASK_EFFECT_RELEASE);
    } else if (old->state != TASK_SUBMITTING || old->is_local) {
        return;
    } else if (upstream_can_confirm(scene)) {
        struct task *task = scene_move_to_rendering(scene, TASK_EFFECT_PERSIST | TASK_EFFECT_POLL);
        task->attempt.state = ATTEMPT_CONFIRMING;
    } else {
        scene_retry_or_fail(scene, TASK_FAILURE_SUBMISSION_UNKNOWN,
                            event->on_unknown == TASK_UNKNOWN_RESUBMIT, ATTEMPT_UNKNOWN);
    }
}

/* It costs nothing to try again, if there is still time. */
static void not_taken(const struct scene *scene)
{
    if (is_late(scene))
        end_late(scene, ATTEMPT_NOT_TAKEN);
    else
        put_off(scene, ATTEMPT_NOT_TAKEN, 0);
}

/* The upstream was believed for long enough (policy_note_gone()). Of a job that was never seen there, that says it was not taken
 * only where the upstream's look-up is certain. */
void upstream_gone(const struct scene *scene)
{
    const struct task *old = scene->task;
    if (old->state == TASK_SUBMITTING || !scene_is_upstream(old))
        return;
    if (old->attempt.state == ATTEMPT_CONFIRMING && scene->event->is_certain)
        not_taken(scene);
    else if (old->attempt.state == ATTEMPT_CONFIRMING)
        scene_retry_or_fail(scene, TASK_FAILURE_SUBMISSION_UNKNOWN,
                            scene->event->on_unknown == TASK_UNKNOWN_RESUBMIT, ATTEMPT_UNKNOWN);
    else
        scene_close_attempt(
            scene,
            scene_end(scene, TASK_FAILURE_JOB_LOST, scene->event->note, SCENE_END | SCENE_LET_GO),
            ATTEMPT_GONE);
}

/* ---- rendering and fetching ---- */

bool upstream_may_have_video(const struct task *task)
{
    return scene_is_upstream(task) && task->state != TASK_SUBMITTING &&
           attempt_has_job_id(&task->attempt);
}

bool upstream_is_confirmed_by_this(const struct task *task)
{
    return task->state == TASK_RENDERING && scene_is_upstream(task) &&
           task->attempt.state == ATTEMPT_CONFIRMING;
}

void upstream_confirmed(const struct scene *scene)
{
    if (!upstream_is_confirmed_by_this(scene->task))
        return;
    upstream_accept(scene, change_job(scene, scene->event->job));
    scene->step->effects = TASK_EFFECT_PERSIST;
}

void upstream_kept(const struct scene *scene)
{
    if (scene->task->state != TASK_RENDERING || !scene_is_upstream(scene->task))
        return;
    must(scene->event->job != NULL);
    (void)change_job(scene, scene->event->job);
    scene->step->effects = TASK_EFFECT_PERSIST;
}

void upstream_rendered(const struct scene *scene)
{
    const struct task *old = scene->task;
    struct task *task = scene_move(
        scene, TASK_FETCHING, TASK_EFFECT_PERSIST | TASK_EFFECT_VACATE | TASK_EFFECT_STORE_RESULT);
    take_job(task, scene->event->job);
    if (upstream_is_confirmed_by_this(old))
        upstream_accept(scene, task);
}

void upstream_renewed(const struct scene *scene)
{
    if (scene->task->state != TASK_FETCHING || !scene_is_upstream(scene->task))
        return;
    must(scene->event->job != NULL);
    (void)change_job(scene, scene->event->job);
    scene->step->effects = TASK_EFFECT_PERSIST | TASK_EFFECT_STORE_RESULT;
}

/* What failed at the upstream was taken by it, whether that had been confirmed or not. */
void upstream_failed(const struct scene *scene)
{
    const struct task_event *event = scene->event;
    const bool is_fetching = scene->task->state == TASK_FETCHING;
    if (scene->task->state == TASK_SUBMITTING)
        return; /* TURNED_AWAY and ANSWER_LOST say what became of a submit */
    /* Once there is a result it is paid for: a new one is never bought because we could not keep it. */
    scene_retry_or_fail(scene, event->failure, event->may_retry && !is_fetching,
                        is_fetching ? ATTEMPT_FINISHED : ATTEMPT_FAILED);
    if (event->job != NULL)
        take_job(scene->step->task, event->job);
    if (scene->step->task->attempt.accepted_ms == 0)
        scene->step->task->attempt.accepted_ms = scene->now_ms;
}

/* ---- ends, and a new start ---- */

/* What the upstream may have is not forgotten with the task: the attempt stays open, and its slot held, until the upstream
 * has answered. */
void upstream_end(const struct scene *scene, enum task_failure failure, bool may_work)
{
    const struct task *old = scene->task;
    const unsigned let_go = may_work ? SCENE_LET_GO : 0, stop = may_work ? TASK_EFFECT_STOP : 0;
    const unsigned persist = TASK_EFFECT_PERSIST;
    if (old->state == TASK_FETCHING) /* it is done and paid for */
        scene_close_attempt(scene, scene_end(scene, failure, NULL, SCENE_END | let_go),
                            ATTEMPT_FINISHED);
    else if (old->state == TASK_SUBMITTING && may_work) /* on its way: its answer is awaited */
        cancel_attempt(scene_end(scene, failure, NULL, persist));
    else if (attempt_has_job_id(&old->attempt))
        cancel_attempt(
            scene_end(scene, failure, NULL, persist | stop | TASK_EFFECT_CANCEL_UPSTREAM));
    else
        scene_close_attempt(scene, scene_end(scene, failure, NULL, SCENE_END | let_go),
                            ATTEMPT_UNKNOWN);
}

void upstream_cancel_closed(const struct scene *scene)
{
    if (is_cancelling(scene->task))
        close_after_end(scene, scene->event->was_stopped ? ATTEMPT_CANCELLED : ATTEMPT_ABANDONED,
                        SCENE_END | TASK_EFFECT_RELEASE);
}

/* The upstream went on without us: its work is taken up where it stands. */
void upstream_take_up(const struct scene *scene)
{
    if (scene->task->state == TASK_SUBMITTING)
        upstream_answer_lost(scene);
    else
        scene->step->effects =
            scene->task->state == TASK_RENDERING ? TASK_EFFECT_POLL : TASK_EFFECT_STORE_RESULT;
}

void upstream_take_up_end(const struct scene *scene)
{
    const struct task *task = scene->task;
    if (is_cancelling(task) && attempt_has_job_id(&task->attempt))
        scene->step->effects = TASK_EFFECT_CANCEL_UPSTREAM;
    else if (is_cancelling(task))
        close_after_end(scene, ATTEMPT_UNKNOWN, SCENE_END);
}
