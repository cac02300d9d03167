/* SPDX-License-Identifier: Apache-2.0
 *
 * The promises of task/task.h and task/unified.h as assertions. Single-threaded. */
#include "property.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"
#include "task/step.h"

const struct unified_limits property_limits = {.images = 4, .prompt_bytes = 100, .duration_s = 60};

enum { SIDE_LEAST = 64, SIDE_MOST = 1920 };

static const char SAMPLE_TASK[] = "task_01k6x15vhrff09dkkqjrzwhm60";
static const char SAMPLE_MEDIA[] = "media_01k6x15tnzezbst05sth2qgd8r";
static const char SAMPLE_SHA256[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const int64_t SAMPLE_MICROS = INT64_C(1759763426875729);

static void check_utf8(const char *text)
{
    must(codec_is_utf8(text, strlen(text)));
}

void property_fault(const struct unified_fault *fault)
{
    must(fault->code != NULL && fault->code[0] != '\0');
    must(memchr(fault->param, '\0', sizeof fault->param) != NULL);
    must(memchr(fault->message, '\0', sizeof fault->message) != NULL);
    must(fault->message[0] != '\0');
    check_utf8(fault->param);
    check_utf8(fault->message);
}

/* ---- tasks ---- */

static char *link_to_nowhere(void *context, const char *key, const char *attachment)
{
    (void)context;
    must(key != NULL && (attachment == NULL || attachment[0] != '\0'));
    return must_strdup("https://example.com/asset");
}

static void check_written(json_t *tree)
{
    must(json_is_object(tree));
    CLEANUP(free_pointer) char *text = json_dumps(tree, JSON_WRITE_FLAGS);
    must(text != NULL);
    json_decref(tree);
}

static void check_record(const struct task *task)
{
    CLEANUP(free_pointer) char *request = task_encode_request(task->request);
    CLEANUP(free_pointer) char *status = task_encode_status(task);
    struct task *again = task_decode(request, status);
    must(again != NULL);
    CLEANUP(free_pointer) char *request_again = task_encode_request(again->request);
    CLEANUP(free_pointer) char *status_again = task_encode_status(again);
    must(strcmp(request, request_again) == 0);
    must(strcmp(status, status_again) == 0);
    uint8_t digest[32];
    uint8_t digest_again[32];
    task_request_digest(task->request, digest);
    task_request_digest(again->request, digest_again);
    must(memcmp(digest, digest_again, sizeof digest) == 0);
    must(again->state == task->state && again->revision == task->revision);
    must(memcmp(&again->progress, &task->progress, sizeof task->progress) == 0);
    must(again->request->created_micros == task->request->created_micros);
    must(again->request->n_images == task->request->n_images);
    task_unref(again);
}

void property_task(const struct task *task)
{
    must(task_is_sound(task));
    must(task->request->n_images <= TASK_IMAGES_MAX);
    check_record(task);

    char id[TASK_PUBLIC_ID_SIZE];
    char model[TASK_MODEL_SIZE];
    char bare[ID_SHORT_SIZE];
    task_public_id(task->request, id);
    must(task_parse_id(id, model, bare));
    must(strcmp(bare, task->request->id) == 0 && strcmp(model, task->request->model) == 0);

    const struct unified_view view = {
        .link = link_to_nowhere, .user = "user-1", .queue_position = 1, .wait_s = 1.5};
    check_written(unified_render(task, &view));
    check_written(unified_render_created(task->request));
}

/* ---- requests ---- */

static bool is_side(int pixels)
{
    return pixels >= SIDE_LEAST && pixels <= SIDE_MOST && pixels % 2 == 0;
}

static void check_bounds(const struct task_request *request)
{
    must(request->model != NULL && request->model[0] != '\0');
    must(strlen(request->model) < TASK_MODEL_SIZE);
    must(request->prompt != NULL && request->prompt[0] != '\0');
    must(strlen(request->prompt) <= property_limits.prompt_bytes);
    must(request->orientation != NULL && request->size != NULL && request->operation != NULL);
    check_utf8(request->model);
    check_utf8(request->prompt);
    must(request->duration_s >= 1 && request->duration_s <= property_limits.duration_s);
    must(request->n_frames == request->duration_s * TASK_FPS);
    must(is_side(request->width) && is_side(request->height));
    must(request->priority >= 0 && request->priority <= 9 && request->n_variants == 1);
    must(request->has_seed ? request->seed >= 0 : request->seed == 0);
    must(!request->watermark || request->has_watermark_wish);
    must(request->extra == NULL || json_object_size(request->extra) > 0);
    must(request->remix_config == NULL || json_is_object(request->remix_config));
    must(request->tags == NULL || json_is_array(request->tags));
}

/* Bytes that came as base64 are the same whichever way they are written. */
static void check_base64(const char *text)
{
    size_t length = strlen(text);
    size_t n_bytes = 0;
    size_t n_again = 0;
    CLEANUP(free_pointer) uint8_t *bytes = must_calloc(length / 4 * 3 + 3, 1);
    if (!codec_base64_decode(text, length, bytes, &n_bytes))
        return;
    must(n_bytes <= length / 4 * 3 + 3);
    CLEANUP(free_pointer) char *written = must_calloc(codec_base64_length(n_bytes) + 1, 1);
    CLEANUP(free_pointer) uint8_t *again = must_calloc(n_bytes + 3, 1);
    codec_base64_encode(bytes, n_bytes, written);
    must(codec_base64_decode(written, strlen(written), again, &n_again));
    must(n_again == n_bytes && memcmp(bytes, again, n_bytes) == 0);
}

static void give_image(const struct unified_image *image, size_t n_parts, struct task_image *ret)
{
    ret->role = image->role;
    (void)snprintf(ret->media_id, sizeof ret->media_id, "%s", SAMPLE_MEDIA);
    must(image->text != NULL || (!image->is_url && image->part < n_parts));
    if (image->is_url) {
        check_utf8(image->text);
        ret->url = must_strdup(image->text);
        return;
    }
    if (image->text != NULL)
        check_base64(image->text);
    ret->key = must_strdup("task_01k6x15vhrff09dkkqjrzwhm60/media_01k6x15tnzezbst05sth2qgd8r.png");
    ret->sha256 = must_strdup(SAMPLE_SHA256);
}

/* What the API adds before it stores a request. */
static void complete(struct unified_decoded *decoded, size_t n_parts)
{
    struct task_request *request = decoded->request;
    must(decoded->n_images <= property_limits.images);
    (void)snprintf(request->id, sizeof request->id, "%s", SAMPLE_TASK);
    request->tenant = must_strdup("tenant-1");
    request->created_micros = SAMPLE_MICROS;
    if (decoded->n_images > 0)
        request->images = must_calloc(decoded->n_images, sizeof *request->images);
    request->n_images = decoded->n_images;
    for (size_t i = 0; i < decoded->n_images; i++)
        give_image(&decoded->images[i], n_parts, &request->images[i]);
}

void property_decoded(struct unified_decoded *decoded, size_t n_parts)
{
    check_bounds(decoded->request);
    complete(decoded, n_parts);
    const struct task *task =
        task_new(task_request_ref(decoded->request), SAMPLE_MICROS / 1000 + 60000);
    property_task(task);
    task_unref(task);
}
