/* SPDX-License-Identifier: Apache-2.0
 *
 * A new wish made of an old one. Pure. */
#pragma once

#include <jansson.h>

#include "task/task.h"

/* The fields of a create request, for unified_decode(): what is asked for now, and whatever else was asked for then, but for the prompt (it has
 * to be asked for), the storyboard (which is a prompt) and images. Another size or shape replaces just what it says otherwise. `asked` is
 * an object as unified_decode() takes it. A new reference, never NULL; it shares the values of both. */
json_t *remix_fields(const struct task_request *original, const json_t *asked);
