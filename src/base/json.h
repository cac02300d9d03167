/* SPDX-License-Identifier: Apache-2.0
 *
 * Small helpers over jansson, and the limits that hold for JSON from outside. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

enum {
    JSON_DEPTH_LIMIT = 32,      /* nesting of arrays and objects in a request */
    JSON_MEMBERS_LIMIT = 10000, /* members and elements in all */
    JSON_ERROR_SIZE = 200,
    /* How we write: compact, keys as inserted, floats with 16 digits, UTF-8 as it is. */
    JSON_WRITE_FLAGS = JSON_COMPACT | JSON_REAL_PRECISION(16),
};

/* Clean-up for locals: CLEANUP(json_unref_pointer) json_t *x = …; */
void json_unref_pointer(json_t **json);
/* Parses `length` bytes of outside JSON (duplicate keys: the last counts; NUL in strings
 * refused). NULL with a sentence in `ret_error` («line 3, column 7: …») when it is not JSON or
 * passes a limit. A new reference. */
json_t *json_parse(const char *text, size_t length, char ret_error[JSON_ERROR_SIZE]);
/* The same for one of several texts that share a limit: at most `*members_left` members and elements,
 * which what was parsed is taken from. */
json_t *json_parse_within(const char *text, size_t length, long *members_left,
                          char ret_error[JSON_ERROR_SIZE]);
/* Members of an object, or the fallback when absent or of another type. */
const char *json_text(const json_t *object, const char *key); /* NULL when absent */
long long json_int(const json_t *object, const char *key, long long fallback);
double json_number(const json_t *object, const char *key, double fallback);
bool json_flag(const json_t *object, const char *key, bool fallback);
/* Sets a string member, or JSON null when `text` is NULL. */
void json_set_text(json_t *object, const char *key, const char *text);
/* Sets any value; steals `value`, which must not be NULL. */
void json_set(json_t *object, const char *key, json_t *value);
/* Adds any value to an array; steals it, as above. */
void json_add(json_t *array, json_t *value);
/* Compact text with sorted keys: equal documents give equal bytes. malloc'ed. */
char *json_canonical(const json_t *json);
