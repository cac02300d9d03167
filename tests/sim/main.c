/* SPDX-License-Identifier: Apache-2.0
 *
 * sim: runs simulated worlds (sim.h), each from a seed, and ends with 1 at the first promise that is broken.
 *
 *     sim                       the seeds 1 to 60, those that once showed a fault, and one that nobody has seen
 *     sim --seeds FIRST LAST    these
 *     sim --seconds N           as many worlds as there is time for, from a fresh seed on
 *     sim --seed N [--trace]    one, and what happens in it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

#include "base/must.h"

enum { FIXED_SEEDS = 60 };

static const uint64_t telling_seeds[] = {
    226,   /* a look before a cancel was made past the budget of polls */
    11793, /* a job was accepted, that was lost in a crash, and the upstream lost the job */
    13614, /* an end that was written down right before a crash was taken for a task that waits */
    304114259, /* what a submit was answered was not durable yet when the node was stopped */
};

#define USUAL .weight = 1, .on_unknown = "hold", .fit = "nearest", .line = 1

static const struct settings_model beta[] = {{"beta", NULL}}, gamma_[] = {{"gamma", NULL}},
                                   delta[] = {{"delta", NULL}},
                                   alpha_gamma[] = {{"alpha", NULL}, {"gamma", NULL}},
                                   alpha_beta[] = {{"alpha", NULL}, {"beta", NULL}};
static const struct settings_credential two[] = {{"a", "plain-a", NULL, NULL},
                                                 {"b", "plain-b", NULL, NULL}},
                                        chosen[] = {{"default", "chosen", NULL, NULL}},
                                        steps[] = {{"default", "steps", NULL, NULL}},
                                        risky[] = {{"default", "risky", NULL, NULL}};

/* The limits stand in watch.c, too. */
static const struct settings_channel channels[] = {
    {.name = "plain",
     .adapter = "plain",
     .models = alpha_beta,
     .n_models = 2,
     .credentials = two,
     .n_credentials = 2,
     .concurrency = 4,
     .submits_per_minute = 4,
     .polls_per_minute = 12,
     USUAL},
    {.name = "chosen",
     .adapter = "chosen",
     .models = alpha_gamma,
     .n_models = 2,
     .credentials = chosen,
     .n_credentials = 1,
     .concurrency = 6,
     .submits_per_minute = 60,
     .polls_per_minute = 600,
     USUAL},
    {.name = "animatic",
     .adapter = "animatic",
     .models = delta,
     .n_models = 1,
     .concurrency = 4,
     USUAL},
    {.name = "risky",
     .adapter = "plain",
     .models = gamma_,
     .n_models = 1,
     .credentials = risky,
     .n_credentials = 1,
     .priority = 10,
     .weight = 1,
     .concurrency = 3,
     .submits_per_minute = 60,
     .polls_per_minute = 600,
     .on_unknown = "resubmit",
     .fit = "nearest",
     .line = 1},
    {.name = "steps",
     .adapter = "steps",
     .models = beta,
     .n_models = 1,
     .credentials = steps,
     .n_credentials = 1,
     .priority = 10,
     .concurrency = 3,
     .submits_per_minute = 60,
     .polls_per_minute = 600,
     USUAL},
};

struct stage {
    struct settings *defaults;
    struct settings settings, fewer;
    struct settings_channel all_channels[ARRAY_LENGTH(channels)],
        fewer_channels[ARRAY_LENGTH(channels)];
    json_t *options; /* none, for each of them */
    struct channel_table *all_table, *fewer_table;
    int64_t n_lives, n_events, n_crashes, n_purchases, n_polls, n_worlds;
};

/* As a reload may find them, too: without «steps», and of «plain» only one credential. */
static void copy_channels(struct stage *stage)
{
    stage->options = json_object();
    for (size_t i = 0; i < ARRAY_LENGTH(channels); i++) {
        stage->all_channels[i] = stage->fewer_channels[i] = channels[i];
        stage->all_channels[i].options = stage->fewer_channels[i].options = stage->options;
        stage->all_channels[i].callback = stage->fewer_channels[i].callback =
            strcmp(channels[i].adapter, "animatic") != 0;
    }
    stage->fewer_channels[0].n_credentials = 1;
}

static void set_up(struct stage *stage)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    stage->defaults = settings_load(NULL, (const char *const[]){NULL}, error);
    must(stage->defaults);
    stage->settings = *stage->defaults;
    stage->settings.public_url = "https://gate.example.com";
    copy_channels(stage);
    stage->settings.channels = stage->all_channels;
    stage->settings.n_channels = ARRAY_LENGTH(channels);
    stage->fewer = stage->settings;
    stage->fewer.channels = stage->fewer_channels;
    stage->fewer.n_channels = ARRAY_LENGTH(channels) - 1;
    stage->all_table = channel_table_new(&stage->settings, program_set(), error);
    stage->fewer_table = channel_table_new(&stage->fewer, program_set(), error);
    if (!stage->all_table || !stage->fewer_table) {
        fprintf(stderr, "%s\n", error);
        exit(2);
    }
}

static void tear_down(struct stage *stage)
{
    channel_table_free(stage->all_table);
    channel_table_free(stage->fewer_table);
    settings_free(stage->defaults);
    json_decref(stage->options);
}

static void run(struct stage *stage, uint64_t seed, bool is_traced)
{
    struct world *world =
        world_new(seed, &stage->settings, stage->all_table, stage->fewer_table, is_traced);
    world_run(world);
    stage->n_worlds++;
    stage->n_lives += world->n_lives;
    stage->n_events += world->n_events;
    stage->n_crashes += world->n_crashes;
    stage->n_purchases += world->n_purchases;
    stage->n_polls += world->n_polls;
    world_free(world);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t fresh_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec * 1000003U + (uint64_t)now.tv_nsec) % 1000000000U;
}

static void run_range(struct stage *stage, uint64_t first, uint64_t last)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        run(stage, seed, false);
        printf("ok %lld - a world from seed %llu\n", (long long)stage->n_worlds,
               (unsigned long long)seed);
    }
}

static void soak(struct stage *stage, double seconds)
{
    double until_s = seconds_now() + seconds;
    uint64_t first = fresh_seed();
    printf("# from seed %llu on\n", (unsigned long long)first);
    for (uint64_t seed = first; seconds_now() < until_s; seed++) {
        run(stage, seed, false);
    }
}

static void report(const struct stage *stage, double took_s)
{
    printf("# %lld worlds, %lld task lives, %lld events, %lld crashes, %lld purchases, %lld polls "
           "in %.1f s: %.0f lives a minute\n",
           (long long)stage->n_worlds, (long long)stage->n_lives, (long long)stage->n_events,
           (long long)stage->n_crashes, (long long)stage->n_purchases, (long long)stage->n_polls,
           took_s, (double)stage->n_lives / took_s * 60.0);
    printf("# every promise held\n1..%lld\n", (long long)stage->n_worlds);
}

int main(int argc, char **argv)
{
    struct stage stage = {.n_worlds = 0};
    double began_s = seconds_now();
    setvbuf(stdout, NULL, _IOLBF, 0);
    set_up(&stage);
    if (argc >= 3 && strcmp(argv[1], "--seed") == 0) {
        run(&stage, strtoull(argv[2], NULL, 10), argc > 3);
    } else if (argc == 4 && strcmp(argv[1], "--seeds") == 0) {
        run_range(&stage, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    } else if (argc == 3 && strcmp(argv[1], "--seconds") == 0) {
        soak(&stage, strtod(argv[2], NULL));
    } else if (argc == 1) {
        uint64_t fresh = fresh_seed();
        run_range(&stage, 1, FIXED_SEEDS);
        for (size_t i = 0; i < ARRAY_LENGTH(telling_seeds); i++) {
            run_range(&stage, telling_seeds[i], telling_seeds[i]);
        }
        run_range(&stage, fresh, fresh);
    } else {
        fprintf(stderr, "usage: sim [--seeds FIRST LAST | --seconds N | --seed N [--trace]]\n");
        return 2;
    }
    report(&stage, seconds_now() - began_s);
    tear_down(&stage);
    return 0;
}
