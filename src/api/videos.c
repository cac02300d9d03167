/* SPDX-License-Identifier: Apache-2.0
 *
 * What `/v1/videos` has beside creating, querying and deleting, as the OpenAI SDKs ask for it: the list, and the file
 * behind a video. On HTTP threads. */
#include <errno.h>
#include <string.h>

#include "api/files.h"
#include "api/handler.h"
#include "api/task.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"

enum { LIST_DEFAULT = 20 };

/* ---- the list ---- */

/* `after` is the id of the last video that the client has: where it stands is where the list goes on. False: there is none, and
 * `ret_result` is what the reply returned. */
static bool read_after(struct api_request *request, struct store_list_query *query,
                       char ret_id[ID_SHORT_SIZE], enum MHD_Result *ret_result)
{
    const char *after = api_argument(request, "after");
    const struct task *task = NULL;
    struct engine_figures figures;
    if (after == NULL || *after == '\0')
        return true;
    enum engine_outcome outcome = api_find_task(request, after, &task, &figures);
    if (outcome != ENGINE_OK) {
        *ret_result = api_reply_no_task(request, after, outcome);
        return false;
    }
    memcpy(ret_id, task->request->id, ID_SHORT_SIZE);
    query->before_micros = task->request->created_micros;
    query->before_id = ret_id;
    task_unref(task);
    return true;
}

/* As a query would show it now: an end that is stored but not yet published is not told here first, for its place is not free
 * yet. What was erased meanwhile is left out. */
static void add_entry(const struct api_request *request, const struct view_source *source,
                      const struct task *stored, json_t *data)
{
    struct engine_figures figures = {.wait_s = -1};
    const struct task *shown = NULL;
    if (!engine_published(request->api->parts.engine, stored->request->id, &shown, &figures))
        shown = task_ref(stored);
    if (shown->deleted_ms == 0)
        must(json_array_append_new(data, view_tree(source, shown, &figures)) == 0);
    task_unref(shown);
}

static json_t *new_list(const struct api_request *request, const char *base,
                        const struct task *const *tasks, size_t count, bool has_more)
{
    struct view_source source = api_view_source(request, base);
    json_t *data = json_array();
    for (size_t i = 0; i < count; i++)
        add_entry(request, &source, tasks[i], data);
    count = json_array_size(data);
    json_t *list = json_object();
    json_set_text(list, "object", "list");
    json_set(list, "data", data);
    json_set_text(list, "first_id", json_text(json_array_get(data, 0), "id"));
    json_set_text(list, "last_id",
                  count > 0 ? json_text(json_array_get(data, count - 1), "id") : NULL);
    json_set(list, "has_more", json_boolean(has_more));
    return list;
}

static enum MHD_Result reply_list(struct api_request *request, const struct store_list_query *query)
{
    char base[ORIGIN_BASE_SIZE];
    const struct task *tasks[STORE_LIST_MAX];
    struct store_list_end end = {0};
    size_t count = 0;
    if (!api_base(request, base))
        return api_reply_bad_host(request);
    int r = store_list_look(request->api->parts.store, query, tasks, &count, &end);
    if (r != 0) {
        log_write(LOG_ERROR, &(struct log_about){.request_id = api_request_id(request)},
                  "listing videos failed: %s", strerror(r < 0 ? -r : EINVAL));
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    }
    json_t *list = new_list(request, base, tasks, count, end.has_more);
    for (size_t i = 0; i < count; i++)
        task_unref(tasks[i]);
    return api_reply_tree(request, MHD_HTTP_OK, list);
}

enum MHD_Result videos_list(struct api_request *request)
{
    char after_id[ID_SHORT_SIZE];
    struct store_list_query query = {.tenant =
                                         request->who.is_operator ? NULL : request->who.tenant};
    enum MHD_Result result;
    bool is_sound = api_read_limit(request, LIST_DEFAULT, STORE_LIST_MAX, &query.limit, &result) &&
                    api_read_order(request, &query.ascending, &result) &&
                    read_after(request, &query, after_id, &result);
    return is_sound ? reply_list(request, &query) : result;
}

/* ---- the file ---- */

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
