/* SPDX-License-Identifier: Apache-2.0
 *
 * What every backend of the store must do for webhooks: endpoints, secrets, the outbox and its log. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>

#include "store/webhooks.h"
#include "store_scene.h"
#include "task/step.h"

enum { PAGE = 10, ENDPOINTS = 3, LATER_MS = 100000 };

#define URL_A "https://a.example/hook"
#define URL_B "https://b.example/hook"
#define NOW_MS (FIXTURE_MS + 5000)

/* ---- endpoints ---- */

static int add(struct scene *scene, const char *tenant, const char *url, char ret_id[ID_SHORT_SIZE])
{
    char base[] = "https://v.example";
    CLEANUP(free_pointer) char *copy = must_strdup(url);
    struct store_endpoint endpoint = {.url = copy, .base = base, .created_ms = FIXTURE_MS};
    id_new("whk", endpoint.id, sizeof endpoint.id);
    (void)snprintf(endpoint.tenant, sizeof endpoint.tenant, "%s", tenant);
    if (ret_id != NULL)
        (void)snprintf(ret_id, ID_SHORT_SIZE, "%s", endpoint.id);
    return store_endpoint_add(scene->store, &endpoint, ENDPOINTS);
}

static size_t count_endpoints(struct scene *scene, const char *tenant)
{
    struct store_endpoint endpoints[STORE_ENDPOINTS_MAX];
    size_t count = 0;
    assert_int_equal(store_endpoints(scene->store, tenant, endpoints, &count), 0);
    for (size_t i = 0; i < count; i++)
        store_endpoint_fini(&endpoints[i]);
    return count;
}

static void endpoints_are_kept_by_tenant(void **state)
{
    struct scene *scene = *state;
    struct store_endpoint endpoints[STORE_ENDPOINTS_MAX];
    char id[ID_SHORT_SIZE], other[ID_SHORT_SIZE];
    size_t count = 0;
    assert_int_equal(add(scene, "red", URL_A, id), 0);
    assert_int_equal(add(scene, "red", URL_B, NULL), 0);
    assert_int_equal(add(scene, "blue", URL_A, other), 0);
    scene_reopen(scene);
    assert_int_equal(store_endpoints(scene->store, "red", endpoints, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(endpoints[0].id, id);
    assert_string_equal(endpoints[0].url, URL_A);
    assert_string_equal(endpoints[0].base, "https://v.example");
    assert_int_equal(endpoints[0].created_ms, FIXTURE_MS);
    assert_int_equal(endpoints[0].disabled_ms, 0);
    assert_null(endpoints[0].why);
    for (size_t i = 0; i < count; i++)
        store_endpoint_fini(&endpoints[i]);
    /* nobody touches another's */
    assert_int_equal(store_endpoint_remove(scene->store, "blue", id, NOW_MS), STORE_NOT_FOUND);
    assert_int_equal(store_endpoint_enable(scene->store, "blue", id), STORE_NOT_FOUND);
    assert_int_equal(store_endpoint_remove(scene->store, "red", id, NOW_MS), 0);
    assert_int_equal(store_endpoint_remove(scene->store, "red", id, NOW_MS), STORE_NOT_FOUND);
    assert_int_equal(count_endpoints(scene, "red"), 1);
    assert_int_equal(count_endpoints(scene, "blue"), 1);
}

static void endpoints_are_bounded_and_once_each(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(add(scene, "red", URL_A, NULL), 0);
    assert_int_equal(add(scene, "red", URL_A, NULL), STORE_CONFLICT);
    assert_int_equal(add(scene, "red", URL_B, NULL), 0);
    assert_int_equal(add(scene, "red", URL_B "/3", NULL), 0);
    assert_int_equal(add(scene, "red", URL_B "/4", NULL), STORE_NOT_ADMITTED);
    assert_int_equal(add(scene, "blue", URL_B "/4", NULL), 0);
    assert_int_equal(count_endpoints(scene, "red"), ENDPOINTS);
}

/* ---- secrets ---- */

static void a_tenant_has_one_secret_until_it_is_rotated(void **state)
{
    struct scene *scene = *state;
    struct store_secret first[STORE_SECRETS_MAX], again[STORE_SECRETS_MAX];
    size_t count = 0;
    assert_int_equal(store_secrets(scene->store, "red", NOW_MS, first, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(first[0].created_ms, NOW_MS);
    assert_int_equal(first[0].expires_ms, 0);
    scene_reopen(scene);
    assert_int_equal(store_secrets(scene->store, "red", NOW_MS + 1, again, &count), 0);
    assert_int_equal(count, 1);
    assert_memory_equal(first[0].bytes, again[0].bytes, STORE_SECRET_BYTES);
    assert_int_equal(store_secrets(scene->store, "blue", NOW_MS, again, &count), 0);
    assert_memory_not_equal(first[0].bytes, again[0].bytes, STORE_SECRET_BYTES);
}

static void rotated_secrets_live_on_for_the_overlap(void **state)
{
    struct scene *scene = *state;
    struct store_secret before[STORE_SECRETS_MAX], after[STORE_SECRETS_MAX];
    size_t count = 0;
    assert_int_equal(store_secrets(scene->store, "red", NOW_MS, before, &count), 0);
    assert_int_equal(store_secret_rotate(scene->store, "red", NOW_MS, 1000), 0);
    assert_int_equal(store_secrets(scene->store, "red", NOW_MS + 999, after, &count), 0);
    assert_int_equal(count, 2); /* the present one first */
    assert_int_equal(after[0].expires_ms, 0);
    assert_memory_not_equal(after[0].bytes, before[0].bytes, STORE_SECRET_BYTES);
    assert_memory_equal(after[1].bytes, before[0].bytes, STORE_SECRET_BYTES);
    assert_int_equal(after[1].expires_ms, NOW_MS + 1000);
    assert_int_equal(store_secrets(scene->store, "red", NOW_MS + 1000, after, &count), 0);
    assert_int_equal(count, 1);
    /* without overlap the old one is worth nothing at once; the number of old ones is bounded */
    assert_int_equal(store_secret_rotate(scene->store, "red", NOW_MS + 2000, 0), 0);
    assert_int_equal(store_secrets(scene->store, "red", NOW_MS + 2000, after, &count), 0);
    assert_int_equal(count, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(store_secret_rotate(scene->store, "red", NOW_MS + 3000 + i, LATER_MS), 0);
    assert_int_equal(store_secrets(scene->store, "red", NOW_MS + 4000, after, &count), 0);
    assert_int_equal(count, STORE_SECRETS_MAX);
    assert_int_equal(after[0].created_ms, NOW_MS + 3009);
    /* the first need of one may be its rotation */
    assert_int_equal(store_secret_rotate(scene->store, "blue", NOW_MS, 1000), 0);
    assert_int_equal(store_secrets(scene->store, "blue", NOW_MS, after, &count), 0);
    assert_int_equal(count, 1);
}

/* ---- the outbox ---- */

/* A task of `tenant` with `url` of its own (NULL: none) that has ended. */
static size_t end_one(struct scene *scene, const char *tenant, const char *url,
                      char ret_id[ID_SHORT_SIZE])
{
    struct task *task = fixture_task(tenant, FIXTURE_MICROS);
    if (url != NULL) {
        task->request->webhook_url = must_strdup(url);
        task->request->base_url = must_strdup("https://by.example");
    }
    struct task *done = fixture_completed(task, FIXTURE_MS + 100, 0);
    struct fixture_write write;
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    fixture_write_init(&write, STORE_UPDATE, done);
    assert_int_equal(store_submit(scene->store, &write.write), 0);
    assert_int_equal(fixture_wait(&write), STORE_WRITTEN);
    if (ret_id != NULL)
        (void)snprintf(ret_id, ID_SHORT_SIZE, "%s", task->request->id);
    task_unref(done);
    task_unref(task);
    return write.write.n_deliveries;
}

static size_t list(struct scene *scene, const struct store_deliveries_query *query,
                   struct store_delivery *ret_deliveries)
{
    size_t count = 0;
    assert_int_equal(store_deliveries(scene->store, query, ret_deliveries, &count), 0);
    return count;
}

static void fini_all(struct store_delivery *deliveries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        store_delivery_fini(&deliveries[i]);
}

static void an_end_is_told_to_everybody_once(void **state)
{
    struct scene *scene = *state;
    struct store_delivery found[PAGE];
    char task_id[ID_SHORT_SIZE], b[ID_SHORT_SIZE];
    assert_int_equal(end_one(scene, "red", NULL, NULL), 0); /* nobody asked */
    assert_int_equal(add(scene, "red", URL_A, NULL), 0);
    assert_int_equal(add(scene, "red", URL_B, b), 0);
    assert_int_equal(end_one(scene, "blue", NULL, NULL), 0); /* not another's */
    assert_int_equal(end_one(scene, "red", "https://own.example/", task_id), 3);
    struct store_deliveries_query query = {.tenant = "red", .limit = PAGE};
    assert_int_equal(list(scene, &query, found), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(found[i].task_id, task_id);
        assert_string_equal(found[i].event_id, found[0].event_id);
        assert_true(id_is_typeid(found[i].event_id, "evt"));
        assert_string_equal(found[i].type, "video.completed");
        assert_int_equal(found[i].state, STORE_DELIVERY_WAITING);
        assert_int_equal(found[i].created_ms, FIXTURE_MS + 100);
        assert_int_equal(found[i].next_ms, FIXTURE_MS + 100);
        assert_null(found[i].body);
    }
    assert_string_equal(found[0].url, "https://own.example/");
    assert_string_equal(found[0].base, "https://by.example");
    assert_string_equal(found[0].endpoint, "");
    assert_string_equal(found[1].url, URL_B);
    assert_string_equal(found[1].base, "https://v.example");
    assert_string_equal(found[1].endpoint, b);
    fini_all(found, 3);
    /* an endpoint and the task's own URL may be the same */
    assert_int_equal(end_one(scene, "red", URL_B, NULL), 2);
}

static void an_end_is_told_once_however_often_it_is_written(void **state)
{
    struct scene *scene = *state;
    struct store_delivery found[PAGE];
    struct task *task = fixture_task("red", FIXTURE_MICROS);
    task->request->webhook_url = must_strdup(URL_A);
    struct task *done = fixture_completed(task, FIXTURE_MS + 100, 0);
    struct task *expired = fixture_completed(done, FIXTURE_MS + 100, FIXTURE_MS + 900);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, expired), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_CONFLICT);
    struct store_deliveries_query query = {.tenant = "red", .limit = PAGE};
    assert_int_equal(list(scene, &query, found), 1);
    fini_all(found, 1);
    task_unref(expired);
    task_unref(done);
    task_unref(task);
}

static int count_one(struct scene *scene, const char *tenant, const char *state)
{
    struct store_delivery found[PAGE];
    struct store_deliveries_query query = {.tenant = tenant, .state = state, .limit = PAGE};
    size_t count = list(scene, &query, found);
    fini_all(found, count);
    return (int)count;
}

/* ---- lanes ---- */

struct lanes {
    size_t count;
    int64_t next_ms;
    char text[200];
};

static void note_lane(void *context, const char *tenant, const char *url, int64_t next_ms)
{
    struct lanes *lanes = context;
    size_t length = strlen(lanes->text);
    lanes->count++;
    lanes->next_ms = next_ms;
    (void)snprintf(lanes->text + length, sizeof lanes->text - length, "%s %s;", tenant, url);
}

static struct lanes look(struct scene *scene, const char *tenant)
{
    struct lanes lanes = {0};
    assert_int_equal(store_lanes(scene->store, tenant, note_lane, &lanes), 0);
    return lanes;
}

static struct store_delivery next(struct scene *scene, const char *url, int64_t now_ms)
{
    struct store_delivery found = {0};
    assert_int_equal(store_delivery_next(scene->store, "red", url, now_ms, &found), 0);
    return found;
}

static int64_t tell(struct scene *scene, const struct store_delivery *delivery, int number,
                    enum store_delivery_state state, bool is_gone)
{
    char answer[] = "busy", error[] = "status 500";
    bool is_good = state == STORE_DELIVERY_DELIVERED;
    int64_t next_ms = -1;
    const struct store_tried tried = {
        .id = delivery->id,
        .tenant = delivery->tenant,
        .url = delivery->url,
        .try = {.number = number,
                .at_ms = NOW_MS,
                .took_ms = 12,
                .status = is_good ? 200 : 500,
                .error = is_good ? NULL : error,
                .answer = is_good ? NULL : answer},
        .state = state,
        .next_ms = NOW_MS + LATER_MS,
        .note = is_good ? NULL : "no more tries",
        .body = number == 1 ? "{\"first\":1}" : "{\"other\":1}",
        .is_gone = is_gone,
    };
    assert_int_equal(store_delivery_tried(scene->store, &tried, &next_ms), 0);
    return next_ms;
}

static void lanes_tell_what_is_due(void **state)
{
    struct scene *scene = *state;
    struct store_delivery found = {0};
    char older[ID_SHORT_SIZE], newer[ID_SHORT_SIZE];
    (void)end_one(scene, "red", URL_A, older);
    (void)end_one(scene, "red", URL_A, newer);
    (void)end_one(scene, "red", URL_B, NULL);
    (void)end_one(scene, "blue", URL_A, NULL);
    assert_string_equal(look(scene, NULL).text, "blue " URL_A ";red " URL_A ";red " URL_B ";");
    assert_string_equal(look(scene, "blue").text, "blue " URL_A ";");
    assert_int_equal(look(scene, "blue").next_ms, FIXTURE_MS + 100);
    assert_int_equal(look(scene, "green").count, 0);
    assert_int_equal(store_delivery_next(scene->store, "red", URL_A, FIXTURE_MS + 99, &found),
                     STORE_NOT_FOUND); /* not due */
    assert_int_equal(store_delivery_next(scene->store, "green", URL_A, NOW_MS, &found),
                     STORE_NOT_FOUND);
    found = next(scene, URL_A, FIXTURE_MS + 100);
    assert_string_equal(found.task_id, older);
    /* one that failed waits; what is due goes first meanwhile */
    assert_int_equal(tell(scene, &found, 1, STORE_DELIVERY_WAITING, false), FIXTURE_MS + 100);
    store_delivery_fini(&found);
    found = next(scene, URL_A, NOW_MS);
    assert_string_equal(found.task_id, newer);
    assert_int_equal(tell(scene, &found, 1, STORE_DELIVERY_DELIVERED, false), NOW_MS + LATER_MS);
    store_delivery_fini(&found);
    scene_reopen(scene);
    assert_int_equal(store_delivery_next(scene->store, "red", URL_A, NOW_MS, &found),
                     STORE_NOT_FOUND);
    found = next(scene, URL_A, NOW_MS + LATER_MS);
    assert_string_equal(found.task_id, older);
    assert_int_equal(found.tries, 1);
    assert_string_equal(found.body, "{\"first\":1}");
    assert_int_equal(tell(scene, &found, 2, STORE_DELIVERY_GIVEN_UP, false), INT64_MAX);
    store_delivery_fini(&found);
    assert_string_equal(look(scene, "red").text, "red " URL_B ";");
}

static void the_log_holds_tries_and_bodies(void **state)
{
    struct scene *scene = *state;
    struct store_delivery found, one;
    struct store_try tries[STORE_TRIES_MAX];
    size_t count = 0;
    (void)end_one(scene, "red", URL_A, NULL);
    found = next(scene, URL_A, NOW_MS);
    (void)tell(scene, &found, 1, STORE_DELIVERY_WAITING, false);
    (void)tell(scene, &found, 2, STORE_DELIVERY_DELIVERED, false);
    assert_int_equal(store_delivery(scene->store, "blue", found.id, &one), STORE_NOT_FOUND);
    assert_int_equal(store_delivery(scene->store, "red", found.id, &one), 0);
    assert_int_equal(one.state, STORE_DELIVERY_DELIVERED);
    assert_int_equal(one.tries, 2);
    assert_int_equal(one.ended_ms, NOW_MS + 12);
    assert_string_equal(one.body, "{\"first\":1}"); /* what was sent first is what all tries send */
    assert_null(one.note);
    assert_int_equal(store_tries(scene->store, found.id, tries, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(tries[0].number, 1);
    assert_int_equal(tries[0].status, 500);
    assert_int_equal(tries[0].took_ms, 12);
    assert_string_equal(tries[0].error, "status 500");
    assert_string_equal(tries[0].answer, "busy");
    assert_int_equal(tries[1].status, 200);
    assert_null(tries[1].error);
    for (size_t i = 0; i < count; i++)
        store_try_fini(&tries[i]);
    store_delivery_fini(&one);
    store_delivery_fini(&found);
}

static void who_wants_no_more_is_left_alone(void **state)
{
    struct scene *scene = *state;
    struct store_endpoint endpoints[STORE_ENDPOINTS_MAX];
    size_t count = 0;
    assert_int_equal(add(scene, "red", URL_A, NULL), 0);
    (void)end_one(scene, "red", URL_B, NULL);
    (void)end_one(scene, "red", NULL, NULL);
    struct store_delivery found = next(scene, URL_A, NOW_MS);
    assert_int_equal(tell(scene, &found, 1, STORE_DELIVERY_DISABLED, true), INT64_MAX);
    store_delivery_fini(&found);
    assert_int_equal(count_one(scene, "red", "disabled"), 2); /* what waited behind it, too */
    assert_int_equal(count_one(scene, "red", "waiting"), 1);  /* another's lane */
    assert_int_equal(store_endpoints(scene->store, "red", endpoints, &count), 0);
    assert_int_equal(endpoints[0].disabled_ms, NOW_MS + 12);
    assert_non_null(strstr(endpoints[0].why, "410"));
    assert_int_equal(end_one(scene, "red", NULL, NULL), 0);
    assert_int_equal(store_endpoint_enable(scene->store, "red", endpoints[0].id), 0);
    store_endpoint_fini(&endpoints[0]);
    assert_int_equal(end_one(scene, "red", NULL, NULL), 1);
}

static void what_waits_for_a_removed_endpoint_is_not_sent(void **state)
{
    struct scene *scene = *state;
    struct store_delivery one;
    char id[ID_SHORT_SIZE];
    assert_int_equal(add(scene, "red", URL_A, id), 0);
    (void)end_one(scene, "red", NULL, NULL);
    (void)end_one(scene, "red", URL_B, NULL);
    struct store_delivery found = next(scene, URL_A, NOW_MS);
    assert_int_equal(store_endpoint_remove(scene->store, "red", id, NOW_MS), 0);
    assert_int_equal(count_one(scene, "red", "waiting"), 1);
    /* a try that was under way is on record, and brings nothing back */
    assert_int_equal(tell(scene, &found, 1, STORE_DELIVERY_WAITING, false), INT64_MAX);
    assert_int_equal(store_delivery(scene->store, "red", found.id, &one), 0);
    assert_int_equal(one.state, STORE_DELIVERY_DISABLED);
    assert_int_equal(one.tries, 1);
    assert_string_equal(one.note, "the endpoint was removed");
    store_delivery_fini(&one);
    store_delivery_fini(&found);
}

/* ---- lists, bounds, letting go ---- */

static int add_test(struct scene *scene, const char *tenant)
{
    char url[] = URL_B, base[] = "";
    struct store_delivery delivery = {
        .url = url, .base = base, .next_ms = NOW_MS, .created_ms = NOW_MS};
    id_new("dlv", delivery.id, sizeof delivery.id);
    id_new("evt", delivery.event_id, sizeof delivery.event_id);
    (void)snprintf(delivery.tenant, sizeof delivery.tenant, "%s", tenant);
    (void)snprintf(delivery.type, sizeof delivery.type, "webhook.test");
    return store_delivery_add(scene->store, &delivery);
}

static void lists_are_paged_and_filtered(void **state)
{
    struct scene *scene = *state;
    struct store_delivery found[PAGE];
    char endpoint[ID_SHORT_SIZE], task_id[ID_SHORT_SIZE], last[ID_SHORT_SIZE] = "~";
    size_t seen = 0, count = 0;
    assert_int_equal(add(scene, "red", URL_A, endpoint), 0);
    for (int i = 0; i < 3; i++)
        (void)end_one(scene, "red", URL_B, task_id);
    for (int i = 0; i < 7; i++)
        assert_int_equal(add_test(scene, "red"), 0);
    (void)end_one(scene, "blue", URL_B, NULL);
    struct store_deliveries_query query = {.tenant = "red", .limit = 4};
    do {
        count = list(scene, &query, found);
        for (size_t i = 0; i < count; i++) {
            assert_true(strcmp(found[i].id, last) < 0);
            assert_string_equal(found[i].tenant, "red");
            memcpy(last, found[i].id, sizeof last);
        }
        seen += count;
        fini_all(found, count);
        query.before_id = last;
    } while (count == 4);
    assert_int_equal(seen, 13);
    query = (struct store_deliveries_query){.tenant = "red", .endpoint = endpoint, .limit = PAGE};
    assert_int_equal(count = list(scene, &query, found), 3);
    fini_all(found, count);
    query = (struct store_deliveries_query){.tenant = "red", .task_id = task_id, .limit = PAGE};
    assert_int_equal(count = list(scene, &query, found), 2);
    fini_all(found, count);
    query.endpoint = endpoint;
    assert_int_equal(count = list(scene, &query, found), 1);
    fini_all(found, count);
    query.state = "delivered";
    assert_int_equal(list(scene, &query, found), 0);
    query = (struct store_deliveries_query){.tenant = "blue", .task_id = task_id, .limit = PAGE};
    assert_int_equal(list(scene, &query, found), 0);
}

/* So many of "red" wait; one transaction, as each is one otherwise. */
static void fill(struct scene *scene, int count)
{
    char path[FIXTURE_PATH_SIZE + 16], sql[500];
    sqlite3 *db = NULL;
    fixture_database(scene->directory, path);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO deliveries(id, event, tenant, endpoint, task_id, type, url, base,"
                   " state, next_ms, created_ms) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                   " SELECT i + 1 FROM n WHERE i < %d)"
                   " SELECT 'x' || i, 'e', 'red', '', '', 't', 'u', '', 'waiting', 1, 1 FROM n",
                   count);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void what_waits_is_bounded(void **state)
{
    struct scene *scene = *state;
    struct store_delivery found[PAGE];
    fill(scene, STORE_DELIVERIES_WAITING_MAX - 1);
    assert_int_equal(add_test(scene, "red"), 0);
    assert_int_equal(add_test(scene, "red"), STORE_NOT_ADMITTED);
    assert_int_equal(add_test(scene, "blue"), 0);
    /* an end is on record all the same */
    assert_int_equal(end_one(scene, "red", URL_A, NULL), 0);
    struct store_deliveries_query query = {.tenant = "red", .state = "given_up", .limit = PAGE};
    assert_int_equal(list(scene, &query, found), 1);
    assert_non_null(strstr(found[0].note, "too many"));
    assert_int_equal(found[0].ended_ms, FIXTURE_MS + 100);
    fini_all(found, 1);
}

/* As its owner has it done. */
static void erase(struct scene *scene, const char *id)
{
    const struct task_policy policy = {.max_attempts = 1};
    const struct task *task = NULL;
    struct task_step step;
    assert_int_equal(store_task(scene->store, id, &task), 0);
    task_step(task, &(struct task_event){.kind = TASK_EVENT_ERASED}, &policy, NOW_MS, &step);
    assert_int_equal(fixture_write_now(scene->store, STORE_ERASE, step.task), STORE_WRITTEN);
    task_unref(step.task);
    task_unref(task);
}

static void an_erased_task_is_told_to_nobody(void **state)
{
    struct scene *scene = *state;
    struct store_delivery found[PAGE], one;
    char sent[ID_SHORT_SIZE], waiting[ID_SHORT_SIZE];
    struct store_try tries[STORE_TRIES_MAX];
    size_t count = 0;
    (void)end_one(scene, "red", URL_A, sent);
    struct store_delivery first = next(scene, URL_A, NOW_MS);
    (void)tell(scene, &first, 1, STORE_DELIVERY_WAITING, false); /* it answers with words */
    (void)tell(scene, &first, 2, STORE_DELIVERY_DELIVERED, false);
    (void)end_one(scene, "red", URL_A, waiting);
    erase(scene, sent);
    erase(scene, waiting);
    assert_int_equal(store_delivery(scene->store, "red", first.id, &one), 0);
    assert_int_equal(one.state, STORE_DELIVERY_DELIVERED);
    assert_null(one.body);
    assert_string_equal(one.url, ""); /* the task named it */
    store_delivery_fini(&one);
    assert_int_equal(store_tries(scene->store, first.id, tries, &count), 0);
    assert_int_equal(count, 2);
    assert_null(tries[0].answer);
    assert_null(tries[0].error);
    for (size_t i = 0; i < count; i++)
        store_try_fini(&tries[i]);
    store_delivery_fini(&first);
    struct store_deliveries_query query = {.tenant = "red", .task_id = waiting, .limit = PAGE};
    assert_int_equal(list(scene, &query, found), 1);
    assert_int_equal(found[0].state, STORE_DELIVERY_GIVEN_UP);
    assert_int_equal(look(scene, "red").count, 0);
    /* a try that was under way does not bring the body back */
    (void)tell(scene, &found[0], 1, STORE_DELIVERY_WAITING, false);
    assert_int_equal(store_delivery(scene->store, "red", found[0].id, &one), 0);
    assert_int_equal(one.state, STORE_DELIVERY_GIVEN_UP);
    assert_int_equal(one.tries, 1);
    assert_null(one.body);
    store_delivery_fini(&one);
    assert_int_equal(store_tries(scene->store, found[0].id, tries, &count), 0);
    assert_int_equal(count, 1);
    assert_null(tries[0].answer); /* nor what was said to it */
    assert_null(tries[0].error);
    store_try_fini(&tries[0]);
    fini_all(found, 1);
}

static void old_ones_go(void **state)
{
    struct scene *scene = *state;
    struct store_delivery found[PAGE];
    struct store_secret secrets[STORE_SECRETS_MAX];
    struct store_try tries[STORE_TRIES_MAX];
    size_t count = 0;
    (void)end_one(scene, "red", URL_A, NULL);
    (void)end_one(scene, "red", URL_B, NULL); /* waits on, however old */
    struct store_delivery first = next(scene, URL_A, NOW_MS);
    (void)tell(scene, &first, 1, STORE_DELIVERY_DELIVERED, false);
    assert_int_equal(store_secret_rotate(scene->store, "red", NOW_MS, 0), 0);
    assert_int_equal(store_secret_rotate(scene->store, "red", NOW_MS, 1000), 0);
    assert_int_equal(store_sweep_deliveries(scene->store, NOW_MS + 12, NOW_MS), 0);
    struct store_deliveries_query query = {.tenant = "red", .limit = PAGE};
    assert_int_equal(count = list(scene, &query, found), 2); /* it ended at that very moment */
    fini_all(found, count);
    assert_int_equal(store_sweep_deliveries(scene->store, NOW_MS + 13, NOW_MS), 0);
    assert_int_equal(count = list(scene, &query, found), 1);
    fini_all(found, count);
    assert_int_equal(store_tries(scene->store, first.id, tries, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(store_secrets(scene->store, "red", NOW_MS + 1, secrets, &count), 0);
    assert_int_equal(count, 2);
    store_delivery_fini(&first);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCENE_CASE(endpoints_are_kept_by_tenant),
        SCENE_CASE(endpoints_are_bounded_and_once_each),
        SCENE_CASE(a_tenant_has_one_secret_until_it_is_rotated),
        SCENE_CASE(rotated_secrets_live_on_for_the_overlap),
        SCENE_CASE(an_end_is_told_to_everybody_once),
        SCENE_CASE(an_end_is_told_once_however_often_it_is_written),
        SCENE_CASE(lanes_tell_what_is_due),
        SCENE_CASE(the_log_holds_tries_and_bodies),
        SCENE_CASE(who_wants_no_more_is_left_alone),
        SCENE_CASE(what_waits_for_a_removed_endpoint_is_not_sent),
        SCENE_CASE(lists_are_paged_and_filtered),
        SCENE_CASE(what_waits_is_bounded),
        SCENE_CASE(an_erased_task_is_told_to_nobody),
        SCENE_CASE(old_ones_go),
    };
    return scene_run(cases, ARRAY_LENGTH(cases));
}
