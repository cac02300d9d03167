/* SPDX-License-Identifier: Apache-2.0
 *
 * What parent and helper have agreed on, private to proc/: a message is one JSON object. First the
 * job, {"job": …, "parent": pid, "memory_bytes": n, "file_bytes": n}, its descriptors beside it;
 * then
 * {"progress": …} any number of times and {"result": …} once. */
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
