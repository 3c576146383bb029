#ifndef TIDINGS_BUS_HTTP_HTTP_H
#define TIDINGS_BUS_HTTP_HTTP_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * The bus layer's HTTP server (HTTP/1.1, RFC 9110 and 9112; libmicrohttpd, loaded when the server
 * is made): routes that modules give, JSON, problem+json (RFC 9457), and streams (http_stream.h).
 *
 * Threads: one of libmicrohttpd's moves all bytes and never waits for a handler; handlers run on a
 * bounded pool of workers, may block, and are told apart by nothing but their request. So neither a
 * slow client nor a slow handler holds up anybody else, until all workers are busy: then requests
 * wait in order, and those over a limit get 503 with Retry-After.
 *
 * The server itself answers: a Host that is not ours (403, against DNS rebinding), a path that no
 * route has (404), another method (405 with Allow; OPTIONS 204; HEAD runs GET), a query parameter
 * that the route does not know (400), a body over the route's limit (413), and what a page of
 * another site could have made a browser send (403 or 415; see HTTP_GUARD).
 */

struct http;
struct http_request;
struct http_reply;

/* --- requests; all borrowed until the handler returns; any thread --- */

/* "GET", "POST", ... HEAD is told as GET. */
const char *http_method(const struct http_request *request);

/* The path as it was sent (%2F stays), without the query. */
const char *http_path(const struct http_request *request);

/* The decoded text that stands where the route's path says {name}: no NUL, UTF-8, never empty. NULL
 * when the path has no such place. */
const char *http_segment(const struct http_request *request, const char *name);

/* The decoded value of a query parameter, the first of its name: no NUL, UTF-8. "" when it has no
 * value; NULL when it is not there. */
const char *http_query(const struct http_request *request, const char *name);

/*
 * The same as a number within these bounds, `otherwise` when it is not there. False when it is no
 * such number: the reply says so already, and the handler returns.
 */
CHECKED bool http_query_number(const struct http_request *request, struct http_reply *reply,
                               const char *name, int64_t least, int64_t most, int64_t otherwise,
                               int64_t *number);

/* The values of all query parameters of this name, in order, into values[]: returns how many there
 * are, of which at most `most` were stored. */
size_t http_query_all(const struct http_request *request, const char *name, const char **values,
                      size_t most);

/* The value of a header, whatever the case of its name; NULL when it is not there. Any bytes but
 * control characters. */
const char *http_header(const struct http_request *request, const char *name);

/* Calls `each` for every header, in order, with its name in lower case. */
void http_header_each(const struct http_request *request,
                      void (*each)(void *context, const char *name, const char *value),
                      void *context);

/* The whole body: at most the route's body_max bytes; empty when there is none. */
struct slice http_body(const struct http_request *request);

/* The peer's address without its port: "127.0.0.1", "::1"; "" when it is not known. */
const char *http_peer(const struct http_request *request);

/* "http://HOST", HOST as the client wrote it: for links in replies that must be absolute. */
const char *http_origin(const struct http_request *request);

/* The server that it came to: for its counts and routes. NULL in http_try. */
struct http *http_server(const struct http_request *request);

/*
 * Whether who asks may be told payloads of events: values, and headers that are no attributes of
 * CloudEvents (bus/event/event_hide.h), or what was made of them. This alone decides, for pages,
 * answers and streams.
 */
bool http_shows_payloads(const struct http_request *request);

/* --- replies; the last call counts. Without any the reply is 500. In the handler only --- */

/*
 * Takes *json over (a reference), also after a failure, and sends it as application/json. Strings
 * of foreign bytes have to be UTF-8 before they are put in (event_set_bytes). NULL gives 500.
 */
void http_reply_json(struct http_reply *reply, unsigned status, json_t *json);

/* Takes the bytes over: *body is empty afterwards. content_type is copied. */
void http_reply_text(struct http_reply *reply, unsigned status, const char *content_type,
                     struct buf *body);

/* No body: 204, 304. */
void http_reply_empty(struct http_reply *reply, unsigned status);

/*
 * An application/problem+json (RFC 9457): title, the same for all of its kind; detail in words for
 * a person: what happened, to what, and what to do. Foreign bytes in it are made UTF-8.
 */
void http_problem(struct http_reply *reply, unsigned status, const char *title, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));

/* Adds a member to the problem that was set just before; takes *value over. */
void http_problem_add(struct http_reply *reply, const char *name, json_t *value);

/* Adds a header, or replaces one of the server's own (Cache-Control, Content-Security-Policy, ...).
 * Both are copied; a value with control characters is left out. */
void http_reply_header(struct http_reply *reply, const char *name, const char *value);

/* The status that is set; 0: none yet. */
unsigned http_reply_status(const struct http_reply *reply);

/* --- routes --- */

/* Runs on a worker; may block, within reason: the client waits. That of a route that is_quick runs
 * on the library's thread. */
typedef void http_handle_fn(void *context, const struct http_request *request,
                            struct http_reply *reply);

/* What a query may say. */
struct http_parameter {
    const char *name; /* NULL ends a list */
    const char *type; /* of JSON schema: "string", "integer", "boolean" */
    const char *help; /* one sentence */
};

/*
 * What the server knows of a path and method. All strings are static. The API's description
 * (/v1/openapi.json) is made of these, so that it cannot drift from what is served.
 */
struct http_route {
    const char *method; /* GET (also serves HEAD), POST, PUT, PATCH, DELETE */
    const char *path;   /* "/v1/events/{id}/story": a {name} is a whole segment; a fixed segment
                         * goes before a {name} at the same place */
    http_handle_fn *handle;
    void *context;
    const char *summary;                /* one sentence */
    const struct http_parameter *query; /* NULL: whatever it says is let through, for pages */
    const char *answer;                 /* content type of a success; NULL: application/json */
    const char *detail;                 /* more for the description, Markdown; may be NULL */
    size_t body_max;                    /* bytes; 0: no body is taken */
    bool is_page;                       /* for browsers: left out of the description */
    bool is_quick; /* it waits for nothing, not even a lock: answered also when all workers are busy
                    */

    /*
     * HTTP_GUARD: what is not GET is taken only if a page of another site cannot have made a
     * browser send it unasked. Origin and Sec-Fetch-Site, where they are there, have to be our own
     * (403); where both are missing, a POST has to have a content type other than those of HTML
     * forms and plain text, a ce-* header, or the header Tidings-Request (415). Always on.
     */
};

/* --- life --- */

struct http_settings {
    const char *listener;      /* "127.0.0.1:8080", "[::1]:0", ":8080" (any address); port 0: any */
    bool may_move;             /* take any free port when this one is taken */
    const char *allowed_hosts; /* names to be called by, "a.example, b.example:8080"; NULL: on a
                                * loopback address localhost and addresses, else any */
    bool hides_payloads;       /* from everybody: see http_shows_payloads */
    unsigned workers;          /* [8] */
    unsigned connections_max;  /* [256] */
    int64_t request_ms;        /* for a request to come in whole [20000] */
    int64_t idle_ms;           /* between two requests [30000] */
    int64_t reply_ms;          /* for a reply to be fetched, but streams [300000] */
    size_t bodies_max;         /* bytes of bodies in memory, all requests [64 MiB] */
};

/*
 * Binds the port, so that http_address tells it, and loads the library; serves nothing yet. Zeroes
 * in settings stand for the defaults in brackets. ERR_CONFIG: the listener is no HOST:PORT;
 * ERR_IO: it cannot be had, or the library is not there. The reason says what to do. Free with
 * http_free.
 */
CHECKED enum err http_open(const struct http_settings *settings, struct http **http,
                           struct reason *reason);

/* Adds routes; they and their contexts outlive the server's stop. Before http_start. A path and
 * method that is there already is a bug (assert). */
void http_add_routes(struct http *http, const struct http_route *routes, size_t count);

/* Begins to serve. ERR_IO, ERR_LIMIT: no threads for it. */
CHECKED enum err http_start(struct http *http, struct reason *reason);

/* "127.0.0.1:8080", "[::]:8080": where it listens. Lives as long as the server. */
const char *http_address(const struct http *http);

/*
 * Takes no more requests, ends streams, waits up to deadline_ms for handlers that run and replies
 * that are on their way, then cuts connections. True: no handler runs any more. A handler that has
 * not come back by then is waited for, for up to 30 s more, with a line in the log each 5 s. False:
 * it still runs, so what it uses has to stay where it is.
 */
bool http_stop(struct http *http, int64_t deadline_ms);

/* Stops (2 s) if that was not done, and frees; leaves all as it is where a handler still runs. NULL
 * is fine. */
void http_free(struct http *http);

/* True once http_stop was called: handlers that wait look at it. Any thread. */
bool http_is_stopping(const struct http *http);

/* Counts since the start, for metrics. Any thread. */
struct http_counts {
    uint64_t requests[6];  /* by the hundreds of their status; [0]: none, the client went */
    uint64_t took_us;      /* of all handlers together */
    uint64_t cut;          /* connections that were too slow */
    unsigned connections;  /* now */
    unsigned busy_workers; /* now */
    unsigned waiting;      /* requests for a worker, now */
    unsigned streams;      /* now */
};

/* As they are now. Any thread. */
struct http_counts http_counts(struct http *http);

/* Calls `each` for every route, in the order they were added. After the last http_add_routes; any
 * thread. */
void http_route_each(const struct http *http,
                     void (*each)(void *context, const struct http_route *route), void *context);

/* --- for tests of modules: their handlers without sockets --- */

struct http_answer {
    unsigned status;
    char *content_type;
    struct buf body;
    json_t *json; /* the body, when it is JSON; else NULL */
};

/*
 * What these routes answer to a request, as the server would. headers: "Name: value", ended by
 * NULL; may be NULL itself. No Host is needed. Free with http_answer_deinit.
 */
void http_try(const struct http_route *routes, size_t count, const char *method, const char *target,
              const char *const *headers, struct slice body, struct http_answer *answer);
void http_answer_deinit(struct http_answer *answer);

/* The same for a handler that asks other routes on behalf of who asked it: they may tell no more
 * than that one may be told. */
void http_try_for(const struct http_request *asker, const struct http_route *routes, size_t count,
                  const char *method, const char *target, const char *const *headers,
                  struct slice body, struct http_answer *answer);

#endif
