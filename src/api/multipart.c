/* SPDX-License-Identifier: Apache-2.0
 *
 * A small reader for forms. It works on the whole body, which is already bounded, walks it once from
 * boundary to boundary, and copies nothing of a file. Fields must be UTF-8. Pure; any thread.
 *
 *     --B CRLF headers CRLF CRLF data CRLF --B CRLF … CRLF --B-- */
#include "api/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"

enum {
    BOUNDARY_MAX = 70,  /* RFC 2046 */
    HEADERS_MAX = 4096, /* bytes of one part's headers */
};

struct part {
    char name[MULTIPART_NAME_MAX + 1];
    char filename[1024];
    bool is_file;
    const char *data;
    size_t length;
};

static bool fail(char *ret_error, const char *text)
{
    snprintf(ret_error, MULTIPART_ERROR_SIZE, "%s", text);
    return false;
}

/* Reads a token or a quoted string; `text` is at its first character. Returns what follows it, or NULL. Browsers
 * write a quote inside a name as %22, others as \"; a lone backslash stands for itself. */
static const char *read_value(const char *text, char *ret_value, size_t size)
{
    size_t length = 0;
    bool is_quoted = *text == '"';
    if (is_quoted)
        text++;
    while (*text != '\0' && (is_quoted ? *text != '"' : strchr("; \t", *text) == NULL)) {
        if (is_quoted && text[0] == '\\' && (text[1] == '"' || text[1] == '\\'))
            text++;
        if (length + 1 >= size)
            return NULL;
        ret_value[length++] = *text++;
    }
    ret_value[length] = '\0';
    if (is_quoted && *text++ != '"')
        return NULL;
    return text;
}

bool multipart_parameter(const char *header, const char *name, char *ret_value, size_t size)
{
    char ignored[1024] = "";
    size_t wanted = strlen(name);
    const char *at = strchr(header, ';');
    while (at != NULL && *at == ';') {
        at += strspn(at, "; \t");
        size_t length = strcspn(at, "=; \t");
        if (at[length] != '=') {
            at = strchr(at + length, ';');
            continue;
        }
        bool is_it = length == wanted && strncasecmp(at, name, length) == 0;
        at = read_value(at + length + 1, is_it ? ret_value : ignored,
                        is_it ? size : sizeof(ignored));
        if (is_it)
            return at != NULL;
        if (at != NULL)
            at += strspn(at, " \t");
    }
    return false;
}

static const char *find(const char *text, size_t length, const char *wanted)
{
    return memmem(text, length, wanted, strlen(wanted));
}

/* One header line of a part. */
static bool take_header(const char *line, size_t length, struct part *part, char *ret_error)
{
    static const char DISPOSITION[] = "Content-Disposition:";
    char copy[HEADERS_MAX + 1];
    if (length < sizeof(DISPOSITION) - 1 ||
        strncasecmp(line, DISPOSITION, sizeof(DISPOSITION) - 1) != 0)
        return true;             /* what a file is, we see from its bytes */
    must(length <= HEADERS_MAX); /* the caller took it from a block no longer */
    memcpy(copy, line, length);
    copy[length] = '\0';
    if (strlen(copy) != length)
        return fail(ret_error, "a part's headers hold a NUL");
    if (!multipart_parameter(copy, "name", part->name, sizeof(part->name)))
        return fail(ret_error, "a part has no name, or one of more than 128 bytes");
    part->is_file = multipart_parameter(copy, "filename", part->filename, sizeof(part->filename)) ||
                    multipart_parameter(copy, "filename*", part->filename, sizeof(part->filename));
    return true;
}

/* The headers of a part, `text` being at the first. Returns where its data begins, or NULL. */
static const char *read_headers(const char *text, const char *end, struct part *part,
                                char *ret_error)
{
    size_t room = (size_t)(end - text);
    size_t left = room < HEADERS_MAX ? room : HEADERS_MAX;
    for (;;) {
        const char *line_end = find(text, left, "\r\n");
        if (line_end == NULL) {
            fail(ret_error, "a part's headers do not end, or are longer than 4 KiB");
            return NULL;
        }
        size_t length = (size_t)(line_end - text);
        left -= length + 2;
        if (length == 0)
            break;
        if (!take_header(text, length, part, ret_error))
            return NULL;
        text = line_end + 2;
    }
    if (part->name[0] == '\0') {
        fail(ret_error, "a part has no name");
        return NULL;
    }
    return text + 2;
}

/* Adds a value to a field: a second one makes it an array, a name that ends in [] always is one. Steals `value`. */
static void add_value(json_t *object, char *name, json_t *value)
{
    size_t length = strlen(name);
    bool is_list = length > 2 && strcmp(name + length - 2, "[]") == 0;
    if (is_list)
        name[length - 2] = '\0';
    json_t *old = json_object_get(object, name);
    if (old == NULL && !is_list) {
        json_set(object, name, value);
        return;
    }
    if (old == NULL || !json_is_array(old)) {
        json_t *list = json_array();
        if (old != NULL)
            must(json_array_append(list, old) == 0);
        json_set(object, name, list);
        old = list;
    }
    json_add(old, value);
}

/* A name that is too long loses its end, but no half of a character stays. */
static void copy_filename(const char *name, char ret_name[MULTIPART_FILENAME_SIZE])
{
    size_t length = strnlen(name, MULTIPART_FILENAME_SIZE - 1);
    for (int cut = 0; cut < 3 && length > 0 && !codec_is_utf8(name, length); cut++)
        length--;
    if (!codec_is_utf8(name, length))
        length = 0;
    memcpy(ret_name, name, length);
    ret_name[length] = '\0';
}

static bool take_part(struct multipart *form, struct part *part, char *ret_error)
{
    if (!codec_is_utf8(part->name, strlen(part->name)))
        return fail(ret_error, "a part's name is not UTF-8");
    if (part->is_file) {
        if (part->length == 0)
            return true; /* a browser's file field in which nothing was chosen */
        struct multipart_file *file = &form->files[form->n_files];
        *file = (struct multipart_file){.data = part->data, .length = part->length};
        copy_filename(part->filename, file->name);
        json_t *reference = json_pack("{s:I}", "$part", (json_int_t)form->n_files);
        must(reference != NULL);
        form->n_files++;
        add_value(form->object, part->name, reference);
        return true;
    }
    if (!codec_is_utf8(part->data, part->length)) {
        snprintf(ret_error, MULTIPART_ERROR_SIZE, "the field %.60s is not UTF-8 text", part->name);
        return false;
    }
    json_t *text = json_stringn(part->data, part->length);
    must(text != NULL);
    add_value(form->object, part->name, text);
    return true;
}

/* Reads the parts; `at` is behind the first boundary. */
static bool read_parts(struct multipart *form, const char *at, const char *end,
                       const char *delimiter, char *ret_error)
{
    size_t delimiter_length = strlen(delimiter);
    for (size_t n_parts = 0;; n_parts++) {
        if (end - at >= 2 && memcmp(at, "--", 2) == 0)
            return true;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (end - at < 2 || memcmp(at, "\r\n", 2) != 0)
            return fail(ret_error, "a boundary is not followed by a line end");
        if (n_parts == MULTIPART_PARTS_MAX)
            return fail(ret_error, "there are more than 128 parts");
        struct part part = {0};
        at = read_headers(at + 2, end, &part, ret_error);
        if (at == NULL)
            return false;
        const char *next = find(at, (size_t)(end - at), delimiter);
        if (next == NULL)
            return fail(ret_error, "the last boundary is missing");
        part.data = at;
        part.length = (size_t)(next - at);
        if (!take_part(form, &part, ret_error))
            return false;
        at = next + delimiter_length;
    }
}

bool multipart_read(const char *type, const char *body, size_t length, struct multipart *ret_form,
                    char ret_error[MULTIPART_ERROR_SIZE])
{
    char delimiter[4 + BOUNDARY_MAX + 1] = "\r\n--";
    if (!multipart_parameter(type, "boundary", delimiter + 4, BOUNDARY_MAX + 1) ||
        delimiter[4] == '\0')
        return fail(ret_error, "the Content-Type names no boundary");

    /* The first boundary opens the body, or follows a preamble that means nothing. */
    const char *end = body + length;
    const char *at = NULL;
    size_t opening = strlen(delimiter) - 2;
    if (length >= opening && memcmp(body, delimiter + 2, opening) == 0)
        at = body + opening;
    else if ((at = find(body, length, delimiter)) != NULL)
        at += strlen(delimiter);
    if (at == NULL)
        return fail(ret_error, "the boundary of the Content-Type is not in the body");

    ret_form->n_files = 0;
    ret_form->object = json_object();
    must(ret_form->object != NULL);
    if (read_parts(ret_form, at, end, delimiter, ret_error))
        return true;
    json_decref(TAKE(ret_form->object));
    return false;
}

/* Decodes one `name` or `value` in place. */
static bool decode_piece(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '+')
            *at = ' ';
    }
    return codec_percent_decode(text) && codec_is_utf8(text, strlen(text));
}

json_t *multipart_read_urlencoded(char *body, size_t length, char ret_error[MULTIPART_ERROR_SIZE])
{
    if (strlen(body) != length) {
        fail(ret_error, "the form holds a NUL");
        return NULL;
    }
    CLEANUP(json_unref_pointer) json_t *object = json_object();
    must(object != NULL);
    size_t n_fields = 0;
    char *rest = body;
    while (rest != NULL) {
        char *name = strsep(&rest, "&");
        if (*name == '\0')
            continue;
        char *value = strchr(name, '=');
        if (value != NULL)
            *value++ = '\0';
        else
            value = name + strlen(name);
        if (!decode_piece(name) || !decode_piece(value) || strlen(name) > MULTIPART_NAME_MAX) {
            fail(ret_error, "a field of the form is not percent-encoded UTF-8");
            return NULL;
        }
        if (++n_fields > MULTIPART_PARTS_MAX) {
            fail(ret_error, "there are more than 128 fields");
            return NULL;
        }
        json_t *text = json_string(value);
        must(text != NULL);
        add_value(object, name, text);
    }
    return TAKE(object);
}
