/* SPDX-License-Identifier: Apache-2.0
 *
 * The hub: who hears of what, in which order, from the queue, the ring, or not any more; who is woken and when; how many
 * may wait. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#include "base/must.h"
#include "notify/hub.h"

enum { MOST = 64, PATIENCE_S = 60, HEARERS = 8, SAID = 3000 };

/* ---- tasks ---- */

static struct task *new_task(const char *id, const char *tenant)
{
    struct task_request *request = task_request_new();
    (void)snprintf(request->id, sizeof request->id, "%s", id);
    request->tenant = must_strdup(tenant);
    request->model = must_strdup("sora-2");
    request->request_id = must_strdup("req-1");
    request->prompt = must_strdup("a boat");
    request->orientation = must_strdup("portrait");
    request->size = must_strdup("small");
    request->operation = must_strdup("simple_compose");
    request->created_micros = 1000;
    return task_new(request, 1000000);
}

/* Publishes the next version of a task. */
static void say(struct hub *hub, const struct task *task, int64_t change, enum task_state state)
{
    struct task *version = task_copy(task);
    version->state = state;
    version->change = change;
    hub_publish(hub, version, change, true);
    task_unref(version);
}

static void say_progress(struct hub *hub, const struct task *task, int64_t change)
{
    struct task *version = task_copy(task);
    version->state = TASK_RENDERING;
    version->change = change;
    hub_publish(hub, version, change, false);
    task_unref(version);
}

/* ---- watchers ---- */

struct hearer {
    struct hub_watcher watcher;
    sem_t woken;
    bool is_asleep; /* under the hub's lock */
};

static void on_sleep(struct hub_watcher *watcher)
{
    struct hearer *hearer = CONTAINER_OF(watcher, struct hearer, watcher);
    must(!hearer->is_asleep);
    hearer->is_asleep = true;
}

static void on_wake(struct hub_watcher *watcher)
{
    struct hearer *hearer = CONTAINER_OF(watcher, struct hearer, watcher);
    must(hearer->is_asleep);
    hearer->is_asleep = false;
    must(sem_post(&hearer->woken) == 0);
}

static struct hearer *new_hearer(void)
{
    struct hearer *hearer = must_calloc(1, sizeof *hearer);
    hearer->watcher.sleep = on_sleep;
    hearer->watcher.wake = on_wake;
    must(sem_init(&hearer->woken, 0, 0) == 0);
    return hearer;
}

static void free_hearer(struct hearer *hearer)
{
    must(sem_destroy(&hearer->woken) == 0);
    free(hearer);
}

static void leave(struct hearer *hearer)
{
    hub_leave(&hearer->watcher);
    free_hearer(hearer);
}

static void await(struct hearer *hearer)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&hearer->woken, &until), 0);
}

static struct hearer *enter(struct hub *hub, struct hub_interest interest)
{
    struct hearer *hearer = new_hearer();
    assert_int_equal(hub_enter(hub, &hearer->watcher, &interest), HUB_ENTERED);
    return hearer;
}

static struct hearer *poll_for(struct hub *hub, const char *id, int64_t after, enum hub_wish wish)
{
    return enter(hub, (struct hub_interest){
                          .tenant = "red", .ids = &id, .n_ids = 1, .wish = wish, .after = after});
}

/* Takes what is there, sleeping until something is; the numbers of `count` events. */
static void hear(struct hearer *hearer, const int64_t *numbers, size_t count)
{
    struct hub_event *events[MOST];
    size_t n_heard = 0;
    while (n_heard < count) {
        size_t n = 0;
        int64_t floor;
        enum hub_taken taken = hub_take(&hearer->watcher, events, MOST, &n, &floor);
        assert_int_not_equal(taken, HUB_BEHIND);
        for (size_t i = 0; i < n; i++) {
            assert_true(n_heard < count);
            assert_int_equal(events[i]->change, numbers[n_heard++]);
            hub_event_unref(events[i]);
        }
        if (n == 0 && hub_wait(&hearer->watcher, HUB_WAIT_MAX_MS))
            await(hearer);
    }
}

#define HEAR(hearer, ...)                                                                          \
    hear(hearer, (const int64_t[]){__VA_ARGS__},                                                   \
         sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* Until the hub's thread has spread all up to there. */
static void await_change(struct hub *hub, int64_t change)
{
    static const struct timespec turn = {.tv_nsec = 1000000};
    int64_t heard = -1;
    for (int i = 0; heard < change && i < PATIENCE_S * 1000; i++) {
        (void)hub_is_unfinished(hub, "", &heard);
        nanosleep(&turn, NULL);
    }
    assert_int_equal(heard, change);
}

static struct hub *open_hub(int64_t change)
{
    struct hub *hub = NULL;
    assert_int_equal(hub_new(&(struct hub_limits){100, 50}, change, &hub), 0);
    return hub;
}

/* ---- polls ---- */

static void a_poll_hears_of_the_next_change_only(void **state)
{
    (void)state;
    struct hub *hub = open_hub(10);
    struct task *task = new_task("task_a", "red"), *other = new_task("task_b", "red");
    say(hub, task, 11, TASK_QUEUED);
    say(hub, other, 12, TASK_QUEUED);
    await_change(hub, 12);
    struct hearer *poll = poll_for(hub, "task_a", 11, HUB_WISH_CHANGE);
    assert_true(hub_wait(&poll->watcher, HUB_WAIT_MAX_MS));
    say(hub, other, 13, TASK_RENDERING);
    await_change(hub, 13);
    assert_int_not_equal(sem_trywait(&poll->woken), 0);
    say_progress(hub, task, 14);
    await(poll);
    assert_false(hub_wait(&poll->watcher, HUB_WAIT_MAX_MS)); /* it has come */
    leave(poll);
    hub_free(hub);
    task_unref(other);
    task_unref(task);
}

static void a_poll_until_the_end_hears_of_nothing_else(void **state)
{
    (void)state;
    struct hub *hub = open_hub(0);
    struct task *task = new_task("task_a", "red");
    say(hub, task, 1, TASK_QUEUED);
    await_change(hub, 1);
    struct hearer *poll = poll_for(hub, "task_a", 1, HUB_WISH_END);
    assert_true(hub_wait(&poll->watcher, HUB_WAIT_MAX_MS));
    say(hub, task, 2, TASK_RENDERING);
    say_progress(hub, task, 3);
    await_change(hub, 3);
    assert_int_not_equal(sem_trywait(&poll->woken), 0);
    say(hub, task, 4, TASK_FAILED);
    await(poll);
    leave(poll);
    hub_free(hub);
    task_unref(task);
}

/* Between the look at the task and the entering it went on. */
static void what_came_in_between_counts(void **state)
{
    (void)state;
    struct hub *hub = open_hub(0);
    struct task *task = new_task("task_a", "red"), *ended = new_task("task_b", "red");
    say(hub, task, 1, TASK_QUEUED);
    say(hub, ended, 2, TASK_QUEUED);
    say(hub, task, 3, TASK_RENDERING);
    say(hub, ended, 4, TASK_COMPLETED);
    await_change(hub, 4);
    struct hearer *late = poll_for(hub, "task_a", 1, HUB_WISH_CHANGE);
    struct hearer *later = poll_for(hub, "task_b", 2, HUB_WISH_END);
    struct hearer *waiting = poll_for(hub, "task_a", 1, HUB_WISH_END);
    struct hearer *early = poll_for(hub, "task_new", 5, HUB_WISH_CHANGE); /* not heard of yet */
    assert_false(hub_wait(&late->watcher, HUB_WAIT_MAX_MS));
    assert_false(hub_wait(&later->watcher, HUB_WAIT_MAX_MS));
    assert_true(hub_wait(&waiting->watcher, HUB_WAIT_MAX_MS));
    assert_true(hub_wait(&early->watcher, HUB_WAIT_MAX_MS));
    leave(late);
    leave(later);
    leave(waiting);
    leave(early);
    hub_free(hub);
    task_unref(ended);
    task_unref(task);
}

static void who_waits_is_woken_when_his_time_is_up(void **state)
{
    (void)state;
    struct hub *hub = open_hub(0);
    struct hearer *poll = poll_for(hub, "task_a", 1, HUB_WISH_CHANGE);
    for (int64_t wait_ms = 0; wait_ms <= 300; wait_ms += 150) {
        assert_true(hub_wait(&poll->watcher, wait_ms));
        await(poll);
    }
    leave(poll);
    hub_free(hub);
}

/* ---- streams ---- */

static void streams_hear_of_what_is_theirs(void **state)
{
    (void)state;
    struct hub *hub = open_hub(0);
    struct task *red = new_task("task_r", "red"), *blue = new_task("task_b", "blue"),
                *more = new_task("task_m", "blue");
    const char *two[] = {"task_r", "task_m"};
    struct hearer *reds = enter(hub, (struct hub_interest){.tenant = "red"});
    struct hearer *blues = enter(hub, (struct hub_interest){.tenant = "blue"});
    struct hearer *named = enter(hub, (struct hub_interest){.tenant = "x", .ids = two, .n_ids = 2});
    struct hearer *all = enter(hub, (struct hub_interest){.tenant = "x", .is_of_all = true});
    say(hub, red, 1, TASK_QUEUED);
    say(hub, blue, 2, TASK_QUEUED);
    say(hub, more, 3, TASK_QUEUED);
    say(hub, red, 5, TASK_COMPLETED); /* numbers may leave some out */
    HEAR(reds, 1, 5);
    HEAR(blues, 2, 3);
    HEAR(named, 1, 3, 5);
    HEAR(all, 1, 2, 3, 5);
    leave(reds);
    leave(blues);
    leave(named);
    leave(all);
    hub_free(hub);
    task_unref(more);
    task_unref(blue);
    task_unref(red);
}

static void newer_progress_supersedes_and_transitions_stay(void **state)
{
    (void)state;
    struct hub *hub = open_hub(0);
    struct task *one = new_task("task_1", "red"), *two = new_task("task_2", "red");
    struct hearer *stream = enter(hub, (struct hub_interest){.tenant = "red"});
    say(hub, one, 1, TASK_QUEUED);
    say(hub, two, 2, TASK_QUEUED);
    say_progress(hub, one, 3);
    say_progress(hub, two, 4);
    say_progress(hub, one, 5);
    say(hub, two, 6, TASK_FETCHING);
    await_change(hub, 6);
    HEAR(stream, 1, 2, 5, 6);
    leave(stream);
    hub_free(hub);
    task_unref(two);
    task_unref(one);
}

static void a_stream_that_falls_behind_misses_no_transition(void **state)
{
    (void)state;
    enum { BEHIND = 5 * HUB_QUEUE_MAX };
    struct hub *hub = open_hub(0);
    struct task *task = new_task("task_1", "red"), *foreign = new_task("task_2", "blue");
    struct hearer *stream = enter(hub, (struct hub_interest){.tenant = "red"});
    int64_t expected[BEHIND];
    size_t count = 0;
    for (int64_t change = 1; change <= BEHIND; change++) {
        if (change % 3 == 0) {
            say(hub, foreign, change, TASK_RENDERING);
        } else if (change % 3 == 1) {
            say_progress(hub, task, change);
        } else {
            say(hub, task, change, TASK_RENDERING);
            expected[count++] = change;
        }
    }
    await_change(hub, BEHIND);
    say_progress(hub, task, BEHIND + 1);
    expected[count++] = BEHIND + 1;
    await_change(hub, BEHIND + 1);
    hear(stream, expected, count);
    assert_true(hub_wait(&stream->watcher, HUB_WAIT_MAX_MS)); /* it has caught up */
    say(hub, task, BEHIND + 2, TASK_COMPLETED);
    await(stream);
    HEAR(stream, BEHIND + 2);
    leave(stream);
    hub_free(hub);
    task_unref(foreign);
    task_unref(task);
}

static void what_happens_after_an_end_is_not_told(void **state)
{
    (void)state;
    struct hub *hub = open_hub(0);
    struct task *task = new_task("task_1", "red"), *last = new_task("task_2", "red");
    struct hearer *stream = enter(hub, (struct hub_interest){.tenant = "red"});
    say(hub, task, 1, TASK_COMPLETED);
    task->state = TASK_COMPLETED;
    hub_publish(hub, task, 2, false);
    say(hub, last, 3, TASK_QUEUED);
    HEAR(stream, 1, 3);
    leave(stream);
    hub_free(hub);
    task_unref(last);
    task_unref(task);
}

/* Whoever comes again is told nothing of it, and of the others all. */
static void what_is_deleted_is_forgotten(void **state)
{
    (void)state;
    struct hub *hub = NULL;
    const struct hub_limits limits = {10, 10};
    assert_int_equal(hub_new(&limits, 0, &hub), 0);
    struct task *gone = new_task("task_1", "red"), *other = new_task("task_2", "red");
    say(hub, gone, 1, TASK_QUEUED);
    say(hub, other, 2, TASK_QUEUED);
    say(hub, gone, 3, TASK_CANCELLED);
    say(hub, other, 4, TASK_SUBMITTING);
    await_change(hub, 4);
    gone->state = TASK_CANCELLED;
    gone->deleted_ms = 1;
    hub_publish(hub, gone, 5, false);
    await_change(hub, 5);
    struct hearer *hearer = enter(hub, (struct hub_interest){.tenant = "red", .after = 0});
    HEAR(hearer, 2, 4);
    leave(hearer);
    task_unref(gone);
    task_unref(other);
    hub_free(hub);
}

static void a_stream_begins_with_the_present(void **state)
{
    (void)state;
    struct hub *hub = open_hub(7);
    struct hub_event **events = NULL;
    struct task *known = new_task("task_1", "red"), *task = new_task("task_2", "red"),
                *foreign = new_task("task_3", "blue"), *ended = new_task("task_4", "red");
    known->change = 5;
    hub_know(hub, known); /* from before the start */
    say(hub, ended, 8, TASK_QUEUED);
    say(hub, task, 9, TASK_QUEUED);
    say(hub, foreign, 10, TASK_QUEUED);
    say_progress(hub, task, 11);
    say(hub, ended, 12, TASK_FAILED);
    await_change(hub, 12);
    struct hearer *stream = enter(hub, (struct hub_interest){.tenant = "red"});
    assert_int_equal(hub_begin(&stream->watcher, &events), 2);
    assert_int_equal(events[0]->change, 5);
    assert_int_equal(events[1]->change, 11);
    hub_event_unref(events[0]);
    hub_event_unref(events[1]);
    free(events);
    say(hub, known, 13, TASK_RENDERING);
    HEAR(stream, 13);
    leave(stream);
    hub_free(hub);
    task_unref(ended);
    task_unref(foreign);
    task_unref(task);
    task_unref(known);
}

/* ---- coming again ---- */

static void who_comes_again_goes_on_where_he_was(void **state)
{
    (void)state;
    struct hub *hub = open_hub(100);
    struct task *task = new_task("task_1", "red");
    for (int64_t change = 101; change <= 110; change++)
        say(hub, task, change, TASK_RENDERING);
    say_progress(hub, task, 111);
    say_progress(hub, task, 112);
    await_change(hub, 112);
    struct hearer *stream = enter(hub, (struct hub_interest){.tenant = "red", .after = 107});
    HEAR(stream, 108, 109, 110, 112);
    leave(stream);
    hub_free(hub);
    task_unref(task);
}

static void who_comes_too_late_is_sent_to_the_store(void **state)
{
    (void)state;
    struct hub *hub = open_hub(100);
    struct hub_event *events[MOST], **progress = NULL;
    struct task *task = new_task("task_1", "red"), *quiet = new_task("task_2", "red");
    size_t count = 0;
    int64_t floor = 0;
    quiet->state = TASK_RENDERING;
    quiet->change = 90;
    struct task *moving = task_copy(quiet);
    hub_know(hub, quiet);
    say_progress(hub, moving, 101);
    say(hub, task, 102, TASK_QUEUED);
    for (int64_t change = 103; change <= HUB_RING_MAX + 105; change++)
        say(hub, task, change, TASK_RENDERING);
    await_change(hub, HUB_RING_MAX + 105);
    struct hearer *stream = enter(hub, (struct hub_interest){.tenant = "red", .after = 95});
    assert_int_equal(hub_take(&stream->watcher, events, MOST, &count, &floor), HUB_BEHIND);
    assert_int_equal(floor, 105);
    assert_false(hub_wait(&stream->watcher, HUB_WAIT_MAX_MS));
    assert_int_equal(hub_progress(&stream->watcher, 95, floor, &progress), 1);
    assert_int_equal(progress[0]->change, 101);
    hub_event_unref(progress[0]);
    free(progress);
    hub_move(&stream->watcher, floor);
    assert_int_equal(hub_take(&stream->watcher, events, MOST, &count, &floor), HUB_TOOK);
    assert_int_equal(count, MOST);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(events[i]->change, 106 + i);
        hub_event_unref(events[i]);
    }
    leave(stream);
    hub_free(hub);
    task_unref(moving);
    task_unref(quiet);
    task_unref(task);
}

/* What the store or a query told before the hub heard of it is not told again. */
static void what_is_known_already_is_not_told(void **state)
{
    (void)state;
    struct hub *hub = open_hub(100);
    struct hub_event *events[MOST];
    struct task *task = new_task("task_1", "red");
    size_t count = 0;
    int64_t floor = 0;
    struct hearer *stream = enter(hub, (struct hub_interest){.tenant = "red", .after = 50});
    struct hearer *poll = poll_for(hub, "task_1", 103, HUB_WISH_CHANGE);
    assert_int_equal(hub_take(&stream->watcher, events, MOST, &count, &floor), HUB_BEHIND);
    hub_move(&stream->watcher, 103);
    assert_int_equal(hub_take(&stream->watcher, events, MOST, &count, &floor), HUB_NOTHING);
    assert_true(hub_wait(&stream->watcher, HUB_WAIT_MAX_MS));
    assert_true(hub_wait(&poll->watcher, HUB_WAIT_MAX_MS));
    for (int64_t change = 101; change <= 103; change++)
        say(hub, task, change, TASK_RENDERING);
    await_change(hub, 103);
    assert_int_not_equal(sem_trywait(&stream->woken), 0);
    assert_int_not_equal(sem_trywait(&poll->woken), 0);
    say(hub, task, 104, TASK_FETCHING);
    await(stream);
    await(poll);
    HEAR(stream, 104);
    leave(poll);
    leave(stream);
    hub_free(hub);
    task_unref(task);
}

/* ---- bounds and the end ---- */

static void there_is_room_for_so_many(void **state)
{
    (void)state;
    struct hub *hub = NULL;
    struct hearer *extra = new_hearer();
    struct hub_interest red = {.tenant = "red"}, blue = {.tenant = "blue"};
    assert_int_equal(hub_new(&(struct hub_limits){3, 2}, 0, &hub), 0);
    struct hearer *first = enter(hub, red);
    struct hearer *second = poll_for(hub, "task_a", 1, HUB_WISH_END);
    assert_int_equal(hub_enter(hub, &extra->watcher, &red), HUB_TENANT_FULL);
    struct hearer *third = enter(hub, blue);
    assert_int_equal(hub_enter(hub, &extra->watcher, &blue), HUB_FULL);
    assert_int_equal(atomic_load(&hub_counts(hub)->streams), 2);
    assert_int_equal(atomic_load(&hub_counts(hub)->polls), 1);
    leave(second);
    leave(third);
    leave(enter(hub, red));
    leave(first);
    assert_int_equal(atomic_load(&hub_counts(hub)->streams), 0);
    assert_int_equal(atomic_load(&hub_counts(hub)->polls), 0);
    free_hearer(extra);
    hub_free(hub);
}

static void a_close_wakes_all_and_lets_nobody_in(void **state)
{
    (void)state;
    struct hub *hub = open_hub(0);
    struct hearer *extra = new_hearer();
    struct hearer *poll = poll_for(hub, "task_a", 1, HUB_WISH_END);
    struct hearer *stream = enter(hub, (struct hub_interest){.tenant = "red"});
    struct hearer *busy = enter(hub, (struct hub_interest){.tenant = "red"});
    assert_true(hub_wait(&poll->watcher, HUB_WAIT_MAX_MS));
    assert_true(hub_wait(&stream->watcher, HUB_WAIT_MAX_MS));
    hub_close(hub);
    await(poll);
    await(stream);
    assert_false(hub_wait(&busy->watcher, HUB_WAIT_MAX_MS));
    assert_int_equal(hub_enter(hub, &extra->watcher, &(struct hub_interest){.tenant = "red"}),
                     HUB_CLOSED);
    leave(poll);
    leave(stream);
    leave(busy);
    free_hearer(extra);
    hub_free(hub);
}

/* ---- many at once ---- */

struct crowd {
    struct hub *hub;
    const char *id;
};

/* Hears all transitions of one task; comes and goes now and then, as clients do. */
static void *listen_on(void *context)
{
    const struct crowd *crowd = context;
    int64_t last = 0;
    struct hearer *hearer = NULL;
    while (last < SAID) {
        struct hub_event *events[MOST];
        size_t count = 0;
        int64_t floor;
        if (hearer == NULL)
            hearer = enter(crowd->hub,
                           (struct hub_interest){
                               .tenant = "red", .ids = &crowd->id, .n_ids = 1, .after = last});
        must(hub_take(&hearer->watcher, events, 7, &count, &floor) != HUB_BEHIND);
        for (size_t i = 0; i < count; i++) {
            must(events[i]->change == last + 1);
            last = events[i]->change;
            hub_event_unref(events[i]);
        }
        if (count == 0 && last < SAID && hub_wait(&hearer->watcher, 1000))
            await(hearer);
        if (last % 50 == 49) {
            leave(hearer);
            hearer = NULL;
        }
    }
    if (hearer != NULL)
        leave(hearer);
    return NULL;
}

static void many_listen_while_one_speaks(void **state)
{
    (void)state;
    struct crowd crowd = {open_hub(0), "task_a"};
    struct task *task = new_task("task_a", "red");
    pthread_t threads[HEARERS];
    for (size_t i = 0; i < HEARERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, listen_on, &crowd), 0);
    for (int64_t change = 1; change <= SAID; change++)
        say(crowd.hub, task, change, TASK_RENDERING);
    for (size_t i = 0; i < HEARERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    hub_free(crowd.hub);
    task_unref(task);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_poll_hears_of_the_next_change_only),
        cmocka_unit_test(a_poll_until_the_end_hears_of_nothing_else),
        cmocka_unit_test(what_came_in_between_counts),
        cmocka_unit_test(who_waits_is_woken_when_his_time_is_up),
        cmocka_unit_test(streams_hear_of_what_is_theirs),
        cmocka_unit_test(newer_progress_supersedes_and_transitions_stay),
        cmocka_unit_test(a_stream_that_falls_behind_misses_no_transition),
        cmocka_unit_test(what_happens_after_an_end_is_not_told),
        cmocka_unit_test(what_is_deleted_is_forgotten),
        cmocka_unit_test(a_stream_begins_with_the_present),
        cmocka_unit_test(who_comes_again_goes_on_where_he_was),
        cmocka_unit_test(who_comes_too_late_is_sent_to_the_store),
        cmocka_unit_test(what_is_known_already_is_not_told),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(a_close_wakes_all_and_lets_nobody_in),
        cmocka_unit_test(many_listen_while_one_speaks),
    };
    return cmocka_run_group_tests_name("notify_hub", cases, NULL, NULL);
}
