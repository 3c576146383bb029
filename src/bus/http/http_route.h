#ifndef TIDINGS_BUS_HTTP_HTTP_ROUTE_H
#define TIDINGS_BUS_HTTP_HTTP_ROUTE_H

/* The inside of http.h: which route a request is for. */

#include "bus/http/http_request.h"

struct http_routes {
    VEC_FIELDS(const struct http_route *); /* borrowed */
};

/* Adds one. Asserts that its path begins with a / and that path and method are not there yet. */
void http_routes_add(struct http_routes *routes, const struct http_route *route);

/*
 * The route for the request's path and method, whose {places} are filled in. NULL: the reply says
 * why: nothing has this path (404), or another method (405 with Allow; 204 for OPTIONS).
 */
const struct http_route *http_routes_find(const struct http_routes *routes,
                                          struct http_request *request, struct http_reply *reply);

/* Whether the route knows all that the query says. False: the reply says what it does not (400). */
bool http_route_takes_query(const struct http_route *route, const struct http_request *request,
                            struct http_reply *reply);

#endif
