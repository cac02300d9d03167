/* SPDX-License-Identifier: Apache-2.0
 *
 * A new task, in the dialect of the route: decode what was asked, store the input images, hand the task to the engine, and answer once it is
 * durable. The connection is suspended before the engine is called, for its done() may come at once and from any thread.
 * Whatever ends otherwise than in a new task takes its inputs away again. On HTTP threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/create.h"
#include "api/handler.h"
#include "api/input.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "net/guard.h"
#include "task/unified.h"

/* A create under way. Shared by the suspended request and the engine. */
enum { LIMIT_SIZE = 160 }; /* of a sentence with a limit in it */

struct create {
    struct wait wait;
    struct engine_create engine;
    struct asset_store *assets;
    char task_id[ID_SHORT_SIZE];
    char *idempotency_key;
    bool has_inputs; /* something was stored under the task's id */
};

/* ---- after the engine has spoken ---- */

static void erase_inputs(const struct create *create)
{
    if (create->has_inputs && asset_erase_task(create->assets, create->task_id) < 0)
        log_task(LOG_WARN, create->task_id, "erasing the inputs of a refused request failed");
}

static void create_free(struct wait *wait)
{
    struct create *create = CONTAINER_OF(wait, struct create, wait);
    if (create->engine.task != NULL)
        task_unref(create->engine.task);
    free(create->idempotency_key);
    free(create);
}

/* The client was told 503 before the answer came. A task that was made all the same runs; a repeated
 * request with the same Idempotency-Key finds it. */
static void create_abandoned(struct wait *wait)
{
    struct create *create = CONTAINER_OF(wait, struct create, wait);
    if (create->engine.outcome != ENGINE_OK)
        erase_inputs(create);
}

static void create_done(struct engine_create *engine)
{
    wait_done(&CONTAINER_OF(engine, struct create, engine)->wait);
}

static enum MHD_Result reply_too_many(struct api_request *request)
{
    char message[LIMIT_SIZE];
    snprintf(message, sizeof(message),
             "You have as many unfinished tasks as you may, %lld: wait for one to end, or cancel "
             "one.",
             (long long)request->api->parts.settings->tenant_in_flight);
    return api_reply_error(request, API_ERROR_TOO_MANY_TASKS,
                           &(struct api_error_details){.message = message});
}

static enum MHD_Result reply_day_is_full(struct api_request *request, int64_t retry_after_s)
{
    char message[LIMIT_SIZE];
    snprintf(message, sizeof(message),
             "You have created as many tasks as one day (UTC) allows, %lld: try again after "
             "midnight UTC.",
             (long long)request->api->parts.settings->tenant_per_day);
    return api_reply_error(
        request, API_ERROR_DAILY_LIMIT,
        &(struct api_error_details){.message = message, .retry_after_s = retry_after_s});
}

static enum MHD_Result reply_outcome(struct api_request *request, const struct create *create)
{
    struct api_error_details details = {0};
    if (create->engine.outcome != ENGINE_OK)
        erase_inputs(create);
    switch (create->engine.outcome) {
    case ENGINE_OK:
    case ENGINE_REPEATED:
        return api_reply_tree(
            request, MHD_HTTP_OK,
            dialect_render_created(request->route->dialect, create->engine.task->request));
    case ENGINE_CONFLICT:
        details.param = "Idempotency-Key";
        return api_reply_error(request, API_ERROR_IDEMPOTENCY_REUSED, &details);
    case ENGINE_DELETED:
        details.param = "Idempotency-Key";
        return api_reply_error(request, API_ERROR_TASK_DELETED, &details);
    case ENGINE_FULL:
        return api_reply_error(request, API_ERROR_QUEUE_FULL, NULL);
    case ENGINE_TENANT_FULL:
        return reply_too_many(request);
    case ENGINE_TENANT_DAY:
        return reply_day_is_full(request, create->engine.retry_after_s);
    case ENGINE_CLOSING:
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    case ENGINE_STORE_FAILED:
        return api_reply_error(request, API_ERROR_STORE_UNAVAILABLE, NULL);
    case ENGINE_NOT_FOUND:
    case ENGINE_DAMAGED:
        break;
    }
    return api_reply_error(request, API_ERROR_INTERNAL, NULL);
}

static enum MHD_Result create_resumed(struct api_request *request)
{
    struct wait *wait = TAKE(request->wait);
    struct create *create = CONTAINER_OF(wait, struct create, wait);
    enum MHD_Result result;
    if (wait_end(wait)) {
        result = reply_outcome(request, create);
    } else {
        static const struct api_error_details LATE = {
            .message =
                "The task could not be confirmed in time; it may have been accepted. Send the "
                "request again with the same Idempotency-Key to find out."};
        log_task(LOG_WARN, create->task_id, "creating the task took too long, answered with 503");
        result = api_reply_error(request, API_ERROR_UNAVAILABLE, &LATE);
    }
    wait_unref(wait);
    return result;
}

/* ---- before ---- */

/* Names what can be asked for, as far as it fits. */
static enum MHD_Result reply_unknown_model(struct api_request *request, const char *model)
{
    CLEANUP(buf_fini) struct buf message;
    buf_init(&message, API_ERROR_MESSAGE_MAX - 200);
    buf_printf(&message, "No channel serves the model %.128s.", model);
    const char *const *names = NULL;
    size_t count = channel_model_names(engine_channel_table(request->api->parts.engine), &names);
    for (size_t i = 0; i < count && !message.overflowed; i++)
        buf_printf(&message, "%s%s", i > 0 ? ", " : " Available: ", names[i]);
    if (count > 0)
        buf_putc(&message, '.');
    struct api_error_details details = {.param = "model", .message = buf_text(&message)};
    return api_reply_error(request, API_ERROR_MODEL_NOT_FOUND, &details);
}

static enum MHD_Result reply_fault(struct api_request *request, const struct unified_fault *fault)
{
    struct api_error_details details = {
        .code = fault->code,
        .message = fault->message,
        .param = fault->param[0] != '\0' ? fault->param : NULL,
    };
    bool is_image = fault->code != NULL && strcmp(fault->code, "image_invalid") == 0;
    return api_reply_error(request, is_image ? API_ERROR_IMAGE_INVALID : API_ERROR_INVALID_REQUEST,
                           &details);
}

static bool is_idempotency_key(const char *key)
{
    size_t length = strnlen(key, STORE_IDEMPOTENCY_KEY_MAX + 1);
    if (length < 1 || length > STORE_IDEMPOTENCY_KEY_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (key[i] < 0x20 || key[i] > 0x7e)
            return false;
    }
    return true;
}

static bool decode(const struct api_request *request, const struct body *body,
                   struct unified_decoded *ret_decoded, struct unified_fault *ret_fault)
{
    const struct settings *settings = request->api->parts.settings;
    struct unified_limits limits = {
        .images = (size_t)settings->images,
        .prompt_bytes = (size_t)settings->prompt_bytes,
        .duration_s = (int)(settings->duration / 1000),
        .defaults = *dialect_defaults(request->route->dialect),
    };
    size_t n_files = body->form != NULL ? body->form->n_files : 0;
    return unified_decode(body->object, n_files, &limits, ret_decoded, ret_fault) == 0;
}

/* Is its webhook's URL fit to be told? Where it leads is judged when it is dialled. */
static bool is_hook_fit(const struct task_request *task, struct unified_fault *ret_fault)
{
    char reason[200];
    if (task->webhook_url == NULL || guard_check_url(task->webhook_url, reason))
        return true;
    *ret_fault = (struct unified_fault){.code = "invalid_request", .param = "webhook_url"};
    snprintf(ret_fault->message, sizeof(ret_fault->message),
             "\"webhook_url\" cannot be called: %s.", reason);
    return false;
}

/* Where links in a webhook begin; kept where there is one and the configuration does not say. */
static void keep_base(struct api_request *request, struct task_request *task)
{
    char base[ORIGIN_BASE_SIZE];
    if (task->webhook_url != NULL && request->api->parts.settings->public_url[0] == '\0' &&
        api_base(request, base))
        task->base_url = must_strdup(base);
}

/* What the client did not say. */
static void complete_task(struct api_request *request, struct task_request *task)
{
    id_new("task", task->id, sizeof(task->id));
    task->tenant = must_strdup(request->who.tenant);
    task->request_id = must_strdup(api_request_id(request));
    task->created_micros = clock_wall_micros();
    keep_base(request, task);
}

/* A remix that brings no images keeps those of the original. */
static bool keeps_images(const struct unified_decoded *decoded, const struct task_request *original)
{
    return original != NULL && decoded->n_images == 0;
}

/* Can any channel make it? Asked before anything is stored; of images it is their number that counts. */
static bool is_within_reach(struct api_request *request, const struct unified_decoded *decoded,
                            const struct task_request *original, struct unified_fault *ret_fault)
{
    const char *param;
    char error[CHANNEL_ERROR_SIZE];
    struct task_request task = *decoded->request;
    task.n_images = keeps_images(decoded, original) ? original->n_images : decoded->n_images;
    _Static_assert(sizeof(error) <= sizeof(ret_fault->message), "the sentence goes there");
    if (channel_can_take(engine_channel_table(request->api->parts.engine), &task, &param, error))
        return true;
    *ret_fault = (struct unified_fault){.code = "invalid_request"};
    snprintf(ret_fault->param, sizeof(ret_fault->param), "%s", param);
    memcpy(ret_fault->message, error, sizeof(error));
    return false;
}

static bool has_stored_inputs(const struct task_request *task)
{
    for (size_t i = 0; i < task->n_images; i++) {
        if (task->images[i].key != NULL)
            return true;
    }
    return false;
}

/* Suspends and hands over. From here on the engine owns the task's request. */
static enum MHD_Result submit(struct api_request *request, struct body *body,
                              struct unified_decoded *decoded, const char *idempotency_key)
{
    struct api *api = request->api;
    struct create *create = must_calloc(1, sizeof(*create));
    const struct task_request *task = decoded->request;
    create->wait.free = create_free;
    create->wait.abandoned = create_abandoned;
    create->assets = api->parts.assets;
    create->has_inputs = has_stored_inputs(task);
    memcpy(create->task_id, task->id, sizeof(create->task_id));
    if (idempotency_key != NULL)
        create->idempotency_key = must_strdup(idempotency_key);
    create->engine.idempotency_key = create->idempotency_key;
    create->engine.done = create_done;

    if (!wait_begin(&create->wait, api->waits, request->connection,
                    api->parts.settings->http_wait)) {
        erase_inputs(create);
        create_free(&create->wait);
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    }
    request->wait = &create->wait;
    request->resumed = create_resumed;
    create->engine.request = TAKE(decoded->request);
    unified_decoded_fini(decoded);
    body_fini(body); /* a wait for the disk should hold no megabytes */
    api_request_drop_body(request);
    engine_create(api->parts.engine, &create->engine);
    return MHD_YES;
}

/* What makes it a rendering of its own from an earlier one. */
static void note_original(struct task_request *task, const struct task_request *original)
{
    char id[TASK_PUBLIC_ID_SIZE];
    task_public_id(original, id);
    free(task->operation);
    task->operation = must_strdup("remix");
    task->remix_config = json_object();
    json_set_text(task->remix_config, "source_task_id", id);
    json_set_text(task->remix_config, "prompt", task->prompt);
}

static enum input_outcome store_inputs(struct api_request *request, const struct body *body,
                                       const struct unified_decoded *decoded,
                                       const struct task_request *original,
                                       struct unified_fault *ret_fault)
{
    if (keeps_images(decoded, original))
        return input_carry(request, original, decoded->request, ret_fault);
    return input_store(request, decoded, body->form != NULL ? body->form->files : NULL, ret_fault);
}

enum MHD_Result create_task(struct api_request *request, struct body *body,
                            const struct task_request *original)
{
    CLEANUP(unified_decoded_fini) struct unified_decoded decoded = {0};
    struct unified_fault fault = {0};
    const char *idempotency_key = api_header(request, "Idempotency-Key");
    if (idempotency_key != NULL && !is_idempotency_key(idempotency_key))
        return api_reply_invalid(request, "Idempotency-Key",
                                 "Idempotency-Key must be 1 to 255 printable ASCII characters.");
    if (!decode(request, body, &decoded, &fault))
        return reply_fault(request, &fault);
    struct task_request *task = decoded.request;
    if (!channel_is_served(engine_channel_table(request->api->parts.engine), task->model))
        return reply_unknown_model(request, task->model);
    if (!is_hook_fit(task, &fault) || !is_within_reach(request, &decoded, original, &fault))
        return reply_fault(request, &fault);
    complete_task(request, task);
    if (original != NULL)
        note_original(task, original);
    switch (store_inputs(request, body, &decoded, original, &fault)) {
    case INPUT_STORED:
        return submit(request, body, &decoded, idempotency_key);
    case INPUT_INVALID:
        return reply_fault(request, &fault);
    case INPUT_NO_MEMORY:
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    case INPUT_STORE_FAILED:
        break;
    }
    return api_reply_error(request, API_ERROR_STORE_UNAVAILABLE, NULL);
}

enum MHD_Result video_create(struct api_request *request)
{
    CLEANUP(body_fini) struct body body = {0};
    enum MHD_Result result;
    return body_take(request, &body, &result) ? create_task(request, &body, NULL) : result;
}
