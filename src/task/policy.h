/* SPDX-License-Identifier: Apache-2.0
 *
 * What to do when with an upstream: when to ask again, when to believe that a job is gone, when a credential is given a
 * rest, how long things take. All of it is pure: `now_ms` is a monotonic clock of the caller's, `dice` a random number
 * of his, 64 bits of it. No function fails, allocates or reads a clock. Nothing here is written to disk: a restart
 * learns anew, and a job taken up again begins a watch of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/* ---- how long renderings take ---- */

enum { POLICY_BINS = 48 };

/* A decaying histogram over logarithmic bins from 250 ms to about 6 hours. Zeroed: nothing is known. */
struct policy_durations {
    float weights[POLICY_BINS];
    float total;
};

/* One more rendering took `took_ms`, and began while `n_beside` others were under way; what is older counts for less. */
void policy_learn(struct policy_durations *durations, int64_t took_ms, int64_t n_beside);
/* The time within which a share `q` (0..1) of renderings is done; 0 while fewer than 3 are known. */
int64_t policy_quantile(const struct policy_durations *durations, double q);

/* ---- when to poll ---- */

struct policy_poll {
    int64_t first_ms; /* after acceptance, while nothing was learned */
    /* At least this between two polls of one task; what the adapter says, or the channel. */
    int64_t every_ms;
    int64_t longest_ms; /* at most this */
};

/* Of one job; zeroed when it is accepted, with `accepted_ms` set. */
struct policy_watch {
    /* After a restart: now, less what of the wall clock went by since; may be negative. */
    int64_t accepted_ms;
    int64_t polled_ms;     /* the last answer of any kind; 0: none */
    int64_t gone_first_ms; /* meaningful when n_gone > 0 */
    int n_polls;
    int n_troubles;        /* in a row: no verdict */
    int n_gone;            /* in a row: not there, or done without a result */
    bool is_empty;         /* they were the latter */
    double progress;       /* the last that was told, 0..1 */
    int64_t progress_ms;   /* when it last grew; 0: never told */
    int64_t hastened_ms;   /* the last look that a callback brought forward; 0: none did */
    int64_t rest_until_ms; /* the upstream asked not to be looked at before; 0: it did not */
    double before;         /* the progress before that one … */
    int64_t before_ms;     /* … and when it was told; 0: it was the first */
};

/* When to ask next, on the clock of `now_ms`; never before that. Each answer is noted first. Unlearned: `first_ms` after
 * acceptance, then at gaps that grow with age, ± 10 %. Learned: first where some begin to finish, then so that 99 of 100
 * are seen within 2 seconds where many finish (or as often as `every_ms` allows; what takes very long is seen within a
 * share of that), seldom where few do, and ever more seldom beyond all that is known. A told progress goes to 0.6 of
 * what it says is left, by its pace from the beginning or the latest, whichever is the faster; a first one to an eighth.
 * After trouble it backs off (from `every_ms`, at most 5 minutes, which may be more than `longest_ms`), and never before
 * `retry_after_ms` from now (0: no wish of the upstream's; an hour of it is believed). */
int64_t policy_next_poll(const struct policy_poll *poll, const struct policy_watch *watch,
                         const struct policy_durations *durations, int64_t now_ms,
                         int64_t retry_after_ms, uint64_t dice);

enum { POLICY_CALLBACK_EVERY_MS = 5 * 1000 };

/* The upstream called back, which is a hint and no more: when to look, where that was planned for `planned_ms`. At once, but
 * POLICY_CALLBACK_EVERY_MS after the look before that came so, whatever `every_ms` says, and not while the upstream wants to
 * be left alone. Never later than planned. */
int64_t policy_hasten_poll(const struct policy_watch *watch, int64_t planned_ms, int64_t now_ms);

/* ---- when clients poll us ---- */

/* What is known of a task that has not ended. */
struct policy_outlook {
    double wait_s;    /* until an engine begins; negative: unknown */
    double typical_s; /* of an engine's work, learned; negative: unknown */
    double elapsed_s; /* since an engine began; negative: none has */
    double progress;  /* 0..1, as told */
};

enum {
    POLICY_LOOK_LEAST_MS = 500,
    POLICY_LOOK_UNKNOWN_MS = 1000, /* what the OpenAI SDKs do by themselves */
    POLICY_LOOK_MOST_MS = 60 * 1000,
};

/* In how many ms a client should look again: at half of what seems to be left, so that each look comes nearer and the last
 * ones are close together. */
int64_t policy_look_again(const struct policy_outlook *outlook);

enum { POLICY_GONE_POLLS = 3, POLICY_GONE_MS = 60 * 1000 };

/* Notes one answer: pending or rendering; `progress` is negative when it told none. */
void policy_note_progress(struct policy_watch *watch, double progress, int64_t now_ms);
/* No verdict: 408, 425, 429, 5xx, reset, nonsense. */
void policy_note_trouble(struct policy_watch *watch, int64_t now_ms);
/* The upstream says that it does not know the job. True once POLICY_GONE_POLLS answers in a row over at least
 * POLICY_GONE_MS said so. Trouble between two of them changes nothing, any other verdict begins anew. */
CHECKED bool policy_note_gone(struct policy_watch *watch, int64_t now_ms);
/* It is done, and there is no result: to be believed? As long: who says so may be a step before who names it. */
CHECKED bool policy_note_empty(struct policy_watch *watch, int64_t now_ms);

/* ---- pauses ---- */

/* base * 2^(n-1), at most `most_ms`, and up to a quarter less of it by the dice, so that many do not come at once. */
int64_t policy_backoff(int64_t base_ms, int64_t most_ms, int n, uint64_t dice);

/* ---- breaker of a credential ---- */

enum policy_breaker_state { POLICY_CLOSED, POLICY_OPEN, POLICY_HALF_OPEN };

enum {
    POLICY_BREAKER_FAILURES = 5, /* in a row open it */
    /* How long it stays open; doubled each time that its trial fails … */
    POLICY_BREAKER_FIRST_MS = 5 * 1000,
    POLICY_BREAKER_MOST_MS = 5 * 60 * 1000,      /* … up to this */
    POLICY_RETRY_AFTER_MOST_MS = 60 * 60 * 1000, /* what of an upstream's Retry-After is believed */
};

/* Zeroed: closed. While open nothing is submitted; polls go on. After its time one submit is let through on trial
 * (half open): its success closes, its failure opens again for longer. */
struct policy_breaker {
    enum policy_breaker_state state;
    int n_failures;   /* in a row */
    int n_openings;   /* without a success between */
    int64_t until_ms; /* open until; half open: when the trial is given up and another may leave */
};

/* How it stands: what is open passes into half open by time alone. */
enum policy_breaker_state policy_breaker_look(const struct policy_breaker *breaker, int64_t now_ms);
/* May a submit be let through now? When it is, say so with policy_breaker_try(). */
bool policy_breaker_allows(const struct policy_breaker *breaker, int64_t now_ms);
/* One is let through: is it the trial? */
bool policy_breaker_try(struct policy_breaker *breaker, int64_t now_ms);
/* The trial never left: another may be made. */
void policy_breaker_withdraw(struct policy_breaker *breaker, int64_t now_ms);
/* A submit went well. While open that is one which left before, and does not close it. */
void policy_breaker_succeed(struct policy_breaker *breaker);
/* An exchange found the upstream in trouble (out of reach, 5xx, time-out). While open it changes nothing. */
void policy_breaker_fail(struct policy_breaker *breaker, int64_t now_ms);
/* The upstream asks for a rest (429 with or without Retry-After), or will not have this credential (`is_refused`: bad key,
 * no money): open at once for `rest_ms`, at most an hour (0: as a failure that opens). A longer rest asked before stands. */
void policy_breaker_rest(struct policy_breaker *breaker, int64_t rest_ms, int64_t now_ms);

/* ---- budgets per minute ---- */

/* A token bucket; its capacity is a sixth of a minute's budget, at least 1. Zeroed: full. */
struct policy_bucket {
    double spent;
    int64_t at_ms;
};

/* Takes one of `per_minute` (0: no limit). 0: taken; else how many ms until there will be one, and nothing was taken. */
CHECKED int64_t policy_take(struct policy_bucket *bucket, int64_t per_minute, int64_t now_ms);
/* What was taken was not used. */
void policy_give_back(struct policy_bucket *bucket);
