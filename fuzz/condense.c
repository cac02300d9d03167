/* SPDX-License-Identifier: Apache-2.0
 *
 * An upstream's answer on its way to jq. The first byte chooses whether base64 is cut out; in the rest, byte 1 stands for
 * as much base64 as is worth cutting out, and byte 2 for forty opening brackets. What is good is good for jansson too
 * and the other way round; what comes out is JSON, stays as it is when it comes in again, and means what it meant. */
#include "harness.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "upstream/condense.h"

enum { TEXT_MAX = 1 << 20, BRACKETS = 40, EXPANDED_MAX = 8 };

static void unfold(const uint8_t *data, size_t size, struct buf *text)
{
    int n = 0;
    for (size_t i = 0; i < size; i++) {
        bool is_special = (data[i] == 1 || data[i] == 2) && n++ < EXPANDED_MAX;
        int times = !is_special ? 1 : data[i] == 1 ? ADAPTER_BLOB_LEAST : BRACKETS;
        char c = (char)(!is_special ? data[i] : data[i] == 1 ? 'A' : '[');
        for (int k = 0; k < times; k++)
            buf_putc(text, c);
    }
}

/* Does jansson refuse what the grammar of JSON allows: a number out of range, half a pair of surrogates, a key with NUL? */
static bool is_jansson_narrow(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_null_character || strstr(error->text, "invalid Unicode") != NULL;
}

/* Nothing in it that would be changed. */
static bool is_plain(const struct buf *text)
{
    size_t n_digits = 0;
    for (size_t i = 0; i < text->length; i++) {
        char c = text->data[i];
        n_digits = (c >= '0' && c <= '9') || c == '.' ? n_digits + 1 : 0;
        if (n_digits > 15 || (c == '\\' && i + 1 < text->length && text->data[i + 1] == 'u') ||
            c == 'e' || c == 'E')
            return false;
    }
    return true;
}

static void check_blobs(const struct condense_blobs *blobs)
{
    struct stat status;
    int64_t offset = 0;
    must(blobs->n <= ADAPTER_BLOBS_MAX && (blobs->are_cut || blobs->n == 0));
    for (size_t i = 0; i < blobs->n; i++) {
        must(blobs->list[i].offset == offset);
        must(blobs->list[i].bytes >= ADAPTER_BLOB_LEAST / 4 * 3 - 2);
        offset += blobs->list[i].bytes;
    }
    must(fstat(blobs->file, &status) == 0 && status.st_size == offset);
}

static void check_done(const struct buf *text, const struct buf *json, const json_t *meant,
                       bool are_cut)
{
    struct condense_blobs none = {.are_cut = false, .file = -1};
    json_t *parsed = json_loadb(buf_text(json), json->length, JSON_DECODE_ANY, NULL);
    must(parsed != NULL);
    must(are_cut || meant == NULL || !is_plain(text) || json_equal(parsed, meant));
    CLEANUP(buf_fini) struct buf again;
    buf_init(&again, ADAPTER_DOCUMENT_MAX);
    must(condense(buf_text(json), json->length, &none, &again) == CONDENSE_DONE);
    must(strcmp(buf_text(&again), buf_text(json)) == 0);
    json_decref(parsed);
}

static void check_text(const struct buf *text)
{
    CLEANUP(buf_fini) struct buf shown;
    buf_init(&shown, TEXT_MAX);
    condense_text(buf_text(text), text->length, &shown);
    json_t *parsed = json_loadb(buf_text(&shown), shown.length, JSON_DECODE_ANY, NULL);
    must(json_is_string(parsed) && json_string_length(parsed) <= 3 * CONDENSE_TEXT_BYTES);
    json_decref(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    json_error_t error;
    CLEANUP(buf_fini) struct buf text, json;
    buf_init(&text, TEXT_MAX);
    buf_init(&json, ADAPTER_DOCUMENT_MAX);
    unfold(data + 1, size - 1, &text);
    struct condense_blobs blobs = {.are_cut = data[0] % 2 != 0, .file = harness_file(NULL, 0)};
    enum condense_end end = condense(buf_text(&text), text.length, &blobs, &json);
    json_t *meant =
        json_loadb(buf_text(&text), text.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    must(end != CONDENSE_TOO_LARGE && end != CONDENSE_UNWRITABLE);
    /* To jansson a NUL behind the document is its end. */
    bool has_nul = memchr(buf_text(&text), '\0', text.length) != NULL;
    must(meant == NULL || has_nul || end != CONDENSE_NOT_JSON);
    must(meant != NULL || end != CONDENSE_DONE || is_jansson_narrow(&error));
    if (end == CONDENSE_DONE) {
        check_blobs(&blobs);
        check_done(&text, &json, meant, blobs.are_cut);
    }
    check_text(&text);
    json_decref(meant);
    (void)close(blobs.file);
    return 0;
}
