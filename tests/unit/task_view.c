/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers held against the documented ones (tests/fixtures/page.json, found by argv[1], or below
 * MESON_SOURCE_ROOT or the current directory): every key with its type, at every depth; and every
 * key against the field of the task that it is bound to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/json.h"
#include "task/unified.h"
#include "task_answer.h"
#include "task_sample.h"

#define LINK "https://media.example.com/"
#define RESULT LINK SAMPLE_ID "/" SAMPLE_GENERATION "/"

static char *link_of(void *context, const char *key, const char *attachment)
{
    assert_string_equal(context, "context");
    char text[400];
    (void)snprintf(text, sizeof text, LINK "%s%s%s", key, attachment != NULL ? "?as=" : "",
                   attachment != NULL ? attachment : "");
    return must_strdup(text);
}

static char context_text[] = "context";

static struct unified_view sample_view(void)
{
    return (struct unified_view){.link = link_of,
                                 .link_context = context_text,
                                 .user = "user-a1sGDUIOXV32hNITe59LEkHa",
                                 .queue_position = 3,
                                 .wait_s = 41.6};
}

static json_t *render(const struct task *task)
{
    struct unified_view view = sample_view();
    return unified_render(task, &view);
}

/* The page */

static const char *fixture_argument;

static json_t *load_page(void)
{
    char path[4096] = "tests/fixtures/page.json";
    const char *root = getenv("MESON_SOURCE_ROOT");
    if (root != NULL)
        (void)snprintf(path, sizeof path, "%s/tests/fixtures/page.json", root);
    if (fixture_argument != NULL)
        (void)snprintf(path, sizeof path, "%s", fixture_argument);
    json_t *page = json_load_file(path, 0, NULL);
    if (page == NULL)
        fail_msg("cannot read «%s»", path);
    return page;
}

static bool is_same_type(const json_t *a, const json_t *b)
{
    return json_typeof(a) == json_typeof(b) || (json_is_boolean(a) && json_is_boolean(b));
}

/* Has `ours` all that the page has? Where the page has null anything may stand. Of lists, each
 * element of ours is held against the page's first. Returns the number of values compared. */
static unsigned hold_against(const json_t *page, const json_t *ours, const char *path)
{
    char below[512];
    unsigned n = 1;
    if (ours == NULL)
        fail_msg("%s is missing", path);
    if (json_is_null(page))
        return n;
    if (!is_same_type(page, ours))
        fail_msg("%s has another type", path);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)page, key, value)
    {
        (void)snprintf(below, sizeof below, "%.400s.%.100s", path, key);
        n += hold_against(value, json_object_get(ours, key), below);
    }
    for (size_t i = 0; json_array_size(page) > 0 && i < json_array_size(ours); i++) {
        (void)snprintf(below, sizeof below, "%.400s.%zu", path, i);
        n += hold_against(json_array_get(page, 0), json_array_get(ours, i), below);
    }
    return n;
}

static void answers_have_every_key_of_the_page(void **context)
{
    (void)context;
    json_t *page = load_page();
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        struct task *task = sample_task((enum task_state)i);
        json_t *answer = render(task);
        if (i == TASK_COMPLETED)
            assert_true(hold_against(json_object_get(page, "completed"), answer, "completed") > 50);
        else if (i < TASK_COMPLETED)
            assert_true(hold_against(json_object_get(page, "pending"), answer, "pending") > 60);
        else /* all of pending_info stands there too */
            assert_true(hold_against(at(json_object_get(page, "pending"), "detail"),
                                     json_object_get(answer, "detail"), "failed.detail") > 50);
        json_decref(answer);
        task_unref(task);
    }
    json_decref(page);
}

/* The page's own example, asked of us: each value that is not a link or an inner name. */
static void the_page_s_example_is_answered_in_kind(void **context)
{
    (void)context;
    static const char *const paths[] = {
        "id",
        "status",
        "detail.id",
        "detail.status",
        "detail.input.size",
        "detail.input.prompt",
        "detail.input.orientation",
        "detail.pending_info.id",
        "detail.pending_info.type",
        "detail.pending_info.user",
        "detail.pending_info.width",
        "detail.pending_info.height",
        "detail.pending_info.prompt",
        "detail.pending_info.status",
        "detail.pending_info.n_frames",
        "detail.pending_info.priority",
        "detail.pending_info.operation",
        "detail.pending_info.created_at",
        "detail.pending_info.n_variants",
        "detail.pending_info.generations",
        "detail.pending_info.progress_pct",
        "detail.pending_info.inpaint_items",
        "detail.pending_info.moderation_result",
        "detail.pending_info.needs_user_review",
        "detail.pending_info.queue_status_message",
        "detail.pending_info.progress_pos_in_queue",
        "detail.pending_info.num_unsafe_generations",
        "detail.pending_info.estimated_queue_wait_time",
    };
    struct task *task = sample_task(TASK_RENDERING);
    json_t *page = load_page(), *answer = render(task);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        char *wanted = json_canonical(at(json_object_get(page, "pending"), paths[i]));
        expect(answer, paths[i], wanted);
        free(wanted);
    }
    json_decref(answer);
    json_decref(page);
    task_unref(task);
}

static void required_keys_stand_in_every_state(void **context)
{
    (void)context;
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        struct task *task = sample_task((enum task_state)i);
        json_t *answer = render(task);
        assert_true(json_is_string(at(answer, "id")));
        expect(answer, "id", "\"sora-2:" SAMPLE_ID "\"");
        assert_string_equal(json_string_value(at(answer, "status")),
                            task_state_unified((enum task_state)i));
        assert_string_equal(json_string_value(at(answer, "detail.status")),
                            task_state_unified((enum task_state)i));
        assert_true(json_is_integer(at(answer, "status_update_time")));
        assert_true(json_is_integer(at(answer, "progress")));
        expect(answer, "enhanced_prompt", "\"\"");
        if (i == TASK_COMPLETED)
            assert_true(json_is_string(at(answer, "video_url")));
        else
            assert_true(json_is_null(at(answer, "video_url")));
        json_decref(answer);
        task_unref(task);
    }
}

/* Bindings: change one field, and see its keys change */

typedef void change_fn(struct task *task);

static void set(char **field, const char *text)
{
    free(*field);
    *field = must_strdup(text);
}

static void extra(struct task *task, const char *key)
{
    if (task->request->extra == NULL)
        task->request->extra = json_object();
    (void)json_object_set_new(task->request->extra, key, json_string("carried"));
}

static void c_id(struct task *t)
{
    t->request->id[29] = '1';
}
static void c_model(struct task *t)
{
    set(&t->request->model, "other");
}
static void c_prompt(struct task *t)
{
    set(&t->request->prompt, "other");
}
static void c_size(struct task *t)
{
    set(&t->request->size, "large");
}
static void c_orientation(struct task *t)
{
    set(&t->request->orientation, "square");
}
static void c_title(struct task *t)
{
    set(&t->request->title, "other");
}
static void c_style(struct task *t)
{
    set(&t->request->style, "other");
}
static void c_operation(struct task *t)
{
    set(&t->request->operation, "remix");
}
static void c_request_id(struct task *t)
{
    set(&t->request->request_id, "other");
}
static void c_image_url(struct task *t)
{
    set(&t->request->images[0].url, "http://x/");
}
static void c_image_key(struct task *t)
{
    set(&t->request->images[1].key, "other");
}
static void c_media_id(struct task *t)
{
    t->request->images[0].media_id[30] = 'z';
}
static void c_seed(struct task *t)
{
    t->request->seed = 5;
}
static void c_width(struct task *t)
{
    t->request->width = 704;
}
static void c_height(struct task *t)
{
    t->request->height = 1280;
}
static void c_frames(struct task *t)
{
    t->request->n_frames = 300;
}
static void c_priority(struct task *t)
{
    t->request->priority = 9;
}
static void c_variants(struct task *t)
{
    t->request->n_variants = 4;
}
static void c_created(struct task *t)
{
    t->request->created_micros -= 1;
}
static void c_storyboard(struct task *t)
{
    t->request->storyboard = false;
}
static void c_tags(struct task *t)
{
    (void)json_array_clear(t->request->tags);
}
static void c_remix(struct task *t)
{
    (void)json_object_clear(t->request->remix_config);
}
static void c_update(struct task *t)
{
    t->status_update_ms = 1800000000000;
}
static void c_progress(struct task *t)
{
    t->progress = 0.999;
}
static void c_started(struct task *t)
{
    t->started_ms = 0;
}
static void c_engine(struct task *t)
{
    t->is_local = false;
}
static void c_failure(struct task *t)
{
    t->failure = TASK_FAILURE_STORAGE;
}
/* An attempt at an upstream that has come as far as `state`, with a job. */
static void attempt(struct task *t, enum attempt_state state)
{
    t->is_local = false;
    (void)snprintf(t->attempt.id, sizeof t->attempt.id, "%s", SAMPLE_ATTEMPT);
    t->attempt.state = state;
    t->attempt.job = sample_job("job-1");
}
static void c_upstream(struct task *t)
{
    attempt(t, ATTEMPT_FAILED);
}
static void c_refused(struct task *t)
{
    attempt(t, ATTEMPT_REFUSED);
    t->failure = TASK_FAILURE_MODERATED;
}
static void c_moderated(struct task *t)
{
    c_refused(t);
    t->attempt.state = ATTEMPT_FAILED;
    t->attempt.accepted_ms = SAMPLE_CREATED_MS;
}
static void c_put_off(struct task *t)
{
    t->n_put_off = 1;
}
static void c_attempts(struct task *t)
{
    t->attempts = 1;
}
static void c_note(struct task *t)
{
    shared_text_set(&t->failure_note, "Image 2 is empty.");
}
static void c_result_width(struct task *t)
{
    t->result.width = 100;
}
static void c_result_height(struct task *t)
{
    t->result.height = 200;
}
static void c_generation(struct task *t)
{
    t->result.generation_id[29] = '0';
}
static void c_stored(struct task *t)
{
    t->result.stored_micros = 1759763631000001;
}
static void c_mark(struct task *t)
{
    t->result.has_watermark = true;
}
static void c_expired(struct task *t)
{
    t->expired_ms = 1759999999999;
}
static void c_sdedit(struct task *t)
{
    extra(t, "sdedit");
}
static void c_actions(struct task *t)
{
    extra(t, "actions");
}
static void c_guidance(struct task *t)
{
    extra(t, "guidance");
}
static void c_preset(struct task *t)
{
    extra(t, "preset_id");
}
static void c_project(struct task *t)
{
    extra(t, "project_id");
}
static void c_organization(struct task *t)
{
    extra(t, "organization_id");
}
static void c_interpolation(struct task *t)
{
    extra(t, "interpolation");
}
static void c_tracking(struct task *t)
{
    extra(t, "tracking_id");
}
static void c_style_id(struct task *t)
{
    extra(t, "style_id");
}
static void c_inpaint(struct task *t)
{
    extra(t, "inpaint_image");
}
static void c_cameo(struct task *t)
{
    extra(t, "cameo_profiles");
}
static void c_post(struct task *t)
{
    extra(t, "remix_target_post");
}

#define STORAGE_TEXT "\"The result could not be stored. Nothing was charged by an upstream.\""
#define RENDER_PAID_TEXT                                                                           \
    "\"The renderer could not make this video. An upstream may have charged for it.\""
#define MODERATED_TEXT                                                                             \
    "\"The request or its video was blocked by a content policy. "                                 \
    "Nothing was charged by an upstream.\""
#define NOTE_TEXT                                                                                  \
    "\"The renderer could not make this video. Nothing was charged by an upstream. "               \
    "Image 2 is empty.\""

#define MODERATION "detail.pending_info.moderation_result"

static const struct binding {
    enum task_state state;
    change_fn *change;
    const char *path, *value;
} bindings[] = {
    {TASK_RENDERING, c_id, "id", "\"sora-2:task_01k6x15vhrff09dkkqjrzwhm10\""},
    {TASK_RENDERING, c_model, "id", "\"other:" SAMPLE_ID "\""},
    {TASK_RENDERING, c_model, "detail.input.model", "\"other\""},
    {TASK_RENDERING, c_model, "detail.pending_info.model", "\"other\""},
    {TASK_RENDERING, c_prompt, "detail.input.prompt", "\"other\""},
    {TASK_RENDERING, c_prompt, "detail.pending_info.prompt", "\"other\""},
    {TASK_COMPLETED, c_prompt, "detail.draft_info.prompt", "\"other\""},
    {TASK_COMPLETED, c_prompt, "detail.draft_info.creation_config.prompt", "\"other\""},
    {TASK_RENDERING, c_size, "detail.input.size", "\"large\""},
    {TASK_RENDERING, c_orientation, "detail.input.orientation", "\"square\""},
    {TASK_COMPLETED, c_orientation, "detail.draft_info.creation_config.orientation", "\"square\""},
    {TASK_RENDERING, c_title, "detail.pending_info.title", "\"other\""},
    {TASK_COMPLETED, c_title, "detail.draft_info.title", "\"other\""},
    {TASK_COMPLETED, c_style, "detail.draft_info.creation_config.style_id", "\"other\""},
    {TASK_RENDERING, c_operation, "detail.pending_info.operation", "\"remix\""},
    {TASK_RENDERING, c_request_id, "detail.pending_info.request_id", "\"other\""},
    {TASK_RENDERING, c_image_url, "detail.input.images.0", "\"http://x/\""},
    {TASK_RENDERING, c_image_key, "detail.input.images.1", "\"" LINK "other\""},
    {TASK_RENDERING, c_media_id, "detail.pending_info.inpaint_items.0.upload_media_id",
     "\"media_01k6x15tnzezbst05sth2qgdzr\""},
    {TASK_RENDERING, c_seed, "detail.pending_info.seed", "5"},
    {TASK_RENDERING, c_width, "detail.pending_info.width", "704"},
    {TASK_RENDERING, c_height, "detail.pending_info.height", "1280"},
    {TASK_RENDERING, c_frames, "detail.pending_info.n_frames", "300"},
    {TASK_RENDERING, c_priority, "detail.pending_info.priority", "9"},
    {TASK_RENDERING, c_variants, "detail.pending_info.n_variants", "4"},
    {TASK_RENDERING, c_created, "detail.pending_info.created_at",
     "\"2025-10-06T15:10:26.875728Z\""},
    {TASK_RENDERING, c_storyboard, "detail.pending_info.is_storyboard", "null"},
    {TASK_COMPLETED, c_tags, "detail.draft_info.tags", "[]"},
    {TASK_RENDERING, c_remix, "detail.pending_info.remix_config", "{}"},
    {TASK_RENDERING, c_update, "status_update_time", "1800000000000"},
    {TASK_COMPLETED, c_update, "status_update_time", "1800000000000"},
    {TASK_FAILED, c_update, "status_update_time", "1800000000000"},
    {TASK_RENDERING, c_progress, "progress", "99"},
    {TASK_RENDERING, c_progress, "detail.pending_info.progress_pct", "0.999"},
    {TASK_FAILED, c_progress, "progress", "99"},
    {TASK_FAILED, c_progress, "detail.pending_info.progress_pct", "0.999"},
    {TASK_RENDERING, c_started, "detail.pending_info.status", "\"queued\""},
    {TASK_RENDERING, c_engine, "detail.engine", "\"upstream\""},
    {TASK_COMPLETED, c_engine, "detail.engine", "\"upstream\""},
    {TASK_FAILED, c_failure, "error.code", "\"storage_unavailable\""},
    {TASK_FAILED, c_failure, "error.message", STORAGE_TEXT},
    {TASK_FAILED, c_failure, "fail_reason", STORAGE_TEXT},
    {TASK_FAILED, c_failure, "error_message", STORAGE_TEXT},
    {TASK_FAILED, c_failure, "failure_reason", STORAGE_TEXT},
    {TASK_FAILED, c_failure, "message", STORAGE_TEXT},
    {TASK_FAILED, c_failure, "detail.error_message", STORAGE_TEXT},
    {TASK_FAILED, c_failure, "detail.pending_info.failure_reason", STORAGE_TEXT},
    {TASK_FAILED, c_note, "error.message", NOTE_TEXT},
    {TASK_FAILED, c_upstream, "error.message", RENDER_PAID_TEXT},
    {TASK_FAILED, c_upstream, "detail.engine", "\"upstream\""},
    {TASK_RENDERING, c_upstream, "enhanced_prompt", "\"make it animate\""},
    {TASK_COMPLETED, c_upstream, "enhanced_prompt", "\"make it animate\""},
    {TASK_FAILED, c_upstream, "enhanced_prompt", "\"make it animate\""},
    {TASK_FAILED, c_refused, "error.code", "\"moderation_blocked\""},
    {TASK_FAILED, c_refused, "error.message", MODERATED_TEXT},
    {TASK_FAILED, c_refused, MODERATION ".code", "\"moderation_blocked\""},
    {TASK_FAILED, c_refused, MODERATION ".type", "\"blocked\""},
    {TASK_FAILED, c_moderated, MODERATION ".is_output_rejection", "true"},
    {TASK_QUEUED, c_attempts, "detail.pending_info.queue_status_message",
     "\"Waiting before the next attempt.\""},
    {TASK_QUEUED, c_put_off, "detail.pending_info.queue_status_message",
     "\"Waiting until the upstream takes more work.\""},
    {TASK_COMPLETED, c_result_width, "width", "100"},
    {TASK_COMPLETED, c_result_width, "detail.draft_info.width", "100"},
    {TASK_COMPLETED, c_result_height, "height", "200"},
    {TASK_COMPLETED, c_result_height, "detail.draft_info.height", "200"},
    {TASK_COMPLETED, c_generation, "detail.draft_info.id", "\"gen_01k6x1bffaf3dr786harh8maq0\""},
    {TASK_COMPLETED, c_generation, "detail.draft_info.generation_id",
     "\"gen_01k6x1bffaf3dr786harh8maq0\""},
    {TASK_COMPLETED, c_stored, "detail.draft_info.created_at", "1759763631.000001"},
    {TASK_COMPLETED, c_mark, "video_url", "\"" RESULT "wm.mp4\""},
    {TASK_COMPLETED, c_mark, "detail.url", "\"" RESULT "wm.mp4\""},
    {TASK_COMPLETED, c_mark, "detail.video_url", "\"" RESULT "wm.mp4\""},
    {TASK_COMPLETED, c_mark, "detail.draft_info.url", "\"" RESULT "wm.mp4\""},
    {TASK_COMPLETED, c_mark, "detail.draft_info.encodings.source_wm.path", "\"" RESULT "wm.mp4\""},
    {TASK_COMPLETED, c_mark, "detail.draft_info.downloadable_url",
     "\"" RESULT "wm.mp4?as=A title.mp4\""},
    {TASK_COMPLETED, c_title, "detail.draft_info.downloadable_url",
     "\"" RESULT "src.mp4?as=other.mp4\""},
    {TASK_COMPLETED, c_expired, "expired_at", "1759999999"},
    {TASK_COMPLETED, c_expired, "video_url", "null"},
    {TASK_COMPLETED, c_expired, "thumbnail_url", "null"},
    {TASK_COMPLETED, c_expired, "detail.url", "null"},
    {TASK_COMPLETED, c_expired, "detail.video_url", "null"},
    {TASK_COMPLETED, c_expired, "detail.gif_url", "null"},
    {TASK_COMPLETED, c_expired, "detail.thumbnail_url", "null"},
    {TASK_COMPLETED, c_expired, "detail.draft_info.url", "null"},
    {TASK_COMPLETED, c_expired, "detail.draft_info.downloadable_url", "null"},
    {TASK_COMPLETED, c_expired, "detail.draft_info.encodings.md.path", "null"},
    {TASK_COMPLETED, c_expired, "detail.draft_info.encodings.source.path", "null"},
    {TASK_RENDERING, c_sdedit, "detail.pending_info.sdedit", "\"carried\""},
    {TASK_RENDERING, c_actions, "detail.pending_info.actions", "\"carried\""},
    {TASK_RENDERING, c_guidance, "detail.pending_info.guidance", "\"carried\""},
    {TASK_RENDERING, c_preset, "detail.pending_info.preset_id", "\"carried\""},
    {TASK_RENDERING, c_project, "detail.pending_info.project_id", "\"carried\""},
    {TASK_RENDERING, c_organization, "detail.pending_info.organization_id", "\"carried\""},
    {TASK_RENDERING, c_interpolation, "detail.pending_info.interpolation", "\"carried\""},
    {TASK_RENDERING, c_tracking, "detail.pending_info.tracking_id", "\"carried\""},
    {TASK_COMPLETED, c_style_id, "detail.draft_info.creation_config.style_id", "\"carried\""},
    {TASK_COMPLETED, c_inpaint, "detail.draft_info.creation_config.inpaint_image", "\"carried\""},
    {TASK_COMPLETED, c_cameo, "detail.draft_info.creation_config.cameo_profiles", "\"carried\""},
    {TASK_COMPLETED, c_post, "detail.draft_info.creation_config.remix_target_post", "\"carried\""},
};

/* Whose engine it was, under which name, account and id, is not for tenants. */
static void nothing_of_the_upstream_is_shown(void **context)
{
    (void)context;
    static const char *const secrets[] = {"up.example",  "job-1",   SAMPLE_ATTEMPT, "\"main\"",
                                          "\"default\"", "credits", "\"step\""};
    for (unsigned i = 0; i < TASK_STATE_COUNT * ATTEMPT_STATE_COUNT; i++) {
        struct task *task = sample_upstream_task(i / ATTEMPT_STATE_COUNT, i % ATTEMPT_STATE_COUNT);
        json_t *answer = render(task);
        char *text = json_canonical(answer);
        for (size_t j = 0; j < ARRAY_LENGTH(secrets); j++)
            if (strstr(text, secrets[j]) != NULL)
                fail_msg("%s: %s", task_state_name(task->state), secrets[j]);
        free(text);
        json_decref(answer);
        task_unref(task);
    }
}

static void only_moderation_blocks(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_FAILED);
    c_refused(task);
    json_t *answer = render(task);
    expect(answer, MODERATION ".is_output_rejection", "false"); /* it was never taken */
    json_decref(answer);
    task->failure = TASK_FAILURE_UPSTREAM_REFUSED;
    answer = render(task);
    expect(answer, MODERATION ".type", "\"passed\"");
    expect(answer, MODERATION ".code", "null");
    json_decref(answer);
    task_unref(task);
}

/* The value afterwards is the one named, and was another before. */
static void every_bound_key_follows_its_field(void **context)
{
    (void)context;
    for (size_t i = 0; i < ARRAY_LENGTH(bindings); i++) {
        const struct binding *binding = &bindings[i];
        struct task *task = sample_task(binding->state);
        json_t *before = render(task);
        binding->change(task);
        json_t *after = render(task);
        const json_t *old = at(before, binding->path), *new = at(after, binding->path);
        if (old != NULL && new != NULL && json_equal(old, new))
            fail_msg("row %zu: %s did not change", i, binding->path);
        expect(after, binding->path, binding->value);
        json_decref(before);
        json_decref(after);
        task_unref(task);
    }
}

static void ids_stand_wherever_the_page_has_them(void **context)
{
    (void)context;
    static const char *const paths[] = {"detail.id", "detail.pending_info.id",
                                        "detail.pending_info.moderation_result.task_id"};
    struct task *task = sample_task(TASK_RENDERING);
    json_t *answer = render(task);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        expect(answer, paths[i], "\"" SAMPLE_ID "\"");
    json_decref(answer);
    task_unref(task);
    task = sample_task(TASK_COMPLETED);
    answer = render(task);
    expect(answer, "detail.id", "\"" SAMPLE_ID "\"");
    expect(answer, "detail.draft_info.task_id", "\"" SAMPLE_ID "\"");
    json_decref(answer);
    task_unref(task);
}

static void downloads_are_called_by_the_title(void **context)
{
    (void)context;
    static const struct {
        const char *title, *name;
    } rows[] = {
        {NULL, SAMPLE_ID ".mp4"},       {"dawn", "dawn.mp4"},     {"v1.2", "v1.2.mp4"},
        {"dawn.mp4", "dawn.mp4"},       {"dawn.MP4", "dawn.MP4"}, {"mp4", "mp4.mp4"},
        {"a\"\r\n/b", "a\"\r\n/b.mp4"}, /* cleaned where the header is made */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct task *task = sample_task(TASK_COMPLETED);
        free(TAKE(task->request->title));
        task->request->title = rows[i].title != NULL ? must_strdup(rows[i].title) : NULL;
        json_t *answer = render(task);
        const char *link = json_string_value(at(answer, "detail.draft_info.downloadable_url"));
        assert_string_equal(strstr(link, "?as=") + 4, rows[i].name);
        json_decref(answer);
        task_unref(task);
    }
}

static void links_lead_to_the_files_of_the_result(void **context)
{
    (void)context;
    static const struct {
        const char *path, *url;
    } rows[] = {
        {"video_url", RESULT "src.mp4"},
        {"thumbnail_url", RESULT "thumbnail.webp"},
        {"detail.url", RESULT "src.mp4"},
        {"detail.gif_url", RESULT "preview.gif"},
        {"detail.thumbnail_url", RESULT "thumbnail.webp"},
        {"detail.draft_info.url", RESULT "src.mp4"},
        {"detail.draft_info.downloadable_url", RESULT "src.mp4?as=A title.mp4"},
        {"detail.draft_info.encodings.source.path", RESULT "src.mp4"},
        {"detail.draft_info.encodings.source_wm.path", RESULT "src.mp4"},
        {"detail.draft_info.encodings.md.path", RESULT "md.mp4"},
        {"detail.draft_info.encodings.gif.path", RESULT "preview.gif"},
        {"detail.draft_info.encodings.thumbnail.path", RESULT "thumbnail.webp"},
    };
    struct task *task = sample_task(TASK_COMPLETED);
    json_t *answer = render(task);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_string_equal(json_string_value(at(answer, rows[i].path)), rows[i].url);
    expect(answer, "progress", "100");
    expect(answer, "detail.engine", "\"animatic\"");
    assert_null(at(answer, "error"));
    assert_null(at(answer, "expired_at"));
    json_decref(answer);
    task->result.has_watermark = true; /* the source stays the unmarked file */
    answer = render(task);
    assert_string_equal(json_string_value(at(answer, "detail.draft_info.encodings.source.path")),
                        RESULT "src.mp4");
    json_decref(answer);
    task_unref(task);
}

static void an_expired_result_leaves_no_link(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_COMPLETED);
    free(task->request->images[1].key);
    task->request->images[1].key = NULL;
    task->request->images[1].url = must_strdup("http://x/");
    task->expired_ms = task->ended_ms + 1;
    json_t *answer = render(task);
    char *text = json_canonical(answer);
    assert_null(strstr(text, LINK));
    expect(answer, "status", "\"completed\"");
    assert_null(at(answer, "error"));
    free(text);
    json_decref(answer);
    task_unref(task);
}

static void the_queue_shows_only_while_waiting(void **context)
{
    (void)context;
    static const char *const keys[] = {"progress_pos_in_queue", "estimated_queue_wait_time",
                                       "queue_status_message"};
    struct task *task = sample_task(TASK_QUEUED);
    json_t *answer = render(task);
    expect(answer, "detail.pending_info.status", "\"queued\"");
    expect(answer, "detail.pending_info.progress_pct", "0.0");
    expect(answer, "detail.pending_info.progress_pos_in_queue", "3");
    expect(answer, "detail.pending_info.estimated_queue_wait_time", "42");
    assert_true(json_is_string(at(answer, "detail.pending_info.queue_status_message")));
    assert_null(at(answer, "detail.engine"));
    json_decref(answer);
    task->started_ms = SAMPLE_CREATED_MS; /* waits for another attempt */
    answer = render(task);
    expect(answer, "detail.pending_info.status", "\"processing\"");
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        assert_true(json_is_null(json_object_get(at(answer, "detail.pending_info"), keys[i])));
    json_decref(answer);
    task_unref(task);
}

static void who_waits_is_told_for_what(void **context)
{
    (void)context;
    static const struct {
        bool waits_upstream;
        int attempts, n_put_off;
        const char *message;
    } rows[] = {
        {false, 0, 0, "\"Waiting for a free slot.\""},
        {true, 0, 0, "\"Waiting until the upstream takes more work.\""},
        {false, 1, 0, "\"Waiting before the next attempt.\""},
        {true, 1, 0, "\"Waiting until the upstream takes more work.\""},
        {false, 0, 1, "\"Waiting until the upstream takes more work.\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct task *task = sample_task(TASK_QUEUED);
        struct unified_view view = sample_view();
        view.waits_upstream = rows[i].waits_upstream;
        task->attempts = rows[i].attempts;
        task->n_put_off = rows[i].n_put_off;
        json_t *answer = unified_render(task, &view);
        expect(answer, "detail.pending_info.queue_status_message", rows[i].message);
        json_decref(answer);
        task_unref(task);
    }
}

static void what_is_unknown_of_the_queue_is_null(void **context)
{
    (void)context;
    static const double waits[] = {-1.0, NAN, INFINITY, 1e300};
    struct task *task = sample_task(TASK_QUEUED);
    for (size_t i = 0; i < ARRAY_LENGTH(waits); i++) {
        struct unified_view view = sample_view();
        view.wait_s = waits[i];
        view.queue_position = 0;
        json_t *answer = unified_render(task, &view);
        expect(answer, "detail.pending_info.estimated_queue_wait_time", "null");
        expect(answer, "detail.pending_info.progress_pos_in_queue", "null");
        json_decref(answer);
    }
    task_unref(task);
}

static void what_was_not_asked_is_null_or_the_page_s_constant(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_RENDERING);
    struct task_request *request = task->request;
    free(request->title);
    free(request->request_id);
    json_decref(request->remix_config);
    json_decref(request->tags);
    request->title = request->request_id = NULL;
    request->remix_config = request->tags = NULL;
    request->has_seed = false;
    json_t *answer = render(task);
    expect(answer, "detail.pending_info.title", "\"New Video\"");
    expect(answer, "detail.pending_info.request_id", "null");
    expect(answer, "detail.pending_info.remix_config", "null");
    expect(answer, "detail.pending_info.seed", "null");
    expect(answer, "detail.pending_info.sdedit", "null");
    json_decref(answer);
    task_unref(task);
}

static void percents_are_floored_and_hundred_is_the_end(void **context)
{
    (void)context;
    static const struct {
        double progress;
        const char *percent;
    } rows[] = {{0.0, "0"}, {0.009, "0"}, {0.29, "29"}, {0.57, "57"}, {0.9999, "99"}, {1.0, "99"}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct task *task = sample_task(TASK_FETCHING);
        task->progress = rows[i].progress;
        json_t *answer = render(task);
        expect(answer, "progress", rows[i].percent);
        assert_true(json_is_real(at(answer, "detail.pending_info.progress_pct")));
        json_decref(answer);
        task_unref(task);
    }
}

static void a_cancelled_task_has_failed_with_its_code(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_CANCELLED);
    json_t *answer = render(task);
    expect(answer, "status", "\"failed\"");
    expect(answer, "error.code", "\"cancelled\"");
    expect(answer, "video_url", "null");
    assert_null(at(answer, "thumbnail_url"));
    assert_null(at(answer, "detail.url"));
    json_decref(answer);
    task_unref(task);
}

/* Some clients take the keys of `wrappers` for a finished video or an error. */
static void a_create_is_answered_with_the_documented_keys(void **context)
{
    (void)context;
    static const char *const wrappers[] = {"url",  "result_url", "output", "outputs", "response",
                                           "data", "result",     "code",   "error",   "task_id"};
    struct task_request *request = sample_request();
    json_t *answer = unified_render_created(request);
    expect(answer, "",
           "{\"created_at\":1759763426,\"enhanced_prompt\":\"\",\"id\":\"sora-2:" SAMPLE_ID "\","
           "\"model\":\"sora-2\",\"object\":\"video\",\"progress\":0,\"status\":\"pending\","
           "\"status_update_time\":1759763426875,\"video_url\":null}");
    for (size_t i = 0; i < ARRAY_LENGTH(wrappers); i++)
        assert_null(json_object_get(answer, wrappers[i]));
    json_decref(answer);
    task_request_unref(request);
}

int main(int argc, char **argv)
{
    fixture_argument = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_every_key_of_the_page),
        cmocka_unit_test(the_page_s_example_is_answered_in_kind),
        cmocka_unit_test(required_keys_stand_in_every_state),
        cmocka_unit_test(every_bound_key_follows_its_field),
        cmocka_unit_test(nothing_of_the_upstream_is_shown),
        cmocka_unit_test(only_moderation_blocks),
        cmocka_unit_test(ids_stand_wherever_the_page_has_them),
        cmocka_unit_test(downloads_are_called_by_the_title),
        cmocka_unit_test(links_lead_to_the_files_of_the_result),
        cmocka_unit_test(an_expired_result_leaves_no_link),
        cmocka_unit_test(the_queue_shows_only_while_waiting),
        cmocka_unit_test(who_waits_is_told_for_what),
        cmocka_unit_test(what_is_unknown_of_the_queue_is_null),
        cmocka_unit_test(what_was_not_asked_is_null_or_the_page_s_constant),
        cmocka_unit_test(percents_are_floored_and_hundred_is_the_end),
        cmocka_unit_test(a_cancelled_task_has_failed_with_its_code),
        cmocka_unit_test(a_create_is_answered_with_the_documented_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
