/* SPDX-License-Identifier: Apache-2.0
 *
 * The file behind a video, as the OpenAI SDKs ask for it. On HTTP threads. */
#include <string.h>

#include "api/files.h"
#include "api/handler.h"

/* The file of a variant's name; NULL: there is no such variant. */
static const char *file_of(const struct task *task, const char *variant)
{
    if (variant == NULL || *variant == '\0' || strcmp(variant, "video") == 0)
        return unified_video_file(task);
    if (strcmp(variant, "thumbnail") == 0)
        return UNIFIED_THUMBNAIL;
    return strcmp(variant, "spritesheet") == 0 ? UNIFIED_SPRITESHEET : NULL;
}

enum MHD_Result videos_content(struct api_request *request)
{
    const struct task *task = request->task;
    const char *file = file_of(task, api_argument(request, "variant"));
    char key[UNIFIED_ASSET_KEY_SIZE];
    if (file == NULL)
        return api_reply_invalid(request, "variant",
                                 "variant must be video, thumbnail or spritesheet.");
    if (!task_state_is_end(task->state))
        return api_reply_error(request, API_ERROR_VIDEO_NOT_READY, NULL);
    if (task->state != TASK_COMPLETED || task->expired_ms != 0)
        return api_reply_error(request, API_ERROR_NO_VIDEO, NULL);
    unified_asset_key(task, file, key);
    /* Results of versions that made no sprite sheets have none. */
    bool is_sheet = strcmp(file, UNIFIED_SPRITESHEET) == 0;
    return files_reply(request, key, NULL, is_sheet ? API_ERROR_VARIANT : API_ERROR_NOT_FOUND);
}
