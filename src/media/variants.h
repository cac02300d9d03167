/* SPDX-License-Identifier: Apache-2.0
 *
 * The companions of a finished video: thumbnail, preview, sprite sheet, smaller copy, marked copy.
 * Runs in the helper. */
#pragma once

#include "base/compiler.h"
#include "media/caption.h"
#include "media/media.h"

/* What marked copies bear. Reads fonts, which variants_make() does not: made before the helper's
 * sandbox closes. */
struct caption_mark *variants_mark(void);
/* Decodes the whole source once; MEDIA_DONE with its facts, or why not with a sentence in
 * `ret_note`. `mark` may be NULL when no marked copy is wanted. `report` hears 0..1. */
enum media_end variants_make(const struct media_variants *variants, const struct caption_mark *mark,
                             void (*report)(double progress), struct media_facts *ret_facts,
                             char ret_note[200]);
