/* SPDX-License-Identifier: Apache-2.0
 *
 * How the ends of a job are called between the two sides. Pure. */
#include "media/job.h"

#include <stddef.h>
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
