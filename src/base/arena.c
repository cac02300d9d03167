/* SPDX-License-Identifier: Apache-2.0
 *
 * An arena is a chain of blocks; pieces are cut from the newest one. The ceiling counts what is
 * handed out, rounded up to the alignment; blocks never grow past what the ceiling leaves, so
 * the memory held is at most about twice what was handed out and the blocks' heads. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

enum { FIRST_BLOCK_BYTES = 4096, LARGEST_BLOCK_BYTES = 65536 };

static const size_t ALIGNMENT = _Alignof(max_align_t);

struct block {
    struct block *older;
    size_t used;
    size_t capacity;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *newest;
    size_t used;
    size_t max;
    size_t next_block_bytes;
};

struct arena *arena_new(size_t max_bytes)
{
    struct arena *arena = must_calloc(1, sizeof(*arena));
    arena->max = max_bytes;
    arena->next_block_bytes = FIRST_BLOCK_BYTES;
    return arena;
}

struct arena *arena_free(struct arena *arena)
{
    if (arena == NULL)
        return NULL;
    struct block *block = arena->newest;
    while (block != NULL) {
        struct block *older = block->older;
        free(block);
        block = older;
    }
    free(arena);
    return NULL;
}

/* A block with room for `need`, which the ceiling allows. NULL when memory is out. */
static struct block *add_block(struct arena *arena, size_t need)
{
    size_t capacity = arena->next_block_bytes;
    size_t left = arena->max - arena->used;
    if (capacity > left)
        capacity = left;
    if (capacity < need)
        capacity = need;
    struct block *block = calloc(1, sizeof(*block) + capacity);
    if (block == NULL)
        return NULL;
    block->capacity = capacity;
    block->older = arena->newest;
    arena->newest = block;
    if (arena->next_block_bytes < LARGEST_BLOCK_BYTES)
        arena->next_block_bytes *= 2;
    return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t left = arena->max - arena->used;
    if (bytes > left)
        return NULL;
    size_t need = bytes > 0 ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    if (need > left || need < bytes)
        return NULL;
    struct block *block = arena->newest;
    if (block == NULL || block->capacity - block->used < need)
        block = add_block(arena, need);
    if (block == NULL)
        return NULL;
    void *piece = block->bytes + block->used;
    block->used += need;
    arena->used += need;
    return piece;
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    length = strnlen(text, length);
    char *copy = arena_alloc(arena, length + 1);
    if (copy != NULL)
        memcpy(copy, text, length);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;
    char *text = arena_alloc(arena, (size_t)length + 1);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

size_t arena_used_bytes(const struct arena *arena)
{
    return arena->used;
}
