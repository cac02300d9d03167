/* SPDX-License-Identifier: Apache-2.0
 *
 * An attempt of ours walks through: inputs -> animatic (helper), or an operator's program -> result (variants, store). All
 * of our files are unnamed spool files until they are stored, so whatever ends it leaves nothing behind. */
#include "engine/attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/attempt_own.h"

void attempt_tell(struct attempt *attempt, const struct task_event *event)
{
    attempt->handler.event(attempt->handler.context, event);
}

void attempt_tell_failure(struct attempt *attempt, enum task_failure failure, bool may_retry,
                          const char *note, const char *reason)
{
    attempt->handler.reason(attempt->handler.context, reason ? reason
                                                      : note ? note
                                                             : task_failure_message(failure));
    attempt_tell(attempt, &(struct task_event){.kind = TASK_EVENT_FAILED,
                                               .failure = failure,
                                               .may_retry = may_retry,
                                               .note = note});
}

/* ---- render ---- */

static void on_progress(void *context, double progress)
{
    attempt_tell(context, &(struct task_event){.kind = TASK_EVENT_PROGRESS, .progress = progress});
}

static void on_rendered(void *context, enum media_end end, const struct media_facts *facts,
                        const char *note)
{
    struct attempt *attempt = context;
    char reason[RESULT_REASON_SIZE];
    bool may_retry, has_note;
    (void)facts; /* those of the stored file are probed with the variants */
    attempt->media = NULL;
    atomic_fetch_add(&attempt->room->counts->renders[end], 1);
    enum task_failure failure = result_failure_of(end, &may_retry, &has_note);
    if (failure != TASK_FAILURE_NONE) {
        result_explain(attempt->task, end, "rendering", note, reason);
        attempt_tell_failure(attempt, failure, may_retry, has_note ? note : NULL, reason);
    } else {
        attempt_tell(attempt, &(struct task_event){.kind = TASK_EVENT_RENDERED});
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

static void start_rendering(struct attempt *attempt)
{
    const struct task_request *request = attempt->task->request;
    int images[TASK_IMAGES_MAX];
    for (size_t i = 0; i < request->n_images; i++) {
        images[i] = inputs_file(attempt->inputs, i);
    }
    const struct media_animatic animatic = {
        .prompt = request->prompt,
        .seed = seed_of(request),
        .width = request->width,
        .height = request->height,
        .n_frames = request->n_frames,
        .images = images,
        .n_images = request->n_images,
        .output = attempt->video,
    };
    const struct media_limits limits = result_limits(attempt->room->settings);
    const struct media_handler handler = {on_progress, on_rendered, attempt};
    int fault =
        media_animatic_start(attempt->room->loop, &animatic, &limits, &handler, &attempt->media);
    if (fault < 0) {
        log_task(LOG_ERROR, request->id, "cannot start a renderer: %s", strerror(-fault));
        attempt_tell_failure(attempt, TASK_FAILURE_RENDER_CRASHED, true, NULL,
                             "the renderer could not be started");
        return;
    }
    attempt_tell(attempt, &(struct task_event){.kind = TASK_EVENT_STARTED});
}

static void on_inputs(void *context, enum task_failure failure, bool may_retry, const char *note)
{
    struct attempt *attempt = context;
    if (failure != TASK_FAILURE_NONE) {
        attempt_tell_failure(attempt, failure, may_retry, note, NULL);
    } else if (attempt->channel->program.n_argv > 0) {
        attempt_run_command(attempt);
    } else {
        start_rendering(attempt);
    }
}

static void on_early(struct loop_timer *timer)
{
    attempt_tell_failure(CONTAINER_OF(timer, struct attempt, early), TASK_FAILURE_STORAGE, true,
                         NULL, "there is no place for the video");
}

struct attempt *attempt_start(const struct engine_room *room, const struct channel *channel,
                              const struct task *task, const struct attempt_handler *handler)
{
    struct attempt *attempt = must_calloc(1, sizeof *attempt);
    attempt->room = room;
    attempt->channel = channel;
    attempt->task = task_ref(task);
    attempt->handler = *handler;
    attempt->early.fire = on_early;
    attempt->video = -1;
    int fault = asset_spool_file(room->assets, &attempt->video);
    if (fault < 0) {
        log_task(LOG_ERROR, task->request->id, "cannot prepare the rendering: %s",
                 strerror(-fault));
        loop_arm(room->loop, &attempt->early, 0);
        return attempt;
    }
    const struct inputs_handler inputs_handler = {on_inputs, attempt};
    attempt->inputs = inputs_start(room, task, UINT64_MAX, &inputs_handler);
    return attempt;
}

/* ---- result ---- */

static void on_result(void *context, const struct result_outcome *outcome)
{
    struct attempt *attempt = context;
    if (outcome->result) {
        attempt_tell(attempt,
                     &(struct task_event){.kind = TASK_EVENT_STORED, .result = *outcome->result});
    } else {
        attempt_tell_failure(attempt, outcome->failure, outcome->may_retry, outcome->note,
                             outcome->reason);
    }
}

void attempt_store(struct attempt *attempt)
{
    const struct result_handler handler = {on_result, attempt};
    attempt->result = result_start(attempt->room, attempt->task, attempt->video, &handler);
}

static struct attempt *end_attempt(struct attempt *attempt, bool is_kept)
{
    if (!attempt) {
        return NULL;
    }
    loop_disarm(attempt->room->loop, &attempt->early);
    attempt->result = result_stop(attempt->result, is_kept);
    attempt->media = media_stop(attempt->media);
    attempt->command = command_stop(attempt->command);
    attempt->inputs = inputs_stop(attempt->inputs);
    close_fd(&attempt->video);
    task_unref(attempt->task);
    free(attempt);
    return NULL;
}

struct attempt *attempt_stop(struct attempt *attempt)
{
    return end_attempt(attempt, false);
}

struct attempt *attempt_keep(struct attempt *attempt)
{
    return end_attempt(attempt, true);
}
