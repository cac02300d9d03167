/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's look at what makes films, by making one: three helpers, one after the other, as the
 * engine would start them. One thread, a loop of its own. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/must.h"
#include "cli/doctor.h"
#include "media/media.h"
#include "media/probe.h"

enum {
    PATIENCE_MS = 60000, /* for each of the helpers */
    REAP_MS = 5000,      /* for one that was killed */
    TURN_MS = 50,
    FILM_SIDE = 64,
    FILM_FRAMES = 6,
    NOTE_SIZE = 200,
    COMPANIONS = 4,
    STATUS_SIZE = 64,
};

/* One helper's end. */
struct wait {
    struct loop *loop;
    bool has_ended;
    enum media_end end;
    char note[NOTE_SIZE];
    struct media_facts facts;
    json_t *report; /* of a probe */
};

static void on_film_ended(void *context, enum media_end end, const struct media_facts *facts,
                          const char *note)
{
    struct wait *wait = context;
    wait->has_ended = true;
    wait->end = end;
    snprintf(wait->note, sizeof(wait->note), "%s", note);
    if (facts != NULL)
        wait->facts = *facts;
}

static void on_probe_ended(void *context, enum media_end end, const json_t *report,
                           const char *note)
{
    struct wait *wait = context;
    wait->has_ended = true;
    wait->end = end;
    snprintf(wait->note, sizeof(wait->note), "%s", note);
    if (report != NULL)
        wait->report = json_deep_copy(report);
}

static struct media_limits limits_of(const struct doctor *doctor)
{
    return (struct media_limits){
        .total_ms = PATIENCE_MS,
        .stall_ms = PATIENCE_MS,
        .memory_bytes = doctor->settings->render_memory,
        .file_bytes = doctor->settings->render_file,
    };
}

/* Turns the loop until the helper has ended (its limits see to that) and is reaped. */
static bool wait_for(struct wait *wait, int start_result)
{
    if (start_result < 0) {
        wait->end = MEDIA_FAILED;
        snprintf(wait->note, sizeof(wait->note), "it cannot be started: %s",
                 strerrordesc_np(-start_result));
        return false;
    }
    while (!wait->has_ended)
        loop_turn(wait->loop, TURN_MS);
    int64_t until_ms = clock_mono_ms() + REAP_MS;
    while (loop_watches(wait->loop) > 0 && clock_mono_ms() < until_ms)
        loop_turn(wait->loop, TURN_MS);
    return wait->end == MEDIA_DONE;
}

static const char *advice_for(const struct wait *wait)
{
    if (wait->end == MEDIA_CRASHED && strcmp(wait->note, "status 4") == 0)
        return "its sandbox does not close: the kernel, or the container, must allow seccomp "
               "filters";
    if (wait->end == MEDIA_CRASHED && strstr(wait->note, "signal 31") != NULL)
        return "a library made a system call that the sandbox does not allow: please report it, "
               "with the versions of the libraries";
    if (wait->end == MEDIA_STALLED)
        return "this machine is too slow or too busy";
    if (wait->end == MEDIA_TOO_LARGE)
        return "raise render.file";
    if (wait->end == MEDIA_NO_SPACE)
        return "free memory: the film was written to a file in memory";
    return "is render.memory large enough?";
}

/* ---- fonts and codecs ---- */

static const struct {
    const char *script;
    const char *advice; /* with the package's name in Debian */
    enum doctor_verdict verdict;
} SCRIPTS[] = {
    {"Latin", "install fonts-noto-core", DOCTOR_PROBLEM},
    {"CJK", "install fonts-noto-cjk, else captions show boxes", DOCTOR_WARNING},
    {"Arabic", "install fonts-noto-core, else captions show boxes", DOCTOR_WARNING},
    {"emoji", "install fonts-noto-color-emoji, else captions show boxes", DOCTOR_WARNING},
};

static const char *family_for(const json_t *report, const char *script)
{
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(report, "fonts"), index, row)
    {
        const char *name = json_text(row, "script");
        if (name != NULL && strcmp(name, script) == 0)
            return json_text(row, "family");
    }
    return NULL;
}

static void judge_fonts(struct doctor *doctor, const json_t *report)
{
    for (size_t i = 0; i < ARRAY_LENGTH(SCRIPTS); i++) {
        const char *family = family_for(report, SCRIPTS[i].script);
        if (family != NULL)
            doctor_say(doctor, DOCTOR_OK, "fonts", NULL, "%s: %.80s", SCRIPTS[i].script, family);
        else
            doctor_say(doctor, SCRIPTS[i].verdict, "fonts", SCRIPTS[i].advice, "no font shows %s",
                       SCRIPTS[i].script);
    }
}

static void judge_codecs(struct doctor *doctor, const json_t *report)
{
    const json_t *codecs = json_object_get(report, "codecs");
    const char *libraries = json_text(report, "libraries");
    size_t index;
    size_t missing = 0;
    const json_t *row;
    json_array_foreach(codecs, index, row)
    {
        const char *name = json_text(row, "name");
        if (json_flag(row, "is_there", false))
            continue;
        missing++;
        doctor_say(doctor, DOCTOR_PROBLEM, "codecs",
                   "install a libavcodec that was built with it (Debian: libavcodec-extra)",
                   "%.80s is not there", name != NULL ? name : "?");
    }
    if (missing == 0)
        doctor_say(doctor, DOCTOR_OK, "codecs", NULL, "all %zu open behind the sandbox (%.200s)",
                   json_array_size(codecs), libraries != NULL ? libraries : "?");
}

static void look_at_libraries(struct doctor *doctor, struct loop *loop)
{
    struct wait wait = {.loop = loop};
    const struct media_limits limits = limits_of(doctor);
    const struct media_probe_handler handler = {on_probe_ended, &wait};
    struct media_probe *probe = NULL;
    if (wait_for(&wait, media_probe_start(loop, &limits, &handler, &probe))) {
        judge_fonts(doctor, wait.report);
        judge_codecs(doctor, wait.report);
    } else {
        doctor_say(doctor, DOCTOR_PROBLEM, "fonts", advice_for(&wait),
                   "the helper that looks for fonts and codecs failed (%s)", wait.note);
    }
    json_decref(wait.report);
}

/* ---- a film ---- */

static bool make_film(struct doctor *doctor, struct loop *loop, int film)
{
    struct wait wait = {.loop = loop};
    const struct media_limits limits = limits_of(doctor);
    const struct media_handler handler = {NULL, on_film_ended, &wait};
    const struct media_animatic animatic = {
        .prompt = "doctor",
        .seed = 1,
        .width = FILM_SIDE,
        .height = FILM_SIDE,
        .n_frames = FILM_FRAMES,
        .output = film,
    };
    struct media_job *job = NULL;
    if (wait_for(&wait, media_animatic_start(loop, &animatic, &limits, &handler, &job)))
        return true;
    doctor_say(doctor, DOCTOR_PROBLEM, "helper", advice_for(&wait), "no film can be made (%s)",
               wait.note);
    return false;
}

static void decode_film(struct doctor *doctor, struct loop *loop, int film,
                        const int companions[COMPANIONS])
{
    struct wait wait = {.loop = loop};
    const struct media_limits limits = limits_of(doctor);
    const struct media_handler handler = {NULL, on_film_ended, &wait};
    const struct media_variants variants = {
        .source = film,
        .thumbnail = companions[0],
        .preview = companions[1],
        .spritesheet = companions[2],
        .medium = companions[3],
        .marked = -1,
    };
    struct media_job *job = NULL;
    if (!wait_for(&wait, media_variants_start(loop, &variants, &limits, &handler, &job)))
        doctor_say(doctor, DOCTOR_PROBLEM, "helper", advice_for(&wait),
                   "a film was made but cannot be decoded (%s)", wait.note);
    else if (wait.facts.n_frames != FILM_FRAMES || wait.facts.width != FILM_SIDE)
        doctor_say(doctor, DOCTOR_PROBLEM, "helper", "is this libav a release of Debian's?",
                   "a film of %d frames was decoded as %d", FILM_FRAMES, wait.facts.n_frames);
    else
        doctor_say(doctor, DOCTOR_OK, "helper", NULL,
                   "a film of %d frames was made and decoded, the sandbox closed", FILM_FRAMES);
}

static void look_at_helper(struct doctor *doctor, struct loop *loop)
{
    int files[1 + COMPANIONS];
    bool has_files = true;
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        files[i] = memfd_create("filmgate-doctor", MFD_CLOEXEC);
        has_files = has_files && files[i] >= 0;
    }
    if (!has_files)
        doctor_say(doctor, DOCTOR_PROBLEM, "helper", "raise the limit of open files or of memory",
                   "no file in memory can be made");
    else if (make_film(doctor, loop, files[0]))
        decode_film(doctor, loop, files[0], files + 1);
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        close_fd(&files[i]);
}

void doctor_look_at_media(struct doctor *doctor)
{
    struct loop *loop = NULL;
    int fault = loop_new(&loop);
    if (fault < 0) {
        doctor_say(doctor, DOCTOR_PROBLEM, "helper", "raise the limit of open files",
                   "no event loop can be made (%s)", strerrordesc_np(-fault));
        return;
    }
    look_at_libraries(doctor, loop);
    look_at_helper(doctor, loop);
    loop_free(loop);
}
