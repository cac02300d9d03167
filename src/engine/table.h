/* SPDX-License-Identifier: Apache-2.0
 *
 * The hot table: published tasks by id, for queries. Many readers, and as writers the loop, the
 * store's writer thread (a task just created) and whoever loads a cold task; the newest revision stays. Unfinished tasks
 * stay; ended ones are kept up to a bound, the least recently asked go first. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "engine/engine.h"
#include "task/task.h"

struct table;

/* Keeps at most about `max_ended` ended tasks, of about `max_bytes` in all. Never NULL. */
struct table *table_new(size_t max_ended, size_t max_bytes);
struct table *table_free(struct table *table);
/* Makes this version visible, unless a newer one already is. Takes a reference of its own. */
void table_publish(struct table *table, const struct task *task);
/* A reference of the caller's and the figures, or false. Allocates nothing. */
CHECKED bool table_find(struct table *table, const char *id, const struct task **ret_task,
                        struct engine_figures *ret_figures);
/* Sets what queries show of the queue; nothing when the task is not in the table. */
void table_set_figures(struct table *table, const char *id, const struct engine_figures *figures);
size_t table_count(struct table *table);
