/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of a struct by tables, as members of a JSON document: what is written by a table is read by the same. For
 * task/record.c. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/shared_text.h"

struct record_field {
    const char *key;
    size_t offset;
    bool is_required;
};

#define RECORD_FIELD(type, name, is_required)                                                      \
    {                                                                                              \
#name, offsetof(type, name), is_required                                                   \
    }

/* The fields at `base`: a char * (NULL is left out), an int, an int64_t, a bool each. */
void record_put_texts(json_t *document, const void *base, const struct record_field *fields,
                      size_t n);
void record_put_ints(json_t *document, const void *base, const struct record_field *fields,
                     size_t n);
void record_put_int64s(json_t *document, const void *base, const struct record_field *fields,
                       size_t n);
void record_put_flags(json_t *document, const void *base, const struct record_field *fields,
                      size_t n);

/* All that read return false on damage. An absent optional field keeps its zero. */
CHECKED bool record_get_texts(const json_t *document, void *base, const struct record_field *fields,
                              size_t n);
CHECKED bool record_get_ints(const json_t *document, void *base, const struct record_field *fields,
                             size_t n);
CHECKED bool record_get_int64s(const json_t *document, void *base,
                               const struct record_field *fields, size_t n);
CHECKED bool record_get_flags(const json_t *document, void *base, const struct record_field *fields,
                              size_t n);
CHECKED bool record_get_flag(const json_t *document, const char *key, bool *flag);
/* Copies a string member that fits; an absent one leaves the text empty. */
CHECKED bool record_get_fixed(const json_t *document, const char *key, char *ret_text, size_t size);
/* The same, as a shared text. */
CHECKED bool record_get_shared(const json_t *document, const char *key, size_t size,
                               const struct shared_text **ret_text);
/* A member of this type, the caller's. */
CHECKED bool record_get_json(const json_t *document, const char *key, json_type type,
                             json_t **ret_value);
