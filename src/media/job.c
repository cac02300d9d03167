/* SPDX-License-Identifier: Apache-2.0
 *
 * How the ends of a job are called, between the two sides and elsewhere, and what those that a helper
 * cannot tell of mean. Pure. */
#include "media/job.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"

static const char *const NAMES[MEDIA_END_COUNT] = {
    [MEDIA_DONE] = "done",           [MEDIA_CRASHED] = "crashed",     [MEDIA_STALLED] = "stalled",
    [MEDIA_BAD_IMAGE] = "bad_image", [MEDIA_BAD_VIDEO] = "bad_video", [MEDIA_NO_SPACE] = "no_space",
    [MEDIA_TOO_LARGE] = "too_large", [MEDIA_NO_MEMORY] = "no_memory", [MEDIA_FAILED] = "failed",
};

const char *media_end_name(enum media_end end)
{
    must((unsigned)end < MEDIA_END_COUNT);
    return NAMES[end];
}

bool job_end_parse(const char *name, enum media_end *ret_end)
{
    for (size_t i = 0; name && i < ARRAY_LENGTH(NAMES); i++) {
        bool is_ours_to_see = i == MEDIA_CRASHED || i == MEDIA_STALLED;
        if (!is_ours_to_see && strcmp(NAMES[i], name) == 0) {
            *ret_end = (enum media_end)i;
            return true;
        }
    }
    return false;
}

enum media_end job_explain(enum proc_end end, int signal_or_status, char ret_note[JOB_NOTE_SIZE])
{
    must(end != PROC_DONE);
    if (end == PROC_TIMED_OUT || end == PROC_STALLED) {
        (void)snprintf(ret_note, JOB_NOTE_SIZE,
                       end == PROC_TIMED_OUT ? "out of time" : "no progress");
        return MEDIA_STALLED;
    }
    const char *name = signal_or_status < 0 ? sigdescr_np(-signal_or_status) : NULL;
    if (signal_or_status < 0)
        (void)snprintf(ret_note, JOB_NOTE_SIZE, "signal %d (%s)", -signal_or_status,
                       name ? name : "unknown");
    else
        (void)snprintf(ret_note, JOB_NOTE_SIZE, "status %d", signal_or_status);
    return MEDIA_CRASHED;
}
