/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts as numbers: FNV-1a. For tables, and for marks that stand in records: never another number for the same text. It
 * keeps nobody from aiming at a number. Pure. */
#pragma once

#include <stdint.h>

uint32_t hash_text32(const char *text);
uint64_t hash_text64(const char *text);
