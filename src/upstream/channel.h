/* SPDX-License-Identifier: Apache-2.0
 *
 * Channels: which engine serves a model, under which names, with which credentials and limits. They come from the
 * configuration; while none is configured, one catch-all channel gives every model name to the built-in animatic engine.
 * Animatic is never an implicit fallback: with channels configured, a model that none of them names is unknown.
 * Immutable after channel_table_new(), and counted: a reload makes a new table, tasks under way may hold an old one. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/settings.h"
#include "net/exchange.h"
#include "task/step.h"
#include "task/task.h"
#include "upstream/adapter.h"
#include "upstream/auth.h"
#include "upstream/command.h"
#include "upstream/service_account.h"

struct channel_credential {
    const char *name;   /* unique in its channel; `default` when the channel has one `key` */
    const char *key;    /* empty for a service account: its key goes nowhere */
    const char *secret; /* NULL: none */
    const struct service_account *account; /* NULL: none */
    /* Of an account, in a copy of this: the access token that goes along. NULL: none is at hand. */
    const char *token;
};

struct channel_model {
    const char *pattern;  /* public name; `*` matches any run of characters */
    const char *upstream; /* the name there; NULL: as asked */
};

/* The lengths that a model makes. All of it 0: it does not say. */
struct channel_durations {
    const int *list; /* ascending, seconds; else least..most */
    size_t n;
    int least, most; /* 0: not bounded */
};

/* What an upstream takes, of one of its models: from the adapter's `about`. NULL and 0 where it says nothing. */
struct channel_capability {
    const char *pattern; /* upstream name, may hold `*` */
    struct channel_durations durations;
    struct channel_durations
        durations_with_images; /* of a task that has any; where it says nothing: `durations` */
    const char *const *sizes;  /* "1280x720" … */
    size_t n_sizes;
    const char *const *ratios; /* "16:9" … */
    size_t n_ratios;
    const char *const *resolutions; /* "720p" … ascending */
    size_t n_resolutions;
    int images_least, images_most; /* most -1: not bounded */
};

struct channel {
    const char *name;
    bool is_animatic; /* the animatic engine; the fields of upstreams are then empty */
    /* An operator's program: argv is then not empty, and of the fields of upstreams only concurrency, is_strict, options and one
     * empty credential are set. */
    struct command_program program;
    int64_t priority, weight;
    const struct channel_model *models;
    size_t n_models;
    /* of upstreams: */
    const struct adapter *adapter;
    const json_t *about;
    const char *base_url; /* without a slash at its end */
    const char *const
        *hosts; /* "host" or "host:port": further ones that get the credential; NULL-terminated */
    enum auth_way auth;
    const char *auth_name, *auth_prefix;
    const char *auth_service, *auth_region; /* of AUTH_WAY_VOLCENGINE */
    const char *auth_scope;                 /* of AUTH_WAY_GOOGLE */
    const struct exchange_header *headers;  /* of the configuration, added to every request */
    size_t n_headers;
    struct exchange_road road;
    const struct channel_credential *credentials;
    size_t n_credentials; /* 1 with an empty key for AUTH_WAY_NONE */
    int64_t concurrency, submits_per_minute,
        polls_per_minute; /* of each credential; 0: no limit but for concurrency */
    enum task_on_unknown on_unknown;
    bool is_strict;            /* fit: strict */
    bool is_drained;           /* `drain: true`: nothing new, but what is under way finishes */
    bool can_call_back;        /* the adapter passes `task.callback` on */
    const char *callback_base; /* of the addresses that it may call; NULL: it gets none */
    bool can_choose_job;  /* the adapter puts the attempt's id into the submit, and polls by it */
    bool looks_up_surely; /* such a job that is not found was not taken */
    bool can_cancel_pending, can_cancel_rendering;
    bool renews_result;     /* another poll names the result anew */
    bool result_needs_auth; /* the credential goes to a result's URL, on home hosts only */
    int64_t submit_total_ms, exchange_total_ms, connect_ms;
    int64_t poll_first_ms, poll_every_ms, poll_longest_ms;
    const json_t *options; /* of the configuration, for the program: an object, never NULL */
    const struct channel_capability *capabilities;
    size_t n_capabilities;
};

struct channel_table;

/* NULL with a sentence naming file and line when a channel is not right (unknown adapter, no credential …). Each
 * adapter in use is run once for its `about` (adapter_about()). `settings` and `adapters` (NULL: only the built-in engine
 * is there) must outlive the table. */
struct channel_table *channel_table_new(const struct settings *settings,
                                        const struct adapter_set *adapters,
                                        char ret_error[SETTINGS_ERROR_SIZE]);
struct channel_table *channel_table_ref(struct channel_table *table);
struct channel_table *channel_table_free(
    struct channel_table *table); /* gives a reference back; takes NULL, returns NULL */

size_t channel_count(const struct channel_table *table);
const struct channel *channel_at(const struct channel_table *table,
                                 size_t index); /* by priority, then order in the file */
const struct channel *channel_named(const struct channel_table *table, const char *name);
const struct channel_credential *channel_credential_named(const struct channel *channel,
                                                          const char *name);

/* Does it run here, and not at an upstream? */
bool channel_is_local(const struct channel *channel);
/* Whose work it is, as people are told: `animatic`, `command`, or the adapter's name. */
const char *channel_engine(const struct channel *channel);

/* Does the channel serve this public name, and what is it called there (`ret_upstream`, of the channel's life or
 * `model` itself)? */
bool channel_serves(const struct channel *channel, const char *model, const char **ret_upstream);
/* Does any channel of the table that is not drained? */
bool channel_is_served(const struct channel_table *table, const char *model);
/* The names for GET /v1/models: what the configuration lists (wildcards and drained channels left out), or, with the
 * catch-all, the well-known names of the family. */
size_t channel_model_names(const struct channel_table *table, const char *const **ret_names);

/* ---- fit ---- */

/* What is asked of the upstream, once it has been brought into what it takes. */
struct channel_fit {
    int duration_s;
    int width, height;
    char ratio[16]; /* "16:9": the nearest named one, always set */
    char resolution
        [16]; /* "720p": what the word of a size means (small 720, large 1080), else by the shorter side; always set */
    bool is_exact; /* nothing had to give way */
};

enum { CHANNEL_ERROR_SIZE = 300 };

/* True with the nearest that the channel's model takes; false with a sentence naming what is allowed: `fit: strict` and
 * something does not fit, or it cannot be brought to fit (number of images). Pure. */
CHECKED bool channel_fits(const struct channel *channel, const char *upstream_model,
                          const struct task_request *request, struct channel_fit *ret_fit,
                          char ret_error[CHANNEL_ERROR_SIZE]);
/* At create: true when some channel that serves the model and is not drained takes it. False with the sentence of the
 * first that does not, and the parameter it is about (duration, size, aspect_ratio, images …; never NULL). */
CHECKED bool channel_can_take(const struct channel_table *table, const struct task_request *request,
                              const char **ret_param, char ret_error[CHANNEL_ERROR_SIZE]);
