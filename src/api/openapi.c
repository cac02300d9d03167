/* SPDX-License-Identifier: Apache-2.0
 *
 * The OpenAPI 3.1 document: paths from the route table, parameters, bodies and schemas from schemas.json, which is
 * built into the program. What holds for all routes alike (keys, errors) is added here, so that it cannot
 * be forgotten in a row. Made afresh for each asker, for it names the base under which he sees us. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "api/handler.h"
#include "base/json.h"
#include "base/must.h"

#include "api/schemas.inc.h"

/* `/assets/{+rest}` is written `/assets/{rest}`: the document has no other way to say it. */
static void write_path(const struct route *route, char *ret_path, size_t size)
{
    size_t length = 0;
    must(strlen(route->path) < size);
    for (const char *c = route->path; *c != '\0'; c++) {
        if (*c != '+')
            ret_path[length++] = *c;
    }
    ret_path[length] = '\0';
}

static void write_lower(const char *text, char *ret_text, size_t size)
{
    must(strlen(text) < size);
    size_t i = 0;
    for (; text[i] != '\0'; i++)
        ret_text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    ret_text[i] = '\0';
}

static void add_response(json_t *responses, const char *status, const char *name)
{
    if (json_object_get(responses, status) != NULL)
        return;
    char reference[80];
    snprintf(reference, sizeof(reference), "#/components/responses/%s", name);
    json_t *response = json_object();
    json_set_text(response, "$ref", reference);
    json_set(responses, status, response);
}

/* Beside those that schemas.json names. */
static void add_parameter(json_t *operation, const char *name)
{
    char reference[80];
    json_t *parameters = json_object_get(operation, "parameters");
    if (parameters == NULL) {
        parameters = json_array();
        must(parameters != NULL);
        json_set(operation, "parameters", parameters);
    }
    snprintf(reference, sizeof(reference), "#/components/parameters/%s", name);
    json_t *parameter = json_object();
    json_set_text(parameter, "$ref", reference);
    json_add(parameters, parameter);
}

static json_t *operation(const struct route *route, const json_t *described)
{
    char id[64];
    json_t *operation = json_object();
    write_lower(route->name, id, sizeof(id));
    json_set_text(operation, "operationId", id);
    json_set_text(operation, "summary", route->summary);
    must(described != NULL); /* every route stands in schemas.json */
    json_t *copy = json_deep_copy(described);
    must(copy != NULL && json_object_update(operation, copy) == 0);
    json_decref(copy);

    json_t *security = json_array();
    must(security != NULL);
    json_t *responses = json_object_get(operation, "responses");
    must(responses != NULL);
    if (route->who != ROUTE_WHO_NOBODY) {
        json_t *scheme = json_pack("{s:[]}", "bearer");
        must(scheme != NULL && json_array_append_new(security, scheme) == 0);
        add_response(responses, "401", "BadKey");
    }
    if (route->who == ROUTE_WHO_TICKET) {
        json_t *scheme = json_pack("{s:[]}", "ticket");
        must(scheme != NULL && json_array_append_new(security, scheme) == 0);
    }
    if (route->who == ROUTE_WHO_OPERATOR)
        add_response(responses, "403", "Error");
    if (route->touches == ROUTE_TOUCHES_TASK && strcmp(route->method, "GET") == 0) {
        add_parameter(operation, "Wait");
        add_parameter(operation, "Until");
        add_response(responses, "429", "TooMany");
    }
    add_response(responses, "413", "TooLarge");
    add_response(responses, "414", "UriTooLong");
    add_response(responses, "default", "Error");
    json_set(operation, "security", security);
    return operation;
}

static json_t *paths(const json_t *described)
{
    json_t *paths = json_object();
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = route_at((enum route_id)i);
        if (route->touches == ROUTE_TOUCHES_TASK_ASKED)
            continue; /* an argument more to the row of the same path, and told there */
        char path[80];
        char method[16];
        write_path(route, path, sizeof(path));
        write_lower(route->method, method, sizeof(method));
        json_t *item = json_object_get(paths, path);
        if (item == NULL) {
            item = json_object();
            json_set(paths, path, item);
        }
        json_set(item, method, operation(route, json_object_get(described, route->name)));
    }
    return paths;
}

char *server_openapi(const char *base_url)
{
    json_error_t error;
    json_t *schemas = json_loads(api_schemas_json, 0, &error);
    must(schemas != NULL);
    json_t *document = json_object();
    json_set_text(document, "openapi", "3.1.0");
    json_set(document, "info",
             json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "title", "filmgate", "version",
                       FILMGATE_VERSION, "description", "A gateway for video-generation tasks.",
                       "license", "name", "Apache-2.0", "identifier", "Apache-2.0"));
    json_set(document, "servers", json_pack("[{s:s}]", "url", base_url));
    json_set(document, "paths", paths(json_object_get(schemas, "operations")));
    must(json_object_set(document, "components", json_object_get(schemas, "components")) == 0);
    char *text = json_dumps(document, JSON_WRITE_FLAGS);
    json_decref(document);
    json_decref(schemas);
    must(text != NULL);
    return text;
}
