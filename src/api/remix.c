/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on a video that exists: remix, extend, edit, characters. No channel can do any of them, and a clear no costs nobody a wait. A remix may
 * become a new rendering from the original's request, where the operator allows it: then it is a create like any other. On HTTP threads. */
#include <string.h>

#include "api/body.h"
#include "api/create.h"
#include "api/handler.h"
#include "api/task.h"
#include "base/json.h"
#include "base/must.h"
#include "task/remix.h"

static enum MHD_Result refuse(struct api_request *request, const char *message)
{
    return api_reply_error(request, API_ERROR_OPERATION,
                           &(struct api_error_details){.message = message});
}

static enum MHD_Result refuse_extend(struct api_request *request)
{
    return refuse(
        request,
        "No channel of this gateway can extend a video. Create a new one instead: an image of "
        "this one's last frame, sent as first_frame_image, lets it go on from there.");
}

static enum MHD_Result refuse_character(struct api_request *request)
{
    return refuse(
        request, "No channel of this gateway can make a character from a video. Send images of the "
                 "figure with the request that creates a video (images, reference_images).");
}

/* ---- remix ---- */

static bool may_remix(const struct api_request *request)
{
    return strcmp(request->api->parts.settings->remix, "rerender") == 0;
}

static enum MHD_Result refuse_remix(struct api_request *request)
{
    return refuse(request,
                  "No channel of this gateway can remix a video. Its operator may allow a new "
                  "video from the original's request with the new prompt instead (remix: "
                  "rerender); you can create one yourself.");
}

static enum MHD_Result remix(struct api_request *request, const struct task *original,
                             struct body *body)
{
    if (!may_remix(request))
        return refuse_remix(request);
    if (!task_state_is_end(original->state))
        return api_reply_error(request, API_ERROR_ORIGINAL_UNFINISHED, NULL);
    if (original->state != TASK_COMPLETED)
        return api_reply_error(request, API_ERROR_ORIGINAL_FAILED, NULL);
    json_t *fields = remix_fields(original->request, body->object);
    json_decref(body->object);
    body->object = fields;
    return create_task(request, body, original->request);
}

enum MHD_Result remix_video(struct api_request *request)
{
    CLEANUP(body_fini) struct body body = {0};
    enum MHD_Result result;
    return body_take(request, &body, &result) ? remix(request, request->task, &body) : result;
}

/* The task that a body names, if it is the caller's. False: `ret_result` is what the reply of an error returned. */
static bool take_named(struct api_request *request, const struct body *body,
                       const struct task **ret_task, enum MHD_Result *ret_result)
{
    static const char *const names[] = {"task_id", "id", "video_id"};
    const char *given = NULL;
    struct engine_figures figures;
    for (size_t i = 0; i < ARRAY_LENGTH(names) && (given == NULL || *given == '\0'); i++)
        given = json_text(body->object, names[i]);
    if (given == NULL || *given == '\0') {
        *ret_result = api_reply_invalid(request, "task_id", "Say of which task: {\"task_id\": …}.");
        return false;
    }
    enum engine_outcome outcome = api_find_task(request, given, ret_task, &figures);
    if (outcome != ENGINE_OK)
        *ret_result = api_reply_no_task(request, given, outcome);
    return outcome == ENGINE_OK;
}

enum MHD_Result remix_named(struct api_request *request)
{
    CLEANUP(body_fini) struct body body = {0};
    const struct task *original = NULL;
    enum MHD_Result result;
    if (!body_take(request, &body, &result) || !take_named(request, &body, &original, &result))
        return result;
    result = remix(request, original, &body);
    task_unref(original);
    return result;
}

/* ---- what cannot be done ---- */

enum MHD_Result remix_extend(struct api_request *request)
{
    return refuse_extend(request);
}

enum MHD_Result remix_extend_named(struct api_request *request)
{
    CLEANUP(body_fini) struct body body = {0};
    const struct task *original = NULL;
    enum MHD_Result result;
    if (!body_take(request, &body, &result) || !take_named(request, &body, &original, &result))
        return result;
    task_unref(original);
    return refuse_extend(request);
}

enum MHD_Result remix_edit(struct api_request *request)
{
    return refuse(request, "No channel of this gateway can edit a video. Create a new one with "
                           "the prompt as it should be.");
}

enum MHD_Result remix_character(struct api_request *request)
{
    return refuse_character(request);
}
