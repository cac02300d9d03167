/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program sees of an answer, and what is cut out of it. */
#include "upstream_adapter_stage.h"

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

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return adapter_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_all_sizes),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_blobs),
    };
    return cmocka_run_group_tests_name("upstream_bodies", tests, NULL, NULL);
}
