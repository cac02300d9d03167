/* SPDX-License-Identifier: Apache-2.0
 *
 * The `id` of a query as it stands in an address. Percent-encoding comes back to what it was; an id
 * that is taken apart can be put together again; a TypeID has one spelling. */
#include "harness.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/id.h"
#include "task/task.h"

enum { TEXT_MAX = 4096 };

static void check_percent(const char *text)
{
    CLEANUP(buf_fini) struct buf encoded;
    buf_init(&encoded, 3 * TEXT_MAX);
    buf_percent_encode(&encoded, text, "");
    must(!encoded.overflowed);
    CLEANUP(free_pointer) char *decoded = must_strdup(buf_text(&encoded));
    must(codec_percent_decode(decoded));
    must(strcmp(decoded, text) == 0);
}

static void check_typeid(const char *text)
{
    char prefix[ID_PREFIX_MAX + 1];
    char again[ID_TYPEID_SIZE];
    struct uuid uuid;
    if (!id_typeid_read(text, prefix, &uuid))
        return;
    must(strlen(prefix) <= ID_PREFIX_MAX);
    must(prefix[0] == '\0' || id_is_typeid(text, prefix));
    id_typeid_write(prefix, &uuid, again, sizeof again);
    must(strcmp(again, text) == 0);
}

static void check_id(const char *text)
{
    char model[TASK_MODEL_SIZE];
    char id[ID_SHORT_SIZE];
    char whole[TASK_PUBLIC_ID_SIZE];
    if (!task_parse_id(text, model, id))
        return;
    must(id_is_typeid(id, "task"));
    (void)snprintf(whole, sizeof whole, "%s%s%s", model, model[0] != '\0' ? ":" : "", id);
    must(strcmp(whole, text) == 0);
}

/* Broken text is walked to its end, one character at a time. */
static void check_steps(const char *text)
{
    size_t left = strlen(text);
    size_t n_steps = 0;
    bool is_good = codec_is_utf8(text, left);
    const char *at = text;
    for (; left > 0; n_steps++) {
        uint32_t code;
        char piece[CODEC_PIECE_SIZE];
        size_t width = codec_utf8_step(at, left, &code);
        must(width >= 1 && width <= left && width <= 4 && code <= 0x10ffff);
        must(codec_json_step(at, left, piece) == width);
        must(memchr(piece, '\0', sizeof piece) != NULL && codec_is_utf8(piece, strlen(piece)));
        at += width;
        left -= width;
    }
    must(!is_good || codec_utf8_count(text) == n_steps);
}

static size_t count(const char *text, char wanted)
{
    size_t found = 0;
    for (; *text != '\0'; text++)
        found += *text == wanted;
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX)
        return 0;
    CLEANUP(free_pointer) char *text = must_strndup((const char *)data, size);
    check_steps(text);
    check_percent(text);
    check_typeid(text);
    check_id(text);
    size_t length = strlen(text);
    size_t n_escapes = count(text, '%');
    if (codec_percent_decode(text)) {
        must(strlen(text) == length - 2 * n_escapes);
        check_id(text);
    }
    return 0;
}
