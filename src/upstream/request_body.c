/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies, written to a file piece by piece: an image is never whole in memory, however it is
 * spelled. The spool remembers its first failure, and writers look at it where they could go on for
 * long; the sentence is made at the end. */
#include "upstream/request_part.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/must.h"

enum {
    SPOOL_SIZE = 64 * 1024,
    IMAGE_PIECE = 48 * 1024, /* a multiple of 3: its base64 needs no padding */
    BOUNDARY_BYTES = 16,
    BOUNDARY_DIGITS = 2 * BOUNDARY_BYTES, /* in hex */
    BOUNDARY_SIZE = sizeof("filmgate-") + BOUNDARY_DIGITS,
};

struct spool {
    const struct request_maker *maker;
    int fd;
    int64_t written; /* all before `piece` */
    size_t length;   /* of `piece` */
    int error;       /* errno of the first failed write; 0: none */
    bool is_full;    /* REQUEST_BODY_MAX is passed */
    char boundary[BOUNDARY_SIZE];
    char piece[SPOOL_SIZE];
};

static bool is_failed(const struct spool *spool)
{
    return spool->error != 0 || spool->is_full;
}

static void flush(struct spool *spool)
{
    for (size_t at = 0; at < spool->length && spool->error == 0;) {
        ssize_t n = pwrite(spool->fd, spool->piece + at, spool->length - at, (off_t)spool->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            spool->error = n < 0 ? errno : EIO;
            break;
        }
        at += (size_t)n;
        spool->written += n;
    }
    spool->length = 0;
}

static void add(struct spool *spool, const char *data, size_t length)
{
    if ((int64_t)length > REQUEST_BODY_MAX - spool->written - (int64_t)spool->length)
        spool->is_full = true;
    while (length > 0 && !is_failed(spool)) {
        size_t fit = SPOOL_SIZE - spool->length < length ? SPOOL_SIZE - spool->length : length;
        memcpy(spool->piece + spool->length, data, fit);
        spool->length += fit;
        data += fit;
        length -= fit;
        if (spool->length == SPOOL_SIZE)
            flush(spool);
    }
}

static void put(struct spool *spool, const char *text)
{
    add(spool, text, strlen(text));
}

static bool end(struct spool *spool, int64_t *ret_bytes)
{
    flush(spool);
    if (spool->is_full)
        return request_wrong(spool->maker->error, "the body is larger than %d bytes",
                             REQUEST_BODY_MAX);
    if (spool->error != 0)
        return request_wrong(spool->maker->error, "the body cannot be written: %s",
                             strerror(spool->error));
    *ret_bytes = spool->written;
    return true;
}

/* ---- images ---- */

static bool read_piece(const struct request_image *image, int64_t at, char *piece, size_t length)
{
    for (size_t got = 0; got < length;) {
        ssize_t n = pread(image->fd, piece + got, length - got, (off_t)(at + (int64_t)got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool add_bytes(struct spool *spool, const struct request_image *image, bool is_base64,
                      const struct request_place *place)
{
    CLEANUP(free_pointer) char *piece = must_calloc(1, IMAGE_PIECE);
    CLEANUP(free_pointer) char *text = must_calloc(1, codec_base64_length(IMAGE_PIECE) + 1);
    for (int64_t at = 0; at < image->bytes && !is_failed(spool); at += IMAGE_PIECE) {
        size_t length = image->bytes - at < IMAGE_PIECE ? (size_t)(image->bytes - at) : IMAGE_PIECE;
        if (!read_piece(image, at, piece, length))
            return request_wrong_at(spool->maker->error, place, "the image's file cannot be read");
        if (is_base64)
            codec_base64_encode(piece, length, text);
        add(spool, is_base64 ? text : piece, is_base64 ? codec_base64_length(length) : length);
    }
    return true;
}

static const char *type_of(const struct request_image *image)
{
    return image->type != NULL ? image->type : "application/octet-stream";
}

/* ---- JSON ---- */

static int on_text(const char *text, size_t length, void *context)
{
    add(context, text, length);
    return 0;
}

static void add_scalar(struct spool *spool, const json_t *value)
{
    if (json_dump_callback(value, on_text, spool, JSON_WRITE_FLAGS | JSON_ENCODE_ANY) < 0)
        spool->error = ENOMEM;
}

/* As a JSON string with its quotes. */
static void add_string(struct spool *spool, const char *text)
{
    CLEANUP(json_unref_pointer) json_t *string = json_string(text);
    if (string == NULL)
        spool->error = ENOMEM;
    else
        add_scalar(spool, string);
}

static bool add_image(struct spool *spool, const json_t *value, const struct request_place *place)
{
    size_t index;
    enum request_form form;
    if (!request_choose(spool->maker, value, place, false, true, &index, &form))
        return false;
    const struct request_image *image = &spool->maker->images[index];
    if (form == REQUEST_FORM_URL) {
        add_string(spool, image->url);
        return true;
    }
    put(spool, "\"");
    if (form == REQUEST_FORM_DATA_URI) {
        put(spool, "data:");
        put(spool, type_of(image));
        put(spool, ";base64,");
    }
    bool is_added = add_bytes(spool, image, true, place);
    put(spool, "\"");
    return is_added;
}

static bool add_value(struct spool *spool, const json_t *value, const struct request_place *place,
                      int depth);

static bool add_array(struct spool *spool, const json_t *array, const struct request_place *place,
                      int depth)
{
    put(spool, "[");
    for (size_t i = 0; i < json_array_size(array); i++) {
        const struct request_place inner = {.parent = place, .index = i};
        put(spool, i > 0 ? "," : "");
        if (!add_value(spool, json_array_get(array, i), &inner, depth + 1))
            return false;
    }
    put(spool, "]");
    return true;
}

static bool add_object(struct spool *spool, const json_t *object, const struct request_place *place,
                       int depth)
{
    const char *separator = "";
    const char *key;
    json_t *member;
    put(spool, "{");
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
    {
        const struct request_place inner = {.parent = place, .key = key};
        put(spool, separator);
        add_string(spool, key);
        put(spool, ":");
        if (!add_value(spool, member, &inner, depth + 1))
            return false;
        separator = ",";
    }
    put(spool, "}");
    return true;
}

static bool add_value(struct spool *spool, const json_t *value, const struct request_place *place,
                      int depth)
{
    if (depth > REQUEST_DEPTH_MAX)
        return request_wrong(spool->maker->error, "json: is nested more than %d deep",
                             REQUEST_DEPTH_MAX);
    if (request_is_image(value))
        return add_image(spool, value, place);
    if (json_is_array(value))
        return add_array(spool, value, place, depth);
    if (json_is_object(value))
        return add_object(spool, value, place, depth);
    add_scalar(spool, value);
    return true;
}

/* ---- forms ---- */

/* In the quotes of a part's header, as browsers write it. */
static void put_quoted(struct spool *spool, const char *text)
{
    put(spool, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"')
            put(spool, "%22");
        else
            add(spool, text, 1);
    }
    put(spool, "\"");
}

static bool is_name(const json_t *text)
{
    if (!json_is_string(text) || json_string_length(text) == 0 || json_string_length(text) > 200)
        return false;
    for (const char *at = json_string_value(text); *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return false;
    }
    return true;
}

static void begin_part(struct spool *spool, const char *name)
{
    put(spool, "--");
    put(spool, spool->boundary);
    put(spool, "\r\nContent-Disposition: form-data; name=");
    put_quoted(spool, name);
}

/* `image.png` of image/png */
static void put_file_head(struct spool *spool, const struct request_image *image,
                          const json_t *filename)
{
    char usual[40];
    const char *slash = strchr(type_of(image), '/');
    snprintf(usual, sizeof(usual), "image.%.20s", slash != NULL ? slash + 1 : "bin");
    put(spool, "; filename=");
    put_quoted(spool, filename != NULL ? json_string_value(filename) : usual);
    put(spool, "\r\nContent-Type: ");
    put(spool, type_of(image));
    put(spool, "\r\n\r\n");
}

static bool add_image_part(struct spool *spool, const char *name, const json_t *value,
                           const json_t *filename, const struct request_place *place)
{
    size_t index;
    enum request_form form;
    if (!request_choose(spool->maker, value, place, true, true, &index, &form))
        return false;
    const struct request_image *image = &spool->maker->images[index];
    begin_part(spool, name);
    if (form == REQUEST_FORM_FILE)
        put_file_head(spool, image, filename);
    else
        put(spool, "\r\n\r\n");
    if (form == REQUEST_FORM_URL)
        put(spool, image->url);
    if (form == REQUEST_FORM_DATA_URI) {
        put(spool, "data:");
        put(spool, type_of(image));
        put(spool, ";base64,");
    }
    bool is_added =
        form == REQUEST_FORM_URL || add_bytes(spool, image, form != REQUEST_FORM_FILE, place);
    put(spool, "\r\n");
    return is_added;
}

static bool add_text_part(struct spool *spool, const char *name, const json_t *value,
                          const struct request_place *place)
{
    CLEANUP(buf_fini) struct buf text;
    buf_init(&text, REQUEST_SCALAR_MAX);
    if (!request_scalar(value, &text))
        return request_wrong_at(spool->maker->error, place,
                                "value must be a text, a number, a flag or an image");
    if (text.overflowed)
        return request_wrong_at(spool->maker->error, place, "value is too long");
    begin_part(spool, name);
    put(spool, "\r\n\r\n");
    put(spool, buf_text(&text));
    put(spool, "\r\n");
    return true;
}

static bool add_part(struct spool *spool, const json_t *part, const struct request_place *place)
{
    static const char *const names[] = {"name", "value", "filename", NULL};
    const json_t *name = json_object_get(part, "name");
    const json_t *value = json_object_get(part, "value");
    const json_t *filename = request_member(part, "filename");
    if (!json_is_object(part))
        return request_wrong_at(spool->maker->error, place, "a part is an object");
    if (!request_has_only(part, names, "form", spool->maker->error))
        return false;
    if (!is_name(name) || (filename != NULL && !is_name(filename)))
        return request_wrong_at(spool->maker->error, place,
                                "name and filename must be texts of 1 to 200 bytes without "
                                "control characters");
    if (json_is_null(value))
        return true;
    if (request_is_image(value))
        return add_image_part(spool, json_string_value(name), value, filename, place);
    return add_text_part(spool, json_string_value(name), value, place);
}

static bool add_form(struct spool *spool, const json_t *parts)
{
    const struct request_place form = {.key = "form"};
    if (!json_is_array(parts) || json_array_size(parts) > REQUEST_PARTS_MAX)
        return request_wrong(spool->maker->error, "form: must be an array of at most %d parts",
                             REQUEST_PARTS_MAX);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const struct request_place place = {.parent = &form, .index = i};
        if (!add_part(spool, json_array_get(parts, i), &place))
            return false;
    }
    put(spool, "--");
    put(spool, spool->boundary);
    put(spool, "--\r\n");
    return true;
}

/* ---- either ---- */

static char *begin_form(struct spool *spool)
{
    uint8_t random[BOUNDARY_BYTES];
    char hex[BOUNDARY_DIGITS + 1];
    char type[100];
    crypt_random(random, sizeof(random));
    codec_hex_encode(random, sizeof(random), hex);
    snprintf(spool->boundary, sizeof(spool->boundary), "filmgate-%s", hex);
    snprintf(type, sizeof(type), "multipart/form-data; boundary=%s", spool->boundary);
    return must_strdup(type);
}

bool request_body_make(const struct request_maker *maker, int body, int64_t *ret_bytes,
                       char **ret_type)
{
    const struct request_place place = {.key = "json"};
    const json_t *json = request_member(maker->spec, "json");
    const json_t *form = request_member(maker->spec, "form");
    *ret_bytes = 0;
    *ret_type = NULL;
    if (json != NULL && form != NULL)
        return request_wrong(maker->error, "json and form: only one of them may be given");
    if (json == NULL && form == NULL)
        return true;
    CLEANUP(free_pointer) struct spool *spool = must_calloc(1, sizeof(*spool));
    spool->maker = maker;
    spool->fd = body;
    CLEANUP(free_pointer)
    char *type = json != NULL ? must_strdup("application/json") : begin_form(spool);
    bool is_added = json != NULL ? add_value(spool, json, &place, 0) : add_form(spool, form);
    if (!is_added || !end(spool, ret_bytes))
        return false;
    *ret_type = TAKE(type);
    return true;
}
