/* SPDX-License-Identifier: Apache-2.0
 *
 * Clean-ups for locals. They run as a scope is left, so they touch nothing but what they are
 * handed, and they leave errno alone: the function's own error must survive them. Any thread. */
#include "base/compiler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void free_pointer(void *pointer_to_pointer)
{
    void *held;
    memcpy(&held, pointer_to_pointer, sizeof(held)); /* it may be a pointer to any type */
    free(held);
    held = NULL;
    memcpy(pointer_to_pointer, &held, sizeof(held));
}

void close_fd(int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    close(*fd);
    errno = saved;
    *fd = -1;
}
