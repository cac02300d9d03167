/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rooms of an attempt at an upstream share: remote.c, remote_submit.c, remote_poll.c, remote_verdict.c,
 * remote_cancel.c and remote_result.c. Nobody else includes this. */
#pragma once

#include <jansson.h>

#include "base/log.h"
#include "engine/dialogue.h"
#include "engine/remote.h"
#include "engine/result.h"
#include "engine/token.h"
#include "upstream/request.h"

/* What was cut out of an answer: the video itself, at upstreams that send it along. */
struct remote_blobs {
    struct adapter_blob list[ADAPTER_BLOBS_MAX];
    size_t n; /* at least one */
    int file; /* owned */
};

/* A result on its way home. */
struct remote_fetch {
    struct exchange *download;
    struct request *request;  /* of the download under way; NULL: none */
    struct token_wait *token; /* that it waits for; NULL: not now */
    int video;                /* descriptor of what was brought home; -1: none yet */
    int64_t video_bytes;
    char *validator; /* ETag of what `video` holds the beginning of; NULL: none */
    int n_downloads, n_renewals, n_stores;
    int n_unreached; /* in a row: out of reach, or without room of ours; only the pauses and the timeline go by it */
    struct result *result;
};

struct remote {
    const struct engine_room *room;
    struct credentials *credentials;
    struct channel_table *table; /* a reference: the two below live in it */
    const struct channel *channel;
    const struct channel_credential *identity;
    struct credential *credential;
    struct remote_handler handler;
    const struct task *task; /* the newest that we were given; a reference */
    char attempt_id[ID_SHORT_SIZE];
    const char *model; /* its name there */
    int duration_s;    /* as fitted */
    struct dialogue *dialogue;
    bool is_reserved, is_trial; /* of the credential: one submit, and its trial; until it is sent */
    bool is_submitting, is_polling; /* counted in its credential's n_submitting, n_polling */
    bool is_due;                    /* `due` is on the list */
    TAILQ_ENTRY(remote) due;        /* on the credential's `due`: polls that wait for a place */
    bool is_sending;                /* a submit has left, its answer has not come */
    bool has_sent;                  /* in this process: else its durations teach nothing */
    int64_t n_beside;               /* jobs in flight with that credential when it was sent */
    bool is_resumed;
    bool is_seen;    /* a poll of this process found the job under way */
    bool is_pending; /* waits at the upstream, as far as we know */
    uint8_t verdict; /* of the last poll: enum remote_verdict */
    uint8_t n_verdicts;
    struct policy_watch watch;
    /* Hears what a look before a cancel was answered; NULL: none was asked for. */
    void (*looked)(void *context, const struct dialogue_outcome *outcome);
    int64_t planned_ms;                /* of the next poll, unless a callback brings one forward */
    bool is_called;                    /* by the upstream, since the last poll began */
    bool is_late;                      /* a job that is not done will not be waited for */
    int64_t looked_ms;                 /* when the first poll since then was sent; 0: not yet */
    int n_late_looks;                  /* that found it still under way */
    struct callback_listener listener; /* listens from the first poll's planning to the end */
    /* What the program asked for at the poll before, and of which job: good as long as the job and what is kept of it are
     * the same. NULL: nothing yet. */
    char *asked;
    struct attempt_job *asked_for;
    struct loop_timer timer; /* of what comes next: there is one thing at a time */
    void (*at_time)(struct remote *remote);
    int n_tries;
    json_t *held;               /* what a submit's answer said already, as a poll would */
    struct remote_blobs *blobs; /* NULL: none */
    struct remote_fetch *fetch; /* NULL: the job is not done yet */
};

/* ---- remote.c ---- */

uint64_t remote_dice(void);
/* From now on it works for this version of the task. Each door of remote.h that is given one begins with it: after a
 * restart any may be the first. */
void remote_take(struct remote *remote, const struct task *task);
void remote_tell(struct remote *remote, const struct task_event *event);
/* An upstream's words without what it was sent in confidence: credential, token, the address to call back. malloc'ed. */
char *remote_quote(const struct remote *remote, const char *text);
void remote_note(struct remote *remote, enum log_level level, const char *what, const char *note);
/* The same of what ends the attempt or puts it off: told as its reason, too. */
void remote_explain(struct remote *remote, enum log_level level, const char *what,
                    const char *note);
/* Does `what` after `delay_ms`, in place of whatever was to come next. */
void remote_later(struct remote *remote, void (*what)(struct remote *remote), int64_t delay_ms);
/* The same after a pause that grows with the tries. */
void remote_retry(struct remote *remote, void (*what)(struct remote *remote), int n_tries);
/* The task as an adapter's program sees it, a new reference; notes the model's name and the duration there. */
json_t *remote_describe(struct remote *remote);
/* What a program gets that asks for a job: the task and the job's id. A new reference. */
json_t *remote_input(struct remote *remote);
/* Begins a dialogue, in place of one that is still there. Takes `input`. */
void remote_ask(struct remote *remote, enum dialogue_kind kind, json_t *input,
                void (*done)(void *, const struct dialogue_outcome *));
/* What belongs to the job after an answer; what the answer does not name stays as in `old` (NULL: nothing is known). A
 * new reference. Texts that are too long are an adapter's fault that must not cost the job: they are left out. */
struct attempt_job *remote_job(const struct attempt_job *old, const char *id, const json_t *said);
/* The same, where it says what was used and nothing else of it counts; NULL where it does not say. */
struct attempt_job *remote_used(const struct remote *remote, const json_t *said);
/* What an answer says of the job, in `state`. */
enum remote_state {
    REMOTE_STATE_NONE, /* it has no state */
    REMOTE_STATE_PENDING,
    REMOTE_STATE_RENDERING,
    REMOTE_STATE_DONE,
    REMOTE_STATE_FAILED,
    REMOTE_STATE_CANCELLED,
    REMOTE_STATE_GONE,
    REMOTE_STATE_UNCLEAR,
    REMOTE_STATE_FOREIGN, /* a word that there is not */
};
/* `said` may be NULL. */
enum remote_state remote_state_of(const json_t *said);
/* Does an answer of a job under way say what its record does not hold yet? */
bool remote_has_news(const struct remote *remote, const json_t *said);

/* ---- remote_submit.c ---- */

/* A dialogue's: what it was asked to prepare is ready to leave. */
void remote_on_ready(void *context);
/* The same: images are fetched, or no more. */
void remote_on_fetching(void *context, bool is_fetching);
/* What was reserved of the credential for a submit that has not left. */
void remote_give_back(struct remote *remote);
/* Gives up its place among the submits under way. */
void remote_leave_submits(struct remote *remote);

/* ---- remote_poll.c ---- */

/* Where the upstream may call back: malloc'ed, NULL where it may not. */
char *remote_callback(const struct remote *remote);
/* Gives up its place among the polls under way, or in the line for one; those next in line ask in the room that is left. */
void remote_leave_polls(struct remote *remote);
/* At once, and after a pause from the second time on; as soon as there is room for a poll. */
void remote_poll_soon(struct remote *remote, int n);

/* ---- remote_verdict.c ---- */

/* A poll told this; before anything else is told. */
void remote_judge(struct remote *remote, enum remote_verdict verdict, const char *message);
/* A poll told nothing. */
void remote_judge_trouble(struct remote *remote, const char *note,
                          const struct dialogue_outcome *outcome);
/* The result was out of reach for the `n_tries`th time in a row. */
void remote_judge_unreached(struct remote *remote, int n_tries, const char *why);

/* ---- remote_result.c ---- */

/* Keeps what was cut out of an answer, past the dialogue. */
void remote_keep_blobs(struct remote *remote, const struct dialogue_outcome *outcome);
void remote_hold(struct remote *remote, const json_t *polled,
                 const struct dialogue_outcome *outcome);
void remote_drop_blobs(struct remote *remote);
void remote_halt_result(struct remote *remote, bool is_kept);
