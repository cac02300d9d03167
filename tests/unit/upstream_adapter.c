/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs at work, good and hostile; helpers that go, and calls that are stopped. */
#include "upstream_adapter_stage.h"

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
        {"image(null; [\"url\"])", "null"},
        {"{detail: [{loc: [\"body\", 0], msg: \"a\"}, {msg: \"b\"}, 7]} | text_of",
         "\"body.0: a; b\""},
        {"{detail: [7]} | text_of", "\"\""},
        {"{a: \"\", b: \"c\"} | [text_at(\"a\", \"b\"), text_at(\"a\")]", "[\"c\",\"\"]"},
        {"[or_else(\"\"; 1), or_else(null; 2), or_else(\"a\"; 3)]", "[1,2,\"a\"]"},
        {"{a: null, b: {c: null}} | present", "{\"b\":{\"c\":null}}"},
        {"{r: \"no\", m: 7} | [refuse_or(.r; .m), refuse_or(null; .m)]",
         "[{\"error\":{\"code\":\"not_supported\",\"message\":\"no\",\"kind\":\"refused\"}},7]"},
        {"{status: 404} | [refusal(\"\"; \"\"; \"refused\"), refusal(\"c\"; \"m\"; \"busy\"; 9)]",
         "[{\"error\":{\"code\":\"http_404\",\"message\":\"the submit was answered with HTTP "
         "404\",\"kind\":\"refused\"}},{\"error\":{\"code\":\"c\",\"message\":\"m\",\"kind\":"
         "\"busy\","
         "\"retry_after_s\":9}}]"},
        {"[({status: 200} | job_or(\"x\"; (\"j\", \"\", null); 7) | .job // .error.kind), "
         "({status: 302} | job_or(\"x\"; \"j\"; 7))]",
         "[\"j\",\"unknown\",\"unknown\",7]"},
        {"{text: \"\", body: {code: \"c\", message: \"m\"}} | [(200, 400, 404) as $s | .status = "
         "$s "
         "| polled_by(.code; .message; {state: .code})]",
         "[{\"state\":\"c\"},{\"state\":\"unclear\",\"message\":\"the query was answered with HTTP "
         "400, code c: m\"},{\"state\":\"gone\"}]"},
        {"{status: 404, text: \"<p>\", body: null} | polled_by({state: \"done\"}) | .state",
         "\"unclear\""},
        {"[{s: {t: (\"a\", \"b\", \"c\", 4, \"\")}} | by_word(\"s.t\"; {a: \"done\", b: "
         "\"failed\", "
         "c: \"pending\"}; 1; 2)]",
         "[1,2,{\"state\":\"pending\"},{\"state\":\"unclear\",\"message\":\"the t \\\"4\\\" is not "
         "known\"},{\"state\":\"unclear\",\"message\":\"the t \\\"\\\" is not known\"}]"},
        {"failed(\"c\"; \"m\"; \"moderated\")", "{\"state\":\"failed\",\"error\":{\"code\":\"c\","
                                                "\"message\":\"m\",\"kind\":\"moderated\"}}"},
        {"{a: \"https://x/1\", b: [\"file:///2\"]} | outputs_at(\"a\", \"b.0\", \"c\")",
         "[{\"url\":\"https://x/1\"}]"},
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

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return adapter_helper_main();
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
        cmocka_unit_test(test_stopped_calls_are_silent),
        cmocka_unit_test(test_callbacks_may_do_anything),
        cmocka_unit_test(test_helpers_rest),
        cmocka_unit_test(test_host_ends_with_calls_in_it),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("upstream_adapter", tests, NULL, NULL);
}
