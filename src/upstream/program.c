/* SPDX-License-Identifier: Apache-2.0
 *
 * The main of an adapter's helper: takes one program, closes the sandbox, compiles it, and answers calls until its
 * parent is gone. All that is foreign is parsed in here: the program, the upstream's answers, what the client sent. A
 * helper is trusted with nothing: its memory is bounded, its parent kills it when a call takes too long, and reads what
 * it says with care. Single-threaded.
 *
 * One jq program is made of three texts, each on lines of its own:
 *
 *     prelude       what every adapter may use; that it stands first makes `import` a syntax error
 *     the adapter   its lines are those that messages name
 *     dispatcher    chooses the function; that it begins with `def` makes an unfinished adapter a syntax error */
#include <errno.h>
#include <fcntl.h>
#include <jq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"
#include "prelude.inc.h" /* upstream_prelude */
#include "proc/proc.h"
#include "proc/sandbox.h"
#include "upstream/adapter.h"
#include "upstream/condense.h"
#include "upstream/program.h"

static const char DISPATCHER[] =
    "\ndef _call: .function as $function | .input |"
    " if $function == \"about\" then about elif $function == \"submit\" then submit"
    " elif $function == \"submitted\" then submitted elif $function == \"poll\" then poll"
    " elif $function == \"polled\" then polled elif $function == \"cancel\" then cancel"
    " elif $function == \"cancelled\" then cancelled"
    " else error(\"there is no such function\") end; _call";

enum {
    EXIT_OPEN = 4, /* the sandbox does not close */
};

/* Writes a message as one line that nothing obeys, cut where it is too long. */
static void say(char ret_fault[PROGRAM_FAULT_SIZE], const char *text)
{
    size_t n = 0, length = strlen(text);
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t width = codec_utf8_step(text + at, length - at, &code);
        if (n + width + 1 > PROGRAM_FAULT_SIZE)
            break;
        bool is_plain = code >= 0x20 && code != 0x7f && !(code == 0xfffd && width == 1);
        if (is_plain)
            memcpy(ret_fault + n, text + at, width);
        else
            ret_fault[n] = ' ';
        n += is_plain ? width : 1;
        at += width;
    }
    ret_fault[n] = '\0';
}

/* ---- compiling ---- */

struct compiler {
    const char *file;
    int prelude_lines, own_lines;
    char fault[PROGRAM_FAULT_SIZE]; /* of the first error; empty: none */
};

static int count_lines(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* «jq: error: TEXT (Unix shell quoting issues?) at <top-level>, line N:\nSOURCE» as «FILE:N: TEXT». */
static void explain(struct compiler *compiler, const char *message)
{
    static const char PREFIX[] = "jq: error: ", PLACE[] = " at <top-level>, line ",
                      SHELL[] = " (Unix shell quoting issues?)", MISSING[] = "/0 is not defined";
    if (strncmp(message, PREFIX, strlen(PREFIX)) == 0)
        message += strlen(PREFIX);
    const char *place = strstr(message, PLACE);
    size_t length = place ? (size_t)(place - message) : strcspn(message, "\n");
    long line = place ? strtol(place + strlen(PLACE), NULL, 10) - compiler->prelude_lines : 0;
    CLEANUP(free_pointer) char *text = must_strndup(message, length);
    char *shell = strstr(text, SHELL), *missing = strstr(text, MISSING);
    char fault[2 * PROGRAM_FAULT_SIZE];
    if (shell)
        *shell = '\0';
    if (missing && line > compiler->own_lines) {
        *missing = '\0';
        (void)snprintf(fault, sizeof fault, "%s: it does not define \"%s\"", compiler->file, text);
    } else if (line > compiler->own_lines) {
        (void)snprintf(fault, sizeof fault,
                       "%s:%d: the text ends within a definition, or behind something that is none",
                       compiler->file, compiler->own_lines);
    } else if (line < 1) {
        (void)snprintf(fault, sizeof fault, "%s: %s", compiler->file, text);
    } else {
        (void)snprintf(fault, sizeof fault, "%s:%ld: %s", compiler->file, line, text);
    }
    say(compiler->fault, fault);
}

static void on_compile_error(void *context, jv message)
{
    struct compiler *compiler = context;
    if (compiler->fault[0] == '\0' && jv_get_kind(message) == JV_KIND_STRING)
        explain(compiler, jv_string_value(message));
    jv_free(message);
}

static void ignore_message(void *context, jv message)
{
    (void)context;
    jv_free(message);
}

static void leave_without_memory(void *unused)
{
    (void)unused;
    _exit(PROGRAM_EXIT_MEMORY);
}

static jq_state *compile(struct compiler *compiler, const char *text)
{
    jq_state *jq = jq_init();
    must(jq);
    size_t length = strlen(upstream_prelude) + strlen(text) + strlen(DISPATCHER);
    CLEANUP(buf_fini) struct buf program;
    buf_init(&program, length);
    buf_puts(&program, upstream_prelude);
    buf_puts(&program, text);
    buf_puts(&program, DISPATCHER);
    compiler->prelude_lines = count_lines(upstream_prelude);
    compiler->own_lines = count_lines(text) + (length > 0 && text[strlen(text) - 1] != '\n');
    jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
    jq_set_nomem_handler(jq, leave_without_memory, NULL);
    jq_set_error_cb(jq, on_compile_error, compiler);
    bool is_good = jq_compile(jq, buf_text(&program)) != 0;
    if (!is_good && compiler->fault[0] == '\0')
        (void)snprintf(compiler->fault, sizeof compiler->fault, "%.100s: it does not compile",
                       compiler->file);
    jq_set_error_cb(jq, ignore_message, NULL);
    jq_set_debug_cb(jq, ignore_message, NULL);
    return is_good ? jq : NULL;
}

/* ---- a call ---- */

struct call {
    jq_state *jq;
    const json_t *order;
    const char *text; /* the input, and the body if it is within; NULL: it cannot be read */
    int output, body; /* body -1: within, or none */
    int64_t text_bytes, input_bytes, body_bytes;
    struct condense_blobs blobs;
    jv result_text; /* invalid: none yet */
    char fault[PROGRAM_FAULT_SIZE];
};

static bool fail(struct call *call, const char *fault)
{
    say(call->fault, fault);
    return false;
}

/* Maps a whole file that somebody else wrote; NULL when it is not that large. */
static const char *map(int fd, int64_t bytes)
{
    struct stat status;
    if (fd < 0 || bytes <= 0 || fstat(fd, &status) < 0 || status.st_size < bytes)
        return NULL;
    const char *text = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    return text != MAP_FAILED ? text : NULL;
}

static void unmap(const char *text, int64_t bytes)
{
    void *start;
    memcpy(&start, &text, sizeof start); /* munmap knows no const */
    (void)munmap(start, (size_t)bytes);
}

static jv parse(const struct buf *json)
{
    return jv_parse_sized(buf_text(json), (int)json->length);
}

static bool read_input(struct call *call, jv *ret_input)
{
    struct condense_blobs none = {.are_cut = false, .file = -1};
    CLEANUP(buf_fini) struct buf json;
    buf_init(&json, ADAPTER_DOCUMENT_MAX);
    if (!call->text)
        return fail(call, "its input cannot be read");
    enum condense_end end = condense(call->text, (size_t)call->input_bytes, &none, &json);
    if (end != CONDENSE_DONE)
        return fail(call, end == CONDENSE_TOO_DEEP ? "its input is nested too deeply"
                                                   : "its input is too large");
    *ret_input = parse(&json);
    return jv_is_valid(*ret_input) || fail(call, "its input is no JSON");
}

/* Sets the members `body` and `text`. */
static bool add_body(struct call *call, const char *bytes, size_t length, jv *input)
{
    CLEANUP(buf_fini) struct buf body, text;
    buf_init(&body, ADAPTER_DOCUMENT_MAX);
    buf_init(&text, (size_t)CODEC_PIECE_SIZE * CONDENSE_TEXT_BYTES);
    enum condense_end end = condense(bytes, length, &call->blobs, &body);
    switch (end) {
    case CONDENSE_DONE:
        break;
    case CONDENSE_NOT_JSON:
        call->blobs.n = 0;
        condense_text(bytes, length, &text);
        break;
    case CONDENSE_TOO_DEEP:
        return fail(call, "the upstream's answer is nested deeper than 64 levels");
    case CONDENSE_TOO_LARGE:
        return fail(call, "the upstream's answer is larger than 8 MiB, even without its base64");
    case CONDENSE_UNWRITABLE:
        return fail(call, "the file for what is cut out of the answer takes no more");
    }
    jv value = end == CONDENSE_DONE ? parse(&body) : jv_null();
    if (!jv_is_valid(value)) {
        jv_free(value);
        return fail(call, "the upstream's answer is JSON that jq does not take");
    }
    *input = jv_object_set(*input, jv_string("body"), value);
    *input = jv_object_set(*input, jv_string("text"),
                           end == CONDENSE_DONE ? jv_string("") : parse(&text));
    return true;
}

static bool read_body(struct call *call, jv *input)
{
    if (call->body_bytes < 0)
        return true;
    if (jv_get_kind(*input) != JV_KIND_OBJECT)
        return fail(call, "its input is no object");
    if (call->body < 0)
        return add_body(call, call->text + call->input_bytes, (size_t)call->body_bytes, input);
    const char *bytes = map(call->body, call->body_bytes);
    if (!bytes)
        return fail(call, "the upstream's answer cannot be read");
    bool is_good = add_body(call, bytes, (size_t)call->body_bytes, input);
    unmap(bytes, call->body_bytes);
    return is_good;
}

static bool fail_with(struct call *call, jv problem)
{
    if (!jv_invalid_has_msg(jv_copy(problem))) {
        jv_free(problem);
        return fail(call, "it gives no result");
    }
    jv message = jv_invalid_get_msg(problem);
    if (jv_get_kind(message) == JV_KIND_STRING) {
        (void)fail(call, jv_string_value(message));
        jv_free(message);
        return false;
    }
    char text[PROGRAM_FAULT_SIZE];
    return fail(call, jv_dump_string_trunc(message, text, sizeof text));
}

/* Runs the function; the program must give one result. */
static bool run(struct call *call, jv input, jv *ret_result)
{
    jv order = jv_object_set(jv_object(), jv_string("function"),
                             jv_string(json_text(call->order, PROGRAM_FUNCTION)));
    jq_start(call->jq, jv_object_set(order, jv_string("input"), input), 0);
    jv result = jq_next(call->jq);
    if (!jv_is_valid(result))
        return fail_with(call, result);
    jv more = jq_next(call->jq);
    bool is_one = !jv_is_valid(more) && !jv_invalid_has_msg(jv_copy(more));
    bool is_error = !is_one && !jv_is_valid(more);
    if (!is_error)
        jv_free(more);
    if (is_one) {
        *ret_result = result;
        return true;
    }
    jv_free(result);
    return is_error ? fail_with(call, more) : fail(call, "it gives more than one result");
}

/* Borrows the value. */
static bool is_shallow(jv value, int most)
{
    bool is_good = most >= 0;
    if (is_good && jv_get_kind(value) == JV_KIND_ARRAY) {
        int length = jv_array_length(jv_copy(value));
        for (int i = 0; i < length && is_good; i++) {
            jv element = jv_array_get(jv_copy(value), i);
            is_good = is_shallow(element, most - 1);
            jv_free(element);
        }
    }
    if (is_good && jv_get_kind(value) == JV_KIND_OBJECT) {
        for (int at = jv_object_iter(value); jv_object_iter_valid(value, at) && is_good;
             at = jv_object_iter_next(value, at)) {
            jv member = jv_object_iter_value(value, at);
            is_good = is_shallow(member, most - 1);
            jv_free(member);
        }
    }
    return is_good;
}

static bool write_all(int fd, const char *text, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = pwrite(fd, text + done, length - done, (off_t)done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return false;
    }
    return true;
}

static size_t length_of(jv text)
{
    return (size_t)jv_string_length_bytes(jv_copy(text));
}

/* As the one element of an array: the parent's reader takes no lone scalars. What is small is left for the report. Steals
 * `result`. */
static bool keep_result(struct call *call, jv result)
{
    if (!is_shallow(result, JSON_DEPTH_LIMIT - 1)) {
        jv_free(result);
        return fail(call, "its result is nested too deeply");
    }
    call->result_text = jv_dump_string(jv_array_append(jv_array(), result), 0);
    const size_t length = length_of(call->result_text);
    if (length > ADAPTER_DOCUMENT_MAX)
        return fail(call, "its result is too large");
    return length <= PROGRAM_SMALL_MAX ||
           write_all(call->output, jv_string_value(call->result_text), length) ||
           fail(call, "its result cannot be written");
}

static bool answer(struct call *call)
{
    jv input = jv_invalid(), result;
    bool is_good = read_input(call, &input) && read_body(call, &input);
    if (!is_good) {
        jv_free(input);
        return false;
    }
    return run(call, input, &result) && keep_result(call, result);
}

static void report(const struct call *call, bool is_good)
{
    struct proc_attachment attachment = {NULL, 0};
    json_t *message = json_object(), *blobs = json_array();
    must(message && blobs);
    json_set(message, PROGRAM_CALL, json_integer(json_int(call->order, PROGRAM_CALL, 0)));
    if (!is_good) {
        json_set_text(message, PROGRAM_FAULT, call->fault);
        json_decref(blobs);
    } else {
        for (size_t i = 0; i < call->blobs.n; i++)
            (void)json_array_append_new(blobs,
                                        json_pack("[I,I]", (json_int_t)call->blobs.list[i].offset,
                                                  (json_int_t)call->blobs.list[i].bytes));
        json_set(message, PROGRAM_BLOBS, blobs);
        const size_t length = length_of(call->result_text);
        if (length > PROGRAM_SMALL_MAX)
            json_set(message, PROGRAM_BYTES, json_integer((json_int_t)length));
        else
            attachment = (struct proc_attachment){jv_string_value(call->result_text), length};
    }
    proc_report_with(message, &attachment);
}

/* What the message asks for, and the descriptors beside it, as program.h says. */
static struct call call_of(jq_state *jq, const struct proc_job *job, int output)
{
    size_t n = 0;
    int64_t body_bytes = json_int(job->job, PROGRAM_BODY, -1);
    bool is_within = json_flag(job->job, PROGRAM_WITHIN, false);
    bool is_cut = json_flag(job->job, PROGRAM_CUT, false);
    bool is_small = job->attachment.length > 0, has_file = body_bytes > 0 && !is_within;
    must(json_text(job->job, PROGRAM_FUNCTION) &&
         job->n_fds == (size_t)!is_small + has_file + is_cut);
    struct call call = {
        .jq = jq,
        .order = job->job,
        .text = job->attachment.bytes,
        .input_bytes = json_int(job->job, PROGRAM_BYTES, 0),
        .body_bytes = body_bytes,
        .output = output,
        .body = -1,
        .blobs = {.are_cut = true, .file = -1},
        .result_text = jv_invalid(),
    };
    call.text_bytes = call.input_bytes + (is_within ? body_bytes : 0);
    must(!is_small || job->attachment.length == (size_t)call.text_bytes);
    if (!is_small)
        call.text = map(job->fds[n++], call.text_bytes);
    if (has_file)
        call.body = job->fds[n++];
    if (is_cut)
        call.blobs.file = job->fds[n++];
    return call;
}

static void serve(jq_state *jq, const struct proc_job *job, int output)
{
    struct call call = call_of(jq, job, output);
    report(&call, answer(&call));
    jv_free(call.result_text);
    if (call.text && call.text != job->attachment.bytes)
        unmap(call.text, call.text_bytes);
}

/* ---- the process ---- */

static char *read_program(const struct proc_job *job)
{
    int64_t bytes = json_int(job->job, PROGRAM_BYTES, 0);
    must(job->n_fds == 2 && bytes > 0 && bytes <= ADAPTER_PROGRAM_MAX);
    char *text = must_calloc(1, (size_t)bytes + 1);
    must(pread(job->fds[0], text, (size_t)bytes, 0) == bytes);
    (void)close(job->fds[0]);
    return text;
}

/* Memory for jq, beyond what the program and its libraries have taken by now. */
static int limit_memory(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t length = read(fd, text, sizeof text - 1);
    (void)close(fd);
    long pages = length > 0 ? strtol(text, NULL, 10) : 0;
    rlim_t bytes = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + PROGRAM_MEMORY_BYTES;
    struct rlimit limit = {bytes, bytes};
    /* Sanitizers reserve more address space than any limit we could set. */
    return HAS_SANITIZER || setrlimit(RLIMIT_AS, &limit) == 0 ? 0 : -errno;
}

/* What libraries would look for later: an environment, the time zone, a home with a ~/.jq. */
static void settle(void)
{
    (void)clearenv();
    (void)setenv("TZ", "UTC0", 1);
    tzset();
}

int adapter_helper_main(void)
{
    struct proc_job job;
    if (proc_accept(&job) < 0)
        return EXIT_FAILURE;
    struct compiler compiler = {.file = json_text(job.job, PROGRAM_FILE)};
    must(compiler.file);
    CLEANUP(free_pointer) char *text = read_program(&job);
    settle();
    if (limit_memory() < 0 || sandbox_enter() < 0)
        _exit(EXIT_OPEN);
    jq_state *jq = compile(&compiler, text);
    if (!jq)
        proc_finish(json_pack("{s:s}", PROGRAM_FAULT, compiler.fault));
    proc_report(json_pack("{s:b}", PROGRAM_READY, 1));
    const int output = job.fds[1];
    while (proc_next(&job) == 0) {
        serve(jq, &job, output);
        for (size_t i = 0; i < job.n_fds; i++)
            (void)close(job.fds[i]);
        json_decref(job.job);
    }
    _exit(EXIT_SUCCESS);
}
