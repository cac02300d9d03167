/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators' programs: what they say, and how they are run and ended. This program is its own helper when it is started as
 * `… helper command`. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/must.h"
#include "upstream/command.h"
#include "upstream/command_reader.h"

enum { PATIENCE_MS = 60000, TURN_MS = 5, FILE_BYTES = 100000 };

/* ---- what it says ---- */

static void read_text(struct command_reader *reader, const char *text)
{
    command_reader_init(reader);
    command_reader_take(reader, text, strlen(text));
    command_reader_end(reader);
}

static void test_words(void **state)
{
    struct command_reader reader;
    (void)state;
    read_text(&reader, "{\"progress\": 0}\n\n \t\r\n{\"progress\": 0.25, \"more\": [1]}\r\n"
                       "{\"output\": \"a/b.mp4\"}");
    assert_true(reader.progress > 0.249 && reader.progress < 0.251);
    assert_string_equal(reader.output, "a/b.mp4");
    assert_int_equal(reader.error, COMMAND_NO_ERROR);
    assert_int_equal(reader.n_passed_over, 0);
}

static void test_errors(void **state)
{
    static const struct {
        const char *line;
        enum command_error error;
        const char *code, *message;
    } CASES[] = {
        {"{\"error\":{\"kind\":\"refused\",\"code\":\"c\",\"message\":\"m\"}}", COMMAND_REFUSED,
         "c", "m"},
        {"{\"error\":{\"kind\":\"moderated\"}}", COMMAND_MODERATED, "", ""},
        {"{\"error\":{\"kind\":\"failed\",\"message\":5}}", COMMAND_FAULTY, "", ""},
        {"{\"error\":{\"kind\":\"new\",\"message\":\"a\\nb\\u001bc\\u00e9\"}}", COMMAND_FAULTY, "",
         "a?b?c\xc3\xa9"},
        {"{\"error\":{}}", COMMAND_FAULTY, "", ""},
        {"{\"error\":{\"kind\":\"refused\"}}\n{\"error\":{\"kind\":\"failed\",\"code\":\"later\"}}",
         COMMAND_REFUSED, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct command_reader reader;
        read_text(&reader, CASES[i].line);
        assert_int_equal(reader.error, CASES[i].error);
        assert_string_equal(reader.code, CASES[i].code);
        assert_string_equal(reader.message, CASES[i].message);
        assert_int_equal(reader.n_passed_over, 0);
    }
}

static void test_passed_over(void **state)
{
    static const char *const LINES[] = {
        "Loading …",
        "{",
        "[]",
        "{\"progress\": 1.01}",
        "{\"progress\": -0.1}",
        "{\"progress\": \"1\"}",
        "{\"progress\": 50}",
        "{\"output\": \"\"}",
        "{\"output\": 1}",
        "{\"error\": \"x\"}",
        "{\"status\": \"x\"}",
        "{\"progress\": 0.5} x",
        "5",
        "\xff\xfe{",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(LINES); i++) {
        struct command_reader reader;
        read_text(&reader, LINES[i]);
        assert_int_equal(reader.n_passed_over, 1);
        assert_true(reader.progress < 0);
        assert_string_equal(reader.output, "");
        assert_int_equal(reader.error, COMMAND_NO_ERROR);
    }
}

/* A line of exactly so many bytes, before and behind good ones, in pieces. */
static void test_long_lines(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        struct command_reader reader;
        command_reader_init(&reader);
        static const char head[] = "{\"progress\":0.5,\"x\":\"",
                          tail[] = "\"}\n{\"output\":\"o\"}\n";
        size_t fill = COMMAND_LINE_MAX - strlen(head) - strlen("\"}") + (size_t)over;
        command_reader_take(&reader, head, strlen(head));
        for (size_t i = 0; i < fill; i++)
            command_reader_take(&reader, "x", 1);
        command_reader_take(&reader, tail, strlen(tail));
        command_reader_end(&reader);
        assert_int_equal(reader.n_passed_over, over);
        assert_int_equal(reader.progress > 0, !over);
        assert_string_equal(reader.output, "o");
    }
}

/* Cut off it would be a word. */
static void test_long_blank(void **state)
{
    static const char word[] = "{\"progress\":0.5}";
    struct command_reader reader;
    (void)state;
    command_reader_init(&reader);
    command_reader_take(&reader, word, strlen(word));
    for (int i = 0; i < COMMAND_LINE_MAX; i++)
        command_reader_take(&reader, " ", 1);
    command_reader_end(&reader);
    assert_true(reader.progress < 0);
    assert_int_equal(reader.n_passed_over, 1);
}

static void test_print(void **state)
{
    char text[8];
    (void)state;
    command_print("a\tb\xffz\x1b", 6, text, sizeof text);
    assert_string_equal(text, "a b?z?");
    command_print("123456\xc3\xa9", 8, text, sizeof text); /* not cut within a character */
    assert_string_equal(text, "123456");
    command_print("", 0, text, sizeof text);
    assert_string_equal(text, "");
}

/* ---- running ---- */

static char data[64]; /* a directory of the program's own */

struct run {
    struct loop *loop;
    struct loop_timer turn;
    struct command *command;
    char directory[COMMAND_DIRECTORY_SIZE];
    int output;
    int n_progress, n_ended;
    bool stop_when_heard;
    enum command_end end;
    int status;
    char log[200], message[200];
};

static void on_progress(void *context, double progress)
{
    struct run *run = context;
    assert_true(progress >= 0 && progress <= 1);
    run->n_progress++;
    if (run->stop_when_heard)
        loop_stop(run->loop);
}

static void on_ended(void *context, const struct command_outcome *outcome)
{
    struct run *run = context;
    const char *line = json_string_value(json_array_get(outcome->log, 0));
    run->n_ended++;
    run->end = outcome->end;
    run->status = outcome->status;
    (void)snprintf(run->log, sizeof run->log, "%s", line ? line : "");
    (void)snprintf(run->message, sizeof run->message, "%s", outcome->message);
    assert_false(outcome->has_left);
    loop_stop(run->loop);
}

static void run_script(struct run *run, const char *script, int64_t timeout_ms)
{
    const char *const argv[] = {"/bin/sh", "-c", script};
    static const char *const environment[] = {"HOUSE=stone", "HOME=/nonexistent"};
    const struct command_program program = {argv, 3, environment, 2, timeout_ms};
    int input = memfd_create("input", MFD_CLOEXEC), image = memfd_create("image", MFD_CLOEXEC);
    assert_int_equal(pwrite(input, "{\"a\":1}\n", 8, 0), 8);
    assert_int_equal(pwrite(image, "picture", 7, 0), 7);
    assert_int_equal(loop_new(&run->loop), 0);
    assert_int_equal(command_directory_new(data, "task_x", run->directory), 0);
    run->output = memfd_create("output", MFD_CLOEXEC);
    const char *const name = "image-0.png";
    const struct command_task task = {.directory = run->directory,
                                      .input = input,
                                      .output = run->output,
                                      .images = &image,
                                      .image_names = &name,
                                      .n_images = 1,
                                      .file_bytes = FILE_BYTES};
    const struct command_handler handler = {on_progress, on_ended, run};
    assert_int_equal(command_start(run->loop, &program, &task, &handler, &run->command), 0);
    (void)close(input);
    (void)close(image);
    loop_run(run->loop);
}

static void on_turn(struct loop_timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, turn);
    if (loop_watches(run->loop) > 0)
        loop_arm(run->loop, &run->turn, TURN_MS);
    else
        loop_stop(run->loop);
}

/* Nothing of it is left. */
static void run_fini(struct run *run)
{
    run->turn.fire = on_turn;
    loop_arm(run->loop, &run->turn, 0);
    loop_run(run->loop);
    loop_free(run->loop);
    (void)close(run->output);
    assert_int_equal(access(run->directory, F_OK), -1);
}

static void test_ends(void **state)
{
    static const struct {
        const char *script;
        enum command_end end;
        int status;
        const char *log, *message;
    } CASES[] = {
        {"read l; test \"$l\" = '{\"a\":1}' && ! read l && cat image-0.png >output.mp4",
         COMMAND_DONE, 0, "", ""},
        {"test $HOUSE-$HOME-$LANG = stone-/nonexistent-C.UTF-8 && test \"$TMPDIR\" = \"$PWD\" && "
         "echo x >output.mp4",
         COMMAND_DONE, 0, "", ""},
        {"test ! -e /proc/$$/fd/3 && test \"$(umask)\" = 0077 && echo x >output.mp4", COMMAND_DONE,
         0, "", ""},
        {"mkdir a; echo x >a/b; echo '{\"output\":\"a/b\"}'", COMMAND_DONE, 0, "", ""},
        {"echo x >b; echo \"{\\\"output\\\":\\\"$PWD/b\\\"}\"", COMMAND_DONE, 0, "", ""},
        {"echo why >&2; echo x >output.mp4; exit 3", COMMAND_DIED, 3, "why", ""},
        {"kill -9 $$", COMMAND_DIED, -SIGKILL, "", ""},
        {"exit 0", COMMAND_NO_VIDEO, 0, "", ""},
        {": >output.mp4", COMMAND_NO_VIDEO, 0, "", ""},
        {"ln -s /etc/passwd output.mp4", COMMAND_BAD_VIDEO, 0, "", ""},
        {"ln -s /etc a; echo '{\"output\":\"a/passwd\"}'", COMMAND_BAD_VIDEO, 0, "", ""},
        {"echo '{\"output\":\"/etc/passwd\"}'", COMMAND_BAD_VIDEO, 0, "", ""},
        {"echo '{\"output\":\"../x\"}'", COMMAND_BAD_VIDEO, 0, "", ""},
        {"mkdir a; echo '{\"output\":\"a\"}'", COMMAND_BAD_VIDEO, 0, "", ""},
        {"mkfifo output.mp4", COMMAND_BAD_VIDEO, 0, "", ""},
        {"head -c 200000 /dev/zero >output.mp4; exit 0", COMMAND_TOO_LARGE, 0, NULL, ""},
        {"exec head -c 200000 /dev/zero >output.mp4", COMMAND_TOO_LARGE, -SIGXFSZ, NULL, ""},
        {"head -c 99999 /dev/zero >output.mp4", COMMAND_DONE, 0, "", ""},
        {"echo '{\"error\":{\"kind\":\"refused\",\"message\":\"no\"}}'; echo x >output.mp4",
         COMMAND_SAID_REFUSED, 0, "", "no"},
        {"echo '{\"error\":{\"kind\":\"moderated\"}}'; exit 1", COMMAND_SAID_MODERATED, 1, "", ""},
        {"echo '{\"error\":{\"kind\":\"failed\"}}'; exit 1", COMMAND_SAID_FAILED, 1, "", ""},
        {"mkdir -p a/b; chmod 0 a; rm -f output.mp4; exit 4", COMMAND_DIED, 4, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct run run = {.n_ended = 0};
        run_script(&run, CASES[i].script, PATIENCE_MS);
        print_message("# %s\n", CASES[i].script);
        assert_int_equal(run.n_ended, 1);
        assert_int_equal(run.end, CASES[i].end);
        assert_int_equal(run.status, CASES[i].status);
        if (CASES[i].log) /* else a shell's own words */
            assert_string_equal(run.log, CASES[i].log);
        assert_string_equal(run.message, CASES[i].message);
        struct stat status;
        assert_int_equal(fstat(run.output, &status), 0);
        assert_int_equal(status.st_size > 0, run.end == COMMAND_DONE);
        run_fini(&run);
    }
}

/* What operators read: a sentence about «the program». */
static void test_descriptions(void **state)
{
    static const struct {
        struct command_outcome outcome;
        const char *words;
    } CASES[] = {
        {{.end = COMMAND_DIED, .status = 3}, "ended with status 3"},
        {{.end = COMMAND_DIED, .status = -SIGSEGV}, "ended with signal 11 (Segmentation fault)"},
        {{.end = COMMAND_DIED, .status = -100}, "ended with signal 100 (unknown)"},
        {{.end = COMMAND_LOST, .status = -SIGKILL},
         "was lost: its helper ended with signal 9 (Killed)"},
        {{.end = COMMAND_TIMED_OUT, .status = -SIGKILL},
         "was not done within command_timeout, and was stopped"},
        {{.end = COMMAND_NO_VIDEO}, "ended with status 0, and left no video"},
        {{.end = COMMAND_SAID_REFUSED, .code = "size", .message = "only squares"},
         "refused the task: size: only squares"},
        {{.end = COMMAND_SAID_FAILED, .status = 1, .message = "the card is gone"},
         "said that it failed: the card is gone"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct command_outcome outcome = CASES[i].outcome;
        char words[COMMAND_WORDS_SIZE];
        outcome.code = outcome.code != NULL ? outcome.code : "";
        outcome.message = outcome.message != NULL ? outcome.message : "";
        command_describe_end(&outcome, words);
        assert_string_equal(words, CASES[i].words);
    }
    for (enum command_end end = COMMAND_DONE; end < COMMAND_END_COUNT; end++) {
        char words[COMMAND_WORDS_SIZE];
        command_describe_end(&(struct command_outcome){.end = end, .code = "", .message = ""},
                             words);
        assert_true(strlen(words) > 10 && strstr(words, "null") == NULL);
    }
}

/* Deaf to SIGTERM. */
static void test_out_of_time(void **state)
{
    struct run run = {.n_ended = 0};
    (void)state;
    run_script(&run, "trap '' TERM; while :; do sleep 0.05; done", 300);
    assert_int_equal(run.n_ended, 1);
    assert_int_equal(run.end, COMMAND_TIMED_OUT);
    assert_int_equal(run.status, -SIGKILL);
    run_fini(&run);
}

/* The process whose number stands in the file is gone. */
static void await_death(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    (void)close(fd);
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    assert_true(pid > 1);
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (kill(pid, 0) == 0 && clock_mono_ms() < until_ms)
        (void)poll(NULL, 0, TURN_MS);
    assert_int_equal(kill(pid, 0), -1);
}

static void await_removal(const char *path)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (access(path, F_OK) == 0 && clock_mono_ms() < until_ms)
        (void)poll(NULL, 0, TURN_MS);
}

static void test_children(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        char script[600], path[100];
        struct run run = {.stop_when_heard = way == 1};
        (void)snprintf(path, sizeof path, "%s/child-%d", data, way);
        (void)snprintf(
            script, sizeof script,
            "(setsid sh -c 'echo $$ >%s; trap \"\" TERM HUP; while :; do sleep 0.05; done' &); "
            "until [ -s %s ]; do sleep 0.05; done; echo x >output.mp4; "
            "echo '{\"progress\":0.5}'; %s",
            path, path, way == 0 ? "sleep 0.5" : "while :; do sleep 0.05; done");
        run_script(&run, script, PATIENCE_MS);
        if (way == 0) {
            assert_int_equal(run.end, COMMAND_DONE);
        } else {
            assert_int_equal(run.n_progress, 1);
            assert_null(command_stop(run.command));
            assert_int_equal(run.n_ended, 0);
        }
        run_fini(&run);
        await_death(path);
        assert_int_equal(unlink(path), 0);
    }
    assert_null(command_stop(NULL));
}

/* Whichever of the two helpers is killed, a stopped one too, nothing stays: the first is its parent, the other that one's. */
static void test_helper_killed(void **state)
{
    static const struct {
        const char *kill;
        int status;
    } WAYS[] = {
        {"kill -9 $PPID", -SIGKILL},
        {"kill -9 $keeper", -SIGKILL},
        {"kill -STOP $PPID; kill -9 $keeper", -SIGKILL},
        {"kill -ABRT $PPID", -SIGABRT},
    };
    (void)state;
    /* Else the kernel itself continues who is stopped, as it sees a group without a session's shell. */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(WAYS); i++) {
        char script[900], path[100];
        struct run run = {.n_ended = 0};
        (void)snprintf(path, sizeof path, "%s/child-%zu", data, i);
        (void)snprintf(script, sizeof script,
                       "read -r _ _ _ keeper _ </proc/$PPID/stat; "
                       "(setsid sh -c 'echo $$ >%s; trap \"\" TERM HUP; "
                       "while :; do sleep 0.05; done' &); "
                       "until [ -s %s ]; do sleep 0.05; done; %s; "
                       "while :; do sleep 0.05; done",
                       path, path, WAYS[i].kill);
        print_message("# %s\n", WAYS[i].kill);
        run_script(&run, script, PATIENCE_MS);
        assert_int_equal(run.n_ended, 1);
        assert_int_equal(run.end, COMMAND_LOST);
        assert_int_equal(run.status, WAYS[i].status);
        await_death(path);
        await_removal(run.directory);
        run_fini(&run);
    }
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

/* A program whose processes flee: each begins another in a session of its own and ends. All hold the lock of the file. */
static int flee(const char *path)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    int fd = open(path, O_RDWR | O_CREAT, S_IRUSR | S_IWUSR);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        return EXIT_FAILURE;
    if (fork() > 0) {
        (void)poll(NULL, 0, 200);
        _exit(EXIT_SUCCESS);
    }
    while (setsid() != -1 && prctl(PR_SET_DUMPABLE, 0) == 0 && clock_mono_ms() < until_ms) {
        if (fork() > 0)
            break;
    }
    _exit(EXIT_SUCCESS);
}

static void test_flight(void **state)
{
    char script[900], path[100], self[400] = "";
    struct run run = {.n_ended = 0};
    (void)state;
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    (void)snprintf(path, sizeof path, "%s/lock", data);
    (void)snprintf(script, sizeof script, "exec %s flee %s", self, path);
    run_script(&run, script, PATIENCE_MS);
    assert_int_equal(run.end, COMMAND_NO_VIDEO);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    (void)close(fd);
    run_fini(&run);
}

/* Deeper than a path can be, and full of links to what must stay. */
static void test_deep(void **state)
{
    char script[600], kept[100];
    struct run run = {.n_ended = 0};
    (void)state;
    (void)snprintf(kept, sizeof kept, "%s/kept", data);
    assert_int_equal(mkdir(kept, 0700), 0);
    (void)snprintf(script, sizeof script,
                   "echo x >output.mp4; : >%s/file; n=$(printf %%0200d 0); i=0; "
                   "while [ $i -lt 30 ]; do mkdir $n && ln -s %s link && cd -P $n || exit 5; "
                   "i=$((i+1)); done 2>/dev/null; :",
                   kept, kept);
    run_script(&run, script, PATIENCE_MS);
    assert_int_equal(run.end, COMMAND_DONE);
    run_fini(&run);
    (void)strcat(kept, "/file");
    assert_int_equal(access(kept, F_OK), 0);
}

static void test_directories(void **state)
{
    char path[COMMAND_DIRECTORY_SIZE], inner[COMMAND_DIRECTORY_SIZE + 8];
    struct stat status;
    (void)state;
    assert_int_equal(command_directory_new(data, "task_x", path), 0);
    assert_int_equal(path[0], '/');
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    (void)snprintf(inner, sizeof inner, "%s/link", path);
    assert_int_equal(symlink(data, inner), 0);
    assert_int_equal(command_directories_clear(data), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(data, F_OK), 0);
    assert_int_equal(command_directories_clear(data), 0);
    assert_int_equal(command_directory_new("/nonexistent", "x", path), -ENOENT);
}

static int make_data(void **state)
{
    (void)state;
    (void)snprintf(data, sizeof data, "/tmp/filmgate-command-XXXXXX");
    return mkdtemp(data) ? 0 : -1;
}

static int remove_data(void **state)
{
    (void)state;
    return command_directory_remove(data);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return command_helper_main();
    if (argc == 3 && strcmp(argv[1], "flee") == 0)
        return flee(argv[2]);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),         cmocka_unit_test(test_errors),
        cmocka_unit_test(test_passed_over),   cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_blank),    cmocka_unit_test(test_print),
        cmocka_unit_test(test_ends),          cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_out_of_time),   cmocka_unit_test(test_children),
        cmocka_unit_test(test_helper_killed), cmocka_unit_test(test_flight),
        cmocka_unit_test(test_deep),          cmocka_unit_test(test_directories),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
