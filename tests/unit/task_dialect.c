/* SPDX-License-Identifier: Apache-2.0
 *
 * One task in every dialect: which keys stand in which state, with which types and values, and what must not stand there.
 * A whole answer is compared as one text, so that no key comes or goes unseen. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/json.h"
#include "task/dialect.h"
#include "task_answer.h"
#include "task_sample.h"

#define LINK "https://media.example.com/"
#define RESULT LINK SAMPLE_ID "/" SAMPLE_GENERATION "/"
#define ID "\"sora-2:" SAMPLE_ID "\""
#define FAILED_TEXT                                                                                \
    "\"The renderer could not make this video. Nothing was charged by an upstream.\""

enum { KEEP_MS = 3600 * 1000 };

static char *link_of(void *context, const char *key, const char *attachment)
{
    (void)context;
    char text[400];
    (void)snprintf(text, sizeof text, LINK "%s%s", key, attachment != NULL ? "?as" : "");
    return must_strdup(text);
}

static const struct unified_view view = {
    .link = link_of,
    .user = "user-a1sGDUIOXV32hNITe59LEkHa",
    .wait_s = -1,
    .keep_ms = KEEP_MS,
    .attempts = 3,
};

static json_t *render(enum dialect dialect, enum task_state state)
{
    struct task *task = sample_task(state);
    json_t *answer = dialect_render(dialect, task, &view);
    task_unref(task);
    return answer;
}

/* All of an answer, keys in alphabetical order. */
static void expect_all(enum dialect dialect, enum task_state state, const char *wanted)
{
    json_t *answer = render(dialect, state);
    expect(answer, "", wanted);
    json_decref(answer);
}

static void each_dialect_has_its_words(void **context)
{
    (void)context;
    static const char *const words[DIALECT_COUNT][TASK_STATE_COUNT] = {
        [DIALECT_UNIFIED] = {"pending", "pending", "pending", "pending", "completed", "failed",
                             "failed"},
        [DIALECT_OPENAI] = {"queued", "queued", "in_progress", "in_progress", "completed", "failed",
                            "failed"},
        [DIALECT_GENERATIONS] = {"queued", "queued", "processing", "processing", "succeeded",
                                 "failed", "failed"},
        [DIALECT_UPPER] = {"NOT_START", "NOT_START", "IN_PROGRESS", "IN_PROGRESS", "SUCCESS",
                           "FAILURE", "FAILURE"},
    };
    static const char *const wrapped[TASK_STATE_COUNT] = {
        "SUBMITTED", "SUBMITTED", "IN_PROGRESS", "IN_PROGRESS", "SUCCESS", "FAILURE", "FAILURE"};
    for (unsigned i = DIALECT_UNIFIED; i < DIALECT_COUNT; i++)
        for (unsigned j = 0; j < TASK_STATE_COUNT; j++) {
            json_t *answer = render((enum dialect)i, (enum task_state)j);
            assert_string_equal(dialect_word((enum dialect)i, (enum task_state)j), words[i][j]);
            assert_string_equal(json_string_value(at(answer, "status")), words[i][j]);
            if (i == DIALECT_GENERATIONS)
                assert_string_equal(json_string_value(at(answer, "data.status")), wrapped[j]);
            json_decref(answer);
        }
}

#define OPENAI_BEFORE(progress, status)                                                            \
    "{\"completed_at\":null,\"created_at\":1759763426,\"error\":null,\"expires_at\":null,"         \
    "\"id\":" ID ",\"model\":\"sora-2\",\"object\":\"video\",\"progress\":" progress               \
    ",\"prompt\":\"make animate\",\"remixed_from_video_id\":\"task_x\",\"seconds\":\"15\","        \
    "\"size\":\"352x640\",\"status\":\"" status "\",\"task_id\":" ID "}"

static void openai_s_object_is_whole_in_every_state(void **context)
{
    (void)context;
    expect_all(DIALECT_OPENAI, TASK_QUEUED, OPENAI_BEFORE("0", "queued"));
    expect_all(DIALECT_OPENAI, TASK_SUBMITTING, OPENAI_BEFORE("0", "queued"));
    expect_all(DIALECT_OPENAI, TASK_RENDERING, OPENAI_BEFORE("93", "in_progress"));
    expect_all(DIALECT_OPENAI, TASK_FETCHING, OPENAI_BEFORE("93", "in_progress"));
    expect_all(DIALECT_OPENAI, TASK_COMPLETED,
               "{\"completed_at\":1759763431,\"created_at\":1759763426,\"error\":null,"
               "\"expires_at\":1759767031,\"id\":" ID ",\"model\":\"sora-2\",\"object\":\"video\","
               "\"progress\":100,\"prompt\":\"make animate\",\"remixed_from_video_id\":\"task_x\","
               "\"seconds\":\"15\",\"size\":\"352x640\",\"status\":\"completed\",\"task_id\":" ID
               ",\"thumbnail_url\":\"" RESULT "thumbnail.webp\",\"url\":\"" RESULT
               "src.mp4\",\"video_url\":\"" RESULT "src.mp4\"}");
    expect_all(DIALECT_OPENAI, TASK_FAILED,
               "{\"completed_at\":null,\"created_at\":1759763426,"
               "\"error\":{\"code\":\"render_failed\",\"message\":" FAILED_TEXT "},"
               "\"expires_at\":null,\"id\":" ID ",\"model\":\"sora-2\",\"object\":\"video\","
               "\"progress\":93,\"prompt\":\"make animate\",\"remixed_from_video_id\":\"task_x\","
               "\"seconds\":\"15\",\"size\":\"352x640\",\"status\":\"failed\",\"task_id\":" ID "}");
}

/* The film's own length and pixels count once there is one, and retention says until when. */
static void openai_s_result_is_the_file_s(void **context)
{
    (void)context;
    struct unified_view kept = view;
    struct task *task = sample_task(TASK_COMPLETED);
    task->result.width = 1280;
    task->result.height = 720;
    task->result.duration_ms = 4967;
    task->result.has_watermark = true;
    kept.keep_ms = 0;
    json_t *answer = dialect_render(DIALECT_OPENAI, task, &kept);
    expect(answer, "size", "\"1280x720\"");
    expect(answer, "seconds", "\"5\"");
    expect(answer, "expires_at", "null");
    expect(answer, "url", "\"" RESULT "wm.mp4\"");
    expect(answer, "video_url", "\"" RESULT "wm.mp4\"");
    json_decref(answer);
    task->result.duration_ms = 499; /* too short to say: what was asked for stands */
    task->expired_ms = 1759999999999;
    answer = dialect_render(DIALECT_OPENAI, task, &view);
    expect(answer, "seconds", "\"15\"");
    expect(answer, "status", "\"completed\"");
    expect(answer, "expires_at", "1759999999");
    expect(answer, "url", "(absent)");
    expect(answer, "video_url", "(absent)");
    expect(answer, "thumbnail_url", "(absent)");
    json_decref(answer);
    task_unref(task);
}

static void no_remix_is_null(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_RENDERING);
    json_decref(TAKE(task->request->remix_config));
    json_t *answer = dialect_render(DIALECT_OPENAI, task, &view);
    expect(answer, "remixed_from_video_id", "null");
    json_decref(answer);
    task_unref(task);
}

#define RECORD(progress, status, started, ended, reason)                                           \
    "\"fail_reason\":" reason ",\"finish_time\":" ended ",\"progress\":\"" progress "\""           \
    ",\"start_time\":" started ",\"status\":\"" status "\",\"submit_time\":1759763426,"            \
    "\"task_id\":" ID

static void generations_are_wrapped_and_flat_at_once(void **context)
{
    (void)context;
    expect_all(DIALECT_GENERATIONS, TASK_QUEUED,
               "{\"code\":\"success\",\"created_at\":1759763426,\"data\":{"
               "\"action\":\"generate\"," RECORD("0%", "SUBMITTED", "0", "0", "\"\"") //
               "},\"message\":\"\",\"model\":\"sora-2\",\"progress\":0,\"status\":\"queued\","
               "\"task_id\":" ID "}");
    expect_all(DIALECT_GENERATIONS, TASK_RENDERING,
               "{\"code\":\"success\",\"created_at\":1759763426,\"data\":{"
               "\"action\":\"generate\"," RECORD("93%", "IN_PROGRESS", "1759763428", "0", "\"\"") //
               "},\"message\":\"\",\"model\":\"sora-2\",\"progress\":93,\"status\":\"processing\","
               "\"task_id\":" ID "}");
    expect_all(
        DIALECT_GENERATIONS, TASK_COMPLETED,
        "{\"code\":\"success\",\"created_at\":1759763426,\"data\":{\"action\":\"generate\","
        "\"data\":{\"output\":\"" RESULT "src.mp4\",\"thumbnail_url\":\"" RESULT
        "thumbnail.webp\",\"url\":\"" RESULT "src.mp4\",\"video_url\":\"" RESULT
        "src.mp4\"},\"fail_reason\":\"\",\"finish_time\":1759763431,\"progress\":\"100%\","
        "\"result_url\":\"" RESULT "src.mp4\",\"start_time\":1759763428,\"status\":\"SUCCESS\","
        "\"submit_time\":1759763426,\"task_id\":" ID ",\"url\":\"" RESULT
        "src.mp4\"},\"format\":\"mp4\",\"message\":\"\",\"metadata\":{\"duration\":15.0,\"fps\":30,"
        "\"height\":640,\"seed\":9007199254740991,\"width\":352},\"model\":\"sora-2\","
        "\"progress\":100,\"status\":\"succeeded\",\"task_id\":" ID ",\"url\":\"" RESULT
        "src.mp4\"}");
    expect_all(
        DIALECT_GENERATIONS, TASK_FAILED,
        "{\"code\":\"success\",\"created_at\":1759763426,\"data\":{"
        "\"action\":\"generate\"," //
        RECORD("93%", "FAILURE", "1759763428", "1759763431",
               FAILED_TEXT) "},\"error\":{\"code\":\"render_failed\",\"message\":" FAILED_TEXT
                            "},\"message\":\"\",\"model\":\"sora-2\",\"progress\":93,\"status\":"
                            "\"failed\","
                            "\"task_id\":" ID "}");
}

static void upper_is_flat(void **context)
{
    (void)context;
    expect_all(DIALECT_UPPER, TASK_QUEUED,
               "{\"action\":\"generate\",\"fail_reason\":\"\",\"finish_time\":0,"
               "\"model\":\"sora-2\",\"progress\":\"0%\",\"start_time\":0,"
               "\"status\":\"NOT_START\",\"submit_time\":1759763426,\"task_id\":" ID "}");
    expect_all(DIALECT_UPPER, TASK_COMPLETED,
               "{\"action\":\"generate\",\"data\":{\"output\":\"" RESULT
               "src.mp4\",\"thumbnail_url\":\"" RESULT "thumbnail.webp\",\"url\":\"" RESULT
               "src.mp4\",\"video_url\":\"" RESULT "src.mp4\"},\"fail_reason\":\"\","
               "\"finish_time\":1759763431,\"model\":\"sora-2\",\"progress\":\"100%\","
               "\"start_time\":1759763428,\"status\":\"SUCCESS\",\"submit_time\":1759763426,\"task_"
               "id\":" ID ",\"video_url\":\"" RESULT "src.mp4\"}");
    expect_all(DIALECT_UPPER, TASK_FAILED,
               "{\"action\":\"generate\","
               "\"error\":{\"code\":\"render_failed\",\"message\":" FAILED_TEXT
               "},\"fail_reason\":" FAILED_TEXT
               ",\"finish_time\":1759763431,\"model\":\"sora-2\",\"progress\":\"93%\","
               "\"start_time\":1759763428,\"status\":\"FAILURE\",\"submit_time\":1759763426,"
               "\"task_id\":" ID "}");
}

static void without_images_or_seed(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_COMPLETED);
    task->request->has_seed = false;
    size_t n_images = task->request->n_images;
    task->request->n_images = 0;
    task->result.duration_ms = 0;
    json_t *answer = dialect_render(DIALECT_GENERATIONS, task, &view);
    expect(answer, "data.action", "\"textGenerate\"");
    expect(answer, "metadata", "{\"duration\":0.0,\"height\":640,\"width\":352}");
    json_decref(answer);
    task->request->n_images = n_images;
    task_unref(task);
}

static void what_retention_took_is_not_linked(void **context)
{
    (void)context;
    for (unsigned i = DIALECT_OPENAI; i < DIALECT_COUNT; i++) {
        struct task *task = sample_task(TASK_COMPLETED);
        task->expired_ms = task->ended_ms + 1;
        json_t *answer = dialect_render((enum dialect)i, task, &view);
        char *text = json_canonical(answer);
        assert_null(strstr(text, LINK));
        assert_null(at(answer, "data.output"));
        assert_null(at(answer, "data.data"));
        free(text);
        json_decref(answer);
        task_unref(task);
    }
}

/* Whose engine it was, under which name, account and id, is not for tenants. */
static void nothing_of_the_upstream_is_shown(void **context)
{
    (void)context;
    static const char *const secrets[] = {"up.example",  "job-1",   SAMPLE_ATTEMPT, "\"main\"",
                                          "\"default\"", "credits", "\"step\""};
    for (unsigned i = DIALECT_UNIFIED * TASK_STATE_COUNT; i < DIALECT_COUNT * TASK_STATE_COUNT;
         i++) {
        struct task *task = sample_upstream_task(i % TASK_STATE_COUNT, ATTEMPT_ACCEPTED);
        json_t *answer = dialect_render((enum dialect)(i / TASK_STATE_COUNT), task, &view);
        char *text = json_canonical(answer);
        for (size_t j = 0; j < ARRAY_LENGTH(secrets); j++)
            if (strstr(text, secrets[j]) != NULL)
                fail_msg("%s: %s", task_state_name(task->state), secrets[j]);
        free(text);
        json_decref(answer);
        task_unref(task);
    }
}

/* Some clients take the keys of `wrappers` for a finished video or an error. */
static void creates_are_answered_as_documented(void **context)
{
    (void)context;
    static const char *const wrappers[] = {"url",    "video_url", "result_url",
                                           "output", "outputs",   "response",
                                           "data",   "result",    "code"};
    static const char *const wanted[DIALECT_COUNT] = {
        [DIALECT_OPENAI] = OPENAI_BEFORE("0", "queued"),
        [DIALECT_GENERATIONS] = "{\"created_at\":1759763426,\"id\":" ID ",\"model\":\"sora-2\","
                                "\"object\":\"video\",\"progress\":0,\"status\":\"queued\","
                                "\"task_id\":" ID "}",
        [DIALECT_UPPER] = "{\"status\":\"NOT_START\",\"task_id\":" ID "}",
    };
    struct task_request *request = sample_request();
    for (unsigned i = DIALECT_UNIFIED; i < DIALECT_COUNT; i++) {
        json_t *answer = dialect_render_created((enum dialect)i, request);
        if (wanted[i] != NULL)
            expect(answer, "", wanted[i]);
        for (size_t j = 0; j < ARRAY_LENGTH(wrappers); j++) {
            const json_t *value = json_object_get(answer, wrappers[j]);
            assert_true(value == NULL || json_is_null(value));
        }
        assert_true(json_is_null(at(answer, "error")) || at(answer, "error") == NULL);
        json_decref(answer);
    }
    task_request_unref(request);
}

static void only_openai_s_clients_may_say_little(void **context)
{
    (void)context;
    for (unsigned i = DIALECT_UNIFIED; i < DIALECT_COUNT; i++) {
        const struct unified_defaults *defaults = dialect_defaults((enum dialect)i);
        if (i == DIALECT_OPENAI) {
            assert_string_equal(defaults->model, "sora-2");
            assert_string_equal(defaults->size, "720x1280");
            assert_int_equal(defaults->duration_s, 4);
        } else {
            assert_true(defaults->model == NULL && defaults->size == NULL);
            assert_int_equal(defaults->duration_s, 0);
        }
    }
}

/* Customs of models, in the unified dialect */

static struct task *task_of_model(const char *model, enum task_state state)
{
    struct task *task = sample_task(state);
    free(task->request->model);
    task->request->model = must_strdup(model);
    return task;
}

static json_t *render_model(const char *model, enum task_state state)
{
    struct task *task = task_of_model(model, state);
    json_t *answer = dialect_render(DIALECT_UNIFIED, task, &view);
    task_unref(task);
    return answer;
}

static void vidu_ends_in_success(void **context)
{
    (void)context;
    static const struct {
        const char *model, *word;
    } rows[] = {
        {"viduq2", "\"success\""},    {"VIDUQ2-pro", "\"success\""}, {"viduq", "\"success\""},
        {"vidu2.0", "\"completed\""}, {"xviduq2", "\"completed\""},  {"sora-2", "\"completed\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        json_t *answer = render_model(rows[i].model, TASK_COMPLETED);
        expect(answer, "status", rows[i].word);
        expect(answer, "detail.status", "\"completed\"");
        json_decref(answer);
    }
    json_t *answer = render_model("viduq2", TASK_RENDERING);
    expect(answer, "status", "\"pending\"");
    json_decref(answer);
    answer = render_model("viduq2", TASK_FAILED);
    expect(answer, "status", "\"failed\"");
    json_decref(answer);
    struct task *task = task_of_model("viduq2", TASK_COMPLETED);
    answer = dialect_render(DIALECT_OPENAI, task, &view); /* its words are strict */
    expect(answer, "status", "\"completed\"");
    json_decref(answer);
    task_unref(task);
}

static void grok_is_flat_when_completed(void **context)
{
    (void)context;
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"ratio", "\"9:16\""},
        {"prompt", "\"make animate\""},
        {"model", "\"grok-video-3\""},
        {"completed_at", "1759763431"},
        {"video_id", "\"" SAMPLE_GENERATION "\""},
        {"trace_id", "\"req-1\""},
        {"upscaled", "false"},
        {"error", "\"\""},
        {"progress", "100"},
        {"video_url", "\"" RESULT "src.mp4\""},
        {"status_update_time", "1759763431875"},
    };
    json_t *answer = render_model("grok-video-3", TASK_COMPLETED);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        expect(answer, rows[i].key, rows[i].value);
    json_decref(answer);
    answer = render_model("grok-video-3", TASK_RENDERING);
    assert_true(at(answer, "error") == NULL && at(answer, "completed_at") == NULL);
    json_decref(answer);
    answer = render_model("grok-video-3", TASK_FAILED);
    expect(answer, "error.code", "\"render_failed\"");
    json_decref(answer);
}

static void a_ratio_follows_the_orientation(void **context)
{
    (void)context;
    static const struct {
        const char *ratio, *orientation, *shown;
    } rows[] = {
        {"3:2", "landscape", "\"3:2\""},
        {NULL, "landscape", "\"16:9\""},
        {NULL, "portrait", "\"9:16\""},
        {NULL, "square", "\"1:1\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct task *task = task_of_model("grok-video-3", TASK_COMPLETED);
        struct task_request *request = task->request;
        free(TAKE(request->aspect_ratio));
        free(TAKE(request->orientation));
        request->aspect_ratio = rows[i].ratio != NULL ? must_strdup(rows[i].ratio) : NULL;
        request->orientation = must_strdup(rows[i].orientation);
        free(TAKE(request->request_id));
        json_t *answer = dialect_render(DIALECT_UNIFIED, task, &view);
        expect(answer, "ratio", rows[i].shown);
        expect(answer, "trace_id", "null");
        json_decref(answer);
        task_unref(task);
    }
}

static void veo_s_detail_has_the_vendor_s_keys(void **context)
{
    (void)context;
    static const char *const words[TASK_STATE_COUNT] = {"\"pending\"",
                                                        "\"pending\"",
                                                        "\"video_generating\"",
                                                        "\"video_generating\"",
                                                        "\"completed\"",
                                                        "\"failed\"",
                                                        "\"failed\""};
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        bool is_end = task_state_is_end((enum task_state)i);
        json_t *answer = render_model("veo3.1-fast", (enum task_state)i);
        expect(answer, "detail.status", words[i]);
        expect(answer, "detail.req.model", "\"veo3.1-fast\"");
        expect(answer, "detail.req.prompt", "\"make animate\"");
        expect(answer, "detail.req.aspect_ratio", "\"9:16\"");
        expect(answer, "detail.req.enhance_prompt", "true");
        expect(answer, "detail.req.enable_upsample", "false");
        expect(answer, "detail.req.images.0", "\"https://example.com/a.png\"");
        expect(answer, "detail.images.0.url", "\"https://example.com/a.png\"");
        expect(answer, "detail.images.1.status",
               i <= TASK_SUBMITTING ? "\"pending\"" : "\"completed\"");
        expect(answer, "detail.running",
               i == TASK_RENDERING || i == TASK_FETCHING ? "true" : "false");
        expect(answer, "detail.enhanced_prompt", "\"\"");
        expect(answer, "detail.created_at", "1759763426875");
        expect(answer, "detail.completed_at", is_end ? "1759763431875" : "null");
        expect(answer, "detail.retry_count", "0");
        expect(answer, "detail.max_retries", "2");
        expect(answer, "detail.upsample_video_url",
               i == TASK_COMPLETED ? "\"" RESULT "src.mp4\"" : "(absent)");
        expect(answer, "detail.upsample_status",
               i == TASK_COMPLETED ? "\"completed\"" : "(absent)");
        bool has_failed = i == TASK_FAILED || i == TASK_CANCELLED;
        assert_int_equal(json_is_string(at(answer, "detail.video_generation_error")), has_failed);
        json_decref(answer);
    }
}

static void veo_s_keys_follow_the_task(void **context)
{
    (void)context;
    struct task *task = task_of_model("veo3", TASK_RENDERING);
    task->attempts = 3;
    task->attempt.job = sample_job("job-1");
    (void)json_object_set_new(task->request->extra, "enable_upsample", json_true());
    json_t *answer = dialect_render(DIALECT_UNIFIED, task, &view);
    expect(answer, "detail.retry_count", "2");
    expect(answer, "detail.enhanced_prompt", "\"make it animate\"");
    expect(answer, "detail.req.enable_upsample", "true");
    json_decref(answer);
    task_unref(task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_dialect_has_its_words),
        cmocka_unit_test(openai_s_object_is_whole_in_every_state),
        cmocka_unit_test(openai_s_result_is_the_file_s),
        cmocka_unit_test(no_remix_is_null),
        cmocka_unit_test(generations_are_wrapped_and_flat_at_once),
        cmocka_unit_test(upper_is_flat),
        cmocka_unit_test(without_images_or_seed),
        cmocka_unit_test(what_retention_took_is_not_linked),
        cmocka_unit_test(nothing_of_the_upstream_is_shown),
        cmocka_unit_test(creates_are_answered_as_documented),
        cmocka_unit_test(only_openai_s_clients_may_say_little),
        cmocka_unit_test(vidu_ends_in_success),
        cmocka_unit_test(grok_is_flat_when_completed),
        cmocka_unit_test(a_ratio_follows_the_orientation),
        cmocka_unit_test(veo_s_detail_has_the_vendor_s_keys),
        cmocka_unit_test(veo_s_keys_follow_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
