/* SPDX-License-Identifier: Apache-2.0
 *
 * The old request is written down as the fields that would ask for it, by their first names; the new one is laid over it. A field asked for by
 * any of its names takes the old one's place, so that never two names of one wish are left to contradict each other. Pure. */
#include "task/remix.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"
#include "task/unified.h"

enum { NAME_SIZE = 200 };

/* Names of a task, not of what to make; a relay's own handle of the original. */
static const char *const handles[] = {"id", "task_id", "video_id", "parent_post_id"};

static bool is_handle(const char *key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(handles); i++)
        if (strcmp(key, handles[i]) == 0)
            return true;
    return false;
}

/* ---- then ---- */

static void set_text(json_t *fields, const char *key, const char *text)
{
    if (text != NULL)
        json_set_text(fields, key, text);
}

static void set_flag(json_t *fields, const char *key, bool flag)
{
    if (flag)
        json_set(fields, key, json_true());
}

/* An object within the request, but for those of its members that unified_decode() reads: they stand by their first names already. */
static json_t *without_wishes(const char *key, const json_t *object)
{
    json_t *rest = json_object();
    const char *inner;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, inner, value)
    {
        char name[NAME_SIZE];
        int length = snprintf(name, sizeof name, "%s.%s", key, inner);
        if (length >= (int)sizeof name || unified_field(name) == NULL)
            json_set(rest, inner, json_incref(value));
    }
    return rest;
}

static void set_extra(json_t *fields, const json_t *extra)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)extra, key, value)
    {
        if (strcmp(key, "storyboard") == 0)
            continue;
        json_set(fields, key,
                 json_is_object(value) ? without_wishes(key, value) : json_incref(value));
    }
}

static json_t *fields_of(const struct task_request *request)
{
    json_t *fields = json_object();
    set_extra(fields, request->extra);
    set_text(fields, "model", request->model);
    set_text(fields, "orientation", request->orientation);
    set_text(fields, "size", request->size);
    set_text(fields, "aspect_ratio", request->aspect_ratio);
    set_text(fields, "title", request->title);
    set_text(fields, "style", request->style);
    set_text(fields, "negative_prompt", request->negative_prompt);
    set_text(fields, "character_url", request->character_url);
    set_text(fields, "character_timestamps", request->character_timestamps);
    json_set(fields, "duration", json_integer(request->duration_s));
    json_set(fields, "priority", json_integer(request->priority));
    if (request->has_seed)
        json_set(fields, "seed", json_integer(request->seed));
    if (request->has_watermark_wish)
        json_set(fields, "watermark", json_boolean(request->watermark));
    if (request->tags != NULL)
        json_set(fields, "tags", json_incref(request->tags));
    set_flag(fields, "private", request->private_result);
    set_flag(fields, "enhance_prompt", request->enhance_prompt);
    return fields;
}

/* ---- now ---- */

/* What is asked for, by first names. */
static void collect(json_t *wishes, const char *prefix, const json_t *asked)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)asked, key, value)
    {
        char name[NAME_SIZE];
        int length = snprintf(name, sizeof name, "%s%s", prefix, key);
        const char *first = length < (int)sizeof name ? unified_field(name) : NULL;
        if (first != NULL && unified_is_asked(value))
            json_set(wishes, first, json_incref(value));
        if (prefix[0] == '\0' && json_is_object(value) && length + 1 < (int)sizeof name) {
            (void)snprintf(name + length, sizeof name - (size_t)length, ".");
            collect(wishes, name, value);
        }
    }
}

/* Says more than a class of sizes: pixels or a shape (1280x720, 16:9). */
static bool decides_shape(const char *size)
{
    return size != NULL && size[strspn(size, " ")] >= '0' && size[strspn(size, " ")] <= '9' &&
           strpbrk(size, "xX*:\xc3") != NULL;
}

static void drop_shape(json_t *fields, const json_t *wishes)
{
    bool asks_shape = json_object_get(wishes, "aspect_ratio") != NULL ||
                      json_object_get(wishes, "orientation") != NULL ||
                      decides_shape(json_text(wishes, "size"));
    if (!asks_shape)
        return;
    (void)json_object_del(fields, "orientation");
    (void)json_object_del(fields, "aspect_ratio");
    if (decides_shape(json_text(fields, "size")))
        (void)json_object_del(fields, "size");
}

json_t *remix_fields(const struct task_request *original, const json_t *asked)
{
    json_t *fields = fields_of(original);
    CLEANUP(json_unref_pointer) json_t *wishes = json_object();
    collect(wishes, "", asked);
    drop_shape(fields, wishes);
    const char *key;
    json_t *value;
    json_object_foreach(wishes, key, value)(void) json_object_del(fields, key);
    json_object_foreach((json_t *)(uintptr_t)asked, key, value)
    {
        if (!is_handle(key) && unified_is_asked(value))
            json_set(fields, key, json_incref(value));
    }
    return fields;
}
