/* SPDX-License-Identifier: Apache-2.0
 *
 * One dialogue on the stage of engine_upstream.h, from its beginning to its end, and what its programs say. */
#pragma once

#include "engine/token.h"
#include "engine_upstream.h"

/* ---- the stage ---- */

static const struct channel_credential KEY = {.name = "default", .key = "secret"};
static const struct adapter VENDOR;

static const struct channel CHANNEL = {
    .name = "main",
    .adapter = &VENDOR,
    .base_url = "https://up.example",
    .hosts = (const char *const[]){NULL},
    .auth = AUTH_WAY_BEARER,
    .credentials = &KEY,
    .n_credentials = 1,
    .submit_total_ms = 60000,
    .exchange_total_ms = 20000,
    .connect_ms = 7000,
};

static const struct settings SETTINGS = {.upstream_answer = 50000};
static const char GUARD;
static const struct engine_room ROOM = {.settings = &SETTINGS,
                                        .guard = (const struct guard *)(const void *)&GUARD};

struct heard {
    const struct engine_room *room; /* NULL: ROOM */
    const struct channel *channel;  /* NULL: CHANNEL */
    struct dialogue *dialogue;
    bool goes; /* when ready */
    char **asked;
    int n_ready, n_done;
    struct dialogue_outcome outcome;
    char *result; /* JSON; NULL: none */
    char note[DIALOGUE_NOTE_SIZE];
    char blob[ASKED_MAX]; /* empty: none */
};

static inline void on_fetching(void *context, bool is_fetching)
{
    (void)context;
    assert_int_equal(is_fetching,
                     stage.inputs == NULL); /* before it begins, and when it has ended */
}

static inline void on_ready(void *context)
{
    struct heard *heard = context;
    assert_false(stage.is_within);
    heard->n_ready++;
    if (heard->goes) {
        stage.is_within = true;
        dialogue_go(heard->dialogue);
        stage.is_within = false;
    }
}

static inline void on_done(void *context, const struct dialogue_outcome *outcome)
{
    struct heard *heard = context;
    assert_false(stage.is_within);
    heard->n_done++;
    heard->outcome = *outcome;
    heard->result =
        outcome->result ? json_dumps(outcome->result, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    (void)snprintf(heard->note, sizeof heard->note, "%s", outcome->note);
    if (outcome->n_blobs > 0) {
        read_all(outcome->blob_file, outcome->blobs[0].bytes, heard->blob, ASKED_MAX);
    }
    heard->dialogue = dialogue_stop(heard->dialogue); /* as it may */
}

static inline struct task *task_with_image(void)
{
    struct task_request *request = task_request_new();
    request->n_images = 1;
    request->images = must_calloc(1, sizeof *request->images);
    request->images[0].key = must_strdup("task_1/media_1.png");
    return task_new(request, START_MS);
}

static inline void start(struct heard *heard, enum dialogue_kind kind, const char *keep)
{
    struct task *task = task_with_image();
    const struct channel *channel = heard->channel ? heard->channel : &CHANNEL;
    const struct dialogue_spec spec = {
        .kind = kind,
        .channel = channel,
        .identity = heard->channel ? channel->credentials : &KEY,
        .task = task,
        .input = json_object(),
        .keep = keep,
        .asked = heard->asked,
        .ready = on_ready,
        .fetching = on_fetching,
        .done = on_done,
        .context = heard,
    };
    stage.is_within = true;
    heard->dialogue = dialogue_start(heard->room ? heard->room : &ROOM, &spec);
    stage.is_within = false;
    task_unref(task);
}

/* `asked`: where the program's request is kept; NULL: nowhere. */
static inline struct heard run_again(enum dialogue_kind kind, const char *keep, char **asked,
                                     const struct turn *turns)
{
    struct heard heard = {.goes = true, .asked = asked};
    play(turns);
    start(&heard, kind, keep);
    while (heard.n_done == 0 && go_on()) {
    }
    assert_int_equal(heard.n_done, 1);
    assert_stage_is_empty();
    assert_int_equal(stage.at, stage.n_turns);
    return heard;
}

static inline struct heard run(enum dialogue_kind kind, const char *keep, const struct turn *turns)
{
    return run_again(kind, keep, NULL, turns);
}

/* ---- what scripts are made of ---- */

#define BUY "{\"method\":\"POST\",\"path\":\"/v1/videos\",\"json\":{\"a\":1}}"
#define UPLOAD "{\"method\":\"PUT\",\"path\":\"/v1/files\",\"buys\":false}"
#define LOOK "{\"method\":\"GET\",\"path\":\"/v1/videos/j\"}"
#define HEEDS                                                                                      \
    "{\"method\":\"GET\",\"path\":\"/v1/videos/j\",\"heed\":[\"429\",\"503\"],\"buys\":true}"
#define NEXT "{\"next\":true,\"keep\":{\"n\":1}}"
#define JOB "{\"job\":\"j\"}"
#define REFUSES "{\"error\":{\"kind\":\"refused\"}}"
#define STATE "{\"state\":\"pending\"}"
#define IMAGE                                                                                      \
    "{\"method\":\"POST\",\"path\":\"/v1/videos\","                                                \
    "\"json\":{\"i\":{\"$image\":0,\"as\":[\"base64\"]}}}"
