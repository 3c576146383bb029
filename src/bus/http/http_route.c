#include "bus/http/http_route.h"

#include <assert.h>
#include <string.h>

void http_routes_add(struct http_routes *routes, const struct http_route *route)
{
    assert(route->path[0] == '/' && route->handle != NULL && route->summary != NULL);
    for (size_t i = 0; i < routes->count; i++) {
        assert(strcmp(routes->items[i]->path, route->path) != 0 ||
               strcmp(routes->items[i]->method, route->method) != 0);
    }
    vec_push(routes, route);
}

/* --- one path --- */

/* Whether the path is for these segments; *fixed gets a bit for each that is not a {place}, the
 * first one highest. Fills places when there is room for them. */
static bool fits(const char *path, struct http_request *request, bool takes_places, uint32_t *fixed)
{
    size_t at = 0;
    *fixed = 0;
    request->place_count = takes_places ? 0 : request->place_count;
    while (path[0] == '/' && path[1] != '\0') {
        const char *name = path + 1;
        size_t size = strcspn(name, "/");
        if (at == request->segment_count) {
            return false;
        }
        const char *segment = request->segments[at++];
        *fixed <<= 1;
        if (name[0] == '{') {
            if (segment[0] == '\0') {
                return false;
            }
            if (takes_places && request->place_count < HTTP_PLACES_MAX) {
                request->places[request->place_count++] = (struct http_pair){name + 1, segment};
            }
        } else if (strncmp(name, segment, size) != 0 || segment[size] != '\0') {
            return false;
        } else {
            *fixed |= 1;
        }
        path = name + size;
    }
    return at == request->segment_count;
}

/* --- all of them --- */

static void add_method(struct buf *allow, const char *method)
{
    buf_append_str(allow, allow->size > 0 ? ", " : "");
    buf_append_str(allow, method);
    buf_append_str(allow, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

static void refuse_method(const struct http_request *request, struct buf *allow,
                          struct http_reply *reply)
{
    add_method(allow, "OPTIONS");
    if (strcmp(request->method, "OPTIONS") == 0) {
        http_reply_empty(reply, 204);
    } else {
        http_problem(reply, 405, "Method not allowed", "%s is not for %s, which takes %s",
                     request->method, request->path, buf_cstr(allow));
    }
    http_reply_header(reply, "Allow", buf_cstr(allow));
}

const struct http_route *http_routes_find(const struct http_routes *routes,
                                          struct http_request *request, struct http_reply *reply)
{
    const struct http_route *found = NULL;
    struct buf allow = {0};
    uint32_t best = 0, fixed;
    bool is_any = strcmp(request->path, "*") == 0; /* OPTIONS *: of the server as a whole */
    for (size_t i = 0; i < routes->count; i++) {
        const struct http_route *route = routes->items[i];
        if (is_any || !fits(route->path, request, false, &fixed)) {
            continue;
        }
        if (strcmp(route->method, request->method) != 0) {
            add_method(&allow, route->method);
        } else if (found == NULL || fixed > best) {
            found = route;
            best = fixed;
        }
    }
    if (found != NULL) {
        (void)fits(found->path, request, true, &fixed);
    } else if (allow.size > 0 || is_any) {
        refuse_method(request, &allow, reply);
    } else {
        http_reply_not_found(reply, request->path);
    }
    buf_deinit(&allow);
    return found;
}

static bool knows(const struct http_route *route, const char *name)
{
    for (const struct http_parameter *at = route->query; at->name != NULL; at++) {
        if (strcmp(at->name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool http_route_takes_query(const struct http_route *route, const struct http_request *request,
                            struct http_reply *reply)
{
    for (size_t i = 0; route->query != NULL && i < request->query_count; i++) {
        if (!knows(route, request->query[i].name)) {
            struct buf known = {0};
            for (const struct http_parameter *at = route->query; at->name != NULL; at++) {
                buf_printf(&known, "%s%s", at == route->query ? "" : ", ", at->name);
            }
            http_problem(reply, 400, "Bad parameter", "%s knows no parameter '%s'; it takes: %s",
                         request->path, request->query[i].name,
                         known.size > 0 ? buf_cstr(&known) : "none");
            buf_deinit(&known);
            return false;
        }
    }
    return true;
}
