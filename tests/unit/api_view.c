/* SPDX-License-Identifier: Apache-2.0
 *
 * api/view.h: when a view still holds, what the cache keeps, and that its bound holds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/view.h"
#include "base/id.h"
#include "base/must.h"

static const int64_t NOW_MS = 1790000000000;
static const int64_t WEEK_MS = 7LL * 24 * 3600 * 1000;
static const struct link_key KEY = {{1, 2, 3}};
static const uint8_t SECRET[32] = {4, 5, 6};
static const struct engine_figures NO_FIGURES = {.wait_s = -1};

/* A queued task; `with_bytes`: with an image of which we hold the bytes, so that its answer has a link. */
static struct task *make_task(bool with_bytes)
{
    struct task_request *request = task_request_new();
    id_new("task", request->id, sizeof(request->id));
    request->tenant = must_strdup("someone");
    request->model = must_strdup("sora-2");
    request->request_id = must_strdup("req");
    request->prompt = must_strdup("make animate");
    request->orientation = must_strdup("portrait");
    request->size = must_strdup("small");
    request->operation = must_strdup("simple_compose");
    request->created_micros = NOW_MS * 1000;
    request->duration_s = 10;
    request->width = 352;
    request->height = 640;
    request->n_frames = 300;
    request->priority = 2;
    request->n_variants = 1;
    if (with_bytes) {
        char key[100];
        request->images = must_calloc(1, sizeof(request->images[0]));
        request->n_images = 1;
        id_new("media", request->images[0].media_id, sizeof(request->images[0].media_id));
        snprintf(key, sizeof(key), "%s/%s.png", request->id, request->images[0].media_id);
        request->images[0].key = must_strdup(key);
        request->images[0].sha256 = must_strdup("00");
    }
    return task_new(request, NOW_MS + WEEK_MS);
}

/* The same task, begun: another revision, and no figures of a queue. */
static struct task *begin(const struct task *task)
{
    struct task *begun = task_copy(task);
    begun->state = TASK_RENDERING;
    begun->started_ms = NOW_MS;
    begun->revision = task->revision + 1;
    return begun;
}

static struct view_source source_at(const char *base, int64_t now_ms)
{
    return (struct view_source){.link_key = &KEY,
                                .secret = SECRET,
                                .valid_for_ms = WEEK_MS,
                                .base = base,
                                .dialect = DIALECT_UNIFIED,
                                .now_ms = now_ms};
}

static struct view *render(const struct task *task, const char *base, int64_t now_ms)
{
    struct view_source source = source_at(base, now_ms);
    struct view *view = view_new(&source, task, &NO_FIGURES, true);
    assert_non_null(view);
    return view;
}

static void put(struct view_cache *cache, const struct task *task, const char *base)
{
    struct view_source source = source_at(base, NOW_MS);
    struct view *view = view_new(&source, task, &NO_FIGURES, true);
    assert_non_null(view);
    view_cache_put(cache, task, &source, view);
    view_unref(view);
}

static bool has(struct view_cache *cache, const struct task *task, const char *base, int64_t now_ms)
{
    struct view_source source = source_at(base, now_ms);
    struct view *view = view_cache_find(cache, task, &source);
    bool is_there = view != NULL;
    view_unref(view);
    return is_there;
}

static void a_view_is_shared_until_the_task_changes(void **state)
{
    (void)state;
    struct view_cache *cache = view_cache_new(1024 * 1024);
    struct task *queued = make_task(false);
    struct task *task = begin(queued);
    struct task *later = begin(task);
    put(cache, task, "http://a");
    struct view_source now = source_at("http://a", NOW_MS);
    struct view_source next_week = source_at("http://a", NOW_MS + WEEK_MS);
    struct view_source elsewhere = now;
    elsewhere.dialect = DIALECT_NONE;
    struct view *one = view_cache_find(cache, task, &now);
    struct view *two = view_cache_find(cache, task, &next_week);
    assert_null(view_cache_find(cache, task, &elsewhere));
    assert_non_null(one);
    assert_ptr_equal(one, two);
    assert_ptr_equal(view_response(one, false), view_response(two, false));
    assert_ptr_not_equal(view_response(one, false), view_response(one, true));
    assert_false(has(cache, task, "http://b", NOW_MS));
    assert_false(has(cache, later, "http://a", NOW_MS));
    put(cache, later, "http://a");
    assert_true(has(cache, later, "http://a", NOW_MS));
    put(cache, task, "http://a"); /* rendered late by another thread */
    assert_true(has(cache, later, "http://a", NOW_MS));
    assert_true(strstr(view_text(one), "\"status\":\"pending\"") != NULL); /* ours still */
    view_unref(one);
    view_unref(two);
    task_unref(queued);
    task_unref(task);
    task_unref(later);
    view_cache_free(cache);
}

static void figures_of_a_waiting_task_age(void **state)
{
    (void)state;
    struct view_cache *cache = view_cache_new(1024 * 1024);
    struct task *task = make_task(false);
    put(cache, task, "http://a");
    assert_true(has(cache, task, "http://a", NOW_MS + VIEW_FIGURES_MS - 1));
    assert_false(has(cache, task, "http://a", NOW_MS + VIEW_FIGURES_MS));
    assert_false(has(cache, task, "http://a", NOW_MS - 1)); /* the clock was set back */
    task_unref(task);
    view_cache_free(cache);
}

static void links_keep_a_day(void **state)
{
    (void)state;
    struct view_cache *cache = view_cache_new(1024 * 1024);
    struct task *queued = make_task(true);
    struct task *task = begin(queued);
    put(cache, task, "http://a");
    int64_t st_s;
    int64_t se_s;
    link_window(NOW_MS, WEEK_MS, &st_s, &se_s);
    int64_t last_ms = se_s * 1000 - VIEW_LINK_LEFT_MS;
    assert_true(has(cache, task, "http://a", last_ms - 1));
    assert_false(has(cache, task, "http://a", last_ms));
    task_unref(queued);
    task_unref(task);
    view_cache_free(cache);
}

static void a_fifth_base_replaces_the_oldest(void **state)
{
    (void)state;
    struct view_cache *cache = view_cache_new(1024 * 1024);
    struct task *queued = make_task(false);
    struct task *task = begin(queued);
    static const char *const bases[] = {"http://a", "http://b", "http://c", "http://d", "http://e"};
    for (size_t i = 0; i < 4; i++)
        put(cache, task, bases[i]);
    assert_true(has(cache, task, bases[0], NOW_MS));
    put(cache, task, bases[4]);
    assert_false(has(cache, task, bases[0], NOW_MS));
    for (size_t i = 1; i < 5; i++)
        assert_true(has(cache, task, bases[i], NOW_MS));
    task_unref(queued);
    task_unref(task);
    view_cache_free(cache);
}

static void bytes_are_bounded_and_the_unused_go_first(void **state)
{
    (void)state;
    enum { BYTES = 64 * 1024, TASKS = 100 };
    struct view_cache *cache = view_cache_new(BYTES);
    struct task *tasks[TASKS];
    for (size_t i = 0; i < TASKS; i++) {
        tasks[i] = make_task(false);
        put(cache, tasks[i], "http://a");
        assert_true(view_cache_bytes(cache) <= BYTES);
        assert_true(has(cache, tasks[0], "http://a", NOW_MS)); /* and so it stays in use */
    }
    assert_true(view_cache_bytes(cache) > BYTES / 2);
    assert_false(has(cache, tasks[1], "http://a", NOW_MS));
    assert_true(has(cache, tasks[TASKS - 1], "http://a", NOW_MS));
    for (size_t i = 0; i < TASKS; i++)
        task_unref(tasks[i]);
    view_cache_free(cache);
}

static void what_is_too_large_is_not_kept(void **state)
{
    (void)state;
    struct view_cache *cache = view_cache_new(1024);
    struct task *task = make_task(false);
    put(cache, task, "http://a");
    assert_false(has(cache, task, "http://a", NOW_MS));
    assert_int_equal(view_cache_bytes(cache), 0);
    task_unref(task);
    view_cache_free(cache);
}

static void tags_follow_the_bytes(void **state)
{
    (void)state;
    struct task *queued = make_task(false);
    struct task *task = begin(queued);
    struct view *one = render(task, "http://a", NOW_MS);
    struct view *same = render(task, "http://a", NOW_MS);
    struct task *other = begin(task);
    other->progress = 0.5;
    struct view *changed = render(other, "http://a", NOW_MS);
    assert_string_equal(view_etag(one), view_etag(same));
    assert_string_not_equal(view_etag(one), view_etag(changed));
    assert_int_equal(strlen(view_etag(one)), 34);
    assert_true(view_etag(one)[0] == '"' && view_etag(one)[33] == '"');
    assert_int_equal(view_length(one), strlen(view_text(one)));
    view_unref(one);
    view_unref(same);
    view_unref(changed);
    task_unref(queued);
    task_unref(task);
    task_unref(other);
}

/* A connection may still send the bytes after the view was forgotten. */
static void bytes_outlive_their_view(void **state)
{
    (void)state;
    struct task *task = make_task(false);
    struct view *view = render(task, "http://a", NOW_MS);
    struct MHD_Response *own = view_own_response(view, false);
    assert_non_null(own);
    view_unref(view);
    assert_string_equal(MHD_get_response_header(own, "Cache-Control"), "private, no-cache");
    MHD_destroy_response(own);
    task_unref(task);
}

static const char *look_again(const struct view *view, bool is_known)
{
    return MHD_get_response_header(view_response(view, is_known), "openai-poll-after-ms");
}

/* One dialect's clients are told when to look again, until the end, and never by an old view. */
static void when_to_look_again_is_told_and_ages(void **state)
{
    (void)state;
    struct view_cache *cache = view_cache_new(1024 * 1024);
    struct task *queued = make_task(false);
    struct task *begun = begin(queued);
    struct task *ended = begin(begun);
    ended->state = TASK_CANCELLED;
    ended->failure = TASK_FAILURE_CANCELLED;
    ended->ended_ms = NOW_MS + 1;
    const struct {
        const struct task *task;
        enum dialect dialect;
        const char *ms;
        bool ages;
    } rows[] = {{queued, DIALECT_OPENAI, "10000", true},  {begun, DIALECT_OPENAI, "8000", true},
                {ended, DIALECT_OPENAI, NULL, false},     {queued, DIALECT_UNIFIED, NULL, true},
                {begun, DIALECT_UNIFIED, NULL, false},    {begun, DIALECT_UPPER, NULL, false},
                {begun, DIALECT_GENERATIONS, NULL, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct view_source source = source_at("http://a", NOW_MS + 4000);
        source.dialect = rows[i].dialect;
        source.typical_s = 20;
        struct view *view = view_new(&source, rows[i].task, &NO_FIGURES, false);
        for (int is_known = 0; is_known <= 1; is_known++) {
            if (rows[i].ms == NULL)
                assert_null(look_again(view, is_known));
            else
                assert_string_equal(look_again(view, is_known), rows[i].ms);
        }
        struct MHD_Response *own = view_own_response(view, false);
        assert_int_equal(MHD_get_response_header(own, "openai-poll-after-ms") != NULL,
                         rows[i].ms != NULL);
        MHD_destroy_response(own);
        view_cache_put(cache, rows[i].task, &source, view);
        view_unref(view);
        source.now_ms += VIEW_FIGURES_MS;
        view = view_cache_find(cache, rows[i].task, &source);
        assert_int_equal(view == NULL, rows[i].ages);
        view_unref(view);
    }
    view_cache_free(cache);
    task_unref(ended);
    task_unref(begun);
    task_unref(queued);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_to_look_again_is_told_and_ages),
        cmocka_unit_test(a_view_is_shared_until_the_task_changes),
        cmocka_unit_test(figures_of_a_waiting_task_age),
        cmocka_unit_test(links_keep_a_day),
        cmocka_unit_test(a_fifth_base_replaces_the_oldest),
        cmocka_unit_test(bytes_are_bounded_and_the_unused_go_first),
        cmocka_unit_test(what_is_too_large_is_not_kept),
        cmocka_unit_test(tags_follow_the_bytes),
        cmocka_unit_test(bytes_outlive_their_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
