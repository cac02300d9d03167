/* SPDX-License-Identifier: Apache-2.0
 *
 * What an adapter's program is told of a task: all that was asked, brought into what the upstream takes; nothing of its
 * tenant. Pure: any thread. */
#include "upstream/describe.h"

#include <string.h>

#include "base/id.h"
#include "base/json.h"
#include "base/must.h"
#include "task/image.h"

static const char *const role_words[] = {
    [TASK_IMAGE_INPUT] = "input",
    [TASK_IMAGE_FIRST] = "first",
    [TASK_IMAGE_LAST] = "last",
    [TASK_IMAGE_REFERENCE] = "reference",
};

void describe_uuid(const char *typeid, char ret_text[37])
{
    char prefix[ID_PREFIX_MAX + 1];
    struct uuid uuid;
    must(id_typeid_read(typeid, prefix, &uuid));
    id_uuid_write(&uuid, ret_text);
}

/* What clients sent was looked at when it came, and is named by what it is; what they named is not at hand yet. */
static const char *type_of(const struct task_image *image)
{
    const char *extension = image->key != NULL ? strrchr(image->key, '.') : NULL;
    for (int type = IMAGE_PNG; extension != NULL && type <= IMAGE_GIF; type++)
        if (strcmp(extension + 1, image_type_extension((enum image_type)type)) == 0)
            return image_type_mime((enum image_type)type);
    return NULL;
}

static json_t *describe_images(const struct task_request *request)
{
    json_t *images = json_array();
    for (size_t i = 0; i < request->n_images; i++) {
        json_t *image = json_object();
        json_set_text(image, "role", role_words[request->images[i].role]);
        json_set_text(image, "url", request->images[i].url);
        json_set_text(image, "type", type_of(&request->images[i]));
        must(json_array_append_new(images, image) == 0);
    }
    return images;
}

json_t *describe_task(const struct task_request *request, const struct channel *channel,
                      const char *model, const struct channel_fit *fit, const char *attempt_id)
{
    char uuid[37];
    json_t *task = json_object();
    must(task != NULL);
    describe_uuid(attempt_id, uuid);
    json_set_text(task, "id", request->id);
    json_set_text(task, "attempt", attempt_id);
    json_set_text(task, "attempt_uuid", uuid);
    json_set_text(task, "model", model);
    json_set_text(task, "asked_model", request->model);
    json_set_text(task, "prompt", request->prompt);
    json_set_text(task, "negative_prompt", request->negative_prompt);
    json_set(task, "duration", json_integer(fit->duration_s));
    json_set(task, "width", json_integer(fit->width));
    json_set(task, "height", json_integer(fit->height));
    json_set_text(task, "aspect_ratio", fit->ratio);
    json_set_text(task, "resolution", fit->resolution);
    json_set_text(task, "orientation", request->orientation);
    json_set(task, "seed", request->has_seed ? json_integer(request->seed) : json_null());
    json_set(task, "watermark",
             request->has_watermark_wish ? json_boolean(request->watermark) : json_null());
    json_set(task, "enhance_prompt", json_boolean(request->enhance_prompt));
    json_set_text(task, "style", request->style);
    json_set_text(task, "title", request->title);
    json_set(task, "images", describe_images(request));
    json_set(task, "extra", request->extra ? json_incref(request->extra) : json_object());
    json_set(task, "options", json_incref((json_t *)(uintptr_t)channel->options));
    return task;
}
