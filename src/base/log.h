/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: one line per event on stderr, readable on a terminal, JSON lines otherwise. Library
 * floors do not log; the function that stops an error does, once. Thread-safe; a line is written
 * by one write(2). The last 128 lines (of any level) stay in memory, the flight recorder, for
 * must_fail(). Messages: lower case, what failed first, the subject in quotes. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON };

/* Who a line is about; either may be NULL. The log masks nothing: never pass a secret. */
struct log_about {
    const char *request_id;
    const char *task_id;
};

/* LOG_AUTO: text when stderr is a terminal, else JSON. Until called: LOG_INFO, LOG_AUTO. */
void log_init(enum log_level least, enum log_format format);
/* Does a line of this level reach stderr? For what is too frequent to be kept in the recorder only. */
bool log_is_wanted(enum log_level level);
bool log_level_parse(const char *name, enum log_level *ret_level);
void log_write(enum log_level level, const struct log_about *about, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Writes the flight recorder to `fd`; async-signal-safe enough for a dying process. */
void log_dump_recorder(int fd);

#define log_debug(...) log_write(LOG_DEBUG, NULL, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, NULL, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, NULL, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, NULL, __VA_ARGS__)
#define log_task(level, id, ...) log_write(level, &(struct log_about){.task_id = (id)}, __VA_ARGS__)
