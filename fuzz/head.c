/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request: `METHOD PATH VERSION`, then lines `Name: value`. What passes the hygiene
 * has one length and one host, and the base of links built from it holds nothing but a host. */
#include "harness.h"

#include <stdlib.h>
#include <strings.h>

#include "api/origin.h"
#include "api/router.h"
#include "api/wire.h"

static const char HOST_CHARACTERS[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:";

static void check_route(const char *method, const char *path)
{
    const struct route *route = NULL;
    char allow[ROUTE_ALLOW_SIZE] = "";
    enum route_outcome outcome = route_find(method, path, false, &route);
    route_allow(path, allow);
    must(memchr(allow, '\0', sizeof allow) != NULL);
    must((outcome == ROUTE_UNKNOWN) == (strcmp(allow, "OPTIONS") == 0));
    must((outcome == ROUTE_FOUND) == (route != NULL));
    if (route != NULL)
        must(strncmp(path, route->path, strcspn(route->path, "{")) == 0);
}

static void check_base(const struct origin_facts *facts)
{
    char base[ORIGIN_BASE_SIZE] = "";
    if (!origin_base(facts, base))
        return;
    must(memchr(base, '\0', sizeof base) != NULL);
    const char *host = strncmp(base, "https://", 8) == 0 ? base + 8 : base + 7;
    must(strncmp(base, "http", 4) == 0 && strncmp(host - 3, "://", 3) == 0);
    must(host[0] != '\0' && strspn(host, HOST_CHARACTERS) == strlen(host));
}

/* One header; those that make the base are kept. */
static void take_header(char *line, struct wire_facts *facts, struct origin_facts *origin)
{
    char *value = strchr(line, ':');
    size_t name_size = value != NULL ? (size_t)(value - line) : strlen(line);
    value = value != NULL ? value + 1 : line + name_size;
    value += strspn(value, " ");
    wire_header(facts, line, name_size, value, strlen(value));
    line[name_size] = '\0';
    if (strcasecmp(line, "Host") == 0)
        origin->host = value;
    else if (strcasecmp(line, "X-Forwarded-Host") == 0)
        origin->forwarded_host = value;
    else if (strcasecmp(line, "X-Forwarded-Proto") == 0)
        origin->forwarded_proto = value;
}

static void check_facts(const struct wire_facts *facts)
{
    if (facts->problem != NULL) {
        must(facts->problem[0] != '\0');
        return;
    }
    must(facts->n_content_lengths + facts->n_transfer_encodings <= 1 && facts->n_hosts <= 1);
    must(facts->n_content_lengths == 1 ? facts->content_length >= 0 : facts->content_length == -1);
    must(facts->is_chunked == (facts->n_transfer_encodings == 1));
    must(wire_has_body(facts) == (facts->is_chunked || facts->content_length > 0));
}

/* An address that passes is a path, `*`, or a URL whose host is plain and counted right. */
static void check_line(const char *uri, const struct wire_facts *facts)
{
    struct wire_line line;
    wire_line(&line, uri);
    if (line.problem != NULL)
        return;
    const char *path = wire_path(&line, uri);
    must(path[0] != '\0' && strcspn(uri, " \t\r\n") == strlen(uri));
    must(line.authority + line.authority_length == line.path && line.path <= line.length);
    must((line.path == 0) == (uri[0] == '/' || strcmp(uri, "*") == 0));
    must(strspn(uri + line.authority, HOST_CHARACTERS) >= line.authority_length);
    if (line.path == 0 || facts->n_hosts == 0)
        must(wire_hosts_agree(&line, facts));
}

enum { HEADERS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input input = {(const char *)data, size};
    CLEANUP(free_pointer) char *first = harness_line(&input);
    if (first == NULL)
        return 0;
    char *rest = first;
    const char *method = strsep(&rest, " ");
    const char *path = rest != NULL ? strsep(&rest, " ") : "";
    const char *version = rest != NULL ? rest : "HTTP/1.1";
    check_route(method, path);

    struct wire_facts facts = {.content_length = -1};
    struct origin_facts origin = {.peer_is_trusted = size % 2 == 0};
    char *lines[HEADERS_MAX];
    size_t n_lines = 0;
    while (n_lines < HEADERS_MAX && (lines[n_lines] = harness_line(&input)) != NULL)
        take_header(lines[n_lines++], &facts, &origin);
    wire_conclude(&facts, version);
    check_facts(&facts);
    check_line(path, &facts);
    check_base(&origin);
    for (size_t i = 0; i < n_lines; i++)
        free(lines[i]);
    return 0;
}
