/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing tasks in the unified dialect, newest first, page by page. On HTTP threads. */
#include <errno.h>
#include <string.h>

#include "api/filter.h"
#include "api/handler.h"
#include "api/task.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"

/* Adds an entry, as a query would show the task now: an end that is stored but not yet published is not told here first, for
 * its place is not free yet. What a query shows in a state that was not asked for is left out; it comes with the state that it
 * is in a moment later. */
static void add_entry(const struct api_request *request, const struct filter *filter,
                      const struct view_source *source, const struct task *stored, json_t *data)
{
    struct engine_figures figures = {.wait_s = -1};
    const struct task *shown = NULL;
    if (!engine_published(request->api->parts.engine, stored->request->id, &shown, &figures))
        shown = task_ref(stored);
    bool is_wanted = filter->query.states == 0 || (filter->query.states & 1u << shown->state) != 0;
    if (is_wanted && shown->deleted_ms == 0)
        must(json_array_append_new(data, view_tree(source, shown, &figures)) == 0);
    task_unref(shown);
}

static enum MHD_Result reply_list(struct api_request *request, const struct filter *filter,
                                  const char *base)
{
    const struct task *tasks[STORE_LIST_MAX];
    struct store_list_end end = {0};
    size_t count = 0;
    int r = store_list_look(request->api->parts.store, &filter->query, tasks, &count, &end);
    if (r != 0) {
        log_write(LOG_ERROR, &(struct log_about){.request_id = api_request_id(request)},
                  "listing tasks failed: %s", strerror(r < 0 ? -r : EINVAL));
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    }
    struct view_source source = api_view_source(request, base);
    json_t *data = json_array();
    must(data != NULL);
    for (size_t i = 0; i < count; i++) {
        add_entry(request, filter, &source, tasks[i], data);
        task_unref(tasks[i]);
    }
    json_t *list = json_object();
    must(list != NULL);
    json_set_text(list, "object", "list");
    json_set(list, "data", data);
    json_set(list, "has_more", json_boolean(end.has_more));
    char cursor[FILTER_CURSOR_SIZE];
    if (end.has_more)
        filter_write_cursor(&end, cursor);
    json_set_text(list, "next", end.has_more ? cursor : NULL);
    return api_reply_tree(request, MHD_HTTP_OK, list);
}

enum MHD_Result video_tasks(struct api_request *request)
{
    struct filter filter;
    enum MHD_Result result;
    if (!filter_read(request, &filter, &result))
        return result;
    char base[ORIGIN_BASE_SIZE];
    if (!api_base(request, base))
        return api_reply_bad_host(request);
    return reply_list(request, &filter, base);
}
