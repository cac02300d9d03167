/* SPDX-License-Identifier: Apache-2.0
 *
 * Who lets go of the last reference frees; nothing but the count ever changes. Any thread. */
#include "base/shared_text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/reference.h"

const struct shared_text *shared_text_new(const char *text)
{
    if (text == NULL || text[0] == '\0')
        return NULL;
    size_t size = strlen(text) + 1;
    struct shared_text *shared = must_calloc(1, sizeof *shared + size);
    atomic_init(&shared->references, 1);
    memcpy(shared->text, text, size);
    return shared;
}

/* The count is the one thing that changes. */
static _Atomic unsigned *count_of(const struct shared_text *shared)
{
    return &((struct shared_text *)(uintptr_t)shared)->references;
}

const struct shared_text *shared_text_ref(const struct shared_text *shared)
{
    if (shared != NULL)
        reference_take(count_of(shared));
    return shared;
}

const struct shared_text *shared_text_unref(const struct shared_text *shared)
{
    if (shared != NULL && reference_drop(count_of(shared)))
        free((void *)(uintptr_t)shared);
    return NULL;
}

void shared_text_set(const struct shared_text **place, const char *text)
{
    const struct shared_text *old = *place;
    *place = shared_text_new(text); /* first: `text` may lie in the old one */
    shared_text_unref(old);
}

const char *shared_text_of(const struct shared_text *shared)
{
    return shared != NULL ? shared->text : "";
}
