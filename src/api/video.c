/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at tasks, listing and cancelling them, in the unified dialect. The query is the hot path: a
 * task from the engine's table, a ready-made view, and nothing allocated or stored in between. A task that is unknown,
 * malformed, another tenant's, or asked for under another model's name is the same 404 always, so that
 * nobody learns which it was. On HTTP threads. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "task/unified.h"

enum {
    LIST_DEFAULT = 20,
    LIST_MAX = 100,
    CURSOR_MAX = 100, /* bytes of a cursor's text */
};

static enum MHD_Result reply_no_task(struct api_request *request, const char *given)
{
    struct api_error_details details = {.param = "id", .id = given, .status = "failed"};
    return api_reply_error(request, API_ERROR_TASK_NOT_EXIST, &details);
}

static enum MHD_Result reply_bad_host(struct api_request *request)
{
    return api_reply_invalid(request, "Host", "The Host header is not a plain host[:port].");
}

static struct view_source source_for(const struct api_request *request, const char *base)
{
    const struct api *api = request->api;
    return (struct view_source){
        .link_key = &api->parts.link_keys->current,
        .secret = api->secret,
        .valid_for_ms = api->parts.settings->links_valid_for,
        .base = base,
        .now_ms = clock_wall_ms(),
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

/* Finds a task that the caller may see. ENGINE_OK, ENGINE_NOT_FOUND or ENGINE_STORE_FAILED. */
static enum engine_outcome find_task(const struct api_request *request, const char *given,
                                     const struct task **ret_task,
                                     struct engine_figures *ret_figures)
{
    char model[TASK_MODEL_SIZE];
    char id[ID_SHORT_SIZE];
    if (!task_parse_id(given, model, id))
        return ENGINE_NOT_FOUND;
    const struct task *task = NULL;
    enum engine_outcome outcome = engine_task(request->api->parts.engine, id, &task, ret_figures);
    if (outcome != ENGINE_OK)
        return outcome == ENGINE_STORE_FAILED ? outcome : ENGINE_NOT_FOUND;
    bool is_ours =
        request->who.is_operator || strcmp(task->request->tenant, request->who.tenant) == 0;
    if (!is_ours || (model[0] != '\0' && !is_same_model(model, task->request->model))) {
        task_unref(task);
        return ENGINE_NOT_FOUND;
    }
    *ret_task = task;
    return ENGINE_OK;
}

static enum MHD_Result reply_not_found(struct api_request *request, const char *given,
                                       enum engine_outcome outcome)
{
    if (outcome == ENGINE_STORE_FAILED)
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    return reply_no_task(request, given);
}

static enum MHD_Result reply_task(struct api_request *request, const struct task *task,
                                  const struct engine_figures *figures)
{
    char base[ORIGIN_BASE_SIZE];
    if (!api_base(request, base))
        return reply_bad_host(request);
    struct view_source source = source_for(request, base);
    struct view_cache *views = request->api->views;
    struct view *view = view_cache_find(views, task, base, source.now_ms);
    if (view == NULL) {
        view = view_new(&source, task, figures, request->api->parts.settings->cors);
        if (view == NULL)
            return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
        view_cache_put(views, task, base, view);
    }
    enum MHD_Result result = api_reply_view(request, view);
    view_unref(view);
    return result;
}

enum MHD_Result video_query(struct api_request *request)
{
    const char *given = api_argument(request, "id");
    if (given == NULL)
        given = api_argument(request, "task_id");
    if (given == NULL || *given == '\0')
        return api_reply_invalid(request, "id", "Say which task: ?id=…");
    const struct task *task = NULL;
    struct engine_figures figures = {.wait_s = -1};
    enum engine_outcome outcome = find_task(request, given, &task, &figures);
    if (outcome != ENGINE_OK)
        return reply_not_found(request, given, outcome);
    enum MHD_Result result = reply_task(request, task, &figures);
    task_unref(task);
    return result;
}

/* ---- the list ---- */

static bool read_limit(const char *text, size_t *ret_limit)
{
    size_t length = text != NULL ? strlen(text) : 0;
    if (text == NULL) {
        *ret_limit = LIST_DEFAULT;
        return true;
    }
    if (length < 1 || length > 3 || strspn(text, "0123456789") != length)
        return false;
    size_t limit = 0;
    for (; *text != '\0'; text++)
        limit = limit * 10 + (size_t)(*text - '0');
    if (limit < 1 || limit > LIST_MAX)
        return false;
    *ret_limit = limit;
    return true;
}

/* A cursor is `<created micros>:<id>` of the last task shown, in base64, so that nobody takes it for something to compute with. */
static void write_cursor(const struct task *task, char ret_cursor[CURSOR_MAX + 1])
{
    char plain[CURSOR_MAX / 4 * 3];
    int length = snprintf(plain, sizeof(plain), "%" PRId64 ":%s", task->request->created_micros,
                          task->request->id);
    must(length > 0 && codec_base64_length((size_t)length) <= CURSOR_MAX);
    codec_base64url_encode(plain, (size_t)length, ret_cursor);
}

static bool read_cursor(const char *cursor, int64_t *ret_micros, char ret_id[ID_SHORT_SIZE])
{
    char plain[CURSOR_MAX / 4 * 3 + 4];
    size_t length = strnlen(cursor, CURSOR_MAX + 1);
    size_t n_plain = 0;
    if (length > CURSOR_MAX || !codec_base64_decode(cursor, length, (uint8_t *)plain, &n_plain))
        return false;
    plain[n_plain] = '\0';
    char *end = NULL;
    long long micros = strtoll(plain, &end, 10);
    if (end == plain || *end != ':' || micros <= 0 || !id_is_typeid(end + 1, "task"))
        return false;
    *ret_micros = micros;
    memcpy(ret_id, end + 1, strlen(end + 1) + 1);
    return true;
}

/* One entry, as a query would show it now: an end that is stored but not yet published is not told here first, for its
 * place is not free yet. */
static json_t *list_entry(const struct api_request *request, const struct view_source *source,
                          const struct task *stored)
{
    struct engine_figures figures = {.wait_s = -1};
    const struct task *shown = NULL;
    if (!engine_published(request->api->parts.engine, stored->request->id, &shown, &figures))
        return view_tree(source, stored, &figures);
    json_t *entry = view_tree(source, shown, &figures);
    task_unref(shown);
    return entry;
}

/* Is there a task older than the last one shown? */
static bool has_older(struct store *store, const struct store_list_query *shown,
                      const struct task *last)
{
    struct store_list_query query = *shown;
    query.before_micros = last->request->created_micros;
    query.before_id = last->request->id;
    query.limit = 1;
    const struct task *older = NULL;
    size_t count = 0;
    if (store_list(store, &query, &older, &count) != 0 || count == 0)
        return false;
    task_unref(older);
    return true;
}

static enum MHD_Result reply_list(struct api_request *request, const struct store_list_query *query,
                                  const char *base)
{
    struct store *store = request->api->parts.store;
    const struct task *tasks[LIST_MAX];
    size_t count = 0;
    int r = store_list(store, query, tasks, &count);
    if (r != 0) {
        log_write(LOG_ERROR, &(struct log_about){.request_id = api_request_id(request)},
                  "listing tasks failed: %s", strerror(r < 0 ? -r : EINVAL));
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    }
    struct view_source source = source_for(request, base);
    json_t *data = json_array();
    must(data != NULL);
    for (size_t i = 0; i < count; i++)
        must(json_array_append_new(data, list_entry(request, &source, tasks[i])) == 0);
    bool has_more = count == query->limit && has_older(store, query, tasks[count - 1]);
    json_t *list = json_object();
    must(list != NULL);
    json_set_text(list, "object", "list");
    json_set(list, "data", data);
    json_set(list, "has_more", json_boolean(has_more));
    char cursor[CURSOR_MAX + 1];
    if (has_more)
        write_cursor(tasks[count - 1], cursor);
    json_set_text(list, "next", has_more ? cursor : NULL);
    for (size_t i = 0; i < count; i++)
        task_unref(tasks[i]);
    return api_reply_tree(request, MHD_HTTP_OK, list);
}

enum MHD_Result video_tasks(struct api_request *request)
{
    char before_id[ID_SHORT_SIZE];
    struct store_list_query query = {.tenant =
                                         request->who.is_operator ? NULL : request->who.tenant};
    if (!read_limit(api_argument(request, "limit"), &query.limit))
        return api_reply_invalid(request, "limit", "limit must be a number from 1 to 100.");
    const char *before = api_argument(request, "before");
    if (before != NULL) {
        if (!read_cursor(before, &query.before_micros, before_id))
            return api_reply_invalid(request, "before",
                                     "before must be the «next» of an earlier answer.");
        query.before_id = before_id;
    }
    char base[ORIGIN_BASE_SIZE];
    if (!api_base(request, base))
        return reply_bad_host(request);
    return reply_list(request, &query, base);
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
        return reply_task(request, cancel->task, &figures);
    case ENGINE_CONFLICT:
        return reply_ended(request, cancel->task);
    case ENGINE_NOT_FOUND:
        return reply_no_task(request, cancel->id);
    case ENGINE_CLOSING:
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    case ENGINE_FULL:
    case ENGINE_TENANT_FULL:
    case ENGINE_TENANT_DAY:
    case ENGINE_STORE_FAILED:
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
    if (!read_cancel_id(request, &body, &given, error)) {
        char message[JSON_ERROR_SIZE + 60];
        snprintf(message, sizeof(message), "The request body cannot be read: %s.", error);
        return api_reply_error(request, API_ERROR_BAD_BODY,
                               &(struct api_error_details){.message = message});
    }
    if (given == NULL || *given == '\0')
        return api_reply_invalid(request, "id", "Say which task: {\"id\": …} or ?id=…");
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome = find_task(request, given, &task, &figures);
    if (outcome != ENGINE_OK)
        return reply_not_found(request, given, outcome);
    enum MHD_Result result = begin_cancel(request, task);
    task_unref(task);
    return result;
}
