/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding and showing one task: the hot path of a query. A task from the engine's table, a ready-made view, and nothing
 * allocated or stored in between. On HTTP threads. */
#include "api/task.h"

#include <string.h>

#include "api/entity.h"
#include "base/clock.h"
#include "base/must.h"

enum MHD_Result api_reply_bad_host(struct api_request *request)
{
    return api_reply_invalid(request, "Host", "The Host header is not a plain host[:port].");
}

struct view_source api_view_source(const struct api_request *request, const char *base)
{
    const struct api *api = request->api;
    return (struct view_source){
        .link_key = &api->parts.link_keys->current,
        .secret = api->secret,
        .valid_for_ms = api->parts.settings->links_valid_for,
        .base = base,
        .dialect = request->route->dialect,
        .now_ms = clock_wall_ms(),
        .keep_ms = api->parts.settings->retention,
        .attempts = (int)api->parts.settings->attempts,
        .typical_s = histogram_mean(&engine_counts(api->parts.engine)->attempt_seconds),
    };
}

/* The prefix of an id must be the task's model; in a query string a raw plus sign reads as a blank. */
static bool is_same_model(const char *given, const char *model)
{
    while (*given != '\0' && (*given == *model || (*given == ' ' && *model == '+'))) {
        given++;
        model++;
    }
    return *given == '\0' && *model == '\0';
}

enum engine_outcome api_find_task(const struct api_request *request, const char *given,
                                  const struct task **ret_task, struct engine_figures *ret_figures)
{
    char model[TASK_MODEL_SIZE];
    char id[ID_SHORT_SIZE];
    if (!task_parse_id(given, model, id))
        return ENGINE_NOT_FOUND;
    const struct task *task = NULL;
    enum engine_outcome outcome = engine_task(request->api->parts.engine, id, &task, ret_figures);
    if (outcome != ENGINE_OK)
        return outcome;
    bool is_ours =
        request->who.is_operator || strcmp(task->request->tenant, request->who.tenant) == 0;
    if (!is_ours || (model[0] != '\0' && !is_same_model(model, task->request->model))) {
        task_unref(task);
        return ENGINE_NOT_FOUND;
    }
    *ret_task = task;
    return ENGINE_OK;
}

enum MHD_Result api_reply_no_task(struct api_request *request, const char *given,
                                  enum engine_outcome outcome)
{
    if (outcome == ENGINE_STORE_FAILED)
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    if (outcome == ENGINE_DAMAGED)
        return api_reply_error(request, API_ERROR_INTERNAL, NULL);
    struct api_error_details details = {.param = "id", .id = given, .status = "failed"};
    return api_reply_error(request, API_ERROR_TASK_NOT_EXIST, &details);
}

bool api_take_task(struct api_request *request, enum MHD_Result *ret_result)
{
    const char *given = request->part;
    if (given == NULL)
        given = api_argument(request, "id");
    if (given == NULL)
        given = api_argument(request, "task_id");
    if (given == NULL || *given == '\0') {
        *ret_result = api_reply_invalid(request, "id", "Say which task: ?id=…");
        return false;
    }
    const struct task *task = NULL;
    enum engine_outcome outcome = api_find_task(request, given, &task, &request->figures);
    if (outcome != ENGINE_OK) {
        *ret_result = api_reply_no_task(request, given, outcome);
        return false;
    }
    request->task = task;
    return true;
}

/* A ready-made view, or one made now. NULL when memory is out. */
static struct view *view_of(struct api_request *request, const char *base, const struct task *task,
                            const struct engine_figures *figures)
{
    struct view_source source = api_view_source(request, base);
    struct view_cache *views = request->api->views;
    struct view *view = view_cache_find(views, task, &source);
    if (view == NULL) {
        view = view_new(&source, task, figures, request->api->parts.settings->cors);
        if (view != NULL)
            view_cache_put(views, task, &source, view);
    }
    return view;
}

bool api_has_view(struct api_request *request)
{
    char base[ORIGIN_BASE_SIZE];
    const char *known = api_header(request, "If-None-Match");
    if (known == NULL || request->route->dialect == DIALECT_NONE)
        return true;
    if (!api_base(request, base)) /* the answer says so */
        return false;
    struct view *view = view_of(request, base, request->task, &request->figures);
    bool is_known = view != NULL && entity_list_has_tag(known, view_etag(view), ENTITY_WEAK);
    view_unref(view);
    return is_known;
}

enum MHD_Result api_reply_task(struct api_request *request, const struct task *task,
                               const struct engine_figures *figures)
{
    char base[ORIGIN_BASE_SIZE];
    if (!api_base(request, base))
        return api_reply_bad_host(request);
    struct view *view = view_of(request, base, task, figures);
    if (view == NULL)
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    enum MHD_Result result = api_reply_view(request, view);
    view_unref(view);
    return result;
}
