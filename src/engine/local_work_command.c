/* SPDX-License-Identifier: Apache-2.0
 *
 * An operator's program makes the video: what it is told, and what its end means for the task. Clients hear its own words
 * (`error`), never its standard error; that goes to the log. On the loop's thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "base/must.h"
#include "engine/local_work_own.h"
#include "upstream/describe.h"

enum { NAME_SIZE = 48 }; /* of an image's file */

static const struct {
    enum task_failure failure;
    bool may_retry, has_note;
} ends[COMMAND_END_COUNT] = {
    [COMMAND_DONE] = {TASK_FAILURE_NONE, false, false},
    [COMMAND_DIED] = {TASK_FAILURE_RENDER_CRASHED, true, false},
    [COMMAND_TIMED_OUT] = {TASK_FAILURE_RENDER_STALLED, true, false},
    [COMMAND_SAID_REFUSED] = {.failure = TASK_FAILURE_UPSTREAM_REFUSED, .has_note = true},
    [COMMAND_SAID_MODERATED] = {TASK_FAILURE_MODERATED, false, true},
    [COMMAND_SAID_FAILED] = {TASK_FAILURE_RENDER_FAILED, true, true},
    [COMMAND_NO_VIDEO] = {TASK_FAILURE_NO_VIDEO, false, false},
    [COMMAND_BAD_VIDEO] = {TASK_FAILURE_OUTPUT_INVALID, false, false},
    [COMMAND_TOO_LARGE] = {TASK_FAILURE_OUTPUT_TOO_LARGE, false, false},
    [COMMAND_NO_SPACE] = {TASK_FAILURE_STORAGE, true, false},
    [COMMAND_LOST] = {TASK_FAILURE_RENDER_CRASHED, true, false},
};

/* ---- what it says ---- */

static void log_outcome(const struct local_work *work, const struct command_outcome *outcome,
                        const char *did)
{
    const char *id = work->task->request->id;
    bool is_well = outcome->end == COMMAND_DONE;
    if (!is_well) {
        log_task(LOG_WARN, id, "attempt %d: the program of channel \"%s\" %s", work->task->attempts,
                 work->channel->name, did);
    }
    for (size_t i = 0; i < json_array_size(outcome->log); i++) {
        const char *line = json_string_value(json_array_get(outcome->log, i));
        log_task(is_well ? LOG_DEBUG : LOG_WARN, id, "its standard error: %s", line ? line : "");
    }
    if (outcome->n_passed_over == 1) {
        log_task(LOG_WARN, id, "the program of channel \"%s\" said a line that was passed over: %s",
                 work->channel->name, outcome->passed_over);
    } else if (outcome->n_passed_over > 1) {
        log_task(LOG_WARN, id,
                 "the program of channel \"%s\" said %lld lines that were passed over, the first: "
                 "%s",
                 work->channel->name, (long long)outcome->n_passed_over, outcome->passed_over);
    }
    if (outcome->has_left) {
        log_task(LOG_ERROR, id, "a process of the program of channel \"%s\" cannot be killed",
                 work->channel->name);
    }
}

static void on_progress(void *context, double progress)
{
    local_work_tell(context,
                    &(struct task_event){.kind = TASK_EVENT_PROGRESS, .progress = progress});
}

static void on_ended(void *context, const struct command_outcome *outcome)
{
    struct local_work *work = context;
    const char *note =
        ends[outcome->end].has_note && outcome->message[0] != '\0' ? outcome->message : NULL;
    char did[COMMAND_WORDS_SIZE], reason[COMMAND_WORDS_SIZE + 16];
    command_describe_end(outcome, did);
    snprintf(reason, sizeof reason, "the program %s", did);
    work->command = NULL;
    atomic_fetch_add(&work->room->counts->commands[outcome->end], 1);
    log_outcome(work, outcome, did);
    if (outcome->end == COMMAND_DONE) {
        local_work_tell(work, &(struct task_event){.kind = TASK_EVENT_RENDERED});
    } else if (outcome->end == COMMAND_SAID_REFUSED) {
        work->handler.reason(work->handler.context, reason);
        local_work_tell(work, &(struct task_event){.kind = TASK_EVENT_TURNED_AWAY,
                                                   .is_final = true,
                                                   .failure = ends[outcome->end].failure,
                                                   .note = note});
    } else {
        local_work_tell_failure(work, ends[outcome->end].failure, ends[outcome->end].may_retry,
                                note, reason);
    }
}

/* ---- what it is told ---- */

struct images {
    int files[TASK_IMAGES_MAX];
    char names[TASK_IMAGES_MAX][NAME_SIZE];
    const char *list[TASK_IMAGES_MAX];
};

/* `image-0.png` … by what lies in them. */
static void gather_images(const struct local_work *work, struct images *images)
{
    static const char kind[] = "image/";
    for (size_t i = 0; i < work->task->request->n_images; i++) {
        int64_t bytes;
        const char *type = inputs_type(work->inputs, i, &bytes);
        const char *extension = type ? type + strlen(kind) : "bin";
        images->files[i] = inputs_file(work->inputs, i);
        (void)snprintf(images->names[i], NAME_SIZE, "image-%zu.%.16s", i, extension);
        images->list[i] = images->names[i];
    }
}

static void set_path(json_t *object, const char *key, const char *directory, const char *name)
{
    char path[COMMAND_DIRECTORY_SIZE + NAME_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    json_set_text(object, key, path);
}

/* As adapters are told of it, but for images, which are files here. */
static json_t *describe(const struct local_work *work, const struct channel_fit *fit,
                        const char *model, const struct images *images, const char *directory)
{
    const struct task_request *request = work->task->request;
    char id[ID_SHORT_SIZE];
    id_new("att", id, sizeof id);
    json_t *task = describe_task(request, work->channel, model, fit, id);
    json_t *list = json_object_get(task, "images");
    for (size_t i = 0; i < request->n_images; i++) {
        json_t *image = json_array_get(list, i);
        int64_t bytes;
        (void)json_object_del(image, "url");
        set_path(image, "path", directory, images->names[i]);
        json_set_text(image, "type", inputs_type(work->inputs, i, &bytes));
    }
    set_path(task, "output", directory, COMMAND_OUTPUT);
    return task;
}

/* A line of it, to be read from its beginning. */
static int make_input(const json_t *task)
{
    CLEANUP(free_pointer) char *text = json_dumps(task, JSON_WRITE_FLAGS);
    if (!text) {
        return -EINVAL;
    }
    size_t length = strlen(text);
    text[length] = '\n'; /* in the place of NUL, as lines end */
    return memory_file_new("filmgate-command", text, length + 1);
}

/* ---- starting ---- */

static int start(struct local_work *work, const struct channel_fit *fit, const char *model)
{
    struct images images;
    char directory[COMMAND_DIRECTORY_SIZE];
    const struct task_request *request = work->task->request;
    int fault = command_directory_new(work->room->settings->data, request->id, directory);
    if (fault < 0) {
        return fault;
    }
    gather_images(work, &images);
    CLEANUP(json_unref_pointer) json_t *told = describe(work, fit, model, &images, directory);
    CLEANUP(close_fd) int input = make_input(told);
    const struct command_task task = {
        .directory = directory,
        .input = input,
        .output = work->video,
        .images = images.files,
        .image_names = images.list,
        .n_images = request->n_images,
        .file_bytes = work->room->settings->render_file,
    };
    const struct command_handler handler = {on_progress, on_ended, work};
    fault = input < 0 ? input
                      : command_start(work->room->loop, &work->channel->program, &task, &handler,
                                      &work->command);
    if (fault < 0 && command_directory_remove(directory) < 0) {
        log_task(LOG_WARN, request->id, "cannot remove \"%s\"", directory);
    }
    return fault;
}

void local_work_run_command(struct local_work *work)
{
    const struct task_request *request = work->task->request;
    const char *model = request->model;
    struct channel_fit fit;
    char wrong[CHANNEL_ERROR_SIZE];
    /* It was sent here because both are so. */
    must(channel_serves(work->channel, request->model, &model) &&
         channel_fits(work->channel, model, request, &fit, wrong));
    int fault = start(work, &fit, model);
    if (fault < 0) {
        char reason[128];
        snprintf(reason, sizeof reason, "the program cannot be started: %s", strerror(-fault));
        log_task(LOG_ERROR, request->id, "cannot start the program of channel \"%s\": %s",
                 work->channel->name, strerror(-fault));
        local_work_tell_failure(work, TASK_FAILURE_RENDER_CRASHED, true, NULL, reason);
        return;
    }
    local_work_tell(work, &(struct task_event){.kind = TASK_EVENT_STARTED});
}
