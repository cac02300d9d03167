/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing tasks, page by page: in the unified dialect, newest first, and as the OpenAI SDKs ask for videos. On HTTP threads. */
#include <errno.h>
#include <string.h>

#include "api/filter.h"
#include "api/handler.h"
#include "api/task.h"
#include "base/json.h"
#include "base/log.h"

enum { VIDEOS_DEFAULT = 20 };

/* Adds an entry, as a query would show the task now: an end that is stored but not yet published is not told here first, for
 * its place is not free yet. What a query shows in a state that was not asked for is left out; it comes with the state that it
 * is in a moment later. So is what was erased meanwhile. */
static void add_entry(const struct api_request *request, const struct store_list_query *query,
                      const struct view_source *source, const struct task *stored, json_t *data)
{
    struct engine_figures figures = {.wait_s = -1};
    const struct task *shown = NULL;
    if (!engine_published(request->api->parts.engine, stored->request->id, &shown, &figures))
        shown = task_ref(stored);
    bool is_wanted = query->states == 0 || (query->states & 1u << shown->state) != 0;
    if (is_wanted && shown->deleted_ms == 0)
        json_add(data, view_tree(source, shown, &figures));
    task_unref(shown);
}

/* A page of tasks with `has_more`. NULL: `ret_result` is what the reply of an error returned. */
static json_t *list_tasks(struct api_request *request, const struct store_list_query *query,
                          struct store_list_end *ret_end, enum MHD_Result *ret_result)
{
    char base[ORIGIN_BASE_SIZE];
    const struct task *tasks[STORE_LIST_MAX];
    size_t count = 0;
    if (!api_base(request, base)) {
        *ret_result = api_reply_bad_host(request);
        return NULL;
    }
    if (!api_begin_list(request)) {
        *ret_result = api_reply_error(request, API_ERROR_TOO_MANY_LISTS, NULL);
        return NULL;
    }
    int r = store_list_look(request->api->parts.store, query, tasks, &count, ret_end);
    api_end_list(request);
    if (r != 0) {
        log_write(LOG_ERROR, &(struct log_about){.request_id = api_request_id(request)},
                  "listing tasks failed: %s", strerror(r < 0 ? -r : EINVAL));
        *ret_result = api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
        return NULL;
    }
    struct view_source source = api_view_source(request, base);
    json_t *data = json_array();
    for (size_t i = 0; i < count; i++) {
        add_entry(request, query, &source, tasks[i], data);
        task_unref(tasks[i]);
    }
    json_t *list = api_list(data);
    json_set(list, "has_more", json_boolean(ret_end->has_more));
    return list;
}

enum MHD_Result video_tasks(struct api_request *request)
{
    struct filter filter;
    struct store_list_end end = {0};
    char cursor[FILTER_CURSOR_SIZE];
    enum MHD_Result result;
    if (!filter_read(request, &filter, &result))
        return result;
    json_t *list = list_tasks(request, &filter.query, &end, &result);
    if (list == NULL)
        return result;
    if (end.has_more)
        filter_write_cursor(&end, cursor);
    json_set_text(list, "next", end.has_more ? cursor : NULL);
    return api_reply_tree(request, MHD_HTTP_OK, list);
}

/* ---- as the OpenAI SDKs ask for it ---- */

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

enum MHD_Result videos_list(struct api_request *request)
{
    char after_id[ID_SHORT_SIZE];
    struct store_list_query query = {.tenant = auth_scope(&request->who)};
    struct store_list_end end = {0};
    enum MHD_Result result;
    if (!api_read_limit(request, VIDEOS_DEFAULT, STORE_LIST_MAX, &query.limit, &result) ||
        !api_read_order(request, &query.ascending, &result) ||
        !read_after(request, &query, after_id, &result))
        return result;
    json_t *list = list_tasks(request, &query, &end, &result);
    if (list == NULL)
        return result;
    const json_t *data = json_object_get(list, "data");
    size_t count = json_array_size(data);
    json_set_text(list, "first_id", json_text(json_array_get(data, 0), "id"));
    json_set_text(list, "last_id",
                  count > 0 ? json_text(json_array_get(data, count - 1), "id") : NULL);
    return api_reply_tree(request, MHD_HTTP_OK, list);
}
