/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors as tables and as JSON. Every text has a bound, so a body always fits its ceiling and is
 * whole JSON. Pure; any thread. */
#include "api/error.h"

#include <string.h>

#include "base/buf.h"
#include "base/must.h"

/* Each byte takes at most six characters; a message stands twice. */
enum { BODY_MAX = 6 * (3 * API_ERROR_MESSAGE_MAX + API_ERROR_ID_MAX) + 2000 };

static const struct api_error_info INFOS[API_ERROR_COUNT] = {
#define API_ERROR(name, status, code, type, can_retry, message, message_zh)                        \
    [API_ERROR_##name] = {#name, status, code, type, can_retry, message, message_zh},
#include "api/error.def"
};

const struct api_error_info *api_error_info(enum api_error error)
{
    must((size_t)error < API_ERROR_COUNT);
    return &INFOS[error];
}

static void add_text(struct buf *buf, const char *text, size_t max)
{
    char cut[API_ERROR_MESSAGE_MAX + 1];
    must(max < sizeof(cut));
    size_t length = strnlen(text, max);
    memcpy(cut, text, length);
    cut[length] = '\0';
    buf_json_string(buf, cut);
}

static void add_member(struct buf *buf, const char *name, const char *text, size_t max)
{
    buf_printf(buf, "\"%s\":", name);
    add_text(buf, text, max);
}

char *api_error_body(enum api_error error, const struct api_error_details *details,
                     size_t *ret_length)
{
    static const struct api_error_details NOTHING = {0};
    const struct api_error_info *info = api_error_info(error);
    if (details == NULL)
        details = &NOTHING;
    const char *code = details->code != NULL ? details->code : info->code;
    const char *message = details->message != NULL ? details->message : info->message;

    CLEANUP(buf_fini) struct buf buf;
    buf_init(&buf, BODY_MAX);
    buf_puts(&buf, "{\"error\":{");
    add_member(&buf, "message", message, API_ERROR_MESSAGE_MAX);
    buf_putc(&buf, ',');
    add_member(&buf, "message_zh", info->message_zh, API_ERROR_MESSAGE_MAX);
    buf_printf(&buf, ",\"type\":\"%s\",\"param\":", info->type);
    if (details->param != NULL)
        add_text(&buf, details->param, API_ERROR_ID_MAX);
    else
        buf_puts(&buf, "null");
    buf_putc(&buf, ',');
    add_member(&buf, "code", code, API_ERROR_ID_MAX);
    buf_puts(&buf, "},");
    add_member(&buf, "code", code, API_ERROR_ID_MAX);
    buf_putc(&buf, ',');
    add_member(&buf, "message", message, API_ERROR_MESSAGE_MAX);
    if (details->id != NULL) {
        buf_putc(&buf, ',');
        add_member(&buf, "id", details->id, API_ERROR_ID_MAX);
    }
    if (details->status != NULL) {
        buf_putc(&buf, ',');
        add_member(&buf, "status", details->status, API_ERROR_ID_MAX);
    }
    buf_putc(&buf, '}');
    must(!buf.overflowed);
    *ret_length = buf.length;
    return buf_take(&buf);
}

void api_error_dump(FILE *out)
{
    fprintf(out,
            "| status | code | type | try again | message |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < API_ERROR_COUNT; i++) {
        const struct api_error_info *info = &INFOS[i];
        fprintf(out, "| %d | `%s` | `%s` | %s | %s |\n", info->status, info->code, info->type,
                info->can_retry ? "yes" : "no", info->message);
    }
}
