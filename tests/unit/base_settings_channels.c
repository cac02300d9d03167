/* SPDX-License-Identifier: Apache-2.0
 *
 * The list `channels:` of the configuration: what it says, what it does not show, and each way to get it wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/must.h"
#include "settings_file.h"

/* A channel that is right, but for what stands at the end. */
#define CHANNEL "channels:\n- {name: a, adapter: b, models: [c], "

static char *dumped(const struct settings *settings)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    settings_dump(settings, out);
    fclose(out);
    return text;
}

/* ---- values ---- */

static void test_defaults(void **state)
{
    (void)state;
    struct settings *settings =
        load_good("channels:\n"
                  "  - name: one\n"
                  "    adapter: animatic\n"
                  "    models: [sora-2, 'sora-*']\n"
                  "  - {name: two, adapter: other, models: [x], priority: 7}\n");
    assert_int_equal(settings->n_channels, 2);
    const struct settings_channel *one = &settings->channels[0];
    assert_string_equal(one->name, "one");
    assert_string_equal(one->adapter, "animatic");
    assert_int_equal(one->n_models, 2);
    assert_string_equal(one->models[1].name, "sora-*");
    assert_null(one->models[1].upstream);
    assert_int_equal(one->line, 2);
    assert_null(one->base_url);
    assert_int_equal(one->n_credentials, 0);
    assert_int_equal(one->priority, 0);
    assert_int_equal(one->weight, 1);
    assert_int_equal(one->concurrency, 4);
    assert_int_equal(one->submits_per_minute, 0);
    assert_int_equal(one->polls_per_minute, 0);
    assert_string_equal(one->on_unknown, "hold");
    assert_string_equal(one->fit, "nearest");
    assert_false(one->drain);
    assert_false(one->callback);
    assert_int_equal(one->n_headers, 0);
    assert_null(one->proxy);
    assert_null(one->ca);
    assert_int_equal(json_object_size(one->options), 0);
    assert_string_equal(settings->channels[1].adapter, "other");
    assert_int_equal(settings->channels[1].priority, 7);
    assert_int_equal(settings->channels[1].line, 5);
    settings_free(settings);
}

static void test_every_key(void **state)
{
    (void)state;
    assert_int_equal(setenv("FG_TEST_KEY", "ak-1", 1), 0);
    struct settings *settings = load_good("channels:\n"
                                          "- name: kling-main\n"
                                          "  adapter: kling-legacy\n"
                                          "  base_url: http://127.0.0.1:9205/\n"
                                          "  key: ${FG_TEST_KEY}\n"
                                          "  secret: 'two words'\n"
                                          "  models:\n"
                                          "  - sora-2\n"
                                          "  - {name: 'sora-2-p*', upstream: kling-v2-6}\n"
                                          "  - {name: veo}\n"
                                          "  priority: 100\n"
                                          "  weight: 1000\n"
                                          "  concurrency: 10000\n"
                                          "  submits_per_minute: 60\n"
                                          "  polls_per_minute: 600\n"
                                          "  callback: true\n"
                                          "  on_unknown: resubmit\n"
                                          "  fit: strict\n"
                                          "  drain: true\n"
                                          "  headers: {X-Team: video, X-B: \"${FG_TEST_KEY}\"}\n"
                                          "  proxy: http://me:word@127.0.0.1:3128\n"
                                          "  ca: own-ca.pem\n");
    const struct settings_channel *channel = settings->channels;
    assert_string_equal(channel->base_url, "http://127.0.0.1:9205/");
    assert_int_equal(channel->n_credentials, 1);
    assert_string_equal(channel->credentials[0].name, "default");
    assert_string_equal(channel->credentials[0].key, "ak-1");
    assert_string_equal(channel->credentials[0].secret, "two words");
    assert_int_equal(channel->n_models, 3);
    assert_string_equal(channel->models[1].name, "sora-2-p*");
    assert_string_equal(channel->models[1].upstream, "kling-v2-6");
    assert_null(channel->models[2].upstream);
    assert_int_equal(channel->priority, 100);
    assert_int_equal(channel->weight, 1000);
    assert_int_equal(channel->concurrency, 10000);
    assert_int_equal(channel->submits_per_minute, 60);
    assert_int_equal(channel->polls_per_minute, 600);
    assert_string_equal(channel->on_unknown, "resubmit");
    assert_string_equal(channel->fit, "strict");
    assert_true(channel->drain);
    assert_true(channel->callback);
    assert_int_equal(channel->n_headers, 2);
    assert_string_equal(channel->headers[0].name, "X-Team");
    assert_string_equal(channel->headers[0].value, "video");
    assert_string_equal(channel->headers[1].value, "ak-1");
    assert_string_equal(channel->proxy, "http://me:word@127.0.0.1:3128");
    assert_string_equal(channel->ca, "own-ca.pem");
    settings_free(settings);
}

static void test_command(void **state)
{
    (void)state;
    struct settings *settings = load_good(
        "channels: [{name: a, adapter: command, models: [b], command: [/bin/c, --steps, \"20\", "
        "'two words'], command_env: {A_1: x, _b: \"y=z\"}}]\n");
    const struct settings_channel *channel = settings->channels;
    assert_int_equal(channel->concurrency, 1);
    assert_int_equal(channel->command_timeout, 3600000);
    assert_int_equal(channel->command.count, 4);
    assert_string_equal(channel->command.items[0], "/bin/c");
    assert_string_equal(channel->command.items[2], "20");
    assert_string_equal(channel->command.items[3], "two words");
    assert_int_equal(channel->n_command_env, 2);
    assert_string_equal(channel->command_env[0].name, "A_1");
    assert_string_equal(channel->command_env[1].value, "y=z");
    settings_free(settings);
}

static void test_credentials(void **state)
{
    (void)state;
    struct settings *settings = load_good(
        CHANNEL "credentials: [{name: A.b_c-9, key: k1, secret: s1}, {name: b, key: k2}]}\n");
    const struct settings_channel *channel = settings->channels;
    assert_int_equal(channel->n_credentials, 2);
    assert_string_equal(channel->credentials[0].name, "A.b_c-9");
    assert_string_equal(channel->credentials[0].secret, "s1");
    assert_string_equal(channel->credentials[1].key, "k2");
    assert_null(channel->credentials[1].secret);
    settings_free(settings);
}

/* ---- options ---- */

static void assert_options(const char *text, const char *expected)
{
    struct settings *settings = load_good(text);
    char *found = json_dumps(settings->channels[0].options, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(found, expected);
    free(found);
    settings_free(settings);
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *options, *expected;
    } samples[] = {
        {"{}", "{}"},
        {"{a: 1, b: -2.5, c: 1e3}", "{\"a\":1,\"b\":-2.5,\"c\":1000.0}"},
        {"{a: true, b: false, c: null, d: ~, e: }",
         "{\"a\":true,\"b\":false,\"c\":null,\"d\":null,\"e\":null}"},
        /* what JSON does not know is a text, and so is what stands in quotes */
        {"{a: yes, b: 01, c: 0x10, d: '1', e: \"true\", f: .5}",
         "{\"a\":\"yes\",\"b\":\"01\",\"c\":\"0x10\",\"d\":\"1\",\"e\":\"true\",\"f\":\".5\"}"},
        {"{a: 99999999999999999999}", "{\"a\":\"99999999999999999999\"}"},
        {"{a: [1, {b: [[]]}, x y]}", "{\"a\":[1,{\"b\":[[]]},\"x y\"]}"},
        {"{a: \"two\\nlines\"}", "{\"a\":\"two\\nlines\"}"},
        {"{a: \"${FG_TEST_KEY}\", b: \"n${FG_TEST_NUMBER}\", c: \"$${x}\"}",
         "{\"a\":\"ak-1\",\"b\":\"n12\",\"c\":\"${x}\"}"},
        /* the environment brings in values, not structure */
        {"\n    a: ${FG_TEST_LIST}\n    b: ${FG_TEST_QUOTED}\n    c: ${FG_TEST_NUMBER}\n",
         "{\"a\":\"[1, 2]\",\"b\":\"\\\"text\\\"\",\"c\":12}"},
    };
    assert_int_equal(setenv("FG_TEST_KEY", "ak-1", 1), 0);
    assert_int_equal(setenv("FG_TEST_NUMBER", "12", 1), 0);
    assert_int_equal(setenv("FG_TEST_LIST", "[1, 2]", 1), 0);
    assert_int_equal(setenv("FG_TEST_QUOTED", "\"text\"", 1), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
        char text[500];
        bool is_block = samples[i].options[0] == '\n';
        snprintf(text, sizeof(text),
                 is_block ? "channels:\n- name: a\n  adapter: b\n  models: [c]\n  options:%s"
                          : CHANNEL "options: %s}\n",
                 samples[i].options);
        assert_options(text, samples[i].expected);
    }
    assert_options("channels:\n- name: a\n  adapter: b\n  models: [c]\n  options:\n    p: |\n"
                   "      one\n      two\n",
                   "{\"p\":\"one\\ntwo\\n\"}");
}

/* A secret of a container, or a JSON key: in the place of `key`, seen from the configuration's folder. */
static void test_key_file(void **state)
{
    (void)state;
    static const struct {
        const char *content, *key; /* key NULL: it will not do */
    } files[] = {
        {"whisper-1", "whisper-1"},
        {"\n  whisper 1 \r\n\n", "whisper 1"},
        {"{\"a\":\n\t1}\n", "{\"a\":\n\t1}"},
        {"", NULL},
        {" \n", NULL},
        {"whisper\nwhisper", NULL},
        {"whisper\xc3\xa9", NULL},
        {"whisper\xff", NULL},
        {"{whisper\nwhisper", NULL},
    };
    static const char *const texts[] = {CHANNEL "key_file: key.txt}\n", CHANNEL
                                        "credentials: [{name: default, key_file: key.txt}]}\n"};
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(files); i++) {
        const char *content = files[i / 2].content;
        char error[SETTINGS_ERROR_SIZE] = "";
        write_named("key.txt", content, strlen(content));
        write_named(FILE_NAME, texts[i % 2], strlen(texts[i % 2]));
        struct settings *settings = settings_load(FILE_NAME, NULL, error);
        assert_int_equal(settings != NULL, files[i / 2].key != NULL);
        assert_null(strstr(error, "whisper"));
        if (settings != NULL) {
            assert_int_equal(settings->channels[0].n_credentials, 1);
            assert_string_equal(settings->channels[0].credentials[0].name, "default");
            assert_string_equal(settings->channels[0].credentials[0].key, files[i / 2].key);
            assert_string_equal(settings->channels[0].credentials[0].file, "key.txt");
        } else {
            assert_non_null(strstr(error, "\"channels.key_file\": \"key.txt\" "));
        }
        settings_free(settings);
    }
    unlink("key.txt");
}

static void test_options_file(void **state)
{
    (void)state;
    static const char json[] =
        "{\"workflow\": {\"3\": {\"steps\": 20, \"seed\": 1}}, \"keep\": [1]}";
    write_named("options.json", json, strlen(json));
    assert_options(CHANNEL "options_file: options.json}\n",
                   "{\"keep\":[1],\"workflow\":{\"3\":{\"seed\":1,\"steps\":20}}}");
    /* what the configuration says counts, group by group, wherever it stands */
    assert_options(CHANNEL "options: {workflow: {3: {steps: 8}}, keep: x}, "
                           "options_file: options.json}\n",
                   "{\"keep\":\"x\",\"workflow\":{\"3\":{\"seed\":1,\"steps\":8}}}");
    assert_options(CHANNEL "options_file: options.json, options: {keep: [2]}}\n",
                   "{\"keep\":[2],\"workflow\":{\"3\":{\"seed\":1,\"steps\":20}}}");
    /* seen from the configuration's folder, not from where we are */
    char error[SETTINGS_ERROR_SIZE] = "";
    char path[200];
    write_named(FILE_NAME, CHANNEL "options_file: options.json, ca: sub/ca.pem}\n",
                strlen(CHANNEL "options_file: options.json, ca: sub/ca.pem}\n"));
    snprintf(path, sizeof(path), "%s/%s", directory, FILE_NAME);
    assert_int_equal(chdir("/"), 0);
    struct settings *settings = settings_load(path, NULL, error);
    assert_int_equal(chdir(directory), 0);
    assert_string_equal(error, "");
    assert_int_equal(json_object_size(settings->channels[0].options), 2);
    snprintf(path, sizeof(path), "%s/sub/ca.pem", directory);
    assert_string_equal(settings->channels[0].ca, path);
    settings_free(settings);
    unlink("options.json");
}

/* ---- errors ---- */

struct refused {
    const char *text;
    const char *error;
};

static const struct refused REFUSED[] = {
    {"channels: x\n", "filmgate.yaml:1:11: \"channels\" must be a list of channels"},
    {"channels:\n  - x\n",
     "filmgate.yaml:2:5: a channel must be a group of \"name\", \"adapter\", \"models\" and what "
     "else is to be said of it"},
    {"channels:\n  - name: a\n", "filmgate.yaml:2:5: a channel must have \"name\", \"adapter\" "
                                 "and \"models\", at least one model"},
    {"channels:\n  - {name: a, adapter: b, models: []}\n",
     "filmgate.yaml:2:6: a channel must have \"name\", \"adapter\" and \"models\", at least one "
     "model"},
    {"channels:\n  - {name: A b, adapter: b, models: [c]}\n",
     "filmgate.yaml:2:12: \"channels.name\" must be 1 to 64 of a-z, 0-9 and -, not \"A b\""},
    {"channels:\n  - {name: a, adapter: b, modles: [c]}\n",
     "filmgate.yaml:2:27: there is no setting \"channels.modles\"; did you mean "
     "\"channels.models\"?"},
    {"channels:\n  - {name: a, adapter: b, models: [c]}\n  - {name: a, adapter: b, models: [c]}\n",
     "filmgate.yaml:3:6: the channel \"a\" stands already in line 2"},
    {CHANNEL "base_ur: x}\n", "filmgate.yaml:2:38: there is no setting \"channels.base_ur\"; did "
                              "you mean \"channels.base_url\"?"},
    /* numbers and words */
    {CHANNEL "priority: 101}\n",
     "filmgate.yaml:2:48: \"channels.priority\" must be between 0 and 100, not 101"},
    {CHANNEL "weight: 0}\n",
     "filmgate.yaml:2:46: \"channels.weight\" must be between 1 and 1000, not 0"},
    {CHANNEL "concurrency: 0}\n",
     "filmgate.yaml:2:51: \"channels.concurrency\" must be between 1 and 10000, not 0"},
    {CHANNEL "submits_per_minute: -1}\n", "filmgate.yaml:2:58: \"channels.submits_per_minute\" "
                                          "must be between 0 and 100000, not -1"},
    {CHANNEL "polls_per_minute: many}\n",
     "filmgate.yaml:2:56: \"channels.polls_per_minute\" must be a whole number between 0 and "
     "100000, not \"many\""},
    {CHANNEL "on_unknown: retry}\n", "filmgate.yaml:2:50: \"channels.on_unknown\" must be hold or "
                                     "resubmit, not \"retry\""},
    {CHANNEL "fit: exact}\n",
     "filmgate.yaml:2:43: \"channels.fit\" must be nearest or strict, not \"exact\""},
    {CHANNEL "drain: yes}\n",
     "filmgate.yaml:2:45: \"channels.drain\" must be true or false, not \"yes\""},
    {CHANNEL "ca: ''}\n",
     "filmgate.yaml:2:42: \"channels.ca\" must be the name of a file, not \"\""},
    /* commands */
    {CHANNEL "command: /bin/a}\n",
     "filmgate.yaml:2:47: \"channels.command\" must be a list: a program and its arguments (like "
     "[/opt/sd/run.sh, --steps, \"20\"])"},
    {CHANNEL "command_env: [a]}\n", "filmgate.yaml:2:38: \"channels.command_env\" must be a group "
                                    "(like {HF_HOME: /var/cache/hf})"},
    {CHANNEL "command_env: {1A: b}}\n",
     "filmgate.yaml:2:52: \"1A\" cannot be the name of a variable"},
    /* models */
    {"channels:\n- {name: a, adapter: b, models: c}\n",
     "filmgate.yaml:2:33: \"channels.models\" must be a list of models"},
    {"channels:\n- {name: a, adapter: b, models: }\n",
     "filmgate.yaml:2:25: \"channels.models\" has no value"},
    {"channels:\n- {name: a, adapter: b, models: [c, [d]]}\n",
     "filmgate.yaml:2:25: a model must be a text, or a group of \"name\" and \"upstream\""},
    {"channels:\n- {name: a, adapter: b, models: [{upstream: d}]}\n",
     "filmgate.yaml:2:35: a model must be a text, or a group of \"name\" and \"upstream\""},
    {"channels:\n- {name: a, adapter: b, models: [{name: c, upstraem: d}]}\n",
     "filmgate.yaml:2:44: there is no setting \"channels.models.upstraem\"; did you mean "
     "\"channels.models.upstream\"?"},
    {"channels:\n- {name: a, adapter: b, models: [{name: c, upstream: 'd*'}]}\n",
     "filmgate.yaml:2:54: \"channels.models.upstream\" must be 1 to 128 bytes without *, not "
     "\"d*\""},
    {"channels:\n- {name: a, adapter: b, models: ['']}\n",
     "filmgate.yaml:2:34: \"channels.models.name\" must be 1 to 128 bytes, not \"\""},
    {"channels:\n- {name: a, adapter: b, models: [c, {name: c, upstream: d}]}\n",
     "filmgate.yaml:2:25: the model \"c\" stands twice in this channel"},
    /* credentials */
    {CHANNEL "key: k, credentials: [{name: x, key: y}]}\n",
     "filmgate.yaml:2:4: the channel \"a\" has \"key\" and \"credentials\"; keep one of them"},
    {CHANNEL "credentials: [{name: x, key: y}], secret: s}\n",
     "filmgate.yaml:2:4: the channel \"a\" has \"secret\" and \"credentials\"; keep one of them"},
    {CHANNEL "secret: s}\n",
     "filmgate.yaml:2:4: the channel \"a\" has a \"secret\" without \"key\""},
    {CHANNEL "credentials: []}\n", "filmgate.yaml:2:38: \"channels.credentials\" must be a list "
                                   "of credentials, at least one"},
    {CHANNEL "credentials: {name: x, key: y}}\n",
     "filmgate.yaml:2:38: \"channels.credentials\" must be a list of credentials, at least one"},
    {CHANNEL "credentials: [k]}\n",
     "filmgate.yaml:2:52: a credential must be a group of \"name\", \"key\" and, where the "
     "upstream wants one, \"secret\""},
    {CHANNEL "credentials: [{name: x}]}\n",
     "filmgate.yaml:2:53: a credential must have \"name\" and \"key\""},
    {CHANNEL "credentials: [{key: x}]}\n",
     "filmgate.yaml:2:53: a credential must have \"name\" and \"key\""},
    {CHANNEL "credentials: [{name: 'a b', key: x}]}\n",
     "filmgate.yaml:2:59: \"channels.credentials.name\" must be 1 to 64 of A-Z, a-z, 0-9, ., _ "
     "and -, not \"a b\""},
    {CHANNEL "credentials: [{name: x, key: y}, {name: x, key: z}]}\n",
     "filmgate.yaml:2:72: the credential \"x\" stands twice in this channel"},
    {CHANNEL "credentials: [{name: x, kye: y}]}\n",
     "filmgate.yaml:2:62: there is no setting \"channels.credentials.kye\"; did you mean "
     "\"channels.credentials.key\"?"},
    /* keys are not shown, wherever they come from */
    {CHANNEL "key: ' whisper'}\n", "filmgate.yaml:2:43: \"channels.key\" must be printable ASCII, "
                                   "not empty, without blanks around it; its value is not shown"},
    {CHANNEL "key: \"${FG_TEST_EMPTY}\"}\n",
     "filmgate.yaml:2:43: \"channels.key\" must be printable ASCII, not empty, without blanks "
     "around it; its value is not shown"},
    {CHANNEL "key: \"${FG_TEST_LINES}\"}\n",
     "filmgate.yaml:2:43: \"channels.key\" must be printable ASCII, not empty, without blanks "
     "around it; its value is not shown"},
    {CHANNEL "key: k, secret: 'whisper\xc3\xa9'}\n",
     "filmgate.yaml:2:54: \"channels.secret\" must be printable ASCII, not empty, without blanks "
     "around it; its value is not shown"},
    {CHANNEL "credentials: [{name: x, key: 'whisper '}]}\n",
     "filmgate.yaml:2:67: \"channels.credentials.key\" must be printable ASCII, not empty, "
     "without blanks around it; its value is not shown"},
    {CHANNEL "key: \"${FG_TEST_UNSET}\"}\n",
     "filmgate.yaml:2:43: \"channels.key\" names the environment variable \"FG_TEST_UNSET\", "
     "which is not set"},
    {CHANNEL "key: [a]}\n", "filmgate.yaml:2:38: \"channels.key\" must be a text, not a list"},
    /* addresses */
    {CHANNEL "base_url: ftp://x}\n",
     "filmgate.yaml:2:48: \"channels.base_url\" must be a base URL without user, query and "
     "fragment (like https://api.example.com/v1), not \"ftp://x\""},
    {CHANNEL "base_url: 'http://x/?a=b'}\n",
     "filmgate.yaml:2:48: \"channels.base_url\" must be a base URL without user, query and "
     "fragment (like https://api.example.com/v1), not \"http://x/?a=b\""},
    {CHANNEL "base_url: 'https://:80'}\n",
     "filmgate.yaml:2:48: \"channels.base_url\" must be a base URL without user, query and "
     "fragment (like https://api.example.com/v1), not \"https://:80\""},
    {CHANNEL "base_url: 'https://x:99999'}\n",
     "filmgate.yaml:2:48: \"channels.base_url\" must be a base URL without user, query and "
     "fragment (like https://api.example.com/v1), not \"https://x:99999\""},
    {CHANNEL "base_url: 'https://[::1'}\n",
     "filmgate.yaml:2:48: \"channels.base_url\" must be a base URL without user, query and "
     "fragment (like https://api.example.com/v1), not \"https://[::1\""},
    {CHANNEL "base_url: 'https://me:whisper@x'}\n",
     "filmgate.yaml:2:48: \"channels.base_url\" must be a base URL without user, query and "
     "fragment (like https://api.example.com/v1); its value is not shown"},
    {CHANNEL "proxy: 127.0.0.1:3128}\n",
     "filmgate.yaml:2:45: \"channels.proxy\" must be the URL of a proxy (like "
     "http://127.0.0.1:3128); its value is not shown"},
    {CHANNEL "proxy: 'http://me:whisper@'}\n",
     "filmgate.yaml:2:45: \"channels.proxy\" must be the URL of a proxy (like "
     "http://127.0.0.1:3128); its value is not shown"},
    /* headers */
    {CHANNEL "headers: [a]}\n", "filmgate.yaml:2:38: \"channels.headers\" must be a group (like "
                                "{X-Team: video})"},
    {CHANNEL "headers: {'a b': c}}\n",
     "filmgate.yaml:2:48: \"a b\" cannot be the name of a header; use letters, digits and -"},
    {CHANNEL "headers: {host: c}}\n",
     "filmgate.yaml:2:48: the header \"host\" is made for each request and cannot be set"},
    {CHANNEL "headers: {Transfer-Encoding: chunked}}\n",
     "filmgate.yaml:2:48: the header \"Transfer-Encoding\" is made for each request and cannot be "
     "set"},
    {CHANNEL "headers: {X-A: b, x-a: c}}\n",
     "filmgate.yaml:2:56: the header \"x-a\" stands twice in this channel"},
    {CHANNEL "headers: {X-A: \"${FG_TEST_LINES}\"}}\n",
     "filmgate.yaml:2:53: \"channels.headers\" must be printable ASCII, not empty, without blanks "
     "around it; its value is not shown"},
    {CHANNEL "headers: {X-A: ' whisper'}}\n",
     "filmgate.yaml:2:53: \"channels.headers\" must be printable ASCII, not empty, without blanks "
     "around it; its value is not shown"},
    /* options */
    {CHANNEL "options: x}\n", "filmgate.yaml:2:47: \"channels.options\" must be a group (like "
                              "{style: cinematic})"},
    {CHANNEL "options: [x]}\n", "filmgate.yaml:2:38: \"channels.options\" must be a group (like "
                                "{style: cinematic})"},
    {CHANNEL "options: {a: &x 1, b: *x}}\n",
     "filmgate.yaml:2:61: \"channels.options\" holds an alias; write the value itself"},
    {CHANNEL "options: {a: \"${FG_TEST_UNSET}\"}}\n",
     "filmgate.yaml:2:51: \"channels.options\" names the environment variable \"FG_TEST_UNSET\", "
     "which is not set"},
    {CHANNEL "options: {a: \"${FG_TEST_BYTES}\"}}\n",
     "filmgate.yaml:2:51: \"channels.options\" is not a text in UTF-8"},
    {CHANNEL "key_file: missing.json}\n", "filmgate.yaml:2:48: \"channels.key_file\": "
                                          "\"missing.json\" cannot be opened: No such file or "
                                          "directory"},
    {CHANNEL "key_file: .}\n", "filmgate.yaml:2:48: \"channels.key_file\": \".\" is not a file"},
    {CHANNEL "credentials: [{name: x,\n    key_file: none.json}]}\n",
     "filmgate.yaml:3:15: \"channels.key_file\": \"none.json\" cannot be opened: No such file or "
     "directory"},
    {CHANNEL "key: k, key_file: x}\n", "filmgate.yaml:2:4: the credential \"default\" has \"key\" "
                                       "and \"key_file\"; keep one of them"},
    {CHANNEL "credentials: [{name: x, key: y, key_file: z}]}\n",
     "filmgate.yaml:2:53: the credential \"x\" has \"key\" and \"key_file\"; keep one of them"},
    {CHANNEL "key_file: x, credentials: [{name: x, key: y}]}\n",
     "filmgate.yaml:2:4: the channel \"a\" has \"key_file\" and \"credentials\"; keep one of them"},
    {CHANNEL "options_file: missing.json}\n",
     "filmgate.yaml:2:52: \"channels.options_file\": \"missing.json\" cannot be opened: No such "
     "file or directory"},
    {CHANNEL "options_file: .}\n",
     "filmgate.yaml:2:52: \"channels.options_file\": \".\" is not a file"},
    {CHANNEL "options_file: broken.json}\n",
     "filmgate.yaml:2:52: \"channels.options_file\": \"broken.json\", line 2, column 5: unexpected "
     "token near '}'"},
    {CHANNEL "options_file: list.json}\n",
     "filmgate.yaml:2:52: \"channels.options_file\": \"list.json\" holds no JSON object"},
    {CHANNEL "options_file: large.json}\n",
     "filmgate.yaml:2:52: \"channels.options_file\": \"large.json\" is larger than 1048576 bytes"},
    {CHANNEL "options_file: bytes.json}\n",
     "filmgate.yaml:2:52: \"channels.options_file\": \"bytes.json\" is not a text in UTF-8"},
};

static void test_refused(void **state)
{
    (void)state;
    CLEANUP(free_pointer) char *large = must_calloc(SETTINGS_FILE_MAX + 1, 1);
    memset(large, ' ', SETTINGS_FILE_MAX + 1);
    write_named("broken.json", "{\n\"a\":}", 7);
    write_named("list.json", "[1]", 3);
    write_named("bytes.json", "{\"a\": \"\xff\"}", 10);
    write_named("large.json", large, SETTINGS_FILE_MAX + 1);
    unsetenv("FG_TEST_UNSET");
    assert_int_equal(setenv("FG_TEST_EMPTY", "", 1), 0);
    assert_int_equal(setenv("FG_TEST_LINES", "whisper\n", 1), 0);
    assert_int_equal(setenv("FG_TEST_BYTES", "\xff", 1), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(REFUSED); i++) {
        assert_refused(REFUSED[i].text, REFUSED[i].error);
        assert_null(strstr(REFUSED[i].error, "whisper"));
    }
    static const char *const names[] = {"broken.json", "list.json", "bytes.json", "large.json"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        unlink(names[i]);
}

/* `head`, `count` items made of `format` and their number, `tail`. */
static char *numbered(const char *head, const char *format, size_t count, const char *tail)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fputs(head, out);
    for (size_t i = 0; i < count; i++) {
        for (const char *at = format; *at != '\0'; at++) {
            if (*at == '#')
                fprintf(out, "%zu", i);
            else
                fputc(*at, out);
        }
    }
    fputs(tail, out);
    fclose(out);
    return text;
}

static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *head, *item, *tail, *error;
        size_t most;
    } limits[] = {
        {CHANNEL "credentials: [", "{name: n#, key: k},", "]}\n",
         "filmgate.yaml:2:38: \"channels.credentials\" holds more than 64 items",
         SETTINGS_CREDENTIALS_MAX},
        {CHANNEL "headers: {", "X-#: v,", "}}\n",
         "filmgate.yaml:2:38: \"channels.headers\" holds more than 32 items",
         SETTINGS_CHANNEL_HEADERS_MAX},
        {"channels:\n- {name: a, adapter: b, models: [", "m#,", "]}\n",
         "filmgate.yaml:2:25: \"channels.models\" holds more than 1000 items", 1000},
        {"channels: [", "{name: n#, adapter: b, models: [c]},", "]\n",
         "filmgate.yaml:1:1: \"channels\" holds more than 1000 items", 1000},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        CLEANUP(free_pointer)
        char *enough = numbered(limits[i].head, limits[i].item, limits[i].most, limits[i].tail);
        settings_free(load_good(enough));
        CLEANUP(free_pointer)
        char *more = numbered(limits[i].head, limits[i].item, limits[i].most + 1, limits[i].tail);
        assert_refused(more, limits[i].error);
    }
    char error[SETTINGS_ERROR_SIZE] = "";
    for (size_t depth = 31; depth <= 33; depth++) {
        CLEANUP(free_pointer) char *open = numbered("{", "a: {", depth - 1, "");
        CLEANUP(free_pointer) char *close = numbered("", "}", depth, "}\n");
        CLEANUP(free_pointer) char *text = must_calloc(strlen(open) + strlen(close) + 200, 1);
        sprintf(text, CHANNEL "options: %s%s", open, close);
        struct settings *settings = load(text, error);
        assert_int_equal(settings != NULL, depth <= 32);
        settings_free(settings);
    }
    assert_non_null(strstr(error, "is too rich (at most 32 levels, 10000 members"));
    CLEANUP(free_pointer) char *rich = numbered(CHANNEL "options: {a: [", "1,", 10000, "]}}\n");
    assert_null(load(rich, error));
    assert_non_null(strstr(error, "is too rich"));
}

static void test_command_limits(void **state)
{
    char error[SETTINGS_ERROR_SIZE];
    (void)state;
    for (size_t count = 64; count <= 65; count++) {
        CLEANUP(free_pointer)
        char *words = numbered(CHANNEL "command: [", "x,", count, "]}\n");
        struct settings *settings = load(words, error);
        assert_int_equal(settings != NULL, count == 64);
        settings_free(settings);
    }
    assert_non_null(strstr(error, "\"channels.command\" holds more than 64 items"));
    for (size_t length = 16383; length <= 16384; length++) {
        CLEANUP(free_pointer)
        char *long_one = numbered(CHANNEL "command: [\"", "x", length, "\"], command_env: {}}\n");
        struct settings *settings = load(long_one, error);
        assert_int_equal(settings != NULL, length == 16383);
        settings_free(settings);
    }
}

/* ---- the dump ---- */

static void test_dump(void **state)
{
    (void)state;
    assert_int_equal(setenv("FG_TEST_KEY", "whisper-0", 1), 0);
    struct settings *settings =
        load_good("channels:\n"
                  "- {name: a, adapter: b, models: [c, {name: d, upstream: e}], "
                  "base_url: 'https://x.example.com', key: whisper-1, secret: whisper-2, "
                  "headers: {X-Team: whisper-3}, proxy: 'http://whisper-4:whisper-5@[::1]:1', "
                  "options: {style: whisper-6, n: 1}, fit: strict}\n"
                  "- {name: f, adapter: g, models: [\"${FG_TEST_KEY}\"], ca: \"${FG_TEST_KEY}\", "
                  "credentials: [{name: one, key: whisper-7, secret: whisper-8}, "
                  "{name: two, key: whisper-9}], base_url: 'http://x/${FG_TEST_KEY}', "
                  "proxy: 'http://127.0.0.1:3128'}\n"
                  "- {name: h, adapter: command, models: [i], command: [/bin/h, whisper-a], "
                  "command_env: {X: whisper-b, Y: '${FG_TEST_KEY}'}, command_timeout: 90s}\n"
                  "- {name: j, adapter: command, models: [k], command: [/bin/h, "
                  "'${FG_TEST_KEY}']}\n");
    char *text = dumped(settings);
    assert_null(strstr(text, "whisper"));
    assert_non_null(
        strstr(text, "\n| name | adapter | models | base_url | credentials | priority | weight | "
                     "concurrency | submits_per_minute | polls_per_minute | poll_first | "
                     "poll_every | callback | on_unknown | fit | drain | headers | proxy | ca | "
                     "options | command | command_env | command_timeout |\n"));
    assert_non_null(
        strstr(text, "\n| `a` | `b` | `c`, `d` as `e` | `https://x.example.com` | `default` | "
                     "`0` | `1` | `4` | `0` | `0` | `0` | `0` | `false` | `hold` | `strict` | "
                     "`false` | `X-Team` | "
                     "`http://***@[::1]:1` |  | `style`, `n` |  |  | `1h` |\n"));
    assert_non_null(
        strstr(text, "\n| `f` | `g` | (from the environment) | (from the environment) | `one`, "
                     "`two` | `0` | `1` | `4` | `0` | `0` | `0` | `0` | `false` | `hold` | "
                     "`nearest` | `false` |  | "
                     "`http://127.0.0.1:3128` | (from the environment) |  |  |  | `1h` |\n"));
    assert_non_null(
        strstr(text, "| `1` | `0` | `0` | `0` | `0` | `false` | `hold` | `nearest` | `false` |  |  "
                     "|  |  | `/bin/h` | `X`, `Y` | `90s` |\n"));
    assert_non_null(strstr(text, "|  | (from the environment) |  | `1h` |\n"));
    free(text);
    settings_free(settings);
}

static void test_dump_keys(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    settings_dump_channel_keys(out);
    fclose(out);
    assert_non_null(strstr(text, "\n| `concurrency` |  | 1 to 10000 | "));
    assert_non_null(strstr(text, "\n| `on_unknown` | `hold` |  | "));
    free(text);
}

static void test_scrambled(void **state)
{
    (void)state;
    scramble(
        "channels:\n- {name: a, adapter: b, models: [c, {name: d, upstream: e}], headers: {x: y},\n"
        "   credentials: [{name: f, key: g, secret: h}], options: {a: [1, {b: ~}], c: true}}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_command),     cmocka_unit_test(test_command_limits),
        cmocka_unit_test(test_credentials), cmocka_unit_test(test_options),
        cmocka_unit_test(test_key_file),    cmocka_unit_test(test_options_file),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_dump),        cmocka_unit_test(test_dump_keys),
        cmocka_unit_test(test_scrambled),
    };
    return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
