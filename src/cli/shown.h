/* SPDX-License-Identifier: Apache-2.0
 *
 * What commands read from an answer about a task. Pure. */
#pragma once

#include <jansson.h>

/* completed, failed, cancelled; or what happens meanwhile: queued, processing. */
const char *shown_status(const json_t *view);
