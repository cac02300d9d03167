/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: what it says, and each way to get it wrong with its place and its sentence. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/must.h"
#include "base/settings.h"
#include "settings_file.h"

/* ---- values ---- */

static void test_defaults(void **state)
{
    (void)state;
    char error[SETTINGS_ERROR_SIZE] = "";
    struct settings *settings = settings_load(NULL, NULL, error);
    assert_non_null(settings);
    assert_string_equal(settings->listen, "127.0.0.1:8080");
    assert_string_equal(settings->data, "./var");
    assert_string_equal(settings->public_url, "");
    assert_true(settings->cors);
    assert_int_equal(settings->drain, 30000);
    assert_int_equal(settings->body_bytes, 64 << 20);
    assert_int_equal(settings->image_pixels, 50000000);
    assert_int_equal(settings->render_memory, INT64_C(2) << 30);
    assert_int_equal(settings->retention, INT64_C(30) * 86400000);
    assert_int_equal(settings->fetch_allow.count, 0);
    assert_int_equal(settings->n_channels, 0);
    assert_null(settings->file);
    settings_free(settings);
}

static void test_empty_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"",  "\n", "# nothing\n", "---\n", "channels:\nlog:\n",
                                        "{}"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct settings *settings = load_good(texts[i]);
        assert_int_equal(settings->images, 10);
        assert_string_equal(settings->file, FILE_NAME);
        settings_free(settings);
    }
}

/* What the file names is seen from its folder; what the command line names, and a default, from here. */
static void test_paths(void **state)
{
    (void)state;
    char error[SETTINGS_ERROR_SIZE] = "";
    char at_root[] = "/tmp/filmgate-settings-XXXXXX/filmgate.yaml";
    memcpy(at_root, directory, strlen(directory));
    static const char *const texts[] = {"data: d7\nadapters: ../own\n",
                                        "data: /srv/films\nadapters: /etc/own\n", "adapters: ''\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        char data[128], adapters[128];
        write_file(texts[i], strlen(texts[i]));
        struct settings *settings = settings_load(at_root, NULL, error);
        assert_non_null(settings);
        snprintf(data, sizeof(data), "%s%s", directory, "/d7");
        snprintf(adapters, sizeof(adapters), "%s%s", directory, "/../own");
        assert_string_equal(settings->data, i == 0 ? data : i == 1 ? "/srv/films" : "./var");
        assert_string_equal(settings->adapters, i == 0 ? adapters : i == 1 ? "/etc/own" : "");
        settings_free(settings);
    }
    static const char *const overrides[] = {"data", "mine", NULL};
    struct settings *settings = settings_load(at_root, overrides, error);
    assert_non_null(settings);
    assert_string_equal(settings->data, "mine");
    settings_free(settings);
    settings = load_good("data: d7\n"); /* the folder is where we are */
    assert_string_equal(settings->data, "d7");
    settings_free(settings);
}

static void test_every_type(void **state)
{
    (void)state;
    struct settings *settings = load_good("listen: '[::]:0'\n"
                                          "public_url: https://video.example.com//\n"
                                          "cors: false\n"
                                          "log: {level: debug, format: json}\n"
                                          "limits:\n"
                                          "  images: 32\n"
                                          "  body: 1GiB\n"
                                          "  prompt_bytes: 100\n"
                                          "  image_bytes: 2048B\n"
                                          "tasks:\n"
                                          "  deadline: 2d\n"
                                          "  backoff: 250ms\n"
                                          "  retention: 0\n"
                                          "fetch.redirects: 0\n"
                                          "fetch:\n"
                                          "  allow:\n"
                                          "    - 10.0.0.0/8\n"
                                          "    - \"127.0.0.1:9000\"\n"
                                          "trusted_proxies: []\n");
    assert_string_equal(settings->listen, "[::]:0");
    assert_string_equal(settings->public_url, "https://video.example.com");
    assert_false(settings->cors);
    assert_string_equal(settings->log_level, "debug");
    assert_string_equal(settings->log_format, "json");
    assert_int_equal(settings->images, 32);
    assert_int_equal(settings->body_bytes, 1 << 30);
    assert_int_equal(settings->prompt_bytes, 100);
    assert_int_equal(settings->image_bytes, 2048);
    assert_int_equal(settings->deadline, 2 * 86400000);
    assert_int_equal(settings->backoff, 250);
    assert_int_equal(settings->retention, 0);
    assert_int_equal(settings->fetch_redirects, 0);
    assert_int_equal(settings->fetch_allow.count, 2);
    assert_string_equal(settings->fetch_allow.items[0], "10.0.0.0/8");
    assert_string_equal(settings->fetch_allow.items[1], "127.0.0.1:9000");
    assert_int_equal(settings->trusted_proxies.count, 0);
    settings_free(settings);
}

static void test_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("FG_TEST_DIR", "/srv/film", 1), 0);
    assert_int_equal(setenv("FG_TEST_COUNT", "12", 1), 0);
    struct settings *settings =
        load_good("data: ${FG_TEST_DIR}/a${FG_TEST_DIR}\n"
                  "limits:\n"
                  "  images: ${FG_TEST_COUNT}\n"
                  "trusted_proxies: ['${FG_TEST_COUNT}', 'a$${b}', '$x']\n");
    assert_string_equal(settings->data, "/srv/film/a/srv/film");
    assert_int_equal(settings->images, 12);
    assert_string_equal(settings->trusted_proxies.items[0], "12");
    assert_string_equal(settings->trusted_proxies.items[1], "a${b}");
    assert_string_equal(settings->trusted_proxies.items[2], "$x");
    settings_free(settings);
}

static void test_overrides(void **state)
{
    (void)state;
    char error[SETTINGS_ERROR_SIZE] = "";
    static const char text[] = "listen: 127.0.0.1:1\ndata: /from/file\n";
    write_file(text, strlen(text));
    const char *overrides[] = {
        "listen", "127.0.0.1:2", "limits.images", "3", "fetch.allow", "10.0.0.1, 10.0.0.2", NULL};
    struct settings *settings = settings_load(FILE_NAME, overrides, error);
    assert_non_null(settings);
    assert_string_equal(settings->listen, "127.0.0.1:2");
    assert_string_equal(settings->data, "/from/file");
    assert_int_equal(settings->images, 3);
    assert_int_equal(settings->fetch_allow.count, 2);
    assert_string_equal(settings->fetch_allow.items[1], "10.0.0.2");
    settings_free(settings);

    const char *wrong[] = {"listen", "8080", NULL};
    assert_null(settings_load(NULL, wrong, error));
    assert_string_equal(error, "\"listen\" must be an address and a port (like 127.0.0.1:8080 or "
                               "[::]:8080), not \"8080\"");
    assert_null(settings_load(FILE_NAME, wrong, error));
    assert_string_equal(error, "\"listen\" must be an address and a port (like 127.0.0.1:8080 or "
                               "[::]:8080), not \"8080\"");
}

/* ---- errors ---- */

struct refused {
    const char *text;
    const char *error;
};

static const struct refused REFUSED[] = {
    {"limits:\n  images: 99\n",
     "filmgate.yaml:2:11: \"limits.images\" must be between 0 and 32, not 99"},
    {"limits:\n  images: -1\n",
     "filmgate.yaml:2:11: \"limits.images\" must be between 0 and 32, not -1"},
    {"limits:\n  images: 99999999999999999999\n",
     "filmgate.yaml:2:11: \"limits.images\" must be between 0 and 32, not 99999999999999999999"},
    {"limits:\n  images: 30s\n", "filmgate.yaml:2:11: \"limits.images\" must be a whole number "
                                 "between 0 and 32, not \"30s\""},
    {"limits:\n  images: ''\n", "filmgate.yaml:2:11: \"limits.images\" must be a whole number "
                                "between 0 and 32, not \"\""},
    {"drain: 30\n", "filmgate.yaml:1:8: \"drain\" must be a time (like 250ms, 30s, 15m, 24h, 7d) "
                    "between 0 and 1h, not \"30\""},
    {"drain: 2h\n", "filmgate.yaml:1:8: \"drain\" must be between 0 and 1h, not 2h"},
    {"drain: 99999999999999999999d\n",
     "filmgate.yaml:1:8: \"drain\" must be between 0 and 1h, not 99999999999999999999d"},
    {"drain: 1h30m\n", "filmgate.yaml:1:8: \"drain\" must be a time (like 250ms, 30s, 15m, 24h, "
                       "7d) between 0 and 1h, not \"1h30m\""},
    {"limits: {body: 1KB}\n", "filmgate.yaml:1:16: \"limits.body\" must be a size (like 64KiB, "
                              "20MiB, 2GiB) between 1KiB and 1GiB, not \"1KB\""},
    {"limits: {body: 1B}\n",
     "filmgate.yaml:1:16: \"limits.body\" must be between 1KiB and 1GiB, not 1B"},
    {"cors: \"yes\"\n", "filmgate.yaml:1:7: \"cors\" must be true or false, not \"yes\""},
    {"log:\n  level: loud\n",
     "filmgate.yaml:2:10: \"log.level\" must be debug, info, warn or error, not \"loud\""},
    {"log:\n  format: xml\n",
     "filmgate.yaml:2:11: \"log.format\" must be text, json or auto, not \"xml\""},
    {"listen: 127.0.0.1:99999\n",
     "filmgate.yaml:1:9: \"listen\" must be an address and a port (like 127.0.0.1:8080 or "
     "[::]:8080), not \"127.0.0.1:99999\""},
    {"listen: ::1:80\n", "filmgate.yaml:1:9: \"listen\" must be an address and a port (like "
                         "127.0.0.1:8080 or [::]:8080), not \"::1:80\""},
    {"public_url: ftp://x\n", "filmgate.yaml:1:13: \"public_url\" must be empty or a base URL "
                              "(like https://video.example.com), not \"ftp://x\""},
    {"data: ''\n", "filmgate.yaml:1:7: \"data\" must be the name of a directory, not \"\""},
    {"data: \"a\\0b\"\n", "filmgate.yaml:1:7: \"data\" is not a text"},
    {"data: \"a\\nb\"\n", "filmgate.yaml:1:7: \"data\" holds a line break or another control "
                          "character"},
    /* types */
    {"listen:\n", "filmgate.yaml:1:1: \"listen\" has no value; it must be a text"},
    {"drain: null\n", "filmgate.yaml:1:8: \"drain\" has no value; it must be a time (like 250ms, "
                      "30s, 15m, 24h, 7d)"},
    {"cors: [true]\n", "filmgate.yaml:1:1: \"cors\" must be true or false, not a list"},
    {"listen: {a: b}\n", "filmgate.yaml:1:1: \"listen\" must be a text, not a group"},
    {"trusted_proxies: 10.0.0.1\n",
     "filmgate.yaml:1:18: \"trusted_proxies\" must be a list of texts"},
    {"trusted_proxies:\n  - a\n  - [b]\n",
     "filmgate.yaml:1:1: \"trusted_proxies\" must be a list of texts"},
    {"trusted_proxies:\n  - a\n  - ''\n",
     "filmgate.yaml:3:5: \"trusted_proxies\" holds an empty text"},
    {"limits: 3\n", "filmgate.yaml:1:9: \"limits\" must be a group of settings"},
    {"- a\n", "filmgate.yaml:1:1: a configuration must be a group of settings (like \"listen: "
              "127.0.0.1:8080\")"},
    {"words\n", "filmgate.yaml:1:1: a configuration must be a group of settings (like \"listen: "
                "127.0.0.1:8080\")"},
    {"a: &x 1\n", "filmgate.yaml:1:1: there is no setting \"a\""},
    {"data: &x y\nlisten: *x\n", "filmgate.yaml:2:10: \"listen\" is an alias; write the value "
                                 "itself"},
    {"? [a]\n: b\n", "filmgate.yaml: the name of a setting must be a text"},
    /* names */
    {"limits:\n  imagess: 1\n", "filmgate.yaml:2:3: there is no setting \"limits.imagess\"; did "
                                "you mean \"limits.images\"?"},
    {"\"lissen\": x\n",
     "filmgate.yaml:1:1: there is no setting \"lissen\"; did you mean \"listen\"?"},
    {"limts:\n  images: 1\n",
     "filmgate.yaml:1:1: there is no setting \"limts\"; did you mean \"limits\"?"},
    {"chanels: []\n",
     "filmgate.yaml:1:1: there is no setting \"chanels\"; did you mean \"channels\"?"},
    {"nothing_like_it: 1\n", "filmgate.yaml:1:1: there is no setting \"nothing_like_it\""},
    {"log:\n  levle: info\n",
     "filmgate.yaml:2:3: there is no setting \"log.levle\"; did you mean \"log.level\"?"},
    {"drain: 1s\ndata: x\ndrain: 2s\n", "filmgate.yaml:3:1: not good YAML: duplicate key"},
    {"limits.images: 1\nlimits:\n  images: 2\n",
     "filmgate.yaml:3:3: \"limits.images\" is already set in line 1"},
    /* the environment */
    {"data: x\nlisten: ${FG_TEST_UNSET}\n",
     "filmgate.yaml:2:9: \"listen\" names the environment variable \"FG_TEST_UNSET\", which is not "
     "set"},
    {"data: a${b\n", "filmgate.yaml:1:7: \"data\" holds \"${\" without a name and \"}\"; write "
                     "\"$${\" for the characters themselves"},
    {"data: ${1a}\n", "filmgate.yaml:1:7: \"data\" holds \"${\" without a name and \"}\"; write "
                      "\"$${\" for the characters themselves"},
    /* what is in it stays untold */
    {"listen: x${FG_TEST_SECRET}\n", "filmgate.yaml:1:9: \"listen\" must be an address and a port "
                                     "(like 127.0.0.1:8080 or [::]:8080); its value is not shown"},
    {"limits: {images: '${FG_TEST_NUMBER}'}\n",
     "filmgate.yaml:1:18: \"limits.images\" must be a whole number between 0 and 32; its value is "
     "not shown"},
    {"cors: ${FG_TEST_SECRET}\n",
     "filmgate.yaml:1:7: \"cors\" must be true or false; its value is not shown"},
    {"public_url: ftp://me:word@x\n",
     "filmgate.yaml:1:13: \"public_url\" must be empty or a base URL (like "
     "https://video.example.com); its value is not shown"},
    /* YAML */
    {"a: [1\n", "filmgate.yaml:2:1: not good YAML: flow sequence without a closing bracket"},
    {"drain: 1s\n  data: x\n", "filmgate.yaml:1:8: not good YAML: invalid multiline plain key"},
    {"data: x\n---\ndata: y\n", "filmgate.yaml: holds more than one document"},
    {"data: \xff\n", "filmgate.yaml: is not a text in UTF-8"},
};

static void test_refused(void **state)
{
    (void)state;
    unsetenv("FG_TEST_UNSET");
    assert_int_equal(setenv("FG_TEST_SECRET", "whisper", 1), 0);
    assert_int_equal(setenv("FG_TEST_NUMBER", "77", 1), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(REFUSED); i++)
        assert_refused(REFUSED[i].text, REFUSED[i].error);
}

static void test_unreadable(void **state)
{
    (void)state;
    char error[SETTINGS_ERROR_SIZE] = "";
    assert_null(settings_load("missing.yaml", NULL, error));
    assert_string_equal(error, "missing.yaml: cannot be opened: No such file or directory");
    assert_null(settings_load(".", NULL, error));
    assert_string_equal(error, ".: cannot be read: Is a directory");
}

/* `head`, then `count` times `piece`. */
static char *repeated(const char *head, const char *piece, size_t count)
{
    size_t length = strlen(piece);
    char *text = must_calloc(strlen(head) + length * count + 1, 1);
    char *at = stpcpy(text, head);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, piece);
    return text;
}

/* Sizes that nobody means, and none of which may cost more than a sentence. */
static void test_monsters(void **state)
{
    (void)state;
    CLEANUP(free_pointer) char *large = repeated("#", "x", SETTINGS_FILE_MAX);
    assert_refused(large, "filmgate.yaml: is larger than 1048576 bytes");
    CLEANUP(free_pointer) char *items = repeated("trusted_proxies: [", "a,", 1001);
    items[strlen(items) - 1] = ']';
    assert_refused(items, "filmgate.yaml:1:1: \"trusted_proxies\" holds more than 1000 items");
    CLEANUP(free_pointer) char *deep = repeated("", "[", 500000);
    assert_refused(deep, "filmgate.yaml:1:64: not good YAML: Max depth (64) exceeded");
    CLEANUP(free_pointer) char *environment = repeated("FG", "x", 70000);
    assert_int_equal(setenv("FG_TEST_LONG", environment, 1), 0);
    assert_refused("data: ${FG_TEST_LONG}\n", "filmgate.yaml:1:7: \"data\" is longer than 65536 "
                                              "bytes");
    unsetenv("FG_TEST_LONG");
    char error[SETTINGS_ERROR_SIZE] = "";
    CLEANUP(free_pointer) char *key = repeated("k", "ab", 50000);
    assert_null(load(key, error));
    CLEANUP(free_pointer) char *pair = repeated("? ", "ab", 50000);
    assert_null(load(pair, error));
    assert_true(strlen(error) < SETTINGS_ERROR_SIZE);
}

static void test_scrambled(void **state)
{
    (void)state;
    scramble("listen: '127.0.0.1:80'\nlimits: {images: 3, body: 1MiB}\nchannels:\n"
             "  - {name: a, adapter: b, models: [c, \"d*\"]}\nfetch:\n  allow:\n"
             "    - ${HOME}\n");
}

/* ---- the rest ---- */

static void test_dump(void **state)
{
    (void)state;
    assert_int_equal(setenv("FG_TEST_DIR", "/hidden/place", 1), 0);
    struct settings *settings = load_good("data: ${FG_TEST_DIR}\n"
                                          "drain: 45s\n"
                                          "trusted_proxies: ['a|b']\n");
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    settings_dump(settings, out);
    fclose(out);
    assert_non_null(strstr(text, "| `drain` | time | `30s` | `45s` | 0 to 1h | "));
    assert_non_null(strstr(text, "| `limits.body` | bytes | `64MiB` | `64MiB` | 1KiB to 1GiB | "));
    assert_non_null(strstr(text, "`a\\|b`"));
    assert_non_null(strstr(text, "| `data` | directory | `./var` | (from the environment) |"));
    assert_null(strstr(text, "hidden"));
    free(text);
    settings_free(settings);
}

struct number {
    const char *text;
    int64_t value; /* -1: refused */
};

static void test_spans_and_sizes(void **state)
{
    (void)state;
    static const struct number spans[] = {
        {"0", 0},          {"1ms", 1},  {"30s", 30000}, {"15m", 900000}, {"24h", 86400000},
        {"7d", 604800000}, {"0s", 0},   {"5", -1},      {"s", -1},       {"", -1},
        {"1 s", -1},       {"-1s", -1}, {"1.5h", -1},   {"1S", -1},      {"+1s", -1},
    };
    static const struct number sizes[] = {
        {"0", 0},
        {"17", 17},
        {"17B", 17},
        {"1KiB", 1024},
        {"64MiB", 64 << 20},
        {"2GiB", INT64_C(2) << 30},
        {"1TiB", INT64_C(1) << 40},
        {"1kb", -1},
        {"", -1},
        {"-1", -1},
        {"1 KiB", -1},
        {"KiB", -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(spans); i++) {
        int64_t value = -1;
        assert_int_equal(settings_parse_span(spans[i].text, &value), spans[i].value >= 0);
        assert_int_equal(value, spans[i].value);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        int64_t value = -1;
        assert_int_equal(settings_parse_bytes(sizes[i].text, &value), sizes[i].value >= 0);
        assert_int_equal(value, sizes[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_empty_files),
        cmocka_unit_test(test_paths),       cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_environment), cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_monsters),    cmocka_unit_test(test_scrambled),
        cmocka_unit_test(test_dump),        cmocka_unit_test(test_spans_and_sizes),
    };
    return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
