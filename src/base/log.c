/* SPDX-License-Identifier: Apache-2.0
 *
 * The log. A line is built on the stack, kept in the flight recorder, and written by one write(2)
 * outside the lock. It is never longer than LINE_SIZE, which is what a pipe takes in one piece,
 * and always one line, whatever the message holds: control characters are escaped, broken UTF-8
 * is replaced. Nothing here allocates or uses must(), for must_fail() logs.
 *
 * The level, the format and the recorder are this program's only mutable globals besides the
 * last identifier. Any thread. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"

enum {
    LINE_SIZE = 4096,             /* with its newline */
    ID_ROOM = 128,                /* bytes a request or task id may take, escaped */
    TAIL_ROOM = 2 * ID_ROOM + 64, /* what stays free for all that follows the message */
    RECORDER_LINES = 128,
};

struct level_look {
    const char *name;
    const char *padded;
    const char *colour;
};

static const struct level_look LEVELS[] = {
    [LOG_DEBUG] = {"debug", "debug", "\x1b[2m"},
    [LOG_INFO] = {"info", "info ", "\x1b[32m"},
    [LOG_WARN] = {"warn", "warn ", "\x1b[33m"},
    [LOG_ERROR] = {"error", "error", "\x1b[31m"},
};

struct line {
    char text[LINE_SIZE];
    size_t length;
};

static _Atomic(enum log_level) least_level = LOG_INFO;
static _Atomic(enum log_format) line_format = LOG_AUTO;

static struct recorder {
    pthread_mutex_t lock; /* owns the rest */
    struct line lines[RECORDER_LINES];
    size_t next;
} recorder = {.lock = PTHREAD_MUTEX_INITIALIZER};

void log_init(enum log_level least, enum log_format format)
{
    if (format == LOG_AUTO)
        format = isatty(STDERR_FILENO) == 1 ? LOG_TEXT : LOG_JSON;
    atomic_store(&least_level, least);
    atomic_store(&line_format, format);
}

bool log_is_wanted(enum log_level level)
{
    return level >= atomic_load(&least_level);
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LENGTH(LEVELS); i++) {
        if (strcmp(name, LEVELS[i].name) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* For our own short pieces, which always fit. */
static void add_plain(struct line *line, const char *text, size_t length)
{
    if (length > LINE_SIZE - line->length)
        return;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void add_text(struct line *line, const char *text)
{
    add_plain(line, text, strlen(text));
}

/* Adds outside text so that it takes at most `room` bytes, cut between characters with «…». */
static void add_escaped(struct line *line, const char *text, size_t room, enum log_format format)
{
    static const char ellipsis[] = "…";
    size_t end = line->length + room - (sizeof(ellipsis) - 1);
    size_t left = strlen(text);
    while (left > 0) {
        char piece[CODEC_PIECE_SIZE];
        size_t taken = codec_json_step(text, left, piece);
        const char *shown = piece;
        if (format == LOG_TEXT && (*text == '"' || *text == '\\'))
            shown++; /* a person reads it: no need to escape quotes */
        if (line->length + strlen(shown) > end) {
            add_text(line, ellipsis);
            return;
        }
        add_text(line, shown);
        text += taken;
        left -= taken;
    }
}

static void add_message(struct line *line, const char *message, enum log_format format)
{
    add_escaped(line, message, LINE_SIZE - TAIL_ROOM - line->length, format);
}

static void build_json(struct line *line, enum log_level level, const struct log_about *about,
                       const char *message)
{
    char time[CLOCK_ISO_MICROS_SIZE];
    clock_iso_micros(clock_wall_micros(), time);
    add_text(line, "{\"time\":\"");
    add_text(line, time);
    add_text(line, "\",\"level\":\"");
    add_text(line, LEVELS[level].name);
    add_text(line, "\",\"message\":\"");
    add_message(line, message, LOG_JSON);
    if (about != NULL && about->request_id != NULL) {
        add_text(line, "\",\"request_id\":\"");
        add_escaped(line, about->request_id, ID_ROOM, LOG_JSON);
    }
    if (about != NULL && about->task_id != NULL) {
        add_text(line, "\",\"task_id\":\"");
        add_escaped(line, about->task_id, ID_ROOM, LOG_JSON);
    }
    add_text(line, "\"}\n");
}

static void build_text(struct line *line, enum log_level level, const struct log_about *about,
                       const char *message)
{
    bool has_colour = isatty(STDERR_FILENO) == 1;
    char time[CLOCK_ISO_MICROS_SIZE];
    clock_iso_micros(clock_wall_micros(), time);
    time[10] = ' ';
    add_plain(line, time, 23); /* to the millisecond */
    add_text(line, " ");
    add_text(line, has_colour ? LEVELS[level].colour : "");
    add_text(line, LEVELS[level].padded);
    add_text(line, has_colour ? "\x1b[0m " : " ");
    add_message(line, message, LOG_TEXT);
    const char *gap = "  ";
    if (about != NULL && about->request_id != NULL) {
        add_text(line, "  request=");
        add_escaped(line, about->request_id, ID_ROOM, LOG_TEXT);
        gap = " ";
    }
    if (about != NULL && about->task_id != NULL) {
        add_text(line, gap);
        add_text(line, "task=");
        add_escaped(line, about->task_id, ID_ROOM, LOG_TEXT);
    }
    add_text(line, "\n");
}

static void keep(const struct line *line)
{
    pthread_mutex_lock(&recorder.lock);
    struct line *slot = &recorder.lines[recorder.next++ % RECORDER_LINES];
    memcpy(slot->text, line->text, line->length);
    slot->length = line->length;
    pthread_mutex_unlock(&recorder.lock);
}

/* A log that cannot be written has nobody to tell. */
static void write_once(int fd, const char *text, size_t length)
{
    while (write(fd, text, length) < 0 && errno == EINTR)
        continue;
}

void log_write(enum log_level level, const struct log_about *about, const char *format, ...)
{
    int saved_errno = errno;
    char message[LINE_SIZE];
    va_list args;
    va_start(args, format);
    if (vsnprintf(message, sizeof(message), format, args) < 0)
        snprintf(message, sizeof(message), "unprintable message '%s'", format);
    va_end(args);

    if (atomic_load(&line_format) == LOG_AUTO)
        log_init(atomic_load(&least_level), LOG_AUTO);
    struct line line;
    line.length = 0;
    if (atomic_load(&line_format) == LOG_TEXT)
        build_text(&line, level, about, message);
    else
        build_json(&line, level, about, message);
    keep(&line);
    if (level >= atomic_load(&least_level))
        write_once(STDERR_FILENO, line.text, line.length);
    errno = saved_errno;
}

void log_dump_recorder(int fd)
{
    static const char head[] = "--- flight recorder: the last lines of any level ---\n";
    static const char foot[] = "--- end of flight recorder ---\n";
    /* Who holds the lock may be the thread that is dying; a torn line is better than none. */
    bool is_locked = pthread_mutex_trylock(&recorder.lock) == 0;
    write_once(fd, head, sizeof(head) - 1);
    for (size_t i = 0; i < RECORDER_LINES; i++) {
        const struct line *line = &recorder.lines[(recorder.next + i) % RECORDER_LINES];
        if (line->length > 0)
            write_once(fd, line->text, line->length);
    }
    write_once(fd, foot, sizeof(foot) - 1);
    if (is_locked)
        pthread_mutex_unlock(&recorder.lock);
}
