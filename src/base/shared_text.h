/* SPDX-License-Identifier: Apache-2.0
 *
 * A text that many records share: immutable and reference-counted. NULL is the empty text, so that a zeroed record
 * holds empty ones. Any thread. */
#pragma once

#include <stdatomic.h>

struct shared_text {
    _Atomic unsigned references;
    char text[];
};

/* A new one with a reference of the caller's; NULL for NULL and "". */
const struct shared_text *shared_text_new(const char *text);
const struct shared_text *shared_text_ref(const struct shared_text *shared);   /* NULL: NULL */
const struct shared_text *shared_text_unref(const struct shared_text *shared); /* returns NULL */
/* Lets go of what stands at `place`, and puts a new one there. */
void shared_text_set(const struct shared_text **place, const char *text);
/* Lives as long as a reference; never NULL. */
const char *shared_text_of(const struct shared_text *shared);
