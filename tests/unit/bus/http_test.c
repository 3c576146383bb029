#include "../unit.h"

#include "base/cond.h"
#include "bus/http/http.h"
#include "bus/http/http_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server by real sockets. Handlers that have to be held up wait at a gate. */

enum { PATIENCE_MS = 60000, MANY = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool is_gate_open;
static unsigned at_gate;
static struct http_stream *stream;

static void open_gate(bool is_open)
{
    pthread_mutex_lock(&lock);
    is_gate_open = is_open;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_at_gate(unsigned count)
{
    pthread_mutex_lock(&lock);
    while (at_gate < count) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

/* --- routes --- */

static void say_echo(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct slice body = http_body(request);
    const char *id = http_segment(request, "id");
    (void)context;
    http_reply_json(reply, 200,
                    json_pack("{s:s, s:s, s:s*, s:s*, s:i}", "method", http_method(request), "path",
                              http_path(request), "id", id, "q", http_query(request, "q"), "bytes",
                              (int)body.size));
}

static void say_echo_nothing(void *context, const struct http_request *request,
                             struct http_reply *reply)
{
    (void)context;
    (void)request;
    http_reply_json(reply, 200, json_string("quick"));
}

static void say_gate(void *context, const struct http_request *request, struct http_reply *reply)
{
    (void)context;
    (void)request;
    pthread_mutex_lock(&lock);
    at_gate++;
    pthread_cond_broadcast(&changed);
    while (!is_gate_open) {
        pthread_cond_wait(&changed, &lock);
    }
    at_gate--;
    pthread_mutex_unlock(&lock);
    http_reply_json(reply, 200, json_string("through"));
}

static void say_large(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct buf body = {0};
    (void)context;
    (void)request;
    memset(buf_extend(&body, 8 << 20), 'x', 8 << 20);
    http_reply_text(reply, 200, "text/plain", &body);
}

static void say_stream(void *context, const struct http_request *request, struct http_reply *reply)
{
    (void)context;
    (void)request;
    pthread_mutex_lock(&lock);
    stream = http_reply_stream(reply);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void say_nothing(void *context, const struct http_request *request, struct http_reply *reply)
{
    (void)context;
    (void)request;
    (void)reply;
}

static const struct http_parameter limit_only[] = {{"limit", "integer", "How many."}, {0}};

static void say_number(void *context, const struct http_request *request, struct http_reply *reply)
{
    int64_t limit;
    (void)context;
    if (http_query_number(request, reply, "limit", 1, 100, 10, &limit)) {
        http_reply_json(reply, 200, json_integer(limit));
    }
}

static const struct http_route routes[] = {
    {"GET", "/v1/things/{id}", say_echo, NULL, "A thing.", NULL, NULL, NULL, 0, false},
    {"GET", "/v1/things/special", say_number, NULL, "One.", limit_only, NULL, NULL, 0, false},
    {"POST", "/v1/things/{id}", say_echo, NULL, "Change it.", NULL, NULL, NULL, 100000, false},
    {"DELETE", "/v1/things/{id}/parts/{part}", say_echo, NULL, "x", NULL, NULL, NULL, 0, false},
    {"GET", "/gate", say_gate, NULL, "Waits.", NULL, NULL, NULL, 0, false},
    {"GET", "/large", say_large, NULL, "Large.", NULL, NULL, NULL, 0, false},
    {"GET", "/stream", say_stream, NULL, "Streams.", NULL, NULL, NULL, 0, false},
    {.method = "GET",
     .path = "/quick",
     .handle = say_echo_nothing,
     .summary = "x",
     .is_quick = true},
    {"GET", "/nothing", say_nothing, NULL, "Nothing.", NULL, NULL, NULL, 0, false},
};

enum { ROUTE_COUNT = sizeof routes / sizeof routes[0] };

static struct http *serve(const struct http_settings *settings)
{
    struct http_settings own = settings != NULL ? *settings : (struct http_settings){0};
    struct reason reason = {{0}};
    struct http *http = NULL;
    own.listener = own.listener != NULL ? own.listener : "127.0.0.1:0";
    cond_init(&changed);
    is_gate_open = false;
    at_gate = 0;
    stream = NULL;
    if (http_open(&own, &http, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    http_add_routes(http, routes, ROUTE_COUNT);
    if (http_start(http, &reason) != ERR_NONE) {
        fail_msg("%s", reason.text);
    }
    return http;
}

/* --- a client --- */

static int dial(struct http *http)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons((uint16_t)atoi(strrchr(http_address(http), ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void put(int fd, const char *text)
{
    size_t size = strlen(text);
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* it has been answered already */
        }
        text += sent;
        size -= (size_t)sent;
    }
}

/* Reads until the text ends as said, or the connection does. Returns whether it ended as said. */
static bool get_until(int fd, struct buf *text, const char *wanted)
{
    char bytes[65536];
    for (;;) {
        struct pollfd at = {.fd = fd, .events = POLLIN};
        if (wanted != NULL && strstr(buf_cstr(text), wanted) != NULL) {
            return true;
        }
        assert_int_equal(poll(&at, 1, PATIENCE_MS), 1);
        ssize_t size = recv(fd, bytes, sizeof bytes, 0);
        if (size <= 0) {
            return false;
        }
        buf_append(text, bytes, (size_t)size);
    }
}

/* Sends the request on a connection of its own and returns the whole reply; free it. */
static char *ask(struct http *http, const char *request)
{
    int fd = dial(http);
    struct buf text = {0};
    put(fd, request);
    (void)get_until(fd, &text, NULL);
    close(fd);
    return buf_cstr(&text);
}

#define END " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

static void check(struct http *http, const char *request, const char *status, const char *wanted)
{
    char *reply = ask(http, request);
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %s", status);
    if (strncmp(reply, line, strlen(line)) != 0 ||
        (wanted != NULL && strstr(reply, wanted) == NULL)) {
        fail_msg("%.200s\nwas answered by\n%.2000s\nand not by %s with %s", request, reply, status,
                 wanted);
    }
    free(reply);
}

/* --- what is asked for --- */

static void test_routes_and_their_parts(void **state)
{
    struct http *http = serve(NULL);
    (void)state;
    check(http, "GET /v1/things/a%2Fb%20c?q=x+y%2B" END "\r\n", "200", "\"id\":\"a/b c\"");
    check(http, "GET /v1/things/a%2Fb%20c?q=x+y%2B" END "\r\n", "200", "\"q\":\"x y+\"");
    check(http, "GET /v1/things/special?limit=7" END "\r\n", "200", "\r\n\r\n7\n");
    check(http, "GET /v1/things/special" END "\r\n", "200", "\r\n\r\n10\n");
    check(http, "DELETE /v1/things/a/parts/b" END "\r\n", "200", "\"method\":\"DELETE\"");
    check(http, "GET http://localhost/v1/things/x" END "\r\n", "200", "\"id\":\"x\"");
    check(http,
          "POST /v1/things/x" END "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
          "200", "\"bytes\":2");
    check(http,
          "POST /v1/things/x" END
          "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
          "200", "\"bytes\":3");
    char *head = ask(http, "HEAD /v1/things/x" END "\r\n");
    assert_non_null(strstr(head, "200 OK"));
    assert_non_null(strstr(head, "Content-Length: "));
    assert_string_equal(strstr(head, "\r\n\r\n"), "\r\n\r\n");
    free(head);
    http_free(http);
}

/* The library has no room for so many parameters, or beside so long a target. */
static void check_large_targets(struct http *http)
{
    static const struct {
        const char *piece;
        int count;
    } rows[] = {{"q=a&", 65}, {"q=a&", 1000}, {"a&", 14000}, {"q=aaaaaaaaaaaaaaaa", 1500}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf request = {0};
        buf_append_str(&request, "GET /v1/things/a?");
        for (int j = 0; j < rows[i].count; j++) {
            buf_append_str(&request, rows[i].piece);
        }
        buf_append_str(&request, END "\r\n");
        check(http, buf_cstr(&request), "414", "64 parameters");
        buf_deinit(&request);
    }
}

static void test_what_is_wrong_is_told(void **state)
{
    struct http *http = serve(NULL);
    (void)state;
    check(http, "GET /v2/things" END "\r\n", "404", "application/problem+json");
    check(http, "GET /v1/things/" END "\r\n", "404", "urn:tidings:problem:nothing-here");
    check(http, "GET /v1/things/a/b" END "\r\n", "404", NULL);
    check(http, "PUT /v1/things/a" END "Content-Length: 0\r\n\r\n", "405",
          "Allow: GET, HEAD, POST");
    check(http, "OPTIONS /v1/things/a" END "\r\n", "204", "Allow: GET, HEAD, POST, OPTIONS");
    check(http, "OPTIONS *" END "\r\n", "204", "Allow: ");
    check(http, "GET /v1/things/%zz" END "\r\n", "400", "hexadecimal");
    check(http, "GET /v1/things/%00" END "\r\n", "400", NULL);
    check(http, "GET /v1/things/%" END "\r\n", "400", NULL);
    check(http, "GET /v1/things/%ff" END "\r\n", "400", "UTF-8");
    check(http, "GET /v1/things/special?limit=0" END "\r\n", "400", "from 1 to 100");
    check(http, "GET /v1/things/special?limit=99999999999999999999" END "\r\n", "400", NULL);
    check(http, "GET /v1/things/special?limit=" END "\r\n", "400", NULL);
    check(http, "GET /v1/things/special?lmit=1" END "\r\n", "400", "it takes: limit");
    check(http, "GET /nothing" END "\r\n", "500", "its log");
    check(http, "GET /1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17" END "\r\n", "414", NULL);
    check_large_targets(http);
    char *reply = ask(http, "rubbish\r\n\r\n"); /* not even HTTP: the connection ends */
    assert_true(reply[0] == '\0' || strstr(reply, " 400 ") != NULL);
    free(reply);
    http_free(http);
}

static void test_what_a_proxy_may_read_otherwise_is_refused(void **state)
{
    struct http *http = serve(NULL);
    (void)state;
    check(http, "GET /v1/things/a" END "Host: localhost\r\n\r\n", "400", "more than one Host");
    check(http,
          "POST /v1/things/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n"
          "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
          "400", "Connection: close");
    check(http,
          "POST /v1/things/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n"
          "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "400", "Transfer-Encoding");
    check(http,
          "POST /v1/things/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n"
          "Transfer-Encoding: gzip, chunked\r\n\r\n",
          "501", "gzip, chunked");
    http_free(http);
}

static void test_foreign_hosts_are_refused(void **state)
{
    struct http_settings named = {.allowed_hosts = "bus.example, other.example:81"};
    struct http *http = serve(NULL);
    (void)state;
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: evil.example\r\n\r\n",
          "403", "http.allowed.hosts");
    check(
        http,
        "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: localhost:80@evil.example\r\n\r\n",
        "400", NULL);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: [::1]:x\r\n\r\n", "400",
          NULL);
    check(http,
          "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: localhost.evil.example\r\n\r\n",
          "403", NULL);
    check(http,
          "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: 127.0.0.1.evil.example\r\n\r\n",
          "403", NULL);
    check(http, "GET http://evil.example/v1/things/x" END "\r\n", "403", NULL);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: \r\n\r\n", "400", NULL);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\n\r\n", "400", NULL);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: [::1]:99\r\n\r\n", "200",
          NULL);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: 127.9.9.9:1\r\n\r\n",
          "200", NULL);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: a.LocalHost\r\n\r\n",
          "200", NULL);
    http_free(http);
    http = serve(&named);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: BUS.example:80\r\n\r\n",
          "200", NULL);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: other.example:81\r\n\r\n",
          "200", NULL);
    check(http, "GET /v1/things/a HTTP/1.1\r\nConnection: close\r\nHost: other.example:82\r\n\r\n",
          "403", NULL);
    http_free(http);
}

#define POST "POST /v1/things/x" END "Content-Length: 2\r\n"

static void test_pages_of_others_cannot_change_anything(void **state)
{
    struct http *http = serve(NULL);
    (void)state;
    check(http, POST "\r\n{}", "415", "Tidings-Request");
    check(http, POST "Content-Type: text/plain;charset=utf-8\r\n\r\n{}", "415", NULL);
    check(http, POST "Content-Type: application/x-www-form-urlencoded\r\n\r\n{}", "415", NULL);
    check(http, POST "Content-Type: application/json\r\n\r\n{}", "200", NULL);
    check(http, POST "Content-Type: text/plain\r\nce-id: 1\r\n\r\n{}", "200", NULL);
    check(http, POST "Tidings-Request: 1\r\n\r\n{}", "200", NULL);
    check(http, POST "Content-Type: application/json\r\nOrigin: http://evil.example\r\n\r\n{}",
          "403", NULL);
    check(http, POST "Content-Type: application/json\r\nOrigin: null\r\n\r\n{}", "403", NULL);
    check(http, POST "Content-Type: application/json\r\nSec-Fetch-Site: cross-site\r\n\r\n{}",
          "403", NULL);
    check(http, POST "Origin: http://localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n{}", "403",
          NULL);
    check(http, POST "Content-Type: text/plain\r\nOrigin: http://localhost\r\n\r\n{}", "200", NULL);
    http_free(http);
}

static void test_bodies_have_a_limit(void **state)
{
    struct http_settings small = {.bodies_max = 1000};
    struct http *http = serve(NULL);
    struct buf request = {0};
    (void)state;
    check(http,
          "POST /v1/things/x" END "Content-Type: a/b\r\nContent-Length: 100001\r\n"
          "Expect: 100-continue\r\n\r\n",
          "413", "most_bytes\":100000");
    check(http, "POST /v1/things/x" END "Content-Type: a/b\r\nContent-Length: 99999999999\r\n\r\n",
          "413", NULL);
    buf_append_str(&request, "POST /v1/things/x" END "Content-Type: a/b\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++) {
        buf_append_str(&request, "1000\r\n");
        memset(buf_extend(&request, 4096), 'x', 4096);
        buf_append_str(&request, "\r\n");
    }
    buf_append_str(&request, "0\r\n\r\n");
    check(http, buf_cstr(&request), "413", NULL); /* all of it is sent, and the reply arrives */
    check(http, "GET /v1/things/x" END "Content-Length: 2\r\n\r\nab", "413", "takes no body");
    http_free(http);
    http = serve(&small);
    buf_clear(&request);
    buf_append_str(&request,
                   "POST /v1/things/x" END "Content-Type: a/b\r\nContent-Length: 2000\r\n\r\n");
    memset(buf_extend(&request, 2000), 'x', 2000);
    check(http, buf_cstr(&request), "503", "Retry-After: 1");
    check(http, POST "Content-Type: a/b\r\n\r\n{}", "200", NULL); /* the memory is there again */
    http_free(http);
    buf_clear(&request);
    http = serve(NULL);
    buf_append_str(&request, "GET /v1/things/x" END "X-Large: ");
    memset(buf_extend(&request, 100000), 'x', 100000);
    buf_append_str(&request, "\r\n\r\n");
    check(http, buf_cstr(&request), "4", NULL);
    http_free(http);
    buf_deinit(&request);
}

static void test_pipelined_requests_come_in_order(void **state)
{
    struct http *http = serve(NULL);
    struct buf text = {0};
    int fd = dial(http);
    (void)state;
    put(fd, "GET /v1/things/first HTTP/1.1\r\nHost: localhost\r\n\r\n"
            "POST /v1/things/second HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\n"
            "Content-Length: 3\r\n\r\nabcGET /v1/things/third" END "\r\n");
    (void)get_until(fd, &text, NULL);
    const char *first = strstr(buf_cstr(&text), "\"id\":\"first\"");
    const char *second = strstr(buf_cstr(&text), "\"id\":\"second\"");
    const char *third = strstr(buf_cstr(&text), "\"id\":\"third\"");
    assert_true(first != NULL && second > first && third > second);
    close(fd);
    buf_deinit(&text);
    http_free(http);
}

/* --- who is slow holds up nobody --- */

static void test_a_slow_handler_holds_up_nobody(void **state)
{
    struct http_settings settings = {.workers = 3};
    struct http *http = serve(&settings);
    struct buf text = {0};
    int slow[3] = {dial(http), dial(http), dial(http)};
    (void)state;
    put(slow[0], "GET /gate" END "\r\n");
    put(slow[1], "GET /gate" END "\r\n");
    wait_at_gate(2);
    check(http, "GET /v1/things/quick" END "\r\n", "200", NULL);
    while (http_counts(http).busy_workers != 2) {
        poll(NULL, 0, 1); /* the one that answered is busy until just behind its reply */
    }
    put(slow[2], "GET /gate" END "\r\n");
    wait_at_gate(3); /* no worker is left */
    check(http, "GET /quick" END "\r\n", "200", "quick");
    open_gate(true);
    for (int i = 0; i < 3; i++) {
        buf_clear(&text);
        (void)get_until(slow[i], &text, NULL);
        assert_non_null(strstr(buf_cstr(&text), "through"));
        close(slow[i]);
    }
    buf_deinit(&text);
    http_free(http);
}

static void test_more_than_can_wait_are_told_to_come_again(void **state)
{
    struct http_settings settings = {.workers = 1};
    struct http *http = serve(&settings);
    struct buf text = {0};
    int fds[MANY];
    int through = 0, refused = 0;
    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial(http);
        put(fds[i], "GET /gate" END "\r\n");
        if (i == 0) {
            wait_at_gate(1);
        }
    }
    for (int i = MANY - 1; i >= 0; i--) { /* those that came last are told while the gate is shut */
        buf_clear(&text);
        if (i == 16) {
            open_gate(true);
        }
        (void)get_until(fds[i], &text, NULL);
        through += strstr(buf_cstr(&text), "through") != NULL;
        refused += strstr(buf_cstr(&text), "503 ") != NULL;
        close(fds[i]);
    }
    assert_int_equal(through, 17);
    assert_int_equal(refused, MANY - 17);
    buf_deinit(&text);
    http_free(http);
}

static void test_who_says_nothing_is_let_go(void **state)
{
    struct http_settings settings = {.idle_ms = 1};
    struct http *http = serve(&settings);
    struct buf text = {0};
    int silent = dial(http);
    (void)state;
    assert_false(get_until(silent, &text, NULL));
    close(silent);
    buf_deinit(&text);
    http_free(http);
}

static void test_slow_clients_are_cut(void **state)
{
    struct http_settings settings = {.request_ms = 1, .reply_ms = 1};
    struct http *http = serve(&settings);
    struct buf text = {0};
    int half = dial(http), unread = dial(http);
    (void)state;
    put(half, "POST /v1/things/x" END "Content-Type: a/b\r\nContent-Length: 10\r\n\r\n123");
    put(unread, "GET /large" END "\r\n");
    assert_false(get_until(half, &text, "200 OK"));
    close(half);
    while (http_counts(http).connections > 0) {
        poll(NULL, 0, 10); /* the reply that nobody reads is cut as well */
    }
    assert_true(http_counts(http).cut >= 1);
    close(unread);
    buf_deinit(&text);
    http_free(http);
}

static void test_half_requests_keep_nobody_out(void **state)
{
    struct http_settings settings = {.connections_max = 32, .request_ms = 10 * PATIENCE_MS};
    struct http *http = serve(&settings);
    int fds[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial(http);
        put(fds[i], "GET /v1/thi");
    }
    check(http, "GET /v1/things/between" END "\r\n", "200", NULL);
    for (int i = 0; i < MANY; i++) {
        close(fds[i]);
    }
    assert_true(http_counts(http).cut >= MANY - 32);
    http_free(http);
}

static void test_many_connections_at_once(void **state)
{
    struct http *http = serve(NULL);
    int fds[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial(http);
        put(fds[i], "GET /v1/thi");
    }
    check(http, "GET /v1/things/between" END "\r\n", "200", NULL);
    for (int i = 0; i < MANY; i++) {
        put(fds[i], "ngs/x" END "\r\n");
    }
    for (int i = 0; i < MANY; i++) {
        struct buf text = {0};
        (void)get_until(fds[i], &text, NULL);
        assert_non_null(strstr(buf_cstr(&text), "\"id\":\"x\""));
        buf_deinit(&text);
        close(fds[i]);
    }
    assert_int_equal(http_counts(http).requests[2], MANY + 1);
    http_free(http);
}

/* --- streams --- */

static int open_stream(struct http *http)
{
    int fd = dial(http);
    put(fd, "GET /stream" END "\r\n");
    pthread_mutex_lock(&lock);
    while (stream == NULL) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static void test_a_stream_sends_until_it_is_closed(void **state)
{
    struct http *http = serve(NULL);
    struct buf text = {0};
    int fd = open_stream(http);
    (void)state;
    assert_int_equal(http_stream_send(stream, "greeting", "1:2", slice_str("one\ntwo\r\nthree")),
                     HTTP_SENT);
    assert_true(
        get_until(fd, &text, "id: 1:2\nevent: greeting\ndata: one\ndata: two\ndata: three\n\n"));
    assert_non_null(strstr(buf_cstr(&text), "text/event-stream"));
    assert_int_equal(http_stream_send(stream, NULL, NULL, slice_str("")), HTTP_SENT);
    assert_true(get_until(fd, &text, "data: \n\n"));
    assert_int_equal(http_counts(http).streams, 1);
    http_stream_close(stream);
    assert_false(get_until(fd, &text, NULL));
    close(fd);
    buf_deinit(&text);
    http_free(http);
}

static void test_a_slow_stream_is_bounded(void **state)
{
    struct http *http = serve(NULL);
    int fd = open_stream(http);
    char *piece = calloc(1, 60000);
    size_t sent = 0;
    (void)state;
    memset(piece, 'x', 60000);
    while (sent < 1000 &&
           http_stream_send(stream, NULL, NULL, slice_of(piece, 60000)) == HTTP_SENT) {
        sent++;
    }
    assert_true(sent >= 4 && sent < 1000); /* its queue, and what the kernel takes */
    assert_false(http_stream_is_gone(stream));
    close(fd);
    while (!http_stream_is_gone(stream)) {
        (void)http_stream_wait(stream, 1, 100);
    }
    assert_int_equal(http_stream_send(stream, NULL, NULL, slice_str("x")), HTTP_GONE);
    http_stream_close(stream);
    free(piece);
    http_free(http);
}

static void test_the_stop_ends_streams_and_lets_handlers_finish(void **state)
{
    struct http *http = serve(NULL);
    struct buf text = {0};
    int slow = dial(http), fd = open_stream(http);
    (void)state;
    put(slow, "GET /gate" END "\r\n");
    wait_at_gate(1);
    open_gate(true);
    assert_true(http_stop(http, PATIENCE_MS));
    assert_true(http_stream_is_gone(stream));
    http_stream_close(stream);
    (void)get_until(slow, &text, NULL);
    assert_non_null(strstr(buf_cstr(&text), "through"));
    assert_false(get_until(fd, &text, NULL));
    close(slow);
    close(fd);
    buf_deinit(&text);
    http_free(http);
}

/* --- ports --- */

static void test_a_port_that_is_taken(void **state)
{
    struct http *http = serve(NULL), *other = NULL;
    struct http_settings settings = {.listener = http_address(http)};
    struct reason reason = {{0}};
    (void)state;
    assert_int_equal(http_open(&settings, &other, &reason), ERR_IO);
    assert_non_null(strstr(reason.text, "any free one"));
    settings.may_move = true;
    assert_int_equal(http_open(&settings, &other, &reason), ERR_NONE);
    assert_string_not_equal(http_address(http), http_address(other));
    http_free(other);
    settings.listener = "127.0.0.1";
    assert_int_equal(http_open(&settings, &other, &reason), ERR_CONFIG);
    http_free(http);
}

static void test_routes_without_a_server(void **state)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct http_answer answer;
    (void)state;
    http_try(routes, ROUTE_COUNT, "POST", "/v1/things/a%20b", headers, slice_str("{}"), &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(json_string_value(json_object_get(answer.json, "id")), "a b");
    http_answer_deinit(&answer);
    http_try(routes, ROUTE_COUNT, "GET", "/nowhere", NULL, slice_str(""), &answer);
    assert_int_equal(answer.status, 404);
    assert_string_equal(answer.content_type, "application/problem+json");
    http_answer_deinit(&answer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_and_their_parts),
        cmocka_unit_test(test_what_is_wrong_is_told),
        cmocka_unit_test(test_what_a_proxy_may_read_otherwise_is_refused),
        cmocka_unit_test(test_foreign_hosts_are_refused),
        cmocka_unit_test(test_pages_of_others_cannot_change_anything),
        cmocka_unit_test(test_bodies_have_a_limit),
        cmocka_unit_test(test_pipelined_requests_come_in_order),
        cmocka_unit_test(test_a_slow_handler_holds_up_nobody),
        cmocka_unit_test(test_more_than_can_wait_are_told_to_come_again),
        cmocka_unit_test(test_who_says_nothing_is_let_go),
        cmocka_unit_test(test_slow_clients_are_cut),
        cmocka_unit_test(test_half_requests_keep_nobody_out),
        cmocka_unit_test(test_many_connections_at_once),
        cmocka_unit_test(test_a_stream_sends_until_it_is_closed),
        cmocka_unit_test(test_a_slow_stream_is_bounded),
        cmocka_unit_test(test_the_stop_ends_streams_and_lets_handlers_finish),
        cmocka_unit_test(test_a_port_that_is_taken),
        cmocka_unit_test(test_routes_without_a_server),
    };
    return unit_run(tests, NULL, NULL, argc, argv);
}
