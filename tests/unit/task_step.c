/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a task: every event in every state, the rules of retry and recovery, and long random
 * lives that must keep the promises of a sound task. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "task/step.h"
#include "task_effects.h"
#include "task_sample.h"

static const struct task_policy policy = {
    .max_attempts = 3, .backoff_base_ms = 1000, .backoff_max_ms = 5000};

/* A wall clock time after the last change of every sample. */
static const int64_t now_ms = SAMPLE_CREATED_MS + 9000;

static struct task_event event_of(enum task_event_kind kind)
{
    struct task_event event = {
        .kind = kind,
        .channel = "local",
        .is_local = true,
        .progress = 0.95,
        .failure = TASK_FAILURE_RENDER_CRASHED,
        .may_retry = true,
        .note = "Note.",
    };
    sample_result(&event.result);
    return event;
}

static struct task_step step_at(const struct task *task, const struct task_event *event,
                                int64_t at_ms)
{
    struct task_step step;
    task_step(task, event, &policy, at_ms, &step);
    return step;
}

/* What comes of an event: the new state's letter (`.` no new task) and effects as letters:
 * P persist, S start, R store result, X stop, E enqueue, F free the slot, G forget, O poll, V vacate, U cancel
 * upstream, L look. What events do to an attempt at an upstream is told in task_step_upstream.c.
 * Rows follow enum task_event_kind, columns task/state.def. */
static const char *const life[TASK_EVENT_COUNT][TASK_STATE_COUNT] = {
    [TASK_EVENT_SLOT_GRANTED] = {"s PS", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_STARTED] = {".", "r P", ".", ".", ".", ".", "."},
    [TASK_EVENT_PROGRESS] = {".", ".", "r ", ".", ".", ".", "."},
    [TASK_EVENT_RENDERED] = {".", ".", "f PR", ".", ".", ".", "."},
    [TASK_EVENT_STORED] = {".", ".", ".", "c PFG", ".", ".", "."},
    [TASK_EVENT_FAILED] = {".", "q PXEF", "q PXEF", "q PXEF", ".", ".", "."},
    [TASK_EVENT_CANCEL] = {"x PXFG", "x PXFG", "x PXFG", "x PXFG", ".", ".", "."},
    [TASK_EVENT_DEADLINE] = {"F PXFG", "F PXFG", "F PXFG", "F PXFG", ".", ".", "."},
    [TASK_EVENT_RECOVERED] = {". E", "q PE", "q PE", "q PE", ".", ".", "."},
    [TASK_EVENT_PARKED] = {".", "q PXF", "q PXF", "q PXF", ".", ".", "."},
    [TASK_EVENT_EXPIRED] = {".", ".", ".", ".", "c P", "F P", "x P"},
    [TASK_EVENT_ERASED] = {".", ".", ".", ".", "c P", "F P", "x P"},
    [TASK_EVENT_UNSERVED] = {"F PG", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_ACCEPTED] = {".", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_TURNED_AWAY] = {"q PXEF", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_ANSWER_LOST] = {".", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_CONFIRMED] = {".", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_KEPT] = {".", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_GONE] = {".", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_RENEWED] = {".", ".", ".", ".", ".", ".", "."},
    [TASK_EVENT_CANCEL_CLOSED] = {".", ".", ".", ".", ".", ".", "."},
};

static void every_event_in_every_state(void **context)
{
    (void)context;
    static const char letters[] = "qsrfcFx";
    for (unsigned kind = 0; kind < TASK_EVENT_COUNT; kind++)
        for (unsigned state = 0; state < TASK_STATE_COUNT; state++) {
            struct task *task = sample_task((enum task_state)state);
            struct task_event event = event_of((enum task_event_kind)kind);
            struct task_step step = step_at(task, &event, now_ms);
            const char *want = life[kind][state];
            char effects[12];
            effects_text(step.effects, effects);
            char letter = step.task == NULL ? '.' : letters[step.task->state];
            const char *want_effects = want[1] == '\0' ? "" : want + 2;
            if (letter != want[0] || strcmp(effects, want_effects) != 0)
                fail_msg("%s in %s: %c %s, not %s", task_event_name(event.kind),
                         task_state_name(task->state), letter, effects, want);
            if (step.task != NULL) {
                assert_int_equal(step.task->revision, task->revision + 1);
                const bool is_quiet = kind == TASK_EVENT_TURNED_AWAY;
                assert_int_equal(step.task->status_update_ms,
                                 is_quiet ? task->status_update_ms : now_ms);
                if (kind != TASK_EVENT_ERASED)
                    assert_ptr_equal(step.task->request, task->request);
            }
            task_unref(step.task);
            task_unref(task);
        }
}

/* Steps a sample and frees it; the caller owns the new task. */
static struct task *after(enum task_state state, struct task_event event, unsigned *ret_effects)
{
    struct task *task = sample_task(state);
    struct task_step step = step_at(task, &event, now_ms);
    task_unref(task);
    *ret_effects = step.effects;
    return step.task;
}

static void a_life_without_trouble(void **context)
{
    (void)context;
    static const enum task_event_kind kinds[] = {TASK_EVENT_SLOT_GRANTED, TASK_EVENT_STARTED,
                                                 TASK_EVENT_PROGRESS,     TASK_EVENT_RENDERED,
                                                 TASK_EVENT_STORED,       TASK_EVENT_EXPIRED};
    const struct task *task = sample_task(TASK_QUEUED);
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct task_event event = event_of(kinds[i]);
        event.channel = "other";
        struct task_step step = step_at(task, &event, now_ms + (int64_t)i);
        assert_non_null(step.task);
        task_unref(task);
        task = step.task;
    }
    assert_int_equal(task->state, TASK_COMPLETED);
    assert_int_equal(task->attempts, 1);
    assert_string_equal(shared_text_of(task->channel), "other");
    assert_true(task->is_local);
    assert_int_equal(task->started_ms, now_ms + 1);
    assert_int_equal(task->ended_ms, now_ms + 4);
    assert_int_equal(task->expired_ms, now_ms + 5);
    assert_string_equal(task->result.generation_id, SAMPLE_GENERATION);
    assert_true(task->progress >= 1.0);
    task_unref(task);
}

static void progress_never_falls(void **context)
{
    (void)context;
    static const double reports[] = {0.5, 0.9302178175176704, -1.0, -INFINITY, NAN};
    unsigned effects;
    for (size_t i = 0; i < ARRAY_LENGTH(reports); i++) {
        struct task_event event = event_of(TASK_EVENT_PROGRESS);
        event.progress = reports[i];
        assert_null(after(TASK_RENDERING, event, &effects));
        assert_int_equal(effects, 0);
    }
    struct task_event event = event_of(TASK_EVENT_PROGRESS);
    event.progress = INFINITY;
    struct task *task = after(TASK_RENDERING, event, &effects);
    assert_true(task->progress >= 1.0 && task->progress <= 1.0);
    task_unref(task);
}

static void a_wall_clock_set_back_turns_no_time_around(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_FETCHING);
    struct task_event event = event_of(TASK_EVENT_STORED);
    struct task_step step = step_at(task, &event, 5);
    assert_int_equal(step.task->status_update_ms, task->status_update_ms);
    assert_int_equal(step.task->ended_ms, task->status_update_ms);
    task_unref(step.task);
    task_unref(task);
}

static void retries_end_and_back_off(void **context)
{
    (void)context;
    static const struct {
        int attempts;
        bool may_retry;
        int64_t wait_ms; /* 0: the task fails */
    } rows[] = {{1, true, 1000}, {2, true, 2000}, {3, true, 0}, {4, true, 0}, {1, false, 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct task *task = sample_task(TASK_RENDERING);
        task->attempts = rows[i].attempts;
        struct task_event event = event_of(TASK_EVENT_FAILED);
        event.may_retry = rows[i].may_retry;
        struct task_step step = step_at(task, &event, now_ms);
        bool is_retried = rows[i].wait_ms > 0;
        assert_int_equal(step.task->state, is_retried ? TASK_QUEUED : TASK_FAILED);
        assert_int_equal(step.task->not_before_ms, is_retried ? now_ms + rows[i].wait_ms : 0);
        assert_int_equal(step.task->failure,
                         is_retried ? TASK_FAILURE_NONE : TASK_FAILURE_RENDER_CRASHED);
        assert_string_equal(shared_text_of(step.task->failure_note), is_retried ? "" : "Note.");
        assert_int_equal(step.task->attempts, rows[i].attempts);
        assert_int_equal(step.task->started_ms, task->started_ms);
        task_unref(step.task);
        task_unref(task);
    }
}

static void backoff_is_capped_and_does_not_overflow(void **context)
{
    (void)context;
    const struct task_policy patient = {
        .max_attempts = 1000, .backoff_base_ms = 1000, .backoff_max_ms = 5000};
    const struct task_policy huge = {
        .max_attempts = 1000, .backoff_base_ms = 1, .backoff_max_ms = INT64_C(1) << 60};
    struct task *task = sample_task(TASK_RENDERING);
    task->attempts = 999;
    task->deadline_ms = INT64_MAX;
    struct task_event event = event_of(TASK_EVENT_FAILED);
    struct task_step step;
    task_step(task, &event, &patient, now_ms, &step);
    assert_int_equal(step.task->not_before_ms, now_ms + 5000);
    task_unref(step.task);
    task_step(task, &event, &huge, now_ms, &step);
    assert_int_equal(step.task->not_before_ms, now_ms + huge.backoff_max_ms);
    task_unref(step.task);
    task_unref(task);
}

/* The next attempt could only begin after the deadline: the owner learns the cause at once. */
static void a_retry_past_the_deadline_is_none(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_RENDERING);
    task->deadline_ms = now_ms + 1000;
    struct task_event event = event_of(TASK_EVENT_FAILED);
    struct task_step step = step_at(task, &event, now_ms);
    assert_int_equal(step.task->state, TASK_FAILED);
    assert_int_equal(step.task->failure, TASK_FAILURE_RENDER_CRASHED);
    task_unref(step.task);
    task_unref(task);
}

static void notes_are_cut_between_characters(void **context)
{
    (void)context;
    char note[400];
    for (size_t i = 0; i < sizeof note - 2; i += 2)
        memcpy(note + i, "\xc3\xa9", 2);
    note[sizeof note - 2] = '\0';
    struct task_event event = event_of(TASK_EVENT_FAILED);
    event.may_retry = false;
    event.note = note;
    unsigned effects;
    struct task *task = after(TASK_RENDERING, event, &effects);
    assert_int_equal(strlen(shared_text_of(task->failure_note)), TASK_NOTE_SIZE - 2);
    task_unref(task);
    event.note = NULL;
    task = after(TASK_RENDERING, event, &effects);
    assert_string_equal(shared_text_of(task->failure_note), "");
    task_unref(task);
}

static void interrupted_work_is_not_charged(void **context)
{
    (void)context;
    static const enum task_event_kind kinds[] = {TASK_EVENT_RECOVERED, TASK_EVENT_PARKED};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        unsigned effects;
        struct task *task = after(TASK_RENDERING, event_of(kinds[i]), &effects);
        assert_int_equal(task->state, TASK_QUEUED);
        assert_int_equal(task->attempts, 0);
        assert_int_equal(task->not_before_ms, 0);
        assert_int_equal(task->started_ms, SAMPLE_CREATED_MS + 2000);
        assert_true(task->progress > 0.93);
        task_unref(task);
    }
}

static void recovery_looks_at_the_deadline(void **context)
{
    (void)context;
    for (unsigned state = TASK_QUEUED; state <= TASK_FETCHING; state++) {
        struct task *task = sample_task((enum task_state)state);
        struct task_event event = event_of(TASK_EVENT_RECOVERED);
        struct task_step step = step_at(task, &event, task->deadline_ms);
        assert_int_equal(step.task->state, TASK_FAILED);
        assert_int_equal(step.task->failure, TASK_FAILURE_DEADLINE);
        assert_int_equal(step.effects, TASK_EFFECT_PERSIST | TASK_EFFECT_FORGET);
        task_unref(step.task);
        task_unref(task);
    }
}

static void a_result_expires_once(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_COMPLETED);
    task->expired_ms = now_ms;
    struct task_event event = event_of(TASK_EVENT_EXPIRED);
    struct task_step step = step_at(task, &event, now_ms + 1);
    assert_null(step.task);
    assert_int_equal(step.effects, 0);
    task_unref(task);
}

/* ---- erasing ---- */

/* Is `text` anywhere in what the store is given of the task? */
static bool is_in_record(const struct task *task, const char *text)
{
    char *documents[] = {task_encode_request(task->request), task_encode_status(task)};
    bool is_there = strstr(documents[0], text) != NULL || strstr(documents[1], text) != NULL;
    free(documents[0]);
    free(documents[1]);
    return is_there;
}

static void expect_erased(const struct task *task)
{
    static const char *const gone[] = {
        "make animate", "example.com", "req-1",   "A title",    "anime",
        "fog",          "1,3",         "task_x",  "one",        "guidance",
        "media_",       "e3b0c4",      "Image 2", "up.example", "make it animate"};
    static const char *const kept[] = {SAMPLE_ID, "tenant-1", "sora-2", "portrait", "small"};
    for (size_t i = 0; i < ARRAY_LENGTH(gone); i++)
        if (is_in_record(task, gone[i]))
            fail_msg("\"%s\" is still there", gone[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++)
        if (!is_in_record(task, kept[i]))
            fail_msg("\"%s\" is gone", kept[i]);
}

static void erasing_leaves_what_accounts_need(void **context)
{
    (void)context;
    static const enum task_state ends[] = {TASK_COMPLETED, TASK_FAILED, TASK_CANCELLED};
    struct task_event event = event_of(TASK_EVENT_ERASED);
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        struct task *task = sample_task(ends[i]);
        if (ends[i] != TASK_COMPLETED)
            shared_text_set(&task->failure_note, "Image 2.");
        struct task_step step = step_at(task, &event, now_ms);
        expect_erased(step.task);
        assert_string_equal(task->request->prompt, "make animate"); /* others may be looking */
        assert_int_equal(step.task->state, ends[i]);
        assert_int_equal(step.task->deleted_ms, now_ms);
        assert_int_equal(step.task->expired_ms, now_ms);
        assert_int_equal(step.task->ended_ms, task->ended_ms);
        assert_int_equal(step.task->failure, task->failure);
        assert_int_equal(step.task->attempts, task->attempts);
        assert_memory_equal(&step.task->result, &task->result, sizeof task->result);
        assert_int_equal(step.task->request->created_micros, SAMPLE_CREATED_MICROS);
        assert_int_equal(step.task->request->duration_s, 15);
        assert_int_equal(step.task->request->width, 352);
        assert_int_equal(step.task->request->height, 640);
        struct task_step again = step_at(step.task, &event, now_ms + 1);
        assert_null(again.task);
        assert_int_equal(again.effects, 0);
        task_unref(step.task);
        task_unref(task);
    }
}

static void what_has_expired_keeps_its_time(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_COMPLETED);
    struct task_event event = event_of(TASK_EVENT_ERASED);
    task->expired_ms = now_ms - 1000;
    struct task_step step = step_at(task, &event, now_ms);
    assert_int_equal(step.task->expired_ms, now_ms - 1000);
    assert_int_equal(step.task->deleted_ms, now_ms);
    task_unref(step.task);
    task_unref(task);
}

static void erase_at(struct task *task, int64_t expired_ms, int64_t deleted_ms)
{
    task_erase(task);
    task->expired_ms = expired_ms;
    task->deleted_ms = deleted_ms;
}

/* Each row breaks one promise of a sound sample. */
static void soundness_sees_each_broken_promise(void **context)
{
    (void)context;
    enum { ROWS = 32 };
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        struct task *task = sample_task((enum task_state)i);
        assert_true(task_is_sound(task));
        task_unref(task);
    }
    for (int row = 0; row < ROWS; row++) {
        struct task *queued = sample_task(TASK_QUEUED), *running = sample_task(TASK_RENDERING);
        struct task *done = sample_task(TASK_COMPLETED), *failed = sample_task(TASK_FAILED);
        struct task *stopped = sample_task(TASK_CANCELLED);
        switch (row) {
        case 0:
            queued->progress = 1.01;
            break;
        case 1:
            queued->progress = NAN;
            break;
        case 2:
            queued->progress = -0.1;
            break;
        case 3:
            queued->ended_ms = now_ms;
            break;
        case 4:
            queued->not_before_ms = -1;
            break;
        case 5:
            queued->revision = 0;
            break;
        case 6:
            queued->status_update_ms = SAMPLE_CREATED_MS - 1;
            break;
        case 7:
            queued->failure = TASK_FAILURE_DEADLINE;
            break;
        case 8:
            queued->attempts = -1;
            break;
        case 9:
            shared_text_set(&queued->failure_note, "x");
            break;
        case 10:
            running->started_ms = 0;
            break;
        case 11:
            running->attempts = 0;
            break;
        case 12:
            shared_text_set(&running->channel, NULL);
            break;
        case 13:
            running->not_before_ms = now_ms;
            break;
        case 14:
            running->expired_ms = now_ms;
            break;
        case 15:
            sample_result(&running->result);
            break;
        case 16:
            done->progress = 0.99;
            break;
        case 17:
            done->ended_ms = 0;
            break;
        case 18:
            done->result.generation_id[5] = '!';
            break;
        case 19:
            done->result.width = 0;
            break;
        case 20:
            done->expired_ms = 1;
            break;
        case 21:
            failed->failure = TASK_FAILURE_NONE;
            break;
        case 22:
            failed->failure = TASK_FAILURE_CANCELLED;
            break;
        case 23:
            failed->ended_ms = SAMPLE_CREATED_MS - 1;
            break;
        case 24:
            stopped->failure = TASK_FAILURE_DEADLINE;
            break;
        case 25:
            queued->state = TASK_STATE_COUNT;
            break;
        case 26:
            done->expired_ms = done->deleted_ms = now_ms; /* with all that it had */
            break;
        case 27:
            erase_at(failed, 0, now_ms);
            break;
        case 28:
            erase_at(failed, now_ms + 1, now_ms);
            break;
        case 29:
            erase_at(failed, now_ms, now_ms);
            shared_text_set(&failed->failure_note, "x");
            break;
        case 30:
            erase_at(failed, now_ms, now_ms);
            failed->request->n_images = 1;
            failed->request->images = must_calloc(1, sizeof *failed->request->images);
            break;
        case 31:
            running->deleted_ms = now_ms;
            break;
        default:
            fail();
            break;
        }
        bool are_all_sound = task_is_sound(queued) && task_is_sound(running) &&
                             task_is_sound(done) && task_is_sound(failed) && task_is_sound(stopped);
        if (are_all_sound)
            fail_msg("row %d passed", row);
        task_unref(queued);
        task_unref(running);
        task_unref(done);
        task_unref(failed);
        task_unref(stopped);
    }
}

/* Random lives */

static uint64_t random_bits(uint64_t *seed)
{
    /* xorshift64: any fixed sequence will do */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static bool needs_job(enum task_event_kind kind)
{
    return kind == TASK_EVENT_ACCEPTED || kind == TASK_EVENT_KEPT || kind == TASK_EVENT_RENEWED ||
           kind == TASK_EVENT_RENDERED;
}

static struct task_event random_event(uint64_t *seed, struct attempt_job *job)
{
    static const enum task_failure failures[] = {TASK_FAILURE_RENDER_CRASHED,
                                                 TASK_FAILURE_IMAGE_INVALID, TASK_FAILURE_STORAGE};
    struct task_event event = event_of(random_bits(seed) % TASK_EVENT_COUNT);
    /* ends are rarer than in a fair draw, or no life would get far */
    bool is_end = event.kind == TASK_EVENT_CANCEL || event.kind == TASK_EVENT_DEADLINE ||
                  event.kind == TASK_EVENT_UNSERVED || event.kind == TASK_EVENT_GONE ||
                  event.kind == TASK_EVENT_ANSWER_LOST;
    if (is_end && random_bits(seed) % 8 != 0)
        event.kind = TASK_EVENT_PROGRESS;
    event.is_local = random_bits(seed) % 4 == 0;
    event.credential = event.is_local ? NULL : "default";
    event.attempt_id = SAMPLE_ATTEMPT;
    event.channel = random_bits(seed) % 2 == 0 ? "a" : "b";
    event.on_unknown = random_bits(seed) % 2 == 0 ? TASK_UNKNOWN_HOLD : TASK_UNKNOWN_RESUBMIT;
    event.can_confirm = random_bits(seed) % 2 == 0;
    event.is_final = random_bits(seed) % 4 == 0;
    event.retry_after_ms = (int64_t)(random_bits(seed) % 3) * 1000;
    event.was_stopped = random_bits(seed) % 2 == 0;
    event.job = random_bits(seed) % 2 == 0 || needs_job(event.kind) ? job : NULL;
    event.progress = (double)(random_bits(seed) % 1200) / 1000.0 - 0.1;
    event.failure = failures[random_bits(seed) % ARRAY_LENGTH(failures)];
    event.may_retry = random_bits(seed) % 4 != 0;
    return event;
}

static void assert_follows(const struct task *old, const struct task *new)
{
    assert_true(task_is_sound(new));
    assert_false(task_state_is_end(old->state) && new->state != old->state);
    assert_true(new->state == old->state || task_state_can_move(old->state, new->state));
    assert_true(new->progress >= old->progress);
    assert_true(new->status_update_ms >= old->status_update_ms);
    assert_true(new->revision > old->revision);
    assert_true(old->started_ms == 0 || new->started_ms == old->started_ms);
    assert_true(new->attempts <= policy.max_attempts);
    const struct attempt_record *a = &old->attempt, *b = &new->attempt;
    assert_true(b->number >= a->number && b->number <= a->number + 1);
    /* a closed attempt is closed, and only a new one takes the place of one that was */
    assert_true(a->id[0] == '\0' || attempt_is_open(a->state) || b->number > a->number ||
                b->id[0] == '\0' || b->state == a->state);
    assert_true(a->id[0] == '\0' || !attempt_is_open(a->state) || b->number == a->number);
    assert_true(!old->may_have_cost || new->may_have_cost);
}

static void random_lives_keep_their_promises(void **context)
{
    (void)context;
    uint64_t seed = 88172645463325252u;
    unsigned n_ends[TASK_STATE_COUNT] = {0}, n_closed[ATTEMPT_STATE_COUNT] = {0}, age = 0;
    struct attempt_job *job = sample_job("job-1");
    const struct task *task = sample_task(TASK_QUEUED);
    int64_t clock_ms = now_ms;
    for (int i = 0; i < 100000; i++) {
        struct task_event event = random_event(&seed, job);
        clock_ms += (int64_t)(random_bits(&seed) % 2000) - 500; /* now and then set back */
        struct task_step step = step_at(task, &event, clock_ms);
        if (step.task != NULL) {
            assert_follows(task, step.task);
            task_unref(task);
            task = step.task;
        }
        age = task_state_is_end(task->state) ? age + 1 : 0;
        if (age > 20) { /* long enough at its end to have left it */
            n_ends[task->state]++;
            if (task->attempt.id[0] != '\0')
                n_closed[task->attempt.state]++;
            task_unref(task);
            task = sample_task(TASK_QUEUED);
            clock_ms = now_ms;
            age = 0;
        }
    }
    task_unref(task);
    attempt_job_unref(job);
    static const enum attempt_state reached[] = {
        ATTEMPT_FINISHED, ATTEMPT_REFUSED,   ATTEMPT_FAILED,   ATTEMPT_GONE,
        ATTEMPT_UNKNOWN,  ATTEMPT_CANCELLED, ATTEMPT_ABANDONED};
    for (size_t i = 0; i < ARRAY_LENGTH(reached); i++)
        if (n_closed[reached[i]] < 5)
            fail_msg("%s: %u lives", attempt_state_name(reached[i]), n_closed[reached[i]]);
    assert_true(n_ends[TASK_COMPLETED] > 50);
    assert_true(n_ends[TASK_FAILED] > 50);
    assert_true(n_ends[TASK_CANCELLED] > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_in_every_state),
        cmocka_unit_test(a_life_without_trouble),
        cmocka_unit_test(progress_never_falls),
        cmocka_unit_test(a_wall_clock_set_back_turns_no_time_around),
        cmocka_unit_test(retries_end_and_back_off),
        cmocka_unit_test(backoff_is_capped_and_does_not_overflow),
        cmocka_unit_test(a_retry_past_the_deadline_is_none),
        cmocka_unit_test(notes_are_cut_between_characters),
        cmocka_unit_test(interrupted_work_is_not_charged),
        cmocka_unit_test(recovery_looks_at_the_deadline),
        cmocka_unit_test(a_result_expires_once),
        cmocka_unit_test(erasing_leaves_what_accounts_need),
        cmocka_unit_test(what_has_expired_keeps_its_time),
        cmocka_unit_test(soundness_sees_each_broken_promise),
        cmocka_unit_test(random_lives_keep_their_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
