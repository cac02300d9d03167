/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened to a task, in the order of time: gathered from its record, the events that its changes left, its attempts at
 * upstreams, and the webhooks that told of its end. Which upstream it was, in what words it spoke, and how a program ended, only
 * operators are told. On HTTP threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "api/task.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "store/webhooks.h"

enum {
    PAGES_MAX = 8, /* of events; there are seldom more than one */
    ATTEMPTS_MAX = STORE_LIST_MAX,
    DELIVERIES_MAX = 32, /* of webhooks, the newest */
    NUMBER_SIZE = 24,
    ENTRIES_MAX = PAGES_MAX * STORE_EVENTS_MAX * 2 + ATTEMPTS_MAX * 4 +
                  DELIVERIES_MAX * (STORE_TRIES_MAX + 1) + 2,
};

struct entry {
    int64_t at_ms;
    size_t order; /* of what happened in one millisecond */
    json_t *json;
};

struct timeline {
    struct api_request *request;
    const struct task *task;
    bool for_operator;
    bool has_states;    /* events told of some */
    int64_t n_local;    /* the local attempt that is open; 0: none */
    const char *engine; /* whose work that is */
    char *channel;      /* and where */
    int64_t
        n_answer; /* the attempt whose submit was answered by a reason, or by nothing; 0: none */
    int64_t answer_ms;
    char *reason;    /* why it ends; NULL: nothing was noted */
    json_t *reasons; /* the same of attempts at upstreams, by their number */
    struct entry *entries;
    size_t n_entries;
};

/* A new entry, for its maker to add to. */
static json_t *add_entry(struct timeline *timeline, int64_t at_ms, const char *kind)
{
    char at[CLOCK_ISO_MICROS_SIZE];
    json_t *json = json_object();
    must(json != NULL && timeline->n_entries < ENTRIES_MAX);
    clock_iso_micros(at_ms * 1000, at);
    json_set_text(json, "at", at);
    json_set(json, "at_ms", json_integer(at_ms));
    json_set_text(json, "kind", kind);
    timeline->entries[timeline->n_entries] = (struct entry){at_ms, timeline->n_entries, json};
    timeline->n_entries++;
    return json;
}

static json_t *add_attempt(struct timeline *timeline, int64_t at_ms, const char *what,
                           int64_t number, const char *engine)
{
    json_t *json = add_entry(timeline, at_ms, "attempt");
    json_set_text(json, "what", what);
    json_set(json, "attempt", json_integer(number));
    json_set_text(json, "engine", engine);
    return json;
}

static void copy_text(json_t *to, const json_t *from, const char *key)
{
    const char *text = json_text(from, key);
    if (text != NULL && *text != '\0')
        json_set_text(to, key, text);
}

/* ---- the record ---- */

static void add_created(struct timeline *timeline)
{
    json_t *json = add_entry(timeline, timeline->task->request->created_micros / 1000, "created");
    json_set_text(json, "state", task_state_name(TASK_QUEUED));
}

/* A task from before there were events, or whose events went with its files. */
static void add_end(struct timeline *timeline)
{
    const struct task *task = timeline->task;
    if (timeline->has_states || !task_state_is_end(task->state))
        return;
    json_t *json = add_entry(timeline, task->ended_ms, "state");
    json_set_text(json, "state", task_state_name(task->state));
    if (task->failure != TASK_FAILURE_NONE)
        json_set_text(json, "failure", task_failure_code(task->failure));
}

/* ---- events ---- */

/* Whose work an attempt at the channel is when it is done here; NULL: an upstream's. */
static const char *local_engine(const struct timeline *timeline, const char *name)
{
    const struct task *task = timeline->task;
    const struct channel_table *table = engine_channel_table(timeline->request->api->parts.engine);
    const struct channel *channel = channel_named(table, name);
    if (channel != NULL)
        return channel_is_local(channel) ? channel_engine(channel) : NULL;
    if (!task->is_local || strcmp(shared_text_of(task->channel), name) != 0)
        return NULL;
    return task->is_command ? "command" : "animatic";
}

/* One that was refused or failed has a reason, one that a stop of the server interrupted has none. */
static const char *local_end(const struct timeline *timeline, enum task_state state)
{
    static const char refused[] = "the program refused ";
    if (timeline->reason != NULL && strncmp(timeline->reason, refused, sizeof(refused) - 1) == 0)
        return "refused";
    if (state == TASK_QUEUED)
        return timeline->reason != NULL ? "failed" : "stopped";
    return state == TASK_COMPLETED ? "finished" : task_state_name(state);
}

/* Of local attempts there is no record: they begin and end with states. */
static void add_local(struct timeline *timeline, const struct store_event *event,
                      enum task_state state, const json_t *body)
{
    const char *channel = json_text(body, "channel");
    bool is_over = state == TASK_QUEUED || task_state_is_end(state);
    const char *engine =
        state == TASK_SUBMITTING && channel != NULL ? local_engine(timeline, channel) : NULL;
    if (engine != NULL) {
        timeline->n_local = json_int(body, "attempt", 0);
        timeline->engine = engine;
        json_t *json = add_attempt(timeline, event->at_ms, "begun", timeline->n_local, engine);
        free(timeline->channel);
        timeline->channel = must_strdup(channel);
        if (timeline->for_operator)
            json_set_text(json, "channel", channel);
    } else if (is_over && timeline->n_local > 0) {
        json_t *json =
            add_attempt(timeline, event->at_ms, "closed", timeline->n_local, timeline->engine);
        json_set_text(json, "state", local_end(timeline, state));
        if (timeline->for_operator)
            json_set_text(json, "channel", timeline->channel);
        if (timeline->for_operator && timeline->reason != NULL)
            json_set_text(json, "message", timeline->reason);
        timeline->n_local = 0;
        free(TAKE(timeline->reason));
    }
}

static void write_number(int64_t number, char ret_text[NUMBER_SIZE])
{
    (void)snprintf(ret_text, NUMBER_SIZE, "%lld", (long long)number);
}

/* A task that goes on after such a reason lost the answer, and looks the job up: the reason is none of an end. */
static void add_lost(struct timeline *timeline)
{
    char number[NUMBER_SIZE];
    write_number(timeline->n_answer, number);
    json_t *json =
        add_attempt(timeline, timeline->answer_ms, "lost", timeline->n_answer, "upstream");
    if (timeline->for_operator)
        json_set_text(json, "message", json_text(timeline->reasons, number));
    (void)json_object_del(timeline->reasons, number);
}

static void add_state(struct timeline *timeline, const struct store_event *event,
                      const json_t *body)
{
    enum task_state state;
    const char *name = json_text(body, "state");
    if (name == NULL || !task_state_parse(name, &state))
        return;
    timeline->has_states = true;
    if (event->revision > 1 || state != TASK_QUEUED) { /* else it is how it was created */
        json_t *json = add_entry(timeline, event->at_ms, "state");
        json_set_text(json, "state", name);
        json_set(json, "progress",
                 json_integer((json_int_t)(json_number(body, "progress", 0) * 100 + 1e-9)));
        copy_text(json, body, "failure");
        copy_text(json, body, "note"); /* a query shows it, too */
    }
    if (state == TASK_RENDERING && timeline->n_answer > 0)
        add_lost(timeline);
    timeline->n_answer = 0;
    add_local(timeline, event, state, body);
}

static void add_poll(struct timeline *timeline, const struct store_event *event, const json_t *body)
{
    json_t *json = add_entry(timeline, event->at_ms, "poll");
    json_set(json, "attempt", json_integer(json_int(body, "attempt", 0)));
    copy_text(json, body, "verdict");
    if (timeline->for_operator)
        copy_text(json, body, "message");
}

/* Why a task stays in fetching. */
static void add_fetch(struct timeline *timeline, const struct store_event *event,
                      const json_t *body)
{
    if (!timeline->for_operator)
        return;
    json_t *json = add_entry(timeline, event->at_ms, "fetch");
    json_set(json, "attempt", json_integer(json_int(body, "attempt", 0)));
    json_set(json, "tries", json_integer(json_int(body, "tries", 0)));
    copy_text(json, body, "message");
}

/* Before anything was sent, or an attempt was on record. */
static void add_put_off(struct timeline *timeline, const struct store_event *event,
                        const json_t *body)
{
    if (!timeline->for_operator)
        return;
    json_t *json = add_entry(timeline, event->at_ms, "attempt");
    json_set_text(json, "what", "put_off");
    json_set_text(json, "engine", "upstream");
    copy_text(json, body, "channel");
    copy_text(json, body, "credential");
    copy_text(json, body, "message");
}

/* Why an attempt ends: for the entry of its end, which comes later. */
static void take_reason(struct timeline *timeline, const struct store_event *event,
                        const json_t *body)
{
    char number[NUMBER_SIZE];
    const char *message = json_text(body, "message");
    int64_t attempt = json_int(body, "attempt", 0);
    if (message == NULL)
        return;
    if (attempt == 0) {
        add_put_off(timeline, event, body);
    } else if (!json_flag(body, "is_local", false)) {
        write_number(attempt, number);
        json_set_text(timeline->reasons, number, message);
        timeline->n_answer = json_flag(body, "is_submit", false) ? attempt : 0;
        timeline->answer_ms = event->at_ms;
    } else if (attempt == timeline->n_local) {
        free(timeline->reason);
        timeline->reason = must_strdup(message);
    }
}

static void add_event(struct timeline *timeline, const struct store_event *event)
{
    CLEANUP(json_unref_pointer) json_t *body = json_loads(event->body, 0, NULL);
    if (strcmp(event->kind, STORE_EVENT_STATE) == 0)
        add_state(timeline, event, body);
    else if (strcmp(event->kind, STORE_EVENT_POLL) == 0)
        add_poll(timeline, event, body);
    else if (strcmp(event->kind, STORE_EVENT_FETCH) == 0)
        add_fetch(timeline, event, body);
    else if (strcmp(event->kind, STORE_EVENT_ATTEMPT) == 0)
        take_reason(timeline, event, body);
}

static int add_events(struct timeline *timeline)
{
    struct store_event events[STORE_EVENTS_MAX];
    struct store_events_query query = {.task_id = timeline->task->request->id,
                                       .limit = STORE_EVENTS_MAX};
    size_t count = STORE_EVENTS_MAX;
    for (int page = 0; page < PAGES_MAX && count == STORE_EVENTS_MAX; page++) {
        int fault = store_events(timeline->request->api->parts.store, &query, events, &count);
        if (fault < 0)
            return fault;
        for (size_t i = 0; i < count; i++) {
            query.after = events[i].number;
            add_event(timeline, &events[i]);
            store_event_fini(&events[i]);
        }
    }
    return 0;
}

/* ---- attempts at upstreams ---- */

static void add_names(const struct timeline *timeline, const struct store_attempt *attempt,
                      bool has_job, json_t *json)
{
    const struct attempt_record *record = &attempt->record;
    if (!timeline->for_operator)
        return;
    json_set_text(json, "id", attempt->id);
    json_set_text(json, "channel", shared_text_of(record->channel));
    json_set_text(json, "credential", shared_text_of(record->credential));
    const char *job = has_job ? attempt_shown_job(record) : NULL;
    if (job != NULL)
        json_set_text(json, "job", job);
}

/* What the upstream says that the attempt used. */
static void add_usage(const struct timeline *timeline, const struct attempt_record *record,
                      json_t *json)
{
    const char *text = record->job != NULL ? record->job->usage : NULL;
    json_t *usage = timeline->for_operator && text != NULL ? json_loads(text, 0, NULL) : NULL;
    if (json_is_object(usage))
        json_set(json, "usage", json_incref(usage));
    json_decref(usage);
}

static void add_reason(const struct timeline *timeline, const struct attempt_record *record,
                       json_t *json)
{
    char number[NUMBER_SIZE];
    write_number(record->number, number);
    const char *reason = json_text(timeline->reasons, number);
    if (timeline->for_operator && reason != NULL)
        json_set_text(json, "message", reason);
}

/* What an operator found, after all that was known before: then the record has his word in the place of `unknown`. */
static void add_resolved(struct timeline *timeline, const struct store_attempt *attempt)
{
    json_t *json =
        add_attempt(timeline, attempt->resolved_ms, "resolved", attempt->record.number, "upstream");
    add_names(timeline, attempt, true, json);
    json_set_text(json, "state", attempt_state_name(attempt->record.state));
}

static void add_moment(struct timeline *timeline, const struct store_attempt *attempt,
                       const char *what, int64_t at_ms)
{
    if (at_ms <= 0)
        return;
    bool is_resolved = attempt->resolved_ms > 0;
    json_t *json = add_attempt(timeline, at_ms, what, attempt->record.number, "upstream");
    add_names(timeline, attempt, !is_resolved, json);
    if (strcmp(what, "closed") == 0) {
        json_set_text(json, "state",
                      attempt_state_name(is_resolved ? ATTEMPT_UNKNOWN : attempt->record.state));
        add_usage(timeline, &attempt->record, json);
        add_reason(timeline, &attempt->record, json);
    }
}

static int add_attempts(struct timeline *timeline)
{
    struct store_attempt attempts[ATTEMPTS_MAX];
    const struct store_attempts_query query = {.task_id = timeline->task->request->id,
                                               .limit = ATTEMPTS_MAX};
    size_t count = 0;
    int fault = store_attempts(timeline->request->api->parts.store, &query, attempts, &count);
    for (size_t i = count; fault == 0 && i-- > 0;) { /* oldest first */
        add_moment(timeline, &attempts[i], "begun", attempts[i].record.begun_ms);
        if (attempts[i].resolved_ms == 0)
            add_moment(timeline, &attempts[i], "accepted", attempts[i].record.accepted_ms);
        add_moment(timeline, &attempts[i], "closed", attempts[i].record.closed_ms);
        if (attempts[i].resolved_ms > 0)
            add_resolved(timeline, &attempts[i]);
        store_attempt_fini(&attempts[i]);
    }
    return fault;
}

/* ---- webhooks ---- */

static json_t *add_webhook(struct timeline *timeline, const struct store_delivery *delivery,
                           int64_t at_ms, const char *what)
{
    json_t *json = add_entry(timeline, at_ms, "webhook");
    json_set_text(json, "what", what);
    json_set_text(json, "delivery", delivery->id);
    json_set_text(json, "url", delivery->url);
    return json;
}

static void add_try(struct timeline *timeline, const struct store_delivery *delivery,
                    const struct store_try *try)
{
    json_t *json = add_webhook(timeline, delivery, try->at_ms, "tried");
    json_set(json, "try", json_integer(try->number));
    if (try->status != 0)
        json_set(json, "status", json_integer(try->status));
    if (try->error != NULL)
        json_set_text(json, "note", try->error);
}

static void add_delivery_end(struct timeline *timeline, const struct store_delivery *delivery)
{
    if (delivery->ended_ms == 0)
        return;
    json_t *json = add_webhook(timeline, delivery, delivery->ended_ms, "closed");
    json_set_text(json, "state", store_delivery_state_name(delivery->state));
    if (delivery->note != NULL)
        json_set_text(json, "note", delivery->note);
}

static int add_delivery(struct timeline *timeline, const struct store_delivery *delivery)
{
    struct store_try tries[STORE_TRIES_MAX];
    size_t count = 0;
    int fault = store_tries(timeline->request->api->parts.store, delivery->id, tries, &count);
    for (size_t i = 0; fault == 0 && i < count; i++) {
        add_try(timeline, delivery, &tries[i]);
        store_try_fini(&tries[i]);
    }
    if (fault == 0)
        add_delivery_end(timeline, delivery);
    return fault;
}

static int add_webhooks(struct timeline *timeline)
{
    struct store_delivery deliveries[DELIVERIES_MAX];
    const struct store_deliveries_query query = {
        .tenant = timeline->task->request->tenant,
        .task_id = timeline->task->request->id,
        .limit = DELIVERIES_MAX,
    };
    size_t count = 0;
    int fault = store_deliveries(timeline->request->api->parts.store, &query, deliveries, &count);
    for (size_t i = fault == 0 ? count : 0; i-- > 0;) { /* oldest first */
        if (fault == 0)
            fault = add_delivery(timeline, &deliveries[i]);
        store_delivery_fini(&deliveries[i]);
    }
    return fault;
}

/* ---- the whole ---- */

static int by_time(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    if (one->at_ms != other->at_ms)
        return one->at_ms < other->at_ms ? -1 : 1;
    return one->order < other->order ? -1 : one->order > other->order;
}

/* Where entries come from, besides the record: each adds what it knows, 0 or negative errno. */
static int (*const sources[])(struct timeline *timeline) = {add_events, add_attempts, add_webhooks};

static int gather(struct timeline *timeline)
{
    int fault = 0;
    add_created(timeline);
    for (size_t i = 0; fault == 0 && i < ARRAY_LENGTH(sources); i++)
        fault = sources[i](timeline);
    if (fault == 0)
        add_end(timeline);
    return fault;
}

enum MHD_Result video_timeline(struct api_request *request)
{
    struct timeline timeline = {
        .request = request,
        .task = request->task,
        .for_operator = request->who.is_operator,
        .entries = must_calloc(ENTRIES_MAX, sizeof(struct entry)),
        .reasons = json_object(),
    };
    must(timeline.reasons != NULL);
    int fault = gather(&timeline);
    qsort(timeline.entries, timeline.n_entries, sizeof(struct entry), by_time);
    json_t *data = json_array();
    must(data != NULL);
    for (size_t i = 0; i < timeline.n_entries; i++)
        json_add(data, timeline.entries[i].json);
    free(timeline.entries);
    free(timeline.channel);
    free(timeline.reason);
    json_decref(timeline.reasons);
    json_t *list = api_list(data);
    if (fault == 0)
        return api_reply_tree(request, MHD_HTTP_OK, list);
    json_decref(list);
    log_write(LOG_ERROR, &(struct log_about){.request_id = api_request_id(request)},
              "reading a timeline failed: %s", strerror(-fault));
    return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
}
