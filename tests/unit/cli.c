/* SPDX-License-Identifier: Apache-2.0
 *
 * What commands print and read: the progress line, foreign text, numbers, options, new keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypt.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/progress.h"
#include "cli/client_sentence.h"

struct line {
    double fraction;
    const char *word;
    int64_t elapsed_ms;
    size_t columns;
    const char *expected;
};

static void test_progress_line(void **state)
{
    (void)state;
    static const struct line lines[] = {
        {0.5, "processing", 67000, 46, "[##########..........]   50%  processing  1:07"},
        {0, "queued", 0, 30, "[........]    0%  queued  0:00"},
        {1, "x", 3599000, 60, "[########################################]  100%  x  59:59"},
        {7, "x", 0, 13, "100%  x  0:00"},
        {-1, "x", 0, 10, "  0%  x  0"},
        {0.5, "x", 0, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        char line[PROGRESS_LINE_SIZE];
        progress_line(lines[i].fraction, lines[i].word, lines[i].elapsed_ms, lines[i].columns,
                      line);
        assert_string_equal(line, lines[i].expected);
    }
}

/* Never wider than the terminal, whatever it is asked to show. */
static void test_progress_width(void **state)
{
    (void)state;
    static const double fractions[] = {0, 0.001, 0.5, 0.999999, 1, 2, -3, NAN, INFINITY};
    for (size_t columns = 0; columns < 400; columns++) {
        for (size_t i = 0; i < ARRAY_LENGTH(fractions); i++) {
            char line[PROGRESS_LINE_SIZE];
            progress_line(fractions[i], "queued, place 123456", INT64_MAX, columns, line);
            assert_true(strlen(line) <= columns);
        }
    }
}

static void assert_printed(const char *text, size_t most, const char *expected)
{
    char *printed = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&printed, &length);
    assert_non_null(out);
    cli_print_text(out, text, most);
    fclose(out);
    assert_string_equal(printed, expected);
    free(printed);
}

static void test_foreign_text(void **state)
{
    (void)state;
    assert_printed("", 0, "");
    assert_printed("plain «text»", 0, "plain «text»");
    assert_printed("red \x1b[31m\r\n\a\x7f", 0, "red  [31m    ");
    assert_printed("c1 \xc2\x9b[0m", 0, "c1  [0m");
    assert_printed("turned \xe2\x80\xae txt", 0, "turned   txt");
    assert_printed("broken \xff\xc3", 0, "broken \xef\xbf\xbd\xef\xbf\xbd");
    assert_printed("一二三四", 3, "一二三…");
    assert_printed("一二三", 3, "一二三");
}

static void test_numbers(void **state)
{
    (void)state;
    long long number = 7;
    assert_true(cli_parse_number("10", 0, 10, &number));
    assert_int_equal(number, 10);
    static const char *const wrong[] = {"", "x", "1x", "11", "-1", "1.5", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(cli_parse_number(wrong[i], 0, 10, &number));
    assert_int_equal(number, 10);
}

/* ---- verdicts ---- */

static void test_silence(void **state)
{
    (void)state;
    static const struct {
        CURLcode reason;
        enum client_outcome outcome;
        const char *code;
    } cases[] = {
        {CURLE_COULDNT_CONNECT, CLIENT_AWAY, "connection_refused"},
        {CURLE_COULDNT_RESOLVE_HOST, CLIENT_AWAY, "unknown_host"},
        {CURLE_OPERATION_TIMEDOUT, CLIENT_AWAY, "timeout"},
        {CURLE_SSL_CONNECT_ERROR, CLIENT_AWAY, "tls_failed"},
        {CURLE_PEER_FAILED_VERIFICATION, CLIENT_AWAY, "tls_untrusted"},
        {CURLE_RECV_ERROR, CLIENT_AWAY, "unreachable"},
        {CURLE_ABORTED_BY_CALLBACK, CLIENT_INTERRUPTED, ""},
        {CURLE_READ_ERROR, CLIENT_LOCAL, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct client_answer answer = {.retry_after_s = -1};
        assert_int_equal(client_sentence_of_silence(cases[i].reason, "", "http://host:1", &answer),
                         cases[i].outcome);
        assert_string_equal(answer.code, cases[i].code);
        assert_true(answer.sentence[0] != '\0');
        assert_int_equal(cases[i].outcome == CLIENT_AWAY,
                         strstr(answer.sentence, "http://host:1") != NULL);
    }
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body;
        enum client_outcome outcome;
        const char *code;
    } cases[] = {
        {200, "{}", CLIENT_OK, ""},
        {200, "[]", CLIENT_TROUBLE, "not_filmgate"},
        {200, NULL, CLIENT_TROUBLE, "not_filmgate"},
        {302, NULL, CLIENT_TROUBLE, "not_filmgate"},
        {404, NULL, CLIENT_REFUSED, "not_filmgate"},
        {404, "{\"detail\":\"Not Found\"}", CLIENT_REFUSED, "not_filmgate"},
        {404, "{\"code\":\"task_not_exist\",\"message\":\"x\"}", CLIENT_REFUSED, "task_not_exist"},
        {503, "{\"code\":\"queue_full\",\"message\":\"x\"}", CLIENT_TROUBLE, "queue_full"},
        {502, NULL, CLIENT_TROUBLE, "not_filmgate"},
    };
    const struct client_sentence_head head = {.url = "http://host:1/v1"};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct client_answer answer = {.status = cases[i].status, .retry_after_s = -1};
        if (cases[i].body != NULL)
            answer.json = json_loads(cases[i].body, 0, NULL);
        assert_int_equal(client_sentence_of_answer(&head, &answer), cases[i].outcome);
        assert_string_equal(answer.code, cases[i].code);
        client_answer_fini(&answer);
    }
}

/* ---- keys ---- */

static char directory[] = "/tmp/filmgate-cli-XXXXXX";

static void test_keys_make(void **state)
{
    (void)state;
    struct store *store = NULL;
    char error[STORE_ERROR_SIZE] = "";
    char first[KEYS_TEXT_SIZE] = "";
    char second[KEYS_TEXT_SIZE] = "";
    char untouched[KEYS_TEXT_SIZE] = "as before";
    assert_int_equal(store_open(directory, &store, error), 0);
    assert_int_equal(keys_make(store, "one", "us", false, first), STORE_WRITTEN);
    assert_int_equal(keys_make(store, "two", "them", true, second), STORE_WRITTEN);
    assert_int_equal(keys_make(store, "one", "us", false, untouched), STORE_CONFLICT);
    assert_string_equal(untouched, "as before");
    assert_memory_equal(first, "fg_", 3);
    assert_int_equal(strlen(first), 3 + 43);
    assert_int_equal(strspn(first + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789-_"),
                     43);
    assert_string_not_equal(first, second);

    struct store_key *keys = NULL;
    size_t count = 0;
    uint8_t hash[CRYPT_SHA256_SIZE];
    assert_int_equal(store_keys(store, &keys, &count), 0);
    assert_int_equal(count, 2);
    crypt_sha256(first, strlen(first), hash);
    assert_memory_equal(keys[0].hash, hash, sizeof(hash));
    assert_string_equal(keys[0].name, "one");
    assert_string_equal(keys[0].tenant, "us");
    assert_false(keys[0].is_operator);
    assert_true(keys[1].is_operator);
    free(keys);
    store_close(store);
}

/* Runs `keys …` with what it prints on stdout caught; returns the exit status. */
static int run_keys(char *const *words, char *ret_printed, size_t size)
{
    char command[] = "keys";
    char option[] = "--data";
    char *argv[12] = {command, option, directory};
    int argc = 3;
    while (words[argc - 3] != NULL) {
        argv[argc] = words[argc - 3];
        argc++;
    }
    FILE *caught = tmpfile();
    assert_non_null(caught);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(fileno(caught), STDOUT_FILENO) >= 0);
    optind = 0; /* getopt begins anew */
    int status = keys_main(argc, argv);
    fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
    rewind(caught);
    size_t length = fread(ret_printed, 1, size - 1, caught);
    ret_printed[length] = '\0';
    fclose(caught);
    return status;
}

static void test_keys_command(void **state)
{
    (void)state;
    char verb_create[] = "create", verb_list[] = "list", verb_revoke[] = "revoke";
    char name[] = "--name=three", bad_name[] = "--name=no spaces", json[] = "--json";
    char three[] = "three";
    char printed[8192];
    char *create[] = {verb_create, name, NULL};
    char *create_bad[] = {verb_create, bad_name, NULL};
    char *create_unnamed[] = {verb_create, NULL};
    char *list[] = {verb_list, json, NULL};
    char *revoke[] = {verb_revoke, three, NULL};
    assert_int_equal(run_keys(create, printed, sizeof(printed)), CLI_OK);
    assert_int_equal(strlen(printed), 3 + 43 + 1);
    char key[KEYS_TEXT_SIZE];
    snprintf(key, sizeof(key), "%.46s", printed);
    assert_int_equal(run_keys(create, printed, sizeof(printed)), CLI_USAGE);
    assert_string_equal(printed, "");
    assert_int_equal(run_keys(create_bad, printed, sizeof(printed)), CLI_USAGE);
    assert_int_equal(run_keys(create_unnamed, printed, sizeof(printed)), CLI_USAGE);
    assert_int_equal(run_keys(list, printed, sizeof(printed)), CLI_OK);
    assert_non_null(strstr(printed, "\"name\":\"three\",\"tenant\":\"three\",\"operator\":false"));
    assert_null(strstr(printed, key));
    assert_int_equal(run_keys(revoke, printed, sizeof(printed)), CLI_OK);
    assert_int_equal(run_keys(revoke, printed, sizeof(printed)), CLI_USAGE);
    assert_int_equal(run_keys(create, printed, sizeof(printed)), CLI_OK);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    static const char *const names[] = {"filmgate.db", "filmgate.db-wal", "filmgate.db-shm"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress_line), cmocka_unit_test(test_progress_width),
        cmocka_unit_test(test_foreign_text),  cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_silence),       cmocka_unit_test(test_answers),
        cmocka_unit_test(test_keys_make),     cmocka_unit_test(test_keys_command),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
