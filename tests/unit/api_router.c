/* SPDX-License-Identifier: Apache-2.0
 *
 * api/router.h: rows are found by method and path, other methods are named, and the OpenAPI document holds every row. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/router.h"
#include "api/server.h"

/* A path that the row alone has: its part in braces is filled in. */
static void write_path(const struct route *route, const char *part, char ret_path[100])
{
    const char *brace = strchr(route->path, '{');
    if (brace == NULL)
        snprintf(ret_path, 100, "%s", route->path);
    else
        snprintf(ret_path, 100, "%.*s%s%s", (int)(brace - route->path), route->path, part,
                 strchr(brace, '}') + 1);
}

static void every_row_finds_itself(void **state)
{
    (void)state;
    for (int i = 0; i < ROUTE_COUNT; i++) {
        const struct route *row = route_at((enum route_id)i);
        const struct route *found = NULL;
        char path[100];
        write_path(row, "some/thing", path);
        bool names_task = row->touches == ROUTE_TOUCHES_TASK_ASKED;
        assert_int_equal(route_find(row->method, path, names_task, &found), ROUTE_FOUND);
        assert_ptr_equal(found, row);
        assert_non_null(row->handler);
        assert_true(strlen(row->summary) > 0);
    }
}

static void what_stands_in_braces_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path, *part;
    } rows[] = {
        {"/a", "/a", NULL},
        {"/a/{id}", "/a/b", "b"},
        {"/a/{id}", "/a/b/c:d", "b/c:d"},
        {"/a/{id}/x", "/a/b/x", "b"},
        {"/a/{id}/x", "/a/x/x/x", "x/x"},
        {"/a/{+rest}", "/a/", ""},
        {"/a/{+rest}", "/a/b/c", "b/c"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct route route = {.path = rows[i].pattern};
        size_t length = 0;
        const char *part = route_part(&route, rows[i].path, &length);
        if (rows[i].part == NULL) {
            assert_null(part);
            continue;
        }
        assert_non_null(part);
        assert_int_equal(length, strlen(rows[i].part));
        assert_memory_equal(part, rows[i].part, length);
    }
}

static void head_takes_the_row_of_get(void **state)
{
    (void)state;
    const struct route *found = NULL;
    assert_int_equal(route_find("HEAD", "/v1/video/query", false, &found), ROUTE_FOUND);
    assert_ptr_equal(found, route_at(ROUTE_VIDEO_QUERY));
    assert_int_equal(route_find("HEAD", "/v1/video/create", false, &found), ROUTE_OTHER_METHOD);
}

static void strangers_are_not_found(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "", "/x", "/v1/video/create/", "/V1/models", "/v1/models/", "/assets", "//", "/v1/videosx"};
    const struct route *found = NULL;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_int_equal(route_find("GET", paths[i], true, &found), ROUTE_UNKNOWN);
    assert_int_equal(route_find("get", "/healthz", false, &found), ROUTE_OTHER_METHOD);
    assert_int_equal(route_find("PATCH", "/healthz", false, &found), ROUTE_OTHER_METHOD);
    assert_null(found);
}

static void allowed_methods_are_listed(void **state)
{
    (void)state;
    char allow[ROUTE_ALLOW_SIZE];
    route_allow("/v1/video/create", allow);
    assert_string_equal(allow, "POST, OPTIONS");
    route_allow("/healthz", allow);
    assert_string_equal(allow, "GET, HEAD, OPTIONS");
    route_allow("/v1/videos", allow);
    assert_string_equal(allow, "POST, GET, HEAD, OPTIONS");
    route_allow("/v1/videos/x", allow);
    assert_string_equal(allow, "GET, HEAD, DELETE, OPTIONS");
    route_allow("/nothing", allow);
    assert_string_equal(allow, "OPTIONS");
}

/* Follows `#/a/b` inside the document. */
static const json_t *resolve(const json_t *document, const char *reference)
{
    assert_true(strncmp(reference, "#/", 2) == 0);
    char *path = strdup(reference + 2);
    assert_non_null(path);
    const json_t *at = document;
    char *rest = path;
    while (rest != NULL && at != NULL)
        at = json_object_get(at, strsep(&rest, "/"));
    free(path);
    return at;
}

static void assert_references(const json_t *document, json_t *at)
{
    const char *key;
    json_t *value;
    size_t i;
    json_array_foreach(at, i, value) assert_references(document, value);
    json_object_foreach(at, key, value)
    {
        if (strcmp(key, "$ref") == 0)
            assert_non_null(resolve(document, json_string_value(value)));
        assert_references(document, value);
    }
}

static void openapi_holds_every_row(void **state)
{
    (void)state;
    char *text = server_openapi("https://films.example");
    json_t *document = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(document);
    assert_string_equal(json_string_value(json_object_get(document, "openapi")), "3.1.0");
    const json_t *server = json_array_get(json_object_get(document, "servers"), 0);
    assert_string_equal(json_string_value(json_object_get(server, "url")), "https://films.example");
    size_t operations = 0;
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(document, "paths"), path, item) operations +=
        json_object_size(item);
    size_t told = 0;
    for (int i = 0; i < ROUTE_COUNT; i++)
        told += route_at((enum route_id)i)->touches != ROUTE_TOUCHES_TASK_ASKED;
    assert_int_equal(operations, told);
    const json_t *query = json_object_get(
        json_object_get(json_object_get(document, "paths"), "/v1/video/query"), "get");
    assert_int_equal(json_array_size(json_object_get(query, "security")), 1);
    assert_non_null(json_object_get(json_object_get(query, "responses"), "401"));
    const json_t *asset = json_object_get(
        json_object_get(json_object_get(document, "paths"), "/assets/{rest}"), "get");
    assert_int_equal(json_array_size(json_object_get(asset, "security")), 0);
    assert_references(document, document);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_finds_itself),
        cmocka_unit_test(what_stands_in_braces_is_found),
        cmocka_unit_test(head_takes_the_row_of_get),
        cmocka_unit_test(strangers_are_not_found),
        cmocka_unit_test(allowed_methods_are_listed),
        cmocka_unit_test(openapi_holds_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
