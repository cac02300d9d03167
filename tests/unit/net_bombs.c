/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that are meant to harm: endless, monstrous, inflating, lying. Each row is one of them
 * with a name; all end by a limit that has a name, and none leaves more in the sink than asked for. */
#include "net_site.h"

enum {
    BLOCK = 16 * 1024,
    ENDLESS_BYTES = 512 * 1024 * 1024, /* where the site gives up; never reached */
    COOKIE_BYTES = 3000,
    SHORT_MS = 300, /* for what would go on for ever, slowly or not */
};

/* Sends `text` again and again, until the client leaves. */
static void send_endless(int fd, const char *text)
{
    char block[BLOCK + 1] = "";
    size_t length = strlen(text), filled = 0;
    for (; filled + length <= BLOCK; filled += length)
        memcpy(block + filled, text, length);
    for (size_t sent = 0; sent < ENDLESS_BYTES; sent += filled) {
        if (!site_send(fd, block, filled))
            return;
    }
}

/* Waits for the client to leave; it is watched by whoever set its limits. */
static void wait_for_end(int fd)
{
    char byte;
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
}

/* One byte at a time, with pauses, until the client leaves. */
static void send_drip(int fd)
{
    static const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    while (site_say(fd, "x"))
        nanosleep(&pause, NULL);
}

#define OK "HTTP/1.1 200 OK\r\n"

static const struct bomb {
    const char *name;
    const char *beginning;
    const char *endless;  /* after it, again and again; NULL: nothing */
    void (*rest)(int fd); /* or this */
    const char *body;     /* what must arrive, with EXCHANGE_DONE */
    int64_t total_ms;     /* 0: the usual */
    enum exchange_end end;
} bombs[] = {
    {.name = "a body without end, to the close",
     .beginning = OK "\r\n",
     .endless = "x",
     .end = EXCHANGE_TOO_LARGE},
    {.name = "a body without end, in chunks",
     .beginning = OK "Transfer-Encoding: chunked\r\n\r\n",
     .endless = "4\r\nxxxx\r\n",
     .end = EXCHANGE_TOO_LARGE},
    {.name = "a body of many gigabytes, as it says",
     .beginning = OK "Content-Length: 99999999999\r\n\r\n",
     .endless = "x",
     .end = EXCHANGE_TOO_LARGE},
    {.name = "a length beyond 64 bits",
     .beginning = OK "Content-Length: 99999999999999999999999\r\n\r\n",
     .endless = "x",
     .end = EXCHANGE_TOO_LARGE},
    {.name = "a length below 0",
     .beginning = OK "Content-Length: -5\r\n\r\nhello",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "a length that is no number",
     .beginning = OK "Content-Length: many\r\n\r\nhello",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "a length that is too long",
     .beginning = OK "Content-Length: 100\r\n\r\nhello",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "a length that is too short",
     .beginning = OK "Content-Length: 5\r\n\r\nhello, and HTTP/1.1 200 OK\r\n\r\nmore",
     .body = "hello",
     .end = EXCHANGE_DONE},
    {.name = "a chunk of 2^63 bytes",
     .beginning = OK "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
     .endless = "x",
     .end = EXCHANGE_TOO_LARGE},
    {.name = "a chunk of 2^64 bytes",
     .beginning = OK "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
     .endless = "x",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "a chunk below 0",
     .beginning = OK "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "a chunk size without end",
     .beginning = OK "Transfer-Encoding: chunked\r\n\r\n",
     .endless = "0",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "a chunk extension without end",
     .beginning = OK "Transfer-Encoding: chunked\r\n\r\n5;",
     .endless = "x",
     .total_ms = SHORT_MS,
     .end = EXCHANGE_TIMED_OUT},
    {.name = "trailers without end",
     .beginning = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
     .endless = "X-Trailer: x\r\n",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "headers without end",
     .beginning = OK,
     .endless = "X-Header: 0123456789\r\n",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "a header without end",
     .beginning = OK "X-Header: ",
     .endless = "x",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "a status line without end",
     .beginning = "HTTP/1.1 200 ",
     .endless = "x",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "folded header lines without end",
     .beginning = OK "X-Header: x\r\n",
     .endless = " x\r\n",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "provisional answers without end",
     .beginning = "",
     .endless = "HTTP/1.1 100 Continue\r\n\r\n",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "early hints without end",
     .beginning = "",
     .endless = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "another protocol",
     .beginning = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
     .endless = "x",
     .total_ms = SHORT_MS,
     .end = EXCHANGE_STATUS},
    {.name = "HTTP/0.9", .beginning = "<html>hello</html>", .end = EXCHANGE_UNREACHABLE},
    {.name = "HTTP/0.9 without end", .beginning = "", .endless = "x", .end = EXCHANGE_UNREACHABLE},
    {.name = "NUL bytes without end",
     .beginning = "\1",
     .endless = "\1",
     .end = EXCHANGE_UNREACHABLE},
    {.name = "an error's body without end",
     .beginning = "HTTP/1.1 404 Not Found\r\n\r\n",
     .endless = "x",
     .end = EXCHANGE_STATUS},
    {.name = "a redirect's body without end, to the close",
     .beginning = "HTTP/1.1 302 Found\r\nLocation: /good\r\n\r\n",
     .endless = "x",
     .body = "good",
     .end = EXCHANGE_DONE},
    {.name = "a redirect's body of many gigabytes",
     .beginning = "HTTP/1.1 302 Found\r\nLocation: /good\r\nContent-Length: 99999999999\r\n\r\n",
     .endless = "x",
     .end = EXCHANGE_STATUS},
    {.name = "a redirect's body without end, in chunks",
     .beginning = "HTTP/1.1 302 Found\r\nLocation: /good\r\nTransfer-Encoding: chunked\r\n\r\n",
     .endless = "4\r\nxxxx\r\n",
     .end = EXCHANGE_TOO_LARGE},
    {.name = "a body that drips",
     .beginning = OK "\r\n",
     .rest = send_drip,
     .total_ms = SHORT_MS,
     .end = EXCHANGE_TIMED_OUT},
    {.name = "a header that drips",
     .beginning = OK "X-Header: ",
     .rest = send_drip,
     .total_ms = SHORT_MS,
     .end = EXCHANGE_TIMED_OUT},
    {.name = "a body that stops",
     .beginning = OK "Content-Length: 100\r\n\r\nhello",
     .rest = wait_for_end,
     .total_ms = SHORT_MS,
     .end = EXCHANGE_TIMED_OUT},
    {.name = "nothing at all",
     .beginning = "",
     .rest = wait_for_end,
     .total_ms = SHORT_MS,
     .end = EXCHANGE_TIMED_OUT},
};

/* 4 MiB of zeros as gzip: a deflate stream of stored blocks would not be small, so it is one of
 * runs; made with the fixed codes by hand: a literal 0, then matches of 258 at distance 1. */
enum { GZIP_BYTES = 4096 };

static size_t make_gzip_bomb(uint8_t ret_bytes[GZIP_BYTES])
{
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    memset(ret_bytes, 0, GZIP_BYTES);
    memcpy(ret_bytes, head, sizeof(head));
    size_t bit = 8 * sizeof(head);
    /* Final block, fixed codes: 1, then 01, least bit first; literal 0 is 00110000, most bit
     * first; length 258 is code 285, 11000101; distance 1 is code 0, 00000. */
    const char *once = "110"
                       "00110000",
               *again = "11000101"
                        "00000";
    for (const char *c = once; *c != '\0'; c++, bit++)
        ret_bytes[bit / 8] = (uint8_t)(ret_bytes[bit / 8] | (*c - '0') << bit % 8);
    while (bit + 32 < 8 * GZIP_BYTES) {
        for (const char *c = again; *c != '\0'; c++, bit++)
            ret_bytes[bit / 8] = (uint8_t)(ret_bytes[bit / 8] | (*c - '0') << bit % 8);
    }
    return bit / 8 + 1;
}

static void send_gzip_bomb(int fd)
{
    uint8_t bytes[GZIP_BYTES];
    char head[200];
    size_t length = make_gzip_bomb(bytes);
    snprintf(head, sizeof(head), OK "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
             length);
    if (site_say(fd, head))
        (void)site_send(fd, bytes, length);
}

static void send_cookie_redirect(int fd, int left)
{
    char cookie[COOKIE_BYTES + 1];
    char text[COOKIE_BYTES + 300];
    memset(cookie, 'c', COOKIE_BYTES);
    cookie[COOKIE_BYTES] = '\0';
    snprintf(text, sizeof(text),
             "HTTP/1.1 302 Found\r\nSet-Cookie: a%d=%s\r\nLocation: /cookies/%d\r\n"
             "Content-Length: 0\r\n\r\n",
             left, cookie, left - 1);
    (void)site_say(fd, text);
}

/* `/bomb/N`, `/gzip`, `/cookies/N`, `/good`. */
static void answer(const struct site *site, int fd, const char *path)
{
    size_t n;
    int left;
    (void)site;
    if (sscanf(path, "/bomb/%zu", &n) == 1 && n < ARRAY_LENGTH(bombs)) {
        if (!site_say(fd, bombs[n].beginning))
            return;
        if (bombs[n].endless != NULL)
            send_endless(fd, bombs[n].endless);
        else if (bombs[n].rest != NULL)
            bombs[n].rest(fd);
    } else if (strcmp(path, "/gzip") == 0) {
        send_gzip_bomb(fd);
    } else if (sscanf(path, "/cookies/%d", &left) == 1 && left > 0) {
        send_cookie_redirect(fd, left);
    } else {
        (void)site_say(fd, OK "Content-Length: 4\r\n\r\ngood");
    }
}

static int set_up(void **state)
{
    *state = site_open(answer);
    return 0;
}

static int64_t bytes_in(const struct outcome *outcome)
{
    struct stat sink;
    must(fstat(outcome->sink, &sink) == 0);
    return sink.st_size;
}

static void check_bomb(struct fixture *fixture, size_t n)
{
    const struct bomb *bomb = &bombs[n];
    char url[100];
    snprintf(url, sizeof(url), "http://" SITE_HOST ":%u/bomb/%zu", fixture->site.port, n);
    struct exchange_fetch fetch = site_usual(fixture, url);
    if (bomb->total_ms != 0)
        fetch.total_ms = bomb->total_ms;
    CLEANUP(outcome_fini) struct outcome outcome;
    site_fetch(fixture, fetch, &outcome);
    if (outcome.result.end != bomb->end)
        fail_msg("%s ended as %d: %s", bomb->name, (int)outcome.result.end, outcome.note);
    assert_true(bytes_in(&outcome) <= SITE_MAX_BYTES);
    if (bomb->body == NULL)
        return;
    char body[100] = "";
    assert_int_equal(pread(outcome.sink, body, sizeof(body) - 1, 0), strlen(bomb->body));
    assert_string_equal(body, bomb->body);
}

static void every_bomb_ends_by_a_limit(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(bombs); i++)
        check_bomb(*state, i);
    site_expect(*state, "afterwards", "http://127.0.0.1/", EXCHANGE_FORBIDDEN);
}

/* We ask for no coding, and undo none: what came is what is kept, and the decoder of images sees
 * that it is none. */
static void compressed_answers_stay_compressed(void **state)
{
    struct fixture *fixture = *state;
    char url[100];
    uint8_t bytes[GZIP_BYTES], got[GZIP_BYTES];
    size_t length = make_gzip_bomb(bytes);
    snprintf(url, sizeof(url), "http://" SITE_HOST ":%u/gzip", fixture->site.port);
    CLEANUP(outcome_fini) struct outcome outcome;
    site_fetch(fixture, site_usual(fixture, url), &outcome);
    assert_int_equal(outcome.result.end, EXCHANGE_DONE);
    assert_int_equal(bytes_in(&outcome), length);
    assert_int_equal(pread(outcome.sink, got, sizeof(got), 0), length);
    assert_memory_equal(got, bytes, length);
    assert_null(strcasestr(fixture->site.request, "Accept-Encoding"));
}

static void cookies_are_neither_kept_nor_sent(void **state)
{
    struct fixture *fixture = *state;
    char url[100];
    snprintf(url, sizeof(url), "http://" SITE_HOST ":%u/cookies/5", fixture->site.port);
    site_expect(fixture, "five redirects", url, EXCHANGE_DONE);
    assert_null(strcasestr(fixture->site.request, "\nCookie:"));
    snprintf(url, sizeof(url), "http://" SITE_HOST ":%u/cookies/6", fixture->site.port);
    site_expect(fixture, "one too many", url, EXCHANGE_REDIRECTS);
}

/* The bound on headers is one on all answers of a fetch. */
static void redirects_do_not_renew_the_bound_on_headers(void **state)
{
    struct fixture *fixture = *state;
    char url[100];
    snprintf(url, sizeof(url), "http://" SITE_HOST ":%u/cookies/200", fixture->site.port);
    struct exchange_fetch fetch = site_usual(fixture, url);
    fetch.max_redirects = 200;
    CLEANUP(outcome_fini) struct outcome outcome;
    site_fetch(fixture, fetch, &outcome);
    assert_int_equal(outcome.result.end, EXCHANGE_UNREACHABLE);
    assert_non_null(strstr(outcome.note, "headers are too large"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, site_close)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(every_bomb_ends_by_a_limit),
        CASE(compressed_answers_stay_compressed),
        CASE(cookies_are_neither_kept_nor_sent),
        CASE(redirects_do_not_renew_the_bound_on_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
