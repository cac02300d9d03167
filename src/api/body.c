/* SPDX-License-Identifier: Apache-2.0
 *
 * What kind of body it is, and its reader. On HTTP threads. */
#include "api/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/must.h"

bool body_has_type(const char *type, const char *wanted)
{
    if (type == NULL)
        return false;
    size_t length = strlen(wanted);
    return strncasecmp(type, wanted, length) == 0 &&
           (type[length] == '\0' || strchr("; \t", type[length]) != NULL);
}

static bool is_json_type(const char *type)
{
    static const char SUFFIX[] = "+json";
    if (body_has_type(type, "application/json") || body_has_type(type, "text/plain") ||
        body_has_type(type, "text/json"))
        return true;
    size_t length = strcspn(type, "; \t");
    size_t suffix = sizeof(SUFFIX) - 1;
    return length == 0 ||
           (length > suffix && strncasecmp(type + length - suffix, SUFFIX, suffix) == 0);
}

/* Turns the body into an object. False, and `ret_error` empty, when its type is not supported. */
static bool read_fields(struct api_request *request, struct body *ret_body,
                        char ret_error[MULTIPART_ERROR_SIZE])
{
    const char *type = api_header(request, "Content-Type");
    char *body = request->body;
    size_t length = request->body_length;
    ret_error[0] = '\0';
    bool is_form = body_has_type(type, "application/x-www-form-urlencoded");
    /* `curl -d '{…}'` calls JSON a form; no field's name begins with a brace. */
    bool is_mislabelled = is_form && body != NULL && body[0] == '{';
    if (type == NULL || is_json_type(type) || is_mislabelled) {
        _Static_assert((int)JSON_ERROR_SIZE == (int)MULTIPART_ERROR_SIZE, "one buffer for both");
        ret_body->object = json_parse(body != NULL ? body : "", length, ret_error);
        if (ret_body->object != NULL && !json_is_object(ret_body->object)) {
            snprintf(ret_error, MULTIPART_ERROR_SIZE, "it is not a JSON object");
            return false;
        }
    } else if (body_has_type(type, "multipart/form-data")) {
        ret_body->form = must_calloc(1, sizeof(*ret_body->form));
        if (multipart_read(type, body != NULL ? body : "", length, ret_body->form, ret_error))
            ret_body->object = ret_body->form->object;
    } else if (is_form && body != NULL) {
        ret_body->object = multipart_read_urlencoded(body, length, ret_error);
    } else if (is_form) {
        ret_body->object = json_object();
    }
    return ret_body->object != NULL;
}

static enum MHD_Result reply_unreadable(struct api_request *request, const char *error)
{
    return error[0] != '\0' ? api_reply_unreadable(request, error)
                            : api_reply_error(request, API_ERROR_UNSUPPORTED_TYPE, NULL);
}

bool body_take(struct api_request *request, struct body *ret_body, enum MHD_Result *ret_result)
{
    char error[MULTIPART_ERROR_SIZE];
    struct body body = {0};
    if (!api_request_charge(request, request->body_length)) { /* the parsed copy */
        *ret_result = api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
        return false;
    }
    if (!read_fields(request, &body, error)) {
        body_fini(&body);
        *ret_result = reply_unreadable(request, error);
        return false;
    }
    *ret_body = body;
    return true;
}

void body_fini(struct body *body)
{
    json_decref(body->object);
    free(body->form);
    *body = (struct body){0};
}
