/* SPDX-License-Identifier: Apache-2.0
 *
 * The library asks for bytes (read_stream) when the socket takes some; when there is nothing to tell, the connection
 * sleeps in the hub. What is to be sent next comes from three places, in the order of change numbers:
 *
 *     begin: the newest events of unfinished tasks --.
 *     resume, older than the ring: pages of the store, with what progress came between --+--> items --> text --> socket
 *     else: the hub's queue or ring -----------------------------------------------------'
 *
 * A stream belongs to its response, and goes with it. On HTTP threads, one at a time. */
#include "api/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/show.h"
#include "api/task.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

enum {
    ITEMS_MAX = 64, /* taken from the hub in one go */
    BLOCK_BYTES = 1024,
    TEXT_MAX = 64 * 1024, /* of one event */
};

struct named {
    char id[ID_SHORT_SIZE];
    bool has_ended; /* and the client was told */
};

struct stream {
    struct hub_watcher watcher;
    struct api *api;
    struct MHD_Connection *connection;
    int fd;
    struct auth_identity who;
    char *base;
    struct named *named; /* NULL: all that he may see */
    size_t n_named, n_unfinished;
    struct hub_event **items; /* to be sent, in order */
    size_t n_items, next_item;
    struct buf text; /* being sent */
    size_t n_sent;   /* of it */
    int64_t mark;    /* once `items` are sent: what the client is to remember; 0: nothing */
    int64_t beat_ms; /* clock_mono_ms(): when a heartbeat is due */
    bool has_begun;  /* the present was told, or need not be */
    bool is_over;    /* when `text` is sent */
};

/* ---- what is sent ---- */

static void note_ended(struct stream *stream, const char *id)
{
    for (size_t i = 0; i < stream->n_named; i++) {
        struct named *named = &stream->named[i];
        if (!named->has_ended && strcmp(named->id, id) == 0) {
            named->has_ended = true;
            stream->n_unfinished--;
        }
    }
}

/* What a stream begins with are states, whatever the last change was. */
static void put_item(struct stream *stream, struct hub_event *event)
{
    struct show_place place = {.api = stream->api, .base = stream->base, .now_ms = clock_wall_ms()};
    struct show_text text = show_event(&place, event);
    buf_printf(&stream->text, "id: %" PRId64 "\nevent: %s\ndata: ", event->change,
               event->is_transition || stream->mark > 0 ? "state" : "progress");
    buf_add(&stream->text, text.data, text.length);
    buf_puts(&stream->text, "\n\n");
    free(text.own);
    must(!stream->text.overflowed);
    atomic_fetch_add(&stream->api->metrics.events, 1);
    if (task_state_is_end(event->task->state))
        note_ended(stream, event->task->request->id);
}

static void drop_items(struct stream *stream)
{
    while (stream->next_item < stream->n_items)
        hub_event_unref(stream->items[stream->next_item++]);
    free(TAKE(stream->items));
    stream->n_items = stream->next_item = 0;
}

static void take_items(struct stream *stream, struct hub_event **items, size_t count)
{
    drop_items(stream);
    stream->items = items;
    stream->n_items = count;
}

/* ---- the present ---- */

static bool is_among(struct hub_event *const *items, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i]->task->request->id, id) == 0)
            return true;
    }
    return false;
}

/* Named tasks that have ended are not the hub's to know. What ended after the hub's last word comes as news. */
static size_t add_ended(struct stream *stream, struct hub_event **items, size_t count)
{
    int64_t position = hub_position(&stream->watcher);
    for (size_t i = 0; i < stream->n_named; i++) {
        const struct task *task = NULL;
        struct engine_figures figures;
        if (is_among(items, count, stream->named[i].id) ||
            engine_task(stream->api->parts.engine, stream->named[i].id, &task, &figures) !=
                ENGINE_OK)
            continue;
        bool is_old = task->change <= position || task->expired_ms != 0;
        int64_t change = task->change < position ? task->change : position;
        if (task_state_is_end(task->state) && is_old)
            items[count++] = hub_event_new(task, change, true);
        task_unref(task);
    }
    return count;
}

static void begin(struct stream *stream)
{
    struct hub_event **items = NULL;
    size_t count = hub_begin(&stream->watcher, &items);
    if (stream->n_named > 0) {
        items = must_realloc(items, (count + stream->n_named) * sizeof(struct hub_event *));
        count = add_ended(stream, items, count);
        qsort(items, count, sizeof(struct hub_event *), hub_event_compare);
    }
    take_items(stream, items, count);
    stream->has_begun = true;
    stream->mark = hub_position(&stream->watcher);
}

/* ---- the past ---- */

/* A page of transitions from the store, with the progress between them. False: the store failed. */
static bool read_page(struct stream *stream, int64_t floor)
{
    struct store_event rows[STORE_EVENTS_MAX];
    const char *ids[TASK_IDS_MAX];
    size_t n_rows = 0, count = 0;
    int64_t after = hub_position(&stream->watcher);
    for (size_t i = 0; i < stream->n_named; i++)
        ids[i] = stream->named[i].id;
    struct store_events_query query = {
        .tenant = auth_scope(&stream->who),
        .task_ids = stream->n_named > 0 ? ids : NULL,
        .n_task_ids = stream->n_named,
        .after = after,
        .kind = STORE_EVENT_STATE,
        .limit = STORE_EVENTS_MAX,
    };
    int fault = store_events(stream->api->parts.store, &query, rows, &n_rows);
    if (fault < 0) {
        log_error("an event stream cannot go on: %s", strerror(-fault));
        return false;
    }
    int64_t until = n_rows > 0 ? rows[n_rows - 1].number : after;
    if (n_rows < STORE_EVENTS_MAX && until < floor)
        until = floor;
    struct hub_event **items = NULL;
    count = hub_progress(&stream->watcher, after, until, &items);
    items = must_realloc(items, (count + n_rows + 1) * sizeof(struct hub_event *));
    for (size_t i = 0; i < n_rows; i++) {
        struct hub_event *event = show_row(stream->api, &rows[i]);
        if (event != NULL)
            items[count++] = event;
        store_event_fini(&rows[i]);
    }
    qsort(items, count, sizeof(struct hub_event *), hub_event_compare);
    take_items(stream, items, count);
    hub_move(&stream->watcher, until);
    return true;
}

/* ---- going on ---- */

static enum hub_taken take_news(struct stream *stream, int64_t *ret_floor)
{
    struct hub_event **items = must_calloc(ITEMS_MAX, sizeof(struct hub_event *));
    size_t count = 0;
    enum hub_taken taken = hub_take(&stream->watcher, items, ITEMS_MAX, &count, ret_floor);
    if (taken == HUB_TOOK)
        take_items(stream, items, count);
    else
        free(items);
    return taken;
}

/* Named tasks whose end came before this stream: as far as the hub has heard they have ended, and nothing more comes. */
static void find_ended(struct stream *stream)
{
    for (size_t i = 0; i < stream->n_named; i++) {
        const struct task *task = NULL;
        struct engine_figures figures;
        int64_t heard;
        const char *id = stream->named[i].id;
        if (stream->named[i].has_ended || hub_is_unfinished(stream->api->parts.hub, id, &heard) ||
            engine_task(stream->api->parts.engine, id, &task, &figures) != ENGINE_OK)
            continue;
        if (task_state_is_end(task->state) && task->change <= heard)
            note_ended(stream, id);
        task_unref(task);
    }
}

static void end(struct stream *stream)
{
    buf_puts(&stream->text, "event: end\ndata: {}\n\n");
    stream->is_over = true;
}

/* A client that is gone is told nothing; without a look he would be served until the second heartbeat. */
static bool is_client_there(const struct stream *stream)
{
    char byte;
    return recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

static bool may_go_on(const struct stream *stream)
{
    return !hub_is_closed(stream->api->parts.hub) && is_client_there(stream);
}

static void plan_beat(struct stream *stream)
{
    stream->beat_ms = clock_mono_ms() + stream->api->parts.settings->notify_heartbeat;
}

/* Nothing to tell: a heartbeat, the end, or sleep. True: there is text, or it is over. */
static bool idle(struct stream *stream)
{
    int64_t left_ms = stream->beat_ms - clock_mono_ms();
    if (stream->named != NULL && stream->n_unfinished > 0 && left_ms <= 0)
        find_ended(stream);
    if (stream->named != NULL && stream->n_unfinished == 0) {
        end(stream);
        return true;
    }
    if (left_ms <= 0) {
        stream->is_over = !may_go_on(stream);
        buf_puts(&stream->text, ":\n\n");
        plan_beat(stream);
        return true;
    }
    if (hub_wait(&stream->watcher, left_ms < HUB_WAIT_MAX_MS ? left_ms : HUB_WAIT_MAX_MS))
        return false;
    stream->is_over = hub_is_closed(stream->api->parts.hub);
    return stream->is_over;
}

/* The next thing to send. False: the connection sleeps, or is to be asked again. */
static bool refill(struct stream *stream)
{
    int64_t floor = 0;
    buf_clear(&stream->text);
    stream->n_sent = 0;
    if (!auth_holds(stream->api->auth, &stream->who)) { /* who lost his key is told nothing more */
        stream->is_over = true;
        return true;
    }
    while (stream->next_item < stream->n_items && stream->text.length < BLOCK_BYTES) {
        struct hub_event *event = stream->items[stream->next_item++];
        put_item(stream, event);
        hub_event_unref(event);
    }
    if (stream->text.length > 0)
        return true;
    if (stream->mark > 0) { /* so that he resumes from here though there was nothing to tell */
        buf_printf(&stream->text, "id: %" PRId64 "\n\n", stream->mark);
        stream->mark = 0;
        return true;
    }
    if (hub_is_closed(stream->api->parts.hub)) {
        stream->is_over = true;
        return true;
    }
    if (!stream->has_begun) {
        begin(stream);
        return true;
    }
    switch (take_news(stream, &floor)) {
    case HUB_TOOK:
        return true;
    case HUB_NOTHING:
        return idle(stream);
    case HUB_BEHIND:
        stream->is_over = !read_page(stream, floor);
        return true;
    }
    return false;
}

static ssize_t read_stream(void *context, uint64_t position UNUSED, char *out, size_t most)
{
    struct stream *stream = context;
    while (stream->n_sent == stream->text.length) {
        if (stream->is_over)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!refill(stream))
            return 0;
    }
    size_t left = stream->text.length - stream->n_sent;
    size_t length = left < most ? left : most;
    memcpy(out, stream->text.data + stream->n_sent, length);
    stream->n_sent += length;
    return (ssize_t)length;
}

/* ---- coming and going ---- */

static void fall_asleep(struct hub_watcher *watcher)
{
    MHD_suspend_connection(CONTAINER_OF(watcher, struct stream, watcher)->connection);
}

static void wake_up(struct hub_watcher *watcher)
{
    MHD_resume_connection(CONTAINER_OF(watcher, struct stream, watcher)->connection);
}

static void fini(struct stream *stream)
{
    drop_items(stream);
    buf_fini(&stream->text);
    free(stream->named);
    free(stream->base);
    free(stream);
}

static void stream_free(void *context)
{
    struct stream *stream = context;
    hub_leave(&stream->watcher);
    fini(stream);
}

static struct stream *stream_new(struct api_request *request, const char *base,
                                 const struct stream_wish *wish)
{
    const union MHD_ConnectionInfo *socket =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    must(socket != NULL);
    struct stream *stream = must_calloc(1, sizeof(*stream));
    stream->api = request->api;
    stream->connection = request->connection;
    stream->fd = socket->connect_fd;
    stream->who = request->who;
    stream->base = must_strdup(base);
    stream->watcher.sleep = fall_asleep;
    stream->watcher.wake = wake_up;
    stream->has_begun = wish->goes_on;
    buf_init(&stream->text, TEXT_MAX + 2 * BLOCK_BYTES);
    if (wish->n_ids > 0) {
        stream->named = must_calloc(wish->n_ids, sizeof(*stream->named));
        stream->n_named = stream->n_unfinished = wish->n_ids;
        for (size_t i = 0; i < wish->n_ids; i++)
            memcpy(stream->named[i].id, wish->ids[i], strlen(wish->ids[i]) + 1);
    }
    buf_printf(&stream->text, "retry: %d\n\n", STREAM_RETRY_MS);
    plan_beat(stream);
    return stream;
}

static enum MHD_Result reply_refused(struct api_request *request, enum hub_outcome outcome)
{
    enum api_error error = outcome == HUB_CLOSED ? API_ERROR_CLOSING
                           : outcome == HUB_FULL ? API_ERROR_WATCHERS_FULL
                                                 : API_ERROR_TOO_MANY_WATCHERS;
    return api_reply_error(request, error, NULL);
}

static enum MHD_Result reply_stream(struct api_request *request, struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    must(MHD_add_response_header(response, "Content-Type", "text/event-stream; charset=utf-8") ==
             MHD_YES &&
         MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES &&
         MHD_add_response_header(response, "X-Accel-Buffering", "no") == MHD_YES);
    return api_reply_response(request, MHD_HTTP_OK, response, 0);
}

enum MHD_Result stream_open(struct api_request *request, const struct stream_wish *wish)
{
    char base[ORIGIN_BASE_SIZE];
    if (!api_base(request, base))
        return api_reply_bad_host(request);
    if (strcmp(request->method, "HEAD") == 0)
        return reply_stream(request,
                            MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
    struct stream *stream = stream_new(request, base, wish);
    enum hub_outcome outcome = hub_enter(request->api->parts.hub, &stream->watcher,
                                         &(struct hub_interest){
                                             .tenant = request->who.tenant,
                                             .is_of_all = request->who.is_operator,
                                             .ids = wish->n_ids > 0 ? wish->ids : NULL,
                                             .n_ids = wish->n_ids,
                                             .wish = HUB_WISH_EVENTS,
                                             .after = wish->goes_on ? wish->after : 0,
                                         });
    if (outcome != HUB_ENTERED) {
        fini(stream);
        return reply_refused(request, outcome);
    }
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, stream_free);
    if (response == NULL)
        stream_free(stream);
    return reply_stream(request, response);
}
