/* SPDX-License-Identifier: Apache-2.0
 *
 * Work done here walks through: inputs -> animatic (helper), or an operator's program -> result (variants, store). All
 * of our files are unnamed spool files until they are stored, so whatever ends it leaves nothing behind. */
#include "engine/local_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/local_work_own.h"

void local_work_tell(struct local_work *work, const struct task_event *event)
{
    work->handler.event(work->handler.context, event);
}

void local_work_tell_failure(struct local_work *work, enum task_failure failure, bool may_retry,
                             const char *note, const char *reason)
{
    work->handler.reason(work->handler.context, reason ? reason
                                                : note ? note
                                                       : task_failure_message(failure));
    local_work_tell(work, &(struct task_event){.kind = TASK_EVENT_FAILED,
                                               .failure = failure,
                                               .may_retry = may_retry,
                                               .note = note});
}

/* ---- render ---- */

static void on_progress(void *context, double progress)
{
    local_work_tell(context,
                    &(struct task_event){.kind = TASK_EVENT_PROGRESS, .progress = progress});
}

static void on_rendered(void *context, enum media_end end, const struct media_facts *facts,
                        const char *note)
{
    struct local_work *work = context;
    char reason[RESULT_REASON_SIZE];
    bool may_retry, has_note;
    (void)facts; /* those of the stored file are probed with the variants */
    work->media = NULL;
    atomic_fetch_add(&work->room->counts->renders[end], 1);
    enum task_failure failure = result_failure_of(end, &may_retry, &has_note);
    if (failure != TASK_FAILURE_NONE) {
        result_explain(work->task, end, "rendering", note, reason);
        local_work_tell_failure(work, failure, may_retry, has_note ? note : NULL, reason);
    } else {
        local_work_tell(work, &(struct task_event){.kind = TASK_EVENT_RENDERED});
    }
}

/* Without a seed of the client's, the task's own id decides: the same task renders the same again.
 */
static int64_t seed_of(const struct task_request *request)
{
    if (request->has_seed) {
        return request->seed;
    }
    return (int64_t)(hash_text64(request->id) >> 11);
}

static void start_rendering(struct local_work *work)
{
    const struct task_request *request = work->task->request;
    int images[TASK_IMAGES_MAX];
    for (size_t i = 0; i < request->n_images; i++) {
        images[i] = inputs_file(work->inputs, i);
    }
    const struct media_animatic animatic = {
        .prompt = request->prompt,
        .seed = seed_of(request),
        .width = request->width,
        .height = request->height,
        .n_frames = request->n_frames,
        .images = images,
        .n_images = request->n_images,
        .output = work->video,
    };
    const struct media_limits limits = result_limits(work->room->settings);
    const struct media_handler handler = {on_progress, on_rendered, work};
    int fault = media_animatic_start(work->room->loop, &animatic, &limits, &handler, &work->media);
    if (fault < 0) {
        log_task(LOG_ERROR, request->id, "cannot start a renderer: %s", strerror(-fault));
        local_work_tell_failure(work, TASK_FAILURE_RENDER_CRASHED, true, NULL,
                                "the renderer could not be started");
        return;
    }
    local_work_tell(work, &(struct task_event){.kind = TASK_EVENT_STARTED});
}

static void on_inputs(void *context, enum task_failure failure, bool may_retry, const char *note)
{
    struct local_work *work = context;
    if (failure != TASK_FAILURE_NONE) {
        local_work_tell_failure(work, failure, may_retry, note, NULL);
    } else if (work->channel->program.n_argv > 0) {
        local_work_run_command(work);
    } else {
        start_rendering(work);
    }
}

static void on_early(struct loop_timer *timer)
{
    local_work_tell_failure(CONTAINER_OF(timer, struct local_work, early), TASK_FAILURE_STORAGE,
                            true, NULL, "there is no place for the video");
}

struct local_work *local_work_start(const struct engine_room *room, const struct channel *channel,
                                    const struct task *task,
                                    const struct local_work_handler *handler)
{
    struct local_work *work = must_calloc(1, sizeof *work);
    work->room = room;
    work->channel = channel;
    work->task = task_ref(task);
    work->handler = *handler;
    work->early.fire = on_early;
    work->video = -1;
    int fault = asset_spool_file(room->assets, &work->video);
    if (fault < 0) {
        log_task(LOG_ERROR, task->request->id, "cannot prepare the rendering: %s",
                 strerror(-fault));
        loop_arm(room->loop, &work->early, 0);
        return work;
    }
    const struct inputs_handler inputs_handler = {on_inputs, work};
    work->inputs = inputs_start(room, task, UINT64_MAX, &inputs_handler);
    return work;
}

/* ---- result ---- */

static void on_result(void *context, const struct result_outcome *outcome)
{
    struct local_work *work = context;
    if (outcome->result) {
        local_work_tell(
            work, &(struct task_event){.kind = TASK_EVENT_STORED, .result = *outcome->result});
    } else {
        local_work_tell_failure(work, outcome->failure, outcome->may_retry, outcome->note,
                                outcome->reason);
    }
}

void local_work_store(struct local_work *work)
{
    const struct result_handler handler = {on_result, work};
    work->result = result_start(work->room, work->task, work->video, &handler);
}

struct local_work *local_work_stop(struct local_work *work, bool is_kept)
{
    if (!work) {
        return NULL;
    }
    loop_disarm(work->room->loop, &work->early);
    work->result = result_stop(work->result, is_kept);
    work->media = media_stop(work->media);
    work->command = command_stop(work->command);
    work->inputs = inputs_stop(work->inputs);
    close_fd(&work->video);
    task_unref(work->task);
    free(work);
    return NULL;
}
