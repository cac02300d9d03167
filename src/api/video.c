/* SPDX-License-Identifier: Apache-2.0
 *
 * Querying a task, in the dialect of the route, and cancelling one. On HTTP threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "api/task.h"
#include "base/json.h"
#include "base/must.h"

enum MHD_Result video_query(struct api_request *request)
{
    return api_reply_task(request, request->task, &request->figures);
}

/* ---- cancelling ---- */

struct cancel {
    struct wait wait;
    struct engine_cancel engine;
};

static void cancel_free(struct wait *wait)
{
    struct cancel *cancel = CONTAINER_OF(wait, struct cancel, wait);
    if (cancel->engine.task != NULL)
        task_unref(cancel->engine.task);
    free(cancel);
}

static void cancel_done(struct engine_cancel *engine)
{
    wait_done(&CONTAINER_OF(engine, struct cancel, engine)->wait);
}

static enum MHD_Result reply_ended(struct api_request *request, const struct task *task)
{
    char id[TASK_PUBLIC_ID_SIZE];
    char message[80];
    task_public_id(task->request, id);
    snprintf(message, sizeof(message), "The task has already %s.",
             task->state == TASK_COMPLETED ? "completed" : "failed");
    struct api_error_details details = {
        .id = id, .status = task_state_unified(task->state), .message = message};
    return api_reply_error(request, API_ERROR_TASK_ENDED, &details);
}

static enum MHD_Result reply_cancelled(struct api_request *request,
                                       const struct engine_cancel *cancel)
{
    struct engine_figures figures = {.wait_s = -1};
    switch (cancel->outcome) {
    case ENGINE_OK:
    case ENGINE_REPEATED:
        return api_reply_task(request, cancel->task, &figures);
    case ENGINE_CONFLICT:
        return reply_ended(request, cancel->task);
    case ENGINE_NOT_FOUND:
        return api_reply_no_task(request, cancel->id, ENGINE_NOT_FOUND);
    case ENGINE_CLOSING:
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    case ENGINE_FULL:
    case ENGINE_TENANT_FULL:
    case ENGINE_TENANT_DAY:
    case ENGINE_DELETED:
    case ENGINE_STORE_FAILED:
    case ENGINE_DAMAGED:
        break;
    }
    return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
}

static enum MHD_Result cancel_resumed(struct api_request *request)
{
    struct wait *wait = TAKE(request->wait);
    struct cancel *cancel = CONTAINER_OF(wait, struct cancel, wait);
    enum MHD_Result result;
    if (wait_end(wait))
        result = reply_cancelled(request, &cancel->engine);
    else
        result = api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    wait_unref(wait);
    return result;
}

/* The id of a cancel: a JSON body's, else the query's. NULL with a fault's sentence when the body is not JSON. */
static bool read_cancel_id(struct api_request *request, json_t **ret_body, const char **ret_id,
                           char ret_error[JSON_ERROR_SIZE])
{
    const char *id = NULL;
    if (request->body_length > 0) {
        *ret_body = json_parse(request->body, request->body_length, ret_error);
        if (*ret_body == NULL)
            return false;
        id = json_text(*ret_body, "id");
        if (id == NULL)
            id = json_text(*ret_body, "task_id");
    }
    if (id == NULL)
        id = api_argument(request, "id");
    if (id == NULL)
        id = api_argument(request, "task_id");
    *ret_id = id;
    return true;
}

static enum MHD_Result begin_cancel(struct api_request *request, const struct task *task)
{
    struct api *api = request->api;
    struct cancel *cancel = must_calloc(1, sizeof(*cancel));
    cancel->wait.free = cancel_free;
    cancel->engine.done = cancel_done;
    memcpy(cancel->engine.id, task->request->id, sizeof(cancel->engine.id));
    if (!request->who.is_operator)
        snprintf(cancel->engine.tenant, sizeof(cancel->engine.tenant), "%s", request->who.tenant);
    if (!wait_begin(&cancel->wait, api->waits, request->connection,
                    api->parts.settings->http_wait)) {
        cancel_free(&cancel->wait);
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    }
    request->wait = &cancel->wait;
    request->resumed = cancel_resumed;
    engine_cancel(api->parts.engine, &cancel->engine);
    return MHD_YES;
}

enum MHD_Result video_cancel(struct api_request *request)
{
    CLEANUP(json_unref_pointer) json_t *body = NULL;
    char error[JSON_ERROR_SIZE];
    const char *given = NULL;
    if (!read_cancel_id(request, &body, &given, error))
        return api_reply_unreadable(request, error);
    if (given == NULL || *given == '\0')
        return api_reply_invalid(request, "id", "Say which task: {\"id\": …} or ?id=…");
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome = api_find_task(request, given, &task, &figures);
    if (outcome != ENGINE_OK)
        return api_reply_no_task(request, given, outcome);
    enum MHD_Result result = begin_cancel(request, task);
    task_unref(task);
    return result;
}
