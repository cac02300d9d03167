/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt at an upstream on the stage of engine_upstream.h: two channels, one of each kind of adapter, what is told as
 * text, one word for each event, and what scripts are put together from. */
#pragma once

#include "engine_upstream.h"

#include "engine/remote.h"
#include "engine/token.h"
#include "service_key.h"
#include "task_sample.h"

/* ---- the channels ---- */

struct adapter_set {
    char nothing;
};

/* What the adapters can do, by name. */
static const struct {
    const char *name, *about;
} ABOUTS[] = {
    {"plain", "{\"base_url\": \"https://up.example\", \"auth\": {\"kind\": \"bearer\"},"
              " \"poll\": {\"first_s\": 10, \"every_s\": 5, \"longest_s\": 60}}"},
    {"able", "{\"base_url\": \"https://up.example\", \"auth\": {\"kind\": \"bearer\"},"
             " \"job\": {\"chosen\": true}, \"cancel\": {\"while\": [\"pending\"]},"
             " \"result\": {\"renews\": true}}"},
    {"keyed", "{\"base_url\": \"https://up.example\", \"auth\": {\"kind\": \"bearer\"},"
              " \"result\": {\"auth\": true}}"},
    {"signs", "{\"base_url\": \"https://up.example\", \"auth\": {\"kind\": \"volcengine\","
              " \"service\": \"cv\", \"region\": \"cn-north-1\"}}"},
    {"google", "{\"base_url\": \"https://up.example\","
               " \"auth\": {\"kind\": \"google_service_account\", \"scope\": \"films\"}}"},
    {"calling", "{\"base_url\": \"https://up.example\", \"auth\": {\"kind\": \"bearer\"},"
                " \"poll\": {\"first_s\": 3000, \"every_s\": 1000, \"longest_s\": 3600},"
                " \"result\": {\"renews\": true}, \"callback\": true,"
                " \"cancel\": {\"while\": [\"pending\"]}}"},
};

static const struct adapter ADAPTERS[ARRAY_LENGTH(ABOUTS)];

const struct adapter *adapter_find(const struct adapter_set *set, const char *name)
{
    (void)set;
    for (size_t i = 0; i < ARRAY_LENGTH(ABOUTS); i++) {
        if (strcmp(ABOUTS[i].name, name) == 0) {
            return &ADAPTERS[i];
        }
    }
    return NULL;
}

size_t adapter_count(const struct adapter_set *set)
{
    (void)set;
    return ARRAY_LENGTH(ABOUTS);
}

const struct adapter *adapter_at(const struct adapter_set *set, size_t index)
{
    (void)set;
    return &ADAPTERS[index];
}

json_t *adapter_about(const struct adapter *adapter, char ret_error[ADAPTER_ERROR_SIZE])
{
    (void)ret_error;
    return json_loads(ABOUTS[adapter - ADAPTERS].about, 0, NULL);
}

/* ---- the stage ---- */

static const struct settings SETTINGS = {
    .upstream_answer = 50000, .upstream_result = 1000, .upstream_download = 60000};
static const char GUARD;

enum { PER_MINUTE = 12 }; /* submits: two at once */

static const struct link_keys KEYS = {.current = {{1, 2, 3}}};

/* `callbacks` is the test's, where it has any. */
static struct engine_room ROOM = {
    .settings = &SETTINGS,
    .guard = (const struct guard *)(const void *)&GUARD,
    .link_keys = &KEYS,
};

struct place {
    struct engine_room room;
    struct channel_table *table;
    struct credentials *credentials;
    struct credential *credential;
    struct remote *remote;
    struct task *task;
    json_t *options;
    bool is_renewed;
    int64_t queue_position;
    char told[ASKED_MAX];
    char verdicts[ASKED_MAX];
    char unreached[ASKED_MAX]; /* `tries:why|` */
    char reasons[ASKED_MAX];   /* `why|` */
};

static inline void on_ready(void *context, const struct task_event *granted)
{
    struct place *place = context;
    assert_false(stage.is_within);
    assert_int_equal(granted->kind, TASK_EVENT_SLOT_GRANTED);
    assert_string_equal(granted->channel, "main");
    assert_string_equal(granted->credential, "default");
    note(place->told, granted->job ? "ready(chosen) " : "ready ");
    struct task *written = task_copy(place->task);
    (void)snprintf(written->attempt.id, sizeof written->attempt.id, "%s", granted->attempt_id);
    attempt_job_unref(written->attempt.job);
    written->attempt.job = attempt_job_ref(granted->job);
    stage.is_within = true;
    remote_send(place->remote, written);
    stage.is_within = false;
    assert_true(remote_is_sending(place->remote));
    assert_int_equal(place->credential->n_submitting, 1);
    task_unref(written);
}

static inline const char *text_or_dash(const char *text)
{
    return text ? text : "-";
}

/* Where an end tells of it. */
static inline void note_usage(struct place *place, const struct attempt_job *job)
{
    if (job) {
        note(place->told, "used(%s) ", text_or_dash(job->usage));
    }
}

static inline void note_event(struct place *place, const struct task_event *event)
{
    const struct attempt_job *job = event->job;
    const char *failure = task_failure_code(event->failure);
    if (event->kind == TASK_EVENT_ACCEPTED) {
        note(place->told, "accepted(%s, %s) ", job->id, text_or_dash(job->keep));
    } else if (event->kind == TASK_EVENT_TURNED_AWAY) {
        assert_string_equal(event->channel, "main");
        note(place->told, "turned_away(%s, %s, %lld) ", failure,
             event->is_final ? "final" : "later", (long long)event->retry_after_ms);
    } else if (event->kind == TASK_EVENT_ANSWER_LOST) {
        note(place->told, "lost(%s) ", event->can_confirm ? "confirm" : "-");
    } else if (event->kind == TASK_EVENT_RENDERED || event->kind == TASK_EVENT_RENEWED) {
        place->is_renewed = event->kind == TASK_EVENT_RENEWED;
        note(place->told, "%s(%s) ", place->is_renewed ? "renewed" : "rendered", job->outputs);
    } else if (event->kind == TASK_EVENT_FAILED) {
        note(place->told, "failed(%s%s) ", failure, event->may_retry ? ", again" : "");
        note_usage(place, job);
    } else if (event->kind == TASK_EVENT_KEPT) {
        note(place->told, "kept(%s, %s) ", job->keep, text_or_dash(job->enhanced_prompt));
    } else if (event->kind == TASK_EVENT_PROGRESS) {
        note(place->told, "progress(%g) ", event->progress);
    } else if (event->kind == TASK_EVENT_STORED) {
        note(place->told, "stored(%s) ", event->result.generation_id);
    } else if (event->kind == TASK_EVENT_CANCEL_CLOSED) {
        note(place->told, "closed(%s) ", event->was_stopped ? "stopped" : "-");
        note_usage(place, job);
    } else {
        assert_int_equal(event->is_final, event->kind == TASK_EVENT_DEADLINE);
        note(place->told, "%s ", task_event_name(event->kind));
    }
}

/* What an upstream named anew stands in the task from then on. */
static inline void take_job(struct place *place, struct attempt_job *job)
{
    struct task *fresh = task_copy(place->task);
    attempt_job_unref(fresh->attempt.job);
    fresh->attempt.job = attempt_job_ref(job);
    task_unref(place->task);
    place->task = fresh;
}

static inline void on_event(void *context, const struct task_event *event)
{
    struct place *place = context;
    assert_false(stage.is_within);
    assert_int_equal(place->credential->n_submitting, 0);
    assert_int_equal(place->credential->n_polling, 0);
    if (event->kind == TASK_EVENT_TURNED_AWAY || event->kind == TASK_EVENT_ANSWER_LOST ||
        event->kind == TASK_EVENT_GONE || event->failure == TASK_FAILURE_RESULT_LOST) {
        assert_int_not_equal(place->reasons[0], '\0'); /* operators are told why, before */
    }
    note_event(place, event);
    if (event->job) {
        take_job(place, event->job);
    }
}

static inline void on_queue_position(void *context, int64_t position)
{
    struct place *place = context;
    place->queue_position = position;
}

static inline void on_verdict(void *context, enum remote_verdict verdict, const char *message)
{
    struct place *place = context;
    (void)message;
    note(place->verdicts, "%s ", remote_verdict_word(verdict));
}

static inline void on_unreached(void *context, int n_tries, const char *why)
{
    struct place *place = context;
    note(place->unreached, "%d:%s|", n_tries, why);
}

static inline void on_reason(void *context, const char *reason)
{
    struct place *place = context;
    assert_false(stage.is_within);
    note(place->reasons, "%s|", reason);
}

static inline void begin(struct place *place, const char *adapter, struct task *task,
                         const struct turn *turns)
{
    static const struct adapter_set set;
    static const struct settings_model all = {"*", NULL};
    static const struct settings_credential plain = {"default", "secret", NULL, NULL};
    static const struct settings_credential signing = {"default", "secret", "top-secret", NULL};
    static const struct settings_credential account = {
        "default", ACCOUNT_JSON(RFC_RSA_PEM, "https://oauth2.example.com/token"), NULL, NULL};
    char error[SETTINGS_ERROR_SIZE] = "";
    memset(place, 0, sizeof *place);
    play(turns);
    place->room = ROOM;
    place->room.tokens = tokens_new(NULL, NULL);
    place->options = json_object();
    const struct settings_channel channel = {
        .name = "main",
        .adapter = adapter,
        .models = &all,
        .n_models = 1,
        .credentials = strcmp(adapter, "google") == 0  ? &account
                       : strcmp(adapter, "signs") == 0 ? &signing
                                                       : &plain,
        .n_credentials = 1,
        .weight = 1,
        .concurrency = 4,
        .submits_per_minute = PER_MINUTE,
        .on_unknown = "hold",
        .fit = "nearest",
        .options = place->options,
        .callback = strcmp(adapter, "calling") == 0,
    };
    const struct settings settings = {.channels = &channel,
                                      .n_channels = 1,
                                      .file = "f.yaml",
                                      .public_url = "https://gate.example"};
    place->table = channel_table_new(&settings, &set, error);
    assert_string_equal(error, "");
    place->credentials = credentials_new();
    place->credential = credential_of(place->credentials, "main", "default");
    policy_breaker_fail(&place->credential->breaker, START_MS); /* one failure, to see changes */
    place->task = task;
    const struct channel *main = channel_at(place->table, 0);
    const struct route route = {ROUTE_FOUND,       main, &main->credentials[0],
                                place->credential, -1,   false};
    const struct remote_handler handler = {
        on_ready, on_event, on_queue_position, on_verdict, on_unreached, on_reason, place};
    place->remote = remote_new(&place->room, place->credentials, place->table, &route, &handler);
}

static inline void end(struct place *place)
{
    place->remote = remote_free(place->remote, true);
    place->room.tokens = tokens_free(place->room.tokens);
    assert_stage_is_empty();
    assert_int_equal(stage.at, stage.n_turns);
    assert_int_equal(place->credential->n_submitting, 0);
    assert_int_equal(place->credential->n_polling, 0);
    credentials_free(place->credentials);
    channel_table_free(place->table);
    task_unref(place->task);
    json_decref(place->options);
}

/* Calls something of the remote, which tells nothing from within. */
static inline void call(struct place *place, void (*what)(struct remote *, const struct task *))
{
    stage.is_within = true;
    what(place->remote, place->task);
    stage.is_within = false;
}

/* How the credential stands, which had failed once before. */
enum health { WELL_AGAIN, AS_BEFORE, WORSE, RESTS };

static inline enum health health_of(const struct credential *credential)
{
    return credential->breaker.state == POLICY_OPEN ? RESTS
           : credential->breaker.n_failures == 0    ? WELL_AGAIN
           : credential->breaker.n_failures == 1    ? AS_BEFORE
                                                    : WORSE;
}

static inline void check_told(const struct place *place, const char *told, const char *table,
                              size_t number)
{
    char expected[ASKED_MAX];
    (void)snprintf(expected, sizeof expected, "%s%s", told, told[0] ? " " : "");
    if (strcmp(place->told, expected) != 0) {
        fail_msg("%s %zu: told \"%s\", not \"%s\"", table, number, place->told, expected);
    }
}

/* ---- what scripts are made of ---- */

#define BUY "{\"method\":\"POST\",\"path\":\"/v1/videos\"}"
#define UPLOAD "{\"method\":\"PUT\",\"path\":\"/v1/files\",\"buys\":false}"
#define LOOK "{\"method\":\"GET\",\"path\":\"/v1/videos/j\"}"
#define SENT SAYS(BUY), ANSWERS(200)
#define ERROR(kind) SAYS("{\"error\":{\"kind\":\"" kind "\",\"message\":\"m\"}}")
#define AWAY(how) "turned_away(upstream_refused, " how ")"

#define ASKED SAYS(LOOK), ANSWERS(200)
#define DONE(outputs) SAYS("{\"state\":\"done\",\"outputs\":" outputs "}")
#define STATE(name) SAYS("{\"state\":\"" name "\"}")
#define FAILED(kind) SAYS("{\"state\":\"failed\",\"error\":{\"kind\":\"" kind "\"}}")
#define GONE_POLL ASKED, STATE("gone")
/* Once more, with the request that is remembered. */
#define AGAIN ANSWERS(200)
#define GONE_AGAIN AGAIN, STATE("gone")

#define HOME "[{\"url\":\"https://up.example/v.mp4\"}]"
#define BRINGS(code, bytes)                                                                        \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = (code), .text = (bytes)                                    \
    }
#define BRINGS_PART(of, bytes)                                                                     \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = 206, .text = (bytes), .header = "content-range",           \
        .value = "bytes " of                                                                       \
    }
#define STOPS_AT(code, bytes, etag)                                                                \
    {                                                                                              \
        .kind = TURN_ANSWERS, .status = (code), .text = (bytes), .end = EXCHANGE_UNREACHABLE,      \
        .header = "etag", .value = (etag)                                                          \
    }
#define STORES                                                                                     \
    {                                                                                              \
        .kind = TURN_STORES                                                                        \
    }
#define STORES_NOT(why, again)                                                                     \
    {                                                                                              \
        .kind = TURN_STORES, .failure = TASK_FAILURE_##why, .may_retry = (again)                   \
    }
#define BAD BRINGS(503, "no")
#define OUT BREAKS(TIMED_OUT)
#define AWAY_12 OUT, OUT, OUT, OUT, OUT, OUT, OUT, OUT, OUT, OUT, OUT, OUT
/* Half of it, and nothing to show that the rest belongs to it. */
#define HALF STOPS_AT(200, "half", NULL)
#define HALVES_12 HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF
#define ANEW(outputs) ASKED, DONE(outputs)
#define GET_HOME "GET https://up.example/v.mp4|"
#define GET_REST "GET https://up.example/v.mp4 Range=bytes=4- If-Range=\"e\"|"
#define RENEWED "renewed(" HOME ") "
#define LOST "failed(result_lost)"

static inline struct task *fetching_task(const char *outputs)
{
    struct task *task = sample_upstream_task(TASK_FETCHING, ATTEMPT_FINISHED);
    attempt_job_unref(task->attempt.job);
    task->attempt.job = attempt_job_new("job-1", NULL, outputs, NULL, NULL);
    return task;
}
