/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of which a request is made, for upstream/request*.c alone. Every function that can refuse writes a sentence
 * that names the member. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "upstream/request.h"

enum {
    REQUEST_DEPTH_MAX = 64,           /* nesting of a JSON body */
    REQUEST_PARTS_MAX = 256,          /* of a form */
    REQUEST_IMAGES_MAX = 64,          /* as many as there are bits for */
    REQUEST_SCALAR_MAX = 1024 * 1024, /* bytes of one text outside a JSON body */
};

struct request_maker {
    const json_t *spec;
    const struct channel *channel;
    const struct channel_credential *credential; /* NULL: none goes along */
    const struct request_image *images;
    size_t n_images;
    char *error; /* of REQUEST_ERROR_SIZE */
};

/* Where a value stands, for sentences: `json.input.images[2]`. */
struct request_place {
    const struct request_place *parent;
    const char *key; /* NULL: `index` of an array */
    size_t index;
};

enum request_form {
    REQUEST_FORM_URL,
    REQUEST_FORM_DATA_URI,
    REQUEST_FORM_BASE64,
    REQUEST_FORM_FILE
};

/* Writes the sentence, with what a terminal would obey taken out of it. Always false. */
bool request_wrong(char *error, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same of a place; `what` follows its name. Always false. */
bool request_wrong_at(char *error, const struct request_place *place, const char *what);
/* A member that is there: null counts as absent. */
json_t *request_member(const json_t *object, const char *key);
/* False when the object has a member that the NULL-terminated list does not name. */
CHECKED bool request_has_only(const json_t *object, const char *const *names, const char *where,
                              char *error);
/* In place of one of the same name, if there is one. False when it cannot be sent. */
CHECKED bool request_set_header(struct request *request, const char *name, const char *value);
/* Adds a text, a number or a flag as text; false for anything else. */
CHECKED bool request_scalar(const json_t *value, struct buf *out);

/* Is it {"$image": n, "as": […]}? */
bool request_is_image(const json_t *value);
/* Which image and in which form: the first of its list that can be had. Only the value
 * of a form's part (`is_part`) can be a file. With
 * `must_be_here`, bytes that are not at hand cannot be had; else they will be. */
CHECKED bool request_choose(const struct request_maker *maker, const json_t *value,
                            const struct request_place *place, bool is_part, bool must_be_here,
                            size_t *ret_index, enum request_form *ret_form);

/* The whole URL, with the credential in its query where that is its place. */
CHECKED bool request_url_make(const struct request_maker *maker, struct buf *out);

/* Writes the body to the file. 0 bytes and no type when there is none. `ret_type` is malloc'ed. */
CHECKED bool request_body_make(const struct request_maker *maker, int body, int64_t *ret_bytes,
                               char **ret_type);
