/* SPDX-License-Identifier: Apache-2.0
 *
 * The images of a create request: many fields, each a text, an object around a text, a list of
 * these, or a file part. Text is only looked at here, never decoded: it may be megabytes of base64.
 * Invariant: at most TASK_IMAGES_MAX images, found at a bounded depth. Pure. */
#include <string.h>
#include <strings.h>

#include "base/must.h"
#include "task/unified.h"
#include "task/unified_reader.h"

enum { IMAGE_DEPTH = 5 }; /* a list, as text, of {image_url: {url}} */

/* Fields of images, in the body and in `metadata`, with or without brackets behind the name
 * (`images[]`, `images[0]`, `input_reference[image_url]`). Images keep the order of this table. */
static const struct image_row {
    const char *name;
    enum task_image_role role;
} image_rows[] = {
    {"images", TASK_IMAGE_INPUT},
    {"image", TASK_IMAGE_INPUT},
    {"image_url", TASK_IMAGE_INPUT},
    {"image_urls", TASK_IMAGE_INPUT},
    {"img_url", TASK_IMAGE_INPUT},
    {"input_reference", TASK_IMAGE_INPUT},
    {"input_references", TASK_IMAGE_INPUT},
    {"first_frame_image", TASK_IMAGE_FIRST},
    {"first_frame", TASK_IMAGE_FIRST},
    {"last_frame_image", TASK_IMAGE_LAST},
    {"last_frame", TASK_IMAGE_LAST},
    {"image_end", TASK_IMAGE_LAST},
    {"image_tail", TASK_IMAGE_LAST},
    {"lastFrame", TASK_IMAGE_LAST},
    {"reference_images", TASK_IMAGE_REFERENCE},
    {"referenceImages", TASK_IMAGE_REFERENCE},
};

/* The field being read. */
struct field {
    const struct unified_reader *reader;
    const struct image_row *row;
    size_t n_before; /* images that earlier fields brought */
};

static bool add_value(const struct field *field, const json_t *value, int depth);

static bool fail(const struct field *field, const char *what)
{
    return unified_fail(field->reader, field->row->name, "\"%s\" %s", field->row->name, what);
}

static bool add_image(const struct field *field, struct unified_image image)
{
    struct unified_decoded *decoded = field->reader->decoded;
    size_t limit = field->reader->limits->images;
    size_t most = limit < TASK_IMAGES_MAX ? limit : (size_t)TASK_IMAGES_MAX;
    if (decoded->n_images >= most)
        return unified_fail(field->reader, field->row->name, "there must be at most %zu images",
                            most);
    if (decoded->images == NULL)
        decoded->images = must_calloc(TASK_IMAGES_MAX, sizeof *decoded->images);
    image.role = field->row->role;
    decoded->images[decoded->n_images++] = image;
    return true;
}

/* Has an earlier field of the same role brought this very text? Clients fill several synonyms at
 * once, to be understood by all. Twice in one field is meant so. */
static bool is_repeated(const struct field *field, const char *text)
{
    for (size_t i = 0; i < field->n_before; i++) {
        const struct unified_image *image = &field->reader->decoded->images[i];
        if (image->role == field->row->role && image->text != NULL &&
            strcmp(image->text, text) == 0)
            return true;
    }
    return false;
}

/* Schemes other than http(s) and data: base64 holds no colon. */
static bool has_foreign_scheme(const char *text)
{
    static const char scheme_characters[] = "abcdefghijklmnopqrstuvwxyz"
                                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-";
    size_t length = strspn(text, scheme_characters);
    return length > 0 && text[length] == ':' && strncasecmp(text, "data:", 5) != 0;
}

static bool add_text(const struct field *field, const char *text)
{
    const bool is_url = unified_is_http(text);
    if (*text == '\0' || is_repeated(field, text))
        return true;
    if (!is_url && has_foreign_scheme(text))
        return fail(field, "must hold http or https URLs, data URIs or base64");
    if (is_url && strnlen(text, UNIFIED_URL_BYTES + 1) > UNIFIED_URL_BYTES)
        return unified_fail(field->reader, field->row->name,
                            "\"%s\" must hold URLs of at most %d bytes", field->row->name,
                            (int)UNIFIED_URL_BYTES);
    if (is_url && unified_has_blank(text))
        return fail(field, "must hold URLs without spaces and control characters");
    return add_image(field, (struct unified_image){.text = text, .is_url = is_url});
}

static bool add_part(const struct field *field, const json_t *part)
{
    json_int_t index = json_integer_value(part);
    if (!json_is_integer(part) || index < 0 || (uint64_t)index >= field->reader->n_parts)
        return fail(field, "must be a URL, a data URI or base64");
    return add_image(field, (struct unified_image){.part = (size_t)index});
}

/* The first that says something counts. */
static const json_t *image_of(const json_t *object)
{
    static const char *const names[] = {"url", "image_url", "file_id"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const json_t *image = json_object_get(object, names[i]);
        if (unified_is_asked(image))
            return image;
    }
    return NULL;
}

static bool add_object(const struct field *field, const json_t *object, int depth)
{
    const json_t *part = json_object_get(object, "$part");
    if (part != NULL)
        return add_part(field, part);
    const json_t *image = image_of(object);
    if (image == NULL)
        return fail(field, "holds an object without \"url\", \"image_url\" or \"file_id\"");
    return add_value(field, image, depth);
}

static bool is_blank(const json_t *value)
{
    const char *text = json_string_value(value);
    return text != NULL && strspn(text, " \t\r\n") == json_string_length(value);
}

/* An empty field is one that was not filled in, an empty item an image that got lost. */
static bool add_list(const struct field *field, const json_t *list, int depth)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (is_blank(item))
            return fail(field, "holds an empty text where an image should be");
        if (!add_value(field, item, depth))
            return false;
    }
    return true;
}

static bool add_string(const struct field *field, const json_t *string, int depth)
{
    const char *text = json_string_value(string);
    if (strlen(text) != json_string_length(string))
        return fail(field, "must not hold NUL");
    text += strspn(text, " \t\r\n");
    const json_t *parsed = unified_parse_kept(field->reader, text);
    return parsed != NULL ? add_value(field, parsed, depth) : add_text(field, text);
}

static bool add_value(const struct field *field, const json_t *value, int depth)
{
    if (!unified_is_asked(value))
        return true;
    if (depth >= IMAGE_DEPTH)
        return fail(field, "is nested too deeply");
    if (json_is_string(value))
        return add_string(field, value, depth + 1);
    if (json_is_object(value))
        return add_object(field, value, depth + 1);
    if (json_is_array(value))
        return add_list(field, value, depth + 1);
    return fail(field, "must be a URL, a data URI, base64 or a list of these");
}

static bool is_image_key(const char *key, const char *name)
{
    size_t length = strlen(name);
    return strncmp(key, name, length) == 0 && (key[length] == '\0' || key[length] == '[');
}

static bool read_fields(const struct unified_reader *reader, const struct image_row *row,
                        const json_t *object)
{
    const struct field field = {reader, row, reader->decoded->n_images};
    const char *key;
    json_t *value;
    /* jansson iterates over a mutable object, but does not change it. */
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (is_image_key(key, row->name) && !add_value(&field, value, 0))
            return false;
    }
    return true;
}

bool unified_read_images(const struct unified_reader *reader)
{
    for (size_t i = 0; i < ARRAY_LENGTH(image_rows); i++)
        if (!read_fields(reader, &image_rows[i], reader->body) ||
            !read_fields(reader, &image_rows[i], reader->metadata))
            return false;
    return true;
}

bool unified_is_image_field(const char *key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(image_rows); i++)
        if (is_image_key(key, image_rows[i].name))
            return true;
    return false;
}
