/* SPDX-License-Identifier: Apache-2.0
 *
 * Helper processes, from both sides: this program is its own helper when it is started as `… helper
 * KIND`. Every case ends with as many open descriptors as it began with and no child left. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/must.h"
#include "proc/proc.h"
#include "proc/sandbox.h"

enum {
    CHANNEL = 3,
    N_REPORTS = 1000,
    FILE_BYTES = 100000,
    PATIENCE_MS = 30000, /* for what should come soon */
    SHORT_MS = 200,      /* for what should not come */
    TURN_MS = 5,
    N_SENT = 300, /* more than descriptors may be open in a helper */
};
static const int64_t MEMORY_BYTES = INT64_C(2048) << 20;

/* ---- the helper ---- */

static size_t count_fds(void)
{
    size_t n = 0;
    DIR *directory = opendir("/proc/self/fd");
    must(directory);
    while (readdir(directory))
        n++;
    (void)closedir(directory);
    return n - 3; /* ".", "..", its own */
}

static _Noreturn void be_echo(struct proc_job *job)
{
    proc_finish(json_incref(job->job));
}

static _Noreturn void be_reporter(struct proc_job *job)
{
    (void)job;
    for (int i = 0; i < N_REPORTS; i++)
        proc_report(json_pack("{s:i}", "i", i));
    proc_finish(json_pack("{s:i}", "sent", N_REPORTS));
}

static _Noreturn void be_chatter(struct proc_job *job)
{
    (void)job;
    for (;;) {
        proc_report(json_object());
        (void)poll(NULL, 0, 1);
    }
}

static _Noreturn void be_hanging(struct proc_job *job)
{
    (void)job;
    for (;;)
        (void)pause();
}

static _Noreturn void be_greeting(struct proc_job *job)
{
    proc_report(json_object());
    be_hanging(job);
}

static _Noreturn void be_aborting(struct proc_job *job)
{
    (void)job;
    proc_report(json_object());
    abort();
}

static _Noreturn void be_failing(struct proc_job *job)
{
    (void)job;
    _exit(7);
}

static _Noreturn void be_silent(struct proc_job *job)
{
    (void)job;
    _exit(0);
}

static _Noreturn void be_nonsense(struct proc_job *job)
{
    (void)job;
    must(send(CHANNEL, "{\"progress\"", 11, 0) == 11);
    for (;;)
        (void)pause();
}

static _Noreturn void be_shouting(struct proc_job *job)
{
    (void)job;
    size_t length = PROC_MESSAGE_MAX + 1;
    char *text = must_calloc(1, length);
    memset(text, ' ', length);
    memcpy(text, "{\"result\":1}", 12);
    must(send(CHANNEL, text, length, 0) == (ssize_t)length);
    for (;;)
        (void)pause();
}

static _Noreturn void be_long_winded(struct proc_job *job)
{
    (void)job;
    char *text = must_calloc(1, PROC_MESSAGE_MAX + 1);
    memset(text, 'a', PROC_MESSAGE_MAX);
    proc_finish(json_string(text));
}

/* Writes each descriptor's place into it. */
static _Noreturn void be_writer(struct proc_job *job)
{
    for (size_t i = 0; i < job->n_fds; i++) {
        uint8_t place = (uint8_t)i;
        must(write(job->fds[i], &place, 1) == 1);
    }
    proc_finish(json_pack("{s:i}", "n", (int)job->n_fds));
}

/* Writes until it is stopped. */
static _Noreturn void be_big_file(struct proc_job *job)
{
    static const char block[4096];
    ssize_t n;
    do
        n = write(job->fds[0], block, sizeof block);
    while (n > 0);
    proc_finish(json_pack("{s:i}", "errno", errno));
}

static _Noreturn void be_memory_hog(struct proc_job *job)
{
    (void)job;
    void *memory = mmap(NULL, (size_t)MEMORY_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    proc_finish(json_pack("{s:b}", "refused", memory == MAP_FAILED));
}

/* What it can see of us. */
static _Noreturn void be_witness(struct proc_job *job)
{
    json_t *result = json_object();
    json_t *variables = json_array();
    for (char **entry = environ; *entry; entry++)
        must(json_array_append_new(variables, json_string(*entry)) == 0);
    struct sigaction pipe_action;
    must(sigaction(SIGPIPE, NULL, &pipe_action) == 0);
    sigset_t blocked;
    must(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0);
    json_set(result, "environment", variables);
    json_set(result, "n_fds", json_integer((json_int_t)count_fds()));
    json_set(result, "n_job_fds", json_integer((json_int_t)job->n_fds));
    json_set(result, "default_pipe", json_boolean(pipe_action.sa_handler == SIG_DFL));
    json_set(result, "blocked", json_boolean(sigismember(&blocked, SIGTERM)));
    json_set(result, "leads_group", json_boolean(getpgrp() == getpid()));
    proc_finish(result);
}

/* Writes the number of each further message into the file that came with it, within the sandbox; says what came along. */
static _Noreturn void be_server(struct proc_job *job)
{
    must(sandbox_enter() == 0);
    json_decref(job->job);
    int error;
    while ((error = proc_next(job)) == 0) {
        uint8_t number = (uint8_t)json_int(job->job, "i", 255);
        must(job->n_fds == 1 && pwrite(job->fds[0], &number, 1, 0) == 1);
        proc_report_with(job->job, &job->attachment);
        (void)close(job->fds[0]);
    }
    _exit(error == -EPIPE ? 0 : 9);
}

/* A result that fits its message by itself, and an attachment that no longer does. */
static _Noreturn void be_overladen(struct proc_job *job)
{
    (void)job;
    const char *bytes = must_calloc(1, PROC_MESSAGE_MAX);
    const struct proc_attachment attachment = {bytes, PROC_MESSAGE_MAX - 5};
    proc_report_with(json_object(), &attachment);
    _exit(0);
}

/* Outlives the end of its channel by as long as it needs to write that down. */
static _Noreturn void be_tidy(struct proc_job *job)
{
    struct pollfd watched = {.fd = proc_orphan(), .events = POLLIN};
    must(watched.fd >= 0 && proc_try_report(json_object()) == 0);
    must(poll(&watched, 1, PATIENCE_MS) == 1);
    must(proc_try_report(json_object()) == -EPIPE);
    must(write(job->fds[0], "tidy", 4) == 4);
    _exit(0);
}

/* Reports until its parent, which does not read, has no more room. */
static _Noreturn void be_flooding(struct proc_job *job)
{
    int fault;
    do
        fault = proc_try_report(json_object());
    while (fault == 0);
    must(fault == -EAGAIN && write(job->fds[0], "full", 4) == 4);
    be_hanging(job);
}

static const struct {
    const char *kind;
    void (*be)(struct proc_job *job);
} KINDS[] = {
    {"echo", be_echo},         {"reporter", be_reporter},     {"chatter", be_chatter},
    {"hanging", be_hanging},   {"greeting", be_greeting},     {"aborting", be_aborting},
    {"failing", be_failing},   {"silent", be_silent},         {"nonsense", be_nonsense},
    {"shouting", be_shouting}, {"writer", be_writer},         {"long-winded", be_long_winded},
    {"big-file", be_big_file}, {"memory-hog", be_memory_hog}, {"witness", be_witness},
    {"server", be_server},     {"overladen", be_overladen},   {"tidy", be_tidy},
    {"flooding", be_flooding},
};

static int helper_main(const char *kind)
{
    struct proc_job job;
    if (proc_accept(&job) < 0)
        return 1;
    for (size_t i = 0; i < ARRAY_LENGTH(KINDS); i++)
        if (strcmp(KINDS[i].kind, kind) == 0)
            KINDS[i].be(&job);
    json_decref(job.job);
    return 2;
}

/* ---- the parent ---- */

struct run {
    struct loop *loop;
    struct loop_timer turn;
    struct proc *proc;
    size_t n_fds_before;
    int n_progress;
    bool is_in_order;
    int signal_when_heard; /* sent to the helper at its first message; 0: none */
    bool kill_when_heard, stop_when_heard;
    int fd_to_send; /* one more message, with this, for each that was heard, up to N_SENT; 0: none */
    int n_ended;
    enum proc_end end;
    int signal_or_status;
    json_t *result;
};

/* Each message's attachment is longer than the one before: none, one NUL, a NUL and a lone byte of UTF-8 … */
static const char ATTACHED[] = {0, (char)0xc3, '{', '"', 0, 0, '}', (char)0xff};

static struct proc_attachment attachment_of(int message)
{
    return (struct proc_attachment){ATTACHED, (size_t)message % (sizeof ATTACHED + 1)};
}

static void send_next(struct run *run)
{
    CLEANUP(json_unref_pointer) json_t *message = json_pack("{s:i}", "i", run->n_progress);
    const struct proc_attachment attachment = attachment_of(run->n_progress);
    assert_int_equal(proc_send(run->proc, message, &attachment, &run->fd_to_send, 1), 0);
}

static void check_attachment(const struct run *run)
{
    const struct proc_attachment sent = attachment_of(run->n_progress);
    const struct proc_attachment heard = proc_attachment(run->proc);
    assert_int_equal(heard.length, sent.length);
    if (sent.length > 0)
        assert_memory_equal(heard.bytes, sent.bytes, sent.length);
}

static void on_progress(void *context, const json_t *message)
{
    struct run *run = context;
    assert_int_equal(run->n_ended, 0);
    run->is_in_order = run->is_in_order && json_int(message, "i", 0) == run->n_progress;
    if (run->fd_to_send)
        check_attachment(run);
    run->n_progress++;
    if (run->signal_when_heard)
        assert_int_equal(kill(proc_pid(run->proc), run->signal_when_heard), 0);
    run->signal_when_heard = 0;
    if (run->stop_when_heard)
        loop_stop(run->loop);
    if (run->fd_to_send && run->n_progress < N_SENT)
        send_next(run);
    else if (run->fd_to_send)
        loop_stop(run->loop);
    if (run->kill_when_heard) {
        run->proc = proc_kill(run->proc);
        loop_stop(run->loop);
    }
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

static struct proc_limits patient_limits(void)
{
    return (struct proc_limits){.total_ms = PATIENCE_MS, .stall_ms = PATIENCE_MS};
}

static void run_init(struct run *run)
{
    *run = (struct run){.n_fds_before = count_fds(), .is_in_order = true};
    assert_int_equal(loop_new(&run->loop), 0);
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static void on_turn(struct loop_timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, turn);
    if (has_children())
        loop_arm(run->loop, &run->turn, TURN_MS);
    else
        loop_stop(run->loop);
}

/* Lets the loop reap whoever is left, and looks for leaks. */
static void run_fini(struct run *run)
{
    run->turn.fire = on_turn;
    loop_arm(run->loop, &run->turn, 0);
    loop_run(run->loop);
    json_decref(run->result);
    loop_free(run->loop);
    assert_int_equal(count_fds(), run->n_fds_before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void start(struct run *run, const char *kind, const json_t *job, const int *fds, size_t n,
                  const struct proc_limits *limits)
{
    struct proc_handler handler = {on_progress, on_ended, run};
    assert_int_equal(proc_start(run->loop, kind, job, fds, n, limits, &handler, &run->proc), 0);
    assert_int_equal(run->n_ended, 0);
}

/* Starts a helper with an empty job and waits for its end. */
static void run_simple(struct run *run, const char *kind, const struct proc_limits *limits)
{
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    start(run, kind, job, NULL, 0, limits);
    loop_run(run->loop);
}

static void test_echo(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    run_init(&run);
    CLEANUP(json_unref_pointer)
    json_t *job =
        json_pack("{s:s, s:[i, n, {s:f}]}", "text", "h\xc3\xa9\nllo", "list", 1, "x", 0.5);
    start(&run, "echo", job, NULL, 0, &limits);
    loop_run(run.loop);
    assert_int_equal(run.n_ended, 1);
    assert_int_equal(run.end, PROC_DONE);
    assert_true(json_equal(run.result, job));
    assert_int_equal(run.n_progress, 0);
    run_fini(&run);
}

static void test_progress_all_in_order(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    run_init(&run);
    run_simple(&run, "reporter", &limits);
    assert_int_equal(run.end, PROC_DONE);
    assert_int_equal(run.n_progress, N_REPORTS);
    assert_true(run.is_in_order);
    assert_int_equal(json_int(run.result, "sent", 0), N_REPORTS);
    run_fini(&run);
}

static void test_bad_ends(void **state)
{
    static const struct {
        const char *kind;
        int signal_or_status;
    } CASES[] = {
        {"aborting", -SIGABRT}, {"failing", 7},      {"silent", 0},      {"nonsense", -SIGKILL},
        {"shouting", -SIGKILL}, {"no such kind", 2}, {"long-winded", 3}, {"overladen", 3},
    };
    struct proc_limits limits = patient_limits();
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct run run;
        run_init(&run);
        run_simple(&run, CASES[i].kind, &limits);
        assert_int_equal(run.n_ended, 1);
        assert_int_equal(run.end, PROC_CRASHED);
        assert_int_equal(run.signal_or_status, CASES[i].signal_or_status);
        assert_null(run.result);
        run_fini(&run);
    }
}

static void test_stall(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    limits.stall_ms = SHORT_MS;
    run_init(&run);
    run_simple(&run, "hanging", &limits);
    assert_int_equal(run.n_ended, 1);
    assert_int_equal(run.end, PROC_STALLED);
    run_fini(&run);
}

/* The stopped one cannot even die by itself. */
static void test_stopped_is_stalled(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    limits.stall_ms = 4 * SHORT_MS;
    run_init(&run);
    run.signal_when_heard = SIGSTOP;
    run_simple(&run, "chatter", &limits);
    assert_int_equal(run.end, PROC_STALLED);
    assert_true(run.n_progress >= 1);
    run_fini(&run);
}

static void test_total(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    /* It is never silent for as long as stall_ms, but lives longer than that. */
    limits.stall_ms = 10 * SHORT_MS;
    limits.total_ms = 13 * SHORT_MS;
    run_init(&run);
    run_simple(&run, "chatter", &limits);
    assert_int_equal(run.n_ended, 1);
    assert_int_equal(run.end, PROC_TIMED_OUT);
    run_fini(&run);
}

static void test_kill(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    run_init(&run);
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    start(&run, "hanging", job, NULL, 0, &limits);
    assert_null(proc_kill(run.proc));
    assert_null(proc_kill(NULL));
    run_fini(&run);
    assert_int_equal(run.n_ended, 0);
    assert_int_equal(run.n_progress, 0);
}

static void test_kill_within_progress(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    run_init(&run);
    run.kill_when_heard = true;
    run_simple(&run, "reporter", &limits);
    run_fini(&run);
    assert_int_equal(run.n_progress, 1);
    assert_int_equal(run.n_ended, 0);
}

static void test_many_descriptors(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    int fds[PROC_FDS_MAX];
    (void)state;
    run_init(&run);
    for (size_t i = 0; i < PROC_FDS_MAX; i++) {
        fds[i] = memfd_create("test", MFD_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    start(&run, "writer", job, fds, PROC_FDS_MAX, &limits);
    loop_run(run.loop);
    assert_int_equal(run.end, PROC_DONE);
    assert_int_equal(json_int(run.result, "n", 0), PROC_FDS_MAX);
    for (size_t i = 0; i < PROC_FDS_MAX; i++) {
        uint8_t place = 255;
        assert_int_equal(pread(fds[i], &place, 1, 0), 1);
        assert_int_equal(place, i);
        close_fd(&fds[i]);
    }
    run_fini(&run);
}

static void test_file_limit(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    struct stat status;
    (void)state;
    limits.file_bytes = FILE_BYTES;
    run_init(&run);
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = fileno(file);
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    start(&run, "big-file", job, &fd, 1, &limits);
    loop_run(run.loop);
    assert_int_equal(run.end, PROC_DONE);
    assert_int_equal(json_int(run.result, "errno", 0), EFBIG);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, FILE_BYTES);
    (void)fclose(file);
    run_fini(&run);
}

static void on_pause(struct loop_timer *timer)
{
    loop_stop(CONTAINER_OF(timer, struct run, turn)->loop);
}

/* Without clocks it may idle; each message is answered, and what went along comes with it. */
static void test_serving(void **state)
{
    struct run run;
    struct proc_limits none = {0};
    uint8_t last = 0;
    (void)state;
    run_init(&run);
    int fd = memfd_create("test", MFD_CLOEXEC);
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    start(&run, "server", job, NULL, 0, &none);
    run.turn.fire = on_pause;
    loop_arm(run.loop, &run.turn, SHORT_MS);
    loop_run(run.loop);
    assert_int_equal(run.n_ended, 0);
    run.fd_to_send = fd;
    send_next(&run);
    loop_run(run.loop);
    assert_int_equal(run.n_progress, N_SENT);
    assert_true(run.is_in_order);
    assert_int_equal(pread(fd, &last, 1, 0), 1);
    assert_int_equal(last, (N_SENT - 1) % 256);
    (void)proc_kill(run.proc);
    close_fd(&fd);
    run_fini(&run);
}

/* What a helper has written, once it has. */
static void await_word(int fd, const char *word)
{
    char text[8] = "";
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (pread(fd, text, sizeof text - 1, 0) <= 0 && clock_mono_ms() < until_ms)
        (void)poll(NULL, 0, TURN_MS);
    assert_string_equal(text, word);
}

static void test_let_go(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    run_init(&run);
    int fd = memfd_create("word", MFD_CLOEXEC);
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    run.stop_when_heard = true;
    start(&run, "tidy", job, &fd, 1, &limits);
    loop_run(run.loop);
    assert_int_equal(run.n_progress, 1);
    assert_null(proc_let_go(run.proc));
    await_word(fd, "tidy");
    assert_int_equal(run.n_ended, 0);
    (void)close(fd);
    run_fini(&run);
    assert_null(proc_let_go(NULL));
}

static void test_report_does_not_wait(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    run_init(&run);
    int fd = memfd_create("word", MFD_CLOEXEC);
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    start(&run, "flooding", job, &fd, 1, &limits);
    await_word(fd, "full");
    (void)proc_kill(run.proc);
    (void)close(fd);
    run_fini(&run);
}

/* A helper that reads nothing. Its job, a new reference. */
static json_t *start_hanging(struct run *run)
{
    const struct proc_limits none = {0};
    json_t *job = json_object();
    run_init(run);
    start(run, "hanging", job, NULL, 0, &none);
    return job;
}

/* A message and its attachment have one bound: {"job":{}} and a NUL are 11 bytes of it. */
static void test_attachments_have_a_bound(void **state)
{
    struct run run;
    (void)state;
    CLEANUP(json_unref_pointer) json_t *job = start_hanging(&run);
    CLEANUP(free_pointer) char *bytes = must_calloc(1, PROC_MESSAGE_MAX + 1);
    struct proc_attachment attachment = {bytes, PROC_MESSAGE_MAX - 10};
    assert_int_equal(proc_send(run.proc, job, &attachment, NULL, 0), -EMSGSIZE);
    attachment.length = PROC_MESSAGE_MAX + 1;
    assert_int_equal(proc_send(run.proc, job, &attachment, NULL, 0), -EMSGSIZE);
    attachment.length = PROC_MESSAGE_MAX - 11;
    assert_int_equal(proc_send(run.proc, job, &attachment, NULL, 0), 0);
    (void)proc_kill(run.proc);
    run_fini(&run);
}

/* A helper that does not read keeps nobody waiting. */
static void test_sending_never_waits(void **state)
{
    struct run run;
    (void)state;
    CLEANUP(json_unref_pointer) json_t *job = start_hanging(&run);
    CLEANUP(free_pointer) char *text = must_calloc(1, PROC_MESSAGE_MAX);
    memset(text, 'a', PROC_MESSAGE_MAX / 2);
    json_set_text(job, "text", text);
    int error = 0;
    for (int i = 0; i < N_SENT && error == 0; i++)
        error = proc_send(run.proc, job, NULL, NULL, 0);
    assert_int_equal(error, -EAGAIN);
    memset(text, 'a', PROC_MESSAGE_MAX - 1);
    json_set_text(job, "text", text);
    assert_int_equal(proc_send(run.proc, job, NULL, NULL, 0), -EMSGSIZE);
    (void)proc_kill(run.proc);
    run_fini(&run);
}

/* Sanitizers need all the address space that there is: there a helper has no such limit. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void test_memory_limit(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    for (int i = 0; i < 2; i++) {
        run_init(&run);
        limits.memory_bytes = i == 0 ? MEMORY_BYTES / 2 : 0;
        run_simple(&run, "memory-hog", &limits);
        assert_int_equal(run.end, PROC_DONE);
        assert_int_equal(json_flag(run.result, "refused", i != 0), i == 0);
        run_fini(&run);
    }
}
#endif

static void test_helper_sees_nothing_of_us(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    (void)state;
    run_init(&run);
    assert_int_equal(setenv("FILMGATE_TEST_SECRET", "x", 1), 0);
    sigset_t term, before;
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, &before);
    (void)signal(SIGPIPE, SIG_IGN);
    int careless = open("/dev/null", O_RDONLY); /* no O_CLOEXEC: must not leak all the same */
    assert_true(careless >= 0);
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    start(&run, "witness", job, &careless, 1, &limits);
    loop_run(run.loop);
    assert_int_equal(run.end, PROC_DONE);
    /* 0, 1, 2, the channel and the one that goes with the job */
    assert_int_equal(json_int(run.result, "n_fds", 0), 5);
    assert_int_equal(json_int(run.result, "n_job_fds", 0), 1);
    assert_true(json_flag(run.result, "default_pipe", false));
    assert_false(json_flag(run.result, "blocked", true));
    assert_true(json_flag(run.result, "leads_group", false));
    const json_t *environment = json_object_get(run.result, "environment");
    assert_true(json_array_size(environment) >= 4);
    for (size_t i = 0; i < json_array_size(environment); i++)
        assert_null(strstr(json_string_value(json_array_get(environment, i)), "SECRET"));
    close_fd(&careless);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)unsetenv("FILMGATE_TEST_SECRET");
    run_fini(&run);
}

static void test_refused_starts(void **state)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    struct proc_handler handler = {on_progress, on_ended, &run};
    struct proc *proc = NULL;
    const int no_fd = -1;
    (void)state;
    run_init(&run);
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    assert_int_equal(proc_start(run.loop, "echo", job, &no_fd, 1, &limits, &handler, &proc),
                     -EBADF);
    CLEANUP(free_pointer) char *text = must_calloc(1, PROC_MESSAGE_MAX + 1);
    memset(text, 'a', PROC_MESSAGE_MAX);
    json_set_text(job, "text", text);
    assert_int_equal(proc_start(run.loop, "echo", job, NULL, 0, &limits, &handler, &proc),
                     -EMSGSIZE);
    assert_null(proc);
    run_fini(&run);
    assert_int_equal(run.n_ended, 0);
}

/* A parent of its own starts a helper, hears of it, tells us its number and dies. */
static _Noreturn void be_dying_parent(int tell_fd)
{
    struct run run;
    struct proc_limits limits = patient_limits();
    run_init(&run);
    run.stop_when_heard = true;
    run_simple(&run, "greeting", &limits);
    pid_t pid = proc_pid(run.proc);
    must(write(tell_fd, &pid, sizeof pid) == sizeof pid);
    _exit(0);
}

/* Waits for a child, but not for ever: one that outstays is killed, and -1. */
static int wait_patiently(pid_t pid)
{
    int status;
    for (int i = 0; i < PATIENCE_MS / TURN_MS; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        (void)poll(NULL, 0, TURN_MS);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return -1;
}

static void test_helper_dies_with_parent(void **state)
{
    int tell[2], status;
    pid_t helper;
    (void)state;
    /* Orphans come to us, so that we can see how they ended. */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0)
        be_dying_parent(tell[1]);
    assert_int_equal(read(tell[0], &helper, sizeof helper), sizeof helper);
    assert_int_equal(waitpid(parent, &status, 0), parent);
    status = wait_patiently(helper);
    assert_int_not_equal(status, -1);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close_fd(&tell[0]);
    close_fd(&tell[1]);
}

static void test_accept_without_a_channel(void **state)
{
    struct proc_job job = {0};
    (void)state;
    int kept = dup(CHANNEL);
    (void)close(CHANNEL);
    assert_int_equal(proc_accept(&job), -EBADF);
    assert_null(job.job);
    if (kept >= 0) {
        assert_int_equal(dup2(kept, CHANNEL), CHANNEL);
        close_fd(&kept);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return helper_main(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_progress_all_in_order),
        cmocka_unit_test(test_bad_ends),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_stopped_is_stalled),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_kill_within_progress),
        cmocka_unit_test(test_many_descriptors),
        cmocka_unit_test(test_file_limit),
        cmocka_unit_test(test_serving),
        cmocka_unit_test(test_attachments_have_a_bound),
        cmocka_unit_test(test_sending_never_waits),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(test_memory_limit),
#endif
        cmocka_unit_test(test_let_go),
        cmocka_unit_test(test_report_does_not_wait),
        cmocka_unit_test(test_helper_sees_nothing_of_us),
        cmocka_unit_test(test_refused_starts),
        cmocka_unit_test(test_helper_dies_with_parent),
        cmocka_unit_test(test_accept_without_a_channel),
    };
    return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
