/* SPDX-License-Identifier: Apache-2.0
 *
 * Renders 15 seconds at 352x640 from the pictures named, into nothing that stays: for bench/run. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include <libavutil/log.h>

#include "media/animatic.h"

int main(int argc, char **argv)
{
    av_log_set_level(AV_LOG_QUIET);
    int images[32];
    size_t n_images = 0;
    for (int i = 1; i < argc && n_images < 32; i++) {
        images[n_images++] = open(argv[i], O_RDONLY | O_CLOEXEC);
    }
    const struct media_animatic animatic = {
        .prompt = "make animate",
        .seed = 1,
        .width = 352,
        .height = 640,
        .n_frames = 450,
        .images = images,
        .n_images = n_images,
        .output = memfd_create("out.mp4", MFD_CLOEXEC),
    };
    char note[200] = "";
    struct caption *caption = animatic_caption(&animatic);
    enum media_end end = animatic_render(&animatic, caption, NULL, note);
    caption = caption_free(caption);
    if (end != MEDIA_DONE) {
        fprintf(stderr, "rendering failed: %s\n", note);
        return 1;
    }
    return 0;
}
