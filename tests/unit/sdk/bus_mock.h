#ifndef TIDINGS_TESTS_SDK_BUS_MOCK_H
#define TIDINGS_TESTS_SDK_BUS_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/* A bus inside the test: librdkafka's mock cluster with one broker. */
struct bus_mock {
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *cluster;
    const char *address;
};

void bus_mock_start(struct bus_mock *bus);
void bus_mock_stop(struct bus_mock *bus);
void bus_mock_topic(struct bus_mock *bus, const char *topic, int partitions);

/* Publishes a plain record, waiting until it is kept. */
void bus_mock_put(struct bus_mock *bus, const char *topic, int32_t partition, const char *value);

/* The group's committed offset, or negative when there is none. */
int64_t bus_mock_committed(struct bus_mock *bus, const char *group, const char *topic,
                           int32_t partition);

#endif
