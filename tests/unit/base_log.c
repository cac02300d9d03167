/* SPDX-License-Identifier: Apache-2.0
 *
 * The log, read back from a file put in the place of stderr. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/must.h"

enum { CAPTURE_BYTES = 1 << 20, LINE_CEILING = 4096 };

struct capture {
    FILE *file;
    int real_stderr;
    char *text; /* what was written, once ended */
};

static void begin(struct capture *capture)
{
    capture->text = NULL;
    capture->file = tmpfile();
    assert_non_null(capture->file);
    capture->real_stderr = dup(STDERR_FILENO);
    assert_true(capture->real_stderr >= 0);
    assert_true(dup2(fileno(capture->file), STDERR_FILENO) >= 0);
}

/* Everything goes back to its place before anything is asserted. */
static void end(struct capture *capture)
{
    dup2(capture->real_stderr, STDERR_FILENO);
    close(capture->real_stderr);
    capture->text = must_calloc(1, CAPTURE_BYTES);
    rewind(capture->file);
    size_t length = fread(capture->text, 1, CAPTURE_BYTES - 1, capture->file);
    capture->text[length] = '\0';
    fclose(capture->file);
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* The one JSON line that was captured, parsed. */
static json_t *only_line(const struct capture *capture)
{
    size_t length = strlen(capture->text);
    assert_true(length > 0 && length <= LINE_CEILING);
    assert_int_equal(count_lines(capture->text), 1);
    assert_int_equal(capture->text[length - 1], '\n');
    json_t *line = json_loads(capture->text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    return line;
}

static const char *member(const json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

static void a_json_line_is_json_whatever_it_says(void **state)
{
    (void)state;
    struct capture capture;
    begin(&capture);
    log_init(LOG_INFO, LOG_JSON);
    log_write(LOG_WARN, &(struct log_about){.request_id = "r\"1", .task_id = "t\n2"},
              "cannot %s \"x\\y\"\n\t\x1b[31m\x01 \xff\xc3 h\xc3\xa9", "read");
    end(&capture);
    json_t *line = only_line(&capture);
    assert_string_equal(member(line, "level"), "warn");
    assert_string_equal(member(line, "message"), "cannot read \"x\\y\"\n\t\x1b[31m\x01 "
                                                 "\xef\xbf\xbd\xef\xbf\xbd h\xc3\xa9");
    assert_string_equal(member(line, "request_id"), "r\"1");
    assert_string_equal(member(line, "task_id"), "t\n2");
    const char *time = member(line, "time");
    assert_int_equal(strlen(time), 27);
    assert_int_equal(time[10], 'T');
    assert_int_equal(time[26], 'Z');
    json_decref(line);
    free(capture.text);
}

static void absent_ids_are_left_out(void **state)
{
    (void)state;
    struct capture capture;
    begin(&capture);
    log_init(LOG_INFO, LOG_AUTO); /* a file is no terminal */
    log_task(LOG_INFO, "task_1", "hello");
    end(&capture);
    json_t *line = only_line(&capture);
    assert_int_equal(json_object_size(line), 4);
    assert_string_equal(member(line, "task_id"), "task_1");
    json_decref(line);
    free(capture.text);
}

static void assert_cut(const char *filler, size_t times)
{
    CLEANUP(free_pointer) char *message = must_calloc(1, strlen(filler) * times + 1);
    CLEANUP(free_pointer) char *id = must_calloc(1, 1001);
    for (size_t i = 0; i < times; i++)
        memcpy(message + i * strlen(filler), filler, strlen(filler));
    memset(id, 1, 1000); /* takes six characters each */
    struct capture capture;
    begin(&capture);
    log_init(LOG_INFO, LOG_JSON);
    log_write(LOG_INFO, &(struct log_about){.request_id = id, .task_id = id}, "%s", message);
    end(&capture);
    json_t *line = only_line(&capture);
    const char *shown = member(line, "message");
    assert_true(strlen(shown) > 500);
    assert_string_equal(shown + strlen(shown) - 3, "…");
    assert_non_null(strstr(member(line, "task_id"), "…"));
    json_decref(line);
    free(capture.text);
}

static void long_messages_are_cut_between_characters(void **state)
{
    (void)state;
    assert_cut("a", 100000);
    assert_cut("\xf0\x9f\x8e\xac", 5000);
    assert_cut("x\xf0\x9f\x8e\xac", 5000);
    assert_cut("\x01", 4000);
    assert_cut("\xff", 4090);
}

static void text_lines_stay_one_line(void **state)
{
    (void)state;
    struct capture capture;
    begin(&capture);
    log_init(LOG_INFO, LOG_TEXT);
    log_write(LOG_INFO, &(struct log_about){.request_id = "req_1", .task_id = "task_1"},
              "said \"a\\b\"\nnext \x1b[2J");
    log_error("plain");
    end(&capture);
    assert_int_equal(count_lines(capture.text), 2);
    assert_string_equal(strchr(capture.text, 'i'),
                        strstr(capture.text, "info  said \"a\\b\"\\nnext \\u001b[2J"
                                             "  request=req_1 task=task_1\n"));
    assert_null(strchr(capture.text, '\x1b')); /* no colour in a file */
    assert_int_equal(capture.text[4], '-');
    assert_int_equal(capture.text[10], ' ');
    assert_int_equal(capture.text[19], '.');
    assert_memory_equal(capture.text + 23, " info ", 6);
    const char *second = strchr(capture.text, '\n') + 1;
    assert_string_equal(second + 23, " error plain\n");
    free(capture.text);
}

static void the_level_holds_back_lines_but_not_from_the_recorder(void **state)
{
    (void)state;
    struct capture capture;
    begin(&capture);
    log_init(LOG_WARN, LOG_JSON);
    log_debug("detail %d", 1);
    log_info("news %d", 2);
    log_warn("worry %d", 3);
    end(&capture);
    assert_int_equal(count_lines(capture.text), 1);
    assert_non_null(strstr(capture.text, "worry 3"));
    free(capture.text);

    begin(&capture);
    log_dump_recorder(STDERR_FILENO);
    end(&capture);
    const char *detail = strstr(capture.text, "detail 1");
    assert_non_null(detail);
    assert_non_null(strstr(detail, "news 2"));
    assert_non_null(strstr(detail, "worry 3"));
    free(capture.text);
}

static void the_recorder_keeps_the_last_128(void **state)
{
    (void)state;
    struct capture capture;
    log_init(LOG_ERROR, LOG_JSON);
    for (int i = 0; i < 1000; i++)
        log_debug("line <%d>", i);
    begin(&capture);
    log_dump_recorder(STDERR_FILENO);
    end(&capture);
    assert_int_equal(count_lines(capture.text), 128 + 2);
    assert_null(strstr(capture.text, "<871>"));
    const char *at = capture.text;
    for (int i = 872; i < 1000; i++) {
        char wanted[16];
        snprintf(wanted, sizeof(wanted), "<%d>", i);
        at = strstr(at, wanted);
        assert_non_null(at);
    }
    free(capture.text);
}

static void errno_survives(void **state)
{
    (void)state;
    struct capture capture;
    begin(&capture);
    close(STDERR_FILENO); /* so that writing fails and sets another error */
    log_init(LOG_ERROR, LOG_JSON);
    errno = ENOSPC;
    log_error("unheard");
    int left_behind = errno;
    end(&capture);
    assert_int_equal(left_behind, ENOSPC);
    assert_string_equal(capture.text, "");
    free(capture.text);
}

static void level_names_parse(void **state)
{
    (void)state;
    enum log_level level = LOG_DEBUG;
    assert_true(log_level_parse("warn", &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse("warning", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_DEBUG);
}

enum { WRITERS = 4, LINES_EACH = 200 };

static void *write_lines(void *argument)
{
    (void)argument;
    for (int i = 0; i < LINES_EACH; i++)
        log_info("line %d", i);
    return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    struct capture capture;
    pthread_t writers[WRITERS];
    begin(&capture);
    log_init(LOG_INFO, LOG_JSON);
    for (int i = 0; i < WRITERS; i++)
        must(pthread_create(&writers[i], NULL, write_lines, NULL) == 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    end(&capture);
    int lines = 0;
    for (char *at = capture.text, *next; (next = strchr(at, '\n')) != NULL; at = next + 1) {
        json_t *line = json_loadb(at, (size_t)(next - at), 0, NULL);
        assert_non_null(line);
        json_decref(line);
        lines++;
    }
    assert_int_equal(lines, WRITERS * LINES_EACH);
    free(capture.text);
}

static void a_broken_invariant_tells_its_place_and_aborts(void **state)
{
    (void)state;
    struct capture capture;
    int status = 0;
    begin(&capture);
    log_init(LOG_INFO, LOG_JSON);
    pid_t child = fork();
    if (child == 0) {
        log_debug("last words");
        must(1 + 1 == 3);
    }
    waitpid(child, &status, 0);
    end(&capture);
    assert_true(child > 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(capture.text, "1 + 1 == 3"));
    assert_non_null(strstr(capture.text, "base_log.c:"));
    assert_non_null(strstr(capture.text, "last words"));
    free(capture.text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_json_line_is_json_whatever_it_says),
        cmocka_unit_test(absent_ids_are_left_out),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(text_lines_stay_one_line),
        cmocka_unit_test(the_level_holds_back_lines_but_not_from_the_recorder),
        cmocka_unit_test(the_recorder_keeps_the_last_128),
        cmocka_unit_test(errno_survives),
        cmocka_unit_test(level_names_parse),
        cmocka_unit_test(threads_do_not_mix_lines),
        cmocka_unit_test(a_broken_invariant_tells_its_place_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
