/* SPDX-License-Identifier: Apache-2.0
 *
 * Forms: multipart/form-data (RFC 7578) and application/x-www-form-urlencoded, read from a complete body into the
 * JSON object that the unified dialect decodes. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

enum {
    MULTIPART_PARTS_MAX = 128,
    MULTIPART_NAME_MAX = 128, /* bytes of a field's name */
    MULTIPART_ERROR_SIZE = 200,
    MULTIPART_FILENAME_SIZE = 256, /* with NUL; what is longer loses its end */
};

/* A file part. Its bytes borrow from the body. */
struct multipart_file {
    const char *data;
    size_t length;
    char name[MULTIPART_FILENAME_SIZE]; /* as sent: UTF-8, or empty */
};

struct multipart {
    /* Field -> string, or array of them when it came more than once or is called `x[]`; a file: {"$part": n}. */
    json_t *object;
    struct multipart_file files[MULTIPART_PARTS_MAX];
    size_t n_files;
};

/* Reads a body whose Content-Type is `type` (it names the boundary). False with a sentence when it is not well-formed. */
CHECKED bool multipart_read(const char *type, const char *body, size_t length,
                            struct multipart *ret_form, char ret_error[MULTIPART_ERROR_SIZE]);
/* Reads `a=b&c=d`. A new reference, or NULL with a sentence. The body is overwritten. */
json_t *multipart_read_urlencoded(char *body, size_t length, char ret_error[MULTIPART_ERROR_SIZE]);
/* The value of a parameter of a header (`boundary`, `name`), unquoted; false when absent or longer than fits. */
CHECKED bool multipart_parameter(const char *header, const char *name, char *ret_value,
                                 size_t size);
