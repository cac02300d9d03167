/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a task at an upstream: what each event does in each standing of task and attempt, that nothing is bought
 * twice by ourselves, and that what may have been bought is not forgotten. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "task/policy.h"
#include "task/step.h"
#include "task_effects.h"
#include "task_sample.h"

#define OTHER_ATTEMPT "att_01k6x15wq5fe3t1k0n8x1z8h3n"

static const struct task_policy policy = {
    .max_attempts = 3, .backoff_base_ms = 1000, .backoff_max_ms = 5000};

static const int64_t now_ms = SAMPLE_CREATED_MS + 9000;

static struct task_step step_of(const struct task *task, const struct task_event *event)
{
    struct task_step step;
    task_step(task, event, &policy, now_ms, &step);
    return step;
}

/* ---- the table ---- */

/* Where a task can stand with an attempt at an upstream; `with_job`: it has the id that we chose, or was given. */
struct standing {
    enum task_state state;
    enum attempt_state attempt;
    bool with_job;
};

/* Keyword arguments of an event, as letters: c can be confirmed, y certain, r resubmit, f final, m may be mended by another
 * attempt, s was stopped, M moderated, d after its deadline, n no job. */
struct row {
    struct standing from;
    enum task_event_kind kind;
    const char *how;
    enum task_state state;
    enum attempt_state attempt;
    enum task_failure failure;
    const char
        *effects;  /* letters as in task_step.c; O poll, V vacate, U cancel upstream, L look */
    int charged;   /* by how much `attempts` falls */
    bool is_quiet; /* clients see nothing of it */
};

#define QUEUED                                                                                     \
    {                                                                                              \
        TASK_QUEUED, ATTEMPT_REFUSED, false                                                        \
    }
#define SUBMITTING                                                                                 \
    {                                                                                              \
        TASK_SUBMITTING, ATTEMPT_SUBMITTING, false                                                 \
    }
#define CHOSEN                                                                                     \
    {                                                                                              \
        TASK_SUBMITTING, ATTEMPT_SUBMITTING, true                                                  \
    }
#define CONFIRMING                                                                                 \
    {                                                                                              \
        TASK_RENDERING, ATTEMPT_CONFIRMING, true                                                   \
    }
#define RENDERING                                                                                  \
    {                                                                                              \
        TASK_RENDERING, ATTEMPT_ACCEPTED, true                                                     \
    }
#define FETCHING                                                                                   \
    {                                                                                              \
        TASK_FETCHING, ATTEMPT_ACCEPTED, true                                                      \
    }
#define AWAITED                                                                                    \
    {                                                                                              \
        TASK_CANCELLED, ATTEMPT_CANCELLING, false                                                  \
    }
#define STOPPING                                                                                   \
    {                                                                                              \
        TASK_FAILED, ATTEMPT_CANCELLING, true                                                      \
    }
#define NONE TASK_FAILURE_NONE
#define E(name) TASK_EVENT_##name
#define F(name) TASK_FAILURE_##name
#define TO(state, attempt) TASK_##state, ATTEMPT_##attempt

static const struct row rows[] = {
    {QUEUED, E(SLOT_GRANTED), "", TO(SUBMITTING, SUBMITTING), NONE, "PS", -1, false},
    {QUEUED, E(TURNED_AWAY), "", TO(QUEUED, REFUSED), NONE, "PXEF", 0, true},
    {QUEUED, E(TURNED_AWAY), "f", TO(QUEUED, REFUSED), NONE, "PXEF", 0, true},
    {QUEUED, E(TURNED_AWAY), "fM", TO(FAILED, REFUSED), F(MODERATED), "PXFG", 0, false},
    {QUEUED, E(CANCEL), "", TO(CANCELLED, REFUSED), F(CANCELLED), "PXFG", 0, false},
    {QUEUED, E(DEADLINE), "", TO(FAILED, REFUSED), F(DEADLINE), "PXFG", 0, false},
    {QUEUED, E(UNSERVED), "", TO(FAILED, REFUSED), F(CHANNEL_GONE), "PG", 0, false},
    {QUEUED, E(RECOVERED), "", TO(STATE_COUNT, REFUSED), NONE, "E", 0, false},
    {QUEUED, E(RECOVERED), "d", TO(FAILED, REFUSED), F(DEADLINE), "PG", 0, false},

    {SUBMITTING, E(ACCEPTED), "", TO(RENDERING, ACCEPTED), NONE, "PO", 0, false},
    {SUBMITTING, E(TURNED_AWAY), "", TO(QUEUED, REFUSED), NONE, "PXEF", 1, false},
    {SUBMITTING, E(TURNED_AWAY), "f", TO(QUEUED, REFUSED), NONE, "PXEF", 1, false},
    {SUBMITTING, E(TURNED_AWAY), "fM", TO(FAILED, REFUSED), F(MODERATED), "PXFG", 1, false},
    {SUBMITTING, E(TURNED_AWAY), "M", TO(QUEUED, REFUSED), NONE, "PXEF", 1, false},
    {SUBMITTING, E(ANSWER_LOST), "", TO(FAILED, UNKNOWN), F(SUBMISSION_UNKNOWN), "PXFG", 0, false},
    {SUBMITTING, E(ANSWER_LOST), "c", TO(FAILED, UNKNOWN), F(SUBMISSION_UNKNOWN), "PXFG", 0, false},
    {SUBMITTING, E(ANSWER_LOST), "r", TO(QUEUED, UNKNOWN), NONE, "PXEF", 0, false},
    {SUBMITTING, E(CANCEL), "", TO(CANCELLED, CANCELLING), F(CANCELLED), "P", 0, false},
    {SUBMITTING, E(TURNED_AWAY), "d", TO(FAILED, REFUSED), F(DEADLINE), "PXFG", 1, false},
    {SUBMITTING, E(TURNED_AWAY), "fd", TO(FAILED, REFUSED), F(DEADLINE), "PXFG", 1, false},
    {SUBMITTING, E(TURNED_AWAY), "fMd", TO(FAILED, REFUSED), F(MODERATED), "PXFG", 1, false},
    {SUBMITTING, E(ANSWER_LOST), "rd", TO(FAILED, UNKNOWN), F(SUBMISSION_UNKNOWN), "PXFG", 0,
     false},
    {SUBMITTING, E(ACCEPTED), "d", TO(RENDERING, ACCEPTED), NONE, "PO", 0, false},
    {SUBMITTING, E(DEADLINE), "", TO(STATE_COUNT, SUBMITTING), NONE, "L", 0, false},
    {SUBMITTING, E(DEADLINE), "f", TO(FAILED, CANCELLING), F(DEADLINE), "P", 0, false},
    {SUBMITTING, E(RECOVERED), "", TO(FAILED, UNKNOWN), F(SUBMISSION_UNKNOWN), "PXFG", 0, false},
    {SUBMITTING, E(RECOVERED), "r", TO(QUEUED, UNKNOWN), NONE, "PXEF", 0, false},
    {SUBMITTING, E(RECOVERED), "d", TO(FAILED, UNKNOWN), F(DEADLINE), "PG", 0, false},
    {CHOSEN, E(ANSWER_LOST), "", TO(FAILED, UNKNOWN), F(SUBMISSION_UNKNOWN), "PXFG", 0, false},
    {CHOSEN, E(ANSWER_LOST), "c", TO(RENDERING, CONFIRMING), NONE, "PO", 0, false},
    {CHOSEN, E(ANSWER_LOST), "cr", TO(RENDERING, CONFIRMING), NONE, "PO", 0, false},
    {CHOSEN, E(RECOVERED), "c", TO(RENDERING, CONFIRMING), NONE, "PO", 0, false},
    {CHOSEN, E(RECOVERED), "cd", TO(RENDERING, CONFIRMING), NONE, "PO", 0, false},
    {CHOSEN, E(RECOVERED), "d", TO(FAILED, CANCELLING), F(DEADLINE), "PU", 0, false},
    {CHOSEN, E(ANSWER_LOST), "cd", TO(RENDERING, CONFIRMING), NONE, "PO", 0, false},
    {CHOSEN, E(DEADLINE), "", TO(STATE_COUNT, SUBMITTING), NONE, "L", 0, false},
    {CHOSEN, E(DEADLINE), "f", TO(FAILED, CANCELLING), F(DEADLINE), "P", 0, false},
    {CHOSEN, E(CANCEL), "", TO(CANCELLED, CANCELLING), F(CANCELLED), "P", 0, false},

    {CONFIRMING, E(CONFIRMED), "", TO(RENDERING, ACCEPTED), NONE, "P", 0, true},
    {CONFIRMING, E(CONFIRMED), "n", TO(RENDERING, ACCEPTED), NONE, "P", 0, true},
    {CONFIRMING, E(KEPT), "", TO(RENDERING, CONFIRMING), NONE, "P", 0, true},
    {CONFIRMING, E(PROGRESS), "", TO(RENDERING, ACCEPTED), NONE, "P", 0, false},
    {CONFIRMING, E(RENDERED), "", TO(FETCHING, ACCEPTED), NONE, "PRV", 0, false},
    {CONFIRMING, E(GONE), "y", TO(QUEUED, NOT_TAKEN), NONE, "PXEF", 1, false},
    {CONFIRMING, E(GONE), "yd", TO(FAILED, NOT_TAKEN), F(DEADLINE), "PXFG", 1, false},
    {CONFIRMING, E(GONE), "", TO(FAILED, UNKNOWN), F(SUBMISSION_UNKNOWN), "PXFG", 0, false},
    {CONFIRMING, E(GONE), "r", TO(QUEUED, UNKNOWN), NONE, "PXEF", 0, false},
    {CONFIRMING, E(FAILED), "", TO(FAILED, FAILED), F(UPSTREAM_FAILED), "PXFG", 0, false},
    {CONFIRMING, E(CANCEL), "", TO(CANCELLED, CANCELLING), F(CANCELLED), "PXU", 0, false},
    {CONFIRMING, E(DEADLINE), "", TO(STATE_COUNT, CONFIRMING), NONE, "L", 0, false},
    {CONFIRMING, E(DEADLINE), "f", TO(FAILED, CANCELLING), F(DEADLINE), "PXU", 0, false},
    {CONFIRMING, E(RECOVERED), "", TO(STATE_COUNT, CONFIRMING), NONE, "O", 0, false},
    {CONFIRMING, E(RECOVERED), "d", TO(STATE_COUNT, CONFIRMING), NONE, "O", 0, false},

    {RENDERING, E(KEPT), "", TO(RENDERING, ACCEPTED), NONE, "P", 0, true},
    {RENDERING, E(PROGRESS), "", TO(RENDERING, ACCEPTED), NONE, "", 0, false},
    {RENDERING, E(RENDERED), "", TO(FETCHING, ACCEPTED), NONE, "PRV", 0, false},
    {RENDERING, E(FAILED), "", TO(FAILED, FAILED), F(UPSTREAM_FAILED), "PXFG", 0, false},
    {RENDERING, E(FAILED), "m", TO(QUEUED, FAILED), NONE, "PXEF", 0, false},
    {RENDERING, E(GONE), "", TO(FAILED, GONE), F(JOB_LOST), "PXFG", 0, false},
    {RENDERING, E(CANCEL), "", TO(CANCELLED, CANCELLING), F(CANCELLED), "PXU", 0, false},
    {RENDERING, E(DEADLINE), "", TO(STATE_COUNT, ACCEPTED), NONE, "L", 0, false},
    {RENDERING, E(DEADLINE), "f", TO(FAILED, CANCELLING), F(DEADLINE), "PXU", 0, false},
    {RENDERING, E(RECOVERED), "", TO(STATE_COUNT, ACCEPTED), NONE, "O", 0, false},
    {RENDERING, E(RECOVERED), "d", TO(STATE_COUNT, ACCEPTED), NONE, "O", 0, false},

    {FETCHING, E(RENEWED), "", TO(FETCHING, ACCEPTED), NONE, "PR", 0, true},
    {FETCHING, E(STORED), "", TO(COMPLETED, FINISHED), NONE, "PFG", 0, false},
    {FETCHING, E(FAILED), "", TO(FAILED, FINISHED), F(UPSTREAM_FAILED), "PXFG", 0, false},
    {FETCHING, E(FAILED), "m", TO(FAILED, FINISHED), F(UPSTREAM_FAILED), "PXFG", 0, false},
    {FETCHING, E(GONE), "", TO(FAILED, GONE), F(JOB_LOST), "PXFG", 0, false},
    {FETCHING, E(CANCEL), "", TO(CANCELLED, FINISHED), F(CANCELLED), "PXFG", 0, false},
    {FETCHING, E(DEADLINE), "", TO(STATE_COUNT, ACCEPTED), NONE, "L", 0, false},
    {FETCHING, E(DEADLINE), "f", TO(FAILED, FINISHED), F(DEADLINE), "PXFG", 0, false},
    {FETCHING, E(RECOVERED), "", TO(STATE_COUNT, ACCEPTED), NONE, "R", 0, false},
    {FETCHING, E(RECOVERED), "d", TO(STATE_COUNT, ACCEPTED), NONE, "R", 0, false},

    {AWAITED, E(ACCEPTED), "", TO(CANCELLED, CANCELLING), F(CANCELLED), "PU", 0, true},
    {AWAITED, E(TURNED_AWAY), "", TO(CANCELLED, REFUSED), F(CANCELLED), "PFG", 0, true},
    {AWAITED, E(TURNED_AWAY), "f", TO(CANCELLED, REFUSED), F(CANCELLED), "PFG", 0, true},
    {AWAITED, E(ANSWER_LOST), "c", TO(CANCELLED, UNKNOWN), F(CANCELLED), "PFG", 0, true},
    {AWAITED, E(CANCEL_CLOSED), "s", TO(CANCELLED, CANCELLED), F(CANCELLED), "PFG", 0, true},
    {AWAITED, E(RECOVERED), "", TO(CANCELLED, UNKNOWN), F(CANCELLED), "PG", 0, true},
    {AWAITED, E(ERASED), "", TO(CANCELLED, CANCELLING), F(CANCELLED), "P", 0, false},
    {STOPPING, E(ERASED), "", TO(FAILED, CANCELLING), F(RENDER_FAILED), "P", 0, false},
    {AWAITED, E(EXPIRED), "", TO(CANCELLED, CANCELLING), F(CANCELLED), "P", 0, false},
    {STOPPING, E(ANSWER_LOST), "", TO(STATE_COUNT, CANCELLING), NONE, "U", 0, false},
    {STOPPING, E(CANCEL_CLOSED), "s", TO(FAILED, CANCELLED), F(RENDER_FAILED), "PFG", 0, true},
    {STOPPING, E(CANCEL_CLOSED), "", TO(FAILED, ABANDONED), F(RENDER_FAILED), "PFG", 0, true},
    {STOPPING, E(RECOVERED), "", TO(STATE_COUNT, CANCELLING), NONE, "U", 0, false},
};

static const struct standing standings[] = {QUEUED,    SUBMITTING, CHOSEN,  CONFIRMING,
                                            RENDERING, FETCHING,   AWAITED, STOPPING};

static struct task *stand(struct standing standing)
{
    struct task *task = sample_upstream_task(standing.state, standing.attempt);
    if (standing.with_job && task->attempt.job == NULL)
        task->attempt.job = sample_job("chosen-1");
    assert_true(task_is_sound(task));
    return task;
}

static struct task_event event_of(enum task_event_kind kind, const char *how,
                                  struct attempt_job *job)
{
    const bool is_turned = kind == TASK_EVENT_TURNED_AWAY;
    struct task_event event = {
        .kind = kind,
        .channel = "main",
        .credential = "second",
        .attempt_id = OTHER_ATTEMPT,
        .job = strchr(how, 'n') == NULL ? job : NULL,
        .on_unknown = strchr(how, 'r') != NULL ? TASK_UNKNOWN_RESUBMIT : TASK_UNKNOWN_HOLD,
        .can_confirm = strchr(how, 'c') != NULL,
        .is_certain = strchr(how, 'y') != NULL,
        .is_final = strchr(how, 'f') != NULL,
        .may_retry = strchr(how, 'm') != NULL,
        .was_stopped = strchr(how, 's') != NULL,
        .progress = 0.95,
        .failure = strchr(how, 'M') != NULL ? TASK_FAILURE_MODERATED
                   : is_turned              ? TASK_FAILURE_UPSTREAM_REFUSED
                                            : TASK_FAILURE_UPSTREAM_FAILED,
    };
    sample_result(&event.result);
    return event;
}

static struct task_step step_of_row(const struct task *task, enum task_event_kind kind,
                                    const char *how)
{
    struct attempt_job *job = sample_job("job-2");
    struct task *late = task_copy(task);
    if (strchr(how, 'd') != NULL)
        late->deadline_ms = now_ms;
    const struct task_event event = event_of(kind, how, job);
    const struct task_step step = step_of(late, &event);
    task_unref(late);
    attempt_job_unref(job);
    return step;
}

static void hold_against(const struct row *row, size_t i, const struct task *old,
                         const struct task *new)
{
    if (new->state != row->state || new->attempt.state != row->attempt ||
        new->failure != row->failure)
        fail_msg("row %zu, %s: %s, %s, %s", i, task_event_name(row->kind),
                 task_state_name(new->state), attempt_state_name(new->attempt.state),
                 new->failure != NONE ? task_failure_code(new->failure) : "no failure");
    if (new->attempts != old->attempts - row->charged)
        fail_msg("row %zu: attempts %d, then %d", i, old->attempts, new->attempts);
    if ((new->status_update_ms == old->status_update_ms) != row->is_quiet)
        fail_msg("row %zu: status_update_ms", i);
    assert_int_equal(new->revision, old->revision + 1);
    const bool was_open = old->attempt.closed_ms == 0;
    assert_int_equal(new->attempt.closed_ms, attempt_is_open(row->attempt) ? 0
                                             : was_open                    ? now_ms
                                                        : old->attempt.closed_ms);
    assert_true(task_is_sound(new));
}

static void each_row_of_the_table(void **context)
{
    (void)context;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct row *row = &rows[i];
        struct task *task = stand(row->from);
        struct task_step step = step_of_row(task, row->kind, row->how);
        char effects[12];
        effects_text(step.effects, effects);
        if (strcmp(effects, row->effects) != 0)
            fail_msg("row %zu, %s: effects %s, not %s", i, task_event_name(row->kind), effects,
                     row->effects);
        if ((step.task == NULL) != (row->state == TASK_STATE_COUNT))
            fail_msg("row %zu, %s: %s", i, task_event_name(row->kind),
                     step.task == NULL ? "no change" : "a change");
        if (step.task != NULL)
            hold_against(row, i, task, step.task);
        task_unref(step.task);
        task_unref(task);
    }
}

static bool has_row(struct standing from, enum task_event_kind kind)
{
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        if (rows[i].from.state == from.state && rows[i].from.attempt == from.attempt &&
            rows[i].from.with_job == from.with_job && rows[i].kind == kind)
            return true;
    return false;
}

/* What the table does not name has no place there; a few stand for others of their kind. */
static void all_else_changes_nothing(void **context)
{
    (void)context;
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(standings); i++)
        for (unsigned kind = 0; kind < TASK_EVENT_COUNT; kind++) {
            const struct standing from = standings[i];
            const bool is_like_another = (from.state == TASK_SUBMITTING && from.with_job) ||
                                         from.attempt == ATTEMPT_CONFIRMING ||
                                         from.attempt == ATTEMPT_CANCELLING;
            if (has_row(from, kind) || is_like_another)
                continue;
            struct task *task = stand(from);
            struct task_step step = step_of_row(task, kind, "");
            if (step.task != NULL || step.effects != 0)
                fail_msg("%s in %s", task_event_name(kind), task_state_name(from.state));
            task_unref(task);
            n++;
        }
    assert_true(n > 50);
}

/* An end with an attempt under way is left by no event: nothing but the attempt changes. */
static void an_end_stays_an_end(void **context)
{
    (void)context;
    static const struct standing ends[] = {AWAITED, STOPPING};
    static const char *const ways[] = {"", "cfms", "rM", "d"};
    for (size_t i = 0; i < ARRAY_LENGTH(ends) * ARRAY_LENGTH(ways); i++)
        for (unsigned kind = 0; kind < TASK_EVENT_COUNT; kind++) {
            struct task *task = stand(ends[i % ARRAY_LENGTH(ends)]);
            struct task_step step = step_of_row(task, kind, ways[i / ARRAY_LENGTH(ends)]);
            const unsigned never = TASK_EFFECT_START | TASK_EFFECT_ENQUEUE | TASK_EFFECT_POLL |
                                   TASK_EFFECT_STORE_RESULT;
            assert_int_equal(step.effects & never, 0);
            if (step.task != NULL) {
                assert_int_equal(step.task->state, task->state);
                assert_int_equal(step.task->failure, task->failure);
                assert_int_equal(step.task->ended_ms, task->ended_ms);
                assert_int_equal(step.task->attempt.number, task->attempt.number);
            }
            task_unref(step.task);
            task_unref(task);
        }
}

/* ---- particulars ---- */

/* Feeds `*task` in place. */
static unsigned feed(struct task **task, struct task_event event)
{
    struct task_step step = step_of(*task, &event);
    if (step.task != NULL) {
        task_unref(*task);
        *task = step.task;
    }
    return step.effects;
}

static struct task_event slot(const char *channel)
{
    struct task_event event = event_of(TASK_EVENT_SLOT_GRANTED, "n", NULL);
    event.channel = channel;
    return event;
}

static void a_submit_is_written_ahead(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_QUEUED);
    struct attempt_job *chosen = sample_job("chosen-1");
    struct task_event event = slot("other");
    event.job = chosen;
    (void)feed(&task, event);
    const struct attempt_record *attempt = &task->attempt;
    assert_string_equal(attempt->id, OTHER_ATTEMPT);
    assert_string_equal(shared_text_of(attempt->channel), "other");
    assert_string_equal(shared_text_of(attempt->credential), "second");
    assert_string_equal(shared_text_of(task->channel), "other");
    assert_false(task->is_local);
    assert_int_equal(attempt->number, 1);
    assert_int_equal(attempt->begun_ms, now_ms);
    assert_int_equal(attempt->accepted_ms, 0);
    assert_ptr_equal(attempt->job, chosen);
    assert_int_equal(task->started_ms, 0);
    struct attempt_job *given = sample_job("job-1");
    event = event_of(TASK_EVENT_ACCEPTED, "", given);
    (void)feed(&task, event);
    assert_ptr_equal(task->attempt.job, given);
    assert_int_equal(task->attempt.accepted_ms, now_ms);
    assert_int_equal(task->started_ms, now_ms);
    task_unref(task);
    assert_int_equal(chosen->references, 1);
    assert_int_equal(given->references, 1);
    attempt_job_unref(chosen);
    attempt_job_unref(given);
}

/* Refused ones are not charged, and still no number comes twice. */
static void numbers_never_repeat(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_QUEUED);
    for (int i = 1; i <= 5; i++) {
        (void)feed(&task, slot("main"));
        assert_int_equal(task->attempt.number, i);
        assert_int_equal(task->attempts, 1);
        (void)feed(&task, event_of(TASK_EVENT_TURNED_AWAY, "", NULL));
        assert_int_equal(task->attempts, 0);
        assert_int_equal(task->attempt.number, i);
    }
    assert_false(task->may_have_cost);
    struct task_event local = {.kind = TASK_EVENT_SLOT_GRANTED, .channel = "l", .is_local = true};
    (void)feed(&task, local);
    assert_string_equal(task->attempt.id, "");
    assert_true(task->is_local);
    (void)feed(&task, (struct task_event){.kind = TASK_EVENT_PARKED});
    (void)feed(&task, slot("main"));
    assert_int_equal(task->attempt.number, 6);
    task_unref(task);
}

/* What a program refuses, other channels may take: it goes back at no cost. Animatic refuses nothing. */
static void a_program_may_refuse(void **context)
{
    (void)context;
    for (int is_command = 0; is_command <= 1; is_command++) {
        struct task *task = sample_task(TASK_QUEUED);
        struct task_event away = event_of(TASK_EVENT_TURNED_AWAY, "", NULL);
        (void)feed(&task, (struct task_event){.kind = TASK_EVENT_SLOT_GRANTED,
                                              .channel = "l",
                                              .is_local = true,
                                              .is_command = is_command});
        assert_int_equal(task->is_command, is_command);
        (void)feed(&task, (struct task_event){.kind = TASK_EVENT_STARTED});
        (void)feed(&task, away); /* not for good: programs do not say that */
        assert_int_equal(task->state, TASK_RENDERING);
        away.is_final = true;
        away.failure = TASK_FAILURE_UPSTREAM_REFUSED;
        unsigned effects = feed(&task, away);
        assert_int_equal(task->state, is_command ? TASK_QUEUED : TASK_RENDERING);
        assert_int_equal((effects & TASK_EFFECT_RELEASE) != 0, is_command);
        assert_int_equal((effects & TASK_EFFECT_ENQUEUE) != 0, is_command);
        assert_int_equal(task_was_refused_by(task, "l"), is_command);
        assert_int_equal(task->attempts, !is_command);
        (void)feed(&task, (struct task_event){.kind = TASK_EVENT_UNSERVED});
        assert_int_equal(task->state, is_command ? TASK_FAILED : TASK_RENDERING);
        task_unref(task);
    }
}

/* A program's place is free for the next one as soon as it is done. */
static void a_program_that_is_done_makes_room(void **context)
{
    (void)context;
    for (int is_command = 0; is_command <= 1; is_command++) {
        struct task *task = sample_task(TASK_RENDERING);
        task->is_command = is_command;
        unsigned effects = feed(&task, (struct task_event){.kind = TASK_EVENT_RENDERED});
        assert_int_equal(task->state, TASK_FETCHING);
        assert_int_equal((effects & TASK_EFFECT_VACATE) != 0, is_command);
        assert_true(effects & TASK_EFFECT_STORE_RESULT);
        task_unref(task);
    }
}

static void what_may_have_cost_is_remembered(void **context)
{
    (void)context;
    struct task *task = stand((struct standing)SUBMITTING);
    (void)feed(&task, event_of(TASK_EVENT_ANSWER_LOST, "r", NULL));
    assert_int_equal(task->not_before_ms, now_ms + 1000);
    assert_false(task->may_have_cost); /* the record of it is still there */
    (void)feed(&task, slot("main"));
    assert_true(task->may_have_cost);
    (void)feed(&task, event_of(TASK_EVENT_TURNED_AWAY, "", NULL));
    assert_true(task->may_have_cost);
    task_unref(task);
}

static void resubmitting_ends_with_the_attempts_and_the_deadline(void **context)
{
    (void)context;
    for (int i = 0; i < 2; i++) {
        struct task *task = stand((struct standing)SUBMITTING);
        if (i == 0)
            task->attempts = policy.max_attempts;
        else
            task->deadline_ms = now_ms + 1000;
        (void)feed(&task, event_of(TASK_EVENT_ANSWER_LOST, "r", NULL));
        assert_int_equal(task->state, TASK_FAILED);
        assert_int_equal(task->failure, TASK_FAILURE_SUBMISSION_UNKNOWN);
        assert_int_equal(task->attempt.state, ATTEMPT_UNKNOWN);
        task_unref(task);
    }
}

/* Made and paid for while nobody looked. */
static void what_was_done_by_the_deadline_is_brought_home_after_it(void **context)
{
    (void)context;
    struct task *task = stand((struct standing)RENDERING);
    struct attempt_job *job = sample_job("job-1");
    task->deadline_ms = now_ms - 1000;
    assert_int_equal(feed(&task, event_of(TASK_EVENT_RECOVERED, "", NULL)), TASK_EFFECT_POLL);
    assert_int_equal(feed(&task, event_of(TASK_EVENT_DEADLINE, "", NULL)), TASK_EFFECT_LOOK);
    (void)feed(&task, event_of(TASK_EVENT_RENDERED, "", job));
    assert_int_equal(feed(&task, event_of(TASK_EVENT_DEADLINE, "", NULL)), TASK_EFFECT_LOOK);
    (void)feed(&task, event_of(TASK_EVENT_STORED, "", NULL));
    assert_int_equal(task->state, TASK_COMPLETED);
    assert_int_equal(feed(&task, event_of(TASK_EVENT_DEADLINE, "f", NULL)), 0);
    attempt_job_unref(job);
    task_unref(task);
}

/* An hour of «later» is no failure, and the pauses grow to five minutes. */
static void being_put_off_fails_nothing(void **context)
{
    (void)context;
    static const int64_t waits_ms[] = {1000,  2000,   4000,   8000,   16000, 32000,
                                       64000, 128000, 256000, 300000, 300000};
    struct task *task = sample_task(TASK_QUEUED);
    task->deadline_ms = now_ms + 10;
    for (size_t i = 0; i < ARRAY_LENGTH(waits_ms); i++) {
        if (i % 2 == 0) /* before and after it was written ahead */
            (void)feed(&task, slot("main"));
        (void)feed(&task, event_of(TASK_EVENT_TURNED_AWAY, "", NULL));
        assert_int_equal(task->state, TASK_QUEUED);
        assert_int_equal(task->not_before_ms, now_ms + waits_ms[i]);
        assert_int_equal(task->n_put_off, (int)i + 1);
    }
    struct task_event wish = event_of(TASK_EVENT_TURNED_AWAY, "", NULL);
    wish.retry_after_ms = 1000000;
    (void)feed(&task, wish);
    assert_int_equal(task->not_before_ms, now_ms + 1000000);
    wish.retry_after_ms = INT64_MAX;
    (void)feed(&task, wish);
    assert_int_equal(task->not_before_ms, now_ms + POLICY_RETRY_AFTER_MOST_MS);
    task->n_put_off = INT_MAX;
    (void)feed(&task, wish);
    assert_int_equal(task->n_put_off, INT_MAX);
    /* once one takes it, the next pause is short again */
    (void)feed(&task, slot("main"));
    struct attempt_job *job = sample_job("job-1");
    (void)feed(&task, event_of(TASK_EVENT_ACCEPTED, "", job));
    assert_int_equal(task->n_put_off, 0);
    attempt_job_unref(job);
    task_unref(task);
}

static void a_channel_that_refused_is_remembered_until_none_is_left(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_QUEUED);
    char channel[16];
    for (int i = 0; i < TASK_REFUSALS_MAX; i++) {
        (void)snprintf(channel, sizeof channel, "c%d", i);
        if (i % 2 == 0)
            (void)feed(&task, slot(channel));
        struct task_event event = event_of(TASK_EVENT_TURNED_AWAY, "f", NULL);
        event.channel = channel;
        (void)feed(&task, event);
        assert_int_equal(task->state, TASK_QUEUED);
        assert_int_equal(task->not_before_ms, 0);
        assert_int_equal(task->n_refused, i + 1);
        assert_true(task_was_refused_by(task, channel));
        (void)feed(&task, event); /* once is enough */
        assert_int_equal(task->n_refused, i + 1);
    }
    assert_false(task_was_refused_by(task, "last"));
    struct task *unserved = task_copy(task);
    (void)feed(&unserved, event_of(TASK_EVENT_UNSERVED, "", NULL));
    assert_int_equal(unserved->failure, TASK_FAILURE_UPSTREAM_REFUSED);
    task_unref(unserved);
    (void)feed(&task, slot("last"));
    struct task_event event = event_of(TASK_EVENT_TURNED_AWAY, "f", NULL);
    event.note = "No such size.";
    (void)feed(&task, event);
    assert_int_equal(task->state, TASK_FAILED);
    assert_int_equal(task->failure, TASK_FAILURE_UPSTREAM_REFUSED);
    assert_string_equal(shared_text_of(task->failure_note), "No such size.");
    assert_int_equal(task->attempts, 0);
    task_unref(task);
}

static void some_words_are_final_wherever_they_are_said(void **context)
{
    (void)context;
    static const enum task_failure words[] = {
        TASK_FAILURE_MODERATED, TASK_FAILURE_IMAGE_UNREACHABLE, TASK_FAILURE_IMAGE_FORBIDDEN,
        TASK_FAILURE_IMAGE_INVALID};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        struct task *task = stand((struct standing)QUEUED);
        struct task_event event = event_of(TASK_EVENT_TURNED_AWAY, "f", NULL);
        event.failure = words[i];
        (void)feed(&task, event);
        assert_int_equal(task->failure, words[i]);
        task_unref(task);
    }
}

/* A progress that tells nothing new still tells that the job is there. */
static void any_progress_confirms(void **context)
{
    (void)context;
    struct task *task = stand((struct standing)CONFIRMING);
    struct task_event event = event_of(TASK_EVENT_PROGRESS, "", NULL);
    event.progress = -1.0;
    const int64_t update_ms = task->status_update_ms;
    (void)feed(&task, event);
    assert_int_equal(task->attempt.state, ATTEMPT_ACCEPTED);
    assert_int_equal(task->attempt.accepted_ms, now_ms);
    assert_int_equal(task->status_update_ms, update_ms);
    task_unref(task);
}

/* Clients see one text of the job. */
static void a_better_prompt_is_a_visible_change(void **context)
{
    (void)context;
    static const struct {
        const char *prompt;
        bool is_seen;
    } kept[] = {{"make it animate", false}, {"other", true}, {NULL, true}, {NULL, false}};
    struct task *task = stand((struct standing)RENDERING);
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        struct attempt_job *job = attempt_job_new("job-1", NULL, NULL, kept[i].prompt, NULL);
        task->status_update_ms = now_ms - 10;
        (void)feed(&task, event_of(TASK_EVENT_KEPT, "", job));
        assert_int_equal(task->status_update_ms, kept[i].is_seen ? now_ms : now_ms - 10);
        assert_ptr_equal(task->attempt.job, job);
        attempt_job_unref(job);
    }
    task_unref(task);
}

static void a_late_acceptance_is_cancelled_once(void **context)
{
    (void)context;
    struct task *task = stand((struct standing)AWAITED);
    struct attempt_job *job = sample_job("job-1");
    assert_true(
        (feed(&task, event_of(TASK_EVENT_ACCEPTED, "", job)) & TASK_EFFECT_CANCEL_UPSTREAM) != 0);
    assert_ptr_equal(task->attempt.job, job);
    assert_int_equal(task->attempt.accepted_ms, now_ms);
    assert_int_equal(feed(&task, event_of(TASK_EVENT_ACCEPTED, "", job)), 0);
    /* nor can it be said any more that it was not taken */
    assert_int_equal(feed(&task, event_of(TASK_EVENT_TURNED_AWAY, "", NULL)), 0);
    assert_int_equal(feed(&task, event_of(TASK_EVENT_ANSWER_LOST, "", NULL)), 0);
    assert_int_equal(task->attempt.state, ATTEMPT_CANCELLING);
    attempt_job_unref(job);
    task_unref(task);
}

/* Quiet changes do not move status_update_ms, and their times must not turn around all the same. */
static void a_wall_clock_set_back_turns_no_attempt_around(void **context)
{
    (void)context;
    struct task *task = stand((struct standing)AWAITED);
    struct attempt_job *job = sample_job("job-1");
    (void)feed(&task, event_of(TASK_EVENT_ACCEPTED, "", job));
    const struct task_event event = event_of(TASK_EVENT_CANCEL_CLOSED, "s", NULL);
    struct task_step step;
    task_step(task, &event, &policy, 5, &step);
    assert_int_equal(step.task->attempt.closed_ms, now_ms);
    task_unref(step.task);
    task_unref(task);
    attempt_job_unref(job);
}

/* ---- soundness ---- */

typedef void break_fn(struct task *task);

static void b_builtin(struct task *t)
{
    t->is_local = true;
}
static void b_no_id(struct task *t)
{
    t->attempt.id[0] = '\0';
}
static void b_wrong_id(struct task *t)
{
    memcpy(t->attempt.id, "gen", 3);
}
static void b_number(struct task *t)
{
    t->attempt.number = 0;
}
static void b_channel(struct task *t)
{
    shared_text_set(&t->attempt.channel, "x");
}
static void b_no_channel(struct task *t)
{
    shared_text_set(&t->attempt.channel, NULL);
    shared_text_set(&t->channel, NULL);
}
static void b_credential(struct task *t)
{
    shared_text_set(&t->attempt.credential, NULL);
}
static void b_begun(struct task *t)
{
    t->attempt.begun_ms = 0;
}
static void b_accepted_before(struct task *t)
{
    t->attempt.accepted_ms = 1;
}
static void b_not_accepted(struct task *t)
{
    t->attempt.accepted_ms = 0;
}
static void b_closed(struct task *t)
{
    t->attempt.closed_ms = now_ms;
}
static void b_state(struct task *t)
{
    t->attempt.state = ATTEMPT_SUBMITTING;
    t->attempt.accepted_ms = 0;
}
static void b_no_state(struct task *t)
{
    t->attempt.state = ATTEMPT_STATE_COUNT;
}
static void b_no_job(struct task *t)
{
    t->attempt.job = attempt_job_unref(t->attempt.job);
}
static void b_no_job_id(struct task *t)
{
    b_no_job(t);
    t->attempt.job = sample_job("");
}
static void b_no_outputs(struct task *t)
{
    b_no_job(t);
    t->attempt.job = attempt_job_new("job-1", NULL, NULL, NULL, NULL);
    t->state = TASK_FETCHING;
}
static void b_refused(struct task *t)
{
    t->n_refused = TASK_REFUSALS_MAX + 1;
}
static void b_refused_less(struct task *t)
{
    t->n_refused = -1;
}
static void b_put_off(struct task *t)
{
    t->n_put_off = -1;
}

static void each_promise_of_an_attempt_is_looked_at(void **context)
{
    (void)context;
    static break_fn *const breaks[] = {b_builtin,  b_no_id,           b_wrong_id,    b_number,
                                       b_channel,  b_no_channel,      b_credential,  b_begun,
                                       b_no_state, b_not_accepted,    b_closed,      b_state,
                                       b_no_job,   b_no_job_id,       b_no_outputs,  b_refused,
                                       b_put_off,  b_accepted_before, b_refused_less};
    for (size_t i = 0; i < ARRAY_LENGTH(breaks); i++) {
        struct task *task = stand((struct standing)RENDERING);
        breaks[i](task);
        if (task_is_sound(task))
            fail_msg("row %zu passed", i);
        task_unref(task);
    }
}

/* Which attempts belong to which states. */
static void states_of_task_and_attempt_fit(void **context)
{
    (void)context;
    static const char *const fits[TASK_STATE_COUNT] = {
        /* attempts in the order of attempt.def */
        [TASK_QUEUED] = "...xxxxx.xxxx",    [TASK_SUBMITTING] = "x............",
        [TASK_RENDERING] = ".xx..........", [TASK_FETCHING] = "..x..........",
        [TASK_COMPLETED] = "...x.........", [TASK_FAILED] = "...xxxxxxxxxx",
        [TASK_CANCELLED] = "...xxxxxxxxxx",
    };
    for (unsigned state = 0; state < TASK_STATE_COUNT; state++)
        for (unsigned attempt = 0; attempt < ATTEMPT_STATE_COUNT; attempt++) {
            struct task *task = sample_upstream_task(state, attempt);
            if (task_is_sound(task) != (fits[state][attempt] == 'x'))
                fail_msg("%s, %s", task_state_name(state), attempt_state_name(attempt));
            task_unref(task);
        }
    struct task *blank = sample_task(TASK_QUEUED);
    blank->attempt.number = 3; /* outlives the rest */
    assert_true(task_is_sound(blank));
    blank->attempt.begun_ms = 1;
    assert_false(task_is_sound(blank));
    task_unref(blank);
}

/* An upstream is told to stop by what is known of its job: that goes last. */
static void an_open_attempt_is_erased_when_it_is_closed(void **context)
{
    (void)context;
    const struct task_event erased = {.kind = TASK_EVENT_ERASED};
    const struct task_event closed = {.kind = TASK_EVENT_CANCEL_CLOSED, .was_stopped = true};
    const struct standing stopping = STOPPING;
    struct task *task = stand(stopping);
    if (task->attempt.job == NULL)
        task->attempt.job = sample_job("job-1");
    struct task_step step = step_of(task, &erased);
    const struct attempt_job *job = step.task->attempt.job;
    assert_string_equal(job->id, task->attempt.job->id);
    assert_string_equal(job->keep, "{\"step\":1}");
    assert_null(job->outputs);
    assert_null(job->enhanced_prompt);
    assert_string_equal(job->usage, "{\"credits\":3}");
    struct task_step last = step_of(step.task, &closed);
    assert_string_equal(last.task->attempt.job->id, task->attempt.job->id);
    assert_null(last.task->attempt.job->keep);
    assert_string_equal(last.task->attempt.job->usage, "{\"credits\":3}");
    assert_int_equal(last.task->attempt.state, ATTEMPT_CANCELLED);
    assert_int_equal(last.task->deleted_ms, now_ms);
    task_unref(last.task);
    task_unref(step.task);
    task_unref(task);
}

/* A failure may be charged for, and so may what was stopped. */
static void what_was_used_is_kept_whatever_the_end(void **context)
{
    (void)context;
    struct attempt_job *used = attempt_job_new("job-1", "{}", NULL, NULL, "{\"units\":7}");
    const struct task_event failed = {
        .kind = TASK_EVENT_FAILED, .failure = TASK_FAILURE_UPSTREAM_FAILED, .job = used};
    const struct task_event again = {.kind = TASK_EVENT_FAILED,
                                     .failure = TASK_FAILURE_UPSTREAM_FAILED,
                                     .may_retry = true,
                                     .job = used};
    const struct task_event closed = {.kind = TASK_EVENT_CANCEL_CLOSED, .job = used};
    const struct standing stopping = STOPPING;
    struct task *tasks[] = {sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED),
                            sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED),
                            stand(stopping)};
    const struct task_event *events[] = {&failed, &again, &closed};
    const enum attempt_state states[] = {ATTEMPT_FAILED, ATTEMPT_FAILED, ATTEMPT_ABANDONED};
    for (size_t i = 0; i < ARRAY_LENGTH(tasks); i++) {
        struct task_step step = step_of(tasks[i], events[i]);
        assert_int_equal(step.task->attempt.state, states[i]);
        assert_string_equal(step.task->attempt.job->usage, "{\"units\":7}");
        task_unref(step.task);
        task_unref(tasks[i]);
    }
    attempt_job_unref(used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_used_is_kept_whatever_the_end),
        cmocka_unit_test(each_row_of_the_table),
        cmocka_unit_test(all_else_changes_nothing),
        cmocka_unit_test(an_end_stays_an_end),
        cmocka_unit_test(an_open_attempt_is_erased_when_it_is_closed),
        cmocka_unit_test(a_submit_is_written_ahead),
        cmocka_unit_test(numbers_never_repeat),
        cmocka_unit_test(a_program_may_refuse),
        cmocka_unit_test(a_program_that_is_done_makes_room),
        cmocka_unit_test(what_may_have_cost_is_remembered),
        cmocka_unit_test(resubmitting_ends_with_the_attempts_and_the_deadline),
        cmocka_unit_test(what_was_done_by_the_deadline_is_brought_home_after_it),
        cmocka_unit_test(being_put_off_fails_nothing),
        cmocka_unit_test(a_channel_that_refused_is_remembered_until_none_is_left),
        cmocka_unit_test(some_words_are_final_wherever_they_are_said),
        cmocka_unit_test(any_progress_confirms),
        cmocka_unit_test(a_better_prompt_is_a_visible_change),
        cmocka_unit_test(a_late_acceptance_is_cancelled_once),
        cmocka_unit_test(a_wall_clock_set_back_turns_no_attempt_around),
        cmocka_unit_test(each_promise_of_an_attempt_is_looked_at),
        cmocka_unit_test(states_of_task_and_attempt_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
