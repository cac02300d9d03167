/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendering events. The first one who shows an event leaves the text with it; others use that while their base is the same and its
 * links are young. An event of the past is its task as it is now, put back to what the row says. Any thread. */
#include "api/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "task/unified.h"

enum { SHOWN_MS = 60 * 60 * 1000 }; /* how long a text with links is used */

struct shown {
    int64_t made_ms;
    size_t length, base_length;
    char text[]; /* the base, NUL, the line, NUL */
};

static char *render(const struct show_place *place, const struct hub_event *event)
{
    const struct server_parts *parts = &place->api->parts;
    struct link_signer signer;
    struct unified_view view = {.link = link_signer_sign, .link_context = &signer, .wait_s = -1};
    link_signer_init(&signer, &parts->link_keys->current, place->base, place->now_ms,
                     parts->settings->links_valid_for);
    json_t *tree = unified_render_event(event->task, &view);
    char *text = json_dumps(tree, JSON_WRITE_FLAGS);
    json_decref(tree);
    must(text != NULL);
    return text;
}

static struct shown *shown_new(const struct show_place *place, const char *text)
{
    size_t base_length = strlen(place->base), length = strlen(text);
    struct shown *shown = must_calloc(1, sizeof(*shown) + base_length + length + 2);
    shown->made_ms = place->now_ms;
    shown->base_length = base_length;
    shown->length = length;
    memcpy(shown->text, place->base, base_length + 1);
    memcpy(shown->text + base_length + 1, text, length + 1);
    return shown;
}

struct show_text show_event(const struct show_place *place, struct hub_event *event)
{
    struct shown *shown = atomic_load(&event->shown);
    if (shown != NULL && strcmp(shown->text, place->base) == 0 &&
        place->now_ms - shown->made_ms < SHOWN_MS)
        return (struct show_text){shown->text + shown->base_length + 1, shown->length, NULL};
    char *text = render(place, event);
    if (shown == NULL) {
        void *nothing = NULL;
        struct shown *fresh = shown_new(place, text);
        if (!atomic_compare_exchange_strong(&event->shown, &nothing, fresh))
            free(fresh);
    }
    return (struct show_text){text, strlen(text), text};
}

/* The task as the row says that it was. At an end nothing is put back: what it says now is what became of it. */
static struct task *put_back(const struct task *task, const struct store_event *row)
{
    char error[JSON_ERROR_SIZE];
    enum task_state state;
    json_t *body = json_parse(row->body, strlen(row->body), error);
    const char *word = body != NULL ? json_text(body, "state") : NULL;
    struct task *copy = task_copy(task);
    if (word != NULL && task_state_parse(word, &state) && !task_state_is_end(state)) {
        copy->state = state;
        copy->progress = json_number(body, "progress", 0);
        copy->status_update_ms = row->at_ms;
    }
    copy->revision = row->revision;
    json_decref(body);
    return copy;
}

struct hub_event *show_row(const struct api *api, const struct store_event *row)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    if (engine_task(api->parts.engine, row->task_id, &task, &figures) != ENGINE_OK)
        return NULL;
    const struct task *then =
        task->revision == row->revision ? task_ref(task) : put_back(task, row);
    struct hub_event *event = hub_event_new(then, row->number, true);
    task_unref(then);
    task_unref(task);
    return event;
}
