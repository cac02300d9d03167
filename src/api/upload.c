/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking in an image that tasks may use later: POST /v1/files as the OpenAI SDKs send it, and POST /v1/assets/upload as
 * clients of relays do. Both take a form, JSON around a data URI or base64, or the bare bytes. First a place in the store's
 * table, hidden, then the bytes, then the file is shown: whoever is told of a file has all of it, and what is cut off in
 * between is swept away. On HTTP threads, which may block on the disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/body.h"
#include "api/handler.h"
#include "api/input.h"
#include "api/owned.h"
#include "api/task.h"
#include "api/uploaded.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"

enum {
    LIFE_LEAST_S = 3600,
    LIFE_MOST_S = 30 * 24 * 3600
}; /* of `expires_after`, as OpenAI has it */

/* What a request brings. */
struct upload {
    struct body body; /* empty when it is bare bytes */
    uint8_t *decoded; /* ours, where the bytes came as text */
    const uint8_t *bytes;
    size_t length;
    const char *name, *purpose; /* NULL: not said */
    int64_t life_s;             /* 0: not said */
};

static void upload_fini(struct upload *upload)
{
    free(upload->decoded);
    body_fini(&upload->body);
}

static bool refuse_image(struct api_request *request, const char *why, enum MHD_Result *ret_result)
{
    char message[INPUT_WHY_SIZE + 40];
    snprintf(message, sizeof(message), "The file cannot be used as an image: %s.", why);
    struct api_error_details details = {.param = "file", .message = message};
    *ret_result = api_reply_error(request, API_ERROR_IMAGE_INVALID, &details);
    return false;
}

/* ---- what was sent ---- */

/* The first field that holds the file, and its name. */
static const json_t *find_file(const json_t *object)
{
    static const char *const names[] = {"file", "image", "image_url", "data", "content"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const json_t *value = json_object_get(object, names[i]);
        if (json_is_array(value))
            value = json_array_get(value, 0);
        if (json_is_string(value) || json_object_get(value, "$part") != NULL)
            return value;
    }
    return NULL;
}

static bool take_text(struct api_request *request, const char *text, struct upload *upload,
                      enum MHD_Result *ret_result)
{
    char why[INPUT_WHY_SIZE];
    switch (input_decode(request, text, &upload->decoded, &upload->length, why)) {
    case INPUT_STORED:
        upload->bytes = upload->decoded;
        return true;
    case INPUT_INVALID:
        return refuse_image(request, why, ret_result);
    case INPUT_NO_MEMORY:
    case INPUT_STORE_FAILED:
        break;
    }
    *ret_result = api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    return false;
}

static bool take_file(struct api_request *request, struct upload *upload,
                      enum MHD_Result *ret_result)
{
    const struct body *body = &upload->body;
    const json_t *value = find_file(body->object);
    const json_t *part = json_object_get(value, "$part");
    if (json_is_integer(part) && body->form != NULL) {
        const struct multipart_file *file = &body->form->files[json_integer_value(part)];
        upload->bytes = (const uint8_t *)file->data;
        upload->length = file->length;
        upload->name = file->name;
        return true;
    }
    if (json_is_string(value))
        return take_text(request, json_string_value(value), upload, ret_result);
    *ret_result = api_reply_invalid(request, "file", "Send the image as the file part \"file\".");
    return false;
}

/* `expires_after`: {"seconds": …} or a field of a form. False: it is not a time. */
static bool read_life(const json_t *object, int64_t *ret_life_s)
{
    const json_t *value = json_object_get(json_object_get(object, "expires_after"), "seconds");
    if (value == NULL)
        value = json_object_get(object, "expires_after[seconds]");
    if (value == NULL)
        return true;
    const char *text = json_string_value(value);
    char *end = NULL;
    long long seconds = text != NULL ? strtoll(text, &end, 10) : json_integer_value(value);
    if ((end != NULL && *end != '\0') || seconds < LIFE_LEAST_S || seconds > LIFE_MOST_S)
        return false;
    *ret_life_s = seconds;
    return true;
}

static bool is_purpose(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t length = strnlen(text, STORE_NAME_SIZE);
    return length > 0 && length < STORE_NAME_SIZE && strspn(text, plain) == length;
}

static bool take_fields(struct api_request *request, struct upload *upload,
                        enum MHD_Result *ret_result)
{
    const json_t *object = upload->body.object;
    const char *name = json_text(object, "filename");
    upload->purpose = json_text(object, "purpose");
    if (name != NULL && *name != '\0')
        upload->name = name;
    if (upload->purpose != NULL && !is_purpose(upload->purpose)) {
        *ret_result = api_reply_invalid(request, "purpose",
                                        "purpose must be 1 to 64 of A-Z, a-z, 0-9, _ and -.");
        return false;
    }
    if (!read_life(object, &upload->life_s)) {
        *ret_result = api_reply_invalid(
            request, "expires_after",
            "expires_after.seconds must be a number from 3600 to 2592000, after created_at.");
        return false;
    }
    return true;
}

static bool take_upload(struct api_request *request, struct upload *upload,
                        enum MHD_Result *ret_result)
{
    const char *type = api_header(request, "Content-Type");
    bool is_bare = type != NULL && (strncasecmp(type, "image/", 6) == 0 ||
                                    body_has_type(type, "application/octet-stream"));
    if (is_bare) {
        upload->bytes = (const uint8_t *)request->body;
        upload->length = request->body_length;
        return true;
    }
    return body_take(request, &upload->body, ret_result) &&
           take_file(request, upload, ret_result) && take_fields(request, upload, ret_result);
}

/* ---- keeping it ---- */

/* What its owner calls it, without folders and control characters. */
static void write_name(const char *given, enum image_type type, char ret_name[STORE_FILE_NAME_SIZE])
{
    const char *slash = given != NULL ? strrchr(given, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : given;
    const char *backslash = name != NULL ? strrchr(name, '\\') : NULL;
    size_t length = 0;
    for (const char *c = backslash != NULL ? backslash + 1 : name;
         c != NULL && *c != '\0' && length + 1 < STORE_FILE_NAME_SIZE; c++) {
        if ((unsigned char)*c >= ' ' && *c != 0x7f)
            ret_name[length++] = *c;
    }
    while (length > 0 && !codec_is_utf8(ret_name, length)) /* half a character at the end */
        length--;
    ret_name[length] = '\0';
    if (length == 0)
        snprintf(ret_name, STORE_FILE_NAME_SIZE, "image.%s", image_type_extension(type));
}

static void describe(const struct api_request *request, const struct upload *upload,
                     const struct image_info *image, struct store_file *ret_file)
{
    int64_t keep_s = request->api->parts.settings->files_keep / 1000;
    int64_t now_s = clock_wall_ms() / 1000;
    uint8_t digest[CRYPT_SHA256_SIZE];
    struct store_file file = {
        .bytes = (int64_t)upload->length, .width = image->width, .height = image->height};
    id_new("file", file.id, sizeof(file.id));
    snprintf(file.tenant, sizeof(file.tenant), "%s", request->who.tenant);
    write_name(upload->name, image->type, file.name);
    snprintf(file.purpose, sizeof(file.purpose), "%s",
             upload->purpose != NULL ? upload->purpose : "vision");
    snprintf(file.type, sizeof(file.type), "%s", image_type_mime(image->type));
    crypt_sha256(upload->bytes, upload->length, digest);
    codec_hex_encode(digest, sizeof(digest), file.sha256);
    if (upload->life_s > 0 && upload->life_s < keep_s)
        keep_s = upload->life_s;
    file.created_ms = now_s * 1000;
    file.expires_ms = (now_s + keep_s) * 1000;
    *ret_file = file;
}

static bool reply_not_kept(struct api_request *request, const char *id, int fault,
                           enum MHD_Result *ret_result)
{
    log_write(LOG_ERROR, &(struct log_about){.request_id = api_request_id(request)},
              "storing the file %s failed: %s", id, strerror(abs(fault)));
    *ret_result = api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    return false;
}

static bool keep(struct api_request *request, const struct upload *upload,
                 const struct store_file *file, enum MHD_Result *ret_result)
{
    const struct server_parts *parts = &request->api->parts;
    const struct store_file_limits limits = {parts->settings->files_per_tenant,
                                             parts->settings->files_bytes_per_tenant};
    char key[ASSET_KEY_MAX + 1];
    struct asset_info info;
    owned_key(file, key);
    int result = store_file_add(parts->store, file, &limits);
    if (result == STORE_NOT_ADMITTED) {
        *ret_result = api_reply_error(request, API_ERROR_TOO_MANY_FILES, NULL);
        return false;
    }
    if (result == 0)
        result =
            asset_put_bytes(parts->assets, key, file->type, upload->bytes, upload->length, &info);
    if (result == 0)
        result = store_file_show(parts->store, file->id);
    if (result == 0)
        return true;
    /* What is left of it, the sweep finds. */
    if (asset_erase_file(parts->assets, file->id) >= 0 &&
        store_file_forget(parts->store, file->id) < 0)
        log_warn("the hidden row of the file %s is left to the sweep", file->id);
    return reply_not_kept(request, file->id, result, ret_result);
}

/* False: `ret_result` is what the reply of an error returned. */
static bool take(struct api_request *request, struct store_file *ret_file,
                 enum MHD_Result *ret_result)
{
    CLEANUP(upload_fini) struct upload upload = {0};
    struct image_info image;
    char why[INPUT_WHY_SIZE];
    if (!take_upload(request, &upload, ret_result))
        return false;
    if (!input_judge(request->api->parts.settings, upload.bytes, upload.length, &image, why))
        return refuse_image(request, why, ret_result);
    describe(request, &upload, &image, ret_file);
    return keep(request, &upload, ret_file, ret_result);
}

/* True with what there is to say of it, the caller's; or false: `ret_result` is that of the reply. */
static bool take_and_render(struct api_request *request, json_t **ret_answer,
                            enum MHD_Result *ret_result)
{
    char base[ORIGIN_BASE_SIZE];
    struct store_file file;
    if (!api_base(request, base)) {
        *ret_result = api_reply_bad_host(request);
        return false;
    }
    if (!take(request, &file, ret_result))
        return false;
    *ret_answer = uploaded_render(request, &file, base);
    return true;
}

enum MHD_Result upload_file(struct api_request *request)
{
    json_t *answer;
    enum MHD_Result result;
    return take_and_render(request, &answer, &result) ? api_reply_tree(request, MHD_HTTP_OK, answer)
                                                      : result;
}

/* The same, and the link also where other relays have it. */
enum MHD_Result upload_asset(struct api_request *request)
{
    json_t *answer;
    enum MHD_Result result;
    if (!take_and_render(request, &answer, &result))
        return result;
    json_t *data = json_object();
    json_set_text(data, "id", json_text(answer, "id"));
    json_set_text(data, "url", json_text(answer, "url"));
    json_set(answer, "data", data);
    return api_reply_tree(request, MHD_HTTP_OK, answer);
}
