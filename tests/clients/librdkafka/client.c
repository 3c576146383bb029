/* Records out and in, and group members. */
#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int client_fail(struct client *client, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(client->why, sizeof client->why, format, arguments);
    va_end(arguments);
    client->code = 0;
    return -1;
}

int client_fail_code(struct client *client, rd_kafka_resp_err_t code, const char *what)
{
    client_fail(client, "%s: error %d %s", what, code, rd_kafka_err2str(code));
    client->code = code;
    return -1;
}

static rd_kafka_conf_t *conf_new(const char *const *settings)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];
    for (; settings[0]; settings += 2) {
        if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why) != RD_KAFKA_CONF_OK)
            fprintf(stderr, "%s=%s: %s\n", settings[0], settings[1], why);
    }
    return conf;
}

static rd_kafka_t *handle_new(struct client *client, rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    rd_kafka_t *handle = rd_kafka_new(type, conf, why, sizeof why);
    if (!handle) {
        rd_kafka_conf_destroy(conf);
        client_fail(client, "%s", why);
    }
    return handle;
}

rd_kafka_t *client_handle(struct client *client, rd_kafka_type_t type, const char *const *settings)
{
    return handle_new(client, type, conf_new(settings));
}

int client_init(struct client *client, const char *bootstrap, const char *prefix)
{
    *client = (struct client){.bootstrap = bootstrap, .prefix = prefix};
    const char *const admin[] = {"bootstrap.servers", bootstrap, NULL};
    client->admin = client_handle(client, RD_KAFKA_PRODUCER, admin);
    const char *const reader[] = {"bootstrap.servers",  bootstrap, "group.id", "unused",
                                  "enable.auto.commit", "false",   NULL};
    client->reader = client_handle(client, RD_KAFKA_CONSUMER, reader);
    if (!client->admin || !client->reader)
        return -1;
    rd_kafka_poll_set_consumer(client->reader);
    return 0;
}

void client_deinit(struct client *client)
{
    rd_kafka_consumer_close(client->reader);
    rd_kafka_destroy(client->reader);
    rd_kafka_destroy(client->admin);
}

struct delivery {
    size_t done_count;
    rd_kafka_resp_err_t error;
};

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    struct delivery *delivery = opaque;
    delivery->done_count++;
    if (message->err)
        delivery->error = message->err;
}

rd_kafka_resp_err_t client_enqueue(rd_kafka_t *producer, const char *topic, int partition,
                                   const struct record *record)
{
    rd_kafka_headers_t *headers = record->headers ? rd_kafka_headers_copy(record->headers) : NULL;
    size_t key_size = record->key ? strlen(record->key) : 0;
    /* F_COPY: librdkafka does not write to the key and value, its types only cannot say so. */
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)record->value, record->value_size_bytes}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)record->key, key_size}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
        rd_kafka_error_t *error = rd_kafka_produceva(producer, parts, sizeof parts / sizeof *parts);
        code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (error)
            rd_kafka_error_destroy(error);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(producer, 100);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code && headers)
        rd_kafka_headers_destroy(headers);
    return code;
}

int client_produce(struct client *client, const char *topic, int partition,
                   const struct record *records, size_t record_count,
                   const struct produce_options *options)
{
    char acks[16];
    snprintf(acks, sizeof acks, "%d", options->acks);
    const char *const settings[] = {"bootstrap.servers",
                                    client->bootstrap,
                                    "compression.type",
                                    options->codec,
                                    "acks",
                                    acks,
                                    "enable.idempotence",
                                    options->idempotent ? "true" : "false",
                                    "message.max.bytes",
                                    "10000000",
                                    NULL};
    struct delivery delivery = {0};
    rd_kafka_conf_t *conf = conf_new(settings);
    rd_kafka_conf_set_opaque(conf, &delivery);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *producer = handle_new(client, RD_KAFKA_PRODUCER, conf);
    if (!producer)
        return -1;
    int result = 0;
    for (size_t at = 0; at < record_count && result == 0; at++) {
        rd_kafka_resp_err_t error = client_enqueue(producer, topic, partition, &records[at]);
        if (error)
            result = client_fail_code(client, error, "produce");
    }
    rd_kafka_flush(producer, WAIT_MS);
    if (result == 0 && delivery.error)
        result = client_fail_code(client, delivery.error, "delivery");
    else if (result == 0 && delivery.done_count != record_count)
        result = client_fail(client, "%zu of %zu delivered", delivery.done_count, record_count);
    rd_kafka_destroy(producer);
    return result;
}

static rd_kafka_topic_partition_list_t *one_partition(const char *topic, int partition,
                                                      int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    return list;
}

int client_read_with(struct client *client, rd_kafka_t *reader, const char *topic, int partition,
                     int64_t start, size_t count,
                     int (*take)(void *context, size_t index, rd_kafka_message_t *message),
                     void *context)
{
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, start);
    rd_kafka_assign(reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    int result = 0;
    for (size_t index = 0; index < count && result == 0;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, WAIT_MS);
        if (!message)
            result = client_fail(client, "read %zu of %zu", index, count);
        else if (message->err)
            result = client_fail_code(client, message->err, "read");
        else
            result = take(context, index++, message);
        if (message)
            rd_kafka_message_destroy(message);
    }
    rd_kafka_assign(reader, NULL);
    return result;
}

int client_read(struct client *client, const char *topic, int partition, int64_t start,
                size_t count, int (*take)(void *context, size_t index, rd_kafka_message_t *message),
                void *context)
{
    return client_read_with(client, client->reader, topic, partition, start, count, take, context);
}

int client_offsets(struct client *client, const char *topic, int partition, int64_t *earliest,
                   int64_t *latest)
{
    rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(client->reader, topic, partition,
                                                                 earliest, latest, WAIT_MS);
    return error ? client_fail_code(client, error, "watermarks") : 0;
}

int client_offset_at(struct client *client, const char *topic, int partition, int64_t time_ms,
                     int64_t *offset)
{
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, time_ms);
    rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(client->reader, list, WAIT_MS);
    *offset = list->elems[0].offset;
    if (!error)
        error = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    return error ? client_fail_code(client, error, "offsets for times") : 0;
}

rd_kafka_t *member_new(struct client *client, const char *group, const char *topic)
{
    const char *const settings[] = {"bootstrap.servers",
                                    client->bootstrap,
                                    "group.id",
                                    group,
                                    "auto.offset.reset",
                                    "earliest",
                                    "enable.auto.commit",
                                    "false",
                                    "session.timeout.ms",
                                    "6000",
                                    "heartbeat.interval.ms",
                                    "200",
                                    "topic.metadata.refresh.interval.ms",
                                    "500",
                                    NULL};
    rd_kafka_t *member = client_handle(client, RD_KAFKA_CONSUMER, settings);
    if (!member)
        return NULL;
    rd_kafka_poll_set_consumer(member);
    rd_kafka_topic_partition_list_t *list = one_partition(topic, RD_KAFKA_PARTITION_UA, 0);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(member, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error) {
        client_fail_code(client, error, "subscribe");
        member_free(member);
        return NULL;
    }
    return member;
}

void member_free(rd_kafka_t *member)
{
    if (!member)
        return;
    rd_kafka_consumer_close(member);
    rd_kafka_destroy(member);
}

uint64_t member_assignment(rd_kafka_t *member)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    uint64_t owned = 0;
    if (rd_kafka_assignment(member, &list) || !list)
        return 0;
    for (int at = 0; at < list->cnt; at++)
        owned |= UINT64_C(1) << list->elems[at].partition;
    rd_kafka_topic_partition_list_destroy(list);
    return owned;
}

int member_commit(struct client *client, rd_kafka_t *member, const char *topic, int partition,
                  int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, offset);
    rd_kafka_resp_err_t error = rd_kafka_commit(member, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    return error ? client_fail_code(client, error, "commit") : 0;
}
