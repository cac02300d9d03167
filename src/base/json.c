/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON from outside is parsed by jansson, which bounds its own recursion, and then walked once
 * against our limits; the walk stops at the depth limit, so it is bounded too. What comes out is
 * well-formed UTF-8 without NUL. Any thread; a value belongs to one thread at a time. */
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/must.h"

void json_unref_pointer(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static char first_character(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\n' && text[i] != '\r')
            return text[i];
    }
    return '\0';
}

/* Says why `text` did not parse. A lone scalar is good JSON but not what we take. */
static void explain(const char *text, size_t length, const json_error_t *error, char *ret_error)
{
    char first = first_character(text, length);
    if (first == '\0') {
        snprintf(ret_error, JSON_ERROR_SIZE, "line 1, column 1: no object or array here");
        return;
    }
    json_error_t again = *error;
    if (first != '{' && first != '[') {
        json_t *scalar = json_loadb(text, length, JSON_DECODE_ANY, &again);
        if (scalar != NULL) {
            json_decref(scalar);
            snprintf(ret_error, JSON_ERROR_SIZE, "line 1, column 1: not an object or array");
            return;
        }
    }
    snprintf(ret_error, JSON_ERROR_SIZE, "line %d, column %d: %s", again.line, again.column,
             again.text);
}

/* Counts down `left` for each member and element. NULL, or what is wrong. */
static const char *check_limits(json_t *json, int depth, long *left)
{
    if (!json_is_object(json) && !json_is_array(json))
        return NULL;
    if (depth > JSON_DEPTH_LIMIT)
        return "arrays and objects are nested too deeply";
    *left -= (long)(json_is_object(json) ? json_object_size(json) : json_array_size(json));
    if (*left < 0)
        return "too many members and elements";
    const char *problem = NULL;
    for (size_t i = 0; problem == NULL && i < json_array_size(json); i++)
        problem = check_limits(json_array_get(json, i), depth + 1, left);
    void *at = json_object_iter(json); /* NULL for an array */
    for (; problem == NULL && at != NULL; at = json_object_iter_next(json, at))
        problem = check_limits(json_object_iter_value(at), depth + 1, left);
    return problem;
}

/* Commas and opening brackets outside strings, of which our limits leave room for so many. Looked at before
 * anything is built: three bytes ("{},") become two hundred and forty. */
static bool is_too_rich(const char *text, size_t length, long members)
{
    long left = 2 * members + 1;
    bool is_string = false;
    for (size_t i = 0; i < length && left >= 0; i++) {
        if (text[i] == '"')
            is_string = !is_string;
        else if (is_string)
            i += text[i] == '\\';
        else
            left -= text[i] == ',' || text[i] == '[' || text[i] == '{';
    }
    return left < 0;
}

json_t *json_parse_within(const char *text, size_t length, long *members_left,
                          char ret_error[JSON_ERROR_SIZE])
{
    json_error_t error;
    if (is_too_rich(text, length, *members_left)) {
        snprintf(ret_error, JSON_ERROR_SIZE, "too many members and elements (at most %d)",
                 JSON_MEMBERS_LIMIT);
        return NULL;
    }
    json_t *json = length > 0 ? json_loadb(text, length, 0, &error) : NULL;
    if (json == NULL) {
        explain(text, length, &error, ret_error);
        return NULL;
    }
    long left = *members_left;
    const char *problem = check_limits(json, 1, &left);
    if (problem == NULL) {
        *members_left = left;
        return json;
    }
    snprintf(ret_error, JSON_ERROR_SIZE, "%s (at most %d levels, %d members and elements)", problem,
             JSON_DEPTH_LIMIT, JSON_MEMBERS_LIMIT);
    json_decref(json);
    return NULL;
}

json_t *json_parse(const char *text, size_t length, char ret_error[JSON_ERROR_SIZE])
{
    long members_left = JSON_MEMBERS_LIMIT;
    return json_parse_within(text, length, &members_left, ret_error);
}

const char *json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

long long json_int(const json_t *object, const char *key, long long fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

double json_number(const json_t *object, const char *key, double fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

bool json_flag(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

/* A string value of text that an upstream may have cut through a character. */
static json_t *string_of(const char *text)
{
    json_t *string = json_string(text);
    if (string != NULL)
        return string;
    static const char replacement[] = "\xef\xbf\xbd";
    size_t left = strlen(text);
    CLEANUP(buf_fini) struct buf mended;
    buf_init(&mended, left * (sizeof(replacement) - 1));
    while (left > 0) {
        uint32_t code;
        size_t width = codec_utf8_step(text, left, &code);
        if (code == 0xfffd)
            buf_puts(&mended, replacement);
        else
            buf_add(&mended, text, width);
        text += width;
        left -= width;
    }
    return json_string(buf_text(&mended));
}

void json_set_text(json_t *object, const char *key, const char *text)
{
    json_set(object, key, text != NULL ? string_of(text) : json_null());
}

void json_set(json_t *object, const char *key, json_t *value)
{
    must(value != NULL);
    must(json_object_set_new(object, key, value) == 0);
}

void json_add(json_t *array, json_t *value)
{
    must(value != NULL);
    must(json_array_append_new(array, value) == 0);
}

char *json_canonical(const json_t *json)
{
    char *text = json_dumps(json, JSON_WRITE_FLAGS | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    must(text != NULL);
    return text;
}
