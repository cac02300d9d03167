/* SPDX-License-Identifier: Apache-2.0
 *
 * What an answer, or the lack of one, means to a person: one sentence, a code for programs, and
 * what to do about it. Pure. */
#pragma once

#include <curl/curl.h>

#include "base/compiler.h"
#include "cli/client.h"

/* No answer came: libcurl's reason, and its own words on it (may be empty). `url` is what was
 * tried. Writes code, sentence and hint of `answer`. */
enum client_outcome client_sentence_of_silence(CURLcode reason, const char *words, const char *url,
                                               struct client_answer *answer);

/* What the HTTP library knows of an answer besides its status and body. */
struct client_sentence_head {
    const char *url;      /* that answered */
    const char *type;     /* content type, NULL: not said */
    const char *location; /* where a redirect leads to, NULL: none */
    bool has_key;         /* the request carried a key */
};

/* An answer came, `answer->status` and `answer->json` (NULL: its body is not JSON) are set. Writes
 * code, sentence and hint unless it is CLIENT_OK. */
enum client_outcome client_sentence_of_answer(const struct client_sentence_head *head,
                                              struct client_answer *answer);
