/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two sides of media.h have agreed on, private to media/: the names in jobs and results.
 */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"
#include "media/media.h"

#define JOB_KIND "media" /* of the helper */

#define JOB_NAME "job"
#define JOB_ANIMATIC "animatic"
#define JOB_VARIANTS "variants"
#define JOB_PROBE "probe"

#define JOB_PROGRESS "progress"
#define JOB_END "end"
#define JOB_NOTE "note"

/* The facts of a result, and an animatic's plan. */
#define JOB_WIDTH "width"
#define JOB_HEIGHT "height"
#define JOB_FRAMES "n_frames"
#define JOB_DURATION "duration_ms"

/* An animatic: the descriptors are its images in order and then its output. */
#define JOB_PROMPT "prompt"
#define JOB_SEED "seed"

/* Variants: the descriptors are source, thumbnail, preview, spritesheet, medium and perhaps marked. */

enum {
    JOB_NOTE_SIZE = 200,
    JOB_VARIANTS_FDS = 5, /* without the marked copy */
};

/* A probe's report. */
#define JOB_FONTS "fonts"
#define JOB_CODECS "codecs"
#define JOB_LIBRARIES "libraries"

/* Reads the name of an end that a helper can tell of; a crash or a stall is the parent's to see. */
CHECKED bool job_end_parse(const char *name, enum media_end *ret_end);
/* What it means that a helper ended otherwise than PROC_DONE, with a note for the log. */
enum media_end job_explain(enum proc_end end, int signal_or_status, char ret_note[JOB_NOTE_SIZE]);
