/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper's side of media/probe.h. */
#pragma once

#include <jansson.h>

/* [{"script", "family"}, …]; reads fonts, so it goes before the sandbox. */
json_t *survey_fonts(void);
/* [{"name", "is_there"}, …]: each is opened as the work would open it. */
json_t *survey_codecs(void);
/* The versions that we run with. */
json_t *survey_libraries(void);
