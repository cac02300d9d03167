/* SPDX-License-Identifier: Apache-2.0
 *
 * How the ends of a job are called between the two sides, and what those that a helper cannot tell
 * of mean. Pure. */
#include "media/job.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"

static const struct {
    enum media_end end;
    const char *name;
} ENDS[] = {
    {MEDIA_DONE, "done"},         {MEDIA_BAD_IMAGE, "bad_image"}, {MEDIA_BAD_VIDEO, "bad_video"},
    {MEDIA_NO_SPACE, "no_space"}, {MEDIA_FAILED, "failed"},
};

const char *job_end_name(enum media_end end)
{
    size_t i = 0;
    while (i < ARRAY_LENGTH(ENDS) && ENDS[i].end != end)
        i++;
    must(i < ARRAY_LENGTH(ENDS));
    return ENDS[i].name;
}

bool job_end_parse(const char *name, enum media_end *ret_end)
{
    for (size_t i = 0; name && i < ARRAY_LENGTH(ENDS); i++)
        if (strcmp(ENDS[i].name, name) == 0) {
            *ret_end = ENDS[i].end;
            return true;
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
