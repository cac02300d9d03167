/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's door: create, cancel, look. The loop's thread owns the actors, the schedule and all that works; other threads
 * reach it by its inbox, and see published tasks through the hot table.
 *
 *     create: HTTP thread -> store's writer -> hot table, caller's done(), loop's inbox -> actor -> schedule
 *     cancel: HTTP thread -> loop's inbox -> actor -> store's writer -> loop -> caller's done()
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/must.h"
#include "engine/engine_own.h"

/* ---- create ---- */

/* A created task on its way to the loop. */
struct admission {
    struct loop_job job;
    struct engine *engine;
    const struct task *task;
};

void engine_tell(struct engine *engine, const struct task *task, bool is_transition)
{
    if (engine->parts.hub) {
        hub_publish(engine->parts.hub, task, task->change, is_transition);
    }
}

static void on_admission(struct loop_job *job)
{
    struct admission *admission = CONTAINER_OF(job, struct admission, job);
    engine_tell(admission->engine, admission->task, true);
    actor_new(admission->engine, admission->task, NULL);
    task_unref(admission->task);
    free(admission);
}

static void admit(struct engine *engine, const struct task *task)
{
    struct admission *admission = must_calloc(1, sizeof *admission);
    *admission = (struct admission){{on_admission, NULL}, engine, task_ref(task)};
    loop_post(engine->loop, &admission->job);
}

static void return_place(struct engine_create *create)
{
    const struct task_request *request = create->fresh->request;
    atomic_fetch_sub(&create->engine->n_unfinished, 1);
    quota_undo(create->engine->quota, request->tenant, request->created_micros / 1000);
}

/* Takes a place for the create, its tenant's and one of all, or says why there is none. */
static enum engine_outcome take_place(struct engine_create *create)
{
    struct engine *engine = create->engine;
    const struct task_request *request = create->fresh->request;
    int64_t created_ms = request->created_micros / 1000;
    if (atomic_load(&engine->is_closing)) {
        return ENGINE_CLOSING;
    }
    enum quota_verdict verdict = quota_take(engine->quota, request->tenant, created_ms);
    if (verdict != QUOTA_TAKEN) {
        return verdict == QUOTA_DAY ? ENGINE_TENANT_DAY : ENGINE_TENANT_FULL;
    }
    if (atomic_fetch_add(&engine->n_unfinished, 1) >= engine->parts.settings->queue) {
        return_place(create);
        return ENGINE_FULL;
    }
    return ENGINE_OK;
}

/* Has the create a place? Takes one, unless it has it from a group that failed. */
static bool admit_create(struct store_write *write)
{
    struct engine_create *create = CONTAINER_OF(write, struct engine_create, write);
    if (!create->has_place) {
        create->refusal = take_place(create);
        create->has_place = create->refusal == ENGINE_OK;
    }
    return create->has_place;
}

/* Ends a create: what made no task gives its place back, before anybody hears of it. */
static void answer_create(struct engine_create *create, enum engine_outcome outcome,
                          const struct task *task)
{
    struct engine *engine = create->engine;
    if (outcome != ENGINE_OK && create->has_place) {
        return_place(create);
    }
    if (outcome == ENGINE_TENANT_DAY) {
        create->retry_after_s = quota_day_left_s(create->fresh->request->created_micros / 1000);
    }
    create->outcome = outcome;
    create->task = task;
    task_unref(TAKE(create->fresh));
    create->done(create);
    atomic_fetch_sub(&engine->n_callers, 1);
}

static void answer_repeated(struct engine_create *create)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome =
        engine_task(create->engine, create->write.existing_id, &task, &figures);
    answer_create(create,
                  outcome == ENGINE_OK          ? ENGINE_REPEATED
                  : outcome == ENGINE_NOT_FOUND ? ENGINE_DELETED
                                                : ENGINE_STORE_FAILED,
                  task);
}

/* On the store's writer thread. */
static void on_created(struct store_write *write)
{
    struct engine_create *create = CONTAINER_OF(write, struct engine_create, write);
    struct engine *engine = create->engine;
    if (write->result == STORE_WRITTEN) {
        atomic_fetch_add(&engine->counts.created, 1);
        create->fresh->change = write->change;
        table_publish(engine->table, create->fresh);
        admit(engine, create->fresh);
        log_write(
            LOG_INFO,
            &(struct log_about){create->fresh->request->request_id, create->fresh->request->id},
            "created for tenant \"%s\", model \"%s\"", create->fresh->request->tenant,
            create->fresh->request->model);
        answer_create(create, ENGINE_OK, task_ref(create->fresh));
    } else if (write->result == STORE_REPEATED) {
        answer_repeated(create);
    } else if (write->result == STORE_NOT_ADMITTED) {
        answer_create(create, create->refusal, NULL);
    } else if (write->result == STORE_CONFLICT) {
        answer_create(create, ENGINE_CONFLICT, NULL);
    } else {
        log_error("cannot store a new task: %s", strerror(abs(write->result)));
        answer_create(create, ENGINE_STORE_FAILED, NULL);
    }
}

void engine_create(struct engine *engine, struct engine_create *create)
{
    create->engine = engine;
    create->retry_after_s = 0;
    atomic_fetch_add(&engine->n_callers, 1);
    struct task_request *request = TAKE(create->request);
    int64_t deadline_ms = request->created_micros / 1000 + engine->parts.settings->deadline;
    create->write = (struct store_write){
        .kind = STORE_CREATE,
        .idempotency_key = create->idempotency_key,
        .idempotency_keep_ms = engine->parts.settings->idempotency,
        /* With a key only once it is known to be new: who sends again takes no place, from himself or others, not even
         * for a moment, and is answered also where there is none. */
        .admit = admit_create,
        .done = on_created,
    };
    task_request_digest(request, create->write.digest);
    task_request_pack(request);
    create->fresh = task_new(request, deadline_ms);
    create->write.task = create->fresh;
    create->has_place = false;
    if (atomic_load(&engine->is_closing)) {
        answer_create(create, ENGINE_CLOSING, NULL);
    } else if (create->idempotency_key == NULL && !admit_create(&create->write)) {
        answer_create(create, create->refusal, NULL);
    } else if (store_submit(engine->parts.store, &create->write) != 0) {
        answer_create(create, ENGINE_FULL, NULL);
    }
}

/* ---- cancel ---- */

void engine_answer_cancel(struct engine_cancel *cancel, enum engine_outcome outcome,
                          const struct task *task)
{
    struct engine *engine = cancel->engine;
    cancel->outcome = outcome;
    cancel->task = task ? task_ref(task) : NULL;
    cancel->done(cancel);
    atomic_fetch_sub(&engine->n_callers, 1);
}

static bool may_touch(const struct engine_cancel *cancel, const struct task *task)
{
    return cancel->tenant[0] == '\0' || strcmp(cancel->tenant, task->request->tenant) == 0;
}

/* Durable, but its admission is still on its way: behind it in the inbox the cancel finds the actor. Once only: a task that
 * another writer has is not ours to cancel. */
static void cancel_unadmitted(struct engine_cancel *cancel)
{
    if (cancel->was_posted_again) {
        engine_answer_cancel(cancel, ENGINE_STORE_FAILED, NULL);
        return;
    }
    cancel->was_posted_again = true;
    loop_post(cancel->engine->loop, &cancel->job);
}

/* No actor: the task has ended, never was, or is not admitted yet. */
static void cancel_ended(struct engine_cancel *cancel)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome = engine_task(cancel->engine, cancel->id, &task, &figures);
    if (outcome == ENGINE_OK && !may_touch(cancel, task)) {
        outcome = ENGINE_NOT_FOUND;
    }
    if (outcome != ENGINE_OK) {
        engine_answer_cancel(cancel, outcome, NULL);
    } else if (!task_state_is_end(task->state)) {
        cancel_unadmitted(cancel);
    } else if (task->state == TASK_CANCELLED) {
        engine_answer_cancel(cancel, ENGINE_OK, task);
    } else {
        engine_answer_cancel(cancel, ENGINE_CONFLICT, task);
    }
    task_unref(task);
}

static void on_cancel(struct loop_job *job)
{
    struct engine_cancel *cancel = CONTAINER_OF(job, struct engine_cancel, job);
    struct actor *actor = actor_find(cancel->engine, cancel->id);
    if (!actor) {
        cancel_ended(cancel);
    } else if (!may_touch(cancel, actor->task)) {
        engine_answer_cancel(cancel, ENGINE_NOT_FOUND, NULL);
    } else {
        actor_cancel(actor, cancel);
    }
}

void engine_cancel(struct engine *engine, struct engine_cancel *cancel)
{
    cancel->engine = engine;
    cancel->job.run = on_cancel;
    cancel->was_posted_again = false;
    atomic_fetch_add(&engine->n_callers, 1);
    if (atomic_load(&engine->is_closing)) {
        engine_answer_cancel(cancel, ENGINE_CLOSING, NULL);
    } else {
        loop_post(engine->loop, &cancel->job);
    }
}

/* ---- look ---- */

/* A task that is gone is not found, though its record and, for a while, its place in the table are there. */
static enum engine_outcome show(const struct task *task, const struct task **ret_task)
{
    if (task->deleted_ms != 0) {
        task_unref(task);
        return ENGINE_NOT_FOUND;
    }
    *ret_task = task;
    return ENGINE_OK;
}

enum engine_outcome engine_task(struct engine *engine, const char *id, const struct task **ret_task,
                                struct engine_figures *ret_figures)
{
    const struct task *task;
    if (table_find(engine->table, id, &task, ret_figures)) {
        return show(task, ret_task);
    }
    int outcome = store_task(engine->parts.store, id, &task);
    if (outcome == STORE_NOT_FOUND) {
        return ENGINE_NOT_FOUND;
    }
    if (outcome != 0) {
        log_task(LOG_ERROR, id, "cannot read the task: %s", strerror(abs(outcome)));
        return outcome == -EBADMSG ? ENGINE_DAMAGED : ENGINE_STORE_FAILED;
    }
    if (task_state_is_end(task->state)) {
        table_publish(engine->table, task);
    }
    *ret_figures = (struct engine_figures){.wait_s = -1.0};
    return show(task, ret_task);
}

/* ---- webhooks ---- */

struct webhook_news {
    struct loop_job job;
    struct engine *engine;
    char tenant[TASK_TENANT_SIZE];
};

static void on_webhook_news(struct loop_job *job)
{
    struct webhook_news *news = CONTAINER_OF(job, struct webhook_news, job);
    if (news->engine->deliver) {
        deliver_news(news->engine->deliver, news->tenant);
    }
    free(news);
}

void engine_webhook_news(struct engine *engine, const char *tenant)
{
    struct webhook_news *news = must_calloc(1, sizeof *news);
    news->job.run = on_webhook_news;
    news->engine = engine;
    snprintf(news->tenant, sizeof news->tenant, "%s", tenant);
    loop_post(engine->loop, &news->job);
}

void engine_called_back(struct engine *engine, const char *attempt_id)
{
    callbacks_hear(engine->callbacks, attempt_id);
}

const struct engine_counts *engine_counts(const struct engine *engine)
{
    return &engine->counts;
}

bool engine_published(struct engine *engine, const char *id, const struct task **ret_task,
                      struct engine_figures *ret_figures)
{
    return table_find(engine->table, id, ret_task, ret_figures);
}

void engine_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    *ret_stats = (struct engine_stats){
        .unfinished = atomic_load(&engine->n_unfinished),
        .queued = atomic_load(&engine->n_queued_now),
        .running = atomic_load(&engine->n_running_now),
        .hot = (int64_t)table_count(engine->table),
        .is_closing = atomic_load(&engine->is_closing),
        .store_is_ailing = store_is_ailing(engine->parts.store),
    };
}
