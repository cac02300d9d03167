/* SPDX-License-Identifier: Apache-2.0
 *
 * Which channel serves a model, and what makes a channel of the configuration and of what its adapter says. The
 * adapters are doubles that say what a test gave them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "service_key.h"
#include "upstream/channel.h"

/* ---- the doubles ---- */

struct adapter {
    const char *name;
    const char *about; /* JSON; NULL: it fails */
    int *n_runs;       /* NULL: nobody counts */
};

struct adapter_set {
    const struct adapter *items;
    size_t count;
};

const struct adapter *adapter_find(const struct adapter_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->items[i].name, name) == 0)
            return &set->items[i];
    }
    return NULL;
}

size_t adapter_count(const struct adapter_set *set)
{
    return set->count;
}

const struct adapter *adapter_at(const struct adapter_set *set, size_t index)
{
    return &set->items[index];
}

const char *adapter_name(const struct adapter *adapter)
{
    return adapter->name;
}

const char *adapter_text(const struct adapter *adapter)
{
    return adapter->about != NULL ? adapter->about : "";
}

json_t *adapter_about(const struct adapter *adapter, char ret_error[ADAPTER_ERROR_SIZE])
{
    if (adapter->n_runs != NULL)
        ++*adapter->n_runs;
    if (adapter->about == NULL) {
        snprintf(ret_error, ADAPTER_ERROR_SIZE, "adapter \"%s\", line 3: nothing comes of it",
                 adapter->name);
        return NULL;
    }
    json_t *about = json_loads(adapter->about, 0, NULL);
    assert_non_null(about);
    return about;
}

static const char WHOLE[] =
    "{\"summary\": \"A vendor.\", \"evidence\": \"wire\", \"base_url\": "
    "\"https://api.example.com/\","
    " \"hosts\": [\"rest.example.com\", \"127.0.0.1:9000\"],"
    " \"auth\": {\"kind\": \"header\", \"name\": \"Authorization\", \"prefix\": \"Key \"},"
    " \"job\": {\"chosen\": true}, \"submit\": {\"total_s\": 90},"
    " \"poll\": {\"first_s\": 2.5, \"every_s\": 3, \"longest_s\": 30},"
    " \"result\": {\"life_s\": 3600, \"renews\": true, \"auth\": true},"
    " \"cancel\": {\"while\": [\"pending\"]},"
    " \"models\": [{\"name\": \"veo-3*\", \"durations\": [8, 4, 6],"
    "   \"durations_with_images\": [6, 5], \"sizes\": [\"1280x720\"],"
    "   \"aspect_ratios\": [\"16:9\"], \"resolutions\": [\"1080p\", \"720p\", \"4k\"],"
    "   \"images\": {\"least\": 0, \"most\": 1}},"
    "  {\"name\": \"*\", \"durations\": {\"least\": 3, \"most\": 15},"
    "   \"durations_with_images\": {\"most\": 9}}]}";

static const struct adapter ADAPTERS[] = {
    {"bearer", "{\"base_url\": \"https://b.example.com\", \"auth\": {\"kind\": \"bearer\"}}", NULL},
    {"broken", NULL, NULL},
    {"google",
     "{\"base_url\": \"https://g.example.com\", \"auth\": {\"kind\": \"google_service_account\", "
     "\"scope\": \"https://scope.example.com/all\"}}",
     NULL},
    {"homeless", "{\"auth\": {\"kind\": \"none\"}}", NULL},
    {"caller",
     "{\"base_url\": \"https://c.example.com\", \"auth\": {\"kind\": \"none\"}, \"callback\": "
     "true}",
     NULL},
    {"jwt", "{\"base_url\": \"https://j.example.com\", \"auth\": {\"kind\": \"jwt_hs256\"}}", NULL},
    {"signs",
     "{\"base_url\": \"https://s.example.com\", \"auth\": {\"kind\": \"volcengine\", "
     "\"service\": \"cv\", \"region\": \"cn-north-1\"}}",
     NULL},
    {"whole", WHOLE, NULL},
};

static const struct adapter_set SET = {ADAPTERS, ARRAY_LENGTH(ADAPTERS)};

/* ---- settings as their reader leaves them ---- */

#define NO_OPTIONS .options = NULL
#define USUAL                                                                                      \
    .weight = 1, .concurrency = 4, .on_unknown = "hold", .fit = "nearest", .line = 12, NO_OPTIONS

static const struct settings_model WILD[] = {{"sora-*", NULL}, {"kling", NULL}};
static const struct settings_model EXACT[] = {{"sora-2", NULL}, {"veo3.1", NULL}};
static const struct settings_model ENDS[] = {{"*-pro", NULL}, {"a*b*c", NULL}, {"kling", NULL}};
static const struct settings_model MAPPED[] = {{"sora-2", "veo-3.1"}, {"x*", NULL}, {"*", "all"}};

static const struct settings_channel CHANNELS[] = {
    {.name = "wild", .adapter = "animatic", .models = WILD, .n_models = 2, USUAL},
    {.name = "exact", .adapter = "animatic", .models = EXACT, .n_models = 2, .priority = 50, USUAL},
    {.name = "ends", .adapter = "animatic", .models = ENDS, .n_models = 3, USUAL},
};

static const struct settings_credential ONE_KEY = {"default", "key-1", NULL, NULL};
static const struct settings_credential PAIR[] = {{"a", "key-a", "secret-a", NULL},
                                                  {"b", "key-b", NULL, NULL}};
static const struct settings_credential GOOGLE_KEYS[] = {
    {"account", ACCOUNT_JSON(RFC_RSA_PEM, "https://oauth2.example.com/token"), NULL, NULL},
    {"plain", "AIza-plain", NULL, NULL},
    {"broken", "{\"type\": \"service_account\",", NULL, NULL},
    {"named", "sa.json", NULL, NULL},
    {"lines", "{a\nb}", NULL, NULL},
    {"list", "[1]", NULL, NULL},
    {"quoted", "\"AIza-plain\"", NULL, NULL},
    {"pair", "{\"access_key\": \"a\", \"secret_key\": \"b\"}", NULL, NULL},
};
static const struct settings_header HEADER = {"X-Team", "video"};

static struct channel_table *make_of(const struct settings_channel *channels, size_t count)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    const struct settings settings = {
        .channels = channels,
        .n_channels = count,
        .file = "filmgate.yaml",
        .upstream_connect = 7000,
        .upstream_exchange = 8000,
    };
    struct channel_table *table = channel_table_new(&settings, &SET, error);
    assert_string_equal(error, "");
    assert_non_null(table);
    return table;
}

/* The first channel that serves it. */
static const struct channel *channel_for(const struct channel_table *table, const char *model)
{
    const char *upstream;
    for (size_t i = 0; i < channel_count(table); i++) {
        if (channel_serves(channel_at(table, i), model, &upstream))
            return channel_at(table, i);
    }
    return NULL;
}

/* ---- look-ups ---- */

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
    struct channel_table *table = make_of(CHANNELS, ARRAY_LENGTH(CHANNELS));
    for (size_t i = 0; i < ARRAY_LENGTH(look_ups); i++) {
        const struct channel *channel = channel_for(table, look_ups[i].model);
        assert_int_equal(channel_is_served(table, look_ups[i].model), channel != NULL);
        if (look_ups[i].channel == NULL) {
            assert_null(channel);
            continue;
        }
        assert_non_null(channel);
        assert_string_equal(channel->name, look_ups[i].channel);
        assert_true(channel->is_animatic);
    }
    assert_ptr_equal(channel_named(table, "ends"), channel_at(table, 2));
    assert_null(channel_named(table, "end"));
    channel_table_free(table);
}

static void test_names(void **state)
{
    (void)state;
    struct channel_table *table = make_of(CHANNELS, ARRAY_LENGTH(CHANNELS));
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
    struct channel_table *table = make_of(NULL, 0);
    const struct channel *channel = channel_for(table, "anything at all");
    assert_non_null(channel);
    assert_true(channel->is_animatic);
    assert_string_equal(channel->name, "animatic");
    assert_true(channel_is_served(table, "anything"));
    const char *const *names;
    size_t count = channel_model_names(table, &names);
    assert_int_equal(count, 5);
    assert_string_equal(names[0], "sora-2");
    for (size_t i = 0; i < count; i++)
        assert_null(strchr(names[i], '*'));
    channel_table_free(table);
}

/* What is drained serves those who ask by channel, but nothing new. */
static void test_drained(void **state)
{
    (void)state;
    struct settings_channel channels[2] = {CHANNELS[0], CHANNELS[1]};
    channels[1].drain = true;
    struct channel_table *table = make_of(channels, 2);
    const char *const *names;
    assert_true(channel_named(table, "exact")->is_drained);
    assert_true(channel_is_served(table, "sora-2")); /* by "wild" */
    assert_false(channel_is_served(table, "veo3.1"));
    assert_string_equal(channel_for(table, "veo3.1")->name, "exact");
    assert_int_equal(channel_model_names(table, &names), 1);
    assert_string_equal(names[0], "kling");
    channel_table_free(table);
}

/* Many stars against a long name end at once. */
static void test_hard_pattern(void **state)
{
    (void)state;
    static const struct settings_model pattern = {"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", NULL};
    const struct settings_channel channel = {
        .name = "mine", .adapter = "animatic", .models = &pattern, .n_models = 1, USUAL};
    struct channel_table *table = make_of(&channel, 1);
    char model[129];
    memset(model, 'a', sizeof(model) - 1);
    model[128] = '\0';
    assert_false(channel_is_served(table, model));
    model[127] = 'b';
    assert_true(channel_is_served(table, model));
    channel_table_free(table);
}

static void test_references(void **state)
{
    (void)state;
    struct channel_table *table = make_of(CHANNELS, 1);
    assert_ptr_equal(channel_table_ref(table), table);
    assert_null(channel_table_free(table));
    assert_int_equal(channel_count(table), 1); /* still there */
    assert_null(channel_table_free(table));
    assert_null(channel_table_free(NULL));
}

static void test_upstream_names(void **state)
{
    (void)state;
    static const struct {
        const char *model, *upstream;
    } samples[] = {{"sora-2", "veo-3.1"}, {"x1", "x1"}, {"other", "all"}};
    const struct settings_channel channel = {.name = "mine",
                                             .adapter = "homeless",
                                             .base_url = "http://127.0.0.1:1",
                                             .models = MAPPED,
                                             .n_models = 3,
                                             USUAL};
    struct channel_table *table = make_of(&channel, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        const char *upstream = NULL;
        assert_true(channel_serves(channel_at(table, 0), samples[i].model, &upstream));
        assert_string_equal(upstream, samples[i].upstream);
    }
    channel_table_free(table);
}

/* ---- what a channel is made of ---- */

static void assert_powers(const struct channel *channel)
{
    assert_true(channel->can_choose_job);
    assert_true(channel->can_cancel_pending);
    assert_false(channel->can_cancel_rendering);
    assert_true(channel->renews_result);
    assert_true(channel->result_needs_auth);
    assert_int_equal(channel->submit_total_ms, 90000);
    assert_int_equal(channel->poll_first_ms, 2500);
    assert_int_equal(channel->poll_every_ms, 3000);
    assert_int_equal(channel->poll_longest_ms, 30000);
}

static void assert_capabilities(const struct channel *channel)
{
    assert_int_equal(channel->n_capabilities, 2);
    const struct channel_capability *veo = &channel->capabilities[0];
    assert_string_equal(veo->pattern, "veo-3*");
    assert_int_equal(veo->durations.n, 3);
    assert_int_equal(veo->durations.list[0], 4);
    assert_int_equal(veo->durations.list[2], 8);
    assert_int_equal(veo->durations_with_images.n, 2);
    assert_int_equal(veo->durations_with_images.list[0], 5);
    assert_int_equal(veo->n_sizes, 1);
    assert_string_equal(veo->ratios[0], "16:9");
    assert_int_equal(veo->n_resolutions, 3);
    assert_string_equal(veo->resolutions[0], "720p");
    assert_string_equal(veo->resolutions[2], "4k");
    assert_int_equal(veo->images_least, 0);
    assert_int_equal(veo->images_most, 1);
    const struct channel_capability *rest = &channel->capabilities[1];
    assert_int_equal(rest->durations.n, 0);
    assert_int_equal(rest->durations.least, 3);
    assert_int_equal(rest->durations.most, 15);
    assert_int_equal(rest->durations_with_images.least, 0);
    assert_int_equal(rest->durations_with_images.most, 9);
    assert_int_equal(rest->images_most, -1);
}

static void test_whole_channel(void **state)
{
    (void)state;
    json_t *options = json_pack("{s:s}", "style", "cinematic");
    const struct settings_channel source = {
        .name = "mine",
        .adapter = "whole",
        .models = EXACT,
        .n_models = 2,
        .credentials = &ONE_KEY,
        .n_credentials = 1,
        .priority = 3,
        .weight = 5,
        .concurrency = 9,
        .submits_per_minute = 60,
        .polls_per_minute = 600,
        .on_unknown = "resubmit",
        .fit = "strict",
        .headers = &HEADER,
        .n_headers = 1,
        .proxy = "http://127.0.0.1:3128",
        .options = options,
    };
    struct channel_table *table = make_of(&source, 1);
    const struct channel *channel = channel_at(table, 0);
    assert_false(channel->is_animatic);
    assert_string_equal(channel->base_url, "https://api.example.com");
    assert_string_equal(channel->hosts[0], "rest.example.com");
    assert_string_equal(channel->hosts[1], "127.0.0.1:9000");
    assert_null(channel->hosts[2]);
    assert_int_equal(channel->auth, AUTH_WAY_HEADER);
    assert_string_equal(channel->auth_name, "Authorization");
    assert_string_equal(channel->auth_prefix, "Key ");
    assert_int_equal(channel->n_credentials, 1);
    assert_string_equal(channel_credential_named(channel, "default")->key, "key-1");
    assert_null(channel_credential_named(channel, "other"));
    assert_int_equal(channel->weight, 5);
    assert_int_equal(channel->concurrency, 9);
    assert_int_equal(channel->submits_per_minute, 60);
    assert_int_equal(channel->polls_per_minute, 600);
    assert_int_equal(channel->on_unknown, TASK_UNKNOWN_RESUBMIT);
    assert_true(channel->is_strict);
    assert_int_equal(channel->n_headers, 1);
    assert_string_equal(channel->headers[0].value, "video");
    assert_string_equal(channel->road.proxy, "http://127.0.0.1:3128");
    assert_int_equal(channel->connect_ms, 7000);
    assert_int_equal(channel->exchange_total_ms, 8000);
    assert_ptr_equal(channel->options, options);
    assert_powers(channel);
    assert_capabilities(channel);
    channel_table_free(table);
    json_decref(options);
}

static void test_modest_channel(void **state)
{
    (void)state;
    const struct settings_channel source = {.name = "mine",
                                            .adapter = "homeless",
                                            .base_url = "http://127.0.0.1:8188/api///",
                                            .models = EXACT,
                                            .n_models = 2,
                                            USUAL};
    struct channel_table *table = make_of(&source, 1);
    const struct channel *channel = channel_at(table, 0);
    assert_string_equal(channel->base_url, "http://127.0.0.1:8188/api");
    assert_int_equal(channel->auth, AUTH_WAY_NONE);
    assert_int_equal(channel->n_credentials, 1);
    assert_string_equal(channel->credentials[0].key, "");
    assert_int_equal(channel->on_unknown, TASK_UNKNOWN_HOLD);
    assert_false(channel->is_strict);
    assert_int_equal(channel->submit_total_ms, 60000);
    assert_int_equal(channel->poll_first_ms, 10000);
    assert_int_equal(channel->poll_every_ms, 5000);
    assert_int_equal(channel->poll_longest_ms, 60000);
    assert_false(channel->can_choose_job);
    assert_false(channel->can_cancel_pending);
    assert_false(channel->renews_result);
    assert_false(channel->result_needs_auth);
    assert_null(channel->hosts[0]);
    assert_int_equal(channel->n_capabilities, 0);
    channel_table_free(table);
}

/* A program is run once, however many channels use it; and a channel's own address goes before the adapter's. */
static void test_two_of_one_adapter(void **state)
{
    (void)state;
    int n_runs = 0;
    const struct adapter adapter = {
        "j", "{\"base_url\": \"https://j.example.com\", \"auth\": {\"kind\": \"jwt_hs256\"}}",
        &n_runs};
    const struct adapter_set set = {&adapter, 1};
    struct settings_channel channels[2] = {
        {.name = "one",
         .adapter = "j",
         .models = EXACT,
         .n_models = 2,
         .credentials = PAIR,
         .n_credentials = 2,
         USUAL},
        {.name = "two",
         .adapter = "j",
         .models = EXACT,
         .n_models = 2,
         .credentials = PAIR,
         .n_credentials = 2,
         .base_url = "https://other.example.com/",
         USUAL},
    };
    const struct settings settings = {.channels = channels, .n_channels = 2};
    char error[SETTINGS_ERROR_SIZE] = "";
    struct channel_table *table = channel_table_new(&settings, &set, error);
    assert_non_null(table);
    assert_int_equal(n_runs, 1);
    assert_string_equal(channel_at(table, 0)->base_url, "https://j.example.com");
    assert_string_equal(channel_at(table, 1)->base_url, "https://other.example.com");
    assert_string_equal(channel_credential_named(channel_at(table, 1), "a")->secret, "secret-a");
    assert_null(channel_credential_named(channel_at(table, 1), "b")->secret);
    channel_table_free(table);
}

/* What signs is given the whole of it. */
static void test_signing(void **state)
{
    (void)state;
    const struct settings_channel source = {.name = "one",
                                            .adapter = "signs",
                                            .models = EXACT,
                                            .n_models = 2,
                                            .credentials = PAIR,
                                            .n_credentials = 1,
                                            USUAL};
    struct channel_table *table = make_of(&source, 1);
    const struct channel *channel = channel_at(table, 0);
    assert_int_equal(channel->auth, AUTH_WAY_VOLCENGINE);
    assert_string_equal(channel->auth_service, "cv");
    assert_string_equal(channel->auth_region, "cn-north-1");
    assert_string_equal(channel_credential_named(channel, "a")->secret, "secret-a");
    channel_table_free(table);
}

/* Of the JSON key nothing is left that could be sent in a mistake. */
static void test_accounts(void **state)
{
    (void)state;
    const struct settings_channel source = {.name = "google",
                                            .adapter = "google",
                                            .models = EXACT,
                                            .n_models = 2,
                                            .credentials = GOOGLE_KEYS,
                                            .n_credentials = 2,
                                            USUAL};
    const struct settings settings = {.channels = &source, .n_channels = 1};
    char error[SETTINGS_ERROR_SIZE] = "";
    struct channel_table *table = channel_table_new(&settings, &SET, error);
    assert_string_equal(error, "");
    const struct channel *channel = channel_at(table, 0);
    assert_int_equal(channel->auth, AUTH_WAY_GOOGLE);
    assert_string_equal(channel->auth_scope, "https://scope.example.com/all");
    assert_string_equal(channel->credentials[0].key, "");
    assert_string_equal(channel->credentials[0].account->email,
                        "films@example.iam.gserviceaccount.com");
    assert_null(channel->credentials[0].token);
    assert_string_equal(channel->credentials[1].key, "AIza-plain");
    assert_null(channel->credentials[1].account);
    channel_table_free(table);
}

/* ---- errors ---- */

#define MINE .name = "mine", .models = EXACT, .n_models = 2, USUAL

struct refused {
    struct settings_channel source;
    const char *error; /* after `filmgate.yaml:12: channel "mine" ` */
};

static const char *const RELATIVE = "sh", *const MISSING = "/nonexistent/sh", *const FOLDER = "/",
                         *const SHELL = "/bin/sh";

static const struct refused REFUSED[] = {
    {{MINE, .adapter = "flux"},
     "has the adapter \"flux\", which is not known: `filmgate adapters list` shows them"},
    {{MINE, .adapter = "bearr"},
     "has the adapter \"bearr\", which is not known; is it \"bearer\" you mean? `filmgate adapters "
     "list` shows them all"},
    {{MINE, .adapter = "command"}, "needs a \"command\": a program and its arguments, as a list"},
    {{MINE, .adapter = "command", .command = {&RELATIVE, 1}},
     "has the program \"sh\", which must be an absolute path: nothing is searched for"},
    {{MINE, .adapter = "command", .command = {&MISSING, 1}},
     "has the program \"/nonexistent/sh\", which cannot be found: No such file or directory"},
    {{MINE, .adapter = "command", .command = {&FOLDER, 1}},
     "has the program \"/\", which is not an executable file"},
    {{MINE, .adapter = "command", .command = {&SHELL, 1}, .poll_first = 1},
     "runs a program, which needs no base_url, credentials, headers, proxy, ca, callback, polls or "
     "limits a minute; leave them out"},
    {{MINE, .adapter = "command", .command = {&SHELL, 1}, .callback = true},
     "runs a program, which needs no base_url, credentials, headers, proxy, ca, callback, polls or "
     "limits a minute; leave them out"},
    {{MINE, .adapter = "bearer", .command = {&SHELL, 1}},
     "has a \"command\" or \"command_env\", which only the adapter \"command\" runs"},
    {{MINE, .adapter = "broken"},
     "cannot be used: adapter \"broken\", line 3: nothing comes of it"},
    {{MINE, .adapter = "homeless"},
     "needs a \"base_url\": the adapter \"homeless\" has no address of its own"},
    {{MINE, .adapter = "bearer"},
     "needs a credential for the adapter \"bearer\": set \"key\", best from the environment (key: "
     "${NAME}), or \"credentials\""},
    {{MINE, .adapter = "jwt"},
     "needs a credential for the adapter \"jwt\": set \"key\", and \"secret\" where it has one, "
     "best from the environment (key: ${NAME}), or \"credentials\""},
    {{MINE, .adapter = "signs"},
     "needs a credential for the adapter \"signs\": set \"key\" and \"secret\", best from the "
     "environment (key: ${NAME}), or \"credentials\""},
    {{MINE, .adapter = "signs", .credentials = PAIR, .n_credentials = 2},
     "has no \"secret\" in the credential \"b\", with which the adapter \"signs\" signs"},
    {{MINE, .adapter = "bearer", .credentials = PAIR, .n_credentials = 2},
     "has a \"secret\" in the credential \"a\", but the adapter \"bearer\" signs nothing; leave "
     "it out"},
    {{MINE, .adapter = "homeless", .base_url = "http://[::1]:1", .credentials = &ONE_KEY,
      .n_credentials = 1},
     "has a key, but the adapter \"homeless\" sends none; leave it out"},
    {{MINE, .adapter = "google", .credentials = GOOGLE_KEYS + 2, .n_credentials = 1},
     "has a credential \"broken\" whose key is no JSON object: copy the whole file that the "
     "console "
     "wrote"},
    {{MINE, .adapter = "google", .credentials = GOOGLE_KEYS + 3, .n_credentials = 1},
     "has a credential \"named\" whose key is the name of a file: give it as \"key_file\""},
    {{MINE, .adapter = "google", .credentials = GOOGLE_KEYS, .n_credentials = 4},
     "has a credential \"broken\" whose key is no JSON object: copy the whole file that the "
     "console "
     "wrote"},
    {{MINE, .adapter = "bearer", .credentials = GOOGLE_KEYS + 4, .n_credentials = 1},
     "has a key of several lines in the credential \"lines\", which the adapter \"bearer\" cannot "
     "send"},
    {{MINE, .adapter = "google", .credentials = GOOGLE_KEYS + 5, .n_credentials = 1},
     "has a credential \"list\" whose key is no JSON object: copy the whole file that the console "
     "wrote"},
    {{MINE, .adapter = "google", .credentials = GOOGLE_KEYS + 6, .n_credentials = 1},
     "has a credential \"quoted\" whose key is no JSON object: copy the whole file that the "
     "console "
     "wrote"},
    {{MINE, .adapter = "google", .credentials = GOOGLE_KEYS + 7, .n_credentials = 1},
     "has a credential \"pair\" whose key is the key of no service account: its \"type\" is not "
     "\"service_account\""},
    {{MINE, .adapter = "bearer", .credentials = GOOGLE_KEYS, .n_credentials = 1},
     "has JSON as the key of the credential \"account\", but the adapter \"bearer\" takes a plain "
     "key"},
    {{MINE, .adapter = "bearer", .credentials = GOOGLE_KEYS + 5, .n_credentials = 1},
     "has JSON as the key of the credential \"list\", but the adapter \"bearer\" takes a plain "
     "key"},
    {{MINE, .adapter = "jwt", .credentials = GOOGLE_KEYS + 7, .n_credentials = 1},
     "has JSON as the key of the credential \"pair\", but the adapter \"jwt\" takes a plain key; "
     "put "
     "its parts into \"key\" and \"secret\""},
    {{MINE, .adapter = "bearer", .credentials = &ONE_KEY, .n_credentials = 1,
      .ca = "/nonexistent/ca.pem"},
     "has the \"ca\" \"/nonexistent/ca.pem\", which cannot be read: No such file or directory"},
    {{MINE, .adapter = "animatic", .base_url = "http://x"},
     "is the built-in engine, which needs no base_url, credentials, headers, proxy, ca, "
     "callback, polls, limits a minute or options; leave them out"},
    {{MINE, .adapter = "animatic", .credentials = &ONE_KEY, .n_credentials = 1},
     "is the built-in engine, which needs no base_url, credentials, headers, proxy, ca, "
     "callback, polls, limits a minute or options; leave them out"},
    {{MINE, .adapter = "animatic", .callback = true},
     "is the built-in engine, which needs no base_url, credentials, headers, proxy, ca, "
     "callback, polls, limits a minute or options; leave them out"},
    {{MINE, .adapter = "animatic", .polls_per_minute = 60},
     "is the built-in engine, which needs no base_url, credentials, headers, proxy, ca, "
     "callback, polls, limits a minute or options; leave them out"},
    {{MINE, .adapter = "caller", .callback = true},
     "has \"callback: true\", which needs \"public_url\": the address under which the upstream "
     "reaches filmgate"},
    {{MINE, .adapter = "homeless", .base_url = "https://h.example.com", .callback = true},
     "has \"callback: true\", but the adapter \"homeless\" passes no address on; leave it out"},
    {{.name = "mine", .adapter = "animatic", .models = MAPPED, .n_models = 3, USUAL},
     "names the model \"sora-2\" otherwise for the upstream; the built-in engine has no models of "
     "its own"},
};

/* A program: local, and with one credential that has no key. */
static void test_command(void **state)
{
    static const char *const words[] = {"/bin/sh", "-c"};
    static const struct settings_header variable = {"HOUSE", "stone=old"};
    const struct settings_channel source = {MINE,
                                            .adapter = "command",
                                            .command = {words, 2},
                                            .command_env = &variable,
                                            .n_command_env = 1,
                                            .command_timeout = 5000};
    (void)state;
    struct channel_table *table = make_of(&source, 1);
    const struct channel *channel = channel_at(table, 0);
    assert_false(channel->is_animatic);
    assert_true(channel_is_local(channel));
    assert_string_equal(channel_engine(channel), "command");
    assert_int_equal(channel->program.n_argv, 2);
    assert_string_equal(channel->program.argv[1], "-c");
    assert_int_equal(channel->program.n_environment, 1);
    assert_string_equal(channel->program.environment[0], "HOUSE=stone=old");
    assert_int_equal(channel->program.timeout_ms, 5000);
    assert_int_equal(channel->concurrency, 4);
    assert_int_equal(channel->n_credentials, 1);
    assert_string_equal(channel->credentials[0].key, "");
    channel_table_free(table);
}

static void assert_refused(const struct settings_channel *source, const struct adapter_set *set,
                           const char *expected)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    char whole[SETTINGS_ERROR_SIZE];
    const struct settings settings = {.channels = source, .n_channels = 1, .file = "filmgate.yaml"};
    snprintf(whole, sizeof(whole), "filmgate.yaml:12: channel \"mine\" %s", expected);
    assert_null(channel_table_new(&settings, set, error));
    assert_string_equal(error, whole);
}

static void test_callbacks(void **state)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    const struct settings_channel sources[] = {
        {MINE, .adapter = "caller", .callback = true},
        {.name = "silent", .adapter = "caller", .models = WILD, .n_models = 2, USUAL},
    };
    const struct settings settings = {.channels = sources,
                                      .n_channels = ARRAY_LENGTH(sources),
                                      .file = "filmgate.yaml",
                                      .public_url = "https://gate.example"};
    struct channel_table *table = channel_table_new(&settings, &SET, error);
    (void)state;
    assert_string_equal(error, "");
    assert_string_equal(channel_named(table, "mine")->callback_base, "https://gate.example");
    assert_null(channel_named(table, "silent")->callback_base);
    channel_table_free(table);
    struct settings homeless = settings;
    homeless.public_url = "";
    assert_null(channel_table_new(&homeless, &SET, error));
    assert_non_null(strstr(error, "has \"callback: true\", which needs \"public_url\""));
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(REFUSED); i++)
        assert_refused(&REFUSED[i].source, &SET, REFUSED[i].error);
    const struct settings_channel flux = {MINE, .adapter = "flux"};
    assert_refused(&flux, NULL,
                   "has the adapter \"flux\", which is not known: `filmgate adapters list` shows "
                   "them");
}

/* `about` with one member changed, and what is said of it. */
static const struct {
    const char *about, *error;
} ABOUTS[] = {
    {"[]", "\"about\" must be an object"},
    {"{\"auht\": 1}", "\"about\" has the member \"auht\", which is none of: summary evidence "
                      "base_url hosts auth job submit poll result cancel callback models"},
    {"{\"m\": 1}", "\"about\" has the member \"m\", which is none of: summary evidence base_url "
                   "hosts auth job submit poll result cancel callback models"},
    {"{\"evidence\": \"hearsay\"}",
     "\"evidence\" of \"about\" must be wire, sdk, documented or third-party"},
    {"{\"base_url\": \"x\"}",
     "\"base_url\" of \"about\" must be null or a base URL without user, query and fragment (like "
     "https://api.example.com/v1)"},
    {"{\"base_url\": 1}", "\"base_url\" of \"about\" must be a text of printable ASCII"},
    {"{\"hosts\": [\"https://x\"]}",
     "\"hosts\" of \"about\" must be a list of hosts (like \"rest.example.com:8443\")"},
    {"{\"hosts\": \"x\"}", "\"hosts\" of \"about\" must be a list of hosts (like "
                           "\"rest.example.com:8443\"), at most 100"},
    {"{}", "\"about\" is wrong: auth.kind must be one of none, bearer, header, query, volcengine, "
           "google_service_account, jwt_hs256"},
    {"{\"auth\": \"none\"}",
     "\"auth\" of \"about\" must be an object of: kind name prefix service region scope"},
    {"{\"auth\": {\"kind\": \"basic\"}}",
     "\"about\" is wrong: auth.kind must be one of none, bearer, header, query, volcengine, "
     "google_service_account, jwt_hs256"},
    {"{\"auth\": {\"kind\": \"header\"}}",
     "\"about\" is wrong: auth.name is missing: what the header or the argument is called"},
    {"{\"auth\": {\"kind\": \"query\", \"name\": \"a=b\"}}",
     "\"about\" is wrong: auth.name must be the name of a header or of an argument"},
    {"{\"auth\": {\"kind\": \"volcengine\", \"service\": \"cv\"}}",
     "\"about\" is wrong: auth.region is missing: it is part of what is signed"},
    {"{\"auth\": {\"kind\": \"google_service_account\"}}",
     "\"about\" is wrong: auth.scope is missing: what tokens are for"},
    {"{\"auth\": {\"kind\": \"none\", \"perfix\": \"x\"}}",
     "\"about\" has the member \"auth.perfix\", which is none of: kind name prefix service region "
     "scope"},
    {"{\"auth\": {\"kind\": \"header\", \"name\": \"k\", \"prefix\": \"a\\nb\"}}",
     "\"about\" is wrong: auth.prefix must be a text of printable ASCII"},
    {"{\"auth\": {\"kind\": \"none\", \"prefix\": \"a\"}}",
     "\"about\" is wrong: auth.prefix does not belong to the kind none"},
#define NONE "{\"auth\": {\"kind\": \"none\"}, "
    {NONE "\"submit\": {\"total_s\": 0}}",
     "\"submit.total_s\" of \"about\" must be a number of seconds from 0.1 to 86400"},
    {NONE "\"poll\": {\"first_s\": \"1\"}}",
     "\"poll.first_s\" of \"about\" must be a number of seconds from 0.1 to 86400"},
    {NONE "\"poll\": {\"every_s\": 10, \"longest_s\": 5}}",
     "\"poll.longest_s\" of \"about\" must be no less than \"poll.every_s\""},
    {NONE "\"callback\": 1}", "\"callback\" of \"about\" must be true or false"},
    {NONE "\"job\": {\"chosen\": 1}}", "\"job.chosen\" of \"about\" must be true or false"},
    {NONE "\"result\": {\"renews\": null}}",
     "\"result.renews\" of \"about\" must be true or false"},
    {NONE "\"cancel\": {\"while\": [\"done\"]}}",
     "\"cancel.while\" of \"about\" must be a list of \"pending\" and \"rendering\""},
    {NONE "\"models\": {}}", "\"models\" of \"about\" must be a list of objects, at most 1000"},
    {NONE "\"models\": [{\"name\": \"a\"}, \"b\"]}",
     "\"models[1]\" of \"about\" must be an object of: name durations durations_with_images "
     "sizes aspect_ratios resolutions images"},
    {NONE "\"models\": [{}]}", "\"models[0].name\" of \"about\" must be a text of 1 to 128 bytes"},
#define MODEL NONE "\"models\": [{\"name\": \"a\", "
    {MODEL "\"duration\": [1]}]}",
     "\"about\" has the member \"models[0].duration\", which is none of: name durations "
     "durations_with_images sizes aspect_ratios resolutions images"},
    {MODEL "\"durations\": []}]}", "\"models[0].durations\" of \"about\" must be a list of whole "
                                   "seconds from 1 to 3600, or {\"least\", \"most\"}"},
    {MODEL "\"durations\": [4, \"6\"]}]}",
     "\"models[0].durations\" of \"about\" must be a list of whole seconds from 1 to 3600, or "
     "{\"least\", \"most\"}"},
    {MODEL "\"durations\": {\"least\": 9, \"most\": 3}}]}",
     "\"models[0].durations\" of \"about\" has a \"most\" below its \"least\""},
    {MODEL "\"durations_with_images\": 5}]}",
     "\"models[0].durations_with_images\" of \"about\" must be a list of whole seconds from 1 to "
     "3600, or {\"least\", \"most\"}"},
    {MODEL "\"durations\": {\"least\": 0}}]}",
     "\"models[0].durations.least\" of \"about\" must be a whole number from 1 to 3600"},
    {MODEL "\"sizes\": [\"1280*720\"]}]}",
     "\"models[0].sizes\" of \"about\" must be a list of sizes (like \"1280x720\")"},
    {MODEL "\"aspect_ratios\": [\"16/9\"]}]}",
     "\"models[0].aspect_ratios\" of \"about\" must be a list of aspect ratios (like \"16:9\")"},
    {MODEL "\"aspect_ratios\": [\"0:9\"]}]}",
     "\"models[0].aspect_ratios\" of \"about\" must be a list of aspect ratios (like \"16:9\")"},
    {MODEL "\"resolutions\": [\"high\"]}]}",
     "\"models[0].resolutions\" of \"about\" must be a list of resolutions (like \"720p\")"},
    {MODEL "\"images\": 1}]}",
     "\"models[0].images\" of \"about\" must be an object of: least most"},
    {MODEL "\"images\": {\"least\": 2, \"most\": 1}}]}",
     "\"models[0].images\" of \"about\" has a \"most\" below its \"least\""},
    {MODEL "\"images\": {\"least\": -1}}]}",
     "\"models[0].images.least\" of \"about\" must be a whole number from 0 to 1000"},
};

static void test_abouts(void **state)
{
    (void)state;
    const struct settings_channel source = {MINE, .adapter = "odd", .base_url = "http://[::1]:1"};
    for (size_t i = 0; i < ARRAY_LENGTH(ABOUTS); i++) {
        const struct adapter adapter = {"odd", ABOUTS[i].about, NULL};
        const struct adapter_set set = {&adapter, 1};
        char expected[SETTINGS_ERROR_SIZE];
        snprintf(expected, sizeof(expected), "cannot use the adapter \"odd\": %s", ABOUTS[i].error);
        assert_refused(&source, &set, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look_up),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_catch_all),      cmocka_unit_test(test_drained),
        cmocka_unit_test(test_hard_pattern),   cmocka_unit_test(test_references),
        cmocka_unit_test(test_upstream_names), cmocka_unit_test(test_whole_channel),
        cmocka_unit_test(test_modest_channel), cmocka_unit_test(test_two_of_one_adapter),
        cmocka_unit_test(test_signing),        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_callbacks),      cmocka_unit_test(test_command),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_abouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
