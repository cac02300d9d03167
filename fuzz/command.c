/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator's program says. The first byte says in how large pieces it comes: that makes no difference. What is
 * kept is within its bounds, and fit for the log. */
#include "harness.h"

#include <string.h>

#include "base/codec.h"
#include "upstream/command_reader.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static void read_in_pieces(const char *bytes, size_t size, size_t piece,
                           struct command_reader *reader)
{
    command_reader_init(reader);
    for (size_t at = 0; at < size; at += piece)
        command_reader_take(reader, bytes + at, size - at < piece ? size - at : piece);
    command_reader_end(reader);
}

static void check_text(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);
    must(end != NULL && codec_is_utf8(text, (size_t)(end - text)));
    for (; *text != '\0'; text++)
        must((unsigned char)*text >= ' ' && *text != 0x7F);
}

static void check(const struct command_reader *reader, size_t size)
{
    must(reader->progress == -1.0 || (reader->progress >= 0.0 && reader->progress <= 1.0));
    must(memchr(reader->output, '\0', sizeof reader->output) != NULL);
    must(reader->n_passed_over >= 0 && (size_t)reader->n_passed_over <= size);
    must(reader->error <= COMMAND_FAULTY);
    must(reader->error != COMMAND_NO_ERROR || (!*reader->code && !*reader->message));
    check_text(reader->code, sizeof reader->code);
    check_text(reader->message, sizeof reader->message);
    check_text(reader->passed_over, sizeof reader->passed_over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    CLEANUP(free_pointer) struct command_reader *whole = must_calloc(1, sizeof *whole);
    CLEANUP(free_pointer) struct command_reader *pieces = must_calloc(1, sizeof *pieces);
    const char *bytes = (const char *)data + 1;
    read_in_pieces(bytes, size - 1, size, whole);
    read_in_pieces(bytes, size - 1, (size_t)data[0] + 1, pieces);
    check(whole, size);
    must(whole->progress >= pieces->progress && whole->progress <= pieces->progress);
    must(strcmp(whole->output, pieces->output) == 0 && whole->error == pieces->error);
    must(strcmp(whole->code, pieces->code) == 0 && strcmp(whole->message, pieces->message) == 0);
    must(whole->n_passed_over == pieces->n_passed_over);
    must(strcmp(whole->passed_over, pieces->passed_over) == 0);
    return 0;
}
