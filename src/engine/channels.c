/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop owns how credentials stand: who looks or orders sends an errand through its inbox, and waits for it. */
#include "engine/channels.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "engine/engine_own.h"

/* An order, or (NULL channel) the wish for a fresh list, on its way through the loop; whoever sent it waits. */
struct errand {
    struct loop_job job;
    struct engine *engine;
    const char *channel;
    enum engine_channel_order order;
    struct engine_channel_view *views;
    size_t room, n_views;
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool is_done; /* under the lock */
};

static const char *const order_words[] = {
    [ENGINE_CHANNEL_PAUSE] = "pause",
    [ENGINE_CHANNEL_RESUME] = "resume",
    [ENGINE_CHANNEL_DRAIN] = "drain",
};

bool engine_channel_order_parse(const char *word, enum engine_channel_order *ret_order)
{
    for (size_t i = 0; i < ARRAY_LENGTH(order_words); i++) {
        if (strcmp(order_words[i], word) == 0) {
            *ret_order = (enum engine_channel_order)i;
            return true;
        }
    }
    return false;
}

static const char *state_of(const struct credential *credential, const struct channel *channel,
                            int64_t now_ms, int64_t *ret_rest_ms)
{
    enum policy_breaker_state breaker = policy_breaker_look(&credential->breaker, now_ms);
    int64_t rest_ms = credential->breaker.until_ms - now_ms;
    *ret_rest_ms = rest_ms > 0 ? rest_ms : 0;
    if (!channel) {
        return "gone";
    }
    if (credential->is_draining || channel->is_drained) {
        return "draining";
    }
    if (credential->is_paused) {
        return "paused";
    }
    if (breaker == POLICY_HALF_OPEN) {
        return "half_open";
    }
    if (breaker == POLICY_OPEN) {
        return "open";
    }
    return "ready";
}

static void show(struct errand *errand, const struct credential *credential,
                 const struct channel *channel)
{
    if (errand->n_views++ >= errand->room) {
        return;
    }
    const struct engine *engine = errand->engine;
    bool is_animatic = channel && channel->is_animatic;
    struct engine_channel_view *view = &errand->views[errand->n_views - 1];
    *view = (struct engine_channel_view){
        .in_flight = is_animatic ? engine->n_running : credential->n_in_flight,
        .concurrency = is_animatic ? engine->n_slots
                       : channel   ? channel->concurrency
                                   : 0,
        .submits = credential->n_submits,
        .accepted = credential->n_accepted,
        .refused = credential->n_refused,
        .unknown = credential->n_unknown,
        .polls = credential->n_polls,
        .troubles = credential->n_troubles,
        .last_error_ms = credential->last_error_ms,
        .median_ms = policy_quantile(&credential->durations, 0.5),
        .is_paused = credential->is_paused,
        .is_draining = credential->is_draining || (channel && channel->is_drained),
        .is_open = credential->breaker.state != POLICY_CLOSED,
    };
    view->state = state_of(credential, channel, clock_mono_ms(), &view->rest_ms);
    snprintf(view->channel, sizeof view->channel, "%s", credential->channel);
    snprintf(view->credential, sizeof view->credential, "%s", credential->name);
    snprintf(view->adapter, sizeof view->adapter, "%s", channel ? channel_engine(channel) : "");
    snprintf(view->last_error, sizeof view->last_error, "%s", credential->last_error);
}

static void show_channel(struct errand *errand, const struct channel *channel)
{
    struct credentials *credentials = errand->engine->credentials;
    if (channel->is_animatic) {
        show(errand, credential_of(credentials, channel->name, ""), channel);
    }
    for (size_t i = 0; i < channel->n_credentials; i++) {
        show(errand, credential_of(credentials, channel->name, channel->credentials[i].name),
             channel);
    }
}

/* Those of an older configuration, as long as jobs are at them. */
static void show_gone(struct errand *errand)
{
    const struct engine *engine = errand->engine;
    for (const struct credential *item = credentials_first(engine->credentials); item;
         item = item->next) {
        const struct channel *channel = channel_named(engine->channels, item->channel);
        bool is_known =
            channel && (channel->is_animatic || channel_credential_named(channel, item->name));
        if (!is_known && item->n_in_flight > 0) {
            show(errand, item, NULL);
        }
    }
}

static void give_order(const struct errand *errand, const struct channel *channel)
{
    struct engine *engine = errand->engine;
    struct errand unseen = *errand; /* its credentials come into being by being shown to nobody */
    unseen.room = 0;
    show_channel(&unseen, channel);
    for (struct credential *item = credentials_first(engine->credentials); item;
         item = item->next) {
        if (strcmp(item->channel, channel->name) == 0) {
            item->is_paused = errand->order == ENGINE_CHANNEL_PAUSE;
            item->is_draining = errand->order == ENGINE_CHANNEL_DRAIN;
        }
    }
    engine_grant_soon(engine);
}

static void on_errand(struct loop_job *job)
{
    struct errand *errand = CONTAINER_OF(job, struct errand, job);
    const struct channel_table *table = errand->engine->channels;
    if (errand->channel) {
        const struct channel *channel = channel_named(table, errand->channel);
        if (channel) { /* a reload may have taken it away just now */
            give_order(errand, channel);
        }
    } else {
        for (size_t i = 0; i < channel_count(table); i++) {
            show_channel(errand, channel_at(table, i));
        }
        show_gone(errand);
    }
    pthread_mutex_lock(&errand->lock);
    errand->is_done = true;
    pthread_cond_signal(&errand->told);
    pthread_mutex_unlock(&errand->lock);
}

static void run_errand(struct errand *errand)
{
    pthread_mutex_init(&errand->lock, NULL);
    pthread_cond_init(&errand->told, NULL);
    errand->job.run = on_errand;
    atomic_fetch_add(&errand->engine->n_callers,
                     1); /* a stop waits for us, and runs what is in the inbox */
    loop_post(errand->engine->loop, &errand->job);
    pthread_mutex_lock(&errand->lock);
    while (!errand->is_done) {
        pthread_cond_wait(&errand->told, &errand->lock);
    }
    pthread_mutex_unlock(&errand->lock);
    atomic_fetch_sub(&errand->engine->n_callers, 1);
    pthread_cond_destroy(&errand->told);
    pthread_mutex_destroy(&errand->lock);
}

size_t engine_channels(struct engine *engine, struct engine_channel_view *ret_views, size_t room)
{
    struct errand errand = {.engine = engine, .views = ret_views, .room = room};
    if (atomic_load(&engine->is_closing)) {
        return 0;
    }
    run_errand(&errand);
    return errand.n_views;
}

struct engine_channel_view *engine_channels_all(struct engine *engine, size_t *ret_count)
{
    size_t room = 0;
    for (;;) { /* a reload may bring more in between */
        struct engine_channel_view *views = must_calloc(room + 1, sizeof *views);
        *ret_count = engine_channels(engine, views, room);
        if (*ret_count <= room) {
            return views;
        }
        room = *ret_count;
        free(views);
    }
}

enum engine_outcome engine_channel_order(struct engine *engine, const char *channel,
                                         enum engine_channel_order order)
{
    struct errand errand = {.engine = engine, .channel = channel, .order = order};
    if (atomic_load(&engine->is_closing)) {
        return ENGINE_CLOSING;
    }
    if (!channel_named(engine_channel_table(engine), channel)) {
        return ENGINE_NOT_FOUND;
    }
    run_errand(&errand);
    return ENGINE_OK;
}
