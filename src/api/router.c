/* SPDX-License-Identifier: Apache-2.0
 *
 * The route table and the look-up in it: a walk over a handful of rows. Pure; any thread. */
#include "api/router.h"

#include <string.h>

#include "api/handler.h"
#include "base/buf.h"
#include "base/must.h"

static const struct route ROUTES[ROUTE_COUNT] = {
#define ROUTE(name, method, path, match, who, body, handler, summary)                              \
    [ROUTE_##name] = {#name,           #method,           path,    ROUTE_MATCH_##match,            \
                      ROUTE_WHO_##who, ROUTE_BODY_##body, handler, summary},
#include "api/route.def"
};

static const char *const WHO_NAMES[] = {
    [ROUTE_WHO_NOBODY] = "anyone",
    [ROUTE_WHO_TENANT] = "a key",
    [ROUTE_WHO_OPERATOR] = "an operator's key",
};

const struct route *route_at(enum route_id id)
{
    must((size_t)id < ROUTE_COUNT);
    return &ROUTES[id];
}

static bool has_path(const struct route *route, const char *path)
{
    if (route->match == ROUTE_MATCH_EXACT)
        return strcmp(route->path, path) == 0;
    return strncmp(route->path, path, strlen(route->path)) == 0;
}

static bool has_method(const struct route *route, const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    return strcmp(route->method, method) == 0;
}

enum route_outcome route_find(const char *method, const char *path, const struct route **ret_route)
{
    enum route_outcome outcome = ROUTE_UNKNOWN;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!has_path(&ROUTES[i], path))
            continue;
        if (has_method(&ROUTES[i], method)) {
            *ret_route = &ROUTES[i];
            return ROUTE_FOUND;
        }
        outcome = ROUTE_OTHER_METHOD;
    }
    return outcome;
}

void route_allow(const char *path, char ret_allow[ROUTE_ALLOW_SIZE])
{
    struct buf allow;
    buf_init(&allow, ROUTE_ALLOW_SIZE - 1);
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (has_path(&ROUTES[i], path))
            buf_printf(&allow, "%s%s", ROUTES[i].method,
                       strcmp(ROUTES[i].method, "GET") == 0 ? ", HEAD, " : ", ");
    }
    buf_puts(&allow, "OPTIONS");
    must(!allow.overflowed);
    memcpy(ret_allow, buf_text(&allow), allow.length + 1);
    buf_fini(&allow);
}

void route_dump(FILE *out)
{
    fprintf(out, "| method | path | who | what |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &ROUTES[i];
        fprintf(out, "| %s | `%s%s` | %s | %s |\n", route->method, route->path,
                route->match == ROUTE_MATCH_BELOW ? "…" : "", WHO_NAMES[route->who],
                route->summary);
    }
}
