#include "intake.h"
#include "store.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { BODY_MAX = 1024 * 1024, CONNECTIONS_MAX = 256, IDLE_SECONDS = 30 };

/* The body of one request. */
struct body {
    char *data;
    size_t size;
    bool too_large;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, json_t *content)
{
    char *text = json_dumps(content, JSON_COMPACT);
    json_decref(content);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "POST");
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_error(struct MHD_Connection *connection, unsigned status,
                                    const char *message)
{
    return answer(connection, status, json_pack("{s:s}", "error", message));
}

/* What the customer left out: a number for the order, and the time. */
static void order_complete(struct order *order)
{
    if (order->id == NULL) {
        uint64_t number = 0;
        while (getrandom(&number, sizeof number, 0) != sizeof number) {
        }
        char id[32];
        snprintf(id, sizeof id, "W%016llx", (unsigned long long)number);
        order->id = strdup(id);
    }
    if (order->ordered_at == NULL) {
        char now[32];
        struct tm utc;
        gmtime_r(&(time_t){time(NULL)}, &utc);
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%S", &utc);
        order->ordered_at = strdup(now);
    }
}

static enum MHD_Result order_accept(struct tidings *service, struct MHD_Connection *connection,
                                    const struct body *body)
{
    struct order order;
    struct order_problem problem;
    if (!order_from_json(body->data != NULL ? body->data : "", body->size, &order, &problem)) {
        return answer_error(connection, MHD_HTTP_BAD_REQUEST, problem.text);
    }
    order_complete(&order);
    char *json = order_to_json(&order);
    struct tidings_error error;
    enum tidings_status status = intake_publish(service, &order, json, NULL, NULL, &error);
    enum MHD_Result result;
    if (status == TIDINGS_OK) {
        result = answer(connection, MHD_HTTP_ACCEPTED, json_pack("{s:s}", "orderId", order.id));
    } else {
        char message[400];
        snprintf(message, sizeof message,
                 "the order could not be taken now (%s); send it again with orderId %s", error.text,
                 order.id);
        store_complain("order %s: %s", order.id, error.text);
        result = answer_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, message);
    }
    free(json);
    order_deinit(&order);
    return result;
}

static void body_add(struct body *body, const char *data, size_t size)
{
    if (body->too_large || size > BODY_MAX - body->size) {
        body->too_large = true;
        return;
    }
    body->data = realloc(body->data, body->size + size);
    if (body->data == NULL) {
        abort();
    }
    memcpy(body->data + body->size, data, size);
    body->size += size;
}

/* Called at the head of a request, for each part of its body, and at its end. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    if (*state == NULL) {
        *state = calloc(1, sizeof(struct body));
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    struct body *body = *state;
    if (*size > 0) {
        body_add(body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (strcmp(url, "/orders") != 0) {
        return answer_error(connection, MHD_HTTP_NOT_FOUND, "orders are taken at POST /orders");
    }
    if (strcmp(method, "POST") != 0) {
        return answer_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                            "orders are taken at POST /orders");
    }
    if (body->too_large) {
        return answer_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                            "an order may have 1 MiB at most");
    }
    return order_accept(context, connection, body);
}

static void on_request_end(void *context, struct MHD_Connection *connection, void **state,
                           enum MHD_RequestTerminationCode code)
{
    struct body *body = *state;
    if (body != NULL) {
        free(body->data);
        free(body);
    }
}

static bool address_parse(const char *text, struct sockaddr_in *address)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host) {
        return false;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_port = htons((uint16_t)store_number("listen", colon + 1, 0, 65535));
    return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

int intake_http(struct tidings *service, const char *listen_address)
{
    struct sockaddr_in address;
    if (!address_parse(listen_address, &address)) {
        store_usage_error("--listen %s: must be ADDRESS:PORT, such as 127.0.0.1:8088",
                          listen_address);
    }
    /* The stop signals are waited for below, not taken by a thread of the server. */
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, on_request,
        service, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, on_request_end, NULL,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
        MHD_OPTION_END);
    if (daemon == NULL) {
        store_complain("cannot listen at %s: is the port taken?", listen_address);
        return EXIT_FAILURE;
    }
    char host[INET_ADDRSTRLEN];
    printf("ready http=%s:%d\n", inet_ntop(AF_INET, &address.sin_addr, host, sizeof host),
           MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    int signal;
    sigwait(&stop, &signal);
    MHD_stop_daemon(daemon);
    return EXIT_SUCCESS;
}
