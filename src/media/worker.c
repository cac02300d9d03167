/* SPDX-License-Identifier: Apache-2.0
 *
 * The main of a media helper: takes one job, reads the fonts that it needs, closes the sandbox, and
 * only then looks at a stranger's image or video; answers, ends. Single-threaded. */
#include <libavutil/log.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "media/animatic.h"
#include "media/job.h"
#include "media/media.h"
#include "media/survey.h"
#include "media/variants.h"
#include "proc/sandbox.h"

enum {
    REPORT_EVERY_MS = 50,
    FRAMES_PER_S = 30, /* of an animatic */
    EXIT_OPEN = 4,     /* the sandbox does not close: a kernel without seccomp filters */
};

/* The renderers' callbacks carry no context, and the process serves one job on one thread: the one
 * place where a variable of the file is the plainer way. */
static struct {
    int64_t last_ms; /* when we reported last; 0: never */
    int n_frames;    /* of the animatic */
} reporting;

static void report(double progress)
{
    int64_t now_ms = clock_mono_ms();
    bool is_due = reporting.last_ms == 0 || now_ms - reporting.last_ms >= REPORT_EVERY_MS;
    if (!is_due && progress < 1)
        return;
    reporting.last_ms = now_ms;
    json_t *message = json_object();
    must(message);
    json_set(message, JOB_PROGRESS, json_real(progress));
    proc_report(message);
}

static void report_frames(int frames_encoded)
{
    report((double)frames_encoded / reporting.n_frames);
}

static _Noreturn void finish(enum media_end end, const struct media_facts *facts, const char *note)
{
    json_t *result = json_object();
    must(result);
    json_t *note_text = json_string(note);
    json_set_text(result, JOB_END, media_end_name(end));
    /* A note may quote what a file says of itself. */
    json_set(result, JOB_NOTE, note_text ? note_text : json_string(""));
    if (end == MEDIA_DONE) {
        json_set(result, JOB_WIDTH, json_integer(facts->width));
        json_set(result, JOB_HEIGHT, json_integer(facts->height));
        json_set(result, JOB_FRAMES, json_integer(facts->n_frames));
        json_set(result, JOB_DURATION, json_integer(facts->duration_ms));
    }
    proc_finish(result);
}

/* From here on nothing can be opened. Without it no stranger's byte is read. */
static void close_sandbox(void)
{
    if (sandbox_enter() < 0)
        _exit(EXIT_OPEN);
}

static _Noreturn void run_animatic(const struct proc_job *job)
{
    char note[JOB_NOTE_SIZE] = "";
    struct media_animatic animatic = {
        .prompt = json_text(job->job, JOB_PROMPT),
        .seed = json_int(job->job, JOB_SEED, 0),
        .width = (int)json_int(job->job, JOB_WIDTH, 0),
        .height = (int)json_int(job->job, JOB_HEIGHT, 0),
        .n_frames = (int)json_int(job->job, JOB_FRAMES, 0),
        .images = job->fds,
        .n_images = job->n_fds - 1,
        .output = job->fds[job->n_fds - 1],
    };
    must(animatic.prompt && animatic.width > 0 && animatic.height > 0 && animatic.n_frames > 0);
    reporting.n_frames = animatic.n_frames;
    struct caption *caption = animatic_caption(&animatic);
    close_sandbox();
    enum media_end end = animatic_render(&animatic, caption, report_frames, note);
    struct media_facts facts = {
        .width = animatic.width,
        .height = animatic.height,
        .n_frames = animatic.n_frames,
        .duration_ms = (int64_t)animatic.n_frames * 1000 / FRAMES_PER_S,
    };
    finish(end, &facts, note);
}

static _Noreturn void run_variants(const struct proc_job *job)
{
    char note[JOB_NOTE_SIZE] = "";
    struct media_facts facts = {0};
    must(job->n_fds >= JOB_VARIANTS_FDS);
    struct media_variants variants = {
        .source = job->fds[0],
        .thumbnail = job->fds[1],
        .preview = job->fds[2],
        .spritesheet = job->fds[3],
        .medium = job->fds[4],
        .marked = job->n_fds > JOB_VARIANTS_FDS ? job->fds[JOB_VARIANTS_FDS] : -1,
    };
    struct caption_mark *mark = variants.marked < 0 ? NULL : variants_mark();
    close_sandbox();
    enum media_end end = variants_make(&variants, mark, report, &facts, note);
    finish(end, &facts, note);
}

static _Noreturn void run_probe(void)
{
    json_t *result = json_object();
    must(result);
    json_set(result, JOB_FONTS, survey_fonts());
    close_sandbox();
    json_set(result, JOB_CODECS, survey_codecs());
    json_set(result, JOB_LIBRARIES, survey_libraries());
    proc_finish(result);
}

int media_helper_main(void)
{
    struct proc_job job;
    if (proc_accept(&job) < 0)
        return EXIT_FAILURE;
    /* libav would tell strangers' texts to our log. */
    av_log_set_level(AV_LOG_QUIET);
    const char *name = json_text(job.job, JOB_NAME);
    if (name && strcmp(name, JOB_ANIMATIC) == 0 && job.n_fds > 0)
        run_animatic(&job);
    if (name && strcmp(name, JOB_VARIANTS) == 0)
        run_variants(&job);
    if (name && strcmp(name, JOB_PROBE) == 0)
        run_probe();
    json_decref(job.job);
    return EXIT_FAILURE;
}
