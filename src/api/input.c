/* SPDX-License-Identifier: Apache-2.0
 *
 * Images come as URLs, data URIs, bare base64, file parts, or as what is stored here already: an uploaded file by its id, or one of our own
 * links. Other URLs are only looked at here and fetched by the engine; bytes are decoded, recognised by content (never by name), measured, and
 * stored under `<task>/<media>.<ext>`, one at a time, so that the task has all that it needs whatever becomes of the file. A decoded copy is charged
 * to the memory of bodies while it exists.
 * On an HTTP thread, which may block on the disk. */
#include "api/input.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "api/owned.h"
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

bool input_judge(const struct settings *settings, const uint8_t *bytes, size_t length,
                 struct image_info *ret_info, char ret_why[INPUT_WHY_SIZE])
{
    if (length > (size_t)settings->image_bytes) {
        snprintf(ret_why, INPUT_WHY_SIZE, "it has %zu bytes, at most %lld are taken", length,
                 (long long)settings->image_bytes);
        return false;
    }
    if (!image_sniff(bytes, length, ret_info)) {
        snprintf(ret_why, INPUT_WHY_SIZE,
                 "it is not a PNG, JPEG, WebP or GIF file, or it is cut off");
        return false;
    }
    if (ret_info->width > settings->image_pixels / ret_info->height) {
        snprintf(ret_why, INPUT_WHY_SIZE,
                 "it has %lld x %lld pixels, at most %lld in all are taken",
                 (long long)ret_info->width, (long long)ret_info->height,
                 (long long)settings->image_pixels);
        return false;
    }
    return true;
}

static void name_input(const struct input *input, const struct task_image *image,
                       const char *extension, char ret_key[ASSET_KEY_MAX + 1])
{
    snprintf(ret_key, ASSET_KEY_MAX + 1, "%s/%s.%s", input->task_id, image->media_id, extension);
}

/* `result` is what storing it under `key` came to. */
static enum input_outcome stored(const struct input *input, const char *key, int result,
                                 const struct asset_info *info, struct task_image *image)
{
    if (result != ASSET_OK) {
        log_task(LOG_ERROR, input->task_id, "storing an input image failed: %s",
                 result < 0 ? strerror(-result) : "its key was refused");
        return INPUT_STORE_FAILED;
    }
    image->key = must_strdup(key);
    image->sha256 = must_strdup(info->sha256);
    return INPUT_STORED;
}

static enum input_outcome store_bytes(const struct input *input, const uint8_t *bytes,
                                      size_t length, struct task_image *image)
{
    const struct server_parts *parts = &input->request->api->parts;
    struct image_info found;
    char why[INPUT_WHY_SIZE];
    if (!input_judge(parts->settings, bytes, length, &found, why))
        return invalid(input, "%s", why);
    char key[ASSET_KEY_MAX + 1];
    name_input(input, image, image_type_extension(found.type), key);
    struct asset_info info;
    int result =
        asset_put_bytes(parts->assets, key, image_type_mime(found.type), bytes, length, &info);
    return stored(input, key, result, &info, image);
}

/* ---- what is stored here already ---- */

static enum input_outcome missing(const struct input *input)
{
    return invalid(input, "there is no such file of yours: it was deleted or has expired, or "
                          "never was");
}

/* What is open, judged as if it had been sent now. */
static bool judge_stored(const struct input *input, int fd, const struct asset_info *info,
                         struct image_info *ret_info, char ret_why[INPUT_WHY_SIZE])
{
    size_t length = (size_t)info->bytes;
    void *bytes = length > 0 ? mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (bytes == MAP_FAILED) {
        snprintf(ret_why, INPUT_WHY_SIZE, "it is empty");
        return false;
    }
    bool is_usable =
        input_judge(input->request->api->parts.settings, bytes, length, ret_info, ret_why);
    munmap(bytes, length);
    return is_usable;
}

static enum input_outcome take_stored(const struct input *input, const char *from,
                                      struct task_image *image)
{
    struct asset_store *assets = input->request->api->parts.assets;
    CLEANUP(close_fd) int fd = -1;
    struct asset_info info;
    int result = asset_get(assets, from, &fd, &info);
    if (result > 0)
        return missing(input);
    struct image_info found;
    char why[INPUT_WHY_SIZE];
    if (result == ASSET_OK && !judge_stored(input, fd, &info, &found, why))
        return invalid(input, "%s", why);
    char key[ASSET_KEY_MAX + 1] = "";
    if (result == ASSET_OK) {
        name_input(input, image, image_type_extension(found.type), key);
        result = asset_copy(assets, from, key, &info);
    }
    if (result == ASSET_NOT_FOUND)
        return missing(input);
    return stored(input, key, result, &info, image);
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

enum input_outcome input_decode(struct api_request *request, const char *text, uint8_t **ret_bytes,
                                size_t *ret_length, char ret_why[INPUT_WHY_SIZE])
{
    long long most = (long long)request->api->parts.settings->image_bytes;
    const char *why = NULL;
    if (strncasecmp(text, "data:", 5) == 0) {
        text = data_of_uri(text);
        if (text == NULL)
            why = "its data URI is not of the form data:image/png;base64,…";
    }
    size_t length = text != NULL ? strlen(text) : 0;
    if (why == NULL && length == 0)
        why = "it is empty";
    snprintf(ret_why, INPUT_WHY_SIZE, "%s", why != NULL ? why : "");
    /* Wrapped lines add a few per cent; what is twice too long needs no decoding to be refused. */
    if (why == NULL && length / 8 * 3 > (size_t)most)
        snprintf(ret_why, INPUT_WHY_SIZE, "it has more than %lld bytes", most);
    if (ret_why[0] != '\0')
        return INPUT_INVALID;
    size_t room = length / 4 * 3 + 3;
    CLEANUP(free_pointer)
    uint8_t *bytes = api_request_charge(request, room) ? malloc(room) : NULL;
    if (bytes == NULL)
        return INPUT_NO_MEMORY;
    if (!codec_base64_decode(text, length, bytes, ret_length)) {
        snprintf(ret_why, INPUT_WHY_SIZE, "it is neither an http(s) URL nor base64");
        return INPUT_INVALID;
    }
    *ret_bytes = TAKE(bytes);
    return INPUT_STORED;
}

static enum input_outcome store_text(const struct input *input, const char *text,
                                     struct task_image *image)
{
    CLEANUP(free_pointer) uint8_t *bytes = NULL;
    size_t length = 0;
    char why[INPUT_WHY_SIZE];
    enum input_outcome outcome = input_decode(input->request, text, &bytes, &length, why);
    if (outcome != INPUT_STORED)
        return outcome == INPUT_INVALID ? invalid(input, "%s", why) : outcome;
    return store_bytes(input, bytes, length, image);
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
    char key[ASSET_KEY_MAX + 1];
    switch (owned_find(input->request, given->text, key)) {
    case OWNED_FOUND:
        return take_stored(input, key, image);
    case OWNED_MISSING:
        return missing(input);
    case OWNED_FAILED:
        return INPUT_STORE_FAILED;
    case OWNED_NOT:
        break;
    }
    if (!given->is_url)
        return store_text(input, given->text, image);
    char problem[200];
    if (!guard_check_url(given->text, problem))
        return invalid(input, "%s", problem);
    image->url = must_strdup(given->text);
    return INPUT_STORED;
}

/* Of an earlier task: a link as it was given, or the stored bytes. */
static enum input_outcome carry_one(const struct input *input, const struct task_image *original,
                                    struct task_image *image)
{
    image->role = original->role;
    id_new("media", image->media_id, sizeof(image->media_id));
    if (original->key == NULL) {
        image->url = must_strdup(original->url);
        return INPUT_STORED;
    }
    char key[ASSET_KEY_MAX + 1];
    name_input(input, image, strrchr(original->key, '.') + 1, key);
    struct asset_info info;
    int result = asset_copy(input->request->api->parts.assets, original->key, key, &info);
    if (result == ASSET_NOT_FOUND)
        return invalid(input, "the original's is no longer kept: send it again");
    return stored(input, key, result, &info, image);
}

/* Where the images of a new task come from. */
struct source {
    size_t count;
    const struct unified_image *given; /* NULL: an earlier task's */
    const struct multipart_file *files;
    const struct task_image *original;
};

static enum input_outcome store_all(struct api_request *request, const struct source *source,
                                    struct task_request *task, struct unified_fault *ret_fault)
{
    struct input input = {.request = request, .task_id = task->id, .fault = ret_fault};
    if (source->count == 0)
        return INPUT_STORED;
    must(task->images == NULL && source->count <= TASK_IMAGES_MAX);
    task->images = must_calloc(source->count, sizeof(task->images[0]));
    enum input_outcome outcome = INPUT_STORED;
    bool has_stored = false;
    for (size_t i = 0; i < source->count && outcome == INPUT_STORED; i++) {
        struct task_image *image = &task->images[i];
        input.number = i + 1;
        task->n_images = i + 1; /* so that a request given up frees what it has */
        outcome = source->given != NULL ? store_one(&input, &source->given[i], source->files, image)
                                        : carry_one(&input, &source->original[i], image);
        has_stored = has_stored || image->key != NULL;
    }
    if (outcome != INPUT_STORED && has_stored &&
        asset_erase_task(request->api->parts.assets, task->id) < 0)
        log_task(LOG_WARN, task->id, "erasing the inputs of a refused request failed");
    return outcome;
}

enum input_outcome input_store(struct api_request *request, const struct unified_decoded *decoded,
                               const struct multipart_file *files, struct unified_fault *ret_fault)
{
    const struct source source = {
        .count = decoded->n_images, .given = decoded->images, .files = files};
    return store_all(request, &source, decoded->request, ret_fault);
}

enum input_outcome input_carry(struct api_request *request, const struct task_request *original,
                               struct task_request *task, struct unified_fault *ret_fault)
{
    const struct source source = {.count = original->n_images, .original = original->images};
    return store_all(request, &source, task, ret_fault);
}
