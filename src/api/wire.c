/* SPDX-License-Identifier: Apache-2.0
 *
 * The library takes Content-Length beside Transfer-Encoding, two Content-Lengths, two Hosts, names
 * with a blank before the colon, NUL bytes, codings that it does not know, folded lines, lines that end
 * in a bare CR or LF, blanks in addresses and more than one between the parts of the request line. A proxy before us may
 * read such a message otherwise than we do, and that difference is how requests are smuggled.
 * Runs on the HTTP threads; nothing here is shared. */
#include "api/wire.h"

#include <string.h>
#include <strings.h>

#include "api/origin.h"

static const char TOKEN_MARKS[] = "!#$%&'*+-.^_`|~";

static const char *judge_bytes(const char *uri, size_t length)
{
    if (strstr(uri, "%00") != NULL)
        return "The address holds a NUL.";
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)uri[i];
        if (c <= 0x20 || c == 0x7f)
            return "The address holds a blank or a control character: a blank is written as %20.";
    }
    return NULL;
}

/* Finds authority and path of a URL. */
static const char *split_url(struct wire_line *line)
{
    static const char *const SCHEMES[] = {"http://", "https://"};
    for (size_t i = 0; i < ARRAY_LENGTH(SCHEMES); i++) {
        size_t length = strlen(SCHEMES[i]);
        if (strncasecmp(line->uri, SCHEMES[i], length) != 0)
            continue;
        line->authority = length;
        line->authority_length = strcspn(line->uri + length, "/?#");
        line->path = length + line->authority_length;
        if (!origin_is_host(line->uri + length, line->authority_length))
            return "The address must name a host as in http://video.example.com:8080/.";
        return NULL;
    }
    return "The address is neither a path nor a URL of http or https.";
}

static size_t count_arguments(const char *uri)
{
    size_t n_arguments = 1;
    for (const char *c = strchr(uri, '&'); c != NULL; c = strchr(c + 1, '&'))
        n_arguments++;
    return n_arguments;
}

void wire_line(struct wire_line *line, const char *uri)
{
    *line = (struct wire_line){.uri = uri, .length = strlen(uri)};
    line->problem = judge_bytes(uri, line->length);
    if (line->problem == NULL && uri[0] != '/' && strcmp(uri, "*") != 0)
        line->problem = split_url(line);
    line->has_too_many_arguments = count_arguments(uri) > WIRE_ARGUMENTS_MAX;
    if (line->problem == NULL && line->has_too_many_arguments)
        line->problem = "The address has more than 200 arguments.";
}

const char *wire_path(const struct wire_line *line, const char *url)
{
    return url[line->path] != '\0' ? url + line->path : "/";
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
        facts->host = value;
        facts->host_size = value_size;
        if (!origin_is_host(value, value_size))
            complain(facts,
                     "Host must be a host with or without a port, as in video.example.com:8080.");
    } else if (is_named(name, name_size, "Expect")) {
        if (is_named(value, value_size, "100-continue"))
            facts->expects_continue = true;
        else
            facts->expects_other = true;
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
    bool is_old = strcmp(version, "HTTP/1.0") == 0;
    if (!is_old && strcmp(version, "HTTP/1.1") != 0)
        complain(facts, "The version is neither HTTP/1.1 nor HTTP/1.0.");
    if (facts->n_hosts == 0 && !is_old)
        complain(facts, "There is no Host header, and HTTP/1.1 asks for one.");
    if (facts->n_transfer_encodings > 0 && is_old)
        complain(facts, "Transfer-Encoding belongs to HTTP/1.1.");
    if (facts->n_content_lengths == 0)
        facts->content_length = -1;
}

bool wire_has_body(const struct wire_facts *facts)
{
    return facts->is_chunked || facts->content_length > 0;
}

bool wire_hosts_agree(const struct wire_line *line, const struct wire_facts *facts)
{
    if (line->authority_length == 0 || facts->n_hosts == 0)
        return true;
    return facts->host_size == line->authority_length &&
           strncasecmp(facts->host, line->uri + line->authority, facts->host_size) == 0;
}

/* The library keeps the head of a request in one buffer, in order, and writes NUL over the separators:
 *
 *     GET 0 /path 0 HTTP/1.1 00 Host 0  a 00 Name 0  value 00 00
 *
 * What stands wider or closer than this held something that the library passed over or took for a line's end: a raw NUL
 * and what it hid, a folded line, a bare CR or LF. */
struct head_walk {
    struct wire_facts *facts;
    const char *end; /* of the version, or of the last value */
};

static const char LAYOUT_PROBLEM[] = "A line of the head holds a control character, is folded, or "
                                     "does not end in CR and LF.";

/* Are there `n_bytes` from `from` to `to`, all of them of line ends? */
static bool is_line_end(const char *from, const char *to, size_t n_bytes)
{
    if ((uintptr_t)to - (uintptr_t)from != n_bytes)
        return false;
    for (size_t i = 0; i < n_bytes; i++) {
        if (from[i] != '\0' && from[i] != '\r' && from[i] != '\n')
            return false;
    }
    return true;
}

static enum MHD_Result see_header(void *context, enum MHD_ValueKind kind UNUSED, const char *name,
                                  size_t name_size, const char *value, size_t value_size)
{
    struct head_walk *walk = context;
    wire_header(walk->facts, name, name_size, value != NULL ? value : "", value_size);
    if (!is_line_end(walk->end, name, 2))
        complain(walk->facts, LAYOUT_PROBLEM);
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

static void check_line(struct wire_facts *facts, const struct wire_line *line, const char *method,
                       const char *version)
{
    size_t length = strlen(method);
    if (line->problem != NULL)
        complain(facts, line->problem);
    if (!is_token(method, length))
        complain(facts, "The method holds a character that it may not hold.");
    if ((uintptr_t)line->uri - (uintptr_t)method != length + 1)
        complain(facts, "There is not one blank between method and address.");
    if ((uintptr_t)version - (uintptr_t)line->uri != line->length + 1)
        complain(facts, "There is not one blank between address and version, or the address holds "
                        "a NUL.");
    if (strcmp(line->uri, "*") == 0 && strcmp(method, "OPTIONS") != 0)
        complain(facts, "The address * is for OPTIONS alone.");
}

static void check_head(struct wire_facts *facts, struct MHD_Connection *connection,
                       const char *method, const char *version)
{
    struct head_walk walk = {facts, version + strlen(version)};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, see_header, &walk);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (info == NULL || !is_line_end(walk.end, method + info->header_size, 4))
        complain(facts, LAYOUT_PROBLEM);
}

enum wire_verdict wire_check(struct MHD_Connection *connection, const struct wire_line *line,
                             const char *method, const char *version, struct wire_facts *ret_facts)
{
    struct wire_facts facts = {.content_length = -1};
    check_line(&facts, line, method, version);
    check_head(&facts, connection, method, version);
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, see_argument, &facts);
    wire_conclude(&facts, version);
    if (!wire_hosts_agree(line, &facts))
        complain(&facts, "Host is not that of the address.");
    *ret_facts = facts;
    if (facts.problem != NULL)
        return WIRE_BROKEN;
    if (line->length > WIRE_URI_MAX)
        return WIRE_URI_TOO_LONG;
    return facts.expects_other ? WIRE_EXPECTATION : WIRE_FINE;
}
