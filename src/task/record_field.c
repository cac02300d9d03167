/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of structs as members of JSON documents, and back. Pure: any thread. */
#include "task/record_field.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"

static const void *at(const void *base, const struct record_field *field)
{
    return (const char *)base + field->offset;
}

static void *at_mutable(void *base, const struct record_field *field)
{
    return (char *)base + field->offset;
}

/* ---- writing ---- */

void record_put_texts(json_t *document, const void *base, const struct record_field *fields,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *text = *(char *const *)at(base, &fields[i]);
        if (text != NULL)
            json_set_text(document, fields[i].key, text);
    }
}

void record_put_ints(json_t *document, const void *base, const struct record_field *fields,
                     size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_set(document, fields[i].key, json_integer(*(const int *)at(base, &fields[i])));
}

void record_put_int64s(json_t *document, const void *base, const struct record_field *fields,
                       size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_set(document, fields[i].key, json_integer(*(const int64_t *)at(base, &fields[i])));
}

void record_put_flags(json_t *document, const void *base, const struct record_field *fields,
                      size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_set(document, fields[i].key, json_boolean(*(const bool *)at(base, &fields[i])));
}

/* ---- reading ---- */

bool record_get_texts(const json_t *document, void *base, const struct record_field *fields,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(document, fields[i].key);
        if (value == NULL && !fields[i].is_required)
            continue;
        if (!json_is_string(value))
            return false;
        *(char **)at_mutable(base, &fields[i]) = must_strdup(json_string_value(value));
    }
    return true;
}

static bool get_int64(const json_t *document, const struct record_field *field, int64_t *value)
{
    const json_t *member = json_object_get(document, field->key);
    if (member == NULL && !field->is_required)
        return true;
    if (!json_is_integer(member))
        return false;
    *value = json_integer_value(member);
    return true;
}

bool record_get_ints(const json_t *document, void *base, const struct record_field *fields,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t value = 0;
        if (!get_int64(document, &fields[i], &value) || value < INT_MIN || value > INT_MAX)
            return false;
        *(int *)at_mutable(base, &fields[i]) = (int)value;
    }
    return true;
}

bool record_get_int64s(const json_t *document, void *base, const struct record_field *fields,
                       size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!get_int64(document, &fields[i], at_mutable(base, &fields[i])))
            return false;
    return true;
}

bool record_get_flag(const json_t *document, const char *key, bool *flag)
{
    const json_t *value = json_object_get(document, key);
    if (value != NULL && !json_is_boolean(value))
        return false;
    *flag = json_is_true(value);
    return true;
}

bool record_get_flags(const json_t *document, void *base, const struct record_field *fields,
                      size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!record_get_flag(document, fields[i].key, at_mutable(base, &fields[i])))
            return false;
    return true;
}

bool record_get_fixed(const json_t *document, const char *key, char *ret_text, size_t size)
{
    const json_t *value = json_object_get(document, key);
    if (value == NULL)
        return true;
    if (!json_is_string(value) || json_string_length(value) >= size)
        return false;
    memcpy(ret_text, json_string_value(value), json_string_length(value) + 1);
    return true;
}

bool record_get_shared(const json_t *document, const char *key, size_t size,
                       const struct shared_text **ret_text)
{
    const json_t *value = json_object_get(document, key);
    if (value != NULL && (!json_is_string(value) || json_string_length(value) >= size))
        return false;
    *ret_text = shared_text_new(json_string_value(value));
    return true;
}

bool record_get_json(const json_t *document, const char *key, json_type type, json_t **ret_value)
{
    json_t *value = json_object_get(document, key);
    if (value == NULL)
        return true;
    if (json_typeof(value) != type)
        return false;
    *ret_value = json_incref(value);
    return true;
}
