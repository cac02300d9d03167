/* SPDX-License-Identifier: Apache-2.0
 *
 * What the libraries of this machine can do, asked in a helper like any job, so that one which
 * crashes takes nothing along: which font shows a script, which codecs open behind the sandbox. */
#pragma once

#include <jansson.h>

#include "base/compiler.h"
#include "base/loop.h"
#include "media/media.h"

struct media_probe;

struct media_probe_handler {
    /* Last callback. `report` (borrowed) only with MEDIA_DONE:
     *     {"fonts": [{"script", "family" (null: boxes)}, …], "codecs": [{"name", "is_there"}, …],
     *      "libraries": "libavcodec 59.37.100, …"}
     * `note` may be empty, never NULL. */
    void (*ended)(void *context, enum media_end end, const json_t *report, const char *note);
    void *context;
};

/* As media_animatic_start(). */
CHECKED int media_probe_start(struct loop *loop, const struct media_limits *limits,
                              const struct media_probe_handler *handler,
                              struct media_probe **ret_probe);
