/* SPDX-License-Identifier: Apache-2.0
 *
 * Several texts in one piece of memory: each on its own would cost an allocation's overhead, which is more than most of
 * them. Pure. */
#pragma once

#include <stddef.h>
#include <string.h>

/* What a text takes, its NUL included; 0 for NULL. */
static inline size_t pack_bytes(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

/* Puts a copy at `*end`, which has room for it, and moves that on. The copy; NULL for NULL. */
static inline char *pack_text(char **end, const char *text)
{
    const size_t bytes = pack_bytes(text);
    if (bytes == 0)
        return NULL;
    char *copy = memcpy(*end, text, bytes);
    *end += bytes;
    return copy;
}
