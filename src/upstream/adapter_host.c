/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of programs: taken, kept until the helper of their adapter has time for them (adapter_runner.c), and
 * delivered, one a turn from `finished`, so that a callback may do anything, the end of the host included. On the loop's
 * thread. */
#include "upstream/adapter_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"

enum { WAITING_BYTES_MAX = 64 * 1024 * 1024 }; /* of all inputs that wait */

/* ---- the end of a call ---- */

void adapter_call_free(struct adapter_call *call)
{
    close_fd(&call->input.body);
    close_fd(&call->input.blobs);
    json_decref(call->result);
    free(call->text);
    free(call);
}

void adapter_call_drop_text(struct adapter_call *call)
{
    call->runner->host->waiting_bytes -= call->text_length;
    call->text_length = 0;
    free(TAKE(call->text));
}

void adapter_call_finish(struct adapter_call *call)
{
    struct adapter_host *host = call->runner->host;
    adapter_call_drop_text(call);
    if (call->is_stopped) {
        adapter_call_free(call);
        return;
    }
    call->state = CALL_FINISHED;
    TAILQ_INSERT_TAIL(&host->finished, call, link);
    loop_arm(host->loop, &host->delivery, 0);
}

static void on_delivery(struct loop_timer *timer)
{
    struct adapter_host *host = CONTAINER_OF(timer, struct adapter_host, delivery);
    struct adapter_call *call = TAILQ_FIRST(&host->finished);
    TAILQ_REMOVE(&host->finished, call, link);
    if (!TAILQ_EMPTY(&host->finished))
        loop_arm(host->loop, &host->delivery, 0);
    struct adapter_outcome outcome = {
        .result = call->fault[0] == '\0' ? call->result : NULL,
        .n_blobs = call->n_blobs,
        .fault = call->fault[0] == '\0' ? NULL : call->fault,
        .is_passing = call->is_passing,
    };
    memcpy(outcome.blobs, call->blobs, sizeof outcome.blobs);
    call->input.done(call->input.context, &outcome); /* the host may be gone after this */
    adapter_call_free(call);
}

void adapter_call_fail(struct adapter_call *call, const char *why)
{
    (void)snprintf(call->fault, sizeof call->fault, "adapter \"%s\", %s: %s",
                   adapter_name(call->runner->adapter), call->input.function, why);
    adapter_call_finish(call);
}

/* ---- the door ---- */

int adapter_host_new(struct loop *loop, struct adapter_host **ret_host)
{
    struct adapter_host *host = must_calloc(1, sizeof *host);
    host->loop = loop;
    host->delivery.fire = on_delivery;
    TAILQ_INIT(&host->finished);
    *ret_host = host;
    return 0;
}

struct adapter_host *adapter_host_free(struct adapter_host *host)
{
    if (!host)
        return NULL;
    loop_disarm(host->loop, &host->delivery);
    for (struct adapter_call *call; (call = TAILQ_FIRST(&host->finished)) != NULL;) {
        TAILQ_REMOVE(&host->finished, call, link);
        adapter_call_free(call);
    }
    for (struct runner *runner = host->runners, *next; runner; runner = next) {
        next = runner->next;
        runner_free(runner);
    }
    free(host);
    return NULL;
}

void adapter_host_rest(struct adapter_host *host)
{
    for (struct runner *runner = host->runners; runner; runner = runner->next) {
        runner->is_to_rest = true;
        runner_dispatch(runner);
    }
}

static struct runner *runner_of(struct adapter_host *host, const struct adapter *adapter)
{
    struct runner *runner = host->runners;
    while (runner && runner->adapter != adapter)
        runner = runner->next;
    if (!runner) {
        runner = runner_new(host, adapter);
        runner->next = host->runners;
        host->runners = runner;
    }
    return runner;
}

static const char *const FUNCTIONS[] = {"about",  "submit", "submitted", "poll",
                                        "polled", "cancel", "cancelled"};

/* One of ours, which lives as long as the program; NULL: none. */
static const char *function_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(FUNCTIONS); i++) {
        if (strcmp(FUNCTIONS[i], name) == 0)
            return FUNCTIONS[i];
    }
    return NULL;
}

static bool takes_answer(const char *function)
{
    return strcmp(function, "submitted") == 0 || strcmp(function, "polled") == 0 ||
           strcmp(function, "cancelled") == 0;
}

static int duplicate(int fd, int *ret_fd)
{
    *ret_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 || *ret_fd >= 0 ? 0 : -errno;
}

static int write_text(struct adapter_call *call, const struct adapter_input *input)
{
    call->text = input->input ? json_dumps(input->input, JSON_WRITE_FLAGS) : must_strdup("null");
    if (!call->text)
        return -EINVAL;
    call->text_length = call->input_length = strlen(call->text);
    if (call->input_length > ADAPTER_DOCUMENT_MAX)
        return -EMSGSIZE;
    if (call->has_small_body) {
        size_t body_length = (size_t)input->body_bytes;
        call->text = must_realloc(call->text, call->input_length + body_length);
        memcpy(call->text + call->input_length, input->bytes, body_length);
        call->text_length += body_length;
    }
    return 0;
}

/* Takes what the call needs over from the caller; adapter_call_free() lets go of it. */
static int fill(struct adapter_call *call, const struct adapter_input *input)
{
    call->input = *input;
    call->input.function = function_named(input->function);
    call->input.input = NULL;
    call->input.bytes = NULL;
    call->input.body = call->input.blobs = -1;
    must(call->input.function);
    if (input->body < 0 && !input->bytes)
        call->input.body_bytes = takes_answer(input->function) ? 0 : -1;
    call->has_small_body = input->bytes && input->body_bytes > 0;
    int error = write_text(call, input);
    if (error < 0)
        return error;
    error = duplicate(input->body, &call->input.body);
    return error < 0 ? error : duplicate(input->blobs, &call->input.blobs);
}

int adapter_call(struct adapter_host *host, const struct adapter_input *input,
                 struct adapter_call **ret_call)
{
    struct runner *runner = runner_of(host, input->adapter);
    /* An answer is there already, and may have been paid for; the exchanges under way limit how many come. */
    const bool can_wait_outside = !takes_answer(input->function);
    if (can_wait_outside && runner->n_waiting >= ADAPTER_CALLS_MAX)
        return -EAGAIN;
    struct adapter_call *call = must_calloc(1, sizeof *call);
    int error = fill(call, input);
    if (error == 0 && can_wait_outside &&
        call->text_length + host->waiting_bytes > WAITING_BYTES_MAX)
        error = -EAGAIN;
    if (error < 0) {
        adapter_call_free(call);
        return error;
    }
    call->runner = runner;
    call->id = ++host->last_id;
    host->waiting_bytes += call->text_length;
    TAILQ_INSERT_TAIL(&runner->waiting, call, link);
    runner->n_waiting++;
    if (runner->fault[0] != '\0')
        runner_fail_waiting(runner, runner->fault, false);
    else
        runner_dispatch(runner);
    *ret_call = call;
    return 0;
}

struct adapter_call *adapter_call_stop(struct adapter_call *call)
{
    if (!call)
        return NULL;
    struct runner *runner = call->runner;
    switch (call->state) {
    case CALL_RUNNING:
        call->is_stopped = true;
        return NULL;
    case CALL_WAITING:
        TAILQ_REMOVE(&runner->waiting, call, link);
        runner->n_waiting--;
        adapter_call_drop_text(call);
        break;
    case CALL_FINISHED:
        TAILQ_REMOVE(&runner->host->finished, call, link);
        if (TAILQ_EMPTY(&runner->host->finished))
            loop_disarm(runner->host->loop, &runner->host->delivery);
        break;
    }
    adapter_call_free(call);
    return NULL;
}
