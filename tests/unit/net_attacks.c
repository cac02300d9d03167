/* SPDX-License-Identifier: Apache-2.0
 *
 * Ways to the inside of the network: each row of the tables is an attack on the guarded fetcher
 * with a name, made for real through libcurl. The names that libcurl resolves are answered here:
 * this program's getaddrinfo() stands before the C library's. */
#include "net_site.h"

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>

/* ---- a resolver of our own ---- */

enum { ANSWERS_MAX = 3, LOOKUPS_MAX = 3 };

/* What a name is, look-up by look-up; the last one stays. */
static const struct zone {
    const char *name;
    const char *answers[LOOKUPS_MAX][ANSWERS_MAX + 1];
} zones[] = {
    {"site.test", {{SITE_HOST}}},
    {"rebinding.test", {{SITE_HOST}, {TRAP_HOST}}},
    {"private.test", {{TRAP_HOST}}},
    {"ten.test", {{"10.0.0.1"}}},
    {"metadata.test", {{"169.254.169.254"}}},
    {"six.test", {{"::1"}}},
    {"mapped.test", {{"::ffff:" TRAP_HOST}}},
    {"unique-local.test", {{"fd00:ec2::254"}}},
    {"nowhere.test", {{"0.0.0.0"}}},
    {"all-private.test", {{"::1", "10.0.0.1", TRAP_HOST}}},
    {"good-first.test", {{SITE_HOST, TRAP_HOST}}},
    {"bad-first.test", {{TRAP_HOST, SITE_HOST}}},
    {"six-first.test", {{"::1", SITE_HOST}}},
    {"mapped-first.test", {{"::ffff:" TRAP_HOST, SITE_HOST, TRAP_HOST}}},
    {"deaf-then-bad.test", {{DEAF_HOST, TRAP_HOST}}},
    {"bad-then-deaf.test", {{TRAP_HOST, DEAF_HOST}}},
    {"empty.test", {{NULL}}},
};

/* Of this program; libcurl's resolver threads use them. */
static atomic_int n_lookups[ARRAY_LENGTH(zones)];
static sem_t mute; /* posted once for each look-up of mute.test that may end */

static int resolve(const char *host, const char *service, const struct addrinfo *hints,
                   struct addrinfo **ret_list)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    must(symbol != NULL);
    memcpy(&next, &symbol, sizeof(next));
    return next(host, service, hints, ret_list);
}

static int answer_from(const struct zone *zone, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list)
{
    int lookup = atomic_fetch_add(&n_lookups[zone - zones], 1);
    while (lookup > 0 && (lookup >= LOOKUPS_MAX || zone->answers[lookup][0] == NULL))
        lookup--;
    struct addrinfo *list = NULL, **end = &list;
    struct addrinfo numeric = hints != NULL ? *hints : (struct addrinfo){0};
    numeric.ai_family = AF_UNSPEC;
    numeric.ai_flags = AI_NUMERICHOST;
    for (size_t i = 0; zone->answers[lookup][i] != NULL; i++) {
        must(resolve(zone->answers[lookup][i], service, &numeric, end) == 0);
        while (*end != NULL)
            end = &(*end)->ai_next;
    }
    *ret_list = list;
    return list != NULL ? 0 : EAI_NONAME;
}

static bool is_numeric(const char *host)
{
    return strspn(host, "0123456789abcdefABCDEFxX.:%lo") == strlen(host);
}

/* What libcurl calls. Names that are none of ours are not asked for outside; a dot at the end
 * changes nothing, as with some resolvers. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    char name[300];
    must(host != NULL);
    snprintf(name, sizeof(name), "%s", host);
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.')
        name[length - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(zones); i++) {
        if (strcmp(zones[i].name, name) == 0)
            return answer_from(&zones[i], service, hints, ret_list);
    }
    if (strcmp(name, "mute.test") == 0) {
        while (sem_wait(&mute) < 0 && errno == EINTR)
            continue;
        return EAI_AGAIN;
    }
    if (strcasecmp(name, "localhost") == 0)
        return resolve(TRAP_HOST, service, hints, ret_list);
    return is_numeric(name) ? resolve(name, service, hints, ret_list) : EAI_NONAME;
}

/* ---- the tables ---- */

struct attack {
    const char *name;
    const char *url; /* PORT stands for the port of site and trap */
    enum exchange_end end;
};

static const struct attack spellings[] = {
    {"plain", "http://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"upper-case scheme", "HTTP://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"over TLS", "https://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"the last of the range", "http://127.255.255.254:PORT/", EXCHANGE_FORBIDDEN},
    {"decimal", "http://2130706433:PORT/", EXCHANGE_FORBIDDEN},
    {"octal", "http://0177.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"octal in one", "http://017700000001:PORT/", EXCHANGE_FORBIDDEN},
    {"octal with many zeros", "http://0000000000177.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"hex", "http://0x7f.0x0.0x0.0x1:PORT/", EXCHANGE_FORBIDDEN},
    {"hex in one", "http://0x7f000001:PORT/", EXCHANGE_FORBIDDEN},
    {"upper-case hex", "http://0X7F000001:PORT/", EXCHANGE_FORBIDDEN},
    {"mixed", "http://0x7f.0.0.01:PORT/", EXCHANGE_FORBIDDEN},
    {"mixed and short", "http://0177.0x1:PORT/", EXCHANGE_FORBIDDEN},
    {"three parts", "http://127.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"two parts", "http://127.1:PORT/", EXCHANGE_FORBIDDEN},
    {"leading zeros", "http://127.000.000.001:PORT/", EXCHANGE_FORBIDDEN},
    {"this host", "http://0.0.0.0:PORT/", EXCHANGE_FORBIDDEN},
    {"zero", "http://0:PORT/", EXCHANGE_FORBIDDEN},
    {"localhost", "http://localhost:PORT/", EXCHANGE_FORBIDDEN},
    {"localhost in odd case", "http://LocalHost:PORT/", EXCHANGE_FORBIDDEN},
    {"localhost with a dot", "http://localhost.:PORT/", EXCHANGE_FORBIDDEN},
    {"a dot at the end", "http://127.0.0.1.:PORT/", EXCHANGE_FORBIDDEN},
    {"percent-encoded digits", "http://%31%32%37.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"percent-encoded dots", "http://127%2e0%2e0%2e1:PORT/", EXCHANGE_FORBIDDEN},
    {"digits of full width", "http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1:PORT/",
     EXCHANGE_FORBIDDEN},
    {"dots of full width",
     "http://127\xef\xbc\x8e"
     "0\xef\xbc\x8e"
     "0\xef\xbc\x8e"
     "1:PORT/",
     EXCHANGE_FORBIDDEN},
    {"ideographic dots",
     "http://127\xe3\x80\x82"
     "0\xe3\x80\x82"
     "0\xe3\x80\x82"
     "1:PORT/",
     EXCHANGE_FORBIDDEN},
    {"circled digits", "http://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1:PORT/",
     EXCHANGE_FORBIDDEN},
    {"circled letters", "http://\xe2\x93\x9bocalhost:PORT/", EXCHANGE_FORBIDDEN},
    {"IPv6", "http://[::1]:PORT/", EXCHANGE_FORBIDDEN},
    {"IPv6 in full", "http://[0:0:0:0:0:0:0:1]:PORT/", EXCHANGE_FORBIDDEN},
    {"IPv6 with a zone", "http://[::1%25lo]:PORT/", EXCHANGE_FORBIDDEN},
    {"link-local with a zone", "http://[fe80::1%25lo]:PORT/", EXCHANGE_FORBIDDEN},
    {"IPv6 unspecified", "http://[::]:PORT/", EXCHANGE_FORBIDDEN},
    {"mapped", "http://[::ffff:127.0.0.1]:PORT/", EXCHANGE_FORBIDDEN},
    {"mapped in hex", "http://[::ffff:7f00:1]:PORT/", EXCHANGE_FORBIDDEN},
    {"compatible", "http://[::127.0.0.1]:PORT/", EXCHANGE_FORBIDDEN},
    {"translated", "http://[::ffff:0:127.0.0.1]:PORT/", EXCHANGE_FORBIDDEN},
    {"NAT64", "http://[64:ff9b::127.0.0.1]:PORT/", EXCHANGE_FORBIDDEN},
    {"6to4", "http://[2002:7f00:1::1]:PORT/", EXCHANGE_FORBIDDEN},
    {"Teredo", "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:PORT/", EXCHANGE_FORBIDDEN},
    {"ISATAP", "http://[2606:4700::5efe:127.0.0.1]:PORT/", EXCHANGE_FORBIDDEN},
    {"a cloud's metadata", "http://169.254.169.254/latest/meta-data/", EXCHANGE_FORBIDDEN},
    {"… in IPv6", "http://[fd00:ec2::254]/", EXCHANGE_FORBIDDEN},
    {"… in decimal", "http://2852039166/", EXCHANGE_FORBIDDEN},
};

/* Each of these reads differently to some parser of URLs. */
static const struct attack tricks[] = {
    {"a user name", "http://site.test@127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a user name at a good host", "http://me@" SITE_HOST ":PORT/ok", EXCHANGE_FORBIDDEN},
    {"a user name and a password", "http://site.test:80@127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"an empty user name", "http://@127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"two at signs", "http://a@site.test@127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a fragment before the at sign", "http://127.0.0.1:PORT#@site.test/", EXCHANGE_FORBIDDEN},
    {"a query before the at sign", "http://127.0.0.1:PORT?@site.test/", EXCHANGE_FORBIDDEN},
    {"a slash before the at sign", "http://127.0.0.1:PORT/@site.test/", EXCHANGE_FORBIDDEN},
    {"a backslash before the at sign", "http://127.0.0.1:PORT\\@site.test/", EXCHANGE_FORBIDDEN},
    {"a backslash after the host", "http://site.test\\@127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"backslashes for slashes", "http:\\\\127.0.0.1:PORT\\", EXCHANGE_FORBIDDEN},
    {"a percent-encoded slash", "http://127.0.0.1%2f@site.test/", EXCHANGE_FORBIDDEN},
    {"a percent-encoded slash after it", "http://site.test%2f@127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a percent-encoded at sign", "http://site.test%40127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a percent-encoded number sign", "http://127.0.0.1%23.site.test:PORT/", EXCHANGE_FORBIDDEN},
    {"a percent-encoded NUL", "http://127.0.0.1%00.site.test:PORT/", EXCHANGE_FORBIDDEN},
    {"a percent-encoded line end", "http://127.0.0.1%0d%0a.site.test:PORT/", EXCHANGE_FORBIDDEN},
    {"a percent-encoded blank", "http://127.0.0.1%20.site.test:PORT/", EXCHANGE_FORBIDDEN},
    {"a tab within", "http://127.0\t.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a line feed within", "http://127.0.0.1:PORT/\nHost: x", EXCHANGE_FORBIDDEN},
    {"a carriage return within", "http://127.0.0.1:PORT/\r\nX: y", EXCHANGE_FORBIDDEN},
    {"a blank before", " http://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a blank within", "http://127.0.0.1 .site.test:PORT/", EXCHANGE_FORBIDDEN},
    {"no slashes", "http:127.0.0.1:PORT", EXCHANGE_FORBIDDEN},
    {"one slash", "http:/127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"three slashes", "http:///127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"no scheme", "//127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a bare host", "127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"two ports", "http://127.0.0.1:PORT:80/", EXCHANGE_FORBIDDEN},
    {"port 0", "http://" SITE_HOST ":0/", EXCHANGE_FORBIDDEN},
    {"no port after the colon", "http://" SITE_HOST ":/", EXCHANGE_FORBIDDEN},
    {"a port that wraps", "http://" SITE_HOST ":65616/", EXCHANGE_FORBIDDEN},
    {"a port with a sign", "http://" SITE_HOST ":+PORT/", EXCHANGE_FORBIDDEN},
    {"IPv4 in brackets", "http://[127.0.0.1]:PORT/", EXCHANGE_FORBIDDEN},
    {"an open bracket", "http://[::1:PORT/", EXCHANGE_FORBIDDEN},
    {"a name after the brackets", "http://[::1].site.test:PORT/", EXCHANGE_FORBIDDEN},
    {"an address that is too large", "http://4294967296:PORT/", EXCHANGE_UNREACHABLE},
    {"five parts", "http://127.0.0.0.1:PORT/", EXCHANGE_UNREACHABLE},
    {"a file", "file:///etc/hostname", EXCHANGE_FORBIDDEN},
    {"gopher", "gopher://127.0.0.1:PORT/_x", EXCHANGE_FORBIDDEN},
    {"a scheme that begins like ours", "httpx://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
};

/* Where a redirect leads. */
static const struct attack locations[] = {
    {"to the trap", "http://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"to the trap, protocol-relative", "//127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"to the trap, over TLS", "https://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"to the trap by name", "http://private.test:PORT/", EXCHANGE_FORBIDDEN},
    {"to localhost", "http://localhost:PORT/", EXCHANGE_FORBIDDEN},
    {"in decimal", "http://2130706433:PORT/", EXCHANGE_FORBIDDEN},
    {"in octal", "http://0177.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"in hex", "http://0x7f.1:PORT/", EXCHANGE_FORBIDDEN},
    {"mapped", "http://[::ffff:127.0.0.1]:PORT/", EXCHANGE_FORBIDDEN},
    {"IPv6", "http://[::1]:PORT/", EXCHANGE_FORBIDDEN},
    {"IPv6 with a zone", "http://[fe80::1%25lo]:PORT/", EXCHANGE_FORBIDDEN},
    {"percent-encoded", "http://%31%32%37.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a dot at the end", "http://127.0.0.1.:PORT/", EXCHANGE_FORBIDDEN},
    {"to metadata", "http://169.254.169.254/latest/", EXCHANGE_FORBIDDEN},
    {"a user name", "http://me:word@" SITE_HOST ":PORT/ok", EXCHANGE_FORBIDDEN},
    {"a host as user name", "http://" SITE_HOST "@127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a fragment before the at sign", "http://127.0.0.1:PORT#@site.test/", EXCHANGE_FORBIDDEN},
    {"a backslash before the at sign", "http://127.0.0.1:PORT\\@site.test/", EXCHANGE_FORBIDDEN},
    {"one slash", "http:/127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"three slashes", "http:///127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a tab within", "http://127.0.0\t.1:PORT/", EXCHANGE_FORBIDDEN},
    {"file:", "file:///etc/hostname", EXCHANGE_FORBIDDEN},
    {"file: with a host", "file://localhost/etc/hostname", EXCHANGE_FORBIDDEN},
    {"gopher:", "gopher://127.0.0.1:PORT/_GET", EXCHANGE_FORBIDDEN},
    {"dict:", "dict://127.0.0.1:PORT/info", EXCHANGE_FORBIDDEN},
    {"ftp:", "ftp://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"ftp: to a good host", "ftp://" SITE_HOST ":PORT/", EXCHANGE_FORBIDDEN},
    {"ldap:", "ldap://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"telnet:", "telnet://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"tftp:", "tftp://127.0.0.1:PORT/x", EXCHANGE_FORBIDDEN},
    {"scp:", "scp://127.0.0.1:PORT/x", EXCHANGE_FORBIDDEN},
    {"sftp:", "sftp://127.0.0.1:PORT/x", EXCHANGE_FORBIDDEN},
    {"smb:", "smb://127.0.0.1:PORT/a/b", EXCHANGE_FORBIDDEN},
    {"smtp:", "smtp://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"imap:", "imap://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"pop3:", "pop3://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"rtsp:", "rtsp://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"mqtt:", "mqtt://127.0.0.1:PORT/x", EXCHANGE_FORBIDDEN},
    {"ws:", "ws://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"jar:", "jar://127.0.0.1:PORT/", EXCHANGE_FORBIDDEN},
    {"a good one", "http://site.test:PORT/ok", EXCHANGE_DONE},
    {"a good one, relative", "/ok", EXCHANGE_DONE},
    {"a good one, protocol-relative", "//" SITE_HOST ":PORT/ok", EXCHANGE_DONE},
    {"data:", "data:image/png;base64,AAAA", EXCHANGE_FORBIDDEN},
    {"javascript:", "javascript:alert(1)", EXCHANGE_FORBIDDEN},
    /* To libcurl these are paths on the site itself. */
    {"backslashes", "\\\\127.0.0.1:PORT\\", EXCHANGE_STATUS},
    {"a slash and a backslash", "/\\127.0.0.1:PORT/", EXCHANGE_STATUS},
};

static const int statuses[] = {301, 302, 303, 307, 308};

static void write_url(const struct site *site, const char *pattern, char *ret_url, size_t size)
{
    const char *port = strstr(pattern, "PORT");
    if (port == NULL)
        snprintf(ret_url, size, "%s", pattern);
    else
        snprintf(ret_url, size, "%.*s%u%s", (int)(port - pattern), pattern, site->port, port + 4);
}

/* `/ok`; `/to/STATUS/N`: to the Nth location; `/hop/STATUS/N`: to that. */
static void answer(const struct site *site, int fd, const char *path)
{
    int status;
    size_t n;
    char location[300], text[600];
    if (sscanf(path, "/to/%d/%zu", &status, &n) == 2 && n < ARRAY_LENGTH(locations))
        write_url(site, locations[n].url, location, sizeof(location));
    else if (sscanf(path, "/hop/%d/%zu", &status, &n) == 2)
        snprintf(location, sizeof(location), "/to/%d/%zu", status, n);
    else if (strcmp(path, "/rebinding") == 0 && (status = 302) != 0)
        write_url(site, "http://rebinding.test:PORT/ok", location, sizeof(location));
    else {
        site_say(fd, strcmp(path, "/ok") == 0
                         ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                         : "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    snprintf(text, sizeof(text), "HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             status, location);
    site_say(fd, text);
}

static int set_up(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(zones); i++)
        atomic_store(&n_lookups[i], 0);
    *state = site_open(answer);
    return 0;
}

static void run_rows(struct fixture *fixture, const struct attack *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char url[300];
        write_url(&fixture->site, rows[i].url, url, sizeof(url));
        site_expect(fixture, rows[i].name, url, rows[i].end);
    }
    assert_int_equal(atomic_load(&fixture->site.n_requests), 0);
}

static void spellings_of_private_addresses(void **state)
{
    run_rows(*state, spellings, ARRAY_LENGTH(spellings));
}

static void tricks_with_urls(void **state)
{
    run_rows(*state, tricks, ARRAY_LENGTH(tricks));
}

static void redirects_to_the_inside(void **state)
{
    struct fixture *fixture = *state;
    static const char *const ways[] = {"to", "hop"};
    for (size_t i = 0; i < ARRAY_LENGTH(locations); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(statuses) * ARRAY_LENGTH(ways); j++) {
            char url[300];
            snprintf(url, sizeof(url), "http://" SITE_HOST ":%u/%s/%d/%zu", fixture->site.port,
                     ways[j % 2], statuses[j / 2], i);
            site_expect(fixture, locations[i].name, url, locations[i].end);
        }
    }
}

/* ---- names ---- */

static void expect_name(struct fixture *fixture, const char *name, enum exchange_end end)
{
    char url[100];
    snprintf(url, sizeof(url), "http://%s:%u/ok", name, fixture->site.port);
    site_expect(fixture, name, url, end);
}

static int lookups_of(const char *name)
{
    size_t i = 0;
    while (strcmp(zones[i].name, name) != 0)
        i++;
    return atomic_load(&n_lookups[i]);
}

/* A pool forgets with its end what it resolved. */
static void renew_pool(struct fixture *fixture)
{
    fixture->pool = exchange_pool_free(fixture->pool);
    must(exchange_pool_new(fixture->loop, &fixture->pool) == 0);
}

static void names_of_private_addresses(void **state)
{
    static const char *const names[] = {"private.test",     "ten.test",    "metadata.test",
                                        "six.test",         "mapped.test", "unique-local.test",
                                        "all-private.test", "nowhere.test"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        expect_name(*state, names[i], EXCHANGE_FORBIDDEN);
        assert_int_equal(lookups_of(names[i]), 1); /* it was our resolver that said so */
    }
    expect_name(*state, "empty.test", EXCHANGE_UNREACHABLE);
    expect_name(*state, "site.test", EXCHANGE_DONE);
}

static void a_name_that_turns_private(void **state)
{
    struct fixture *fixture = *state;
    expect_name(fixture, "rebinding.test", EXCHANGE_DONE);
    renew_pool(fixture);
    expect_name(fixture, "rebinding.test", EXCHANGE_FORBIDDEN);
    assert_int_equal(lookups_of("rebinding.test"), 2);
}

static void a_name_that_turns_private_behind_a_redirect(void **state)
{
    struct fixture *fixture = *state;
    char url[100];
    expect_name(fixture, "rebinding.test", EXCHANGE_DONE);
    renew_pool(fixture);
    snprintf(url, sizeof(url), "http://site.test:%u/rebinding", fixture->site.port);
    site_expect(fixture, "rebinding behind a redirect", url, EXCHANGE_FORBIDDEN);
    assert_int_equal(lookups_of("rebinding.test"), 2);
}

/* Of several addresses only those are dialled that may be. */
static void names_of_mixed_addresses(void **state)
{
    struct fixture *fixture = *state;
    static const char *const mixed[] = {"good-first.test", "bad-first.test", "six-first.test",
                                        "mapped-first.test"};
    for (size_t i = 0; i < ARRAY_LENGTH(mixed); i++)
        expect_name(fixture, mixed[i], EXCHANGE_DONE);
    assert_int_equal(atomic_load(&fixture->site.n_requests), ARRAY_LENGTH(mixed));
    expect_name(fixture, "deaf-then-bad.test", EXCHANGE_UNREACHABLE);
    expect_name(fixture, "bad-then-deaf.test", EXCHANGE_UNREACHABLE);
}

/* Which address it was is told apart from what a client may read. */
static void what_was_blocked(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *url, *blocked; /* blocked NULL: no address was */
    } rows[] = {
        {"http://private.test:PORT/", TRAP_HOST ":PORT"},
        {"http://all-private.test:PORT/", "[::1]:PORT"}, /* the first */
        {"http://[fe80::1%25lo]:PORT/", "[fe80::1]:PORT"},
        {"http://site.test:PORT/to/302/3", TRAP_HOST ":PORT"},
        {"http://six-first.test:PORT/ok", NULL},
        {"http://bad-then-deaf.test:PORT/ok", NULL},
        {"file:///etc/hostname", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char url[100], blocked[100], told[EXCHANGE_TOLD_SIZE];
        CLEANUP(outcome_fini) struct outcome outcome;
        write_url(&fixture->site, rows[i].url, url, sizeof(url));
        site_fetch(fixture, site_usual(fixture, url), &outcome);
        exchange_tell_operator(outcome.note, outcome.result.blocked, "fetch.allow", told);
        assert_null(strstr(outcome.note, TRAP_HOST));
        if (rows[i].blocked == NULL) {
            assert_null(outcome.result.blocked);
            assert_string_equal(told, outcome.note);
            continue;
        }
        write_url(&fixture->site, rows[i].blocked, blocked, sizeof(blocked));
        assert_string_equal(outcome.result.blocked, blocked);
        assert_null(strstr(outcome.note, blocked));
        assert_non_null(strstr(told, blocked));
        assert_non_null(strstr(told, "the setting fetch.allow can permit"));
    }
}

/* A resolver that never answers holds up neither the loop nor the end of the transfer. */
static void a_mute_resolver(void **state)
{
    struct fixture *fixture = *state;
    char url[100];
    snprintf(url, sizeof(url), "http://mute.test:%u/ok", fixture->site.port);
    struct exchange_fetch fetch = site_usual(fixture, url);
    fetch.connect_ms = 100;
    CLEANUP(outcome_fini) struct outcome outcome;
    site_fetch(fixture, fetch, &outcome);
    assert_int_equal(outcome.result.end, EXCHANGE_TIMED_OUT);
    expect_name(fixture, "site.test", EXCHANGE_DONE);
    renew_pool(fixture);
    must(sem_post(&mute) == 0); /* the look-up is still waiting: nobody waited for it */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, site_close)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(spellings_of_private_addresses),
        CASE(tricks_with_urls),
        CASE(redirects_to_the_inside),
        CASE(names_of_private_addresses),
        CASE(a_name_that_turns_private),
        CASE(a_name_that_turns_private_behind_a_redirect),
        CASE(names_of_mixed_addresses),
        CASE(what_was_blocked),
        CASE(a_mute_resolver),
    };
    must(sem_init(&mute, 0, 0) == 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
