/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is sent to next. A lane stands for one receiver of one tenant and knows when the first of its
 * deliveries is due; the rows themselves stay in the store. Lanes are read at the start, and a tenant's
 * anew whenever something was put into the outbox for him; between that nobody asks the store but for
 * what is sent: one timer waits for the earliest lane. */
#include "engine/deliver.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/deliver_own.h"

enum {
    LOOK_AGAIN_MS = 60 * 1000, /* at the latest: the wall clock may have been set */
    NEWS_RETRY_MS = 5 * 1000,  /* after a fault of the store */
};

/* A lane as the store has it. */
struct found {
    char *tenant, *url;
    int64_t due_ms;
    struct found *next;
};

/* ---- lanes ---- */

static struct lane **bucket_of(struct deliver *deliver, const char *tenant, const char *url)
{
    uint32_t hash = hash_text32(tenant) * 31 + hash_text32(url);
    return &deliver->buckets[hash % DELIVER_BUCKETS];
}

static struct lane *lane_of(struct deliver *deliver, const char *tenant, const char *url)
{
    struct lane **bucket = bucket_of(deliver, tenant, url);
    for (struct lane *lane = *bucket; lane; lane = lane->next) {
        if (strcmp(lane->tenant, tenant) == 0 && strcmp(lane->url, url) == 0) {
            return lane;
        }
    }
    struct lane *lane = must_calloc(1, sizeof *lane);
    lane->deliver = deliver;
    lane->tenant = must_strdup(tenant);
    lane->url = must_strdup(url);
    lane->due_ms = INT64_MAX;
    lane->next = *bucket;
    *bucket = lane;
    return lane;
}

static void free_lane(struct lane *lane)
{
    struct lane **link = bucket_of(lane->deliver, lane->tenant, lane->url);
    while (*link != lane) {
        link = &(*link)->next;
    }
    *link = lane->next;
    free(lane->tenant);
    free(lane->url);
    free(lane);
}

/* When may its next delivery go? */
static int64_t ready_ms(const struct lane *lane)
{
    int64_t at_ms = lane->due_ms;
    at_ms = lane->breaker.rests_until_ms > at_ms ? lane->breaker.rests_until_ms : at_ms;
    return lane->not_before_ms > at_ms ? lane->not_before_ms : at_ms;
}

/* ---- turns ---- */

/* One tenant's receivers that hang are not all that is sent. */
static bool has_room(const struct deliver *deliver, const char *tenant)
{
    size_t most = (size_t)deliver->parts.settings->webhooks_concurrency;
    size_t share = most > 4 ? most / 4 : 1;
    return deliver->n_sendings < most && sending_count(deliver, tenant) < share;
}

/* Begins with the lanes of a bucket that are ready; the earliest time of those that are not. */
static int64_t turn_bucket(struct deliver *deliver, struct lane *lane, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    for (; lane; lane = lane->next) {
        if (lane->sending || lane->due_ms == INT64_MAX) {
            continue;
        }
        int64_t at_ms = ready_ms(lane);
        if (at_ms > now_ms) {
            next_ms = at_ms < next_ms ? at_ms : next_ms;
        } else if (has_room(deliver, lane->tenant)) {
            sending_begin(lane);
        } /* else the end of another one brings its turn */
    }
    return next_ms;
}

static void on_turn(struct loop_timer *timer)
{
    struct deliver *deliver = CONTAINER_OF(timer, struct deliver, turn);
    int64_t now_ms = clock_wall_ms(), next_ms = INT64_MAX;
    deliver->at = (deliver->at + 1) % DELIVER_BUCKETS;
    for (size_t i = 0; i < DELIVER_BUCKETS; i++) {
        struct lane *lane = deliver->buckets[(deliver->at + i) % DELIVER_BUCKETS];
        int64_t at_ms = turn_bucket(deliver, lane, now_ms);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    if (next_ms != INT64_MAX) {
        int64_t wait_ms = next_ms - now_ms;
        loop_arm(deliver->parts.loop, timer, wait_ms < LOOK_AGAIN_MS ? wait_ms : LOOK_AGAIN_MS);
    }
}

static void turn_soon(struct deliver *deliver)
{
    if (!deliver->is_closed) {
        loop_arm(deliver->parts.loop, &deliver->turn, 0);
    }
}

void deliver_lane_is_free(struct lane *lane, int64_t due_ms)
{
    struct deliver *deliver = lane->deliver;
    lane->sending = NULL;
    lane->due_ms = due_ms;
    if (lane->has_news) {
        lane->has_news = false;
        deliver_news(deliver, lane->tenant);
    } else if (due_ms == INT64_MAX) {
        free_lane(lane);
    }
    turn_soon(deliver);
}

/* ---- news ---- */

static void keep_found(void *context, const char *tenant, const char *url, int64_t next_ms)
{
    struct news *news = context;
    struct found *found = must_calloc(1, sizeof *found);
    found->tenant = must_strdup(tenant);
    found->url = must_strdup(url);
    found->due_ms = next_ms;
    found->next = news->found;
    news->found = found;
}

/* On a thread of the pool. */
static void look(struct blocking_job *job)
{
    struct news *news = CONTAINER_OF(job, struct news, job);
    news->result = store_lanes(news->deliver->parts.store, news->tenant, keep_found, news);
}

static struct news *free_news(struct news *news)
{
    for (struct found *found = news->found, *next; found; found = next) {
        next = found->next;
        free(found->tenant);
        free(found->url);
        free(found);
    }
    free(news->tenant);
    free(news);
    return NULL;
}

static bool is_about(const struct news *news, const struct lane *lane)
{
    return !news->tenant || strcmp(news->tenant, lane->tenant) == 0;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

static void add_news(struct deliver *deliver, const char *tenant)
{
    struct news **link = &deliver->news;
    while (*link && !is_same((*link)->tenant, tenant)) {
        link = &(*link)->next;
    }
    if (!*link) { /* else it will be read all the same */
        *link = must_calloc(1, sizeof **link);
        (*link)->deliver = deliver;
        (*link)->tenant = tenant ? must_strdup(tenant) : NULL;
    }
}

/* What the store said of a lane that is being sent from may be older than what that will note: such a lane is
 * read once more, after it. */
static void take_in(struct deliver *deliver, const struct news *news)
{
    for (size_t i = 0; i < DELIVER_BUCKETS; i++) {
        for (struct lane *lane = deliver->buckets[i]; lane; lane = lane->next) {
            if (is_about(news, lane) && !lane->sending) {
                lane->due_ms = INT64_MAX;
            }
        }
    }
    for (const struct found *found = news->found; found; found = found->next) {
        struct lane *lane = lane_of(deliver, found->tenant, found->url);
        if (lane->sending) {
            lane->has_news = true;
        } else {
            lane->due_ms = found->due_ms;
        }
    }
    for (size_t i = 0; i < DELIVER_BUCKETS; i++) {
        for (struct lane *lane = deliver->buckets[i], *next; lane; lane = next) {
            next = lane->next;
            if (!lane->sending && lane->due_ms == INT64_MAX) {
                free_lane(lane);
            }
        }
    }
}

static void read_news(struct deliver *deliver);

static void on_read_again(struct loop_timer *timer)
{
    read_news(CONTAINER_OF(timer, struct deliver, read_again));
}

static void on_looked(struct blocking_job *job)
{
    struct news *news = CONTAINER_OF(job, struct news, job);
    struct deliver *deliver = news->deliver;
    deliver->reading = NULL;
    if (deliver->is_closed) {
        free_news(news);
        return;
    }
    if (news->result == 0) {
        take_in(deliver, news);
        turn_soon(deliver);
        read_news(deliver);
    } else {
        log_warn("cannot read which webhooks wait, trying again: %s", strerror(-news->result));
        add_news(deliver, news->tenant);
        loop_arm(deliver->parts.loop, &deliver->read_again, NEWS_RETRY_MS);
    }
    free_news(news);
}

static void read_news(struct deliver *deliver)
{
    if (deliver->reading || !deliver->news || deliver->is_closed) {
        return;
    }
    struct news *news = deliver->reading = deliver->news;
    deliver->news = TAKE(news->next);
    news->job.work = look;
    news->job.finish = on_looked;
    blocking_submit(deliver->blocking, &news->job);
}

void deliver_news(struct deliver *deliver, const char *tenant)
{
    if (!deliver->is_closed) {
        add_news(deliver, tenant);
        read_news(deliver);
    }
}

/* ---- beginning and end ---- */

int deliver_new(const struct deliver_parts *parts, struct deliver **ret_deliver)
{
    struct deliver *deliver = must_calloc(1, sizeof *deliver);
    const struct settings_list *waits = &parts->settings->webhooks_retries;
    char error[WEBHOOK_ERROR_SIZE];
    deliver->parts = *parts;
    deliver->turn.fire = on_turn;
    deliver->read_again.fire = on_read_again;
    must(webhook_schedule_read(waits->items, waits->count, &deliver->schedule, error));
    int fault = blocking_new(parts->loop, &deliver->blocking);
    if (fault < 0) {
        free(deliver);
        return fault;
    }
    *ret_deliver = deliver;
    return 0;
}

void deliver_close(struct deliver *deliver)
{
    deliver->is_closed = true;
    loop_disarm(deliver->parts.loop, &deliver->turn);
    loop_disarm(deliver->parts.loop, &deliver->read_again);
}

struct deliver *deliver_free(struct deliver *deliver)
{
    if (!deliver) {
        return NULL;
    }
    deliver_close(deliver);
    sending_stop_all(deliver);
    deliver->blocking = blocking_free(deliver->blocking);
    while (deliver->sendings || deliver->reading) { /* what the pool has handed back */
        loop_turn(deliver->parts.loop, 0);
    }
    while (deliver->news) {
        struct news *news = deliver->news;
        deliver->news = news->next;
        free_news(news);
    }
    for (size_t i = 0; i < DELIVER_BUCKETS; i++) {
        while (deliver->buckets[i]) {
            free_lane(deliver->buckets[i]);
        }
    }
    free(deliver);
    return NULL;
}
