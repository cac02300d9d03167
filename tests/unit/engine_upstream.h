/* SPDX-License-Identifier: Apache-2.0
 *
 * A stage for one attempt at an upstream, on which nothing takes time: doubles of the loop, the clock, the adapter's
 * helper, exchanges, input images and the store of results take the place of the real ones at link time. What they
 * do stands in a script, a turn for each time that one of them is asked; a turn of another kind than the one that comes
 * fails the test. What was asked is kept as text. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/dialogue.h"
#include "engine/inputs.h"
#include "engine/result.h"

enum {
    TURNS_MAX = 40,
    TIMERS_MAX = 8,
    ASKED_MAX = 4096,
    SPOOLS_MAX = 64,
    FILES_MAX = 256,
    BODY_MAX = 2 * ADAPTER_BLOB_LEAST,
    START_MS = 1000000,
    WALL_MS = 1700000000, /* more than the other clock, in ms */
};

enum turn_kind {
    TURN_NONE, /* the script is at its end */
    /* the adapter: */
    TURN_SAYS,   /* `text`: JSON */
    TURN_FAULTY, /* the program fails */
    TURN_KILLED, /* its helper is killed */
    TURN_DEAF,   /* it cannot be asked: `fault` */
    /* exchanges: */
    TURN_ANSWERS,
    TURN_UNSENT, /* it cannot be begun: `fault` */
    /* input images: */
    TURN_IMAGES, /* `failure` NONE: they are there */
    /* the store of results: */
    TURN_STORES,
};

struct turn {
    enum turn_kind kind;
    const char *text; /* SAYS; the body that ANSWERS; note of what failed */
    enum exchange_end end;
    long status;
    bool was_never_sent;
    int64_t retry_after_ms;
    const char *header, *value; /* ANSWERS: one; NULL: none */
    enum task_failure failure;
    bool may_retry;
    const char *blob; /* SAYS: what was cut out of the answer, NULL: nothing */
    size_t length;    /* ANSWERS: at least so many bytes, a pattern after `text` */
    int fault;
};

#define SAYS(json)                                                                                 \
    {                                                                                              \
        .kind = TURN_SAYS, .text = (json)                                                          \
    }
#define FAULTY                                                                                     \
    {                                                                                              \
        .kind = TURN_FAULTY                                                                        \
    }
#define KILLED                                                                                     \
    {                                                                                              \
        .kind = TURN_KILLED                                                                        \
    }
#define DEAF                                                                                       \
    {                                                                                              \
        .kind = TURN_DEAF, .fault = -EMSGSIZE                                                      \
    }
/* Too many wait for it. */
#define FULL                                                                                       \
    {                                                                                              \
        .kind = TURN_DEAF, .fault = -EAGAIN                                                        \
    }
#define ANSWERS(code)                                                                              \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = (code), .text = "{}"                                       \
    }
#define ANSWERS_LONG(code, bytes)                                                                  \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = (code), .text = "{}", .length = (bytes)                    \
    }
#define ANSWERS_LATER(code, ms)                                                                    \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = (code), .text = "{}", .retry_after_ms = (ms)               \
    }
#define BREAKS(how)                                                                                \
    {                                                                                              \
        .kind = TURN_ANSWERS, .end = EXCHANGE_##how, .text = ""                                    \
    }
#define NEVER_LEAVES                                                                               \
    {                                                                                              \
        .kind = TURN_ANSWERS, .end = EXCHANGE_UNREACHABLE, .text = "", .was_never_sent = true      \
    }
#define UNSENT                                                                                     \
    {                                                                                              \
        .kind = TURN_UNSENT, .fault = -EINVAL                                                      \
    }
/* Too many are under way. */
#define CROWDED                                                                                    \
    {                                                                                              \
        .kind = TURN_UNSENT, .fault = -EAGAIN                                                      \
    }

/* What stands under the names that the headers leave open. */
struct adapter {
    char nothing;
};

struct adapter_call {
    struct adapter_input input;
    struct turn turn;
};

struct exchange {
    struct exchange_request request;
    struct turn turn;
};

struct inputs {
    struct inputs_handler handler;
    struct turn turn;
    uint64_t wanted;
    int file;
};

struct result {
    struct result_handler handler;
    struct turn turn;
};

/* There is no context by which the calls could bring it along. */
static struct {
    const struct turn *turns;
    size_t n_turns, at;
    int64_t now_ms;
    struct loop_timer *timers[TIMERS_MAX];
    size_t n_timers;
    struct loop_job *posted;
    struct adapter_call *call;
    struct exchange *exchange;
    struct inputs *inputs;
    struct result *result;
    int n_exchanges, n_fresh;
    bool has_no_spool;
    bool is_within; /* a call of what is tested: nothing may be told */
    int spools[SPOOLS_MAX];
    size_t n_spools;
    int n_files;              /* that were open before */
    int result_source;        /* of the last result */
    char asked[ASKED_MAX];    /* functions of the adapter: `name(step, keep, status) ` */
    char sent[ASKED_MAX];     /* `METHOD url header=value … body|` */
    char last_body[BODY_MAX]; /* what the adapter saw of the last answer */
} stage;

static inline int count_files(void)
{
    int n_files = 0;
    for (int fd = 0; fd < FILES_MAX; fd++) {
        n_files += fcntl(fd, F_GETFD) >= 0;
    }
    return n_files;
}

static inline void play(const struct turn *turns)
{
    size_t n_turns = 0;
    memset(&stage, 0, sizeof stage);
    while (n_turns < TURNS_MAX && turns[n_turns].kind != TURN_NONE) {
        n_turns++;
    }
    stage.turns = turns;
    stage.n_turns = n_turns;
    stage.now_ms = START_MS;
    stage.n_files = count_files();
}

static inline bool is_turn_of(enum turn_kind least, enum turn_kind most)
{
    return stage.at < stage.n_turns && stage.turns[stage.at].kind >= least &&
           stage.turns[stage.at].kind <= most;
}

static inline struct turn next_turn(const char *who, enum turn_kind least, enum turn_kind most)
{
    if (!is_turn_of(least, most)) {
        fail_msg("%s: turn %zu of %zu is not for it", who, stage.at, stage.n_turns);
    }
    return stage.turns[stage.at++];
}

static inline void note(char text[ASKED_MAX], const char *format, ...) PRINTF_LIKE(2, 3);

static inline void note(char text[ASKED_MAX], const char *format, ...)
{
    size_t length = strlen(text);
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text + length, ASKED_MAX - length, format, values);
    va_end(values);
}

static inline void read_all(int fd, int64_t bytes, char *text, int64_t size)
{
    must(bytes < size);
    ssize_t length = fd >= 0 && bytes > 0 ? pread(fd, text, (size_t)bytes, 0) : 0;
    must(length >= 0);
    text[length] = '\0';
}

/* ---- clock and loop ---- */

int64_t clock_mono_ms(void)
{
    return stage.now_ms;
}

int64_t clock_wall_ms(void)
{
    return WALL_MS + stage.now_ms;
}

int64_t clock_wall_micros(void)
{
    return clock_wall_ms() * 1000;
}

void clock_iso_micros(int64_t micros, char ret_text[CLOCK_ISO_MICROS_SIZE])
{
    (void)micros;
    ret_text[0] = '\0';
}

void clock_iso_seconds(int64_t seconds, char ret_text[CLOCK_ISO_SECONDS_SIZE])
{
    struct tm tm;
    const time_t when = (time_t)seconds;
    must(strftime(ret_text, CLOCK_ISO_SECONDS_SIZE, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &tm)) >
         0);
}

void loop_disarm(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    for (size_t i = 0; i < stage.n_timers; i++) {
        if (stage.timers[i] == timer) {
            stage.timers[i] = stage.timers[--stage.n_timers];
            return;
        }
    }
}

void loop_arm(struct loop *loop, struct loop_timer *timer, int64_t delay_ms)
{
    loop_disarm(loop, timer);
    must(stage.n_timers < TIMERS_MAX && delay_ms >= 0);
    timer->due_ms = stage.now_ms + delay_ms;
    stage.timers[stage.n_timers++] = timer;
}

bool loop_is_armed(const struct loop_timer *timer)
{
    for (size_t i = 0; i < stage.n_timers; i++) {
        if (stage.timers[i] == timer) {
            return true;
        }
    }
    return false;
}

/* One at a time; it waits until the test runs it. */
void loop_post(struct loop *loop, struct loop_job *job)
{
    (void)loop;
    must(stage.posted == NULL);
    stage.posted = job;
}

static inline struct loop_timer *first_timer(void)
{
    struct loop_timer *first = NULL;
    for (size_t i = 0; i < stage.n_timers; i++) {
        if (!first || stage.timers[i]->due_ms < first->due_ms) {
            first = stage.timers[i];
        }
    }
    return first;
}

/* ---- the adapter ---- */

const char *adapter_name(const struct adapter *adapter)
{
    (void)adapter;
    return "vendor";
}

const char *adapter_text(const struct adapter *adapter)
{
    (void)adapter;
    return "";
}

static inline void note_call(const struct adapter_input *input)
{
    CLEANUP(free_pointer)
    char *keep = json_dumps(json_object_get(input->input, "keep"), JSON_ENCODE_ANY);
    note(stage.asked, "%s(%lld, %s", input->function, json_int(input->input, "step", -1), keep);
    if (json_object_get(input->input, "status")) {
        note(stage.asked, ", %lld", json_int(input->input, "status", -1));
    }
    if (json_text(input->input, "job")) {
        note(stage.asked, ", %s", json_text(input->input, "job"));
    }
    if (json_text(input->input, "state")) {
        note(stage.asked, ", %s", json_text(input->input, "state"));
    }
    note(stage.asked, ") ");
}

int adapter_call(struct adapter_host *host, const struct adapter_input *input,
                 struct adapter_call **ret_call)
{
    (void)host;
    note_call(input);
    must(!input->bytes || input->body < 0);
    if (input->bytes) {
        must(input->body_bytes < BODY_MAX);
        memcpy(stage.last_body, input->bytes, (size_t)input->body_bytes);
        stage.last_body[input->body_bytes] = '\0';
    } else {
        read_all(input->body, input->body_bytes, stage.last_body, BODY_MAX);
    }
    struct turn turn = next_turn(input->function, TURN_SAYS, TURN_DEAF);
    if (turn.kind == TURN_DEAF) {
        /* never while an answer is in hand */
        must(turn.fault != -EAGAIN || (input->body < 0 && !input->bytes));
        return turn.fault;
    }
    must(!stage.call);
    stage.call = must_calloc(1, sizeof *stage.call);
    stage.call->input = *input;
    stage.call->turn = turn;
    *ret_call = stage.call;
    return 0;
}

struct adapter_call *adapter_call_stop(struct adapter_call *call)
{
    if (call) {
        must(call == stage.call);
        stage.call = NULL;
        free(call);
    }
    return NULL;
}

static inline void end_call(void)
{
    struct adapter_call *call = TAKE(stage.call);
    const struct turn *turn = &call->turn;
    CLEANUP(json_unref_pointer)
    json_t *result = turn->kind == TURN_SAYS ? json_loads(turn->text, JSON_DECODE_ANY, NULL) : NULL;
    must(result || turn->kind != TURN_SAYS);
    struct adapter_outcome outcome = {.result = result};
    if (turn->kind == TURN_FAULTY) {
        outcome.fault = "adapter \"vendor\", line 3: it fails";
    }
    if (turn->kind == TURN_KILLED) {
        outcome.fault = "adapter \"vendor\": its helper crashed (signal 9)";
        outcome.is_passing = true;
    }
    if (turn->blob && call->input.blobs >= 0) {
        ssize_t length = (ssize_t)strlen(turn->blob);
        must(pwrite(call->input.blobs, turn->blob, (size_t)length, 0) == length);
        outcome.blobs[0].bytes = length;
        outcome.n_blobs = 1;
    }
    struct adapter_input input = call->input;
    free(call);
    input.done(input.context, &outcome);
}

/* ---- exchanges ---- */

static inline void note_sent(const struct exchange_request *request)
{
    char body[ASKED_MAX];
    read_all(request->body, request->body_bytes, body, ASKED_MAX);
    note(stage.sent, "%s %s", request->method, request->url);
    for (size_t i = 0; i < request->n_headers; i++) {
        note(stage.sent, " %s=%s", request->headers[i].name, request->headers[i].value);
    }
    note(stage.sent, "%s%s%s|", body[0] ? " " : "", body, request->guard ? " guarded" : "");
}

int exchange_send(struct exchange_pool *pool, const struct exchange_request *request,
                  struct exchange **ret_exchange)
{
    (void)pool;
    struct turn turn = next_turn(request->url, TURN_ANSWERS, TURN_UNSENT);
    must(request->max_bytes > 0); /* as the real one */
    must(request->max_redirects == 0 || request->guard_away != NULL);
    note_sent(request);
    if (turn.kind == TURN_UNSENT) {
        return turn.fault;
    }
    must(!stage.exchange);
    stage.n_exchanges++;
    stage.n_fresh += request->is_fresh;
    stage.exchange = must_calloc(1, sizeof *stage.exchange);
    stage.exchange->request = *request;
    stage.exchange->turn = turn;
    *ret_exchange = stage.exchange;
    return 0;
}

struct exchange *exchange_stop(struct exchange *exchange)
{
    if (exchange) {
        must(exchange == stage.exchange);
        stage.exchange = NULL;
        free(exchange);
    }
    return NULL;
}

/* What comes back; its length. */
static inline size_t body_of(const struct turn *turn, char text[BODY_MAX])
{
    size_t length = strlen(turn->text);
    must(length < BODY_MAX && turn->length < BODY_MAX);
    memcpy(text, turn->text, length);
    for (; length < turn->length; length++) {
        text[length] = (char)('a' + length % 23);
    }
    text[length] = '\0';
    return length;
}

/* For what is no small answer a sink is asked for once, as it is by the real one. */
static inline bool write_answer(const struct exchange_request *request, const char *text,
                                size_t length)
{
    int sink = request->open_sink ? request->open_sink(request->context) : request->sink;
    return length == 0 ||
           (sink >= 0 && pwrite(sink, text, length, request->sink_offset) == (ssize_t)length);
}

static inline void end_exchange(void)
{
    struct exchange *exchange = TAKE(stage.exchange);
    const struct turn *turn = &exchange->turn;
    const struct exchange_request *request = &exchange->request;
    const struct exchange_header header = {turn->header, turn->value};
    char text[BODY_MAX];
    size_t length = body_of(turn, text);
    const bool is_small = request->open_sink && (int64_t)length <= request->memory_bytes;
    bool is_written = is_small || write_answer(request, text, length);
    const struct exchange_answer answer = {
        .end = is_written ? turn->end : EXCHANGE_SINK_FAILED,
        .status = turn->status,
        .was_never_sent = turn->was_never_sent,
        .has_headers = turn->status > 0,
        .body_bytes = (int64_t)length,
        .body = is_small ? text : NULL,
        .headers = &header,
        .n_headers = turn->header != NULL,
        .retry_after_ms = turn->retry_after_ms,
        .note = is_written && turn->end == EXCHANGE_DONE ? "" : "it broke off",
    };
    void (*done)(void *, const struct exchange_answer *) = request->done;
    void *context = request->context;
    done(context, &answer);
    explicit_bzero(text, sizeof text); /* it was borrowed */
    free(exchange);
}

/* ---- files, images, results ---- */

int asset_spool_file(struct asset_store *store, int *ret_fd)
{
    (void)store;
    if (stage.has_no_spool) {
        return -ENOSPC;
    }
    int fd = memfd_create("spool", MFD_CLOEXEC);
    must(fd >= 0 && stage.n_spools < SPOOLS_MAX);
    stage.spools[stage.n_spools++] = fd;
    *ret_fd = fd;
    return 0;
}

struct inputs *inputs_start(const struct engine_room *room, const struct task *task,
                            uint64_t wanted, const struct inputs_handler *handler)
{
    (void)room, (void)task;
    must(!stage.inputs);
    stage.inputs = must_calloc(1, sizeof *stage.inputs);
    *stage.inputs = (struct inputs){*handler, next_turn("images", TURN_IMAGES, TURN_IMAGES), wanted,
                                    memfd_create("image", MFD_CLOEXEC)};
    must(pwrite(stage.inputs->file, "png", 3, 0) == 3);
    return stage.inputs;
}

int inputs_file(const struct inputs *inputs, size_t index)
{
    return inputs->wanted >> index & 1 ? inputs->file : -1;
}

const char *inputs_type(const struct inputs *inputs, size_t index, int64_t *ret_bytes)
{
    (void)inputs, (void)index;
    *ret_bytes = 3;
    return "image/png";
}

struct inputs *inputs_stop(struct inputs *inputs)
{
    if (inputs) {
        must(inputs == stage.inputs);
        stage.inputs = NULL;
        close_fd(&inputs->file);
        free(inputs);
    }
    return NULL;
}

struct result *result_start(const struct engine_room *room, const struct task *task, int source,
                            const struct result_handler *handler)
{
    (void)room, (void)task;
    must(!stage.result);
    stage.result = must_calloc(1, sizeof *stage.result);
    *stage.result = (struct result){*handler, next_turn("result", TURN_STORES, TURN_STORES)};
    read_all(source, lseek(source, 0, SEEK_END), stage.last_body, BODY_MAX);
    return stage.result;
}

struct result *result_stop(struct result *result, bool is_kept)
{
    (void)is_kept;
    if (result) {
        must(result == stage.result);
        stage.result = NULL;
        free(result);
    }
    return NULL;
}

/* ---- playing ---- */

/* Both stay with their owner, who stops them. */
static inline bool end_image_or_result(void)
{
    struct turn turn;
    if (stage.inputs && stage.inputs->turn.kind != TURN_NONE) {
        turn = stage.inputs->turn;
        stage.inputs->turn.kind = TURN_NONE;
        stage.inputs->handler.done(stage.inputs->handler.context, turn.failure, turn.may_retry,
                                   turn.text);
        return true;
    }
    if (stage.result && stage.result->turn.kind != TURN_NONE) {
        static const struct task_result stored = {.generation_id = "gen_1", .width = 352};
        turn = stage.result->turn;
        stage.result->turn.kind = TURN_NONE;
        const struct result_outcome outcome = {
            .result = turn.failure == TASK_FAILURE_NONE ? &stored : NULL,
            .failure = turn.failure,
            .may_retry = turn.may_retry,
            .note = turn.text,
            .reason = "making variants failed (bad_video)",
        };
        stage.result->handler.done(stage.result->handler.context, &outcome);
        return true;
    }
    return false;
}

/* Does one thing that is under way; what waits for its time comes last, and its time comes at once. False: nothing is. */
static inline bool go_on(void)
{
    struct loop_timer *timer = first_timer();
    if (stage.call) {
        end_call();
    } else if (stage.exchange) {
        end_exchange();
    } else if (end_image_or_result()) {
        return true;
    } else if (timer) {
        stage.now_ms = timer->due_ms > stage.now_ms ? timer->due_ms : stage.now_ms;
        loop_disarm(NULL, timer);
        timer->fire(timer);
    } else {
        return false;
    }
    return true;
}

/* Goes on until the script is at its end, and nothing is under way but what waits for its time. */
static inline void play_out(void)
{
    const struct loop_timer *timer = NULL;
    do {
        timer = first_timer();
        bool is_due = timer && (timer->due_ms <= stage.now_ms || stage.at < stage.n_turns);
        bool is_under_way = stage.call || stage.exchange ||
                            (stage.inputs && stage.inputs->turn.kind != TURN_NONE) ||
                            (stage.result && stage.result->turn.kind != TURN_NONE);
        if (!is_due && !is_under_way) {
            return;
        }
    } while (go_on());
}

/* Nothing of the stage is held any more. */
static inline void assert_stage_is_empty(void)
{
    assert_null(stage.call);
    assert_null(stage.exchange);
    assert_null(stage.inputs);
    assert_null(stage.result);
    assert_int_equal(stage.n_timers, 0);
    assert_int_equal(count_files(), stage.n_files);
}
