/* SPDX-License-Identifier: Apache-2.0
 *
 * What dialogue.c (its course, and the request) and dialogue_exchange.c (the request on its way, and the answer) share.
 * Nobody else includes this. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "engine/dialogue.h"
#include "engine/inputs.h"
#include "engine/token.h"
#include "upstream/request.h"

enum { DIALOGUE_CROWDED_MS = 300 }; /* pause before there is room for another call or exchange */

struct dialogue {
    const struct engine_room *room;
    struct dialogue_spec spec;
    json_t *keep;
    int step;
    struct adapter_call *call;
    json_t *asked; /* the request object under way */
    struct inputs *inputs;
    bool has_inputs;          /* all that were asked for so far are there */
    uint64_t wanted;          /* images that are wanted as bytes */
    struct token_wait *token; /* waited for; NULL: not now */
    struct request request;
    bool has_request;
    /* -1: none. A body without images is a file in memory, all others are in the spool. */
    int body, answer, blobs;
    /* An answer up to ADAPTER_BLOB_LEAST, for as long as its reading may be tried again; NULL: see `answer`. */
    char *small;
    json_t *told; /* of the answer that is read: status, headers and the rest of the input */
    int64_t answer_bytes;
    int n_readings;
    struct exchange *exchange;
    bool is_cleared; /* dialogue_go() was called */
    bool was_bought;
    bool was_bought_before; /* by an exchange before the one under way */
    long status;
    int64_t retry_after_ms;
    struct loop_timer turn; /* what must not happen within a call of the owner's */
    void (*at_turn)(struct dialogue *dialogue);
    char note[DIALOGUE_NOTE_SIZE];
};

/* ---- dialogue.c ---- */

/* Ends; the dialogue may be gone afterwards. `note` is not the dialogue's own. */
void dialogue_fail(struct dialogue *dialogue, enum dialogue_end end, const char *note);
void dialogue_fail_faulty(struct dialogue *dialogue, const char *what);
/* What the program said is the end. */
void dialogue_say(struct dialogue *dialogue, const struct adapter_outcome *said);
/* At the next turn, for a negative errno. */
void dialogue_fail_soon(struct dialogue *dialogue, const char *what, int fault);
void dialogue_at_next_turn(struct dialogue *dialogue, void (*what)(struct dialogue *dialogue));
/* Too many calls or exchanges are under way: it is no trouble of the upstream's, and passes. */
void dialogue_wait_for_room(struct dialogue *dialogue, void (*what)(struct dialogue *dialogue));
/* Begins a step: what is the program's request? */
void dialogue_ask(struct dialogue *dialogue);

/* ---- dialogue_exchange.c ---- */

void dialogue_send(struct dialogue *dialogue);
/* What the program gets: the owner's input with step and keep, a new reference. */
json_t *dialogue_input(const struct dialogue *dialogue);
/* Asks the program; `body_bytes` negative: there is no answer to show. 0 or negative errno. */
int dialogue_call(struct dialogue *dialogue, const char *function, const json_t *input,
                  int64_t body_bytes, void (*done)(void *, const struct adapter_outcome *));
/* A new file in place of the one at `file`: what a dialogue holds is new each step; short lives are cheap in memory, and
 * cost a file system dearly. 0 or negative errno. */
int dialogue_spool_file(const struct dialogue *dialogue, int *file);
int dialogue_memory_file(int *file);
void dialogue_drop_answer(struct dialogue *dialogue);
