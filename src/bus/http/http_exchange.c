#include "bus/http/http_inside.h"

#include "base/clock.h"
#include "base/logger.h"
#include "base/mem.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/*
 * One request and its reply. libmicrohttpd's thread takes it in; a worker runs the handler while
 * the connection is suspended; the library's thread sends what came of it.
 */

enum exchange_state {
    EXCHANGE_NEW,     /* only the request line is there */
    EXCHANGE_COMING,  /* the headers are judged; the body comes */
    EXCHANGE_HANDLED, /* a worker has it */
    EXCHANGE_DONE     /* its reply is ready, or out */
};

enum {
    TARGET_MAX = 16384,            /* bytes; see refuse_target */
    DRAIN_BYTES = 64 * 1024 * 1024 /* of a body that is refused: read, so that who sends it sees why
                                    */
};

struct exchange {
    struct http *http;
    struct MHD_Connection *connection;
    struct http_peer *peer;
    struct http_request request;
    struct http_reply reply;
    const struct http_route *route; /* NULL: refused, the reply says why */
    enum exchange_state state;
    char *target;
    size_t drained;
    bool is_sent;
    int64_t began_ns;
    struct task task;
};

static struct exchange *exchange_new(struct http *http, struct MHD_Connection *connection)
{
    struct exchange *exchange = mem_new(struct exchange);
    const union MHD_ConnectionInfo *info =
        MHD_CALL(http, MHD_get_connection_info)(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->http = http;
    exchange->request.http = http;
    exchange->request.hides_payloads = http->settings.hides_payloads;
    exchange->connection = connection;
    exchange->peer = info != NULL ? info->socket_context : NULL;
    exchange->reply.streamer = &http->streamer;
    exchange->began_ns = clock_now_ns();
    pthread_mutex_lock(&http->lock);
    http->exchanges++;
    pthread_mutex_unlock(&http->lock);
    return exchange;
}

static void set_phase(struct exchange *exchange, enum http_phase phase)
{
    if (exchange->peer != NULL) {
        http_peer_phase(exchange->peer, phase);
    }
}

/* --- the request comes in --- */

/*
 * libmicrohttpd takes the query apart by itself, into the connection's 32 KiB; where that is too
 * little it answers nothing at all. So what it may have no room for is answered here, and ended.
 */
static void refuse_target(struct exchange *exchange)
{
    static const char body[] =
        "{\"type\":\"urn:tidings:problem:bad-target\",\"title\":\"Bad target\","
        "\"status\":414,\"detail\":\"the target has more than 16384 bytes or "
        "64 parameters: ask for less\"}\n";
    char answer[512];
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 414 URI Too Long\r\nContent-Type: application/problem+json\r\n"
                        "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                        sizeof body - 1, body);
    if (exchange->peer != NULL && exchange->peer->fd >= 0) {
        (void)!send(exchange->peer->fd, answer, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
        shutdown(exchange->peer->fd, SHUT_RDWR); /* libmicrohttpd finds that out, and closes it */
    }
}

static bool is_too_much(const char *target)
{
    size_t parameters = 1;
    for (const char *at = target; *at != '\0'; at++) {
        parameters += *at == '&';
        if (at - target > TARGET_MAX || parameters > HTTP_QUERY_MAX) {
            return true;
        }
    }
    return false;
}

void *http_on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct exchange *exchange = exchange_new(context, connection);
    exchange->target = mem_strdup(target);
    set_phase(exchange, HTTP_COMING);
    if (is_too_much(target)) {
        refuse_target(exchange);
    }
    return exchange;
}

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct http_request *request = context;
    (void)kind;
    http_request_header(request, name, value != NULL ? value : "");
    return MHD_YES;
}

static void take_peer(struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info = MHD_CALL(exchange->http, MHD_get_connection_info)(
        exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    struct http_request *request = &exchange->request;
    if (address != NULL) {
        socklen_t size = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                        : sizeof(struct sockaddr_in);
        if (getnameinfo(address, size, request->peer, sizeof request->peer, NULL, 0,
                        NI_NUMERICHOST) != 0) {
            request->peer[0] = '\0';
        }
    }
}

/* Content-Length, or SIZE_MAX when it is not known. */
static size_t declared_bytes(const struct http_request *request)
{
    const char *length = http_header(request, "content-length");
    if (length != NULL) {
        return (size_t)strtoull(length, NULL, 10);
    }
    return http_header(request, "transfer-encoding") != NULL ? SIZE_MAX : 0;
}

/* Sets the route, or says in the reply why there is none. */
static void judge(struct exchange *exchange)
{
    struct http *http = exchange->http;
    struct http_request *request = &exchange->request;
    struct http_reply *reply = &exchange->reply;
    struct reason reason;
    enum err err = http_request_target(request, exchange->target, &reason);
    if (err != ERR_NONE) {
        http_problem(reply, err == ERR_TOO_LARGE ? 414 : 400, "Bad target", "%s", reason.text);
        return;
    }
    if (atomic_load(&http->is_stopping)) {
        http_reply_busy(reply, "the server stops");
        return;
    }
    if (!http_guard_framing(request, reply) || !http_guard_host(&http->guard, request, reply)) {
        return;
    }
    const struct http_route *route = http_routes_find(&http->routes, request, reply);
    if (route == NULL || !http_guard_origin(&http->guard, request, reply) ||
        !http_route_takes_query(route, request, reply)) {
        return;
    }
    size_t declared = declared_bytes(request);
    if (declared != SIZE_MAX && declared > route->body_max) {
        http_reply_too_large(reply, route->body_max);
        return;
    }
    exchange->route = route;
}

static void take_headers(struct exchange *exchange, const char *method)
{
    http_request_method(&exchange->request, method);
    MHD_CALL(exchange->http, MHD_get_connection_values)
    (exchange->connection, MHD_HEADER_KIND, take_header, &exchange->request);
    take_peer(exchange);
    judge(exchange);
    exchange->state = EXCHANGE_COMING;
}

static void refuse(struct exchange *exchange)
{
    struct buf *body = &exchange->request.body;
    exchange->route = NULL;
    atomic_fetch_sub(&exchange->http->body_bytes, body->size);
    buf_deinit(body);
}

static void take_body(struct exchange *exchange, const char *bytes, size_t size)
{
    struct http *http = exchange->http;
    struct buf *body = &exchange->request.body;
    if (exchange->route == NULL) {
        exchange->drained += size;
        return;
    }
    if (size > exchange->route->body_max - body->size) {
        http_reply_too_large(&exchange->reply, exchange->route->body_max);
        refuse(exchange);
    } else if (atomic_fetch_add(&http->body_bytes, size) + size > http->settings.bodies_max) {
        atomic_fetch_sub(&http->body_bytes, size);
        http_reply_busy(&exchange->reply, "the bodies of requests take all their memory");
        refuse(exchange);
    } else {
        atomic_fetch_add(&http->moved_bytes, size);
        buf_append(body, bytes, size);
    }
}

/* --- the reply goes out --- */

/* What each reply carries unless its handler says otherwise. */
static const struct http_pair usual_headers[] = {
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
};

static bool has_header(const struct http_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->headers.count; i++) {
        if (strcasecmp(reply->headers.items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_headers(struct exchange *exchange, struct MHD_Response *response)
{
    struct http *http = exchange->http;
    const struct http_reply *reply = &exchange->reply;
    for (size_t i = 0; i < sizeof usual_headers / sizeof usual_headers[0]; i++) {
        if (!has_header(reply, usual_headers[i].name)) {
            MHD_CALL(http, MHD_add_response_header)
            (response, usual_headers[i].name, usual_headers[i].value);
        }
    }
    for (size_t i = 0; i < reply->headers.count; i++) {
        MHD_CALL(http, MHD_add_response_header)
        (response, reply->headers.items[i].name, reply->headers.items[i].value);
    }
    if (reply->content_type != NULL) {
        MHD_CALL(http, MHD_add_response_header)(response, "Content-Type", reply->content_type);
    }
    if (atomic_load(&http->is_stopping)) {
        MHD_CALL(http, MHD_add_response_header)(response, "Connection", "close");
    }
}

static struct MHD_Response *make_response(struct exchange *exchange)
{
    struct http *http = exchange->http;
    struct http_reply *reply = &exchange->reply;
    if (reply->stream != NULL && !exchange->request.is_head) {
        struct http_stream *stream = reply->stream;
        reply->stream = NULL;
        return http_stream_response(stream, exchange->connection,
                                    exchange->peer != NULL ? exchange->peer->fd : -1);
    }
    struct buf body = buf_take(&reply->body);
    atomic_fetch_add(&http->moved_bytes, body.size);
    return MHD_CALL(http, MHD_create_response_from_buffer)(
        body.size, body.data != NULL ? (void *)body.data : mem_alloc(1), MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result send_reply(struct exchange *exchange)
{
    struct http *http = exchange->http;
    bool is_stream = exchange->reply.stream != NULL && !exchange->request.is_head;
    http_reply_finish(&exchange->reply);
    struct MHD_Response *response = make_response(exchange);
    add_headers(exchange, response);
    exchange->state = EXCHANGE_DONE;
    set_phase(exchange, is_stream ? HTTP_STREAMING : HTTP_ANSWERED);
    enum MHD_Result result =
        MHD_CALL(http, MHD_queue_response)(exchange->connection, exchange->reply.status, response);
    exchange->is_sent = result == MHD_YES;
    MHD_CALL(http, MHD_destroy_response)(response); /* the connection has a reference, or none */
    return result;
}

/* --- the handler --- */

static void handle(struct exchange *exchange)
{
    int64_t began_ns = clock_now_ns();
    exchange->route->handle(exchange->route->context, &exchange->request, &exchange->reply);
    atomic_fetch_add(&exchange->http->took_us, (uint64_t)(clock_now_ns() - began_ns) / 1000);
}

static enum MHD_Result answer_now(struct exchange *exchange)
{
    handle(exchange);
    return send_reply(exchange);
}

static void on_work(struct task *task)
{
    struct exchange *exchange = container_of(task, struct exchange, task);
    struct http *http = exchange->http;
    handle(exchange);
    MHD_CALL(http, MHD_resume_connection)(exchange->connection); /* it is not ours any more */
}

static enum MHD_Result hand_over(struct exchange *exchange)
{
    struct http *http = exchange->http;
    exchange->state = EXCHANGE_HANDLED;
    exchange->task.run = on_work;
    set_phase(exchange, HTTP_HANDLED);
    MHD_CALL(http, MHD_suspend_connection)(exchange->connection);
    if (!http_workers_post(http->workers, &exchange->task)) {
        http_reply_busy(&exchange->reply, "too many requests wait");
        MHD_CALL(http, MHD_resume_connection)(exchange->connection);
    }
    return MHD_YES;
}

/* --- what the library calls --- */

static bool waits_for_leave(const struct http_request *request)
{
    return http_header(request, "expect") != NULL; /* 100-continue */
}

enum MHD_Result http_on_request(void *context, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_size, void **state)
{
    struct exchange *exchange = *state;
    (void)context;
    (void)connection;
    (void)url;
    (void)version;
    switch (exchange->state) {
    case EXCHANGE_NEW:
        take_headers(exchange, method);
        if (exchange->route == NULL &&
            (exchange->reply.has_to_close || waits_for_leave(&exchange->request) ||
             (declared_bytes(&exchange->request) != SIZE_MAX &&
              declared_bytes(&exchange->request) > DRAIN_BYTES))) {
            return send_reply(exchange);
        }
        return MHD_YES;
    case EXCHANGE_COMING:
        if (*upload_size > 0) {
            take_body(exchange, upload, *upload_size);
            *upload_size = 0;
            return exchange->drained <= DRAIN_BYTES ? MHD_YES : MHD_NO;
        }
        if (exchange->route == NULL) {
            return send_reply(exchange);
        }
        return exchange->route->is_quick ? answer_now(exchange) : hand_over(exchange);
    case EXCHANGE_HANDLED:
        return send_reply(exchange);
    case EXCHANGE_DONE:
        break;
    }
    *upload_size = 0;
    return MHD_YES;
}

static void tell(const struct exchange *exchange)
{
    const struct http_request *request = &exchange->request;
    LOG_DEBUG("http", "answered a request", "method=%s path=\"%s\" status=%u took_us=%lld peer=%s",
              request->is_head          ? "HEAD"
              : request->method != NULL ? request->method
                                        : "",
              request->path != NULL ? request->path : exchange->target,
              exchange->is_sent ? exchange->reply.status : 0,
              (long long)((clock_now_ns() - exchange->began_ns) / 1000), request->peer);
}

void http_on_end(void *context, struct MHD_Connection *connection, void **state,
                 enum MHD_RequestTerminationCode why)
{
    struct http *http = context;
    struct exchange *exchange = *state;
    (void)connection;
    (void)why;
    if (exchange == NULL) {
        return;
    }
    *state = NULL;
    tell(exchange);
    unsigned hundreds = exchange->is_sent ? exchange->reply.status / 100 : 0;
    atomic_fetch_add(&http->requests[hundreds < 6 ? hundreds : 0], 1);
    set_phase(exchange, HTTP_IDLE);
    if (exchange->reply.stream != NULL) {
        http_stream_drop(exchange->reply.stream); /* the client left before it began */
    }
    atomic_fetch_sub(&http->body_bytes, exchange->request.body.size);
    http_request_deinit(&exchange->request);
    http_reply_deinit(&exchange->reply);
    free(exchange->target);
    free(exchange);
    pthread_mutex_lock(&http->lock);
    http->exchanges--;
    pthread_cond_broadcast(&http->ended);
    pthread_mutex_unlock(&http->lock);
}

void http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_CALL(http, MHD_get_connection_info)(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = http_peer_open(http, info != NULL ? info->connect_fd : -1);
    } else if (*socket_context != NULL) {
        http_peer_close(*socket_context);
        *socket_context = NULL;
    }
}
