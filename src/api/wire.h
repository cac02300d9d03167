/* SPDX-License-Identifier: Apache-2.0
 *
 * Wire hygiene: what the HTTP library lets through and two parties could read differently is
 * refused before anything else looks at the request, and the connection is closed. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum {
    WIRE_URI_MAX = 8192,
    WIRE_ARGUMENTS_MAX = 200, /* with more the library may run out of memory unheard */
};

/* The request line's address as it came: a path, a URL of http or https, or `*`. One per connection, filled by wire_line(). */
struct wire_line {
    const char *uri; /* where it stood; what follows the authority changes later */
    size_t length;
    size_t authority, authority_length; /* of a URL; else 0, 0 */
    size_t path;                        /* where it begins; 0 but in a URL */
    const char *problem;                /* as in struct wire_facts */
    bool has_too_many_arguments; /* among the problems; the library may never get to say it */
};

/* Takes apart an address before it is decoded. Pure. */
void wire_line(struct wire_line *line, const char *uri);
/* The path in a decoded address. */
const char *wire_path(const struct wire_line *line, const char *url);

/* What the headers say about the message. Zero it first. */
struct wire_facts {
    int64_t content_length; /* -1: none given */
    int n_content_lengths, n_transfer_encodings, n_hosts;
    bool is_chunked;
    bool expects_continue, expects_other;
    const char *host; /* the last Host; the library's */
    size_t host_size;
    const char *problem; /* NULL, or the first thing that is wrong: one static sentence */
};

/* Takes one header into account, as the library hands it out. Pure. */
void wire_header(struct wire_facts *facts, const char *name, size_t name_size, const char *value,
                 size_t value_size);
/* After the last header. Pure. */
void wire_conclude(struct wire_facts *facts, const char *version);
bool wire_has_body(const struct wire_facts *facts);

/* Is the Host that of the address, if one is there? Pure. */
CHECKED bool wire_hosts_agree(const struct wire_line *line, const struct wire_facts *facts);

enum wire_verdict { WIRE_FINE, WIRE_BROKEN, WIRE_URI_TOO_LONG, WIRE_EXPECTATION };

/* Judges a request at the library's first call. With WIRE_BROKEN, `ret_facts->problem` says why. */
CHECKED enum wire_verdict wire_check(struct MHD_Connection *connection,
                                     const struct wire_line *line, const char *method,
                                     const char *version, struct wire_facts *ret_facts);
