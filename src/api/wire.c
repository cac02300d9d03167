/* SPDX-License-Identifier: Apache-2.0
 *
 * The library takes Content-Length beside Transfer-Encoding, two Content-Lengths, two Hosts, names
 * with a blank before the colon, NUL bytes and codings that it does not know. A proxy before us may
 * read such a message otherwise than we do, and that difference is how requests are smuggled.
 * Runs on the HTTP threads; nothing here is shared. */
#include "api/wire.h"

#include <string.h>
#include <strings.h>

static const char TOKEN_MARKS[] = "!#$%&'*+-.^_`|~";

void wire_line(struct wire_line *line, const char *uri)
{
    *line = (struct wire_line){.uri = uri, .length = strlen(uri)};
    line->has_encoded_nul = strstr(uri, "%00") != NULL;
}

static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_plain && (c == '\0' || strchr(TOKEN_MARKS, c) == NULL))
            return false;
    }
    return length > 0;
}

static bool is_field_value(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_named(const char *name, size_t size, const char *wanted)
{
    return size == strlen(wanted) && strncasecmp(name, wanted, size) == 0;
}

/* Digits only: no sign, no list, and nothing that a 63-bit number cannot hold. */
static int64_t read_length(const char *value, size_t size)
{
    int64_t length = 0;
    if (size < 1 || size > 18)
        return -1;
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9')
            return -1;
        length = length * 10 + (value[i] - '0');
    }
    return length;
}

static void complain(struct wire_facts *facts, const char *problem)
{
    if (facts->problem == NULL)
        facts->problem = problem;
}

void wire_header(struct wire_facts *facts, const char *name, size_t name_size, const char *value,
                 size_t value_size)
{
    if (!is_token(name, name_size))
        complain(facts, "A header's name holds a character that it may not hold.");
    if (!is_field_value(value, value_size))
        complain(facts, "A header's value holds a control character.");
    if (is_named(name, name_size, "Content-Length")) {
        facts->n_content_lengths++;
        facts->content_length = read_length(value, value_size);
        if (facts->content_length < 0)
            complain(facts, "Content-Length is not a number.");
    } else if (is_named(name, name_size, "Transfer-Encoding")) {
        facts->n_transfer_encodings++;
        facts->is_chunked = is_named(value, value_size, "chunked");
        if (!facts->is_chunked)
            complain(facts, "The only Transfer-Encoding understood here is chunked.");
    } else if (is_named(name, name_size, "Host")) {
        facts->n_hosts++;
    } else if (is_named(name, name_size, "Expect")) {
        facts->expects_continue = is_named(value, value_size, "100-continue");
    }
}

void wire_conclude(struct wire_facts *facts, const char *version)
{
    if (facts->n_content_lengths > 1)
        complain(facts, "There is more than one Content-Length.");
    if (facts->n_transfer_encodings > 1)
        complain(facts, "There is more than one Transfer-Encoding.");
    if (facts->n_content_lengths > 0 && facts->n_transfer_encodings > 0)
        complain(facts, "Content-Length and Transfer-Encoding exclude each other.");
    if (facts->n_hosts > 1)
        complain(facts, "There is more than one Host.");
    bool is_old = strcmp(version, "HTTP/1.1") != 0;
    if (facts->n_hosts == 0 && !is_old)
        complain(facts, "There is no Host.");
    if (facts->n_transfer_encodings > 0 && is_old)
        complain(facts, "Transfer-Encoding belongs to HTTP/1.1.");
    if (facts->n_content_lengths == 0)
        facts->content_length = -1;
}

bool wire_has_body(const struct wire_facts *facts)
{
    return facts->is_chunked || facts->content_length > 0;
}

/* The library ends a value at a raw NUL and passes over what follows. It keeps the head of a request in one
 * buffer, in order, so what was hidden lies between the end of one value and the next name. */
struct head_walk {
    struct wire_facts *facts;
    const char *end; /* of the last value; NULL before the first */
};

enum { HEAD_MAX = 65536 }; /* farther apart, two texts are not of one head */

/* Is there nothing but line ends and blanks from `from` to `to`? Reads only if both may lie in one head. */
static bool is_blank_between(const char *from, const char *to)
{
    uintptr_t first = (uintptr_t)from;
    uintptr_t last = (uintptr_t)to;
    if (last <= first || last - first > HEAD_MAX)
        return true;
    for (size_t i = 0; i < last - first; i++) {
        if (from[i] != '\0' && strchr("\r\n \t", from[i]) == NULL)
            return false;
    }
    return true;
}

static enum MHD_Result see_header(void *context, enum MHD_ValueKind kind UNUSED, const char *name,
                                  size_t name_size, const char *value, size_t value_size)
{
    struct head_walk *walk = context;
    wire_header(walk->facts, name, name_size, value != NULL ? value : "", value_size);
    if (walk->end != NULL && !is_blank_between(walk->end, name))
        complain(walk->facts, "A header's value holds a control character.");
    walk->end = value != NULL ? value + value_size : name + name_size;
    return MHD_YES;
}

static enum MHD_Result see_argument(void *context, enum MHD_ValueKind kind UNUSED, const char *name,
                                    size_t name_size, const char *value, size_t value_size)
{
    if (memchr(name, '\0', name_size) != NULL ||
        (value != NULL && memchr(value, '\0', value_size) != NULL))
        complain(context, "The address holds a NUL.");
    return MHD_YES;
}

/* The library ends the address at a raw NUL and passes over what follows. It keeps the line in one
 * buffer, where the version follows the address after one blank; a wider gap is what was hidden. */
static bool hides_bytes(const struct wire_line *line, const char *version)
{
    uintptr_t end = (uintptr_t)line->uri + line->length;
    uintptr_t next = (uintptr_t)version;
    return line->uri != NULL && next > end + 1 && next - end < HEAD_MAX;
}

enum wire_verdict wire_check(struct MHD_Connection *connection, const struct wire_line *line,
                             const char *method, const char *version, struct wire_facts *ret_facts)
{
    struct wire_facts facts = {.content_length = -1};
    struct head_walk walk = {.facts = &facts};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, see_header, &walk);
    if (walk.end != NULL && line->uri != NULL) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
        const char *head = line->uri - strlen(method) - 1;
        if (info != NULL && !is_blank_between(walk.end, head + info->header_size))
            complain(&facts, "A header's value holds a control character.");
    }
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, see_argument, &facts);
    if (line->has_encoded_nul || hides_bytes(line, version))
        complain(&facts, "The address holds a NUL.");
    wire_conclude(&facts, version);
    *ret_facts = facts;
    if (facts.problem != NULL)
        return WIRE_BROKEN;
    return line->length > WIRE_URI_MAX ? WIRE_URI_TOO_LONG : WIRE_FINE;
}
