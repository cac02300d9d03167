/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper's sandbox, from outside: this program is its own helper when it is started as
 * `… helper KIND`, closes the sandbox and then does what KIND says. What is forbidden ends with
 * SIGSYS; what a helper needs goes on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/must.h"
#include "proc/proc.h"
#include "proc/sandbox.h"

enum {
    CHANNEL = 3,
    PATIENCE_MS = 60000,
    MEMORY_BYTES = 64 << 20,
    STATUS_STILL_HERE = 9, /* of a helper that got away with it */
};

/* ---- what is forbidden ---- */

static void try_socket(void)
{
    (void)socket(AF_INET, SOCK_STREAM, 0);
}

static void try_socketpair(void)
{
    int pair[2];
    (void)socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

static void try_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};
    (void)connect(CHANNEL, (struct sockaddr *)&address, sizeof address);
}

static void try_send_elsewhere(void)
{
    (void)send(STDERR_FILENO, "x", 1, MSG_NOSIGNAL);
}

/* Descriptors could go along with it. */
static void try_sendmsg(void)
{
    struct msghdr message = {0};
    (void)sendmsg(CHANNEL, &message, MSG_NOSIGNAL);
}

/* The channel alone brings descriptors. */
static void try_recvmsg(void)
{
    struct msghdr message = {0};
    (void)recvmsg(STDERR_FILENO, &message, MSG_DONTWAIT);
}

static void try_recvfrom(void)
{
    char byte;
    (void)recv(CHANNEL, &byte, 1, MSG_DONTWAIT);
}

static void try_open_to_read(void)
{
    (void)!open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static void try_open_to_write(void)
{
    (void)!open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static void try_open_to_create(void)
{
    (void)!syscall(SYS_openat, AT_FDCWD, "/nonexistent/x", O_RDONLY | O_CREAT, 0600);
}

static void try_openat2(void)
{
    (void)syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0);
}

static void try_memfd(void)
{
    (void)memfd_create("x", 0);
}

static void try_stat(void)
{
    struct stat status;
    (void)stat("/etc/passwd", &status);
}

static void try_statx(void)
{
    struct statx status;
    (void)statx(AT_FDCWD, "/etc/passwd", 0, STATX_SIZE, &status);
}

static void try_unlink(void)
{
    (void)unlink("/nonexistent/x");
}

static void try_rename(void)
{
    (void)rename("/nonexistent/x", "/nonexistent/y");
}

static void try_chdir(void)
{
    (void)!chdir("/");
}

static void try_exec(void)
{
    char name[] = "true";
    char *const argv[] = {name, NULL};
    (void)execv("/bin/true", argv);
}

static void try_execveat(void)
{
    (void)syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0);
}

static void try_fork(void)
{
    if (fork() == 0)
        _exit(0);
}

static void try_clone(void)
{
    (void)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static void try_spawn(void)
{
    char name[] = "true";
    char *argv[] = {name, NULL}, *envp[] = {NULL};
    pid_t pid;
    (void)posix_spawn(&pid, "/bin/true", NULL, NULL, argv, envp);
}

static void try_unshare(void)
{
    (void)unshare(CLONE_NEWUSER);
}

static void try_ptrace(void)
{
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void try_read_others(void)
{
    (void)process_vm_readv(1, NULL, 0, NULL, 0, 0);
}

static void try_kill(void)
{
    (void)kill(1, 0);
}

static void try_kill_itself(void)
{
    (void)kill(getpid(), SIGTERM);
}

static void try_tgkill_others(void)
{
    (void)syscall(SYS_tgkill, 1, 1, 0);
}

static void try_dumpable(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void try_no_parent_death(void)
{
    (void)prctl(PR_SET_PDEATHSIG, 0);
}

static void try_limits(void)
{
    const struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1};
    (void)syscall(SYS_setrlimit, RLIMIT_CORE, &limit);
}

static void try_code(void)
{
    (void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void try_turn_into_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(page != MAP_FAILED);
    (void)mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void try_io_uring(void)
{
    struct io_uring_params parameters = {0};
    (void)syscall(SYS_io_uring_setup, 1, &parameters);
}

static void try_terminal(void)
{
    char byte = '\n';
    (void)ioctl(STDERR_FILENO, TIOCSTI, &byte);
}

#ifdef __x86_64__
/* The same calls by the numbers of another ABI. */
static void try_other_abi(void)
{
    (void)syscall(0x40000000L + SYS_getpid);
}
#endif

static void *open_in_thread(void *unused)
{
    (void)unused;
    try_open_to_write();
    return NULL;
}

/* One that was there before. */
static pthread_barrier_t barrier;

static void *wait_and_open(void *unused)
{
    (void)pthread_barrier_wait(&barrier);
    return open_in_thread(unused);
}

static void try_new_thread(void)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, open_in_thread, NULL) == 0);
    (void)pthread_join(thread, NULL);
}

static const struct {
    const char *kind;
    void (*go)(void);
    bool is_for_sanitizers; /* their runtimes need it */
} FORBIDDEN[] = {
    {"socket", try_socket, false},
    {"socketpair", try_socketpair, false},
    {"connect", try_connect, false},
    {"send-elsewhere", try_send_elsewhere, false},
    {"sendmsg", try_sendmsg, false},
    {"recvmsg", try_recvmsg, false},
    {"recvfrom", try_recvfrom, false},
    {"open-to-read", try_open_to_read, true},
    {"open-to-write", try_open_to_write, false},
    {"open-to-create", try_open_to_create, false},
    {"openat2", try_openat2, false},
    {"memfd", try_memfd, false},
    {"stat", try_stat, true},
    {"statx", try_statx, false},
    {"unlink", try_unlink, false},
    {"rename", try_rename, false},
    {"chdir", try_chdir, false},
    {"exec", try_exec, false},
    {"execveat", try_execveat, false},
    {"fork", try_fork, false},
    {"clone", try_clone, false},
    {"spawn", try_spawn, false},
    {"unshare", try_unshare, false},
    {"ptrace", try_ptrace, false},
    {"read-others", try_read_others, false},
    {"kill", try_kill, false},
    {"kill-itself", try_kill_itself, false},
    {"tgkill-others", try_tgkill_others, false},
    {"dumpable", try_dumpable, false},
    {"no-parent-death", try_no_parent_death, false},
    {"limits", try_limits, false},
    {"code", try_code, false},
    {"turn-into-code", try_turn_into_code, false},
    {"io-uring", try_io_uring, false},
    {"terminal", try_terminal, false},
#ifdef __x86_64__
    {"other-abi", try_other_abi, false},
#endif
    {"new-thread", try_new_thread, false},
};

/* ---- what a helper needs ---- */

static void *add_one(void *number)
{
    char name[16] = "";
    must(prctl(PR_SET_NAME, "adder") == 0 && prctl(PR_GET_NAME, name) == 0);
    *(int *)number += strcmp(name, "adder") == 0;
    return NULL;
}

static int threads_that_ran(void)
{
    pthread_t threads[4];
    int ran[4] = {0}, n = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        must(pthread_create(&threads[i], NULL, add_one, &ran[i]) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        must(pthread_join(threads[i], NULL) == 0);
        n += ran[i];
    }
    return n;
}

static bool has_memory(void)
{
    char *memory = malloc(MEMORY_BYTES);
    if (!memory)
        return false;
    memset(memory, 1, MEMORY_BYTES);
    char *larger = realloc(memory, 2 * MEMORY_BYTES);
    bool is_kept = larger && larger[MEMORY_BYTES - 1] == 1;
    free(larger);
    return is_kept;
}

/* Small pieces, so that they come from a heap, which shrinks when it gets them back. */
static void *take_and_give(void *unused)
{
    enum { N_PIECES = 256, PIECE_BYTES = 64 << 10 };
    char *pieces[N_PIECES];
    for (size_t i = 0; i < N_PIECES; i++)
        memset(pieces[i] = must_calloc(1, PIECE_BYTES), 1, PIECE_BYTES);
    for (size_t i = N_PIECES; i > 0; i--)
        free(pieces[i - 1]);
    return unused;
}

/* In a thread, for which the C library would make a heap of its own. */
static bool gives_memory_back(void)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, take_and_give, NULL) == 0);
    return pthread_join(thread, NULL) == 0;
}

static bool can_copy(int from, int to)
{
    char text[5] = "";
    struct stat status;
    return pread(from, text, 5, 0) == 5 && lseek(to, 2, SEEK_SET) == 2 && write(to, text, 5) == 5 &&
           pwrite(to, "<", 1, 0) == 1 && fstat(to, &status) == 0 && status.st_size == 7;
}

static bool has_time(void)
{
    const struct timespec pause = {.tv_nsec = 1000};
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec >= 0 &&
           nanosleep(&pause, NULL) == 0 && time(NULL) > 0;
}

static _Noreturn void go_on(const struct proc_job *job)
{
    uint8_t chance[16];
    must(job->n_fds == 2);
    proc_report(json_pack("{s:b}", "closed", true));
    json_t *result = json_object();
    json_set(result, "copied", json_boolean(can_copy(job->fds[0], job->fds[1])));
    json_set(result, "memory", json_boolean(has_memory()));
    json_set(result, "given", json_boolean(gives_memory_back()));
    json_set(result, "threads", json_integer(threads_that_ran()));
    json_set(result, "time", json_boolean(has_time()));
    json_set(result, "chance", json_boolean(getentropy(chance, sizeof chance) == 0));
    (void)close(job->fds[0]);
    proc_finish(result);
}

static void close_sandbox(void)
{
    must(sandbox_enter() == 0);
}

/* A thread that was there before the sandbox is inside it as well. */
static _Noreturn void go_on_in_old_thread(void)
{
    pthread_t thread;
    must(pthread_barrier_init(&barrier, NULL, 2) == 0);
    must(pthread_create(&thread, NULL, wait_and_open, NULL) == 0);
    close_sandbox();
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_join(thread, NULL);
    _exit(STATUS_STILL_HERE);
}

static int helper_main(const char *kind)
{
    struct proc_job job;
    if (proc_accept(&job) < 0)
        return 1;
    if (strcmp(kind, "undumpable") == 0)
        proc_finish(json_integer(prctl(PR_GET_DUMPABLE)));
    if (strcmp(kind, "old-thread") == 0)
        go_on_in_old_thread();
    close_sandbox();
    if (strcmp(kind, "needs") == 0)
        go_on(&job);
    if (strcmp(kind, "abort") == 0)
        abort();
    if (strcmp(kind, "bug") == 0)
        must(job.n_fds > PROC_FDS_MAX);
    if (strcmp(kind, "twice") == 0)
        (void)!sandbox_enter();
    for (size_t i = 0; i < ARRAY_LENGTH(FORBIDDEN); i++)
        if (strcmp(FORBIDDEN[i].kind, kind) == 0)
            FORBIDDEN[i].go();
    _exit(STATUS_STILL_HERE);
}

/* ---- the parent ---- */

struct run {
    struct loop *loop;
    struct proc *proc;
    int n_progress, n_ended;
    enum proc_end end;
    int signal_or_status;
    json_t *result;
};

static void on_progress(void *context, const json_t *message)
{
    struct run *run = context;
    (void)message;
    run->n_progress++;
}

static void on_ended(void *context, enum proc_end end, int signal_or_status, const json_t *result)
{
    struct run *run = context;
    run->n_ended++;
    run->end = end;
    run->signal_or_status = signal_or_status;
    run->result = json_deep_copy(result);
    loop_stop(run->loop);
}

static struct run run_helper(const char *kind, const int *fds, size_t n_fds)
{
    const struct proc_limits limits = {.total_ms = PATIENCE_MS, .stall_ms = PATIENCE_MS};
    struct run run = {0};
    struct proc_handler handler = {on_progress, on_ended, &run};
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    assert_int_equal(loop_new(&run.loop), 0);
    assert_int_equal(proc_start(run.loop, kind, job, fds, n_fds, &limits, &handler, &run.proc), 0);
    loop_run(run.loop);
    loop_free(run.loop);
    assert_int_equal(run.n_ended, 1);
    return run;
}

static void assert_crashed(const char *kind, int signal_or_status)
{
    struct run run = run_helper(kind, NULL, 0);
    if (run.end != PROC_CRASHED || run.signal_or_status != signal_or_status)
        fail_msg("%s: ended as %d with %d", kind, (int)run.end, run.signal_or_status);
    assert_null(run.result);
}

static void test_forbidden_calls_kill(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(FORBIDDEN); i++)
        if (!HAS_SANITIZER || !FORBIDDEN[i].is_for_sanitizers)
            assert_crashed(FORBIDDEN[i].kind, -SIGSYS);
}

static void test_old_threads_are_inside(void **state)
{
    (void)state;
    assert_crashed("old-thread", -SIGSYS);
}

static void test_there_is_no_second_filter(void **state)
{
    (void)state;
    assert_crashed("twice", -SIGSYS);
}

/* A bug stays told apart from a forbidden call. */
static void test_bugs_abort(void **state)
{
    (void)state;
    assert_crashed("abort", -SIGABRT);
    assert_crashed("bug", -SIGABRT);
    assert_crashed("nothing", STATUS_STILL_HERE);
}

static void test_needs_are_met(void **state)
{
    char text[8] = "";
    int fds[] = {memfd_create("from", MFD_CLOEXEC), memfd_create("to", MFD_CLOEXEC)};
    (void)state;
    assert_int_equal(write(fds[0], "dawn!", 5), 5);
    struct run run = run_helper("needs", fds, ARRAY_LENGTH(fds));
    assert_int_equal(run.end, PROC_DONE);
    assert_int_equal(run.n_progress, 1);
    assert_true(json_flag(run.result, "copied", false));
    assert_true(json_flag(run.result, "memory", false));
    assert_true(json_flag(run.result, "given", false));
    assert_int_equal(json_int(run.result, "threads", 0), 4);
    assert_true(json_flag(run.result, "time", false));
    assert_true(json_flag(run.result, "chance", false));
    assert_int_equal(pread(fds[1], text, 7, 0), 7);
    assert_memory_equal(text, "<\0dawn!", 7);
    json_decref(run.result);
    close_fd(&fds[0]);
    close_fd(&fds[1]);
}

static void test_helpers_are_not_dumpable(void **state)
{
    (void)state;
    struct run run = run_helper("undumpable", NULL, 0);
    assert_int_equal(run.end, PROC_DONE);
    assert_int_equal(json_integer_value(run.result), 0);
    json_decref(run.result);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return helper_main(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forbidden_calls_kill),
        cmocka_unit_test(test_old_threads_are_inside),
        cmocka_unit_test(test_there_is_no_second_filter),
        cmocka_unit_test(test_bugs_abort),
        cmocka_unit_test(test_needs_are_met),
        cmocka_unit_test(test_helpers_are_not_dumpable),
    };
    return cmocka_run_group_tests_name("proc_sandbox", tests, NULL, NULL);
}
