/* SPDX-License-Identifier: Apache-2.0
 *
 * From method and path to a row of api/route.def. Pure. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/compiler.h"
#include "task/dialect.h"

struct api_request;

enum route_id {
#define ROUTE(name, ...) ROUTE_##name,
#include "api/route.def"
    ROUTE_COUNT
};

/* The words are explained on top of api/route.def. */
enum route_who { ROUTE_WHO_NOBODY, ROUTE_WHO_TICKET, ROUTE_WHO_TENANT, ROUTE_WHO_OPERATOR };
enum route_body { ROUTE_BODY_NONE, ROUTE_BODY_SMALL, ROUTE_BODY_TASK };
enum route_touches {
    ROUTE_TOUCHES_NOTHING,
    ROUTE_TOUCHES_OWN,
    ROUTE_TOUCHES_TASK,
    ROUTE_TOUCHES_TASK_ASKED,
    ROUTE_TOUCHES_NAMED,
    ROUTE_TOUCHES_LINK,
    ROUTE_TOUCHES_CALLBACK,
};

enum {
    ROUTE_SMALL_BODY_BYTES = 64 * 1024, /* NONE and SMALL */
    ROUTE_ALLOW_SIZE = 80,              /* of the text that route_allow() writes */
};

struct route {
    const char *name, *method, *path;
    enum route_who who;
    enum route_touches touches;
    enum route_body body;
    enum dialect dialect;
    enum MHD_Result (*handler)(struct api_request *request);
    const char *summary;
};

enum route_outcome { ROUTE_FOUND, ROUTE_UNKNOWN, ROUTE_OTHER_METHOD };

const struct route *route_at(enum route_id id);
/* The row for a request; HEAD takes GET's. `names_task`: there is an argument id or task_id. `ret_route` is written with ROUTE_FOUND. */
CHECKED enum route_outcome route_find(const char *method, const char *path, bool names_task,
                                      const struct route **ret_route);
/* What stands in `path` for the part in braces of the route's: borrows, `ret_length` bytes. NULL: it has no such part. */
const char *route_part(const struct route *route, const char *path, size_t *ret_length);
/* The methods that a path takes, as in an Allow header: `GET, HEAD, OPTIONS`. */
void route_allow(const char *path, char ret_allow[ROUTE_ALLOW_SIZE]);
/* The table as Markdown. */
void route_dump(FILE *out);
