#include "bus/api/http_api_inside.h"

#include "base/cond.h"
#include "base/mem.h"

#include <stdlib.h>

struct http_api *http_api_new(const struct connection_settings *connection)
{
    struct http_api *api = mem_new(struct http_api);
    api->connection = *connection;
    api->cluster = cluster_new(&api->connection);
    pthread_mutex_init(&api->lock, NULL);
    cond_init(&api->changed);
    http_api_health(api);
    http_api_topics(api);
    http_api_events(api);
    http_api_publish(api);
    http_api_stream(api);
    http_api_groups(api);
    http_api_describe(api);
    return api;
}

const struct http_route *http_api_routes(struct http_api *api, size_t *count)
{
    *count = api->route_count;
    return api->routes;
}

void http_api_free(struct http_api *api)
{
    if (api == NULL) {
        return;
    }
    http_api_stream_end(api);
    http_api_publish_end(api);
    cluster_free(api->cluster);
    vec_deinit(&api->checks);
    vec_deinit(&api->parts);
    pthread_cond_destroy(&api->changed);
    pthread_mutex_destroy(&api->lock);
    free(api);
}

void http_api_add_check(struct http_api *api, const struct http_check *check)
{
    vec_push(&api->checks, *check);
}

void http_api_add_metrics(struct http_api *api, void (*append)(void *context, struct buf *text),
                          void *context)
{
    vec_push(&api->parts, (struct http_metrics_part){append, context});
}

struct cluster *http_api_cluster(struct http_api *api)
{
    return api->cluster;
}
