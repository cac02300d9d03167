/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to upstreams over plain HTTP: what is sent, how often, and what is said of the answer. */
#include "net_upstream.h"

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <sys/mman.h>

#include "net/exchange_head.h"

enum { CROWD = 300, LARGE_BYTES = 30 * 1000 * 1000, HEADERS_SENT = 200 };

/* ---- a resolver of our own, before the C library's ---- */

static sem_t mute;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (strcmp(host, "mute.test") == 0) {
        while (sem_wait(&mute) < 0 && errno == EINTR)
            continue;
        return EAI_AGAIN;
    }
    if (strspn(host, "0123456789.") != strlen(host))
        return EAI_NONAME;
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    must(symbol != NULL);
    memcpy(&next, &symbol, sizeof(next));
    return next(host, service, hints, ret_list);
}

/* ---- the upstream ---- */

static const struct {
    const char *path;
    const char *answer;
    bool stays_open;
} fixed_answers[] = {
    {"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", true},
    {"/ok?key=secret", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", true},
    {"/a/../b/./c", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nas is", true},
    {"/busy", "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy", true},
    {"/empty", "HTTP/1.1 204 No Content\r\n\r\n", true},
    {"/chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n"
     "0\r\nX-Trailer: 1\r\n\r\n",
     true},
    {"/cut", "HTTP/1.1 200 OK\r\nX-Job: 9\r\nContent-Length: 100\r\n\r\nten bytes.", false},
    {"/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nten bytes.", false},
    {"/cut-head", "HTTP/1.1 200 OK\r\nX-Job: 9\r\n", false},
    {"/until-close", "HTTP/1.1 200 OK\r\n\r\nto the end", false},
    {"/interim",
     "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-Late:  a b \r\n"
     "Content-Length: 2\r\n\r\nok",
     true},
    {"/no-http", "220 welcome\r\n", false},
    {"/vanish", "", false},
    {"/elsewhere",
     "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 20\r\n\r\nmoved, as it happens", true},
    {"/round", "HTTP/1.1 307 Again\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n", true},
    {"/to-file", "HTTP/1.1 302 Found\r\nLocation: file:///secret\r\nContent-Length: 0\r\n\r\n",
     true},
    {"/to-user",
     "HTTP/1.1 302 Found\r\nLocation: http://a:secret@127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
     true},
    {"/nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nmoved", true},
};

static bool send_headers(struct visit *visit, size_t count, size_t bytes)
{
    static const char fill[] = "0123456789012345678901234567890123456789";
    visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
    for (size_t i = 0, sent = 0; i < count || sent < bytes; i++, sent += sizeof(fill))
        visit_answer(visit, "X-Number-%zu: %s\r\n", i, fill);
    return visit_say(visit, "\r\nok");
}

static bool send_large(struct visit *visit)
{
    static __thread char piece[PIECE_SIZE];
    visit_answer(visit, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE_BYTES);
    for (int64_t at = 0; at < LARGE_BYTES; at += PIECE_SIZE) {
        size_t length = LARGE_BYTES - at < PIECE_SIZE ? (size_t)(LARGE_BYTES - at) : PIECE_SIZE;
        pattern_fill(piece, length, at);
        if (!visit_send(visit, piece, length))
            return false;
    }
    return true;
}

/* Nobody of a crowd is answered before all have come. */
static bool await_crowd(struct visit *visit)
{
    while (atomic_load(&visit->upstream->n_requests) < CROWD) {
        if (atomic_load(&visit->upstream->is_closing))
            return false;
        usleep(1000);
    }
    return visit_say(visit, fixed_answers[0].answer);
}

static bool answer(struct upstream *upstream, struct visit *visit)
{
    const char *path = visit->target;
    if (visit->body_bytes > 0 && visit_read_body(visit))
        atomic_fetch_add(&upstream->n_bodies_good, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(fixed_answers); i++) {
        if (strcmp(path, fixed_answers[i].path) == 0)
            return visit_say(visit, fixed_answers[i].answer) && fixed_answers[i].stays_open;
    }
    if (strcmp(path, "/many") == 0)
        return send_headers(visit, HEADERS_SENT, 0);
    if (strcmp(path, "/flood") == 0)
        return send_headers(visit, 0, 300 * 1024);
    if (strcmp(path, "/large") == 0)
        return send_large(visit);
    if (strcmp(path, "/crowd") == 0)
        return await_crowd(visit);
    if (strcmp(path, "/slow") == 0)
        visit_say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.");
    if (strcmp(path, "/to-other") == 0)
        return visit_answer(visit,
                            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/back\r\n"
                            "Content-Length: 0\r\n\r\n",
                            upstream->other_port);
    if (strcmp(path, "/far") == 0)
        return visit_answer(visit,
                            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/elsewhere\r\n"
                            "Content-Length: 0\r\n\r\n",
                            upstream->other_port);
    if (strcmp(path, "/back") == 0)
        return visit_answer(visit,
                            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/ok\r\n"
                            "Content-Length: 0\r\n\r\n",
                            upstream->other_port);
    return visit_hold(visit);
}

static int set_up(void **state)
{
    struct stage *stage = must_calloc(1, sizeof(*stage));
    must(sem_init(&mute, 0, 0) == 0);
    stage->upstream = upstream_open(answer, NULL);
    stage_open(stage);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    sem_post(&mute);
    stage_close(stage);
    stage->upstream = upstream_close(stage->upstream);
    free(stage);
    return 0;
}

static void expect(struct stage *stage, struct exchange_request request, enum exchange_end end,
                   long status, bool was_never_sent)
{
    CLEANUP(outcome_fini) struct outcome outcome;
    stage_send(stage, request, &outcome);
    outcome_expect(&outcome, end, status, was_never_sent);
}

static void expect_path(struct stage *stage, const char *method, const char *path,
                        enum exchange_end end, long status)
{
    char url[500];
    expect(stage, stage_usual(method, stage_url(stage, path, url)), end, status, false);
}

/* ---- how often ---- */

/* libcurl sends again what a kept connection has swallowed: fine for a poll, paid twice for a submit. */
static void a_submit_is_sent_once(void **state)
{
    struct stage *stage = *state;
    char url[500];
    expect_path(stage, "GET", "/ok", EXCHANGE_DONE, 200); /* leaves a connection behind */
    upstream_forget(stage->upstream);
    struct exchange_request submit = stage_usual("POST", stage_url(stage, "/vanish", url));
    submit.is_fresh = true;
    expect(stage, submit, EXCHANGE_UNREACHABLE, 0, false);
    assert_int_equal(atomic_load(&stage->upstream->n_requests), 1);
    assert_int_equal(atomic_load(&stage->upstream->n_connections), 2);

    upstream_forget(stage->upstream);
    expect_path(stage, "POST", "/vanish", EXCHANGE_UNREACHABLE, 0);
    assert_int_equal(atomic_load(&stage->upstream->n_requests), 2); /* why a submit needs its own */
}

static void a_submit_leaves_no_connection_behind(void **state)
{
    struct stage *stage = *state;
    char url[500];
    struct exchange_request submit = stage_usual("POST", stage_url(stage, "/ok", url));
    submit.is_fresh = true;
    for (int i = 1; i <= 3; i++) {
        expect(stage, submit, EXCHANGE_DONE, 200, false);
        assert_int_equal(atomic_load(&stage->upstream->n_connections), i);
    }
}

static void polls_share_connections(void **state)
{
    struct stage *stage = *state;
    for (int i = 0; i < 5; i++)
        expect_path(stage, "GET", "/ok", EXCHANGE_DONE, 200);
    assert_int_equal(atomic_load(&stage->upstream->n_connections), 1);
    assert_int_equal(atomic_load(&stage->upstream->n_requests), 5);
}

static void guarded_requests_meet_no_kept_connection(void **state)
{
    struct stage *stage = *state;
    char url[500];
    char error[200];
    struct guard *guard = NULL;
    assert_true(guard_new(NULL, 0, &guard, error));
    expect_path(stage, "GET", "/ok", EXCHANGE_DONE, 200);
    struct exchange_request request = stage_usual("GET", stage_url(stage, "/ok?key=secret", url));
    request.guard = guard;
    expect(stage, request, EXCHANGE_FORBIDDEN, 0, true);
    assert_int_equal(atomic_load(&stage->upstream->n_requests), 1);
    guard = guard_free(guard);
}

/* ---- whether at all ---- */

static void what_was_read_was_sent(void **state)
{
    struct stage *stage = *state;
    static const char *const paths[] = {"/mute", "/slow"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        char url[500];
        struct exchange_request request = stage_usual("POST", stage_url(stage, paths[i], url));
        request.total_ms = 700; /* time enough to be read on a busy machine */
        request.is_fresh = true;
        expect(stage, request, EXCHANGE_TIMED_OUT, i == 0 ? 0 : 200, false);
        assert_int_equal(atomic_load(&stage->upstream->n_requests), (int)i + 1);
    }
    expect_path(stage, "POST", "/no-http", EXCHANGE_UNREACHABLE, 0);
}

static void what_met_nobody_was_never_sent(void **state)
{
    struct stage *stage = *state;
    char url[500];
    unsigned port;
    CLEANUP(close_fd) UNUSED int deaf = upstream_bind(false, &port);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/?key=secret", port);
    expect(stage, stage_usual("POST", url), EXCHANGE_UNREACHABLE, 0, true);
    expect(stage, stage_usual("POST", "http://nobody.test/?key=secret"), EXCHANGE_UNREACHABLE, 0,
           true);
    static const char *const unfit[] = {"ftp://127.0.0.1/",
                                        "http://",
                                        "secret",
                                        "http://a:secret@127.0.0.1/",
                                        "http://127.0.0.1/a b",
                                        "http://127.0.0.1/\r\nsecret: 1"};
    for (size_t i = 0; i < ARRAY_LENGTH(unfit); i++)
        expect(stage, stage_usual("POST", unfit[i]), EXCHANGE_FORBIDDEN, 0, true);
    char *large = must_calloc(1, 17000);
    memset(large, 'a', 16999);
    memcpy(large, "http://127.0.0.1/", 17);
    expect(stage, stage_usual("POST", large), EXCHANGE_FORBIDDEN, 0, true);
    free(large);
}

struct ticker {
    struct loop_timer timer;
    struct loop *loop;
    int64_t last_ms, longest_ms;
    int n_ticks;
};

static void on_tick(struct loop_timer *timer)
{
    struct ticker *ticker = CONTAINER_OF(timer, struct ticker, timer);
    int64_t now_ms = clock_mono_ms();
    if (now_ms - ticker->last_ms > ticker->longest_ms)
        ticker->longest_ms = now_ms - ticker->last_ms;
    ticker->last_ms = now_ms;
    ticker->n_ticks++;
    loop_arm(ticker->loop, timer, 10);
}

static void a_mute_name_server_holds_nobody_up(void **state)
{
    struct stage *stage = *state;
    struct ticker ticker = {.timer.fire = on_tick, .loop = stage->loop, .last_ms = clock_mono_ms()};
    loop_arm(stage->loop, &ticker.timer, 10);
    struct exchange_request request = stage_usual("POST", "http://mute.test/?key=secret");
    request.total_ms = 500;
    request.is_fresh = true;
    expect(stage, request, EXCHANGE_TIMED_OUT, 0, true);
    assert_true(ticker.n_ticks > 5);
    assert_in_range(ticker.longest_ms, 0, 5000); /* the look-up hangs for ever */
    int64_t begin_ms = clock_mono_ms();
    expect_path(stage, "GET", "/ok", EXCHANGE_DONE, 200); /* while the look-up still hangs */
    assert_in_range(clock_mono_ms() - begin_ms, 0, 5000);
    loop_disarm(stage->loop, &ticker.timer);
}

/* ---- what is sent ---- */

static void requests_say_what_they_are_told(void **state)
{
    struct stage *stage = *state;
    char url[500];
    static const struct exchange_header headers[] = {
        {"X-Api-Key", "secret"}, {"Content-Type", "application/json"}, {"X-Empty", ""}};
    CLEANUP(close_fd) int body = memfd_create("body", MFD_CLOEXEC);
    char text[1000];
    pattern_fill(text, sizeof(text), 0);
    assert_int_equal(pwrite(body, text, sizeof(text), 0), sizeof(text));
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        struct exchange_request request =
            stage_usual(methods[i], stage_url(stage, "/ok?key=secret", url));
        request.headers = headers;
        request.n_headers = ARRAY_LENGTH(headers);
        request.body = body;
        request.body_bytes = sizeof(text);
        expect(stage, request, EXCHANGE_DONE, 200, false);
        assert_int_equal(atomic_load(&stage->upstream->n_bodies_good), (int)i + 1);
        assert_true(upstream_saw(stage->upstream, methods[i]));
        assert_true(upstream_saw(stage->upstream, " /ok?key=secret HTTP/1.1\r\n"));
        assert_true(upstream_saw(stage->upstream, "\r\nX-Api-Key: secret\r\n"));
        assert_true(upstream_saw(stage->upstream, "\r\nX-Empty:\r\n"));
        assert_true(upstream_saw(stage->upstream, "\r\nContent-Type: application/json\r\n"));
        assert_true(upstream_saw(stage->upstream, "\r\nContent-Length: 1000\r\n"));
        assert_true(upstream_saw(stage->upstream, "\r\nUser-Agent: filmgate\r\n"));
        assert_false(upstream_saw(stage->upstream, "Expect"));
        assert_false(upstream_saw(stage->upstream, "Transfer-Encoding"));
    }
}

static void empty_requests_say_so(void **state)
{
    struct stage *stage = *state;
    expect_path(stage, "POST", "/ok", EXCHANGE_DONE, 200);
    assert_true(upstream_saw(stage->upstream, "\r\nContent-Length: 0\r\n"));
    assert_false(upstream_saw(stage->upstream, "Content-Type"));
    expect_path(stage, "GET", "/a/../b/./c", EXCHANGE_DONE, 200);
    assert_false(upstream_saw(stage->upstream, "Content-Length"));
    expect_path(stage, "DELETE", "/ok", EXCHANGE_DONE, 200);
}

static void unsound_requests_are_not_taken(void **state)
{
    struct stage *stage = *state;
    static const struct exchange_header headers[] = {
        {"X-A", "b\r\nX-C: d"}, {"X-A", "b\nc"},         {"X-A\r\nB", "c"},
        {"X A", "b"},           {"X-A:", "b"},           {"", "b"},
        {"Host", "a"},          {"content-length", "5"}, {"Expect", "x"},
        {"X-A", "\x01"},        {"X-A", "\x7f"},         {"Transfer-Encoding", "chunked"},
        {"X-\xc3\xa4", "b"},    {"Connection", "close"},
    };
    struct exchange *exchange = NULL;
    struct outcome outcome = {.sink = -1};
    struct exchange_request request = stage_usual("GET", "http://127.0.0.1/");
    request.done = outcome_on_done;
    request.context = &outcome;
    request.sink = -1;
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        request.headers = &headers[i];
        request.n_headers = 1;
        assert_int_equal(exchange_send(stage->pool, &request, &exchange), -EINVAL);
    }
    request.n_headers = 0;
    request.method = "TRACE";
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), -EINVAL);
    request.method = "GET\r\n";
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), -EINVAL);
    struct exchange_header many[EXCHANGE_HEADERS_MAX + 1];
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
        many[i] = (struct exchange_header){"X-A", "b"};
    request.method = "GET";
    request.headers = many;
    request.n_headers = ARRAY_LENGTH(many);
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), -EINVAL);
    assert_int_equal(outcome.calls, 0);
}

static void a_body_that_cannot_be_read_ends_it(void **state)
{
    struct stage *stage = *state;
    char url[500];
    CLEANUP(close_fd) int body = memfd_create("body", MFD_CLOEXEC); /* shorter than said */
    struct exchange_request request = stage_usual("POST", stage_url(stage, "/ok", url));
    request.body = body;
    request.body_bytes = 10;
    expect(stage, request, EXCHANGE_UNREACHABLE, 0, false);
}

/* ---- what comes back ---- */

static void answers_come_whole_whatever_their_status(void **state)
{
    struct stage *stage = *state;
    static const struct {
        const char *path, *body;
        long status;
    } cases[] = {{"/ok", "hello world", 200},
                 {"/busy", "busy", 429},
                 {"/empty", "", 204},
                 {"/chunked", "hello world", 200},
                 {"/until-close", "to the end", 200},
                 {"/interim", "ok", 200},
                 {"/elsewhere", "moved, as it happens", 302},
                 {"/nowhere", "moved", 302}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char url[500];
        CLEANUP(outcome_fini) struct outcome outcome;
        stage_send(stage, stage_usual("POST", stage_url(stage, cases[i].path, url)), &outcome);
        outcome_expect(&outcome, EXCHANGE_DONE, cases[i].status, false);
        outcome_expect_body(&outcome, 0, cases[i].body);
        assert_true(outcome.answer.has_headers);
        assert_int_equal(outcome.answer.retry_after_ms, cases[i].status == 429 ? 7000 : 0);
    }
}

static void headers_are_told_of_the_last_answer(void **state)
{
    struct stage *stage = *state;
    char url[500];
    CLEANUP(outcome_fini) struct outcome interim;
    stage_send(stage, stage_usual("GET", stage_url(stage, "/interim", url)), &interim);
    assert_string_equal(interim.headers, "x-late: a b\ncontent-length: 2\n");
    CLEANUP(outcome_fini) struct outcome chunked;
    stage_send(stage, stage_usual("GET", stage_url(stage, "/chunked", url)), &chunked);
    assert_string_equal(chunked.headers, "transfer-encoding: chunked\n"); /* no trailers */
}

static void headers_are_bounded(void **state)
{
    struct stage *stage = *state;
    char url[500];
    CLEANUP(outcome_fini) struct outcome many;
    stage_send(stage, stage_usual("GET", stage_url(stage, "/many", url)), &many);
    outcome_expect(&many, EXCHANGE_DONE, 200, false);
    assert_int_equal(many.answer.n_headers, EXCHANGE_ANSWER_HEADERS_MAX);
    outcome_expect_body(&many, 0, "ok");
    CLEANUP(outcome_fini) struct outcome flood;
    stage_send(stage, stage_usual("GET", stage_url(stage, "/flood", url)), &flood);
    outcome_expect(&flood, EXCHANGE_UNREACHABLE, 200, false);
    assert_false(flood.answer.has_headers);
    assert_non_null(strstr(flood.note, "headers are too large"));
}

static void broken_answers_are_told(void **state)
{
    struct stage *stage = *state;
    static const char *const paths[] = {"/cut", "/cut-chunk", "/cut-head", "/vanish"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        char url[500];
        CLEANUP(outcome_fini) struct outcome outcome;
        struct exchange_request request = stage_usual("POST", stage_url(stage, paths[i], url));
        request.is_fresh = true;
        stage_send(stage, request, &outcome);
        outcome_expect(&outcome, EXCHANGE_UNREACHABLE, i < 3 ? 200 : 0, false);
        assert_int_equal(outcome.answer.has_headers, i < 2);
        outcome_expect_body(&outcome, 0, i < 2 ? "ten bytes." : "");
    }
}

static void bodies_have_a_ceiling(void **state)
{
    struct stage *stage = *state;
    static const char *const paths[] = {"/ok", "/chunked"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        for (int64_t most = 10; most <= 11; most++) {
            char url[500];
            struct stat sink;
            CLEANUP(outcome_fini) struct outcome outcome;
            struct exchange_request request = stage_usual("GET", stage_url(stage, paths[i], url));
            request.max_bytes = most;
            stage_send(stage, request, &outcome);
            outcome_expect(&outcome, most < 11 ? EXCHANGE_TOO_LARGE : EXCHANGE_DONE, 200, false);
            assert_true(outcome.answer.has_headers);
            assert_int_equal(fstat(outcome.sink, &sink), 0);
            assert_true(sink.st_size <= most);
        }
    }
}

static void downloads_go_on_where_they_were(void **state)
{
    struct stage *stage = *state;
    char url[500];
    CLEANUP(outcome_fini) struct outcome outcome;
    struct exchange_request request = stage_usual("GET", stage_url(stage, "/ok", url));
    request.sink_offset = 5000;
    stage_send(stage, request, &outcome);
    outcome_expect_body(&outcome, 5000, "hello world");
}

static void a_failing_sink_ends_it(void **state)
{
    struct stage *stage = *state;
    char url[500];
    struct outcome outcome = {.loop = stage->loop, .sink = -1};
    struct exchange *exchange = NULL;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct exchange_request request = stage_usual("GET", stage_url(stage, "/ok", url));
    request.sink = ends[1]; /* has no offsets */
    request.done = outcome_on_done;
    request.context = &outcome;
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), 0);
    loop_run(stage->loop);
    outcome_expect(&outcome, EXCHANGE_SINK_FAILED, 200, false);
    request.sink = -1; /* dropped */
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), 0);
    loop_run(stage->loop);
    outcome_expect(&outcome, EXCHANGE_DONE, 200, false);
    assert_int_equal(outcome.answer.body_bytes, 11);
    close(ends[0]);
    close(ends[1]);
}

/* ---- answers that are kept in memory ---- */

struct growth {
    struct outcome outcome;
    int large; /* negative: an errno to fail with */
    int n_asked;
};

static int open_sink(void *context)
{
    struct growth *growth = CONTAINER_OF(context, struct growth, outcome);
    growth->n_asked++;
    return growth->large;
}

static void send_to_small(struct stage *stage, const char *path, int64_t most,
                          struct growth *growth)
{
    char url[500];
    struct exchange *exchange = NULL;
    struct exchange_request request = stage_usual("GET", stage_url(stage, path, url));
    growth->outcome = (struct outcome){.loop = stage->loop, .sink = -1};
    request.sink = -1;
    request.memory_bytes = most;
    request.open_sink = open_sink;
    request.done = outcome_on_done;
    request.context = &growth->outcome;
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), 0);
    loop_run(stage->loop);
}

static void what_is_too_long_for_memory_goes_to_a_sink(void **state)
{
    static const struct {
        const char *path;
        int64_t most;
    } rows[] = {{"/ok", 0}, {"/ok", 10}, {"/chunked", 10}, {"/chunked", 5}, {"/chunked", 3}};
    char bytes[16];
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct growth growth = {.large = memfd_create("large", MFD_CLOEXEC)};
        send_to_small(*state, rows[i].path, rows[i].most, &growth);
        outcome_expect(&growth.outcome, EXCHANGE_DONE, 200, false);
        assert_int_equal(growth.n_asked, 1);
        assert_int_equal(growth.outcome.answer.body_bytes, 11);
        assert_false(growth.outcome.has_body);
        assert_int_equal(pread(growth.large, bytes, sizeof(bytes), 0), 11);
        assert_memory_equal(bytes, "hello world", 11);
        close(growth.large);
    }
}

static void what_is_short_asks_for_no_sink(void **state)
{
    struct growth growth = {.large = -EIO};
    send_to_small(*state, "/chunked", 11, &growth);
    outcome_expect(&growth.outcome, EXCHANGE_DONE, 200, false);
    assert_int_equal(growth.n_asked, 0);
    assert_int_equal(growth.outcome.answer.body_bytes, 11);
    assert_true(growth.outcome.has_body);
    assert_string_equal(growth.outcome.body, "hello world");
}

static void no_sink_is_a_failing_one(void **state)
{
    struct growth growth = {.large = -ENOSPC};
    send_to_small(*state, "/ok", 5, &growth);
    char end[30];
    (void)snprintf(end, sizeof(end), "errno %d", ENOSPC);
    outcome_expect(&growth.outcome, EXCHANGE_SINK_FAILED, 200, false);
    assert_non_null(strstr(growth.outcome.note, end));
    assert_int_equal(growth.n_asked, 1);
}

static void large_bodies_go_both_ways(void **state)
{
    struct stage *stage = *state;
    char url[500];
    static char piece[PIECE_SIZE], wanted[PIECE_SIZE];
    CLEANUP(close_fd) int body = memfd_create("body", MFD_CLOEXEC);
    for (int64_t at = 0; at < LARGE_BYTES; at += PIECE_SIZE) {
        size_t length = LARGE_BYTES - at < PIECE_SIZE ? (size_t)(LARGE_BYTES - at) : PIECE_SIZE;
        pattern_fill(piece, length, at);
        assert_int_equal(pwrite(body, piece, length, at), length);
    }
    struct exchange_request request = stage_usual("POST", stage_url(stage, "/large", url));
    request.body = body;
    request.body_bytes = LARGE_BYTES;
    request.max_bytes = LARGE_BYTES;
    CLEANUP(outcome_fini) struct outcome outcome;
    stage_send(stage, request, &outcome);
    outcome_expect(&outcome, EXCHANGE_DONE, 200, false);
    assert_int_equal(outcome.answer.body_bytes, LARGE_BYTES);
    assert_int_equal(atomic_load(&stage->upstream->n_bodies_good), 1);
    for (int64_t at = 0; at < LARGE_BYTES; at += PIECE_SIZE) {
        size_t length = LARGE_BYTES - at < PIECE_SIZE ? (size_t)(LARGE_BYTES - at) : PIECE_SIZE;
        assert_int_equal(pread(outcome.sink, piece, length, at), length);
        pattern_fill(wanted, length, at);
        assert_memory_equal(piece, wanted, length);
    }
}

struct crowd {
    struct loop *loop;
    int n_good, n_left;
};

static void on_one(void *context, const struct exchange_answer *got)
{
    struct crowd *crowd = context;
    crowd->n_good += got->end == EXCHANGE_DONE && got->status == 200 && got->body_bytes == 11;
    if (--crowd->n_left == 0)
        loop_stop(crowd->loop);
}

static void hundreds_at_once(void **state)
{
    struct stage *stage = *state;
    char url[500];
    struct crowd crowd = {.loop = stage->loop, .n_left = CROWD};
    struct exchange_request request = stage_usual("GET", stage_url(stage, "/crowd", url));
    request.done = on_one;
    request.context = &crowd;
    request.sink = -1;
    for (int i = 0; i < CROWD; i++) {
        struct exchange *exchange = NULL;
        request.is_fresh = i % 2 == 0;
        assert_int_equal(exchange_send(stage->pool, &request, &exchange), 0);
    }
    loop_run(stage->loop);
    assert_int_equal(crowd.n_good, CROWD);
    assert_int_equal(atomic_load(&stage->upstream->n_connections), CROWD);
}

static void stopped_requests_call_nobody(void **state)
{
    struct stage *stage = *state;
    char url[500];
    struct outcome outcome = {.sink = -1};
    struct exchange *exchange = NULL;
    struct exchange_request request = stage_usual("POST", stage_url(stage, "/mute", url));
    request.done = outcome_on_done;
    request.context = &outcome;
    request.sink = -1;
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), 0);
    while (atomic_load(&stage->upstream->n_requests) == 0)
        loop_turn(stage->loop, 10);
    assert_null(exchange_stop(exchange));
    request.url = "http://"; /* one whose refusal waits */
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), 0);
    assert_null(exchange_stop(exchange));
    assert_int_equal(exchange_send(stage->pool, &request, &exchange), 0); /* ends with the pool */
    assert_int_equal(outcome.calls, 0);
}

/* ---- redirects ---- */

static struct exchange_request redirected(const char *method, const char *url, int most)
{
    static const struct exchange_header headers[] = {{"X-Api-Key", "secret"},
                                                     {"Authorization", "secret"},
                                                     {"Cookie", "secret"},
                                                     {"X-Open", "yes"}};
    static const char *const secrets[] = {"x-api-key", NULL};
    struct exchange_request request = stage_usual(method, url);
    request.headers = headers;
    request.n_headers = ARRAY_LENGTH(headers);
    request.secrets = secrets;
    request.max_redirects = most;
    return request;
}

static void redirects_are_followed_as_far_as_told(void **state)
{
    struct stage *stage = *state;
    char url[500];
    CLEANUP(outcome_fini) struct outcome outcome;
    stage_send(stage, redirected("GET", stage_url(stage, "/elsewhere", url), 1), &outcome);
    outcome_expect(&outcome, EXCHANGE_DONE, 200, false);
    outcome_expect_body(&outcome, 0, "hello world");
    assert_int_equal(atomic_load(&stage->upstream->n_requests), 2);
    assert_true(upstream_saw(stage->upstream, "X-Api-Key: secret")); /* the same origin */

    upstream_forget(stage->upstream);
    expect(stage, redirected("GET", stage_url(stage, "/round", url), 3), EXCHANGE_REDIRECTS, 307,
           false);
    assert_int_equal(atomic_load(&stage->upstream->n_requests), 4);
    expect(stage, redirected("GET", stage_url(stage, "/to-file", url), 3), EXCHANGE_FORBIDDEN, 302,
           false);
    expect(stage, redirected("GET", stage_url(stage, "/to-user", url), 3), EXCHANGE_FORBIDDEN, 302,
           false);
    expect(stage, redirected("GET", stage_url(stage, "/nowhere", url), 3), EXCHANGE_DONE, 302,
           false);
}

static void only_a_get_is_redirected(void **state)
{
    struct stage *stage = *state;
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        char url[500];
        upstream_forget(stage->upstream);
        CLEANUP(outcome_fini) struct outcome outcome;
        stage_send(stage, redirected(methods[i], stage_url(stage, "/elsewhere", url), 5), &outcome);
        outcome_expect(&outcome, EXCHANGE_DONE, 302, false);
        outcome_expect_body(&outcome, 0, "moved, as it happens");
        assert_int_equal(atomic_load(&stage->upstream->n_requests), 1);
    }
}

static void secrets_stay_at_their_origin(void **state)
{
    struct stage *stage = *state;
    char url[500];
    struct upstream *other = upstream_open(answer, NULL);
    stage->upstream->other_port = other->port;
    other->other_port = stage->upstream->port;
    CLEANUP(outcome_fini) struct outcome outcome;
    stage_send(stage, redirected("GET", stage_url(stage, "/to-other", url), 3), &outcome);
    outcome_expect(&outcome, EXCHANGE_DONE, 200, false);
    assert_non_null(strcasestr(stage->upstream->first_head, "X-Api-Key: secret"));
    assert_true(upstream_saw(other, "GET /back "));
    assert_true(upstream_saw(other, "X-Open: yes"));
    assert_false(upstream_saw(other, "secret"));
    /* Back at home it was a stranger who sent us: they stay behind. */
    assert_true(upstream_saw(stage->upstream, "GET /ok "));
    assert_true(upstream_saw(stage->upstream, "X-Open: yes"));
    assert_false(upstream_saw(stage->upstream, "secret"));
    /* Nor do they join in when the stranger redirects within his own origin. */
    expect(stage, redirected("GET", stage_url(stage, "/far", url), 3), EXCHANGE_DONE, 200, false);
    assert_true(upstream_saw(other, "GET /ok "));
    assert_true(upstream_saw(other, "X-Open: yes"));
    assert_false(upstream_saw(other, "secret"));
    (void)upstream_close(other);
}

static void redirects_do_not_lead_past_the_guard(void **state)
{
    struct stage *stage = *state;
    char url[500];
    char entry[40];
    char error[200];
    const char *allow[] = {entry};
    struct guard *guard = NULL;
    struct upstream *other = upstream_open(answer, NULL);
    stage->upstream->other_port = other->port;
    snprintf(entry, sizeof(entry), "127.0.0.1:%u", stage->upstream->port);
    assert_true(guard_new(allow, 1, &guard, error));
    struct exchange_request request = redirected("GET", stage_url(stage, "/to-other", url), 3);
    request.guard = guard;
    expect(stage, request, EXCHANGE_FORBIDDEN, 0, false);
    assert_int_equal(atomic_load(&other->n_connections), 0);
    (void)upstream_close(other);
    guard = guard_free(guard);
}

/* Whom the operator has named goes anywhere, but sends us only where the guard lets us, and past no connection that is
 * there already. */
static void a_redirect_away_is_guarded(void **state)
{
    struct stage *stage = *state;
    char url[500], entry[40], error[200];
    const char *allow[] = {entry};
    struct guard *strict = NULL, *lenient = NULL;
    struct upstream *other = upstream_open(answer, NULL);
    stage->upstream->other_port = other->port;
    other->other_port = stage->upstream->port;
    snprintf(entry, sizeof(entry), "127.0.0.1");
    assert_true(guard_new(NULL, 0, &strict, error) && guard_new(allow, 1, &lenient, error));
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/ok", other->port);
    expect(stage, redirected("GET", url, 0), EXCHANGE_DONE, 200, false); /* its connection stays */
    int n_before = atomic_load(&other->n_requests);

    struct exchange_request request = redirected("GET", stage_url(stage, "/elsewhere", url), 3);
    request.guard_away = strict;
    expect(stage, request, EXCHANGE_DONE, 200, false);
    request.url = stage_url(stage, "/to-other", url);
    expect(stage, request, EXCHANGE_FORBIDDEN, 0, false);
    assert_int_equal(atomic_load(&other->n_requests), n_before);
    request.guard_away = lenient;
    expect(stage, request, EXCHANGE_DONE, 200, false);
    (void)upstream_close(other);
    strict = guard_free(strict);
    lenient = guard_free(lenient);
}

/* ---- how long to wait ---- */

static void wishes_to_wait_are_understood(void **state)
{
    (void)state;
    enum { NOW_S = 1759763426 }; /* Mon, 06 Oct 2025 15:10:26 GMT */
    static const struct {
        const char *lines;
        int64_t ms;
    } cases[] = {
        {"X: 1\r\n", 0},
        {"Retry-After: 0\r\n", 0},
        {"Retry-After: 120\r\n", 120000},
        {"Retry-After:  1.5 \r\n", 1500},
        {"retry-after-ms: 250\r\nRetry-After: 9\r\n", 250},
        {"retry-after-ms: 0.5\r\n", 1},
        {"retry-after-ms: soon\r\nRetry-After: 9\r\n", 9000},
        {"Retry-After: -5\r\n", 0},
        {"Retry-After: soon\r\n", 0},
        {"Retry-After: 5 minutes\r\n", 0},
        {"Retry-After:\r\n", 0},
        {"Retry-After: 99999999999999999999999\r\n", (int64_t)EXCHANGE_RETRY_MAX_S * 1000},
        {"Retry-After: Mon, 06 Oct 2025 15:11:26 GMT\r\n", 60000},
        {"Retry-After: Mon, 06 Oct 2025 15:09:26 GMT\r\n", 0},
        {"Retry-After: Mon, 06 Oct 2098 15:09:26 GMT\r\n", (int64_t)EXCHANGE_RETRY_MAX_S * 1000},
        {"Retry-After: Mon, 06 Oct 2025 15:11:26 GMT\r\nDate: Mon, 06 Oct 2025 15:11:16 GMT\r\n",
         10000},
        {"Retry-After: Monday, 06-Oct-25 15:11:26 GMT\r\n", 60000},
        {"Retry-After: 20251006 15:11:26\r\n", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct exchange_head head = {0};
        exchange_head_line(&head, "HTTP/1.1 429 Slow\r\n", 19);
        for (const char *at = cases[i].lines; *at != '\0'; at = strchr(at, '\n') + 1)
            exchange_head_line(&head, at, (size_t)(strchr(at, '\n') + 1 - at));
        exchange_head_line(&head, "\r\n", 2);
        assert_true(head.is_whole && head.status == 429);
        if (exchange_head_retry_after_ms(&head, NOW_S) != cases[i].ms)
            fail_msg("%s means %lld ms", cases[i].lines,
                     (long long)exchange_head_retry_after_ms(&head, NOW_S));
        exchange_head_fini(&head);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_submit_is_sent_once),
        CASE(a_submit_leaves_no_connection_behind),
        CASE(polls_share_connections),
        CASE(guarded_requests_meet_no_kept_connection),
        CASE(what_was_read_was_sent),
        CASE(what_met_nobody_was_never_sent),
        CASE(a_mute_name_server_holds_nobody_up),
        CASE(requests_say_what_they_are_told),
        CASE(empty_requests_say_so),
        CASE(unsound_requests_are_not_taken),
        CASE(a_body_that_cannot_be_read_ends_it),
        CASE(answers_come_whole_whatever_their_status),
        CASE(headers_are_told_of_the_last_answer),
        CASE(headers_are_bounded),
        CASE(broken_answers_are_told),
        CASE(bodies_have_a_ceiling),
        CASE(downloads_go_on_where_they_were),
        CASE(a_failing_sink_ends_it),
        CASE(what_is_too_long_for_memory_goes_to_a_sink),
        CASE(what_is_short_asks_for_no_sink),
        CASE(no_sink_is_a_failing_one),
        CASE(large_bodies_go_both_ways),
        CASE(hundreds_at_once),
        CASE(stopped_requests_call_nobody),
        CASE(redirects_are_followed_as_far_as_told),
        CASE(only_a_get_is_redirected),
        CASE(secrets_stay_at_their_origin),
        CASE(redirects_do_not_lead_past_the_guard),
        CASE(a_redirect_away_is_guarded),
        cmocka_unit_test(wishes_to_wait_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
