/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of downloads: what a stranger's title may become, and what it must not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asset/disposition.h"
#include "base/codec.h"
#include "base/must.h"

enum { NAME_SIZE = 8192, DISPOSITION_LIMIT = 1024 };

static void names_are_written_in_both_forms(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *disposition; /* after `attachment; ` */
    } cases[] = {
        {"film.mp4", "filename=\"film.mp4\""},
        {"a b.mp4", "filename=\"a b.mp4\""},
        {"no extension", "filename=\"no extension\""},
        {"v1.2 final.mp4", "filename=\"v1.2 final.mp4\""},
        {"it's (1)*.mp4", "filename=\"it's (1)_.mp4\""},
        {"", "filename=\"download\""},
        {".mp4", "filename=\"download.mp4\""},
        {"\xc3\xb6.mp4", "filename=\"_.mp4\"; filename*=UTF-8''%C3%B6.mp4"},
        {"\xe6\x98\xa0\xe7\x94\xbb'(1)*.mp4",
         "filename=\"__'(1)_.mp4\"; filename*=UTF-8''%E6%98%A0%E7%94%BB%27%281%29_.mp4"},
        {"\xf0\x9f\x8e\xac.mp4", "filename=\"_.mp4\"; filename*=UTF-8''%F0%9F%8E%AC.mp4"},
        /* A family of emoji keeps its joiner. */
        {"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7.mp4",
         "filename=\"___.mp4\"; filename*=UTF-8''%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7.mp4"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(free_pointer) char *text = disposition_attachment(cases[i].name);
        assert_memory_equal(text, "attachment; ", 12);
        assert_string_equal(text + 12, cases[i].disposition);
    }
}

static void hostile_names_become_harmless(void **state)
{
    (void)state;
    static const struct {
        const char *attack;
        const char *name;
        const char *file; /* as a client reads it */
    } cases[] = {
        {"a quote that ends the name", "a\"; x=\"b.mp4", "a__ x=_b.mp4"},
        {"a backslash before the quote", "a\\\"b.mp4", "a__b.mp4"},
        {"a backslash at the end", "a\\", "a_"},
        {"a header of its own", "a\r\nSet-Cookie: b.mp4", "a__Set-Cookie_ b.mp4"},
        {"a bare line feed", "a\nb.mp4", "a_b.mp4"},
        {"C1 controls",
         "a\xc2\x85\xc2\x9b"
         "b.mp4",
         "a__b.mp4"},
        {"DEL",
         "a\x7f"
         "b.mp4",
         "a_b.mp4"},
        {"the folder above", "../../a.mp4", "_.._a.mp4"},
        {"the folder above, in Windows' words", "..\\..\\a.mp4", "_.._a.mp4"},
        {"only dots", "..", "download"},
        {"dots and an extension", "....mp4", "download.mp4"},
        {"an absolute path", "/etc/passwd.mp4", "_etc_passwd.mp4"},
        {"a drive", "C:\\a.mp4", "C__a.mp4"},
        {"a stream", "a.exe::$DATA.mp4", "a.exe__$DATA.mp4"},
        {"a slash of full width",
         "a\xef\xbc\x8f"
         "b.mp4",
         "a_b.mp4"},
        {"a hidden file", ".bashrc.mp4", "bashrc.mp4"},
        {"hidden behind spaces", " . .bashrc.mp4", "bashrc.mp4"},
        {"percent signs that a client decodes", "100%41%2f.mp4", "100_41_2f.mp4"},
        {"a parameter", "a;b.mp4", "a_b.mp4"},
        {"an extension turned around",
         "gpj\xe2\x80\xae"
         "4pm.exe.mp4",
         "gpj_4pm.exe.mp4"},
        {"isolated directions",
         "a\xe2\x81\xa6"
         "b\xe2\x81\xa9.mp4",
         "a_b_.mp4"},
        {"marks of direction", "a\xe2\x80\x8f\xd8\x9c.mp4", "a__.mp4"},
        {"an extension out of sight", "invoice.pdf                         .mp4",
         "invoice.pdf.mp4"},
        {"… by blanks of all kinds", "a\xe3\x80\x80\xc2\xa0\xe2\x80\x83 b.mp4", "a b.mp4"},
        {"a line separator",
         "a\xe2\x80\xa8"
         "b.mp4",
         "a_b.mp4"},
        {"invisible characters",
         "a\xe2\x80\x8b\xef\xbb\xbf\xc2\xad"
         "b.mp4",
         "a___b.mp4"},
        {"letters as tags", "a\xf3\xa0\x81\xa1.mp4", "a_.mp4"},
        {"bytes that are no text", "\xc3(\xff.mp4", "_(_.mp4"},
        {"a surrogate", "\xed\xa0\x80.mp4", "___.mp4"},
        {"an overlong slash",
         "a\xc0\xaf"
         "b.mp4",
         "a__b.mp4"},
        {"dots and blanks at the end", "a. . .mp4", "a.mp4"},
        {"an extension that is none", "a.m\"p4", "a.m_p4"},
        {"an extension that is too long", "a.abcdefghi", "a.abcdefghi"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char expected[200];
        snprintf(expected, sizeof(expected), "attachment; filename=\"%s\"", cases[i].file);
        CLEANUP(free_pointer) char *text = disposition_attachment(cases[i].name);
        if (strcmp(text, expected) != 0)
            fail_msg("%s: %s", cases[i].attack, text);
    }
}

/* The name in `filename*`, decoded. */
static void read_extended(const char *text, char ret_name[NAME_SIZE])
{
    const char *begin = strstr(text, "filename*=UTF-8''");
    assert_non_null(begin);
    snprintf(ret_name, NAME_SIZE, "%s", begin + strlen("filename*=UTF-8''"));
    assert_true(codec_percent_decode(ret_name));
}

static void long_names_keep_their_extension(void **state)
{
    (void)state;
    static const char *const letters[] = {"a",  "\xc3\xb6", "\xe6\x98\xa0", "\xf0\x9f\x8e\xac",
                                          "a ", "a."};
    for (size_t i = 0; i < ARRAY_LENGTH(letters); i++) {
        char name[NAME_SIZE * 2] = "";
        char got[NAME_SIZE];
        for (size_t n = 0; n < 2000; n++)
            strcat(name, letters[i]);
        strcat(name, ".mp4");
        CLEANUP(free_pointer) char *text = disposition_attachment(name);
        assert_true(strlen(text) < DISPOSITION_LIMIT);
        assert_non_null(strstr(text, ".mp4\""));
        if ((unsigned char)letters[i][0] < 0x80)
            continue;
        read_extended(text, got);
        assert_true(codec_is_utf8(got, strlen(got))); /* cut between characters */
        assert_true(strlen(got) <= 200);
        assert_string_equal(got + strlen(got) - 4, ".mp4");
    }
}

/* Every character that there is, alone and between others. */
static void no_character_breaks_the_header(void **state)
{
    (void)state;
    for (uint32_t code = 1; code < 0x110000; code += code < 0x3000 ? 1 : 17) {
        char name[32];
        size_t n = (size_t)snprintf(name, sizeof(name), "x");
        if (code < 0x80) {
            name[n++] = (char)code;
        } else if (code < 0x800) {
            name[n++] = (char)(0xc0 | code >> 6);
            name[n++] = (char)(0x80 | (code & 0x3f));
        } else if (code < 0x10000) {
            name[n++] = (char)(0xe0 | code >> 12);
            name[n++] = (char)(0x80 | (code >> 6 & 0x3f));
            name[n++] = (char)(0x80 | (code & 0x3f));
        } else {
            name[n++] = (char)(0xf0 | code >> 18);
            name[n++] = (char)(0x80 | (code >> 12 & 0x3f));
            name[n++] = (char)(0x80 | (code >> 6 & 0x3f));
            name[n++] = (char)(0x80 | (code & 0x3f));
        }
        snprintf(name + n, sizeof(name) - n, "y.mp4");
        CLEANUP(free_pointer) char *text = disposition_attachment(name);
        const char *value = text + strlen("attachment; filename=\"");
        const char *end = strchr(value, '"');
        assert_non_null(end);
        assert_true(end - value >= 6 && memcmp(end - 5, "y.mp4", 5) == 0);
        assert_true(end[1] == '\0' || strncmp(end, "\"; filename*=UTF-8''", 19) == 0);
        for (const char *c = text; *c != '\0'; c++)
            assert_in_range(*c, ' ', '~');
        assert_true(strcspn(value, "\\/") >= strlen(value));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_written_in_both_forms),
        cmocka_unit_test(hostile_names_become_harmless),
        cmocka_unit_test(long_names_keep_their_extension),
        cmocka_unit_test(no_character_breaks_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
