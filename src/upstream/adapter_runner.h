/* SPDX-License-Identifier: Apache-2.0
 *
 * What adapter_host.c (the door, and the calls) and adapter_runner.c (the helper of one adapter) share, private to
 * upstream/. On the loop's thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "base/loop.h"
#include "proc/proc.h"
#include "upstream/adapter.h"

enum call_state { CALL_WAITING, CALL_RUNNING, CALL_FINISHED };

struct adapter_call {
    struct runner *runner;
    TAILQ_ENTRY(adapter_call) link; /* on the runner's `waiting` or the host's `finished` */
    enum call_state state;
    bool is_stopped; /* it runs on, for nobody */
    long long id;
    struct adapter_input input; /* `input` and `bytes` are NULL: they lie in `text` */
    char *text;                 /* the input as JSON, behind it the body if that is small */
    size_t text_length;         /* of both */
    size_t input_length;
    bool has_small_body; /* in `text` */
    json_t *result;
    struct adapter_blob blobs[ADAPTER_BLOBS_MAX];
    size_t n_blobs;
    char fault[ADAPTER_ERROR_SIZE]; /* empty: none */
    bool is_passing;
};

TAILQ_HEAD(call_list, adapter_call);

struct runner {
    struct adapter_host *host;
    struct runner *next; /* on the host's list */
    const struct adapter *adapter;
    struct proc *proc; /* NULL: asleep */
    clockid_t clock;   /* of the processor time that its helper uses */
    int output;        /* the file for its helper's results that no message takes; -1: asleep */
    bool is_ready;
    bool is_to_rest;              /* its helper ends as soon as it has nothing to do */
    struct adapter_call *current; /* NULL: none runs */
    struct call_list waiting;
    size_t n_waiting;
    /* Of the running call: when it began, and what its helper had used of the processor by then. */
    int64_t began_ms, cpu_before_ms;
    struct loop_timer timer; /* of the compiling or the running call */
    /* Why the program cannot be compiled; empty: it can, as far as we know. */
    char fault[ADAPTER_ERROR_SIZE];
};

struct adapter_host {
    struct loop *loop;
    struct runner *runners;
    struct call_list finished;
    struct loop_timer delivery;
    size_t waiting_bytes;
    long long last_id;
};

/* ---- adapter_host.c ---- */

void adapter_call_free(struct adapter_call *call);
/* Its input is with the helper, or is needed no more. */
void adapter_call_drop_text(struct adapter_call *call);
/* A call that is on no list, with its result or fault: delivered at one of the next turns. */
void adapter_call_finish(struct adapter_call *call);
/* The same with a fault: «adapter "fal", polled: …» */
void adapter_call_fail(struct adapter_call *call, const char *why);

/* ---- adapter_runner.c ---- */

/* On no list yet. */
struct runner *runner_new(struct adapter_host *host, const struct adapter *adapter);
/* With its calls, untold. */
void runner_free(struct runner *runner);
/* Does what can be done now for those that wait. */
void runner_dispatch(struct runner *runner);
struct adapter_call *runner_take_waiting(struct runner *runner); /* the oldest; there must be one */
/* All that wait, with a sentence that names the adapter already. */
void runner_fail_waiting(struct runner *runner, const char *fault, bool is_passing);
