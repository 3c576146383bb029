#ifndef TIDINGS_BUS_HTTP_HTTP_INSIDE_H
#define TIDINGS_BUS_HTTP_HTTP_INSIDE_H

/*
 * The inside of the server: http.c opens and stops it, http_exchange.c is what libmicrohttpd calls,
 * http_stream.c makes replies that do not end, http_slow.c cuts those who are too slow.
 *
 * Locks: http->lock (connections, the list of streams), then stream->lock; neither is held when a
 * handler runs. libmicrohttpd takes its own inside of its functions, and calls us without those
 * that resume and suspend take.
 */

#include "base/library.h"
#include "base/task.h"
#include "bus/http/http_guard.h"
#include "bus/http/http_listener.h"
#include "bus/http/http_route.h"
#include "bus/http/http_stream.h"
#include "bus/http/http_worker.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define HTTP_FUNCTIONS(each)                                                                       \
    each(MHD_start_daemon) each(MHD_quiesce_daemon) each(MHD_stop_daemon)                          \
        each(MHD_get_connection_info) each(MHD_get_connection_values) each(MHD_suspend_connection) \
            each(MHD_resume_connection) each(MHD_create_response_from_buffer)                      \
                each(MHD_create_response_from_callback) each(MHD_add_response_header)              \
                    each(MHD_queue_response) each(MHD_destroy_response)

enum { HTTP_FUNCTIONS(LIBRARY_AT) HTTP_FUNCTION_COUNT };

#define MHD_CALL(http, name) LIBRARY_CALL((http)->functions, name)

/* What a connection does, for its deadline. */
enum http_phase {
    HTTP_IDLE,     /* nothing of a request is there, or not a whole line */
    HTTP_COMING,   /* the request comes in */
    HTTP_HANDLED,  /* it waits for a worker, or that for its handler: no deadline */
    HTTP_ANSWERED, /* the reply goes out */
    HTTP_STREAMING /* libmicrohttpd's own time-out for bytes that nobody fetches */
};

/* A connection. Its phase is the library thread's to write, under http->lock. */
struct http_peer {
    struct http *http;
    int fd;
    enum http_phase phase;
    int64_t since_ms; /* monotonic: of the phase */
    bool is_cut;
    struct http_peer *next, *prev;
};

struct http {
    struct http_settings settings;
    char *allowed_hosts;
    struct http_guard guard;
    library_function *functions[HTTP_FUNCTION_COUNT];
    struct http_listener listener;
    struct http_routes routes;
    struct MHD_Daemon *daemon;
    struct http_workers *workers;
    struct http_streamer streamer;
    pthread_t ticker; /* cuts the slow, keeps streams alive: once a second */
    bool has_ticker;

    atomic_bool is_stopping;
    _Atomic size_t body_bytes;
    _Atomic uint64_t moved_bytes; /* of bodies and replies */
    uint64_t given_back_bytes;    /* of these, when memory was given back last; the ticker's */
    int64_t calm_wanted_ms;       /* since when it would be; 0: it would not; the same */
    _Atomic uint64_t requests[6], took_us, cut;
    bool is_stuck; /* a handler has not come back though the server stopped */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t tick;  /* no longer: stop */
    bool is_tick_over;
    unsigned exchanges;   /* requests whose end libmicrohttpd has not told */
    pthread_cond_t ended; /* one was told */
    struct http_peer *peers;
    unsigned peer_count;
    struct http_stream *streams;
    unsigned stream_count;
};

/* --- http_slow.c; the library's thread --- */

/* A connection begins and ends. */
struct http_peer *http_peer_open(struct http *http, int fd);
void http_peer_close(struct http_peer *peer);

/* It is in this phase from now on. */
void http_peer_phase(struct http_peer *peer, enum http_phase phase);

/* Cuts connections that are over their deadline; all that are not handled, with `all`. Any
 * thread. */
void http_cut_slow(struct http *http, bool all);

/* --- http_stream.c --- */

/* Hands the stream of a reply to libmicrohttpd, which tells its end: the reply's part of it. fd: of
 * the connection. */
struct MHD_Response *http_stream_response(struct http_stream *stream,
                                          struct MHD_Connection *connection, int fd);

/* The reply never got out: what its handler began is gone. */
void http_stream_drop(struct http_stream *stream);

/* For reply->streamer; context is the server. */
struct http_stream *http_stream_begin(void *context, struct http_reply *reply);

/* A comment into each stream that has been silent; those whose clients hung up are gone. Any
 * thread.
 */
void http_streams_beat(struct http *http);

/* All streams are gone for those who send. Any thread. */
void http_streams_end(struct http *http);

/* --- http_exchange.c: for MHD_start_daemon; context is the server, the thread the library's --- */

/* A request line is there: makes what *state is then. */
void *http_on_target(void *context, const char *target, struct MHD_Connection *connection);
/* The headers are there, some of the body, all of it, or the reply of a worker. */
enum MHD_Result http_on_request(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **state);
/* The request is over, however that came. */
void http_on_end(void *context, struct MHD_Connection *connection, void **state,
                 enum MHD_RequestTerminationCode why);
/* A connection begins or ends. */
void http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);

#endif
