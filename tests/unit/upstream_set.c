/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of adapters: built-in ones, and those of an operator's folder. */
#include "upstream_adapter_stage.h"

static void test_set(void **state)
{
    static const char PROGRAM[] = "def about: 1;";
    char path[64], error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    make_folder(path);
    write_file(path, "zebra-2.jq", PROGRAM, strlen(PROGRAM));
    write_file(path, "acme.jq", PROGRAM, strlen(PROGRAM));
    write_file(path, "notes.txt", "x", 1);
    write_file(path, ".hidden.jq", "env", 3);
    struct adapter_set *builtin = adapter_set_new(NULL, error);
    struct adapter_set *set = adapter_set_new(path, error);
    assert_non_null(builtin);
    assert_non_null(set);
    assert_int_equal(adapter_count(set), adapter_count(builtin) + 2);
    for (size_t i = 1; i < adapter_count(set); i++)
        assert_true(strcmp(adapter_name(adapter_at(set, i - 1)), adapter_name(adapter_at(set, i))) <
                    0);
    const struct adapter *acme = adapter_find(set, "acme");
    assert_non_null(acme);
    assert_string_equal(adapter_text(acme), PROGRAM);
    assert_non_null(strstr(adapter_file(acme), "/acme.jq"));
    assert_null(adapter_find(set, "notes"));
    adapter_set_free(builtin);
    adapter_set_free(set);
    remove_folder(path);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *name, *text, *error;
    } CASES[] = {
        {"Acme.jq", "1",
         "Acme.jq: an adapter's file is called NAME.jq, NAME being 1 to 40 of a-z 0-9 -"},
        {"-a.jq", "1",
         "-a.jq: an adapter's file is called NAME.jq, NAME being 1 to 40 of a-z 0-9 -"},
        {"animatic.jq", "1",
         "animatic.jq: \"animatic\" is no adapter and cannot be replaced; give the file another "
         "name"},
        {"command.jq", "1",
         "command.jq: \"command\" is no adapter and cannot be replaced; give the file another "
         "name"},
        {"a.jq", "", "a.jq is empty"},
        {"a.jq", "def about:\n  env;", "a.jq:2: an adapter may not use \"env\""},
        {"a.jq", "def about: \xff;", "a.jq:1: this is not UTF-8 text"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        char path[64], error[ADAPTER_ERROR_SIZE] = "", expected[ADAPTER_ERROR_SIZE];
        make_folder(path);
        write_file(path, CASES[i].name, CASES[i].text, strlen(CASES[i].text));
        (void)snprintf(expected, sizeof expected, "%s/%s", path, CASES[i].error);
        assert_null(adapter_set_new(path, error));
        assert_string_equal(error, expected);
        remove_folder(path);
    }
}

static void test_bad_places(void **state)
{
    char path[64], file[100], error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    assert_null(adapter_set_new("/nonexistent", error));
    assert_string_equal(
        error, "the folder of adapters \"/nonexistent\" cannot be read: No such file or directory");
    make_folder(path);
    (void)snprintf(file, sizeof file, "%s/a.jq", path);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_null(adapter_set_new(path, error));
    assert_non_null(strstr(error, "a.jq is no plain file"));
    assert_int_equal(unlink(file), 0);
    CLEANUP(free_pointer) char *text = must_calloc(1, ADAPTER_PROGRAM_MAX + 1);
    memset(text, ' ', ADAPTER_PROGRAM_MAX + 1);
    write_file(path, "a.jq", text, ADAPTER_PROGRAM_MAX + 1);
    assert_null(adapter_set_file(file, error));
    assert_non_null(strstr(error, "a.jq is larger than 256 KiB, the most of a program"));
    remove_folder(path);
}

static void test_about(void **state)
{
    struct folder folder;
    char error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    folder_init(&folder,
                "def submit: 1; def submitted: 1; def poll: 1; def polled: 1;"
                "def about: {summary: \"s\", evidence: \"wire\", auth: {kind: \"none\"}};");
    CLEANUP(json_unref_pointer)
    json_t *about = adapter_about(adapter_find(folder.set, "it"), error);
    assert_string_equal(error, "");
    assert_string_equal(json_text(about, "evidence"), "wire");
    assert_int_equal(json_int(json_object_get(about, "poll"), "every_s", 0), 5);
    folder_fini(&folder);
    folder_init(&folder, REST "def submit: 1;");
    assert_null(adapter_about(adapter_find(folder.set, "it"), error));
    assert_string_equal(error, "adapter \"it\": about.summary is missing");
    folder_fini(&folder);
}

/* All built-in ones are sound. */
static void test_builtin(void **state)
{
    char error[ADAPTER_ERROR_SIZE] = "";
    (void)state;
    struct adapter_set *set = adapter_set_new("", error); /* as the setting is */
    assert_string_equal(error, "");
    for (size_t i = 0; i < adapter_count(set); i++) {
        CLEANUP(json_unref_pointer) json_t *about = adapter_about(adapter_at(set, i), error);
        assert_string_equal(error, "");
        assert_non_null(about);
        assert_null(adapter_file(adapter_at(set, i)));
    }
    adapter_set_free(set);
}

/* A vendor, a model, a slip of the finger: what of the built-in ones, or of the set NULL, is meant. */
static void test_suggest(void **state)
{
    static const struct {
        const char *name, *meant;
    } CASES[] = {
        {"klng", "; is it \"kling\" you mean? "},
        {"veo", "; is it \"gemini-veo\" or \"vertex-veo\" you mean? "},
        {"seedance", "; is it \"ark\" you mean? "},
        {"Hailuo", "; is it \"minimax\" you mean? "},
        {"grok", "; is it \"xai\" you mean? "}, /* though "ark" is spelt more like it */
        {"sora", "; is it \"openai-videos\" or \"unified\" you mean? "},
        {"comand", "; is it \"command\" you mean? "},
        {"eedance", ": "},   /* the end of a word */
        {"submitted", ": "}, /* all speak of it */
        {"xi", "; is it \"xai\" you mean? "},
        {"nonsense", ": "},
        {"", ": "},
    };
    char error[ADAPTER_ERROR_SIZE] = "";
    struct adapter_set *set = adapter_set_new(NULL, error);
    CLEANUP(buf_fini) struct buf meant;
    (void)state;
    assert_non_null(set);
    buf_init(&meant, 500);
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        buf_clear(&meant);
        adapter_suggest(set, CASES[i].name, &meant);
        const char *pointer = CASES[i].meant[0] == ':' ? "`filmgate adapters list` shows them"
                                                       : "`filmgate adapters list` shows them all";
        char expected[200];
        (void)snprintf(expected, sizeof expected, "%s%s", CASES[i].meant, pointer);
        assert_string_equal(buf_text(&meant), expected);
    }
    buf_clear(&meant);
    adapter_suggest(NULL, "animatik", &meant);
    assert_non_null(strstr(buf_text(&meant), "is it \"animatic\" you mean"));
    adapter_set_free(set);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "helper") == 0)
        return adapter_helper_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_bad_places), cmocka_unit_test(test_about),
        cmocka_unit_test(test_builtin),    cmocka_unit_test(test_suggest),
    };
    return cmocka_run_group_tests_name("upstream_set", tests, NULL, NULL);
}
