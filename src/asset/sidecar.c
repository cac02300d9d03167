/* SPDX-License-Identifier: Apache-2.0
 *
 * The line of JSON beside each asset's content. What is read here may have been damaged or edited:
 * nothing counts unless all of it is as we write it. No state; any thread. */
#include "asset/sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "asset/tree.h"
#include "base/json.h"
#include "base/must.h"

enum { SIDECAR_MAX_BYTES = 1024 };

bool sidecar_is_type(const char *type)
{
    size_t length = strnlen(type, ASSET_TYPE_SIZE);
    if (length == 0 || length >= ASSET_TYPE_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (type[i] < ' ' || type[i] > '~' || type[i] == '"' || type[i] == '\\')
            return false;
    }
    return true;
}

static bool read_info(const char *text, size_t length, struct asset_info *ret_info)
{
    char wrong[JSON_ERROR_SIZE];
    CLEANUP(json_unref_pointer) json_t *json = json_parse(text, length, wrong);
    const char *type = json_text(json, "type");
    const char *sha256 = json_text(json, "sha256");
    struct asset_info info = {.bytes = json_int(json, "bytes", -1),
                              .stored_ms = json_int(json, "stored_ms", -1)};
    if (type == NULL || !sidecar_is_type(type) || info.bytes < 0 || info.stored_ms < 0)
        return false;
    if (sha256 == NULL || strlen(sha256) != sizeof(info.sha256) - 1 ||
        strspn(sha256, "0123456789abcdef") != sizeof(info.sha256) - 1)
        return false;
    snprintf(info.type, sizeof(info.type), "%s", type);
    memcpy(info.sha256, sha256, sizeof(info.sha256));
    *ret_info = info;
    return true;
}

int sidecar_read(int folder, const char *name, struct asset_info *ret_info)
{
    char text[SIDECAR_MAX_BYTES];
    CLEANUP(close_fd) int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t length = pread(fd, text, sizeof(text), 0);
    if (length < 0)
        return -errno;
    if ((size_t)length >= sizeof(text) || !read_info(text, (size_t)length, ret_info))
        return -EBADMSG;
    return 0;
}

int sidecar_write(int fd, const struct asset_info *info)
{
    char text[SIDECAR_MAX_BYTES];
    int length = snprintf(text, sizeof(text),
                          "{\"type\":\"%s\",\"sha256\":\"%s\",\"bytes\":%" PRId64
                          ",\"stored_ms\":%" PRId64 "}\n",
                          info->type, info->sha256, info->bytes, info->stored_ms);
    must(length > 0 && (size_t)length < sizeof(text));
    return tree_write(fd, text, (size_t)length);
}
