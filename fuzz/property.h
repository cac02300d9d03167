/* SPDX-License-Identifier: Apache-2.0
 *
 * Promises about requests and tasks that more than one harness holds them to. */
#pragma once

#include <stddef.h>

#include "task/task.h"
#include "task/unified.h"

/* Lower than any operator's, so that short inputs reach them. */
extern const struct unified_limits property_limits;

/* A refusal says what is wrong, in good UTF-8. */
void property_fault(const struct unified_fault *fault);
/* What was decoded obeys the limits; completed with ids, it survives the store and can be rendered.
 * Changes the request: its ids and images are given. */
void property_decoded(struct unified_decoded *decoded, size_t n_parts);
/* A task is sound, its record reads back as the same task, and a tenant can see it. */
void property_task(const struct task *task);
