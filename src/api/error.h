/* SPDX-License-Identifier: Apache-2.0
 *
 * What the API says when it says no: the table api/error.def and the one body that all of it is
 * written in. Two envelopes at once, for clients read one or the other:
 * {"error":{"message","message_zh","type","param","code"},"code","message"}. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"

enum api_error {
#define API_ERROR(name, ...) API_ERROR_##name,
#include "api/error.def"
    API_ERROR_COUNT
};

enum {
    API_ERROR_MESSAGE_MAX = 2000, /* bytes of one message; the rest is cut */
    API_ERROR_ID_MAX = 255,       /* bytes of an id that is echoed */
    API_ERROR_RETRY_AFTER_S = 2,  /* said with every error that may pass by itself */
};

struct api_error_info {
    const char *name;
    int status; /* HTTP */
    const char *code, *type;
    bool can_retry;
    const char *message, *message_zh;
};

/* What this case adds; every member may be NULL or 0. Texts from outside are made well-formed. */
struct api_error_details {
    const char *code;      /* more precise than the table's */
    const char *message;   /* instead of the table's English text */
    const char *param;     /* the parameter at fault */
    const char *id;        /* of the task; as the client gave it */
    const char *status;    /* of the task */
    int64_t retry_after_s; /* with 429 and 503; 0: API_ERROR_RETRY_AFTER_S */
};

const struct api_error_info *api_error_info(enum api_error error);
/* The body as JSON text, malloc'ed, NUL-terminated. `details` may be NULL. */
char *api_error_body(enum api_error error, const struct api_error_details *details,
                     size_t *ret_length);
/* The table as Markdown. */
void api_error_dump(FILE *out);
