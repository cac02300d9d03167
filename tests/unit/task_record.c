/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a task: references, ids, the digest, and the documents it is stored as. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "task/step.h"
#include "task/task.h"
#include "task_sample.h"

static void a_copy_is_private_and_shares_the_request(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_RENDERING);
    struct task *copy = task_copy(task);
    copy->progress = 0.99;
    copy->state = TASK_FETCHING;
    assert_int_equal(task->state, TASK_RENDERING);
    assert_true(task->progress < 0.99);
    assert_ptr_equal(copy->request, task->request);
    assert_int_equal(copy->attempts, task->attempts);
    const struct task *other = task_ref(task);
    assert_null(task_unref(task));
    assert_string_equal(other->request->id, SAMPLE_ID); /* still there */
    assert_null(task_unref(other));
    assert_string_equal(copy->request->id, SAMPLE_ID);
    assert_null(task_unref(copy));
    assert_null(task_unref(NULL));
    assert_null(task_request_unref(NULL));
}

static void *count_and_copy(void *shared)
{
    const struct task *task = shared;
    for (int i = 0; i < 1000; i++) {
        const struct task *mine = task_ref(task);
        struct task *copy = task_copy(mine);
        copy->revision++;
        task_unref(copy);
        task_unref(mine);
    }
    return NULL;
}

/* For the thread and address sanitizers: references are counted and copies made at once. */
static void threads_share_a_published_task(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_RENDERING);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_and_copy, task), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(task->references, 1);
    assert_int_equal(task->request->references, 1);
    task_unref(task);
}

static void a_new_task_is_queued_and_sound(void **context)
{
    (void)context;
    struct task *task = task_new(sample_request(), SAMPLE_CREATED_MS + 1000);
    assert_int_equal(task->state, TASK_QUEUED);
    assert_int_equal(task->status_update_ms, SAMPLE_CREATED_MS);
    assert_int_equal(task->deadline_ms, SAMPLE_CREATED_MS + 1000);
    assert_true(task_is_sound(task));
    task_unref(task);
}

static void ids_are_read_with_and_without_a_model(void **context)
{
    (void)context;
    char longest[TASK_MODEL_SIZE + 40], model[TASK_MODEL_SIZE], id[ID_SHORT_SIZE];
    struct {
        const char *text, *model;
    } rows[] = {
        {SAMPLE_ID, ""},
        {"sora-2:" SAMPLE_ID, "sora-2"},
        {"a/b:c:" SAMPLE_ID, "a/b:c"},
        {longest, NULL},
    };
    memset(longest, 'm', TASK_MODEL_SIZE - 1);
    strcpy(longest + TASK_MODEL_SIZE - 1, ":" SAMPLE_ID);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_true(task_parse_id(rows[i].text, model, id));
        assert_string_equal(id, SAMPLE_ID);
        if (rows[i].model != NULL)
            assert_string_equal(model, rows[i].model);
    }
    assert_int_equal(strlen(model), TASK_MODEL_SIZE - 1);
}

static void what_is_no_id_is_refused(void **context)
{
    (void)context;
    char huge[400], model[TASK_MODEL_SIZE] = "kept", id[ID_SHORT_SIZE] = "kept";
    memset(huge, 'm', sizeof huge);
    strcpy(huge + 300, ":" SAMPLE_ID);
    char too_long[TASK_MODEL_SIZE + 40];
    memset(too_long, 'm', TASK_MODEL_SIZE);
    strcpy(too_long + TASK_MODEL_SIZE, ":" SAMPLE_ID);
    const char *const rows[] = {
        "",
        ":",
        ":" SAMPLE_ID,
        "sora-2:",
        "sora-2",
        SAMPLE_ID ":",
        SAMPLE_ID "0",
        "task_01K6X15VHRFF09DKKQJRZWHM60",
        "task_01k6x15vhrff09dkkqjrzwhm6u",
        "task_81k6x15vhrff09dkkqjrzwhm60",
        "gen_01k6x1bffaf3dr786harh8maqt",
        "sora-2:gen_01k6x1bffaf3dr786harh8maqt",
        huge,
        too_long,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        if (task_parse_id(rows[i], model, id))
            fail_msg("«%s» passed", rows[i]);
    assert_string_equal(model, "kept");
    assert_string_equal(id, "kept");
}

static void the_public_id_reads_back(void **context)
{
    (void)context;
    struct task_request *request = sample_request();
    char text[TASK_PUBLIC_ID_SIZE], model[TASK_MODEL_SIZE], id[ID_SHORT_SIZE];
    task_public_id(request, text);
    assert_string_equal(text, "sora-2:" SAMPLE_ID);
    assert_true(task_parse_id(text, model, id));
    assert_string_equal(model, "sora-2");
    task_request_unref(request);
}

/* Documents */

static void assert_same_documents(const struct task *a, const struct task *b)
{
    char *texts[] = {task_encode_request(a->request), task_encode_request(b->request),
                     task_encode_status(a), task_encode_status(b)};
    assert_string_equal(texts[0], texts[1]);
    assert_string_equal(texts[2], texts[3]);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        free(texts[i]);
}

static struct task *round_trip(const struct task *task)
{
    char *request = task_encode_request(task->request), *status = task_encode_status(task);
    struct task *read = task_decode(request, status);
    free(request);
    free(status);
    assert_non_null(read);
    return read;
}

static void every_state_is_read_as_written(void **context)
{
    (void)context;
    for (unsigned i = 0; i < TASK_STATE_COUNT; i++) {
        struct task *task = sample_task((enum task_state)i);
        if (i == TASK_QUEUED)
            task->not_before_ms = SAMPLE_CREATED_MS + 7000;
        if (i == TASK_FAILED)
            shared_text_set(&task->failure_note, "Image 2.");
        if (i == TASK_COMPLETED) {
            task->expired_ms = task->ended_ms + 5;
            task->result.has_watermark = true;
        }
        task->is_command = task->is_local && i % 2 == 0;
        struct task *read = round_trip(task);
        assert_int_equal(read->state, task->state);
        assert_int_equal(read->revision, task->revision);
        assert_int_equal(read->status_update_ms, task->status_update_ms);
        assert_int_equal(read->deadline_ms, task->deadline_ms);
        assert_int_equal(read->started_ms, task->started_ms);
        assert_int_equal(read->not_before_ms, task->not_before_ms);
        assert_int_equal(read->ended_ms, task->ended_ms);
        assert_int_equal(read->expired_ms, task->expired_ms);
        assert_int_equal(read->deleted_ms, 0);
        assert_memory_equal(&read->progress, &task->progress, sizeof read->progress);
        assert_int_equal(read->attempts, task->attempts);
        assert_string_equal(shared_text_of(read->channel), shared_text_of(task->channel));
        assert_int_equal(read->is_local, task->is_local);
        assert_int_equal(read->is_command, task->is_command);
        assert_int_equal(read->failure, task->failure);
        assert_string_equal(shared_text_of(read->failure_note), shared_text_of(task->failure_note));
        assert_memory_equal(&read->result, &task->result, sizeof read->result);
        assert_same_documents(task, read);
        task_unref(read);
        task_unref(task);
    }
}

static void assert_same_attempt(const struct attempt_record *a, const struct attempt_record *b)
{
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->number, b->number);
    assert_string_equal(shared_text_of(a->channel), shared_text_of(b->channel));
    assert_string_equal(shared_text_of(a->credential), shared_text_of(b->credential));
    assert_int_equal(a->begun_ms, b->begun_ms);
    assert_int_equal(a->accepted_ms, b->accepted_ms);
    assert_int_equal(a->closed_ms, b->closed_ms);
    assert_int_equal(a->job == NULL, b->job == NULL);
    if (a->job == NULL)
        return;
    assert_string_equal(a->job->id, b->job->id);
    assert_string_equal(a->job->keep, b->job->keep);
    assert_string_equal(a->job->outputs, b->job->outputs);
    assert_string_equal(a->job->enhanced_prompt, b->job->enhanced_prompt);
    assert_string_equal(a->job->usage, b->job->usage);
}

static void every_attempt_is_read_as_written(void **context)
{
    (void)context;
    size_t n = 0;
    for (unsigned i = 0; i < TASK_STATE_COUNT * ATTEMPT_STATE_COUNT; i++) {
        struct task *task = sample_upstream_task(i / ATTEMPT_STATE_COUNT, i % ATTEMPT_STATE_COUNT);
        task->attempt.number = 5;
        task->n_put_off = 4;
        task->n_refused = TASK_REFUSALS_MAX;
        for (unsigned mark = 0; mark < TASK_REFUSALS_MAX; mark++)
            task->refused_by[mark] = UINT32_MAX - mark;
        task->may_have_cost = true;
        if (task_is_sound(task)) {
            struct task *read = round_trip(task);
            assert_same_attempt(&task->attempt, &read->attempt);
            assert_int_equal(read->n_put_off, 4);
            assert_int_equal(read->n_refused, TASK_REFUSALS_MAX);
            assert_memory_equal(read->refused_by, task->refused_by, sizeof read->refused_by);
            assert_true(read->may_have_cost);
            assert_same_documents(task, read);
            task_unref(read);
            n++;
        }
        task_unref(task);
    }
    assert_int_equal(n, 34);
}

/* The built-in engine's turn: of the attempt before only the number is left. */
static void a_number_alone_is_read_as_written(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_RENDERING);
    task->attempt.number = 3;
    struct task *read = round_trip(task);
    assert_int_equal(read->attempt.number, 3);
    assert_string_equal(read->attempt.id, "");
    task_unref(read);
    task_unref(task);
}

static void a_request_is_read_as_written(void **context)
{
    (void)context;
    struct task *task = sample_task(TASK_QUEUED), *read = round_trip(task);
    const struct task_request *a = task->request, *b = read->request;
    const char *const texts[][2] = {
        {a->id, b->id},
        {a->tenant, b->tenant},
        {a->model, b->model},
        {a->request_id, b->request_id},
        {a->prompt, b->prompt},
        {a->orientation, b->orientation},
        {a->size, b->size},
        {a->aspect_ratio, b->aspect_ratio},
        {a->title, b->title},
        {a->style, b->style},
        {a->negative_prompt, b->negative_prompt},
        {a->character_url, b->character_url},
        {a->character_timestamps, b->character_timestamps},
        {a->operation, b->operation},
        {a->webhook_url, b->webhook_url},
        {a->base_url, b->base_url},
        {a->images[0].url, b->images[0].url},
        {a->images[0].media_id, b->images[0].media_id},
        {a->images[1].key, b->images[1].key},
        {a->images[1].sha256, b->images[1].sha256},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_string_equal(texts[i][0], texts[i][1]);
    assert_true(json_equal(a->remix_config, b->remix_config));
    assert_true(json_equal(a->tags, b->tags));
    assert_true(json_equal(a->extra, b->extra));
    assert_int_equal(b->n_images, 2);
    assert_int_equal(b->images[1].role, TASK_IMAGE_LAST);
    assert_null(b->images[0].key);
    assert_null(b->images[1].url);
    assert_int_equal(a->created_micros, b->created_micros);
    assert_int_equal(a->seed, b->seed);
    assert_int_equal(b->duration_s, 15);
    assert_int_equal(b->width, 352);
    assert_int_equal(b->height, 640);
    assert_int_equal(b->n_frames, 450);
    assert_int_equal(b->priority, 2);
    assert_int_equal(b->n_variants, 1);
    assert_true(b->has_seed && b->has_watermark_wish && b->watermark && b->private_result);
    assert_true(b->storyboard && b->enhance_prompt);
    task_unref(read);
    task_unref(task);
}

static void a_request_of_little_is_read_as_written(void **context)
{
    (void)context;
    static const char request[] =
        "{\"v\":1,\"id\":\"" SAMPLE_ID "\",\"tenant\":\"t\",\"model\":\"m\",\"prompt\":\"p\","
        "\"orientation\":\"portrait\",\"size\":\"small\",\"operation\":\"simple_compose\","
        "\"duration_s\":1,\"width\":64,\"height\":64,\"n_frames\":30,\"priority\":2,"
        "\"n_variants\":1,\"created_micros\":5000,\"images\":[],\"of_later\":1}";
    static const char status[] =
        "{\"v\":1,\"state\":\"queued\",\"revision\":1,\"status_update_ms\":5,\"deadline_ms\":9,"
        "\"progress\":0,\"attempts\":0}";
    struct task *task = task_decode(request, status);
    assert_non_null(task);
    assert_null(task->request->title);
    assert_null(task->request->webhook_url);
    assert_null(task->request->tags);
    assert_null(task->request->images);
    assert_int_equal(json_object_size(task->request->extra), 0);
    struct task *read = round_trip(task);
    assert_same_documents(task, read);
    task_unref(read);
    task_unref(task);
}

/* Damage */

static void decode_and_drop(const char *request, const char *status, bool *ret_is_read)
{
    struct task *task = task_decode(request, status);
    *ret_is_read = task != NULL;
    if (task != NULL) {
        assert_true(task_is_sound(task));
        task_unref(task);
    }
}

static void documents_cut_short_are_damage(void **context)
{
    (void)context;
    struct task *task = sample_upstream_task(TASK_COMPLETED, ATTEMPT_FINISHED);
    char *request = task_encode_request(task->request), *status = task_encode_status(task);
    bool is_read;
    for (size_t length = strlen(request); length-- > 0;) {
        char *cut = must_strndup(request, length);
        decode_and_drop(cut, status, &is_read);
        assert_false(is_read);
        free(cut);
    }
    for (size_t length = strlen(status); length-- > 0;) {
        char *cut = must_strndup(status, length);
        decode_and_drop(request, cut, &is_read);
        assert_false(is_read);
        free(cut);
    }
    free(request);
    free(status);
    task_unref(task);
}

/* Every byte of both documents replaced: no crash, and what is read is sound. */
static void documents_of_wrong_bytes_do_no_harm(void **context)
{
    (void)context;
    struct task *task = sample_upstream_task(TASK_COMPLETED, ATTEMPT_FINISHED);
    char *texts[] = {task_encode_request(task->request), task_encode_status(task)};
    bool is_read;
    for (size_t i = 0; i < 2; i++)
        for (char *p = texts[i]; *p != '\0'; p++)
            for (const char *q = "-9\"x}\xff"; *q != '\0'; q++) {
                char old = *p;
                *p = *q;
                decode_and_drop(texts[0], texts[1], &is_read);
                *p = old;
            }
    decode_and_drop(texts[0], texts[1], &is_read);
    assert_true(is_read);
    free(texts[0]);
    free(texts[1]);
    task_unref(task);
}

static bool reads_with(const char *key, json_t *value, bool is_status)
{
    struct task *task = sample_task(TASK_COMPLETED);
    char *texts[] = {task_encode_request(task->request), task_encode_status(task)};
    json_t *document = json_loads(texts[is_status], 0, NULL);
    if (value == NULL)
        (void)json_object_del(document, key);
    else
        (void)json_object_set_new(document, key, value);
    free(texts[is_status]);
    texts[is_status] = json_dumps(document, 0);
    json_decref(document);
    bool is_read;
    decode_and_drop(texts[0], texts[1], &is_read);
    free(texts[0]);
    free(texts[1]);
    task_unref(task);
    return is_read;
}

static void fields_of_wrong_type_or_value_are_damage(void **context)
{
    (void)context;
    static const struct {
        const char *key, *value; /* NULL: removed */
        bool is_status;
    } rows[] = {
        {"v", NULL, false},
        {"v", "[2]", false},
        {"id", "[\"task_x\"]", false},
        {"tenant", NULL, false},
        {"model", "[\"\"]", false},
        {"model", "[7]", false},
        {"prompt", NULL, false},
        {"title", "[true]", false},
        {"priority", "[10]", false},
        {"duration_s", "[0]", false},
        {"width", "[4294967648]", false},
        {"n_frames", "[\"450\"]", false},
        {"seed", "[1.5]", false},
        {"has_seed", "[1]", false},
        {"created_micros", "[-1]", false},
        {"extra", "[[]]", false},
        {"tags", "[\"a\"]", false},
        {"images", NULL, false},
        {"images", "[[{}]]", false},
        {"images", "[[{\"role\":\"input\",\"media_id\":\"media_01k6x15tnzezbst05sth2qgd8r\"}]]",
         false},
        {"images",
         "[[{\"role\":\"none\",\"media_id\":\"media_01k6x15tnzezbst05sth2qgd8r\",\"url\":"
         "\"u\"}]]",
         false},
        {"images",
         "[[{\"role\":\"input\",\"media_id\":\"media_01k6x15tnzezbst05sth2qgd8r\","
         "\"url\":\"u\",\"key\":\"k\"}]]",
         false},
        {"v", NULL, true},
        {"state", "[\"done\"]", true},
        {"state", "[\"failed\"]", true},
        {"revision", "[0]", true},
        {"progress", "[2]", true},
        {"progress", "[0.5]", true},
        {"attempts", NULL, true},
        {"channel", "[3]", true},
        {"failure", "[\"no_such_code\"]", true},
        {"failure", "[\"storage_unavailable\"]", true},
        {"result", NULL, true},
        {"result", "[[]]", true},
        {"result", "[{\"generation_id\":\"gen_01k6x1bffaf3dr786harh8maqt\"}]", true},
        {"started_ms", "[-5]", true},
        {"expired_ms", "[1]", true},
        {"deleted_ms", "[1]", true},
    };
    assert_true(reads_with("unknown", json_true(), false));
    assert_true(reads_with("unknown", json_true(), true));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        json_t *list = rows[i].value == NULL ? NULL : json_loads(rows[i].value, 0, NULL);
        json_t *value = json_incref(json_array_get(list, 0));
        assert_true(rows[i].value == NULL || value != NULL);
        if (reads_with(rows[i].key, value, rows[i].is_status))
            fail_msg("row %zu passed: %s", i, rows[i].key);
        json_decref(list);
    }
}

static void an_erased_task_is_read_as_written(void **context)
{
    (void)context;
    struct task *task = sample_upstream_task(TASK_COMPLETED, ATTEMPT_FINISHED);
    task_erase(task);
    task->expired_ms = task->ended_ms + 5;
    task->deleted_ms = task->ended_ms + 6;
    struct task *read = round_trip(task);
    assert_int_equal(read->deleted_ms, task->ended_ms + 6);
    assert_string_equal(read->request->prompt, "");
    assert_string_equal(read->attempt.job->id, "job-1");
    assert_same_documents(task, read);
    task_unref(read);
    task_unref(task);
}

static bool reads_attempt_with(const char *key, json_t *value)
{
    struct task *task = sample_upstream_task(TASK_RENDERING, ATTEMPT_ACCEPTED);
    char *request = task_encode_request(task->request), *status = task_encode_status(task);
    json_t *document = json_loads(status, 0, NULL), *attempt = json_object_get(document, "attempt");
    json_t *owner = strcmp(key, "attempt") == 0 || strcmp(key, "refused_by") == 0 ||
                            strcmp(key, "n_deferred") == 0 || strcmp(key, "may_have_cost") == 0
                        ? document
                        : attempt;
    if (value == NULL)
        (void)json_object_del(owner, key);
    else
        (void)json_object_set_new(owner, key, value);
    free(status);
    status = json_dumps(document, 0);
    json_decref(document);
    bool is_read;
    decode_and_drop(request, status, &is_read);
    free(request);
    free(status);
    task_unref(task);
    return is_read;
}

static void attempts_of_wrong_type_or_value_are_damage(void **context)
{
    (void)context;
    static const struct {
        const char *key, *value; /* NULL: removed */
    } rows[] = {
        {"attempt", NULL},
        {"attempt", "[[]]"},
        {"attempt", "[{}]"},
        {"attempt", "[{\"number\":1}]"},
        {"id", NULL},
        {"id", "[\"gen_01k6x1bffaf3dr786harh8maqt\"]"},
        {"id", "[\"\"]"},
        {"id", "[7]"},
        {"state", NULL},
        {"state", "[\"done\"]"},
        {"state", "[\"submitting\"]"},
        {"number", NULL},
        {"number", "[0]"},
        {"number", "[4294967297]"},
        {"channel", NULL},
        {"channel", "[\"other\"]"},
        {"credential", NULL},
        {"credential", "[true]"},
        {"begun_ms", "[-1]"},
        {"accepted_ms", "[0]"},
        {"closed_ms", "[1.5]"},
        {"closed_ms", "[1759763436875]"},
        {"job", NULL},
        {"job", "[[]]"},
        {"job", "[{}]"},
        {"job", "[{\"id\":\"\"}]"},
        {"job", "[{\"id\":\"j\",\"keep\":{}}]"},
        {"refused_by", "[{}]"},
        {"refused_by", "[[1,2,3,4,5,6,7,8,9]]"},
        {"refused_by", "[[-1]]"},
        {"refused_by", "[[4294967296]]"},
        {"refused_by", "[[\"a\"]]"},
        {"n_deferred", "[-1]"},
        {"n_deferred", "[true]"},
        {"may_have_cost", "[1]"},
    };
    assert_true(reads_attempt_with("unknown", json_true()));
    assert_true(reads_attempt_with("n_deferred", NULL));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        json_t *list = rows[i].value == NULL ? NULL : json_loads(rows[i].value, 0, NULL);
        json_t *value = json_incref(json_array_get(list, 0));
        assert_true(rows[i].value == NULL || value != NULL);
        if (reads_attempt_with(rows[i].key, value))
            fail_msg("row %zu passed: %s", i, rows[i].key);
        json_decref(list);
    }
}

/* The digest */

typedef void change_fn(struct task_request *request);

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = must_strdup(text);
}

static void change_model(struct task_request *r)
{
    set_text(&r->model, "other");
}
static void change_prompt(struct task_request *r)
{
    set_text(&r->prompt, "other");
}
static void change_orientation(struct task_request *r)
{
    set_text(&r->orientation, "square");
}
static void change_size(struct task_request *r)
{
    set_text(&r->size, "large");
}
static void change_ratio(struct task_request *r)
{
    set_text(&r->aspect_ratio, "1:1");
}
static void change_title(struct task_request *r)
{
    set_text(&r->title, "other");
}
static void change_style(struct task_request *r)
{
    set_text(&r->style, "other");
}
static void change_negative(struct task_request *r)
{
    set_text(&r->negative_prompt, "other");
}
static void change_character(struct task_request *r)
{
    set_text(&r->character_url, "other");
}
static void change_stamps(struct task_request *r)
{
    set_text(&r->character_timestamps, "0,1");
}
static void change_operation(struct task_request *r)
{
    set_text(&r->operation, "remix");
}
static void change_webhook(struct task_request *r)
{
    set_text(&r->webhook_url, "https://example.com/other");
}
static void change_no_webhook(struct task_request *r)
{
    free(TAKE(r->webhook_url));
}
static void change_url(struct task_request *r)
{
    set_text(&r->images[0].url, "other");
}
static void change_bytes(struct task_request *r)
{
    set_text(&r->images[1].sha256, "other");
}
static void change_role(struct task_request *r)
{
    r->images[0].role = TASK_IMAGE_FIRST;
}
static void change_seed(struct task_request *r)
{
    r->seed--;
}
static void change_has_seed(struct task_request *r)
{
    r->has_seed = false;
}
static void change_duration(struct task_request *r)
{
    r->duration_s = 10;
}
static void change_priority(struct task_request *r)
{
    r->priority = 3;
}
static void change_watermark(struct task_request *r)
{
    r->watermark = false;
}
static void change_wish(struct task_request *r)
{
    r->has_watermark_wish = false;
}
static void change_private(struct task_request *r)
{
    r->private_result = false;
}
static void change_storyboard(struct task_request *r)
{
    r->storyboard = false;
}
static void change_enhance(struct task_request *r)
{
    r->enhance_prompt = false;
}
static void change_tags(struct task_request *r)
{
    (void)json_array_clear(r->tags);
}
static void change_extra(struct task_request *r)
{
    (void)json_object_del(r->extra, "guidance");
}
static void change_remix(struct task_request *r)
{
    (void)json_object_clear(r->remix_config);
}

static void change_what_we_gave(struct task_request *r)
{
    r->created_micros++;
    r->id[6] = 'z';
    r->images[0].media_id[8] = 'z';
    set_text(&r->tenant, "tenant-2");
    set_text(&r->request_id, "req-2");
    set_text(&r->images[1].key, "elsewhere");
    set_text(&r->base_url, "http://other.example.com");
}

static void change_order_of_extra(struct task_request *r)
{
    json_t *guidance = json_incref(json_object_get(r->extra, "guidance"));
    (void)json_object_del(r->extra, "guidance");
    (void)json_object_set_new(r->extra, "guidance", guidance);
}

static bool keeps_digest(change_fn *change)
{
    struct task_request *a = sample_request(), *b = sample_request();
    uint8_t digest_a[32], digest_b[32];
    change(b);
    task_request_digest(a, digest_a);
    task_request_digest(b, digest_b);
    task_request_unref(a);
    task_request_unref(b);
    return memcmp(digest_a, digest_b, sizeof digest_a) == 0;
}

static void the_digest_is_of_what_was_asked(void **context)
{
    (void)context;
    static change_fn *const changes[] = {
        change_model,    change_prompt,     change_orientation, change_size,      change_ratio,
        change_title,    change_style,      change_negative,    change_character, change_stamps,
        change_url,      change_bytes,      change_role,        change_operation, change_seed,
        change_has_seed, change_duration,   change_priority,    change_watermark, change_wish,
        change_private,  change_storyboard, change_enhance,     change_tags,      change_extra,
        change_remix,    change_webhook,    change_no_webhook,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++)
        if (keeps_digest(changes[i]))
            fail_msg("change %zu is not seen", i);
    assert_true(keeps_digest(change_what_we_gave));
    assert_true(keeps_digest(change_order_of_extra));
}

/* As it was when there was always an object: keys of before keep their meaning. */
static void nothing_unknown_has_the_digest_of_an_empty_object(void **context)
{
    (void)context;
    struct task_request *a = sample_request(), *b = sample_request();
    uint8_t digest_a[32], digest_b[32];
    json_decref(TAKE(a->extra));
    (void)json_object_clear(b->extra);
    task_request_digest(a, digest_a);
    task_request_digest(b, digest_b);
    assert_memory_equal(digest_a, digest_b, sizeof digest_a);
    task_request_unref(a);
    task_request_unref(b);
}

static void packed_texts_are_the_same(void **context)
{
    (void)context;
    struct task_request *packed = sample_request(), *loose = sample_request();
    free(TAKE(packed->title));
    free(TAKE(loose->title));
    task_request_pack(packed);
    char *one = task_encode_request(packed), *other = task_encode_request(loose);
    assert_string_equal(one, other);
    assert_null(packed->title);
    assert_int_equal(task_request_bytes(packed), task_request_bytes(loose));
    free(one);
    free(other);
    task_request_unref(packed);
    task_request_unref(loose);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_private_and_shares_the_request),
        cmocka_unit_test(threads_share_a_published_task),
        cmocka_unit_test(a_new_task_is_queued_and_sound),
        cmocka_unit_test(ids_are_read_with_and_without_a_model),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(the_public_id_reads_back),
        cmocka_unit_test(every_state_is_read_as_written),
        cmocka_unit_test(an_erased_task_is_read_as_written),
        cmocka_unit_test(every_attempt_is_read_as_written),
        cmocka_unit_test(a_number_alone_is_read_as_written),
        cmocka_unit_test(a_request_is_read_as_written),
        cmocka_unit_test(a_request_of_little_is_read_as_written),
        cmocka_unit_test(documents_cut_short_are_damage),
        cmocka_unit_test(documents_of_wrong_bytes_do_no_harm),
        cmocka_unit_test(fields_of_wrong_type_or_value_are_damage),
        cmocka_unit_test(attempts_of_wrong_type_or_value_are_damage),
        cmocka_unit_test(the_digest_is_of_what_was_asked),
        cmocka_unit_test(nothing_unknown_has_the_digest_of_an_empty_object),
        cmocka_unit_test(packed_texts_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
