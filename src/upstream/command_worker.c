/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper between the gateway and an operator's program. It is no sandbox: the program does what its operator wants. It
 * sees to it that nothing of the program outlives the task:
 *
 *     program runs --> it ends, its time is out, or the gateway is gone --> all are killed and reaped --> its video is judged
 *
 * The program leads a session and group of its own; what leaves that group becomes our child when its parent ends
 * (PR_SET_CHILD_SUBREAPER), and is killed by its number then.
 *
 * This helper may be killed itself, so there are two of it:
 *
 *     gateway --- keeper --- worker --- program --- …
 *
 * The worker does all of the above. Should it be killed, the program goes with it (PR_SET_PDEATHSIG), all that this had
 * started becomes the keeper's, which kills it. Should the keeper be killed, the gateway sees its helper end and closes the
 * channel, upon which the worker ends all, as it does when the gateway is gone. Both are single-threaded. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "proc/proc.h"
#include "upstream/command.h"
#include "upstream/command_job.h"
#include "upstream/command_own.h"
#include "upstream/command_reader.h"

enum {
    READ_BYTES = 64 * 1024, /* at once, of what it says */
    TELL_EVERY_MS = 200,    /* progress goes on no more often */
    TAIL_BYTES = 8 * 1024,  /* of standard error that are kept */
    LOG_LINES = 20,         /* of them, the last */
    LOG_LINE_SIZE = 300,    /* bytes of each, with NUL */
    DRAIN_ROUNDS = 64,      /* reads after its end; a pipe holds less */
};

struct worker {
    struct proc_job job;
    struct command_spawned program;
    int gateway;   /* to be watched */
    int directory; /* open since before the program began */
    struct command_reader reader;
    char bytes[READ_BYTES]; /* being read */
    char tail[2 * TAIL_BYTES];
    size_t n_tail;
    double told; /* progress that went on */
    int64_t told_ms;
    int64_t due_ms; /* clock_mono_ms(): its time is out, or the grace after that */
    bool is_out_of_time, has_left;
    int status; /* as waitpid() gives it */
};

/* ---- listening ---- */

/* Keeps the last of it. */
static void keep_tail(struct worker *worker, const char *bytes, size_t length)
{
    if (length > TAIL_BYTES) {
        bytes += length - TAIL_BYTES;
        length = TAIL_BYTES;
    }
    if (worker->n_tail + length > sizeof(worker->tail)) {
        memmove(worker->tail, worker->tail + worker->n_tail - TAIL_BYTES, TAIL_BYTES);
        worker->n_tail = TAIL_BYTES;
    }
    memcpy(worker->tail + worker->n_tail, bytes, length);
    worker->n_tail += length;
}

/* One read of `*fd`, which is closed at its end. False when there is nothing now. */
static bool listen_once(struct worker *worker, int *fd)
{
    ssize_t length = read(*fd, worker->bytes, sizeof(worker->bytes));
    if (length < 0)
        return errno == EINTR;
    if (length == 0) {
        close_fd(fd);
        *fd = -1;
        return false;
    }
    if (fd == &worker->program.out)
        command_reader_take(&worker->reader, worker->bytes, (size_t)length);
    else
        keep_tail(worker, worker->bytes, (size_t)length);
    return true;
}

static void drain(struct worker *worker)
{
    int *const fds[] = {&worker->program.out, &worker->program.err};
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        for (int round = 0; *fds[i] >= 0 && round < DRAIN_ROUNDS; round++) {
            if (!listen_once(worker, fds[i]))
                break;
        }
    }
    command_reader_end(&worker->reader);
}

/* Never waits: what the gateway has no ear for now is told later. True when there is something to tell. */
static bool tell_progress(struct worker *worker)
{
    int64_t now_ms = clock_mono_ms();
    if (worker->reader.progress <= worker->told)
        return false;
    if (now_ms - worker->told_ms < TELL_EVERY_MS)
        return true;
    json_t *message = json_object();
    must(message != NULL);
    json_set(message, COMMAND_PROGRESS, json_real(worker->reader.progress));
    worker->told_ms = now_ms;
    if (proc_try_report(message) == 0)
        worker->told = worker->reader.progress;
    return worker->reader.progress > worker->told;
}

/* ---- running ---- */

enum { WATCH_OUT, WATCH_ERR, WATCH_GATEWAY, WATCH_END, WATCH_COUNT };

/* Waits for anything to happen. `revents` of what is closed are 0. */
static void wait_for_news(const struct worker *worker, bool must_tell,
                          struct pollfd watched[WATCH_COUNT])
{
    int64_t left_ms = worker->due_ms - clock_mono_ms();
    if (must_tell && left_ms > TELL_EVERY_MS)
        left_ms = TELL_EVERY_MS;
    watched[WATCH_OUT] = (struct pollfd){worker->program.out, POLLIN, 0};
    watched[WATCH_ERR] = (struct pollfd){worker->program.err, POLLIN, 0};
    watched[WATCH_GATEWAY] = (struct pollfd){worker->gateway, POLLIN, 0};
    watched[WATCH_END] = (struct pollfd){worker->program.pidfd, POLLIN, 0};
    int wait_ms = left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms;
    if (poll(watched, WATCH_COUNT, wait_ms) < 0)
        must(errno == EINTR || errno == ENOMEM);
}

/* False when it has had its grace, too. */
static bool goes_on(struct worker *worker)
{
    if (clock_mono_ms() < worker->due_ms)
        return true;
    if (worker->is_out_of_time)
        return false;
    worker->is_out_of_time = true;
    worker->due_ms = clock_mono_ms() + COMMAND_GRACE_MS;
    (void)kill(-worker->program.pid, SIGTERM);
    return true;
}

/* Until it has ended, or must. False when the gateway is gone. */
static bool watch(struct worker *worker)
{
    struct pollfd watched[WATCH_COUNT] = {0};
    bool has_ended = false;
    while (!has_ended && goes_on(worker)) {
        wait_for_news(worker, tell_progress(worker), watched);
        if (watched[WATCH_GATEWAY].revents)
            return false;
        if (watched[WATCH_OUT].revents)
            (void)listen_once(worker, &worker->program.out);
        if (watched[WATCH_ERR].revents)
            (void)listen_once(worker, &worker->program.err);
        has_ended = watched[WATCH_END].revents != 0;
    }
    return true;
}

/* ---- its video ---- */

/* Where it says that the video is, seen from its directory. NULL when that cannot be within. */
static const char *relative(const char *directory, const char *path)
{
    size_t length = strlen(directory);
    if (path[0] != '/')
        return path;
    return strncmp(path, directory, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

/* Opens the file step by step; no step may be a link or lead upwards. -ENOENT, or -EINVAL for what is no file within. */
static int open_video(const struct worker *worker, const char *path)
{
    char rest[COMMAND_PATH_SIZE], *at = rest;
    CLEANUP(close_fd) int folder = dup(worker->directory);
    size_t length = strnlen(path, sizeof(rest));
    if (folder < 0 || length == sizeof(rest))
        return -EINVAL;
    memcpy(rest, path, length + 1);
    for (;;) {
        char *slash = strchr(at, '/');
        if (slash != NULL)
            *slash = '\0';
        if (*at == '\0' || strcmp(at, "..") == 0)
            return -EINVAL;
        int flags = slash != NULL ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY;
        int next = openat(folder, at, flags | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return errno == ENOENT ? -ENOENT : -EINVAL;
        if (slash == NULL)
            return next;
        (void)close(folder);
        folder = next;
        at = slash + 1;
    }
}

static enum command_end bring_home(const struct worker *worker, int64_t most)
{
    const char *said = worker->reader.output[0] != '\0' ? worker->reader.output : COMMAND_OUTPUT;
    const char *path = relative(json_text(worker->job.job, COMMAND_DIRECTORY), said);
    struct stat status;
    CLEANUP(close_fd) int video = path != NULL ? open_video(worker, path) : -EINVAL;
    if (video < 0)
        return video == -ENOENT ? COMMAND_NO_VIDEO : COMMAND_BAD_VIDEO;
    if (fstat(video, &status) != 0 || !S_ISREG(status.st_mode))
        return COMMAND_BAD_VIDEO;
    if (status.st_size == 0)
        return COMMAND_NO_VIDEO;
    if (status.st_size >= most) /* no file can be longer: it is cut off */
        return COMMAND_TOO_LARGE;
    int64_t copied = command_copy(video, worker->job.fds[COMMAND_FD_OUTPUT], status.st_size);
    return copied == status.st_size ? COMMAND_DONE : COMMAND_NO_SPACE; /* or it became shorter */
}

static enum command_end judge(const struct worker *worker)
{
    static const enum command_end SAID[] = {
        [COMMAND_REFUSED] = COMMAND_SAID_REFUSED,
        [COMMAND_MODERATED] = COMMAND_SAID_MODERATED,
        [COMMAND_FAULTY] = COMMAND_SAID_FAILED,
    };
    int64_t most = json_int(worker->job.job, COMMAND_FILE_BYTES, 0);
    if (worker->is_out_of_time)
        return COMMAND_TIMED_OUT;
    if (worker->reader.error != COMMAND_NO_ERROR)
        return SAID[worker->reader.error];
    if (WIFEXITED(worker->status) && WEXITSTATUS(worker->status) == 0)
        return bring_home(worker, most);
    /* Who met the limit of a file's size seldom says so. */
    bool met_limit = WIFSIGNALED(worker->status) && WTERMSIG(worker->status) == SIGXFSZ;
    return met_limit || command_has_file_of(worker->directory, most) ? COMMAND_TOO_LARGE
                                                                     : COMMAND_DIED;
}

/* ---- its end ---- */

static json_t *last_lines(const struct worker *worker)
{
    json_t *lines = json_array();
    must(lines != NULL);
    size_t end = worker->n_tail;
    while (end > 0 && json_array_size(lines) < LOG_LINES) {
        size_t begin = end;
        while (begin > 0 && worker->tail[begin - 1] != '\n')
            begin--;
        char line[LOG_LINE_SIZE];
        command_print(worker->tail + begin, end - begin, line, sizeof(line));
        if (end > begin)
            must(json_array_insert_new(lines, 0, json_string(line)) == 0);
        end = begin > 0 ? begin - 1 : 0;
    }
    return lines;
}

static json_t *describe_end(const struct worker *worker, enum command_end end)
{
    const struct command_reader *reader = &worker->reader;
    json_t *result = json_object();
    must(result != NULL);
    json_set_text(result, COMMAND_END, command_end_name(end));
    json_set(result, COMMAND_STATUS,
             json_integer(WIFEXITED(worker->status) ? WEXITSTATUS(worker->status)
                                                    : -WTERMSIG(worker->status)));
    json_set_text(result, COMMAND_CODE, reader->code);
    json_set_text(result, COMMAND_MESSAGE, reader->message);
    json_set(result, COMMAND_PASSED_OVER, json_integer(reader->n_passed_over));
    json_set_text(result, COMMAND_FIRST, reader->passed_over);
    json_set(result, COMMAND_LEFT, json_boolean(worker->has_left));
    json_set(result, COMMAND_LOG, last_lines(worker));
    return result;
}

static void run(struct worker *worker)
{
    const char *path = json_text(worker->job.job, COMMAND_DIRECTORY);
    worker->due_ms = clock_mono_ms() + json_int(worker->job.job, COMMAND_TIMEOUT, 0);
    bool is_wanted = watch(worker);
    worker->has_left = !command_end_all(&worker->program, &worker->status);
    json_t *result = NULL;
    if (is_wanted) {
        drain(worker);
        result = describe_end(worker, judge(worker));
    }
    (void)command_directory_remove(path); /* what stays is removed at the next start */
    if (is_wanted)
        proc_finish(result);
}

/* The worker. SIGCONT at the keeper's end, should somebody have stopped us. */
static int work(struct worker *worker)
{
    if (prctl(PR_SET_PDEATHSIG, SIGCONT) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return EXIT_FAILURE;
    command_reader_init(&worker->reader);
    worker->status = SIGKILL; /* of a program that cannot even be reaped */
    worker->directory = command_open_directory(&worker->job);
    if (worker->directory < 0 ||
        command_spawn(&worker->job, worker->directory, &worker->program) < 0)
        return EXIT_FAILURE;
    run(worker);
    return EXIT_SUCCESS;
}

/* The keeper: waits for the worker. Whatever one that failed has left behind is ended and removed here. */
static int keep(const struct worker *worker, pid_t pid)
{
    int status = 0, others;
    while (pid > 0 && waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return EXIT_FAILURE;
    }
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
        return EXIT_SUCCESS;
    (void)command_end_children(0, &others);
    (void)command_directory_remove(json_text(worker->job.job, COMMAND_DIRECTORY));
    if (pid > 0 && WIFSIGNALED(status))
        (void)raise(WTERMSIG(status)); /* the gateway's log tells it then */
    return EXIT_FAILURE;
}

static int start(struct worker *worker)
{
    if (proc_accept(&worker->job) < 0)
        return EXIT_FAILURE;
    worker->gateway = proc_orphan();
    /* A service's end is told to all of its processes: ours ends when the gateway lets go. */
    if (worker->gateway < 0 || signal(SIGTERM, SIG_IGN) == SIG_ERR ||
        signal(SIGINT, SIG_IGN) == SIG_ERR || signal(SIGHUP, SIG_IGN) == SIG_ERR ||
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return EXIT_FAILURE;
    pid_t pid = fork();
    return pid == 0 ? work(worker) : keep(worker, pid);
}

int command_helper_main(void)
{
    struct worker *worker = must_calloc(1, sizeof(*worker));
    int status = start(worker);
    json_decref(worker->job.job);
    free(worker);
    return status;
}
