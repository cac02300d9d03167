/* SPDX-License-Identifier: Apache-2.0
 *
 * An input image's bytes on their way to pixels. No decoder passes the limit of pixels, whatever
 * the headers claimed, and a loaded picture has its sides within bounds and all of its bytes. */
#include "harness.h"

#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <stdbool.h>

#include "media/picture.h"
#include "media/still.h"

enum { PIXELS_MAX = 1 << 20, SIDE_MAX = 320 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    av_log_set_level(AV_LOG_QUIET);
    return 0;
}

/* Decodes within PIXELS_MAX; so what is loaded afterwards is no bomb. */
static bool is_decodable(const uint8_t *data, size_t size)
{
    CLEANUP(free_pointer) uint8_t *bytes = must_calloc(size + AV_INPUT_BUFFER_PADDING_SIZE, 1);
    memcpy(bytes, data, size);
    struct still still = {0};
    if (still_decode(bytes, size, PIXELS_MAX, &still) < 0)
        return false;
    must(still.frame != NULL && still.frame->data[0] != NULL);
    must(still.frame->width >= 1 && still.frame->height >= 1);
    must((int64_t)still.frame->width * still.frame->height <= PIXELS_MAX);
    must(still.orientation >= 1 && still.orientation <= 8);
    still_fini(&still);
    return true;
}

static void check_picture(const struct picture *picture)
{
    must(picture->width >= 1 && picture->width <= SIDE_MAX);
    must(picture->height >= 1 && picture->height <= SIDE_MAX);
    size_t n_bytes = (size_t)picture->width * (size_t)picture->height;
    volatile uint8_t sum = 0;
    for (size_t plane = 0; plane < 3; plane++) {
        must(picture->plane[plane] != NULL);
        sum = (uint8_t)(sum + picture->plane[plane][0] + picture->plane[plane][n_bytes - 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!is_decodable(data, size))
        return 0;
    CLEANUP(close_fd) int fd = harness_file(data, size);
    struct picture picture;
    if (picture_load(fd, SIDE_MAX, &picture) < 0)
        return 0;
    check_picture(&picture);
    picture_fini(&picture);
    return 0;
}
