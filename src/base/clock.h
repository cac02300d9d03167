/* SPDX-License-Identifier: Apache-2.0
 *
 * The two clocks and how times are written. Only shells call the first four; pure code gets
 * `now` as an argument. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

int64_t clock_wall_micros(void); /* since 1970, UTC; may jump */
int64_t clock_wall_ms(void);
int64_t clock_mono_ms(void); /* never jumps; zero is arbitrary */
int64_t clock_mono_micros(void);

enum { CLOCK_ISO_MICROS_SIZE = 28, CLOCK_ISO_SECONDS_SIZE = 21 };

/* `2025-10-06T15:10:26.875729Z` (RFC 3339, always six decimals). Years 1970 to 9999. */
void clock_iso_micros(int64_t micros, char ret_text[CLOCK_ISO_MICROS_SIZE]);
/* `2025-10-06T15:10:26Z` */
void clock_iso_seconds(int64_t seconds, char ret_text[CLOCK_ISO_SECONDS_SIZE]);
/* Reads exactly the form that clock_iso_seconds writes; false for anything else. */
CHECKED bool clock_parse_iso_seconds(const char *text, int64_t *ret_seconds);
