/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold, whatever happens. Of what is seen of a task: what it says is true, and nothing that was said is taken
 * back. Of what is sent: nothing is bought while something bought before may still be had; what is sent was written down
 * before; who submitted polls; nobody is asked more often than was agreed. Of the end: everything has ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "engine/actor.h"
#include "engine/remote.h"
#include "engine/table.h"

enum {
    MINUTE_MS = 60 * 1000,
    OVERTAKEN_MOST = 12,       /* of those who are served by turns */
    REST_GRACE_MS = 30 * 1000, /* what was granted before the wish for rest was heard */
};

/* As the configuration says (main.c). */
static const char *const names[CREDENTIALS] = {"a", "b", "default", "default", "default"};
static const int submits_per_minute[CREDENTIALS] = {4, 4, 60, 60, 60};
static const int concurrency[CREDENTIALS] = {4, 4, 6, 3, 3};
static const int polls_per_minute[CREDENTIALS] = {12, 12, 600, 600, 600};

struct life *life_of(const struct task *task)
{
    int number = atoi(task->request->prompt + strlen("life "));
    must(number >= 0 && number < the_world->n_lives);
    return &the_world->lives[number];
}

/* ---- what is seen of a task ---- */

static bool has_job(const struct life *life, bool (*is_so)(const struct submission *submission))
{
    for (int i = 0; i < life->n_submissions; i++) {
        if (is_so(&life->submissions[i])) {
            return true;
        }
    }
    return false;
}

static bool is_done(const struct submission *submission)
{
    return submission->state == JOB_DONE;
}

static bool is_moderated(const struct submission *submission)
{
    return submission->state == JOB_MODERATED || submission->was_moderated;
}

static bool is_failed(const struct submission *submission)
{
    return submission->state == JOB_FAILED || submission->state == JOB_CANCELLED;
}

static bool is_empty(const struct submission *submission)
{
    return submission->state == JOB_EMPTY;
}

static bool is_lost(const struct submission *submission)
{
    return submission->state == JOB_LOST;
}

static bool is_badly_served(const struct submission *submission)
{
    bool renews = strcmp(vendor_channel(submission->credential), "steps") == 0;
    return submission->n_bad_downloads > (renews ? REMOTE_RENEWALS : 0);
}

static bool is_unclear(const struct submission *submission)
{
    return submission->verdict != VERDICT_REFUSED;
}

static bool is_refused(const struct submission *submission)
{
    return submission->verdict == VERDICT_REFUSED;
}

static bool is_true_failure(const struct life *life, enum task_failure failure)
{
    const struct faults *faults = &the_world->faults;
    switch ((int)failure) {
    case TASK_FAILURE_CANCELLED:
        return life->was_cancelled;
    case TASK_FAILURE_DEADLINE:
        return world_now_ms() - life->asked_ms >= the_world->settings.deadline - 2 * WALL_JUMP_MS;
    case TASK_FAILURE_JOB_LOST:
        return has_job(life, is_lost);
    case TASK_FAILURE_MODERATED:
        return has_job(life, is_moderated);
    case TASK_FAILURE_UPSTREAM_FAILED:
        return has_job(life, is_failed);
    case TASK_FAILURE_NO_VIDEO:
        return has_job(life, is_empty);
    case TASK_FAILURE_RESULT_LOST:
        return has_job(life, is_badly_served);
    case TASK_FAILURE_UPSTREAM_REFUSED:
        return has_job(life, is_refused);
    case TASK_FAILURE_SUBMISSION_UNKNOWN: /* or it was written down, and never left */
        return has_job(life, is_unclear) || faults->crash > 0;
    case TASK_FAILURE_CHANNEL_GONE:
        return faults->has_reloads;
    case TASK_FAILURE_RENDER_CRASHED:
    case TASK_FAILURE_RENDER_STALLED:
    case TASK_FAILURE_STORAGE:
    case TASK_FAILURE_OUTPUT_INVALID:
        return faults->media_failure > 0 || faults->store_failure > 0;
    default:
        return false;
    }
}

static void check_end(const struct life *life, const struct task *task)
{
    if (task->state != TASK_COMPLETED) {
        if (!is_true_failure(life, task->failure)) {
            world_fail("life %d: it is said to have failed as %s, and that is not so", life->number,
                       task_failure_code(task->failure));
        }
        return;
    }
    if (!has_job(life, is_done) && strcmp(life->model, "delta") != 0) {
        world_fail("life %d: completed, and no upstream has made a video", life->number);
    }
    if (strcmp(life->stored, task->result.generation_id) != 0) {
        world_fail("life %d: completed, and its files are not there", life->number);
    }
}

static void check_progress(const struct life *life, const struct task *task)
{
    if (task->progress < life->progress) {
        world_fail("life %d: progress fell from %g to %g", life->number, life->progress,
                   task->progress);
    }
    if (task->status_update_ms < life->status_update_ms) {
        world_fail("life %d: status_update_time fell by %lld ms", life->number,
                   (long long)(life->status_update_ms - task->status_update_ms));
    }
    if (task_state_is_end(life->state) && task->state != life->state) {
        world_fail("life %d: it had ended as %s, and is now %s", life->number,
                   task_state_name(life->state), task_state_name(task->state));
    }
    if (task_state_is_end(life->state) && task->failure != life->failure) {
        world_fail("life %d: it failed as %s, and now as %s", life->number,
                   task_failure_code(life->failure), task_failure_code(task->failure));
    }
}

void watch_published(const struct node *node, const struct task *task)
{
    struct life *life = life_of(task);
    if (node->is_dead || task->revision < life->revision) {
        return; /* the table keeps the newest */
    }
    if (life->revision > 0) {
        check_progress(life, task);
    }
    if (task_state_is_end(task->state) && !task_state_is_end(life->state)) {
        check_end(life, task);
        world_trace("life %d ends: %s %s", life->number, task_state_name(task->state),
                    task->failure ? task_failure_code(task->failure) : "");
    } else if (task->state != life->state) {
        world_trace("life %d is %s", life->number, task_state_name(task->state));
    }
    life->state = task->state;
    life->failure = task->failure;
    life->revision = task->revision;
    life->progress = task->progress;
    life->status_update_ms = task->status_update_ms;
    life->n_put_off = task->n_put_off + task->n_refused;
}

void __wrap_table_publish(struct table *table, const struct task *task);
void __real_table_publish(struct table *table, const struct task *task);

void __wrap_table_publish(struct table *table, const struct task *task)
{
    watch_published(&the_world->nodes[life_of(task)->node], task);
    __real_table_publish(table, task);
}

/* ---- what is written ---- */

/* A deadline ends what may be paid for only once the upstream has said that it is not done, or after all the grace there is;
 * and what it said to be done is let go of only after that. */
static void check_deadline(const struct node *node, const struct life *life,
                           const struct record *old, const struct task *task)
{
    struct life *ignored;
    const struct submission *job = vendor_submission(task->attempt.id, &ignored);
    int64_t late_ms = clock_wall_ms() - task->deadline_ms;
    int64_t up_ms = world_now_ms() - node->born_ms;
    int64_t waited_ms = (late_ms < up_ms ? late_ms : up_ms) + 2 * WALL_JUMP_MS;
    bool has_job = old->state == TASK_RENDERING || old->state == TASK_FETCHING;
    bool was_denied = task->attempt.state == ATTEMPT_NOT_TAKEN;
    if (waited_ms >= the_world->settings.grace) {
        return;
    }
    if (old->state == TASK_SUBMITTING && task->attempt.begun_ms >= clock_wall_ms() - up_ms &&
        task->attempt.state == ATTEMPT_CANCELLING) {
        world_fail("life %d: its deadline has passed, and the answer to its submit is not awaited",
                   life->number);
    }
    if (!job || !has_job || was_denied) {
        return;
    }
    if (job->video_was_told) {
        world_fail("life %d: its video was done, and is thrown away", life->number);
    }
    if (world_now_ms() - job->told_going_ms > waited_ms) {
        world_fail("life %d: its deadline has passed, and nobody has looked whether it is done",
                   life->number);
    }
}

void watch_committed(const struct node *node, const struct life *life, const struct record *old,
                     const struct task *task)
{
    struct life *ignored;
    struct submission *submission = vendor_submission(task->attempt.id, &ignored);
    if (submission && task->attempt.state == ATTEMPT_ACCEPTED) {
        submission->was_accepted = true;
    }
    if (task->failure == TASK_FAILURE_DEADLINE && !task_state_is_end(old->state)) {
        check_deadline(node, life, old, task);
    }
    bool is_another = strcmp(old->attempt, task->attempt.id) != 0;
    if (old->attempt[0] != '\0' && is_another && attempt_is_open(old->attempt_state)) {
        world_fail("life %d: the open attempt %s is forgotten", life->number, old->attempt);
    }
    if (life->cancel_was_confirmed && task->state != TASK_CANCELLED) {
        world_fail("life %d: its cancel was confirmed, and it becomes %s", life->number,
                   task_state_name(task->state));
    }
}

/* ---- what is sent ---- */

static void count(int64_t *ring, size_t length, size_t *n, int per_minute, const char *what,
                  int credential)
{
    int64_t now_ms = world_now_ms();
    const struct faults *faults = &the_world->faults;
    /* What was let through may wait for the store, and then leave together. */
    size_t held = faults->has_slow_store || faults->store_failure > 0 ? 4 : 0;
    size_t most = (size_t)per_minute + (size_t)per_minute / 6 + 1 + held;
    must(most < length);
    if (*n >= most && now_ms - ring[(*n - most) % length] < MINUTE_MS) {
        world_fail("credential %d of %s: more than %d %s within a minute", credential,
                   vendor_channel(credential), per_minute, what);
    }
    ring[(*n)++ % length] = now_ms;
}

static bool is_settled(const struct submission *submission)
{
    if (submission->verdict == VERDICT_REFUSED || submission->failure_was_told) {
        return true;
    }
    if (submission->was_accepted) {
        return false;
    }
    /* The upstream itself says that it does not know it; one that has lost it will not charge for it. That it had taken it may
     * have been heard, and lost in a crash. */
    bool is_unknown = submission->state == JOB_NONE || submission->ends_as == JOB_LOST;
    bool was_denied = is_unknown && submission->n_told_gone >= 3 &&
                      submission->told_gone_last_ms - submission->told_gone_first_ms >= MINUTE_MS;
    return was_denied || strcmp(vendor_channel(submission->credential), "risky") == 0;
}

/* Also one whose end was written down right before a crash: nobody publishes it any more. */
static bool is_over(const struct life *life)
{
    return task_state_is_end(the_world->nodes[life->node].records[life->number].state);
}

/* Those of other tenants who wait for the same, have nothing at work, and came before. */
static void count_overtaken(const struct life *winner)
{
    struct world *world = the_world;
    bool is_busy[TENANTS] = {false}, is_seen[TENANTS] = {false};
    for (int i = 0; i < world->n_lives; i++) {
        const struct life *life = &world->lives[i];
        bool is_at_work = life->node == winner->node && life->admitted_ms > 0 && !is_over(life) &&
                          (life->state != TASK_QUEUED || life->n_put_off > 0);
        is_busy[life->tenant] |= is_at_work;
    }
    for (int i = 0; i < world->n_lives; i++) {
        struct life *life = &world->lives[i];
        bool waits = life->node == winner->node && life->state == TASK_QUEUED && !is_over(life) &&
                     life->admitted_ms > 0 && strcmp(life->model, winner->model) == 0;
        if (!waits || life->tenant == winner->tenant || is_busy[life->tenant] ||
            is_seen[life->tenant] || world_now_ms() - life->admitted_ms < 1000) {
            continue;
        }
        is_seen[life->tenant] = true;
        if (++life->n_overtaken > OVERTAKEN_MOST) {
            world_fail("life %d of tenant %d waits, and %d of other tenants were begun before it",
                       life->number, life->tenant, life->n_overtaken);
        }
    }
}

static void check_written(const struct node *node, const struct life *life, const char *attempt,
                          int credential)
{
    const struct record *record = &node->records[life->number];
    if (strcmp(record->attempt, attempt) != 0 || task_state_is_end(record->state)) {
        world_fail("life %d: a submit leaves, and the store does not know of it", life->number);
    }
    if (strcmp(record->credential, names[credential]) != 0) {
        world_fail("life %d: written down with credential %s, and sent with %s", life->number,
                   record->credential, names[credential]);
    }
}

static void check_unbought(const struct life *life, const char *attempt)
{
    for (int i = 0; i < life->n_submissions; i++) {
        const struct submission *before = &life->submissions[i];
        if (!is_settled(before) || strcmp(before->attempt, attempt) == 0) {
            world_fail("life %d: bought again as %s, while %s may have been taken", life->number,
                       attempt, before->attempt);
        }
    }
}

static void watch_submit(struct node *node, struct wire *wire)
{
    json_t *body = json_loads(wire->body, 0, NULL);
    struct life *life = &the_world->lives[atoi(json_text(body, "prompt") + strlen("life "))];
    const char *attempt = json_text(body, "attempt"), *job = json_text(body, "job");
    const struct meter *meter = &node->meters[wire->credential];
    int64_t now_ms = world_now_ms();
    world_trace("node %d: life %d is submitted to %s (credential %d)", node->number, life->number,
                vendor_channel(wire->credential), wire->credential);
    check_written(node, life, attempt, wire->credential);
    check_unbought(life, attempt);
    if (the_world->faults.adapter_fault == 0 && now_ms < meter->rest_until_ms &&
        now_ms > meter->rest_told_ms + REST_GRACE_MS) {
        world_fail("credential %d is used, and wished for a rest of %lld ms more", wire->credential,
                   (long long)(meter->rest_until_ms - now_ms));
    }
    if (life->n_submissions == 0) {
        count_overtaken(life);
    }
    must(life->n_submissions < SUBMISSIONS_MAX);
    struct submission *submission = &life->submissions[life->n_submissions++];
    *submission = (struct submission){.credential = wire->credential};
    snprintf(submission->attempt, sizeof submission->attempt, "%s", attempt);
    snprintf(wire->attempt, sizeof wire->attempt, "%s", attempt);
    if (job) {
        snprintf(submission->job, sizeof submission->job, "%s", job);
    } else {
        snprintf(submission->job, sizeof submission->job, "job-%d-%d", life->number,
                 life->n_submissions);
    }
    json_decref(body);
}

static void watch_question(const struct node *node, const struct wire *wire)
{
    struct life *life;
    const struct submission *job = vendor_job_of_path(wire->path, &life);
    if (!job) {
        return; /* written down under an id of ours, and never sent */
    }
    if (job->credential != wire->credential) {
        world_fail("life %d: submitted with credential %d, and asked for with %d", life->number,
                   job->credential, wire->credential);
    }
    if (strcmp(node->records[life->number].job, job->job) != 0) {
        world_fail("life %d: job %s is asked for, and the store does not know of it", life->number,
                   job->job);
    }
}

void watch_send(struct node *node, struct wire *wire)
{
    struct meter *meter = &node->meters[wire->credential];
    if (strcmp(wire->path, "/jobs") == 0) {
        count(meter->submits_ms, ARRAY_LENGTH(meter->submits_ms), &meter->n_submits,
              submits_per_minute[wire->credential], "submits", wire->credential);
        watch_submit(node, wire);
    } else if (strncmp(wire->path, "/jobs/", 6) == 0) {
        if (strcmp(wire->method, "GET") == 0) {
            count(meter->polls_ms, ARRAY_LENGTH(meter->polls_ms), &meter->n_polls,
                  polls_per_minute[wire->credential], "polls", wire->credential);
        }
        watch_question(node, wire);
    }
}

void watch_answer(struct node *node, const struct wire *wire, bool was_never_sent)
{
    struct meter *meter = &node->meters[wire->credential];
    if (was_never_sent && wire->attempt[0] != '\0') {
        vendor_told(wire->attempt, VERDICT_REFUSED);
    }
    if (strcmp(wire->path, "/jobs") == 0 && wire->status == 429 && wire->retry_after_ms > 0) {
        meter->rest_told_ms = world_now_ms();
        meter->rest_until_ms = world_now_ms() + wire->retry_after_ms;
    }
}

/* ---- ends ---- */

void watch_stopped(const struct node *node)
{
    for (int i = 0; i < the_world->n_lives; i++) {
        const struct record *record = &node->records[i];
        if (record->attempt[0] != '\0' && record->attempt_state == ATTEMPT_SUBMITTING) {
            world_fail("life %d: its node has stopped in good order, and left a submit behind", i);
        }
    }
}

/* Jobs at the upstream, as the store has them. Those whose channel comes and goes are nobody's for a while. */
static int jobs_of(const struct node *node, int credential)
{
    int n_jobs = 0;
    for (int i = 0; i < the_world->n_lives; i++) {
        const struct record *record = &node->records[i];
        n_jobs += record->attempt[0] != '\0' && attempt_is_open(record->attempt_state) &&
                  record->state != TASK_FETCHING &&
                  strcmp(record->credential, names[credential]) == 0 &&
                  strcmp(record->channel, vendor_channel(credential)) == 0;
    }
    return n_jobs;
}

/* The store may be out of reach when the deadline passes. */
static void check_overdue(const struct node *node)
{
    const struct settings *settings = &the_world->settings;
    int64_t most_ms = settings->grace + ACTOR_TURN_MOST_MS + 5 * MINUTE_MS;
    for (int i = 0; i < the_world->n_lives && node_is_up(node); i++) {
        const struct life *life = &the_world->lives[i];
        int64_t late_ms = world_now_ms() - life->admitted_ms - settings->deadline;
        int64_t up_ms = world_now_ms() - node->born_ms;
        int64_t waited_ms = late_ms < up_ms ? late_ms : up_ms;
        bool is_here = life->admitted_ms > 0 && &the_world->nodes[life->node] == node;
        if (is_here && !task_state_is_end(node->records[i].state) && waited_ms > most_ms) {
            world_fail("life %d lives on, past its deadline and its grace", i);
        }
    }
}

void watch_world(const struct world *world)
{
    for (int i = 0; i < world->n_nodes; i++) {
        check_overdue(&world->nodes[i]);
    }
    for (int i = 0; i < world->n_nodes && !world->faults.has_reloads; i++) {
        for (int credential = 0; credential < CREDENTIALS; credential++) {
            int n_jobs = jobs_of(&world->nodes[i], credential);
            if (n_jobs > concurrency[credential]) {
                world_fail("node %d has %d jobs with credential %d, which may have %d", i, n_jobs,
                           credential, concurrency[credential]);
            }
        }
    }
}

static void check_cancel(const struct life *life, const struct record *record)
{
    for (int i = 0; i < life->n_submissions; i++) {
        const struct submission *job = &life->submissions[i];
        if (strcmp(job->attempt, record->attempt) == 0 &&
            record->attempt_state == ATTEMPT_CANCELLED && !job->cancel_came) {
            world_fail("life %d: its job is said to be cancelled, and was not", life->number);
        }
    }
}

void watch_end(const struct world *world)
{
    for (int i = 0; i < world->n_lives; i++) {
        const struct life *life = &world->lives[i];
        const struct record *record = &world->nodes[life->node].records[i];
        if (life->is_acknowledged && life->admitted_ms == 0) {
            world_fail("life %d was acknowledged, and is not there", i);
        }
        if (life->admitted_ms == 0) {
            continue;
        }
        if (!task_state_is_end(record->state)) {
            world_fail("life %d has not ended: %s", i, task_state_name(record->state));
        }
        if (record->attempt[0] != '\0' && attempt_is_open(record->attempt_state)) {
            world_fail("life %d has ended, and its attempt is still %s", i,
                       attempt_state_name(record->attempt_state));
        }
        check_cancel(life, record);
    }
}
