/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated world for the engine. The engine, the core and the policies are those of the binary; what is outside them is
 * played: the clocks and the loop (world.c), what befalls all (nature.c), the store (store.c), the network and the adapters' programs (transport.c,
 * program.c), media and files (files.c), the upstreams with their ledger (vendor.c), and those who use and those who
 * run the gateway (people.c, node.c). Everything that happens is drawn from one seed, so a run can be had again. watch.c
 * looks at what is seen of it all, after every event, and ends the program when a promise is broken.
 *
 * A node that «dies» at a crash point runs to the end of its callback, but from that point on nothing that it does has an
 * effect on the world: for all others it stopped there. Then it is taken apart, and started anew on what its store holds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/loop.h"
#include "engine/engine.h"
#include "task/task.h"
#include "upstream/channel.h"

enum {
    NODES_MAX = 3,
    LIVES_MAX = 512,
    SUBMISSIONS_MAX = 64,
    TENANTS = 4,
    CREDENTIALS = 5,                /* of all channels */
    DEADLINE_MS = 60 * 60 * 1000,   /* of a task, but in those worlds where it is short */
    FAULTS_END_MS = 40 * 60 * 1000, /* from then on nothing goes wrong any more */
    WORLD_END_MS = 4 * DEADLINE_MS, /* everything must have come to its end long before */
    WALL_JUMP_MS = 3000,            /* the wall clock jumps at most so far */
};

/* ---- the upstreams' ledger ---- */

enum job_state {
    JOB_NONE,
    JOB_WORKING,
    JOB_DONE,
    JOB_FAILED,
    JOB_MODERATED,
    JOB_EMPTY,
    JOB_LOST,
    JOB_CANCELLED
};

/* What the gateway was told of a submission, and understood. */
enum verdict { VERDICT_NONE, VERDICT_REFUSED, VERDICT_ACCEPTED };

/* One request that buys, from the moment it left. */
struct submission {
    char attempt[ID_SHORT_SIZE], job[40];
    int credential;
    enum job_state state; /* NONE: it never took */
    enum verdict verdict;
    enum job_state ends_as; /* as it is drawn when it takes */
    bool was_accepted;      /* so the store says */
    bool was_moderated;     /* refused as such */
    bool failure_was_told;  /* that the job failed: to the gateway, which understood */
    bool video_was_told;    /* that it is done */
    int64_t told_going_ms;  /* when it was last told that it is under way; 0: never */
    bool cancel_came;
    int64_t begun_ms, done_ms; /* monotonic */
    int n_told_gone;           /* 404 in a row that the gateway understood */
    int64_t told_gone_first_ms, told_gone_last_ms;
    int n_links; /* names of the result so far */
    int64_t link_until_ms;
    int n_bad_downloads;
};

/* ---- a task, as those see it who asked for it ---- */

struct life {
    int number, node, tenant;
    char model[16], key[24]; /* the Idempotency-Key; empty: none */
    char id[ID_SHORT_SIZE];  /* as the store made it; empty: not yet */
    int64_t asked_ms, admitted_ms;
    bool is_acknowledged, was_cancelled, cancel_was_confirmed;
    /* as it was last seen */
    enum task_state state;
    int64_t revision, status_update_ms, ended_ms;
    double progress;
    enum task_failure failure;
    char attempt[ID_SHORT_SIZE];
    char stored[ID_SHORT_SIZE]; /* generation whose files are there */
    int n_put_off;
    int n_overtaken; /* tasks of others that were begun while it waited for its first slot */
    struct submission submissions[SUBMISSIONS_MAX];
    int n_submissions;
};

/* ---- a node ---- */

struct record { /* of one task, as it is on disk */
    char *request, *status;
    int64_t revision;
    enum task_state state;
    char key[24];
    char attempt[ID_SHORT_SIZE], job[40], channel[ATTEMPT_NAME_SIZE], credential[ATTEMPT_NAME_SIZE];
    enum attempt_state attempt_state;
};

struct meter {                               /* of one credential */
    int64_t submits_ms[256], polls_ms[2048]; /* rings */
    size_t n_submits, n_polls;
    int64_t rest_told_ms, rest_until_ms; /* the gateway was told to leave it alone so long */
};

struct store;
struct node {
    struct world *world;
    int number;
    struct store *store;
    struct loop *loop;
    struct engine *engine; /* NULL: down */
    bool is_dead, is_stopping;
    int64_t born_ms;
    struct loop_timer funeral, birth;
    struct record records[LIVES_MAX]; /* by life */
    struct meter meters[CREDENTIALS];
    int64_t n_changes;   /* numbers that the store gave */
    int64_t number_kept; /* what the engine keeps by name */
    bool has_all_channels;
    int n_variants; /* helpers at work that make them */
};

/* ---- the world ---- */

struct faults { /* chances in a thousand, drawn for each world */
    int crash, lost_answer, refusal, busy, bad_key, late_error, early_error, not_json, poll_trouble,
        gone, real_loss, stuck;
    int failure, moderation, empty, broken_download, expired_link, store_failure, adapter_fault,
        media_failure;
    bool has_outages, has_jumps, has_reloads, has_restarts, has_slow_store, has_callbacks;
};

struct world {
    uint64_t seed, dice;
    int64_t now_micros, wall_micros; /* monotonic; what the wall clock is ahead of it */
    struct loop *loop;               /* of what is not a node's */
    struct node nodes[NODES_MAX];
    int n_nodes;
    struct life lives[LIVES_MAX];
    int n_lives, n_wanted; /* asked for so far; in all */
    struct faults faults;
    int64_t down_until_ms[CREDENTIALS]; /* of the upstreams, by credential */
    int64_t store_down_until_ms;
    struct settings settings;
    struct channel_table *all, *fewer; /* channels */
    struct loop_timer arrival, nature, cancels, calls, look;
    bool is_over; /* all that was asked for has come to its end */
    int n_wishes; /* creates that are not answered yet, or are to be asked again */
    uint64_t id_counter;
    int64_t n_events, n_crashes, n_purchases, n_polls;
    struct node *newborn; /* whose loop is made next; NULL: the world's */
    bool is_traced;
};

/* There is no context by which the engine's calls of clock, loop and randomness could bring it along. */
extern struct world *the_world;

/* ---- nature.c ---- */

struct world *world_new(uint64_t seed, const struct settings *defaults, struct channel_table *all,
                        struct channel_table *fewer, bool is_traced);
void world_run(struct world *world);
struct world *world_free(struct world *world);

/* ---- world.c ---- */

/* Does the next thing that is due. False: nothing will ever happen. */
bool world_step(struct world *world);
/* All that was ever armed is gone. */
void world_forget_time(void);
int64_t world_now_ms(void);
uint64_t world_dice(void);
int64_t world_between(int64_t least, int64_t most);
bool world_chance(int in_thousand);
/* So, while things still go wrong. */
bool world_fault(int in_thousand);
double world_lognormal(double median, double sigma);
void world_trace(const char *format, ...) PRINTF_LIKE(1, 2);
/* A promise is broken: says so, and ends the program. */
void world_fail(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));
void world_arm(struct loop_timer *timer, int64_t delay_ms);
struct node *loop_node(const struct loop *loop);
bool loop_has_stopped(const struct loop *loop);

/* ---- node.c ---- */

void node_begin(struct node *node, int number);
void node_end(struct node *node);
/* A place where the process may die. True when it is dead. */
bool node_dies(struct node *node, const char *where);
void node_restart(struct node *node);
void node_reload(struct node *node);
bool node_is_up(const struct node *node);

/* ---- store.c ---- */

struct store *simulated_store_new(struct node *node);
struct store *simulated_store_free(struct store *store);
void simulated_store_flush(struct store *store);

/* ---- program.c ---- */

const struct adapter_set *program_set(void);

/* ---- vendor.c ---- */

/* Of a request, as it arrives; and its answer. */
struct wire {
    char method[8], path[160];
    char *body;
    char range[40];
    char attempt[ID_SHORT_SIZE]; /* of one that buys */
    int credential;
    struct node *node;
    int64_t status, retry_after_ms; /* status 0: it breaks the connection off */
    char *answer;
    size_t answer_bytes, answer_from;
    bool is_cut; /* the answer breaks off half-way */
};
int vendor_credential(const char *key); /* by its secret */
const char *vendor_channel(int credential);
bool vendor_is_down(int credential);
void vendor_answer(struct wire *wire);
/* One of them calls back. */
void vendor_call_back(void);
struct submission *vendor_submission(const char *attempt, struct life **ret_life);
struct submission *vendor_job(const char *job, struct life **ret_life);
/* The job of /jobs/ID and /files/ID/N. */
struct submission *vendor_job_of_path(const char *path, struct life **ret_life);
/* The gateway heard, and understood. */
void vendor_told(const char *attempt, enum verdict verdict);
void vendor_told_of_job(const char *job, const char *state);

/* ---- people.c ---- */

void people_begin(struct world *world);

/* ---- watch.c ---- */

void watch_published(const struct node *node, const struct task *task);
/* A request leaves. */
void watch_send(struct node *node, struct wire *wire);
/* An answer was read by the gateway. */
void watch_answer(struct node *node, const struct wire *wire, bool was_never_sent);
void watch_committed(const struct node *node, const struct life *life, const struct record *old,
                     const struct task *task);
void watch_stopped(const struct node *node);
/* Of all tasks at once, now and then. */
void watch_world(const struct world *world);
void watch_end(const struct world *world);
struct life *life_of(const struct task *task);
