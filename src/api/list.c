/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing tasks in the unified dialect, newest first, page by page. On HTTP threads. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "api/task.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"

enum {
    LIST_DEFAULT = 20,
    LIST_MAX = 100,
    CURSOR_MAX = 100, /* bytes of a cursor's text */
};

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
    struct view_source source = api_view_source(request, base);
    json_t *data = json_array();
    must(data != NULL);
    for (size_t i = 0; i < count; i++)
        must(json_array_append_new(data, api_listed_task(request, &source, tasks[i])) == 0);
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
        return api_reply_bad_host(request);
    return reply_list(request, &query, base);
}
