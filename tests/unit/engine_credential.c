/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a task goes: by priority, then weight, among the credentials that are well and have a free slot; what is said when
 * there is none; orders of operators; what is learned of durations. The channels are those of a configuration, their
 * adapters doubles that say what stands here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "engine/credential.h"

enum { NOW_MS = 10000000 };

/* ---- the doubles ---- */

struct adapter {
    const char *about;
};

struct adapter_set {
    char nothing; /* the doubles below answer for it */
};

static const struct adapter ADAPTER = {
    "{\"base_url\": \"https://up.example\", \"auth\": {\"kind\": \"bearer\"},"
    " \"models\": [{\"name\": \"*\", \"durations\": [4, 8]}]}"};

const struct adapter *adapter_find(const struct adapter_set *set, const char *name)
{
    (void)set;
    return strcmp(name, "vendor") == 0 ? &ADAPTER : NULL;
}

size_t adapter_count(const struct adapter_set *set)
{
    (void)set;
    return 1;
}

const struct adapter *adapter_at(const struct adapter_set *set, size_t index)
{
    (void)set, (void)index;
    return &ADAPTER;
}

const char *adapter_name(const struct adapter *adapter)
{
    (void)adapter;
    return "vendor";
}

const char *adapter_text(const struct adapter *adapter)
{
    (void)adapter;
    return "";
}

json_t *adapter_about(const struct adapter *adapter, char ret_error[ADAPTER_ERROR_SIZE])
{
    (void)ret_error;
    return json_loads(adapter->about, 0, NULL);
}

/* ---- the stage ---- */

#define AT_VENDOR                                                                                  \
    .adapter = "vendor", .concurrency = 2, .on_unknown = "hold", .credentials = ONE,               \
    .n_credentials = 1
#define MODELS(list) .models = list, .n_models = ARRAY_LENGTH(list)

static const struct settings_credential ONE[] = {{"k", "key", NULL, NULL}};
static const struct settings_credential TWO[] = {{"a", "key-a", NULL, NULL},
                                                 {"b", "key-b", NULL, NULL}};

static const struct settings_model BOTH[] = {{"shared", NULL}, {"first-*", NULL}};
static const struct settings_model ALL[] = {{"*", NULL}};
static const struct settings_model STRICT[] = {{"exact", NULL}};
static const struct settings_model OURS[] = {{"shared", NULL}, {"cartoon", NULL}};

/* In another order than that of their priorities. */
static const struct settings_channel CHANNELS[] = {
    {.name = "last", AT_VENDOR, .weight = 1, .fit = "nearest", MODELS(BOTH)},
    {.name = "first",
     .adapter = "vendor",
     .concurrency = 2,
     .submits_per_minute = 60,
     .on_unknown = "hold",
     .credentials = TWO,
     .n_credentials = 2,
     .priority = 20,
     .weight = 1,
     .fit = "nearest",
     MODELS(BOTH)},
    {.name = "strict", AT_VENDOR, .priority = 5, .weight = 1, .fit = "strict", MODELS(STRICT)},
    {.name = "drained",
     AT_VENDOR,
     .priority = 99,
     .weight = 1,
     .fit = "nearest",
     .drain = true,
     MODELS(ALL)},
    {.name = "ours", .adapter = "animatic", .priority = 10, .weight = 1, MODELS(OURS)},
};

struct place {
    struct channel_table *table;
    struct credentials *credentials;
    struct task *task;
};

static struct place place_new(const struct settings_channel *channels, size_t n_channels,
                              const char *model)
{
    static const struct adapter_set set;
    char error[SETTINGS_ERROR_SIZE] = "";
    const struct settings settings = {
        .channels = channels, .n_channels = n_channels, .file = "filmgate.yaml"};
    struct task_request *request = task_request_new();
    request->model = must_strdup(model);
    request->prompt = must_strdup("a prompt");
    request->duration_s = 4;
    struct place place = {
        .table = channel_table_new(&settings, &set, error),
        .credentials = credentials_new(),
        .task = task_new(request, NOW_MS),
    };
    assert_string_equal(error, "");
    return place;
}

static void place_end(struct place *place)
{
    for (struct credential *item = credentials_first(place->credentials); item; item = item->next) {
        item->n_in_flight = 0;
    }
    assert_null(credentials_free(place->credentials));
    channel_table_free(place->table);
    task_unref(place->task);
}

enum ailment {
    WELL,
    PAUSED,
    DRAINING,
    BUSY,    /* all but one of its slots are taken */
    FULL,    /* all are */
    FAILING, /* four failures in a row */
    OPEN,    /* five */
    WAITING, /* open, and its time is over */
    TRIED,   /* … and its trial is under way */
    RESTING, /* as the upstream asked, for 90 s */
    SPENT,   /* its submits of this minute are */
    CROWDED, /* as many submits as it may have are under way */
};

static void fail_often(struct credential *credential, int n_failures, int64_t now_ms)
{
    for (int i = 0; i < n_failures; i++) {
        policy_breaker_fail(&credential->breaker, now_ms);
    }
}

static void ail(struct credential *credential, enum ailment ailment)
{
    int64_t before_ms = NOW_MS - POLICY_BREAKER_FIRST_MS;
    credential->is_paused |= ailment == PAUSED;
    credential->is_draining |= ailment == DRAINING;
    if (ailment == BUSY || ailment == FULL) {
        credential->n_in_flight = ailment == FULL ? 2 : 1;
    } else if (ailment == FAILING || ailment == OPEN) {
        fail_often(credential, ailment == OPEN ? 5 : 4, NOW_MS);
    } else if (ailment == WAITING || ailment == TRIED) {
        fail_often(credential, 5, before_ms);
    } else if (ailment == RESTING) {
        policy_breaker_rest(&credential->breaker, 90000, NOW_MS);
    }
    credential->n_submitting = ailment == CROWDED ? CREDENTIAL_SUBMITS_MAX : 0;
    if (ailment == TRIED) {
        policy_breaker_try(&credential->breaker, NOW_MS);
    }
    while (ailment == SPENT && policy_take(&credential->submits, 60, NOW_MS) == 0) {
    }
}

/* ---- by table ---- */

struct condition {
    const char *channel, *credential;
    enum ailment what;
};

struct row {
    const char *model;
    int duration_s;
    bool is_animatic_taken;
    const char *refused_by[2];
    struct condition conditions[4];
    enum route_kind kind;
    const char *channel, *key; /* key NULL: of the built-in engine */
    int64_t retry_ms;
};

#define FOUND(name, key) ROUTE_FOUND, name, key, -1
#define WAIT(ms) ROUTE_WAIT, NULL, NULL, ms
#define NONE ROUTE_NONE, NULL, NULL, -1
#define FIRST_IS(what_a, what_b)                                                                   \
    {"first", "a", what_a},                                                                        \
    {                                                                                              \
        "first", "b", what_b                                                                       \
    }

static const struct row ROWS[] = {
    /* priorities, models and their wildcards */
    {"shared", 4, false, {NULL}, {FIRST_IS(WELL, FULL)}, FOUND("first", "a")},
    {"shared", 4, false, {NULL}, {FIRST_IS(FULL, WELL)}, FOUND("first", "b")},
    {"first-of-all", 4, false, {NULL}, {FIRST_IS(WELL, FULL)}, FOUND("first", "a")},
    {"first", 4, false, {NULL}, {{0}}, NONE},
    {"else", 4, false, {NULL}, {{0}}, NONE}, /* but for the drained one */
    /* what ails a credential makes place for the next priority */
    {"shared", 4, false, {NULL}, {FIRST_IS(FULL, FULL)}, FOUND("ours", NULL)},
    {"shared", 4, true, {NULL}, {FIRST_IS(FULL, FULL)}, FOUND("last", "k")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(PAUSED, FULL)}, FOUND("last", "k")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(DRAINING, FULL)}, FOUND("last", "k")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(OPEN, FULL)}, FOUND("last", "k")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(TRIED, FULL)}, FOUND("last", "k")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(RESTING, FULL)}, FOUND("last", "k")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(SPENT, FULL)}, FOUND("last", "k")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(CROWDED, FULL)}, FOUND("last", "k")},
    /* … and what does not, makes none */
    {"first-x", 4, false, {NULL}, {FIRST_IS(BUSY, FULL)}, FOUND("first", "a")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(FAILING, FULL)}, FOUND("first", "a")},
    {"first-x", 4, false, {NULL}, {FIRST_IS(WAITING, FULL)}, FOUND("first", "a")},
    /* how long to wait: the shortest of those that can say; negative: until a slot is free */
    {"first-x", 4, false, {"last"}, {FIRST_IS(FULL, FULL)}, WAIT(-1)},
    {"first-x", 4, false, {"last"}, {FIRST_IS(PAUSED, DRAINING)}, WAIT(-1)},
    {"first-x", 4, false, {"last"}, {FIRST_IS(CROWDED, FULL)}, WAIT(CREDENTIAL_LOOK_AGAIN_MS)},
    {"first-x", 4, false, {"last"}, {FIRST_IS(TRIED, FULL)}, WAIT(POLICY_BREAKER_MOST_MS)},
    {"first-x", 4, false, {"last"}, {FIRST_IS(OPEN, RESTING)}, WAIT(POLICY_BREAKER_FIRST_MS)},
    {"first-x", 4, false, {"last"}, {FIRST_IS(RESTING, OPEN)}, WAIT(POLICY_BREAKER_FIRST_MS)},
    {"first-x", 4, false, {"last"}, {FIRST_IS(RESTING, FULL)}, WAIT(90000)},
    {"first-x", 4, false, {"last"}, {FIRST_IS(FULL, RESTING)}, WAIT(90000)},
    {"first-x", 4, false, {"last"}, {FIRST_IS(RESTING, SPENT)}, WAIT(1000)},
    {"first-x", 4, false, {NULL}, {FIRST_IS(RESTING, FULL), {"last", "k", OPEN}}, WAIT(5000)},
    /* who has refused it for good is not asked again */
    {"first-x", 4, false, {"first"}, {{0}}, FOUND("last", "k")},
    {"first-x", 4, false, {"first", "last"}, {{0}}, NONE},
    {"cartoon", 4, false, {"ours"}, {{0}}, NONE},
    /* fit: strict */
    {"exact", 4, false, {NULL}, {{0}}, FOUND("strict", "k")},
    {"exact", 8, false, {NULL}, {{0}}, FOUND("strict", "k")},
    {"exact", 5, false, {NULL}, {{0}}, NONE},
    {"first-x", 5, false, {NULL}, {FIRST_IS(WELL, FULL)}, FOUND("first", "a")},
    /* the built-in engine */
    {"cartoon", 4, false, {NULL}, {{0}}, FOUND("ours", NULL)},
    {"cartoon", 4, true, {NULL}, {{0}}, WAIT(-1)},
    {"cartoon", 4, false, {NULL}, {{"ours", "", PAUSED}}, WAIT(-1)},
    {"cartoon", 4, false, {NULL}, {{"ours", "", DRAINING}}, WAIT(-1)},
};

/* Whether a slot of ours is among what it waits for. */
static void a_wait_for_our_own_engine_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        bool is_animatic_taken, waits_local;
    } rows[] = {{"shared", true, true}, {"cartoon", true, true}, {"first-x", true, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place = place_new(CHANNELS, ARRAY_LENGTH(CHANNELS), rows[i].model);
        ail(credential_of(place.credentials, "first", "a"), FULL);
        ail(credential_of(place.credentials, "first", "b"), OPEN);
        ail(credential_of(place.credentials, "last", "k"), PAUSED);
        struct route route =
            credentials_route(place.credentials, place.table,
                              &(struct route_query){.task = place.task,
                                                    .animatic_is_free = !rows[i].is_animatic_taken,
                                                    .now_ms = NOW_MS,
                                                    .dice = 7});
        assert_int_equal(route.kind, ROUTE_WAIT);
        assert_int_equal(route.waits_local, rows[i].waits_local);
        place_end(&place);
    }
}

/* Told once, when half of the submits have been answered: not with each, and not when nobody had found the place taken. */
static void room_for_more_submits_is_told_once(void **state)
{
    (void)state;
    struct place place = place_new(CHANNELS, ARRAY_LENGTH(CHANNELS), "first-x");
    struct credential *credential = credential_of(place.credentials, "first", "a");
    const struct route_query query = {.task = place.task, .now_ms = NOW_MS, .dice = 7};
    int n_told = 0;
    credential->n_submitting = CREDENTIAL_SUBMITS_MAX - 1;
    (void)credentials_route(place.credentials, place.table, &query);
    assert_false(credential_take_wanted(credential));
    credential->n_submitting = CREDENTIAL_SUBMITS_MAX;
    (void)credentials_route(place.credentials, place.table, &query);
    while (credential->n_submitting-- > 0) {
        bool has_room = credential_take_wanted(credential);
        assert_int_equal(has_room, credential->n_submitting == CREDENTIAL_SUBMITS_MAX / 2);
        n_told += has_room;
    }
    assert_int_equal(n_told, 1);
    credential->n_submitting = 0;
    place_end(&place);
}

static void check_route(const struct row *row, const struct route *route, size_t number)
{
    bool is_right =
        route->kind == row->kind && (row->kind == ROUTE_FOUND || route->retry_ms == row->retry_ms);
    if (is_right && row->kind == ROUTE_FOUND) {
        is_right = strcmp(route->channel->name, row->channel) == 0 &&
                   (row->key ? route->identity && strcmp(route->identity->name, row->key) == 0 &&
                                   strcmp(route->credential->name, row->key) == 0 &&
                                   strcmp(route->credential->channel, row->channel) == 0
                             : !route->identity && !route->credential);
    }
    if (!is_right) {
        fail_msg("row %zu: kind %d, channel %s, key %s, retry after %lld", number, (int)route->kind,
                 route->channel ? route->channel->name : "-",
                 route->identity ? route->identity->name : "-", (long long)route->retry_ms);
    }
}

static void a_task_goes_where_it_is_served_best(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ROWS); i++) {
        const struct row *row = &ROWS[i];
        struct place place = place_new(CHANNELS, ARRAY_LENGTH(CHANNELS), row->model);
        place.task->request->duration_s = row->duration_s;
        for (size_t k = 0; k < ARRAY_LENGTH(row->refused_by) && row->refused_by[k]; k++) {
            place.task->refused_by[place.task->n_refused++] = task_channel_mark(row->refused_by[k]);
        }
        for (size_t k = 0; k < ARRAY_LENGTH(row->conditions) && row->conditions[k].channel; k++) {
            const struct condition *condition = &row->conditions[k];
            ail(credential_of(place.credentials, condition->channel, condition->credential),
                condition->what);
        }
        for (uint64_t dice = 0; dice < 16; dice++) {
            struct route route =
                credentials_route(place.credentials, place.table,
                                  &(struct route_query){.task = place.task,
                                                        .animatic_is_free = !row->is_animatic_taken,
                                                        .now_ms = NOW_MS,
                                                        .dice = dice << 59});
            check_route(row, &route, i);
        }
        place_end(&place);
    }
}

/* ---- shares ---- */

enum { THROWS = 30000 };

/* As random numbers are: all bits of them. */
static uint64_t throw_dice(uint64_t *seed)
{
    uint64_t dice = *seed += 0x9e3779b97f4a7c15U;
    dice = (dice ^ dice >> 30) * 0xbf58476d1ce4e5b9U;
    dice = (dice ^ dice >> 27) * 0x94d049bb133111ebU;
    return dice ^ dice >> 31;
}

static const struct settings_channel WEIGHED[] = {
    {.name = "one", AT_VENDOR, .weight = 1, .fit = "nearest", MODELS(ALL)},
    {.name = "five", AT_VENDOR, .weight = 5, .fit = "nearest", MODELS(ALL)},
    {.name = "three", AT_VENDOR, .weight = 3, .fit = "nearest", MODELS(ALL)},
    {.name = "ours", .adapter = "animatic", .weight = 2, MODELS(ALL)},
    {.name = "below", AT_VENDOR, .priority = -1, .weight = 1000, .fit = "nearest", MODELS(ALL)},
};

struct shares {
    enum ailment one, five, three;
    bool is_animatic_taken;
    int64_t percent[5]; /* as the channels stand above */
};

static const struct shares SHARES[] = {
    {WELL, WELL, WELL, false, {9, 45, 27, 18, 0}}, /* of 11 */
    {WELL, FULL, WELL, false, {17, 0, 50, 33, 0}}, /* of 6 */
    {WELL, WELL, OPEN, true, {17, 83, 0, 0, 0}},   {FULL, PAUSED, WELL, true, {0, 0, 100, 0, 0}},
    {FULL, FULL, FULL, true, {0, 0, 0, 0, 100}},
};

static size_t index_of(const char *channel)
{
    size_t i = 0;
    while (strcmp(WEIGHED[i].name, channel) != 0) {
        i++;
    }
    return i;
}

static void who_is_well_has_the_share_of_its_weight(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(SHARES); i++) {
        const struct shares *row = &SHARES[i];
        struct place place = place_new(WEIGHED, ARRAY_LENGTH(WEIGHED), "any");
        int64_t counts[ARRAY_LENGTH(WEIGHED)] = {0};
        uint64_t seed = i;
        ail(credential_of(place.credentials, "one", "k"), row->one);
        ail(credential_of(place.credentials, "five", "k"), row->five);
        ail(credential_of(place.credentials, "three", "k"), row->three);
        for (int n = 0; n < THROWS; n++) {
            struct route route =
                credentials_route(place.credentials, place.table,
                                  &(struct route_query){.task = place.task,
                                                        .animatic_is_free = !row->is_animatic_taken,
                                                        .now_ms = NOW_MS,
                                                        .dice = throw_dice(&seed)});
            assert_int_equal(route.kind, ROUTE_FOUND);
            counts[index_of(route.channel->name)]++;
        }
        for (size_t k = 0; k < ARRAY_LENGTH(counts); k++) {
            int64_t off = counts[k] * 100 / THROWS - row->percent[k];
            if (off < -2 || off > 2 || (row->percent[k] == 0 && counts[k] > 0)) {
                fail_msg("row %zu: \"%s\" has %lld of %d", i, WEIGHED[k].name, (long long)counts[k],
                         THROWS);
            }
        }
        place_end(&place);
    }
}

static void credentials_of_one_channel_have_like_shares(void **state)
{
    (void)state;
    struct place place = place_new(CHANNELS, ARRAY_LENGTH(CHANNELS), "first-x");
    int n_first = 0;
    uint64_t seed = 1;
    for (int n = 0; n < THROWS; n++) {
        struct route route = credentials_route(place.credentials, place.table,
                                               &(struct route_query){.task = place.task,
                                                                     .animatic_is_free = true,
                                                                     .now_ms = NOW_MS,
                                                                     .dice = throw_dice(&seed)});
        assert_string_equal(route.channel->name, "first");
        n_first += strcmp(route.identity->name, "a") == 0;
    }
    assert_in_range(n_first, THROWS * 47 / 100, THROWS * 53 / 100);
    place_end(&place);
}

/* ---- looking takes nothing ---- */

static void a_look_takes_nothing(void **state)
{
    (void)state;
    struct place place = place_new(CHANNELS, ARRAY_LENGTH(CHANNELS), "first-x");
    struct credential *credential = credential_of(place.credentials, "first", "a");
    ail(credential, WAITING);
    const struct credential before = *credential;
    for (uint64_t n = 0, seed = 1; n < 100; n++) {
        struct route route = credentials_route(place.credentials, place.table,
                                               &(struct route_query){.task = place.task,
                                                                     .animatic_is_free = true,
                                                                     .now_ms = NOW_MS,
                                                                     .dice = throw_dice(&seed)});
        assert_int_equal(route.kind, ROUTE_FOUND);
    }
    assert_int_equal(credential->n_in_flight, 0);
    assert_int_equal(credential->breaker.state, before.breaker.state);
    assert_int_equal(credential->breaker.until_ms, before.breaker.until_ms);
    assert_true(credential->submits.spent <= 0);
    place_end(&place);
}

/* After the time that was told there is a way, and a millisecond before it there is none. */
static void a_wait_that_is_told_is_enough(void **state)
{
    (void)state;
    static const enum ailment ailments[] = {OPEN, TRIED, RESTING, SPENT};
    for (size_t i = 0; i < ARRAY_LENGTH(ailments); i++) {
        struct place place = place_new(CHANNELS, ARRAY_LENGTH(CHANNELS), "first-x");
        place.task->refused_by[place.task->n_refused++] = task_channel_mark("last");
        ail(credential_of(place.credentials, "first", "a"), ailments[i]);
        ail(credential_of(place.credentials, "first", "b"), FULL);
        struct route route = credentials_route(
            place.credentials, place.table,
            &(struct route_query){
                .task = place.task, .animatic_is_free = true, .now_ms = NOW_MS, .dice = 7});
        assert_int_equal(route.kind, ROUTE_WAIT);
        assert_true(route.retry_ms > 0);
        int64_t then_ms = NOW_MS + route.retry_ms;
        route = credentials_route(
            place.credentials, place.table,
            &(struct route_query){
                .task = place.task, .animatic_is_free = true, .now_ms = then_ms - 1, .dice = 7});
        assert_int_equal(route.kind, ROUTE_WAIT);
        route = credentials_route(
            place.credentials, place.table,
            &(struct route_query){
                .task = place.task, .animatic_is_free = true, .now_ms = then_ms, .dice = 7});
        assert_int_equal(route.kind, ROUTE_FOUND);
        place_end(&place);
    }
}

/* The other credential of the channel before the next channel, and that before waiting; itself only when there is no other. */
static void who_turned_it_away_is_asked_last(void **state)
{
    (void)state;
    static const struct {
        enum ailment avoided, other, last;
        const char *channel, *key; /* NULL: it waits */
    } rows[] = {
        {WELL, WELL, WELL, "first", "b"},   {WELL, FULL, WELL, "last", "k"},
        {OPEN, FULL, WELL, "last", "k"},    {WELL, FULL, FULL, "first", "a"},
        {WELL, OPEN, PAUSED, "first", "a"}, {OPEN, FULL, FULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place = place_new(CHANNELS, ARRAY_LENGTH(CHANNELS), "first-x");
        struct credential *avoided = credential_of(place.credentials, "first", "a");
        ail(avoided, rows[i].avoided);
        ail(credential_of(place.credentials, "first", "b"), rows[i].other);
        ail(credential_of(place.credentials, "last", "k"), rows[i].last);
        for (uint64_t dice = 0; dice < 8; dice++) {
            const struct route_query query = {
                .task = place.task, .now_ms = NOW_MS, .dice = dice << 60, .avoided = avoided};
            struct route route = credentials_route(place.credentials, place.table, &query);
            assert_int_equal(route.kind, rows[i].channel ? ROUTE_FOUND : ROUTE_WAIT);
            if (rows[i].channel) {
                assert_string_equal(route.channel->name, rows[i].channel);
                assert_string_equal(route.identity->name, rows[i].key);
            }
        }
        place_end(&place);
    }
}

/* ---- the list ---- */

static void a_credential_stays_where_it_is(void **state)
{
    (void)state;
    struct credentials *credentials = credentials_new();
    assert_null(credentials_first(credentials));
    struct credential *first = credential_of(credentials, "x", "a");
    assert_ptr_not_equal(credential_of(credentials, "x", "b"), first);
    assert_ptr_not_equal(credential_of(credentials, "y", "a"), first);
    assert_ptr_equal(credential_of(credentials, "x", "a"), first);
    assert_ptr_equal(credentials_first(credentials), first);
    assert_null(first->next->next->next);
    credentials_free(credentials);
    assert_null(credentials_free(NULL));
}

static void an_order_counts_for_credentials_that_come_later(void **state)
{
    (void)state;
    static const enum ailment orders[] = {WELL, PAUSED, DRAINING};
    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
        struct credentials *credentials = credentials_new();
        ail(credential_of(credentials, "other", "a"), PAUSED);
        ail(credential_of(credentials, "x", "a"), orders[i]);
        const struct credential *later = credential_of(credentials, "x", "b");
        assert_int_equal(later->is_paused, orders[i] == PAUSED);
        assert_int_equal(later->is_draining, orders[i] == DRAINING);
        later = credential_of(credentials, "y", "b");
        assert_false(later->is_paused || later->is_draining);
        credentials_free(credentials);
    }
}

static void an_error_is_noted_with_its_time(void **state)
{
    (void)state;
    char longer[2 * CREDENTIAL_NOTE_SIZE];
    struct credentials *credentials = credentials_new();
    struct credential *credential = credential_of(credentials, "x", "a");
    assert_int_equal(credential->last_error_ms, 0);
    memset(longer, 'e', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    credential_note_error(credential, longer);
    assert_int_equal(strlen(credential->last_error), CREDENTIAL_NOTE_SIZE - 1);
    assert_true(credential->last_error_ms > 0);
    for (size_t i = 0; i + 2 < sizeof longer; i += 2)
        memcpy(longer + i, "\xc3\xa9", 2);
    credential_note_error(credential, longer); /* else operators cannot read it */
    assert_int_equal(strlen(credential->last_error), CREDENTIAL_NOTE_SIZE - 2);
    credential_note_error(credential, "out of reach");
    assert_string_equal(credential->last_error, "out of reach");
    credentials_free(credentials);
}

/* ---- what is learned ---- */

enum { LESSONS_MOST = 256 };

static bool is_fresh(const struct policy_durations *durations)
{
    return durations->total <= 0;
}

static void what_is_learned_is_kept_by_channel_model_and_length(void **state)
{
    (void)state;
    static const struct {
        const char *channel, *model;
        int duration_s;
    } rows[] = {{"x", "m", 4}, {"y", "m", 4}, {"x", "n", 4}, {"x", "m", 8}, {"m", "x", 4}};
    struct credentials *credentials = credentials_new();
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct policy_durations *lesson =
            credentials_durations(credentials, rows[i].channel, rows[i].model, rows[i].duration_s);
        assert_true(is_fresh(lesson));
        policy_learn(lesson, 1000, 0);
        assert_ptr_equal(
            credentials_durations(credentials, rows[i].channel, rows[i].model, rows[i].duration_s),
            lesson);
    }
    credentials_free(credentials);
}

static void the_oldest_lesson_makes_place_for_one_too_many(void **state)
{
    (void)state;
    struct credentials *credentials = credentials_new();
    for (int i = 1; i <= LESSONS_MOST; i++) {
        policy_learn(credentials_durations(credentials, "x", "m", i), 1000, 0);
    }
    assert_false(is_fresh(credentials_durations(credentials, "x", "m", 1)));
    policy_learn(credentials_durations(credentials, "x", "m", LESSONS_MOST + 1), 1000, 0);
    for (int i = 2; i <= LESSONS_MOST + 1; i++) {
        assert_false(is_fresh(credentials_durations(credentials, "x", "m", i)));
    }
    assert_true(is_fresh(credentials_durations(credentials, "x", "m", 1)));
    credentials_free(credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_goes_where_it_is_served_best),
        cmocka_unit_test(a_wait_for_our_own_engine_is_told_apart),
        cmocka_unit_test(room_for_more_submits_is_told_once),
        cmocka_unit_test(who_is_well_has_the_share_of_its_weight),
        cmocka_unit_test(credentials_of_one_channel_have_like_shares),
        cmocka_unit_test(a_look_takes_nothing),
        cmocka_unit_test(a_wait_that_is_told_is_enough),
        cmocka_unit_test(who_turned_it_away_is_asked_last),
        cmocka_unit_test(a_credential_stays_where_it_is),
        cmocka_unit_test(an_order_counts_for_credentials_that_come_later),
        cmocka_unit_test(an_error_is_noted_with_its_time),
        cmocka_unit_test(what_is_learned_is_kept_by_channel_model_and_length),
        cmocka_unit_test(the_oldest_lesson_makes_place_for_one_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
