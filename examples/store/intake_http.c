#include "intake.h"
#include "store.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, POST");
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

/* A number for an order that came without one. */
static void order_number(struct order *order)
{
    if (order->id == NULL) {
        uint64_t number = 0;
        while (getrandom(&number, sizeof number, 0) != sizeof number) {
        }
        char id[32];
        snprintf(id, sizeof id, "W%016llx", (unsigned long long)number);
        order->id = strdup(id);
    }
}

static enum MHD_Result answer_intake(struct MHD_Connection *connection, enum intake_answer taken,
                                     const char *order_id, const struct order_problem *problem)
{
    switch (taken) {
    case INTAKE_TAKEN:
    case INTAKE_KNOWN:
        return answer(connection, MHD_HTTP_ACCEPTED, json_pack("{s:s}", "orderId", order_id));
    case INTAKE_REFUSED:
        return answer_error(connection, MHD_HTTP_BAD_REQUEST, problem->text);
    case INTAKE_UNKNOWN:
        return answer_error(connection, MHD_HTTP_NOT_FOUND, problem->text);
    case INTAKE_FAILED:
        break;
    }
    store_complain("order %s: %s", order_id, problem->text);
    char message[400];
    snprintf(message, sizeof message, "not now (%s); send it again with orderId %s", problem->text,
             order_id);
    return answer_error(connection, MHD_HTTP_SERVICE_UNAVAILABLE, message);
}

static enum MHD_Result on_order(struct intake *intake, struct MHD_Connection *connection,
                                const struct body *body)
{
    struct order order;
    struct order_problem problem;
    if (!order_from_json(body->data != NULL ? body->data : "", body->size, &order, &problem)) {
        return answer_error(connection, MHD_HTTP_BAD_REQUEST, problem.text);
    }
    order_number(&order);
    enum intake_answer taken = INTAKE_FAILED;
    if (intake_begin(intake, &problem)) {
        taken = intake_place(intake, &order, &problem);
        taken = intake_commit(intake, &problem) ? taken : INTAKE_FAILED;
    }
    enum MHD_Result result = answer_intake(connection, taken, order.id, &problem);
    order_deinit(&order);
    return result;
}

static enum MHD_Result on_cancel(struct intake *intake, struct MHD_Connection *connection,
                                 const char *order_id)
{
    struct order_problem problem;
    enum intake_answer taken = INTAKE_FAILED;
    if (intake_begin(intake, &problem)) {
        taken = intake_cancel(intake, order_id, &problem);
        taken = intake_commit(intake, &problem) ? taken : INTAKE_FAILED;
    }
    return answer_intake(connection, taken, order_id, &problem);
}

static enum MHD_Result on_question(struct intake *intake, struct MHD_Connection *connection,
                                   const char *order_id)
{
    struct order_problem problem;
    char *json = NULL;
    bool is_cancelled = false;
    if (!intake_begin(intake, &problem)) {
        return answer_intake(connection, INTAKE_FAILED, order_id, &problem);
    }
    json = intake_find(intake, order_id, &is_cancelled);
    bool ok = intake_commit(intake, &problem);
    json_t *order = ok && json != NULL ? json_loads(json, 0, NULL) : NULL;
    free(json);
    if (order == NULL) {
        snprintf(problem.text, sizeof problem.text, "there is no order %.64s", order_id);
        return answer_intake(connection, ok ? INTAKE_UNKNOWN : INTAKE_FAILED, order_id, &problem);
    }
    return answer(connection, MHD_HTTP_OK,
                  json_pack("{s:o, s:b}", "order", order, "isCancelled", is_cancelled));
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

/* POST /orders, GET /orders/ID, POST /orders/ID/cancel; an id may have slashes in it. */
static enum MHD_Result route(struct intake *intake, struct MHD_Connection *connection,
                             const char *url, const char *method, const struct body *body)
{
    static const char orders[] = "/orders/", cancel[] = "/cancel";
    bool is_post = strcmp(method, "POST") == 0, is_get = strcmp(method, "GET") == 0;
    if (is_post && strcmp(url, "/orders") == 0) {
        return on_order(intake, connection, body);
    }
    char id[ORDER_ID_MAX + sizeof cancel];
    bool is_one = strncmp(url, orders, sizeof orders - 1) == 0;
    size_t size = is_one ? strlen(url + sizeof orders - 1) : sizeof id;
    if (size < sizeof id) {
        memcpy(id, url + sizeof orders - 1, size + 1);
        bool is_cancel =
            size >= sizeof cancel && strcmp(id + size - sizeof cancel + 1, cancel) == 0;
        if (is_get) {
            return on_question(intake, connection, id);
        }
        if (is_post && is_cancel) {
            id[size - sizeof cancel + 1] = '\0';
            return on_cancel(intake, connection, id);
        }
    }
    bool is_place = is_one || strcmp(url, "/orders") == 0;
    return answer_error(connection, is_place ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND,
                        "there are POST /orders, POST /orders/ID/cancel, GET /orders/ID");
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
    if (body->too_large) {
        return answer_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                            "an order may have 1 MiB at most");
    }
    return route(context, connection, url, method, body);
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

int intake_http(struct intake *intake, const char *listen_address)
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
        intake, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, on_request_end, NULL,
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
