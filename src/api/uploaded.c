/* SPDX-License-Identifier: Apache-2.0
 *
 * Uploaded files, looked at by their owner: the list, one of them, its bytes, its removal. One that was deleted, has expired, is another tenant's
 * or never was is the same 404 always. On HTTP threads, which may block on the store. */
#include "api/uploaded.h"

#include <stdlib.h>
#include <string.h>

#include "api/files.h"
#include "api/handler.h"
#include "api/owned.h"
#include "api/task.h"
#include "asset/disposition.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"

enum {
    LIST_MAX = 100,         /* in one answer */
    LIST_ASKED_MAX = 10000, /* as clients of OpenAI may ask for; the rest is for the next page */
};

json_t *uploaded_render(const struct api_request *request, const struct store_file *file,
                        const char *base)
{
    char key[ASSET_KEY_MAX + 1];
    int64_t created_s = file->created_ms / 1000, expires_s = file->expires_ms / 1000;
    owned_key(file, key);
    CLEANUP(free_pointer)
    char *link = link_sign(&request->api->parts.link_keys->current, base, key,
                           created_s - LINK_LEAD_S, expires_s, NULL);
    json_t *shown = json_object();
    json_set_text(shown, "id", file->id);
    json_set_text(shown, "object", "file");
    json_set(shown, "bytes", json_integer(file->bytes));
    json_set(shown, "created_at", json_integer(created_s));
    json_set(shown, "expires_at", json_integer(expires_s));
    json_set_text(shown, "filename", file->name);
    json_set_text(shown, "purpose", file->purpose);
    json_set_text(shown, "status", "processed");
    json_set_text(shown, "url", link);
    json_set_text(shown, "content_type", file->type);
    json_set(shown, "width", json_integer(file->width));
    json_set(shown, "height", json_integer(file->height));
    return shown;
}

/* Finds the file that the path names. False: `ret_result` is what the reply of an error returned. */
static bool take_file(struct api_request *request, struct store_file *ret_file,
                      enum MHD_Result *ret_result)
{
    int result = owned_file(request, request->part, ret_file);
    if (result == 0)
        return true;
    struct api_error_details details = {.param = "id"};
    *ret_result = api_reply_error(
        request, result < 0 ? API_ERROR_UNAVAILABLE : API_ERROR_FILE_NOT_FOUND, &details);
    return false;
}

enum MHD_Result uploaded_show(struct api_request *request)
{
    char base[ORIGIN_BASE_SIZE];
    struct store_file file;
    enum MHD_Result result;
    if (!take_file(request, &file, &result))
        return result;
    if (!api_base(request, base))
        return api_reply_bad_host(request);
    return api_reply_tree(request, MHD_HTTP_OK, uploaded_render(request, &file, base));
}

enum MHD_Result uploaded_content(struct api_request *request)
{
    char key[ASSET_KEY_MAX + 1];
    struct store_file file;
    enum MHD_Result result;
    if (!take_file(request, &file, &result))
        return result;
    owned_key(&file, key);
    CLEANUP(free_pointer) char *disposition = disposition_attachment(file.name);
    return files_reply(request, key, disposition, API_ERROR_FILE_NOT_FOUND);
}

enum MHD_Result uploaded_delete(struct api_request *request)
{
    const struct server_parts *parts = &request->api->parts;
    struct store_file file;
    enum MHD_Result reply;
    if (!take_file(request, &file, &reply))
        return reply;
    int result = store_file_hide(parts->store, auth_scope(&request->who), file.id, clock_wall_ms());
    if (result != 0)
        return api_reply_error(request,
                               result < 0 ? API_ERROR_UNAVAILABLE : API_ERROR_FILE_NOT_FOUND, NULL);
    /* From here on it is gone for everybody; what cannot be erased now, the sweep erases. */
    if (asset_erase_file(parts->assets, file.id) < 0 ||
        store_file_forget(parts->store, file.id) < 0)
        log_warn("the deleted file %s is left to the sweep", file.id);
    json_t *answer = json_object();
    json_set_text(answer, "id", file.id);
    json_set_text(answer, "object", "file");
    json_set(answer, "deleted", json_true());
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}

/* ---- the list ---- */

/* False: `ret_result` is what the reply of an error returned. */
static bool read_query(struct api_request *request, struct store_files_query *ret_query,
                       enum MHD_Result *ret_result)
{
    const char *after = api_argument(request, "after");
    const char *purpose = api_argument(request, "purpose");
    struct store_files_query query = {
        .tenant = auth_scope(&request->who),
        .purpose = purpose != NULL && *purpose != '\0' ? purpose : NULL,
        .after_id = after != NULL && *after != '\0' ? after : NULL,
        .now_ms = clock_wall_ms(),
    };
    if (!api_read_limit(request, LIST_MAX, LIST_ASKED_MAX, &query.limit, ret_result) ||
        !api_read_order(request, &query.oldest_first, ret_result))
        return false;
    if (query.after_id != NULL && !id_is_typeid(query.after_id, "file")) {
        *ret_result = api_reply_invalid(request, "after", "after must be the id of a file.");
        return false;
    }
    query.limit = query.limit < LIST_MAX ? query.limit : LIST_MAX; /* as many as one page has */
    *ret_query = query;
    return true;
}

/* Is there another one behind the last one shown? */
static bool has_more(struct store *store, const struct store_files_query *shown, const char *last)
{
    struct store_files_query query = *shown;
    struct store_file next;
    size_t count = 0;
    query.after_id = last;
    query.limit = 1;
    return store_file_list(store, &query, &next, &count) == 0 && count == 1;
}

static enum MHD_Result reply_list(struct api_request *request,
                                  const struct store_files_query *query,
                                  const struct store_file *files, size_t count)
{
    char base[ORIGIN_BASE_SIZE];
    if (!api_base(request, base))
        return api_reply_bad_host(request);
    json_t *data = json_array();
    for (size_t i = 0; i < count; i++)
        json_add(data, uploaded_render(request, &files[i], base));
    json_t *list = api_list(data);
    json_set_text(list, "first_id", count > 0 ? files[0].id : NULL);
    json_set_text(list, "last_id", count > 0 ? files[count - 1].id : NULL);
    json_set(list, "has_more",
             json_boolean(count == query->limit &&
                          has_more(request->api->parts.store, query, files[count - 1].id)));
    return api_reply_tree(request, MHD_HTTP_OK, list);
}

enum MHD_Result uploaded_list(struct api_request *request)
{
    CLEANUP(free_pointer)
    struct store_file *files = must_calloc(LIST_MAX, sizeof(*files));
    struct store_files_query query;
    enum MHD_Result result;
    size_t count = 0;
    if (!read_query(request, &query, &result))
        return result;
    int fault = store_file_list(request->api->parts.store, &query, files, &count);
    if (fault < 0) {
        log_error("listing files failed: %s", strerror(-fault));
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    }
    return reply_list(request, &query, files, count);
}
