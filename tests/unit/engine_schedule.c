/* SPDX-License-Identifier: Apache-2.0
 *
 * The schedule's order: priority, then fairness between tenants, then age. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
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

static const char *take(struct schedule *schedule)
{
    struct schedule_entry *entry = schedule_next(schedule);
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
        cmocka_unit_test(positions_follow_priority_and_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
