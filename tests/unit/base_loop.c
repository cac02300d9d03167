/* SPDX-License-Identifier: Apache-2.0
 *
 * The event loop: descriptors, removal within a batch, the timer heap, and posting from other
 * threads. Nothing here depends on how long anything takes, only on order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/must.h"

static struct loop *new_loop(void)
{
    struct loop *loop = NULL;
    assert_int_equal(loop_new(&loop), 0);
    return loop;
}

/* One end of a socket pair that is watched, and what was seen of it. */
struct end {
    struct loop_watch watch;
    struct loop *loop;
    int peer_fd;
    int calls;
    int events;
    struct end *victim; /* removed when this one fires */
};

static void note_and_stop(struct loop_watch *watch, int events)
{
    struct end *end = CONTAINER_OF(watch, struct end, watch);
    end->calls++;
    end->events = events;
    if (end->victim != NULL)
        loop_unwatch(end->loop, &end->victim->watch);
    loop_unwatch(end->loop, watch);
    loop_stop(end->loop);
}

static void open_end(struct end *end, struct loop *loop)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *end = (struct end){.loop = loop, .peer_fd = fds[1]};
    end->watch = (struct loop_watch){.fd = fds[0], .ready = note_and_stop};
}

static void close_end(struct end *end)
{
    loop_unwatch(end->loop, &end->watch);
    close_fd(&end->watch.fd);
    close_fd(&end->peer_fd);
}

static void a_watch_reports_what_was_asked(void **state)
{
    (void)state;
    struct loop *loop = new_loop();
    struct end end;
    open_end(&end, loop);
    assert_int_equal(write(end.peer_fd, "x", 1), 1);

    assert_int_equal(loop_watch(loop, &end.watch, LOOP_READ), 0);
    loop_run(loop);
    assert_int_equal(end.events, LOOP_READ);
    assert_false(end.watch.active);

    assert_int_equal(loop_watch(loop, &end.watch, LOOP_READ), 0);
    assert_int_equal(loop_watch(loop, &end.watch, LOOP_WRITE), 0); /* changed, not added */
    loop_run(loop);
    assert_int_equal(end.events, LOOP_WRITE);

    assert_int_equal(shutdown(end.peer_fd, SHUT_WR), 0);
    assert_int_equal(loop_watch(loop, &end.watch, LOOP_HANGUP), 0);
    loop_run(loop);
    assert_int_equal(end.events, LOOP_HANGUP);

    close_fd(&end.peer_fd);
    assert_int_equal(loop_watch(loop, &end.watch, 0), 0); /* the end of both is always told */
    loop_run(loop);
    assert_int_equal(end.events, LOOP_HANGUP);
    assert_int_equal(end.calls, 4);
    close_end(&end);
    loop_free(loop);
}

static void a_bad_descriptor_is_a_fault(void **state)
{
    (void)state;
    struct loop *loop = new_loop();
    struct loop_watch watch = {.fd = -1, .ready = note_and_stop};
    assert_int_equal(loop_watch(loop, &watch, LOOP_READ), -EBADF);
    assert_false(watch.active);
    loop_unwatch(loop, &watch); /* harmless */
    loop_free(loop);
    assert_null(loop_free(NULL));
}

/* Both are ready in the same batch; whichever fires first removes the other. */
static void removal_within_a_batch_holds(void **state)
{
    (void)state;
    struct loop *loop = new_loop();
    struct end a;
    struct end b;
    open_end(&a, loop);
    open_end(&b, loop);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(write(a.peer_fd, "x", 1), 1);
    assert_int_equal(write(b.peer_fd, "x", 1), 1);
    assert_int_equal(loop_watch(loop, &a.watch, LOOP_READ), 0);
    assert_int_equal(loop_watch(loop, &b.watch, LOOP_READ), 0);
    loop_run(loop);
    assert_int_equal(a.calls + b.calls, 1);
    assert_false(a.watch.active || b.watch.active);
    close_end(&a);
    close_end(&b);
    loop_free(loop);
}

static void narrow_the_other(struct loop_watch *watch, int events)
{
    struct end *end = CONTAINER_OF(watch, struct end, watch);
    end->calls++;
    end->events = events;
    if (end->victim->calls == 0)
        must(loop_watch(end->loop, &end->victim->watch, 0) == 0);
    loop_unwatch(end->loop, watch);
    loop_stop(end->loop);
}

static void narrowing_within_a_batch_holds(void **state)
{
    (void)state;
    struct loop *loop = new_loop();
    struct end a;
    struct end b;
    open_end(&a, loop);
    open_end(&b, loop);
    a.victim = &b;
    b.victim = &a;
    a.watch.ready = b.watch.ready = narrow_the_other;
    assert_int_equal(write(a.peer_fd, "x", 1), 1);
    assert_int_equal(write(b.peer_fd, "x", 1), 1);
    assert_int_equal(loop_watch(loop, &a.watch, LOOP_READ), 0);
    assert_int_equal(loop_watch(loop, &b.watch, LOOP_READ), 0);
    loop_run(loop);
    assert_int_equal(a.calls + b.calls, 1);
    close_end(&a);
    close_end(&b);
    loop_free(loop);
}

enum { ALARMS = 200 };

/* The order in which alarms fired. */
struct record {
    struct loop *loop;
    int fired[ALARMS];
    int count;
    int stop_at;
};

struct alarm {
    struct loop_timer timer;
    struct record *record;
    int number;
    struct alarm *victim; /* disarmed when this one fires */
};

static void ring(struct loop_timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    struct record *record = alarm->record;
    must(!loop_is_armed(timer));
    record->fired[record->count++] = alarm->number;
    if (alarm->victim != NULL)
        loop_disarm(record->loop, &alarm->victim->timer);
    if (record->count == record->stop_at)
        loop_stop(record->loop);
}

static void init_alarms(struct alarm *alarms, int count, struct record *record)
{
    for (int i = 0; i < count; i++)
        alarms[i] = (struct alarm){.timer.fire = ring, .record = record, .number = i};
}

static void timers_fire_by_due_time(void **state)
{
    (void)state;
    struct record record = {.loop = new_loop(), .stop_at = ALARMS - ALARMS / 4};
    struct alarm alarms[ALARMS];
    init_alarms(alarms, ALARMS, &record);
    for (int i = 0; i < ALARMS; i++) /* 37 and 200 share no factor: every delay once, mixed */
        loop_arm(record.loop, &alarms[i].timer, 1000 + i * 37 % ALARMS);
    for (int i = 0; i < ALARMS; i += 2) /* anew, far sooner */
        loop_arm(record.loop, &alarms[i].timer, i * 37 % ALARMS / 8);
    for (int i = 0; i < ALARMS; i += 4)
        loop_disarm(record.loop, &alarms[i].timer);
    for (int i = 1; i < ALARMS; i += 2)
        loop_arm(record.loop, &alarms[i].timer, i * 37 % ALARMS / 8);
    loop_run(record.loop);
    assert_int_equal(record.count, record.stop_at);
    for (int i = 0; i < record.count; i++) {
        const struct loop_timer *timer = &alarms[record.fired[i]].timer;
        assert_int_not_equal(record.fired[i] % 4, 0);
        assert_true(timer->due_ms <= clock_mono_ms());
        if (i == 0)
            continue;
        const struct loop_timer *before = &alarms[record.fired[i - 1]].timer;
        assert_true(before->due_ms <= timer->due_ms);
    }
    for (int i = 0; i < ALARMS; i++)
        assert_false(loop_is_armed(&alarms[i].timer));
    loop_free(record.loop);
}

static void a_timer_may_disarm_another(void **state)
{
    (void)state;
    struct record record = {.loop = new_loop(), .stop_at = 2};
    struct alarm alarms[3];
    init_alarms(alarms, 3, &record);
    alarms[0].victim = &alarms[1];
    for (int i = 0; i < 3; i++)
        loop_arm(record.loop, &alarms[i].timer, 0);
    loop_run(record.loop);
    assert_int_equal(record.count, 2);
    assert_int_equal(record.fired[0], 0);
    assert_int_equal(record.fired[1], 2);
    loop_disarm(record.loop, &alarms[1].timer); /* harmless */
    loop_free(record.loop);
}

struct restless {
    struct loop_timer timer;
    struct loop *loop;
    int fired;
};

static void fire_again(struct loop_timer *timer)
{
    struct restless *restless = CONTAINER_OF(timer, struct restless, timer);
    restless->fired++;
    loop_arm(restless->loop, timer, 0);
}

/* A timer that arms itself for «now» leaves a turn to everything else. */
static void a_restless_timer_starves_nobody(void **state)
{
    (void)state;
    struct loop *loop = new_loop();
    struct restless restless = {.timer.fire = fire_again, .loop = loop};
    struct end end;
    open_end(&end, loop);
    assert_int_equal(loop_watch(loop, &end.watch, LOOP_READ), 0);
    loop_arm(loop, &restless.timer, 0);
    assert_int_equal(write(end.peer_fd, "x", 1), 1);
    loop_run(loop);
    assert_int_equal(end.calls, 1);
    assert_int_equal(restless.fired, 1); /* the turn that saw the byte also fired it, once */
    assert_true(loop_is_armed(&restless.timer));
    loop_disarm(loop, &restless.timer);
    close_end(&end);
    loop_free(loop);
}

enum { POSTERS = 4, JOBS_EACH = 2000 };

struct tally {
    struct loop *loop;
    int count; /* only the loop's thread */
    int last_of[POSTERS];
    bool in_order;
};

struct counted_job {
    struct loop_job job;
    struct tally *tally;
    int poster;
    int number;
};

static void count_job(struct loop_job *job)
{
    struct counted_job *counted = CONTAINER_OF(job, struct counted_job, job);
    struct tally *tally = counted->tally;
    if (tally->last_of[counted->poster] >= counted->number)
        tally->in_order = false;
    tally->last_of[counted->poster] = counted->number;
    free(counted);
    if (++tally->count == POSTERS * JOBS_EACH)
        loop_stop(tally->loop);
}

struct poster {
    pthread_t thread;
    struct tally *tally;
    int index;
};

static void *post_jobs(void *argument)
{
    struct poster *poster = argument;
    for (int i = 0; i < JOBS_EACH; i++) {
        struct counted_job *counted = must_calloc(1, sizeof(*counted));
        *counted = (struct counted_job){
            .job.run = count_job, .tally = poster->tally, .poster = poster->index, .number = i + 1};
        loop_post(poster->tally->loop, &counted->job);
    }
    return NULL;
}

static void posted_jobs_all_run(void **state)
{
    (void)state;
    struct tally tally = {.loop = new_loop(), .in_order = true};
    struct poster posters[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.tally = &tally, .index = i};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_jobs, &posters[i]), 0);
    }
    loop_run(tally.loop);
    assert_int_equal(tally.count, POSTERS * JOBS_EACH);
    assert_true(tally.in_order);
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
    loop_free(tally.loop);
}

static void leftover_jobs_run_at_the_end(void **state)
{
    (void)state;
    struct tally tally = {.loop = new_loop(), .in_order = true};
    struct poster poster = {.tally = &tally, .index = 0};
    post_jobs(&poster);
    assert_int_equal(tally.count, 0);
    loop_free(tally.loop);
    assert_int_equal(tally.count, JOBS_EACH);
    assert_true(tally.in_order);
}

static void *run_loop(void *argument)
{
    loop_run(argument);
    return NULL;
}

static void stopping_from_another_thread_ends_it(void **state)
{
    (void)state;
    struct loop *loop = new_loop();
    for (int i = 0; i < 200; i++) { /* before, while and after it falls asleep */
        pthread_t runner;
        assert_int_equal(pthread_create(&runner, NULL, run_loop, loop), 0);
        loop_stop(loop);
        assert_int_equal(pthread_join(runner, NULL), 0);
    }
    loop_stop(loop);
    loop_run(loop); /* stopped before it ran */
    loop_free(loop);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_reports_what_was_asked),
        cmocka_unit_test(a_bad_descriptor_is_a_fault),
        cmocka_unit_test(removal_within_a_batch_holds),
        cmocka_unit_test(narrowing_within_a_batch_holds),
        cmocka_unit_test(timers_fire_by_due_time),
        cmocka_unit_test(a_timer_may_disarm_another),
        cmocka_unit_test(a_restless_timer_starves_nobody),
        cmocka_unit_test(posted_jobs_all_run),
        cmocka_unit_test(leftover_jobs_run_at_the_end),
        cmocka_unit_test(stopping_from_another_thread_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
