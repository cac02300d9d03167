/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over the bytes, which are only read: what is good goes on to the buffer as it stands, but for the few things
 * that jq cannot take. A string that may be a blob is walked twice, first to know, then to decode. The recursion is
 * bounded by CONDENSE_DEPTH_MAX. */
#include "upstream/condense.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"

enum {
    NUMBER_LENGTH_MAX = 64, /* of one that stays a number */
    MEDIA_TYPE_SIZE = 101,
    SINK_BYTES = 32 * 1024,
    CODE_NONE = 0x110000, /* no character: the closing quote */
};

#define REPLACEMENT "\xef\xbf\xbd"
static const char EXACT_MOST[] = "9007199254740992"; /* 2^53 */

struct reader {
    const char *at, *end;
    struct buf *json;
    struct condense_blobs *blobs;
    enum condense_end problem; /* CONDENSE_DONE: none so far */
};

static bool fail(struct reader *reader, enum condense_end problem)
{
    reader->problem = problem;
    return false;
}

/* ---- characters of strings ---- */

static bool read_hex4(const char *at, const char *end, uint32_t *ret_code)
{
    uint8_t bytes[2];
    char digits[5] = "";
    if (end - at < 4)
        return false;
    memcpy(digits, at, 4);
    if (!codec_hex_decode(digits, bytes, sizeof bytes))
        return false;
    *ret_code = (uint32_t)bytes[0] << 8 | bytes[1];
    return true;
}

/* `at` stands behind "\u". A half of a pair without the other is U+FFFD, and so is NUL. */
static const char *step_unicode(const char *at, const char *end, uint32_t *ret_code)
{
    uint32_t code, low;
    if (!read_hex4(at, end, &code))
        return NULL;
    at += 4;
    bool is_high = code >= 0xd800 && code < 0xdc00;
    if (is_high && end - at >= 6 && at[0] == '\\' && at[1] == 'u' && read_hex4(at + 2, end, &low) &&
        low >= 0xdc00 && low < 0xe000) {
        *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        return at + 6;
    }
    *ret_code = code == 0 || (code >= 0xd800 && code < 0xe000) ? 0xfffd : code;
    return at;
}

/* `at` stands behind a backslash. */
static const char *step_escape(const char *at, const char *end, uint32_t *ret_code)
{
    static const char LETTERS[] = "\"\\/bfnrt", CODES[] = "\"\\/\b\f\n\r\t";
    if (at == end)
        return NULL;
    if (*at == 'u')
        return step_unicode(at + 1, end, ret_code);
    const char *letter = *at != '\0' ? strchr(LETTERS, *at) : NULL;
    if (!letter)
        return NULL;
    *ret_code = (uint8_t)CODES[letter - LETTERS];
    return at + 1;
}

/* One character of a string, or CODE_NONE for its closing quote. Returns where it ends; NULL when it cannot be. */
static const char *step(const char *at, const char *end, uint32_t *ret_code)
{
    if (at == end || (uint8_t)*at < 0x20)
        return NULL;
    if (*at == '\\')
        return step_escape(at + 1, end, ret_code);
    if (*at == '"') {
        *ret_code = CODE_NONE;
        return at + 1;
    }
    size_t width = codec_utf8_step(at, (size_t)(end - at), ret_code);
    return *ret_code == 0xfffd && width == 1 ? NULL : at + width;
}

/* ---- base64 ---- */

/* Decodes into the blob file. */
struct sink {
    int file;
    int64_t offset; /* of the next byte in the file */
    uint32_t bits;
    int n_bits;
    size_t n;
    bool has_failed;
    uint8_t bytes[SINK_BYTES];
};

static void sink_flush(struct sink *sink)
{
    size_t done = 0;
    while (sink->file >= 0 && done < sink->n && !sink->has_failed) {
        ssize_t n =
            pwrite(sink->file, sink->bytes + done, sink->n - done, sink->offset + (int64_t)done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            sink->has_failed = true;
    }
    sink->offset += (int64_t)sink->n;
    sink->n = 0;
}

static void sink_add(struct sink *sink, unsigned value)
{
    sink->bits = sink->bits << 6 | value;
    sink->n_bits += 6;
    if (sink->n_bits < 8)
        return;
    sink->n_bits -= 8;
    sink->bytes[sink->n++] = (uint8_t)(sink->bits >> sink->n_bits);
    if (sink->n == SINK_BYTES)
        sink_flush(sink);
}

/* The value of a character of either alphabet, or -1. */
static int base64_value(uint32_t code)
{
    if (code >= 'A' && code <= 'Z')
        return (int)(code - 'A');
    if (code >= 'a' && code <= 'z')
        return (int)(code - 'a') + 26;
    if (code >= '0' && code <= '9')
        return (int)(code - '0') + 52;
    if (code == '+' || code == '-')
        return 62;
    return code == '/' || code == '_' ? 63 : -1;
}

/* Walks the rest of a string, from `at` to its closing quote: is it base64, long enough to be cut out? Lines may be
 * wrapped. Decodes it when there is a sink (NULL: none). Returns where the string ends, or NULL. */
static const char *walk_base64(const char *at, const char *end, struct sink *sink)
{
    size_t n = 0, n_padding = 0;
    uint32_t code = 0;
    while ((at = step(at, end, &code)) != NULL && code != CODE_NONE) {
        int value = base64_value(code);
        if (code == '\r' || code == '\n')
            continue;
        if (code == '=')
            n_padding++;
        else if (value < 0 || n_padding > 0)
            return NULL;
        else if (sink)
            sink_add(sink, (unsigned)value);
        n += value >= 0;
    }
    bool is_padded = n_padding == 0 || (n % 4 >= 2 && n % 4 + n_padding == 4);
    return n + n_padding >= ADAPTER_BLOB_LEAST && n % 4 != 1 && is_padded ? at : NULL;
}

static bool is_type_character(uint32_t code)
{
    return code < 0x80 && code != 0 &&
           (base64_value(code) >= 0 || strchr(".!#$&^", (int)code) != NULL);
}

/* Walks over "data:TYPE;…;base64,"; TYPE may be missing. NULL when it is not there. */
static const char *walk_data_prefix(const char *at, const char *end, char ret_type[MEDIA_TYPE_SIZE])
{
    enum { PREFIX_MAX = 400 };
    static const char LAST[] = ";base64";
    char prefix[PREFIX_MAX + 1];
    size_t n = 0, type_length = 0;
    uint32_t code = 0;
    while ((at = step(at, end, &code)) != NULL && code != ',' && code < 0x80 && n < PREFIX_MAX)
        prefix[n++] = (char)code;
    prefix[n] = '\0';
    if (!at || code != ',' || n < 5 + strlen(LAST) || strncmp(prefix, "data:", 5) != 0 ||
        strcmp(prefix + n - strlen(LAST), LAST) != 0)
        return NULL;
    while (is_type_character((uint8_t)prefix[5 + type_length]))
        type_length++;
    if (prefix[5 + type_length] != ';' || type_length >= MEDIA_TYPE_SIZE)
        return NULL;
    memcpy(ret_type, prefix + 5, type_length);
    ret_type[type_length] = '\0';
    return at;
}

/* Decodes what walk_base64() has found good, and says in its place where it went. */
static bool cut_out(struct reader *reader, const char *from, const char *type)
{
    struct condense_blobs *blobs = reader->blobs;
    int64_t offset =
        blobs->n > 0 ? blobs->list[blobs->n - 1].offset + blobs->list[blobs->n - 1].bytes : 0;
    struct sink sink = {.file = blobs->file, .offset = offset};
    (void)walk_base64(from, reader->end, &sink);
    sink_flush(&sink);
    if (sink.has_failed)
        return fail(reader, CONDENSE_UNWRITABLE);
    buf_printf(reader->json, "{\"$blob\":%zu", blobs->n);
    if (type[0] != '\0')
        buf_printf(reader->json, ",\"type\":\"%s\"", type);
    buf_putc(reader->json, '}');
    blobs->list[blobs->n++] = (struct adapter_blob){offset, sink.offset - offset};
    return true;
}

/* Takes a string that is a blob; false when it is none, and then nothing has happened (but a problem). */
static bool take_blob(struct reader *reader)
{
    char type[MEDIA_TYPE_SIZE] = "";
    const char *from = walk_data_prefix(reader->at, reader->end, type);
    if (!from)
        from = reader->at;
    const char *after = walk_base64(from, reader->end, NULL);
    if (!after)
        return false;
    if (reader->blobs->n == ADAPTER_BLOBS_MAX)
        buf_puts(reader->json, "null");
    else if (!cut_out(reader, from, type))
        return false;
    reader->at = after;
    return true;
}

/* ---- values ---- */

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r'))
        reader->at++;
}

/* Takes `c` if it stands here; it is not copied. */
static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* Copies a string from behind its opening quote; the quote has been looked at. */
static bool copy_string(struct reader *reader)
{
    const char *kept = reader->at; /* from here on it goes as it stands */
    uint32_t code = 0;
    buf_putc(reader->json, '"');
    while (code != CODE_NONE) {
        const char *next = step(reader->at, reader->end, &code);
        if (!next)
            return fail(reader, CONDENSE_NOT_JSON);
        if (code == 0xfffd && *reader->at == '\\') {
            buf_add(reader->json, kept, (size_t)(reader->at - kept));
            buf_puts(reader->json, REPLACEMENT);
            kept = next;
        }
        reader->at = next;
    }
    buf_add(reader->json, kept, (size_t)(reader->at - kept));
    return true;
}

static bool read_string(struct reader *reader)
{
    bool may_be_blob = reader->blobs->are_cut && reader->end - reader->at > ADAPTER_BLOB_LEAST;
    if (may_be_blob && take_blob(reader))
        return true;
    return reader->problem == CONDENSE_DONE && copy_string(reader);
}

static size_t take_digits(struct reader *reader)
{
    const char *from = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return (size_t)(reader->at - from);
}

/* Walks over a number; false when it is none. */
static bool walk_number(struct reader *reader, bool *ret_is_whole)
{
    (void)take(reader, '-');
    bool begins_with_zero = reader->at < reader->end && *reader->at == '0';
    size_t n = take_digits(reader);
    if (n == 0 || (begins_with_zero && n > 1))
        return false;
    *ret_is_whole = true;
    if (take(reader, '.')) {
        *ret_is_whole = false;
        if (take_digits(reader) == 0)
            return false;
    }
    if (take(reader, 'e') || take(reader, 'E')) {
        *ret_is_whole = false;
        if (!take(reader, '+'))
            (void)take(reader, '-');
        return take_digits(reader) > 0;
    }
    return true;
}

/* Does a double hold it: a whole number exactly, another one at all? */
static bool holds(const char *text, size_t length, bool is_whole)
{
    char number[NUMBER_LENGTH_MAX + 1];
    if (length > NUMBER_LENGTH_MAX)
        return false;
    memcpy(number, text, length);
    number[length] = '\0';
    if (!is_whole)
        return isfinite(strtod(number, NULL));
    const char *digits = number + (number[0] == '-');
    size_t n = strlen(digits), most = strlen(EXACT_MOST);
    return n < most || (n == most && strcmp(digits, EXACT_MOST) <= 0);
}

static bool read_number(struct reader *reader)
{
    const char *from = reader->at;
    bool is_whole;
    if (!walk_number(reader, &is_whole))
        return fail(reader, CONDENSE_NOT_JSON);
    size_t length = (size_t)(reader->at - from);
    const char *quote = holds(from, length, is_whole) ? "" : "\"";
    buf_puts(reader->json, quote);
    buf_add(reader->json, from, length);
    buf_puts(reader->json, quote);
    return true;
}

static bool read_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
        return fail(reader, CONDENSE_NOT_JSON);
    reader->at += length;
    buf_puts(reader->json, word);
    return true;
}

static bool read_value(struct reader *reader, int depth);

static bool read_key(struct reader *reader)
{
    skip_space(reader);
    if (!take(reader, '"'))
        return fail(reader, CONDENSE_NOT_JSON);
    if (!copy_string(reader))
        return false;
    skip_space(reader);
    buf_putc(reader->json, ':');
    return take(reader, ':') || fail(reader, CONDENSE_NOT_JSON);
}

/* From behind the opening bracket. */
static bool read_members(struct reader *reader, char last, int depth)
{
    if (depth > CONDENSE_DEPTH_MAX)
        return fail(reader, CONDENSE_TOO_DEEP);
    skip_space(reader);
    bool is_open = !take(reader, last);
    while (is_open) {
        if (last == '}' && !read_key(reader))
            return false;
        if (!read_value(reader, depth))
            return false;
        skip_space(reader);
        if (take(reader, ','))
            buf_putc(reader->json, ',');
        else if (take(reader, last))
            is_open = false;
        else
            return fail(reader, CONDENSE_NOT_JSON);
    }
    buf_putc(reader->json, last);
    return true;
}

static bool read_value(struct reader *reader, int depth)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return fail(reader, CONDENSE_NOT_JSON);
    switch (*reader->at) {
    case '"':
        reader->at++;
        return read_string(reader);
    case '[':
    case '{':
        buf_putc(reader->json, *reader->at);
        return read_members(reader, *reader->at++ == '[' ? ']' : '}', depth + 1);
    case 't':
        return read_word(reader, "true");
    case 'f':
        return read_word(reader, "false");
    case 'n':
        return read_word(reader, "null");
    default:
        return read_number(reader);
    }
}

enum condense_end condense(const char *text, size_t length, struct condense_blobs *blobs,
                           struct buf *json)
{
    if (length == 0)
        return CONDENSE_NOT_JSON;
    struct reader reader = {text, text + length, json, blobs, CONDENSE_DONE};
    blobs->n = 0;
    if (!read_value(&reader, 0))
        return reader.problem;
    skip_space(&reader);
    if (reader.at < reader.end)
        return CONDENSE_NOT_JSON;
    return json->overflowed ? CONDENSE_TOO_LARGE : CONDENSE_DONE;
}

void condense_text(const char *text, size_t length, struct buf *json)
{
    buf_putc(json, '"');
    for (size_t at = 0; at < length;) {
        char piece[CODEC_PIECE_SIZE];
        size_t width = codec_json_step(text + at, length - at, piece);
        if (at + width > CONDENSE_TEXT_BYTES)
            break;
        buf_puts(json, text[at] == '\0' ? REPLACEMENT : piece);
        at += width;
    }
    buf_putc(json, '"');
}
