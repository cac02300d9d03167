/* SPDX-License-Identifier: Apache-2.0
 *
 * The policies towards upstreams: what is learned, when to ask, when to believe, when to rest. Polling is measured too,
 * beside fixed intervals and beside the best that a schedule can do; all of it is arithmetic with fixed seeds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/must.h"
#include "task/policy.h"

#include "best_schedule.h"

static const uint64_t dice_low = 0, dice_high = UINT64_MAX, dice_middle = UINT64_C(1) << 63;

static const struct policy_poll quick = {.first_ms = 10000, .every_ms = 500, .longest_ms = 60000};

static uint64_t random_bits(uint64_t *seed)
{
    /* xorshift64: any fixed sequence will do */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static double random_fraction(uint64_t *seed)
{
    return ((double)(random_bits(seed) >> 11) + 0.5) * 0x1p-53;
}

static double random_normal(uint64_t *seed)
{
    const double radius = sqrt(-2.0 * log(random_fraction(seed)));
    return radius * cos(2.0 * 3.14159265358979323846 * random_fraction(seed));
}

static double random_duration(uint64_t *seed, double median_ms, double sigma)
{
    return median_ms * exp(sigma * random_normal(seed));
}

/* ---- measuring ---- */

enum { N_TASKS = 20000 };

struct measured {
    double polls, p50_ms, p99_ms;
};

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct measured measure_of(double *lags, size_t n_polls)
{
    qsort(lags, N_TASKS, sizeof *lags, compare_doubles);
    return (struct measured){.polls = (double)n_polls / N_TASKS,
                             .p50_ms = lags[N_TASKS / 2],
                             .p99_ms = lags[N_TASKS * 99 / 100]};
}

static void print_measured(const char *name, struct measured m)
{
    print_message("# %-34s %6.1f polls a task, seen after p50 %5.0f ms, p99 %6.0f ms\n", name,
                  m.polls, m.p50_ms, m.p99_ms);
}

/* What an upstream tells when a share of the time has passed: negative: nothing. */
static double tells_nothing(double passed)
{
    (void)passed;
    return -1.0;
}

static double tells_percent(double passed)
{
    return floor(passed * 100.0) / 100.0;
}

static double tells_percent_of_late_begin(double passed)
{
    return passed < 0.3 ? 0.0 : tells_percent((passed - 0.3) / 0.7);
}

static double tells_ever_faster(double passed)
{
    return tells_percent(passed * passed);
}

static double tells_ever_slower(double passed)
{
    return tells_percent(sqrt(passed));
}

/* A task is found done at the first poll after its end; `n_learned` others ended before it. */
static struct measured measure_telling(const struct policy_poll *poll, double median_ms,
                                       double sigma, int n_learned, double (*tell)(double passed))
{
    uint64_t seed = 88172645463325252u;
    double *lags = must_calloc(N_TASKS, sizeof *lags);
    size_t n_polls = 0;
    struct policy_durations durations = {0};
    for (int i = 0; i < n_learned; i++)
        policy_learn(&durations, (int64_t)random_duration(&seed, median_ms, sigma), 0);
    for (size_t i = 0; i < N_TASKS; i++) {
        const double took_ms = random_duration(&seed, median_ms, sigma);
        struct policy_watch watch = {.accepted_ms = 1000};
        int64_t now_ms = watch.accepted_ms;
        do {
            now_ms = policy_next_poll(poll, &watch, &durations, now_ms, 0, random_bits(&seed));
            const double passed = (double)(now_ms - watch.accepted_ms) / took_ms;
            policy_note_progress(&watch, passed < 1.0 ? tell(passed) : -1.0, now_ms);
            n_polls++;
        } while ((double)(now_ms - watch.accepted_ms) < took_ms);
        lags[i] = (double)(now_ms - watch.accepted_ms) - took_ms;
        if (n_learned >= 100) /* else it stays at so few */
            policy_learn(&durations, (int64_t)took_ms, 0);
    }
    struct measured measured = measure_of(lags, n_polls);
    free(lags);
    return measured;
}

static struct measured measure_policy(const struct policy_poll *poll, double median_ms,
                                      double sigma, int n_learned)
{
    return measure_telling(poll, median_ms, sigma, n_learned, tells_nothing);
}

static struct measured measure_fixed(double every_ms, double median_ms, double sigma)
{
    uint64_t seed = 88172645463325252u;
    double *lags = must_calloc(N_TASKS, sizeof *lags);
    size_t n_polls = 0;
    for (size_t i = 0; i < N_TASKS; i++) {
        const double took_ms = random_duration(&seed, median_ms, sigma);
        const double n = ceil(took_ms / every_ms);
        n_polls += (size_t)n;
        lags[i] = n * every_ms - took_ms;
    }
    struct measured measured = measure_of(lags, n_polls);
    free(lags);
    return measured;
}

static void polling_is_near_the_best_possible(void **context)
{
    (void)context;
    const struct measured ours = measure_policy(&quick, 60000, 0.3, 1000);
    const struct measured every_2s = measure_fixed(2000, 60000, 0.3);
    const struct measured every_5s = measure_fixed(5000, 60000, 0.3);
    const struct measured every_15s = measure_fixed(15000, 60000, 0.3);
    const double best = best_polls(60000, 0.3, 2000);
    print_message("# durations: lognormal, median 60 s, sigma 0.3\n");
    print_measured("learned of about the last 100", ours);
    print_measured("learned of 10", measure_policy(&quick, 60000, 0.3, 10));
    print_measured("learned of 3", measure_policy(&quick, 60000, 0.3, 3));
    print_measured("nothing learned", measure_policy(&quick, 60000, 0.3, 0));
    print_measured("fixed, 2 s", every_2s);
    print_measured("fixed, 5 s", every_5s);
    print_measured("fixed, 15 s", every_15s);
    print_message("# %-34s %6.1f polls a task, seen after p99   2000 ms\n",
                  "best possible, all known ahead", best);
    print_message("# %-34s %6.1f polls a task, seen after p99   5000 ms\n",
                  "best possible, all known ahead", best_polls(60000, 0.3, 5000));
    assert_true(ours.p99_ms < every_5s.p99_ms);
    assert_true(ours.p99_ms < 2000.0);
    assert_true(ours.polls < every_2s.polls);
    assert_true(ours.polls < 1.25 * best);
}

/* Whether its pace is even or not: seen as soon as without, for half of what polls at 5 seconds cost. An upstream that
 * begins late, or speeds up, does not lead past its end. */
static void told_progress_saves_polls_and_is_not_believed_blindly(void **context)
{
    (void)context;
    static const struct {
        const char *name;
        double (*tell)(double passed);
        double most_polls, most_p99_ms;
    } rows[] = {
        {"told: percent", tells_percent, 6.6, 2000},
        {"told: percent, from a third on", tells_percent_of_late_begin, 7.0, 2100},
        {"told: ever faster", tells_ever_faster, 6.6, 4000},
        {"told: ever slower", tells_ever_slower, 13.1, 2000},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct measured m = measure_telling(&quick, 60000, 0.3, 1000, rows[i].tell);
        print_measured(rows[i].name, m);
        assert_true(m.polls < rows[i].most_polls);
        assert_true(m.p99_ms < rows[i].most_p99_ms);
    }
}

/* ---- what is learned ---- */

static struct policy_durations learned(int n, int64_t took_ms)
{
    struct policy_durations durations = {0};
    for (int i = 0; i < n; i++)
        policy_learn(&durations, took_ms, 0);
    return durations;
}

static void two_are_not_enough_to_know(void **context)
{
    (void)context;
    struct policy_durations durations = {0};
    for (int n = 0; n < 3; n++) {
        assert_int_equal(policy_quantile(&durations, 0.5), 0);
        policy_learn(&durations, 60000, 0);
    }
    assert_true(policy_quantile(&durations, 0.5) > 0);
}

static void quantiles_are_within_a_bin_of_the_truth(void **context)
{
    (void)context;
    static const struct {
        double q, normal;
    } rows[] = {{0.05, -1.645}, {0.25, -0.674}, {0.5, 0.0}, {0.75, 0.674}, {0.95, 1.645}};
    static const double medians_ms[] = {2000, 60000, 1800000};
    for (size_t m = 0; m < ARRAY_LENGTH(medians_ms); m++) {
        uint64_t seed = 4101842887655102017u;
        struct policy_durations durations = {0};
        for (int i = 0; i < 2000; i++)
            policy_learn(&durations, (int64_t)random_duration(&seed, medians_ms[m], 0.5), 0);
        for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
            const double truth = medians_ms[m] * exp(0.5 * rows[i].normal);
            const double found = (double)policy_quantile(&durations, rows[i].q);
            assert_true(found > truth / 1.27 && found < truth * 1.27);
        }
    }
}

static void quantiles_never_fall(void **context)
{
    (void)context;
    uint64_t seed = 17u;
    struct policy_durations durations = {0};
    for (int i = 0; i < 300; i++)
        policy_learn(&durations, (int64_t)random_duration(&seed, 20000, 2.0), 0);
    for (int i = 1; i <= 1000; i++)
        assert_true(policy_quantile(&durations, i / 1000.0) >=
                    policy_quantile(&durations, (i - 1) / 1000.0));
}

/* Three equal ones do not say that all are: what is known is as wide as it is uncertain. */
static void few_are_taken_for_more_than_they_are(void **context)
{
    (void)context;
    const struct policy_durations few = learned(3, 60000), many = learned(500, 60000);
    assert_true(policy_quantile(&few, 0.05) < 50000 && policy_quantile(&few, 0.95) > 80000);
    assert_true(policy_quantile(&many, 0.05) > 50000 && policy_quantile(&many, 0.95) < 80000);
}

/* What was is forgotten: after 300 of another length the old ones weigh less than a twentieth. */
static void the_past_decays(void **context)
{
    (void)context;
    struct policy_durations durations = learned(500, 10000);
    for (int i = 0; i < 300; i++)
        policy_learn(&durations, 300000, 0);
    assert_true(policy_quantile(&durations, 0.06) > 100000);
    assert_true(durations.total > 99.0F && durations.total < 100.5F);
}

/* A thousand that began at once end in the order of their lengths: the last hundred are not all. */
static void a_crowd_is_learned_whole(void **context)
{
    (void)context;
    uint64_t seed = 4101842887655102017u;
    static double took_ms[1000];
    struct policy_durations durations = {0}, few = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(took_ms); i++)
        took_ms[i] = random_duration(&seed, 60000, 0.3);
    qsort(took_ms, ARRAY_LENGTH(took_ms), sizeof took_ms[0], compare_doubles);
    for (size_t i = 0; i < ARRAY_LENGTH(took_ms); i++) {
        policy_learn(&durations, (int64_t)took_ms[i], (int64_t)ARRAY_LENGTH(took_ms) - 1);
        policy_learn(&few, (int64_t)took_ms[i], -1);
    }
    assert_true(policy_quantile(&durations, 0.05) < 45000);
    assert_true(policy_quantile(&durations, 0.5) > 50000);
    assert_true(policy_quantile(&durations, 0.5) < 70000);
    assert_true(policy_quantile(&few, 0.05) > 60000); /* what it would be else */
}

static void what_lies_outside_all_bins_is_taken(void **context)
{
    (void)context;
    static const int64_t odd_ms[] = {INT64_MIN, -1, 0, 1, 250, INT64_C(21600000), INT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(odd_ms); i++) {
        struct policy_durations durations = learned(3, odd_ms[i]);
        const int64_t median_ms = policy_quantile(&durations, 0.5);
        assert_true(median_ms >= 0 && median_ms <= INT64_C(21600001));
        assert_true((median_ms > 10000000) == (odd_ms[i] > 10000000));
    }
}

/* ---- when to poll ---- */

static const struct policy_poll slow = {.first_ms = 10000, .every_ms = 5000, .longest_ms = 60000};

static void unlearned_polls_begin_at_first_and_slow_down(void **context)
{
    (void)context;
    const struct policy_durations nothing = {0};
    struct policy_watch watch = {.accepted_ms = 5000};
    int64_t at_ms = policy_next_poll(&slow, &watch, &nothing, 5000, 0, dice_middle);
    assert_int_equal(at_ms, 15000);
    assert_int_equal(policy_next_poll(&slow, &watch, &nothing, 5000, 0, dice_low), 14000);
    assert_true(policy_next_poll(&slow, &watch, &nothing, 5000, 0, dice_high) <= 16000);
    int64_t gap_ms = 0;
    while (at_ms < 3600000) {
        policy_note_progress(&watch, -1.0, at_ms);
        const int64_t next_ms = policy_next_poll(&slow, &watch, &nothing, at_ms, 0, dice_middle);
        assert_true(next_ms - at_ms >= gap_ms && next_ms - at_ms >= slow.every_ms);
        gap_ms = next_ms - at_ms;
        at_ms = next_ms;
    }
    assert_int_equal(gap_ms, slow.longest_ms);
    assert_true(watch.n_polls > 60 && watch.n_polls < 120);
}

/* Whatever the numbers: never sooner than every_ms after the last, never later than longest_ms, never in the past. */
static void polls_keep_their_distance(void **context)
{
    (void)context;
    uint64_t seed = 5u;
    for (int i = 0; i < 20000; i++) {
        struct policy_durations durations = {0};
        for (uint64_t n = random_bits(&seed) % 6; n > 0; n--)
            policy_learn(&durations, (int64_t)random_duration(&seed, 60000, 1.0), 0);
        const struct policy_poll poll = {.first_ms = (int64_t)(random_bits(&seed) % 30000),
                                         .every_ms = 250 + (int64_t)(random_bits(&seed) % 9000),
                                         .longest_ms = 20000};
        struct policy_watch watch = {.accepted_ms = 100};
        int64_t now_ms = 100 + (int64_t)(random_bits(&seed) % 200000);
        if (random_bits(&seed) % 2 == 0)
            policy_note_progress(&watch, random_fraction(&seed), now_ms);
        else
            now_ms = watch.accepted_ms;
        const int64_t at_ms =
            policy_next_poll(&poll, &watch, &durations, now_ms, 0, random_bits(&seed));
        assert_true(at_ms >= now_ms + poll.every_ms);
        assert_true(at_ms <= now_ms + poll.longest_ms);
    }
}

static int64_t first_look(int n_learned)
{
    const struct policy_durations durations = learned(n_learned, 60000);
    const struct policy_watch watch = {.accepted_ms = 1000};
    return policy_next_poll(&quick, &watch, &durations, 1000, 0, dice_middle) - 1000;
}

static void the_first_look_waits_for_the_learned_duration(void **context)
{
    (void)context;
    assert_int_equal(first_look(2), quick.first_ms);
    assert_true(first_look(3) > 20000 && first_look(3) < first_look(100));
    assert_true(first_look(100) > 45000 && first_look(100) < 60000);
}

/* Either 5 seconds or 5 minutes: between the two there is nothing to see. */
static void a_gap_in_the_distribution_is_leapt(void **context)
{
    (void)context;
    struct policy_durations durations = {0};
    for (int i = 0; i < 200; i++)
        policy_learn(&durations, i % 2 == 0 ? 5000 : 300000, 0);
    struct policy_watch watch = {.accepted_ms = 1000};
    policy_note_progress(&watch, -1.0, 1000 + 12000);
    const int64_t at_ms = policy_next_poll(&quick, &watch, &durations, 13000, 0, dice_middle);
    assert_true(at_ms >= 13000 + 55000);
    policy_note_progress(&watch, -1.0, 1000 + 290000);
    assert_true(policy_next_poll(&quick, &watch, &durations, 291000, 0, dice_middle) < 293100);
}

static void beyond_all_that_is_known_the_gaps_grow(void **context)
{
    (void)context;
    const struct policy_durations durations = learned(200, 60000);
    struct policy_watch watch = {.accepted_ms = 1000};
    int64_t at_ms = 1000 + 2 * 60000, gap_ms = 0;
    for (int i = 0; i < 40; i++) {
        policy_note_progress(&watch, -1.0, at_ms);
        const int64_t next_ms = policy_next_poll(&quick, &watch, &durations, at_ms, 0, dice_middle);
        assert_true(next_ms - at_ms >= gap_ms);
        gap_ms = next_ms - at_ms;
        at_ms = next_ms;
    }
    assert_int_equal(gap_ms, quick.longest_ms);
}

/* Told `progress` at `told_ms` after acceptance, after `before` at `before_ms` (0: it was the first), looked at `looked_ms`. */
static int64_t gap_with_progress(double before, int64_t before_ms, double progress, int64_t told_ms,
                                 int64_t looked_ms, const struct policy_durations *durations)
{
    struct policy_watch watch = {.accepted_ms = 1000};
    if (before_ms > 0)
        policy_note_progress(&watch, before, 1000 + before_ms);
    policy_note_progress(&watch, progress, 1000 + told_ms);
    policy_note_progress(&watch, progress, 1000 + looked_ms);
    const int64_t now_ms = 1000 + looked_ms;
    return policy_next_poll(&quick, &watch, durations, now_ms, 0, dice_middle) - now_ms;
}

static void told_progress_foretells_the_end(void **context)
{
    (void)context;
    const struct policy_durations nothing = {0}, durations = learned(200, 60000);
    assert_int_equal(gap_with_progress(0.25, 15000, 0.5, 30000, 30000, &nothing), 18000);
    assert_int_equal(gap_with_progress(0.25, 15000, 0.5, 30000, 30000, &durations), 18000);
    assert_int_equal(gap_with_progress(0.5, 20000, 0.75, 30000, 30000, &nothing), 6000);
    assert_int_equal(gap_with_progress(0.98, 29000, 0.99, 30000, 30000, &nothing), 1950);
    /* told long ago: less is left */
    assert_int_equal(gap_with_progress(0.25, 15000, 0.5, 30000, 40000, &nothing), 12000);
    /* too little to tell anything, and overdue: as if it were not told */
    assert_int_equal(gap_with_progress(0, 0, 0.05, 16000, 16000, &nothing), 1500);
    assert_int_equal(gap_with_progress(0.8, 20000, 0.9, 24000, 64000, &nothing), 4500);
    /* late in life it keeps no poll away */
    assert_true(gap_with_progress(0.25, 36250, 0.5, 72500, 72500, &durations) < 2500);
    /* nor longer than the longest */
    assert_int_equal(gap_with_progress(0.06, 60000, 0.12, 120000, 120000, &nothing),
                     quick.longest_ms);
}

static void the_faster_pace_counts(void **context)
{
    (void)context;
    const struct policy_durations nothing = {0};
    /* 40 % in 10 seconds after a slow begin; 10 % in 10 seconds after a fast one */
    assert_int_equal(gap_with_progress(0.1, 20000, 0.5, 30000, 30000, &nothing), 7500);
    assert_int_equal(gap_with_progress(0.4, 20000, 0.5, 30000, 30000, &nothing), 18000);
}

static void the_first_word_is_soon_asked_again(void **context)
{
    (void)context;
    const struct policy_durations nothing = {0};
    assert_int_equal(gap_with_progress(0, 0, 0.5, 32000, 32000, &nothing), 4000);
}

static void progress_that_falls_or_is_no_number_is_not_heard(void **context)
{
    (void)context;
    struct policy_watch watch = {.accepted_ms = 1000};
    policy_note_progress(&watch, 0.4, 2000);
    static const double odd[] = {0.3, 0.4, -1.0, NAN, -INFINITY};
    for (size_t i = 0; i < ARRAY_LENGTH(odd); i++)
        policy_note_progress(&watch, odd[i], 3000);
    assert_true(watch.progress > 0.39 && watch.progress < 0.41);
    assert_int_equal(watch.progress_ms, 2000);
    assert_int_equal(watch.polled_ms, 3000);
    assert_int_equal(watch.n_polls, 6);
    policy_note_progress(&watch, INFINITY, 4000);
    assert_true(watch.progress >= 1.0 && watch.progress <= 1.0);
}

static void trouble_backs_off_up_to_five_minutes(void **context)
{
    (void)context;
    const struct policy_durations nothing = {0};
    struct policy_watch watch = {.accepted_ms = 1000};
    static const int64_t gaps_ms[] = {5125, 10000, 20000, 40000, 80000, 160000, 300000, 300000};
    for (size_t i = 0; i < ARRAY_LENGTH(gaps_ms); i++) {
        policy_note_trouble(&watch, 3000);
        const int64_t at_ms = policy_next_poll(&slow, &watch, &nothing, 3000, 0, dice_low);
        assert_true(at_ms - 3000 <= gaps_ms[i] && at_ms - 3000 >= gaps_ms[i] - 200);
    }
    policy_note_progress(&watch, -1.0, 3000);
    assert_true(policy_next_poll(&slow, &watch, &nothing, 3000, 0, dice_high) < 10000);
}

static void a_wish_for_a_pause_is_kept_within_reason(void **context)
{
    (void)context;
    const struct policy_durations nothing = {0};
    struct policy_watch watch = {.accepted_ms = 1000};
    policy_note_trouble(&watch, 3000);
    assert_int_equal(policy_next_poll(&slow, &watch, &nothing, 3000, 700000, dice_low), 703000);
    assert_int_equal(policy_next_poll(&slow, &watch, &nothing, 3000, INT64_MAX, dice_low),
                     3000 + POLICY_RETRY_AFTER_MOST_MS);
    assert_true(policy_next_poll(&slow, &watch, &nothing, 3000, 10, dice_low) >= 8000);
}

/* Many tasks taken up again at once, all of them overdue, do not poll in one instant. */
static void a_callback_brings_a_look_forward_within_bounds(void **context)
{
    (void)context;
    enum { NOW_MS = 1000000, FAR_MS = NOW_MS + 600000 };
    struct policy_watch watch = {.accepted_ms = NOW_MS - 1000};
    assert_int_equal(policy_hasten_poll(&watch, FAR_MS, NOW_MS), NOW_MS);
    assert_int_equal(policy_hasten_poll(&watch, NOW_MS - 5, NOW_MS), NOW_MS);
    watch.hastened_ms = NOW_MS - 1000;
    assert_int_equal(policy_hasten_poll(&watch, FAR_MS, NOW_MS),
                     NOW_MS - 1000 + POLICY_CALLBACK_EVERY_MS);
    assert_int_equal(policy_hasten_poll(&watch, NOW_MS + 10, NOW_MS), NOW_MS + 10);
    watch.hastened_ms = NOW_MS - POLICY_CALLBACK_EVERY_MS;
    assert_int_equal(policy_hasten_poll(&watch, FAR_MS, NOW_MS), NOW_MS);
    watch.rest_until_ms = NOW_MS + 60000;
    assert_int_equal(policy_hasten_poll(&watch, FAR_MS, NOW_MS), NOW_MS + 60000);
    watch.rest_until_ms = NOW_MS - 60000;
    assert_int_equal(policy_hasten_poll(&watch, FAR_MS, NOW_MS), NOW_MS);
}

static void the_overdue_are_spread(void **context)
{
    (void)context;
    const struct policy_durations nothing = {0};
    const struct policy_watch watch = {.accepted_ms = 1000};
    assert_int_equal(policy_next_poll(&slow, &watch, &nothing, 900000, 0, dice_low), 900000);
    const int64_t last_ms = policy_next_poll(&slow, &watch, &nothing, 900000, 0, dice_high);
    assert_true(last_ms > 904000 && last_ms <= 905000);
}

static void gone_needs_three_answers_over_a_minute(void **context)
{
    (void)context;
    struct policy_watch watch = {.accepted_ms = 0};
    assert_false(policy_note_gone(&watch, 0));                  /* at 0 ms of the clock, too */
    assert_false(policy_note_gone(&watch, POLICY_GONE_MS + 1)); /* two are too few */
    assert_true(policy_note_gone(&watch, POLICY_GONE_MS + 2));
    watch = (struct policy_watch){.accepted_ms = 1000};
    for (int i = 0; i < 10; i++)
        assert_false(policy_note_gone(&watch, 2000 + i * 6000)); /* not long enough */
    policy_note_trouble(&watch, 61000);                          /* changes nothing */
    assert_true(policy_note_gone(&watch, 2000 + POLICY_GONE_MS));
    policy_note_progress(&watch, -1.0, 70000); /* begins anew */
    assert_false(policy_note_gone(&watch, 200000));
    assert_false(policy_note_gone(&watch, 200001));
}

/* Followed as the policy says, the verdict falls within a few polls and soon after the minute. */
static void a_job_that_is_gone_is_found_out(void **context)
{
    (void)context;
    const struct policy_durations nothing = {0};
    for (int i = 0; i < 2; i++) {
        const struct policy_poll *poll = i == 0 ? &quick : &slow;
        struct policy_watch watch = {.accepted_ms = 1000};
        int64_t now_ms = 20000;
        while (!policy_note_gone(&watch, now_ms))
            now_ms = policy_next_poll(poll, &watch, &nothing, now_ms, 0, dice_middle);
        assert_true(now_ms - 20000 >= POLICY_GONE_MS && now_ms - 20000 <= POLICY_GONE_MS + 5000);
        assert_true(watch.n_polls >= 3 && watch.n_polls <= 8);
    }
}

/* ---- pauses, breaker, bucket ---- */

static void backoff_doubles_and_is_capped(void **context)
{
    (void)context;
    static const struct {
        int64_t base_ms, most_ms;
        int n;
        int64_t wait_ms;
    } rows[] = {
        {1000, 5000, 1, 1000}, {1000, 5000, 2, 2000}, {1000, 5000, 3, 4000},
        {1000, 5000, 4, 5000}, {1000, 5000, 0, 1000}, {9000, 5000, 1, 5000},
        {0, 5000, 9, 0},       {-5, 5000, 9, 0},      {1, INT64_MAX, INT32_MAX, INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const int64_t most_ms = policy_backoff(rows[i].base_ms, rows[i].most_ms, rows[i].n, 0);
        const int64_t least_ms =
            policy_backoff(rows[i].base_ms, rows[i].most_ms, rows[i].n, dice_high);
        assert_int_equal(most_ms, rows[i].wait_ms);
        assert_true(least_ms <= most_ms && least_ms >= most_ms - most_ms / 4);
        assert_true(most_ms < 1000 || least_ms < most_ms - most_ms / 5);
    }
}

static void fail_times(struct policy_breaker *breaker, int n, int64_t now_ms)
{
    for (int i = 0; i < n; i++)
        policy_breaker_fail(breaker, now_ms);
}

static void five_failures_in_a_row_open_the_breaker(void **context)
{
    (void)context;
    struct policy_breaker breaker = {0};
    fail_times(&breaker, 4, 1000);
    policy_breaker_succeed(&breaker);
    fail_times(&breaker, 4, 1000);
    assert_true(policy_breaker_allows(&breaker, 1000));
    assert_int_equal(policy_breaker_look(&breaker, 1000), POLICY_CLOSED);
    fail_times(&breaker, 1, 1000);
    assert_int_equal(policy_breaker_look(&breaker, 1000), POLICY_OPEN);
    assert_false(policy_breaker_allows(&breaker, 1000 + POLICY_BREAKER_FIRST_MS - 1));
    assert_true(policy_breaker_allows(&breaker, 1000 + POLICY_BREAKER_FIRST_MS));
    assert_int_equal(policy_breaker_look(&breaker, 1000 + POLICY_BREAKER_FIRST_MS),
                     POLICY_HALF_OPEN);
}

static void one_goes_on_trial_and_decides(void **context)
{
    (void)context;
    struct policy_breaker breaker = {0};
    int64_t now_ms = 1000, rest_ms = POLICY_BREAKER_FIRST_MS;
    fail_times(&breaker, POLICY_BREAKER_FAILURES, now_ms);
    for (int i = 0; i < 10; i++) {
        assert_false(policy_breaker_allows(&breaker, now_ms + rest_ms - 1));
        now_ms += rest_ms;
        assert_true(policy_breaker_allows(&breaker, now_ms));
        assert_true(policy_breaker_try(&breaker, now_ms));
        assert_false(policy_breaker_allows(&breaker, now_ms)); /* one is enough */
        policy_breaker_fail(&breaker, now_ms);
        rest_ms = rest_ms * 2 < POLICY_BREAKER_MOST_MS ? rest_ms * 2 : POLICY_BREAKER_MOST_MS;
    }
    assert_int_equal(rest_ms, POLICY_BREAKER_MOST_MS);
    now_ms += rest_ms;
    assert_true(policy_breaker_try(&breaker, now_ms));
    policy_breaker_succeed(&breaker);
    assert_true(policy_breaker_allows(&breaker, now_ms));
    fail_times(&breaker, POLICY_BREAKER_FAILURES, now_ms); /* and all begins anew */
    assert_true(policy_breaker_allows(&breaker, now_ms + POLICY_BREAKER_FIRST_MS));
}

static void what_comes_in_late_does_not_decide(void **context)
{
    (void)context;
    struct policy_breaker breaker = {0};
    fail_times(&breaker, POLICY_BREAKER_FAILURES, 1000);
    fail_times(&breaker, 20, 2000);   /* open already: its time does not grow */
    policy_breaker_succeed(&breaker); /* sent before it opened, or a poll */
    assert_false(policy_breaker_allows(&breaker, 1000 + POLICY_BREAKER_FIRST_MS - 1));
    assert_true(policy_breaker_allows(&breaker, 1000 + POLICY_BREAKER_FIRST_MS));
    /* a trial whose outcome is never told does not hold it half open for ever */
    assert_true(policy_breaker_try(&breaker, 10000));
    assert_false(policy_breaker_allows(&breaker, 10000 + POLICY_BREAKER_MOST_MS - 1));
    struct policy_breaker withdrawn = breaker;
    policy_breaker_withdraw(&withdrawn, 11000);
    assert_true(policy_breaker_allows(&withdrawn, 11000));
    assert_true(policy_breaker_allows(&breaker, 10000 + POLICY_BREAKER_MOST_MS));
    /* while closed a try is nothing to note */
    struct policy_breaker closed = {0};
    assert_false(policy_breaker_try(&closed, 1000));
    assert_true(policy_breaker_allows(&closed, 1000));
}

static void a_rest_opens_at_once(void **context)
{
    (void)context;
    struct policy_breaker breaker = {0};
    policy_breaker_rest(&breaker, 20000, 1000);
    assert_false(policy_breaker_allows(&breaker, 20999));
    assert_false(policy_breaker_try(&breaker, 1200)); /* it had been let through before */
    policy_breaker_succeed(&breaker);
    assert_false(policy_breaker_allows(&breaker, 20999));
    policy_breaker_rest(&breaker, 2000, 1500); /* the longer one stands */
    policy_breaker_rest(&breaker, 0, 1500);
    assert_false(policy_breaker_allows(&breaker, 20999));
    assert_true(policy_breaker_allows(&breaker, 21000));
    assert_true(policy_breaker_try(&breaker, 21000));
    struct policy_breaker opened = {.state = POLICY_OPEN, .until_ms = 50000};
    policy_breaker_withdraw(&opened, 21000);
    assert_false(policy_breaker_allows(&opened, 49999));
    policy_breaker_rest(&breaker, 0, 21000); /* as a failed trial */
    assert_false(policy_breaker_allows(&breaker, 21000 + POLICY_BREAKER_FIRST_MS - 1));
    assert_true(policy_breaker_allows(&breaker, 21000 + POLICY_BREAKER_FIRST_MS));
    policy_breaker_rest(&breaker, INT64_MAX, 30000);
    assert_false(policy_breaker_allows(&breaker, 30000 + POLICY_RETRY_AFTER_MOST_MS - 1));
    assert_true(policy_breaker_allows(&breaker, 30000 + POLICY_RETRY_AFTER_MOST_MS));
}

static void a_bucket_holds_ten_seconds_and_refills(void **context)
{
    (void)context;
    struct policy_bucket bucket = {0};
    for (int i = 0; i < 10; i++)
        assert_int_equal(policy_take(&bucket, 60, 5000), 0);
    assert_int_equal(policy_take(&bucket, 60, 5000), 1000);
    assert_int_equal(policy_take(&bucket, 60, 5400), 600); /* nothing was taken */
    struct policy_bucket unused = bucket, fresh = {0};
    policy_give_back(&unused);
    assert_int_equal(policy_take(&unused, 60, 5400), 0);
    policy_give_back(&fresh); /* no more than there ever was */
    for (int i = 0; i < 10; i++)
        assert_int_equal(policy_take(&fresh, 60, 5000), 0);
    assert_int_equal(policy_take(&fresh, 60, 5000), 1000);
    assert_int_equal(policy_take(&bucket, 60, 5999), 1);
    assert_int_equal(policy_take(&bucket, 60, 6000), 0);
    assert_int_equal(policy_take(&bucket, 60, 5000),
                     1000); /* a clock that turns around gives nothing */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(policy_take(&bucket, 0, 6000), 0); /* no limit */
}

/* What it tells to wait is right: an obedient caller gets its budget a minute, never more than that and a sixth. */
static void a_budget_is_kept_and_used(void **context)
{
    (void)context;
    static const int64_t budgets[] = {1, 4, 7, 100, 5000};
    for (size_t i = 0; i < ARRAY_LENGTH(budgets); i++) {
        struct policy_bucket bucket = {0};
        int64_t n_taken = 0;
        for (int64_t now_ms = 1; now_ms < 600000;) {
            const int64_t wait_ms = policy_take(&bucket, budgets[i], now_ms);
            n_taken += wait_ms == 0;
            now_ms += wait_ms;
        }
        assert_true(n_taken >= 10 * budgets[i] - 1 - budgets[i] / 50);
        assert_true(n_taken <= 10 * budgets[i] + budgets[i] / 6 + 1);
    }
}

static void clients_look_again_at_half_of_what_is_left(void **context)
{
    (void)context;
    static const struct {
        double wait_s, typical_s, elapsed_s, progress;
        int64_t ms;
    } rows[] = {
        {-1, -1, -1, 0, 1000}, /* nothing is known */
        {-1, -1, 30, 0, 1000},        {20, -1, -1, 0, 10000},   {-1, 40, -1, 0, 20000},
        {20, 40, -1, 0, 30000},       {600, 40, -1, 0, 60000}, /* at most a minute */
        {INFINITY, 40, -1, 0, 60000}, {0, 0.1, -1, 0, 500},    /* not twice as often as any need */
        {20, 40, 0, 0, 20000}, /* once an engine has it, the queue is over */
        {-1, 40, 30, 0, 5000},        {-1, 40, 39.9, 0, 2493}, /* what is late may take a while longer */
        {-1, 40, 160, 0, 10000},      {-1, 40, 30, 0.5, 15000}, /* a told progress says more than what others took */
        {-1, -1, 30, 0.75, 5000},     {-1, 40, 30, 0.01, 5000}, /* so small a one says nothing */
        {-1, 40, 39, 0.999, 500},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct policy_outlook outlook = {rows[i].wait_s, rows[i].typical_s, rows[i].elapsed_s,
                                         rows[i].progress};
        int64_t ms = policy_look_again(&outlook);
        if (ms != rows[i].ms)
            fail_msg("row %zu: %lld ms, not %lld", i, (long long)ms, (long long)rows[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polling_is_near_the_best_possible),
        cmocka_unit_test(told_progress_saves_polls_and_is_not_believed_blindly),
        cmocka_unit_test(two_are_not_enough_to_know),
        cmocka_unit_test(quantiles_are_within_a_bin_of_the_truth),
        cmocka_unit_test(quantiles_never_fall),
        cmocka_unit_test(few_are_taken_for_more_than_they_are),
        cmocka_unit_test(the_past_decays),
        cmocka_unit_test(a_crowd_is_learned_whole),
        cmocka_unit_test(what_lies_outside_all_bins_is_taken),
        cmocka_unit_test(unlearned_polls_begin_at_first_and_slow_down),
        cmocka_unit_test(polls_keep_their_distance),
        cmocka_unit_test(the_first_look_waits_for_the_learned_duration),
        cmocka_unit_test(a_gap_in_the_distribution_is_leapt),
        cmocka_unit_test(beyond_all_that_is_known_the_gaps_grow),
        cmocka_unit_test(told_progress_foretells_the_end),
        cmocka_unit_test(the_faster_pace_counts),
        cmocka_unit_test(the_first_word_is_soon_asked_again),
        cmocka_unit_test(progress_that_falls_or_is_no_number_is_not_heard),
        cmocka_unit_test(trouble_backs_off_up_to_five_minutes),
        cmocka_unit_test(a_wish_for_a_pause_is_kept_within_reason),
        cmocka_unit_test(a_callback_brings_a_look_forward_within_bounds),
        cmocka_unit_test(the_overdue_are_spread),
        cmocka_unit_test(gone_needs_three_answers_over_a_minute),
        cmocka_unit_test(a_job_that_is_gone_is_found_out),
        cmocka_unit_test(backoff_doubles_and_is_capped),
        cmocka_unit_test(five_failures_in_a_row_open_the_breaker),
        cmocka_unit_test(one_goes_on_trial_and_decides),
        cmocka_unit_test(what_comes_in_late_does_not_decide),
        cmocka_unit_test(a_rest_opens_at_once),
        cmocka_unit_test(a_bucket_holds_ten_seconds_and_refills),
        cmocka_unit_test(a_budget_is_kept_and_used),
        cmocka_unit_test(clients_look_again_at_half_of_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
