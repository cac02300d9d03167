/* SPDX-License-Identifier: Apache-2.0
 *
 * `GET /v1/video/events` and the tickets for it. On HTTP threads. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "api/stream.h"
#include "api/task.h"
#include "api/ticket.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"

/* Tasks that the request names and the caller may see, each once. */
struct named_tasks {
    struct api_request *request;
    size_t count;
    char ids[TASK_IDS_MAX][ID_SHORT_SIZE];
    bool has_ended; /* all of them */
    int64_t newest; /* change */
    bool is_refused;
    enum MHD_Result result; /* with is_refused: of the reply */
};

static void refuse_many(struct named_tasks *named)
{
    char message[80];
    snprintf(message, sizeof(message), "One stream watches at most %d named tasks.", TASK_IDS_MAX);
    named->is_refused = true;
    named->result = api_reply_invalid(named->request, "id", message);
}

/* An empty name is a slip: it does not mean all tasks. */
static void refuse_none(struct named_tasks *named)
{
    named->is_refused = true;
    named->result =
        api_reply_invalid(named->request, "id",
                          "An id is empty. Say which tasks (?id=A&id=B), or leave id out "
                          "for all of yours.");
}

static bool is_named(const struct named_tasks *named, const char *id)
{
    for (size_t i = 0; i < named->count; i++) {
        if (strcmp(named->ids[i], id) == 0)
            return true;
    }
    return false;
}

static void add_name(struct named_tasks *named, const char *given)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    if (named->is_refused)
        return;
    enum engine_outcome outcome = api_find_task(named->request, given, &task, &figures);
    if (outcome != ENGINE_OK) {
        named->is_refused = true;
        named->result = api_reply_no_task(named->request, given, outcome);
        return;
    }
    if (!is_named(named, task->request->id)) {
        if (named->count == TASK_IDS_MAX) {
            refuse_many(named);
        } else {
            memcpy(named->ids[named->count++], task->request->id, ID_SHORT_SIZE);
            named->has_ended = named->has_ended && task_state_is_end(task->state);
            named->newest = task->change > named->newest ? task->change : named->newest;
        }
    }
    task_unref(task);
}

static enum MHD_Result on_argument(void *context, enum MHD_ValueKind kind UNUSED, const char *key,
                                   const char *value)
{
    struct named_tasks *named = context;
    if (strcmp(key, "id") == 0 || strcmp(key, "task_id") == 0) {
        if (value != NULL && *value != '\0')
            add_name(named, value);
        else
            refuse_none(named);
    }
    return named->is_refused ? MHD_NO : MHD_YES;
}

/* A ticket that names tasks is for those alone; who names some of them gets these. */
static void apply_ticket(struct named_tasks *named, const struct ticket *ticket)
{
    size_t n_asked = named->count;
    for (size_t i = 0; i < ticket->n_ids && n_asked == 0; i++)
        add_name(named, ticket->ids[i]);
    for (size_t i = 0; i < n_asked && ticket->n_ids > 0; i++) {
        bool is_for_it = false;
        for (size_t j = 0; j < ticket->n_ids; j++)
            is_for_it = is_for_it || strcmp(ticket->ids[j], named->ids[i]) == 0;
        if (!is_for_it && !named->is_refused) {
            named->is_refused = true;
            named->result = api_reply_no_task(named->request, named->ids[i], ENGINE_NOT_FOUND);
        }
    }
}

/* The last number that the client has seen; what is not one of ours counts as none. */
static bool read_last(const struct api_request *request, int64_t *ret_last)
{
    const char *text = api_header(request, "Last-Event-ID");
    int64_t last = 0, heard, stored = 0;
    if (text == NULL)
        text = api_argument(request, "last_event_id");
    size_t length = text != NULL ? strlen(text) : 0;
    if (length < 1 || length > 18 || strspn(text, "0123456789") != length)
        return false;
    for (; *text != '\0'; text++)
        last = 10 * last + (*text - '0');
    (void)hub_is_unfinished(request->api->parts.hub, "", &heard);
    if (last > heard && (store_change(request->api->parts.store, &stored) < 0 || last > stored))
        return false;
    *ret_last = last;
    return true;
}

/* Browsers come again when a stream has ended; this tells them that there is nothing more. */
static enum MHD_Result reply_over(struct api_request *request)
{
    return api_reply_response(request, MHD_HTTP_NO_CONTENT,
                              MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT), 0);
}

enum MHD_Result video_events(struct api_request *request)
{
    struct named_tasks named = {.request = request, .has_ended = true};
    const char *ids[TASK_IDS_MAX];
    struct stream_wish wish = {0};
    if (request->api->parts.hub == NULL)
        return api_reply_error(request, API_ERROR_NOT_YET, NULL);
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, on_argument, &named);
    if (!named.is_refused && request->ticket != NULL)
        apply_ticket(&named, request->ticket);
    if (named.is_refused)
        return named.result;
    wish.goes_on = read_last(request, &wish.after);
    if (wish.goes_on && named.count > 0 && named.has_ended && named.newest <= wish.after)
        return reply_over(request);
    for (size_t i = 0; i < named.count; i++)
        ids[i] = named.ids[i];
    wish.ids = named.count > 0 ? ids : NULL;
    wish.n_ids = named.count;
    return stream_open(request, &wish);
}

/* ---- tickets ---- */

/* {"ids": ["…", …]}, or {"id": "…"}, or nothing. False: `ret_result` is the reply. */
static bool read_ids(struct named_tasks *named, enum MHD_Result *ret_result)
{
    struct api_request *request = named->request;
    char error[JSON_ERROR_SIZE];
    if (request->body_length == 0)
        return true;
    CLEANUP(json_unref_pointer)
    json_t *body = json_parse(request->body, request->body_length, error);
    const json_t *ids = json_object_get(body, "ids");
    const json_t *id = json_object_get(body, "id");
    /* What is not understood might have been meant to say which tasks: then the ticket would be for more than was wished. */
    bool is_sound = json_is_object(body) &&
                    json_object_size(body) == (size_t)(ids != NULL) + (size_t)(id != NULL) &&
                    (ids == NULL || json_array_size(ids) > 0) && (id == NULL || json_is_string(id));
    for (size_t i = 0; is_sound && i < json_array_size(ids); i++) {
        const char *given = json_string_value(json_array_get(ids, i));
        is_sound = given != NULL;
        if (given != NULL)
            add_name(named, given);
    }
    if (is_sound && id != NULL)
        add_name(named, json_string_value(id));
    if (!is_sound && !named->is_refused) {
        *ret_result = api_reply_invalid(
            request, "ids", "Send nothing for all of your tasks, or {\"ids\": [\"…\"]} for some.");
        return false;
    }
    *ret_result = named->result;
    return !named->is_refused;
}

enum MHD_Result video_events_ticket(struct api_request *request)
{
    struct named_tasks named = {.request = request};
    struct ticket ticket = {.until_ms = clock_wall_ms() + TICKET_VALID_MS};
    char text[TICKET_TEXT_SIZE];
    enum MHD_Result result;
    if (!read_ids(&named, &result))
        return result;
    memcpy(ticket.key, request->who.hash, sizeof(ticket.key));
    ticket.n_ids = named.count;
    memcpy(ticket.ids, named.ids, sizeof(ticket.ids));
    ticket_write(request->api->tickets, &ticket, text);
    json_t *answer = json_object();
    must(answer != NULL);
    json_set_text(answer, "ticket", text);
    json_set(answer, "expires_at", json_integer(ticket.until_ms / 1000));
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}
