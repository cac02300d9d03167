/* SPDX-License-Identifier: Apache-2.0
 *
 * Adapters: one jq program per upstream API, pure JSON in, JSON out, run by libjq in helper processes with budgets. The
 * built-in ones are embedded in the binary; a file NAME.jq in the operator's folder overrides one or adds one.
 * docs/ADAPTERS.md is the contract of the programs. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/loop.h"

enum {
    ADAPTER_ERROR_SIZE = 400,
    ADAPTER_PROGRAM_MAX = 256 * 1024, /* bytes of a program */
    /* Of what goes in or comes out, once blobs are cut out. */
    ADAPTER_DOCUMENT_MAX = 8 * 1024 * 1024,
    ADAPTER_BLOBS_MAX = 4,          /* cut out of one answer */
    ADAPTER_BLOB_LEAST = 16 * 1024, /* characters of base64 from which a text is cut out */
    ADAPTER_CALL_MS = 5000,         /* processor time of one call; six times that by the clock */
    ADAPTER_COMPILE_MS = 20000,
    ADAPTER_CALLS_MAX = 4096, /* waiting for one adapter */
};

struct adapter; /* one program; immutable, lives as long as its set */
struct adapter_set;

/* All built-in adapters, and those of `folder` (NULL or empty, as the setting is: none). Texts only are read here: each program is looked over
 * (what is forbidden, docs/ADAPTERS.md), none is compiled. NULL with a sentence naming file and line. */
struct adapter_set *adapter_set_new(const char *folder, char ret_error[ADAPTER_ERROR_SIZE]);
/* The one program of a file NAME.jq, nothing else. */
struct adapter_set *adapter_set_file(const char *path, char ret_error[ADAPTER_ERROR_SIZE]);
struct adapter_set *adapter_set_free(struct adapter_set *set);
/* NULL when there is none of that name. */
const struct adapter *adapter_find(const struct adapter_set *set, const char *name);
size_t adapter_count(const struct adapter_set *set);
const struct adapter *adapter_at(const struct adapter_set *set, size_t index); /* by name */
const char *adapter_name(const struct adapter *adapter);
const char *adapter_file(const struct adapter *adapter); /* NULL: built in */
const char *adapter_text(const struct adapter *adapter);

/* 1 to 40 of a-z 0-9 -, and not a dash first. */
bool adapter_is_name(const char *name);
/* Do channels mean by it what is no adapter, and what no file replaces? `animatic` is the built-in engine, `command` a program
 * of the operator's. */
bool adapter_is_reserved(const char *name);
/* Adds what may have been meant by a name that no adapter of the set (NULL: it is empty) has, and where all stand: `; is it "kling"
 * you mean? …`. By what adapters say that they speak to («seedance»), else by how it is spelt («klng»). */
void adapter_suggest(const struct adapter_set *set, const char *name, struct buf *out);

/* What the program's `about` says, valid, with the defaults of what it leaves out. Runs it in a helper and
 * waits (at most ADAPTER_COMPILE_MS + 6 * ADAPTER_CALL_MS): for the start and for commands, not for the
 * engine's loop. NULL with a sentence that names adapter and line. The caller's reference. */
json_t *adapter_about(const struct adapter *adapter, char ret_error[ADAPTER_ERROR_SIZE]);

/* ---- calls, on the loop ---- */

struct
    adapter_host; /* the helpers: one per adapter in use, started at its first call, anew after a crash */
struct adapter_call;

/* Where a part cut out of an answer lies in the blob file, decoded. */
struct adapter_blob {
    int64_t offset, bytes;
};

struct adapter_outcome {
    const json_t *result; /* borrowed; NULL when the call failed */
    struct adapter_blob blobs[ADAPTER_BLOBS_MAX];
    size_t n_blobs;
    /* One sentence that names the adapter, and the line where it is known; NULL when it worked. */
    const char *fault;
    /* The fault is not the program's: its helper was killed, or cannot be started now. */
    bool is_passing;
};

struct adapter_input {
    const struct adapter *adapter; /* must outlive the call */
    const char *function;          /* about, submit, submitted, poll, polled, cancel, cancelled */
    const json_t *input;           /* an object; borrowed until adapter_call() returns */
    /* The upstream's answer: these bytes, for a small one (borrowed as `input`), or a file, read from offset 0. Both
     * absent (NULL, -1): an empty answer for a function that reads one, else none. It is shown to the program as `body`: parsed JSON (numbers
     * beyond 2^53 as texts, long base64 as {"$blob": n}), or null with its beginning as `text` when it is not JSON. */
    const char *bytes;
    int body;
    int64_t body_bytes;
    int blobs; /* an empty file that takes what is cut out; -1: cut out and dropped, `n_blobs` stays 0 */
    void (*done)(void *context,
                 const struct adapter_outcome *outcome); /* once, never within adapter_call() */
    void *context;
};

CHECKED int adapter_host_new(struct loop *loop, struct adapter_host **ret_host);
/* Ends all calls without their callbacks, kills the helpers. Let the loop turn before loop_free(), as proc_kill(). */
struct adapter_host *adapter_host_free(struct adapter_host *host);
/* Ends each helper that there is now, once it has nothing to do; the next call starts one. After a reload, when other
 * programs may be in use: helpers of those before would stay for ever. */
void adapter_host_rest(struct adapter_host *host);
/* 0 or negative errno (-EAGAIN: too many wait, never said to a function that reads an answer; -EMSGSIZE: the input is too
 * large). Both descriptors are duplicated. */
CHECKED int adapter_call(struct adapter_host *host, const struct adapter_input *input,
                         struct adapter_call **ret_call);
/* Breaks it off without its callback. Takes NULL, returns NULL. */
struct adapter_call *adapter_call_stop(struct adapter_call *call);

/* The main of `filmgate helper adapter`. */
int adapter_helper_main(void);
