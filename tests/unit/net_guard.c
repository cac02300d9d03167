/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard: the edges of every special range, IPv4 inside IPv6, the operator's exceptions and the
 * cheap check of a URL's text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "net/guard.h"

static bool allows(const struct guard *guard, const char *address, uint16_t port)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, address, &in4.sin_addr) == 1)
        return guard_allows(guard, (const struct sockaddr *)&in4, sizeof(in4));
    assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
    return guard_allows(guard, (const struct sockaddr *)&in6, sizeof(in6));
}

static struct guard *make(const char *const *allow, size_t n_allow)
{
    struct guard *guard = NULL;
    char error[200] = "";
    if (!guard_new(allow, n_allow, &guard, error))
        fail_msg("%s", error);
    return guard;
}

/* Every range of the registries that no stranger may make us dial: its first and last address,
 * and whether the ones before and after it belong to anybody. */
static const struct range {
    const char *name, *first, *last;
    bool is_before_allowed, is_after_allowed;
} ranges[] = {
    {"this network", "0.0.0.0", "0.255.255.255", false, true},
    {"private, 10/8", "10.0.0.0", "10.255.255.255", true, true},
    {"carrier's NAT", "100.64.0.0", "100.127.255.255", true, true},
    {"loopback", "127.0.0.0", "127.255.255.255", true, true},
    {"a cloud's agent", "168.63.129.16", "168.63.129.16", true, true},
    {"link-local", "169.254.0.0", "169.254.255.255", true, true},
    {"private, 172.16/12", "172.16.0.0", "172.31.255.255", true, true},
    {"protocol assignments", "192.0.0.0", "192.0.0.255", true, true},
    {"documentation, 1", "192.0.2.0", "192.0.2.255", true, true},
    {"6to4 relays", "192.88.99.0", "192.88.99.255", true, true},
    {"private, 192.168/16", "192.168.0.0", "192.168.255.255", true, true},
    {"benchmarks", "198.18.0.0", "198.19.255.255", true, true},
    {"documentation, 2", "198.51.100.0", "198.51.100.255", true, true},
    {"documentation, 3", "203.0.113.0", "203.0.113.255", true, true},
    {"multicast", "224.0.0.0", "239.255.255.255", true, false},
    {"reserved", "240.0.0.0", "255.255.255.255", false, false},

    {"unspecified, loopback, compatible", "::", "::ffff:ffff", false, false},
    {"local NAT64", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false, false},
    {"discard-only", "100::", "100::ffff:ffff:ffff:ffff", false, false},
    {"dummy", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", false, false},
    {"below global unicast", "200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, true},
    {"protocol assignments, IPv6", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", true, true},
    {"Teredo", "2001::", "2001::ffff:ffff:ffff:ffff:ffff:ffff", true, false},
    {"benchmarks, IPv6", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", false, false},
    {"ORCHID", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    {"ORCHIDv2", "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    {"remote identifiers", "2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    {"documentation, IPv6", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true, true},
    {"6bone", "3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, false},
    {"documentation, IPv6, 2", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false, true},
    {"above global unicast", "4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, false},
    {"segment routing", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    {"nobody's", "6000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    {"unique local", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    {"link-local, IPv6", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    {"site-local", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    {"multicast, IPv6", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
};

/* The address one below or above; all zeros and all ones turn into each other. */
static void step(const char *address, int by, char ret_next[INET6_ADDRSTRLEN])
{
    uint8_t bytes[16];
    int family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
    size_t at = family == AF_INET6 ? 16 : 4;
    assert_int_equal(inet_pton(family, address, bytes), 1);
    uint8_t turn = by > 0 ? 0 : 0xff;
    do {
        at--;
        bytes[at] = (uint8_t)(bytes[at] + by);
    } while (bytes[at] == turn && at > 0);
    assert_non_null(inet_ntop(family, bytes, ret_next, INET6_ADDRSTRLEN));
}

static void expect(const struct guard *guard, const char *name, const char *address,
                   bool is_allowed)
{
    static const uint16_t ports[] = {80, 443, 8080, 1};
    for (size_t i = 0; i < ARRAY_LENGTH(ports); i++) {
        if (allows(guard, address, ports[i]) != is_allowed)
            fail_msg("%s: wrong about %s", name, address);
    }
}

static void special_ranges_are_refused_to_their_edges(void **state)
{
    (void)state;
    struct guard *guard = make(NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(ranges); i++) {
        const struct range *range = &ranges[i];
        char next[INET6_ADDRSTRLEN];
        expect(guard, range->name, range->first, false);
        expect(guard, range->name, range->last, false);
        step(range->first, 1, next);
        if (strcmp(range->first, range->last) != 0)
            expect(guard, range->name, next, false);
        step(range->first, -1, next);
        expect(guard, range->name, next, range->is_before_allowed);
        step(range->last, 1, next);
        expect(guard, range->name, next, range->is_after_allowed);
    }
    assert_null(guard_free(guard));
}

static void well_known_addresses_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *name, *address;
        bool is_allowed;
    } rows[] = {
        {"a public resolver", "8.8.8.8", true},
        {"a public resolver, IPv6", "2001:4860:4860::8888", true},
        {"another", "2606:4700::1111", true},
        {"metadata of most clouds", "169.254.169.254", false},
        {"metadata behind a carrier's range", "100.100.100.200", false},
        {"metadata, IPv6", "fd00:ec2::254", false},
        {"a container's gateway", "172.17.0.1", false},
        {"localhost", "127.0.0.1", false},
        {"a local resolver", "127.0.0.53", false},
        {"broadcast", "255.255.255.255", false},
        {"all nodes", "ff02::1", false},
    };
    struct guard *guard = make(NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        expect(guard, rows[i].name, rows[i].address, rows[i].is_allowed);
    guard_free(guard);
}

/* An IPv4 address in each of its IPv6 dresses. */
static void dress(const char *form, const char *address4, char ret_address[INET6_ADDRSTRLEN + 20])
{
    uint8_t b[4];
    assert_int_equal(inet_pton(AF_INET, address4, b), 1);
    const char *mark = strstr(form, "A");
    snprintf(ret_address, INET6_ADDRSTRLEN + 20, "%.*s%02x%02x:%02x%02x%s", (int)(mark - form),
             form, b[0], b[1], b[2], b[3], mark + 1);
}

static void no_dress_of_ipv4_opens_a_special_range(void **state)
{
    (void)state;
    static const struct {
        const char *name, *form; /* A stands for the address */
        bool is_public_allowed;
    } forms[] = {
        {"mapped", "::ffff:A", true},
        {"compatible", "::A", false},
        {"translated", "::ffff:0:A", false},
        {"NAT64", "64:ff9b::A", true},
        {"local NAT64", "64:ff9b:1::A", false},
        {"6to4", "2002:A::1", true},
        {"6to4 without a host", "2002:A::", true},
        {"Teredo's server", "2001:0:A::f7f7:f7f7", false},
        {"ISATAP", "2606:4700::5efe:A", true},
        {"ISATAP, globally unique", "2606:4700::200:5efe:A", true},
        {"ISATAP behind 6to4", "2002:808:808::5efe:A", true},
        {"ISATAP, link-local", "fe80::5efe:A", false},
    };
    struct guard *guard = make(NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        char address[INET6_ADDRSTRLEN + 20];
        dress(forms[i].form, "8.8.8.8", address);
        expect(guard, forms[i].name, address, forms[i].is_public_allowed);
        for (size_t j = 0; strchr(ranges[j].first, ':') == NULL; j++) {
            dress(forms[i].form, ranges[j].first, address);
            expect(guard, forms[i].name, address, false);
            dress(forms[i].form, ranges[j].last, address);
            expect(guard, forms[i].name, address, false);
        }
    }
    guard_free(guard);
}

static void ipv4_inside_ipv6_is_judged_as_ipv4(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool is_allowed;
    } cases[] = {
        {"::ffff:8.8.8.8", true},
        {"::ffff:127.0.0.1", false},
        {"::ffff:10.1.2.3", false},
        {"::ffff:169.254.169.254", false},
        {"::8.8.8.8", false}, /* compatible: never of use */
        {"::127.0.0.1", false},
        {"::ffff:0:8.8.8.8", false}, /* translated, RFC 2765 */
        {"64:ff9b::8.8.8.8", true},
        {"64:ff9b::127.0.0.1", false},
        {"64:ff9b::169.254.169.254", false},
        {"64:ff9b::1:8.8.8.8", false}, /* beyond the /96 */
        {"64:ff9b:1::8.8.8.8", false},
        {"2002:808:808::1", true},
        {"2002:7f00:1::1", false},
        {"2002:a9fe:a9fe::1", false},
        {"2002:c0a8:101::", false},
        {"2001:0:808:808:0:0:f7f7:f7f7", false},         /* Teredo */
        {"2001:0:4136:e378:8000:63bf:80ff:fffe", false}, /* its client is 127.0.0.1 */
        {"2606:4700::5efe:8.8.8.8", true},               /* ISATAP */
        {"2606:4700::5efe:10.0.0.1", false},
        {"2606:4700::200:5efe:10.0.0.1", false},
        {"2606:4700::400:5efe:10.0.0.1", true}, /* not its mark */
    };
    struct guard *guard = make(NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        if (allows(guard, cases[i].address, 443) != cases[i].is_allowed)
            fail_msg("wrong about %s", cases[i].address);
    }
    guard_free(guard);
}

static void exceptions_open_just_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *entry;
        const char *address;
        uint16_t port;
        bool is_allowed;
    } cases[] = {
        {"10.1.2.3", "10.1.2.3", 80, true},
        {"10.1.2.3", "10.1.2.4", 80, false},
        {"10.1.2.3", "::ffff:10.1.2.3", 80, true},
        {"10.1.2.3", "64:ff9b::10.1.2.3", 80, true},
        {"10.0.0.0/8", "10.255.255.255", 1, true},
        {"10.0.0.0/8", "127.0.0.1", 1, false},
        {"10.128.0.0/9", "10.128.0.0", 1, true},
        {"10.128.0.0/9", "10.127.255.255", 1, false},
        {"192.168.4.0/22", "192.168.7.255", 1, true},
        {"192.168.4.0/22", "192.168.8.0", 1, false},
        {"192.168.4.0/22", "192.168.3.255", 1, false},
        {"192.168.4.2/31", "192.168.4.3", 1, true},
        {"192.168.4.2/31", "192.168.4.1", 1, false},
        {"10.0.0.0/8:9000", "10.9.9.9", 9000, true},
        {"10.0.0.0/8:9000", "10.9.9.9", 9001, false},
        {"127.0.0.1:9000", "127.0.0.1", 9000, true},
        {"127.0.0.1:9000", "127.0.0.1", 80, false},
        {"127.0.0.1:9000", "127.0.0.2", 9000, false},
        {"[::1]:9000", "::1", 9000, true},
        {"[::1]:9000", "::1", 80, false},
        {"[::1]:9000", "127.0.0.1", 9000, false},
        {"[::1]", "::1", 80, true},
        {"::1", "::1", 80, true},
        {"fd00::/8", "fdff::1", 80, true},
        {"fd00::/8", "fc00::1", 80, false},
        {"[fd00::/8]:70", "fd00::1", 70, true},
        {"[fd00::/8]:70", "fd00::1", 71, false},
        {"::ffff:10.0.0.1", "10.0.0.1", 80, true},
        {"::/0", "::1", 80, true},
        {"::/0", "127.0.0.1", 80, false},
        {"::/0", "::ffff:127.0.0.1", 80, false},
        {"0.0.0.0/0", "127.0.0.1", 80, true},
        {"0.0.0.0/0", "::1", 80, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct guard *guard = make(&cases[i].entry, 1);
        if (allows(guard, cases[i].address, cases[i].port) != cases[i].is_allowed)
            fail_msg("%s is wrong about %s", cases[i].entry, cases[i].address);
        assert_true(allows(guard, "8.8.8.8", 80));
        guard_free(guard);
    }
}

static void all_exceptions_count(void **state)
{
    (void)state;
    static const char *const entries[] = {"10.0.0.1", "fd00::/8", "127.0.0.1:7"};
    struct guard *guard = make(entries, ARRAY_LENGTH(entries));
    assert_true(allows(guard, "10.0.0.1", 1));
    assert_true(allows(guard, "fd01::", 1));
    assert_true(allows(guard, "127.0.0.1", 7));
    assert_false(allows(guard, "10.0.0.2", 1));
    guard_free(guard);
}

static void broken_exceptions_are_named(void **state)
{
    (void)state;
    static const char *const entries[] = {
        "",
        "localhost",
        "example.com:80",
        "10.0.0",
        "010.0.0.1",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0.1/08",
        "10.0.0.1/8",
        "10.0.0.0/8/8",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:65536",
        "10.0.0.1:80x",
        "10.0.0.1: 80",
        " 10.0.0.1",
        "::1/129",
        "fd00::1/8",
        "[::1",
        "[::1]9000",
        "[::1]:",
        "[]",
        "fe80::1%eth0",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(entries); i++) {
        struct guard *guard = NULL;
        char error[200] = "";
        if (guard_new(&entries[i], 1, &guard, error))
            fail_msg("%s was taken", entries[i]);
        assert_null(guard);
        assert_non_null(strstr(error, entries[i][0] != '\0' ? "\"" : "not an address"));
    }
}

static void other_families_and_short_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const entries[] = {"0.0.0.0/0", "::/0"};
    struct guard *guard = make(entries, ARRAY_LENGTH(entries));
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    const struct sockaddr *plain4 = (const struct sockaddr *)&in4;
    const struct sockaddr *plain6 = (const struct sockaddr *)&in6;
    assert_false(guard_allows(guard, (const struct sockaddr *)&local, sizeof(local)));
    assert_true(guard_allows(guard, plain4, sizeof(in4)));
    assert_false(guard_allows(guard, plain4, sizeof(in4) - 1));
    assert_true(guard_allows(guard, plain6, sizeof(in6)));
    assert_false(guard_allows(guard, plain6, sizeof(in6) - 1));
    assert_false(guard_allows(guard, plain4, 0));
    assert_false(guard_allows(guard, NULL, sizeof(in4)));
    guard_free(guard);
    assert_null(guard_free(NULL));
}

static void urls_are_checked_by_their_text(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool is_fit;
    } cases[] = {
        {"http://example.com", true},
        {"https://example.com/a/b.png?c=d#e", true},
        {"HTTPS://EXAMPLE.COM/", true},
        {"http://example.com:8080/a@b", true},
        {"http://example.com?user@host", true},
        {"http://[2606:4700::1111]:80/x", true},
        {"http://[::1]", true}, /* its address is judged when dialled */
        {"http://1.2.3.4/", true},
        {"", false},
        {"example.com/a", false},
        {"//example.com/a", false},
        {"ftp://example.com/", false},
        {"file:///a", false},
        {"data:image/png;base64,AAAA", false},
        {"http:/example.com", false},
        {"http:example.com", false},
        {"http://", false},
        {"http:///path", false},
        {"http://?x", false},
        {"http://:80/", false},
        {"http://user@example.com/", false},
        {"http://user:word@example.com/", false},
        {"http://@example.com/", false},
        {"http://a\\@example.com/", false},
        {"http://127.0.0.1\\.example.com/", false},
        {"http://example.com/a\\b", true},
        {"http://example.com:0/", false},
        {"http://example.com:/", false},
        {"http://example.com:65536/", false},
        {"http://example.com:80x/", false},
        {"http://example.com:000080/", false},
        {"http://[::1/", false},
        {"http://[]/", false},
        {"http://[::1]x/", false},
        {"http://example.com/a b", false},
        {" http://example.com/", false},
        {"http://example.com/\r\nHost: x", false},
        {"http://example.com/\x7f", false},
        {"http://example.com/\x01", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char error[200] = "";
        if (guard_check_url(cases[i].url, error) != cases[i].is_fit)
            fail_msg("wrong about %s", cases[i].url);
        assert_int_equal(error[0] == '\0', cases[i].is_fit);
    }
}

static void long_urls_are_refused(void **state)
{
    (void)state;
    char url[8194];
    char error[200];
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://h/", 9);
    url[8192] = '\0';
    assert_true(guard_check_url(url, error));
    url[8192] = 'a';
    url[8193] = '\0';
    assert_false(guard_check_url(url, error));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_ranges_are_refused_to_their_edges),
        cmocka_unit_test(well_known_addresses_are_judged),
        cmocka_unit_test(no_dress_of_ipv4_opens_a_special_range),
        cmocka_unit_test(ipv4_inside_ipv6_is_judged_as_ipv4),
        cmocka_unit_test(exceptions_open_just_what_they_say),
        cmocka_unit_test(all_exceptions_count),
        cmocka_unit_test(broken_exceptions_are_named),
        cmocka_unit_test(other_families_and_short_addresses_are_refused),
        cmocka_unit_test(urls_are_checked_by_their_text),
        cmocka_unit_test(long_urls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
