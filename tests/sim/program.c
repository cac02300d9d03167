/* SPDX-License-Identifier: Apache-2.0
 *
 * The adapters of this world, and the host that runs them: what adapters/NAME.jq are to the real one, without jq. All
 * speak the API of vendor.c; they differ in what they say of themselves, and «steps» asks twice. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

#include "base/json.h"
#include "base/must.h"
#include "upstream/adapter.h"

struct adapter {
    const char *name, *about;
};

struct adapter_set {
    const struct adapter *items;
    size_t count;
};

#define POLLS "\"poll\": {\"first_s\": 5, \"every_s\": 2, \"longest_s\": 30}"
#define USUAL                                                                                      \
    "\"base_url\": \"https://up.example.com\", \"auth\": {\"kind\": \"bearer\"},"                  \
    " \"submit\": {\"total_s\": 30}, \"callback\": true, " POLLS

static const struct adapter adapters[] = {
    {"plain", "{" USUAL ", \"cancel\": {\"while\": [\"pending\", \"rendering\"]}}"},
    {"chosen", "{" USUAL ", \"job\": {\"chosen\": true, \"certain\": true},"
               " \"cancel\": {\"while\": [\"pending\", \"rendering\"]}}"},
    {"steps", "{" USUAL ", \"result\": {\"renews\": true, \"auth\": true}}"},
};

static const struct adapter_set set = {adapters, ARRAY_LENGTH(adapters)};

const struct adapter_set *program_set(void)
{
    return &set;
}

const struct adapter *adapter_find(const struct adapter_set *from, const char *name)
{
    for (size_t i = 0; i < from->count; i++) {
        if (strcmp(from->items[i].name, name) == 0) {
            return &from->items[i];
        }
    }
    return NULL;
}

size_t adapter_count(const struct adapter_set *from)
{
    return from->count;
}

const struct adapter *adapter_at(const struct adapter_set *from, size_t index)
{
    return &from->items[index];
}

const char *adapter_name(const struct adapter *adapter)
{
    return adapter->name;
}

const char *adapter_text(const struct adapter *adapter)
{
    (void)adapter;
    return "";
}

json_t *adapter_about(const struct adapter *adapter, char ret_error[ADAPTER_ERROR_SIZE])
{
    (void)ret_error;
    json_t *about = json_loads(adapter->about, 0, NULL);
    must(about != NULL);
    return about;
}

/* ---- the functions of a program ---- */

struct input {
    const json_t *given;
    json_t *body; /* NULL: not JSON */
    const char *attempt, *job;
    int step;
    long status;
    bool has_steps, is_chosen;
};

static json_t *error_of(const char *kind)
{
    return json_pack("{s:{s:s, s:s, s:s}}", "error", "code", kind, "message", "as the vendor says",
                     "kind", kind);
}

static json_t *submit(const struct input *input)
{
    const json_t *task = json_object_get(input->given, "task");
    if (input->has_steps && input->step == 0) {
        return json_pack("{s:s, s:s, s:{}, s:b}", "method", "POST", "path", "/uploads", "json",
                         "buys", 0);
    }
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:s*}}", "method", "POST", "path", "/jobs", "json",
                     "prompt", json_text(task, "prompt"), "attempt", input->attempt, "job",
                     input->is_chosen ? json_text(task, "attempt_uuid") : NULL);
}

static const char *kind_of(long status)
{
    return status == 401                   ? "auth"
           : status == 429                 ? "busy"
           : status == 451                 ? "moderated"
           : status >= 400 && status < 500 ? "refused"
                                           : "unknown";
}

static json_t *submitted(const struct input *input)
{
    const char *id = json_text(input->body, "id");
    if (input->has_steps && input->step == 0 && input->status < 300) {
        return json_pack("{s:b, s:{s:i}}", "next", 1, "keep", "upload", 1);
    }
    if (input->status < 300 && id) {
        vendor_told(input->attempt, VERDICT_ACCEPTED);
        return json_pack("{s:s}", "job", id);
    }
    const char *kind = kind_of(input->status);
    if (strcmp(kind, "unknown") != 0) {
        vendor_told(input->attempt, VERDICT_REFUSED);
    }
    return error_of(kind);
}

static json_t *request_of_job(const struct input *input, const char *method)
{
    char path[100];
    snprintf(path, sizeof path, "/jobs/%s", input->job);
    return json_pack("{s:s, s:s, s:[s]}", "method", method, "path", path, "heed", "404");
}

static json_t *polled(const struct input *input)
{
    const char *state = json_text(input->body, "state");
    if (input->status == 404) {
        vendor_told_of_job(input->job, "gone");
        return json_pack("{s:s}", "state", "gone");
    }
    if (input->status >= 300 || !state) {
        return json_pack("{s:s}", "state", "unclear");
    }
    vendor_told_of_job(input->job, state);
    if (strcmp(state, "failed") == 0 || strcmp(state, "moderated") == 0) {
        json_t *said = error_of(state);
        json_set_text(said, "state", "failed");
        return said;
    }
    json_t *said = json_pack("{s:s, s:f}", "state", state, "progress",
                             json_number(input->body, "progress", 0));
    const char *url = json_text(input->body, "url");
    if (strcmp(state, "done") == 0) {
        json_set(said, "outputs",
                 url ? json_pack("[{s:s, s:b}]", "url", url, "auth", 1) : json_array());
    }
    return said;
}

static json_t *cancelled(const struct input *input)
{
    return json_pack("{s:s}", "state",
                     input->status < 300    ? "cancelled"
                     : input->status == 409 ? "finished"
                                            : "unclear");
}

static json_t *run(const char *function, const struct input *input)
{
    if (strcmp(function, "submit") == 0) {
        return submit(input);
    }
    if (strcmp(function, "submitted") == 0) {
        return submitted(input);
    }
    if (strcmp(function, "poll") == 0) {
        return request_of_job(input, "GET");
    }
    if (strcmp(function, "polled") == 0) {
        return polled(input);
    }
    return strcmp(function, "cancel") == 0 ? request_of_job(input, "DELETE") : cancelled(input);
}

/* ---- the host ---- */

struct adapter_host {
    struct node *node;
    struct adapter_call *first;
};

struct adapter_call {
    struct adapter_host *host;
    struct adapter_call *next, *previous;
    struct loop_timer timer;
    const struct adapter *adapter;
    const char *function;
    json_t *given, *body;
    void (*done)(void *context, const struct adapter_outcome *outcome);
    void *context;
};

struct adapter_call *adapter_call_stop(struct adapter_call *call)
{
    if (call) {
        *(call->previous ? &call->previous->next : &call->host->first) = call->next;
        if (call->next) {
            call->next->previous = call->previous;
        }
        loop_disarm(NULL, &call->timer);
        json_decref(call->given);
        json_decref(call->body);
        free(call);
    }
    return NULL;
}

static json_t *run_call(const struct adapter_call *call)
{
    const struct input input = {
        .given = call->given,
        .body = call->body,
        .attempt = json_text(json_object_get(call->given, "task"), "attempt"),
        .job = json_text(call->given, "job"),
        .step = (int)json_int(call->given, "step", 0),
        .status = (long)json_int(call->given, "status", 0),
        .has_steps = strcmp(call->adapter->name, "steps") == 0,
        .is_chosen = strcmp(call->adapter->name, "chosen") == 0,
    };
    return run(call->function, &input);
}

static void on_call(struct loop_timer *timer)
{
    struct adapter_call *call = CONTAINER_OF(timer, struct adapter_call, timer);
    struct adapter_outcome outcome = {.result = NULL};
    if (node_dies(call->host->node, "before a program answers")) {
        return;
    }
    void (*done)(void *, const struct adapter_outcome *) = call->done;
    void *context = call->context;
    json_t *result = NULL;
    if (world_fault(call->host->node->world->faults.adapter_fault)) {
        outcome.fault = "adapter, line 1: its helper ended";
    } else {
        outcome.result = result = run_call(call);
    }
    adapter_call_stop(call);
    done(context, &outcome);
    json_decref(result);
}

static json_t *read_body(const struct adapter_input *input)
{
    must(input->body < 0); /* what the vendor says is short */
    return input->bytes ? json_loadb(input->bytes, (size_t)input->body_bytes, 0, NULL) : NULL;
}

int adapter_call(struct adapter_host *host, const struct adapter_input *input,
                 struct adapter_call **ret_call)
{
    struct adapter_call *call = must_calloc(1, sizeof *call);
    *call = (struct adapter_call){.host = host,
                                  .next = host->first,
                                  .adapter = input->adapter,
                                  .function = input->function,
                                  .given = json_deep_copy(input->input),
                                  .body = read_body(input),
                                  .done = input->done,
                                  .context = input->context};
    if (host->first) {
        host->first->previous = call;
    }
    host->first = call;
    call->timer.fire = on_call;
    world_arm(&call->timer, world_between(0, 2));
    *ret_call = call;
    return 0;
}

int adapter_host_new(struct loop *loop, struct adapter_host **ret_host)
{
    struct adapter_host *host = must_calloc(1, sizeof *host);
    host->node = loop_node(loop);
    *ret_host = host;
    return 0;
}

void adapter_host_rest(struct adapter_host *host)
{
    (void)host;
}

struct adapter_host *adapter_host_free(struct adapter_host *host)
{
    while (host && host->first) {
        adapter_call_stop(host->first);
    }
    free(host);
    return NULL;
}
