/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and examining video, as the gateway sees it: jobs for helper processes (proc/proc.h). All work with
 * libav, Pango and strangers' bytes happens in the helper; input and output go as open descriptors. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/loop.h"
#include "proc/proc.h"

enum media_end {
    MEDIA_DONE,
    MEDIA_CRASHED,
    MEDIA_STALLED,   /* no progress, or out of time */
    MEDIA_BAD_IMAGE, /* an input image cannot be decoded: `note` says which */
    MEDIA_BAD_VIDEO, /* variants: the source is no playable video */
    MEDIA_NO_SPACE,  /* writing failed: the disk is full */
    MEDIA_TOO_LARGE, /* a file would have passed its limit */
    MEDIA_NO_MEMORY, /* more memory would have been needed than a helper may take */
    MEDIA_FAILED,    /* anything else, said in `note` */
    MEDIA_END_COUNT
};

/* "done", "crashed" … */
const char *media_end_name(enum media_end end);

struct media_facts {
    int width, height, n_frames;
    int64_t duration_ms;
};

struct media_handler {
    void (*progress)(void *context,
                     double progress); /* may be NULL; 0..1; render: frames encoded / n_frames */
    /* Last callback. `facts` (of the source video) only with MEDIA_DONE. `note` may be empty, never NULL. */
    void (*ended)(void *context, enum media_end end, const struct media_facts *facts,
                  const char *note);
    void *context;
};

enum { MEDIA_IMAGES_MAX = 32 };

struct media_limits {
    int64_t total_ms, stall_ms, memory_bytes, file_bytes;
};

/* The animatic renderer: images in motion with the prompt as caption, or a moving backdrop with the
 * prompt as title when there is none. Deterministic in all of these fields and the images' bytes. */
struct media_animatic {
    const char *prompt; /* UTF-8 */
    int64_t seed;
    int width, height; /* even */
    int n_frames;      /* at 30 a second */
    const int *images; /* readable descriptors of whole image files */
    size_t n_images;   /* 0..MEDIA_IMAGES_MAX */
    int output;        /* read-write descriptor of an empty file: mp4, H.264 yuv420p, faststart */
};

struct media_job;

/* 0 or negative errno; then `handler->ended` comes once, unless media_stop() is called before. */
CHECKED int media_animatic_start(struct loop *loop, const struct media_animatic *animatic,
                                 const struct media_limits *limits,
                                 const struct media_handler *handler, struct media_job **ret_job);

/* Probes a finished video and makes its companions. */
struct media_variants {
    int source; /* readable descriptor */
    int thumbnail; /* read-write descriptors of empty files: WebP still at the video's size (long side <= 1280) */
    int preview; /* GIF, at most 3 s, 240 px wide (even height), a palette of its own, looping */
    int spritesheet; /* JPEG: at most 25 evenly spaced frames of the whole film, 5 a row, each at most 160 px on its long side */
    int medium; /* mp4 H.264 yuv420p faststart, at most 480 px on the short side, smaller than the source, AAC kept as a copy where possible */
    int marked; /* mp4 with a visible mark; -1: none wanted */
};

CHECKED int media_variants_start(struct loop *loop, const struct media_variants *variants,
                                 const struct media_limits *limits,
                                 const struct media_handler *handler, struct media_job **ret_job);

/* Stops at once (the helper is killed; its partial output is the caller's to delete). Takes NULL, returns NULL. */
struct media_job *media_stop(struct media_job *job);
int media_pid(const struct media_job *job);

/* The helper's main: `filmgate helper media`. Returns an exit status, or exits by proc_finish(). */
int media_helper_main(void);
