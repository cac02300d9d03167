/* SPDX-License-Identifier: Apache-2.0
 *
 * The parent's side of helper processes. A proc lives from proc_start() until its process has been
 * reaped, which its pidfd tells: also when nobody waits for it any more (`is_forgotten`), so that
 * no zombie and no descriptor stays behind and callbacks may kill their own proc.
 *
 *     proc_start --> running --> process gone, reaped --> ended() --> freed
 *                       |
 *                       +-- let go of, killed, or out of time (then ended() at once)
 *                                  --> forgotten --> reaped --> freed
 *
 * The job is put into the socket before the process exists: starting never waits. Runs on the
 * loop's thread. */
#include "proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/must.h"
#include "proc/channel.h"

enum {
    LAST_MESSAGES_MAX = 4096, /* read after its end; more than a socket holds */
    ENVIRONMENT_MAX = 16,
};

struct proc {
    struct loop *loop;
    struct proc_handler handler;
    pid_t pid;
    int64_t stall_ms;
    struct loop_watch socket;
    struct loop_watch process; /* the pidfd */
    struct loop_timer total, stall;
    json_t *result; /* NULL until it came */
    bool is_forgotten;
    char message[PROC_MESSAGE_MAX + 1]; /* being read */
    struct proc_attachment attachment;  /* within `message`; of the one that is handled */
};

/* ---- starting ---- */

/* Sends a message with its descriptors; the socket's buffer holds it until the helper reads. */
static int send_parts(int fd, struct iovec *parts, size_t n_parts, const int *fds, size_t n_fds)
{
    union {
        struct cmsghdr header; /* for the alignment */
        char bytes[CMSG_SPACE(PROC_FDS_MAX * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = n_parts};
    memset(&control, 0, sizeof control);
    if (n_fds > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        must(header);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(header), fds, n_fds * sizeof(int));
    }
    ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : 0;
}

static int send_envelope(int fd, const json_t *envelope, const struct proc_attachment *attachment,
                         const int *fds, size_t n_fds)
{
    CLEANUP(free_pointer) char *text = json_dumps(envelope, JSON_WRITE_FLAGS);
    const size_t n_attached = attachment ? attachment->length : 0;
    if (!text)
        return -EINVAL;
    /* The NUL that ends the text parts it from the attachment. */
    struct iovec parts[] = {{text, strlen(text) + (n_attached > 0)}, {NULL, n_attached}};
    if (n_attached > PROC_MESSAGE_MAX || parts[0].iov_len > PROC_MESSAGE_MAX - n_attached)
        return -EMSGSIZE;
    if (n_attached > 0)
        memcpy(&parts[1].iov_base, &attachment->bytes, sizeof attachment->bytes); /* (no const) */
    return send_parts(fd, parts, n_attached > 0 ? 2 : 1, fds, n_fds);
}

static int put_job(int fd, const json_t *job, const int *fds, size_t n_fds,
                   const struct proc_limits *limits)
{
    CLEANUP(json_unref_pointer) json_t *envelope = json_object();
    must(envelope);
    json_set(envelope, CHANNEL_JOB, json_deep_copy(job));
    json_set(envelope, CHANNEL_PARENT, json_integer(getpid()));
    json_set(envelope, CHANNEL_MEMORY, json_integer(limits->memory_bytes));
    json_set(envelope, CHANNEL_FILE, json_integer(limits->file_bytes));
    json_set(envelope, CHANNEL_DESCRIPTORS, json_integer(limits->descriptors));
    return send_envelope(fd, envelope, NULL, fds, n_fds);
}

/* Nothing of ours goes along but what sanitizers need. The caches of libraries must not be
 * writable: a job leaves nothing behind for the next one. */
static void fill_environment(const char *environment[ENVIRONMENT_MAX])
{
    static const char *const FIXED[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/nonexistent",
                                        "XDG_CACHE_HOME=/nonexistent"};
    static const char *const PASSED[] = {
        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LSAN_OPTIONS="};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(FIXED); i++)
        environment[n++] = FIXED[i];
    for (char **entry = environ; entry && *entry; entry++)
        for (size_t i = 0; i < ARRAY_LENGTH(PASSED); i++)
            if (strncmp(*entry, PASSED[i], strlen(PASSED[i])) == 0 && n < ENVIRONMENT_MAX - 1)
                environment[n++] = *entry;
    environment[n] = NULL;
}

/* Descriptors of the helper: 0 and 1 nothing, 2 our own (for its last words), 3 the channel. */
static int add_actions(posix_spawn_file_actions_t *actions, int fd)
{
    int error = posix_spawn_file_actions_adddup2(actions, fd, CHANNEL_FD);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(actions, CHANNEL_FD_FIRST_FREE);
    return error;
}

/* Signals as in a fresh process, and a process group of its own: a Ctrl-C at the terminal is for us
 * to handle. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return error;
}

static int spawn(const char *kind, int fd, pid_t *ret_pid)
{
    const char *const arguments[] = {"filmgate", "helper", kind, NULL};
    const char *environment[ENVIRONMENT_MAX];
    char *argv[ARRAY_LENGTH(arguments)], *envp[ENVIRONMENT_MAX];
    fill_environment(environment);
    /* posix_spawn promises not to write to them but does not say so in its type. */
    memcpy(argv, arguments, sizeof argv);
    memcpy(envp, environment, sizeof envp);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    int error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = add_actions(&actions, fd);
        if (error == 0)
            error = set_attributes(&attributes);
        if (error == 0)
            error = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, argv, envp);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return -error;
}

/* Starts the process with its job waiting in the socket. On success both descriptors are the
 * caller's. */
static int launch(const char *kind, const json_t *job, const int *fds, size_t n_fds,
                  const struct proc_limits *limits, pid_t *ret_pid, int *ret_socket, int *ret_pidfd)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    CLEANUP(close_fd) int ours = pair[0];
    CLEANUP(close_fd) int theirs = pair[1];
    pid_t pid = -1;
    int error = put_job(ours, job, fds, n_fds, limits);
    if (error == 0)
        error = spawn(kind, theirs, &pid);
    if (error < 0)
        return error;
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        error = -errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return error;
    }
    *ret_pid = pid;
    *ret_socket = ours;
    *ret_pidfd = pidfd;
    ours = -1;
    return 0;
}

/* ---- ending ---- */

static void kill_now(struct proc *proc)
{
    /* By pidfd: its number cannot have passed to another process. */
    (void)pidfd_send_signal(proc->process.fd, SIGKILL, NULL, 0);
}

static void close_watch(struct loop *loop, struct loop_watch *watch)
{
    if (watch->active)
        loop_unwatch(loop, watch);
    close_fd(&watch->fd);
    watch->fd = -1;
}

/* From here on only the pidfd's watch is left. */
static void forget(struct proc *proc)
{
    proc->is_forgotten = true;
    close_watch(proc->loop, &proc->socket);
    loop_disarm(proc->loop, &proc->total);
    loop_disarm(proc->loop, &proc->stall);
}

static void proc_free(struct proc *proc)
{
    close_watch(proc->loop, &proc->socket);
    close_watch(proc->loop, &proc->process);
    loop_disarm(proc->loop, &proc->total);
    loop_disarm(proc->loop, &proc->stall);
    json_decref(proc->result);
    free(proc);
}

static void run_out(struct proc *proc, enum proc_end end)
{
    struct proc_handler handler = proc->handler;
    kill_now(proc);
    forget(proc);
    handler.ended(handler.context, end, -SIGKILL, NULL);
}

static void on_total(struct loop_timer *timer)
{
    run_out(CONTAINER_OF(timer, struct proc, total), PROC_TIMED_OUT);
}

static void on_stall(struct loop_timer *timer)
{
    run_out(CONTAINER_OF(timer, struct proc, stall), PROC_STALLED);
}

static void on_patience(struct loop_timer *timer)
{
    kill_now(CONTAINER_OF(timer, struct proc, total));
}

/* ---- messages ---- */

/* One message: false when it is none of ours. */
static bool take_message(struct proc *proc, size_t length)
{
    json_error_t error;
    length = channel_split(proc->message, length, &proc->attachment);
    CLEANUP(json_unref_pointer)
    json_t *message = json_loadb(proc->message, length, JSON_REJECT_DUPLICATES, &error);
    json_t *result = json_object_get(message, CHANNEL_RESULT);
    const json_t *progress = json_object_get(message, CHANNEL_PROGRESS);
    if (result && !proc->result)
        proc->result = json_incref(result);
    else if (!progress || proc->result)
        return false;
    else
        proc->handler.progress(proc->handler.context, progress);
    return true;
}

/* Reads one message: 1 when there was one, 0 when there is none now, -1 when none will come. */
static int read_message(struct proc *proc)
{
    ssize_t length;
    do /* MSG_TRUNC: the true length, also when it does not fit */
        length =
            recv(proc->socket.fd, proc->message, sizeof proc->message, MSG_DONTWAIT | MSG_TRUNC);
    while (length < 0 && errno == EINTR);
    if (length < 0 && errno == EAGAIN)
        return 0;
    if (length <= 0)
        return -1;
    if (length > PROC_MESSAGE_MAX || !take_message(proc, (size_t)length)) {
        kill_now(proc); /* it has gone mad: reported as a crash */
        return -1;
    }
    return 1;
}

/* Reads up to `most` messages. A handler may kill the proc between two of them. */
static void read_messages(struct proc *proc, int most)
{
    int result = 1;
    for (int i = 0; i < most && result > 0; i++) {
        result = read_message(proc);
        if (proc->is_forgotten)
            return;
        if (result > 0 && proc->stall_ms > 0)
            loop_arm(proc->loop, &proc->stall, proc->stall_ms);
    }
    if (result < 0)
        close_watch(proc->loop, &proc->socket); /* its end comes by the pidfd, or by a timer */
}

static void on_message(struct loop_watch *watch, int events)
{
    (void)events;
    /* One a turn: the next turn tells of a further one; looking for it here would cost a system call each time. */
    read_messages(CONTAINER_OF(watch, struct proc, socket), 1);
}

static void report_end(struct proc *proc, int status)
{
    struct proc_handler handler = proc->handler;
    json_t *result = TAKE(proc->result);
    proc_free(proc);
    if (status == 0 && result)
        handler.ended(handler.context, PROC_DONE, 0, result);
    else
        handler.ended(handler.context, PROC_CRASHED, status, NULL);
    json_decref(result);
}

static void on_exit_of(struct loop_watch *watch, int events)
{
    struct proc *proc = CONTAINER_OF(watch, struct proc, process);
    siginfo_t info = {0};
    (void)events;
    int error;
    do
        error = waitid(P_PIDFD, (id_t)watch->fd, &info, WEXITED | WNOHANG);
    while (error < 0 && errno == EINTR);
    if (error == 0 && info.si_pid == 0)
        return; /* not yet */
    int status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    if (!proc->is_forgotten && proc->socket.fd >= 0)
        read_messages(proc, LAST_MESSAGES_MAX); /* what it said last may still be in the socket */
    if (proc->is_forgotten)
        proc_free(proc);
    else
        report_end(proc, status);
}

/* ---- the door ---- */

static int watch_all(struct proc *proc, const struct proc_limits *limits)
{
    int error = loop_watch(proc->loop, &proc->process, LOOP_READ);
    if (error == 0)
        error = loop_watch(proc->loop, &proc->socket, LOOP_READ);
    if (error < 0)
        return error;
    if (limits->total_ms > 0)
        loop_arm(proc->loop, &proc->total, limits->total_ms);
    if (limits->stall_ms > 0)
        loop_arm(proc->loop, &proc->stall, limits->stall_ms);
    return 0;
}

int proc_start(struct loop *loop, const char *kind, const json_t *job, const int *fds, size_t n_fds,
               const struct proc_limits *limits, const struct proc_handler *handler,
               struct proc **ret_proc)
{
    must(n_fds <= PROC_FDS_MAX && limits->total_ms >= 0 && limits->stall_ms >= 0);
    struct proc *proc = must_calloc(1, sizeof *proc);
    proc->loop = loop;
    proc->handler = *handler;
    proc->stall_ms = limits->stall_ms;
    proc->socket.ready = on_message;
    proc->process.ready = on_exit_of;
    proc->total.fire = on_total;
    proc->stall.fire = on_stall;
    int error =
        launch(kind, job, fds, n_fds, limits, &proc->pid, &proc->socket.fd, &proc->process.fd);
    if (error < 0) {
        free(proc);
        return error;
    }
    error = watch_all(proc, limits);
    if (error < 0) {
        kill_now(proc);
        (void)waitid(P_PIDFD, (id_t)proc->process.fd, &(siginfo_t){0}, WEXITED);
        proc_free(proc);
        return error;
    }
    *ret_proc = proc;
    return 0;
}

int proc_send(struct proc *proc, const json_t *message, const struct proc_attachment *attachment,
              const int *fds, size_t n_fds)
{
    must(n_fds <= PROC_FDS_MAX && !proc->is_forgotten);
    if (proc->socket.fd < 0)
        return -EPIPE; /* it has ended, or gone mad: its end is on the way */
    CLEANUP(json_unref_pointer) json_t *envelope = json_object();
    must(envelope);
    json_set(envelope, CHANNEL_JOB, json_incref((json_t *)(uintptr_t)message));
    return send_envelope(proc->socket.fd, envelope, attachment, fds, n_fds);
}

struct proc_attachment proc_attachment(const struct proc *proc)
{
    return proc->attachment;
}

struct proc *proc_kill(struct proc *proc)
{
    if (proc) {
        kill_now(proc);
        forget(proc);
    }
    return NULL;
}

struct proc *proc_let_go(struct proc *proc)
{
    if (proc) {
        forget(proc);
        proc->total.fire = on_patience;
        loop_arm(proc->loop, &proc->total, PROC_LET_GO_MS);
    }
    return NULL;
}

int proc_pid(const struct proc *proc)
{
    return proc->pid;
}
