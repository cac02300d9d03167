/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs at work, good and hostile, through real helpers: this program is its own helper when it is started as
 * `… helper adapter`. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/must.h"
#include "proc/proc.h"
#include "upstream/adapter.h"
#include "upstream/program.h"

enum { TURN_MS = 20, PATIENCE_MS = 60000, MANY = 50 };

/* The functions that every program needs, of little use. */
#define REST "def submitted: {}; def poll: {}; def polled: {}; def about: {}; "

/* ---- a folder with programs ---- */

struct folder {
    char path[64];
    struct adapter_set *set;
};

static void write_file(const char *folder, const char *name, const char *text, size_t length)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void remove_folder(const char *path)
{
    char command[100];
    (void)snprintf(command, sizeof command, "rm -r '%s'", path);
    assert_int_equal(system(command), 0);
}

static void make_folder(char path[64])
{
    (void)snprintf(path, 64, "/tmp/filmgate-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

/* One program, as the adapter "it". */
static void folder_init(struct folder *folder, const char *program)
{
    char error[ADAPTER_ERROR_SIZE] = "";
    make_folder(folder->path);
    write_file(folder->path, "it.jq", program, strlen(program));
    folder->set = adapter_set_new(folder->path, error);
    assert_string_equal(error, "");
    assert_non_null(folder->set);
}

static void folder_fini(struct folder *folder)
{
    adapter_set_free(folder->set);
    remove_folder(folder->path);
}

/* ---- calls ---- */

struct scene {
    struct folder folder;
    const struct adapter *adapter;
    struct loop *loop;
    struct adapter_host *host;
};

struct answer {
    struct scene *scene;
    int n; /* times that it came */
    json_t *result;
    char fault[ADAPTER_ERROR_SIZE];
    struct adapter_blob blobs[ADAPTER_BLOBS_MAX];
    size_t n_blobs;
    bool is_passing;
    struct adapter_call *stop; /* another call, stopped within the callback */
    bool frees_host;
};

static void on_done(void *context, const struct adapter_outcome *outcome)
{
    struct answer *answer = context;
    answer->n++;
    answer->result = json_deep_copy(outcome->result);
    assert_true((outcome->result == NULL) == (outcome->fault != NULL));
    (void)snprintf(answer->fault, sizeof answer->fault, "%s", outcome->fault ? outcome->fault : "");
    answer->is_passing = outcome->is_passing;
    memcpy(answer->blobs, outcome->blobs, sizeof answer->blobs);
    answer->n_blobs = outcome->n_blobs;
    answer->stop = adapter_call_stop(answer->stop);
    if (answer->frees_host)
        answer->scene->host = adapter_host_free(answer->scene->host);
}

static void answer_fini(struct answer *answer)
{
    json_decref(answer->result);
    *answer = (struct answer){.scene = answer->scene};
}

static void scene_init(struct scene *scene, const char *program)
{
    folder_init(&scene->folder, program);
    scene->adapter = adapter_find(scene->folder.set, "it");
    assert_int_equal(loop_new(&scene->loop), 0);
    assert_int_equal(adapter_host_new(scene->loop, &scene->host), 0);
}

static void await_no_watches(struct scene *scene)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (loop_watches(scene->loop) > 0 && clock_mono_ms() < until_ms)
        loop_turn(scene->loop, TURN_MS);
    assert_int_equal(loop_watches(scene->loop), 0);
}

static void scene_fini(struct scene *scene)
{
    scene->host = adapter_host_free(scene->host);
    await_no_watches(scene);
    loop_free(scene->loop);
    folder_fini(&scene->folder);
}

static struct adapter_call *begin_with(struct scene *scene, const char *function,
                                       const json_t *input, int body, int64_t body_bytes, int blobs,
                                       struct answer *answer)
{
    struct adapter_call *call = NULL;
    const struct adapter_input order = {scene->adapter, function, input,   NULL,  body,
                                        body_bytes,     blobs,    on_done, answer};
    answer->scene = scene;
    assert_int_equal(adapter_call(scene->host, &order, &call), 0);
    assert_int_equal(answer->n, 0);
    return call;
}

static struct adapter_call *begin(struct scene *scene, const char *function, const char *input,
                                  struct answer *answer)
{
    CLEANUP(json_unref_pointer) json_t *json = input ? json_loads(input, 0, NULL) : NULL;
    return begin_with(scene, function, json, -1, -1, -1, answer);
}

static void await(struct scene *scene, const struct answer *answer)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (answer->n == 0 && clock_mono_ms() < until_ms)
        loop_turn(scene->loop, TURN_MS);
    assert_int_equal(answer->n, 1);
}

/* submit with {"x": x} gives this. */
static void assert_gives(struct scene *scene, const char *x, const char *expected)
{
    char input[200];
    struct answer answer = {0};
    (void)snprintf(input, sizeof input, "{\"x\":%s}", x);
    (void)begin(scene, "submit", input, &answer);
    await(scene, &answer);
    assert_string_equal(answer.fault, "");
    CLEANUP(json_unref_pointer) json_t *json = json_loads(expected, JSON_DECODE_ANY, NULL);
    if (!json_equal(answer.result, json))
        fail_msg("%s gives %s", x, json_dumps(answer.result, JSON_ENCODE_ANY));
    answer_fini(&answer);
}

/* submit with {"x": x} fails with exactly this sentence. */
static void assert_fails(struct scene *scene, const char *x, const char *fault)
{
    char input[200];
    struct answer answer = {0};
    (void)snprintf(input, sizeof input, "{\"x\":%s}", x);
    (void)begin(scene, "submit", input, &answer);
    await(scene, &answer);
    assert_string_equal(answer.fault, fault);
    answer_fini(&answer);
}

static void test_calls(void **state)
{
    struct scene scene;
    (void)state;
    scene_init(&scene, REST "def submit: .x | if type == \"number\" then . + 1 else . end;");
    for (int i = 0; i < MANY; i++)
        assert_gives(&scene, "1", "2");
    assert_gives(&scene, "null", "null");
    assert_gives(&scene, "[{\"a\":0.5}]", "[{\"a\":0.5}]");
    assert_gives(&scene, "\"\\u00e9\"", "\"\xc3\xa9\"");
    assert_gives(&scene, "9007199254740993", "\"9007199254740993\"");
    scene_fini(&scene);
}

/* In the order in which they came, each once. */
static void test_many_at_once(void **state)
{
    struct scene scene;
    struct answer answers[MANY] = {0};
    (void)state;
    scene_init(&scene, REST "def submit: .x;");
    for (int i = 0; i < MANY; i++) {
        char input[20];
        (void)snprintf(input, sizeof input, "{\"x\":%d}", i);
        (void)begin(&scene, "submit", input, &answers[i]);
    }
    for (int i = 0; i < MANY; i++) {
        await(&scene, &answers[i]);
        assert_int_equal(json_integer_value(answers[i].result), i);
        answer_fini(&answers[i]);
    }
    scene_fini(&scene);
}

static void test_prelude(void **state)
{
    static const struct {
        const char *program, *expected;
    } CASES[] = {
        {"[200,400,401,402,403,404,408,425,429,500] | map(kind_of_status)",
         "[\"unknown\",\"refused\",\"auth\",\"quota\",\"auth\",\"refused\",\"unknown\",\"unknown\","
         "\"busy\",\"unknown\"]"},
        {"{a: null, b: {c: null, d: [null, {e: null}]}} | drop_nulls", "{\"b\":{\"d\":[null,{}]}}"},
        {"image(2; [\"url\"])", "{\"$image\":2,\"as\":[\"url\"]}"},
        {"{task: {images: [{role: \"last\"}, {role: \"reference\"}, {role: \"input\"}, {role: "
         "\"reference\"}]}}"
         " | [first_image, last_image, reference_images]",
         "[2,0,[1,3]]"},
        {"{task: {images: []}} | [first_image, last_image, reference_images]", "[null,null,[]]"},
        {"[{error: {message: \"a\"}}, {error: \"b\"}, {message: \"c\"}, {detail: \"d\"}, {}, null, "
         "[], {error: 7}] | map(text_of)",
         "[\"a\",\"b\",\"c\",\"d\",\"\",\"\",\"\",\"\"]"},
        {"{error: {code: 7}, list: [{url: \"u\"}, \"\"]}"
         " | [at(\"error.code\"), at(\"list.0.url\"), at(\"error.code.x\"), at(\"list.9\"), "
         "at(\"none\")]",
         "[7,\"u\",null,null,null]"},
        {"{a: \"\", b: 7, c: {d: \"e\"}, f: [\"g\"]} | texts(\"f.0\", \"a\", \"b\", \"c.d\", "
         "\"z\")",
         "[\"g\",\"e\"]"},
        {"[(\"image/webp\", \"text/plain\", null) | extension_of]", "[\".webp\",\"\",\"\"]"},
        {"refuse(\"no\")",
         "{\"error\":{\"code\":\"not_supported\",\"message\":\"no\",\"kind\":\"refused\"}}"},
        {"[(null | cancel), (null | cancelled)]", "[null,{\"state\":\"refused\"}]"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct scene scene;
        char program[600];
        (void)snprintf(program, sizeof program, REST "def submit: %s;", CASES[i].program);
        scene_init(&scene, program);
        assert_gives(&scene, "0", CASES[i].expected);
        scene_fini(&scene);
    }
}

static void test_faults_leave_the_helper_at_work(void **state)
{
    static const struct {
        const char *program, *fault;
    } CASES[] = {
        {"error(\"no\")", "no"},
        {"error({a: 1})", "{\"a\":1}"},
        {"error(\"a\\nb\\u001b\")", "a b "},
        {"1 | .a", "Cannot index number with string \"a\""},
        {"empty", "it gives no result"},
        {"1, 2", "it gives more than one result"},
        {"1, error(\"late\")", "late"},
        {"reduce range(32) as $i (0; [.])", "its result is nested too deeply"},
        {"[range(100001)]", "its result cannot be read: too rich, or with a NUL in a text"},
        {"[0] | implode", "its result cannot be read: too rich, or with a NUL in a text"},
        {"reduce range(24) as $i (\"x\"; . + .)", "its result is too large"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct scene scene;
        char program[300], fault[300];
        (void)snprintf(program, sizeof program, REST "def submit: if .x == 1 then %s else .x end;",
                       CASES[i].program);
        (void)snprintf(fault, sizeof fault, "adapter \"it\", submit: %s", CASES[i].fault);
        scene_init(&scene, program);
        assert_fails(&scene, "1", fault);
        assert_gives(&scene, "2", "2");
        assert_fails(&scene, "1", fault);
        assert_gives(&scene, "3", "3");
        scene_fini(&scene);
    }
}

/* The call that broke the helper is failed, once; the next ones, which waited, get a new helper. */
static void test_hostile_programs(void **state)
{
    static const struct {
        const char *program, *fault;
        bool needs_memory_limit;
    } CASES[] = {
        {"def f: f; f", "it takes longer than 5 seconds", false},
        {"[range(1e9)]", "it needs more than 256 MiB of memory", true},
        {"def f: 1 + f; f", "it needs more than 256 MiB of memory", true},
        {"reduce range(40) as $i (\"x\"; . + .)", "it needs more than 256 MiB of memory", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct scene scene;
        struct answer bad = {0}, next = {0}, last = {0};
        char program[300], fault[300];
        if (HAS_SANITIZER && CASES[i].needs_memory_limit)
            continue;
        (void)snprintf(program, sizeof program, REST "def submit: if .x == 1 then %s else .x end;",
                       CASES[i].program);
        (void)snprintf(fault, sizeof fault, "adapter \"it\", submit: %s", CASES[i].fault);
        scene_init(&scene, program);
        assert_gives(&scene, "0", "0");
        int64_t began_ms = clock_mono_ms();
        (void)begin(&scene, "submit", "{\"x\":1}", &bad);
        (void)begin(&scene, "submit", "{\"x\":2}", &next);
        (void)begin(&scene, "submit", "{\"x\":3}", &last);
        await(&scene, &bad);
        /* For its use of the processor, not for the clock's six times as much. */
        assert_true(clock_mono_ms() - began_ms < 5 * ADAPTER_CALL_MS);
        await(&scene, &next);
        await(&scene, &last);
        assert_string_equal(bad.fault, fault);
        assert_int_equal(json_integer_value(next.result), 2);
        assert_int_equal(json_integer_value(last.result), 3);
        answer_fini(&bad);
        answer_fini(&next);
        answer_fini(&last);
        scene_fini(&scene);
    }
}

static pid_t only_child(void)
{
    char text[32] = "";
    CLEANUP(close_fd) int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    return (pid_t)strtol(text, NULL, 10);
}

/* What one call took is there for the next: a helper that kept it would end with a call that may have been paid for. */
static void test_a_helper_does_not_grow(void **state)
{
    enum { CALLS = 400, TEXT_BYTES = 1024 * 1024 }; /* more in all than a helper may have */
    struct scene scene;
    (void)state;
    scene_init(&scene, REST "def submit: 1; def submitted: 2;");
    CLEANUP(json_unref_pointer) json_t *input = json_object();
    CLEANUP(free_pointer) char *text = must_calloc(1, TEXT_BYTES + 1);
    memset(text, ' ', TEXT_BYTES); /* no base64 */
    json_set_text(input, "x", text);
    int body = memfd_create("body", MFD_CLOEXEC);
    assert_int_equal(pwrite(body, "{\"a\": 1}", 8, 0), 8);
    for (int i = 0; i < CALLS; i++) {
        struct answer answer = {0};
        (void)begin_with(&scene, i % 2 ? "submit" : "submitted", input, i % 2 ? -1 : body,
                         i % 2 ? -1 : 8, -1, &answer);
        await(&scene, &answer);
        assert_string_equal(answer.fault, "");
        answer_fini(&answer);
    }
    close(body);
    scene_fini(&scene);
}

/* A helper that gets no processor is waited for: its time is not the clock's. */
static void test_starved_helper(void **state)
{
    struct scene scene;
    struct answer answer = {0};
    (void)state;
    scene_init(&scene, REST "def submit: .x;");
    assert_gives(&scene, "1", "1");
    pid_t child = only_child();
    assert_int_equal(kill(child, SIGSTOP), 0);
    (void)begin(&scene, "submit", "{\"x\":2}", &answer);
    int64_t until_ms = clock_mono_ms() + ADAPTER_CALL_MS + 500;
    while (clock_mono_ms() < until_ms)
        loop_turn(scene.loop, TURN_MS);
    assert_int_equal(answer.n, 0);
    assert_int_equal(kill(child, SIGCONT), 0);
    await(&scene, &answer);
    assert_int_equal(json_integer_value(answer.result), 2);
    answer_fini(&answer);
    scene_fini(&scene);
}

/* It is the kernel's word, or a person's: the call would work another time. */
static void test_killed_helper(void **state)
{
    struct scene scene;
    struct answer answer = {0};
    (void)state;
    scene_init(&scene, REST "def submit: .x;");
    assert_gives(&scene, "1", "1");
    assert_int_equal(kill(only_child(), SIGSTOP), 0);
    (void)begin(&scene, "submit", "{\"x\":2}", &answer);
    assert_int_equal(kill(only_child(), SIGKILL), 0);
    await(&scene, &answer);
    assert_null(answer.result);
    assert_true(answer.is_passing);
    answer_fini(&answer);
    assert_gives(&scene, "3", "3");
    scene_fini(&scene);
}

/* Values so deep that taking them down overflows the stack: the helper's end, not ours. */
static void test_crash(void **state)
{
    struct scene scene;
    struct answer answer = {0};
    (void)state;
    scene_init(&scene, REST
               "def submit: if .x == 1 then reduce range(700000) as $i (0; [.]) | tojson | length "
               "else .x end;");
    (void)begin(&scene, "submit", "{\"x\":1}", &answer);
    await(&scene, &answer);
    assert_null(answer.result);
    assert_non_null(strstr(answer.fault, "adapter \"it\", submit: it"));
    assert_false(answer.is_passing); /* it would crash again */
    assert_gives(&scene, "2", "2");
    answer_fini(&answer);
    scene_fini(&scene);
}

/* Whatever a program finds out, it is not our environment, a file or another process. */
static void test_sandboxed(void **state)
{
    struct scene scene;
    (void)state;
    scene_init(&scene, REST "def submit: [1425599621 | todate, strftime(\"%Z %a\"), "
                            "(\"2015-03-05T23:51:47Z\" | fromdate),"
                            " (\"a\" | test(\"A\"; \"i\")), (0 | gmtime | mktime)];");
    assert_gives(&scene, "0", "[\"2015-03-05T23:53:41Z\",\"UTC Thu\",1425599507,true,0]");
    scene_fini(&scene);
}

/* ---- the fence behind the words: helpers spoken to directly, whose programs nobody looked over ---- */

struct direct {
    struct loop *loop;
    struct proc *proc;
    int output;
    json_t *heard;  /* the last message */
    char text[200]; /* its attachment */
    json_t *result;
    bool is_over;
};

static void on_heard(void *context, const json_t *message)
{
    struct direct *direct = context;
    const struct proc_attachment attachment = proc_attachment(direct->proc);
    json_decref(direct->heard);
    direct->heard = json_deep_copy(message);
    (void)snprintf(direct->text, sizeof direct->text, "%.*s", (int)attachment.length,
                   attachment.length > 0 ? attachment.bytes : "");
}

static void on_over(void *context, enum proc_end end, int signal_or_status, const json_t *result)
{
    struct direct *direct = context;
    (void)end;
    (void)signal_or_status;
    direct->is_over = true;
    direct->result = json_deep_copy(result);
}

static int file_with(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
    return fd;
}

static void direct_start(struct direct *direct, const char *program)
{
    const struct proc_limits none = {0};
    const struct proc_handler handler = {on_heard, on_over, direct};
    CLEANUP(close_fd) int fd = file_with(program);
    CLEANUP(json_unref_pointer)
    json_t *job = json_pack("{s:s, s:i}", "file", "it.jq", "bytes", (int)strlen(program));
    *direct = (struct direct){.output = file_with("")};
    const int fds[] = {fd, direct->output};
    assert_int_equal(loop_new(&direct->loop), 0);
    assert_int_equal(
        proc_start(direct->loop, "adapter", job, fds, 2, &none, &handler, &direct->proc), 0);
    while (!direct->heard && !direct->is_over)
        loop_turn(direct->loop, TURN_MS);
}

static void direct_call(struct direct *direct)
{
    const struct proc_attachment input = {"{}", 2};
    CLEANUP(json_unref_pointer)
    json_t *message = json_pack("{s:i, s:s, s:i, s:i, s:b}", "call", 1, "function", "submit",
                                "bytes", 2, "body", -1, "cut", 0);
    assert_int_equal(proc_send(direct->proc, message, &input, NULL, 0), 0);
    while (!direct->is_over && json_int(direct->heard, "call", 0) != 1)
        loop_turn(direct->loop, TURN_MS);
}

static void direct_fini(struct direct *direct)
{
    if (!direct->is_over)
        proc_kill(direct->proc);
    while (loop_watches(direct->loop) > 0)
        loop_turn(direct->loop, TURN_MS);
    loop_free(direct->loop);
    close_fd(&direct->output);
    json_decref(direct->heard);
    json_decref(direct->result);
}

static void test_environment_is_empty(void **state)
{
    struct direct direct;
    (void)state;
    assert_int_equal(setenv("FILMGATE_TEST_SECRET", "x", 1), 0);
    direct_start(&direct, REST "def submit: [$ENV, env];");
    direct_call(&direct);
    assert_string_equal(direct.text, "[[{\"TZ\":\"UTC0\"},{\"TZ\":\"UTC0\"}]]");
    direct_fini(&direct);
    assert_int_equal(unsetenv("FILMGATE_TEST_SECRET"), 0);
}

static void test_import_is_no_syntax(void **state)
{
    struct direct direct;
    (void)state;
    direct_start(&direct, "import \"a\" as a; " REST "def submit: 1;");
    assert_true(direct.is_over);
    assert_string_equal(json_text(direct.result, "fault"),
                        "it.jq:1: syntax error, unexpected import, expecting $end");
    direct_fini(&direct);
}

/* The kernel says that the helper is inside its filter before it has compiled anything. */
static void test_sandbox_is_closed(void **state)
{
    struct direct direct;
    char path[64], line[200];
    bool is_closed = false;
    (void)state;
    direct_start(&direct, REST "def submit: 1;");
    (void)snprintf(path, sizeof path, "/proc/%d/status", proc_pid(direct.proc));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        is_closed = is_closed || strcmp(line, "Seccomp:\t2\n") == 0;
    assert_int_equal(fclose(file), 0);
    assert_true(is_closed);
    direct_fini(&direct);
}

static void test_compile_errors(void **state)
{
    static const struct {
        const char *program, *fault;
    } CASES[] = {
        {REST "\n\ndef submit: foo;", "it.jq:3: foo/0 is not defined"},
        {REST "\ndef submit: 1 2;", "it.jq:2: syntax error, unexpected LITERAL"},
        {REST "\ndef submit: 1",
         "it.jq:2: the text ends within a definition, or behind something that is none"},
        {REST "\ndef submit: 1\n",
         "it.jq:2: the text ends within a definition, or behind something that is none"},
        {REST "\n", "it.jq: it does not define \"submit\""},
        {"def submit: 1;", "it.jq: it does not define \"about\""},
        {REST "def submit: $x;", "it.jq:1: $x is not defined"},
        {REST "def submit: 1; .",
         "it.jq:1: the text ends within a definition, or behind something that is none"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct scene scene;
        struct answer answer = {0}, again = {0};
        char fault[300];
        scene_init(&scene, CASES[i].program);
        (void)snprintf(fault, sizeof fault, "adapter \"it\" does not compile: %s/%s",
                       scene.folder.path, CASES[i].fault);
        (void)begin(&scene, "submit", "{}", &answer);
        await(&scene, &answer);
        assert_string_equal(answer.fault, fault);
        /* It is known from now on. */
        (void)begin(&scene, "poll", "{}", &again);
        assert_int_equal(loop_watches(scene.loop), 0);
        await(&scene, &again);
        assert_string_equal(again.fault, fault);
        answer_fini(&answer);
        answer_fini(&again);
        scene_fini(&scene);
    }
}

/* ---- bodies ---- */

static void ask_with_bytes(struct scene *scene, const json_t *input, const char *bytes,
                           size_t length, struct answer *answer)
{
    struct adapter_call *call = NULL;
    CLEANUP(free_pointer) char *copy = must_calloc(1, length + 1);
    memcpy(copy, bytes, length);
    const struct adapter_input order = {scene->adapter,  "polled", input,   copy,  -1,
                                        (int64_t)length, -1,       on_done, answer};
    assert_int_equal(adapter_call(scene->host, &order, &call), 0);
    memset(copy, 'x', length); /* borrowed no longer */
    await(scene, answer);
    assert_string_equal(answer->fault, "");
}

static void ask_with_body(struct scene *scene, const char *body, int blobs, struct answer *answer)
{
    CLEANUP(json_unref_pointer) json_t *input = json_object();
    CLEANUP(close_fd) int fd = memfd_create("body", MFD_CLOEXEC);
    size_t length = strlen(body);
    assert_int_equal(pwrite(fd, body, length, 0), length);
    (void)begin_with(scene, "polled", input, fd, (int64_t)length, blobs, answer);
    await(scene, answer);
}

static void test_bodies(void **state)
{
    static const struct {
        const char *body, *expected;
    } CASES[] = {
        {"{\"id\":9007199254740993}", "[{\"id\":\"9007199254740993\"},\"\"]"},
        {"<html>", "[null,\"<html>\"]"},
        {"", "[null,\"\"]"},
        {"{\"a\":1,\"a\":2}", "[{\"a\":2},\"\"]"},
        {"nul", "[null,\"nul\"]"},
        {"\"a\\u0000\\ud800\"", "[\"a\xef\xbf\xbd\xef\xbf\xbd\",\"\"]"},
    };
    struct scene scene;
    (void)state;
    scene_init(&scene, "def submit: {}; def submitted: {}; def poll: {}; def about: {}; def "
                       "polled: [.body, .text];");
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct answer answer = {0};
        CLEANUP(json_unref_pointer) json_t *expected = json_loads(CASES[i].expected, 0, NULL);
        ask_with_body(&scene, CASES[i].body, -1, &answer);
        assert_string_equal(answer.fault, "");
        assert_true(json_equal(answer.result, expected));
        answer_fini(&answer);
        CLEANUP(json_unref_pointer) json_t *input = json_object();
        ask_with_bytes(&scene, input, CASES[i].body, strlen(CASES[i].body), &answer);
        assert_true(json_equal(answer.result, expected));
        answer_fini(&answer);
    }
    /* Without a descriptor the answer was empty. */
    struct answer none = {0};
    (void)begin(&scene, "polled", "{}", &none);
    await(&scene, &none);
    assert_true(json_is_null(json_array_get(none.result, 0)));
    answer_fini(&none);
    scene_fini(&scene);
}

/* An input and a body go to the program within a message or in a file, and so does what it gives: all is the same. */
static void test_all_sizes(void **state)
{
    static const char BODY[] = "\0{\xff\"}\0"; /* and the NUL that ends it */
    static const size_t SIZES[] = {9,
                                   PROGRAM_SMALL_MAX - sizeof BODY,
                                   PROGRAM_SMALL_MAX - sizeof BODY + 1,
                                   PROGRAM_SMALL_MAX,
                                   PROGRAM_SMALL_MAX + 1,
                                   PROC_MESSAGE_MAX,
                                   1024 * 1024,
                                   9};
    struct scene scene;
    (void)state;
    scene_init(&scene, "def submit: {}; def submitted: {}; def poll: {}; def about: {}; def "
                       "polled: {a: .a, b: .text};");
    for (size_t i = 0; i < ARRAY_LENGTH(SIZES); i++) {
        struct answer answer = {0};
        CLEANUP(json_unref_pointer) json_t *input = json_object();
        CLEANUP(free_pointer) char *text = must_calloc(1, SIZES[i] + 1);
        memset(text, '.', SIZES[i] - 8); /* {"a":""} */
        json_set_text(input, "a", text);
        ask_with_bytes(&scene, input, BODY, sizeof BODY, &answer);
        assert_string_equal(json_text(answer.result, "a"), text);
        assert_string_equal(json_text(answer.result, "b"),
                            "\xef\xbf\xbd{\xef\xbf\xbd\"}\xef\xbf\xbd\xef\xbf\xbd");
        answer_fini(&answer);
    }
    scene_fini(&scene);
}

static void test_bad_bodies(void **state)
{
    struct scene scene;
    struct answer deep = {0}, large = {0};
    CLEANUP(buf_fini) struct buf text;
    (void)state;
    scene_init(&scene,
               "def submit: {}; def submitted: {}; def poll: {}; def about: {}; def polled: 1;");
    buf_init(&text, ADAPTER_DOCUMENT_MAX + 100);
    for (int i = 0; i < 65; i++)
        buf_putc(&text, '[');
    ask_with_body(&scene, buf_text(&text), -1, &deep);
    assert_string_equal(
        deep.fault,
        "adapter \"it\", polled: the upstream's answer is nested deeper than 64 levels");
    buf_clear(&text);
    buf_putc(&text, '"');
    for (int i = 0; i < ADAPTER_DOCUMENT_MAX; i++)
        buf_putc(&text, ' ');
    buf_putc(&text, '"');
    ask_with_body(&scene, buf_text(&text), -1, &large);
    assert_string_equal(large.fault,
                        "adapter \"it\", polled: the upstream's answer is larger than 8 MiB, "
                        "even without its base64");
    answer_fini(&deep);
    answer_fini(&large);
    scene_fini(&scene);
}

static void test_blobs(void **state)
{
    struct scene scene;
    struct answer kept = {0}, dropped = {0};
    uint8_t bytes[3] = {1, 1, 1};
    CLEANUP(buf_fini) struct buf text;
    (void)state;
    scene_init(
        &scene,
        "def submit: {}; def submitted: {}; def poll: {}; def about: {}; def polled: .body;");
    buf_init(&text, 1 << 20);
    buf_puts(&text, "{\"video\":\"data:video/mp4;base64,");
    for (int i = 0; i < ADAPTER_BLOB_LEAST; i++)
        buf_putc(&text, "ABCD"[i % 4]);
    buf_puts(&text, "\"}");
    CLEANUP(close_fd) int blobs = memfd_create("blobs", MFD_CLOEXEC);
    CLEANUP(json_unref_pointer)
    json_t *expected = json_loads("{\"video\":{\"$blob\":0,\"type\":\"video/mp4\"}}", 0, NULL);
    ask_with_body(&scene, buf_text(&text), blobs, &kept);
    assert_true(json_equal(kept.result, expected));
    assert_int_equal(kept.n_blobs, 1);
    assert_int_equal(kept.blobs[0].offset, 0);
    assert_int_equal(kept.blobs[0].bytes, ADAPTER_BLOB_LEAST / 4 * 3);
    assert_int_equal(pread(blobs, bytes, 3, 0), 3);
    assert_memory_equal(bytes, "\x00\x10\x83", 3);
    ask_with_body(&scene, buf_text(&text), -1, &dropped);
    assert_true(json_equal(dropped.result, expected));
    assert_int_equal(dropped.n_blobs, 0);
    answer_fini(&kept);
    answer_fini(&dropped);
    scene_fini(&scene);
}

/* ---- helpers that lie ---- */

#define ORDINARY "\"blobs\":[]"
#define ENDLESS "~" /* more spaces than a result may have bytes */

/* What one says: a message, `call` left out, its attachment, and what it writes into its file for results. */
static const struct lie {
    const char *message, *attachment, *file;
} LIES[] = {
    {ORDINARY, "[1,2]", ""},
    {ORDINARY, "[]", ""},
    {ORDINARY, "{\"a\":1}", ""},
    {ORDINARY, "[1", ""},
    {ORDINARY, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", ""},
    {ORDINARY, "[\"\xff\"]", ""},
    {ORDINARY, "", "[1]"},
    {ORDINARY ",\"bytes\":0", "", "[1]"},
    {ORDINARY ",\"bytes\":-3", "", "[1]"},
    {ORDINARY ",\"bytes\":4", "", "[1]"},
    {ORDINARY ",\"bytes\":8388609", "", "[1]" ENDLESS},
    {ORDINARY ",\"bytes\":9223372036854775807", "", "[1]"},
    {ORDINARY ",\"bytes\":5", "", "[1,2]"},
    {ORDINARY ",\"bytes\":7", "", "[1] [2]"},
    {ORDINARY ",\"bytes\":3", "", ""}, /* what it said before is gone */
    {"\"blobs\":[[0,5]]", "[1]", ""},
    {"\"blobs\":[[5,1]]", "[1]", ""},
    {"\"blobs\":[[-1,2]]", "[1]", ""},
    {"\"blobs\":[[0,-1]]", "[1]", ""},
    {"\"blobs\":[[9223372036854775807,1]]", "[1]", ""},
    {"\"blobs\":[[0,1],[0,1],[0,1],[0,1],[0,1]]", "[1]", ""},
};

#define LIAR "liar.jq"

/* In place of the real one for a program of that name; the input of each call says which lie to tell. */
static _Noreturn void be_liar(void)
{
    struct proc_job job;
    must(proc_accept(&job) == 0 && job.n_fds == 2);
    const int file = job.fds[1];
    proc_report(json_pack("{s:b}", "ready", 1));
    while (proc_next(&job) == 0) {
        CLEANUP(json_unref_pointer)
        json_t *input = json_loadb(job.attachment.bytes, job.attachment.length, 0, NULL);
        const struct lie *lie = &LIES[json_int(input, "lie", 0)];
        const struct proc_attachment attachment = {lie->attachment, strlen(lie->attachment)};
        char text[300];
        (void)snprintf(text, sizeof text, "{\"call\":%lld,%s}", json_int(job.job, "call", 0),
                       lie->message);
        CLEANUP(buf_fini) struct buf result;
        buf_init(&result, ADAPTER_DOCUMENT_MAX + 100);
        buf_add(&result, lie->file, strcspn(lie->file, ENDLESS));
        for (int i = 0; i < ADAPTER_DOCUMENT_MAX && strstr(lie->file, ENDLESS); i++)
            buf_putc(&result, ' ');
        must(pwrite(file, buf_text(&result), result.length, 0) == (ssize_t)result.length);
        proc_report_with(json_loads(text, 0, NULL), &attachment);
    }
    _exit(0);
}

static int helper_main(void)
{
    char job[1000] = "";
    ssize_t length = recv(3, job, sizeof job - 1, MSG_PEEK); /* its channel */
    if (length > 0 && strstr(job, LIAR))
        be_liar();
    return adapter_helper_main();
}

static void test_lies_are_faults(void **state)
{
    struct scene scene = {0};
    char error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    make_folder(scene.folder.path);
    write_file(scene.folder.path, LIAR, "1", 1);
    scene.folder.set = adapter_set_new(scene.folder.path, error);
    assert_non_null(scene.folder.set);
    scene.adapter = adapter_find(scene.folder.set, "liar");
    assert_int_equal(loop_new(&scene.loop), 0);
    assert_int_equal(adapter_host_new(scene.loop, &scene.host), 0);
    CLEANUP(close_fd) int blobs = file_with("four");
    for (size_t i = 0; i < ARRAY_LENGTH(LIES); i++) {
        struct answer answer = {0};
        CLEANUP(json_unref_pointer) json_t *input = json_pack("{s:i}", "lie", (int)i);
        (void)begin_with(&scene, "polled", input, -1, 0, blobs, &answer);
        await(&scene, &answer);
        if (strcmp(answer.fault,
                   "adapter \"liar\", polled: its result cannot be read: too rich, or "
                   "with a NUL in a text") != 0)
            fail_msg("%s with %s gives «%s»", LIES[i].message, LIES[i].attachment, answer.fault);
        answer_fini(&answer);
    }
    scene_fini(&scene);
}

/* ---- stopping ---- */

static void test_stopped_calls_are_silent(void **state)
{
    struct scene scene;
    struct answer waiting = {0}, running = {0}, finished = {0}, last = {0};
    (void)state;
    scene_init(&scene, REST "def submit: .x;");
    assert_gives(&scene, "0", "0");
    struct adapter_call *first = begin(&scene, "submit", "{\"x\":1}", &running);
    struct adapter_call *second = begin(&scene, "submit", "{\"x\":2}", &waiting);
    (void)begin(&scene, "submit", "{\"x\":3}", &finished);
    (void)begin(&scene, "submit", "{\"x\":4}", &last);
    assert_null(adapter_call_stop(first));
    assert_null(adapter_call_stop(second));
    assert_null(adapter_call_stop(NULL));
    await(&scene, &last);
    assert_int_equal(running.n + waiting.n, 0);
    assert_int_equal(finished.n, 1);
    answer_fini(&finished);
    answer_fini(&last);
    scene_fini(&scene);
}

/* Two calls fail in one stroke; the callback of the first stops the second, or ends the host. */
static void test_callbacks_may_do_anything(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene scene;
        struct answer first = {0}, second = {0};
        scene_init(&scene, REST "def submit: foo;");
        (void)begin(&scene, "submit", "{}", &first);
        struct adapter_call *call = begin(&scene, "submit", "{}", &second);
        if (i == 0)
            first.stop = call;
        first.frees_host = i == 1;
        await(&scene, &first);
        for (int turns = 0; turns < 10; turns++)
            loop_turn(scene.loop, 1);
        assert_int_equal(second.n, 0);
        answer_fini(&first);
        scene_fini(&scene);
    }
}

/* A helper that rests is gone: at once when it is idle, else after its last call. The next call has a new one. */
static void test_helpers_rest(void **state)
{
    struct scene scene;
    struct answer answers[3] = {0};
    (void)state;
    scene_init(&scene, REST "def submit: .x;");
    adapter_host_rest(scene.host); /* there is none */
    for (int i = 0; i < 2; i++) {
        assert_gives(&scene, "1", "1");
        assert_gives(&scene, "2", "2"); /* what rested once does so no more */
        assert_true(loop_watches(scene.loop) > 0);
        adapter_host_rest(scene.host);
        await_no_watches(&scene);
    }
    for (int i = 0; i < 3; i++)
        (void)begin(&scene, "submit", "{\"x\":3}", &answers[i]);
    adapter_host_rest(scene.host);
    for (int i = 0; i < 3; i++) {
        await(&scene, &answers[i]);
        assert_int_equal(json_integer_value(answers[i].result), 3);
        answer_fini(&answers[i]);
    }
    await_no_watches(&scene);
    scene_fini(&scene);
}

static void test_host_ends_with_calls_in_it(void **state)
{
    struct scene scene;
    struct answer answers[3] = {0};
    (void)state;
    scene_init(&scene, REST "def submit: def f: f; f;");
    for (size_t i = 0; i < 3; i++)
        (void)begin(&scene, "submit", "{}", &answers[i]);
    for (int turns = 0; turns < 20; turns++)
        loop_turn(scene.loop, TURN_MS);
    scene_fini(&scene);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answers[i].n, 0);
}

static void test_limits(void **state)
{
    struct scene scene;
    struct answer answer = {0};
    struct adapter_call *call = NULL;
    (void)state;
    scene_init(&scene, REST "def submit: 1;");
    CLEANUP(json_unref_pointer) json_t *input = json_object();
    const struct adapter_input order = {scene.adapter, "submit", input, NULL, -1, -1, -1,
                                        on_done,       &answer};
    for (int i = 0; i < ADAPTER_CALLS_MAX; i++)
        assert_int_equal(adapter_call(scene.host, &order, &call), 0);
    assert_int_equal(adapter_call(scene.host, &order, &call), -EAGAIN);
    /* What the upstream has answered is read all the same: it may be paid for. */
    struct adapter_input read = order;
    read.function = "submitted";
    assert_int_equal(adapter_call(scene.host, &read, &call), 0);
    assert_int_equal(adapter_call(scene.host, &order, &call), -EAGAIN);
    scene.host = adapter_host_free(scene.host);
    assert_int_equal(adapter_host_new(scene.loop, &scene.host), 0);
    CLEANUP(free_pointer) char *text = must_calloc(1, ADAPTER_DOCUMENT_MAX + 1);
    memset(text, 'a', ADAPTER_DOCUMENT_MAX - 8);
    json_set_text(input, "x", text);
    for (int i = 0; i < 8; i++)
        assert_int_equal(adapter_call(scene.host, &order, &call), 0);
    assert_int_equal(adapter_call(scene.host, &order, &call), -EAGAIN);
    assert_int_equal(adapter_call(scene.host, &read, &call), 0);
    memset(text, 'a', ADAPTER_DOCUMENT_MAX);
    json_set_text(input, "x", text);
    assert_int_equal(adapter_call(scene.host, &order, &call), -EMSGSIZE);
    scene_fini(&scene);
}

/* ---- sets ---- */

static void test_set(void **state)
{
    static const char PROGRAM[] = "def about: 1;";
    char path[64], error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    make_folder(path);
    write_file(path, "zebra-2.jq", PROGRAM, strlen(PROGRAM));
    write_file(path, "acme.jq", PROGRAM, strlen(PROGRAM));
    write_file(path, "notes.txt", "x", 1);
    write_file(path, ".hidden.jq", "env", 3);
    struct adapter_set *builtin = adapter_set_new(NULL, error);
    struct adapter_set *set = adapter_set_new(path, error);
    assert_non_null(builtin);
    assert_non_null(set);
    assert_int_equal(adapter_count(set), adapter_count(builtin) + 2);
    for (size_t i = 1; i < adapter_count(set); i++)
        assert_true(strcmp(adapter_name(adapter_at(set, i - 1)), adapter_name(adapter_at(set, i))) <
                    0);
    const struct adapter *acme = adapter_find(set, "acme");
    assert_non_null(acme);
    assert_string_equal(adapter_text(acme), PROGRAM);
    assert_non_null(strstr(adapter_file(acme), "/acme.jq"));
    assert_null(adapter_find(set, "notes"));
    adapter_set_free(builtin);
    adapter_set_free(set);
    remove_folder(path);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *name, *text, *error;
    } CASES[] = {
        {"Acme.jq", "1",
         "Acme.jq: an adapter's file is called NAME.jq, NAME being 1 to 40 of a-z 0-9 -"},
        {"-a.jq", "1",
         "-a.jq: an adapter's file is called NAME.jq, NAME being 1 to 40 of a-z 0-9 -"},
        {"a.jq", "", "a.jq is empty"},
        {"a.jq", "def about:\n  env;", "a.jq:2: an adapter may not use \"env\""},
        {"a.jq", "def about: \xff;", "a.jq:1: this is not UTF-8 text"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        char path[64], error[ADAPTER_ERROR_SIZE] = "", expected[ADAPTER_ERROR_SIZE];
        make_folder(path);
        write_file(path, CASES[i].name, CASES[i].text, strlen(CASES[i].text));
        (void)snprintf(expected, sizeof expected, "%s/%s", path, CASES[i].error);
        assert_null(adapter_set_new(path, error));
        assert_string_equal(error, expected);
        remove_folder(path);
    }
}

static void test_bad_places(void **state)
{
    char path[64], file[100], error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    assert_null(adapter_set_new("/nonexistent", error));
    assert_string_equal(
        error, "the folder of adapters \"/nonexistent\" cannot be read: No such file or directory");
    make_folder(path);
    (void)snprintf(file, sizeof file, "%s/a.jq", path);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_null(adapter_set_new(path, error));
    assert_non_null(strstr(error, "a.jq is no plain file"));
    assert_int_equal(unlink(file), 0);
    CLEANUP(free_pointer) char *text = must_calloc(1, ADAPTER_PROGRAM_MAX + 1);
    memset(text, ' ', ADAPTER_PROGRAM_MAX + 1);
    write_file(path, "a.jq", text, ADAPTER_PROGRAM_MAX + 1);
    assert_null(adapter_set_file(file, error));
    assert_non_null(strstr(error, "a.jq is larger than 256 KiB, the most of a program"));
    remove_folder(path);
}

static void test_about(void **state)
{
    struct folder folder;
    char error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    folder_init(&folder,
                "def submit: 1; def submitted: 1; def poll: 1; def polled: 1;"
                "def about: {summary: \"s\", evidence: \"wire\", auth: {kind: \"none\"}};");
    CLEANUP(json_unref_pointer)
    json_t *about = adapter_about(adapter_find(folder.set, "it"), error);
    assert_string_equal(error, "");
    assert_string_equal(json_text(about, "evidence"), "wire");
    assert_int_equal(json_int(json_object_get(about, "poll"), "every_s", 0), 5);
    folder_fini(&folder);
    folder_init(&folder, REST "def submit: 1;");
    assert_null(adapter_about(adapter_find(folder.set, "it"), error));
    assert_string_equal(error, "adapter \"it\": about.summary is missing");
    folder_fini(&folder);
}

/* All built-in ones are sound. */
static void test_builtin(void **state)
{
    char error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    struct adapter_set *set = adapter_set_new(NULL, error);
    assert_string_equal(error, "");
    for (size_t i = 0; i < adapter_count(set); i++) {
        CLEANUP(json_unref_pointer) json_t *about = adapter_about(adapter_at(set, i), error);
        assert_string_equal(error, "");
        assert_non_null(about);
        assert_null(adapter_file(adapter_at(set, i)));
    }
    adapter_set_free(set);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_prelude),
        cmocka_unit_test(test_faults_leave_the_helper_at_work),
        cmocka_unit_test(test_hostile_programs),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_a_helper_does_not_grow),
        cmocka_unit_test(test_killed_helper),
        cmocka_unit_test(test_starved_helper),
        cmocka_unit_test(test_sandboxed),
        cmocka_unit_test(test_environment_is_empty),
        cmocka_unit_test(test_import_is_no_syntax),
        cmocka_unit_test(test_sandbox_is_closed),
        cmocka_unit_test(test_compile_errors),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_all_sizes),
        cmocka_unit_test(test_lies_are_faults),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_stopped_calls_are_silent),
        cmocka_unit_test(test_callbacks_may_do_anything),
        cmocka_unit_test(test_helpers_rest),
        cmocka_unit_test(test_host_ends_with_calls_in_it),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_bad_places),
        cmocka_unit_test(test_about),
        cmocka_unit_test(test_builtin),
    };
    return cmocka_run_group_tests_name("upstream_adapter", tests, NULL, NULL);
}
