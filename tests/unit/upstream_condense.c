/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of upstreams on their way to jq: what stays, what changes, what is cut out, what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "upstream/condense.h"

static enum condense_end condensed(const char *text, struct buf *json)
{
    struct condense_blobs blobs = {.are_cut = true, .file = -1};
    buf_init(json, ADAPTER_DOCUMENT_MAX);
    return condense(text, strlen(text), &blobs, json);
}

static void check(const char *text, const char *expected)
{
    CLEANUP(buf_fini) struct buf json;
    enum condense_end end = condensed(text, &json);
    if (end != CONDENSE_DONE || strcmp(buf_text(&json), expected) != 0)
        fail_msg("%s: %d, %s", text, (int)end, buf_text(&json));
}

static void test_good_documents(void **state)
{
    static const struct {
        const char *text, *expected;
    } CASES[] = {
        {" {\t\"a\" : [ 1 , true,\nfalse ,null ] }\r\n", "{\"a\":[1,true,false,null]}"},
        {"{}", "{}"},
        {"[ ]", "[]"},
        {"7", "7"},
        {"\"\"", "\"\""},
        {"null", "null"},
        {"{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}"},
        {"[-0,0,-1.50,1e3,1E+2,0.1e-2]", "[-0,0,-1.50,1e3,1E+2,0.1e-2]"},
        {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"]", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"]"},
        {"[\"\xc3\xa9\xf0\x9f\x8e\xac\x7f\"]", "[\"\xc3\xa9\xf0\x9f\x8e\xac\x7f\"]"},
        {"[\"\\ud83c\\udfac\"]", "[\"\\ud83c\\udfac\"]"},
        /* What neither jq nor a C string takes. */
        {"[\"a\\u0000b\"]", "[\"a\xef\xbf\xbd"
                            "b\"]"},
        {"[\"a\\ud83cb\"]", "[\"a\xef\xbf\xbd"
                            "b\"]"},
        {"[\"\\udfac\\ud83c\"]", "[\"\xef\xbf\xbd\xef\xbf\xbd\"]"},
        {"[\"\\ud83c\\ud83c\\udfac\"]", "[\"\xef\xbf\xbd\\ud83c\\udfac\"]"},
        {"{\"\\u0000\":1}", "{\"\xef\xbf\xbd\":1}"},
        /* Whole numbers beyond 2^53, and what no double holds. */
        {"[9007199254740992,-9007199254740992]", "[9007199254740992,-9007199254740992]"},
        {"[9007199254740993]", "[\"9007199254740993\"]"},
        {"[-9007199254740993]", "[\"-9007199254740993\"]"},
        {"[10000000000000000]", "[\"10000000000000000\"]"},
        {"[18446744073709551616]", "[\"18446744073709551616\"]"},
        {"[9007199254740993.5,9007199254740993e0]", "[9007199254740993.5,9007199254740993e0]"},
        {"[1e308,1e309,-1e999,1e-999]", "[1e308,\"1e309\",\"-1e999\",1e-999]"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++)
        check(CASES[i].text, CASES[i].expected);
}

static void test_long_numbers(void **state)
{
    char text[200], expected[210];
    (void)state;
    (void)snprintf(text, sizeof text, "0.%062d", 1);
    check(text, text);
    (void)snprintf(text, sizeof text, "0.%063d", 1);
    (void)snprintf(expected, sizeof expected, "\"%s\"", text);
    check(text, expected);
}

static void test_bad_documents(void **state)
{
    static const char *const CASES[] = {
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "[1 2]",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "tru",
        "nulll",
        "[1]x",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"a\tb\"",
        "\"a\nb\"",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"\xc0\xaf\"",
        "\xef\xbb\xbf{}",
        "<html>",
        "// c\n1",
        "[1}",
        "{\"a\":1]",
        "\"\\",
        "{1:2}",
        "[\"a\" \"b\"]",
        "{\"a\" 1}",
        "--1",
        "1-",
        "\f1",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        CLEANUP(buf_fini) struct buf json;
        if (condensed(CASES[i], &json) != CONDENSE_NOT_JSON)
            fail_msg("%s is taken", CASES[i]);
    }
}

/* The bytes end where they end, whatever lies behind. */
static void test_cut_documents(void **state)
{
    static const char TEXT[] = "{\"a\":[true,\"\\u0041\\ud83c\\udfac\xc3\xa9\",-1.5e3]} ";
    (void)state;
    for (size_t length = 0; length + 2 < sizeof TEXT; length++) {
        /* A sanitizer guards its end. */
        CLEANUP(free_pointer) char *tight = must_calloc(1, length > 0 ? length : 1);
        CLEANUP(buf_fini) struct buf json;
        struct condense_blobs blobs = {.are_cut = true, .file = -1};
        memcpy(tight, TEXT, length);
        buf_init(&json, ADAPTER_DOCUMENT_MAX);
        assert_int_equal(condense(tight, length, &blobs, &json), CONDENSE_NOT_JSON);
    }
}

static void test_depth(void **state)
{
    char text[2 * (CONDENSE_DEPTH_MAX + 1) + 1] = "";
    (void)state;
    for (size_t depth = CONDENSE_DEPTH_MAX; depth <= CONDENSE_DEPTH_MAX + 1; depth++) {
        CLEANUP(buf_fini) struct buf json;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        assert_int_equal(condensed(text, &json),
                         depth > CONDENSE_DEPTH_MAX ? CONDENSE_TOO_DEEP : CONDENSE_DONE);
    }
}

static void test_size(void **state)
{
    struct condense_blobs blobs = {.are_cut = true, .file = -1};
    (void)state;
    for (size_t most = 5; most <= 6; most++) {
        CLEANUP(buf_fini) struct buf json;
        buf_init(&json, most);
        assert_int_equal(condense("[ 12, 3 ]", 9, &blobs, &json),
                         most < 6 ? CONDENSE_TOO_LARGE : CONDENSE_DONE);
    }
}

/* ---- blobs ---- */

struct scene {
    struct buf text, json;
    struct condense_blobs blobs;
};

static void scene_init(struct scene *scene)
{
    buf_init(&scene->text, 4 << 20);
    buf_init(&scene->json, ADAPTER_DOCUMENT_MAX);
    scene->blobs = (struct condense_blobs){.are_cut = true, .file = memfd_create("test", 0)};
}

static void scene_fini(struct scene *scene)
{
    buf_fini(&scene->text);
    buf_fini(&scene->json);
    close_fd(&scene->blobs.file);
}

static enum condense_end scene_go(struct scene *scene)
{
    buf_clear(&scene->json);
    return condense(buf_text(&scene->text), scene->text.length, &scene->blobs, &scene->json);
}

/* `n` letters that decode to 0x00 0x10 0x83 … : "ABCD" again and again. */
static void add_letters(struct buf *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_putc(text, "ABCD"[i % 4]);
}

static void assert_decoded(int fd, int64_t offset, int64_t bytes)
{
    static const uint8_t PATTERN[] = {0x00, 0x10, 0x83};
    CLEANUP(free_pointer) uint8_t *data = must_calloc(1, (size_t)bytes);
    assert_int_equal(pread(fd, data, (size_t)bytes, offset), bytes);
    for (int64_t i = 0; i < bytes; i++)
        if (data[i] != PATTERN[i % 3])
            fail_msg("byte %d is %d", (int)i, data[i]);
}

static void test_blobs_are_cut_out(void **state)
{
    struct scene scene;
    (void)state;
    scene_init(&scene);
    buf_puts(&scene.text, "{\"a\":\"");
    add_letters(&scene.text, ADAPTER_BLOB_LEAST);
    buf_puts(&scene.text, "\",\"b\":\"data:video/mp4;codecs=x;base64,");
    add_letters(&scene.text, ADAPTER_BLOB_LEAST + 80002);
    buf_puts(&scene.text, "==\",\"c\":\"data:;base64,");
    add_letters(&scene.text, ADAPTER_BLOB_LEAST + 3);
    buf_puts(&scene.text, "\"}");
    assert_int_equal(scene_go(&scene), CONDENSE_DONE);
    assert_string_equal(
        buf_text(&scene.json),
        "{\"a\":{\"$blob\":0},\"b\":{\"$blob\":1,\"type\":\"video/mp4\"},\"c\":{\"$blob\":2}}");
    const int64_t sizes[] = {ADAPTER_BLOB_LEAST / 4 * 3, (ADAPTER_BLOB_LEAST + 80000) / 4 * 3 + 1,
                             ADAPTER_BLOB_LEAST / 4 * 3 + 2};
    int64_t offset = 0;
    assert_int_equal(scene.blobs.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(scene.blobs.list[i].offset, offset);
        assert_int_equal(scene.blobs.list[i].bytes, sizes[i]);
        if (i != 1)
            assert_decoded(scene.blobs.file, offset, sizes[i]);
        offset += sizes[i];
    }
    struct stat status;
    assert_int_equal(fstat(scene.blobs.file, &status), 0);
    assert_int_equal(status.st_size, offset);
    scene_fini(&scene);
}

/* The same bytes in the alphabets and escapes that upstreams write. */
static void test_spellings(void **state)
{
    static const char *const LAST[] = {"+/+/", "-_-_", "+\\/\\u002b\\u002F", "+/\\r\\n+/"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(LAST); i++) {
        uint8_t last[3] = {0};
        struct scene scene;
        scene_init(&scene);
        buf_puts(&scene.text, "\"");
        add_letters(&scene.text, ADAPTER_BLOB_LEAST);
        buf_puts(&scene.text, LAST[i]);
        buf_puts(&scene.text, "\"");
        assert_int_equal(scene_go(&scene), CONDENSE_DONE);
        assert_string_equal(buf_text(&scene.json), "{\"$blob\":0}");
        assert_int_equal(pread(scene.blobs.file, last, 3, ADAPTER_BLOB_LEAST / 4 * 3), 3);
        assert_memory_equal(last, "\xfb\xff\xbf", 3);
        scene_fini(&scene);
    }
}

static void test_what_is_no_blob(void **state)
{
    static const struct {
        const char *before, *after;
        size_t n;
    } CASES[] = {
        {"\"", "\"", ADAPTER_BLOB_LEAST - 1},
        {"\"", "\"", ADAPTER_BLOB_LEAST + 1}, /* one letter is no byte */
        {"\"", "=\"", ADAPTER_BLOB_LEAST},
        {"\"", "==\"", ADAPTER_BLOB_LEAST + 3},
        {"\"", "===\"", ADAPTER_BLOB_LEAST + 1},
        {"\"", "=A\"", ADAPTER_BLOB_LEAST + 2},
        {"\"", ".\"", ADAPTER_BLOB_LEAST},
        {"\" ", "\"", ADAPTER_BLOB_LEAST},
        {"\"", "\\u0000\"", ADAPTER_BLOB_LEAST},
        {"\"data:video/mp4,", "\"", ADAPTER_BLOB_LEAST},
        {"\"date:video/mp4;base64,", "\"", ADAPTER_BLOB_LEAST},
        {"\"data:video mp4;base64,", "\"", ADAPTER_BLOB_LEAST},
        {"{\"", "\":1}", ADAPTER_BLOB_LEAST},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        struct scene scene;
        scene_init(&scene);
        buf_puts(&scene.text, CASES[i].before);
        add_letters(&scene.text, CASES[i].n);
        buf_puts(&scene.text, CASES[i].after);
        assert_int_equal(scene_go(&scene), CONDENSE_DONE);
        if (scene.blobs.n != 0 || scene.json.length < CASES[i].n)
            fail_msg("%s…%s is cut out", CASES[i].before, CASES[i].after);
        scene_fini(&scene);
    }
}

static void test_blobs_without_a_place(void **state)
{
    struct scene scene;
    (void)state;
    scene_init(&scene);
    close_fd(&scene.blobs.file);
    scene.blobs.file = -1;
    buf_puts(&scene.text, "[0");
    for (int i = 0; i < ADAPTER_BLOBS_MAX + 2; i++) {
        buf_puts(&scene.text, ",\"");
        add_letters(&scene.text, ADAPTER_BLOB_LEAST);
        buf_puts(&scene.text, "\"");
    }
    buf_puts(&scene.text, "]");
    assert_int_equal(scene_go(&scene), CONDENSE_DONE);
    assert_string_equal(buf_text(&scene.json),
                        "[0,{\"$blob\":0},{\"$blob\":1},{\"$blob\":2},{\"$blob\":3},null,null]");
    assert_int_equal(scene.blobs.n, ADAPTER_BLOBS_MAX);
    scene.blobs.are_cut = false;
    assert_int_equal(scene_go(&scene), CONDENSE_DONE);
    assert_int_equal(scene.json.length, scene.text.length);
    scene.blobs =
        (struct condense_blobs){.are_cut = true, .file = open("/dev/full", O_WRONLY | O_CLOEXEC)};
    assert_int_equal(scene_go(&scene), CONDENSE_UNWRITABLE);
    scene_fini(&scene);
}

/* ---- what is no JSON ---- */

static void check_text(const char *text, size_t length, const char *expected)
{
    CLEANUP(buf_fini) struct buf json;
    buf_init(&json, 1 << 20);
    condense_text(text, length, &json);
    assert_string_equal(buf_text(&json), expected);
}

static void test_texts(void **state)
{
    char text[CONDENSE_TEXT_BYTES + 10], expected[CONDENSE_TEXT_BYTES + 10];
    (void)state;
    check_text("", 0, "\"\"");
    check_text("<a b=\"c\">\n", 10, "\"<a b=\\\"c\\\">\\n\"");
    check_text("a\0b\xff\x1b", 5,
               "\"a\xef\xbf\xbd"
               "b\xef\xbf\xbd\\u001b\"");
    /* A character that does not fit is left out whole. */
    memset(text, 'a', sizeof text);
    memcpy(text + CONDENSE_TEXT_BYTES - 1, "\xc3\xa9", 2);
    (void)snprintf(expected, sizeof expected, "\"%.*s\"", CONDENSE_TEXT_BYTES - 1, text);
    check_text(text, sizeof text, expected);
    memcpy(text + CONDENSE_TEXT_BYTES - 2, "\xc3\xa9z", 3);
    (void)snprintf(expected, sizeof expected, "\"%.*s\"", CONDENSE_TEXT_BYTES, text);
    check_text(text, sizeof text, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_documents),
        cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_bad_documents),
        cmocka_unit_test(test_cut_documents),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_blobs_are_cut_out),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_what_is_no_blob),
        cmocka_unit_test(test_blobs_without_a_place),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests_name("upstream_condense", tests, NULL, NULL);
}
