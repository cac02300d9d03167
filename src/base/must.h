/* SPDX-License-Identifier: Apache-2.0
 *
 * Assertions that stay on in release builds. A broken invariant is a bug: it is logged with its
 * place, the last log lines kept in the flight recorder (base/log.h) are dumped to stderr, and
 * the process aborts; the supervisor restarts it and the store recovers. */
#pragma once

#define must(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            must_fail(#cond, __FILE__, __LINE__);                                                  \
    } while (0)

_Noreturn void must_fail(const char *condition, const char *file, int line);

/* Allocation of small bounded sizes: aborts when memory is out. Sizes that the outside controls
 * are checked by their callers before they come here. All zero the memory or copy into it. */
void *must_calloc(unsigned long count, unsigned long size);
void *must_realloc(void *old, unsigned long size);
char *must_strdup(const char *text);
char *must_strndup(const char *text, unsigned long length);
