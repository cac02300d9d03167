/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/video/create: read the body, decode it, store the input images, hand the task to the engine, and answer once it is
 * durable. The connection is suspended before the engine is called, for its done() may come at once and from any thread.
 * Whatever ends otherwise than in a new task takes its inputs away again. On HTTP threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/handler.h"
#include "api/input.h"
#include "api/multipart.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "task/unified.h"

/* A create under way. Shared by the suspended request and the engine. */
struct create {
    struct wait wait;
    struct engine_create engine;
    struct asset_store *assets;
    char task_id[ID_SHORT_SIZE];
    char *idempotency_key;
    bool has_inputs; /* something was stored under the task's id */
};

/* What a body became. */
struct reading {
    json_t *object;
    struct multipart *form; /* malloc'ed; NULL for other types than multipart */
    struct unified_decoded decoded;
    bool is_decoded;
};

static void reading_fini(struct reading *reading)
{
    if (reading->is_decoded)
        unified_decoded_fini(&reading->decoded);
    json_decref(reading->object);
    free(reading->form);
    *reading = (struct reading){0};
}

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
    case ENGINE_FULL:
        return api_reply_error(request, API_ERROR_QUEUE_FULL, NULL);
    case ENGINE_TENANT_FULL:
        return api_reply_error(request, API_ERROR_TOO_MANY_TASKS, NULL);
    case ENGINE_TENANT_DAY:
        details.retry_after_s = create->engine.retry_after_s;
        return api_reply_error(request, API_ERROR_DAILY_LIMIT, &details);
    case ENGINE_CLOSING:
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    case ENGINE_STORE_FAILED:
        return api_reply_error(request, API_ERROR_STORE_UNAVAILABLE, NULL);
    case ENGINE_NOT_FOUND:
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

static bool is_media_type(const char *type, const char *wanted)
{
    size_t length = strlen(wanted);
    return strncasecmp(type, wanted, length) == 0 &&
           (type[length] == '\0' || strchr("; \t", type[length]) != NULL);
}

static bool is_json_type(const char *type)
{
    static const char SUFFIX[] = "+json";
    if (is_media_type(type, "application/json") || is_media_type(type, "text/plain") ||
        is_media_type(type, "text/json"))
        return true;
    size_t length = strcspn(type, "; \t");
    size_t suffix = sizeof(SUFFIX) - 1;
    return length == 0 ||
           (length > suffix && strncasecmp(type + length - suffix, SUFFIX, suffix) == 0);
}

/* Turns the body into an object. False, and `ret_error` empty, when its type is not supported. */
static bool read_body(struct api_request *request, struct reading *reading,
                      char ret_error[MULTIPART_ERROR_SIZE])
{
    const char *type = api_header(request, "Content-Type");
    char *body = request->body;
    size_t length = request->body_length;
    ret_error[0] = '\0';
    bool is_form = type != NULL && is_media_type(type, "application/x-www-form-urlencoded");
    /* `curl -d '{…}'` calls JSON a form; no field's name begins with a brace. */
    bool is_mislabelled = is_form && body != NULL && body[0] == '{';
    if (type == NULL || is_json_type(type) || is_mislabelled) {
        _Static_assert((int)JSON_ERROR_SIZE == (int)MULTIPART_ERROR_SIZE, "one buffer for both");
        reading->object = json_parse(body != NULL ? body : "", length, ret_error);
        if (reading->object != NULL && !json_is_object(reading->object)) {
            snprintf(ret_error, MULTIPART_ERROR_SIZE, "it is not a JSON object");
            return false;
        }
    } else if (is_media_type(type, "multipart/form-data")) {
        reading->form = must_calloc(1, sizeof(*reading->form));
        if (multipart_read(type, body != NULL ? body : "", length, reading->form, ret_error))
            reading->object = reading->form->object;
    } else if (is_form && body != NULL) {
        reading->object = multipart_read_urlencoded(body, length, ret_error);
    } else if (is_form) {
        reading->object = json_object();
    }
    return reading->object != NULL;
}

static enum MHD_Result reply_unreadable(struct api_request *request, const char *error)
{
    char message[MULTIPART_ERROR_SIZE + 60];
    if (error[0] == '\0')
        return api_reply_error(request, API_ERROR_UNSUPPORTED_TYPE, NULL);
    snprintf(message, sizeof(message), "The request body cannot be read: %s.", error);
    return api_reply_error(request, API_ERROR_BAD_BODY,
                           &(struct api_error_details){.message = message});
}

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

static bool decode(struct api_request *request, struct reading *reading,
                   struct unified_fault *ret_fault)
{
    const struct settings *settings = request->api->parts.settings;
    struct unified_limits limits = {
        .images = (size_t)settings->images,
        .prompt_bytes = (size_t)settings->prompt_bytes,
        .duration_s = (int)(settings->duration / 1000),
    };
    size_t n_files = reading->form != NULL ? reading->form->n_files : 0;
    reading->is_decoded =
        unified_decode(reading->object, n_files, &limits, &reading->decoded, ret_fault) == 0;
    return reading->is_decoded;
}

/* What the client did not say. */
static void complete_task(struct api_request *request, struct task_request *task)
{
    id_new("task", task->id, sizeof(task->id));
    task->tenant = must_strdup(request->who.tenant);
    task->request_id = must_strdup(api_request_id(request));
    task->created_micros = clock_wall_micros();
}

/* Can any channel make it? Asked before anything is stored. */
static bool is_within_reach(struct api_request *request, const struct task_request *task,
                            struct unified_fault *ret_fault)
{
    const char *param;
    char error[CHANNEL_ERROR_SIZE];
    _Static_assert(sizeof(error) <= sizeof(ret_fault->message), "the sentence goes there");
    if (channel_can_take(engine_channel_table(request->api->parts.engine), task, &param, error))
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
static enum MHD_Result submit(struct api_request *request, struct reading *reading,
                              const char *idempotency_key)
{
    struct api *api = request->api;
    struct create *create = must_calloc(1, sizeof(*create));
    struct task_request *task = reading->decoded.request;
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
    create->engine.request = TAKE(reading->decoded.request);
    reading_fini(reading); /* a wait for the disk should hold no megabytes */
    api_request_drop_body(request);
    engine_create(api->parts.engine, &create->engine);
    return MHD_YES;
}

enum MHD_Result video_create(struct api_request *request)
{
    CLEANUP(reading_fini) struct reading reading = {0};
    char error[MULTIPART_ERROR_SIZE];
    struct unified_fault fault = {0};
    const char *idempotency_key = api_header(request, "Idempotency-Key");
    if (idempotency_key != NULL && !is_idempotency_key(idempotency_key))
        return api_reply_invalid(request, "Idempotency-Key",
                                 "Idempotency-Key must be 1 to 255 printable ASCII characters.");
    if (!api_request_charge(request, request->body_length)) /* the parsed copy */
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    if (!read_body(request, &reading, error))
        return reply_unreadable(request, error);
    if (!decode(request, &reading, &fault))
        return reply_fault(request, &fault);
    struct task_request *task = reading.decoded.request;
    if (!channel_is_served(engine_channel_table(request->api->parts.engine), task->model))
        return reply_unknown_model(request, task->model);
    if (!is_within_reach(request, task, &fault))
        return reply_fault(request, &fault);
    complete_task(request, task);
    const struct multipart_file *files = reading.form != NULL ? reading.form->files : NULL;
    switch (input_store(request, &reading.decoded, files, &fault)) {
    case INPUT_STORED:
        return submit(request, &reading, idempotency_key);
    case INPUT_INVALID:
        return reply_fault(request, &fault);
    case INPUT_NO_MEMORY:
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    case INPUT_STORE_FAILED:
        break;
    }
    return api_reply_error(request, API_ERROR_STORE_UNAVAILABLE, NULL);
}
