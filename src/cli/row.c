/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading answers. Pure: any thread. */
#include "cli/row.h"

#include <string.h>

#include "base/json.h"

const char *row_text(const json_t *row, const char *key)
{
    const char *text = json_text(row, key);
    return text != NULL && *text != '\0' ? text : "-";
}

const char *row_status(const json_t *view)
{
    const json_t *info = json_object_get(json_object_get(view, "detail"), "pending_info");
    const char *status = json_text(view, "status");
    const char *inner = json_text(info, "status");
    if (status == NULL)
        return "unknown";
    if (strcmp(status, "pending") == 0 && inner != NULL)
        return inner;
    const char *code = json_text(json_object_get(view, "error"), "code");
    return code != NULL && strcmp(code, "cancelled") == 0 ? "cancelled" : status;
}
