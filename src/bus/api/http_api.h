#ifndef TIDINGS_BUS_API_HTTP_API_H
#define TIDINGS_BUS_API_HTTP_API_H

#include "bus/api/cluster.h"
#include "bus/http/http.h"

/*
 * What the HTTP server tells of the bus itself, whatever else is registered with it:
 *
 *     GET  /metrics  /healthz  /readyz  /v1/openapi.json
 *     GET  /v1/topics  /v1/topics/{topic}  /v1/topics/{topic}/events  /v1/topics/{topic}/stream
 *     POST /v1/topics/{topic}
 *     GET  /v1/groups  /v1/groups/{group}
 *
 * It asks the bus as a client, with connections of its own that are opened when somebody asks.
 */
struct http_api;

/* One thing that /readyz looks at. All may be called from any thread, several at once. */
struct http_check {
    const char *name; /* "index": static */
    /* False: it does not work, and `why` says what is wrong; else it may say how it is. */
    bool (*is_fine)(void *context, char *why, size_t size);
    void *context;
};

/* The connection's settings are copied; what they point to lives as long as the api. */
struct http_api *http_api_new(const struct connection_settings *connection);

/* Its routes, for http_add_routes; they are the api's. */
const struct http_route *http_api_routes(struct http_api *api, size_t *count);

/* After the stop of the server that has its routes. NULL is fine. */
void http_api_free(struct http_api *api);

/* One more thing that has to work for /readyz. Before the server's
 * start. */
void http_api_add_check(struct http_api *api, const struct http_check *check);

/* One more that appends to /metrics (base/prometheus.h). Any thread calls it. Before the start. */
void http_api_add_metrics(struct http_api *api, void (*append)(void *context, struct buf *text),
                          void *context);

/* To look at the bus as the api does. Lives as long as the api. */
struct cluster *http_api_cluster(struct http_api *api);

#endif
