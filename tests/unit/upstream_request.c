/* SPDX-License-Identifier: Apache-2.0
 *
 * From an adapter's request object to what goes over the wire. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"
#include "upstream/request.h"

enum { NOW_S = 1759763426, BODY_MAX = 400000, LARGE_IMAGE = 100001 };

static const char *const hosts[] = {"rest.example.com", "files.example.com:8443", NULL};

static const struct channel_credential credential = {.name = "default", .key = "the-key"};
static const struct channel_credential signing = {
    .name = "default", .key = "access-key", .secret = "top-secret"};

static struct channel channel_of(enum auth_way auth, const char *name, const char *prefix)
{
    return (struct channel){.name = "one",
                            .base_url = "https://api.example.com/base",
                            .hosts = hosts,
                            .auth = auth,
                            .auth_name = name,
                            .auth_prefix = prefix};
}

/* Two images: the first by URL and bytes, the second by bytes alone. */
struct album {
    struct request_image images[3];
};

static int file_of(const void *data, size_t length)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data, length) == (ssize_t)length);
    return fd;
}

static void album_init(struct album *album)
{
    *album = (struct album){{
        {"https://img.example.com/a.png", file_of("\x89PNG!", 5), 5, "image/png"},
        {NULL, file_of("jpeg", 4), 4, "image/jpeg"},
        {NULL, -1, 0, NULL},
    }};
}

static void album_fini(struct album *album)
{
    for (size_t i = 0; i < ARRAY_LENGTH(album->images); i++)
        close_fd(&album->images[i].fd);
}

static json_t *spec_of(const char *text)
{
    json_error_t error;
    char plain[4000];
    size_t length = strlen(text);
    must(length < sizeof(plain));
    memcpy(plain, text, length + 1);
    for (char *at = plain; *at != '\0'; at++) /* so that tables can be read */
        *at = *at == '\'' ? '"' : *at;
    json_t *spec = json_loads(plain, 0, &error);
    if (spec == NULL)
        fail_msg("%s: %s", text, error.text);
    return spec;
}

struct made {
    struct request request;
    bool is_good;
    int body;
    char error[REQUEST_ERROR_SIZE];
};

static void made_fini(struct made *made)
{
    request_fini(&made->request);
    close_fd(&made->body);
}

static void make(const char *text, const struct channel *channel,
                 const struct channel_credential *key, struct made *ret_made)
{
    CLEANUP(album_fini) struct album album;
    CLEANUP(json_unref_pointer) json_t *spec = spec_of(text);
    album_init(&album);
    *ret_made = (struct made){.body = memfd_create("body", MFD_CLOEXEC)};
    ret_made->is_good = request_make(spec, channel, key, album.images, ARRAY_LENGTH(album.images),
                                     ret_made->body, NOW_S, &ret_made->request, ret_made->error);
    if (!ret_made->is_good)
        assert_true(strlen(ret_made->error) > 5);
}

static const char *header_of(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return "(none)";
}

static bool is_secret(const struct request *request, const char *name)
{
    for (const char *const *secret = request->secrets; *secret != NULL; secret++) {
        if (strcasecmp(*secret, name) == 0)
            return true;
    }
    return false;
}

/* The body as text, of as many bytes as the request says. */
static char *body_of(const struct made *made)
{
    char *text = must_calloc(1, BODY_MAX + 1);
    assert_int_equal(pread(made->body, text, BODY_MAX, 0), made->request.body_bytes);
    return text;
}

/* ---- where ---- */

static void urls_are_joined(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *url;
    } cases[] = {
        {"{'method':'GET','path':'/v1/x'}", "https://api.example.com/base/v1/x"},
        {"{'method':'GET','path':'/'}", "https://api.example.com/base/"},
        {"{'method':'GET','path':'//evil.example/x'}",
         "https://api.example.com/base//evil.example/x"},
        {"{'method':'GET','path':'/a..b/...'}", "https://api.example.com/base/a..b/..."},
        {"{'method':'GET','path':'/x?a=..'}", "https://api.example.com/base/x?a=.."},
        {"{'method':'GET','path':'/a b/\\u00e9'}", "https://api.example.com/base/a%20b/%C3%A9"},
        {"{'method':'GET','path':'/x','query':{'a':'b "
         "c&d=e/+\\u00e9','n':5,'f':1.5,'t':true,'z':null}}",
         "https://api.example.com/base/x?a=b%20c%26d%3De%2F%2B%C3%A9&n=5&f=1.5&t=true"},
        {"{'method':'GET','path':'/x?y=1','query':{'a':''}}",
         "https://api.example.com/base/x?y=1&a="},
        {"{'method':'GET','path':'/x?','query':{'a b':'c'}}",
         "https://api.example.com/base/x?a%20b=c"},
        {"{'method':'GET','url':'https://api.example.com/elsewhere'}",
         "https://api.example.com/elsewhere"},
        {"{'method':'GET','url':'HTTPS://API.Example.com:443/x#y'}",
         "HTTPS://API.Example.com:443/x"},
        {"{'method':'GET','url':'https://rest.example.com/x?y=%2f','path':null}",
         "https://rest.example.com/x?y=%2f"},
        {"{'method':'GET','url':'https://files.example.com:8443/x'}",
         "https://files.example.com:8443/x"},
    };
    struct channel channel = channel_of(AUTH_WAY_BEARER, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(made_fini) struct made made;
        make(cases[i].spec, &channel, &credential, &made);
        if (!made.is_good)
            fail_msg("%s: %s", cases[i].spec, made.error);
        assert_string_equal(made.request.url, cases[i].url);
        assert_string_equal(header_of(&made.request, "Authorization"), "Bearer the-key");
        assert_int_equal(made.request.body_bytes, 0);
    }
}

static void the_credential_goes_home_only(void **state)
{
    (void)state;
    static const char *const strange[] = {
        "https://evil.example/x",
        "http://api.example.com/x",
        "http://api.example.com:443/x",
        "https://api.example.co/x",
        "https://api.example.com:444/x",
        "https://api.example.com.evil.example/x",
        "https://xapi.example.com/x",
        "https://rest.example.com:8443/x",
        "https://files.example.com/x",
        "https://api.example.com./x",
        "https://[::1]/x",
    };
    static const struct exchange_header headers[] = {{"X-Team", "video"}};
    struct channel channel = channel_of(AUTH_WAY_BEARER, NULL, NULL);
    channel.headers = headers;
    channel.n_headers = 1;
    for (size_t i = 0; i < ARRAY_LENGTH(strange); i++) {
        char spec[300];
        snprintf(spec, sizeof(spec), "{'method':'GET','url':'%s'}", strange[i]);
        assert_false(request_is_home(&channel, strange[i]));
        CLEANUP(made_fini) struct made refused;
        make(spec, &channel, &credential, &refused);
        assert_false(refused.is_good);
        assert_non_null(strstr(refused.error, "url: "));
        CLEANUP(made_fini) struct made plain; /* a download */
        make(spec, &channel, NULL, &plain);
        assert_true(plain.is_good);
        assert_int_equal(plain.request.n_headers, 0);
    }
    CLEANUP(made_fini) struct made home;
    make("{'method':'GET','url':'https://rest.example.com/x'}", &channel, NULL, &home);
    assert_true(home.is_good);
    assert_string_equal(header_of(&home.request, "x-team"), "video");
    assert_string_equal(header_of(&home.request, "authorization"), "(none)");
    assert_true(is_secret(&home.request, "x-team"));
}

static void homes_are_known(void **state)
{
    (void)state;
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    assert_true(request_is_home(&channel, "https://api.example.com"));
    assert_true(request_is_home(&channel, "https://api.example.com?x"));
    static const char *const broken[] = {
        "",
        "api.example.com",
        "ftp://api.example.com/",
        "https://",
        "https:///api.example.com/",
        "https://user@api.example.com/",
        "https://api.example.com@evil.example/",
        "https://api.example.com:/",
        "https://api.example.com:0/",
        "https://api.example.com:443443/",
        "https://api.example.com:443:443/",
        "https://api.example.com\\@evil.example/",
        "https://api%2eexample.com/",
        "https://[api.example.com]/",
        "https://[::1/",
        "https://[]/",
        "https://evil.example\\.api.example.com/",
        "https:/api.example.com/",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        if (request_is_home(&channel, broken[i]))
            fail_msg("%s is home", broken[i]);
    }
    channel.base_url = "http://127.0.0.1:8000";
    assert_true(request_is_home(&channel, "http://127.0.0.1:8000/x"));
    assert_true(request_is_home(&channel, "http://rest.example.com:80/x"));
    assert_false(request_is_home(&channel, "https://rest.example.com/x"));
    assert_false(request_is_home(&channel, "http://127.0.0.1/x"));
    channel.base_url = "http://[::1]:8000";
    assert_true(request_is_home(&channel, "http://[::1]:8000/x"));
    channel.base_url = NULL;
    assert_false(request_is_home(&channel, "https://rest.example.com/x"));
}

/* ---- what is wrong ---- */

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *said;
    } cases[] = {
        {"[]", "a request is an object"},
        {"{}", "method:"},
        {"{'method':'get','path':'/'}", "method:"},
        {"{'method':'HEAD','path':'/'}", "method:"},
        {"{'method':5,'path':'/'}", "method:"},
        {"{'method':'GET','path':'/','json':{}}", "method: a GET"},
        {"{'method':'GET','path':'/','header':{}}", "member \"header\""},
        {"{'method':'GET'}", "one of path and url"},
        {"{'method':'GET','path':'/','url':'https://api.example.com/'}", "one of path and url"},
        {"{'method':'GET','path':5}", "path: must be a text"},
        {"{'method':'GET','url':{}}", "url: must be a text"},
        {"{'method':'GET','path':''}", "path: must begin"},
        {"{'method':'GET','path':'x'}", "path: must begin"},
        {"{'method':'GET','path':'@evil.example/'}", "path: must begin"},
        {"{'method':'GET','path':'/..'}", "path: holds a segment"},
        {"{'method':'GET','path':'/a/../b'}", "path: holds a segment"},
        {"{'method':'GET','path':'/a/%2e%2E/b'}", "path: holds a segment"},
        {"{'method':'GET','path':'/a/.%2e?x'}", "path: holds a segment"},
        {"{'method':'GET','path':'/a%2f..%2Fb'}", "path: holds a segment"},
        {"{'method':'GET','path':'/a/..;x/b'}", "path: holds a segment"},
        {"{'method':'GET','path':'/a%5c..'}", "path: holds a segment"},
        {"{'method':'GET','path':'/a\\\\..'}", "path: holds a \"#\" or"},
        {"{'method':'GET','path':'/a#b'}", "path: holds a \"#\" or"},
        {"{'method':'GET','path':'/a\\r\\nX: y'}", "path: holds a control"},
        {"{'method':'GET','path':'/a\\u007f'}", "path: holds a control"},
        {"{'method':'GET','url':'https://api.example.com/\\n'}", "url: holds a control"},
        {"{'method':'GET','url':'ftp://api.example.com/'}", "url: must be http"},
        {"{'method':'GET','url':'file:///etc/hosts'}", "url: must be http"},
        {"{'method':'GET','url':'https://a@api.example.com/'}", "url: must be http"},
        {"{'method':'GET','url':'/v1'}", "url: must be http"},
        {"{'method':'GET','url':'https://evil.example/'}", "url: \"evil.example\""},
        {"{'method':'GET','path':'/','query':[]}", "query: must be"},
        {"{'method':'GET','path':'/','query':{'a':[]}}", "query.a:"},
        {"{'method':'GET','path':'/','query':{'a':{'b':1}}}", "query.a:"},
        {"{'method':'GET','path':'/','headers':[]}", "headers: must be"},
        {"{'method':'GET','path':'/','headers':{'X-A':5}}", "headers.X-A: must be"},
        {"{'method':'GET','path':'/','headers':{'host':'a'}}", "headers.host: cannot"},
        {"{'method':'GET','path':'/','headers':{'Content-Length':'5'}}",
         "headers.Content-Length: cannot"},
        {"{'method':'GET','path':'/','headers':{'transfer-encoding':'a'}}",
         "headers.transfer-encoding: cannot"},
        {"{'method':'GET','path':'/','headers':{'Connection':'a'}}", "headers.Connection: cannot"},
        {"{'method':'GET','path':'/','headers':{'AUTHORIZATION':'a'}}",
         "headers.AUTHORIZATION: is not"},
        {"{'method':'GET','path':'/','headers':{'X-A':'b\\r\\nX-B: c'}}", "headers.X-A: cannot"},
        {"{'method':'GET','path':'/','headers':{'X A':'b'}}", "headers.X A: cannot"},
        {"{'method':'GET','path':'/','headers':{'':'b'}}", "headers.: cannot"},
        {"{'method':'POST','path':'/','form':[],'headers':{'content-type':'a'}}",
         "headers.content-type: is not"},
        {"{'method':'POST','path':'/','form':[],'json':{}}", "json and form"},
        {"{'method':'POST','path':'/','form':{}}", "form: must be an array"},
        {"{'method':'POST','path':'/','form':[5]}", "form[0]:"},
        {"{'method':'POST','path':'/','form':[{'value':'a'}]}", "form[0]: name"},
        {"{'method':'POST','path':'/','form':[{'name':'','value':'a'}]}", "form[0]: name"},
        {"{'method':'POST','path':'/','form':[{'name':'a\\r\\n','value':'a'}]}", "form[0]: name"},
        {"{'method':'POST','path':'/','form':[{'name':'a','value':[]}]}", "form[0]: value"},
        {"{'method':'POST','path':'/','form':[{'name':'a'}]}", "form[0]: value"},
        {"{'method':'POST','path':'/','form':[{'name':'a','value':'b','type':'c'}]}",
         "member \"type\""},
        {"{'method':'POST','path':'/','form':[{'name':'a','value':'b','filename':5}]}",
         "form[0]: name and filename"},
        {"{'method':'POST','path':'/','json':{'a':[{'$image':9,'as':['url']}]}}",
         "json.a[0]: $image is 9"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':-1,'as':['url']}}}",
         "json.a: $image must"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':'0','as':['url']}}}",
         "json.a: $image must"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':0}}}", "json.a: an image is"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':0,'as':[]}}}", "json.a: an image is"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':0,'as':'url'}}}",
         "json.a: an image is"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':0,'as':['url'],'x':1}}}",
         "json.a: an image is"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':0,'as':['url','png']}}}",
         "json.a: as names"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':0,'as':['file']}}}",
         "json.a: the image cannot"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':1,'as':['url']}}}",
         "json.a: the image cannot"},
        {"{'method':'POST','path':'/','json':{'a':{'$image':2,'as':['url','base64']}}}",
         "json.a: the image cannot"},
        {"{'method':'GET','path':'/','buys':1}", "buys:"},
        {"{'method':'GET','path':'/','redirects':6}", "redirects:"},
        {"{'method':'GET','path':'/','redirects':-1}", "redirects:"},
        {"{'method':'GET','path':'/','redirects':1.5}", "redirects:"},
        {"{'method':'GET','path':'/','heed':'404'}", "heed: must"},
        {"{'method':'GET','path':'/','heed':[404]}", "heed[0]:"},
        {"{'method':'GET','path':'/','heed':['404','3xx']}", "heed[1]:"},
        {"{'method':'GET','path':'/','heed':['099']}", "heed[0]:"},
        {"{'method':'GET','path':'/','heed':['600']}", "heed[0]:"},
        {"{'method':'GET','path':'/','heed':['4040']}", "heed[0]:"},
        {"{'method':'GET','path':'/','\\u001b[2J':1}", "member \"?[2J\""},
    };
    struct channel channel = channel_of(AUTH_WAY_BEARER, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(made_fini) struct made made;
        make(cases[i].spec, &channel, &credential, &made);
        if (made.is_good || strstr(made.error, cases[i].said) == NULL)
            fail_msg("%s: %s", cases[i].spec, made.is_good ? "is taken" : made.error);
    }
}

/* A value of `length` times `c` in place of the `%s` of the format. */
static char *spec_with(const char *format, size_t length, char c)
{
    char *filling = must_calloc(1, length + 1);
    char *spec = must_calloc(1, length + 200);
    memset(filling, c, length);
    const char *hole = strstr(format, "%s");
    snprintf(spec, length + 200, "%.*s%s%s", (int)(hole - format), format, filling, hole + 2);
    free(filling);
    return spec;
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        size_t length;
        const char *said; /* NULL: it fits */
    } cases[] = {
        {"{\"method\":\"GET\",\"path\":\"/%s\"}", REQUEST_URL_MAX - 29, NULL},
        {"{\"method\":\"GET\",\"path\":\"/%s\"}", REQUEST_URL_MAX - 28, "the URL is longer"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"query\":{\"a\":\"%s\"}}", REQUEST_URL_MAX + 1,
         "query.a: is longer"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"query\":{\"a\":\"%s\"}}", REQUEST_URL_MAX - 10,
         "the URL is longer"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"a\":\"%s\"}}", 8192, NULL},
        {"{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"a\":\"%s\"}}", 8193,
         "headers.a: must be"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"form\":[{\"name\":\"a\",\"value\":\"%s\"}]}",
         1024 * 1024, NULL},
        {"{\"method\":\"POST\",\"path\":\"/\",\"form\":[{\"name\":\"a\",\"value\":\"%s\"}]}",
         1024 * 1024 + 1, "form[0]: value is too long"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"form\":[{\"name\":\"%s\",\"value\":\"\"}]}", 201,
         "form[0]: name"},
    };
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(free_pointer) char *text = spec_with(cases[i].format, cases[i].length, 'a');
        CLEANUP(json_unref_pointer) json_t *spec = json_loads(text, 0, NULL);
        CLEANUP(made_fini) struct made made = {.body = memfd_create("body", MFD_CLOEXEC)};
        made.is_good = request_make(spec, &channel, &credential, NULL, 0, made.body, NOW_S,
                                    &made.request, made.error);
        if (made.is_good != (cases[i].said == NULL) ||
            (!made.is_good && strstr(made.error, cases[i].said) == NULL))
            fail_msg("row %zu: %s", i, made.error);
    }
}

/* {"method":"POST","path":"/","json":[[[…]]]} and so many headers, parts and words to heed. */
static json_t *large_spec(int depth, int n_headers, int n_parts)
{
    json_t *spec = json_pack("{s:s, s:s, s:{}}", "method", "POST", "path", "/", "headers");
    json_t *inner = json_array();
    char name[20];
    for (int i = 0; i < depth; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, inner);
        inner = outer;
    }
    if (depth > 0)
        json_object_set_new(spec, "json", inner);
    else
        json_decref(inner);
    for (int i = 0; i < n_headers; i++) {
        snprintf(name, sizeof(name), "X-%d", i);
        json_object_set_new(json_object_get(spec, "headers"), name, json_string("a"));
    }
    if (n_parts > 0)
        json_object_set_new(spec, "form", json_array());
    for (int i = 0; i < n_parts; i++)
        json_array_append_new(json_object_get(spec, "form"),
                              json_pack("{s:s, s:i}", "name", "a", "value", i));
    return spec;
}

static void numbers_are_bounded(void **state)
{
    (void)state;
    static const struct {
        int depth, n_headers, n_parts;
        const char *said;
    } cases[] = {
        {64, 0, 0, NULL},  {65, 0, 0, "json: is nested"},
        {0, 64, 0, NULL},  {0, 65, 0, "headers.X-64: cannot"},
        {0, 0, 256, NULL}, {0, 0, 257, "form: must be"},
    };
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t bytes;
        CLEANUP(json_unref_pointer)
        json_t *spec = large_spec(cases[i].depth, cases[i].n_headers, cases[i].n_parts);
        CLEANUP(made_fini) struct made made = {.body = memfd_create("body", MFD_CLOEXEC)};
        made.is_good = request_make(spec, &channel, &credential, NULL, 0, made.body, NOW_S,
                                    &made.request, made.error);
        if (made.is_good != (cases[i].said == NULL) ||
            (!made.is_good && strstr(made.error, cases[i].said) == NULL))
            fail_msg("row %zu: %s", i, made.error);
        assert_int_equal(request_images_wanted(spec, NULL, 0, &bytes, made.error),
                         cases[i].depth <= 64);
    }
}

/* ---- access tokens ---- */

/* A token as a bearer, a plain key in a header of its own; no adapter sets either, and both are secret. */
static void a_service_account_sends_its_token(void **state)
{
    (void)state;
    static char email[] = "a@b.example";
    static const struct service_account account = {.email = email};
    static const struct channel_credential bare = {.name = "sa", .key = "", .account = &account};
    const struct channel channel = channel_of(AUTH_WAY_GOOGLE, NULL, NULL);
    struct channel_credential with_token = bare;
    CLEANUP(made_fini) struct made token;
    CLEANUP(made_fini) struct made plain;
    CLEANUP(made_fini) struct made none;
    struct made own[2];
    with_token.token = "t-1";
    make("{'method':'GET','path':'/'}", &channel, &with_token, &token);
    assert_true(token.is_good);
    assert_string_equal(header_of(&token.request, "Authorization"), "Bearer t-1");
    assert_string_equal(header_of(&token.request, "x-goog-api-key"), "(none)");
    assert_true(is_secret(&token.request, "Authorization"));
    make("{'method':'GET','path':'/'}", &channel, &credential, &plain);
    assert_true(plain.is_good);
    assert_string_equal(header_of(&plain.request, "x-goog-api-key"), "the-key");
    assert_string_equal(header_of(&plain.request, "Authorization"), "(none)");
    assert_true(is_secret(&plain.request, "x-goog-api-key"));
    make("{'method':'GET','path':'/'}", &channel, &bare, &none);
    assert_false(none.is_good);
    assert_string_equal(none.error, "no token is at hand for the credential \"sa\"");
    make("{'method':'GET','path':'/','headers':{'authorization':'x'}}", &channel, &credential,
         &own[0]);
    make("{'method':'GET','path':'/','headers':{'X-Goog-Api-Key':'x'}}", &channel, &with_token,
         &own[1]);
    for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
        assert_false(own[i].is_good);
        assert_non_null(strstr(own[i].error, "is not for an adapter to set"));
        made_fini(&own[i]);
    }
}

/* ---- flags and headers ---- */

static void flags_are_taken(void **state)
{
    (void)state;
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    CLEANUP(made_fini) struct made usual;
    make("{'method':'DELETE','path':'/','buys':null,'heed':null,'json':null}", &channel, NULL,
         &usual);
    assert_true(usual.is_good && usual.request.buys && usual.request.max_redirects == 0);
    assert_string_equal(usual.request.method, "DELETE");
    for (size_t i = 0; i < ARRAY_LENGTH(usual.request.heeds); i++)
        assert_false(usual.request.heeds[i]);
    CLEANUP(made_fini) struct made set;
    make("{'method':'PATCH','path':'/','buys':false,'redirects':5,'heed':['4xx','503','200']}",
         &channel, NULL, &set);
    assert_true(set.is_good && !set.request.buys && set.request.max_redirects == 5);
    for (int i = 0; i < 600; i++)
        assert_int_equal(set.request.heeds[i], (i >= 400 && i < 500) || i == 503 || i == 200);
}

static void headers_have_an_order_of_precedence(void **state)
{
    (void)state;
    static const struct exchange_header headers[] = {
        {"x-both", "channel"}, {"X-Team", "video"}, {"X-Api-Key", "not the credential"}};
    struct channel channel = channel_of(AUTH_WAY_HEADER, "x-api-key", "Key ");
    channel.headers = headers;
    channel.n_headers = ARRAY_LENGTH(headers);
    CLEANUP(made_fini) struct made made;
    make("{'method':'POST','path':'/','json':{},'headers':"
         "{'X-Both':'adapter','content-type':'application/"
         "x+json','X-Gone':null,'Authorization':'mine'}}",
         &channel, &credential, &made);
    if (!made.is_good)
        fail_msg("%s", made.error);
    assert_int_equal(made.request.n_headers, 5);
    assert_string_equal(header_of(&made.request, "X-Both"), "channel");
    assert_string_equal(header_of(&made.request, "X-Team"), "video");
    assert_string_equal(header_of(&made.request, "Content-Type"), "application/x+json");
    assert_string_equal(header_of(&made.request, "X-Api-Key"), "Key the-key");
    assert_string_equal(header_of(&made.request, "Authorization"), "mine");
    assert_true(is_secret(&made.request, "X-Api-Key") && is_secret(&made.request, "X-Team") &&
                is_secret(&made.request, "X-Both"));
    assert_false(is_secret(&made.request, "Content-Type"));
    CLEANUP(made_fini) struct made taken;
    make("{'method':'POST','path':'/','headers':{'X-API-KEY':'a'}}", &channel, &credential, &taken);
    assert_false(taken.is_good);
    /* nor without a credential: what the upstream would take for one is not for a program to say */
    CLEANUP(made_fini) struct made bare;
    make("{'method':'POST','path':'/','headers':{'X-API-KEY':'a'}}", &channel, NULL, &bare);
    assert_false(bare.is_good);
}

/* Of a request that is made twice from the same words, as a poll is. */
static void a_uuid_is_drawn_anew(void **state)
{
    (void)state;
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    char seen[2][40];
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(made_fini) struct made made;
        make("{'method':'GET','path':'/','headers':{'X-Trace':{'$uuid':true}}}", &channel, NULL,
             &made);
        assert_true(made.is_good);
        const char *uuid = header_of(&made.request, "X-Trace");
        assert_int_equal(strlen(uuid), 36);
        assert_int_equal(strspn(uuid, "0123456789abcdef-"), 36);
        assert_true(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
        assert_true(uuid[14] == '7' && strchr("89ab", uuid[19]) != NULL);
        memcpy(seen[i], uuid, 37);
    }
    assert_string_not_equal(seen[0], seen[1]);
    static const char *const wrong[] = {"{'$uuid':false}", "{'$uuid':1}", "{'$uuid':true,'a':1}",
                                        "{}", "[]"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        char spec[120];
        snprintf(spec, sizeof(spec), "{'method':'GET','path':'/','headers':{'X-Trace':%s}}",
                 wrong[i]);
        CLEANUP(made_fini) struct made made;
        make(spec, &channel, NULL, &made);
        assert_false(made.is_good);
    }
}

static void credentials_go_where_they_belong(void **state)
{
    (void)state;
    static const struct {
        enum auth_way auth;
        const char *name, *prefix;
        const struct channel_credential *credential;
        const char *header, *value, *url;
    } cases[] = {
        {AUTH_WAY_NONE, NULL, NULL, &credential, "Authorization", "(none)", "/x"},
        {AUTH_WAY_BEARER, NULL, NULL, &credential, "Authorization", "Bearer the-key", "/x"},
        {AUTH_WAY_HEADER, "X-Key", NULL, &credential, "x-key", "the-key", "/x"},
        {AUTH_WAY_HEADER, "Authorization", "Key ", &credential, "Authorization", "Key the-key",
         "/x"},
        {AUTH_WAY_QUERY, "key", NULL, &credential, "Authorization", "(none)", "/x?key=the-key"},
        {AUTH_WAY_QUERY, "key", NULL, NULL, "Authorization", "(none)", "/x"},
        {AUTH_WAY_JWT, NULL, NULL, &credential, "Authorization", "Bearer the-key", "/x"},
        {AUTH_WAY_JWT, NULL, NULL, NULL, "Authorization", "(none)", "/x"},
        {AUTH_WAY_JWT, NULL, NULL, &signing, "Authorization",
         "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
         "eyJpc3MiOiJhY2Nlc3Mta2V5IiwiZXhwIjoxNzU5NzY1MjI2LCJuYmYiOjE3NTk3NjM0MjF9."
         "EopVrFELIetCMs3Sz0Hg7D9lb9i95r098UQ30NY9-LI",
         "/x"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct channel channel = channel_of(cases[i].auth, cases[i].name, cases[i].prefix);
        char url[200];
        CLEANUP(made_fini) struct made made;
        make("{'method':'GET','path':'/x'}", &channel, cases[i].credential, &made);
        assert_true(made.is_good);
        snprintf(url, sizeof(url), "https://api.example.com/base%s", cases[i].url);
        assert_string_equal(made.request.url, url);
        assert_string_equal(header_of(&made.request, cases[i].header), cases[i].value);
    }
    struct channel channel = channel_of(AUTH_WAY_QUERY, "key", NULL);
    CLEANUP(made_fini) struct made twice;
    make("{'method':'GET','path':'/x','query':{'key':'a'}}", &channel, &credential, &twice);
    assert_false(twice.is_good);
    assert_non_null(strstr(twice.error, "query.key: "));
}

static void odd_credentials_are_not_told(void **state)
{
    (void)state;
    static const struct channel_credential odd = {
        .name = "odd", .key = "the\r\nkey", .secret = "secret"};
    static const struct channel_credential broken = {
        .name = "odd", .key = "the\xffkey", .secret = "secret"};
    struct channel bearer = channel_of(AUTH_WAY_BEARER, NULL, NULL);
    struct channel jwt = channel_of(AUTH_WAY_JWT, NULL, NULL);
    CLEANUP(made_fini) struct made made;
    make("{'method':'GET','path':'/x'}", &bearer, &odd, &made);
    assert_false(made.is_good);
    assert_non_null(strstr(made.error, "credential \"odd\""));
    assert_null(strstr(made.error, "key"));
    CLEANUP(made_fini) struct made token;
    make("{'method':'GET','path':'/x'}", &jwt, &broken, &token);
    assert_false(token.is_good);
    assert_null(strstr(token.error, "key"));
}

/* ---- bodies ---- */

static void json_is_written_with_its_images(void **state)
{
    (void)state;
    static const struct {
        const char *json, *body;
    } cases[] = {
        {"{}", "{}"},
        {"'text'", "\"text\""},
        {"false", "false"},
        {"[1, -2.5, true, null, 'a\\\\\\u0001\\u00e9', {'b': {}, 'a': []}]",
         "[1,-2.5,true,null,\"a\\\\\\u0001\xc3\xa9\",{\"b\":{},\"a\":[]}]"},
        {"{'k\\u0007': 9007199254740993}", "{\"k\\u0007\":9007199254740993}"},
        {"{'$image': 0, 'as': ['url', 'base64']}", "\"https://img.example.com/a.png\""},
        {"[{'$image': 0, 'as': ['base64', 'url']}, 1]", "[\"iVBORyE=\",1]"},
        {"{'a': {'$image': 1, 'as': ['url', 'data_uri']}}",
         "{\"a\":\"data:image/jpeg;base64,anBlZw==\"}"},
        {"{'a': {'$image': 0, 'as': ['file', 'url']}}",
         "{\"a\":\"https://img.example.com/a.png\"}"},
    };
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char spec[500];
        snprintf(spec, sizeof(spec), "{'method':'POST','path':'/','json':%s}", cases[i].json);
        CLEANUP(made_fini) struct made made;
        make(spec, &channel, NULL, &made);
        if (!made.is_good)
            fail_msg("%s: %s", spec, made.error);
        CLEANUP(free_pointer) char *body = body_of(&made);
        assert_string_equal(body, cases[i].body);
        assert_string_equal(header_of(&made.request, "Content-Type"), "application/json");
    }
}

/* What stands between the boundary lines; `%` in the expectation is the boundary. */
static void expect_form(const struct made *made, const char *expected)
{
    CLEANUP(free_pointer) char *body = body_of(made);
    CLEANUP(buf_fini) struct buf wanted;
    const char *type = header_of(&made->request, "Content-Type");
    const char *boundary = strstr(type, "boundary=");
    buf_init(&wanted, BODY_MAX);
    assert_non_null(boundary);
    assert_int_equal(strncmp(type, "multipart/form-data; ", 21), 0);
    boundary += 9;
    assert_int_equal(strlen(boundary), 41);
    for (; *expected != '\0'; expected++) {
        if (*expected == '%')
            buf_puts(&wanted, boundary);
        else
            buf_putc(&wanted, *expected);
    }
    assert_string_equal(body, buf_text(&wanted));
}

static void forms_are_written_with_their_files(void **state)
{
    (void)state;
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    CLEANUP(made_fini) struct made made;
    make("{'method':'POST','path':'/','form':["
         "{'name':'prompt','value':'line\\r\\n\\u00e9'},{'name':'n','value':8},{'name':'f','value':"
         "true},"
         "{'name':'gone','value':null},"
         "{'name':'i;x','value':{'$image':1,'as':['file']}},"
         "{'name':'j','value':{'$image':0,'as':['file']},'filename':'my pic.png'},"
         "{'name':'u','value':{'$image':0,'as':['url','file']}},"
         "{'name':'d','value':{'$image':1,'as':['data_uri']}},"
         "{'name':'b','value':{'$image':1,'as':['base64']}}]}",
         &channel, NULL, &made);
    if (!made.is_good)
        fail_msg("%s", made.error);
    expect_form(
        &made,
        "--%\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nline\r\n\xc3\xa9\r\n"
        "--%\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n8\r\n"
        "--%\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\ntrue\r\n"
        "--%\r\nContent-Disposition: form-data; name=\"i;x\"; filename=\"image.jpeg\"\r\n"
        "Content-Type: image/jpeg\r\n\r\njpeg\r\n"
        "--%\r\nContent-Disposition: form-data; name=\"j\"; filename=\"my pic.png\"\r\n"
        "Content-Type: image/png\r\n\r\n\x89PNG!\r\n"
        "--%\r\nContent-Disposition: form-data; name=\"u\"\r\n\r\nhttps://img.example.com/a.png\r\n"
        "--%\r\nContent-Disposition: form-data; "
        "name=\"d\"\r\n\r\ndata:image/jpeg;base64,anBlZw==\r\n"
        "--%\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nanBlZw==\r\n"
        "--%--\r\n");
}

static void quotes_do_not_end_a_name(void **state)
{
    (void)state;
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    CLEANUP(made_fini) struct made made;
    make("{'method':'POST','path':'/','form':[{'name':'a\\u0022b','value':''}]}", &channel, NULL,
         &made);
    assert_true(made.is_good);
    CLEANUP(free_pointer) char *body = body_of(&made);
    assert_non_null(strstr(body, "name=\"a%22b\"\r\n"));
}

static void large_images_come_in_pieces(void **state)
{
    (void)state;
    static char data[LARGE_IMAGE];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 + (i >> 9));
    CLEANUP(close_fd) int fd = file_of(data, sizeof(data));
    struct request_image image = {.fd = fd, .bytes = LARGE_IMAGE, .type = "image/png"};
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    CLEANUP(json_unref_pointer)
    json_t *spec = spec_of("{'method':'POST','path':'/','json':{'$image':0,'as':['base64']}}");
    CLEANUP(made_fini) struct made made = {.body = memfd_create("body", MFD_CLOEXEC)};
    assert_true(
        request_make(spec, &channel, NULL, &image, 1, made.body, NOW_S, &made.request, made.error));
    CLEANUP(free_pointer) char *body = body_of(&made);
    CLEANUP(free_pointer) uint8_t *decoded = must_calloc(1, BODY_MAX);
    size_t length = 0;
    assert_int_equal(made.request.body_bytes, codec_base64_length(LARGE_IMAGE) + 2);
    assert_true(codec_base64_decode(body + 1, codec_base64_length(LARGE_IMAGE), decoded, &length));
    assert_int_equal(length, LARGE_IMAGE);
    assert_memory_equal(decoded, data, LARGE_IMAGE);

    image.bytes++; /* more than there is */
    assert_false(
        request_make(spec, &channel, NULL, &image, 1, made.body, NOW_S, &made.request, made.error));
    assert_non_null(strstr(made.error, "json: the image's file cannot be read"));
}

static void a_failing_spool_is_told(void **state)
{
    (void)state;
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    CLEANUP(json_unref_pointer) json_t *spec = spec_of("{'method':'POST','path':'/','json':{}}");
    char error[REQUEST_ERROR_SIZE];
    struct request request;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(request_make(spec, &channel, NULL, NULL, 0, ends[1], NOW_S, &request, error));
    assert_non_null(strstr(error, "the body cannot be written: "));
    close(ends[0]);
    close(ends[1]);
}

/* A gibibyte of zeros that takes no room, spelled out. */
static void bodies_are_bounded(void **state)
{
    (void)state;
    CLEANUP(close_fd) int fd = memfd_create("sparse", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, REQUEST_BODY_MAX), 0);
    struct request_image image = {.fd = fd, .bytes = REQUEST_BODY_MAX, .type = "image/png"};
    struct channel channel = channel_of(AUTH_WAY_NONE, NULL, NULL);
    CLEANUP(json_unref_pointer)
    json_t *spec = spec_of(
        "{'method':'POST','path':'/','form':[{'name':'a','value':{'$image':0,'as':['file']}}]}");
    struct request request;
    char error[REQUEST_ERROR_SIZE];
    CLEANUP(close_fd) int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_false(request_make(spec, &channel, NULL, &image, 1, nothing, NOW_S, &request, error));
    assert_non_null(strstr(error, "the body is larger than"));
}

static void wanted_images_are_known_before(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        uint64_t bytes;
        const char *said;
    } cases[] = {
        {"{}", 0, NULL},
        {"{'json':{'a':[{'$image':0,'as':['url','base64']},{'$image':1,'as':['url','base64']}]}}",
         2, NULL},
        {"{'json':{'a':{'$image':0,'as':['data_uri']},'b':{'$image':2,'as':['url','base64']}}}", 5,
         NULL},
        {"{'form':[{'name':'a','value':{'$image':0,'as':['file','url']}},{'name':'b','value':1}]}",
         1, NULL},
        {"{'form':[{'name':'a','value':{'$image':0,'as':['url']}}]}", 0, NULL},
        {"{'json':{'a':{'$image':1,'as':['url']}}}", 0, "json.a: the image cannot"},
        {"{'json':{'a':{'$image':3,'as':['url']}}}", 0, "json.a: $image is 3, but the task has 3"},
        {"{'form':[{'name':'a','value':{'$image':7,'as':['url']}}]}", 0, "form[0]: $image is 7"},
        {"{'json':{'a':{'$image':1,'as':['file']}}}", 0, "json.a: the image cannot"},
    };
    CLEANUP(album_fini) struct album album;
    album_init(&album);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(json_unref_pointer) json_t *spec = spec_of(cases[i].spec);
        uint64_t bytes = 99;
        char error[REQUEST_ERROR_SIZE] = "";
        bool is_good = request_images_wanted(spec, album.images, 3, &bytes, error);
        if (is_good != (cases[i].said == NULL) ||
            (!is_good && strstr(error, cases[i].said) == NULL))
            fail_msg("%s: %s", cases[i].spec, error);
        assert_int_equal(bytes, is_good ? cases[i].bytes : 99);
    }
    CLEANUP(json_unref_pointer) json_t *none = json_object();
    static const struct request_image many[65] = {{0}};
    uint64_t bytes;
    char error[REQUEST_ERROR_SIZE];
    assert_false(request_images_wanted(none, many, 65, &bytes, error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_joined),
        cmocka_unit_test(the_credential_goes_home_only),
        cmocka_unit_test(homes_are_known),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(a_service_account_sends_its_token),
        cmocka_unit_test(flags_are_taken),
        cmocka_unit_test(headers_have_an_order_of_precedence),
        cmocka_unit_test(a_uuid_is_drawn_anew),
        cmocka_unit_test(credentials_go_where_they_belong),
        cmocka_unit_test(odd_credentials_are_not_told),
        cmocka_unit_test(json_is_written_with_its_images),
        cmocka_unit_test(forms_are_written_with_their_files),
        cmocka_unit_test(quotes_do_not_end_a_name),
        cmocka_unit_test(large_images_come_in_pieces),
        cmocka_unit_test(a_failing_spool_is_told),
        cmocka_unit_test(bodies_are_bounded),
        cmocka_unit_test(wanted_images_are_known_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
