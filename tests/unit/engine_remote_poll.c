/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt at an upstream: what polls tell, when the program is asked for one, and what is kept of the answers. */
#include "engine/remote_own.h"
#include "engine_remote_stage.h"

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
    {{SAYS("{\"method\":\"POST\",\"path\":\"/\",\"json\":{\"$image\":0,\"as\":[\"base64\"]}}"),
      {.kind = TURN_IMAGES},
      ANSWERS(200),
      SAYS("{\"state\":\"rendering\",\"progress\":0.25}")},
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
    /* without a result: believed after a minute of it, as below */
    {{ASKED, DONE("[]")}, "", true, AS_BEFORE, 0},
    {{ASKED, STATE("done")}, "", true, AS_BEFORE, 0},
    {{ASKED, DONE("[]"), AGAIN, DONE("[{\"url\":\"u\"}]")},
     "rendered([{\"url\":\"u\"}])",
     false,
     AS_BEFORE,
     0},
    /* failed: may another attempt mend it? */
    {{ASKED, FAILED("failed")}, "failed(upstream_failed, again)", false, AS_BEFORE, 0},
    {{ASKED, FAILED("refused")}, "failed(upstream_failed)", false, AS_BEFORE, 0},
    {{ASKED, FAILED("moderated")}, "failed(moderation_blocked)", false, AS_BEFORE, 0},
    {{ASKED, STATE("failed")}, "failed(upstream_failed)", false, AS_BEFORE, 0},
    {{ASKED, STATE("cancelled")}, "failed(upstream_failed)", false, AS_BEFORE, 0},
    /* ends that tell what was used */
    {{ASKED,
      SAYS("{\"state\":\"failed\",\"error\":{\"kind\":\"failed\"},\"usage\":{\"units\":2}}")},
     "failed(upstream_failed, again) used({\"units\":2})",
     false,
     AS_BEFORE,
     0},
    {{ASKED, SAYS("{\"state\":\"cancelled\",\"usage\":{\"s\":1.5}}")},
     "failed(upstream_failed) used({\"s\":1.5})",
     false,
     AS_BEFORE,
     0},
    /* no object, an empty one */
    {{ASKED, SAYS("{\"state\":\"failed\",\"usage\":7}")},
     "failed(upstream_failed)",
     false,
     AS_BEFORE,
     0},
    {{ASKED, SAYS("{\"state\":\"failed\",\"usage\":[1]}")},
     "failed(upstream_failed)",
     false,
     AS_BEFORE,
     0},
    {{ASKED, SAYS("{\"state\":\"failed\",\"usage\":{}}")},
     "failed(upstream_failed)",
     false,
     AS_BEFORE,
     0},
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

/* Polls until something is told, which is `told`, and not before a minute of such answers. */
static void believe(const struct turn *turns, const char *told)
{
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    while (place.told[0] == '\0' && go_on()) {
    }
    assert_string_equal(place.told, told);
    assert_true(place.credential->n_polls >= POLICY_GONE_POLLS);
    assert_true(stage.now_ms - START_MS >= POLICY_GONE_MS);
    assert_int_equal(stage.n_timers, 0);
    stage.at = stage.n_turns;
    end(&place);
}

static void a_job_is_gone_after_a_minute_of_it(void **state)
{
    (void)state;
    static const struct turn turns[TURNS_MAX] = {GONE_POLL,  GONE_AGAIN, GONE_AGAIN, GONE_AGAIN,
                                                 GONE_AGAIN, GONE_AGAIN, GONE_AGAIN, GONE_AGAIN,
                                                 GONE_AGAIN, GONE_AGAIN, GONE_AGAIN, GONE_AGAIN};
    believe(turns, "gone ");
}

#define EMPTY AGAIN, SAYS("{\"state\":\"done\",\"outputs\":[],\"usage\":{\"s\":8}}")

static void a_job_without_a_result_is_believed_as_late(void **state)
{
    (void)state;
    static const struct turn turns[TURNS_MAX] = {ASKED, DONE("[]"), EMPTY, EMPTY, EMPTY, EMPTY,
                                                 EMPTY, EMPTY,      EMPTY, EMPTY, EMPTY, EMPTY};
    believe(turns, "failed(no_video) used({\"s\":8}) ");
}

/* ---- for the timeline ---- */

static void a_verdict_is_told_when_it_differs(void **state)
{
    (void)state;
    static const struct turn turns[] = {
        ASKED,
        STATE("pending"),
        AGAIN,
        STATE("pending"),
        ANSWERS(429),
        ANSWERS(429),
        ANSWERS(503),
        BREAKS(UNREACHABLE),
        BREAKS(UNREACHABLE),
        AGAIN,
        STATE("rendering"),
        AGAIN,
        SAYS("{\"state\":\"rendering\",\"progress\":0.25}"),
        AGAIN,
        STATE("rendering"), /* nothing new: it tells how far it is only now and then */
        AGAIN,
        STATE("nonsense"),
        GONE_AGAIN,
        AGAIN,
        FAILED("refused"),
        {0},
    };
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    while (go_on()) {
    }
    assert_string_equal(place.verdicts, "pending busy trouble unreachable rendering progress "
                                        "unclear gone failed ");
    end(&place);
}

static void verdicts_are_not_told_without_end(void **state)
{
    (void)state;
    static const struct turn turns[] = {{0}};
    struct place place;
    size_t n = 0;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    for (int i = 0; i < 3 * REMOTE_VERDICTS_MAX; i++) {
        remote_judge(place.remote, i % 2 != 0 ? REMOTE_VERDICT_BUSY : REMOTE_VERDICT_GONE, NULL);
    }
    for (const char *at = place.verdicts; *at != '\0'; at++) {
        n += *at == ' ';
    }
    assert_int_equal(n, REMOTE_VERDICTS_MAX);
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

/* At once, where nothing is wrong. */
static void past_its_deadline_a_job_is_looked_at(void **state)
{
    (void)state;
    static const struct {
        struct turn turns[TURNS_MAX];
        const char *told;
        bool is_at_once;
    } rows[] = {
        {{ASKED, STATE("rendering"), AGAIN, STATE("rendering"), AGAIN, STATE("pending")},
         "deadline ",
         false},
        {{ASKED, STATE("rendering"), AGAIN, STATE("pending"), AGAIN, DONE("[{}]")},
         "rendered([{}]) ",
         false},
        {{ASKED, DONE("[{\"url\":\"u\"}]")}, "rendered([{\"url\":\"u\"}]) ", true},
        {{ASKED, FAILED("refused")}, "failed(upstream_failed) ", true},
        {{ASKED, STATE("rendering"), AGAIN, STATE("unclear"), AGAIN, STATE("rendering"), AGAIN,
          STATE("rendering")},
         "deadline ",
         false},
        {{ASKED, DONE("[]"), AGAIN, DONE("[{}]")}, "rendered([{}]) ", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place;
        begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED),
              rows[i].turns);
        call(&place, remote_poll);
        remote_look(place.remote);
        while (place.told[0] == '\0' && go_on()) {
        }
        if (strcmp(place.told, rows[i].told) != 0 ||
            (stage.now_ms == START_MS) != rows[i].is_at_once) {
            fail_msg("look %zu: %s after %lld ms", i, place.told,
                     (long long)(stage.now_ms - START_MS));
        }
        assert_int_equal(stage.n_timers, 0);
        end(&place);
    }
}

static void a_look_past_the_deadline_waits_as_the_upstream_wishes(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK), ANSWERS_LATER(429, 1234567), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    play_out();
    remote_look(place.remote);
    assert_int_equal(stage.n_timers, 1);
    assert_true(stage.timers[0]->due_ms >= stage.now_ms + 1234567);
    end(&place);
}

/* One that is answered with a wish to wait has not been its turn, nor has one that stands in line. */
static void a_look_past_the_deadline_is_had_when_it_was_sent(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK), ANSWERS_LATER(429, 1000), ANSWERS(503), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    remote_look(place.remote);
    assert_int_equal(remote_looked_ms(place.remote), 0);
    while (stage.at < 1) {
        assert_true(go_on());
    }
    assert_int_equal(remote_looked_ms(place.remote), START_MS);
    while (stage.at < 2) {
        assert_true(go_on());
    }
    assert_true(go_on());
    assert_int_equal(remote_looked_ms(place.remote), 0);
    play_out();
    assert_true(remote_looked_ms(place.remote) >= START_MS + 1000);
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
    static char keep[ATTEMPT_KEEP_MAX + 100], outputs[ATTEMPT_OUTPUTS_MAX + 100],
        prompt[ATTEMPT_PROMPT_MAX + 100];
    (void)snprintf(keep, sizeof keep, "{\"state\":\"pending\",\"keep\":\"%0*d\"}", ATTEMPT_KEEP_MAX,
                   1);
    (void)snprintf(outputs, sizeof outputs, "{\"state\":\"done\",\"outputs\":[\"%0*d\"]}",
                   ATTEMPT_OUTPUTS_MAX, 1);
    (void)snprintf(prompt, sizeof prompt, "{\"state\":\"pending\",\"enhanced_prompt\":\"%0*d\"}",
                   ATTEMPT_PROMPT_MAX + 1, 1);
    const struct turn turns[] = {ASKED, SAYS(keep), AGAIN, SAYS(prompt), AGAIN, SAYS(outputs), {0}};
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

/* An object of so many bytes in all. */
static void write_usage(char *text, size_t size, const char *before, int bytes)
{
    (void)snprintf(text, size, "%s\"usage\":{\"s\":\"%0*d\"}}", before,
                   bytes - (int)strlen("{\"s\":\"\"}"), 1);
}

static void usage_is_kept_whole_or_not_at_all(void **state)
{
    (void)state;
    static const char failed[] = "{\"state\":\"failed\",";
    static const char done[] = "{\"state\":\"done\",\"outputs\":[{\"url\":\"u\"}],";
    static char text[2 * ATTEMPT_USAGE_MAX];
    for (int i = 0; i < 4; i++) {
        const int more = i % 2;
        const struct turn turns[] = {ASKED, SAYS(text), {0}};
        struct place place;
        write_usage(text, sizeof text, i < 2 ? failed : done, ATTEMPT_USAGE_MAX + more);
        begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
        call(&place, remote_poll);
        play_out();
        const struct attempt_job *job = place.task->attempt.job;
        if (more) { /* what was known stays */
            assert_string_equal(job->usage, "{\"credits\":3}");
        } else {
            assert_int_equal(strlen(job->usage), ATTEMPT_USAGE_MAX);
        }
        end(&place);
    }
}

static void a_video_among_thousands_of_outputs_is_not_lost(void **state)
{
    (void)state;
    static char outputs[ATTEMPT_OUTPUTS_MAX + 200];
    (void)snprintf(outputs, sizeof outputs,
                   "{\"state\":\"done\",\"outputs\":[{\"url\":\"https://a/\"},\"%0*d\"]}",
                   ATTEMPT_OUTPUTS_MAX, 1);
    const struct turn turns[] = {ASKED, SAYS(outputs), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    play_out();
    check_told(&place, "rendered([{\"url\":\"https://a/\"}])", "thousands", 0);
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

static void settle(void)
{
    while (go_on()) {
    }
}

/* Another attempt with the same credential. */
static struct remote *neighbour(struct place *place)
{
    const struct channel *main = channel_at(place->table, 0);
    const struct route route = {ROUTE_FOUND,       main, &main->credentials[0],
                                place->credential, -1,   false};
    const struct remote_handler handler = {
        on_ready, on_event, on_queue_position, on_verdict, on_unreached, on_reason, place};
    return remote_new(&ROOM, place->credentials, place->table, &route, &handler);
}

/* Stands in line once, however often its time comes, and goes when one of those before it is answered. */
static void a_poll_waits_for_its_place_among_many(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED, STATE("rendering"), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    struct remote *other = neighbour(&place);
    place.credential->n_polling = CREDENTIAL_POLLS_MAX;
    for (int i = 0; i < 2; i++) {
        call(&place, remote_poll);
        settle();
    }
    assert_int_equal(stage.n_exchanges, 0);
    place.credential->n_polling = CREDENTIAL_POLLS_MAX - 1;
    assert_null(remote_free(other, false));
    assert_int_equal(place.credential->n_polling, CREDENTIAL_POLLS_MAX);
    play_out();
    assert_int_equal(stage.n_exchanges, 1);
    assert_int_equal(stage.n_timers, 1);
    assert_int_equal(place.credential->n_polling, CREDENTIAL_POLLS_MAX - 1);
    place.credential->n_polling = 0;
    end(&place);
}

static void a_look_before_a_cancel_waits_for_its_place_too(void **state)
{
    (void)state;
    static const struct turn turns[] = {ASKED, STATE("rendering"), {0}};
    struct place place;
    begin(&place, "able", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    struct remote *other = neighbour(&place);
    place.credential->n_polling = CREDENTIAL_POLLS_MAX;
    call(&place, remote_cancel);
    settle();
    assert_int_equal(stage.n_exchanges, 0);
    place.credential->n_polling = CREDENTIAL_POLLS_MAX - 1;
    assert_null(remote_free(other, false));
    assert_int_equal(place.credential->n_polling, CREDENTIAL_POLLS_MAX);
    place.credential->n_polling = 1; /* the others go */
    play_out();
    check_told(&place, "closed(-)", "look", 0);
    end(&place);
}

/* In the order of their coming; one that is stopped leaves the line. */
static void who_is_stopped_leaves_the_line(void **state)
{
    (void)state;
    static const struct turn turns[] = {{0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    struct remote *second = neighbour(&place), *third = neighbour(&place);
    place.credential->n_polling = CREDENTIAL_POLLS_MAX;
    call(&place, remote_poll);
    settle();
    remote_poll(second, place.task);
    settle();
    remote_poll(third, place.task);
    settle();
    assert_ptr_equal(TAILQ_FIRST(&place.credential->due), place.remote);
    struct remote *late = neighbour(&place); /* its time is short */
    remote_poll(late, place.task);
    remote_look(late);
    settle();
    assert_ptr_equal(TAILQ_FIRST(&place.credential->due), late);
    assert_int_equal(remote_looked_ms(late), 0);
    assert_null(remote_free(late, false));
    place.remote = remote_free(place.remote, false);
    assert_ptr_equal(TAILQ_FIRST(&place.credential->due), second);
    assert_null(remote_free(second, false));
    assert_ptr_equal(TAILQ_FIRST(&place.credential->due), third);
    assert_null(remote_free(third, false));
    assert_true(TAILQ_EMPTY(&place.credential->due));
    place.credential->n_polling = 0;
    end(&place);
}

static void a_cancel_gives_up_the_place_of_a_poll(void **state)
{
    (void)state;
    static const struct turn turns[] = {SAYS(LOOK), ANSWERS(200), {0}};
    struct place place;
    begin(&place, "plain", sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED), turns);
    call(&place, remote_poll);
    while (!stage.exchange) {
        assert_true(go_on());
    }
    assert_int_equal(place.credential->n_polling, 1);
    call(&place, remote_cancel);
    play_out();
    check_told(&place, "closed(-)", "cancel", 0);
    stage.at = stage.n_turns;
    end(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polls_tell_how_the_job_stands),
        cmocka_unit_test(a_job_is_gone_after_a_minute_of_it),
        cmocka_unit_test(a_job_without_a_result_is_believed_as_late),
        cmocka_unit_test(a_verdict_is_told_when_it_differs),
        cmocka_unit_test(verdicts_are_not_told_without_end),
        cmocka_unit_test(a_poll_waits_as_the_upstream_wishes),
        cmocka_unit_test(past_its_deadline_a_job_is_looked_at),
        cmocka_unit_test(a_look_past_the_deadline_waits_as_the_upstream_wishes),
        cmocka_unit_test(a_look_past_the_deadline_is_had_when_it_was_sent),
        cmocka_unit_test(what_an_upstream_says_of_its_queue_is_told),
        cmocka_unit_test(the_program_sees_the_job_and_what_it_kept),
        cmocka_unit_test(the_program_is_asked_once_for_a_job_and_what_is_kept_of_it),
        cmocka_unit_test(a_job_that_changes_while_the_program_is_asked),
        cmocka_unit_test(a_job_that_was_lost_is_confirmed),
        cmocka_unit_test(usage_is_kept_whole_or_not_at_all),
        cmocka_unit_test(a_video_among_thousands_of_outputs_is_not_lost),
        cmocka_unit_test(texts_that_are_too_long_are_left_out),
        cmocka_unit_test(a_job_may_be_done_at_once),
        cmocka_unit_test(a_poll_waits_for_its_place_among_many),
        cmocka_unit_test(a_look_before_a_cancel_waits_for_its_place_too),
        cmocka_unit_test(who_is_stopped_leaves_the_line),
        cmocka_unit_test(a_cancel_gives_up_the_place_of_a_poll),
    };
    log_init(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
