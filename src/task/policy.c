/* SPDX-License-Identifier: Apache-2.0
 *
 * What is learned of an upstream's pace, and when to ask it, trust it or leave it alone. Invariants: nothing here waits,
 * allocates or reads a clock; no answer lies before `now_ms`; whatever the numbers given, two polls of one task are at
 * least `every_ms` apart, but for those that callbacks bring forward. Any thread that owns the struct it passes. */
#include "task/policy.h"

#include <limits.h>
#include <math.h>

/* ---- how long renderings take ---- */

/* Bin i reaches from 250 ms * RATIO^i up to that of i + 1: 48 of them end at 6 hours, each about 27 % wide. The first
 * takes all that is shorter, the last all that is longer. */
static const double bin_first_ms = 250.0;
static const double bin_log_ratio = 0.23680714; /* ln(6 h / 250 ms) / 48 */

/* About so many renderings count, and of what began beside others this many times as many: when a crowd ends, those that
 * end last are the slowest, and must not be taken for all. */
static const float learned_memory = 100.0F, learned_memory_beside = 4.0F;
/* Three of them, the decay allowed for. */
static const float learned_least = 2.9F;

static double bin_begin_ms(int bin)
{
    return bin == 0 ? 0.0 : bin_first_ms * exp(bin_log_ratio * bin);
}

static int bin_of(double ms)
{
    if (ms <= bin_first_ms)
        return 0;
    double bin = log(ms / bin_first_ms) / bin_log_ratio;
    return bin < POLICY_BINS - 1 ? (int)bin : POLICY_BINS - 1;
}

void policy_learn(struct policy_durations *durations, int64_t took_ms, int64_t n_beside)
{
    const float beside = n_beside > 0 ? (float)n_beside : 0.0F;
    const float decay = 1.0F - 1.0F / (learned_memory + learned_memory_beside * beside);
    durations->total = 0.0F;
    for (int i = 0; i < POLICY_BINS; i++) {
        durations->weights[i] *= decay;
        if (i == bin_of((double)took_ms))
            durations->weights[i] += 1.0F;
        durations->total += durations->weights[i];
    }
}

static bool is_known(const struct policy_durations *durations)
{
    return durations->total >= learned_least;
}

/* The share of all that is in a bin. Few that are known do not say how wide the distribution is: each bin lends some of
 * its weight to its neighbours, a sixth to each while three are known, a hundredth in the long run. */
static double share_of_bin(const struct policy_durations *durations, int bin)
{
    const double total = (double)durations->total, lent = 1.0 / (total + 3.0);
    const double own = (double)durations->weights[bin];
    const double left = bin > 0 ? (double)durations->weights[bin - 1] : own;
    const double right = bin < POLICY_BINS - 1 ? (double)durations->weights[bin + 1] : own;
    return (own + lent * (left + right - 2.0 * own)) / total;
}

/* The share of all that is done within `ms`, as if a bin's own were spread evenly over it. */
static double share_done_by(const struct policy_durations *durations, double ms)
{
    double share = 0.0;
    for (int i = 0; i < POLICY_BINS; i++) {
        const double begin_ms = bin_begin_ms(i), end_ms = bin_begin_ms(i + 1);
        if (ms <= begin_ms)
            break;
        const double part = ms < end_ms ? (ms - begin_ms) / (end_ms - begin_ms) : 1.0;
        share += part * share_of_bin(durations, i);
    }
    return share < 1.0 ? share : 1.0;
}

/* The inverse of that. */
static double quantile_ms(const struct policy_durations *durations, double q)
{
    double share = 0.0;
    for (int i = 0; i < POLICY_BINS; i++) {
        const double here = share_of_bin(durations, i);
        if (here > 0.0 && share + here >= q) {
            const double begin_ms = bin_begin_ms(i), end_ms = bin_begin_ms(i + 1);
            const double part = q > share ? (q - share) / here : 0.0;
            return begin_ms + part * (end_ms - begin_ms);
        }
        share += here;
    }
    return bin_begin_ms(POLICY_BINS);
}

int64_t policy_quantile(const struct policy_durations *durations, double q)
{
    return is_known(durations) ? (int64_t)quantile_ms(durations, q) : 0;
}

/* ---- when to poll ---- */

/* Between two polls where many finish: 99 of 100 are then seen within 2 seconds, jitter and all. */
static const double bulk_gap_ms = 1950.0;
/* What takes an hour need not be seen within 2 seconds: a poll for each of this many parts of the distribution's width. */
static const double bulk_parts = 256.0;
/* The share that may finish earlier than a gap before a poll, and so be seen late: before the first poll, and before each
 * of the others. Little for these, as there are many of them; it lets them leap over a time in which nothing finishes. */
static const double late_share_first = 0.005, late_share_next = 0.0005;
/* From this quantile on the distribution is no guide any more. */
static const double known_until = 0.995;
/* A told progress may keep polls away up to this quantile. */
static const double progress_until = 0.9;
static const double progress_least = 0.05;
/* Of what it says is left. */
static const double progress_first = 0.125, progress_next = 0.6;
/* Of the time since the known distribution ended, or since acceptance while nothing is known. */
static const double growth_beyond = 0.125, growth_unknown = 1.0 / 16.0;
/* Of a gap. What was learned is no less exact for being a long leap: at most so much of such a gap is jitter. */
static const double jitter_share = 0.1, jitter_most_ms = 50.0;
/* What is learned of few is trusted less: leaps are cut to n / (n + this), growth beyond the known to n / (n + that). */
static const double doubt_of_leap = 2.0, doubt_of_end = 10.0;

enum {
    TROUBLE_FIRST_MS = 1000,
    TROUBLE_MOST_MS = 5 * 60 * 1000,
    GONE_FIRST_MS = 2000,
};

static double clamp(double value, double least, double most)
{
    if (value > most)
        value = most;
    return value > least ? value : least;
}

/* 0 up to 1. */
static double fraction_of(uint64_t dice)
{
    return (double)(dice >> 11) * 0x1p-53;
}

static double trust(const struct policy_durations *durations, double doubt)
{
    return (double)durations->total / ((double)durations->total + doubt);
}

/* The gap after a look at `elapsed_ms`, from what is known of the others. */
static double gap_by_durations(const struct policy_durations *durations, double elapsed_ms,
                               bool is_first)
{
    const double width_ms = quantile_ms(durations, 0.99) - quantile_ms(durations, 0.01);
    const double bulk_ms = fmax(bulk_gap_ms, width_ms / bulk_parts);
    const double end_ms = quantile_ms(durations, known_until);
    if (elapsed_ms >= end_ms)
        return bulk_ms + growth_beyond * trust(durations, doubt_of_end) * (elapsed_ms - end_ms);
    const double done = share_done_by(durations, elapsed_ms);
    const double late = is_first ? late_share_first : late_share_next;
    const double until_ms = quantile_ms(durations, done + late * (1.0 - done));
    const double leap_ms = fmax(until_ms - elapsed_ms, 0.0);
    return leap_ms * trust(durations, doubt_of_leap) + bulk_ms;
}

static double gap_of(const struct policy_poll *poll, const struct policy_watch *watch,
                     const struct policy_durations *durations, double elapsed_ms)
{
    if (is_known(durations))
        return gap_by_durations(durations, elapsed_ms, watch->n_polls == 0);
    if (watch->n_polls == 0)
        return (double)poll->first_ms;
    return (double)poll->every_ms + growth_unknown * elapsed_ms;
}

/* What is left, should it go on as from `from` at `from_ms` to the told progress. */
static double left_by_pace(const struct policy_watch *watch, double elapsed_ms, double from,
                           int64_t from_ms)
{
    const double pace = (double)(watch->progress_ms - from_ms) / (watch->progress - from);
    const double since_ms = elapsed_ms - (double)(watch->progress_ms - watch->accepted_ms);
    return (1.0 - watch->progress) * pace - since_ms;
}

/* A good half of what is left by the told progress: near the end the polls come close together, and a progress that was too
 * hopeful is asked again. The pace since the progress before counts, too, where it is the faster one: not all begin at
 * once, or go evenly. A first word, which has no such pace, is asked again earlier. Negative: progress tells nothing. */
static double gap_by_progress(const struct policy_watch *watch, double elapsed_ms)
{
    if (watch->progress_ms == 0 || watch->progress <= progress_least)
        return -1.0;
    const double left_ms = left_by_pace(watch, elapsed_ms, 0.0, watch->accepted_ms);
    if (watch->before_ms == 0)
        return left_ms * progress_first;
    const double left_of_late_ms = left_by_pace(watch, elapsed_ms, watch->before, watch->before_ms);
    return fmin(left_ms, left_of_late_ms) * progress_next;
}

/* The gap from the last look (or acceptance), before jitter. */
static double plan_gap(const struct policy_poll *poll, const struct policy_watch *watch,
                       const struct policy_durations *durations, double elapsed_ms)
{
    const double gap_ms = gap_of(poll, watch, durations, elapsed_ms);
    const double told_ms = gap_by_progress(watch, elapsed_ms);
    if (told_ms <= 0.0)
        return gap_ms;
    const bool is_late =
        is_known(durations) && elapsed_ms >= quantile_ms(durations, progress_until);
    return is_late ? fmin(gap_ms, told_ms) : fmax(told_ms, bulk_gap_ms);
}

/* A job that is said to be gone is asked for soon, should the upstream only have been slow to learn of it, then ever more
 * seldom, and once more just when the verdict can fall. */
static double gap_when_gone(const struct policy_watch *watch, double elapsed_ms, uint64_t dice)
{
    const double verdict_ms =
        (double)(watch->gone_first_ms + POLICY_GONE_MS - watch->accepted_ms) - elapsed_ms;
    const double gap_ms =
        (double)policy_backoff(GONE_FIRST_MS, POLICY_GONE_MS / 2, watch->n_gone, dice);
    return verdict_ms > 0.0 ? fmin(gap_ms, verdict_ms) : gap_ms;
}

static double jitter_of(double gap_ms, bool is_learned, uint64_t dice)
{
    double most_ms = jitter_share * gap_ms;
    if (is_learned)
        most_ms = fmin(most_ms, jitter_most_ms);
    return most_ms * (2.0 * fraction_of(dice) - 1.0);
}

static int64_t later(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

int64_t policy_next_poll(const struct policy_poll *poll, const struct policy_watch *watch,
                         const struct policy_durations *durations, int64_t now_ms,
                         int64_t retry_after_ms, uint64_t dice)
{
    const int64_t looked_ms = watch->polled_ms != 0 ? watch->polled_ms : watch->accepted_ms;
    const double elapsed_ms = fmax((double)(looked_ms - watch->accepted_ms), 0.0);
    const double least_ms = (double)poll->every_ms;
    const double most_ms = fmax((double)poll->longest_ms, least_ms);
    double gap_ms = plan_gap(poll, watch, durations, elapsed_ms);
    gap_ms += jitter_of(gap_ms, is_known(durations), dice);
    if (watch->n_gone > 0)
        gap_ms = gap_when_gone(watch, elapsed_ms, dice);
    int64_t at_ms = looked_ms + (int64_t)ceil(clamp(gap_ms, least_ms, most_ms));
    if (watch->n_troubles > 0) {
        int64_t base_ms = later(poll->every_ms, TROUBLE_FIRST_MS);
        int64_t wait_ms = policy_backoff(base_ms, TROUBLE_MOST_MS, watch->n_troubles, dice);
        at_ms = later(at_ms, looked_ms + wait_ms);
    }
    /* Overdue, as after a restart: soon, but not all at once. */
    if (at_ms < now_ms)
        at_ms = now_ms + (int64_t)(fraction_of(dice) * least_ms);
    if (retry_after_ms > POLICY_RETRY_AFTER_MOST_MS)
        retry_after_ms = POLICY_RETRY_AFTER_MOST_MS;
    return retry_after_ms > 0 ? later(at_ms, now_ms + retry_after_ms) : at_ms;
}

int64_t policy_hasten_poll(const struct policy_watch *watch, int64_t planned_ms, int64_t now_ms)
{
    int64_t at_ms = later(now_ms, watch->rest_until_ms);
    if (watch->hastened_ms != 0)
        at_ms = later(at_ms, watch->hastened_ms + POLICY_CALLBACK_EVERY_MS);
    planned_ms = later(planned_ms, now_ms);
    return at_ms < planned_ms ? at_ms : planned_ms;
}

static void note_answer(struct policy_watch *watch, int64_t now_ms)
{
    watch->polled_ms = now_ms;
    if (watch->n_polls < INT_MAX)
        watch->n_polls++;
}

void policy_note_progress(struct policy_watch *watch, double progress, int64_t now_ms)
{
    note_answer(watch, now_ms);
    watch->n_troubles = 0;
    watch->n_gone = 0;
    watch->gone_first_ms = 0;
    if (progress > 1.0)
        progress = 1.0;
    if (progress > watch->progress) { /* NaN is not */
        watch->before = watch->progress;
        watch->before_ms = watch->progress_ms;
        watch->progress = progress;
        watch->progress_ms = now_ms;
    }
}

void policy_note_trouble(struct policy_watch *watch, int64_t now_ms)
{
    note_answer(watch, now_ms);
    if (watch->n_troubles < INT_MAX)
        watch->n_troubles++;
}

/* In a row, of one kind. */
static bool note_doubt(struct policy_watch *watch, bool is_empty, int64_t now_ms)
{
    note_answer(watch, now_ms);
    watch->n_troubles = 0;
    if (watch->is_empty != is_empty)
        watch->n_gone = 0;
    watch->is_empty = is_empty;
    if (watch->n_gone == 0)
        watch->gone_first_ms = now_ms;
    if (watch->n_gone < INT_MAX)
        watch->n_gone++;
    return watch->n_gone >= POLICY_GONE_POLLS && now_ms - watch->gone_first_ms >= POLICY_GONE_MS;
}

bool policy_note_gone(struct policy_watch *watch, int64_t now_ms)
{
    return note_doubt(watch, false, now_ms);
}

bool policy_note_empty(struct policy_watch *watch, int64_t now_ms)
{
    return note_doubt(watch, true, now_ms);
}

/* ---- when clients poll us ---- */

/* What seems to be left, in seconds; negative: nobody knows. */
static double left_s(const struct policy_outlook *outlook)
{
    double elapsed_s = outlook->elapsed_s;
    if (elapsed_s < 0 && outlook->wait_s < 0 && outlook->typical_s < 0)
        return -1;
    if (elapsed_s < 0)
        return fmax(outlook->wait_s, 0) + fmax(outlook->typical_s, 0);
    if (outlook->progress >= progress_least)
        return elapsed_s * (1 - outlook->progress) / outlook->progress;
    if (outlook->typical_s < 0)
        return -1;
    /* What is late may take as long again; nobody need ask twice a second for it. */
    return fmax(outlook->typical_s - elapsed_s, elapsed_s * growth_beyond);
}

int64_t policy_look_again(const struct policy_outlook *outlook)
{
    double left = left_s(outlook);
    if (!(left >= 0)) /* no number is unknown, too */
        return POLICY_LOOK_UNKNOWN_MS;
    return (int64_t)clamp(left * 1000.0 / 2, POLICY_LOOK_LEAST_MS, POLICY_LOOK_MOST_MS);
}

/* ---- pauses ---- */

int64_t policy_backoff(int64_t base_ms, int64_t most_ms, int n, uint64_t dice)
{
    int64_t wait_ms = base_ms > 0 ? base_ms : 0;
    for (int i = 1; i < n && wait_ms > 0 && wait_ms < most_ms; i++)
        wait_ms = wait_ms > most_ms / 2 ? most_ms : wait_ms * 2;
    if (wait_ms > most_ms)
        wait_ms = most_ms;
    int64_t span_ms = wait_ms / 4;
    return wait_ms - (int64_t)(fraction_of(dice) * (double)span_ms);
}

/* ---- breaker of a credential ---- */

enum policy_breaker_state policy_breaker_look(const struct policy_breaker *breaker, int64_t now_ms)
{
    if (breaker->state == POLICY_OPEN && now_ms >= breaker->until_ms)
        return POLICY_HALF_OPEN;
    return breaker->state;
}

/* While half open `until_ms` is when the trial is given up: its outcome may never be told, and another may try then. */
bool policy_breaker_allows(const struct policy_breaker *breaker, int64_t now_ms)
{
    return breaker->state == POLICY_CLOSED || now_ms >= breaker->until_ms;
}

bool policy_breaker_try(struct policy_breaker *breaker, int64_t now_ms)
{
    if (breaker->state == POLICY_CLOSED || !policy_breaker_allows(breaker, now_ms))
        return false;
    breaker->state = POLICY_HALF_OPEN;
    breaker->until_ms = now_ms + POLICY_BREAKER_MOST_MS;
    return true;
}

void policy_breaker_withdraw(struct policy_breaker *breaker, int64_t now_ms)
{
    if (breaker->state == POLICY_HALF_OPEN)
        breaker->until_ms = now_ms;
}

void policy_breaker_succeed(struct policy_breaker *breaker)
{
    breaker->n_failures = 0;
    if (breaker->state != POLICY_OPEN)
        *breaker = (struct policy_breaker){.state = POLICY_CLOSED};
}

static void open_for(struct policy_breaker *breaker, int64_t rest_ms, int64_t now_ms)
{
    /* What it knew of before, an earlier rest, stands when it is the longer one. */
    const bool was_open = breaker->state == POLICY_OPEN;
    breaker->until_ms = later(was_open ? breaker->until_ms : 0, now_ms + rest_ms);
    breaker->state = POLICY_OPEN;
}

static void open_longer(struct policy_breaker *breaker, int64_t now_ms)
{
    if (breaker->n_openings < INT_MAX)
        breaker->n_openings++;
    /* No dice: submits wait in a queue of ours, and one of them goes on trial. */
    open_for(
        breaker,
        policy_backoff(POLICY_BREAKER_FIRST_MS, POLICY_BREAKER_MOST_MS, breaker->n_openings, 0),
        now_ms);
}

void policy_breaker_fail(struct policy_breaker *breaker, int64_t now_ms)
{
    if (breaker->n_failures < INT_MAX)
        breaker->n_failures++;
    const bool has_had_enough = breaker->n_failures >= POLICY_BREAKER_FAILURES;
    if (breaker->state == POLICY_HALF_OPEN || (breaker->state == POLICY_CLOSED && has_had_enough))
        open_longer(breaker, now_ms);
}

void policy_breaker_rest(struct policy_breaker *breaker, int64_t rest_ms, int64_t now_ms)
{
    if (rest_ms > POLICY_RETRY_AFTER_MOST_MS)
        rest_ms = POLICY_RETRY_AFTER_MOST_MS;
    if (rest_ms > 0)
        open_for(breaker, rest_ms, now_ms);
    else if (breaker->state != POLICY_OPEN)
        open_longer(breaker, now_ms);
}

/* ---- budgets per minute ---- */

int64_t policy_take(struct policy_bucket *bucket, int64_t per_minute, int64_t now_ms)
{
    if (per_minute <= 0)
        return 0;
    const double per_ms = (double)per_minute / 60000.0;
    const double capacity = fmax((double)per_minute / 6.0, 1.0);
    if (now_ms > bucket->at_ms) {
        bucket->spent = fmax(bucket->spent - per_ms * (double)(now_ms - bucket->at_ms), 0.0);
        bucket->at_ms = now_ms;
    }
    const double missing = bucket->spent + 1.0 - capacity;
    if (missing <= 1e-9) { /* what a wait told here falls short of by rounding */
        bucket->spent += 1.0;
        return 0;
    }
    return (int64_t)ceil(missing / per_ms);
}

void policy_give_back(struct policy_bucket *bucket)
{
    bucket->spent = bucket->spent > 1.0 ? bucket->spent - 1.0 : 0.0;
}
