/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines into words. A line is parsed once it is whole; that a program says much costs time in its own helper only, and no
 * memory. Pure. */
#include "upstream/command_reader.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/compiler.h"
#include "base/json.h"

static const struct {
    const char *word;
    enum command_error error;
} ERRORS[] = {
    {"refused", COMMAND_REFUSED},
    {"moderated", COMMAND_MODERATED},
    {"failed", COMMAND_FAULTY},
};

void command_print(const char *bytes, size_t length, char *ret_text, size_t size)
{
    size_t at = 0, n = 0;
    while (at < length) {
        uint32_t code = 0;
        size_t step = codec_utf8_step(bytes + at, length - at, &code);
        bool is_broken = step == 1 && (unsigned char)bytes[at] >= 0x80;
        bool is_shown = !is_broken && code >= ' ' && (code < 0x7F || code >= 0xA0);
        size_t wide = is_shown ? step : 1;
        if (n + wide >= size)
            break;
        if (is_shown)
            memcpy(ret_text + n, bytes + at, step);
        else
            ret_text[n] = bytes[at] == '\t' ? ' ' : '?';
        n += wide;
        at += step;
    }
    ret_text[n] = '\0';
}

/* ---- words ---- */

static bool take_progress(struct command_reader *reader, const json_t *value)
{
    double progress = json_is_number(value) ? json_number_value(value) : -1.0;
    if (!(progress >= 0.0 && progress <= 1.0))
        return false;
    reader->progress = progress;
    return true;
}

static bool take_output(struct command_reader *reader, const json_t *value)
{
    const char *path = json_string_value(value);
    if (path == NULL || *path == '\0' || strlen(path) >= COMMAND_PATH_SIZE)
        return false;
    snprintf(reader->output, sizeof(reader->output), "%s", path);
    return true;
}

static void print_text(const char *text, char *ret_text, size_t size)
{
    command_print(text != NULL ? text : "", text != NULL ? strlen(text) : 0, ret_text, size);
}

/* An error of a kind that we do not know is one all the same. */
static bool take_error(struct command_reader *reader, const json_t *value)
{
    const char *kind = json_text(value, "kind");
    const char *code = json_text(value, "code");
    const char *message = json_text(value, "message");
    if (!json_is_object(value))
        return false;
    if (reader->error != COMMAND_NO_ERROR)
        return true;
    reader->error = COMMAND_FAULTY;
    for (size_t i = 0; kind != NULL && i < ARRAY_LENGTH(ERRORS); i++) {
        if (strcmp(kind, ERRORS[i].word) == 0)
            reader->error = ERRORS[i].error;
    }
    print_text(code, reader->code, sizeof(reader->code));
    print_text(message, reader->message, sizeof(reader->message));
    return true;
}

/* False when the line is none of ours. */
static bool take_words(struct command_reader *reader, const char *line, size_t length)
{
    char error[JSON_ERROR_SIZE];
    const char *brace = memchr(line, '{', length);
    if (brace == NULL) /* spares a parser what `yes` says */
        return false;
    CLEANUP(json_unref_pointer) json_t *words = json_parse(line, length, error);
    const json_t *progress = json_object_get(words, "progress");
    const json_t *output = json_object_get(words, "output");
    const json_t *wrong = json_object_get(words, "error");
    if (progress == NULL && output == NULL && wrong == NULL)
        return false;
    return (progress == NULL || take_progress(reader, progress)) &&
           (output == NULL || take_output(reader, output)) &&
           (wrong == NULL || take_error(reader, wrong));
}

/* ---- lines ---- */

static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (strchr(" \t\r", line[i]) == NULL || line[i] == '\0')
            return false;
    }
    return true;
}

static void end_line(struct command_reader *reader)
{
    const char *line = reader->line;
    size_t length = reader->length;
    bool is_taken = !reader->is_too_long && take_words(reader, line, length);
    if (!is_taken && (reader->is_too_long || !is_blank(line, length)) &&
        reader->n_passed_over++ == 0)
        command_print(line, length, reader->passed_over, sizeof(reader->passed_over));
    reader->length = 0;
    reader->is_too_long = false;
}

static void add(struct command_reader *reader, const char *bytes, size_t length)
{
    size_t room = sizeof(reader->line) - reader->length;
    size_t n = length < room ? length : room;
    memcpy(reader->line + reader->length, bytes, n);
    reader->length += n;
    reader->is_too_long = reader->is_too_long || n < length;
}

void command_reader_init(struct command_reader *reader)
{
    memset(reader, 0, sizeof(*reader));
    reader->progress = -1.0;
}

void command_reader_take(struct command_reader *reader, const char *bytes, size_t length)
{
    while (length > 0) {
        const char *end = memchr(bytes, '\n', length);
        size_t n = end != NULL ? (size_t)(end - bytes) : length;
        add(reader, bytes, n);
        if (end == NULL)
            return;
        end_line(reader);
        bytes += n + 1;
        length -= n + 1;
    }
}

void command_reader_end(struct command_reader *reader)
{
    if (reader->length > 0 || reader->is_too_long)
        end_line(reader);
}
