/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for a change. The handler has seen the task as of some change number; whatever has a larger one counts, also if it
 * came between that look and our entering the hub. On HTTP threads. */
#include "api/poll.h"

#include <stdlib.h>
#include <string.h>

#include "api/task.h"
#include "base/clock.h"
#include "base/must.h"
#include "notify/hub.h"

struct poll {
    struct hub_watcher watcher;
    struct MHD_Connection *connection;
    char id[ID_SHORT_SIZE];
};

struct poll_wish {
    int64_t wait_ms;
    bool until_end;
};

/* ---- what is asked for ---- */

/* Seconds, whole or decimal, 0 to 60. */
static bool read_seconds(const char *text, int64_t *ret_ms)
{
    int64_t ms = 0, unit = 1000;
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 3)
        return false;
    for (size_t i = 0; i < digits; i++)
        ms = 10 * ms + (text[i] - '0') * unit;
    text += digits;
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9'; text++) {
            unit /= 10;
            ms += (*text - '0') * unit;
        }
    }
    *ret_ms = ms;
    return *text == '\0' && ms <= HUB_WAIT_MAX_MS;
}

static bool read_wish(struct api_request *request, struct poll_wish *ret_wish,
                      enum MHD_Result *ret_result)
{
    const char *until = api_argument(request, "until");
    const char *wait = api_argument(request, "wait");
    if (wait == NULL || !read_seconds(wait, &ret_wish->wait_ms)) {
        *ret_result =
            api_reply_invalid(request, "wait", "wait must be 0 to 60 seconds, for example 2.5.");
        return false;
    }
    if (until != NULL && strcmp(until, "end") != 0 && strcmp(until, "change") != 0) {
        *ret_result = api_reply_invalid(request, "until", "until must be change or end.");
        return false;
    }
    ret_wish->until_end = until != NULL && strcmp(until, "end") == 0;
    return true;
}

bool poll_may_wait(const struct api_request *request)
{
    return api_argument(request, "wait") != NULL;
}

/* ---- waiting ---- */

static void fall_asleep(struct hub_watcher *watcher)
{
    MHD_suspend_connection(CONTAINER_OF(watcher, struct poll, watcher)->connection);
}

static void wake_up(struct hub_watcher *watcher)
{
    MHD_resume_connection(CONTAINER_OF(watcher, struct poll, watcher)->connection);
}

struct poll *poll_free(struct poll *poll)
{
    if (poll != NULL) {
        hub_leave(&poll->watcher);
        free(poll);
    }
    return NULL;
}

/* The task as it is now takes the place of the one that was. */
static bool look_again(struct api_request *request, const char *id, enum MHD_Result *ret_result)
{
    const struct task *task = NULL;
    enum engine_outcome outcome =
        engine_task(request->api->parts.engine, id, &task, &request->figures);
    if (outcome != ENGINE_OK) {
        *ret_result = api_reply_no_task(request, id, outcome);
        return false;
    }
    task_unref(request->task);
    request->task = task;
    return true;
}

static enum MHD_Result poll_resumed(struct api_request *request)
{
    char id[ID_SHORT_SIZE];
    enum MHD_Result result;
    memcpy(id, request->poll->id, sizeof(id));
    request->poll = poll_free(request->poll);
    if (!auth_holds(request->api->auth, &request->who))
        return api_reply_error(request, API_ERROR_BAD_KEY, NULL);
    if (!look_again(request, id, &result))
        return result;
    return request->route->handler(request);
}

static enum MHD_Result reply_full(struct api_request *request, enum hub_outcome outcome)
{
    return api_reply_error(
        request, outcome == HUB_FULL ? API_ERROR_WATCHERS_FULL : API_ERROR_TOO_MANY_WATCHERS, NULL);
}

/* Enters the hub and goes to sleep. False: there is something to tell already. */
static bool begin(struct api_request *request, const struct poll_wish *wish,
                  enum MHD_Result *ret_result)
{
    const char *id = request->task->request->id;
    struct poll *poll = must_calloc(1, sizeof(*poll));
    poll->connection = request->connection;
    poll->watcher.sleep = fall_asleep;
    poll->watcher.wake = wake_up;
    memcpy(poll->id, id, sizeof(poll->id));
    enum hub_outcome outcome =
        hub_enter(request->api->parts.hub, &poll->watcher,
                  &(struct hub_interest){
                      .tenant = request->who.tenant,
                      .ids = &id,
                      .n_ids = 1,
                      .wish = wish->until_end ? HUB_WISH_END : HUB_WISH_CHANGE,
                      .after = request->task->change,
                  });
    if (outcome != HUB_ENTERED) {
        free(poll);
        if (outcome == HUB_CLOSED) /* who stops lets nobody wait */
            return false;
        *ret_result = reply_full(request, outcome);
        return true;
    }
    request->poll = poll;
    request->resumed = poll_resumed;
    if (hub_wait(&poll->watcher, wish->wait_ms)) {
        *ret_result = MHD_YES;
        return true;
    }
    request->resumed = NULL;
    request->poll = poll_free(request->poll);
    return !look_again(request, request->task->request->id, ret_result);
}

bool poll_takes(struct api_request *request, enum MHD_Result *ret_result)
{
    struct poll_wish wish;
    if (!poll_may_wait(request) || strcmp(request->route->method, "GET") != 0 ||
        request->api->parts.hub == NULL)
        return false;
    if (!read_wish(request, &wish, ret_result))
        return true;
    if (wish.wait_ms == 0 || task_state_is_end(request->task->state) || !api_has_view(request))
        return false;
    return begin(request, &wish, ret_result);
}
