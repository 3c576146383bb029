#include "bus_mock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rd_kafka_t *client_new(rd_kafka_type_t type, const struct bus_mock *bus, const char *group)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (bus->address != NULL) {
        rd_kafka_conf_set(conf, "bootstrap.servers", bus->address, text, sizeof text);
    }
    if (group != NULL) {
        rd_kafka_conf_set(conf, "group.id", group, text, sizeof text);
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    if (client == NULL) {
        fprintf(stderr, "mock: %s\n", text);
        abort();
    }
    return client;
}

void bus_mock_start(struct bus_mock *bus)
{
    *bus = (struct bus_mock){0};
    bus->owner = client_new(RD_KAFKA_PRODUCER, bus, NULL);
    bus->cluster = rd_kafka_mock_cluster_new(bus->owner, 1);
    bus->address = rd_kafka_mock_cluster_bootstraps(bus->cluster);
}

void bus_mock_stop(struct bus_mock *bus)
{
    rd_kafka_mock_cluster_destroy(bus->cluster);
    rd_kafka_destroy(bus->owner);
}

void bus_mock_topic(struct bus_mock *bus, const char *topic, int partitions)
{
    if (rd_kafka_mock_topic_create(bus->cluster, topic, partitions, 1) != 0) {
        abort();
    }
}

void bus_mock_put(struct bus_mock *bus, const char *topic, int32_t partition, const char *value)
{
    rd_kafka_t *producer = client_new(RD_KAFKA_PRODUCER, bus, NULL);
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = (void *)(uintptr_t)value, .size = strlen(value)}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
    };
    if (rd_kafka_produceva(producer, fields, sizeof fields / sizeof fields[0]) != NULL ||
        rd_kafka_flush(producer, 30000) != 0) {
        abort();
    }
    rd_kafka_destroy(producer);
}

int64_t bus_mock_committed(struct bus_mock *bus, const char *group, const char *topic,
                           int32_t partition)
{
    rd_kafka_t *consumer = client_new(RD_KAFKA_CONSUMER, bus, group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    int64_t offset = -1;
    if (rd_kafka_committed(consumer, list, 30000) == 0) {
        offset = list->elems[0].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(consumer);
    return offset;
}
