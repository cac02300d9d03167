/* SPDX-License-Identifier: Apache-2.0
 *
 * The route table and the look-up in it: a walk over a few dozen rows. Pure; any thread. */
#include "api/router.h"

#include <string.h>

#include "api/handler.h"
#include "base/buf.h"
#include "base/must.h"

static const struct route ROUTES[ROUTE_COUNT] = {
#define ROUTE(name, method, path, who, touches, body, dialect, handler, summary)                   \
    [ROUTE_##name] = {#name,                                                                       \
                      #method,                                                                     \
                      path,                                                                        \
                      ROUTE_WHO_##who,                                                             \
                      ROUTE_TOUCHES_##touches,                                                     \
                      ROUTE_BODY_##body,                                                           \
                      DIALECT_##dialect,                                                           \
                      handler,                                                                     \
                      summary},
#include "api/route.def"
};

static const char *const WHO_NAMES[] = {
    [ROUTE_WHO_NOBODY] = "anyone",
    [ROUTE_WHO_TICKET] = "a key or a ticket",
    [ROUTE_WHO_TENANT] = "a key",
    [ROUTE_WHO_OPERATOR] = "an operator's key",
};

static const char *const TOUCHES_NAMES[] = {
    [ROUTE_TOUCHES_NOTHING] = "nothing",
    [ROUTE_TOUCHES_OWN] = "its own",
    [ROUTE_TOUCHES_TASK] = "a task",
    [ROUTE_TOUCHES_TASK_ASKED] = "a task, with `?id=`",
    [ROUTE_TOUCHES_NAMED] = "what it names",
    [ROUTE_TOUCHES_LINK] = "a signed link",
    [ROUTE_TOUCHES_CALLBACK] = "a signed address",
};

const struct route *route_at(enum route_id id)
{
    must((size_t)id < ROUTE_COUNT);
    return &ROUTES[id];
}

const char *route_part(const struct route *route, const char *path, size_t *ret_length)
{
    const char *brace = strchr(route->path, '{');
    if (brace == NULL)
        return NULL;
    size_t before = (size_t)(brace - route->path);
    size_t after = brace[1] == '+' ? 0 : strlen(strchr(brace, '}') + 1);
    *ret_length = strlen(path) - before - after;
    return path + before;
}

static bool has_path(const struct route *route, const char *path)
{
    const char *brace = strchr(route->path, '{');
    if (brace == NULL)
        return strcmp(route->path, path) == 0;
    size_t before = (size_t)(brace - route->path);
    if (strncmp(route->path, path, before) != 0)
        return false;
    if (brace[1] == '+')
        return true;
    const char *tail = strchr(brace, '}') + 1;
    size_t after = strlen(tail);
    size_t length = strlen(path);
    return length > before + after && strcmp(path + length - after, tail) == 0;
}

static bool has_method(const struct route *route, const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    return strcmp(route->method, method) == 0;
}

enum route_outcome route_find(const char *method, const char *path, bool names_task,
                              const struct route **ret_route)
{
    enum route_outcome outcome = ROUTE_UNKNOWN;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &ROUTES[i];
        if (!has_path(route, path) || (route->touches == ROUTE_TOUCHES_TASK_ASKED && !names_task))
            continue;
        if (has_method(route, method)) {
            *ret_route = route;
            return ROUTE_FOUND;
        }
        outcome = ROUTE_OTHER_METHOD;
    }
    return outcome;
}

/* Is there a row before this one that has the path and the method already? */
static bool is_told(size_t row, const char *path)
{
    for (size_t i = 0; i < row; i++) {
        if (has_path(&ROUTES[i], path) && strcmp(ROUTES[i].method, ROUTES[row].method) == 0)
            return true;
    }
    return false;
}

void route_allow(const char *path, char ret_allow[ROUTE_ALLOW_SIZE])
{
    struct buf allow;
    buf_init(&allow, ROUTE_ALLOW_SIZE - 1);
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (has_path(&ROUTES[i], path) && !is_told(i, path))
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
    fprintf(out, "| method | path | who | touches | what |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &ROUTES[i];
        fprintf(out, "| %s | `%s` | %s | %s | %s |\n", route->method, route->path,
                WHO_NAMES[route->who], TOUCHES_NAMES[route->touches], route->summary);
    }
}
