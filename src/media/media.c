/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's side of media work: says jobs as JSON, hands over the descriptors, and translates
 * what comes of them. The helper has touched strangers' bytes, so nothing that it says is trusted
 * beyond its bounds. Runs on the loop's thread. */
#include "media/media.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"
#include "media/job.h"

enum {
    SIDE_MAX = 1 << 15, /* of a video that we believe in */
    DURATION_DAYS_MAX = 2,
};

struct media_job {
    struct proc *proc;
    struct media_handler handler;
};

/* ---- what the helper says ---- */

static void on_progress(void *context, const json_t *message)
{
    struct media_job *job = context;
    double progress = json_number(message, JOB_PROGRESS, 0);
    if (job->handler.progress && isfinite(progress) && progress >= 0 && progress <= 1)
        job->handler.progress(job->handler.context, progress);
}

static bool read_facts(const json_t *result, struct media_facts *ret_facts)
{
    const long long most_ms = DURATION_DAYS_MAX * 24LL * 3600 * 1000;
    long long width = json_int(result, JOB_WIDTH, 0);
    long long height = json_int(result, JOB_HEIGHT, 0);
    long long n_frames = json_int(result, JOB_FRAMES, 0);
    long long duration_ms = json_int(result, JOB_DURATION, -1);
    if (width < 1 || width > SIDE_MAX || height < 1 || height > SIDE_MAX || n_frames < 1 ||
        n_frames > INT32_MAX || duration_ms < 0 || duration_ms > most_ms)
        return false;
    *ret_facts = (struct media_facts){(int)width, (int)height, (int)n_frames, duration_ms};
    return true;
}

/* Reads a result; anything that we do not understand is a failure of the job. */
static enum media_end read_result(const json_t *result, struct media_facts *ret_facts,
                                  char ret_note[JOB_NOTE_SIZE])
{
    enum media_end end;
    const char *note = json_text(result, JOB_NOTE);
    bool is_known = job_end_parse(json_text(result, JOB_END), &end);
    if (!is_known || (end == MEDIA_DONE && !read_facts(result, ret_facts))) {
        (void)snprintf(ret_note, JOB_NOTE_SIZE, "the helper's answer makes no sense");
        return MEDIA_FAILED;
    }
    (void)snprintf(ret_note, JOB_NOTE_SIZE, "%s", note ? note : "");
    return end;
}

static void on_ended(void *context, enum proc_end proc_end, int signal_or_status,
                     const json_t *result)
{
    struct media_job *job = context;
    struct media_handler handler = job->handler;
    struct media_facts facts = {0};
    char note[JOB_NOTE_SIZE] = "";
    enum media_end end = proc_end == PROC_DONE ? read_result(result, &facts, note)
                                               : job_explain(proc_end, signal_or_status, note);
    free(job);
    handler.ended(handler.context, end, end == MEDIA_DONE ? &facts : NULL, note);
}

/* ---- starting ---- */

static int start(struct loop *loop, const json_t *description, const int *fds, size_t n_fds,
                 const struct media_limits *limits, const struct media_handler *handler,
                 struct media_job **ret_job)
{
    struct proc_limits proc_limits = {
        .total_ms = limits->total_ms,
        .stall_ms = limits->stall_ms,
        .memory_bytes = limits->memory_bytes,
        .file_bytes = limits->file_bytes,
    };
    struct media_job *job = must_calloc(1, sizeof *job);
    struct proc_handler proc_handler = {on_progress, on_ended, job};
    job->handler = *handler;
    int error = proc_start(loop, JOB_KIND, description, fds, n_fds, &proc_limits, &proc_handler,
                           &job->proc);
    if (error < 0) {
        free(job);
        return error;
    }
    *ret_job = job;
    return 0;
}

/* Far more than any frame can show; escaped as JSON, six times longer, it still fits a message. */
enum { PROMPT_MAX_BYTES = 16 * 1024 };

int media_animatic_start(struct loop *loop, const struct media_animatic *animatic,
                         const struct media_limits *limits, const struct media_handler *handler,
                         struct media_job **ret_job)
{
    int fds[PROC_FDS_MAX];
    size_t n_fds = 0;
    must(animatic->n_images <= MEDIA_IMAGES_MAX);
    size_t length = strnlen(animatic->prompt, PROMPT_MAX_BYTES);
    while (length > 0 && ((unsigned char)animatic->prompt[length] & 0xc0u) == 0x80)
        length--;
    json_t *prompt = json_stringn(animatic->prompt, length);
    if (!prompt)
        return -EILSEQ; /* not UTF-8 */
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    must(job);
    json_set_text(job, JOB_NAME, JOB_ANIMATIC);
    json_set(job, JOB_PROMPT, prompt);
    json_set(job, JOB_SEED, json_integer(animatic->seed));
    json_set(job, JOB_WIDTH, json_integer(animatic->width));
    json_set(job, JOB_HEIGHT, json_integer(animatic->height));
    json_set(job, JOB_FRAMES, json_integer(animatic->n_frames));
    for (size_t i = 0; i < animatic->n_images; i++)
        fds[n_fds++] = animatic->images[i];
    fds[n_fds++] = animatic->output;
    return start(loop, job, fds, n_fds, limits, handler, ret_job);
}

int media_variants_start(struct loop *loop, const struct media_variants *variants,
                         const struct media_limits *limits, const struct media_handler *handler,
                         struct media_job **ret_job)
{
    const int fds[] = {variants->source,      variants->thumbnail, variants->preview,
                       variants->spritesheet, variants->medium,    variants->marked};
    size_t n_fds = variants->marked < 0 ? JOB_VARIANTS_FDS : JOB_VARIANTS_FDS + 1;
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    must(job);
    json_set_text(job, JOB_NAME, JOB_VARIANTS);
    return start(loop, job, fds, n_fds, limits, handler, ret_job);
}

struct media_job *media_stop(struct media_job *job)
{
    if (job) {
        proc_kill(job->proc);
        free(job);
    }
    return NULL;
}

int media_pid(const struct media_job *job)
{
    return proc_pid(job->proc);
}
