/* SPDX-License-Identifier: Apache-2.0
 *
 * api/page.h: the policy names the page's own script and style, and lets nothing else in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/page.h"

/* The hashes are of `body{color:red}` and `'use strict';` with a line end, made with openssl. */
#define STYLE "FcQqt3aNlV7AZnGV4zkQRVeCeJOxbMPnQSx258L803E="
#define SCRIPT "5l88yppGN8NFk8W03FaY1jaLkc5D9tJic6cMQwpmtx8="
static const char HTML[] = "<html><style>body{color:red}</style><p>1 < 2</p>"
                           "<script>'use strict';\n</script></html>";

static void policy_names_script_and_style(void **state)
{
    (void)state;
    char policy[PAGE_POLICY_SIZE];
    page_policy(HTML, "", policy);
    assert_string_equal(policy, "default-src 'none'; script-src 'sha256-" SCRIPT "'; "
                                "style-src 'sha256-" STYLE "'; img-src 'self' data: blob:; "
                                "media-src 'self'; connect-src 'self'; base-uri 'none'; "
                                "form-action 'none'; frame-ancestors 'none'");
}

static void policy_lets_films_of_the_public_origin_in(void **state)
{
    (void)state;
    char policy[PAGE_POLICY_SIZE];
    page_policy(HTML, "https://films.example:8443", policy);
    assert_non_null(strstr(policy, "img-src 'self' data: blob: https://films.example:8443; "));
    assert_non_null(strstr(policy, "media-src 'self' https://films.example:8443; "));
    assert_non_null(strstr(policy, "connect-src 'self'; "));
}

static void the_longest_origin_fits(void **state)
{
    (void)state;
    char url[ORIGIN_BASE_SIZE];
    char origin[ORIGIN_BASE_SIZE];
    char policy[PAGE_POLICY_SIZE];
    memcpy(url, "https://", 8);
    memset(url + 8, 'a', ORIGIN_HOST_MAX);
    url[8 + ORIGIN_HOST_MAX] = '\0';
    page_origin(url, origin);
    assert_string_equal(origin, url);
    page_policy(HTML, origin, policy);
    assert_non_null(strstr(policy, "frame-ancestors 'none'"));
}

static void origin_is_cut_from_a_url(void **state)
{
    (void)state;
    static const struct {
        const char *url, *origin;
    } rows[] = {
        {"https://films.example", "https://films.example"},
        {"https://films.example/", "https://films.example"},
        {"http://127.0.0.1:8080/films/a", "http://127.0.0.1:8080"},
        {"http://[::1]:8080", "http://[::1]:8080"},
        {"https://films.example?a", "https://films.example"},
        {"", ""},
        {"https://", ""},
        {"ftp://films.example", ""},
        {"https://films.example; script-src *", ""},
        {"https://a b", ""},
        {"https://a'b", ""},
        {"https://a,b", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char origin[ORIGIN_BASE_SIZE];
        page_origin(rows[i].url, origin);
        assert_string_equal(origin, rows[i].origin);
    }
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

/* What the policy would stop must not be in the page. */
static void the_page_fits_its_policy(void **state)
{
    (void)state;
    static const char *const barred[] = {
        " style=", " onclick=",  " onload=", " onerror=", "innerHTML", "<link rel=\"stylesheet",
        "<iframe", "javascript:"};
    const char *root = getenv("MESON_SOURCE_ROOT");
    assert_non_null(root);
    char path[4096];
    snprintf(path, sizeof(path), "%s/web/index.html", root);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static char html[256 * 1024];
    size_t length = fread(html, 1, sizeof(html) - 1, file);
    fclose(file);
    html[length] = '\0';
    assert_true(length > 1000 && length < sizeof(html) - 1);
    assert_int_equal(count(html, "<script"), 1);
    assert_int_equal(count(html, "<script>"), 1);
    assert_int_equal(count(html, "</script>"), 1);
    assert_int_equal(count(html, "<style"), 1);
    assert_int_equal(count(html, "<style>"), 1);
    assert_int_equal(count(html, "</style>"), 1);
    for (size_t i = 0; i < sizeof(barred) / sizeof(*barred); i++)
        assert_int_equal(count(html, barred[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_names_script_and_style),
        cmocka_unit_test(policy_lets_films_of_the_public_origin_in),
        cmocka_unit_test(the_longest_origin_fits),
        cmocka_unit_test(origin_is_cut_from_a_url),
        cmocka_unit_test(the_page_fits_its_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
