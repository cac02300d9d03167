/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper's hands: puts the images down, starts the program, and ends it with whatever came of it. Single-threaded. */
#include "upstream/command_own.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "upstream/command.h"
#include "upstream/command_job.h"

enum {
    BLOCK_BYTES = 16 * 1024,
    KILL_PATIENCE_MS = 10000, /* for what hangs in a driver */
    KILL_PAUSE_MS = 2,
    EXIT_NOT_RUN = 127, /* as a shell's */
};

/* ---- the directory ---- */

int64_t command_copy(int from, int to, int64_t most)
{
    char block[BLOCK_BYTES];
    int64_t done = 0;
    while (done < most) {
        int64_t left = most - done;
        ssize_t n = pread(from, block, left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES, done);
        if (n > 0)
            n = pwrite(to, block, (size_t)n, done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        done += n > 0 ? n : 0;
    }
    return done;
}

static int copy_image(int from, int directory, const char *name)
{
    CLEANUP(close_fd)
    int to = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    int64_t copied = to < 0 ? -errno : command_copy(from, to, INT64_MAX);
    return copied < 0 ? (int)copied : 0;
}

int command_open_directory(const struct proc_job *job)
{
    const json_t *names = json_object_get(job->job, COMMAND_IMAGES);
    const char *path = json_text(job->job, COMMAND_DIRECTORY);
    int directory = path != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (directory < 0)
        return -errno;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        must(name != NULL && COMMAND_FD_IMAGES + i < job->n_fds);
        int fault = copy_image(job->fds[COMMAND_FD_IMAGES + i], directory, name);
        if (fault < 0) {
            (void)close(directory);
            return fault;
        }
    }
    return directory;
}

bool command_has_file_of(int directory, int64_t bytes)
{
    bool is_there = false;
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    if (entries == NULL) {
        close_fd(&fd);
        return false;
    }
    for (struct dirent *entry; !is_there && (entry = readdir(entries)) != NULL;) {
        struct stat status;
        is_there = fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                   S_ISREG(status.st_mode) && status.st_size >= bytes;
    }
    (void)closedir(entries);
    return is_there;
}

/* ---- starting ---- */

/* The job's texts as a list for execve(), after `fixed`. Lives as long as the job. */
static char **list_of(const json_t *texts, char *const *fixed, size_t n_fixed)
{
    size_t count = json_array_size(texts);
    char **list = must_calloc(n_fixed + count + 1, sizeof(*list));
    for (size_t i = 0; i < n_fixed; i++)
        list[i] = fixed[i];
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        must(text != NULL);
        list[n_fixed + i] = must_strdup(text);
    }
    return list;
}

/* `NAME=` stands in the list already. */
static bool is_set(const json_t *texts, const char *entry)
{
    size_t length = strcspn(entry, "=") + 1;
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        if (text != NULL && strncmp(text, entry, length) == 0)
            return true;
    }
    return false;
}

static char **environment_of(const struct proc_job *job, const char *directory)
{
    const json_t *own = json_object_get(job->job, COMMAND_ENVIRONMENT);
    char home[COMMAND_DIRECTORY_SIZE + 8], temporary[COMMAND_DIRECTORY_SIZE + 8];
    (void)snprintf(home, sizeof(home), "HOME=%s", directory);
    (void)snprintf(temporary, sizeof(temporary), "TMPDIR=%s", directory);
    const char *const every[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", home,
                                 temporary};
    char *fixed[ARRAY_LENGTH(every)];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(every); i++) {
        if (!is_set(own, every[i]))
            fixed[n++] = must_strdup(every[i]);
    }
    return list_of(own, fixed, n);
}

/* In the new process, as far as it is still ours. */
static int prepare(const struct proc_job *job, int directory, const int ends[3], pid_t parent)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGHUP, SIGXFSZ, SIGPIPE};
    rlim_t bytes = (rlim_t)json_int(job->job, COMMAND_FILE_BYTES, 0);
    const struct rlimit limit = {bytes, bytes};
    for (size_t i = 0; i < ARRAY_LENGTH(SIGNALS); i++) {
        if (signal(SIGNALS[i], SIG_DFL) == SIG_ERR)
            return -errno;
    }
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
        setrlimit(RLIMIT_FSIZE, &limit) < 0 || fchdir(directory) < 0)
        return -errno;
    if (getppid() != parent)
        return -ESRCH;
    (void)umask(S_IRWXG | S_IRWXO);
    for (int i = 0; i < 3; i++) {
        if (dup2(ends[i], i) < 0)
            return -errno;
    }
    return close_range(3, ~0U, 0) < 0 ? -errno : 0;
}

static _Noreturn void become(const struct proc_job *job, int directory, const int ends[3],
                             pid_t parent)
{
    char **argv = list_of(json_object_get(job->job, COMMAND_ARGV), NULL, 0);
    char **environment = environment_of(job, json_text(job->job, COMMAND_DIRECTORY));
    int fault = prepare(job, directory, ends, parent);
    if (fault == 0) {
        (void)execve(argv[0], argv, environment);
        fault = -errno;
    }
    (void)dprintf(STDERR_FILENO, "filmgate: cannot run \"%s\": %s\n", argv[0], strerror(-fault));
    _exit(EXIT_NOT_RUN);
}

/* `ret_ends`: ours and the program's. */
static int open_pipe(int ret_ends[2])
{
    if (pipe2(ret_ends, O_CLOEXEC) < 0 || fcntl(ret_ends[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int command_spawn(const struct proc_job *job, int directory, struct command_spawned *ret_program)
{
    int out[2], err[2];
    int fault = open_pipe(out);
    fault = fault < 0 ? fault : open_pipe(err);
    if (fault < 0)
        return fault;
    const int ends[3] = {job->fds[COMMAND_FD_INPUT], out[1], err[1]};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become(job, directory, ends, parent);
    (void)close(out[1]);
    (void)close(err[1]);
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        fault = -errno;
        (void)kill(pid, SIGKILL);
        return fault;
    }
    *ret_program = (struct command_spawned){pid, pidfd, out[0], err[0]};
    return 0;
}

/* ---- ending ---- */

/* By the kernel's list, which names also those that hide in a /proc with hidepid. Who is missing in it, as others ended
 * while it was read, is in the next round's. As our child none can be another one meanwhile: nobody but us would reap it. */
static void kill_children(void)
{
    CLEANUP(free_pointer) char *word = NULL;
    size_t size = 0;
    FILE *numbers = fopen("/proc/thread-self/children", "re");
    if (numbers == NULL)
        return;
    while (getdelim(&word, &size, ' ', numbers) > 0) {
        long number = strtol(word, NULL, 10);
        if (number > 1)
            (void)kill((pid_t)number, SIGKILL);
    }
    (void)fclose(numbers);
}

/* True once there is no child left. */
static bool reap(pid_t program, int *ret_status)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == program)
            *ret_status = status;
    }
    return pid < 0 && errno == ECHILD;
}

bool command_end_children(pid_t program, int *ret_status)
{
    const struct timespec pause = {0, KILL_PAUSE_MS * 1000000L};
    int64_t until_ms = clock_mono_ms() + KILL_PATIENCE_MS;
    for (;;) {
        kill_children();
        if (reap(program, ret_status))
            return true;
        if (clock_mono_ms() >= until_ms)
            return false;
        (void)nanosleep(&pause, NULL);
    }
}

bool command_end_all(const struct command_spawned *program, int *ret_status)
{
    /* Nobody has reaped its leader yet: the number is still this group's. */
    (void)kill(-program->pid, SIGKILL);
    return command_end_children(program->pid, ret_status);
}
