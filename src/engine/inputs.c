/* SPDX-License-Identifier: Apache-2.0
 *
 * Inputs are unnamed spool files or opened assets, so whatever ends them leaves nothing behind. The first that fails
 * breaks the other downloads off. Who started them hears of it at the loop's next turn, or later. */
#include "engine/inputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/must.h"
#include "base/settings_value.h"
#include "task/image.h"

struct input {
    struct inputs *inputs;
    struct exchange *exchange; /* while it is being fetched */
    int fd;
};

struct inputs {
    const struct engine_room *room;
    const struct task *task;
    struct inputs_handler handler;
    struct input items[TASK_IMAGES_MAX];
    size_t n_waiting;        /* still being fetched */
    struct loop_timer begin; /* tells what was clear at the start */
    enum task_failure early;
};

static void close_input(struct input *input)
{
    input->exchange = exchange_stop(input->exchange);
    close_fd(&input->fd);
    input->fd = -1;
}

/* The inputs may be gone afterwards. */
static void tell(struct inputs *inputs, enum task_failure failure, bool may_retry, const char *note)
{
    inputs->handler.done(inputs->handler.context, failure, may_retry, note);
}

static void stop_fetches(struct inputs *inputs)
{
    for (size_t i = 0; i < TASK_IMAGES_MAX; i++) {
        inputs->items[i].exchange = exchange_stop(inputs->items[i].exchange);
    }
}

/* Looks into an image file; false when it is none. */
static bool look(int fd, struct image_info *ret_info, int64_t *ret_bytes)
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
    bool is_image = image_sniff(bytes, length, ret_info);
    munmap(bytes, length);
    *ret_bytes = status.st_size;
    return is_image;
}

/* What clients read. No bare numbers of status, bytes or pixels: some search for «500» (task/failure.def). */
static void note_image(const struct input *input, const char *what, char ret_note[TASK_NOTE_SIZE])
{
    long index = (long)(input - input->inputs->items) + 1;
    snprintf(ret_note, TASK_NOTE_SIZE, "Image %ld: %s.", index, what);
}

/* True: it can be used; else `ret_note` says why not. */
static bool judge_image(const struct input *input, char ret_note[TASK_NOTE_SIZE])
{
    const int64_t most = input->inputs->room->settings->image_pixels;
    struct image_info info;
    int64_t bytes;
    char what[80];
    if (!look(input->fd, &info, &bytes)) {
        note_image(input, "what came is not a PNG, JPEG, WebP or GIF file", ret_note);
        return false;
    }
    if (info.width * info.height > most) {
        snprintf(what, sizeof what, "it has more than the %.3g megapixels that are taken",
                 (double)most / 1e6);
        note_image(input, what, ret_note);
        return false;
    }
    return true;
}

/* Would the same download work later? An answer that says «no» will not change, trouble on the way
 * may. */
static bool is_passing(const struct exchange_result *result)
{
    if (result->end == EXCHANGE_STATUS) {
        return exchange_is_passing(result->status);
    }
    return result->end == EXCHANGE_UNREACHABLE || result->end == EXCHANGE_TIMED_OUT ||
           result->end == EXCHANGE_SINK_FAILED;
}

static const char *why_unreachable(const struct exchange_result *result)
{
    if (result->end == EXCHANGE_TIMED_OUT) {
        return "its host did not send it in time";
    }
    if (result->end == EXCHANGE_REDIRECTS) {
        return "its host sends us on and on";
    }
    if (result->end != EXCHANGE_STATUS) {
        return "its host cannot be reached, or broke off";
    }
    return result->status == 404 || result->status == 410   ? "its host says that it is not there"
           : result->status == 401 || result->status == 403 ? "its host does not let us have it"
           : exchange_is_passing(result->status)            ? "its host was in trouble"
                                                            : "its host refused to send it";
}

static void tell_fetch_failure(const struct input *input, const struct exchange_result *result)
{
    struct inputs *inputs = input->inputs;
    char told[EXCHANGE_TOLD_SIZE];
    exchange_tell_operator(result->note, result->blocked, "fetch.allow", told);
    log_task(LOG_WARN, inputs->task->request->id, "fetching input image %ld failed: %s",
             (long)(input - inputs->items) + 1, told);
    char note[TASK_NOTE_SIZE], most[SETTINGS_NUMBER_SIZE], what[80];
    if (result->end == EXCHANGE_FORBIDDEN) {
        note_image(input, "its address is not a public one", note);
        tell(inputs, TASK_FAILURE_IMAGE_FORBIDDEN, false, note);
    } else if (result->end == EXCHANGE_TOO_LARGE) {
        settings_write_number(SETTINGS_BYTES, inputs->room->settings->image_bytes, most);
        snprintf(what, sizeof what, "it has more than the %s that are taken", most);
        note_image(input, what, note);
        tell(inputs, TASK_FAILURE_IMAGE_INVALID, false, note);
    } else if (result->end == EXCHANGE_SINK_FAILED) {
        tell(inputs, TASK_FAILURE_STORAGE, true, NULL);
    } else {
        note_image(input, why_unreachable(result), note);
        tell(inputs, TASK_FAILURE_IMAGE_UNREACHABLE, is_passing(result), note);
    }
}

static void on_fetched(void *context, const struct exchange_result *result)
{
    struct input *input = context;
    struct inputs *inputs = input->inputs;
    char note[TASK_NOTE_SIZE];
    input->exchange = NULL;
    inputs->n_waiting--;
    if (result->end != EXCHANGE_DONE) {
        stop_fetches(inputs);
        tell_fetch_failure(input, result);
    } else if (!judge_image(input, note)) {
        stop_fetches(inputs);
        tell(inputs, TASK_FAILURE_IMAGE_INVALID, false, note);
    } else if (inputs->n_waiting == 0) {
        tell(inputs, TASK_FAILURE_NONE, false, NULL);
    }
}

static int start_fetch(struct input *input, const char *url)
{
    const struct engine_room *room = input->inputs->room;
    const struct settings *settings = room->settings;
    int fault = asset_spool_file(room->assets, &input->fd);
    if (fault < 0) {
        return fault;
    }
    const struct exchange_fetch fetch = {
        .url = url,
        .sink = input->fd,
        .max_bytes = settings->image_bytes,
        .connect_ms = settings->fetch_connect,
        .total_ms = settings->fetch_total,
        .max_redirects = (int)settings->fetch_redirects,
        .guard = room->guard,
        .done = on_fetched,
        .context = input,
    };
    fault = exchange_fetch(room->exchanges, &fetch, &input->exchange);
    input->inputs->n_waiting += fault == 0;
    return fault;
}

static int bring(struct input *input, const struct task_image *image)
{
    if (image->url) {
        return start_fetch(input, image->url);
    }
    struct asset_info info;
    int outcome = asset_get(input->inputs->room->assets, image->key, &input->fd, &info);
    return outcome > 0 ? -ENOENT : outcome;
}

static int bring_all(struct inputs *inputs, uint64_t wanted)
{
    const struct task_request *request = inputs->task->request;
    for (size_t i = 0; i < request->n_images; i++) {
        int fault = wanted >> i & 1 ? bring(&inputs->items[i], &request->images[i]) : 0;
        if (fault < 0) {
            return fault;
        }
    }
    return 0;
}

static void on_begin(struct loop_timer *timer)
{
    struct inputs *inputs = CONTAINER_OF(timer, struct inputs, begin);
    tell(inputs, inputs->early, inputs->early != TASK_FAILURE_NONE, NULL);
}

struct inputs *inputs_start(const struct engine_room *room, const struct task *task,
                            uint64_t wanted, const struct inputs_handler *handler)
{
    struct inputs *inputs = must_calloc(1, sizeof *inputs);
    inputs->room = room;
    inputs->task = task_ref(task);
    inputs->handler = *handler;
    inputs->begin.fire = on_begin;
    for (size_t i = 0; i < TASK_IMAGES_MAX; i++) {
        inputs->items[i] = (struct input){.inputs = inputs, .fd = -1};
    }
    int fault = bring_all(inputs, wanted);
    if (fault < 0) {
        log_task(LOG_ERROR, task->request->id, "cannot prepare the inputs: %s", strerror(-fault));
        stop_fetches(inputs);
        inputs->early = TASK_FAILURE_STORAGE;
        inputs->n_waiting = 0;
    }
    if (inputs->n_waiting == 0) {
        loop_arm(room->loop, &inputs->begin, 0);
    }
    return inputs;
}

int inputs_file(const struct inputs *inputs, size_t index)
{
    must(index < TASK_IMAGES_MAX);
    return inputs->items[index].fd;
}

const char *inputs_type(const struct inputs *inputs, size_t index, int64_t *ret_bytes)
{
    struct image_info info;
    return look(inputs_file(inputs, index), &info, ret_bytes) ? image_type_mime(info.type) : NULL;
}

struct inputs *inputs_stop(struct inputs *inputs)
{
    if (!inputs) {
        return NULL;
    }
    loop_disarm(inputs->room->loop, &inputs->begin);
    for (size_t i = 0; i < TASK_IMAGES_MAX; i++) {
        close_input(&inputs->items[i]);
    }
    task_unref(inputs->task);
    free(inputs);
    return NULL;
}
