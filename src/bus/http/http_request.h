#ifndef TIDINGS_BUS_HTTP_HTTP_REQUEST_H
#define TIDINGS_BUS_HTTP_HTTP_REQUEST_H

/* The inside of http.h: a request and a reply as the server makes them. One thread at a time. */

#include "base/arena.h"
#include "base/vec.h"
#include "bus/http/http.h"

enum { HTTP_SEGMENTS_MAX = 16, HTTP_QUERY_MAX = 64, HTTP_PLACES_MAX = 8 };

struct http_pair {
    const char *name;
    const char *value;
};

/* All texts lie in the arena, but those that are static. */
struct http_request {
    struct http *http; /* NULL: none, in tests */
    bool hides_payloads;
    struct arena arena;
    const char *method; /* GET for HEAD */
    bool is_head;
    const char *path;      /* as it was sent, without the query */
    const char *authority; /* of a target in absolute form; NULL: there is a Host header */
    const char *segments[HTTP_SEGMENTS_MAX]; /* decoded */
    size_t segment_count;
    struct http_pair query[HTTP_QUERY_MAX]; /* decoded */
    size_t query_count;
    VEC(struct http_pair) headers;            /* names in lower case */
    struct http_pair places[HTTP_PLACES_MAX]; /* what {name} stands for; the name up to its } */
    size_t place_count;
    struct buf body;
    char peer[64];
    const char *origin; /* NULL: not asked for yet */
};

struct http_stream;

/* Whoever can make streams of replies; NULL in tests without sockets. */
struct http_streamer {
    struct http_stream *(*begin)(void *context, struct http_reply *reply);
    void *context;
};

struct http_reply {
    unsigned status;
    char *content_type;
    struct buf body;
    json_t *json;                  /* not written into body yet */
    VEC(struct http_pair) headers; /* own copies */
    const struct http_streamer *streamer;
    struct http_stream *stream; /* the reply is one */
    bool has_to_close;          /* the connection does not go on */
};

/* --- http_request.c --- */

/*
 * Takes the target of the request line apart ("/v1/topics/a%2Fb?limit=5", "http://host/path").
 * ERR_INVALID with a reason for people: bad percent-encoding, NUL, no UTF-8; ERR_TOO_LARGE: more
 * segments or parameters than there is room for.
 */
CHECKED enum err http_request_target(struct http_request *request, const char *target,
                                     struct reason *reason);

/* A method of the request line. */
void http_request_method(struct http_request *request, const char *method);

/* Adds a header; both are copied. */
void http_request_header(struct http_request *request, const char *name, const char *value);

/* What the client calls the server: "127.0.0.1:8080"; NULL: it does not say. */
const char *http_request_host(const struct http_request *request);

/* Frees what it holds. */
void http_request_deinit(struct http_request *request);

/* --- http_reply.c --- */

/* Writes the JSON into the body; an unset reply becomes 500. Then body and headers are final. */
void http_reply_finish(struct http_reply *reply);

/* Frees what it holds. */
void http_reply_deinit(struct http_reply *reply);

/* The usual ones. */
void http_reply_not_found(struct http_reply *reply, const char *path);
void http_reply_too_large(struct http_reply *reply, size_t most);
void http_reply_busy(struct http_reply *reply, const char *why);

#endif
