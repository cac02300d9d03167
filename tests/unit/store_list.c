/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of tasks: what each filter lets through, pages while tasks come in and change, looks that are cut short, and the
 * indexes that the statements walk along. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sqlite3.h>

#include "store/sqlite.h"
#include "store_scene.h"

enum { MADE = 24, PAGE = 5, ALL = STORE_LIST_MAX };

#define BIT(name) (1u << TASK_##name)

/* ---- the stage: tasks of every state, two tenants, four models, three prompts ---- */

static const char *const models[] = {"sora-2", "grok-video-3", "grok-video-3-pro", "veo3"};
static const char *const prompts[] = {"a red Balloon over \"quiet\" hills", "BALLOONS\nand a cat",
                                      "a dog by the sea"};

static void change_text(char **text, const char *to)
{
    free(*text);
    *text = must_strdup(to);
}

/* The next revision of `task`, in any state. */
static struct task *in_state(const struct task *task, enum task_state state)
{
    struct task *copy = fixture_completed(task, FIXTURE_MS + 500000, 0);
    if (state == TASK_COMPLETED)
        return copy;
    memset(&copy->result, 0, sizeof copy->result);
    copy->state = state;
    copy->progress = 0.5;
    copy->ended_ms = task_state_is_end(state) ? copy->ended_ms : 0;
    copy->failure = state == TASK_FAILED      ? TASK_FAILURE_DEADLINE
                    : state == TASK_CANCELLED ? TASK_FAILURE_CANCELLED
                                              : TASK_FAILURE_NONE;
    return copy;
}

static void change_state(struct scene *scene, const struct task *task, enum task_state state)
{
    struct task *changed = in_state(task, state);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, changed), STORE_WRITTEN);
    task_unref(changed);
}

/* Task `i`: tenant, model, prompt and state go round at paces of their own, three share a microsecond. */
static struct task *make(struct scene *scene, int i)
{
    struct task *task =
        fixture_task(i % 3 == 2 ? "tenant-2" : "tenant-1", FIXTURE_MICROS + i / 3 * 1000000);
    change_text(&task->request->model, models[i % 4]);
    change_text(&task->request->prompt, prompts[i % 5 % 3]);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    enum task_state state = (enum task_state)(i % TASK_STATE_COUNT);
    if (state != TASK_QUEUED)
        change_state(scene, task, state);
    return task;
}

static bool is_wanted(const struct store_list_query *query, const struct task *task, int i)
{
    const struct task_request *request = task->request;
    enum task_state state = (enum task_state)(i % TASK_STATE_COUNT);
    return (query->tenant == NULL || strcmp(query->tenant, request->tenant) == 0) &&
           (query->states == 0 || (query->states & 1u << state) != 0) &&
           (query->from_micros == 0 || request->created_micros >= query->from_micros) &&
           (query->until_micros == 0 || request->created_micros < query->until_micros) &&
           (query->model == NULL ||
            strncmp(request->model, query->model,
                    query->is_model_prefix ? strlen(query->model) : 99) == 0) &&
           (query->text == NULL || strcasestr(request->prompt, query->text) != NULL);
}

/* ---- filters ---- */

static const struct store_list_query filters[] = {
    {.states = 0},
    {.states = BIT(QUEUED)},
    {.states = BIT(RENDERING) | BIT(FETCHING)},
    {.states = BIT(FAILED)},
    {.states = BIT(CANCELLED) | BIT(COMPLETED)},
    {.states = BIT(COMPLETED) | BIT(FAILED) | BIT(CANCELLED)},
    {.states = BIT(QUEUED) | BIT(SUBMITTING) | BIT(RENDERING) | BIT(FETCHING)},
    {.states = BIT(QUEUED) | BIT(COMPLETED)},
    {.states = BIT(SUBMITTING) | BIT(COMPLETED) | BIT(FAILED) | BIT(CANCELLED)},
    {.states = (1u << TASK_STATE_COUNT) - 1},
    {.model = "sora-2"},
    {.model = "grok-video-3"},
    {.model = "grok", .is_model_prefix = true},
    {.model = "", .is_model_prefix = true},
    {.model = "nothing"},
    {.from_micros = FIXTURE_MICROS + 3000000},
    {.until_micros = FIXTURE_MICROS + 3000000},
    {.from_micros = FIXTURE_MICROS + 2000000, .until_micros = FIXTURE_MICROS + 4000001},
    {.from_micros = FIXTURE_MICROS + 2000000, .until_micros = FIXTURE_MICROS + 2000000},
    {.text = "balloon"},
    {.text = "over \"QUIET\" h"},
    {.text = "s\nand"},
    {.text = "simple_compose"}, /* stands in the record, not in the prompt */
    {.text = "prompt"},
    {.text = "b",
     .model = "grok",
     .is_model_prefix = true,
     .states = BIT(FAILED) | BIT(QUEUED),
     .from_micros = FIXTURE_MICROS + 1000000},
};

static bool is_older(const struct task *a, const struct task *b)
{
    int64_t micros = a->request->created_micros, other = b->request->created_micros;
    return micros < other || (micros == other && strcmp(a->request->id, b->request->id) < 0);
}

/* Those of `tasks` that are wanted, oldest first. */
static size_t expect(struct task *const *tasks, const struct store_list_query *query,
                     const struct task *ret_expected[MADE])
{
    size_t count = 0;
    for (int i = 0; i < MADE; i++) {
        size_t at = count;
        if (!is_wanted(query, tasks[i], i))
            continue;
        for (; at > 0 && is_older(tasks[i], ret_expected[at - 1]); at--)
            ret_expected[at] = ret_expected[at - 1];
        ret_expected[at] = tasks[i];
        count++;
    }
    return count;
}

/* All that `asked` yields, look after look, must be those of `tasks` that are wanted, in order. */
static void expect_exactly(struct scene *scene, struct task *const *tasks,
                           const struct store_list_query *asked)
{
    struct store_list_query query = *asked;
    struct store_list_end end = {.has_more = true};
    const struct task *page[ALL], *expected[MADE];
    size_t n_expected = expect(tasks, asked, expected), seen = 0;

    while (end.has_more) {
        size_t count = 0;
        assert_int_equal(store_list_look(scene->store, &query, page, &count, &end), 0);
        assert_true(count <= query.limit);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_true(seen < n_expected);
            size_t place = asked->ascending ? seen : n_expected - 1 - seen;
            assert_string_equal(page[i]->request->id, expected[place]->request->id);
            task_unref(page[i]);
        }
        query.before_micros = end.micros;
        query.before_id = end.id;
    }
    assert_int_equal(seen, n_expected);
}

static void each_filter_lets_through_what_it_names(void **state)
{
    static const char *const tenants[] = {NULL, "tenant-1", "tenant-2", "nobody"};
    static const size_t limits[] = {1, 4, ALL};
    struct scene *scene = *state;
    struct task *tasks[MADE];

    for (int i = 0; i < MADE; i++)
        tasks[i] = make(scene, i);
    for (size_t i = 0; i < ARRAY_LENGTH(filters) * ARRAY_LENGTH(tenants) * 3 * 2 * 2; i++) {
        struct store_list_query query = filters[i / 48];
        query.tenant = tenants[i / 12 % 4];
        query.limit = limits[i / 4 % 3];
        query.ascending = i / 2 % 2 != 0;
        query.look_rows = i % 2 != 0 ? 3 : 0;
        expect_exactly(scene, tasks, &query);
    }
    for (int i = 0; i < MADE; i++)
        task_unref(tasks[i]);
}

static void a_text_that_is_none_is_an_error(void **state)
{
    struct scene *scene = *state;
    struct store_list_query query = {.text = "\xff", .limit = 1};
    const struct task *found[1];
    size_t count = 99;
    assert_int_equal(store_list(scene->store, &query, found, &count), -EINVAL);
    assert_int_equal(count, 99);
}

/* ---- looks that are cut short ---- */

static void a_look_ends_where_it_may_and_goes_on_there(void **state)
{
    struct scene *scene = *state;
    struct store_list_query query = {.text = "needle", .limit = 2, .look_rows = 10};
    struct store_list_end end;
    const struct task *found[2];
    size_t count = 0;
    struct task *oldest = fixture_task("tenant-1", FIXTURE_MICROS);

    change_text(&oldest->request->prompt, "the Needle");
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, oldest), STORE_WRITTEN);
    for (int i = 1; i <= 25; i++)
        scene_create(scene, "tenant-1", FIXTURE_MICROS + i);
    for (int look = 0; look < 2; look++) {
        assert_int_equal(store_list_look(scene->store, &query, found, &count, &end), 0);
        assert_int_equal(count, 0);
        assert_true(end.has_more);
        assert_int_equal(end.micros, FIXTURE_MICROS + 16 - 10 * look);
        query.before_micros = end.micros;
        query.before_id = end.id;
    }
    assert_int_equal(store_list_look(scene->store, &query, found, &count, &end), 0);
    assert_int_equal(count, 1);
    assert_false(end.has_more);
    assert_string_equal(found[0]->request->id, oldest->request->id);
    task_unref(found[0]);
    /* in one go, however many looks it takes */
    query = (struct store_list_query){.text = "needle", .limit = 2, .look_rows = 4};
    assert_int_equal(store_list(scene->store, &query, found, &count), 0);
    assert_int_equal(count, 1);
    task_unref(found[0]);
    task_unref(oldest);
}

static void the_end_is_known_at_a_full_page(void **state)
{
    struct scene *scene = *state;
    struct store_list_end end;
    const struct task *found[PAGE];
    size_t count = 0;

    for (int i = 0; i < PAGE; i++)
        scene_create(scene, "tenant-1", FIXTURE_MICROS + i);
    struct store_list_query query = {.limit = PAGE};
    assert_int_equal(store_list_look(scene->store, &query, found, &count, &end), 0);
    assert_int_equal(count, PAGE);
    assert_false(end.has_more);
    for (int i = 0; i < PAGE; i++)
        task_unref(found[i]);
    query.limit = PAGE - 1;
    assert_int_equal(store_list_look(scene->store, &query, found, &count, &end), 0);
    assert_int_equal(count, PAGE - 1);
    assert_true(end.has_more);
    for (int i = 0; i < PAGE - 1; i++)
        task_unref(found[i]);
}

/* A cursor of another list lies where it likes; a bound holds all the same. */
static void a_bound_holds_whatever_the_cursor(void **state)
{
    struct scene *scene = *state;
    static const struct store_list_query queries[] = {
        {.before_micros = FIXTURE_MICROS + 8, .until_micros = FIXTURE_MICROS + 5},
        {.before_micros = FIXTURE_MICROS + 3, .until_micros = FIXTURE_MICROS + 5},
        {.before_micros = FIXTURE_MICROS + 1, .from_micros = FIXTURE_MICROS + 5, .ascending = true},
        {.before_micros = FIXTURE_MICROS + 7, .from_micros = FIXTURE_MICROS + 5, .ascending = true},
    };
    static const size_t counts[] = {5, 3, 5, 3};
    for (int i = 0; i < 10; i++)
        scene_create(scene, "tenant-1", FIXTURE_MICROS + i);
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
        struct store_list_query query = queries[i];
        const struct task *found[ALL];
        size_t count = 0;
        query.limit = ALL;
        query.before_id = "";
        assert_int_equal(store_list(scene->store, &query, found, &count), 0);
        assert_int_equal(count, counts[i]);
        for (size_t j = 0; j < count; j++)
            task_unref(found[j]);
    }
}

/* ---- pages while tasks come in and change ---- */

/* Walks through `query` page by page; before each page tasks are made at both ends, and one of `tasks` that has not been
 * shown yet changes. How often each of `tasks` was seen. */
static void walk(struct scene *scene, const struct store_list_query *asked,
                 struct task *const *tasks, int ret_seen[MADE])
{
    struct store_list_query query = *asked;
    struct store_list_end end = {.has_more = true};
    const struct task *page[PAGE];

    memset(ret_seen, 0, MADE * sizeof *ret_seen);
    for (int turn = 0; end.has_more; turn++) {
        size_t count = 0;
        scene_create(scene, "tenant-1", FIXTURE_MICROS + 100000000 + turn);
        scene_create(scene, "tenant-1", FIXTURE_MICROS - 100000000 - turn);
        if (turn < MADE)
            change_state(scene, tasks[turn], TASK_RENDERING);
        assert_int_equal(store_list_look(scene->store, &query, page, &count, &end), 0);
        for (size_t i = 0; i < count; i++) {
            for (int j = 0; j < MADE; j++)
                ret_seen[j] += strcmp(tasks[j]->request->id, page[i]->request->id) == 0;
            task_unref(page[i]);
        }
        query.before_micros = end.micros;
        query.before_id = end.id;
        assert_true(turn < 1000);
        if (query.before_micros < FIXTURE_MICROS - 1 && !query.ascending)
            break; /* what is made before it goes on for ever */
        if (query.before_micros > FIXTURE_MICROS + 99999999 && query.ascending)
            break;
    }
}

static void a_walk_meets_each_task_once(void **state)
{
    static const struct store_list_query walks[] = {
        {.limit = PAGE},
        {.limit = PAGE, .tenant = "tenant-1"},
        {.limit = 3, .tenant = "tenant-1", .ascending = true},
        {.limit = PAGE, .ascending = true},
        {.limit = 2, .states = BIT(QUEUED) | BIT(RENDERING)},
        {.limit = PAGE, .look_rows = 2, .model = "sora-2"},
    };
    struct scene *scene = *state;
    struct task *tasks[MADE];
    int seen[MADE];

    for (int i = 0; i < MADE; i++) {
        tasks[i] = fixture_task("tenant-1", FIXTURE_MICROS + i / 4);
        assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, tasks[i]), STORE_WRITTEN);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(walks); i++) {
        walk(scene, &walks[i], tasks, seen);
        for (int j = 0; j < MADE; j++)
            if (seen[j] != 1)
                fail_msg("walk %zu met task %d %d times", i, j, seen[j]);
    }
    for (int i = 0; i < MADE; i++)
        task_unref(tasks[i]);
}

/* ---- plans ---- */

/* Every step of the plan is a search along an index, and nothing is sorted. */
static void check_plan(sqlite3 *db, const struct store_list_query *query)
{
    CLEANUP(buf_fini) struct buf sql;
    sqlite3_stmt *statement = NULL;
    int searches = 0;

    buf_init(&sql, 8192);
    buf_puts(&sql, "EXPLAIN QUERY PLAN ");
    struct buf list;
    buf_init(&list, 4096);
    sqlite_list_sql(query, &list);
    buf_puts(&sql, buf_text(&list));
    buf_fini(&list);
    assert_int_equal(sqlite3_prepare_v2(db, buf_text(&sql), -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(statement, 3);
        bool is_search = strncmp(step, "SEARCH tasks USING INDEX tasks_", 31) == 0;
        bool is_merge = strcmp(step, "LEFT") == 0 || strcmp(step, "RIGHT") == 0 ||
                        strncmp(step, "MERGE", 5) == 0;
        if (!is_search && !is_merge)
            fail_msg("%s: in the plan of %s", step, buf_text(&sql));
        /* from the cursor on, and no further than asked */
        if (is_search && strstr(step, "(created_micros,id)") == NULL)
            fail_msg("%s: in the plan of %s", step, buf_text(&sql));
        if (is_search &&
            strstr(step, query->ascending ? "created_micros<?" : "created_micros>?") == NULL)
            fail_msg("%s: in the plan of %s", step, buf_text(&sql));
        searches += is_search;
    }
    sqlite3_finalize(statement);
    assert_true(searches >= 1 && searches <= 4);
}

static void every_list_walks_along_an_index(void **state)
{
    struct scene *scene = *state;
    char path[FIXTURE_PATH_SIZE + 16];
    sqlite3 *db = NULL;

    fixture_database(scene->directory, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (unsigned states = 0; states < 1u << TASK_STATE_COUNT; states++)
        for (int i = 0; i < 4; i++)
            check_plan(db, &(struct store_list_query){.tenant = i % 2 != 0 ? "tenant-1" : NULL,
                                                      .ascending = i / 2 != 0,
                                                      .states = states,
                                                      .limit = 1});
    sqlite3_close(db);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        SCENE_CASE(each_filter_lets_through_what_it_names),
        SCENE_CASE(a_text_that_is_none_is_an_error),
        SCENE_CASE(a_look_ends_where_it_may_and_goes_on_there),
        SCENE_CASE(the_end_is_known_at_a_full_page),
        SCENE_CASE(a_bound_holds_whatever_the_cursor),
        SCENE_CASE(a_walk_meets_each_task_once),
        SCENE_CASE(every_list_walks_along_an_index),
    };
    return scene_run(cases, ARRAY_LENGTH(cases));
}
