/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper that runs one adapter's program, and the calls that wait for it:
 *
 *     asleep --first call--> compiling --ready--> idle <--> running one call
 *        ^                       |                  |          |
 *        +---- crashed, killed: too slow, no memory +----------+
 *
 * One that is told to rest falls asleep from idle. A call that was running when its helper went is failed and never
 * repeated; those that wait get a new helper. A program that does not compile fails all its calls from then on. */
#include "upstream/adapter_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory_file.h"
#include "base/must.h"
#include "upstream/program.h"

enum {
    FILE_BYTES_MAX = 256 * 1024 * 1024, /* of a blob file; no larger answer can be mapped */
    RESULT_MEMBERS_MAX = 100000,
    CALL_FDS_MAX = 3,
    CALL_WALL_MS = 6 * ADAPTER_CALL_MS, /* of a call that waits for the processor */
    LOOK_AGAIN_MS = 50,                 /* at least */
};

/* ---- its calls ---- */

static struct adapter_call *take_current(struct runner *runner)
{
    struct adapter_call *call = TAKE(runner->current);
    loop_disarm(runner->host->loop, &runner->timer);
    return call;
}

struct adapter_call *runner_take_waiting(struct runner *runner)
{
    struct adapter_call *call = TAILQ_FIRST(&runner->waiting);
    TAILQ_REMOVE(&runner->waiting, call, link);
    runner->n_waiting--;
    return call;
}

void runner_fail_waiting(struct runner *runner, const char *fault, bool is_passing)
{
    while (!TAILQ_EMPTY(&runner->waiting)) {
        struct adapter_call *call = runner_take_waiting(runner);
        (void)snprintf(call->fault, sizeof call->fault, "%s", fault);
        call->is_passing = is_passing;
        adapter_call_finish(call);
    }
}

/* ---- what a helper says: nothing of it is trusted ---- */

static bool parse_result(struct adapter_call *call, const char *text, size_t length)
{
    char error[JSON_ERROR_SIZE];
    long members_left = RESULT_MEMBERS_MAX;
    CLEANUP(json_unref_pointer)
    json_t *list = json_parse_within(text, length, &members_left, error);
    if (json_array_size(list) != 1)
        return false;
    call->result = json_incref(json_array_get(list, 0));
    return true;
}

static bool read_result(struct runner *runner, const json_t *message)
{
    const struct proc_attachment attachment = proc_attachment(runner->proc);
    long long bytes = json_int(message, PROGRAM_BYTES, -1);
    if (attachment.length > 0)
        return parse_result(runner->current, attachment.bytes, attachment.length);
    if (bytes <= 0 || bytes > ADAPTER_DOCUMENT_MAX)
        return false;
    CLEANUP(free_pointer) char *text = malloc((size_t)bytes);
    /* Emptied at once: the file would hold its memory until the next result. */
    if (!text || pread(runner->output, text, (size_t)bytes, 0) != bytes ||
        ftruncate(runner->output, 0) < 0)
        return false;
    return parse_result(runner->current, text, (size_t)bytes);
}

static bool read_blobs(struct adapter_call *call, const json_t *message)
{
    const json_t *list = json_object_get(message, PROGRAM_BLOBS);
    size_t n = json_array_size(list);
    struct stat status;
    if (call->input.blobs < 0)
        return true;
    if (n > ADAPTER_BLOBS_MAX || fstat(call->input.blobs, &status) < 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(list, i);
        int64_t offset = json_integer_value(json_array_get(pair, 0));
        int64_t bytes = json_integer_value(json_array_get(pair, 1));
        if (offset < 0 || bytes <= 0 || bytes > status.st_size || offset > status.st_size - bytes)
            return false;
        call->blobs[i] = (struct adapter_blob){offset, bytes};
    }
    call->n_blobs = n;
    return true;
}

static void take_answer(struct runner *runner, const json_t *message)
{
    const char *fault = json_text(message, PROGRAM_FAULT);
    struct adapter_call *call = runner->current;
    bool is_good = !fault && read_result(runner, message) && read_blobs(call, message);
    (void)take_current(runner);
    if (is_good)
        adapter_call_finish(call);
    else
        adapter_call_fail(
            call, fault ? fault : "its result cannot be read: too rich, or with a NUL in a text");
}

static void on_progress(void *context, const json_t *message)
{
    struct runner *runner = context;
    if (!runner->is_ready && json_flag(message, PROGRAM_READY, false)) {
        runner->is_ready = true;
        loop_disarm(runner->host->loop, &runner->timer);
    } else if (runner->current && json_int(message, PROGRAM_CALL, -1) == runner->current->id) {
        take_answer(runner, message);
    }
    runner_dispatch(runner);
}

/* ---- the end of a helper ---- */

/* «adapter "fal" …»: for all that wait, and for another time not the last word. */
static void PRINTF_LIKE(2, 3) fail_all(struct runner *runner, const char *format, ...)
{
    char fault[ADAPTER_ERROR_SIZE], why[ADAPTER_ERROR_SIZE - 64];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(why, sizeof why, format, values);
    va_end(values);
    (void)snprintf(fault, sizeof fault, "adapter \"%s\" %s", adapter_name(runner->adapter), why);
    runner_fail_waiting(runner, fault, true);
}

static void fall_asleep(struct runner *runner)
{
    runner->proc = NULL;
    close_fd(&runner->output);
    runner->output = -1;
    runner->is_ready = false;
    loop_disarm(runner->host->loop, &runner->timer);
}

static void explain_crash(struct adapter_call *call, int signal_or_status)
{
    char why[100];
    if (signal_or_status == PROGRAM_EXIT_MEMORY)
        (void)snprintf(why, sizeof why, "it needs more than %d MiB of memory",
                       PROGRAM_MEMORY_BYTES / (1024 * 1024));
    else
        (void)snprintf(why, sizeof why, "its helper crashed (%s %d)",
                       signal_or_status < 0 ? "signal" : "status", abs(signal_or_status));
    call->is_passing =
        signal_or_status == -SIGKILL; /* by the kernel, or a person: not its own doing */
    adapter_call_fail(call, why);
}

static void on_ended(void *context, enum proc_end end, int signal_or_status, const json_t *result)
{
    struct runner *runner = context;
    const char *fault = end == PROC_DONE ? json_text(result, PROGRAM_FAULT) : NULL;
    bool was_ready = runner->is_ready;
    fall_asleep(runner);
    if (runner->current) {
        explain_crash(take_current(runner), signal_or_status);
    } else if (!was_ready && fault) {
        (void)snprintf(runner->fault, sizeof runner->fault,
                       "adapter \"%s\" does not compile: %.300s", adapter_name(runner->adapter),
                       fault);
        runner_fail_waiting(runner, runner->fault, false);
    } else if (!was_ready) {
        fail_all(runner, "cannot be compiled: its helper crashed (%s %d)",
                 signal_or_status < 0 ? "signal" : "status", abs(signal_or_status));
    }
    runner_dispatch(runner);
}

/* Processor time that the helper has used. */
static int64_t cpu_ms(const struct runner *runner)
{
    struct timespec used;
    if (clock_gettime(runner->clock, &used) < 0)
        return INT64_MAX / 2;
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* A machine under load is not the program's fault: a call may go on while it has had too little of the processor. */
static bool may_go_on(struct runner *runner)
{
    int64_t left_ms = ADAPTER_CALL_MS - (cpu_ms(runner) - runner->cpu_before_ms);
    int64_t wall_left_ms = CALL_WALL_MS - (clock_mono_ms() - runner->began_ms);
    if (!runner->current || left_ms <= 0 || wall_left_ms <= 0)
        return false;
    if (left_ms < LOOK_AGAIN_MS)
        left_ms = LOOK_AGAIN_MS;
    loop_arm(runner->host->loop, &runner->timer, left_ms < wall_left_ms ? left_ms : wall_left_ms);
    return true;
}

static void on_timer(struct loop_timer *timer)
{
    struct runner *runner = CONTAINER_OF(timer, struct runner, timer);
    char why[64];
    if (may_go_on(runner))
        return;
    proc_kill(runner->proc);
    fall_asleep(runner);
    if (runner->current) {
        (void)snprintf(why, sizeof why, "it takes longer than %d seconds", ADAPTER_CALL_MS / 1000);
        adapter_call_fail(take_current(runner), why);
    } else {
        fail_all(runner, "is not compiled within %d seconds", ADAPTER_COMPILE_MS / 1000);
    }
    runner_dispatch(runner);
}

/* ---- starting ---- */

static int start(struct runner *runner)
{
    /* Its memory is limited by itself, once it knows what its libraries have taken. */
    const struct proc_limits limits = {.file_bytes = FILE_BYTES_MAX};
    const struct proc_handler handler = {on_progress, on_ended, runner};
    const struct adapter *adapter = runner->adapter;
    const char *text = adapter_text(adapter), *file = adapter_file(adapter);
    char name[100];
    (void)snprintf(name, sizeof name, "%s.jq", adapter_name(adapter));
    CLEANUP(close_fd) int program = memory_file_new("filmgate-adapter", text, strlen(text));
    CLEANUP(close_fd) int output = memory_file_new("filmgate-adapter", NULL, 0);
    const int fds[] = {program, output};
    if (program < 0 || output < 0)
        return program < 0 ? program : output;
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    must(job);
    json_t *label = json_string(file ? file : name);
    json_set(job, PROGRAM_FILE, label ? label : json_string(name)); /* a path may be no UTF-8 */
    json_set(job, PROGRAM_BYTES, json_integer((json_int_t)strlen(text)));
    int error = proc_start(runner->host->loop, PROGRAM_KIND, job, fds, ARRAY_LENGTH(fds), &limits,
                           &handler, &runner->proc);
    if (error < 0)
        return error;
    runner->output = output;
    output = -1;
    if (clock_getcpuclockid(proc_pid(runner->proc), &runner->clock) != 0)
        runner->clock = CLOCK_MONOTONIC; /* an upper bound */
    loop_arm(runner->host->loop, &runner->timer, ADAPTER_COMPILE_MS);
    return 0;
}

/* ---- running ---- */

static int send_call(struct runner *runner, struct adapter_call *call)
{
    int fds[CALL_FDS_MAX];
    size_t n = 0;
    struct proc_attachment attachment = {call->text, call->text_length};
    CLEANUP(close_fd) int text = -1;
    if (call->text_length > PROGRAM_SMALL_MAX) {
        text = memory_file_new("filmgate-adapter", call->text, call->text_length);
        if (text < 0)
            return text;
        fds[n++] = text;
        attachment.length = 0;
    }
    CLEANUP(json_unref_pointer) json_t *message = json_object();
    must(message);
    json_set(message, PROGRAM_CALL, json_integer(call->id));
    json_set_text(message, PROGRAM_FUNCTION, call->input.function);
    json_set(message, PROGRAM_BYTES, json_integer((json_int_t)call->input_length));
    json_set(message, PROGRAM_BODY, json_integer(call->input.body_bytes));
    json_set(message, PROGRAM_WITHIN, json_boolean(call->has_small_body));
    json_set(message, PROGRAM_CUT, json_boolean(call->input.blobs >= 0));
    if (call->input.body_bytes > 0 && !call->has_small_body)
        fds[n++] = call->input.body;
    if (call->input.blobs >= 0)
        fds[n++] = call->input.blobs;
    return proc_send(runner->proc, message, &attachment, fds, n);
}

static void run(struct runner *runner, struct adapter_call *call)
{
    int64_t cpu_before_ms = cpu_ms(runner);
    int error = send_call(runner, call);
    call->state = CALL_RUNNING;
    runner->current = call;
    if (error == 0) {
        adapter_call_drop_text(call);
        runner->began_ms = clock_mono_ms();
        runner->cpu_before_ms = cpu_before_ms;
        loop_arm(runner->host->loop, &runner->timer, ADAPTER_CALL_MS);
    } else {
        call->is_passing = true;
        adapter_call_fail(take_current(runner), strerror(-error));
    }
}

static void rest(struct runner *runner)
{
    runner->is_to_rest = false;
    proc_kill(runner->proc);
    fall_asleep(runner);
}

void runner_dispatch(struct runner *runner)
{
    while (!runner->current && !TAILQ_EMPTY(&runner->waiting)) {
        if (runner->proc && !runner->is_ready)
            return;
        if (runner->proc) {
            run(runner, runner_take_waiting(runner));
            continue;
        }
        int error = start(runner);
        if (error < 0)
            fail_all(runner, "has no helper: it cannot be started: %s", strerror(-error));
    }
    if (runner->is_to_rest && !runner->current && (runner->is_ready || !runner->proc))
        rest(runner);
}

/* ---- beginning and end ---- */

struct runner *runner_new(struct adapter_host *host, const struct adapter *adapter)
{
    struct runner *runner = must_calloc(1, sizeof *runner);
    *runner = (struct runner){.host = host, .adapter = adapter, .output = -1};
    runner->timer.fire = on_timer;
    TAILQ_INIT(&runner->waiting);
    return runner;
}

void runner_free(struct runner *runner)
{
    proc_kill(runner->proc);
    fall_asleep(runner);
    if (runner->current)
        adapter_call_free(runner->current);
    while (!TAILQ_EMPTY(&runner->waiting))
        adapter_call_free(runner_take_waiting(runner));
    free(runner);
}
