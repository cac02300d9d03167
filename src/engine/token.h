/* SPDX-License-Identifier: Apache-2.0
 *
 * Access tokens of service accounts: one for each account of a channel, fetched when somebody needs it, kept until some
 * minutes before it ends, and fetched once however many wait. What goes wrong is told to all who wait, and no other try is
 * made before a pause that grows has passed. On the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/loop.h"
#include "net/exchange.h"
#include "upstream/channel.h"

enum {
    TOKEN_NOTE_SIZE = 300,
    TOKEN_EXCHANGE_MS = 30 * 1000,
    TOKEN_MARGIN_MS = 5 * 60 * 1000, /* before its end; of a short one half its life */
    TOKEN_REST_MS = 2 * 1000,        /* after the first failure in a row */
    TOKEN_REST_MOST_MS = 60 * 1000,
    TOKEN_KEPT_MS = 10 * 60 * 1000, /* from one that was refused to the next that may be dropped */
    TOKEN_WAITS_MAX = 4096,         /* for one token */
    TOKENS_MAX = 256,               /* beyond it one that nobody waits for makes room */
};

struct tokens;     /* all of them */
struct token_wait; /* somebody who waits for one */

/* Both must outlive it. */
struct tokens *tokens_new(struct loop *loop, struct exchange_pool *exchanges);
/* Nobody may be waiting. Takes NULL, returns NULL. */
struct tokens *tokens_free(struct tokens *tokens);

/* The token for a credential that is a service account, while it is good; NULL: there is none, wait for it. Borrowed
 * until the loop turns. */
const char *tokens_at_hand(struct tokens *tokens, const struct channel *channel,
                           const struct channel_credential *identity);

struct token_outcome {
    bool is_granted;        /* tokens_at_hand() has it now */
    bool is_refused;        /* the endpoint will not have the account, its key or the scope */
    int64_t retry_after_ms; /* until it is tried again; 0 when it is granted */
    const char *note;       /* one sentence, never NULL */
};

struct token_query {
    const struct channel *channel; /* must outlive the wait, with the credential */
    const struct channel_credential *identity;
    /* Once, never from within tokens_wait(). The wait is gone by then. */
    void (*done)(void *context, const struct token_outcome *outcome);
    void *context;
};

/* 0, or -EAGAIN: too many wait already. */
CHECKED int tokens_wait(struct tokens *tokens, const struct token_query *query,
                        struct token_wait **ret_wait);
/* Without a callback. Takes NULL, returns NULL. */
struct token_wait *token_wait_stop(struct token_wait *wait);

/* The upstream answered 401 to the token: it is dropped, so that the next who needs one gets another. Not twice within
 * TOKEN_KEPT_MS: then it is not the token's fault. */
void tokens_note_refusal(struct tokens *tokens, const struct channel *channel,
                         const struct channel_credential *identity);
