/* SPDX-License-Identifier: Apache-2.0
 *
 * Deleting a task that has ended, for whichever route names one. What its owner wrote and what was made for him is gone when
 * the answer comes. On HTTP threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "api/task.h"
#include "base/json.h"
#include "base/must.h"

struct erase {
    struct wait wait;
    struct engine_erase engine;
    char id[TASK_PUBLIC_ID_SIZE];
};

static void erase_free(struct wait *wait)
{
    struct erase *erase = CONTAINER_OF(wait, struct erase, wait);
    task_unref(erase->engine.task);
    free(erase);
}

static void erase_done(struct engine_erase *engine)
{
    wait_done(&CONTAINER_OF(engine, struct erase, engine)->wait);
}

static enum MHD_Result reply_deleted(struct api_request *request, const struct erase *erase)
{
    json_t *answer = json_object();
    must(answer != NULL);
    view_cache_forget(request->api->views, erase->engine.id);
    json_set_text(answer, "id", erase->id);
    json_set_text(answer, "object", "video.deleted");
    json_set(answer, "deleted", json_true());
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}

static enum MHD_Result reply_outcome(struct api_request *request, const struct erase *erase)
{
    struct api_error_details details = {.id = erase->id, .status = "pending"};
    switch (erase->engine.outcome) {
    case ENGINE_OK:
        return reply_deleted(request, erase);
    case ENGINE_CONFLICT:
        return api_reply_error(request, API_ERROR_TASK_NOT_ENDED, &details);
    case ENGINE_NOT_FOUND:
        return api_reply_no_task(request, erase->id, ENGINE_NOT_FOUND);
    case ENGINE_CLOSING:
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    case ENGINE_REPEATED:
    case ENGINE_DELETED:
    case ENGINE_FULL:
    case ENGINE_TENANT_FULL:
    case ENGINE_TENANT_DAY:
    case ENGINE_STORE_FAILED:
    case ENGINE_DAMAGED:
        break;
    }
    return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
}

static enum MHD_Result erase_resumed(struct api_request *request)
{
    struct wait *wait = TAKE(request->wait);
    struct erase *erase = CONTAINER_OF(wait, struct erase, wait);
    enum MHD_Result result = wait_end(wait) ? reply_outcome(request, erase)
                                            : api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    wait_unref(wait);
    return result;
}

enum MHD_Result video_delete(struct api_request *request)
{
    struct api *api = request->api;
    struct erase *erase = must_calloc(1, sizeof(*erase));
    erase->wait.free = erase_free;
    erase->engine.done = erase_done;
    memcpy(erase->engine.id, request->task->request->id, sizeof(erase->engine.id));
    task_public_id(request->task->request, erase->id);
    if (!request->who.is_operator)
        snprintf(erase->engine.tenant, sizeof(erase->engine.tenant), "%s", request->who.tenant);
    if (!wait_begin(&erase->wait, api->waits, request->connection,
                    api->parts.settings->http_wait)) {
        erase_free(&erase->wait);
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    }
    request->wait = &erase->wait;
    request->resumed = erase_resumed;
    engine_erase(api->parts.engine, &erase->engine);
    return MHD_YES;
}
