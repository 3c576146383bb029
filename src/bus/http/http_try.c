#include "bus/http/http_route.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Routes without a server, for tests of those who give them. */

static void take_headers(struct http_request *request, const char *const *headers)
{
    for (size_t i = 0; headers != NULL && headers[i] != NULL; i++) {
        const char *colon = strchr(headers[i], ':');
        char *name = mem_strndup(headers[i], colon != NULL ? (size_t)(colon - headers[i]) : 0);
        http_request_header(request, name, colon != NULL ? colon + 1 + strspn(colon + 1, " ") : "");
        free(name);
    }
}

static void run(const struct http_routes *routes, struct http_request *request, struct slice body,
                const char *target, struct http_reply *reply)
{
    struct reason reason;
    if (http_request_target(request, target, &reason) != ERR_NONE) {
        http_problem(reply, 400, "Bad target", "%s", reason.text);
        return;
    }
    const struct http_route *route = http_routes_find(routes, request, reply);
    if (route == NULL || !http_route_takes_query(route, request, reply)) {
        return;
    }
    if (body.size > route->body_max) {
        http_reply_too_large(reply, route->body_max);
        return;
    }
    buf_append_slice(&request->body, body);
    route->handle(route->context, request, reply);
}

void http_try(const struct http_route *routes, size_t count, const char *method, const char *target,
              const char *const *headers, struct slice body, struct http_answer *answer)
{
    http_try_for(NULL, routes, count, method, target, headers, body, answer);
}

void http_try_for(const struct http_request *asker, const struct http_route *routes, size_t count,
                  const char *method, const char *target, const char *const *headers,
                  struct slice body, struct http_answer *answer)
{
    struct http_routes known = {0};
    struct http_request request = {.hides_payloads = asker != NULL && asker->hides_payloads};
    struct http_reply reply = {0};
    if (asker != NULL) {
        memcpy(request.peer, asker->peer, sizeof request.peer);
    }
    for (size_t i = 0; i < count; i++) {
        http_routes_add(&known, &routes[i]);
    }
    http_request_method(&request, method);
    take_headers(&request, headers);
    run(&known, &request, body, target, &reply);
    http_reply_finish(&reply);
    *answer = (struct http_answer){.status = reply.status,
                                   .content_type = mem_strdup(reply.content_type),
                                   .body = buf_take(&reply.body)};
    answer->json = json_loadb((const char *)buf_slice(&answer->body).data, answer->body.size,
                              JSON_DECODE_ANY, NULL);
    http_reply_deinit(&reply);
    http_request_deinit(&request);
    vec_deinit(&known);
}

void http_answer_deinit(struct http_answer *answer)
{
    free(answer->content_type);
    buf_deinit(&answer->body);
    json_decref(answer->json);
    *answer = (struct http_answer){0};
}
