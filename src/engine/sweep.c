/* SPDX-License-Identifier: Apache-2.0
 *
 * Retention, in two moves, so that no link ever dies early; and what owners had deleted. First a result that reached its age
 * leaves the answers (event EXPIRED): from then on no new link to it is signed. Its files go once
 * the longest life that a link ever had has passed since. Reading and erasing happen on a blocking
 * thread; the records change on the loop, as all do. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_own.h"

#include "store/webhooks.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

enum {
    SWEEP_BATCH = 100, /* tasks looked at in one go */
    SWEEP_FIRST_MS = 1000,
    SWEEP_AGAIN_MS = 100, /* while there is more */
    SWEEP_SOON_MS =
        1000, /* after something was erased, and while that is still to be had out of the store's log */
    SWEEP_EVERY_MS = 10 * 60 * 1000,
    SWEEP_HIDDEN_MS = 60 * 60 * 1000, /* an upload that a crash cut off is left over for so long */
};

static const char number_valid_for[] = "links.valid_for.longest";
static const char number_keep[] = "files.keep.longest";

struct sweep {
    struct engine *engine;
    struct blocking_job job;
    const struct task *old[SWEEP_BATCH];
    size_t n_old;
    bool has_more;
    bool must_scrub; /* the store's log */
};

/* One record on its way to «expired». */
struct expiry {
    struct engine *engine;
    struct task *task; /* nobody else's until it is written */
    struct store_write write;
    struct loop_job written;
};

static void on_expired(struct loop_job *job)
{
    struct expiry *expiry = CONTAINER_OF(job, struct expiry, written);
    expiry->engine->n_writes--;
    if (expiry->write.result == STORE_WRITTEN) {
        expiry->task->change = expiry->write.change;
        table_publish(expiry->engine->table, expiry->task);
        engine_tell(expiry->engine, expiry->task, false);
    } else {
        log_task(LOG_WARN, expiry->task->request->id, "cannot mark the result as expired: %d",
                 expiry->write.result);
    }
    task_unref(expiry->task);
    free(expiry);
}

static void on_expiry_written(struct store_write *write)
{
    struct expiry *expiry = CONTAINER_OF(write, struct expiry, write);
    loop_post(expiry->engine->loop, &expiry->written);
}

static void expire(struct engine *engine, const struct task *task)
{
    struct task_step step;
    task_step(task, &(struct task_event){.kind = TASK_EVENT_EXPIRED}, &engine->policy,
              clock_wall_ms(), &step);
    if (!step.task) {
        return;
    }
    struct expiry *expiry = must_calloc(1, sizeof *expiry);
    expiry->engine = engine;
    expiry->task = step.task;
    expiry->written.run = on_expired;
    expiry->write =
        (struct store_write){.kind = STORE_UPDATE, .task = step.task, .done = on_expiry_written};
    engine->n_writes++;
    if (store_submit(engine->parts.store, &expiry->write) != 0) {
        engine->n_writes--;
        task_unref(expiry->task);
        free(expiry);
    }
}

static void on_swept(struct blocking_job *job)
{
    struct sweep *sweep = CONTAINER_OF(job, struct sweep, job);
    struct engine *engine = sweep->engine;
    for (size_t i = 0; i < sweep->n_old; i++) {
        if (!engine->is_over) {
            expire(engine, sweep->old[i]);
        }
        task_unref(sweep->old[i]);
    }
    engine->sweeping = NULL;
    engine->needs_scrub |= sweep->must_scrub;
    if (!engine->is_draining && !engine->is_over) {
        loop_arm(engine->loop, &engine->sweep,
                 sweep->has_more       ? SWEEP_AGAIN_MS
                 : engine->needs_scrub ? SWEEP_SOON_MS
                                       : SWEEP_EVERY_MS);
    }
    free(sweep);
}

/* The longest of what was recorded under `name` and of what is configured; with `notes` it is on record from then on. */
static int longest_of(struct store *store, const char *name, int64_t configured_ms, bool notes,
                      int64_t *ret_longest_ms)
{
    int64_t recorded_ms = 0;
    int fault = store_number(store, name, &recorded_ms);
    if (fault >= 0 && notes && configured_ms > recorded_ms) {
        fault = store_set_number(store, name, configured_ms);
    }
    *ret_longest_ms = recorded_ms > configured_ms ? recorded_ms : configured_ms;
    return fault < 0 ? fault : 0;
}

/* The longest life of any link to a task's files that this store ever signed, and of any to an uploaded file, which lives as long as
 * its file; this configuration's included. */
static int longest_lives(struct store *store, const struct settings *settings, bool notes,
                         int64_t *ret_links_ms, int64_t *ret_files_ms)
{
    int fault = longest_of(store, number_keep, settings->files_keep, notes, ret_files_ms);
    return fault < 0 ? fault
                     : longest_of(store, number_valid_for, settings->links_valid_for, notes,
                                  ret_links_ms);
}

int engine_longest_valid_for(struct store *store, const struct settings *settings,
                             int64_t *ret_longest_ms)
{
    int64_t links_ms, files_ms;
    int fault = longest_lives(store, settings, false, &links_ms, &files_ms);
    if (fault < 0) {
        return fault;
    }
    *ret_longest_ms = links_ms > files_ms ? links_ms : files_ms;
    return 0;
}

/* Of links to a task's files. All are on record before the first link is signed that lives so long. */
static int note_longest_valid_for(struct engine *engine, int64_t *ret_longest_ms)
{
    int64_t files_ms;
    return longest_lives(engine->parts.store, engine->parts.settings, true, ret_longest_ms,
                         &files_ms);
}

/* Erases the files of `tasks`, and marks them. How many were; what cannot be erased now is left for another sweep. */
static size_t erase_files(struct engine *engine, const struct task *const *tasks, size_t count)
{
    size_t n_erased = 0;
    for (size_t i = 0; i < count; i++) {
        const char *id = tasks[i]->request->id;
        int fault = asset_erase_task(engine->parts.assets, id);
        fault = fault < 0 ? fault : store_mark_erased(engine->parts.store, id);
        if (fault < 0) {
            log_task(LOG_WARN, id, "cannot erase the files: %s", strerror(-fault));
        }
        n_erased += fault >= 0;
        task_unref(tasks[i]);
    }
    return n_erased;
}

/* True when there may be more to erase. */
static bool erase_expired(struct engine *engine, int64_t now_ms)
{
    const struct task *tasks[SWEEP_BATCH];
    size_t count = 0;
    int64_t longest_ms;
    if (note_longest_valid_for(engine, &longest_ms) < 0 ||
        store_list_old(engine->parts.store, true, now_ms - longest_ms, SWEEP_BATCH, tasks,
                       &count) != 0) {
        return false;
    }
    return erase_files(engine, tasks, count) == SWEEP_BATCH;
}

/* What owners had deleted, and a crash or a fault of the disk left there: links to it must not live on. */
static bool erase_deleted(struct engine *engine)
{
    const struct task *tasks[SWEEP_BATCH];
    size_t count = 0;
    if (store_list_deleted(engine->parts.store, SWEEP_BATCH, tasks, &count) != 0) {
        return false;
    }
    return erase_files(engine, tasks, count) == SWEEP_BATCH;
}

/* Uploaded files whose time is over, and what was left of those that were cut off. True as erase_expired(). */
static bool erase_uploads(struct engine *engine, int64_t now_ms)
{
    char ids[SWEEP_BATCH][ID_SHORT_SIZE];
    size_t count = 0, n_erased = 0;
    if (store_file_due(engine->parts.store, now_ms, now_ms - SWEEP_HIDDEN_MS, SWEEP_BATCH, ids,
                       &count) < 0) {
        log_warn("cannot look for expired files");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int fault = asset_erase_file(engine->parts.assets, ids[i]);
        fault = fault < 0 ? fault : store_file_forget(engine->parts.store, ids[i]);
        if (fault < 0) {
            log_warn("cannot erase the expired file %s: %s", ids[i], strerror(-fault));
        } else {
            n_erased++;
        }
    }
    return n_erased == SWEEP_BATCH;
}

static void do_sweep(struct blocking_job *job)
{
    struct sweep *sweep = CONTAINER_OF(job, struct sweep, job);
    struct engine *engine = sweep->engine;
    const struct settings *settings = engine->parts.settings;
    int64_t now_ms = clock_wall_ms();
    sweep->has_more = erase_deleted(engine);
    if (settings->retention > 0) {
        int outcome = store_list_old(engine->parts.store, false, now_ms - settings->retention,
                                     SWEEP_BATCH, sweep->old, &sweep->n_old);
        sweep->n_old = outcome == 0 ? sweep->n_old : 0;
        /* A store that cannot write would name the same ones again and again. */
        bool has_more_old = sweep->n_old == SWEEP_BATCH && !store_is_ailing(engine->parts.store);
        bool has_more_expired = erase_expired(engine, now_ms);
        sweep->has_more = sweep->has_more || has_more_old || has_more_expired;
    }
    if (sweep->must_scrub) {
        sweep->must_scrub = store_scrub(engine->parts.store) < 0;
    }
    sweep->has_more = erase_uploads(engine, now_ms) || sweep->has_more;
    if (store_sweep_idempotency(engine->parts.store, now_ms - settings->idempotency) < 0) {
        log_warn("cannot sweep old idempotency keys");
    }
    if (store_sweep_deliveries(engine->parts.store, now_ms - settings->webhooks_retention, now_ms) <
        0) {
        log_warn("cannot sweep the log of webhooks");
    }
}

static void on_sweep(struct loop_timer *timer)
{
    struct engine *engine = CONTAINER_OF(timer, struct engine, sweep);
    struct sweep *sweep = must_calloc(1, sizeof *sweep);
    sweep->engine = engine;
    sweep->job.work = do_sweep;
    sweep->job.finish = on_swept;
    sweep->must_scrub = engine->needs_scrub;
    engine->needs_scrub = false;
    engine->sweeping = sweep;
    blocking_submit(engine->blocking, &sweep->job);
}

void sweep_soon(struct engine *engine)
{
    if (!engine->sweeping && !engine->is_draining && !engine->is_over) {
        loop_arm(engine->loop, &engine->sweep, SWEEP_SOON_MS);
    }
}

int sweep_arm(struct engine *engine)
{
    int64_t longest_ms;
    int fault = note_longest_valid_for(engine, &longest_ms);
    if (fault < 0) {
        return fault;
    }
    engine->sweep.fire = on_sweep;
    engine->needs_scrub = true; /* the process before us may not have come to it */
    loop_arm(engine->loop, &engine->sweep, SWEEP_FIRST_MS);
    return 0;
}
