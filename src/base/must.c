/* SPDX-License-Identifier: Apache-2.0
 *
 * How the process dies of a bug, and allocation that dies rather than fails. Nothing here, nor
 * anything it calls, may use must(): the log formats on the stack for that reason. Any thread. */
#include "base/must.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

void must_fail(const char *condition, const char *file, int line)
{
    log_error("broken invariant '%s' at %s:%d, aborting", condition, file, line);
    log_dump_recorder(STDERR_FILENO);
    abort();
}

static void *or_die(void *memory)
{
    if (memory == NULL)
        must_fail("memory is left", __FILE__, __LINE__);
    return memory;
}

void *must_calloc(unsigned long count, unsigned long size)
{
    return or_die(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *must_realloc(void *old, unsigned long size)
{
    return or_die(realloc(old, size > 0 ? size : 1));
}

char *must_strdup(const char *text)
{
    return or_die(strdup(text));
}

char *must_strndup(const char *text, unsigned long length)
{
    return or_die(strndup(text, length));
}
