/* SPDX-License-Identifier: Apache-2.0
 *
 * Words that the compiler understands and C does not spell: must-check results, printf checking,
 * clean-up of locals, moves. Nothing here hides control flow. */
#pragma once

#include <stddef.h>

/* The caller must look at the result. */
#define CHECKED __attribute__((warn_unused_result))
/* Arguments are checked like printf's: `f` is the index of the format, `a` of the first value. */
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
/* Run `fn(&variable)` when the variable leaves its scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define UNUSED __attribute__((unused))

/* Built with a sanitizer that brings a runtime with needs of its own: 1, else 0. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* Move a pointer out of a variable: yields its value and leaves NULL behind. */
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })

/* The struct that embeds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* A clean-up for locals that came from malloc: CLEANUP(free_pointer) char *text = …; */
void free_pointer(void *pointer_to_pointer);
/* A clean-up for file descriptors; a negative one is left alone. */
void close_fd(int *fd);
