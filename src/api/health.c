/* SPDX-License-Identifier: Apache-2.0
 *
 * The small answers: is it alive, can it take work, which models there are, what the API looks like. On HTTP threads. */
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "api/task.h"
#include "base/json.h"
#include "base/must.h"

/* That we answer is the answer. */
enum MHD_Result health_alive(struct api_request *request)
{
    json_t *answer = json_object();
    json_set_text(answer, "status", "ok");
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}

enum MHD_Result health_ready(struct api_request *request)
{
    struct engine_stats stats = {0};
    engine_stats(request->api->parts.engine, &stats);
    if (stats.is_closing)
        return api_reply_error(request, API_ERROR_CLOSING, NULL);
    if (stats.store_is_ailing || store_is_ailing(request->api->parts.store))
        return api_reply_error(request, API_ERROR_STORE_UNAVAILABLE, NULL);
    json_t *answer = json_object();
    json_set_text(answer, "status", "ready");
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}

/* In the shape of OpenAI's list, which clients ask for by habit. */
enum MHD_Result health_models(struct api_request *request)
{
    const char *const *names = NULL;
    size_t count = channel_model_names(engine_channel_table(request->api->parts.engine), &names);
    json_t *data = json_array();
    must(data != NULL);
    for (size_t i = 0; i < count; i++) {
        json_t *model = json_object();
        json_set_text(model, "id", names[i]);
        json_set_text(model, "object", "model");
        json_set(model, "created", json_integer(0));
        json_set_text(model, "owned_by", "filmgate");
        json_add(data, model);
    }
    return api_reply_tree(request, MHD_HTTP_OK, api_list(data));
}

enum MHD_Result health_openapi(struct api_request *request)
{
    char base[ORIGIN_BASE_SIZE];
    if (!api_base(request, base))
        return api_reply_bad_host(request);
    char *text = server_openapi(base);
    return api_reply_json(request, MHD_HTTP_OK, text, strlen(text));
}
