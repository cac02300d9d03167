/* SPDX-License-Identifier: Apache-2.0
 *
 * Helpers that lie to their parent: nothing of what they say is trusted. */
#include "upstream_adapter_stage.h"

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

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lies_are_faults),
    };
    return cmocka_run_group_tests_name("upstream_lies", tests, NULL, NULL);
}
