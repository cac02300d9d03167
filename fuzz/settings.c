/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration file. What loads lies within the bounds of base/settings.def, can be dumped, and
 * loads a second time to the same; what does not load is refused with a sentence. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/settings.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    must(clearenv() == 0 && setenv("NAME", "value", 1) == 0 && setenv("PORT", "8080", 1) == 0);
    return 0;
}

static void check_text(const char *text)
{
    must(text != NULL && codec_is_utf8(text, strlen(text)));
}

static void check_flag(bool flag)
{
    (void)flag;
}

static void check_number(int64_t number, int64_t least, int64_t most)
{
    must(number >= least && (number <= most || most == 0));
}

static void check_list(struct settings_list list)
{
    for (size_t i = 0; i < list.count; i++)
        check_text(list.items[i]);
}

#define CHECK_TEXT(value, least, most) check_text(value)
#define CHECK_FLAG(value, least, most) check_flag(value)
#define CHECK_LIST(value, least, most) check_list(value)
#define CHECK_COUNT(value, least, most) check_number(value, least, most)
#define CHECK_BYTES(value, least, most) check_number(value, least, most)
#define CHECK_SPAN(value, least, most) check_number(value, least, most)

/* What a key, a secret or a header may hold: it goes into a head of HTTP. */
static void check_printable(const char *text)
{
    check_text(text);
    must(*text != '\0' && strpbrk(text, "\r\n") == NULL);
}

static void check_credentials(const struct settings_channel *channel)
{
    must(channel->n_credentials <= SETTINGS_CREDENTIALS_MAX);
    for (size_t i = 0; i < channel->n_credentials; i++) {
        const struct settings_credential *credential = &channel->credentials[i];
        check_printable(credential->key);
        must(strlen(credential->name) >= 1 && strlen(credential->name) <= 64);
        if (credential->secret != NULL)
            check_printable(credential->secret);
        for (size_t j = 0; j < i; j++)
            must(strcmp(channel->credentials[j].name, credential->name) != 0);
    }
}

static void check_channel(const struct settings_channel *channel)
{
    check_text(channel->name);
    check_text(channel->adapter);
    check_number(channel->priority, 0, 100);
    check_number(channel->weight, 1, 1000);
    check_number(channel->concurrency, 1, 10000);
    check_number(channel->submits_per_minute, 0, 100000);
    check_number(channel->polls_per_minute, 0, 100000);
    must(channel->name[0] != '\0' && strlen(channel->name) <= 64 && channel->n_models > 0);
    for (size_t i = 0; i < channel->n_models; i++) {
        check_text(channel->models[i].name);
        must(channel->models[i].name[0] != '\0');
        if (channel->models[i].upstream != NULL)
            must(strchr(channel->models[i].upstream, '*') == NULL);
    }
    check_credentials(channel);
    must(channel->n_headers <= SETTINGS_CHANNEL_HEADERS_MAX);
    for (size_t i = 0; i < channel->n_headers; i++) {
        check_printable(channel->headers[i].name);
        check_printable(channel->headers[i].value);
    }
    check_list(channel->command);
    check_number(channel->command_timeout, 1000, 604800000);
    must(channel->command.count <= SETTINGS_COMMAND_MAX);
    must(channel->n_command_env <= SETTINGS_COMMAND_MAX);
    for (size_t i = 0; i < channel->n_command_env; i++) {
        check_text(channel->command_env[i].name);
        check_text(channel->command_env[i].value);
    }
    must(json_is_object(channel->options) && channel->line > 0);
    CLEANUP(free_pointer) char *text = json_dumps(channel->options, 0);
    must(text != NULL);
}

static void check_settings(const struct settings *settings)
{
#define SETTING(field, path, type, fallback, least, most, ...)                                     \
    CHECK_##type(settings->field, least, most);
#include "base/settings.def"
    for (size_t i = 0; i < settings->n_channels; i++) {
        const struct settings_channel *channel = &settings->channels[i];
        check_channel(channel);
        for (size_t j = 0; j < i; j++)
            must(strcmp(settings->channels[j].name, channel->name) != 0);
    }
}

/* Loads the file; its dump, or NULL when it is refused. */
static char *load(const char *path)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    struct settings *settings = settings_load(path, NULL, error);
    if (settings == NULL) {
        must(error[0] != '\0' && memchr(error, '\0', sizeof error) != NULL);
        return NULL;
    }
    check_settings(settings);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    must(out != NULL);
    settings_dump(settings, out);
    must(fclose(out) == 0 && text != NULL);
    settings_free(settings);
    return text;
}

static void check_units(const uint8_t *data, size_t size)
{
    CLEANUP(free_pointer) char *text = must_strndup((const char *)data, size);
    int64_t number = 0;
    if (settings_parse_span(text, &number))
        must(number >= 0);
    if (settings_parse_bytes(text, &number))
        must(number >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char other[] = "options_file"; /* other files are none of ours to read */
    if (memmem(data, size, other, sizeof other - 1) != NULL)
        return 0;
    char path[64];
    CLEANUP(close_fd) int fd = harness_file(data, size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CLEANUP(free_pointer) char *dump = load(path);
    CLEANUP(free_pointer) char *again = load(path);
    must((dump == NULL) == (again == NULL));
    must(dump == NULL || strcmp(dump, again) == 0);
    check_units(data, size);
    return 0;
}
