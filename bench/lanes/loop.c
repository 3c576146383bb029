#include "lanes.h"

#include "base/clock.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* librdkafka as it is: what fills the topic, and the loop that lanes are compared with. */

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char error[200];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) {
        fail(name, error);
    }
}

static rd_kafka_t *open_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char error[200];
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (rk == NULL) {
        fail("librdkafka", error);
    }
    return rk;
}

static void publish(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct options *options,
                    int number, void *value)
{
    char key[16];
    int size = snprintf(key, sizeof key, "key-%06d", number % options->keys);
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                            (size_t)options->event_bytes, key, (size_t)size, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            fail("publishing", rd_kafka_err2str(rd_kafka_last_error()));
        }
        rd_kafka_poll(rk, 100);
    }
}

void fill(const struct options *options)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", options->bootstrap);
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "20");
    rd_kafka_t *rk = open_client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->topic, NULL);
    char *value = calloc(1, (size_t)options->event_bytes + 1);
    if (topic == NULL || value == NULL) {
        fail("filling the topic", "no memory");
    }
    for (int i = 0; i < options->events; i++) {
        publish(rk, topic, options, i, value);
    }
    if (rd_kafka_flush(rk, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail("publishing", "not all was acknowledged");
    }
    free(value);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

static rd_kafka_t *open_consumer(const struct options *options)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", options->bootstrap);
    set(conf, "group.id", options->group);
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "auto.commit.interval.ms", "1000");
    set(conf, "partition.assignment.strategy", "cooperative-sticky");
    set(conf, "enable.auto.offset.store", "false"); /* at least once: stored when it is handled */
    rd_kafka_t *rk = open_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, options->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail("subscribing", rd_kafka_err2str(err));
    }
    return rk;
}

/* A service that does not look at the key is none. */
static unsigned look_at_key(const rd_kafka_message_t *message)
{
    unsigned sum = 0;
    for (size_t i = 0; i < message->key_len; i++) {
        sum = sum * 31 + ((const unsigned char *)message->key)[i];
    }
    return sum;
}

struct span run_loop(const struct options *options)
{
    static volatile unsigned seen; /* so that it is looked at */
    rd_kafka_t *rk = open_consumer(options);
    struct span span = {0};
    for (int count = 0; count < options->events;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 1000);
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            span.began_ns = count++ == 0 ? clock_now_ns() : span.began_ns;
            seen = seen + look_at_key(message);
            work(options->work_us);
            if (rd_kafka_offset_store(message->rkt, message->partition, message->offset) != 0) {
                fail("the offset", "is not stored");
            }
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
    span.ended_ns = clock_now_ns();
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return span;
}
