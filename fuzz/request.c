/* SPDX-License-Identifier: Apache-2.0
 *
 * A request object of an adapter, whose program was fed with an upstream's bytes. The first byte
 * chooses how the channel proves who it is and whether a credential goes along, the rest is JSON.
 * Whatever is made can be sent, the credential is only where it belongs, and never in a sentence. */
#include "harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/json.h"
#include "upstream/request.h"

enum { NOW_S = 1759763426, IMAGE_BYTES = 7 };

static const char KEY[] = "kEy-0123456789";
static const char TEAM[] = "tEaM-0123456789";

static const struct exchange_header channel_headers[] = {{"X-Team", TEAM}};
static const char *const hosts[] = {"rest.example.com", "files.example.com:8443", NULL};

static const struct {
    enum auth_way auth;
    const char *name, *prefix;
} kinds[] = {
    {AUTH_WAY_NONE, NULL, NULL},        {AUTH_WAY_BEARER, NULL, NULL},
    {AUTH_WAY_HEADER, "x-key", "Key "}, {AUTH_WAY_QUERY, "key", NULL},
    {AUTH_WAY_JWT, NULL, NULL},         {AUTH_WAY_VOLCENGINE, NULL, NULL},
};

static void check_text(const char *text)
{
    for (; *text != '\0'; text++)
        must((unsigned char)*text >= ' ' && *text != 0x7f);
}

static bool is_named(const char *const *names, const char *name)
{
    while (*names != NULL && strcasecmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static void check_headers(const struct request *request, bool is_home, bool has_credential)
{
    must(request->n_headers <= EXCHANGE_HEADERS_MAX);
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct exchange_header *header = &request->headers[i];
        must(exchange_takes_header(header));
        bool is_secret = strstr(header->value, KEY) != NULL || strcmp(header->value, TEAM) == 0;
        must(!is_secret || (is_home && is_named(request->secrets, header->name)));
        must(strstr(header->value, KEY) == NULL || has_credential);
    }
}

static void check_body(const struct request *request, int body)
{
    struct stat file;
    must(fstat(body, &file) == 0 && file.st_size == request->body_bytes);
    must(request->body_bytes <= REQUEST_BODY_MAX);
    must(request->body_bytes == 0 || strcmp(request->method, "GET") != 0);
}

static void check_made(const struct request *request, const struct channel *channel,
                       bool has_credential, int body)
{
    bool is_home = request_is_home(channel, request->url);
    must(strncasecmp(request->url, "http://", 7) == 0 ||
         strncasecmp(request->url, "https://", 8) == 0);
    must(strlen(request->url) <= REQUEST_URL_MAX && strpbrk(request->url, " #") == NULL);
    check_text(request->url);
    must(is_home || !has_credential);
    must(strstr(request->url, KEY) == NULL || (has_credential && channel->auth == AUTH_WAY_QUERY));
    must(request->max_redirects >= 0 && request->max_redirects <= 5);
    for (size_t status = 0; status < 100; status++)
        must(!request->heeds[status]);
    check_headers(request, is_home, has_credential);
    check_body(request, body);
}

static void check_error(const char *error)
{
    must(error[0] != '\0' && memchr(error, '\0', REQUEST_ERROR_SIZE) != NULL);
    must(strstr(error, KEY) == NULL && strstr(error, TEAM) == NULL);
    check_text(error);
}

static void try_spec(const json_t *spec, uint8_t choice)
{
    static const struct channel_credential credential = {.name = "default", .key = KEY};
    const struct channel channel = {
        .name = "one",
        .base_url = "https://api.example.com/base",
        .hosts = hosts,
        .auth = kinds[choice % ARRAY_LENGTH(kinds)].auth,
        .auth_name = kinds[choice % ARRAY_LENGTH(kinds)].name,
        .auth_prefix = kinds[choice % ARRAY_LENGTH(kinds)].prefix,
        .headers = channel_headers,
        .n_headers = ARRAY_LENGTH(channel_headers),
    };
    bool has_credential = (choice & 0x80) == 0;
    int file = harness_file((const uint8_t *)"picture", IMAGE_BYTES);
    int body = harness_file(NULL, 0);
    const struct request_image images[] = {
        {"https://img.example.com/a.png", file, IMAGE_BYTES, "image/png"},
        {NULL, file, IMAGE_BYTES, "image/jpeg"},
        {"https://img.example.com/c.png", -1, 0, NULL}};
    char error[REQUEST_ERROR_SIZE] = "";
    uint64_t wanted = 0;
    struct request request;
    bool is_wanted = request_images_wanted(spec, images, ARRAY_LENGTH(images), &wanted, error);
    if (is_wanted)
        must(wanted < 1 << ARRAY_LENGTH(images));
    else
        check_error(error);
    bool is_made = request_make(spec, &channel, has_credential ? &credential : NULL, images,
                                ARRAY_LENGTH(images), body, NOW_S, &request, error);
    if (is_made) {
        must(is_wanted);
        check_made(&request, &channel, has_credential, body);
        request_fini(&request);
    } else {
        check_error(error);
    }
    close(file);
    close(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[JSON_ERROR_SIZE];
    struct harness_input input = {(const char *)data, size};
    /* Who guesses a secret may find it again. */
    if (memmem(data, size, KEY, strlen(KEY)) != NULL ||
        memmem(data, size, TEAM, strlen(TEAM)) != NULL)
        return 0;
    uint8_t choice = harness_byte(&input);
    CLEANUP(json_unref_pointer) json_t *spec = json_parse(input.at, input.left, error);
    if (spec != NULL)
        try_spec(spec, choice);
    return 0;
}
