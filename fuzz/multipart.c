/* SPDX-License-Identifier: Apache-2.0
 *
 * A form: the first line is its Content-Type, the rest its body. File parts lie within the body and
 * each is referred to once; text is UTF-8; the unified dialect takes the object or says why not. */
#include "harness.h"

#include <stdlib.h>
#include <strings.h>

#include "api/multipart.h"
#include "base/codec.h"
#include "base/json.h"
#include "property.h"

static void check_string(const json_t *value)
{
    must(json_is_string(value));
    must(codec_is_utf8(json_string_value(value), json_string_length(value)));
}

/* A field is a text, a file, or a list of these. Returns its files. */
static size_t check_value(const json_t *value, size_t n_files, bool may_be_list)
{
    if (json_is_object(value)) {
        long long index = json_int(value, "$part", -1);
        must(json_object_size(value) == 1 && index >= 0 && (size_t)index < n_files);
        return 1;
    }
    if (!json_is_array(value)) {
        check_string(value);
        return 0;
    }
    must(may_be_list && json_array_size(value) > 0);
    size_t found = 0;
    for (size_t i = 0; i < json_array_size(value); i++)
        found += check_value(json_array_get(value, i), n_files, false);
    return found;
}

static void check_object(json_t *object, size_t n_files)
{
    const char *name;
    json_t *value;
    size_t found = 0;
    must(json_is_object(object) && json_object_size(object) <= MULTIPART_PARTS_MAX);
    json_object_foreach(object, name, value)
    {
        must(strlen(name) <= MULTIPART_NAME_MAX && codec_is_utf8(name, strlen(name)));
        found += check_value(value, n_files, true);
    }
    must(found == n_files);

    struct unified_decoded decoded;
    struct unified_fault fault = {0};
    if (unified_decode(object, n_files, &property_limits, &decoded, &fault) != 0) {
        property_fault(&fault);
        return;
    }
    property_decoded(&decoded, n_files);
    unified_decoded_fini(&decoded);
}

static void check_error(const char *error)
{
    must(memchr(error, '\0', MULTIPART_ERROR_SIZE) != NULL && error[0] != '\0');
}

static void read_multipart(const char *type, const char *body, size_t length)
{
    CLEANUP(free_pointer) struct multipart *form = must_calloc(1, sizeof(*form));
    char error[MULTIPART_ERROR_SIZE] = "";
    if (!multipart_read(type, body, length, form, error)) {
        check_error(error);
        must(form->object == NULL);
        return;
    }
    must(form->n_files <= MULTIPART_PARTS_MAX);
    for (size_t i = 0; i < form->n_files; i++) {
        const struct multipart_file *file = &form->files[i];
        must(file->length > 0 && file->data >= body);
        must((size_t)(file->data - body) + file->length <= length);
    }
    check_object(form->object, form->n_files);
    json_decref(form->object);
}

static void read_urlencoded(const char *body, size_t length)
{
    CLEANUP(free_pointer) char *copy = must_calloc(length + 1, 1);
    memcpy(copy, body, length);
    char error[MULTIPART_ERROR_SIZE] = "";
    json_t *object = multipart_read_urlencoded(copy, length, error);
    if (object == NULL) {
        check_error(error);
        return;
    }
    check_object(object, 0);
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input input = {(const char *)data, size};
    CLEANUP(free_pointer) char *type = harness_line(&input);
    if (type == NULL)
        return 0;
    if (strncasecmp(type, "application/", 12) == 0)
        read_urlencoded(input.at, input.left);
    else
        read_multipart(type, input.at, input.left);
    return 0;
}
