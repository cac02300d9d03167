/* SPDX-License-Identifier: Apache-2.0
 *
 * FNV-1a with its usual offsets and primes, over the bytes before the NUL. Any thread. */
#include "base/hash.h"

uint32_t hash_text32(const char *text)
{
    uint32_t hash = 2166136261U;
    for (const char *c = text; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    }
    return hash;
}

uint64_t hash_text64(const char *text)
{
    uint64_t hash = 14695981039346656037U;
    for (const char *c = text; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * 1099511628211U;
    }
    return hash;
}
