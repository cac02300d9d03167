/* SPDX-License-Identifier: Apache-2.0
 *
 * The parent's side of an operator's program, and the directories in which they work. What the helper says was said by the
 * program in the end: it is looked at again here. On the loop's thread; directories on any. */
#include "upstream/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "base/rmtree.h"
#include "proc/proc.h"
#include "upstream/command_job.h"
#include "upstream/command_reader.h"

enum {
    /* For the helper beyond the program's own time: to end it, and to copy its video. */
    MARGIN_MS = 5 * 60 * 1000,
    REMOVE_MS = 60 * 1000, /* for a directory; what is left then goes at the next start */
};

static const char *const END_NAMES[COMMAND_END_COUNT] = {
    [COMMAND_DONE] = "done",
    [COMMAND_DIED] = "died",
    [COMMAND_TIMED_OUT] = "timed_out",
    [COMMAND_SAID_REFUSED] = "refused",
    [COMMAND_SAID_MODERATED] = "moderated",
    [COMMAND_SAID_FAILED] = "failed",
    [COMMAND_NO_VIDEO] = "no_video",
    [COMMAND_BAD_VIDEO] = "bad_video",
    [COMMAND_TOO_LARGE] = "too_large",
    [COMMAND_NO_SPACE] = "no_space",
    [COMMAND_LOST] = "lost",
};

/* The words for those that need nothing else. */
static const char *const END_WORDS[COMMAND_END_COUNT] = {
    [COMMAND_DONE] = "made its video",
    [COMMAND_TIMED_OUT] = "was not done within command_timeout, and was stopped",
    [COMMAND_SAID_REFUSED] = "refused the task",
    [COMMAND_SAID_MODERATED] = "found that the content is not allowed",
    [COMMAND_SAID_FAILED] = "said that it failed",
    [COMMAND_NO_VIDEO] = "ended with status 0, and left no video",
    [COMMAND_BAD_VIDEO] = "named something as its video that is no file within its directory",
    [COMMAND_TOO_LARGE] = "wrote a file that is larger than render.file",
    [COMMAND_NO_SPACE] = "made a video that could not be copied out of its directory",
};

struct command {
    struct proc *proc;
    struct command_handler handler;
};

const char *command_end_name(enum command_end end)
{
    must((unsigned)end < COMMAND_END_COUNT);
    return END_NAMES[end];
}

/* «status 3», «signal 9 (Killed)» */
static void print_status(int status, char *ret_text, size_t size)
{
    const char *name = status < 0 ? sigdescr_np(-status) : NULL;
    if (status < 0)
        (void)snprintf(ret_text, size, "signal %d (%s)", -status, name != NULL ? name : "unknown");
    else
        (void)snprintf(ret_text, size, "status %d", status);
}

void command_describe_end(const struct command_outcome *outcome, char ret_words[COMMAND_WORDS_SIZE])
{
    char status[64];
    must((unsigned)outcome->end < COMMAND_END_COUNT);
    print_status(outcome->status, status, sizeof(status));
    if (outcome->end == COMMAND_DIED)
        (void)snprintf(ret_words, COMMAND_WORDS_SIZE, "ended with %s", status);
    else if (outcome->end == COMMAND_LOST)
        (void)snprintf(ret_words, COMMAND_WORDS_SIZE, "was lost: its helper ended with %s", status);
    else
        (void)snprintf(ret_words, COMMAND_WORDS_SIZE, "%s%s%s%s%s", END_WORDS[outcome->end],
                       outcome->code[0] != '\0' ? ": " : "", outcome->code,
                       outcome->message[0] != '\0' ? ": " : "", outcome->message);
}

/* ---- what it says ---- */

static void on_progress(void *context, const json_t *message)
{
    const struct command *command = context;
    double progress = json_number(message, COMMAND_PROGRESS, -1.0);
    if (progress >= 0.0 && progress <= 1.0)
        command->handler.progress(command->handler.context, progress);
}

static enum command_end end_of(const json_t *result)
{
    const char *name = json_text(result, COMMAND_END);
    for (size_t i = 0; name != NULL && i < COMMAND_END_COUNT; i++) {
        if (strcmp(name, END_NAMES[i]) == 0)
            return (enum command_end)i;
    }
    return COMMAND_LOST;
}

static const char *text_of(const json_t *result, const char *key)
{
    const char *text = json_text(result, key);
    return text != NULL ? text : "";
}

static void on_ended(void *context, enum proc_end end, int signal_or_status, const json_t *result)
{
    struct command *command = context;
    struct command_handler handler = command->handler;
    struct command_outcome outcome = {
        .end = end == PROC_DONE ? end_of(result) : COMMAND_LOST,
        .status = end == PROC_DONE ? (int)json_int(result, COMMAND_STATUS, 0) : signal_or_status,
        .code = text_of(result, COMMAND_CODE),
        .message = text_of(result, COMMAND_MESSAGE),
        .n_passed_over = json_int(result, COMMAND_PASSED_OVER, 0),
        .passed_over = text_of(result, COMMAND_FIRST),
        .log = json_object_get(result, COMMAND_LOG),
        .has_left = json_flag(result, COMMAND_LEFT, false),
    };
    free(command);
    handler.ended(handler.context, &outcome);
}

/* ---- starting ---- */

static json_t *list_of(const char *const *texts, size_t count)
{
    json_t *list = json_array();
    must(list != NULL);
    for (size_t i = 0; i < count; i++)
        must(json_array_append_new(list, json_string(texts[i])) == 0);
    return list;
}

static json_t *describe(const struct command_program *program, const struct command_task *task)
{
    json_t *job = json_object();
    must(job != NULL);
    json_set(job, COMMAND_ARGV, list_of(program->argv, program->n_argv));
    json_set(job, COMMAND_ENVIRONMENT, list_of(program->environment, program->n_environment));
    json_set_text(job, COMMAND_DIRECTORY, task->directory);
    json_set(job, COMMAND_IMAGES, list_of(task->image_names, task->n_images));
    json_set(job, COMMAND_TIMEOUT, json_integer(program->timeout_ms));
    json_set(job, COMMAND_FILE_BYTES, json_integer(task->file_bytes));
    return job;
}

int command_start(struct loop *loop, const struct command_program *program,
                  const struct command_task *task, const struct command_handler *handler,
                  struct command **ret_command)
{
    int fds[COMMAND_FD_IMAGES + COMMAND_IMAGES_MAX] = {task->input, task->output};
    must(task->n_images <= COMMAND_IMAGES_MAX);
    for (size_t i = 0; i < task->n_images; i++)
        fds[COMMAND_FD_IMAGES + i] = task->images[i];
    const struct proc_limits limits = {
        .total_ms = program->timeout_ms + COMMAND_GRACE_MS + MARGIN_MS,
        .descriptors = COMMAND_DESCRIPTORS,
    };
    struct command *command = must_calloc(1, sizeof(*command));
    command->handler = *handler;
    const struct proc_handler proc_handler = {on_progress, on_ended, command};
    CLEANUP(json_unref_pointer) json_t *job = describe(program, task);
    int fault = proc_start(loop, COMMAND_KIND, job, fds, COMMAND_FD_IMAGES + task->n_images,
                           &limits, &proc_handler, &command->proc);
    if (fault < 0)
        free(command);
    else
        *ret_command = command;
    return fault;
}

struct command *command_stop(struct command *command)
{
    if (command != NULL)
        proc_let_go(command->proc);
    free(command);
    return NULL;
}

/* ---- directories ---- */

static int make(const char *path)
{
    return mkdir(path, S_IRWXU) == 0 || errno == EEXIST ? 0 : -errno;
}

int command_directory_new(const char *data, const char *name, char ret_path[COMMAND_DIRECTORY_SIZE])
{
    char below[COMMAND_DIRECTORY_SIZE], path[COMMAND_DIRECTORY_SIZE];
    int length = snprintf(below, sizeof(below), "%s/work", data);
    if (length < 0 || (size_t)length >= sizeof(below))
        return -ENAMETOOLONG;
    int fault = make(below);
    if (fault < 0)
        return fault;
    CLEANUP(free_pointer) char *whole = realpath(below, NULL);
    if (whole == NULL)
        return -errno;
    length = snprintf(path, sizeof(path), "%s/%s-XXXXXX", whole, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    if (mkdtemp(path) == NULL)
        return -errno;
    memcpy(ret_path, path, sizeof(path));
    return 0;
}

int command_directory_remove(const char *path)
{
    return rmtree(path, clock_mono_ms() + REMOVE_MS);
}

int command_directories_clear(const char *data)
{
    char below[COMMAND_DIRECTORY_SIZE];
    int length = snprintf(below, sizeof(below), "%s/work", data);
    if (length < 0 || (size_t)length >= sizeof(below))
        return -ENAMETOOLONG;
    return command_directory_remove(below);
}
