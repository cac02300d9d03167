/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests over TLS and through proxies. The upstream shows a certificate that this program made
 * and signed itself. */
#include "net_upstream.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct fixture {
    struct stage stage;
    EVP_PKEY *key;
    X509 *certificate;
    SSL_CTX *tls;
    int file; /* the certificate as PEM */
    char path[40];
};

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    must(certificate != NULL && X509_set_version(certificate, 2) == 1);
    must(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1);
    must(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL);
    must(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL);
    must(X509_set_pubkey(certificate, key) == 1);
    X509_NAME *name = X509_get_subject_name(certificate);
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"upstream", -1,
                                    -1, 0) == 1);
    must(X509_set_issuer_name(certificate, name) == 1);
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1");
    must(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void write_certificate(struct fixture *fixture)
{
    fixture->file = memfd_create("ca", MFD_CLOEXEC);
    must(fixture->file >= 0);
    snprintf(fixture->path, sizeof(fixture->path), "/proc/self/fd/%d", fixture->file);
    FILE *file = fopen(fixture->path, "w");
    must(file != NULL && PEM_write_X509(file, fixture->certificate) == 1);
    must(fclose(file) == 0);
}

/* A server that serves both: what is for it, and, as a proxy, what is for others. */
static bool answer(struct upstream *upstream, struct visit *visit)
{
    (void)upstream;
    if (strcmp(visit->method, "CONNECT") == 0)
        return visit_say(visit, "HTTP/1.1 407 Pay\r\nX-Proxy: 1\r\nContent-Length: 0\r\n\r\n");
    if (strncmp(visit->target, "http://", 7) == 0)
        return visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nvia proxy");
    return visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ndirectly");
}

static int set_up_with(void **state, bool has_tls)
{
    struct fixture *fixture = must_calloc(1, sizeof(*fixture));
    fixture->key = EVP_EC_gen("P-256");
    must(fixture->key != NULL);
    fixture->certificate = make_certificate(fixture->key);
    fixture->tls = SSL_CTX_new(TLS_server_method());
    must(fixture->tls != NULL);
    must(SSL_CTX_use_certificate(fixture->tls, fixture->certificate) == 1);
    must(SSL_CTX_use_PrivateKey(fixture->tls, fixture->key) == 1);
    write_certificate(fixture);
    fixture->stage.upstream = upstream_open(answer, has_tls ? fixture->tls : NULL);
    stage_open(&fixture->stage);
    *state = fixture;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, false);
}

static int set_up_tls(void **state)
{
    return set_up_with(state, true);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    stage_close(&fixture->stage);
    (void)upstream_close(fixture->stage.upstream);
    SSL_CTX_free(fixture->tls);
    X509_free(fixture->certificate);
    EVP_PKEY_free(fixture->key);
    close(fixture->file);
    free(fixture);
    return 0;
}

static void expect(struct fixture *fixture, struct exchange_request request, enum exchange_end end,
                   long status, bool was_never_sent, const char *body)
{
    CLEANUP(outcome_fini) struct outcome outcome;
    stage_send(&fixture->stage, request, &outcome);
    outcome_expect(&outcome, end, status, was_never_sent);
    outcome_expect_body(&outcome, 0, body);
    if (status == 0)
        assert_int_equal(outcome.answer.n_headers, 0); /* none of a proxy's */
}

/* ---- TLS ---- */

static void strangers_certificates_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char url[500];
    for (int is_fresh = 0; is_fresh < 2; is_fresh++) {
        struct exchange_request request =
            stage_usual("POST", stage_url(&fixture->stage, "/?key=secret", url));
        request.is_fresh = is_fresh != 0;
        expect(fixture, request, EXCHANGE_UNREACHABLE, 0, true, "");
    }
    assert_int_equal(atomic_load(&fixture->stage.upstream->n_requests), 0);
}

static void a_file_of_authorities_adds_to_the_systems(void **state)
{
    struct fixture *fixture = *state;
    const struct exchange_road road = {.ca_file = fixture->path};
    char url[500];
    for (int i = 0; i < 4; i++) {
        struct exchange_request request = stage_usual("POST", stage_url(&fixture->stage, "/", url));
        request.is_fresh = i % 2 == 1;
        request.road = &road;
        expect(fixture, request, EXCHANGE_DONE, 200, false, "directly");
        /* It counts for its road alone, a connection that was kept included. */
        request.road = NULL;
        expect(fixture, request, EXCHANGE_UNREACHABLE, 0, true, "");
    }
    assert_int_equal(atomic_load(&fixture->stage.upstream->n_requests), 4);
}

static void a_certificate_is_for_its_host(void **state)
{
    struct fixture *fixture = *state;
    const struct exchange_road road = {.ca_file = fixture->path};
    char url[500];
    snprintf(url, sizeof(url), "https://localhost:%u/", fixture->stage.upstream->port);
    struct exchange_request request = stage_usual("POST", url);
    request.road = &road;
    expect(fixture, request, EXCHANGE_UNREACHABLE, 0, true, "");
    assert_int_equal(atomic_load(&fixture->stage.upstream->n_requests), 0);
}

static void a_missing_file_of_authorities_is_told(void **state)
{
    struct fixture *fixture = *state;
    const struct exchange_road road = {.ca_file = "/proc/self/nothing"};
    char url[500];
    struct exchange_request request = stage_usual("POST", stage_url(&fixture->stage, "/", url));
    request.road = &road;
    expect(fixture, request, EXCHANGE_UNREACHABLE, 0, true, "");
    assert_int_equal(atomic_load(&fixture->stage.upstream->n_connections), 0);
}

/* It answers a greeting of TLS with text, or not at all. */
static void no_tls_means_never_sent(void **state)
{
    struct fixture *fixture = *state;
    char url[500];
    unsigned port;
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/?key=secret", fixture->stage.upstream->port);
    struct exchange_request request = stage_usual("POST", url);
    request.is_fresh = true;
    request.total_ms = 500; /* the server waits for the end of a head */
    expect(fixture, request, EXCHANGE_TIMED_OUT, 0, true, "");
    CLEANUP(close_fd) UNUSED int silent = upstream_bind(true, &port);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/?key=secret", port);
    request.connect_ms = 200;
    request.total_ms = 20000;
    expect(fixture, request, EXCHANGE_TIMED_OUT, 0, true, "");
    assert_int_equal(atomic_load(&fixture->stage.upstream->n_requests), 0);
}

static void *say_garbage(void *context)
{
    const int *listener = context;
    int fd = accept(*listener, NULL, NULL);
    must(fd >= 0 && send(fd, "220 welcome\r\n", 13, MSG_NOSIGNAL) == 13);
    shutdown(fd, SHUT_WR);
    char bytes[2000];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0)
        continue;
    close(fd);
    return NULL;
}

static void garbage_for_tls_means_never_sent(void **state)
{
    struct fixture *fixture = *state;
    char url[500];
    unsigned port;
    pthread_t thread;
    CLEANUP(close_fd) int listener = upstream_bind(true, &port);
    must(pthread_create(&thread, NULL, say_garbage, &listener) == 0);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/?key=secret", port);
    expect(fixture, stage_usual("POST", url), EXCHANGE_UNREACHABLE, 0, true, "");
    pthread_join(thread, NULL);
}

/* ---- proxies ---- */

static void only_the_roads_proxy_is_used(void **state)
{
    struct fixture *fixture = *state;
    char url[500];
    char proxy[100];
    snprintf(proxy, sizeof(proxy), "http://user:secret@127.0.0.1:%u",
             fixture->stage.upstream->port);
    const struct exchange_road road = {.proxy = proxy};
    must(setenv("http_proxy", "http://127.0.0.1:1", 1) == 0);
    must(setenv("all_proxy", "http://127.0.0.1:1", 1) == 0);
    expect(fixture, stage_usual("GET", stage_url(&fixture->stage, "/", url)), EXCHANGE_DONE, 200,
           false, "directly");
    must(setenv("no_proxy", "*", 1) == 0);
    struct exchange_request request = stage_usual("POST", "http://upstream.test/x?key=secret");
    request.road = &road;
    for (int is_fresh = 0; is_fresh < 2; is_fresh++) {
        request.is_fresh = is_fresh != 0;
        expect(fixture, request, EXCHANGE_DONE, 200, false, "via proxy");
        assert_true(
            upstream_saw(fixture->stage.upstream, "POST http://upstream.test/x?key=secret "));
    }
    must(unsetenv("http_proxy") == 0 && unsetenv("all_proxy") == 0 && unsetenv("no_proxy") == 0);
}

static void what_a_proxy_refuses_was_never_sent(void **state)
{
    struct fixture *fixture = *state;
    static const struct exchange_header headers[] = {{"X-Api-Key", "secret"}};
    char proxy[100];
    unsigned port;
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", fixture->stage.upstream->port);
    struct exchange_road road = {.proxy = proxy};
    struct exchange_request request = stage_usual("POST", "https://upstream.test/?key=secret");
    request.road = &road;
    request.headers = headers;
    request.n_headers = 1;
    request.is_fresh = true;
    expect(fixture, request, EXCHANGE_UNREACHABLE, 0, true, "");
    assert_true(upstream_saw(fixture->stage.upstream, "CONNECT upstream.test:443 "));
    assert_false(upstream_saw(fixture->stage.upstream, "secret"));

    CLEANUP(close_fd) UNUSED int deaf = upstream_bind(false, &port);
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", port);
    expect(fixture, request, EXCHANGE_UNREACHABLE, 0, true, "");
}

/* The proxy's own address is the operator's choice; one in the URL is not. */
static void a_guard_looks_past_the_proxy(void **state)
{
    struct fixture *fixture = *state;
    char proxy[100];
    char error[200];
    struct guard *guard = NULL;
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", fixture->stage.upstream->port);
    const struct exchange_road road = {.proxy = proxy};
    assert_true(guard_new(NULL, 0, &guard, error));
    static const char *const inside[] = {
        "http://127.0.0.1/secret",     "http://0x7f.1/secret",   "http://[::1]/secret",
        "http://2130706433/secret",    "http://10.0.0.1/",       "http://localhost/secret",
        "http://sub.localhost./",      "http://[fe80::1%25lo]/", "http://169.254.169.254/secret",
        "http://[::ffff:127.0.0.1]/x",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(inside); i++) {
        struct exchange_request request = stage_usual("GET", inside[i]);
        request.road = &road;
        request.guard = guard;
        expect(fixture, request, EXCHANGE_FORBIDDEN, 0, true, "");
    }
    assert_int_equal(atomic_load(&fixture->stage.upstream->n_connections), 0);
    static const char *const outside[] = {"http://upstream.test/", "http://8.8.8.8/",
                                          "http://notlocalhost.test/", "http://[2606:4700::1]/"};
    for (size_t i = 0; i < ARRAY_LENGTH(outside); i++) {
        struct exchange_request request = stage_usual("GET", outside[i]);
        request.road = &road;
        request.guard = guard;
        expect(fixture, request, EXCHANGE_DONE, 200, false, "via proxy");
    }
    guard = guard_free(guard);
}

#define CASE(name, begin) cmocka_unit_test_setup_teardown(name, begin, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(strangers_certificates_are_refused, set_up_tls),
        CASE(a_file_of_authorities_adds_to_the_systems, set_up_tls),
        CASE(a_certificate_is_for_its_host, set_up_tls),
        CASE(a_missing_file_of_authorities_is_told, set_up_tls),
        CASE(no_tls_means_never_sent, set_up),
        CASE(garbage_for_tls_means_never_sent, set_up),
        CASE(only_the_roads_proxy_is_used, set_up),
        CASE(what_a_proxy_refuses_was_never_sent, set_up),
        CASE(a_guard_looks_past_the_proxy, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
