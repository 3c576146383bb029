#ifndef TIDINGS_BUS_API_HTTP_API_INSIDE_H
#define TIDINGS_BUS_API_HTTP_API_INSIDE_H

/* The inside of http_api.h: each file has routes of its own. */

#include "bus/api/http_api.h"

#include "base/vec.h"
#include "client/event/event.h"
#include "client/publisher/publisher.h"

#include <pthread.h>

struct http_metrics_part {
    void (*append)(void *context, struct buf *text);
    void *context;
};

enum { API_STREAMS_MAX = 32, API_METRICS_MS = 1000 };

struct http_api {
    struct connection_settings connection;
    struct cluster *cluster;
    VEC(struct http_check) checks;
    VEC(struct http_metrics_part) parts;
    struct http_route routes[16];
    size_t route_count;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct publisher *publisher; /* NULL: not needed yet, or of no use any more */
    unsigned publishing;         /* requests that use it */
    bool is_publisher_broken;
    bool is_bus_silent; /* the last publish had no answer: look before the next one waits for it */
    uint64_t published, refused; /* events */
    unsigned streams;            /* threads that read for one */
};

/* Each adds its routes with the api as their context. */
void http_api_health(struct http_api *api);
void http_api_topics(struct http_api *api);
void http_api_groups(struct http_api *api);
void http_api_events(struct http_api *api);
void http_api_publish(struct http_api *api);
void http_api_stream(struct http_api *api);
void http_api_describe(struct http_api *api);

/* Closes the publisher. */
void http_api_publish_end(struct http_api *api);

/* Waits for the threads of streams, whose clients are gone. */
void http_api_stream_end(struct http_api *api);

struct where;

/* http_api_events.c: the conditions of ?where=, over event_fields(); NULL in *where without any.
 * False: the reply says what is wrong with one. */
CHECKED bool http_api_where(const struct http_request *request, struct http_reply *reply,
                            struct where **where);

/* Appends the event as one line of JSON, without what is hidden from who asks. */
void http_api_event_line(const struct event *event, bool shows_payloads, struct buf *line);

/* --- http_api_reply.c: what several of them need --- */

/* One more route of the api's own; *route is copied. */
void http_api_add(struct http_api *api, const struct http_route *route);

/* What went wrong with the bus, as a problem: 400, 403, 404, 413, 422, 503 or 504. what: "topic
 * 'x'" or "the topics". */
void http_api_fail(struct http_reply *reply, const struct client_error *error, const char *what);

/* The status for it. */
unsigned http_api_status(const struct client_error *error);

/* "2026-02-01T12:00:00.123Z" */
json_t *http_api_time(int64_t time_ms);

/* A number, or null when it is below 0: not known. */
json_t *http_api_number(int64_t number);

#endif
