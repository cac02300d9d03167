/* SPDX-License-Identifier: Apache-2.0
 *
 * The schedule's order: tenants by turns, then priority, then age. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "engine/schedule.h"

struct job {
    struct schedule_entry entry;
    const char *name;
};

static struct job make(const char *name, int priority, int64_t created_micros)
{
    return (struct job){{.priority = priority, .created_micros = created_micros}, name};
}

static bool anyone(void *context, struct schedule_entry *entry)
{
    (void)context;
    (void)entry;
    return true;
}

static const char *take(struct schedule *schedule)
{
    struct schedule_entry *entry = schedule_next(schedule, anyone, NULL);
    return entry ? CONTAINER_OF(entry, struct job, entry)->name : "none";
}

static void oldest_first(void **state)
{
    (void)state;
    struct schedule *schedule = schedule_new();
    struct job a = make("a", 2, 10), b = make("b", 2, 20), c = make("c", 2, 15);
    schedule_put(schedule, &b.entry, "t");
    schedule_put(schedule, &a.entry, "t");
    schedule_put(schedule, &c.entry, "t");
    assert_int_equal(schedule_count(schedule), 3);
    assert_string_equal(take(schedule), "a");
    assert_string_equal(take(schedule), "c");
    assert_string_equal(take(schedule), "b");
    assert_string_equal(take(schedule), "none");
    schedule_release(schedule, &a.entry);
    schedule_release(schedule, &b.entry);
    schedule_release(schedule, &c.entry);
    schedule_free(schedule);
}

static void higher_priority_goes_first(void **state)
{
    (void)state;
    struct schedule *schedule = schedule_new();
    struct job low = make("low", 0, 1), usual = make("usual", 2, 2), high = make("high", 9, 3);
    schedule_put(schedule, &low.entry, "t");
    schedule_put(schedule, &usual.entry, "t");
    schedule_put(schedule, &high.entry, "u");
    assert_string_equal(take(schedule), "high");
    assert_string_equal(take(schedule), "usual");
    assert_string_equal(take(schedule), "low");
    schedule_release(schedule, &low.entry);
    schedule_release(schedule, &usual.entry);
    schedule_release(schedule, &high.entry);
    schedule_free(schedule);
}

/* A tenant with a long queue does not hold up one with a short queue. */
static void tenants_share(void **state)
{
    (void)state;
    struct schedule *schedule = schedule_new();
    struct job many[6];
    for (int i = 0; i < 6; i++) {
        many[i] = make("many", 2, i);
        schedule_put(schedule, &many[i].entry, "many");
    }
    struct job few = make("few", 2, 100);
    schedule_put(schedule, &few.entry, "few");
    assert_string_equal(take(schedule), "many");
    assert_string_equal(take(schedule), "few");
    assert_string_equal(take(schedule), "many");
    schedule_release(schedule, &few.entry);
    for (int i = 2; i < 6; i++) {
        schedule_remove(schedule, &many[i].entry);
    }
    assert_string_equal(take(schedule), "none");
    schedule_release(schedule, &many[0].entry);
    schedule_release(schedule, &many[1].entry);
    schedule_free(schedule);
}

enum { CROWD = 1000, SLOTS_MAX = 4, GUESTS = 20 };

/* Until the guests' tasks have ended: the oldest that runs ends, the next one takes its slot. */
static void serve_guests(struct schedule *schedule, int n_slots)
{
    struct schedule_entry *running[SLOTS_MAX];
    struct job guests[GUESTS];
    int n_done = 0;
    for (int i = 0; i < n_slots; i++)
        running[i] = schedule_next(schedule, anyone, NULL);
    for (int i = 0; i < GUESTS; i++) {
        guests[i] = make("guest", 2, CROWD + i);
        schedule_put(schedule, &guests[i].entry, "guest");
    }
    for (int turn = 0; n_done < GUESTS; turn++) {
        assert_true(turn <= 2 * GUESTS + n_slots);
        struct schedule_entry *ended = running[turn % n_slots];
        n_done += strcmp(CONTAINER_OF(ended, struct job, entry)->name, "guest") == 0;
        schedule_release(schedule, ended);
        running[turn % n_slots] = schedule_next(schedule, anyone, NULL);
    }
    for (int i = 0; i < n_slots; i++)
        schedule_release(schedule, running[i]);
}

/* A tenant has a thousand tasks in the queue, all older and more urgent by its own word, and all slots.
 * Another one that comes has every other turn, also when there is only one slot. */
static void a_crowd_starves_nobody(void **state)
{
    (void)state;
    struct job *crowd = must_calloc(CROWD, sizeof *crowd);
    for (int n_slots = 1; n_slots <= SLOTS_MAX; n_slots++) {
        struct schedule *schedule = schedule_new();
        for (int i = 0; i < CROWD; i++) {
            crowd[i] = make("crowd", 9, i);
            schedule_put(schedule, &crowd[i].entry, "crowd");
        }
        serve_guests(schedule, n_slots);
        for (int i = 0; i < CROWD; i++) {
            if (crowd[i].entry.tenant)
                schedule_remove(schedule, &crowd[i].entry);
        }
        schedule_free(schedule);
    }
    free(crowd);
}

/* Who asks for one task at a time, and is unknown between them, gains nothing by that, nor by its priority. */
static void who_comes_anew_waits_its_turn(void **state)
{
    (void)state;
    struct schedule *schedule = schedule_new();
    struct job a = make("a", 2, 1), b = make("b", 2, 2), c = make("c", 2, 3),
               anew = make("anew", 9, 0);
    schedule_put(schedule, &a.entry, "a");
    assert_string_equal(take(schedule), "a");
    schedule_put(schedule, &b.entry, "b");
    schedule_put(schedule, &c.entry, "c");
    schedule_release(schedule, &a.entry);
    assert_string_equal(take(schedule), "b");
    schedule_put(schedule, &anew.entry, "a");
    schedule_release(schedule, &b.entry);
    assert_string_equal(take(schedule), "c");
    schedule_release(schedule, &c.entry);
    assert_string_equal(take(schedule), "anew");
    schedule_release(schedule, &anew.entry);
    schedule_free(schedule);
}

static bool is_not_held(void *context, struct schedule_entry *entry)
{
    return CONTAINER_OF(entry, struct job, entry)->name[0] != *(const char *)context;
}

static void who_may_not_start_holds_nobody_up(void **state)
{
    (void)state;
    struct schedule *schedule = schedule_new();
    struct job held = make("held", 9, 1), after = make("after", 2, 2), other = make("other", 0, 3);
    schedule_put(schedule, &held.entry, "t");
    schedule_put(schedule, &after.entry, "t");
    schedule_put(schedule, &other.entry, "u");
    char mark[] = "h";
    struct schedule_entry *first = schedule_next(schedule, is_not_held, mark);
    struct schedule_entry *second = schedule_next(schedule, is_not_held, mark);
    assert_ptr_equal(first, &after.entry);
    assert_ptr_equal(second, &other.entry);
    assert_null(schedule_next(schedule, is_not_held, mark));
    assert_int_equal(schedule_count(schedule), 1);
    assert_string_equal(take(schedule), "held");
    schedule_release(schedule, &held.entry);
    schedule_release(schedule, first);
    schedule_release(schedule, second);
    schedule_free(schedule);
}

static void adopted_work_counts_for_its_tenant(void **state)
{
    (void)state;
    struct schedule *schedule = schedule_new();
    struct job old = make("old", 2, 1), a = make("a", 2, 2), b = make("b", 2, 3);
    schedule_adopt(schedule, &old.entry, "t");
    schedule_put(schedule, &a.entry, "t");
    schedule_put(schedule, &b.entry, "u");
    assert_string_equal(take(schedule), "b");
    schedule_release(schedule, &old.entry);
    schedule_release(schedule, &b.entry);
    assert_string_equal(take(schedule), "a");
    schedule_release(schedule, &a.entry);
    schedule_free(schedule);
}

static void note_position(void *context, struct schedule_entry *entry, size_t position)
{
    char *text = context;
    sprintf(text + strlen(text), "%zu%s ", position, CONTAINER_OF(entry, struct job, entry)->name);
}

static void positions_follow_priority_and_age(void **state)
{
    (void)state;
    struct schedule *schedule = schedule_new();
    struct job a = make("a", 2, 10), b = make("b", 5, 20), c = make("c", 2, 5);
    schedule_put(schedule, &a.entry, "t");
    schedule_put(schedule, &b.entry, "u");
    schedule_put(schedule, &c.entry, "u");
    char text[64] = "";
    schedule_walk(schedule, note_position, text);
    assert_string_equal(text, "1b 2c 3a ");
    schedule_remove(schedule, &a.entry);
    schedule_remove(schedule, &b.entry);
    schedule_remove(schedule, &c.entry);
    schedule_free(schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oldest_first),
        cmocka_unit_test(higher_priority_goes_first),
        cmocka_unit_test(tenants_share),
        cmocka_unit_test(a_crowd_starves_nobody),
        cmocka_unit_test(who_comes_anew_waits_its_turn),
        cmocka_unit_test(who_may_not_start_holds_nobody_up),
        cmocka_unit_test(adopted_work_counts_for_its_tenant),
        cmocka_unit_test(positions_follow_priority_and_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
