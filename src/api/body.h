/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields of a request, whether they came as JSON, as multipart/form-data or as a urlencoded form. */
#pragma once

#include "api/multipart.h"
#include "api/request.h"

struct body {
    json_t *object; /* its fields; as multipart_read() has them when it was a form */
    struct multipart *
        form; /* malloc'ed; NULL for other types than multipart. Its files borrow from the request's body */
};

/* Reads the body, and charges for the copy. False: `ret_result` is what the reply of an error returned. */
CHECKED bool body_take(struct api_request *request, struct body *ret_body,
                       enum MHD_Result *ret_result);
void body_fini(struct body *body);
/* Is a Content-Type (NULL: none) of this type, whatever its parameters? */
bool body_has_type(const char *type, const char *wanted);
