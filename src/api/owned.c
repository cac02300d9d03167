/* SPDX-License-Identifier: Apache-2.0
 *
 * A link counts as ours when it leads to this server by `public_url` or by the name under which the client reached us, over http or https, and to
 * something that can be an asset's key; then it is found here or nowhere. Its signature must be good, and what it leads to be the caller's own:
 * a link is a permission to look, not to use up another's room. On HTTP threads; may block on the store. */
#include "api/owned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/task.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/must.h"
#include "task/image.h"

void owned_key(const struct store_file *file, char ret_key[ASSET_KEY_MAX + 1])
{
    static const enum image_type types[] = {IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP, IMAGE_GIF};
    const char *extension = "bin";
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        if (strcmp(file->type, image_type_mime(types[i])) == 0)
            extension = image_type_extension(types[i]);
    }
    snprintf(ret_key, ASSET_KEY_MAX + 1, "%s/original.%s", file->id, extension);
}

int owned_file(const struct api_request *request, const char *id, struct store_file *ret_file)
{
    if (!id_is_typeid(id, "file"))
        return STORE_NOT_FOUND;
    int result = store_file(request->api->parts.store, auth_scope(&request->who), id,
                            clock_wall_ms(), ret_file);
    if (result < 0)
        log_error("cannot read the file %s: %s", id, strerror(-result));
    return result;
}

static enum owned find_file(const struct api_request *request, const char *id,
                            char ret_key[ASSET_KEY_MAX + 1])
{
    struct store_file file;
    int result = owned_file(request, id, &file);
    if (result != 0)
        return result < 0 ? OWNED_FAILED : OWNED_MISSING;
    owned_key(&file, ret_key);
    return OWNED_FOUND;
}

static enum owned find_of_task(const struct api_request *request, const char *id)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    enum engine_outcome outcome = api_find_task(request, id, &task, &figures);
    if (outcome != ENGINE_OK)
        return outcome == ENGINE_NOT_FOUND ? OWNED_MISSING : OWNED_FAILED;
    bool has_expired = task->expired_ms > 0;
    task_unref(task);
    return has_expired ? OWNED_MISSING : OWNED_FOUND;
}

/* ---- links ---- */

/* What follows http:// or https://; NULL: something else. */
static const char *behind_scheme(const char *url)
{
    if (strncasecmp(url, "http://", 7) == 0)
        return url + 7;
    return strncasecmp(url, "https://", 8) == 0 ? url + 8 : NULL;
}

/* What follows `<base>/assets/` in a URL, whichever of the two schemes either has. NULL: it leads elsewhere. */
static const char *behind_base(const char *url, const char *base)
{
    static const char folder[] = "/assets/";
    const char *rest = behind_scheme(url);
    base = behind_scheme(base);
    if (rest == NULL || base == NULL)
        return NULL;
    size_t host = strcspn(base, "/");
    size_t length = strlen(base);
    if (strncasecmp(rest, base, host) != 0 || strncmp(rest + host, base + host, length - host) != 0)
        return NULL;
    rest += length;
    return strncmp(rest, folder, sizeof(folder) - 1) == 0 ? rest + sizeof(folder) - 1 : NULL;
}

static const char *behind_our_base(const struct api_request *request, const char *url)
{
    char base[ORIGIN_BASE_SIZE];
    const char *rest = api_base(request, base) ? behind_base(url, base) : NULL;
    if (rest == NULL && api_host_base(request, base))
        rest = behind_base(url, base);
    return rest;
}

/* Takes a query apart, in place. */
static struct link_parameters read_query(char *query)
{
    struct link_parameters found = {0};
    const struct {
        const char *name;
        const char **value;
    } wanted[] = {
        {"st", &found.st}, {"se", &found.se},     {"sr", &found.sr},
        {"sp", &found.sp}, {"rscd", &found.rscd}, {"sig", &found.sig},
    };
    while (query != NULL) {
        char *value = strsep(&query, "&");
        const char *name = strsep(&value, "=");
        for (size_t i = 0; value != NULL && i < ARRAY_LENGTH(wanted); i++) {
            if (strcmp(name, wanted[i].name) == 0 && codec_percent_decode(value))
                *wanted[i].value = value;
        }
    }
    return found;
}

static bool is_good_link(const struct api_request *request, const char *key, const char *query)
{
    CLEANUP(free_pointer) char *copy = must_strdup(query);
    copy[strcspn(copy, "#")] = '\0';
    const struct link_parameters parameters = read_query(copy);
    return link_check(request->api->parts.link_keys, key, &parameters, clock_wall_ms()) == LINK_OK;
}

static enum owned find_link(const struct api_request *request, const char *url,
                            char ret_key[ASSET_KEY_MAX + 1])
{
    const char *rest = behind_our_base(request, url);
    size_t length = rest != NULL ? strcspn(rest, "?#") : 0;
    if (rest == NULL || length > ASSET_KEY_MAX)
        return OWNED_NOT;
    char key[ASSET_KEY_MAX + 1];
    memcpy(key, rest, length);
    key[length] = '\0';
    if (!asset_is_key(key))
        return OWNED_NOT;
    if (!is_good_link(request, key, rest[length] == '?' ? rest + length + 1 : ""))
        return OWNED_MISSING;
    memcpy(ret_key, key, sizeof(key));
    key[strcspn(key, "/")] = '\0';
    if (id_is_typeid(key, "task"))
        return find_of_task(request, key);
    char kept[ASSET_KEY_MAX + 1];
    enum owned found = find_file(request, key, kept);
    return found == OWNED_FOUND && strcmp(kept, ret_key) != 0 ? OWNED_MISSING : found;
}

enum owned owned_find(const struct api_request *request, const char *text,
                      char ret_key[ASSET_KEY_MAX + 1])
{
    if (id_is_typeid(text, "file"))
        return find_file(request, text, ret_key);
    return behind_scheme(text) != NULL ? find_link(request, text, ret_key) : OWNED_NOT;
}
