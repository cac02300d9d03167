/* SPDX-License-Identifier: Apache-2.0
 *
 * The companions of a finished video: thumbnail, preview, smaller copy, marked copy. Runs in the helper. */
#pragma once

#include "base/compiler.h"
#include "media/media.h"

/* Decodes the whole source once; MEDIA_DONE with its facts, or why not with a sentence in `ret_note`. `report` hears 0..1. */
enum media_end variants_make(const struct media_variants *variants, void (*report)(double progress),
                             struct media_facts *ret_facts, char ret_note[200]);
