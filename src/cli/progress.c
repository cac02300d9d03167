/* SPDX-License-Identifier: Apache-2.0
 *
 * The progress line: `[########........]  42%  processing  1:07`. One thread. */
#include "cli/progress.h"

#include <string.h>

#include "cli/cli.h"

enum { BAR_MOST = 40, BAR_LEAST = 5 };

void progress_init(struct progress *progress, FILE *out, int64_t now_ms)
{
    *progress = (struct progress){.out = out, .began_ms = now_ms, .is_live = cli_is_lively(out)};
}

void progress_line(double fraction, const char *word, int64_t elapsed_ms, size_t columns,
                   char ret_line[PROGRESS_LINE_SIZE])
{
    char tail[PROGRESS_LINE_SIZE / 2];
    long long seconds = elapsed_ms / 1000;
    double kept = fraction > 0 ? (fraction < 1 ? fraction : 1) : 0; /* NaN counts as nothing */
    int length = snprintf(tail, sizeof(tail), "%3d%%  %.60s  %lld:%02lld", (int)(kept * 100), word,
                          seconds / 60, seconds % 60);
    size_t most = columns < sizeof(tail) ? columns : sizeof(tail) - 1;
    size_t taken = (size_t)length + 4; /* brackets and two spaces */
    if (taken + BAR_LEAST > most) {
        snprintf(ret_line, PROGRESS_LINE_SIZE, "%.*s", (int)most, tail);
        return;
    }
    size_t width = most - taken < BAR_MOST ? most - taken : BAR_MOST;
    size_t full = (size_t)(kept * (double)width);
    char bar[BAR_MOST + 1];
    memset(bar, '#', full);
    memset(bar + full, '.', width - full);
    bar[width] = '\0';
    snprintf(ret_line, PROGRESS_LINE_SIZE, "[%s]  %s", bar, tail);
}

void progress_show(struct progress *progress, double fraction, const char *word, int64_t now_ms)
{
    if (!progress->is_live)
        return;
    char line[PROGRESS_LINE_SIZE];
    progress_line(fraction, word, now_ms - progress->began_ms, cli_columns(progress->out) - 1,
                  line);
    fprintf(progress->out, "\r%s\x1b[K", line);
    fflush(progress->out);
    progress->is_drawn = true;
}

void progress_clear(struct progress *progress)
{
    if (!progress->is_drawn)
        return;
    fputs("\r\x1b[K", progress->out);
    fflush(progress->out);
    progress->is_drawn = false;
}
