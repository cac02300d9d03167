/* SPDX-License-Identifier: Apache-2.0
 *
 * Upstreams that call back. The signature in the path is the permission; what is said is not believed, so nothing of it is
 * read but a challenge, with which some vendors try an address before they use it, and where the signature is not ours nothing
 * is kept. The answer is the same for an attempt under way, for one that is over, and for one that never was, and comes
 * without a look at the store. On HTTP threads. */
#include "api/callback.h"

#include "api/handler.h"
#include "asset/callback_link.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"

enum { CHALLENGE_MAX = 1024 }; /* bytes that are sent back */

/* NULL when it sent none that is fit. */
static const char *challenge_of(const json_t *body)
{
    const json_t *challenge = json_object_get(body, "challenge");
    return json_string_length(challenge) <= CHALLENGE_MAX ? json_string_value(challenge) : NULL;
}

static enum MHD_Result reply(struct api_request *request)
{
    char error[JSON_ERROR_SIZE];
    CLEANUP(json_unref_pointer)
    json_t *body =
        request->body != NULL ? json_parse(request->body, request->body_length, error) : NULL;
    const char *challenge = challenge_of(body);
    json_t *answer = json_object();
    must(answer != NULL);
    if (challenge != NULL)
        json_set_text(answer, "challenge", challenge);
    else
        json_set_text(answer, "status", "success");
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}

/* Whose attempt does the address name? False: it is none that we made. */
static bool find_attempt(const struct api_request *request, char ret_attempt_id[ID_SHORT_SIZE])
{
    return callback_link_check(request->api->parts.link_keys, request->part, clock_wall_ms(),
                               ret_attempt_id);
}

bool callback_is_ours(const struct api_request *request)
{
    char attempt_id[ID_SHORT_SIZE];
    return find_attempt(request, attempt_id);
}

enum MHD_Result callback_heard(struct api_request *request)
{
    char attempt_id[ID_SHORT_SIZE];
    if (!find_attempt(request, attempt_id)) /* its key's time went by while the body came */
        return api_reply_error(request, API_ERROR_NOT_FOUND, NULL);
    engine_called_back(request->api->parts.engine, attempt_id);
    return reply(request);
}
