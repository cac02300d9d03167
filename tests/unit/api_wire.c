/* SPDX-License-Identifier: Apache-2.0
 *
 * api/wire.h, api/entity.h, api/origin.h and the reading of Authorization: the pure parts of the HTTP face. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "api/auth.h"
#include "api/entity.h"
#include "api/origin.h"
#include "api/wire.h"

struct header {
    const char *name, *value;
};

static struct wire_facts facts_of(const struct header *headers, size_t count, const char *version)
{
    struct wire_facts facts = {.content_length = -1};
    for (size_t i = 0; i < count; i++)
        wire_header(&facts, headers[i].name, strlen(headers[i].name), headers[i].value,
                    strlen(headers[i].value));
    wire_conclude(&facts, version);
    return facts;
}

static void broken_heads_are_refused(void **state)
{
    (void)state;
    static const struct header rows[][4] = {
        {{"Host", "a"}, {"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}},
        {{"Host", "a"}, {"Content-Length", "5"}, {"content-length", "6"}},
        {{"Host", "a"}, {"Content-Length", "5"}, {"Content-Length", "5"}},
        {{"Host", "a"}, {"Content-Length", "+5"}},
        {{"Host", "a"}, {"Content-Length", "5, 5"}},
        {{"Host", "a"}, {"Content-Length", "-1"}},
        {{"Host", "a"}, {"Content-Length", ""}},
        {{"Host", "a"}, {"Content-Length", "99999999999999999999"}},
        {{"Host", "a"}, {"Content-Length ", "5"}},
        {{"Host", "a"}, {"Transfer-Encoding", "gzip, chunked"}},
        {{"Host", "a"}, {"Transfer-Encoding", "identity"}},
        {{"Host", "a"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}},
        {{"Host", "a"}, {"host", "b"}},
        {{"Accept", "a"}},
        {{"Host", "a"}, {"X A", "b"}},
        {{"Host", "a"}, {"", "b"}},
        {{"Host", "a"}, {"X", "b\nc"}},
        {{"Host", "a"}, {"X", "b\x7f"}},
        {{"Host", ""}},
        {{"Host", "a b"}},
        {{"Host", "u@a"}},
        {{"Host", "a/b"}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t count = 0;
        while (count < 4 && rows[i][count].name != NULL)
            count++;
        assert_non_null(facts_of(rows[i], count, "HTTP/1.1").problem);
    }
    static const struct header plain[] = {{"Host", "a"}};
    static const char *const versions[] = {"HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", ""};
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        assert_non_null(facts_of(plain, 1, versions[i]).problem);
}

static void nul_bytes_are_refused(void **state)
{
    (void)state;
    struct wire_facts facts = {.content_length = -1};
    wire_header(&facts, "Host", 4, "a\0b", 3);
    assert_non_null(facts.problem);
    facts = (struct wire_facts){.content_length = -1};
    wire_header(&facts, "X\0Y", 3, "a", 1);
    assert_non_null(facts.problem);
    struct wire_line line;
    wire_line(&line, "/a%00b");
    assert_non_null(line.problem);
    wire_line(&line, "/a%0b");
    assert_null(line.problem);
    assert_int_equal(line.length, 5);
}

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *path, *host;
    } rows[] = {
        {"/", "/", ""},
        {"/a?b", "/a?b", ""},
        {"/http://a/b", "/http://a/b", ""},
        {"*", "*", ""},
        {"/\xe4\xbd\xa0", "/\xe4\xbd\xa0", ""},
        {"http://a.example:80/b?c", "/b?c", "a.example:80"},
        {"HTTPS://[::1]:8080/b", "/b", "[::1]:8080"},
        {"http://a", "/", "a"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct wire_line line;
        wire_line(&line, rows[i].uri);
        assert_null(line.problem);
        assert_string_equal(wire_path(&line, rows[i].uri), rows[i].path);
        assert_int_equal(line.authority_length, strlen(rows[i].host));
        assert_memory_equal(rows[i].uri + line.authority, rows[i].host, line.authority_length);
    }
    static const char *const wrong[] = {
        "",
        "a",
        "a:80",
        "**",
        "//a b",
        "/a\tb",
        "/a\x7f",
        "http:/a",
        "http:///a",
        "ftp://a/b",
        "http://?a",
        "http://u@a/b",
        "http://a%2eb/",
        "http://a#b c",
        "httpx://a/b",
        "javascript:x",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct wire_line line;
        wire_line(&line, wrong[i]);
        assert_non_null(line.problem);
    }
}

static void two_hosts_must_agree(void **state)
{
    (void)state;
    static const struct header same[] = {{"Host", "A.example"}};
    static const struct header other[] = {{"Host", "a.example:80"}};
    struct wire_facts facts = facts_of(same, 1, "HTTP/1.1");
    struct wire_line line;
    wire_line(&line, "http://a.example/b");
    assert_true(wire_hosts_agree(&line, &facts));
    facts = facts_of(other, 1, "HTTP/1.1");
    assert_false(wire_hosts_agree(&line, &facts));
    facts = facts_of(NULL, 0, "HTTP/1.0");
    assert_true(wire_hosts_agree(&line, &facts));
    wire_line(&line, "/b");
    facts = facts_of(other, 1, "HTTP/1.1");
    assert_true(wire_hosts_agree(&line, &facts));
}

static void expectations_are_read(void **state)
{
    (void)state;
    static const struct header known[] = {{"Host", "a"}, {"Expect", "100-Continue"}};
    static const struct header unknown[] = {{"Host", "a"}, {"Expect", "100-continue, x"}};
    struct wire_facts facts = facts_of(known, 2, "HTTP/1.1");
    assert_true(facts.expects_continue && !facts.expects_other);
    facts = facts_of(unknown, 2, "HTTP/1.1");
    assert_true(facts.expects_other);
}

static void sound_heads_pass(void **state)
{
    (void)state;
    static const struct header plain[] = {{"Host", "a"}, {"X-A", "\xe4\xbd\xa0\t,"}};
    struct wire_facts facts = facts_of(plain, 2, "HTTP/1.1");
    assert_null(facts.problem);
    assert_false(wire_has_body(&facts));
    static const struct header sized[] = {
        {"Host", "a"}, {"content-length", "0123"}, {"Expect", "100-Continue"}};
    facts = facts_of(sized, 3, "HTTP/1.1");
    assert_null(facts.problem);
    assert_int_equal(facts.content_length, 123);
    assert_true(facts.expects_continue && wire_has_body(&facts));
    static const struct header chunked[] = {{"Host", "a"}, {"Transfer-Encoding", "Chunked"}};
    facts = facts_of(chunked, 2, "HTTP/1.1");
    assert_null(facts.problem);
    assert_true(facts.is_chunked && wire_has_body(&facts) && facts.content_length == -1);
    facts = facts_of(plain + 1, 1, "HTTP/1.0");
    assert_null(facts.problem);
    assert_non_null(facts_of(chunked + 1, 1, "HTTP/1.0").problem);
}

static void tags_are_compared(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool is_weakly, is_strongly;
    } rows[] = {
        {"\"a\"", true, true},
        {"W/\"a\"", true, false},
        {"\"x\" , W/\"a\" ,\"b\"", true, false},
        {"\"x\",\"a\"", true, true},
        {" \t, ,, \"x\"\t,\"a\" ,", true, true},
        {"W/\"a\", \"a\"", true, true},
        {"*", true, true},
        {" * ", true, true},
        {"**", false, false},
        {"*, \"a\"", false, false},
        {"\"x\", *", false, false},
        {"\"a,b\", \"c\"", false, false},
        {"\"x,\"a\"", false, false}, /* after the first tag there is no comma */
        {"\"x\" \"a\"", false, false},
        {"\"x\"\"a\"", false, false},
        {"\"a,\", \"a\"", true, true},
        {"\"ab\"", false, false},
        {"\"A\"", false, false},
        {"a", false, false},
        {"\"a", false, false},
        {"a\"", false, false},
        {"\"a\"b", true, true}, /* the first tag is whole */
        {"w/\"a\"", false, false},
        {"W/ \"a\"", false, false},
        {"W/", false, false},
        {"", false, false},
        {" ,", false, false},
        {NULL, false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (entity_list_has_tag(rows[i].list, "\"a\"", ENTITY_WEAK) != rows[i].is_weakly ||
            entity_list_has_tag(rows[i].list, "\"a\"", ENTITY_STRONG) != rows[i].is_strongly)
            fail_msg("wrong about %s", rows[i].list);
    }
}

static void dates_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* -1: none */
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Tue, 19 Jan 2038 03:14:08 GMT", 2147483648},
        {"Friday, 06-Nov-26 08:49:37 GMT", 1793954977},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nix 1994 08:49:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 -8:49:37 GMT", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 94 08:49:37 GMT", -1},
        {"Sun, 06 Nov", -1},
        {"Sun Nov 16 08:49:37 1994", 784975777},
        {"Sun, 06 Nov -994 08:49:37 GMT", -1},
        {"784111777", -1},
        {"\"a\"", -1},
        {"tomorrow", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int64_t seconds = -1;
        bool is_date = entity_read_date(rows[i].text, &seconds);
        if (is_date != (rows[i].seconds >= 0) || seconds != rows[i].seconds)
            fail_msg("wrong about %s: %lld", rows[i].text, (long long)seconds);
    }
}

static void ranges_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t size;
        enum entity_range range;
        int64_t first, length;
    } rows[] = {
        {"bytes=0-0", 10, ENTITY_PART, 0, 1},
        {"bytes=2-5", 10, ENTITY_PART, 2, 4},
        {"bytes=2-", 10, ENTITY_PART, 2, 8},
        {"bytes=2-99", 10, ENTITY_PART, 2, 8},
        {"bytes=2-99999999999999999999999", 10, ENTITY_PART, 2, 8},
        {"bytes=-3", 10, ENTITY_PART, 7, 3},
        {"bytes=-30", 10, ENTITY_PART, 0, 10},
        {"Bytes= 1-2 ", 10, ENTITY_PART, 1, 2},
        {"bytes=10-", 10, ENTITY_OUTSIDE, 0, 0},
        {"bytes=99999999999999999999-", 10, ENTITY_OUTSIDE, 0, 0},
        {"bytes=-0", 10, ENTITY_OUTSIDE, 0, 0},
        {"bytes=0-", 0, ENTITY_OUTSIDE, 0, 0},
        {"bytes=5-2", 10, ENTITY_WHOLE, 0, 0},
        {"bytes=0-1,3-4", 10, ENTITY_WHOLE, 0, 0},
        {"bytes=-", 10, ENTITY_WHOLE, 0, 0},
        {"bytes=", 10, ENTITY_WHOLE, 0, 0},
        {"bytes=a-b", 10, ENTITY_WHOLE, 0, 0},
        {"lines=0-1", 10, ENTITY_WHOLE, 0, 0},
        {NULL, 10, ENTITY_WHOLE, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t first = 0;
        int64_t length = 0;
        assert_int_equal(entity_read_range(rows[i].header, rows[i].size, &first, &length),
                         rows[i].range);
        assert_int_equal(first, rows[i].first);
        assert_int_equal(length, rows[i].length);
    }
}

static void dates_are_written(void **state)
{
    (void)state;
    char date[ENTITY_DATE_SIZE];
    entity_date(784111777, date); /* the example of RFC 9110 */
    assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    entity_date(0, date);
    assert_string_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static bool trusts(const struct origin_proxies *proxies, int family, const char *text)
{
    struct sockaddr_storage peer = {.ss_family = (sa_family_t)family};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    if (family == AF_INET) {
        assert_int_equal(inet_pton(family, text, &ipv4.sin_addr), 1);
        memcpy(&peer, &ipv4, sizeof(ipv4));
    } else {
        assert_int_equal(inet_pton(family, text, &ipv6.sin6_addr), 1);
        memcpy(&peer, &ipv6, sizeof(ipv6));
    }
    return origin_is_trusted(proxies, (const struct sockaddr *)&peer);
}

static void proxies_are_matched(void **state)
{
    (void)state;
    static const char *const items[] = {"192.0.2.7", "10.0.0.0/9", "fd00::/8"};
    struct settings_list list = {items, 3};
    char error[ORIGIN_ERROR_SIZE];
    struct origin_proxies *proxies = origin_proxies_new(&list, error);
    assert_non_null(proxies);
    assert_true(trusts(proxies, AF_INET, "192.0.2.7"));
    assert_false(trusts(proxies, AF_INET, "192.0.2.8"));
    assert_true(trusts(proxies, AF_INET, "10.127.255.255"));
    assert_false(trusts(proxies, AF_INET, "10.128.0.0"));
    assert_true(trusts(proxies, AF_INET6, "::ffff:10.1.2.3"));
    assert_true(trusts(proxies, AF_INET6, "fd12::1"));
    assert_false(trusts(proxies, AF_INET6, "fe80::1"));
    origin_proxies_free(proxies);

    static const char *const wrong[] = {
        "", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "10.0.0.0/8x", "10.0.0"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct settings_list one = {&wrong[i], 1};
        assert_null(origin_proxies_new(&one, error));
        assert_true(strlen(error) > 0);
    }
}

static void bases_come_from_plain_hosts(void **state)
{
    (void)state;
    char base[ORIGIN_BASE_SIZE];
    struct origin_facts facts = {.host = "a.example:80"};
    assert_true(origin_base(&facts, base));
    assert_string_equal(base, "http://a.example:80");
    facts.forwarded_host = "b.example";
    facts.forwarded_proto = "https";
    assert_true(origin_base(&facts, base));
    assert_string_equal(base, "http://a.example:80");
    facts.peer_is_trusted = true;
    assert_true(origin_base(&facts, base));
    assert_string_equal(base, "https://b.example");
    facts.forwarded_host = "b.example, c.example";
    facts.forwarded_proto = "gopher";
    assert_true(origin_base(&facts, base));
    assert_string_equal(base, "http://a.example:80");

    char longest[ORIGIN_HOST_MAX + 2];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    static const char *const wrong[] = {"",    "a b", "a/b", "a\"",
                                        "u@h", "a?b", "a#b", "\xe4\xbd\xa0"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        facts.host = wrong[i];
        assert_false(origin_base(&facts, base));
    }
    facts.host = longest;
    assert_false(origin_base(&facts, base));
    facts.host = longest + 1;
    assert_true(origin_base(&facts, base));
}

static void bearers_are_read(void **state)
{
    (void)state;
    size_t length = 0;
    static const char *const right[] = {"Bearer abc", "bearer  abc", "BEARER abc  "};
    for (size_t i = 0; i < 3; i++) {
        const char *key = auth_bearer(right[i], &length);
        assert_non_null(key);
        assert_int_equal(length, 3);
        assert_memory_equal(key, "abc", 3);
    }
    char longest[8 + AUTH_KEY_MAX + 1] = "Bearer ";
    memset(longest + 7, 'x', AUTH_KEY_MAX + 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_null(auth_bearer(longest, &length));
    longest[7 + AUTH_KEY_MAX] = '\0';
    assert_non_null(auth_bearer(longest, &length));
    static const char *const wrong[] = {"",          "Bearer",    "Bearer ",
                                        "Bearerabc", "Basic abc", "Bearer a b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_null(auth_bearer(wrong[i], &length));
    assert_null(auth_bearer(NULL, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_heads_are_refused),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(sound_heads_pass),
        cmocka_unit_test(tags_are_compared),
        cmocka_unit_test(dates_are_read),
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(dates_are_written),
        cmocka_unit_test(proxies_are_matched),
        cmocka_unit_test(bases_come_from_plain_hosts),
        cmocka_unit_test(bearers_are_read),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(two_hosts_must_agree),
        cmocka_unit_test(expectations_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
