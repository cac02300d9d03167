/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of the credentials that were ever used: their number is the operator's, a handful. What was learned of durations
 * is kept by channel, model and length of the video, up to LESSONS_MAX; beyond it the oldest makes place. */
#include "engine/credential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/must.h"

enum { LESSONS_MAX = 256 };

struct lesson {
    uint32_t mark; /* of channel, model and length */
    struct policy_durations durations;
    struct lesson *next;
};

struct credentials {
    struct credential *first;
    struct lesson *lessons; /* the youngest first */
    size_t n_lessons;
};

struct credentials *credentials_new(void)
{
    return must_calloc(1, sizeof(struct credentials));
}

struct credentials *credentials_free(struct credentials *credentials)
{
    if (!credentials) {
        return NULL;
    }
    for (struct credential *item = credentials->first, *next; item; item = next) {
        must(item->n_in_flight == 0 && TAILQ_EMPTY(&item->due));
        next = item->next;
        free(item);
    }
    for (struct lesson *item = credentials->lessons, *next; item; item = next) {
        next = item->next;
        free(item);
    }
    free(credentials);
    return NULL;
}

struct credential *credentials_first(struct credentials *credentials)
{
    return credentials->first;
}

/* An order counts for a channel, also for credentials that come into use later. */
static void take_orders(const struct credentials *credentials, struct credential *fresh)
{
    for (const struct credential *item = credentials->first; item; item = item->next) {
        if (strcmp(item->channel, fresh->channel) == 0) {
            fresh->is_paused = item->is_paused;
            fresh->is_draining = item->is_draining;
            return;
        }
    }
}

struct credential *credential_of(struct credentials *credentials, const char *channel,
                                 const char *name)
{
    struct credential **link = &credentials->first;
    for (; *link; link = &(*link)->next) {
        if (strcmp((*link)->channel, channel) == 0 && strcmp((*link)->name, name) == 0) {
            return *link;
        }
    }
    struct credential *fresh = must_calloc(1, sizeof *fresh);
    snprintf(fresh->channel, sizeof fresh->channel, "%s", channel);
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    TAILQ_INIT(&fresh->due);
    take_orders(credentials, fresh);
    *link = fresh;
    return fresh;
}

/* Not at the first place that is free: each look at the queue may cost a walk along it. */
bool credential_take_wanted(struct credential *credential)
{
    if (!credential->is_wanted || credential->n_submitting > CREDENTIAL_SUBMITS_MAX / 2) {
        return false;
    }
    credential->is_wanted = false;
    return true;
}

void credential_note_error(struct credential *credential, const char *note)
{
    size_t length = codec_utf8_fit(note, sizeof credential->last_error - 1);
    memcpy(credential->last_error, note, length);
    credential->last_error[length] = '\0';
    credential->last_error_ms = clock_wall_ms();
}

/* ---- durations ---- */

static void forget_oldest(struct credentials *credentials)
{
    struct lesson **link = &credentials->lessons;
    must(*link != NULL);
    while ((*link)->next) {
        link = &(*link)->next;
    }
    free(*link);
    *link = NULL;
    credentials->n_lessons--;
}

struct policy_durations *credentials_durations(struct credentials *credentials, const char *channel,
                                               const char *model, int duration_s)
{
    uint32_t mark =
        (task_channel_mark(channel) * 31U + task_channel_mark(model)) * 31U + (uint32_t)duration_s;
    for (struct lesson *lesson = credentials->lessons; lesson; lesson = lesson->next) {
        if (lesson->mark == mark) {
            return &lesson->durations;
        }
    }
    if (credentials->n_lessons >= LESSONS_MAX) {
        forget_oldest(credentials);
    }
    struct lesson *fresh = must_calloc(1, sizeof *fresh);
    fresh->mark = mark;
    fresh->next = credentials->lessons;
    credentials->lessons = fresh;
    credentials->n_lessons++;
    return &fresh->durations;
}

/* ---- routing ---- */

struct search {
    struct credentials *credentials;
    const struct task *task;
    const struct credential *avoided;
    bool animatic_is_free;
    int64_t now_ms;
    uint64_t dice;
    struct route route;
    int64_t total_weight; /* of the candidates so far, of one priority */
};

static void wait_at_most(struct search *search, int64_t wait_ms)
{
    struct route *route = &search->route;
    if (route->kind == ROUTE_NONE) {
        route->kind = ROUTE_WAIT;
    }
    if (wait_ms >= 0 && (route->retry_ms < 0 || wait_ms < route->retry_ms)) {
        route->retry_ms = wait_ms;
    }
}

/* Each candidate takes the place of those before it with the share of its own weight: in the end each has its share. */
static void consider(struct search *search, const struct channel *channel,
                     const struct channel_credential *identity, struct credential *credential)
{
    search->total_weight += channel->weight;
    search->dice = search->dice * 6364136223846793005U + 1442695040888963407U;
    if ((int64_t)((search->dice >> 33) % (uint64_t)search->total_weight) < channel->weight) {
        search->route = (struct route){ROUTE_FOUND, channel, identity, credential, -1, false};
    }
}

/* Until a submit may leave with it: 0: now; negative: when a slot is free, or an operator says so. Notes that there was no
 * place. */
static int64_t wait_of(const struct search *search, const struct channel *channel,
                       struct credential *credential)
{
    if (credential->is_paused || credential->is_draining ||
        credential->n_in_flight >= channel->concurrency) {
        return -1;
    }
    if (credential->n_submitting >= CREDENTIAL_SUBMITS_MAX) {
        credential->is_wanted = true;
        return CREDENTIAL_LOOK_AGAIN_MS;
    }
    if (!policy_breaker_allows(&credential->breaker, search->now_ms)) {
        int64_t left_ms = credential->breaker.until_ms - search->now_ms;
        return left_ms > 0 ? left_ms : -1; /* else its trial is under way */
    }
    struct policy_bucket bucket = credential->submits;
    return policy_take(&bucket, channel->submits_per_minute, search->now_ms);
}

static void search_upstream(struct search *search, const struct channel *channel)
{
    for (size_t i = 0; i < channel->n_credentials; i++) {
        struct credential *credential =
            credential_of(search->credentials, channel->name, channel->credentials[i].name);
        if (credential == search->avoided) {
            continue;
        }
        int64_t wait_ms = wait_of(search, channel, credential);
        if (wait_ms == 0) {
            consider(search, channel, &channel->credentials[i], credential);
        } else {
            wait_at_most(search, wait_ms);
        }
    }
}

static void search_channel(struct search *search, const struct channel *channel)
{
    const char *model;
    struct channel_fit fit;
    char wrong[CHANNEL_ERROR_SIZE];
    if (channel->is_drained || !channel_serves(channel, search->task->request->model, &model) ||
        task_was_refused_by(search->task, channel->name)) {
        return;
    }
    if (channel->is_animatic) {
        const struct credential *local = credential_of(search->credentials, channel->name, "");
        if (local->is_paused || local->is_draining || !search->animatic_is_free) {
            wait_at_most(search, -1);
            search->route.waits_local = true;
        } else {
            consider(search, channel, NULL, NULL);
        }
    } else if (channel_fits(channel, model, search->task->request, &fit, wrong)) {
        search_upstream(search, channel);
        search->route.waits_local = search->route.waits_local ||
                                    (channel_is_local(channel) && search->route.kind == ROUTE_WAIT);
    }
}

static struct route search_table(struct credentials *credentials, const struct channel_table *table,
                                 const struct route_query *query, const struct credential *avoided)
{
    struct search search = {
        .credentials = credentials,
        .task = query->task,
        .avoided = avoided,
        .animatic_is_free = query->animatic_is_free,
        .now_ms = query->now_ms,
        .dice = query->dice,
        .route = {.kind = ROUTE_NONE, .retry_ms = -1},
    };
    for (size_t i = 0; i < channel_count(table); i++) {
        const struct channel *channel = channel_at(table, i);
        if (search.route.kind == ROUTE_FOUND &&
            channel->priority < search.route.channel->priority) {
            break;
        }
        search_channel(&search, channel);
    }
    return search.route;
}

struct route credentials_route(struct credentials *credentials, const struct channel_table *table,
                               const struct route_query *query)
{
    struct route route = search_table(credentials, table, query, query->avoided);
    return route.kind != ROUTE_FOUND && query->avoided
               ? search_table(credentials, table, query, NULL)
               : route;
}
