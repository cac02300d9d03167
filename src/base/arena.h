/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of one piece of work: many small pieces that go in one stroke, with a ceiling chosen at birth.
 * Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct arena;

/* An arena that hands out at most `max_bytes`. Never NULL. */
struct arena *arena_new(size_t max_bytes);
/* Frees all pieces; takes NULL, returns NULL. */
struct arena *arena_free(struct arena *arena);
/* Zeroed memory aligned for any type, or NULL where that would pass the ceiling. */
void *arena_alloc(struct arena *arena, size_t bytes);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
size_t arena_used_bytes(const struct arena *arena);
