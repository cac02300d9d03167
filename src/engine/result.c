/* SPDX-License-Identifier: Apache-2.0
 *
 * A result is made in two steps: variants (helper) -> store (blocking thread). Its files are unnamed spool files until
 * they are stored. The blocking job is the one thing that cannot be broken off: a result stopped meanwhile is `abandoned`
 * and ends when the job comes back; so it holds descriptors of its own of all that is stored. */
#include "engine/result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "task/unified.h"

enum output {
    OUTPUT_SOURCE,
    OUTPUT_THUMBNAIL,
    OUTPUT_PREVIEW,
    OUTPUT_SPRITESHEET,
    OUTPUT_MEDIUM,
    OUTPUT_MARKED,
    OUTPUT_COUNT
};

static const struct {
    const char *name, *type;
} output_files[OUTPUT_COUNT] = {
    [OUTPUT_SOURCE] = {UNIFIED_SOURCE, "video/mp4"},
    [OUTPUT_THUMBNAIL] = {UNIFIED_THUMBNAIL, "image/webp"},
    [OUTPUT_PREVIEW] = {UNIFIED_PREVIEW, "image/gif"},
    [OUTPUT_SPRITESHEET] = {UNIFIED_SPRITESHEET, "image/jpeg"},
    [OUTPUT_MEDIUM] = {UNIFIED_MEDIUM, "video/mp4"},
    [OUTPUT_MARKED] = {UNIFIED_MARKED, "video/mp4"},
};

/* Those whose helper works, and those that wait for one, the oldest first. */
struct results {
    int n_working, most;
    struct result *first, **last;
};

struct result {
    struct result *next; /* waits */
    bool waits, works;   /* in the line, for a helper; counts as working */
    const struct engine_room *room;
    const struct task *task;
    struct result_handler handler;
    int files[OUTPUT_COUNT]; /* -1: none */
    struct media_job *media;
    struct loop_timer early; /* tells a failure of the start */
    struct blocking_job storing;
    bool is_storing;   /* `storing` is with the pool */
    bool is_abandoned; /* stopped while storing */
    bool is_stored;    /* the files stand in the store, and nobody has said that they are wanted */
    struct task_result facts;
    int store_fault; /* outcome of the blocking job */
};

/* The result may be gone afterwards. */
static void tell(struct result *result, const struct result_outcome *outcome)
{
    result->handler.done(result->handler.context, outcome);
}

static void tell_no_room(struct result *result, const char *reason)
{
    tell(result, &(struct result_outcome){
                     .failure = TASK_FAILURE_STORAGE, .may_retry = true, .reason = reason});
}

/* ---- the line ---- */

struct results *results_new(int most)
{
    struct results *results = must_calloc(1, sizeof *results);
    must(most > 0);
    results->most = most;
    results->last = &results->first;
    return results;
}

void results_close(struct results *results)
{
    results->most = 0;
}

struct results *results_free(struct results *results)
{
    must(!results || (!results->first && results->n_working == 0));
    free(results);
    return NULL;
}

static void start_next(struct results *results);

static void leave_line(struct result *result)
{
    struct results *results = result->room->results;
    if (result->waits) {
        struct result **link = &results->first;
        while (*link != result) {
            link = &(*link)->next;
        }
        *link = result->next;
        results->last = result->next ? results->last : link;
    } else if (result->works) {
        results->n_working--;
        start_next(results);
    }
    result->waits = result->works = false;
}

static void free_result(struct result *result)
{
    loop_disarm(result->room->loop, &result->early);
    result->media = media_stop(result->media);
    leave_line(result);
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        close_fd(&result->files[i]);
    }
    task_unref(result->task);
    free(result);
}

struct media_limits result_limits(const struct settings *settings)
{
    return (struct media_limits){
        .total_ms = settings->render_total,
        .stall_ms = settings->render_stall,
        .memory_bytes = settings->render_memory,
        .file_bytes = settings->render_file,
    };
}

static const struct {
    enum task_failure failure;
    bool may_retry, has_note;
} media_failures[MEDIA_END_COUNT] = {
    [MEDIA_DONE] = {TASK_FAILURE_NONE, false, false},
    [MEDIA_CRASHED] = {TASK_FAILURE_RENDER_CRASHED, true, false},
    [MEDIA_STALLED] = {TASK_FAILURE_RENDER_STALLED, true, false},
    [MEDIA_BAD_IMAGE] = {TASK_FAILURE_IMAGE_INVALID, false, true},
    [MEDIA_BAD_VIDEO] = {TASK_FAILURE_OUTPUT_INVALID, false, false},
    [MEDIA_NO_SPACE] = {TASK_FAILURE_STORAGE, true, false},
    [MEDIA_TOO_LARGE] = {TASK_FAILURE_OUTPUT_TOO_LARGE, false, false},
    [MEDIA_NO_MEMORY] = {TASK_FAILURE_RENDER_MEMORY, false, false},
    [MEDIA_FAILED] = {TASK_FAILURE_RENDER_FAILED, false, false},
};

enum task_failure result_failure_of(enum media_end end, bool *ret_may_retry, bool *ret_has_note)
{
    must((unsigned)end < MEDIA_END_COUNT);
    *ret_may_retry = media_failures[end].may_retry;
    *ret_has_note = media_failures[end].has_note;
    return media_failures[end].failure;
}

void result_explain(const struct task *task, enum media_end end, const char *work, const char *note,
                    char ret_reason[RESULT_REASON_SIZE])
{
    must(end != MEDIA_DONE);
    snprintf(ret_reason, RESULT_REASON_SIZE, "%s failed (%s)%s%s", work, media_end_name(end),
             note[0] != '\0' ? ": " : "", note);
    log_task(LOG_WARN, task->request->id, "attempt %d: %s", task->attempts, ret_reason);
}

/* ---- storing ---- */

static void key_of(const struct result *result, enum output output, char ret_key[ASSET_KEY_MAX])
{
    snprintf(ret_key, ASSET_KEY_MAX, "%s/%s/%s", result->task->request->id,
             result->facts.generation_id, output_files[output].name);
}

static void store_files(struct blocking_job *job)
{
    struct result *result = CONTAINER_OF(job, struct result, storing);
    for (enum output i = 0; i < OUTPUT_COUNT && result->store_fault == 0; i++) {
        if (result->files[i] >= 0) {
            char key[ASSET_KEY_MAX];
            struct asset_info info;
            key_of(result, i, key);
            result->store_fault = asset_put_fd(result->room->assets, key, output_files[i].type,
                                               result->files[i], &info);
        }
    }
    result->facts.stored_micros = clock_wall_micros();
}

static void erase_files(const struct result *result)
{
    for (enum output i = 0; i < OUTPUT_COUNT; i++) {
        char key[ASSET_KEY_MAX];
        key_of(result, i, key);
        int outcome = asset_erase(result->room->assets, key);
        if (outcome < 0) {
            log_task(LOG_WARN, result->task->request->id, "cannot erase \"%s\": %s", key,
                     strerror(-outcome));
        }
    }
}

static void on_stored(struct blocking_job *job)
{
    struct result *result = CONTAINER_OF(job, struct result, storing);
    result->is_storing = false;
    if (result->is_abandoned || result->store_fault != 0) {
        erase_files(result);
    }
    if (result->is_abandoned) {
        free_result(result);
    } else if (result->store_fault != 0) {
        log_task(LOG_ERROR, result->task->request->id, "cannot store the result: %s",
                 strerror(abs(result->store_fault)));
        tell_no_room(result, "the result could not be stored");
    } else {
        result->is_stored = true;
        tell(result, &(struct result_outcome){.result = &result->facts});
    }
}

/* ---- variants ---- */

/* The bar stands for the rendering; the helper says where it is so that it is not thought stuck. */
static void ignore_progress(void *context, double progress)
{
    (void)context;
    (void)progress;
}

static void tell_no_variants(struct result *result, enum media_end end, const char *note)
{
    char reason[RESULT_REASON_SIZE];
    bool may_retry, has_note;
    enum task_failure failure = result_failure_of(end, &may_retry, &has_note);
    result_explain(result->task, end, "making variants", note, reason);
    tell(result, &(struct result_outcome){.failure = failure,
                                          .may_retry = may_retry,
                                          .note = has_note ? note : NULL,
                                          .reason = reason});
}

static void on_variants(void *context, enum media_end end, const struct media_facts *facts,
                        const char *note)
{
    struct result *result = context;
    result->media = NULL;
    leave_line(result);
    atomic_fetch_add(&result->room->counts->variants[end], 1);
    if (end != MEDIA_DONE) {
        tell_no_variants(result, end, note);
        return;
    }
    if (facts->width < 1 || facts->height < 1 || facts->n_frames < 1 || facts->duration_ms < 1) {
        tell(result, &(struct result_outcome){.failure = TASK_FAILURE_OUTPUT_INVALID,
                                              .reason = "the video has no picture, or no length"});
        return;
    }
    result->facts = (struct task_result){
        .width = facts->width,
        .height = facts->height,
        .n_frames = facts->n_frames,
        .duration_ms = facts->duration_ms,
        .has_watermark = result->files[OUTPUT_MARKED] >= 0,
    };
    id_new("gen", result->facts.generation_id, sizeof result->facts.generation_id);
    result->storing.work = store_files;
    result->storing.finish = on_stored;
    result->is_storing = true;
    blocking_submit(result->room->blocking, &result->storing);
}

static int open_files(struct result *result, int source)
{
    result->files[OUTPUT_SOURCE] = fcntl(source, F_DUPFD_CLOEXEC, 0);
    int fault = result->files[OUTPUT_SOURCE] < 0 ? -errno : 0;
    for (size_t i = OUTPUT_THUMBNAIL; i < OUTPUT_COUNT && fault == 0; i++) {
        if (i != OUTPUT_MARKED || result->task->request->watermark) {
            fault = asset_spool_file(result->room->assets, &result->files[i]);
        }
    }
    return fault;
}

static int start_variants(struct result *result)
{
    const struct media_variants variants = {
        .source = result->files[OUTPUT_SOURCE],
        .thumbnail = result->files[OUTPUT_THUMBNAIL],
        .preview = result->files[OUTPUT_PREVIEW],
        .spritesheet = result->files[OUTPUT_SPRITESHEET],
        .medium = result->files[OUTPUT_MEDIUM],
        .marked = result->files[OUTPUT_MARKED],
    };
    const struct media_limits limits = result_limits(result->room->settings);
    const struct media_handler handler = {ignore_progress, on_variants, result};
    return media_variants_start(result->room->loop, &variants, &limits, &handler, &result->media);
}

static void on_early(struct loop_timer *timer)
{
    tell_no_room(CONTAINER_OF(timer, struct result, early), "making variants could not begin");
}

static void begin(struct result *result)
{
    int fault = start_variants(result);
    result->works = fault == 0;
    result->room->results->n_working += result->works;
    if (fault < 0) {
        log_task(LOG_ERROR, result->task->request->id, "cannot make the variants: %s",
                 strerror(-fault));
        loop_arm(result->room->loop, &result->early, 0);
    }
}

static void start_next(struct results *results)
{
    while (results->first && results->n_working < results->most) {
        struct result *result = results->first;
        results->first = result->next;
        results->last = results->first ? results->last : &results->first;
        result->waits = false;
        begin(result);
    }
}

static void stand_in_line(struct result *result)
{
    struct results *results = result->room->results;
    result->waits = true;
    result->next = NULL;
    *results->last = result;
    results->last = &result->next;
    start_next(results);
}

struct result *result_start(const struct engine_room *room, const struct task *task, int source,
                            const struct result_handler *handler)
{
    struct result *result = must_calloc(1, sizeof *result);
    result->room = room;
    result->task = task_ref(task);
    result->handler = *handler;
    result->early.fire = on_early;
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        result->files[i] = -1;
    }
    int fault = open_files(result, source);
    if (fault == 0) {
        stand_in_line(result);
    } else {
        log_task(LOG_ERROR, task->request->id, "cannot make the variants: %s", strerror(-fault));
        loop_arm(room->loop, &result->early, 0);
    }
    return result;
}

struct result *result_stop(struct result *result, bool is_kept)
{
    if (!result) {
        return NULL;
    }
    if (result->is_storing) {
        result->is_abandoned = true;
        return NULL;
    }
    if (result->is_stored && !is_kept) {
        erase_files(result);
    }
    free_result(result);
    return NULL;
}
