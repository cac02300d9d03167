/* SPDX-License-Identifier: Apache-2.0
 *
 * The unified format has dialects of its own, by model: relays that sell a vendor's models show some of the vendor's keys
 * and words, and clients of such models read them. Here they are data: a row a family of models, and what differs for it.
 * Nothing that the page shows is taken away. Keys that name things of a vendor's own site (a post, an asset there) have
 * no meaning here and are left out. Pure: any thread. */
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/must.h"
#include "task/answer.h"

/* One key more. */
struct key {
    const char *name;
    json_t *(*value)(const struct task *task, const struct unified_view *view);
};

enum { KEYS_MAX = 12 };

struct custom {
    const char *models;    /* a name; `*` at its end: whatever begins so. Cases do not matter */
    const char *completed; /* `status` of a completed task; NULL: as usual */
    const char *const *detail_words;    /* `detail.status` by state; NULL: as usual */
    struct key top_completed[KEYS_MAX]; /* up to one without a name, as all of these */
    struct key detail[KEYS_MAX];        /* in every state */
    struct key detail_completed[KEYS_MAX];
    struct key detail_failed[KEYS_MAX];
};

/* Values */

static json_t *model(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return json_string(task->request->model);
}

static json_t *prompt(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return json_string(task->request->prompt);
}

static json_t *ratio(const struct task *task, const struct unified_view *view)
{
    const struct task_request *request = task->request;
    (void)view;
    if (request->aspect_ratio != NULL)
        return json_string(request->aspect_ratio);
    if (strcmp(request->orientation, "square") == 0)
        return json_string("1:1");
    return json_string(strcmp(request->orientation, "landscape") == 0 ? "16:9" : "9:16");
}

static json_t *video(const struct task *task, const struct unified_view *view)
{
    return answer_link(task, view, unified_video_file(task), NULL);
}

static json_t *generation(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return json_string(task->result.generation_id);
}

static json_t *trace(const struct task *task, const struct unified_view *view)
{
    (void)view;
    const char *id = task->request->request_id;
    return id != NULL ? json_string(id) : json_null();
}

static json_t *no_text(const struct task *task, const struct unified_view *view)
{
    (void)task;
    (void)view;
    return json_string("");
}

static json_t *no(const struct task *task, const struct unified_view *view)
{
    (void)task;
    (void)view;
    return json_false();
}

static json_t *ended_s(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return json_integer(task->ended_ms / 1000);
}

static json_t *ended_ms(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return task->ended_ms != 0 ? json_integer(task->ended_ms) : json_null();
}

static json_t *created_ms(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return json_integer(task->request->created_micros / 1000);
}

static json_t *is_running(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return json_boolean(task->started_ms != 0 && !task_state_is_end(task->state));
}

static json_t *enhanced(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return json_string(answer_enhanced_prompt(task));
}

static json_t *retries(const struct task *task, const struct unified_view *view)
{
    (void)view;
    return json_integer(task->attempts > 1 ? task->attempts - 1 : 0);
}

static json_t *most_retries(const struct task *task, const struct unified_view *view)
{
    (void)task;
    return json_integer(view->attempts > 1 ? view->attempts - 1 : 0);
}

static json_t *completed(const struct task *task, const struct unified_view *view)
{
    (void)task;
    (void)view;
    return json_string("completed");
}

static json_t *failure_text(const struct task *task, const struct unified_view *view)
{
    char text[TASK_SENTENCE_SIZE];
    (void)view;
    task_failure_sentence(task, text);
    return json_string(text);
}

/* The images as `detail.input` has them. */
static json_t *asked_images(const struct task *task, const struct unified_view *view)
{
    json_t *images = unified_render_images(task, view);
    must(images != NULL);
    return images;
}

static json_t *shown_images(const struct task *task, const struct unified_view *view)
{
    CLEANUP(json_unref_pointer) json_t *links = unified_render_images(task, view);
    json_t *images = json_array();
    for (size_t i = 0; i < json_array_size(links); i++) {
        json_t *image = json_object();
        json_set(image, "url", json_incref(json_array_get(links, i)));
        json_set_text(image, "status", task->started_ms != 0 ? "completed" : "pending");
        json_add(images, image);
    }
    return images;
}

static json_t *asked(const struct task *task, const struct unified_view *view)
{
    const struct task_request *request = task->request;
    const json_t *upsample = json_object_get(request->extra, "enable_upsample");
    json_t *wish = json_object();
    json_set_text(wish, "model", request->model);
    json_set_text(wish, "prompt", request->prompt);
    json_set(wish, "images", asked_images(task, view));
    json_set(wish, "aspect_ratio", ratio(task, view));
    json_set(wish, "enhance_prompt", json_boolean(request->enhance_prompt));
    json_set(wish, "enable_upsample", json_boolean(json_is_true(upsample)));
    return wish;
}

/* Rows */

/* A client gives `detail.status` precedence, so only what is no end has words of its own. */
static const char *const veo_words[TASK_STATE_COUNT] = {
    [TASK_RENDERING] = "video_generating",
    [TASK_FETCHING] = "video_generating",
};

static const struct custom customs[] = {
    {.models = "viduq*", .completed = "success"},
    {.models = "grok*",
     .top_completed = {{"ratio", ratio},
                       {"prompt", prompt},
                       {"model", model},
                       {"completed_at", ended_s},
                       {"video_id", generation},
                       {"trace_id", trace},
                       {"upscaled", no},
                       {"error", no_text}}},
    {.models = "veo*",
     .detail_words = veo_words,
     .detail = {{"req", asked},
                {"images", shown_images},
                {"running", is_running},
                {"enhanced_prompt", enhanced},
                {"created_at", created_ms},
                {"completed_at", ended_ms},
                {"retry_count", retries},
                {"max_retries", most_retries}},
     /* There is one file, the best that the upstream gave. */
     .detail_completed = {{"upsample_video_url", video}, {"upsample_status", completed}},
     .detail_failed = {{"video_generation_error", failure_text}}},
};

static bool is_of(const char *models, const char *name)
{
    size_t length = strlen(models);
    bool is_open = models[length - 1] == '*';
    return is_open ? strncasecmp(models, name, length - 1) == 0 : strcasecmp(models, name) == 0;
}

static const struct custom *custom_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(customs); i++)
        if (is_of(customs[i].models, name))
            return &customs[i];
    return NULL;
}

static void add(json_t *object, const struct key *keys, const struct task *task,
                const struct unified_view *view)
{
    for (size_t i = 0; i < KEYS_MAX && keys[i].name != NULL; i++)
        json_set(object, keys[i].name, keys[i].value(task, view));
}

const char *unified_completed_word(const char *model_name)
{
    const struct custom *custom = custom_of(model_name);
    bool is_usual = custom == NULL || custom->completed == NULL;
    return is_usual ? task_state_unified(TASK_COMPLETED) : custom->completed;
}

void unified_add_customs(json_t *answer, const struct task *task, const struct unified_view *view)
{
    const struct custom *custom = custom_of(task->request->model);
    json_t *detail = json_object_get(answer, "detail");
    if (custom == NULL)
        return;
    const char *word = custom->detail_words != NULL ? custom->detail_words[task->state] : NULL;
    if (word != NULL)
        json_set_text(detail, "status", word);
    add(detail, custom->detail, task, view);
    if (task->state == TASK_COMPLETED) {
        add(answer, custom->top_completed, task, view);
        add(detail, custom->detail_completed, task, view);
    } else if (task_state_is_end(task->state)) {
        add(detail, custom->detail_failed, task, view);
    }
}
