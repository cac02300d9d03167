/* SPDX-License-Identifier: Apache-2.0
 *
 * How the credentials of channels stand: jobs in flight, breaker, budgets, what was learned. Kept by name across a reload
 * of the configuration, as long as the process lives. On the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/compiler.h"
#include "task/policy.h"
#include "task/task.h"
#include "upstream/channel.h"

enum {
    CREDENTIAL_NOTE_SIZE = 300,
    /* Under way at a time with one credential. Each takes memory, and a submit a connection of its own; and what hangs at
     * one upstream must not keep the others waiting. */
    CREDENTIAL_SUBMITS_MAX = 64,
    CREDENTIAL_POLLS_MAX = 256,
    CREDENTIAL_LOOK_AGAIN_MS = 250, /* when many submits hang, for places that others give up */
};

struct credentials; /* all of them */

TAILQ_HEAD(remote_line, remote);

struct credential {
    char channel[ATTEMPT_NAME_SIZE], name[ATTEMPT_NAME_SIZE];
    /* Jobs at the upstream, from the preparing of the submit to its end there. */
    int64_t n_in_flight;
    /* CREDENTIAL_SUBMITS_MAX (and those whose images have come), CREDENTIAL_POLLS_MAX. */
    int n_submitting, n_polling;
    bool is_wanted; /* a submit found all places taken since credential_take_wanted() said so */
    struct remote_line due; /* attempts whose poll waits for a place, the longest waiting first */
    bool is_paused, is_draining; /* by an operator's order; of the whole channel */
    struct policy_breaker breaker;
    struct policy_bucket submits, polls;
    struct policy_durations durations; /* of all its jobs, for operators */
    uint64_t n_submits, n_accepted, n_refused, n_unknown, n_polls, n_troubles;
    char last_error[CREDENTIAL_NOTE_SIZE];
    int64_t last_error_ms; /* wall clock; 0: none */
    struct credential *next;
};

struct credentials *credentials_new(void);
/* Nothing may be in flight. Takes NULL, returns NULL. */
struct credentials *credentials_free(struct credentials *credentials);
/* Made at its first use; never moves, never goes. */
struct credential *credential_of(struct credentials *credentials, const char *channel,
                                 const char *name);
struct credential *credentials_first(struct credentials *credentials); /* then by `next` */
/* True once, when half of the places for submits are free again and somebody had found none: the queue is to be looked at
 * anew. */
CHECKED bool credential_take_wanted(struct credential *credential);
void credential_note_error(struct credential *credential, const char *note);
/* What was learned of how long an upstream's model takes for a video of `duration_s`. */
struct policy_durations *credentials_durations(struct credentials *credentials, const char *channel,
                                               const char *model, int duration_s);

enum route_kind {
    ROUTE_FOUND,
    ROUTE_WAIT, /* all that serve it are busy; look again after `retry_ms`, or when a slot is free (negative) */
    ROUTE_NONE, /* no channel serves it, or each that does has refused it */
};

struct route {
    enum route_kind kind;
    const struct channel *channel;
    /* NULL for the built-in engine: as it is configured, and how it fares. */
    const struct channel_credential *identity;
    struct credential *credential;
    int64_t retry_ms;
    bool waits_local; /* WAIT: among them is one whose work is done here */
};

/* Who asks for a route, and when. */
struct route_query {
    const struct task *task;
    bool animatic_is_free; /* a slot of the built-in engine */
    int64_t now_ms;
    uint64_t dice;
    /* Turned it away last, for now: asked again only when no other can be. NULL: none did. */
    const struct credential *avoided;
};

/* Where a task goes now: by priority, then weight, among the credentials with a free slot that are well. Takes nothing. */
struct route credentials_route(struct credentials *credentials, const struct channel_table *table,
                               const struct route_query *query);
