/* What the scenario needs of librdkafka: records out and in, group members, admin calls.
 * A function returns 0, or -1 with client->why set; then client->code is the server's error code
 * as librdkafka gave it, or 0 when it was not the server. One thread. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAIT_MS = 30000 };

struct client {
    const char *bootstrap;
    const char *prefix;
    rd_kafka_t *admin;  /* a producer that sends nothing: the handle of the admin calls */
    rd_kafka_t *reader; /* a consumer without a group: reads and asks for offsets */
    char why[512];
    int code;
};

struct record {
    const char *key; /* NULL: no key */
    const char *value;
    size_t value_size_bytes;
    const rd_kafka_headers_t *headers; /* may be NULL */
    int64_t timestamp_ms;              /* 0: now */
};

struct produce_options {
    const char *codec;
    int acks;
    bool idempotent;
};

/* A producer or consumer with these settings: names and values in turn, NULL at the end. */
rd_kafka_t *client_handle(struct client *client, rd_kafka_type_t type, const char *const *settings);
int client_init(struct client *client, const char *bootstrap, const char *prefix);
void client_deinit(struct client *client);

/* Sets client->why and returns -1. */
int client_fail(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int client_fail_code(struct client *client, rd_kafka_resp_err_t code, const char *what);

int client_produce(struct client *client, const char *topic, int partition,
                   const struct record *records, size_t record_count,
                   const struct produce_options *options);
/* Puts one record into the producer's queue. */
rd_kafka_resp_err_t client_enqueue(rd_kafka_t *producer, const char *topic, int partition,
                                   const struct record *record);
/* Hands `count` messages from `start` on to `take`, which returns 0 or the -1 of a failure. */
int client_read(struct client *client, const char *topic, int partition, int64_t start,
                size_t count, int (*take)(void *context, size_t index, rd_kafka_message_t *message),
                void *context);
/* The same with any consumer. */
int client_read_with(struct client *client, rd_kafka_t *reader, const char *topic, int partition,
                     int64_t start, size_t count,
                     int (*take)(void *context, size_t index, rd_kafka_message_t *message),
                     void *context);
int client_offsets(struct client *client, const char *topic, int partition, int64_t *earliest,
                   int64_t *latest);
int client_offset_at(struct client *client, const char *topic, int partition, int64_t time_ms,
                     int64_t *offset);

/* A member of a group, subscribed to one topic. NULL on failure. */
rd_kafka_t *member_new(struct client *client, const char *group, const char *topic);
void member_free(rd_kafka_t *member);
/* Bit n is set when the member owns partition n. */
uint64_t member_assignment(rd_kafka_t *member);
int member_commit(struct client *client, rd_kafka_t *member, const char *topic, int partition,
                  int64_t offset);

int admin_create_topic(struct client *client, const char *topic, int partition_count,
                       const char *const *config, size_t config_count);
int admin_delete_topic(struct client *client, const char *topic);
int admin_add_partitions(struct client *client, const char *topic, int partition_count);
int admin_get_config(struct client *client, const char *topic, const char *key, char *value,
                     size_t value_size_bytes);
int admin_set_config(struct client *client, const char *topic, const char *key, const char *value);
int admin_delete_records(struct client *client, const char *topic, int partition, int64_t before);
int admin_delete_group(struct client *client, const char *group);
/* *state stays valid for good. */
int admin_group_state(struct client *client, const char *group, const char **state);
int admin_group_offset(struct client *client, const char *group, const char *topic, int partition,
                       int64_t *offset);
int admin_group_listed(struct client *client, const char *group, bool *listed);
/* *partition_count is 0 when the topic is not listed. */
int admin_topic_listed(struct client *client, const char *topic, int *partition_count);
