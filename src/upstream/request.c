/* SPDX-License-Identifier: Apache-2.0
 *
 * A request as a whole: method, flags, headers, credential. What an adapter wants came out of a
 * program that was fed with strangers' bytes: every member is looked at, and one that nobody knows is
 * a mistake that is told. A member that is null counts as absent. */
#include "upstream/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/id.h"
#include "base/json.h"
#include "base/must.h"
#include "net/jwt.h"
#include "upstream/request_part.h"

enum {
    TOKEN_LIFE_S = 1800,
    TOKEN_SKEW_S = 5,            /* the upstream's clock may be behind ours */
    HEADER_VALUE_MAX = 8 * 1024, /* bytes of one */
    REDIRECTS_MAX = 5,
    HEEDS_MAX = 32,
};

/* ---- what the parts share ---- */

static void sanitise(char *text)
{
    for (char *at = text; *at != '\0';) {
        uint32_t code;
        size_t length = codec_utf8_step(at, strlen(at), &code);
        if (code < ' ' || code == 0x7f || (code >= 0x80 && code < 0xa0) || code == 0xfffd)
            memset(at, '?', length);
        at += length;
    }
}

bool request_wrong(char *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, REQUEST_ERROR_SIZE, format, arguments);
    va_end(arguments);
    sanitise(error);
    return false;
}

json_t *request_member(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

bool request_has_only(const json_t *object, const char *const *names, const char *where,
                      char *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const char *const *name = names;
        while (*name != NULL && strcmp(*name, key) != 0)
            name++;
        if (*name == NULL)
            return request_wrong(error, "%s: has a member \"%.60s\", which is not known", where,
                                 key);
    }
    return true;
}

bool request_scalar(const json_t *value, struct buf *out)
{
    if (json_is_string(value)) {
        buf_puts(out, json_string_value(value));
        return true;
    }
    if (!json_is_number(value) && !json_is_boolean(value))
        return false;
    CLEANUP(free_pointer) char *text = json_dumps(value, JSON_WRITE_FLAGS | JSON_ENCODE_ANY);
    must(text != NULL);
    buf_puts(out, text);
    return true;
}

/* ---- flags ---- */

static bool set_method(const struct request_maker *maker, struct request *request)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    const char *method = json_text(maker->spec, "method");
    for (size_t i = 0; method != NULL && i < ARRAY_LENGTH(methods); i++) {
        if (strcmp(method, methods[i]) == 0)
            request->method = must_strdup(method);
    }
    if (request->method == NULL)
        return request_wrong(maker->error, "method: must be GET, POST, PUT, PATCH or DELETE");
    if (strcmp(method, "GET") == 0 && (request_member(maker->spec, "json") != NULL ||
                                       request_member(maker->spec, "form") != NULL))
        return request_wrong(maker->error,
                             "method: a GET has no body, json and form must be absent");
    return true;
}

/* `404`, `4xx`, `5xx` */
static bool set_heed(const char *word, struct request *request)
{
    if (strcmp(word, "4xx") == 0 || strcmp(word, "5xx") == 0) {
        memset(&request->heeds[(size_t)(word[0] - '0') * 100], true, 100);
        return true;
    }
    if (strlen(word) != 3 || strspn(word, "0123456789") != 3 || word[0] < '1' || word[0] > '5')
        return false;
    request->heeds[strtol(word, NULL, 10)] = true;
    return true;
}

static bool set_heeds(const struct request_maker *maker, struct request *request)
{
    const json_t *heed = request_member(maker->spec, "heed");
    if (heed == NULL)
        return true;
    if (!json_is_array(heed) || json_array_size(heed) > HEEDS_MAX)
        return request_wrong(maker->error, "heed: must be an array of at most %d texts", HEEDS_MAX);
    for (size_t i = 0; i < json_array_size(heed); i++) {
        const char *word = json_string_value(json_array_get(heed, i));
        if (word == NULL || !set_heed(word, request))
            return request_wrong(maker->error,
                                 "heed[%zu]: must be a status like \"404\", \"4xx\" or \"5xx\"", i);
    }
    return true;
}

static bool set_flags(const struct request_maker *maker, struct request *request)
{
    const json_t *buys = request_member(maker->spec, "buys");
    const json_t *redirects = request_member(maker->spec, "redirects");
    request->buys = buys == NULL || json_is_true(buys);
    if (buys != NULL && !json_is_boolean(buys))
        return request_wrong(maker->error, "buys: must be true or false");
    if (redirects != NULL && (!json_is_integer(redirects) || json_integer_value(redirects) < 0 ||
                              json_integer_value(redirects) > REDIRECTS_MAX))
        return request_wrong(maker->error, "redirects: must be a whole number from 0 to %d",
                             REDIRECTS_MAX);
    request->max_redirects = (int)json_integer_value(redirects);
    return set_heeds(maker, request);
}

/* ---- headers ---- */

static void free_header(struct exchange_header *header)
{
    free((void *)(uintptr_t)header->name);
    free((void *)(uintptr_t)header->value);
}

bool request_set_header(struct request *request, const char *name, const char *value)
{
    const struct exchange_header header = {name, value};
    size_t i = 0;
    if (!exchange_takes_header(&header))
        return false;
    while (i < request->n_headers && strcasecmp(request->headers[i].name, name) != 0)
        i++;
    if (i == EXCHANGE_HEADERS_MAX)
        return false;
    if (i < request->n_headers)
        free_header(&request->headers[i]);
    else
        request->n_headers++;
    request->headers[i] = (struct exchange_header){must_strdup(name), must_strdup(value)};
    return true;
}

/* The header that carries a credential; NULL when none does. */
static const char *auth_header(const struct channel *channel, bool has_account)
{
    const struct auth_kind *kind = auth_kind(channel->auth);
    if (channel->auth == AUTH_WAY_HEADER)
        return channel->auth_name;
    return kind->plain_header != NULL && !has_account ? kind->plain_header : kind->header;
}

static bool is_auth_header(const struct channel *channel, const char *name)
{
    const char *const auth[] = {auth_header(channel, false), auth_header(channel, true)};
    return auth[0] != NULL && (strcasecmp(auth[0], name) == 0 || strcasecmp(auth[1], name) == 0);
}

static bool may_set(const struct request_maker *maker, const char *name)
{
    if (is_auth_header(maker->channel, name))
        return false;
    if (maker->channel->auth == AUTH_WAY_VOLCENGINE &&
        (strcasecmp(name, "X-Date") == 0 || strcasecmp(name, "X-Content-Sha256") == 0))
        return false; /* the signature's */
    return request_member(maker->spec, "form") == NULL || strcasecmp(name, "Content-Type") != 0;
}

/* `{"$uuid": true}`: a new one each time the request is made, which no program can draw. */
static bool is_uuid_wish(const json_t *value)
{
    return json_is_object(value) && json_object_size(value) == 1 &&
           json_is_true(json_object_get(value, "$uuid"));
}

static void draw_uuid(int64_t now_s, char ret_text[ID_UUID_SIZE])
{
    uint8_t random[10];
    crypt_random(random, sizeof(random));
    struct uuid uuid = id_uuid7(now_s * 1000, random);
    id_uuid_write(&uuid, ret_text);
}

static bool add_own_headers(const struct request_maker *maker, int64_t now_s,
                            struct request *request)
{
    json_t *headers = request_member(maker->spec, "headers");
    const char *name;
    json_t *value;
    if (headers != NULL && !json_is_object(headers))
        return request_wrong(maker->error, "headers: must be an object");
    json_object_foreach(headers, name, value)
    {
        char uuid[ID_UUID_SIZE];
        if (json_is_null(value))
            continue;
        bool is_uuid = is_uuid_wish(value);
        if (is_uuid)
            draw_uuid(now_s, uuid);
        else if (!json_is_string(value) || json_string_length(value) > HEADER_VALUE_MAX)
            return request_wrong(maker->error, "headers.%.60s: must be a text of at most %d bytes",
                                 name, HEADER_VALUE_MAX);
        if (!may_set(maker, name))
            return request_wrong(maker->error, "headers.%.60s: is not for an adapter to set", name);
        if (!request_set_header(request, name, is_uuid ? uuid : json_string_value(value)))
            return request_wrong(maker->error,
                                 "headers.%.60s: cannot be sent: a control character, a header of "
                                 "the transport, or more than %d headers",
                                 name, EXCHANGE_HEADERS_MAX);
    }
    return true;
}

/* The operator's, for his upstream alone: they go home only, and win over the adapter's. */
static bool add_channel_headers(const struct request_maker *maker, struct request *request)
{
    const struct channel *channel = maker->channel;
    if (!request_is_home(channel, request->url))
        return true;
    for (size_t i = 0; i < channel->n_headers; i++) {
        const struct exchange_header *header = &channel->headers[i];
        if (!may_set(maker, header->name))
            continue;
        if (!request_set_header(request, header->name, header->value))
            return request_wrong(maker->error, "the channel's header \"%.60s\" cannot be sent",
                                 header->name);
    }
    return true;
}

static void add_token(const struct channel_credential *credential, int64_t now_s, struct buf *out)
{
    CLEANUP(json_unref_pointer)
    json_t *claims =
        json_pack("{s:s, s:I, s:I}", "iss", credential->key, "exp",
                  (json_int_t)now_s + TOKEN_LIFE_S, "nbf", (json_int_t)now_s - TOKEN_SKEW_S);
    CLEANUP(free_pointer) char *text = json_dumps(claims, JSON_COMPACT);
    if (text == NULL) /* not UTF-8 */
        out->overflowed = true;
    else
        jwt_sign_hs256(text, credential->secret, out);
}

/* What stands before the key or token. */
static const char *prefix_of(const struct channel *channel, bool has_account)
{
    const struct auth_kind *kind = auth_kind(channel->auth);
    if (channel->auth == AUTH_WAY_HEADER)
        return channel->auth_prefix != NULL ? channel->auth_prefix : "";
    return kind->plain_header != NULL && !has_account ? "" : kind->scheme;
}

static bool add_credential(const struct request_maker *maker, int64_t now_s,
                           struct request *request)
{
    const struct channel_credential *credential = maker->credential;
    bool has_account = credential != NULL && credential->account != NULL;
    const char *name = auth_header(maker->channel, has_account);
    CLEANUP(buf_fini) struct buf value;
    buf_init(&value, HEADER_VALUE_MAX);
    if (credential == NULL || name == NULL || maker->channel->auth == AUTH_WAY_VOLCENGINE)
        return true; /* request_sign() does it */
    if (has_account && credential->token == NULL)
        return request_wrong(maker->error, "no token is at hand for the credential \"%.60s\"",
                             credential->name);
    buf_puts(&value, prefix_of(maker->channel, has_account));
    if (has_account)
        buf_puts(&value, credential->token);
    else if (maker->channel->auth == AUTH_WAY_JWT && credential->secret != NULL)
        add_token(credential, now_s, &value);
    else
        buf_puts(&value, credential->key);
    if (value.overflowed || !request_set_header(request, name, buf_text(&value)))
        return request_wrong(maker->error,
                             "the credential \"%.60s\" cannot be sent as the header %.60s: too "
                             "long, or with characters that no header holds",
                             credential->name, name);
    return true;
}

static bool set_headers(const struct request_maker *maker, const char *type, int64_t now_s,
                        struct request *request)
{
    request->headers = must_calloc(EXCHANGE_HEADERS_MAX, sizeof(*request->headers));
    must(type == NULL || request_set_header(request, "Content-Type", type));
    return add_own_headers(maker, now_s, request) && add_channel_headers(maker, request) &&
           add_credential(maker, now_s, request);
}

/* What the operator has set is for his upstream alone, the credential above all. */
static bool is_secret(const struct channel *channel, const char *name)
{
    if (is_auth_header(channel, name))
        return true;
    for (size_t i = 0; i < channel->n_headers; i++) {
        if (strcasecmp(channel->headers[i].name, name) == 0)
            return true;
    }
    return false;
}

static void set_secrets(const struct channel *channel, struct request *request)
{
    const char **secrets = must_calloc(request->n_headers + 1, sizeof(*secrets));
    size_t n_secrets = 0;
    for (size_t i = 0; i < request->n_headers; i++) {
        if (is_secret(channel, request->headers[i].name))
            secrets[n_secrets++] = request->headers[i].name;
    }
    request->secrets = secrets;
}

/* ---- the whole ---- */

static bool set_url(const struct request_maker *maker, struct request *request)
{
    CLEANUP(buf_fini) struct buf url;
    buf_init(&url, REQUEST_URL_MAX);
    if (!request_url_make(maker, &url))
        return false;
    request->url = buf_take(&url);
    return true;
}

static bool make(const struct request_maker *maker, int body, int64_t now_s,
                 struct request *request)
{
    static const char *const names[] = {"method", "path", "url",       "query", "headers", "json",
                                        "form",   "buys", "redirects", "heed",  NULL};
    CLEANUP(free_pointer) char *type = NULL;
    if (!json_is_object(maker->spec))
        return request_wrong(maker->error, "a request is an object");
    if (!request_has_only(maker->spec, names, "the request", maker->error) ||
        !set_method(maker, request) || !set_flags(maker, request) || !set_url(maker, request) ||
        !request_body_make(maker, body, &request->body_bytes, &type) ||
        !set_headers(maker, type, now_s, request))
        return false;
    set_secrets(maker->channel, request);
    return true;
}

bool request_make(const json_t *spec, const struct channel *channel,
                  const struct channel_credential *credential, const struct request_image *images,
                  size_t n_images, int body, int64_t now_s, struct request *ret_request,
                  char ret_error[REQUEST_ERROR_SIZE])
{
    const struct request_maker maker = {
        .spec = spec,
        .channel = channel,
        .credential = credential,
        .images = images,
        .n_images = n_images,
        .error = ret_error,
    };
    struct request request = {0};
    if (!make(&maker, body, now_s, &request)) {
        request_fini(&request);
        return false;
    }
    *ret_request = request;
    return true;
}

void request_fini(struct request *request)
{
    for (size_t i = 0; i < request->n_headers; i++)
        free_header(&request->headers[i]);
    free(request->headers);
    free((void *)(uintptr_t)request->secrets);
    free(request->method);
    free(request->url);
    *request = (struct request){0};
}
