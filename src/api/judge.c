/* SPDX-License-Identifier: Apache-2.0
 *
 * The judge of requests, by their heads: route, key, signature, length. */
#include "api/judge.h"

#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/callback.h"
#include "api/error.h"
#include "api/ticket.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/settings_value.h"

enum { SWALLOW_MAX_BYTES = 1024 * 1024 }; /* of a refused request's body, to keep its connection */

static void refuse(struct api_request *request, enum api_error error)
{
    if (request->is_refused)
        return;
    request->is_refused = true;
    request->refusal = error;
}

/* What the path has for the part in braces of the route's. */
static void take_part(struct api_request *request)
{
    size_t length;
    request->part = route_part(request->route, request->path, &length);
    if (request->part == NULL || request->part[length] == '\0')
        return;
    snprintf(request->part_text, sizeof(request->part_text), "%.*s", (int)length, request->part);
    request->part = request->part_text;
}

/* The ticket stands for the key that it was made with, if that still holds. */
static bool take_ticket(struct api_request *request, const char *text)
{
    request->ticket = must_calloc(1, sizeof(*request->ticket));
    return ticket_use(request->api->tickets, text, clock_wall_ms(), request->ticket) &&
           auth_find(request->api->auth, request->ticket->key, &request->who);
}

/* May this caller use the route? */
static void judge_caller(struct api_request *request)
{
    if (request->route->touches == ROUTE_TOUCHES_CALLBACK && !callback_is_ours(request))
        refuse(request, API_ERROR_NOT_FOUND);
    if (request->route->who == ROUTE_WHO_NOBODY)
        return;
    const char *ticket =
        request->route->who == ROUTE_WHO_TICKET ? api_argument(request, "ticket") : NULL;
    if (ticket != NULL) {
        if (!take_ticket(request, ticket))
            refuse(request, API_ERROR_BAD_TICKET);
        return;
    }
    if (!auth_check(request->api->auth, api_header(request, "Authorization"), &request->who))
        refuse(request, API_ERROR_BAD_KEY);
    else if (request->route->who == ROUTE_WHO_OPERATOR && !request->who.is_operator)
        refuse(request, API_ERROR_FORBIDDEN);
}

/* The largest body that the route takes. */
static int64_t most_bytes(const struct api_request *request)
{
    return request->route != NULL && request->route->body == ROUTE_BODY_TASK
               ? request->api->parts.settings->body_bytes
               : ROUTE_SMALL_BODY_BYTES;
}

static void judge_body(struct api_request *request)
{
    request->body_limit = (size_t)most_bytes(request);
    if (request->facts.content_length > (int64_t)request->body_limit)
        refuse(request, API_ERROR_TOO_LARGE);
    if (request->is_refused)
        request->body_limit = SWALLOW_MAX_BYTES;
}

void judge_request(struct api_request *request)
{
    if (strcmp(request->method, "OPTIONS") != 0) {
        bool names_task =
            api_argument(request, "id") != NULL || api_argument(request, "task_id") != NULL;
        switch (route_find(request->method, request->path, names_task, &request->route)) {
        case ROUTE_FOUND:
            take_part(request);
            judge_caller(request);
            break;
        case ROUTE_UNKNOWN:
            refuse(request, API_ERROR_NOT_FOUND);
            break;
        case ROUTE_OTHER_METHOD:
            refuse(request, API_ERROR_METHOD_NOT_ALLOWED);
            break;
        }
    }
    judge_body(request);
}

enum MHD_Result judge_reply(struct api_request *request)
{
    char most[SETTINGS_NUMBER_SIZE], message[120];
    if (request->refusal != API_ERROR_TOO_LARGE)
        return api_reply_error(request, request->refusal, NULL);
    settings_write_number(SETTINGS_BYTES, most_bytes(request), most);
    snprintf(message, sizeof(message),
             "The request body is too large: at most %s are taken at this address.", most);
    return api_reply_error(request, API_ERROR_TOO_LARGE,
                           &(struct api_error_details){.message = message});
}

bool judge_gives_up(const struct api_request *request)
{
    return request->is_refused &&
           (request->facts.expects_continue || request->facts.content_length > SWALLOW_MAX_BYTES);
}
