/* SPDX-License-Identifier: Apache-2.0
 *
 * An attempt walks through: inputs (assets opened, URLs fetched into the spool) -> render (helper)
 * -> variants (helper) -> store (blocking thread). All of its files are unnamed spool files until
 * they are stored, so whatever ends it leaves nothing behind. The one thing that cannot be broken
 * off is the blocking job: an attempt stopped meanwhile is `abandoned` and ends when the job comes
 * back. */
#include "engine/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "media/media.h"
#include "task/image.h"
#include "task/unified.h"

struct input {
    struct attempt *attempt;
    struct exchange *exchange; /* while it is being fetched */
    int fd;
};

enum output {
    OUTPUT_SOURCE,
    OUTPUT_THUMBNAIL,
    OUTPUT_PREVIEW,
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
    [OUTPUT_MEDIUM] = {UNIFIED_MEDIUM, "video/mp4"},
    [OUTPUT_MARKED] = {UNIFIED_MARKED, "video/mp4"},
};

struct attempt {
    const struct attempt_parts *parts;
    const struct task *task;
    struct attempt_handler handler;
    struct input inputs[TASK_IMAGES_MAX];
    size_t n_waiting; /* inputs still being fetched */
    int outputs[OUTPUT_COUNT];
    struct media_job *media;
    struct loop_timer begin; /* begins at the loop's next turn, or tells `early` */
    struct blocking_job storing;
    bool is_storing;   /* `storing` is with the pool */
    bool is_abandoned; /* stopped while storing */
    bool is_stored;    /* the files stand in the store, and nobody has said that they are wanted */
    struct task_result result;
    int store_fault;         /* outcome of the blocking job */
    struct task_event early; /* a failure found while starting something */
};

static void tell(struct attempt *attempt, const struct task_event *event)
{
    attempt->handler.event(attempt->handler.context, event);
}

static void tell_failure(struct attempt *attempt, enum task_failure failure, bool may_retry,
                         const char *note)
{
    tell(attempt,
         &(struct task_event){
             .kind = TASK_EVENT_FAILED, .failure = failure, .may_retry = may_retry, .note = note});
}

static void close_input(struct input *input)
{
    input->exchange = exchange_stop(input->exchange);
    close_fd(&input->fd);
    input->fd = -1;
}

static void free_attempt(struct attempt *attempt)
{
    loop_disarm(attempt->parts->loop, &attempt->begin);
    attempt->media = media_stop(attempt->media);
    for (size_t i = 0; i < attempt->task->request->n_images; i++) {
        close_input(&attempt->inputs[i]);
    }
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        close_fd(&attempt->outputs[i]);
    }
    task_unref(attempt->task);
    free(attempt);
}

/* A failure of ours to start something: told at the next turn, since events never come from within
 * a start. */
static void fail_later(struct attempt *attempt, enum task_failure failure, bool may_retry)
{
    attempt->early =
        (struct task_event){.kind = TASK_EVENT_FAILED, .failure = failure, .may_retry = may_retry};
    loop_arm(attempt->parts->loop, &attempt->begin, 0);
}

/* ---- render ---- */

static struct media_limits limits_of(const struct settings *settings)
{
    return (struct media_limits){
        .total_ms = settings->render_total,
        .stall_ms = settings->render_stall,
        .memory_bytes = settings->render_memory,
        .file_bytes = settings->render_file,
    };
}

static void on_progress(void *context, double progress)
{
    tell(context, &(struct task_event){.kind = TASK_EVENT_PROGRESS, .progress = progress});
}

/* What the end of a helper means for the task; false when it did its work. */
static bool tell_media_failure(struct attempt *attempt, enum media_end end, const char *note)
{
    switch (end) {
    case MEDIA_DONE:
        return false;
    case MEDIA_CRASHED:
        tell_failure(attempt, TASK_FAILURE_RENDER_CRASHED, true, NULL);
        return true;
    case MEDIA_STALLED:
        tell_failure(attempt, TASK_FAILURE_RENDER_STALLED, true, NULL);
        return true;
    case MEDIA_BAD_IMAGE:
        tell_failure(attempt, TASK_FAILURE_IMAGE_INVALID, false, note);
        return true;
    case MEDIA_BAD_VIDEO:
        tell_failure(attempt, TASK_FAILURE_OUTPUT_INVALID, false, NULL);
        return true;
    case MEDIA_NO_SPACE:
        tell_failure(attempt, TASK_FAILURE_STORAGE, true, NULL);
        return true;
    case MEDIA_TOO_LARGE:
        tell_failure(attempt, TASK_FAILURE_OUTPUT_TOO_LARGE, false, NULL);
        return true;
    case MEDIA_NO_MEMORY:
        tell_failure(attempt, TASK_FAILURE_RENDER_MEMORY, false, NULL);
        return true;
    case MEDIA_FAILED:
    case MEDIA_END_COUNT:
        break;
    }
    tell_failure(attempt, TASK_FAILURE_RENDER_FAILED, false, NULL);
    return true;
}

static void log_media_end(const struct attempt *attempt, enum media_end end, const char *work,
                          const char *note)
{
    if (end != MEDIA_DONE) {
        log_task(LOG_WARN, attempt->task->request->id, "%s ended with %s in attempt %d: %s", work,
                 media_end_name(end), attempt->task->attempts, note);
    }
}

static void on_rendered(void *context, enum media_end end, const struct media_facts *facts,
                        const char *note)
{
    struct attempt *attempt = context;
    (void)facts; /* those of the stored file are probed with the variants */
    attempt->media = NULL;
    atomic_fetch_add(&attempt->parts->counts->renders[end], 1);
    log_media_end(attempt, end, "rendering", note);
    if (!tell_media_failure(attempt, end, note)) {
        tell(attempt, &(struct task_event){.kind = TASK_EVENT_RENDERED});
    }
}

/* Without a seed of the client's, the task's own id decides: the same task renders the same again.
 */
static int64_t seed_of(const struct task_request *request)
{
    if (request->has_seed) {
        return request->seed;
    }
    uint64_t hash = 14695981039346656037U;
    for (const char *c = request->id; *c; c++) {
        hash = (hash ^ (unsigned char)*c) * 1099511628211U;
    }
    return (int64_t)(hash >> 11);
}

static void start_rendering(struct attempt *attempt)
{
    const struct task_request *request = attempt->task->request;
    int images[TASK_IMAGES_MAX];
    for (size_t i = 0; i < request->n_images; i++) {
        images[i] = attempt->inputs[i].fd;
    }
    const struct media_animatic animatic = {
        .prompt = request->prompt,
        .seed = seed_of(request),
        .width = request->width,
        .height = request->height,
        .n_frames = request->n_frames,
        .images = images,
        .n_images = request->n_images,
        .output = attempt->outputs[OUTPUT_SOURCE],
    };
    const struct media_limits limits = limits_of(attempt->parts->settings);
    const struct media_handler handler = {on_progress, on_rendered, attempt};
    int fault =
        media_animatic_start(attempt->parts->loop, &animatic, &limits, &handler, &attempt->media);
    if (fault < 0) {
        log_task(LOG_ERROR, request->id, "cannot start a renderer: %s", strerror(-fault));
        tell_failure(attempt, TASK_FAILURE_RENDER_CRASHED, true, NULL);
        return;
    }
    tell(attempt, &(struct task_event){.kind = TASK_EVENT_STARTED});
}

/* ---- inputs ---- */

static bool is_usable_image(const struct attempt *attempt, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_size == 0) {
        return false;
    }
    size_t length = (size_t)status.st_size;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return false;
    }
    struct image_info info;
    bool is_usable = image_sniff(bytes, length, &info) &&
                     info.width * info.height <= attempt->parts->settings->image_pixels;
    munmap(bytes, length);
    return is_usable;
}

static void note_image(const struct input *input, const char *what, char ret_note[TASK_NOTE_SIZE])
{
    long index = (long)(input - input->attempt->inputs) + 1;
    snprintf(ret_note, TASK_NOTE_SIZE, "Image %ld: %s.", index, what);
}

/* Would the same download work later? An answer that says «no» will not change, trouble on the way
 * may. */
static bool is_passing(const struct exchange_result *result)
{
    if (result->end == EXCHANGE_STATUS) {
        return result->status == 408 || result->status == 425 || result->status == 429 ||
               result->status >= 500;
    }
    return result->end == EXCHANGE_UNREACHABLE || result->end == EXCHANGE_TIMED_OUT ||
           result->end == EXCHANGE_SINK_FAILED;
}

static void tell_fetch_failure(const struct input *input, const struct exchange_result *result)
{
    struct attempt *attempt = input->attempt;
    log_task(LOG_WARN, attempt->task->request->id, "fetching input image %ld failed: %s",
             (long)(input - attempt->inputs) + 1, result->note);
    char note[TASK_NOTE_SIZE];
    if (result->end == EXCHANGE_FORBIDDEN) {
        note_image(input, "its address is not a public one", note);
        tell_failure(attempt, TASK_FAILURE_IMAGE_FORBIDDEN, false, note);
    } else if (result->end == EXCHANGE_TOO_LARGE) {
        note_image(input, "it is too large", note);
        tell_failure(attempt, TASK_FAILURE_IMAGE_INVALID, false, note);
    } else if (result->end == EXCHANGE_SINK_FAILED) {
        tell_failure(attempt, TASK_FAILURE_STORAGE, true, NULL);
    } else {
        note_image(input, "it could not be fetched", note);
        tell_failure(attempt, TASK_FAILURE_IMAGE_UNREACHABLE, is_passing(result), note);
    }
}

static void stop_fetches(struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->task->request->n_images; i++) {
        attempt->inputs[i].exchange = exchange_stop(attempt->inputs[i].exchange);
    }
}

static void on_fetched(void *context, const struct exchange_result *result)
{
    struct input *input = context;
    struct attempt *attempt = input->attempt;
    input->exchange = NULL;
    attempt->n_waiting--;
    if (result->end != EXCHANGE_DONE) {
        stop_fetches(attempt);
        tell_fetch_failure(input, result);
    } else if (!is_usable_image(attempt, input->fd)) {
        char note[TASK_NOTE_SIZE];
        note_image(input, "its content or size in pixels does not fit", note);
        stop_fetches(attempt);
        tell_failure(attempt, TASK_FAILURE_IMAGE_INVALID, false, note);
    } else if (attempt->n_waiting == 0) {
        start_rendering(attempt);
    }
}

static int start_fetch(struct input *input, const char *url)
{
    const struct attempt_parts *parts = input->attempt->parts;
    int fault = asset_spool_file(parts->assets, &input->fd);
    if (fault < 0) {
        return fault;
    }
    const struct settings *settings = parts->settings;
    const struct exchange_fetch fetch = {
        .url = url,
        .sink = input->fd,
        .max_bytes = settings->image_bytes,
        .connect_ms = settings->fetch_connect,
        .total_ms = settings->fetch_total,
        .max_redirects = (int)settings->fetch_redirects,
        .guard = parts->guard,
        .done = on_fetched,
        .context = input,
    };
    fault = exchange_fetch(parts->exchanges, &fetch, &input->exchange);
    input->attempt->n_waiting += fault == 0;
    return fault;
}

static int bring_input(struct input *input, const struct task_image *image)
{
    if (image->url) {
        return start_fetch(input, image->url);
    }
    struct asset_info info;
    int outcome = asset_get(input->attempt->parts->assets, image->key, &input->fd, &info);
    return outcome > 0 ? -ENOENT : outcome;
}

static void on_begin(struct loop_timer *timer)
{
    struct attempt *attempt = CONTAINER_OF(timer, struct attempt, begin);
    if (attempt->early.failure != TASK_FAILURE_NONE) {
        tell(attempt, &attempt->early);
    } else {
        start_rendering(attempt);
    }
}

static int bring_inputs(struct attempt *attempt)
{
    const struct task_request *request = attempt->task->request;
    for (size_t i = 0; i < request->n_images; i++) {
        int fault = bring_input(&attempt->inputs[i], &request->images[i]);
        if (fault < 0) {
            return fault;
        }
    }
    return 0;
}

struct attempt *attempt_start(const struct attempt_parts *parts, const struct task *task,
                              const struct attempt_handler *handler)
{
    struct attempt *attempt = must_calloc(1, sizeof *attempt);
    attempt->parts = parts;
    attempt->task = task_ref(task);
    attempt->handler = *handler;
    attempt->begin.fire = on_begin;
    for (size_t i = 0; i < TASK_IMAGES_MAX; i++) {
        attempt->inputs[i] = (struct input){.attempt = attempt, .fd = -1};
    }
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        attempt->outputs[i] = -1;
    }
    int fault = asset_spool_file(parts->assets, &attempt->outputs[OUTPUT_SOURCE]);
    fault = fault < 0 ? fault : bring_inputs(attempt);
    if (fault < 0) {
        log_task(LOG_ERROR, task->request->id, "cannot prepare the inputs: %s", strerror(-fault));
        stop_fetches(attempt);
        fail_later(attempt, TASK_FAILURE_STORAGE, true);
    } else if (attempt->n_waiting == 0) {
        loop_arm(parts->loop, &attempt->begin, 0);
    }
    return attempt;
}

/* ---- variants and storing ---- */

static void key_of(const struct attempt *attempt, enum output output, char ret_key[ASSET_KEY_MAX])
{
    snprintf(ret_key, ASSET_KEY_MAX, "%s/%s/%s", attempt->task->request->id,
             attempt->result.generation_id, output_files[output].name);
}

static void store_files(struct blocking_job *job)
{
    struct attempt *attempt = CONTAINER_OF(job, struct attempt, storing);
    for (enum output i = 0; i < OUTPUT_COUNT && attempt->store_fault == 0; i++) {
        if (attempt->outputs[i] >= 0) {
            char key[ASSET_KEY_MAX];
            struct asset_info info;
            key_of(attempt, i, key);
            attempt->store_fault = asset_put_fd(attempt->parts->assets, key, output_files[i].type,
                                                attempt->outputs[i], &info);
        }
    }
    attempt->result.stored_micros = clock_wall_micros();
}

static void erase_files(const struct attempt *attempt)
{
    for (enum output i = 0; i < OUTPUT_COUNT; i++) {
        char key[ASSET_KEY_MAX];
        key_of(attempt, i, key);
        int outcome = asset_erase(attempt->parts->assets, key);
        if (outcome < 0) {
            log_task(LOG_WARN, attempt->task->request->id, "cannot erase \"%s\": %s", key,
                     strerror(-outcome));
        }
    }
}

static void on_stored(struct blocking_job *job)
{
    struct attempt *attempt = CONTAINER_OF(job, struct attempt, storing);
    attempt->is_storing = false;
    if (attempt->is_abandoned || attempt->store_fault != 0) {
        erase_files(attempt);
    }
    if (attempt->is_abandoned) {
        free_attempt(attempt);
    } else if (attempt->store_fault != 0) {
        log_task(LOG_ERROR, attempt->task->request->id, "cannot store the result: %s",
                 strerror(abs(attempt->store_fault)));
        tell_failure(attempt, TASK_FAILURE_STORAGE, true, NULL);
    } else {
        attempt->is_stored = true;
        tell(attempt, &(struct task_event){.kind = TASK_EVENT_STORED, .result = attempt->result});
    }
}

/* The bar stands for the rendering; the helper says where it is so that it is not thought stuck. */
static void ignore_progress(void *context, double progress)
{
    (void)context;
    (void)progress;
}

static void on_variants(void *context, enum media_end end, const struct media_facts *facts,
                        const char *note)
{
    struct attempt *attempt = context;
    attempt->media = NULL;
    atomic_fetch_add(&attempt->parts->counts->variants[end], 1);
    log_media_end(attempt, end, "making variants", note);
    if (tell_media_failure(attempt, end, note)) {
        return;
    }
    if (facts->width < 1 || facts->height < 1 || facts->n_frames < 1 || facts->duration_ms < 1) {
        tell_failure(attempt, TASK_FAILURE_OUTPUT_INVALID, false, NULL);
        return;
    }
    attempt->result = (struct task_result){
        .width = facts->width,
        .height = facts->height,
        .n_frames = facts->n_frames,
        .duration_ms = facts->duration_ms,
        .has_watermark = attempt->outputs[OUTPUT_MARKED] >= 0,
    };
    id_new("gen", attempt->result.generation_id, sizeof attempt->result.generation_id);
    attempt->storing.work = store_files;
    attempt->storing.finish = on_stored;
    attempt->is_storing = true;
    blocking_submit(attempt->parts->blocking, &attempt->storing);
}

static int open_outputs(struct attempt *attempt)
{
    int fault = 0;
    for (size_t i = OUTPUT_THUMBNAIL; i < OUTPUT_COUNT && fault == 0; i++) {
        if (i != OUTPUT_MARKED || attempt->task->request->watermark) {
            fault = asset_spool_file(attempt->parts->assets, &attempt->outputs[i]);
        }
    }
    return fault;
}

void attempt_store(struct attempt *attempt)
{
    int fault = open_outputs(attempt);
    if (fault == 0) {
        const struct media_variants variants = {
            .source = attempt->outputs[OUTPUT_SOURCE],
            .thumbnail = attempt->outputs[OUTPUT_THUMBNAIL],
            .preview = attempt->outputs[OUTPUT_PREVIEW],
            .medium = attempt->outputs[OUTPUT_MEDIUM],
            .marked = attempt->outputs[OUTPUT_MARKED],
        };
        const struct media_limits limits = limits_of(attempt->parts->settings);
        const struct media_handler handler = {ignore_progress, on_variants, attempt};
        fault = media_variants_start(attempt->parts->loop, &variants, &limits, &handler,
                                     &attempt->media);
    }
    if (fault < 0) {
        log_task(LOG_ERROR, attempt->task->request->id, "cannot make the variants: %s",
                 strerror(-fault));
        fail_later(attempt, TASK_FAILURE_STORAGE, true);
    }
}

struct attempt *attempt_stop(struct attempt *attempt)
{
    if (!attempt) {
        return NULL;
    }
    if (attempt->is_storing) {
        attempt->is_abandoned = true;
    } else {
        if (attempt->is_stored) {
            erase_files(attempt);
        }
        free_attempt(attempt);
    }
    return NULL;
}

struct attempt *attempt_keep(struct attempt *attempt)
{
    if (attempt) {
        attempt->is_stored = false;
    }
    return attempt_stop(attempt);
}
