/* SPDX-License-Identifier: Apache-2.0
 *
 * References to the task's images: {"$image": n, "as": ["url", "data_uri", "base64", "file"]} stands
 * for the image in the first form of the list that can be had. Pure. */
#include "upstream/request_part.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    enum request_form form;
} forms[] = {
    {"url", REQUEST_FORM_URL},
    {"data_uri", REQUEST_FORM_DATA_URI},
    {"base64", REQUEST_FORM_BASE64},
    {"file", REQUEST_FORM_FILE},
};

static void write_place(const struct request_place *place, struct buf *out)
{
    if (place->parent != NULL)
        write_place(place->parent, out);
    if (place->key == NULL)
        buf_printf(out, "[%zu]", place->index);
    else
        buf_printf(out, "%s%.60s", place->parent != NULL ? "." : "", place->key);
}

bool request_wrong_at(char *error, const struct request_place *place, const char *what)
{
    CLEANUP(buf_fini) struct buf name;
    buf_init(&name, (size_t)REQUEST_DEPTH_MAX * 70);
    write_place(place, &name);
    return request_wrong(error, "%.180s: %s", buf_text(&name), what);
}

bool request_is_image(const json_t *value)
{
    return json_is_object(value) && json_object_get(value, "$image") != NULL;
}

static bool read_form(const json_t *word, enum request_form *ret_form)
{
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        if (json_is_string(word) && strcmp(json_string_value(word), forms[i].word) == 0) {
            *ret_form = forms[i].form;
            return true;
        }
    }
    return false;
}

static bool can_be_had(const struct request_image *image, enum request_form form, bool is_part,
                       bool must_be_here)
{
    if (form == REQUEST_FORM_URL)
        return image->url != NULL;
    if (form == REQUEST_FORM_FILE && !is_part)
        return false;
    return image->fd >= 0 || !must_be_here;
}

static bool read_index(const struct request_maker *maker, const json_t *value,
                       const struct request_place *place, size_t *ret_index)
{
    const json_t *number = json_object_get(value, "$image");
    char what[100];
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return request_wrong_at(maker->error, place, "$image must be the index of an image");
    if ((size_t)json_integer_value(number) >= maker->n_images) {
        snprintf(what, sizeof(what), "$image is %lld, but the task has %zu",
                 (long long)json_integer_value(number), maker->n_images);
        return request_wrong_at(maker->error, place, what);
    }
    *ret_index = (size_t)json_integer_value(number);
    return true;
}

bool request_choose(const struct request_maker *maker, const json_t *value,
                    const struct request_place *place, bool is_part, bool must_be_here,
                    size_t *ret_index, enum request_form *ret_form)
{
    const json_t *list = json_object_get(value, "as");
    size_t index = 0;
    bool is_found = false;
    if (json_object_size(value) != 2 || !json_is_array(list) || json_array_size(list) == 0)
        return request_wrong_at(
            maker->error, place,
            "an image is {\"$image\": index, \"as\": [forms]} and nothing more");
    if (!read_index(maker, value, place, &index))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        enum request_form form;
        if (!read_form(json_array_get(list, i), &form))
            return request_wrong_at(maker->error, place,
                                    "as names url, data_uri, base64 or file, and nothing else");
        if (!is_found && can_be_had(&maker->images[index], form, is_part, must_be_here)) {
            is_found = true;
            *ret_index = index;
            *ret_form = form;
        }
    }
    return is_found ||
           request_wrong_at(maker->error, place, "the image cannot be had in a form that as names");
}

/* ---- what must be at hand ---- */

static bool want(const struct request_maker *maker, const json_t *value,
                 const struct request_place *place, bool is_part, uint64_t *bytes)
{
    size_t index = 0;
    enum request_form form = REQUEST_FORM_URL;
    if (!request_choose(maker, value, place, is_part, false, &index, &form))
        return false;
    if (form != REQUEST_FORM_URL)
        *bytes |= UINT64_C(1) << index;
    return true;
}

static bool walk(const struct request_maker *maker, const json_t *value,
                 const struct request_place *place, int depth, uint64_t *bytes)
{
    if (depth > REQUEST_DEPTH_MAX)
        return request_wrong(maker->error, "json: is nested more than %d deep", REQUEST_DEPTH_MAX);
    if (request_is_image(value))
        return want(maker, value, place, false, bytes);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct request_place inner = {.parent = place, .index = i};
        if (!walk(maker, json_array_get(value, i), &inner, depth + 1, bytes))
            return false;
    }
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        const struct request_place inner = {.parent = place, .key = key};
        if (!walk(maker, member, &inner, depth + 1, bytes))
            return false;
    }
    return true;
}

bool request_images_wanted(const json_t *spec, const struct request_image *images, size_t n_images,
                           uint64_t *ret_bytes, char ret_error[REQUEST_ERROR_SIZE])
{
    const struct request_maker maker = {
        .spec = spec, .images = images, .n_images = n_images, .error = ret_error};
    const struct request_place json = {.key = "json"};
    const struct request_place form = {.key = "form"};
    const json_t *parts = request_member(spec, "form");
    uint64_t bytes = 0;
    if (n_images > REQUEST_IMAGES_MAX)
        return request_wrong(ret_error, "more than %d images", REQUEST_IMAGES_MAX);
    if (!walk(&maker, json_object_get(spec, "json"), &json, 0, &bytes))
        return false;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const struct request_place part = {.parent = &form, .index = i};
        const json_t *value = json_object_get(json_array_get(parts, i), "value");
        if (request_is_image(value) && !want(&maker, value, &part, true, &bytes))
            return false;
    }
    *ret_bytes = bytes;
    return true;
}
