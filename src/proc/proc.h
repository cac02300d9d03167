/* SPDX-License-Identifier: Apache-2.0
 *
 * Helper processes: this same binary, started anew as `filmgate helper KIND`, one process per job,
 * so that its limits, its crash and its sandbox are that job's alone. Parent and helper speak over
 * a socketpair (SOCK_SEQPACKET): the job as one JSON message with the descriptors beside it, then
 * progress messages and one last result. A helper that serves gets further messages like the first
 * (proc_send, proc_next) and answers them by progress messages; both may carry an attachment, which
 * is cheaper than a file for what is small. A helper sees no argument, environment variable or
 * descriptor beyond these; it dies with its parent.
 *
 * Parent's side: all calls and callbacks on the loop's thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/loop.h"

enum {
    PROC_FDS_MAX = 48,             /* descriptors that go with a job */
    PROC_MESSAGE_MAX = 128 * 1024, /* bytes of one message with its attachment, either way */
    PROC_LET_GO_MS = 20 * 1000,    /* for a helper to end by itself once its channel is closed */
};

/* Bytes that go along with a message as they are. Length 0: none. */
struct proc_attachment {
    const char *bytes;
    size_t length;
};

struct proc_limits {
    int64_t total_ms;     /* wall time of the whole job; 0: its owner has clocks of its own */
    int64_t stall_ms;     /* longest silence between messages; 0: the same */
    int64_t memory_bytes; /* address space; 0: unlimited (sanitizer builds ignore it) */
    int64_t file_bytes;   /* largest file it may write; 0: unlimited */
    int64_t descriptors;  /* open at a time; 0: PROC's own small number */
};

enum proc_end {
    PROC_DONE,      /* it sent its result and left with status 0 */
    PROC_CRASHED,   /* a signal, a status, nonsense, or status 0 without a result */
    PROC_TIMED_OUT, /* total_ms passed; killed */
    PROC_STALLED,   /* stall_ms passed; killed */
};

struct proc;

struct proc_handler {
    /* A progress message (borrowed). */
    void (*progress)(void *context, const json_t *message);
    /* The last callback: after it the proc is gone. `result` (borrowed) only when PROC_DONE.
     * `signal_or_status` is for the log: a status, or a signal's number made negative. Not called
     * for a proc that proc_kill() ended. */
    void (*ended)(void *context, enum proc_end end, int signal_or_status, const json_t *result);
    void *context;
};

/* Starts a helper. `job` and `fds` are borrowed (the helper gets duplicates, in this order as
 * proc_job.fds). 0 or negative errno; on success `handler->ended` will be called once, never from
 * within this call. */
CHECKED int proc_start(struct loop *loop, const char *kind, const json_t *job, const int *fds,
                       size_t n_fds, const struct proc_limits *limits,
                       const struct proc_handler *handler, struct proc **ret_proc);
/* Sends a running helper one more message with an attachment (NULL: none) and descriptors (all borrowed), for its
 * proc_next(). Never waits: 0 or negative errno, -EAGAIN when it has not read what it was sent before, -EMSGSIZE past
 * PROC_MESSAGE_MAX. */
CHECKED int proc_send(struct proc *proc, const json_t *message,
                      const struct proc_attachment *attachment, const int *fds, size_t n_fds);
/* Within the handler's `progress`: what came along with that message. Borrowed. */
struct proc_attachment proc_attachment(const struct proc *proc);
/* Kills at once and forgets: no callback comes any more. Takes NULL, returns NULL. The dead are
 * reaped by the loop, within a few of its turns; so are those that ran out of time. Let it turn
 * that long before loop_free(). May be called from within the handler's callbacks (from `ended` it
 * must not: the proc is gone). */
struct proc *proc_kill(struct proc *proc);
/* The same for a helper that has something to put away first: its channel is closed, which it is to look out for
 * (proc_orphan()), and it is killed only when it has not ended after PROC_LET_GO_MS. */
struct proc *proc_let_go(struct proc *proc);
int proc_pid(const struct proc *proc); /* for tests and the log */

/* Helper's side, single-threaded. */

struct proc_job {
    json_t *job; /* owned by the caller of proc_accept or proc_next */
    int fds[PROC_FDS_MAX];
    size_t n_fds;
    struct proc_attachment attachment; /* borrowed until the next proc_next() */
    /* proc_next()'s: the message itself. Zeroed at first, lives as long as the process. */
    char *text;
};

/* Called first in a helper: takes the job from descriptor 3, sets the limits that came with it,
 * arranges to die with the parent. 0 or negative errno (then: exit 1). */
CHECKED int proc_accept(struct proc_job *ret_job);
/* Waits for the next message of proc_send(), also within the sandbox; the descriptors that came with it are the caller's.
 * `job` is that of the message before, or of proc_accept(), whose JSON and descriptors the caller has let go of. -EPIPE
 * when the parent has closed, or another negative errno. */
CHECKED int proc_next(struct proc_job *job);
/* Sends a progress message; exits quietly when the parent is gone. Steals `message`. */
void proc_report(json_t *message);
/* The same with an attachment, borrowed. Beyond PROC_MESSAGE_MAX with the message the process exits. */
void proc_report_with(json_t *message, const struct proc_attachment *attachment);
/* Sends a progress message if that goes at once, and leaves it to the caller what follows from it: 0, -EAGAIN when the parent
 * has not read what came before, or another negative errno when it is gone. Steals `message`. */
CHECKED int proc_try_report(json_t *message);
/* After proc_accept(): does not die with its parent any more. It polls the descriptor that this returns (borrowed), which is readable or
 * hung up once the parent is gone or has let go of it, and then ends by itself. 0 and up, or negative errno. */
CHECKED int proc_orphan(void);
/* Sends the result and exits with status 0. Steals `result`. */
_Noreturn void proc_finish(json_t *result);
