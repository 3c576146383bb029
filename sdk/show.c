#include "meter.h"
#include "service.h"

#include "base/address.h"
#include "base/library.h"
#include "base/mem.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Metrics and health by HTTP: one thread of libmicrohttpd's, which is loaded only when somebody
 * asks for this. A request that asks for numbers waits for the poll thread's next turn.
 */

#define FUNCTIONS(each)                                                                            \
    each(MHD_start_daemon) each(MHD_stop_daemon) each(MHD_create_response_from_buffer)             \
        each(MHD_add_response_header) each(MHD_queue_response) each(MHD_destroy_response)

enum { FUNCTIONS(LIBRARY_AT) FUNCTION_COUNT };
static const char *const names[] = {FUNCTIONS(LIBRARY_NAME) NULL};
static const char *const files[] = {"libmicrohttpd.so.12", "libmicrohttpd.so", NULL};

#define CALL(name) LIBRARY_CALL(show->functions, name)

struct show {
    struct tidings *service;
    library_function *functions[FUNCTION_COUNT];
    int socket;
    struct MHD_Daemon *daemon;
    struct connection *connection; /* to see whether the bus answers; NULL: not needed yet */
};

/* --- answers --- */

enum { REFRESH_MS = 1000, WHY_SIZE = 400 };

static enum MHD_Result send_text(const struct show *show, struct MHD_Connection *connection,
                                 unsigned status, const char *type, struct buf *text)
{
    struct MHD_Response *response =
        CALL(MHD_create_response_from_buffer)(text->size, text->data, MHD_RESPMEM_MUST_COPY);
    CALL(MHD_add_response_header)(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    CALL(MHD_add_response_header)(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        CALL(MHD_add_response_header)(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    enum MHD_Result result = CALL(MHD_queue_response)(connection, status, response);
    CALL(MHD_destroy_response)(response);
    buf_deinit(text);
    return result;
}

static enum MHD_Result send_words(const struct show *show, struct MHD_Connection *connection,
                                  unsigned status, const char *words)
{
    struct buf text = {0};
    buf_printf(&text, "%s\n", words);
    return send_text(show, connection, status, "text/plain; charset=utf-8", &text);
}

/* Asked by a connection of its own: those of the service tell when something breaks, but that the
 * bus is back only when there is something to hear. */
static bool bus_answers(struct show *show, char *why, size_t size)
{
    struct client_error error;
    struct connection_settings settings = service_connection(show->service);
    enum client_status status = CLIENT_OK;
    settings.notice = NULL;
    if (show->connection == NULL) {
        status = connection_open(&settings, &show->connection, &error);
    }
    if (status == CLIENT_OK) {
        status = connection_reach(show->connection, &error);
    }
    snprintf(why, size, "%.390s", status == CLIENT_OK ? "it answers" : error.text);
    return status == CLIENT_OK;
}

static enum MHD_Result send_ready(struct show *show, struct MHD_Connection *connection)
{
    char why[WHY_SIZE];
    meter_refresh(show->service, REFRESH_MS);
    struct meter *meter = &show->service->meter;
    bool is_ready = meter_is_ready(show->service, why, sizeof why);
    if (is_ready && (atomic_load(&meter->is_bus_away) || !atomic_load(&meter->has_handlers))) {
        char away[WHY_SIZE];
        is_ready = bus_answers(show, away, sizeof away);
        atomic_store(&meter->is_bus_away, !is_ready);
        if (!is_ready) {
            memcpy(why, away, sizeof why);
        }
    }
    return send_words(show, connection, is_ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, why);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    struct show *show = context;
    char why[WHY_SIZE];
    (void)version;
    (void)upload;
    if (*state == NULL || *upload_size > 0) { /* the headers, then what nobody reads */
        *state = show;
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return send_words(show, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    }
    if (strcmp(url, "/metrics") == 0) {
        struct buf text = {0};
        meter_refresh(show->service, REFRESH_MS);
        meter_text(show->service, &text);
        return send_text(show, connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                         &text);
    }
    if (strcmp(url, "/healthz") == 0) {
        bool is_healthy = meter_is_healthy(show->service, why, sizeof why);
        return send_words(show, connection, is_healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                          why);
    }
    return strcmp(url, "/readyz") == 0 ? send_ready(show, connection)
                                       : send_words(show, connection, MHD_HTTP_NOT_FOUND,
                                                    "there are /metrics, /healthz and /readyz");
}

/* --- life --- */

static int listen_at(const struct addrinfo *at)
{
    const int on = 1;
    enum { BACKLOG = 64 };
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
                    bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)) {
        int failed = errno;
        close(fd);
        errno = failed;
        fd = -1;
    }
    return fd;
}

static bool bind_socket(struct show *show, const char *address, char *why, size_t size)
{
    const struct addrinfo wanted = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[ADDRESS_HOST_SIZE];
    const char *port;
    if (!address_split(address, host, &port)) {
        snprintf(why, size, "it is no HOST:PORT (\"127.0.0.1:9100\", \"[::1]:9100\", \":0\")");
        return false;
    }
    int code = getaddrinfo(host[0] != '\0' ? host : NULL, port, &wanted, &found);
    if (code != 0) {
        snprintf(why, size, "%s", gai_strerror(code));
        return false;
    }
    show->socket = -1;
    for (const struct addrinfo *at = found; at != NULL && show->socket < 0; at = at->ai_next) {
        show->socket = listen_at(at);
    }
    snprintf(why, size, "%s", strerror(errno));
    freeaddrinfo(found);
    return show->socket >= 0;
}

static void tell(const struct show *show)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof at;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getsockname(show->socket, (struct sockaddr *)&at, &size) == 0 &&
        getnameinfo((struct sockaddr *)&at, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        bool is_v6 = strchr(host, ':') != NULL;
        service_log(show->service, TIDINGS_LOG_INFO,
                    "metrics and health are at http://%s%s%s:%s/metrics, /healthz and /readyz",
                    is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
    }
}

static bool start(struct show *show, const char *address, char *why, size_t size)
{
    enum { CONNECTIONS_MAX = 32, IDLE_SECONDS = 10 };
    if (!library_load(files, names, show->functions, why, size) ||
        !bind_socket(show, address, why, size)) {
        return false;
    }
    show->daemon = CALL(MHD_start_daemon)(
        MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, show, MHD_OPTION_LISTEN_SOCKET,
        show->socket, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (show->daemon == NULL) {
        close(show->socket);
        snprintf(why, size, "no thread for it");
        return false;
    }
    tell(show);
    return true;
}

enum tidings_status show_open(struct tidings *service, struct show **show,
                              struct tidings_error *error)
{
    const char *option = service->options.http_listen;
    const char *address = option != NULL ? option : getenv("TIDINGS_HTTP_LISTEN");
    char why[WHY_SIZE];
    *show = NULL;
    if (address == NULL || address[0] == '\0') {
        return TIDINGS_OK;
    }
    struct show *made = mem_new(struct show);
    made->service = service;
    service->meter.is_on = true; /* before its thread begins */
    if (start(made, address, why, sizeof why)) {
        *show = made;
        return TIDINGS_OK;
    }
    free(made);
    service->meter.is_on = false;
    if (option != NULL) {
        return error_set(error, TIDINGS_INVALID, "options.http_listen, %.100s: %.120s", address,
                         why);
    }
    service_log(service, TIDINGS_LOG_WARN,
                "TIDINGS_HTTP_LISTEN, %.100s: %.200s; going on without metrics and health", address,
                why);
    return TIDINGS_OK;
}

void show_close(struct show *show)
{
    if (show != NULL) {
        CALL(MHD_stop_daemon)(show->daemon); /* closes the socket */
        connection_close(show->connection);
        free(show);
    }
}
