/* SPDX-License-Identifier: Apache-2.0
 *
 * What parent and helper have agreed on, private to proc/. A message is one JSON object:
 *     {"job": …, "parent": pid, "memory_bytes": n, "file_bytes": n}   first, the job's descriptors beside it
 *     {"job": …}                                                      any number of further ones, to a helper that serves
 *     {"progress": …}                                                 any number of times
 *     {"result": …}                                                   once */
#pragma once

enum {
    CHANNEL_FD = 3, /* the helper's end */
    CHANNEL_FD_FIRST_FREE = 4,
};

#define CHANNEL_JOB "job"
#define CHANNEL_PARENT "parent"
#define CHANNEL_MEMORY "memory_bytes"
#define CHANNEL_FILE "file_bytes"
#define CHANNEL_PROGRESS "progress"
#define CHANNEL_RESULT "result"
