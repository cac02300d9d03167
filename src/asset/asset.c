/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of asset keys, the same for every place that assets may live in. A key that passes
 * is safe as a relative path: at most three parts, none empty, none beginning with a dot, and the
 * last one always with an extension, so a file never stands where a folder belongs. Pure. */
#include "asset/asset.h"

#include <string.h>

#include "base/id.h"

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789_.";

/* Is the part of `key` before the first slash a TypeID of this prefix? */
static bool is_folder(const char *key, const char *prefix)
{
    char part[ID_SHORT_SIZE];
    size_t length = strcspn(key, "/");
    if (key[length] != '/' || length >= sizeof(part))
        return false;
    memcpy(part, key, length);
    part[length] = '\0';
    return id_is_typeid(part, prefix);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static bool is_file(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || strspn(name, name_characters) != length)
        return false;
    if (name[0] == '.' || name[length - 1] == '.' || strchr(name, '.') == NULL)
        return false;
    return strstr(name, "..") == NULL && !ends_with(name, ".meta"); /* ours, beside each file */
}

bool asset_is_key(const char *key)
{
    if (key == NULL || strnlen(key, ASSET_KEY_MAX + 1) > ASSET_KEY_MAX)
        return false;
    bool is_of_task = is_folder(key, "task");
    if (!is_of_task && !is_folder(key, "file"))
        return false;
    const char *rest = strchr(key, '/') + 1;
    if (is_of_task && is_folder(rest, "gen"))
        rest = strchr(rest, '/') + 1;
    return is_file(rest);
}
