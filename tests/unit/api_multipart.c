/* SPDX-License-Identifier: Apache-2.0
 *
 * api/multipart.h: forms as browsers, curl and SDKs write them, and forms that are broken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/multipart.h"

static const char TYPE[] = "multipart/form-data; boundary=B";

#define FIELD(name, value)                                                                         \
    "--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(name, value)                                                                     \
    "--B\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"a.png\"\r\n"             \
    "Content-Type: image/png\r\n\r\n" value "\r\n"
#define END "--B--\r\n"

/* Reads from an exact copy, so that a sanitizer sees one step too far. */
static bool read_form(const char *type, const char *body, size_t length, struct multipart *form,
                      char *error)
{
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, body, length);
    memset(form, 0, sizeof(*form));
    bool is_read = multipart_read(type, copy, length, form, error);
    for (size_t i = 0; is_read && i < form->n_files; i++) /* back into what the caller holds */
        form->files[i].data = body + (form->files[i].data - copy);
    free(copy);
    return is_read;
}

static void reads_fields_and_files(void **state)
{
    (void)state;
    static const char BODY[] = FIELD("model", "sora-2") FILE_PART("input_reference", "\x89PNG")
        FIELD("prompt", "two\r\nlines") END;
    struct multipart form;
    char error[MULTIPART_ERROR_SIZE] = "";
    assert_true(read_form(TYPE, BODY, sizeof(BODY) - 1, &form, error));
    assert_string_equal(json_string_value(json_object_get(form.object, "model")), "sora-2");
    assert_string_equal(json_string_value(json_object_get(form.object, "prompt")), "two\r\nlines");
    const json_t *file = json_object_get(form.object, "input_reference");
    assert_int_equal(json_integer_value(json_object_get(file, "$part")), 0);
    assert_int_equal(form.n_files, 1);
    assert_int_equal(form.files[0].length, 4);
    assert_memory_equal(form.files[0].data, "\x89PNG", 4);
    json_decref(form.object);
}

static void repeated_names_become_lists(void **state)
{
    (void)state;
    static const char BODY[] = FIELD("a", "1") FIELD("a", "2") FIELD("b[]", "3") FILE_PART("c", "x")
        FILE_PART("c", "y") END;
    struct multipart form;
    char error[MULTIPART_ERROR_SIZE] = "";
    assert_true(read_form(TYPE, BODY, sizeof(BODY) - 1, &form, error));
    json_t *wanted = json_pack("{s:[s,s],s:[s],s:[{s:i},{s:i}]}", "a", "1", "2", "b", "3", "c",
                               "$part", 0, "$part", 1);
    assert_non_null(wanted);
    assert_true(json_equal(form.object, wanted));
    json_decref(wanted);
    json_decref(form.object);
}

static void an_empty_file_field_is_passed_over(void **state)
{
    (void)state;
    static const char BODY[] = FILE_PART("a", "") FIELD("b", "") END;
    struct multipart form;
    char error[MULTIPART_ERROR_SIZE] = "";
    assert_true(read_form(TYPE, BODY, sizeof(BODY) - 1, &form, error));
    assert_int_equal(form.n_files, 0);
    assert_int_equal(json_object_size(form.object), 1);
    json_decref(form.object);
}

static void preamble_and_epilogue_mean_nothing(void **state)
{
    (void)state;
    static const char BODY[] = "hello\r\n" FIELD("a", "1") END "bye";
    struct multipart form;
    char error[MULTIPART_ERROR_SIZE] = "";
    assert_true(read_form(TYPE, BODY, sizeof(BODY) - 1, &form, error));
    assert_int_equal(json_object_size(form.object), 1);
    json_decref(form.object);
}

static void broken_forms_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
    } rows[] = {
        {"multipart/form-data", FIELD("a", "1") END},
        {"multipart/form-data; boundary=", FIELD("a", "1") END},
        {"multipart/form-data; boundary=C", FIELD("a", "1") END},
        {TYPE, ""},
        {TYPE, "--B"},
        {TYPE, "--B\r\n"},
        {TYPE, "--Bx\r\n"},
        {TYPE, FIELD("a", "1")},
        {TYPE, FIELD("a", "1") "--B-"},
        {TYPE, "--B\r\n\r\nno name\r\n" END},
        {TYPE, "--B\r\nContent-Disposition: form-data; filename=\"x\"\r\n\r\nx\r\n" END},
        {TYPE, "--B\r\nContent-Disposition: form-data; name=\"x\r\n\r\nx\r\n" END},
        {TYPE, FIELD("a", "\xff\xfe") END},
        {TYPE, FIELD("\xff", "a") END},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct multipart form;
        char error[MULTIPART_ERROR_SIZE] = "";
        assert_false(read_form(rows[i].type, rows[i].body, strlen(rows[i].body), &form, error));
        assert_null(form.object);
        assert_true(strlen(error) > 0);
    }
}

/* Every cut of a good form is refused or read, never read past. */
static void every_cut_is_survived(void **state)
{
    (void)state;
    static const char BODY[] = FIELD("model", "x") FILE_PART("f", "data") END;
    size_t complete = sizeof(BODY) - 1 - 2; /* the last line end is not needed */
    for (size_t length = 0; length < sizeof(BODY); length++) {
        struct multipart form;
        char error[MULTIPART_ERROR_SIZE] = "";
        bool is_read = read_form(TYPE, BODY, length, &form, error);
        assert_int_equal(is_read, length >= complete);
        json_decref(form.object);
    }
}

static void parts_are_bounded(void **state)
{
    (void)state;
    static const char PART[] = FIELD("a", "1");
    size_t part = sizeof(PART) - 1;
    size_t length = (MULTIPART_PARTS_MAX + 1) * part + sizeof(END) - 1;
    char *body = malloc(length + 1);
    assert_non_null(body);
    for (size_t i = 0; i <= MULTIPART_PARTS_MAX; i++)
        memcpy(body + i * part, PART, part);
    memcpy(body + length - (sizeof(END) - 1), END, sizeof(END));
    struct multipart form;
    char error[MULTIPART_ERROR_SIZE] = "";
    assert_false(read_form(TYPE, body, length, &form, error));
    assert_true(read_form(TYPE, body + part, length - part, &form, error));
    json_decref(form.object);
    free(body);
}

static void parameters_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *header, *wanted; /* NULL: not found */
    } rows[] = {
        {"x; name=a", "a"},
        {"x;NAME=\"a b\"", "a b"},
        {"x; filename=\"name=no\"; name=\"yes\"", "yes"},
        {"x; name=\"a\\\"b\"", "a\"b"},
        {"x; name=\"c:\\d\"", "c:\\d"},
        {"x; name=\"open", NULL},
        {"x; names=a", NULL},
        {"x; na=a", NULL},
        {"x; a; name=b ; c", "b"},
        {"x", NULL},
        {"x; name=0123456789", NULL}, /* longer than fits */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char value[8] = "";
        bool is_found = multipart_parameter(rows[i].header, "name", value, sizeof(value));
        assert_int_equal(is_found, rows[i].wanted != NULL);
        if (rows[i].wanted != NULL)
            assert_string_equal(value, rows[i].wanted);
    }
}

static void reads_urlencoded(void **state)
{
    (void)state;
    char error[MULTIPART_ERROR_SIZE] = "";
    char body[] = "model=a&prompt=b+c%20d&&images=1&images=2&flag&x=%E4%BD%A0";
    json_t *read = multipart_read_urlencoded(body, sizeof(body) - 1, error);
    json_t *wanted = json_pack("{s:s,s:s,s:[s,s],s:s,s:s}", "model", "a", "prompt", "b c d",
                               "images", "1", "2", "flag", "", "x", "\xe4\xbd\xa0");
    assert_true(json_equal(read, wanted));
    json_decref(read);
    json_decref(wanted);
    char broken[][8] = {"a=%zz", "a=%", "a=%00", "a=%ff"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_null(multipart_read_urlencoded(broken[i], strlen(broken[i]), error));
    char nul[] = "a=b\0c";
    assert_null(multipart_read_urlencoded(nul, sizeof(nul) - 1, error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_fields_and_files),
        cmocka_unit_test(repeated_names_become_lists),
        cmocka_unit_test(an_empty_file_field_is_passed_over),
        cmocka_unit_test(preamble_and_epilogue_mean_nothing),
        cmocka_unit_test(broken_forms_are_refused),
        cmocka_unit_test(every_cut_is_survived),
        cmocka_unit_test(parts_are_bounded),
        cmocka_unit_test(parameters_are_found),
        cmocka_unit_test(reads_urlencoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
