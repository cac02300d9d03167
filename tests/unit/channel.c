/* SPDX-License-Identifier: Apache-2.0
 *
 * Which channel serves a model. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "upstream/channel.h"

static const char *const WILD[] = {"sora-*", "kling"};
static const char *const EXACT[] = {"sora-2", "veo3.1"};
static const char *const ENDS[] = {"*-pro", "a*b*c", "kling"};

static const struct settings_channel CHANNELS[] = {
    {"wild", "animatic", {WILD, ARRAY_LENGTH(WILD)}, 0, 2},
    {"exact", "animatic", {EXACT, ARRAY_LENGTH(EXACT)}, 50, 5},
    {"ends", "animatic", {ENDS, ARRAY_LENGTH(ENDS)}, 0, 9},
};

static struct channel_table *make(const struct settings *settings)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    struct channel_table *table = channel_table_new(settings, error);
    assert_string_equal(error, "");
    assert_non_null(table);
    return table;
}

struct look_up {
    const char *model;
    const char *channel; /* NULL: none */
};

static void test_look_up(void **state)
{
    (void)state;
    static const struct look_up look_ups[] = {
        {"sora-2", "exact"},    /* by priority, though "wild" stands first */
        {"sora-2-pro", "wild"}, /* equal priority: order in the file */
        {"sora-", "wild"},      {"sora", NULL},       {"kling", "wild"},
        {"kling2", NULL},       {"veo3.1", "exact"},  {"veo3x1", NULL}, /* a dot is a dot */
        {"x-pro", "ends"},      {"-pro-pro", "ends"}, {"x-prox", NULL},
        {"abc", "ends"},        {"aXbYc", "ends"},    {"abcbc", "ends"},
        {"acb", NULL},          {"*", NULL},          {"", NULL},
    };
    const struct settings settings = {.channels = CHANNELS, .n_channels = ARRAY_LENGTH(CHANNELS)};
    struct channel_table *table = make(&settings);
    assert_false(channel_is_catch_all(table));
    for (size_t i = 0; i < ARRAY_LENGTH(look_ups); i++) {
        const struct channel *channel = channel_for_model(table, look_ups[i].model);
        if (look_ups[i].channel == NULL) {
            assert_null(channel);
            continue;
        }
        assert_non_null(channel);
        assert_string_equal(channel->name, look_ups[i].channel);
        assert_true(channel->is_builtin);
    }
    channel_table_free(table);
}

static void test_names(void **state)
{
    (void)state;
    const struct settings settings = {.channels = CHANNELS, .n_channels = ARRAY_LENGTH(CHANNELS)};
    struct channel_table *table = make(&settings);
    const char *const *names;
    assert_int_equal(channel_model_names(table, &names), 3);
    assert_string_equal(names[0], "sora-2");
    assert_string_equal(names[1], "veo3.1");
    assert_string_equal(names[2], "kling");
    channel_table_free(table);
}

static void test_catch_all(void **state)
{
    (void)state;
    const struct settings settings = {0};
    struct channel_table *table = make(&settings);
    assert_true(channel_is_catch_all(table));
    const struct channel *channel = channel_for_model(table, "anything at all");
    assert_non_null(channel);
    assert_true(channel->is_builtin);
    assert_string_equal(channel->name, "animatic");
    const char *const *names;
    size_t count = channel_model_names(table, &names);
    assert_int_equal(count, 5);
    assert_string_equal(names[0], "sora-2");
    for (size_t i = 0; i < count; i++)
        assert_null(strchr(names[i], '*'));
    channel_table_free(table);
}

static void test_unknown_adapter(void **state)
{
    (void)state;
    const struct settings_channel channel = {"mine", "flux", {EXACT, 1}, 0, 12};
    const struct settings settings = {
        .channels = &channel, .n_channels = 1, .file = "filmgate.yaml"};
    char error[SETTINGS_ERROR_SIZE] = "";
    assert_null(channel_table_new(&settings, error));
    assert_string_equal(error, "filmgate.yaml:12: channel \"mine\" has the adapter \"flux\", which "
                               "is not known; known: animatic");
}

/* Many stars against a long name end at once. */
static void test_hard_pattern(void **state)
{
    (void)state;
    static const char *const pattern[] = {"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"};
    const struct settings_channel channel = {"mine", "animatic", {pattern, 1}, 0, 1};
    const struct settings settings = {.channels = &channel, .n_channels = 1};
    struct channel_table *table = make(&settings);
    char model[129];
    memset(model, 'a', sizeof(model) - 1);
    model[128] = '\0';
    assert_null(channel_for_model(table, model));
    model[127] = 'b';
    assert_non_null(channel_for_model(table, model));
    channel_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look_up),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_catch_all),    cmocka_unit_test(test_unknown_adapter),
        cmocka_unit_test(test_hard_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
