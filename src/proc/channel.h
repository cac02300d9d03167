/* SPDX-License-Identifier: Apache-2.0
 *
 * What parent and helper have agreed on, private to proc/. A message is one JSON object, behind which a NUL and an
 * attachment of any bytes may stand (JSON as we write it holds no NUL):
 *     {"job": …, "parent": pid, "memory_bytes": n, "file_bytes": n, "descriptors": n}   first, the job's descriptors beside it
 *     {"job": …}                                                      any number of further ones, to a helper that serves
 *     {"progress": …}                                                 any number of times
 *     {"result": …}                                                   once */
#pragma once

#include <string.h>

#include "proc/proc.h"

enum {
    CHANNEL_FD = 3, /* the helper's end */
    CHANNEL_FD_FIRST_FREE = 4,
};

#define CHANNEL_JOB "job"
#define CHANNEL_PARENT "parent"
#define CHANNEL_MEMORY "memory_bytes"
#define CHANNEL_FILE "file_bytes"
#define CHANNEL_DESCRIPTORS "descriptors"
#define CHANNEL_PROGRESS "progress"
#define CHANNEL_RESULT "result"

/* Length of the JSON that a message begins with. The attachment lies within `text`. */
static inline size_t channel_split(const char *text, size_t length,
                                   struct proc_attachment *ret_attachment)
{
    const char *end = memchr(text, '\0', length);
    size_t json_length = end ? (size_t)(end - text) : length;
    *ret_attachment = (struct proc_attachment){NULL, 0};
    if (end)
        *ret_attachment = (struct proc_attachment){end + 1, length - json_length - 1};
    return json_length;
}
