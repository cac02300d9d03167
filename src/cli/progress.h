/* SPDX-License-Identifier: Apache-2.0
 *
 * One line on a terminal that shows how far a task is; nothing anywhere else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PROGRESS_LINE_SIZE = 256 };

struct progress {
    FILE *out;
    int64_t began_ms;
    bool is_live;  /* `out` is a terminal */
    bool is_drawn; /* the line stands there */
};

void progress_init(struct progress *progress, FILE *out, int64_t now_ms);
/* Draws the line over the last one. */
void progress_show(struct progress *progress, double fraction, const char *word, int64_t now_ms);
/* Wipes the line, so that something else can be printed. */
void progress_clear(struct progress *progress);
/* The line for a terminal of so many columns: never wider, never empty. Pure. */
void progress_line(double fraction, const char *word, int64_t elapsed_ms, size_t columns,
                   char ret_line[PROGRESS_LINE_SIZE]);
