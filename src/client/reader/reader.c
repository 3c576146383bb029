#include "client/reader/reader_inside.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- taking --- */

/* Puts in front of a complaint where it was met. */
static void name_place(struct client_error *error, const char *topic,
                       const rd_kafka_message_t *message)
{
    char place[64] = "";
    char text[512];
    if (error == NULL || topic[0] == '\0') {
        return;
    }
    if (message->partition >= 0 && message->offset >= 0) {
        snprintf(place, sizeof place, " partition %d at offset %lld", (int)message->partition,
                 (long long)message->offset);
    } else if (message->partition >= 0) {
        snprintf(place, sizeof place, " partition %d", (int)message->partition);
    }
    snprintf(text, sizeof text, "topic %.100s%s: %.300s", topic, place, error->text);
    snprintf(error->text, sizeof error->text, "%s", text);
}

/* The end of a partition, a lost position, an error. */
static enum client_status heed(struct reader *reader, const rd_kafka_message_t *message,
                               struct client_error *error)
{
    const char *topic = message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : "";
    struct reader_partition *partition = reader_find(reader, topic, message->partition);
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (partition != NULL && partition->place_at_ms == 0 && reader->callbacks.ended != NULL) {
            reader->callbacks.ended(reader->context, topic, message->partition, message->offset);
        }
        return CLIENT_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        if (partition != NULL) {
            reader_misplaced(reader, partition, message->offset);
        }
        return CLIENT_OK;
    case RD_KAFKA_RESP_ERR__FATAL:
        return connection_fatal(&reader->connection, error);
    default:
        if (client_is_passing(message->err)) {
            return CLIENT_OK;
        }
        connection_fail(&reader->connection, error, message->err,
                        client_status_of(message->err) == CLIENT_NOT_FOUND
                            ? NULL
                            : rd_kafka_message_errstr(message));
        name_place(error, topic, message);
        return client_status_of(message->err);
    }
}

/* What comes instead of an event. Frees message. */
static enum client_status take_signal(struct reader *reader, rd_kafka_message_t *message,
                                      struct client_error *error)
{
    bool is_fenced = message->err == RD_KAFKA_RESP_ERR__FATAL && reader_is_fenced(reader);
    enum client_status status = is_fenced ? CLIENT_OK : heed(reader, message, error);
    rd_kafka_message_destroy(message);
    return is_fenced ? reader_fenced(reader, error) : status;
}

/* The next message of a direct reader: one that is there already, else one that comes in time. */
static rd_kafka_message_t *next_direct(struct reader *reader, int timeout_ms)
{
    if (reader->batch_next == reader->batch_count) {
        rd_kafka_poll(reader->connection.rk, 0);
        ssize_t count =
            rd_kafka_consume_batch_queue(reader->queue, 0, reader->batch, READER_BATCH_MAX);
        if (count <= 0 && timeout_ms > 0) {
            count = rd_kafka_consume_batch_queue(reader->queue, timeout_ms, reader->batch, 1);
        }
        reader->batch_count = count > 0 ? (int)count : 0;
        reader->batch_next = 0;
    }
    return reader->batch_next < reader->batch_count ? reader->batch[reader->batch_next++] : NULL;
}

/* The bus is back, also when it has no event. An answer of before it was told away is none. */
static void hear_answer(struct reader *reader, bool was_down)
{
    struct reader_handle *handle = reader->handle;
    if (atomic_load(&handle->has_answer) && atomic_exchange(&handle->has_answer, false) &&
        was_down) {
        connection_heard(&reader->connection);
    }
}

/* What is to be looked after now and then; leaves how long may be waited for an event. */
static enum client_status look(struct reader *reader, int *timeout_ms, struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    if (reader->is_group) {
        status = reader_again_due(reader, error);
        reader_nobody_due(reader);
        reader_commit_due(reader);
        *timeout_ms = reader_commit_wait_ms(reader, *timeout_ms);
    }
    reader_place_due(reader);
    return status;
}

enum client_status reader_take(struct reader *reader, int timeout_ms, struct received **received,
                               struct client_error *error)
{
    enum { LOOK_EVERY = 64 }; /* of calls that do not wait: to ask for the time costs as much */
    *received = NULL;
    bool looks = timeout_ms > 0 || reader->takes++ % LOOK_EVERY == 0;
    enum client_status status = looks ? look(reader, &timeout_ms, error) : CLIENT_OK;
    if (status != CLIENT_OK) {
        return status;
    }
    bool was_down = atomic_load(&reader->connection.is_down);
    rd_kafka_message_t *message = reader->is_group
                                      ? rd_kafka_consumer_poll(reader->connection.rk, timeout_ms)
                                      : next_direct(reader, timeout_ms);
    hear_answer(reader, was_down);
    if (message == NULL) {
        return CLIENT_OK;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return take_signal(reader, message, error);
    }
    connection_heard(&reader->connection);
    reader_flow_taken(reader, message);
    const struct reader_partition *partition =
        reader_find(reader, rd_kafka_topic_name(message->rkt), message->partition);
    if (partition == NULL || partition->place_at_ms != 0) {
        rd_kafka_message_destroy(message); /* read ahead under an ownership that ended */
        return CLIENT_OK;
    }
    *received = reader_receive(reader->handle, message, partition->epoch);
    return CLIENT_OK;
}

/* --- steering --- */

void reader_wake(struct reader *reader)
{
    pthread_mutex_lock(&reader->wake_lock);
    rd_kafka_queue_yield(reader->fetched);
    pthread_mutex_unlock(&reader->wake_lock);
}

static enum client_status fail_not_held(struct client_error *error, const char *topic,
                                        int32_t number)
{
    return client_fail(error, CLIENT_NOT_FOUND, NULL, "%s partition %d is not read here", topic,
                       (int)number);
}

static enum client_status set_paused(struct reader *reader, const char *topic, int32_t number,
                                     bool is_paused, struct client_error *error)
{
    if (reader_find(reader, topic, number) == NULL) {
        return fail_not_held(error, topic, number);
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, number);
    rd_kafka_resp_err_t code = is_paused ? rd_kafka_pause_partitions(reader->connection.rk, list)
                                         : rd_kafka_resume_partitions(reader->connection.rk, list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = list->elems[0].err;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && !is_paused) {
        reader_flow_wake(reader, topic, number);
    }
    return connection_fail(&reader->connection, error, code, NULL);
}

enum client_status reader_pause(struct reader *reader, const char *topic, int32_t number,
                                struct client_error *error)
{
    return set_paused(reader, topic, number, true, error);
}

enum client_status reader_resume(struct reader *reader, const char *topic, int32_t number,
                                 struct client_error *error)
{
    return set_paused(reader, topic, number, false, error);
}

/* What was taken at once and not given out of a partition is forgotten. */
static void forget_batch(struct reader *reader, const char *topic, int32_t number)
{
    int kept = reader->batch_next;
    for (int i = reader->batch_next; i < reader->batch_count; i++) {
        rd_kafka_message_t *message = reader->batch[i];
        if (message->rkt != NULL && message->partition == number &&
            strcmp(rd_kafka_topic_name(message->rkt), topic) == 0) {
            rd_kafka_message_destroy(message);
        } else {
            reader->batch[kept++] = message;
        }
    }
    reader->batch_count = kept;
}

enum client_status reader_seek(struct reader *reader, const char *topic, int32_t number,
                               int64_t offset, struct client_error *error)
{
    if (reader_find(reader, topic, number) == NULL) {
        return fail_not_held(error, topic, number);
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, number)->offset = offset;
    rd_kafka_error_t *failure;
    rd_kafka_resp_err_t code = kafka_seek(&reader->connection, list, &failure);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = failure != NULL ? rd_kafka_error_code(failure) : list->elems[0].err;
    }
    enum client_status status = connection_fail(
        &reader->connection, error, code, failure != NULL ? rd_kafka_error_string(failure) : NULL);
    if (failure != NULL) {
        rd_kafka_error_destroy(failure);
    }
    rd_kafka_topic_partition_list_destroy(list);
    forget_batch(reader, topic, number);
    return status;
}

/* --- life --- */

struct connection *reader_connection(struct reader *reader)
{
    return &reader->connection;
}

static enum client_status configure(const struct reader_settings *settings,
                                    struct connection *connection, rd_kafka_conf_t **conf,
                                    struct client_error *error)
{
    enum { HEARTBEATS = 6, HEARTBEAT_MAX_MS = 3000 }; /* so many in a session, but at least */
    int session_ms = settings->session_timeout_ms > 0 ? settings->session_timeout_ms : 10000;
    int poll_ms = settings->poll_timeout_ms > 0 ? settings->poll_timeout_ms : 300000;
    int heartbeat_ms = session_ms / HEARTBEATS;
    const struct kafka_property own[] = {
        {"auto.offset.reset", "error"}, /* reader_place.c decides */
        {"isolation.level", "read_committed"},
        {"allow.auto.create.topics", "false"},
        {"enable.partition.eof", settings->callbacks.ended != NULL ? "true" : "false"},
        {"fetch.wait.max.ms", NULL, settings->fetch_wait_ms > 0 ? settings->fetch_wait_ms : 500},
        {"queued.min.messages", NULL,
         settings->prefetch_events > 0 ? settings->prefetch_events : READER_PREFETCH_EVENTS},
        {"queued.max.messages.kbytes", NULL,
         settings->prefetch_kbytes > 0 ? settings->prefetch_kbytes : READER_PREFETCH_KBYTES},
        /* a direct reader's list ends here */
        {settings->group != NULL ? "group.id" : NULL, settings->group},
        {"partition.assignment.strategy",
         settings->is_cooperative ? "cooperative-sticky" : "range,roundrobin"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"max.poll.interval.ms", NULL, poll_ms > session_ms ? poll_ms : session_ms},
        {"session.timeout.ms", NULL, session_ms},
        {"heartbeat.interval.ms", NULL,
         heartbeat_ms < HEARTBEAT_MAX_MS ? heartbeat_ms : HEARTBEAT_MAX_MS},
        {settings->instance != NULL ? "group.instance.id" : NULL, settings->instance},
        {NULL},
    };
    return connection_configure(connection, &settings->connection, own, conf, error);
}

enum client_status reader_check(const struct reader_settings *settings, struct client_error *error)
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

static enum client_status start_direct(struct reader *reader,
                                       const struct topic_partitions *partitions,
                                       struct client_error *error)
{
    reader->queue = rd_kafka_queue_new(reader->connection.rk);
    reader->fetched = reader->queue;
    return reader_add(reader, partitions, error);
}

static void stop_direct(struct reader *reader)
{
    while (reader->batch_next < reader->batch_count) {
        rd_kafka_message_destroy(reader->batch[reader->batch_next++]);
    }
    for (const struct reader_partition *p = reader->partitions; p != NULL; p = p->hh.next) {
        rd_kafka_topic_t *topic = rd_kafka_topic_new(reader->connection.rk, p->topic, NULL);
        if (topic != NULL) {
            rd_kafka_consume_stop(topic, p->number);
            rd_kafka_topic_destroy(topic);
        }
    }
    rd_kafka_queue_destroy(reader->queue);
}

static void free_reader(struct reader *reader)
{
    struct reader_partition *partition, *next;
    HASH_ITER (hh, reader->partitions, partition, next) {
        reader_drop(reader, partition);
    }
    if (reader->is_group && reader->fetched != NULL) {
        rd_kafka_queue_destroy(reader->fetched);
    }
    reader_bury_due(reader);
    if (reader->connection.rk != NULL) {
        atomic_store(&reader->connection.is_closing, true);
        reader_free_handle(&reader->connection, reader->handle, reader->connection.rk,
                           reader->connection.is_stuck);
        reader->connection.rk = NULL;
    } else {
        free(reader->handle);
    }
    connection_deinit(&reader->connection);
    if (reader->conf != NULL) {
        rd_kafka_conf_destroy(reader->conf);
    }
    free(reader->group);
    free(reader->instance);
    free(reader->member_id);
    free(reader->fence.last_id);
    free(reader->fence.other_id);
    reader_set_topics(reader, NULL, 0);
    for (size_t i = 0; i < reader->known.count; i++) {
        free(reader->known.items[i].name);
    }
    vec_deinit(&reader->known);
    topic_partitions_deinit(&reader->begin);
    free(reader->topics);
    pthread_mutex_destroy(&reader->wake_lock);
    free(reader);
}

static struct reader *make(const struct reader_settings *settings)
{
    struct reader *reader = mem_new(struct reader);
    pthread_mutex_init(&reader->wake_lock, NULL);
    reader->handle = mem_new(struct reader_handle);
    reader->callbacks = settings->callbacks;
    reader_flow_init(reader, settings);
    reader->context = settings->context;
    reader->is_group = settings->group != NULL;
    reader->is_eager = !settings->is_cooperative;
    reader->from = settings->from;
    reader->knows_topics = !reader->is_group || settings->from.kind == POSITION_START;
    reader->commits_elsewhere = settings->commits_elsewhere;
    reader->commit_interval_ms =
        settings->commit_interval_ms > 0 ? settings->commit_interval_ms : 1000;
    if (reader->is_group && settings->partitions != NULL) {
        topic_partitions_append(&reader->begin, settings->partitions);
    }
    reader_set_topics(reader, settings->topics, settings->topic_count);
    return reader;
}

/* The value of a property, or NULL. */
static char *property(const rd_kafka_conf_t *conf, const char *name)
{
    size_t size = 0;
    if (rd_kafka_conf_get(conf, name, NULL, &size) != RD_KAFKA_CONF_OK || size <= 1) {
        return NULL;
    }
    char *text = mem_alloc(size);
    (void)rd_kafka_conf_get(conf, name, text, &size);
    return text;
}

/* Takes conf, and from it what the connection's properties may have changed. */
static void note_group(struct reader *reader, rd_kafka_conf_t *conf)
{
    char *session_ms = property(conf, "session.timeout.ms");
    char *heartbeat_ms = property(conf, "heartbeat.interval.ms");
    reader->conf = conf;
    reader->group = property(conf, "group.id");
    reader->instance = property(conf, "group.instance.id");
    reader->session_timeout_ms = atoi(session_ms);
    reader->heartbeat_ms = atoi(heartbeat_ms);
    free(session_ms);
    free(heartbeat_ms);
}

enum client_status reader_open(const struct reader_settings *settings, struct reader **reader,
                               struct client_error *error)
{
    struct reader *opened = make(settings);
    rd_kafka_conf_t *conf;
    *reader = NULL;
    enum client_status status = configure(settings, &opened->connection, &conf, error);
    if (status == CLIENT_OK && opened->is_group) {
        note_group(opened, conf);
        status = reader_start_group(opened, error);
    } else if (status == CLIENT_OK) {
        status = connection_start(&opened->connection, RD_KAFKA_CONSUMER, conf, error);
    }
    if (status == CLIENT_OK) {
        status = opened->is_group ? reader_group_join(opened, error)
                                  : start_direct(opened, settings->partitions, error);
    }
    if (status != CLIENT_OK) {
        if (opened->queue != NULL) {
            stop_direct(opened);
        }
        free_reader(opened);
        return status;
    }
    *reader = opened;
    return CLIENT_OK;
}

enum client_status reader_close(struct reader *reader, struct client_error *error)
{
    if (reader == NULL) {
        return CLIENT_OK;
    }
    enum client_status status = CLIENT_OK;
    reader_nobody_end(reader);
    if (reader->is_group) {
        reader->close_by_ms = clock_mono_ms(clock_system()) + reader->connection.timeout_ms;
        status = reader_commit(reader, true, error);
        enum client_status left = reader_group_leave(reader, status == CLIENT_OK ? error : NULL);
        status = status == CLIENT_OK ? left : status;
    } else {
        stop_direct(reader);
    }
    free_reader(reader);
    return status;
}
