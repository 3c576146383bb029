#include "base/clock.h"
#include "base/mem.h"
#include "service.h"

#include <stdlib.h>
#include <string.h>

/* Publishing: one idempotent producer, made at the first publish, and a thread for its reports. */

enum { POLL_MS = 100 };

/* Travels with a record through librdkafka and comes back with its report. */
struct outgoing {
    tidings_delivered_fn *delivered;
    void *context;
    struct flight *flight; /* NULL: not published inside a handler */
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct tidings *service = opaque;
    struct outgoing *outgoing = message->_private;
    bool ok = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (outgoing->delivered != NULL) {
        struct tidings_delivery delivery = {
            .status = status_of(message->err),
            .text = ok ? "" : rd_kafka_err2str(message->err),
            .topic = rd_kafka_topic_name(message->rkt),
            .partition = message->partition >= 0 ? message->partition : -1,
            .offset = ok ? message->offset : -1,
        };
        outgoing->delivered(outgoing->context, &delivery);
    }
    if (outgoing->flight != NULL) {
        flight_settle(service, outgoing->flight, ok);
        if (!ok && message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE) {
            service_log(service, TIDINGS_LOG_WARN, "an event for %s was not kept: %s",
                        rd_kafka_topic_name(message->rkt), rd_kafka_err2str(message->err));
        }
    }
    free(outgoing);
}

enum tidings_status publisher_config(struct tidings *service, rd_kafka_conf_t **conf,
                                     struct tidings_error *error)
{
    *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(*conf, on_delivery);
    const struct config_pair pairs[] = {
        {"enable.idempotence", "true"},    /* implies acks=all and order through retries */
        {"partitioner", "murmur2_random"}, /* a key's partition as the Java client chooses it */
        {"linger.ms", "1"},
        {"message.timeout.ms", NULL, service->publish_timeout_ms},
        {"topic.metadata.propagation.max.ms", "5000"},
        {NULL},
    };
    enum tidings_status status = config_fill(service, *conf, pairs, error);
    if (status != TIDINGS_OK) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
    }
    return status;
}

static void *delivery_main(void *argument)
{
    struct tidings *service = argument;
    while (!atomic_load(&service->closing)) {
        rd_kafka_poll(service->producer, POLL_MS);
    }
    return NULL;
}

static enum tidings_status publisher_start(struct tidings *service, struct tidings_error *error)
{
    rd_kafka_conf_t *conf = NULL;
    enum tidings_status status = publisher_config(service, &conf, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    char text[256];
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (producer == NULL) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, TIDINGS_INVALID, "%s", text);
    }
    service->producer = producer;
    if (pthread_create(&service->delivery_thread, NULL, delivery_main, service) != 0) {
        rd_kafka_destroy(producer);
        service->producer = NULL;
        return error_set(error, TIDINGS_FATAL, "no thread for delivery reports");
    }
    return TIDINGS_OK;
}

static enum tidings_status publisher_get(struct tidings *service, struct tidings_error *error)
{
    pthread_mutex_lock(&service->lock);
    enum tidings_status status = TIDINGS_OK;
    if (service->producer == NULL) {
        status = publisher_start(service, error);
    }
    pthread_mutex_unlock(&service->lock);
    return status;
}

void publisher_deinit(struct tidings *service)
{
    if (service->producer == NULL) {
        return;
    }
    rd_kafka_purge(service->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(service->producer, 1000);
    atomic_store(&service->closing, true);
    pthread_join(service->delivery_thread, NULL);
    while (rd_kafka_poll(service->producer, 0) > 0) {
    }
    rd_kafka_destroy(service->producer);
    service->producer = NULL;
}

/* Inside a handler of this service, on its thread? Only then current_* are looked at. */
static bool in_handler(const struct tidings *service)
{
    return atomic_load(&service->in_handler) && pthread_equal(pthread_self(), service->run_thread);
}

static enum tidings_status message_check(const struct tidings_message *message,
                                         struct tidings_error *error)
{
    if (message->topic == NULL || message->topic[0] == '\0') {
        return error_set(error, TIDINGS_INVALID, "the message names no topic");
    }
    if (message->type == NULL || message->type[0] == '\0') {
        return error_set(error, TIDINGS_INVALID, "the message has no event type");
    }
    for (size_t i = 0; i < message->header_count; i++) {
        if (message->headers[i].name == NULL) {
            return error_set(error, TIDINGS_INVALID, "header %zu has no name", i);
        }
    }
    return TIDINGS_OK;
}

/* Hands the record to librdkafka, which copies key and data. */
static enum tidings_status publisher_send(struct tidings *service,
                                          const struct tidings_message *message,
                                          rd_kafka_headers_t *headers, struct outgoing *outgoing,
                                          struct tidings_error *error)
{
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = message->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = outgoing},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = (void *)(uintptr_t)message->data,
                   .size = message->data != NULL ? message->data_size : 0}},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {.ptr = (void *)(uintptr_t)message->key,
                   .size = message->key != NULL ? strlen(message->key) : 0}},
    };
    rd_kafka_error_t *failure =
        rd_kafka_produceva(service->producer, fields, sizeof fields / sizeof fields[0]);
    if (failure == NULL) {
        return TIDINGS_OK;
    }
    enum tidings_status status = error_set(error, status_of(rd_kafka_error_code(failure)), "%s",
                                           rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
    return status;
}

enum tidings_status tidings_publish(struct tidings *service, const struct tidings_message *message,
                                    tidings_delivered_fn *delivered, void *context,
                                    struct tidings_error *error)
{
    enum tidings_status status = message_check(message, error);
    if (status == TIDINGS_OK) {
        status = publisher_get(service, error);
    }
    if (status != TIDINGS_OK) {
        return status;
    }
    struct outgoing *outgoing = mem_new(struct outgoing);
    outgoing->delivered = delivered;
    outgoing->context = context;
    const struct tidings_event *cause = NULL;
    if (in_handler(service)) {
        cause = service->current_event;
        outgoing->flight = flight_join(service);
    }
    rd_kafka_headers_t *headers = event_encode_headers(service, message, cause);
    struct flight *flight = outgoing->flight;
    status = publisher_send(service, message, headers, outgoing, error);
    if (status != TIDINGS_OK) {
        rd_kafka_headers_destroy(headers);
        if (flight != NULL) {
            flight_settle(service, flight, true); /* the handler sees the status and decides */
        }
        free(outgoing);
    }
    return status;
}

struct publish_wait {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool settled;
    struct tidings_error result;
};

static void on_waited_delivery(void *context, const struct tidings_delivery *delivery)
{
    struct publish_wait *wait = context;
    pthread_mutex_lock(&wait->lock);
    error_set(&wait->result, delivery->status, "%s", delivery->text);
    wait->settled = true;
    pthread_cond_signal(&wait->done);
    pthread_mutex_unlock(&wait->lock);
}

enum tidings_status tidings_publish_wait(struct tidings *service,
                                         const struct tidings_message *message,
                                         struct tidings_error *error)
{
    struct publish_wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                .done = PTHREAD_COND_INITIALIZER};
    enum tidings_status status =
        tidings_publish(service, message, on_waited_delivery, &wait, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    pthread_mutex_lock(&wait.lock);
    while (!wait.settled) {
        pthread_cond_wait(&wait.done, &wait.lock);
    }
    pthread_mutex_unlock(&wait.lock);
    pthread_cond_destroy(&wait.done);
    pthread_mutex_destroy(&wait.lock);
    return wait.result.status == TIDINGS_OK
               ? TIDINGS_OK
               : error_set(error, wait.result.status, "%s", wait.result.text);
}

enum tidings_status tidings_flush(struct tidings *service, int timeout_ms,
                                  struct tidings_error *error)
{
    pthread_mutex_lock(&service->lock);
    rd_kafka_t *producer = service->producer;
    pthread_mutex_unlock(&service->lock);
    if (producer == NULL || rd_kafka_flush(producer, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return TIDINGS_OK;
    }
    return error_set(error, TIDINGS_UNREACHABLE,
                     "%d events were not acknowledged by %s within %d ms",
                     rd_kafka_outq_len(producer), service->bootstrap_servers, timeout_ms);
}
