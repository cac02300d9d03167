/* SPDX-License-Identifier: Apache-2.0
 *
 * One question to an upstream and its answer, through the channel's adapter: the program makes a request, it is sent, the
 * program reads the answer; up to DIALOGUE_STEPS such exchanges, when the program says `next`. It judges nothing: what
 * the answer means is its owner's. On the loop's thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "engine/room.h"
#include "upstream/adapter.h"
#include "upstream/channel.h"

enum { DIALOGUE_STEPS = 4, DIALOGUE_NOTE_SIZE = 300 };

enum dialogue_kind { DIALOGUE_SUBMIT, DIALOGUE_POLL, DIALOGUE_CANCEL };

enum dialogue_end {
    DIALOGUE_ANSWERED, /* the program said something: `result` */
    DIALOGUE_TROUBLE, /* no answer that counts: out of reach, too late, broken off, 408, 425, 429, 5xx */
    DIALOGUE_FAULT,  /* the adapter's own: it failed, or asked for what cannot be sent */
    DIALOGUE_INPUTS, /* an input image cannot be had: `failure`, `may_retry` */
};

struct dialogue_outcome {
    enum dialogue_end end;
    const json_t *result; /* borrowed; null of a cancel: the upstream cannot */
    const struct adapter_blob *blobs;
    size_t n_blobs;
    int blob_file;   /* borrowed; -1: none was cut out */
    bool was_bought; /* a byte of a request that buys may have left */
    long status;     /* of the last answer; 0: none */
    int64_t retry_after_ms;
    enum task_failure failure;
    bool may_retry;
    const char *note; /* one sentence, never NULL, for the log and for operators */
};

struct dialogue_spec {
    enum dialogue_kind kind;
    const struct channel *channel; /* must outlive it, with the identity */
    const struct channel_credential *identity;
    const struct task *task; /* takes a reference */
    json_t *input;           /* {task, job, state …} without step and keep; taken */
    const char *keep;        /* JSON, or NULL */
    /* Where its owner keeps what the program asked first, as JSON, from one dialogue of the same kind, input and keep to the
     * next: programs are pure. It is used where it is there, else put there if it is short. NULL: asked each time. */
    char **asked;
    /* SUBMIT: the first request that buys is ready, nothing of it has left: it leaves with dialogue_go(). Never from
     * within dialogue_start(). */
    void (*ready)(void *context);
    /* SUBMIT: images are fetched from now on (true), which may take as long as their hosts like; or no more (false). Never
     * from within dialogue_start(). */
    void (*fetching)(void *context, bool is_fetching);
    /* Once, never from within dialogue_start() or dialogue_go(). The dialogue may be stopped from within. */
    void (*done)(void *context, const struct dialogue_outcome *outcome);
    void *context;
};

struct dialogue;

/* `room` must outlive it. */
struct dialogue *dialogue_start(const struct engine_room *room, const struct dialogue_spec *spec);
void dialogue_go(struct dialogue *dialogue);
/* Breaks it off without callbacks. Takes NULL, returns NULL. */
struct dialogue *dialogue_stop(struct dialogue *dialogue);
