/* SPDX-License-Identifier: Apache-2.0
 *
 * Bringing a finished task's files to a directory. */
#pragma once

#include <jansson.h>

#include "base/compiler.h"
#include "cli/client.h"

/* Makes the directory unless it is there. CLI_OK, or an exit status after complaining. */
CHECKED int output_prepare(const char *directory);
/* Downloads video.mp4, md.mp4, preview.gif and thumbnail.webp of a completed task's view, and
 * writes answer.json last. Each file appears whole, under `NAME.part` until then; files of these
 * names are replaced. As output_prepare(). */
CHECKED int output_save(struct client *client, const json_t *view, const char *directory);
