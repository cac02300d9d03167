/* SPDX-License-Identifier: Apache-2.0
 *
 * Images come as URLs, data URIs, bare base64 or file parts. URLs are only looked at here and fetched
 * by the engine; bytes are decoded, recognised by content (never by name), measured, and stored under
 * `<task>/<media>.<ext>`, one at a time. A decoded copy is charged to the memory of bodies while it exists.
 * On an HTTP thread, which may block on the disk. */
#include "api/input.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/must.h"
#include "net/guard.h"
#include "task/image.h"

struct input {
    struct api_request *request;
    const char *task_id;
    size_t number; /* 1-based, for sentences */
    struct unified_fault *fault;
};

static enum input_outcome PRINTF_LIKE(2, 3)
    invalid(const struct input *input, const char *format, ...)
{
    struct unified_fault *fault = input->fault;
    int length = snprintf(fault->message, sizeof(fault->message), "image %zu: ", input->number);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->message + length, sizeof(fault->message) - (size_t)length, format, arguments);
    va_end(arguments);
    fault->code = "image_invalid";
    snprintf(fault->param, sizeof(fault->param), "images");
    return INPUT_INVALID;
}

static enum input_outcome store_bytes(const struct input *input, const uint8_t *bytes,
                                      size_t length, struct task_image *image)
{
    const struct server_parts *parts = &input->request->api->parts;
    const struct settings *settings = parts->settings;
    struct image_info found;
    if (length > (size_t)settings->image_bytes)
        return invalid(input, "it has %zu bytes, at most %lld are taken", length,
                       (long long)settings->image_bytes);
    if (!image_sniff(bytes, length, &found))
        return invalid(input, "it is not a PNG, JPEG, WebP or GIF file, or it is cut off");
    if (found.width > settings->image_pixels / found.height)
        return invalid(input, "it has %lld x %lld pixels, at most %lld in all are taken",
                       (long long)found.width, (long long)found.height,
                       (long long)settings->image_pixels);

    char key[ASSET_KEY_MAX + 1];
    snprintf(key, sizeof(key), "%s/%s.%s", input->task_id, image->media_id,
             image_type_extension(found.type));
    struct asset_info info;
    int r = asset_put_bytes(parts->assets, key, image_type_mime(found.type), bytes, length, &info);
    if (r != 0) {
        log_task(LOG_ERROR, input->task_id, "storing an input image failed: %s",
                 r < 0 ? strerror(-r) : "its key was refused");
        return INPUT_STORE_FAILED;
    }
    image->key = must_strdup(key);
    image->sha256 = must_strdup(info.sha256);
    return INPUT_STORED;
}

/* Where the base64 of a data URI begins: behind `data:[type][;name=value…];base64,`. NULL: it is not one. */
static const char *data_of_uri(const char *text)
{
    static const char MARK[] = ";base64";
    enum { HEAD_MAX = 200 };
    const char *comma = memchr(text, ',', strnlen(text, HEAD_MAX));
    size_t mark = sizeof(MARK) - 1;
    if (comma == NULL || (size_t)(comma - text) < 5 + mark ||
        strncasecmp(comma - mark, MARK, mark) != 0)
        return NULL;
    return comma + 1;
}

static enum input_outcome store_text(const struct input *input, const char *text,
                                     struct task_image *image)
{
    if (strncasecmp(text, "data:", 5) == 0) {
        text = data_of_uri(text);
        if (text == NULL)
            return invalid(input, "its data URI is not of the form data:image/png;base64,…");
    }
    size_t length = strlen(text);
    if (length == 0)
        return invalid(input, "it is empty");
    /* Wrapped lines add a few per cent; what is twice too long needs no decoding to be refused. */
    if (length / 8 * 3 > (size_t)input->request->api->parts.settings->image_bytes)
        return invalid(input, "it has more than %lld bytes",
                       (long long)input->request->api->parts.settings->image_bytes);
    size_t room = length / 4 * 3 + 3;
    if (!api_request_charge(input->request, room))
        return INPUT_NO_MEMORY;
    CLEANUP(free_pointer) uint8_t *bytes = malloc(room);
    if (bytes == NULL)
        return INPUT_NO_MEMORY;
    size_t n_bytes = 0;
    if (!codec_base64_decode(text, length, bytes, &n_bytes))
        return invalid(input, "it is neither an http(s) URL nor base64");
    return store_bytes(input, bytes, n_bytes, image);
}

static enum input_outcome store_one(const struct input *input, const struct unified_image *given,
                                    const struct multipart_file *files, struct task_image *image)
{
    image->role = given->role;
    id_new("media", image->media_id, sizeof(image->media_id));
    if (given->text == NULL) {
        const struct multipart_file *file = &files[given->part];
        return store_bytes(input, (const uint8_t *)file->data, file->length, image);
    }
    if (!given->is_url)
        return store_text(input, given->text, image);
    char problem[200];
    if (!guard_check_url(given->text, problem))
        return invalid(input, "%s", problem);
    image->url = must_strdup(given->text);
    return INPUT_STORED;
}

enum input_outcome input_store(struct api_request *request, const struct unified_decoded *decoded,
                               const struct multipart_file *files, struct unified_fault *ret_fault)
{
    struct task_request *task = decoded->request;
    struct input input = {.request = request, .task_id = task->id, .fault = ret_fault};
    if (decoded->n_images == 0)
        return INPUT_STORED;
    must(task->images == NULL && decoded->n_images <= TASK_IMAGES_MAX);
    task->images = must_calloc(decoded->n_images, sizeof(task->images[0]));
    enum input_outcome outcome = INPUT_STORED;
    bool has_stored = false;
    for (size_t i = 0; i < decoded->n_images && outcome == INPUT_STORED; i++) {
        input.number = i + 1;
        task->n_images = i + 1; /* so that a request given up frees what it has */
        outcome = store_one(&input, &decoded->images[i], files, &task->images[i]);
        has_stored = has_stored || task->images[i].key != NULL;
    }
    if (outcome != INPUT_STORED && has_stored &&
        asset_erase_task(request->api->parts.assets, task->id) < 0)
        log_task(LOG_WARN, task->id, "erasing the inputs of a refused request failed");
    return outcome;
}
