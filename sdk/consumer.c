#include "base/clock.h"
#include "service.h"

#include <string.h>

/* The run loop: poll, handle, retry in order, commit. All on the thread of tidings_run. */

enum {
    TURN_MS = 100, /* how long a turn may wait: bounds the time until a stop is seen */
    SEEK_MS = 5000,
    MAX_POLL_MS = 300000,   /* a handler that takes longer loses its partitions */
    HEARTBEATS = 6,         /* sent per session time-out ... */
    HEARTBEAT_MAX_MS = 3000 /* ... but at least this often */
};

/*
 * While a JoinGroup or SyncGroup is on its way librdkafka holds back what is sent behind it, and a
 * commit so delayed arrives with the generation of before: the bus refuses it, and librdkafka
 * gives up all its partitions. So periodic commits wait until the group stands again.
 */
enum { API_JOIN_GROUP = 11, API_SYNC_GROUP = 14 };

static rd_kafka_resp_err_t on_request_sent(rd_kafka_t *client, int socket, const char *broker,
                                           int32_t broker_id, int16_t api, int16_t version,
                                           int32_t correlation, size_t size, void *opaque)
{
    struct tidings *service = opaque;
    if (api == API_JOIN_GROUP) {
        atomic_store(&service->joining, true);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_response_received(rd_kafka_t *client, int socket, const char *broker,
                                                int32_t broker_id, int16_t api, int16_t version,
                                                int32_t correlation, size_t size, int64_t rtt,
                                                rd_kafka_resp_err_t code, void *opaque)
{
    struct tidings *service = opaque;
    if (api == API_SYNC_GROUP) {
        atomic_store(&service->joining, false);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_client_new(rd_kafka_t *client, const rd_kafka_conf_t *conf,
                                         void *opaque, char *text, size_t text_size)
{
    rd_kafka_resp_err_t code =
        rd_kafka_interceptor_add_on_request_sent(client, "tidings", on_request_sent, opaque);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = rd_kafka_interceptor_add_on_response_received(client, "tidings",
                                                             on_response_received, opaque);
    }
    return code;
}

enum tidings_status consumer_config(struct tidings *service, rd_kafka_conf_t **conf,
                                    struct tidings_error *error)
{
    *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_rebalance_cb(*conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(*conf, on_commit);
    rd_kafka_conf_interceptor_add_on_new(*conf, "tidings", on_client_new, service);
    int heartbeat_ms = service->session_timeout_ms / HEARTBEATS;
    const struct config_pair pairs[] = {
        {"group.id", service->name},
        {"partition.assignment.strategy", "cooperative-sticky"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", service->from_end ? "latest" : "earliest"},
        {"isolation.level", "read_committed"},
        {"session.timeout.ms", NULL, service->session_timeout_ms},
        {"heartbeat.interval.ms", NULL,
         heartbeat_ms < HEARTBEAT_MAX_MS ? heartbeat_ms : HEARTBEAT_MAX_MS},
        {"max.poll.interval.ms", NULL, MAX_POLL_MS},
        /* without an instance name the list ends here */
        {service->instance != NULL ? "group.instance.id" : NULL, service->instance},
        {NULL},
    };
    enum tidings_status status = config_fill(service, *conf, pairs, error);
    if (status != TIDINGS_OK) {
        rd_kafka_conf_destroy(*conf);
        *conf = NULL;
    }
    return status;
}

static enum tidings_status consumer_subscribe(struct tidings *service, struct tidings_error *error)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(4);
    for (const struct handler *h = service->handlers; h != NULL; h = h->next) {
        if (rd_kafka_topic_partition_list_find(topics, h->topic, RD_KAFKA_PARTITION_UA) == NULL) {
            rd_kafka_topic_partition_list_add(topics, h->topic, RD_KAFKA_PARTITION_UA);
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(service->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? TIDINGS_OK
               : error_set(error, status_of(code), "subscribe: %s", rd_kafka_err2str(code));
}

static enum tidings_status consumer_start(struct tidings *service, struct tidings_error *error)
{
    rd_kafka_conf_t *conf = NULL;
    enum tidings_status status = consumer_config(service, &conf, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    char text[256];
    service->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (service->consumer == NULL) {
        rd_kafka_conf_destroy(conf);
        return error_set(error, TIDINGS_INVALID, "%s", text);
    }
    rd_kafka_poll_set_consumer(service->consumer);
    status = consumer_subscribe(service, error);
    if (status != TIDINGS_OK) {
        rd_kafka_destroy(service->consumer);
        service->consumer = NULL;
    }
    return status;
}

/* Gives one event to its handler; true when it is done with. */
static bool event_handle(struct tidings *service, struct partition *partition,
                         const rd_kafka_message_t *message, int attempt)
{
    struct decoded_event decoded;
    event_decode(message, attempt, &decoded);
    const struct tidings_event *event = &decoded.event;
    const struct handler *handler = handler_find(service, event->topic, event->type);
    bool done = true;
    if (handler != NULL) {
        service->current_event = event;
        atomic_store(&service->in_handler, true);
        done = handler->call(service, event, handler->context) == TIDINGS_DONE;
        atomic_store(&service->in_handler, false);
        service->current_event = NULL;
        flight_close(service, partition, done);
    }
    if (!done && attempt == 1) {
        service_log(service, TIDINGS_LOG_WARN,
                    "%s %s (%s/%d offset %lld) failed; trying it again, its partition waits",
                    event->type, event->id, event->topic, (int)event->partition,
                    (long long)event->offset);
    }
    event_deinit(&decoded);
    if (done) {
        partition->next_offset = message->offset + 1;
    }
    return done;
}

/* Pausing keeps a blocked partition from filling memory; resuming goes on behind what was read. */
static void partition_pause(struct tidings *service, struct partition *partition, bool pause)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
    rd_kafka_resp_err_t code = pause ? rd_kafka_pause_partitions(service->consumer, list)
                                     : rd_kafka_resume_partitions(service->consumer, list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = list->elems[0].err;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        service_log(service, TIDINGS_LOG_WARN, "%s could not be %s: %s", partition->name,
                    pause ? "paused" : "resumed", rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static int64_t backoff_ms(const struct tidings *service, int attempt)
{
    int64_t wait_ms = service->retry_first_ms;
    while (--attempt > 0 && wait_ms < service->retry_max_ms) {
        wait_ms *= 2;
    }
    return wait_ms < service->retry_max_ms ? wait_ms : service->retry_max_ms;
}

static void partition_fail(struct tidings *service, struct partition *partition)
{
    partition->attempt++;
    partition->retry_at_ms =
        clock_mono_ms(clock_system()) + backoff_ms(service, partition->attempt);
}

/* Takes message. */
static void message_take(struct tidings *service, rd_kafka_message_t *message)
{
    struct partition *partition =
        partition_find(service, rd_kafka_topic_name(message->rkt), message->partition);
    if (partition == NULL || partition->rewind_offset >= 0) {
        rd_kafka_message_destroy(message); /* no longer ours, or about to be read again */
    } else if (partition->waiting != NULL) {
        partition_wait(service, partition, message); /* read before the pause took effect */
    } else if (event_handle(service, partition, message, 1)) {
        rd_kafka_message_destroy(message);
    } else {
        partition_wait(service, partition, message);
        partition_pause(service, partition, true);
        partition_fail(service, partition);
    }
}

/* Tries what waits in the partition, in order, until something fails again. */
static void partition_retry(struct tidings *service, struct partition *partition)
{
    while (partition->waiting != NULL && !atomic_load(&service->stopping)) {
        if (!event_handle(service, partition, partition->waiting->message,
                          partition->attempt + 1)) {
            partition_fail(service, partition);
            return;
        }
        if (partition->attempt > 0) {
            service_log(service, TIDINGS_LOG_INFO, "%s goes on after %d failed attempts",
                        partition->name, partition->attempt);
        }
        partition_wait_next(service, partition);
    }
    if (partition->waiting == NULL) {
        partition_pause(service, partition, false);
    }
}

/* Retries what is due; returns how long the loop may wait for the next message. */
static int retry_due(struct tidings *service)
{
    if (service->blocked_count == 0) {
        return TURN_MS;
    }
    int64_t wait_ms = TURN_MS;
    for (struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        if (p->waiting == NULL || p->rewind_offset >= 0) {
            continue;
        }
        if (clock_mono_ms(clock_system()) >= p->retry_at_ms) {
            partition_retry(service, p);
        }
        int64_t due_ms = p->retry_at_ms - clock_mono_ms(clock_system());
        if (p->waiting != NULL && due_ms < wait_ms) {
            wait_ms = due_ms > 0 ? due_ms : 0;
        }
    }
    return (int)wait_ms;
}

/* Reads a partition again from the event whose publishes failed. */
static void partition_rewind(struct tidings *service, struct partition *partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
        partition->rewind_offset;
    rd_kafka_error_t *failure = rd_kafka_seek_partitions(service->consumer, list, SEEK_MS);
    if (failure == NULL && list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        service_log(service, TIDINGS_LOG_WARN,
                    "%s: what was published for offset %lld was not kept; handling it again",
                    partition->name, (long long)partition->rewind_offset);
        if (partition->waiting != NULL) {
            partition_wait_clear(service, partition);
            partition_pause(service, partition, false);
        }
        partition->next_offset = partition->rewind_offset;
        partition->rewind_offset = -1;
    }
    if (failure != NULL) {
        rd_kafka_error_destroy(failure); /* the next commit tries again */
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void commit_when_due(struct tidings *service)
{
    int64_t now_ms = clock_mono_ms(clock_system());
    if (now_ms < service->next_commit_ms || atomic_load(&service->joining)) {
        return;
    }
    service->next_commit_ms = now_ms + service->commit_interval_ms;
    progress_commit(service, false);
    for (struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        if (p->rewind_offset >= 0) {
            partition_rewind(service, p);
        }
    }
}

static void poll_once(struct tidings *service, int timeout_ms)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(service->consumer, timeout_ms);
    if (message == NULL) {
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        message_take(service, message);
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && message->rkt != NULL) {
        service_log(service, TIDINGS_LOG_WARN, "topic %s does not exist yet; waiting for it",
                    rd_kafka_topic_name(message->rkt));
    } else if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        service_fail(service, service->consumer);
    } else {
        service_log(service, TIDINGS_LOG_WARN, "%s", rd_kafka_message_errstr(message));
    }
    rd_kafka_message_destroy(message);
}

static bool has_failed(struct tidings *service)
{
    pthread_mutex_lock(&service->lock);
    bool failed = service->fatal;
    pthread_mutex_unlock(&service->lock);
    return failed;
}

static void consumer_stop(struct tidings *service)
{
    int64_t deadline_ms = clock_mono_ms(clock_system()) + service->publish_timeout_ms;
    for (struct partition *p = service->partitions; p != NULL; p = p->hh.next) {
        flights_wait(service, p, deadline_ms);
    }
    progress_commit(service, true);
    rd_kafka_consumer_close(service->consumer);
    struct partition *partition, *next;
    HASH_ITER (hh, service->partitions, partition, next) {
        partition_drop(service, partition);
    }
    rd_kafka_destroy(service->consumer);
    service->consumer = NULL;
}

enum tidings_status tidings_run(struct tidings *service, struct tidings_error *error)
{
    if (service->ran) {
        return error_set(error, TIDINGS_INVALID, "tidings_run was called before");
    }
    if (service->handlers == NULL) {
        return error_set(error, TIDINGS_INVALID, "no handler registered: call tidings_on first");
    }
    service->ran = true;
    service->run_thread = pthread_self();
    enum tidings_status status = consumer_start(service, error);
    if (status != TIDINGS_OK) {
        return status;
    }
    while (!atomic_load(&service->stopping) && !has_failed(service)) {
        poll_once(service, retry_due(service));
        commit_when_due(service);
    }
    consumer_stop(service);
    if (has_failed(service)) {
        return error_set(error, TIDINGS_FATAL, "%s", service->fatal_error.text);
    }
    return TIDINGS_OK;
}
