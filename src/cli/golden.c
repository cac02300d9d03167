/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the cases of a golden file one after the other through a real helper, as the engine would. One thread, with a
 * loop of its own. */
#include "cli/golden.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"

enum {
    FILE_MAX = 16 * 1024 * 1024,
    BASE64_MAX = 64 * 1024 * 1024, /* characters that "$base64" stands for */
    TURN_MS = 100,
    REAP_MS = 5000,
};

/* Always NULL. */
static void *PRINTF_LIKE(2, 3) refuse(char ret_error[GOLDEN_ERROR_SIZE], const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(ret_error, GOLDEN_ERROR_SIZE, format, values);
    va_end(values);
    return NULL;
}

/* ---- reading ---- */

static const char *const FUNCTIONS[] = {"about",  "submit", "submitted", "poll",
                                        "polled", "cancel", "cancelled"};

static bool is_function(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(FUNCTIONS); i++) {
        if (strcmp(FUNCTIONS[i], name) == 0)
            return true;
    }
    return false;
}

static bool takes_answer(const char *function)
{
    return strcmp(function, "submitted") == 0 || strcmp(function, "polled") == 0 ||
           strcmp(function, "cancelled") == 0;
}

/* What is wrong with a case; NULL: nothing. */
static const char *check_case(const json_t *entry)
{
    const char *function = json_text(entry, "function");
    const json_t *input = json_object_get(entry, "input");
    const json_t *answer = json_object_get(entry, "answer");
    bool has_output = json_object_get(entry, "output") != NULL;
    if (!json_text(entry, "name"))
        return "it has no \"name\"";
    if (!json_text(entry, "source"))
        return "it has no \"source\": say where the fact is from";
    if (!function || !is_function(function))
        return "its \"function\" is none of about, submit, submitted, poll, polled, cancel, "
               "cancelled";
    if (input && !json_is_object(input))
        return "its \"input\" is no object";
    if (takes_answer(function) != (answer != NULL))
        return answer ? "only submitted, polled and cancelled take an \"answer\""
                      : "it has no \"answer\"";
    if (answer && (!json_is_object(answer) ||
                   (json_object_get(answer, "body") && json_object_get(answer, "text"))))
        return "its \"answer\" is no object, or has both \"body\" and \"text\"";
    if (has_output == (json_text(entry, "fault") != NULL))
        return "it needs either an \"output\" or a \"fault\"";
    return NULL;
}

static json_t *read_json(const char *path, char ret_error[GOLDEN_ERROR_SIZE])
{
    struct stat status;
    json_error_t error;
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0)
        return refuse(ret_error, "%.150s cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX)
        return refuse(ret_error, "%.150s is no plain file of at most 16 MiB", path);
    json_t *json = json_loadfd(fd, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return refuse(ret_error, "%.100s:%d: %.100s", path, error.line, error.text);
    return json;
}

json_t *golden_read(const char *path, const char *adapter, char ret_error[GOLDEN_ERROR_SIZE])
{
    json_t *golden = read_json(path, ret_error);
    if (!golden)
        return NULL;
    const char *whose = json_text(golden, "adapter");
    const json_t *cases = json_object_get(golden, "cases");
    const json_t *task = json_object_get(golden, "task");
    const char *problem = NULL;
    size_t i = 0;
    for (; i < json_array_size(cases) && !problem; i++)
        problem = check_case(json_array_get(cases, i));
    if (!whose || strcmp(whose, adapter) != 0)
        (void)refuse(ret_error, "%.150s is for the adapter \"%.40s\", not for \"%s\"", path,
                     whose ? whose : "", adapter);
    else if (json_array_size(cases) == 0)
        (void)refuse(ret_error, "%.150s has no list of \"cases\"", path);
    else if (task && !json_is_object(task))
        (void)refuse(ret_error, "%.150s: \"task\" is no object", path);
    else if (problem)
        (void)refuse(ret_error, "%.120s: case %zu: %s", path, i, problem);
    else
        return golden;
    json_decref(golden);
    return NULL;
}

/* ---- what a case sends ---- */

static json_t *write_base64(const json_t *order)
{
    const char *before = json_text(order, "before");
    json_int_t n = json_integer_value(json_object_get(order, "$base64"));
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, BASE64_MAX);
    buf_puts(&text, before ? before : "");
    for (json_int_t i = 0; i < n && !text.overflowed; i++)
        buf_putc(&text, 'A');
    return json_string(buf_text(&text));
}

/* In place: {"$base64": n, "before": text} becomes a text of that many letters. */
static json_t *expand(json_t *json)
{
    const char *name;
    json_t *value;
    void *next;
    if (json_is_integer(json_object_get(json, "$base64"))) {
        json_t *text = write_base64(json);
        json_decref(json);
        return text;
    }
    for (size_t i = 0; i < json_array_size(json); i++)
        (void)json_array_set_new(json, i, expand(json_incref(json_array_get(json, i))));
    json_object_foreach_safe(json, next, name, value)
    {
        (void)json_object_set_new(json, name, expand(json_incref(value)));
    }
    return json;
}

/* The body of an answer in a file of its own; -1 when it is empty. */
static int write_body(const json_t *answer, int64_t *ret_bytes)
{
    const json_t *body = json_object_get(answer, "body");
    const char *text = json_text(answer, "text");
    CLEANUP(free_pointer) char *dumped = NULL;
    if (body) {
        CLEANUP(json_unref_pointer) json_t *expanded = expand(json_deep_copy(body));
        dumped = json_dumps(expanded, JSON_ENCODE_ANY | JSON_WRITE_FLAGS);
        text = dumped;
    }
    *ret_bytes = text ? (int64_t)strlen(text) : 0;
    if (*ret_bytes == 0)
        return -1;
    int fd = memfd_create("golden", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, text, (size_t)*ret_bytes) == *ret_bytes);
    return fd;
}

static void fill_in(json_t *input, const char *name, json_t *value)
{
    if (json_object_get(input, name))
        json_decref(value);
    else
        json_set(input, name, value);
}

/* The whole input of a case; NULL for `about`. */
static json_t *make_input(const json_t *golden, const json_t *entry)
{
    const char *function = json_text(entry, "function");
    const json_t *answer = json_object_get(entry, "answer");
    if (strcmp(function, "about") == 0)
        return NULL;
    json_t *input = json_deep_copy(json_object_get(entry, "input"));
    if (!input)
        input = json_object();
    json_t *task = json_deep_copy(json_object_get(golden, "task"));
    if (task && json_is_object(json_object_get(input, "task")))
        (void)json_object_update(task, json_object_get(input, "task"));
    if (task)
        json_set(input, "task", task);
    fill_in(input, "keep", json_null());
    fill_in(input, "step", json_integer(0));
    if (strcmp(function, "cancel") == 0)
        fill_in(input, "state", json_string("pending"));
    if (answer) {
        const json_t *headers = json_object_get(answer, "headers");
        fill_in(input, "status", json_integer(json_int(answer, "status", 200)));
        fill_in(input, "headers", headers ? json_deep_copy(headers) : json_object());
    }
    return input;
}

/* ---- running ---- */

struct turn {
    bool is_done;
    json_t *result;
    char fault[ADAPTER_ERROR_SIZE];
};

static void on_done(void *context, const struct adapter_outcome *outcome)
{
    struct turn *turn = context;
    turn->is_done = true;
    turn->result = json_deep_copy(outcome->result);
    (void)snprintf(turn->fault, sizeof turn->fault, "%s", outcome->fault ? outcome->fault : "");
}

/* The host's budgets bound the wait. */
static int call(struct loop *loop, struct adapter_host *host, const struct adapter *adapter,
                const json_t *golden, const json_t *entry, struct turn *turn)
{
    struct adapter_call *handle = NULL;
    int64_t bytes = 0;
    CLEANUP(json_unref_pointer) json_t *input = make_input(golden, entry);
    CLEANUP(close_fd) int body = write_body(json_object_get(entry, "answer"), &bytes);
    CLEANUP(close_fd) int blobs = body < 0 ? -1 : memfd_create("golden", MFD_CLOEXEC);
    const struct adapter_input order = {.adapter = adapter,
                                        .function = json_text(entry, "function"),
                                        .input = input,
                                        .body = body,
                                        .body_bytes = bytes,
                                        .blobs = blobs,
                                        .done = on_done,
                                        .context = turn};
    int error = adapter_call(host, &order, &handle);
    while (error == 0 && !turn->is_done)
        loop_turn(loop, TURN_MS);
    return error;
}

/* As values: 1 and 1.0 are the same. */
static bool is_equal(const json_t *one, const json_t *other)
{
    const char *name;
    json_t *value;
    if (json_is_number(one) && json_is_number(other))
        return !(json_number_value(one) < json_number_value(other)) &&
               !(json_number_value(one) > json_number_value(other));
    if (json_is_array(one) && json_is_array(other)) {
        bool is_same = json_array_size(one) == json_array_size(other);
        for (size_t i = 0; is_same && i < json_array_size(one); i++)
            is_same = is_equal(json_array_get(one, i), json_array_get(other, i));
        return is_same;
    }
    if (!json_is_object(one) || !json_is_object(other))
        return json_equal(one, other) != 0;
    if (json_object_size(one) != json_object_size(other))
        return false;
    json_object_foreach((json_t *)(uintptr_t)one, name, value)
    {
        if (!is_equal(value, json_object_get(other, name)))
            return false;
    }
    return true;
}

/* What came of one case. Takes the result over. */
static json_t *judge(const json_t *entry, struct turn *turn)
{
    const json_t *output = json_object_get(entry, "output");
    const char *fault = json_text(entry, "fault");
    bool is_ok = output ? turn->result && is_equal(output, turn->result)
                        : !turn->result && strstr(turn->fault, fault) != NULL;
    json_t *row = json_object();
    json_set_text(row, "name", json_text(entry, "name"));
    json_set_text(row, "function", json_text(entry, "function"));
    json_set(row, "ok", json_boolean(is_ok));
    if (output)
        json_set(row, "expected", json_deep_copy(output));
    else
        json_set_text(row, "expected", fault);
    if (turn->result)
        json_set(row, "got", TAKE(turn->result));
    else
        json_set_text(row, "fault", turn->fault);
    return row;
}

/* Lets the loop reap the helper that was killed. */
static void let_go(struct loop *loop)
{
    int64_t until_ms = clock_mono_ms() + REAP_MS;
    while (loop_watches(loop) > 0 && clock_mono_ms() < until_ms)
        loop_turn(loop, TURN_MS);
}

json_t *golden_run(const json_t *golden, const struct adapter *adapter,
                   char ret_error[GOLDEN_ERROR_SIZE])
{
    struct loop *loop = NULL;
    struct adapter_host *host = NULL;
    const json_t *cases = json_object_get(golden, "cases");
    json_t *rows = json_array();
    int error = loop_new(&loop);
    if (error == 0)
        error = adapter_host_new(loop, &host);
    for (size_t i = 0; error == 0 && i < json_array_size(cases); i++) {
        struct turn turn = {0};
        const json_t *entry = json_array_get(cases, i);
        error = call(loop, host, adapter, golden, entry, &turn);
        if (error == 0)
            (void)json_array_append_new(rows, judge(entry, &turn));
    }
    adapter_host_free(host);
    if (loop)
        let_go(loop);
    loop_free(loop);
    if (error == 0)
        return rows;
    json_decref(rows);
    return refuse(ret_error, "the adapter's helper cannot be used: %s", strerror(-error));
}
