#include "bus/api/http_api_inside.h"

#include <ctype.h>
#include <string.h>

/*
 * OpenAPI 3.1 of all routes of the server, made of what the routes themselves say, so that it
 * cannot say anything else. Pages for browsers are left out.
 */

static json_t *parameter_json(const char *name, size_t name_size, const char *in, const char *type,
                              const char *help)
{
    json_t *json = json_pack("{s:s%, s:s, s:{s:s}}", "name", name, name_size, "in", in, "schema",
                             "type", type);
    if (strcmp(in, "path") == 0) {
        json_object_set_new(json, "required", json_true());
    }
    if (help != NULL) {
        json_object_set_new(json, "description", json_string(help));
    }
    return json;
}

static json_t *parameters_json(const struct http_route *route)
{
    json_t *list = json_array();
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        json_array_append_new(list,
                              parameter_json(at + 1, strcspn(at + 1, "}"), "path", "string", NULL));
    }
    for (const struct http_parameter *at = route->query; at != NULL && at->name != NULL; at++) {
        json_array_append_new(
            list, parameter_json(at->name, strlen(at->name), "query", at->type, at->help));
    }
    return list;
}

/* "get_v1_topics_topic" */
static json_t *operation_id(const struct http_route *route)
{
    struct buf id = {0};
    for (const char *at = route->method; *at != '\0'; at++) {
        buf_append_u8(&id, (uint8_t)tolower((unsigned char)*at));
    }
    for (const char *at = route->path; *at != '\0'; at++) {
        if (isalnum((unsigned char)*at)) {
            buf_append_u8(&id, (uint8_t)*at);
        } else if (id.data[id.size - 1] != '_' && at[1] != '\0' && *at != '}') {
            buf_append_u8(&id, '_');
        }
    }
    json_t *json = json_stringn((const char *)id.data, id.size);
    buf_deinit(&id);
    return json;
}

static json_t *operation_json(const struct http_route *route)
{
    const char *answer = route->answer != NULL ? route->answer : "application/json";
    json_t *json =
        json_pack("{s:o, s:s, s:{s:{s:s, s:{s:{}}}, s:{s:s, s:{s:{s:{s:s}}}}}}", "operationId",
                  operation_id(route), "summary", route->summary, "responses", "200", "description",
                  "It is done, or there it is.", "content", answer, "default", "description",
                  "What is wrong, and what to do.", "content", "application/problem+json", "schema",
                  "$ref", "#/components/schemas/Problem");
    json_t *parameters = parameters_json(route);
    if (json_array_size(parameters) > 0) {
        json_object_set(json, "parameters", parameters);
    }
    json_decref(parameters);
    if (route->detail != NULL) {
        json_object_set_new(json, "description", json_string(route->detail));
    }
    if (route->body_max > 0) {
        json_object_set_new(json, "requestBody",
                            json_pack("{s:s, s:{s:{}}}", "description",
                                      "See the description of the operation.", "content", "*/*"));
    }
    return json;
}

static void add_route(void *context, const struct http_route *route)
{
    json_t *paths = context;
    char method[16] = "";
    if (route->is_page) {
        return;
    }
    for (size_t i = 0; route->method[i] != '\0' && i + 1 < sizeof method; i++) {
        method[i] = (char)tolower((unsigned char)route->method[i]);
    }
    json_t *path = json_object_get(paths, route->path);
    if (path == NULL) {
        path = json_object();
        json_object_set_new(paths, route->path, path);
    }
    json_object_set_new(path, method, operation_json(route));
}

static json_t *problem_schema(void)
{
    return json_pack("{s:s, s:s, s:[s, s, s], s:{s:{s:s, s:s}, s:{s:s}, s:{s:s}, s:{s:s, s:s}}}",
                     "type", "object", "description",
                     "RFC 9457; `kafka_error` and others stand beside these where they help.",
                     "required", "title", "status", "detail", "properties", "type", "type",
                     "string", "description", "The kind, for programs: urn:tidings:problem:...",
                     "title", "type", "string", "status", "type", "integer", "detail", "type",
                     "string", "description", "What happened, to what, and what to do.");
}

static void say_description(void *context, const struct http_request *request,
                            struct http_reply *reply)
{
    json_t *paths = json_object();
    (void)context;
    http_route_each(http_server(request), add_route, paths);
    http_reply_json(reply, 200,
                    json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:{s:{s:o}}}", "openapi", "3.1.0",
                              "info", "title", "Tidings", "version", TIDINGS_VERSION, "description",
                              "What a Tidings bus, or any Kafka cluster beside which `tidings bus` "
                              "runs, tells and takes by HTTP.",
                              "paths", paths, "components", "schemas", "Problem",
                              problem_schema()));
}

void http_api_describe(struct http_api *api)
{
    http_api_add(api, &(struct http_route){.method = "GET",
                                           .path = "/v1/openapi.json",
                                           .handle = say_description,
                                           .summary = "This description (OpenAPI 3.1)."});
}
