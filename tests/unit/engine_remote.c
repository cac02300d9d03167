/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt at an upstream: which answers of a submit mean accepted, turned away or lost, what polls tell, how a result
 * comes home whatever breaks, and what a cancel ends with. What is told stands as text, one word for each event. */
#include "engine_upstream.h"

#include "engine/remote.h"
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

static const struct engine_room ROOM = {
    .settings = &SETTINGS,
    .guard = (const struct guard *)(const void *)&GUARD,
};

struct place {
    struct channel_table *table;
    struct credentials *credentials;
    struct credential *credential;
    struct remote *remote;
    struct task *task;
    json_t *options;
    bool is_renewed;
    int64_t queue_position;
    char told[ASKED_MAX];
};

static void on_ready(void *context, const struct task_event *granted)
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
    task_unref(written);
}

static const char *text_or_dash(const char *text)
{
    return text ? text : "-";
}

static void note_event(struct place *place, const struct task_event *event)
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
    } else if (event->kind == TASK_EVENT_KEPT) {
        note(place->told, "kept(%s, %s) ", job->keep, text_or_dash(job->enhanced_prompt));
    } else if (event->kind == TASK_EVENT_PROGRESS) {
        note(place->told, "progress(%g) ", event->progress);
    } else if (event->kind == TASK_EVENT_STORED) {
        note(place->told, "stored(%s) ", event->result.generation_id);
    } else if (event->kind == TASK_EVENT_CANCEL_CLOSED) {
        note(place->told, "closed(%s) ", event->was_stopped ? "stopped" : "-");
    } else {
        note(place->told, "%s ", task_event_name(event->kind));
    }
}

/* What an upstream named anew stands in the task from then on. */
static void take_job(struct place *place, struct attempt_job *job)
{
    struct task *fresh = task_copy(place->task);
    attempt_job_unref(fresh->attempt.job);
    fresh->attempt.job = attempt_job_ref(job);
    task_unref(place->task);
    place->task = fresh;
}

static void on_event(void *context, const struct task_event *event)
{
    struct place *place = context;
    assert_false(stage.is_within);
    note_event(place, event);
    if (event->job) {
        take_job(place, event->job);
    }
}

static void on_queue_position(void *context, int64_t position)
{
    struct place *place = context;
    place->queue_position = position;
}

static void begin(struct place *place, const char *adapter, struct task *task,
                  const struct turn *turns)
{
    static const struct adapter_set set;
    static const struct settings_model all = {"*", NULL};
    static const struct settings_credential key = {"default", "secret", NULL};
    char error[SETTINGS_ERROR_SIZE] = "";
    memset(place, 0, sizeof *place);
    play(turns);
    place->options = json_object();
    const struct settings_channel channel = {
        .name = "main",
        .adapter = adapter,
        .models = &all,
        .n_models = 1,
        .credentials = &key,
        .n_credentials = 1,
        .weight = 1,
        .concurrency = 4,
        .submits_per_minute = PER_MINUTE,
        .on_unknown = "hold",
        .fit = "nearest",
        .options = place->options,
    };
    const struct settings settings = {.channels = &channel, .n_channels = 1, .file = "f.yaml"};
    place->table = channel_table_new(&settings, &set, error);
    assert_string_equal(error, "");
    place->credentials = credentials_new();
    place->credential = credential_of(place->credentials, "main", "default");
    policy_breaker_fail(&place->credential->breaker, START_MS); /* one failure, to see changes */
    place->task = task;
    const struct channel *main = channel_at(place->table, 0);
    const struct route route = {ROUTE_FOUND, main, &main->credentials[0], place->credential, -1};
    const struct remote_handler handler = {on_ready, on_event, on_queue_position, place};
    place->remote = remote_new(&ROOM, place->credentials, place->table, &route, &handler);
}

static void end(struct place *place)
{
    place->remote = remote_free(place->remote, true);
    assert_stage_is_empty();
    assert_int_equal(stage.at, stage.n_turns);
    credentials_free(place->credentials);
    channel_table_free(place->table);
    task_unref(place->task);
    json_decref(place->options);
}

/* Calls something of the remote, which tells nothing from within. */
static void call(struct place *place, void (*what)(struct remote *, const struct task *))
{
    stage.is_within = true;
    what(place->remote, place->task);
    stage.is_within = false;
}

/* How the credential stands, which had failed once before. */
enum health { WELL_AGAIN, AS_BEFORE, WORSE, RESTS };

static enum health health_of(const struct credential *credential)
{
    return credential->breaker.state == POLICY_OPEN ? RESTS
           : credential->breaker.n_failures == 0    ? WELL_AGAIN
           : credential->breaker.n_failures == 1    ? AS_BEFORE
                                                    : WORSE;
}

static void check_told(const struct place *place, const char *told, const char *table,
                       size_t number)
{
    char expected[ASKED_MAX];
    (void)snprintf(expected, sizeof expected, "%s%s", told, told[0] ? " " : "");
    if (strcmp(place->told, expected) != 0) {
        fail_msg("%s %zu: told \"%s\", not \"%s\"", table, number, place->told, expected);
    }
}

/* ---- submit ---- */

#define BUY "{\"method\":\"POST\",\"path\":\"/v1/videos\"}"
#define UPLOAD "{\"method\":\"PUT\",\"path\":\"/v1/files\",\"buys\":false}"
#define LOOK "{\"method\":\"GET\",\"path\":\"/v1/videos/j\"}"
#define SENT SAYS(BUY), ANSWERS(200)
#define ERROR(kind) SAYS("{\"error\":{\"kind\":\"" kind "\",\"message\":\"m\"}}")
#define AWAY(how) "turned_away(upstream_refused, " how ")"

struct submit {
    const char *adapter;
    struct turn turns[10];
    const char *told;
    enum health health;
    int64_t rest_ms; /* RESTS */
};

static const struct submit SUBMITS[] = {
    /* accepted: a job is named, whatever the status */
    {"plain", {SENT, SAYS("{\"job\":\"j\"}")}, "ready accepted(j, -)", WELL_AGAIN, 0},
    {"plain", {SENT, SAYS("{\"job\":42}")}, "ready accepted(42, -)", WELL_AGAIN, 0},
    {"plain",
     {SENT, SAYS("{\"job\":\"j\",\"keep\":{\"a\":1}}")},
     "ready accepted(j, {\"a\":1})",
     WELL_AGAIN,
     0},
    {"plain",
     {SAYS(BUY), ANSWERS(503), SAYS("{\"job\":\"j\"}")},
     "ready accepted(j, -)",
     WELL_AGAIN,
     0},
    {"able", {SENT, SAYS("{\"job\":\"j\"}")}, "ready(chosen) accepted(j, -)", WELL_AGAIN, 0},
    /* turned away by the upstream: by kind */
    {"plain", {SENT, ERROR("refused")}, "ready " AWAY("final, 0"), WELL_AGAIN, 0},
    {"plain",
     {SENT, ERROR("moderated")},
     "ready turned_away(moderation_blocked, final, 0)",
     WELL_AGAIN,
     0},
    {"plain", {SENT, ERROR("busy")}, "ready " AWAY("later, 0"), RESTS, POLICY_BREAKER_FIRST_MS},
    {"plain", {SENT, ERROR("auth")}, "ready " AWAY("later, 0"), RESTS, POLICY_BREAKER_FIRST_MS},
    {"plain", {SENT, ERROR("quota")}, "ready " AWAY("later, 0"), RESTS, POLICY_BREAKER_FIRST_MS},
    /* … for as long as its header says, else its body */
    {"plain",
     {SAYS(BUY), ANSWERS_LATER(429, 9000), ERROR("busy")},
     "ready " AWAY("later, 9000"),
     RESTS,
     9000},
    {"plain",
     {SENT, SAYS("{\"error\":{\"kind\":\"busy\",\"retry_after_s\":7.5}}")},
     "ready " AWAY("later, 7500"),
     RESTS,
     7500},
    {"plain",
     {SAYS(BUY), ANSWERS_LATER(429, 9000),
      SAYS("{\"error\":{\"kind\":\"busy\",\"retry_after_s\":7}}")},
     "ready " AWAY("later, 9000"),
     RESTS,
     9000},
    {"plain",
     {SENT, SAYS("{\"error\":{\"kind\":\"busy\",\"retry_after_s\":-1}}")},
     "ready " AWAY("later, 0"),
     RESTS,
     POLICY_BREAKER_FIRST_MS},
    /* before it leaves */
    {"plain", {ERROR("refused")}, AWAY("final, 0"), WELL_AGAIN, 0},
    {"plain", {ERROR("unknown")}, AWAY("later, 0"), AS_BEFORE, 0},
    {"plain", {FAULTY}, AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS("{}")}, AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(BUY), UNSENT}, "ready " AWAY("later, 0"), WORSE, 0},
    {"plain", {DEAF}, AWAY("later, 0"), WORSE, 0},
    /* too many others are no trouble of the upstream's */
    {"plain", {FULL, SENT, SAYS("{\"job\":\"j\"}")}, "ready accepted(j, -)", WELL_AGAIN, 0},
    {"plain",
     {SAYS(BUY), CROWDED, CROWDED, ANSWERS(200), SAYS("{\"job\":\"j\"}")},
     "ready accepted(j, -)",
     WELL_AGAIN,
     0},
    {"plain", {FULL, ERROR("unknown")}, AWAY("later, 0"), AS_BEFORE, 0},
    {"plain", {SAYS(BUY), CROWDED, NEVER_LEAVES}, "ready " AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(BUY), CROWDED, BREAKS(TIMED_OUT)}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), NEVER_LEAVES}, "ready " AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(UPLOAD), BREAKS(TIMED_OUT)}, AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(UPLOAD), ANSWERS(200), FAULTY}, AWAY("later, 0"), WORSE, 0},
    {"plain", {SAYS(UPLOAD), ANSWERS(429), FAULTY}, AWAY("later, 0"), RESTS, 5000},
    {"plain", {SAYS(UPLOAD), ANSWERS_LATER(429, 8000), FAULTY}, AWAY("later, 8000"), RESTS, 8000},
    {"plain", {SAYS(UPLOAD), ANSWERS(200), SAYS("{\"job\":\"\"}")}, AWAY("later, 0"), WORSE, 0},
    /* the answer was lost: nobody knows */
    {"plain", {SENT, ERROR("unknown")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, ERROR("whatever")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, SAYS("{\"error\":{}}")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, SAYS("{}")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, SAYS("{\"job\":\"\"}")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, SAYS("{\"job\":[1]}")}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, FAULTY}, "ready lost(-)", WORSE, 0},
    {"plain", {SENT, DEAF}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), BREAKS(UNREACHABLE)}, "ready lost(-)", WORSE, 0},
    {"plain", {SAYS(BUY), BREAKS(TIMED_OUT)}, "ready lost(-)", WORSE, 0},
    {"able", {SAYS(BUY), BREAKS(TIMED_OUT)}, "ready(chosen) lost(confirm)", WORSE, 0},
    {"plain",
     {SENT, SAYS("{\"next\":true}"), SAYS(UPLOAD), NEVER_LEAVES},
     "ready lost(-)",
     WORSE,
     0},
};

static void check_submit(const struct submit *row, const struct place *place, size_t number)
{
    const struct credential *credential = place->credential;
    const char *told = place->told;
    check_told(place, row->told, "submit", number);
    if (health_of(credential) != row->health ||
        (row->health == RESTS && credential->breaker.until_ms != stage.now_ms + row->rest_ms)) {
        fail_msg("submit %zu: health %d, until %lld", number, (int)health_of(credential),
                 (long long)(credential->breaker.until_ms - stage.now_ms));
    }
    assert_int_equal(credential->n_submits, strncmp(told, "ready", 5) == 0);
    assert_int_equal(credential->n_accepted, strstr(told, "accepted(") != NULL);
    assert_int_equal(credential->n_refused, strstr(told, "turned_away(") != NULL);
    assert_int_equal(credential->n_unknown, strstr(told, "lost(") != NULL);
    assert_false(remote_is_sending(place->remote));
}

static void a_submit_is_accepted_turned_away_or_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SUBMITS); i++) {
        struct place place;
        begin(&place, SUBMITS[i].adapter, sample_task(TASK_QUEUED), SUBMITS[i].turns);
        call(&place, remote_prepare);
        play_out();
        check_submit(&SUBMITS[i], &place, i);
        end(&place);
    }
}

static void a_job_id_has_a_bound(void **state)
{
    (void)state;
    for (int length = ATTEMPT_JOB_MAX; length <= ATTEMPT_JOB_MAX + 1; length++) {
        char said[ATTEMPT_JOB_MAX + 20];
        (void)snprintf(said, sizeof said, "{\"job\":\"%0*d\"}", length, 7);
        const struct turn turns[] = {SENT, SAYS(said), {0}};
        struct place place;
        begin(&place, "plain", sample_task(TASK_QUEUED), turns);
        call(&place, remote_prepare);
        play_out();
        assert_int_equal(strstr(place.told, "lost(") != NULL, length > ATTEMPT_JOB_MAX);
        end(&place);
    }
}

static void images_that_cannot_be_had_turn_it_away(void **state)
{
    (void)state;
    static const char with_image[] =
        "{\"method\":\"POST\",\"path\":\"/\",\"json\":{\"$image\":0,\"as\":[\"base64\"]}}";
    for (int may_retry = 0; may_retry < 2; may_retry++) {
        const struct turn turns[] = {SAYS(with_image),
                                     {.kind = TURN_IMAGES,
                                      .failure = TASK_FAILURE_IMAGE_INVALID,
                                      .may_retry = may_retry == 1},
                                     {0}};
        struct place place;
        begin(&place, "plain", sample_task(TASK_QUEUED), turns);
        call(&place, remote_prepare);
        play_out();
        check_told(&place,
                   may_retry ? "turned_away(image_invalid, later, 0)"
                             : "turned_away(image_invalid, final, 0)",
                   "images", 0);
        assert_int_equal(health_of(place.credential), AS_BEFORE); /* it is not the upstream's */
        end(&place);
    }
}

/* ---- polls ---- */

#define ASKED SAYS(LOOK), ANSWERS(200)
#define DONE(outputs) SAYS("{\"state\":\"done\",\"outputs\":" outputs "}")
#define STATE(name) SAYS("{\"state\":\"" name "\"}")
#define FAILED(kind) SAYS("{\"state\":\"failed\",\"error\":{\"kind\":\"" kind "\"}}")
#define GONE_POLL ASKED, STATE("gone")
/* Once more, with the request that is remembered. */
#define AGAIN ANSWERS(200)
#define GONE_AGAIN AGAIN, STATE("gone")

struct poll {
    struct turn turns[30];
    const char *told;
    bool goes_on;
    enum health health;
    int n_troubles;
};

static const struct poll POLLS[] = {
    /* under way */
    {{ASKED, STATE("pending")}, "", true, AS_BEFORE, 0},
    {{ASKED, STATE("rendering")}, "", true, AS_BEFORE, 0},
    {{ASKED, SAYS("{\"state\":\"rendering\",\"progress\":0.25}")},
     "progress(0.25)",
     true,
     AS_BEFORE,
     0},
    {{ASKED, SAYS("{\"state\":\"rendering\",\"keep\":{\"step\":1}}")}, "", true, AS_BEFORE, 0},
    {{ASKED, SAYS("{\"state\":\"pending\",\"keep\":{\"step\":2}}")},
     "kept({\"step\":2}, make it animate)",
     true,
     AS_BEFORE,
     0},
    {{ASKED, SAYS("{\"state\":\"pending\",\"enhanced_prompt\":\"more\",\"progress\":0.5}")},
     "kept({\"step\":1}, more) progress(0.5)",
     true,
     AS_BEFORE,
     0},
    /* done */
    {{ASKED, DONE("[{\"url\":\"u\"}]")}, "rendered([{\"url\":\"u\"}])", false, AS_BEFORE, 0},
    {{ASKED, DONE("[]")}, "failed(no_video)", false, AS_BEFORE, 0},
    {{ASKED, STATE("done")}, "failed(no_video)", false, AS_BEFORE, 0},
    /* failed: may another attempt mend it? */
    {{ASKED, FAILED("failed")}, "failed(upstream_failed, again)", false, AS_BEFORE, 0},
    {{ASKED, FAILED("refused")}, "failed(upstream_failed)", false, AS_BEFORE, 0},
    {{ASKED, FAILED("moderated")}, "failed(moderation_blocked)", false, AS_BEFORE, 0},
    {{ASKED, STATE("failed")}, "failed(upstream_failed)", false, AS_BEFORE, 0},
    {{ASKED, STATE("cancelled")}, "failed(upstream_failed)", false, AS_BEFORE, 0},
    /* tells nothing: the job stays as it is, and is asked for again */
    {{ASKED, STATE("unclear")}, "", true, AS_BEFORE, 1},
    {{ASKED, STATE("nonsense")}, "", true, AS_BEFORE, 1},
    {{ASKED, SAYS("{}")}, "", true, AS_BEFORE, 1},
    {{ASKED, FAULTY}, "", true, AS_BEFORE, 1},
    {{FAULTY}, "", true, AS_BEFORE, 1},
    {{SAYS(LOOK), ANSWERS(429)}, "", true, AS_BEFORE, 1},
    {{SAYS(LOOK), ANSWERS(503)}, "", true, WORSE, 1},
    {{SAYS(LOOK), BREAKS(TIMED_OUT)}, "", true, WORSE, 1},
    {{SAYS(LOOK), NEVER_LEAVES}, "", true, WORSE, 1},
    {{SAYS(LOOK), BREAKS(UNREACHABLE), AGAIN, DONE("[{}]")}, "rendered([{}])", false, WORSE, 1},
    /* gone: three in a row, over a minute */
    {{GONE_POLL}, "", true, AS_BEFORE, 0},
    {{GONE_POLL, GONE_AGAIN}, "", true, AS_BEFORE, 0},
    {{GONE_POLL, GONE_AGAIN, AGAIN, STATE("pending"), GONE_AGAIN, GONE_AGAIN},
     "",
     true,
     AS_BEFORE,
     0},
    /* too many others */
    {{FULL, SAYS(LOOK), CROWDED, ANSWERS(200), STATE("pending"), CROWDED, AGAIN, STATE("pending")},
     "",
     true,
     AS_BEFORE,
     0},
};

static void polls_tell_how_the_job_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(POLLS); i++) {
        const struct poll *row = &POLLS[i];
        struct place place;
        begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), row->turns);
        call(&place, remote_poll);
        play_out();
        check_told(&place, row->told, "poll", i);
        bool is_right = (stage.n_timers == 1) == row->goes_on &&
                        health_of(place.credential) == row->health &&
                        (int)place.credential->n_troubles == row->n_troubles;
        if (!is_right) {
            fail_msg("poll %zu: timers %zu, health %d, troubles %d", i, stage.n_timers,
                     (int)health_of(place.credential), (int)place.credential->n_troubles);
        }
        end(&place);
    }
}

static void a_job_is_gone_after_a_minute_of_it(void **state)
{
    (void)state;
    static const struct turn turns[TURNS_MAX] = {GONE_POLL,  GONE_AGAIN, GONE_AGAIN, GONE_AGAIN,
                                                 GONE_AGAIN, GONE_AGAIN, GONE_AGAIN, GONE_AGAIN,
                                                 GONE_AGAIN, GONE_AGAIN, GONE_AGAIN, GONE_AGAIN};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    while (place.told[0] == '\0' && go_on()) {
    }
    assert_string_equal(place.told, "gone ");
    assert_true(place.credential->n_polls >= POLICY_GONE_POLLS);
    assert_true(stage.now_ms - START_MS >= POLICY_GONE_MS);
    assert_int_equal(stage.n_timers, 0);
    stage.at = stage.n_turns;
    end(&place);
}

static void a_poll_waits_as_the_upstream_wishes(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK), ANSWERS_LATER(429, 1234567), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    play_out();
    assert_int_equal(stage.n_timers, 1);
    assert_true(stage.timers[0]->due_ms >= stage.now_ms + 1234567);
    end(&place);
}

static void what_an_upstream_says_of_its_queue_is_told(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        ASKED, SAYS("{\"state\":\"pending\",\"queue_position\":17}"), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    play_out();
    assert_int_equal(place.queue_position, 17);
    end(&place);
}

static void the_program_sees_the_job_and_what_it_kept(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED, STATE("pending"), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    play_out();
    assert_string_equal(stage.asked, "poll(0, {\"step\": 1}, job-1) "
                                     "polled(0, {\"step\": 1}, 200, job-1) ");
    end(&place);
}

static void play_until(size_t n_turns)
{
    while (stage.at < n_turns || stage.call || stage.exchange) {
        assert_true(go_on());
    }
}

static const char *keep_of(const struct place *place)
{
    return place->task->attempt.job->keep;
}

static void the_program_is_asked_once_for_a_job_and_what_is_kept_of_it(void **state)
{
    (void)state;
    static const char other_attempt[] = "att_01k6x15wq5fe3t1k0n8x1z8h3n";
    static const struct turn turns[] = {
        ASKED, STATE("pending"),
        AGAIN, SAYS("{\"state\":\"pending\",\"keep\":{\"step\":2}}"), /* not committed yet */
        AGAIN, STATE("pending"),
        ASKED, STATE("pending"), /* known by now */
        AGAIN, STATE("pending"),
        {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    play_until(5);
    assert_string_equal(keep_of(&place), "{\"step\":2}");
    struct task *other = task_copy(place.task);
    (void)snprintf(other->attempt.id, sizeof other->attempt.id, "%s", other_attempt);
    remote_know(place.remote, other); /* not its own */
    task_unref(other);
    play_until(7);
    call(&place, remote_know);
    play_until(10);
    call(&place, remote_know); /* nothing new */
    play_out();
    assert_string_equal(stage.asked, "poll(0, {\"step\": 1}, job-1) "
                                     "polled(0, {\"step\": 1}, 200, job-1) "
                                     "polled(0, {\"step\": 1}, 200, job-1) "
                                     "polled(0, {\"step\": 1}, 200, job-1) "
                                     "poll(0, {\"step\": 2}, job-1) "
                                     "polled(0, {\"step\": 2}, 200, job-1) "
                                     "polled(0, {\"step\": 2}, 200, job-1) ");
    end(&place);
}

/* What was asked for the old job is not remembered for the new one, though it is said only then. */
static void a_job_that_changes_while_the_program_is_asked(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED, STATE("pending"), ASKED, STATE("pending"), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    while (!stage.call) {
        assert_true(go_on());
    }
    struct attempt_job *job = attempt_job_new("job-2", NULL, NULL, NULL, NULL);
    take_job(&place, job);
    attempt_job_unref(job);
    call(&place, remote_know);
    play_out();
    assert_non_null(strstr(stage.asked, "poll(0, null, job-2)"));
    end(&place);
}

static void a_job_that_was_lost_is_confirmed(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        ASKED, SAYS("{\"state\":\"pending\",\"keep\":{\"step\":9}}"), {0}};
    struct place place;
    begin(&place, "able", sample_upstream_task(TASK_RENDERING, ATTEMPT_CONFIRMING), turns);
    call(&place, remote_poll);
    play_out();
    check_told(&place, "confirmed", "confirm", 0);
    end(&place);
}

static void texts_that_are_too_long_are_left_out(void **state)
{
    (void)state;
    static char keep[ATTEMPT_KEEP_MAX + 100], outputs[ATTEMPT_OUTPUTS_MAX + 100];
    (void)snprintf(keep, sizeof keep, "{\"state\":\"pending\",\"keep\":\"%0*d\"}", ATTEMPT_KEEP_MAX,
                   1);
    (void)snprintf(outputs, sizeof outputs, "{\"state\":\"done\",\"outputs\":[\"%0*d\"]}",
                   ATTEMPT_OUTPUTS_MAX, 1);
    const struct turn turns[] = {ASKED, SAYS(keep), AGAIN, SAYS(outputs), {0}};
    struct task *task = sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED);
    attempt_job_unref(task->attempt.job);
    task->attempt.job = attempt_job_new("job-1", NULL, NULL, NULL, NULL);
    struct place place;
    begin(&place, "plain", task, turns);
    call(&place, remote_poll);
    play_out();
    check_told(&place, "failed(result_lost)", "long", 0);
    end(&place);
}

/* What came with the answer to the submit is the first poll's, and asks nobody. */
static void a_job_may_be_done_at_once(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(BUY),
                                        ANSWERS_LONG(200, ADAPTER_BLOB_LEAST),
                                        {.kind = TURN_SAYS,
                                         .text = "{\"job\":\"j\",\"polled\":{\"state\":\"done\","
                                                 "\"outputs\":[{\"blob\":{\"$blob\":0}}]}}",
                                         .blob = "video"},
                                        {.kind = TURN_STORES},
                                        {0}};
    struct place place;
    begin(&place, "plain", sample_task(TASK_QUEUED), turns);
    call(&place, remote_prepare);
    while (!strstr(place.told, "accepted")) {
        assert_true(go_on());
    }
    call(&place, remote_poll);
    while (!strstr(place.told, "rendered")) {
        assert_true(go_on());
    }
    call(&place, remote_store);
    play_out();
    check_told(&place, "ready accepted(j, -) rendered([{\"blob\":{\"$blob\":0}}]) stored(gen_1)",
               "once", 0);
    assert_int_equal(stage.n_exchanges, 1);
    assert_string_equal(stage.last_body, "video");
    end(&place);
}

/* ---- results ---- */

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

struct download {
    const char *adapter, *outputs;
    struct turn turns[30];
    const char *told;
    const char *sent;   /* NULL: whatever */
    const char *stored; /* what was given to the store last; NULL: nothing */
};

static const struct download DOWNLOADS[] = {
    /* whom the credential goes to, and what is guarded */
    {"plain", HOME, {BRINGS(200, "all"), STORES}, "stored(gen_1)", GET_HOME, "all"},
    {"plain",
     "[{\"url\":\"https://up.example/v.mp4\",\"auth\":true}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://up.example/v.mp4 Authorization=Bearer secret|",
     "all"},
    {"plain",
     "[{\"url\":\"https://cdn.example/v.mp4\",\"auth\":true}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://cdn.example/v.mp4 guarded|",
     "all"},
    {"plain",
     "[{\"request\":{\"method\":\"GET\",\"path\":\"/v1/content\"}}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://up.example/v1/content Authorization=Bearer secret|",
     "all"},
    {"plain",
     "[{\"request\":{\"method\":\"GET\",\"url\":\"https://cdn.example/v\"}}]",
     {BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     "GET https://cdn.example/v guarded|",
     "all"},
    /* gone on with, when it can be shown to be the same file */
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "\"e\""), BRINGS_PART("4-7/8", "rest"), STORES},
     "stored(gen_1)",
     GET_HOME GET_REST,
     "halfrest"},
    {"plain",
     HOME,
     {STOPS_AT(200, "ha", "\"e\""), STOPS_AT(206, "lf", "\"other\""), BRINGS_PART("4-7/8", "rest"),
      STORES},
     "stored(gen_1)",
     "GET https://up.example/v.mp4|GET https://up.example/v.mp4 Range=bytes=2- "
     "If-Range=\"e\"|" GET_REST,
     "halfrest"},
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "W/\"e\""), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_HOME,
     "all"},
    {"plain",
     HOME,
     {BREAKS(UNREACHABLE), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_HOME,
     "all"},
    {"plain",
     HOME,
     {STOPS_AT(200, "", "\"e\""), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_HOME,
     "all"},
    /* it is another file by now, or its server knows no parts: from the beginning */
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "\"e\""), BRINGS(200, "another"), BRINGS(200, "another"), STORES},
     "stored(gen_1)",
     GET_HOME GET_REST GET_HOME,
     "another"},
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "\"e\""), BRINGS(503, "no"), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     GET_HOME GET_REST GET_HOME,
     "all"},
    /* another part than was asked for */
    {"plain",
     HOME,
     {STOPS_AT(200, "half", "\"e\""), BRINGS_PART("3-7/8", "frest")},
     LOST,
     GET_HOME GET_REST,
     NULL},
    {"plain", HOME, {BRINGS(206, "part")}, LOST, GET_HOME, NULL},
    {"able",
     HOME,
     {BRINGS(206, "part"), ANEW(HOME), BRINGS(200, "all"), STORES},
     RENEWED "stored(gen_1)",
     NULL,
     "all"},
    /* the link has died */
    {"plain", HOME, {BRINGS(404, "no")}, LOST, GET_HOME, NULL},
    {"plain", HOME, {BRINGS(403, "no")}, LOST, GET_HOME, NULL},
    {"able",
     HOME,
     {BRINGS(410, "no"), ANEW("[{\"url\":\"https://up.example/w.mp4\"}]"), BRINGS(200, "all"),
      STORES},
     "renewed([{\"url\":\"https://up.example/w.mp4\"}]) stored(gen_1)",
     NULL,
     "all"},
    {"able",
     HOME,
     {BRINGS(404, "no"), ANEW(HOME), BRINGS(404, "no"), ANEW(HOME), BRINGS(404, "no"), ANEW(HOME),
      BRINGS(404, "no")},
     RENEWED RENEWED RENEWED LOST,
     NULL,
     NULL},
    {"able",
     HOME,
     {BRINGS(404, "no"), GONE_POLL, AGAIN, DONE(HOME), BRINGS(200, "all"), STORES},
     RENEWED "stored(gen_1)",
     NULL,
     "all"},
    /* out of reach: waited for as long as it takes, and the link counts for nothing less */
    {"plain",
     HOME,
     {BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BRINGS(200, "all"),
      STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    {"plain", HOME, {AWAY_12, AWAY_12, BRINGS(200, "all"), STORES}, "stored(gen_1)", NULL, "all"},
    {"plain",
     HOME,
     {BRINGS(408, "no"), BRINGS(425, "no"), BRINGS(429, "no"), BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    /* twelve that break off half-way */
    {"plain",
     HOME,
     {HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF, BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    {"plain", HOME, {HALVES_12}, LOST, NULL, NULL},
    {"able",
     HOME,
     {HALVES_12, ANEW(HOME), HALF, HALF, BRINGS(200, "all"), STORES},
     RENEWED "stored(gen_1)",
     NULL,
     "all"},
    /* … those out of reach between them do not count, nor do they begin the count anew */
    {"plain",
     HOME,
     {HALF, HALF, HALF, HALF, HALF, HALF, BAD, BREAKS(TIMED_OUT), BAD, BAD, BAD, BAD, HALF, HALF,
      HALF, HALF, HALF, BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    {"plain",
     HOME,
     {HALF, HALF, HALF, HALF, HALF, HALF, BAD, BREAKS(TIMED_OUT), HALF, HALF, HALF, HALF, HALF,
      HALF},
     LOST,
     NULL,
     NULL},
    /* … nor is it counted when there is no room of ours */
    {"plain",
     HOME,
     {CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED, CROWDED,
      CROWDED, CROWDED, HALF, BRINGS(200, "all"), STORES},
     "stored(gen_1)",
     NULL,
     "all"},
    /* what no other try mends, and what is ours */
    {"able", HOME, {BREAKS(TOO_LARGE)}, "failed(output_too_large)", NULL, NULL},
    {"able", HOME, {BREAKS(FORBIDDEN)}, LOST, NULL, NULL},
    {"plain", HOME, {UNSENT, BRINGS(200, "all"), STORES}, "stored(gen_1)", NULL, "all"},
    {"plain", "[{\"url\":\"ftp://up.example/v\"}]", {{0}}, LOST, "", NULL},
    {"plain", "[{}]", {{0}}, LOST, "", NULL},
    {"plain", "[7]", {{0}}, LOST, "", NULL},
    /* what was cut out of an answer that is not at hand any more is asked for anew, renewing or not */
    {"plain",
     "[{\"blob\":{\"$blob\":0}}]",
     {SAYS(LOOK),
      ANSWERS_LONG(200, ADAPTER_BLOB_LEAST + 1),
      {.kind = TURN_SAYS,
       .text = "{\"state\":\"done\",\"outputs\":[{\"blob\":{\"$blob\":0}}]}",
       .blob = "bytes"},
      STORES},
     "renewed([{\"blob\":{\"$blob\":0}}]) stored(gen_1)",
     NULL,
     "bytes"},
    {"plain",
     "[{\"blob\":{\"$blob\":0}}]",
     {ANEW("[{\"blob\":{\"$blob\":1}}]"), ANEW("[{\"blob\":{\"$blob\":-1}}]"),
      ANEW("[{\"blob\":{\"$blob\":4}}]")},
     "renewed([{\"blob\":{\"$blob\":1}}]) renewed([{\"blob\":{\"$blob\":-1}}]) "
     "renewed([{\"blob\":{\"$blob\":4}}]) " LOST,
     NULL,
     NULL},
    /* storing */
    {"plain",
     HOME,
     {BRINGS(200, "all"), STORES_NOT(RENDER_CRASHED, true), STORES},
     "stored(gen_1)",
     GET_HOME,
     "all"},
    {"plain",
     HOME,
     {BRINGS(200, "all"), STORES_NOT(RENDER_CRASHED, true), STORES_NOT(RENDER_CRASHED, true),
      STORES_NOT(RENDER_CRASHED, true), STORES_NOT(RENDER_CRASHED, true),
      STORES_NOT(RENDER_CRASHED, true), STORES_NOT(RENDER_CRASHED, true)},
     "failed(render_crashed)",
     GET_HOME,
     "all"},
    {"plain",
     HOME,
     {BRINGS(200, "all"), STORES_NOT(STORAGE, true), STORES_NOT(STORAGE, true),
      STORES_NOT(STORAGE, true), STORES_NOT(STORAGE, true), STORES_NOT(STORAGE, true),
      STORES_NOT(STORAGE, true), STORES_NOT(STORAGE, true), STORES},
     "stored(gen_1)",
     GET_HOME,
     "all"},
    {"plain",
     HOME,
     {BRINGS(200, "all"), STORES_NOT(OUTPUT_INVALID, false)},
     "failed(output_invalid)",
     GET_HOME,
     "all"},
};

static struct task *fetching_task(const char *outputs)
{
    struct task *task = sample_upstream_task(TASK_FETCHING, ATTEMPT_FINISHED);
    attempt_job_unref(task->attempt.job);
    task->attempt.job = attempt_job_new("job-1", NULL, outputs, NULL, NULL);
    return task;
}

static bool has_ended(const struct place *place)
{
    return strstr(place->told, "stored(") || strstr(place->told, "failed(");
}

static void a_result_comes_home_whatever_breaks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(DOWNLOADS); i++) {
        const struct download *row = &DOWNLOADS[i];
        struct place place;
        begin(&place, row->adapter, fetching_task(row->outputs), row->turns);
        do {
            place.is_renewed = false;
            call(&place, remote_store);
            while (!place.is_renewed && !has_ended(&place) && go_on()) {
            }
        } while (place.is_renewed);
        check_told(&place, row->told, "download", i);
        if (row->sent && strcmp(stage.sent, row->sent) != 0) {
            fail_msg("download %zu: sent \"%s\"", i, stage.sent);
        }
        if (row->stored && strcmp(stage.last_body, row->stored) != 0) {
            fail_msg("download %zu: stored \"%s\"", i, stage.last_body);
        }
        assert_int_equal(place.credential->n_submits, 0); /* nothing here buys */
        end(&place);
    }
}

static void a_full_spool_counts_for_nothing(void **state)
{
    (void)state;
    static const struct turn turns[] = {HALF, BRINGS(200, "all"), STORES, {0}};
    struct place place;
    begin(&place, "plain", fetching_task(HOME), turns);
    stage.has_no_spool = true;
    call(&place, remote_store);
    for (int i = 0; i < REMOTE_DOWNLOAD_TRIES; i++) {
        assert_true(go_on());
    }
    stage.has_no_spool = false;
    play_out();
    check_told(&place, "stored(gen_1)", "spool", 0);
    end(&place);
}

static void what_is_left_of_the_bound_shrinks(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        STOPS_AT(200, "half", "\"e\""), BRINGS_PART("4-7/8", "rest"), {0}};
    struct place place;
    begin(&place, "plain", fetching_task(HOME), turns);
    call(&place, remote_store);
    for (int64_t most = 1000; most >= 996; most -= 4) {
        while (!stage.exchange) {
            assert_true(go_on());
        }
        assert_int_equal(stage.exchange->request.max_bytes, most);
        assert_int_equal(stage.exchange->request.sink_offset, 1000 - most);
        assert_int_equal(stage.exchange->request.total_ms, SETTINGS.upstream_download);
        if (most == 1000) {
            assert_true(go_on());
        }
    }
    end(&place);
}

/* ---- cancel ---- */

#define STOP "{\"method\":\"DELETE\",\"path\":\"/v1/videos/j\"}"
#define STOPS SAYS(STOP), ANSWERS(200)
#define NO_CLUE STOPS, STATE("unclear")

static const struct {
    const char *adapter;
    const char *polled; /* what was said of the job before; NULL: nothing */
    struct turn turns[20];
    const char *told;
    int n_exchanges;
} CANCELS[] = {
    {"able", NULL, {STOPS, STATE("cancelled")}, "closed(stopped)", 1},
    {"able", "pending", {STOPS, STATE("cancelled")}, "closed(stopped)", 2},
    {"able", NULL, {STOPS, STATE("rendering")}, "closed(-)", 1},
    {"able", NULL, {STOPS, SAYS("{}")}, "closed(-)", 1},
    {"able", NULL, {STOPS, SAYS("null")}, "closed(-)", 1},
    {"able", NULL, {SAYS("null")}, "closed(-)", 0}, /* it cannot, says the program */
    /* it cannot, says the adapter: nobody is asked */
    {"plain", NULL, {{0}}, "closed(-)", 0},
    {"able", "rendering", {{0}}, "closed(-)", 1},
    /* trouble: five tries */
    {"able", NULL, {SAYS(STOP), ANSWERS(503), STOPS, STATE("cancelled")}, "closed(stopped)", 2},
    {"able", NULL, {FAULTY, NO_CLUE, STOPS, STATE("cancelled")}, "closed(stopped)", 2},
    {"able",
     NULL,
     {NO_CLUE, NO_CLUE, NO_CLUE, NO_CLUE, STOPS, STATE("cancelled")},
     "closed(stopped)",
     5},
    {"able", NULL, {NO_CLUE, NO_CLUE, NO_CLUE, NO_CLUE, NO_CLUE}, "closed(-)", 5},
    {"able", NULL, {FAULTY, FAULTY, FAULTY, FAULTY, FAULTY}, "closed(-)", 0},
};

static void a_cancel_ends_one_way_or_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CANCELS); i++) {
        struct turn turns[TURNS_MAX] = {ASKED, STATE("pending")};
        size_t n_before = CANCELS[i].polled ? 3 : 0;
        char said[60];
        (void)snprintf(said, sizeof said, "{\"state\":\"%s\"}",
                       CANCELS[i].polled ? CANCELS[i].polled : "");
        turns[2].text = said;
        memcpy(turns + n_before, CANCELS[i].turns, sizeof CANCELS[i].turns);
        struct place place;
        begin(&place, CANCELS[i].adapter, sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED),
              turns);
        if (CANCELS[i].polled) {
            call(&place, remote_poll);
            while (stage.at < n_before || stage.call) {
                assert_true(go_on());
            }
            remote_halt(place.remote, false);
        }
        call(&place, remote_cancel);
        while (place.told[0] == '\0' && go_on()) {
        }
        check_told(&place, CANCELS[i].told, "cancel", i);
        if (stage.n_exchanges != CANCELS[i].n_exchanges) {
            fail_msg("cancel %zu: %d exchanges", i, stage.n_exchanges);
        }
        end(&place);
    }
}

static void the_program_sees_in_which_state_it_cancels(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS("null"), {0}};
    struct place place;
    begin(&place, "able", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_cancel);
    play_out();
    assert_string_equal(stage.asked, "cancel(0, {\"step\": 1}, job-1, pending) ");
    end(&place);
}

/* ---- halted ---- */

static void halted_anywhere_it_tells_nothing_more(void **state)
{
    (void)state;
    static const struct {
        void (*what)(struct remote *, const struct task *);
        struct turn turns[10];
    } rows[] = {
        {remote_prepare, {SENT, SAYS("{\"job\":\"j\"}")}},
        {remote_prepare,
         {FULL, SAYS(BUY), CROWDED, CROWDED, ANSWERS(200), SAYS("{\"job\":\"j\"}")}},
        {remote_store, {STOPS_AT(200, "half", "\"e\""), BRINGS_PART("4-7/8", "rest"), STORES}},
        {remote_store, {CROWDED, BAD, BRINGS(200, "all"), STORES}},
        {remote_poll, {FULL, SAYS(LOOK), CROWDED, ANSWERS(200), STATE("pending"), CROWDED, AGAIN}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (int n_steps = 0; n_steps < 9; n_steps++) {
            struct place place;
            begin(&place, "plain",
                  rows[i].what == remote_prepare ? sample_task(TASK_QUEUED) : fetching_task(HOME),
                  rows[i].turns);
            call(&place, rows[i].what);
            for (int n = 0; n < n_steps && stage.at < stage.n_turns; n++) {
                assert_true(go_on());
            }
            remote_halt(place.remote, false);
            assert_false(remote_is_sending(place.remote));
            assert_stage_is_empty();
            assert_false(go_on());
            stage.at = stage.n_turns;
            end(&place);
        }
    }
}

/* ---- what a submit takes of its credential ---- */

static bool may_submit(const struct place *place)
{
    struct policy_bucket copy = place->credential->submits;
    return policy_take(&copy, PER_MINUTE, stage.now_ms) == 0;
}

/* One of two has been taken, and the breaker's time is over. */
static void begin_submit(struct place *place, const struct turn *turns)
{
    begin(place, "plain", sample_task(TASK_QUEUED), turns);
    struct credential *credential = place->credential;
    credential->breaker = (struct policy_breaker){.state = POLICY_OPEN, .until_ms = START_MS};
    assert_int_equal(policy_take(&credential->submits, PER_MINUTE, START_MS), 0);
    assert_true(may_submit(place));
    call(place, remote_prepare);
    assert_false(may_submit(place));
    assert_int_equal(credential->breaker.state, POLICY_HALF_OPEN);
    assert_false(policy_breaker_allows(&credential->breaker, START_MS));
}

static void what_never_left_is_given_back(void **state)
{
    (void)state;
    static const struct {
        struct turn turns[4];
        int n_steps;
    } rows[] = {
        /* halted */
        {{SAYS(BUY)}, 0},
        {{SAYS(BUY)}, 1},
        {{FULL}, 0},
        {{SAYS(UPLOAD), ANSWERS(200)}, 1},
        /* turned away */
        {{ERROR("unknown")}, 9},
        {{SAYS("{\"method\":\"POST\",\"path\":\"/\",\"json\":{\"$image\":0,\"as\":[\"base64\"]}}"),
          {.kind = TURN_IMAGES, .failure = TASK_FAILURE_IMAGE_INVALID}},
         9},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place;
        begin_submit(&place, rows[i].turns);
        for (int n = 0; n < rows[i].n_steps && place.told[0] == '\0'; n++) {
            assert_true(go_on());
        }
        assert_null(strstr(place.told, "ready"));
        remote_halt(place.remote, false);
        assert_true(may_submit(&place));
        assert_true(policy_breaker_try(&place.credential->breaker, stage.now_ms));
        remote_halt(place.remote, false); /* once: the trial is another's now */
        assert_false(policy_breaker_allows(&place.credential->breaker, stage.now_ms));
        assert_int_equal((int)place.credential->submits.spent, 1);
        stage.at = stage.n_turns;
        end(&place);
    }
}

static void what_was_sent_stays_taken(void **state)
{
    (void)state;
    static const struct turn rows[][4] = {
        {SAYS(BUY), ANSWERS(200)}, {SAYS(BUY), CROWDED}, {SAYS(BUY), NEVER_LEAVES}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place;
        begin_submit(&place, rows[i]);
        while (!remote_is_sending(place.remote)) {
            assert_true(go_on());
        }
        remote_halt(place.remote, false);
        assert_false(may_submit(&place));
        assert_int_equal(place.credential->breaker.state, POLICY_HALF_OPEN);
        assert_false(policy_breaker_allows(&place.credential->breaker, stage.now_ms));
        assert_stage_is_empty();
        stage.at = stage.n_turns;
        end(&place);
    }
}

/* A trial that another made is not this one's to withdraw. */
static void only_its_own_trial_is_withdrawn(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(BUY), {0}};
    struct place place;
    begin(&place, "plain", sample_task(TASK_QUEUED), turns);
    call(&place, remote_prepare);
    place.credential->breaker =
        (struct policy_breaker){.state = POLICY_HALF_OPEN, .until_ms = START_MS + 1000};
    remote_halt(place.remote, false);
    assert_false(policy_breaker_allows(&place.credential->breaker, START_MS));
    stage.at = stage.n_turns;
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submit_is_accepted_turned_away_or_lost),
        cmocka_unit_test(a_job_id_has_a_bound),
        cmocka_unit_test(images_that_cannot_be_had_turn_it_away),
        cmocka_unit_test(polls_tell_how_the_job_stands),
        cmocka_unit_test(a_job_is_gone_after_a_minute_of_it),
        cmocka_unit_test(a_poll_waits_as_the_upstream_wishes),
        cmocka_unit_test(what_an_upstream_says_of_its_queue_is_told),
        cmocka_unit_test(the_program_sees_the_job_and_what_it_kept),
        cmocka_unit_test(the_program_is_asked_once_for_a_job_and_what_is_kept_of_it),
        cmocka_unit_test(a_job_that_changes_while_the_program_is_asked),
        cmocka_unit_test(a_job_that_was_lost_is_confirmed),
        cmocka_unit_test(texts_that_are_too_long_are_left_out),
        cmocka_unit_test(a_job_may_be_done_at_once),
        cmocka_unit_test(a_result_comes_home_whatever_breaks),
        cmocka_unit_test(a_full_spool_counts_for_nothing),
        cmocka_unit_test(what_is_left_of_the_bound_shrinks),
        cmocka_unit_test(a_cancel_ends_one_way_or_the_other),
        cmocka_unit_test(the_program_sees_in_which_state_it_cancels),
        cmocka_unit_test(halted_anywhere_it_tells_nothing_more),
        cmocka_unit_test(what_never_left_is_given_back),
        cmocka_unit_test(what_was_sent_stays_taken),
        cmocka_unit_test(only_its_own_trial_is_withdrawn),
    };
    log_init(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
