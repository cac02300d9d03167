/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks between the loop and the store, where their order is a matter of chance: rows that come while a
 * note is on its way are not forgotten, and what is under way at an end is left in the outbox. The receiver
 * is at an address that nobody may dial: each try fails at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/deliver.h"
#include "store_fixture.h"

enum { PATIENCE_MS = 100000, TURN_MS = 10 };

#define URL "http://127.0.0.1:9/hook"

struct scene {
    char directory[FIXTURE_PATH_SIZE];
    struct store_backend backend; /* the real one, but for what is played */
    struct store *store;
    struct settings *settings;
    struct guard *guard;
    struct link_keys link_keys;
    struct loop *loop;
    struct exchange_pool *exchanges;
    struct engine_counts counts;
    struct deliver *deliver;
};

/* What is played has no other way to know. */
struct played {
    struct scene *scene;
    _Atomic int n_lanes; /* times that the store was asked for lanes */
    struct loop_job news;
    bool is_second_there;
};

static struct played *played_now(struct played *fresh)
{
    static struct played *now;
    now = fresh != NULL ? fresh : now;
    return now;
}

static void put(void *self, char ret_id[ID_SHORT_SIZE])
{
    char url[] = URL, base[] = "";
    struct store_delivery row = {.url = url, .base = base, .next_ms = 1, .created_ms = FIXTURE_MS};
    id_new("dlv", row.id, sizeof row.id);
    id_new("evt", row.event_id, sizeof row.event_id);
    (void)snprintf(row.tenant, sizeof row.tenant, "red");
    (void)snprintf(row.type, sizeof row.type, "webhook.test");
    assert_int_equal(store_sqlite.delivery_add(self, &row), 0);
    memcpy(ret_id, row.id, ID_SHORT_SIZE);
}

static void on_news(struct loop_job *job)
{
    struct played *played = CONTAINER_OF(job, struct played, news);
    deliver_news(played->scene->deliver, "red");
}

static int count_lanes(void *self, const char *tenant,
                       void (*each)(void *, const char *tenant, const char *url, int64_t next_ms),
                       void *context)
{
    int result = store_sqlite.lanes(self, tenant, each, context);
    atomic_fetch_add(&played_now(NULL)->n_lanes, 1);
    return result;
}

/* The first note is overtaken: after it is written, and before the loop hears of that, another row comes, and its news
 * are read. */
static int overtake(void *self, const struct store_tried *tried, int64_t *ret_next_ms)
{
    struct played *played = played_now(NULL);
    char id[ID_SHORT_SIZE];
    int result = store_sqlite.delivery_tried(self, tried, ret_next_ms);
    if (!played->is_second_there) {
        played->is_second_there = true;
        put(self, id);
        int before = atomic_load(&played->n_lanes);
        loop_post(played->scene->loop, &played->news);
        while (atomic_load(&played->n_lanes) == before) {
            usleep(1000);
        }
        usleep(
            100000); /* until the loop has taken them in; if it has not, this shows less, and fails not */
    }
    return result;
}

static int set_up(void **state)
{
    const char *overrides[] = {"webhooks.retries", "", NULL};
    char error[SETTINGS_ERROR_SIZE] = "";
    struct scene *scene = must_calloc(1, sizeof *scene);
    fixture_make_directory(scene->directory);
    scene->backend = store_sqlite;
    scene->settings = settings_load(NULL, overrides, error);
    if (scene->settings == NULL || !guard_new(NULL, 0, &scene->guard, error)) {
        fail_msg("%s", error);
    }
    assert_int_equal(loop_new(&scene->loop), 0);
    assert_int_equal(exchange_pool_new(scene->loop, &scene->exchanges), 0);
    *state = scene;
    return 0;
}

/* Opens the store, as it is played, and what sends. */
static void begin(struct scene *scene)
{
    char error[STORE_ERROR_SIZE] = "";
    if (store_open_with(&scene->backend, scene->directory, &scene->store, error) != 0) {
        fail_msg("%s", error);
    }
    const struct deliver_parts parts = {
        .settings = scene->settings,
        .store = scene->store,
        .loop = scene->loop,
        .exchanges = scene->exchanges,
        .guard = scene->guard,
        .link_keys = &scene->link_keys,
        .counts = &scene->counts,
    };
    assert_int_equal(deliver_new(&parts, &scene->deliver), 0);
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    scene->deliver = deliver_free(scene->deliver);
    exchange_pool_free(scene->exchanges);
    loop_free(scene->loop);
    store_close(scene->store);
    guard_free(scene->guard);
    settings_free(scene->settings);
    fixture_remove_directory(scene->directory);
    free(scene);
    return 0;
}

static void *self_of(struct scene *scene)
{
    void *self;
    (void)store_inside(scene->store, &self);
    return self;
}

static size_t count_state(struct scene *scene, const char *name)
{
    struct store_delivery found[10];
    size_t count = 0;
    const struct store_deliveries_query query = {.tenant = "red", .state = name, .limit = 10};
    assert_int_equal(store_deliveries(scene->store, &query, found, &count), 0);
    for (size_t i = 0; i < count; i++) {
        store_delivery_fini(&found[i]);
    }
    return count;
}

static void turn_until_given_up(struct scene *scene, size_t wanted)
{
    int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
    while (count_state(scene, "given_up") < wanted) {
        assert_true(clock_mono_ms() < end_ms);
        loop_turn(scene->loop, TURN_MS);
    }
}

static void rows_that_overtake_a_note_are_sent(void **state)
{
    struct scene *scene = *state;
    struct played played = {.scene = scene, .news = {.run = on_news}};
    char id[ID_SHORT_SIZE];
    (void)played_now(&played);
    scene->backend.lanes = count_lanes;
    scene->backend.delivery_tried = overtake;
    begin(scene);
    put(self_of(scene), id);
    deliver_news(scene->deliver, NULL);
    turn_until_given_up(scene, 2);
    assert_int_equal(count_state(scene, "waiting"), 0);
    assert_int_equal(atomic_load(&scene->counts.webhooks_failed), 2);
    assert_int_equal(atomic_load(&scene->counts.webhooks_given_up), 2);
}

static void what_is_not_noted_stays_in_the_outbox(void **state)
{
    struct scene *scene = *state;
    char id[ID_SHORT_SIZE];
    begin(scene);
    put(self_of(scene), id);
    deliver_news(scene->deliver, NULL); /* and its end, wherever it is by now */
    loop_turn(scene->loop, TURN_MS);
    deliver_close(scene->deliver);
    scene->deliver = deliver_free(scene->deliver);
    size_t waiting = count_state(scene, "waiting"), given_up = count_state(scene, "given_up");
    assert_int_equal(waiting + given_up, 1);
    scene->store = store_close(scene->store);
    begin(scene);
    deliver_news(scene->deliver, NULL);
    turn_until_given_up(scene, 1);
}

static void nothing_is_begun_after_the_close(void **state)
{
    struct scene *scene = *state;
    char id[ID_SHORT_SIZE];
    begin(scene);
    put(self_of(scene), id);
    deliver_close(scene->deliver);
    deliver_news(scene->deliver, NULL);
    for (int i = 0; i < 20; i++) {
        loop_turn(scene->loop, TURN_MS);
    }
    assert_int_equal(count_state(scene, "waiting"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_that_overtake_a_note_are_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_noted_stays_in_the_outbox, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_begun_after_the_close, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
