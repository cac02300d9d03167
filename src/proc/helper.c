/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper's side: takes the job, puts on the limits that came with it, reports and leaves.
 * Whatever goes wrong here ends this process only; the parent sees a crash. Single-threaded. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "base/must.h"
#include "proc/channel.h"
#include "proc/proc.h"

enum {
    DESCRIPTORS_MAX = 128, /* open at a time, the job's included, where the parent says nothing */
    SEND_WAIT_S = 60,      /* for a parent that does not read */
    EXIT_UNSPEAKABLE = 3,  /* the result cannot be written, or is longer than a message */
};

static int set_limit(__rlimit_resource_t resource, int64_t most)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)most, .rlim_max = (rlim_t)most};
    struct rlimit old;
    /* Never above what we were given. */
    if (getrlimit(resource, &old) == 0 && old.rlim_max < limit.rlim_max)
        limit.rlim_cur = limit.rlim_max = old.rlim_max;
    return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

static int set_limits(const json_t *envelope)
{
    int64_t memory = json_int(envelope, CHANNEL_MEMORY, 0);
    int64_t file = json_int(envelope, CHANNEL_FILE, 0);
    int64_t descriptors = json_int(envelope, CHANNEL_DESCRIPTORS, 0);
    int error = set_limit(RLIMIT_CORE, 0);
    if (error == 0)
        error = set_limit(RLIMIT_NOFILE, descriptors > 0 ? descriptors : DESCRIPTORS_MAX);
    if (error == 0 && file > 0)
        error = set_limit(RLIMIT_FSIZE, file);
    /* Sanitizers reserve more address space than any limit we could set. */
    if (error == 0 && memory > 0 && !HAS_SANITIZER)
        error = set_limit(RLIMIT_AS, memory);
    /* Past the file limit a write fails with EFBIG instead. */
    if (error == 0 && signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        error = -errno;
    return error;
}

/* One heap for all threads. A further one takes 128 MiB of address space, wherever a thread begins or the first one is
 * full; and when it shrinks, the C library opens a file in /proc, for which the sandbox would kill. */
static void keep_one_heap(void)
{
    (void)mallopt(M_ARENA_MAX, 1); /* refused by a sanitizer's, which has no such heaps */
}

/* Dies with it, and shows its memory to no other process of the same user. */
static int bind_to_parent(const json_t *envelope)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    /* It may have died before we asked to be told. */
    return getppid() == json_int(envelope, CHANNEL_PARENT, 0) ? 0 : -ESRCH;
}

/* Takes the descriptors out of a received message; how many may be a lie only if the kernel lies.
 */
static size_t take_fds(struct msghdr *message, int fds[PROC_FDS_MAX])
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t bytes = header->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(header), bytes);
    return bytes / sizeof(int);
}

/* Receives one message. `flags`: MSG_DONTWAIT for the first, which lies ready since before we were started. */
static int receive(char *text, int flags, struct proc_job *job, size_t *ret_length)
{
    union {
        struct cmsghdr header; /* for the alignment */
        char bytes[CMSG_SPACE(PROC_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = text, .iov_len = PROC_MESSAGE_MAX};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t length;
    do
        length = recvmsg(CHANNEL_FD, &message, MSG_CMSG_CLOEXEC | flags);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -errno;
    job->n_fds = take_fds(&message, job->fds);
    if (length == 0)
        return -EPIPE;
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return -EBADMSG;
    *ret_length = (size_t)length;
    return 0;
}

int proc_accept(struct proc_job *ret_job)
{
    struct proc_job job = {0};
    size_t length = 0;
    CLEANUP(free_pointer) char *text = must_calloc(1, PROC_MESSAGE_MAX);
    int error = receive(text, MSG_DONTWAIT, &job, &length);
    if (error < 0)
        return error;
    CLEANUP(json_unref_pointer) json_t *envelope = json_loadb(text, length, 0, NULL);
    job.job = json_object_get(envelope, CHANNEL_JOB);
    if (!job.job)
        return -EBADMSG;
    keep_one_heap();
    error = bind_to_parent(envelope);
    if (error == 0)
        error = set_limits(envelope);
    struct timeval wait = {.tv_sec = SEND_WAIT_S};
    if (error == 0 && setsockopt(CHANNEL_FD, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0)
        error = -errno;
    if (error < 0)
        return error;
    job.job = json_incref(job.job);
    *ret_job = job;
    return 0;
}

int proc_next(struct proc_job *job)
{
    size_t length = 0;
    if (!job->text)
        job->text = must_calloc(1, PROC_MESSAGE_MAX);
    job->job = NULL;
    int error = receive(job->text, 0, job, &length);
    if (error < 0)
        return error;
    length = channel_split(job->text, length, &job->attachment);
    CLEANUP(json_unref_pointer) json_t *envelope = json_loadb(job->text, length, 0, NULL);
    job->job = json_incref(json_object_get(envelope, CHANNEL_JOB));
    return job->job ? 0 : -EBADMSG;
}

/* {key: value} with the attachment, as one piece; leaves the process when that cannot be a message. Steals `value`. */
static char *make_message(const char *key, json_t *value, const struct proc_attachment *attachment,
                          size_t *ret_length)
{
    CLEANUP(json_unref_pointer) json_t *message = json_object();
    must(message && value);
    json_set(message, key, value);
    char *text = json_dumps(message, JSON_WRITE_FLAGS);
    size_t length = text ? strlen(text) : 0;
    size_t n_attached = attachment && attachment->length > 0 ? attachment->length + 1 : 0;
    if (length == 0 || n_attached > PROC_MESSAGE_MAX || length > PROC_MESSAGE_MAX - n_attached)
        _exit(EXIT_UNSPEAKABLE);
    if (n_attached > 0) {
        text = must_realloc(text, length + n_attached);
        memcpy(text + length + 1, attachment->bytes, attachment->length);
        length += n_attached;
    }
    *ret_length = length;
    return text;
}

/* In one piece, as the sandbox forbids sendmsg(): it could pass descriptors. */
static int send_message(const char *text, size_t length, int flags)
{
    ssize_t sent;
    do
        sent = send(CHANNEL_FD, text, length, MSG_NOSIGNAL | flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static void send_or_leave(const char *key, json_t *value, const struct proc_attachment *attachment)
{
    size_t length;
    CLEANUP(free_pointer) char *text = make_message(key, value, attachment, &length);
    if (send_message(text, length, 0) < 0)
        _exit(EXIT_SUCCESS); /* the parent is gone or has lost interest */
}

void proc_report(json_t *message)
{
    send_or_leave(CHANNEL_PROGRESS, message, NULL);
}

void proc_report_with(json_t *message, const struct proc_attachment *attachment)
{
    send_or_leave(CHANNEL_PROGRESS, message, attachment);
}

int proc_try_report(json_t *message)
{
    size_t length;
    CLEANUP(free_pointer) char *text = make_message(CHANNEL_PROGRESS, message, NULL, &length);
    return send_message(text, length, MSG_DONTWAIT);
}

int proc_orphan(void)
{
    return prctl(PR_SET_PDEATHSIG, 0) < 0 ? -errno : CHANNEL_FD;
}

_Noreturn void proc_finish(json_t *result)
{
    send_or_leave(CHANNEL_RESULT, result, NULL);
    /* Not exit(): what libraries do at their end is of no use to anyone and may go wrong. */
    _exit(EXIT_SUCCESS);
}
