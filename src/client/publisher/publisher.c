#include "client/publisher/publisher.h"

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "client/connection/kafka.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 100 };

struct publisher {
    struct connection connection; /* first: librdkafka's opaque */
    publisher_done_fn *done;
    void *done_context;
    bool has_thread;

    pthread_mutex_t lock; /* guards the thread's start; held to wait for settled */
    pthread_cond_t settled;
    atomic_bool is_running; /* the thread; changed under the lock */
    pthread_t thread;
    atomic_bool is_ending;
    atomic_size_t pending;
    atomic_int waiting; /* threads in publisher_flush */
};

static void note_settled(struct publisher *publisher)
{
    if (atomic_fetch_sub(&publisher->pending, 1) == 1 && atomic_load(&publisher->waiting) > 0) {
        pthread_mutex_lock(&publisher->lock);
        pthread_cond_broadcast(&publisher->settled);
        pthread_mutex_unlock(&publisher->lock);
    }
}

/* What ended the producer, of an event that it threw away for that alone; else the event's own. */
static enum client_status why_failed(struct publisher *publisher, rd_kafka_resp_err_t code,
                                     struct client_error *error)
{
    if (code == RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
        connection_fatal(&publisher->connection, error) != CLIENT_OK) {
        return error->status;
    }
    return connection_fail(&publisher->connection, error, code, NULL);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct publisher *publisher = opaque;
    struct client_error error;
    bool is_kept = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    struct publication publication = {
        .context = message->_private,
        .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition >= 0 ? message->partition : -1,
        .offset = is_kept ? message->offset : -1,
        .size_bytes = message->len + message->key_len,
    };
    if (is_kept) {
        connection_heard(&publisher->connection);
    } else {
        publication.status = why_failed(publisher, message->err, &error);
        publication.error = &error;
    }
    publisher->done(publisher->done_context, &publication);
    note_settled(publisher);
}

static enum client_status configure(const struct publisher_settings *settings,
                                    struct connection *connection, rd_kafka_conf_t **conf,
                                    struct client_error *error)
{
    const char *acks = settings->acks != NULL ? settings->acks : "all";
    int timeout_ms = settings->event_timeout_ms > 0 ? settings->event_timeout_ms
                                                    : settings->connection.timeout_ms;
    const struct kafka_property own[] = {
        {"acks", acks},
        {"enable.idempotence", strcmp(acks, "all") == 0 ? "true" : "false"},
        {"partitioner", "murmur2_random"}, /* a key's partition as the Java client chooses it */
        {"compression.codec", settings->compression != NULL ? settings->compression : "none"},
        {"linger.ms", NULL,
         settings->linger_ms < 0    ? 0
         : settings->linger_ms == 0 ? 1
                                    : settings->linger_ms},
        {"message.timeout.ms", NULL, timeout_ms > 0 ? timeout_ms : 30000},
        {"message.max.bytes", NULL,
         settings->event_max_bytes > 0 ? settings->event_max_bytes : 1000000},
        {"topic.metadata.propagation.max.ms", NULL, 5000},
        {NULL},
    };
    enum client_status status =
        connection_configure(connection, &settings->connection, own, conf, error);
    if (status == CLIENT_OK) {
        rd_kafka_conf_set_dr_msg_cb(*conf, on_delivery);
    }
    return status;
}

enum client_status publisher_check(const struct publisher_settings *settings,
                                   struct client_error *error)
{
    struct connection connection;
    rd_kafka_conf_t *conf;
    enum client_status status = configure(settings, &connection, &conf, error);
    if (status == CLIENT_OK) {
        rd_kafka_conf_destroy(conf);
    }
    connection_deinit(&connection);
    return status;
}

enum client_status publisher_open(const struct publisher_settings *settings,
                                  struct publisher **publisher, struct client_error *error)
{
    struct publisher *opened = mem_new(struct publisher);
    rd_kafka_conf_t *conf;
    *publisher = NULL;
    enum client_status status = configure(settings, &opened->connection, &conf, error);
    if (status == CLIENT_OK) {
        status = connection_start(&opened->connection, RD_KAFKA_PRODUCER, conf, error);
    }
    if (status != CLIENT_OK) {
        connection_deinit(&opened->connection);
        free(opened);
        return status;
    }
    opened->done = settings->done;
    opened->done_context = settings->done_context;
    opened->has_thread = settings->has_thread;
    pthread_mutex_init(&opened->lock, NULL);
    cond_init(&opened->settled);
    *publisher = opened;
    return CLIENT_OK;
}

static void *thread_main(void *argument)
{
    struct publisher *publisher = argument;
    while (!atomic_load(&publisher->is_ending)) {
        rd_kafka_poll(publisher->connection.rk, POLL_MS);
    }
    return NULL;
}

static enum client_status thread_start(struct publisher *publisher, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    if (atomic_load_explicit(&publisher->is_running, memory_order_acquire)) {
        return status;
    }
    pthread_mutex_lock(&publisher->lock);
    if (!publisher->is_running) {
        publisher->is_running =
            pthread_create(&publisher->thread, NULL, thread_main, publisher) == 0;
        if (!publisher->is_running) {
            status = client_fail(error, CLIENT_FATAL, NULL, "no thread for acknowledgements");
        }
    }
    pthread_mutex_unlock(&publisher->lock);
    return status;
}

void publisher_give_up(struct publisher *publisher)
{
    rd_kafka_purge(publisher->connection.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

void publisher_close(struct publisher *publisher)
{
    enum { PURGE_MS = 1000 };
    if (publisher == NULL) {
        return;
    }
    rd_kafka_t *rk = publisher->connection.rk;
    atomic_store(&publisher->connection.is_closing, true);
    publisher_give_up(publisher);
    atomic_store(&publisher->is_ending, true);
    if (publisher->is_running) {
        rd_kafka_queue_t *answers = rd_kafka_queue_get_main(rk);
        rd_kafka_queue_yield(answers);
        rd_kafka_queue_destroy(answers);
        pthread_join(publisher->thread, NULL);
    }
    rd_kafka_flush(rk, PURGE_MS);
    while (rd_kafka_poll(rk, 0) > 0) {
    }
    connection_deinit(&publisher->connection);
    pthread_cond_destroy(&publisher->settled);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher);
}

struct connection *publisher_connection(struct publisher *publisher)
{
    return &publisher->connection;
}

static rd_kafka_headers_t *headers_of(const struct event *event)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(event->header_count);
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        rd_kafka_header_add(headers, header->name, -1, header->value.data,
                            (ssize_t)header->value.size);
    }
    return headers;
}

static enum client_status check(const struct event *event, struct client_error *error)
{
    if (event->topic == NULL || event->topic[0] == '\0') {
        return client_fail(error, CLIENT_INVALID, NULL, "the event names no topic");
    }
    return event->timestamp_ms != 0
               ? CLIENT_OK
               : client_fail(error, CLIENT_INVALID, NULL,
                             "timestamp 0 (1970-01-01T00:00:00Z) cannot be sent");
}

/* NULL: a completion follows. */
static rd_kafka_error_t *produce(struct publisher *publisher, rd_kafka_topic_t *topic,
                                 const struct event *event, void *context)
{
    rd_kafka_headers_t *headers = event->header_count > 0 ? headers_of(event) : NULL;
    rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = event->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)event->value.data, event->value.size}},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)event->key.data, event->key.size}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP,
         .u.i64 = event->timestamp_ms > 0 ? event->timestamp_ms : 0},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = context},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers}, /* last: left out without any */
    };
    size_t count = sizeof parts / sizeof parts[0] - (headers == NULL);
    atomic_fetch_add(&publisher->pending, 1);
    rd_kafka_error_t *failure = rd_kafka_produceva(publisher->connection.rk, parts, count);
    if (failure != NULL) {
        note_settled(publisher);
        if (headers != NULL) {
            rd_kafka_headers_destroy(headers);
        }
    }
    return failure;
}

/* librdkafka remembers for a second that a topic was not there, and for minutes how many partitions
 * it had: what was made meanwhile is asked for, and not denied. */
static bool is_there_now(struct publisher *publisher, rd_kafka_topic_t *topic,
                         const rd_kafka_error_t *failure)
{
    enum { ASK_MS = 1000 };
    const struct rd_kafka_metadata *found = NULL;
    rd_kafka_resp_err_t code = rd_kafka_error_code(failure);
    if ((code != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC &&
         code != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) ||
        kafka_ask_metadata_by(&publisher->connection, publisher->connection.rk, false, topic,
                              ASK_MS, &found) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false;
    }
    bool is_there = found->topic_cnt > 0 && found->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_metadata_destroy(found);
    return is_there;
}

enum client_status publisher_publish(struct publisher *publisher, const struct event *event,
                                     void *context, struct client_error *error)
{
    enum client_status status = check(event, error);
    if (status == CLIENT_OK && publisher->has_thread) {
        status = thread_start(publisher, error);
    }
    if (status != CLIENT_OK) {
        return status;
    }
    /* By its handle, not by its name: only so librdkafka (2.0.2) asks at once for a topic that is
     * new to it, and not within a second. */
    rd_kafka_topic_t *topic = rd_kafka_topic_new(publisher->connection.rk, event->topic, NULL);
    if (topic == NULL) {
        return client_fail_code(error, rd_kafka_last_error(), NULL);
    }
    rd_kafka_error_t *failure = produce(publisher, topic, event, context);
    if (failure != NULL && is_there_now(publisher, topic, failure)) {
        rd_kafka_error_destroy(failure);
        failure = produce(publisher, topic, event, context);
    }
    rd_kafka_topic_destroy(topic);
    if (failure != NULL) {
        status =
            client_fail_code(error, rd_kafka_error_code(failure), rd_kafka_error_string(failure));
        rd_kafka_error_destroy(failure);
    }
    return status;
}

void publisher_serve(struct publisher *publisher, int timeout_ms)
{
    rd_kafka_poll(publisher->connection.rk, timeout_ms);
}

static void wait_settled(struct publisher *publisher, int timeout_ms)
{
    struct timespec until = cond_after_ms(timeout_ms);
    pthread_mutex_lock(&publisher->lock);
    atomic_fetch_add(&publisher->waiting, 1);
    while (atomic_load(&publisher->pending) > 0 &&
           pthread_cond_timedwait(&publisher->settled, &publisher->lock, &until) == 0) {
    }
    atomic_fetch_sub(&publisher->waiting, 1);
    pthread_mutex_unlock(&publisher->lock);
}

enum client_status publisher_flush(struct publisher *publisher, int timeout_ms)
{
    if (publisher->has_thread) {
        wait_settled(publisher, timeout_ms);
    } else {
        rd_kafka_flush(publisher->connection.rk, timeout_ms);
    }
    return publisher_pending(publisher) == 0 ? CLIENT_OK : CLIENT_TIMED_OUT;
}

size_t publisher_pending(struct publisher *publisher)
{
    return atomic_load(&publisher->pending);
}

int32_t publisher_partition(struct slice key, int32_t partition_count)
{
    /* of the properties above; it looks at nothing but key and count */
    return rd_kafka_msg_partitioner_murmur2(NULL, key.data, key.size, partition_count, NULL, NULL);
}
