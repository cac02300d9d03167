/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into answers, for the tests of task/. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"

/* The value at a path such as `detail.images.0.url`; NULL when there is none. */
static inline const json_t *at(const json_t *json, const char *path)
{
    while (json != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(path))
                                   : json_object_getn(json, path, length);
        path += length + (path[length] == '.');
    }
    return json;
}

/* Is it `wanted`, keys in alphabetical order? Nothing at all is `(absent)`. */
static inline void expect(const json_t *answer, const char *path, const char *wanted)
{
    const json_t *value = at(answer, path);
    char *text = value == NULL ? must_strdup("(absent)") : json_canonical(value);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s is %s, not %s", path, text, wanted);
    free(text);
}
