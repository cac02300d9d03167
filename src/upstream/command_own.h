/* SPDX-License-Identifier: Apache-2.0
 *
 * What the helper's two rooms share: command_worker.c (it listens and judges) and command_spawn.c (processes and their
 * directory). Nobody else includes this. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "proc/proc.h"

struct command_spawned {
    pid_t pid; /* leads its session and group */
    int pidfd;
    int out, err; /* what it says; -1 once closed; reading never waits */
};

/* Opens the job's directory and puts the images into it. A descriptor or negative errno. */
CHECKED int command_open_directory(const struct proc_job *job);
/* Starts the job's program in the directory, as the leader of a session of its own that dies with us. 0, the caller then owns
 * `pidfd`, `out` and `err` and ends it with command_end_all(); or negative errno, and it does not run. One that cannot be
 * executed starts, says so on its standard error and exits with 127. */
CHECKED int command_spawn(const struct proc_job *job, int directory,
                          struct command_spawned *ret_program);
/* Kills and reaps it and all that it has started. False when some process did not die in time; `ret_status` is the
 * program's, as waitpid() gives it. */
CHECKED bool command_end_all(const struct command_spawned *program, int *ret_status);
/* The same with all children of ours, and with theirs as they become ours. `ret_status` is that of `program`, if it is one. */
bool command_end_children(pid_t program, int *ret_status);
/* From position 0 to position 0, at most so many bytes. How many there were, or negative errno. */
CHECKED int64_t command_copy(int from, int to, int64_t most);
/* Is there a file of at least so many bytes in the directory itself? */
bool command_has_file_of(int directory, int64_t bytes);
