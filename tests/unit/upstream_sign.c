/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that are signed when they are sent: what the signature covers is what goes over the wire. How a signature is
 * made is net_volcengine.c's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"
#include "net/volcengine.h"
#include "upstream/request.h"

enum { NOW_S = 1759763426, LATER_S = NOW_S + 601, IMAGE_BYTES = 300001 };

static const struct channel_credential pair = {
    .name = "default", .key = "access-key", .secret = "top-secret"};
static const struct channel channel = {.name = "one",
                                       .base_url = "https://api.example.com",
                                       .hosts = (const char *const[]){NULL},
                                       .auth = AUTH_WAY_VOLCENGINE,
                                       .auth_service = "cv",
                                       .auth_region = "cn-north-1"};

struct made {
    struct request request;
    int body, image;
    bool is_good;
    char error[REQUEST_ERROR_SIZE];
};

static void made_fini(struct made *made)
{
    request_fini(&made->request);
    close_fd(&made->body);
    close_fd(&made->image);
}

static void make(const char *text, const struct channel *to,
                 const struct channel_credential *credential, struct made *ret_made)
{
    CLEANUP(json_unref_pointer) json_t *spec = json_loads(text, 0, NULL);
    must(spec != NULL);
    *ret_made = (struct made){.body = memfd_create("body", MFD_CLOEXEC),
                              .image = memfd_create("image", MFD_CLOEXEC)};
    must(ftruncate(ret_made->image, IMAGE_BYTES) == 0);
    const struct request_image image = {NULL, ret_made->image, IMAGE_BYTES, "image/png"};
    ret_made->is_good = request_make(spec, to, credential, &image, 1, ret_made->body, NOW_S,
                                     &ret_made->request, ret_made->error);
}

static const char *header_of(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

/* Of the whole file, at once. */
static void digest_of(int file, int64_t bytes, char ret_hex[CRYPT_SHA256_HEX_SIZE])
{
    uint8_t digest[CRYPT_SHA256_SIZE];
    void *data = mmap(NULL, bytes > 0 ? (size_t)bytes : 1, PROT_READ, MAP_PRIVATE, file, 0);
    must(data != MAP_FAILED && lseek(file, 0, SEEK_END) == bytes);
    crypt_sha256(data, (size_t)bytes, digest);
    munmap(data, bytes > 0 ? (size_t)bytes : 1);
    codec_hex_encode(digest, sizeof(digest), ret_hex);
}

/* Is it signed as it stands there, at this time? */
static void assert_signed(const struct made *made, int64_t now_s)
{
    const struct request *request = &made->request;
    char digest[CRYPT_SHA256_HEX_SIZE];
    char date[VOLCENGINE_DATE_SIZE];
    CLEANUP(buf_fini) struct buf expected;
    buf_init(&expected, 1000);
    digest_of(made->body, request->body_bytes, digest);
    const struct volcengine_request wish = {
        request->method, request->url, header_of(request, "Content-Type"),
        digest,          "cv",         "cn-north-1",
        "access-key",    "top-secret"};
    assert_true(volcengine_sign(&wish, now_s, date, &expected));
    assert_string_equal(header_of(request, "X-Content-Sha256"), digest);
    assert_string_equal(header_of(request, "X-Date"), date);
    assert_string_equal(header_of(request, "Authorization"), buf_text(&expected));
}

#define JSON                                                                                       \
    "{\"method\":\"POST\",\"path\":\"/?Version=2\",\"query\":{\"Action\":\"a b\"},"                \
    "\"json\":{\"a\":1}}"
#define IMAGE                                                                                      \
    "{\"method\":\"POST\",\"path\":\"/\",\"json\":{\"i\":{\"$image\":0,\"as\":[\"base64\"]}}}"
#define FORM                                                                                       \
    "{\"method\":\"POST\",\"path\":\"/\",\"form\":[{\"name\":\"a\",\"value\":\"b\"},"              \
    "{\"name\":\"f\",\"value\":{\"$image\":0,\"as\":[\"file\"]}}]}"
#define BARE "{\"method\":\"GET\",\"path\":\"/x\"}"
#define TYPED                                                                                      \
    "{\"method\":\"POST\",\"path\":\"/\",\"json\":{},\"headers\":{\"content-type\":\"a/b\"}}"

static void a_request_is_signed_when_it_is_sent(void **state)
{
    (void)state;
    static const char *const specs[] = {JSON, IMAGE, FORM, BARE, TYPED};
    for (size_t i = 0; i < ARRAY_LENGTH(specs); i++) {
        CLEANUP(made_fini) struct made made;
        make(specs[i], &channel, &pair, &made);
        assert_true(made.is_good);
        assert_null(header_of(&made.request, "Authorization")); /* not when it is made */
        size_t n_headers = made.request.n_headers;
        assert_int_equal(request_sign(&made.request, &channel, &pair, made.body, NOW_S), 0);
        assert_signed(&made, NOW_S);
        /* and anew when it could not leave then */
        assert_int_equal(request_sign(&made.request, &channel, &pair, made.body, LATER_S), 0);
        assert_signed(&made, LATER_S);
        assert_int_equal(made.request.n_headers, n_headers + 3);
        for (size_t j = 0; j < made.request.n_headers; j++)
            assert_null(strstr(made.request.headers[j].value, "top-secret"));
    }
}

static void without_a_credential_nothing_is_signed(void **state)
{
    (void)state;
    CLEANUP(made_fini) struct made made;
    make("{\"method\":\"GET\",\"url\":\"https://elsewhere.example/x\"}", &channel, NULL, &made);
    assert_true(made.is_good);
    assert_int_equal(request_sign(&made.request, &channel, NULL, -1, NOW_S), 0);
    assert_int_equal(made.request.n_headers, 0);
    struct channel bearer = channel;
    bearer.auth = AUTH_WAY_BEARER;
    CLEANUP(made_fini) struct made other;
    make(BARE, &bearer, &pair, &other);
    assert_int_equal(request_sign(&other.request, &bearer, &pair, other.body, NOW_S), 0);
    assert_string_equal(header_of(&other.request, "Authorization"), "Bearer access-key");
    assert_int_equal(other.request.n_headers, 1);
}

static void a_body_that_cannot_be_read_is_not_signed(void **state)
{
    (void)state;
    CLEANUP(made_fini) struct made made;
    make(JSON, &channel, &pair, &made);
    assert_true(made.is_good && made.request.body_bytes > 1);
    assert_int_equal(request_sign(&made.request, &channel, &pair, -1, NOW_S), -EBADF);
    must(ftruncate(made.body, made.request.body_bytes - 1) == 0);
    assert_int_equal(request_sign(&made.request, &channel, &pair, made.body, NOW_S), -EIO);
    assert_null(header_of(&made.request, "Authorization"));
}

static void what_signs_is_not_for_others_to_set(void **state)
{
    (void)state;
    static const char *const names[] = {"Authorization", "x-date", "X-CONTENT-SHA256"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const struct exchange_header header = {names[i], "mine"};
        struct channel with = channel;
        char spec[200];
        with.headers = &header;
        with.n_headers = 1;
        snprintf(spec, sizeof spec,
                 "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"%s\":\"mine\"}}", names[i]);
        CLEANUP(made_fini) struct made made;
        make(spec, &channel, &pair, &made);
        assert_false(made.is_good);
        assert_non_null(strstr(made.error, "is not for an adapter to set"));
        CLEANUP(made_fini) struct made configured;
        make(BARE, &with, &pair, &configured);
        assert_int_equal(request_sign(&configured.request, &with, &pair, configured.body, NOW_S),
                         0);
        assert_signed(&configured, NOW_S);
    }
}

static void there_must_be_room_for_it(void **state)
{
    (void)state;
    struct exchange_header headers[EXCHANGE_HEADERS_MAX - 2];
    char names[ARRAY_LENGTH(headers)][8];
    struct channel full = channel;
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        snprintf(names[i], sizeof names[i], "X-%zu", i);
        headers[i] = (struct exchange_header){names[i], "1"};
    }
    full.headers = headers;
    full.n_headers = ARRAY_LENGTH(headers);
    CLEANUP(made_fini) struct made made;
    make(BARE, &full, &pair, &made);
    assert_true(made.is_good);
    assert_int_equal(request_sign(&made.request, &full, &pair, made.body, NOW_S), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_signed_when_it_is_sent),
        cmocka_unit_test(without_a_credential_nothing_is_signed),
        cmocka_unit_test(a_body_that_cannot_be_read_is_not_signed),
        cmocka_unit_test(what_signs_is_not_for_others_to_set),
        cmocka_unit_test(there_must_be_room_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
