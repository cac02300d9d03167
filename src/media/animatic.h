/* SPDX-License-Identifier: Apache-2.0
 *
 * The animatic renderer: a storyboard set in motion. Runs in the helper. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "media/caption.h"
#include "media/media.h"

/* The caption or title of `animatic`, NULL when its prompt shows nothing. The only part of the work
 * that opens files (the fonts): done before the helper's sandbox closes. */
struct caption *animatic_caption(const struct media_animatic *animatic);
/* Renders `animatic` with `caption` (may be NULL) into animatic->output; `report` is told about
 * each frame encoded (1..n_frames), before that with 0 about each image loaded (a sign of life),
 * and may be NULL. MEDIA_DONE, or why not, with a sentence in `ret_note`. */
enum media_end animatic_render(const struct media_animatic *animatic, const struct caption *caption,
                               void (*report)(int frames_encoded), char ret_note[200]);
