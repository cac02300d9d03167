/* SPDX-License-Identifier: Apache-2.0
 *
 * Erasing a task that has ended, as its owner wants it:
 *
 *     HTTP thread -> loop -> store's writer -> loop -> blocking pool: the files -> loop -> caller's done()
 *
 * The record goes first: a crash between the two leaves files that no answer names, and the sweep erases them. A task whose
 * actor still waits for an upstream is erased by the actor, as the only one who writes it. On the loop's thread, but for the
 * door and what is said otherwise. */
#include "engine/engine_own.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

/* One under way. */
struct erasure {
    struct engine *engine;
    struct engine_erase *erase;
    struct task *left; /* nobody else's until it is written */
    struct store_write write;
    struct loop_job written;
    struct blocking_job files;
};

void engine_answer_erase(struct engine_erase *erase, enum engine_outcome outcome,
                         const struct task *task)
{
    struct engine *engine = erase->engine;
    erase->outcome = outcome;
    erase->task = task ? task_ref(task) : NULL;
    erase->done(erase);
    atomic_fetch_sub(&engine->n_callers, 1);
}

static struct erasure *erasure_new(struct engine_erase *erase)
{
    struct erasure *erasure = must_calloc(1, sizeof *erasure);
    erasure->engine = erase->engine;
    erasure->erase = erase;
    erasure->engine->n_erasing++;
    return erasure;
}

static void end(struct erasure *erasure, enum engine_outcome outcome)
{
    erasure->engine->n_erasing--;
    engine_answer_erase(erasure->erase, outcome, NULL);
    task_unref(erasure->left);
    free(erasure);
}

/* ---- the files ---- */

/* On a thread of the pool. */
static void erase_files(struct blocking_job *job)
{
    struct erasure *erasure = CONTAINER_OF(job, struct erasure, files);
    struct engine *engine = erasure->engine;
    const char *id = erasure->left->request->id;
    int fault = asset_erase_task(engine->parts.assets, id);
    fault = fault < 0 ? fault : store_mark_erased(engine->parts.store, id);
    if (fault < 0) {
        log_task(LOG_ERROR, id, "deleted, but its files cannot be erased now: %s",
                 strerror(-fault));
    }
}

static void on_files_erased(struct blocking_job *job)
{
    struct erasure *erasure = CONTAINER_OF(job, struct erasure, files);
    struct engine *engine = erasure->engine;
    log_task(LOG_INFO, erasure->left->request->id, "deleted by its owner");
    engine->needs_scrub = true;
    sweep_soon(engine);
    end(erasure, ENGINE_OK);
}

static void begin_files(struct erasure *erasure)
{
    erasure->files.work = erase_files;
    erasure->files.finish = on_files_erased;
    blocking_submit(erasure->engine->blocking, &erasure->files);
}

void engine_erased(struct engine_erase *erase, const struct task *left)
{
    struct erasure *erasure = erasure_new(erase);
    erasure->left = task_copy(left);
    begin_files(erasure);
}

/* ---- the record ---- */

/* It stays in the table as what it is now, so that who read an older version from the store cannot put that back. */
static void on_erased(struct loop_job *job)
{
    struct erasure *erasure = CONTAINER_OF(job, struct erasure, written);
    struct engine *engine = erasure->engine;
    int result = erasure->write.result;
    engine->n_writes--;
    if (result == STORE_WRITTEN) {
        erasure->left->change = erasure->write.change;
        table_publish(engine->table, erasure->left);
        engine_tell(engine, erasure->left, false);
        begin_files(erasure);
        return;
    }
    if (result < 0) {
        log_task(LOG_ERROR, erasure->left->request->id, "cannot be deleted: %s", strerror(-result));
    }
    end(erasure, result < 0 ? ENGINE_STORE_FAILED : ENGINE_NOT_FOUND); /* another was faster */
}

/* On the store's writer thread. */
static void on_written(struct store_write *write)
{
    struct erasure *erasure = CONTAINER_OF(write, struct erasure, write);
    loop_post(erasure->engine->loop, &erasure->written);
}

static void begin_record(struct engine_erase *erase, const struct task *task)
{
    struct engine *engine = erase->engine;
    struct task_step step;
    task_step(task, &(struct task_event){.kind = TASK_EVENT_ERASED}, &engine->policy,
              clock_wall_ms(), &step);
    must(step.task != NULL);
    struct erasure *erasure = erasure_new(erase);
    erasure->left = step.task;
    erasure->written.run = on_erased;
    erasure->write =
        (struct store_write){.kind = STORE_ERASE, .task = step.task, .done = on_written};
    engine->n_writes++;
    if (store_submit(engine->parts.store, &erasure->write) != 0) {
        engine->n_writes--;
        end(erasure, ENGINE_CLOSING);
    }
}

/* ---- who is meant ---- */

static bool may_touch(const struct engine_erase *erase, const struct task *task)
{
    return erase->tenant[0] == '\0' || strcmp(erase->tenant, task->request->tenant) == 0;
}

/* As queries show it: an end that is not published yet is none. */
static void look(struct engine_erase *erase)
{
    struct engine *engine = erase->engine;
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome = engine_task(engine, erase->id, &task, &figures);
    struct actor *actor = actor_find(engine, erase->id);
    if (outcome == ENGINE_OK && !may_touch(erase, task)) {
        outcome = ENGINE_NOT_FOUND;
    }
    if (outcome != ENGINE_OK) {
        engine_answer_erase(erase, outcome, NULL);
    } else if (!task_state_is_end(task->state)) {
        engine_answer_erase(erase, ENGINE_CONFLICT, task);
    } else if (engine->n_erasing >= ENGINE_ERASING_MAX) {
        engine_answer_erase(erase, ENGINE_FULL, NULL);
    } else if (actor) {
        actor_erase(actor, erase);
    } else {
        begin_record(erase, task);
    }
    task_unref(task);
}

static void on_erase(struct loop_job *job)
{
    look(CONTAINER_OF(job, struct engine_erase, job));
}

void engine_erase_again(struct engine_erase *erase)
{
    loop_post(erase->engine->loop, &erase->job);
}

/* Any thread. */
void engine_erase(struct engine *engine, struct engine_erase *erase)
{
    erase->engine = engine;
    erase->job.run = on_erase;
    erase->next = NULL;
    atomic_fetch_add(&engine->n_callers, 1);
    if (atomic_load(&engine->is_closing)) {
        engine_answer_erase(erase, ENGINE_CLOSING, NULL);
    } else {
        loop_post(engine->loop, &erase->job);
    }
}
