/* SPDX-License-Identifier: Apache-2.0
 *
 * A foreign body made ready for jq: strictly checked JSON (RFC 8259), of which nothing reaches libjq that it cannot
 * take. Numbers that a double does not hold become texts with their exact digits, long base64 goes into a file, NUL and
 * lone surrogates become U+FFFD. Pure but for the blob file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "upstream/adapter.h"

enum {
    CONDENSE_DEPTH_MAX = 64,
    CONDENSE_TEXT_BYTES = 2000, /* shown of a body that is not JSON */
};

enum condense_end {
    CONDENSE_DONE,
    CONDENSE_NOT_JSON,
    CONDENSE_TOO_DEEP,
    CONDENSE_TOO_LARGE,  /* what is left passes the ceiling of the buffer */
    CONDENSE_UNWRITABLE, /* the blob file takes no more */
};

struct condense_blobs {
    bool are_cut; /* false: base64 stays where it is */
    int file;     /* written from its beginning; -1: what is cut out is dropped */
    struct adapter_blob list[ADAPTER_BLOBS_MAX];
    size_t n;
};

/* Adds the condensed document to `json`, an empty buffer whose ceiling is the limit. Unless CONDENSE_DONE, what is in
 * `json` and `blobs` means nothing. */
CHECKED enum condense_end condense(const char *text, size_t length, struct condense_blobs *blobs,
                                   struct buf *json);
/* Adds the beginning of what is no JSON, as a JSON string. */
void condense_text(const char *text, size_t length, struct buf *json);
