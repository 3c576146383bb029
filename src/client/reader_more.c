#include "client/reader_inside.h"

#include "base/mem.h"

#include <stdlib.h>

/* What is read, from the beginning on and when more is to be read. */

enum client_status reader_add(struct reader *reader, const struct topic_partitions *partitions,
                              struct client_error *error)
{
    enum client_status status = CLIENT_OK;
    for (size_t i = 0; status == CLIENT_OK && i < partitions->count; i++) {
        const struct topic_partition *at = &partitions->items[i];
        if (reader_find(reader, at->topic, at->partition) != NULL) {
            continue;
        }
        rd_kafka_topic_t *topic = rd_kafka_topic_new(reader->connection.rk, at->topic, NULL);
        if (topic == NULL ||
            rd_kafka_consume_start_queue(topic, at->partition, at->offset, reader->queue) != 0) {
            status = connection_fail(&reader->connection, error, rd_kafka_last_error(), NULL);
        } else {
            reader_hold(reader, at->topic, at->partition);
        }
        if (topic != NULL) {
            rd_kafka_topic_destroy(topic); /* the started partition keeps its own hold */
        }
    }
    return status;
}

void reader_set_topics(struct reader *reader, const char *const *topics, size_t count)
{
    for (size_t i = 0; i < reader->topic_count; i++) {
        free(reader->topics[i]);
    }
    free(reader->topics);
    reader->topics = count > 0 ? mem_new_array(char *, count) : NULL;
    reader->topic_count = count;
    for (size_t i = 0; i < count; i++) {
        reader->topics[i] = mem_strdup(topics[i]);
    }
}

enum client_status reader_subscribe(struct reader *reader, const char *const *topics, size_t count,
                                    struct client_error *error)
{
    reader_set_topics(reader, topics, count);
    bool is_fenced = reader->fence.look_at_ms != 0; /* then it joins again by itself */
    return is_fenced ? CLIENT_OK : reader_group_join(reader, error);
}
